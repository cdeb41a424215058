package sandbox

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"hookline/static"
	"hookline/web/page"
	"hookline/web/ui"
)

//go:embed sandbox.css
var styleSheet []byte

//go:embed sandbox.js
var script []byte

var (
	styleURL  = "/sandbox." + shortHash(styleSheet) + ".css"
	scriptURL = "/sandbox." + shortHash(script) + ".js"
)

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:12]
}

// pages are the CRM for people: what programs write appears here, and a person can change it.
func (s *Sandbox) pages() http.Handler {
	mux := http.NewServeMux()
	asset := func(contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(body)
		}
	}
	mux.Handle("GET "+styleURL, asset("text/css; charset=utf-8", styleSheet))
	mux.Handle("GET "+scriptURL, asset("text/javascript; charset=utf-8", script))
	mux.Handle("GET /static/", static.Handler())
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /{$}", s.orgsPage)
	mux.HandleFunc("POST /org", s.orgCreate)
	mux.HandleFunc("GET /ledger", s.ledgerPage)
	mux.HandleFunc("GET /org/{org}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/org/"+r.PathValue("org")+"/Leads", http.StatusSeeOther)
	})
	in := func(run func(http.ResponseWriter, *http.Request, *org, *module)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s.mu.RLock()
			o := s.orgByID[r.PathValue("org")]
			s.mu.RUnlock()
			m := moduleByName(r.PathValue("module"))
			if o == nil || m == nil || (m.Inner && r.PathValue("id") == "") {
				s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The organisation or module does not exist.")
				return
			}
			run(w, r, o, m)
		}
	}
	mux.HandleFunc("GET /org/{org}/settings", s.settingsPage)
	mux.HandleFunc("POST /org/{org}/settings", s.settingsSave)
	mux.HandleFunc("GET /org/{org}/{module}", in(s.recordsPage))
	mux.HandleFunc("GET /org/{org}/{module}/fields", in(s.fieldsPage))
	mux.HandleFunc("POST /org/{org}/{module}/fields", in(s.fieldsSave))
	mux.HandleFunc("POST /org/{org}/{module}/fields/new", in(s.fieldCreate))
	mux.HandleFunc("POST /org/{org}/{module}/{id}/lock", in(s.recordLock))
	mux.HandleFunc("GET /org/{org}/{module}/new", in(s.newPage))
	mux.HandleFunc("POST /org/{org}/{module}/new", in(s.recordSave))
	mux.HandleFunc("GET /org/{org}/{module}/{id}", in(s.recordPage))
	mux.HandleFunc("POST /org/{org}/{module}/{id}", in(s.recordSave))
	mux.HandleFunc("POST /org/{org}/{module}/{id}/delete", in(s.recordDelete))
	mux.HandleFunc("POST /org/{org}/{module}/{id}/convert", in(s.recordConvert))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The address is wrong.")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.crossOrigin.Check(r); err != nil {
			s.problemPage(w, r, http.StatusForbidden, "", "This form came from another site", "Open the page again and send the form there.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		mux.ServeHTTP(w, r)
	})
}

