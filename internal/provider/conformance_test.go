package provider

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hookline/internal/call"
)

var noon = time.Date(2026, 3, 2, 12, 0, 30, 0, time.UTC)

func sample() call.Call {
	return call.Call{
		ProviderCallID: "np_8123", Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100",
		StartedAt: noon.Add(-5 * time.Minute), Duration: 245 * time.Second, FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp",
		Email: "sarah@abc.example", Summary: "Wants “pricing”\nfor 50 seats 🚀.", Intent: "pricing",
		Transcript: []call.Turn{{Role: call.Agent, Text: "Thanks for calling Acme."}, {Role: call.Caller, Text: "What's the pricing?", At: 4 * time.Second}},
		Answers:    map[string]any{"budget": "50000"},
	}
}

// Every vendor passes the same suite: what it composes and signs, it verifies and reads back.
func TestEveryProvider(t *testing.T) {
	t.Parallel()
	for _, p := range All() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			s := Settings{Region: "US"}
			secret, old := NewSecret(p), NewSecret(p)
			if problem := CheckSecret(p, secret); problem != "" {
				t.Fatalf("a new secret is refused: %s", problem)
			}
			body := p.Compose(sample(), s)
			header := p.Sign(secret, "evt_1", body, noon, s)
			live := Secrets{secret, old}

			t.Run("accepts what was signed with either live secret", func(t *testing.T) {
				for _, key := range live {
					if err := p.Verify(live, p.Sign(key, "evt_1", body, noon, s), body, noon, s); err != nil {
						t.Error(err)
					}
				}
			})
			t.Run("refuses every other request", func(t *testing.T) {
				changed := func(change func(h http.Header)) http.Header { h := header.Clone(); change(h); return h }
				for name, try := range map[string]struct {
					secrets Secrets
					header  http.Header
				}{
					"no headers":     {live, http.Header{}},
					"another secret": {Secrets{NewSecret(p)}, header},
					"no secret":      {nil, header},
					"empty secret":   {Secrets{""}, p.Sign("", "evt_1", body, noon, s)},
					"truncated": {live, changed(func(h http.Header) {
						for _, k := range []string{"Webhook-Signature", "Authorization", retellSignature} {
							if v := h.Get(k); v != "" {
								h.Set(k, v[:len(v)-1])
							}
						}
					})},
				} {
					if err := p.Verify(try.secrets, try.header, body, noon, s); !errors.Is(err, ErrSignature) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
			t.Run("reads back what it composed", func(t *testing.T) {
				got, err := p.Normalise(header, body, s)
				if err != nil {
					t.Fatal(err)
				}
				want := sample()
				ignore := cmpopts.IgnoreFields(call.Call{}, "EndedAt", "CallerName", "Agent", "Metadata")
				if p.Name() != "native" { // spoken offsets and answers that repeat the name differ by dialect
					for i := range got.Call.Transcript {
						got.Call.Transcript[i].At = want.Transcript[i].At
					}
					ignore = cmpopts.IgnoreFields(call.Call{}, "EndedAt", "CallerName", "Agent", "Metadata", "Answers")
				}
				if diff := cmp.Diff(want, got.Call, ignore); diff != "" {
					t.Error(diff)
				}
				if got.Kind != call.KindCompleted || got.Ignored != "" || got.EventID == "" || len(got.Notes) > 0 || got.Call.Answers["budget"] != "50000" {
					t.Errorf("%+v", got)
				}
			})
			t.Run("reads a withheld number as withheld", func(t *testing.T) {
				c := sample()
				c.From, c.Withheld = "", true
				got, err := p.Normalise(header, p.Compose(c, s), s)
				if err != nil || got.Call.From != "" || !got.Call.Withheld {
					t.Errorf("%+v, %v", got.Call, err)
				}
			})
			t.Run("marks a simulated call", func(t *testing.T) {
				c := sample()
				c.Test = true
				if got, err := p.Normalise(header, p.Compose(c, s), s); err != nil || !got.Call.Test {
					t.Errorf("%+v, %v", got.Call, err)
				}
			})
			t.Run("the same bytes are the same event", func(t *testing.T) {
				a, _ := p.Normalise(header, body, s)
				b, _ := p.Normalise(header, bytes.Clone(body), s)
				if a.EventID != b.EventID {
					t.Errorf("%q and %q", a.EventID, b.EventID)
				}
			})
			t.Run("keeps what it cannot read for a person", func(t *testing.T) {
				for name, bad := range hostileBodies(body) {
					start := time.Now()
					got, err := p.Normalise(header, bad, s)
					if _, ok := errors.AsType[*Unreadable](err); !ok || got.EventID == "" {
						t.Errorf("%s: read as %+v, %v", name, got.Call.ProviderCallID, err)
					}
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("%s took %v", name, took)
					}
				}
			})
			t.Run("has everything that a page shows", func(t *testing.T) {
				setup := p.Setup()
				if setup.Label == "" || setup.About == "" || len(setup.Steps) < 3 || setup.SecretLabel == "" || !HasContentType(p, "Application/JSON; charset=utf-8") || HasContentType(p, "text/plain") {
					t.Errorf("%+v", setup)
				}
			})
		})
	}
}

