package sandbox

import (
	"strconv"
	"strings"
)

// Ids of what an organisation has from its first day, by place: below the first record's.
func (o *org) moduleID(m *module) string { return o.id(uint64(1000 + moduleIndex(m))) }
func (o *org) layoutID(m *module) string { return o.id(uint64(1100 + moduleIndex(m))) }
func (o *org) fieldID(m *module, f *field) string {
	if f.ID != "" {
		return f.ID
	}
	return o.id(uint64(10000 + 1000*moduleIndex(m) + f.n))
}
func (o *org) pickID(m *module, f *field, i int) string {
	return o.id(uint64(100000 + 10000*moduleIndex(m) + 100*f.n + i))
}
func (o *org) profileID(name string) string {
	for i, p := range profiles {
		if p == name {
			return o.id(uint64(201 + i))
		}
	}
	return o.id(200)
}
func (o *org) roleID(name string) string {
	if name == "CEO" {
		return o.id(301)
	}
	return o.id(302)
}
func (o *org) pipelineID() string { return o.id(401) }

// assignmentRule is the id of the one rule that Leads have, where the edition has rules.
func (o *org) assignmentRule(m *module) string {
	if m.API != "Leads" || o.Edition == "free" {
		return ""
	}
	return o.id(501)
}

// ruleAssignee is whom the rule gives new Leads to.
func (o *org) ruleAssignee() *user { return &o.Users[1] }

func moduleIndex(m *module) int {
	for i := range modules {
		if modules[i].API == m.API {
			return i
		}
	}
	return len(modules)
}

func (q *request) getOrg() answer {
	o := q.org
	c := centreByKey(o.Centre)
	paid := o.Edition != "free"
	return jsonAnswer(200, map[string]any{"org": []any{map[string]any{
		"id": o.ID, "zgid": o.id(2)[len(o.Prefix)-1:], "company_name": o.Name, "alias": nil, "domain_name": o.Domain, "time_zone": o.Zone,
		"currency": c.Currency, "iso_code": c.ISO, "currency_symbol": c.Symbol, "currency_locale": c.Locale,
		"country": c.Country, "country_code": o.Country, "type": "production", "mc_status": false, "created_time": o.clock(o.Created),
		"primary_email": o.Users[0].Email, "primary_zuid": o.Users[0].ZUID, "phone": nil, "mobile": nil, "website": nil, "fax": nil,
		"street": nil, "city": nil, "state": nil, "zip": nil, "description": nil, "employee_count": nil, "photo_id": nil,
		"gapps_enabled": false, "translation_enabled": false, "privacy_settings": false, "hipaa_compliance_enabled": false, "lite_users_enabled": false,
		"license_details": map[string]any{
			"paid": paid, "paid_type": o.Edition, "paid_expiry": nil, "trial_type": nil, "trial_expiry": nil,
			"users_license_purchased": editionByKey(o.Edition).Users, "portal_users_license_purchased": 0,
		},
	}}})
}

func (o *org) userJSON(u *user) map[string]any {
	status := "active"
	if u.Inactive {
		status = "disabled"
	}
	return map[string]any{
		"id": u.ID, "zuid": u.ZUID, "full_name": u.name(), "first_name": u.First, "last_name": u.Last, "email": u.Email, "alias": nil,
		"role": namedID{u.Role, o.roleID(u.Role)}, "profile": namedID{u.Profile, o.profileID(u.Profile)},
		"status": status, "confirm": true, "time_zone": o.Zone, "locale": "en_US", "language": "en_US", "country_locale": "en_US",
		"date_format": "MM/dd/yyyy", "time_format": "hh:mm a", "decimal_separator": "Period", "number_separator": "Comma",
		"type__s": "Regular User", "microsoft": false, "sandboxDeveloper": false, "phone": nil, "mobile": nil, "website": nil, "dob": nil, "fax": nil,
		"street": nil, "city": nil, "state": nil, "zip": nil, "country": nil,
		"created_by": o.person(o.Users[0].ID), "created_time": o.clock(o.Created), "Modified_By": o.person(o.Users[0].ID), "Modified_Time": o.clock(o.Created),
		"Reporting_To": nil, "$current_shift": nil, "$next_shift": nil, "$shift_effective_from": nil, "Current_Shift__s": nil,
	}
}