// render draws into memory first, so that a page is whole or an error.
func (s *Sandbox) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component, formTargets ...string) {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		s.log.Error("a sandbox page could not be drawn", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action "+
		strings.Join(append([]string{"'self'"}, formTargets...), " ")+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func (s *Sandbox) frame(title string, live bool) page.SandboxFrame {
	f := page.SandboxFrame{Title: title, Style: styleURL}
	if live {
		f.Script = scriptURL
	}
	return f
}

var notices = map[string]string{"saved": "Saved.", "created": "Created.", "deleted": "Deleted.", "converted": "Converted.", "field": "The field is made.", "locked": "Locked: programs cannot change it.", "unlocked": "Unlocked."}

// orgFrame is the frame of a page inside an organisation. The caller holds the lock.
func (s *Sandbox) orgFrame(r *http.Request, o *org, m *module, title string, live bool) page.SandboxFrame {
	f := s.frame(title, live)
	f.Org, f.OrgID, f.Notice = o.Name, o.ID, notices[r.URL.Query().Get("done")]
	for i := range modules {
		x := &modules[i]
		if x.Inner {
			continue
		}
		f.Links = append(f.Links, page.SandboxLink{Label: x.Plural, Href: "/org/" + o.ID + "/" + x.API, Count: thousands(o.tables[x.API].live), Current: x == m})
	}
	return f
}

func (s *Sandbox) problemPage(w http.ResponseWriter, r *http.Request, status int, code, title, text string) {
	s.render(w, r, status, page.SandboxProblemPage(page.SandboxProblem{Frame: s.frame(title, false), Code: code, Title: title, Text: text}))
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (s *Sandbox) when(t time.Time, zone *time.Location) ui.TimeProps {
	d := s.now().Sub(t)
	text := t.In(zone).Format("2 Jan 2006, 15:04")
	fixed := true
	switch {
	case d < 0:
	case d < 10*time.Second:
		text, fixed = "just now", false
	case d < time.Minute:
		text, fixed = fmt.Sprintf("%d s ago", int(d.Seconds())), false
	case d < time.Hour:
		text, fixed = fmt.Sprintf("%d min ago", int(d.Minutes())), false
	case d < 24*time.Hour:
		text, fixed = fmt.Sprintf("%d h ago", int(d.Hours())), false
	}
	return ui.TimeProps{ISO: t.UTC().Format(time.RFC3339), Text: text, Exact: t.In(zone).Format("Mon 2 Jan 2006, 15:04:05 MST"), Fixed: fixed}
}

func (s *Sandbox) orgsPage(w http.ResponseWriter, r *http.Request) {
	s.renderOrgs(w, r, http.StatusOK, newOrg{}, nil)
}

func (s *Sandbox) renderOrgs(w http.ResponseWriter, r *http.Request, status int, typed newOrg, problems page.Problems) {
	v := page.SandboxOrgs{Frame: s.frame("Organisations", true), New: newOrgForm(typed), Problems: problems}
	s.mu.RLock()
	for _, o := range slices.Backward(s.orgs) {
		n := 0
		for _, t := range o.tables {
			n += t.live
		}
		most, _ := o.limits()
		o.usage.mu.Lock()
		used := o.usage.spent(s.now())
		o.usage.mu.Unlock()
		apps := map[string]bool{}
		for _, t := range s.auth.refresh {
			if t.Org == o.ID {
				apps[s.client(t.Client).Name] = true
			}
		}
		var names []string
		for name := range apps {
			names = append(names, name)
		}
		slices.Sort(names)
		v.Orgs = append(v.Orgs, page.SandboxOrg{
			ID: o.ID, Name: o.Name, Edition: editionByKey(o.Edition).Label, Centre: centreByKey(o.Centre).Label, Records: thousands(n),
			Credits: thousands(used) + " of " + thousands(most), Apps: strings.Join(names, ", "),
		})
	}
	s.mu.RUnlock()
	s.render(w, r, status, page.SandboxOrgsPage(v))
}

func (s *Sandbox) orgCreate(w http.ResponseWriter, r *http.Request) {
	n := newOrg{Name: strings.TrimSpace(r.FormValue("name")), Edition: r.FormValue("edition"), Centre: r.FormValue("data_centre")}
	bad := n.check()
	if n.Name == "" {
		bad = "Give it a name."
	}
	if bad != "" {
		s.renderOrgs(w, r, http.StatusUnprocessableEntity, n, page.Problems{"name": bad})
		return
	}
	s.mu.Lock()
	o := s.addOrg(n)
	s.mu.Unlock()
	s.watch.tell()
	http.Redirect(w, r, "/org/"+o.ID+"/Leads", http.StatusSeeOther)
}

const rowsPerPage = 50

// listed are the fields a module's list shows beside the name.
var listed = map[string][]string{
	"Leads": {"Full_Name", "Company", "Phone", "Email", "Lead_Source", "Owner"}, "Contacts": {"Full_Name", "Account_Name", "Phone", "Email", "Owner"},
	"Accounts": {"Account_Name", "Phone", "Website", "Owner"}, "Deals": {"Deal_Name", "Stage", "Amount", "Closing_Date", "Contact_Name", "Owner"},
	"Calls": {"Subject", "Call_Type", "Call_Start_Time", "Call_Duration", "Who_Id", "What_Id", "Owner"}, "Tasks": {"Subject", "Status", "Priority", "Due_Date", "Who_Id", "Owner"},
	"Events": {"Event_Title", "Start_DateTime", "Meeting_Venue__s", "Owner"}, "Notes": {"Note_Title", "Note_Content", "Parent_Id", "Owner"}, "Attachments": {"File_Name", "Size", "Parent_Id", "Owner"},
}

func (s *Sandbox) recordsPage(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	number = max(1, number)
	s.mu.RLock()
	sc, t := o.schema(m.API), o.tables[m.API]
	v := page.SandboxRecords{
		Frame: s.orgFrame(r, o, m, m.Plural, true), Module: m.API, Title: m.Plural, One: m.Singular, OrgID: o.ID,
		Pager: ui.PagerProps{Text: "Newest first"},
	}
	columns := slices.DeleteFunc(slices.Clone(listed[m.API]), func(api string) bool { return sc.field(api) == nil })
	for _, api := range columns {
		v.Columns = append(v.Columns, sc.field(api).Label)
	}
	skip := (number - 1) * rowsPerPage
	for i := len(t.order) - 1; i >= 0 && len(v.Rows) <= rowsPerPage; i-- {
		rec := t.order[i].now
		if rec == nil {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		v.Rows = append(v.Rows, s.row(o, sc, rec, columns))
	}
	s.mu.RUnlock()
	path := "/org/" + o.ID + "/" + m.API
	if len(v.Rows) > rowsPerPage {
		v.Rows = v.Rows[:rowsPerPage]
		v.Pager.Older = path + "?page=" + strconv.Itoa(number+1)
	}
	if number > 1 {
		v.Pager.Newer = path + "?page=" + strconv.Itoa(number-1)
	}
	s.render(w, r, http.StatusOK, page.SandboxRecordsPage(v))
}

func (s *Sandbox) row(o *org, sc *schema, rec *record, fields []string) page.SandboxRow {
	row := page.SandboxRow{Href: "/org/" + o.ID + "/" + rec.Module + "/" + rec.ID, When: s.when(rec.Modified, o.zone), Fresh: s.now().Sub(rec.Modified) < 5*time.Second}
	for i, api := range fields {
		text := []rune(o.shown(sc.field(api), rec.Values[api]))
		if len(text) > 90 {
			text = append(text[:89], '…')
		}
		if i == 0 && len(text) == 0 {
			text = []rune("(no name)")
		}
		row.Cells = append(row.Cells, string(text))
	}
	if rec.is("Converted__s") {
		row.Badge = "Converted"
	}
	return row
}

// shown is a value in words, for a page.
func (o *org) shown(f *field, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return map[bool]string{true: "Yes", false: "No"}[v]
	case json.Number:
		return v.String()
	case time.Time:
		return v.In(o.zone).Format("2 Jan 2006, 15:04")
	case ref:
		name, ok := o.nameOf(v)
		if !ok {
			return ""
		}
		if name == "" {
			return v.ID
		}
		return name
	case []any:
		var names []string
		for _, x := range v {
			if m, ok := x.(map[string]any); ok && f.API == "Tag" {
				names = append(names, fmt.Sprint(m["name"]))
			} else {
				names = append(names, fmt.Sprint(x))
			}
		}
		return strings.Join(names, ", ")
	}
	return string(marshal(v))
}

// typedValue is a value as it stands in an input.
func (o *org) typedValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case time.Time:
		return o.clock(v)
	case ref:
		return v.ID
	}
	return string(marshal(v))
}

// editable says whether a person can type a field in a form.
func editable(f *field) bool {
	switch f.Type {
	case "ALARM", "RRULE", "multireminder", "multiselectpicklist":
		return false
	}
	return !f.ReadOnly && f.API != "Tag" && f.API != "Participants" && f.API != "Call_Duration_in_seconds"
}

func (s *Sandbox) recordPage(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	s.mu.RLock()
	rec := o.find(m.API, r.PathValue("id"))
	if rec == nil {
		s.mu.RUnlock()
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "This record was deleted, or never was.")
		return
	}
	v := s.recordView(r, o, m, rec, nil)
	s.mu.RUnlock()
	v.Asking = r.URL.Query().Get("confirm")
	s.render(w, r, http.StatusOK, page.SandboxRecordPage(v))
}

