package mapping

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// org is a connected organisation with the standard fields and one pipeline.
func org() Metadata {
	md := Standard()
	deals := md["Deals"]
	deals.Pipelines = []zoho.Pipeline{{Name: "Standard (Standard)", Default: true, Stages: []zoho.Stage{
		{Name: "Qualification", Type: zoho.Open, Order: 1}, {Name: "Negotiation/Review", Type: zoho.Open, Order: 2}, {Name: "Closed Won", Type: zoho.Won, Order: 3},
	}}}
	md["Deals"] = deals
	return md
}

func asContact(f *routing.Facts) {
	f.Match = identity.Match{Kind: identity.Contact, Contact: &identity.Person{
		Module: "Contacts", ID: "5725767000000100001", Name: "Sarah Johnson", AccountID: "5725767000000200001", AccountName: "ABC Corp",
	}}
}

func rendered(t *testing.T, change func(*routing.Facts)) ([]Draft, []Problem) {
	t.Helper()
	f := sarah()
	f.Match.Kind = identity.Nobody
	change(&f)
	return Render(DefaultSet(), routing.Decide(routing.DefaultSet(), f), f, org())
}

func TestDefaultMappingsRenderAsTheGuideWantsAndZohoTakes(t *testing.T) {
	for name, change := range map[string]func(*routing.Facts){
		"new-caller": func(*routing.Facts) {},
		"one-word-name": func(f *routing.Facts) {
			f.Call.FirstName, f.Call.LastName, f.Call.Company, f.Call.Email = "Cher", "", "", "not an address"
			f.Call.Answers = nil
		},
		"number-only": func(f *routing.Facts) {
			f.Call = call.Call{Direction: call.Inbound, Status: call.Completed, From: "+14155550123"}
		},
		"missed": func(f *routing.Facts) {
			f.Call.Status, f.Call.Duration, f.Call.Transcript, f.Call.Summary = call.Missed, 0, nil, ""
		},
		"buyer": asContact,
		"contact": func(f *routing.Facts) {
			asContact(f)
			f.Call.Transcript = f.Call.Transcript[:1]
			f.Call.Transcript = append(f.Call.Transcript, call.Turn{Role: call.Caller, Text: "Is he on his way?"})
		},
		"lead-rings-back": func(f *routing.Facts) {
			f.Match = identity.Match{Kind: identity.Lead, Lead: &identity.Person{Module: "Leads", ID: "5725767000000300001", Name: "Sarah Johnson"}}
		},
		"open-deal": func(f *routing.Facts) {
			asContact(f)
			f.Match.OpenDeals = []identity.Deal{{ID: "5725767000000400001", Name: "ABC Corp - Plan", Stage: "Qualification", Open: true}}
		},
		"right-to-left-and-emoji": func(f *routing.Facts) {
			f.Call.FirstName, f.Call.LastName, f.Call.Summary = "يوسف", "الأحمد 🌟", "يسأل عن السعر 👋"
		},
		"long-outbound": func(f *routing.Facts) {
			f.Call.Direction, f.Call.From, f.Call.To = call.Outbound, f.Call.To, f.Call.From
			f.Call.Duration = 75*time.Minute + 9*time.Second
			asContact(f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			drafts, problems := rendered(t, change)
			got, err := json.MarshalIndent(map[string]any{"drafts": drafts, "problems": problems}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.TrimSpace(want), got) {
				t.Errorf("differs from %s (run with -update, and read the difference):\n%s", path, got)
			}
		})
	}
}

func TestTextsAreCutToTheField(t *testing.T) {
	drafts, _ := rendered(t, func(f *routing.Facts) {
		f.Call.Summary = strings.Repeat("é", 300)
		f.Call.Transcript = []call.Turn{{Role: call.Caller, Text: strings.Repeat("字", 40_000)}}
	})
	c := drafts[1]
	subject, description := c.Fields["Subject"].(string), c.Fields["Description"].(string)
	if utf8.RuneCountInString(subject) != 255 || !strings.HasSuffix(subject, "…") {
		t.Errorf("subject of %d characters", utf8.RuneCountInString(subject))
	}
	if utf8.RuneCountInString(description) > 32000 || !strings.HasSuffix(description, goesOn) {
		t.Errorf("description of %d characters", utf8.RuneCountInString(description))
	}
	rec, err := c.Record(map[string]string{"lead": "5725767000000300001"}, "4k7q2m")
	if err != nil {
		t.Fatal(err)
	}
	if d := rec.Text("Description"); utf8.RuneCountInString(d) > 32000 || c.Marker.RefIn(rec) != "4k7q2m" {
		t.Errorf("with the reference %d characters, ending %q", utf8.RuneCountInString(d), d[len(d)-40:])
	}
}

