// Package pgtest gives each test a migrated database of its own, copied from a template in tens of milliseconds.
//
// The tests of one run share a server: the first test process starts it, in a folder of the system's temporary
// directory, and it ends by itself when no test process has been near for a minute. It does not flush to disk: tests of
// durability start a server of their own with package embedded. HOOKLINE_TEST_DATABASE_URL puts a server of yours in
// its place; its login must be a superuser, and the roles hookline_owner and hookline_app get its password.
package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/postgres/embedded"
	"hookline/migrations"
)

// Database is one test's database.
type Database struct {
	*postgres.DB
	OwnerURL string // its login owns the schema
	AppURL   string // its login is the program's role
	SuperURL string // its login may do everything
}

// New gives the test a migrated database and the pool that the program would use. It is dropped when the test ends.
func New(t testing.TB) *postgres.DB { return NewDatabase(t).DB }

// NewDatabase is New for tests that need to connect as somebody else, or again.
func NewDatabase(t testing.TB) *Database {
	t.Helper()
	return create(t, func(s server, name string) string {
		return "CREATE DATABASE " + name + " TEMPLATE " + s.template + " STRATEGY file_copy OWNER hookline_owner"
	})
}

// Empty gives the test a database that was never migrated.
func Empty(t testing.TB) *Database {
	t.Helper()
	return create(t, func(_ server, name string) string { return "CREATE DATABASE " + name + " OWNER hookline_owner" })
}

