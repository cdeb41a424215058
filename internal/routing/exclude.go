package routing

import (
	"math"
	"slices"
	"strings"
)

// excludes reports whether literals cannot hold of one call together. It is right whenever it says so; where it does not
// know it says that they can.
func (a *analysis) excludes(literals []literal) bool {
	w := &world{choices: map[Field][]string{}, numbers: map[string]*span{}, texts: map[Field]*oneOf{}}
	for _, not := range []bool{false, true} { // what must hold says first which facts are known
		for _, l := range literals {
			if l.not == not {
				w.take(a, l)
			}
		}
	}
	return w.impossible(a, literals)
}

// world is what literals leave possible.
type world struct {
	choices map[Field][]string // the values that are left
	numbers map[string]*span   // by field, and by how far back a repeat looks
	texts   map[Field]*oneOf
	minutes *[24 * 60]bool // the minutes of the day that are excluded
	deal    bool           // an open Deal is needed
	nobody  bool           // a literal never holds
}

// oneOf is what a text can be.
type oneOf struct {
	among bool // it is one of values; else anything else
	value map[string]bool
	not   map[string]bool
}

// span is where a number lies. A number that may be missing is known only where a literal needs it.
type span struct {
	low, high         float64
	lowOpen, highOpen bool // the end itself is excluded
	known             bool
	whole             bool
	days              int
}

// domain are all values that a choice field can have in facts.
func domain(f Field) []string {
	info, _ := InfoOf(f)
	values := make([]string, 0, len(info.Choices)+1)
	for _, c := range info.Choices {
		values = append(values, c.Value)
	}
	if f == FieldDirection || f == FieldStatus { // a provider may leave them out
		values = append(values, "")
	}
	return values
}

func (w *world) take(a *analysis, l literal) {
	c := l.test
	info, ok := InfoOf(c.Field)
	switch {
	case !ok:
	case info.kind == words:
		w.nobody = w.nobody || !l.not && a.hearsNothing(c)
	case info.kind == number || c.Op.ComparesNumber():
		w.takeNumber(c, l.not)
	case info.kind == clock:
		w.takeTime(c, l.not)
	case info.kind == choice:
		have, there := w.choices[c.Field]
		if !there {
			have = domain(c.Field)
		}
		w.choices[c.Field] = slices.DeleteFunc(have, func(v string) bool {
			return (contains(c.Values, v) == (c.Op == Is)) == l.not
		})
	default:
		w.takeText(c, l.not)
	}
}

// hearsNothing reports whether there is no phrase and no intent that a condition listens for.
func (a *analysis) hearsNothing(c Condition) bool {
	return len(c.Values) == 0 && !slices.ContainsFunc(c.Lists, func(l string) bool { return len(a.lists[l].Phrases)+len(a.lists[l].Intents) > 0 })
}

func (w *world) takeNumber(c Condition, not bool) {
	key := string(c.Field)
	s := w.numbers[key+repeatKey(c)]
	if s == nil {
		s = &span{low: math.Inf(-1), high: math.Inf(1), whole: c.Field == FieldOpenDeals || c.Field == FieldRepeat, days: days(c)}
		s.known = s.whole || c.Field == FieldDuration
		if s.whole {
			s.low = 0
		}
		w.numbers[key+repeatKey(c)] = s
	}
	op := c.Op
	switch {
	case !not:
		s.known = true
	case !s.known:
		return // it may be missing
	default:
		op = map[Op]Op{AtLeast: LessThan, AtMost: MoreThan, MoreThan: AtMost, LessThan: AtLeast}[op]
	}
	w.deal = w.deal || c.Field == FieldAmount && !not
	s.bound(op, c.Number)
}

func repeatKey(c Condition) string {
	if c.Field != FieldRepeat {
		return ""
	}
	return string(rune('a' + days(c)))
}

func (s *span) bound(op Op, n float64) {
	if s.whole { // integers: more than 2 is at least 3
		switch op {
		case MoreThan:
			op, n = AtLeast, math.Floor(n)+1
		case LessThan:
			op, n = AtMost, math.Ceil(n)-1
		}
	}
	switch op {
	case AtLeast, MoreThan:
		if n > s.low || n == s.low && op == MoreThan {
			s.low, s.lowOpen = n, op == MoreThan
		}
	default:
		if n < s.high || n == s.high && op == LessThan {
			s.high, s.highOpen = n, op == LessThan
		}
	}
}

func (s *span) empty() bool {
	low, high := s.low, s.high
	if s.whole {
		low, high = math.Ceil(low), math.Floor(high)
	}
	return low > high || low == high && (s.lowOpen || s.highOpen)
}