func TestValuesAreCastToTheField(t *testing.T) {
	env := newEnvironment(sarah(), nil)
	f := func(kind string) zoho.Field { return field("F", "F", kind, 0) }
	picklist := field("F", "F", "picklist", 120, "Plumbing", "Real Estate")
	many := field("F", "F", "multiselectpicklist", 0, "en", "es")
	for _, c := range []struct {
		name  string
		field zoho.Field
		in    any
		want  any
		note  bool
	}{
		{"a sum in words is a number", f("currency"), "$50K", 50000.0, false},
		{"decimals are those of the field", f("double"), 1.23456, 1.23, false},
		{"no number is left out", f("currency"), "not sure", nil, true},
		{"an integer is whole", f("integer"), "49.6", int64(50), false},
		{"an integer that is too large is left out", f("integer"), 1e12, nil, true},
		{"a date", f("date"), "2026-04-15", "2026-04-15", false},
		{"a quarter is its last day", f("date"), "Q1", "2026-03-31", false},
		{"a moment is a date in the tenant's zone", f("date"), time.Date(2026, 3, 3, 1, 0, 0, 0, time.UTC), "2026-03-02", false},
		{"no date is left out", f("date"), "soon", nil, true},
		{"a moment has an offset and no fraction", f("datetime"), time.Date(2026, 3, 2, 17, 4, 5, 999, zone), "2026-03-03T01:04:05+00:00", false},
		{"an address", f("email"), "a@b.example", "a@b.example", false},
		{"no address is left out", f("email"), "a at b", nil, true},
		{"an address with a name is left out", f("email"), "A <a@b.example>", nil, true},
		{"yes is true", f("boolean"), "Yes", true, false},
		{"maybe is left out", f("boolean"), "maybe", nil, true},
		{"a value of the list, whatever its case", picklist, "plumbing", "Plumbing", false},
		{"a value outside the list is left out", picklist, "Baking", nil, true},
		{"a lookup is an object", f("lookup"), "5725767000000300001", map[string]any{"id": "5725767000000300001"}, false},
		{"no id is left out", f("ownerlookup"), "Bob", nil, true},
		{"a web address", f("website"), "https://x.example/a", "https://x.example/a", false},
		{"no web address is left out", f("website"), "javascript:alert(1)", nil, true},
		{"a number with letters is left out", f("phone"), "call me", nil, true},
		{"empty is nothing", f("text"), "  ", nil, false},
		{"several of a list", many, "en, xx", []any{"en"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := cast(c.field, Row{}, c.in, env)
			if !same(got.value, c.want) || (got.note != "") != c.note {
				t.Errorf("got %#v (%s), want %#v", got.value, got.note, c.want)
			}
		})
	}
}

func TestACallersWordsStayInsideTheirField(t *testing.T) {
	drafts, _ := rendered(t, func(f *routing.Facts) { f.Call.Summary = `","Owner":{"id":"1"} {{ secret }} {% for %}` })
	if got := drafts[0].Fields["Description"]; got != `","Owner":{"id":"1"} {{ secret }} {% for %}` {
		t.Errorf("%q", got)
	}
	if _, there := drafts[0].Fields["Owner"]; there {
		t.Error("a caller set the owner")
	}
}

func TestAMissingMandatoryFieldIsNamedWithTheWayOut(t *testing.T) {
	md := org()
	leads := md["Leads"]
	leads.Fields = append([]zoho.Field{}, leads.Fields...)
	for i, f := range leads.Fields {
		if f.APIName == "Industry" {
			leads.Fields[i] = mandatory(field("Industry", "Industry", "picklist", 120, "Plumbing", "Roofing"))
		}
	}
	md["Leads"] = leads
	f := sarah()
	f.Match.Kind = identity.Nobody
	_, problems := Render(DefaultSet(), routing.Decide(routing.DefaultSet(), f), f, md)
	if len(problems) != 1 || !problems[0].Blocking || problems[0].Field != "Industry" || problems[0].Slot != "lead" || len(problems[0].Allowed) != 2 ||
		!strings.Contains(problems[0].Sentence, "Zoho requires Industry on Leads") {
		t.Fatalf("%+v", problems)
	}
	if p := Check(DefaultSet(), md); len(p) == 0 || p[0].Field != "Industry" {
		t.Errorf("on save: %+v", p)
	}
}

