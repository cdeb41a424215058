// Package routing holds a tenant's rules and decides what happens to a call.
//
// Decide is pure: this set of rules, on these facts, means these actions, and the trace says why in words. Preview,
// backtest and replay are Decide on stored facts. Which values the records get is mapping's business, writing them
// is delivery's.
package routing

import (
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
)

// Set is one version of a tenant's rules with the phrase lists they speak of. It is stored and exported as this
// JSON document.
type Set struct {
	Version int          `json:"-"` // 0: the defaults, never saved
	Rules   []Rule       `json:"rules"`
	Phrases []PhraseList `json:"phrases"`
}

// Rule says: when this holds, do that. The first rule of a set that fits a call decides it.
type Rule struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Off  bool      `json:"off,omitempty"`
	When Condition `json:"when"`
	Then []Outcome `json:"then"`
}

// Condition is a group (exactly one of All, Any, None) or one test of a fact. The zero Condition always holds.
type Condition struct {
	All  []Condition `json:"all,omitempty"`
	Any  []Condition `json:"any,omitempty"`
	None []Condition `json:"none,omitempty"`

	Field  Field    `json:"field,omitempty"`
	Op     Op       `json:"op,omitempty"`
	Values []string `json:"values,omitempty"` // choices, texts or phrases
	Lists  []string `json:"lists,omitempty"`  // names of phrase lists; Said only
	Number float64  `json:"number,omitempty"` // for numbers; seconds for the duration
	Days   int      `json:"days,omitempty"`   // Repeat only: how far to look back
}

// Field names the fact that a condition tests.
type Field string

const (
	FieldCaller    Field = "caller"     // choice: new, lead, contact
	FieldOpenDeals Field = "open_deals" // number of the Contact's open Deals
	FieldUsable    Field = "number"     // choice: usable, unusable
	FieldSaid      Field = "said"       // words of the caller
	FieldIntent    Field = "intent"     // text, as the phone provider understood the call
	FieldDirection Field = "direction"  // choice: inbound, outbound, internal
	FieldStatus    Field = "status"     // choice: completed, missed, voicemail, failed
	FieldDuration  Field = "duration"   // seconds of talk
	FieldHours     Field = "hours"      // choice: open, closed
	FieldSource    Field = "source"     // text: name of the source
	FieldDialled   Field = "dialled"    // text: the number of ours that was called
	FieldRepeat    Field = "repeat"     // number of earlier calls from the number within Days
	FieldStage     Field = "stage"      // text: stage of the open Deal that was modified last; fails without one
	FieldAmount    Field = "amount"     // number: amount of that Deal; fails without one
	FieldBudget    Field = "budget"     // number: what the caller is ready to spend; fails where none was named
	FieldWeekday   Field = "weekday"    // choice: monday … sunday, when the call began in the tenant's zone
	FieldTime      Field = "time"       // time of day when the call began in the tenant's zone
	FieldHoliday   Field = "holiday"    // choice: yes, no
	FieldAnswer    Field = "answer"     // reserved prefix: answer.budget tests the answer named budget
)

// Op is how a fact is compared.
type Op string

const (
	Is       Op = "is"       // choice or text: one of Values, without case
	IsNot    Op = "is_not"   // none of Values
	Contains Op = "contains" // text: one of Values as words
	Says     Op = "says"     // Said: a phrase of Values or Lists, not negated
	AtLeast  Op = "at_least"
	AtMost   Op = "at_most"
	MoreThan Op = "more_than"
	LessThan Op = "less_than"
	Between  Op = "between" // time of day: from the first of two Values, such as 22:00, until before the second; over midnight too
)

