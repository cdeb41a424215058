package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/provider"
	"hookline/internal/tenant"
)

// Simulate sends a preset's call through the receiver as the source's vendor would send it, signed with the source's
// secret and marked as a test. sandbox, where the connection has one, first gets the person the preset speaks of.
func (s *Sources) Simulate(ctx context.Context, receiver http.Handler, t tenant.ID, id uuid.UUID, preset string, sandbox *Sandbox) (call.ID, error) {
	p, ok := PresetOf(preset)
	if !ok {
		return call.ID{}, fault.Field("preset", "Choose one of the calls shown.")
	}
	o, err := s.Get(ctx, t, id)
	if err != nil {
		return call.ID{}, err
	}
	vendor, ok := provider.ByName(o.Provider)
	if !ok {
		return call.ID{}, errNoSource
	}
	if sandbox != nil {
		if err := sandbox.Stage(ctx, p); err != nil {
			return call.ID{}, fault.Wrap(fault.Unavailable, err, "The Zoho sandbox did not take the person this call needs. Is it running?")
		}
	}
	c := p.Call(time.Now())
	c.Test = true
	chosen := provider.Settings{Checks: o.Checks, Fields: o.Fields}
	body := vendor.Compose(c, chosen)
	address, err := url.Parse(o.URL)
	if err != nil {
		return call.ID{}, fmt.Errorf("reading the address of source %s: %w", id, err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, Path+address.Path[len(address.Path)-len(newKey()):], bytes.NewReader(body))
	if err != nil {
		return call.ID{}, fmt.Errorf("composing a simulated call: %w", err)
	}
	q.Header = vendor.Sign(o.Secrets[0].Reveal(), "sim_"+uuid.NewString(), body, time.Now(), chosen)
	q.Header.Set("User-Agent", "Hookline simulated call")
	var w recorder
	receiver.ServeHTTP(&w, q)
	var told struct {
		CallID string `json:"call_id"`
	}
	if w.status != http.StatusOK || json.Unmarshal(w.body.Bytes(), &told) != nil || told.CallID == "" {
		return call.ID{}, fault.Wrap(fault.Unavailable, fmt.Errorf("the receiver answered %d: %s", w.status, w.body.Bytes()),
			"The simulated call was not taken. Try again in a few seconds.")
	}
	return call.ParseID(told.CallID)
}

// recorder keeps the receiver's answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
