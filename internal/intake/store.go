package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/fault/failpoint"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// arrival is one event ready to be stored.
type arrival struct {
	tenant         tenant.ID
	source         uuid.UUID
	event          call.EventID
	call           call.ID
	providerCallID string
	kind           call.Kind
	normalised     string // JSON
	raw            []byte // compressed and sealed
	headers        string // JSON
	cause          string // JSON; why it needs a person, unreadable events only
}

// stored is what became of an arrival.
type stored struct {
	call      call.ID
	duplicate bool
}

// byEvent is the order in which rows are written: the same in every transaction, so that none can wait in a ring.
func byEvent(a, b *arrival) int {
	return cmp.Or(slices.Compare(a.tenant[:], b.tenant[:]), slices.Compare(a.event[:], b.event[:]))
}

func byCall(a, b *arrival) int {
	return cmp.Or(slices.Compare(a.tenant[:], b.tenant[:]), slices.Compare(a.call[:], b.call[:]))
}

type rowKey struct{ tenant, id [16]byte }

// store appends the arrivals in one transaction: what was seen, the events, their calls, and a note for the lanes. The
// events of one batch are told apart in time by microseconds, in order of arrival. Results are in the arrivals' order.
func store(ctx context.Context, db *postgres.DB, arrivals []*arrival) ([]stored, error) {
	results := make([]stored, len(arrivals))
	tenants := make([][16]byte, 0, len(arrivals))
	first := make(map[rowKey]int, len(arrivals)) // the same event twice in one batch: the first wins
	distinct := make([]*arrival, 0, len(arrivals))
	place := make(map[*arrival]int, len(arrivals))
	for i, a := range arrivals {
		k := rowKey{a.tenant, a.event}
		if _, twice := first[k]; twice {
			continue
		}
		first[k] = i
		place[a] = i
		distinct = append(distinct, a)
		tenants = append(tenants, a.tenant)
	}
	slices.SortFunc(tenants, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	tenants = slices.Compact(tenants)
	slices.SortFunc(distinct, byEvent)

	err := db.InTenants(ctx, tenants, func(tx pgx.Tx) error {
		fresh, err := markSeen(ctx, tx, distinct)
		if err != nil {
			return err
		}
		var again []*arrival
		added := make([]*arrival, 0, len(distinct))
		for _, a := range distinct {
			isFresh := fresh[rowKey{a.tenant, a.event}]
			results[place[a]] = stored{call: a.call, duplicate: !isFresh}
			if isFresh {
				added = append(added, a)
			} else {
				again = append(again, a)
			}
		}
		if len(again) > 0 {
			calls, err := callsOfSeen(ctx, tx, again)
			if err != nil {
				return err
			}
			for _, a := range again {
				results[place[a]].call = calls[rowKey{a.tenant, a.event}]
			}
		}
		if len(added) == 0 {
			return nil
		}
		if err := appendEvents(ctx, tx, added, place); err != nil {
			return err
		}
		failpoint.Hit("P2")
		if err := appendCalls(ctx, tx, added, place); err != nil {
			return err
		}
		failpoint.Hit("P3")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("storing %d events: %w", len(arrivals), err)
	}
	for i, a := range arrivals {
		if leader := first[rowKey{a.tenant, a.event}]; leader != i {
			results[i] = stored{call: results[leader].call, duplicate: true}
		}
	}
	return results, nil
}

// columns gives one slice a column, in the arrivals' order.
func columns(arrivals []*arrival) (tenants, events, calls, sources []uuid.UUID) {
	n := len(arrivals)
	tenants, events, calls, sources = make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	for i, a := range arrivals {
		tenants[i], events[i], calls[i], sources[i] = a.tenant.UUID(), uuid.UUID(a.event), a.call.UUID(), a.source
	}
	return
}

func markSeen(ctx context.Context, tx pgx.Tx, arrivals []*arrival) (map[rowKey]bool, error) {
	tenants, events, calls, _ := columns(arrivals)
	rows, err := tx.Query(ctx, `
		INSERT INTO seen (tenant_id, event_id, call_id)
		SELECT * FROM unnest(@tenants::uuid[], @events::uuid[], @calls::uuid[])
		ON CONFLICT DO NOTHING
		RETURNING tenant_id, event_id`,
		pgx.StrictNamedArgs{"tenants": tenants, "events": events, "calls": calls})
	if err != nil {
		return nil, fmt.Errorf("marking events as seen: %w", err)
	}
	fresh := make(map[rowKey]bool, len(arrivals))
	var k rowKey
	if _, err = pgx.ForEachRow(rows, []any{&k.tenant, &k.id}, func() error { fresh[k] = true; return nil }); err != nil {
		return nil, fmt.Errorf("marking events as seen: %w", err)
	}
	return fresh, nil
}

func callsOfSeen(ctx context.Context, tx pgx.Tx, arrivals []*arrival) (map[rowKey]call.ID, error) {
	tenants, events, _, _ := columns(arrivals)
	rows, err := tx.Query(ctx, `
		SELECT s.tenant_id, s.event_id, s.call_id
		FROM unnest(@tenants::uuid[], @events::uuid[]) AS k (tenant_id, event_id)
		JOIN seen s ON s.tenant_id = k.tenant_id AND s.event_id = k.event_id`,
		pgx.StrictNamedArgs{"tenants": tenants, "events": events})
	if err != nil {
		return nil, fmt.Errorf("looking up events seen before: %w", err)
	}
	calls := make(map[rowKey]call.ID, len(arrivals))
	var k rowKey
	var c [16]byte
	if _, err = pgx.ForEachRow(rows, []any{&k.tenant, &k.id, &c}, func() error { calls[k] = c; return nil }); err != nil {
		return nil, fmt.Errorf("looking up events seen before: %w", err)
	}
	return calls, nil
}

// eventChunk is how many events one statement carries. Bodies are kilobytes: PostgreSQL copies a statement's parameters
// several times while it plans, and many small statements in one round trip were a third faster than one large.
const eventChunk = 8

func appendEvents(ctx context.Context, tx pgx.Tx, arrivals []*arrival, place map[*arrival]int) error {
	var batch pgx.Batch
	for chunk := range slices.Chunk(arrivals, eventChunk) {
		n := len(chunk)
		tenants, events, calls, sources := columns(chunk)
		orders, kinds, normalised, headers, raws := make([]int32, n), make([]string, n), make([]string, n), make([]string, n), make([][]byte, n)
		for i, a := range chunk {
			orders[i], kinds[i], normalised[i], headers[i], raws[i] = int32(place[a]), string(a.kind), a.normalised, a.headers, a.raw
		}
		batch.Queue(`
			INSERT INTO events (tenant_id, id, at, call_id, source_id, kind, normalised, raw, headers)
			SELECT tenant_id, id, now() + place * interval '1 microsecond', call_id, source_id, kind, normalised::json, raw, headers::json
			FROM unnest(@tenants::uuid[], @events::uuid[], @places::int[], @calls::uuid[], @sources::uuid[], @kinds::text[],
				@normalised::text[], @raws::bytea[], @headers::text[])
				AS e (tenant_id, id, place, call_id, source_id, kind, normalised, raw, headers)`,
			pgx.StrictNamedArgs{
				"tenants": tenants, "events": events, "places": orders, "calls": calls, "sources": sources, "kinds": kinds,
				"normalised": normalised, "raws": raws, "headers": headers,
			})
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("appending events: %w", err)
	}
	return nil
}

// appendCalls makes the rows of calls that nobody told of before, and leaves notes for the lanes: for new calls one a
// tenant, for calls that stood already one a call.
func appendCalls(ctx context.Context, tx pgx.Tx, added []*arrival, place map[*arrival]int) error {
	arrivals := slices.Clone(added)
	slices.SortStableFunc(arrivals, func(a, b *arrival) int { return cmp.Or(byCall(a, b), place[a]-place[b]) })
	arrivals = slices.CompactFunc(arrivals, func(a, b *arrival) bool { return byCall(a, b) == 0 })
	n := len(arrivals)
	tenants, _, calls, sources := columns(arrivals)
	orders, ids, statuses, causes := make([]int32, n), make([]string, n), make([]string, n), make([]*string, n)
	for i, a := range arrivals {
		orders[i], ids[i], statuses[i] = int32(place[a]), a.providerCallID, "received"
		if a.kind == call.KindUnreadable {
			statuses[i], causes[i] = "needs_attention", &a.cause
		}
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at, status, cause)
		SELECT tenant_id, id, source_id, provider_call_id, now() + place * interval '1 microsecond', status, cause::jsonb
		FROM unnest(@tenants::uuid[], @calls::uuid[], @sources::uuid[], @ids::text[], @places::int[], @statuses::text[], @causes::text[])
			AS c (tenant_id, id, source_id, provider_call_id, place, status, cause)
		ON CONFLICT DO NOTHING
		RETURNING tenant_id, id`,
		pgx.StrictNamedArgs{
			"tenants": tenants, "calls": calls, "sources": sources, "ids": ids, "places": orders, "statuses": statuses, "causes": causes,
		})
	if err != nil {
		return fmt.Errorf("appending calls: %w", err)
	}
	fresh := make(map[rowKey]bool, n)
	var k rowKey
	if _, err := pgx.ForEachRow(rows, []any{&k.tenant, &k.id}, func() error { fresh[k] = true; return nil }); err != nil {
		return fmt.Errorf("appending calls: %w", err)
	}
	var woken []tenant.ID
	var news []delivery.News
	for _, a := range arrivals {
		switch {
		case a.kind == call.KindUnreadable: // waits for a person, not for a lane
		case fresh[rowKey{a.tenant, a.call}]:
			woken = append(woken, a.tenant)
		default:
			news = append(news, delivery.News{Tenant: a.tenant, Call: a.call})
		}
	}
	if len(woken) > 0 {
		if err := delivery.Wake(ctx, tx, woken); err != nil {
			return err
		}
	}
	if len(news) > 0 {
		return delivery.WakeFor(ctx, tx, news)
	}
	return nil
}

// isOneRowsFault reports whether a failed transaction may go through without the event that spoiled it. When the
// database is away, shutting down or out of room, it may not.
func isOneRowsFault(err error) bool {
	return errors.Is(err, errPanicked) || postgres.IsFaultOfData(err)
}
