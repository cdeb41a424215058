package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// Preview is a record as a call would make or change it in Zoho, field by field. It is the result of Render, or of
// Example where the decision makes no record of the module; nothing of it is worked out a second time.
type Preview struct {
	Draft    Draft
	Fields   []PreviewField // in the order of the rows; then what the rule and Hookline set
	Problems []Problem
	Example  bool // the decision makes no such record: this is what one would be
}

// PreviewField is one field of a Preview.
type PreviewField struct {
	Field   string
	Label   string
	Sent    bool
	Value   any    // the JSON value as it is sent; nil for one that is not sent, or whose record's id is not known yet
	Shown   string // the value for people; for one that was refused, what it would have been
	Fates   []Told // what became of the value on its way, in order; at least one
	From    int    // Cut: characters before
	To      int    // Cut: characters that are sent
	Allowed []string
	Blocks  bool // without mending it the record cannot be written
}

// StepField stands in a preview for the step that a record's Blueprint takes; it is no field of Zoho's.
const StepField = "$transition"

// Is reports whether a fate befell the field.
func (f PreviewField) Is(fate Fate) bool {
	return slices.ContainsFunc(f.Fates, func(t Told) bool { return t.Fate == fate })
}

// Told is a fate, in words.
type Told struct {
	Fate     Fate
	Sentence string
}

// Fate is something that became of a value on its way into the record.
type Fate string

const (
	Sent       Fate = "sent"        // as the row says
	Cut        Fate = "cut"         // sent, shortened to the field's length
	Respelled  Fate = "respelled"   // sent in the spelling of the picklist
	NewInList  Fate = "new_in_list" // sent, and Zoho adds it to the picklist
	Joined     Fate = "joined"      // sent as one more line of what stands in Zoho
	Empty      Fate = "empty"       // nothing to say, so not sent
	Kept       Fate = "kept"        // not sent: what stands in Zoho stays
	Refused    Fate = "refused"     // does not fit the field, so not sent or only in part
	ReadOnly   Fate = "read_only"   // Zoho lets nobody write the field
	Unknown    Fate = "unknown"     // there is no such field
	Missing    Fate = "missing"     // Zoho requires it and there is no value
	ByRule     Fate = "rule"        // the rule sets it
	ByHookline Fate = "hookline"    // Hookline sets it
)

// told is what a renderer notes of one row.
type told struct {
	row   Row
	own   bool // the value is the rule's own
	made  any  // the template's value
	cast  castResult
	notes []string
	fate  Fate   // set where the row was not rendered
	note  string // why
}

func (r *renderer) tell(d *Draft, t told) {
	if r.told != nil {
		r.told[d.Slot] = append(r.told[d.Slot], t)
	}
}

// Previews are the records of a decision, in the order in which they are written.
func Previews(set Set, d routing.Decision, f routing.Facts, md Metadata) []Preview {
	r := newRenderer(set, f, md)
	r.told = map[string][]told{}
	drafts, problems := r.decision(d)
	if c := f.Match.Contact; c != nil && len(d.Actions) > 0 && len(r.told[SlotContact]) > 0 &&
		!slices.ContainsFunc(drafts, func(d Draft) bool { return d.Slot == SlotContact }) {
		drafts = append(drafts, Draft{Slot: SlotContact, Module: "Contacts", Action: Update, RecordID: c.ID, Left: "It stands in Zoho already."})
	}
	out := make([]Preview, 0, len(drafts))
	for _, draft := range drafts {
		of := slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Slot != draft.Slot })
		out = append(out, r.preview(draft, of))
	}
	return out
}

// PreviewOf is one module's record of a decision; where the decision makes none, what one would be.
func PreviewOf(set Set, module string, d routing.Decision, f routing.Facts, md Metadata) Preview {
	for _, p := range Previews(set, d, f, md) {
		if p.Draft.Module == module && (p.Draft.Action == Create || module == "Contacts") {
			return p
		}
	}
	r := newRenderer(set, f, md)
	r.told = map[string][]told{}
	p := r.preview(r.example(module))
	p.Example = true
	return p
}

