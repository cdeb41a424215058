package routing

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
)

func TestAdviceNamesWhatNeverHappens(t *testing.T) {
	is := func(f Field, v ...string) Condition { return Condition{Field: f, Op: Is, Values: v} }
	isNot := func(f Field, v ...string) Condition { return Condition{Field: f, Op: IsNot, Values: v} }
	num := func(f Field, op Op, n float64) Condition { return Condition{Field: f, Op: op, Number: n} }
	says := func(v ...string) Condition { return Condition{Field: FieldSaid, Op: Says, Values: v} }
	list := Condition{Field: FieldSaid, Op: Says, Lists: []string{ListBuying}}
	all := func(of ...Condition) Condition { return Condition{All: of} }
	none := func(of ...Condition) Condition { return Condition{None: of} }
	log := []Outcome{{Do: LogCall, On: "contact"}}
	for name, c := range map[string]struct {
		above []Condition
		when  Condition
		then  []Outcome
		want  string // "": nothing is said
	}{
		"a new caller has no open Deal":        {when: all(is(FieldCaller, "new"), num(FieldOpenDeals, AtLeast, 1)), want: "exclude each other"},
		"nor has a Lead a stage":               {when: all(is(FieldCaller, "lead"), is(FieldStage, "Qualification")), want: "exclude each other"},
		"nor an amount":                        {when: all(num(FieldOpenDeals, AtMost, 0), num(FieldAmount, AtLeast, 5)), want: "exclude each other"},
		"an unusable number is nobody's":       {when: all(is(FieldUsable, "unusable"), is(FieldCaller, "contact", "lead")), want: "exclude each other"},
		"a holiday is closed":                  {when: all(is(FieldHoliday, "yes"), is(FieldHours, "open")), want: "exclude each other"},
		"a budget has one size":                {when: all(num(FieldBudget, MoreThan, 25000), num(FieldBudget, AtMost, 25000)), want: "exclude each other"},
		"and may be just that":                 {when: all(num(FieldBudget, AtLeast, 25000), num(FieldBudget, AtMost, 25000))},
		"or none at all":                       {when: all(none(num(FieldBudget, AtLeast, 5)), none(num(FieldBudget, LessThan, 5)))},
		"talk lasts so long or not":            {when: all(none(num(FieldDuration, AtLeast, 5)), none(num(FieldDuration, LessThan, 5))), want: "exclude each other"},
		"two times that do not meet":           {when: all(Condition{Field: FieldTime, Op: Between, Values: []string{"22:00", "06:00"}}, Condition{Field: FieldTime, Op: Between, Values: []string{"06:00", "22:00"}}), want: "exclude each other"},
		"two intents":                          {when: all(is(FieldIntent, "buying"), is(FieldIntent, "spam", "Support")), want: "exclude each other"},
		"the same intent twice":                {when: all(is(FieldIntent, "buying"), is(FieldIntent, "spam", "Buying"))},
		"says and does not":                    {when: all(says("quote"), none(says("price", "quote"))), want: "exclude each other"},
		"says of the list and none of it":      {when: all(list, none(list)), want: "exclude each other"},
		"says what the list takes out":         {when: all(says("estimate"), none(list))},
		"may say one and not the other":        {when: all(says("quote", "price"), none(says("quote")))},
		"more calls within fewer days":         {when: all(Condition{Field: FieldRepeat, Op: AtLeast, Number: 3, Days: 7}, Condition{Field: FieldRepeat, Op: AtMost, Number: 2, Days: 30}), want: "exclude each other"},
		"fewer calls within fewer days":        {when: all(Condition{Field: FieldRepeat, Op: AtMost, Number: 2, Days: 7}, Condition{Field: FieldRepeat, Op: AtLeast, Number: 3, Days: 30})},
		"a rule above takes all":               {above: []Condition{is(FieldCaller, "contact")}, when: all(is(FieldCaller, "contact"), list), want: "taken by the rule “above 0”"},
		"a rule above takes some":              {above: []Condition{all(is(FieldCaller, "contact"), list)}, when: is(FieldCaller, "contact")},
		"a rule above that always fits":        {above: []Condition{{}}, when: list, want: "taken by the rule “above 0”"},
		"three rules above together":           {above: []Condition{is(FieldCaller, "contact"), is(FieldHours, "open"), is(FieldCaller, "new", "lead")}, when: list, want: "taken by the rules “above 0”, “above 1” and “above 2”"},
		"a wider number above":                 {above: []Condition{num(FieldBudget, AtLeast, 1000)}, when: num(FieldBudget, MoreThan, 25000), want: "taken by the rule"},
		"a narrower number above":              {above: []Condition{num(FieldBudget, AtLeast, 50000)}, when: num(FieldBudget, MoreThan, 25000)},
		"everything but what is left":          {above: []Condition{isNot(FieldWeekday, "sunday")}, when: is(FieldWeekday, "saturday", "sunday")},
		"an empty list":                        {when: Condition{Field: FieldSaid, Op: Says, Lists: []string{"empty"}, Values: []string{"quote"}}, want: "The list of forgotten words is empty"},
		"a Lead of a known caller":             {when: is(FieldCaller, "contact", "lead"), then: []Outcome{{Do: CreateLead}}, want: "never makes a Lead"},
		"a Lead of a hidden number":            {when: is(FieldUsable, "unusable"), then: []Outcome{{Do: CreateLead}}, want: "without a number"},
		"a Lead of whoever is left":            {above: []Condition{is(FieldCaller, "new")}, when: list, then: []Outcome{{Do: CreateLead}}, want: "never makes a Lead"},
		"a Deal of a Lead":                     {when: is(FieldCaller, "lead"), then: []Outcome{{Do: CreateDeal}}, want: "never makes a Deal"},
		"a stage without a Deal":               {when: num(FieldOpenDeals, AtMost, 0), then: []Outcome{{Do: MoveStage, Stage: NextStage}}, want: "never moves a stage"},
		"a stage for what is excluded":         {when: none(list), then: []Outcome{{Do: MoveStage, Stage: NextStage, If: &list}}, want: "never moves a stage"},
		"a stage where a Deal may be":          {when: is(FieldCaller, "contact"), then: []Outcome{{Do: MoveStage, Stage: NextStage}}},
		"a step of a Lead that is new":         {when: is(FieldCaller, "new"), then: []Outcome{{Do: BlueprintStep, On: "lead", Transition: "a"}}, want: "is no Lead that is in Zoho"},
		"a step of a Lead":                     {when: is(FieldCaller, "lead", "new"), then: []Outcome{{Do: BlueprintStep, On: "lead", Transition: "a"}}},
		"a step without a Deal":                {when: is(FieldCaller, "lead"), then: []Outcome{{Do: BlueprintStep, On: "deal", Transition: "a"}}, want: "has no open Deal"},
		"a step for what is excluded":          {when: none(list), then: []Outcome{{Do: BlueprintStep, On: "deal", Transition: "a", If: &list}}, want: "never takes the Blueprint step: what that needs"},
		"a tag without a Deal":                 {when: is(FieldCaller, "new"), then: []Outcome{{Do: AddTags, On: "deal", Tags: []string{"a"}}}, want: "never tags a Deal"},
		"a tag of the Deal that the rule made": {when: num(FieldOpenDeals, AtMost, 0), then: []Outcome{{Do: CreateDeal}, {Do: AddTags, On: "deal", Tags: []string{"a"}}}},
	} {
		set := Set{Phrases: append(DefaultPhrases(), PhraseList{Name: "empty", Label: "forgotten words"})}
		for i, w := range c.above {
			set.Rules = append(set.Rules, Rule{ID: fmt.Sprint("above", i), Name: fmt.Sprint("above ", i), When: w, Then: log})
		}
		if c.then == nil {
			c.then = log
		}
		set.Rules = append(set.Rules, Rule{ID: "it", Name: "It", When: c.when, Then: c.then})
		advice := slices.DeleteFunc(set.Advise(), func(a Advice) bool { return a.Rule != "it" })
		switch {
		case c.want == "" && len(advice) == 0:
		case c.want == "" || len(advice) != 1 || !strings.Contains(advice[0].Sentence, c.want):
			t.Errorf("%s: %+v, want %q", name, advice, c.want)
		}
	}
	if advice := DefaultSet().Advise(); len(advice) > 0 {
		t.Errorf("of the defaults: %+v", advice)
	}
}

