package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/seal"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

const number = call.Phone("+14155550123")

// crm is a connected organisation of the sandbox.
type crm struct {
	*sandboxtest.Server
	t   *testing.T
	id  string
	api *zoho.API
	org identity.Org
}

func connect(t *testing.T) *crm {
	t.Helper()
	s := sandboxtest.New(t)
	granted := s.Control.NewOrg("enterprise", "us")
	tokens := s.Control.Exchange(granted)
	s.Control.Settings(granted.OrgID, map[string]any{"search_index_lag_ms": 0})
	client := zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(s.URL)})
	api := client.For(func(context.Context, seal.Secret) (zoho.Access, error) {
		return zoho.Access{APIDomain: tokens.APIDomain, Token: seal.Secret(tokens.Access)}, nil
	}, nil)
	c := &crm{Server: s, t: t, id: granted.OrgID, api: api, org: identity.Org{ID: granted.OrgID, Country: "US"}}
	for module, md := range map[string]*zoho.Metadata{"Contacts": &c.org.Contacts, "Leads": &c.org.Leads, "Deals": &c.org.Deals} {
		read, err := api.Metadata(t.Context(), module)
		if err != nil {
			t.Fatal(err)
		}
		*md = read
	}
	return c
}

func (c *crm) put(module string, r sandboxtest.Record) string {
	c.t.Helper()
	return c.Control.Put(c.id, module, r)[0]
}

func (c *crm) find(remembered *identity.Remembered, phone call.Phone) identity.Match {
	c.t.Helper()
	m, err := identity.Find(c.t.Context(), c.api, c.org, remembered, phone, c.Clock.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// cost is how many credits f uses.
func (c *crm) cost(f func()) int {
	before := c.Control.Stats(c.id).CreditsUsed
	f()
	return c.Control.Stats(c.id).CreditsUsed - before
}

func notes(m identity.Match) string { return strings.Join(m.Notes, " ") }

func TestANumberIsFoundInAnySpellingAndPhoneField(t *testing.T) {
	spellings := []string{
		"+14155550123", "14155550123", "4155550123", "(415) 555-0123", "415-555-0123", "415.555.0123", "+1 415-555-0123", "+1 (415) 555-0123",
		"1-415-555-0123", "415 555 0123",
	}
	for _, mode := range []string{"digits", "strict", "suffix"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := connect(t)
			c.Control.Settings(c.id, map[string]any{"phone_match": mode})
			for module, fields := range map[string][]string{"Contacts": {"Phone", "Mobile", "Home_Phone", "Other_Phone", "Asst_Phone"}, "Leads": {"Phone", "Mobile"}} {
				for _, field := range fields {
					for _, spelling := range spellings {
						id := c.put(module, sandboxtest.Record{"Last_Name": "Johnson", "First_Name": "Sarah", field: spelling})
						m := c.find(nil, number)
						if p := m.Person(); p == nil || p.ID != id || p.Module != module || p.Name != "Sarah Johnson" {
							t.Errorf("%s.%s %q: %+v", module, field, spelling, m)
						}
						c.Control.Delete(c.id, module, id)
					}
				}
			}
		})
	}
}

func TestNumbersOfOtherCountriesAreFoundAsPeopleTypeThemThere(t *testing.T) {
	t.Parallel()
	c := connect(t)
	c.org.Country = "GB"
	id := c.put("Contacts", sandboxtest.Record{"Last_Name": "Smith", "Phone": "020 7946 0958"})
	if m := c.find(nil, "+442079460958"); m.Contact == nil || m.Contact.ID != id {
		t.Errorf("%+v", m)
	}
}

func TestAStrangerWhoseNumberOnlyLooksAlikeIsNotTaken(t *testing.T) {
	t.Parallel()
	c := connect(t)
	c.Control.Settings(c.id, map[string]any{"phone_match": "suffix"})
	c.put("Contacts", sandboxtest.Record{"Last_Name": "Stranger", "Phone": "+44 4155550123"})
	c.put("Contacts", sandboxtest.Record{"Last_Name": "Fax", "Fax": "+14155550123"})
	if m := c.find(nil, number); m.Kind != identity.Nobody || m.Person() != nil {
		t.Errorf("%+v", m)
	}
}

