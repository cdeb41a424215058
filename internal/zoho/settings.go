package zoho

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// AssignmentRule gives new records to owners, when a write names it.
type AssignmentRule struct{ ID, Name string }

// AssignmentRules reads a module's assignment rules. An edition that has none answers Unsupported.
func (a *API) AssignmentRules(ctx context.Context, module string) ([]AssignmentRule, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	var rules []AssignmentRule
	r := request{method: http.MethodGet, path: "/settings/automation/assignment_rules", query: url.Values{"module": {module}}, credits: 1}
	err := a.list(ctx, r, "assignment_rules", func(o map[string]any) {
		rules = append(rules, AssignmentRule{ID: text(o["id"]), Name: text(o["name"])})
	})
	return rules, err
}

// CreateUniqueText makes a single-line field of the organisation's own that no two records of the module may share a value
// of; it minds the case. Zoho makes the api_name from the label. A field of that name that is there already answers
// Duplicate, and a lost answer may stand for a field that was made: in both cases look at the fields again.
func (a *API) CreateUniqueText(ctx context.Context, module, label string, length int) error {
	if err := checkModule(module); err != nil {
		return err
	}
	// Zoho's two descriptions of the operation spell the key differently; the newer one first.
	err := a.createText(ctx, module, label, length, map[string]any{"case_sensitive": true})
	if e, ok := errors.AsType[*Error](err); ok && e.Class == Refused && strings.Contains(e.JSONPath, ".unique") {
		return a.createText(ctx, module, label, length, map[string]any{"casesensitive": "true"})
	}
	return err
}

func (a *API) createText(ctx context.Context, module, label string, length int, unique map[string]any) error {
	body, err := json.Marshal(map[string]any{"fields": []map[string]any{
		{"field_label": label, "data_type": "text", "length": length, "unique": unique},
	}})
	if err != nil {
		return &Error{Class: OurBug, Message: "the field cannot be written as JSON", cause: err}
	}
	ans, err := a.send(ctx, request{
		method: http.MethodPost, path: "/settings/fields", query: url.Values{"module": {module}}, body: body, write: true, credits: 1,
	})
	if err != nil {
		return err
	}
	doc, err := decodeObject(ans.body)
	if err != nil {
		return &Error{Class: Unknown, Status: ans.status, Message: "the answer could not be read", cause: err}
	}
	for o := range objects(doc["fields"]) {
		if e := elementError(o, ans); e != nil {
			return finish(e, ans, a.client.now())
		}
		return nil
	}
	return &Error{Class: Unknown, Status: ans.status, Message: "the answer does not say what became of the field"}
}