// JSON is the record as it is sent, its fields in their order. Ids of records that are not made yet, and the call's
// reference, are not in it.
func (p Preview) JSON() string {
	var b bytes.Buffer
	b.WriteString("{")
	for i, k := range p.Draft.Keys {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  %s: %s", inJSON(k), strings.ReplaceAll(inJSON(p.Draft.Fields[k]), "\n", "\n  "))
	}
	b.WriteString("\n}")
	return b.String()
}

func inJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return "null"
	}
	return strings.TrimSpace(b.String())
}

// preview puts a draft together with what its renderer noted.
func (r *renderer) preview(d Draft, problems []Problem) Preview {
	p := Preview{Draft: d, Problems: problems}
	md := r.env.metadata.of(d.Module)
	seen := map[string]bool{}
	for _, t := range r.told[d.Slot] {
		if !seen[t.row.Field] {
			seen[t.row.Field] = true
			f, _ := md.Field(t.row.Field)
			p.Fields = append(p.Fields, r.fieldOf(d, f, t))
		}
	}
	for _, k := range d.Keys {
		if !seen[k] {
			seen[k] = true
			p.Fields = append(p.Fields, r.unmapped(d, k, md))
		}
	}
	for _, n := range d.Needs {
		if n.Field != "" {
			p.Fields = append(p.Fields, PreviewField{Field: n.Field, Label: labelOf(md, n.Field), Sent: true, Shown: "the " + r.made(n.Slot) + " of this call",
				Fates: []Told{{ByHookline, "Hookline sets it, as soon as that record is there."}}})
		}
	}
	if d.Transition != "" {
		p.Fields = append(p.Fields, PreviewField{Field: StepField, Label: "Blueprint step", Sent: true, Shown: d.Transition,
			Fates: []Told{{ByRule, "The rule takes it, if Zoho offers it then."}}})
	}
	p.mark(d.Marker, md)
	for _, problem := range problems {
		p.blame(problem, md)
	}
	return p
}

// mark tells where the call's reference goes.
func (p *Preview) mark(m Marker, md zoho.Metadata) {
	switch {
	case m.Field != "":
		p.Fields = append(p.Fields, PreviewField{Field: m.Field, Label: labelOf(md, m.Field), Sent: true, Shown: "the call's reference",
			Fates: []Told{{ByHookline, "Hookline sets it, so that no record is made twice."}}})
	case m.Append != "":
		told := Told{ByHookline, "Hookline adds a last line with the call's reference, so that no record is made twice."}
		i := slices.IndexFunc(p.Fields, func(f PreviewField) bool { return f.Field == m.Append })
		if i < 0 {
			p.Fields = append(p.Fields, PreviewField{Field: m.Append, Label: labelOf(md, m.Append), Sent: true, Shown: "the call's reference"})
			i = len(p.Fields) - 1
		}
		p.Fields[i].Fates = append(p.Fields[i].Fates, told)
		p.Fields[i].Sent = true
	}
}

// blame puts a problem beside its field.
func (p *Preview) blame(problem Problem, md zoho.Metadata) {
	if problem.Field == "" {
		return
	}
	i := slices.IndexFunc(p.Fields, func(f PreviewField) bool { return f.Field == problem.Field })
	fate := Refused
	if i < 0 {
		p.Fields = append(p.Fields, PreviewField{Field: problem.Field, Label: labelOf(md, problem.Field)})
		i, fate = len(p.Fields)-1, Missing
	} else if p.Fields[i].Is(Empty) {
		fate = Missing
	}
	f := &p.Fields[i]
	f.Blocks = f.Blocks || problem.Blocking
	f.Fates = append(f.Fates, Told{fate, problem.Sentence})
	if len(f.Allowed) == 0 {
		f.Allowed = problem.Allowed
	}
}

