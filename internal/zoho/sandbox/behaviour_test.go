package sandbox_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestBehaviour14UnknownPathsModulesAndVerbs(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.do("GET", "/crm/v8/settings/nothing", nil).flat(404, "INVALID_URL_PATTERN")
	c.do("GET", "/crm/v8/Leads/1/2/3/4/5", nil).flat(404, "INVALID_URL_PATTERN")
	if r := c.do("POST", "/crm/v8/Leeds", data(lead("x"))).flat(400, "INVALID_MODULE"); r.text("details", "resource_path_index") != "0" {
		t.Fatalf("INVALID_MODULE: %s", r.raw)
	}
	c.do("PATCH", "/crm/v8/Leads", data(lead("x"))).flat(400, "INVALID_REQUEST_METHOD")
	c.do("POST", "/crm/v8/org", nil).flat(400, "INVALID_REQUEST_METHOD")
	t.Run("wrapped in data, where the setting says so", func(t *testing.T) {
		c.server.Control.Settings(c.org, map[string]any{"wrap_request_errors": true})
		c.do("POST", "/crm/v8/Leeds", data(lead("x"))).refuses("INVALID_MODULE", "")
		c.do("GET", "/crm/v8/Leeds?fields=id", nil).flat(400, "INVALID_MODULE")
	})
}

func TestBehaviour15OrgAndUserShowEditionAndCentre(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	for _, x := range []struct{ edition, centre, country, currency string }{
		{"free", "us", "US", "USD"}, {"standard", "eu", "DE", "EUR"}, {"professional", "in", "IN", "INR"}, {"enterprise", "au", "AU", "AUD"}, {"zohooneenterprise", "jp", "JP", "JPY"},
		{"ultimate", "cn", "CN", "CNY"}, {"crmplus", "ca", "CA", "CAD"}, {"enterprise", "sa", "SA", "SAR"}, {"enterprise", "uk", "GB", "GBP"}, {"enterprise", "ae", "AE", "AED"},
	} {
		t.Run(x.edition+" in "+x.centre, func(t *testing.T) {
			c := connect(t, s, x.edition, x.centre)
			r := c.do("GET", "/crm/v8/org", nil).wants(200)
			o := func(k ...any) string { return r.text(append([]any{"org", 0}, k...)...) }
			if o("id") != c.org || o("license_details", "paid_type") != x.edition || o("country_code") != x.country || o("iso_code") != x.currency || o("type") != "production" {
				t.Fatalf("org: %s", r.raw)
			}
			if (r.at("org", 0, "license_details", "paid") == true) == (x.edition == "free") || strings.HasSuffix(c.tokens.APIDomain, "/"+x.centre) == (x.centre == "us") {
				t.Fatalf("org at %s: %s", c.tokens.APIDomain, r.raw)
			}
			u := c.do("GET", "/crm/v8/users?type=CurrentUser", nil).wants(200)
			if u.text("users", 0, "email") == "" || u.text("users", 0, "profile", "name") != "Administrator" || u.text("users", 0, "status") != "active" || u.at("users", 1) != nil {
				t.Fatalf("current user: %s", u.raw)
			}
			if len(u.text("users", 0, "id")) < 17 {
				t.Fatal("ids fit into a float")
			}
			all := c.do("GET", "/crm/v8/users?type=ActiveConfirmedUsers&page=1&per_page=2", nil).wants(200)
			if all.at("users", 1) == nil || all.at("users", 2) != nil || all.at("info", "more_records") != true {
				t.Fatalf("users: %s", all.raw)
			}
		})
	}
}

func TestBehaviour16ListWithoutFieldsIsRefused(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.create("Leads", lead("Johnson"))
	if r := c.do("GET", "/crm/v8/Leads", nil).flat(400, "REQUIRED_PARAM_MISSING"); r.text("details", "param_name") != "fields" {
		t.Fatalf("details: %s", r.raw)
	}
	r := c.do("GET", "/crm/v8/Leads?fields=Last_Name,Phone&", nil).wants(200)
	if r.text("data", 0, "Last_Name") != "Johnson" || strings.Contains(r.raw, "Email") || r.text("info", "count") != "1" {
		t.Fatalf("list: %s", r.raw)
	}
	if r := c.do("GET", "/crm/v8/Leads?fields="+strings.Repeat("Phone,", 51), nil).flat(400, "LIMIT_EXCEEDED"); r.text("details", "limit") != "50" {
		t.Fatalf("51 fields: %s", r.raw)
	}
	c.do("GET", "/crm/v2/leads", nil).wants(200) // v2 had no such rule, and public clients write modules in lower case
	c.do("GET", "/crm/v8/Leads?fields=Phone&page=11", nil).flat(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED")
	c.do("GET", "/crm/v8/Leads?fields=Phone&sort_by=Nonsense", nil).flat(400, "INVALID_DATA")
}

func TestListGoesOnWithAPageToken(t *testing.T) {
	t.Parallel()
	c := connected(t)
	for _, name := range []string{"a", "b", "c"} {
		c.create("Leads", lead(name))
	}
	const path = "/crm/v8/Leads?fields=Last_Name&per_page=2"
	one := c.do("GET", path, nil).wants(200)
	token := url.QueryEscape(one.text("info", "next_page_token"))
	two := c.do("GET", path+"&page_token="+token, nil).wants(200)
	if one.text("data", 0, "Last_Name") != "c" || two.text("data", 0, "Last_Name") != "a" || two.at("info", "next_page_token") != nil || two.at("info", "more_records") != false {
		t.Fatalf("pages: %s %s", one.raw, two.raw)
	}
	if r := c.do("GET", path+"&sort_by=Created_Time&sort_order=asc", nil).wants(200); r.text("data", 0, "Last_Name") != "a" {
		t.Errorf("oldest first: %s", r.raw)
	}
	c.do("GET", path+"&sort_order=asc&page_token="+token, nil).flat(400, "TOKEN_BOUND_DATA_MISMATCH")
	c.do("GET", path+"&page_token=x", nil).flat(400, "INVALID_DATA")
	c.server.Clock.Advance(24*time.Hour + time.Second)
	c.tokens.Access = refresh(t, c.server, "", c.tokens.Refresh).text("access_token")
	c.do("GET", path+"&page_token="+token, nil).flat(400, "EXPIRED_VALUE")
}

func TestBehaviour17UnknownIDIsEmptyAndMalformedIDIsRefused(t *testing.T) {
	t.Parallel()
	c := connected(t)
	if r := c.do("GET", "/crm/v8/Leads/5725767000000999999", nil).wants(204); r.raw != "" {
		t.Fatalf("body: %s", r.raw)
	}
	if r := c.do("GET", "/crm/v8/Leads/abc", nil).flat(400, "INVALID_DATA"); r.text("details", "resource_path_index") != "1" {
		t.Fatalf("details: %s", r.raw)
	}
}

func TestBehaviour18SearchHitMissAndNoParameter(t *testing.T) {
	t.Parallel()
	c := connected(t)
	id := c.create("Contacts", object{"First_Name": "Sarah", "Last_Name": "Johnson", "Email": "Sarah@abc.example", "Mobile": "+15551234567"})
	for _, pairs := range [][]string{
		{"phone", "+15551234567"}, {"email", "sarah@ABC.example"}, {"word", "johns"},
		{"criteria", "((Mobile:equals:+15551234567)or(Phone:equals:+15551234567))"}, {"criteria", "(Last_Name:starts_with:john)"},
		{"criteria", "(Email:in:a@b.example,sarah@abc.example)"},
	} {
		r := c.search("Contacts", pairs...).wants(200)
		if r.text("data", 0, "id") != id || r.text("info", "count") != "1" || r.at("info", "more_records") != false {
			t.Fatalf("%v: %s", pairs, r.raw)
		}
	}
	if r := c.search("Contacts", "phone", "+15550000000").wants(204); r.raw != "" {
		t.Fatalf("a miss has a body: %s", r.raw)
	}
	c.search("Leads", "phone", "+15551234567").wants(204)
	if r := c.search("Contacts").flat(400, "EXPECTED_PARAM_MISSING"); r.text("details", "param_names", 3) != "word" {
		t.Fatalf("details: %s", r.raw)
	}
	c.search("Contacts", "word", "x").flat(400, "INVALID_REQUEST")
	c.search("Contacts", "phone", "call me").flat(400, "INVALID_REQUEST")
	// criteria wins over the others
	c.search("Contacts", "phone", "+15551234567", "criteria", "(Last_Name:equals:Nobody)").wants(204)
	// an escaped bracket is part of one value
	c.create("Contacts", object{"Last_Name": "Smith (Jr), Bob"})
	if r := c.search("Contacts", "criteria", `(Last_Name:equals:Smith \(Jr\)\, Bob)`).wants(200); r.text("info", "count") != "1" {
		t.Fatalf("escaped: %s", r.raw)
	}
	c.search("Contacts", "criteria", `(Last_Name:equals:x)or(Email:starts_with:`).flat(400, "INVALID_QUERY")
	c.search("Contacts", "criteria", `(Nonsense:equals:x)`).flat(400, "INVALID_QUERY")
}

func TestBehaviour19NewRecordsReachTheSearchIndexLate(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t) // fresh: five seconds
	c := connect(t, s, "enterprise", "us")
	id := c.create("Leads", lead("Johnson"))
	c.search("Leads", "phone", "15551234567").wants(204)
	c.get("Leads", id)
	c.coql("select id from Leads where Last_Name = 'Johnson'").wants(200)
	s.Clock.Advance(5001 * time.Millisecond)
	c.search("Leads", "phone", "15551234567").wants(200)

	t.Run("a change is late as well", func(t *testing.T) {
		c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "+15559999999"})).wants(200)
		c.search("Leads", "phone", "15559999999").wants(204)
		c.search("Leads", "phone", "15551234567").wants(200)
		s.Clock.Advance(5001 * time.Millisecond)
		c.search("Leads", "phone", "15559999999").wants(200)
		c.search("Leads", "phone", "15551234567").wants(204)
	})
}

