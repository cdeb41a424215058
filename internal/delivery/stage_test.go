package delivery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/routing"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// rule makes every call of the tenant do this and nothing else.
func (s *shop) rule(then ...routing.Outcome) {
	s.t.Helper()
	s.configures(func(c *config.Set) { c.Rules.Rules = []routing.Rule{{ID: "only", Name: "Only rule", Then: then}} })
}

// dealOf puts a Contact with sarah's number and an open Deal in, and answers their ids.
func (s *shop) dealOf(stage string, more sandboxtest.Record) (contact, deal string) {
	s.t.Helper()
	contact = s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
	fields := sandboxtest.Record{"Deal_Name": "Fifty seats", "Stage": stage, "Pipeline": "Standard (Standard)", "Closing_Date": "2027-01-31", "Contact_Name": map[string]any{"id": contact}}
	for k, v := range more {
		fields[k] = v
	}
	return contact, s.zoho.Control.Put(s.org, "Deals", fields)[0]
}

// requests counts what the call's log tells of, by method and the end of the path.
func (s *shop) requests(id call.ID, method, end string) (n int) {
	for _, a := range s.story(id).Attempts {
		path, _, _ := strings.Cut(a.Path, "?")
		if a.Method == method && strings.HasSuffix(path, end) {
			n++
		}
	}
	return n
}

func (s *shop) slot(id call.ID, slot string) delivery.StoryDelivery {
	s.t.Helper()
	for _, d := range s.story(id).Deliveries {
		if d.Slot == slot {
			return d
		}
	}
	s.t.Fatalf("no delivery %q: %s", slot, s.describe(id))
	return delivery.StoryDelivery{}
}

const inBlueprint = `{"blueprint":{"Deals":"Stage"}}`

func TestADealsStageMovesForwardAndNoPersonIsOverruled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	move := routing.Outcome{Do: routing.MoveStage, Stage: "Proposal/Price Quote"}
	for name, c := range map[string]struct {
		settings  string
		fault     *sandboxtest.Fault
		meanwhile sandboxtest.Record // what a person does in Zoho while the answer is lost
		stage     string             // in the end
		left      string             // why nothing was changed
		puts      int                // that reached Zoho
	}{
		"nobody else is at it": {stage: "Proposal/Price Quote", puts: 1},
		"the answer is lost, the move is not": {
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "after"}, stage: "Proposal/Price Quote", puts: 1},
		"the move is lost": {
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "none"}, stage: "Proposal/Price Quote", puts: 2},
		"a person moves it further meanwhile": {
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "none"}, meanwhile: sandboxtest.Record{"Stage": "Negotiation/Review"},
			stage: "Negotiation/Review", left: "moved to Negotiation/Review meanwhile", puts: 1},
		"a person takes it back after the answer was lost": {
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "after"}, meanwhile: sandboxtest.Record{"Stage": "Qualification"},
			stage: "Qualification", left: "left in Qualification", puts: 1},
		"it changes between reading and writing": {
			fault: &sandboxtest.Fault{Kind: "status", Status: 412, Effect: "none",
				Body: `{"data":[{"code":"ALREADY_MODIFIED","details":{"id":"1"},"message":"changed","status":"error"}]}`},
			stage: "Proposal/Price Quote", puts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			s.rule(move)
			_, deal := s.dealOf("Qualification", nil)
			if c.fault != nil {
				c.fault.Match, c.fault.Times = sandboxtest.Match{Method: "PUT", Path: "/crm/v8/Deals/*"}, 1
				s.zoho.Control.Faults(s.org, *c.fault)
			}
			id := s.receive(sarah())
			if c.meanwhile != nil {
				s.until("the answer lost", func() bool {
					return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
				})
				s.zoho.Clock.Advance(2e9)
				s.zoho.Control.Patch(s.org, "Deals", deal, c.meanwhile)
			}
			s.untilSettled(id)
			if stage := s.records("Deals")[0].Text("Stage"); stage != c.stage {
				t.Errorf("the Deal is in %s", stage)
			}
			d := s.slot(id, routing.SlotStage)
			if c.left == "" && d.Left != "" || !strings.Contains(d.Left, c.left) || d.ZohoID != deal {
				t.Errorf("left: %q, %+v", d.Left, d)
			}
			if n := s.requests(id, "PUT", deal); n != c.puts {
				t.Errorf("%d updates", n)
			}
			if row := s.story(id).Row; c.left != "" && row.Outcome != "stage left" || c.left == "" && row.Outcome != "stage moved to Proposal/Price Quote" {
				t.Errorf("the log says %q", row.Outcome)
			}
		})
	}
}

