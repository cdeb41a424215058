package connection_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/connection"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

const baseURL = "http://127.0.0.1:8080"

// world is one business, its database and the Zoho that it connects to.
type world struct {
	t       *testing.T
	db      *postgres.DB
	url     string // of the database
	keys    *seal.Keys
	base    string // of the sandbox, or of whatever stands in for Zoho
	tenant  tenant.ID
	who     connection.Actor
	session []byte
	link    *connection.Connections
	woken   atomic.Int32
	lost    atomic.Int32
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, sandboxtest.New(t).URL)
}

func newWorldAt(t *testing.T, base string) *world {
	t.Helper()
	database := pgtest.NewDatabase(t)
	w := &world{
		t: t, db: database.DB, url: database.AppURL, keys: newKeys(t), base: base,
		who:     connection.Actor{Person: uuid.Must(uuid.NewV7()), Name: "owner@example.com"},
		session: sum("the owner's browser"),
	}
	w.tenant = w.newTenant()
	w.link = w.another(w.db)
	return w
}

// another is what a second process over the same database has.
func (w *world) another(db *postgres.DB) *connection.Connections {
	credentials := zoho.Credentials{ID: "client", Secret: "secret"}
	if c, err := connection.SandboxClient(w.t.Context(), w.base); err == nil {
		credentials = c
	}
	return connection.New(connection.Deps{
		DB: db, Keys: w.keys, OAuth: credentials, BaseURL: baseURL, Log: slog.New(slog.DiscardHandler),
		Client:    zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(w.base)}),
		Connected: func(context.Context, pgx.Tx, tenant.ID) error { w.woken.Add(1); return nil },
		Lost:      func(context.Context, pgx.Tx, tenant.ID, string) error { w.lost.Add(1); return nil },
	})
}

// secondPool is another process's pool on the same database.
func (w *world) secondPool() *postgres.DB {
	w.t.Helper()
	db, err := postgres.Open(context.Background(), postgres.Config{URL: w.url, MaxConns: 8})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(db.Close)
	return db
}

func (w *world) newTenant() tenant.ID {
	w.t.Helper()
	id := tenant.ID(uuid.Must(uuid.NewV7()))
	w.in(id, func(tx pgx.Tx) error {
		_, err := tx.Exec(w.t.Context(), `
			INSERT INTO tenants (id, name, country, time_zone, trial_ends_at)
			VALUES ($1, 'Acme', 'US', 'America/New_York', now() + interval '14 days')`, id.UUID())
		return err
	})
	return id
}

// neighbour is another business in the same program.
func (w *world) neighbour() *world {
	return &world{t: w.t, db: w.db, url: w.url, keys: w.keys, base: w.base, who: w.who, session: w.session, link: w.link, tenant: w.newTenant()}
}

func (w *world) in(id tenant.ID, f func(pgx.Tx) error) {
	w.t.Helper()
	if err := w.db.InTenant(context.Background(), id, f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	w.in(w.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), sql, args...)
		return err
	})
}

func value[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	var v T
	w.in(w.tenant, func(tx pgx.Tx) error { return tx.QueryRow(context.Background(), sql, args...).Scan(&v) })
	return v
}

// audited counts the audit log's entries of one kind.
func (w *world) audited(action string) int {
	w.t.Helper()
	return value[int](w, `SELECT count(*) FROM audit WHERE tenant_id = $1 AND action = $2`, w.tenant.UUID(), action)
}

// control calls one of the sandbox's control routes.
func (w *world) control(method, path string, body, into any) {
	w.t.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequest(method, w.base+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode > 299 {
		w.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

// grant is what the sandbox's consent page would send back, for an organisation of its own or a named one.
func (w *world) grant(org string, scopes []string) connection.Callback {
	w.t.Helper()
	credentials, err := connection.SandboxClient(w.t.Context(), w.base)
	if err != nil {
		w.t.Fatal(err)
	}
	ask := map[string]any{"client_id": credentials.ID, "redirect_uri": baseURL + "/zoho/callback", "scope": strings.Join(scopes, ",")}
	path := "/_sandbox/grant"
	if org == "" {
		ask["new_org"] = map[string]string{"name": "Acme CRM", "edition": "professional", "data_centre": "eu"}
	} else {
		path += "?org=" + org
	}
	var got struct {
		Code     string `json:"code"`
		Location string `json:"location"`
		Server   string `json:"accounts-server"`
	}
	w.control(http.MethodPost, path, ask, &got)
	return connection.Callback{Code: got.Code, Location: got.Location, AccountsServer: got.Server}
}

// begin starts a consent and gives the state that Zoho would send back.
func (w *world) begin() string {
	w.t.Helper()
	target, err := w.link.Begin(w.t.Context(), w.tenant, w.who, w.session)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query().Get("state")
}

func (w *world) finish(back connection.Callback) (connection.Outcome, error) {
	return w.link.Finish(w.t.Context(), w.tenant, w.who, w.session, back)
}

// connect goes the whole way for an organisation (a new one when org is empty).
func (w *world) connect(org string) connection.Connection {
	w.t.Helper()
	back := w.grant(org, connection.Scopes())
	back.State = w.begin()
	o, err := w.finish(back)
	if err != nil || o.Result != connection.Linked {
		w.t.Fatalf("not connected: %+v %v", o, err)
	}
	return w.get()
}

func (w *world) get() connection.Connection {
	w.t.Helper()
	c, err := w.link.Get(w.t.Context(), w.tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// requests counts what the sandbox was asked, by method and the end of the path.
func (w *world) requests(method, suffix string) int {
	w.t.Helper()
	var stats struct {
		Requests []struct {
			Method, Path string
			Count        int
		}
	}
	w.control(http.MethodGet, "/_sandbox/stats", nil, &stats)
	n := 0
	for _, r := range stats.Requests {
		if r.Method == method && strings.HasSuffix(r.Path, suffix) {
			n += r.Count
		}
	}
	return n
}

func (w *world) tokenRequests() int { return w.requests(http.MethodPost, "/oauth/v2/token") }

func newKeys(t *testing.T) *seal.Keys {
	t.Helper()
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func classOf(err error) zoho.Class {
	if e, ok := errors.AsType[*zoho.Error](err); ok {
		return e.Class
	}
	return ""
}

// trap is a host that must never be dialled.
type trap struct {
	URL   string
	dials atomic.Int32
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trap := &trap{URL: "http://" + l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			trap.dials.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return trap
}

func asZoho(t *testing.T, err error) *zoho.Error {
	t.Helper()
	e, ok := errors.AsType[*zoho.Error](err)
	if !ok {
		t.Fatalf("not an error of Zoho's: %v", err)
	}
	return e
}
