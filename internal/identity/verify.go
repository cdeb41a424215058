package identity

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"hookline/internal/call"
	"hookline/internal/zoho"
)

// module is one of the two that hold people.
type module struct {
	name   string
	phones string // the standard phone fields, for an organisation whose metadata is not known
	fields string // what is read of a hit
}

var (
	contacts = module{name: "Contacts", phones: "Phone Mobile Home_Phone Other_Phone Asst_Phone",
		fields: "id Full_Name First_Name Last_Name Email Account_Name Owner Last_Activity_Time Modified_Time"}
	leads = module{name: "Leads", phones: "Phone Mobile",
		fields: "id Full_Name First_Name Last_Name Email Company Owner Last_Activity_Time Modified_Time Converted__s Converted_Contact"}
)

func (o Org) metadata(name string) zoho.Metadata {
	switch name {
	case contacts.name:
		return o.Contacts
	case leads.name:
		return o.Leads
	}
	return o.Deals
}

// phoneFields are the module's fields of type phone, without fax numbers.
func (o Org) phoneFields(m module) []string {
	var out []string
	for _, field := range o.metadata(m.name).Fields {
		if field.Type == "phone" && !strings.Contains(strings.ToLower(field.APIName), "fax") {
			out = append(out, field.APIName)
		}
	}
	if len(out) == 0 {
		return strings.Fields(m.phones)
	}
	return out[:min(len(out), 8)]
}

