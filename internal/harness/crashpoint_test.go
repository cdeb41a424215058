package harness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
)

// crashPoints are the places between "received" and "recorded" at which the program kills itself, and the visit at
// which it does.
var crashPoints = []struct {
	point, killed string
	visits        []int
}{
	{"P1", "the body is read, the signature not checked", []int{1, 3}},
	{"P2", "inside intake's transaction", []int{1, 2}},
	{"P3", "everything is inserted, COMMIT not sent", []int{1, 2}},
	{"P4", "committed, intake does not know it yet", []int{1, 2}},
	{"P5", "committed, 200 not written", []int{1, 3}},
	{"P7", "lanes are claimed, nothing is done", []int{1}},
	{"P9", "Zoho has told who calls", []int{1, 2}},
	{"P10", "decided, the intent is not committed", []int{1, 2}},
	{"P11", "the intent is committed, the create not sent", []int{1, 2, 3}},
	{"P12", "the create is answered, the answer not looked at", []int{1, 2, 3}},
	{"P14", "the answer is read, nothing is recorded", []int{1, 2, 3}},
	{"P15", "a step is committed, nobody knows it yet", []int{1, 2, 3, 5}},
	{"P16", "the Lead is recorded, the Call not written", []int{1, 2}},
	{"P17", "all is recorded, the lane not given back", []int{1}},
}

// Whatever the place at which the program is killed, every acknowledged call is in the CRM once. Usually each place is
// tried at one visit; HOOKLINE_CHAOS=full tries them all.
func TestKillAtEachCrashPointLosesNothingAndDoublesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 11*time.Minute)
	defer cancel()
	s := newSystem(t, ctx, program(t, "failpoint"))
	running, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.AddTenant(ctx, "Crash")
	if err != nil {
		t.Fatal(err)
	}
	running.Kill()

	var acknowledged []Call
	sent := 0
	for _, p := range crashPoints {
		visits := p.visits
		if os.Getenv("HOOKLINE_CHAOS") != "full" {
			visits = visits[len(visits)-1:]
		}
		for _, visit := range visits {
			place := fmt.Sprintf("%s:%d", p.point, visit)
			// It may die before it is ready, over what the kill before it left.
			if running, err = s.start("program", []string{"HOOKLINE_FAILPOINT=" + place}, "serve"); err != nil {
				t.Fatalf("%s: %v", place, err)
			}
			// A new caller who calls twice, and another.
			first := "+1415" + strconv.Itoa(2000000+sent)
			var work []Call
			for _, from := range []string{first, first, "+1415" + strconv.Itoa(2000001+sent)} {
				work = append(work, NewCall(tenant, sent, from))
				sent++
			}
			client := &http.Client{Timeout: 5 * time.Second}
			var mu sync.Mutex
			var senders sync.WaitGroup
			for _, c := range work {
				senders.Go(func() {
					if _, err := PostUntilTaken(ctx, client, c); err != nil {
						t.Errorf("%s: %s: %v", place, c.Token, err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					acknowledged = append(acknowledged, c)
				})
			}
			select {
			case <-running.Done():
			case <-time.After(time.Minute):
				t.Errorf("%s (%s): the place was never reached", place, p.killed)
				running.Kill()
			}
			if running, err = s.Start(ctx); err != nil {
				t.Fatalf("after %s: %v", place, err)
			}
			senders.Wait()
			settling, stop := context.WithTimeout(ctx, 2*time.Minute)
			err = s.Settle(settling)
			stop()
			if err != nil {
				t.Errorf("killed at %s (%s): %v", place, p.killed, err)
			}
			v, err := s.Compare(ctx, acknowledged)
			if err != nil {
				t.Fatal(err)
			}
			if !v.OK() || v.Acknowledged != sent {
				t.Fatalf("killed at %s (%s): of %d sent %s", place, p.killed, sent, v)
			}
			running.Kill()
		}
	}
	t.Logf("%d calls, each kill survived", sent)
}

// A process that is stopped in the middle of a request, and goes on after another has taken its lane, changes nothing.
func TestLateHolderChangesNothing(t *testing.T) { // P18, D6
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	database := pgtest.NewDatabase(t)
	s := newSystem(t, ctx, program(t))
	s.Env = append(s.Env, "DATABASE_URL="+database.AppURL, "HOOKLINE_SECRET_KEY="+seal.Generate("k1"))
	first, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.AddTenant(ctx, "Late")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/settings", map[string]any{"latency_ms": 300}, nil); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, database.SuperURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	const calls = 12
	client := &http.Client{Timeout: 10 * time.Second}
	for n := range calls {
		if _, err := PostUntilTaken(ctx, client, NewCall(tenant, n, "+1415"+strconv.Itoa(3000000+n/2))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, ctx, "a request under way", func() (bool, error) {
		var sending int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE state = 'sending'`).Scan(&sending)
		return sending > 0, err
	})
	first.Signal(syscall.SIGSTOP)
	stopped := time.Now()

	metrics, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.start("second", []string{"HOOKLINE_METRICS_ADDR=" + metrics}, "serve", "--role", "worker")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Terminate()
	delivered := func() (n int, err error) {
		err = conn.QueryRow(ctx, `SELECT count(*) FROM calls WHERE status = 'delivered'`).Scan(&n)
		return n, err
	}
	before, err := delivered()
	if err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the lane taken over", func() (bool, error) {
		n, err := delivered()
		return n > before, err
	})
	if took := time.Since(stopped); took > 25*time.Second {
		t.Errorf("the lane was taken over after %s", took)
	}
	first.Signal(syscall.SIGCONT)
	until(t, ctx, "every call delivered", func() (bool, error) {
		n, err := delivered()
		return n == calls, err
	})
	for module, want := range map[string]int{"Leads": calls / 2, "Calls": calls} {
		records, err := s.Records(ctx, tenant, module)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != want {
			t.Errorf("%d records of %s, want %d", len(records), module, want)
		}
	}
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