func (s *Sandbox) newPage(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	s.mu.RLock()
	v := s.recordView(r, o, m, nil, nil)
	s.mu.RUnlock()
	s.render(w, r, http.StatusOK, page.SandboxRecordPage(v))
}

// recordView fills a record's page; typed is what a refused form held. The caller holds the lock.
func (s *Sandbox) recordView(r *http.Request, o *org, m *module, rec *record, typed map[string]string) page.SandboxRecord {
	sc := o.schema(m.API)
	v := page.SandboxRecord{Module: m.Plural, One: m.Singular, OrgID: o.ID, Name: "New " + m.Singular, Back: "/org/" + o.ID + "/" + m.API}
	if rec != nil {
		v.ID, v.Name = rec.ID, rec.text(m.NameField)
		if v.Name == "" {
			v.Name = "(no name)"
		}
		if rec.is("Converted__s") {
			v.State = "Converted"
		}
		if v.Locked = rec.is(lockedKey); v.Locked {
			v.State = "Locked"
		}
		v.Convert = m.API == "Leads" && !rec.is("Converted__s")
		v.Facts = []ui.KV{{Key: "Id", Value: rec.ID, Mono: true}}
		for i := range sc.fields {
			f := &sc.fields[i]
			if text := o.shown(f, rec.Values[f.API]); text != "" && !editable(f) && f.API != "Full_Name" {
				v.Facts = append(v.Facts, ui.KV{Key: f.Label, Value: text})
			}
		}
		for _, l := range relatedLists(m) {
			rel := page.SandboxRelated{Title: moduleByName(l.module).Plural}
			for _, e := range unseen(o.tables[l.module].parent[rec.ID]) {
				if e.now != nil && slices.ContainsFunc(l.by, func(api string) bool { return e.now.ref(api).ID == rec.ID }) {
					rel.Rows = append(rel.Rows, s.row(o, o.schema(l.module), e.now, []string{moduleByName(l.module).NameField}))
				}
			}
			slices.Reverse(rel.Rows)
			rel.Rows = rel.Rows[:min(len(rel.Rows), 20)]
			v.Related = append(v.Related, rel)
		}
	}
	v.Frame = s.orgFrame(r, o, m, v.Name, false)
	v.Module = m.API
	for i := range sc.fields {
		f := &sc.fields[i]
		if !editable(f) {
			continue
		}
		x := page.SandboxField{API: f.API, Label: f.Label, Type: "text"}
		if rec != nil {
			x.Value = o.typedValue(rec.Values[f.API])
		}
		if typed != nil {
			x.Value = typed[f.API]
		}
		switch f.Type {
		case "textarea":
			x.Type = "area"
		case "boolean":
			x.Type = "check"
		case "picklist":
			x.Type, x.Options = "pick", []ui.Option{{Value: "", Label: "None"}}
			for _, p := range f.Picks {
				x.Options = append(x.Options, ui.Option{Value: p})
			}
			if x.Value != "" && !slices.Contains(f.Picks, x.Value) {
				x.Options = append(x.Options, ui.Option{Value: x.Value})
			}
		case "ownerlookup":
			x.Type = "pick"
			for _, u := range o.Users {
				x.Options = append(x.Options, ui.Option{Value: u.ID, Label: u.name()})
			}
		case "lookup":
			x.Hint = "Id of a record"
			if f.Lookup != "*" {
				x.Hint = "Id of a record in " + moduleByName(f.Lookup).Plural
			}
			if rec != nil {
				if name, ok := o.nameOf(rec.ref(f.API)); ok && name != "" {
					x.Hint += ": " + name
				}
			}
		case "date":
			x.Hint = "Such as 2026-01-20"
		case "datetime":
			x.Hint = "Such as 2026-01-20T15:00:00-05:00"
		}
		v.Fields = append(v.Fields, x)
	}
	return v
}