// dice makes sets and facts that meet often: few values, and the edges of each.
type dice struct{ *rand.Rand }

func (d dice) some(values ...string) []string {
	out := []string{values[d.IntN(len(values))]}
	for d.IntN(2) == 0 {
		out = append(out, values[d.IntN(len(values))])
	}
	return out
}

func (d dice) test() Condition {
	op := []Op{Is, IsNot}[d.IntN(2)]
	ordered := []Op{AtLeast, AtMost, MoreThan, LessThan}[d.IntN(4)]
	switch d.IntN(13) {
	case 0, 1:
		return Condition{Field: FieldCaller, Op: op, Values: d.some("new", "lead", "contact")}
	case 2:
		return Condition{Field: FieldOpenDeals, Op: ordered, Number: float64(d.IntN(3))}
	case 3:
		return Condition{Field: FieldStage, Op: op, Values: d.some("Qualification", "Proposal")}
	case 4:
		return Condition{Field: FieldAmount, Op: ordered, Number: float64(d.IntN(3))}
	case 5:
		return Condition{Field: "answer.budget", Op: ordered, Number: float64(d.IntN(3))}
	case 6:
		return Condition{Field: FieldUsable, Op: op, Values: d.some("usable", "unusable")}
	case 7:
		return Condition{Field: FieldHours, Op: op, Values: d.some("open", "closed")}
	case 8:
		return Condition{Field: FieldHoliday, Op: op, Values: d.some("yes", "no")}
	case 9:
		return Condition{Field: FieldTime, Op: Between, Values: [][]string{{"22:00", "06:00"}, {"06:00", "12:00"}, {"12:00", "22:00"}, {"11:00", "23:00"}}[d.IntN(4)]}
	case 10:
		return Condition{Field: FieldRepeat, Op: ordered, Number: float64(d.IntN(3)), Days: []int{7, 30}[d.IntN(2)]}
	case 11:
		return Condition{Field: FieldIntent, Op: []Op{Is, IsNot, Contains}[d.IntN(3)], Values: d.some("buying", "spam call", "spam")}
	}
	c := Condition{Field: FieldSaid, Op: Says}
	if d.IntN(2) == 0 {
		c.Lists = d.some("a", "b", "none")
	}
	if d.IntN(2) == 0 || c.Lists == nil {
		c.Values = d.some("quote", "price", "leak")
	}
	return c
}

