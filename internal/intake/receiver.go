package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hookline/internal/call"
	"hookline/internal/fault/failpoint"
	"hookline/internal/postgres"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// Path is where providers post: Path followed by a source's key.
const Path = "/in/"

// Deps are what a Receiver needs. Zero counts and durations mean the product's own.
type Deps struct {
	DB      *postgres.DB // best a pool of its own, so that no slow page keeps a call waiting
	Keys    *seal.Keys
	Ring    func(...tenant.ID) // told after a commit; nil for nobody
	Now     func() time.Time   // the clock that signed timestamps are compared with
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil for none

	Within     time.Duration // that a sender waits for the database, at most: 1.8 s
	Committers int           // transactions at once: 3
	Batch      int           // events of one transaction at most: 256
	Remember   time.Duration // how long a source is kept in memory: 3 s
}

// Receiver answers POST /in/{key}. Its chain is its own: no session, and the body stays as it came, because that is
// what was signed.
type Receiver struct {
	directory *directory
	commit    *committers
	keys      *seal.Keys
	now       func() time.Time
	log       *slog.Logger
	metrics   *metrics
	within    time.Duration

	mu       sync.RWMutex // held for reading by every request that may still store
	draining bool
}

// New makes a Receiver and starts its committers; Close ends them.
func New(d Deps) *Receiver {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Within == 0 {
		d.Within = 1800 * time.Millisecond
	}
	if d.Committers == 0 {
		d.Committers = 3
	}
	if d.Batch == 0 {
		d.Batch = 256
	}
	if d.Remember == 0 {
		d.Remember = 3 * time.Second
	}
	r := &Receiver{
		directory: &directory{db: d.DB, keys: d.Keys, now: time.Now, keep: d.Remember, known: map[string]cached{}},
		keys:      d.Keys, now: d.Now, log: d.Log, metrics: newMetrics(d.Metrics), within: d.Within,
	}
	r.commit = &committers{db: d.DB, log: d.Log, metrics: r.metrics, ring: d.Ring, most: d.Batch, within: d.Within}
	r.commit.start(d.Committers)
	return r
}

// Close refuses new webhooks with 503 and waits until what is in hand is stored.
func (r *Receiver) Close() {
	r.mu.Lock()
	closed := r.draining
	r.draining = true
	r.mu.Unlock() // every request that may store has been answered
	if !closed {
		r.commit.stop()
	}
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p) // net/http's own way to give up a connection
			}
			r.log.Error("panic in intake", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			r.unavailable(w, "")
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// A sender that trickles its body is cut off; where there is no connection (a simulated call) there is no need.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second))
	if q.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		r.refuse(w, "", http.StatusMethodNotAllowed, "method", "Post the webhook: this address takes no other method.")
		return
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(q.Context(), r.within)
	e, err := r.directory.find(ctx, strings.TrimPrefix(q.URL.Path, Path))
	cancel()
	left := r.within - time.Since(asked) // the database has so long in all, however slowly the body comes
	if errors.Is(err, errUnknownKey) {
		r.refuse(w, "", http.StatusNotFound, "unknown", "No source has this address. Copy it again from the Sources page.")
		return
	}
	if err != nil {
		r.log.Warn("intake key not looked up", "err", err)
		r.unavailable(w, "")
		return
	}
	name := e.provider.Name()
	if !provider.HasContentType(e.provider, q.Header.Get("Content-Type")) {
		r.refuse(w, name, http.StatusUnsupportedMediaType, "content_type", "Send Content-Type: "+strings.Join(e.provider.ContentTypes(), " or ")+".")
		return
	}
	if coding := q.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		r.refuse(w, name, http.StatusUnsupportedMediaType, "content_encoding", "Send the body uncompressed: the signature covers its bytes.")
		return
	}
	body, err := readBody(q, e.provider.MaxBody())
	switch {
	case errors.Is(err, errTooLarge):
		h.Set("Connection", "close") // the rest is not read
		r.refuse(w, name, http.StatusRequestEntityTooLarge, "too_large", "The body is larger than "+strconv.FormatInt(e.provider.MaxBody()>>20, 10)+" MiB.")
		return
	case err != nil:
		h.Set("Connection", "close")
		r.refuse(w, name, http.StatusBadRequest, "cut_short", "The body did not arrive whole.")
		return
	}
	failpoint.Hit("P1")
	if e.provider.Verify(e.secrets, q.Header, body, r.now(), e.settings) != nil {
		r.refuse(w, name, http.StatusUnauthorized, "refused", "The signature or secret does not hold, or its timestamp is more than 5 minutes off.")
		return
	}
	r.take(w, q, e, body, left)
}

