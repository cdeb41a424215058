package delivery

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
)

// AddLane gives a new tenant its lane, in the transaction that makes the tenant.
func AddLane(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	if _, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES (@tenant)`, pgx.StrictNamedArgs{"tenant": t.UUID()}); err != nil {
		return fmt.Errorf("adding a lane: %w", err)
	}
	return nil
}
