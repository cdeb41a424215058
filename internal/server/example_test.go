package server_test

import (
	"strings"
	"testing"
)

// Rules and mappings are tried on any past call, found as the log finds it, and on every simulated one; Zoho hears
// nothing of it.
func TestThingsAreTriedOnAnyCall(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	src := l.source(owner)
	first := l.receive(src, sarah())
	other := sarah()
	other.From, other.FirstName, other.LastName = "+14155550177", "Priya", "Nair"
	second := l.receive(src, other)
	l.work()
	l.until(owner, "/calls/"+first.String(), "from the webhook to the last record in Zoho")
	l.until(owner, "/calls/"+second.String(), "from the webhook to the last record in Zoho")
	owner.Get("/mapping/Leads") // what is read of the organisation is read once
	before := len(l.zoho.Control.Ledger(0))
	for _, find := range []string{"priya", "(415) 555-0177", second.String()} {
		p := owner.Get("/mapping/Leads?find=" + strings.NewReplacer(" ", "+", "(", "%28", ")", "%29").Replace(find))
		if !strings.Contains(p.Body, `<option value="`+second.String()+`" selected`) || strings.Contains(p.Body, `value="`+first.String()+`"`) {
			t.Errorf("%q does not find her call", find)
		}
	}
	if p := owner.Get("/mapping/Leads?find=nobody+of+that+name"); !strings.Contains(p.Body, `<option value="sample" selected`) {
		t.Error("nothing found does not lead to the sample")
	}
	for _, preset := range []string{"new-caller", "known-contact", "buyer", "open-deal", "callback", "emergency", "spam", "withheld"} {
		for _, page := range []string{"/mapping/Calls?call=preset:", "/rules/try?call=preset:"} {
			if p := owner.Get(page + preset); p.Status != 200 || !strings.Contains(p.Body, `value="preset:`+preset+`" selected`) {
				t.Errorf("%s%s: %d", page, preset, p.Status)
			}
		}
	}
	if p := owner.Get("/rules/try?call=preset:open-deal"); !strings.Contains(p.Body, "Decides this call") {
		t.Error("a simulated call of a known Contact is not decided")
	}
	if p := owner.Get("/mapping/Deals?call=preset:open-deal"); !strings.Contains(p.Body, "Peak Legal - Enterprise plan") || strings.Count(p.Body, "<span data-example>Peak Legal</span>") != 2 { // company and Account
		t.Error("a simulated call of a Contact with an open Deal knows neither")
	}
	if after := len(l.zoho.Control.Ledger(0)); after != before {
		t.Errorf("trying things sent %d requests to Zoho", after-before)
	}
}
