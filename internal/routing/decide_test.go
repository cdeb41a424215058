package routing

import (
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
)

var monday = time.Date(2026, 3, 2, 17, 4, 5, 0, time.FixedZone("", -8*3600))

func facts(change func(*Facts)) Facts {
	f := Facts{
		Call:  call.Call{Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", Duration: 245 * time.Second},
		Match: identity.Match{Kind: identity.Nobody}, Open: true, LocalTime: monday, DecidedAt: monday,
	}
	change(&f)
	return f
}

func says(f *Facts, sentences ...string) {
	for _, s := range sentences {
		f.Call.Transcript = append(f.Call.Transcript, call.Turn{Role: call.Caller, Text: s})
	}
}

func contact(f *Facts, deals ...identity.Deal) {
	f.Match = identity.Match{Kind: identity.Contact, OpenDeals: deals, Contact: &identity.Person{
		Module: "Contacts", ID: "5725767000000100001", Name: "Sarah Johnson", AccountID: "5725767000000200001", AccountName: "ABC Corp",
	}}
}

func lead(f *Facts) {
	f.Match = identity.Match{Kind: identity.Lead, Lead: &identity.Person{Module: "Leads", ID: "5725767000000300001", Name: "Sarah Johnson"}}
}

func openDeal(name string) identity.Deal {
	return identity.Deal{ID: "5725767000000400001", Name: name, Stage: "Qualification", Open: true,
		Ahead: []string{"Needs Analysis", "Negotiation/Review", "Closed Won"}, CreatedAt: monday.AddDate(0, -3, 0)}
}

func TestTheDefaultRulesPutEachCallInOnePlace(t *testing.T) {
	for _, c := range []struct {
		name    string
		facts   Facts
		rule    string
		outcome string
		ignored bool
	}{
		{"a new caller becomes a Lead with the Call on it", facts(func(f *Facts) { says(f, "Hello there.") }), "new-caller", "Lead created", false},
		{"a new caller with buying words becomes a Lead, not a Deal", facts(func(f *Facts) { says(f, "I want to buy.") }), "new-caller", "Lead created", false},
		{"a missed call of a new number becomes a Lead", facts(func(f *Facts) { f.Call.Status = call.Missed; f.Call.Duration = 0 }), "new-caller", "Lead created", false},
		{"a voicemail of a new number becomes a Lead", facts(func(f *Facts) { f.Call.Status = call.Voicemail }), "new-caller", "Lead created", false},
		{"a hidden number is kept and makes no Lead", facts(func(f *Facts) {
			f.Call.From, f.Call.Withheld = "", true
			f.Match, _ = identity.Unsearched(f.Call)
		}), "no-number", "Kept, nothing written", true},
		{"an unusable number is kept and makes no Lead", facts(func(f *Facts) {
			f.Call.From = "+1911"
			f.Match, _ = identity.Unsearched(f.Call)
		}), "no-number", "Kept, nothing written", true},
		{"spam from a new number makes no Lead", facts(func(f *Facts) { says(f, "We call about your car's extended warranty.") }), "spam", "Kept, nothing written", true},
		{"a Contact is never spam", facts(func(f *Facts) { contact(f); says(f, "They called me about an extended warranty.") }), "contact", "Call on Contact", false},
		{"a call between colleagues is kept", facts(func(f *Facts) { f.Call.Direction = call.Internal }), "no-number", "Kept, nothing written", true},
		{"a Contact without open Deal gets the Call", facts(func(f *Facts) { contact(f); says(f, "Is my technician on the way?") }), "contact", "Call on Contact", false},
		{"a Contact with an open Deal gets the Call on the Deal", facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")) }), "open-deal", "Call on Deal", false},
		{"a Contact with an open Deal and buying words makes no second Deal", facts(func(f *Facts) { contact(f, openDeal("ABC - Plan")); says(f, "Pricing please.") }), "open-deal", "Call on Deal", false},
		{"a Contact with buying words gets a Deal with the Call on it", facts(func(f *Facts) { contact(f); says(f, "What's the pricing for 50 users?") }), "buying", "Deal created", false},
		{"a Contact who does not want to buy gets the Call", facts(func(f *Facts) { contact(f); says(f, "I don't want to buy anything.") }), "contact", "Call on Contact", false},
		{"a Contact whose intent is buying gets a Deal", facts(func(f *Facts) { contact(f); f.Call.Intent = "Sales inquiry" }), "buying", "Deal created", false},
		{"a Lead gets the Call", facts(lead), "lead", "Call on Lead", false},
		{"a Lead with buying words gets the Call", facts(func(f *Facts) { lead(f); says(f, "What is the price?") }), "lead", "Call on Lead", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(DefaultSet(), c.facts)
			if d.Rule != c.rule || d.Outcome != c.outcome || d.Ignored != c.ignored {
				t.Errorf("got rule %s, outcome %q, ignored %v; notes %q", d.Rule, d.Outcome, d.Ignored, d.Trace.Notes)
			}
			if len(d.Trace.Rules) != 7 {
				t.Errorf("the trace shows %d of 7 rules", len(d.Trace.Rules))
			}
		})
	}
}

func TestActionsNameTheRecordsTheyHangOn(t *testing.T) {
	t.Run("a new Lead's Call hangs on the Lead that the call makes", func(t *testing.T) {
		d := Decide(DefaultSet(), facts(func(*Facts) {}))
		a := d.Actions[1]
		if a.Slot != SlotCall || a.About == nil || a.About.Slot != SlotLead || a.About.Module != "Leads" || a.Contact != nil {
			t.Errorf("%+v", a)
		}
	})
	t.Run("a Deal has the Contact and its Account, and the Call both Contact and Deal", func(t *testing.T) {
		d := Decide(DefaultSet(), facts(func(f *Facts) { contact(f); says(f, "A quote please.") }))
		if d.Actions[0].Account == nil || d.Actions[0].Contact.ID != "5725767000000100001" {
			t.Errorf("%+v", d.Actions[0])
		}
		if d.Actions[1].About.Slot != SlotDeal || d.Actions[1].Contact == nil {
			t.Errorf("%+v", d.Actions[1])
		}
	})
	t.Run("a Contact without Account gets a Deal without one, and the trace says so", func(t *testing.T) {
		d := Decide(DefaultSet(), facts(func(f *Facts) { contact(f); f.Match.Contact.AccountID = ""; says(f, "A quote please.") }))
		if d.Actions[0].Account != nil || !strings.Contains(strings.Join(d.Trace.Notes, " "), "no Account") {
			t.Errorf("%+v %q", d.Actions[0], d.Trace.Notes)
		}
	})
	t.Run("of two open Deals the newest modified is taken, and the trace says so", func(t *testing.T) {
		first, second := openDeal("Newer"), openDeal("Older")
		d := Decide(DefaultSet(), facts(func(f *Facts) { contact(f, first, second) }))
		if d.Actions[0].About.Name != "Newer" || !strings.Contains(strings.Join(d.Trace.Notes, " "), "2 open Deals") {
			t.Errorf("%+v %q", d.Actions[0].About, d.Trace.Notes)
		}
	})
}

func TestNoSecondDealWithinThirtyDays(t *testing.T) {
	recent := func(age time.Duration) Facts {
		return facts(func(f *Facts) {
			contact(f)
			says(f, "What is the price?")
			f.Match.RecentDeal = &identity.Deal{ID: "1", Name: "ABC - Plan", Stage: "Closed Won", CreatedAt: monday.Add(-age)}
		})
	}
	d := Decide(DefaultSet(), recent(29*24*time.Hour))
	if d.Rule != "buying" || d.Outcome != "Call on Contact" || !strings.Contains(strings.Join(d.Trace.Notes, " "), "No second Deal") {
		t.Errorf("after 29 days: %s %q %q", d.Rule, d.Outcome, d.Trace.Notes)
	}
	if d := Decide(DefaultSet(), recent(31*24*time.Hour)); d.Outcome != "Deal created" {
		t.Errorf("after 31 days: %q", d.Outcome)
	}
}

func TestStagesOnlyMoveForward(t *testing.T) {
	move := func(o Outcome) Set {
		s := DefaultSet()
		s.Rules[2].Then = append(s.Rules[1].Then, o)
		return s
	}
	forward := &Condition{Field: FieldSaid, Op: Says, Lists: []string{ListForward}}
	ready := facts(func(f *Facts) { contact(f, openDeal("ABC")); says(f, "We are ready to move forward.") })
	not := facts(func(f *Facts) { contact(f, openDeal("ABC")); says(f, "We are not ready to move forward.") })
	for _, c := range []struct {
		name, want string
		o          Outcome
		f          Facts
	}{
		{"to a stage ahead", "stage moved to Negotiation/Review", Outcome{Do: MoveStage, Stage: "negotiation/review"}, ready},
		{"to the next stage", "stage moved to Needs Analysis", Outcome{Do: MoveStage, Stage: NextStage}, ready},
		{"not to the stage it is in", "", Outcome{Do: MoveStage, Stage: "Qualification"}, ready},
		{"not out of another stage than the rule names", "", Outcome{Do: MoveStage, Stage: NextStage, From: []string{"Proposal/Price Quote"}}, ready},
		{"on the caller's word", "stage moved to Needs Analysis", Outcome{Do: MoveStage, Stage: NextStage, If: forward}, ready},
		{"not on a negated word", "", Outcome{Do: MoveStage, Stage: NextStage, If: forward}, not},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(move(c.o), c.f)
			if c.want == "" && (strings.Contains(d.Outcome, "stage moved") || len(d.Trace.Notes) == 0) {
				t.Errorf("moved, or silent about why not: %q %q", d.Outcome, d.Trace.Notes)
			}
			if c.want != "" && !strings.Contains(d.Outcome, c.want) {
				t.Errorf("got %q, want %q; %q", d.Outcome, c.want, d.Trace.Notes)
			}
		})
	}
}

