package routing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
)

// Limits of a condition tree; what exceeds them is refused on save.
const (
	maxDepth = 6
	maxNodes = 100
)

// kind is what sort of value a field has, and so which operators and values a condition may use with it.
type kind int

const (
	choice kind = iota
	text
	number
	words
	clock // a time of day
)

// Choice is one value that a choice field can have.
type Choice struct{ Value, Label string }

// FieldInfo describes a fact for pages and for checking.
type FieldInfo struct {
	Field   Field
	Label   string // "the caller"
	kind    kind
	Choices []Choice
	Unit    string // of a number: "s", "calls"
}

// Fields are the facts that conditions can test, in the order pages show them.
var Fields = []FieldInfo{
	{Field: FieldCaller, Label: "the caller", kind: choice, Choices: []Choice{{"new", "new"}, {"lead", "a known Lead"}, {"contact", "a known Contact"}}},
	{Field: FieldOpenDeals, Label: "open Deals of the Contact", kind: number},
	{Field: FieldStage, Label: "the open Deal's stage", kind: text},
	{Field: FieldAmount, Label: "the open Deal's amount", kind: number},
	{Field: FieldSaid, Label: "the caller says", kind: words},
	{Field: FieldBudget, Label: "the caller's budget", kind: number},
	{Field: FieldIntent, Label: "the intent", kind: text},
	{Field: FieldUsable, Label: "the number", kind: choice, Choices: []Choice{{"usable", "usable"}, {"unusable", "hidden or unusable"}}},
	{Field: FieldHours, Label: "your hours", kind: choice, Choices: []Choice{{"open", "open"}, {"closed", "closed"}}},
	{Field: FieldWeekday, Label: "the weekday", kind: choice, Choices: []Choice{
		{"monday", "Monday"}, {"tuesday", "Tuesday"}, {"wednesday", "Wednesday"}, {"thursday", "Thursday"}, {"friday", "Friday"}, {"saturday", "Saturday"}, {"sunday", "Sunday"},
	}},
	{Field: FieldTime, Label: "the time of day", kind: clock},
	{Field: FieldHoliday, Label: "the day", kind: choice, Choices: []Choice{{"yes", "one of your holidays"}, {"no", "no holiday"}}},
	{Field: FieldStatus, Label: "the call", kind: choice, Choices: []Choice{
		{"completed", "answered"}, {"missed", "missed"}, {"voicemail", "a voicemail"}, {"failed", "failed"},
	}},
	{Field: FieldDirection, Label: "the direction", kind: choice, Choices: []Choice{
		{"inbound", "inbound"}, {"outbound", "outbound"}, {"internal", "internal"},
	}},
	{Field: FieldDuration, Label: "talk time", kind: number, Unit: "seconds"},
	{Field: FieldRepeat, Label: "earlier calls from the number", kind: number},
	{Field: FieldSource, Label: "the source", kind: text},
	{Field: FieldDialled, Label: "the number called", kind: text},
}

// InfoOf describes a field. An answer of the call (answer.budget) is text and may be compared as a number.
func InfoOf(f Field) (FieldInfo, bool) {
	for _, i := range Fields {
		if i.Field == f {
			return i, true
		}
	}
	if name, ok := answerName(f); ok {
		return FieldInfo{Field: f, Label: "the answer “" + name + "”", kind: text}, true
	}
	return FieldInfo{}, false
}

// IsTime reports whether the field is a time of day.
func (i FieldInfo) IsTime() bool { return i.kind == clock }

// Ops are the operators that a condition may use with the field. An answer may be compared as a text or as a number.
func (i FieldInfo) Ops() []Op {
	switch i.kind {
	case choice:
		return []Op{Is, IsNot}
	case number:
		return numberOps
	case words:
		return []Op{Says}
	case clock:
		return []Op{Between}
	}
	if _, isAnswer := answerName(i.Field); isAnswer {
		return append([]Op{Is, IsNot, Contains}, numberOps...)
	}
	return []Op{Is, IsNot, Contains}
}

var numberOps = []Op{AtLeast, AtMost, MoreThan, LessThan}

