package connection_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"hookline/internal/connection"
	"hookline/internal/zoho"
)

func TestFortyCallersOnTwoPoolsRefreshOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.control(http.MethodPost, "/_sandbox/settings", map[string]any{"concurrency": 100}, nil) // for the organisation to come
	w.connect("")
	w.exec(`UPDATE connections SET access_expires_at = now() - interval '1 second' WHERE tenant_id = $1`, w.tenant.UUID())
	before := w.tokenRequests()
	processes := []*connection.Connections{w.another(w.db), w.another(w.secondPool())}
	var callers sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		callers.Go(func() { _, errs[i] = processes[i%2].API(w.tenant, nil).Org(t.Context()) })
	}
	callers.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if n := w.tokenRequests() - before; n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestFiftyRefusedTokensRefreshOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	before := w.tokenRequests()
	w.control(http.MethodPost, "/_sandbox/expire", nil, nil)
	var callers sync.WaitGroup
	errs := make([]error, 50)
	limit := make(chan struct{}, 5)
	for i := range errs {
		callers.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			_, errs[i] = w.link.API(w.tenant, nil).Org(t.Context())
		})
	}
	callers.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if n := w.tokenRequests() - before; n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestATokenIsRefreshedInItsLastFiveMinutes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		left string
		want int
	}{"six minutes left": {"6 minutes", 0}, "four minutes left": {"4 minutes", 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.connect("")
			before := w.tokenRequests()
			w.exec(`UPDATE connections SET access_expires_at = now() + $2::interval WHERE tenant_id = $1`, w.tenant.UUID(), tt.left)
			if _, err := w.another(w.db).API(w.tenant, nil).Org(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := w.tokenRequests() - before; n != tt.want {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

func TestAnEarlyRefreshThatFailsLeavesTheOldTokenInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	w.exec(`UPDATE connections SET access_expires_at = now() + interval '4 minutes' WHERE tenant_id = $1`, w.tenant.UUID())
	w.control(http.MethodPost, "/_sandbox/faults", []map[string]any{{
		"match": map[string]string{"method": "POST", "path": "/eu/oauth/v2/token"}, "times": 1000, "kind": "status", "status": 502, "body": "<html>", "effect": "none",
	}}, nil)
	if _, err := w.another(w.db).API(w.tenant, nil).Org(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := w.get(); c.Status != connection.Connected {
		t.Errorf("status %s", c.Status)
	}
}

func TestAWithdrawnConsentHoldsTheLinkAfterOneQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.connect("")
	before := w.tokenRequests()
	w.control(http.MethodPost, "/_sandbox/revoke", nil, nil)
	for range 5 {
		if _, err := w.link.API(w.tenant, nil).Org(t.Context()); classOf(err) != zoho.Token {
			t.Errorf("got %v", err)
		}
	}
	if n := w.tokenRequests() - before; n != 1 {
		t.Errorf("%d token requests", n)
	}
	c := w.get()
	if c.Status != connection.NeedsReconnect || c.Reason == "" || w.lost.Load() != 1 || w.audited("zoho.lost") != 1 {
		t.Errorf("status %s %q, told %d times, audited %d times", c.Status, c.Reason, w.lost.Load(), w.audited("zoho.lost"))
	}
	asked := w.requests(http.MethodGet, "/org")
	if _, err := w.link.API(w.tenant, nil).Org(t.Context()); classOf(err) != zoho.Token || w.requests(http.MethodGet, "/org") != asked {
		t.Errorf("Zoho was asked for a withdrawn link: %v", err)
	}
	if again := w.connect(first.OrgID); again.Status != connection.Connected || w.woken.Load() != 2 {
		t.Errorf("after reconnecting: %s, woken %d times", again.Status, w.woken.Load())
	}
}

func TestThrottledRefreshesWaitAndAreNoLostLink(t *testing.T) {
	t.Parallel()
	l, base := newLying(t)
	w := newWorldAt(t, base)
	l.says(func(url.Values) (int, string) { return 200, tokens(base+"/eu", "1") })
	w.finish(connection.Callback{State: w.begin(), Code: "c", Location: "eu", AccountsServer: base + "/eu"})
	before := l.count("/oauth/v2/token")
	l.says(func(url.Values) (int, string) { return 400, `{"error":"Access Denied","status":"failure"}` })
	w.exec(`UPDATE connections SET access_expires_at = now() WHERE tenant_id = $1`, w.tenant.UUID())
	for range 3 {
		_, err := w.another(w.db).API(w.tenant, nil).Org(t.Context())
		e := asZoho(t, err)
		if e.Class != zoho.Limited || e.RetryAfter < 9*time.Minute || e.RetryAfter > 10*time.Minute {
			t.Errorf("got %v, wait %s", err, e.RetryAfter)
		}
	}
	if n := l.count("/oauth/v2/token") - before; n != 1 {
		t.Errorf("%d token requests", n)
	}
	if c := w.get(); c.Status != connection.Connected {
		t.Errorf("status %s", c.Status)
	}
}

func TestAccountsThatAreAwayAreAskedLessAndLess(t *testing.T) {
	t.Parallel()
	l, base := newLying(t)
	w := newWorldAt(t, base)
	l.says(func(url.Values) (int, string) { return 200, tokens(base+"/eu", "1") })
	w.finish(connection.Callback{State: w.begin(), Code: "c", Location: "eu", AccountsServer: base + "/eu"})
	l.says(func(url.Values) (int, string) { return 502, `<html>` })
	w.exec(`UPDATE connections SET access_expires_at = now() WHERE tenant_id = $1`, w.tenant.UUID())
	later := w.another(w.db)
	for want := 2.0; want < 300; want *= 2 {
		if _, err := later.API(w.tenant, nil).Org(t.Context()); classOf(err) != zoho.Transient {
			t.Fatalf("got %v", err)
		}
		wait := value[float64](w, `SELECT EXTRACT(EPOCH FROM refresh_after - now())::float8 FROM connections WHERE tenant_id = $1`, w.tenant.UUID())
		if expected := min(want, 120); wait > expected || wait < expected-2 {
			t.Errorf("waits %.1f s, want %.0f", wait, expected)
		}
		w.exec(`UPDATE connections SET refresh_after = now() WHERE tenant_id = $1`, w.tenant.UUID())
	}
	l.says(func(url.Values) (int, string) { return 200, tokens(base+"/eu", "2") })
	if _, err := later.API(w.tenant, nil).Org(t.Context()); err != nil {
		t.Errorf("back again: %v", err)
	}
}

func TestAnOlderTokenNeverOverwritesANewerOne(t *testing.T) {
	t.Parallel()
	l, base := newLying(t)
	w := newWorldAt(t, base)
	connect := func(name string) {
		l.says(func(url.Values) (int, string) { return 200, tokens(base+"/eu", name) })
		if o, err := w.finish(connection.Callback{State: w.begin(), Code: "c" + name, Location: "eu", AccountsServer: base + "/eu"}); err != nil || o.Result != connection.Linked {
			t.Fatalf("got %+v %v", o, err)
		}
	}
	connect("1")
	w.exec(`UPDATE connections SET access_expires_at = now() WHERE tenant_id = $1`, w.tenant.UUID())
	arrived, release := make(chan struct{}), make(chan struct{})
	l.says(func(form url.Values) (int, string) {
		close(arrived)
		<-release
		return 200, tokens(base+"/eu", "late")
	})
	late := w.another(w.db)
	done := make(chan error)
	go func() { _, err := late.API(w.tenant, nil).Org(t.Context()); done <- err }()
	<-arrived
	connect("2")
	sealed := value[[]byte](w, `SELECT access_sealed FROM connections WHERE tenant_id = $1`, w.tenant.UUID())
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the late caller: %v", err)
	}
	if string(value[[]byte](w, `SELECT access_sealed FROM connections WHERE tenant_id = $1`, w.tenant.UUID())) != string(sealed) {
		t.Error("the late answer replaced the newer token")
	}
}

func TestARefreshThatDiedIsFollowedWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	w.exec(`UPDATE connections SET access_expires_at = now(), refresh_until = now() + interval '400 milliseconds', refresh_fence = refresh_fence + 1 WHERE tenant_id = $1`, w.tenant.UUID())
	before := w.tokenRequests()
	if _, err := w.another(w.db).API(w.tenant, nil).Org(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.tokenRequests() - before; n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestARefreshThatNamesAForeignHostClosesTheLink(t *testing.T) {
	t.Parallel()
	trap := newTrap(t)
	l, base := newLying(t)
	w := newWorldAt(t, base)
	l.says(func(url.Values) (int, string) { return 200, tokens(base+"/eu", "1") })
	w.finish(connection.Callback{State: w.begin(), Code: "c", Location: "eu", AccountsServer: base + "/eu"})
	l.says(func(url.Values) (int, string) { return 200, tokens(trap.URL, "2") })
	w.exec(`UPDATE connections SET access_expires_at = now() WHERE tenant_id = $1`, w.tenant.UUID())
	if _, err := w.another(w.db).API(w.tenant, nil).Org(t.Context()); classOf(err) != zoho.Token {
		t.Errorf("got %v", err)
	}
	if c := w.get(); c.Status != connection.Failed || trap.dials.Load() != 0 {
		t.Errorf("status %s, %d dials", c.Status, trap.dials.Load())
	}
}

func TestMetadataIsAskedOnceAnHourAndAnewWhenForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	count := func() int { return w.requests(http.MethodGet, "/settings/fields") }
	before := count()
	md, err := w.link.Metadata(t.Context(), w.tenant, "Deals")
	if err != nil {
		t.Fatal(err)
	}
	stage, ok := md.Field("Stage")
	if !ok || len(stage.Picklist) == 0 || len(md.Pipelines) == 0 || len(md.Pipelines[0].Stages) == 0 {
		t.Errorf("got %+v %+v", stage, md.Pipelines)
	}
	again, err := w.link.Metadata(t.Context(), w.tenant, "Deals")
	if err != nil || len(again.Fields) != len(md.Fields) || count() != before+1 {
		t.Errorf("asked %d times, %v", count()-before, err)
	}
	if err := w.link.Forget(t.Context(), w.tenant, "Deals"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.link.Metadata(t.Context(), w.tenant, "Deals"); err != nil || count() != before+2 {
		t.Errorf("asked %d times, %v", count()-before, err)
	}
	w.age("61 minutes")
	if _, err := w.link.Metadata(t.Context(), w.tenant, "Deals"); err != nil || count() != before+3 {
		t.Errorf("asked %d times, %v", count()-before, err)
	}
	for i, since := range []string{"59 seconds", "61 seconds"} { // a mapping that is refused with every call
		w.exec(`UPDATE zoho_modules SET forgotten_at = now() - $2::text::interval WHERE tenant_id = $1`, w.tenant.UUID(), since)
		if err := w.link.Forget(t.Context(), w.tenant, "Deals"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.link.Metadata(t.Context(), w.tenant, "Deals"); err != nil || count() != before+3+i {
			t.Errorf("forgotten %s ago: asked %d times, %v", since, count()-before, err)
		}
	}
}

func TestCreditsOfOurOwnRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	before := w.get().Budget.Used
	if err := w.link.Probe(t.Context(), w.tenant); err != nil {
		t.Fatal(err)
	}
	if n := w.get().Budget.Used - before; n != 10 {
		t.Errorf("counted %d credits", n)
	}
}