func TestBehaviour20RawPlusIsASpace(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.create("Leads", lead("Johnson"))
	c.do("GET", "/crm/v8/Leads/search?phone=+15551234567", nil).wants(204)
	c.do("GET", "/crm/v8/Leads/search?phone=%2B15551234567", nil).wants(200)
}

func TestBehaviour21PhoneMatchingHasThreeModes(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.create("Leads", object{"Last_Name": "A", "Phone": "(555) 123-4567"})
	for mode, hits := range map[string]map[string]bool{
		"strict": {"(555) 123-4567": true, "5551234567": false, "+15551234567": false},
		"digits": {"(555) 123-4567": true, "5551234567": true, "555.123.4567": true, "+15551234567": false},
		"suffix": {"(555) 123-4567": true, "5551234567": true, "+15551234567": true, "1234567": true, "123-456": false, "+15551234568": false},
	} {
		c.server.Control.Settings(c.org, map[string]any{"phone_match": mode})
		for number, hit := range hits {
			want := 204
			if hit {
				want = 200
			}
			if r := c.search("Leads", "phone", number); r.status != want {
				t.Errorf("%s %s: status %d, want %d", mode, number, r.status, want)
			}
		}
	}
}

func TestBehaviour22ConvertedLeadIsHiddenFromSearchUnlessAskedFor(t *testing.T) {
	t.Parallel()
	c := connected(t)
	id := c.create("Leads", lead("Johnson"))
	contact, _ := c.server.Control.Convert(c.org, id)
	c.search("Leads", "phone", "15551234567").wants(204)
	for _, v := range []string{"both", "true"} {
		r := c.search("Leads", "phone", "15551234567", "converted", v).wants(200)
		if r.at("data", 0, "$converted") != true || r.text("data", 0, "$converted_detail", "contact") != contact || r.text("data", 0, "Converted_Contact", "id") != contact {
			t.Fatalf("converted=%s: %s", v, r.raw)
		}
	}
}

func TestBehaviour23SearchHasLimits(t *testing.T) {
	t.Parallel()
	c := connected(t)
	chain := func(n int) string {
		return "(" + strings.TrimSuffix(strings.Repeat("(Phone:equals:1)or", n), "or") + ")"
	}
	c.search("Leads", "criteria", chain(15)).wants(204)
	c.search("Leads", "criteria", chain(16)).flat(400, "CRITERIA_LIMIT_EXCEEDED")
	c.search("Leads", "criteria", "(Phone:in:"+strings.TrimSuffix(strings.Repeat("1,", 101), ",")+")").flat(400, "INVALID_QUERY")
	c.search("Leads", "criteria", "(Last_Name:equals:"+strings.Repeat("x", 3000)+")").flat(400, "INVALID_REQUEST")
	if r := c.search("Leads", "word", "johnson", "page", "11").flat(400, "LIMIT_REACHED"); r.text("details", "limit") != "2000" {
		t.Fatalf("details: %s", r.raw)
	}
}

