package backtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/backtest"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/routing"
)

// calls stores 12 calls: nine of Contacts, three of new callers; one of each is older than a month.
func (s *shop) calls() {
	s.t.Helper()
	var recent []routing.Facts
	for i := range 10 {
		f := s.factsOf("That is all for today.")
		if i < 8 {
			contact(&f)
		}
		recent = append(recent, f)
	}
	s.store(48*time.Hour, recent...)
	old := []routing.Facts{s.factsOf("No."), s.factsOf("No.")}
	contact(&old[0])
	s.store(45*24*time.Hour, old...)
}

func (s *shop) run(scope backtest.Scope, draft config.Set) backtest.Result {
	s.t.Helper()
	r, err := backtest.Run(s.t.Context(), s.db.DB, backtest.Question{Tenant: s.Tenant, Scope: scope, Live: config.Defaults(), Draft: draft, Now: time.Now()}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func TestEveryCallOfTheScopeIsRunOnceAndCounted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.calls()
	s.another().calls()
	draft := quoting()
	r := s.run(backtest.Scope{}, draft)
	if r.Total != 10 || r.Calls != 10 || r.Changed != 8 || r.Failing != 0 || len(r.Changes) != 8 {
		t.Errorf("30 days: %+v", r)
	}
	if len(r.Moves) != 1 || r.Moves[0] != (backtest.Move{From: "Call on Contact", To: "Deal created", Calls: 8}) {
		t.Errorf("%+v", r.Moves)
	}
	want := map[string][2]int{"Call on Contact": {8, 0}, "Deal created": {0, 8}, "Lead created": {2, 2}}
	for _, o := range r.Outcomes {
		if want[o.Outcome] != [2]int{o.Live, o.Draft} {
			t.Errorf("%+v", o)
		}
	}
	// Eight Calls and two Leads with their Calls; the draft's eight Deals and Accounts, which are looked for, on top.
	if c := r.Credits; c.Live != 8+4 || c.Draft != 8*4+4 || c.Days < 1.9 || c.Days > 2.1 || c.LivePerDay < 5.8 || c.LivePerDay > 6.2 {
		t.Errorf("%+v", c)
	}
	for scope, total := range map[backtest.Scope]int{{Days: 90}: 12, {Days: 1}: 0, {Last: 5}: 5, {Last: 100}: 12, {Days: 60}: 12} {
		if r := s.run(scope, draft); r.Total != total || r.Calls != total {
			t.Errorf("%+v: %d of %d", scope, r.Calls, r.Total)
		}
	}
	for _, scope := range []backtest.Scope{{Days: 91}, {Days: -1}, {Last: 100_001}, {Days: 3, Last: 3}} {
		_, err := backtest.Run(t.Context(), s.db.DB, backtest.Question{Tenant: s.Tenant, Scope: scope, Now: time.Now()}, nil)
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", scope, err)
		}
	}

	t.Run("calls that were never decided, or cannot be read, are counted apart", func(t *testing.T) {
		s := s.another()
		s.calls()
		s.exec(`INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at) VALUES ($1, $2, $3, 'waits', clock_timestamp())`,
			s.Tenant.ID.UUID(), uuid.New(), s.source)
		s.exec(`UPDATE calls SET call = '{"transcript": "none"}' WHERE id = (SELECT id FROM calls ORDER BY received_at DESC OFFSET 1 LIMIT 1)`)
		if r := s.run(backtest.Scope{}, draft); r.Total != 11 || r.Undecided != 1 || r.Unreadable != 1 || r.Calls != 9 {
			t.Errorf("%d, %d, %d, %d", r.Total, r.Undecided, r.Unreadable, r.Calls)
		}
	})
	t.Run("the last decision of a call counts", func(t *testing.T) {
		s := s.another()
		f := s.factsOf("No.")
		ids := s.store(time.Hour, f)
		s.exec(`INSERT INTO decisions (tenant_id, call_id, number, version, rule, facts, decision)
			SELECT tenant_id, call_id, 2, 0, '', jsonb_set(facts, '{match}', '{"kind":"contact","contact":{"module":"Contacts","id":"7","name":"Sarah"}}'), '{}' FROM decisions WHERE call_id = $1`, ids[0].UUID())
		if r := s.run(backtest.Scope{}, draft); r.Outcomes[0].Outcome != "Call on Contact" && r.Outcomes[0].Outcome != "Deal created" {
			t.Errorf("%+v", r.Outcomes)
		}
	})
	t.Run("more calls than a page, of the same moment, and of the changed ones the newest are named", func(t *testing.T) {
		s := s.another()
		many := make([]routing.Facts, 1250)
		for i := range many {
			many[i] = s.factsOf("No.")
			many[i].Call.Transcript = nil
			contact(&many[i])
		}
		s.store(2*time.Hour, many...)
		s.exec(`UPDATE calls SET received_at = date_trunc('hour', clock_timestamp() - interval '3 hours')`)
		newest := s.store(time.Minute, s.factsOf("No."))
		draft := config.Defaults()
		draft.Mappings.Modules["Calls"][0].Value = "Another subject"
		r := s.run(backtest.Scope{}, draft)
		if r.Calls != 1251 || r.Changed != 1251 || len(r.Changes) != backtest.KeptChanges || r.Changes[0].ID != newest[0].String() {
			t.Errorf("%d, %d, %d, %v", r.Calls, r.Changed, len(r.Changes), r.Changes[0].CallRef)
		}
		seen := map[string]bool{}
		for _, c := range r.Changes {
			seen[c.ID] = true
		}
		if len(seen) != len(r.Changes) {
			t.Error("a call is named twice")
		}
	})
}

