package connection

import (
	"strings"
)

// Right is one thing that Hookline does in a module.
type Right string

const (
	Read   Right = "read"
	Create Right = "create"
	Update Right = "update"
)

// ask is what a consent asks for in one module, with the reason in the customer's words.
type ask struct {
	module string
	label  string
	rights []Right
	why    string
}

// asks are the modules that the product works with and nothing beyond.
var asks = []ask{
	{"Leads", "Leads", []Right{Read, Create, Update}, "to find the caller, to add a new caller, to fill in what a later call tells"},
	{"Contacts", "Contacts", []Right{Read, Update}, "to find the caller, to fill in what is empty"},
	{"Accounts", "Accounts", []Right{Read, Create}, "to link a new Deal to the caller's company"},
	{"Deals", "Deals", []Right{Read, Create, Update}, "to find open Deals, to add one when a caller wants to buy, to move its stage when a rule says so"},
	{"Calls", "Calls", []Right{Read, Create, Update}, "to log each call, and to add a late summary or recording"},
	{"Tasks", "Tasks", []Right{Read, Create, Update}, "to plan what a person owes the caller"},
	{"Events", "Meetings", []Right{Read, Create, Update}, "to plan a callback at the time the caller asked for"},
	{"Notes", "Notes", []Right{Read, Create, Update}, "to keep what does not fit into a field"},
}

// others are the scopes beside modules, each with what it lets Hookline see.
var others = []struct{ scope, words string }{
	{"ZohoCRM.settings.modules.READ", "which modules you use"},
	{"ZohoCRM.settings.fields.READ", "your fields"},
	{"ZohoCRM.settings.layouts.READ", "your layouts"},
	{"ZohoCRM.settings.pipeline.READ", "your pipelines"},
	{"ZohoCRM.settings.assignment_rules.READ", "your assignment rules"},
	{"ZohoCRM.users.READ", "your users, to name the owner of a record"},
	{"ZohoCRM.org.READ", "your organisation's name, zone and edition"},
	{"ZohoCRM.coql.READ", "records by query"},
	{"ZohoSearch.securesearch.READ", "records by search"},
}

// Scopes are what a consent asks for: the least that the product works with.
func Scopes() []string {
	var scopes []string
	for _, a := range asks {
		for _, r := range a.rights {
			scopes = append(scopes, scopeFor(a.module, r))
		}
	}
	for _, o := range others {
		scopes = append(scopes, o.scope)
	}
	return scopes
}

func scopeFor(module string, r Right) string {
	return "ZohoCRM.modules." + strings.ToLower(module) + "." + strings.ToUpper(string(r))
}

// granted reports whether scopes hold the one that is wanted, by itself or within a wider one. Zoho's own spelling
// of module names varies in case.
func granted(scopes []string, want string) bool {
	parts := strings.Split(want, ".")
	wider := []string{want, strings.Join(append(parts[:len(parts)-1:len(parts)-1], "ALL"), ".")}
	if len(parts) == 4 {
		wider = append(wider, strings.Join(parts[:2], ".")+".ALL")
		if op := parts[3]; op == "CREATE" || op == "UPDATE" {
			wider = append(wider, strings.Join(parts[:3], ".")+".WRITE")
		}
	}
	for _, w := range wider {
		if containsFold(scopes, w) {
			return true
		}
	}
	return false
}

// Access in words: what Hookline may do with one kind of record, and why it asks.
type AccessLine struct {
	What    string // "Leads"
	Rights  string // "read, create, update"
	Why     string
	Missing string // scopes that the consent did not give; empty when all are there
}

// Words puts scopes into plain words, kind by kind. With nil it says what a consent will ask for.
func Words(scopes []string) []AccessLine {
	asked := scopes == nil
	var lines []AccessLine
	for _, a := range asks {
		line := AccessLine{What: a.label, Why: a.why}
		var have, missing []string
		for _, r := range a.rights {
			if asked || granted(scopes, scopeFor(a.module, r)) {
				have = append(have, string(r))
			} else {
				missing = append(missing, scopeFor(a.module, r))
			}
		}
		line.Rights, line.Missing = strings.Join(have, ", "), strings.Join(missing, ", ")
		lines = append(lines, line)
	}
	settings := AccessLine{What: "Settings", Rights: "read", Why: "to know your fields, layouts, pipelines and users"}
	search := AccessLine{What: "Search", Rights: "read", Why: "to find a caller by number"}
	for _, o := range others {
		if asked || granted(scopes, o.scope) {
			continue
		}
		line := &settings
		if strings.HasPrefix(o.scope, "ZohoSearch") || strings.Contains(o.scope, "coql") {
			line = &search
		}
		line.Missing = strings.TrimPrefix(line.Missing+", "+o.scope, ", ")
	}
	lines = append(lines, settings, search)
	if granted(scopes, markerScope) {
		lines = append(lines, AccessLine{What: "Fields", Rights: "create", Why: "to add the field that makes doubles impossible, as you asked"})
	}
	return lines
}
