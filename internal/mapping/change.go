package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// modified is the field that says when a record was last changed.
const modified = "Modified_Time"

// contact renders what the call changes on the Contact that called, each row in its mode.
func (r *renderer) contact(id string, stands map[string]any) (Draft, []Problem) {
	d, problems := r.allOfContact(id)
	d.against(r.set, r.env.metadata.of("Contacts"), stands, nil)
	return d, problems
}

func (r *renderer) allOfContact(id string) (Draft, []Problem) {
	d := Draft{Slot: SlotContact, Module: "Contacts", Action: Update, RecordID: id, Fields: map[string]any{}}
	problems := r.rows(&d, r.env.metadata.of("Contacts"), func(f zoho.Field) bool { return f.CanUpdate })
	return d, problems
}

// against keeps of an Update what its rows change in the record as it stands. Sent is what this call wrote into it
// before.
func (d *Draft) against(set Set, md zoho.Metadata, stands, sent map[string]any) {
	d.Was, d.Since = map[string]any{}, zoho.Record(stands).Text(modified)
	kept := []string{}
	for _, k := range d.Keys {
		f, _ := md.Field(k)
		have := bare(stands[k])
		value, line, changes := change(set.row(d.Module, k), f, d.Fields[k], have, sent[k])
		if !changes {
			delete(d.Fields, k)
			continue
		}
		if line.Text != "" {
			if d.Lines == nil {
				d.Lines = map[string]Line{}
			}
			d.Lines[k] = line
		}
		d.Fields[k] = value
		if !isEmpty(have) {
			d.Was[k] = have
		}
		kept = append(kept, k)
	}
	d.Keys = kept
	d.shed()
}

// shed drops what speaks of fields that are no longer sent.
func (d *Draft) shed() {
	gone := func(k string) bool { _, there := d.Fields[k]; return !there }
	d.Cut = slices.DeleteFunc(slices.Clone(d.Cut), gone)
	d.Marker.Field = "" // the reference stands in the record already
	if gone(d.Marker.Append) {
		d.Marker = Marker{}
	}
}

func (s Set) row(module, field string) Row {
	for _, row := range s.Modules[module] {
		if row.Field == field {
			return row
		}
	}
	return Row{Field: field}
}

// change says what a row makes of a field of a record that exists: the value to be sent, and the line where it only
// gains one. It reports false when the field stays as it is.
func change(row Row, f zoho.Field, v, stands, sent any) (value any, line Line, changes bool) {
	wrote := !isEmpty(sent) && same(stands, sent)
	switch row.Mode {
	case Never:
		return nil, line, false
	case Always:
		return v, line, !same(stands, v)
	case Append:
		text, ok := v.(string)
		if !ok || text == "" {
			return nil, line, false
		}
		line = Line{Text: text, Length: f.Length}
		if line.Length <= 0 {
			line.Length = lengthOf(f.Type)
		}
		if before, _ := sent.(string); before != "" {
			if have, _ := stands.(string); holdsLine(have, before) { // late news of the same call takes its line's place
				return strings.Replace(trimmed(have), trimmed(before), text, 1), Line{}, before != text
			}
		}
		whole, room := withLine(stands, line)
		return whole, line, room
	}
	return v, line, isEmpty(stands) || wrote && !same(stands, v)
}

// withLine is a text with one more line; false when the line stands there already or has no room.
func withLine(stands any, line Line) (string, bool) {
	have, _ := stands.(string)
	have = trimmed(have)
	if holdsLine(have, line.Text) {
		return "", false
	}
	if have != "" {
		have += "\n"
	}
	whole := have + line.Text
	return whole, utf8.RuneCountInString(whole) <= line.Length
}

func holdsLine(text, line string) bool {
	return strings.Contains("\n"+trimmed(text)+"\n", "\n"+trimmed(line)+"\n")
}

// withTags are the tags that a record has and those that it shall have; false when it has them all.
func withTags(stands, wanted any) (all []any, adds bool) {
	have := map[string]bool{}
	list, _ := stands.([]any)
	for _, tag := range list {
		if t, ok := tag.(map[string]any); ok {
			name := fmt.Sprint(t["name"])
			have[strings.ToLower(name)] = true
			all = append(all, map[string]any{"name": name})
		}
	}
	list, _ = wanted.([]any)
	for _, tag := range list {
		if t, ok := tag.(map[string]any); ok && !have[strings.ToLower(fmt.Sprint(t["name"]))] {
			all, adds = append(all, map[string]any{"name": t["name"]}), true
		}
	}
	return all, adds
}

