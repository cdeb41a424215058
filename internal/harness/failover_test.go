package harness

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/embedded"
)

// A standby that every commit waits for takes over from a database that is killed in the middle of the work: what was
// answered 200 is there, and is delivered once.
func TestASynchronousStandbyTakesOverAndNothingIsLost(t *testing.T) { // F2
	tool, err := exec.LookPath("pg_basebackup")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_basebackup")
		if len(found) == 0 {
			t.Skip("pg_basebackup is not there")
		}
		tool = found[len(found)-1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := newCluster(t, ctx, program(t))
	conn, err := c.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	data, err := filepath.Glob(filepath.Join(c.databaseDir(), "pg*"))
	if err != nil || len(data) != 1 {
		t.Fatalf("%v %v", data, err)
	}
	dir := filepath.Join(c.Dir, "standby")
	copied := filepath.Join(dir, filepath.Base(data[0]))
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	backup := exec.CommandContext(ctx, tool, "-D", copied, "-R", "-X", "stream", "-c", "fast", "-h", filepath.Join(c.databaseDir(), "run"), "-p", "5432", "-U", conn.Config().User)
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	owner, err := os.Stat(data[0])
	if err != nil {
		t.Fatal(err)
	}
	as := owner.Sys().(*syscall.Stat_t)
	if err := filepath.WalkDir(copied, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(as.Uid), int(as.Gid))
	}); err != nil {
		t.Fatal(err)
	}
	standby, err := embedded.Start(ctx, embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Params: []string{"max_connections=200"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Stop)
	for _, sql := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	until(t, ctx, "commits that wait for the standby", func() (bool, error) {
		var synchronous bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`).Scan(&synchronous)
		return synchronous, err
	})

	for _, role := range []string{"web", "worker"} {
		if _, err := c.StartPart(ctx, role, role); err != nil {
			t.Fatal(err)
		}
	}
	tenant, err := c.AddTenant(ctx, "Failover")
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []Call
	var mu sync.Mutex
	var senders sync.WaitGroup
	client := &http.Client{Timeout: 5 * time.Second}
	next := make(chan Call)
	for range 4 {
		senders.Go(func() {
			for call := range next {
				if _, err := PostUntilTaken(ctx, client, call); err != nil {
					t.Errorf("%s: %v", call.Token, err)
					continue
				}
				mu.Lock()
				acknowledged = append(acknowledged, call)
				mu.Unlock()
			}
		})
	}
	const calls = 120
	for n := range calls {
		if n == calls/2 {
			if pid, err := c.postmaster(); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
				t.Fatalf("killing the database: %v", err)
			}
			c.server.Stop() // nor may it come back
			promoted, err := pgx.Connect(ctx, standby.SuperURL())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := promoted.Exec(ctx, `SELECT pg_promote()`); err != nil {
				t.Fatal(err)
			}
			_ = promoted.Close(ctx)
			c.SuperURL = strings.Replace(standby.SuperURL(), "/postgres?", "/hookline?", 1)
			at := slices.IndexFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "DATABASE_URL=") })
			c.Env[at] = "DATABASE_URL=" + standby.AppURL()
			for _, role := range []string{"web", "worker"} {
				c.Part(role).Kill()
				if _, err := c.StartPart(ctx, role, role); err != nil {
					t.Fatal(err)
				}
			}
		}
		next <- NewCall(tenant, n, "+1415"+strconv.Itoa(2000000+n-n%3))
	}
	close(next)
	senders.Wait()
	if err := c.Settle(ctx); err != nil {
		t.Error(err)
	}
	verdict, err := c.Compare(ctx, acknowledged)
	if err != nil {
		t.Fatal(err)
	}
	if t.Log(verdict); !verdict.OK() || len(acknowledged) != calls {
		t.Error("promises were broken")
	}
}
