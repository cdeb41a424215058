package mapping_test

import (
	"strings"
	"testing"

	"hookline/internal/mapping"
	"hookline/internal/zoho"
)

// fitting is a mapping of one row beside what the module requires.
func fitting(module string, row mapping.Row) mapping.Set {
	set := mapping.DefaultSet()
	rows := []mapping.Row{}
	for _, r := range set.Modules[module] {
		if r.Field != row.Field {
			rows = append(rows, r)
		}
	}
	set.Modules[module] = append(rows, row)
	return set
}

func about(problems []mapping.Problem, module, field string) (found []mapping.Problem) {
	for _, p := range problems {
		if p.Module == module && p.Field == field {
			found = append(found, p)
		}
	}
	return found
}

// TestWhatZohoRefusesIsFoundBeforeACallDoes writes odd values into every field of every module as they are. Whatever the
// sandbox refuses of them, Check must not let be published as a row's constant.
func TestWhatZohoRefusesIsFoundBeforeACallDoes(t *testing.T) {
	t.Parallel()
	api, _, _, md := inZoho(t)
	base := map[string]zoho.Record{
		"Leads": {"Last_Name": "x"}, "Contacts": {"Last_Name": "x"}, "Accounts": {"Account_Name": "x"}, "Tasks": {"Subject": "x"},
		"Deals": {"Deal_Name": "x", "Stage": "Qualification", "Closing_Date": "2026-04-15", "Pipeline": "Standard (Standard)"},
		"Calls": {"Subject": "x", "Call_Type": "Inbound", "Call_Start_Time": "2026-03-02T17:04:05-08:00", "Call_Duration": "04:05"},
	}
	refused := 0
	for _, module := range mapping.Modules {
		for _, f := range md.Writable(module) {
			for _, value := range []string{"no such value", strings.Repeat("x", 33_000)} {
				rec := zoho.Record{}
				for k, v := range base[module] {
					rec[k] = v
				}
				rec[f.APIName] = value
				results, err := api.Create(t.Context(), module, []zoho.Record{rec}, zoho.WriteOptions{})
				if err == nil && results[0].Err == nil {
					continue
				}
				refused++
				blocked := false
				for _, p := range about(mapping.Check(fitting(module, mapping.Row{Field: f.APIName, Value: value}), md), module, f.APIName) {
					blocked = blocked || p.Blocking && p.Sentence != ""
				}
				if !blocked {
					t.Errorf("Zoho refuses %.20q in %s.%s (%s), and it could be published", value, module, f.APIName, f.Type)
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("only %d values were refused: the test looks at too little", refused)
	}
}

func TestACheckSaysWhatIsWrongAndTheWayOut(t *testing.T) {
	t.Parallel()
	_, _, _, md := inZoho(t)
	for name, c := range map[string]struct {
		module   string
		row      mapping.Row
		blocking bool
		sentence string
		allowed  bool
		offer    string
	}{
		"a constant that is not in the list":     {"Leads", mapping.Row{Field: "Industry", Value: "Plumbing"}, true, "“Plumbing” is not one of the values", true, ""},
		"what a list makes of a value":           {"Leads", mapping.Row{Field: "Industry", Value: `{{ answers.x | map: "a", "Service Provider", "b", "Plumbing" }}`}, true, "“Plumbing” is not one", true, ""},
		"what a list makes of all others":        {"Leads", mapping.Row{Field: "Industry", Value: `{{ answers.x | map: "a", "Service Provider", "Other" }}`}, true, "“Other” is not one", true, ""},
		"what stands for an empty value":         {"Leads", mapping.Row{Field: "Industry", Value: `{{ answers.x | default: "None" }}`}, true, "“None” is not one", true, ""},
		"a list behind a default":                {"Leads", mapping.Row{Field: "Industry", Value: `{{ answers.x | default: "p" | map: "p", "Plumbing" }}`}, true, "“Plumbing” is not one", true, ""},
		"a variable whose few values are others": {"Calls", mapping.Row{Field: "Call_Result", Value: "{{ call_result }}"}, false, "“Connected”, which a call can bring", true, ""},
		"a value that Zoho shall add":            {"Leads", mapping.Row{Field: "Industry", Value: "Plumbing", AddToList: true}, false, "Zoho adds it", false, ""},
		"a text that is too long":                {"Leads", mapping.Row{Field: "First_Name", Value: strings.Repeat("x", 41)}, true, "longer than the 40 characters", false, ""},
		"words for a number":                     {"Leads", mapping.Row{Field: "No_of_Employees", Value: "many"}, true, "is no number", false, ""},
		"a text variable for a number":           {"Leads", mapping.Row{Field: "No_of_Employees", Value: "{{ call_summary }}"}, true, "takes a number", false, ""},
		"words for a date":                       {"Deals", mapping.Row{Field: "Closing_Date", Value: "soon"}, true, "is no date", false, ""},
		"a name for a date":                      {"Deals", mapping.Row{Field: "Closing_Date", Value: "{{ first_name | title }}"}, true, "takes a date", false, ""},
		"a name for an e-mail address":           {"Leads", mapping.Row{Field: "Email", Value: "{{ caller_name }}"}, true, "takes an e-mail address", false, ""},
		"a required field without a value":       {"Leads", mapping.Row{Field: "Last_Name", Value: " "}, true, "cannot stay empty", false, "{{ last_name | default: caller_label }}"},
		"a required name that may be empty":      {"Leads", mapping.Row{Field: "Last_Name", Value: "{{ last_name | title }}"}, false, "a call can leave it empty", false, "{{ last_name | title | default: caller_label }}"},
		"a required date that may be empty":      {"Deals", mapping.Row{Field: "Closing_Date", Value: "{{ estimated_close_date }}"}, false, "a call can leave it empty", false, "{{ estimated_close_date | or_in_days: 30 }}"},
		"a required choice that may be empty":    {"Deals", mapping.Row{Field: "Stage", Value: "{{ answers.stage }}"}, false, "a call can leave it empty", true, `{{ answers.stage | default: "Qualification" }}`},
		"a field that is not there":              {"Leads", mapping.Row{Field: "Roof_Type", Value: "x"}, false, "have no field Roof_Type", false, ""},
		"a field that nobody writes":             {"Leads", mapping.Row{Field: "Full_Name", Value: "x"}, true, "nobody write", false, ""},
		"a field that is no name":                {"Leads", mapping.Row{Field: `x","y`, Value: "x"}, true, "no name of a field", false, ""},
		"an unknown variable":                    {"Leads", mapping.Row{Field: "Company", Value: "{{ compny_name }}"}, true, "Did you mean “company_name”?", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := about(mapping.Check(fitting(c.module, c.row), md), c.module, c.row.Field)
			for _, p := range found {
				if p.Blocking == c.blocking && strings.Contains(p.Sentence, c.sentence) && (len(p.Allowed) > 0) == c.allowed && p.Offer == c.offer {
					if c.offer == "" {
						return
					}
					for _, left := range about(mapping.Check(fitting(c.module, mapping.Row{Field: c.row.Field, Value: p.Offer}), md), c.module, c.row.Field) {
						t.Errorf("what is offered does not mend it: %+v", left)
					}
					return
				}
			}
			t.Errorf("%+v", found)
		})
	}
	for _, row := range []mapping.Row{
		{Field: "No_of_Employees", Value: "{{ answers.seats }}"}, {Field: "No_of_Employees", Value: "{{ call_summary | money }}"}, {Field: "Annual_Revenue", Value: "{{ estimated_deal_value | times: 12 }}"},
		{Field: "Industry", Value: `{{ answers.x | map: "a", "Service Provider", "b", answers.y }}`}, {Field: "Email_Opt_Out", Value: "yes"}, {Field: "Website", Value: "https://acme.example"},
		{Field: "Industry", Value: `{{ answers.x | map: "a", "service provider", "" }}`},
	} {
		if found := about(mapping.Check(fitting("Leads", row), md), "Leads", row.Field); len(found) > 0 {
			t.Errorf("%+v is found wrong: %+v", row, found)
		}
	}
}
