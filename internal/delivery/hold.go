package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/connection"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Reasons why a lane is held up. No call is to blame: while one stands, the lane's open calls read as held.
const (
	HoldUnconnected = "unconnected" // Zoho was never connected, or a person disconnected it
	HoldReconnect   = "reconnect"   // Zoho no longer takes our access: a person must connect again
	HoldLimit       = "limit"       // Zoho asks to slow down, or the day's credits are spent
	HoldOutage      = "outage"      // Zoho does not answer
	HoldOperator    = "operator"    // this installation's Zoho client is set up wrongly
)

// hold keeps a lane from going on.
type hold struct {
	reason string
	detail string        // in words
	after  time.Duration // as Zoho asked; 0: as long as the lane's faults in a row suggest
	chosen time.Duration // how long it was made
	first  bool          // nothing failed before it since something went well
}

// quiet is how long a rest may be without being called a hold: a busy moment of Zoho's is no news.
const quiet = 15 * time.Second

// rests are how long a lane waits after its n-th fault in a row.
var rests = map[string][]time.Duration{
	HoldLimit:  {time.Second, 2 * time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
	HoldOutage: {time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute},
}

// needsPerson is how often a lane looks whether a person has done what only a person can; it is woken when they have.
const needsPerson = 30 * time.Second

func (h *hold) choose(faults int) {
	steps, ok := rests[h.reason]
	if !ok {
		h.chosen = max(needsPerson, h.after)
		return
	}
	h.chosen = steps[min(faults, len(steps))-1]
	if h.after > h.chosen {
		h.chosen = h.after
	}
	// Spread out, never earlier than Zoho asked: lanes that failed together shall not come back together.
	h.chosen += time.Duration(rand.Int64N(int64(min(h.chosen/4, time.Minute)) + 1))
}

// holdFor is the hold that an error of Zoho's asks for.
func holdFor(e *zoho.Error) *hold {
	switch e.Class {
	case zoho.Token, zoho.Scope:
		detail := "Zoho no longer accepts Hookline's access. Connect again: calls are kept and follow in order."
		if e.Class == zoho.Scope { // asking again would tell the same until a person acts
			return &hold{reason: HoldReconnect, after: 15 * time.Minute,
				detail: "Zoho says that a right is missing in the consent. Connect again and accept all rights."}
		} else if e.Code == "NOT_CONNECTED" && e.Message != "" {
			detail = e.Message
		}
		return &hold{reason: HoldReconnect, detail: detail}
	case zoho.Limited:
		return &hold{reason: HoldLimit, after: e.RetryAfter,
			detail: "Zoho's API limit is reached. Calls are kept and follow in order as soon as Zoho takes requests again."}
	case zoho.Permission, zoho.Unsupported, zoho.Gone:
		return &hold{reason: HoldReconnect, after: 15 * time.Minute,
			detail: "The Zoho user who connected Hookline may not do there what is needed. Give the right in Zoho, or connect as another user."}
	case zoho.Operator:
		return &hold{reason: HoldOperator, detail: "This Hookline's own Zoho client is refused. Its operator has been told; calls are kept."}
	}
	return &hold{reason: HoldOutage, after: e.RetryAfter, detail: "Zoho does not answer. Calls are kept and follow in order."}
}

// holdForLink is the hold of a link that cannot be used, nil when it can.
func holdForLink(c connection.Connection) *hold {
	switch c.Status {
	case connection.Connected:
		return nil
	case connection.NotConnected, connection.Disconnected:
		return &hold{reason: HoldUnconnected, detail: "Zoho is not connected. Calls are kept and follow once it is.", chosen: needsPerson}
	}
	detail := c.Reason
	if detail == "" {
		detail = "Zoho no longer accepts Hookline's access. Connect again: calls are kept and follow in order."
	}
	return &hold{reason: HoldReconnect, detail: detail, chosen: needsPerson}
}

// holdLane writes down that the lane rests, counts the fault and chooses how long. Requests that fail together are
// one fault: the lane's first hold stands.
func (w *Worker) holdLane(l *lane, h *hold) (*hold, error) {
	l.holding.Lock()
	defer l.holding.Unlock()
	if held := l.hold(); held != nil {
		return held, nil
	}
	ctx, cancel := recording(l)
	defer cancel()
	if err := fenced(ctx, w.DB, l, func(tx pgx.Tx) error { return writeHold(ctx, tx, l.tenant, h) }); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.held, l.troubled = h, true
	l.mu.Unlock()
	w.calls.Ring(l.tenant)
	w.Log.Info("lane held", "tenant", l.tenant.String(), "kind", h.reason, "for", h.chosen.String())
	return h, nil
}

func (l *lane) hold() *hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

func (l *lane) isTroubled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.troubled
}