// ComparesNumber reports whether the operator compares with a number.
func (o Op) ComparesNumber() bool { return slices.Contains(numberOps, o) }

// holds compares a number with a bound.
func (o Op) holds(value, bound float64) bool {
	switch o {
	case AtLeast:
		return value >= bound
	case AtMost:
		return value <= bound
	case MoreThan:
		return value > bound
	}
	return value < bound
}

// IsWords reports whether the field is searched for phrases.
func (i FieldInfo) IsWords() bool { return i.kind == words }

func (i FieldInfo) label(value string) string {
	for _, c := range i.Choices {
		if c.Value == value {
			return c.Label
		}
	}
	return value
}

func answerName(f Field) (string, bool) {
	name, ok := strings.CutPrefix(string(f), string(FieldAnswer)+".")
	return name, ok && name != ""
}

// evaluation is what one Decide works with.
type evaluation struct {
	facts   Facts
	phrases map[string]PhraseList
	heard   *speech   // made when first asked for
	spends  *spending // likewise
}

// spending is the caller's budget, where one was named.
type spending struct {
	n    float64
	from string
	ok   bool
}

func (e *evaluation) speech() *speech {
	if e.heard == nil {
		e.heard = listen(e.facts.Call)
	}
	return e.heard
}

// check evaluates every branch, also past the first that settles the matter, so that the trace can show each value.
func (e *evaluation) check(c Condition) Check {
	group := func(name string, of []Condition, want func(passed int) bool) Check {
		g := Check{Group: name, Sentence: name + " of these", Of: make([]Check, 0, len(of))}
		passed := 0
		for _, child := range of {
			k := e.check(child)
			if k.Pass {
				passed++
			}
			g.Of = append(g.Of, k)
		}
		g.Pass = want(passed)
		return g
	}
	switch {
	case c.All != nil:
		return group("all", c.All, func(n int) bool { return n == len(c.All) })
	case c.Any != nil:
		return group("any", c.Any, func(n int) bool { return n > 0 })
	case c.None != nil:
		return group("none", c.None, func(n int) bool { return n == 0 })
	case c.Field == "":
		return Check{Pass: true, Sentence: "every call", Saw: "a call"}
	}
	k := Check{Field: c.Field, Sentence: Sentence(c, e.phrases)}
	info, _ := InfoOf(c.Field)
	switch {
	case info.kind == words:
		k.Pass, k.Saw, k.Quotes = e.said(c)
	case info.kind == number || c.Op.ComparesNumber():
		k.Pass, k.Saw = e.compare(c)
	case info.kind == clock:
		k.Pass, k.Saw = e.between(c)
	case info.kind == choice:
		value, saw := e.choice(c.Field)
		k.Saw = saw
		k.Pass = contains(c.Values, value) == (c.Op == Is)
	default:
		k.Pass, k.Saw = e.text(c)
	}
	return k
}

// said looks for the condition's phrases in the caller's words, and for its intents in what the phone provider made
// of them.
func (e *evaluation) said(c Condition) (bool, string, []Quote) {
	phrases := c.Values
	if len(c.Lists) == 1 && len(c.Values) == 0 {
		phrases = e.phrases[c.Lists[0]].Phrases
	} else if len(c.Lists) > 0 {
		phrases = slices.Clone(c.Values)
		for _, l := range c.Lists {
			phrases = append(phrases, e.phrases[l].Phrases...)
		}
	}
	named := e.isNamed(c.Lists)
	s := e.speech()
	quotes := s.find(phrases)
	var counts, turned []string
	for _, q := range quotes {
		if q.Negated == "" {
			counts = append(counts, "“"+q.Phrase+"”")
		} else {
			turned = append(turned, "“"+q.Phrase+"” by “"+q.Negated+"”")
		}
	}
	where := "in the caller's " + plural(s.sentences, "sentence")
	if s.fromSummary {
		where = "in the summary (no words of the caller were sent)"
	}
	switch {
	case len(counts) > 0:
		return true, strings.Join(counts, ", ") + " " + where, quotes
	case named:
		return true, "the intent “" + e.facts.Call.Intent + "”, as the phone provider understood the call", quotes
	case len(turned) > 0:
		return false, "only negated: " + strings.Join(turned, ", "), quotes
	case s.sentences == 0 && s.nameless:
		return false, "nothing: the transcript does not say which words are the caller's", nil
	case s.sentences == 0:
		return false, "nothing: the call came without words of the caller", nil
	}
	return false, "none of " + e.namesOf(c, phrases) + " " + where, nil
}