func TestACallThatNoRuleFitsIsStillDecided(t *testing.T) {
	none := Set{Phrases: DefaultPhrases()}
	for name, c := range map[string]struct {
		f    Facts
		want string
	}{
		"new":     {facts(func(*Facts) {}), "Lead created"},
		"contact": {facts(func(f *Facts) { contact(f) }), "Call on Contact"},
		"lead":    {facts(lead), "Call on Lead"},
		"hidden": {facts(func(f *Facts) {
			f.Call.From, f.Call.Withheld = "", true
			f.Match, _ = identity.Unsearched(f.Call)
		}), "Kept, nothing written"},
	} {
		if d := Decide(none, c.f); d.Rule != DefaultRule || d.Outcome != c.want {
			t.Errorf("%s: %s %q", name, d.Rule, d.Outcome)
		}
	}
}

func TestTheTraceSaysWhyInWords(t *testing.T) {
	d := Decide(DefaultSet(), facts(func(f *Facts) { contact(f); says(f, "Where is my technician?", "It is not about a quote.") }))
	if !strings.Contains(d.Trace.RunnerUp, "Not “Contact who wants to buy”") {
		t.Errorf("runner-up: %q", d.Trace.RunnerUp)
	}
	buying := d.Trace.Rules[3].Check.Of[1]
	if buying.Pass || !strings.Contains(buying.Saw, "only negated: “quote” by “not”") || len(buying.Quotes) == 0 {
		t.Errorf("%+v", buying)
	}
	if caller := d.Trace.Rules[3].Check.Of[0]; !caller.Pass || caller.Saw != "a Contact: Sarah Johnson" || caller.Sentence != "the caller is a known Contact" {
		t.Errorf("%+v", caller)
	}
}

