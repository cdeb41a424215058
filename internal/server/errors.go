package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/a-h/templ"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/web/page"
)

// statusOf turns an error into a status. What is not one of our faults is our own fault.
func statusOf(err error) int {
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		return he.Code
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return http.StatusServiceUnavailable
	}
	switch postgres.CodeOf(err) {
	case "22021", "22P05": // character_not_in_repertoire, untranslatable_character: text that cannot be kept as such
		return http.StatusUnprocessableEntity
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.Unauthorized:
		return http.StatusUnauthorized
	case fault.Throttled:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail is the one place that answers an error: the cause goes to the log with the request's id, the visitor sees
// the sentence that the fault carries, or what its status says.
func (s *Server) fail(err error, c echo.Context) {
	if errors.Is(err, context.Canceled) && ctx(c).Err() != nil {
		c.Set(causeKey, err)
		return // the client has left: nobody reads an answer
	}
	c.Set(causeKey, err)
	if c.Response().Committed {
		return
	}
	status := statusOf(err)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		c.Response().Header().Set("Retry-After", "5")
	}
	p := problemOf(status, fault.SentenceOf(err))
	if status >= http.StatusInternalServerError {
		p.Reference = requestIDOf(c)
	}
	if wantsJSON(c.Request()) {
		s.problemJSON(c, status, p, fault.FieldOf(err))
		return
	}
	if status == http.StatusForbidden && visitorOf(c).member != nil {
		p.Ask = s.owners(c)
	}
	p.Frame = s.frame(c, p.Title, "")
	p.Frame.Live = ""  // it holds a moment, and two answers for what is not there are the same bytes
	p.Frame.Path = "/" // not the one asked for: the page is the same whatever was asked
	var renderErr error
	if p.Frame.Person != "" {
		renderErr = s.page(c, status, page.Problem(p))
	} else {
		renderErr = s.page(c, status, page.PublicProblem(p))
	}
	if renderErr != nil {
		s.Log.Error("error page", "request", requestIDOf(c), "err", renderErr)
	}
}

// owners are whom to ask for a right. The error page must come even when they cannot be read.
func (s *Server) owners(c echo.Context) []string {
	var names []string
	err := s.inTenant(c, func(tx pgx.Tx) error {
		members, err := account.Members(ctx(c), tx, tenantOf(c))
		for _, m := range members {
			if m.Role == account.Owner {
				names = append(names, m.Email)
			}
		}
		return err
	})
	if err != nil {
		s.Log.Error("owners for the error page", "request", requestIDOf(c), "err", err)
	}
	return names
}

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.Header.Get("Accept"), echo.MIMEApplicationJSON)
}

// problemJSON answers as RFC 9457 says.
func (s *Server) problemJSON(c echo.Context, status int, p page.ProblemView, field string) {
	body := map[string]any{"type": "about:blank", "title": p.Title, "status": status, "detail": p.Text}
	if p.Reference != "" {
		body["reference"] = p.Reference
	}
	if field != "" {
		body["field"] = field
	}
	text, err := json.Marshal(body)
	if err == nil {
		err = c.Blob(status, "application/problem+json", text)
	}
	if err != nil {
		s.Log.Error("error answer", "request", requestIDOf(c), "err", err)
	}
}

// problemOf is the error page's text: the sentence where there is one, else what the status means in words.
func problemOf(status int, sentence string) page.ProblemView {
	p := page.ProblemView{Status: status}
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		// One text for every address that leads nowhere, another workspace's included.
		return page.ProblemView{Status: status, Title: "Nothing here", Text: "This address leads to nothing in your workspace. It may have been removed, or the link is not complete."}
	case http.StatusForbidden:
		p.Title, p.Text = "Not allowed", "Your role does not allow this."
	case http.StatusUnauthorized:
		p.Title, p.Text = "Not signed in", "Sign in and try again."
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		p.Title, p.Text = "That did not work", "The form could not be read. Go back and try again."
	case http.StatusConflict, http.StatusPreconditionFailed:
		p.Title, p.Text = "Something changed meanwhile", "Go back, reload the page and try again."
	case http.StatusRequestEntityTooLarge:
		p.Title, p.Text = "Too large", "What was sent is larger than a form may be."
	case http.StatusTooManyRequests:
		p.Title, p.Text = "Too many tries", "Wait a little and try again."
	case http.StatusServiceUnavailable:
		p.Title, p.Text = "Back in a moment", "Hookline cannot reach its database. Nothing was lost: calls that could not be stored are sent again by your phone provider. Try again in a few seconds."
	default:
		p.Title, p.Text = "Our fault", "Something went wrong on our side. Calls that were accepted are safe. Try again; if it stays, send us the reference below."
	}
	if sentence != "" {
		p.Text = sentence
	}
	return p
}

// page renders into a buffer first: a page that fails is a clean error page, not half a page.
func (s *Server) page(c echo.Context, status int, component templ.Component) error {
	var b bytes.Buffer
	if err := component.Render(ctx(c), &b); err != nil {
		return err
	}
	return c.HTMLBlob(status, b.Bytes())
}