// recordSave is a person's create or save: only what they changed is written.
func (s *Sandbox) recordSave(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	if err := r.ParseForm(); err != nil {
		s.problemPage(w, r, http.StatusBadRequest, "", "The form could not be read", "Go back and try again.")
		return
	}
	q := &request{s: s, http: nil, number: s.ledger.next(), at: s.now(), method: r.Method, path: r.URL.Path, org: o, user: &o.Users[0]}
	s.mu.Lock()
	var before *record
	if id := r.PathValue("id"); id != "" {
		if before = o.find(m.API, id); before == nil {
			s.mu.Unlock()
			s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "This record was deleted, or never was.")
			return
		}
	}
	typed, item := map[string]string{}, map[string]any{}
	sc := o.schema(m.API)
	for i := range sc.fields {
		f := &sc.fields[i]
		if !editable(f) {
			continue
		}
		text := strings.ReplaceAll(r.PostForm.Get(f.API), "\r\n", "\n")
		typed[f.API] = text
		old := ""
		if before != nil {
			old = o.typedValue(before.Values[f.API])
		}
		if text == old || (f.Type == "boolean" && (text == "true") == (old == "true")) {
			continue
		}
		item[f.API] = fromTyped(f, text)
	}
	rec, bad := s.byHand(q, m, item, before, 0)
	if bad != nil {
		v := s.recordView(r, o, m, before, typed)
		v.Problems, v.Refused = formProblems(bad)
		s.mu.Unlock()
		s.render(w, r, http.StatusUnprocessableEntity, page.SandboxRecordPage(v))
		return
	}
	s.mu.Unlock()
	s.byPerson(q)
	done := "saved"
	if before == nil {
		done = "created"
	}
	http.Redirect(w, r, "/org/"+o.ID+"/"+m.API+"/"+rec.ID+"?done="+done, http.StatusSeeOther)
}

