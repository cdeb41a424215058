package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Contact roles of a Deal live in the Deal's record, out of its fields' way.
const rolesKey = "$contact_roles"

var contactRoleNames = []string{"Developer/Evaluator", "Decision Maker", "Purchasing", "Executive Sponsor", "Engineering Lead", "Economic Decision Maker", "Product Management"}

func (o *org) contactRoleID(i int) string { return o.id(uint64(701 + i)) }

// contactRole is a role by its id, nil where there is none such.
func (o *org) contactRole(id string) any {
	for i, name := range contactRoleNames {
		if o.contactRoleID(i) == id {
			return namedID{name, id}
		}
	}
	return nil
}

// roleNames is GET /Contacts/roles: the roles that there are (Contact roles).
func (q *request) roleNames() answer {
	list := []any{}
	for i, name := range contactRoleNames {
		list = append(list, map[string]any{"id": q.org.contactRoleID(i), "name": name, "sequence_number": i + 1})
	}
	return jsonAnswer(200, map[string]any{"contact_roles": list})
}

func (q *request) rolesOperation(prefix, dealID, contactID string) (operation, *problem) {
	base := operation{scopes: append(moduleScope("Deals", "READ"), moduleScope("Contacts", "READ")...), right: "View", module: "Deals"}
	change := base
	change.right, change.write = "Edit", true
	get, put, remove := base, change, change
	get.run = func(q *request) answer { return q.contactRoles(dealID, contactID) }
	put.run = func(q *request) answer { return q.putContactRoles(dealID, contactID) }
	remove.run = func(q *request) answer { return q.deleteContactRoles(dealID, contactID) }
	template := prefix + "/{module}/{id}/Contact_Roles"
	if contactID != "" {
		template += "/{contact_id}"
	}
	return q.verbs(template, map[string]operation{"GET": get, "PUT": put, "DELETE": remove})
}

// roleOf is the place of a contact in a Deal's list, -1 where it has no role.
func roleOf(roles []any, contactID string) int {
	return slices.IndexFunc(roles, func(x any) bool { m, _ := x.(map[string]any); return m["contact"] == contactID })
}

func unrelated() *problem {
	return refuse(400, "INVALID_DATA", "the related id given seems to be invalid", map[string]any{"resource_path_index": 1})
}

func (q *request) contactRoles(dealID, contactID string) answer {
	o := q.org
	if q.query.Get("fields") == "" && !q.oldAPI() {
		return refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "fields"}).answer()
	}
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	deal := o.find("Deals", dealID)
	if deal == nil {
		return unrelated().answer()
	}
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	var rows [][]byte
	roles, _ := deal.Values[rolesKey].([]any)
	for _, x := range roles {
		m, _ := x.(map[string]any)
		id, _ := m["contact"].(string)
		c := o.find("Contacts", id)
		if c == nil || (contactID != "" && id != contactID) {
			continue
		}
		row := o.appendRecord(nil, c, fields)
		roleID, _ := m["role"].(string)
		if role := o.contactRole(roleID); role != nil {
			row = append(append(append(row[:len(row)-1], `,"Contact_Role":`...), marshal(role)...), '}')
		}
		rows = append(rows, row)
	}
	from, to := min(len(rows), (page-1)*per), min(len(rows), page*per)
	more := to < len(rows)
	if rows = rows[from:to]; len(rows) == 0 {
		return noContent()
	}
	b := []byte(`{"data":[`)
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, row...)
	}
	b = append(b, ']')
	if contactID == "" {
		b = fmt.Appendf(b, `,"info":{"per_page":%d,"count":%d,"page":%d,"more_records":%t}`, per, len(rows), page, more)
	}
	return answer{status: http.StatusOK, body: append(b, '}')}
}

// putContactRoles links Contacts to a Deal, with a role where one is given (Deal contact roles).
func (q *request) putContactRoles(dealID, contactID string) answer {
	o := q.org
	deal := o.find("Deals", dealID)
	if deal == nil || (contactID != "" && o.find("Contacts", contactID) == nil) {
		return q.refusedWrite(unrelated())
	}
	if deal.is(lockedKey) {
		return q.refusedWrite(recordLocked(deal, "edit"))
	}
	b := q.readBody(moduleByName("Deals"))
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	old, _ := deal.Values[rolesKey].([]any)
	list := slices.Clone(old)
	var out []result
	for _, item := range b.items {
		id := contactID
		if id == "" {
			id, _ = idOf(item)
		}
		if o.find("Contacts", id) == nil {
			return q.refusedWrite(unrelated())
		}
		role := ""
		if raw := item["Contact_Role"]; raw != nil {
			if role, _ = idOf(raw); o.contactRole(role) == nil {
				return q.refusedWrite(refuse(400, "INVALID_DATA", "the relation name given seems to be invalid", map[string]any{"resource_path_index": 2}))
			}
		}
		message, entry := "relation added", map[string]any{"contact": id, "role": role}
		if at := roleOf(list, id); at >= 0 {
			message = "relation updated"
			list[at] = entry
		} else {
			list = append([]any{entry}, list...)
		}
		out = append(out, result{Code: "SUCCESS", Details: map[string]any{"id": id}, Message: message, Status: "success"})
		if contactID != "" { // one alone is always "updated" in the newer file
			out[0].Message = "relation updated"
			break
		}
	}
	q.s.revise(q, deal, map[string]any{rolesKey: list}, "updated")
	return q.answerAll(out, http.StatusOK)
}

func (q *request) deleteContactRoles(dealID, contactID string) answer {
	deal := q.org.find("Deals", dealID)
	if deal == nil {
		return unrelated().answer()
	}
	ids := []string{contactID}
	if contactID == "" {
		if ids = strings.FieldsFunc(q.query.Get("ids"), func(r rune) bool { return r == ',' }); len(ids) == 0 {
			return refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "ids"}).answer()
		}
	}
	old, _ := deal.Values[rolesKey].([]any)
	list := slices.Clone(old)
	var out []result
	for _, id := range ids {
		at := roleOf(list, id)
		if at < 0 {
			return unrelated().answer()
		}
		list = slices.Delete(list, at, at+1)
		out = append(out, result{Code: "SUCCESS", Details: map[string]any{"id": id}, Message: "relation removed", Status: "success"})
	}
	q.s.revise(q, deal, map[string]any{rolesKey: list}, "updated")
	return q.answerAll(out, http.StatusOK)
}
