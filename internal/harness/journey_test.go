package harness

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/harness/browser"
)

// journey is a person at a browser in front of a fresh program.
type journey struct {
	*browser.Browser
	t      *testing.T
	ctx    context.Context
	system *System
	base   string
	org    string // the organisation that the workspace is connected to
}

const passPhrase = "sailboat quiet lantern"

func newJourney(t *testing.T) *journey {
	t.Helper()
	b := browser.Open(t) // first: it skips where there is no chromium
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	t.Cleanup(cancel)
	s := newSystem(t, ctx, program(t))
	if _, err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &journey{Browser: b, t: t, ctx: ctx, system: s, base: "http://" + s.Addr}
}

func (j *journey) open(path string) { j.t.Helper(); j.Goto(j.base + path) }

// signUp makes an account and a workspace, and confirms the address by the mail that the program keeps.
func (j *journey) signUp(email, business string) {
	j.t.Helper()
	j.open("/signup")
	j.Type("#email", email)
	j.Type("#password", passPhrase)
	j.Type("#business", business)
	j.Choose("#country", "US")
	j.Choose("#zone", "America/Los_Angeles")
	j.Click("Create account")
	j.At("/check-mail")
	j.Goto(j.mailbox())
	j.Sees(email)
	j.Click("Open the link")
	j.Click("Confirm and open Hookline")
	j.At("/")
}

var mailboxAddress = regexp.MustCompile(`http://[^"]+/mail/[0-9a-f]+`)

// mailbox is where the program shows the mail that it cannot send; its log names the address.
func (j *journey) mailbox() string {
	j.t.Helper()
	log, err := os.ReadFile(filepath.Join(j.system.Dir, "program.log"))
	if err != nil {
		j.t.Fatal(err)
	}
	address := mailboxAddress.Find(log)
	if address == nil {
		j.t.Fatal("the log names no address of the kept mail")
	}
	return string(address)
}

// consent goes from the Zoho page to Zoho's own question, and answers it with Accept for a new organisation, or with
// Reject.
func (j *journey) consent(answer string) {
	j.t.Helper()
	j.open("/zoho")
	j.Click("Connect Zoho")
	j.Sees("would like to access your Zoho CRM")
	if !strings.HasPrefix(j.URL(), j.system.SandboxURL+"/oauth/v2/auth?") {
		j.t.Fatalf("the consent page is at %s", j.URL())
	}
	if answer == "Accept" {
		j.ClickOn("#org-new")
		j.Type("#name", "ABC Home Services")
	}
	j.Click(answer)
}

func (j *journey) connect() {
	j.t.Helper()
	j.consent("Accept")
	j.At("/zoho")
	j.Sees("ABC Home Services")
	found := organisation.FindStringSubmatch(j.Text("main"))
	if found == nil {
		j.t.Fatalf("the Zoho page names no organisation:\n%s", j.Text("main"))
	}
	j.org = found[1]
}

var organisation = regexp.MustCompile(`ABC Home Services \((\d+)\)`)

func (j *journey) addSource() {
	j.t.Helper()
	j.open("/sources")
	j.Click("Choose") // the first one offered: the native format
	j.Type("#name", "Front desk")
	j.Click("Add source")
	j.Sees("Waiting for the first call")
}

func (j *journey) control(method, path string, body, into any) {
	j.t.Helper()
	if err := j.system.Control(j.ctx, method, path, body, into); err != nil {
		j.t.Fatal(err)
	}
}

// records are those of a module in the workspace's organisation.
func (j *journey) records(module string) []map[string]any {
	j.t.Helper()
	all, err := j.system.Records(j.ctx, Tenant{Org: j.org}, module)
	if err != nil {
		j.t.Fatal(err)
	}
	return all
}

