package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/routing"
)

// script is a program that keeps to the OpenAPI document: kin-openapi reads each exchange against it.
type script struct {
	program
	router routers.Router
}

func (p program) script() script {
	p.l.t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData([]byte(p.get("/api/v1/openapi.json").text))
	if err != nil {
		p.l.t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		p.l.t.Errorf("the document is no sound OpenAPI: %v", err)
	}
	doc.Servers = openapi3.Servers{{URL: p.l.URL + "/api/v1"}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		p.l.t.Fatal(err)
	}
	return script{p, router}
}

// said is an answer with what ETag it had.
type said struct {
	answer
	etag string
}

// send asks with headers, and checks what comes back against the document.
func (s script) send(method, path, body string, headers ...string) said {
	s.l.t.Helper()
	r, err := http.NewRequest(method, s.l.URL+path, strings.NewReader(body))
	if err != nil {
		s.l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.l.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.l.t.Fatal(err)
	}
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		s.l.t.Fatalf("%s %s: the document does not know it: %v", method, path, err)
	}
	err = openapi3filter.ValidateResponse(s.l.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(text)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		s.l.t.Errorf("%s %s answers %d, not as the document says: %v", method, path, res.StatusCode, err)
	}
	out := said{answer{status: res.StatusCode, kind: res.Header.Get("Content-Type"), text: string(text)}, res.Header.Get("ETag")}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out.body); err != nil {
			s.l.t.Fatalf("%s %s: %d is no JSON object: %s", method, path, res.StatusCode, text)
		}
	}
	return out
}

// want fails unless the answer has the status and, where it is a problem, the type.
func (a said) want(t *testing.T, what string, status int, kind string) said {
	t.Helper()
	is, _ := a.body["type"].(string)
	if a.status != status || status >= 400 && strings.TrimPrefix(is, "urn:hookline:") != kind {
		t.Errorf("%s: %d %s, want %d %s: %.300s", what, a.status, is, status, kind, a.text)
	}
	return a
}

// document is a configuration as JSON, changed.
func configuration(change func(*config.Set)) string {
	s := config.Defaults()
	change(&s)
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestProgramsReadAndWriteTheDraft(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	p := l.program(owner, account.Admin).script()
	draft := p.send("GET", "/api/v1/draft", "").want(t, "the draft", 200, "")
	if set, err := config.Parse([]byte(draft.text)); err != nil || len(set.Rules.Rules) != 7 || draft.etag != `"0"` {
		t.Errorf("the draft: %v, ETag %s", err, draft.etag)
	}
	if a := p.send("GET", "/api/v1/draft", "", "If-None-Match", `"3", "0"`).want(t, "the draft again", 304, ""); a.etag != `"0"` || a.text != "" {
		t.Errorf("not modified: %s %q", a.etag, a.text)
	}
	changed := configuration(func(s *config.Set) { s.Rules.Rules[0].Off = true })
	p.send("PUT", "/api/v1/draft", changed).want(t, "without If-Match", 412, "if-match-missing")
	p.send("PUT", "/api/v1/draft", changed, "If-Match", `"5"`).want(t, "on another draft", 412, "stale")
	p.send("PUT", "/api/v1/draft", changed, "If-Match", `W/"0"`).want(t, "with a weak tag", 412, "stale")
	a := p.send("PUT", "/api/v1/draft", changed, "If-Match", draft.etag).want(t, "a change", 200, "")
	if a.etag != `"1"` || a.body["rules"].([]any)[0].(map[string]any)["off"] != true {
		t.Errorf("after it: %s %.200s", a.etag, a.text)
	}
	p.send("PUT", "/api/v1/draft", changed, "If-Match", draft.etag).want(t, "the same on the old draft", 412, "stale")
	if again := p.send("PUT", "/api/v1/draft", changed, "If-Match", "*").want(t, "the same", 200, ""); again.etag != `"1"` {
		t.Errorf("what changes nothing is revision %s", again.etag)
	}
	wrong := configuration(func(s *config.Set) { s.Rules.Rules[2].Name, s.Rules.Rules[3].Then = "", nil })
	a = p.send("PUT", "/api/v1/draft", wrong, "If-Match", a.etag).want(t, "wrong rules", 422, "")
	var named []any
	for _, one := range a.body["errors"].([]any) {
		named = append(named, one.(map[string]any)["value"])
	}
	for _, r := range config.Defaults().Rules.Rules[2:4] {
		if !slices.Contains(named, any(r.ID)) {
			t.Errorf("the errors do not name %s: %v", r.ID, named)
		}
	}
	twice := configuration(func(s *config.Set) {
		s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], s.Mappings.Modules["Leads"][0])
	})
	a = p.send("PUT", "/api/v1/draft", twice, "If-Match", "*").want(t, "a row twice", 422, "")
	if !strings.HasPrefix(a.body["errors"].([]any)[0].(map[string]any)["location"].(string), "body.mappings.Leads[") {
		t.Errorf("the row is not named: %s", a.text)
	}
	p.send("PUT", "/api/v1/draft", `{"rules":[],"colour":1}`, "If-Match", "*").want(t, "an unknown key", 422, "")
	p.send("PUT", "/api/v1/draft", `{"rules":"`+strings.Repeat("x", 1<<20)+`"}`, "If-Match", "*").want(t, "too large", 413, "about:blank")
	p.send("PUT", "/api/v1/draft", "", "If-Match", "*").want(t, "nothing", 400, "")
	for _, empty := range []string{`{}`, `null`, `{"rules":[]}`} {
		p.send("PUT", "/api/v1/draft", empty, "If-Match", "*").want(t, "a document that leaves all out: "+empty, 422, "")
	}

	viewer := l.program(owner, account.Viewer).script()
	viewer.send("GET", "/api/v1/draft", "").want(t, "a viewer reads", 200, "")
	viewer.send("PUT", "/api/v1/draft", changed, "If-Match", "*").want(t, "a viewer writes", 403, "")
	viewer.send("POST", "/api/v1/publish", "", "If-Match", "*").want(t, "a viewer publishes", 403, "")
	operator := l.program(owner, account.Operator).script()
	operator.send("POST", "/api/v1/versions/0/restore", "").want(t, "an operator restores", 403, "")
}

