package mapping

import (
	"strings"

	"hookline/internal/call"
	"hookline/internal/zoho"
)

// Suggest is the value that a field most likely wants, to begin a new row with: what every workspace starts with, else
// what the field's name or kind speaks of. It is empty where nothing is likely. What it suggests passes Check.
func Suggest(module string, f zoho.Field) string {
	for _, row := range DefaultSet().Modules[module] {
		if row.Field == f.APIName {
			return row.Value
		}
	}
	if strings.Contains(f.Type, "picklist") || f.Type == "boolean" || strings.Contains(f.Type, "lookup") || unwritable[f.Type] {
		return ""
	}
	name := call.FoldName(f.APIName + " " + f.Label)
	for _, s := range suggestions {
		if strings.Contains(name, s.word) && (s.kinds == "" || strings.Contains(s.kinds, f.Type)) {
			return s.value
		}
	}
	return byKind[f.Type]
}

// suggestions are tried in order: the name of a field as it is written without space, and the kinds of field that can
// hold the value.
var suggestions = []struct{ word, kinds, value string }{
	{"firstname", "text", "{{ first_name }}"},
	{"lastname", "text", "{{ last_name }}"},
	{"fullname", "text", "{{ caller_name }}"},
	{"callername", "text", "{{ caller_name }}"},
	{"company", "text", "{{ company_name }}"},
	{"email", "email text", "{{ email }}"},
	{"transcript", "textarea", "{{ full_transcript }}"},
	{"summary", "text textarea", "{{ call_summary }}"},
	{"description", "textarea", "{{ call_summary }}"},
	{"notes", "textarea", "{{ call_summary }}"},
	{"recording", "website text", "{{ recording_url }}"},
	{"budget", "currency double integer bigint", "{{ estimated_deal_value }}"},
	{"amount", "currency double integer bigint", "{{ estimated_deal_value }}"},
	{"revenue", "currency double integer bigint", "{{ estimated_deal_value }}"},
	{"closingdate", "date", "{{ estimated_close_date | or_in_days: 30 }}"},
	{"lastcontact", "date", "{{ today }}"},
	{"lastcontact", "datetime", "{{ call_timestamp }}"},
	{"lastcall", "date", "{{ today }}"},
	{"lastcall", "datetime", "{{ call_timestamp }}"},
	{"duedate", "date", "{{ today | add_business_days: 3 }}"},
	{"followup", "date", "{{ today | add_business_days: 3 }}"},
	{"duration", "integer bigint double", "{{ call_duration_seconds }}"},
	{"interest", "text textarea", "{{ product_interest }}"},
	{"product", "text textarea", "{{ product_interest }}"},
	{"intent", "text textarea", "{{ intent }}"},
	{"nextstep", "text textarea", "{{ call_summary }}"},
	{"agent", "text", "{{ agent }}"},
	{"account", "text", "{{ account_name }}"},
	{"answers", "textarea", "{{ all_answers }}"},
	{"source", "text", "{{ source_name }}"},
	{"calls", "integer bigint", "{{ calls_before }}"},
	{"number", "phone", "{{ caller_number }}"},
}

var byKind = map[string]string{
	"email": "{{ email }}", "phone": "{{ caller_number }}", "currency": "{{ estimated_deal_value }}", "date": "{{ today }}", "datetime": "{{ call_timestamp }}",
}
