package mapping

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// RefField is the api_name of the custom field that holds a delivery's reference, in modules where the
// organisation has made one that refuses duplicates.
const RefField = "Hookline_Ref"

// SlotContact is the draft that updates the Contact who called, where the mapping of Contacts has rows.
const SlotContact = "contact"

// Render makes the drafts of a decision, in the order in which they must be written, and says what is wrong with
// them. A draft with a blocking Problem (same Slot) cannot be written; the others can.
func Render(set Set, d routing.Decision, f routing.Facts, md Metadata) ([]Draft, []Problem) {
	return newRenderer(set, f, md).decision(d)
}

// decision renders the drafts of a decision.
func (r *renderer) decision(d routing.Decision) ([]Draft, []Problem) {
	var drafts []Draft
	var problems []Problem
	f := r.env.facts
	for _, a := range d.Actions {
		made, found := r.action(a)
		drafts = append(drafts, made...)
		problems = append(problems, found...)
	}
	if c := f.Match.Contact; c != nil && len(d.Actions) > 0 && len(r.set.Modules["Contacts"]) > 0 {
		draft, found := r.contact(c.ID, c.Fields)
		if len(draft.Fields) > 0 {
			drafts = append(drafts, draft)
			problems = append(problems, found...)
		}
	}
	return drafts, problems
}

type renderer struct {
	env   *environment
	set   Set
	spilt string // what did not fit into the record that was rendered last
	sees  scope
	told  map[string][]told // by slot, what became of each row's value; nil outside of a preview
}

// scope is what one row's template sees. It is the renderer's own, used again for each row.
func (r *renderer) scope() *scope {
	if r.sees.env == nil {
		r.sees = scope{lookup: r.env.lookup, env: r.env}
	}
	r.sees.notes, r.sees.work = nil, 0
	return &r.sees
}

func newRenderer(set Set, f routing.Facts, md Metadata) *renderer {
	return &renderer{env: newEnvironment(f, md), set: set}
}

// action renders the drafts of one action: the record, and what does not fit into it.
func (r *renderer) action(a routing.Action) ([]Draft, []Problem) {
	r.env.action = a
	one := func(d Draft, problems []Problem) ([]Draft, []Problem) {
		d.Quiet = a.Quiet
		return []Draft{d}, problems
	}
	about := func(d *Draft) {
		d.link("Who_Id", a.Contact)
		if a.About != nil {
			d.link("What_Id", a.About)
			d.put("$se_module", a.About.Module)
		}
	}
	switch a.Kind {
	case routing.CreateLead:
		return one(r.create(a.Slot, "Leads", func(*Draft) {}))
	case routing.CreateDeal:
		return one(r.create(a.Slot, "Deals", func(d *Draft) {
			d.link("Contact_Name", a.Contact)
			d.link("Account_Name", a.Account)
		}))
	case routing.FindAccount:
		return one(r.create(a.Slot, "Accounts", func(d *Draft) {
			d.put("Account_Name", cut(a.Company, 200))
			d.Find = "Account_Name"
		}))
	case routing.AddTask:
		return one(r.create(a.Slot, "Tasks", about))
	case routing.AddTags:
		d := changeOf(a, a.About.Module)
		d.put(tagField, tagsOf(a.Tags))
		return one(d, nil)
	case routing.MoveStage:
		d := changeOf(a, "Deals")
		d.put("Stage", a.Stage)
		return one(d, nil)
	case routing.BlueprintStep:
		d := changeOf(a, a.About.Module)
		d.Transition = a.Transition
		return one(d, nil)
	}
	r.spilt = ""
	drafts, problems := one(r.create(a.Slot, "Calls", about))
	return append(drafts, r.notes(a, drafts[0])...), problems
}

// changeOf is an empty Update of the record that an action is about.
func changeOf(a routing.Action, module string) Draft {
	d := Draft{Slot: a.Slot, Module: module, Action: Update, Fields: map[string]any{}}
	if a.About != nil {
		d.RecordID = a.About.ID
	}
	return d
}

