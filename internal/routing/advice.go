package routing

import (
	"fmt"
	"slices"
	"strings"
)

// Advice says of a rule, in words, what of it can never have an effect.
type Advice struct {
	Rule     string // id
	Kind     AdviceKind
	Sentence string
	By       []string   // Shadowed: ids of the earlier rules that take every call that the rule fits
	Do       ActionKind // Idle: the outcome that never happens; empty: a condition that never holds
}

// AdviceKind is a kind of advice.
type AdviceKind string

const (
	Never    AdviceKind = "never"    // no call fits the rule
	Shadowed AdviceKind = "shadowed" // every call that fits it is taken by rules above it
	Idle     AdviceKind = "idle"     // a part of it never has an effect
)

// Limits of the analysis. Past them it says nothing: advice is never wrong, but may be missing.
const (
	maxCases = 128     // ways in which a condition can hold
	maxLooks = 200_000 // cases looked at for a whole set
)

// Advise finds the rules that can never fire, that earlier rules leave nothing to, and those of which a part is idle.
// It reasons about what the conditions mean, and about the facts: only a Contact has open Deals, a number that cannot be
// looked up is nobody's, and on a holiday the business is closed. Rules that are off are left out.
func (s Set) Advise() []Advice {
	a := &analysis{lists: s.Lists(), looks: maxLooks}
	var out []Advice
	for i, r := range s.Rules {
		if r.Off {
			continue
		}
		say := func(kind AdviceKind, do ActionKind, format string, args ...any) {
			out = append(out, Advice{Rule: r.ID, Kind: kind, Do: do, Sentence: fmt.Sprintf(format, args...)})
		}
		for _, label := range a.emptyLists(r.When) {
			say(Idle, "", "The list of %s is empty, so nobody ever says one of them.", label)
		}
		cases, ok := a.cases(r.When, false)
		if !ok {
			continue
		}
		if cases = a.possible(cases); len(cases) == 0 {
			say(Never, "", "No call can fit this rule: its conditions exclude each other.")
			continue
		}
		by, left := a.leftBy(s.Rules[:i], cases)
		if len(left) == 0 {
			say(Shadowed, "", "No call ever reaches this rule: %s above it.", takenBy(by))
			for _, b := range by {
				out[len(out)-1].By = append(out[len(out)-1].By, b.ID)
			}
			continue
		}
		a.idle(r, left, say)
	}
	if a.looks <= 0 { // what was found is right, but where the work ended is chance
		return nil
	}
	return out
}

