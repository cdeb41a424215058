package server_test

import (
	"strings"
	"testing"

	"hookline/internal/account"
	"hookline/internal/harness/browser"
	"hookline/internal/server/servertest"
)

// Two people have pages open that were made from the same draft.
func TestTwoPeopleEditTheSameDraftInTwoBrowsers(t *testing.T) {
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.Member(owner.Tenant, "bob@acme.test", account.Admin)
	ann, bob := browser.Open(t), browser.Open(t)
	signIn(ann, l.Site, "ann@acme.test")
	signIn(bob, l.Site, "bob@acme.test")

	ann.Goto(l.URL + "/rules/lead")
	bob.Goto(l.URL + "/rules/buying")
	other := browser.Open(t)
	signIn(other, l.Site, "bob@acme.test")
	other.Goto(l.URL + "/rules/lead")

	ann.Type("#name", "Leads who call")
	bob.Type("#name", "Buyers")
	bob.Click("Save in the draft")
	bob.At("/rules")
	browser.Eval[bool](ann, `document.dispatchEvent(new Event("visibilitychange"))`) // in place of ten seconds
	ann.Sees("bob@acme.test, just now: “Buyers” changed.")
	if typed := browser.Eval[string](ann, `document.querySelector("#name").value`); typed != "Leads who call" {
		t.Errorf("the news took what was typed: %q", typed)
	}
	ann.Click("Save in the draft")
	ann.At("/rules")
	ann.Sees("Leads who call")
	ann.Sees("Buyers")
	if says := ann.Text(".draft-watch"); says != "" {
		t.Errorf("a fresh page tells news: %q", says)
	}

	other.Type("#name", "Lead rule")
	other.Click("Save in the draft")
	other.Sees("changed the same while you were editing")
	if said := other.Text("#conflict"); !strings.Contains(said, "ann@acme.test") || !strings.Contains(said, "Yours") || !strings.Contains(said, "Theirs") {
		t.Errorf("both sides are not shown: %s", said)
	}
	if typed := browser.Eval[string](other, `document.querySelector("#name").value`); typed != "Lead rule" {
		t.Errorf("the conflict took what was typed: %q", typed)
	}
	if set := draftOf(t, owner); set.Rules.Rules[5].Name != "Leads who call" {
		t.Errorf("the conflict changed the draft: %s", set.Rules.Rules[5].Name)
	}
}

func TestTheNewsOfADraftAreWhatOthersDid(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	bob := s.Member(owner.Tenant, "bob@acme.test", account.Admin)
	press(t, owner, "/rules/spam/switch", "on", "0")
	if says := words(owner.Get("/draft/news?since=0")); says != "" {
		t.Errorf("one's own edit is told as news: %s", says)
	}
	if says := words(bob.Get("/draft/news?since=0")); !strings.Contains(says, "ann@acme.test") {
		t.Errorf("the edit of another is not told: %s", says)
	}
}
