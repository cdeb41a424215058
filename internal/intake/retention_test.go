package intake

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/tenant"
)

func TestRawEventsAreGoneAfterThirtyDays(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.database.HoldAllTimes(t)
	o := d.source("native")
	old, young := d.post(o, "old", nativeBody("a")), d.post(o, "young", nativeBody("b"))
	other := d.newTenant()
	in := func(of tenant.ID, sql string, args ...any) (n int) {
		t.Helper()
		if err := d.database.InTenant(t.Context(), of, func(tx pgx.Tx) error { return tx.QueryRow(t.Context(), sql, args...).Scan(&n) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	in(d.tenant, `
		WITH older AS (UPDATE events SET at = now() - interval '30 days 1 minute' WHERE id::text = $1 RETURNING 1),
		     younger AS (UPDATE events SET at = now() - interval '29 days 23 hours' WHERE id::text = $2 RETURNING 1)
		SELECT (SELECT count(*) FROM older) + (SELECT count(*) FROM younger)`, old.Event, young.Event)
	many := `
		WITH made AS (
			INSERT INTO events (tenant_id, id, at, call_id, source_id, kind, normalised, raw)
			SELECT $1, gen_random_uuid(), now() - interval '31 days', $2, $2, 'completed', '{}', 'x' FROM generate_series(1, $3::int) RETURNING 1)
		SELECT count(*) FROM made`
	in(d.tenant, many, d.tenant.UUID(), uuid.New(), 2*forgotten)
	in(other, many, other.UUID(), uuid.New(), 1)

	emptied, err := ForgetRaw(t.Context(), d.database.DB, d.tenant)
	if err != nil || emptied != 2*forgotten+1 {
		t.Errorf("%d were emptied, %v; want %d", emptied, err, 2*forgotten+1)
	}
	if n := in(other, `SELECT count(*) FROM events WHERE raw IS NOT NULL`); n != 1 {
		t.Error("another tenant's events were emptied")
	}
	for _, e := range []struct {
		reply
		gone bool
	}{{old, true}, {young, false}} {
		id, err := call.ParseID(e.CallID)
		if err != nil {
			t.Fatal(err)
		}
		events, err := RawEvents(t.Context(), d.database.DB, d.keys, d.tenant, id)
		if err != nil || len(events) != 1 || events[0].Gone != e.gone || (events[0].Body == "") != e.gone {
			t.Errorf("%+v, %v; gone should be %v", events, err, e.gone)
		}
	}
	if again, err := ForgetRaw(t.Context(), d.database.DB, d.tenant); err != nil || again != 0 {
		t.Errorf("a second time: %d, %v", again, err)
	}
}
