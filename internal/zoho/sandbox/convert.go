package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"
)

// revise stores a record with some values changed by the system.
func (s *Sandbox) revise(q *request, r *record, changes map[string]any, action string) *record {
	next := *r
	next.Values = maps.Clone(r.Values)
	for k, v := range changes {
		next.Values[k] = v
	}
	next.Modified = q.at.UTC()
	next.Values["Modified_Time"] = next.Modified.Truncate(time.Second)
	next.Values["Modified_By"] = ref{usersModule, q.user.ID}
	s.store(q.org, &next, q, action)
	return &next
}

func (q *request) convert(id string) answer {
	lead := q.org.find("Leads", id)
	if !validID(id) || lead == nil {
		return q.refusedWrite(invalidID(map[string]any{"resource_path_index": 1}))
	}
	if lead.is(lockedKey) {
		return q.refusedWrite(recordLocked(lead, "convert"))
	}
	b := q.readBody(moduleByName("Leads"))
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	if b.items[0] == nil {
		return q.refusedWrite(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject"}))
	}
	return q.s.convertLead(q, lead, b.items[0])
}

// conversionOptions is GET /Leads/{id}/__conversion_options: whom a conversion could join.
func (q *request) conversionOptions(id string) answer {
	o := q.org
	lead := o.find("Leads", id)
	if lead == nil {
		return noContent()
	}
	if lead.is("Converted__s") {
		return refuse(400, "ID_ALREADY_CONVERTED", "id already converted", map[string]any{"resource_path_index": 1}).answer()
	}
	contacts, accounts := []any{}, []any{}
	for _, e := range unseen(o.tables["Contacts"].emails[strings.ToLower(lead.text("Email"))]) {
		if e.now != nil && strings.EqualFold(e.now.text("Email"), lead.text("Email")) {
			contacts = append(contacts, json.RawMessage(o.appendRecord(nil, e.now, []string{"Full_Name", "Email", "Phone", "Account_Name"})))
		}
	}
	for _, e := range o.tables["Accounts"].order {
		if e.now != nil && lead.text("Company") != "" && strings.EqualFold(e.now.text("Account_Name"), lead.text("Company")) {
			accounts = append(accounts, json.RawMessage(o.appendRecord(nil, e.now, []string{"Account_Name"})))
		}
	}
	named := func(name string) map[string]any {
		return map[string]any{"api_name": name, "id": o.moduleID(moduleByName(name))}
	}
	return jsonAnswer(200, map[string]any{"__conversion_options": map[string]any{
		"module_preference": named("Contacts"), "Contacts": contacts, "Accounts": accounts, "Deals": []any{},
		"preference_field_matched_value": map[string]any{}, "modules_with_multiple_layouts": []any{},
	}})
}

// convertLead makes a Lead into a Contact, an Account where it has a company, and a Deal where one is asked for (Convert lead).
func (s *Sandbox) convertLead(q *request, lead *record, in map[string]any) answer {
	o := q.org
	if lead.is("Converted__s") {
		return q.refusedWrite(refuse(400, "ID_ALREADY_CONVERTED", "id already converted", map[string]any{"resource_path_index": 1}))
	}
	element := func(p *problem) answer { return q.answerAll([]result{failure(p)}, http.StatusOK) }
	named := func(module string) (*record, *problem) {
		raw, ok := in[module].(map[string]any)
		if !ok || raw["id"] == nil {
			return nil, nil
		}
		id, _ := idOf(raw)
		r := o.find(module, id)
		if r == nil {
			return nil, invalidID(map[string]any{"api_name": module, "json_path": "$.data[0]." + module + ".id"})
		}
		return r, nil
	}
	contact, p := named("Contacts")
	if p != nil {
		return element(p)
	}
	account, p := named("Accounts")
	if p != nil {
		return element(p)
	}
	owner := lead.Values["Owner"]
	if raw, ok := in["assign_to"].(map[string]any); ok {
		id, _ := idOf(raw)
		if u := o.user(id); u == nil || u.Inactive {
			return element(invalidID(map[string]any{"api_name": "assign_to", "json_path": "$.data[0].assign_to"}))
		}
		owner = ref{usersModule, id}
	}

	// The Deal is checked before anything is made: a refusal leaves the Lead as it is.
	var deal *draft
	if raw, ok := in["Deals"].(map[string]any); ok {
		deal = &draft{q: q, sc: o.schema("Deals"), in: raw, values: map[string]any{"Owner": owner}}
		deal.read()
		deal.rules()
		deal.mandatory()
		if p := deal.problem(); p != nil {
			return element(p)
		}
	}

	build := func(module string, values map[string]any) *record {
		m := moduleByName(module)
		d := &draft{q: q, sc: o.schema(module), in: map[string]any{}, values: values, changed: map[string]bool{}}
		d.derive()
		return s.commit(d, o, m)
	}
	carry := func(pairs ...string) map[string]any {
		out := map[string]any{"Owner": owner}
		for i := 0; i+1 < len(pairs); i += 2 {
			if v := lead.Values[pairs[i]]; v != nil {
				out[pairs[i+1]] = v
			}
		}
		return out
	}
	if account == nil && lead.text("Company") != "" {
		if e := o.tables["Accounts"].byUnique(o.schema("Accounts").field("Account_Name"), lead.text("Company"), nil); e != nil {
			account = e
		} else {
			account = build("Accounts", carry("Company", "Account_Name", "Phone", "Phone", "Website", "Website", "Fax", "Fax", "Industry", "Industry",
				"Annual_Revenue", "Annual_Revenue", "No_of_Employees", "Employees", "Street", "Billing_Street", "City", "Billing_City", "State", "Billing_State", "Zip_Code", "Billing_Code", "Country", "Billing_Country"))
		}
	}
	if contact == nil {
		values := carry("Salutation", "Salutation", "First_Name", "First_Name", "Last_Name", "Last_Name", "Email", "Email", "Secondary_Email", "Secondary_Email", "Phone", "Phone",
			"Mobile", "Mobile", "Fax", "Fax", "Designation", "Title", "Lead_Source", "Lead_Source", "Description", "Description", "Email_Opt_Out", "Email_Opt_Out", "Skype_ID", "Skype_ID",
			"Twitter", "Twitter", "Street", "Mailing_Street", "City", "Mailing_City", "State", "Mailing_State", "Zip_Code", "Mailing_Code", "Country", "Mailing_Country", "Tag", "Tag")
		if account != nil {
			values["Account_Name"] = ref{"Accounts", account.ID}
		}
		contact = build("Contacts", values)
	}
	var made *record
	if deal != nil {
		deal.values["Contact_Name"] = ref{"Contacts", contact.ID}
		if account != nil {
			deal.values["Account_Name"] = ref{"Accounts", account.ID}
		}
		deal.derive()
		made = s.commit(deal, o, moduleByName("Deals"))
	}

	changes := map[string]any{"Converted__s": true, "Converted_Date_Time": q.at.UTC().Truncate(time.Second), "Converted_Contact": ref{"Contacts", contact.ID}}
	if account != nil {
		changes["Converted_Account"] = ref{"Accounts", account.ID}
	}
	if made != nil {
		changes["Converted_Deal"] = ref{"Deals", made.ID}
	}
	s.revise(q, lead, changes, "converted")
	s.moveActivities(q, lead.ID, contact, made)
	files := ref{"Contacts", contact.ID}
	if to, ok := in["move_attachments_to"].(map[string]any); ok {
		switch {
		case to["api_name"] == "Deals" && made != nil:
			files = ref{"Deals", made.ID}
		case to["api_name"] == "Accounts" && account != nil:
			files = ref{"Accounts", account.ID}
		}
	}
	for _, r := range o.attached(lead.ID) {
		s.revise(q, r, map[string]any{"Parent_Id": files, "$se_module": files.Module}, "updated")
	}
	tags, _ := in["carry_over_tags"].(map[string]any)
	for _, r := range []*record{contact, account, made} {
		if r != nil && tags[r.Module] != nil {
			s.carryTags(q, r, tags[r.Module])
		}
	}

	ids := func(r *record) any {
		if r == nil {
			return nil
		}
		return namedID{r.text(moduleByName(r.Module).NameField), r.ID}
	}
	return jsonAnswer(http.StatusOK, map[string]any{"data": []result{{
		Code: "SUCCESS", Message: "The record has been converted successfully", Status: "success",
		Details: map[string]any{"Contacts": ids(contact), "Deals": ids(made), "Accounts": ids(account)},
	}}})
}

// moveActivities hangs what hung on the Lead on its Contact (and the Deal), as the CRM does on conversion (mem).
func (s *Sandbox) moveActivities(q *request, leadID string, contact, deal *record) {
	o := q.org
	for _, name := range []string{"Calls", "Tasks", "Events", "Notes"} {
		for _, e := range unseen(o.tables[name].parent[leadID]) {
			r := e.now
			switch {
			case r == nil:
			case r.ref("What_Id").ID == leadID:
				changes := map[string]any{"Who_Id": ref{"Contacts", contact.ID}, "What_Id": nil, "$se_module": nil}
				if deal != nil {
					changes["What_Id"], changes["$se_module"] = ref{"Deals", deal.ID}, "Deals"
				}
				s.revise(q, r, changes, "updated")
			case r.ref("Parent_Id").ID == leadID:
				s.revise(q, r, map[string]any{"Parent_Id": ref{"Contacts", contact.ID}, "$se_module": "Contacts"}, "updated")
			}
		}
	}
}

// carryTags gives a record made by a conversion the Lead's tags that the request names. Zoho's older file has names there, the newer
// one objects (conflict): both are taken.
func (s *Sandbox) carryTags(q *request, r *record, wanted any) {
	var names []string
	list, _ := wanted.([]any)
	for _, x := range list {
		if name, ok := x.(string); ok {
			names = append(names, name)
		} else if name := tagName(x); name != "" {
			names = append(names, name)
		}
	}
	r = q.org.find(r.Module, r.ID)
	next := retag(r, names, false, false)
	s.revise(q, r, map[string]any{"Tag": s.tagged(q.org, r.Module, next[:min(len(next), maxTags)])}, "updated")
}
