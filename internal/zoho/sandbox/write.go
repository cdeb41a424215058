package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const maxRecords = 100 // in one write

// writeBody is what every write understands beside the records.
type writeBody struct {
	items   []map[string]any
	check   []string // duplicate_check_fields
	rules   bool     // workflow rules run
	rule    string   // assignment rule, "" = none
	refusal *problem
}

// readBody reads a write's body, whatever its Content-Type says: public clients send none (seen on the wire).
func (q *request) readBody(m *module) writeBody {
	bad := func(p *problem) writeBody { return writeBody{refusal: p} }
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	if err != nil || !ok {
		return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject"}))
	}
	raw, given := top["data"]
	if !given {
		return bad(refuse(400, "MANDATORY_NOT_FOUND", "required field not found", map[string]any{"api_name": "data", "json_path": "$.data"}))
	}
	list, ok := raw.([]any)
	if !ok {
		return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonarray", "api_name": "data", "json_path": "$.data"}))
	}
	if len(list) == 0 {
		return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "data", "json_path": "$.data"}))
	}
	if len(list) > maxRecords {
		return bad(refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"maximum_length": maxRecords, "api_name": "data", "json_path": "$.data"}))
	}
	b := writeBody{rules: true}
	for _, x := range list {
		item, _ := x.(map[string]any) // nil: refused in its place
		b.items = append(b.items, item)
	}
	if lar, ok := top["lar_id"]; ok && lar != nil {
		if id, ok := idOf(lar); !ok || id != q.org.assignmentRule(m) {
			return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "lar_id", "json_path": "$.lar_id"}))
		}
		b.rule = q.org.assignmentRule(m)
	}
	if raw, given := top["trigger"]; given && raw != nil {
		list, ok := raw.([]any)
		if !ok {
			return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonarray", "api_name": "trigger", "json_path": "$.trigger"}))
		}
		for i, x := range list {
			if name, ok := x.(string); !ok || !slices.Contains(triggers, name) {
				return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "trigger", "json_path": fmt.Sprintf("$.trigger[%d]", i), "supported_values": triggers}))
			}
		}
		b.rules = slices.Contains(list, any("workflow"))
	}
	if p := features(top); p != nil {
		return bad(p)
	}
	if fields, ok := top["duplicate_check_fields"].([]any); ok {
		for _, f := range fields {
			s, _ := f.(string)
			if q.org.schema(m.API).field(s) == nil {
				return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "duplicate_check_fields", "json_path": "$.duplicate_check_fields"}))
			}
			b.check = append(b.check, s)
		}
	}
	return b
}

// result is one element of a write's data[].
type result struct {
	Code           string         `json:"code"`
	DuplicateField *string        `json:"duplicate_field,omitempty"`
	Action         string         `json:"action,omitempty"`
	Details        map[string]any `json:"details"`
	Message        string         `json:"message"`
	Status         string         `json:"status"`

	http int
	rule string
}

func failure(p *problem) result {
	return result{Code: p.Code, Details: p.Details, Message: p.Message, Status: p.Status, http: p.status, rule: p.why()}
}

func (q *request) success(r *record, message string) result {
	o := q.org
	details := map[string]any{
		"id": r.ID, "Created_Time": o.clock(r.Created), "Modified_Time": o.clock(r.Modified),
		"Created_By": o.person(r.ref("Created_By").ID), "Modified_By": o.person(r.ref("Modified_By").ID),
	}
	if r.Module != "Notes" { // notes are not approved
		details["$approval_state"] = "approved"
	}
	return result{Code: "SUCCESS", Message: message, Status: "success", http: 200, Details: details}
}

