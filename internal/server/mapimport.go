package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/web/page"
	"hookline/web/ui"
)

// mappingImport takes a mapping of another tool in, and gives the draft's out.
func (s *Server) mappingImport(c echo.Context) error {
	return s.importPage(c, http.StatusOK, nil)
}

// exportedModule is the module that the address asks for, else the first.
func exportedModule(c echo.Context) string {
	if m := c.QueryParam("module"); slices.Contains(mapping.Modules, m) {
		return m
	}
	return mapping.Modules[0]
}

func (s *Server) importPage(c echo.Context, status int, read *page.ImportRead) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	module := exportedModule(c)
	v := page.ImportView{
		Frame: s.frame(c, "Import or export", "mapping"), Edits: memberOf(c).Can(account.Configure), Revision: draft.Revision, Module: module, Read: read,
		Body: mapping.ExportBody(draft.Mappings, module), Modules: []ui.Option{{Value: "", Label: "What the body tells"}},
	}
	for _, m := range mapping.Modules {
		v.Tabs = append(v.Tabs, ui.Tab{Label: m, Href: "/mapping/import?module=" + m, Current: m == module})
		v.Modules = append(v.Modules, ui.Option{Value: m, Label: m})
	}
	if c.Request().Method == http.MethodPost {
		v.Text, v.Asked = strings.ReplaceAll(c.FormValue("body"), "\r\n", "\n"), c.FormValue("module")
	}
	v.Document = jsonOf(documentOf(draft.Set))
	return s.page(c, status, page.MappingImport(v))
}

// importMapping reads what was pasted; it puts it into the draft, or leads to the mapping's page with it.
func (s *Server) importMapping(c echo.Context) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	md, err := s.known(c)
	if err != nil {
		return err
	}
	in := mapping.ImportBody(c.FormValue("body"))
	if asked := c.FormValue("module"); slices.Contains(mapping.Modules, asked) {
		in.Module = asked
	}
	read, st := importRead(in, draft, md, c.FormValue("only") != "")
	if st == nil || len(in.Rows) == 0 {
		return s.importPage(c, http.StatusUnprocessableEntity, read)
	}
	switch c.FormValue("act") {
	case "mend":
		return s.mappingPage(c, http.StatusOK, st, md)
	case "put":
		if !read.Blocked {
			return s.putImport(c, st, read)
		}
	}
	return s.importPage(c, http.StatusOK, read)
}

// putImport stores the rows in the draft. Where somebody else changed the same meanwhile, the mapping's page shows both.
func (s *Server) putImport(c echo.Context, st *mappingState, read *page.ImportRead) error {
	err := s.editDraft(c, func(set *config.Set) (string, error) {
		set.Mappings.Modules[st.module] = inOrderOf(set.Mappings.Modules[st.module], st.rows())
		return fmt.Sprintf("%s: a webhook's body imported, %s", st.module, count(read.Changes, "row changed", "rows changed")), nil
	})
	if clash, ok := errors.AsType[*config.Conflict](err); ok {
		md, err := s.known(c)
		if err != nil {
			return err
		}
		st.clash, st.revision, st.set = clash, clash.Now, clash.Merged.Mappings
		return s.mappingPage(c, http.StatusConflict, st, md)
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/mapping/"+st.module, "Imported into the draft. Publish it to make it live.")
}

// importRead says what was understood, against what the draft has, and makes the state that the mapping's page would show;
// nil where no module is known.
func importRead(in mapping.Import, draft config.Draft, md mapping.Metadata, only bool) (*page.ImportRead, *mappingState) {
	read := &page.ImportRead{Module: in.Module, Notes: in.Notes, Only: only}
	for _, p := range in.Problems {
		read.Problems = append(read.Problems, p.Sentence)
	}
	if in.Module == "" {
		if len(read.Problems) == 0 {
			read.Problems = append(read.Problems, "The body does not tell which record it makes. Choose it above, then read again.")
		}
		return read, nil
	}
	st := mappingOf(in.Module, draft)
	form := md.Form(in.Module)
	rows := slices.Clone(st.saved)
	for _, r := range in.Rows {
		shown := page.ImportRow{Label: labelOf(form, r.Field), Value: r.Value, Kind: "new"}
		i := rowOf(rows, r.Field)
		if i >= 0 {
			shown.Kind, shown.Was = "same", rows[i].Value
			if !sameValue(rows[i].Value, r.Value) {
				shown.Kind, rows[i].Value = "changed", r.Value
			}
		} else {
			rows = append(rows, r)
		}
		if shown.Kind != "same" {
			read.Changes++
		}
		read.Rows = append(read.Rows, shown)
	}
	rows = slices.DeleteFunc(rows, func(r mapping.Row) bool {
		if hasRow(in.Rows, r.Field) {
			return false
		}
		read.Others = append(read.Others, labelOf(form, r.Field))
		if only {
			read.Changes++
		}
		return only
	})
	st.setRows(rows)
	for _, p := range mapping.Check(st.set, md) {
		if p.Module == in.Module && p.Blocking {
			read.Blocked = true
			if sentence := labelOf(form, p.Field) + ": " + p.Sentence; !slices.Contains(read.Problems, sentence) {
				read.Problems = append(read.Problems, sentence)
			}
		}
	}
	return read, st
}

// sameValue reports whether two templates mean the same: spaces within braces are none of it.
func sameValue(a, b string) bool {
	x, errX := mapping.Pieces(a)
	y, errY := mapping.Pieces(b)
	return a == b || errX == nil && errY == nil && mapping.Source(x) == mapping.Source(y)
}

// exportMapping downloads one module as a webhook's body, or the whole draft as one document.
func (s *Server) exportMapping(c echo.Context) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	var name, text string
	switch c.Param("what") {
	case "body":
		module := exportedModule(c)
		name, text = "hookline-"+strings.ToLower(module)+".json", mapping.ExportBody(draft.Mappings, module)
	case "document":
		name, text = "hookline-rules.json", jsonOf(documentOf(draft.Set))+"\n"
	default:
		return fault.New(fault.NotFound, "There is no such file.")
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
	return c.Blob(http.StatusOK, "application/json; charset=utf-8", []byte(text))
}
