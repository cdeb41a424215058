package server

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
	"hookline/web/page"
	"hookline/web/ui"
)

// metadataOf reads what the organisation's modules look like. A module that cannot be read just now, or without a
// connection, is left out: the standard fields take its place.
func (s *Server) metadataOf(c echo.Context, modules ...string) mapping.Metadata {
	if s.Zoho == nil {
		return mapping.Metadata{}
	}
	within, cancel := context.WithTimeout(ctx(c), 5*time.Second)
	defer cancel()
	md, _ := s.Zoho.MetadataOf(within, tenantOf(c), modules...)
	return md
}

// mappingHome leads to the first module.
func (s *Server) mappingHome(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, "/mapping/"+mapping.Modules[0])
}

var mappingAbout = map[string]string{
	"Leads":    "What a new Lead gets. When more of the call becomes known later, empty fields are filled.",
	"Calls":    "What the Call in Zoho gets, on whichever record the rule logs it.",
	"Deals":    "What a new Deal gets.",
	"Tasks":    "What a Task gets that a rule adds.",
	"Accounts": "What a new Account gets, where a rule makes one for a Deal. An Account that is there already is not changed.",
	"Contacts": "What a call changes on the Contact that called. Fields that hold something stay, unless the row says otherwise.",
}

// mappingModule is the module that the address names.
func mappingModule(c echo.Context) (string, error) {
	module := c.Param("module")
	if !slices.Contains(mapping.Modules, module) {
		return "", fault.New(fault.NotFound, "There is no such module.")
	}
	return module, nil
}

// mapping shows one module as the draft has it.
func (s *Server) mapping(c echo.Context) error {
	module, err := mappingModule(c)
	if err != nil {
		return err
	}
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	md := s.metadataOf(c, mapping.Modules...) // looked at again where it is older than an hour
	st := mappingOf(module, draft)
	st.call = c.QueryParam("call")
	if add := c.QueryParam("add"); add != "" && !hasRow(st.rows(), add) {
		st.put(newRow(module, add, md))
	}
	return s.mappingPage(c, http.StatusOK, st, md)
}

// mappingState is what the page shows: the draft, and what somebody makes of it before it is saved.
type mappingState struct {
	module   string
	revision int           // of the draft that the form is made from
	saved    []mapping.Row // as the draft has them
	set      mapping.Set   // with the rows as they stand in the form
	call     string        // that is looked at
	focus    string        // field whose row the person goes on with
	refused  string        // why the save was refused
	blocked  []mapping.Problem
	clash    *config.Conflict
	removed  *mapping.Row
	dropped  []mapping.Row
}

func mappingOf(module string, d config.Draft) *mappingState {
	return &mappingState{module: module, revision: d.Revision, saved: d.Mappings.Modules[module], set: d.Mappings}
}

func (st *mappingState) rows() []mapping.Row { return st.set.Modules[st.module] }

func (st *mappingState) setRows(rows []mapping.Row) { st.set = withRows(st.set, st.module, rows) }

func (st *mappingState) unsaved() bool {
	return !slices.Equal(inOrderOf(st.saved, st.rows()), st.saved)
}

// put makes a row, or gives it another value, and leads the person to it.
func (st *mappingState) put(row mapping.Row) {
	rows := slices.Clone(st.rows())
	if i := rowOf(rows, row.Field); i >= 0 {
		rows[i] = row
	} else {
		rows = append(rows, row)
	}
	st.setRows(rows)
	st.focus = row.Field
}

// newRow is a row for a field with the value that it most likely wants.
func newRow(module, field string, md mapping.Metadata) mapping.Row {
	row := mapping.Row{Field: field}
	if f, there := moduleField(md, module, field); there {
		row.Value = mapping.Suggest(module, f)
	}
	if i := rowOf(mapping.DefaultSet().Modules[module], field); i >= 0 {
		row.AddToList = mapping.DefaultSet().Modules[module][i].AddToList
	}
	return row
}

