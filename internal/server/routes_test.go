package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/server"
	"hookline/internal/server/servertest"
)

// expectations are all routes and who may use them: the least role, "anyone", or "program" for those with their own
// chain. A route that is not here fails the build's tests, so that nobody adds one without thinking of this.
var expectations = map[string]string{
	"GET /healthz":  "program",
	"GET /readyz":   "program",
	"HEAD /healthz": "program",
	"HEAD /readyz":  "program",
	"GET /static/*": "program",

	"GET /api/v1/openapi.json":        "program",
	"GET /api/v1/calls":               "program",
	"GET /api/v1/calls/:id":           "program",
	"POST /api/v1/calls/:id/replay":   "program",
	"POST /api/v1/calls/:id/put-away": "program",
	"GET /api/v1/connection":          "program",
	"GET /api/v1/stats":               "program",

	"GET /api/v1/draft":                     "program",
	"PUT /api/v1/draft":                     "program",
	"GET /api/v1/draft/changes":             "program",
	"POST /api/v1/publish":                  "program",
	"POST /api/v1/backtest":                 "program",
	"GET /api/v1/versions":                  "program",
	"GET /api/v1/versions/:number":          "program",
	"POST /api/v1/versions/:number/restore": "program",

	"GET /":               "anyone",
	"HEAD /":              "anyone",
	"GET /welcome":        "anyone",
	"POST /theme":         "anyone",
	"GET /signup":         "anyone",
	"POST /signup":        "anyone",
	"GET /check-mail":     "anyone",
	"GET /verify/:token":  "anyone",
	"POST /verify/:token": "anyone",
	"GET /login":          "anyone",
	"POST /login":         "anyone",
	"POST /logout":        "anyone",
	"GET /reset":          "anyone",
	"POST /reset":         "anyone",
	"GET /reset/:token":   "anyone",
	"POST /reset/:token":  "anyone",
	"GET /mail/:box":      "anyone",

	"GET /calls":                   "viewer",
	"GET /calls/export":            "viewer",
	"GET /calls/replay":            "operator",
	"POST /calls/replay":           "operator",
	"GET /calls/:id":               "viewer",
	"POST /calls/:id/settle":       "operator",
	"POST /calls/:id/put-away":     "operator",
	"GET /calls/:id/events/:event": "viewer",
	"POST /test-call":              "operator",
	"GET /live":                    "viewer",
	"GET /health-pill":             "viewer",

	"GET /sources":               "viewer",
	"GET /sources/new":           "admin",
	"POST /sources":              "admin",
	"GET /sources/:id":           "viewer",
	"POST /sources/:id":          "admin",
	"POST /sources/:id/rotate":   "admin",
	"POST /sources/:id/drop":     "admin",
	"GET /sources/:id/delete":    "admin",
	"POST /sources/:id/delete":   "admin",
	"POST /sources/:id/simulate": "operator",

	"GET /rules":                "viewer",
	"POST /rules":               "admin",
	"GET /rules/new":            "admin",
	"GET /rules/try":            "viewer",
	"GET /rules/phrases":        "viewer",
	"POST /rules/phrases":       "admin",
	"POST /rules/phrases/:name": "admin",
	"GET /rules/:id":            "viewer",
	"POST /rules/:id":           "admin",
	"POST /rules/:id/move":      "admin",
	"POST /rules/:id/switch":    "admin",
	"POST /rules/:id/copy":      "admin",
	"POST /rules/:id/delete":    "admin",

	"GET /mapping":                   "viewer",
	"GET /draft":                     "viewer",
	"GET /draft/news":                "viewer",
	"POST /draft/publish":            "admin",
	"POST /draft/undo":               "admin",
	"POST /draft/discard":            "admin",
	"GET /versions":                  "viewer",
	"GET /versions/:n":               "viewer",
	"GET /versions/:n/document":      "viewer",
	"POST /versions/:n/restore":      "admin",
	"GET /mapping/:module":           "viewer",
	"POST /mapping/:module":          "admin",
	"POST /draft/backtest":           "admin",
	"POST /backtests/:id/cancel":     "admin",
	"GET /backtests/:id/calls/:call": "viewer",
	"GET /mapping/import":            "viewer",
	"POST /mapping/import":           "admin",
	"GET /mapping/export/:what":      "viewer",
	"GET /mapping/:module/:field":    "admin",
	"POST /mapping/:module/:field":   "admin",

	"GET /zoho":             "viewer",
	"POST /zoho/connect":    "admin",
	"GET /zoho/callback":    "admin",
	"GET /zoho/confirm":     "admin",
	"POST /zoho/confirm":    "admin",
	"POST /zoho/probe":      "admin",
	"POST /zoho/marker":     "admin",
	"GET /zoho/disconnect":  "admin",
	"POST /zoho/disconnect": "admin",

	"GET /settings":                                "viewer",
	"POST /settings":                               "admin",
	"GET /settings/security":                       "viewer",
	"POST /settings/security/password":             "viewer",
	"POST /settings/security/sessions/:handle/end": "viewer",
	"POST /settings/security/logout-everywhere":    "viewer",
	"GET /settings/team":                           "viewer",
	"GET /settings/keys":                           "admin",
	"POST /settings/keys":                          "admin",
	"POST /settings/keys/:id/revoke":               "admin",
	"GET /settings/audit":                          "admin",
}