// HoldAllTimes lets the tables that are cut by month hold rows of any time, so that a test can make one old.
func (d *Database) HoldAllTimes(t testing.TB) {
	t.Helper()
	for _, statement := range []string{`CREATE TABLE events_else PARTITION OF events DEFAULT`, `CREATE TABLE attempts_else PARTITION OF attempts DEFAULT`} {
		if err := execute(context.Background(), d.SuperURL, statement); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t testing.TB, statement func(s server, name string) string) *Database {
	t.Helper()
	ctx := context.Background()
	server, err := shared()
	if err != nil {
		t.Fatalf("no PostgreSQL to test with: %v", err)
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := execute(ctx, server.super, statement(server, name)); err != nil {
		t.Fatalf("making the test's database: %v", err)
	}
	d := &Database{
		OwnerURL: with(server.super, "hookline_owner", name),
		AppURL:   with(server.super, "hookline_app", name),
		SuperURL: with(server.super, "", name),
	}
	if d.DB, err = postgres.Open(ctx, postgres.Config{URL: d.AppURL, MaxConns: 12}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.DB.Close()
		if err := execute(ctx, server.super, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Logf("dropping the test's database: %v", err)
		}
	})
	return d
}

// server is where the tests' databases are made.
type server struct {
	super    string // URL of a superuser's login
	template string // name of the migrated database that is copied
}

// shared finds or starts the server and makes the template, once for each set of migrations.
var shared = sync.OnceValues(func() (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s := server{super: os.Getenv("HOOKLINE_TEST_DATABASE_URL")}
	if s.super == "" {
		var err error
		if s.super, err = joinOrStart(ctx); err != nil {
			return s, err
		}
	}
	sum, err := fingerprint()
	if err != nil {
		return s, err
	}
	s.template = "template_" + sum
	return s, s.makeTemplate(ctx)
})

func (s server) makeTemplate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.super)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(7426)`); err != nil { // one maker at a time
		return err
	}
	if _, err := conn.Exec(ctx, `
		DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_owner') THEN CREATE ROLE hookline_owner LOGIN; END IF;
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hookline_app') THEN CREATE ROLE hookline_app LOGIN; END IF;
			ALTER ROLE hookline_app LOGIN;
			GRANT hookline_app TO hookline_owner;
		END $$`); err != nil {
		return err
	}
	if u, err := url.Parse(s.super); err == nil {
		if password, ok := u.User.Password(); ok {
			quoted := "'" + strings.ReplaceAll(password, "'", "''") + "'"
			for _, role := range []string{"hookline_owner", "hookline_app"} {
				if _, err := conn.Exec(ctx, "ALTER ROLE "+role+" PASSWORD "+quoted); err != nil {
					return err
				}
			}
		}
	}
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, s.template).Scan(&exists); err != nil || exists {
		return err
	}
	making := s.template + "_making"
	if err := execute(ctx, s.super, "DROP DATABASE IF EXISTS "+making+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := execute(ctx, s.super, "CREATE DATABASE "+making+" OWNER hookline_owner"); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, with(s.super, "hookline_owner", making)); err != nil {
		return err
	}
	return execute(ctx, s.super, "ALTER DATABASE "+making+" RENAME TO "+s.template)
}

// fingerprint changes with the migrations, so that a template is never an older schema's.
func fingerprint() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := migrations.FS.ReadFile(path)
		fmt.Fprintln(h, path, len(text))
		h.Write(text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

func execute(ctx context.Context, super, statement string) error {
	conn, err := pgx.Connect(ctx, super)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// with is the URL of the same server for another login and database; an empty login keeps the superuser's.
func with(super, login, database string) string {
	u, err := url.Parse(super)
	if err != nil {
		return super
	}
	if password, ok := u.User.Password(); ok && login != "" {
		u.User = url.UserPassword(login, password)
	} else if login != "" {
		u.User = url.User(login)
	}
	u.Path = "/" + database
	return u.String()
}

// keeper is the environment variable that turns this test binary into the process that keeps the server.
const keeper = "HOOKLINE_PGTEST_KEEPER"

// idle is how long the keeper outlives the last test process.
const idle = time.Minute

func init() {
	if dir := os.Getenv(keeper); dir != "" {
		keep(dir)
		os.Exit(0)
	}
}

// joinOrStart uses the server that another test process started, or starts one that will outlive this process: a
// copy of this very test binary, which does nothing but keep it. Test processes hold a shared lock on "users"; when
// the keeper could have had that lock alone for a minute, nobody needs it, and it takes the lock and ends: whoever
// comes meanwhile waits, finds no server and starts the next.
func joinOrStart(ctx context.Context) (string, error) {
	dir := filepath.Join(os.TempDir(), "hookline-pgtest-"+strconv.Itoa(os.Geteuid()))
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	// A bare descriptor, so that nothing closes it: the lock is held until this process ends.
	users, err := syscall.Open(filepath.Join(dir, "users"), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return "", err
	}
	if err := syscall.Flock(users, syscall.LOCK_SH); err != nil {
		return "", err
	}
	starting, err := os.OpenFile(filepath.Join(dir, "starting"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer starting.Close()
	if err := syscall.Flock(int(starting.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	super := "postgres://hookline_super@/postgres?host=" + filepath.Join(dir, "run") + "&port=5432&sslmode=disable"
	if execute(ctx, super, "SELECT 1") == nil {
		return super, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	// The keeper says "ok" or nothing at all.
	ready, told, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer ready.Close()
	logFile, err := os.OpenFile(filepath.Join(dir, "keeper.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer logFile.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), keeper+"="+dir)
	cmd.Dir, cmd.Stderr, cmd.ExtraFiles = "/", logFile, []*os.File{told}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	told.Close()
	_ = ready.SetReadDeadline(time.Now().Add(time.Minute))
	answer := make([]byte, 2)
	if n, _ := ready.Read(answer); string(answer[:n]) != "ok" {
		text, _ := os.ReadFile(logFile.Name())
		return "", errors.New("the test server did not start: " + strings.TrimSpace(string(text)))
	}
	return super, nil
}

func keep(dir string) {
	if err := keepServer(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func keepServer(dir string) error {
	ctx := context.Background()
	users, err := os.OpenFile(filepath.Join(dir, "users"), os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer users.Close() // and with it the lock: last, after the server
	config := embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Volatile: true, Params: []string{"max_connections=400"}}
	pg, err := embedded.Start(ctx, config)
	if err != nil && !errors.Is(err, embedded.ErrBusy) {
		// A cluster that never flushed does not outlive the machine's crash. There is nothing in it to keep.
		clusters, _ := filepath.Glob(filepath.Join(dir, "pg*"))
		for _, cluster := range clusters {
			_ = os.RemoveAll(cluster)
		}
		pg, err = embedded.Start(ctx, config)
	}
	if err != nil {
		return err
	}
	defer pg.Stop()
	if err := dropLeftovers(ctx, pg.SuperURL()); err != nil {
		return err
	}
	told := os.NewFile(3, "told")
	if _, err := told.WriteString("ok"); err != nil {
		return err
	}
	_ = told.Close()
	for freeSince := time.Now(); ; {
		select {
		case <-pg.Done():
			return pg.Err()
		case <-time.After(time.Second):
		}
		if syscall.Flock(int(users.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			freeSince = time.Now()
			continue
		}
		if time.Since(freeSince) > idle {
			return nil
		}
		_ = syscall.Flock(int(users.Fd()), syscall.LOCK_UN)
	}
}

// dropLeftovers drops the databases of killed tests and the templates of other schemas.
func dropLeftovers(ctx context.Context, super string) error {
	conn, err := pgx.Connect(ctx, super)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname ~ '^(test|template)_'`)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	sum, err := fingerprint()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "template_"+sum {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}
