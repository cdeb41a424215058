package mapping

import (
	"strings"
	"testing"

	"hookline/internal/routing"
)

func TestARulesOwnValuesLieOverTheMapping(t *testing.T) {
	f := sarah()
	set := DefaultSet()
	d := routing.Decision{Actions: []routing.Action{
		{Slot: "lead", Kind: routing.CreateLead, With: []routing.Value{{Field: "Lead_Source", Value: "Trade Show"}, {Field: "City", Value: "{{ company_name }}"}, {Field: "Description", Value: ""}}},
		{Slot: "call", Kind: routing.LogCall, About: &routing.Target{Module: "Leads", Slot: "lead"}},
	}}
	drafts, problems := Render(set, d, f, Standard())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	lead, call := drafts[0].Fields, drafts[1].Fields
	if lead["Lead_Source"] != "Trade Show" || lead["City"] != "ABC Corp" || lead["Description"] != nil || lead["Last_Name"] != "Johnson" {
		t.Errorf("lead %v", lead)
	}
	if call["Description"] == nil || call["City"] != nil {
		t.Errorf("the Call has the Lead's own values: %v", call)
	}
	for _, row := range set.Modules["Leads"] {
		if row.Field == "City" || row.Field == "Description" && row.Value == "" {
			t.Errorf("the mapping itself was changed: %+v", row)
		}
	}
}

func TestARulesOwnValuesAreChecked(t *testing.T) {
	for value, want := range map[routing.Value]string{
		{Field: "Lead_Status", Value: "Not Contacted"}: "",
		{Field: "City", Value: "{{ nobody }}"}:         "There is no variable named “nobody”",
		{Field: "City", Value: "{{ city"}:              "At character",
		{Field: "Tag", Value: "hot"}:                   "by Zoho itself",
		{Field: "Created_By", Value: "1"}:              "by Zoho itself",
		{Field: RefField, Value: "x"}:                  "by Hookline",
		{Field: "Last_Name", Value: " "}:               "cannot stay empty",
	} {
		problems := CheckOwn(routing.Outcome{Do: routing.CreateLead, With: []routing.Value{value}}, Standard())
		switch {
		case want == "" && len(problems) == 0:
		case want == "" || len(problems) != 1 || !strings.Contains(problems[0].Sentence, want) || !problems[0].ByRule:
			t.Errorf("%+v: %+v, want %q", value, problems, want)
		}
	}
}