func TestTheReferenceGoesIntoTheUniqueFieldWhereThereIsOne(t *testing.T) {
	md := org()
	calls := md["Calls"]
	ref := field(RefField, "Hookline Ref", "text", 100)
	ref.Unique = true
	calls.Fields = append(append([]zoho.Field{}, calls.Fields...), ref)
	md["Calls"] = calls
	f := sarah()
	f.Match.Kind = identity.Nobody
	drafts, problems := Render(DefaultSet(), routing.Decide(routing.DefaultSet(), f), f, md)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	rec, err := drafts[1].Record(map[string]string{"lead": "5725767000000300001"}, "4k7q2m")
	if err != nil || rec[RefField] != "4k7q2m" || strings.Contains(rec.Text("Description"), "Hookline") {
		t.Errorf("%v %v", rec, err)
	}
	if _, err := drafts[1].Record(nil, "4k7q2m"); err == nil {
		t.Error("a Call was rendered without the Lead that it hangs on")
	}
}

func TestLateNewsUpdatesTheCallAndFillsTheLead(t *testing.T) {
	f := sarah()
	f.Match.Kind = identity.Nobody
	d := routing.Decide(routing.DefaultSet(), f)
	early := f
	early.Call.Summary, early.Call.Email, early.Call.RecordingURL = "", "", ""
	before, _ := Render(DefaultSet(), d, early, org())
	written := []Written{{Slot: "lead", ID: "5725767000000300001", Sent: before[0].Fields}, {Slot: "call", ID: "5725767000000500001", Sent: before[1].Fields}}

	late, problems := Late(DefaultSet(), d, f, org(), written)
	if len(late) != 2 || len(problems) > 0 {
		t.Fatalf("%+v %+v", late, problems)
	}
	if l := late[0]; l.Action != Update || l.RecordID != "5725767000000300001" || len(l.Fields) != 2 || l.Fields["Email"] != "sarah@abc.example" {
		t.Errorf("the Lead: %+v", l)
	}
	if c := late[1]; c.Fields["Voice_Recording__s"] == nil || c.Fields["Subject"] == nil || c.Fields["Call_Type"] != nil || c.Fields["What_Id"] != nil || len(c.Needs) > 0 {
		t.Errorf("the Call: %+v", c)
	}
	t.Run("what a person changed in Zoho stays", func(t *testing.T) {
		written[0].Stands = zoho.Record{"Email": "other@abc.example", "Last_Name": "Johnson"}
		written[1].Stands = zoho.Record{"Subject": "Corrected by hand", "Description": before[1].Fields["Description"].(string) + "\n\n[Hookline 4k7q2m]"}
		late, _ := Late(DefaultSet(), d, f, org(), written)
		if late[0].Fields["Email"] != nil || late[1].Fields["Subject"] != nil || late[1].Fields["Description"] == nil {
			t.Errorf("%+v", late)
		}
	})
	t.Run("no news is no draft", func(t *testing.T) {
		if late, _ := Late(DefaultSet(), d, early, org(), []Written{{Slot: "lead", ID: "5725767000000300001", Sent: before[0].Fields}}); len(late) != 0 {
			t.Errorf("%+v", late)
		}
	})
}

func TestRowsOfContactsFillEmptyFieldsOfTheContact(t *testing.T) {
	set := DefaultSet()
	set.Modules["Contacts"] = []Row{{Field: "Email", Value: "{{ email }}"}, {Field: "Department", Value: "Sales"}, {Field: "Title", Value: "Buyer", Mode: Always}}
	f := sarah()
	asContact(&f)
	f.Match.Contact.Fields = map[string]any{"Email": "kept@abc.example", "Department": nil, "Title": "Chef"}
	drafts, _ := Render(set, routing.Decide(routing.DefaultSet(), f), f, org())
	last := drafts[len(drafts)-1]
	if last.Slot != SlotContact || last.Fields["Email"] != nil || last.Fields["Department"] != "Sales" || last.Fields["Title"] != "Buyer" {
		t.Errorf("%+v", last)
	}
}