// Outcome is one thing a rule does.
type Outcome struct {
	Do         ActionKind `json:"do"`
	On         string     `json:"on,omitempty"`         // LogCall: deal, contact or lead; AddTags: deal, else the caller's record; BlueprintStep: lead or deal
	Stage      string     `json:"stage,omitempty"`      // MoveStage: where to; NextStage is the following one
	From       []string   `json:"from,omitempty"`       // MoveStage: only out of these; empty: any earlier one
	Within     int        `json:"within,omitempty"`     // CreateDeal: not a second one within so many days; 0: no guard
	Account    bool       `json:"account,omitempty"`    // CreateDeal: for a Contact without one, the Account of the company that the caller named, made where there is none
	Transition string     `json:"transition,omitempty"` // BlueprintStep: its name as people see it in Zoho, such as Contacted
	If         *Condition `json:"if,omitempty"`         // MoveStage, BlueprintStep: only when this holds too
	Subject    string     `json:"subject,omitempty"`    // AddTask: what is to be done
	Days       int        `json:"days,omitempty"`       // AddTask: due so many business days from now; 0: today
	Tags       []string   `json:"tags,omitempty"`       // AddTags
	Owner      string     `json:"owner,omitempty"`      // SetOwner: Zoho's id of the user
	OwnerName  string     `json:"owner_name,omitempty"` // SetOwner: as the page shows the user
	Quiet      bool       `json:"quiet,omitempty"`      // Zoho's own workflows, approvals and Blueprints do not run for what this writes
	With       []Value    `json:"with,omitempty"`       // CreateLead, CreateDeal, LogCall, AddTask: values of the record's own, instead of the mapping's
	Why        string     `json:"why,omitempty"`        // HandOver: what the person is told
}

// Value is what one field of a record gets, whatever the mapping says.
type Value struct {
	Field string `json:"field"` // api_name
	Value string `json:"value"` // a template, as in a mapping
}

// NextStage as an Outcome's Stage means the stage that follows the Deal's present one.
const NextStage = "next"

// ActionKind is a kind of action.
type ActionKind string

const (
	CreateLead    ActionKind = "create_lead"
	LogCall       ActionKind = "log_call"
	CreateDeal    ActionKind = "create_deal"
	MoveStage     ActionKind = "move_stage" // forward only
	AddTask       ActionKind = "add_task"
	AddTags       ActionKind = "add_tags"
	BlueprintStep ActionKind = "blueprint" // a transition of the Lead's or open Deal's Blueprint, where Zoho offers it then
	SetOwner      ActionKind = "set_owner" // of all that the rule creates
	Ignore        ActionKind = "ignore"    // kept and shown, nothing written to Zoho
	HandOver      ActionKind = "hand_over" // nothing is written until a person has looked

	FindAccount ActionKind = "find_account" // no outcome of its own: a Deal's Account, made where Zoho has none of the name
)

// Creates is the module of the record that an action of this kind makes; empty where it makes none.
func (k ActionKind) Creates() string {
	return map[ActionKind]string{CreateLead: "Leads", CreateDeal: "Deals", LogCall: "Calls", AddTask: "Tasks", FindAccount: "Accounts"}[k]
}

// PhraseList is a named list of phrases. They match whole words of the caller, without case and accents; the last word
// of a phrase matches its plural and possessive too, and a trailing * stands for any ending of the word. In "sign the
// contract|papers" one of the words with | between is said; … between words stands for up to two others, none of them a
// negation: "call … back". The words of a phrase that begins with "not:" do not count where they are said: with "not:
// emergency contact" the phrase "emergency" is not found in those two. Where the phone provider names an intent of the
// call, one of Intents counts like a phrase.
type PhraseList struct {
	Name    string   `json:"name"`  // buying, urgent, callback, emergency, spam, …
	Label   string   `json:"label"` // "buying words"
	Phrases []string `json:"phrases"`
	Intents []string `json:"intents,omitempty"`
}

// Facts are what a decision rests on. They are stored with it as this JSON document; the call itself stands in the
// calls table.
type Facts struct {
	Call       call.Call      `json:"-"`
	Source     string         `json:"source,omitempty"` // name of the source that sent the call
	Match      identity.Match `json:"match"`
	Open       bool           `json:"open"`                  // whether the tenant's hours were open when the call began
	LocalTime  time.Time      `json:"local_time"`            // the call's start in the tenant's zone
	Holiday    string         `json:"holiday,omitempty"`     // name of the tenant's holiday on that day; empty for none
	Earlier    []time.Time    `json:"earlier,omitempty"`     // starts of earlier calls with the number, newest first, at most MostEarlier of the last 90 days
	Revision   int            `json:"revision"`              // of the call
	DecidedAt  time.Time      `json:"decided_at"`            // business time of the decision, in the tenant's zone
	Weekdays   []time.Weekday `json:"weekdays,omitempty"`    // on which the tenant is open; none: Monday to Friday
	Holidays   []string       `json:"holidays,omitempty"`    // days of the tenant's holidays from DecidedAt on, as far ahead as a Task can be due
	TenantName string         `json:"tenant_name,omitempty"` // the business, as mappings may name it
	Country    string         `json:"country,omitempty"`     // the tenant's: how numbers are written
}

