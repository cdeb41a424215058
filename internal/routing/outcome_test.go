package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOutcomesBecomeActionsOnTheRecordsThatThereAre(t *testing.T) {
	task := Outcome{Do: AddTask, Subject: "Call back", Days: 1}
	tags := Outcome{Do: AddTags, Tags: []string{"Hot"}}
	deal := Outcome{Do: CreateDeal, Account: true}
	log := func(on string) Outcome { return Outcome{Do: LogCall, On: on} }
	step := func(on string) Outcome { return Outcome{Do: BlueprintStep, On: on, Transition: " Contacted"} }
	for name, c := range map[string]struct {
		then  []Outcome
		facts Facts
		want  []string // slot, what it hangs on, and what is special about it
		note  string
	}{
		"a Task on a new Lead": {[]Outcome{{Do: CreateLead}, log("lead"), task}, facts(func(f *Facts) {}),
			[]string{"lead", "call Leads.lead", "task.1 Leads.lead due 2026-03-03"}, ""},
		"a Task on a known Lead": {[]Outcome{task}, facts(lead), []string{"task.1 Leads.5725767000000300001 due 2026-03-03"}, ""},
		"a Task on a Contact":    {[]Outcome{task}, facts(func(f *Facts) { contact(f) }), []string{"task.1 contact due 2026-03-03"}, ""},
		"a Task on the open Deal": {[]Outcome{task}, facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")) }),
			[]string{"task.1 contact Deals.5725767000000400001 due 2026-03-03"}, ""},
		"a Task of nobody":                        {[]Outcome{task}, facts(func(f *Facts) { f.Match.Unusable = "the caller hid the number" }), []string{"task.1 due 2026-03-03"}, "hangs on no record"},
		"tags of a new Lead go with its creation": {[]Outcome{{Do: CreateLead}, tags}, facts(func(f *Facts) {}), []string{"lead tagged Hot"}, ""},
		"tags of a Contact":                       {[]Outcome{tags}, facts(func(f *Facts) { contact(f) }), []string{"tags Contacts.5725767000000100001 tagged Hot"}, ""},
		"tags of a new Deal":                      {[]Outcome{deal, {Do: AddTags, On: "deal", Tags: []string{"Hot"}}}, facts(func(f *Facts) { contact(f) }), []string{"deal contact account 5725767000000200001 tagged Hot"}, ""},
		"tags of no Deal":                         {[]Outcome{log("contact"), {Do: AddTags, On: "deal", Tags: []string{"Hot"}}}, facts(func(f *Facts) { contact(f) }), []string{"call contact"}, "there is no open Deal"},
		"a Blueprint step of a known Lead":        {[]Outcome{log("lead"), step("lead")}, facts(lead), []string{"call Leads.5725767000000300001", "blueprint.lead Leads.5725767000000300001 step Contacted"}, ""},
		"no step of a Lead that the call makes":   {[]Outcome{{Do: CreateLead}, step("lead")}, facts(func(f *Facts) {}), []string{"lead"}, "“Contacted” was not taken: the caller was no Lead in Zoho before this call"},
		"no step of a Lead who is a Contact":      {[]Outcome{log("contact"), step("lead")}, facts(func(f *Facts) { contact(f) }), []string{"call contact"}, "the caller was no Lead"},
		"a Blueprint step of the open Deal":       {[]Outcome{step("deal")}, facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")) }), []string{"blueprint.deal Deals.5725767000000400001 step Contacted"}, ""},
		"no step of a Deal that the call makes":   {[]Outcome{{Do: CreateDeal}, step("deal")}, facts(func(f *Facts) { contact(f) }), []string{"deal contact account 5725767000000200001"}, "“Contacted” was not taken: the caller has no open Deal"},
		"no step without what it needs": {[]Outcome{{Do: BlueprintStep, On: "deal", Transition: "Contacted", If: &Condition{Field: FieldSaid, Op: Says, Values: []string{"deal"}}}},
			facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")) }), nil, "“Contacted” was not taken: "},
		"an owner owns what is created": {[]Outcome{{Do: SetOwner, Owner: "42"}, {Do: CreateLead}, log("lead"), task, tags}, facts(func(f *Facts) {}),
			[]string{"lead tagged Hot owned 42", "call Leads.lead owned 42", "task.1 Leads.lead due 2026-03-03 owned 42"}, ""},
		"an owner owns nothing that exists": {[]Outcome{log("deal"), {Do: MoveStage, Stage: NextStage}, tags, step("deal"), {Do: SetOwner, Owner: "42"}}, facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")) }),
			[]string{"call contact Deals.5725767000000400001 owned 42", "deal.stage Deals.5725767000000400001", "tags Contacts.5725767000000100001 tagged Hot", "blueprint.deal Deals.5725767000000400001 step Contacted"}, ""},
		"quiet where it is wanted": {[]Outcome{{Do: CreateLead, Quiet: true}, log("lead")}, facts(func(f *Facts) {}), []string{"lead quiet", "call Leads.lead"}, ""},
		"an Account for a Contact without": {[]Outcome{deal}, facts(func(f *Facts) { contact(f); f.Match.Contact.AccountID = ""; f.Call.Company = " XYZ Ltd " }),
			[]string{"account of XYZ Ltd", "deal contact account account"}, "made where Zoho has none"},
		"no Account where no company was named": {[]Outcome{deal}, facts(func(f *Facts) { contact(f); f.Match.Contact.AccountID = "" }), []string{"deal contact"}, "named no company"},
		"no Account where the rule wants none": {[]Outcome{{Do: CreateDeal}}, facts(func(f *Facts) { contact(f); f.Match.Contact.AccountID = ""; f.Call.Company = "XYZ Ltd" }),
			[]string{"deal contact"}, "has none"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(Set{Rules: []Rule{{ID: "1", Name: "x", Then: c.then}}}, c.facts)
			var got []string
			for _, a := range d.Actions {
				got = append(got, describe(a))
			}
			if strings.Join(got, "; ") != strings.Join(c.want, "; ") {
				t.Errorf("got %q", got)
			}
			if !strings.Contains(strings.Join(d.Trace.Notes, " "), c.note) {
				t.Errorf("notes %q", d.Trace.Notes)
			}
		})
	}
}

func describe(a Action) string {
	s := a.Slot
	if a.Contact != nil {
		s += " contact"
	}
	if a.About != nil {
		s += fmt.Sprintf(" %s.%s%s", a.About.Module, a.About.ID, a.About.Slot)
	}
	if a.Account != nil {
		s += " account " + a.Account.ID + a.Account.Slot
	}
	if a.Company != "" {
		s += " of " + a.Company
	}
	if a.Due != "" {
		s += " due " + a.Due
	}
	if len(a.Tags) > 0 {
		s += " tagged " + strings.Join(a.Tags, ",")
	}
	if a.Transition != "" {
		s += " step " + a.Transition
	}
	if a.Owner != "" {
		s += " owned " + a.Owner
	}
	if a.Quiet {
		s += " quiet"
	}
	return s
}

func TestATaskIsDueOnABusinessDay(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	shop := []time.Weekday{time.Tuesday, time.Saturday}
	for _, c := range []struct {
		from string
		days int
		open []time.Weekday
		want string
	}{
		{"2026-03-02", 0, nil, "2026-03-02"}, // a Monday
		{"2026-03-02", 1, nil, "2026-03-03"},
		{"2026-03-06", 1, nil, "2026-03-09"}, // over a week-end
		{"2026-03-07", 0, nil, "2026-03-09"}, // on one
		{"2026-03-07", 1, nil, "2026-03-09"},
		{"2026-03-02", 10, nil, "2026-03-16"},
		{"2026-03-02", 1, shop, "2026-03-03"},
		{"2026-03-03", 1, shop, "2026-03-07"},
		{"2026-03-03", 2, shop, "2026-03-10"},
		{"2026-04-02", 1, nil, "2026-04-07"}, // over Easter
		{"2026-04-03", 0, nil, "2026-04-07"}, // on Good Friday
	} {
		if got := dueDay(Facts{DecidedAt: day(c.from), Weekdays: c.open, Holidays: []string{"2026-04-03", "2026-04-06"}}, c.days).Format(time.DateOnly); got != c.want {
			t.Errorf("%d days after %s is %s, want %s", c.days, c.from, got, c.want)
		}
	}
}

func TestOutcomesAreCheckedAndSaidInWords(t *testing.T) {
	lead := Outcome{Do: CreateLead}
	for _, c := range []struct {
		then     []Outcome
		problem  string
		sentence string
	}{
		{[]Outcome{lead, {Do: AddTask, Subject: "Call back", Days: 2}}, "", "create a Lead and add the Task “Call back” due in 2 business days"},
		{[]Outcome{{Do: AddTask, Subject: "Call back"}}, "", "add the Task “Call back” due today"},
		{[]Outcome{{Do: AddTask, Subject: " "}}, "what the Task is about", ""},
		{[]Outcome{{Do: AddTask, Subject: "x", Days: 91}}, "0 to 90 business days", ""},
		{[]Outcome{lead, {Do: AddTags, Tags: []string{"Hot", "By phone"}}}, "", "create a Lead and tag the caller “Hot”, “By phone”"},
		{[]Outcome{{Do: AddTags, On: "deal", Tags: []string{"Hot"}}}, "", "tag the Deal “Hot”"},
		{[]Outcome{{Do: AddTags}}, "1 to 10 tags", ""},
		{[]Outcome{{Do: AddTags, Tags: []string{strings.Repeat("x", 26)}}}, "cannot be a tag", ""},
		{[]Outcome{{Do: AddTags, Tags: []string{"a,b"}}}, "cannot be a tag", ""},
		{[]Outcome{{Do: AddTags, On: "moon", Tags: []string{"a"}}}, "the caller's record or to the deal", ""},
		{[]Outcome{lead, {Do: SetOwner, Owner: "572576", OwnerName: "Jane Roe"}}, "", "create a Lead and give what is created to Jane Roe"},
		{[]Outcome{lead, {Do: SetOwner, Owner: "jane"}}, "Choose the user", ""},
		{[]Outcome{{Do: AddTags, Tags: []string{"a"}}, {Do: SetOwner, Owner: "572576"}}, "creates nothing", ""},
		{[]Outcome{{Do: LogCall, On: "lead"}, lead}, "the Lead comes first", ""},
		{[]Outcome{{Do: CreateDeal, Within: 30, Account: true, Quiet: true}}, "",
			"create a Deal (not a second within 30 days) with the Account of the caller's company without Zoho's own workflows"},
		{[]Outcome{{Do: FindAccount}}, "cannot do", ""},
		{[]Outcome{lead, {Do: AddTask, Subject: "Call back"}, {Do: AddTask, Subject: "Send the brochure", Days: 3}}, "",
			"create a Lead, add the Task “Call back” due today and add the Task “Send the brochure” due in 3 business days"},
		{slices.Repeat([]Outcome{{Do: AddTask, Subject: "Call back"}}, 6), "at most 5 Tasks", ""},
		{[]Outcome{lead, lead}, "each thing once", ""},
		{[]Outcome{{Do: HandOver, Why: "It is about a lawsuit."}}, "", "hand the call to a person and write nothing to Zoho, saying “It is about a lawsuit.”"},
		{[]Outcome{{Do: HandOver}, lead}, "does nothing else", ""},
		{[]Outcome{{Do: HandOver, Why: strings.Repeat("x", 201)}}, "at most 200 characters", ""},
		{[]Outcome{{Do: CreateLead, With: []Value{{"Lead_Source", "Trade Show"}, {"City", ""}}}}, "", "create a Lead (Lead Source: “Trade Show”, City: empty)"},
		{[]Outcome{{Do: AddTags, Tags: []string{"a"}, With: []Value{{"City", "x"}}}}, "can have values of its own", ""},
		{[]Outcome{{Do: CreateLead, With: []Value{{"City", "x"}, {"City", "y"}}}}, "has two values", ""},
		{[]Outcome{{Do: CreateLead, With: []Value{{"a b", "x"}}}}, "no field's name", ""},
		{[]Outcome{{Do: LogCall, On: "lead"}, {Do: BlueprintStep, On: "lead", Transition: "Contacted"}}, "", "log the Call on the Lead and take the Blueprint step “Contacted” of the Lead"},
		{[]Outcome{{Do: BlueprintStep, On: "deal", Transition: "Qualify", If: &Condition{Field: FieldCaller, Op: Is, Values: []string{"contact"}}}}, "", "take the Blueprint step “Qualify” of the open Deal (only if the caller is a known Contact)"},
		{[]Outcome{{Do: BlueprintStep, On: "contact", Transition: "Contacted"}}, "of the lead or of the deal", ""},
		{[]Outcome{{Do: BlueprintStep, On: "lead", Transition: " "}}, "at most 200 characters the Blueprint step", ""},
		{[]Outcome{{Do: BlueprintStep, On: "lead", Transition: strings.Repeat("ü", 201)}}, "at most 200 characters the Blueprint step", ""},
		{[]Outcome{{Do: BlueprintStep, On: "lead", Transition: "Contacted", Quiet: true}}, "cannot be kept quiet", ""},
		{[]Outcome{{Do: BlueprintStep, On: "lead", Transition: "Contacted", If: &Condition{Field: "moon"}}}, "no fact named", ""},
		{[]Outcome{{Do: MoveStage, Stage: "Negotiation", If: &Condition{Field: FieldSaid, Op: Says, Values: []string{"deal"}}}, {Do: LogCall, On: "deal"}}, "",
			"move the Deal to “Negotiation” (only if the caller says “deal”) and log the Call on the open Deal"},
	} {
		problems := Set{Rules: []Rule{{ID: "1", Name: "x", Then: c.then}}}.Check()
		switch {
		case c.problem == "" && len(problems) > 0, c.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0].Sentence, c.problem)):
			t.Errorf("%+v: %+v, want %q", c.then, problems, c.problem)
		case c.problem == "" && Does(c.then, nil) != c.sentence:
			t.Errorf("%q", Does(c.then, nil))
		}
	}
}

