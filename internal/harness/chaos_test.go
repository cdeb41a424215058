package harness

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
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
	dir, err := os.MkdirTemp("", "hl-") // short: a socket's path has little room
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the database's user passes through
		t.Fatal(err)
	}
	s, err := NewSystem(ctx, binary, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("logs are kept in %s; the program's ends: %s", dir, tail(dir+"/program.log"))
			return
		}
		os.RemoveAll(dir)
	})
	return s
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

// Every acknowledged call is in the CRM once, however often the program dies. HOOKLINE_CHAOS_CALLS, _TENANTS, _KILLS
// and _SEED change the size; the seed is printed.
func TestChaosRandomKillsLoseNothingAndDoubleNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	calls, tenants, kills := setting(t, "HOOKLINE_CHAOS_CALLS", 300), setting(t, "HOOKLINE_CHAOS_TENANTS", 5), setting(t, "HOOKLINE_CHAOS_KILLS", 3)
	seed := uint64(setting(t, "HOOKLINE_CHAOS_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("HOOKLINE_CHAOS_SEED=%d, %d calls, %d tenants, %d kills", seed, calls, tenants, kills)
	random := rand.New(rand.NewPCG(seed, 1))

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
	began := time.Now()
	settling, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := s.Settle(settling); err != nil {
		t.Error(err)
	}
	t.Logf("settled %v after the last answer", time.Since(began).Round(time.Millisecond))
	verdict, err := s.Compare(ctx, acknowledged)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(verdict)
	if !verdict.OK() || verdict.Acknowledged != calls {
		t.Error("promises were broken")
	}
}
