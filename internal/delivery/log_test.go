package delivery_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/fault"
)

func TestLogIsFoundByNumberInAnySpellingNameAndIds(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receive(sarah())
	other := from(number(1))
	other.FirstName, other.LastName, other.CallerName, other.ProviderCallID = "", "", "Bo 100% Berg", "np_other"
	second := s.receive(other)
	s.untilSettled(id, second)
	story := s.story(id)
	for _, c := range []struct {
		q    string
		want call.ID
	}{
		{"+14155550123", id}, {"(415) 555-0123", id}, {"415.555.0123", id}, {"1 415 555 0123", id}, {"4155550123", id},
		{"johnson", id}, {"Sarah J", id}, {"SAR", id}, {"Bo 100%", second}, {"berg", second},
		{story.ZohoIDs[0], id}, {story.ZohoIDs[1], id}, {id.String(), id}, {"np_other", second},
	} {
		page := s.list(delivery.Filter{Q: c.q})
		if len(page.Calls) != 1 || page.Calls[0].ID != c.want {
			t.Errorf("%q finds %d calls, not the one", c.q, len(page.Calls))
		}
	}
	for _, q := range []string{"nobody", "_", "+14155559999", "5725768000000999999"} {
		if page := s.list(delivery.Filter{Q: q}); len(page.Calls) != 0 {
			t.Errorf("%q finds %d calls", q, len(page.Calls))
		}
	}
}

func TestLogIsNarrowedByFiltersAndPagedByKey(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	var ids []call.ID
	for i := range 7 {
		ids = append(ids, s.receive(from(number(i))))
	}
	hidden := sarah()
	hidden.From, hidden.Withheld = "", true
	ignored := s.receive(hidden)
	s.untilSettled(ids...)
	s.untilStatus(ignored, delivery.Ignored)

	var seen []call.ID
	for cursor, pages := "", 0; ; pages++ {
		page := s.list(delivery.Filter{Limit: 3, Cursor: cursor})
		for _, r := range page.Calls {
			seen = append(seen, r.ID)
		}
		if page.Next == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		cursor = page.Next
	}
	if len(seen) != 8 || seen[0] != ignored || seen[7] != ids[0] {
		t.Errorf("paged %d calls", len(seen))
	}
	first := s.list(delivery.Filter{Status: delivery.Ignored})
	if len(first.Calls) != 1 || first.Calls[0].ID != ignored {
		t.Errorf("ignored lists %d calls", len(first.Calls))
	}
	rule := s.story(ids[0]).Rule
	if page := s.list(delivery.Filter{Rule: rule, Status: delivery.Delivered}); len(page.Calls) != 7 {
		t.Errorf("rule %q lists %d calls", rule, len(page.Calls))
	}
	if page := s.list(delivery.Filter{Since: time.Now().Add(time.Hour)}); len(page.Calls) != 0 {
		t.Errorf("calls of the future: %d", len(page.Calls))
	}
	if page := s.list(delivery.Filter{Source: s.source, Until: time.Now().Add(time.Hour)}); len(page.Calls) != 8 {
		t.Errorf("the source lists %d calls", len(page.Calls))
	}
	shop, err := s.tenantNow()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []delivery.Filter{{Status: "lost"}, {Cursor: "x"}} {
		if _, err := delivery.ListCalls(t.Context(), s.db.DB, shop, f); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", f, err)
		}
	}
	counts, err := delivery.Stats(t.Context(), s.db.DB, s.tenant)
	if err != nil || counts.ByStatus[delivery.Delivered] != 7 || counts.ByStatus[delivery.Ignored] != 1 || counts.OldestUndelivered != 0 {
		t.Errorf("counts %+v %v", counts, err)
	}
	figures, err := delivery.FiguresSince(t.Context(), s.db.DB, s.tenant, time.Now().Add(-90*time.Minute))
	if err != nil || figures.Received != 8 || figures.Delivered != 7 || figures.Median <= 0 || len(figures.Hours) != 2 {
		t.Errorf("figures %+v %v", figures, err)
	}
}

func TestStoryTellsWhyAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	story := s.story(id)
	if story.Decision == nil || len(story.Decision.Decision.Trace.Rules) == 0 || story.Decision.Facts.Call.LastName != "Johnson" {
		t.Errorf("decision %+v", story.Decision)
	}
	if len(story.Deliveries) != 2 || story.Deliveries[0].Module != "Leads" || story.Deliveries[0].ZohoID == "" || story.Deliveries[0].Fields["Last_Name"] != "Johnson" {
		t.Errorf("deliveries %+v", story.Deliveries)
	}
	writes := 0
	for _, a := range story.Attempts {
		if strings.Contains(a.Request+a.Response+a.Path, "1000.") {
			t.Errorf("a token stands in %s %s", a.Method, a.Path)
		}
		if a.Purpose == "write" {
			writes++
			if len(a.Slots) != 1 || a.Request == "" || a.Response == "" || a.Status != 201 {
				t.Errorf("attempt %+v", a)
			}
		}
	}
	if writes != 2 {
		t.Errorf("%d writes", writes)
	}
	names := make([]string, len(story.Stages))
	for i, stage := range story.Stages {
		names[i] = stage.Name
	}
	if got := strings.Join(names, ", "); got != "received, asked Zoho, decided, Leads written, Calls written, delivered" {
		t.Errorf("stages: %s", got)
	}
	if _, err := delivery.ShowCall(t.Context(), s.db.DB, s.keys, s.tenant, call.ID{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a call that is not there: %v", err)
	}
}

func TestNothingOfAnotherTenantIsShown(t *testing.T) { // I7
	t.Parallel()
	w := newWorld(t)
	a, b := w.newShop(), w.newShop()
	w.start(w.worker())
	id := b.receive(sarah())
	b.untilSettled(id)
	if page := a.list(delivery.Filter{Q: "Johnson"}); len(page.Calls) != 0 {
		t.Error("found by name")
	}
	if _, err := delivery.ShowCall(t.Context(), w.db.DB, w.keys, a.tenant, id); fault.KindOf(err) != fault.NotFound {
		t.Errorf("shown: %v", err)
	}
	if err := delivery.Replay(t.Context(), w.db.DB, a.tenant, id, delivery.ConfigCurrent, "x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("replayed: %v", err)
	}
	counts, err := delivery.Stats(t.Context(), w.db.DB, a.tenant)
	if err != nil || counts.ByStatus[delivery.Delivered] != 0 {
		t.Errorf("counted: %+v %v", counts, err)
	}
}

func TestFeedTellsEachChangeOfTheTenantsOwnCalls(t *testing.T) { // TI9, P19
	t.Parallel()
	w := newWorld(t)
	s, other := w.newShop(), w.newShop()
	ear := delivery.NewListener(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, w.db.AppURL) }, w.log)
	feed := delivery.NewFeed(w.db.DB, ear)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { ear.Run(ctx) })
	defer done.Wait()
	defer cancel()
	began := time.Now().Add(-time.Minute)
	watch := feed.Watch(s.tenant, began)
	defer watch.Close()
	w.start(w.worker(func(d *delivery.Deps) { d.Listener = ear }))
	id := s.receive(sarah())
	other.receive(sarah())
	var seen []string
	for len(seen) == 0 || seen[len(seen)-1] != delivery.Delivered {
		select {
		case <-watch.Knocks():
		case <-time.After(30 * time.Second):
			t.Fatalf("silent after %v", seen)
		}
		rows, err := watch.Changed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.ID != id {
				t.Errorf("told of call %s", r.ID)
			}
			if n := len(seen); n == 0 || seen[n-1] != r.Status {
				seen = append(seen, r.Status)
			}
		}
	}
	again := feed.Watch(s.tenant, began) // a page that comes back catches up
	defer again.Close()
	<-again.Knocks()
	if rows, err := again.Changed(ctx); err != nil || len(rows) != 1 || rows[0].Status != delivery.Delivered {
		t.Errorf("caught up with %v %v", rows, err)
	}
	feed.Close()
	select {
	case <-watch.Ended():
	case <-time.After(10 * time.Second):
		t.Error("the watch goes on after the feed is closed")
	}
}