func moduleField(md mapping.Metadata, module, name string) (zoho.Field, bool) {
	i := slices.IndexFunc(md.Fields(module), func(f zoho.Field) bool { return f.APIName == name })
	if i < 0 {
		return zoho.Field{}, false
	}
	return md.Fields(module)[i], true
}

// withRows is the set with other rows for one module.
func withRows(set mapping.Set, module string, rows []mapping.Row) mapping.Set {
	out := mapping.Set{Version: set.Version, Modules: map[string][]mapping.Row{}}
	for m, r := range set.Modules {
		out.Modules[m] = r
	}
	out.Modules[module] = rows
	return out
}

func rowOf(rows []mapping.Row, field string) int {
	return slices.IndexFunc(rows, func(r mapping.Row) bool { return r.Field == field })
}

func hasRow(rows []mapping.Row, field string) bool { return rowOf(rows, field) >= 0 }

// inOrderOf sorts rows as others stand, new ones last: the page shows them in the layout's order, which is no change.
func inOrderOf(saved, rows []mapping.Row) []mapping.Row {
	out := make([]mapping.Row, 0, len(rows))
	for _, r := range saved {
		if i := rowOf(rows, r.Field); i >= 0 {
			out = append(out, rows[i])
		}
	}
	for _, r := range rows {
		if !hasRow(saved, r.Field) {
			out = append(out, r)
		}
	}
	return out
}

// readMapping reads a form of the mapping: the draft, with the rows as they were typed.
func (s *Server) readMapping(c echo.Context) (*mappingState, config.Draft, error) {
	module, err := mappingModule(c)
	if err != nil {
		return nil, config.Draft{}, err
	}
	draft, err := s.draft(c)
	if err != nil {
		return nil, draft, err
	}
	st := mappingOf(module, draft)
	st.call = c.FormValue("call")
	if st.revision, err = formRevision(c); err != nil {
		return nil, draft, err
	}
	rows, err := readMappingRows(c)
	if err != nil {
		return nil, draft, err
	}
	st.setRows(rows)
	return st, draft, nil
}

// editMapping takes the form: it saves, changes a row, or shows the record that what was typed would make.
func (s *Server) editMapping(c echo.Context) error {
	st, draft, err := s.readMapping(c)
	if err != nil {
		return err
	}
	md, err := s.known(c)
	if err != nil {
		return err
	}
	act, of, _ := strings.Cut(c.FormValue("act"), " ")
	switch act {
	case "save":
		return s.saveMapping(c, st, md)
	case "add":
		if field := c.FormValue("add"); field != "" && len(field) <= 100 && !hasRow(st.rows(), field) {
			st.put(newRow(st.module, field, md))
		}
	case "remove":
		if i := rowOf(st.rows(), of); i >= 0 {
			st.removed = &st.rows()[i]
			st.setRows(slices.Delete(slices.Clone(st.rows()), i, i+1))
		}
	case "put":
		field, value, _ := strings.Cut(of, " ")
		if field != "" {
			st.put(mapping.Row{Field: field, Value: value, Mode: mapping.Mode(c.FormValue("mode." + field)), AddToList: c.FormValue("list."+field) != ""})
		}
	case "grow":
		if i := rowOf(st.rows(), of); i >= 0 {
			row := st.rows()[i]
			row.AddToList = true
			st.put(row)
		}
	case "theirs":
		if i := rowOf(draft.Mappings.Modules[st.module], of); i >= 0 {
			st.put(draft.Mappings.Modules[st.module][i])
		} else if i := rowOf(st.rows(), of); i >= 0 {
			st.setRows(slices.Delete(slices.Clone(st.rows()), i, i+1))
		}
	case "discard":
		if st.unsaved() {
			st.dropped = st.rows()
		}
		st.revision = draft.Revision
		st.setRows(st.saved)
	}
	return s.mappingPage(c, http.StatusOK, st, md)
}