func TestADealInABlueprintMovesThroughItsTransition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	for name, c := range map[string]struct {
		from, to string
		has      sandboxtest.Record
		maps     string // a row for Next_Step, where the transition asks for Amount: the mapping of Amount
		fault    *sandboxtest.Fault
		stage    string
		cause    string
		link     string
		amount   any
		puts     int
	}{
		"no field is asked for":             {from: "Qualification", to: routing.NextStage, stage: "Needs Analysis", puts: 1},
		"the Deal has what is asked for":    {from: "Proposal/Price Quote", to: "Negotiation/Review", has: sandboxtest.Record{"Amount": 700}, stage: "Negotiation/Review", amount: 700.0, puts: 1},
		"the mapping has what is asked for": {from: "Proposal/Price Quote", to: "Negotiation/Review", maps: "50000", stage: "Negotiation/Review", amount: 50000.0, puts: 1},
		"nobody has what is asked for": {from: "Proposal/Price Quote", to: "Negotiation/Review", maps: " ", stage: "Proposal/Price Quote",
			cause: "asks for Amount before it moves to Negotiation/Review", link: "/mapping/Deals#field-Amount"},
		"Zoho saves it partially": {from: "Qualification", to: "Needs Analysis", stage: "Qualification", cause: "kept the values but did not move", link: "/rules", puts: 1,
			fault: &sandboxtest.Fault{Kind: "status", Status: 200, Body: `{"code":"SUCCESS","details":{},"message":"transition saved partially","status":"success"}`}},
		"no transition leads there": {from: "Qualification", to: "Proposal/Price Quote", stage: "Qualification", cause: "offers only Needs Analysis", link: "/rules"},
		"the answer is lost, the move is not": {from: "Qualification", to: "Needs Analysis", stage: "Needs Analysis", puts: 1,
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "after"}},
		"the move is lost": {from: "Qualification", to: "Needs Analysis", stage: "Needs Analysis", puts: 2,
			fault: &sandboxtest.Fault{Kind: "reset", Effect: "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			var settings map[string]any
			if err := json.Unmarshal([]byte(inBlueprint), &settings); err != nil {
				t.Fatal(err)
			}
			s.zoho.Control.Settings(s.org, settings)
			s.rule(routing.Outcome{Do: routing.MoveStage, Stage: c.to})
			if c.maps != "" {
				s.mapField("Deals", "Amount", c.maps)
			}
			_, deal := s.dealOf(c.from, c.has)
			if c.fault != nil {
				c.fault.Match, c.fault.Times = sandboxtest.Match{Method: "PUT", Path: "/crm/v8/Deals/" + deal + "/actions/blueprint"}, 1
				s.zoho.Control.Faults(s.org, *c.fault)
			}
			id := s.receive(sarah())
			if c.cause == "" {
				s.untilSettled(id)
			} else {
				s.untilStatus(id, delivery.NeedsAttention)
				if got := s.story(id).Cause; !strings.Contains(got.Sentence, c.cause) || got.Link != c.link {
					t.Errorf("cause is %+v", got)
				}
			}
			r := s.records("Deals")[0]
			if r.Text("Stage") != c.stage || c.amount != nil && r["Amount"] != c.amount {
				t.Errorf("the Deal is %v", r)
			}
			if n := s.requests(id, "PUT", "/blueprint"); n != c.puts {
				t.Errorf("%d transitions", n)
			}
			if c.maps == " " { // mended on the mapping page, and replayed
				s.mapField("Deals", "Amount", "900")
				s.replay(id)
				s.untilSettled(id)
				if r := s.records("Deals")[0]; r.Text("Stage") != "Negotiation/Review" || r["Amount"] != 900.0 {
					t.Errorf("after the replay the Deal is %v", r)
				}
			}
		})
	}
}
