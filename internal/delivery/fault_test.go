package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/routing"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func writeOf(module string) sandboxtest.Match {
	return sandboxtest.Match{Method: "POST", Path: "/crm/v8/" + module}
}

// Every way in which the answer to a write gets lost, with and without the write done, for every kind of write.
func TestLostAnswerIsLookedForBeforeAnythingIsSentAgain(t *testing.T) { // P12, P13, Z1–Z3
	t.Parallel()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	w := newWorldAsking(t, &http.Client{Transport: transport, Timeout: 3 * time.Second}) // a hanging Zoho is waited for half a minute else
	w.start(w.worker(func(d *delivery.Deps) { d.Lanes = 200 }))
	type trial struct {
		*shop
		name  string
		calls []call.ID
		want  map[string]int
	}
	var trials []trial
	for i, f := range []sandboxtest.Fault{
		{Kind: "hang"}, {Kind: "reset"}, {Kind: "truncate"}, {Kind: "slow", LatencyMS: 2}, {Kind: "slow", LatencyMS: 1000},
		{Kind: "status", Status: 500}, {Kind: "status", Status: 502, Body: "<html>Bad Gateway</html>"}, {Kind: "status", Status: 503},
		{Kind: "status", Status: 200, Body: " "}, {Kind: "status", Status: 200, Body: `{"data":"SUCCESS"}`}, {Kind: "status", Status: 201, Body: `[1]`},
	} {
		for j, effect := range []string{"none", "after"} {
			f.Effect, f.Times = effect, 1
			strike := func(s *shop, method string, paths ...string) {
				for _, path := range paths {
					f.Match = sandboxtest.Match{Method: method, Path: "/crm/v8/" + path}
					s.zoho.Control.Faults(s.org, f)
				}
			}
			unique := (i+j)%2 == 0
			name := fmt.Sprintf("%s %d %q, written: %s, unique field %v", f.Kind, f.Status, f.Body, effect, unique)

			s := w.newShop()
			if unique {
				s.zoho.Control.Settings(s.org, map[string]any{"unique": map[string][]string{"Leads": {"Hookline_Ref"}, "Calls": {"Hookline_Ref"}, "Deals": {"Hookline_Ref"}}})
			}
			s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": number(1)})
			strike(s, "POST", "Leads", "Calls", "Deals")
			buys := from(number(1))
			buys.Transcript = []call.Turn{{Role: call.Caller, Text: "I want to buy fifty seats, send me a quote."}}
			trials = append(trials, trial{s, name, []call.ID{s.receive(sarah()), s.receive(buys)}, map[string]int{"Leads": 1, "Calls": 2, "Deals": 1}})

			s = w.newShop()
			s.rule(routing.Outcome{Do: routing.MoveStage, Stage: "Proposal/Price Quote"})
			s.dealOf("Qualification", nil)
			strike(s, "PUT", "Deals/*")
			trials = append(trials, trial{s, "a stage: " + name, []call.ID{s.receive(sarah())}, map[string]int{"Deals": 1}})
		}
	}
	strikes := func(s *shop) (n int) {
		for _, line := range s.zoho.Control.Ledger(0) {
			if line.Org == s.org && line.Fault != "" {
				n++
			}
		}
		return n
	}
	for _, s := range trials {
		for _, id := range s.calls {
			deadline := time.Now().Add(90 * time.Second)
			for s.status(id) != delivery.Delivered && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
			}
			if s.status(id) != delivery.Delivered {
				t.Errorf("%s: %s", s.name, s.describe(id))
			}
		}
		for module, n := range s.want {
			if got := s.records(module); len(got) != n {
				t.Errorf("%s: %d records of %s, want %d: %v", s.name, len(got), module, n, brief(got))
			}
		}
		if deals := s.records("Deals"); strings.HasPrefix(s.name, "a stage") && deals[0].Text("Stage") != "Proposal/Price Quote" {
			t.Errorf("%s: the Deal is in %s", s.name, deals[0].Text("Stage"))
		}
		s.logIsTrue(s.calls...)
		if n := strikes(s.shop); n != len(s.want) {
			t.Errorf("%s: %d faults struck, want %d", s.name, n, len(s.want))
		}
	}
}