func TestConditionsOverEveryFact(t *testing.T) {
	f := facts(func(f *Facts) {
		f.Source, f.Call.Intent, f.Open, f.Holiday = "Main line", "callback request", false, "Founders' Day"
		f.Call.Answers = map[string]any{"Budget": "$50K", "timeline": "Q1"}
		f.Earlier = []time.Time{monday.AddDate(0, 0, -2), monday.AddDate(0, 0, -9)}
	})
	for _, c := range []struct {
		c    Condition
		want bool
	}{
		{Condition{Field: FieldHours, Op: Is, Values: []string{"closed"}}, true},
		{Condition{Field: FieldHours, Op: IsNot, Values: []string{"closed"}}, false},
		{Condition{Field: FieldIntent, Op: Contains, Values: []string{"Callback"}}, true},
		{Condition{Field: FieldIntent, Op: Is, Values: []string{"callback"}}, false},
		{Condition{Field: FieldSource, Op: Is, Values: []string{"main line"}}, true},
		{Condition{Field: FieldDialled, Op: Is, Values: []string{"+14155550100"}}, true},
		{Condition{Field: FieldDuration, Op: AtLeast, Number: 245}, true},
		{Condition{Field: FieldDuration, Op: AtMost, Number: 244}, false},
		{Condition{Field: FieldRepeat, Op: AtLeast, Number: 2, Days: 30}, true},
		{Condition{Field: FieldRepeat, Op: AtLeast, Number: 2, Days: 7}, false},
		{Condition{Field: "answer.budget", Op: AtLeast, Number: 25001}, true},
		{Condition{Field: "answer.budget", Op: AtLeast, Number: 50001}, false},
		{Condition{Field: "answer.timeline", Op: Is, Values: []string{"q1"}}, true},
		{Condition{Field: "answer.nothing", Op: AtLeast, Number: 1}, false},
		{Condition{Field: FieldBudget, Op: MoreThan, Number: 49999}, true},
		{Condition{Field: FieldBudget, Op: MoreThan, Number: 50000}, false},
		{Condition{Field: FieldBudget, Op: LessThan, Number: 50000}, false},
		{Condition{Field: FieldBudget, Op: LessThan, Number: 50001}, true},
		{Condition{Field: FieldWeekday, Op: Is, Values: []string{"monday"}}, true},
		{Condition{Field: FieldWeekday, Op: Is, Values: []string{"sunday", "saturday"}}, false},
		{Condition{Field: FieldHoliday, Op: Is, Values: []string{"yes"}}, true},
		{Condition{Field: FieldTime, Op: Between, Values: []string{"09:00", "17:05"}}, true},
		{Condition{Field: FieldTime, Op: Between, Values: []string{"09:00", "17:04"}}, false}, // until before 17:04
		{Condition{Field: FieldTime, Op: Between, Values: []string{"17:04", "06:00"}}, true},
		{Condition{Field: FieldTime, Op: Between, Values: []string{"22:00", "06:00"}}, false},
		{Condition{Field: FieldStage, Op: Is, Values: []string{"qualification"}}, false}, // no open Deal
		{Condition{Field: FieldStage, Op: IsNot, Values: []string{"Qualification"}}, false},
		{Condition{Field: FieldAmount, Op: AtLeast, Number: 0}, false},
		{Condition{None: []Condition{{Field: FieldCaller, Op: Is, Values: []string{"lead"}}}}, true},
		{Condition{}, true},
	} {
		e := evaluation{facts: f, phrases: DefaultSet().Lists()}
		if k := e.check(c.c); k.Pass != c.want {
			t.Errorf("%s: got %v, saw %q", k.Sentence, k.Pass, k.Saw)
		}
	}
}

