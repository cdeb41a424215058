package delivery

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// resealed is how many rows one transaction moves to the current key.
const resealed = 200

// Reseal moves records to be written and exchanges with Zoho of a tenant to the current key, a bounded number of
// rows a transaction, and tells how many it moved. It may run beside a server and be run again.
func Reseal(ctx context.Context, db *postgres.DB, keys *seal.Keys, t tenant.ID) (moved int, err error) {
	for _, column := range []func(context.Context, pgx.Tx, *seal.Keys, tenant.ID) (int, error){resealPayloads, resealExchanges} {
		for n := resealed; n == resealed; moved += n {
			if err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
				var err error
				n, err = column(ctx, tx, keys, t)
				return err
			}); err != nil {
				return moved, fmt.Errorf("sealing anew for %s: %w", t, err)
			}
		}
	}
	return moved, nil
}

func resealPayloads(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id::text, payload FROM deliveries
		WHERE tenant_id = @tenant AND payload IS NOT NULL AND substring(payload FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, payloadPlace)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE deliveries SET payload = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE deliveries.tenant_id = @tenant AND deliveries.id::text = n.id AND deliveries.payload = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

func resealExchanges(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id::text, exchange FROM attempts
		WHERE tenant_id = @tenant AND exchange IS NOT NULL AND substring(exchange FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, exchangePlace)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE attempts SET exchange = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE attempts.tenant_id = @tenant AND attempts.id::text = n.id AND attempts.exchange = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}
