package sandbox

import (
	"sort"
	"strings"
)

// relatedList is what hangs on a record: records of a module whose lookup leads to it.
type relatedList struct {
	name, module string
	by           []string // lookups of that module
}

// relatedLists are those of a module. Attachments have answers of their own.
func relatedLists(m *module) []relatedList {
	notes, files := relatedList{"Notes", "Notes", []string{"Parent_Id"}}, relatedList{"Attachments", "Attachments", []string{"Parent_Id"}}
	activities := func(by string) []relatedList {
		return []relatedList{notes, {"Calls", "Calls", []string{by}}, {"Tasks", "Tasks", []string{by}}, {"Events", "Events", []string{by}}, files}
	}
	switch m.API {
	case "Contacts":
		return append(activities("Who_Id"), relatedList{"Deals", "Deals", []string{"Contact_Name"}})
	case "Accounts":
		return append(activities("What_Id"), relatedList{"Contacts", "Contacts", []string{"Account_Name"}}, relatedList{"Deals", "Deals", []string{"Account_Name"}})
	case "Leads", "Deals":
		return activities("What_Id")
	case "Notes", "Attachments":
		return nil
	}
	return []relatedList{notes, files}
}

func (q *request) routeRelated(prefix string, m *module, id, name string) (operation, *problem) {
	for _, l := range relatedLists(m) {
		if !strings.EqualFold(l.name, name) && !(strings.EqualFold(name, l.name+"_History")) {
			continue
		}
		to := moduleByName(l.module)
		template := prefix + "/{module}/{id}/" + l.name
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
