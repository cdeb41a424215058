package server

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/backtest"
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
	Receiver   *intake.Receiver // takes simulated calls in
	Feed       *delivery.Feed   // what the live stream hears
	Backtests  *backtest.Runner
	Bell       *delivery.Bell // wakes lanes; nil: they notice within the poll
	Sandbox    bool           // the Zoho sandbox stands in for Zoho
	SandboxURL string         // base of the Zoho sandbox; empty where the real Zoho is used
	Intake     http.Handler   // POST /in/{key}; nil: not found
	Health     *Health        // shared with the process's other listeners; nil: one of its own
	Consent    []string       // origins that the post which starts consent may lead to
	Mailbox    string         // random path token under which kept mails are shown; empty: nowhere
	NoMail     bool           // mails are written and never sent: what needs one is refused
	Proxies    []netip.Prefix // whose X-Forwarded-For is believed; none: the peer is the visitor
}

// Server serves pages, intake and the API.
type Server struct {
	Deps
	echo     *echo.Echo
	document []byte // OpenAPI, of the JSON API
	users    users
}

// New builds the server. It listens to nothing yet: Handler is for an http.Server.
func New(d Deps) (*Server, error) {
	base, err := url.Parse(d.BaseURL)
	if err != nil {
		return nil, err
	}
	if d.Health == nil {
		d.Health = NewHealth(d.DB, nil)
	}
	s := &Server{Deps: d, echo: echo.New()}
	e := s.echo
	e.IPExtractor = visitorsAddress(d.Proxies)
	e.HTTPErrorHandler = s.fail
	e.HideBanner, e.HidePort = true, true

	// The order, once and for all: recover, request id, access line, headers; then for pages body limit, session,
	// cross-origin check, account and tenant, and at last the right that the route needs.
	e.Use(s.recovered, requestID, s.accessLine, headers(base.Scheme == "https", d.Consent))
	for _, path := range []string{"/healthz", "/readyz"} {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, echo.WrapHandler(d.Health))
	}
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

// visitorsAddress finds who asks. X-Forwarded-For is anyone's to write: only what a trusted proxy has added to it
// counts, so that the address is the nearest one that is no such proxy.
func visitorsAddress(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}
