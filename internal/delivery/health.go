package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// MostCounted bounds the counts of a Health: more are not told apart.
const MostCounted = 1000

// Health is how a tenant's deliveries stand, in what every page can afford to ask.
type Health struct {
	Link     string // the connection's status; empty: never connected
	Reason   string // in words, when the link needs a person
	Hold     string // of the lane
	Waiting  int    // open calls, at most MostCounted
	NeedsYou int    // calls that need a person, at most MostCounted
	Calls    bool   // there is a call at all
}

// HealthOf reads it in one query over partial indexes.
func HealthOf(ctx context.Context, db *postgres.DB, t tenant.ID) (Health, error) {
	var h Health
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT COALESCE((SELECT status FROM connections WHERE tenant_id = @tenant), ''),
			       COALESCE((SELECT reason FROM connections WHERE tenant_id = @tenant), ''),
			       COALESCE((SELECT hold FROM lanes WHERE tenant_id = @tenant), ''),
			       (SELECT count(*) FROM (SELECT FROM calls WHERE tenant_id = @tenant AND status IN ('received', 'delivering') LIMIT @most) AS open),
			       (SELECT count(*) FROM (SELECT FROM calls WHERE tenant_id = @tenant AND status = 'needs_attention' LIMIT @most) AS aside),
			       EXISTS (SELECT FROM calls WHERE tenant_id = @tenant)`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "most": MostCounted}).
			Scan(&h.Link, &h.Reason, &h.Hold, &h.Waiting, &h.NeedsYou, &h.Calls)
	})
	if err != nil {
		return Health{}, fmt.Errorf("reading how deliveries stand: %w", err)
	}
	return h, nil
}

// Firsts are when a tenant's first call came in, and when the first one was delivered; zero when not yet.
func Firsts(ctx context.Context, db *postgres.DB, t tenant.ID) (received, delivered time.Time, err error) {
	var came, went *time.Time
	err = db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT (SELECT received_at FROM calls WHERE tenant_id = @tenant ORDER BY received_at, id LIMIT 1),
			       (SELECT delivered_at FROM calls WHERE tenant_id = @tenant AND delivered_at IS NOT NULL ORDER BY received_at, id LIMIT 1)`,
			pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&came, &went)
	})
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("reading the first calls: %w", err)
	}
	return timeOf(came), timeOf(went), nil
}

// Alike are the calls that need a person over the same thing as one of them, that one included, oldest first and at
// most limit.
func Alike(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID, limit int) ([]call.ID, error) {
	var alike []call.ID
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT other.id
			  FROM calls AS this
			  JOIN calls AS other ON other.tenant_id = this.tenant_id AND other.status = 'needs_attention'
			       AND other.cause ->> 'code' IS NOT DISTINCT FROM this.cause ->> 'code'
			       AND other.cause ->> 'module' IS NOT DISTINCT FROM this.cause ->> 'module'
			       AND other.cause ->> 'field' IS NOT DISTINCT FROM this.cause ->> 'field'
			 WHERE this.tenant_id = @tenant AND this.id = @call AND this.status = 'needs_attention'
			 ORDER BY other.received_at, other.id
			 LIMIT @limit`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID(), "limit": limit})
		if err != nil {
			return err
		}
		alike, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (call.ID, error) {
			var one uuid.UUID
			err := row.Scan(&one)
			return call.ID(one), err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding calls like %s: %w", id, err)
	}
	return alike, nil
}