func hostileBodies(good []byte) map[string][]byte {
	inject := func(member string) []byte { return append([]byte("{"+member+","), good[1:]...) }
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = `"k` + strings.Repeat("x", i%7) + hexSHA256(string(rune(i)))[:9] + `":1`
	}
	return map[string][]byte{
		"empty":                   {},
		"cut short":               good[:len(good)/2],
		"an array":                []byte("[]"),
		"100,000 nested arrays":   inject(`"x":` + strings.Repeat("[", 100_000)),
		"65 levels":               inject(`"x":` + strings.Repeat("[", 65) + strings.Repeat("]", 65)),
		"1e99999":                 inject(`"x":[` + strings.Repeat("1e99999,", 999) + `1]`),
		"a 100,000-digit integer": inject(`"x":` + strings.Repeat("9", 100_000)),
		"100,000 keys":            []byte("{" + strings.Join(keys, ",") + "," + string(good[1:])),
		"a second document":       append(bytes.Clone(good), good...),
		"a raw line break":        inject("\"x\":\"a\nb\""),
		"a key twice":             inject(`"x":1,"x":2`),
		"a key in capitals":       inject(`"call_id":"a","CALL_ID":"b","CALL":1,"call":{}`),
		"not JSON":                []byte("call_id=1"),
	}
}