func (q *request) listUsers() answer {
	o, list := q.org, []any{}
	kind := q.query.Get("type")
	for i := range o.Users {
		u := &o.Users[i]
		var match bool
		switch kind {
		case "CurrentUser":
			match = u.ID == q.user.ID
		case "", "AllUsers":
			match = true
		case "ActiveUsers", "ConfirmedUsers", "ActiveConfirmedUsers":
			match = !u.Inactive || kind == "ConfirmedUsers"
		case "AdminUsers", "ActiveConfirmedAdmins":
			match = u.Profile == profiles[0] && !u.Inactive
		case "DeactiveUsers":
			match = u.Inactive
		}
		if match {
			list = append(list, o.userJSON(u))
		}
	}
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	from, to := min(len(list), (page-1)*per), min(len(list), page*per)
	more := to < len(list)
	if list = list[from:to]; len(list) == 0 {
		return noContent()
	}
	return jsonAnswer(200, map[string]any{"users": list, "info": map[string]any{"per_page": per, "count": len(list), "page": page, "more_records": more}})
}

func (q *request) getUser() answer {
	id := q.parts[1]
	if id == "CurrentUser" || id == "me" {
		id = q.user.ID
	}
	u := q.org.user(id)
	if u == nil {
		return noContent()
	}
	return jsonAnswer(200, map[string]any{"users": []any{q.org.userJSON(u)}})
}

func (q *request) routeSettings(prefix string) (operation, *problem) {
	p := q.parts[1:]
	get := func(template, scope string, run func(*request) answer) (operation, *problem) {
		return q.verbs(prefix+"/settings/"+template, map[string]operation{"GET": {scopes: [][]string{{"ZohoCRM.settings." + scope + ".READ"}}, run: run}})
	}
	switch {
	case len(p) == 1 && p[0] == "modules":
		return get("modules", "modules", (*request).listModules)
	case len(p) == 2 && p[0] == "modules":
		return get("modules/{id}", "modules", (*request).getModule)
	case len(p) == 1 && p[0] == "fields":
		return q.verbs(prefix+"/settings/fields", map[string]operation{
			"GET":  {scopes: [][]string{{"ZohoCRM.settings.fields.READ"}}, run: (*request).listFields},
			"POST": {scopes: [][]string{{"ZohoCRM.settings.fields.CREATE"}}, write: true, run: (*request).createFields},
		})
	case len(p) == 1 && p[0] == "layouts":
		return get("layouts", "layouts", (*request).listLayouts)
	case len(p) == 2 && p[0] == "layouts":
		return get("layouts/{id}", "layouts", (*request).listLayouts)
	case len(p) == 1 && p[0] == "pipeline":
		return get("pipeline", "pipeline", (*request).listPipelines)
	case len(p) == 1 && p[0] == "related_lists":
		return get("related_lists", "related_lists", (*request).listRelatedLists)
	case len(p) == 1 && p[0] == "call_preferences":
		return q.verbs(prefix+"/settings/call_preferences", map[string]operation{
			"GET": {scopes: [][]string{{"ZohoCRM.settings.modules.READ"}}, run: (*request).callPreferences},
			"PUT": {scopes: [][]string{{"ZohoCRM.settings.modules.UPDATE"}}, write: true, run: (*request).setCallPreferences},
		})
	case len(p) == 2 && p[0] == "automation" && p[1] == "assignment_rules":
		return get("automation/assignment_rules", "assignment_rules", (*request).listAssignmentRules)
	case len(p) == 3 && p[0] == "automation" && p[1] == "assignment_rules":
		return get("automation/assignment_rules/{id}", "assignment_rules", (*request).listAssignmentRules)
	}
	return operation{}, errPattern
}

