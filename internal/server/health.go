package server

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"hookline/internal/postgres"
)

// Health answers whether this process lives and whether it should get work: GET and HEAD of /healthz and /readyz.
type Health struct {
	db       *postgres.DB
	ready    func(context.Context) []string
	draining atomic.Bool
}

// NewHealth makes the answers for a process of any role. ready gives reasons not to be ready beside the database and
// the shutting down; nil for none. It is asked only while the database answers.
func NewHealth(db *postgres.DB, ready func(context.Context) []string) *Health {
	return &Health{db: db, ready: ready}
}

// Drain makes readiness say that the process is shutting down, so that balancers look elsewhere.
func (h *Health) Drain() { h.draining.Store(true) }

// ServeHTTP answers the two paths, and no other.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		_, _ = w.Write([]byte("ok"))
	case "/readyz":
		h.readyz(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (h *Health) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	answer := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
	}{Status: "ready"}
	if h.draining.Load() {
		answer.Reasons = append(answer.Reasons, "shutting down")
	}
	if err := h.db.Ping(ctx); err != nil {
		answer.Reasons = append(answer.Reasons, "database")
	} else if h.ready != nil {
		answer.Reasons = append(answer.Reasons, h.ready(ctx)...)
	}
	status := http.StatusOK
	if len(answer.Reasons) > 0 {
		answer.Status, status = "not ready", http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}