func takenBy(by []Rule) string {
	names := make([]string, len(by))
	for i, r := range by {
		names[i] = "“" + r.Name + "”"
	}
	if len(names) == 1 {
		return "every call that fits it is taken by the rule " + names[0]
	}
	return "every call that fits it is taken by the rules " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// analysis is the work on one set.
type analysis struct {
	lists map[string]PhraseList
	looks int // left to spend
}

// literal is a test that holds, or that does not.
type literal struct {
	test Condition
	not  bool
}

// cases are the ways in which a condition can hold, each a run of literals that hold together. It reports false where
// there are too many.
func (a *analysis) cases(c Condition, not bool) ([][]literal, bool) {
	of, all := c.All, !not
	switch {
	case c.All != nil:
	case c.Any != nil:
		of, all = c.Any, not
	case c.None != nil:
		of, all, not = c.None, !not, !not
	case c.Field == "":
		if not {
			return nil, true
		}
		return [][]literal{nil}, true
	default:
		return [][]literal{{{c, not}}}, true
	}
	if !all {
		var out [][]literal
		for _, child := range of {
			more, ok := a.cases(child, not)
			if out = append(out, more...); !ok || len(out) > maxCases {
				return nil, false
			}
		}
		return out, true
	}
	out := [][]literal{nil}
	for _, child := range of {
		more, ok := a.cases(child, not)
		if !ok {
			return nil, false
		}
		if out, ok = a.both(out, more); !ok {
			return nil, false
		}
	}
	return out, true
}

// both are the cases of two conditions that hold together, without those that cannot.
func (a *analysis) both(some, more [][]literal) ([][]literal, bool) {
	var out [][]literal
	for _, x := range some {
		for _, y := range more {
			together := append(slices.Clone(x), y...)
			if a.looks--; a.looks <= 0 {
				return nil, false
			}
			if a.excludes(together) {
				continue
			}
			if out = append(out, together); len(out) > maxCases {
				return nil, false
			}
		}
	}
	return out, true
}

func (a *analysis) possible(cases [][]literal) [][]literal {
	return slices.DeleteFunc(cases, func(c []literal) bool { a.looks--; return a.excludes(c) })
}

// leftBy are the cases that earlier rules leave over, and the rules that took any: one alone where it takes all.
func (a *analysis) leftBy(earlier []Rule, cases [][]literal) (by []Rule, left [][]literal) {
	left = cases
	for _, x := range earlier {
		if x.Off {
			continue
		}
		if theirs, ok := a.cases(x.When, false); ok {
			if shared, ok := a.both(left, theirs); ok && len(shared) == 0 {
				continue
			}
		}
		others, ok := a.cases(x.When, true)
		if !ok {
			continue
		}
		rest, ok := a.both(left, others)
		if !ok {
			continue
		}
		by = append(by, x)
		if left = rest; len(left) == 0 {
			return a.alone(by, cases), nil
		}
	}
	return by, left
}

// alone is the one rule that takes all cases by itself, else all that took any.
func (a *analysis) alone(by []Rule, cases [][]literal) []Rule {
	for _, x := range by {
		if others, ok := a.cases(x.When, true); ok {
			if rest, ok := a.both(cases, others); ok && len(rest) == 0 {
				return []Rule{x}
			}
		}
	}
	return by
}

// emptyLists are the labels of the phrase lists of a condition that hold nothing.
func (a *analysis) emptyLists(c Condition) []string {
	var labels []string
	for _, l := range c.Lists {
		if p := a.lists[l]; len(p.Phrases)+len(p.Intents) == 0 && p.Label != "" {
			labels = append(labels, p.Label)
		}
	}
	for _, child := range slices.Concat(c.All, c.Any, c.None) {
		for _, l := range a.emptyLists(child) {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

// idle finds the outcomes that have no effect in any of the cases.
func (a *analysis) idle(r Rule, cases [][]literal, say func(AdviceKind, ActionKind, string, ...any)) {
	can := func(more ...literal) bool {
		return slices.ContainsFunc(cases, func(c []literal) bool { a.looks--; return !a.excludes(append(slices.Clone(c), more...)) })
	}
	caller := func(who string) bool {
		return can(literal{Condition{Field: FieldCaller, Op: Is, Values: []string{who}}, false})
	}
	usable := can(literal{Condition{Field: FieldUsable, Op: Is, Values: []string{"usable"}}, false},
		literal{Condition{Field: FieldCaller, Op: Is, Values: []string{"new"}}, false})
	open := can(literal{Condition{Field: FieldOpenDeals, Op: AtLeast, Number: 1}, false})
	makesDeal := caller("contact") && slices.ContainsFunc(r.Then, func(o Outcome) bool { return o.Do == CreateDeal })
	for _, o := range r.Then {
		switch {
		case o.Do == CreateLead && !usable && !caller("new"):
			say(Idle, o.Do, "This rule never makes a Lead: whoever it fits is in Zoho already.")
		case o.Do == CreateLead && !usable:
			say(Idle, o.Do, "This rule never makes a Lead: it fits only calls without a number that can be looked up.")
		case o.Do == CreateDeal && !makesDeal:
			say(Idle, o.Do, "This rule never makes a Deal: a Deal is linked to a Contact, and whoever the rule fits is none.")
		case o.Do == MoveStage && !open:
			say(Idle, o.Do, "This rule never moves a stage: whoever it fits has no open Deal.")
		case o.Do == MoveStage && a.never(o.If, cases):
			say(Idle, o.Do, "This rule never moves a stage: what that needs is excluded by the rule's conditions.")
		case o.Do == BlueprintStep && o.On == "deal" && !open:
			say(Idle, o.Do, "This rule never takes the Blueprint step: whoever it fits has no open Deal.")
		case o.Do == BlueprintStep && o.On == "lead" && !caller("lead"):
			say(Idle, o.Do, "This rule never takes the Blueprint step: whoever it fits is no Lead that is in Zoho already.")
		case o.Do == BlueprintStep && a.never(o.If, cases):
			say(Idle, o.Do, "This rule never takes the Blueprint step: what that needs is excluded by the rule's conditions.")
		case o.Do == AddTags && o.On == "deal" && !open && !makesDeal:
			say(Idle, o.Do, "This rule never tags a Deal: whoever it fits has none.")
		}
	}
}

// never reports whether what an outcome needs holds in none of the cases.
func (a *analysis) never(needs *Condition, cases [][]literal) bool {
	if needs == nil {
		return false
	}
	when, ok := a.cases(*needs, false)
	if !ok {
		return false
	}
	together, ok := a.both(cases, when)
	return ok && len(together) == 0
}
