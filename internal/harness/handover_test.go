package harness

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Two web and two worker processes on one database: both workers deliver, a dead token is renewed once, and a process
// that is told to stop in the middle of it hands over what it has. HOOKLINE_CHAOS=full tells them to stop fifty times, and
// kills a worker to see how soon the other takes over.
func TestTwoWorkersAndTwoWebsShareAndHandOver(t *testing.T) { // D1, I10
	full := os.Getenv("HOOKLINE_CHAOS") == "full"
	rounds, tenants, limit := 1, 4, 3*time.Minute
	if full {
		rounds, tenants, limit = setting(t, "HOOKLINE_CHAOS_VISITS", 25), 12, 30*time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := newCluster(t, ctx, program(t))
	webs, workers := []string{"web", "web2"}, []string{"worker", "worker2"}
	for i := range webs {
		for name, role := range map[string]string{webs[i]: "web", workers[i]: "worker"} {
			if _, err := c.StartPart(ctx, name, role); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all []Tenant
	for n := range tenants {
		tenant, err := c.AddTenant(ctx, "Shared "+strconv.Itoa(n))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tenant)
	}
	for path, body := range map[string]any{"settings": map[string]any{"latency_ms": 40}, "expire": nil} {
		if err := c.Control(ctx, http.MethodPost, "/_sandbox/"+path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := c.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	var (
		mu      sync.Mutex
		taken   []Call
		senders sync.WaitGroup
		next    = make(chan Call)
		client  = &http.Client{Timeout: 5 * time.Second}
		open    = func(n int) string { return "http://" + c.Part(webs[n%2]).Addr }
	)
	for range 6 {
		senders.Go(func() {
			n := 0
			for call := range next {
				for sent := false; !sent && ctx.Err() == nil; n++ {
					to := call // a balancer that goes on to the other when one does not take it
					to.Tenant.URL = strings.Replace(call.Tenant.URL, "http://"+c.Addr, open(n), 1)
					a, err := Post(ctx, client, to)
					sent = err == nil && a.Status == http.StatusOK
				}
				mu.Lock()
				taken = append(taken, call)
				mu.Unlock()
			}
		})
	}
	sent := 0
	load := func(calls int) {
		for range calls {
			next <- NewCall(all[sent%len(all)], sent, "+1415"+strconv.Itoa(2000000+sent-sent%3))
			sent++
		}
	}

	for round := range rounds {
		load(10 * tenants)
		owners := map[string]bool{}
		until(t, ctx, "both workers at work", func() (bool, error) {
			rows, _ := conn.Query(ctx, `SELECT DISTINCT owner::text FROM lanes WHERE owner IS NOT NULL`)
			now, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, owner := range now {
				owners[owner] = true
			}
			if len(now) == 0 { // all is done: more to do
				load(tenants)
			}
			return len(owners) > 1, err
		})
		var stopping sync.WaitGroup
		for _, name := range []string{webs[round%2], workers[round%2]} {
			stopping.Go(func() {
				began := time.Now()
				code := c.Part(name).Terminate()
				if took := time.Since(began); code != 0 || took > 15*time.Second {
					t.Errorf("%s ended with %d after %s", name, code, took)
				}
			})
		}
		load(2 * tenants)
		stopping.Wait()
		var left int
		if err := conn.QueryRow(ctx, `SELECT count(DISTINCT owner) FROM lanes WHERE owner IS NOT NULL`).Scan(&left); err != nil || left > 1 {
			t.Errorf("lanes are held by %d workers while one lives %v", left, err)
		}
		if round < rounds-1 {
			for name, role := range map[string]string{webs[round%2]: "web", workers[round%2]: "worker"} {
				if _, err := c.StartPart(ctx, name, role); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if full {
		load(10 * tenants)
		c.takeover(t, ctx, conn, workers[rounds%2])
	}
	close(next)
	senders.Wait()
	settling, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := c.Settle(settling); err != nil {
		t.Error(err)
	}
	v, err := c.Compare(ctx, taken)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(v)
	if !v.OK() || v.Acknowledged != sent {
		t.Error("promises were broken")
	}
	for _, tenant := range all {
		lines, err := c.Ledger(ctx, tenant)
		if err != nil {
			t.Fatal(err)
		}
		tokens := 0
		for _, l := range lines {
			if l.asksForToken() {
				tokens++
			}
		}
		if tokens != 2 { // the consent's, and one refresh
			t.Errorf("organisation %s was asked for %d tokens, want 2", tenant.Org, tokens)
		}
	}
}

// takeover kills the worker that alone lives, starts another, and measures until the dead one's lanes are held by it.
func (c *Cluster) takeover(t *testing.T, ctx context.Context, conn *pgx.Conn, name string) {
	var dead string
	until(t, ctx, "a lane held", func() (bool, error) {
		err := conn.QueryRow(ctx, `SELECT COALESCE(min(owner::text), '') FROM lanes WHERE owner IS NOT NULL`).Scan(&dead)
		return dead != "", err
	})
	c.Part(name).Signal(syscall.SIGKILL)
	killed := time.Now()
	if _, err := c.StartPart(ctx, "heir", "worker"); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the dead worker's lanes taken over", func() (bool, error) {
		var left int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM lanes WHERE owner = $1::uuid`, dead).Scan(&left)
		return left == 0, err
	})
	took := time.Since(killed)
	t.Logf("a killed worker's lanes were taken over after %s", took.Round(10*time.Millisecond))
	if took > 16*time.Second {
		t.Errorf("that is more than 16 s")
	}
}
