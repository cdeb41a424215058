package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
)

type doctorCommand struct{}

// Run checks one thing after the other and says of each what was found; every fault comes with its cure.
func (doctorCommand) Run(w *world) error {
	sick := false
	say := func(what string, err error, cure string) {
		if err == nil {
			fmt.Fprintf(w.out, "ok    %s\n", what)
			return
		}
		sick = true
		fmt.Fprintf(w.out, "WRONG %s: %v\n      %s\n", what, err, cure)
	}
	c, err := readConfig(w.env)
	say("environment", err, "Correct the variables named above; an unset one means its default.")
	if err != nil {
		return errReported
	}
	log := newLog(c, w.errOut)
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()

	_, err = sealingKeys(c)
	say("sealing key", err, "Make one with: hookline keys generate. Put it first in HOOKLINE_SECRET_KEY and keep the old ones behind it.")

	d, err := openDatabase(ctx, c, log, true)
	if err == nil {
		defer d.close()
		err = examine(ctx, d.program)
	}
	say("database", err, "See that PostgreSQL 15 or later runs and that DATABASE_URL names it; without DATABASE_URL, that its server programs are installed.")
	if err == nil {
		pending, err := postgres.Pending(ctx, d.owner)
		if err == nil && len(pending) > 0 {
			err = fmt.Errorf("%d pending: %s", len(pending), strings.Join(pending, ", "))
		}
		say("migrations", err, "Run: hookline migrate up")
		say("database role", rights(ctx, d.program), "As the database's administrator: CREATE ROLE hookline_app NOLOGIN; GRANT hookline_app TO <login of DATABASE_URL>; then hookline migrate up")
		say("partitions of the coming months", partitions(ctx, d.program), "Run: hookline migrate up")
		say("clock", skew(ctx, d.program), "Set this machine's clock by NTP: signatures older than five minutes are refused.")
	}

	_, _, err = zohoClient(ctx, c)
	if err == nil && c.ZohoClientID == "" && c.SandboxURL == "" {
		err = fmt.Errorf("neither a Zoho client nor a sandbox is set")
	}
	if c.sandboxInside && err != nil {
		err = nil // it runs inside serve only
	}
	say("Zoho client", err, "Set ZOHO_CLIENT_ID and ZOHO_CLIENT_SECRET from Zoho's API console (redirect address "+c.BaseURL+"/zoho/callback), or leave the sandbox on.")

	say("mail server", reachMail(ctx, c), "Correct SMTP_URL, or set it to off.")
	say("base URL", baseURL(c), "Set HOOKLINE_BASE_URL to the https address under which people and phone providers reach this server.")
	if sick {
		return errReported
	}
	return nil
}

func examine(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var version int
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer`).Scan(&version); err != nil {
		return err
	}
	if version < 150000 {
		return fmt.Errorf("it is version %d, too old", version/10000)
	}
	return nil
}

// rights checks that the program's role exists, may be taken and cannot pass by row-level security.
func rights(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var member, above bool
	err = conn.QueryRow(ctx, `
		SELECT pg_has_role(current_user, oid, 'MEMBER'), rolsuper OR rolbypassrls
		FROM pg_roles WHERE rolname = 'hookline_app'`).Scan(&member, &above)
	switch {
	case err != nil:
		return fmt.Errorf("the role hookline_app does not exist")
	case !member:
		return fmt.Errorf("this login may not take the role hookline_app")
	case above:
		return fmt.Errorf("the role hookline_app can pass by row-level security")
	}
	return nil
}

func partitions(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var missing []string
	rows, err := conn.Query(ctx, `
		SELECT c.relname || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', '_YYYYMM')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'p' AND n.nspname = 'public'
		  AND to_regclass('public.' || c.relname || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', '_YYYYMM')) IS NULL`)
	if err != nil {
		return err
	}
	if missing, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("next month has no place: %s", strings.Join(missing, ", "))
	}
	return nil
}

// skew compares this machine's clock with the database's, which may be another machine.
func skew(ctx context.Context, address string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var theirs time.Time
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return err
	}
	if d := time.Since(theirs).Abs(); d > 30*time.Second {
		return fmt.Errorf("it differs from the database's by %s", d.Round(time.Second))
	}
	return nil
}

func reachMail(ctx context.Context, c config) error {
	if c.SMTPURL == "" {
		return nil
	}
	u, err := url.Parse(c.SMTPURL.Reveal())
	if err != nil {
		return fmt.Errorf("SMTP_URL cannot be read")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

func baseURL(c config) error {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return err
	}
	if u.Scheme == "https" || isLoopback(u.Hostname()) {
		return nil
	}
	if name, err := os.Hostname(); err == nil && u.Hostname() == name {
		return nil
	}
	return fmt.Errorf("%s is not https: browsers keep no sign-in there, and providers post calls unencrypted", c.BaseURL)
}
