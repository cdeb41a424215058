package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// trial is how long a new business tries Hookline.
const trial = 14 * 24 * time.Hour

// Desk is where people sign up, prove their address, sign in and reset a password. All fields are needed and not
// changed afterwards.
//
// Known and unknown addresses get the same answers, in the same time: a stranger cannot ask it who has an account.
type Desk struct {
	DB      *postgres.DB
	Now     func() time.Time
	Outbox  *Outbox
	BaseURL string // links in mails begin with it, whatever host a request names; no trailing slash

	// Furnish gives a new tenant what it starts with, in the transaction that makes it: its lane, rules, mappings.
	Furnish func(ctx context.Context, tx pgx.Tx, t tenant.Tenant) error
}

// SignUp is the form of somebody new.
type SignUp struct {
	Email    string
	Password string
	Business string
	Country  string // ISO 3166-1 alpha-2
	Zone     string // IANA name
}

// Problems says what is wrong, by field; empty when nothing is.
func (f SignUp) Problems() map[string]string {
	p := map[string]string{}
	if _, ok := cleanEmail(f.Email); !ok {
		p["email"] = "Enter an e-mail address, such as name@example.com."
	}
	if problem := passwordProblem(f.Password, f.Email, f.Business); problem != "" {
		p["password"] = problem
	}
	if n := utf8.RuneCountInString(strings.TrimSpace(f.Business)); n < 1 || n > 200 {
		p["business"] = "Enter the name of your business, at most 200 characters."
	}
	if !tenant.IsCountry(f.Country) {
		p["country"] = "Choose the country whose phone numbers you use."
	}
	if _, ok := tenant.LoadZone(f.Zone); !ok {
		p["zone"] = "Choose your time zone."
	}
	return p
}

// errKnown ends the sign-up of an address that has an account, after all the work of one that has none.
var errKnown = errors.New("address is known")

// Register signs somebody up: person, tenant, membership and what the tenant starts with, or nothing. A mail proves
// the address; one that has an account gets a mail that says so, and its account is not touched. The id is fresh
// either way.
func (d *Desk) Register(ctx context.Context, f SignUp, address string) (PersonID, error) {
	if err := d.throttle(ctx, signUpAddress, network(address)); err != nil {
		return PersonID{}, err
	}
	person, _, err := d.create(ctx, f, false)
	if !errors.Is(err, errKnown) {
		return person, err
	}
	email, _ := cleanEmail(f.Email)
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		wait, err := mailAccount.take(ctx, tx, email, d.Now())
		if err != nil || wait > 0 {
			return err
		}
		return d.Outbox.Post(ctx, tx, Mail{To: email, Subject: "You already have a Hookline account", Text: "" +
			"Somebody, perhaps you, signed up for Hookline with this address, which has an account already.\n\n" +
			"Log in: " + d.BaseURL + "/login\n" +
			"Forgotten the password? " + d.BaseURL + "/reset\n\n" +
			"If it was not you, nothing has changed and you need do nothing.\n"})
	})
	return person, err
}

// Create makes a business whose owner's address is taken as proved, for whoever runs this machine.
func (d *Desk) Create(ctx context.Context, f SignUp) (PersonID, tenant.ID, error) {
	for _, problem := range f.Problems() {
		return PersonID{}, tenant.ID{}, fault.New(fault.Invalid, problem)
	}
	person, t, err := d.create(ctx, f, true)
	if errors.Is(err, errKnown) {
		return PersonID{}, tenant.ID{}, fault.New(fault.Conflict, "This address has an account.")
	}
	return person, t, err
}

