package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"hookline/internal/account"
	"hookline/internal/harness/browser"
	"hookline/internal/intake"
	"hookline/internal/server/servertest"
)

// addSource adds a source by the form and gives its address.
func addSource(t *testing.T, b *servertest.Browser, form url.Values) string {
	t.Helper()
	p := b.Post("/sources", form)
	if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, "/sources/") {
		t.Fatalf("adding a source: %d to %q\n%s", p.Status, p.Location, p.Body)
	}
	return p.Location
}

func must(t *testing.T, p servertest.Page, texts ...string) {
	t.Helper()
	if p.Status != http.StatusOK {
		t.Errorf("answers %d", p.Status)
	}
	for _, text := range texts {
		if !strings.Contains(p.Body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func TestSourceIsAddedUsedRotatedAndDeletedOnItsPage(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	must(t, owner.Get("/sources"), "Which phone system answers your calls?", "NextPhone", "Retell AI", "Your own system")
	must(t, owner.Get("/sources/new?provider=nextphone"), "Add NextPhone")
	source := addSource(t, owner, url.Values{"provider": {"nextphone"}, "name": {"Front desk"}})
	p := owner.Get(source)
	must(t, p, "Front desk", s.URL+"/in/in_", "Authorization: Bearer hks_", "{{full_transcript}}", "Waiting for the first call", `hx-trigger="every 2s"`, "Add HTTP Webhook",
		"Emergency", "Hidden number", "every call ends")

	for _, preset := range intake.Presets() {
		p := owner.Post(source+"/simulate", url.Values{"preset": {preset.Name}})
		if p.Status != http.StatusSeeOther || !strings.Contains(p.Location, "?sent=") {
			t.Fatalf("%s: %d to %q\n%s", preset.Name, p.Status, p.Location, p.Body)
		}
	}
	sent := owner.Post(source+"/simulate", url.Values{"preset": {"buyer"}})
	p = owner.Get(sent.Location)
	must(t, p, "The simulated call was received.", "/calls/"+sent.Location[strings.Index(sent.Location, "=")+1:], "(415) 555-0122", "Sarah Johnson", "50000",
		"a simulated call", "What&#39;s the pricing for 50 users?")
	if strings.Contains(p.Body, "every 2s") {
		t.Error("the page still asks for the first call")
	}
	must(t, owner.Get("/sources"), "Front desk", "Receiving")

	if p := owner.Post(source, url.Values{"name": {"Front desk"}}); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Tick at least one") {
		t.Errorf("without a check: %d", p.Status)
	}
	if p := owner.Post(source, url.Values{"name": {"Desk 2"}, "checks": {"hmac"}, "field-from": {"caller\"phone"}}); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "One of the names") {
		t.Errorf("a name that cannot be: %d", p.Status)
	}
	if p := owner.Post(source, url.Values{"name": {"Desk 2"}, "checks": {"hmac"}, "field-from": {"caller.phone"}}); p.Status != http.StatusSeeOther {
		t.Errorf("settings: %d\n%s", p.Status, p.Body)
	}
	p = owner.Get(source)
	must(t, p, "Desk 2", `value="caller.phone"`)
	if strings.Contains(p.Body, "Authorization: Bearer hks_") {
		t.Error("the header is shown though the source does not look at it")
	}
	if p := owner.Post(source+"/rotate", url.Values{}); p.Status != http.StatusSeeOther {
		t.Errorf("rotate: %d", p.Status)
	}
	must(t, owner.Get(source), "Two secrets work.", "Secret (new)", "Secret (old)")
	if p := owner.Post(source+"/drop", url.Values{}); p.Status != http.StatusSeeOther {
		t.Errorf("drop: %d", p.Status)
	}
	if p := owner.Get(source); strings.Contains(p.Body, "Two secrets work.") {
		t.Error("the old secret is still there")
	}
	must(t, owner.Get("/settings/audit"), "Added a source", "Changed a source&#39;s secret", "Dropped a source&#39;s old secret", "ann@acme.test")

	must(t, owner.Get(source+"/delete"), "Delete Desk 2?", "This cannot be undone")
	if p := owner.Post(source+"/delete", url.Values{}); p.Status != http.StatusSeeOther {
		t.Errorf("delete: %d", p.Status)
	}
	if p := owner.Get(source); p.Status != http.StatusNotFound {
		t.Errorf("after deletion: %d", p.Status)
	}
}

func TestRetellSourceNeedsItsOwnKey(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	p := owner.Post("/sources", url.Values{"provider": {"retell"}, "name": {"Voice agent"}})
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Paste the API key") || !strings.Contains(p.Body, `value="Voice agent"`) {
		t.Errorf("without a key: %d", p.Status)
	}
	source := addSource(t, owner, url.Values{"provider": {"retell"}, "secret": {"key_0123456789abcdef"}})
	must(t, owner.Get(source), "key_0123456789abcdef", "API key with the webhook badge")
	if p := owner.Post(source+"/rotate", url.Values{"secret": {"key_0123456789abcdef"}}); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "in use already") {
		t.Errorf("the same key again: %d", p.Status)
	}
	if p := owner.Post("/sources", url.Values{"provider": {"pigeon"}}); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("an unknown vendor: %d", p.Status)
	}
}

