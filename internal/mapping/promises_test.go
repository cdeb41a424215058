package mapping

import (
	"testing"

	"hookline/internal/identity"
	"hookline/internal/routing"
)

func TestTheGuidesRecordsAreRenderedFromWhatTheRulesDecide(t *testing.T) {
	buys := sarah()
	buys.Match = identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: "11", Name: "Sarah Johnson", AccountID: "22", AccountName: "ABC Corp"}}
	for _, c := range []struct {
		promise, module string
		facts           routing.Facts
		want            map[string]any
	}{
		{"2 the Lead", "Leads", sarah(), map[string]any{"Last_Name": "Johnson", "First_Name": "Sarah", "Company": "ABC Corp", "Lead_Source": "Inbound Call", "Lead_Status": "Not Contacted"}},
		{"12 the Deal", "Deals", buys, map[string]any{"Deal_Name": "ABC Corp - Enterprise plan", "Amount": 50000.0, "Stage": "Qualification", "Closing_Date": "2026-04-15"}},
		{"13 assigned by the rule", "Deals", buys, map[string]any{"Owner": map[string]any{"id": "77"}, "Contact_Name": map[string]any{"id": "11"}, "Account_Name": map[string]any{"id": "22"}}},
	} {
		set := routing.DefaultSet()
		for i := range set.Rules {
			set.Rules[i].Then = append(set.Rules[i].Then, routing.Outcome{Do: routing.SetOwner, Owner: "77"})
		}
		drafts, problems := Render(DefaultSet(), routing.Decide(set, c.facts), c.facts, Standard())
		if len(problems) > 0 {
			t.Errorf("promise %s: %+v", c.promise, problems)
		}
		for field, want := range c.want {
			if drafts[0].Module != c.module || !same(drafts[0].Fields[field], want) {
				t.Errorf("promise %s: %s of %s is %v, want %v", c.promise, field, drafts[0].Module, drafts[0].Fields[field], want)
			}
		}
	}
}
