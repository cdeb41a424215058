package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hookline/internal/mapping"
	"hookline/internal/routing"
)

// What a difference is about.
const (
	OfRule    = "rule"
	OfPhrases = "phrases"
	OfMapping = "mapping"
)

// Difference is one change from one configuration to another.
type Difference struct {
	Of       string // OfRule, OfPhrases or OfMapping
	ID       string // of the rule, name of the list, or the module
	Field    string // of a mapping: the field's api_name
	Sentence string
	Before   string // what stood there, in words; empty: nothing
	After    string // what stands there now; empty: nothing
}

// Diff says in words what it takes to get from one configuration to the other: rules, then phrases, then mappings.
func Diff(from, to Set) []Difference {
	out := slices.Concat(diffRules(from.Rules, to.Rules), diffPhrases(from.Rules.Phrases, to.Rules.Phrases))
	for _, module := range modulesOf(from, to) {
		out = append(out, diffRows(module, from.Mappings.Modules[module], to.Mappings.Modules[module])...)
	}
	return out
}

// Sentences are the differences in words.
func Sentences(differences []Difference) []string {
	out := make([]string, len(differences))
	for i, d := range differences {
		out[i] = d.Sentence
	}
	return out
}

// modulesOf lists the modules of both, those that pages show first.
func modulesOf(from, to Set) []string {
	out := slices.Clone(mapping.Modules)
	for _, set := range []Set{from, to} {
		for _, module := range slices.Sorted(maps.Keys(set.Mappings.Modules)) {
			if !slices.Contains(out, module) {
				out = append(out, module)
			}
		}
	}
	return out
}

// sentence is a rule as the page shows it.
func sentence(r routing.Rule, set routing.Set) string {
	s := "When " + routing.Sentence(r.When, set.Lists()) + " → " + routing.Does(r.Then, set.Lists())
	if r.Off {
		s += " (off)"
	}
	return s
}

func diffRules(from, to routing.Set) []Difference {
	var out []Difference
	ids := func(rules []routing.Rule) []string {
		out := make([]string, len(rules))
		for i, r := range rules {
			out[i] = r.ID
		}
		return out
	}
	before, after := ids(from.Rules), ids(to.Rules)
	for _, r := range from.Rules {
		if !slices.Contains(after, r.ID) {
			out = append(out, Difference{Of: OfRule, ID: r.ID, Sentence: "Rule “" + r.Name + "” deleted.", Before: sentence(r, from)})
		}
	}
	for i, r := range to.Rules {
		d := Difference{Of: OfRule, ID: r.ID, After: sentence(r, to)}
		at := slices.Index(before, r.ID)
		if at < 0 {
			d.Sentence = fmt.Sprintf("Rule “%s” added in place %d: %s.", r.Name, i+1, d.After)
			out = append(out, d)
			continue
		}
		old := from.Rules[at]
		d.Before = sentence(old, from)
		add := func(format string, args ...any) {
			d.Sentence = fmt.Sprintf(format, args...)
			out = append(out, d)
		}
		if old.Name != r.Name {
			add("Rule “%s” is now named “%s”.", old.Name, r.Name)
		}
		if old.Off != r.Off {
			add("Rule “%s” switched %s.", r.Name, map[bool]string{true: "off", false: "on"}[r.Off])
		}
		if !same(old.When, r.When) {
			add("Rule “%s” fits when %s; before: when %s.", r.Name, routing.Sentence(r.When, to.Lists()), routing.Sentence(old.When, from.Lists()))
		}
		if !same(old.Then, r.Then) {
			add("Rule “%s” now does this: %s; before: %s.", r.Name, routing.Does(r.Then, to.Lists()), routing.Does(old.Then, from.Lists()))
		}
	}
	for _, id := range movedIDs(before, after) {
		was, is := slices.Index(before, id), slices.Index(after, id)
		out = append(out, Difference{Of: OfRule, ID: id, Sentence: fmt.Sprintf("Rule “%s” moved from place %d to %d.", to.Rules[is].Name, was+1, is+1)})
	}
	return out
}

// movedIDs are the fewest rules of which it can be said that they moved: those outside the longest run of common rules
// that kept their order.
func movedIDs(before, after []string) []string {
	var common []int // places in before, in the order of after
	for _, id := range after {
		if i := slices.Index(before, id); i >= 0 {
			common = append(common, i)
		}
	}
	// best[i] is the longest rising run that ends at i, and prev its step before.
	best, prev, last := make([]int, len(common)), make([]int, len(common)), -1
	for i := range common {
		best[i], prev[i] = 1, -1
		for j := range i {
			if common[j] < common[i] && best[j]+1 > best[i] {
				best[i], prev[i] = best[j]+1, j
			}
		}
		if last < 0 || best[i] > best[last] {
			last = i
		}
	}
	kept := map[int]bool{}
	for i := last; i >= 0; i = prev[i] {
		kept[common[i]] = true
	}
	var out []string
	for _, i := range common {
		if !kept[i] {
			out = append(out, before[i])
		}
	}
	return out
}