// bare is a value without the line that a Marker adds to a text.
func bare(v any) any {
	if text, ok := v.(string); ok {
		return markerLine.ReplaceAllString(text, "")
	}
	return v
}

// Revise is an Update on the record as it stands now: what stands there already needs no writing, and what somebody
// changed since the draft was made stays theirs, whatever the rows say. It ends with no fields, and Left says why,
// when nothing remains.
func Revise(d Draft, now zoho.Record) Draft {
	out := d
	out.Fields, out.Was, out.Lines = map[string]any{}, map[string]any{}, nil
	out.Keys, out.Notes = nil, slices.Clone(d.Notes)
	out.Since = now.Text(modified)
	theirs := false
	for _, k := range d.Keys {
		v, stands := d.Fields[k], bare(now[k])
		if line, gains := d.Lines[k]; gains {
			whole, room := withLine(stands, line)
			if !room {
				continue
			}
			if out.Lines == nil {
				out.Lines = map[string]Line{}
			}
			v, out.Lines[k] = whole, line
		} else if k == tagField {
			all, adds := withTags(stands, v)
			if !adds {
				continue
			}
			v = all
		} else if same(stands, v) || isEmpty(stands) && isEmpty(v) {
			continue
		} else if was := d.Was[k]; !same(stands, was) && !(isEmpty(stands) && isEmpty(was)) {
			theirs = true
			out.Notes = append(out.Notes, fmt.Sprintf("%s was changed in Zoho meanwhile, and stays as it is.", k))
			continue
		}
		out.Keys = append(out.Keys, k)
		out.Fields[k] = v
		if !isEmpty(stands) {
			out.Was[k] = stands
		}
	}
	out.shed()
	switch {
	case len(out.Fields) > 0:
	case theirs:
		out.Left = "It was changed in Zoho meanwhile, and stays as it is."
	default:
		out.Left = "It stands in Zoho already."
	}
	return out
}

// Written is a record that this call made or changed: what was sent, and how it stands in Zoho now where that was read.
type Written struct {
	Slot   string
	ID     string
	Sent   map[string]any // Draft.Fields of the delivery
	Stands zoho.Record    // nil: not read
}

// Late renders what news after delivery changes in the records that the call has made, and in the Contact that it
// has changed: fields whose value is now another, each row in its mode. What a person has changed in Zoho since
// stays, unless the row says Always. It never moves a record: type, time, owner and links of a Call are settled at
// its creation.
func Late(set Set, d routing.Decision, f routing.Facts, md Metadata, written []Written) ([]Draft, []Problem) {
	var out []Draft
	rendered, _ := Render(set, d, f, md)
	if c := f.Match.Contact; c != nil {
		r := newRenderer(set, f, md)
		all, _ := r.allOfContact(c.ID)
		rendered = append(slices.DeleteFunc(rendered, func(d Draft) bool { return d.Slot == SlotContact }), all)
	}
	for _, full := range rendered {
		i := slices.IndexFunc(written, func(w Written) bool { return w.Slot == full.Slot })
		if i < 0 || full.Action != Create && full.Slot != SlotContact || full.Find != "" || written[i].ID == "" {
			continue // an Account that was found is other people's
		}
		w := written[i]
		up := full
		up.Action, up.RecordID, up.Needs, up.Empty = Update, w.ID, nil, nil
		up.Was, up.Lines = nil, nil
		up.Fields = maps.Clone(full.Fields)
		fields := md.of(full.Module)
		up.Keys = slices.DeleteFunc(slices.Clone(full.Keys), func(k string) bool {
			field, there := fields.Field(k)
			sent, was := w.Sent[k]
			stays := !there || k == tagField || !field.CanUpdate || linked[full.Module][k] || settled[full.Module][k] || was && same(sent, full.Fields[k])
			if stays {
				delete(up.Fields, k)
			}
			return stays
		})
		if w.Stands == nil { // what might change: the record is read before it is known
			up.Keys = slices.DeleteFunc(up.Keys, func(k string) bool { return set.row(full.Module, k).Mode == Never })
		} else {
			up.against(set, fields, w.Stands, w.Sent)
		}
		if len(up.Keys) > 0 {
			out = append(out, up)
		}
	}
	return out, nil
}