func TestBehaviour24COQL(t *testing.T) {
	t.Parallel()
	c := connected(t)
	if r := c.coql("select id from Leads").flat(400, "SYNTAX_ERROR"); r.text("details", "clause") != "where" {
		t.Fatalf("without where: %s", r.raw)
	}
	if r := c.coql("select id from Leads where Last_Name = 'Nobody'").wants(204); r.raw != "" {
		t.Fatalf("no rows: %s", r.raw)
	}
	if r := c.coql("select Nonsense from Leads where Last_Name = 'x'").flat(400, "INVALID_QUERY"); r.text("details", "column_name") != "Nonsense" {
		t.Fatalf("unknown column: %s", r.raw)
	}

	account := c.create("Accounts", object{"Account_Name": "ABC Corp"})
	sarah := c.create("Contacts", object{"First_Name": "Sarah", "Last_Name": "O'Neil", "Phone": "+15551234567", "Account_Name": object{"id": account}})
	bob := c.create("Contacts", object{"Last_Name": "Bob", "Mobile": "5551234567"})
	d := deal("Fifty seats")
	d["Amount"], d["Contact_Name"] = 50000, object{"id": sarah}
	dealID := c.create("Deals", d)

	for query, want := range map[string][]string{
		`select Last_Name from Contacts where Phone in ('+15551234567','x') or Mobile in ('5551234567')`:                   {sarah, bob},
		`select Last_Name from Contacts where Last_Name = 'O\'Neil'`:                                                       {sarah},
		`select id from Contacts where Account_Name.Account_Name = 'ABC Corp'`:                                             {sarah},
		`select id from Contacts where Account_Name = '` + account + `'`:                                                   {sarah},
		`select id from Contacts where Account_Name.id in ('` + account + `')`:                                             {sarah},
		`select id from Contacts where Account_Name is null`:                                                               {bob},
		`select id from Contacts where Last_Name like '%ob%' order by id desc`:                                             {bob},
		`select id from Contacts where Last_Name not like '%ob%'`:                                                          {sarah},
		`select id from Contacts where (Last_Name != 'x' and Phone is not null) and Email is null`:                         {sarah},
		`select id from Contacts where Last_Name not in ('Bob')`:                                                           {sarah},
		`select id from Contacts where Created_Time >= '2020-01-01T00:00:00+00:00' order by Last_Name asc limit 1`:         {bob},
		`select id from Contacts where Created_Time > '2020-01-01T00:00:00Z' order by Last_Name limit 1,5`:                 {sarah},
		`select id from Contacts where Last_Name != 'x' order by Last_Name limit 5 offset 1`:                               {sarah},
		`select id from Deals where Amount between 40000 and 60000`:                                                        {dealID},
		`select id, Stage from Deals where (Contact_Name.id = '` + sarah + `' and (Stage = 'x' or Stage='Qualification'))`: {dealID},
		`SELECT id FROM deals WHERE Closing_Date <= '2026-12-31'`:                                                          {dealID},
	} {
		r := c.coql(query).wants(200)
		var got []string
		for i := range r.at("data").([]any) {
			got = append(got, r.text("data", i, "id"))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if r := c.coql("select Last_Name, Account_Name, Account_Name.Account_Name, Owner.email from Contacts where id = '" + sarah + "'").wants(200); r.text("data", 0, "Account_Name", "id") != account ||
		r.text("data", 0, "Account_Name.Account_Name") != "ABC Corp" || !strings.Contains(r.text("data", 0, "Owner.email"), "@") || r.text("info", "count") != "1" {
		t.Errorf("dotted columns: %s", r.raw)
	}
	if r := c.coql("select id from Contacts where Last_Name != 'x' limit 1").wants(200); r.at("info", "more_records") != true {
		t.Errorf("more_records: %s", r.raw)
	}
	for query, code := range map[string]string{
		`select id from Contacts where Last_Name = 'a' and Phone = 'b' and Email = 'c'`:     "SYNTAX_ERROR", // brackets
		`select id from Contacts where Last_Name = 'unclosed`:                               "SYNTAX_ERROR",
		`select id from Contacts where Last_Name ~ 'x'`:                                     "SYNTAX_ERROR",
		`select id from Contacts where Last_Name = 'x' or 1=1`:                              "SYNTAX_ERROR",
		`select id from Contacts where Last_Name = 'x'; select id from Leads where id = 1`:  "SYNTAX_ERROR",
		`select id from Nothing where id = '1'`:                                             "INVALID_QUERY",
		`select id from Contacts where Last_Name > 'x'`:                                     "INVALID_QUERY",
		`select id from Contacts where Created_Time = 'yesterday'`:                          "INVALID_QUERY",
		`select id from Contacts where Account_Name.Nonsense = 'x'`:                         "INVALID_QUERY",
		`select id from Contacts where Last_Name = 'x' limit 0`:                             "INVALID_DATA",
		`select id from Contacts where Last_Name = 'x' limit 2001`:                          "LIMIT_EXCEEDED",
		`select id from Contacts where Phone in (` + strings.Repeat("'1',", 100) + `'1')`:   "LIMIT_EXCEEDED",
		`select id from Contacts where Last_Name = 'x' order by Nonsense`:                   "INVALID_QUERY",
		`select id from Contacts where Email between 'a' and 'b'`:                           "INVALID_QUERY",
		`delete from Contacts where id = '1'`:                                               "SYNTAX_ERROR",
		`select id from Contacts where Last_Name = x`:                                       "SYNTAX_ERROR",
		`select id from Contacts where (Last_Name = 'x'`:                                    "SYNTAX_ERROR",
		`select id from Contacts where Last_Name = 'x' and (Phone = 'a' or Email = 'b') or`: "SYNTAX_ERROR",
	} {
		if r := c.coql(query); r.status != 400 || r.text("code") != code {
			t.Errorf("%s: %d %s, want %s", query, r.status, r.raw, code)
		}
	}
	c.do("POST", "/crm/v8/coql", object{}).flat(400, "MANDATORY_NOT_FOUND")
	c.server.Control.Settings(c.org, map[string]any{"loose_coql_brackets": true})
	c.coql(`select id from Contacts where Last_Name != 'a' and Phone != 'b' and Email is null`).wants(200)
}

func TestBehaviour24COQLNamesWhatItRefuses(t *testing.T) {
	t.Parallel()
	c := connected(t)
	for query, want := range map[string]string{
		`select id from Contacts where Email between 'a' and 'b'`:  `{"column_name":"Email"}`,
		`select id from Contacts where Last_Name > 'x'`:            `{"column_name":"Last_Name","operator":">","reason":"invalid operator found"}`,
		`select id from Contacts where Created_Time = 'yesterday'`: `{"column_name":"Created_Time","cv_criteria":false,"operator":"=","value":"yesterday"}`,
	} {
		if r := c.coql(query).flat(400, "INVALID_QUERY"); !strings.Contains(r.raw, `"details":`+want) {
			t.Errorf("%s: %s", query, r.raw)
		}
	}
}

func TestBehaviour25LeadIsAdded(t *testing.T) {
	t.Parallel()
	c := connected(t)
	r := c.do("POST", "/crm/v8/Leads", data(lead("Johnson"))).wants(201)
	d := func(k ...any) string { return r.text(append([]any{"data", 0}, k...)...) }
	if d("code") != "SUCCESS" || d("message") != "record added" || d("status") != "success" || len(d("details", "id")) < 17 || d("details", "$approval_state") != "approved" {
		t.Fatalf("answer: %s", r.raw)
	}
	if d("details", "Created_By", "name") != "Alex Morgan" || d("details", "Modified_By", "id") == "" {
		t.Fatalf("the writer is not the token's user: %s", r.raw)
	}
	at, err := time.Parse("2006-01-02T15:04:05-07:00", d("details", "Created_Time"))
	if err != nil {
		t.Fatal(err)
	}
	zone, _ := time.LoadLocation("America/New_York")
	if want := at.In(zone).Format("-07:00"); !strings.HasSuffix(d("details", "Created_Time"), want) {
		t.Fatalf("%s is not in the organisation's zone (%s)", d("details", "Created_Time"), want)
	}
	back := c.get("Leads", d("details", "id"))
	if back.text("data", 0, "Full_Name") != "Johnson" || back.text("data", 0, "Owner", "name") != "Alex Morgan" {
		t.Fatalf("record: %s", back.raw)
	}
}

func TestBehaviour26LeadWithoutANameIsRefused(t *testing.T) {
	t.Parallel()
	c := connected(t)
	r := c.do("POST", "/crm/v8/Leads", data(object{"Phone": "5551234567"})).refuses("MANDATORY_NOT_FOUND", "Last_Name")
	if r.text("data", 0, "details", "json_path") != "$.data[0].Last_Name" || r.text("data", 0, "status") != "error" {
		t.Fatalf("details: %s", r.raw)
	}
	c.do("POST", "/crm/v8/Leads", data(object{"First_Name": "Sarah"})).refuses("MANDATORY_NOT_FOUND", "Last_Name")
	t.Run("one of two names is enough, where the setting says so", func(t *testing.T) {
		c.server.Control.Settings(c.org, map[string]any{"first_name_enough": true})
		c.create("Leads", object{"First_Name": "Sarah"})
		c.do("POST", "/crm/v8/Leads", data(object{"Phone": "5551234567"})).refuses("MANDATORY_NOT_FOUND", "Last_Name")
		c.server.Control.Settings(c.org, map[string]any{"first_name_enough": false})
	})
	t.Run("v2 says 202 and no json_path", func(t *testing.T) {
		r := c.do("POST", "/crm/v2/Leads", data(object{"Phone": "5551234567"})).wants(202)
		if r.text("data", 0, "code") != "MANDATORY_NOT_FOUND" || r.at("data", 0, "details", "json_path") != nil {
			t.Fatalf("v2: %s", r.raw)
		}
	})
	t.Run("what a setting makes mandatory is refused too", func(t *testing.T) {
		c.server.Control.Settings(c.org, map[string]any{"required": map[string][]string{"Leads": {"Industry"}}})
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).refuses("MANDATORY_NOT_FOUND", "Industry")
		c.do("POST", "/crm/v8/Leads", data(object{"Industry": "Service Provider"})).refuses("MANDATORY_NOT_FOUND", "Last_Name")
		r := c.do("POST", "/crm/v8/Leads", data(object{"Phone": "1"})).refuses("MULTIPLE_OR_MULTI_ERRORS", "")
		if r.text("data", 0, "details", "errors", 1, "details", "api_name") != "Industry" {
			t.Fatalf("several errors: %s", r.raw)
		}
	})
}

func TestBehaviour27MixedResultsAndTooMany(t *testing.T) {
	t.Parallel()
	c := connected(t)
	r := c.do("POST", "/crm/v8/Leads", data(object{"Phone": "1234567"}, lead("Good"))).wants(207)
	if r.text("data", 0, "code") != "MANDATORY_NOT_FOUND" || r.text("data", 1, "code") != "SUCCESS" {
		t.Fatalf("order: %s", r.raw)
	}
	many := make([]object, 101)
	for i := range many {
		many[i] = lead("x")
	}
	if r := c.do("POST", "/crm/v8/Leads", data(many...)).flat(400, "LIMIT_EXCEEDED"); r.text("details", "maximum_length") != "100" {
		t.Fatalf("details: %s", r.raw)
	}
	if n := c.server.Control.Stats(c.org).Records["Leads"]; n != 1 {
		t.Fatalf("%d leads", n)
	}
}

func TestBehaviour28NamedLayoutBringsItsRequiredFields(t *testing.T) {
	t.Parallel()
	c := connected(t)
	layout := c.do("GET", "/crm/v8/settings/layouts?module=Leads", nil).wants(200).text("layouts", 0, "id")
	l := lead("Johnson")
	l["Layout"] = object{"id": layout}
	c.do("POST", "/crm/v8/Leads", data(l)).refuses("MANDATORY_NOT_FOUND", "Company")
	delete(l, "Layout")
	c.do("POST", "/crm/v8/Leads", data(l)).wants(201)
}

func TestBehaviour29TypesAndLengths(t *testing.T) {
	t.Parallel()
	c := connected(t)
	for _, x := range []struct {
		module, field string
		value         any
		detail, want  string
	}{
		{"Leads", "Last_Name", strings.Repeat("x", 81), "maximum_length", "80"},
		{"Leads", "Description", strings.Repeat("é", 32001), "maximum_length", "32000"},
		{"Leads", "Last_Name", 7, "expected_data_type", "text"},
		{"Leads", "Email", "not an address", "expected_data_type", "email"},
		{"Leads", "Phone", "☎", "expected_data_type", "phone"},
		{"Leads", "No_of_Employees", "50", "expected_data_type", "integer"},
		{"Leads", "Email_Opt_Out", "true", "expected_data_type", "boolean"},
		{"Leads", "Owner", "me", "expected_data_type", "jsonobject"},
		{"Deals", "Amount", "50000", "expected_data_type", "double"},
		{"Deals", "Amount", "$50K", "expected_data_type", "double"},
		{"Deals", "Closing_Date", "Q1", "expected_data_type", "date"},
		{"Deals", "Contact_Name", "x", "expected_data_type", "jsonobject"},
	} {
		record := lead("Johnson")
		if x.module == "Deals" {
			record = deal("x")
		}
		record[x.field] = x.value
		r := c.do("POST", "/crm/v8/"+x.module, data(record)).refuses("INVALID_DATA", x.field)
		if got := r.text("data", 0, "details", x.detail); got != x.want {
			t.Errorf("%s %v: %s", x.field, x.value, r.raw)
		}
	}
	unknown := lead("Johnson")
	unknown["Call_Summary"] = "x"
	unknown["Description"] = strings.Repeat("é", 32000)
	if back := c.get("Leads", c.create("Leads", unknown)); strings.Contains(back.raw, "Call_Summary") {
		t.Errorf("an unknown key was kept: %s", back.raw)
	}
	ghost := deal("x")
	ghost["Contact_Name"] = object{"id": "5725767000000999999"}
	c.do("POST", "/crm/v8/Deals", data(ghost)).refuses("INVALID_DATA", "Contact_Name")
}

func TestBehaviour30UnknownPicklistValueIsAddedToTheList(t *testing.T) {
	t.Parallel()
	c := connected(t)
	l := lead("Johnson")
	l["Lead_Source"] = "Inbound Call"
	c.create("Leads", l)
	if r := c.do("GET", "/crm/v8/settings/fields?module=Leads", nil).wants(200); !strings.Contains(r.raw, `"actual_value":"Inbound Call"`) {
		t.Fatal("the value is not in the metadata")
	}
	c.server.Control.Settings(c.org, map[string]any{"strict_picklists": true})
	c.do("POST", "/crm/v8/Leads", data(l)).wants(201)
	l["Lead_Source"] = "Outbound Call"
	c.do("POST", "/crm/v8/Leads", data(l)).refuses("INVALID_DATA", "Lead_Source")
}

func TestBehaviour31UniqueFieldsAndUpsert(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.server.Control.Settings(c.org, map[string]any{"unique": map[string][]string{"Calls": {"Hookline_Ref"}}})
	if r := c.do("GET", "/crm/v8/settings/fields?module=Calls", nil).wants(200); !strings.Contains(r.raw, `"api_name":"Hookline_Ref"`) || !strings.Contains(r.raw, `"unique":{"case_sensitive":false}`) {
		t.Fatalf("the unique field is not in the metadata")
	}
	id := c.create("Calls", call(object{"Hookline_Ref": "hk-1"}))
	r := c.do("POST", "/crm/v8/Calls", data(call(object{"Hookline_Ref": "HK-1"}))).refuses("DUPLICATE_DATA", "Hookline_Ref")
	if r.text("data", 0, "details", "id") != id || r.text("data", 0, "details", "duplicate_record", "id") != id || r.text("data", 0, "details", "duplicate_record", "module", "api_name") != "Calls" {
		t.Fatalf("details: %s", r.raw)
	}
	if r := c.coql("select id from Calls where Hookline_Ref = 'hk-1'").wants(200); r.text("data", 0, "id") != id {
		t.Fatalf("by reference: %s", r.raw)
	}
	// Two in one request clash as well.
	c.do("POST", "/crm/v8/Calls", data(call(object{"Hookline_Ref": "hk-2"}), call(object{"Hookline_Ref": "hk-2"}))).wants(207)

	first := c.do("POST", "/crm/v8/Contacts/upsert", data(object{"Last_Name": "Johnson", "Email": "s@abc.example"})).wants(200)
	again := c.do("POST", "/crm/v8/Contacts/upsert", data(object{"Last_Name": "Jonson", "Email": "S@abc.example"})).wants(200)
	if first.text("data", 0, "action") != "insert" || again.text("data", 0, "action") != "update" || again.text("data", 0, "duplicate_field") != "Email" ||
		again.text("data", 0, "details", "id") != first.text("data", 0, "details", "id") {
		t.Fatalf("upsert: %s %s", first.raw, again.raw)
	}
	lead1 := c.do("POST", "/crm/v8/Leads/upsert", data(lead("A"), lead("A"))).wants(200) // no Email: always inserts
	if lead1.text("data", 1, "action") != "insert" {
		t.Fatalf("upsert without e-mail: %s", lead1.raw)
	}
}

func TestBehaviour32DealsNeedPipelineAndItsStage(t *testing.T) {
	t.Parallel()
	c := connected(t)
	d := deal("x")
	delete(d, "Pipeline")
	c.do("POST", "/crm/v8/Deals", data(d)).refuses("MANDATORY_NOT_FOUND", "Pipeline")
	d = deal("x")
	d["Stage"] = "Proposal"
	if r := c.do("POST", "/crm/v8/Deals", data(d)).refuses("MAPPING_MISMATCH", "Stage"); r.text("data", 0, "details", "mapped_field") != "Pipeline" {
		t.Fatalf("details: %s", r.raw)
	}
	d["Stage"], d["Pipeline"] = "Qualification", "Other"
	c.do("POST", "/crm/v8/Deals", data(d)).refuses("MAPPING_MISMATCH", "Pipeline")

	layout := c.do("GET", "/crm/v8/settings/layouts?module=Deals", nil).wants(200).text("layouts", 0, "id")
	p := c.do("GET", "/crm/v8/settings/pipeline?layout_id="+layout, nil).wants(200)
	if p.text("pipeline", 0, "actual_value") != "Standard (Standard)" || p.text("pipeline", 0, "maps", 6, "forecast_type") != "Closed Won" || p.at("pipeline", 0, "default") != true {
		t.Fatalf("pipeline: %s", p.raw)
	}
	c.do("GET", "/crm/v8/settings/pipeline?layout_id=1", nil).flat(400, "INVALID_DATA")

	id := c.create("Deals", deal("x"))
	c.do("PUT", "/crm/v8/Deals/"+id, data(object{"Stage": "Closed Won"})).wants(200)
	if back := c.get("Deals", id); back.text("data", 0, "Stage") != "Closed Won" || back.text("data", 0, "Probability") != "100" {
		t.Fatalf("moved: %s", back.raw)
	}
}

func TestBehaviour33BlueprintOwnsItsField(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.server.Control.Settings(c.org, map[string]any{"blueprint": map[string]string{"Deals": "Stage"}})
	id := c.create("Deals", deal("x"))
	c.do("PUT", "/crm/v8/Deals/"+id, data(object{"Stage": "Needs Analysis"})).refuses("RECORD_IN_BLUEPRINT", "")
	c.do("PUT", "/crm/v8/Deals/"+id, data(object{"Next_Step": "call"})).wants(200)

	path := "/crm/v8/Deals/" + id + "/actions/blueprint"
	move := func() string {
		b := c.do("GET", path, nil).wants(200)
		if b.at("blueprint", "transitions", 1) != nil {
			t.Fatalf("transitions of other states are listed: %s", b.raw)
		}
		return c.do("PUT", path, object{"blueprint": []object{{"transition_id": b.text("blueprint", "transitions", 0, "id"), "data": object{}}}}).wants(200).text("message")
	}
	for range 4 {
		if m := move(); m != "transition updated successfully" {
			t.Fatal(m)
		}
	}
	if m := move(); m != "transition saved partially" { // into Negotiation/Review: Amount is wanted
		t.Fatal(m)
	}
	if got := c.get("Deals", id).text("data", 0, "Stage"); got != "Proposal/Price Quote" {
		t.Fatalf("the stage moved to %s", got)
	}
	b := c.do("GET", path, nil).wants(200)
	if b.text("blueprint", "process_info", "api_name") != "Stage" || b.text("blueprint", "process_info", "field_value") != "Proposal/Price Quote" ||
		b.text("blueprint", "transitions", 0, "next_field_value") != "Negotiation/Review" || b.text("blueprint", "transitions", 0, "fields", 0, "api_name") != "Amount" || b.at("blueprint", "transitions", 0, "fields", 0, "mandatory") != true {
		t.Fatalf("the transition: %s", b.raw)
	}
	sent := object{"blueprint": []object{{"transition_id": b.text("blueprint", "transitions", 0, "id"), "data": object{"Amount": 5}}}}
	if m := c.do("PUT", path, sent).wants(200).text("message"); m != "transition updated successfully" {
		t.Fatal(m)
	}
	if back := c.get("Deals", id); back.text("data", 0, "Stage") != "Negotiation/Review" || back.text("data", 0, "Amount") != "5" {
		t.Fatalf("moved: %s", back.raw)
	}
	c.do("PUT", path, object{"blueprint": []object{{"transition_id": "1", "data": object{}}}}).flat(400, "INVALID_DATA")
	lead := c.create("Leads", lead("x"))
	c.do("GET", "/crm/v8/Leads/"+lead+"/actions/blueprint", nil).flat(400, "RECORD_NOT_IN_PROCESS")
}

func TestBehaviour34Calls(t *testing.T) {
	t.Parallel()
	c := connected(t)
	contact := c.create("Contacts", object{"Last_Name": "Johnson"})
	leadID := c.create("Leads", lead("Smith"))
	dealID := c.create("Deals", deal("x"))
	for name, more := range map[string]object{
		"answered inbound, known contact": {"Who_Id": object{"id": contact}},
		"contact by bare id":              {"Who_Id": contact, "$se_module": "Contacts"},
		"about a deal":                    {"Who_Id": object{"id": contact}, "What_Id": object{"id": dealID}, "$se_module": "Deals"},
		"inbound from a lead":             {"What_Id": object{"id": leadID}, "$se_module": "Leads"},
		"missed":                          {"Call_Type": "Missed", "Call_Duration": nil},
		"missed with 00:00":               {"Call_Type": "Missed", "Call_Duration": "00:00"},
		"outbound done":                   {"Call_Type": "Outbound", "Outgoing_Call_Status": "Completed"},
		"callback to schedule":            {"Call_Type": "Outbound", "Outgoing_Call_Status": "Scheduled", "Call_Duration": nil, "Call_Start_Time": "2036-01-20T15:00:00+00:00"},
		"start in Z":                      {"Call_Start_Time": "2026-01-20T15:00:00Z"},
		"a result not in the list":        {"Call_Result": "Connected"},
		"withheld":                        {},
	} {
		t.Run(name, func(t *testing.T) { c.create("Calls", call(more)) })
	}
	if got := c.get("Calls", c.create("Calls", call(nil))).text("data", 0, "Call_Duration_in_seconds"); got != "125" {
		t.Errorf("02:05 reads back as %s seconds", got)
	}
	if got := c.get("Calls", c.create("Calls", call(object{"Call_Duration": "75:09"}))).text("data", 0, "Call_Duration_in_seconds"); got != "4509" {
		t.Errorf("75:09 reads back as %s seconds", got)
	}
	for _, x := range []struct {
		name, code, field string
		more              object
	}{
		{"inbound without a duration", "MANDATORY_NOT_FOUND", "Call_Duration", object{"Call_Duration": nil}},
		{"inbound of 00:00", "INVALID_DATA", "Call_Duration", object{"Call_Duration": "00:00"}},
		{"outbound done of 00:00", "INVALID_DATA", "Call_Duration", object{"Call_Type": "Outbound", "Outgoing_Call_Status": "Completed", "Call_Duration": "00:00"}},
		{"seconds for a duration", "INVALID_DATA", "Call_Duration", object{"Call_Duration": "125"}},
		{"another type", "INVALID_DATA", "Call_Type", object{"Call_Type": "Incoming"}},
		{"no type", "MANDATORY_NOT_FOUND", "Call_Type", object{"Call_Type": nil}},
		{"no start", "MANDATORY_NOT_FOUND", "Call_Start_Time", object{"Call_Start_Time": nil}},
		{"start without offset", "INVALID_DATA", "Call_Start_Time", object{"Call_Start_Time": "2026-01-20T15:00:00"}},
		{"start as a number", "INVALID_DATA", "Call_Start_Time", object{"Call_Start_Time": 1768921200}},
		{"a summary for a subject", "INVALID_DATA", "Subject", object{"Subject": strings.Repeat("x", 256)}},
		{"What_Id without its module", "MANDATORY_NOT_FOUND", "$se_module", object{"What_Id": object{"id": dealID}}},
		{"What_Id in another module", "INVALID_DATA", "What_Id", object{"What_Id": object{"id": dealID}, "$se_module": "Leads"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.do("POST", "/crm/v8/Calls", data(call(x.more))).refuses(x.code, x.field)
		})
	}
	t.Run("type and owner stay", func(t *testing.T) {
		id := c.create("Calls", call(nil))
		users := c.do("GET", "/crm/v8/users?type=AllUsers", nil)
		c.do("PUT", "/crm/v8/Calls/"+id, data(object{"Call_Type": "Missed"})).refuses("INVALID_DATA", "Call_Type")
		c.do("PUT", "/crm/v8/Calls/"+id, data(object{"Owner": object{"id": users.text("users", 1, "id")}})).refuses("INVALID_DATA", "Owner")
		c.do("PUT", "/crm/v8/Calls/"+id, data(object{"Description": "late summary"})).wants(200)
	})
}

func TestBehaviour35CallsHangOnDealsAndNeverOnLeadsByWho(t *testing.T) {
	t.Parallel()
	c := connected(t)
	contact := c.create("Contacts", object{"Last_Name": "Johnson"})
	dealID := c.create("Deals", deal("x"))
	leadID := c.create("Leads", lead("Smith"))
	id := c.create("Calls", call(object{"Who_Id": object{"id": contact}, "What_Id": object{"id": dealID}, "$se_module": "Deals"}))
	for _, path := range []string{"/Deals/" + dealID, "/Contacts/" + contact} {
		r := c.do("GET", "/crm/v8"+path+"/Calls?fields=Subject,What_Id", nil).wants(200)
		if r.text("data", 0, "id") != id || r.text("data", 0, "$se_module") != "Deals" {
			t.Fatalf("%s: %s", path, r.raw)
		}
	}
	c.do("GET", "/crm/v8/Leads/"+leadID+"/Calls?fields=Subject", nil).wants(204)
	c.do("POST", "/crm/v8/Calls", data(call(object{"Who_Id": object{"id": leadID}}))).refuses("INVALID_DATA", "Who_Id")
	if back := c.get("Contacts", contact); back.text("data", 0, "Last_Activity_Time") == "" {
		t.Fatalf("no activity on the contact: %s", back.raw)
	}
}

func TestBehaviour36TaskDatesAndMeetingVenues(t *testing.T) {
	t.Parallel()
	c := connected(t)
	r := c.do("POST", "/crm/v8/Tasks", data(object{"Subject": "Call back", "Due_Date": "2026-01-20T15:00:00+00:00"})).refuses("INVALID_DATA", "Due_Date")
	if r.text("data", 0, "details", "expected_data_type") != "date" {
		t.Fatalf("details: %s", r.raw)
	}
	c.create("Tasks", object{"Subject": "Call back", "Due_Date": "2026-01-20", "Remind_At": object{"ALARM": "FREQ=NONE;ACTION=EMAIL;TRIGGER=DATE-TIME:2026-08-28T10:00:00-05:00"}})
	event := object{"Event_Title": "Demo", "Start_DateTime": "2026-01-20T15:00:00+00:00", "End_DateTime": "2026-01-20T16:00:00+00:00",
		"Participants": []object{{"type": "email", "Email": "a@b.example"}}, "Remind_At": []object{{"unit": 15, "period": "minutes"}}}
	c.do("POST", "/crm/v8/Events", data(event)).refuses("MANDATORY_NOT_FOUND", "Meeting_Venue__s")
	event["Meeting_Venue__s"] = "Online"
	c.create("Events", event)
	event["End_DateTime"] = "2026-01-20T14:00:00+00:00"
	c.do("POST", "/crm/v8/Events", data(event)).refuses("INVALID_DATA", "End_DateTime")
}

func TestBehaviour37NotesHangOnRecords(t *testing.T) {
	t.Parallel()
	c := connected(t)
	leadID := c.create("Leads", lead("Smith"))
	made := c.do("POST", "/crm/v8/Leads/"+leadID+"/Notes", data(object{"Note_Title": "Transcript", "Note_Content": "…"})).wants(201)
	if strings.Contains(made.raw, "$approval_state") {
		t.Fatalf("a note is not approved: %s", made.raw)
	}
	if back := c.get("Notes", made.text("data", 0, "details", "id")); back.text("data", 0, "Parent_Id", "module", "id") == "" {
		t.Fatalf("a note names its parent's module by id as well: %s", back.raw)
	}
	c.do("POST", "/crm/v8/Notes", data(object{"Note_Content": "…", "Parent_Id": object{"module": object{"api_name": "Leads"}, "id": leadID}})).wants(201)
	r := c.do("POST", "/crm/v8/Leads/"+leadID+"/Notes", data(object{})).refuses("EXPECTED_FIELD_MISSING", "")
	if r.text("data", 0, "details", "expected_fields", 0, "api_name") == "" {
		t.Fatalf("details: %s", r.raw)
	}
	c.do("POST", "/crm/v8/Notes", data(object{"Note_Content": "…"})).refuses("MANDATORY_NOT_FOUND", "Parent_Id")
	c.do("POST", "/crm/v8/Leads/"+leadID+"/Notes", data(object{"Note_Title": strings.Repeat("x", 121)})).refuses("INVALID_DATA", "Note_Title")
	if r := c.do("GET", "/crm/v8/Leads/"+leadID+"/Notes?fields=Note_Title,Note_Content", nil).wants(200); r.text("info", "count") != "2" {
		t.Fatalf("notes: %s", r.raw)
	}
}

func TestBehaviour37AttachmentsHangOnRecords(t *testing.T) {
	t.Parallel()
	c := connected(t)
	id := c.create("Leads", lead("Smith"))
	path := "/crm/v8/Leads/" + id + "/Attachments"
	c.do("GET", path+"?fields=File_Name", nil).wants(204)
	made := c.upload(path, "call.mp3", "ring ring").wants(200)
	if made.text("data", 0, "message") != "attachment uploaded successfully" || len(made.text("data", 0, "details", "id")) < 17 {
		t.Fatalf("uploaded: %s", made.raw)
	}
	c.form(path, "attachmentUrl", "https://calls.example/1.mp3", "title", "Recording").wants(200)
	r := c.do("GET", path+"?fields=File_Name", nil).wants(200)
	if r.text("info", "count") != "2" || r.text("data", 1, "File_Name") != "call.mp3" || r.text("data", 1, "Size") != "9" || r.text("data", 0, "$link_url") != "https://calls.example/1.mp3" || r.text("data", 0, "File_Name") != "Recording" {
		t.Fatalf("listed: %s", r.raw)
	}
	file := made.text("data", 0, "details", "id")
	if back := c.do("GET", path+"/"+file, nil).wants(200); back.raw != "ring ring" || back.header.Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("downloaded: %q %v", back.raw, back.header)
	}
	c.do("GET", path+"/"+r.text("data", 0, "id"), nil).flat(400, "DOWNLOAD_NOT_ALLOWED")
	c.do("DELETE", path+"/"+file, nil).wants(200)
	c.do("GET", path+"/"+file, nil).flat(400, "INVALID_DATA")
	c.do("DELETE", path+"/"+file, nil).flat(400, "INVALID_DATA")

	c.form(path, "title", "nothing").flat(400, "REQUIRED_PARAM_MISSING")
	c.form(path, "attachmentUrl", "recording").flat(400, "INVALID_DATA")
	c.upload("/crm/v8/Leads/1/Attachments", "x", "y").flat(400, "INVALID_DATA")
	c.do("GET", "/crm/v8/Leads/1/Attachments?fields=File_Name", nil).flat(400, "INVALID_DATA")
	c.server.Control.Settings(c.org, map[string]any{"attachment_bytes": 8})
	c.upload(path, "call.mp3", "ring ring").flat(413, "BODY_SIZE_REACHED")
	c.upload(path, "call.mp3", "ring").wants(200)
}

