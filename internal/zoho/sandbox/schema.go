package sandbox

import (
	"maps"
	"slices"
	"strings"
)

// module is a kind of record. Names and rules follow Zoho's Modules and Records pages.
type module struct {
	API, Singular, Plural string
	NameField             string // what a lookup shows
	DuplicateCheck        string // the system's field for upsert; "" = none (Kaizen 56)
	Inner                 bool   // reached through other records only: no routes, metadata or tab of its own
	Activity              bool   // Calls, Tasks, Events: hang on others by Who_Id and What_Id
	fields                []field
}

// field is one field of a module as an organisation has it.
type field struct {
	API, Label string
	Type       string // Zoho's data_type
	Length     int    // characters, digits for numbers
	Lookup     string // module a lookup leads to; "*" = told by $se_module
	Picks      []string
	System     bool // the system demands a value
	Layout     bool // the standard layout demands a value
	ReadOnly   bool
	CreateOnly bool
	Custom     bool
	Unique     bool
	ID         string // of a field that somebody made; "" = made from its place

	CaseSensitive bool // of a unique field

	n int // place in the module, from which the field's id is made
}

// customField is a field that an administrator of the organisation made.
type customField struct {
	ID, API, Label, Type string
	Length               int
	Unique               bool
	CaseSensitive        bool `json:",omitempty"`
	Picks                []string
}

func (f field) mandatory() field  { f.System, f.Layout = true, true; return f }
func (f field) onLayout() field   { f.Layout = true; return f }
func (f field) readOnly() field   { f.ReadOnly = true; return f }
func (f field) createOnly() field { f.CreateOnly = true; return f }

func text(api, label string, length int) field {
	return field{API: api, Label: label, Type: "text", Length: length}
}
func phone(api, label string) field { return field{API: api, Label: label, Type: "phone", Length: 30} }
func email(api, label string) field { return field{API: api, Label: label, Type: "email", Length: 100} }
func website(api, label string) field {
	return field{API: api, Label: label, Type: "website", Length: 450}
}
func area(api, label string) field {
	return field{API: api, Label: label, Type: "textarea", Length: 32000}
}
func typed(api, label, dataType string) field {
	length := map[string]int{"integer": 9, "bigint": 18, "double": 16, "currency": 16, "percent": 5, "date": 20, "datetime": 120}[dataType]
	return field{API: api, Label: label, Type: dataType, Length: length}
}
func pick(api, label string, values ...string) field {
	return field{API: api, Label: label, Type: "picklist", Length: 120, Picks: values}
}
func lookupTo(api, label, module string) field {
	return field{API: api, Label: label, Type: "lookup", Length: 120, Lookup: module}
}

var (
	leadSources = []string{"Advertisement", "Cold Call", "Employee Referral", "External Referral", "Online Store", "Partner", "Public Relations",
		"Sales Email Alias", "Seminar Partner", "Internal Seminar", "Trade Show", "Web Download", "Web Research", "Chat"}
	leadStatuses = []string{"Attempted to Contact", "Contact in Future", "Contacted", "Junk Lead", "Lost Lead", "Not Contacted", "Pre-Qualified", "Not Qualified"}
	industries   = []string{"ASP (Application Service Provider)", "Data/Telecom OEM", "ERP (Enterprise Resource Planning)", "Government/Military", "Large Enterprise",
		"ManagementISV", "MSP (Management Service Provider)", "Network Equipment Enterprise", "Non-management ISV", "Optical Networking", "Service Provider",
		"Small/Medium Enterprise", "Storage Equipment", "Storage Service Provider", "Systems Integrator", "Wireless Industry"}
	ratings     = []string{"Acquired", "Active", "Market Failed", "Project Cancelled", "Shut Down"}
	salutations = []string{"Mr.", "Mrs.", "Ms.", "Dr.", "Prof."}
)

const standardPipeline = "Standard (Standard)"

