package zoho_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"hookline/internal/seal"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
	"hookline/internal/zoho/specification"
)

// operations is every operation of /crm/v8 that the client uses.
var operations = []specification.Operation{
	{Method: "GET", Path: "/org", File: "org.json", As: "/crm/v8/org"},
	{Method: "GET", Path: "/users", File: "users.json", As: "/crm/v8/users"},
	{Method: "GET", Path: "/settings/modules", File: "modules.json", As: "/crm/v8/settings/modules"},
	{Method: "GET", Path: "/settings/fields", File: "fields.json", As: "/crm/v8/settings/fields"},
	{Method: "GET", Path: "/settings/layouts", File: "layouts.json", As: "/crm/v8/settings/layouts"},
	{Method: "POST", Path: "/settings/fields", File: "fields.json", As: "/crm/v8/settings/fields"},
	{Method: "GET", Path: "/settings/automation/assignment_rules", File: "assignment_rules.json", As: "/crm/v8/settings/automation/assignment_rules"},
	{Method: "GET", Path: "/settings/pipeline", File: "pipeline.json", As: "/crm/v8/settings/pipeline"},
	{Method: "POST", Path: "/coql", File: "coql.json", As: "/crm/v8/coql"},
	{Method: "GET", Path: "/{module}/search", File: "module_search.json", As: "/crm/v8/{module}/search"},
	{Method: "GET", Path: "/{module}", File: "record.json", As: "/crm/v8/{module_api_name}"},
	{Method: "POST", Path: "/{module}", File: "record.json", As: "/crm/v8/{module_api_name}"},
	{Method: "GET", Path: "/{module}/{id}", File: "record.json", As: "/crm/v8/{module_api_name}/{id}"},
	{Method: "DELETE", Path: "/{module}/{id}", File: "record.json", As: "/crm/v8/{module_api_name}/{id}"},
	{Method: "PUT", Path: "/{module}/{id}", File: "record.json", As: "/crm/v8/{module_api_name}/{id}"},
	{Method: "GET", Path: "/{module}/{id}/actions/blueprint", File: "blueprint.json", As: "/crm/v8/{module_api_name}/{record_id}/actions/blueprint"},
	{Method: "PUT", Path: "/{module}/{id}/actions/blueprint", File: "blueprint.json", As: "/crm/v8/{module_api_name}/{record_id}/actions/blueprint"},
	{Method: "GET", Path: "/{module}/{id}/{list}", File: "related_records.json", As: "/crm/v8/{module_api_name}/{record_id}/{related_list_api_name}"},
}

// excuses are the places where the client is right and Zoho's files are not.
var excuses = func() []specification.Excuse {
	list := []specification.Excuse{
		{Operation: "GET /{module}/search", Fault: "query fields: is not described", Why: "the file of records describes it for the same operation, and so does the newer generation"},
	}
	for _, operation := range []string{"POST /{module}", "PUT /{module}/{id}"} {
		for _, key := range []string{"color_code", "created_time", "modified_time", "modified_by", "created_by", "id"} {
			list = append(list, specification.Excuse{
				Operation: operation, Fault: "/data/*/Tag/*/" + key + `: property "` + key + `" is missing`, Why: "a tag is given by its name; the file asks for a tag as answers show it",
			})
		}
	}
	for _, key := range []string{"process_info", "transitions"} {
		list = append(list, specification.Excuse{
			Operation: "PUT /{module}/{id}/actions/blueprint", Fault: "/blueprint/*/" + key + `: property "` + key + `" is missing`,
			Why: "the file asks for the keys of the answer to GET in the request, too; Zoho's pages send transition_id and data alone",
		})
	}
	for _, key := range strings.Fields(demanded) {
		list = append(list, specification.Excuse{
			Operation: "POST /settings/fields", Fault: "/fields/*/" + key + `: property "` + key + `" is missing`, Why: "the file asks for a field as answers show it; the newer generation for a label and a type",
		})
	}
	return list
}()

