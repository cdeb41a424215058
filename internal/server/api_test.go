package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/server/servertest"
)

// program is one that presents an API key.
type program struct {
	l   *line
	key string
}

func (l *line) program(b *servertest.Browser, role account.Role) program {
	l.t.Helper()
	var key string
	err := l.DB.InTenant(l.t.Context(), b.Tenant, func(tx pgx.Tx) error {
		_, secret, err := account.CreateKey(l.t.Context(), tx, b.Tenant, b.Email, "Wallboard", role)
		key = secret.Reveal()
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return program{l, key}
}

// answer is what the API said.
type answer struct {
	status int
	kind   string
	text   string
	body   map[string]any
}

func (p program) ask(method, path, body string) answer {
	p.l.t.Helper()
	r, err := http.NewRequest(method, p.l.URL+path, strings.NewReader(body))
	if err != nil {
		p.l.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.key != "" {
		r.Header.Set("Authorization", "Bearer "+p.key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.l.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.l.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, kind: res.Header.Get("Content-Type"), text: string(text)}
	if err := json.Unmarshal(text, &a.body); err != nil {
		p.l.t.Fatalf("%s %s: %d is no JSON object: %s", method, path, res.StatusCode, text)
	}
	return a
}

func (p program) get(path string) answer { p.l.t.Helper(); return p.ask(http.MethodGet, path, "") }

// document checks answers against the OpenAPI document that the server serves, by rules of its own.
type document map[string]any

func (d document) at(path ...string) map[string]any {
	here := map[string]any(d)
	for _, step := range path {
		next, _ := here[step].(map[string]any)
		here = next
	}
	return here
}

// check finds where an answer differs from what the document says of the operation and status.
func (d document) check(method, path string, a answer) []string {
	answers := d.at("paths", path, strings.ToLower(method), "responses")
	said, ok := answers[fmt.Sprint(a.status)].(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s %s: the document knows no answer %d", method, path, a.status)}
	}
	content, _ := said["content"].(map[string]any)
	kind, _, _ := strings.Cut(a.kind, ";")
	media, ok := content[kind].(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s %s: the document knows no %s for %d", method, path, kind, a.status)}
	}
	schema, _ := media["schema"].(map[string]any)
	return d.holds(schema, a.body, method+" "+path)
}

func (d document) holds(schema map[string]any, v any, where string) (faults []string) {
	if ref, ok := schema["$ref"].(string); ok {
		return d.holds(d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), v, where)
	}
	var kinds []string
	switch t := schema["type"].(type) {
	case string:
		kinds = []string{t}
	case []any:
		for _, one := range t {
			kinds = append(kinds, one.(string))
		}
	}
	is := map[bool]string{}
	switch v := v.(type) {
	case nil:
		is[true] = "null"
	case string:
		is[true] = "string"
	case bool:
		is[true] = "boolean"
	case float64:
		is[true] = "number"
		if v == float64(int64(v)) && slices.Contains(kinds, "integer") {
			is[true] = "integer"
		}
	case []any:
		is[true] = "array"
	case map[string]any:
		is[true] = "object"
	}
	if len(kinds) > 0 && !slices.Contains(kinds, is[true]) {
		return []string{fmt.Sprintf("%s is %s, the document says %v", where, is[true], kinds)}
	}
	if allowed, ok := schema["enum"].([]any); ok && !slices.Contains(allowed, v) {
		faults = append(faults, fmt.Sprintf("%s is %v, not one of %v", where, v, allowed))
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, one := range v {
			faults = append(faults, d.holds(items, one, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case map[string]any:
		known, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				faults = append(faults, fmt.Sprintf("%s lacks %s", where, name))
			}
		}
		for name, one := range v {
			property, ok := known[name].(map[string]any)
			switch more := schema["additionalProperties"].(type) {
			case map[string]any:
				if !ok {
					property, ok = more, true
				}
			case bool:
				if !ok && more {
					continue
				}
			}
			if !ok {
				faults = append(faults, fmt.Sprintf("%s has %s, of which the document does not know", where, name))
				continue
			}
			faults = append(faults, d.holds(property, one, where+"."+name)...)
		}
	}
	return faults
}

func TestEveryAnswerOfTheAPIIsWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	src := l.source(owner)
	l.work()
	delivered := l.receive(src, sarah())
	l.until(owner, "/calls?status=delivered", delivered.String())
	l.zoho.Control.Settings(org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	other := sarah()
	other.From = "+14155550177"
	refused := l.receive(src, other)
	l.until(owner, "/calls?status=needs_attention", refused.String())
	p := l.program(owner, account.Operator)
	d := document(program{l: l}.get("/api/v1/openapi.json").body)
	for _, ask := range []struct {
		method, path, template, body string
		status                       int
	}{
		{"GET", "/api/v1/calls", "/calls", "", 200},
		{"GET", "/api/v1/calls?status=delivered&q=johnson&limit=1", "/calls", "", 200},
		{"GET", "/api/v1/calls?limit=0", "/calls", "", 422},
		{"GET", "/api/v1/calls?status=lost", "/calls", "", 422},
		{"GET", "/api/v1/calls?cursor=garbage", "/calls", "", 422},
		{"GET", "/api/v1/calls?since=yesterday", "/calls", "", 422},
		{"GET", "/api/v1/calls/" + delivered.String(), "/calls/{id}", "", 200},
		{"GET", "/api/v1/calls/" + refused.String(), "/calls/{id}", "", 200},
		{"GET", "/api/v1/calls/" + uuid.NewString(), "/calls/{id}", "", 404},
		{"GET", "/api/v1/connection", "/connection", "", 200},
		{"GET", "/api/v1/stats", "/stats", "", 200},
		{"POST", "/api/v1/calls/" + delivered.String() + "/put-away", "/calls/{id}/put-away", "", 409},
		{"POST", "/api/v1/calls/" + refused.String() + "/put-away", "/calls/{id}/put-away", "", 200},
		{"POST", "/api/v1/calls/" + uuid.NewString() + "/put-away", "/calls/{id}/put-away", "", 404},
		{"POST", "/api/v1/calls/" + refused.String() + "/replay", "/calls/{id}/replay", `{"config":"newest"}`, 422},
		{"POST", "/api/v1/calls/" + refused.String() + "/replay", "/calls/{id}/replay", `{"config":"original"}`, 202},
		{"POST", "/api/v1/calls/" + delivered.String() + "/replay", "/calls/{id}/replay", "", 202},
	} {
		a := p.ask(ask.method, ask.path, ask.body)
		if a.status != ask.status {
			t.Errorf("%s %s: %d, want %d: %s", ask.method, ask.path, a.status, ask.status, a.text)
		}
		for _, f := range d.check(ask.method, ask.template, a) {
			t.Error(f)
		}
	}
}

func TestAPITellsOneCallWhole(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	id := l.receive(l.source(owner), sarah())
	l.until(owner, "/calls?status=delivered", id.String())
	a := l.program(owner, account.Viewer).get("/api/v1/calls/" + id.String())
	if a.body["status"] != "delivered" || a.body["number"] != "+14155550123" || a.body["name"] != "Sarah Johnson" {
		t.Errorf("the call: %.400s", a.text)
	}
	records := a.body["deliveries"].([]any)
	if len(records) != 2 || records[0].(map[string]any)["zoho_id"] == "" {
		t.Errorf("%d deliveries: %v", len(records), records)
	}
	if trace, _ := a.body["decision"].(map[string]any)["trace"].(map[string]any); len(trace["rules"].([]any)) < 5 {
		t.Errorf("the trace: %v", trace)
	}
	if a.body["match"].(map[string]any)["kind"] != "nobody" {
		t.Errorf("the match: %v", a.body["match"])
	}
	if strings.Contains(strings.ToLower(a.text), "oauthtoken") {
		t.Error("the answer holds a token")
	}
}

func TestAPIKeysHaveTheirTenantAndRole(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	a, b := l.Owner("a@a.test"), l.Owner("b@b.test")
	own := l.receive(l.source(a), sarah()).String()
	foreign := l.receive(l.source(b), sarah()).String()
	viewer := l.program(a, account.Viewer)
	if got := viewer.ask("POST", "/api/v1/calls/"+own+"/replay", ""); got.status != http.StatusForbidden || !strings.HasPrefix(got.kind, "application/problem+json") {
		t.Errorf("a viewer's replay: %d %s", got.status, got.kind)
	}
	random := uuid.NewString()
	operator := l.program(a, account.Operator)
	for _, path := range []string{"/api/v1/calls/%s", "/api/v1/calls/%s/replay", "/api/v1/calls/%s/put-away"} {
		method := map[bool]string{true: "GET", false: "POST"}[strings.HasSuffix(path, "%s")]
		of, with := operator.ask(method, fmt.Sprintf(path, foreign), ""), operator.ask(method, fmt.Sprintf(path, random), "")
		if of.status != http.StatusNotFound || of.text != with.text {
			t.Errorf("%s: foreign %d %s, random %s", path, of.status, of.text, with.text)
		}
	}
	if list := operator.get("/api/v1/calls?q=" + foreign); strings.Contains(list.text, foreign) {
		t.Error("another tenant's call is found")
	}
	stats := operator.get("/api/v1/stats").body["by_status"].(map[string]any)
	if n := stats["received"].(float64) + stats["held"].(float64); n != 1 {
		t.Errorf("the figures count %v calls, want the one of this tenant", n)
	}
	for name, key := range map[string]string{"no key": "", "an unknown key": "hk_" + strings.Repeat("a", 43), "a session's id": a.Cookie(account.Cookie)} {
		if got := (program{l, key}).get("/api/v1/calls"); got.status != http.StatusUnauthorized || !strings.HasPrefix(got.kind, "application/problem+json") {
			t.Errorf("%s: %d %s", name, got.status, got.kind)
		}
	}
	keys, err := keysOf(l, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		a.Post("/settings/keys/"+k.ID.String()+"/revoke", url.Values{})
	}
	if got := operator.get("/api/v1/calls"); got.status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d", got.status)
	}
}

func keysOf(l *line, b *servertest.Browser) (keys []account.Key, err error) {
	err = l.DB.InTenant(l.t.Context(), b.Tenant, func(tx pgx.Tx) error {
		keys, err = account.Keys(l.t.Context(), tx, b.Tenant)
		return err
	})
	return keys, err
}

func TestAPIPagesByCursorToTheEnd(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	for n := range 7 {
		c := sarah()
		c.From = call.Phone(fmt.Sprintf("+1415555%04d", 1000+n))
		l.receive(src, c)
	}
	p := l.program(owner, account.Viewer)
	seen := map[string]bool{}
	path := "/api/v1/calls?limit=3"
	pages := 0
	for next := path; next != ""; pages++ {
		a := p.get(next)
		for _, one := range a.body["data"].([]any) {
			id := one.(map[string]any)["id"].(string)
			if seen[id] {
				t.Errorf("call %s comes twice", id)
			}
			seen[id] = true
		}
		cursor, _ := a.body["next_cursor"].(string)
		next = ""
		if cursor != "" {
			next = path + "&cursor=" + url.QueryEscape(cursor)
		}
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("%d calls on %d pages, want 7 on 3", len(seen), pages)
	}
}

func TestHeldIsReadFromTheLane(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.work()
	id := l.receive(l.source(owner), sarah())
	l.until(owner, "/calls?status="+delivery.Held, id.String())
	p := l.program(owner, account.Viewer)
	if a := p.get("/api/v1/calls/" + id.String()); a.body["status"] != "held" || a.body["reason"] == "" {
		t.Errorf("the call: %v, because %v", a.body["status"], a.body["reason"])
	}
	a := p.get("/api/v1/connection")
	if a.body["status"] != "not_connected" || a.body["lane"].(map[string]any)["state"] != "held" {
		t.Errorf("the connection: %s", a.text)
	}
	if n := p.get("/api/v1/stats").body["by_status"].(map[string]any)["held"]; n != 1.0 {
		t.Errorf("%v calls are held, want 1", n)
	}
	l.connect(owner)
	l.until(owner, "/calls?status=delivered", id.String())
}