// byPerson puts a person's change into the ledger and tells the live pages.
func (s *Sandbox) byPerson(q *request) {
	if len(q.effects) > 0 {
		s.record(q, "", http.StatusOK, "")
		s.watch.tell()
	}
}

// fromTyped is a typed text as JSON would carry it; nil clears the field.
func fromTyped(f *field, text string) any {
	if text == "" && f.Type != "boolean" {
		return nil
	}
	switch f.Type {
	case "boolean":
		return text == "true"
	case "integer", "bigint", "double", "currency", "percent":
		n := strings.ReplaceAll(strings.TrimSpace(text), ",", "")
		if _, err := strconv.ParseFloat(n, 64); err == nil {
			return json.Number(n)
		}
	}
	return text
}

// formProblems puts a refusal beside the fields it names.
func formProblems(p *problem) (page.Problems, string) {
	all := []*problem{p}
	if list, ok := p.Details["errors"].([]*problem); ok {
		all = list
	}
	out := page.Problems{}
	whole := ""
	for _, x := range all {
		text := x.Message
		if want, ok := x.Details["expected_data_type"]; ok {
			text = fmt.Sprintf("This has to be a %v.", want)
		}
		if most, ok := x.Details["maximum_length"]; ok {
			text = fmt.Sprintf("At most %v characters.", most)
		}
		if api, _ := x.Details["api_name"].(string); api != "" {
			out[api] = text
		} else {
			whole = text
		}
	}
	if whole == "" {
		whole = "Something has to be put right first."
	}
	return out, whole
}

func (s *Sandbox) recordDelete(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	q := &request{s: s, number: s.ledger.next(), at: s.now(), method: r.Method, path: r.URL.Path, org: o, user: &o.Users[0]}
	s.mu.Lock()
	if o.find(m.API, r.PathValue("id")) != nil {
		s.remove(o, r.PathValue("id"), q)
	}
	s.mu.Unlock()
	s.byPerson(q)
	http.Redirect(w, r, "/org/"+o.ID+"/"+m.API+"?done=deleted", http.StatusSeeOther)
}

// recordLock is a person who locks a record, or unlocks it.
func (s *Sandbox) recordLock(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	q := &request{s: s, number: s.ledger.next(), at: s.now(), method: r.Method, path: r.URL.Path, org: o, user: &o.Users[0]}
	lock := r.FormValue("lock") == "true"
	s.mu.Lock()
	rec := o.find(m.API, r.PathValue("id"))
	if rec != nil {
		s.revise(q, rec, map[string]any{lockedKey: lock}, "updated")
	}
	s.mu.Unlock()
	s.byPerson(q)
	done := "unlocked"
	if lock {
		done = "locked"
	}
	http.Redirect(w, r, "/org/"+o.ID+"/"+m.API+"/"+r.PathValue("id")+"?done="+done, http.StatusSeeOther)
}

