package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// backlog receives the first calls of n new callers while nobody works.
func (s *shop) backlog(n int) []call.ID { return s.backlogFrom(0, n) }

func (s *shop) backlogFrom(first, n int) []call.ID {
	var ids []call.ID
	for i := first; i < first+n; i++ {
		c := from(number(i))
		c.Email = fmt.Sprintf("caller%d@example.com", i)
		c.Summary = "Asks about delivery " + number(i) + "."
		ids = append(ids, s.receive(c))
	}
	return ids
}

func (s *shop) credits() int { return s.zoho.Control.Stats(s.org).CreditsUsed }

func TestWaitingCallsShareRequestsAndEachKeepsItsOwnPart(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 20})
	known := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "(415) 555-1003"})[0]
	const calls = 40
	ids := s.backlog(calls)
	before := s.credits()
	stop := s.start(s.worker())
	s.untilSettled(ids...)
	stop()
	s.holds(map[string]int{"Leads": calls - 1, "Calls": calls, "Contacts": 1})
	perCall := float64(s.credits()-before) / calls
	t.Logf("%.2f credits a call of a new caller, with %d waiting", perCall, calls)
	if perCall > 4.5 {
		t.Errorf("%.2f credits a call: requests were not shared", perCall)
	}
	if peak := s.zoho.Control.Stats(s.org).PeakConcurrency; peak > 4 {
		t.Errorf("%d requests at once, of which a lane has 4", peak)
	}
	shared, credits := 0, 0
	for i, id := range ids {
		story := s.story(id)
		for _, a := range story.Attempts {
			credits += a.Credits
			if a.Calls > 1 {
				shared++
			}
			if a.Outcome != "ok" {
				t.Errorf("%s %s: %s", a.Method, a.Path, a.Outcome)
			}
			for j := range ids {
				if i != j && (strings.Contains(a.Request, number(j)) || strings.Contains(a.Response, number(j))) {
					t.Fatalf("the log of %s tells of %s: %s %s", number(i), number(j), a.Request, a.Response)
				}
			}
		}
		if i == 3 && (story.Decision.Facts.Match.Contact == nil || story.Decision.Facts.Match.Contact.ID != known) {
			t.Errorf("the Contact's call was decided for %+v", story.Decision.Facts.Match)
		}
		for _, d := range story.Deliveries {
			if d.Module == "Leads" && !strings.HasSuffix(number(i), strings.TrimPrefix(d.Fields["Phone"].(string), "+1")) {
				t.Errorf("%s got the Lead of %s", number(i), d.Fields["Phone"])
			}
		}
	}
	s.logIsTrue(ids...)
	if shared < calls {
		t.Errorf("only %d attempts were shared", shared)
	}
	if used := s.credits() - before; credits < used-20 || credits > used { // the rest is for metadata
		t.Errorf("the log counts %d credits, Zoho %d", credits, used)
	}
}

func TestOneRefusedRecordOfASharedInsertStandsAlone(t *testing.T) { // Z9
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 20, "unique": map[string]any{"Leads": []string{"Email"}}})
	s.zoho.Control.Put(s.org, "Leads", sandboxtest.Record{"Last_Name": "Earlier", "Email": "taken@example.com"})
	ids := s.backlog(20)
	c := from(number(20))
	c.Email = "taken@example.com"
	refused := s.receive(c)
	ids = append(ids, s.backlogFrom(21, 10)...)
	s.start(s.worker())
	s.untilSettled(ids...)
	s.untilStatus(refused, delivery.NeedsAttention)
	s.holds(map[string]int{"Leads": 31, "Calls": 30})
	for _, a := range s.story(refused).Attempts {
		if wrote := a.Purpose == "write"; wrote != (a.Outcome == "refused") {
			t.Errorf("%s %s: %s", a.Method, a.Path, a.Outcome)
		}
	}
}

func TestALostAnswerOfASharedInsertDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, effect := range []string{"none", "after"} {
		t.Run(effect, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).newShop()
			s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 20})
			for _, module := range []string{"Leads", "Calls"} {
				s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf(module), Skip: 1, Times: 1, Kind: "reset", Effect: effect})
			}
			ids := s.backlog(20)
			s.start(s.worker(func(d *delivery.Deps) { d.Gap = 200 * time.Millisecond }))
			s.untilSettled(ids...)
			s.holds(map[string]int{"Leads": 20, "Calls": 20})
			s.logIsTrue(ids...)
		})
	}
}

// watchedTransport counts the requests that are with Zoho at the same time, searches and queries apart.
type watchedTransport struct {
	mu                 sync.Mutex
	all, heavy         int
	mostAll, mostHeavy int
}