// tagField holds a record's tags, each by its name.
const tagField = "Tag"

func tagsOf(names []string) []any {
	tags := make([]any, len(names))
	for i, name := range names {
		tags[i] = map[string]any{"name": strings.TrimSpace(name)}
	}
	return tags
}

func (d *Draft) put(field string, value any) {
	if _, there := d.Fields[field]; !there {
		d.Keys = append(d.Keys, field)
	}
	d.Fields[field] = value
}

// link fills a lookup: with the id of a record that exists, or later with that of the record a slot makes.
func (d *Draft) link(field string, t *routing.Target) {
	switch {
	case t == nil:
	case t.ID != "":
		d.put(field, map[string]any{"id": t.ID})
	default:
		d.Needs = append(d.Needs, Reference{Field: field, Slot: t.Slot})
	}
}

// create renders a new record of the module.
func (r *renderer) create(slot, module string, link func(*Draft)) (Draft, []Problem) {
	md := r.env.metadata.of(module)
	n := len(r.set.Modules[module]) + 4 // the links, the owner and the tags
	d := Draft{Slot: slot, Module: module, Action: Create, Fields: make(map[string]any, n), Keys: make([]string, 0, n), Marker: markerOf(md)}
	problems := r.rows(&d, md, func(f zoho.Field) bool { return f.CanCreate })
	link(&d)
	if a := r.env.action; a.Owner != "" {
		d.put("Owner", map[string]any{"id": a.Owner})
	}
	if a := r.env.action; len(a.Tags) > 0 {
		d.put(tagField, tagsOf(a.Tags))
	}
	problems = append(problems, r.missing(d, md)...)
	return d, problems
}

// rows renders the module's rows into the draft.
func (r *renderer) rows(d *Draft, md zoho.Metadata, writable func(zoho.Field) bool) []Problem {
	var problems []Problem
	own, rows := r.rowsOf(*d)
	for _, row := range rows {
		f, there := md.Field(row.Field)
		if !there {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: your %s have no such field, so it is not sent.", row.Field, d.Module))
			r.tell(d, told{row: row, own: own[row.Field], fate: Unknown})
			continue
		}
		if !f.Visible || f.ReadOnly || !writable(f) || filled(d.Module, row.Field) {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: Zoho lets nobody write this field, so it is not sent.", f.Label))
			r.tell(d, told{row: row, own: own[row.Field], fate: ReadOnly})
			continue
		}
		t, err := parsed(row.Value)
		if err != nil {
			r.tell(d, told{row: row, own: own[row.Field], fate: Refused, note: err.Error()})
			problems = append(problems, Problem{Module: d.Module, Field: row.Field, Slot: d.Slot, Blocking: true,
				ByRule: own[row.Field], Sentence: fmt.Sprintf("The value of %s cannot be read. %v Correct it %s.", f.Label, err, placeOf(own[row.Field]))})
			continue
		}
		s := r.scope()
		v := t.render(s)
		for _, n := range s.notes {
			d.Notes = append(d.Notes, f.Label+": "+n)
		}
		if row.Field == d.Marker.Append && d.Action == Create {
			// Room for the reference is kept from the start: what is stored as sent is what stands in Zoho above it.
			f.Length = max(d.Marker.Length-markerRoom, 1)
		}
		c := cast(f, row, v, r.env)
		if c.cut && d.Module == "Calls" && d.Action == Create && f.Type == "textarea" && slices.Contains(t.Variables(), "full_transcript") {
			c = r.spill(f, textOf(v, r.env))
		}
		r.tell(d, told{row: row, own: own[row.Field], made: v, cast: c, notes: s.notes})
		if c.note != "" {
			d.Notes = append(d.Notes, c.note)
		}
		if c.cut {
			d.Cut = append(d.Cut, row.Field)
		}
		if c.value == nil {
			d.Empty = append(d.Empty, row.Field)
			if f.Mandatory && len(c.allowed) > 0 {
				problems = append(problems, Problem{Module: d.Module, Field: row.Field, Slot: d.Slot, Blocking: true, Allowed: c.allowed, ByRule: own[row.Field],
					Sentence: fmt.Sprintf("Zoho requires %s, and “%s” is not one of its values. Choose another %s.", f.Label, cut(textOf(v, r.env), 60), placeOf(own[row.Field]))})
			}
			continue
		}
		d.put(row.Field, c.value)
	}
	problems = append(problems, stageProblem(d, md)...)
	return problems
}

