package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

// tryTyped tries the rules on a typed call.
func tryTyped(b *servertest.Browser, pairs ...string) servertest.Page {
	q := url.Values{"typed": {"1"}, "who": {"new"}, "said": {""}, "when": {"2026-03-03T10:00"}, "seconds": {"60"}, "status": {"completed"}, "earlier": {"0"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return b.Get("/rules/try?" + q.Encode())
}

func TestRulesAreTriedOnATypedCall(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, c := range []struct {
		name  string
		typed []string
		sees  []string
	}{
		{"a new caller becomes a Lead", []string{"who", "new"}, []string{"Lead created", "Create a Lead", "Create a Call", "Reed &amp; Sons"}},
		{"a known Lead gets the Call", []string{"who", "lead"}, []string{"Call on Lead"}},
		{"a Contact who asks for a price gets a Deal", []string{"who", "contact", "said", "What is the price of 50 seats?"}, []string{"Deal created", "Create a Deal", "“price” in the caller"}},
		{"a Contact who asks for none does not, and the nearest rule says why", []string{"who", "contact", "said", "I don't need a quote"}, []string{"Call on Contact", "Not “Contact who wants to buy”", "only negated"}},
		{"a Contact with an open Deal gets the Call on it", []string{"who", "deal", "stage", "Qualification", "amount", "25,000"}, []string{"Call on Deal", "Reed &amp; Sons - New order"}},
		{"a hidden number is kept here", []string{"who", "hidden"}, []string{"Kept, nothing written", "Nothing."}},
		{"a time that is none says so", []string{"when", "soon"}, []string{"Enter the day and the time"}},
		{"an amount that is none says so", []string{"who", "deal", "amount", "a lot"}, []string{"Enter a number"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tryTyped(owner, c.typed...)
			for _, text := range c.sees {
				if p.Status != http.StatusOK || !strings.Contains(p.Body, text) {
					t.Errorf("%d: the page lacks %q", p.Status, text)
				}
			}
		})
	}
}

func TestTryingShowsWhereTheDraftDiffersFromLive(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	if p := tryTyped(owner); strings.Contains(p.Body, "With the draft") {
		t.Error("without a draft there is one result")
	}
	rules := draftRules(t, owner).Rules
	for i := range rules {
		if rules[i].ID == "contact" {
			rules[i].Then = []routing.Outcome{{Do: routing.Ignore}}
		}
	}
	putRules(t, owner, rules)
	if p := tryTyped(owner, "who", "contact"); !strings.Contains(p.Body, "With the draft") || !strings.Contains(p.Body, "With what is live") || !strings.Contains(p.Body, "Call on Contact") || !strings.Contains(p.Body, "Kept, nothing written") {
		t.Error("both results are not shown")
	}
	if p := tryTyped(owner, "who", "lead"); !strings.Contains(p.Body, "What is live does the same") || strings.Contains(p.Body, "With what is live") {
		t.Error("a call of which nothing changes is not said to be the same")
	}
}

func TestTryingSendsNothingToZoho(t *testing.T) {
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.full(owner)
	before := len(l.zoho.Control.Ledger(0))
	for _, path := range []string{"/rules/try", "/rules/try?call=preset:buyer", "/rules/try?find=sarah"} {
		if p := owner.Get(path); p.Status != http.StatusOK {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
	tryTyped(owner, "who", "deal")
	if after := len(l.zoho.Control.Ledger(0)); after != before {
		t.Errorf("trying sent %d requests to Zoho", after-before)
	}
}
