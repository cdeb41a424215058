package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ref is a lookup's value: which record (or user) it leads to.
type ref struct{ Module, ID string }

// record is one version of a record and never changes: an update makes a new one, so that an answer can be written while the
// next write is at work. Values are string, bool, json.Number, time.Time, ref, or raw JSON (lists and objects) as read.
type record struct {
	ID       string
	Module   string
	Created  time.Time
	Modified time.Time
	Values   map[string]any
}

func (r *record) text(api string) string { s, _ := r.Values[api].(string); return s }
func (r *record) ref(api string) ref     { v, _ := r.Values[api].(ref); return v }
func (r *record) is(api string) bool     { b, _ := r.Values[api].(bool); return b }

// entry is a record's place: what it is now, and what the search index may still believe.
type entry struct {
	now *record // nil once deleted
	old *record // the version before now, for as long as the index lags behind
}

// searchable is the version that the search index knows at t: new and changed records do not appear at once (Search records).
func (e *entry) searchable(t time.Time, lag time.Duration) *record {
	if e.now == nil || !e.now.Modified.Add(lag).After(t) {
		return e.now
	}
	return e.old
}

// table holds an organisation's records of one module, in the order of their making.
type table struct {
	module string
	order  []*entry
	live   int
	phones map[string][]*entry            // the last seven digits of each phone field
	emails map[string][]*entry            // lower case
	equal  map[string]map[string][]*entry // field: value as text; made when a query first asks
	parent map[string][]*entry            // record id: what hangs on it (activities, notes, deals, contacts)
}

func newTable(module string) *table {
	return &table{module: module, phones: map[string][]*entry{}, emails: map[string][]*entry{}, equal: map[string]map[string][]*entry{}, parent: map[string][]*entry{}}
}

const phoneKeyDigits = 7

func digitsOf(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

func phoneKey(digits string) string {
	if len(digits) > phoneKeyDigits {
		return digits[len(digits)-phoneKeyDigits:]
	}
	return digits
}

// indexKey is a value as the equality indexes and COQL compare it.
func indexKey(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case ref:
		return v.ID
	}
	return ""
}

// The indexes only grow: an entry stays under its earlier keys, and whoever looks checks the record itself. before is the
// version that e had, nil for a new one: what has not changed is there already.
func (t *table) index(sc *schema, e *entry, before *record) {
	put := func(m map[string][]*entry, key string) {
		if key == "" {
			return
		}
		// Two fields with one value make one entry. What else is there twice, queries see once.
		if l := m[key]; len(l) == 0 || l[len(l)-1] != e {
			m[key] = append(l, e)
		}
	}
	for _, f := range sc.fields {
		v, ok := e.now.Values[f.API]
		if !ok || (f.Type != "phone" && f.Type != "email" && f.Type != "lookup") || (before != nil && before.Values[f.API] == v) {
			continue
		}
		switch f.Type {
		case "phone":
			if s, _ := v.(string); s != "" {
				put(t.phones, phoneKey(digitsOf(s)))
			}
		case "email":
			if s, _ := v.(string); s != "" {
				put(t.emails, strings.ToLower(s))
			}
		case "lookup":
			if r, _ := v.(ref); r.ID != "" {
				put(t.parent, r.ID)
			}
		}
	}
	for name, m := range t.equal {
		if key := e.now.key(name); before == nil || before.key(name) != key {
			put(m, key)
		}
	}
}

// key is a record's key in the equality index of a name: a field, or ~field for one without regard to case.
func (r *record) key(name string) string {
	if api, ok := strings.CutPrefix(name, "~"); ok {
		return strings.ToLower(indexKey(r.Values[api]))
	}
	return indexKey(r.Values[name])
}

// equalIndex is the index of a name, made at its first use. The caller holds the lock for writing.
func (t *table) equalIndex(name string) map[string][]*entry {
	if m := t.equal[name]; m != nil {
		return m
	}
	m := map[string][]*entry{}
	for _, e := range t.order {
		if e.now != nil {
			if key := e.now.key(name); key != "" {
				m[key] = append(m[key], e)
			}
		}
	}
	t.equal[name] = m
	return m
}

