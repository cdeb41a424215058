package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault/failpoint"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

const (
	trustFor      = time.Second      // how long a token is used without looking at its row again
	refreshLease  = 20 * time.Second // longer than a refresh may take, so that a dead holder is followed soon
	refreshLimit  = 10 * time.Second // how long Zoho is waited for
	successEvery  = 30 * time.Second // how often the last success is written down
	maxRefreshGap = 2 * time.Minute  // between tries while Zoho Accounts is away
	leastRest     = time.Second      // after Zoho asked to slow down without saying for how long
)

// held is what this process knows of one tenant's access.
type held struct {
	turn chan struct{} // one caller at a time looks at the row
	own  chan struct{} // one request of ours (probe, metadata) at a time

	// under Connections.mu
	access    zoho.Access
	looked    time.Time
	succeeded time.Time
	notBefore time.Time // Zoho asked to slow down: no request of this process before
}

func (c *Connections) heldOf(t tenant.ID) *held {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[t]
	if h == nil {
		h = &held{turn: make(chan struct{}, 1), own: make(chan struct{}, 1)}
		c.held[t] = h
	}
	return h
}

// keepAccess keeps what the row said; the zero Access makes the next request look again.
func (c *Connections) keepAccess(t tenant.ID, access zoho.Access) {
	h := c.heldOf(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.access, h.looked = access, time.Now()
}

// keptAccess is what the row said a moment ago; ok is false when it must be looked at.
func (c *Connections) keptAccess(h *held, stale seal.Secret) (access zoho.Access, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return h.access, h.access.Token != "" && h.access.Token != stale && time.Since(h.looked) < trustFor
}

// API is Zoho's API for one tenant. Tokens come and go by themselves; every exchange is reported to observe, and
// counting its credits is observe's business. Without a usable link every method answers a *zoho.Error: class
// Token when a person must connect, Limited or Transient when waiting helps.
func (c *Connections) API(t tenant.ID, observe func(zoho.Exchange)) *zoho.API {
	api := c.client.For(func(ctx context.Context, stale seal.Secret) (zoho.Access, error) {
		return c.access(ctx, t, stale)
	}, observe)
	return api.Observing(func(e zoho.Exchange) { c.watch(t, e) })
}

// watch draws from an exchange what it says of the link.
func (c *Connections) watch(t tenant.ID, e zoho.Exchange) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if e.Repeated && e.Err != nil && e.Err.Class == zoho.Token {
		// A token that Zoho gave a moment ago is refused: it belongs elsewhere, and asking on only uses up the ten
		// tokens in ten minutes.
		if err := c.lose(ctx, t, -1, "Zoho refuses the access that it has just given. Connect again."); err != nil {
			c.log.ErrorContext(ctx, "a lost link could not be recorded", "tenant", t.String(), "err", err)
		}
		return
	}
	h := c.heldOf(t)
	if e.Err != nil && e.Err.Class == zoho.Limited {
		c.mu.Lock()
		h.notBefore = time.Now().Add(max(e.Err.RetryAfter, leastRest))
		c.mu.Unlock()
	}
	if e.Err != nil || e.Status == 0 {
		return
	}
	c.mu.Lock()
	due := time.Since(h.succeeded) > successEvery
	if due {
		h.succeeded = time.Now()
	}
	c.mu.Unlock()
	if !due {
		return
	}
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE connections SET last_success_at = now() WHERE tenant_id = @tenant`,
			pgx.StrictNamedArgs{"tenant": t.UUID()})
		return err
	})
	if err != nil {
		c.log.WarnContext(ctx, "a link's last success was not written down", "tenant", t.String(), "err", err)
	}
}

// access gives a live token. Callers of one process take turns at looking; over all processes one refreshes and
// the others wait for what it stores.
func (c *Connections) access(ctx context.Context, t tenant.ID, stale seal.Secret) (zoho.Access, error) {
	h := c.heldOf(t)
	if err := c.resting(h); err != nil {
		return zoho.Access{}, err
	}
	if access, ok := c.keptAccess(h, stale); ok {
		return access, nil
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return zoho.Access{}, notAsked(ctx.Err())
	}
	if access, ok := c.keptAccess(h, stale); ok {
		return access, nil // whoever was before us has looked
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		row, err := c.readToken(ctx, t)
		if err != nil {
			return zoho.Access{}, notAsked(err)
		}
		if row.status != Connected {
			c.keepAccess(t, zoho.Access{})
			return zoho.Access{}, &zoho.Error{Class: zoho.Token, Code: "NOT_CONNECTED", Message: row.reason}
		}
		usable := row.live && row.access != stale
		if row.due || !usable {
			switch {
			case row.pause > 0 && !usable:
				return zoho.Access{}, paused(row)
			case row.pause > 0, row.busy && usable: // early: the old one still does
			case row.busy:
			default:
				tried, err := c.refresh(ctx, t, row)
				if err != nil && !usable {
					return zoho.Access{}, err
				}
				if tried && err == nil {
					continue // read what was stored, by whomever
				}
			}
		}
		if usable {
			access := zoho.Access{APIDomain: row.centre.API, Token: row.access}
			c.keepAccess(t, access)
			return access, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return zoho.Access{}, notAsked(ctx.Err())
		}
	}
}

// resting is the error of a request that comes before Zoho takes one again; nil when there is no such time.
func (c *Connections) resting(h *held) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(h.notBefore); wait > 0 {
		return &zoho.Error{Class: zoho.Limited, Code: "NOT_YET", Message: "Zoho asked to slow down: nothing was sent", RetryAfter: wait}
	}
	return nil
}

// notAsked is an error of our own in the words of Zoho's: nothing was sent.
func notAsked(err error) error {
	return fmt.Errorf("getting access to Zoho: %w", errors.Join(&zoho.Error{Class: zoho.Transient, Message: "nothing was sent"}, err))
}

// paused says how long Zoho Accounts is left in peace.
func paused(row tokenRow) error {
	if row.failures > 0 {
		return &zoho.Error{Class: zoho.Transient, Code: "ACCOUNTS_AWAY", Message: "Zoho Accounts cannot be reached", RetryAfter: row.pause}
	}
	return &zoho.Error{Class: zoho.Limited, Code: "ACCESS_DENIED", Message: "Zoho Accounts was asked too often", RetryAfter: row.pause}
}

// tokenRow is what the row says of the token, judged by the database's clock.
type tokenRow struct {
	status   Status
	reason   string
	centre   zoho.Centre
	access   seal.Secret
	fence    int64
	live     bool          // not expired
	due      bool          // in its last five minutes
	busy     bool          // somebody refreshes
	pause    time.Duration // nobody may
	failures int
}

func (c *Connections) readToken(ctx context.Context, t tenant.ID) (tokenRow, error) {
	var row tokenRow
	var sealed []byte
	var centre, status string
	var pause float64
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT status, reason, data_centre, access_sealed, refresh_fence, refresh_failures,
			       COALESCE(access_expires_at > now() + interval '10 seconds', false),
			       COALESCE(access_expires_at <= now() + interval '5 minutes', true),
			       COALESCE(refresh_until > now(), false),
			       COALESCE(GREATEST(EXTRACT(EPOCH FROM refresh_after - now()), 0), 0)::float8
			  FROM connections
			 WHERE tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": t.UUID()}).
			Scan(&status, &row.reason, &centre, &sealed, &row.fence, &row.failures, &row.live, &row.due, &row.busy, &pause)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return tokenRow{status: NotConnected, reason: "Zoho is not connected."}, nil
	}
	if err != nil {
		return row, fmt.Errorf("reading the token of %s: %w", t, err)
	}
	row.status, row.pause = Status(status), time.Duration(pause*float64(time.Second))
	row.centre, _ = c.client.Centres().ByLocation(centre)
	if sealed == nil {
		row.live = false
		return row, nil
	}
	if row.access, err = c.open(t, accessColumn, sealed); err != nil {
		return row, fmt.Errorf("opening the token of %s: %w", t, err)
	}
	return row, nil
}

// refresh gets another token, if nobody else does. It reports whether it was the one. The lease is committed
// before Zoho is asked and the answer is stored only if the fence still stands.
func (c *Connections) refresh(ctx context.Context, t tenant.ID, row tokenRow) (bool, error) {
	var sealed []byte
	var fence int64
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			UPDATE connections
			   SET refresh_until = now() + make_interval(secs => @lease::float8), refresh_fence = refresh_fence + 1
			 WHERE tenant_id = @tenant AND status = 'connected' AND refresh_fence = @fence
			   AND (refresh_until IS NULL OR refresh_until <= now())
			   AND (refresh_after IS NULL OR refresh_after <= now())
			RETURNING refresh_fence, refresh_sealed`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "fence": row.fence, "lease": refreshLease.Seconds()}).Scan(&fence, &sealed)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, notAsked(err)
	}
	// What has begun is brought to its end: an answer that is not stored would cost one of the ten tokens.
	ctx = context.WithoutCancel(ctx)
	refreshToken, err := c.open(t, refreshColumn, sealed)
	if err != nil {
		return true, notAsked(err)
	}
	asking, cancel := context.WithTimeout(ctx, refreshLimit)
	grant, err := c.client.Refresh(asking, row.centre, c.oauth, refreshToken, nil)
	cancel()
	failpoint.Hit("P8")

	ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err != nil {
		return true, c.notRefreshed(ctx, t, fence, err)
	}
	if grant.APIDomain != "" && grant.APIDomain != row.centre.API {
		return true, c.distrust(ctx, t, fence, grant.APIDomain)
	}
	access := c.seal(t, accessColumn, grant.Access.Reveal())
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE connections
			   SET access_sealed = @access, access_expires_at = now() + make_interval(secs => @seconds::float8),
			       refresh_until = NULL, refresh_after = NULL, refresh_failures = 0, last_success_at = now()
			 WHERE tenant_id = @tenant AND refresh_fence = @fence AND status = 'connected'`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "fence": fence, "access": access, "seconds": grant.ExpiresIn.Seconds()})
		return err
	})
	if err != nil {
		return true, notAsked(err)
	}
	return true, nil
}

// notRefreshed records why there is no new token and gives the error for whoever asked.
func (c *Connections) notRefreshed(ctx context.Context, t tenant.ID, fence int64, cause error) error {
	e, ok := errors.AsType[*zoho.Error](cause)
	if !ok {
		return notAsked(cause)
	}
	if e.Class == zoho.Token {
		if err := c.lose(ctx, t, fence, "Zoho no longer accepts Hookline's access: it was withdrawn, or the password of the person who connected was reset."); err != nil {
			return notAsked(err)
		}
		return cause
	}
	const throttled, away = 0, 1
	failures := away
	pause := e.RetryAfter
	switch e.Class {
	case zoho.Limited: // not a lost link: Zoho blocks for what is left of ten minutes
		failures = throttled
		pause = max(pause, time.Minute)
	case zoho.Operator:
		c.log.ErrorContext(ctx, "zoho refuses this program's client", "tenant", t.String(), "err", cause)
		pause = 5 * time.Minute
	}
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE connections
			   SET refresh_until = NULL,
			       refresh_failures = CASE WHEN @failures::int = 0 THEN 0 ELSE refresh_failures + 1 END,
			       refresh_after = now() + CASE WHEN @pause::float8 > 0 THEN make_interval(secs => @pause::float8)
			            ELSE make_interval(secs => LEAST(@most::float8, 2 * power(2, LEAST(refresh_failures, 10)))) END
			 WHERE tenant_id = @tenant AND refresh_fence = @fence`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "fence": fence, "failures": failures, "pause": pause.Seconds(), "most": maxRefreshGap.Seconds()})
		return err
	})
	if err != nil {
		return notAsked(err)
	}
	return cause
}