func TestAContactComesBeforeALead(t *testing.T) {
	t.Parallel()
	c := connect(t)
	c.put("Leads", sandboxtest.Record{"Last_Name": "Lead", "Phone": string(number)})
	id := c.put("Contacts", sandboxtest.Record{"Last_Name": "Contact", "Mobile": "(415) 555-0123"})
	if m := c.find(nil, number); m.Kind != identity.Contact || m.Contact.ID != id || m.Lead != nil {
		t.Errorf("%+v", m)
	}
}

func TestAConvertedLeadLeadsToItsContact(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]any{"shown by queries": {}, "hidden from queries": {"coql_hides_converted": true, "phone_match": "suffix"}} {
		t.Run(name, func(t *testing.T) {
			c := connect(t)
			c.Control.Settings(c.id, settings)
			lead := c.put("Leads", sandboxtest.Record{"Last_Name": "Johnson", "First_Name": "Sarah", "Company": "ABC Corp", "Phone": string(number)})
			contact, account := c.Control.Convert(c.id, lead)
			// The Contact's own number was changed since, so that only the Lead has it.
			c.Control.Patch(c.id, "Contacts", contact, sandboxtest.Record{"Phone": "+14155550999"})
			var m identity.Match
			credits := c.cost(func() { m = c.find(nil, number) })
			if m.Kind != identity.Contact || m.Contact.ID != contact || m.Contact.AccountID != account || m.Contact.AccountName != "ABC Corp" {
				t.Errorf("%+v", m)
			}
			if credits > 6 || !strings.Contains(notes(m), "converted") {
				t.Errorf("%d credits, notes %q", credits, m.Notes)
			}
		})
	}
}

func TestOfSeveralMatchesTheNewestActivityWinsAndTheTraceSaysSo(t *testing.T) {
	t.Parallel()
	c := connect(t)
	c.put("Contacts", sandboxtest.Record{"Last_Name": "Older", "Phone": string(number)})
	c.Clock.Advance(30 * time.Minute)
	id := c.put("Contacts", sandboxtest.Record{"Last_Name": "Newer", "Phone": "(415) 555-0123"})
	m := c.find(nil, number)
	if m.Contact == nil || m.Contact.ID != id || len(m.Candidates) != 2 || !strings.Contains(notes(m), "2 Contacts have this number. Newer is taken") {
		t.Errorf("%+v", m)
	}
}

func TestOpenDealsOfTheContactAreRead(t *testing.T) {
	t.Parallel()
	c := connect(t)
	account := c.put("Accounts", sandboxtest.Record{"Account_Name": "ABC Corp"})
	contact := c.put("Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": string(number), "Account_Name": map[string]any{"id": account}})
	pipeline := c.org.Deals.Pipelines[0]
	deal := func(name, stage string) string {
		c.Clock.Advance(time.Minute)
		return c.put("Deals", sandboxtest.Record{"Deal_Name": name, "Stage": stage, "Pipeline": pipeline.Name, "Closing_Date": "2027-01-31", "Amount": 50000,
			"Contact_Name": map[string]any{"id": contact}})
	}
	older := deal("Older", "Qualification")
	newer := deal("Newer", "Needs Analysis")
	won := deal("Won", "Closed Won")
	var m identity.Match
	credits := c.cost(func() { m = c.find(nil, number) })
	if len(m.OpenDeals) != 2 || m.OpenDeals[0].ID != newer || m.OpenDeals[1].ID != older || m.OpenDeals[0].Amount != 50000 {
		t.Fatalf("%+v", m.OpenDeals)
	}
	if m.RecentDeal == nil || m.RecentDeal.ID != won || m.RecentDeal.Open {
		t.Errorf("recent: %+v", m.RecentDeal)
	}
	if a := m.OpenDeals[1].Ahead; len(a) == 0 || a[0] != "Needs Analysis" || strings.Contains(strings.Join(a, " "), "Lost") {
		t.Errorf("ahead of Qualification: %q", a)
	}
	if credits > 3 || !strings.Contains(notes(m), "“Newer” was modified last") || m.Contact.AccountName != "ABC Corp" {
		t.Errorf("%d credits, notes %q, account %q", credits, m.Notes, m.Contact.AccountName)
	}
}

