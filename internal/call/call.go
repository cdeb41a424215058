// Package call is a phone call as we speak of it: who called whom, when, how long, what was said, what was asked
// and answered.
//
// It holds the words that every later step uses, and the two pure functions on which order of arrival cannot
// play tricks: ID, which gives the same call the same id, and Fold, which makes a call of its events. It reads no
// provider's payload (that is provider's) and decides nothing (that is routing's).
package call

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// ID names a call within a tenant.
type ID uuid.UUID

func (id ID) String() string  { return uuid.UUID(id).String() }
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }

// ParseID reads the text form.
func ParseID(s string) (ID, error) {
	u, err := uuid.Parse(s)
	return ID(u), err
}

// IDOf derives the id of a call from its source and the provider's call id, and IDOfEvent that of an event, so
// that the same thing told twice is the same row, whichever process hears it (RFC 9562, version 8).
func IDOf(source uuid.UUID, providerCallID string) ID {
	return ID(derive("call", source, providerCallID))
}

// EventID names one event.
type EventID uuid.UUID

func (id EventID) String() string { return uuid.UUID(id).String() }

// IDOfEvent derives an event's id from its source and the provider's event id.
func IDOfEvent(source uuid.UUID, providerEventID string) EventID {
	return EventID(derive("event", source, providerEventID))
}

func derive(what string, source uuid.UUID, id string) uuid.UUID {
	h := sha256.New()
	h.Write([]byte(what))
	h.Write(source[:])
	h.Write([]byte(id))
	var u uuid.UUID
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x80 // version 8
	u[8] = u[8]&0x3f | 0x80 // RFC 9562 variant
	return u
}

// Direction of a call, seen from the business.
type Direction string

const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
	Internal Direction = "internal"
)

// Status says how a call went.
type Status string

const (
	Completed Status = "completed" // two sides spoke
	Missed    Status = "missed"    // nobody spoke
	Voicemail Status = "voicemail" // the caller left, or the agent reached, a voicemail
	Failed    Status = "failed"    // a technical fault
)

// Call is what one or more events together tell. Empty means not known; nothing in it is guessed.
type Call struct {
	ProviderCallID string
	Direction      Direction
	Status         Status
	From, To       Phone     // as dialled, E.164 where they could be read
	Withheld       bool      // the caller hid the number: From is empty
	StartedAt      time.Time // first ring or dial
	AnsweredAt     time.Time
	EndedAt        time.Time
	Duration       time.Duration // talk time, whole seconds
	FirstName      string
	LastName       string
	CallerName     string // as the provider gave it, before it was split
	Company        string
	Email          string
	Summary        string
	Transcript     []Turn
	RecordingURL   string
	Intent         string
	Answers        map[string]any // what the agent asked and extracted: string, float64, bool
	Agent          string         // who answered: name or e-mail
	Metadata       map[string]any // the customer's own keys
	Test           bool           // a simulated call
}

// Turn is one utterance of the transcript.
type Turn struct {
	Role Role
	Text string
	At   time.Duration // since the start of the call
}

// Role says who spoke a turn.
type Role string

const (
	Agent  Role = "agent"
	Caller Role = "caller"
)

// Customer is the one number that is looked for in the CRM: who called us, or whom we called.
func (c Call) Customer() Phone {
	if c.Direction == Outbound {
		return c.To
	}
	return c.From
}

// Kind says what an event told us.
type Kind string

const (
	KindCompleted  Kind = "completed"  // the call and how it went
	KindUpdated    Kind = "updated"    // late news: summary, transcript, recording, analysis
	KindUnreadable Kind = "unreadable" // authentic, but not readable as a call
)

// Event is what one webhook says of a call.
type Event struct {
	ID         EventID
	Kind       Kind
	At         time.Time // received
	Call       Call      // only what this event states
	MoreFollow bool      // the provider is known to send an analysis after this event
	Problem    string    // why it could not be read, for a person; KindUnreadable only
	Notes      []string  // what was unclear, for the call's trace
}
