package mapping

import "hookline/internal/zoho"

// DefaultSet is what a tenant starts with. It is the guide's mapping, corrected to what Zoho takes.
func DefaultSet() Set {
	return Set{Modules: map[string][]Row{
		"Leads": {
			{Field: "Last_Name", Value: "{{ last_name | default: caller_label }}"},
			{Field: "First_Name", Value: "{{ first_name }}"},
			{Field: "Company", Value: `{{ company_name | default: "Not provided" }}`},
			{Field: "Phone", Value: "{{ caller_number }}"},
			{Field: "Email", Value: "{{ email }}"},
			{Field: "Lead_Source", Value: "{{ direction | capitalize }} Call", AddToList: true},
			{Field: "Lead_Status", Value: "Not Contacted", AddToList: true},
			{Field: "Description", Value: "{{ call_summary }}"},
		},
		"Calls": {
			{Field: "Subject", Value: "{{ call_label }} - {{ call_summary | default: caller_label }}"},
			{Field: "Call_Type", Value: "{{ call_type }}"},
			{Field: "Call_Start_Time", Value: "{{ call_timestamp }}"},
			{Field: "Call_Duration", Value: "{{ call_duration }}"},
			{Field: "Outgoing_Call_Status", Value: "{{ outgoing_call_status }}"},
			{Field: "Call_Result", Value: "{{ call_result }}"},
			{Field: "Voice_Recording__s", Value: "{{ recording_url }}"},
			{Field: "Description", Value: "{{ call_summary }}\n\n{{ full_transcript }}"},
		},
		"Deals": {
			{Field: "Deal_Name", Value: `{{ company_name | default: caller_label }} - {{ product_interest | default: "Phone inquiry" }}`},
			{Field: "Stage", Value: "Qualification"},
			{Field: "Pipeline", Value: "{{ default_pipeline }}"},
			{Field: "Amount", Value: "{{ estimated_deal_value }}"},
			{Field: "Closing_Date", Value: "{{ estimated_close_date | or_in_days: 30 }}"},
			{Field: "Description", Value: "{{ call_label }} inquiry: {{ call_summary }}"},
		},
		"Contacts": {},
		"Tasks": {
			{Field: "Subject", Value: "{{ task_subject }} - {{ caller_label }}"},
			{Field: "Due_Date", Value: "{{ task_due }}"},
			{Field: "Status", Value: "Not Started", AddToList: true},
			{Field: "Description", Value: "{{ call_label }} from {{ caller_number }}: {{ call_summary }}"},
		},
		"Accounts": {},
	}}
}

// linked are the fields that an action fills itself, because they tie records together. Rows may not name them.
var linked = map[string]map[string]bool{
	"Calls":    {"Who_Id": true, "What_Id": true, "$se_module": true},
	"Deals":    {"Contact_Name": true, "Account_Name": true},
	"Tasks":    {"Who_Id": true, "What_Id": true, "$se_module": true},
	"Accounts": {"Account_Name": true},
	"Notes":    {"Parent_Id": true},
}

// filled reports whether an action, or Hookline for its reference, fills a field of a module itself.
func filled(module, name string) bool {
	return linked[module][name] || name == tagField || name == RefField
}

// reserved are fields of every record that are Zoho's own. A row may name one only where the organisation's list of fields
// lets it be written.
var reserved = map[string]bool{
	"id": true, "Owner": true, "Created_By": true, "Created_Time": true, "Modified_By": true, "Modified_Time": true, "Last_Activity_Time": true, "Layout": true,
}

// Linked lists the fields of a module that an action fills itself, with the words the page shows.
func Linked(module string) [][2]string {
	switch module {
	case "Calls":
		return [][2]string{{"Who_Id", "the Contact that called"}, {"What_Id", "the Lead or Deal that the rule names"}}
	case "Deals":
		return [][2]string{{"Contact_Name", "the Contact that called"}, {"Account_Name", "the Contact's Account"}}
	case "Tasks":
		return [][2]string{{"Who_Id", "the Contact that called"}, {"What_Id", "the Lead or Deal that the call is about"}}
	case "Accounts":
		return [][2]string{{"Account_Name", "the company that the caller named"}}
	}
	return nil
}

// defaultPipeline is the organisation's default pipeline, else its first; zero when there is none.
func defaultPipeline(ps []zoho.Pipeline) zoho.Pipeline {
	for _, p := range ps {
		if p.Default {
			return p
		}
	}
	if len(ps) > 0 {
		return ps[0]
	}
	return zoho.Pipeline{}
}

// Complete gives the modules that a set was written without, because there was nothing to map in them then, their
// default rows.
func (s *Set) Complete() {
	if s.Modules == nil {
		s.Modules = map[string][]Row{}
	}
	for module, rows := range DefaultSet().Modules {
		if _, there := s.Modules[module]; !there {
			s.Modules[module] = rows
		}
	}
}