// isNamed reports whether one of the lists has the intent that the phone provider named.
func (e *evaluation) isNamed(lists []string) bool {
	intent := strings.Join(wordsOf(e.facts.Call.Intent), " ")
	return intent != "" && slices.ContainsFunc(lists, func(l string) bool {
		return slices.ContainsFunc(e.phrases[l].Intents, func(i string) bool { return strings.Join(wordsOf(i), " ") == intent })
	})
}

// namesOf names what a condition listens for: "your buying words or “bulk order”".
func (e *evaluation) namesOf(c Condition, phrases []string) string {
	if len(c.Values) > 3 {
		return plural(len(phrases), "phrase")
	}
	var names []string
	for _, l := range c.Lists {
		names = append(names, "your "+e.phrases[l].Label)
	}
	return either(append(names, quoted(c.Values)...))
}

func (e *evaluation) choice(f Field) (value, saw string) {
	m := e.facts.Match
	switch f {
	case FieldCaller:
		switch {
		case m.Kind == identity.Contact && m.Contact != nil:
			return "contact", "a Contact: " + named(m.Contact.Name)
		case m.Kind == identity.Lead && m.Lead != nil:
			return "lead", "a Lead: " + named(m.Lead.Name)
		case m.Unusable != "":
			return "new", "not known: " + m.Unusable
		}
		return "new", "new: no Contact or Lead has the number"
	case FieldUsable:
		if m.Unusable != "" {
			return "unusable", m.Unusable
		}
		return "usable", "usable"
	case FieldDirection:
		return string(e.facts.Call.Direction), string(e.facts.Call.Direction)
	case FieldStatus:
		info, _ := InfoOf(FieldStatus)
		return string(e.facts.Call.Status), info.label(string(e.facts.Call.Status))
	case FieldHours:
		at := e.facts.LocalTime.Format("Mon 15:04")
		if e.facts.Open {
			return "open", "open on " + at
		}
		if e.facts.Holiday != "" {
			at += ", a holiday: " + e.facts.Holiday
		}
		return "closed", "closed on " + at
	case FieldWeekday:
		day := e.facts.LocalTime.Weekday().String()
		return strings.ToLower(day), day
	case FieldHoliday:
		day := e.facts.LocalTime.Format("2 January")
		if e.facts.Holiday != "" {
			return "yes", day + " is " + e.facts.Holiday
		}
		return "no", day + " is no holiday"
	}
	return "", ""
}

// between compares the time of day at which the call began.
func (e *evaluation) between(c Condition) (bool, string) {
	at := e.facts.LocalTime.Format("15:04")
	from, until, ok := spanOf(c)
	if !ok {
		return false, at
	}
	now := e.facts.LocalTime.Hour()*60 + e.facts.LocalTime.Minute()
	if from < until {
		return now >= from && now < until, at
	}
	return now >= from || now < until, at
}

// spanOf reads the two times of a Between, in minutes since midnight. The second may lie before the first: on the next day.
func spanOf(c Condition) (from, until int, ok bool) {
	if len(c.Values) != 2 {
		return 0, 0, false
	}
	a, errA := time.Parse("15:04", c.Values[0])
	b, errB := time.Parse("15:04", c.Values[1])
	return a.Hour()*60 + a.Minute(), b.Hour()*60 + b.Minute(), errA == nil && errB == nil && a != b
}

