package delivery_test

import (
	"strings"
	"testing"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestACallHandedToAPersonIsWrittenOnlyWhenTheyReplayIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.rule(routing.Outcome{Do: routing.HandOver, Why: "It is about a lawsuit."})
	s.start(s.worker())
	c := sarah()
	c.ProviderCallID = "np_handed"
	id := s.receive(c)
	s.untilStatus(id, delivery.NeedsAttention)
	handed := func(when string) {
		t.Helper()
		story := s.story(id)
		if story.Cause == nil || story.Cause.Code != delivery.CauseHandOver || story.Cause.Sentence != "The rule “Only rule” hands this call to a person: It is about a lawsuit." ||
			story.Outcome != "Handed to a person" {
			t.Errorf("%s: %q, cause %+v", when, story.Outcome, story.Cause)
		}
		s.holds(map[string]int{"Leads": 0, "Calls": 0})
	}
	handed("at first")
	s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "np_handed", Summary: "Now with a summary."}})
	s.untilTaken(id, 2, delivery.NeedsAttention)
	handed("after news")

	s.rule(routing.Outcome{Do: routing.CreateLead}, routing.Outcome{Do: routing.LogCall, On: "lead"})
	s.replay(id)
	s.untilStatus(id, delivery.Delivered)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestACallThatAPersonTookCareOfIsPutAwayAndCanStillBeReplayed(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Calls"), Times: 1, Kind: "status", Status: 400,
		Body: `{"data":[{"code":"INVALID_DATA","details":{"api_name":"Subject"},"message":"invalid data","status":"error"}]}`})
	s.start(s.worker())
	c := sarah()
	c.ProviderCallID = "np_away"
	id := s.receive(c)
	s.untilStatus(id, delivery.NeedsAttention)
	s.holds(map[string]int{"Leads": 1, "Calls": 0})
	if err := delivery.PutAway(t.Context(), s.db.DB, s.tenant, id, "owner@example.com"); err != nil {
		t.Fatal(err)
	}
	away := func(when string) {
		t.Helper()
		story := s.story(id)
		if story.Status != delivery.Ignored || story.Outcome != delivery.OutcomePutAway || story.Cause != nil {
			t.Errorf("%s: %s %q %+v", when, story.Status, story.Outcome, story.Cause)
		}
		s.holds(map[string]int{"Leads": 1, "Calls": 0})
	}
	away("put away")
	if err := delivery.PutAway(t.Context(), s.db.DB, s.tenant, id, "owner@example.com"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("putting it away again: %v", err)
	}
	if n := value[int](s, `SELECT count(*) FROM audit WHERE tenant_id = $1 AND action = 'call.put_away' AND actor = 'owner@example.com'`, s.tenant.UUID()); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	for n, email := range []string{"sarah@abc.example", "sarah.johnson@abc.example"} { // late news reaches what stands and writes nothing more
		s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "np_away", Email: email}})
		s.untilTaken(id, n+2, delivery.Ignored)
		away("after news")
	}
	s.replay(id)
	s.untilStatus(id, delivery.Delivered)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	if story := s.story(id); !strings.Contains(story.Outcome, "Lead created") {
		t.Errorf("outcome %q", story.Outcome)
	}
}

func TestACallOfWhichARecordMayStandIsNotPutAway(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	s.exec(`UPDATE calls SET status = 'needs_attention' WHERE tenant_id = $1`, s.tenant.UUID())
	s.exec(`UPDATE deliveries SET state = 'unknown' WHERE tenant_id = $1 AND slot = 'call'`, s.tenant.UUID())
	err := delivery.PutAway(t.Context(), s.db.DB, s.tenant, id, "owner@example.com")
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.SentenceOf(err), "Say first which") {
		t.Errorf("putting it away: %v", err)
	}
	if err := delivery.PutAway(t.Context(), s.db.DB, s.tenant, call.ID{1}, "owner@example.com"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a call that is not there: %v", err)
	}
}

func TestARulesOwnValuesAndTasksAreWritten(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.rule(routing.Outcome{Do: routing.CreateLead, With: []routing.Value{{Field: "Lead_Source", Value: "Trade Show"}, {Field: "City", Value: "{{ company_name }}"}}},
		routing.Outcome{Do: routing.LogCall, On: "lead"},
		routing.Outcome{Do: routing.AddTask, Subject: "Call back"}, routing.Outcome{Do: routing.AddTask, Subject: "Send the brochure", Days: 3})
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilStatus(id, delivery.Delivered)
	s.holds(map[string]int{"Leads": 1, "Calls": 1, "Tasks": 2})
	if lead := s.records("Leads")[0]; lead.Text("Lead_Source") != "Trade Show" || lead.Text("City") != "ABC Corp" || lead.Text("Last_Name") != "Johnson" {
		t.Errorf("lead %v", lead)
	}
	subjects := s.records("Tasks")[0].Text("Subject") + s.records("Tasks")[1].Text("Subject")
	if !strings.Contains(subjects, "Call back") || !strings.Contains(subjects, "Send the brochure") || !strings.Contains(s.story(id).Outcome, "2 Tasks added") {
		t.Errorf("%q, tasks %q", s.story(id).Outcome, subjects)
	}
}

// untilTaken waits until so many events of the call were worked on, and the call is over.
func (s *shop) untilTaken(id call.ID, events int, status string) {
	s.t.Helper()
	s.until("the news is taken in", func() bool {
		return value[bool](s, `SELECT revision = $3 AND status = $4 FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID(), events, status)
	})
}
