package server

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/fault"
)

// apiVersion is of the document, not of the program: it changes with what programs can rely on.
const apiVersion = "1.0"

// api serves /api/v1 in a chain of its own: a bearer key in place of a session. The OpenAPI document is made of the
// same types that answer.
func (s *Server) api() error {
	s.echo.Group("/api/v1").GET("/openapi.json", s.openAPI)
	group := s.echo.Group("/api/v1", bodyLimit, s.bearer)
	config := huma.DefaultConfig("Hookline", apiVersion)
	config.DocsPath, config.SchemasPath, config.OpenAPIPath, config.CreateHooks = "", "", "", nil // no page that loads scripts from elsewhere
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		return strings.TrimPrefix(huma.DefaultSchemaNamer(t, hint), "Api") // apiTurn is a Turn to programs
	})
	config.Info.Description = "Calls, what became of them in Zoho CRM, and how the link to Zoho stands."
	config.Servers = []*huma.Server{{URL: s.BaseURL + "/api/v1"}}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", BearerFormat: "hk_…", Description: "An API key of the workspace, made under Settings."},
	}
	api := humaecho.NewWithGroup(s.echo, group, config)
	operate(s, api, "list-calls", http.MethodGet, "/calls", "The calls of the workspace, newest first", account.See, http.StatusOK, s.apiCalls)
	operate(s, api, "show-call", http.MethodGet, "/calls/{id}", "One call with its match, decision, deliveries, attempts and timings", account.See, http.StatusOK, s.apiCall)
	operate(s, api, "replay-call", http.MethodPost, "/calls/{id}/replay", "Send a call through again; what stands in Zoho is kept", account.Operate, http.StatusAccepted, s.apiReplay)
	operate(s, api, "show-connection", http.MethodGet, "/connection", "The link to Zoho, its credits, and the lane", account.See, http.StatusOK, s.apiConnection)
	operate(s, api, "show-stats", http.MethodGet, "/stats", "How many calls stand where", account.See, http.StatusOK, s.apiStats)
	document, err := json.Marshal(api.OpenAPI())
	s.document = document
	return err
}

func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, s.document)
}

// caller is who asks the API, and what went wrong for the access line.
type caller struct {
	account.Holder
	cause error
}

type callerKey struct{}

// bearer finds the holder of the key. It is the API's sign-in.
func (s *Server) bearer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		scheme, secret, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			secret = ""
		}
		holder, err := account.Authenticate(ctx(c), s.DB, strings.TrimSpace(secret))
		if err != nil {
			if fault.KindOf(err) == fault.Unauthorized {
				c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="hookline"`)
			}
			return err
		}
		who := &caller{Holder: holder}
		c.SetRequest(c.Request().WithContext(context.WithValue(ctx(c), callerKey{}, who)))
		err = next(c)
		if who.cause != nil {
			c.Set(causeKey, who.cause)
		}
		return err
	}
}

// operate adds one operation: it checks the right of the key and turns faults into problems.
func operate[In, Out any](s *Server, api huma.API, id, method, path, summary string, needs account.Action, status int, do func(context.Context, account.Holder, *In) (*Out, error)) {
	huma.Register(api, huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Security: []map[string][]string{{"key": {}}},
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, func(ctx context.Context, in *In) (*Out, error) {
		who := ctx.Value(callerKey{}).(*caller)
		if !who.Role.Can(needs) {
			return nil, problem(who, fault.New(fault.Forbidden, "This key's role, "+strings.ToLower(who.Role.Name())+", does not allow this."))
		}
		out, err := do(ctx, who.Holder, in)
		if err != nil {
			return nil, problem(who, err)
		}
		return out, nil
	})
}

// problem is an error as RFC 9457 tells it: the sentence that a fault carries, or what its status means.
func problem(who *caller, err error) error {
	who.cause = err
	status := statusOf(err)
	p := problemOf(status, fault.SentenceOf(err))
	return &huma.ErrorModel{Status: status, Title: p.Title, Detail: p.Text}
}
