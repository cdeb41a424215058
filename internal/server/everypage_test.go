package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hookline/internal/config"
	"hookline/internal/harness/browser"
	"hookline/internal/mapping"
	"hookline/internal/server/servertest"
)

// noPages are the GET routes that answer a person's browser with something else than a page.
var noPages = []string{
	"/live",                      // the stream
	"/health-pill",               // a piece of every page
	"/draft/news",                // a piece of pages that edit
	"/calls/export",              // a file
	"/calls/:id/events/:event",   // a file
	"/versions/:n/document",      // a file
	"/mapping/export/:what",      // a file
	"/mapping", "/zoho/callback", // lead on; what a refused callback shows is looked at below
}

// Nothing is on the server that axe has not looked at, signed out, in a workspace with nothing in it and in a full
// one; a new page takes an address here.
func TestEveryPageIsAccessible(t *testing.T) {
	b := browser.Open(t)
	l := newLine(t)
	l.Visitor().Post("/signup", signUpForm("new@acme.test"))
	l.Visitor().Post("/reset", url.Values{"email": {"new@acme.test"}})
	links := regexp.MustCompile(`/(verify|reset)/[\w-]+`)
	signedOut := map[string][]string{
		"/": {"/"}, "/welcome": {"/welcome"}, "/signup": {"/signup"}, "/check-mail": {"/check-mail"}, "/login": {"/login?next=%2Fcalls", "/login?next=%2Fcalls&unsaved=1"}, "/reset": {"/reset"},
		"/verify/:token": {"/verify/nothing"}, "/reset/:token": {"/reset/nothing"}, "/mail/:box": {"/mail/" + servertest.Mailbox},
	}
	for _, mail := range l.Mails("new@acme.test") {
		link := links.FindString(mail.Text)
		route := "/" + strings.Split(link, "/")[1] + "/:token"
		signedOut[route] = append(signedOut[route], link)
	}

	owner := l.Owner("ann@acme.test")
	empty := map[string][]string{
		"/": {"/"}, "/calls": {"/calls"}, "/calls/replay": {"/calls/replay"}, "/calls/:id": {"/calls/none"},
		"/rules": {"/rules"}, "/rules/new": {"/rules/new"}, "/rules/try": {"/rules/try"}, "/rules/phrases": {"/rules/phrases", "/rules/phrases?say=not+urgent+how+much+is+it"}, "/versions": {"/versions"}, "/versions/:n": {"/versions/0"}, "/draft": {"/draft"}, "/backtests/:id/calls/:call": {"/backtests/none/calls/none"}, "/rules/:id": {"/rules/lead"},
		"/mapping/:module": {"/mapping/Leads", "/mapping/Calls", "/mapping/Deals", "/mapping/Contacts"},
		"/mapping/import":  {"/mapping/import?module=Calls"}, "/mapping/:module/:field": {"/mapping/Leads/Last_Name", "/mapping/Leads/Lead_Source", "/mapping/Leads/Industry"},
		"/sources": {"/sources"}, "/sources/new": {"/sources/new", "/sources/new?provider=retell"}, "/sources/:id": {"/sources/none"}, "/sources/:id/delete": {"/sources/none/delete"},
		"/zoho": {"/zoho"}, "/zoho/confirm": {"/zoho/confirm"}, "/zoho/disconnect": {"/zoho/disconnect"}, "/zoho/callback": {"/zoho/callback?state=made-up"},
		"/settings": {"/settings"}, "/settings/security": {"/settings/security"}, "/settings/team": {"/settings/team"}, "/settings/keys": {"/settings/keys"}, "/settings/audit": {"/settings/audit"},
	}
	covers := func(t *testing.T, pages map[string][]string, of func(needs string) bool) {
		t.Helper()
		walk(t, l.Site, func(method, path, needs string) {
			if method == http.MethodGet && of(needs) && !slices.Contains(noPages, path) && len(pages[path]) == 0 {
				t.Errorf("%s has no address here, so nobody has looked at it", path)
			}
		})
	}
	look := func(t *testing.T, state string, pages map[string][]string) {
		t.Helper()
		for _, addresses := range pages {
			for _, address := range addresses {
				b.Glance(state+strings.NewReplacer("/", "-", "?", "-", "=", "-", "%", "", "&", "-").Replace(address), l.URL+address)
			}
		}
	}

	t.Run("signed out", func(t *testing.T) {
		covers(t, signedOut, func(needs string) bool { return needs == "anyone" })
		look(t, "out", signedOut)
	})
	signIn(b, l.Site, "ann@acme.test")
	t.Run("an empty workspace", func(t *testing.T) {
		covers(t, empty, func(needs string) bool { return rank[needs] > 0 })
		look(t, "empty", empty)
	})
	t.Run("a full workspace", func(t *testing.T) {
		ids := l.full(owner)
		l.publishes(owner, "Buyers first", func(s *config.Set) { s.Rules.Rules[1], s.Rules.Rules[2] = s.Rules.Rules[2], s.Rules.Rules[1] })
		owner.Post("/rules/lead/switch", url.Values{"revision": {"0"}, "on": {"0"}})
		owner.Post("/settings/keys", url.Values{"name": {"Wallboard in the hall"}, "role": {"viewer"}})
		drafted(t, owner, func(s *config.Set) {
			buys("Friday")(s)
			s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], mapping.Row{Field: "No_of_Employees", Value: "many"}, mapping.Row{Field: "Industry", Value: "Service Provider"},
				mapping.Row{Field: "City", Value: "{{ caller_number }}"})
		})
		owner.Post("/draft/backtest", url.Values{"scope": {"30"}})
		compared := regexp.MustCompile(`/backtests/[0-9a-f-]{36}/calls/[0-9a-f-]{36}`).FindString(draftShows(t, owner, "Calls that would change").Body)
		source := regexp.MustCompile(`/sources/[0-9a-f-]{36}`).FindString(owner.Get("/sources").Body)
		full := map[string][]string{
			"/": {"/"}, "/calls": {"/calls", "/calls?q=sarah&status=needs_attention&days=7"}, "/calls/replay": {"/calls/replay?like=" + ids["refused"].String()},
			"/rules": {"/rules"}, "/rules/try": {"/rules/try", "/rules/try?call=sample", "/rules/try?typed=1&who=deal&said=not+urgent&when=2026-03-02T09:00&seconds=60&status=missed&earlier=2"}, "/rules/:id": {"/rules/buying"}, "/versions": {"/versions"}, "/versions/:n": {"/versions/1", "/versions/0"}, "/draft": {"/draft", "/draft?move=0"}, "/backtests/:id/calls/:call": {compared},
			"/sources": {"/sources"}, "/sources/:id": {source}, "/sources/:id/delete": {source + "/delete"},
			"/zoho": {"/zoho"}, "/zoho/disconnect": {"/zoho/disconnect"}, "/mapping/:module": {"/mapping/Leads?add=Industry"},
			"/settings/keys": {"/settings/keys"}, "/settings/audit": {"/settings/audit"},
		}
		for _, id := range ids {
			full["/calls/:id"] = append(full["/calls/:id"], "/calls/"+id.String())
		}
		look(t, "full", full)
	})
}