func (d *Desk) create(ctx context.Context, f SignUp, verified bool) (PersonID, tenant.ID, error) {
	email, ok := cleanEmail(f.Email)
	zone, zoneOK := tenant.LoadZone(f.Zone)
	if !ok || !zoneOK {
		return PersonID{}, tenant.ID{}, fault.New(fault.Invalid, "The form is not complete.")
	}
	hash, err := hashPassword(ctx, f.Password)
	if err != nil {
		return PersonID{}, tenant.ID{}, err
	}
	now := d.Now()
	person := PersonID(uuid.Must(uuid.NewV7()))
	t := tenant.Tenant{
		ID: tenant.ID(uuid.Must(uuid.NewV7())), Name: strings.TrimSpace(f.Business), Country: f.Country, Zone: zone,
		Hours: tenant.DefaultHours(), TrialEndsAt: now.Add(trial), CreatedAt: now,
	}
	var verifiedAt *time.Time
	if verified {
		verifiedAt = &now
	}
	err = d.DB.InTenant(ctx, t.ID, func(tx pgx.Tx) error {
		if err := tenant.Insert(ctx, tx, t); err != nil {
			return err
		}
		if err := d.Furnish(ctx, tx, t); err != nil {
			return fmt.Errorf("furnishing tenant %s: %w", t.ID, err)
		}
		if err := Audit(ctx, tx, t.ID, email, "business.created", t.Name, nil); err != nil {
			return err
		}
		// Last, so that a known address costs as much work as a new one.
		tag, err := tx.Exec(ctx, `
			INSERT INTO people (id, email, password_hash, email_verified_at, created_at)
			VALUES (@person, @email, @hash, @verified_at, @now) ON CONFLICT (email) DO NOTHING`,
			pgx.StrictNamedArgs{"person": person.UUID(), "email": email, "hash": hash, "verified_at": verifiedAt, "now": now})
		if err != nil {
			return fmt.Errorf("inserting a person: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errKnown
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO memberships (tenant_id, person_id, role, created_at) VALUES (@tenant, @person, 'owner', @now)`,
			pgx.StrictNamedArgs{"tenant": t.ID.UUID(), "person": person.UUID(), "now": now}); err != nil {
			return fmt.Errorf("inserting a membership: %w", err)
		}
		if verified {
			return nil
		}
		return d.mailVerify(ctx, tx, person, email)
	})
	return person, t.ID, err
}

func (d *Desk) mailVerify(ctx context.Context, tx pgx.Tx, person PersonID, email string) error {
	token, err := issueToken(ctx, tx, verifyToken, person, d.Now())
	if err != nil {
		return err
	}
	return d.Outbox.Post(ctx, tx, Mail{To: email, Subject: "Confirm your address for Hookline", Text: "" +
		"Welcome to Hookline. Confirm that this address is yours:\n\n" +
		d.BaseURL + "/verify/" + token + "\n\n" +
		"The link works for three days. If you did not sign up, ignore this mail.\n"})
}

// Verifying tells whose address a link would prove, without using it.
func (d *Desk) Verifying(ctx context.Context, token string) (person PersonID, err error) {
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		person, err = peekToken(ctx, tx, verifyToken, token, d.Now())
		return err
	})
	return person, err
}

// Verify proves an address. The link works once.
func (d *Desk) Verify(ctx context.Context, token, address string) (person PersonID, err error) {
	if err := d.throttle(ctx, tokenAddress, network(address)); err != nil {
		return PersonID{}, err
	}
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		if person, err = useToken(ctx, tx, verifyToken, token, d.Now()); err != nil {
			return err
		}
		return markVerified(ctx, tx, person, d.Now())
	})
	return person, err
}

func markVerified(ctx context.Context, db postgres.Querier, person PersonID, now time.Time) error {
	if _, err := db.Exec(ctx, `
		UPDATE people SET email_verified_at = coalesce(email_verified_at, @now) WHERE id = @person`,
		pgx.StrictNamedArgs{"person": person.UUID(), "now": now}); err != nil {
		return fmt.Errorf("marking an address as proved: %w", err)
	}
	return nil
}

var errSignIn = fault.New(fault.Unauthorized, "The e-mail address or the password is not right.")

// SignIn checks an address and a password. Wrong ones are one fault, whichever was wrong; too many are Throttled.
// An address that was never proved gets its mail again, after the right password only.
func (d *Desk) SignIn(ctx context.Context, email, password, address string) (PersonID, error) {
	email, _ = cleanEmail(email)
	from := network(address)
	for _, turn := range []struct {
		limit
		subject string
	}{{signInAddress, from}, {signInHere, email + "\x00" + from}, {signInAccount, email}} {
		if err := d.throttle(ctx, turn.limit, turn.subject); err != nil {
			return PersonID{}, err
		}
	}
	person, verified, err := d.check(ctx, email, password)
	if err != nil || verified {
		return person, err
	}
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		wait, err := mailAccount.take(ctx, tx, email, d.Now())
		if err != nil || wait > 0 {
			return err
		}
		return d.mailVerify(ctx, tx, person, email)
	})
	if err != nil {
		return PersonID{}, err
	}
	return PersonID{}, fault.New(fault.Forbidden, "Confirm your address first: we have sent you the link again.")
}

// check compares a password with the account's, or with nobody's, in the same time.
func (d *Desk) check(ctx context.Context, email, password string) (person PersonID, verified bool, err error) {
	var id uuid.UUID
	var hash string
	var verifiedAt *time.Time
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT id, password_hash, email_verified_at FROM people WHERE email = @email`,
			pgx.StrictNamedArgs{"email": email}).Scan(&id, &hash, &verifiedAt)
	})
	known := err == nil
	if errors.Is(err, pgx.ErrNoRows) {
		hash, err = nobody()
	}
	if err != nil {
		return PersonID{}, false, fmt.Errorf("reading an account: %w", err)
	}
	match, outdated, err := passwordMatches(ctx, password, hash)
	if err != nil {
		return PersonID{}, false, err
	}
	if !known || !match {
		return PersonID{}, false, errSignIn
	}
	person = PersonID(id)
	if outdated {
		if err := d.setPassword(ctx, person, password); err != nil {
			return PersonID{}, false, err
		}
	}
	return person, verifiedAt != nil, nil
}

func (d *Desk) setPassword(ctx context.Context, person PersonID, password string) error {
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return d.DB.Directory(ctx, func(tx pgx.Tx) error { return storePassword(ctx, tx, person, hash) })
}

func storePassword(ctx context.Context, db postgres.Querier, person PersonID, hash string) error {
	if _, err := db.Exec(ctx, `UPDATE people SET password_hash = @hash WHERE id = @person`,
		pgx.StrictNamedArgs{"person": person.UUID(), "hash": hash}); err != nil {
		return fmt.Errorf("storing a password: %w", err)
	}
	return nil
}

// AskReset mails a link that sets a new password, if the address has an account. Nobody is told whether it has.
func (d *Desk) AskReset(ctx context.Context, email, address string) error {
	if err := d.throttle(ctx, resetAddress, network(address)); err != nil {
		return err
	}
	email, ok := cleanEmail(email)
	if !ok {
		return fault.Field("email", "Enter an e-mail address, such as name@example.com.")
	}
	return d.DB.Directory(ctx, func(tx pgx.Tx) error {
		wait, err := mailAccount.take(ctx, tx, email, d.Now())
		if err != nil || wait > 0 {
			return err
		}
		var id uuid.UUID
		err = tx.QueryRow(ctx, `SELECT id FROM people WHERE email = @email`, pgx.StrictNamedArgs{"email": email}).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading an account: %w", err)
		}
		token, err := issueToken(ctx, tx, resetToken, PersonID(id), d.Now())
		if err != nil {
			return err
		}
		return d.Outbox.Post(ctx, tx, Mail{To: email, Subject: "Set a new password for Hookline", Text: "" +
			"Somebody, perhaps you, asked for a new password. Set it here:\n\n" +
			d.BaseURL + "/reset/" + token + "\n\n" +
			"The link works once, for 30 minutes. If it was not you, ignore this mail: your password stays as it is.\n"})
	})
}