// demanded is what the older file wants of every new field.
const demanded = `
		_update_existing_records additional_column allowed_modules api_name associated_module association_details auto_number autonumber
		available_in_user_layout blueprint_supported businesscard_supported category colour_code_enabled_by_system column_name common.picklist
		convert_mapping created_source created_time crypt currency custom_field customizable_properties decimal_place display_field display_label
		display_type email_parser enable_colour_code external field_read_only file_upolad_optionlist filterable formula hipaa_compliance
		hipaa_compliance_enabled history_tracking id json_type layout_associations lookup mass_update modified_time multi_module_lookup
		multiselectlookup multiuserlookup number_separator operation_type pick_list_values pick_list_values_sorted_lexically profiles
		quick_sequence_number read_only refer_from_field rollup_summary searchable separator sharing_properties show_type sortable static_field
		sub_module subform system_mandatory textarea tooltip type ui_type view_type virtual_field visible webhook`

// Every method of the client runs against the sandbox, with records such as a call leaves behind, and every request is held
// against Zoho's own description.
func TestRequestsFitZohosSpecification(t *testing.T) {
	t.Parallel()
	files := specification.Open(t, specification.ForRequests)
	book := specification.NewBook(operations)
	server := sandboxtest.New(t)
	server.Control.Settings("", map[string]any{"search_index_lag_ms": 0})
	org := server.Control.NewOrg("enterprise", "us")
	server.Control.Settings(org.OrgID, map[string]any{"blueprint": map[string]string{"Deals": "Stage"}})
	tokens := server.Control.Exchange(org)
	client := zoho.NewClient(zoho.Options{
		Centres: zoho.SandboxCentres(server.URL),
		HTTP:    &http.Client{Transport: specification.Transport{Book: book, Next: http.DefaultTransport}},
	})
	api := client.For(func(context.Context, seal.Secret) (zoho.Access, error) {
		return zoho.Access{APIDomain: tokens.APIDomain, Token: seal.Secret(tokens.Access)}, nil
	}, nil)
	everyMethod(t, api)
	if !t.Failed() {
		book.Judge(t, files, excuses)
	}
}

