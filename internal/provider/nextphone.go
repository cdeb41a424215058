package provider

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"hookline/internal/call"
)

// NextPhone sends a JSON body that the customer designs from its placeholders, with headers of the customer's choice.
// It has no public specification: the placeholders are those of its guide to Zoho CRM, and the body's keys are theirs
// unless the source names others.
type NextPhone struct{}

// The checks that a NextPhone source may name. Every named one must hold.
const (
	CheckBearer = "bearer" // Authorization: Bearer <secret>
	CheckHMAC   = "hmac"   // X-NextPhone-Signature: sha256=<hex HMAC-SHA256 of the body>
)

const nextPhoneSignature = "X-NextPhone-Signature"

// nextPhoneFields are the fields of a call, the key that each has in the body unless the source says otherwise, and
// the placeholder that fills it where the guide names one.
var nextPhoneFields = []struct{ field, key, placeholder, label string }{
	{"last_name", "last_name", "last_name", "Last name"},
	{"first_name", "first_name", "first_name", "First name"},
	{"company", "company_name", "company_name", "Company"},
	{"from", "caller_number", "caller_number", "Caller's number"},
	{"email", "email", "email", "E-mail"},
	{"summary", "call_summary", "call_summary", "Summary"},
	{"transcript", "full_transcript", "full_transcript", "Transcript"},
	{"duration", "call_duration_seconds", "call_duration_seconds", "Talk time in seconds"},
	{"started_at", "call_timestamp", "call_timestamp", "Time of the call"},
	{"interest", "product_interest", "product_interest", "Product of interest"},
	{"deal_value", "estimated_deal_value", "estimated_deal_value", "Estimated value"},
	{"close_date", "estimated_close_date", "estimated_close_date", "Estimated close date"},
	{"call_id", "call_id", "", "Id of the call"},
	{"type", "type", "", "Kind of event"},
	{"caller_name", "caller_name", "", "Whole name"},
	{"to", "called_number", "", "Number called"},
	{"direction", "direction", "", "Direction"},
	{"status", "status", "", "How the call went"},
	{"intent", "intent", "", "Intent"},
	{"recording_url", "recording_url", "", "Recording"},
}

// nextPhoneBody is the template to paste: the guide's placeholders, each under its own name.
var nextPhoneBody = func() string {
	var b strings.Builder
	b.WriteString("{\n")
	first := true
	for _, f := range nextPhoneFields {
		if f.placeholder == "" {
			continue
		}
		if !first {
			b.WriteString(",\n")
		}
		first = false
		b.WriteString(`  "` + f.key + `": "{{` + f.placeholder + `}}"`)
	}
	b.WriteString("\n}")
	return b.String()
}()

func (NextPhone) Name() string           { return "nextphone" }
func (NextPhone) MaxBody() int64         { return 1 << 20 }
func (NextPhone) ContentTypes() []string { return jsonOnly }

func (NextPhone) Setup() Setup {
	s := Setup{
		Label: "NextPhone",
		About: "The AI receptionist: one HTTP webhook after each call.",
		Steps: []string{
			"In NextPhone, open Integrations and choose Add HTTP Webhook. Trigger: after every call ends, not only for new callers.",
			"Paste the URL of this page. Method: POST.",
			"Add two headers: Content-Type: application/json, and the Authorization line of this page.",
			"Paste the body of this page. If your account offers a placeholder for the call's id, add it as \"call_id\": then repeats are recognised for certain.",
			"Save, call your NextPhone number, and hang up: the call appears here.",
		},
		Header:      "Authorization: Bearer %s",
		Body:        nextPhoneBody,
		SecretLabel: "Secret",
		Checks: []Choice{
			{CheckBearer, "the Authorization header carries the secret"},
			{CheckHMAC, "X-NextPhone-Signature is sha256= and the HMAC of the body"},
		},
	}
	for _, f := range nextPhoneFields {
		s.Fields = append(s.Fields, Choice{f.field, f.label})
	}
	return s
}

// DefaultField is the key that a field of the call has in NextPhone's body unless the source says otherwise.
func DefaultField(field string) string {
	for _, f := range nextPhoneFields {
		if f.field == field {
			return f.key
		}
	}
	return ""
}

