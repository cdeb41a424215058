package sandbox_test

import (
	"strings"
	"testing"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

func newFields(fields ...object) object { return object{"fields": fields} }

func TestFieldOfOnesOwnIsMadeAndEnforced(t *testing.T) {
	t.Parallel()
	c := connected(t)
	ref := object{"field_label": "Hookline Ref", "data_type": "text", "length": 60, "unique": object{"case_sensitive": true}}
	r := c.do("POST", "/crm/v8/settings/fields?module=Calls", newFields(ref, object{"field_label": "Mood", "data_type": "picklist", "pick_list_values": []object{{"display_value": "Good", "actual_value": "Good"}}})).wants(201)
	id := r.text("fields", 0, "details", "id")
	if r.text("fields", 0, "code") != "SUCCESS" || r.text("fields", 1, "details", "id") == id || len(id) < 17 {
		t.Fatalf("made: %s", r.raw)
	}
	seen := 0
	fields := c.do("GET", "/crm/v8/settings/fields?module=Calls", nil).wants(200)
	for i := range fields.at("fields").([]any) {
		f := func(k ...any) any { return fields.at(append([]any{"fields", i}, k...)...) }
		switch f("api_name") {
		case "Hookline_Ref":
			seen++
			if f("id") != id || f("custom_field") != true || f("unique", "case_sensitive") != true || fields.text("fields", i, "length") != "60" || f("data_type") != "text" {
				t.Errorf("in the metadata: %v", f())
			}
		case "Mood":
			seen++
			if f("pick_list_values", 1, "actual_value") != "Good" {
				t.Errorf("in the metadata: %v", f())
			}
		}
	}
	if seen != 2 {
		t.Fatalf("%d of two fields are in the metadata", seen)
	}
	first := c.create("Calls", call(object{"Hookline_Ref": "hk-1"}))
	if r := c.do("POST", "/crm/v8/Calls", data(call(object{"Hookline_Ref": "hk-1"}))).refuses("DUPLICATE_DATA", "Hookline_Ref"); r.text("data", 0, "details", "id") != first {
		t.Fatalf("a clash: %s", r.raw)
	}
	c.create("Calls", call(object{"Hookline_Ref": "HK-1"})) // it minds the case
	c.do("POST", "/crm/v8/Calls", data(call(object{"Hookline_Ref": strings.Repeat("x", 61)}))).refuses("INVALID_DATA", "Hookline_Ref")

	// A list of several values takes more of them, where the request says so.
	c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(object{"field_label": "Languages", "data_type": "multiselectpicklist"})).wants(201)
	several := c.create("Leads", object{"Last_Name": "x", "Languages": []string{"French"}})
	c.do("PUT", "/crm/v8/Leads/"+several, data(object{"Languages": []string{"German"}, "$append_values": object{"Languages": true}})).wants(200)
	if got := c.get("Leads", several).at("data", 0, "Languages"); len(got.([]any)) != 2 {
		t.Errorf("appended: %v", got)
	}
	c.do("PUT", "/crm/v8/Leads/"+several, data(object{"Languages": []string{"German"}})).wants(200)
	if got := c.get("Leads", several).at("data", 0, "Languages"); len(got.([]any)) != 1 {
		t.Errorf("replaced: %v", got)
	}
	c.do("PUT", "/crm/v8/Leads/"+several, data(object{"Languages": "German"})).refuses("INVALID_DATA", "Languages")

	// Other spellings of unique, and a field that has none.
	c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(
		object{"field_label": "Ref one", "data_type": "text", "unique": object{"casesensitive": ""}},
		object{"field_label": "Ref two", "data_type": "text", "unique": true},
		object{"field_label": "Ref three", "data_type": "text", "unique": false},
	)).wants(201)
	c.create("Leads", object{"Last_Name": "x", "Ref_one": "a", "Ref_three": "a"})
	c.do("POST", "/crm/v8/Leads", data(object{"Last_Name": "x", "Ref_one": "A"})).refuses("DUPLICATE_DATA", "Ref_one")
	c.create("Leads", object{"Last_Name": "x", "Ref_three": "a"})
}

