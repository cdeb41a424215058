package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// OutcomePutAway is the outcome of a call that a person took care of.
const OutcomePutAway = "Taken care of by a person"

// PutAway says that a person took care of a call that needs one: what stands in Zoho stays, the rest is not written. It
// can be replayed like any other. A call of which a record may or may not be in Zoho has to be settled first.
func PutAway(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID, actor string) error {
	return db.InTenant(ctx, t, func(tx pgx.Tx) error {
		args := pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()}
		// A call that was never decided on, because it could not be read, is decided when readable news of it comes.
		tag, err := tx.Exec(ctx, `
			UPDATE calls
			   SET status = 'ignored', cause = NULL, next_at = NULL, tries = 0, outcome = @outcome, changed_at = clock_timestamp(),
			       config = CASE WHEN EXISTS (SELECT FROM decisions WHERE tenant_id = @tenant AND call_id = @call) THEN 'none' ELSE config END
			 WHERE tenant_id = @tenant AND id = @call AND status = 'needs_attention'
			   AND NOT EXISTS (SELECT FROM deliveries WHERE tenant_id = @tenant AND call_id = @call AND state IN ('sending', 'unknown'))`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID(), "outcome": OutcomePutAway})
		if err != nil {
			return fmt.Errorf("putting call %s away: %w", id, err)
		}
		if tag.RowsAffected() == 0 {
			return notPutAway(ctx, tx, t, id)
		}
		_, err = tx.Exec(ctx, `
			UPDATE deliveries SET state = 'skipped', cause = NULL
			 WHERE tenant_id = @tenant AND call_id = @call AND state IN ('planned', 'refused')`, args)
		if err != nil {
			return fmt.Errorf("putting call %s away: %w", id, err)
		}
		return account.Audit(ctx, tx, t, actor, "call.put_away", id.String(), nil)
	})
}

// notPutAway says why no row was found.
func notPutAway(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) error {
	rows, _ := tx.Query(ctx, `SELECT status FROM calls WHERE tenant_id = @tenant AND id = @call`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()})
	status, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.New(fault.NotFound, "There is no such call.")
	case err != nil:
		return fmt.Errorf("reading call %s: %w", id, err)
	case status == NeedsAttention:
		return fault.New(fault.Conflict, "Of this call a record may or may not be in Zoho. Say first which, then put it away.")
	}
	return fault.New(fault.Conflict, "This call does not need anybody just now. Look at it again.")
}

// putAway is a decision of which nothing more is written.
func putAway(d routing.Decision) routing.Decision {
	d.Actions, d.Handed, d.Outcome = nil, "", OutcomePutAway
	return d
}

// handedOver is the cause of a call that a rule hands to a person.
func handedOver(d routing.Decision) *Cause {
	return &Cause{Code: CauseHandOver, Sentence: d.Handed}
}