func TestBehaviour38ConversionHappensOnce(t *testing.T) {
	t.Parallel()
	c := connected(t)
	l := lead("Johnson")
	l["Company"] = "ABC Corp"
	id := c.create("Leads", l)
	callID := c.create("Calls", call(object{"What_Id": object{"id": id}, "$se_module": "Leads"}))
	path := "/crm/v8/Leads/" + id + "/actions/convert"
	c.do("GET", "/crm/v8/Leads/"+id+"/__conversion_options", nil).wants(200)
	c.do("POST", path, data(object{"Deals": object{"Deal_Name": "x", "Closing_Date": "2026-12-31", "Pipeline": "Standard (Standard)", "Stage": "Nowhere"}})).refuses("MAPPING_MISMATCH", "Stage")
	c.upload("/crm/v8/Leads/"+id+"/Attachments", "call.mp3", "ring").wants(200)
	r := c.do("POST", path, data(object{
		"Deals":               object{"Deal_Name": "x", "Closing_Date": "2026-12-31", "Pipeline": "Standard (Standard)", "Stage": "Qualification"},
		"move_attachments_to": object{"api_name": "Deals"}, "carry_over_tags": object{"Deals": []string{"Hookline"}},
	})).wants(200)
	contact := r.text("data", 0, "details", "Contacts", "id")
	if contact == "" || r.text("data", 0, "details", "Accounts", "name") != "ABC Corp" || r.text("data", 0, "details", "Deals", "id") == "" ||
		r.text("data", 0, "message") != "The record has been converted successfully" {
		t.Fatalf("convert: %s", r.raw)
	}
	made := r.text("data", 0, "details", "Deals", "id")
	if got := c.do("GET", "/crm/v8/Deals/"+made+"/Attachments?fields=File_Name", nil).wants(200); got.text("data", 0, "File_Name") != "call.mp3" {
		t.Fatalf("the lead's file did not move along: %s", got.raw)
	}
	if got := c.get("Deals", made).text("data", 0, "Tag", 0, "name"); got != "Hookline" {
		t.Fatalf("the lead's tag was not carried over: %q", got)
	}
	c.do("POST", path, data(object{})).flat(400, "ID_ALREADY_CONVERTED")
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "1234567"})).refuses("CONVERTED_RECORD", "")
	if back := c.get("Calls", callID); back.text("data", 0, "Who_Id", "id") != contact {
		t.Fatalf("the lead's call did not move along: %s", back.raw)
	}
	if got := c.server.Control.Stats(c.org).Records; got["Contacts"] != 1 || got["Accounts"] != 1 || got["Deals"] != 1 {
		t.Fatalf("records: %v", got)
	}
}

