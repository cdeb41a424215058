package main

import (
	"context"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

func TestRotatedKeysOpenEverythingAndAMissingKeyStopsTheStart(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	k1, k2 := seal.Generate("k1"), seal.Generate("k2")
	parse := func(text string) *seal.Keys {
		keys, err := seal.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	old := parse(k1)
	desk := &account.Desk{DB: db, Now: time.Now, Outbox: &account.Outbox{Keys: old}, BaseURL: "http://127.0.0.1",
		Furnish: func(ctx context.Context, tx pgx.Tx, t tenant.Tenant) error { return delivery.AddLane(ctx, tx, t.ID) }}
	_, id, err := desk.Create(ctx, account.SignUp{Email: "o@example.com", Password: "a long enough pass phrase", Business: "B", Country: "US", Zone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	if err := noteKey(ctx, db, old); err != nil {
		t.Fatal(err)
	}
	made, err := intake.NewSources(db, old, "http://127.0.0.1").Add(ctx, id, intake.NewSource{Provider: "native"})
	if err != nil {
		t.Fatal(err)
	}
	receiver := intake.New(intake.Deps{DB: db, Keys: old})
	t.Cleanup(receiver.Close)
	door := httptest.NewServer(receiver)
	t.Cleanup(door.Close)
	if err := intake.Send(ctx, intake.Sending{URL: strings.Replace(made.URL, "http://127.0.0.1", door.URL, 1), Secret: made.Secrets[0],
		Preset: "new-caller", Count: 1, Out: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if err := db.Directory(ctx, func(tx pgx.Tx) error {
		return (&account.Outbox{Keys: old}).Post(ctx, tx, account.Mail{To: "o@example.com", Subject: "Hello"})
	}); err != nil {
		t.Fatal(err)
	}
	var sent call.ID
	if err := db.InTenant(ctx, id, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM calls WHERE tenant_id = $1`, id).Scan(&sent)
	}); err != nil {
		t.Fatal(err)
	}
	// opened is what a key set opens: the source's secret, the raw event, the kept mail.
	opened := func(keys *seal.Keys) (secret, body, subject string) {
		t.Helper()
		if got, err := intake.NewSources(db, keys, "http://127.0.0.1").Get(ctx, id, uuid.UUID(made.ID)); err == nil {
			secret = got.Secrets[0].Reveal()
		}
		events, err := intake.RawEvents(ctx, db, keys, id, sent)
		if err != nil || len(events) != 1 {
			t.Fatalf("%d raw events: %v", len(events), err)
		}
		mails, err := (&account.Outbox{Keys: keys}).KeptMails(ctx, db)
		if err != nil || len(mails) != 1 {
			t.Fatalf("%d mails: %v", len(mails), err)
		}
		return secret, events[0].Body, mails[0].Subject
	}
	whole := func(keys *seal.Keys) bool {
		t.Helper()
		secret, body, subject := opened(keys)
		return secret == made.Secrets[0].Reveal() && strings.Contains(body, "call_id") && subject == "Hello"
	}

	rotated := parse(k2 + "," + k1)
	if err := checkKeys(ctx, db, rotated); err != nil {
		t.Error(err)
	}
	if !whole(rotated) {
		t.Error("the rotated set does not open old rows")
	}
	for name, without := range map[string]func() error{
		"the check":  func() error { return checkKeys(ctx, db, parse(k2)) },
		"the reseal": func() error { _, err := reseal(ctx, db, parse(k2)); return err },
	} {
		if err := without(); err == nil || !strings.Contains(err.Error(), "4 sealed with key k1") {
			t.Errorf("%s with a set without the old key: %v", name, err)
		}
	}
	if _, body, subject := opened(parse(k2)); body != "" || subject != "This mail cannot be opened" {
		t.Errorf("without the key: %q and %q", body, subject)
	}
	if n, err := reseal(ctx, db, rotated); err != nil || n != 4 {
		t.Errorf("resealed %d, %v", n, err)
	}
	if n, err := reseal(ctx, db, rotated); err != nil || n != 0 {
		t.Errorf("a second time %d, %v", n, err)
	}
	if noted, err := notedKeys(ctx, db); err != nil || !slices.Equal(noted, []string{"k2"}) {
		t.Errorf("keys in use: %v, %v", noted, err)
	}
	if err := checkKeys(ctx, db, parse(k2)); err != nil {
		t.Error(err)
	}
	if !whole(parse(k2)) {
		t.Error("the new key alone does not open moved rows")
	}
}

func TestEverySealedColumnCanBeMoved(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), pgtest.New(t)
	none := pgx.NamedArgs{"tenant": [16]byte{}, "ids": []string{}, "old": [][]byte{}, "sealed": [][]byte{}, "prefix": []byte{1}, "most": 1}
	for _, c := range slices.Concat(account.Sealed, connection.Sealed, intake.Sealed, delivery.Sealed) {
		for _, text := range []string{string(c.Count), string(c.Find), string(c.Put)} {
			if err := db.Directory(ctx, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, text, none); return err }); err != nil {
				t.Errorf("%s: %v", c.Place, err)
			}
		}
	}
	// What the schema calls sealed, and what else has sealed bytes.
	known := []string{"deliveries.payload", "attempts.exchange", "consents.pending", "events.raw"}
	if err := db.Directory(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%sealed' AND table_name NOT LIKE '%\_2%'`)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		known = append(known, found...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, place := range known {
		if !slices.ContainsFunc(slices.Concat(account.Sealed, connection.Sealed, intake.Sealed, delivery.Sealed), func(c seal.Column) bool { return c.Place == place }) {
			t.Errorf("%s is sealed and never moved to another key", place)
		}
	}
}
