package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"hookline/internal/harness"
)

// credits measures what a delivered call costs of an organisation's API credits: one after another, and with many
// waiting, whose questions and records share requests; then how many requests a second twenty waiting lanes make.
func credits(ctx context.Context, s *harness.System, waiting, lanes, latency int) error {
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": latency, "search_index_lag_ms": 0}, nil); err != nil {
		return err
	}
	t, err := s.AddTenant(ctx, "Credits")
	if err != nil {
		return err
	}
	next := 0
	calls := func(t harness.Tenant, first, n int) (made []harness.Call) {
		for i := range n {
			made = append(made, harness.NewCall(t, next, "+1628"+strconv.Itoa(2000000+first+i)))
			next++
		}
		return made
	}
	fmt.Printf("\ncredits of a delivered call, sandbox %d ms a request\n", latency)
	const few = 20
	for _, c := range calls(t, 900_000, 1) { // the first of a tenant reads its fields as well
		if _, err := deliver(ctx, s, t, []harness.Call{c}, false); err != nil {
			return err
		}
	}
	for _, who := range []string{"new callers, one after another", "the same again, one after another"} {
		sum := 0
		for _, c := range calls(t, 0, few) {
			m, err := deliver(ctx, s, t, []harness.Call{c}, false)
			if err != nil {
				return err
			}
			sum += m.credits
		}
		fmt.Printf("  %-36s %.2f\n", who, float64(sum)/few)
	}
	for _, who := range []string{"new callers", "the same again"} {
		m, err := deliver(ctx, s, t, calls(t, 10_000, waiting), true)
		if err != nil {
			return err
		}
		fmt.Printf("  %-36s %.2f; %.0f calls/s, %.0f requests/s\n", fmt.Sprintf("%s, %d waiting", who, waiting),
			float64(m.credits)/float64(waiting), float64(waiting)/m.took.Seconds(), float64(m.requests)/m.took.Seconds())
	}

	var work []harness.Call
	for i := range lanes {
		t, err := s.AddTenant(ctx, "Lane "+strconv.Itoa(i))
		if err != nil {
			return err
		}
		work = append(work, calls(t, 20_000+1000*i, waiting/10)...)
	}
	m, err := deliver(ctx, s, harness.Tenant{}, work, true)
	if err != nil {
		return err
	}
	fmt.Printf("  %d lanes with %d waiting each         %.0f calls/s, %.0f requests/s, %.2f credits a call\n", lanes, waiting/10,
		float64(len(work))/m.took.Seconds(), float64(m.requests)/m.took.Seconds(), float64(m.credits)/float64(len(work)))
	return nil
}

// measured is what delivering some calls took.
type measured struct {
	took              time.Duration
	credits, requests int
}

// deliver posts the calls and waits until all are delivered. With held, nothing is delivered before all are there. The
// figures are those of t's organisation, or of all for the zero Tenant.
func deliver(ctx context.Context, s *harness.System, t harness.Tenant, work []harness.Call, held bool) (measured, error) {
	conn, err := s.Database(ctx)
	if err != nil {
		return measured{}, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if held {
		if _, err := conn.Exec(ctx, `UPDATE lanes SET hold_until = 'infinity'`); err != nil {
			return measured{}, err
		}
		for open := 1; open > 0; { // lanes that are held go on until they have nothing to do
			if err := conn.QueryRow(ctx, `SELECT count(*) FROM lanes WHERE owner IS NOT NULL`).Scan(&open); err != nil {
				return measured{}, err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	before, err := used(ctx, s, t)
	if err != nil {
		return measured{}, err
	}
	client := &http.Client{Timeout: 10 * time.Second}
	began := time.Now()
	for _, c := range work {
		if _, err := harness.PostUntilTaken(ctx, client, c); err != nil {
			return measured{}, err
		}
	}
	if held {
		began = time.Now()
		if _, err := conn.Exec(ctx, `UPDATE lanes SET hold_until = NULL, retry_at = now()`); err != nil {
			return measured{}, err
		}
	}
	if err := s.Settle(ctx); err != nil {
		return measured{}, err
	}
	m := measured{took: time.Since(began)}
	after, err := used(ctx, s, t)
	m.credits, m.requests = after.credits-before.credits, after.requests-before.requests
	return m, err
}

func used(ctx context.Context, s *harness.System, t harness.Tenant) (measured, error) {
	var stats struct {
		Credits  int `json:"credits_used"`
		Requests []struct {
			Path  string `json:"path"`
			Count int    `json:"count"`
		} `json:"requests"`
	}
	path := "/_sandbox/stats"
	if t.Org != "" {
		path += "?org=" + t.Org
	}
	if err := s.Control(ctx, http.MethodGet, path, nil, &stats); err != nil {
		return measured{}, err
	}
	m := measured{credits: stats.Credits}
	for _, r := range stats.Requests {
		m.requests += r.Count
	}
	return m, nil
}
