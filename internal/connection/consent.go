package connection

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Callback is what Zoho's redirect brought back through the person's browser. None of it is trusted.
type Callback struct {
	State          string
	Code           string
	Location       string
	AccountsServer string
	Error          string
}

// Result says how a consent ended.
type Result string

const (
	Linked    Result = "connected" // the link stands
	OtherOrg  Result = "other_org" // it was given for another organisation than before: ConfirmOther decides
	Cancelled Result = "cancelled" // the person, or Zoho, said no: nothing was saved
	Unlinked  Result = "failed"    // Zoho's answer could not be used: nothing was saved
)

// Outcome is how a consent ended, with the reason in words where it is not Linked.
type Outcome struct {
	Result     Result
	Reason     string
	AddsMarker bool // Linked, and asked for by BeginMarker
}

// Begin starts a consent and gives the URL at Zoho that the person's browser goes to. The way back is bound to
// this session, tenant and person, works once and for ten minutes.
func (c *Connections) Begin(ctx context.Context, t tenant.ID, who Actor, session []byte) (string, error) {
	return c.begin(ctx, t, who, session, false)
}

// BeginMarker is Begin with the one more right that AddMarkers needs.
func (c *Connections) BeginMarker(ctx context.Context, t tenant.ID, who Actor, session []byte) (string, error) {
	return c.begin(ctx, t, who, session, true)
}

func (c *Connections) begin(ctx context.Context, t tenant.ID, who Actor, session []byte, marker bool) (string, error) {
	if c.oauth.ID == "" {
		return "", fault.New(fault.Invalid, "This installation has no Zoho client yet. Whoever runs it must set ZOHO_CLIENT_ID and ZOHO_CLIENT_SECRET.")
	}
	raw := make([]byte, 32)
	rand.Read(raw) // never fails: the runtime ends the program instead
	state := base64.RawURLEncoding.EncodeToString(raw)
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			DELETE FROM consents
			 WHERE tenant_id = @tenant AND created_at < now() - interval '1 day'`,
			pgx.StrictNamedArgs{"tenant": t.UUID()}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO consents (tenant_id, state_hash, session_hash, person_id, adds_marker)
			VALUES (@tenant, @state, @session, @person, @marker)`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "state": hashOf(state), "session": session, "person": who.Person, "marker": marker})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("beginning a consent of %s: %w", t, err)
	}
	return zoho.ConsentURL(c.client.Centres().Start(), c.oauth.ID, c.redirect, state, asked(marker)), nil
}

// asked are the scopes that a consent asks for.
func asked(marker bool) []string {
	if marker {
		return append(Scopes(), markerScope)
	}
	return Scopes()
}

// Finish takes what came back. A callback that is not ours to take, or that names hosts which are not one row of
// the table, is refused with a fault and an entry in the audit log, and nothing is dialled. The same callback
// twice at once, as by a double click, gives both the same Outcome.
func (c *Connections) Finish(ctx context.Context, t tenant.ID, who Actor, session []byte, back Callback) (Outcome, error) {
	state := hashOf(back.State)
	marker, err := c.take(ctx, t, who, session, state, back)
	if err != nil {
		if errors.Is(err, errTwice) {
			return c.await(ctx, t, state)
		}
		return Outcome{}, err
	}
	// From here on the state is used up, so what comes of it is recorded even when the browser leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 60*time.Second)
	defer cancel()
	if back.Error != "" {
		o := Outcome{Result: Cancelled, Reason: cancelReason(back.Error)}
		return o, c.settle(ctx, t, state, o, nil)
	}
	centre, ok := c.client.Centres().ByLocation(back.Location)
	if !ok || back.AccountsServer != centre.Accounts {
		o := Outcome{Result: Unlinked, Reason: "The answer did not come from one of Zoho's data centres."}
		if err := c.settle(ctx, t, state, o, nil); err != nil {
			return o, err
		}
		return o, c.refuse(ctx, t, who, "This answer did not come from one of Zoho's data centres, so Hookline did not use it. Nothing was saved. Start again from the Zoho page.",
			map[string]any{"location": clip(back.Location), "accounts_server": clip(back.AccountsServer)})
	}
	o, err := c.complete(ctx, t, who, state, centre, seal.Secret(back.Code), asked(marker))
	o.AddsMarker = marker && o.Result == Linked
	return o, err
}

