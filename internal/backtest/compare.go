// Package backtest runs stored calls through a draft and through what is live, and tells what would change.
//
// It is routing.Decide and mapping.Render on the facts that each call was last decided on, both with what is known of
// the organisation's fields, and delivery's own arithmetic of what that costs: nothing is worked out a second way, and
// Zoho is asked nothing. How far a backtest is and what it found stands in the table backtests, for any process to show.
package backtest

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/routing"
)

// Side is what one configuration makes of a call.
type Side struct {
	Outcome string `json:"outcome"` // in words, as the log shows it
	RuleID  string `json:"rule_id"`
	Rule    string `json:"rule"`    // name of the rule that fires
	Credits int    `json:"credits"` // that the writes cost, estimated: see delivery.Foreseen
	Fails   bool   `json:"fails"`   // the call would be set aside: Zoho is known to refuse a record

	Decision routing.Decision  `json:"-"`
	Drafts   []mapping.Draft   `json:"-"`
	Problems []mapping.Problem `json:"-"`
}

// Change is the difference between what is live and a draft, for one call.
type Change struct {
	Live  Side
	Draft Side

	Changes bool // what happens in Zoho is another: the outcome, a record, a field, or whether it fails
	Reruled bool // another rule decides; with Changes false, to the same effect
	Failing bool // it fails under the draft and not under what is live
	Mended  bool // it fails under what is live and not under the draft

	Failures []mapping.Problem // what would make it fail: of the draft, and not of what is live
	Records  []RecordChange    // what differs, in the order in which records are written
}

// RecordChange is a record that one of the two would write, or both differently.
type RecordChange struct {
	Slot   string        `json:"slot"`
	Module string        `json:"module"`
	What   string        `json:"what"`             // Added, Dropped or Changed
	Action string        `json:"action"`           // create or update
	Fields []FieldChange `json:"fields,omitempty"` // that differ
}

// What became of a record.
const (
	Added   = "added"   // only the draft writes it
	Dropped = "dropped" // only what is live writes it
	Changed = "changed" // both write it, with other values
)

// FieldChange is a field that would get another value.
type FieldChange struct {
	Field string `json:"field"` // api_name
	Label string `json:"label"` // as people know it
	Old   string `json:"old"`   // what it gets now, for people; empty: it is not sent
	New   string `json:"new"`   // what it would get
}

// Compare decides a call by what is live and by a draft, renders both, and tells the difference. The facts tell of Zoho as
// it stood when the call was decided; of a Contact's fields, those that were mapped then.
func Compare(live, draft config.Set, facts routing.Facts, md mapping.Metadata) Change {
	c := newComparison(live, draft, md)
	change := c.compare(facts)
	c.detail(&change, facts)
	return change
}

// comparison is a live configuration and a draft of one tenant, ready for many calls.
type comparison struct {
	live, draft  config.Set
	md           mapping.Metadata
	sameRules    bool
	sameMappings bool
}

func newComparison(live, draft config.Set, md mapping.Metadata) comparison {
	return comparison{live: live, draft: draft, md: md,
		sameRules:    reflect.DeepEqual(live.Rules.Rules, draft.Rules.Rules) && reflect.DeepEqual(live.Rules.Phrases, draft.Rules.Phrases),
		sameMappings: reflect.DeepEqual(live.Mappings.Modules, draft.Mappings.Modules)}
}

// compare tells whether something changes; what exactly is detail's. Decide and Render are pure, so what is the same
// on both sides is worked out once.
func (c comparison) compare(facts routing.Facts) Change {
	var out Change
	out.Live.Decision = routing.Decide(c.live.Rules, facts)
	out.Draft.Decision = out.Live.Decision
	if !c.sameRules {
		out.Draft.Decision = routing.Decide(c.draft.Rules, facts)
	}
	out.Live.Drafts, out.Live.Problems = mapping.Render(c.live.Mappings, out.Live.Decision, facts, c.md)
	out.Draft.Drafts, out.Draft.Problems = out.Live.Drafts, out.Live.Problems
	written := c.sameMappings && reflect.DeepEqual(out.Live.Decision.Actions, out.Draft.Decision.Actions)
	if !written {
		out.Draft.Drafts, out.Draft.Problems = mapping.Render(c.draft.Mappings, out.Draft.Decision, facts, c.md)
		written = reflect.DeepEqual(contentOf(out.Live.Drafts), contentOf(out.Draft.Drafts))
	}
	out.Live.sum()
	out.Draft.sum()
	out.Reruled = out.Live.RuleID != out.Draft.RuleID
	out.Failing, out.Mended = out.Draft.Fails && !out.Live.Fails, out.Live.Fails && !out.Draft.Fails
	out.Changes = !written || out.Live.Outcome != out.Draft.Outcome || out.Failing || out.Mended
	if out.Failing {
		out.Failures = newProblems(out.Live.Problems, out.Draft.Problems)
	}
	return out
}

func (s *Side) sum() {
	s.Outcome, s.RuleID, s.Rule = s.Decision.Outcome, s.Decision.Rule, s.Decision.Name
	foreseen := delivery.Foresee(s.Drafts, s.Problems)
	s.Credits, s.Fails = foreseen.Credits, foreseen.Refused != nil
}