// lose marks a link as needing a person. The fence is that of the refresh that found out, or -1 for none.
func (c *Connections) lose(ctx context.Context, t tenant.ID, fence int64, reason string) error {
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE connections
			   SET status = 'needs_reconnect', reason = @reason, access_sealed = NULL, access_expires_at = NULL,
			       refresh_fence = refresh_fence + 1, refresh_until = NULL, refresh_after = NULL, refresh_failures = 0
			 WHERE tenant_id = @tenant AND status = 'connected' AND (@fence::bigint = -1 OR refresh_fence = @fence::bigint)`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "fence": fence, "reason": reason})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := account.Audit(ctx, tx, t, "hookline", "zoho.lost", "", map[string]any{"reason": reason}); err != nil {
			return err
		}
		return c.lost(ctx, tx, t, reason)
	})
	if err != nil {
		return fmt.Errorf("marking the link of %s as lost: %w", t, err)
	}
	return nil
}

// distrust closes a link whose token answer names a foreign host.
func (c *Connections) distrust(ctx context.Context, t tenant.ID, fence int64, claimed string) error {
	const reason = "Zoho's answer named a host that is not the data centre's, so Hookline stopped using the connection. Connect again."
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE connections
			   SET status = 'failed', reason = @reason, refresh_sealed = NULL, access_sealed = NULL, access_expires_at = NULL,
			       refresh_fence = refresh_fence + 1, refresh_until = NULL, refresh_after = NULL, refresh_failures = 0
			 WHERE tenant_id = @tenant AND refresh_fence = @fence`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "fence": fence, "reason": reason})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := account.Audit(ctx, tx, t, "hookline", "zoho.answer_refused", "", map[string]any{"api_domain": clip(claimed)}); err != nil {
			return err
		}
		return c.lost(ctx, tx, t, reason)
	})
	if err != nil {
		return notAsked(err)
	}
	return &zoho.Error{Class: zoho.Token, Code: "FOREIGN_HOST", Message: reason}
}
