package backtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"hookline/internal/backtest"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/identity"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/routing"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("hookline/internal/postgres/pgtest.keep"))
}

// shop is a tenant with calls of before.
type shop struct {
	t      testing.TB
	db     *pgtest.Database
	keys   *seal.Keys
	known  *connection.Connections
	log    *slog.Logger
	Tenant tenant.Tenant
	source uuid.UUID
	n      int
}

func newShop(t testing.TB) *shop {
	t.Helper()
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, db: pgtest.NewDatabase(t), keys: keys, log: slog.New(slog.DiscardHandler)}
	s.known = connection.New(connection.Deps{DB: s.db.DB, Keys: keys, BaseURL: "http://127.0.0.1:8080", Log: s.log,
		Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres("http://127.0.0.1:1")})})
	s.open()
	return s
}

// another is a second tenant of the same database.
func (s *shop) another() *shop {
	s.t.Helper()
	o := *s
	o.n = 0
	o.open()
	return &o
}

func (s *shop) open() {
	s.t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		s.t.Fatal(err)
	}
	s.Tenant = tenant.Tenant{ID: tenant.ID(uuid.Must(uuid.NewV7())), Name: "Acme", Country: "US", Zone: zone, Hours: tenant.DefaultHours(),
		TrialEndsAt: time.Now().AddDate(0, 0, 14), CreatedAt: time.Now()}
	s.source = uuid.Must(uuid.NewV7())
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		if err := tenant.Insert(ctx, tx, s.Tenant); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO sources (tenant_id, id, provider, name, key_sealed, secrets_sealed) VALUES ($1, $2, 'native', 'Main line', '', '')`,
			s.Tenant.ID.UUID(), s.source)
		return err
	})
}

func (s *shop) in(fn func(context.Context, pgx.Tx) error) {
	s.t.Helper()
	ctx := context.Background()
	if err := s.db.InTenant(ctx, s.Tenant.ID, func(tx pgx.Tx) error { return fn(ctx, tx) }); err != nil {
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

func value[T any](s *shop, sql string, args ...any) (v T) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&v) })
	return v
}

func (s *shop) runner(change ...func(*backtest.Deps)) *backtest.Runner {
	d := backtest.Deps{DB: s.db.DB, Known: s.known, Log: s.log, Now: time.Now}
	for _, c := range change {
		c(&d)
	}
	r := backtest.New(d)
	s.t.Cleanup(r.Close)
	return r
}

// edit changes the draft and gives its revision.
func (s *shop) edit(change func(*config.Set)) (revision int) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		d, err := config.ReadDraft(ctx, tx, s.Tenant.ID)
		if err != nil {
			return err
		}
		d, err = config.EditDraft(ctx, tx, s.Tenant.ID, "ann@acme.test", d.Revision, func(set *config.Set) (string, error) {
			change(set)
			return "a change", nil
		})
		revision = d.Revision
		return err
	})
	return revision
}

func (s *shop) read(id backtest.ID) (b backtest.Backtest) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		b, err = backtest.Read(ctx, tx, s.Tenant.ID, id)
		return err
	})
	return b
}

// until waits for a state of a backtest.
func (s *shop) until(id backtest.ID, state backtest.State) backtest.Backtest {
	s.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		b := s.read(id)
		if b.State == state {
			return b
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the backtest is %s, not %s", b.State, state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// factsOf are the facts of a new caller's call with a transcript of 30 turns, which asks for what is said.
func (s *shop) factsOf(said string) routing.Facts {
	at := time.Now().Truncate(time.Second)
	f := routing.FactsAt(s.Tenant, at.Add(-10*time.Minute), at)
	f.Match = identity.Match{Kind: identity.Nobody}
	f.Call = call.Call{
		Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: at.Add(-10 * time.Minute), Duration: 245 * time.Second,
		FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example", Summary: "Asks about opening hours and the parking behind the house.",
		Answers: map[string]any{"interest": "Enterprise plan", "timeline": "Q1"},
	}
	for i := range 15 {
		f.Call.Transcript = append(f.Call.Transcript,
			call.Turn{Role: call.Agent, Text: "Thank you, let me note that down for you. Is there anything else that I should tell the team?", At: time.Duration(i*8) * time.Second},
			call.Turn{Role: call.Caller, Text: "Yes, we were at your office last week and left the keys of the small van at the front desk, I think.", At: time.Duration(i*8+4) * time.Second})
	}
	f.Call.Transcript[29].Text = said
	return f
}

// contact makes the caller a known Contact with an open Deal.
func contact(f *routing.Facts) {
	f.Match = identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: "5725767000000111001", Name: "Sarah Johnson",
		Fields: map[string]any{"Modified_Time": "2026-03-01T10:00:00-05:00"}}}
}

// store keeps calls that were decided on those facts so long ago, some at a time as the newest last.
func (s *shop) store(ago time.Duration, all ...routing.Facts) (ids []call.ID) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		for chunk := range slices.Chunk(all, 200) {
			var b pgx.Batch
			for _, f := range chunk {
				s.n++
				f.Call.ProviderCallID = fmt.Sprintf("np_%d", s.n)
				id := call.IDOf(s.source, f.Call.ProviderCallID)
				folded, err := call.MarshalCall(f.Call)
				if err != nil {
					return err
				}
				facts, err := json.Marshal(f)
				if err != nil {
					return err
				}
				b.Queue(`INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at, revision, status, call, name, number)
					VALUES ($1, $2, $3, $4, clock_timestamp() - $5::interval, 1, 'delivered', $6, $7, $8)`,
					s.Tenant.ID.UUID(), id.UUID(), s.source, f.Call.ProviderCallID, ago, folded, f.Call.FirstName+" "+f.Call.LastName, string(f.Call.Customer()))
				b.Queue(`INSERT INTO decisions (tenant_id, call_id, number, version, rule, facts, decision) VALUES ($1, $2, 1, 0, '', $3, '{}')`,
					s.Tenant.ID.UUID(), id.UUID(), facts)
				ids = append(ids, id)
			}
			if err := tx.SendBatch(ctx, &b).Close(); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}