func TestTheDefaultsPassTheCheckOfAStandardOrganisation(t *testing.T) {
	for _, md := range []Metadata{nil, Standard(), org()} {
		for _, p := range Check(DefaultSet(), md) {
			if p.Blocking {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestCheckNamesTheFieldTheFaultAndTheWayOut(t *testing.T) {
	for name, c := range map[string]struct {
		module  string
		row     Row
		want    string
		allowed bool
	}{
		"a wrong picklist value":       {"Leads", Row{Field: "Lead_Status", Value: "Hot"}, "not one of the values", true},
		"a variable that is not there": {"Leads", Row{Field: "First_Name", Value: "{{ firstname }}"}, "Did you mean “first_name”", false},
		"an open brace":                {"Leads", Row{Field: "First_Name", Value: "{{ first_name"}, "At character 14", false},
		"a mandatory field left empty": {"Leads", Row{Field: "Last_Name", Value: " "}, "cannot stay empty", false},
		"a text for a number":          {"Deals", Row{Field: "Amount", Value: "much"}, "no number", false},
		"a stage of no pipeline":       {"Deals", Row{Field: "Stage", Value: "Proposal/Price Quote"}, "has no stage", true},
		"a lookup that the rule fills": {"Calls", Row{Field: "Who_Id", Value: "1"}, "filled by the rule", false},
		"a text that is longer":        {"Leads", Row{Field: "First_Name", Value: strings.Repeat("x", 41)}, "40 characters", false},
		"an address that is none":      {"Leads", Row{Field: "Email", Value: "x"}, "no e-mail", false},
	} {
		t.Run(name, func(t *testing.T) {
			set := DefaultSet()
			rows := set.Modules[c.module]
			replaced := false
			for i := range rows {
				if rows[i].Field == c.row.Field {
					rows[i], replaced = c.row, true
				}
			}
			if !replaced {
				rows = append(rows, c.row)
			}
			set.Modules[c.module] = rows
			for _, p := range Check(set, org()) {
				if p.Blocking && p.Field == c.row.Field && strings.Contains(p.Sentence, c.want) && (len(p.Allowed) > 0) == c.allowed {
					return
				}
			}
			t.Errorf("got %+v", Check(set, org()))
		})
	}
}

func BenchmarkRender(b *testing.B) {
	f := sarah()
	f.Match.Kind = identity.Nobody
	d, md, set := routing.Decide(routing.DefaultSet(), f), org(), DefaultSet()
	b.ReportAllocs()
	for b.Loop() {
		Render(set, d, f, md)
	}
}

func TestLateNewsReachesACallWhoseDescriptionWasFull(t *testing.T) {
	long := func(f *routing.Facts) {
		f.Match.Kind = identity.Nobody
		f.Call.Transcript = []call.Turn{{Role: call.Caller, Text: strings.Repeat("word ", 20_000)}}
	}
	early, f := sarah(), sarah()
	long(&early)
	long(&f)
	early.Call.Summary = ""
	d := routing.Decide(routing.DefaultSet(), f)
	before, _ := Render(DefaultSet(), d, early, org())
	const ref = "HKABCDEFGHIJKLMNOP" // as long as delivery's
	rec, err := before[1].Record(map[string]string{"lead": "5725767000000300001"}, ref)
	if err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(rec.Text("Description")); n > 32000 || n < 31900 {
		t.Errorf("the description has %d characters", n)
	}
	if got := markerLine.ReplaceAllString(rec.Text("Description"), ""); got != before[1].Fields["Description"] {
		t.Errorf("what stands in Zoho above the reference is not what is stored as sent")
	}
	late, problems := Late(DefaultSet(), d, f, org(), []Written{{Slot: "call", ID: "5725767000000500001", Sent: before[1].Fields, Stands: rec}})
	if len(late) != 1 || len(problems) > 0 || !strings.HasPrefix(fmt.Sprint(late[0].Fields["Description"]), f.Call.Summary) {
		t.Fatalf("the late summary does not reach the Call: %+v %+v", late, problems)
	}
	rec, err = late[0].Record(nil, ref)
	if err != nil || late[0].Marker.RefIn(rec) != ref || utf8.RuneCountInString(rec.Text("Description")) > 32000 {
		t.Errorf("%v, reference %q", err, late[0].Marker.RefIn(rec))
	}
}

func TestATextOfOneLineGetsNoLineBreaks(t *testing.T) {
	env := newEnvironment(sarah(), nil)
	for in, want := range map[string]string{
		"one\ntwo": "one two", "one\r\n\r\n  two": "one two", "a\tb\x00c\x1b": "a b c", "a\u2028b": "a b", "two  spaces": "two  spaces",
	} {
		if got := cast(field("F", "F", "text", 255), Row{}, in, env); got.value != want || got.note != "" {
			t.Errorf("%q: %#v (%s)", in, got.value, got.note)
		}
		if got := cast(field("F", "F", "picklist", 120), Row{AddToList: true}, in, env); got.value != want {
			t.Errorf("%q in a list: %#v", in, got.value)
		}
	}
	if got := cast(field("F", "F", "textarea", 2000), Row{}, "one\ntwo", env); got.value != "one\ntwo" {
		t.Errorf("a long text lost its line break: %#v", got.value)
	}
	drafts, _ := rendered(t, func(f *routing.Facts) { f.Call.Summary = "line one\nline two" })
	if got := drafts[1].Fields["Subject"].(string); !strings.HasSuffix(got, "line one line two") {
		t.Errorf("the subject is %q", got)
	}
}