func TestBehaviour39AssignmentRulesByEdition(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	free := connect(t, s, "free", "us")
	free.do("GET", "/crm/v8/settings/automation/assignment_rules?module=Leads", nil).flat(400, "FEATURE_NOT_SUPPORTED")
	c := connect(t, s, "standard", "us")
	list := c.do("GET", "/crm/v8/settings/automation/assignment_rules?module=Leads", nil).wants(200)
	rule, assignee := list.text("assignment_rules", 0, "id"), list.text("assignment_rules", 0, "default_assignee", "id")
	c.do("GET", "/crm/v8/settings/automation/assignment_rules/"+rule+"?module=Leads", nil).wants(200)
	c.do("GET", "/crm/v8/settings/automation/assignment_rules/1?module=Leads", nil).wants(204)
	c.do("GET", "/crm/v8/settings/automation/assignment_rules?module=Calls", nil).wants(204)
	id := c.do("POST", "/crm/v8/Leads", object{"data": []object{lead("x")}, "lar_id": rule}).wants(201).text("data", 0, "details", "id")
	if owner := c.get("Leads", id).text("data", 0, "Owner", "id"); owner != assignee || owner == "" {
		t.Fatalf("the rule gave the Lead to %s, not to %s", owner, assignee)
	}
	if owner := c.get("Leads", c.create("Leads", lead("y"))).text("data", 0, "Owner", "id"); owner == assignee {
		t.Fatal("a rule ran that nobody asked for")
	}
	if r := c.do("POST", "/crm/v8/Leads", object{"data": []object{lead("x")}, "lar_id": "1"}).flat(400, "INVALID_DATA"); r.text("details", "api_name") != "lar_id" {
		t.Fatalf("details: %s", r.raw)
	}
}

