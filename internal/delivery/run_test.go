package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/zoho/sandbox/sandboxtest"
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

func TestKnownContactGetsACallAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "(415) 555-0123"})[0]
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	s.holds(map[string]int{"Leads": 0, "Calls": 1, "Contacts": 1, "Deals": 0})
	if who := s.records("Calls")[0].Ref("Who_Id"); who != contact {
		t.Errorf("the call hangs on %q, not on the contact", who)
	}
}

func TestRememberedCallerCostsAtMostThreeCreditsAndTheyAreCounted(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	counted := func() int {
		return value[int](s, `SELECT COALESCE(sum(used), 0) FROM credits WHERE tenant_id = $1`, s.tenant.UUID())
	}
	before, had := s.zoho.Control.Stats(s.org).CreditsUsed, counted()
	s.untilSettled(s.receive(sarah()))
	used := s.zoho.Control.Stats(s.org).CreditsUsed - before
	if used > 3 {
		t.Errorf("a remembered caller's call cost %d credits", used)
	}
	if n := counted() - had; n != used {
		t.Errorf("counted %d credits, Zoho %d", n, used)
	}
}

func TestTwoCallsOfANewCallerWithinTheIndexLagMakeOneLead(t *testing.T) { // Z10
	t.Parallel()
	for _, lag := range []int{0, 5000, 120000} {
		t.Run(fmt.Sprintf("lag of %d ms", lag), func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).newShop()
			s.zoho.Control.Settings(s.org, map[string]any{"search_index_lag_ms": lag})
			s.start(s.worker())
			s.untilSettled(s.receive(sarah()), s.receive(sarah()))
			s.holds(map[string]int{"Leads": 1, "Calls": 2})
		})
	}
}

func TestCallsOfOneCallerAreWrittenInOrderOfReceipt(t *testing.T) { // I5
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 5})
	var ids []call.ID
	began := sarah().StartedAt
	for i := range 40 {
		c := from(number(i % 4))
		c.StartedAt = began.Add(time.Duration(i) * time.Minute)
		c.Summary = fmt.Sprintf("call %02d of caller %d", i/4, i%4)
		ids = append(ids, s.receive(c))
	}
	s.start(s.worker())
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": 4, "Calls": 40})
	last := map[string]string{}
	byID := map[string]sandboxtest.Record{}
	for _, r := range s.records("Calls") {
		byID[r.ID()] = r
	}
	for _, line := range s.zoho.Control.Ledger(0) {
		for _, e := range line.Effects {
			r, ok := byID[e.ID]
			if !ok {
				continue
			}
			if began := r.Text("Call_Start_Time"); began <= last[r.Ref("What_Id")] {
				t.Errorf("a call of %s was written after one of %s", began, last[r.Ref("What_Id")])
			} else {
				last[r.Ref("What_Id")] = began
			}
		}
	}
	if len(last) != 4 {
		t.Errorf("the ledger tells of %d callers' calls", len(last))
	}
}

func TestHiddenNumberIsKeptAndShownAndMakesNoRecord(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	c := sarah()
	c.From, c.Withheld = "", true
	id := s.receive(c)
	s.untilStatus(id, delivery.Ignored)
	s.holds(map[string]int{"Leads": 0, "Calls": 0})
}

func TestRefusedFieldNeedsAttentionAndResumesAfterTheFix(t *testing.T) { // J4
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	s.start(s.worker())
	id := s.receive(sarah())
	other := s.receive(from(number(1)))
	s.untilStatus(id, delivery.NeedsAttention)
	s.untilStatus(other, delivery.NeedsAttention)
	story := s.story(id)
	if c := story.Cause; c == nil || c.Field != "Industry" || c.Module != "Leads" || c.Link != "/mapping/Leads#field-Industry" || !strings.Contains(c.Sentence, "Industry") {
		t.Fatalf("cause is %+v", c)
	}
	s.holds(map[string]int{"Leads": 0, "Calls": 0})

	s.mapField("Leads", "Industry", "Wireless Industry")
	s.replay(id)
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	s.replay(other)
	s.untilSettled(other)
	s.holds(map[string]int{"Leads": 2, "Calls": 2})
}

func TestReplayAfterTheLeadResumesAtTheCall(t *testing.T) { // P16 by refusal
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"required": map[string]any{"Calls": []string{"Call_Agenda"}}})
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilStatus(id, delivery.NeedsAttention)
	s.holds(map[string]int{"Leads": 1, "Calls": 0})
	later := s.receive(sarah()) // the same caller's next call is not held up by this one's fault
	s.untilStatus(later, delivery.NeedsAttention)
	s.mapField("Calls", "Call_Agenda", "{{ call_summary }}")
	s.replay(id)
	s.replay(later)
	s.untilSettled(id, later)
	s.holds(map[string]int{"Leads": 1, "Calls": 2})
}

func TestThreeSetAsideCallsOfOneNewCallerMakeOneLeadWhenReplayed(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	s.start(s.worker())
	ids := []call.ID{s.receive(sarah()), s.receive(sarah()), s.receive(sarah())}
	for _, id := range ids {
		s.untilStatus(id, delivery.NeedsAttention)
	}
	s.mapField("Leads", "Industry", "Wireless Industry")
	for i := range ids {
		s.replay(ids[len(ids)-1-i]) // in whatever order a person clicks
	}
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": 1, "Calls": 3})
}

