package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Blueprint is how a record that is in one can move on from where it stands (Zoho's API, "Get blueprint").
type Blueprint struct {
	Field       string // api_name of the field that moves, such as Stage
	Value       string // where it stands
	Transitions []Transition
}

// Transition is one way on.
type Transition struct {
	ID     string
	Name   string
	To     string // the value of the Blueprint's field afterwards
	Open   bool   // its criteria hold for the record
	Fields []TransitionField
}

// TransitionField is a field that a transition asks for.
type TransitionField struct {
	APIName   string
	Label     string
	Mandatory bool
}

// Blueprint reads the transitions of a record. A record that is in no Blueprint gives RecordState with the code
// RECORD_NOT_IN_PROCESS.
func (a *API) Blueprint(ctx context.Context, module, id string) (Blueprint, error) {
	path, err := actionPath(module, id, "blueprint")
	if err != nil {
		return Blueprint{}, err
	}
	ans, err := a.send(ctx, request{method: http.MethodGet, path: path, credits: 1})
	if err != nil {
		return Blueprint{}, err
	}
	doc, err := decodeObject(ans.body)
	if err != nil {
		return Blueprint{}, &Error{Class: Transient, Status: ans.status, Message: "the answer could not be read", cause: err}
	}
	whole, ok := doc["blueprint"].(map[string]any)
	if !ok {
		return Blueprint{}, &Error{Class: Transient, Status: ans.status, Message: "the answer holds no blueprint"}
	}
	process, _ := whole["process_info"].(map[string]any)
	b := Blueprint{Field: text(process["api_name"]), Value: text(process["field_value"])}
	each(whole["transitions"], func(o map[string]any) {
		t := Transition{ID: text(o["id"]), Name: text(o["name"]), To: text(o["next_field_value"]), Open: absent(o["criteria_matched"]) || truth(o["criteria_matched"])}
		each(o["fields"], func(f map[string]any) {
			label := text(f["display_label"])
			if label == "" {
				label = text(f["field_label"])
			}
			t.Fields = append(t.Fields, TransitionField{APIName: text(f["api_name"]), Label: label, Mandatory: truth(f["mandatory"])})
		})
		b.Transitions = append(b.Transitions, t)
	})
	return b, nil
}

// Transit takes a record through a transition, with values for the fields that it asks for. It reports false when
// Zoho kept the values and did not move the record, because a field is missing: the answer reads "transition saved
// partially" and is a success by its code (Zoho's API, "Update blueprint").
func (a *API) Transit(ctx context.Context, module, id, transition string, values Record) (moved bool, err error) {
	path, err := actionPath(module, id, "blueprint")
	if err != nil {
		return false, err
	}
	if err := checkID(transition); err != nil {
		return false, err
	}
	if values == nil {
		values = Record{}
	}
	body, err := json.Marshal(map[string]any{"blueprint": []any{map[string]any{"transition_id": transition, "data": values}}})
	if err != nil {
		return false, &Error{Class: OurBug, Message: "the transition cannot be written as JSON", cause: err}
	}
	ans, err := a.send(ctx, request{method: http.MethodPut, path: path, body: body, write: true, credits: 1})
	if err != nil {
		return false, err
	}
	doc, err := decodeObject(ans.body)
	if err != nil {
		return false, &Error{Class: Unknown, Status: ans.status, Message: "the answer could not be read", cause: err}
	}
	each(doc["data"], func(o map[string]any) { doc = o })
	return !strings.Contains(strings.ToLower(text(doc["message"])), "partial"), nil
}

// Related reads what hangs on a record, such as its Notes, newest first; 204 is none. At most the first 200.
func (a *API) Related(ctx context.Context, module, id, list string, fields []string) ([]Record, error) {
	if err := checkModule(list); err != nil {
		return nil, err
	}
	if err := checkModule(module); err != nil {
		return nil, err
	}
	if err := checkID(id); err != nil {
		return nil, err
	}
	query := url.Values{"fields": {strings.Join(fields, ",")}, "page": {"1"}, "per_page": {"200"}}
	return a.records(ctx, request{method: http.MethodGet, path: "/" + module + "/" + id + "/" + list, query: query, credits: 1})
}

func actionPath(module, id, action string) (string, error) {
	if err := checkModule(module); err != nil {
		return "", err
	}
	if err := checkID(id); err != nil {
		return "", err
	}
	return fmt.Sprintf("/%s/%s/actions/%s", module, id, action), nil
}

// each calls fn for every object of a list.
func each(list any, fn func(map[string]any)) {
	items, _ := list.([]any)
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			fn(o)
		}
	}
}
