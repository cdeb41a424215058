package harness

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
)

// SIGTERM while a write to Zoho hangs: the doors close at once, not after what is in hand, and the end is a good one.
func TestAStoppingProgramTakesNothingNewWhileZohoHangs(t *testing.T) { // D1
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	database := pgtest.NewDatabase(t)
	s := newSystem(t, ctx, program(t))
	s.Env = append(s.Env, "DATABASE_URL="+database.AppURL, "HOOKLINE_SECRET_KEY="+seal.Generate("k1"))
	running, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.AddTenant(ctx, "Stop")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Control(ctx, http.MethodPost, "/_sandbox/faults", []map[string]any{
		{"match": map[string]any{"method": "POST", "path": "/crm/v8/Leads"}, "times": 100, "kind": "hang"}}, nil); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, database.SuperURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	client := &http.Client{Timeout: 5 * time.Second}
	if _, err := PostUntilTaken(ctx, client, NewCall(tenant, 1, "+14153000001")); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "a request under way", func() (bool, error) {
		var sending int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE state = 'sending'`).Scan(&sending)
		return sending > 0, err
	})

	running.Signal(syscall.SIGTERM)
	asked := time.Now()
	until(t, ctx, "readiness that says so", func() (bool, error) {
		resp, err := client.Get("http://" + s.metricsAddr + "/readyz")
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "shutting down"), err
	})
	until(t, ctx, "intake that is closed", func() (bool, error) {
		answer, err := Post(ctx, client, NewCall(tenant, 2, "+14153000002"))
		return err != nil || answer.Status == http.StatusServiceUnavailable, nil
	})
	if took := time.Since(asked); took > 3*time.Second { // what is in hand gets ten
		t.Errorf("the doors stood open for %s after the signal", took)
	}
	code := running.Terminate()
	if took := time.Since(asked); code != 0 || took > 15*time.Second {
		t.Errorf("ended with %d after %s", code, took)
	}
}
