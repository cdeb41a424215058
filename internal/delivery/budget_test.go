package delivery_test

import (
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// spend makes the lane believe that so many credits were used in the hour that began so long ago.
func (s *shop) spend(credits int, ago time.Duration) {
	s.exec(`INSERT INTO credits (tenant_id, org_id, hour, used) VALUES ($1, $2, date_trunc('hour', now() - $3::interval), $4)
		ON CONFLICT (tenant_id, org_id, hour) DO UPDATE SET used = $4`, s.tenant.UUID(), s.org, ago, credits)
}

func TestWhenCreditsRunLowWhatMattersLeastWaitsFirst(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	limit := s.connection().Budget.Limit
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155551001"})
	s.start(s.worker())
	first := from("+14155551001")
	first.ProviderCallID = "first"
	told := s.receive(first)
	s.untilSettled(told)

	s.spend(limit*85/100, 2*time.Hour) // under a fifth are left
	s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: "first", Summary: "Late news."}})
	s.until("late news waits", func() bool { return len(s.list(delivery.Filter{Status: delivery.Held}).Calls) == 1 })
	row := s.list(delivery.Filter{Status: delivery.Held}).Calls[0]
	if row.ID != told || !strings.Contains(row.Reason, "credits run low") {
		t.Errorf("%s is held: %s", row.ID, row.Reason)
	}
	second := s.receive(from("+14155551001")) // and holds up no later call of the same caller
	s.untilSettled(second)

	s.spend(limit*95/100, 2*time.Hour) // under a tenth
	third, stranger := s.receive(from("+14155551001")), s.receive(from("+14155551002"))
	s.untilSettled(stranger)
	s.until("the known caller's call waits", func() bool { return len(s.list(delivery.Filter{Status: delivery.Held}).Calls) == 2 })
	s.holds(map[string]int{"Leads": 1, "Calls": 3})

	s.spend(limit, 2*time.Hour)
	s.exec(`UPDATE connections SET credits_left = 3, credits_left_at = now() WHERE tenant_id = $1`, s.tenant.UUID())
	last := s.receive(from("+14155551003"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.describe(last))
		}
	})
	s.until("the lane is held", func() bool {
		return value[string](s, `SELECT hold FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()) == delivery.HoldLimit
	})
	if detail := value[string](s, `SELECT hold_detail FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()); !strings.Contains(detail, "become free at") {
		t.Errorf("the hold says: %s", detail)
	}
	if figures, err := delivery.Stats(t.Context(), s.db.DB, s.tenant); err != nil || figures.ByStatus[delivery.Held] != 3 {
		t.Errorf("%+v %v", figures, err)
	}

	s.spend(0, 2*time.Hour) // a day later
	s.exec(`UPDATE connections SET credits_left = NULL WHERE tenant_id = $1`, s.tenant.UUID())
	s.exec(`UPDATE lanes SET hold_until = now(), retry_at = now()`)
	s.exec(`UPDATE calls SET next_at = now() WHERE next_at IS NOT NULL`)
	s.untilSettled(told, third, last)
	s.holds(map[string]int{"Leads": 2, "Calls": 5})
}

func TestWhatZohoSaysIsLeftCountsForMoreThanOurOwnSum(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"credits": 40})
	s.start(s.worker())
	held := func() bool {
		return value[string](s, `SELECT COALESCE(max(hold), '') FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()) == delivery.HoldLimit
	}
	for i := 0; i < 12 && !held(); i++ {
		id := s.receive(from(number(i)))
		s.until("its end, or the lane's", func() bool { return s.status(id) == delivery.Delivered || held() })
	}
	if refused := value[int](s, `SELECT count(*) FROM attempts WHERE tenant_id = $1 AND status = 429`, s.tenant.UUID()); !held() || refused > 0 {
		t.Errorf("held: %v; Zoho refused %d requests", held(), refused)
	}
	if left := s.connection().Budget.Left; left < 0 || left > 20 {
		t.Errorf("%d are left, by the page", left)
	}
}
