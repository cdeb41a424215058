package account

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Tenants lists every tenant that has a member, for work that an operator does for all of them.
func Tenants(ctx context.Context, db *postgres.DB) (ids []tenant.ID, err error) {
	err = db.Directory(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM memberships ORDER BY tenant_id`)
		var err error
		ids, err = pgx.CollectRows(rows, pgx.RowTo[tenant.ID])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing tenants: %w", err)
	}
	return ids, nil
}