// answerAll is a write's answer: good, mixed, or all refused, in the order of the request.
func (q *request) answerAll(results []result, good int) answer {
	failed := 0
	code := ""
	var rules []string
	for _, r := range results {
		if r.Status == "error" {
			failed++
			code = r.Code
			rules = append(rules, r.rule)
		}
	}
	status := good
	switch {
	case failed == 0:
	case failed < len(results):
		status = http.StatusMultiStatus
	case q.oldAPI():
		status = http.StatusAccepted // v2 says 202 and means no
	default:
		status = results[0].http
	}
	return answer{status: status, body: marshal(map[string]any{"data": results}), code: code, rule: reasons(rules)}
}

func (q *request) create(m *module, parent *ref) answer {
	b := q.readBody(m)
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	var out []result
	for i, item := range b.items {
		if parent != nil && item != nil {
			item["Parent_Id"] = map[string]any{"id": parent.ID, "module": map[string]any{"api_name": parent.Module}}
		}
		out = append(out, q.createOne(m, b, item, i))
	}
	return q.answerAll(out, http.StatusCreated)
}

func (q *request) createOne(m *module, b writeBody, item map[string]any, i int) result {
	r, p := q.s.save(q, m, q.assigned(b, item), nil, i, false)
	if p != nil {
		return failure(p)
	}
	if b.rules {
		q.s.workflows(q, r, "create")
	}
	return q.success(r, "record added")
}

// assigned is a record as the assignment rule of the request leaves it: with the rule's user for an owner.
func (q *request) assigned(b writeBody, item map[string]any) map[string]any {
	if b.rule == "" || item == nil {
		return item
	}
	item = maps.Clone(item)
	item["Owner"] = map[string]any{"id": q.org.ruleAssignee().ID}
	return item
}

// features checks apply_feature_execution and skip_feature_execution: what may stand there is listed in the error of Insert records.
func features(top map[string]any) *problem {
	known := []string{"layout_rules", "range_validation", "assignment_rules", "function_validation_rule", "criteria_validation_rule", "global_map_dependency", "territory_subordinates"}
	list, _ := top["apply_feature_execution"].([]any)
	for i, x := range list {
		named, _ := x.(map[string]any)
		if name, _ := named["name"].(string); !slices.Contains(known, name) {
			return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "name", "json_path": fmt.Sprintf("$.apply_feature_execution[%d].name", i), "supported_values": known})
		}
	}
	return nil
}

func (q *request) refusedWrite(p *problem) answer {
	if q.org.Settings.WrapRequestErrors {
		return p.wrapped()
	}
	return p.answer()
}

// save checks a record and stores it. before is nil for a new one. byHand is a person at work, whom only types stop.
func (s *Sandbox) save(q *request, m *module, item map[string]any, before *record, i int, byHand bool) (*record, *problem) {
	o := q.org
	d := &draft{q: q, sc: o.schema(m.API), at: i, in: item, before: before, byHand: byHand, values: map[string]any{}}
	if item == nil {
		return nil, refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject", "json_path": strings.TrimSuffix(d.path(""), ".")})
	}
	if before != nil {
		d.values = maps.Clone(before.Values)
	}
	if raw, ok := item["Layout"]; ok && raw != nil && !byHand {
		if id, ok := idOf(raw); !ok || id != o.layoutID(m) {
			d.invalid("Layout", nil)
		} else {
			d.layout = true
		}
	}
	d.read()
	if !byHand {
		d.rules()
		d.mandatory()
		d.uniqueClash()
		if before != nil {
			if p := d.stateForbids(); p != nil {
				return nil, p
			}
		}
	}
	if p := d.problem(); p != nil {
		return nil, p
	}
	d.derive()
	return s.commit(d, o, m), nil
}

// byHand is save as a person in the CRM does it.
func (s *Sandbox) byHand(q *request, m *module, item map[string]any, before *record, i int) (*record, *problem) {
	return s.save(q, m, item, before, i, true)
}

