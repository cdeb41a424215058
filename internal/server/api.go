package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
)

// apiVersion is of the document, not of the program: it changes with what programs can rely on.
const apiVersion = "1.1"

// api serves /api/v1 in a chain of its own: a bearer key in place of a session. The OpenAPI document is made of the
// same types that answer.
func (s *Server) api() error {
	s.echo.Group("/api/v1").GET("/openapi.json", s.openAPI)
	group := s.echo.Group("/api/v1", bodyLimit, s.bearer)
	settings := huma.DefaultConfig("Hookline", apiVersion)
	settings.DocsPath, settings.SchemasPath, settings.OpenAPIPath, settings.CreateHooks = "", "", "", nil // no page that loads scripts from elsewhere
	settings.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		return strings.TrimPrefix(huma.DefaultSchemaNamer(t, hint), "Api") // apiTurn is a Turn to programs
	})
	settings.Info.Description = "Calls, what became of them in Zoho CRM, how the link to Zoho stands, and the rules and mappings that decide it."
	settings.Servers = []*huma.Server{{URL: s.BaseURL + "/api/v1"}}
	settings.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", BearerFormat: "hk_…", Description: "An API key of the workspace, made under Settings."},
	}
	api := humaecho.NewWithGroup(s.echo, group, settings)
	operate(s, api, "list-calls", http.MethodGet, "/calls", "The calls of the workspace, newest first", account.See, http.StatusOK, s.apiCalls, words{})
	operate(s, api, "show-call", http.MethodGet, "/calls/{id}", "One call with its match, decision, deliveries, attempts and timings", account.See, http.StatusOK, s.apiCall, words{})
	operate(s, api, "replay-call", http.MethodPost, "/calls/{id}/replay", "Send a call through again; what stands in Zoho is kept", account.Operate, http.StatusAccepted, s.apiReplay, words{})
	operate(s, api, "put-call-away", http.MethodPost, "/calls/{id}/put-away", "Say that a person took care of a call that needs one; nothing more of it is written", account.Operate, http.StatusOK, s.apiPutAway, words{})
	operate(s, api, "show-connection", http.MethodGet, "/connection", "The link to Zoho, its credits, and the lane", account.See, http.StatusOK, s.apiConnection, words{})
	operate(s, api, "show-stats", http.MethodGet, "/stats", "How many calls stand where", account.See, http.StatusOK, s.apiStats, words{})
	s.configAPI(api)
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

// slowest is how long a slow operation may take.
const slowest = 10 * time.Minute

// words are what the document tells of an operation beyond its types.
type words struct {
	more    string          // than the summary
	answers map[int]string  // what a status means here
	example any             // of the answer
	slow    bool            // it may answer after minutes
	takes   *ConfigDocument // the operation reads such a document by itself
}

// operate adds one operation: it checks the right of the key and turns faults into problems.
func operate[In, Out any](s *Server, api huma.API, id, method, path, summary string, needs account.Action, status int, do func(context.Context, account.Holder, *In) (*Out, error), tell words) {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Description: tell.more, DefaultStatus: status, Security: []map[string][]string{{"key": {}}},
		Errors:    []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{},
	}
	for code := range tell.answers {
		if code >= http.StatusBadRequest {
			op.Errors = append(op.Errors, code)
		}
	}
	if tell.slow {
		op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			_ = http.NewResponseController(humaecho.Unwrap(ctx).Response()).SetWriteDeadline(time.Now().Add(slowest)) // where there is none, none is needed
			next(ctx)
		}}
	}
	if tell.takes != nil {
		op.SkipValidateBody, op.Errors = true, append(op.Errors, http.StatusBadRequest)
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{}}
	}
	huma.Register(api, op, func(ctx context.Context, in *In) (*Out, error) {
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
	tell.into(&op, api.OpenAPI().Components.Schemas)
}

// into completes what was derived from an operation's types.
func (w words) into(op *huma.Operation, schemas huma.Registry) {
	for code, meaning := range w.answers {
		if r := op.Responses[strconv.Itoa(code)]; r != nil {
			r.Description = meaning
		} else {
			op.Responses[strconv.Itoa(code)] = &huma.Response{Description: meaning}
		}
	}
	if w.example != nil {
		op.Responses[strconv.Itoa(op.DefaultStatus)].Content["application/json"].Example = w.example
	}
	if w.takes != nil {
		*op.RequestBody = huma.RequestBody{Required: true, Description: "The whole document, at most 1 MiB. Modules that it leaves out get their default rows; keys that are not known are refused.",
			Content: map[string]*huma.MediaType{"application/json": {Schema: huma.SchemaFromType(schemas, reflect.TypeFor[ConfigDocument]()), Example: w.takes}}}
	}
}

// problemTypes are the refusals that programs can tell apart, by the cause that a fault carries.
var problemTypes = []struct {
	cause error
	name  string
}{
	{config.ErrStale, "urn:hookline:stale"},
	{config.ErrUntested, "urn:hookline:untested"},
	{config.ErrRefused, "urn:hookline:zoho-refuses"},
	{config.ErrNothing, "urn:hookline:nothing-to-publish"},
	{errNoIfMatch, "urn:hookline:if-match-missing"},
}

// problem is an error as RFC 9457 tells it: the sentence that a fault carries, or what its status means.
func problem(who *caller, err error) error {
	if notModified, ok := errors.AsType[huma.HeadersError](err); ok {
		return notModified
	}
	who.cause = err
	status := statusOf(err)
	if errors.Is(err, config.ErrStale) || errors.Is(err, errNoIfMatch) {
		status = http.StatusPreconditionFailed
	}
	said := problemOf(status, fault.SentenceOf(err))
	p := &huma.ErrorModel{Status: status, Title: said.Title, Detail: said.Text}
	for _, t := range problemTypes {
		if errors.Is(err, t.cause) {
			p.Type = t.name
		}
	}
	if field := fault.FieldOf(err); field != "" {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: said.Text, Location: "body." + field})
	}
	if u, ok := errors.AsType[*config.Unsound](err); ok {
		for _, one := range u.Problems {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: one.Sentence, Location: "body.rules", Value: one.Rule})
		}
	}
	return p
}