// Decision is what shall happen to a call, and why. It is stored as this JSON document.
type Decision struct {
	Version int      `json:"version"` // of the rules
	Rule    string   `json:"rule"`    // id of the rule that fired; "default" when none fitted
	Name    string   `json:"name"`    // of the rule
	Outcome string   `json:"outcome"` // in words, as the log shows it: "Lead and Call created"
	Ignored bool     `json:"ignored,omitempty"`
	Handed  string   `json:"handed,omitempty"`  // why a person shall look at the call, in words; nothing is written then
	Actions []Action `json:"actions,omitempty"` // in order; a later one may hang on the record of an earlier one
	Trace   Trace    `json:"trace"`
}

// Action is one record to be written.
type Action struct {
	Slot       string     `json:"slot"` // lead, call, deal, deal.stage, blueprint.lead, task.2, …: the action's name within the call
	Kind       ActionKind `json:"kind"` // anything but Ignore and SetOwner
	Contact    *Target    `json:"contact,omitempty"`
	Account    *Target    `json:"account,omitempty"`
	About      *Target    `json:"about,omitempty"`      // LogCall, AddTask: the Lead or Deal it is about; MoveStage: the Deal; AddTags, BlueprintStep: the record
	Stage      string     `json:"stage,omitempty"`      // MoveStage
	Transition string     `json:"transition,omitempty"` // BlueprintStep: its name
	Company    string     `json:"company,omitempty"`    // FindAccount: its name
	Subject    string     `json:"subject,omitempty"`    // AddTask
	Due        string     `json:"due,omitempty"`        // AddTask: a day, such as 2026-03-04
	Tags       []string   `json:"tags,omitempty"`       // AddTags, or of a record that is created
	Owner      string     `json:"owner,omitempty"`      // of a record that is created: Zoho's id of the user
	Quiet      bool       `json:"quiet,omitempty"`      // Zoho's own workflows do not run
	With       []Value    `json:"with,omitempty"`       // of a record that is created: laid over the rows of its module's mapping
}

// Target is a record that an action hangs on: one that exists, by ID, or one that an earlier action of the same
// call makes, by Slot.
type Target struct {
	Module string `json:"module"`
	ID     string `json:"id,omitempty"`
	Slot   string `json:"slot,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Trace says why: every rule with every condition and the value it saw.
type Trace struct {
	Rules    []RuleTrace `json:"rules"`
	RunnerUp string      `json:"runner_up,omitempty"` // the nearest other rule and what it lacked
	Notes    []string    `json:"notes,omitempty"`     // about the match and the actions
}

// RuleTrace is one rule's part in a decision.
type RuleTrace struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Off   bool   `json:"off,omitempty"`
	Fits  bool   `json:"fits"`
	Fired bool   `json:"fired,omitempty"` // the first that fits
	Check Check  `json:"check"`
}

// Check is one condition as it turned out. A group has Of.
type Check struct {
	Pass     bool    `json:"pass"`
	Group    string  `json:"group,omitempty"` // all, any or none: how the parts in Of count
	Field    Field   `json:"field,omitempty"` // that was tested
	Sentence string  `json:"sentence"`        // the condition in words
	Saw      string  `json:"saw,omitempty"`   // the value, in words
	Quotes   []Quote `json:"quotes,omitempty"`
	Of       []Check `json:"of,omitempty"`
}

// Quote is a place in what the caller said that a check rests on.
type Quote struct {
	Phrase  string `json:"phrase"`
	Text    string `json:"text"`              // the sentence around it
	Turn    int    `json:"turn"`              // index in the transcript; -1: not from the transcript
	Negated string `json:"negated,omitempty"` // the word that turns it round: then it does not count
}