func TestLateInformationUpdatesTheSameCall(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	c := sarah()
	c.ProviderCallID, c.Summary, c.Transcript, c.Email = "np_late", "", nil, ""
	id := s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c})
	s.untilSettled(id)

	news := call.Call{ProviderCallID: "np_late", Summary: "Wants pricing for 50 seats.", Email: "sarah@abc.example"}
	if again := s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: news}); again != id {
		t.Fatal("the news made another call")
	}
	s.until("the summary in Zoho", func() bool {
		r := s.records("Calls")
		return len(r) == 1 && strings.Contains(r[0].Text("Description"), "Wants pricing for 50 seats.")
	})
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	if email := s.records("Leads")[0].Text("Email"); email != "sarah@abc.example" {
		t.Errorf("the lead's e-mail is %q", email)
	}

	before := s.zoho.Control.Stats(s.org)
	s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: news})
	s.until("the third event taken", func() bool {
		return value[int](s, `SELECT done_revision FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID()) == 3
	})
	if after := s.zoho.Control.Stats(s.org); after.Count("PUT", "/crm/v8/{module}/{id}") != before.Count("PUT", "/crm/v8/{module}/{id}") {
		t.Error("news that changes nothing was written")
	}
}

func TestNewsBeforeItsCallWaitsForIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "np_early", Summary: "Late words."}})
	s.until("the lane has looked at it", func() bool {
		return value[bool](s, `SELECT next_at IS NOT NULL FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID())
	})
	c := sarah()
	c.ProviderCallID, c.Summary = "np_early", ""
	s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c})
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	if d := s.records("Calls")[0].Text("Description"); !strings.Contains(d, "Late words.") {
		t.Errorf("description is %q", d)
	}
}

func TestNewsWhoseCallNeverComesNeedsAttention(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	id := s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "np_alone", Summary: "Words."}})
	s.exec(`UPDATE calls SET received_at = received_at - interval '15 minutes' WHERE tenant_id = $1`, s.tenant.UUID())
	s.start(s.worker())
	s.untilStatus(id, delivery.NeedsAttention)
	if c := s.story(id).Cause; c.Code != delivery.CauseNoCall {
		t.Errorf("cause is %+v", c)
	}
	c := sarah()
	c.ProviderCallID = "np_alone"
	s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c})
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestCallWaitsForItsAnnouncedAnalysis(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker(func(d *delivery.Deps) { d.Late = 5 * time.Minute }))
	c := sarah()
	c.ProviderCallID, c.Summary = "rt_1", ""
	id := s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c, MoreFollow: true})
	s.until("the lane has put it off", func() bool {
		return value[bool](s, `SELECT next_at IS NOT NULL FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID())
	})
	s.holds(map[string]int{"Leads": 0})
	s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: call.Call{ProviderCallID: "rt_1", From: c.From, Direction: call.Inbound, Status: call.Completed, Summary: "The analysis."}})
	s.untilSettled(id)
	if d := s.records("Calls")[0].Text("Description"); !strings.Contains(d, "The analysis.") {
		t.Errorf("description is %q", d)
	}
}

func TestCallWhoseAnnouncedAnalysisNeverComesGoesOnWithoutIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	id := s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: sarah(), MoreFollow: true})
	s.exec(`UPDATE calls SET received_at = received_at - interval '20 seconds' WHERE tenant_id = $1`, s.tenant.UUID())
	s.start(s.worker())
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
}

func TestReplayOfADeliveredCallWritesNothingTwice(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	posts := s.zoho.Control.Stats(s.org).Count("POST", "/crm/v8/{module}")
	s.replay(id)
	s.untilSettled(id)
	if again := s.zoho.Control.Stats(s.org).Count("POST", "/crm/v8/{module}"); again != posts {
		t.Errorf("a replay wrote %d records more", again-posts)
	}
}

func TestContactDeletedBetweenSearchAndWriteIsLookedForAgain(t *testing.T) { // Z11
	t.Parallel()
	s := newWorld(t).newShop()
	contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 400})
	s.start(s.worker())
	id := s.receive(sarah())
	s.until("the intent", func() bool {
		return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1`, s.tenant.UUID()) == 1
	})
	s.zoho.Control.Delete(s.org, "Contacts", contact)
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	if story := s.story(id); story.Decisions != 2 {
		t.Errorf("decided %d times", story.Decisions)
	}
}

func (s *shop) story(id call.ID) delivery.Story {
	s.t.Helper()
	story, err := delivery.ShowCall(s.t.Context(), s.db.DB, s.keys, s.tenant, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return story
}

func (s *shop) replay(id call.ID) {
	s.t.Helper()
	if err := delivery.Replay(context.Background(), s.db.DB, s.tenant, id, delivery.ConfigCurrent, "owner@example.com"); err != nil {
		s.t.Fatal(err)
	}
	s.bell.Ring(s.tenant)
}

// mapField gives a field a value in the tenant's live mapping, as the mapping page does.
func (s *shop) mapField(module, field, template string) {
	s.t.Helper()
	s.configures(func(c *config.Set) {
		rows := slices.DeleteFunc(c.Mappings.Modules[module], func(r mapping.Row) bool { return r.Field == field })
		c.Mappings.Modules[module] = append(rows, mapping.Row{Field: field, Value: template})
	})
}

// configures publishes a change of the tenant's configuration, whatever Zoho may say of it.
func (s *shop) configures(change func(*config.Set)) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx, tx, s.tenant)
		if err != nil {
			return err
		}
		if draft, err = config.EditDraft(ctx, tx, s.tenant, "owner@example.com", draft.Revision, func(c *config.Set) (string, error) {
			change(c)
			return "test", nil
		}); err != nil {
			return err
		}
		_, err = config.Publish(ctx, tx, s.tenant, config.Publication{Actor: "owner@example.com", Revision: draft.Revision, Untested: true, Despite: true}, nil)
		return err
	})
}
