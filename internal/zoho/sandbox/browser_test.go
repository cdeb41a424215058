package sandbox_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"hookline/internal/harness/browser"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestPagesInABrowser(t *testing.T) {
	s := sandboxtest.New(t)
	s.Control.Settings("", map[string]any{"search_index_lag_ms": 0})
	c := connect(t, s, "enterprise", "eu")
	account := c.create("Accounts", object{"Account_Name": strings.Repeat("Very long company name ", 8)})
	contact := c.create("Contacts", object{"First_Name": "سارة", "Last_Name": "🙂 Johnson", "Phone": "+15551234567", "Account_Name": object{"id": account}})
	lead := c.create("Leads", object{"Last_Name": "Johnson", "Company": "ABC Corp", "Phone": "+15551234567", "Email": "sarah@abc.example", "Lead_Source": "Inbound Call"})
	c.create("Calls", call(object{"What_Id": object{"id": lead}, "$se_module": "Leads", "Description": strings.Repeat("Wants pricing. ", 300)}))
	c.create("Calls", call(object{"Who_Id": object{"id": contact}}))
	c.do("POST", "/crm/v8/Leads", data(object{})).wants(400)
	c.server.Control.Settings(c.org, map[string]any{"required": map[string][]string{"Leads": {"Industry"}}, "unique": map[string][]string{"Leads": {"Hookline_Ref"}}})
	c.do("POST", "/crm/v8/Leads", data(object{"Phone": "1"})).wants(400)
	c.server.Control.Faults(c.org, sandboxtest.Fault{Kind: "status", Status: 502, Effect: "after", Times: 1})
	c.do("POST", "/crm/v8/Calls", data(call(nil))).wants(502)
	c.as(2).do("POST", "/crm/v8/Calls", data(call(nil))).wants(403)
	c.search("Contacts", "phone", "+15551234567")

	b := browser.Open(t)
	home := s.URL + "/org/" + c.org
	for name, address := range map[string]string{
		"sandbox-organisations": s.URL + "/", "sandbox-leads": home + "/Leads", "sandbox-lead": home + "/Leads/" + lead, "sandbox-contact": home + "/Contacts/" + contact,
		"sandbox-requests": s.URL + "/ledger", "sandbox-consent": s.URL + "/oauth/v2/auth?" + consentForm(s).Encode(),
		"sandbox-fields": home + "/Leads/fields", "sandbox-settings": home + "/settings",
	} {
		b.Check(name, address)
	}
	for name, address := range map[string]string{
		"sandbox-new-deal": home + "/Deals/new", "sandbox-empty": home + "/Tasks", "sandbox-ask": home + "/Leads/" + lead + "?confirm=delete",
		"sandbox-consent-wrong": s.URL + "/oauth/v2/auth?client_id=x", "sandbox-404": s.URL + "/nowhere",
	} {
		b.Glance(name, address)
	}
}

func TestNewRecordAppearsByItself(t *testing.T) {
	s := sandboxtest.New(t)
	c := connect(t, s, "enterprise", "eu")
	b := browser.Open(t)
	b.Goto(s.URL + "/org/" + c.org + "/Leads")
	id := c.create("Leads", object{"Last_Name": "Newcomer"})
	b.Do(chromedp.WaitVisible(`a.open[href$="` + id + `"]`))
}
