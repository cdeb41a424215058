package provider

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"hookline/internal/call"
)

// Retell is Retell AI: call_ended with the call, call_analyzed with everything a little later; either alone suffices
// (docs.retellai.com, Webhook).
type Retell struct{}

const retellSignature = "X-Retell-Signature"

func (Retell) Name() string           { return "retell" }
func (Retell) MaxBody() int64         { return 8 << 20 } // the transcript comes three times, tool calls among it
func (Retell) ContentTypes() []string { return jsonOnly }

func (Retell) Setup() Setup {
	return Setup{
		Label: "Retell AI",
		About: "For voice agents built on Retell.",
		Steps: []string{
			"In Retell's dashboard, open API Keys, copy the key with the webhook badge, and paste it here as the secret.",
			"Open Webhooks (for all agents) or your agent's Webhook Settings, and paste the URL of this page.",
			"Leave the events call_ended and call_analyzed switched on; others are accepted and ignored.",
			"Make a test call to your agent: it appears here when it has ended.",
		},
		SecretLabel: "API key with the webhook badge",
		TheirSecret: true,
	}
}

// Verify reads v=<unix ms>,d=<hex>; d is the HMAC-SHA256 of the body followed by the milliseconds.
func (Retell) Verify(secrets Secrets, header http.Header, body []byte, now time.Time, _ Settings) error {
	stamp, digest, found := strings.Cut(header.Get(retellSignature), ",")
	millis, hasStamp := strings.CutPrefix(strings.TrimSpace(stamp), "v=")
	mac, hasDigest := strings.CutPrefix(strings.TrimSpace(digest), "d=")
	ms, err := strconv.ParseInt(millis, 10, 64)
	if !found || !hasStamp || !hasDigest || err != nil || !fresh(time.UnixMilli(ms), now) || !signed(secrets, mac, body, []byte(millis)) {
		return ErrSignature
	}
	return nil
}

func (Retell) Sign(secret, _ string, body []byte, now time.Time, _ Settings) http.Header {
	millis := strconv.FormatInt(now.UnixMilli(), 10)
	return http.Header{"Content-Type": {"application/json"}, retellSignature: {"v=" + millis + ",d=" + hexOf(macOf(secret, body, []byte(millis)))}}
}

var retellWords = words("event", "call", "call_id", "call_type", "call_status", "direction", "from_number", "to_number", "start_timestamp",
	"end_timestamp", "duration_ms", "disconnection_reason", "call_analysis", "call_summary", "in_voicemail", "custom_analysis_data",
	"collected_dynamic_variables", "retell_llm_dynamic_variables", "transcript", "transcript_object", "role", "content", "words",
	"recording_url", "metadata", "agent_id", "agent_name")

