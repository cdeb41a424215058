package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// Example is a decided call that rules and mappings can be tried on.
type Example struct {
	ID       call.ID
	Received time.Time
	Name     string // the caller's; empty when not known
	Caller   call.Phone
	Outcome  string
}

// Examples lists the newest decided calls that q may mean, at most limit. It is read as the log's search reads it; empty
// means all.
func Examples(ctx context.Context, tx pgx.Tx, t tenant.Tenant, q string, limit int) ([]Example, error) {
	found, searching, err := search(ctx, tx, t, strings.TrimSpace(q))
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT c.id, c.received_at, c.name, c.caller_key, c.outcome
		  FROM calls c
		 WHERE c.tenant_id = @tenant
		   AND (NOT @searching OR c.id = ANY(@found))
		   AND EXISTS (SELECT FROM decisions d WHERE d.tenant_id = c.tenant_id AND d.call_id = c.id)
		 ORDER BY c.received_at DESC, c.id DESC
		 LIMIT @limit`,
		pgx.StrictNamedArgs{"tenant": t.ID.UUID(), "searching": searching, "found": found, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("listing calls to try on: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Example, error) {
		var e Example
		var id [16]byte
		err := row.Scan(&id, &e.Received, &e.Name, &e.Caller, &e.Outcome)
		e.ID = call.ID(id)
		return e, err
	})
}

// FactsOf are the facts that a call was last decided on, the call itself included.
func FactsOf(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) (routing.Facts, error) {
	var facts, folded []byte
	err := tx.QueryRow(ctx, `
		SELECT d.facts, c.call
		  FROM decisions d
		  JOIN calls c ON c.tenant_id = d.tenant_id AND c.id = d.call_id
		 WHERE d.tenant_id = @tenant AND d.call_id = @call
		 ORDER BY d.number DESC
		 LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()}).Scan(&facts, &folded)
	if errors.Is(err, pgx.ErrNoRows) {
		return routing.Facts{}, fault.New(fault.NotFound, "There is no such call, or it was not decided yet.")
	}
	if err != nil {
		return routing.Facts{}, fmt.Errorf("reading the facts of a call: %w", err)
	}
	return readFacts(facts, folded)
}