// Resetting reports whether a reset link still works, without using it.
func (d *Desk) Resetting(ctx context.Context, token string) error {
	return d.DB.Directory(ctx, func(tx pgx.Tx) error {
		_, err := peekToken(ctx, tx, resetToken, token, d.Now())
		return err
	})
}

// Reset sets a new password by a mailed link, which proves the address, too. Every session of the person ends, and
// every workspace of theirs has it in its audit log.
func (d *Desk) Reset(ctx context.Context, token, password, address string) error {
	if err := d.throttle(ctx, tokenAddress, network(address)); err != nil {
		return err
	}
	if problem := passwordProblem(password); problem != "" {
		return fault.Field("password", problem)
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	var email string
	var workspaces [][16]byte
	err = d.DB.Directory(ctx, func(tx pgx.Tx) error {
		person, err := peekToken(ctx, tx, resetToken, token, d.Now())
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			SELECT p.email, array_remove(array_agg(m.tenant_id), NULL)
			FROM people p LEFT JOIN memberships m ON m.person_id = p.id
			WHERE p.id = @person GROUP BY p.email`,
			pgx.StrictNamedArgs{"person": person.UUID()}).Scan(&email, &workspaces); err != nil {
			return fmt.Errorf("reading whose password is set: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.DB.InTenants(ctx, workspaces, func(tx pgx.Tx) error {
		person, err := useToken(ctx, tx, resetToken, token, d.Now())
		if err != nil {
			return err
		}
		if err := storePassword(ctx, tx, person, hash); err != nil {
			return err
		}
		if err := markVerified(ctx, tx, person, d.Now()); err != nil {
			return err
		}
		for _, w := range workspaces {
			if err := Audit(ctx, tx, w, email, "password.reset", email, nil); err != nil {
				return err
			}
		}
		return endSessions(ctx, tx, person, "")
	})
}

// ChangePassword sets a new password for somebody who knows the old one. Every session but kept, by its id, ends, and a
// reset link that is on its way works no more.
func (d *Desk) ChangePassword(ctx context.Context, m Member, old, password, kept, address string) error {
	if err := d.throttle(ctx, signInHere, m.Email+"\x00"+network(address)); err != nil {
		return err
	}
	if _, _, err := d.check(ctx, m.Email, old); fault.KindOf(err) == fault.Unauthorized {
		return fault.Field("old", "This is not your password.")
	} else if err != nil {
		return err
	}
	if problem := passwordProblem(password, m.Email, m.Tenant.Name); problem != "" {
		return fault.Field("password", problem)
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return d.DB.InTenant(ctx, m.Tenant.ID, func(tx pgx.Tx) error {
		if err := storePassword(ctx, tx, m.Person, hash); err != nil {
			return err
		}
		if err := endTokens(ctx, tx, resetToken, m.Person); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, m.Person, kept); err != nil {
			return err
		}
		return Audit(ctx, tx, m.Tenant.ID, m.Email, "password.changed", m.Email, nil)
	})
}

// throttle takes a turn in a transaction of its own, so that a refusal later on does not give it back.
func (d *Desk) throttle(ctx context.Context, l limit, subject string) error {
	var wait time.Duration
	err := d.DB.Directory(ctx, func(tx pgx.Tx) (err error) {
		wait, err = l.take(ctx, tx, subject, d.Now())
		return err
	})
	if err != nil {
		return err
	}
	if wait > 0 {
		return throttled(wait)
	}
	return nil
}

// Sweep removes what no longer opens or limits anything: ended sessions, old tokens, idle throttles, sent mails.
func Sweep(ctx context.Context, db *postgres.DB, now time.Time) error {
	return db.Directory(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at < @now OR seen_at < @idle`,
			pgx.StrictNamedArgs{"now": now, "idle": now.Add(-sessionIdle)}); err != nil {
			return fmt.Errorf("sweeping sessions: %w", err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM keys WHERE expires_at < @now`, pgx.StrictNamedArgs{"now": now}); err != nil {
			return fmt.Errorf("sweeping keys: %w", err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM throttles WHERE arrival_at < @now`, pgx.StrictNamedArgs{"now": now}); err != nil {
			return fmt.Errorf("sweeping throttles: %w", err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mails WHERE created_at < @month`,
			pgx.StrictNamedArgs{"month": now.Add(-30 * 24 * time.Hour)}); err != nil {
			return fmt.Errorf("sweeping mails: %w", err)
		}
		return nil
	})
}

// TellManagers mails those who can mend what happened to a tenant, its owners and admins, in the transaction in which
// it happened.
func (d *Desk) TellManagers(ctx context.Context, tx pgx.Tx, t tenant.ID, subject, text string) error {
	rows, _ := tx.Query(ctx, `
		SELECT people.email FROM memberships JOIN people ON people.id = memberships.person_id
		 WHERE memberships.tenant_id = @tenant AND memberships.role IN ('owner', 'admin')
		 ORDER BY people.email`, pgx.StrictNamedArgs{"tenant": t.UUID()})
	emails, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("finding whom to tell: %w", err)
	}
	for _, email := range emails {
		if err := d.Outbox.Post(ctx, tx, Mail{To: email, Subject: subject, Text: text}); err != nil {
			return err
		}
	}
	return nil
}