func (o *org) moduleJSON(m *module) map[string]any {
	list := []any{}
	for _, p := range profiles {
		list = append(list, namedID{p, o.profileID(p)})
	}
	blueprint := (m.API == "Leads" || m.API == "Deals") && o.hasBlueprints()
	return map[string]any{
		"api_name": m.API, "module_name": m.API, "singular_label": m.Singular, "plural_label": m.Plural, "actual_singular_label": m.Singular, "actual_plural_label": m.Plural,
		"id": o.moduleID(m), "api_supported": true, "creatable": true, "editable": true, "viewable": true, "deletable": true, "visible": true, "status": "visible",
		"generated_type": "default", "isBlueprintSupported": blueprint, "triggers_supported": true, "convertable": m.API == "Leads", "quick_create": !m.Activity,
		"global_search_supported": true, "public_fields_configured": false, "recycle_bin_on_delete": true, "has_more_profiles": false, "sub_menu_available": true,
		"profile_count": len(profiles), "description": nil, "profiles": list, "sequence_number": moduleIndex(m) + 1, "module_type": "ENTITIES", "access_type": "org_based",
		"filter_supported": true, "lookupable": !m.Activity && m.API != "Notes", "show_as_tab": m.API != "Notes", "modified_by": nil, "modified_time": nil, "web_link": nil,
		"feeds_required": false, "scoring_supported": !m.Activity, "visibility": 1,
	}
}

// hasBlueprints: process management is for professional and up (pricing page).
func (o *org) hasBlueprints() bool { return o.Edition != "free" && o.Edition != "standard" }

func (q *request) listModules() answer {
	list := []any{}
	for i := range modules {
		if !modules[i].Inner && q.org.may(q.user, modules[i].API, "View") {
			j := q.org.moduleJSON(&modules[i])
			j["creatable"] = q.org.may(q.user, modules[i].API, "Create")
			j["editable"] = q.org.may(q.user, modules[i].API, "Edit")
			j["deletable"] = q.org.may(q.user, modules[i].API, "Delete")
			list = append(list, j)
		}
	}
	if len(list) == 0 {
		return noContent()
	}
	return jsonAnswer(200, map[string]any{"modules": list})
}

func (q *request) getModule() answer {
	for i := range modules {
		if m := &modules[i]; !m.Inner && strings.EqualFold(m.API, q.parts[2]) || q.org.moduleID(m) == q.parts[2] {
			return jsonAnswer(200, map[string]any{"modules": []any{q.org.moduleJSON(m)}})
		}
	}
	return refuse(400, "INVALID_MODULE", "the module name given seems to be invalid", map[string]any{"resource_path_index": 2}).answer()
}

// moduleParam is the module that a settings request asks about.
func (q *request) moduleParam() (*module, *problem) {
	name := q.query.Get("module")
	if name == "" {
		return nil, refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "module"})
	}
	m := moduleByName(name)
	if m == nil || m.Inner {
		return nil, refuse(400, "INVALID_MODULE", "the module name given seems to be invalid", map[string]any{"param_name": "module"})
	}
	return m, nil
}

var jsonTypes = map[string]string{
	"integer": "integer", "bigint": "string", "double": "double", "currency": "double", "percent": "double", "boolean": "boolean",
	"lookup": "jsonobject", "ownerlookup": "jsonobject", "multiselectpicklist": "jsonarray", "multireminder": "jsonarray", "ALARM": "jsonobject", "RRULE": "jsonobject",
}

