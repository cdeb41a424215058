package mapping_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// everyFate is a mapping in which every kind of fate occurs.
func everyFate() mapping.Set {
	set := mapping.DefaultSet()
	set.Modules["Leads"] = append(set.Modules["Leads"],
		mapping.Row{Field: "Industry", Value: `{{ answers.trade | map: "chips", "data/telecom oem" }}`},
		mapping.Row{Field: "Rating", Value: "{{ answers.mood }}"},
		mapping.Row{Field: "Annual_Revenue", Value: "{{ answers.budget }}"},
		mapping.Row{Field: "No_of_Employees", Value: "{{ answers.seats }}"},
		mapping.Row{Field: "Email_Opt_Out", Value: "{{ answers.no_mail }}"},
		mapping.Row{Field: "Website", Value: "{{ answers.site }}"},
		mapping.Row{Field: "Full_Name", Value: "{{ caller_name }}"},
		mapping.Row{Field: "Nonsense", Value: "x"})
	set.Modules["Contacts"] = []mapping.Row{
		{Field: "Title", Value: "Buyer"}, {Field: "Department", Value: "Sales", Mode: mapping.Always}, {Field: "Description", Value: "Called: {{ call_summary }}", Mode: mapping.Append},
		{Field: "Mobile", Value: "{{ caller_number }}"}, {Field: "Fax", Value: "{{ caller_number }}", Mode: mapping.Never},
	}
	set.Modules["Accounts"] = []mapping.Row{{Field: "Phone", Value: "{{ caller_number }}"}}
	return set
}

func buyer(contact, account string) routing.Facts {
	at := time.Date(2026, 3, 2, 17, 4, 5, 0, time.FixedZone("", -8*3600))
	return routing.Facts{
		Call: call.Call{Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: at, Duration: 245 * time.Second,
			FirstName: strings.Repeat("Sa", 40), LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example", Summary: "Wants pricing for 50 seats.",
			Transcript: []call.Turn{{Role: call.Caller, Text: strings.Repeat("A price, please. ", 2500)}},
			Answers:    map[string]any{"budget": "$50K", "seats": "about 50", "trade": "Chips", "mood": "happy", "no_mail": "yes", "timeline": "2026-04-15"}},
		Match: identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: contact, Name: "Sarah Johnson", AccountID: account, AccountName: "ABC Corp"}},
		Open:  true, LocalTime: at, DecidedAt: at, Country: "US",
	}
}

// alike compares a value that was sent with what the sandbox holds.
func alike(sent, held any) bool {
	switch s := sent.(type) {
	case map[string]any:
		h, _ := held.(map[string]any)
		return h != nil && fmt.Sprint(s["id"]) == fmt.Sprint(h["id"])
	case []any:
		h, _ := held.([]any)
		if len(s) != len(h) {
			return false
		}
		for i := range s {
			m, isMap := s[i].(map[string]any)
			n, _ := h[i].(map[string]any)
			if isMap && m["name"] != n["name"] || !isMap && s[i] != h[i] {
				return false
			}
		}
		return true
	case int64, float64:
		n, ok := held.(json.Number)
		f, err := n.Float64()
		return ok && err == nil && math.Abs(f-asFloat(s)) < 1e-9
	case string:
		h, ok := held.(string)
		a, errA := time.Parse(time.RFC3339, s)
		b, errB := time.Parse(time.RFC3339, h)
		return ok && (s == h || errA == nil && errB == nil && a.Equal(b))
	}
	return sent == held
}

func asFloat(v any) float64 {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v.(float64)
}

