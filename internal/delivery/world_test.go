package delivery_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait for one another's clocks more than for the processor
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("hookline/internal/postgres/pgtest.keep"))
}

// world is a program's back office: a database, a Zoho, and what delivers from the one to the other.
type world struct {
	t    testing.TB
	db   *pgtest.Database
	keys *seal.Keys
	zoho *sandboxtest.Server
	link *connection.Connections
	bell *delivery.Bell
	log  *slog.Logger
}

func newWorld(t testing.TB) *world { t.Helper(); return newWorldAsking(t, nil) }

// newWorldAsking is newWorld with an HTTP client for Zoho.
func newWorldAsking(t testing.TB, asks *http.Client) *world {
	t.Helper()
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: pgtest.NewDatabase(t), keys: keys, zoho: sandboxtest.New(t), log: slog.New(slog.DiscardHandler)}
	if os.Getenv("LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	w.zoho.Control.Settings("", map[string]any{"search_index_lag_ms": 0})
	client := zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(w.zoho.URL), HTTP: asks})
	credentials, err := connection.SandboxClient(t.Context(), w.zoho.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.link = connection.New(connection.Deps{DB: w.db.DB, Keys: keys, Client: client, OAuth: credentials,
		BaseURL: "http://127.0.0.1:8080", Log: w.log, Connected: delivery.Resume})
	w.bell = delivery.NewBell(w.db.DB, w.log)
	t.Cleanup(w.bell.Close)
	t.Cleanup(func() { http.DefaultClient.CloseIdleConnections() })
	return w
}

// within is the same world, seen by a test within the one that made it.
func (w *world) within(t testing.TB) *world {
	inner := *w
	inner.t = t
	return &inner
}

// shop is one tenant with a source and a Zoho organisation of its own.
type shop struct {
	*world
	tenant tenant.ID
	source uuid.UUID
	org    string
	n      int
}

func (w *world) newShop() *shop {
	w.t.Helper()
	s := w.unconnected()
	s.connect()
	return s
}

func (w *world) unconnected() *shop {
	w.t.Helper()
	s := &shop{world: w, tenant: tenant.ID(uuid.Must(uuid.NewV7())), source: uuid.Must(uuid.NewV7())}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		w.t.Fatal(err)
	}
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		err := tenant.Insert(ctx, tx, tenant.Tenant{ID: s.tenant, Name: "Acme", Country: "US", Zone: zone, Hours: tenant.DefaultHours(),
			TrialEndsAt: time.Now().AddDate(0, 0, 14), CreatedAt: time.Now()})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO sources (tenant_id, id, provider, name, key_sealed, secrets_sealed) VALUES ($1, $2, 'native', 'Main line', '', '')`,
			s.tenant.UUID(), s.source)
		return err
	})
	return s
}

func (s *shop) connect() {
	s.t.Helper()
	who := connection.Actor{Name: "owner@example.com"}
	if err := s.link.ConnectSandbox(s.t.Context(), s.tenant, who, s.zoho.URL, connection.NewOrg{Name: "Acme CRM", Edition: "professional"}); err != nil {
		s.t.Fatal(err)
	}
	s.org = s.connection().OrgID
	s.zoho.Control.Settings(s.org, map[string]any{"search_index_lag_ms": 0})
}

func (s *shop) connection() connection.Connection {
	s.t.Helper()
	c, err := s.link.Get(context.Background(), s.tenant)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *shop) in(fn func(context.Context, pgx.Tx) error) {
	s.t.Helper()
	ctx := context.Background()
	if err := s.db.InTenant(ctx, s.tenant, func(tx pgx.Tx) error { return fn(ctx, tx) }); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

func value[T any](s *shop, sql string, args ...any) T {
	s.t.Helper()
	var v T
	s.in(func(ctx context.Context, tx pgx.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&v) })
	return v
}

// worker is what one process runs: fast, so that tests need not wait.
func (w *world) worker(change ...func(*delivery.Deps)) *delivery.Worker {
	d := delivery.Deps{DB: w.db.DB, Keys: w.keys, Connections: w.link, Log: w.log, Poll: 50 * time.Millisecond, Gap: 200 * time.Millisecond, Grace: 5 * time.Second}
	for _, c := range change {
		c(&d)
	}
	return delivery.New(d)
}

// start runs a worker until stop is called, or the test ends.
func (w *world) start(worker *delivery.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { worker.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// sarah is a call of a new caller with a whole story.
func sarah() call.Call {
	return call.Call{
		Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100",
		StartedAt: time.Date(2026, 3, 2, 17, 4, 5, 0, time.UTC), Duration: 245 * time.Second,
		FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example",
		Summary:    "Asks about opening hours.",
		Transcript: []call.Turn{{Role: call.Agent, Text: "Thanks for calling Acme."}, {Role: call.Caller, Text: "When are you open?", At: 4 * time.Second}},
	}
}

// from is sarah's call from another number.
func from(number string) call.Call {
	c := sarah()
	c.From = call.Phone(number)
	return c
}

// number gives the n-th of as many callers as a test needs.
func number(n int) string { return fmt.Sprintf("+1415555%04d", 1000+n) }

// receive stores a call as intake does: events and calls appended, lanes woken, the bell rung after the commit.
func (s *shop) receive(c call.Call) call.ID {
	s.t.Helper()
	return s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c})
}

func (s *shop) receiveEvent(e call.Event) call.ID {
	s.t.Helper()
	s.n++
	if e.Call.ProviderCallID == "" {
		e.Call.ProviderCallID = fmt.Sprintf("np_%d", s.n)
	}
	e.ID = call.IDOfEvent(s.source, fmt.Sprintf("ev_%d", s.n))
	id := call.IDOf(s.source, e.Call.ProviderCallID)
	doc, err := call.MarshalEvent(e)
	if err != nil {
		s.t.Fatal(err)
	}
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at) VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING`,
			s.tenant.UUID(), id.UUID(), s.source, e.Call.ProviderCallID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO events (tenant_id, id, at, call_id, source_id, kind, normalised) VALUES ($1, $2, clock_timestamp(), $3, $4, $5, $6)`,
			s.tenant.UUID(), uuid.UUID(e.ID), id.UUID(), s.source, string(e.Kind), doc)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return delivery.WakeFor(ctx, tx, []delivery.News{{Tenant: s.tenant, Call: id}})
		}
		return delivery.Wake(ctx, tx, []tenant.ID{s.tenant})
	})
	s.bell.Ring(s.tenant)
	return id
}

func (s *shop) status(id call.ID) string {
	s.t.Helper()
	return value[string](s, `SELECT status FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID())
}