func TestConditionsOverTheOpenDeal(t *testing.T) {
	deal := openDeal("ABC - Plan")
	deal.Stage, deal.Amount, deal.HasAmount = "Proposal/Price Quote", 25_000, true
	none := deal
	none.HasAmount = false
	for _, c := range []struct {
		c    Condition
		deal identity.Deal
		want bool
		saw  string
	}{
		{Condition{Field: FieldStage, Op: Is, Values: []string{"proposal/price quote"}}, deal, true, "“Proposal/Price Quote”"},
		{Condition{Field: FieldStage, Op: IsNot, Values: []string{"Qualification"}}, deal, true, "“Proposal/Price Quote”"},
		{Condition{Field: FieldAmount, Op: MoreThan, Number: 25_000}, deal, false, "25,000 on “ABC - Plan”"},
		{Condition{Field: FieldAmount, Op: AtLeast, Number: 25_000}, deal, true, "25,000 on “ABC - Plan”"},
		{Condition{Field: FieldAmount, Op: AtMost, Number: 25_000}, none, false, "“ABC - Plan” has no amount"},
	} {
		e := evaluation{facts: facts(func(f *Facts) { contact(f, c.deal) })}
		if k := e.check(c.c); k.Pass != c.want || k.Saw != c.saw {
			t.Errorf("%s: %v, saw %q", k.Sentence, k.Pass, k.Saw)
		}
	}
}

func TestATimeOfDayIsThatOfTheTenant(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	nights := Condition{Field: FieldTime, Op: Between, Values: []string{"22:00", "06:00"}}
	for at, want := range map[string]bool{
		"2026-03-08T02:59:59Z": false, "2026-03-08T03:00:00Z": true, // 22:00 in New York, the night before the clocks go forward
		"2026-03-08T09:59:59Z": true, "2026-03-08T10:00:00Z": false, // 06:00 after they did
	} {
		when, _ := time.Parse(time.RFC3339, at)
		e := evaluation{facts: Facts{LocalTime: when.In(newYork)}}
		if k := e.check(nights); k.Pass != want || k.Sentence != "the call came between 22:00 and 06:00" {
			t.Errorf("%s: %v %q %q", at, k.Pass, k.Sentence, k.Saw)
		}
	}
}