// saveMapping puts the module's rows into the draft. What is wrong with another module does not keep them out.
func (s *Server) saveMapping(c echo.Context, st *mappingState, md mapping.Metadata) error {
	for _, p := range mapping.Check(st.set, md) {
		if p.Blocking && p.Module == st.module {
			st.blocked = append(st.blocked, p)
		}
	}
	if len(st.blocked) > 0 {
		return s.mappingPage(c, http.StatusUnprocessableEntity, st, md)
	}
	err := s.editDraft(c, func(set *config.Set) (string, error) {
		rows := inOrderOf(set.Mappings.Modules[st.module], st.rows())
		what := mappingNote(st.module, set.Mappings.Modules[st.module], rows)
		set.Mappings.Modules[st.module] = rows
		return what, nil
	})
	if clash, ok := errors.AsType[*config.Conflict](err); ok {
		// Saved again, what was typed is meant: on the newest draft, with what others changed elsewhere in it.
		st.clash, st.revision, st.set = clash, clash.Now, clash.Merged.Mappings
		return s.mappingPage(c, http.StatusConflict, st, md)
	}
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		st.refused = fault.SentenceOf(err)
		return s.mappingPage(c, statusOf(err), st, md)
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/mapping/"+st.module, "Mapping saved in the draft. Publish it to make it live.")
}

// readMappingRows reads the rows of the form in their order.
func readMappingRows(c echo.Context) ([]mapping.Row, error) {
	form, err := c.FormParams()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The form could not be read. Go back and try again.")
	}
	var rows []mapping.Row
	for _, field := range form["field"] {
		if field == "" || len(field) > 100 || len(rows) > 300 {
			return nil, fault.New(fault.Invalid, "The form could not be read. Go back and try again.")
		}
		value := strings.ReplaceAll(form.Get("value."+field), "\r\n", "\n")
		rows = append(rows, mapping.Row{Field: field, Value: value, Mode: mapping.Mode(form.Get("mode." + field)), AddToList: form.Get("list."+field) != ""})
	}
	return rows, nil
}

// mappingNote says in words what a save changed.
func mappingNote(module string, before, after []mapping.Row) string {
	var added, changed, removed []string
	for _, r := range after {
		i := slices.IndexFunc(before, func(b mapping.Row) bool { return b.Field == r.Field })
		switch {
		case i < 0:
			added = append(added, r.Field)
		case before[i] != r:
			changed = append(changed, r.Field)
		}
	}
	for _, b := range before {
		if !hasRow(after, b.Field) {
			removed = append(removed, b.Field)
		}
	}
	var what []string
	for _, w := range []struct {
		verb   string
		fields []string
	}{{"changed", changed}, {"added", added}, {"removed", removed}} {
		if len(w.fields) > 0 {
			what = append(what, strings.Join(w.fields, ", ")+" "+w.verb)
		}
	}
	if len(what) == 0 {
		return module + ": nothing changed"
	}
	return clipped(module+": "+strings.Join(what, "; "), 500)
}

// partial reports whether the script asks only for what changes while somebody types.
func partial(c echo.Context) bool { return c.Request().Header.Get("HX-Request-Type") == "partial" }