func diffPhrases(from, to []routing.PhraseList) []Difference {
	find := func(lists []routing.PhraseList, name string) *routing.PhraseList {
		if i := slices.IndexFunc(lists, func(l routing.PhraseList) bool { return l.Name == name }); i >= 0 {
			return &lists[i]
		}
		return nil
	}
	var out []Difference
	for _, l := range from {
		if find(to, l.Name) == nil {
			out = append(out, Difference{Of: OfPhrases, ID: l.Name, Sentence: "Phrase list “" + l.Label + "” deleted.", Before: strings.Join(l.Phrases, ", ")})
		}
	}
	for _, l := range to {
		d := Difference{Of: OfPhrases, ID: l.Name, After: strings.Join(l.Phrases, ", ")}
		old := find(from, l.Name)
		if old == nil {
			d.Sentence = "Phrase list “" + l.Label + "” added: " + quotes(l.Phrases) + "."
			out = append(out, d)
			continue
		}
		if same(*old, l) {
			continue
		}
		d.Before = strings.Join(old.Phrases, ", ")
		var parts []string
		if old.Label != l.Label {
			parts = append(parts, "before “"+old.Label+"”")
		}
		added, removed := missing(l.Phrases, old.Phrases), missing(old.Phrases, l.Phrases)
		if len(added) > 0 {
			parts = append(parts, quotes(added)+" added")
		}
		if len(removed) > 0 {
			parts = append(parts, quotes(removed)+" removed")
		}
		if !same(old.Intents, l.Intents) {
			parts = append(parts, "intents now "+quotes(l.Intents))
		}
		if len(parts) == 0 {
			parts = []string{"order changed"}
		}
		d.Sentence = "Phrase list “" + l.Label + "”: " + strings.Join(parts, "; ") + "."
		out = append(out, d)
	}
	return out
}

// missing are the texts of a that b lacks.
func missing(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(p string) bool { return slices.Contains(b, p) })
}

// quotes lists texts, not more than a reader takes in.
func quotes(texts []string) string {
	const most = 6
	var out []string
	for _, t := range texts[:min(most, len(texts))] {
		out = append(out, "“"+t+"”")
	}
	switch {
	case len(texts) == 0:
		return "none"
	case len(texts) > most:
		return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(texts)-most)
	}
	return strings.Join(out, ", ")
}

func diffRows(module string, from, to []mapping.Row) []Difference {
	find := func(rows []mapping.Row, field string) *mapping.Row {
		if i := slices.IndexFunc(rows, func(r mapping.Row) bool { return r.Field == field }); i >= 0 {
			return &rows[i]
		}
		return nil
	}
	var out []Difference
	for _, r := range from {
		if find(to, r.Field) == nil {
			out = append(out, Difference{Of: OfMapping, ID: module, Field: r.Field, Before: rowSentence(r),
				Sentence: fmt.Sprintf("%s: %s gets nothing any more; before: %s.", module, fieldName(r.Field), rowSentence(r))})
		}
	}
	for _, r := range to {
		d := Difference{Of: OfMapping, ID: module, Field: r.Field, After: rowSentence(r)}
		switch old := find(from, r.Field); {
		case old == nil:
			d.Sentence = fmt.Sprintf("%s: %s gets %s.", module, fieldName(r.Field), d.After)
		case same(*old, r):
			continue
		default:
			d.Before = rowSentence(*old)
			d.Sentence = fmt.Sprintf("%s: %s gets %s; before: %s.", module, fieldName(r.Field), d.After, d.Before)
		}
		out = append(out, d)
	}
	return out
}

// rowSentence is what a row gives its field.
func rowSentence(r mapping.Row) string {
	s := "“" + r.Value + "”"
	switch r.Mode {
	case mapping.Always:
		s += ", over what stands there"
	case mapping.Append:
		s += ", as one more line"
	case mapping.Never:
		s += ", in new records only"
	}
	if r.AddToList {
		s += ", which Zoho adds to its list where it is missing"
	}
	return s
}

// fieldName makes an api_name readable.
func fieldName(api string) string { return strings.ReplaceAll(api, "_", " ") }