func TestReplayIsForCallsThatAreNotOnTheirWay(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	id := s.receive(sarah())
	if err := delivery.Replay(t.Context(), s.db.DB, s.tenant, id, delivery.ConfigCurrent, "x"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an open call: %v", err)
	}
	if err := delivery.Replay(t.Context(), s.db.DB, s.tenant, id, "yesterday", "x"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an unknown configuration: %v", err)
	}
}

// A million calls: HOOKLINE_LOG_ROWS=1000000 go test -run MillionCalls -timeout 30m.
func TestLogPageIsFastWithAMillionCalls(t *testing.T) { // Q4
	rows := os.Getenv("HOOKLINE_LOG_ROWS")
	if rows == "" {
		t.Skip("HOOKLINE_LOG_ROWS is not set")
	}
	s := newWorld(t).newShop()
	conn, err := pgx.Connect(t.Context(), s.db.SuperURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at, status, caller_key, number, name, rule, outcome, revision, done_revision, call)
		SELECT $1, gen_random_uuid(), $2, 'old_' || n, now() - n * interval '30 seconds',
		       CASE WHEN n % 5000 = 0 THEN 'needs_attention' WHEN n % 20 = 0 THEN 'ignored' ELSE 'delivered' END,
		       '+1415' || lpad((n % 300000)::text, 7, '2'), '+1415' || lpad((n % 300000)::text, 7, '2'),
		       (ARRAY['Sarah','Bo','Ana','Li','Omar'])[1 + n % 5] || ' ' || chr(65 + n % 26) || 'son' || n % 4000, 'New caller', 'Lead created', 1, 1,
		       jsonb_build_object('summary', repeat('words ', 50))
		  FROM generate_series(1, $3::int) AS n`, s.tenant.UUID(), s.source, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO call_words (tenant_id, word, received_at, call_id)
		SELECT tenant_id, word, received_at, id FROM calls, unnest(string_to_array(lower(name), ' ')) AS word`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `VACUUM ANALYZE calls, call_words`); err != nil {
		t.Fatal(err)
	}
	deep := s.list(delivery.Filter{Limit: 200}).Next
	for name, f := range map[string]delivery.Filter{
		"newest": {}, "next page": {Cursor: deep}, "needs attention": {Status: delivery.NeedsAttention}, "ignored": {Status: delivery.Ignored},
		"held": {Status: delivery.Held}, "rule": {Rule: "New caller"}, "no such rule": {Rule: "Another"}, "number": {Q: "(415) 222-0123"},
		"name": {Q: "Sarah"}, "rare name": {Q: "Qson3811"}, "no such name": {Q: "zebra"}, "an old day": {Since: time.Now().AddDate(0, 0, -200), Until: time.Now().AddDate(0, 0, -199)},
	} {
		var took []time.Duration
		for range 40 {
			began := time.Now()
			s.list(f)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		t.Logf("%-16s p50 %s p95 %s", name, took[20].Round(100*time.Microsecond), took[38].Round(100*time.Microsecond))
	}
	for name, ask := range map[string]func() error{
		"stats": func() error { _, err := delivery.Stats(t.Context(), s.db.DB, s.tenant); return err },
		"figures": func() error {
			_, err := delivery.FiguresSince(t.Context(), s.db.DB, s.tenant, time.Now().Add(-24*time.Hour))
			return err
		},
		"needs": func() error { _, err := delivery.Needs(t.Context(), s.db.DB, s.tenant); return err },
	} {
		began := time.Now()
		if err := ask(); err != nil {
			t.Error(err)
		}
		t.Logf("%-16s %s", name, time.Since(began).Round(100*time.Microsecond))
	}
}