func (o *org) fieldJSON(m *module, f *field) map[string]any {
	jsonType := jsonTypes[f.Type]
	if f.API == "Tag" || f.API == "Participants" {
		jsonType = "jsonarray"
	}
	if jsonType == "" {
		jsonType = "string"
	}
	write := !f.ReadOnly
	unique := map[string]any{}
	if f.Unique {
		unique["case_sensitive"] = f.CaseSensitive
	}
	var lookup, multi any
	switch {
	case f.Lookup == "*":
		list := []any{}
		for _, name := range []string{"Accounts", "Deals", "Leads"} {
			to := moduleByName(name)
			list = append(list, map[string]any{"api_name": to.API, "module_name": to.API, "id": o.moduleID(to)})
		}
		multi = map[string]any{"display_label": f.Label, "api_name": f.API, "modules": list}
		// Public clients fetch the fields of the module that each lookup names, so that every lookup has to name one (seen).
		lookup = o.lookupJSON(m, f, moduleByName("Accounts"))
	case f.Lookup != "":
		lookup = o.lookupJSON(m, f, moduleByName(f.Lookup))
	}
	picks := []any{}
	if f.Type == "picklist" || f.Type == "multiselectpicklist" {
		if !f.System {
			picks = append(picks, o.pickJSON(m, f, 0, "-None-"))
		}
		for i, v := range f.Picks {
			picks = append(picks, o.pickJSON(m, f, i+1, v))
		}
	}
	var currency any = map[string]any{}
	if f.Type == "currency" {
		currency = map[string]any{"rounding_option": "normal", "precision": 2}
	}
	var decimals any
	if f.Type == "currency" || f.Type == "double" {
		decimals = 2
	}
	permission := "read_write"
	if f.ReadOnly {
		permission = "read_only"
	}
	list := []any{}
	for _, p := range profiles {
		list = append(list, map[string]any{"permission_type": permission, "name": p, "id": o.profileID(p)})
	}
	source := "default"
	if f.Custom {
		source = "crm"
	}
	return map[string]any{
		"api_name": f.API, "field_label": f.Label, "display_label": f.Label, "data_type": f.Type, "json_type": jsonType, "length": f.Length, "decimal_place": decimals,
		"id": o.fieldID(m, f), "system_mandatory": f.System, "read_only": f.ReadOnly, "field_read_only": f.ReadOnly, "visible": true, "custom_field": f.Custom,
		"operation_type": map[string]bool{"api_create": write, "api_update": write && !f.CreateOnly, "web_create": write, "web_update": write && !f.CreateOnly},
		"view_type":      map[string]bool{"view": true, "edit": write, "create": write, "quick_create": f.System},
		"unique":         unique, "external": nil, "lookup": lookup, "multi_module_lookup": multi, "pick_list_values": picks, "pick_list_values_sorted_lexically": false,
		"default_value": nil, "searchable": f.Type != "textarea" && f.Type != "ALARM", "sortable": f.Type != "textarea", "filterable": true,
		"layout_associations": []any{map[string]string{"api_name": "Standard", "name": "Standard", "id": o.layoutID(m)}}, "profiles": list,
		"crypt": nil, "formula": map[string]any{}, "auto_number": map[string]any{}, "private": nil, "currency": currency, "rollup_summary": map[string]any{}, "multiselectlookup": map[string]any{},
		"association_details": nil, "businesscard_supported": true, "colour_code_enabled_by_system": false, "convert_mapping": map[string]any{}, "created_source": source,
		"display_field": f.API == m.NameField, "display_type": -1, "email_parser": map[string]bool{"fields_update_supported": true, "record_operations_supported": true},
		"enable_colour_code": false, "history_tracking_enabled": false, "history_tracking": nil, "mass_update": write, "public": false, "range": nil, "separator": false,
		"tooltip": nil, "type": "used", "ui_type": 1, "virtual_field": false, "webhook": true, "column_name": strings.ToUpper(f.API), "blueprint_supported": write,
	}
}

