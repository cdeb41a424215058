// Command bench measures what a customer waits for, on this machine: start-up, intake alone, a call's way from the
// webhook to the CRM, processor time and memory, and in the same run what PostgreSQL itself reaches with rows of the
// same size. Figures of one run may be compared with each other, never with another machine's.
//
// Load is open loop, but where the most that intake takes is looked for: requests are due at a fixed rate, and latency
// counts from the due time, so a slow server cannot hide behind a sender that waits for it. All traffic stays on the
// loopback interface.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hookline/internal/harness"
)

func main() {
	intakeFor := flag.Duration("intake", 10*time.Second, "how long intake is measured with delivery off, in closed and then in open loop")
	conns := flag.Int("conns", 256, "connections of the intake measurement")
	rate := flag.Int("rate", 100, "calls a second of the end-to-end measurement")
	e2eFor := flag.Duration("e2e", 15*time.Second, "how long calls are sent end to end")
	tenants := flag.Int("tenants", 20, "tenants that the calls belong to")
	latency := flag.Int("latency", 80, "milliseconds that the sandbox takes for a request")
	waiting := flag.Int("waiting", 1000, "calls that wait when the credits of a backlog are measured; 0: that is all that is left out")
	only := flag.Bool("credits", false, "measure the credits alone")
	flag.Parse()
	if err := run(*intakeFor, *conns, *rate, *e2eFor, *tenants, *latency, *waiting, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(intakeFor time.Duration, conns, rate int, e2eFor time.Duration, tenants, latency, waiting int, only bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "hl-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	binary, err := harness.Build(dir)
	if err != nil {
		return err
	}
	s, err := harness.NewSystem(ctx, binary, dir)
	if err != nil {
		return err
	}
	defer s.Close()

	began := time.Now()
	p, err := s.Start(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("first start to ready            %8.0f ms (makes the database)\n", ms(time.Since(began)))
	p.Terminate()
	began = time.Now()
	if p, err = s.Start(ctx); err != nil {
		return err
	}
	fmt.Printf("second start to ready           %8.0f ms\n", ms(time.Since(began)))
	_, rss := harness.CPU(p.PID())
	fmt.Printf("memory at rest                  %8.1f MiB\n", float64(rss)/(1<<20))

	if waiting > 0 {
		if err := credits(ctx, s, waiting, 20, latency); err != nil || only {
			return err
		}
	}
	var all []harness.Tenant
	for i := range tenants {
		t, err := s.AddTenant(ctx, "Bench "+strconv.Itoa(i))
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	if err := endToEnd(ctx, s, p, all, rate, e2eFor, latency); err != nil {
		return err
	}
	if err := intakeAlone(ctx, s, p, all, conns, intakeFor); err != nil {
		return err
	}
	return pgbench(ctx, s, dir)
}

// endToEnd sends calls of new callers at a rate and reads from the sandbox's records when each Zoho Call was made.
func endToEnd(ctx context.Context, s *harness.System, p *harness.Process, all []harness.Tenant, rate int, length time.Duration, latency int) error {
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": latency, "search_index_lag_ms": 0}, nil); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: 10 * time.Second}
	total := rate * int(length/time.Second)
	var (
		mu    sync.Mutex
		acks  []time.Duration
		calls []harness.Call
		due   = map[string]time.Time{}
		lost  int
		work  sync.WaitGroup
	)
	cpu, _ := harness.CPU(p.PID())
	start := time.Now()
	for n := range total {
		at := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(at))
		work.Go(func() {
			c := harness.NewCall(all[n%len(all)], n, "+1415"+strconv.Itoa(2000000+n))
			a, err := harness.Post(ctx, client, c)
			took := time.Since(at)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || a.Status != http.StatusOK {
				lost++
				return
			}
			acks, calls = append(acks, took), append(calls, c)
			due[a.CallID] = at
		})
	}
	work.Wait()
	sent := time.Now()
	if err := s.Settle(ctx); err != nil {
		return err
	}
	drained := time.Now()
	used, rss := harness.CPU(p.PID())
	conn, err := s.Database(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT id::text, delivered_at FROM calls WHERE delivered_at IS NOT NULL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var whole []time.Duration
	for rows.Next() {
		var id string
		var at time.Time
		if err := rows.Scan(&id, &at); err != nil {
			return err
		}
		if d, ok := due[id]; ok {
			whole = append(whole, at.Sub(d))
		}
	}
	verdict, err := s.Compare(ctx, calls)
	if err != nil {
		return err
	}
	fmt.Printf("\nend to end, %d calls/s offered for %v, %d tenants, sandbox %d ms a request\n", rate, length, len(all), latency)
	fmt.Printf("  answered                      p50 %.0f ms, p99 %.0f ms; not answered 200: %d\n", ms(at(acks, 50)), ms(at(acks, 99)), lost)
	fmt.Printf("  webhook to delivered          p50 %.0f ms, p95 %.0f ms, p99 %.0f ms\n", ms(at(whole, 50)), ms(at(whole, 95)), ms(at(whole, 99)))
	fmt.Printf("  delivered                     %.0f calls/s; the rest drained in %.1f s after the last was sent\n",
		float64(len(whole))/drained.Sub(start).Seconds(), drained.Sub(sent).Seconds())
	fmt.Printf("  processor                     %.2f ms a call (program and PostgreSQL)\n", ms(used-cpu)/float64(max(1, len(whole))))
	fmt.Printf("  memory                        %.1f MiB\n", float64(rss)/(1<<20))
	fmt.Printf("  promises                      %s\n", verdict)
	return nil
}

// intakeAlone posts while every lane is held (each tenant's consent is withdrawn): first as fast as the connections
// allow, then in open loop at seven tenths of that.
func intakeAlone(ctx context.Context, s *harness.System, p *harness.Process, all []harness.Tenant, conns int, length time.Duration) error {
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/revoke", nil, nil); err != nil {
		return err
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/expire", nil, nil); err != nil {
		return err
	}
	o := &office{ctx: ctx, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns}, Timeout: 20 * time.Second}, all: all, next: 1_000_000}
	o.prepare(40_000)
	fmt.Printf("\nintake alone, %d connections, signed bodies of %d bytes\n", conns, len(o.ready[0].Body))

	cpu, _ := harness.CPU(p.PID())
	start := time.Now()
	var work sync.WaitGroup
	for range conns {
		work.Go(func() {
			for time.Since(start) < length {
				if c, ok := o.take(); ok {
					o.post(c, time.Now())
				} else {
					return
				}
			}
		})
	}
	work.Wait()
	reached := float64(len(o.acks)) / time.Since(start).Seconds()
	used, rss := harness.CPU(p.PID())
	fmt.Printf("  as fast as they can           %.0f calls/s, p50 %.0f ms, p99 %.0f ms; not answered 200: %d\n", reached, ms(at(o.acks, 50)), ms(at(o.acks, 99)), o.failed)
	fmt.Printf("  processor                     %.2f ms a call (program and PostgreSQL)\n", ms(used-cpu)/float64(max(1, len(o.acks))))
	fmt.Printf("  memory                        %.1f MiB\n", float64(rss)/(1<<20))

	o.acks, o.failed = nil, 0
	rate := reached * 0.7
	o.prepare(int(rate * length.Seconds()))
	due := make(chan harness.Call, len(o.ready)) // what no connection is free for waits here, and its time counts
	start = time.Now()
	when := func(n int) time.Time { return start.Add(time.Duration(float64(n) / rate * float64(time.Second))) }
	var sent atomic.Int64
	for range conns {
		work.Go(func() {
			for c := range due {
				o.post(c, when(int(sent.Add(1))-1))
			}
		})
	}
	backlog := 0
	for n, c := range o.ready {
		time.Sleep(time.Until(when(n)))
		due <- c
		backlog = max(backlog, len(due))
	}
	close(due)
	work.Wait()
	fmt.Printf("  open loop, %.0f calls/s      p50 %.0f ms, p99 %.0f ms from the due time; backlog at most %d; not answered 200: %d\n",
		rate, ms(at(o.acks, 50)), ms(at(o.acks, 99)), backlog, o.failed)
	return o.count(s)
}

// office sends prepared calls and keeps what was answered. Calls are made beforehand: the sender shares the machine's
// cores.
type office struct {
	ctx    context.Context
	client *http.Client
	all    []harness.Tenant
	next   int

	mu     sync.Mutex
	ready  []harness.Call
	acks   []time.Duration
	taken  []string // tokens of the calls that were answered 200
	failed int
}

func (o *office) prepare(n int) {
	o.ready = o.ready[:0]
	for range n {
		o.ready = append(o.ready, harness.NewCall(o.all[o.next%len(o.all)], o.next, "+1415"+strconv.Itoa(2000000+o.next%900000)))
		o.next++
	}
}

func (o *office) take() (c harness.Call, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ready) == 0 {
		return c, false
	}
	c, o.ready = o.ready[0], o.ready[1:]
	return c, true
}

