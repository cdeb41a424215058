package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"hookline/internal/config"
	"hookline/internal/mapping"
	"hookline/internal/server/servertest"
)

// The three bodies of the guide.
var guideBodies = map[string]string{
	"Leads": `POST https://www.zohoapis.com/crm/v2/Leads
{
  "data": [{
    "Last_Name": "{{last_name}}",
    "First_Name": "{{first_name}}",
    "Company": "{{company_name}}",
    "Phone": "{{caller_number}}",
    "Email": "{{email}}",
    "Lead_Source": "Inbound Call",
    "Description": "{{call_summary}}",
    "Lead_Status": "Not Contacted"
  }]
}`,
	"Calls": `POST https://www.zohoapis.com/crm/v2/Calls
{
  "data": [{
    "Call_Type": "Inbound",
    "Call_Duration": "{{call_duration_seconds}}",
    "Call_Result": "Connected",
    "Subject": "Inbound call - {{call_summary}}",
    "Description": "{{full_transcript}}",
    "Who_Id": "{{zoho_contact_id}}",
    "Call_Start_Time": "{{call_timestamp}}"
  }]
}`,
	"Deals": `{
  "data": [{
    "Deal_Name": "{{company_name}} - {{product_interest}}",
    "Amount": "{{estimated_deal_value}}",
    "Stage": "Qualification",
    "Contact_Name": "{{zoho_contact_id}}",
    "Closing_Date": "{{estimated_close_date}}",
    "Description": "Inbound call inquiry: {{call_summary}}"
  }]
}`,
}

func TestTheGuidesBodiesAreImported(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	for module, wants := range map[string][]string{
		"Leads": {"What was understood: 8 fields of Leads", "Changed", "As it is"},
		"Calls": {"fields of Calls", "Who_Id was left out", "{{ call_duration }} was put for the seconds"},
		"Deals": {"5 fields of Deals", "Contact_Name was left out"},
	} {
		before := draftOf(t, owner).Revision
		p := owner.Post("/mapping/import", url.Values{"revision": {"0"}, "body": {guideBodies[module]}, "act": {"read"}})
		for _, want := range wants {
			if p.Status != 200 || !strings.Contains(p.Body, want) {
				t.Errorf("%s: %d, the page lacks %q", module, p.Status, want)
			}
		}
		if draftOf(t, owner).Revision != before {
			t.Errorf("%s: reading changed the draft", module)
		}
		if strings.Contains(p.Body, "Put it into the draft") {
			p = owner.Post("/mapping/import", url.Values{"revision": {"0"}, "body": {guideBodies[module]}, "act": {"put"}})
			if p.Status != 303 || p.Location != "/mapping/"+module {
				t.Errorf("%s: put: %d to %q", module, p.Status, p.Location)
			}
		} else if !strings.Contains(p.Body, "Mend it in the mapping") {
			t.Errorf("%s leads nowhere", module)
		}
	}
	rows := draftMapping(t, owner).Modules["Leads"]
	if i := slices.IndexFunc(rows, func(r mapping.Row) bool { return r.Field == "Lead_Source" }); rows[i].Value != "Inbound Call" || !rows[i].AddToList {
		t.Errorf("the lead source is %+v", rows[i])
	}
	t.Run("what does not tell its record asks for the module", func(t *testing.T) {
		p := owner.Post("/mapping/import", url.Values{"revision": {"0"}, "body": {`{"Whatever_Field": "x"}`}, "act": {"read"}})
		if p.Status != 422 || !strings.Contains(p.Body, "Choose it above") || !strings.Contains(p.Body, "Whatever_Field") {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("a body without a field changes nothing", func(t *testing.T) {
		if p := owner.Post("/mapping/import", url.Values{"revision": {"0"}, "module": {"Leads"}, "body": {"{}"}, "act": {"mend"}}); p.Status != 422 {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("what is no JSON is kept and explained", func(t *testing.T) {
		p := owner.Post("/mapping/import", url.Values{"revision": {"0"}, "body": {`{"Last_Name": "{{last_name}}",, }`}, "act": {"put"}})
		if p.Status != 422 || !strings.Contains(p.Body, "not JSON that can be read") || !strings.Contains(p.Body, `,, }`) {
			t.Errorf("%d", p.Status)
		}
	})
	t.Run("what Zoho would refuse goes to the mapping's page first", func(t *testing.T) {
		form := url.Values{"revision": {"0"}, "module": {"Leads"}, "body": {`{"Company": "{{compny_name}}"}`}, "only": {"on"}, "act": {"put"}}
		if p := owner.Post("/mapping/import", form); p.Status != 200 || !strings.Contains(p.Body, "Mend it in the mapping") || strings.Contains(p.Body, "Put it into the draft") {
			t.Errorf("%d", p.Status)
		}
		form.Set("act", "mend")
		if p := owner.Post("/mapping/import", form); p.Status != 200 || !strings.Contains(p.Body, "Did you mean") || !strings.Contains(p.Body, "Zoho requires Last Name") || !strings.Contains(p.Body, "Not saved yet") {
			t.Errorf("%d", p.Status)
		}
	})
}

func TestTheMappingIsExported(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	p := owner.Get("/mapping/export/body?module=Calls")
	if p.Status != 200 || p.Header.Get("Content-Disposition") != `attachment; filename="hookline-calls.json"` {
		t.Fatalf("%d, %q", p.Status, p.Header.Get("Content-Disposition"))
	}
	in := mapping.ImportBody(p.Body)
	if in.Module != "Calls" || len(in.Rows) != len(mapping.DefaultSet().Modules["Calls"]) || in.Rows[0].Value != mapping.DefaultSet().Modules["Calls"][0].Value {
		t.Errorf("the body does not come back: %+v", in)
	}
	set, err := config.Parse([]byte(owner.Get("/mapping/export/document").Body))
	if err != nil || len(set.Rules.Rules) == 0 || len(set.Mappings.Modules["Leads"]) == 0 {
		t.Errorf("the document does not come back: %v", err)
	}
	if p := owner.Get("/mapping/export/secrets"); p.Status != 404 {
		t.Errorf("%d", p.Status)
	}
	if p := owner.Get("/mapping/import?module=Deals"); p.Status != 200 || !strings.Contains(p.Body, "Closing_Date") || !strings.Contains(p.Body, "data-copy") {
		t.Errorf("%d", p.Status)
	}
}
