package sandbox

import "maps"

// lockedKey marks a record that somebody locked. Locking rules are the CRM's affair; here the control routes and pages lock.
const lockedKey = "$locked"

func recordLocked(r *record, action string) *problem {
	return refuse(400, "RECORD_LOCKED", "Sorry, you cannot perform this operation as the record is locked.", map[string]any{"id": r.ID, "action": action})
}

// merge joins a record into another as a person does by hand: what hung on it hangs on the other, values that the other lacks come
// along, its id is gone. Which values win is (mem); that lookups move is what a merge is for.
func (s *Sandbox) merge(q *request, loser, into *record) {
	o := q.org
	moved := func(v any) (any, bool) {
		if to, ok := v.(ref); ok && to.ID == loser.ID && to.Module == loser.Module {
			return ref{into.Module, into.ID}, true
		}
		return v, false
	}
	for _, m := range modules {
		for _, e := range unseen(o.tables[m.API].parent[loser.ID]) {
			if e.now == nil {
				continue
			}
			changes := map[string]any{}
			for k, v := range e.now.Values {
				if to, ok := moved(v); ok {
					changes[k] = to
				}
			}
			if len(changes) > 0 {
				s.revise(q, e.now, changes, "updated")
			}
		}
	}
	if loser.Module == "Contacts" {
		for _, e := range o.tables["Deals"].order {
			if e.now == nil {
				continue
			}
			old, _ := e.now.Values[rolesKey].([]any)
			roles := []any{}
			changed := false
			for _, x := range old {
				role, _ := x.(map[string]any)
				if role["contact"] == loser.ID {
					role = maps.Clone(role)
					role["contact"] = into.ID
					changed = true
				}
				roles = append(roles, role)
			}
			if changed {
				s.revise(q, e.now, map[string]any{rolesKey: roles}, "updated")
			}
		}
	}
	s.removeAs(o, loser.ID, q, "merged")
	into = o.find(into.Module, into.ID) // a lookup of its own may have led to the other
	changes := map[string]any{}
	for k, v := range loser.Values {
		if into.Values[k] == nil && k != lockedKey && v != nil {
			changes[k] = v
		}
	}
	s.revise(q, into, changes, "updated")
}
