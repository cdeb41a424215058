package harness

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
)

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
