package sandbox_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

// plainBrowser follows no redirect by itself and runs no script.
type plainBrowser struct {
	t    *testing.T
	base string
}

func (b plainBrowser) send(method, path string, form url.Values, header ...string) reply {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := resp.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return reply{t: b.t, status: resp.StatusCode, header: resp.Header, raw: text.String()}
}

func TestConsentPageAsksAndAnswers(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	b := plainBrowser{t, s.URL}
	form := consentForm(s)
	ask := b.send("GET", "/oauth/v2/auth?"+form.Encode(), nil).wants(200)
	for _, want := range []string{"Hookline would like to access your Zoho CRM", "See, add, change and delete records of every module", "Sandbox Organisation", "while you are away", "127.0.0.1:9"} {
		if !strings.Contains(ask.raw, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	csp := ask.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' http://127.0.0.1:9;") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy: %s", csp)
	}
	if m := regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=|<script>|<style>`).FindString(ask.raw); m != "" {
		t.Errorf("the page holds inline code: %s", m)
	}

	answer := func(pairs ...string) *url.URL {
		v := consentForm(s)
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		to, err := url.Parse(b.send("POST", "/oauth/v2/auth", v).wants(303).header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	t.Run("accepting for a new organisation leads to its data centre", func(t *testing.T) {
		to := answer("decision", "accept", "org", "new", "name", "Acme & Söhne", "edition", "professional", "data_centre", "eu")
		q := to.Query()
		if q.Get("location") != "eu" || q.Get("accounts-server") != s.URL+"/eu" || q.Get("state") != "s t+ate" || !strings.HasPrefix(to.String(), sandboxtest.Redirect) {
			t.Fatalf("callback: %s", to)
		}
		tokens := s.Control.Exchange(sandboxtest.Granted{Code: q.Get("code"), AccountsServer: q.Get("accounts-server")})
		c := &crm{t: t, server: s, tokens: tokens, header: http.Header{}}
		if r := c.do("GET", "/crm/v8/org", nil).wants(200); r.text("org", 0, "company_name") != "Acme & Söhne" || r.text("org", 0, "license_details", "paid_type") != "professional" {
			t.Fatalf("org: %s", r.raw)
		}
	})
	t.Run("refusing says access_denied and nothing else", func(t *testing.T) {
		q := answer("decision", "refuse").Query()
		if q.Get("error") != "access_denied" || q.Get("state") != "s t+ate" || q.Has("code") {
			t.Fatalf("callback: %v", q)
		}
	})
	t.Run("a wrong request is never sent back", func(t *testing.T) {
		for name, value := range map[string]string{"redirect_uri": "https://evil.example/cb", "client_id": "x", "scope": "Everything", "response_type": "token"} {
			v := consentForm(s)
			v.Set(name, value)
			b.send("GET", "/oauth/v2/auth?"+v.Encode(), nil).wants(400)
			v.Set("decision", "accept")
			b.send("POST", "/oauth/v2/auth", v).wants(400)
		}
	})
	t.Run("another site cannot answer in a person's place", func(t *testing.T) {
		v := consentForm(s)
		v.Set("decision", "accept")
		v.Set("org", "new")
		b.send("POST", "/oauth/v2/auth", v, "Origin", "https://evil.example").wants(403)
		b.send("POST", "/org", url.Values{"name": {"x"}}, "Sec-Fetch-Site", "cross-site").wants(403)
	})
	t.Run("a wrong form comes back", func(t *testing.T) {
		v := consentForm(s)
		v.Set("decision", "accept")
		v.Set("org", "new")
		v.Set("name", strings.Repeat("x", 101))
		if r := b.send("POST", "/oauth/v2/auth", v).wants(422); !strings.Contains(r.raw, "at most 100 characters") || !strings.Contains(r.raw, strings.Repeat("x", 101)) {
			t.Fatal("the form lost what was typed, or does not say what is wrong")
		}
	})
}

func TestPeopleWorkWithRecordsWithoutScript(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	c := connect(t, s, "enterprise", "us")
	b := plainBrowser{t, s.URL}
	id := c.create("Leads", object{"Last_Name": "O'Neil <b>", "Phone": "+15551234567", "Company": "ABC Corp"})
	home := "/org/" + c.org

	if r := b.send("GET", "/", nil).wants(200); !strings.Contains(r.raw, home+"/Leads") || !strings.Contains(r.raw, "Hookline") {
		t.Fatal("the first page does not show the organisation and who is connected")
	}
	if r := b.send("GET", home+"/Leads", nil).wants(200); !strings.Contains(r.raw, "O&#39;Neil &lt;b&gt;") || !strings.Contains(r.raw, "+15551234567") {
		t.Fatalf("the list does not show the Lead: %s", r.raw)
	}
	b.send("GET", home, nil).wants(303)
	for _, m := range []string{"Contacts", "Accounts", "Deals", "Calls", "Tasks", "Events", "Notes"} {
		b.send("GET", home+"/"+m, nil).wants(200)
		b.send("GET", home+"/"+m+"/new", nil).wants(200)
	}
	lead := home + "/Leads/" + id
	b.send("GET", lead, nil).wants(200)

	t.Run("edit", func(t *testing.T) {
		form := url.Values{"Last_Name": {"Neil"}, "Phone": {"+15551234567"}, "Company": {"ABC Corp"}, "Annual_Revenue": {"50,000"}, "Email_Opt_Out": {"true"}}
		if to := b.send("POST", lead, form).wants(303).header.Get("Location"); !strings.HasPrefix(to, lead) {
			t.Fatal(to)
		}
		r := c.get("Leads", id)
		if r.text("data", 0, "Full_Name") != "Neil" || r.text("data", 0, "Annual_Revenue") != "50000" || r.at("data", 0, "Email_Opt_Out") != true {
			t.Fatalf("saved: %s", r.raw)
		}
		form.Set("Annual_Revenue", "a lot")
		form.Set("Email", "nobody")
		if r := b.send("POST", lead, form).wants(422); !strings.Contains(r.raw, "a lot") || !strings.Contains(r.raw, "This has to be a double") {
			t.Fatal("a refused form lost its input or its reason")
		}
	})
	t.Run("convert", func(t *testing.T) {
		if r := b.send("GET", lead+"?confirm=convert", nil).wants(200); !strings.Contains(r.raw, "Convert this Lead?") {
			t.Fatal("nobody asks")
		}
		to := b.send("POST", lead+"/convert", url.Values{}).wants(303).header.Get("Location")
		if r := b.send("GET", to, nil).wants(200); !strings.Contains(r.raw, "Converted.") || !strings.Contains(r.raw, "Neil") {
			t.Fatal("the Contact is not shown")
		}
	})
	t.Run("create and delete", func(t *testing.T) {
		to := b.send("POST", home+"/Deals/new", url.Values{"Deal_Name": {"Seats"}, "Stage": {"Qualification"}}).wants(303).header.Get("Location")
		to = strings.TrimSuffix(to, "?done=created")
		if r := b.send("GET", to+"?confirm=delete", nil).wants(200); !strings.Contains(r.raw, "goes for good") {
			t.Fatal("nobody asks")
		}
		b.send("POST", to+"/delete", url.Values{}).wants(303)
		b.send("GET", to, nil).wants(404)
	})
	t.Run("the ledger shows what happened", func(t *testing.T) {
		c.do("POST", "/crm/v8/Leads", data(object{})).wants(400)
		r := b.send("GET", "/ledger", nil).wants(200)
		for _, want := range []string{"MANDATORY_NOT_FOUND", "Lead created", "Lead converted", "/crm/v8/Leads"} {
			if !strings.Contains(r.raw, want) {
				t.Errorf("no %q", want)
			}
		}
	})
	domain := c.do("GET", "/crm/v8/org", nil).text("org", 0, "domain_name")
	if to := b.send("GET", "/crm/"+domain+"/tab/Leads/"+id, nil).wants(303).header.Get("Location"); to != lead {
		t.Errorf("Zoho's own address of the record leads to %s", to)
	}
	b.send("GET", "/nowhere", nil).wants(404)
	b.send("GET", home+"/Leads/1", nil).wants(404)
}

func TestLivePagesAreToldOfChanges(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	c := connect(t, s, "enterprise", "us")
	resp, err := http.Get(s.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make(chan string)
	go func() {
		buf := make([]byte, 4096)
		var all string
		for !strings.Contains(all, "event: changed") {
			n, err := resp.Body.Read(buf)
			if err != nil {
				break
			}
			all += string(buf[:n])
		}
		got <- all
	}()
	c.create("Leads", lead("x"))
	select {
	case text := <-got:
		if !strings.Contains(text, "event: changed") {
			t.Fatalf("stream: %q", text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told")
	}
}

func TestAPersonSetsAnOrganisationUp(t *testing.T) {
	t.Parallel()
	c := connected(t)
	b := plainBrowser{t, c.server.URL}
	fields := "/org/" + c.org + "/Leads/fields"
	page := b.send("GET", fields, nil).wants(200)
	for _, want := range []string{`name="required" value="Industry"`, `name="unique" value="Phone"`, "Last_Name"} {
		if !strings.Contains(page.raw, want) {
			t.Errorf("the page of fields has no %s", want)
		}
	}
	if strings.Contains(page.raw, `name="required" value="Last_Name"`) {
		t.Error("what the system demands can be switched off")
	}
	b.send("POST", fields, url.Values{"required": {"Industry", "Created_Time", "Nonsense"}, "unique": {"Phone"}}).wants(303)
	c.do("POST", "/crm/v8/Leads", data(lead("x"))).refuses("MANDATORY_NOT_FOUND", "Industry")
	good := lead("x")
	good["Industry"] = "Service Provider"
	c.create("Leads", good)
	c.do("POST", "/crm/v8/Leads", data(good)).refuses("DUPLICATE_DATA", "Phone")
	ledger := b.send("GET", "/ledger", nil).wants(200).raw
	for _, want := range []string{"Industry is missing: an administrator made it mandatory", "Phone: no duplicates allowed", "Lead created"} {
		if !strings.Contains(ledger, want) {
			t.Errorf("the ledger's page does not say %q", want)
		}
	}
	b.send("POST", fields, url.Values{}).wants(303)
	id := c.create("Leads", lead("x"))

	b.send("POST", fields+"/new", url.Values{"label": {"Call reference"}, "type": {"text"}, "unique": {"true"}}).wants(303)
	ref := lead("x")
	ref["Call_reference"] = "a"
	c.create("Leads", ref)
	c.do("POST", "/crm/v8/Leads", data(ref)).refuses("DUPLICATE_DATA", "Call_reference")
	if again := b.send("POST", fields+"/new", url.Values{"label": {"Call reference"}, "type": {"text"}}).wants(422); !strings.Contains(again.raw, "There is such a field already.") {
		t.Error("a second field of one name is not refused in words")
	}

	settings := "/org/" + c.org + "/settings"
	b.send("GET", settings, nil).wants(200)
	form := url.Values{
		"edition": {"free"}, "credits": {"0"}, "concurrency": {"0"}, "latency_ms": {"0"}, "search_index_lag_ms": {"0"}, "style_429": {"string"}, "phone_match": {"suffix"},
		"task": {"Greet"}, "blueprint": {"true"}, "strict_picklists": {"true"},
	}
	b.send("POST", settings, form).wants(303)
	c.search("Leads", "phone", "5551234567").wants(200)
	if r := c.do("GET", "/crm/v8/Leads/"+c.create("Leads", lead("y"))+"/Tasks?fields=Subject", nil).wants(200); r.text("data", 0, "Subject") != "Greet" {
		t.Errorf("the Lead's task: %s", r.raw)
	}
	form.Set("credits", "many")
	if r := b.send("POST", settings, form).wants(422); !strings.Contains(r.raw, "whole numbers") || !strings.Contains(r.raw, "many") {
		t.Error("a refused form loses what was typed, or does not say why")
	}
	b.send("POST", "/org/"+c.org+"/Leads/"+id+"/lock", url.Values{"lock": {"true"}}).wants(303)
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"City": "Austin"})).refuses("RECORD_LOCKED", "")
	if r := b.send("GET", "/org/"+c.org+"/Leads/"+id, nil).wants(200); !strings.Contains(r.raw, "Locked") || !strings.Contains(r.raw, "Unlock") {
		t.Error("the page does not say that the record is locked")
	}
	b.send("POST", "/org/"+c.org+"/Leads/"+id+"/lock", url.Values{}).wants(303)
	c.do("PUT", "/crm/v8/Leads/"+id, data(object{"City": "Austin"})).wants(200)
}

func TestLedgerNamesTheRuleThatRefused(t *testing.T) {
	t.Parallel()
	c := connected(t)
	rule := func(do func()) string {
		t.Helper()
		do()
		var out struct{ Data []struct{ Rule string } }
		c.server.Control.Do("GET", "ledger", nil, &out)
		return out.Data[len(out.Data)-1].Rule
	}
	settings := func(s map[string]any) { c.server.Control.Settings(c.org, s) }
	other := *c
	other.header = http.Header{"Authorization": {"Zoho-oauthtoken x"}}
	for want, do := range map[string]func(){
		"Last_Name is missing: the system demands it": func() { c.do("POST", "/crm/v8/Leads", data(object{})) },
		"Last_Name: longer than 80":                   func() { c.do("POST", "/crm/v8/Leads", data(lead(strings.Repeat("x", 81)))) },
		"No_of_Employees: has to be integer":          func() { c.do("POST", "/crm/v8/Leads", data(object{"Last_Name": "x", "No_of_Employees": "7"})) },
		"there is no such record":                     func() { c.do("PUT", "/crm/v8/Leads/1", data(object{})) },
		"Stage: Pipeline doesn't contain the Stage":   func() { d := deal("x"); d["Stage"] = "Nowhere"; c.do("POST", "/crm/v8/Deals", data(d)) },
		"Last_Name is missing: the system demands it; Last_Name is missing: the system demands it; Last_Name is missing: the system demands it; and 1 more": func() {
			c.do("POST", "/crm/v8/Leads", data(object{}, object{}, object{}, object{}, lead("x")))
		},
		"Sam Okafor (Read Only) may not create Leads":                         func() { c.as(2).do("POST", "/crm/v8/Leads", data(lead("x"))) },
		"the access token is not known: revoked, pushed out, or long expired": func() { other.do("GET", "/crm/v8/org", nil) },
		"the code was used before, or never was":                              func() { exchange(t, c.server, sandboxtest.Granted{AccountsServer: c.server.URL, Code: "x"}) },
	} {
		if got := rule(do); got != want {
			t.Errorf("the ledger says %q, want %q", got, want)
		}
	}
	settings(map[string]any{"credits": 1})
	if got := rule(func() { c.do("GET", "/crm/v8/org", nil).wants(429) }); !strings.Contains(got, "of 1 credits of the last 24 hours are used, and this costs 1") {
		t.Errorf("out of credits: %q", got)
	}
}
