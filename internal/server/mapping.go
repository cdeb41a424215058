package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
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

// mapping shows one module as it was saved.
func (s *Server) mapping(c echo.Context) error {
	module := c.Param("module")
	if !slices.Contains(mapping.Modules, module) {
		return fault.New(fault.NotFound, "There is no such module.")
	}
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	rows := draft.Mappings.Modules[module]
	fresh := map[string]bool{}
	if add := c.QueryParam("add"); add != "" && !hasRow(rows, add) {
		rows, fresh[add] = append(slices.Clone(rows), mapping.Row{Field: add}), true
	}
	return s.mappingPage(c, http.StatusOK, mappingState{module: module, revision: draft.Revision, set: withRows(draft.Mappings, module, rows), fresh: fresh, call: c.QueryParam("call")})
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

func hasRow(rows []mapping.Row, field string) bool {
	return slices.ContainsFunc(rows, func(r mapping.Row) bool { return r.Field == field })
}

// mappingState is what the page shows: what was saved, or what somebody is editing.
type mappingState struct {
	module   string
	revision int // of the draft that the form is made from
	set      mapping.Set
	fresh    map[string]bool // fields whose row is not saved yet
	call     string
	unsaved  bool
	problem  string // why the save was refused
}

// editMapping takes the form: it saves, adds or removes a row, or renders the example with what was typed.
func (s *Server) editMapping(c echo.Context) error {
	module := c.Param("module")
	if !slices.Contains(mapping.Modules, module) {
		return fault.New(fault.NotFound, "There is no such module.")
	}
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	revision, err := formRevision(c)
	if err != nil {
		return err
	}
	rows, err := readMappingRows(c)
	if err != nil {
		return err
	}
	st := mappingState{module: module, revision: revision, fresh: map[string]bool{}, call: c.FormValue("call"), unsaved: true}
	act := c.FormValue("act")
	switch field, remove := strings.CutPrefix(act, "remove "); {
	case remove:
		rows = slices.DeleteFunc(rows, func(r mapping.Row) bool { return r.Field == field })
	case act == "add" && c.FormValue("add") != "" && !hasRow(rows, c.FormValue("add")):
		rows = append(rows, mapping.Row{Field: c.FormValue("add")})
	}
	for _, r := range rows {
		if !hasRow(draft.Mappings.Modules[module], r.Field) {
			st.fresh[r.Field] = true
		}
	}
	st.set = withRows(draft.Mappings, module, rows)
	if act != "save" {
		return s.mappingPage(c, http.StatusOK, st)
	}
	err = s.saveMapping(c, st)
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		st.problem = fault.SentenceOf(err)
		if kind == fault.Conflict {
			st.revision = draft.Revision // saved again, it is meant
		}
		return s.mappingPage(c, statusOf(err), st)
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/mapping/"+module, "Mapping saved in the draft. Publish it to make it live.")
}

// saveMapping puts the module's rows into the draft. What is wrong with another module does not keep them out.
func (s *Server) saveMapping(c echo.Context, st mappingState) error {
	for _, p := range mapping.Check(st.set, s.metadataOf(c, mapping.Modules...)) {
		if p.Blocking && p.Module == st.module {
			return fault.Field(p.Field, p.Sentence)
		}
	}
	return s.editDraft(c, func(set *config.Set) (string, error) {
		what := mappingNote(st.module, set.Mappings.Modules[st.module], st.set.Modules[st.module])
		set.Mappings.Modules[st.module] = st.set.Modules[st.module]
		return what, nil
	})
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

func (s *Server) mappingPage(c echo.Context, status int, st mappingState) error {
	m := memberOf(c)
	md := s.metadataOf(c, mapping.Modules...)
	v := page.MappingView{
		Frame: s.frame(c, "Mapping of "+st.module, "mapping"), Edits: m.Can(account.Configure), Revision: st.revision, Module: st.module, Modules: mapping.Modules,
		About: mappingAbout[st.module], Connected: md.Known(st.module), Unsaved: st.unsaved, Problem: st.problem, Linked: mapping.Linked(st.module),
	}
	err := s.inTenant(c, func(tx pgx.Tx) error {
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
		v.Calls, v.Call = calls, chosen
		record, problems := mapping.Example(st.set, st.module, facts, md)
		v.Example = mappingExample(record, problems, md.Fields(st.module))
		for _, x := range mapping.Variables(&facts, md) {
			v.Variables = append(v.Variables, page.MappingVariable{Name: x.Name, About: x.About, Example: x.Example})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range mapping.Filters() {
		v.Filters = append(v.Filters, page.MappingVariable{Name: f.Usage, About: f.About})
	}
	v.Rows = mappingRows(st, md)
	v.Fields = addableFields(v.Rows, st.module, md)
	return s.page(c, status, page.Mapping(v))
}

// mappingRows shows the rows with what is wrong beside each. A field that Zoho requires and that has no row gets one,
// so that the way out is on the page.
func mappingRows(st mappingState, md mapping.Metadata) []page.MappingRow {
	fields := md.Fields(st.module)
	var rows []page.MappingRow
	row := func(r mapping.Row, fresh bool) page.MappingRow {
		out := page.MappingRow{Field: r.Field, Label: r.Field, Value: r.Value, Mode: string(r.Mode), Modes: modeOptions, AddToList: r.AddToList, New: fresh}
		if i := slices.IndexFunc(fields, func(f zoho.Field) bool { return f.APIName == r.Field }); i >= 0 {
			f := fields[i]
			out.Label, out.Type, out.Required = f.Label, fieldType(f), f.Mandatory
			if f.Type != "text" && f.Type != "textarea" && r.Mode != mapping.Append {
				out.Modes = slices.DeleteFunc(slices.Clone(modeOptions), func(o ui.Option) bool { return o.Value == string(mapping.Append) })
			}
			if strings.Contains(f.Type, "picklist") {
				for _, p := range f.Picklist {
					out.List = append(out.List, p.Value)
				}
			}
		}
		return out
	}
	for _, r := range st.set.Modules[st.module] {
		rows = append(rows, row(r, st.fresh[r.Field]))
	}
	for _, p := range mapping.Check(st.set, md) {
		if p.Module != st.module || p.Field == "" {
			continue
		}
		i := slices.IndexFunc(rows, func(r page.MappingRow) bool { return r.Field == p.Field })
		if i < 0 && !p.Blocking {
			continue
		}
		if i < 0 {
			rows = slices.Insert(rows, 0, row(mapping.Row{Field: p.Field}, true))
			i = 0
		}
		if rows[i].Problem == "" || p.Blocking && !rows[i].Blocking {
			rows[i].Problem, rows[i].Blocking, rows[i].Allowed = p.Sentence, p.Blocking, p.Allowed[:min(len(p.Allowed), 40)]
		}
	}
	return rows
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
		word += fmt.Sprintf(", up to %s characters", grouped(f.Length))
	}
	return word
}

func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// addableFields are the fields that a row can still be added for.
func addableFields(rows []page.MappingRow, module string, md mapping.Metadata) []ui.Option {
	options := []ui.Option{{Value: "", Label: "Choose a field"}}
	for _, f := range md.Writable(module) {
		if !slices.ContainsFunc(rows, func(r page.MappingRow) bool { return r.Field == f.APIName }) {
			options = append(options, ui.Option{Value: f.APIName, Label: f.Label + " (" + fieldType(f) + ")"})
		}
	}
	return options
}

// mappingExample shows a draft as the record that Zoho would hold.
func mappingExample(d mapping.Draft, problems []mapping.Problem, fields []zoho.Field) page.MappingExample {
	names := map[string]string{}
	for _, f := range fields {
		names[f.APIName] = f.Label
	}
	name := func(field string) string {
		if n := names[field]; n != "" {
			return n
		}
		return field
	}
	out := page.MappingExample{Title: "The record in Zoho", Notes: d.Notes}
	for _, k := range d.Keys {
		if k == "$se_module" {
			continue
		}
		out.Fields = append(out.Fields, ui.KV{Key: name(k), Value: shownValue(d.Fields[k])})
	}
	var empty []string
	for _, k := range d.Empty {
		empty = append(empty, name(k))
	}
	out.Empty = strings.Join(empty, ", ")
	for _, p := range problems {
		out.Problems = append(out.Problems, p.Sentence)
	}
	if doc, err := json.MarshalIndent(d.Fields, "", "  "); err == nil {
		out.JSON = string(doc)
	}
	return out
}

// shownValue writes a value as the record card shows it.
func shownValue(v any) string {
	switch v := v.(type) {
	case string:
		return clipped(v, 400)
	case map[string]any:
		if n, ok := v["name"].(string); ok && n != "" {
			return n
		}
		return fmt.Sprint(v["id"])
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return map[bool]string{true: "Yes", false: "No"}[v]
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}