// stage is a value of Deals.Stage in the standard pipeline.
type stage struct {
	Name        string
	Probability int
	Forecast    string // Open, Closed Won, Closed Lost
	Category    string
}

var stages = []stage{
	{"Qualification", 10, "Open", "Pipeline"},
	{"Needs Analysis", 20, "Open", "Pipeline"},
	{"Value Proposition", 40, "Open", "Pipeline"},
	{"Identify Decision Makers", 60, "Open", "Pipeline"},
	{"Proposal/Price Quote", 75, "Open", "Pipeline"},
	{"Negotiation/Review", 90, "Open", "Pipeline"},
	{"Closed Won", 100, "Closed Won", "Closed"},
	{"Closed Lost", 0, "Closed Lost", "Omitted"},
	{"Closed Lost to Competition", 0, "Closed Lost", "Omitted"},
}

func stageNames() []string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = s.Name
	}
	return names
}

func person(layout ...field) []field {
	return append([]field{
		pick("Salutation", "Salutation", salutations...),
		text("First_Name", "First Name", 40),
		text("Last_Name", "Last Name", 80).mandatory(),
		text("Full_Name", "Full Name", 80).readOnly(),
	}, layout...)
}

func address(prefix, label string) []field {
	var out []field
	for _, part := range []struct {
		api string
		n   int
	}{{"Street", 250}, {"City", 100}, {"State", 100}, {"Code", 30}, {"Country", 100}} {
		out = append(out, text(prefix+part.api, label+part.api, part.n))
	}
	return out
}

// system fields, which each module has.
func system() []field {
	return []field{
		{API: "Owner", Label: "Owner", Type: "ownerlookup", Length: 120},
		{API: "Created_By", Label: "Created By", Type: "ownerlookup", Length: 120, ReadOnly: true},
		{API: "Modified_By", Label: "Modified By", Type: "ownerlookup", Length: 120, ReadOnly: true},
		typed("Created_Time", "Created Time", "datetime").readOnly(),
		typed("Modified_Time", "Modified Time", "datetime").readOnly(),
		{API: "Tag", Label: "Tag", Type: "text", Length: 2000},
	}
}

func join(parts ...[]field) []field {
	out := slices.Concat(parts...)
	for i := range out {
		out[i].n = i
	}
	return out
}

