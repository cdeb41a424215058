package harness

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"hookline/internal/harness/browser"
)

// logIn signs in by the form.
func (j *journey) logIn(email, password string) {
	j.t.Helper()
	j.open("/login")
	j.Type("#email", email)
	j.Type("#password", password)
	j.ClickOn("main form button[type=submit]")
	j.Until(`document.querySelector(".topbar")`)
}

// J3: Rules → add keyword "quote" to the Deal rule → Backtest 30 days. Expect: "212 calls, 9 would change", a table old
// outcome → new outcome with links and traces, extra credits a day, zero requests sent to Zoho, provable in the attempt
// log; Publish only after a backtest or an explicit skip, which the audit log records.
func TestAKeywordIsTriedOnTheLastThirtyDaysBeforeItIsPublished(t *testing.T) {
	j := newJourney(t)
	tenant, err := j.system.AddTenant(j.ctx, "Quotes")
	if err != nil {
		t.Fatal(err)
	}
	j.org = tenant.Org
	j.logIn(tenant.Email, "a long enough pass phrase")

	// So far this business has not listened for quotes. Publishing that without a backtest is asked, and written down.
	j.open("/rules/phrases?list=buying")
	const quotes = `[...document.querySelectorAll("#list-buying .chip-x")].filter(chip => /quot/.test(chip.value))`
	for left := browser.Eval[int](j.Browser, quotes+".length"); left > 0; left-- {
		browser.Eval[bool](j.Browser, quotes+"[0].click() || true")
		j.Until(fmt.Sprintf("%s.length < %d", quotes, left))
	}
	j.open("/draft")
	j.Click("Publish")
	j.Sees("Publish without a backtest?")
	j.Complaints() // the question is a 409
	j.Click("Publish without it")
	j.At("/versions")
	j.open("/settings/audit")
	j.Sees("Published rules and mappings without a backtest")

	// 212 calls of 30 Contacts: nine ask for a quote.
	j.control(http.MethodPost, "/_sandbox/settings?org="+j.org, map[string]any{"search_index_lag_ms": 0}, nil)
	var contacts []map[string]any
	for n := range 30 {
		contacts = append(contacts, map[string]any{"Last_Name": fmt.Sprintf("Customer %d", n), "Phone": fmt.Sprintf("+1415555%04d", 4000+n)})
	}
	j.control(http.MethodPost, "/_sandbox/records/Contacts?org="+j.org, map[string]any{"data": contacts}, nil)
	send := func(n int, said string) {
		c := NewCall(tenant, n, fmt.Sprintf("+1415555%04d", 4000+n%30))
		c.Body = bytes.Replace(c.Body, []byte("the gate code"), []byte(said), 1)
		if a, err := PostUntilTaken(j.ctx, http.DefaultClient, c); err != nil || a.Status != http.StatusOK {
			t.Errorf("call %d: %d %v", n, a.Status, err)
		}
	}
	var senders sync.WaitGroup
	next := make(chan int)
	for range 4 {
		senders.Go(func() {
			for n := range next {
				if n < 9 {
					send(n, "how we need a quote for our boiler")
				} else {
					send(n, "the gate code")
				}
			}
		})
	}
	for n := range 212 {
		next <- n
	}
	close(next)
	senders.Wait()
	if err := j.system.Settle(j.ctx); err != nil {
		t.Fatal(err)
	}
	same(t, "the number of Calls in Zoho", len(j.records("Calls")), 212)

	// Rules → add the keyword to the Deal rule.
	j.open("/rules")
	j.ClickOn(`#rule-buying a[href="/rules/buying"]`)
	j.Until(`document.querySelector("[data-chip]")`)
	box := browser.Eval[string](j.Browser, `document.querySelector("[data-chip]").id`)
	j.Type(fmt.Sprintf(`[id="%s"]`, box), "quote")
	j.Click("Save in the draft")
	j.Until(`location.pathname === "/rules"`)

	asked, attempted := j.asked(), j.attempts(tenant)
	j.Click("What would change")
	j.Until(`location.pathname === "/draft"`)
	j.Sees("says buying words or “quote”")
	j.Choose(`[name="scope"]`, "30")
	j.Click("Run the backtest")
	j.Sees("212 calls, 9 would change.")
	text := j.Text("#backtest")
	for _, words := range []string{"Call on Contact", "Deal created", "212 → 239", "On the calls of the last 30 days, against version 1", "Deal created\n9"} {
		if !strings.Contains(strings.ReplaceAll(text, "\t", "\n"), words) {
			t.Errorf("the result lacks %q:\n%s", words, text)
		}
	}
	same(t, "the number of calls that are listed", browser.Eval[int](j.Browser, `document.querySelectorAll("#changed a.open").length`), 9)
	j.silent()

	// Links and traces: the call, and both decisions side by side.
	call := browser.Eval[string](j.Browser, `document.querySelector("#changed a.open").getAttribute("href")`)
	j.ClickOn(`#changed a[href$="` + strings.TrimPrefix(call, "/calls/") + `"]:not(.open)`)
	j.Sees("What happens to this call now, and with the draft?")
	j.Sees("we need a quote for our boiler")
	j.Sees("Deal Name")
	j.Sees("Live: version 1")
	for _, side := range []string{"Known Contact", "Contact who wants to buy", "Differs"} {
		j.Sees(side)
	}
	j.Click("The call")
	j.At(call)

	same(t, "the requests that Zoho got", j.asked(), asked)
	same(t, "the attempts", j.attempts(tenant), attempted)

	// Publish: it is tested now, so nothing is asked; the next call for a quote is a Deal.
	j.open("/draft")
	j.Type("#why", "Quotes should become Deals")
	j.Click("Publish")
	j.At("/versions")
	j.Sees("Quotes should become Deals")
	j.Sees("212 calls")
	j.open("/settings/audit")
	same(t, "the number of publications without a backtest", strings.Count(j.Text("main"), "without a backtest"), 1)
	same(t, "the number of publications", strings.Count(j.Text("main"), "Published rules and mappings"), 2)
	same(t, "the number of Deals", len(j.records("Deals")), 0)
	send(229, "how we need a quote for our boiler") // of customer 19
	if err := j.system.Settle(j.ctx); err != nil {
		t.Fatal(err)
	}
	same(t, "the number of Deals", len(j.records("Deals")), 1)
	j.silent()
}

// asked is how many requests Zoho has had.
func (j *journey) asked() int {
	j.t.Helper()
	lines, err := j.system.Ledger(j.ctx, Tenant{Org: j.org})
	if err != nil {
		j.t.Fatal(err)
	}
	return len(lines)
}

// attempts is how many exchanges with Zoho are written down.
func (j *journey) attempts(t Tenant) (n int) {
	j.t.Helper()
	db, err := j.system.Database(j.ctx)
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close(j.ctx)
	if err := db.QueryRow(j.ctx, `SELECT count(*) FROM attempts WHERE tenant_id = $1`, t.ID).Scan(&n); err != nil {
		j.t.Fatal(err)
	}
	return n
}
