package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"hookline/internal/call"
)

// Native is Hookline's own format, signed by the Standard Webhooks scheme (standardwebhooks.com), for senders that
// can be programmed.
type Native struct{}

const whsec = "whsec_"

func (Native) Name() string           { return "native" }
func (Native) MaxBody() int64         { return 1 << 20 }
func (Native) ContentTypes() []string { return jsonOnly }

func (Native) Setup() Setup {
	return Setup{
		Label: "Your own system",
		About: "For developers: JSON in Hookline's own format, signed by the Standard Webhooks scheme.",
		Steps: []string{
			"Give your program the URL and the secret of this page.",
			"After each call, send a body like the one on this page by POST with Content-Type: application/json.",
			"Sign it with any Standard Webhooks library (standardwebhooks.com): headers webhook-id, webhook-timestamp (seconds since 1970) and webhook-signature. Use a new webhook-id for each event and the same one when you send an event again.",
			"Without a library: the signature is “v1,” and then, in base64, the HMAC-SHA256 of webhook-id, a dot, webhook-timestamp, a dot and the body as it is sent. The HMAC's key is what stands behind “whsec_” in the secret, read as base64.",
			"A 200 means the call is safe here. Anything else, or no answer: send it again later with the same webhook-id.",
		},
		SecretLabel: "Signing secret",
		Body: `{
  "type": "call.completed",
  "call_id": "your-own-id-of-the-call",
  "direction": "inbound",
  "status": "completed",
  "from": "+14155550123",
  "to": "+14155550100",
  "started_at": "2026-03-02T17:04:05-08:00",
  "duration_seconds": 245,
  "caller": {"first_name": "Sarah", "last_name": "Johnson", "company": "ABC Corp", "email": "sarah@abc.example"},
  "summary": "Wants pricing for 50 Enterprise seats.",
  "transcript": [
    {"role": "agent", "text": "Thanks for calling Acme.", "at_seconds": 0},
    {"role": "caller", "text": "What's the pricing for 50 users?", "at_seconds": 4}
  ],
  "answers": {"interest": "Enterprise plan", "budget": "50000", "timeline": "Q1"}
}`,
	}
}