var modules = []module{
	{API: "Leads", Singular: "Lead", Plural: "Leads", NameField: "Full_Name", DuplicateCheck: "Email", fields: join(person(
		text("Company", "Company", 200).onLayout(),
		text("Designation", "Title", 100),
		email("Email", "Email"), phone("Phone", "Phone"), phone("Mobile", "Mobile"), phone("Fax", "Fax"), website("Website", "Website"),
		pick("Lead_Source", "Lead Source", leadSources...), pick("Lead_Status", "Lead Status", leadStatuses...),
		pick("Industry", "Industry", industries...), typed("No_of_Employees", "No. of Employees", "integer"),
		typed("Annual_Revenue", "Annual Revenue", "currency"), pick("Rating", "Rating", ratings...),
		typed("Email_Opt_Out", "Email Opt Out", "boolean"), text("Skype_ID", "Skype ID", 50), email("Secondary_Email", "Secondary Email"), text("Twitter", "Twitter", 50),
		text("Street", "Street", 250), text("City", "City", 100), text("State", "State", 100), text("Zip_Code", "Zip Code", 30), text("Country", "Country", 100),
		area("Description", "Description"),
	), []field{
		typed("Last_Activity_Time", "Last Activity Time", "datetime").readOnly(),
		typed("Converted__s", "Is Converted", "boolean").readOnly(), typed("Converted_Date_Time", "Converted Time", "datetime").readOnly(),
		lookupTo("Converted_Account", "Converted Account", "Accounts").readOnly(), lookupTo("Converted_Contact", "Converted Contact", "Contacts").readOnly(),
		lookupTo("Converted_Deal", "Converted Deal", "Deals").readOnly(),
	}, system())},
	{API: "Contacts", Singular: "Contact", Plural: "Contacts", NameField: "Full_Name", DuplicateCheck: "Email", fields: join(person(
		lookupTo("Account_Name", "Account Name", "Accounts"),
		email("Email", "Email"), email("Secondary_Email", "Secondary Email"),
		phone("Phone", "Phone"), phone("Mobile", "Mobile"), phone("Home_Phone", "Home Phone"), phone("Other_Phone", "Other Phone"), phone("Asst_Phone", "Asst Phone"), phone("Fax", "Fax"),
		text("Title", "Title", 100), text("Department", "Department", 50), text("Assistant", "Assistant", 50),
		pick("Lead_Source", "Lead Source", leadSources...), typed("Date_of_Birth", "Date of Birth", "date"), lookupTo("Reporting_To", "Reporting To", "Contacts"),
		typed("Email_Opt_Out", "Email Opt Out", "boolean"), text("Skype_ID", "Skype ID", 50), text("Twitter", "Twitter", 50),
		area("Description", "Description"),
	), address("Mailing_", "Mailing "), address("Other_", "Other "), []field{typed("Last_Activity_Time", "Last Activity Time", "datetime").readOnly()}, system())},
	{API: "Accounts", Singular: "Account", Plural: "Accounts", NameField: "Account_Name", DuplicateCheck: "Account_Name", fields: join([]field{
		text("Account_Name", "Account Name", 200).mandatory(),
		phone("Phone", "Phone"), phone("Fax", "Fax"), website("Website", "Website"), text("Account_Number", "Account Number", 40), text("Account_Site", "Account Site", 80),
		pick("Account_Type", "Account Type", "Analyst", "Competitor", "Customer", "Distributor", "Integrator", "Investor", "Other", "Partner", "Press", "Prospect", "Reseller", "Supplier", "Vendor"),
		pick("Industry", "Industry", industries...), typed("Annual_Revenue", "Annual Revenue", "currency"), typed("Employees", "Employees", "integer"),
		pick("Ownership", "Ownership", "Other", "Private", "Public", "Subsidiary"), pick("Rating", "Rating", ratings...),
		lookupTo("Parent_Account", "Parent Account", "Accounts"), area("Description", "Description"),
	}, address("Billing_", "Billing "), address("Shipping_", "Shipping "), []field{typed("Last_Activity_Time", "Last Activity Time", "datetime").readOnly()}, system())},
	{API: "Deals", Singular: "Deal", Plural: "Deals", NameField: "Deal_Name", DuplicateCheck: "Deal_Name", fields: join([]field{
		text("Deal_Name", "Deal Name", 120).mandatory(),
		typed("Amount", "Amount", "currency"), typed("Closing_Date", "Closing Date", "date").mandatory(),
		pick("Pipeline", "Pipeline", standardPipeline).mandatory(), pick("Stage", "Stage", stageNames()...).mandatory(),
		pick("Type", "Type", "Existing Business", "New Business"), pick("Lead_Source", "Lead Source", leadSources...),
		typed("Probability", "Probability (%)", "integer"), typed("Expected_Revenue", "Expected Revenue", "currency").readOnly(), text("Next_Step", "Next Step", 100),
		lookupTo("Contact_Name", "Contact Name", "Contacts"), lookupTo("Account_Name", "Account Name", "Accounts"), area("Description", "Description"),
		typed("Last_Activity_Time", "Last Activity Time", "datetime").readOnly(),
	}, system())},
	{API: "Calls", Singular: "Call", Plural: "Calls", NameField: "Subject", Activity: true, fields: join([]field{
		text("Subject", "Subject", 255),
		pick("Call_Type", "Call Type", "Inbound", "Outbound", "Missed").mandatory().createOnly(),
		typed("Call_Start_Time", "Call Start Time", "datetime").mandatory(),
		text("Call_Duration", "Call Duration", 100), typed("Call_Duration_in_seconds", "Call Duration (in seconds)", "integer"),
		pick("Outgoing_Call_Status", "Outgoing Call Status", "Scheduled", "Completed", "Overdue", "Cancelled"),
		lookupTo("Who_Id", "Contact Name", "Contacts"), lookupTo("What_Id", "Related To", "*"),
		area("Description", "Description"),
		pick("Call_Purpose", "Call Purpose", "Prospecting", "Administrative", "Negotiation", "Demo", "Project", "Support"),
		pick("Call_Result", "Call Result", "Interested", "Not interested", "No response/busy", "Requested more info", "Requested call back", "Invalid number"),
		text("Call_Agenda", "Call Agenda", 255), text("Caller_ID", "Caller ID", 255), text("Dialled_Number", "Dialled Number", 255),
		website("Voice_Recording__s", "Voice Recording"),
		pick("Reminder", "Reminder", "None", "5 mins", "10 mins", "15 mins", "30 mins", "1 hr", "2 hrs", "1 day", "2 days"),
		typed("CTI_Entry", "CTI Entry", "boolean").readOnly(), text("Scheduled_In_CRM", "Scheduled In CRM", 50).readOnly(),
	}, system())},
	{API: "Tasks", Singular: "Task", Plural: "Tasks", NameField: "Subject", Activity: true, fields: join([]field{
		text("Subject", "Subject", 255).mandatory(),
		typed("Due_Date", "Due Date", "date"), lookupTo("Who_Id", "Contact Name", "Contacts"), lookupTo("What_Id", "Related To", "*"),
		pick("Status", "Status", "Not Started", "Deferred", "In Progress", "Completed", "Waiting for input"),
		pick("Priority", "Priority", "High", "Highest", "Low", "Lowest", "Normal"),
		typed("Send_Notification_Email", "Send Notification Email", "boolean"), {API: "Remind_At", Label: "Remind At", Type: "ALARM"}, {API: "Recurring_Activity", Label: "Repeat", Type: "RRULE"},
		typed("Closed_Time", "Closed Time", "datetime").readOnly(), area("Description", "Description"),
	}, system())},
	{API: "Events", Singular: "Meeting", Plural: "Meetings", NameField: "Event_Title", Activity: true, fields: join([]field{
		text("Event_Title", "Title", 255).mandatory(),
		pick("Meeting_Venue__s", "Meeting Venue", "Client location", "In-office", "Online").mandatory(), text("Venue", "Location", 255),
		typed("All_day", "All day", "boolean"), typed("Start_DateTime", "From", "datetime").mandatory(), typed("End_DateTime", "To", "datetime").mandatory(),
		{API: "Participants", Label: "Participants", Type: "bigint"}, lookupTo("Who_Id", "Contact Name", "Contacts"), lookupTo("What_Id", "Related To", "*"),
		{API: "Remind_At", Label: "Participants Reminder", Type: "multireminder"}, {API: "Recurring_Activity", Label: "Repeat", Type: "RRULE"}, area("Description", "Description"),
	}, system())},
	{API: "Notes", Singular: "Note", Plural: "Notes", NameField: "Note_Title", fields: join([]field{
		text("Note_Title", "Note Title", 120),
		{API: "Note_Content", Label: "Note Content", Type: "textarea", Length: 65535},
		{API: "Parent_Id", Label: "Parent ID", Type: "lookup", Length: 120, Lookup: "*"},
	}, system())},
	{API: "Attachments", Singular: "Attachment", Plural: "Attachments", NameField: "File_Name", Inner: true, fields: join([]field{
		text("File_Name", "File Name", 250).readOnly(), typed("Size", "Size", "bigint").readOnly(),
		{API: "Parent_Id", Label: "Parent ID", Type: "lookup", Length: 120, Lookup: "*", ReadOnly: true},
	}, system())},
}

