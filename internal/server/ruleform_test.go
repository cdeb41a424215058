package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

// putRules puts rules in the draft's place, and gives its revision.
func putRules(t *testing.T, b *servertest.Browser, rules []routing.Rule) (revision int) {
	t.Helper()
	d := draftOf(t, b)
	if err := b.Site.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) error {
		now, err := config.EditDraft(t.Context(), tx, b.Tenant, "test", d.Revision, func(set *config.Set) (string, error) {
			set.Rules.Rules = rules
			return "rules of the test", nil
		})
		revision = now.Revision
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return revision
}

// dice makes rules of all that a rule can say.
type dice struct{ *rand.Rand }

func (d dice) of(options ...string) string { return options[d.IntN(len(options))] }

// some are a few of the options in their order.
func (d dice) some(options ...string) []string {
	var out []string
	for _, o := range options {
		if d.IntN(2) == 0 {
			out = append(out, o)
		}
	}
	if len(out) == 0 {
		return options[:1]
	}
	return out
}

func (d dice) test(info routing.FieldInfo) routing.Condition {
	ops := info.Ops()
	c := routing.Condition{Field: info.Field, Op: ops[d.IntN(len(ops))]}
	words := []string{"quote", "a “quoted” phrase", "50 % off, now", "ünïcode", "<b>&amp;"}
	switch {
	case c.Op.ComparesNumber():
		c.Number = []float64{0, 1, 25_000, 0.5, 1e9}[d.IntN(5)]
		if info.Field == routing.FieldRepeat {
			c.Number, c.Days = min(c.Number, routing.MostEarlier), d.IntN(91)
		}
	case info.IsTime():
		c.Values = []string{"22:00", "06:30"}
	case info.IsWords():
		if d.IntN(2) == 0 {
			c.Lists = d.some(routing.ListBuying, routing.ListUrgent, routing.ListSpam)
		}
		if c.Lists == nil || d.IntN(2) == 0 {
			c.Values = d.some(words...)
		}
	case len(info.Choices) > 0:
		var values []string
		for _, ch := range info.Choices {
			values = append(values, ch.Value)
		}
		c.Values = d.some(values...)
	default:
		c.Values = d.some(words...)
	}
	return c
}

func (d dice) anyTest() routing.Condition {
	facts := append([]routing.FieldInfo{}, routing.Fields...)
	answer, _ := routing.InfoOf("answer.estimated value")
	return d.test(append(facts, answer)[d.IntN(len(facts)+1)])
}

func (d dice) group(depth int) routing.Condition {
	var of []routing.Condition
	for range 1 + d.IntN(3) {
		if depth > 0 && d.IntN(3) == 0 {
			of = append(of, d.group(depth-1))
			continue
		}
		of = append(of, d.anyTest())
	}
	switch d.IntN(3) {
	case 0:
		return routing.Condition{All: of}
	case 1:
		return routing.Condition{Any: of}
	}
	return routing.Condition{None: of}
}

// outcomes are all that a rule can do, each with all that it can say.
func (d dice) outcomes() []routing.Outcome {
	quiet := func() bool { return d.IntN(2) == 0 }
	only := d.anyTest()
	all := []routing.Outcome{
		{Do: routing.CreateLead, Quiet: quiet()}, {Do: routing.CreateDeal, Within: d.IntN(60), Account: quiet(), Quiet: quiet()},
		{Do: routing.LogCall, On: d.of("deal", "contact", "lead"), Quiet: quiet()},
		{Do: routing.MoveStage, Stage: d.of("next", "Negotiation/Review"), From: [][]string{nil, {"Qualification", "Gone \"stage\""}}[d.IntN(2)], If: []*routing.Condition{nil, &only}[d.IntN(2)], Quiet: quiet()},
		{Do: routing.AddTask, Subject: "Send the “quote” & call <back>", Days: d.IntN(91), Quiet: quiet()},
		{Do: routing.AddTags, On: d.of("", "deal"), Tags: d.some("Hot", "By phone", "VIP"), Quiet: quiet()},
		{Do: routing.BlueprintStep, On: d.of("lead", "deal"), Transition: "Contacted “twice” & <more>", If: []*routing.Condition{nil, &only}[d.IntN(2)]},
		{Do: routing.AddTask, Subject: "Another", With: []routing.Value{{Field: "Priority", Value: "{{ call_summary }}"}}},
		{Do: routing.SetOwner, Owner: "5725767000000000102", OwnerName: "Dana Wu"},
	}
	all[0].With = []routing.Value{{Field: "Industry", Value: "Plumbing\n“two” lines & <more>"}, {Field: "Gone_Field", Value: ""}}
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	lead := slices.IndexFunc(all, func(o routing.Outcome) bool { return o.Do == routing.CreateLead })
	if call := slices.IndexFunc(all, func(o routing.Outcome) bool { return o.Do == routing.LogCall }); call < lead {
		all[call], all[lead] = all[lead], all[call] // the Call may be logged on that Lead
	}
	return all
}