func TestProgramsPublishAndGoBack(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	p := l.program(owner, account.Admin).script()
	p.send("POST", "/api/v1/publish", "").want(t, "without If-Match", 412, "if-match-missing")
	p.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", `"0"`).want(t, "nothing", 409, "nothing-to-publish")
	bad := configuration(func(s *config.Set) { s.Mappings.Modules["Leads"][0].Value = "{{ no_such }}" })
	a := p.send("PUT", "/api/v1/draft", bad, "If-Match", "*").want(t, "what Zoho refuses is kept as a draft", 200, "")
	if problems := a.body["problems"].([]any); len(problems) == 0 || problems[0].(map[string]any)["blocking"] != true {
		t.Errorf("the problems: %v", a.body["problems"])
	}
	p.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", a.etag).want(t, "what Zoho refuses", 409, "zoho-refuses")
	p.send("POST", "/api/v1/publish", `{"despite_problems":true}`, "If-Match", a.etag).want(t, "untested", 409, "untested")
	p.send("POST", "/api/v1/publish", `{"skip_backtest":true,"despite_problems":true}`, "If-Match", `"7"`).want(t, "another draft", 412, "stale")
	v := p.send("POST", "/api/v1/publish", `{"why":"Because","skip_backtest":true,"despite_problems":true}`, "If-Match", a.etag).want(t, "publish", 200, "")
	if v.body["number"] != 1.0 || v.body["by"] != "key Wallboard" || v.body["why"] != "Because" || v.etag != `"2"` {
		t.Errorf("published: %s %s", v.etag, v.text)
	}
	p.send("POST", "/api/v1/versions/0/restore", `{"live":0}`).want(t, "another is live", 412, "stale")
	if back := p.send("POST", "/api/v1/versions/0/restore", `{"live":1}`).want(t, "back", 200, ""); back.body["number"] != 2.0 {
		t.Errorf("back: %s", back.text)
	}
	p.send("POST", "/api/v1/versions/0/restore", "").want(t, "back to what is live", 409, "nothing-to-publish")
	p.send("POST", "/api/v1/versions/1/restore", "").want(t, "forth to what Zoho refuses", 409, "zoho-refuses")
	p.send("POST", "/api/v1/versions/1/restore", `{"despite_problems":true}`).want(t, "forth", 200, "")
	p.send("POST", "/api/v1/versions/9/restore", "").want(t, "no version", 404, "")
	p.send("GET", "/api/v1/versions/9", "").want(t, "no version", 404, "")
	p.send("GET", "/api/v1/versions/99999999999", "").want(t, "no number of a version", 404, "")
	p.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", `"99999999999"`).want(t, "no number of a draft", 412, "stale")
	p.send("GET", "/api/v1/versions?cursor=99999999999", "").want(t, "from no number of a version", 200, "")
	if old := p.send("GET", "/api/v1/versions/1", "").want(t, "an old one", 200, ""); !strings.Contains(old.text, "no_such") {
		t.Error("version 1 is not as it was published")
	}
	page := p.send("GET", "/api/v1/versions?limit=2", "").want(t, "the newest two", 200, "")
	rest := p.send("GET", fmt.Sprintf("/api/v1/versions?limit=2&cursor=%v", page.body["next_cursor"]), "").want(t, "the rest", 200, "")
	var numbers []any
	for _, v := range append(page.body["data"].([]any), rest.body["data"].([]any)...) {
		numbers = append(numbers, v.(map[string]any)["number"])
	}
	if fmt.Sprint(numbers) != "[3 2 1]" || rest.body["next_cursor"] != nil {
		t.Errorf("versions %v, then %v", numbers, rest.body["next_cursor"])
	}
}

