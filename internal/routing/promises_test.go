package routing

import (
	"fmt"
	"strings"
	"testing"

	"hookline/internal/identity"
)

// Rules as a reader of the guide would make them of its four workflows; mail, messages and turns among people are not a rule's.
func guideSet() Set {
	says := func(list string) Condition { return Condition{Field: FieldSaid, Op: Says, Lists: []string{list}} }
	is := func(f Field, v string) Condition { return Condition{Field: f, Op: Is, Values: []string{v}} }
	newCaller, contact := is(FieldCaller, "new"), is(FieldCaller, "contact")
	task := func(subject string, days int) Outcome { return Outcome{Do: AddTask, Subject: subject, Days: days} }
	log := func(on string) Outcome { return Outcome{Do: LogCall, On: on} }
	open := Condition{Field: FieldOpenDeals, Op: AtLeast, Number: 1}
	set := DefaultSet()
	set.Rules = append([]Rule{
		{ID: "w2", Name: "Hot lead", When: Condition{All: []Condition{newCaller, {Field: FieldBudget, Op: MoreThan, Number: 25_000}, says(ListUrgent)}},
			Then: []Outcome{{Do: CreateLead}, log("lead"), task("Call back immediately", 0), {Do: AddTags, Tags: []string{"Hot"}}, {Do: SetOwner, Owner: "77"}}},
		{ID: "w4", Name: "Callback wanted", When: Condition{All: []Condition{newCaller, says(ListCallback)}},
			Then: []Outcome{{Do: CreateLead}, log("lead"), task("Call back", 0)}},
		{ID: "w1", Name: "Inbound lead", When: Condition{All: []Condition{newCaller, is(FieldUsable, "usable"), is(FieldDirection, "inbound"), is(FieldSource, "Inbound Call")}},
			Then: []Outcome{{Do: CreateLead}, log("lead"), task("Follow up on inbound inquiry", 0), {Do: SetOwner, Owner: "42"}}},
		{ID: "w3", Name: "Ready to move forward", When: Condition{All: []Condition{contact, open, says(ListForward)}},
			Then: []Outcome{log("deal"), {Do: MoveStage, Stage: "Negotiation", From: []string{"Proposal"}}, task("Follow up on proposal", 2)}},
	}, set.Rules...)
	return set
}

