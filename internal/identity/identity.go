// Package identity finds out who is calling: a Contact, a Lead or nobody, and which of their Deals are open.
//
// Find asks our own number memory first, then Zoho, and verifies every hit by normalising both numbers. It hands on
// a Match: what was found, what else could have been meant, and the sentences that a call's trace shows. What the
// match means for the call is routing's decision.
package identity

import (
	"strings"
	"time"

	"hookline/internal/call"
	"hookline/internal/zoho"
)

// Kind says what a number led to.
type Kind string

const (
	Nobody  Kind = "nobody"  // not in the CRM
	Lead    Kind = "lead"    // a Lead that was not converted
	Contact Kind = "contact" // a Contact, found directly or through the Lead that became it
)

// RecentDays is how long a Deal counts as recent: for so long a second buying call makes no second Deal.
const RecentDays = 30

// Match is who a number belongs to. It is stored with the decision as this JSON document, so that a decision can be
// taken again on the facts of the day.
type Match struct {
	Kind       Kind     `json:"kind"`
	Contact    *Person  `json:"contact,omitempty"`
	Lead       *Person  `json:"lead,omitempty"`
	OpenDeals  []Deal   `json:"open_deals,omitempty"`  // of the Contact, newest modified first
	RecentDeal *Deal    `json:"recent_deal,omitempty"` // the newest Deal of the Contact created within RecentDays, open or not
	Candidates []Person `json:"candidates,omitempty"`  // every verified hit, when there were several
	Notes      []string `json:"notes,omitempty"`       // for the trace, in words
	FromMemory bool     `json:"from_memory,omitempty"`
	Looked     bool     `json:"looked,omitempty"`   // Contacts were searched, not only the remembered record read
	Unusable   string   `json:"unusable,omitempty"` // why the number could not be looked for; empty when it was
}

// Person is a Contact or a Lead.
type Person struct {
	Module             string         `json:"module"` // Contacts or Leads
	ID                 string         `json:"id"`
	Name               string         `json:"name,omitempty"`
	FirstName          string         `json:"first_name,omitempty"`
	LastName           string         `json:"last_name,omitempty"`
	Company            string         `json:"company,omitempty"` // a Lead's company
	Email              string         `json:"email,omitempty"`
	AccountID          string         `json:"account_id,omitempty"`
	AccountName        string         `json:"account_name,omitempty"`
	OwnerID            string         `json:"owner_id,omitempty"`
	OwnerName          string         `json:"owner_name,omitempty"`
	LastActivity       time.Time      `json:"last_activity,omitzero"`
	Converted          bool           `json:"converted,omitempty"`            // a Lead that became a Contact
	ConvertedContactID string         `json:"converted_contact_id,omitempty"` // empty when Zoho does not say which
	Fields             map[string]any `json:"fields,omitempty"`               // the record's present values that Org.Read asked for
}

// Deal is one Deal of the Contact.
type Deal struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Stage       string    `json:"stage"`
	Pipeline    string    `json:"pipeline,omitempty"`
	Amount      float64   `json:"amount,omitempty"`
	HasAmount   bool      `json:"has_amount,omitempty"`
	AccountID   string    `json:"account_id,omitempty"`
	AccountName string    `json:"account_name,omitempty"`
	Open        bool      `json:"open"`
	Ahead       []string  `json:"ahead,omitempty"` // the stages that lie ahead of this one in its pipeline, in order, without lost ones
	CreatedAt   time.Time `json:"created_at,omitzero"`
	ModifiedAt  time.Time `json:"modified_at,omitzero"`
}

// Org is what Find must know of the tenant's organisation.
type Org struct {
	ID        string
	Country   string // ISO 3166-1 alpha-2: completes national numbers as they stand in the CRM
	Contacts  zoho.Metadata
	Leads     zoho.Metadata
	Deals     zoho.Metadata
	Read      map[string][]string // by module: more fields whose present values Person.Fields shall hold
	MemoryFor time.Duration       // how long a remembered Lead spares the look in Contacts; 0 means an hour
}

// Remembered is where a number led when it was last looked for.
type Remembered struct {
	Module, ID string
	AccountID  string
	Name       string
	Age        time.Duration // since the number was last searched for, by the database's clock
}

// ToRemember is what the number memory shall hold after this match; false when there is nothing new to remember. A
// record that was only read again keeps its age: it is the age of the last look in Contacts.
func (m Match) ToRemember() (Remembered, bool) {
	switch {
	case m.FromMemory && !m.Looked:
		return Remembered{}, false
	case m.Contact != nil:
		return Remembered{Module: m.Contact.Module, ID: m.Contact.ID, AccountID: m.Contact.AccountID, Name: m.Contact.Name}, true
	case m.Lead != nil:
		return Remembered{Module: m.Lead.Module, ID: m.Lead.ID, Name: m.Lead.Name}, true
	}
	return Remembered{}, false
}

// Person is the Contact or the Lead that was found, nil for nobody.
func (m Match) Person() *Person {
	if m.Contact != nil {
		return m.Contact
	}
	return m.Lead
}

// Unsearched is the match of a call whose customer cannot be looked for: a hidden number, or one that is none.
func Unsearched(c call.Call) (Match, bool) {
	switch {
	case c.Withheld && c.Direction != call.Outbound:
		return Match{Kind: Nobody, Unusable: "the caller hid the number"}, true
	case c.Customer() == "":
		return Match{Kind: Nobody, Unusable: "the call came without a number"}, true
	case !c.Customer().Usable():
		return Match{Kind: Nobody, Unusable: "the number is too short or not a real one"}, true
	}
	return Match{}, false
}

// fullName joins the names of a record that has no full one.
func fullName(first, last string) string { return strings.TrimSpace(first + " " + last) }
