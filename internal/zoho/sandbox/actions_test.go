package sandbox_test

import (
	"strings"
	"testing"
)

func TestTagsAreAddedAndTakenAway(t *testing.T) {
	t.Parallel()
	c := connected(t)
	first := lead("Johnson")
	first["Tag"] = []object{{"name": "Old"}}
	id, other := c.create("Leads", first), c.create("Leads", lead("Smith"))
	tags := func(id string) string {
		var names []string
		list, _ := c.get("Leads", id).at("data", 0, "Tag").([]any)
		for _, x := range list {
			names = append(names, x.(map[string]any)["name"].(string))
		}
		return strings.Join(names, ",")
	}
	named := func(names ...string) object {
		var list []object
		for _, n := range names {
			list = append(list, object{"name": n})
		}
		return object{"tags": list}
	}
	act := func(path, action string, body object) reply {
		return c.do("POST", "/crm/v8/Leads"+path+"/actions/"+action, body)
	}
	r := act("/"+id, "add_tags", named("Hookline", "old")).wants(200)
	if tags(id) != "Old,Hookline" || r.text("data", 0, "details", "tags", 1, "name") != "Hookline" || r.text("data", 0, "details", "tags", 1, "id") == "" || r.text("data", 0, "code") != "SUCCESS" {
		t.Fatalf("added: %s, %s", tags(id), r.raw)
	}
	over := named("Only")
	over["over_write"] = true
	act("/"+id, "add_tags", over).wants(200)
	many := named("Both")
	many["ids"] = id + "," + other
	if r := act("", "add_tags", many).wants(200); r.text("success_count") != "2" || tags(id) != "Only,Both" || tags(other) != "Both" {
		t.Fatalf("many: %s %s %s", tags(id), tags(other), r.raw)
	}
	act("/"+id, "remove_tags", named("both", "never there")).wants(200)
	if tags(id) != "Only" || tags(other) != "Both" {
		t.Fatalf("removed: %s %s", tags(id), tags(other))
	}
	// One name has one id in a module, whoever wrote it.
	a, b := c.get("Leads", other).text("data", 0, "Tag", 0, "id"), act("/"+id, "add_tags", named("BOTH")).text("data", 0, "details", "tags", 1, "id")
	if a == "" || a != b {
		t.Errorf("one tag has two ids, %s and %s", a, b)
	}

	if r := act("/"+id, "add_tags", named(strings.Repeat("x", 26))).wants(400); r.text("tags", 0, "code") != "INVALID_DATA" || r.text("tags", 0, "details", "maximum_length") != "25" {
		t.Errorf("a long name: %s", r.raw)
	}
	act("/"+id, "add_tags", named("1", "2", "3", "4", "5", "6", "7", "8", "9")).flat(400, "LIMIT_EXCEEDED")
	act("/"+id, "add_tags", object{}).flat(400, "INVALID_DATA")
	act("/5725767000000999999", "add_tags", named("x")).flat(400, "INVALID_DATA")
	full := lead("x")
	full["Tag"] = named("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11")["tags"]
	c.do("POST", "/crm/v8/Leads", data(full)).refuses("LIMIT_EXCEEDED", "Tag")
	c.as(2).do("POST", "/crm/v8/Leads/"+id+"/actions/add_tags", named("x")).flat(403, "NO_PERMISSION")
	c.do("POST", "/crm/v2/Leads/"+id+"/actions/add_tags?tag_names=Older&over_write=true", nil).wants(200)
	if tags(id) != "Older" {
		t.Errorf("v2: %s", tags(id))
	}
}

