package sandbox

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// draft is one record of a request body on its way to being stored.
type draft struct {
	q       *request
	sc      *schema
	at      int            // place in data[]
	in      map[string]any // as sent
	before  *record        // nil on create
	byHand  bool           // a person at work: types only
	layout  bool           // a layout was named: its required fields count too
	values  map[string]any // what it will hold
	changed map[string]bool
	picks   [][2]string // field, value: to be added to the picklist once the record is stored
	errors  []*problem
	by      string // " by workflow", for the ledger
}

func (d *draft) path(api string) string { return fmt.Sprintf("$.data[%d].%s", d.at, api) }

func (d *draft) fail(code, message, api string, more map[string]any) {
	details := map[string]any{"api_name": api, "json_path": d.path(api)}
	for k, v := range more {
		details[k] = v
	}
	if d.q.oldAPI() {
		delete(details, "json_path")
	}
	d.errors = append(d.errors, refuse(400, code, message, details))
}

func (d *draft) invalid(api string, more map[string]any) {
	d.fail("INVALID_DATA", "invalid data", api, more)
}

func (d *draft) wrongType(f *field) {
	expected := map[string]string{"picklist": "text", "currency": "double", "percent": "double", "multiselectpicklist": "jsonarray", "lookup": "jsonobject", "ownerlookup": "jsonobject", "bigint": "integer"}[f.Type]
	if expected == "" {
		expected = f.Type
	}
	d.invalid(f.API, map[string]any{"expected_data_type": expected})
}

func (d *draft) missing(api string) {
	d.fail("MANDATORY_NOT_FOUND", "required field not found", api, nil)
}

// problem is all that is wrong with the draft, in one.
func (d *draft) problem() *problem {
	switch len(d.errors) {
	case 0:
		return nil
	case 1:
		return d.errors[0]
	}
	return refuse(400, "MULTIPLE_OR_MULTI_ERRORS", "multiple errors found", map[string]any{"errors": d.errors})
}

// read turns the sent keys into values of the right kind. Keys that are no field's name are ignored without error (obs), and so
// are fields that only the system writes.
func (d *draft) read() {
	d.changed = map[string]bool{}
	if locked, ok := d.in[lockedKey].(bool); ok && d.byHand {
		d.values[lockedKey] = locked
	}
	if se, ok := d.in["$se_module"].(string); ok {
		if m := moduleByName(se); m != nil {
			se = m.API
		}
		d.values["$se_module"] = se
	}
	for i := range d.sc.fields {
		f := &d.sc.fields[i]
		v, ok := d.in[f.API]
		if !ok || (f.ReadOnly && !(d.byHand && f.Type == "datetime")) {
			continue
		}
		if v == nil {
			delete(d.values, f.API)
			d.changed[f.API] = true
			continue
		}
		n := len(d.errors)
		value := d.value(f, v)
		if len(d.errors) > n {
			continue
		}
		d.changed[f.API] = true
		if value == nil || value == "" {
			delete(d.values, f.API)
		} else {
			d.values[f.API] = value
		}
	}
}

var phoneShape = regexp.MustCompile(`^[+]?[0-9A-Za-z\s\-().,;#*/]+$`)

