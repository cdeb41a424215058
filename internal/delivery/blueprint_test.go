package delivery_test

import (
	"strings"
	"testing"

	"hookline/internal/delivery"
	"hookline/internal/routing"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// leadOf puts a Lead with sarah's number in, and answers its id.
func (s *shop) leadOf(status string) string {
	s.t.Helper()
	return s.zoho.Control.Put(s.org, "Leads", sandboxtest.Record{"Last_Name": "Johnson", "Company": "ABC Corp", "Phone": "+14155550123", "Lead_Status": status})[0]
}

func TestABlueprintStepIsTakenOnceAndOnlyWhereZohoOffersIt(t *testing.T) { // Z1–Z3 of a transition
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	lead := func(name string) routing.Outcome {
		return routing.Outcome{Do: routing.BlueprintStep, On: "lead", Transition: name}
	}
	deal := func(name string) routing.Outcome {
		return routing.Outcome{Do: routing.BlueprintStep, On: "deal", Transition: name}
	}
	lost := func(effect string) *sandboxtest.Fault { return &sandboxtest.Fault{Kind: "reset", Effect: effect} }
	for name, c := range map[string]struct {
		step      routing.Outcome
		from      string
		outside   bool // the organisation has no Blueprint
		maps      string
		fault     *sandboxtest.Fault
		blind     bool   // the first look after the loss fails
		meanwhile string // where a person puts the record while the answer is lost
		stands    string // in the end
		left      string // why nothing was changed
		cause     string // why a person is asked
		puts      int
	}{
		"a Lead's":                              {step: lead("to contacted"), from: "Contact in Future", stands: "Contacted", puts: 1},
		"a Deal's":                              {step: deal("To Needs Analysis"), from: "Qualification", stands: "Needs Analysis", puts: 1},
		"a Deal's with what it asks for":        {step: deal("To Negotiation/Review"), from: "Proposal/Price Quote", maps: "50000", stands: "Negotiation/Review", puts: 1},
		"without what it asks for":              {step: deal("To Negotiation/Review"), from: "Proposal/Price Quote", maps: " ", stands: "Proposal/Price Quote", cause: "asks for Amount before its step “To Negotiation/Review” is taken"},
		"a Lead's that is not offered":          {step: lead("Qualify"), from: "Contacted", stands: "Contacted", left: "did not offer the step “Qualify” there: it offered only “To"},
		"a Deal's that is not offered":          {step: deal("To Needs Analysis"), from: "Needs Analysis", stands: "Needs Analysis", left: "was in Needs Analysis then"},
		"in no Blueprint":                       {step: deal("To Needs Analysis"), from: "Qualification", outside: true, stands: "Qualification", left: "was in no Blueprint"},
		"the answer is lost, the step is not":   {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("after"), stands: "Needs Analysis", puts: 1},
		"and the first look for it fails":       {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("after"), blind: true, stands: "Needs Analysis", puts: 1},
		"the step is lost":                      {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("none"), stands: "Needs Analysis", puts: 2},
		"a person takes it back after the loss": {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("after"), meanwhile: "Qualification", stands: "Qualification", left: "left in Qualification", puts: 1},
		"a person takes it after the loss":      {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("none"), meanwhile: "Needs Analysis", stands: "Needs Analysis", puts: 1},
		"a person moves it on after the loss":   {step: deal("To Needs Analysis"), from: "Qualification", fault: lost("after"), meanwhile: "Value Proposition", stands: "Value Proposition", left: "left in Value Proposition", puts: 1},
		"Zoho saves it partially": {step: deal("To Needs Analysis"), from: "Qualification", stands: "Qualification", cause: "kept the values but did not move the Deal", puts: 1,
			fault: &sandboxtest.Fault{Kind: "status", Status: 200, Body: `{"code":"SUCCESS","details":{},"message":"transition saved partially","status":"success"}`}},
		"it moves between reading and writing": {step: deal("To Needs Analysis"), from: "Qualification", stands: "Needs Analysis", puts: 2,
			fault: &sandboxtest.Fault{Kind: "status", Status: 400, Body: `{"code":"INVALID_DATA","details":{"api_name":"transition_id"},"message":"invalid transition","status":"error"}`}},
		"Zoho is out for a while": {step: deal("To Needs Analysis"), from: "Qualification", stands: "Needs Analysis", puts: 2, fault: &sandboxtest.Fault{Kind: "status", Status: 429}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			if !c.outside {
				s.zoho.Control.Settings(s.org, map[string]any{"blueprint": map[string]string{"Deals": "Stage", "Leads": "Lead_Status"}})
			}
			module, field, slot, record := "Leads", "Lead_Status", routing.SlotLeadStep, ""
			if c.step.On == "deal" {
				module, field, slot = "Deals", "Stage", routing.SlotDealStep
				_, record = s.dealOf(c.from, nil)
			} else {
				record = s.leadOf(c.from)
			}
			s.rule(routing.Outcome{Do: routing.LogCall, On: c.step.On}, c.step)
			if c.maps != "" {
				s.mapField("Deals", "Amount", c.maps)
			}
			if c.fault != nil {
				c.fault.Match, c.fault.Times = sandboxtest.Match{Method: "PUT", Path: "/crm/v8/" + module + "/" + record + "/actions/blueprint"}, 1
				s.zoho.Control.Faults(s.org, *c.fault)
			}
			if c.blind {
				s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: sandboxtest.Match{Method: "GET", Path: "/crm/v8/" + module + "/" + record}, Skip: 1, Times: 1, Kind: "status", Status: 503})
			}
			id := s.receive(sarah())
			if c.meanwhile != "" {
				s.until("the answer lost", func() bool {
					return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
				})
				s.zoho.Clock.Advance(2e9)
				s.zoho.Control.Settings(s.org, map[string]any{"blueprint": map[string]string{}})
				s.zoho.Control.Patch(s.org, module, record, sandboxtest.Record{field: c.meanwhile})
			}
			step := routing.Step(c.step.Transition, module)
			if c.cause == "" {
				s.untilSettled(id)
				if row, end := s.story(id).Row, map[bool]string{true: " taken", false: " not taken"}[c.left == ""]; !strings.HasSuffix(row.Outcome, step+end) {
					t.Errorf("the log says %q", row.Outcome)
				}
			} else {
				s.untilStatus(id, delivery.NeedsAttention)
				if got := s.story(id).Cause; !strings.Contains(got.Sentence, c.cause) {
					t.Errorf("cause is %+v", got)
				}
			}
			s.holds(map[string]int{"Calls": 1})
			if r := s.records(module)[0]; r.Text(field) != c.stands {
				t.Errorf("it stands in %q", r.Text(field))
			}
			if d := s.slot(id, slot); c.left == "" && d.Left != "" || !strings.Contains(d.Left, c.left) || d.ZohoID != record {
				t.Errorf("left: %q, %+v", d.Left, d)
			}
			if n := s.requests(id, "PUT", "/blueprint"); n != c.puts {
				t.Errorf("%d transitions", n)
			}
			if c.cause != "" && c.maps == "" {
				return
			}
			if c.maps == " " { // mended on the mapping page
				s.mapField("Deals", "Amount", "900")
				c.stands, c.puts = "Negotiation/Review", 1
			}
			s.replay(id)
			s.untilSettled(id)
			if r := s.records(module)[0]; r.Text(field) != c.stands || s.requests(id, "PUT", "/blueprint") != c.puts {
				t.Errorf("after a replay it stands in %q, by %d transitions", r.Text(field), s.requests(id, "PUT", "/blueprint"))
			}
		})
	}
}