// moduleByName finds a module whatever the case: public clients send lower-case names and the real API takes them (obs).
func moduleByName(name string) *module {
	for i := range modules {
		if modules[i].API == name || strings.EqualFold(modules[i].API, name) {
			return &modules[i]
		}
	}
	return nil
}

// schema is a module as one organisation has it: the standard fields, its own, and what its settings change.
type schema struct {
	module *module
	fields []field
	byAPI  map[string]int
	unique []string
}

func (sc *schema) field(api string) *field {
	if i, ok := sc.byAPI[api]; ok {
		return &sc.fields[i]
	}
	return nil
}

// schema is a module's fields as they stand.
func (o *org) schema(name string) *schema { return o.schemas[name] }

// rebuild works the schemas of the named modules out again, after metadata has changed; none named is all.
func (o *org) rebuild(names ...string) {
	if len(names) == 0 {
		for _, m := range modules {
			names = append(names, m.API)
		}
	}
	for _, name := range names {
		o.schemas[name] = o.buildSchema(name)
	}
}

func (o *org) buildSchema(name string) *schema {
	m := moduleByName(name)
	sc := &schema{module: m, fields: slices.Clone(m.fields), byAPI: map[string]int{}}
	add := func(f field) {
		f.n = len(sc.fields)
		sc.byAPI[f.API] = f.n
		sc.fields = append(sc.fields, f)
	}
	for i, f := range sc.fields {
		sc.byAPI[f.API] = i
	}
	for _, c := range o.Custom[name] {
		add(field{ID: c.ID, API: c.API, Label: c.Label, Type: c.Type, Length: c.Length, Unique: c.Unique, CaseSensitive: c.CaseSensitive, Picks: c.Picks, Custom: true})
	}
	// A setting may name a field that nobody made: it exists from then on, a single line.
	named := func(api string) *field {
		if _, ok := sc.byAPI[api]; !ok {
			f := text(api, strings.ReplaceAll(api, "_", " "), 255)
			f.Custom = true
			add(f)
		}
		return sc.field(api)
	}
	for _, api := range o.Settings.Required[name] {
		f := named(api)
		f.System, f.Layout = true, true
	}
	for _, api := range o.Settings.Unique[name] {
		named(api).Unique = true
	}
	for api, values := range o.Settings.Picklists[name] {
		if f := sc.field(api); f != nil {
			f.Picks = values
		}
	}
	for api, values := range o.PickExtras[name] {
		if f := sc.field(api); f != nil {
			f.Picks = append(slices.Clone(f.Picks), values...)
		}
	}
	if gone := o.Settings.Hidden[name]; len(gone) > 0 {
		sc.fields = slices.DeleteFunc(sc.fields, func(f field) bool { return slices.Contains(gone, f.API) })
		clear(sc.byAPI)
		for i, f := range sc.fields {
			sc.byAPI[f.API] = i
		}
	}
	for _, f := range sc.fields {
		if f.Unique {
			sc.unique = append(sc.unique, f.API)
		}
	}
	return sc
}

// stages are the values of Deals.Stage. A setting renames them in place: what is not known takes the nature of the stage that
// stood there, and past the end that of an open one.
func (o *org) stages() []stage {
	names := o.Settings.Picklists["Deals"]["Stage"]
	if names == nil {
		return stages
	}
	out := make([]stage, len(names))
	for i, name := range names {
		out[i] = stages[min(i, 5)]
		if i < len(stages) && len(names) == len(stages) {
			out[i] = stages[i]
		}
		if n := slices.IndexFunc(stages, func(s stage) bool { return s.Name == name }); n >= 0 {
			out[i] = stages[n]
		}
		out[i].Name = name
	}
	return out
}

// addPick adds a value to a picklist, as Zoho does when the API writes one that it does not know (Kaizen 38).
func (o *org) addPick(module, api, value string) {
	if o.PickExtras[module] == nil {
		o.PickExtras[module] = map[string][]string{}
	}
	extras := maps.Clone(o.PickExtras[module])
	extras[api] = append(slices.Clone(extras[api]), value)
	o.PickExtras[module] = extras
	o.rebuild(module)
}