func TestFieldOfOnesOwnIsRefused(t *testing.T) {
	t.Parallel()
	c := connected(t)
	good := object{"field_label": "Reference", "data_type": "text"}
	with := func(key string, value any) object {
		out := object{"field_label": "Reference", "data_type": "text"}
		if value == nil {
			delete(out, key)
		} else {
			out[key] = value
		}
		return out
	}
	for name, x := range map[string]struct {
		fields []object
		code   string
		key    string
	}{
		"no label":                   {[]object{with("field_label", nil)}, "MANDATORY_NOT_FOUND", "field_label"},
		"no type":                    {[]object{with("data_type", nil)}, "MANDATORY_NOT_FOUND", "data_type"},
		"a type there is not":        {[]object{with("data_type", "poem")}, "INVALID_DATA", "data_type"},
		"a long label":               {[]object{with("field_label", strings.Repeat("x", 26))}, "INVALID_DATA", "field_label"},
		"too long":                   {[]object{with("length", 256)}, "INVALID_DATA", "length"},
		"a label that is taken":      {[]object{with("field_label", "Last name")}, "DUPLICATE_DATA", "field_label"},
		"a name that is taken":       {[]object{with("field_label", "Last-Name")}, "DUPLICATE_DATA", "field_label"},
		"unique, and no text":        {[]object{{"field_label": "Reference", "data_type": "picklist", "unique": true}}, "DEPENDENT_MISMATCH", "unique"},
		"the second is a double one": {[]object{good, good}, "DUPLICATE_DATA", "field_label"},
	} {
		r := c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(x.fields...)).wants(400)
		if r.text("fields", 0, "code") != x.code || r.text("fields", 0, "details", "api_name") != x.key || r.text("fields", 0, "details", "json_path") == "" {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	if r := c.do("GET", "/crm/v8/settings/fields?module=Leads", nil); strings.Contains(r.raw, `"Reference"`) {
		t.Error("one of several was refused, and another was made")
	}
	c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(good, good, good, good, good, good)).flat(400, "LIMIT_EXCEEDED")
	c.do("POST", "/crm/v8/settings/fields?module=Nothing", newFields(good)).flat(400, "INVALID_MODULE")
	c.do("POST", "/crm/v8/settings/fields", newFields(good)).flat(400, "REQUIRED_PARAM_MISSING")
	c.do("POST", "/crm/v8/settings/fields?module=Notes", newFields(good)).flat(400, "NOT_SUPPORTED")
	c.do("POST", "/crm/v8/settings/fields?module=Leads", object{}).flat(400, "MANDATORY_NOT_FOUND")
	c.server.Control.Settings(c.org, map[string]any{"custom_fields": 1})
	c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(good)).wants(201)
	if r := c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(with("field_label", "Another"))).flat(400, "LIMIT_EXCEEDED"); r.text("details", "limit") != "1" {
		t.Errorf("the limit: %s", r.raw)
	}
	c.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(good)).wants(400)

	free := connect(t, c.server, "free", "us")
	free.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(good)).flat(400, "FEATURE_NOT_SUPPORTED")
	read := sandboxtest.GrantRequest{ClientID: c.server.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Org: c.org, Scope: "ZohoCRM.settings.fields.READ"}
	free.tokens = c.server.Control.Exchange(c.server.Control.Grant(read))
	free.do("POST", "/crm/v8/settings/fields?module=Leads", newFields(good)).flat(401, "OAUTH_SCOPE_MISMATCH")
	c.as(1).do("POST", "/crm/v8/settings/fields?module=Leads", newFields(with("field_label", "Third"))).flat(403, "NO_PERMISSION")
}

func TestAnAdministratorChangesWhatAModuleIsLike(t *testing.T) {
	t.Parallel()
	c := connected(t)
	fields := func(module string) string {
		return c.do("GET", "/crm/v8/settings/fields?module="+module, nil).wants(200).raw
	}
	c.server.Control.Settings(c.org, map[string]any{
		"hidden":    map[string][]string{"Leads": {"Industry"}},
		"picklists": map[string]map[string][]string{"Leads": {"Lead_Status": {"New", "Working"}}, "Deals": {"Stage": {"Qualification", "Demo", "Closed Won", "Closed Lost"}}},
	})
	if s := fields("Leads"); strings.Contains(s, `"api_name":"Industry"`) || strings.Contains(s, "Junk Lead") || !strings.Contains(s, `"actual_value":"Working"`) {
		t.Fatalf("a field that was removed, a list that was renamed: %s", s)
	}
	l := lead("Johnson")
	l["Industry"] = strings.Repeat("x", 300)
	c.create("Leads", l) // an unknown key now
	c.coql("select Industry from Leads where Last_Name = 'x'").flat(400, "INVALID_QUERY")
	d := deal("x")
	d["Stage"] = "Needs Analysis"
	c.do("POST", "/crm/v8/Deals", data(d)).refuses("MAPPING_MISMATCH", "Stage")
	d["Stage"] = "Demo"
	c.create("Deals", d)
	layout := c.do("GET", "/crm/v8/settings/layouts?module=Deals", nil).text("layouts", 0, "id")
	if p := c.do("GET", "/crm/v8/settings/pipeline?layout_id="+layout, nil); p.text("pipeline", 0, "maps", 1, "actual_value") != "Demo" || p.text("pipeline", 0, "maps", 2, "forecast_type") != "Closed Won" {
		t.Fatalf("pipeline: %s", p.raw)
	}
}
