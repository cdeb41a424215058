package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/static"
)

// Deps are what the server works with. Fields are needed unless they say otherwise.
type Deps struct {
	DB         *postgres.DB
	Log        *slog.Logger
	Now        func() time.Time
	BaseURL    string // public URL without a trailing slash
	Desk       *account.Desk
	Sessions   *account.Sessions
	Zoho       *connection.Connections
	Keys       *seal.Keys
	Sources    *intake.Sources
	Receiver   *intake.Receiver                   // takes simulated calls in
	Feed       *delivery.Feed                     // what the live stream hears
	Bell       *delivery.Bell                     // wakes lanes; nil: they notice within the poll
	Sandbox    bool                               // the Zoho sandbox stands in for Zoho
	SandboxURL string                             // base of the Zoho sandbox; empty where the real Zoho is used
	Intake     http.Handler                       // POST /in/{key}; nil: not found
	Ready      func(ctx context.Context) []string // reasons not to be ready beside the database; nil: none
	Consent    []string                           // origins that the post which starts consent may lead to
	Mailbox    string                             // random path token under which kept mails are shown; empty: nowhere
}

// Server serves pages, intake and the API.
type Server struct {
	Deps
	echo     *echo.Echo
	document []byte // OpenAPI, of the JSON API
	draining atomic.Bool
}

// New builds the server. It listens to nothing yet: Handler is for an http.Server.
func New(d Deps) (*Server, error) {
	base, err := url.Parse(d.BaseURL)
	if err != nil {
		return nil, err
	}
	s := &Server{Deps: d, echo: echo.New()}
	e := s.echo
	e.IPExtractor = echo.ExtractIPDirect() // X-Forwarded-For is anyone's to write
	e.HTTPErrorHandler = s.fail
	e.HideBanner, e.HidePort = true, true

	// The order, once and for all: recover, request id, access line, headers; then for pages body limit, session,
	// cross-origin check, account and tenant, and at last the right that the route needs.
	e.Use(s.recovered, requestID, s.accessLine, headers(base.Scheme == "https", d.Consent))
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/static/*", echo.WrapHandler(static.Handler()))
	if d.Intake != nil {
		e.Pre(intakeFirst(d.Intake))
	}
	if err := s.api(); err != nil {
		return nil, err
	}
	pages := e.Group("", bodyLimit, s.session, crossOrigin(), s.identify)
	for _, r := range s.routes() {
		pages.Add(r.method, r.path, r.handle, s.allow(r.needs))
	}
	return s, nil
}

// Handler is the whole server.
func (s *Server) Handler() http.Handler { return s.echo }

// Drain makes readiness say that the server is shutting down, so that balancers look elsewhere.
func (s *Server) Drain() { s.draining.Store(true) }

// Health serves the two health routes by themselves, for the metrics listener.
func (s *Server) Health() http.Handler {
	e := echo.New()
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	return e
}

func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok")
}

func (s *Server) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	var reasons []string
	if s.draining.Load() {
		reasons = append(reasons, "shutting down")
	}
	if err := s.DB.Ping(ctx); err != nil {
		reasons = append(reasons, "database")
	} else if s.Ready != nil {
		reasons = append(reasons, s.Ready(ctx)...)
	}
	answer, status := map[string]any{"status": "ready"}, http.StatusOK
	if len(reasons) > 0 {
		answer, status = map[string]any{"status": "not ready", "reasons": reasons}, http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return c.Blob(status, echo.MIMEApplicationJSON, body)
}
