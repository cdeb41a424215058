package server_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"hookline/internal/config"
	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

var markup = regexp.MustCompile(`<[^>]*>|\s+`)

// words are a page's text.
func words(p servertest.Page) string {
	return strings.Join(strings.Fields(markup.ReplaceAllString(p.Body, " ")), " ")
}

func TestAReplayShowsWhatTheRulesOfThenAndNowComeTo(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	src := l.source(owner)
	delivered := l.receive(src, sarah())
	l.until(owner, "/calls?status=delivered", delivered.String())
	if says := words(owner.Get("/calls/replay?id=" + delivered.String())); !strings.Contains(says, "both are the same") {
		t.Error("nothing was published, and the page does not say so")
	}
	l.publishes(owner, "Keep all here", func(s *config.Set) {
		s.Rules.Rules = append([]routing.Rule{{ID: "none", Name: "Nobody", Then: []routing.Outcome{{Do: routing.Ignore}}}}, s.Rules.Rules...)
	})
	another := sarah()
	another.From = "+14155550177"
	ignored := l.receive(src, another)
	l.until(owner, "/calls?status=ignored", ignored.String())
	if says := words(owner.Get("/calls/replay?id=" + delivered.String())); !strings.Contains(says, "Both come to the same for this call.") || strings.Contains(says, "“Nobody”") {
		t.Error("of a call that stands, the page decides afresh by today's rules")
	}
	l.publishes(owner, "As it was", func(s *config.Set) {
		s.Rules.Rules = s.Rules.Rules[1:]
		s.Mappings.Modules["Leads"][0].Value = "Caller"
	})
	before := l.zoho.Control.Stats("")
	says := words(owner.Get("/calls/replay?id=" + ignored.String()))
	for _, want := range []string{"rules and mapping of then, version 1", "by the rule “Nobody”", "today&#39;s rules and mapping, version 2", "by the rule “New caller”",
		"What differs, from then to now:", "Rule: “Nobody” → “New caller”", "Lead created", "Call created", "looks them up again"} {
		if !strings.Contains(says, want) {
			t.Errorf("of a call of which nothing stands, the page lacks %q", want)
		}
	}
	says = words(owner.Get("/calls/replay?id=" + delivered.String()))
	for _, want := range []string{"Stands in Zoho, is kept and not repeated: Create the Lead Log the Call", "The decision of then is kept", "Both come to the same for this call."} {
		if !strings.Contains(says, want) {
			t.Errorf("of a call that stands, the page lacks %q", want)
		}
	}
	says = words(owner.Get("/calls/replay?id=" + ignored.String() + "&id=" + delivered.String()))
	if !strings.Contains(says, "1 of 2 decided calls would turn out otherwise") {
		t.Error("of two calls, the page does not say that one would turn out otherwise")
	}
	if after := l.zoho.Control.Stats(""); after.CreditsUsed != before.CreditsUsed {
		t.Error("showing the choice asked Zoho")
	}
	owner.Post("/calls/replay", url.Values{"id": {ignored.String()}, "config": {"original"}})
	l.until(owner, "/calls?status=ignored", ignored.String())
	if p := owner.Get("/calls/" + ignored.String()); !strings.Contains(p.Body, `<a href="/versions/1">Version 1</a>`) {
		t.Error("the decision by the rules of then does not name its version")
	}
	owner.Post("/calls/replay", url.Values{"id": {ignored.String()}, "config": {"current"}})
	l.until(owner, "/calls?status=delivered", ignored.String())
	if p := owner.Get("/calls/" + ignored.String()); !strings.Contains(p.Body, `<a href="/versions/2">Version 2</a>`) {
		t.Error("the decision by today's rules does not name its version")
	}
}
