package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hookline/web/page"
	"hookline/web/ui"
)

// The pages on which a person sets an organisation up, as an administrator does in Zoho's Setup.

func (s *Sandbox) fieldsPage(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	s.renderFields(w, r, http.StatusOK, o, m, page.SandboxFields{NewType: "text"})
}

// renderFields shows a module's fields; typed holds the form for a new one.
func (s *Sandbox) renderFields(w http.ResponseWriter, r *http.Request, status int, o *org, m *module, typed page.SandboxFields) {
	v := typed
	s.mu.RLock()
	v.Frame, v.OrgID, v.Module, v.Title = s.orgFrame(r, o, m, "Fields of "+m.Plural, false), o.ID, m.API, m.Plural
	sc := o.schema(m.API)
	for i := range sc.fields {
		f := &sc.fields[i]
		set := slices.Contains(o.Settings.Required[m.API], f.API)
		v.Fields = append(v.Fields, page.SandboxFieldRow{
			API: f.API, Label: f.Label, Type: f.Type, Mandatory: set, System: f.System && !set, Plain: f.ReadOnly,
			Unique: f.Unique, CanUnique: canBeUnique(f), MadeSo: f.Unique && !slices.Contains(o.Settings.Unique[m.API], f.API),
		})
	}
	s.mu.RUnlock()
	for _, t := range customTypes {
		v.Types = append(v.Types, ui.Option{Value: t})
	}
	s.render(w, r, status, page.SandboxFieldsPage(v))
}

func canBeUnique(f *field) bool {
	return slices.Contains(uniqueTypes, f.Type) && !f.ReadOnly && f.API != "Tag" && f.API != "Participants"
}

// fieldsSave takes the switches of a module's fields. What the system demands, and what was made unique, is not asked.
func (s *Sandbox) fieldsSave(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	_ = r.ParseForm() // what cannot be read is not switched on
	s.mu.Lock()
	to := o.Settings.clone()
	pick := func(list *map[string][]string, name string, may func(*field) bool) {
		if *list == nil {
			*list = map[string][]string{}
		}
		var on []string
		sc := o.schema(m.API)
		for _, api := range r.PostForm[name] {
			if f := sc.field(api); f != nil && may(f) {
				on = append(on, api)
			}
		}
		(*list)[m.API] = on
		if on == nil {
			delete(*list, m.API)
		}
	}
	pick(&to.Required, "required", func(f *field) bool {
		return !f.ReadOnly && (!f.System || slices.Contains(o.Settings.Required[m.API], f.API))
	})
	pick(&to.Unique, "unique", canBeUnique)
	o.Settings = to
	s.changed(o)
	s.mu.Unlock()
	http.Redirect(w, r, "/org/"+o.ID+"/"+m.API+"/fields?done=saved", http.StatusSeeOther)
}

func (s *Sandbox) fieldCreate(w http.ResponseWriter, r *http.Request, o *org, m *module) {
	typed := page.SandboxFields{NewLabel: strings.TrimSpace(r.FormValue("label")), NewType: r.FormValue("type")}
	s.mu.Lock()
	c, p := o.newField(m, map[string]any{"field_label": typed.NewLabel, "data_type": typed.NewType, "unique": r.FormValue("unique") == "true"}, "$", nil)
	var why string
	switch most := o.customFields(); {
	case m.API == "Notes":
		why = "Notes have no fields of their own."
	case len(o.Custom[m.API]) >= most:
		why = fmt.Sprintf("This edition allows %d fields of its own in a module.", most)
	case p != nil && p.Code == "DUPLICATE_DATA":
		why = "There is such a field already."
	case p != nil && p.Code == "DEPENDENT_MISMATCH":
		why = "A field of this type cannot be without duplicates."
	case p != nil:
		why = fmt.Sprintf("A label has 1 to %d characters.", maxFieldLabel)
	}
	if why == "" {
		c.ID = o.newID()
		o.Custom[m.API] = append(o.Custom[m.API], c)
		s.changed(o)
	}
	s.mu.Unlock()
	if why != "" {
		typed.Problems = page.Problems{"label": why}
		s.renderFields(w, r, http.StatusUnprocessableEntity, o, m, typed)
		return
	}
	http.Redirect(w, r, "/org/"+o.ID+"/"+m.API+"/fields?done=field", http.StatusSeeOther)
}

