package connection

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

// Reseal moves the tokens of a tenant to the current key, a bounded number of
// rows a transaction, and tells how many it moved. It may run beside a server and be run again.
func Reseal(ctx context.Context, db *postgres.DB, keys *seal.Keys, t tenant.ID) (moved int, err error) {
	for _, column := range []func(context.Context, pgx.Tx, *seal.Keys, tenant.ID) (int, error){resealRefresh, resealAccess, resealPending} {
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

func resealRefresh(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT tenant_id::text, refresh_sealed FROM connections
		WHERE tenant_id = @tenant AND refresh_sealed IS NOT NULL AND substring(refresh_sealed FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, refreshColumn)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE connections SET refresh_sealed = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE connections.tenant_id = @tenant AND connections.tenant_id::text = n.id AND connections.refresh_sealed = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

func resealAccess(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT tenant_id::text, access_sealed FROM connections
		WHERE tenant_id = @tenant AND access_sealed IS NOT NULL AND substring(access_sealed FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, accessColumn)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE connections SET access_sealed = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE connections.tenant_id = @tenant AND connections.tenant_id::text = n.id AND connections.access_sealed = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

func resealPending(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT encode(state_hash, 'hex'), pending FROM consents
		WHERE tenant_id = @tenant AND pending IS NOT NULL AND substring(pending FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, pendingColumn)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE consents SET pending = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE consents.tenant_id = @tenant AND encode(consents.state_hash, 'hex') = n.id AND consents.pending = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

// KeysInUse counts these tenants' tokens by the id of the key that sealed them.
func KeysInUse(ctx context.Context, tx pgx.Tx, tenants []tenant.ID) (map[string]int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT convert_from(substring(sealed FROM 3 FOR get_byte(sealed, 1)), 'UTF8'), count(*)
		FROM (SELECT refresh_sealed AS sealed FROM connections WHERE tenant_id = ANY (@tenants)
		      UNION ALL SELECT access_sealed FROM connections WHERE tenant_id = ANY (@tenants)
		      UNION ALL SELECT pending FROM consents WHERE tenant_id = ANY (@tenants)) AS texts
		WHERE length(sealed) > 2
		GROUP BY 1`,
		pgx.StrictNamedArgs{"tenants": tenants})
	counts := map[string]int{}
	var id string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { counts[id] += n; return nil }); err != nil {
		return nil, fmt.Errorf("counting sealed rows: %w", err)
	}
	return counts, nil
}
