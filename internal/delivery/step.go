package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/fault/failpoint"
	"hookline/internal/identity"
)

// step is one move of a call that is committed as a whole: its status, what happened to its deliveries, the
// exchanges that led there, and what is remembered of the caller.
type step struct {
	status   string
	cause    *Cause
	wait     *time.Duration // the call is due again only then
	decision bool           // the decision is new
	remember bool           // the Lead that was just made is where this number leads
	tried    bool           // the call failed by itself once more
	well     bool           // Zoho took a record: the lane's count of faults ends
	done     bool           // all that this revision of the call asks for stands in Zoho
}

// save commits a step. A call is done only if its revision is still the one that was loaded: with news it stays open.
func (r *run) save(s step) (end, error) {
	r.mu.Lock()
	attempts := r.attempts
	r.attempts = nil
	r.mu.Unlock()
	credits, left := 0, -1
	for _, a := range attempts {
		credits += a.exchange.Credits
		if a.exchange.CreditsLeft >= 0 {
			left = a.exchange.CreditsLeft
		}
	}
	var changed []*delivery
	for _, d := range r.deliveries {
		if d.changed {
			changed = append(changed, d)
		}
	}
	status, now := s.status, false
	r.well = r.well || s.well
	err := r.w.record(r.l, r.set.org.ID, &write{credits: credits, left: left, do: func(ctx context.Context, tx pgx.Tx) error {
		var b pgx.Batch
		if s.decision {
			if err := writeDecision(&b, r.l.tenant, r.job.id, r.decided); err != nil {
				return err
			}
		}
		for _, d := range changed {
			if err := r.w.writeDelivery(&b, r.l.tenant, r.job.id, d); err != nil {
				return err
			}
		}
		if err := r.w.writeAttempts(&b, r.l.tenant, r.job.id, attempts); err != nil {
			return err
		}
		if !r.between(s) {
			if err := r.writeCall(&b, s, &status, &now); err != nil {
				return err
			}
		}
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("recording call %s: %w", r.job.id, err)
		}
		if err := r.writeMemory(ctx, tx, s); err != nil {
			return err
		}
		if s.well {
			return goesWell(ctx, tx, r.l)
		}
		return nil
	}})
	if err != nil {
		return end{job: r.job, again: -1, err: err}, err
	}
	failpoint.Hit("P15")
	r.stored = true
	r.job.status = status
	for _, d := range changed {
		d.changed = false
	}
	r.w.calls.Ring(r.l.tenant)
	e := end{job: r.job, again: -1}
	switch {
	case s.wait != nil && now, status == Delivering && s.status != Delivering:
		e.again = 0 // news
	case s.wait != nil:
		e.again = *s.wait
	}
	return e, nil
}

// between reports whether a step lies between two that write the call's row: only deliveries have changed, and the
// row says already that the call is being delivered.
func (r *run) between(s step) bool {
	return r.stored && r.job.status == Delivering && s.status == Delivering && !s.decision && !s.tried && s.cause == nil && s.wait == nil
}

// writeCall also tells the status that the call then has, and whether it may be run at once.
func (r *run) writeCall(b *pgx.Batch, s step, status *string, now *bool) error {
	c := r.job.call
	cause, err := writeCause(s.cause)
	if err != nil {
		return err
	}
	var folded []byte
	if !r.stored {
		if folded, err = call.MarshalCall(c); err != nil {
			return fmt.Errorf("writing call %s as JSON: %w", r.job.id, err)
		}
	}
	if words := wordsOf(r.displayName()); folded != nil && len(words) > 0 {
		b.Queue(`
			INSERT INTO call_words (tenant_id, word, received_at, call_id)
			SELECT @tenant, word, @received, @call FROM unnest(@words::text[]) AS word
			ON CONFLICT DO NOTHING`,
			pgx.StrictNamedArgs{"tenant": r.l.tenant.UUID(), "received": r.job.received, "call": r.job.id.UUID(), "words": words})
	}
	ids := []string{}
	for _, d := range r.deliveries {
		if d.state == Done && d.revision == 0 && d.zohoID != "" {
			ids = append(ids, d.zohoID)
		}
	}
	var began *time.Time
	if !c.StartedAt.IsZero() {
		began = &c.StartedAt
	}
	b.Queue(`
		UPDATE calls
		   SET revision = @revision,
		       done_revision = CASE WHEN @done THEN @revision ELSE done_revision END,
		       -- News that came since the events were loaded: its note is taken already, so it must not be lost here.
		       status = CASE WHEN (@done OR @status = 'needs_attention') AND @noted < noted THEN 'delivering' ELSE @status END,
		       next_at = CASE WHEN status = 'received' AND tries = 0 AND NOT @tried AND @noted < noted THEN NULL
		                      ELSE now() + @wait::interval END,
		       cause = @cause, caller_key = @key,
		       tries = CASE WHEN @well THEN 0 ELSE tries END + CASE WHEN @tried THEN 1 ELSE 0 END,
		       config = CASE WHEN @done AND config <> 'none' THEN 'current' ELSE config END,
		       call = COALESCE(@call::jsonb, call), name = @name, number = @number,
		       direction = @direction, intent = @intent, seconds = @seconds, outcome = @outcome, rule = @rule, zoho_ids = @ids,
		       is_test = @test, started_at = @began,
		       delivered_at = CASE WHEN @status = 'delivered' THEN COALESCE(delivered_at, clock_timestamp()) ELSE delivered_at END,
		       changed_at = clock_timestamp()
		 WHERE tenant_id = @tenant AND id = @id
		RETURNING status, next_at IS NULL`,
		pgx.StrictNamedArgs{
			"tenant": r.l.tenant.UUID(), "id": r.job.id.UUID(), "revision": len(r.job.events), "noted": r.job.noted, "done": s.done,
			"status": s.status, "cause": cause, "key": string(callerKey(c)), "wait": s.wait, "tried": s.tried, "well": r.well || s.done, "call": folded,
			"name": r.displayName(), "outcome": r.outcome(), "rule": r.decided.decision.Name, "ids": ids,
			"test": c.Test, "began": began, "number": string(c.Customer()), "direction": string(c.Direction), "intent": c.Intent,
			"seconds": int(c.Duration / time.Second),
		}).QueryRow(func(row pgx.Row) error { return row.Scan(status, now) })
	return nil
}

// writeMemory keeps where the caller's number leads, or forgets where it no longer does.
func (r *run) writeMemory(ctx context.Context, tx pgx.Tx, s step) error {
	number := callerKey(r.job.call)
	if number == "" {
		return nil
	}
	if s.remember {
		lead := r.find("lead", 0)
		return identity.Remember(ctx, tx, r.l.tenant, r.set.org.ID, number,
			identity.Remembered{Module: lead.draft.Module, ID: lead.zohoID, Name: r.displayName()})
	}
	if !s.decision {
		return nil
	}
	leads, ok := r.decided.facts.Match.ToRemember()
	had := r.remembered
	switch {
	case !ok && had == nil:
		return nil
	case !ok:
		return identity.Forget(ctx, tx, r.l.tenant, r.set.org.ID, number)
	case had != nil && had.Module == leads.Module && had.ID == leads.ID && had.AccountID == leads.AccountID && had.Age < time.Hour:
		return nil
	}
	return identity.Remember(ctx, tx, r.l.tenant, r.set.org.ID, number, leads)
}