func (d dice) condition(depth int) Condition {
	if depth == 0 || d.IntN(3) == 0 {
		return d.test()
	}
	of := []Condition{}
	for range 1 + d.IntN(3) {
		of = append(of, d.condition(depth-1))
	}
	switch d.IntN(5) {
	case 0:
		return Condition{Any: of}
	case 1:
		return Condition{None: of}
	}
	return Condition{All: of}
}

func (d dice) set() Set {
	s := Set{Phrases: []PhraseList{{Name: "a", Label: "a", Phrases: []string{"quote"}}, {Name: "b", Label: "b", Phrases: []string{"price", "not: the price"}, Intents: []string{"buying"}}, {Name: "none", Label: "none"}}}
	for i := range 1 + d.IntN(5) {
		then := []Outcome{{Do: LogCall, On: "deal"}, {Do: AddTags, On: "deal", Tags: []string{"Hot"}}, {Do: MoveStage, Stage: NextStage}}
		if d.IntN(2) == 0 {
			then = slices.Insert(then, 0, Outcome{Do: []ActionKind{CreateLead, CreateDeal}[d.IntN(2)]})
		}
		if d.IntN(3) == 0 {
			when := d.condition(1)
			then[len(then)-1].If = &when
		}
		then = append(then, Outcome{Do: BlueprintStep, On: []string{"lead", "deal"}[d.IntN(2)], Transition: "a"})
		if d.IntN(3) == 0 {
			when := d.condition(1)
			then[len(then)-1].If = &when
		}
		s.Rules = append(s.Rules, Rule{ID: fmt.Sprint(i), Name: fmt.Sprint(i), Off: d.IntN(6) == 0, When: d.condition(2), Then: then})
	}
	return s
}