// goesWell ends the count of faults, in the transaction that records a success. What was begun before an outage may
// still succeed: the rest is then taken all the same, but the next call that fails is known to fail by itself.
func goesWell(ctx context.Context, tx pgx.Tx, l *lane) error {
	l.mu.Lock()
	troubled, held := l.troubled, l.held
	l.troubled = false
	l.mu.Unlock()
	if !troubled || held != nil && held.reason != HoldOutage {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE lanes
		   SET faults = 0,
		       hold = CASE WHEN @rests THEN hold ELSE '' END, hold_detail = CASE WHEN @rests THEN hold_detail ELSE '' END,
		       hold_since = CASE WHEN @rests THEN hold_since END, hold_until = CASE WHEN @rests THEN hold_until END
		 WHERE tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "rests": held != nil})
	if err != nil {
		return fmt.Errorf("ending the hold of %s: %w", l.tenant, err)
	}
	return nil
}

func writeHold(ctx context.Context, tx pgx.Tx, t tenant.ID, h *hold) error {
	var faults int
	err := tx.QueryRow(ctx, `
		UPDATE lanes SET faults = faults + 1 WHERE tenant_id = @tenant RETURNING faults`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&faults)
	if err != nil {
		return fmt.Errorf("counting a fault of the lane of %s: %w", t, err)
	}
	h.first = faults == 1
	h.choose(faults)
	reason, detail := h.reason, h.detail
	if _, short := rests[reason]; short && h.chosen < quiet {
		reason, detail = "", ""
	}
	_, err = tx.Exec(ctx, `
		UPDATE lanes
		   SET hold = @reason, hold_detail = @detail, hold_until = now() + @rest::interval,
		       hold_since = CASE WHEN @reason = '' THEN NULL WHEN hold = '' THEN now() ELSE hold_since END
		 WHERE tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "reason": reason, "detail": detail, "rest": h.chosen})
	if err != nil {
		return fmt.Errorf("holding the lane of %s: %w", t, err)
	}
	return nil
}

// Resume ends a hold, in the transaction that did what it waited for, such as a new consent. Ring the Bell after the
// commit.
func Resume(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	_, err := tx.Exec(ctx, `
		UPDATE lanes
		   SET hold = '', hold_detail = '', hold_since = NULL, hold_until = NULL, faults = 0
		 WHERE tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": t.UUID()})
	if err != nil {
		return fmt.Errorf("resuming the lane of %s: %w", t, err)
	}
	return Wake(ctx, tx, []tenant.ID{t})
}

// Lane is how a tenant's lane stands.
type Lane struct {
	Hold   string // empty: nothing holds it up
	Detail string // in words
	Since  time.Time
	Until  time.Time // when it tries again by itself
}

// LaneOf reads how a tenant's lane stands.
func LaneOf(ctx context.Context, db *postgres.DB, t tenant.ID) (Lane, error) {
	var l Lane
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var err error
		l, err = readLane(ctx, tx, t)
		return err
	})
	return l, err
}

func readLane(ctx context.Context, tx pgx.Tx, t tenant.ID) (Lane, error) {
	rows, _ := tx.Query(ctx, `
		SELECT hold, hold_detail, hold_since, hold_until FROM lanes WHERE tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	lanes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Lane, error) {
		var l Lane
		var since, until *time.Time
		err := row.Scan(&l.Hold, &l.Detail, &since, &until)
		l.Since, l.Until = timeOf(since), timeOf(until)
		return l, err
	})
	if err != nil {
		return Lane{}, fmt.Errorf("reading the lane of %s: %w", t, err)
	}
	if len(lanes) == 0 {
		return Lane{}, nil
	}
	return lanes[0], nil
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// recording is the context in which what has already happened is written down, even when the lane's own has ended.
func recording(l *lane) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(l.ctx), 5*time.Second)
}
