package harness

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// How long it takes from the webhook's answer until the caller's Lead stands in Zoho, with a Zoho that takes 80 ms for
// each request. It asserts no speed: HOOKLINE_MEASURE=1 runs it, HOOKLINE_MEASURE_CALLS changes its 200 calls.
func TestTimeFromTheAnswerToTheLead(t *testing.T) {
	if os.Getenv("HOOKLINE_MEASURE") != "1" {
		t.Skipf("%s skipped: it measures and proves nothing (HOOKLINE_MEASURE=1 runs it)", t.Name())
	}
	for _, pace := range []struct {
		name  string
		every time.Duration // between two calls, by the clock and not by the answers
	}{{"a call a second", time.Second}, {"four calls a second", 250 * time.Millisecond}} {
		t.Run(pace.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			s := newSystem(t, ctx, program(t))
			if _, err := s.Start(ctx); err != nil {
				t.Fatal(err)
			}
			tenant, err := s.AddTenant(ctx, "Latency")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": 80}, nil); err != nil {
				t.Fatal(err)
			}
			n := setting(t, "HOOKLINE_MEASURE_CALLS", 200)
			answered := make(map[string]time.Time, n)
			client := &http.Client{Timeout: 5 * time.Second}
			due := time.NewTicker(pace.every)
			defer due.Stop()
			for i := range n {
				c := NewCall(tenant, i, "+1415"+strconv.Itoa(2000000+i))
				if _, err := PostUntilTaken(ctx, client, c); err != nil {
					t.Fatal(err)
				}
				answered[c.From] = time.Now()
				<-due.C
			}
			if err := s.Settle(ctx); err != nil {
				t.Fatal(err)
			}

			// The ledger has when each request came that made a Lead; its answer left a latency later, and before
			// that nobody sees the Lead.
			const latency = 80 * time.Millisecond
			var took []time.Duration
			made := s.made(t, ctx, "Leads")
			leads, err := s.Records(ctx, tenant, "Leads")
			if err != nil {
				t.Fatal(err)
			}
			for _, lead := range leads {
				at, ok := made[lead["id"].(string)]
				if !ok {
					t.Fatalf("the ledger lacks Lead %v", lead["id"])
				}
				took = append(took, at.Add(latency).Sub(answered[lead["Phone"].(string)]))
			}
			if len(took) != n {
				t.Fatalf("%d Leads of %d calls", len(took), n)
			}
			slices.Sort(took)
			at := func(share float64) time.Duration { return took[int(share*float64(n-1))].Round(time.Millisecond) }
			t.Logf("webhook's answer → Lead in Zoho, %d new callers, %s, 80 ms a request: p50 %v, p95 %v, p99 %v, longest %v", n, pace.name, at(0.50), at(0.95), at(0.99), at(1))
		})
	}
}

// made is when the requests came that created a module's records, by id.
func (s *System) made(t *testing.T, ctx context.Context, module string) map[string]time.Time {
	t.Helper()
	made := map[string]time.Time{}
	for after := 0; ; {
		var page struct {
			Data []struct {
				N       int
				Time    time.Time
				Effects []struct{ Module, ID, Action string }
			}
		}
		if err := s.Control(ctx, http.MethodGet, "/_sandbox/ledger?after="+strconv.Itoa(after), nil, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Data) == 0 {
			return made
		}
		for _, line := range page.Data {
			after = line.N
			for _, e := range line.Effects {
				if e.Module == module && e.Action == "created" {
					made[e.ID] = line.Time
				}
			}
		}
	}
}
