package zoho

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Org is the organisation behind a connection.
type Org struct {
	ID       string
	Name     string
	Domain   string // such as org123: part of links into the CRM
	TimeZone string // IANA name
	Currency string // ISO 4217
	Country  string // ISO 3166-1 alpha-2
	Type     string // production, sandbox, developer, bigin
	Edition  string // paid_type: free, standard, professional, enterprise, ultimate, …; a trial's while one runs
	Trial    bool
	Users    int // licences bought
}

// User is somebody in the organisation.
type User struct {
	ID, Name, Email, Role, Profile, Status, TimeZone string
	Confirmed                                        bool
}

// Module is a kind of record, and what the connected user may do with it.
type Module struct {
	APIName   string
	Singular  string // as the organisation calls it
	Plural    string
	Supported bool // by the API
	Viewable  bool
	Creatable bool
	Editable  bool
	Visible   bool // not hidden by the organisation
	Blueprint bool // its records can be in a Blueprint
}

// Field is one field of a module (Zoho's API, "Fields metadata").
type Field struct {
	APIName       string
	Label         string
	Type          string // text, textarea, email, phone, picklist, lookup, …: Zoho's data_type
	Length        int    // in characters; 0 when Zoho names none
	DecimalPlaces int
	Mandatory     bool // system mandatory: refused when absent
	ReadOnly      bool
	Visible       bool
	CanCreate     bool
	CanUpdate     bool
	Custom        bool
	Unique        bool
	Picklist      []Pick
	Gone          []string `json:",omitempty"` // values that the picklist had at an earlier look
	LookupModule  string   // of a lookup: the module it points to
}

// Usable reports whether a mapping may target the field.
func (f Field) Usable() bool { return f.Visible && !f.ReadOnly && (f.CanCreate || f.CanUpdate) }

// Pick is one value of a picklist: Value is sent, Label is shown.
type Pick struct{ Value, Label string }

// Layout is one page layout of a module.
type Layout struct {
	ID, Name string
	Visible  bool
	Required []string // api_names that this layout demands
	Sections []Section
}

// Section is a part of a layout with a heading of its own, and its fields in their order on the page.
type Section struct {
	Name   string   // the heading
	Fields []string // api_names
}

// Pipeline is an ordered list of a Deal's stages.
type Pipeline struct {
	Name    string // what a Deal's Pipeline field takes
	Default bool
	Stages  []Stage
}

// StageType says whether a Deal in a stage is still alive.
type StageType string

const (
	Open StageType = "open"
	Won  StageType = "won"
	Lost StageType = "lost"
)

// Stage is one step of a pipeline.
type Stage struct {
	Name  string // what a Deal's Stage field takes
	Label string
	Type  StageType
	Order int
}

// Metadata is what one module of one organisation looks like.
type Metadata struct {
	Module    string
	Fields    []Field
	Required  []string   // api_names that the default layout demands beyond the system's
	Sections  []Section  `json:",omitempty"` // of the default layout, in their order
	Pipelines []Pipeline // Deals only
	Gone      []string   `json:",omitempty"` // api_names of fields that were there at an earlier look
	FetchedAt time.Time
}

// maxGone bounds how many vanished values of one picklist are remembered: the newest.
const maxGone = 100

// Since marks what has vanished since an earlier look: fields, and values of picklists. What comes back is no longer gone.
func (m *Metadata) Since(earlier Metadata) {
	m.Gone = nil
	for _, name := range earlier.Gone {
		if _, back := m.Field(name); !back {
			m.Gone = append(m.Gone, name)
		}
	}
	for _, before := range earlier.Fields {
		at := slices.IndexFunc(m.Fields, func(f Field) bool { return f.APIName == before.APIName })
		if at < 0 {
			m.Gone = append(m.Gone, before.APIName)
			continue
		}
		values := slices.Clone(before.Gone)
		for _, p := range before.Picklist {
			values = append(values, p.Value)
		}
		now := &m.Fields[at]
		for _, v := range values {
			if !slices.ContainsFunc(now.Picklist, func(p Pick) bool { return p.Value == v }) {
				now.Gone = append(now.Gone, v)
			}
		}
		now.Gone = now.Gone[max(0, len(now.Gone)-maxGone):]
	}
}

// Field finds a field by its api_name.
func (m Metadata) Field(apiName string) (Field, bool) {
	for i := range m.Fields {
		if m.Fields[i].APIName == apiName {
			return m.Fields[i], true
		}
	}
	return Field{}, false
}