// settled are fields that Zoho takes at creation only, or that late news must not touch.
var settled = map[string]map[string]bool{
	"Calls": {"Call_Type": true, "Call_Start_Time": true, "Call_Duration": true, "Outgoing_Call_Status": true, "Owner": true},
	"Leads": {"Owner": true, "Lead_Status": true},
	"Deals": {"Owner": true, "Stage": true, "Pipeline": true, "Closing_Date": true, "Deal_Name": true},
	"Tasks": {"Owner": true, "Subject": true, "Due_Date": true, "Status": true, "Priority": true},
}

// Wanted gives values for fields that Zoho asks for before it changes a record, as a Blueprint's transition does:
// what stands in the record already, else what the mapping of its module makes of the call. Missing are those for
// which there is neither. A field named Notes gets what the mapping writes as Description.
func Wanted(set Set, f routing.Facts, md Metadata, module string, fields []string, stands zoho.Record) (values zoho.Record, missing []string) {
	r := newRenderer(set, f, md)
	d := Draft{Module: module, Action: Update, Fields: map[string]any{}}
	r.rows(&d, md.of(module), func(f zoho.Field) bool { return f.CanUpdate })
	values = zoho.Record{}
	for _, name := range fields {
		from := name
		if name == "Notes" {
			from = "Description"
		}
		always := set.row(module, from).Mode == Always
		switch v, mapped := d.Fields[from]; {
		case mapped && (always || name == "Notes" || isEmpty(stands[name])):
			values[name] = v
		case !isEmpty(stands[name]):
			values[name] = plainLookup(stands[name])
		default:
			missing = append(missing, name)
		}
	}
	return values, missing
}

// plainLookup is a value as Zoho takes it back: a lookup by its id.
func plainLookup(v any) any {
	if m, ok := v.(map[string]any); ok && !isEmpty(m["id"]) {
		return map[string]any{"id": m["id"]}
	}
	return v
}

// Hangs is the record that a draft hangs on beside a Contact: the one that it tells of, or that it changes.
func (d Draft) Hangs() routing.Target {
	if d.Action == Update {
		return routing.Target{Module: d.Module, ID: d.RecordID}
	}
	for _, field := range []string{"What_Id", "Parent_Id"} {
		if link, ok := d.Fields[field].(map[string]any); ok {
			id, _ := link["id"].(string)
			return routing.Target{Module: moduleOf(d, link), ID: id}
		}
		for _, n := range d.Needs {
			if n.Field == field {
				return routing.Target{Module: moduleOf(d, map[string]any{"module": map[string]any{"api_name": n.Module}}), Slot: n.Slot}
			}
		}
	}
	return routing.Target{}
}

// moduleOf is the module that a link of several modules leads to: a Note says it in the link, an activity beside it.
func moduleOf(d Draft, link map[string]any) string {
	if m, ok := link["module"].(map[string]any); ok {
		if name, _ := m["api_name"].(string); name != "" {
			return name
		}
	}
	name, _ := d.Fields["$se_module"].(string)
	return name
}

// Follow is a draft that hangs on a Lead, hung on the Contact that the Lead became.
func Follow(d Draft, contact string) Draft {
	if d.Action == Update {
		d.Module, d.RecordID, d.Since, d.Was = "Contacts", contact, "", nil
		return d
	}
	d.Fields, d.Keys = maps.Clone(d.Fields), slices.Clone(d.Keys)
	d.Needs = slices.DeleteFunc(slices.Clone(d.Needs), func(n Reference) bool { return n.Field == "What_Id" || n.Field == "Parent_Id" })
	if d.Module == "Notes" {
		d.put("Parent_Id", map[string]any{"id": contact, "module": map[string]any{"api_name": "Contacts"}})
		return d
	}
	for _, k := range []string{"What_Id", "$se_module"} {
		delete(d.Fields, k)
		d.Keys = slices.DeleteFunc(d.Keys, func(key string) bool { return key == k })
	}
	d.put("Who_Id", map[string]any{"id": contact})
	return d
}

// Changes reports whether a call can ever write the field of a record that exists already, so that a row's mode matters.
func Changes(module string, f zoho.Field) bool {
	return module != "Accounts" && f.CanUpdate && !settled[module][f.APIName]
}