func TestBehaviour39WorkflowRulesRunUnlessTheTriggerSaysNo(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.server.Control.Settings(c.org, map[string]any{"workflow": []object{
		{"module": "Leads", "task": "Greet the new Lead"},
		{"module": "Leads", "on": "edit", "set": object{"Rating": "Active", "No_of_Employees": 7}},
	}})
	write := func(method string, trigger any, record object) string {
		body := data(record)
		if trigger != "absent" {
			body["trigger"] = trigger
		}
		return c.do(method, "/crm/v8/Leads", body).text("data", 0, "details", "id")
	}
	tasks := func(lead string) int {
		r := c.do("GET", "/crm/v8/Leads/"+lead+"/Tasks?fields=Subject", nil)
		if r.status == 204 {
			return 0
		}
		if r.text("data", 0, "Subject") != "Greet the new Lead" {
			t.Fatalf("task: %s", r.raw)
		}
		return len(r.at("data").([]any))
	}
	for name, x := range map[string]struct {
		trigger any
		tasks   int
	}{
		"absent": {"absent", 1}, "null": {nil, 1}, "workflow": {[]string{"workflow"}, 1}, "nothing": {[]string{}, 0}, "another": {[]string{"approval"}, 0},
	} {
		id := write("POST", x.trigger, lead("Johnson"))
		if got := tasks(id); got != x.tasks {
			t.Errorf("trigger %s: %d tasks, want %d", name, got, x.tasks)
		}
		write("PUT", x.trigger, object{"id": id, "City": "Austin"})
		if got := c.get("Leads", id).text("data", 0, "Rating"); (got == "Active") != (x.tasks == 1) {
			t.Errorf("trigger %s: a field set on edit is %q", name, got)
		}
	}
	c.do("POST", "/crm/v8/Leads", object{"data": []object{lead("x")}, "trigger": "workflow"}).flat(400, "INVALID_DATA")
	c.do("POST", "/crm/v8/Leads", object{"data": []object{lead("x")}, "trigger": []string{"magic"}}).flat(400, "INVALID_DATA")
	lines := c.server.Control.Ledger(0)
	last := lines[0]
	for _, l := range lines {
		if l.Method == "POST" && len(l.Effects) == 2 {
			last = l
		}
	}
	if e := last.Effects; len(e) != 2 || e[0].Action != "created" || e[1].Module != "Tasks" || e[1].Action != "created by workflow" {
		t.Errorf("the ledger does not tell the rule's work from the request's: %v", last)
	}
}