// newProblems are the blocking ones that were none before.
func newProblems(before, after []mapping.Problem) []mapping.Problem {
	return slices.DeleteFunc(slices.Clone(after), func(p mapping.Problem) bool {
		return !p.Blocking || slices.ContainsFunc(before, func(b mapping.Problem) bool {
			return b.Blocking && b.Slot == p.Slot && b.Field == p.Field && b.Sentence == p.Sentence
		})
	})
}

// content is of a draft what Zoho gets to see.
type content struct {
	module, action, record, find, step string
	quiet                              bool
	fields                             map[string]any // lookups of records that the call makes first are mapping.Reference
}

// contentOf gives the drafts' contents by slot.
func contentOf(drafts []mapping.Draft) map[string]content {
	out := make(map[string]content, len(drafts))
	for _, d := range drafts {
		c := content{module: d.Module, action: d.Action, record: d.RecordID, find: d.Find, step: d.Transition, quiet: d.Quiet, fields: d.Fields}
		if len(d.Needs) > 0 {
			c.fields = maps.Clone(d.Fields)
			for _, n := range d.Needs {
				c.fields[n.Field] = n
			}
		}
		out[d.Slot] = c
	}
	return out
}

// detail tells which records and fields differ, and with which values.
func (c comparison) detail(change *Change, facts routing.Facts) {
	if !change.Changes {
		return
	}
	was, is := contentOf(change.Live.Drafts), contentOf(change.Draft.Drafts)
	old := shownBy(mapping.Previews(c.live.Mappings, change.Live.Decision, facts, c.md))
	now := shownBy(mapping.Previews(c.draft.Mappings, change.Draft.Decision, facts, c.md))
	for _, d := range change.Draft.Drafts {
		r := RecordChange{Slot: d.Slot, Module: d.Module, Action: d.Action, What: Changed}
		before, both := was[d.Slot]
		if !both {
			r.What = Added
		}
		r.Fields = differing(before, is[d.Slot], old[d.Slot], now[d.Slot])
		if !both || len(r.Fields) > 0 {
			change.Records = append(change.Records, r)
		}
	}
	for _, d := range change.Live.Drafts {
		if _, stays := is[d.Slot]; !stays {
			change.Records = append(change.Records, RecordChange{Slot: d.Slot, Module: d.Module, Action: d.Action, What: Dropped,
				Fields: differing(was[d.Slot], content{}, old[d.Slot], nil)})
		}
	}
}

// shown is how a preview shows a field.
type shown struct {
	place        int
	label, value string
}

func shownBy(previews []mapping.Preview) map[string]map[string]shown {
	out := map[string]map[string]shown{}
	for _, p := range previews {
		fields := map[string]shown{}
		for i, f := range p.Fields {
			fields[f.Field] = shown{i, f.Label, f.Shown}
		}
		out[p.Draft.Slot] = fields
	}
	return out
}

// kindOfAbout goes with the link to what a Call or Task is about, and tells people nothing that the link does not.
const kindOfAbout = "$se_module"

// differing lists the fields of a record that differ, in the order of the page.
func differing(was, is content, old, now map[string]shown) []FieldChange {
	text := func(c content, by map[string]shown, field string) string {
		v, sent := c.fields[field]
		if !sent {
			return ""
		}
		if s := by[field].value; s != "" {
			return s
		}
		return fmt.Sprint(v)
	}
	var out []FieldChange
	names := slices.Collect(maps.Keys(was.fields))
	for name := range is.fields {
		if _, both := was.fields[name]; !both {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(placeOf(a, now, old), placeOf(b, now, old)), cmp.Compare(a, b))
	})
	for _, name := range names {
		v, sentBefore := was.fields[name]
		w, sentNow := is.fields[name]
		if name == "" || name == kindOfAbout || sentBefore == sentNow && reflect.DeepEqual(v, w) {
			continue
		}
		label := strings.ReplaceAll(cmp.Or(now[name].label, old[name].label, name), "_", " ")
		out = append(out, FieldChange{Field: name, Label: label, Old: text(was, old, name), New: text(is, now, name)})
	}
	both := was.module != "" && is.module != ""
	if both && was.record != is.record {
		out = append(out, FieldChange{Field: "id", Label: "Record", Old: was.record, New: is.record})
	}
	if was.step != is.step {
		out = append(out, FieldChange{Field: mapping.StepField, Label: "Blueprint step", Old: was.step, New: is.step})
	}
	if both && was.quiet != is.quiet {
		runs := map[bool]string{false: "run", true: "do not run"}
		out = append(out, FieldChange{Field: "trigger", Label: "Zoho's own workflows", Old: runs[was.quiet], New: runs[is.quiet]})
	}
	return out
}

func placeOf(field string, shownNow, shownBefore map[string]shown) int {
	if s, ok := shownNow[field]; ok {
		return s.place
	}
	if s, ok := shownBefore[field]; ok {
		return s.place
	}
	return len(shownNow) + len(shownBefore)
}
