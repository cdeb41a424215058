package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/postgres/embedded"
	"hookline/internal/seal"
)

// Cluster is a program in several processes, web and worker each a process of its own, on a PostgreSQL server of its own,
// so that each of them can be killed alone.
type Cluster struct {
	*System
	Nemesis *Nemesis

	mu     sync.Mutex
	server *embedded.Server
	parts  map[string]*Part // by name
}

// Part is one process of a cluster, over all its lives.
type Part struct {
	*Process
	Name, Role, Addr, metrics string
}

// NewCluster starts the sandbox and the database, migrated, and no process of the program.
func NewCluster(ctx context.Context, binary, dir string) (*Cluster, error) {
	s, err := NewSystem(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{System: s, parts: map[string]*Part{}}
	if c.Nemesis, err = NewNemesis(filepath.Join(dir, "nemesis")); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.startDatabase(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if err := postgres.Migrate(ctx, c.server.OwnerURL()); err != nil {
		c.Close()
		return nil, err
	}
	s.SuperURL = strings.Replace(c.server.SuperURL(), "/postgres?", "/hookline?", 1)
	s.Env = append(s.Env, "DATABASE_URL="+c.server.AppURL(), "HOOKLINE_SECRET_KEY="+seal.Generate("k1"), "HOOKLINE_FAILPOINTS="+filepath.Join(dir, "nemesis"))
	return c, nil
}

func (c *Cluster) databaseDir() string { return filepath.Join(c.Dir, "db") }

func (c *Cluster) startDatabase(ctx context.Context) (err error) {
	c.server, err = embedded.Start(ctx, embedded.Config{Dir: c.databaseDir(), Log: slog.New(slog.DiscardHandler), Params: []string{"max_connections=200"}})
	return err
}

// Close ends everything.
func (c *Cluster) Close() {
	if c.Nemesis != nil {
		c.Nemesis.Close()
	}
	for _, p := range c.Parts() {
		p.Signal(syscall.SIGCONT)
		p.Kill()
	}
	if c.server != nil {
		c.server.Stop()
	}
	c.System.Close()
}

// Parts are the processes that were started.
func (c *Cluster) Parts() []*Part {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Part
	for _, p := range c.parts {
		all = append(all, p)
	}
	return all
}

// Part gives a process by its name.
func (c *Cluster) Part(name string) *Part {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[name]
}

// StartPart starts a process of the given role under a name, or starts it again where it was. The first web process
// answers where senders post; a second one has an address of its own.
func (c *Cluster) StartPart(ctx context.Context, name, role string) (*Part, error) {
	p := c.Part(name)
	if p == nil {
		p = &Part{Name: name, Role: role, Addr: c.Addr}
		var err error
		if p.metrics, err = freeAddr(); err != nil {
			return nil, err
		}
		if role == "worker" || name != "web" {
			if p.Addr, err = freeAddr(); err != nil {
				return nil, err
			}
		}
		c.mu.Lock()
		c.parts[name] = p
		c.mu.Unlock()
	}
	process, err := c.start(name, []string{"HOOKLINE_ADDR=" + p.Addr, "HOOKLINE_BASE_URL=http://" + c.Addr, "HOOKLINE_METRICS_ADDR=" + p.metrics}, "serve", "--role", role)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	p.Process = process
	c.mu.Unlock()
	return p, waitFor(ctx, "http://"+p.metrics+"/readyz", process)
}

// KillDatabase sends the database's server a signal that it does not survive: SIGQUIT is its immediate stop, SIGKILL
// leaves its children to find out. What it gives back waits until the server is there again.
func (c *Cluster) KillDatabase(s syscall.Signal) (back func(context.Context) error, err error) {
	before, err := c.postmaster()
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(before, s); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for {
			select {
			case <-c.server.Done(): // at the third death in a minute its keeper gives up; we do not
				c.server.Stop()
				if err := c.startDatabase(ctx); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
			if now, err := c.postmaster(); err != nil || now == before {
				continue
			}
			if conn, err := pgx.Connect(ctx, c.SuperURL); err == nil {
				return conn.Close(ctx)
			}
		}
	}, nil
}

func (c *Cluster) postmaster() (int, error) {
	found, err := filepath.Glob(filepath.Join(c.databaseDir(), "pg*", "postmaster.pid"))
	if err != nil || len(found) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%d servers in %s", len(found), c.databaseDir()))
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}