func TestBehaviour40LimitsOfAnEdition(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	t.Run("credits, with three bodies, and what remains past half", func(t *testing.T) {
		c := connect(t, s, "free", "us")
		s.Control.Settings(c.org, map[string]any{"credits": 4})
		for i := range 4 {
			r := c.do("GET", "/crm/v8/org", nil).wants(200)
			want := map[int]string{2: "1", 3: "0"}[i]
			if got := r.header.Get("X-API-CREDITS-REMAINING"); got != want {
				t.Fatalf("after %d calls: remaining %q, want %q", i+1, got, want)
			}
		}
		c.do("GET", "/crm/v8/org", nil).flat(429, "TOO_MANY_REQUESTS")
		s.Control.Settings(c.org, map[string]any{"style_429": "number"})
		c.do("GET", "/crm/v8/org", nil).flat(429, "429")
		s.Control.Settings(c.org, map[string]any{"style_429": "rate_limit"})
		c.do("GET", "/crm/v8/org", nil).flat(429, "RATE_LIMIT_EXCEEDED")
		s.Clock.Advance(23*time.Hour + 58*time.Minute)
		c.tokens.Access = refresh(t, s, "", c.tokens.Refresh).text("access_token")
		c.do("GET", "/crm/v8/org", nil).wants(429)
		s.Clock.Advance(2 * time.Minute)
		c.tokens.Access = refresh(t, s, "", c.tokens.Refresh).text("access_token")
		c.do("GET", "/crm/v8/org", nil).wants(200) // used a day ago
	})
	t.Run("calls at once, and heavy ones", func(t *testing.T) {
		c := connect(t, s, "enterprise", "us")
		parallel := func(n int, do func() reply) (refused int) {
			s.Control.Faults(c.org, sandboxtest.Fault{LatencyMS: 300})
			defer s.Control.ClearFaults(c.org)
			got := make(chan int, n)
			for range n {
				go func() { got <- do().status }()
			}
			for range n {
				if <-got == 429 {
					refused++
				}
			}
			return refused
		}
		free := connect(t, s, "free", "us")
		s.Control.Faults(free.org, sandboxtest.Fault{LatencyMS: 300})
		if n := parallel(7, func() reply { return free.do("GET", "/crm/v8/org", nil) }); n != 2 {
			t.Errorf("%d of 7 calls refused in the free edition, want 2", n)
		}
		s.Control.Settings(c.org, map[string]any{"concurrency": 3})
		if n := parallel(5, func() reply { return c.do("GET", "/crm/v8/org", nil) }); n != 2 {
			t.Errorf("%d of 5 calls refused, want 2", n)
		}
		s.Control.Settings(c.org, map[string]any{"concurrency": 0})
		if n := parallel(11, func() reply { return c.coql("select id from Leads where id = '1'") }); n != 1 {
			t.Errorf("%d of 11 COQL calls refused, want 1", n)
		}
		if got := s.Control.Stats(c.org).PeakConcurrency; got != 10 {
			t.Errorf("peak %d, want 10", got)
		}
	})
	t.Run("costs", func(t *testing.T) {
		c := connect(t, s, "enterprise", "us")
		used := func(do func()) int {
			before := s.Control.Stats(c.org).CreditsUsed
			do()
			return s.Control.Stats(c.org).CreditsUsed - before
		}
		leads := func(n int) object {
			var out []object
			for range n {
				out = append(out, lead("x"))
			}
			return data(out...)
		}
		var id string
		for i, do := range []func(){
			func() { id = c.do("POST", "/crm/v8/Leads", leads(10)).wants(201).text("data", 0, "details", "id") },
			func() { c.do("POST", "/crm/v8/Leads", leads(11)).wants(201) },
			func() { c.coql("select id from Leads where Last_Name = 'x' limit 2000").wants(200) },
		} {
			if got, want := used(do), i+1; got != want {
				t.Errorf("%d credits, want %d", got, want)
			}
		}
		if got := used(func() { c.do("POST", "/crm/v8/Leads/"+id+"/actions/convert", data(object{})).wants(200) }); got != 5 {
			t.Errorf("convert: %d credits", got)
		}
	})
}

