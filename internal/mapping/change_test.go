package mapping

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

func TestARowChangesARecordThatExistsInItsModeOnly(t *testing.T) {
	for name, c := range map[string]struct {
		mode         Mode
		value        any
		stands, sent any
		want         any // nil: the field stays
	}{
		"fill: an empty field is filled":                        {FillEmpty, "Buyer", nil, nil, "Buyer"},
		"fill: what a person entered stays":                     {FillEmpty, "Buyer", "Chef", nil, nil},
		"fill: what the call wrote is brought up to date":       {FillEmpty, "Buyer", "Caller", "Caller", "Buyer"},
		"fill: what a person wrote over the call's value stays": {FillEmpty, "Buyer", "Chef", "Caller", nil},
		"always: over another value":                            {Always, "Buyer", "Chef", nil, "Buyer"},
		"always: the same value is not written again":           {Always, "Buyer", "Buyer", nil, nil},
		"always: the same number is not written again":          {Always, json.Number("50000000"), 5e+07, nil, nil},
		"always: of other digits, the same number":              {Always, json.Number("700"), json.Number("700.00"), nil, nil},
		"always: ids that a float does not tell apart":          {Always, json.Number("5725767000000524157"), json.Number("5725767000000524158"), nil, json.Number("5725767000000524157")},
		"append: the first line":                                {Append, "Called", nil, nil, "Called"},
		"append: one more line":                                 {Append, "Called", "Met at the fair", nil, "Met at the fair\nCalled"},
		"append: never the same line twice":                     {Append, "Called", "Met\r\nCalled\r\nWrote", nil, nil},
		"append: a line is not a part of one":                   {Append, "Called", "Called twice", nil, "Called twice\nCalled"},
		"append: late news takes the place of the call's line":  {Append, "Called, wants a quote", "Met\nCalled\nWrote", "Called", "Met\nCalled, wants a quote\nWrote"},
		"append: no room":                                       {Append, "Called", strings.Repeat("x", 95), nil, nil},
		"append: nothing to say":                                {Append, "", "Met", nil, nil},
		"never: not even an empty field":                        {Never, "Buyer", nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, changes := change(Row{Field: "Title", Mode: c.mode}, field("Title", "Title", "text", 100), c.value, c.stands, c.sent)
			if changes != (c.want != nil) || changes && got != c.want {
				t.Errorf("%v %v", got, changes)
			}
		})
	}
}

func TestAnUpdateIsRevisedOnTheRecordAsItStandsNow(t *testing.T) {
	set := Set{Modules: map[string][]Row{"Contacts": {
		{Field: "Title", Value: "Buyer", Mode: Always}, {Field: "Department", Value: "Sales"}, {Field: "Description", Value: "Called", Mode: Append},
	}}}
	f := sarah()
	asContact(&f)
	f.Match.Contact.Fields = map[string]any{"Title": "Chef", "Description": "Met", "Modified_Time": "2026-03-02T10:00:00-05:00"}
	drafts, _ := Render(set, routing.Decision{Actions: []routing.Action{{Slot: "call", Kind: routing.LogCall}}}, f, org())
	d := drafts[len(drafts)-1]
	if d.Slot != SlotContact || d.Since != "2026-03-02T10:00:00-05:00" || len(d.Fields) != 3 || d.Fields["Description"] != "Met\nCalled" {
		t.Fatalf("%+v", d)
	}
	for name, c := range map[string]struct {
		now  zoho.Record
		want map[string]any
		left string
	}{
		"nothing has changed": {zoho.Record{"Title": "Chef", "Description": "Met"}, map[string]any{"Title": "Buyer", "Department": "Sales", "Description": "Met\nCalled"}, ""},
		"it had landed":       {zoho.Record{"Title": "Buyer", "Department": "Sales", "Description": "Met\nCalled"}, map[string]any{}, "stands in Zoho already"},
		"it had landed, and a person changed it since": {zoho.Record{"Title": "Boss", "Department": "Sales", "Description": "Met\nCalled\nWrote"},
			map[string]any{}, "changed in Zoho meanwhile"},
		"a person filled a field and wrote a line meanwhile": {zoho.Record{"Title": "Chef", "Department": "Kitchen", "Description": "Met\nWrote"},
			map[string]any{"Title": "Buyer", "Description": "Met\nWrote\nCalled"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.now["Modified_Time"] = "2026-03-02T11:00:00-05:00"
			got := Revise(d, c.now)
			if !reflect.DeepEqual(got.Fields, c.want) || !strings.Contains(got.Left, c.left) || (c.left == "") != (got.Left == "") || got.Since != "2026-03-02T11:00:00-05:00" || len(got.Keys) != len(got.Fields) {
				t.Errorf("%+v", got)
			}
			if again := Revise(got, c.now); !reflect.DeepEqual(again.Fields, got.Fields) {
				t.Errorf("once more on the same record: %+v", again)
			}
		})
	}
	if d.Fields["Title"] != "Buyer" || len(d.Fields) != 3 {
		t.Errorf("the draft itself was changed: %+v", d)
	}
}

func TestDriftIsToldOfWhatARuleWritesOnly(t *testing.T) {
	md := Standard()
	for _, module := range []string{"Deals", "Tasks", "Accounts"} {
		of := md[module]
		of.Fields = append(of.Fields, zoho.Field{APIName: "Region", Label: "Region", Type: "text", Length: 50, Visible: true, CanCreate: true, CanUpdate: true, Mandatory: true})
		md[module] = of
	}
	all := []routing.Outcome{{Do: routing.CreateDeal, Account: true}, {Do: routing.AddTask, Subject: "Call back"}}
	for name, c := range map[string]struct {
		rule routing.Rule
		want string
	}{
		"no rule writes them":   {routing.Rule{Then: []routing.Outcome{{Do: routing.LogCall}}}, ""},
		"the rule is off":       {routing.Rule{Off: true, Then: all}, ""},
		"a Deal and no Account": {routing.Rule{Then: []routing.Outcome{{Do: routing.CreateDeal}}}, "Deals "},
		"a rule writes them":    {routing.Rule{Then: all}, "Deals Tasks Accounts "},
	} {
		got := ""
		for _, p := range Drift(DefaultSet(), routing.Set{Rules: []routing.Rule{c.rule}}, md) {
			got += p.Module + " "
		}
		if got != c.want {
			t.Errorf("%s: told of %q, want %q", name, got, c.want)
		}
	}
}