func everyMethod(t *testing.T, api *zoho.API) {
	t.Helper()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := api.Org(ctx)
	ok(err)
	_, err = api.CurrentUser(ctx)
	ok(err)
	users, err := api.Users(ctx)
	ok(err)
	_, err = api.Modules(ctx)
	ok(err)
	for _, module := range []string{"Leads", "Contacts", "Accounts", "Deals", "Calls", "Tasks", "Events", "Notes"} {
		_, err = api.Metadata(ctx, module)
		ok(err)
	}
	_, err = api.Pipelines(ctx)
	ok(err)

	_, err = api.AssignmentRules(ctx, "Leads")
	ok(err)
	ok(api.CreateUniqueText(ctx, "Calls", "Hookline Ref", 60))
	if e, is := errors.AsType[*zoho.Error](api.CreateUniqueText(ctx, "Calls", "Hookline Ref", 60)); !is || e.Class != zoho.Duplicate {
		t.Errorf("a field that is there: %v", e)
	}
	calls, err := api.Metadata(ctx, "Calls")
	ok(err)
	if f, there := calls.Field("Hookline_Ref"); !there || !f.Unique || f.Length != 60 {
		t.Errorf("the field is %+v", f)
	}

	create := func(module string, rec zoho.Record, opts zoho.WriteOptions) string {
		t.Helper()
		results, err := api.Create(ctx, module, []zoho.Record{rec}, opts)
		ok(err)
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		return results[0].ID
	}
	began := time.Date(2026, 1, 20, 15, 0, 0, 0, time.UTC)
	owner := zoho.Record{"id": users[0].ID}
	account := create("Accounts", zoho.Record{"Account_Name": "ABC Corp", "Phone": "+15551234567"}, zoho.WriteOptions{})
	contact := create("Contacts", zoho.Record{"First_Name": "Sarah", "Last_Name": "Johnson", "Phone": "+15551234567", "Account_Name": zoho.Record{"id": account}}, zoho.WriteOptions{Trigger: []string{}})
	lead := create("Leads", zoho.Record{
		"First_Name": "Bob", "Last_Name": "Smith", "Company": "XYZ", "Phone": "+15557654321", "Lead_Source": "Cold Call", "Owner": owner, "Tag": []zoho.Record{{"name": "Hookline"}},
	}, zoho.WriteOptions{Trigger: []string{"workflow", "blueprint"}})
	deal := create("Deals", zoho.Record{
		"Deal_Name": "Fifty seats", "Amount": 50000, "Closing_Date": "2026-12-31", "Pipeline": "Standard (Standard)", "Stage": "Qualification",
		"Contact_Name": zoho.Record{"id": contact}, "Account_Name": zoho.Record{"id": account},
	}, zoho.WriteOptions{})
	create("Calls", zoho.Record{
		"Subject": "Inbound call", "Call_Type": "Inbound", "Call_Start_Time": zoho.Time(began), "Call_Duration": "02:05", "Description": "Wants a quote.",
		"Who_Id": zoho.Record{"id": contact}, "What_Id": zoho.Record{"id": deal}, "$se_module": "Deals",
	}, zoho.WriteOptions{})
	create("Tasks", zoho.Record{"Subject": "Send a quote", "Due_Date": "2026-01-21", "Priority": "High", "What_Id": zoho.Record{"id": lead}, "$se_module": "Leads"}, zoho.WriteOptions{})
	create("Events", zoho.Record{"Event_Title": "Demo", "Start_DateTime": zoho.Time(began), "End_DateTime": zoho.Time(began.Add(time.Hour)), "Meeting_Venue__s": "Online"}, zoho.WriteOptions{})
	create("Notes", zoho.Record{"Note_Title": "Transcript", "Note_Content": "…", "Parent_Id": zoho.Record{"id": lead, "module": zoho.Record{"api_name": "Leads"}}}, zoho.WriteOptions{})
	// Whether the rule exists is not the point: the answer is a refusal, the request is a request.
	_, _ = api.Create(ctx, "Leads", []zoho.Record{{"Last_Name": "A"}, {"Last_Name": "B"}}, zoho.WriteOptions{AssignmentRule: "5725767000000000501"})

	_, err = api.Update(ctx, "Leads", lead, zoho.Record{"Rating": "Active", "Description": nil}, zoho.WriteOptions{})
	ok(err)
	_, _, err = api.Get(ctx, "Leads", lead, nil)
	ok(err)
	_, _, err = api.Get(ctx, "Deals", deal, []string{"id", "Stage", "Contact_Name"})
	ok(err)
	_, err = api.SearchPhone(ctx, "Contacts", "+1 (555) 123-4567", []string{"id", "Phone", "Mobile"}, false)
	ok(err)
	_, err = api.SearchPhone(ctx, "Leads", "+15557654321", nil, true)
	ok(err)
	_, err = api.Find(ctx, zoho.Query{
		Select: []string{"id", "Contact_Name.Full_Name"}, From: "Deals", Order: "Modified_Time", Limit: 50,
		Where: zoho.And(zoho.Equal("Contact_Name.id", contact), zoho.AtLeast("Created_Time", began)),
	})
	ok(err)
	_, err = api.Find(ctx, zoho.Query{Select: []string{"id", "Account_Name"}, From: "Accounts", Where: zoho.Holds("Account_Name", "Corp")})
	ok(err)
	_, err = api.Peek(ctx, "Leads")
	ok(err)

	read, _, err := api.Get(ctx, "Contacts", contact, nil)
	ok(err)
	result, err := api.Update(ctx, "Contacts", contact, zoho.Record{"Title": "Buyer", "Tag": []zoho.Record{{"name": "Caller"}}}, zoho.WriteOptions{Since: read.Text("Modified_Time")})
	ok(err)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	if notes, err := api.Related(ctx, "Leads", lead, "Notes", []string{"Note_Title", "Note_Content", "Created_Time"}); err != nil || len(notes) != 1 {
		t.Fatalf("%d notes, %v", len(notes), err)
	}
	steps, err := api.Blueprint(ctx, "Deals", deal)
	ok(err)
	if steps.Field != "Stage" || steps.Value != "Qualification" || len(steps.Transitions) != 1 || steps.Transitions[0].To != "Needs Analysis" {
		t.Fatalf("the blueprint reads %+v", steps)
	}
	if moved, err := api.Transit(ctx, "Deals", deal, steps.Transitions[0].ID, zoho.Record{"Amount": 60000}); err != nil || !moved {
		t.Fatalf("not moved: %v", err)
	}
	ok(api.Delete(ctx, "Leads", lead))
}
