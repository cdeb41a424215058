package sandbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fault is trouble on demand for the requests it matches. Its names are those of the control route.
type fault struct {
	Match struct {
		Method string `json:"method"` // "" = any
		Path   string `json:"path"`   // exact, without query; a trailing * makes it a prefix; "" = any
	} `json:"match"`
	Times       int               `json:"times"`       // 0 = until cleared
	Skip        int               `json:"skip"`        // so many matches pass first
	Probability *float64          `json:"probability"` // nil = 1
	Kind        string            `json:"kind"`        // status, hang, reset, truncate, slow; "" = only the latency
	Status      int               `json:"status"`
	Body        string            `json:"body"`
	Headers     map[string]string `json:"headers"`
	LatencyMS   int               `json:"latency_ms"`
	Effect      string            `json:"effect"` // none: the write does not happen; after: it happens, then the fault

	org string // "" = all
}

const longestHang = 120 * time.Second

func (f *fault) check() error {
	switch {
	case !slices.Contains([]string{"", "status", "hang", "reset", "truncate", "slow"}, f.Kind):
		return fmt.Errorf("kind is status, hang, reset, truncate or slow, not %q", f.Kind)
	case !slices.Contains([]string{"", "none", "after"}, f.Effect):
		return fmt.Errorf("effect is none or after, not %q", f.Effect)
	case f.Kind == "status" && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("a status fault needs a status from 200 to 599")
	case f.Probability != nil && (*f.Probability < 0 || *f.Probability > 1):
		return fmt.Errorf("probability is from 0 to 1")
	case f.Times < 0 || f.Skip < 0 || f.LatencyMS < 0:
		return fmt.Errorf("times, skip and latency_ms are not below zero")
	case f.Kind == "" && f.LatencyMS == 0:
		return fmt.Errorf("a fault needs a kind, or latency_ms")
	}
	return nil
}

// faults are those set now, in the order they were set; the first that matches acts.
type faults struct {
	mu   sync.Mutex
	list []*fault
}

func (fs *faults) set(list []*fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(fs.list, list...)
}

// clear drops an organisation's faults; all of them for "".
func (fs *faults) clear(org string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(f *fault) bool { return org == "" || f.org == org })
}

// match finds the fault that strikes a request, uses one of its times, and waits its latency.
func (fs *faults) match(q *request) *fault {
	f := fs.take(q)
	if f != nil && f.LatencyMS > 0 && f.Kind != "slow" {
		time.Sleep(time.Duration(f.LatencyMS) * time.Millisecond)
	}
	return f
}

func (fs *faults) take(q *request) *fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.list {
		if f.org != "" && (q.org == nil || q.org.ID != f.org) {
			continue
		}
		if f.Match.Method != "" && !strings.EqualFold(f.Match.Method, q.method) {
			continue
		}
		if !f.matchesPath(q.path) && (q.http == nil || !f.matchesPath(q.http.URL.Path)) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Probability != nil && rand.Float64() >= *f.Probability {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				fs.list = slices.Delete(fs.list, i, i+1)
			}
		}
		return f
	}
	return nil
}

func (f *fault) matchesPath(path string) bool {
	if prefix, ok := strings.CutSuffix(f.Match.Path, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return f.Match.Path == "" || f.Match.Path == path
}

// replaces says whether the operation does not run at all. A read has no effect to prevent: it is answered, slowly or in part.
func (f *fault) replaces(write bool) bool {
	switch {
	case f.Effect == "after" || f.Kind == "":
		return false
	case f.Kind == "slow" || f.Kind == "truncate":
		return write
	}
	return true
}

// answer is what the fault says in Zoho's place.
func (f *fault) answer(style429 string) answer {
	a := answer{status: f.Status, body: []byte(f.Body), header: http.Header{}, code: "FAULT"}
	if a.status == 0 {
		a.status = http.StatusInternalServerError
	}
	if f.Body == "" {
		a.body = faultBody(a.status, style429)
	}
	if t := bytes.TrimSpace(a.body); len(t) > 0 {
		switch t[0] {
		case '<':
			a.contentType = "text/html;charset=UTF-8"
		case '{', '[':
		default:
			a.contentType = "text/plain;charset=UTF-8"
		}
	}
	for k, v := range f.Headers {
		a.header.Set(k, v)
	}
	return a
}

// faultBody is what Zoho's own trouble looks like: JSON from the API, HTML from the servers before it.
func faultBody(status int, style429 string) []byte {
	switch status {
	case 204, 304:
		return nil
	case 401:
		return marshal(refuse(401, "INVALID_TOKEN", "invalid oauth token", nil))
	case 429:
		return body429(style429)
	case 502, 504:
		return []byte("<html><head><title>" + http.StatusText(status) + "</title></head><body><h1>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</h1></body></html>\n")
	case 503:
		return marshal(refuse(503, "SERVICE_UNAVAILABLE", "Service is temporarily unavailable", nil))
	}
	return marshal(refuse(status, "INTERNAL_ERROR", "Internal Server Error", nil))
}

// deliver sends an answer the way the fault wants it.
func (f *fault) deliver(w http.ResponseWriter, r *http.Request, a answer) {
	for k, v := range f.Headers {
		if a.header == nil {
			a.header = http.Header{}
		}
		a.header.Set(k, v)
	}
	switch f.Kind {
	case "hang":
		select {
		case <-r.Context().Done():
		case <-time.After(longestHang):
		}
		cut(w, nil)
	case "reset":
		cut(w, nil)
	case "truncate":
		var b bytes.Buffer
		h := http.Header{}
		a.headers(h)
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
		_ = h.Write(&b)
		b.WriteString("\r\n")
		b.Write(a.body[:len(a.body)/2])
		cut(w, b.Bytes())
	case "slow":
		f.trickle(w, r, a)
	default:
		a.send(w)
	}
}

// cut sends what is given and breaks the connection off: with a reset where nothing was sent.
func cut(w http.ResponseWriter, sent []byte) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	if sent != nil {
		_, _ = buf.Write(sent)
		_ = buf.Flush()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// trickle sends the body byte by byte, latency_ms apart (100 when not given).
func (f *fault) trickle(w http.ResponseWriter, r *http.Request, a answer) {
	gap := time.Duration(f.LatencyMS) * time.Millisecond
	if gap == 0 {
		gap = 100 * time.Millisecond
	}
	a.headers(w.Header())
	w.WriteHeader(a.status)
	rc := http.NewResponseController(w)
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := range a.body {
		if _, err := w.Write(a.body[i : i+1]); err != nil {
			return
		}
		_ = rc.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
