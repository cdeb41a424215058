package delivery_test

import (
	"testing"

	"github.com/google/uuid"

	"hookline/internal/delivery"
)

func TestExchangesAreGoneAfterThirtyDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.HoldAllTimes(t)
	s := w.newShop()
	w.start(w.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	s.exec(`UPDATE attempts SET at = now() - interval '29 days 23 hours'`)
	s.exec(`UPDATE attempts SET at = now() - interval '30 days 1 minute' WHERE method = 'POST' AND path = '/crm/v8/Leads'`)
	other := w.unconnected()
	for _, shop := range []*shop{s, other} {
		shop.exec(`
			INSERT INTO attempts (tenant_id, id, at, call_id, purpose, method, path, status, outcome, duration_ms, exchange)
			SELECT $1, gen_random_uuid(), now() - interval '31 days', $2, 'write', 'POST', '/crm/v8/Calls', 201, 'ok', 1, 'x' FROM generate_series(1, 1000)`,
			shop.tenant.UUID(), uuid.New())
	}

	emptied, err := delivery.ForgetExchanges(t.Context(), w.db.DB, s.tenant)
	if err != nil || emptied != 1001 {
		t.Errorf("%d were emptied, %v; want 1001", emptied, err)
	}
	if n := value[int](other, `SELECT count(*) FROM attempts WHERE exchange IS NOT NULL`); n != 1000 {
		t.Errorf("another tenant keeps %d", n)
	}
	story, err := delivery.ShowCall(t.Context(), w.db.DB, w.keys, s.tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	old, young := 0, 0
	for _, a := range story.Attempts {
		lead := a.Method == "POST" && a.Path == "/crm/v8/Leads"
		if a.Gone != lead || lead && a.Request+a.Response != "" {
			t.Errorf("%s %s: gone %v, answer %q", a.Method, a.Path, a.Gone, a.Response)
		}
		if lead {
			old++
		} else {
			young++
		}
	}
	if old != 1 || young == 0 {
		t.Errorf("%d old and %d young attempts", old, young)
	}
	if again, err := delivery.ForgetExchanges(t.Context(), w.db.DB, s.tenant); err != nil || again != 0 {
		t.Errorf("a second time: %d, %v", again, err)
	}
}
