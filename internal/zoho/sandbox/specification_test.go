package sandbox_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"hookline/internal/zoho/specification"
)

// operations is every operation of /crm/v8 that the sandbox has, literal paths first.
var operations = []specification.Operation{
	{Method: "GET", Path: "/org", File: "org.json", As: "/org"},
	{Method: "GET", Path: "/users", File: "users.json", As: "/users"},
	{Method: "GET", Path: "/users/{id}", File: "users.json", As: "/users/{user}"},
	{Method: "POST", Path: "/__composite_requests", File: "composite_requests.json", As: "/__composite_requests"},
	{Method: "GET", Path: "/actions/watch", File: "notifications.json", As: "/actions/watch"},
	{Method: "POST", Path: "/actions/watch", File: "notifications.json", As: "/actions/watch"},
	{Method: "PUT", Path: "/actions/watch", File: "notifications.json", As: "/actions/watch"},
	{Method: "PATCH", Path: "/actions/watch", File: "notifications.json", As: "/actions/watch"},
	{Method: "DELETE", Path: "/actions/watch", File: "notifications.json", As: "/actions/watch"},
	{Method: "POST", Path: "/coql", File: "coql.json", As: "/coql"},
	{Method: "GET", Path: "/settings/modules", File: "modules.json", As: "/settings/modules"},
	{Method: "GET", Path: "/settings/modules/{id}", File: "modules.json", As: "/settings/modules/{moduleIdentifier}"},
	{Method: "GET", Path: "/settings/fields", File: "fields.json", As: "/settings/fields"},
	{Method: "POST", Path: "/settings/fields", File: "fields.json", As: "/settings/fields"},
	{Method: "GET", Path: "/settings/layouts", Older: "layouts.json", As: "/crm/v8/settings/layouts"},
	{Method: "GET", Path: "/settings/layouts/{id}", Older: "layouts.json", As: "/crm/v8/settings/layouts/{id}"},
	{Method: "GET", Path: "/settings/pipeline", File: "pipeline.json", As: "/settings/pipeline"},
	{Method: "GET", Path: "/settings/related_lists", Older: "related_lists.json", As: "/crm/v8/settings/related_lists"},
	{Method: "GET", Path: "/settings/call_preferences", File: "call_preferences.json", As: "/settings/call_preferences"},
	{Method: "PUT", Path: "/settings/call_preferences", File: "call_preferences.json", As: "/settings/call_preferences"},
	{Method: "GET", Path: "/settings/automation/assignment_rules/{id}", File: "assignment_rules.json", As: "/settings/automation/assignment_rules/{id}"},
	{Method: "GET", Path: "/settings/automation/assignment_rules", File: "assignment_rules.json", As: "/settings/automation/assignment_rules"},
	{Method: "GET", Path: "/{module}/search", File: "module_search.json", As: "/{module}/search"},
	{Method: "POST", Path: "/{module}/upsert", File: "record.json", As: "/{module}/upsert"},
	{Method: "POST", Path: "/Notes", File: "notes.json", As: "/Notes"},
	{Method: "GET", Path: "/Notes/{id}", File: "notes.json", As: "/Notes/{id}"},
	{Method: "GET", Path: "/{module}/{id}/Notes", File: "related_notes.json", As: "/{parentRecordModule}/{parentRecordId}/Notes"},
	{Method: "POST", Path: "/{module}/{id}/Notes", File: "related_notes.json", As: "/{parentRecordModule}/{parentRecordId}/Notes"},
	{Method: "GET", Path: "/{module}/{id}/Contact_Roles", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles"},
	{Method: "GET", Path: "/Contacts/roles", Older: "contact_roles.json", As: "/crm/v8/Contacts/roles"},
	{Method: "PUT", Path: "/{module}/{id}/Contact_Roles", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles"},
	{Method: "DELETE", Path: "/{module}/{id}/Contact_Roles", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles"},
	{Method: "GET", Path: "/{module}/{id}/Contact_Roles/{contact}", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles/{contactId}"},
	{Method: "DELETE", Path: "/{module}/{id}/Contact_Roles/{contact}", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles/{contactId}"},
	{Method: "GET", Path: "/{module}/{id}/Attachments", File: "attachments.json", As: "/{moduleApiName}/{recordId}/Attachments"},
	{Method: "POST", Path: "/{module}/{id}/Attachments", File: "attachments.json", As: "/{moduleApiName}/{recordId}/Attachments"},
	{Method: "GET", Path: "/{module}/{id}/Attachments/{attachment}", File: "attachments.json", As: "/{moduleApiName}/{recordId}/Attachments/{id}"},
	{Method: "DELETE", Path: "/{module}/{id}/Attachments/{attachment}", File: "attachments.json", As: "/{moduleApiName}/{recordId}/Attachments/{id}"},
	{Method: "POST", Path: "/{module}/actions/add_tags", File: "tags_actions.json", As: "/{module}/actions/add_tags"},
	{Method: "POST", Path: "/{module}/{id}/actions/add_tags", File: "tags_actions.json", As: "/{module}/{id}/actions/add_tags"},
	{Method: "POST", Path: "/{module}/{id}/actions/remove_tags", File: "tags_actions.json", As: "/{module}/{id}/actions/remove_tags"},
	{Method: "POST", Path: "/{module}/actions/change_owner", File: "change_owner.json", As: "/{module}/actions/change_owner"},
	{Method: "POST", Path: "/{module}/{id}/actions/change_owner", File: "change_owner.json", As: "/{module}/{record}/actions/change_owner"},
	{Method: "PUT", Path: "/{module}/{id}/Contact_Roles/{contact}", File: "deal_contact_roles.json", As: "/{module}/{dealId}/Contact_Roles/{contactId}"},
	{Method: "GET", Path: "/Leads/{id}/__conversion_options", Older: "conversion_option.json", As: "/crm/v8/Leads/{lead_id}/__conversion_options"},
	{Method: "POST", Path: "/Leads/{id}/actions/convert", File: "convert.json", As: "/Leads/{leadId}/actions/convert"},
	{Method: "GET", Path: "/{module}/{id}/actions/blueprint", Older: "blueprint.json", As: "/crm/v8/{module_api_name}/{record_id}/actions/blueprint"},
	{Method: "PUT", Path: "/{module}/{id}/actions/blueprint", Older: "blueprint.json", As: "/crm/v8/{module_api_name}/{record_id}/actions/blueprint"},
	{Method: "GET", Path: "/{module}/{id}/{related_list}", File: "related_records.json", As: "/{parentRecordModule}/{parentRecord}/{relatedList}"},
	{Method: "GET", Path: "/{module}", File: "record.json", As: "/{module}"},
	{Method: "POST", Path: "/{module}", File: "record.json", As: "/{module}"},
	{Method: "PUT", Path: "/{module}", File: "record.json", As: "/{module}"},
	{Method: "DELETE", Path: "/{module}", File: "record.json", As: "/{module}"},
	{Method: "GET", Path: "/{module}/{id}", File: "record.json", As: "/{module}/{recordID}"},
	{Method: "PUT", Path: "/{module}/{id}", File: "record.json", As: "/{module}/{recordID}"},
	{Method: "DELETE", Path: "/{module}/{id}", File: "record.json", As: "/{module}/{recordID}"},
}

// excuses are the places where the sandbox is right and Zoho's files are not.
var excuses = append(slices.Concat(layoutFields(), manyOwners(), compositeDetails()), func() []specification.Excuse {
	const (
		older     = "Zoho's older files describe it"
		later     = "Zoho's later files describe it"
		flat      = "errors of a whole request stand alone: Zoho's later examples, every older version"
		codes     = "a refusal of one record that Zoho's older files list, here forgotten"
		barred    = "the file requires this key and bars it"
		token     = "the files know no bad token; seen at the real API"
		nodetails = "other files of this generation describe it"
		details   = "the file lists nine codes and has the details of one"
		memory    = "ten tags a record are known from memory only"
		overlap   = "two of the file's alternatives are alike, so that whatever fits one fits both"
		nowhere   = "in no file for this operation; other operations' have it"
	)
	return []specification.Excuse{
		{Operation: "GET /settings/modules", Status: 200, Fault: "/modules/*/visible: is not described", Why: older},
		{Operation: "GET /settings/modules/{id}", Status: 200, Fault: "/modules/*/visible: is not described", Why: older},
		{Operation: "GET /actions/watch", Status: 204, Fault: "the status is not described", Why: nowhere},
		{Operation: "GET /users", Status: 400, Fault: "the status is not described", Why: nowhere},
		{Operation: "GET /{module}/{id}/Attachments", Status: 204, Fault: "the status is not described", Why: nowhere},
		{Operation: "POST /{module}/{id}/actions/add_tags", Status: 400, Fault: "/: 'oneOf' failed, subschemas 1, 5 matched", Why: overlap},
		{Operation: "POST /{module}/{id}/actions/add_tags", Status: 400, Fault: "/code: LIMIT_EXCEEDED is not described", Why: memory},
		{Operation: "POST /{module}/{id}/actions/add_tags", Status: 400, Fault: "/message: tags limit exceeded is not described", Why: memory},
		{Operation: "POST /Leads/{id}/actions/convert", Status: 400, Fault: "/code: RECORD_LOCKED is not described", Why: nowhere},
		{Operation: "POST /settings/fields", Status: 400, Fault: "/fields/*/details: 'oneOf' failed, subschemas 0, 1 matched", Why: overlap},
		{Operation: "POST /settings/fields", Status: 400, Fault: "/code: FEATURE_NOT_SUPPORTED is not described", Why: nowhere},
		{Operation: "POST /settings/fields", Status: 403, Fault: "the status is not described", Why: nowhere},
		{Operation: "GET /settings/fields", Status: 200, Fault: "/fields/*/default_value: is not described", Why: older},
		{Operation: "GET /settings/fields", Status: 200, Fault: "/fields/*/pick_list_values/*/forecast_category: is not described", Why: older},
		{Operation: "GET /settings/fields", Status: 200, Fault: "/fields/*/pick_list_values/*/forecast_type: is not described", Why: older},
		{Operation: "GET /settings/fields", Status: 200, Fault: "/fields/*/pick_list_values/*/probability: is not described", Why: older},
		{Operation: "GET /{module}/{id}", Status: 200, Fault: "/data/*/Created_By/email: is not described", Why: "the search's file describes it"},
		{Operation: "GET /{module}/{id}", Status: 200, Fault: "/data/*/Modified_By/email: is not described", Why: "the search's file describes it"},
		{Operation: "POST /{module}/upsert", Status: 200, Fault: "/data/*/action: is not described", Why: older},
		{Operation: "POST /{module}/upsert", Status: 200, Fault: "/data/*/duplicate_field: is not described", Why: older},
		{Operation: "POST /{module}", Status: 207, Fault: "the status is not described", Why: later},
		{Operation: "GET /{module}/search", Status: 400, Fault: "/details/api_name: is not described", Why: barred},
		{Operation: "GET /{module}/search", Status: 400, Fault: "/details/api_name: is missing", Why: barred},
		{Operation: "GET /{module}", Status: 400, Fault: "/data/*/details/resource_path_index: is missing", Why: details},
		{Operation: "POST /Notes", Status: 400, Fault: "/data/*/code: MANDATORY_NOT_FOUND is not described", Why: codes},
		{Operation: "POST /{module}", Status: 400, Fault: "/data/*/code: MAPPING_MISMATCH is not described", Why: codes},
		{Operation: "PUT /{module}/{id}", Status: 400, Fault: "/data/*/code: RECORD_IN_BLUEPRINT is not described", Why: codes},
		{Operation: "PUT /{module}/{id}", Status: 400, Fault: "/data/*/code: CONVERTED_RECORD is not described", Why: codes},
		{Operation: "GET /{module}", Status: 400, Flat: true, Why: flat},
		{Operation: "POST /{module}", Status: 400, Flat: true, Why: flat},
		{Operation: "GET /{module}/{id}", Status: 400, Flat: true, Why: flat},
		{Operation: "POST /{module}", Status: 401, Flat: true, Why: flat},
		{Operation: "PUT /{module}/{id}", Status: 401, Flat: true, Why: flat},
		{Operation: "GET /{module}", Status: 403, Flat: true, Why: flat},
		{Operation: "POST /{module}", Status: 403, Flat: true, Why: flat},
		{Operation: "GET /{module}/{id}", Status: 403, Flat: true, Why: flat},
		{Operation: "PUT /{module}/{id}", Status: 403, Flat: true, Why: flat},
		{Status: 401, Fault: "the status is not described", Why: token},
		{Status: 401, Fault: "/code: INVALID_TOKEN is not described", Why: token},
		{Status: 401, Fault: "/data/*/code: INVALID_TOKEN is not described", Why: token},
		{Status: 401, Fault: "/data/*/details: is not described", Why: nodetails},
		{Status: 403, Fault: "/data/*/details: is not described", Why: nodetails},
		{Operation: "GET /{module}/search", Status: 403, Fault: "/details/permissions: is not described", Why: nodetails},
	}
}()...)

// layoutFields: a layout shows its fields as the list of fields does, which the newer files describe and the older do not.
func layoutFields() (list []specification.Excuse) {
	for _, operation := range []string{"GET /settings/layouts", "GET /settings/layouts/{id}"} {
		for _, key := range []string{"history_tracking_enabled", "public", "range"} {
			list = append(list, specification.Excuse{
				Operation: operation, Status: 200, Fault: "/layouts/*/sections/*/fields/*/" + key + ": is not named", Why: "the newer files name it for fields",
			})
		}
	}
	return list
}

// manyOwners: the owners of many records are changed in one request, and the newer file has an answer for one.
func manyOwners() (list []specification.Excuse) {
	for _, fault := range []string{"/code: is missing", "/details: is missing", "/message: is missing", "/status: is missing", "/data: is not described"} {
		list = append(list, specification.Excuse{Operation: "POST /{module}/actions/change_owner", Status: 200, Fault: fault, Why: "the older file has an answer for each record"})
	}
	return list
}

// compositeDetails: the last of the file's alternatives for details is any object, so that whatever fits another fits two.
func compositeDetails() (list []specification.Excuse) {
	for _, alternative := range []int{1, 2, 3, 4, 9, 12} {
		list = append(list, specification.Excuse{
			Operation: "POST /__composite_requests", Status: 400, Fault: fmt.Sprintf("/details: 'oneOf' failed, subschemas %d, 14 matched", alternative), Why: "one of the file's alternatives is any object",
		})
	}
	return list
}

// Every behaviour's test runs once more, and every answer it gets is held against Zoho's own description.
func TestAnswersFitZohosSpecification(t *testing.T) {
	files := specification.Open(t, specification.ForAnswers)
	book := specification.NewBook(operations)
	books.Store(t.Name(), book)
	defer books.Delete(t.Name())
	t.Run("while", func(t *testing.T) {
		for name, behaviour := range map[string]func(*testing.T){
			"15": TestBehaviour15OrgAndUserShowEditionAndCentre, "16": TestBehaviour16ListWithoutFieldsIsRefused,
			"paging": TestListGoesOnWithAPageToken, "17": TestBehaviour17UnknownIDIsEmptyAndMalformedIDIsRefused, "18": TestBehaviour18SearchHitMissAndNoParameter,
			"19": TestBehaviour19NewRecordsReachTheSearchIndexLate, "22": TestBehaviour22ConvertedLeadIsHiddenFromSearchUnlessAskedFor,
			"23": TestBehaviour23SearchHasLimits, "24": TestBehaviour24COQL, "27": TestBehaviour27MixedResultsAndTooMany,
			"28": TestBehaviour28NamedLayoutBringsItsRequiredFields, "29": TestBehaviour29TypesAndLengths,
			"30": TestBehaviour30UnknownPicklistValueIsAddedToTheList, "31": TestBehaviour31UniqueFieldsAndUpsert,
			"32": TestBehaviour32DealsNeedPipelineAndItsStage, "33": TestBehaviour33BlueprintOwnsItsField, "34": TestBehaviour34Calls,
			"35": TestBehaviour35CallsHangOnDealsAndNeverOnLeadsByWho, "36": TestBehaviour36TaskDatesAndMeetingVenues,
			"37": TestBehaviour37NotesHangOnRecords, "37b": TestBehaviour37AttachmentsHangOnRecords, "38": TestBehaviour38ConversionHappensOnce, "39": TestBehaviour39AssignmentRulesByEdition,
			"39b": TestBehaviour39WorkflowRulesRunUnlessTheTriggerSaysNo, "42b": TestBehaviour42LockedRecordsRefuseEveryChange, "42c": TestBehaviour42DeletedAndMergedTargets,
			"tags": TestTagsAreAddedAndTakenAway, "owner": TestOwnerIsChanged, "preferences": TestCallPreferencesAreKept, "users": TestUsersComeInPages,
			"composite": TestCompositeRequestsRunTogether, "43": TestBehaviour43WatchersAreToldUntilTheyExpire,
			"42": TestBehaviour42RecordsThatChangedOrAreGone, "metadata": TestMetadataNamesWhatClientsAskFor,
			"fields": TestFieldOfOnesOwnIsMadeAndEnforced, "fields refused": TestFieldOfOnesOwnIsRefused, "settings": TestAnAdministratorChangesWhatAModuleIsLike, "roles": TestContactRolesLinkContactsToADeal,
			"what no behaviour asks for": readEverythingBack, "whole requests refused": refuseWholeRequests,
		} {
			t.Run(name, behaviour)
		}
	})
	if !t.Failed() {
		book.Judge(t, files, excuses)
	}
}

// readEverythingBack asks for what the behaviours' tests have no need of.
func readEverythingBack(t *testing.T) {
	c := connected(t)
	user := c.do("GET", "/crm/v8/users?type=CurrentUser", nil).text("users", 0, "id")
	c.do("GET", "/crm/v8/users/"+user, nil).wants(200)
	c.do("GET", "/crm/v8/users/5725767000000999999", nil).wants(204)
	c.do("GET", "/crm/v8/settings/modules/Leads", nil).wants(200)
	layout := c.do("GET", "/crm/v8/settings/layouts?module=Deals", nil).text("layouts", 0, "id")
	c.do("GET", "/crm/v8/settings/layouts/"+layout+"?module=Deals", nil).wants(200)

	account := c.create("Accounts", object{"Account_Name": "ABC Corp", "Phone": "5551234567"})
	contact := c.create("Contacts", object{"First_Name": "Sarah", "Last_Name": "Johnson", "Email": "sarah@abc.example", "Account_Name": object{"id": account}})
	d := deal("Fifty seats")
	d["Amount"], d["Contact_Name"], d["Account_Name"] = 50000, object{"id": contact}, object{"id": account}
	dealID := c.create("Deals", d)
	leadID := c.create("Leads", object{"First_Name": "Bob", "Last_Name": "Smith", "Company": "XYZ", "Email": "bob@xyz.example", "Phone": "+15551234567"})
	task := c.create("Tasks", object{"Subject": "Call back", "Due_Date": "2026-01-20", "What_Id": object{"id": dealID}, "$se_module": "Deals"})
	event := c.create("Events", object{
		"Event_Title": "Demo", "Start_DateTime": "2026-01-20T15:00:00+00:00", "End_DateTime": "2026-01-20T16:00:00+00:00", "Meeting_Venue__s": "Online",
	})
	callID := c.create("Calls", call(object{"Who_Id": object{"id": contact}, "What_Id": object{"id": dealID}, "$se_module": "Deals"}))
	note := c.create("Notes", object{"Note_Title": "Transcript", "Note_Content": "…", "Parent_Id": object{"id": dealID, "module": object{"api_name": "Deals"}}})
	for module, id := range map[string]string{
		"Accounts": account, "Contacts": contact, "Deals": dealID, "Leads": leadID, "Tasks": task, "Events": event, "Calls": callID, "Notes": note,
	} {
		c.get(module, id)
		if module != "Notes" {
			c.do("GET", "/crm/v8/"+module+"?fields=id,Owner,Modified_Time", nil).wants(200)
		}
	}
	for _, list := range []string{"Deals/" + dealID + "/Tasks", "Deals/" + dealID + "/Notes", "Contacts/" + contact + "/Deals", "Accounts/" + account + "/Contacts"} {
		c.do("GET", "/crm/v8/"+list+"?fields=id,Modified_Time", nil).wants(200)
	}
	c.do("GET", "/crm/v8/Leads/"+leadID+"/Nothing?fields=id", nil).flat(400, "INVALID_DATA")
	c.coql("select Deal_Name, Amount, Contact_Name.Last_Name, Account_Name from Deals where Amount > 1").wants(200)

	c.do("PUT", "/crm/v8/Leads", data(object{"id": leadID, "Phone": "+15557654321"})).wants(200)
	c.server.Control.Settings(c.org, map[string]any{"wrap_request_errors": true})
	c.do("POST", "/crm/v8/Leads", data()).refuses("INVALID_DATA", "data")
	c.server.Control.Settings(c.org, map[string]any{"wrap_request_errors": false})
	other := c.create("Leads", lead("Gone"))
	c.do("DELETE", "/crm/v8/Leads?ids="+url.QueryEscape(leadID+","+other), nil).wants(200)
	c.do("DELETE", "/crm/v8/Leads?ids=5725767000000999999", nil).wants(400)
	c.do("DELETE", "/crm/v8/Calls/"+callID, nil).wants(200)
	c.do("DELETE", "/crm/v8/Calls/"+callID, nil).wants(400)
}

// refuseWholeRequests meets what is refused before anybody looks at a record: the token, its scopes, a person's rights, the limits.
func refuseWholeRequests(t *testing.T) {
	c := connected(t)
	id := c.create("Leads", lead("Johnson"))
	all := func(status int) {
		t.Helper()
		c.do("GET", "/crm/v8/Leads/"+id, nil).wants(status)
		c.do("GET", "/crm/v8/Leads?fields=id", nil).wants(status)
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).wants(status)
		c.do("PUT", "/crm/v8/Leads/"+id, data(lead("x"))).wants(status)
		c.search("Leads", "word", "johnson").wants(status)
	}
	c.header.Set("Authorization", "Zoho-oauthtoken 1000.none")
	all(401)
	c.header.Del("Authorization")
	c.server.Control.Settings(c.org, map[string]any{"no_permission": map[string][]string{"Leads": {"View", "Create", "Edit"}}})
	all(403)
	c.server.Control.Settings(c.org, map[string]any{"no_permission": map[string][]string{}, "credits": 1, "style_429": "rate_limit"})
	c.search("Leads", "word", "johnson").wants(429)
}