func TestABacktestRunsToItsEndAndIsFoundByRevisionAndVersion(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.calls()
	revision := s.edit(func(set *config.Set) { set.Rules.Phrases = quoting().Rules.Phrases })
	r := s.runner()
	id, err := r.Start(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{Days: 90})
	if err != nil {
		t.Fatal(err)
	}
	b := s.until(id, backtest.Done)
	if b.Revision != revision || b.Version != 0 || b.Result == nil || b.Result.Changed != 9 || b.Done != 12 || b.Total != 12 || b.By != "ann@acme.test" || b.Ended == nil {
		t.Errorf("%+v", b)
	}
	latest := func(s *shop, revision, version int) (b *backtest.Backtest) {
		s.in(func(ctx context.Context, tx pgx.Tx) (err error) {
			b, err = backtest.Latest(ctx, tx, s.Tenant.ID, revision, version)
			return err
		})
		return b
	}
	if b := latest(s, revision, 0); b == nil || b.ID != id {
		t.Errorf("latest: %+v", b)
	}
	if latest(s, revision+1, 0) != nil || latest(s, revision, 1) != nil {
		t.Error("found for what it did not run on")
	}

	t.Run("another tenant sees nothing of it", func(t *testing.T) {
		o := s.another()
		if latest(o, revision, 0) != nil {
			t.Error("latest")
		}
		err := s.db.InTenant(t.Context(), o.Tenant.ID, func(tx pgx.Tx) error {
			_, err := backtest.Read(t.Context(), tx, s.Tenant.ID, id)
			if err := backtest.Cancel(t.Context(), tx, s.Tenant.ID, id); fault.KindOf(err) != fault.NotFound {
				t.Errorf("cancel: %v", err)
			}
			return err
		})
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("the last twenty are kept", func(t *testing.T) {
		for range 22 {
			if b, err := r.Run(t.Context(), s.Tenant, "bob@acme.test", backtest.Scope{Last: 1}); err != nil || b.State != backtest.Done || b.Result.Calls != 1 {
				t.Fatalf("%+v %v", b, err)
			}
		}
		if n := value[int](s, `SELECT count(*) FROM backtests`); n != 20 {
			t.Errorf("%d", n)
		}
	})
}

// halt keeps all backtests from reading calls until it is called again.
func (s *shop) halt() (goOn func()) {
	s.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.db.SuperURL)
	if err != nil {
		s.t.Fatal(err)
	}
	tx, err := conn.Begin(ctx)
	if err == nil {
		_, err = tx.Exec(ctx, `LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE`)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return func() { _ = conn.Close(ctx) }
}

func TestABacktestEndsBeforeItIsDone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.calls()

	t.Run("a tenant has one at a time, and it is cancelled", func(t *testing.T) {
		goOn := s.halt()
		defer goOn()
		r, other := s.runner(), s.runner() // two processes
		id, err := r.Start(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*backtest.Runner{r, other} {
			if _, err := r.Start(t.Context(), s.Tenant, "bob@acme.test", backtest.Scope{}); fault.KindOf(err) != fault.Conflict {
				t.Errorf("a second one: %v", err)
			}
		}
		s.in(func(ctx context.Context, tx pgx.Tx) error { return backtest.Cancel(ctx, tx, s.Tenant.ID, id) })
		r.Close() // returns when it has seen that
		if b := s.read(id); b.State != backtest.Cancelled || b.Result != nil || b.Ended == nil {
			t.Errorf("%+v", b)
		}
	})
	t.Run("who waits for it leaves", func(t *testing.T) {
		goOn := s.halt()
		defer goOn()
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.runner().Run(ctx, s.Tenant, "key", backtest.Scope{})
			left <- err
		}()
		newest := s.newest(func(b *backtest.Backtest) bool { return b != nil && b.By == "key" && b.Total > 0 })
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if b := s.read(newest.ID); b.State != backtest.Cancelled {
			t.Errorf("%+v", b)
		}
	})
	t.Run("its process stops", func(t *testing.T) {
		goOn := s.halt()
		defer goOn()
		r := s.runner()
		id, err := r.Start(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if b := s.read(id); b.State != backtest.Lost {
			t.Errorf("%+v", b)
		}
	})
	t.Run("its process died, and it is run again", func(t *testing.T) {
		dead := uuid.Must(uuid.NewV7())
		s.exec(`INSERT INTO backtests (tenant_id, id, revision, version, scope, asked_by, beat_at)
			VALUES ($1, $2, 0, 0, '{"days":30}', 'ann@acme.test', clock_timestamp() - interval '11 seconds')`, s.Tenant.ID.UUID(), dead)
		if b := s.read(backtest.ID(dead)); b.State != backtest.Lost {
			t.Errorf("%+v", b)
		}
		id, err := s.runner().Start(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		s.until(id, backtest.Done)
		if state := value[string](s, `SELECT state FROM backtests WHERE id = $1`, dead); state != "lost" {
			t.Errorf("%s", state)
		}
	})
	t.Run("given up by another process, it says nothing more", func(t *testing.T) {
		goOn := s.halt()
		defer goOn()
		r := s.runner()
		id, err := r.Start(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		s.exec(`UPDATE backtests SET state = 'lost' WHERE id = $1`, id.UUID())
		goOn()
		r.Close()
		if b := s.read(id); b.State != backtest.Lost || b.Result != nil {
			t.Errorf("%+v", b)
		}
	})
}

func TestWhoWaitsForABacktestThatIsCancelledInItsLastMomentIsTold(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.calls()
	goOn := s.halt()
	ended := make(chan error)
	go func() {
		_, err := s.runner().Run(t.Context(), s.Tenant, "key", backtest.Scope{})
		ended <- err
	}()
	b := s.newest(func(b *backtest.Backtest) bool { return b != nil && b.Total > 0 })
	s.in(func(ctx context.Context, tx pgx.Tx) error { return backtest.Cancel(ctx, tx, s.Tenant.ID, b.ID) })
	goOn()
	if err := <-ended; fault.KindOf(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
}

func TestAPageOfLargeCallsIsShortAndTheyAreAllRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var large []routing.Facts
	for range 25 {
		f := s.factsOf("No.")
		f.Call.Transcript[28].Text = strings.Repeat("and so on ", 100_000)
		large = append(large, f)
	}
	s.store(time.Hour, large...)
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		page, err := delivery.ReadPast(ctx, tx, s.Tenant.ID, time.Time{}, nil, 400)
		if err == nil && (len(page) == 0 || len(page) > 9) {
			t.Errorf("%d calls of a megabyte in a page", len(page))
		}
		return err
	})
	if r := s.run(backtest.Scope{}, quoting()); r.Calls != 25 {
		t.Errorf("%d of 25 calls were run", r.Calls)
	}
}

// newest waits for the newest backtest to be as wanted.
func (s *shop) newest(wanted func(*backtest.Backtest) bool) (b *backtest.Backtest) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s.in(func(ctx context.Context, tx pgx.Tx) (err error) {
			b, err = backtest.Newest(ctx, tx, s.Tenant.ID)
			return err
		})
		if wanted(b) {
			return b
		}
	}
	s.t.Fatalf("the newest never came to be as wanted: %+v", b)
	return nil
}