// rowsOf are the rows that fill a draft: the mapping's, and for a record that a rule makes the rule's own values laid
// over them. own are the fields that the rule fills.
func (r *renderer) rowsOf(d Draft) (own map[string]bool, rows []Row) {
	rows = r.set.Modules[d.Module]
	with := r.env.action.With
	if d.Action != Create || len(with) == 0 {
		return nil, rows
	}
	own, rows = map[string]bool{}, slices.Clone(rows)
	for _, v := range with {
		own[v.Field] = true
		if i := slices.IndexFunc(rows, func(row Row) bool { return row.Field == v.Field }); i >= 0 {
			rows[i].Value = v.Value
			continue
		}
		rows = append(rows, Row{Field: v.Field, Value: v.Value})
	}
	return own, rows
}

// placeOf is where a value is corrected.
func placeOf(ownOfRule bool) string {
	if ownOfRule {
		return "in the rule"
	}
	return "on the Mapping page"
}

// stageProblem says when a Deal's stage is not one of its pipeline's: Zoho refuses the pair.
func stageProblem(d *Draft, md zoho.Metadata) []Problem {
	stage, ok := d.Fields["Stage"].(string)
	if d.Module != "Deals" || !ok || len(md.Pipelines) == 0 {
		return nil
	}
	name, _ := d.Fields["Pipeline"].(string)
	for _, p := range md.Pipelines {
		if name != "" && p.Name != name {
			continue
		}
		stages := make([]string, len(p.Stages))
		for i, s := range p.Stages {
			stages[i] = s.Name
		}
		if slices.Contains(stages, stage) {
			return nil
		}
		return []Problem{{Module: d.Module, Field: "Stage", Slot: d.Slot, Blocking: true, Allowed: stages,
			Sentence: fmt.Sprintf("The pipeline “%s” has no stage “%s”. Choose one of its stages on the Mapping page.", p.Name, stage)}}
	}
	return nil
}

// missing names the fields that Zoho demands and the draft does not have.
func (r *renderer) missing(d Draft, md zoho.Metadata) []Problem {
	var problems []Problem
	for i := range md.Fields {
		f := &md.Fields[i]
		if !f.Mandatory || f.ReadOnly || !f.CanCreate || f.Type == "boolean" || f.Type == "ownerlookup" {
			continue
		}
		if _, there := d.Fields[f.APIName]; there || conditional(d, f.APIName) || d.needs(f.APIName) {
			continue
		}
		if slices.ContainsFunc(problems, func(p Problem) bool { return p.Field == f.APIName }) {
			continue
		}
		sentence := fmt.Sprintf("Zoho requires %s on %s, and the mapping has no value for it. Add one on the Mapping page.", f.Label, d.Module)
		if _, rows := r.rowsOf(d); slices.ContainsFunc(rows, func(row Row) bool { return row.Field == f.APIName }) {
			sentence = fmt.Sprintf("Zoho requires %s on %s, and for this call its value is empty. Give it a default on the Mapping page.", f.Label, d.Module)
		}
		problems = append(problems, Problem{Module: d.Module, Field: f.APIName, Slot: d.Slot, Sentence: sentence, Allowed: picks(*f), Blocking: true})
	}
	return problems
}

// conditional fields are marked mandatory but asked for only of some records (Zoho's API, "Insert records", Calls).
func conditional(d Draft, name string) bool {
	if d.Module != "Calls" {
		return false
	}
	kind := d.Fields["Call_Type"]
	return name == "Call_Duration" && kind == "Missed" || name == "Outgoing_Call_Status" && kind != "Outbound" ||
		name == "What_Id" || name == "Who_Id" || name == "$se_module"
}