func (s *Server) mappingPage(c echo.Context, status int, st *mappingState, md mapping.Metadata) error {
	m := memberOf(c)
	link, err := s.Zoho.Get(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	v := page.MappingView{
		Frame: s.frame(c, "Mapping of "+st.module, "mapping"), Edits: m.Can(account.Configure), Revision: st.revision, Module: st.module, Tabs: mappingTabs(st.module, link),
		About: mappingAbout[st.module], Closed: closed(st.module, link), Connected: md.Known(st.module), Unsaved: st.unsaved(), Refused: st.refused, Linked: mapping.Linked(st.module),
		Find: c.FormValue("find"), CallID: callID(c.FormValue("find")),
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		if v.Draft, err = s.draftBar(c, tx, draft); err != nil {
			return err
		}
		facts, chosen, calls, err := exampleOf(c, tx, m.Tenant, s.Now(), st.call)
		if err != nil {
			return err
		}
		v.Calls, v.Call, v.Renewed = calls, chosen, chosen != c.FormValue("shown")
		v.Example = mappingExample(mapping.PreviewOf(st.set, st.module, routing.Decide(draft.Rules, facts), facts, md))
		for _, x := range mapping.Variables(&facts, md) {
			v.Values = append(v.Values, page.MappingValue{Name: x.Name, Group: x.Group, About: x.About, Example: x.Example})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, h := range mapping.Helpers() {
		v.Helpers = append(v.Helpers, page.MappingHelper{Name: h.Name, Label: h.Label, About: h.About})
	}
	form := md.Form(st.module)
	v.Sections = mappingSections(st, form, md)
	v.Fields, v.Closeds = addableFields(v.Sections, form)
	for _, p := range st.blocked {
		v.Blocked = append(v.Blocked, page.MappingProblem{Field: p.Field, Label: labelOf(form, p.Field), Sentence: p.Sentence})
	}
	if st.clash != nil {
		v.Clashes = "Not saved: " + st.clash.By + " changed the same while you were editing. What you typed stands below, theirs beside it. Save again to keep yours."
	}
	if st.removed != nil {
		hidden := hiddenRows([]mapping.Row{*st.removed}, form)
		v.Removed = &hidden[0]
	}
	v.Dropped = hiddenRows(st.dropped, form)
	if partial(c) {
		return s.page(c, status, page.MappingPreview(v))
	}
	return s.page(c, status, page.Mapping(v))
}

// callID names the list of calls by what was looked for.
func callID(find string) string {
	if find = strings.TrimSpace(find); find == "" {
		return "call"
	}
	h := fnv.New32a()
	h.Write([]byte(find))
	return "call-" + strconv.FormatUint(uint64(h.Sum32()), 36)
}

func mappingTabs(current string, link connection.Connection) []ui.Tab {
	var tabs []ui.Tab
	for _, m := range mapping.Modules {
		t := ui.Tab{Label: m, Href: "/mapping/" + m, Current: m == current}
		if closed(m, link) != "" {
			t.Count = "closed"
		}
		tabs = append(tabs, t)
	}
	return tabs
}

// closed says why nothing can be written into a module, as the organisation was found when it was last looked at.
func closed(module string, link connection.Connection) string {
	right := connection.Create
	if module == "Contacts" {
		right = connection.Update
	}
	if link.Status != connection.Connected {
		return ""
	}
	for _, p := range link.Probe {
		for _, r := range p.Rights {
			if p.Module == module && r.Right == right && !r.OK {
				return fmt.Sprintf("Zoho lets Hookline not write %s: %s. What you map here is used as soon as it does.", module, r.Missing)
			}
		}
	}
	return ""
}

func hiddenRows(rows []mapping.Row, form []mapping.FormSection) []page.HiddenRow {
	var out []page.HiddenRow
	for _, r := range rows {
		out = append(out, page.HiddenRow{Field: r.Field, Label: labelOf(form, r.Field), Value: r.Value, Mode: string(r.Mode), AddToList: r.AddToList})
	}
	return out
}

func labelOf(form []mapping.FormSection, field string) string {
	if f, ok := formField(form, field); ok && f.Label != "" {
		return f.Label
	}
	return field
}

func formField(form []mapping.FormSection, field string) (mapping.FormField, bool) {
	for _, s := range form {
		for _, f := range s.Fields {
			if f.APIName == field {
				return f, true
			}
		}
	}
	return mapping.FormField{}, false
}

// mappingSections shows the rows in the order of the module's layout, with what is wrong beside each. A field that Zoho
// requires and that has no row gets one, so that the way out is on the page.
func mappingSections(st *mappingState, form []mapping.FormSection, md mapping.Metadata) []page.MappingSection {
	rows := map[string]*page.MappingRow{}
	var order []string
	add := func(r mapping.Row) {
		i := rowOf(st.saved, r.Field)
		row := mappingRow(st.module, r, form)
		row.New, row.Focus = i < 0 || st.saved[i] != r, r.Field == st.focus
		rows[r.Field] = &row
		order = append(order, r.Field)
	}
	for _, r := range st.rows() {
		add(r)
	}
	for _, p := range mapping.Check(st.set, md) {
		if p.Module != st.module || p.Field == "" || rows[p.Field] == nil && !p.Blocking {
			continue
		}
		if rows[p.Field] == nil {
			add(mapping.Row{Field: p.Field})
		}
		if row := rows[p.Field]; row.Problem == "" || p.Blocking && !row.Blocking {
			row.Problem, row.Blocking, row.Allowed, row.Offer = p.Sentence, p.Blocking, p.Allowed, p.Offer
		}
	}
	if st.clash != nil {
		for _, clash := range st.clash.Clashes {
			if row := rows[clash.Field]; clash.Of == config.OfMapping && clash.ID == st.module && row != nil {
				row.By, row.Theirs = st.clash.By, clash.Theirs
				if row.Theirs == "" {
					row.Theirs = "vanish: the row was removed"
				}
			}
		}
	}
	var out []page.MappingSection
	take := func(name string, fields []string) {
		s := page.MappingSection{Name: name}
		for _, field := range fields {
			if row := rows[field]; row != nil {
				s.Rows = append(s.Rows, *row)
				delete(rows, field)
			}
		}
		if len(s.Rows) > 0 {
			out = append(out, s)
		}
	}
	for _, s := range form {
		var fields []string
		for _, f := range s.Fields {
			fields = append(fields, f.APIName)
		}
		take(s.Name, fields)
	}
	take("Not in your Zoho", order)
	return out
}

func mappingRow(module string, r mapping.Row, form []mapping.FormSection) page.MappingRow {
	out := page.MappingRow{Field: r.Field, Label: r.Field, Value: r.Value, Mode: string(r.Mode), AddToList: r.AddToList}
	f, there := formField(form, r.Field)
	if !there {
		return out
	}
	out.Label, out.Type, out.Required, out.Asked, out.Custom = f.Label, fieldType(f.Field), f.Mandatory && module != "Contacts", f.Layout, f.Custom
	if mapping.Changes(module, f.Field) || r.Mode != mapping.FillEmpty {
		out.Modes = modeOptions
	}
	if f.Type != "text" && f.Type != "textarea" && r.Mode != mapping.Append {
		out.Modes = slices.DeleteFunc(slices.Clone(out.Modes), func(o ui.Option) bool { return o.Value == string(mapping.Append) })
	}
	if strings.Contains(f.Type, "picklist") {
		for _, p := range f.Picklist {
			out.List = append(out.List, p.Value)
		}
	}
	return out
}

// modeOptions are the ways to write a field of a record that exists.
var modeOptions = []ui.Option{
	{Value: string(mapping.FillEmpty), Label: "Fill it when it is empty"}, {Value: string(mapping.Always), Label: "Overwrite what stands there"},
	{Value: string(mapping.Append), Label: "Add a line to the text"}, {Value: string(mapping.Never), Label: "Leave it alone"},
}

// fieldType puts Zoho's data type into words.
func fieldType(f zoho.Field) string {
	words := map[string]string{
		"text": "text", "textarea": "long text", "email": "e-mail", "phone": "phone", "website": "web address", "picklist": "choice", "multiselectpicklist": "several choices",
		"date": "date", "datetime": "date and time", "integer": "whole number", "bigint": "whole number", "double": "number", "currency": "amount", "percent": "percent",
		"boolean": "yes or no", "lookup": "link to a record", "ownerlookup": "owner", "userlookup": "user",
	}
	word, ok := words[f.Type]
	if !ok {
		word = f.Type
	}
	if f.Length > 0 && (f.Type == "text" || f.Type == "textarea") {
		word += fmt.Sprintf(", up to %s characters", thousands(f.Length))
	}
	return word
}

// addableFields are the fields that a row can still be added for, by the sections of the layout, and those that no row can
// fill, with the reason.
func addableFields(sections []page.MappingSection, form []mapping.FormSection) (options []ui.Option, others [][2]string) {
	there := map[string]bool{}
	for _, s := range sections {
		for _, r := range s.Rows {
			there[r.Field] = true
		}
	}
	options = []ui.Option{{Value: "", Label: "Choose a field"}}
	for _, s := range form {
		for _, f := range s.Fields {
			switch {
			case !f.Offered && !strings.HasPrefix(f.Why, "Hookline fills it"):
				others = append(others, [2]string{f.Label, f.Why})
			case f.Offered && !there[f.APIName]:
				label := f.Label + " (" + fieldType(f.Field)
				if f.Custom {
					label += ", custom"
				}
				options = append(options, ui.Option{Value: f.APIName, Label: label + ")", Group: s.Name})
			}
		}
	}
	return options, others
}

// mappingExample shows what a call makes of the record, field by field.
func mappingExample(p mapping.Preview) page.MappingExample {
	out := page.MappingExample{About: "This call makes this record.", JSON: p.JSON(), Notes: p.Draft.Notes}
	switch {
	case p.Example:
		out.About = "The rules make no such record of this call; this is what one would be."
	case p.Draft.Left != "":
		out.About = p.Draft.Left
	case p.Draft.Action == mapping.Update:
		out.About = "This call changes this record."
	}
	for _, problem := range p.Problems {
		if problem.Field == "" {
			out.Problems = append(out.Problems, problem.Sentence)
		}
	}
	for _, f := range p.Fields {
		shown := exampleField(f)
		if f.Is(mapping.Empty) && !f.Is(mapping.Missing) {
			out.Empty = append(out.Empty, shown)
		} else {
			out.Fields = append(out.Fields, shown)
		}
	}
	return out
}

// exampleField is a field of the record with what became of its value.
func exampleField(f mapping.PreviewField) page.ExampleField {
	shown := page.ExampleField{Label: f.Label, Shown: clipped(f.Shown, 400)}
	if f.Sent && f.Value != nil {
		shown.JSON = clipped(jsonOf(f.Value), 2000)
	}
	for i, told := range f.Fates {
		look := fateLooks[told.Fate]
		if slices.ContainsFunc(f.Fates[:i], func(t mapping.Told) bool { return t.Fate == told.Fate && t.Fate != mapping.Sent }) {
			continue // told in other words
		}
		if told.Fate != mapping.Sent || told.Sentence != "Sent." {
			shown.Marks = append(shown.Marks, page.ExampleMark{Tone: look.tone, Word: look.word, Sentence: told.Sentence})
		}
	}
	return shown
}

// fateLooks are the words for what became of a value.
var fateLooks = map[mapping.Fate]struct {
	tone ui.Tone
	word string
}{
	mapping.Cut: {ui.Warn, "Cut"}, mapping.Respelled: {ui.Plain, "Respelled"}, mapping.NewInList: {ui.Warn, "New in the list"}, mapping.Joined: {ui.Plain, "Added"},
	mapping.Kept: {ui.Plain, "Stays"}, mapping.Refused: {ui.Bad, "Refused"}, mapping.ReadOnly: {ui.Warn, "Not sent"}, mapping.Unknown: {ui.Warn, "Not sent"},
	mapping.Missing: {ui.Bad, "Missing"}, mapping.ByRule: {ui.Plain, "Rule"}, mapping.ByHookline: {ui.Plain, "Hookline"},
}
