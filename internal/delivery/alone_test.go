package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// failing is a fault of Zoho's own that does not end, without effect.
func failing(m sandboxtest.Match) sandboxtest.Fault {
	return sandboxtest.Fault{Match: m, Times: 100_000, Kind: "status", Status: 500, Effect: "none",
		Body: `{"code":"INTERNAL_ERROR","message":"Internal Server Error","status":"error","details":{}}`}
}

func TestACallThatZohoAlwaysFailsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	c := sarah()
	c.ProviderCallID = "poison"
	poison := s.receive(c)
	s.untilSettled(poison)
	s.zoho.Control.Faults(s.org, failing(sandboxtest.Match{Method: "GET", Path: "/crm/v8/Calls/" + s.records("Calls")[0].ID()}))
	s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "poison", Summary: "Late, and in vain."}})
	s.until("the first failure", func() bool { return value[int](s, `SELECT tries FROM calls WHERE id = $1`, poison.UUID()) > 0 })
	var others []call.ID
	for i := range 60 {
		others = append(others, s.receive(from(number(i+1))))
	}
	s.untilSettled(others...)
	s.until("one more failure, for which it is blamed", func() bool { return value[int](s, `SELECT tries FROM calls WHERE id = $1`, poison.UUID()) > 1 })
	if hold := value[string](s, `SELECT hold FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()); hold != "" {
		t.Errorf("the lane is held: %s", hold)
	}
}

func TestARecordWhoseAnswerIsAlwaysLostGoesToAPerson(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Faults(s.org, failing(writeOf("Leads")))
	s.start(s.worker(func(d *delivery.Deps) { d.Gap = 100 * time.Millisecond }))
	id := s.receive(sarah())
	s.untilStatus(id, delivery.NeedsAttention)
	if got := s.story(id).Cause; got.Code != delivery.CauseAgain {
		t.Errorf("cause: %+v", got)
	}
	if n := s.zoho.Control.Stats(s.org).Count("POST", "/crm/v8/{module}"); n != 3 {
		t.Errorf("sent %d times, want 3", n)
	}
	s.holds(map[string]int{"Leads": 0, "Calls": 0})
	s.zoho.Control.ClearFaults(s.org)
	s.replay(id)
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestOurRecordIsKnownByItsReferenceWhateverItsNameIsByNow(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Leads"), Times: 1, Kind: "reset", Effect: "after"})
	s.start(s.worker(func(d *delivery.Deps) { d.Gap = time.Second }))
	id := s.receive(sarah())
	s.until("the Lead whose answer is lost", func() bool { return len(s.records("Leads")) == 1 })
	s.zoho.Control.Patch(s.org, "Leads", s.records("Leads")[0].ID(), sandboxtest.Record{"Last_Name": "Johnson-Smith"})
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestAPageHearsOfMoreChangesThanItReadsAtOnce(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	began := time.Now()
	listener := delivery.NewListener(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, s.db.AppURL) }, s.log)
	feed := delivery.NewFeed(s.db.DB, listener)
	const calls = 250
	for i := range calls {
		s.receive(from(number(i)))
	}
	s.exec(`UPDATE calls SET changed_at = clock_timestamp()`) // all within the time in which commits may straggle
	w := feed.Watch(s.tenant, began)
	defer w.Close()
	told := map[call.ID]bool{}
	looks := 0
	for ; len(w.Knocks()) > 0 && looks < 20; looks++ {
		<-w.Knocks()
		rows, err := w.Changed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			told[r.ID] = true
		}
	}
	if len(told) != calls || looks > 3 {
		t.Errorf("told of %d calls of %d in %d looks", len(told), calls, looks)
	}
}

func TestAModuleThatIsClosedToUsHoldsUpOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.exec(`DELETE FROM zoho_modules`)
	f := failing(sandboxtest.Match{Path: "/crm/v8/settings/pipeline*"})
	f.Status, f.Body = 403, `{"code":"NO_PERMISSION","message":"permission denied","status":"error","details":{"permissions":["Crm_Implied_View_Deals"]}}`
	s.zoho.Control.Faults(s.org, f)
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestACallWhoseOwnLeadIsGoneIsWrittenAnew(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Calls"), Times: 1, Kind: "status", Status: 429, Effect: "none"})
	s.start(s.worker())
	id := s.receive(sarah())
	s.until("the Lead", func() bool { return len(s.records("Leads")) == 1 })
	gone := s.records("Leads")[0].ID()
	s.zoho.Control.Delete(s.org, "Leads", gone)
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	if now := s.records("Leads")[0].ID(); now == gone || s.records("Calls")[0].Ref("What_Id") != now {
		t.Errorf("the Call hangs on %s, want the Lead %s", s.records("Calls")[0].Ref("What_Id"), now)
	}
}

func TestOneContactWithTwoNumbersGetsOneDeal(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 50})
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155551001", "Mobile": "+14155551002"})
	var ids []call.ID
	for _, n := range []string{"+14155551001", "+14155551002"} {
		c := from(n)
		c.Transcript = []call.Turn{{Role: call.Caller, Text: "I want to buy fifty seats, send me a quote."}}
		ids = append(ids, s.receive(c))
	}
	s.start(s.worker())
	s.untilSettled(ids...)
	s.holds(map[string]int{"Deals": 1, "Calls": 2, "Leads": 0})
}

func TestACallWhoseEventsCannotBeReadIsSetAsideAlone(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	bad := s.receive(sarah())
	s.exec(`UPDATE events SET normalised = '{"call": 7}'`)
	good := s.receive(from(number(7)))
	s.start(s.worker())
	s.untilSettled(good)
	s.untilStatus(bad, delivery.NeedsAttention)
	if got := s.story(bad).Cause; got.Code != delivery.CauseOurs {
		t.Errorf("cause: %+v", got)
	}
}

// TI7
func TestANoteThatNamesAnotherTenantsCallDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.newShop(), w.newShop()
	theirCall := theirs.receive(sarah())
	stop := w.start(w.worker())
	theirs.untilSettled(theirCall)
	stop()
	asked := func(s *shop) int { return s.zoho.Control.Stats(s.org).CreditsUsed }
	before := asked(theirs)
	ours.exec(`INSERT INTO wakes (tenant_id, id, call_id) VALUES ($1, gen_random_uuid(), $2)`, ours.tenant.UUID(), theirCall.UUID())
	w.start(w.worker())
	w.until("the note taken", func() bool { return value[int](ours, `SELECT count(*) FROM wakes`) == 0 })
	ours.untilSettled(ours.receive(from(number(1)))) // whatever the note began is over by now
	if status := theirs.status(theirCall); status != delivery.Delivered {
		t.Errorf("the other tenant's call is %s", status)
	}
	theirs.holds(map[string]int{"Leads": 1, "Calls": 1})
	ours.holds(map[string]int{"Leads": 1, "Calls": 1})
	if asked(theirs) != before {
		t.Error("Zoho was asked for the other tenant")
	}
}
