package harness

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Pages that hang on the database take no connection from intake, and a database that takes hardly any connection makes
// senders try again: they are told 503, and nothing is lost or doubled.
func TestHangingPagesAndTooFewConnectionsCostNoCall(t *testing.T) { // F3, F4
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := newCluster(t, ctx, program(t))
	for _, role := range []string{"web", "worker"} {
		if _, err := c.StartPart(ctx, role, role); err != nil {
			t.Fatal(err)
		}
	}
	tenant, err := c.AddTenant(ctx, "Crowd")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 300}}
	sent := 0
	calls := func(n int) (made []Call) {
		for range n {
			made = append(made, NewCall(tenant, sent, "+1415"+strconv.Itoa(2000000+sent)))
			sent++
		}
		return made
	}

	// Fifty pages want a table that nobody gets, more than the pages' connections.
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE lanes IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var pages sync.WaitGroup
	for range 50 {
		pages.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+"/api/v1/calls", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+tenant.APIKey)
			resp, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a page that hung was answered %d", resp.StatusCode)
			}
		})
	}
	other, err := c.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(ctx)) }()
	until(t, ctx, "every connection of the pages waiting", func() (bool, error) {
		var waiting int
		err := other.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).Scan(&waiting)
		return waiting >= 20, err
	})
	var acknowledged []Call
	for _, call := range calls(20) {
		began := time.Now()
		a, err := Post(ctx, client, call)
		if took := time.Since(began); err != nil || a.Status != http.StatusOK || took > 2*time.Second {
			t.Errorf("beside hanging pages a call was answered %d after %s: %v", a.Status, took, err)
			continue
		}
		acknowledged = append(acknowledged, call)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	pages.Wait()

	// The database takes three connections, and two hundred senders come at once.
	for _, sql := range []string{
		`ALTER DATABASE hookline CONNECTION LIMIT 3`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hookline' AND pid <> pg_backend_pid() AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = usename)`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	answers := map[int]int{}
	var senders sync.WaitGroup
	crowd := calls(200)
	for _, call := range crowd {
		senders.Go(func() {
			a, err := Post(ctx, client, call)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[a.Status]++
		})
	}
	senders.Wait()
	t.Logf("answers with three connections: %v", answers)
	for status := range answers {
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("%d senders were answered %d", answers[status], status)
		}
	}
	if _, err := conn.Exec(ctx, `ALTER DATABASE hookline CONNECTION LIMIT -1`); err != nil {
		t.Fatal(err)
	}
	for _, call := range crowd {
		if _, err := PostUntilTaken(ctx, client, call); err != nil {
			t.Fatal(err)
		}
	}
	acknowledged = append(acknowledged, crowd...)
	if err := c.Settle(ctx); err != nil {
		t.Error(err)
	}
	verdict, err := c.Compare(ctx, acknowledged)
	if err != nil {
		t.Fatal(err)
	}
	if t.Log(verdict); !verdict.OK() {
		t.Error("promises were broken")
	}
}
