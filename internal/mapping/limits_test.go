package mapping

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// longest is a call in which everything is as long as it can be.
func longest() routing.Facts {
	f := sarah()
	f.Call.Summary = strings.Repeat("ab é", 20_000)
	f.Call.Transcript = []call.Turn{{Role: call.Caller, Text: strings.Repeat("a word ", 50_000)}}
	return f
}

// largest are templates of the longest source that the language takes.
func largest() map[string]string {
	fill := func(piece string, most int) string { return strings.Repeat(piece, min(most, maxSource/len(piece))) }
	return map[string]string{
		"every placeholder and helper": fill("{{ full_transcript"+strings.Repeat(" | upcase | title", 8)+" }}", maxPlaceholders),
		"replaces that grow":           fill("{{ call_summary"+strings.Repeat(` | replace: "a", "aaaa"`, 8)+" }}", maxPlaceholders),
		"replaces that do not":         fill("{{ full_transcript"+strings.Repeat(` | replace: "word", "sword"`, 8)+" }}", maxPlaceholders),
		"a long list":                  fill("{{ call_summary | map: "+strings.TrimSuffix(strings.Repeat("full_transcript,", 200), ",")+" }}", maxPlaceholders),
		"many fallbacks":               fill("{{ answers.x | default: "+strings.TrimSuffix(strings.Repeat("full_transcript,", 200), ",")+" }}", maxPlaceholders),
		"numbers in long texts":        fill("{{ full_transcript | money | number | round: 2 }}", maxPlaceholders),
		"dates in long texts":          fill(`{{ today | date: full_transcript }}{{ full_transcript | date: "D" }}`, maxPlaceholders/2),
		"names and numbers":            fill("{{ full_transcript | split_name: \"first\" | phone }}{{ full_transcript | last_name }}{{ full_transcript | phone }}", maxPlaceholders/3),
	}
}

// TestTR1NoTemplateRunsLongOrGrowsLarge renders the largest templates on the longest call: the work of each, counted in
// bytes, is bounded, and so is what comes out.
func TestTR1NoTemplateRunsLongOrGrowsLarge(t *testing.T) {
	stopped := 0
	for name, source := range largest() {
		tpl, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		env := newEnvironment(longest(), Standard())
		s := &scope{lookup: env.lookup, env: env}
		out := textOf(tpl.render(s), env)
		if n := utf8.RuneCountInString(out); n > maxValue {
			t.Errorf("%s: %d characters", name, n)
		}
		if s.work > maxWork+maxValue*utf8.UTFMax+16 {
			t.Errorf("%s: %d bytes of work", name, s.work)
		}
		if s.work > maxWork {
			stopped++
			if len(s.notes) == 0 || !strings.Contains(s.notes[len(s.notes)-1], "too much work") {
				t.Errorf("%s was stopped without a word: %q", name, s.notes)
			}
		}
	}
	if stopped < 3 {
		t.Errorf("only %d templates were stopped: they are not large enough", stopped)
	}
	for source, want := range map[string]string{
		strings.Repeat("x", maxSource+1):                                   "longer than",
		strings.Repeat("{{a}}", maxPlaceholders+1):                         "placeholders at most",
		"{{ a" + strings.Repeat("|trim", 10_000/5) + "}}":                  "filters at most",
		"{{ a | map: " + strings.Repeat("1,", maxArgs) + "1 }}":            "arguments at most",
		"{% for i in (1..1000000000) %}{{ i }}{% endfor %}{{ i | upcas }}": "no filter named",
	} {
		if _, err := Parse(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", source, err)
		}
	}
	if got := value(t, "{% for i in (1..1000000000) %}x{% endfor %}", sarah()); got != "{% for i in (1..1000000000) %}x{% endfor %}" {
		t.Errorf("a loop is text: %v", got)
	}
}

func BenchmarkLargestTemplates(b *testing.B) {
	env := newEnvironment(longest(), Standard())
	for name, source := range largest() {
		tpl, err := Parse(source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				tpl.render(&scope{lookup: env.lookup, env: env})
			}
		})
	}
}