// numbers are the settings that the page shows as numbers, and where they stand.
func (s *settings) numbers() map[string]*int {
	return map[string]*int{"credits": &s.Credits, "concurrency": &s.Concurrency, "latency_ms": &s.LatencyMS, "search_index_lag_ms": &s.SearchIndexLagMS}
}

func (s *Sandbox) settingsPage(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	o := s.orgByID[r.PathValue("org")]
	if o == nil {
		s.mu.RUnlock()
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The organisation does not exist.")
		return
	}
	x := o.Settings
	values := map[string]string{
		"edition": o.Edition, "style_429": x.Style429, "phone_match": x.PhoneMatch, "task": leadTask(x.Workflow),
		"blueprint": strconv.FormatBool(x.Blueprint["Deals"] == "Stage"), "strict_picklists": strconv.FormatBool(x.StrictPicklists),
	}
	for name, n := range x.numbers() {
		values[name] = strconv.Itoa(*n)
	}
	s.mu.RUnlock()
	s.renderSettings(w, r, http.StatusOK, o, values, "")
}

func (s *Sandbox) renderSettings(w http.ResponseWriter, r *http.Request, status int, o *org, values map[string]string, problem string) {
	s.mu.RLock()
	v := page.SandboxSettings{Frame: s.orgFrame(r, o, nil, "Settings", false), OrgID: o.ID, Name: o.Name, Values: values, Problem: problem}
	s.mu.RUnlock()
	for _, e := range editions {
		v.Editions = append(v.Editions, ui.Option{Value: e.Key, Label: e.Label})
	}
	s.render(w, r, status, page.SandboxSettingsPage(v))
}

// leadTask is the subject of the Task that new Leads get, "" where none is made.
func leadTask(rules []workflowRule) string {
	for _, w := range rules {
		if w.Module == "Leads" && w.On != "edit" && w.Task != "" {
			return w.Task
		}
	}
	return ""
}

func (s *Sandbox) settingsSave(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	o := s.orgByID[r.PathValue("org")]
	if o == nil {
		s.mu.Unlock()
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The organisation does not exist.")
		return
	}
	to := o.Settings.clone()
	problem := ""
	values := map[string]string{}
	for _, name := range []string{"edition", "style_429", "phone_match", "task", "blueprint", "strict_picklists"} {
		values[name] = strings.TrimSpace(r.FormValue(name))
	}
	for name, into := range to.numbers() {
		values[name] = strings.TrimSpace(r.FormValue(name))
		n, err := strconv.Atoi(values[name])
		if err != nil || n < 0 {
			problem = "Credits, calls and times are whole numbers, 0 or more."
		}
		*into = n
	}
	to.Style429, to.PhoneMatch, to.StrictPicklists = values["style_429"], values["phone_match"], values["strict_picklists"] == "true"
	if to.Blueprint == nil {
		to.Blueprint = map[string]string{}
	}
	delete(to.Blueprint, "Deals")
	if values["blueprint"] == "true" {
		to.Blueprint["Deals"] = "Stage"
	}
	to.Workflow = slices.DeleteFunc(to.Workflow, func(w workflowRule) bool { return w.Module == "Leads" && w.On != "edit" && w.Task != "" })
	if values["task"] != "" {
		to.Workflow = append(to.Workflow, workflowRule{Module: "Leads", Task: values["task"]})
	}
	if err := to.check(); problem == "" && err != nil {
		problem = "This cannot be: " + err.Error() + "."
	}
	if problem == "" && editionByKey(values["edition"]) == nil {
		problem = "There is no such edition."
	}
	if problem == "" {
		o.Settings, o.Edition = to, values["edition"]
		s.changed(o)
	}
	s.mu.Unlock()
	if problem != "" {
		s.renderSettings(w, r, http.StatusUnprocessableEntity, o, values, problem)
		return
	}
	http.Redirect(w, r, "/org/"+o.ID+"/settings?done=saved", http.StatusSeeOther)
}