// Org reads the organisation.
func (a *API) Org(ctx context.Context) (Org, error) {
	var orgs []Org
	err := a.list(ctx, request{method: http.MethodGet, path: "/org", credits: 1}, "org", func(o map[string]any) {
		license, _ := o["license_details"].(map[string]any)
		org := Org{
			ID: text(o["id"]), Name: text(o["company_name"]), Domain: text(o["domain_name"]),
			TimeZone: text(o["time_zone"]), Currency: text(o["iso_code"]), Country: text(o["country_code"]),
			Type: text(o["type"]), Edition: text(license["paid_type"]), Users: number(license["users_license_purchased"]),
		}
		if trial := text(license["trial_type"]); trial != "" {
			org.Trial, org.Edition = true, trial
		}
		orgs = append(orgs, org)
	})
	if err != nil {
		return Org{}, err
	}
	if len(orgs) == 0 || !isDigits(orgs[0].ID) {
		return Org{}, &Error{Class: Transient, Message: "the answer names no organisation"}
	}
	return orgs[0], nil
}

// CurrentUser reads the person who consented: writes carry their name and rights.
func (a *API) CurrentUser(ctx context.Context) (User, error) {
	users, err := a.users(ctx, url.Values{"type": {"CurrentUser"}})
	if err != nil {
		return User{}, err
	}
	if len(users) == 0 {
		return User{}, &Error{Class: Transient, Message: "the answer names no user"}
	}
	return users[0], nil
}

// Users reads the active, confirmed users: those who may own a record. At most the first 200.
func (a *API) Users(ctx context.Context) ([]User, error) {
	return a.users(ctx, url.Values{"type": {"ActiveConfirmedUsers"}, "page": {"1"}, "per_page": {"200"}})
}

func (a *API) users(ctx context.Context, query url.Values) ([]User, error) {
	var users []User
	err := a.list(ctx, request{method: http.MethodGet, path: "/users", query: query, credits: 1}, "users", func(o map[string]any) {
		role, _ := o["role"].(map[string]any)
		profile, _ := o["profile"].(map[string]any)
		users = append(users, User{
			ID: text(o["id"]), Name: text(o["full_name"]), Email: text(o["email"]), Role: text(role["name"]),
			Profile: text(profile["name"]), Status: text(o["status"]), TimeZone: text(o["time_zone"]), Confirmed: truth(o["confirm"]),
		})
	})
	return users, err
}

// Modules reads what kinds of record there are.
func (a *API) Modules(ctx context.Context) ([]Module, error) {
	var modules []Module
	err := a.list(ctx, request{method: http.MethodGet, path: "/settings/modules", credits: 1}, "modules", func(o map[string]any) {
		modules = append(modules, Module{
			APIName: text(o["api_name"]), Singular: text(o["singular_label"]), Plural: text(o["plural_label"]),
			Supported: truth(o["api_supported"]), Viewable: truth(o["viewable"]), Creatable: truth(o["creatable"]),
			Editable: truth(o["editable"]), Visible: text(o["status"]) == "" || text(o["status"]) == "visible",
			Blueprint: truth(o["isBlueprintSupported"]),
		})
	})
	return modules, err
}

// Fields reads a module's fields.
func (a *API) Fields(ctx context.Context, module string) ([]Field, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	var fields []Field
	r := request{method: http.MethodGet, path: "/settings/fields", query: url.Values{"module": {module}}, credits: 1}
	err := a.list(ctx, r, "fields", func(o map[string]any) { fields = append(fields, readField(o)) })
	return fields, err
}

func readField(o map[string]any) Field {
	f := Field{
		APIName: text(o["api_name"]), Label: text(o["display_label"]), Type: text(o["data_type"]),
		Length: number(o["length"]), DecimalPlaces: number(o["decimal_place"]),
		Mandatory: truth(o["system_mandatory"]), ReadOnly: truth(o["read_only"]) || truth(o["field_read_only"]),
		Visible: absent(o["visible"]) || truth(o["visible"]), Custom: truth(o["custom_field"]),
	}
	if f.Label == "" {
		f.Label = text(o["field_label"])
	}
	// Where Zoho says nothing about an operation, it is tried.
	operations, _ := o["operation_type"].(map[string]any)
	f.CanCreate = absent(operations["api_create"]) || truth(operations["api_create"])
	f.CanUpdate = absent(operations["api_update"]) || truth(operations["api_update"])
	unique, _ := o["unique"].(map[string]any)
	f.Unique = len(unique) > 0
	lookup, _ := o["lookup"].(map[string]any)
	switch m := lookup["module"].(type) {
	case map[string]any:
		f.LookupModule = text(m["api_name"])
	case string:
		f.LookupModule = m
	}
	values, _ := o["pick_list_values"].([]any)
	for _, v := range values {
		pick, ok := v.(map[string]any)
		if !ok || text(pick["type"]) == "unused" {
			continue
		}
		f.Picklist = append(f.Picklist, Pick{Value: text(pick["actual_value"]), Label: text(pick["display_value"])})
	}
	return f
}