// unseen drops entries met before from a list of candidates.
func unseen(list []*entry) []*entry {
	if len(list) < 2 {
		return list
	}
	seen := make(map[*entry]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(e *entry) bool {
		if seen[e] {
			return true
		}
		seen[e] = true
		return false
	})
}

// effect is what a request did to one record.
type effect struct {
	Module string `json:"module"`
	ID     string `json:"id"`
	Action string `json:"action"` // created, updated, deleted, converted, merged; with " by workflow" where a rule did it

	fields []string // that changed, where somebody watches
}

// store puts a new version of a record in place, indexes it and journals it.
func (s *Sandbox) store(o *org, r *record, by *request, action string) {
	old := o.find(r.Module, r.ID)
	s.place(o, r)
	ef := effect{Module: r.Module, ID: r.ID, Action: action}
	if old != nil && len(o.Channels) > 0 {
		ef.fields = differences(old, r)
	}
	by.effects = append(by.effects, ef)
	s.unplace(o, r, old, by)
	by.lines(func() { s.journal.record(o, r, by, action) })
}

// unplace notes how a change is taken back, in a composite request that may be.
func (s *Sandbox) unplace(o *org, r, old *record, by *request) {
	if by.undo == nil {
		return
	}
	by.undo.steps = append(by.undo.steps, func() {
		if old == nil {
			s.displace(o, r.ID)
			return
		}
		s.place(o, old)
	})
}

// touch moves Last_Activity_Time of what an activity hangs on. It is no change of that record: neither Modified_Time nor the
// ledger say so.
func (s *Sandbox) touch(by *request, to ref, at time.Time) {
	o := by.org
	r := o.find(to.Module, to.ID)
	if r == nil || o.schema(to.Module).field("Last_Activity_Time") == nil {
		return
	}
	next := *r
	next.Values = maps.Clone(r.Values)
	next.Values["Last_Activity_Time"] = at.Truncate(time.Second)
	s.place(o, &next)
	s.unplace(o, &next, r, by)
	by.lines(func() { s.journal.record(o, &next, nil, "") })
}

// place is store without the journal: also how the journal's own lines come back.
func (s *Sandbox) place(o *org, r *record) {
	t := o.tables[r.Module]
	e := o.byID[r.ID]
	var before *record
	if e == nil {
		e = &entry{now: r}
		o.byID[r.ID] = e
		t.order = append(t.order, e)
		t.live++
	} else {
		lag := time.Duration(o.Settings.SearchIndexLagMS) * time.Millisecond
		before = e.now
		e.old, e.now = e.searchable(s.now(), lag), r
	}
	t.index(o.schema(r.Module), e, before)
}

// remove deletes a record and leaves lookups to it empty, as Zoho does.
func (s *Sandbox) remove(o *org, id string, by *request) { s.removeAs(o, id, by, "deleted") }

func (s *Sandbox) removeAs(o *org, id string, by *request, action string) {
	e := o.byID[id]
	if e == nil || e.now == nil {
		return
	}
	old := e.now
	s.displace(o, id)
	by.effects = append(by.effects, effect{Module: old.Module, ID: id, Action: action})
	s.unplace(o, old, old, by)
	by.lines(func() { s.journal.remove(o, old.Module, id, by, action) })
}

func (s *Sandbox) displace(o *org, id string) {
	e := o.byID[id]
	if e == nil || e.now == nil {
		return
	}
	t := o.tables[e.now.Module]
	e.now, e.old = nil, nil
	delete(o.byID, id)
	t.live--
	if gone := len(t.order) - t.live; gone > 1024 && gone > t.live {
		t.order = slices.DeleteFunc(t.order, func(e *entry) bool { return e.now == nil })
	}
}

// find is the live record of an id in a module.
func (o *org) find(module, id string) *record {
	if e := o.byID[id]; e != nil && e.now != nil && e.now.Module == module {
		return e.now
	}
	return nil
}

// clock is t as this organisation writes it: its own zone, seconds, an offset.
func (o *org) clock(t time.Time) string { return t.In(o.zone).Format("2006-01-02T15:04:05-07:00") }

