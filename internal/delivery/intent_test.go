package delivery

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// The time of an intent says from when on its record is looked for: saving the row again, after a crash or while its
// answer is lost, must not move it past the record.
func TestTheTimeOfAnIntentIsMovedByARequestOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.NewDatabase(t)
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	w := &Worker{Deps: Deps{Keys: keys}}
	tenant, id := newCall(t, db.DB)
	stored := func(d *delivery) (read *delivery) {
		t.Helper()
		in(t, db.DB, tenant, func(ctx context.Context, tx pgx.Tx) error {
			var b pgx.Batch
			if err := w.writeDelivery(&b, tenant, id, d); err != nil {
				return err
			}
			if err := tx.SendBatch(ctx, &b).Close(); err != nil {
				return err
			}
			all, err := readDeliveries(ctx, tx, keys, tenant, id)
			if err == nil {
				read = all[0]
			}
			return err
		})
		return read
	}
	row := uuid.Must(uuid.NewV7())
	d := &delivery{id: row, slot: "task", ref: refOf(row), looked: -1, draft: mapping.Draft{Slot: "task", Module: "Tasks", Action: mapping.Create}}
	d.to(Sending)
	first := stored(d)
	if first.intent.IsZero() {
		t.Fatal("no intent")
	}
	again := stored(first) // as a process finds it that comes after
	again.to(Unknown)
	lost := stored(again)
	if !again.intent.Equal(first.intent) || !lost.intent.Equal(first.intent) {
		t.Errorf("the intent of %s was moved to %s and %s", first.intent, again.intent, lost.intent)
	}
	lost.to(Sending)
	if sent := stored(lost); !sent.intent.After(first.intent) {
		t.Errorf("sent again, the intent is that of %s", sent.intent)
	}
}

// newCall makes a tenant with a call that nobody has looked at.
func newCall(t *testing.T, db *postgres.DB) (tenant.ID, call.ID) {
	t.Helper()
	of, source, id := newTenants(t, db, 1)[0], uuid.Must(uuid.NewV7()), call.ID(uuid.Must(uuid.NewV7()))
	in(t, db, of, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO sources (tenant_id, id, provider, name, key_sealed, secrets_sealed) VALUES ($1, $2, 'native', 'Main line', '', '')`, of.UUID(), source); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at) VALUES ($1, $2, $3, 'np_1', now())`, of.UUID(), id.UUID(), source)
		return err
	})
	return of, id
}

// A value that stood in Zoho when a call was decided is compared with what stands there when the call goes on.
func TestNumbersOfADecisionAreReadBackAsZohoWroteThem(t *testing.T) {
	t.Parallel()
	db := pgtest.NewDatabase(t)
	tenant, id := newCall(t, db.DB)
	made := decided{number: 1}
	made.facts.Match.Contact = &identity.Person{Module: "Contacts", ID: "1", Fields: map[string]any{"Member": json.Number("5725767000000524157"), "Spent": json.Number("50000000.10")}}
	var read decided
	in(t, db.DB, tenant, func(ctx context.Context, tx pgx.Tx) error {
		var b pgx.Batch
		if err := writeDecision(&b, tenant, id, made); err != nil {
			return err
		}
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return err
		}
		var err error
		read, _, err = lastDecision(ctx, tx, tenant, id)
		return err
	})
	if got, want := read.facts.Match.Contact.Fields, made.facts.Match.Contact.Fields; !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, want %#v", got, want)
	}
}