func TestTheGuidesPromises(t *testing.T) {
	stage := func(name string) identity.Deal {
		d := openDeal("ABC Corp - Enterprise plan")
		d.Stage = name
		ahead := []string{"Qualification", "Needs Analysis", "Proposal", "Negotiation", "Closed Won"}
		for i, s := range ahead {
			if s == name {
				d.Ahead = ahead[i+1:]
			}
		}
		return d
	}
	budget := func(f *Facts, n float64) { f.Call.Answers = map[string]any{"budget": n} }
	guide := guideSet()
	faq := DefaultSet()
	faq.Rules = append([]Rule{
		{ID: "f1", Name: "A Lead was called", When: Condition{Field: FieldCaller, Op: Is, Values: []string{"lead"}},
			Then: []Outcome{{Do: LogCall, On: "lead"}, {Do: BlueprintStep, On: "lead", Transition: "Contacted"}}},
		{ID: "f2", Name: "The Deal is qualified", When: Condition{Field: FieldStage, Op: Is, Values: []string{"Qualification"}},
			Then: []Outcome{{Do: LogCall, On: "deal"}, {Do: BlueprintStep, On: "deal", Transition: "Qualify", If: &Condition{Field: FieldBudget, Op: AtLeast, Number: 1}}}},
	}, faq.Rules...)
	if p := append(guide.Check(), faq.Check()...); len(p) > 0 {
		t.Fatal(p)
	}
	for _, c := range []struct {
		promise string
		set     Set
		facts   func(f *Facts)
		rule    string
		want    string // what is written: each action as describe has it
		note    string
	}{
		{"10 buying intent is detected", DefaultSet(), func(f *Facts) { contact(f); says(f, "What's the pricing for 50 users?") }, "buying", "deal contact account 5725767000000200001; call contact Deals.deal", ""},
		{"10 and not where there is none", DefaultSet(), func(f *Facts) { contact(f); says(f, "I don't want a quote.") }, "contact", "call contact", ""},
		{"11 a budget as people say it counts", guide, func(f *Facts) { f.Call.Answers = map[string]any{"budget": "$50K"}; says(f, "It is urgent.") }, "w2", "lead tagged Hot owned 77; call Leads.lead owned 77; task.1 Leads.lead due 2026-03-02 owned 77", ""},
		{"11 and in the caller's own words", guide, func(f *Facts) { says(f, "Our budget is $50K.", "We need it ASAP.") }, "w2", "lead tagged Hot owned 77; call Leads.lead owned 77; task.1 Leads.lead due 2026-03-02 owned 77", ""},
		{"14 a Deal is linked to Contact and Account", DefaultSet(), func(f *Facts) {
			contact(f)
			f.Match.Contact.AccountID, f.Call.Company = "", "ABC Corp"
			says(f, "A quote, please.")
		}, "buying", "account of ABC Corp; deal contact account account; call contact Deals.deal", ""},
		{"14 or the trace says why not", DefaultSet(), func(f *Facts) { contact(f); f.Match.Contact.AccountID = ""; says(f, "A quote, please.") }, "buying", "deal contact; call contact Deals.deal", "named no company"},
		{"15 new and no match becomes a Lead", DefaultSet(), func(*Facts) {}, "new-caller", "lead; call Leads.lead", ""},
		{"16 a match without an active Deal gets a Call", DefaultSet(), func(f *Facts) { contact(f) }, "contact", "call contact", ""},
		{"17 a second buying call makes no second Deal", DefaultSet(), func(f *Facts) {
			contact(f)
			d := openDeal("ABC - Plan")
			d.Open, d.CreatedAt = false, monday.AddDate(0, 0, -5)
			f.Match.RecentDeal = &d
			says(f, "A quote, please.")
		}, "buying", "call contact", "No second Deal was made"},
		{"18 a match with an active Deal gets the Call there", DefaultSet(), func(f *Facts) { contact(f, stage("Proposal")); says(f, "A quote, please.") }, "open-deal", "call contact Deals.5725767000000400001", ""},
		{"18 of two Deals the one modified last", DefaultSet(), func(f *Facts) { contact(f, stage("Proposal"), stage("Qualification")) }, "open-deal", "call contact Deals.5725767000000400001", "modified last and is taken"},
		{"19 the logic is configurable", Set{Rules: []Rule{{ID: "mine", Name: "Mine", Then: []Outcome{{Do: Ignore}}}}}, func(*Facts) {}, "mine", "", ""},
		{"21 Sarah's first call", DefaultSet(), func(f *Facts) { says(f, "I'm interested in your Enterprise plan.") }, "new-caller", "lead; call Leads.lead", ""},
		{"22 her call as a Lead", DefaultSet(), func(f *Facts) { lead(f) }, "lead", "call Leads.5725767000000300001", ""},
		{"23 her call about pricing", DefaultSet(), func(f *Facts) { contact(f); says(f, "How much is it for 50 seats?") }, "buying", "deal contact account 5725767000000200001; call contact Deals.deal", ""},
		{"24 her call about the Deal", guide, func(f *Facts) { contact(f, stage("Proposal")); says(f, "We are ready to move forward.") }, "w3",
			"call contact Deals.5725767000000400001; deal.stage Deals.5725767000000400001; task.1 contact Deals.5725767000000400001 due 2026-03-04", ""},
		{"25 and 30 a first-time caller gets a follow-up", guide, func(f *Facts) { f.Source = "Inbound Call" }, "w1", "lead owned 42; call Leads.lead owned 42; task.1 Leads.lead due 2026-03-02 owned 42", ""},
		{"27 only of that source", guide, func(f *Facts) { f.Source = "Web form" }, "new-caller", "lead; call Leads.lead", ""},
		{"31 25,000 is not more than 25,000", guide, func(f *Facts) { budget(f, 25_000); says(f, "It is urgent.") }, "new-caller", "lead; call Leads.lead", ""},
		{"31 25,001 is", guide, func(f *Facts) { budget(f, 25_001); says(f, "We need it ASAP.") }, "w2", "lead tagged Hot owned 77; call Leads.lead owned 77; task.1 Leads.lead due 2026-03-02 owned 77", ""},
		{"31 only with urgent words", guide, func(f *Facts) { budget(f, 50_000); says(f, "It is not urgent.") }, "new-caller", "lead; call Leads.lead", ""},
		{"35 the negated phrase is none", guide, func(f *Facts) { contact(f, stage("Proposal")); says(f, "We are not ready to move forward.") }, "open-deal", "call contact Deals.5725767000000400001", ""},
		{"36 out of another stage nothing moves", guide, func(f *Facts) { contact(f, stage("Qualification")); says(f, "We are ready to move forward.") }, "w3",
			"call contact Deals.5725767000000400001; task.1 contact Deals.5725767000000400001 due 2026-03-04", "it is in Qualification, and the rule moves only out of Proposal"},
		{"36 nor backwards", guide, func(f *Facts) {
			d := stage("Proposal")
			d.Ahead = []string{"Closed Won"}
			contact(f, d)
			says(f, "We are ready to move forward.")
		}, "w3", "call contact Deals.5725767000000400001; task.1 contact Deals.5725767000000400001 due 2026-03-04", "stages only move forward"},
		{"38 the Task is due in two business days", guide, func(f *Facts) {
			contact(f, stage("Proposal"))
			f.DecidedAt = monday.AddDate(0, 0, 4)
			says(f, "We are ready to move forward.")
		}, "w3", "call contact Deals.5725767000000400001; deal.stage Deals.5725767000000400001; task.1 contact Deals.5725767000000400001 due 2026-03-10", ""},
		{"39 a callback is asked for", guide, func(f *Facts) { says(f, "Can someone call me back tomorrow at 2 PM?") }, "w4", "lead; call Leads.lead; task.1 Leads.lead due 2026-03-02", ""},
		{"39 in the summary where no words came", guide, func(f *Facts) { f.Call.Summary = "Callback requested for tomorrow." }, "w4", "lead; call Leads.lead; task.1 Leads.lead due 2026-03-02", ""},
		{"58 a logged call takes the Lead from New to Contacted", faq, func(f *Facts) { lead(f) }, "f1", "call Leads.5725767000000300001; blueprint.lead Leads.5725767000000300001 step Contacted", ""},
		{"58 a call with qualified answers takes the Deal on", faq, func(f *Facts) {
			contact(f, stage("Qualification"))
			f.Call.Answers = map[string]any{"budget": "$50K", "timeline": "this month"}
		}, "f2", "call contact Deals.5725767000000400001; blueprint.deal Deals.5725767000000400001 step Qualify", ""},
		{"58 and without them does not", faq, func(f *Facts) { contact(f, stage("Qualification")) }, "f2", "call contact Deals.5725767000000400001", "“Qualify” was not taken"},
		{"58 nor out of another stage", faq, func(f *Facts) { contact(f, stage("Proposal")); budget(f, 50_000) }, "open-deal", "call contact Deals.5725767000000400001", ""},
	} {
		d := Decide(c.set, facts(c.facts))
		var got []string
		for _, a := range d.Actions {
			got = append(got, describe(a))
		}
		if d.Rule != c.rule || strings.Join(got, "; ") != c.want || !strings.Contains(strings.Join(d.Trace.Notes, " "), c.note) {
			t.Errorf("promise %s: rule %s writes %q, notes %q", c.promise, d.Rule, strings.Join(got, "; "), d.Trace.Notes)
		}
	}
}

