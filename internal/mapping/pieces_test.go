package mapping

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

func renderedWith(t *Template, f routing.Facts) any {
	env := newEnvironment(f, Standard())
	return t.render(&scope{lookup: env.lookup, env: env})
}

// sameMeaning takes a template apart and puts it together again, and compares what both render.
func sameMeaning(t interface{ Fatalf(string, ...any) }, source string, f routing.Facts) {
	before, err := Parse(source)
	if err != nil {
		return
	}
	pieces, err := Pieces(source)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	again := Source(pieces)
	if len(again) > maxSource || strings.Count(again, "{{") > maxPlaceholders {
		return // braces and quotes are longer written out
	}
	after, err := Parse(again)
	if err != nil {
		t.Fatalf("%q became %q: %v", source, again, err)
	}
	if a, b := renderedWith(before, f), renderedWith(after, f); !reflect.DeepEqual(a, b) {
		t.Fatalf("%q became %q: %#v, was %#v", source, again, b, a)
	}
	if twice, _ := Pieces(again); !reflect.DeepEqual(pieces, twice) {
		t.Fatalf("%q: %+v, then %+v", source, pieces, twice)
	}
}

func TestPiecesAndBackMeanTheSame(t *testing.T) {
	for _, source := range []string{
		"", "plain", "{", "}}", `{{ "{{" }}`, `a {{ "{" }}{{ email }}`, `{{ 'it''s "so"' }}`, `{{ "say ""hi"" 'there'" | upcase }}`, `{{ """" }}`, "{{ 12 }}", "{{ -1.50 }}",
		"{{ last_name | default: caller_label, \"x\" }} and {{ answers.x-y | map: 'a', \"b\", email | join }}\n", `{{ "" }}{{ estimated_deal_value }}`,
	} {
		sameMeaning(t, source, sarah())
	}
	for _, rows := range DefaultSet().Modules {
		for _, r := range rows {
			sameMeaning(t, r.Value, sarah())
			pieces, _ := Pieces(r.Value)
			if got := Source(pieces); got != r.Value {
				t.Errorf("%q became %q", r.Value, got)
			}
		}
	}
}

func TestAnyPiecesCanBeWrittenAndReadAgain(t *testing.T) {
	f := sarah()
	operands := rapid.Custom(func(rt *rapid.T) Operand {
		switch rapid.IntRange(0, 2).Draw(rt, "kind") {
		case 0:
			return Var(rapid.SampledFrom(variables).Draw(rt, "variable").name)
		case 1:
			return Number(rapid.StringMatching(`-?[0-9]{1,6}(\.[0-9]{1,4})?`).Draw(rt, "number"))
		}
		return Text(rapid.StringOf(rapid.RuneFrom([]rune(`ab "'{}|:,\é`))).Draw(rt, "text"))
	})
	rapid.Check(t, func(rt *rapid.T) {
		var pieces []Piece
		text := ""
		for range rapid.IntRange(0, 5).Draw(rt, "pieces") {
			if rapid.Bool().Draw(rt, "literal") {
				text += rapid.StringOf(rapid.RuneFrom([]rune("a{} \"'|\n"))).Draw(rt, "text")
				continue
			}
			if text != "" {
				pieces, text = append(pieces, Piece{Text: text}), ""
			}
			head := operands.Draw(rt, "head")
			p := Piece{Value: &head}
			for range rapid.IntRange(0, 3).Draw(rt, "helpers") {
				info := rapid.SampledFrom(helpers).Draw(rt, "helper")
				h := Helper{Name: info.Name}
				for range rapid.IntRange(filters[info.Name].min, min(filters[info.Name].max, 6)).Draw(rt, "arguments") {
					h.Args = append(h.Args, operands.Draw(rt, "argument"))
				}
				p.Helpers = append(p.Helpers, h)
			}
			pieces = append(pieces, p)
		}
		if text != "" {
			pieces = append(pieces, Piece{Text: text})
		}
		source := Source(pieces)
		tpl, err := Parse(source)
		if err != nil {
			if strings.Contains(err.Error(), "placeholders at most") || strings.Contains(err.Error(), "longer than") {
				return
			}
			rt.Fatalf("%+v became %q: %v", pieces, source, err)
		}
		again, err := Pieces(source)
		if err != nil {
			rt.Fatalf("%q: %v", source, err)
		}
		second, err := Parse(Source(again))
		if err != nil || !reflect.DeepEqual(renderedWith(tpl, f), renderedWith(second, f)) {
			rt.Fatalf("%q became %q (%v)", source, Source(again), err)
		}
		var want strings.Builder // literal text is kept to the letter
		for _, p := range pieces {
			if p.Value != nil {
				return
			}
			want.WriteString(p.Text)
		}
		if got := textOf(renderedWith(tpl, f), &environment{}); got != want.String() {
			rt.Fatalf("text %q became %q", want.String(), got)
		}
	})
}

func FuzzPieces(f *testing.F) {
	for _, rows := range DefaultSet().Modules {
		for _, r := range rows {
			f.Add(r.Value)
		}
	}
	f.Add(`{{ "a""{{" | default: 'it''s' }}{{ "{" }}{{ 1.5 | map: 1, email, "x" }}`)
	f.Fuzz(func(t *testing.T, source string) { sameMeaning(t, source, sarah()) })
}