func (o *org) lookupJSON(m *module, f *field, to *module) map[string]any {
	return map[string]any{
		"display_label": m.Plural, "api_name": m.API, "id": o.fieldID(m, f), "revalidate_filter_during_edit": false,
		"module":        map[string]any{"api_name": to.API, "crypt": false, "id": o.moduleID(to)},
		"query_details": map[string]any{"query_id": o.fieldID(m, f), "system_query_id": nil},
	}
}

func (o *org) pickJSON(m *module, f *field, i int, v string) map[string]any {
	j := map[string]any{
		"display_value": v, "actual_value": v, "reference_value": v, "sequence_number": i + 1, "id": o.pickID(m, f, i), "type": "used",
	}
	if m.API == "Deals" && f.API == "Stage" {
		for _, st := range o.stages() {
			if st.Name == v {
				j["forecast_type"], j["probability"] = st.Forecast, st.Probability
				j["forecast_category"] = namedID{st.Category, o.categoryID(st.Category)}
			}
		}
	}
	return j
}

func (o *org) categoryID(name string) string {
	return o.id(map[string]uint64{"Pipeline": 421, "Closed": 422, "Omitted": 423}[name])
}

func (q *request) listFields() answer {
	m, bad := q.moduleParam()
	if bad != nil {
		return bad.answer()
	}
	sc := q.org.schema(m.API)
	list := make([]any, len(sc.fields))
	for i := range sc.fields {
		list[i] = q.org.fieldJSON(m, &sc.fields[i])
	}
	return jsonAnswer(200, map[string]any{"fields": list})
}

func (q *request) listLayouts() answer {
	m, bad := q.moduleParam()
	if bad != nil {
		return bad.answer()
	}
	o, sc := q.org, q.org.schema(m.API)
	if len(q.parts) == 3 && q.parts[2] != o.layoutID(m) {
		return noContent()
	}
	list := make([]any, len(sc.fields))
	for i := range sc.fields {
		f := &sc.fields[i]
		j := o.fieldJSON(m, f)
		j["required"], j["sequence_number"], j["section_id"] = f.Layout || f.System, i+1, 1
		list[i] = j
	}
	all := []any{}
	for _, p := range profiles {
		all = append(all, map[string]any{"name": p, "id": o.profileID(p), "default": true})
	}
	return jsonAnswer(200, map[string]any{"layouts": []any{map[string]any{
		"id": o.layoutID(m), "name": "Standard", "api_name": "Standard", "display_label": "Standard", "status": "active", "visible": true, "generated_type": "default", "has_more_profiles": false,
		"created_for": nil, "created_by": nil, "created_time": nil, "modified_by": nil, "modified_time": nil, "profiles": all,
		"sections": []any{map[string]any{
			"display_label": m.Singular + " Information", "name": m.Singular + " Information", "api_name": m.Singular + "_Information", "sequence_number": 1, "column_count": 2,
			"tab_traversal": 2, "isSubformSection": false, "generated_type": "default", "type": "used", "fields": list,
		}},
	}}})
}

func (q *request) listPipelines() answer {
	o, deals := q.org, moduleByName("Deals")
	id := q.query.Get("layout_id")
	if id == "" {
		return refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "layout_id"}).answer()
	}
	if id != o.layoutID(deals) {
		return refuse(400, "INVALID_DATA", "the id given seems to be invalid", map[string]any{"param_name": "layout_id"}).answer()
	}
	f := o.schema("Deals").field("Stage")
	maps := []any{}
	for i, st := range o.stages() {
		maps = append(maps, map[string]any{
			"id": o.pickID(deals, f, i+1), "display_value": st.Name, "actual_value": st.Name, "sequence_number": i + 1,
			"forecast_type": st.Forecast, "forecast_category": namedID{st.Category, o.categoryID(st.Category)}, "colour_code": "#a8c0f2",
		})
	}
	return jsonAnswer(200, map[string]any{"pipeline": []any{map[string]any{
		"id": o.pipelineID(), "display_value": standardPipeline, "actual_value": standardPipeline, "default": true, "maps": maps,
	}}})
}