// TestTheRecordInZohoIsWhatThePreviewShowed writes what is previewed, of every module, and reads it again: each field
// that was shown as sent holds the value that was shown, and each that was shown as not sent is empty or as it was.
func TestTheRecordInZohoIsWhatThePreviewShowed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	api, control, org, md := inZoho(t)
	account := control.Put(org, "Accounts", map[string]any{"Account_Name": "ABC Corp"})[0]
	before := map[string]any{"Last_Name": "Johnson", "Phone": "+14155550123", "Title": "Chef", "Department": "Kitchen", "Description": "Met at the fair"}
	contact := control.Put(org, "Contacts", before)[0]
	f := buyer(contact, account)
	stands, _, err := api.Get(ctx, "Contacts", contact, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Match.Contact.Fields = stands
	users, err := api.Users(ctx)
	if err != nil {
		t.Fatal(err)
	}
	owner := users[0].ID
	who := &routing.Target{Module: "Contacts", ID: contact}
	d := routing.Decision{Actions: []routing.Action{
		{Slot: "lead", Kind: routing.CreateLead, Owner: owner, Tags: []string{"phone"},
			With: []routing.Value{{Field: "City", Value: "Austin"}, {Field: "Company", Value: "{{ company_name }} (by phone)"}, {Field: "Lead_Status", Value: ""}}},
		{Slot: "account", Kind: routing.FindAccount, Company: "New Corp"},
		{Slot: "deal", Kind: routing.CreateDeal, Contact: who, Account: &routing.Target{Module: "Accounts", Slot: "account"}},
		{Slot: "call", Kind: routing.LogCall, Contact: who, About: &routing.Target{Module: "Deals", Slot: "deal"}},
		{Slot: "task", Kind: routing.AddTask, Contact: who, About: &routing.Target{Module: "Deals", Slot: "deal"}, Subject: "Ring back", Due: "2026-03-04"},
	}}
	set := everyFate()
	ids, met, modules := map[string]string{}, map[mapping.Fate]bool{}, map[string]bool{}
	for _, p := range mapping.Previews(set, d, f, md) {
		if len(p.Problems) > 0 {
			t.Fatalf("%s: %+v", p.Draft.Module, p.Problems)
		}
		rec, err := p.Draft.Record(ids, "4k7q2m")
		if err != nil {
			t.Fatal(err)
		}
		id, was := p.Draft.RecordID, zoho.Record{}
		if p.Draft.Action == mapping.Update {
			was = stands
			_, err = api.Update(ctx, p.Draft.Module, id, rec, zoho.WriteOptions{})
		} else {
			var results []zoho.Result
			if results, err = api.Create(ctx, p.Draft.Module, []zoho.Record{rec}, zoho.WriteOptions{}); err == nil {
				id, err = results[0].ID, error(nil)
				if results[0].Err != nil {
					err = results[0].Err
				}
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", p.Draft.Module, err)
		}
		ids[p.Draft.Slot], modules[p.Draft.Module] = id, true
		held, _, err := api.Get(ctx, p.Draft.Module, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range p.Fields {
			for _, told := range field.Fates {
				met[told.Fate] = true
				if told.Sentence == "" {
					t.Errorf("%s.%s: %s without a word", p.Draft.Module, field.Field, told.Fate)
				}
			}
			got := held[field.Field]
			switch {
			case field.Sent && field.Value == nil: // an id, or the reference, that was not known before
				if got == nil {
					t.Errorf("%s.%s was to be set by Hookline", p.Draft.Module, field.Field)
				}
			case field.Field == p.Draft.Marker.Append:
				text, _ := got.(string)
				text, _, marked := strings.Cut(text, "[Hookline 4k7q2m]")
				if !marked || strings.TrimSpace(text) != field.Value {
					t.Errorf("%s.%s is %.80q, shown %.80q", p.Draft.Module, field.Field, got, field.Value)
				}
			case field.Sent:
				if !alike(field.Value, got) {
					t.Errorf("%s.%s is %#v, shown %#v", p.Draft.Module, field.Field, got, field.Value)
				}
			case got != nil && !alike(was[field.Field], got) && field.Field != "Full_Name":
				t.Errorf("%s.%s is %#v, shown as not sent: %+v", p.Draft.Module, field.Field, got, field.Fates)
			}
			if field.Value != nil && !strings.Contains(p.JSON(), `"`+field.Field+`": `) {
				t.Errorf("%s.%s is not in the JSON", p.Draft.Module, field.Field)
			}
		}
		if !json.Valid([]byte(p.JSON())) {
			t.Errorf("%s", p.JSON())
		}
	}
	for _, module := range append([]string{"Notes"}, mapping.Modules...) {
		if !modules[module] {
			t.Errorf("no record of %s was looked at", module)
		}
	}
	for _, fate := range []mapping.Fate{mapping.Sent, mapping.Cut, mapping.Respelled, mapping.NewInList, mapping.Joined, mapping.Empty, mapping.Kept, mapping.Refused, mapping.ReadOnly,
		mapping.Unknown, mapping.ByRule, mapping.ByHookline} {
		if !met[fate] {
			t.Errorf("nothing was %s", fate)
		}
	}
}

func TestThePreviewSaysWhatBecameOfEachValue(t *testing.T) {
	t.Parallel()
	_, _, _, md := inZoho(t)
	f := buyer("5725767000000100001", "5725767000000200001")
	f.Match.Contact.Fields = map[string]any{"Title": "Chef", "Department": "Kitchen", "Mobile": "+14155550123"}
	set := everyFate()
	d := routing.Decision{Actions: []routing.Action{{Slot: "lead", Kind: routing.CreateLead, Owner: "5725767000000300001",
		With: []routing.Value{{Field: "City", Value: strings.Repeat("Austin ", 40)}, {Field: "Lead_Status", Value: ""}}}}}
	fields := func(module string) map[string]mapping.PreviewField {
		out := map[string]mapping.PreviewField{}
		for _, field := range mapping.PreviewOf(set, module, d, f, md).Fields {
			out[field.Field] = field
		}
		return out
	}
	for _, c := range []struct {
		module, field string
		fate          mapping.Fate
		sentence      string
	}{
		{"Leads", "First_Name", mapping.Cut, "from 80 to 40 characters"},
		{"Leads", "Industry", mapping.Respelled, "“data/telecom oem” is sent as “Data/Telecom OEM”"},
		{"Leads", "Rating", mapping.Refused, "“happy” is not in your list"},
		{"Leads", "Lead_Source", mapping.NewInList, "Zoho adds it"},
		{"Leads", "Website", mapping.Empty, "answers.site"},
		{"Leads", "Full_Name", mapping.ReadOnly, "nobody"},
		{"Leads", "Nonsense", mapping.Unknown, "no such field"},
		{"Leads", "Owner", mapping.ByRule, "rule"},
		{"Leads", "City", mapping.ByRule, "instead of the mapping"},
		{"Leads", "City", mapping.Cut, "to 100 characters"},
		{"Leads", "Lead_Status", mapping.Empty, "nothing is sent"},
		{"Calls", "Description", mapping.Cut, "goes on in a Note"},
		{"Calls", "Outgoing_Call_Status", mapping.Empty, "Completed for a call that you made"},
		{"Calls", "Who_Id", mapping.ByHookline, "Hookline sets it"},
		{"Contacts", "Title", mapping.Kept, "holds “Chef”"},
		{"Contacts", "Department", mapping.Sent, "over “Kitchen”"},
		{"Contacts", "Mobile", mapping.Kept, "already"},
		{"Contacts", "Fax", mapping.Kept, "new records only"},
		{"Contacts", "Description", mapping.Joined, "one more line"},
	} {
		field := fields(c.module)[c.field]
		said := ""
		for _, told := range field.Fates {
			if told.Fate == c.fate {
				said = told.Sentence
			}
		}
		if !strings.Contains(said, c.sentence) || said == "" {
			t.Errorf("%s.%s: %+v", c.module, c.field, field)
		}
	}
	if rating := fields("Leads")["Rating"]; len(rating.Allowed) < 5 || rating.Sent || rating.Shown != "happy" {
		t.Errorf("what was refused: %+v", rating)
	}
	if budget := fields("Leads")["Annual_Revenue"]; budget.Value != 50000.0 || budget.Shown != "50,000" {
		t.Errorf("%+v", budget)
	}
	if start := fields("Calls")["Call_Start_Time"]; start.Shown != "Monday, 2 March 2026, 17:04:05" {
		t.Errorf("%+v", start)
	}
	steps := mapping.Previews(set, routing.Decision{Actions: []routing.Action{{Slot: routing.SlotLeadStep, Kind: routing.BlueprintStep, Transition: "Contacted",
		About: &routing.Target{Module: "Leads", ID: "5725767000000400001"}}}}, routing.Facts{}, md)
	if len(steps) != 1 || len(steps[0].Fields) != 1 || steps[0].Fields[0].Shown != "Contacted" || !steps[0].Fields[0].Is(mapping.ByRule) || steps[0].Draft.RecordID != "5725767000000400001" {
		t.Errorf("a Blueprint step: %+v", steps)
	}
	set.Modules["Leads"] = set.Modules["Leads"][1:]
	if name := fields("Leads")["Last_Name"]; !name.Is(mapping.Missing) || !name.Blocks {
		t.Errorf("a required field without a row: %+v", name)
	}
}

func TestTheFormFollowsTheLayoutOfTheOrganisation(t *testing.T) {
	t.Parallel()
	api, _, _, _ := inZoho(t)
	if err := api.CreateUniqueText(t.Context(), "Deals", "House Number", 20); err != nil {
		t.Fatal(err)
	}
	md := metadataOf(t, api)
	for _, module := range mapping.Modules {
		sections := md.Form(module)
		if len(sections) == 0 || sections[0].Name == "" {
			t.Errorf("%s: %+v", module, sections)
			continue
		}
		for _, s := range sections {
			for _, f := range s.Fields {
				if f.ReadOnly && f.Offered || f.Offered == (f.Why != "") {
					t.Errorf("%s: %+v", module, f)
				}
			}
		}
	}
	found := map[string]mapping.FormField{}
	var order []string
	for _, f := range md.Form("Deals")[0].Fields {
		found[f.APIName] = f
		order = append(order, f.APIName)
	}
	if !found["House_Number"].Custom || !found["House_Number"].Offered || !found["Deal_Name"].Mandatory || len(found["Stage"].Picklist) == 0 {
		t.Errorf("%+v", order)
	}
	if c := found["Contact_Name"]; c.Offered || !strings.Contains(c.Why, "the Contact that called") {
		t.Errorf("%+v", c)
	}
	if c := found["Tag"]; c.Offered || c.Why != "A rule sets tags." {
		t.Errorf("%+v", c)
	}
	if _, there := found["Created_By"]; there {
		t.Error("a field that nobody can write is offered")
	}
	deals := md["Deals"]
	deals.Fields = append(deals.Fields, zoho.Field{APIName: "Partner", Label: "Partner", Type: "lookup", Visible: true, CanCreate: true},
		zoho.Field{APIName: "Parts", Label: "Parts", Type: "subform", Visible: true, CanCreate: true})
	md["Deals"] = deals
	last := md.Form("Deals")
	if rest := last[len(last)-1]; rest.Name != "Other fields" || len(rest.Fields) != 2 || rest.Fields[0].Offered || !strings.Contains(rest.Fields[0].Why, "link to another record") ||
		!strings.Contains(rest.Fields[1].Why, "table") {
		t.Errorf("%+v", rest)
	}
}
