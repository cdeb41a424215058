package mapping

import (
	"slices"
	"strings"

	"hookline/internal/zoho"
)

// Standard are the fields that every organisation starts with, so that mappings can be edited before Zoho is
// connected. A connected organisation's own metadata takes their place.
func Standard() Metadata {
	md := Metadata{}
	for module, fields := range standardFields {
		md[module] = zoho.Metadata{Module: module, Fields: slices.Clone(fields)}
	}
	return md
}

// of is the module's metadata, the standard fields where the organisation's own are not known.
func (m Metadata) of(module string) zoho.Metadata {
	if md, ok := m[module]; ok && len(md.Fields) > 0 {
		return md
	}
	return zoho.Metadata{Module: module, Fields: standardFields[module]}
}

// Fields are the module's fields.
func (m Metadata) Fields(module string) []zoho.Field { return m.of(module).Fields }

// Writable are the module's fields that a row can name, required ones first.
func (m Metadata) Writable(module string) []zoho.Field {
	var out []zoho.Field
	for _, f := range m.of(module).Fields {
		if f.Usable() && notOffered(module, f) == "" && f.APIName != RefField {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b zoho.Field) int {
		if a.Mandatory != b.Mandatory {
			if a.Mandatory {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Label, b.Label)
	})
	return out
}

// unwritable are kinds of field that no template can fill.
var unwritable = map[string]bool{
	"autonumber": true, "formula": true, "rollup_summary": true, "fileupload": true, "imageupload": true, "profileimage": true, "subform": true,
	"multiselectlookup": true, "multiuserlookup": true, "consent_lookup": true, "event_reminder": true, "ALARM": true, "RRULE": true,
}

// Known reports whether the organisation's own metadata of the module is there.
func (m Metadata) Known(module string) bool { return len(m[module].Fields) > 0 }

func field(name, label, kind string, length int, picks ...string) zoho.Field {
	f := zoho.Field{APIName: name, Label: label, Type: kind, Length: length, Visible: true, CanCreate: true, CanUpdate: true}
	for _, p := range picks {
		f.Picklist = append(f.Picklist, zoho.Pick{Value: p, Label: p})
	}
	return f
}

func mandatory(f zoho.Field) zoho.Field {
	f.Mandatory = true
	return f
}

var standardFields = map[string][]zoho.Field{
	"Leads": {
		mandatory(field("Last_Name", "Last Name", "text", 80)),
		field("First_Name", "First Name", "text", 40),
		field("Company", "Company", "text", 200),
		field("Phone", "Phone", "phone", 30),
		field("Mobile", "Mobile", "phone", 30),
		field("Email", "Email", "email", 100),
		field("Lead_Source", "Lead Source", "picklist", 120, "Advertisement", "Cold Call", "Employee Referral", "External Referral", "Online Store",
			"Partner", "Public Relations", "Sales Email Alias", "Seminar Partner", "Trade Show", "Web Download", "Chat"),
		field("Lead_Status", "Lead Status", "picklist", 120, "Attempted to Contact", "Contact in Future", "Contacted", "Junk Lead", "Lost Lead",
			"Not Contacted", "Pre-Qualified", "Not Qualified"),
		field("Industry", "Industry", "picklist", 120),
		field("Title", "Title", "text", 100),
		field("Website", "Website", "website", 255),
		field("Rating", "Rating", "picklist", 120, "Acquired", "Active", "Market Failed", "Project Cancelled", "Shut Down"),
		field("Street", "Street", "text", 250),
		field("City", "City", "text", 100),
		field("State", "State", "text", 100),
		field("Zip_Code", "Zip Code", "text", 30),
		field("Country", "Country", "text", 100),
		field("Owner", "Lead Owner", "ownerlookup", 0),
		field("Description", "Description", "textarea", 32000),
	},
	"Calls": {
		field("Subject", "Subject", "text", 255),
		mandatory(field("Call_Type", "Call Type", "picklist", 120, "Outbound", "Inbound", "Missed")),
		mandatory(field("Call_Start_Time", "Call Start Time", "datetime", 0)),
		field("Call_Duration", "Call Duration", "text", 20),
		field("Outgoing_Call_Status", "Outgoing Call Status", "picklist", 120, "Scheduled", "Completed", "Overdue", "Cancelled"),
		field("Call_Purpose", "Call Purpose", "picklist", 120, "Prospecting", "Administrative", "Negotiation", "Demo", "Project", "Desk"),
		field("Call_Result", "Call Result", "picklist", 120, "Interested", "Not interested", "No response/busy", "Requested more info",
			"Requested call back", "Invalid number"),
		field("Call_Agenda", "Call Agenda", "text", 255),
		field("Voice_Recording__s", "Voice Recording", "website", 450),
		field("Owner", "Call Owner", "ownerlookup", 0),
		field("Description", "Description", "textarea", 32000),
	},
	"Deals": {
		mandatory(field("Deal_Name", "Deal Name", "text", 120)),
		mandatory(field("Closing_Date", "Closing Date", "date", 0)),
		mandatory(field("Stage", "Stage", "picklist", 120, "Qualification", "Needs Analysis", "Value Proposition", "Identify Decision Makers",
			"Proposal/Price Quote", "Negotiation/Review", "Closed Won", "Closed Lost", "Closed Lost to Competition")),
		field("Pipeline", "Pipeline", "picklist", 120),
		field("Amount", "Amount", "currency", 16),
		field("Lead_Source", "Lead Source", "picklist", 120),
		field("Type", "Type", "picklist", 120, "Existing Business", "New Business"),
		field("Next_Step", "Next Step", "text", 100),
		field("Probability", "Probability (%)", "integer", 3),
		field("Owner", "Deal Owner", "ownerlookup", 0),
		field("Description", "Description", "textarea", 32000),
	},
	"Contacts": {
		mandatory(field("Last_Name", "Last Name", "text", 80)),
		field("First_Name", "First Name", "text", 40),
		field("Email", "Email", "email", 100),
		field("Phone", "Phone", "phone", 30),
		field("Mobile", "Mobile", "phone", 30),
		field("Title", "Title", "text", 100),
		field("Department", "Department", "text", 50),
		field("Description", "Description", "textarea", 32000),
	},
	"Tasks": {
		mandatory(field("Subject", "Subject", "text", 255)),
		field("Due_Date", "Due Date", "date", 0),
		field("Status", "Status", "picklist", 120, "Not Started", "Deferred", "In Progress", "Completed", "Waiting for input"),
		field("Priority", "Priority", "picklist", 120, "High", "Highest", "Low", "Lowest", "Normal"),
		field("Owner", "Task Owner", "ownerlookup", 0),
		field("Description", "Description", "textarea", 32000),
	},
	"Accounts": {
		mandatory(field("Account_Name", "Account Name", "text", 200)),
		field("Phone", "Phone", "phone", 30),
		field("Website", "Website", "website", 255),
		field("Industry", "Industry", "picklist", 120),
		field("Owner", "Account Owner", "ownerlookup", 0),
		field("Description", "Description", "textarea", 32000),
	},
	"Notes": {
		field("Note_Title", "Note Title", "text", 120),
		field("Note_Content", "Note Content", "textarea", 65535),
	},
}