func labelOf(md zoho.Metadata, name string) string {
	if f, ok := md.Field(name); ok && f.Label != "" {
		return f.Label
	}
	return name
}

// made is what the record of a slot is called.
func (r *renderer) made(slot string) string {
	slot, _, _ = strings.Cut(slot, ".") // task.2 is a second Task
	if word, ok := map[string]string{"lead": "new Lead", "deal": "new Deal", "call": "Call", "account": "Account", "task": "Task"}[slot]; ok {
		return word
	}
	return "record"
}

// unmapped is a field that no row fills.
func (r *renderer) unmapped(d Draft, k string, md zoho.Metadata) PreviewField {
	f := PreviewField{Field: k, Label: labelOf(md, k), Sent: true, Value: d.Fields[k], Shown: r.shown(md, k, d.Fields[k]), Fates: []Told{{ByHookline, "Hookline sets it."}}}
	switch {
	case k == "$se_module":
		f.Label = "Kind of the record it is about"
	case d.Module == "Notes" || linked[d.Module][k]:
	default:
		f.Fates = []Told{{ByRule, "The rule sets it."}}
	}
	return f
}

// fieldOf tells what became of a row.
func (r *renderer) fieldOf(d Draft, f zoho.Field, t told) PreviewField {
	out := PreviewField{Field: t.row.Field, Label: t.row.Field, Allowed: t.cast.allowed}
	if f.Label != "" {
		out.Label = f.Label
	}
	add := func(fate Fate, format string, args ...any) {
		out.Fates = append(out.Fates, Told{fate, fmt.Sprintf(format, args...)})
	}
	out.Value, out.Sent = d.Fields[t.row.Field]
	out.Shown = r.shown(r.env.metadata.of(d.Module), t.row.Field, out.Value)
	text := strings.TrimSpace(textOf(t.made, r.env))
	if t.own {
		add(ByRule, "The rule gives the value, instead of the mapping.")
	}
	switch {
	case t.fate == Unknown:
		add(Unknown, "Your %s in Zoho have no such field, so it is not sent.", d.Module)
		return out
	case t.fate == ReadOnly:
		add(ReadOnly, "Zoho lets nobody write this field, so it is not sent.")
		return out
	case t.fate == Refused:
		add(Refused, "The value cannot be read. %s", t.note)
		return out
	case t.cast.value == nil && t.cast.note != "":
		out.Shown = cut(text, 200)
		add(Refused, "%s", capitalize(strings.TrimPrefix(t.cast.note, f.Label+": ")))
		return out
	case t.cast.value == nil:
		add(Empty, "%s", r.whyEmpty(t))
		return out
	}
	if !out.Sent {
		r.kept(&out, f, t)
		return out
	}
	if t.cast.cut {
		value, _ := t.cast.value.(string)
		out.From, out.To = utf8.RuneCountInString(text), utf8.RuneCountInString(value)
		add(Cut, "Cut from %s to %s characters: the field has room for no more.", thousands(out.From), thousands(out.To))
		if strings.HasSuffix(value, goesOn) {
			out.Fates[len(out.Fates)-1].Sentence = fmt.Sprintf("Cut from %s to %s characters: the field has room for no more. The rest goes on in a Note.", thousands(out.From), thousands(out.To))
		}
	} else if t.cast.note != "" { // some of several choices
		add(Refused, "%s", capitalize(strings.TrimPrefix(t.cast.note, f.Label+": ")))
	}
	if f.Type == "picklist" {
		value, _ := t.cast.value.(string)
		if pick, known := pickOf(f, text); known && pick != text {
			add(Respelled, "“%s” is sent as “%s”, as your list has it.", cut(text, 60), value)
		} else if !known && len(f.Picklist) > 0 {
			add(NewInList, "“%s” is not in your list yet: Zoho adds it.", cut(value, 60))
		}
	}
	if _, gains := d.Lines[t.row.Field]; gains {
		add(Joined, "Added as one more line to what stands there.")
	}
	for _, n := range t.notes {
		add(Sent, "%s", n)
	}
	if len(out.Fates) == 0 {
		add(Sent, "Sent.")
		if was := d.Was[t.row.Field]; d.Action == Update && !isEmpty(was) {
			out.Fates[0].Sentence = fmt.Sprintf("Written over “%s”.", cut(r.shown(r.env.metadata.of(d.Module), t.row.Field, was), 60))
		}
	}
	return out
}