func nextPhoneChecks(s Settings) []string {
	if len(s.Checks) == 0 {
		return []string{CheckBearer}
	}
	return s.Checks
}

func (NextPhone) Verify(secrets Secrets, header http.Header, body []byte, _ time.Time, s Settings) error {
	holds := true
	for _, check := range nextPhoneChecks(s) {
		switch check {
		case CheckBearer:
			holds = bearer(secrets, header.Get("Authorization")) && holds
		case CheckHMAC:
			mac, found := strings.CutPrefix(header.Get(nextPhoneSignature), "sha256=")
			holds = found && signed(secrets, mac, body) && holds
		default:
			holds = false // an unknown check is never passed
		}
	}
	if !holds {
		return ErrSignature
	}
	return nil
}

func (NextPhone) Sign(secret, _ string, body []byte, _ time.Time, s Settings) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	for _, check := range nextPhoneChecks(s) {
		switch check {
		case CheckBearer:
			header.Set("Authorization", "Bearer "+secret)
		case CheckHMAC:
			header.Set(nextPhoneSignature, "sha256="+hexOf(macOf(secret, body)))
		}
	}
	return header
}

func (NextPhone) Normalise(_ http.Header, body []byte, s Settings) (Reading, error) {
	// There is no id of the event: the same bytes are the same event, other bytes about one call are merged.
	reading := Reading{EventID: hashID("body:", string(body))}
	path := make(map[string]string, len(nextPhoneFields))
	known := make(map[string]bool, len(nextPhoneFields))
	for _, f := range nextPhoneFields {
		key := f.key
		if named := s.Fields[f.field]; named != "" {
			key = named
		}
		path[f.field] = key
		for _, part := range strings.Split(key, ".") {
			known[strings.ToLower(part)] = true
		}
	}
	doc, marked, err := readJSON(body, known)
	if err != nil {
		return reading, &Unreadable{sentence(err) + " Check the body template in NextPhone: every placeholder stands in quotes, and the transcript's placeholder must escape quotes and line breaks."}
	}
	r := reader{settings: s}
	get := func(field string) any { return at(doc, path[field]) }

	kind := text(get("type"))
	switch folded := strings.NewReplacer("_", ".", "-", ".", " ", ".").Replace(strings.ToLower(kind)); {
	case uninteresting[folded]:
		reading.Ignored = kind
		return reading, nil
	case folded == "call.updated":
		reading.Kind = call.KindUpdated
	default:
		reading.Kind = call.KindCompleted
		if folded != "" && folded != "call.completed" && folded != "call.ended" {
			r.note("%s %s is not a kind of event that is known here: it was read as a finished call.", path["type"], shown(kind))
		}
	}

	c := &reading.Call
	c.Direction = choice(&r, path["direction"], get("direction"), directions)
	if c.Direction == "" && reading.Kind == call.KindCompleted {
		c.Direction = call.Inbound
	}
	c.Status = choice(&r, path["status"], get("status"), statuses)
	r.numbers(c, reading.Kind, get("from"), get("to"))
	c.StartedAt = r.when(path["started_at"], get("started_at"))
	c.Duration = r.seconds(path["duration"], get("duration"))

	c.ProviderCallID = text(get("call_id"))
	if c.ProviderCallID == "" {
		stated := text(get("from")) // a placeholder that was not filled, or null, is none
		switch {
		case stated == "":
			return reading, unreadable("The body has neither a call id nor the caller's number: it cannot be told which call this is.")
		case c.Customer() != "" && !c.StartedAt.IsZero():
			c.ProviderCallID = derivedID(*c, text(get("duration")) != "")
			r.note("%s is missing: the caller's number, the time and the length of the call tell it from others.", path["call_id"])
		default:
			c.ProviderCallID = reading.EventID
		}
	}
	if err := checkCallID(path["call_id"], c.ProviderCallID); err != nil {
		return reading, err
	}

	names(c, text(get("first_name")), text(get("last_name")), text(get("caller_name")), text(get("company")))
	c.Email = r.email(get("email"))
	c.Summary = lines(get("summary"))
	c.Transcript = r.transcript(get("transcript"), "text", func(turn document) any { return turn["at_seconds"] })
	c.RecordingURL = r.link(path["recording_url"], get("recording_url"))
	c.Intent = text(get("intent"))
	c.Answers = scalars(unmapped(doc, path))
	for _, field := range []string{"interest", "deal_value", "close_date"} {
		if v := scalar(get(field)); v != nil && v != "" {
			if c.Answers == nil {
				c.Answers = map[string]any{}
			}
			c.Answers[DefaultField(field)] = v // under the guide's name, whatever the body calls it
		}
	}
	if v, _ := c.Answers[testKey].(bool); v {
		c.Test = true
		delete(c.Answers, testKey)
	}
	if len(c.Answers) == 0 {
		c.Answers = nil
	}
	reading.Notes = r.finish(marked)
	return reading, nil
}

