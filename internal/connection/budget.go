package connection

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
)

// Budget is how an organisation's API credits stand: so many in any 24 hours, each free again 24 hours after its use
// (Zoho's API, "API limits").
type Budget struct {
	Limit  int       // by its edition and users; add-ons are not known, so at least
	Used   int       // by Hookline, in the last 24 hours
	Left   int       // as Zoho said within a quarter of an hour, other apps included; else Limit less Used
	Said   bool      // Left is Zoho's word
	Pace   int       // Hookline's credits an hour, by the last three hours
	FreeAt time.Time // when the next of them become free; zero when none was used
}

// LastsFor is how long what is left lasts at the present pace, in whole hours; false when that is a day or more, by
// when everything used now is free again.
func (b Budget) LastsFor() (time.Duration, bool) {
	if b.Pace <= 0 || b.Left/b.Pace >= 24 {
		return 0, false
	}
	return time.Duration(max(b.Left, 0)/b.Pace) * time.Hour, true
}

// Usage is what was used of an organisation's credits, before it is known how many there are.
type Usage struct {
	used, pace int
	freeAt     time.Time
	said       *int // left, as Zoho said within a quarter of an hour
}

// Of gives the budget of an organisation with that many credits a day.
func (u Usage) Of(limit int) Budget {
	b := Budget{Limit: limit, Used: u.used, Left: limit - u.used, Pace: u.pace, FreeAt: u.freeAt}
	if u.said != nil {
		b.Left, b.Said = *u.said, true
	}
	return b
}

// ReadUsage reads what was used of the connected organisation's credits.
func ReadUsage(ctx context.Context, tx pgx.Tx, t tenant.ID) (Usage, error) {
	var u Usage
	var first *time.Time
	var lately int
	err := tx.QueryRow(ctx, `
		SELECT COALESCE(sum(used), 0), COALESCE(sum(used) FILTER (WHERE hour > now() - interval '3 hours'), 0),
		       min(hour) FILTER (WHERE used > 0) + interval '24 hours',
		       (SELECT CASE WHEN credits_left_at > now() - interval '15 minutes' THEN credits_left END FROM connections WHERE tenant_id = @tenant)
		  FROM credits
		 WHERE tenant_id = @tenant AND hour > now() - interval '24 hours'
		   AND org_id = (SELECT org_id FROM connections WHERE tenant_id = @tenant)`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&u.used, &lately, &first, &u.said)
	if err != nil {
		return Usage{}, fmt.Errorf("reading the credits of %s: %w", t, err)
	}
	u.pace, u.freeAt = lately/3, timeOf(first)
	return u, nil
}

// CountCredits adds n credits to what Hookline used of the organisation's in this hour, and keeps what Zoho said is
// left; left is negative where it did not say.
func CountCredits(ctx context.Context, tx pgx.Tx, t tenant.ID, org string, n, left int) error {
	if org == "" {
		return nil
	}
	var b pgx.Batch
	if n > 0 {
		b.Queue(`
			INSERT INTO credits (tenant_id, org_id, hour, used)
			VALUES (@tenant, @org, date_trunc('hour', now()), @used)
			ON CONFLICT (tenant_id, org_id, hour) DO UPDATE SET used = credits.used + EXCLUDED.used`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": org, "used": n})
	}
	if left >= 0 {
		b.Queue(`
			UPDATE connections SET credits_left = @left, credits_left_at = now() WHERE tenant_id = @tenant AND org_id = @org`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": org, "left": left})
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("counting credits of %s: %w", t, err)
	}
	return nil
}