func TestOwnerIsChanged(t *testing.T) {
	t.Parallel()
	c := connected(t)
	users := c.do("GET", "/crm/v8/users?type=AllUsers", nil)
	to := users.text("users", 1, "id")
	account, other := c.create("Accounts", object{"Account_Name": "ABC Corp"}), c.create("Accounts", object{"Account_Name": "XYZ"})
	contact := c.create("Contacts", object{"Last_Name": "Johnson", "Account_Name": object{"id": account}})
	task := c.create("Tasks", object{"Subject": "x", "What_Id": object{"id": account}, "$se_module": "Accounts"})
	done := c.create("Calls", call(object{"What_Id": object{"id": account}, "$se_module": "Accounts"}))
	give := func(path string, body object) reply {
		return c.do("POST", "/crm/v8/"+path+"/actions/change_owner", body)
	}
	owner := object{"id": to}
	if r := give("Accounts/"+account, object{"owner": owner, "notify": true, "related_modules": []object{{"api_name": "Tasks"}, {"api_name": "Calls"}}}).wants(200); r.text("code") != "SUCCESS" || r.text("details", "id") != account {
		t.Fatalf("changed: %s", r.raw)
	}
	for _, x := range []struct {
		module, id string
		moved      bool
	}{{"Accounts", account, true}, {"Tasks", task, true}, {"Calls", done, false}, {"Contacts", contact, false}} {
		if got := c.get(x.module, x.id).text("data", 0, "Owner", "id"); (got == to) != x.moved {
			t.Errorf("%s: owner %s", x.module, got)
		}
	}
	give("Accounts", object{"ids": []string{account, other}, "owner": owner}).wants(200)
	if got := c.get("Accounts", other).text("data", 0, "Owner", "id"); got != to {
		t.Errorf("one of many: owner %s", got)
	}
	give("Accounts/"+account, object{"owner": object{"id": "1"}}).flat(400, "INVALID_DATA")
	give("Accounts/"+account, object{}).flat(400, "MANDATORY_NOT_FOUND")
	give("Accounts/1", object{"owner": owner}).flat(400, "INVALID_DATA")
	give("Accounts/"+account, object{"owner": owner, "related_modules": []object{{"api_name": "Leads"}}}).flat(400, "INVALID_DATA")
	give("Calls/"+done, object{"owner": owner}).flat(400, "INVALID_DATA")
}

func TestContactRolesLinkContactsToADeal(t *testing.T) {
	t.Parallel()
	c := connected(t)
	contact, second, dealID := c.create("Contacts", object{"Last_Name": "Johnson"}), c.create("Contacts", object{"Last_Name": "Smith"}), c.create("Deals", deal("x"))
	path := "/crm/v8/Deals/" + dealID + "/Contact_Roles"
	role := c.do("GET", "/crm/v8/Contacts/roles", nil).wants(200).text("contact_roles", 1, "id")
	c.do("GET", path+"?fields=Full_Name", nil).wants(204)
	if r := c.do("PUT", path+"/"+contact, data(object{"id": contact, "Contact_Role": object{"id": role}})).wants(200); r.text("data", 0, "message") != "relation updated" {
		t.Fatalf("linking: %s", r.raw)
	}
	if r := c.do("PUT", path, data(object{"id": second, "Contact_Role": object{"id": role}}, object{"id": contact, "Contact_Role": object{"id": role}})).wants(200); r.text("data", 0, "message") != "relation added" || r.text("data", 1, "message") != "relation updated" {
		t.Fatalf("linking several: %s", r.raw)
	}
	if r := c.do("GET", path+"?fields=Full_Name", nil).wants(200); r.text("data", 1, "id") != contact || r.text("data", 1, "Contact_Role", "name") != "Decision Maker" || r.text("info", "count") != "2" {
		t.Fatalf("roles: %s", r.raw)
	}
	if r := c.do("GET", path+"/"+second+"?fields=Full_Name", nil).wants(200); r.text("data", 0, "id") != second || r.at("data", 1) != nil {
		t.Fatalf("one: %s", r.raw)
	}
	c.do("GET", path, nil).flat(400, "REQUIRED_PARAM_MISSING")
	c.do("PUT", path+"/1", data(object{"id": contact})).flat(400, "INVALID_DATA")
	c.do("PUT", path+"/"+contact, data(object{"id": contact, "Contact_Role": object{"id": "1"}})).flat(400, "INVALID_DATA")
	c.do("DELETE", path+"/"+contact, nil).wants(200)
	c.do("DELETE", path+"?ids="+second, nil).wants(200)
	c.do("DELETE", path+"/"+contact, nil).flat(400, "INVALID_DATA")
	c.do("GET", path+"/"+second+"?fields=Full_Name", nil).wants(204)
}

