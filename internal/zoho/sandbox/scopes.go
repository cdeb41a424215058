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

// rights says in words what scopes let a program do, for the consent page: one line for each kind of thing.
func rights(scopes []string) []string {
	verbs := map[string][]string{}
	var things []string
	for _, sc := range scopes {
		ops, thing := plainScope(sc)
		if _, ok := verbs[thing]; !ok {
			things = append(things, thing)
		}
		for _, op := range ops {
			if !slices.Contains(verbs[thing], op) {
				verbs[thing] = append(verbs[thing], op)
			}
		}
	}
	out := make([]string, 0, len(things))
	for _, thing := range things {
		v := verbs[thing]
		text := v[0]
		if len(v) > 1 {
			text = strings.Join(v[:len(v)-1], ", ") + " and " + v[len(v)-1]
		}
		out = append(out, strings.ToUpper(text[:1])+text[1:]+" "+thing)
	}
	return out
}

// plainScope splits a scope into what is done and to what.
func plainScope(scope string) (verbs []string, thing string) {
	parts := strings.Split(scope, ".")
	op := strings.ToLower(parts[len(parts)-1])
	verbs = map[string][]string{
		"read": {"see"}, "create": {"add"}, "update": {"change"}, "delete": {"delete"}, "write": {"add", "change", "delete"}, "all": {"see", "add", "change", "delete"},
	}[op]
	if verbs == nil {
		verbs = []string{"use"}
	}
	what := strings.ToLower(strings.Join(parts[1:len(parts)-1], "."))
	thing = map[string]string{
		"modules": "records of every module", "settings": "all settings", "settings.modules": "the list of modules", "settings.fields": "the fields of your modules",
		"settings.layouts": "the layouts of your modules", "settings.pipeline": "your sales pipelines and their stages", "settings.assignment_rules": "your assignment rules",
		"settings.tags": "your tags", "users": "the people of your organisation", "org": "your organisation's name, time zone and edition",
		"coql": "what a query finds", "securesearch": "what a search finds", "notifications": "notifications about changed records",
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
	return verbs, thing
}