func TestConditionsAreSaidWithoutDoubt(t *testing.T) {
	caller := func(v ...string) Condition { return Condition{Field: FieldCaller, Op: Is, Values: v} }
	closed := Condition{Field: FieldHours, Op: Is, Values: []string{"closed"}}
	night := Condition{Field: FieldTime, Op: Between, Values: []string{"22:00", "06:00"}}
	buying := Condition{Field: FieldSaid, Op: Says, Lists: []string{ListBuying}}
	for _, c := range []struct {
		when Condition
		want string
	}{
		{Condition{All: []Condition{caller("new"), closed}}, "the caller is new and your hours are closed"},
		{Condition{All: []Condition{caller("new", "lead"), closed}}, "the caller is new or a known Lead, and your hours are closed"},
		{Condition{Any: []Condition{{All: []Condition{caller("new"), closed}}, buying}}, "(the caller is new and your hours are closed) or the caller says buying words"},
		{Condition{All: []Condition{{Any: []Condition{closed, night}}, caller("new")}}, "(your hours are closed, or the call came between 22:00 and 06:00) and the caller is new"},
		{Condition{None: []Condition{buying}}, "the caller does not say buying words"},
		{Condition{None: []Condition{caller("new")}}, "the caller is not new"},
		{Condition{None: []Condition{night}}, "the call did not come between 22:00 and 06:00"},
		{Condition{None: []Condition{{None: []Condition{closed}}}}, "your hours are closed"},
		{Condition{None: []Condition{{Field: FieldBudget, Op: MoreThan, Number: 25000}}}, "it is not so that the caller's budget is more than 25,000"},
		{Condition{None: []Condition{{All: []Condition{caller("new"), closed}}}}, "it is not so that (the caller is new and your hours are closed)"},
		{Condition{All: []Condition{{None: []Condition{caller("new"), buying}}, closed}}, "(none of these holds: the caller is new or the caller says buying words) and your hours are closed"},
		{Condition{Field: FieldStage, Op: IsNot, Values: []string{"Qualification"}}, "the open Deal's stage is not “Qualification”"},
		{Condition{Field: FieldAmount, Op: LessThan, Number: 1234567.5}, "the open Deal's amount is less than 1,234,567.5"},
		{Condition{Field: FieldHoliday, Op: Is, Values: []string{"yes"}}, "the day is one of your holidays"},
		{Condition{Field: FieldRepeat, Op: AtLeast, Number: 1, Days: 7}, "the number called at least 1 time before within 7 days"},
	} {
		if got := Sentence(c.when, DefaultSet().Lists()); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestTheRunnerUpIsSaidAsAPersonWould(t *testing.T) {
	d := Decide(DefaultSet(), facts(func(f *Facts) { contact(f); says(f, "Where is my technician?", "He is late.") }))
	if want := "Not “Contact who wants to buy”: none of your buying words in the caller's 2 sentences."; d.Trace.RunnerUp != want {
		t.Errorf("got %q", d.Trace.RunnerUp)
	}
	set := Set{Rules: []Rule{{ID: "1", Name: "No spam", When: Condition{All: []Condition{
		{Field: FieldCaller, Op: Is, Values: []string{"new"}}, {None: []Condition{{Field: FieldSaid, Op: Says, Values: []string{"warranty"}}}},
	}}, Then: []Outcome{{Do: CreateLead}}}}}
	d = Decide(set, facts(func(f *Facts) { says(f, "Your car's warranty ends.") }))
	if want := "Not “No spam”: it needs that the caller does not say “warranty”. Here: “warranty” in the caller's 1 sentence."; d.Trace.RunnerUp != want {
		t.Errorf("got %q", d.Trace.RunnerUp)
	}
}

func TestACallHandedToAPersonWritesNothing(t *testing.T) {
	set := Set{Rules: []Rule{{ID: "1", Name: "Lawsuits", Then: []Outcome{{Do: HandOver}}}}}
	d := Decide(set, facts(func(*Facts) {}))
	if len(d.Actions) > 0 || d.Ignored || d.Outcome != "Handed to a person" || !strings.Contains(d.Handed, "The rule “Lawsuits” hands this call to a person.") {
		t.Errorf("%+v", d)
	}
}
