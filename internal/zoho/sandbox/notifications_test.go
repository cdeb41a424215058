package sandbox_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

// receiver is a program that is called back; it hands on what came.
func receiver(t *testing.T) (url string, next func() map[string]any, none func()) {
	t.Helper()
	got := make(chan map[string]any, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var v map[string]any
		if r.Method != "POST" || json.Unmarshal(b, &v) != nil {
			t.Errorf("a callback of another kind: %s %s", r.Method, b)
		}
		got <- v
	}))
	t.Cleanup(s.Close)
	next = func() map[string]any {
		t.Helper()
		select {
		case v := <-got:
			return v
		case <-time.After(10 * time.Second):
			t.Fatal("nobody called back")
			return nil
		}
	}
	none = func() {
		t.Helper()
		select {
		case v := <-got:
			t.Fatalf("called back: %v", v)
		default:
		}
	}
	return s.URL + "/told", next, none
}

func TestBehaviour43WatchersAreToldUntilTheyExpire(t *testing.T) {
	t.Parallel()
	c := connected(t)
	url, next, none := receiver(t)
	const path = "/crm/v8/actions/watch"
	watch := func(more object) object {
		out := object{"channel_id": "1000000068001", "events": []string{"Deals.edit", "Leads.create", "Contacts.all"}, "token": "secret", "notify_url": url}
		for k, v := range more {
			if v == nil {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
		return out
	}
	body := func(list ...object) object { return object{"watch": list} }
	expiry := func(r reply) time.Duration {
		at, err := time.Parse(time.RFC3339, r.text("watch", 0, "details", "events", 0, "channel_expiry"))
		if err != nil {
			t.Fatalf("%v: %s", err, r.raw)
		}
		return at.Sub(c.server.Clock.Now()).Round(time.Minute)
	}
	in := func(d time.Duration) string { return c.server.Clock.Now().Add(d).Format(time.RFC3339) }

	made := c.do("POST", path, body(watch(object{"channel_expiry": in(30 * time.Minute), "return_affected_field_values": true}))).wants(201)
	if made.text("watch", 0, "code") != "SUCCESS" || made.text("watch", 0, "details", "events", 0, "resource_name") != "Deals" || made.text("watch", 0, "details", "events", 0, "channel_id") != "1000000068001" || expiry(made) != 30*time.Minute {
		t.Fatalf("created: %s", made.raw)
	}
	dealID := c.create("Deals", deal("x")) // nobody asked for that
	c.do("PUT", "/crm/v8/Deals/"+dealID, data(object{"Stage": "Needs Analysis"})).wants(200)
	told := next()
	ids, fields := told["ids"].([]any), told["affected_fields"].([]any)
	if told["module"] != "Deals" || told["operation"] != "edit" || told["channel_id"] != "1000000068001" || told["token"] != "secret" || ids[0] != dealID || told["server_time"].(float64) < 1e12 {
		t.Fatalf("told: %v", told)
	}
	changed := fields[0].(map[string]any)[dealID].([]any)
	values := told["affected_values"].([]any)[0].(map[string]any)["values"].(map[string]any)
	if len(changed) != 2 || changed[0] != "Probability" || changed[1] != "Stage" || values["Stage"] != "Needs Analysis" {
		t.Fatalf("what changed: %v, %v", changed, values)
	}
	// A person's work is told as well, and several records of a request at once.
	contact := c.server.Control.Put(c.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson"})[0]
	if told := next(); told["module"] != "Contacts" || told["operation"] != "create" {
		t.Fatalf("told: %v", told)
	}
	c.server.Control.Delete(c.org, "Contacts", contact)
	if told := next(); told["operation"] != "delete" || told["ids"].([]any)[0] != contact {
		t.Fatalf("told: %v", told)
	}
	c.do("POST", "/crm/v8/Leads", data(lead("a"), lead("b"))).wants(201)
	if told := next(); len(told["ids"].([]any)) != 2 {
		t.Fatalf("told: %v", told)
	}
	c.server.Control.Settings(c.org, map[string]any{"notify_operation": "insert"})
	c.create("Leads", lead("c"))
	if told := next(); told["operation"] != "insert" {
		t.Fatalf("told: %v", told)
	}

	if r := c.do("GET", path+"?module=Leads", nil).wants(200); r.text("watch", 0, "notify_url") != url || r.text("watch", 0, "events", 0) != "Leads.create" || r.text("info", "count") != "1" {
		t.Fatalf("listed: %s", r.raw)
	}
	t.Run("expiry", func(t *testing.T) {
		if got := expiry(c.do("PATCH", path, body(object{"channel_id": "1000000068001", "channel_expiry": in(6 * 24 * time.Hour)})).wants(200)); got != 6*24*time.Hour {
			t.Errorf("renewed for six days: %v", got)
		}
		if got := expiry(c.do("PUT", path, body(watch(object{"channel_expiry": in(8 * 24 * time.Hour)}))).wants(200)); got != time.Hour {
			t.Errorf("over a week: %v", got)
		}
		if got := expiry(c.do("POST", path, body(watch(nil))).wants(201)); got != time.Hour {
			t.Errorf("where nobody says: %v", got)
		}
		c.do("POST", path, body(watch(object{"channel_id": "2", "events": []string{"Leads.create"}, "channel_expiry": in(2 * time.Hour), "token": "live"}))).wants(201)
		c.server.Clock.Advance(61 * time.Minute)
		c.tokens.Access = refresh(t, c.server, "", c.tokens.Refresh).text("access_token")
		c.create("Leads", lead("d"))
		if told := next(); told["token"] != "live" {
			t.Fatalf("an expired channel called back: %v", told)
		}
		none()
		if r := c.do("GET", path, nil).wants(200); r.text("info", "count") != "1" || r.text("watch", 0, "channel_id") != "2" {
			t.Fatalf("an expired channel is listed: %s", r.raw)
		}
	})
	if r := c.do("DELETE", path+"?channel_ids=2", nil).wants(200); r.text("watch", 0, "details", "channel_id") != "2" {
		t.Fatalf("deleted: %s", r.raw)
	}
	c.do("DELETE", path+"?channel_ids=2", nil).flat(400, "NOT_SUBSCRIBED")
	c.do("DELETE", path, nil).flat(400, "EXPECTED_PARAM_MISSING")
	c.do("GET", path, nil).wants(204)
	c.create("Leads", lead("e"))

	for name, x := range map[string]struct {
		more object
		code string
	}{
		"no channel":            {object{"channel_id": nil}, "MANDATORY_NOT_FOUND"},
		"no address":            {object{"notify_url": nil}, "MANDATORY_NOT_FOUND"},
		"an address that isn't": {object{"notify_url": "told"}, "INVALID_DATA"},
		"no events":             {object{"events": nil}, "MANDATORY_NOT_FOUND"},
		"an unknown event":      {object{"events": []string{"Deals.won"}}, "INVALID_DATA"},
		"an unknown module":     {object{"events": []string{"Things.all"}}, "INVALID_DATA"},
		"a long token":          {object{"token": string(make([]byte, 51))}, "INVALID_DATA"},
		"in the past":           {object{"channel_expiry": in(-time.Hour)}, "INVALID_DATA"},
	} {
		if r := c.do("POST", path, body(watch(x.more))); r.status != 400 || r.text("code") != x.code {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	c.do("PUT", path, body(watch(object{"channel_id": "3"}))).flat(400, "NOT_SUBSCRIBED")
	if r := c.do("POST", path, body(watch(object{"channel_id": "4", "events": []string{"Accounts.create"}}), watch(object{"channel_id": nil}))).wants(207); r.text("watch", 0, "code") != "SUCCESS" || r.text("watch", 1, "code") != "MANDATORY_NOT_FOUND" {
		t.Errorf("mixed: %s", r.raw)
	}
	c.create("Accounts", object{"Account_Name": "barrier"})
	if told := next(); told["module"] != "Accounts" {
		t.Errorf("told of what nobody watches any more: %v", told)
	}
}

func TestNotificationsStayOnThisMachine(t *testing.T) {
	t.Parallel()
	c := connected(t)
	url, next, none := receiver(t)
	watch := func(id, url string) object {
		return object{"watch": []object{{"channel_id": id, "events": []string{"Leads.create"}, "notify_url": url, "token": id}}}
	}
	// This machine under the name that others know it by is as good as another machine.
	outside, called := "http://192.0.2.1/told", make(chan bool, 1)
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			l, err := net.Listen("tcp", ip.IP.String()+":0")
			if err != nil {
				continue
			}
			s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- true })}
			go s.Serve(l)
			defer s.Close()
			outside = "http://" + l.Addr().String() + "/told"
			break
		}
	}
	c.do("POST", "/crm/v8/actions/watch", watch("1", outside)).wants(201)
	c.do("POST", "/crm/v8/actions/watch", watch("2", url)).wants(201)
	c.create("Leads", lead("x"))
	if told := next(); told["token"] != "2" { // one carries them all, in order
		t.Fatalf("told: %v", told)
	}
	none()
	if len(called) > 0 {
		t.Fatalf("%s was called", outside)
	}
}