// Layouts reads a module's layouts.
func (a *API) Layouts(ctx context.Context, module string) ([]Layout, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	var layouts []Layout
	r := request{method: http.MethodGet, path: "/settings/layouts", query: url.Values{"module": {module}}, credits: 1}
	err := a.list(ctx, r, "layouts", func(o map[string]any) {
		l := Layout{ID: text(o["id"]), Name: text(o["name"]), Visible: absent(o["visible"]) || truth(o["visible"])}
		for _, section := range inOrder(o["sections"]) {
			part := Section{Name: text(section["display_label"])}
			for _, f := range inOrder(section["fields"]) {
				part.Fields = append(part.Fields, text(f["api_name"]))
				if truth(f["required"]) {
					l.Required = append(l.Required, text(f["api_name"]))
				}
			}
			l.Sections = append(l.Sections, part)
		}
		layouts = append(layouts, l)
	})
	return layouts, err
}

// inOrder are the objects of a list by their sequence_number; where there is none, as they came.
func inOrder(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if o, ok := item.(map[string]any); ok {
			out = append(out, o)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return number(out[i]["sequence_number"]) < number(out[j]["sequence_number"]) })
	return out
}

// Pipelines reads the Deals module's pipelines over all its visible layouts.
func (a *API) Pipelines(ctx context.Context) ([]Pipeline, error) {
	layouts, err := a.Layouts(ctx, "Deals")
	if err != nil {
		return nil, err
	}
	return a.pipelinesOf(ctx, layouts)
}

// maxLayouts bounds how many layouts are asked for their pipelines: one credit each.
const maxLayouts = 10

func (a *API) pipelinesOf(ctx context.Context, layouts []Layout) ([]Pipeline, error) {
	var pipelines []Pipeline
	known := map[string]bool{}
	asked := 0
	for _, l := range layouts {
		if !l.Visible || !isDigits(l.ID) || asked == maxLayouts {
			continue
		}
		asked++
		r := request{method: http.MethodGet, path: "/settings/pipeline", query: url.Values{"layout_id": {l.ID}}, credits: 1}
		err := a.list(ctx, r, "pipeline", func(o map[string]any) {
			p := Pipeline{Name: text(o["actual_value"]), Default: truth(o["default"])}
			if p.Name == "" {
				p.Name = text(o["display_value"])
			}
			if known[p.Name] {
				return
			}
			known[p.Name] = true
			maps, _ := o["maps"].([]any)
			for _, v := range maps {
				if m, ok := v.(map[string]any); ok {
					p.Stages = append(p.Stages, Stage{
						Name: text(m["actual_value"]), Label: text(m["display_value"]),
						Type: stageType(text(m["forecast_type"])), Order: number(m["sequence_number"]),
					})
				}
			}
			sort.SliceStable(p.Stages, func(i, j int) bool { return p.Stages[i].Order < p.Stages[j].Order })
			pipelines = append(pipelines, p)
		})
		if err != nil {
			return nil, err
		}
	}
	return pipelines, nil
}

func stageType(forecast string) StageType {
	switch forecast {
	case "Closed Won":
		return Won
	case "Closed Lost":
		return Lost
	}
	return Open
}

// Metadata reads everything of a module that mappings and rules need: two credits, for Deals one more a layout.
func (a *API) Metadata(ctx context.Context, module string) (Metadata, error) {
	m := Metadata{Module: module, FetchedAt: a.client.now()}
	var err error
	if m.Fields, err = a.Fields(ctx, module); err != nil {
		return Metadata{}, err
	}
	if len(m.Fields) == 0 {
		return Metadata{}, &Error{Class: Transient, Message: "the answer names no field"}
	}
	layouts, err := a.Layouts(ctx, module)
	if err != nil {
		return Metadata{}, err
	}
	for _, l := range layouts {
		if l.Visible {
			m.Required, m.Sections = l.Required, l.Sections
			break
		}
	}
	if module == "Deals" {
		if m.Pipelines, err = a.pipelinesOf(ctx, layouts); err != nil {
			return Metadata{}, err
		}
	}
	return m, nil
}

// DailyCredits is how many API credits an organisation has in any 24 hours, as far as its edition tells (Zoho's
// API, "API limits"); add-ons are not known, so it is a lower bound.
func DailyCredits(edition string, users int) int {
	users = max(users, 1)
	switch strings.ToLower(edition) {
	case "free", "":
		return 5_000
	case "professional":
		return min(50_000+users*500, 3_000_000)
	case "enterprise", "zohooneenterprise":
		return min(50_000+users*1_000, 5_000_000)
	case "ultimate", "crmplus":
		return 50_000 + users*2_000
	}
	return min(50_000+users*250, 100_000)
}

// Concurrency is how many requests an organisation may have in flight per client (Zoho, "API concurrency limit").
func Concurrency(edition string) int {
	switch strings.ToLower(edition) {
	case "free", "":
		return 5
	case "professional":
		return 15
	case "enterprise", "zohooneenterprise":
		return 20
	case "ultimate", "crmplus":
		return 25
	}
	return 10
}

func absent(v any) bool { return v == nil }

// truth reads a boolean that may come as text.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v == "true"
	}
	return false
}

// number reads a small integer that may come as text.
func number(v any) int {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = v
	}
	n, _ := strconv.Atoi(s)
	return n
}