func (d Draft) needs(field string) bool {
	return slices.ContainsFunc(d.Needs, func(n Reference) bool { return n.Field == field })
}

func markerOf(md zoho.Metadata) Marker {
	if f, ok := md.Field(RefField); ok && f.Unique && f.CanCreate && !f.ReadOnly {
		return Marker{Field: RefField}
	}
	if f, ok := md.Field("Description"); ok && f.Usable() {
		n := f.Length
		if n <= 0 {
			n = lengthOf(f.Type)
		}
		return Marker{Append: f.APIName, Length: n}
	}
	return Marker{}
}

// same compares a rendered value with one that came back from Zoho or from storage, where numbers may be of another
// type and lookups carry names.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	if ma, ok := a.(map[string]any); ok {
		if mb, ok := b.(map[string]any); ok {
			return fmt.Sprint(ma["id"]) == fmt.Sprint(mb["id"])
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return x.Cmp(y) == 0
		}
	}
	return trimmed(fmt.Sprint(a)) == trimmed(fmt.Sprint(b))
}

// number is a number by its value, whether it was rendered, stored or read: 5e+07 is 50000000, 700.00 is 700.
func number(v any) (*big.Float, bool) {
	switch v.(type) {
	case json.Number, float64, int, int64:
		n, _, err := big.ParseFloat(fmt.Sprint(v), 10, 200, big.ToNearestEven)
		return n, err == nil
	}
	return nil, false
}

// trimmed is a text as it compares: Zoho's pages write line breaks in their own way.
func trimmed(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }

// markerLine is the line that Marker.Append adds.
var markerLine = regexp.MustCompile(`\n*\[Hookline [0-9A-Za-z._-]+\]$`)

// markerRoom is how many characters the marker's line takes from its field, with a reference of delivery's length or less.
const markerRoom = len("\n\n[Hookline ]") + 32

// Record is the draft as it is sent: the ids of earlier slots filled in, and the delivery's reference where the
// marker says. It fails when a record that it hangs on was never made. For an update of a record whose reference
// stands in a text, ref is that of the delivery that made the record.
func (d Draft) Record(ids map[string]string, ref string) (zoho.Record, error) {
	rec := make(zoho.Record, len(d.Fields)+len(d.Needs)+1)
	for k, v := range d.Fields {
		rec[k] = v
	}
	for _, n := range d.Needs {
		id := ids[n.Slot]
		if id == "" {
			return nil, fmt.Errorf("the record of %s, which %s hangs on, was not made", n.Slot, d.Slot)
		}
		lookup := map[string]any{"id": id}
		if n.Module != "" {
			lookup["module"] = map[string]any{"api_name": n.Module}
		}
		rec[n.Field] = lookup
	}
	switch {
	case ref == "":
	case d.Marker.Field != "":
		rec[d.Marker.Field] = ref
	case d.Marker.Append != "":
		line := "[Hookline " + ref + "]"
		text, _ := rec[d.Marker.Append].(string)
		if text != "" {
			line = "\n\n" + line
		}
		if room := d.Marker.Length - utf8.RuneCountInString(line); utf8.RuneCountInString(text) > room {
			text = cut(text, room)
		}
		rec[d.Marker.Append] = text + line
	}
	return rec, nil
}

// RefIn finds the reference that Record put into a record, empty when there is none.
func (m Marker) RefIn(rec zoho.Record) string {
	if m.Field != "" {
		return rec.Text(m.Field)
	}
	found := markerLine.FindString(strings.TrimSpace(rec.Text(m.Append)))
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(found), "[Hookline "), "]")
}

// Reads are the fields, by module, whose present values Render needs to know of a record that it updates.
func (s Set) Reads() map[string][]string {
	out := map[string][]string{}
	for _, row := range s.Modules["Contacts"] {
		out["Contacts"] = append(out["Contacts"], row.Field)
	}
	if len(out) > 0 {
		out["Contacts"] = append(out["Contacts"], modified)
	}
	return out
}