// uninteresting are the kinds of event that are known to tell of no finished call, in lower case with dots between the
// words. The customer writes the body, so any other word may be theirs for a call: a call read once too often is seen
// by somebody, one that is ignored is not.
var uninteresting = words("ping", "test", "test.ping", "webhook.test", "url.validation", "ringing", "call.ringing", "call.started", "call.initiated",
	"call.answered", "call.in.progress", "chat", "chat.started", "chat.ended", "sms", "sms.received", "message", "message.received")

// derivedID stands for the id of a call that has none: the caller's number and the minute in which the call began, as
// a repeat may tell the second differently. Of one number's calls only shorter ones than a minute can begin in the
// same minute and last equally long, so the length tells a second call from a repeat, and of short ones the second
// of the start. Where the length is not stated, the minute has to do.
func derivedID(c call.Call, lengthStated bool) string {
	parts := []string{string(c.Customer()), c.StartedAt.Truncate(time.Minute).Format(time.RFC3339)}
	if lengthStated {
		parts = append(parts, c.Duration.String())
		if c.Duration < time.Minute {
			parts = append(parts, c.StartedAt.Truncate(time.Second).Format(time.RFC3339))
		}
	}
	return hashID("minute:", parts...)
}

// unmapped are the customer's own keys beside the known fields: what the agent asked in this business.
func unmapped(doc document, path map[string]string) document {
	own := document{}
	for k, v := range doc {
		switch v.(type) {
		case document, []any:
			continue
		}
		if k != "zoho_contact_id" && !slices.ContainsFunc(nextPhoneFields, func(f struct{ field, key, placeholder, label string }) bool { return path[f.field] == k }) {
			own[k] = v
		}
	}
	return own
}

func (NextPhone) Compose(c call.Call, s Settings) []byte {
	from := string(c.From)
	if c.Withheld {
		from = "anonymous"
	}
	values := map[string]any{
		"last_name": c.LastName, "first_name": c.FirstName, "company": c.Company, "from": from, "email": c.Email, "summary": c.Summary,
		"transcript": script(c.Transcript), "duration": int(c.Duration.Seconds()), "started_at": c.StartedAt.Format(time.RFC3339),
		"call_id": c.ProviderCallID, "to": string(c.To), "direction": string(c.Direction), "status": string(c.Status), "intent": c.Intent,
	}
	body := map[string]any{}
	for k, v := range c.Answers {
		body[k] = v
	}
	for field, v := range values {
		key := s.Fields[field]
		if key == "" {
			key = DefaultField(field)
		}
		set(body, key, v)
	}
	for _, field := range []string{"interest", "deal_value", "close_date"} {
		if v, ok := c.Answers[DefaultField(field)]; ok && s.Fields[field] != "" {
			delete(body, DefaultField(field))
			set(body, s.Fields[field], v)
		}
	}
	if c.Test {
		body[testKey] = true
	}
	return encode(body)
}

// set puts a value at a path of dots.
func set(body map[string]any, path string, v any) {
	head, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		body[head] = v
		return
	}
	inner, ok := body[head].(map[string]any)
	if !ok {
		inner = map[string]any{}
		body[head] = inner
	}
	set(inner, rest, v)
}
