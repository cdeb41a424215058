// Package mapping holds a tenant's field mappings and renders records.
//
// Render is pure: these mappings, for this decision on these facts, mean these drafts of Zoho records, cast to the
// types of the organisation's fields, and these problems. A mapping's values are templates of a small language that
// cannot loop (see template.go). Sending the drafts is delivery's business.
package mapping

import (
	"hookline/internal/zoho"
)

// Set is one version of a tenant's mappings. It is stored and exported as this JSON document.
type Set struct {
	Version int              `json:"-"` // 0: the defaults, never saved
	Modules map[string][]Row `json:"modules"`
}

// Row says what one field of a module gets.
type Row struct {
	Field     string `json:"field"` // api_name
	Value     string `json:"value"` // a template
	Mode      Mode   `json:"mode,omitempty"`
	AddToList bool   `json:"add_to_list,omitempty"` // send a picklist value that the list lacks: Zoho adds it
}

// Mode says when a row writes over a value that stands in Zoho already. A new record always gets the value.
type Mode string

const (
	FillEmpty Mode = ""       // only into an empty field, or over what the same call wrote: what people entered stays
	Always    Mode = "always" // also over another value
	Append    Mode = "append" // as one more line of a text
	Never     Mode = "never"  // only into a new record
)

// Modes are all of them, in the order the page shows them.
var Modes = []Mode{FillEmpty, Always, Append, Never}

// Modules that can be mapped, in the order pages show them. Rows of Contacts update the Contact that called.
var Modules = []string{"Leads", "Calls", "Deals", "Contacts", "Tasks", "Accounts"}

// What a draft does.
const (
	Create = "create"
	Update = "update"
)

// Draft is one record as it is to be written, save for ids that an earlier draft's answer will bring.
type Draft struct {
	Slot     string         `json:"slot"`
	Module   string         `json:"module"`
	Action   string         `json:"action"`              // Create or Update
	RecordID string         `json:"record_id,omitempty"` // Update: the record; empty when an earlier delivery made it (Needs with an empty Field)
	Fields   map[string]any `json:"fields"`
	Keys     []string       `json:"keys"`            // the fields in the mapping's order
	Needs    []Reference    `json:"needs,omitempty"` // lookups to fill with the id of an earlier slot's record
	Marker   Marker         `json:"marker"`
	Cut      []string       `json:"cut,omitempty"`   // fields whose text was shortened
	Empty    []string       `json:"empty,omitempty"` // fields that had nothing to say and are not sent
	Notes    []string       `json:"notes,omitempty"` // what was left out or changed, and why
	Find     string         `json:"find,omitempty"`  // Create: a record that has the same value in this field is taken instead
	Quiet    bool           `json:"quiet,omitempty"` // Zoho's own workflows do not run

	Transition string `json:"transition,omitempty"` // Update by a step of the record's Blueprint, by its name; which fields that fills is known when it is taken

	// Of an Update: the record as it stood when the draft was made, so that what somebody changes meanwhile is seen.
	Was   map[string]any  `json:"was,omitempty"`   // the fields' values; a field that is missing was empty
	Since string          `json:"since,omitempty"` // its Modified_Time; empty: read it again before it is changed
	Lines map[string]Line `json:"lines,omitempty"` // fields that only gain a line
	Left  string          `json:"left,omitempty"`  // why nothing was changed in the end, in words
}

// Line is a line to be added to a text that stands in Zoho.
type Line struct {
	Text   string `json:"text"`
	Length int    `json:"length"` // of the field, in characters
}

// Reference is a lookup field that gets {"id": …} of the record that slot made. An empty Field means the draft's
// own record id.
type Reference struct {
	Field  string `json:"field"`
	Slot   string `json:"slot"`
	Module string `json:"module,omitempty"` // where the field leads to records of several modules and wants to be told which
}

// Marker says where the delivery's reference goes: into a unique field of the organisation where there is one,
// else as the last line of a text field, else nowhere.
type Marker struct {
	Field  string `json:"field,omitempty"`  // a unique field
	Append string `json:"append,omitempty"` // a text field
	Length int    `json:"length,omitempty"` // of that field
}

// Problem is something that keeps a record from being written, or would.
type Problem struct {
	Module   string   `json:"module"`
	Field    string   `json:"field,omitempty"`
	Slot     string   `json:"slot,omitempty"`
	Sentence string   `json:"sentence"`          // what is wrong and the way out
	Allowed  []string `json:"allowed,omitempty"` // the values that Zoho takes, where there is a list
	Offer    string   `json:"offer,omitempty"`   // a row's value that mends it
	Blocking bool     `json:"blocking"`          // without mending it the record cannot be written
	ByRule   bool     `json:"by_rule,omitempty"` // the value is one of the rule's own
	Changed  bool     `json:"changed,omitempty"` // Zoho was otherwise when it was last looked at
}

// Metadata is what the organisation's modules look like, by api_name. A module that is missing is taken to have
// Zoho's standard fields.
type Metadata map[string]zoho.Metadata
