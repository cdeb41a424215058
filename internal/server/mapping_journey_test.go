package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"hookline/internal/call"
	"hookline/internal/harness/browser"
	"hookline/internal/mapping"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// customField makes a field in the organisation, as its administrator would.
func (l *line) customField(org, module string, field map[string]any) {
	l.t.Helper()
	tokens := l.zoho.Control.Exchange(l.zoho.Control.Grant(sandboxtest.GrantRequest{ClientID: l.zoho.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: sandboxtest.Scopes, Org: org}))
	body, err := json.Marshal(map[string]any{"fields": []any{field}})
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, tokens.APIDomain+"/crm/v8/settings/fields?module="+module, bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Zoho-oauthtoken "+tokens.Access)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		l.t.Fatalf("a field of %s: %s", module, res.Status)
	}
}

// From a past call to a published mapping and back: what is typed is seen before it is kept, what Zoho would refuse is not
// kept, and each call names the version that it was written by.
func TestAMappingIsEditedWithALivePreviewPublishedAndRolledBack(t *testing.T) {
	b := browser.Open(t)
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	l.customField(org, "Leads", map[string]any{"field_label": "Trade", "data_type": "picklist",
		"pick_list_values": []any{map[string]any{"display_value": "Plumbing", "actual_value": "Plumbing"}, map[string]any{"display_value": "Roofing", "actual_value": "Roofing"}}})
	if err := l.links.LookAtAll(t.Context(), owner.Tenant); err != nil {
		t.Fatal(err)
	}
	src := l.source(owner)
	ring := func(number, last string) call.ID {
		c := sarah()
		c.From, c.LastName, c.Summary, c.Answers = call.Phone(number), last, "Wants pricing for 50 Enterprise seats.", map[string]any{"budget": "$50K"}
		id := l.receive(src, c)
		l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
		return id
	}
	leadOf := func(last string) sandboxtest.Record {
		for _, r := range l.zoho.Control.Records(org, "Leads") {
			if r["Last_Name"] == last {
				return r
			}
		}
		t.Fatalf("no Lead of %s", last)
		return nil
	}
	l.work()
	past := ring("+14155550141", "Past")
	ring("+14155550142", "Newer")
	signIn(b, l.Site, "ann@acme.test")

	// Mapping → Leads; pick a real past call.
	b.Click("Mapping")
	b.At("/mapping/Leads")
	b.Choose("#example select[name=call]", past.String())
	browser.Eval[bool](b, `document.querySelector("#example select[name=call]").dispatchEvent(new Event("input", {bubbles: true}))`)
	b.Until(`document.querySelector("#example").innerText.includes("Past")`)

	// Description is the summary and the budget; the record changes as one types.
	sent := len(l.zoho.Control.Ledger(0))
	b.Type("#value-Description", "{{ call_summary }} Budget: {{ estimated_deal_value }}")
	b.Until(`document.querySelector("#example").innerText.includes("Wants pricing for 50 Enterprise seats. Budget: 50000")`)

	// A custom field, and a value that its list does not have: Save is refused, with the values that it has.
	b.ClickOn("fieldset .addfield > button:not([name])")
	b.Until(`document.activeElement.matches("#picker [role=combobox]")`)
	b.Type("#picker input", "trade")
	b.Until(`document.querySelector("#picker [aria-selected=true]")?.innerText.includes("custom")`)
	enter(t, b)
	b.Until(`document.activeElement.id === "value-Trade"`)
	b.Type("#value-Trade", "Carpentry")
	b.Until(`document.querySelector("#says-Trade .error")`)
	b.Click("Save")
	b.Sees("Not saved: Zoho would refuse this.")
	b.Until(`["Plumbing", "Roofing"].every(v => [...document.querySelectorAll("#says-Trade button")].some(b => b.innerText === v))`)
	if d := draftOf(t, owner); d.Revision != 0 {
		t.Error("it was saved all the same")
	}
	b.Click("Roofing")
	b.Until(`document.querySelector("#value-Trade").value === "Roofing" && document.activeElement.id === "value-Trade"`)

	// Without Last Name there is no Lead: the page says so, and offers a default.
	b.ClickOn("[aria-label='Remove Last Name']")
	b.Sees("Zoho requires Last Name on Leads")
	b.Click("Use {{ last_name | default: caller_label }}")
	b.Until(`document.querySelector("#value-Last_Name").value === "{{ last_name | default: caller_label }}"`)
	if asked := len(l.zoho.Control.Ledger(0)) - sent; asked != 0 {
		t.Errorf("editing sent %d requests to Zoho", asked)
	}

	// Save makes a draft; Publish asks once; the next call names the new version.
	b.Click("Save")
	b.Sees("Mapping saved in the draft")
	b.Sees("2 changes are not live yet")
	if live := liveConfig(t, owner); live.Version != 0 {
		t.Errorf("version %d is live before anything is published", live.Version)
	}
	b.Goto(l.URL + "/draft")
	b.Click("Publish")
	b.Sees("Publish without a backtest?")
	b.Click("Publish without it")
	b.Sees("Version 1 is live")
	next := ring("+14155550143", "Next")
	if p := owner.Get("/calls/" + next.String()); !strings.Contains(p.Body, "Version 1") {
		t.Error("the call does not name the version that wrote it")
	}
	lead := leadOf("Next")
	if lead["Trade"] != "Roofing" || !strings.HasPrefix(fmt.Sprint(lead["Description"]), "Wants pricing for 50 Enterprise seats. Budget: 50000") {
		t.Errorf("the Lead has Trade %v, Description %v", lead["Trade"], lead["Description"])
	}

	// Roll back, in one click.
	b.Goto(l.URL + "/versions")
	b.Click("Make live again")
	b.Sees("Back to the defaults")
	if rows := liveConfig(t, owner).Mappings.Modules["Leads"]; len(rows) != len(mapping.DefaultSet().Modules["Leads"]) {
		t.Errorf("live are %+v", rows)
	}
	ring("+14155550144", "Last")
	if lead := leadOf("Last"); lead["Trade"] != nil || strings.Contains(fmt.Sprint(lead["Description"]), "Budget") {
		t.Errorf("the Lead after it has Trade %v, Description %v", lead["Trade"], lead["Description"])
	}
	for _, c := range b.Complaints() {
		if !strings.Contains(c, "the server responded with a status of 4") {
			t.Errorf("the browser says: %s", c)
		}
	}
}
