package intake

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

// Reseal moves the keys and secrets of sources, and the raw events, of a tenant to the current key, a bounded number of
// rows a transaction, and tells how many it moved. It may run beside a server and be run again.
func Reseal(ctx context.Context, db *postgres.DB, keys *seal.Keys, t tenant.ID) (moved int, err error) {
	for _, column := range []func(context.Context, pgx.Tx, *seal.Keys, tenant.ID) (int, error){resealKeys, resealSecrets, resealRaw} {
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

func resealKeys(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id::text, key_sealed FROM sources
		WHERE tenant_id = @tenant AND key_sealed IS NOT NULL AND substring(key_sealed FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, "sources.key_sealed")
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE sources SET key_sealed = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE sources.tenant_id = @tenant AND sources.id::text = n.id AND sources.key_sealed = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

func resealSecrets(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id::text, secrets_sealed FROM sources
		WHERE tenant_id = @tenant AND secrets_sealed IS NOT NULL AND substring(secrets_sealed FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, "sources.secrets_sealed")
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE sources SET secrets_sealed = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE sources.tenant_id = @tenant AND sources.id::text = n.id AND sources.secrets_sealed = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

func resealRaw(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) (int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id::text, raw FROM events
		WHERE tenant_id = @tenant AND raw IS NOT NULL AND substring(raw FROM 1 FOR length(@prefix::bytea)) <> @prefix
		LIMIT @most`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "prefix": keys.Prefix(), "most": resealed})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[seal.Row])
	if err != nil {
		return 0, err
	}
	ids, old, sealed, err := keys.Reseal(found, t, rawPlace)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE events SET raw = n.sealed
		FROM unnest(@ids::text[], @old::bytea[], @sealed::bytea[]) AS n (id, old, sealed)
		WHERE events.tenant_id = @tenant AND events.id::text = n.id AND events.raw = n.old`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids, "old": old, "sealed": sealed})
	return len(found), err
}

// KeysInUse counts the keys and secrets of these tenants' sources; their raw events, many and short-lived, are not counted by the id of the key that sealed them.
func KeysInUse(ctx context.Context, tx pgx.Tx, tenants []tenant.ID) (map[string]int, error) {
	rows, _ := tx.Query(ctx, `
		SELECT convert_from(substring(sealed FROM 3 FOR get_byte(sealed, 1)), 'UTF8'), count(*)
		FROM (SELECT key_sealed AS sealed FROM sources WHERE tenant_id = ANY (@tenants)
		      UNION ALL SELECT secrets_sealed FROM sources WHERE tenant_id = ANY (@tenants)) AS texts
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