func (q *request) listAssignmentRules() answer {
	m, bad := q.moduleParam()
	if bad != nil {
		return bad.answer()
	}
	o := q.org
	if o.Edition == "free" {
		return refuse(400, "FEATURE_NOT_SUPPORTED", "Assignment rules not supported for current edition", nil).answer()
	}
	id := o.assignmentRule(m)
	if id == "" {
		return noContent()
	}
	if len(q.parts) == 4 && q.parts[3] != id {
		return noContent()
	}
	who, assignee := o.person(o.Users[0].ID), o.ruleAssignee()
	rule := map[string]any{
		"id": id, "name": "Sandbox lead rule", "api_name": "Sandbox_lead_rule", "description": "New leads go to the second user",
		"module":           map[string]any{"api_name": m.API, "id": o.moduleID(m), "name": m.API},
		"default_assignee": map[string]any{"id": assignee.ID, "name": assignee.name(), "type": "user"},
		"created_by":       who,
		"modified_by":      who,
		"created_time":     o.clock(o.Created),
		"modified_time":    o.clock(o.Created),
	}
	if len(q.parts) == 4 {
		rule["rule_entries"] = []any{map[string]any{
			"id": o.id(502), "sequence_number": 1, "criteria": nil, "user_availability_based_on": nil, "followup_actions": nil,
			"assign_to": map[string]any{"type": "users", "resources": []any{namedID{assignee.name(), assignee.ID}}},
		}}
	}
	return jsonAnswer(200, map[string]any{"assignment_rules": []any{rule}})
}

func (q *request) listRelatedLists() answer {
	m, bad := q.moduleParam()
	if bad != nil {
		return bad.answer()
	}
	list := []any{}
	for i, r := range relatedLists(m) {
		to := moduleByName(r.module)
		list = append(list, map[string]any{
			"id": q.org.id(uint64(2000 + 20*moduleIndex(m) + i)), "api_name": r.name, "display_label": r.name, "name": r.name, "href": m.API + "/{ENTITYID}/" + r.name,
			"type": "default", "action": nil, "sequence_number": strconv.Itoa(i + 1),
			"module": map[string]any{"api_name": to.API, "id": q.org.moduleID(to)},
		})
	}
	if len(list) == 0 {
		return noContent()
	}
	return jsonAnswer(200, map[string]any{"related_lists": list})
}

// callPreferences says whether Calls show the numbers that took part (Call preferences).
func (q *request) callPreferences() answer {
	s := q.org.Settings
	return jsonAnswer(200, map[string]any{"call_preferences": map[string]bool{"show_from_number": !s.HideFromNumber, "show_to_number": !s.HideToNumber}})
}

func (q *request) setCallPreferences() answer {
	v, err := decodeJSON(q.body)
	top, _ := v.(map[string]any)
	in, ok := top["call_preferences"].(map[string]any)
	if err != nil || !ok {
		return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "call_preferences", "json_path": "$.call_preferences", "expected_data_type": "jsonobject"}).answer()
	}
	to := q.org.Settings
	for key, hide := range map[string]*bool{"show_from_number": &to.HideFromNumber, "show_to_number": &to.HideToNumber} {
		if in[key] == nil {
			continue
		}
		show, ok := in[key].(bool)
		if !ok {
			p := refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": key, "json_path": "$.call_preferences." + key, "expected_data_type": "boolean"})
			return answer{status: 400, body: marshal(map[string]any{"call_preferences": p}), code: p.Code, rule: p.why()}
		}
		*hide = !show
	}
	q.org.Settings = to
	q.s.changed(q.org)
	return jsonAnswer(200, map[string]any{"call_preferences": result{Code: "SUCCESS", Details: map[string]any{}, Message: "Call preference updated successfully", Status: "success"}})
}