var errTwice = errors.New("this callback is being handled already")

// take uses up a state, or says why it cannot be used. It reports whether the consent was begun to add the marker.
func (c *Connections) take(ctx context.Context, t tenant.ID, who Actor, session, state []byte, back Callback) (marker bool, err error) {
	const fresh, twice, used, old, foreign = "fresh", "twice", "used", "old", "foreign"
	verdict := foreign
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		args := pgx.StrictNamedArgs{"tenant": t.UUID(), "state": state, "session": session, "person": who.Person, "code": hashOf(back.Code)}
		err := tx.QueryRow(ctx, `
			UPDATE consents SET used_at = now(), code_hash = @code
			 WHERE tenant_id = @tenant AND state_hash = @state AND session_hash = @session AND person_id = @person
			   AND used_at IS NULL AND created_at > now() - interval '10 minutes'
			RETURNING adds_marker`, args).Scan(&marker)
		if err == nil {
			verdict = fresh
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		err = tx.QueryRow(ctx, `
			SELECT CASE WHEN used_at IS NULL THEN 'old'
			            WHEN code_hash = @code AND used_at > now() - interval '1 minute' THEN 'twice'
			            ELSE 'used' END
			  FROM consents
			 WHERE tenant_id = @tenant AND state_hash = @state AND session_hash = @session AND person_id = @person`, args).
			Scan(&verdict)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("taking a consent of %s: %w", t, err)
	}
	switch verdict {
	case fresh:
		return marker, nil
	case twice:
		return false, errTwice
	case used:
		return false, c.refuse(ctx, t, who, "This answer from Zoho was used before. Nothing was changed. To connect again, start from the Zoho page.", map[string]any{"state": used})
	case old:
		return false, c.refuse(ctx, t, who, "Connecting took longer than ten minutes, so this answer no longer counts. Nothing was saved. Start again from the Zoho page.", map[string]any{"state": old})
	}
	return false, c.refuse(ctx, t, who, "This answer from Zoho belongs to another browser, workspace or person, so Hookline did not use it. Nothing was saved. If you began it, start again from the Zoho page.", map[string]any{"state": foreign})
}

// refuse records that a callback was refused and gives the fault to answer with.
func (c *Connections) refuse(ctx context.Context, t tenant.ID, who Actor, sentence string, detail map[string]any) error {
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return account.Audit(ctx, tx, t, who.Name, "zoho.callback_refused", "", detail)
	})
	if err != nil {
		return fmt.Errorf("recording a refused callback of %s: %w", t, err)
	}
	return fault.New(fault.Invalid, sentence)
}

// settle records how a consent ended, for whoever asks a second time.
func (c *Connections) settle(ctx context.Context, t tenant.ID, state []byte, o Outcome, also func(tx pgx.Tx) error) error {
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return record(ctx, tx, t, state, o)
	})
	if err != nil {
		return fmt.Errorf("settling a consent of %s: %w", t, err)
	}
	return nil
}

func record(ctx context.Context, tx pgx.Tx, t tenant.ID, state []byte, o Outcome) error {
	if state == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE consents SET outcome = @outcome, reason = @reason
		 WHERE tenant_id = @tenant AND state_hash = @state`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "state": state, "outcome": string(o.Result), "reason": o.Reason})
	return err
}

// LastOutcome tells how the newest consent of this session ended, within the last ten minutes; ok is false when
// there was none.
func (c *Connections) LastOutcome(ctx context.Context, t tenant.ID, who Actor, session []byte) (o Outcome, ok bool, err error) {
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT outcome, reason
			  FROM consents
			 WHERE tenant_id = @tenant AND session_hash = @session AND person_id = @person
			   AND used_at > now() - interval '10 minutes'
			 ORDER BY used_at DESC
			 LIMIT 1`, pgx.StrictNamedArgs{"tenant": t.UUID(), "session": session, "person": who.Person}).
			Scan(&o.Result, &o.Reason)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Outcome{}, false, nil
	}
	if err != nil {
		return Outcome{}, false, fmt.Errorf("reading the last consent of %s: %w", t, err)
	}
	return o, o.Result != "", nil
}