func (w *watchedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	heavy := 0
	if strings.HasSuffix(r.URL.Path, "/coql") || strings.HasSuffix(r.URL.Path, "/search") {
		heavy = 1
	}
	count := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all, w.heavy = w.all+n, w.heavy+n*heavy
		w.mostAll, w.mostHeavy = max(w.mostAll, w.all), max(w.mostHeavy, w.heavy)
	}
	if strings.HasPrefix(r.URL.Path, "/crm/") {
		count(1)
		defer count(-1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestALaneHasFourRequestsAtZohoAndTwoThatSearch(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 30})
	credentials, err := connection.SandboxClient(t.Context(), s.zoho.URL)
	if err != nil {
		t.Fatal(err)
	}
	watched := &watchedTransport{}
	link := connection.New(connection.Deps{DB: s.db.DB, Keys: s.keys, OAuth: credentials, BaseURL: "http://127.0.0.1:8080", Log: s.log, Connected: delivery.Resume,
		Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(s.zoho.URL), HTTP: &http.Client{Transport: watched}})})
	var ids []call.ID
	for n := range 40 {
		c := from(number(n))
		if n%2 == 0 { // each of these has a Contact of its own to be looked at
			s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": string(c.From)})
		}
		ids = append(ids, s.receive(c))
	}
	s.start(s.worker(func(d *delivery.Deps) { d.Connections = link }))
	s.untilSettled(ids...)
	if watched.mostAll > 4 || watched.mostHeavy != 2 {
		t.Errorf("%d requests at once, %d of them searches; want at most four, and two", watched.mostAll, watched.mostHeavy)
	}
}

func TestNothingIsSentBeforeTheTimeThatZohoAsksFor(t *testing.T) { // I9
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 20})
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Leads"), Skip: 1, Times: 1, Kind: "status", Status: 429, Effect: "none",
		Headers: map[string]string{"Retry-After": "2"}})
	ids := s.backlog(40)
	s.start(s.worker())
	refused := func() time.Time {
		at := value[*time.Time](s, `SELECT min(at + duration_ms * interval '1 ms') FROM attempts WHERE tenant_id = $1 AND status = 429`, s.tenant.UUID())
		if at == nil {
			return time.Time{}
		}
		return *at
	}
	s.until("the refusal", func() bool { return !refused().IsZero() })
	s.untilSettled(ids...)
	early := value[int](s, `SELECT count(*) FROM attempts WHERE tenant_id = $1 AND at > $2::timestamptz + interval '200 ms' AND at < $2::timestamptz + interval '1900 ms'`, s.tenant.UUID(), refused())
	if early > 0 {
		t.Errorf("%d requests within the two seconds that Zoho asked for", early)
	}
	s.holds(map[string]int{"Leads": 40, "Calls": 40})
}

func TestAMissingRightForAModuleAsideHoldsUpOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	f := failing(writeOf("Deals"))
	f.Status, f.Body = 401, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"invalid oauth scope to access this URL","status":"error"}`
	s.zoho.Control.Faults(s.org, f)
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155551001"})
	buyer := from("+14155551001")
	buyer.Transcript = []call.Turn{{Role: call.Caller, Text: "I want to buy fifty seats, send me a quote."}}
	s.start(s.worker())
	aside := s.receive(buyer)
	s.untilStatus(aside, delivery.NeedsAttention)
	if c := s.story(aside).Cause; c.Link != "/zoho" || !strings.Contains(c.Sentence, "Connect Zoho again") {
		t.Errorf("%+v", c)
	}
	s.untilSettled(s.receive(from("+14155551002")))
}

func TestAContactsSecondNumberWaitsWhileItsDealIsUnsettled(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155551001", "Mobile": "+14155551002"})
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Deals"), Times: 1, Kind: "reset", Effect: "none"})
	buyer := func(number string) call.ID {
		c := from(number)
		c.Transcript = []call.Turn{{Role: call.Caller, Text: "I want to buy fifty seats, send me a quote."}}
		return s.receive(c)
	}
	first := buyer("+14155551001")
	s.start(s.worker(func(d *delivery.Deps) { d.Gap = 500 * time.Millisecond }))
	s.until("a Deal whose answer is lost", func() bool {
		return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND module = 'Deals' AND state = 'unknown'`, s.tenant.UUID()) == 1
	})
	second := buyer("+14155551002")
	s.untilSettled(first, second)
	s.holds(map[string]int{"Deals": 1, "Calls": 2})
}