func TestStrangeTextIsStoredWithMarks(t *testing.T) {
	t.Parallel()
	body := "\xEF\xBB\xBF" + `{"call_id":"c","from":"+14155550123","summary":"a\u0000b\ud800c` + "\xff" + `d","caller":{"last_name":"שרה \uD83D\uDE80"},"metadata":{"k\u0000":1}}`
	got, err := Native{}.Normalise(http.Header{"Webhook-Id": {"e"}}, []byte(body), Settings{Region: "US"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Call.Summary != "a␀b\uFFFDc\uFFFDd" || got.Call.LastName != "שרה 🚀" || got.Call.FirstName != "" || len(got.Notes) != 1 {
		t.Errorf("%+v, notes %q", got.Call, got.Notes)
	}
	stored, err := call.MarshalCall(got.Call)
	if err != nil || bytes.Contains(stored, []byte(`\u0000`)) || bytes.Contains(stored, []byte{0}) {
		t.Errorf("%s, %v", stored, err)
	}
}

func TestStrangeValuesAreStoredAsSaidOrNoted(t *testing.T) {
	t.Parallel()
	turns := strings.Repeat(`{"role":"caller","text":"x","at_seconds":1},`, 9_999) + `{"role":"agent","text":"y"}`
	body := `{"call_id":"c","from":"' OR 1=1--","started_at":"1969-07-20T20:17:40Z","duration_seconds":-1,"status":"on fire","direction":"sideways",
		"caller":{"first_name":"\u202e","last_name":"🚀🚀","email":"not an address"},"transcript":[` + turns + `],"recording_url":"javascript:alert(1)",
		"answers":{"big":12345678901234567890,"nested":{"a":[1]},"yes":true,"none":null,"x":1.5}}`
	got, err := Native{}.Normalise(http.Header{"Webhook-Id": {"e"}}, []byte(body), Settings{Region: "US"})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Call
	if c.From.Usable() || c.StartedAt.Year() != 1969 || c.Duration != 0 || c.Status != "" || c.Direction != call.Inbound || c.LastName != "🚀🚀" ||
		c.Email != "" || len(c.Transcript) != 10_000 || c.RecordingURL != "" || len(got.Notes) != 6 {
		t.Errorf("from %q, started %v, duration %v, status %q, %d turns, notes %q", c.From, c.StartedAt, c.Duration, c.Status, len(c.Transcript), got.Notes)
	}
	if diff := cmp.Diff(map[string]any{"big": "12345678901234567890", "nested": `{"a":[1]}`, "yes": true, "x": 1.5}, c.Answers); diff != "" {
		t.Error(diff)
	}
}

func fuzz(f *testing.F, p Provider) {
	s := Settings{Region: "US"}
	f.Add(p.Compose(sample(), s))
	for _, body := range []string{`{}`, `{"event":"call_ended","call":{"call_id":"a","transcript":"Agent: hi\nUser: ho"}}`,
		`{"call_id":"a","from":null,"transcript":"AI: hi User: ho","started_at":1714608475945}`, `{"caller_number":"+1","call_timestamp":"2026-03-02 10:00"}`, `{"type":"call.updated","call_id":1e3}`} {
		f.Add([]byte(body))
	}
	header := http.Header{"Webhook-Id": {"e"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := p.Normalise(header, body, s)
		if err != nil {
			if _, ok := errors.AsType[*Unreadable](err); !ok || got.EventID == "" {
				t.Fatalf("neither a call nor unreadable: %v", err)
			}
			return
		}
		if got.Ignored == "" && (got.Call.ProviderCallID == "" || got.EventID == "" || got.Kind == "") {
			t.Fatalf("a call without identity: %+v", got)
		}
		stored, err := call.MarshalEvent(call.Event{Kind: got.Kind, Call: got.Call, Notes: got.Notes})
		if err != nil || bytes.Contains(stored, []byte{0}) {
			t.Fatalf("cannot be stored: %v", err)
		}
		Scrub(body)
	})
}

func FuzzNative(f *testing.F)    { fuzz(f, Native{}) }
func FuzzNextPhone(f *testing.F) { fuzz(f, NextPhone{}) }
func FuzzRetell(f *testing.F)    { fuzz(f, Retell{}) }

func FuzzSignatureHeaders(f *testing.F) {
	f.Add("v=1772452830000,d=00", "Bearer x", "v1,AAAA v1,", "1772452830")
	f.Add("v=,d=", "bearer ", "v2", "-1")
	f.Fuzz(func(t *testing.T, retell, authorization, signature, stamp string) {
		header := http.Header{retellSignature: {retell}, "Authorization": {authorization}, nextPhoneSignature: {retell},
			"Webhook-Id": {"e"}, "Webhook-Signature": {signature}, "Webhook-Timestamp": {stamp}}
		for _, p := range All() {
			secret := NewSecret(p) // nobody can know it
			for _, checks := range [][]string{nil, {CheckHMAC}, {CheckBearer, CheckHMAC}, {"other"}} {
				if p.Verify(Secrets{secret}, header, []byte("{}"), noon, Settings{Checks: checks}) == nil {
					t.Fatalf("%s accepted a request made without its secret", p.Name())
				}
			}
		}
	})
}

func BenchmarkNative(b *testing.B) {
	c := sample()
	for len(c.Transcript) < 40 {
		c.Transcript = append(c.Transcript, call.Turn{Role: call.Caller, Text: "We would like to know what the enterprise plan costs for fifty seats a year."})
	}
	p, s := Native{}, Settings{Region: "US"}
	body, secret := p.Compose(c, s), NewSecret(p)
	header := p.Sign(secret, "e", body, noon, s)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p.Verify(Secrets{secret}, header, body, noon, s) != nil {
			b.Fatal("refused")
		}
		if _, err := p.Normalise(header, body, s); err != nil {
			b.Fatal(err)
		}
	}
}