func rollRules(n int) []routing.Rule {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	var rules []routing.Rule
	for i := range n {
		r := routing.Rule{ID: fmt.Sprintf("r%d", i), Name: fmt.Sprintf("Rule %d", i), When: d.group(3), Then: d.outcomes()}
		switch i % 10 {
		case 0:
			r.When = d.anyTest()
		case 1:
			r.When = routing.Condition{}
		case 2:
			r.Then = []routing.Outcome{{Do: routing.Ignore}}
		case 3:
			r.Then = []routing.Outcome{{Do: routing.HandOver, Why: "Call <them> back"}}
		}
		rules = append(rules, r)
	}
	return rules
}

func TestAFormGivesARuleBackAsItWas(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	rules := rollRules(120)
	revision := putRules(t, owner, rules)
	for i, r := range rules {
		shown := owner.Get("/rules/" + r.ID)
		form := with(formOn(t, shown, "rule"), "act", "save", "name", r.Name+" again")
		if p := owner.Post("/rules/"+r.ID, form); p.Status != http.StatusSeeOther {
			t.Fatalf("%s: saving what was shown: %d\n%s\n%v", r.ID, p.Status, jsonOf(t, r), p.Body)
		}
		revision++
		got := draftRules(t, owner).Rules[i]
		r.Name += " again"
		if jsonOf(t, got) != jsonOf(t, r) {
			t.Errorf("%s comes back as\n%s\nand was\n%s", r.ID, jsonOf(t, got), jsonOf(t, r))
		}
	}
	if got := draftOf(t, owner).Revision; got != revision {
		t.Errorf("the draft stands at %d, want %d", got, revision)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOnlyWhatNestsDeeperThanTheFormIsShownAsJSON(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	rules := rollRules(60)
	putRules(t, owner, rules)
	for _, r := range rules {
		_, group := parts(r.When)
		deep := false
		for _, c := range group {
			_, of := parts(c)
			for _, child := range of {
				_, below := parts(child)
				deep = deep || below != nil
			}
		}
		if got := strings.Contains(owner.Get("/rules/"+r.ID).Body, "Edit as JSON"); got != deep {
			t.Errorf("%s: JSON shown: %v\n%s", r.ID, got, jsonOf(t, r.When))
		}
	}
}

func parts(c routing.Condition) (string, []routing.Condition) {
	switch {
	case c.All != nil:
		return "all", c.All
	case c.Any != nil:
		return "any", c.Any
	}
	return "none", c.None
}

// builder clicks through the form of a new rule without script.
type builder struct {
	t    *testing.T
	b    *servertest.Browser
	form url.Values
	page servertest.Page
}

func newRule(t *testing.T, b *servertest.Browser) *builder {
	t.Helper()
	p := b.Get("/rules/new")
	return &builder{t: t, b: b, form: formOn(t, p, "rule"), page: p}
}

// press fills in fields and presses a button, which gives the form back.
func (f *builder) press(act string, pairs ...string) {
	f.t.Helper()
	f.page = f.b.Post("/rules", with(f.form, append(pairs, "act", act)...))
	if f.page.Status != http.StatusOK {
		f.t.Fatalf("%s: %d\n%s", act, f.page.Status, f.page.Body)
	}
	f.form = formOn(f.t, f.page, "rule")
}

func (f *builder) save(pairs ...string) servertest.Page {
	f.t.Helper()
	return f.b.Post("/rules", with(f.form, append(pairs, "act", "save")...))
}

func TestARuleIsBuiltWithButtonsAlone(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	f := newRule(t, owner)
	f.press("add ", "name", "Quotes at night", "fact", "caller")
	f.press("add ", "v.1", "contact", "fact", "said")
	f.press("show", "list.2", "buying", "new.2", "quot*, bulk order")
	if !reflect.DeepEqual(f.form["v.2"], []string{"quot*", "bulk order"}) {
		t.Errorf("the chips are %q", f.form["v.2"])
	}
	f.press("drop 2 1")
	f.press("group")
	f.press("add 3", "fact3", "time")
	f.form["v.3-1"] = []string{"22:00", "06:00"}
	f.press("add 3", "fact3", "holiday")
	f.press("up 3-2", "v.3-2", "yes")
	f.press("up 3")
	if !strings.Contains(f.page.Body, "the caller is a known Contact") || !strings.Contains(f.page.Body, "buying words") {
		t.Error("the sentence does not follow")
	}
	f.press("do", "doing", "create_deal")
	f.press("do", "doing", "log_call", "within.a1", "14")
	f.press("do", "doing", "add_task", "on.a2", "deal")
	f.press("do", "doing", "add_tags", "subject.a3", "Send the quote", "days.a3", "2")
	f.press("up a4", "new.a4", "Hot")
	f.press("remove a3", "quiet.a1", "1")
	if p := f.save(); p.Status != http.StatusSeeOther {
		t.Fatalf("save: %d\n%s", p.Status, p.Body)
	}
	got := draftRules(t, owner).Rules[2]
	want := routing.Rule{ID: got.ID, Name: "Quotes at night",
		When: routing.Condition{All: []routing.Condition{
			{Field: routing.FieldCaller, Op: routing.Is, Values: []string{"contact"}},
			{Any: []routing.Condition{{Field: routing.FieldHoliday, Op: routing.Is, Values: []string{"yes"}}, {Field: routing.FieldTime, Op: routing.Between, Values: []string{"22:00", "06:00"}}}},
			{Field: routing.FieldSaid, Op: routing.Says, Lists: []string{"buying"}, Values: []string{"quot*"}},
		}},
		Then: []routing.Outcome{{Do: routing.CreateDeal, Within: 14, Account: true, Quiet: true}, {Do: routing.LogCall, On: "deal"}, {Do: routing.AddTags, Tags: []string{"Hot"}}},
	}
	if jsonOf(t, got) != jsonOf(t, want) {
		t.Errorf("built %s\nwant %s", jsonOf(t, got), jsonOf(t, want))
	}
}

func TestALeadIsCreatedBeforeTheCallIsLoggedOnIt(t *testing.T) {
	t.Parallel()
	f := newRule(t, servertest.New(t).Owner("ann@acme.test"))
	f.press("do", "name", "Nights", "doing", "log_call")
	f.press("add ", "fact", "caller")
	f.press("show", "v.1", "new")
	if !strings.Contains(f.page.Body, "The open Deal (these callers have none)") {
		t.Error("what these callers cannot have is not named")
	}
	f.press("do", "doing", "create_lead")
	f.form["on.a1"] = []string{"lead"}
	if got := f.form["do"]; !reflect.DeepEqual(got, []string{"a2", "a1"}) {
		t.Errorf("the actions stand as %q", got)
	}
	f.press("down a2")
	if p := f.save(); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "the Lead comes first") {
		t.Errorf("logged before its Lead: %d", p.Status)
	}
}

func TestEveryFactAndActionCanBeChosen(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	for _, info := range routing.Fields {
		f := newRule(t, owner)
		f.press("add ", "fact", string(info.Field))
		if f.form.Get("f.1") != string(info.Field) {
			t.Errorf("no row for %s", info.Field)
		}
		for _, op := range info.Ops() {
			f.press("show", "op.1", string(op))
			if f.form.Get("op.1") != string(op) {
				t.Errorf("%s cannot be compared by %s", info.Field, op)
			}
		}
	}
	// A kind that is added to the rules has to come into the form, too.
	source, err := os.ReadFile("../routing/routing.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`ActionKind = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) < 9 {
		t.Fatalf("the kinds are not found: %q", kinds)
	}
	for _, found := range kinds {
		kind := routing.ActionKind(found[1])
		if kind == routing.FindAccount { // no outcome of its own
			continue
		}
		f := newRule(t, owner)
		f.press("do", "doing", string(kind))
		if f.form.Get("do.a1") != string(kind) {
			t.Errorf("no row for %s", kind)
		}
	}
}

func TestAFormOffersOnlyWhatCanApply(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	lead := owner.Get("/rules/lead").Body
	for _, kind := range []string{"create_deal", "move_stage", "create_lead"} {
		if strings.Contains(lead, `<option value="`+kind+`"`) {
			t.Errorf("a rule for Leads offers %s", kind)
		}
	}
	if !strings.Contains(lead, "“Create a Deal” is for Contacts, and this rule is for other callers.") {
		t.Error("it does not say why")
	}
	if contact := owner.Get("/rules/contact").Body; !strings.Contains(contact, `<option value="create_deal"`) || !strings.Contains(contact, "“Create a Lead” is for new callers") {
		t.Error("a rule for Contacts offers no Deal, or a Lead")
	}
	if spam := owner.Get("/rules/spam").Body; strings.Contains(spam, "Add an action") {
		t.Error("beside keeping the call here something else is offered")
	}
}

func TestWhatIsWrongStandsBesideItsRow(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	f := newRule(t, owner)
	f.press("add ", "fact", "duration")
	if strings.Contains(f.page.Body, `id="problem-1"`) {
		t.Error("a row is blamed before it could be filled in")
	}
	f.press("show", "n.1", "soon")
	if !strings.Contains(f.page.Body, `id="problem-1"`) || !strings.Contains(f.page.Body, "Enter a number") || f.form.Get("n.1") != "soon" {
		t.Error("the row does not say what is wrong, or what was typed is gone")
	}
	p := f.save("name", "Kept name")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "Kept name") || !strings.Contains(p.Body, "The rule was not saved.") {
		t.Errorf("save: %d", p.Status)
	}
	t.Run("another fact drops what the one before was compared with", func(t *testing.T) {
		f.press("show", "f.1", "intent", "n.1", "60")
		f.press("show", "new.1", "pricing")
		if f.form.Get("v.1") != "pricing" {
			t.Fatalf("%v", f.form)
		}
		f.press("show", "f.1", "dialled")
		if f.form.Get("f.1") != "dialled" || f.form.Has("v.1") {
			t.Errorf("%v", f.form)
		}
	})
}