// await gives the second of two equal callbacks what came of the first.
func (c *Connections) await(ctx context.Context, t tenant.ID, state []byte) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	for {
		var o Outcome
		err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				SELECT outcome, reason FROM consents WHERE tenant_id = @tenant AND state_hash = @state`,
				pgx.StrictNamedArgs{"tenant": t.UUID(), "state": state}).Scan(&o.Result, &o.Reason)
		})
		if err != nil && ctx.Err() == nil {
			return Outcome{}, fmt.Errorf("awaiting a consent of %s: %w", t, err)
		}
		if o.Result != "" {
			return o, nil
		}
		select {
		case <-ctx.Done():
			return Outcome{Result: Unlinked, Reason: "Connecting did not come to an end. Look at the Zoho page and start again if it is not connected."}, nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// consented is a consent whose answer has been checked: what will be saved.
type consented struct {
	Centre  string
	Refresh string
	Access  string
	Seconds int
	Scopes  []string
	Org     zoho.Org
	User    string
}

// complete turns a grant code into a link. The state is nil for programs, which have none. The scopes are those that were
// asked for.
func (c *Connections) complete(ctx context.Context, t tenant.ID, who Actor, state []byte, centre zoho.Centre, code seal.Secret, scopes []string) (Outcome, error) {
	got, err := c.exchange(ctx, centre, code, scopes)
	if lie, ok := errors.AsType[*lyingAnswer](err); ok {
		o := Outcome{Result: Unlinked, Reason: "Zoho's answer named a host that is not the data centre's, so Hookline did not use it. Nothing was saved; try again, and tell us if it stays."}
		return o, c.settle(ctx, t, state, o, func(tx pgx.Tx) error { return c.fail(ctx, tx, t, who, centre, o.Reason, lie) })
	}
	if err != nil {
		if e, ok := errors.AsType[*zoho.Error](err); ok && (e.Class == zoho.Operator || e.Class == zoho.OurBug) {
			c.log.ErrorContext(ctx, "zoho refuses this program's client", "tenant", t.String(), "data_centre", centre.Location, "err", err)
		}
		o := Outcome{Result: Unlinked, Reason: failReason(err)}
		return o, c.settle(ctx, t, state, o, nil)
	}
	var o Outcome
	var replaced replacedToken
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		o = Outcome{Result: Linked}
		before, err := c.lockedToken(ctx, tx, t)
		if err != nil {
			return err
		}
		if state != nil && before.org != "" && before.org != got.Org.ID {
			o.Result = OtherOrg
			err = c.keepPending(ctx, tx, t, who, state, got)
		} else {
			replaced = before
			err = c.save(ctx, tx, t, who, got, before.org)
		}
		if err != nil {
			return err
		}
		return record(ctx, tx, t, state, o)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("saving a consent of %s: %w", t, err)
	}
	if o.Result == Linked {
		c.afterLinking(ctx, t, replaced, got)
	}
	return o, nil
}

// lyingAnswer is a token answer whose api_domain is not the centre's.
type lyingAnswer struct{ claimed string }

func (l *lyingAnswer) Error() string { return "the token answer names a foreign api_domain" }

// exchange asks for tokens at the checked centre and looks whose they are. Tokens that will not be used are revoked.
func (c *Connections) exchange(ctx context.Context, centre zoho.Centre, code seal.Secret, scopes []string) (consented, error) {
	grant, err := c.client.Exchange(ctx, centre, c.oauth, c.redirect, code, nil)
	if err != nil {
		return consented{}, err
	}
	if len(grant.Scopes) == 0 {
		grant.Scopes = scopes // older answers do not list them; a missing one shows in the probe
	}
	got, err := c.whose(ctx, centre, grant)
	if err != nil && grant.Refresh != "" {
		c.revoke(ctx, centre, grant.Refresh)
	}
	return got, err
}

func (c *Connections) whose(ctx context.Context, centre zoho.Centre, grant zoho.Grant) (consented, error) {
	if grant.APIDomain != centre.API {
		return consented{}, &lyingAnswer{clip(grant.APIDomain)}
	}
	if grant.Refresh == "" {
		return consented{}, fault.New(fault.Unavailable, "Zoho gave no lasting access. Remove Hookline under “Connected Apps” in your Zoho account and connect again.")
	}
	api := c.client.For(func(context.Context, seal.Secret) (zoho.Access, error) {
		return zoho.Access{APIDomain: centre.API, Token: grant.Access}, nil
	}, nil)
	org, err := api.Org(ctx)
	if err != nil {
		return consented{}, fmt.Errorf("reading the organisation: %w", err)
	}
	user, err := api.CurrentUser(ctx)
	if err != nil {
		return consented{}, fmt.Errorf("reading who consented: %w", err)
	}
	name := user.Name
	if user.Email != "" {
		name = strings.TrimSpace(name + " <" + user.Email + ">")
	}
	return consented{
		Centre: centre.Location, Refresh: grant.Refresh.Reveal(), Access: grant.Access.Reveal(),
		Seconds: int(grant.ExpiresIn.Seconds()), Scopes: grant.Scopes, Org: org, User: name,
	}, nil
}

// replacedToken is the token of the link as it was before, to be revoked once it is replaced.
type replacedToken struct {
	org     string
	centre  string
	refresh seal.Secret
}

// lockedToken reads the link under a lock, so that two consents that end at once follow one another.
func (c *Connections) lockedToken(ctx context.Context, tx pgx.Tx, t tenant.ID) (replacedToken, error) {
	var before replacedToken
	var sealed []byte
	err := tx.QueryRow(ctx, `
		SELECT org_id, data_centre, refresh_sealed FROM connections WHERE tenant_id = @tenant FOR UPDATE`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&before.org, &before.centre, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return before, nil
	}
	if err != nil {
		return before, err
	}
	if sealed != nil {
		if before.refresh, err = c.open(t, refreshColumn, sealed); err != nil {
			c.log.WarnContext(ctx, "the replaced Zoho token cannot be opened, so it is not revoked", "tenant", t.String(), "err", err)
		}
	}
	return before, nil
}

func (c *Connections) save(ctx context.Context, tx pgx.Tx, t tenant.ID, who Actor, got consented, orgBefore string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO connections AS c (tenant_id, status, data_centre, org_id, org_name, org_domain, org_users, edition,
		       currency, org_time_zone, org_country, zoho_user, connected_by, connected_at, scopes,
		       refresh_sealed, access_sealed, access_expires_at, last_success_at)
		VALUES (@tenant, 'connected', @centre, @org, @name, @domain, @users, @edition,
		       @currency, @zone, @country, @user, @by, now(), @scopes,
		       @refresh, @access, now() + make_interval(secs => @seconds::float8), now())
		ON CONFLICT (tenant_id) DO UPDATE SET
		       status = EXCLUDED.status, reason = '', data_centre = EXCLUDED.data_centre, org_id = EXCLUDED.org_id,
		       org_name = EXCLUDED.org_name, org_domain = EXCLUDED.org_domain, org_users = EXCLUDED.org_users,
		       edition = EXCLUDED.edition, currency = EXCLUDED.currency, org_time_zone = EXCLUDED.org_time_zone,
		       org_country = EXCLUDED.org_country, zoho_user = EXCLUDED.zoho_user, connected_by = EXCLUDED.connected_by,
		       connected_at = EXCLUDED.connected_at, scopes = EXCLUDED.scopes, refresh_sealed = EXCLUDED.refresh_sealed,
		       access_sealed = EXCLUDED.access_sealed, access_expires_at = EXCLUDED.access_expires_at,
		       last_success_at = EXCLUDED.last_success_at, probe = '[]', probed_at = NULL, abilities = '[]', marker_refused = '{}',
		       -- a refresh of the replaced token that is still on its way must not be stored
		       refresh_fence = c.refresh_fence + 1, refresh_until = NULL, refresh_after = NULL, refresh_failures = 0`,
		pgx.StrictNamedArgs{
			"tenant": t.UUID(), "centre": got.Centre, "org": got.Org.ID, "name": got.Org.Name, "domain": got.Org.Domain,
			"users": got.Org.Users, "edition": got.Org.Edition, "currency": got.Org.Currency, "zone": got.Org.TimeZone,
			"country": got.Org.Country, "user": got.User, "by": who.Name, "scopes": got.Scopes,
			"refresh": c.seal(t, refreshColumn, got.Refresh), "access": c.seal(t, accessColumn, got.Access), "seconds": float64(got.Seconds),
		})
	if err != nil {
		return fmt.Errorf("saving the link of %s: %w", t, err)
	}
	// What was closed to the one who connected before may be open to who does now.
	if _, err := tx.Exec(ctx, `UPDATE zoho_modules SET fetched_at = '-infinity' WHERE tenant_id = @tenant AND refused <> ''`,
		pgx.StrictNamedArgs{"tenant": t.UUID()}); err != nil {
		return fmt.Errorf("forgetting what was closed to %s: %w", t, err)
	}
	detail := map[string]any{"org": got.Org.ID, "data_centre": got.Centre, "zoho_user": got.User}
	if orgBefore != "" && orgBefore != got.Org.ID {
		detail["org_before"] = orgBefore
	}
	if err := account.Audit(ctx, tx, t, who.Name, "zoho.connected", got.Org.Name, detail); err != nil {
		return err
	}
	return c.connected(ctx, tx, t)
}

