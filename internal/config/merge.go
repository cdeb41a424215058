package config

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// Clash is a rule, phrase list or mapping row that two people changed differently.
type Clash struct {
	Of     string // OfRule, OfPhrases or OfMapping
	ID     string // of the rule, name of the list, or the module
	Field  string // of a mapping: the field's api_name
	What   string // "The rule “Spam”", "Leads: Description"
	Mine   string // in words; empty: deleted
	Theirs string
}

// Conflict is an edit that was not stored, because somebody else has changed the same since its form was made.
type Conflict struct {
	By      string // who; of several, one of them
	Clashes []Clash
	Now     int // the draft's revision, with theirs in it
	Merged  Set // what both have made, with mine where they clash: to go on with, on revision Now
}

func (c *Conflict) Error() string {
	names := make([]string, len(c.Clashes))
	for i, clash := range c.Clashes {
		names[i] = clash.What
	}
	return fmt.Sprintf("%s changed meanwhile: %s", c.By, strings.Join(names, ", "))
}

// conflict is the fault for people, with the clashes in it.
func conflict(ctx context.Context, tx pgx.Tx, t tenant.ID, on int, now Draft, merged Set, clashes []Clash) error {
	edits, err := Edits(ctx, tx, t, on, keptEdits)
	if err != nil {
		return err
	}
	var who []string
	for _, e := range edits {
		if !slices.Contains(who, e.By) {
			who = append(who, e.By)
		}
	}
	c := &Conflict{By: strings.Join(who, " or "), Clashes: clashes, Now: now.Revision, Merged: merged}
	return fault.Wrap(fault.Conflict, c, fmt.Sprintf(
		"%s changed the same while you were editing: %s. Nothing of theirs was overwritten and nothing of yours is lost: compare the two, then save again.", c.By, clashes[0].What))
}

// merge puts what mine changed on base into theirs. What both changed differently is given as clashes; the set
// has mine there.
func merge(base, mine, theirs Set) (Set, []Clash) {
	m := &merger{}
	var out Set
	out.Rules.Rules = mergeLists(m, base.Rules.Rules, mine.Rules.Rules, theirs.Rules.Rules, func(r routing.Rule) string { return r.ID },
		func(b, a, z routing.Rule) (routing.Rule, bool) { return m.rule(b, a, z) },
		func(a, z *routing.Rule) Clash { return ruleClash(a, z, mine, theirs) })
	out.Rules.Phrases = mergeLists(m, base.Rules.Phrases, mine.Rules.Phrases, theirs.Rules.Phrases, func(l routing.PhraseList) string { return l.Name },
		mergePhrases, phraseClash)
	out.Mappings.Modules = map[string][]mapping.Row{}
	for _, set := range []mapping.Set{mine.Mappings, theirs.Mappings} {
		for _, module := range slices.Sorted(maps.Keys(set.Modules)) {
			if _, done := out.Mappings.Modules[module]; done {
				continue
			}
			out.Mappings.Modules[module] = mergeLists(m, base.Mappings.Modules[module], mine.Mappings.Modules[module], theirs.Mappings.Modules[module],
				func(r mapping.Row) string { return r.Field }, func(_, _, _ mapping.Row) (mapping.Row, bool) { return mapping.Row{}, false },
				func(a, z *mapping.Row) Clash { return rowClash(module, a, z) })
		}
	}
	return out, m.clashes
}

type merger struct{ clashes []Clash }