// columns are the fields that a query names: those wanted in any case, and of the others those that the organisation
// is known to have.
func (o Org) columns(name string, always, ifThere []string) []string {
	out := slices.Clone(always)
	md := o.metadata(name)
	for _, c := range ifThere {
		if _, there := md.Field(c); (there || len(md.Fields) == 0 && !strings.Contains(c, "__s")) && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out[:min(len(out), 50)]
}

// spelled asks a module for the number in its usual spellings.
func (f *finder) spelled(m module) zoho.Look {
	return zoho.Look{Select: f.org.person(m), From: m.name, Fields: f.org.phoneFields(m), Values: f.number.Spellings()}
}

// Columns are what Find reads of a Contact or a Lead by a query.
func (o Org) Columns(module string) []string {
	if module == leads.name {
		return o.person(leads)
	}
	return o.person(contacts)
}

func (o Org) person(m module) []string {
	optional := append(strings.Fields(m.fields), o.Read[m.name]...)
	return o.columns(m.name, append([]string{"id"}, o.phoneFields(m)...), optional)
}

// verified reports whether one of the record's phone fields is the number, read the same way on both sides.
func (f *finder) verified(m module, rec zoho.Record) bool {
	return slices.ContainsFunc(f.org.phoneFields(m), func(field string) bool {
		return call.SamePhone(rec.Text(field), f.org.Country, f.number)
	})
}

// hits are the records that really have the number, each once.
func (f *finder) hits(m module, records []zoho.Record) []Person {
	var out []Person
	seen := map[string]bool{}
	for _, rec := range records {
		if seen[rec.ID()] || !f.verified(m, rec) {
			continue
		}
		seen[rec.ID()] = true
		out = append(out, f.person(m, rec))
	}
	return out
}

// choose takes the hit with the newest activity, and says so when there were several.
func (f *finder) choose(hits []Person) Person {
	newest := slices.MaxFunc(hits, func(a, b Person) int {
		return cmp.Or(a.LastActivity.Compare(b.LastActivity), strings.Compare(b.ID, a.ID))
	})
	if len(hits) > 1 {
		f.note("%d %s have this number. %s is taken, because it was active last%s.", len(hits), newest.Module, named(newest.Name), on(newest.LastActivity))
	}
	return newest
}

func on(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (" + t.Format("2 January 2006") + ")"
}

// person reads a Contact or a Lead.
func (f *finder) person(m module, rec zoho.Record) Person {
	p := Person{
		Module: m.name, ID: rec.ID(), Name: rec.Text("Full_Name"), FirstName: rec.Text("First_Name"), LastName: rec.Text("Last_Name"),
		Company: rec.Text("Company"), Email: rec.Text("Email"),
	}
	if p.Name == "" {
		p.Name = fullName(p.FirstName, p.LastName)
	}
	p.AccountID, p.AccountName = rec.Lookup("Account_Name")
	p.OwnerID, p.OwnerName = rec.Lookup("Owner")
	p.LastActivity = moment(rec["Last_Activity_Time"])
	if modified := moment(rec["Modified_Time"]); modified.After(p.LastActivity) {
		p.LastActivity = modified
	}
	p.ConvertedContactID, p.Converted = conversion(rec)
	for _, name := range f.org.Read[m.name] {
		if v, there := rec[name]; there {
			if p.Fields == nil {
				p.Fields = map[string]any{}
			}
			p.Fields[name] = v
		}
	}
	return p
}

// conversion reads what Zoho says of a Lead's conversion, in each of the ways in which it does: a flag and a detail
// on reading a record, columns in a query.
func conversion(rec zoho.Record) (contactID string, converted bool) {
	detail, _ := rec["$converted_detail"].(map[string]any)
	contactID = zoho.Record(detail).Text("contact")
	if contactID == "" {
		contactID, _ = zoho.Record(detail).Lookup("contact")
	}
	if contactID == "" {
		contactID, _ = rec.Lookup("Converted_Contact")
	}
	yes := func(v any) bool { b, _ := v.(bool); return b || v == "true" }
	return contactID, contactID != "" || yes(rec["$converted"]) || yes(rec["Converted__s"])
}

// IsConverted reports whether a record is a Lead that became a Contact.
func IsConverted(rec zoho.Record) bool {
	_, converted := conversion(rec)
	return converted
}

// ConvertedTo is the id of the Contact that a Lead became; empty when it was not converted, or Zoho does not say.
func ConvertedTo(rec zoho.Record) string {
	id, _ := conversion(rec)
	return id
}

// deal reads a Deal and what its pipeline says of its stage.
func (f *finder) deal(rec zoho.Record) Deal {
	d := Deal{
		ID: rec.ID(), Name: rec.Text("Deal_Name"), Stage: rec.Text("Stage"), Pipeline: rec.Text("Pipeline"),
		CreatedAt: moment(rec["Created_Time"]), ModifiedAt: moment(rec["Modified_Time"]),
	}
	d.AccountID, d.AccountName = rec.Lookup("Account_Name")
	switch n := rec["Amount"].(type) {
	case json.Number:
		v, err := n.Float64()
		d.Amount, d.HasAmount = v, err == nil
	case float64:
		d.Amount, d.HasAmount = n, true
	}
	d.Open, d.Ahead = standing(f.org.Deals.Pipelines, d.Pipeline, d.Stage)
	return d
}

// Ahead are the stages that lie ahead of one in its pipeline, lost ones left out. It reports false when no pipeline
// knows the stage.
func Ahead(pipelines []zoho.Pipeline, pipeline, stage string) (ahead []string, known bool) {
	known = slices.ContainsFunc(pipelines, func(p zoho.Pipeline) bool {
		return slices.ContainsFunc(p.Stages, func(s zoho.Stage) bool { return s.Name == stage })
	})
	_, ahead = standing(pipelines, pipeline, stage)
	return ahead, known
}

// standing says whether a stage is open and which stages lie ahead of it in its pipeline. A stage that no pipeline
// names is open unless it is called closed.
func standing(pipelines []zoho.Pipeline, pipeline, stage string) (open bool, ahead []string) {
	for _, p := range pipelines {
		if pipeline != "" && p.Name != pipeline {
			continue
		}
		at := slices.IndexFunc(p.Stages, func(s zoho.Stage) bool { return s.Name == stage })
		if at < 0 {
			continue
		}
		for _, s := range p.Stages {
			if s.Order > p.Stages[at].Order && s.Type != zoho.Lost {
				ahead = append(ahead, s.Name)
			}
		}
		return p.Stages[at].Type == zoho.Open, ahead
	}
	if pipeline != "" && len(pipelines) > 0 {
		return standing(pipelines, "", stage)
	}
	return !strings.HasPrefix(strings.ToLower(stage), "closed"), nil
}

// sortDeals parts the Deals: the open ones, newest modified first, and the newest of those created within RecentDays.
func sortDeals(deals []Deal, now time.Time) (open []Deal, recent *Deal) {
	slices.SortStableFunc(deals, func(a, b Deal) int {
		return cmp.Or(b.ModifiedAt.Compare(a.ModifiedAt), strings.Compare(b.ID, a.ID))
	})
	for _, d := range deals {
		if d.Open {
			open = append(open, d)
		}
		if now.Sub(d.CreatedAt) < RecentDays*24*time.Hour && (recent == nil || d.CreatedAt.After(recent.CreatedAt)) {
			recent = &d
		}
	}
	return open, recent
}

func moment(v any) time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (p Person) label() string {
	noun := "The Contact "
	if p.Module == leads.name {
		noun = "The Lead "
	}
	return noun + named(p.Name)
}

func named(name string) string {
	if name == "" {
		return "without a name"
	}
	return name
}
