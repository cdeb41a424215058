package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// answer is one HTTP answer, complete before the first byte leaves, so that a fault can put itself in its place.
type answer struct {
	status      int
	contentType string // "" = application/json, when there is a body
	header      http.Header
	body        []byte
	code        string // Zoho's code of a refusal, for the ledger
	rule        string // and which rule refused, in words
}

// problem is a refusal as Zoho words it.
type problem struct {
	status  int
	rule    string         // see because
	Code    string         `json:"code"`
	Details map[string]any `json:"details"`
	Message string         `json:"message"`
	Status  string         `json:"status"`
}

func refuse(status int, code, message string, details map[string]any) *problem {
	if details == nil {
		details = map[string]any{}
	}
	return &problem{status: status, Code: code, Details: details, Message: message, Status: "error"}
}

func (p *problem) answer() answer {
	return answer{status: p.status, body: marshal(p), code: p.Code, rule: p.why()}
}

// wrapped is the other shape of a request-level error, inside data[]: Zoho's specifications differ (Insert records).
func (p *problem) wrapped() answer {
	return answer{status: p.status, body: marshal(map[string]any{"data": []*problem{p}}), code: p.Code, rule: p.why()}
}

func jsonAnswer(status int, v any) answer { return answer{status: status, body: marshal(v)} }

func noContent() answer { return answer{status: http.StatusNoContent} }

// marshal is JSON without HTML escapes, as Zoho writes it. What it is given is always plain data.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("sandbox: plain data that is no JSON: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return append(b, marshal(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// strictUnmarshal refuses keys that v does not have: a control route's typing error should not pass in silence.
func strictUnmarshal(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("one JSON value, not several")
	}
	return nil
}

// decodeJSON reads a body as clients send it: numbers keep their digits, ids must never become floats.
func decodeJSON(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the JSON value")
	}
	return v, nil
}

const maxBody = 100 << 20 // bytes

// send writes an answer.
func (a answer) send(w http.ResponseWriter) {
	a.headers(w.Header())
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (a answer) headers(h http.Header) {
	for k, vs := range a.header {
		h[k] = vs
	}
	if len(a.body) == 0 {
		return
	}
	if h.Get("Content-Type") == "" {
		ct := a.contentType
		if ct == "" {
			ct = "application/json;charset=UTF-8"
		}
		h.Set("Content-Type", ct)
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
}