// take keeps an authentic webhook.
func (r *Receiver) take(w http.ResponseWriter, q *http.Request, e *endpoint, body []byte, left time.Duration) {
	name := e.provider.Name()
	reading, err := e.provider.Normalise(q.Header, body, e.settings)
	if reading.Ignored != "" {
		r.metrics.count(name, "ignored")
		answer(w, http.StatusOK, struct {
			Status string `json:"status"`
		}{"ignored"})
		return
	}
	a, err := r.arrival(q, e, reading, body, err)
	if err != nil {
		r.log.Error("event cannot be written down", "tenant", e.tenant.String(), "err", err)
		r.unavailable(w, name)
		return
	}

	result, err := r.keep(a, time.Now().Add(left))
	if err != nil {
		r.unavailable(w, name)
		return
	}
	failpoint.Hit("P4")
	r.answerStored(w, name, a, result)
	failpoint.Hit("P5")
}

// keep waits for the commit, unless we are shutting down.
func (r *Receiver) keep(a *arrival, until time.Time) (stored, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.draining {
		return stored{}, errDraining
	}
	return r.commit.store(a, until)
}

func (r *Receiver) arrival(q *http.Request, e *endpoint, reading provider.Reading, body []byte, unread error) (*arrival, error) {
	event := call.Event{ID: call.IDOfEvent(e.source, reading.EventID), Kind: reading.Kind, Call: reading.Call, MoreFollow: reading.MoreFollow, Notes: reading.Notes}
	a := &arrival{tenant: e.tenant, source: e.source, event: event.ID, providerCallID: reading.Call.ProviderCallID, kind: reading.Kind}
	if unread != nil {
		u, ok := errors.AsType[*provider.Unreadable](unread)
		if !ok {
			return nil, unread
		}
		event = call.Event{ID: event.ID, Kind: call.KindUnreadable, Problem: u.Problem}
		a.kind, a.providerCallID = call.KindUnreadable, unreadableCallID(event.ID)
		cause, err := unreadableCause(e.source, u.Problem)
		if err != nil {
			return nil, err
		}
		a.cause = string(cause)
	}
	a.call = call.IDOf(e.source, a.providerCallID)
	normalised, err := call.MarshalEvent(event)
	if err != nil {
		return nil, err
	}
	a.normalised = string(normalised)
	a.headers = keptHeaders(q.Header)
	a.raw = SealRaw(r.keys, e.tenant, a.event, body)
	return a, nil
}

func (r *Receiver) answerStored(w http.ResponseWriter, provider string, a *arrival, s stored) {
	// A repeat gets the first answer, also when the first could not be read.
	if s.call == call.IDOf(a.source, unreadableCallID(a.event)) {
		r.metrics.count(provider, map[bool]string{true: "duplicate", false: "needs_attention"}[s.duplicate])
		answer(w, http.StatusOK, struct {
			EventID string `json:"event_id"`
			Status  string `json:"status"`
		}{a.event.String(), "needs_attention"})
		return
	}
	r.metrics.count(provider, map[bool]string{true: "duplicate", false: "stored"}[s.duplicate])
	answer(w, http.StatusOK, struct {
		CallID    string `json:"call_id"`
		EventID   string `json:"event_id"`
		Duplicate bool   `json:"duplicate"`
	}{s.call.String(), a.event.String(), s.duplicate})
}

func (r *Receiver) unavailable(w http.ResponseWriter, provider string) {
	w.Header().Set("Retry-After", "5")
	r.refuse(w, provider, http.StatusServiceUnavailable, "unavailable", "The event was not stored. Send it again.")
}

// refuse answers in RFC 9457's form. One status has one text, whatever led to it.
func (r *Receiver) refuse(w http.ResponseWriter, provider string, status int, result, detail string) {
	r.metrics.count(provider, result)
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, status, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, v)
}

func write(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the sender has gone: it will ask again
}

var errTooLarge = errors.New("body too large")

// readBody reads at most limit bytes, and not one when the sender announces more.
func readBody(q *http.Request, limit int64) ([]byte, error) {
	if q.ContentLength > limit {
		return nil, errTooLarge
	}
	if n := q.ContentLength; n >= 0 {
		body := make([]byte, n)
		_, err := io.ReadFull(q.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(q.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, errTooLarge
	}
	return body, nil
}

// keptHeaders are what helps to understand an event later; never a signature or a token.
func keptHeaders(h http.Header) string {
	kept := make(map[string]string, 4)
	for _, name := range [...]string{"Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp"} {
		if v := h.Get(name); v != "" && len(v) <= 300 {
			kept[strings.ToLower(name)] = strings.ToValidUTF8(strings.ReplaceAll(v, "\x00", ""), "\uFFFD")
		}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return "{}"
	}
	return string(text)
}
