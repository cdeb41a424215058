package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hookline/internal/config"
	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

// press posts one of the list's buttons on the draft as it stands.
func press(t *testing.T, b *servertest.Browser, path string, pairs ...string) servertest.Page {
	t.Helper()
	form := url.Values{"revision": {strconv.Itoa(draftOf(t, b).Revision)}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.Post(path, form)
}

func order(set routing.Set) string {
	var ids []string
	for _, r := range set.Rules {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func TestTheListIsOrderedByButtonsAndTakenBack(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, step := range []struct{ path, to, want string }{
		{"/rules/lead/move", "top", "lead no-number spam open-deal buying contact new-caller"},
		{"/rules/lead/move", "down", "no-number lead spam open-deal buying contact new-caller"},
		{"/rules/lead/move", "6", "no-number spam open-deal buying contact lead new-caller"},
		{"/rules/no-number/move", "up", "no-number spam open-deal buying contact lead new-caller"},
		{"/rules/new-caller/move", "down", "no-number spam open-deal buying contact lead new-caller"},
		{"/rules/spam/move", "99", "no-number open-deal buying contact lead new-caller spam"},
	} {
		p := press(t, owner, step.path, "to", step.to)
		if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, "/rules#rule-") || order(draftRules(t, owner)) != step.want {
			t.Errorf("%s %s: %d to %s: %s", step.path, step.to, p.Status, p.Location, order(draftRules(t, owner)))
		}
	}
	list := owner.Get(press(t, owner, "/rules/spam/delete").Location)
	if !strings.Contains(list.Body, "“Spam” deleted in the draft.") || !strings.Contains(list.Body, `action="/draft/undo"`) || !strings.Contains(list.Body, "“Spam” is deleted in the draft. It is live until you publish.") {
		t.Error("no way back is shown after deleting")
	}
	if p := press(t, owner, "/draft/undo", "back", "/rules"); p.Location != "/rules" || !strings.HasSuffix(order(draftRules(t, owner)), " spam") {
		t.Errorf("undo leads to %q with %s", p.Location, order(draftRules(t, owner)))
	}
	if p := press(t, owner, "/rules/spam/move", "to", "sideways"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("sideways: %d", p.Status)
	}
}

func TestACopyIsSwitchedOffAndHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, want := range []string{"Known Lead (copy)", "Known Lead (copy 2)"} {
		press(t, owner, "/rules/lead/copy")
		rules := draftRules(t, owner).Rules
		at := slices.IndexFunc(rules, func(r routing.Rule) bool { return r.ID == "lead" })
		if twin := rules[at+1]; twin.Name != want || !twin.Off || jsonOf(t, twin.When) != jsonOf(t, rules[at].When) {
			t.Errorf("%+v", twin)
		}
	}
	if p := owner.Get("/rules"); strings.Count(p.Body, "New, not live yet") != 2 || strings.Contains(p.Body, "Changed, not live yet") {
		t.Error("the copies are not marked as new")
	}
	press(t, owner, "/rules/spam/switch", "on", "0")
	if p := owner.Get("/rules"); strings.Count(p.Body, "Changed, not live yet") != 1 || !strings.Contains(p.Body, "Rule “Spam” switched off.") {
		t.Error("the switched rule is not marked as changed")
	}
}

func TestTwoWhoChangeOneRuleSeeBothSides(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	ann := s.Owner("ann@acme.test")
	old := draftOf(t, ann).Revision
	press(t, ann, "/rules/spam/delete")
	form := with(formOn(t, ann.Get("/rules/lead"), "rule"), "act", "save", "name", "Lead again")
	form.Set("revision", strconv.Itoa(old))
	if p := ann.Post("/rules/lead", form); p.Status != http.StatusSeeOther || strings.Contains(order(draftRules(t, ann)), "spam") {
		t.Errorf("another rule is in nobody's way: %d %s", p.Status, order(draftRules(t, ann)))
	}
	stale := with(form, "name", "Lead in another way")
	p := ann.Post("/rules/lead", stale)
	if p.Status != http.StatusConflict || !strings.Contains(p.Body, "Lead in another way") || !strings.Contains(p.Body, `id="conflict"`) {
		t.Errorf("%d", p.Status)
	}
	t.Run("by a button of the list as well", func(t *testing.T) {
		p := ann.Post("/rules/spam/switch", url.Values{"revision": {strconv.Itoa(old)}, "on": {"0"}})
		if p.Status != http.StatusConflict || !strings.Contains(p.Body, `id="conflict"`) || !strings.Contains(p.Body, "deleted") {
			t.Errorf("%d", p.Status)
		}
	})
}

func TestARuleSaysHowManyCallsItDecidedOfLate(t *testing.T) {
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	ids := l.full(owner)
	if len(ids) == 0 {
		t.Fatal("no calls")
	}
	p := owner.Get("/rules")
	if !strings.Contains(p.Body, `href="/calls?days=30&amp;rule=New+caller"`) || !strings.Contains(p.Body, "No call in 30 days") {
		t.Errorf("the list does not say it: %d", p.Status)
	}
	if calls := owner.Get("/calls?days=30&rule=New+caller"); calls.Status != http.StatusOK || !strings.Contains(calls.Body, "New caller") {
		t.Errorf("the link leads to %d", calls.Status)
	}
}

func TestPhrasesAreAddedAndRemovedOneByOne(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	list := func() routing.PhraseList { return draftRules(t, owner).Lists()["urgent"] }
	before := list()
	press(t, owner, "/rules/phrases/urgent", "act", "add", "new", "right now, Urgent, stop the presses")
	if got := list().Phrases; len(got) != len(before.Phrases)+2 || !slices.Contains(got, "right now") || !slices.Contains(got, "stop the presses") {
		t.Errorf("%q", got)
	}
	p := press(t, owner, "/rules/phrases/urgent", "drop", "asap")
	if slices.Contains(list().Phrases, "asap") || !strings.Contains(owner.Get(p.Location).Body, "“asap” removed from the urgent words in the draft.") {
		t.Errorf("%q", list().Phrases)
	}
	press(t, owner, "/rules/phrases/urgent", "act", "add", "intent", "hurry")
	press(t, owner, "/rules/phrases/urgent", "act", "rename", "label", "hurry words")
	if l := list(); l.Label != "hurry words" || !slices.Contains(l.Intents, "hurry") {
		t.Errorf("%+v", l)
	}
	press(t, owner, "/rules/phrases/urgent", "act", "delete")
	if _, there := draftRules(t, owner).Lists()["urgent"]; there {
		t.Error("a list that no rule uses is still there")
	}
	if p := owner.Get("/rules/phrases"); !strings.Contains(p.Body, `<a href="/rules/buying">Contact who wants to buy</a>`) {
		t.Error("a list does not lead to the rules that use it")
	}
	t.Run("two people who add to one list lose nothing", func(t *testing.T) {
		old := strconv.Itoa(draftOf(t, owner).Revision)
		for _, phrase := range []string{"first one", "second one"} {
			owner.Post("/rules/phrases/spam", url.Values{"revision": {old}, "act": {"add"}, "new": {phrase}})
		}
		if got := draftRules(t, owner).Lists()["spam"].Phrases; !slices.Contains(got, "first one") || !slices.Contains(got, "second one") {
			t.Errorf("%q", got)
		}
	})
}

func TestASentenceIsTriedOnThePhrases(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	heard := func(say string) string {
		p := owner.Get("/rules/phrases?say=" + url.QueryEscape(say))
		_, after, _ := strings.Cut(p.Body, `id="heard"`)
		list, _, _ := strings.Cut(after, "</ul>")
		return list
	}
	got := heard("It's not urgent, but how much is a quote?")
	if !strings.Contains(got, "buying words") || !strings.Contains(got, "hear it:") || !strings.Contains(got, "urgent words") || !strings.Contains(got, "only negated: “urgent” by “not”") {
		t.Errorf("%s", got)
	}
	if got := heard("Good morning"); !strings.Contains(got, "No list hears it.") {
		t.Errorf("%s", got)
	}
}

func TestUndoIsOfferedOnlyForWhatTheEditDid(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	undo := `<form method="post" action="/draft/undo"><input type="hidden" name="back"`
	toasted := func(p servertest.Page) string {
		t.Helper()
		_, toast, _ := strings.Cut(owner.Get(p.Location).Body, `id="toasts"`)
		toast, _, _ = strings.Cut(toast, "data-dismiss")
		return toast
	}
	if toast := toasted(press(t, owner, "/rules/spam/delete")); !strings.Contains(toast, undo) {
		t.Fatalf("no way back after deleting: %s", toast)
	}
	saved := with(formOn(t, owner.Get("/rules/lead"), "rule"), "act", "save")
	if toast := toasted(owner.Post("/rules/lead", saved)); strings.Contains(toast, undo) || !strings.Contains(toast, "Nothing was changed.") {
		t.Errorf("saving a rule as it is offers to take back what was done before: %s", toast)
	}
	press(t, owner, "/rules/lead/switch", "on", "0")
	before := draftOf(t, owner).Revision - 1 // a page that somebody else opened before
	late := owner.Post("/rules/lead/switch", url.Values{"revision": {strconv.Itoa(before)}, "on": {"0"}})
	if toast := toasted(late); strings.Contains(toast, undo) {
		t.Errorf("switching off what another has switched off offers to take theirs back: %s", toast)
	}
}

func TestALongNameLosesNoUndo(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, letter := range []string{"<", "😀", "م"} {
		drafted(t, owner, func(set *config.Set) { set.Rules.Rules[1].Name = strings.Repeat(letter, 200) })
		list := owner.Get(press(t, owner, "/rules/"+draftRules(t, owner).Rules[1].ID+"/copy").Location).Body
		if _, toast, _ := strings.Cut(list, `id="toasts"`); !strings.Contains(toast, "switched off, in the draft.") || !strings.Contains(toast, `action="/draft/undo"`) {
			t.Errorf("a name of 200 times %q: no toast with a way back", letter)
		}
	}
}