func TestOnlyOwnersAndAdminsSeeSecrets(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	source := addSource(t, owner, url.Values{"provider": {"nextphone"}})
	for _, role := range []account.Role{account.Viewer, account.Operator} {
		b := s.Member(owner.Tenant, string(role)+"@acme.test", role)
		p := b.Get(source)
		must(t, p, "shown to owners and admins only", "Waiting for the first call")
		for _, secret := range []string{"/in/in_", "hks_", "New secret", "Delete"} {
			if strings.Contains(p.Body, secret) {
				t.Errorf("%s sees %q", role, secret)
			}
		}
		sent := b.Post(source+"/simulate", url.Values{"preset": {"new-caller"}})
		if want := map[account.Role]int{account.Operator: http.StatusSeeOther, account.Viewer: http.StatusForbidden}[role]; sent.Status != want {
			t.Errorf("%s sends a simulated call: %d, want %d", role, sent.Status, want)
		}
	}
	other := s.Owner("eve@other.test")
	if p := other.Get(source); p.Status != http.StatusNotFound {
		t.Errorf("another tenant's owner: %d", p.Status)
	}
	if p := other.Post(source+"/simulate", url.Values{"preset": {"new-caller"}}); p.Status != http.StatusNotFound {
		t.Errorf("another tenant's owner sends: %d", p.Status)
	}
}

func TestSourcesInABrowser(t *testing.T) {
	s := servertest.New(t)
	b := browser.Open(t)
	owner := s.Owner("ann@acme.test")
	signIn(b, s, "ann@acme.test")
	b.Check("sources-empty", s.URL+"/sources")
	b.Check("sources-new", s.URL+"/sources/new?provider=retell")
	native := addSource(t, owner, url.Values{"provider": {"native"}})
	next := addSource(t, owner, url.Values{"provider": {"nextphone"}, "name": {"Front desk of the branch office at the far end of Lakeshore Drive"}})
	b.Check("source-waiting", s.URL+next)

	// The page turns green by itself when a call comes.
	b.Goto(s.URL + native)
	b.Do(chromedp.WaitVisible(`#received[hx-trigger]`))
	if p := owner.Post(native+"/simulate", url.Values{"preset": {"open-deal"}}); p.Status != http.StatusSeeOther {
		t.Fatal(p.Status)
	}
	b.Do(chromedp.WaitVisible(`#received:not([hx-trigger]) .badge.good`), chromedp.WaitVisible(`#source-state .badge.good`))

	owner.Post(native+"/rotate", url.Values{})
	sent := owner.Post(next+"/simulate", url.Values{"preset": {"buyer"}})
	b.Check("source-native", s.URL+native)
	b.Check("source-sent", s.URL+sent.Location)
	b.Check("source-delete", s.URL+next+"/delete")
	b.Check("sources", s.URL+"/sources")
}