func TestAdviceStandsBesideTheRule(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	const shadowed = "No call ever reaches this rule: every call that fits it is taken by the rule “Known Contact” above it."
	rules := draftRules(t, owner).Rules
	rules[3], rules[4] = rules[4], rules[3] // who wants to buy comes below all Contacts
	putRules(t, owner, rules)
	if p := owner.Get("/rules"); strings.Count(p.Body, shadowed) != 1 {
		t.Error("the list does not say that a rule is shadowed")
	}
	if p := owner.Get("/rules/buying"); !strings.Contains(p.Body, shadowed) {
		t.Error("the form does not say that its rule is shadowed")
	}
	f := newRule(t, owner)
	f.press("add ", "fact", "caller")
	f.press("do", "v.1", "lead", "doing", "ignore")
	if !strings.Contains(f.page.Body, "With this rule above it, no call would ever reach “Known Lead”.") {
		t.Error("a new rule does not say that it leaves another without a call")
	}
	f.press("add ", "fact", "open_deals")
	f.press("show", "op.2", "at_least", "n.2", "1")
	if !strings.Contains(f.page.Body, "No call can fit this rule") {
		t.Error("a rule whose conditions exclude each other does not say so")
	}
}

func TestARuleThatSomebodyDeletedMeanwhileIsKeptByWhoEditsIt(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	bob := s.Member(owner.Tenant, "bob@acme.test", account.Admin)
	form := with(formOn(t, owner.Get("/rules/lead"), "rule"), "name", "Leads who call", "act", "save")
	press(t, bob, "/rules/lead/delete")
	p := owner.Post("/rules/lead", form)
	if p.Status != http.StatusConflict || !strings.Contains(p.Body, `id="conflict"`) {
		t.Fatalf("saved over a deletion: %d", p.Status)
	}
	action := regexp.MustCompile(`<form[^>]*id="rule"[^>]*action="([^"]*)"`).FindStringSubmatch(p.Body)
	if action == nil {
		t.Fatalf("no form comes back:\n%s", p.Body)
	}
	if p = owner.Post(action[1], with(formOn(t, p, "rule"), "act", "save")); p.Status != http.StatusSeeOther {
		t.Fatalf("saved again: %d", p.Status)
	}
	if rules := draftRules(t, owner).Rules; !slices.ContainsFunc(rules, func(r routing.Rule) bool { return r.Name == "Leads who call" }) {
		t.Errorf("the rule is not there: %+v", rules)
	}
}
