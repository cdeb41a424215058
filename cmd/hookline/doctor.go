package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/postgres/embedded"
	"hookline/internal/seal"
)

type doctorCommand struct {
	Live          bool   `help:"Also put questions to a connected Zoho organisation that only a real one answers: writes a few records there and deletes them."`
	Tenant        string `help:"With --live: the business, by its id, its name or its organisation; needed where several are connected."`
	ProvokeLimits bool   `help:"With --live: also ask too much at once, to see Zoho's words. Others who use the organisation feel it."`
}

// doctor says of one thing after the other what was found; every fault comes with its cure.
type doctor struct {
	out  io.Writer
	sick bool
}

func (d *doctor) say(what string, err error, cure string) {
	if err == nil {
		fmt.Fprintf(d.out, "ok    %s\n", what)
		return
	}
	d.sick = true
	fmt.Fprintf(d.out, "WRONG %s: %v\n      %s\n", what, err, cure)
}

// advise says what works and is seldom meant so.
func (d *doctor) advise(what, advice string) {
	fmt.Fprintf(d.out, "NOTE  %s\n      %s\n", what, advice)
}

// Run checks the set-up. It changes nothing, but for what --live says.
func (d doctorCommand) Run(w *world) error {
	doc := &doctor{out: w.out}
	c, err := readConfig(w.env)
	doc.say("environment", err, "Correct the variables named above; an unset one means its default.")
	if err != nil {
		return errReported
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	made := true
	if c.embedded() {
		made, err = embedded.Look(embedded.Config{Dir: c.DataDir, BinDir: c.PGBin})
	}
	switch {
	case err != nil:
		doc.say("database", err, "Install PostgreSQL's server programs, or set DATABASE_URL to a running server.")
	case made:
		doc.database(ctx, c, newLog(c, w.errOut))
	default:
		doc.say("database and sealing key, which serve makes in "+c.DataDir, nil, "")
	}
	doc.zoho(ctx, c)
	doc.mail(ctx, c)
	doc.say("base URL", baseURL(c), "Set HOOKLINE_BASE_URL to the https address under which people and phone providers reach this server.")
	if strings.HasPrefix(c.BaseURL, "https:") && len(c.Proxies) == 0 {
		doc.advise("no proxy is trusted", "If a TLS proxy stands in front, every visitor has its address, and one who guesses passwords locks all out: name it in HOOKLINE_TRUSTED_PROXIES.")
	}
	if doc.sick {
		return errReported
	}
	if d.Live {
		return d.live(w.ctx, w, c)
	}
	return nil
}

// database checks a database that is there, and the keys of what it holds.
func (doc *doctor) database(ctx context.Context, c config, log *slog.Logger) {
	const mendKey = "Put the key back, in HOOKLINE_SECRET_KEY or where it was in the data directory. For a new installation make one with: hookline keys generate"
	var keys *seal.Keys
	var err error
	if _, err = os.Stat(c.keyFile()); c.SecretKey != "" || err == nil {
		keys, err = sealingKeys(c)
	}
	doc.say("sealing key", err, mendKey)

	d, err := openDatabase(ctx, c, log, true)
	if err == nil {
		defer d.close()
		err = examine(ctx, d.program)
	}
	doc.say("database", err, "See that PostgreSQL 15 or later runs and that DATABASE_URL names it; without DATABASE_URL, that its server programs are installed.")
	if err != nil {
		return
	}
	if d.owner != d.program && !c.embedded() {
		err := examine(ctx, d.owner)
		doc.say("database, past the pooler", err, "Correct DATABASE_URL_DIRECT: it names the same database as DATABASE_URL, without the pooler between.")
		if err != nil {
			return
		}
	}
	pending, err := postgres.Pending(ctx, d.owner)
	switch {
	case err == nil && len(pending) > 0 && c.embedded():
		doc.say(fmt.Sprintf("migrations: serve will apply %d", len(pending)), nil, "")
		return
	case err == nil && len(pending) > 0:
		err = fmt.Errorf("%d pending: %s", len(pending), strings.Join(pending, ", "))
	}
	doc.say("migrations", err, "Run: hookline migrate up")
	doc.say("database role", rights(ctx, d.program), "As the database's administrator: CREATE ROLE hookline_app NOLOGIN; GRANT hookline_app TO <login of DATABASE_URL>; then hookline migrate up")
	doc.say("partitions of the coming months", partitions(ctx, d.program), "Run: hookline migrate up")
	doc.say("clock", skew(ctx, d.program), "Set this machine's clock by NTP: signatures older than five minutes are refused.")
	if err == nil && keys != nil {
		doc.say("keys of what is stored", keysOpen(ctx, d, keys), "Without them those rows stay closed, and serve does not start.")
	}
}

// zoho checks what the program will connect to. A sandbox inside serve runs while serve does.
func (doc *doctor) zoho(ctx context.Context, c config) {
	var err error
	what := "Zoho"
	switch {
	case c.sandboxInside:
		what = "Zoho: the built-in sandbox, which serve starts at " + c.SandboxAddr
	case c.SandboxURL != "":
		what = "Zoho: the sandbox at " + c.SandboxURL
		_, _, err = zohoClient(ctx, c)
	case c.ZohoClientID != "":
		what = "Zoho client " + clip(c.ZohoClientID) + " is set; whether Zoho knows it shows at the first consent"
	default:
		err = fmt.Errorf("neither a Zoho client nor a sandbox is set")
	}
	doc.say(what, err, "Set ZOHO_CLIENT_ID and ZOHO_CLIENT_SECRET from Zoho's API console (redirect address "+c.BaseURL+"/zoho/callback), or leave the sandbox on.")
	if u, parseErr := url.Parse(c.BaseURL); err == nil && c.SandboxURL != "" && parseErr == nil && !isLoopback(u.Hostname()) {
		doc.advise("the sandbox stands in for Zoho", "Calls reach no real CRM: set ZOHO_CLIENT_ID and ZOHO_CLIENT_SECRET.")
	}
}

// keysOpen reports the keys that stored rows need and the set lacks.
func keysOpen(ctx context.Context, d database, keys *seal.Keys) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: d.program, MaxConns: 2, Name: "hookline doctor"})
	if err != nil {
		return err
	}
	defer db.Close()
	return checkKeys(ctx, db, keys)
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

// clip shows enough of an id to know it by.
func clip(id string) string {
	if len(id) > 10 {
		return id[:10] + "…"
	}
	return id
}

// mail says what becomes of mails, and asks the server that gets them.
func (doc *doctor) mail(ctx context.Context, c config) {
	switch {
	case c.SMTPOff:
		doc.say("mail: switched off, nobody gets any", nil, "")
	case c.SMTPURL == "":
		doc.say("mail: none is sent; serve keeps them and shows them on a page whose address it prints", nil, "")
	default:
		u, err := url.Parse(c.SMTPURL.Reveal())
		if err != nil { // readConfig has refused it
			return
		}
		doc.say("mail server "+u.Host+" takes connections", reach(ctx, u), "Correct SMTP_URL, or set it to off.")
	}
}

func reach(ctx context.Context, u *url.URL) error {
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