func TestEveryHelperIsDescribedForPeople(t *testing.T) {
	if len(helpers) != len(filters) {
		t.Errorf("%d described, %d there are", len(helpers), len(filters))
	}
	for _, h := range Helpers() {
		f, there := filters[h.Name]
		if !there || h.Label == "" || h.About == "" || !slices.Contains(HelperGroups, h.Group) {
			t.Errorf("%+v", h)
			continue
		}
		least, most := 0, len(h.Args)
		for _, a := range h.Args {
			if a.Label == "" || a.Kind == "" {
				t.Errorf("%s: %+v", h.Name, a)
			}
			if !a.Optional {
				least++
			}
			if a.Kind == TakesPairs {
				least++
			}
			if a.Repeats {
				most = maxArgs
			}
		}
		if least != f.min || most != f.max {
			t.Errorf("%s takes %d to %d arguments, described as %d to %d", h.Name, f.min, f.max, least, most)
		}
		v := Var("call_summary")
		if _, err := Parse(Source([]Piece{{Value: &v, Helpers: []Helper{h.Start()}}})); err != nil {
			t.Errorf("as it is added, %s cannot be read: %v", h.Name, err)
		}
		if (Helper{Name: h.Name}).Label() != h.Label {
			t.Errorf("%s has another label", h.Name)
		}
	}
}

func TestAListIsReadAndWrittenPairByPair(t *testing.T) {
	pieces, err := Pieces(`{{ answers.trade | trim | map: "plumber", "Plumbing", "it's ""hot""", "Heating", "Other" }}`)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := pieces[0].Helpers[1].Choices()
	if !ok || len(c.Pairs) != 2 || c.Pairs[1].When != Text(`it's "hot"`) || c.Pairs[1].Then != Text("Heating") || c.Otherwise == nil || *c.Otherwise != Text("Other") {
		t.Fatalf("%+v", c)
	}
	if _, ok := pieces[0].Helpers[0].Choices(); ok {
		t.Error("trim was read as a list")
	}
	c.Pairs = append(c.Pairs, Choice{When: Text("roofer"), Then: Var("company_name")})
	c.Otherwise = nil
	pieces[0].Helpers[1], _ = c.Helper()
	want := `{{ answers.trade | trim | map: "plumber", "Plumbing", "it's ""hot""", "Heating", "roofer", company_name }}`
	if got := Source(pieces); got != want {
		t.Errorf("%s", got)
	}
	if _, ok := (Choices{}).Helper(); ok {
		t.Error("a list without pairs was written")
	}
	for range MaxChoices - 3 {
		c.Pairs = append(c.Pairs, Choice{When: Text("a"), Then: Text("b")})
	}
	other := Text("z")
	c.Otherwise = &other
	pieces[0].Helpers[1], _ = c.Helper()
	if _, err := Parse(Source(pieces)); err != nil {
		t.Errorf("the largest list cannot be read: %v", err)
	}
}

func TestBusinessDaysAreThoseOnWhichTheBusinessIsOpen(t *testing.T) {
	f := sarah() // a Monday
	if got := value(t, `{{ today | add_business_days: 5 | date: "YYYY-MM-DD" }}`, f); got != "2026-03-09" {
		t.Errorf("Monday to Friday: %v", got)
	}
	f.Weekdays = []time.Weekday{time.Tuesday, time.Saturday}
	if got := value(t, `{{ today | add_business_days: 2 | date: "YYYY-MM-DD" }}`, f); got != "2026-03-07" {
		t.Errorf("Tuesday and Saturday: %v", got)
	}
}

func TestVariablesAreGroupedAndShowTheCallsAnswers(t *testing.T) {
	f := sarah()
	f.Call.Answers["kind of house"] = strings.Repeat("x", 500)
	seen := map[string]Variable{}
	for _, v := range Variables(&f, Standard()) {
		if v.About == "" || !slices.Contains(VariableGroups, v.Group) || len([]rune(v.Example)) > 120 {
			t.Errorf("%+v", v)
		}
		seen[v.Name] = v
	}
	if v := seen["answers.kind_of_house"]; v.Group != anAnswer || v.Example == "" {
		t.Errorf("an answer of the call: %+v", v)
	}
	if v := seen["estimated_deal_value"]; v.Example != "50000" {
		t.Errorf("%+v", v)
	}
	if got := value(t, `{{ answers | join: "; " }}`, sarah()); !strings.Contains(got.(string), "budget: $50K; interest: Enterprise plan") {
		t.Errorf("%v", got)
	}
}

func TestAFieldIsProposedWhatItMostLikelyWants(t *testing.T) {
	for _, c := range []struct {
		module string
		f      zoho.Field
		want   string
	}{
		{"Leads", field("Email", "Email", "email", 100), "{{ email }}"},
		{"Leads", field("Mobile", "Mobile", "phone", 30), "{{ caller_number }}"},
		{"Leads", field("Call_Budget", "Budget", "integer", 16), "{{ estimated_deal_value }}"},
		{"Contacts", field("Last_Contact_Date", "Last Contact Date", "date", 0), "{{ today }}"},
		{"Contacts", field("Last_Contact_Date", "Last Contact Date", "datetime", 0), "{{ call_timestamp }}"},
		{"Deals", field("Closing_Date", "Closing Date", "date", 0), "{{ estimated_close_date | or_in_days: 30 }}"},
		{"Leads", field("Industry", "Industry", "picklist", 0, "Plumbing"), ""},
		{"Leads", field("Shoe_Size", "Shoe Size", "text", 20), ""},
	} {
		if got := Suggest(c.module, c.f); got != c.want {
			t.Errorf("%s: %q", c.f.APIName, got)
		}
	}
	md := Standard()
	for _, module := range Modules {
		for _, f := range md.Writable(module) {
			source := Suggest(module, f)
			if source == "" {
				continue
			}
			for _, p := range checkValue(module, Row{Field: f.APIName, Value: source, AddToList: true}, f, md) {
				if p.Blocking {
					t.Errorf("what is suggested for %s is refused: %+v", f.APIName, p)
				}
			}
		}
	}
}