func (e *evaluation) compare(c Condition) (bool, string) {
	var value float64
	var saw string
	switch c.Field {
	case FieldOpenDeals:
		deals := e.facts.Match.OpenDeals
		value = float64(len(deals))
		saw = plural(len(deals), "open Deal")
		if len(deals) > 0 {
			saw += ": " + deals[0].Name + " (" + deals[0].Stage + ")"
		}
	case FieldAmount:
		deals := e.facts.Match.OpenDeals
		switch {
		case len(deals) == 0:
			return false, "no open Deal"
		case !deals[0].HasAmount:
			return false, "“" + deals[0].Name + "” has no amount"
		}
		value = deals[0].Amount
		saw = formatNumber(value) + " on “" + deals[0].Name + "”"
	case FieldBudget:
		n, from, known := e.budget()
		if !known {
			return false, "the caller named no budget"
		}
		value, saw = n, formatNumber(n)+" from "+from
	case FieldDuration:
		value = e.facts.Call.Duration.Seconds()
		saw = plural(int(value), "second")
	case FieldRepeat:
		from := e.facts.LocalTime.Add(-time.Duration(days(c)) * 24 * time.Hour)
		for _, t := range e.facts.Earlier {
			if t.After(from) {
				value++
			}
		}
		saw = plural(int(value), "earlier call") + " within " + plural(days(c), "day")
	default:
		answer, known := e.answer(c.Field)
		if !known {
			return false, "no such answer"
		}
		n, ok := MoneyIn(e.facts.Call, answer)
		if !ok {
			return false, "“" + clip(answer, 80) + "”, which is no number"
		}
		value, saw = n, formatNumber(n)
	}
	return c.Op.holds(value, c.Number), saw
}

func (e *evaluation) text(c Condition) (bool, string) {
	var value string
	known := true
	switch c.Field {
	case FieldStage:
		deals := e.facts.Match.OpenDeals
		if len(deals) == 0 {
			return false, "no open Deal"
		}
		value = deals[0].Stage
	case FieldIntent:
		value = e.facts.Call.Intent
	case FieldSource:
		value = e.facts.Source
	case FieldDialled:
		value = string(e.facts.Call.To)
		if e.facts.Call.Direction == call.Outbound {
			value = string(e.facts.Call.From)
		}
	default:
		value, known = e.answer(c.Field)
	}
	saw := "“" + clip(value, 120) + "”"
	if value == "" || !known {
		saw = "nothing"
	}
	hit := false
	have := strings.Join(wordsOf(value), " ")
	for _, v := range c.Values {
		want := strings.Join(wordsOf(v), " ")
		switch {
		case c.Field == FieldDialled:
			hit = hit || call.SamePhone(v, e.facts.Country, call.Phone(value))
		case c.Op == Contains:
			hit = hit || indexOf(wordsOf(value), wordsOf(v), 0) >= 0 && want != ""
		default:
			hit = hit || have == want
		}
	}
	return hit == (c.Op != IsNot), saw
}

// answer reads what the phone provider's agent was told under a name, without regard to case, spaces and
// underscores.
func (e *evaluation) answer(f Field) (string, bool) {
	name, _ := answerName(f)
	v := e.facts.Call.Answer(name)
	if v == nil {
		return "", false
	}
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64), true
	}
	return fmt.Sprint(v), true
}

// budget is read when it is first asked for.
func (e *evaluation) budget() (n float64, from string, ok bool) {
	if e.spends == nil {
		e.spends = &spending{}
		e.spends.n, e.spends.from, e.spends.ok = budget(e.facts.Call, e.speech)
	}
	return e.spends.n, e.spends.from, e.spends.ok
}

// days is how far a repeat condition looks back.
func days(c Condition) int {
	if c.Days <= 0 {
		return 30
	}
	return c.Days
}

func either(parts []string) string {
	switch len(parts) {
	case 0:
		return "nothing"
	case 1:
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

func quoted(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = "“" + v + "”"
	}
	return out
}

func contains(values []string, v string) bool {
	for _, w := range values {
		if strings.EqualFold(w, v) {
			return true
		}
	}
	return false
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func named(name string) string {
	if name == "" {
		return "without a name"
	}
	return name
}

// formatNumber writes a number as people read it: 25,000.
func formatNumber(n float64) string {
	s := strconv.FormatFloat(n, 'f', -1, 64)
	whole, rest, _ := strings.Cut(s, ".")
	first := strings.IndexAny(whole, "123456789")
	for at := len(whole) - 3; first >= 0 && at > first; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}