func TestTR6ASetThatIsTooLargeIsRefusedQuickly(t *testing.T) {
	leaf := Condition{Field: FieldCaller, Op: Is, Values: []string{"new"}}
	wide := Condition{All: make([]Condition, 1_000_000)}
	for i := range wide.All {
		wide.All[i] = leaf
	}
	deep := leaf
	for range 100_000 {
		deep = Condition{None: []Condition{deep}}
	}
	one := func(when Condition) Set {
		return Set{Rules: []Rule{{ID: "1", Name: "x", When: when, Then: []Outcome{{Do: CreateLead}}}}}
	}
	long := strings.Repeat("ü", maxText+1)
	for name, c := range map[string]struct {
		set  Set
		want string
	}{
		"10,000 rules":         {Set{Rules: make([]Rule, 10_000)}, "There are 10000 rules; 200 are the most."},
		"a million conditions": {one(wide), "more than 100 conditions"},
		"100,000 groups deep":  {one(deep), "deeper than 6 groups"},
		"a long phrase":        {one(Condition{Field: FieldSaid, Op: Says, Values: []string{long}}), "longer than 200 characters"},
		"many phrases":         {one(Condition{Field: FieldSaid, Op: Says, Values: make([]string, 100_000)}), "500 phrases are the most"},
		"many phrase lists":    {Set{Phrases: make([]PhraseList, 10_000)}, "100 are the most"},
		"many outcomes":        {Set{Rules: []Rule{{ID: "1", Name: "x", Then: make([]Outcome, 10_000)}}}, "at most 20 things"},
		"many values":          {Set{Rules: []Rule{{ID: "1", Name: "x", Then: []Outcome{{Do: CreateLead, With: make([]Value, 10_000)}}}}}, "at most 50 values"},
		"a long value":         {Set{Rules: []Rule{{ID: "1", Name: "x", Then: []Outcome{{Do: CreateLead, With: []Value{{"City", strings.Repeat("x", maxTemplate+1)}}}}}}}, "longer than 4000 characters"},
	} {
		p := c.set.Check()
		if len(p) != 1 || !strings.Contains(p[0].Sentence, c.want) {
			t.Errorf("%s: %d problems, first %+v", name, len(p), p[:min(len(p), 1)])
		}
	}
}

// BenchmarkDecideFiftyRules is Decide on a set as large as tenants keep, on a call of fourteen sentences.
func BenchmarkDecideFiftyRules(b *testing.B) {
	set := DefaultSet()
	for i := range 43 {
		set.Rules = append(set.Rules[:len(set.Rules):len(set.Rules)], Rule{ID: fmt.Sprint("more", i), Name: fmt.Sprint("More ", i), Then: []Outcome{{Do: LogCall, On: "contact"}}, When: Condition{All: []Condition{
			{Field: FieldCaller, Op: Is, Values: []string{"contact"}}, {Field: FieldSaid, Op: Says, Lists: []string{ListUrgent}, Values: []string{fmt.Sprint("word", i)}},
			{Field: FieldBudget, Op: MoreThan, Number: float64(i)}, {Field: FieldTime, Op: Between, Values: []string{"22:00", "06:00"}},
		}}})
	}
	f := facts(func(f *Facts) {
		contact(f)
		for range 14 {
			says(f, "Well, I was wondering whether your technician could come by on Tuesday afternoon.")
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		Decide(set, f)
	}
}
