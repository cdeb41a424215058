package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"hookline/internal/zoho/sandbox/sandboxtest"
	"hookline/internal/zoho/specification"
)

// crm is a program that is connected to one organisation.
type crm struct {
	t      testing.TB
	server *sandboxtest.Server
	org    string
	tokens sandboxtest.Tokens
	header http.Header
	keep   func(specification.Exchange) // what the specification's test judges; nil elsewhere
}

// books are those of tests that judge exchanges, by the test's name.
var books sync.Map

// everyScope is what there is to ask for, beyond what Hookline does.
const everyScope = sandboxtest.Scopes + ",ZohoCRM.change_owner.CREATE,ZohoCRM.notifications.ALL,ZohoCRM.composite_requests.CUSTOM"

func connect(t testing.TB, s *sandboxtest.Server, edition, centre string) *crm {
	t.Helper()
	g := s.Control.Grant(sandboxtest.GrantRequest{
		ClientID: s.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: everyScope, NewOrg: &sandboxtest.NewOrg{Edition: edition, Centre: centre},
	})
	c := &crm{t: t, server: s, org: g.OrgID, tokens: s.Control.Exchange(g), header: http.Header{}}
	test, _, _ := strings.Cut(t.Name(), "/")
	if book, ok := books.Load(test); ok {
		c.keep = book.(*specification.Book).Keep
	}
	return c
}

// connected is a program on a sandbox of its own, whose search index does not lag.
func connected(t testing.TB) *crm {
	t.Helper()
	s := sandboxtest.New(t)
	s.Control.Settings("", map[string]any{"search_index_lag_ms": 0})
	return connect(t, s, "enterprise", "us")
}

// as is the same program with the consent of another of the organisation's people: 1 may not change settings, 2 may only look.
func (c *crm) as(person int) *crm {
	c.t.Helper()
	var orgs struct {
		Data []struct{ Users []struct{ ID string } }
	}
	control := c.server.Control
	control.Do("GET", "orgs?org="+c.org, nil, &orgs)
	out := *c
	out.tokens = control.Exchange(control.Grant(sandboxtest.GrantRequest{
		ClientID: control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: everyScope, Org: c.org, User: orgs.Data[0].Users[person].ID,
	}))
	return &out
}

// reply is an answer of the CRM, its JSON read with numbers as they are.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	raw    string
	json   any
}

func (c *crm) do(method, path string, body any) reply {
	c.t.Helper()
	var sent []byte
	switch b := body.(type) {
	case nil:
	case string:
		sent = []byte(b)
	default:
		var err error
		if sent, err = json.Marshal(b); err != nil {
			c.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, c.tokens.APIDomain+path, bytes.NewReader(sent))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	if req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Zoho-oauthtoken "+c.tokens.Access)
	}
	r := send(c.t, req)
	if _, rest, ok := strings.Cut(req.URL.Path, "/crm/v8/"); ok && c.keep != nil {
		c.keep(specification.Exchange{
			Method: method, Path: "/crm/v8/" + rest, Query: req.URL.RawQuery, RequestHeader: req.Header, RequestBody: sent,
			Status: r.status, Header: r.header, Body: []byte(r.raw),
		})
	}
	return r
}

func send(t testing.TB, req *http.Request) reply {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{t: t, status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&out.json); err != nil {
			t.Fatalf("%s %s: %v in %s", req.Method, req.URL, err, raw)
		}
	}
	return out
}

// at follows keys and indexes into the JSON: at("data", 0, "code").
func (r reply) at(path ...any) any {
	v := r.json
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (r reply) text(path ...any) string {
	switch v := r.at(path...).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func (r reply) wants(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.raw)
	}
	return r
}

// refuses checks a per-record refusal of the first record.
func (r reply) refuses(code, apiName string) reply {
	r.t.Helper()
	r.wants(400)
	if got := r.text("data", 0, "code"); got != code {
		r.t.Fatalf("code %s, want %s: %s", got, code, r.raw)
	}
	if got := r.text("data", 0, "details", "api_name"); apiName != "" && got != apiName {
		r.t.Fatalf("api_name %s, want %s: %s", got, apiName, r.raw)
	}
	return r
}

// flat checks a request-level refusal.
func (r reply) flat(status int, code string) reply {
	r.t.Helper()
	r.wants(status)
	if got := r.text("code"); got != code {
		r.t.Fatalf("code %s, want %s: %s", got, code, r.raw)
	}
	return r
}

type object = map[string]any

func data(records ...object) object { return object{"data": records} }

// upload posts a file as a browser's form would.
func (c *crm) upload(path, name, content string) reply {
	c.t.Helper()
	const edge = "----edge"
	return c.with("Content-Type", "multipart/form-data; boundary="+edge).do("POST", path,
		"--"+edge+"\r\nContent-Disposition: form-data; name=\"file\"; filename=\""+name+"\"\r\n\r\n"+content+"\r\n--"+edge+"--\r\n")
}

// form posts fields as multipart/form-data.
func (c *crm) form(path string, pairs ...string) reply {
	c.t.Helper()
	const edge = "----edge"
	body := ""
	for i := 0; i < len(pairs); i += 2 {
		body += "--" + edge + "\r\nContent-Disposition: form-data; name=\"" + pairs[i] + "\"\r\n\r\n" + pairs[i+1] + "\r\n"
	}
	return c.with("Content-Type", "multipart/form-data; boundary="+edge).do("POST", path, body+"--"+edge+"--\r\n")
}

// with is the same program sending one more header.
func (c *crm) with(key, value string) *crm {
	out := *c
	out.header = c.header.Clone()
	out.header.Set(key, value)
	return &out
}

// create makes a record that has to be accepted, and answers its id.
func (c *crm) create(module string, record object) string {
	c.t.Helper()
	return c.do("POST", "/crm/v8/"+module, data(record)).wants(201).text("data", 0, "details", "id")
}

func (c *crm) get(module, id string) reply {
	c.t.Helper()
	return c.do("GET", "/crm/v8/"+module+"/"+id, nil).wants(200)
}

func (c *crm) search(module string, pairs ...string) reply {
	c.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return c.do("GET", "/crm/v8/"+module+"/search?"+v.Encode(), nil)
}

func (c *crm) coql(query string) reply {
	c.t.Helper()
	return c.do("POST", "/crm/v8/coql", object{"select_query": query})
}

func lead(last string) object { return object{"Last_Name": last, "Phone": "+1 (555) 123-4567"} }

func deal(name string) object {
	return object{"Deal_Name": name, "Closing_Date": "2026-12-31", "Pipeline": "Standard (Standard)", "Stage": "Qualification"}
}

func call(more object) object {
	out := object{"Subject": "Inbound call", "Call_Type": "Inbound", "Call_Start_Time": "2026-01-20T15:00:00+00:00", "Call_Duration": "02:05"}
	for k, v := range more {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}
