package provider

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/call"
)

func read(t *testing.T, p Provider, body string, s Settings) Reading {
	t.Helper()
	got, err := p.Normalise(http.Header{"Webhook-Id": {"evt"}}, []byte(body), s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func problem(p Provider, body string) string {
	_, err := p.Normalise(http.Header{"Webhook-Id": {"evt"}}, []byte(body), Settings{Region: "US"})
	if u, ok := errors.AsType[*Unreadable](err); ok {
		return u.Problem
	}
	return ""
}

func TestSignedClockMayDifferByFiveMinutes(t *testing.T) {
	t.Parallel()
	for _, p := range []Provider{Native{}, Retell{}} {
		secret := NewSecret(p)
		header := p.Sign(secret, "evt", []byte("{}"), noon, Settings{})
		for seconds, want := range map[int]bool{-301: false, -299: true, 0: true, 299: true, 301: false} {
			err := p.Verify(Secrets{secret}, header, []byte("{}"), noon.Add(time.Duration(seconds)*time.Second), Settings{})
			if (err == nil) != want {
				t.Errorf("%s at %+d s: %v", p.Name(), seconds, err)
			}
		}
	}
}

func TestNativeSignatureCoversIDAndTimestamp(t *testing.T) {
	t.Parallel()
	p, secret := Native{}, NewSecret(Native{})
	for name, value := range map[string]string{"Webhook-Id": "evt_2", "Webhook-Timestamp": "1772452831"} {
		header := p.Sign(secret, "evt_1", []byte("{}"), noon, Settings{})
		header.Set(name, value)
		if p.Verify(Secrets{secret}, header, []byte("{}"), noon, Settings{}) == nil {
			t.Errorf("%s changed and the signature still holds", name)
		}
	}
}

func TestNative(t *testing.T) {
	t.Parallel()
	s := Settings{Region: "US"}
	t.Run("type defaults to call.completed", func(t *testing.T) {
		if got := read(t, Native{}, `{"call_id":"a","from":"+14155550123"}`, s); got.Kind != call.KindCompleted || got.Call.Direction != call.Inbound || got.EventID != "evt" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("an unknown type is ignored", func(t *testing.T) {
		if got := read(t, Native{}, `{"type":"call.ringing"}`, s); got.Ignored != "call.ringing" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("an update needs no from and states nothing about it", func(t *testing.T) {
		got := read(t, Native{}, `{"type":"call.updated","call_id":"a","summary":"late"}`, s)
		if got.Kind != call.KindUpdated || got.Call.Withheld || got.Call.Direction != "" || got.Call.Summary != "late" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("null, empty and anonymous are withheld", func(t *testing.T) {
		for _, from := range []string{`null`, `""`, `"anonymous"`} {
			if got := read(t, Native{}, `{"call_id":"a","from":`+from+`}`, s); !got.Call.Withheld {
				t.Errorf("%s: %+v", from, got.Call)
			}
		}
	})
	t.Run("of an outbound call the customer is who was called", func(t *testing.T) {
		got := read(t, Native{}, `{"call_id":"a","direction":"outbound","from":"+14155550100","to":"(415) 555-0123"}`, s)
		if got.Call.Customer() != "+14155550123" || got.Call.Withheld {
			t.Errorf("%+v", got.Call)
		}
	})
	t.Run("missing call_id or from needs a person", func(t *testing.T) {
		for _, body := range []string{`{"from":"+14155550123"}`, `{"call_id":"","from":""}`, `{"CALL_ID":"a","from":""}`, `{"call_id":"a"}`, `{"call_id":"a","from":{}}`} {
			if problem(Native{}, body) == "" {
				t.Errorf("%s was read", body)
			}
		}
	})
	t.Run("other languages' numbers and words are understood", func(t *testing.T) {
		got := read(t, Native{}, `{"call_id":7,"from":4155550123,"duration_seconds":"4:05","status":"No-Answer","started_at":"2026-03-02T17:04:05-08:00","transcript":"Agent: Hi\nHow are you?\nCaller:\nFine"}`, s)
		want := call.Call{ProviderCallID: "7", Direction: call.Inbound, From: "+14155550123", Duration: 245 * time.Second, Status: call.Missed,
			StartedAt:  time.Date(2026, 3, 3, 1, 4, 5, 0, time.UTC),
			Transcript: []call.Turn{{Role: call.Agent, Text: "Hi\nHow are you?"}, {Role: call.Caller, Text: "Fine"}}}
		if diff := cmp.Diff(want, got.Call); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNextPhone(t *testing.T) {
	t.Parallel()
	s := Settings{Region: "US", Zone: time.FixedZone("PST", -8*3600)}
	guide := `{"last_name":"Johnson","first_name":"Sarah","company_name":"ABC Corp","caller_number":"(415) 555-0123","email":"{{email}}",
		"call_summary":"Wants \"pricing\"","full_transcript":"AI: Thanks. Caller: What's the pricing?","call_duration_seconds":"245",
		"call_timestamp":"2026-03-02 17:04:05","product_interest":"Enterprise","estimated_deal_value":"50000","estimated_close_date":"2026-06-30",
		"budget":"{{budget}}","team_size":"50","zoho_contact_id":"1"}`
	got := read(t, NextPhone{}, guide, s)
	want := call.Call{ProviderCallID: got.Call.ProviderCallID, Direction: call.Inbound, From: "+14155550123", FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp",
		StartedAt: time.Date(2026, 3, 3, 1, 4, 5, 0, time.UTC), Duration: 245 * time.Second, Summary: `Wants "pricing"`,
		Transcript: []call.Turn{{Role: call.Agent, Text: "Thanks."}, {Role: call.Caller, Text: "What's the pricing?"}},
		Answers:    map[string]any{"product_interest": "Enterprise", "estimated_deal_value": "50000", "estimated_close_date": "2026-06-30", "team_size": "50"}}
	t.Run("the guide's placeholders are read", func(t *testing.T) {
		if diff := cmp.Diff(want, got.Call); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("without a call id, number and minute are the call", func(t *testing.T) {
		same := read(t, NextPhone{}, strings.Replace(guide, "17:04:05", "17:04:50", 1), s)
		later := read(t, NextPhone{}, strings.Replace(guide, "17:04:05", "17:05:05", 1), s)
		other := read(t, NextPhone{}, strings.Replace(guide, "555-0123", "555-0124", 1), s)
		id := got.Call.ProviderCallID
		if same.Call.ProviderCallID != id || later.Call.ProviderCallID == id || other.Call.ProviderCallID == id || same.EventID == got.EventID {
			t.Errorf("%q %q %q %q", id, same.Call.ProviderCallID, later.Call.ProviderCallID, other.Call.ProviderCallID)
		}
	})
	t.Run("without a call id, a redial within the minute is another call and a repeat is not", func(t *testing.T) {
		body := func(at, seconds, summary string) Reading {
			return read(t, NextPhone{}, `{"caller_number":"+14155550123","call_timestamp":"`+at+`","call_duration_seconds":"`+seconds+`","call_summary":"`+summary+`"}`, s)
		}
		first := body("2026-03-02T17:04:05-08:00", "20", "one")
		if repeat := body("2026-03-02T17:04:05-08:00", "20", "one"); repeat.Call.ProviderCallID != first.Call.ProviderCallID || repeat.EventID != first.EventID {
			t.Error("a repeat is another call")
		}
		if late := body("2026-03-02T17:04:05-08:00", "20.2", "one, and more"); late.Call.ProviderCallID != first.Call.ProviderCallID {
			t.Error("the same call with another summary is another call")
		}
		for _, redial := range []Reading{body("2026-03-02T17:04:50-08:00", "20", "two"), body("2026-03-02T17:04:50-08:00", "0", ""), body("2026-03-02T17:04:50-08:00", "245", "two")} {
			if redial.Call.ProviderCallID == first.Call.ProviderCallID {
				t.Errorf("the redial of %v is merged into the first call", redial.Call.Duration)
			}
		}
		if len(first.Notes) != 1 || !strings.Contains(first.Notes[0], "call_id is missing") {
			t.Errorf("%q", first.Notes)
		}
	})
	t.Run("a kind that nobody knows is a finished call with a note, and a known other one is ignored", func(t *testing.T) {
		for _, kind := range []string{"phone call", "inbound", "Anruf", "call.analysed"} {
			got := read(t, NextPhone{}, `{"type":"`+kind+`","call_id":"a","caller_number":"+14155550123"}`, s)
			if got.Ignored != "" || got.Kind != call.KindCompleted || got.Call.From != "+14155550123" || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], kind) {
				t.Errorf("%s: %+v", kind, got)
			}
		}
		for _, kind := range []string{"", "call.completed", "Call Ended", "call_completed"} {
			if got := read(t, NextPhone{}, `{"type":"`+kind+`","call_id":"a","caller_number":"+14155550123"}`, s); got.Ignored != "" || len(got.Notes) > 0 {
				t.Errorf("%s: %+v", kind, got)
			}
		}
		for _, kind := range []string{"ping", "test", "Call_Ringing", "call.started", "chat"} {
			if got := read(t, NextPhone{}, `{"type":"`+kind+`","caller_number":"+14155550123"}`, s); got.Ignored != kind {
				t.Errorf("%s: %+v", kind, got)
			}
		}
		if got := read(t, NextPhone{}, `{"type":"Call Updated","call_id":"a"}`, s); got.Kind != call.KindUpdated {
			t.Errorf("%+v", got)
		}
	})
	t.Run("two hidden callers in one minute stay two calls", func(t *testing.T) {
		a := read(t, NextPhone{}, `{"caller_number":"anonymous","call_timestamp":"2026-03-02 17:04","call_summary":"a"}`, s)
		b := read(t, NextPhone{}, `{"caller_number":"anonymous","call_timestamp":"2026-03-02 17:04","call_summary":"b"}`, s)
		if a.Call.ProviderCallID == b.Call.ProviderCallID || !a.Call.Withheld {
			t.Errorf("%+v %+v", a.Call, b.Call)
		}
	})
	t.Run("neither call id nor number needs a person", func(t *testing.T) {
		for _, body := range []string{`{"call_summary":"x"}`, `{"caller_number":"{{caller_number}}"}`, `{"caller_number":null}`} {
			if problem(NextPhone{}, body) == "" {
				t.Errorf("%s was read", body)
			}
		}
	})
	t.Run("a transcript that breaks the JSON needs a person, repaired by nobody", func(t *testing.T) {
		if got := problem(NextPhone{}, "{\"caller_number\":\"+14155550123\",\"full_transcript\":\"AI: \"Hi\"\n\"}"); !strings.Contains(got, "template") {
			t.Errorf("%q", got)
		}
	})
	t.Run("the source may name other keys", func(t *testing.T) {
		named := Settings{Region: "US", Fields: map[string]string{"from": "caller.phone", "last_name": "caller.surname", "call_id": "id", "interest": "wants"}}
		got := read(t, NextPhone{}, `{"id":"x1","caller":{"phone":"4155550123","surname":"Ng"},"wants":"Roof"}`, named)
		if got.Call.ProviderCallID != "x1" || got.Call.From != "+14155550123" || got.Call.LastName != "Ng" || got.Call.Answers["product_interest"] != "Roof" {
			t.Errorf("%+v", got.Call)
		}
	})
	t.Run("the template to paste is read when its placeholders are filled", func(t *testing.T) {
		body := NextPhone{}.Setup().Body
		for k, v := range map[string]string{"caller_number": "+14155550123", "last_name": "Ng", "call_timestamp": "2026-03-02T17:04:05Z"} {
			body = strings.Replace(body, "{{"+k+"}}", v, 1)
		}
		if got := read(t, NextPhone{}, body, s); got.Call.LastName != "Ng" || got.Call.Email != "" || got.Call.Answers != nil || len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], "call_id is missing") {
			t.Errorf("%+v %q", got.Call, got.Notes)
		}
	})
}

func TestNextPhoneEveryNamedCheckMustHold(t *testing.T) {
	t.Parallel()
	p, body := NextPhone{}, []byte("{}")
	secret := NewSecret(p)
	for _, tc := range []struct {
		rule         string
		named, given []string
		want         bool
	}{
		{"bearer is the default", nil, []string{CheckBearer}, true},
		{"the default is not met by another check", nil, []string{CheckHMAC}, false},
		{"hmac alone", []string{CheckHMAC}, []string{CheckHMAC}, true},
		{"both named, both given", []string{CheckBearer, CheckHMAC}, []string{CheckBearer, CheckHMAC}, true},
		{"both named, one given", []string{CheckBearer, CheckHMAC}, []string{CheckHMAC}, false},
		{"an unknown check never holds", []string{CheckBearer, "magic"}, []string{CheckBearer}, false},
	} {
		header := p.Sign(secret, "", body, noon, Settings{Checks: tc.given})
		if err := p.Verify(Secrets{secret}, header, body, noon, Settings{Checks: tc.named}); (err == nil) != tc.want {
			t.Errorf("%s: %v", tc.rule, err)
		}
	}
}

func TestRetell(t *testing.T) {
	t.Parallel()
	s := Settings{Region: "US"}
	ended := `{"event":"call_ended","call":{"call_id":"r1","call_type":"phone_call","direction":"inbound","from_number":"+14155550123","to_number":"+14155550100",
		"start_timestamp":1772452800000,"end_timestamp":1772452815600,"disconnection_reason":"user_hangup","retell_llm_dynamic_variables":{"customer_name":"John Doe","budget":"?"},"transcript":"..."}}`
	analysed := `{"event":"call_analyzed","call":{"call_id":"r1","duration_ms":15600,"agent_name":"Front desk","disconnection_reason":"user_hangup",
		"collected_dynamic_variables":{"current_node":"x","urgent":"true","company_name":"ABC Corp"},
		"call_analysis":{"call_summary":"Wants a quote","custom_analysis_data":{"budget":50000}},
		"transcript_object":[{"role":"agent","content":"Hi","words":[{"word":"Hi","start":0.7}]},{"role":"tool_call_result","content":"{}"},{"role":"user","content":"A quote please","words":[]}]}}`
	a, b := read(t, Retell{}, ended, s), read(t, Retell{}, analysed, s)
	t.Run("the analysis is known to follow call_ended", func(t *testing.T) {
		if !a.MoreFollow || b.MoreFollow || a.EventID != "call_ended:r1" || b.EventID != "call_analyzed:r1" {
			t.Errorf("%+v\n%+v", a, b)
		}
	})
	t.Run("ended and analysed make one call in either order", func(t *testing.T) {
		events := []call.Event{{ID: call.EventID{1}, Kind: a.Kind, Call: a.Call, MoreFollow: a.MoreFollow}, {ID: call.EventID{2}, Kind: b.Kind, Call: b.Call}}
		want := call.Call{ProviderCallID: "r1", Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100",
			StartedAt: time.UnixMilli(1772452800000).UTC(), EndedAt: time.UnixMilli(1772452815600).UTC(), Duration: 16 * time.Second,
			FirstName: "John", LastName: "Doe", CallerName: "John Doe", Company: "ABC Corp", Summary: "Wants a quote", Agent: "Front desk",
			Transcript: []call.Turn{{Role: call.Agent, Text: "Hi", At: 700 * time.Millisecond}, {Role: call.Caller, Text: "A quote please"}},
			Answers:    map[string]any{"customer_name": "John Doe", "budget": 50000.0, "urgent": true, "company_name": "ABC Corp"}}
		for _, order := range [][]call.Event{events, {events[1], events[0]}} {
			if diff := cmp.Diff(want, call.Fold(order)); diff != "" {
				t.Error(diff)
			}
		}
	})
	t.Run("other events are ignored", func(t *testing.T) {
		for _, event := range []string{"call_started", "transcript_updated", "chat_ended"} {
			if got := read(t, Retell{}, `{"event":"`+event+`","call":{"call_id":"r1"}}`, s); got.Ignored != event {
				t.Errorf("%+v", got)
			}
		}
	})
	t.Run("no call id needs a person", func(t *testing.T) {
		if problem(Retell{}, `{"event":"call_ended","call":{}}`) == "" || problem(Retell{}, `{}`) == "" {
			t.Error("was read")
		}
	})
	t.Run("how it ended is how it went", func(t *testing.T) {
		for reason, want := range map[string]call.Status{"agent_hangup": call.Completed, "transfer_bridged": call.Completed, "voicemail_reached": call.Voicemail,
			"dial_no_answer": call.Missed, "error_llm_websocket_open": call.Failed, "spam": ""} {
			if got := read(t, Retell{}, `{"event":"call_ended","call":{"call_id":"r","disconnection_reason":"`+reason+`"}}`, s); got.Call.Status != want {
				t.Errorf("%s: %q", reason, got.Call.Status)
			}
		}
		spoke := `{"event":"call_ended","call":{"call_id":"r","disconnection_reason":"error_unknown","transcript":"Agent: hi User: hello"}}`
		if got := read(t, Retell{}, spoke, s); got.Call.Status != call.Completed {
			t.Errorf("the caller spoke before the fault: %q", got.Call.Status)
		}
		if got := read(t, Retell{}, `{"event":"call_analyzed","call":{"call_id":"r","call_analysis":{"in_voicemail":true}}}`, s); got.Call.Status != call.Voicemail {
			t.Errorf("in voicemail: %q", got.Call.Status)
		}
	})
}

// The vendors' own published samples and vectors stand outside this repository; these tests run where they are at hand.
func vendorFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "providers", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("vendors' sample %s is not here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPublishedRetellSamples(t *testing.T) {
	t.Parallel()
	s := Settings{Region: "US"}
	ended := read(t, Retell{}, string(vendorFile(t, "samples/retell-call_ended.json")), s)
	c := ended.Call
	if c.ProviderCallID != "Jabr9TXYYJHfvl6Syypi88rdAHYHmcq6" || c.From != "+12137771234" || c.To != "+12137771235" || c.Direction != call.Inbound ||
		c.Status != call.Completed || c.Duration != 16*time.Second || c.FirstName != "John" || c.LastName != "Doe" || len(c.Transcript) != 0 || !ended.MoreFollow {
		t.Errorf("%+v", ended)
	}
	c = read(t, Retell{}, string(vendorFile(t, "samples/retell-call_analyzed.json")), s).Call
	if c.ProviderCallID != "test_fire_123" || c.Customer().Usable() || c.Duration != 45*time.Second || c.Summary != "Fire alarm system inspection needed" ||
		c.LastName != "Doe" || c.Answers["isitEmergency"] != "Yes" || len(c.Transcript) != 1 || c.StartedAt.Unix() != 1704462000 {
		t.Errorf("%+v", c)
	}
}

func TestPublishedSignatureVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			Provider, Origin, Source, Secret, Body string
			Headers                                map[string]string
			Now                                    int64
			Valid                                  bool
		}
	}
	if err := json.Unmarshal(vendorFile(t, "vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, v := range file.Vectors {
		p, known := ByName(map[string]string{"retell": "retell", "quo": "native"}[v.Provider]) // Quo signs by the same scheme as native
		if !known {
			continue
		}
		tried++
		body := []byte(v.Body)
		if name, found := strings.CutPrefix(v.Body, "@"); found {
			body = vendorFile(t, name)
		}
		header := http.Header{}
		for k, value := range v.Headers {
			header.Set(k, value)
		}
		now := time.Unix(v.Now, 0)
		verify := func(secret string, body []byte, header http.Header) bool {
			return p.Verify(Secrets{secret}, header, body, now, Settings{}) == nil
		}
		if got := verify(v.Secret, body, header); got != v.Valid {
			t.Errorf("%s, %s: valid %v, want %v", v.Provider, v.Source, got, v.Valid)
		}
		if !v.Valid {
			continue
		}
		flipped := append([]byte{body[0] ^ 1}, body[1:]...)
		tampered := header.Clone()
		for _, k := range []string{retellSignature, "Webhook-Signature"} {
			if s := header.Get(k); s != "" {
				tampered.Set(k, s[:len(s)-6]+map[bool]string{true: "0", false: "1"}[s[len(s)-6] != '0']+s[len(s)-5:])
			}
		}
		if verify(v.Secret, flipped, header) || verify(v.Secret, body, tampered) || verify("whsec_AAAAAAAAAAAAAAAAAAAAAA==", body, header) {
			t.Errorf("%s, %s: a changed byte passes", v.Provider, v.Source)
		}
	}
	if tried < 5 {
		t.Errorf("only %d vectors were found", tried)
	}
}

func TestScrubHidesSecretsAndSignedLinks(t *testing.T) {
	t.Parallel()
	raw := `{"a":1,"phoneNumber":{"twilioAuthToken":"tw-1","n":"+1"},"server":{"secret":{"deep":["s2"]}},"apiKey" : 7, "token":"t3","list":[{"password":"p4"}],
		"recording_url":"https://x.example/r.mp3?X-Amz-Signature=abc&Expires=9&keep=1","tokens_used":5,"summary":"my password is fine"}`
	got := string(Scrub([]byte(raw)))
	for _, leak := range []string{"tw-1", "s2", "7,", "t3", "p4", "abc", "Expires=9"} {
		if strings.Contains(got, leak) {
			t.Errorf("%q is still in %s", leak, got)
		}
	}
	for _, kept := range []string{`"a":1`, `"n":"+1"`, `"twilioAuthToken":"***"`, `keep=1`, `"tokens_used":5`, "my password is fine"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is lost from %s", kept, got)
		}
	}
	if got := string(Scrub([]byte(`{"api_key":"k1","x":"cut sho`))); strings.Contains(got, "k1") || !strings.Contains(got, "cut sho") {
		t.Errorf("a broken body: %s", got)
	}
}