func TestCallPreferencesAreKept(t *testing.T) {
	t.Parallel()
	c := connected(t)
	const path = "/crm/v8/settings/call_preferences"
	if r := c.do("GET", path, nil).wants(200); r.at("call_preferences", "show_from_number") != true || r.at("call_preferences", "show_to_number") != true {
		t.Fatalf("fresh: %s", r.raw)
	}
	c.do("PUT", path, object{"call_preferences": object{"show_to_number": false}}).wants(200)
	if r := c.do("GET", path, nil).wants(200); r.at("call_preferences", "show_from_number") != true || r.at("call_preferences", "show_to_number") != false {
		t.Fatalf("kept: %s", r.raw)
	}
	if r := c.do("PUT", path, object{"call_preferences": object{"show_to_number": "no"}}).wants(400); r.text("call_preferences", "code") != "INVALID_DATA" {
		t.Fatalf("no boolean: %s", r.raw)
	}
}

func TestUsersComeInPages(t *testing.T) {
	t.Parallel()
	c := connected(t)
	page := func(query string) reply { return c.do("GET", "/crm/v8/users?"+query, nil) }
	one := page("type=ActiveConfirmedUsers&page=1&per_page=2").wants(200)
	two := page("type=ActiveConfirmedUsers&page=2&per_page=2").wants(200)
	if one.at("info", "more_records") != true || two.at("info", "more_records") != false || two.text("info", "count") != "1" || two.text("users", 0, "id") == one.text("users", 0, "id") {
		t.Fatalf("pages: %s %s", one.raw, two.raw)
	}
	page("type=ActiveConfirmedUsers&page=3&per_page=2").wants(204)
	page("type=DeactiveUsers").wants(204)
	if r := page("type=AdminUsers").wants(200); r.text("info", "count") != "1" {
		t.Fatalf("administrators: %s", r.raw)
	}
	page("type=AllUsers&per_page=201").flat(400, "INVALID_DATA")
	gone := one.text("users", 1, "id")
	c.server.Control.Do("PATCH", "users/"+gone+"?org="+c.org, object{"active": false}, nil)
	if r := page("type=ActiveConfirmedUsers").wants(200); r.text("info", "count") != "2" {
		t.Fatalf("one has left: %s", r.raw)
	}
	if r := page("type=DeactiveUsers").wants(200); r.text("users", 0, "id") != gone || r.text("users", 0, "status") != "disabled" {
		t.Fatalf("who has left: %s", r.raw)
	}
	owned := lead("x")
	owned["Owner"] = object{"id": gone}
	c.do("POST", "/crm/v8/Leads", data(owned)).refuses("INVALID_DATA", "Owner")
}

func part(method, uri string, body any) object {
	out := object{"method": method, "uri": uri}
	if body != nil {
		out["body"] = body
	}
	return out
}

func composite(rollback bool, parts ...object) object {
	return object{"rollback_on_fail": rollback, "__composite_requests": parts}
}

