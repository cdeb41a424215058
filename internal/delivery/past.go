package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// PastCall is a call of before, with the facts of its last decision still as they are stored: Facts makes them
// readable, when the connection that they came by is free again.
type PastCall struct {
	ID       call.ID
	Received time.Time
	Name     string     // the caller's, as the log shows it; empty when not known
	Number   call.Phone // the caller's, as the log shows it; empty when withheld
	Decided  bool       // it has facts: a call that still waits, or could not be read, has none
	facts    []byte
	folded   []byte
}

// CountPast counts the tenant's calls that were received since a moment.
func CountPast(ctx context.Context, tx pgx.Tx, t tenant.ID, since time.Time) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM calls WHERE tenant_id = @tenant AND received_at >= @since`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since}).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting calls: %w", err)
	}
	return n, nil
}

// endOfTime is later than any call.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// pageBytes is where a page of past calls ends, however few they are: of what is stored of a call, it may be a megabyte.
const pageBytes = 8 << 20

// ReadPast reads a page of the tenant's calls that were received since a moment, newest first, at most limit and fewer
// where much is stored of them, but for the last page at least one; after is the last of the page before, nil for the
// first page. Calls that come in meanwhile are on no page but the first.
func ReadPast(ctx context.Context, tx pgx.Tx, t tenant.ID, since time.Time, after *PastCall, limit int) ([]PastCall, error) {
	before, id := endOfTime, uuid.Nil
	if after != nil {
		before, id = after.Received, after.ID.UUID()
	}
	rows, err := tx.Query(ctx, `
		SELECT c.id, c.received_at, c.name, c.number, d.facts, CASE WHEN d.facts IS NOT NULL THEN c.call END
		  FROM calls c
		  LEFT JOIN LATERAL (
			SELECT facts FROM decisions
			 WHERE decisions.tenant_id = c.tenant_id AND decisions.call_id = c.id
			 ORDER BY number DESC
			 LIMIT 1) d ON true
		 WHERE c.tenant_id = @tenant AND c.received_at >= @since AND (c.received_at, c.id) < (@before, @id)
		 ORDER BY c.received_at DESC, c.id DESC
		 LIMIT @limit`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since, "before": before, "id": id, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("reading calls of before: %w", err)
	}
	defer rows.Close()
	var calls []PastCall
	for size := 0; size < pageBytes && rows.Next(); {
		var p PastCall
		if err := rows.Scan((*uuid.UUID)(&p.ID), &p.Received, &p.Name, (*string)(&p.Number), &p.facts, &p.folded); err != nil {
			return nil, fmt.Errorf("reading calls of before: %w", err)
		}
		p.Decided = p.facts != nil
		size += len(p.facts) + len(p.folded)
		calls = append(calls, p)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading calls of before: %w", err)
	}
	return calls, nil
}

// Facts are the facts that the call was last decided on, the call itself included, in the tenant's zone.
func (p PastCall) Facts(zone *time.Location) (routing.Facts, error) {
	f, err := readFacts(p.facts, p.folded)
	f.LocalTime, f.DecidedAt = f.LocalTime.In(zone), f.DecidedAt.In(zone)
	return f, err
}

// readFacts puts together what a decision rests on, with numbers as delivery reads them.
func readFacts(facts, folded []byte) (routing.Facts, error) {
	var f routing.Facts
	if err := readNumbers(facts, &f); err != nil {
		return routing.Facts{}, fmt.Errorf("reading the facts of a call: %w", err)
	}
	var err error
	if f.Call, err = call.UnmarshalCall(folded); err != nil {
		return routing.Facts{}, fmt.Errorf("reading a call: %w", err)
	}
	return f, nil
}