// until waits for a condition of the outside world; the test fails with what it saw when it never comes.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never came: %s", what)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func (s *shop) untilStatus(id call.ID, status string) {
	s.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for s.status(id) != status {
		if time.Now().After(deadline) {
			s.t.Fatalf("call is %s, not %s: %s", s.status(id), status, s.describe(id))
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// describe is what a failing test wants to know of a call.
func (s *shop) describe(id call.ID) string {
	return value[string](s, `
		SELECT jsonb_build_object('call', (SELECT to_jsonb(c) - 'call' FROM calls c WHERE c.tenant_id = $1 AND c.id = $2),
			'deliveries', (SELECT jsonb_agg(to_jsonb(d) - 'payload') FROM deliveries d WHERE d.tenant_id = $1 AND d.call_id = $2),
			'attempts', (SELECT jsonb_agg(jsonb_build_array(a.purpose, a.method, a.path, a.status, a.outcome) ORDER BY a.at) FROM attempts a WHERE a.tenant_id = $1 AND a.call_id = $2),
			'lane', (SELECT to_jsonb(l) FROM lanes l WHERE l.tenant_id = $1))::text`, s.tenant.UUID(), id.UUID())
}

func (s *shop) untilSettled(ids ...call.ID) {
	s.t.Helper()
	for _, id := range ids {
		s.untilStatus(id, delivery.Delivered)
	}
}

func (s *shop) records(module string) []sandboxtest.Record {
	s.t.Helper()
	return s.zoho.Control.Records(s.org, module)
}

// holds fails the test unless the organisation holds so many records of each module.
func (s *shop) holds(want map[string]int) {
	s.t.Helper()
	for module, n := range want {
		if got := s.records(module); len(got) != n {
			s.t.Errorf("%d records of %s, want %d: %v", len(got), module, n, brief(got))
		}
	}
}

func brief(records []sandboxtest.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "{%s %s %s %s}", r.ID(), r.Text("Last_Name"), r.Text("Phone"), r.Text("Subject"))
	}
	return b.String()
}

func (s *shop) tenantNow() (tenant.Tenant, error) {
	var t tenant.Tenant
	err := s.db.InTenant(context.Background(), s.tenant, func(tx pgx.Tx) error {
		var err error
		t, err = tenant.Get(context.Background(), tx, s.tenant)
		return err
	})
	return t, err
}