func (s *Sandbox) recordConvert(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	q := &request{s: s, number: s.ledger.next(), at: s.now(), method: r.Method, path: r.URL.Path, org: o, user: &o.Users[0]}
	s.mu.Lock()
	lead := o.find("Leads", r.PathValue("id"))
	if m.API != "Leads" || lead == nil {
		s.mu.Unlock()
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "This Lead was deleted, or never was.")
		return
	}
	a := s.convertLead(q, lead, map[string]any{})
	contact := o.find("Leads", lead.ID).ref("Converted_Contact").ID
	s.mu.Unlock()
	s.byPerson(q)
	if a.status != http.StatusOK {
		http.Redirect(w, r, "/org/"+o.ID+"/Leads/"+lead.ID, http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/org/"+o.ID+"/Contacts/"+contact+"?done=converted", http.StatusSeeOther)
}

// tabPath reads /crm/{organisation's domain name}/tab/{module}[/{id}], the address of a record in Zoho CRM's own pages (obs).
func tabPath(path string) []string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 4 || len(parts) > 5 || parts[0] != "crm" || parts[2] != "tab" {
		return nil
	}
	return append([]string{parts[1]}, parts[3:]...)
}

// tabPage leads from Zoho's address of a record to the sandbox's.
func (s *Sandbox) tabPage(w http.ResponseWriter, r *http.Request, parts []string) {
	s.mu.RLock()
	id := ""
	for _, o := range s.orgs {
		if o.Domain == parts[0] || o.ID == parts[0] || "org"+o.ID == parts[0] {
			id = o.ID
		}
	}
	s.mu.RUnlock()
	if id == "" || moduleByName(parts[1]) == nil {
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The organisation or module does not exist.")
		return
	}
	http.Redirect(w, r, "/org/"+id+"/"+strings.Join(parts[1:], "/"), http.StatusSeeOther)
}

// faultWords say what a fault did to a request.
var faultWords = map[string]string{
	"status": "A fault answered in its place", "hang": "A fault left it without an answer", "reset": "A fault reset the connection", "truncate": "A fault cut the answer short",
	"slow": "A fault slowed the answer down",
}

// ledgerPage lists requests, newest first.
func (s *Sandbox) ledgerPage(w http.ResponseWriter, r *http.Request) {
	before, _ := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	v := page.SandboxLedger{Frame: s.frame("Requests", true), Pager: ui.PagerProps{Text: "Newest first"}}
	lines := s.ledger.newest(before, rowsPerPage+1)
	if len(lines) > rowsPerPage {
		lines = lines[:rowsPerPage]
		v.Pager.Older = "/ledger?before=" + strconv.FormatUint(lines[rowsPerPage-1].N, 10)
	}
	if before > 0 {
		v.Pager.Newer = "/ledger"
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range lines {
		x := page.SandboxLine{
			No: strconv.FormatUint(l.N, 10), When: s.when(l.Time, time.UTC), Request: l.Method + " " + l.Path, Query: l.Query,
			Status: strconv.Itoa(l.Status), Tone: ui.Good, Credits: strconv.Itoa(l.Credits), Note: l.Code, Rule: l.Rule,
		}
		switch {
		case l.Status == 0:
			x.Status, x.Tone = "no answer", ui.Bad
		case l.Status >= 500 || l.Status == 429:
			x.Tone = ui.Bad
		case l.Status >= 400 || l.Code != "":
			x.Tone = ui.Warn
		}
		if l.Fault != "" {
			x.Rule = faultWords[l.Fault]
			if len(l.Effects) > 0 {
				x.Rule += ", after the write"
			}
		}
		if o := s.orgByID[l.Org]; o != nil {
			x.Org = o.Name
		}
		for i, e := range l.Effects {
			if i == 10 {
				x.Effects = append(x.Effects, page.SandboxLink{Label: fmt.Sprintf("and %d more", len(l.Effects)-i), Href: "/org/" + l.Org + "/" + e.Module})
				break
			}
			m := moduleByName(e.Module)
			if m == nil { // a field
				x.Effects = append(x.Effects, page.SandboxLink{Label: "Field " + e.Action})
				continue
			}
			x.Effects = append(x.Effects, page.SandboxLink{Label: m.Singular + " " + e.Action, Href: "/org/" + l.Org + "/" + e.Module + "/" + e.ID})
		}
		v.Lines = append(v.Lines, x)
	}
	s.render(w, r, http.StatusOK, page.SandboxLedgerPage(v))
}
