package sandbox_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func consentForm(s *sandboxtest.Server) url.Values {
	return url.Values{
		"client_id": {s.Control.Clients()[0].ID}, "redirect_uri": {sandboxtest.Redirect}, "response_type": {"code"}, "scope": {sandboxtest.Scopes},
		"access_type": {"offline"}, "prompt": {"consent"}, "state": {"s t+ate"},
	}
}

func TestBehaviour41FaultsOnDemand(t *testing.T) {
	t.Parallel()
	c := connected(t)
	ctl := c.server.Control
	leads := sandboxtest.Match{Method: "POST", Path: "/crm/v8/Leads"}
	count := func() int { return ctl.Stats(c.org).Records["Leads"] }
	// post sends a Lead and says what came of it; the connection is of its own, so that no client repeats it.
	post := func(timeout time.Duration) (*http.Response, []byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", c.tokens.APIDomain+"/crm/v8/Leads", strings.NewReader(`{"data":[{"Last_Name":"x"}]}`))
		req.Header.Set("Authorization", "Zoho-oauthtoken "+c.tokens.Access)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp, b, err
	}
	last := func() sandboxtest.Line {
		lines := ctl.Ledger(0)
		return lines[len(lines)-1]
	}

	t.Run("statuses, and only as often as asked", func(t *testing.T) {
		ctl.Faults(c.org,
			sandboxtest.Fault{Match: leads, Kind: "status", Status: 500, Times: 1, Skip: 1},
			sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/settings/*"}, Kind: "status", Status: 502, Times: 1},
			sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/org"}, Kind: "status", Status: 503, Headers: map[string]string{"Retry-After": "7"}, Body: "busy", Times: 1},
		)
		before := count()
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).wants(201)
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).flat(500, "INTERNAL_ERROR")
		if l := last(); l.Fault != "status" || len(l.Effects) != 0 {
			t.Errorf("ledger: %+v", l)
		}
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).wants(201)
		if r := c.do("GET", "/crm/v8/settings/modules", nil).wants(502); !strings.Contains(r.header.Get("Content-Type"), "html") {
			t.Errorf("502 is %s", r.header.Get("Content-Type"))
		}
		ctl.Faults(c.org, sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/users"}, Kind: "status", Status: 503, Times: 1})
		c.do("GET", "/crm/v8/users", nil).flat(503, "SERVICE_UNAVAILABLE")
		if r := c.do("GET", "/crm/v8/org", nil).wants(503); r.raw != "busy" || r.header.Get("Retry-After") != "7" {
			t.Errorf("503: %s", r.raw)
		}
		if count() != before+2 {
			t.Errorf("%d leads, want %d", count(), before+2)
		}
	})
	t.Run("a status after the write happened", func(t *testing.T) {
		before := count()
		ctl.Faults(c.org, sandboxtest.Fault{Match: leads, Kind: "status", Status: 500, Effect: "after", Times: 1})
		c.do("POST", "/crm/v8/Leads", data(lead("x"))).wants(500)
		if count() != before+1 {
			t.Error("the write did not happen")
		}
	})
	for effect, made := range map[string]int{"none": 0, "after": 1} {
		t.Run("reset, effect "+effect, func(t *testing.T) {
			before := count()
			ctl.Faults(c.org, sandboxtest.Fault{Match: leads, Kind: "reset", Effect: effect, Times: 1})
			if _, _, err := post(5 * time.Second); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				t.Errorf("error: %v", err)
			}
			if count() != before+made {
				t.Errorf("%d records made, want %d", count()-before, made)
			}
		})
		t.Run("hang, effect "+effect, func(t *testing.T) {
			before := count()
			ctl.Faults(c.org, sandboxtest.Fault{Match: leads, Kind: "hang", Effect: effect, Times: 1})
			if _, _, err := post(300 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error: %v", err)
			}
			if count() != before+made {
				t.Errorf("%d records made, want %d", count()-before, made)
			}
			if l := last(); l.Status != 0 || l.Fault != "hang" || len(l.Effects) != made {
				t.Errorf("ledger: %+v", l)
			}
		})
	}
	t.Run("an answer cut short", func(t *testing.T) {
		before := count()
		ctl.Faults(c.org, sandboxtest.Fault{Match: leads, Kind: "truncate", Effect: "after", Times: 1})
		resp, b, err := post(5 * time.Second)
		if !errors.Is(err, io.ErrUnexpectedEOF) || resp.StatusCode != 201 || len(b) == 0 {
			t.Errorf("%v %s", err, b)
		}
		if count() != before+1 {
			t.Error("the write did not happen")
		}
	})
	t.Run("a slow body", func(t *testing.T) {
		ctl.Faults(c.org, sandboxtest.Fault{Match: leads, Kind: "slow", Effect: "after", LatencyMS: 1, Times: 1})
		resp, b, err := post(20 * time.Second)
		if err != nil || resp.StatusCode != 201 || !strings.HasSuffix(string(b), "}") {
			t.Errorf("%v %s", err, b)
		}
	})
	t.Run("the token endpoint", func(t *testing.T) {
		ctl.Faults(c.org, sandboxtest.Fault{Match: sandboxtest.Match{Path: "/oauth/v2/token"}, Kind: "status", Status: 503, Times: 1})
		refresh(t, c.server, "", c.tokens.Refresh).wants(503)
		refresh(t, c.server, "", c.tokens.Refresh).wants(200)
	})
	t.Run("another organisation is spared, and DELETE clears", func(t *testing.T) {
		ctl.Faults(c.org, sandboxtest.Fault{Kind: "status", Status: 500})
		other := connect(t, c.server, "enterprise", "eu")
		other.do("GET", "/crm/v8/org", nil).wants(200)
		c.do("GET", "/crm/v8/org", nil).wants(500)
		ctl.ClearFaults(c.org)
		c.do("GET", "/crm/v8/org", nil).wants(200)
	})
	t.Run("a wrong fault is refused", func(t *testing.T) {
		for _, body := range []string{`[{"kind":"explode"}]`, `[{"kind":"status"}]`, `[{"kind":"hang","effekt":"none"}]`, `[{"kind":"reset","probability":2}]`, `[null]`} {
			resp, err := http.Post(c.server.URL+"/_sandbox/faults", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 400 {
				t.Errorf("%s: %d", body, resp.StatusCode)
			}
		}
	})
}

func TestControlRoutesAnswerLoopbackOnly(t *testing.T) {
	t.Parallel()
	sb, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		peer, host, origin, site string
		want                     int
	}{
		"a program on this machine": {"127.0.0.1:5", "127.0.0.1:8090", "", "", 200},
		"by name, over IPv6":        {"[::1]:5", "localhost:8090", "", "", 200},
		"its own page":              {"127.0.0.1:5", "127.0.0.1:8090", "http://127.0.0.1:8090", "same-origin", 200},
		"a peer elsewhere":          {"192.0.2.1:5", "127.0.0.1:8090", "", "", 403},
		"a foreign host name":       {"127.0.0.1:5", "crm.example:8090", "", "", 403},
		"a rebound host name":       {"127.0.0.1:5", "127.0.0.1.evil.example", "", "", 403},
		"a foreign origin":          {"127.0.0.1:5", "127.0.0.1:8090", "https://evil.example", "", 403},
		"another port's page":       {"127.0.0.1:5", "127.0.0.1:8090", "http://127.0.0.1:8080", "", 403},
		"a sandboxed page":          {"127.0.0.1:5", "127.0.0.1:8090", "null", "", 403},
		"a cross-site fetch":        {"127.0.0.1:5", "127.0.0.1:8090", "", "cross-site", 403},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest("GET", "http://"+x.host+"/_sandbox/stats", nil)
			req.RemoteAddr = x.peer
			if x.origin != "" {
				req.Header.Set("Origin", x.origin)
			}
			if x.site != "" {
				req.Header.Set("Sec-Fetch-Site", x.site)
			}
			w := httptest.NewRecorder()
			sb.Handler().ServeHTTP(w, req)
			if w.Code != x.want {
				t.Errorf("status %d, want %d", w.Code, x.want)
			}
		})
	}
}

func TestLedgerTellsWhatTookEffect(t *testing.T) {
	t.Parallel()
	c := connected(t)
	id := c.create("Leads", lead("Johnson"))
	c.do("POST", "/crm/v8/Leads", data(object{})).wants(400)
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"Phone": "1234567"})).wants(200)
	lines := c.server.Control.Ledger(0)
	var told []string
	for i, l := range lines {
		if l.N != uint64(i+1) {
			t.Errorf("line %d has number %d", i+1, l.N)
		}
		told = append(told, fmt.Sprint(l.Method, " ", l.Path, " ", l.Status, " ", l.Code, l.Effects))
	}
	want := []string{
		"POST /oauth/v2/token 200 []",
		"POST /crm/v8/Leads 201 [{Leads " + id + " created}]",
		"POST /crm/v8/Leads 400 MANDATORY_NOT_FOUND[]",
		"PUT /crm/v8/Leads/" + id + " 200 [{Leads " + id + " updated}]",
	}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Fatalf("ledger:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	if after := c.server.Control.Ledger(3); len(after) != 1 || after[0].N != 4 {
		t.Fatalf("after 3: %v", after)
	}
}

func TestResetForgetsRecordsAndKeepsConnections(t *testing.T) {
	t.Parallel()
	c := connected(t)
	ctl := c.server.Control
	c.create("Leads", object{"Last_Name": "x", "Lead_Source": "Odd"})
	ctl.Faults("", sandboxtest.Fault{Kind: "status", Status: 500})
	ctl.Do("POST", "reset", map[string]string{"edition": "free"}, nil)
	s := ctl.Stats("")
	if s.Records["Leads"] != 0 || len(s.Requests) != 0 || s.CreditsUsed != 0 || len(ctl.Ledger(0)) != 0 {
		t.Fatalf("stats after a reset: %+v", s)
	}
	r := c.do("GET", "/crm/v8/org", nil).wants(200)
	if r.text("org", 0, "license_details", "paid_type") != "free" {
		t.Fatalf("edition: %s", r.raw)
	}
	if strings.Contains(c.do("GET", "/crm/v8/settings/fields?module=Leads", nil).raw, "Odd") {
		t.Fatal("a picklist value survived")
	}
	if u := c.do("GET", "/crm/v8/users?type=AllUsers", nil); u.at("users", 2) == nil || u.at("users", 3) != nil {
		t.Fatalf("users: %s", u.raw)
	}
}

func TestAPersonsRecordsPassWithoutChecksButTypes(t *testing.T) {
	t.Parallel()
	c := connected(t)
	ctl := c.server.Control
	id := ctl.Put(c.org, "Contacts", sandboxtest.Record{"Phone": "+15551234567", "Modified_Time": "2026-01-20T10:00:00Z"})[0]
	records := ctl.Records(c.org, "Contacts")
	if len(records) != 1 || records[0].ID() != id || records[0].Text("Phone") != "+15551234567" || records[0].Text("Modified_Time") != "2026-01-20T05:00:00-05:00" {
		t.Fatalf("records: %v", records)
	}
	c.search("Contacts", "phone", "+15551234567").wants(200)
	ctl.Patch(c.org, "Contacts", id, sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+15550000000"})
	c.search("Contacts", "phone", "+15551234567").wants(204)
	if got := c.get("Contacts", id).text("data", 0, "Full_Name"); got != "Johnson" {
		t.Fatalf("name %q", got)
	}
	ctl.Delete(c.org, "Contacts", id)
	c.do("GET", "/crm/v8/Contacts/"+id, nil).wants(204)

	resp, err := http.Post(c.server.URL+"/_sandbox/records/Deals?org="+c.org, "application/json", strings.NewReader(`{"data":[{"Amount":"a lot"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Fatalf("a wrong type: %d", resp.StatusCode)
	}
}

func TestSettingsWithoutAnOrgReachThoseToCome(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	s.Control.Settings("", map[string]any{"strict_picklists": true, "search_index_lag_ms": 0})
	c := connect(t, s, "enterprise", "us")
	c.do("POST", "/crm/v8/Leads", data(object{"Last_Name": "x", "Lead_Source": "Odd"})).refuses("INVALID_DATA", "Lead_Source")
	for _, body := range []string{`{"phone_match":"fuzzy"}`, `{"latency":80}`, `{"required":{"Leeds":["x"]}}`, `[]`} {
		resp, err := http.Post(s.URL+"/_sandbox/settings", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("%s: %d", body, resp.StatusCode)
		}
	}
}

func TestStateOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(t *testing.T) *sandboxtest.Server { return sandboxtest.Start(t, sandbox.Options{Dir: dir}) }
	var org, gone, contact, kept string
	var tokens sandboxtest.Tokens
	var lines int
	var record string
	t.Run("first life", func(t *testing.T) {
		s := open(t)
		c := connect(t, s, "professional", "eu")
		s.Control.Settings(c.org, map[string]any{"unique": map[string][]string{"Calls": {"Hookline_Ref"}}, "search_index_lag_ms": 0})
		l := object{"First_Name": "Сара", "Last_Name": "O\"Neil\n🙂", "Lead_Source": "Odd", "Phone": "+491701234567", "Annual_Revenue": 12.5, "Tag": []object{{"name": "x"}}}
		id := c.create("Leads", l)
		gone = c.create("Leads", lead("Gone"))
		c.do("DELETE", "/crm/v8/Leads/"+gone, nil).wants(200)
		c.create("Calls", call(object{"Hookline_Ref": "hk-1", "What_Id": object{"id": id}, "$se_module": "Leads"}))
		c.do("POST", "/crm/v8/settings/fields?module=Deals", newFields(object{"field_label": "Own", "data_type": "text", "unique": true})).wants(201)
		d := deal("kept")
		d["Own"] = "o-1"
		kept = c.create("Deals", d)
		s.Control.Patch(c.org, "Deals", kept, sandboxtest.Record{"$locked": true})
		c.upload("/crm/v8/Deals/"+kept+"/Attachments", "call.mp3", "ring").wants(200)
		c.do("POST", "/crm/v8/actions/watch", object{"watch": []object{{"channel_id": "7", "events": []string{"Tasks.create"}, "notify_url": "http://127.0.0.1:9/told"}}}).wants(201)
		contact, _ = s.Control.Convert(c.org, id)
		record = c.get("Leads", id).raw
		org, tokens = c.org, c.tokens
		lines = len(s.Control.Ledger(0))
	})
	// A kill in the middle of a write leaves half a line.
	f, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"k":"put","o":"`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, life := range []string{"second life", "third life"} {
		t.Run(life, func(t *testing.T) {
			s := open(t)
			tokens.APIDomain = s.URL + "/eu"
			c := &crm{t: t, server: s, org: org, tokens: tokens, header: http.Header{}}
			if life == "second life" && len(s.Control.Ledger(0)) != lines {
				t.Errorf("%d lines in the ledger, want %d", len(s.Control.Ledger(0)), lines)
			}
			r := c.search("Leads", "phone", "+491701234567", "converted", "both").wants(200)
			if got := c.get("Leads", r.text("data", 0, "id")).raw; got != record {
				t.Errorf("record:\n%s\nwant:\n%s", got, record)
			}
			if r.text("data", 0, "Converted_Contact", "id") != contact {
				t.Errorf("contact: %s", r.raw)
			}
			c.do("POST", "/crm/v8/Calls", data(call(object{"Hookline_Ref": "hk-1"}))).refuses("DUPLICATE_DATA", "Hookline_Ref")
			d := deal("y")
			d["Own"] = "O-1"
			c.do("POST", "/crm/v8/Deals", data(d)).refuses("DUPLICATE_DATA", "Own")
			c.do("PUT", "/crm/v8/Deals/"+kept, data(object{"Amount": 1})).refuses("RECORD_LOCKED", "")
			file := c.do("GET", "/crm/v8/Deals/"+kept+"/Attachments?fields=File_Name", nil).wants(200).text("data", 0, "id")
			if r := c.do("GET", "/crm/v8/Deals/"+kept+"/Attachments/"+file, nil).wants(200); r.raw != "ring" {
				t.Errorf("the file: %q", r.raw)
			}
			c.do("GET", "/crm/v8/actions/watch?channel_id=7", nil).wants(200)
			if id := c.create("Leads", lead("New")); id <= gone {
				t.Errorf("id %s was given before", id)
			}
			if refresh(t, s, "/eu", tokens.Refresh).text("access_token") == "" {
				t.Error("the refresh token died")
			}
			if !strings.Contains(c.do("GET", "/crm/v8/settings/fields?module=Leads", nil).raw, `"Odd"`) {
				t.Error("the added picklist value is gone")
			}
		})
	}
}

func TestTwoProcessesCannotShareADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sb, err := sandbox.New(sandbox.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	if _, err := sandbox.New(sandbox.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("error: %v", err)
	}
}

func TestJournalIsRewrittenWhenMostOfItIsHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var id string
	t.Run("many changes to one record", func(t *testing.T) {
		s := sandboxtest.Start(t, sandbox.Options{Dir: dir})
		orgs := struct{ Data []struct{ ID string } }{}
		s.Control.Do("GET", "orgs", nil, &orgs)
		id = s.Control.Put(orgs.Data[0].ID, "Leads", sandboxtest.Record{"Last_Name": "x"})[0]
		for i := range 1200 {
			s.Control.Patch("", "Leads", id, sandboxtest.Record{"City": fmt.Sprint(i)})
		}
		s.Control.Reset("") // the ledger with it
		id = s.Control.Put(orgs.Data[0].ID, "Leads", sandboxtest.Record{"Last_Name": "y"})[0]
	})
	before, _ := os.Stat(filepath.Join(dir, "journal"))
	t.Run("next start", func(t *testing.T) {
		s := sandboxtest.Start(t, sandbox.Options{Dir: dir})
		if got := s.Control.Records("", "Leads"); len(got) != 1 || got[0].ID() != id {
			t.Fatalf("records: %v", got)
		}
	})
	after, _ := os.Stat(filepath.Join(dir, "journal"))
	if after.Size()*10 > before.Size() {
		t.Fatalf("%d bytes, before %d", after.Size(), before.Size())
	}
}

func TestPublicClientsHabitsAreTaken(t *testing.T) {
	t.Parallel()
	c := connected(t)
	// JSON without a Content-Type, a body of length 0 on DELETE, a query that ends in &, lower-case modules.
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"data":[{"Last_Name":"x"}]}`
	fmt.Fprintf(conn, "POST /crm/v2/leads?x=1& HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", c.tokens.Access, len(body), body)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 201 {
		t.Fatalf("%v %v", resp, err)
	}
}
