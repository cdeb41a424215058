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
	"hookline/internal/tenant"
)

// Which rules and mappings a replay uses.
const (
	ConfigCurrent  = "current"  // those of now
	ConfigOriginal = "original" // those that the call was decided with

	ConfigNone = "none" // a person took care of the call: nothing more is written, until it is replayed
)

// Replay sends a call through again. What already stands in Zoho is kept and not repeated: the call resumes at the
// step that failed, rendered afresh. A call of which nothing reached Zoho is matched and decided afresh. It goes in
// order of receipt, before later calls of the same caller that are still open. A call that could not be read has nothing
// to deliver: intake reads it again first. Ring the Bell after it returns.
func Replay(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID, config, actor string) error {
	if config != ConfigCurrent && config != ConfigOriginal {
		return fault.Field("config", "Choose “current” or “original”.")
	}
	return db.InTenant(ctx, t, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE calls
			   SET status = 'received', config = @config, cause = NULL, next_at = NULL, tries = 0, changed_at = clock_timestamp()
			 WHERE tenant_id = @tenant AND id = @call AND status IN ('delivered', 'ignored', 'needs_attention')`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID(), "config": config})
		if err != nil {
			return fmt.Errorf("replaying call %s: %w", id, err)
		}
		if tag.RowsAffected() == 0 {
			return notReplayed(ctx, tx, t, id)
		}
		if err := account.Audit(ctx, tx, t, actor, "call.replayed", id.String(), map[string]any{"config": config}); err != nil {
			return err
		}
		return Wake(ctx, tx, []tenant.ID{t})
	})
}

// notReplayed says why no row was found: a call that is on its way needs no replay.
func notReplayed(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) error {
	var status string
	err := tx.QueryRow(ctx, `SELECT status FROM calls WHERE tenant_id = @tenant AND id = @call`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()}).Scan(&status)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no such call.")
	}
	if err != nil {
		return fmt.Errorf("reading call %s: %w", id, err)
	}
	return fault.New(fault.Conflict, "This call is on its way already. Replay it once it has arrived or needs you.")
}

// Settle tells what a person found out about a record whose answer from Zoho was lost: its id there, or an empty id
// when Zoho has none and it may be sent again. The call goes on from there. Ring the Bell after it returns.
func Settle(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID, slot, zohoID, actor string) error {
	return db.InTenant(ctx, t, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE deliveries
			   SET state = CASE WHEN @zoho = '' THEN 'planned' ELSE 'done' END, zoho_id = @zoho, cause = NULL, looks = 0,
			       looked_at = NULL, done_at = CASE WHEN @zoho = '' THEN NULL ELSE clock_timestamp() END
			 WHERE tenant_id = @tenant AND call_id = @call AND slot = @slot AND revision = 0 AND state = 'unknown'
			   AND (@zoho = '' OR cause -> 'candidates' @> jsonb_build_array(jsonb_build_object('id', @zoho::text)))
			   AND EXISTS (SELECT FROM calls WHERE calls.tenant_id = deliveries.tenant_id AND calls.id = deliveries.call_id
			                  AND calls.status = 'needs_attention')`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID(), "slot": slot, "zoho": zohoID})
		if err != nil {
			return fmt.Errorf("settling %s of call %s: %w", slot, id, err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "There is nothing to settle here any more. Look at the call again.")
		}
		_, err = tx.Exec(ctx, `
			UPDATE calls
			   SET status = 'delivering', cause = NULL, next_at = NULL, tries = 0, changed_at = clock_timestamp()
			 WHERE tenant_id = @tenant AND id = @call`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()})
		if err != nil {
			return fmt.Errorf("settling call %s: %w", id, err)
		}
		if err := account.Audit(ctx, tx, t, actor, "call.settled", id.String(), map[string]any{"slot": slot, "zoho_id": zohoID}); err != nil {
			return err
		}
		return Wake(ctx, tx, []tenant.ID{t})
	})
}
