package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/tenant"
)

// Recall is what the number memory holds for a number of the tenant in that organisation; nil when nothing.
func Recall(ctx context.Context, tx pgx.Tx, t tenant.ID, orgID string, number call.Phone) (*Remembered, error) {
	var r Remembered
	var seconds float64
	err := tx.QueryRow(ctx, `
		SELECT module, record_id, account_id, name, greatest(0, extract(epoch FROM clock_timestamp() - verified_at))::float8
		FROM callers
		WHERE tenant_id = @tenant AND org_id = @org AND number = @number`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "org": orgID, "number": string(number)}).
		Scan(&r.Module, &r.ID, &r.AccountID, &r.Name, &seconds)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recalling a number: %w", err)
	}
	r.Age = time.Duration(seconds * float64(time.Second))
	return &r, nil
}

// Remember keeps where a number led, in the transaction that stores the match or the new record's id: a caller who
// rings twice within the lag of Zoho's search index is then known the second time.
func Remember(ctx context.Context, tx pgx.Tx, t tenant.ID, orgID string, number call.Phone, r Remembered) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO callers (tenant_id, org_id, number, module, record_id, account_id, name, verified_at)
		VALUES (@tenant, @org, @number, @module, @record, @account, @name, clock_timestamp())
		ON CONFLICT (tenant_id, org_id, number) DO UPDATE
		SET module = excluded.module, record_id = excluded.record_id, account_id = excluded.account_id,
		    name = excluded.name, verified_at = excluded.verified_at`,
		pgx.StrictNamedArgs{
			"tenant": t.UUID(), "org": orgID, "number": string(number),
			"module": r.Module, "record": r.ID, "account": r.AccountID, "name": r.Name,
		})
	if err != nil {
		return fmt.Errorf("remembering a number: %w", err)
	}
	return nil
}

// Forget drops a number from the memory: what it led to is gone.
func Forget(ctx context.Context, tx pgx.Tx, t tenant.ID, orgID string, number call.Phone) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM callers
		WHERE tenant_id = @tenant AND org_id = @org AND number = @number`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "org": orgID, "number": string(number)})
	if err != nil {
		return fmt.Errorf("forgetting a number: %w", err)
	}
	return nil
}