var rank = map[string]int{"viewer": 1, "operator": 2, "admin": 3, "owner": 4}

var parameter = regexp.MustCompile(`:\w+|\*`)

// filled is a route's path with random ids in the place of its parameters.
func filled(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(string) string { return uuid.NewString() })
}

// walk goes through the server's own routes; those that echo makes for "not found" have no method of HTTP's.
func walk(t *testing.T, s *servertest.Site, visit func(method, path, needs string)) {
	t.Helper()
	known := map[string]bool{}
	for _, r := range s.Server.Handler().(*echo.Echo).Routes() {
		if r.Method == echo.RouteNotFound {
			continue
		}
		key := r.Method + " " + r.Path
		needs, ok := expectations[key]
		if !ok {
			t.Errorf("route %s has no row in the expectations: who may use it?", key)
			continue
		}
		known[key] = true
		visit(r.Method, r.Path, needs)
	}
	for key := range expectations {
		if !known[key] {
			t.Errorf("expected route %s does not exist", key)
		}
	}
}

func TestEveryRouteAsksForItsRole(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("owner@a.test")
	people := map[string]*servertest.Browser{
		"owner":    owner,
		"admin":    s.Member(owner.Tenant, "admin@a.test", account.Admin),
		"operator": s.Member(owner.Tenant, "operator@a.test", account.Operator),
		"viewer":   s.Member(owner.Tenant, "viewer@a.test", account.Viewer),
	}
	walk(t, s, func(method, path, needs string) {
		if needs == "program" || needs == "anyone" {
			return
		}
		if p := s.Visitor().Send(method, filled(path), url.Values{}); p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, "/login") {
			t.Errorf("%s %s by a visitor: %d to %q, want the sign-in page", method, path, p.Status, p.Location)
		}
		for role, b := range people {
			if rank[role] >= rank[needs] {
				continue // what the route does for those who may is its own test's business
			}
			if p := b.Send(method, filled(path), url.Values{}); p.Status != http.StatusForbidden {
				t.Errorf("%s %s by %s: %d, want 403", method, path, role, p.Status)
			} else if !strings.Contains(p.Body, "owner@a.test") {
				t.Errorf("%s %s by %s: the page does not say whom to ask", method, path, role)
			}
		}
	})
}

func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("owner@a.test")
	viewer := s.Member(owner.Tenant, "viewer@a.test", account.Viewer)
	viewer.Post("/settings", url.Values{"name": {"Mine now"}})
	if log := owner.Get("/settings/audit"); !strings.Contains(log.Body, "Was refused") || !strings.Contains(log.Body, "viewer@a.test") {
		t.Error("the audit log does not name the refusal and whom")
	}
}

func TestNoPageIsFramedCachedOrInline(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("owner@a.test")
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*[^/])?>[^<]|\son\w+=|\sstyle=|<style|javascript:`)
	walk(t, s, func(method, path, needs string) {
		if method != http.MethodGet || needs == "program" || path == "/live" { // the stream never ends
			return
		}
		p := owner.Get(filled(path))
		if csp := p.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("GET %s: content security policy %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"} {
			if got := p.Header.Get(name); got != want {
				t.Errorf("GET %s: %s: %q, want %q", path, name, got, want)
			}
		}
		if found := inline.FindString(p.Body); found != "" {
			t.Errorf("GET %s: inline script or style: %q", path, found)
		}
	})
}

func TestReadinessAnswersGetAndHeadAndNamesEveryReason(t *testing.T) {
	t.Parallel()
	var behind []string
	s := servertest.New(t, func(d *server.Deps) {
		d.Health = server.NewHealth(d.DB, func(context.Context) []string { return behind })
	})
	b := s.Visitor()
	for _, path := range []string{"/healthz", "/readyz", "/"} {
		if p := b.Send(http.MethodHead, path, nil); p.Status != http.StatusOK && p.Status != http.StatusSeeOther || p.Body != "" {
			t.Errorf("HEAD %s: %d %q", path, p.Status, p.Body)
		}
	}
	if p := b.Get("/readyz"); p.Body != `{"status":"ready"}` {
		t.Errorf("ready: %s", p.Body)
	}
	behind = []string{"migrations"}
	s.Server.Health.Drain()
	if p := b.Get("/readyz"); p.Status != http.StatusServiceUnavailable || p.Body != `{"status":"not ready","reasons":["shutting down","migrations"]}` {
		t.Errorf("shutting down and behind: %d %s", p.Status, p.Body)
	}
	if p := b.Get("/healthz"); p.Status != http.StatusOK {
		t.Errorf("alive all the same: %d", p.Status)
	}
}