// mergeLists merges two changed lists of things that have a key. Where both changed one thing, both says how the two go
// together, or that they do not. Order: mine where I changed it, else theirs; what only the other has comes after the
// thing that it stands behind there. Where both moved things, what I moved is moved in theirs too.
func mergeLists[T any](m *merger, base, mine, theirs []T, key func(T) string, both func(base, mine, theirs T) (T, bool), clash func(mine, theirs *T) Clash) []T {
	find := func(list []T, k string) *T {
		if i := slices.IndexFunc(list, func(x T) bool { return key(x) == k }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	pick := func(k string) (T, bool) {
		b, a, z := find(base, k), find(mine, k), find(theirs, k)
		switch {
		case same(a, z), same(b, z):
			z = a
		case same(a, b):
		case a != nil && z != nil && b != nil:
			if merged, ok := both(*b, *a, *z); ok {
				return merged, true
			}
			m.clashes = append(m.clashes, clash(a, z))
			z = a
		default: // one deleted what the other changed, or both added the same
			m.clashes = append(m.clashes, clash(a, z))
			z = a
		}
		if z == nil {
			var none T
			return none, false
		}
		return *z, true
	}
	keys := func(list []T) []string {
		out := make([]string, len(list))
		for i, x := range list {
			out[i] = key(x)
		}
		return out
	}
	order, other := keys(theirs), keys(mine)
	switch before := keys(base); {
	case !moved(before, other):
	case !moved(before, order):
		order, other = other, order
	default:
		order = moveAgain(order, before, other)
	}
	for i, k := range other {
		if slices.Contains(order, k) {
			continue
		}
		at := 0
		if i > 0 {
			at = slices.Index(order, other[i-1]) + 1
		}
		order = slices.Insert(slices.Clone(order), at, k)
	}
	out := []T{}
	for _, k := range order {
		if x, there := pick(k); there {
			out = append(out, x)
		}
	}
	return out
}

// moveAgain moves in an order what was moved from before to after: each behind the one that it stands behind after.
func moveAgain(order, before, after []string) []string {
	moved := movedIDs(before, after)
	order = slices.DeleteFunc(slices.Clone(order), func(k string) bool { return slices.Contains(moved, k) })
	for i, k := range after {
		if !slices.Contains(moved, k) {
			continue
		}
		at := 0
		for j := i - 1; j >= 0 && at == 0; j-- {
			at = slices.Index(order, after[j]) + 1
		}
		order = slices.Insert(order, at, k)
	}
	return order
}

// moved reports whether what is in both lists stands in another order.
func moved(before, after []string) bool {
	common := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(k string) bool { return !slices.Contains(other, k) })
	}
	return !slices.Equal(common(before, after), common(after, before))
}

// rule merges a rule by its parts: one may rename or switch it while another changes when it fits.
func (*merger) rule(base, mine, theirs routing.Rule) (routing.Rule, bool) {
	out, clash := theirs, false
	part := func(b, a, z any, take func()) {
		switch {
		case same(a, b), same(a, z):
		case same(z, b):
			take()
		default:
			clash = true
		}
	}
	part(base.Name, mine.Name, theirs.Name, func() { out.Name = mine.Name })
	part(base.Off, mine.Off, theirs.Off, func() { out.Off = mine.Off })
	part(base.When, mine.When, theirs.When, func() { out.When = mine.When })
	part(base.Then, mine.Then, theirs.Then, func() { out.Then = mine.Then })
	return out, !clash
}

// mergePhrases keeps what either added and drops what either removed.
func mergePhrases(base, mine, theirs routing.PhraseList) (routing.PhraseList, bool) {
	out := theirs
	if mine.Label != base.Label {
		if theirs.Label != base.Label && theirs.Label != mine.Label {
			return out, false
		}
		out.Label = mine.Label
	}
	out.Phrases = mergeTexts(base.Phrases, mine.Phrases, theirs.Phrases)
	out.Intents = mergeTexts(base.Intents, mine.Intents, theirs.Intents)
	return out, true
}

func mergeTexts(base, mine, theirs []string) []string {
	var out []string
	for _, p := range theirs {
		if slices.Contains(mine, p) || !slices.Contains(base, p) {
			out = append(out, p)
		}
	}
	for _, p := range mine {
		if !slices.Contains(base, p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func ruleClash(mine, theirs *routing.Rule, ours, others Set) Clash {
	c := Clash{Of: OfRule}
	if mine != nil {
		c.ID = mine.ID
		c.What, c.Mine = "the rule “"+mine.Name+"”", sentence(*mine, ours.Rules)
	}
	if theirs != nil {
		c.ID = theirs.ID
		c.What, c.Theirs = "the rule “"+theirs.Name+"”", sentence(*theirs, others.Rules)
	}
	if mine != nil && theirs != nil && mine.Name != theirs.Name {
		c.Mine, c.Theirs = "“"+mine.Name+"”: "+c.Mine, "“"+theirs.Name+"”: "+c.Theirs
	}
	return c
}

func phraseClash(mine, theirs *routing.PhraseList) Clash {
	c := Clash{Of: OfPhrases}
	if mine != nil {
		c.ID = mine.Name
		c.What, c.Mine = "the "+mine.Label, strings.Join(mine.Phrases, ", ")
	}
	if theirs != nil {
		c.ID = theirs.Name
		c.What, c.Theirs = "the "+theirs.Label, strings.Join(theirs.Phrases, ", ")
	}
	return c
}

func rowClash(module string, mine, theirs *mapping.Row) Clash {
	c := Clash{Of: OfMapping, ID: module}
	if mine != nil {
		c.Field, c.Mine = mine.Field, rowSentence(*mine)
	}
	if theirs != nil {
		c.Field, c.Theirs = theirs.Field, rowSentence(*theirs)
	}
	c.What = module + ": " + fieldName(c.Field)
	return c
}

// same compares by the stored form, in which an empty list and none are one.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