// Verify checks the three headers of the scheme. The library's own clock is not used: ours is passed in.
func (Native) Verify(secrets Secrets, header http.Header, body []byte, now time.Time, _ Settings) error {
	stamp, err := strconv.ParseInt(header.Get(webhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil || !fresh(time.Unix(stamp, 0), now) {
		return ErrSignature
	}
	holds := false
	for _, secret := range secrets {
		w, err := webhooks.NewWebhook(secret)
		if err == nil && secret != "" && w.VerifyIgnoringTimestamp(body, header) == nil {
			holds = true
		}
	}
	if !holds {
		return ErrSignature
	}
	return nil
}

func (Native) Sign(secret, eventID string, body []byte, now time.Time, _ Settings) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	w, err := webhooks.NewWebhook(secret)
	if err != nil {
		return header // not a secret of this scheme: the receiver will say so
	}
	signature, err := w.Sign(eventID, now, body)
	if err != nil {
		return header
	}
	header.Set(webhooks.HeaderWebhookID, eventID)
	header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(webhooks.HeaderWebhookSignature, signature)
	return header
}

var nativeWords = words("type", "call_id", "direction", "status", "from", "to", "started_at", "answered_at", "ended_at", "duration_seconds",
	"caller", "name", "first_name", "last_name", "company", "email", "summary", "transcript", "role", "text", "at_seconds", "recording_url",
	"answers", "metadata", "intent", "agent")

func (Native) Normalise(header http.Header, body []byte, s Settings) (Reading, error) {
	reading := Reading{EventID: header.Get(webhooks.HeaderWebhookID)}
	doc, marked, err := readJSON(body, nativeWords)
	if err != nil {
		return reading, &Unreadable{sentence(err)}
	}
	r := reader{settings: s}
	switch kind := text(doc["type"]); kind {
	case "", "call.completed":
		reading.Kind = call.KindCompleted
	case "call.updated":
		reading.Kind = call.KindUpdated
	default:
		reading.Ignored = kind
		return reading, nil
	}

	c := &reading.Call
	if id, ok := doc["call_id"].(string); ok {
		c.ProviderCallID = strings.TrimSpace(id)
	} else {
		c.ProviderCallID = text(doc["call_id"])
	}
	if err := checkCallID("call_id", c.ProviderCallID); err != nil {
		return reading, err
	}
	from, stated := doc["from"]
	if !stated && reading.Kind == call.KindCompleted {
		return reading, unreadable("“from” is missing. Send the caller's number, or null when it is hidden.")
	}
	switch from.(type) {
	case document, []any:
		return reading, unreadable("“from” is not text. Send the caller's number as text, such as \"+14155550123\".")
	}

	c.Direction = choice(&r, "direction", doc["direction"], directions)
	if c.Direction == "" && reading.Kind == call.KindCompleted {
		c.Direction = call.Inbound
	}
	c.Status = choice(&r, "status", doc["status"], statuses)
	r.numbers(c, reading.Kind, doc["from"], doc["to"])
	c.StartedAt = r.when("started_at", doc["started_at"])
	c.AnsweredAt = r.when("answered_at", doc["answered_at"])
	c.EndedAt = r.when("ended_at", doc["ended_at"])
	c.Duration = r.seconds("duration_seconds", doc["duration_seconds"])
	caller := object(doc["caller"])
	names(c, text(caller["first_name"]), text(caller["last_name"]), text(caller["name"]), text(caller["company"]))
	c.Email = r.email(caller["email"])
	c.Summary = lines(doc["summary"])
	c.Transcript = r.transcript(doc["transcript"], "text", func(turn document) any { return turn["at_seconds"] })
	c.RecordingURL = r.link("recording_url", doc["recording_url"])
	c.Intent = text(doc["intent"])
	c.Answers = scalars(object(doc["answers"]))
	c.Agent = text(doc["agent"])
	c.Metadata = metadata(doc["metadata"])
	c.Test = c.Metadata[testKey] == true
	reading.Notes = r.finish(marked)
	return reading, nil
}

func (Native) Compose(c call.Call, _ Settings) []byte {
	type turn struct {
		Role      call.Role `json:"role"`
		Text      string    `json:"text"`
		AtSeconds float64   `json:"at_seconds"`
	}
	type caller struct {
		FirstName string `json:"first_name,omitempty"`
		LastName  string `json:"last_name,omitempty"`
		Company   string `json:"company,omitempty"`
		Email     string `json:"email,omitempty"`
	}
	turns := make([]turn, len(c.Transcript))
	for i, t := range c.Transcript {
		turns[i] = turn{t.Role, t.Text, t.At.Seconds()}
	}
	return encode(struct {
		Type            string         `json:"type"`
		CallID          string         `json:"call_id"`
		Direction       call.Direction `json:"direction,omitempty"`
		Status          call.Status    `json:"status,omitempty"`
		From            any            `json:"from"`
		To              call.Phone     `json:"to,omitempty"`
		StartedAt       time.Time      `json:"started_at,omitzero"`
		DurationSeconds int            `json:"duration_seconds,omitempty"`
		Caller          caller         `json:"caller,omitzero"`
		Summary         string         `json:"summary,omitempty"`
		Transcript      []turn         `json:"transcript,omitempty"`
		RecordingURL    string         `json:"recording_url,omitempty"`
		Intent          string         `json:"intent,omitempty"`
		Answers         map[string]any `json:"answers,omitempty"`
		Metadata        map[string]any `json:"metadata,omitempty"`
	}{"call.completed", c.ProviderCallID, c.Direction, c.Status, numberOrNull(c.From), c.To, c.StartedAt, int(c.Duration.Seconds()),
		caller{c.FirstName, c.LastName, c.Company, c.Email}, c.Summary, turns, c.RecordingURL, c.Intent, c.Answers, withTest(c)})
}

// numbers reads both sides. Withheld tells of the customer's side only.
func (r *reader) numbers(c *call.Call, kind call.Kind, from, to any) {
	var fromWithheld, toWithheld bool
	c.From, fromWithheld = r.phone("from", from)
	c.To, toWithheld = r.phone("to", to)
	if kind == call.KindCompleted {
		c.Withheld = fromWithheld
		if c.Direction == call.Outbound {
			c.Withheld = toWithheld
		}
	}
}

// link is an http or https address.
func (r *reader) link(name string, v any) string {
	s := text(v)
	if s != "" && !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		r.note("%s %s is not a link and was left out.", name, shown(s))
		return ""
	}
	return s
}

// finish gives the notes for the trace.
func (r *reader) finish(marked bool) []string {
	if marked {
		r.note("Some characters of the event could not be read: they are shown as \uFFFD or \u2400.")
	}
	return r.notes
}

func checkCallID(name, id string) error {
	switch {
	case id == "":
		return unreadable("“%s” is missing: without the call's id it cannot be told apart from other calls.", name)
	case len(id) > 1000:
		return unreadable("“%s” is longer than 1,000 characters.", name)
	}
	return nil
}

func numberOrNull(p call.Phone) any {
	if p == "" {
		return nil
	}
	return p
}

func withTest(c call.Call) map[string]any {
	if !c.Test {
		return c.Metadata
	}
	m := map[string]any{testKey: true}
	for k, v := range c.Metadata {
		m[k] = v
	}
	return m
}

// encode writes what we composed ourselves: plain structs that always encode.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("composing a call: %v", err))
	}
	return body
}

func words(known ...string) map[string]bool {
	set := make(map[string]bool, len(known))
	for _, w := range known {
		set[w] = true
	}
	return set
}

// sentence makes a parser's error one for a person.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
