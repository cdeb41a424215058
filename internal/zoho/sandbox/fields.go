package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNewFields is how many fields one request may make (Create custom fields).
const (
	maxNewFields  = 5
	maxFieldLabel = 25
)

// customTypes are the data types a field of one's own may have here. Zoho has more: those that need another module or a formula
// are refused as not supported.
var customTypes = []string{"text", "textarea", "email", "phone", "picklist", "multiselectpicklist", "date", "datetime", "integer", "bigint", "double", "currency", "percent", "website", "boolean"}

// uniqueTypes may be made unique (Upsert records, on user-defined unique fields).
var uniqueTypes = []string{"text", "email", "phone", "integer", "bigint", "website"}

// createFields is POST /settings/fields: how a program asks for fields of its own. All are made or none.
func (q *request) createFields() answer {
	o := q.org
	m, bad := q.moduleParam()
	if bad != nil {
		if bad.Code == "INVALID_MODULE" {
			bad.Details = map[string]any{}
		}
		return q.refusedWrite(bad)
	}
	if m.API == "Notes" { // have no fields of one's own (mem)
		return q.refusedWrite(refuse(400, "NOT_SUPPORTED", "Custom fields are not supported for this module", nil))
	}
	if q.user.Profile != profiles[0] { // changing what a module is like is an administrator's right (mem: the permission's name)
		return refuse(403, "NO_PERMISSION", "permission denied", map[string]any{"permissions": []string{"Crm_Implied_Customize_Zoho_CRM"}}).answer()
	}
	most := o.customFields()
	if most == 0 {
		return q.refusedWrite(refuse(400, "FEATURE_NOT_SUPPORTED", "Custom fields are not supported for current edition", nil))
	}
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	if err != nil || !ok {
		return q.refusedWrite(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject", "api_name": "body", "json_path": "$.body"}))
	}
	list, ok := top["fields"].([]any)
	switch {
	case top["fields"] == nil || ok && len(list) == 0:
		return q.refusedWrite(refuse(400, "MANDATORY_NOT_FOUND", "required field not found", map[string]any{"api_name": "fields", "json_path": "$.fields"}))
	case !ok:
		return q.refusedWrite(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonarray", "api_name": "fields", "json_path": "$.fields"}))
	case len(list) > maxNewFields:
		return q.refusedWrite(tooManyFields("limit exceeded", maxNewFields))
	case len(o.Custom[m.API])+len(list) > most:
		return q.refusedWrite(tooManyFields("the number of custom fields exceeds the limit of the edition", most))
	}

	var made []customField
	var refused []*problem
	for i, x := range list {
		in, _ := x.(map[string]any)
		c, p := o.newField(m, in, fmt.Sprintf("$.fields[%d]", i), made)
		if p != nil {
			refused = append(refused, p)
		}
		made = append(made, c)
	}
	if len(refused) > 0 {
		return answer{status: http.StatusBadRequest, body: marshal(map[string]any{"fields": refused}), code: refused[0].Code, rule: refused[0].why()}
	}
	out := []any{}
	for _, c := range made {
		c.ID = o.newID()
		o.Custom[m.API] = append(o.Custom[m.API], c)
		q.effects = append(q.effects, effect{Module: "Fields", ID: c.ID, Action: "created"})
		out = append(out, map[string]any{"code": "SUCCESS", "status": "success", "message": "field created", "details": map[string]any{"id": c.ID}})
	}
	q.s.changed(o)
	return jsonAnswer(http.StatusCreated, map[string]any{"fields": out})
}

func tooManyFields(message string, most int) *problem {
	return refuse(400, "LIMIT_EXCEEDED", message, map[string]any{"limit": most, "limit_due_to": []map[string]string{{"api_name": "fields", "json_path": "$.fields"}}})
}

// newField checks one field of a request; beside are those before it in the same request.
func (o *org) newField(m *module, in map[string]any, at string, beside []customField) (customField, *problem) {
	refused := func(code, message, key string, more map[string]any) (customField, *problem) {
		details := map[string]any{"api_name": key, "json_path": at + "." + key}
		for k, v := range more {
			details[k] = v
		}
		return customField{}, refuse(400, code, message, details)
	}
	label, _ := in["field_label"].(string)
	label = strings.TrimSpace(label)
	kind, _ := in["data_type"].(string)
	c := customField{API: apiName(label), Label: label, Type: kind, Length: typed("", "", kind).Length}
	switch {
	case in["field_label"] == nil || label == "":
		return refused("MANDATORY_NOT_FOUND", "required field not found", "field_label", nil)
	case utf8.RuneCountInString(label) > maxFieldLabel:
		return refused("INVALID_DATA", "invalid data", "field_label", map[string]any{"maximum_length": maxFieldLabel})
	case c.API == "":
		return refused("INVALID_DATA", "invalid data", "field_label", nil)
	case in["data_type"] == nil:
		return refused("MANDATORY_NOT_FOUND", "required field not found", "data_type", nil)
	case !slices.Contains(customTypes, kind):
		return refused("INVALID_DATA", "invalid data", "data_type", map[string]any{"supported_values": customTypes})
	}
	sc := o.schema(m.API)
	taken := slices.ContainsFunc(sc.fields, func(f field) bool {
		return strings.EqualFold(f.API, c.API) || strings.EqualFold(f.Label, c.Label)
	})
	for _, b := range beside {
		taken = taken || strings.EqualFold(b.API, c.API)
	}
	if taken {
		return refused("DUPLICATE_DATA", "duplicate data", "field_label", nil)
	}
	switch u := in["unique"].(type) { // two generations of Zoho's files write it in two ways, and the newer allows a plain yes
	case bool:
		c.Unique = u
	case map[string]any:
		c.Unique = len(u) > 0
		c.CaseSensitive = u["case_sensitive"] == true
	}
	if c.Unique && !slices.Contains(uniqueTypes, kind) {
		return refused("DEPENDENT_MISMATCH", "dependent field value mismatch", "unique", map[string]any{
			"dependee": map[string]any{"api_name": "data_type", "json_path": at + ".data_type"},
		})
	}
	longest := map[string]int{"text": 255, "textarea": 50000, "email": 100, "phone": 255, "website": 450, "picklist": 120, "integer": 9, "bigint": 18, "double": 16, "currency": 16, "percent": 5}[kind]
	if raw := in["length"]; raw != nil {
		n, ok := raw.(json.Number)
		l, err := n.Int64()
		if !ok || err != nil || l < 1 {
			return refused("INVALID_DATA", "invalid data", "length", map[string]any{"expected_data_type": "integer"})
		}
		if longest > 0 && int(l) > longest {
			return refused("INVALID_DATA", "invalid data", "length", map[string]any{"maximum_length": longest})
		}
		c.Length = int(l)
	}
	if c.Length == 0 {
		c.Length = map[string]int{"textarea": 2000, "phone": 30}[kind]
	}
	if c.Length == 0 {
		c.Length = max(longest, 120)
	}
	values, _ := in["pick_list_values"].([]any)
	for _, x := range values {
		p, _ := x.(map[string]any)
		if s, _ := p["actual_value"].(string); s != "" {
			c.Picks = append(c.Picks, s)
		}
	}
	return c, nil
}

// customFields is how many fields of one's own a module may have: the setting's, else the edition's. -1 in the setting is none.
func (o *org) customFields() int {
	switch n := o.Settings.CustomFields; {
	case n > 0:
		return n
	case n < 0:
		return 0
	}
	return editionByKey(o.Edition).CustomFields
}

func apiName(label string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, strings.TrimSpace(label)), "_")
}