// fail marks a link that never stood as failed; one that stands is left alone.
func (c *Connections) fail(ctx context.Context, tx pgx.Tx, t tenant.ID, who Actor, centre zoho.Centre, reason string, lie *lyingAnswer) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO connections AS c (tenant_id, status, reason)
		VALUES (@tenant, 'failed', @reason)
		ON CONFLICT (tenant_id) DO UPDATE SET status = 'failed', reason = EXCLUDED.reason
		 WHERE c.status IN ('failed', 'disconnected')`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "reason": reason})
	if err != nil {
		return err
	}
	return account.Audit(ctx, tx, t, who.Name, "zoho.answer_refused", "", map[string]any{"data_centre": centre.Location, "api_domain": lie.claimed})
}

// afterLinking does what may fail without harm: the replaced token is revoked (one user's twenty-first would push
// out the oldest, even one in use), and the rights are probed.
func (c *Connections) afterLinking(ctx context.Context, t tenant.ID, replaced replacedToken, got consented) {
	c.keepAccess(t, zoho.Access{})
	if replaced.refresh != "" && replaced.refresh.Reveal() != got.Refresh {
		if centre, ok := c.client.Centres().ByLocation(replaced.centre); ok {
			c.revoke(ctx, centre, replaced.refresh)
		}
	}
	if err := c.Probe(ctx, t); err != nil {
		c.log.WarnContext(ctx, "the rights in Zoho could not be probed", "tenant", t.String(), "err", err)
	}
}

// revoke tells Zoho that a token is not needed any more, and reports whether Zoho confirmed it.
func (c *Connections) revoke(ctx context.Context, centre zoho.Centre, refresh seal.Secret) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.client.Revoke(ctx, centre, refresh, nil); err != nil {
		c.log.InfoContext(ctx, "zoho did not confirm that a token is revoked", "data_centre", centre.Location, "err", err)
		return false
	}
	return true
}

// Pending is a consent for another organisation that waits for a person's word.
type Pending struct {
	OrgName  string // must be typed to go on
	OrgID    string
	Edition  string
	Centre   zoho.Centre
	ZohoUser string
}

// pendingRow is one waiting consent with its key.
type pendingRow struct {
	state []byte
	got   consented
}

func (c *Connections) keepPending(ctx context.Context, tx pgx.Tx, t tenant.ID, who Actor, state []byte, got consented) error {
	plain, err := json.Marshal(got)
	if err != nil {
		return err
	}
	sealed := c.keys.Seal(plain, t, pendingColumn, hex.EncodeToString(state))
	_, err = tx.Exec(ctx, `
		UPDATE consents SET pending = @pending WHERE tenant_id = @tenant AND state_hash = @state`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "state": state, "pending": sealed})
	if err != nil {
		return err
	}
	return account.Audit(ctx, tx, t, who.Name, "zoho.other_org", got.Org.Name, map[string]any{"org": got.Org.ID})
}

// pending finds the newest waiting consent of this session, at most half an hour old.
func (c *Connections) pending(ctx context.Context, tx pgx.Tx, t tenant.ID, who Actor, session []byte) (pendingRow, bool, error) {
	var row pendingRow
	var sealed []byte
	err := tx.QueryRow(ctx, `
		SELECT state_hash, pending
		  FROM consents
		 WHERE tenant_id = @tenant AND session_hash = @session AND person_id = @person AND pending IS NOT NULL
		   AND created_at > now() - interval '30 minutes'
		 ORDER BY created_at DESC
		 LIMIT 1
		   FOR UPDATE`, pgx.StrictNamedArgs{"tenant": t.UUID(), "session": session, "person": who.Person}).
		Scan(&row.state, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, false, nil
	}
	if err != nil {
		return row, false, err
	}
	plain, err := c.keys.Open(sealed, t, pendingColumn, hex.EncodeToString(row.state))
	if err != nil {
		return row, false, err
	}
	return row, true, json.Unmarshal(plain, &row.got)
}

// Pending shows the consent for another organisation that this person, in this session, has to decide on.
func (c *Connections) Pending(ctx context.Context, t tenant.ID, who Actor, session []byte) (Pending, bool, error) {
	var shown Pending
	var found bool
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		row, ok, err := c.pending(ctx, tx, t, who, session)
		if err != nil || !ok {
			return err
		}
		found = true
		shown = Pending{OrgName: row.got.Org.Name, OrgID: row.got.Org.ID, Edition: row.got.Org.Edition, ZohoUser: row.got.User}
		shown.Centre, _ = c.client.Centres().ByLocation(row.got.Centre)
		return nil
	})
	if err != nil {
		return Pending{}, false, fmt.Errorf("reading the waiting consent of %s: %w", t, err)
	}
	return shown, found, nil
}

// ConfirmOther replaces the organisation by the waiting one, when typed is that organisation's name.
func (c *Connections) ConfirmOther(ctx context.Context, t tenant.ID, who Actor, session []byte, typed string) error {
	var replaced replacedToken
	var row pendingRow
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var found bool
		var err error
		row, found, err = c.pending(ctx, tx, t, who, session)
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NotFound, "No organisation waits for your word any more. Connect again from the Zoho page.")
		}
		if !strings.EqualFold(strings.TrimSpace(typed), strings.TrimSpace(row.got.Org.Name)) {
			return fault.Field("org_name", "Type the organisation's name exactly: "+row.got.Org.Name)
		}
		if replaced, err = c.lockedToken(ctx, tx, t); err != nil {
			return err
		}
		if err := c.dropPending(ctx, tx, t, row.state); err != nil {
			return err
		}
		return c.save(ctx, tx, t, who, row.got, replaced.org)
	})
	if err != nil {
		return fmt.Errorf("confirming another organisation of %s: %w", t, err)
	}
	c.afterLinking(ctx, t, replaced, row.got)
	return nil
}

// DeclineOther drops the waiting consent and revokes its token; the link stays as it was.
func (c *Connections) DeclineOther(ctx context.Context, t tenant.ID, who Actor, session []byte) error {
	var row pendingRow
	var found bool
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var err error
		row, found, err = c.pending(ctx, tx, t, who, session)
		if err != nil || !found {
			return err
		}
		if err := c.dropPending(ctx, tx, t, row.state); err != nil {
			return err
		}
		return account.Audit(ctx, tx, t, who.Name, "zoho.other_org_declined", row.got.Org.Name, map[string]any{"org": row.got.Org.ID})
	})
	if err != nil {
		return fmt.Errorf("declining another organisation of %s: %w", t, err)
	}
	if centre, ok := c.client.Centres().ByLocation(row.got.Centre); ok && found {
		c.revoke(ctx, centre, seal.Secret(row.got.Refresh))
	}
	return nil
}

func (c *Connections) dropPending(ctx context.Context, tx pgx.Tx, t tenant.ID, state []byte) error {
	_, err := tx.Exec(ctx, `
		UPDATE consents SET pending = NULL WHERE tenant_id = @tenant AND state_hash = @state`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "state": state})
	return err
}

// Disconnect ends a link: tokens are wiped, then revoked at Zoho. It reports whether Zoho confirmed. What the link
// has seen of the organisation stays, so that connecting another one still asks.
func (c *Connections) Disconnect(ctx context.Context, t tenant.ID, who Actor) (confirmed bool, err error) {
	var before replacedToken
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if before, err = c.lockedToken(ctx, tx, t); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE connections
			   SET status = 'disconnected', reason = @reason, refresh_sealed = NULL, access_sealed = NULL,
			       access_expires_at = NULL, refresh_fence = refresh_fence + 1, refresh_until = NULL, refresh_after = NULL,
			       refresh_failures = 0, probe = '[]', probed_at = NULL, abilities = '[]', marker_refused = '{}', scopes = '{}'
			 WHERE tenant_id = @tenant AND status <> 'disconnected'`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "reason": "Disconnected by " + who.Name + "."})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "Zoho is not connected.")
		}
		return account.Audit(ctx, tx, t, who.Name, "zoho.disconnected", "", map[string]any{"org": before.org})
	})
	if err != nil {
		return false, fmt.Errorf("disconnecting %s: %w", t, err)
	}
	c.keepAccess(t, zoho.Access{})
	if centre, ok := c.client.Centres().ByLocation(before.centre); ok && before.refresh != "" {
		return c.revoke(ctx, centre, before.refresh), nil
	}
	return true, nil
}