func TestBehaviour42RecordsThatChangedOrAreGone(t *testing.T) {
	t.Parallel()
	c := connected(t)
	id := c.create("Leads", lead("Johnson"))
	c.header.Set("If-Unmodified-Since", "2020-01-20T10:00:00+00:00")
	if r := c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "1234567"})).wants(412); r.text("data", 0, "code") != "ALREADY_MODIFIED" || r.text("data", 0, "details", "id") != id {
		t.Fatalf("stale: %s", r.raw)
	}
	c.header.Set("If-Unmodified-Since", time.Now().Add(time.Hour).Format(time.RFC3339))
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "1234567"})).wants(200)
	c.header.Del("If-Unmodified-Since")
	c.do("DELETE", "/crm/v8/Leads/"+id, nil).wants(200)
	c.do("POST", "/crm/v8/Calls", data(call(object{"What_Id": object{"id": id}, "$se_module": "Leads"}))).refuses("INVALID_DATA", "What_Id")
	c.do("DELETE", "/crm/v8/Leads/"+id, nil).flat(400, "INVALID_DATA")
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "1234567"})).refuses("INVALID_DATA", "")
	c.do("PUT", "/crm/v8/Leads", data(object{"id": id, "Phone": "1234567"})).refuses("INVALID_DATA", "id")
	c.do("GET", "/crm/v8/Leads/"+id, nil).wants(204)
}

func TestBehaviour42LockedRecordsRefuseEveryChange(t *testing.T) {
	t.Parallel()
	c := connected(t)
	c.server.Control.Settings(c.org, map[string]any{"blueprint": map[string]string{"Deals": "Stage"}})
	dealID, leadID := c.create("Deals", deal("x")), c.create("Leads", lead("Johnson"))
	deals, leads := "/crm/v8/Deals/"+dealID, "/crm/v8/Leads/"+leadID
	transition := c.do("GET", deals+"/actions/blueprint", nil).text("blueprint", "transitions", 0, "id")
	lock := func(locked bool) {
		c.server.Control.Patch(c.org, "Deals", dealID, sandboxtest.Record{"$locked": locked})
		c.server.Control.Patch(c.org, "Leads", leadID, sandboxtest.Record{"$locked": locked})
	}
	lock(true)
	if c.get("Deals", dealID).at("data", 0, "$locked_for_me") != true {
		t.Error("a locked record does not say so")
	}
	c.do("PUT", deals, data(object{"Amount": 5})).refuses("RECORD_LOCKED", "")
	c.do("PUT", "/crm/v8/Leads", data(object{"id": leadID, "City": "Austin"})).refuses("RECORD_LOCKED", "")
	c.do("DELETE", deals, nil).flat(400, "RECORD_LOCKED")
	c.do("PUT", deals+"/actions/blueprint", object{"blueprint": []object{{"transition_id": transition, "data": object{}}}}).flat(400, "RECORD_LOCKED")
	c.do("POST", deals+"/actions/add_tags", object{"tags": []object{{"name": "x"}}}).flat(400, "RECORD_LOCKED")
	c.do("POST", leads+"/actions/convert", data(object{})).flat(400, "RECORD_LOCKED")
	if r := c.do("POST", "/crm/v8/Calls", data(call(object{"What_Id": object{"id": dealID}, "$se_module": "Deals"}))); r.status != 201 {
		t.Errorf("a call on a locked Deal is no change of the Deal: %s", r.raw)
	}
	lock(false)
	c.do("PUT", deals, data(object{"Amount": 5})).wants(200)
	c.do("DELETE", leads, nil).wants(200)
}

func TestBehaviour42DeletedAndMergedTargets(t *testing.T) {
	t.Parallel()
	c := connected(t)
	control := c.server.Control
	account := c.create("Accounts", object{"Account_Name": "ABC Corp"})
	stays := c.create("Contacts", object{"Last_Name": "Johnson", "Phone": "5551234567"})
	goes := c.create("Contacts", object{"Last_Name": "Johnson", "Mobile": "5557654321", "Account_Name": object{"id": account}})
	d := deal("x")
	d["Contact_Name"], d["Account_Name"] = object{"id": goes}, object{"id": account}
	dealID := c.create("Deals", d)
	c.do("PUT", "/crm/v8/Deals/"+dealID+"/Contact_Roles/"+goes, data(object{"id": goes})).wants(200)
	callID := c.create("Calls", call(object{"Who_Id": object{"id": goes}}))
	note := c.do("POST", "/crm/v8/Contacts/"+goes+"/Notes", data(object{"Note_Content": "…"})).text("data", 0, "details", "id")

	control.Merge(c.org, "Contacts", goes, stays)
	c.do("GET", "/crm/v8/Contacts/"+goes, nil).wants(204)
	c.search("Contacts", "phone", "5557654321").wants(200) // the number came along
	for where, got := range map[string]string{
		"call": c.get("Calls", callID).text("data", 0, "Who_Id", "id"), "deal": c.get("Deals", dealID).text("data", 0, "Contact_Name", "id"), "note": c.get("Notes", note).text("data", 0, "Parent_Id", "id"),
		"role": c.do("GET", "/crm/v8/Deals/"+dealID+"/Contact_Roles?fields=Full_Name", nil).text("data", 0, "id"),
	} {
		if got != stays {
			t.Errorf("the %s leads to %q, not to the contact that stays", where, got)
		}
	}
	c.do("PUT", "/crm/v8/Contacts/"+goes, data(object{"Phone": "1"})).refuses("INVALID_DATA", "")
	c.do("POST", "/crm/v8/Calls", data(call(object{"Who_Id": object{"id": goes}}))).refuses("INVALID_DATA", "Who_Id")

	// Deleting leaves lookups empty, and refuses new ones.
	control.Delete(c.org, "Accounts", account)
	if got := c.get("Deals", dealID).at("data", 0, "Account_Name"); got != nil {
		t.Errorf("a lookup to a deleted record shows %v", got)
	}
	for _, api := range []string{"Account_Name", "Contact_Name"} {
		ghost := deal("y")
		ghost[api] = object{"id": map[string]string{"Account_Name": account, "Contact_Name": goes}[api]}
		c.do("POST", "/crm/v8/Deals", data(ghost)).refuses("INVALID_DATA", api)
	}
}

func TestMetadataNamesWhatClientsAskFor(t *testing.T) {
	t.Parallel()
	c := connected(t)
	for i := range c.do("GET", "/crm/v8/settings/modules", nil).wants(200).at("modules").([]any) {
		name := c.do("GET", "/crm/v8/settings/modules", nil).text("modules", i, "api_name")
		f := c.do("GET", "/crm/v8/settings/fields?module="+url.QueryEscape(name), nil).wants(200)
		for j := range f.at("fields").([]any) {
			if f.text("fields", j, "data_type") == "lookup" && f.text("fields", j, "lookup", "module", "api_name") == "" {
				t.Errorf("%s.%s names no module", name, f.text("fields", j, "api_name"))
			}
		}
		c.do("GET", "/crm/v8/settings/layouts?module="+name, nil).wants(200)
	}
	c.do("GET", "/crm/v8/settings/fields?module=Nothing", nil).flat(400, "INVALID_MODULE")
	if r := c.do("GET", "/crm/v8/settings/call_preferences", nil).wants(200); r.at("call_preferences", "show_from_number") != true {
		t.Fatalf("call preferences: %s", r.raw)
	}
	c.do("GET", "/crm/v8/settings/related_lists?module=Leads", nil).wants(200)
}
