package sandbox

import (
	"maps"
	"slices"
)

// A blueprint, where the setting puts one on a module's field, is a chain: each value leads to the next one, and the step into
// Negotiation/Review asks for an Amount. Small, but enough to meet every answer of Blueprint, get and update.
type transition struct {
	id       string
	name     string
	from, to string
	fields   []string // mandatory during the transition
}

func (o *org) chain(module, api string) []string {
	f := o.schema(module).field(api)
	if f == nil {
		return nil
	}
	return f.Picks
}

func (o *org) transitions(module string) []transition {
	api := o.Settings.Blueprint[module]
	var out []transition
	values := o.chain(module, api)
	for i := 0; i+1 < len(values); i++ {
		t := transition{id: o.id(uint64(800 + i)), name: "To " + values[i+1], from: values[i], to: values[i+1]}
		if t.to == "Negotiation/Review" && o.schema(module).field("Amount") != nil {
			t.fields = []string{"Amount"}
		}
		out = append(out, t)
	}
	return out
}

// inProcess says whether a record is in its module's blueprint: its field stands on a value that leads somewhere.
func (o *org) inProcess(r *record) bool {
	api := o.Settings.Blueprint[r.Module]
	if api == "" || !o.hasBlueprints() {
		return false
	}
	if r.Module == "Deals" && api == "Stage" {
		for _, st := range o.stages() {
			if st.Name == r.text(api) {
				return st.Forecast == "Open"
			}
		}
	}
	return slices.ContainsFunc(o.transitions(r.Module), func(t transition) bool { return t.from == r.text(api) })
}

func (q *request) blueprintRecord(m *module, id string) (*record, *problem) {
	r := q.org.find(m.API, id)
	if r == nil {
		return nil, invalidID(map[string]any{"resource_path_index": 1})
	}
	if !q.org.inProcess(r) {
		return nil, refuse(400, "RECORD_NOT_IN_PROCESS", "record not in process", nil)
	}
	return r, nil
}

func (q *request) getBlueprint(m *module, id string) answer {
	r, p := q.blueprintRecord(m, id)
	if p != nil {
		return p.answer()
	}
	api := q.org.Settings.Blueprint[m.API]
	list := []any{}
	for _, t := range q.org.transitions(m.API) {
		if t.from != r.text(api) {
			continue
		}
		fields := []any{}
		for _, name := range t.fields {
			f := q.org.schema(m.API).field(name)
			fields = append(fields, map[string]any{"api_name": f.API, "display_label": f.Label, "field_label": f.Label, "mandatory": true, "data_type": f.Type, "id": q.org.fieldID(m, f)})
		}
		list = append(list, map[string]any{
			"id": t.id, "name": t.name, "criteria_matched": true, "next_field_value": t.to, "type": "manual", "execution_time": nil, "criteria_message": nil,
			"percent_partial_save": 0, "next_transitions": []any{}, "fields": fields, "data": map[string]any{},
		})
	}
	return jsonAnswer(200, map[string]any{"blueprint": map[string]any{
		"process_info": map[string]any{
			"api_name": api, "field_value": r.text(api), "name": m.Singular + " blueprint", "is_continuous": false, "field_label": api,
			"column_name": api, "field_id": q.org.fieldID(m, q.org.schema(m.API).field(api)), "field_name": api, "escalation": nil,
		},
		"transitions": list,
	}})
}

func (q *request) putBlueprint(m *module, id string) answer {
	r, p := q.blueprintRecord(m, id)
	if p != nil {
		return q.refusedWrite(p)
	}
	if r.is(lockedKey) {
		return q.refusedWrite(recordLocked(r, "blueprint"))
	}
	v, err := decodeJSON(q.body)
	top, _ := v.(map[string]any)
	list, _ := top["blueprint"].([]any)
	if err != nil || len(list) == 0 {
		return refuse(400, "MANDATORY_NOT_FOUND", "required field not found", map[string]any{"api_name": "blueprint"}).answer()
	}
	in, _ := list[0].(map[string]any)
	want, _ := in["transition_id"].(string)
	data, _ := in["data"].(map[string]any)
	api := q.org.Settings.Blueprint[m.API]
	for _, t := range q.org.transitions(m.API) {
		if t.id != want || t.from != r.text(api) {
			continue
		}
		sent := map[string]any{}
		for k, x := range data {
			if k != api {
				sent[k] = x
			}
		}
		d := &draft{q: q, sc: q.org.schema(m.API), in: sent, before: r, values: maps.Clone(r.Values)}
		d.read()
		d.rules()
		if p := d.problem(); p != nil {
			return p.answer()
		}
		message := "transition updated successfully"
		for _, f := range t.fields {
			if d.values[f] == nil {
				message = "transition saved partially" // what came is kept; the state has not moved
			}
		}
		if message == "transition updated successfully" {
			d.values[api] = t.to
			d.changed[api] = true
		}
		d.derive()
		q.s.commit(d, q.org, m)
		return jsonAnswer(200, map[string]any{"code": "SUCCESS", "details": map[string]any{}, "message": message, "status": "success"})
	}
	return refuse(400, "INVALID_DATA", "invalid transition", map[string]any{"api_name": "transition_id", "json_path": "$.blueprint[0].transition_id"}).answer()
}