// nameOf is what a lookup to a record shows.
func (o *org) nameOf(r ref) (string, bool) {
	if r.Module == usersModule {
		if u := o.user(r.ID); u != nil {
			return u.name(), true
		}
		return "", false
	}
	e := o.byID[r.ID]
	if e == nil || e.now == nil {
		return "", false
	}
	return e.now.text(moduleByName(e.now.Module).NameField), true
}

const usersModule = "users"

// appendRecord writes a record as GET by id shows it: every field of the module, null where empty. fields narrows; nil is all.
func (o *org) appendRecord(b []byte, r *record, fields []string) []byte {
	sc := o.schema(r.Module)
	b = append(b, `{"id":"`...)
	b = append(b, r.ID...)
	b = append(b, '"')
	one := func(f *field) {
		b = append(b, ',', '"')
		b = append(b, f.API...)
		b = append(b, '"', ':')
		b = o.appendValue(b, f, r.Values[f.API])
	}
	if fields != nil {
		for _, api := range fields {
			if f := sc.field(api); f != nil {
				one(f)
			}
		}
	} else {
		for i := range sc.fields {
			one(&sc.fields[i])
		}
	}
	if se := r.text("$se_module"); se != "" && (fields == nil || slices.Contains(fields, "$se_module") || slices.Contains(fields, "What_Id")) {
		b = append(b, `,"$se_module":`...)
		b = appendString(b, se)
	}
	if fields == nil || r.Module == "Leads" {
		b = append(b, `,"$approval_state":"approved","$editable":true`...)
	}
	if r.is(lockedKey) {
		b = append(b, `,"$locked_for_me":true`...)
	}
	if r.Module == "Leads" {
		b = append(b, `,"$converted":`...)
		b = strconv.AppendBool(b, r.is("Converted__s"))
		if r.is("Converted__s") {
			id := func(api string) any {
				if v := r.ref(api); v.ID != "" {
					return v.ID
				}
				return nil
			}
			b = append(b, `,"$converted_detail":`...)
			at, _ := r.Values["Converted_Date_Time"].(time.Time)
			b = append(b, marshal(map[string]any{
				"contact": id("Converted_Contact"), "account": id("Converted_Account"), "deal": id("Converted_Deal"),
				"convert_date": at.In(o.zone).Format("2006-01-02"), "converted_by": r.ref("Modified_By").ID,
			})...)
		}
	}
	return append(b, '}')
}

func (o *org) appendValue(b []byte, f *field, v any) []byte {
	switch v := v.(type) {
	case nil:
		if f.API == "Tag" {
			return append(b, "[]"...)
		}
		if f.Type == "boolean" {
			return append(b, "false"...)
		}
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	case time.Time:
		b = append(b, '"')
		b = v.In(o.zone).AppendFormat(b, "2006-01-02T15:04:05-07:00")
		return append(b, '"')
	case ref:
		name, ok := o.nameOf(v)
		if !ok {
			return append(b, "null"...)
		}
		b = append(b, `{"name":`...)
		b = appendString(b, name)
		b = append(b, `,"id":"`...)
		b = append(b, v.ID...)
		b = append(b, '"')
		if v.Module == usersModule {
			b = append(b, `,"email":`...)
			b = appendString(b, o.user(v.ID).Email)
		} else if f.Lookup == "*" && f.API == "Parent_Id" {
			b = append(b, `,"module":{"api_name":`...)
			b = appendString(b, v.Module)
			b = append(b, `,"id":`...)
			b = appendString(b, o.moduleID(moduleByName(v.Module)))
			b = append(b, '}')
		}
		return append(b, '}')
	}
	return append(b, marshal(v)...)
}

// namedID is {"name","id"} of a user, as answers to writes carry it.
type namedID struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

func (o *org) person(id string) namedID {
	if u := o.user(id); u != nil {
		return namedID{u.name(), u.ID}
	}
	return namedID{"", id}
}

func validID(s string) bool {
	if s == "" || len(s) > 20 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
