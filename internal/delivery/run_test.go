package delivery_test

import (
	"testing"
)

func TestNewCallerBecomesOneLeadWithOneCall(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1, "Deals": 0, "Contacts": 0})
	lead, logged := s.records("Leads")[0], s.records("Calls")[0]
	if lead.Text("Last_Name") != "Johnson" || lead.Text("Phone") != "+14155550123" {
		t.Errorf("lead is %v", lead)
	}
	if logged.Ref("What_Id") != lead.ID() {
		t.Errorf("the call hangs on %q, not on the lead %q", logged.Ref("What_Id"), lead.ID())
	}
}