func TestTR2ATemplateReachesOnlyWhatIsListed(t *testing.T) {
	for _, source := range []string{"{{ include: 'x' }}", "{{ a | include }}", "{{ a | file: '/etc/passwd' }}", "{{ a() }}", "{{ a[0] }}", "{{ ..a }}"} {
		if _, err := Parse(source); err == nil {
			t.Errorf("%q is read", source)
		}
	}
	for _, path := range []string{"Call", "facts", "env.HOME", "call.Metadata", "first_name.String", "secret"} {
		if KnownVariable(path) {
			t.Errorf("%q can be named", path)
		}
		set := Set{Modules: map[string][]Row{"Contacts": {{Field: "Title", Value: "{{ " + path + " }}"}}}}
		if found := Check(set, org()); !blocks(found, "Title") {
			t.Errorf("%q can be published: %+v", path, found)
		}
		if got := value(t, "{{ "+path+" }}", sarah()); !isEmpty(got) {
			t.Errorf("%q is %v", path, got)
		}
	}
}

func blocks(problems []Problem, field string) bool {
	for _, p := range problems {
		if p.Blocking && p.Field == field {
			return true
		}
	}
	return false
}

func TestTR3WhatACallerSaysIsNeverATemplate(t *testing.T) {
	const said = `{{ secret }} {{ email | upcase }} {% for x in y %} {{`
	f := sarah()
	f.Call.Summary, f.Call.Company = said, said
	f.Call.Answers["said"] = said
	f.Call.Answers["list"] = []any{said}
	for source, want := range map[string]string{
		"{{ call_summary }}":                          said,
		"{{ answers.said | default: email }}":         said,
		"{{ answers.list | join }}":                   said,
		`{{ "x" | replace: "x", call_summary }}`:      said,
		`{{ answers.none | default: company_name }}!`: said + "!",
		`{{ "a" | map: "a", answers.said }}`:          said,
	} {
		if got := value(t, source, f); got != want {
			t.Errorf("%s: %q", source, got)
		}
	}
}

func TestTheReferenceByWhichARecordIsFoundAgainIsNobodysToWrite(t *testing.T) {
	t.Parallel()
	md := Standard()
	calls := md["Calls"]
	calls.Fields = append(slices.Clone(calls.Fields), zoho.Field{APIName: RefField, Label: "Hookline Ref", Type: "text", Length: 100, Unique: true, Visible: true, CanCreate: true, CanUpdate: true})
	md["Calls"] = calls
	set := DefaultSet()
	set.Modules["Calls"] = append(set.Modules["Calls"], Row{Field: RefField, Value: "{{ call_summary }}", Mode: Always})
	if p := Check(set, md); !slices.ContainsFunc(p, func(p Problem) bool { return p.Field == RefField && p.Blocking }) {
		t.Errorf("it can be mapped: %v", p)
	}
	f := sarah()
	d := routing.Decision{Actions: []routing.Action{{Slot: "call", Kind: routing.LogCall}}}
	drafts, _ := Render(set, d, f, md)
	if _, there := drafts[0].Fields[RefField]; there || drafts[0].Marker.Field != RefField {
		t.Errorf("%v %+v", drafts[0].Fields, drafts[0].Marker)
	}
	late, _ := Late(set, d, f, md, []Written{{Slot: "call", ID: "1", Sent: map[string]any{RefField: "before"}}})
	for _, l := range late {
		if _, there := l.Fields[RefField]; there {
			t.Errorf("news write over it: %v", l.Fields)
		}
	}
}

