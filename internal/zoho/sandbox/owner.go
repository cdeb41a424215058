package sandbox

import (
	"fmt"
	"net/http"
	"slices"
)

const maxOwnerChanges = 500

// changeOwner gives a record, or those of `ids`, to another user, and with it the activities and records that hang on it where
// related_modules names them (Change owner).
func changeOwner(m *module, pathID string) operation {
	return operation{
		scopes: [][]string{{"ZohoCRM.change_owner.CREATE"}}, right: "Edit", module: m.API, write: true,
		run: func(q *request) answer { return q.changeOwner(m, pathID) },
	}
}

func (q *request) changeOwner(m *module, pathID string) answer {
	o := q.org
	at := func(key string) map[string]any { return map[string]any{"api_name": key, "json_path": "$." + key} }
	v, err := decodeJSON(q.body)
	in, ok := v.(map[string]any)
	if err != nil || !ok {
		return refuse(400, "INVALID_DATA", "invalid data", at("body")).answer()
	}
	if in["owner"] == nil {
		return refuse(400, "MANDATORY_NOT_FOUND", "required field not found", at("owner")).answer()
	}
	ownerID, ok := idOf(in["owner"])
	if u := o.user(ownerID); !ok || u == nil || u.Inactive {
		return refuse(400, "INVALID_DATA", "the id given seems to be invalid", map[string]any{"api_name": "id", "json_path": "$.owner.id"}).answer()
	}
	var related []string
	list, _ := in["related_modules"].([]any)
	for i, x := range list {
		named, _ := x.(map[string]any)
		name, _ := named["api_name"].(string)
		if !slices.Contains([]string{"Tasks", "Events", "Calls", "Contacts", "Deals"}, name) {
			return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "api_name", "json_path": fmt.Sprintf("$.related_modules[%d].api_name", i)}).answer()
		}
		related = append(related, name)
	}
	ids := []string{pathID}
	if pathID == "" {
		ids = nil
		raw, _ := in["ids"].([]any)
		for _, x := range raw {
			id, _ := idOf(x)
			ids = append(ids, id)
		}
		switch {
		case len(ids) == 0:
			return refuse(400, "MANDATORY_NOT_FOUND", "required field not found", at("ids")).answer()
		case len(ids) > maxOwnerChanges:
			return refuse(400, "INVALID_DATA", "invalid data", at("ids")).answer()
		}
	}
	out := []result{}
	for i, id := range ids {
		where := map[string]any{"resource_path_index": 1}
		if pathID == "" {
			where = map[string]any{"api_name": "ids", "json_path": fmt.Sprintf("$.ids[%d]", i)}
		}
		r := o.find(m.API, id)
		p := (*problem)(nil)
		switch {
		case r == nil:
			p = invalidID(where)
		case r.is(lockedKey):
			p = recordLocked(r, "change_owner")
		case m.API == "Calls" && completedCall(r): // stays with whom it was made for (Kaizen 38)
			p = refuse(400, "INVALID_DATA", "invalid data", where)
		}
		if p != nil {
			if pathID != "" {
				return p.answer()
			}
			out = append(out, failure(p))
			continue
		}
		q.s.giveTo(q, r, ownerID, related)
		out = append(out, result{Code: "SUCCESS", Details: map[string]any{"id": r.ID}, Message: "owner is successfully updated", Status: "success", http: 200})
	}
	if pathID != "" {
		return jsonAnswer(http.StatusOK, out[0]) // alone, as the newer file has it; the older one, and many at once, in data[] (conflict)
	}
	return q.answerAll(out, http.StatusOK)
}

func (s *Sandbox) giveTo(q *request, r *record, ownerID string, related []string) {
	owner := map[string]any{"Owner": ref{usersModule, ownerID}}
	s.revise(q, r, owner, "updated")
	for _, name := range related {
		for _, e := range unseen(q.org.tables[name].parent[r.ID]) {
			if e.now != nil && e.now.leadsTo(r.ID) && !(name == "Calls" && completedCall(e.now)) {
				s.revise(q, e.now, owner, "updated")
			}
		}
	}
}

// leadsTo says whether one of a record's lookups is of another record.
func (r *record) leadsTo(id string) bool {
	for _, v := range r.Values {
		if to, ok := v.(ref); ok && to.ID == id && to.Module != usersModule {
			return true
		}
	}
	return false
}

func completedCall(r *record) bool {
	status := r.text("Outgoing_Call_Status")
	return status == "" || status == "Completed"
}
