package delivery

import (
	"encoding/json"
	"fmt"

	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// Cause is why a call needs a person: what is wrong, in words, and where it is mended. It is stored as this JSON
// document.
type Cause struct {
	Code       string      `json:"code"`
	Sentence   string      `json:"sentence"`
	Module     string      `json:"module,omitempty"`
	Field      string      `json:"field,omitempty"` // api_name
	Label      string      `json:"label,omitempty"` // as the organisation calls the field
	Slot       string      `json:"slot,omitempty"`  // of the delivery at fault
	Link       string      `json:"link,omitempty"`  // the page that mends it
	Allowed    []string    `json:"allowed,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"` // records that may be the one whose answer was lost
}

// Candidate is a record in Zoho that may be ours.
type Candidate struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	At   string `json:"at,omitempty"` // when Zoho says it was made
}

// Codes of causes that are not Zoho's.
const (
	CauseNoCall     = "NO_CALL"    // news of a call that never came
	CauseUnreadable = "UNREADABLE" // authentic, but not readable as a call
	CauseUnsettled  = "UNSETTLED"  // an answer was lost and what was found cannot be told apart
	CauseMapping    = "MAPPING"    // the mapping cannot fill the record
	CauseOurs       = "OURS"       // a fault of Hookline's
	CauseCredits    = "CREDITS"    // the call is open and waits for credits
	CauseCrowd      = "CROWD"      // too many records have the name in theirs for Zoho to show whether one is it
	CauseHandOver   = "HAND_OVER"  // a rule hands the call to a person
	CauseAgain      = "AGAIN"      // Zoho answers this call with a fault of its own, again and again
)

func readCause(data []byte) (*Cause, error) {
	if data == nil {
		return nil, nil
	}
	c := &Cause{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("reading a cause: %w", err)
	}
	return c, nil
}

func writeCause(c *Cause) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	return json.Marshal(c)
}

// mappingLink is the row of the mapping page that fills the field.
func mappingLink(module, field string) string {
	if module == "" {
		return "/mapping"
	}
	if field == "" {
		return "/mapping/" + module
	}
	return "/mapping/" + module + "#field-" + field
}

// singular names one record of a module in a sentence.
var singular = map[string]string{"Leads": "a Lead", "Contacts": "a Contact", "Deals": "a Deal", "Calls": "a Call", "Tasks": "a Task"}

func recordOf(module string) string {
	if s := singular[module]; s != "" {
		return s
	}
	return "a record of " + module
}

// causeOfProblem is what the mapping cannot fill.
func causeOfProblem(p mapping.Problem) *Cause {
	c := &Cause{Code: CauseMapping, Sentence: p.Sentence, Module: p.Module, Field: p.Field, Slot: p.Slot,
		Link: mappingLink(p.Module, p.Field), Allowed: p.Allowed}
	if p.ByRule {
		c.Link = "/rules"
	}
	return c
}

// causeOfRefusal says a refusal of Zoho's in plain words.
func causeOfRefusal(e *zoho.Error, module, slot string, md zoho.Metadata) *Cause {
	c := &Cause{Code: e.Code, Module: module, Field: e.Field, Slot: slot}
	if c.Code == "" {
		c.Code = string(e.Class)
	}
	field, known := md.Field(e.Field)
	c.Label = e.Field
	if known && field.Label != "" {
		c.Label = field.Label
	}
	c.Sentence = sentenceOf(e, module, c.Label)
	switch e.Class {
	case zoho.Refused:
		c.Link = mappingLink(module, e.Field)
		for _, p := range field.Picklist {
			c.Allowed = append(c.Allowed, p.Value)
		}
	case zoho.Permission, zoho.Unsupported, zoho.Scope:
		c.Link = "/zoho"
	}
	if slot == routing.SlotStage || slot == routing.SlotLeadStep || slot == routing.SlotDealStep {
		c.Link = "/rules"
		if e.Code == causeBlueprint && e.Field != "" {
			c.Link = mappingLink(module, e.Field)
		}
	}
	return c
}

