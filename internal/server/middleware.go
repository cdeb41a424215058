package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/intake"
)

// keys under which middleware leaves facts on the request.
const (
	idKey      = "request id"
	causeKey   = "cause"
	visitorKey = "visitor"
)

// intakeFirst hands webhooks over before anything else: their chain is the receiver's own, and their answers are small.
func intakeFirst(receiver http.Handler) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !strings.HasPrefix(c.Request().URL.Path, intake.Path) {
				return next(c)
			}
			receiver.ServeHTTP(c.Response(), c.Request())
			return nil
		}
	}
}

// recovered turns a panic into the error page and tells the log where it happened.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if r == http.ErrAbortHandler {
				panic(r) // net/http's own way to give up a connection
			}
			s.Log.Error("panic", "request", requestIDOf(c), "route", c.Path(), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			s.fail(fault.New(fault.Internal, ""), c)
		}()
		return next(c)
	}
}

// requestID names the request in answer and log. A name that the client sends is not believed.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		var b [8]byte
		rand.Read(b[:]) // never fails
		id := hex.EncodeToString(b[:])
		c.Set(idKey, id)
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

func requestIDOf(c echo.Context) string {
	id, _ := c.Get(idKey).(string)
	return id
}

// accessLine writes one line a request: the route, never the URL, which may hold a token or a phone number.
func (s *Server) accessLine(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		defer func() {
			attrs := []any{
				"request", requestIDOf(c), "method", c.Request().Method, "route", c.Path(),
				"status", c.Response().Status, "bytes", c.Response().Size, "took", time.Since(began).Round(10 * time.Microsecond),
			}
			if v, ok := c.Get(visitorKey).(*visitor); ok && v.member != nil {
				attrs = append(attrs, "tenant", v.member.Tenant.ID.String())
			}
			level := slog.LevelInfo
			if cause, ok := c.Get(causeKey).(error); ok {
				attrs = append(attrs, "err", cause)
				if c.Response().Status >= http.StatusInternalServerError {
					level = slog.LevelError
				}
			}
			s.Log.Log(c.Request().Context(), level, "request", attrs...)
		}()
		if err := next(c); err != nil {
			c.Error(err) // answered here, so that the line above knows the status
		}
		return nil
	}
}

// headers set what every answer carries. Scripts, styles and connections are our own; nothing is inline; nobody
// frames us. The referrer policy keeps Origin on our own forms, which no-referrer would not.
func headers(https bool, consent []string) echo.MiddlewareFunc {
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action " +
		strings.Join(append([]string{"'self'"}, consent...), " ") + "; base-uri 'none'; frame-ancestors 'none'"
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := c.Response().Header()
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "same-origin")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-store") // files under /static say otherwise
			if https {
				h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
			}
			return next(c)
		}
	}
}

// maxForm is how many bytes a form may send.
const maxForm = 1 << 20

// bodyLimit refuses what is larger than a form, or no text, before anything reads it.
func bodyLimit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength > maxForm {
			return echo.NewHTTPError(http.StatusRequestEntityTooLarge)
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
		form, err := c.FormParams() // here, because FormValue would hide the error
		if err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return echo.NewHTTPError(http.StatusRequestEntityTooLarge).SetInternal(err)
			}
			return echo.NewHTTPError(http.StatusBadRequest).SetInternal(err)
		}
		for name, values := range form {
			if !isText(name) || slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
				return echo.NewHTTPError(http.StatusBadRequest).SetInternal(errNoText)
			}
		}
		return next(c)
	}
}

var errNoText = fault.New(fault.Invalid, "What was sent holds a character that no text holds. Take it out and try again.")

// isText reports whether PostgreSQL can keep s as text: UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// session reads who the browser says it is.
func (s *Server) session(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.SetRequest(account.WithAddress(c.Request(), c.RealIP()))
		session, err := s.Sessions.Get(c.Request(), account.Cookie)
		if err != nil {
			return err
		}
		c.Set(visitorKey, &visitor{session: session})
		return next(c)
	}
}

// crossOrigin refuses what another site makes a browser post, sign-in included: by Sec-Fetch-Site, else by Origin.
// A plain-text body is no form of ours.
func crossOrigin() echo.MiddlewareFunc {
	protection := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if err := protection.Check(r); err != nil {
				return fault.Wrap(fault.Forbidden, err, "This request came from another site, so it was not carried out.")
			}
			if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Content-Type") != "" {
				switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
				case "application/x-www-form-urlencoded", "multipart/form-data", "application/json":
				default:
					return fault.New(fault.Forbidden, "This is not one of our forms, so it was not carried out.")
				}
			}
			return next(c)
		}
	}
}

// identify finds the person and the tenant behind the session.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := visitorOf(c)
		person, ok := account.PersonOf(v.session)
		if !ok {
			return next(c)
		}
		workspace, ok := account.WorkspaceOf(v.session)
		if ok {
			m, err := account.MemberOf(ctx(c), s.DB, person, workspace)
			switch {
			case err == nil:
				v.member = &m
				return next(c)
			case fault.KindOf(err) != fault.NotFound:
				return err
			}
		}
		// No workspace on the page yet, or the person is a member of it no more: the oldest one left, if any.
		others, err := account.WorkspacesOf(ctx(c), s.DB, person)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			m, err := account.MemberOf(ctx(c), s.DB, person, others[0])
			if err != nil && fault.KindOf(err) != fault.NotFound {
				return err
			}
			if err == nil {
				v.member = &m
			}
		}
		return next(c)
	}
}

// allow lets through who has the right. Others are sent to sign in, or told whom to ask; a refusal is audited.
func (s *Server) allow(needs account.Action) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if needs == anyone {
			return next
		}
		return func(c echo.Context) error {
			v := visitorOf(c)
			if v.member == nil {
				return s.toLogIn(c)
			}
			if v.member.Can(needs) {
				return next(c)
			}
			if err := s.auditRefusal(c, *v.member, needs); err != nil {
				return err
			}
			return fault.New(fault.Forbidden, "Your role in this workspace, "+v.member.Role.Name()+", does not allow this.")
		}
	}
}