// logIsTrue checks that what is called delivered stands in the CRM with the id shown (I4).
func (s *shop) logIsTrue(ids ...call.ID) {
	s.t.Helper()
	there := map[string]bool{}
	for _, module := range []string{"Leads", "Contacts", "Accounts", "Deals", "Calls", "Tasks", "Notes"} {
		for _, r := range s.records(module) {
			there[r.ID()] = true
		}
	}
	for _, id := range ids {
		for _, d := range s.story(id).Deliveries {
			if d.State == delivery.Done && !there[d.ZohoID] {
				s.t.Errorf("%s of %s is called done as %s, which is not in Zoho", d.Slot, id, d.ZohoID)
			}
		}
	}
}

func TestWhatCannotBeToldApartGoesToAPerson(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	// A person makes a Lead with the same number and name while the answer to ours is lost.
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Leads"), Times: 1, Kind: "reset", Effect: "none"})
	stop := s.start(s.worker(func(d *delivery.Deps) { d.Gap = time.Second }))
	id := s.receive(sarah())
	s.until("the answer lost", func() bool {
		return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
	})
	theirs := s.zoho.Control.Put(s.org, "Leads", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
	s.untilStatus(id, delivery.NeedsAttention)
	c := s.story(id).Cause
	if c.Code != delivery.CauseUnsettled || len(c.Candidates) != 1 || c.Candidates[0].ID != theirs {
		t.Fatalf("cause is %+v", c)
	}
	s.replay(id) // asking again does not make it blind
	s.untilStatus(id, delivery.NeedsAttention)
	again := sarah()
	again.StartedAt = again.StartedAt.Add(time.Hour)
	waits := s.receive(again)
	s.untilSettled(s.receive(from(number(3))))
	if got := s.status(waits); got != delivery.Received {
		t.Errorf("the caller's next call is %s: it must wait until it is known what there is", got)
	}
	if got := s.story(waits).Behind; got != id {
		t.Errorf("the story says that it waits behind %s, want %s", got, id)
	}
	s.holds(map[string]int{"Leads": 2, "Calls": 1})
	if err := delivery.Settle(t.Context(), s.db.DB, s.tenant, id, "lead", "1", "owner@example.com"); err == nil {
		t.Error("a record that is no candidate was taken")
	}
	if err := delivery.Settle(t.Context(), s.db.DB, s.tenant, id, "lead", theirs, "owner@example.com"); err != nil {
		t.Fatal(err)
	}
	s.bell.Ring(s.tenant)
	s.untilSettled(id, waits)
	s.holds(map[string]int{"Leads": 2, "Calls": 3})
	stop()
}

func TestWithdrawnConsentHoldsTheLaneAndReconnectingDrainsItInOrder(t *testing.T) { // Z7
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	s.zoho.Control.Revoke(s.org)
	s.zoho.Control.Expire(s.org)
	var ids []call.ID
	for i := range 6 {
		c := from(number(i % 2))
		c.StartedAt = c.StartedAt.Add(time.Duration(i) * time.Minute)
		ids = append(ids, s.receive(c))
	}
	s.until("the lane held", func() bool {
		lane, err := delivery.LaneOf(t.Context(), s.db.DB, s.tenant)
		return err == nil && lane.Hold == delivery.HoldReconnect
	})
	counts, err := delivery.Stats(t.Context(), s.db.DB, s.tenant)
	if err != nil || counts.ByStatus[delivery.Held] != 6 {
		t.Fatalf("counts %+v %v", counts, err)
	}
	for _, r := range s.list(delivery.Filter{Status: delivery.Held}).Calls {
		if r.Status != delivery.Held || r.Reason == "" || r.Number == "" {
			t.Errorf("a held call reads %+v", r)
		}
	}
	if n := s.zoho.Control.Stats("").Count("POST", "/oauth/v2/token"); n > 4 {
		t.Errorf("%d token requests", n)
	}
	s.reconnect()
	s.bell.Ring(s.tenant)
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": 3, "Calls": 7})
	lane, err := delivery.LaneOf(t.Context(), s.db.DB, s.tenant)
	if err != nil || lane.Hold != "" {
		t.Errorf("lane is %+v %v", lane, err)
	}
}

// reconnect consents again to the same organisation.
func (s *shop) reconnect() {
	s.t.Helper()
	who := connection.Actor{Name: "owner@example.com"}
	session := []byte("a browser")
	target, err := s.link.Begin(s.t.Context(), s.tenant, who, session)
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		s.t.Fatal(err)
	}
	var got struct {
		Code     string `json:"code"`
		Location string `json:"location"`
		Server   string `json:"accounts-server"`
	}
	s.zoho.Control.Do(http.MethodPost, "grant?org="+s.org, map[string]any{"client_id": s.zoho.Control.Clients()[0].ID,
		"redirect_uri": "http://127.0.0.1:8080/zoho/callback", "scope": strings.Join(connection.Scopes(), ",")}, &got)
	o, err := s.link.Finish(s.t.Context(), s.tenant, who, session, connection.Callback{State: u.Query().Get("state"), Code: got.Code, Location: got.Location, AccountsServer: got.Server})
	if err != nil || o.Result != connection.Linked {
		s.t.Fatalf("not connected again: %+v %v", o, err)
	}
}