func (s *Sandbox) commit(d *draft, o *org, m *module) *record {
	q, now := d.q, d.q.at.UTC()
	r := &record{Module: m.API, Values: d.values, Created: now, Modified: now}
	me := ref{usersModule, q.user.ID}
	action := "updated"
	if d.before == nil {
		action = "created"
		r.ID = o.newID()
		r.Values["Created_By"] = me
		if t, ok := asTime(d.values["Created_Time"]); ok && d.byHand {
			r.Created = t
		}
		r.Values["Created_Time"] = r.Created.Truncate(time.Second)
		if r.Values["Owner"] == nil {
			r.Values["Owner"] = me
		}
	} else {
		r.ID, r.Created = d.before.ID, d.before.Created
	}
	r.Values["Modified_By"] = me
	if t, ok := asTime(d.values["Modified_Time"]); ok && d.byHand && d.changed["Modified_Time"] {
		r.Modified = t
	}
	r.Values["Modified_Time"] = r.Modified.Truncate(time.Second)
	if o.schema(m.API).field("Last_Activity_Time") != nil && !(d.byHand && d.changed["Last_Activity_Time"]) {
		r.Values["Last_Activity_Time"] = r.Modified.Truncate(time.Second)
	}
	if list, ok := r.Values["Tag"].([]any); ok && d.changed["Tag"] {
		r.Values["Tag"] = s.tagged(o, m.API, list)
	}
	s.store(o, r, q, action+d.by)
	if d.before == nil && (m.Activity || m.API == "Notes") {
		for _, api := range []string{"Who_Id", "What_Id", "Parent_Id"} {
			s.touch(q, r.ref(api), now)
		}
	}
	if len(d.picks) > 0 {
		for _, p := range d.picks {
			if f := o.schema(m.API).field(p[0]); !slices.Contains(f.Picks, p[1]) {
				o.addPick(m.API, p[0], p[1])
			}
		}
		s.journal.org(o)
	}
	return r
}

// stateForbids is what a record's own state refuses: converted, in a blueprint, changed since the client looked.
func (d *draft) stateForbids() *problem {
	q, r := d.q, d.before
	if r.is(lockedKey) {
		return recordLocked(r, "edit")
	}
	if r.is("Converted__s") {
		return refuse(400, "CONVERTED_RECORD", "The record is converted", map[string]any{"id": r.ID})
	}
	if f := q.org.Settings.Blueprint[r.Module]; f != "" && d.changed[f] && q.org.inProcess(r) {
		return refuse(400, "RECORD_IN_BLUEPRINT", "The record is in blue print", map[string]any{"api_name": f, "json_path": d.path(f)}).because("%s moves by the blueprint's transitions only", f)
	}
	if q.http == nil {
		return nil
	}
	if h := q.http.Header.Get("If-Unmodified-Since"); h != "" {
		if since, err := parseHeaderTime(h); err == nil && r.Modified.Truncate(time.Second).After(since) {
			return refuse(http.StatusPreconditionFailed, "ALREADY_MODIFIED", "Record already modified. Check the 'If-Unmodified-Since' header value", map[string]any{
				"Modified_Time": q.org.clock(r.Modified), "Modified_By": q.org.person(r.ref("Modified_By").ID), "id": r.ID,
			})
		}
	}
	return nil
}

func parseHeaderTime(h string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, h); err == nil {
		return t, nil
	}
	return http.ParseTime(h)
}

func invalidID(details map[string]any) *problem {
	return refuse(400, "INVALID_DATA", "the id given seems to be invalid", details)
}

// update is PUT, with ids in the body or one in the path.
func (q *request) update(m *module, pathID string) answer {
	if pathID != "" && !validID(pathID) {
		return q.refusedWrite(invalidID(map[string]any{"resource_path_index": 1}))
	}
	b := q.readBody(m)
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	var out []result
	for i, item := range b.items {
		id := pathID
		unknown := map[string]any{"resource_path_index": 1}
		if id == "" {
			unknown = map[string]any{"api_name": "id", "json_path": (&draft{at: i}).path("id")}
			if item != nil && item["id"] == nil {
				out = append(out, failure(refuse(400, "MANDATORY_NOT_FOUND", "required field not found", unknown)))
				continue
			}
			id, _ = idOf(item)
		}
		r := q.org.find(m.API, id)
		if r == nil {
			out = append(out, failure(invalidID(unknown)))
			continue
		}
		out = append(out, q.updateOne(m, b, item, r, i))
		if pathID != "" {
			break
		}
	}
	return q.answerAll(out, http.StatusOK)
}

