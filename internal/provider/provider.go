// Package provider speaks the dialects of phone vendors: it checks that a webhook really comes from one, and turns
// its payload into what the event says of a call.
//
// Everything here is a pure function of its arguments: no clock, no database, no network. What it hands on is a
// Reading; storing it is intake's business, and what becomes of the call is decided later. Unknown fields are left in
// the raw event, unknown kinds of event are ignored: neither is ever an error.
package provider

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"hookline/internal/call"
)

// Tolerance is how far a signed timestamp may be from our clock, either way.
const Tolerance = 5 * time.Minute

// ErrSignature is the one answer to whatever fails a check: which one failed is nobody's business.
var ErrSignature = errors.New("the signature does not hold")

// Provider is one phone vendor's dialect.
type Provider interface {
	// Name is the word that sources store, such as retell.
	Name() string
	// Setup says what to show to somebody who connects this vendor.
	Setup() Setup
	// MaxBody is the largest body that is read, in bytes.
	MaxBody() int64
	// ContentTypes are the media types that the vendor sends, in lower case.
	ContentTypes() []string
	// Verify returns ErrSignature unless the request was made with one of the live secrets.
	Verify(secrets Secrets, header http.Header, body []byte, now time.Time, s Settings) error
	// Normalise reads an authentic body. An *Unreadable error comes with a Reading whose EventID is set.
	Normalise(header http.Header, body []byte, s Settings) (Reading, error)
	// Compose writes a call as this vendor would send it, and Sign makes the headers that Verify accepts: for
	// simulated calls, and for tests.
	Compose(c call.Call, s Settings) []byte
	Sign(secret, eventID string, body []byte, now time.Time, s Settings) http.Header
}

// Settings are what a source and its tenant add to a dialect.
type Settings struct {
	Region string            // ISO 3166-1 alpha-2: completes national numbers
	Zone   *time.Location    // reads times without an offset; nil means UTC
	Checks []string          // NextPhone: which checks must hold
	Fields map[string]string // NextPhone: our field → the path in the customer's body; the defaults fill the rest
}

// Secrets are the live secrets of a source, newest first: two while one is being replaced. They print as ***.
type Secrets []string

func (Secrets) String() string       { return "***" }
func (Secrets) GoString() string     { return "***" }
func (Secrets) LogValue() slog.Value { return slog.StringValue("***") }

// Reading is what one event says.
type Reading struct {
	Ignored    string // the kind of event, when it is of no interest: ringing, a test ping, a chat
	EventID    string // the vendor's id of this event: a repeat has the same
	Kind       call.Kind
	Call       call.Call
	MoreFollow bool     // the vendor is known to send an analysis after this event
	Notes      []string // what was unclear, for the call's trace
}

// Unreadable is an authentic body that cannot be read as a call. Its text is for a person.
type Unreadable struct{ Problem string }

func (u *Unreadable) Error() string { return u.Problem }

func unreadable(format string, args ...any) error {
	return &Unreadable{Problem: fmt.Sprintf(format, args...)}
}

// Setup is what somebody who connects a vendor needs to know.
type Setup struct {
	Label       string // the vendor's name
	About       string // one sentence: when to choose it
	Steps       []string
	Header      string // the header line that carries the secret, %s in place of it; empty when the vendor signs
	Body        string // a body template to paste; empty when the vendor's own is fixed
	SecretLabel string
	TheirSecret bool     // the secret is made by the vendor and pasted here
	Checks      []Choice // the checks that the source may name; empty when the vendor has one way
	Fields      []Choice // the fields of the body template that may be renamed
}

// Choice is one value with its words.
type Choice struct{ Value, Label string }

// All are the vendors that Hookline speaks, in the order pages offer them.
func All() []Provider { return []Provider{NextPhone{}, Retell{}, Native{}} }

// ByName finds a vendor.
func ByName(name string) (Provider, bool) {
	for _, p := range All() {
		if p.Name() == name {
			return p, true
		}
	}
	return nil, false
}

// NewSecret makes a secret for a source of the vendor: 256 random bits.
func NewSecret(p Provider) string {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	if p.Name() == (Native{}).Name() {
		return whsec + base64.StdEncoding.EncodeToString(key)
	}
	return "hks_" + base64.RawURLEncoding.EncodeToString(key)
}

// CheckSecret says in words what is wrong with a secret that a person pasted; empty when nothing is.
func CheckSecret(p Provider, secret string) string {
	if strings.TrimSpace(secret) != secret || strings.ContainsAny(secret, "\r\n\t ") {
		return "A secret has no spaces in it. Copy it again."
	}
	if len(secret) < 8 || len(secret) > 500 {
		return "A secret has between 8 and 500 characters. Copy it again."
	}
	if p.Name() == (Native{}).Name() {
		if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, whsec)); err != nil {
			return "This secret begins with whsec_ and goes on in base64. Copy it again."
		}
	}
	return ""
}

// HasContentType reports whether the vendor sends bodies of this media type; parameters such as charset do not count.
func HasContentType(p Provider, contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return slices.Contains(p.ContentTypes(), strings.ToLower(strings.TrimSpace(media)))
}

var jsonOnly = []string{"application/json"}

// hashID makes an id of text that has none of its own.
func hashID(prefix string, parts ...string) string {
	return prefix + hexSHA256(strings.Join(parts, "\x00"))
}