// Columns that are sealed, as the associated data names them.
const (
	refreshColumn = "connections.refresh_sealed"
	accessColumn  = "connections.access_sealed"
	pendingColumn = "consents.pending"
)

func (c *Connections) seal(t tenant.ID, column, plain string) []byte {
	return c.keys.Seal([]byte(plain), t, column, t.String())
}

func (c *Connections) open(t tenant.ID, column string, sealed []byte) (seal.Secret, error) {
	plain, err := c.keys.Open(sealed, t, column, t.String())
	return seal.Secret(plain), err
}

func hashOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// clip bounds what a stranger's text may add to the audit log.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

// cancelReason says why Zoho sent a person back without a code. The parameter is a stranger's text: it is compared,
// never shown.
func cancelReason(code string) string {
	if code == "access_denied" {
		return "You, or Zoho, said no to the request, so nothing was connected. Zoho gives the same answer when it was asked too often: then wait ten minutes."
	}
	return "Zoho ended the request without connecting. Nothing was saved. Try again."
}

// failReason puts into words why a consent could not be completed.
func failReason(err error) string {
	if s := fault.SentenceOf(err); s != "" {
		return s
	}
	e, ok := errors.AsType[*zoho.Error](err)
	if !ok {
		return "Zoho could not be asked. Nothing was saved. Try again."
	}
	switch e.Class {
	case zoho.Token:
		return "Zoho no longer accepts this consent: it was used before, is older than two minutes or belongs to another data centre. Nothing was saved. Connect again."
	case zoho.Limited:
		return "Zoho was asked too often and takes no new connections for ten minutes. Nothing was saved. Try again after that."
	case zoho.Operator:
		return "Zoho does not accept Hookline's own registration in this data centre. That is ours to mend, and we have been told. Nothing was saved."
	case zoho.Scope:
		return "The consent lacks a right that Hookline needs to read your organisation. Nothing was saved. Connect again and leave all rights ticked."
	case zoho.Permission:
		missing := strings.Join(e.Permissions(), ", ")
		if missing != "" {
			missing = " (" + missing + ")"
		}
		return "Your Zoho user may not read the organisation" + missing + ". Nothing was saved. Let an administrator of Zoho CRM connect."
	case zoho.Unsupported:
		return "This Zoho account has no CRM that Hookline can reach. Nothing was saved. Choose an organisation with Zoho CRM."
	}
	return "Zoho could not be reached or gave an unreadable answer. Nothing was saved. Try again in a minute."
}

func containsFold(list []string, want string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, want) })
}