func (q *request) updateOne(m *module, b writeBody, item map[string]any, before *record, i int) result {
	r, p := q.s.save(q, m, q.assigned(b, item), before, i, false)
	if p != nil {
		return failure(p)
	}
	if b.rules {
		q.s.workflows(q, r, "edit")
	}
	return q.success(r, "record updated")
}

// upsert updates the record that shares a duplicate-check field's value, and inserts where there is none (Upsert records, Kaizen 56).
func (q *request) upsert(m *module) answer {
	b := q.readBody(m)
	if b.refusal != nil {
		return q.refusedWrite(b.refusal)
	}
	check := b.check
	if len(check) == 0 {
		if m.DuplicateCheck != "" {
			check = append(check, m.DuplicateCheck)
		}
		check = append(check, q.org.schema(m.API).unique...)
	}
	t := q.org.tables[m.API]
	var out []result
	for i, item := range b.items {
		var before *record
		field := ""
		for _, api := range check {
			v, ok := item[api]
			if !ok || v == nil {
				continue
			}
			if s, ok := v.(json.Number); ok {
				v = s
			}
			if before = t.byUnique(q.org.schema(m.API).field(api), v, nil); before != nil {
				field = api
				break
			}
		}
		var res result
		if before != nil {
			res = q.updateOne(m, b, item, before, i)
			res.Action, res.DuplicateField = "update", &field
		} else {
			res = q.createOne(m, b, item, i)
			res.Action = "insert"
		}
		if res.Status == "error" {
			res.Action, res.DuplicateField = "", nil
		}
		out = append(out, res)
	}
	return q.answerAll(out, http.StatusOK)
}

func (q *request) deleteOne(m *module, id string) answer {
	if !validID(id) {
		return invalidID(map[string]any{"resource_path_index": 1}).answer()
	}
	return q.answerDeleted([]result{q.deleted(m, id)})
}

// answerDeleted is a deletion's answer: where nothing was deleted, one refusal of the whole request (Delete records).
func (q *request) answerDeleted(results []result) answer {
	a := q.answerAll(results, http.StatusOK)
	if a.status == http.StatusBadRequest {
		first := results[0]
		return refuse(a.status, first.Code, first.Message, first.Details).because("%s", first.rule).answer()
	}
	return a
}

func (q *request) deleteMany(m *module) answer {
	ids := strings.FieldsFunc(q.query.Get("ids"), func(r rune) bool { return r == ',' })
	if len(ids) == 0 {
		return refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "ids"}).answer()
	}
	if len(ids) > maxRecords {
		return refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"limit": maxRecords, "param_name": "ids"}).answer()
	}
	var out []result
	for _, id := range ids {
		out = append(out, q.deleted(m, strings.TrimSpace(id)))
	}
	return q.answerDeleted(out)
}

func (q *request) deleted(m *module, id string) result {
	r := q.org.find(m.API, id)
	if r == nil {
		return failure(invalidID(map[string]any{"id": id}))
	}
	if r.is(lockedKey) {
		return failure(refuse(400, "RECORD_LOCKED", "Sorry, you cannot perform this operation as the record is locked.", map[string]any{"id": id}))
	}
	q.s.remove(q.org, id, q)
	return result{Code: "SUCCESS", Details: map[string]any{"id": id}, Message: "record deleted", Status: "success", http: 200}
}

func asTime(v any) (time.Time, bool) {
	t, ok := v.(time.Time)
	return t, ok
}