func (w *world) takeTime(c Condition, not bool) {
	from, until, ok := spanOf(c)
	if !ok {
		w.nobody = w.nobody || !not // it never holds
		return
	}
	if w.minutes == nil {
		w.minutes = &[24 * 60]bool{}
	}
	for m := range w.minutes {
		within := m >= from && m < until
		if from > until {
			within = m >= from || m < until
		}
		if within == not {
			w.minutes[m] = true
		}
	}
}

func (w *world) takeText(c Condition, not bool) {
	if c.Field == FieldStage {
		if not && !w.deal {
			return // there may be no Deal
		}
		w.deal = w.deal || !not
	}
	if c.Op == Contains || c.Field == FieldDialled {
		return
	}
	t := w.texts[c.Field]
	if t == nil {
		t = &oneOf{value: map[string]bool{}, not: map[string]bool{}}
		w.texts[c.Field] = t
	}
	values := map[string]bool{}
	for _, v := range c.Values {
		values[strings.Join(wordsOf(v), " ")] = true
	}
	if (c.Op == Is) == not {
		for v := range values {
			t.not[v] = true
		}
		return
	}
	if t.among {
		for v := range t.value {
			if !values[v] {
				delete(t.value, v)
			}
		}
		return
	}
	t.among, t.value = true, values
}

// impossible also weighs what one fact means for another.
func (w *world) impossible(a *analysis, literals []literal) bool {
	if w.nobody {
		return true
	}
	left := func(f Field, values ...string) { // the field is one of these, by what other facts say
		have, there := w.choices[f]
		if !there {
			have = domain(f)
		}
		w.choices[f] = slices.DeleteFunc(have, func(v string) bool { return !slices.Contains(values, v) })
	}
	only := func(f Field, value string) bool {
		have, there := w.choices[f]
		return there && len(have) == 1 && have[0] == value
	}
	deals := w.numbers[string(FieldOpenDeals)]
	if w.deal || deals != nil && math.Ceil(deals.low) >= 1 {
		left(FieldCaller, "contact")
		if deals != nil && deals.high < 1 {
			return true
		}
	}
	if only(FieldUsable, "unusable") {
		left(FieldCaller, "new")
	}
	if have, there := w.choices[FieldCaller]; there && !slices.Contains(have, "new") {
		left(FieldUsable, "usable")
	}
	if only(FieldHoliday, "yes") {
		left(FieldHours, "closed")
	}
	if only(FieldHours, "open") {
		left(FieldHoliday, "no")
	}
	for _, values := range w.choices {
		if len(values) == 0 {
			return true
		}
	}
	for _, s := range w.numbers {
		if s.empty() {
			return true
		}
	}
	for _, t := range w.texts {
		if t.among && !slices.ContainsFunc(keysOf(t.value), func(v string) bool { return !t.not[v] }) {
			return true
		}
	}
	return w.minutes != nil && !slices.Contains(w.minutes[:], false) || w.repeatsExclude() || a.wordsExclude(literals)
}

// repeatsExclude reports whether more calls came within fewer days than within more.
func (w *world) repeatsExclude() bool {
	for key, few := range w.numbers {
		for other, many := range w.numbers {
			if strings.HasPrefix(key, string(FieldRepeat)) && strings.HasPrefix(other, string(FieldRepeat)) && few.days < many.days && math.Ceil(few.low) > math.Floor(many.high) {
				return true
			}
		}
	}
	return false
}

// wordsExclude reports whether the caller would have to say something of which all is listened for in vain.
func (a *analysis) wordsExclude(literals []literal) bool {
	for _, said := range literals {
		if said.test.Field != FieldSaid || said.not {
			continue
		}
		for _, unsaid := range literals {
			if unsaid.test.Field == FieldSaid && unsaid.not && a.within(said.test, unsaid.test) {
				return true
			}
		}
	}
	return false
}

// within reports whether whoever says one of the first's phrases says one of the second's. The second may take words out
// that count for the first: then nobody knows.
func (a *analysis) within(few, many Condition) bool {
	for _, l := range few.Lists {
		if !slices.Contains(many.Lists, l) {
			return false
		}
	}
	if slices.ContainsFunc(few.Values, func(v string) bool { return !a.listensFor(many, v) }) {
		return false
	}
	takesMoreOut := func(p string) bool { _, exempt := parse(p); return exempt && !a.listensFor(few, p) }
	return !slices.ContainsFunc(many.Values, takesMoreOut) &&
		!slices.ContainsFunc(many.Lists, func(l string) bool { return slices.ContainsFunc(a.lists[l].Phrases, takesMoreOut) })
}

// listensFor reports whether a phrase is one of a condition's.
func (a *analysis) listensFor(c Condition, phrase string) bool {
	return slices.Contains(c.Values, phrase) ||
		slices.ContainsFunc(c.Lists, func(l string) bool { return slices.Contains(a.lists[l].Phrases, phrase) })
}

func keysOf(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}