func TestMoneyAsPeopleSayIt(t *testing.T) {
	for text, want := range map[string]float64{
		"50000": 50000, "$50K": 50000, "50,000": 50000, "50.000 €": 50000, "1.5 million": 1.5e6, "around 25k dollars": 25000,
		"40-50k": 40000, "40 to 50 thousand": 40000, "1,234.56": 1234.56, "1.234,56": 1234.56, "0.5": 0.5, "3,5": 3.5, "-20": -20, "1'000": 1000,
		"50 seats, $50K": 50000, "50 seats at 1.2k": 1200, "2 $500 units": 500, "-$20": -20, "US$ 1,200 for 3 rooms": 1200, "3 rooms, 900 euros": 900,
		"between 40 and 50k": 40000, "between $40 and $50k": 40000, "from 1.5 to 2 million": 1.5e6, "900 to 1.2k": 900, "2 or 3 thousand": 2000,
		"5 to 10 people": 5, "50 and 60k": 60000, "2 mil": 2e6, "$2 mil": 2e6, "entre 40 y 50 mil": 40000, "unos 30 mil": 30000, "50 mil pesos": 50000,
		"2 mil millones": 2e9, "$50K in Q1 2026": 50000, "200 by March 2026": 200, "2026": 2026, "2000 sq ft": 2000, "a budget of 2000": 2000, "in 2025 we spent $2025": 2025,
		"usd 75 at 4 pm": 75, "the 2nd option, 300": 300, "USD 1.234,50": 1234.5, "£3,50": 3.5, "sell us 50": 50, "50%": 50, "300 m2": 300,
	} {
		if got, ok := Money(text); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "not sure", "Q", "$", "Q1", "Q1 2026", "q 3", "1st quarter of 2026", "by March 2026", "sometime 2027", "end of 2031", "2026-04-15", "4/15/2026", "at 4pm", "FY26"} {
		if n, ok := Money(text); ok {
			t.Errorf("%q is read as %v", text, n)
		}
	}
}

func TestMilIsAThousandWhereSpanishIsSpoken(t *testing.T) {
	spoke := func(text string) call.Call {
		return call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: text}}}
	}
	spanish, english := spoke("Quiero un presupuesto para la cocina, por favor."), spoke("I want an estimate for the kitchen, please.")
	for c, want := range map[*call.Call]float64{&spanish: 50_000, &english: 50e6, {}: 50e6, {Summary: "Pide un precio para el techo de la casa."}: 50_000} {
		if got, ok := MoneyIn(*c, "50 mil"); !ok || got != want {
			t.Errorf("%+v: got %v, want %v", *c, got, want)
		}
	}
	for _, c := range []call.Call{spanish, english} {
		if got, _ := MoneyIn(c, "$50K"); got != 50_000 {
			t.Errorf("$50K is %v", got)
		}
	}
}