func (Retell) Normalise(_ http.Header, body []byte, s Settings) (Reading, error) {
	reading := Reading{EventID: hashID("body:", string(body))}
	doc, marked, err := readJSON(body, retellWords)
	if err != nil {
		return reading, &Unreadable{sentence(err)}
	}
	r := reader{settings: s}
	event := text(doc["event"])
	switch event {
	case "call_ended", "call_analyzed":
	case "":
		return reading, unreadable("The body names no event: it is not a webhook of Retell.")
	default:
		reading.Ignored = event
		return reading, nil
	}
	told := object(doc["call"])
	c := &reading.Call
	c.ProviderCallID = text(told["call_id"])
	if err := checkCallID("call.call_id", c.ProviderCallID); err != nil {
		return reading, err
	}
	reading.EventID = event + ":" + c.ProviderCallID
	reading.Kind = call.KindCompleted
	reading.MoreFollow = event == "call_ended"

	analysis := object(told["call_analysis"])
	c.Direction = choice(&r, "direction", told["direction"], directions)
	if from, to := text(told["from_number"]), text(told["to_number"]); c.Direction == "" {
		switch {
		case from != "" && to == "":
			c.Direction = call.Inbound
		case to != "" && from == "":
			c.Direction = call.Outbound
		}
	}
	r.numbers(c, reading.Kind, told["from_number"], told["to_number"])
	c.StartedAt = r.when("start_timestamp", told["start_timestamp"])
	c.EndedAt = r.when("end_timestamp", told["end_timestamp"])
	if ms, ok := float(told["duration_ms"]); ok && ms >= 0 && ms < 1e11 {
		c.Duration = (time.Duration(ms)*time.Millisecond + time.Second/2).Truncate(time.Second)
	} else if !c.StartedAt.IsZero() && c.EndedAt.After(c.StartedAt) {
		c.Duration = (c.EndedAt.Sub(c.StartedAt) + time.Second/2).Truncate(time.Second)
	}
	c.Transcript = r.transcript(told["transcript_object"], "content", func(turn document) any {
		if spoken, _ := turn["words"].([]any); len(spoken) > 0 {
			return object(spoken[0])["start"]
		}
		return nil
	})
	if len(c.Transcript) == 0 {
		if whole := text(told["transcript"]); strings.Trim(whole, ".… ") != "" {
			c.Transcript = splitTranscript(whole)
		}
	}
	c.Status = r.retellStatus(text(told["disconnection_reason"]), truth(analysis["in_voicemail"]), c)
	c.Summary = lines(analysis["call_summary"])
	c.RecordingURL = r.link("recording_url", told["recording_url"])
	c.Agent = text(told["agent_name"])
	if c.Agent == "" {
		c.Agent = text(told["agent_id"])
	}
	c.Answers = retellAnswers(told, analysis)
	c.Metadata = metadata(told["metadata"])
	c.Test = c.Metadata[testKey] == true

	answer := func(names ...string) string {
		for _, name := range names {
			if s, ok := c.Answers[name].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	names(c, answer("first_name", "customer_first_name"), answer("last_name", "customer_last_name"),
		answer("customer_name", "customerName", "full_name", "lead_name", "caller_name", "name"), answer("company_name", "company", "companyName"))
	if address := answer("email", "customer_email", "email_address"); address != "" {
		c.Email = r.email(address)
	}
	c.Intent = answer("intent", "call_intent")
	reading.Notes = r.finish(marked)
	return reading, nil
}

// retellAnswers puts the analysis above what the agent collected, and that above what the call began with.
func retellAnswers(told, analysis document) map[string]any {
	answers := map[string]any{}
	for _, from := range []document{object(told["retell_llm_dynamic_variables"]), object(told["collected_dynamic_variables"]), object(analysis["custom_analysis_data"])} {
		for k, v := range scalars(from) {
			if k == "previous_node" || k == "current_node" {
				continue
			}
			if s, isText := v.(string); isText && (s == "true" || s == "false") {
				v = s == "true"
			}
			answers[k] = v
		}
	}
	if len(answers) == 0 {
		return nil
	}
	return answers
}

func (r *reader) retellStatus(reason string, voicemail bool, c *call.Call) call.Status {
	switch {
	case voicemail, reason == "voicemail_reached", reason == "machine_detected":
		return call.Voicemail
	case reason == "dial_busy", reason == "dial_no_answer", reason == "user_declined", reason == "ivr_reached":
		return call.Missed
	case callerSpoke(c.Transcript):
		return call.Completed
	case strings.HasPrefix(reason, "error_"), reason == "dial_failed", reason == "invalid_destination", reason == "marked_as_spam",
		reason == "concurrency_limit_reached", reason == "no_valid_payment", reason == "scam_detected":
		return call.Failed
	case reason == "user_hangup", reason == "agent_hangup", reason == "call_transfer", reason == "inactivity", reason == "max_duration_reached",
		strings.HasPrefix(reason, "transfer_"):
		return call.Completed
	case reason != "":
		r.note("disconnection_reason %s is not known here; the call counts as completed.", shown(reason))
	}
	return ""
}

func truth(v any) bool {
	switch strings.ToLower(text(v)) {
	case "true", "yes", "1":
		return true
	}
	return false
}

func (Retell) Compose(c call.Call, _ Settings) []byte {
	type word struct {
		Word  string  `json:"word"`
		Start float64 `json:"start"`
	}
	type utterance struct {
		Role    string `json:"role"`
		Content string `json:"content"`
		Words   []word `json:"words"`
	}
	turns := make([]utterance, len(c.Transcript))
	for i, t := range c.Transcript {
		role := "user"
		if t.Role == call.Agent {
			role = "agent"
		}
		first, _, _ := strings.Cut(t.Text, " ")
		turns[i] = utterance{role, t.Text, []word{{first, t.At.Seconds()}}}
	}
	reason := map[call.Status]string{call.Missed: "dial_no_answer", call.Voicemail: "voicemail_reached", call.Failed: "error_unknown"}[c.Status]
	if reason == "" {
		reason = "user_hangup"
	}
	answers := map[string]any{}
	for k, v := range c.Answers {
		answers[k] = v
	}
	for k, v := range map[string]string{"first_name": c.FirstName, "last_name": c.LastName, "company_name": c.Company, "email": c.Email, "intent": c.Intent} {
		if v != "" {
			answers[k] = v
		}
	}
	told := map[string]any{
		"call_id": c.ProviderCallID, "call_type": "phone_call", "call_status": "ended", "direction": c.Direction,
		"disconnection_reason": reason, "agent_name": "Hookline simulation", "metadata": withTest(c),
		"transcript_object": turns, "transcript": script(c.Transcript),
		"duration_ms":   c.Duration.Milliseconds(),
		"call_analysis": map[string]any{"call_summary": c.Summary, "in_voicemail": c.Status == call.Voicemail, "custom_analysis_data": answers},
	}
	if !c.StartedAt.IsZero() {
		told["start_timestamp"], told["end_timestamp"] = c.StartedAt.UnixMilli(), c.StartedAt.Add(c.Duration).UnixMilli()
	}
	if c.From != "" {
		told["from_number"] = c.From
	} else {
		told["from_number"] = "anonymous"
	}
	if c.To != "" {
		told["to_number"] = c.To
	}
	return encode(map[string]any{"event": "call_analyzed", "call": told})
}
