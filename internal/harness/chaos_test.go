package harness

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// built is the program under test, compiled once for each set of tags.
var built sync.Map

func program(t *testing.T, tags ...string) string {
	t.Helper()
	make := sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "hookline-harness-")
		if err != nil {
			return "", err
		}
		return Build(dir, tags...)
	})
	key := ""
	for _, tag := range tags {
		key += tag + ","
	}
	once, _ := built.LoadOrStore(key, make)
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func newSystem(t *testing.T, ctx context.Context, binary string) *System {
	t.Helper()
	s, err := NewSystem(ctx, binary, newDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newDir is a folder for a system's processes. What they wrote is kept when the test fails.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hl-") // short: a socket's path has little room
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the database's user passes through
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
			return
		}
		logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		for _, log := range logs {
			t.Logf("the end of %s: %s", log, tail(log))
		}
	})
	return dir
}

func newCluster(t *testing.T, ctx context.Context, binary string) *Cluster {
	t.Helper()
	c, err := NewCluster(ctx, binary, newDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func setting(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Every acknowledged call is in the CRM once, however often the program dies, and though the answer to many a create is
// lost. HOOKLINE_CHAOS_CALLS, _TENANTS, _KILLS, _AMBIGUOUS (percent of the creates whose answer is lost) and _SEED change the
// run; the seed is printed.
func TestChaosRandomKillsLoseNothingAndDoubleNothing(t *testing.T) {
	calls, tenants, kills := setting(t, "HOOKLINE_CHAOS_CALLS", 300), setting(t, "HOOKLINE_CHAOS_TENANTS", 5), setting(t, "HOOKLINE_CHAOS_KILLS", 3)
	ambiguous := setting(t, "HOOKLINE_CHAOS_AMBIGUOUS", 0)
	seed := uint64(setting(t, "HOOKLINE_CHAOS_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("HOOKLINE_CHAOS_SEED=%d, %d calls, %d tenants, %d kills, %d %% of the creates ambiguous", seed, calls, tenants, kills, ambiguous)
	random := rand.New(rand.NewPCG(seed, 1))
	room := 6*time.Minute + time.Duration(calls)*50*time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+room)
	defer cancel()

	s := newSystem(t, ctx, program(t))
	running, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all []Tenant
	for i := range tenants {
		tenant, err := s.AddTenant(ctx, "Chaos "+strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tenant)
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": 20}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/faults", ambiguity(ambiguous), nil); err != nil {
		t.Fatal(err)
	}

	started := time.Now()
	// One caller in four has called before.
	var work []Call
	for n := range calls {
		tenant := all[random.IntN(len(all))]
		from := "+1415" + strconv.Itoa(2000000+n)
		if n > 20 && random.IntN(4) == 0 {
			if earlier := work[random.IntN(len(work))]; earlier.Tenant == tenant {
				from = earlier.From
			}
		}
		work = append(work, NewCall(tenant, n, from))
	}

	var (
		mu           sync.Mutex
		acknowledged []Call
		senders      sync.WaitGroup
		next         = make(chan Call)
		sent         = make(chan struct{})
	)
	client := &http.Client{Timeout: 5 * time.Second}
	for range 8 {
		senders.Go(func() {
			for c := range next {
				if _, err := PostUntilTaken(ctx, client, c); err != nil {
					t.Errorf("%s: %v", c.Token, err)
					continue
				}
				mu.Lock()
				acknowledged = append(acknowledged, c)
				mu.Unlock()
			}
		})
	}
	go func() {
		defer close(sent)
		for _, c := range work {
			next <- c
		}
		close(next)
		senders.Wait()
	}()

	for range kills {
		// The pause is the experiment: a random moment within the work.
		time.Sleep(time.Duration(300+random.IntN(1700)) * time.Millisecond)
		running.Kill()
		began := time.Now()
		if running, err = s.Start(ctx); err != nil {
			t.Fatalf("after kill -9: %v", err)
		}
		t.Logf("killed; ready again after %v", time.Since(began).Round(time.Millisecond))
	}
	<-sent
	used, _ := CPU(running.PID())
	zoho, _ := CPU(s.Sandbox.PID())
	t.Logf("all sent after %v; processor time: program and database %v, sandbox %v", time.Since(started).Round(time.Millisecond), used, zoho)
	settling, stop := context.WithTimeout(ctx, room)
	defer stop()
	began := time.Now()
	for asked := 1; asked > 0; {
		if err := s.Settle(settling); err != nil {
			t.Error(err)
			break
		}
		if asked, err = s.SendAgainSetAside(settling, all); err != nil {
			t.Error(err)
			break
		}
		t.Logf("settled %v after the last answer; %d calls whose answer was lost again and again are sent again, as a person would",
			time.Since(began).Round(time.Millisecond), asked)
	}
	used, _ = CPU(running.PID())
	zoho, _ = CPU(s.Sandbox.PID())
	t.Logf("done after %v; processor time: program and database %v, sandbox %v", time.Since(started).Round(time.Millisecond), used, zoho)
	verdict, err := s.Compare(ctx, acknowledged)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(verdict)
	if !verdict.OK() || verdict.Acknowledged != calls {
		t.Error("promises were broken")
	}
}

// ambiguity makes Zoho lose the answer to so many of a hundred creates: in every way in which an answer gets lost, half of
// them with the record made.
func ambiguity(percent int) []map[string]any {
	ways := []map[string]any{
		{"kind": "reset", "effect": "none"},
		{"kind": "reset", "effect": "after"},
		{"kind": "reset", "effect": "none", "latency_ms": 1000},
		{"kind": "reset", "effect": "after", "latency_ms": 1000},
		{"kind": "status", "status": 500, "effect": "none"},
		{"kind": "status", "status": 500, "effect": "after"},
		{"kind": "status", "status": 502, "effect": "none"},
		{"kind": "truncate", "effect": "after"},
	}
	faults := []map[string]any{}
	if percent == 0 {
		return faults
	}
	for _, module := range []string{"Leads", "Calls"} {
		share := float64(percent) / 100 / float64(len(ways))
		for i, way := range ways {
			fault := maps.Clone(way)
			fault["match"] = map[string]any{"method": "POST", "path": "/crm/v8/" + module}
			fault["probability"] = share / (1 - float64(i)*share) // of what the ones before it let pass
			faults = append(faults, fault)
		}
	}
	return faults
}

// until asks again and again; the test ends when ctx does.
func until(t *testing.T, ctx context.Context, what string, holds func() (bool, error)) {
	t.Helper()
	for {
		ok, err := holds()
		if ok && err == nil {
			return
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never came: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
