package sandbox

import (
	"net/http"
	"sort"
	"strings"
)

// relatedList is what hangs on a record: records of a module whose lookup leads to it.
type relatedList struct {
	name, module string
	by           []string // lookups of that module
}

func relatedLists(m *module) []relatedList {
	what := []string{"What_Id"}
	switch m.API {
	case "Contacts":
		who := []string{"Who_Id"}
		return []relatedList{{"Notes", "Notes", []string{"Parent_Id"}}, {"Calls", "Calls", who}, {"Tasks", "Tasks", who}, {"Events", "Events", who}, {"Deals", "Deals", []string{"Contact_Name"}}}
	case "Accounts":
		return []relatedList{
			{"Notes", "Notes", []string{"Parent_Id"}}, {"Calls", "Calls", what}, {"Tasks", "Tasks", what}, {"Events", "Events", what},
			{"Contacts", "Contacts", []string{"Account_Name"}}, {"Deals", "Deals", []string{"Account_Name"}},
		}
	case "Leads", "Deals":
		return []relatedList{{"Notes", "Notes", []string{"Parent_Id"}}, {"Calls", "Calls", what}, {"Tasks", "Tasks", what}, {"Events", "Events", what}}
	case "Notes":
		return nil
	}
	return []relatedList{{"Notes", "Notes", []string{"Parent_Id"}}}
}

func (q *request) routeRelated(prefix string, m *module, id, name string) (operation, *problem) {
	template := prefix + "/{module}/{id}/" + name
	for _, l := range relatedLists(m) {
		if !strings.EqualFold(l.name, name) && !(strings.EqualFold(name, l.name+"_History")) {
			continue
		}
		to := moduleByName(l.module)
		template = prefix + "/{module}/{id}/" + l.name
		by := map[string]operation{"GET": {
			scopes: append(moduleScope(m.API, "READ"), moduleScope(to.API, "READ")...), right: "View", module: to.API,
			run: func(q *request) answer { return q.related(m, id, l) },
		}}
		if l.name == "Notes" {
			n := q.countRecords()
			by["POST"] = operation{
				scopes: moduleScope("Notes", "CREATE"), right: "Create", module: "Notes", write: true, cost: max(1, (n+9)/10), heavy: n > 10,
				run: func(q *request) answer { return q.addNotes(m, id) },
			}
		}
		return q.verbs(template, by)
	}
	if m.API == "Deals" && name == "Contact_Roles" {
		return q.verbs(template, map[string]operation{"GET": {
			scopes: append(moduleScope("Deals", "READ"), moduleScope("Contacts", "READ")...), right: "View", module: "Deals",
			run: func(q *request) answer { return q.contactRoles(id) },
		}})
	}
	return operation{template: prefix + "/{module}/{id}/{related_list}"},
		refuse(400, "INVALID_DATA", "the related list given seems to be invalid", map[string]any{"resource_path_index": 2})
}

// related lists what hangs on a record, newest first.
func (q *request) related(m *module, id string, l relatedList) answer {
	o := q.org
	if !validID(id) || o.find(m.API, id) == nil {
		return invalidID(map[string]any{"resource_path_index": 1}).answer()
	}
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	var found []*record
	for _, e := range unseen(o.tables[l.module].parent[id]) {
		if e.now == nil {
			continue
		}
		for _, api := range l.by {
			if e.now.ref(api).ID == id {
				found = append(found, e.now)
				break
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return newer(found[i].ID, found[j].ID) })
	return q.page(found, fields, maxListed)
}

// newer compares ids, which are numbers of one length or another.
func newer(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

func (q *request) addNotes(m *module, id string) answer {
	if !validID(id) || q.org.find(m.API, id) == nil {
		return q.refusedWrite(invalidID(map[string]any{"resource_path_index": 1}))
	}
	return q.create(moduleByName("Notes"), &ref{m.API, id})
}

// Contact roles of a Deal live in the Deal's record, out of its fields' way.
const rolesKey = "$contact_roles"

var contactRoleNames = []string{"Developer/Evaluator", "Decision Maker", "Purchasing", "Executive Sponsor", "Engineering Lead", "Economic Decision Maker", "Product Management"}

func (q *request) contactRoles(id string) answer {
	r := q.org.find("Deals", id)
	if r == nil {
		return noContent()
	}
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	roles, _ := r.Values[rolesKey].([]any)
	var contacts []*record
	for _, x := range roles {
		m, _ := x.(map[string]any)
		cid, _ := m["contact"].(string)
		if c := q.org.find("Contacts", cid); c != nil {
			contacts = append(contacts, c)
		}
	}
	return q.page(contacts, fields, maxListed)
}

// putContactRole links a Contact to a Deal, with a role where one is given (Deal contact roles).
func (q *request) putContactRole(dealID, contactID string) answer {
	o := q.org
	deal, contact := o.find("Deals", dealID), o.find("Contacts", contactID)
	if deal == nil || contact == nil {
		return q.refusedWrite(refuse(400, "INVALID_DATA", "the related id given seems to be invalid", map[string]any{"resource_path_index": 1}))
	}
	b := q.readBody(moduleByName("Deals"))
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	role := ""
	if raw := b.items[0]["Contact_Role"]; raw != nil {
		id, ok := idOf(raw)
		for i := range contactRoleNames {
			if ok && id == o.id(uint64(701+i)) {
				role = id
			}
		}
		if role == "" {
			return q.answerAll([]result{failure(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "Contact_Role", "json_path": "$.data[0].Contact_Role"}))}, http.StatusOK)
		}
	}
	old, _ := deal.Values[rolesKey].([]any)
	list := []any{map[string]any{"contact": contactID, "role": role}}
	for _, x := range old {
		if m, _ := x.(map[string]any); m["contact"] != contactID {
			list = append(list, x)
		}
	}
	q.s.revise(q, deal, map[string]any{rolesKey: list}, "updated")
	return jsonAnswer(200, map[string]any{"data": []result{{Code: "SUCCESS", Details: map[string]any{"id": contactID}, Message: "relation updated", Status: "success"}}})
}
