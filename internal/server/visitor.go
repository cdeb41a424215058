package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/tenant"
	"hookline/web/layout"
	"hookline/web/ui"
)

// visitor is who is behind a request, as far as middleware has found out.
type visitor struct {
	session *sessions.Session
	member  *account.Member // nil: not signed in, or member of no workspace
}

func ctx(c echo.Context) context.Context { return c.Request().Context() }

func visitorOf(c echo.Context) *visitor {
	v, _ := c.Get(visitorKey).(*visitor)
	if v == nil {
		return &visitor{}
	}
	return v
}

// memberOf is who is signed in. Only handlers whose route needs a right may ask.
func memberOf(c echo.Context) account.Member { return *visitorOf(c).member }

// tenantOf is the tenant on the page. Only handlers whose route needs a right may ask.
func tenantOf(c echo.Context) tenant.ID { return memberOf(c).Tenant.ID }

// inTenant runs fn in a transaction of the tenant on the page.
func (s *Server) inTenant(c echo.Context, fn func(tx pgx.Tx) error) error {
	return s.DB.InTenant(ctx(c), tenantOf(c), fn)
}

func (s *Server) auditRefusal(c echo.Context, m account.Member, needs account.Action) error {
	return s.DB.InTenant(ctx(c), m.Tenant.ID, func(tx pgx.Tx) error {
		return account.Audit(ctx(c), tx, m.Tenant.ID, m.Email, "access.refused", c.Request().Method+" "+c.Path(),
			map[string]any{"needs": string(needs), "role": string(m.Role)})
	})
}

// toLogIn sends a visitor to sign in, and back here afterwards: after a form, to the page that it stood on, and with a
// word that it was not carried out. htmx is told to load a whole page.
func (s *Server) toLogIn(c echo.Context) error {
	r := c.Request()
	query := url.Values{}
	here := ""
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		query.Set("unsaved", "1")
		here, _ = strings.CutPrefix(r.Referer(), s.BaseURL)
	} else if r.Header.Get("HX-Request") == "" {
		here = r.URL.RequestURI()
	}
	if here = localPath(here); here != "/" {
		query.Set("next", here)
	}
	target := "/login"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if r.Header.Get("HX-Request") != "" {
		c.Response().Header().Set("HX-Redirect", target)
		return c.NoContent(http.StatusUnauthorized)
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// localPath is where a form may lead back to: a path of ours, else home. What browsers read as another host
// (//evil, /\evil, a tab inside) is not local.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return "/"
	}
	return next
}

const (
	themeCookie = "hookline-theme"
	toastCookie = "__Host-hookline-toast"
)

// theme is the visitor's choice: light, dark, or empty for the system's.
func theme(c echo.Context) string {
	cookie, err := c.Cookie(themeCookie)
	if err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return ""
}

// setTheme keeps the choice of the theme switch.
func (s *Server) setTheme(c echo.Context) error {
	cookie := &http.Cookie{Name: themeCookie, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(s.BaseURL, "https:")}
	switch choice := c.FormValue("theme"); choice {
	case "light", "dark":
		cookie.Value = choice
	default:
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
	return c.Redirect(http.StatusSeeOther, localPath(c.FormValue("back")))
}

// seeOther leads on after a form was carried out; the next page says so in a toast.
func (s *Server) seeOther(c echo.Context, path, toast string) error {
	return s.seeOtherWith(c, path, ui.ToastProps{Text: toast})
}

func (s *Server) seeOtherWith(c echo.Context, path string, toast ui.ToastProps) error {
	if toast.Text != "" {
		text, err := json.Marshal(toast)
		if err != nil {
			return err
		}
		c.SetCookie(&http.Cookie{Name: toastCookie, Value: base64.RawURLEncoding.EncodeToString(text),
			Path: "/", MaxAge: 60, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// takeToast is the toast that the last form left, once.
func takeToast(c echo.Context) (toast ui.ToastProps) {
	cookie, err := c.Cookie(toastCookie)
	if err != nil || cookie.Value == "" {
		return toast
	}
	c.SetCookie(&http.Cookie{Name: toastCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(text) > 1000 || json.Unmarshal(text, &toast) != nil || toast.Undo != "" && toast.Undo != undoPath {
		return ui.ToastProps{}
	}
	return toast
}

// frame is what the frame of a page shows; active is the rail's entry, such as "calls".
func (s *Server) frame(c echo.Context, title, active string) layout.Frame {
	f := layout.Frame{Title: title, Active: active, Theme: theme(c), Toast: takeToast(c), Path: c.Request().URL.Path}
	if m := visitorOf(c).member; m != nil {
		f.Workspace, f.Person, f.Role = m.Tenant.Name, m.Email, m.Role.Name()
		f.Live = "/live?since=" + markOf(m.Tenant.ID, time.Now())
		s.stands(c, &f)
	}
	return f
}