func TestANewCallerCostsAtMostSixCredits(t *testing.T) {
	t.Parallel()
	c := connect(t)
	if credits := c.cost(func() { c.find(nil, number) }); credits > 6 {
		t.Errorf("%d credits", credits)
	}
}

func TestWhatIsRememberedIsVerifiedByIDAndNumber(t *testing.T) {
	t.Parallel()
	c := connect(t)
	c.Control.Settings(c.id, map[string]any{"search_index_lag_ms": 60_000})
	lead := c.put("Leads", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+1 415 555 0123 "})
	fresh := &identity.Remembered{Module: "Leads", ID: lead, Age: time.Minute}

	t.Run("a Lead that the index does not show yet is found, for one credit", func(t *testing.T) {
		var m identity.Match
		if credits := c.cost(func() { m = c.find(fresh, number) }); credits > 3 || m.Lead == nil || m.Lead.ID != lead || !m.FromMemory {
			t.Errorf("%d credits, %+v", credits, m)
		}
	})
	t.Run("a Lead older than an hour costs a look in Contacts", func(t *testing.T) {
		contact := c.put("Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": string(number)})
		old := &identity.Remembered{Module: "Leads", ID: lead, Age: 61 * time.Minute}
		var m identity.Match
		if credits := c.cost(func() { m = c.find(old, number) }); credits > 3 || m.Contact == nil || m.Contact.ID != contact {
			t.Errorf("%d credits, %+v", credits, m)
		}
		if m := c.find(fresh, number); m.Lead == nil {
			t.Errorf("within the hour: %+v", m)
		}
		c.Control.Delete(c.id, "Contacts", contact)
	})
	t.Run("a record that has another number now is not taken", func(t *testing.T) {
		c.Control.Patch(c.id, "Leads", lead, sandboxtest.Record{"Phone": "+14155550777"})
		if m := c.find(fresh, number); m.Kind != identity.Nobody || !strings.Contains(notes(m), "no longer has this number") {
			t.Errorf("%+v", m)
		}
		c.Control.Patch(c.id, "Leads", lead, sandboxtest.Record{"Phone": string(number)})
	})
	t.Run("a Lead that was converted leads to its Contact", func(t *testing.T) {
		contact, _ := c.Control.Convert(c.id, lead)
		var m identity.Match
		if credits := c.cost(func() { m = c.find(fresh, number) }); credits > 3 || m.Contact == nil || m.Contact.ID != contact {
			t.Errorf("%d credits, %+v", credits, m)
		}
	})
	t.Run("a record that is gone is looked for again", func(t *testing.T) {
		gone := &identity.Remembered{Module: "Contacts", ID: "5725767000000999999"}
		if m := c.find(gone, number); !strings.Contains(notes(m), "no longer in Zoho") {
			t.Errorf("%+v", m)
		}
	})
}

func TestAHiddenOrUnusableNumberIsNotSearched(t *testing.T) {
	for name, c := range map[string]struct {
		call call.Call
		want bool
	}{
		"hidden":         {call.Call{Direction: call.Inbound, Withheld: true}, true},
		"none":           {call.Call{Direction: call.Inbound}, true},
		"an extension":   {call.Call{Direction: call.Inbound, From: "1234"}, true},
		"a real one":     {call.Call{Direction: call.Inbound, From: number}, false},
		"one we dialled": {call.Call{Direction: call.Outbound, From: "+14155550100", To: number, Withheld: true}, false},
	} {
		m, unsearched := identity.Unsearched(c.call)
		if unsearched != c.want || unsearched && m.Unusable == "" {
			t.Errorf("%s: %v %+v", name, unsearched, m)
		}
	}
}

func TestAZohoThatCannotBeAskedIsAnErrorAndNotANewCaller(t *testing.T) {
	t.Parallel()
	c := connect(t)
	for _, path := range []string{"/crm/v8/coql", "/crm/v8/Contacts/search", "/crm/v8/Leads/search"} {
		c.Control.Faults(c.id, sandboxtest.Fault{Match: sandboxtest.Match{Path: path}, Kind: "status", Status: 503, Times: 1})
		if m, err := identity.Find(t.Context(), c.api, c.org, nil, number, time.Now()); err == nil {
			t.Errorf("%s: %+v", path, m)
		}
		c.Control.ClearFaults(c.id)
	}
}