func sentenceOf(e *zoho.Error, module, label string) string {
	record := recordOf(module)
	switch e.Code {
	case "MANDATORY_NOT_FOUND", "EXPECTED_FIELD_MISSING":
		return fmt.Sprintf("Zoho now requires %s on %s. Give it a value in the mapping, then replay.", named(label), module)
	case "INVALID_DATA":
		if most := detail(e, "maximum_length"); most != "" {
			return fmt.Sprintf("%s on %s is longer than the %s characters that Zoho takes. Shorten it in the mapping, then replay.", named(label), module, most)
		}
		if kind := detail(e, "expected_data_type"); kind != "" {
			return fmt.Sprintf("Zoho expects %s in %s on %s, and got something else. Change its value in the mapping, then replay.", kindOf(kind), named(label), module)
		}
		return fmt.Sprintf("Zoho does not take the value of %s on %s. Change it in the mapping, then replay.", named(label), module)
	case "MAPPING_MISMATCH":
		return fmt.Sprintf("The value of %s on %s does not fit another field, as a stage that is not in the pipeline. Choose one that fits in the mapping, then replay.", named(label), module)
	case "DEPENDENT_FIELD_MISSING", "DEPENDENT_MISMATCH":
		return fmt.Sprintf("%s on %s depends on another field that is missing or does not fit. Mend it in the mapping, then replay.", named(label), module)
	case "PATTERN_NOT_MATCHED", "LIMIT_EXCEEDED":
		return fmt.Sprintf("The value of %s on %s is outside of what Zoho allows there. Change it in the mapping, then replay.", named(label), module)
	case "DUPLICATE_DATA":
		return fmt.Sprintf("Zoho already has %s with the same %s, and allows no second. Open it in Zoho, or change the mapping, then replay.", record, named(label))
	case causeBlueprint:
		return e.Message
	case "RECORD_IN_BLUEPRINT":
		return "The record is in a Blueprint, which changes the field by its own transitions only. Change it in Zoho, or take the field out of the mapping."
	case "RECORD_LOCKED":
		return "The record is locked in Zoho. Unlock it there, then replay."
	case "NOT_APPROVED", "NOT_REVIEWED":
		return "The record waits for approval or review in Zoho. Approve it there, then replay."
	case "CONVERTED_RECORD", "ID_ALREADY_CONVERTED":
		return "The Lead was converted in Zoho meanwhile. Replay looks the caller up again."
	}
	switch e.Class {
	case zoho.Scope:
		return fmt.Sprintf("Hookline was not given the right to write %s. Connect Zoho again and accept all rights, then replay.", record)
	case zoho.Permission:
		if module == "" {
			return "The Zoho user who connected Hookline may not look callers up among Contacts and Leads. Give the right in Zoho, then replay."
		}
		if rights := e.Permissions(); len(rights) > 0 {
			return fmt.Sprintf("The Zoho user who connected Hookline may not write %s there (%s is missing). Give the right in Zoho, then replay.", record, rights[0])
		}
		return fmt.Sprintf("The Zoho user who connected Hookline may not write %s there. Give the right in Zoho, then replay.", record)
	case zoho.Gone:
		return "A record that this call hangs on is no longer in Zoho. Replay looks the caller up again."
	case zoho.Unsupported:
		return fmt.Sprintf("Your Zoho organisation has no %s, or no room for more. Change that in Zoho or in the rules, then replay.", module)
	case zoho.RecordState:
		return "The record's state in Zoho forbids the change. Look at it in Zoho, then replay."
	case zoho.OurBug:
		return "Hookline asked Zoho for something impossible. The call is kept; please report this with the call's address."
	}
	return fmt.Sprintf("Zoho refuses %s (%s). Look at the answer below, change the mapping, then replay.", record, e.Code)
}

func named(label string) string {
	if label == "" {
		return "a field"
	}
	return label
}

func detail(e *zoho.Error, key string) string {
	switch v := e.Details[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// kindOf says Zoho's data types in words.
func kindOf(t string) string {
	switch t {
	case "double", "currency", "percent":
		return "a number"
	case "integer", "bigint", "long":
		return "a whole number"
	case "date":
		return "a date"
	case "datetime":
		return "a date and time"
	case "email":
		return "an e-mail address"
	case "phone":
		return "a phone number"
	case "boolean":
		return "yes or no"
	case "jsonarray":
		return "a list"
	case "jsonobject":
		return "a record"
	case "website":
		return "a web address"
	}
	return "text"
}