// silent fails the test when the browser has complained: a script that broke, a resource that the content security
// policy refused.
func (j *journey) silent() {
	j.t.Helper()
	for _, c := range j.Complaints() {
		j.t.Errorf("the browser says: %s", c)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func TestFromSignUpToALeadInZoho(t *testing.T) {
	j := newJourney(t)
	j.signUp("sarah@abc.example", "ABC Home Services")
	j.Sees("Connect Zoho")
	same(t, "the number of ticked steps", ticks(j), 0)

	j.connect()
	probed := browser.Eval[[]string](j.Browser, `[...document.querySelectorAll("table:has(caption)")].filter(t => t.caption.innerText.includes("Rights by module")).flatMap(t => [...t.tBodies[0].rows]).map(r => r.innerText.split(/\s+/).join(" ").trim())`)
	if len(probed) < 5 {
		t.Errorf("the probe shows %q", probed)
	}
	for _, row := range probed {
		if strings.Contains(row, "Missing") || !strings.Contains(row, "Yes") {
			t.Errorf("the probe is not green: %q", row)
		}
	}
	for _, fact := range []string{"ABC Home Services (" + j.org + ")", "United States", "Enterprise"} {
		j.Sees(fact)
	}

	j.addSource()
	j.open("/")
	same(t, "the number of ticked steps", ticks(j), 2)
	// Slow enough that the row is seen on its way.
	j.control(http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": 120}, nil)
	j.Click("Send test call")
	began := time.Now()
	j.Until(`document.querySelector("[data-calls] tbody tr")`)
	browser.Eval[bool](j.Browser, `window.notReloaded = true`)
	j.Until(`document.querySelector("[data-calls] tbody tr .status").innerText.trim() === "Delivered"`)
	took := time.Since(began)
	if !browser.Eval[bool](j.Browser, `window.notReloaded === true`) {
		t.Error("the page was loaded again on the way to Delivered")
	}
	j.Until(`document.querySelectorAll(".steps > .done").length === 4`)
	t.Logf("from the click to Delivered on the page: %v; the checklist says: %s", took.Round(time.Millisecond), j.Text(".card header .num"))
	j.silent()

	leads, calls := j.records("Leads"), j.records("Calls")
	if len(leads) != 1 || len(calls) != 1 {
		t.Fatalf("Zoho has %d Leads and %d Calls", len(leads), len(calls))
	}
	lead, logged := leads[0], calls[0]
	same(t, "Lead_Source", lead["Lead_Source"], "Inbound Call")
	same(t, "Lead_Status", lead["Lead_Status"], "Not Contacted")
	same(t, "Call_Type", logged["Call_Type"], "Inbound")
	who, _ := logged["Who_Id"].(map[string]any)
	what, _ := logged["What_Id"].(map[string]any)
	if lead["id"] == nil || who["id"] != lead["id"] && what["id"] != lead["id"] {
		t.Errorf("the Call is linked to %v and %v, not to Lead %v", who, what, lead["id"])
	}

	name := fmt.Sprintf("%v %v", lead["First_Name"], lead["Last_Name"])
	j.ClickOn("[data-calls] tbody a.open")
	j.Sees("Lead created")
	j.Click("Open Lead in Zoho")
	back := j.Adopt(j.system.SandboxURL)
	j.Sees(name)
	if want := fmt.Sprintf("%s/org/%s/Leads/%v", j.system.SandboxURL, j.org, lead["id"]); j.URL() != want {
		t.Errorf("the link leads to %s, not %s", j.URL(), want)
	}
	j.Sees("Not Contacted")
	back()
	j.silent()
}

// ticks is how many steps of the checklist on the page are done.
func ticks(j *journey) int {
	j.t.Helper()
	j.Until(`document.querySelector(".steps")`)
	return browser.Eval[int](j.Browser, `document.querySelectorAll(".steps > .done").length`)
}

func TestAConsentThatWasNotGivenHereConnectsNothing(t *testing.T) {
	j := newJourney(t)
	j.signUp("ann@abc.example", "Ann's Bakery")

	j.consent("Reject")
	j.At("/zoho?tried=1")
	j.Sees("said no to the request, so nothing was connected")
	j.Sees("Connect Zoho")

	// A callback with a state that this browser never asked for.
	j.open("/zoho/callback?state=made-up&code=1000.x&location=us&accounts-server=" + url.QueryEscape(j.system.SandboxURL))
	j.Sees("This answer was not used")
	j.open("/zoho")
	j.Sees("Connect Zoho")

	// The state of the consent that was given, a second time.
	var landed sync.Map
	stop := j.Watch(func(address string) {
		if strings.HasPrefix(address, j.base+"/zoho/callback?") {
			landed.Store("callback", address)
		}
	})
	j.connect()
	stop()
	used, ok := landed.Load("callback")
	if !ok {
		t.Fatal("the browser never came back from Zoho")
	}
	again, err := url.Parse(used.(string))
	if err != nil {
		t.Fatal(err)
	}
	query := again.Query()
	query.Set("code", "1000.another")
	again.RawQuery = query.Encode()
	j.Goto(again.String())
	j.Sees("was used before")
	j.open("/zoho")
	j.Sees("ABC Home Services (" + j.org + ")")
}

// newestIs waits until the newest call in the log has a status.
func (j *journey) newestIs(status string) {
	j.t.Helper()
	j.Until(fmt.Sprintf(`document.querySelector("[data-calls] tbody .status")?.innerText.trim() === %q`, status))
}

// publish makes the draft live without a backtest.
func (j *journey) publish() {
	j.t.Helper()
	j.open("/draft")
	j.Click("Publish")
	j.Sees("Publish without a backtest?")
	j.Complaints() // the question is a 409
	j.Click("Publish without it")
	j.Sees("is live. The next call follows it.")
}

// replay asks for the call on the page to be sent through again, and waits until it is delivered.
func (j *journey) replay() {
	j.t.Helper()
	page := j.URL()
	j.Click("Replay")
	j.Sees("Replay 1 call?")
	j.Click("Replay")
	j.Until(`!location.pathname.endsWith("/replay")`)
	j.Goto(page)
	j.Until(`document.querySelector(".page-head .badge")?.innerText.trim() === "Delivered"`)
}

func TestARefusedFieldIsMendedInTheMappingAndReplayedOnce(t *testing.T) {
	j := newJourney(t)
	j.signUp("joe@abc.example", "Joe's Plumbing")
	j.connect()
	j.addSource()
	j.open("/")
	j.Click("Send test call")
	j.newestIs("Delivered")

	// Somebody at Zoho makes a field mandatory: the next new caller's Lead is refused.
	j.control(http.MethodPost, "/_sandbox/settings?org="+j.org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}}, nil)
	j.open("/")
	j.Click("Send test call")
	j.newestIs("Needs attention")
	same(t, "the number of Leads", len(j.records("Leads")), 1)

	// The call's page says what is wrong, and shows the request that failed without the token.
	j.ClickOn("[data-calls] tbody a.open")
	j.Sees("Fix the mapping")
	if text := j.Text(".cause"); !strings.Contains(text, "Industry") || !strings.Contains(text, "Leads") {
		t.Errorf("the cause reads %q", text)
	}
	call := j.URL()
	j.Until(`[...document.querySelectorAll("details.attempt")].some(d => d.textContent.includes("MANDATORY_NOT_FOUND"))`)
	failed := browser.Eval[string](j.Browser, `[...document.querySelectorAll("details.attempt")].map(d => d.textContent).find(t => t.includes("MANDATORY_NOT_FOUND")) || ""`)
	for _, part := range []string{"POST /crm/v8/Leads", "MANDATORY_NOT_FOUND", "Industry", "Last_Name"} {
		if !strings.Contains(failed, part) {
			t.Errorf("the failed request and its answer lack %q: %s", part, failed)
		}
	}
	if html := browser.Eval[string](j.Browser, `document.documentElement.outerHTML`); strings.Contains(html, "1000.") {
		t.Error("a token stands on the page")
	}

	// The button leads to the row; a value there mends it.
	j.Click("Fix the mapping")
	j.Until(`location.pathname === "/mapping/Leads" && location.hash === "#field-Industry"`)
	j.Until(`(box => box && box.top >= 0 && box.bottom <= innerHeight)(document.querySelector("#field-Industry")?.getBoundingClientRect())`)
	j.Type("#value-Industry", "Service Provider")
	j.Click("Save")
	j.Sees("Mapping saved")
	j.publish()
	j.Goto(call)
	j.replay()
	leads := j.records("Leads")
	if len(leads) != 2 || len(j.records("Calls")) != 2 {
		t.Fatalf("Zoho has %d Leads and %d Calls, not 2 and 2", len(leads), len(j.records("Calls")))
	}
	with := 0
	for _, lead := range leads {
		if lead["Industry"] == "Service Provider" {
			with++
		}
	}
	same(t, "the number of Leads with the industry", with, 1)

	// Another field, of the second record this time: the Lead that stands is not written again.
	j.control(http.MethodPost, "/_sandbox/settings?org="+j.org, map[string]any{"required": map[string]any{"Calls": []string{"Call_Agenda"}}}, nil)
	j.open("/")
	j.Click("Send test call")
	j.newestIs("Needs attention")
	same(t, "the number of Leads", len(j.records("Leads")), 3)
	j.ClickOn("[data-calls] tbody a.open")
	j.Sees("Call Agenda")
	j.control(http.MethodPost, "/_sandbox/settings?org="+j.org, map[string]any{"required": map[string]any{}}, nil)
	j.replay()
	same(t, "the number of Leads", len(j.records("Leads")), 3)
	same(t, "the number of Calls", len(j.records("Calls")), 3)
	same(t, "the number of requests that create the Lead",
		browser.Eval[int](j.Browser, `[...document.querySelectorAll("details.attempt code.clip")].filter(c => c.textContent === "POST /crm/v8/Leads").length`), 1)
	j.silent()
}

func TestTheSameWebhookTwentyTwoTimesIsOneLeadAndOneCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s := newSystem(t, ctx, program(t))
	if _, err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	tenant, err := s.AddTenant(ctx, "Repeats")
	if err != nil {
		t.Fatal(err)
	}
	c := NewCall(tenant, 1, "+14152000001")
	var fresh, repeated int
	var mu sync.Mutex
	send := func() {
		a, err := Post(ctx, http.DefaultClient, c)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil || a.Status != http.StatusOK:
			t.Errorf("answered %d, %v", a.Status, err)
		case a.Duplicate:
			repeated++
		default:
			fresh++
		}
	}
	send()
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(send)
	}
	senders.Wait()
	same(t, "the number of fresh answers", fresh, 1)
	same(t, "the number of repeated answers", repeated, 20)

	// The same call with other news: no repeat, and an update in place of a record.
	changed := c
	changed.Body = bytes.Replace(c.Body, []byte("asks about Tuesday"), []byte("asks about Friday"), 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, tenant.URL, bytes.NewReader(changed.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = Sign(tenant.Secret, "event-of-the-change", time.Now(), changed.Body)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	same(t, "the answer to the change", resp.StatusCode, http.StatusOK)

	if err := s.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]int{"Leads": 1, "Calls": 1} {
		records, err := s.Records(ctx, tenant, module)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the number of "+module, len(records), want)
		if module == "Calls" && len(records) == 1 && !strings.Contains(fmt.Sprint(records[0]), "Friday") {
			t.Errorf("the Call does not tell the news: %v", records[0])
		}
	}
}
