package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// RawKept is how long the bytes of a webhook are kept, by the database's clock. What they told of the call stays.
const RawKept = 30 * 24 * time.Hour

// forgotten is how many rows one transaction empties.
const forgotten = 500

// ForgetRaw empties a tenant's raw events whose time is over, a bounded number of rows a transaction, and tells how many
// it emptied. It may run beside a server and beside itself.
func ForgetRaw(ctx context.Context, db *postgres.DB, t tenant.ID) (emptied int64, err error) {
	for {
		var n int64
		err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `
				WITH due AS (
					SELECT id, at FROM events
					WHERE tenant_id = @tenant AND raw IS NOT NULL AND at < now() - @kept::interval
					ORDER BY at LIMIT @most FOR UPDATE SKIP LOCKED
				)
				UPDATE events SET raw = NULL FROM due
				WHERE events.tenant_id = @tenant AND events.id = due.id AND events.at = due.at`,
				pgx.StrictNamedArgs{"tenant": t.UUID(), "kept": RawKept, "most": forgotten})
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return emptied, fmt.Errorf("forgetting raw events of %s: %w", t, err)
		}
		if emptied += n; n < forgotten {
			return emptied, nil
		}
	}
}