func TestCompositeRequestsRunTogether(t *testing.T) {
	t.Parallel()
	c := connected(t)
	const path = "/crm/v8/__composite_requests"
	before := c.server.Control.Stats(c.org).CreditsUsed
	r := c.do("POST", path, composite(false,
		part("POST", "/crm/v8/Contacts", data(object{"Last_Name": "Johnson"})),
		part("POST", "/crm/v8/Calls", data(call(object{"Who_Id": object{"id": "@{1:$.data[0].details.id}"}}))),
		part("GET", "/crm/v8/Contacts/@{1:$.data[0].details.id}/Calls?fields=Subject", nil),
		part("POST", "/crm/v8/Leads", data(object{})),
		part("POST", "/crm/v8/coql", object{"select_query": "select id from Contacts where Last_Name = 'Johnson'"}),
	)).wants(200)
	at := func(i int, path ...any) string {
		return r.text(append([]any{"__composite_requests", i, "details", "response"}, path...)...)
	}
	if at(0, "status_code") != "201" || at(2, "body", "data", 0, "id") != at(1, "body", "data", 0, "details", "id") || at(3, "status_code") != "400" ||
		at(4, "body", "data", 0, "id") != at(0, "body", "data", 0, "details", "id") || at(0, "body", "data", 0, "details", "id") == "" {
		t.Fatalf("together: %s", r.raw)
	}
	if got := c.server.Control.Stats(c.org).CreditsUsed - before; got != 5 {
		t.Errorf("five requests in one cost %d credits", got)
	}
	records := func() map[string]int { return c.server.Control.Stats(c.org).Records }

	t.Run("all or nothing", func(t *testing.T) {
		contact := at(0, "body", "data", 0, "details", "id")
		had := records()
		r := c.do("POST", path, composite(true,
			part("POST", "/crm/v8/Leads", data(lead("Gone"))),
			part("PUT", "/crm/v8/Contacts/"+contact, data(object{"Last_Name": "Changed"})),
			part("DELETE", "/crm/v8/Contacts/"+contact, nil),
			part("POST", "/crm/v8/Leads", data(object{})),
			part("POST", "/crm/v8/Leads", data(lead("Never"))),
		)).wants(207)
		if r.text("__composite_requests", 0, "code") != "ROLLBACK_PERFORMED" || r.text("__composite_requests", 0, "details", "rollbacked_by_sub_request_index") != "3" ||
			r.text("__composite_requests", 3, "details", "response", "body", "data", 0, "code") != "MANDATORY_NOT_FOUND" || r.text("__composite_requests", 4, "code") != "PROCESSING_STOPPED" {
			t.Fatalf("rolled back: %s", r.raw)
		}
		if got := records(); got["Leads"] != had["Leads"] || got["Contacts"] != had["Contacts"] || c.get("Contacts", contact).text("data", 0, "Last_Name") != "Johnson" {
			t.Fatalf("something stayed: %v, before %v", got, had)
		}
		lines := c.server.Control.Ledger(0)
		for _, l := range lines {
			if l.Path == path && l.Status == 207 && len(l.Effects) > 0 {
				t.Errorf("the ledger says something took effect: %v", l)
			}
		}
		c.do("POST", path, composite(true, part("POST", "/crm/v8/Leads", data(lead("Stays"))))).wants(200)
		if got := records(); got["Leads"] != had["Leads"]+1 {
			t.Fatal("nothing failed, and nothing stayed")
		}
	})
	six := make([]object, 6)
	for i := range six {
		six[i] = part("GET", "/crm/v8/org", nil)
	}
	twice := []object{part("GET", "/crm/v8/org", nil), part("GET", "/crm/v8/org", nil)}
	twice[0]["sub_request_id"], twice[1]["sub_request_id"] = "a", "a"
	both := composite(true, six[0])
	both["parallel_execution"] = true
	for name, x := range map[string]struct {
		body object
		code string
	}{
		"six":                    {composite(false, six...), "INVALID_DATA"},
		"none":                   {object{}, "MANDATORY_NOT_FOUND"},
		"rollback and parallel":  {both, "AMBIGUITY_DURING_PROCESSING"},
		"one id twice":           {composite(false, twice...), "DUPLICATE_DATA"},
		"no uri":                 {composite(false, object{"method": "GET"}), "MANDATORY_NOT_FOUND"},
		"another verb":           {composite(false, part("LOOK", "/crm/v8/org", nil)), "INVALID_DATA"},
		"another version":        {composite(false, part("GET", "/crm/v2/org", nil)), "NOT_SUPPORTED"},
		"composite in composite": {composite(false, part("POST", path, object{})), "NOT_SUPPORTED"},
	} {
		if r := c.do("POST", path, x.body); r.status != 400 || r.text("code") != x.code {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	if r := c.do("POST", path, composite(false, six[0], part("GET", "/crm/v8/Leads/@{9:$.data[0].id}", nil))).wants(207); r.text("__composite_requests", 1, "code") != "INVALID_REFERENCE" {
		t.Errorf("a reference to nothing: %s", r.raw)
	}
}