func (d dice) facts() Facts {
	at := time.Date(2026, 3, 2+d.IntN(7), []int{0, 5, 6, 11, 12, 21, 22, 23}[d.IntN(8)], []int{0, 59}[d.IntN(2)], 0, 0, time.UTC)
	f := Facts{Open: d.IntN(2) == 0, LocalTime: at, DecidedAt: at}
	f.Call.Direction = []call.Direction{call.Inbound, call.Outbound, ""}[d.IntN(3)]
	f.Call.Intent = []string{"", "buying", "spam call", "spam"}[d.IntN(4)]
	if d.IntN(3) == 0 {
		f.Open, f.Holiday = false, "Holiday"
	}
	if d.IntN(2) == 0 {
		f.Call.Answers = map[string]any{"budget": float64(d.IntN(4)) - 0.5*float64(d.IntN(2))}
	}
	for range d.IntN(3) {
		f.Earlier = append(f.Earlier, at.AddDate(0, 0, -d.IntN(40)))
	}
	for range d.IntN(3) {
		says(&f, []string{"I want a quote.", "I want no quote.", "What is the price?", "There is a leak.", "Hello."}[d.IntN(5)])
	}
	switch d.IntN(4) {
	case 0:
		f.Match = identity.Match{Kind: identity.Nobody, Unusable: "the caller hid the number"}
	case 1:
		lead(&f)
	case 2:
		var deals []identity.Deal
		for range d.IntN(3) {
			deal := openDeal("x")
			deal.Stage, deal.Amount, deal.HasAmount = []string{"Qualification", "Proposal", "Other"}[d.IntN(3)], float64(d.IntN(3)), d.IntN(3) > 0
			deals = append(deals, deal)
		}
		contact(&f, deals...)
	default:
		f.Match = identity.Match{Kind: identity.Nobody}
	}
	return f
}

func TestAdviceIsNeverWrong(t *testing.T) {
	const sets, calls = 1500, 40
	d := dice{rand.New(rand.NewPCG(4, 1))}
	said := map[AdviceKind]int{}
	some := make([]Facts, 1500)
	for i := range some {
		some[i] = d.facts()
	}
	for range sets {
		s := d.set()
		advice := s.Advise()
		for _, a := range advice {
			said[a.Kind]++
		}
		if len(advice) == 0 {
			continue
		}
		for range calls {
			f := some[d.IntN(len(some))]
			decision := Decide(s, f)
			for _, a := range advice {
				if broken := refutes(decision, a); broken != "" {
					doc, _ := json.MarshalIndent(s.Rules, "", " ")
					t.Fatalf("%s\n%s\nrule %s: %+v\n%s", a.Sentence, broken, a.Rule, f, doc)
				}
			}
		}
	}
	for _, kind := range []AdviceKind{Never, Shadowed, Idle} {
		if said[kind] < 100 {
			t.Errorf("%s was said %d times: the test shows little", kind, said[kind])
		}
	}
}

// refutes says how a decision shows that advice was wrong; empty where it does not.
func refutes(d Decision, a Advice) string {
	for _, r := range d.Trace.Rules {
		switch {
		case r.ID != a.Rule:
		case a.Kind == Never && r.Fits:
			return "it fits"
		case a.Kind == Shadowed && r.Fired:
			return "it fired"
		case a.Kind == Idle && a.Do != "" && r.Fired:
			for _, action := range d.Actions {
				if action.Kind == a.Do && a.Do != AddTags || a.Do == AddTags && slices.Contains(action.Tags, "Hot") {
					return "it does " + string(action.Kind)
				}
			}
		}
	}
	return ""
}