// value is a sent value as it is kept; nil clears the field. Wrong ones are recorded as errors.
func (d *draft) value(f *field, v any) any {
	text := func() (string, bool) {
		s, ok := v.(string)
		if !ok {
			d.wrongType(f)
			return "", false
		}
		if f.Length > 0 && utf8.RuneCountInString(s) > f.Length {
			d.invalid(f.API, map[string]any{"maximum_length": f.Length})
			return "", false
		}
		return s, true
	}
	switch f.Type {
	case "text", "textarea":
		if f.API == "Tag" {
			return d.tags(f, v)
		}
		s, _ := text()
		return s
	case "email":
		s, ok := text()
		if ok && s != "" {
			if a, err := mail.ParseAddress(s); err != nil || a.Address != s || !strings.Contains(s[strings.LastIndex(s, "@"):], ".") {
				d.wrongType(f)
			}
		}
		return s
	case "phone":
		s, ok := text()
		if ok && s != "" && !phoneShape.MatchString(s) {
			d.wrongType(f)
		}
		return s
	case "website":
		s, ok := text()
		if ok && s != "" {
			if u, err := url.Parse(s); err != nil || strings.ContainsAny(s, " <>\"") || (u.Host == "" && !strings.Contains(s, ".")) {
				d.wrongType(f)
			}
		}
		return s
	case "picklist":
		s, ok := text()
		if ok && s != "" {
			d.pick(f, s)
		}
		return s
	case "multiselectpicklist":
		list, ok := v.([]any)
		if !ok {
			d.wrongType(f)
			return nil
		}
		for _, x := range list {
			s, ok := x.(string)
			if !ok {
				d.wrongType(f)
				return nil
			}
			d.pick(f, s)
		}
		if add, _ := d.in["$append_values"].(map[string]any); add[f.API] == true {
			if before, _ := d.values[f.API].([]any); before != nil {
				for _, x := range before {
					if !slices.Contains(list, x) {
						list = append(list, x)
					}
				}
			}
		}
		return list
	case "date":
		s, ok := v.(string)
		if _, err := time.Parse("2006-01-02", s); !ok || err != nil {
			d.wrongType(f)
			return nil
		}
		return s
	case "datetime":
		s, _ := v.(string)
		t, err := time.Parse(time.RFC3339, s) // an offset or Z is part of the form
		if err != nil {
			d.wrongType(f)
			return nil
		}
		return t.UTC()
	case "integer", "bigint":
		if f.API == "Participants" {
			return d.raw(f, v, true)
		}
		n, ok := v.(json.Number)
		if !ok || strings.ContainsAny(string(n), ".eE") {
			d.wrongType(f)
			return nil
		}
		if len(strings.TrimPrefix(string(n), "-")) > f.Length {
			d.invalid(f.API, map[string]any{"maximum_length": f.Length})
			return nil
		}
		return n
	case "double", "currency", "percent":
		n, ok := v.(json.Number)
		if !ok {
			d.wrongType(f)
			return nil
		}
		if len(digitsOf(strings.SplitN(string(n), ".", 2)[0])) > f.Length {
			d.invalid(f.API, map[string]any{"maximum_length": f.Length})
			return nil
		}
		return n
	case "boolean":
		b, ok := v.(bool)
		if !ok {
			d.wrongType(f)
			return nil
		}
		return b
	case "lookup":
		return d.lookup(f, v)
	case "ownerlookup":
		return d.owner(f, v)
	case "ALARM", "RRULE":
		return d.raw(f, v, false)
	case "multireminder":
		return d.raw(f, v, true)
	}
	return v
}

// raw keeps a list or an object as it was sent.
func (d *draft) raw(f *field, v any, list bool) any {
	_, isList := v.([]any)
	_, isObject := v.(map[string]any)
	if (list && !isList) || (!list && !isObject) {
		d.invalid(f.API, map[string]any{"expected_data_type": map[bool]string{true: "jsonarray", false: "jsonobject"}[list]})
		return nil
	}
	return v
}

func (d *draft) tags(f *field, v any) any {
	list, ok := v.([]any)
	if !ok {
		d.invalid(f.API, map[string]any{"expected_data_type": "jsonarray"})
		return nil
	}
	if len(list) > maxTags {
		d.fail("LIMIT_EXCEEDED", "tags limit exceeded", f.API, map[string]any{"limit": maxTags})
		return nil
	}
	for _, x := range list {
		name := tagName(x)
		if name == "" {
			d.invalid(f.API, map[string]any{"expected_data_type": "jsonobject"})
			return nil
		}
		if utf8.RuneCountInString(name) > maxTagName {
			d.invalid(f.API, map[string]any{"maximum_length": maxTagName})
			return nil
		}
	}
	return list
}

// pick takes a picklist value: one outside a plain list is accepted and added to it (Kaizen 38), unless the setting is strict.
// Stage, Pipeline and Call_Type have rules of their own.
func (d *draft) pick(f *field, s string) {
	if slices.Contains(f.Picks, s) || f.API == "Stage" || f.API == "Pipeline" || f.API == "Call_Type" {
		return
	}
	if d.q.org.Settings.StrictPicklists && !d.byHand {
		d.invalid(f.API, map[string]any{"supported_values": f.Picks})
		return
	}
	d.picks = append(d.picks, [2]string{f.API, s})
}

// idOf reads {"id":"…"}, or the bare id that older documentation shows (Kaizen 38).
func idOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, validID(v)
	case json.Number:
		return v.String(), validID(v.String())
	case map[string]any:
		switch id := v["id"].(type) {
		case string:
			return id, validID(id)
		case json.Number:
			return id.String(), validID(id.String())
		}
	}
	return "", false
}

func (d *draft) lookup(f *field, v any) any {
	if v == "" {
		return nil
	}
	id, ok := idOf(v)
	if !ok {
		d.wrongType(f)
		return nil
	}
	to := f.Lookup
	if to == "*" {
		to = d.target(f, v, id)
		if to == "" {
			return nil
		}
	}
	if d.q.org.find(to, id) == nil && !d.byHand {
		d.fail("INVALID_DATA", "the id given seems to be invalid", f.API, nil)
		return nil
	}
	return ref{to, id}
}