func TestASetIsCheckedBeforeItIsSaved(t *testing.T) {
	if p := DefaultSet().Check(); len(p) > 0 {
		t.Fatalf("the defaults: %v", p)
	}
	deep := Condition{Field: FieldCaller, Op: Is, Values: []string{"new"}}
	for range maxDepth {
		deep = Condition{All: []Condition{deep}}
	}
	for name, c := range map[string]struct {
		when Condition
		want string
	}{
		"text is not compared with a number":   {Condition{Field: FieldIntent, Op: AtLeast, Number: 3}, "no number"},
		"a number is not compared with a text": {Condition{Field: FieldBudget, Op: Is, Values: []string{"high"}}, "is a number"},
		"a time of day has two ends":           {Condition{Field: FieldTime, Op: Between, Values: []string{"22:00"}}, "two different times"},
		"a time of day is one":                 {Condition{Field: FieldTime, Op: Between, Values: []string{"22:00", "ten"}}, "two different times"},
		"a time of day is no choice":           {Condition{Field: FieldTime, Op: Is, Values: []string{"22:00"}}, "lies between two times"},
		"a stage is no number":                 {Condition{Field: FieldStage, Op: MoreThan, Number: 3}, "no number"},
		"a weekday is one":                     {Condition{Field: FieldWeekday, Op: Is, Values: []string{"Monday"}}, "never"},
		"a choice must be one there is":        {Condition{Field: FieldCaller, Op: Is, Values: []string{"vip"}}, "never"},
		"no unknown fact":                      {Condition{Field: "weather", Op: Is, Values: []string{"sunny"}}, "no fact"},
		"words need words":                     {Condition{Field: FieldSaid, Op: Says}, "words"},
		"no unknown list":                      {Condition{Field: FieldSaid, Op: Says, Lists: []string{"nope"}}, "no phrase list"},
		"not too deep":                         {deep, "deeper"},
		"an empty group":                       {Condition{All: []Condition{}}, "empty"},
		"no more earlier calls than are known": {Condition{Field: FieldRepeat, Op: AtLeast, Number: 51, Days: 90}, "the last 50"},
		"a group or a test":                    {Condition{All: []Condition{{Field: FieldCaller, Op: Is, Values: []string{"new"}}}, Field: FieldCaller}, "either"},
	} {
		t.Run(name, func(t *testing.T) {
			s := DefaultSet()
			s.Rules[6].When = c.when
			p := s.Check()
			if len(p) == 0 || !strings.Contains(p[0].Sentence, c.want) {
				t.Errorf("got %v", p)
			}
		})
	}
}

func TestAnAnswerThatWasNotGivenIsNoWord(t *testing.T) {
	for _, op := range []Op{Is, Contains} {
		set := Set{Rules: []Rule{{ID: "a", Name: "A", Then: []Outcome{{Do: Ignore}}, When: Condition{Field: FieldAnswer + ".gate", Op: op, Values: []string{"Nil"}}}}}
		if d := Decide(set, facts(func(*Facts) {})); d.Rule == "a" {
			t.Errorf("%s: a call without the answer fits", op)
		}
	}
}

func TestNoTwoThingsOfASetHaveOneName(t *testing.T) {
	for want, change := range map[string]func(*Set){
		`Two phrase lists have the name "buying"`:                    func(s *Set) { s.Phrases[1].Name = s.Phrases[0].Name },
		"longer than 200 characters":                                 func(s *Set) { s.Phrases[0].Label = strings.Repeat("x", 201) },
		`Two rules have the id "spam"`:                               func(s *Set) { s.Rules[0].ID = "spam" },
		`No rule can have the id "new"`:                              func(s *Set) { s.Rules[0].ID = "new" },
		`No rule can have the id "default"`:                          func(s *Set) { s.Rules[0].ID = DefaultRule },
		"Another rule is named “" + DefaultSet().Rules[1].Name + "”": func(s *Set) { s.Rules[0].Name = s.Rules[1].Name },
	} {
		s := DefaultSet()
		change(&s)
		if p := s.Check(); len(p) == 0 || !strings.Contains(p[0].Sentence, want) {
			t.Errorf("got %v, want %q", p, want)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := facts(func(f *Facts) {
		contact(f)
		for range 14 {
			says(f, "Well, I was wondering whether your technician could come by on Tuesday afternoon.")
		}
	})
	set := DefaultSet()
	b.ReportAllocs()
	for b.Loop() {
		Decide(set, f)
	}
}

func FuzzMoney(f *testing.F) {
	for _, s := range []string{"50 seats, $50K", "between 40 and 50k", "Q1 2026", "2 mil millones", "-1'000.50 €", "US$ 5-10m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := Money(s); ok && (n != n || n > 1e15*1e9 || n < -1e15*1e9) {
			t.Errorf("%q is %v", s, n)
		}
	})
}

func TestANewCallerWhoWantsADealBecomesALead(t *testing.T) {
	set := Set{Rules: []Rule{{ID: "quotes", Name: "Quotes", Then: []Outcome{{Do: CreateDeal}, {Do: LogCall, On: "deal"}}}}}
	d := Decide(set, facts(func(*Facts) {}))
	if len(d.Actions) != 2 || d.Actions[0].Kind != CreateLead || d.Actions[1].Kind != LogCall {
		t.Fatalf("actions: %+v", d.Actions)
	}
	if !strings.Contains(strings.Join(d.Trace.Notes, " "), "No Deal was made") {
		t.Errorf("notes: %v", d.Trace.Notes)
	}
}