func (o *office) post(c harness.Call, due time.Time) {
	a, err := harness.Post(o.ctx, o.client, c)
	took := time.Since(due)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil || a.Status != http.StatusOK {
		o.failed++
		return
	}
	o.acks, o.taken = append(o.acks, took), append(o.taken, c.Token)
}

// count compares what was answered with what the database holds.
func (o *office) count(s *harness.System) error {
	conn, err := s.Database(o.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(o.ctx) }()
	var calls, events int
	if err := conn.QueryRow(o.ctx, `
		SELECT count(DISTINCT calls.provider_call_id), count(*) FROM calls JOIN events ON events.tenant_id = calls.tenant_id AND events.call_id = calls.id
		 WHERE calls.provider_call_id = ANY($1)`, o.taken).Scan(&calls, &events); err != nil {
		return err
	}
	fmt.Printf("  promises                      %d answered 200: %d lost, %d double\n", len(o.taken), len(o.taken)-calls, events-calls)
	return nil
}

// pgbench inserts single rows of the same size into the same server.
func pgbench(ctx context.Context, s *harness.System, dir string) error {
	tool, err := exec.LookPath("pgbench")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
		if len(found) == 0 {
			fmt.Println("\npgbench is not installed: no figure to compare with")
			return nil
		}
		tool = found[len(found)-1]
	}
	conn, err := s.Database(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `CREATE TABLE bench_rows (tenant integer, call_id text, at timestamptz DEFAULT now(), body text, UNIQUE (tenant, call_id))`); err != nil {
		return err
	}
	script := filepath.Join(dir, "insert.sql")
	text := "INSERT INTO bench_rows (tenant, call_id, body) VALUES (1, gen_random_uuid()::text, repeat(md5(random()::text), 128));\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Println("\npgbench, single-row inserts of 4,096 bytes")
	for _, clients := range []string{"8", "32"} {
		cmd := exec.CommandContext(ctx, tool, "-n", "-f", script, "-c", clients, "-j", "2", "-T", "5", "-h", filepath.Join(s.DataDir(), "run"), "-p", "5432", "-U", "hookline_super", "hookline")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("pgbench: %w: %s", err, out)
		}
		if m := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out); m != nil {
			fmt.Printf("  %2s clients                    %s rows/s\n", clients, m[1])
		}
	}
	return nil
}

func at(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*percent/100)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
