package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
)

// MostDecided is where DecidedBy stops to count: so many, or more.
const MostDecided = 1001

// DecidedBy counts the calls that came since a time and that each of the rules decided, by the rules' names.
func DecidedBy(ctx context.Context, tx pgx.Tx, t tenant.ID, rules []string, since time.Time) (map[string]int, error) {
	rows, err := tx.Query(ctx, `
		SELECT r.name, n.calls
		  FROM unnest(@rules::text[]) AS r (name)
		 CROSS JOIN LATERAL (
			SELECT count(*) AS calls
			  FROM (SELECT FROM calls c
			         WHERE c.tenant_id = @tenant AND c.rule = r.name AND c.rule <> '' AND c.received_at >= @since
			         LIMIT @most) AS few) AS n`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "rules": rules, "since": since, "most": MostDecided})
	if err != nil {
		return nil, fmt.Errorf("counting the calls of the rules: %w", err)
	}
	counts := map[string]int{}
	var name string
	var calls int
	if _, err := pgx.ForEachRow(rows, []any{&name, &calls}, func() error {
		counts[name] = calls
		return nil
	}); err != nil {
		return nil, fmt.Errorf("counting the calls of the rules: %w", err)
	}
	return counts, nil
}
