package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"time"
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
	made, err := intake.NewSources(db, old, "http://127.0.0.1").Add(ctx, id, intake.NewSource{Provider: "native"})
	if err != nil {
		t.Fatal(err)
	}
	secretWith := func(keys *seal.Keys) string {
		t.Helper()
		got, err := intake.NewSources(db, keys, "http://127.0.0.1").Get(ctx, id, uuid.UUID(made.ID))
		if err != nil {
			t.Fatal(err)
		}
		return got.Secrets[0].Reveal()
	}
	rotated := parse(k2 + "," + k1)
	if err := checkKeys(ctx, db, rotated); err != nil {
		t.Error(err)
	}
	if secretWith(rotated) != made.Secrets[0].Reveal() {
		t.Error("the rotated set does not open an old row")
	}
	err = checkKeys(ctx, db, parse(k2))
	if err == nil || !strings.Contains(err.Error(), "2 sealed with key k1") {
		t.Errorf("a set without the old key: %v", err)
	}
	if n, err := reseal(ctx, db, rotated); err != nil || n != 2 {
		t.Errorf("resealed %d, %v", n, err)
	}
	if n, err := reseal(ctx, db, rotated); err != nil || n != 0 {
		t.Errorf("a second time %d, %v", n, err)
	}
	if err := checkKeys(ctx, db, parse(k2)); err != nil {
		t.Error(err)
	}
	if secretWith(parse(k2)) != made.Secrets[0].Reveal() {
		t.Error("the new key alone does not open a moved row")
	}
}