// target is the module that What_Id or Parent_Id leads to. What a missing or wrong $se_module gives is (mem).
func (d *draft) target(f *field, v any, id string) string {
	name, _ := d.in["$se_module"].(string)
	if f.API == "Parent_Id" {
		if o, ok := v.(map[string]any); ok {
			switch mod := o["module"].(type) {
			case string:
				name = mod
			case map[string]any:
				if s, ok := mod["api_name"].(string); ok {
					name = s
				}
			}
		}
	}
	if name == "" && d.before != nil {
		name = d.before.text("$se_module")
	}
	if name == "" && d.byHand {
		if e := d.q.org.byID[id]; e != nil && e.now != nil {
			name = e.now.Module
			d.values["$se_module"] = name
		}
	}
	if name == "" {
		d.missing("$se_module")
		return ""
	}
	m := moduleByName(name)
	if m == nil || m.API == "Notes" || m.Inner || (f.API == "What_Id" && (m.Activity || m.API == "Contacts")) {
		d.invalid("$se_module", nil)
		return ""
	}
	return m.API
}

// owner takes an active user, by id or by e-mail address (mem).
func (d *draft) owner(f *field, v any) any {
	o := d.q.org
	if m, ok := v.(map[string]any); ok && m["id"] == nil {
		if mail, ok := m["email"].(string); ok {
			for _, u := range o.Users {
				if strings.EqualFold(u.Email, mail) && !u.Inactive {
					return ref{usersModule, u.ID}
				}
			}
			d.fail("INVALID_DATA", "the id given seems to be invalid", f.API, nil)
			return nil
		}
	}
	id, ok := idOf(v)
	if !ok {
		d.wrongType(f)
		return nil
	}
	if u := o.user(id); u == nil || u.Inactive {
		d.fail("INVALID_DATA", "the id given seems to be invalid", f.API, nil)
		return nil
	}
	return ref{usersModule, id}
}

// mandatory checks what the system demands, and what the layout does where one was named (Insert records, on Layout).
func (d *draft) mandatory() {
	for i := range d.sc.fields {
		f := &d.sc.fields[i]
		if !f.System && !(d.layout && f.Layout) {
			continue
		}
		if d.values[f.API] != nil || d.failed(f.API) {
			continue
		}
		if d.before != nil && !d.changed[f.API] {
			continue // an older record may lack what became mandatory since
		}
		if f.API == "Last_Name" && d.q.org.Settings.FirstNameEnough && d.values["First_Name"] != nil {
			continue
		}
		if f.API == "Pipeline" && d.q.org.Settings.PipelineOptional && d.before == nil {
			continue
		}
		d.missing(f.API)
		why := "the system demands it"
		switch {
		case slices.Contains(d.q.org.Settings.Required[d.sc.module.API], f.API):
			why = "an administrator made it mandatory"
		case !f.System:
			why = "the layout that the request names demands it"
		}
		d.errors[len(d.errors)-1].because("%s is missing: %s", f.API, why)
	}
}

// failed says whether a field has an error already: one refusal a field is enough.
func (d *draft) failed(api string) bool {
	return slices.ContainsFunc(d.errors, func(p *problem) bool { return p.Details["api_name"] == api })
}

// uniqueClash finds the record that already has a unique field's value.
func (d *draft) uniqueClash() {
	t := d.q.org.tables[d.sc.module.API]
	for _, api := range d.sc.unique {
		if !d.changed[api] || d.failed(api) {
			continue
		}
		if other := t.byUnique(d.sc.field(api), d.values[api], d.before); other != nil {
			d.fail("DUPLICATE_DATA", "duplicate data", api, map[string]any{
				"id": other.ID, "more_records": false,
				"duplicate_record": map[string]any{
					"id": other.ID, "Owner": d.q.org.person(other.ref("Owner").ID),
					"module": map[string]any{"api_name": d.sc.module.API, "id": d.q.org.moduleID(d.sc.module)},
				},
			})
		}
	}
}

// byUnique is a record other than `not` whose field holds a value, case aside unless the field minds it.
func (t *table) byUnique(f *field, v any, not *record) *record {
	name := "~" + f.API
	if f.CaseSensitive {
		name = f.API
	}
	key := (&record{Values: map[string]any{f.API: v}}).key(name)
	if key == "" {
		return nil
	}
	for _, e := range t.equalIndex(name)[key] {
		if e.now != nil && (not == nil || e.now.ID != not.ID) && e.now.key(name) == key {
			return e.now
		}
	}
	return nil
}
