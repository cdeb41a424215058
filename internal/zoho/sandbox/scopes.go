package sandbox

import (
	"regexp"
	"slices"
	"strings"
)

// Scopes are compared without case: Zoho's own specification mixes Leads and leads (obs).
var scopeShape = regexp.MustCompile(`(?i)^(ZohoCRM|ZohoSearch|ZohoFiles|AaaServer|ZohoCRMBulk)\.[a-z_.]+$`)

// splitScopes reads a scope parameter: commas by the documentation, spaces as answers list them.
func splitScopes(raw string) []string {
	return slices.Compact(strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == ' ' || r == '+' }))
}

// allows says whether a token carries one of the wanted scopes, itself or by a wider one.
func (a *accessToken) allows(wanted []string) bool {
	for _, w := range wanted {
		w = strings.ToLower(w)
		for _, g := range a.Scopes {
			if covers(strings.ToLower(g), w) {
				return true
			}
		}
	}
	return false
}

// covers: ALL is every operation, WRITE creating, updating and deleting (mem); a scope without its module part is every module.
func covers(granted, wanted string) bool {
	g, w := strings.Split(granted, "."), strings.Split(wanted, ".")
	op, want := g[len(g)-1], w[len(w)-1]
	if op != want && op != "all" && (op != "write" || (want != "create" && want != "update" && want != "delete")) {
		return false
	}
	g, w = g[:len(g)-1], w[:len(w)-1]
	if len(g) > len(w) || len(g) < min(2, len(w)) {
		return false
	}
	return slices.Equal(g, w[:len(g)])
}

func moduleScope(module, op string) [][]string {
	names := []string{"ZohoCRM.modules." + module + "." + op}
	if m := moduleByName(module); m != nil && m.Activity {
		names = append(names, "ZohoCRM.modules.Activities."+op)
	}
	return [][]string{names}
}

// plainScope says in words what a scope lets someone do, for the consent page.
func plainScope(scope string) string {
	parts := strings.Split(scope, ".")
	op := strings.ToLower(parts[len(parts)-1])
	verb := map[string]string{"read": "See", "create": "Add", "update": "Change", "delete": "Delete", "write": "Add, change and delete", "all": "See, add, change and delete"}[op]
	if verb == "" {
		return scope
	}
	what := strings.ToLower(strings.Join(parts[1:len(parts)-1], "."))
	thing := map[string]string{
		"modules": "records of every module", "settings": "all settings", "settings.modules": "the list of modules", "settings.fields": "the fields of your modules",
		"settings.layouts": "the layouts of your modules", "settings.pipeline": "your sales pipelines and their stages", "settings.assignment_rules": "your assignment rules",
		"settings.tags": "your tags", "users": "the people of your organisation", "org": "your organisation's name, time zone and edition",
		"coql": "records by query", "securesearch": "search results", "notifications": "notifications about changed records",
	}[what]
	if name, ok := strings.CutPrefix(what, "modules."); ok {
		thing = name
		if m := moduleByName(name); m != nil {
			thing = m.Plural
		}
	}
	if thing == "" {
		thing = what
	}
	return verb + " " + thing
}