func (s *shop) list(f delivery.Filter) delivery.Page {
	s.t.Helper()
	t, err := s.tenantNow()
	if err != nil {
		s.t.Fatal(err)
	}
	page, err := delivery.ListCalls(s.t.Context(), s.db.DB, t, f)
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

func TestCallsBeforeTheFirstConsentAreHeldAndFollow(t *testing.T) {
	t.Parallel()
	s := newWorld(t).unconnected()
	s.start(s.worker())
	id := s.receive(sarah())
	s.until("the lane held", func() bool {
		lane, err := delivery.LaneOf(t.Context(), s.db.DB, s.tenant)
		return err == nil && lane.Hold == delivery.HoldUnconnected
	})
	s.connect()
	s.bell.Ring(s.tenant)
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestLimitMakesTheLaneWaitAndBlamesNoCall(t *testing.T) { // Z4
	t.Parallel()
	for _, style := range []string{"string", "number", "rate_limit"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).newShop()
			s.zoho.Control.Settings(s.org, map[string]any{"style_429": style})
			s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/*"}, Times: 1, Kind: "status", Status: 429, Headers: map[string]string{"Retry-After": "2"},
				Body: `{"code":"TOO_MANY_REQUESTS","details":{},"message":"x","status":"error"}`})
			s.start(s.worker())
			id := s.receive(sarah())
			s.untilSettled(id)
			s.holds(map[string]int{"Leads": 1, "Calls": 1})
			var limited, next time.Time
			for _, line := range s.zoho.Control.Ledger(0) {
				switch {
				case line.Org != s.org:
				case line.Status == 429:
					limited = line.Time
				case !limited.IsZero() && next.IsZero():
					next = line.Time
				}
			}
			if wait := next.Sub(limited); wait < 2*time.Second {
				t.Errorf("asked again after %s", wait)
			}
			if tries := value[int](s, `SELECT tries FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID()); tries != 0 {
				t.Errorf("the call is blamed %d times", tries)
			}
		})
	}
}

func TestExpiredTokenIsRefreshedOnceForAllCalls(t *testing.T) { // Z6, I10
	t.Parallel()
	s := newWorld(t).newShop()
	before := s.zoho.Control.Stats("").Count("POST", "/oauth/v2/token")
	s.zoho.Control.Expire(s.org)
	s.start(s.worker())
	var ids []call.ID
	for i := range 20 {
		ids = append(ids, s.receive(from(number(i))))
	}
	s.untilSettled(ids...)
	if n := s.zoho.Control.Stats("").Count("POST", "/oauth/v2/token") - before; n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestOutageHoldsNobodyElsesLaneAndEnds(t *testing.T) { // I6, Q2
	t.Parallel()
	w := newWorld(t)
	sick, well := w.newShop(), w.newShop()
	w.zoho.Control.Faults(sick.org, sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/*"}, Times: 2, Kind: "status", Status: 503})
	w.start(w.worker(func(d *delivery.Deps) { d.Lanes = 1 }))
	id := sick.receive(sarah())
	var ids []call.ID
	for i := range 10 {
		ids = append(ids, well.receive(from(number(i))))
	}
	well.untilSettled(ids...)
	sick.untilSettled(id)
	sick.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestTenantsTakeTurnsWhenPlacesAreShort(t *testing.T) { // Q1
	t.Parallel()
	w := newWorld(t)
	heavy, light := w.newShop(), w.newShop()
	var waiting []call.ID
	for i := range 60 {
		waiting = append(waiting, heavy.receive(from(number(i))))
	}
	w.zoho.Control.Settings(heavy.org, map[string]any{"latency_ms": 5})
	w.start(w.worker(func(d *delivery.Deps) { d.Lanes = 1; d.Slice = delivery.Slice{Calls: 10, For: time.Minute} }))
	heavy.until("the heavy tenant under way", func() bool { return len(heavy.records("Leads")) > 0 })
	light.untilSettled(light.receive(sarah()))
	if open := value[int](heavy, `SELECT count(*) FROM calls WHERE tenant_id = $1 AND status IN ('received', 'delivering')`, heavy.tenant.UUID()); open == 0 {
		t.Error("the light tenant had to wait for all of the heavy one's calls")
	}
	heavy.untilSettled(waiting...)
	heavy.holds(map[string]int{"Leads": 60, "Calls": 60})
}

func TestLostWakeIsMadeUpForByThePoll(t *testing.T) { // P6
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker()) // no listener: no bell is ever heard
	s.untilSettled(s.receive(sarah()))
}

func TestBellIsHeardBeforeThePoll(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	ear := delivery.NewListener(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, s.db.AppURL) }, s.log)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { ear.Run(ctx) })
	defer done.Wait()
	defer cancel()
	s.start(s.worker(func(d *delivery.Deps) { d.Poll, d.Listener = time.Hour, ear }))
	s.until("listening", func() bool {
		return value[int](s, `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database()`) > 0
	})
	s.untilSettled(s.receive(sarah()))
	s.untilSettled(s.receive(sarah()))
}

func TestStoppedWorkerFinishesWhatItHasInHand(t *testing.T) { // D1
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 100})
	var ids []call.ID
	for i := range 12 {
		ids = append(ids, s.receive(from(number(i))))
	}
	stop := s.start(s.worker())
	s.until("under way", func() bool { return len(s.records("Leads")) > 0 })
	stop()
	if n := value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state IN ('sending', 'unknown')`, s.tenant.UUID()); n != 0 {
		t.Errorf("%d deliveries left in the air", n)
	}
	if owned := value[bool](s, `SELECT owner IS NOT NULL FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()); owned {
		t.Error("the lane is still held")
	}
	s.start(s.worker())
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": 12, "Calls": 12})
}

func TestTwoWorkersShareTheLanesAndWriteEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var shops []*shop
	for range 4 {
		shops = append(shops, w.newShop())
	}
	w.start(w.worker(func(d *delivery.Deps) { d.Lanes = 2; d.Slice.Calls = 5 }))
	w.start(w.worker(func(d *delivery.Deps) { d.Lanes = 2; d.Slice.Calls = 5 }))
	ids := map[*shop][]call.ID{}
	for i := range 20 {
		for _, s := range shops {
			ids[s] = append(ids[s], s.receive(from(number(i%7))))
		}
	}
	for _, s := range shops {
		s.untilSettled(ids[s]...)
		s.holds(map[string]int{"Leads": 7, "Calls": 20})
	}
}
