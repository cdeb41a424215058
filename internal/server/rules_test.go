package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/harness/browser"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

func draftOf(t *testing.T, b *servertest.Browser) (d config.Draft) {
	t.Helper()
	if err := b.Site.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) (err error) {
		d, err = config.ReadDraft(t.Context(), tx, b.Tenant)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func liveConfig(t *testing.T, b *servertest.Browser) (s config.Set) {
	t.Helper()
	if err := b.Site.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) (err error) {
		s, err = config.Live(t.Context(), tx, b.Tenant)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func draftRules(t *testing.T, b *servertest.Browser) routing.Set { return draftOf(t, b).Rules }

func draftMapping(t *testing.T, b *servertest.Browser) mapping.Set { return draftOf(t, b).Mappings }

func TestRulesAreOrderedSwitchedEditedAndBroughtBack(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	if p := owner.Get("/rules"); p.Status != 200 || !strings.Contains(p.Body, "the caller is a known Contact and an open Deal is there") {
		t.Fatalf("the list: %d\n%s", p.Status, p.Body)
	}
	if p := owner.Get("/rules?call=sample"); p.Location != "/rules/try?call=sample" {
		t.Errorf("a call to try on leads to %q", p.Location)
	}
	if p := owner.Get("/rules/try?call=sample"); !strings.Contains(p.Body, "Decides this call") || !strings.Contains(p.Body, "Lead created") {
		t.Error("the sample call was not tried")
	}
	if p := owner.Post("/rules/buying/move", url.Values{"revision": {"0"}, "to": {"up"}}); p.Status != 303 || draftRules(t, owner).Rules[2].ID != "buying" {
		t.Errorf("move: %d", p.Status)
	}
	if p := owner.Post("/rules/buying/switch", url.Values{"revision": {"1"}, "on": {"0"}}); p.Status != 303 || !draftRules(t, owner).Rules[2].Off {
		t.Errorf("switch: %d", p.Status)
	}
	t.Run("every default rule is edited by its questions, not as JSON", func(t *testing.T) {
		for _, r := range routing.DefaultSet().Rules {
			p := owner.Get("/rules/" + r.ID)
			if p.Status != 200 || strings.Contains(p.Body, "edited as JSON") {
				t.Errorf("%s: %d", r.ID, p.Status)
			}
		}
	})
	form := quotesAtNight("2")
	if p := owner.Post("/rules", form); p.Status != 303 {
		t.Fatalf("add: %d\n%s", p.Status, p.Body)
	}
	added := draftRules(t, owner).Rules[2]
	if got := routing.Sentence(added.When, routing.DefaultSet().Lists()); got != "the caller is a known Contact, and the caller says buying words, “quot*” or “budget”, and your hours are closed" {
		t.Errorf("added: %s", got)
	}
	if added.Then[0].Within != 14 {
		t.Errorf("added: %+v", added.Then)
	}
	t.Run("a form with a fault comes back with what was typed", func(t *testing.T) {
		bad := with(quotesAtNight("3"), "name", "", "new.2", "kept words")
		bad.Del("do")
		p := owner.Post("/rules", bad)
		if p.Status != 422 || !strings.Contains(p.Body, "Give the rule a name.") || !strings.Contains(p.Body, "kept words") || !strings.Contains(p.Body, "Say what the rule does.") {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a form made on an older draft that changes the same says who was first and keeps what was typed", func(t *testing.T) {
		if p := owner.Post("/rules/"+added.ID, with(quotesAtNight("3"), "on.a2", "contact")); p.Status != 303 {
			t.Errorf("%d", p.Status)
		}
		p := owner.Post("/rules/"+added.ID, with(quotesAtNight("3"), "within.a1", "7", "name", "Night quotes"))
		if p.Status != 409 || !strings.Contains(p.Body, "ann@acme.test changed the same while you were editing") || !strings.Contains(p.Body, `name="revision" value="4"`) ||
			!strings.Contains(p.Body, "“Night quotes”: When") || !strings.Contains(p.Body, "not a second within 7 days) and log the Call on it") || !strings.Contains(p.Body, "not a second within 14 days) and log the Call on the Contact") {
			t.Errorf("both sides, and what was typed: %d\n%s", p.Status, p.Body)
		}
		again := formOn(t, p, "rule")
		if p := owner.Post("/rules/"+added.ID, with(again, "act", "save")); p.Status != 303 || draftRules(t, owner).Rules[2].Then[0].Within != 7 {
			t.Errorf("saved again, it is meant: %d", p.Status)
		}
		if p := owner.Post("/draft/undo", url.Values{"revision": {"5"}}); p.Status != 303 {
			t.Errorf("undo: %d", p.Status)
		}
		if p := owner.Post("/draft/undo", url.Values{"revision": {"6"}}); p.Status != 303 || draftRules(t, owner).Rules[2].Then[0].Within != 14 {
			t.Errorf("undo: %d", p.Status)
		}
	})
	if p := owner.Post("/rules/"+added.ID+"/delete", url.Values{"revision": {"7"}}); p.Status != 303 || len(draftRules(t, owner).Rules) != 7 {
		t.Errorf("delete: %d", p.Status)
	}
	if p := owner.Post("/rules/phrases/buying", url.Values{"revision": {"8"}, "act": {"add"}, "new": {"offer, quote"}}); p.Status != 303 ||
		!slices.Contains(draftRules(t, owner).Lists()["buying"].Phrases, "offer") {
		t.Errorf("phrases: %d", p.Status)
	}
	if p := owner.Post("/rules/phrases/buying", url.Values{"revision": {"9"}, "act": {"delete"}}); p.Status != 409 {
		t.Errorf("deleting a list in use: %d", p.Status)
	}
	if live := liveConfig(t, owner); live.Version != 0 || live.Rules.Rules[2].ID != "open-deal" {
		t.Error("a draft is live before it is published")
	}
	if p := owner.Post("/draft/publish", url.Values{"revision": {"9"}, "why": {"New words"}}); p.Status != 409 || !strings.Contains(p.Body, "Publish without a backtest?") {
		t.Errorf("publish: %d", p.Status)
	}
	if p := owner.Post("/draft/publish", url.Values{"revision": {"9"}, "why": {"New words"}, "untested": {"1"}}); p.Status != 303 || liveConfig(t, owner).Version != 1 {
		t.Errorf("publish: %d", p.Status)
	}
	if p := owner.Get("/versions"); !strings.Contains(p.Body, "“offer” added") || !strings.Contains(p.Body, "New words") || !strings.Contains(p.Body, "The defaults") {
		t.Error("the versions do not say what changed")
	}
	if p := owner.Post("/versions/0/restore", url.Values{"live": {"1"}}); p.Status != 303 || liveConfig(t, owner).Version != 2 || liveConfig(t, owner).Rules.Rules[2].ID != "open-deal" {
		t.Errorf("defaults: %d", p.Status)
	}
	t.Run("who may only look sees no buttons", func(t *testing.T) {
		viewer := s.Member(owner.Tenant, "vic@acme.test", account.Viewer)
		if p := viewer.Get("/rules"); p.Status != 200 || strings.Contains(p.Body, "Switch off") || strings.Contains(p.Body, "Add a rule") || strings.Contains(p.Body, "data-grip") {
			t.Errorf("%d", p.Status)
		}
		if p := viewer.Get("/mapping/Leads"); p.Status != 200 || strings.Contains(p.Body, ">Add<") || !strings.Contains(p.Body, "Owners and admins can change this") {
			t.Errorf("%d", p.Status)
		}
	})
}

// quotesAtNight is the form of a rule, as it is posted.
func quotesAtNight(revision string) url.Values {
	return url.Values{"revision": {revision}, "act": {"save"}, "name": {"Quotes at night"}, "match": {"all"},
		"row": {"1", "2", "3"}, "kind.1": {"test"}, "kind.2": {"test"}, "kind.3": {"test"},
		"f.1": {"caller"}, "was.1": {"caller"}, "op.1": {"is"}, "v.1": {"contact"},
		"f.2": {"said"}, "was.2": {"said"}, "op.2": {"says"}, "list.2": {"buying"}, "v.2": {"quot*"}, "new.2": {"budget"},
		"f.3": {"hours"}, "was.3": {"hours"}, "op.3": {"is"}, "v.3": {"closed"},
		"do": {"a1", "a2"}, "do.a1": {"create_deal"}, "within.a1": {"14"}, "do.a2": {"log_call"}, "on.a2": {"deal"}}
}

// everything is a rule that does all that a rule can do with a Contact.
func everything() routing.Rule {
	return routing.Rule{ID: "everything", Name: "Everything", When: routing.Condition{All: []routing.Condition{
		{Field: routing.FieldCaller, Op: routing.Is, Values: []string{"contact"}},
		{Any: []routing.Condition{{Field: routing.FieldSaid, Op: routing.Says, Lists: []string{"buying"}, Values: []string{"bulk order"}}, {Field: routing.FieldBudget, Op: routing.MoreThan, Number: 25000}}},
		{Field: routing.FieldTime, Op: routing.Between, Values: []string{"22:00", "06:00"}},
	}}, Then: []routing.Outcome{
		{Do: routing.CreateDeal, Within: 14, Account: true, Quiet: true}, {Do: routing.LogCall, On: "deal"}, {Do: routing.MoveStage, Stage: "next"},
		{Do: routing.AddTask, Subject: "Send the quote", Days: 2, Quiet: true}, {Do: routing.AddTags, On: "deal", Tags: []string{"Hot", "By phone"}},
		{Do: routing.SetOwner, Owner: "5725767000000000102", OwnerName: "Dana Wu"},
	}}
}

// signedIn opens a browser with the owner signed in.
func signedIn(t *testing.T, s *servertest.Site) *browser.Browser {
	t.Helper()
	b := browser.Open(t)
	b.Goto(s.URL + "/login")
	b.Do(
		chromedp.SendKeys("#email", "ann@acme.test"),
		chromedp.SendKeys("#password", servertest.Password),
		chromedp.Submit("#password"),
		chromedp.WaitVisible(".topbar"),
	)
	return b
}

func TestRulesInABrowser(t *testing.T) {
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	owner.Post("/rules/lead/switch", url.Values{"revision": {"0"}, "on": {"0"}})
	putRules(t, owner, slices.Insert(draftRules(t, owner).Rules, 2, everything()))
	b := signedIn(t, s)
	for name, path := range map[string]string{
		"rules": "/rules", "rules-tried": "/rules/try?call=sample", "rule-new": "/rules/new", "rule-everything": "/rules/everything", "rules-typed": "/rules/try?typed=1&who=deal&said=not+urgent&when=2026-03-02T09:00&seconds=60&status=missed&earlier=2",
		"phrases": "/rules/phrases?say=not+urgent+but+how+much+is+it", "draft": "/draft", "versions": "/versions",
	} {
		b.Check(name, s.URL+path)
	}
}
