package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// ExchangesKept is how long the request and the answer of an attempt are kept, by the database's clock. That there was
// an attempt, and what came of it, stays.
const ExchangesKept = 30 * 24 * time.Hour

// forgotten is how many rows one transaction empties.
const forgotten = 500

// ForgetExchanges empties a tenant's exchanges with Zoho whose time is over, a bounded number of rows a transaction, and
// tells how many it emptied. It may run beside a server and beside itself.
func ForgetExchanges(ctx context.Context, db *postgres.DB, t tenant.ID) (emptied int64, err error) {
	for {
		var n int64
		err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `
				WITH due AS (
					SELECT id, at FROM attempts
					WHERE tenant_id = @tenant AND exchange IS NOT NULL AND at < now() - @kept::interval
					ORDER BY at LIMIT @most FOR UPDATE SKIP LOCKED
				)
				UPDATE attempts SET exchange = NULL FROM due
				WHERE attempts.tenant_id = @tenant AND attempts.id = due.id AND attempts.at = due.at`,
				pgx.StrictNamedArgs{"tenant": t.UUID(), "kept": ExchangesKept, "most": forgotten})
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return emptied, fmt.Errorf("forgetting exchanges of %s: %w", t, err)
		}
		if emptied += n; n < forgotten {
			return emptied, nil
		}
	}
}