func TestProgramsSeeWhoChangedTheDraft(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	p := l.program(owner, account.Admin).script()
	p.send("PUT", "/api/v1/draft", configuration(func(s *config.Set) { s.Rules.Rules[0].Off = true }), "If-Match", "*").want(t, "a change", 200, "")
	owner.Post("/rules/lead/switch", map[string][]string{"revision": {"1"}, "on": {"0"}})
	a := p.send("GET", "/api/v1/draft/changes", "").want(t, "changes", 200, "")
	edits := a.body["edits"].([]any)
	if len(edits) != 2 || edits[0].(map[string]any)["by"] != "ann@acme.test" || edits[0].(map[string]any)["yours"] != false || edits[1].(map[string]any)["yours"] != true {
		t.Errorf("the edits: %v", edits)
	}
	if a.body["open"] != true || len(a.body["changes"].([]any)) != 2 {
		t.Errorf("the changes: %s", a.text)
	}
	p.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", a.etag).want(t, "publish", 200, "")
	if a = p.send("GET", "/api/v1/draft/changes", ""); a.body["open"] != false || len(a.body["edits"].([]any)) != 0 {
		t.Errorf("after publishing: %s", a.text)
	}
}

func TestADraftAndItsVersionsAreOneTenants(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	a, b := l.program(l.Owner("a@a.test"), account.Admin).script(), l.program(l.Owner("b@b.test"), account.Admin).script()
	tag := a.send("PUT", "/api/v1/draft", configuration(func(s *config.Set) { s.Rules.Rules[0].Name = "Secret" }), "If-Match", "*").etag
	a.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", tag).want(t, "publish", 200, "")
	for _, path := range []string{"/api/v1/draft", "/api/v1/draft/changes", "/api/v1/versions", "/api/v1/versions/1"} {
		if got := b.send("GET", path, ""); strings.Contains(got.text, "Secret") {
			t.Errorf("%s shows another's: %.200s", path, got.text)
		}
	}
	b.send("GET", "/api/v1/versions/1", "").want(t, "another's version", 404, "")
	b.send("POST", "/api/v1/versions/1/restore", "").want(t, "another's version", 404, "")
}

func TestTwoPublishesAtOnceMakeOneVersion(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	p := l.program(l.Owner("ann@acme.test"), account.Admin).script()
	tag := p.send("PUT", "/api/v1/draft", configuration(func(s *config.Set) { s.Rules.Rules[0].Off = true }), "If-Match", "*").etag
	var all sync.WaitGroup
	got := make([]said, 4)
	for i := range got {
		all.Go(func() { got[i] = p.send("POST", "/api/v1/publish", `{"skip_backtest":true}`, "If-Match", tag) })
	}
	all.Wait()
	made := 0
	for _, a := range got {
		switch {
		case a.status == 200:
			made++
		default:
			a.want(t, "a second publish", 412, "stale")
		}
	}
	if versions := p.send("GET", "/api/v1/versions", "").body["data"].([]any); made != 1 || len(versions) != 1 {
		t.Errorf("%d said that they published, %d versions", made, len(versions))
	}
}

func TestProgramsBacktestADraftAndPublishItOnThat(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	id := l.receive(l.source(owner), sarah())
	l.until(owner, "/calls?status=delivered", id.String())
	p := l.program(owner, account.Admin).script()
	tag := p.send("PUT", "/api/v1/draft", configuration(func(s *config.Set) {
		s.Rules.Rules = append([]routing.Rule{{ID: "none", Name: "Nothing", Then: []routing.Outcome{{Do: routing.Ignore}}}}, s.Rules.Rules...)
	}), "If-Match", "*").etag
	before := l.zoho.Control.Stats("")
	a := p.send("POST", "/api/v1/backtest", `{"last":10}`).want(t, "a backtest", 200, "")
	r := a.body["result"].(map[string]any)
	if a.etag != tag || r["calls"] != 1.0 || r["changed"] != 1.0 || len(r["changes"].([]any)) != 1 {
		t.Errorf("the backtest: %s %.600s", a.etag, a.text)
	}
	if after := l.zoho.Control.Stats(""); !reflect.DeepEqual(before, after) {
		t.Errorf("Zoho was asked: %v, then %v", before, after)
	}
	p.send("POST", "/api/v1/backtest", "").want(t, "without a scope", 200, "")
	p.send("POST", "/api/v1/backtest", `{"days":91}`).want(t, "too long", 422, "")
	p.send("POST", "/api/v1/backtest", `{"days":3,"last":5}`).want(t, "two scopes", 422, "")
	l.program(owner, account.Viewer).script().send("POST", "/api/v1/backtest", "").want(t, "a viewer's", 403, "")
	if err := l.DB.InTenant(t.Context(), owner.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO backtests (tenant_id, id, revision, version, scope, asked_by) VALUES (@tenant, gen_random_uuid(), 1, 0, '{}', 'bob')`,
			pgx.StrictNamedArgs{"tenant": owner.Tenant.UUID()})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p.send("POST", "/api/v1/backtest", "").want(t, "while another runs", 409, "")
	v := p.send("POST", "/api/v1/publish", "", "If-Match", tag).want(t, "publish on it", 200, "")
	if tested, _ := v.body["tested"].(map[string]any); tested["calls"] != 1.0 || tested["changed"] != 1.0 {
		t.Errorf("published on %v", v.body["tested"])
	}
}