func TestTR4AValueStaysInsideItsField(t *testing.T) {
	const said = `","Owner":{"id":"1"},"x":"`
	f := sarah()
	f.Call.Summary, f.Call.LastName, f.Call.Company = said, said, said
	f.Match.Kind = "nobody"
	drafts, problems := Render(DefaultSet(), routing.Decide(routing.DefaultSet(), f), f, org())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, d := range drafts {
		doc, err := json.Marshal(d.Fields)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(doc, &back); err != nil || len(back) != len(d.Fields) || back["Owner"] != nil || back["x"] != nil {
			t.Errorf("%s: %v %v", d.Module, err, back)
		}
	}
	for _, name := range []string{"id", "Created_By", "Created_Time", "Modified_By", "Modified_Time", "$se_module", "$approval", "Tag", `a":"b`, "a b", strings.Repeat("a", 200)} {
		set := DefaultSet()
		set.Modules["Leads"] = append(set.Modules["Leads"], Row{Field: name, Value: "5725767000000100001"})
		for connected, md := range map[bool]Metadata{true: org(), false: nil} {
			if found := Check(set, md); !blocks(found, cut(name, 60)) {
				t.Errorf("%.40q (connected %t) can be published: %+v", name, connected, found)
			}
			drafts, _ := Render(set, routing.Decide(routing.DefaultSet(), f), f, md)
			if _, sent := drafts[0].Fields[name]; sent {
				t.Errorf("%.40q is sent", name)
			}
		}
	}
	owner := Set{Modules: map[string][]Row{"Leads": {{Field: "Last_Name", Value: "{{ caller_label }}"}, {Field: "Owner", Value: "5725767000000100001"}}}}
	if found := Check(owner, org()); blocks(found, "Owner") {
		t.Errorf("the field list lets Owner be written: %+v", found)
	}
	md := org()
	leads := md["Leads"]
	kept := leads.Fields[:0:0]
	for _, f := range leads.Fields {
		if f.APIName != "Owner" {
			kept = append(kept, f)
		}
	}
	leads.Fields = kept
	md["Leads"] = leads
	if found := Check(owner, md); !blocks(found, "Owner") {
		t.Errorf("the field list has no Owner, and it can be mapped: %+v", found)
	}
}

func TestTR7ValuesThatLookLikeFormulasReachZohoAsTheyWereSaid(t *testing.T) {
	for _, said := range []string{`=HYPERLINK("http://x","y")`, "+1", "-1", "@x", "=1+1"} {
		f := sarah()
		f.Call.LastName = said
		f.Match.Kind = "nobody"
		drafts, _ := Render(DefaultSet(), routing.Decide(routing.DefaultSet(), f), f, org())
		if got := drafts[0].Fields["Last_Name"]; got != said {
			t.Errorf("%q became %q", said, got)
		}
	}
}

func TestTR6ASetHasLimitsThatAreNamed(t *testing.T) {
	rows := func(n int, value string) (out []Row) {
		for i := range n {
			out = append(out, Row{Field: fmt.Sprintf("F%d", i), Value: value})
		}
		return out
	}
	modules := map[string][]Row{}
	for i := range 1000 {
		modules[fmt.Sprintf("M%d", i)] = nil
	}
	for name, c := range map[string]struct {
		set  Set
		want string
	}{
		"rows":        {Set{Modules: map[string][]Row{"Leads": rows(maxRows+1, "x")}}, "201 rows; 200 are the most"},
		"10,000 rows": {Set{Modules: map[string][]Row{"Leads": rows(10_000, "x")}}, "200 are the most"},
		"bytes":       {Set{Modules: map[string][]Row{"Leads": rows(maxRows, strings.Repeat("x", 2000))}}, "262,144 are the most"},
		"modules":     {Set{Modules: modules}, "name 1000 modules"},
		"one value":   {Set{Modules: map[string][]Row{"Leads": rows(1, strings.Repeat("x", maxSource+1))}}, "longer than"},
	} {
		found := Check(c.set, org())
		ok := false
		for _, p := range found {
			ok = ok || p.Blocking && strings.Contains(p.Sentence, c.want)
		}
		if !ok || len(found) > 2*maxRows {
			t.Errorf("%s: %d problems, the first %+v", name, len(found), found[:min(1, len(found))])
		}
	}
}
