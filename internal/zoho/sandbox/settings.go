package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// settings are an organisation's switches. Their names are those of the control route.
type settings struct {
	LatencyMS        int                 `json:"latency_ms"`
	SearchIndexLagMS int                 `json:"search_index_lag_ms"`
	Concurrency      int                 `json:"concurrency"` // 0 = the edition's
	Credits          int                 `json:"credits"`     // 0 = the edition's
	Style429         string              `json:"style_429"`   // string, number, rate_limit
	StrictPicklists  bool                `json:"strict_picklists"`
	Required         map[string][]string `json:"required"`
	Blueprint        map[string]string   `json:"blueprint"`
	Unique           map[string][]string `json:"unique"`
	PhoneMatch       string              `json:"phone_match"` // digits, strict, suffix
	ThrottleStatus   int                 `json:"throttle_status"`

	// Beyond the contract: where Zoho's sources conflict or say nothing, and rights that a person may lack.
	NoPermission       map[string][]string `json:"no_permission,omitempty"`        // module: View, Create, Edit, Delete
	WrapRequestErrors  bool                `json:"wrap_request_errors,omitempty"`  // request-level errors of POST and PUT inside data[]
	LooseCOQLBrackets  bool                `json:"loose_coql_brackets,omitempty"`  // three conditions without brackets pass
	COQLHidesConverted bool                `json:"coql_hides_converted,omitempty"` // converted leads are no rows of Leads
	CodesPer10Minutes  int                 `json:"codes_per_10_minutes,omitempty"` // 0 = no limit
	PipelineOptional   bool                `json:"pipeline_optional,omitempty"`    // Deals without Pipeline take the default one (mem)
	FirstNameEnough    bool                `json:"first_name_enough,omitempty"`    // a person needs one of two names; Zoho is moving there (conflict)
	CustomFields       int                 `json:"custom_fields,omitempty"`        // a module may have so many; 0 = the edition's, -1 = none
	Hidden             map[string][]string `json:"hidden,omitempty"`               // module: fields that an administrator removed
	Workflow           []workflowRule      `json:"workflow,omitempty"`             // run by writes whose trigger lets them
	HideFromNumber     bool                `json:"hide_from_number,omitempty"`     // call preferences, also by PUT
	HideToNumber       bool                `json:"hide_to_number,omitempty"`
	NotifyOperation    string              `json:"notify_operation,omitempty"` // insert: callbacks say insert and update, as Zoho's samples do; "" = create and edit, as its pages (conflict)
	AttachmentBytes    int                 `json:"attachment_bytes,omitempty"` // the largest file; 0 = 100 MB

	// Picklists are module, field: the values an administrator left, in order. What API writes add comes after them.
	Picklists map[string]map[string][]string `json:"picklists,omitempty"`
}

func freshSettings() settings {
	return settings{SearchIndexLagMS: 5000, Style429: "string", PhoneMatch: "digits", ThrottleStatus: 400}
}

func (s settings) clone() settings {
	lists := func(m map[string][]string) map[string][]string {
		c := maps.Clone(m)
		for k, v := range c {
			c[k] = slices.Clone(v)
		}
		return c
	}
	s.Required, s.Unique, s.NoPermission, s.Hidden, s.Blueprint = lists(s.Required), lists(s.Unique), lists(s.NoPermission), lists(s.Hidden), maps.Clone(s.Blueprint)
	s.Workflow = slices.Clone(s.Workflow)
	s.Picklists = maps.Clone(s.Picklists)
	for module, fields := range s.Picklists {
		s.Picklists[module] = lists(fields)
	}
	return s
}

// merge is s with what body names changed. Keys that body leaves out stay as they are.
func (s settings) merge(body []byte) (settings, error) {
	out := s.clone()
	// A map given anew replaces the old one whole, where json would add to it.
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil {
		return s, fmt.Errorf("the body is one JSON object: %w", err)
	}
	for key, m := range map[string]*map[string][]string{"required": &out.Required, "unique": &out.Unique, "no_permission": &out.NoPermission, "hidden": &out.Hidden} {
		if _, ok := given[key]; ok {
			*m = nil
		}
	}
	if _, ok := given["blueprint"]; ok {
		out.Blueprint = nil
	}
	if _, ok := given["workflow"]; ok {
		out.Workflow = nil
	}
	if _, ok := given["picklists"]; ok {
		out.Picklists = nil
	}
	if err := strictUnmarshal(body, &out); err != nil {
		return s, err
	}
	return out, out.check()
}

func (s settings) check() error {
	switch {
	case !slices.Contains([]string{"string", "number", "rate_limit"}, s.Style429):
		return fmt.Errorf("style_429 is string, number or rate_limit")
	case !slices.Contains([]string{"digits", "strict", "suffix"}, s.PhoneMatch):
		return fmt.Errorf("phone_match is digits, strict or suffix")
	case s.NotifyOperation != "" && s.NotifyOperation != "insert":
		return fmt.Errorf("notify_operation is insert, or empty")
	case s.ThrottleStatus != 400 && s.ThrottleStatus != 200:
		return fmt.Errorf("throttle_status is 400 or 200")
	case s.LatencyMS < 0 || s.SearchIndexLagMS < 0 || s.Concurrency < 0 || s.Credits < 0:
		return fmt.Errorf("no setting is below zero")
	}
	for _, m := range []map[string][]string{s.Required, s.Unique, s.NoPermission, s.Hidden} {
		for module := range m {
			if moduleByName(module) == nil {
				return fmt.Errorf("no module %q", module)
			}
		}
	}
	for _, w := range s.Workflow {
		if err := w.check(); err != nil {
			return err
		}
	}
	for module, fields := range s.Picklists {
		m := moduleByName(module)
		if m == nil {
			return fmt.Errorf("no module %q", module)
		}
		for api, values := range fields {
			if i := slices.IndexFunc(m.fields, func(f field) bool { return f.API == api }); i >= 0 && m.fields[i].Type != "picklist" {
				return fmt.Errorf("%s.%s is no picklist", module, api)
			}
			if len(values) == 0 {
				return fmt.Errorf("%s.%s has no value left", module, api)
			}
		}
	}
	for module, gone := range s.Hidden {
		for _, f := range moduleByName(module).fields {
			if slices.Contains(gone, f.API) && (f.System || f.API == "Owner" || f.API == moduleByName(module).NameField) {
				return fmt.Errorf("%s.%s cannot be removed", module, f.API)
			}
		}
	}
	for module := range s.Blueprint {
		if module != "Deals" && module != "Leads" {
			return fmt.Errorf("a blueprint can stand on Deals or Leads, not %q", module)
		}
	}
	return nil
}