// kept tells why a row leaves the record as it stands.
func (r *renderer) kept(out *PreviewField, f zoho.Field, t told) {
	var stands any
	if c := r.env.facts.Match.Contact; c != nil {
		stands = bare(c.Fields[t.row.Field])
	}
	shown := cut(r.shown(zoho.Metadata{}, t.row.Field, stands), 60)
	sentence := fmt.Sprintf("Zoho holds “%s”, which stays: the row fills an empty field only.", shown)
	switch {
	case t.row.Mode == Never:
		sentence = "Left alone: the row writes into new records only."
	case t.row.Mode == Append && holdsLine(fmt.Sprint(stands), textOf(t.cast.value, r.env)):
		sentence = "The line stands there already."
	case t.row.Mode == Append:
		sentence = "The field has no room for one more line."
	case same(stands, t.cast.value):
		sentence = "It stands there already."
	}
	out.Shown = shown
	out.Fates = append(out.Fates, Told{Kept, sentence})
}

// whyEmpty names what a call does not say.
func (r *renderer) whyEmpty(t told) string {
	if len(t.notes) > 0 {
		return "Not sent: " + strings.Join(t.notes, " ")
	}
	tpl, err := parsed(t.row.Value)
	if err != nil || len(tpl.Variables()) == 0 {
		return "The row has no value, so nothing is sent."
	}
	var lacks []string
	for _, name := range tpl.Variables() {
		if !isEmpty(r.env.lookup(name)) {
			continue
		}
		if v, ok := variableByName[name]; ok {
			lacks = append(lacks, v.about)
		} else {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 {
		return "Empty for this call, so nothing is sent."
	}
	return "Empty for this call, so nothing is sent. Not known: " + strings.Join(lacks, "; ") + "."
}

// shown writes a value for people.
func (r *renderer) shown(md zoho.Metadata, name string, v any) string {
	f, _ := md.Field(name)
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if f.Type == "datetime" {
			if at, err := time.Parse(time.RFC3339, v); err == nil {
				return at.In(r.env.zone()).Format("Monday, 2 January 2006, 15:04:05")
			}
		}
		if f.Type == "date" {
			if at, err := time.Parse(time.DateOnly, v); err == nil {
				return at.Format("Monday, 2 January 2006")
			}
		}
		for _, p := range f.Picklist {
			if p.Value == v && p.Label != "" {
				return p.Label
			}
		}
		return v
	case bool:
		return map[bool]string{true: "Yes", false: "No"}[v]
	case int64:
		return thousands(int(v))
	case float64:
		whole, part, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
		if n, err := strconv.Atoi(whole); err == nil && part == "" {
			return thousands(n)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any:
		if n, ok := v["name"].(string); ok && n != "" {
			return n
		}
		id := fmt.Sprint(v["id"])
		if n := r.nameOf(id); n != "" {
			return n
		}
		return id
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = r.shown(zoho.Metadata{}, "", item)
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// nameOf is the name of a record that was found for the caller.
func (r *renderer) nameOf(id string) string {
	m := r.env.facts.Match
	if c := m.Contact; c != nil {
		switch id {
		case c.ID:
			return c.Name
		case c.AccountID:
			return c.AccountName
		}
	}
	if l := m.Lead; l != nil && l.ID == id {
		return l.Name
	}
	for _, d := range m.OpenDeals {
		if d.ID == id {
			return d.Name
		}
	}
	return ""
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
