package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
}

// door is a receiver over real HTTP on a database of its own, with one tenant.
type door struct {
	t        testing.TB
	database *pgtest.Database
	keys     *seal.Keys
	tenant   tenant.ID
	sources  *Sources
	receiver *Receiver
	server   *httptest.Server
}

func newDoor(t testing.TB, change ...func(*Deps)) *door {
	t.Helper()
	database := pgtest.NewDatabase(t)
	keys, err := seal.Parse(seal.Generate("k1"))
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, database: database, keys: keys}
	d.tenant = d.newTenant()
	d.open(change...)
	return d
}

// open starts a receiver; again, it is a restart.
func (d *door) open(change ...func(*Deps)) {
	// Answers take as long as they need on a busy machine, but where the limit itself is looked at.
	deps := Deps{DB: d.database.DB, Keys: d.keys, Remember: time.Nanosecond, Within: time.Minute}
	for _, c := range change {
		c(&deps)
	}
	receiver := New(deps)
	server := httptest.NewServer(receiver)
	d.receiver, d.server = receiver, server
	d.sources = NewSources(d.database.DB, d.keys, server.URL)
	d.t.Cleanup(func() { server.Close(); receiver.Close() })
}

func (d *door) newTenant() tenant.ID {
	d.t.Helper()
	id := tenant.ID(uuid.Must(uuid.NewV7()))
	if err := d.database.InTenant(context.Background(), id, func(tx pgx.Tx) error {
		return tenant.Insert(context.Background(), tx, tenant.Tenant{ID: id, Name: "Acme", Country: "US", Zone: time.UTC, Hours: tenant.DefaultHours()})
	}); err != nil {
		d.t.Fatal(err)
	}
	return id
}

func (d *door) source(vendor string) Opened {
	d.t.Helper()
	o, err := d.sources.Add(context.Background(), d.tenant, NewSource{Provider: vendor})
	if err != nil {
		d.t.Fatal(err)
	}
	o.URL = d.server.URL + o.URL[strings.Index(o.URL, Path):]
	return o
}

// reply is an answer of the receiver.
type reply struct {
	status int
	header http.Header
	text   string
	CallID string `json:"call_id"`
	Event  string `json:"event_id"`
	Dup    bool   `json:"duplicate"`
	Status any    `json:"status"`
}

func (d *door) request(method, address string, header http.Header, body io.Reader) reply {
	d.t.Helper()
	q, err := http.NewRequest(method, address, body)
	if err != nil {
		d.t.Fatal(err)
	}
	if header != nil {
		q.Header = header
	}
	resp, err := d.server.Client().Do(q)
	if err != nil {
		d.t.Errorf("%s %s: %v", method, address, err)
		return reply{}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r)
	return r
}

// post signs a body as the source's vendor would and posts it.
func (d *door) post(o Opened, eventID, body string) reply {
	d.t.Helper()
	return d.request(http.MethodPost, o.URL, d.sign(o, eventID, body), strings.NewReader(body))
}

func (d *door) sign(o Opened, eventID, body string) http.Header {
	vendor, _ := provider.ByName(o.Provider)
	return vendor.Sign(o.Secrets[0].Reveal(), eventID, []byte(body), time.Now(), provider.Settings{Checks: o.Checks, Fields: o.Fields})
}

// count counts rows of a tenant's table.
func (d *door) count(table string) int {
	d.t.Helper()
	var n int
	err := d.database.InTenant(context.Background(), d.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), map[string]string{
			"seen": `SELECT count(*) FROM seen`, "events": `SELECT count(*) FROM events`, "calls": `SELECT count(*) FROM calls`,
			"wakes": `SELECT count(*) FROM wakes`, "news": `SELECT count(*) FROM wakes WHERE call_id IS NOT NULL`,
			"attention": `SELECT count(*) FROM calls WHERE status = 'needs_attention' AND cause->>'sentence' <> ''`,
		}[table]).Scan(&n)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *door) wantRows(seen, events, calls int) {
	d.t.Helper()
	if s, e, c := d.count("seen"), d.count("events"), d.count("calls"); s != seen || e != events || c != calls {
		d.t.Errorf("%d seen, %d events, %d calls; want %d, %d, %d", s, e, c, seen, events, calls)
	}
}

func nativeBody(id string) string {
	return fmt.Sprintf(`{"call_id":%q,"from":"+14155550123","status":"completed","summary":"Wants a quote","caller":{"last_name":"Ng"}}`, id)
}

// gate stands between the program and PostgreSQL and can be shut: away refuses, stuck answers nothing.
type gate struct {
	url   string
	mu    sync.Mutex
	away  bool
	stuck bool
	open  map[net.Conn]bool
}

func newGate(t *testing.T, database *pgtest.Database) *gate {
	t.Helper()
	u, err := url.Parse(database.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	target := filepath.Join(query.Get("host"), ".s.PGSQL."+query.Get("port"))
	dir, err := os.MkdirTemp("", "gate") // a short path: sockets have few bytes
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	query.Set("port", "5432")
	u.RawQuery = query.Encode()
	g := &gate{url: u.String(), open: map[net.Conn]bool{}}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() { g.pass(conn, target) })
		}
	})
	t.Cleanup(func() { listener.Close(); g.shut(true, false); done.Wait(); os.RemoveAll(dir) })
	return g
}

func (g *gate) shut(away, stuck bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away, g.stuck = away, stuck
	if away {
		for c := range g.open {
			c.Close()
		}
	}
}

func (g *gate) isStuck() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.stuck }

func (g *gate) pass(in net.Conn, target string) {
	defer in.Close()
	out, err := net.Dial("unix", target)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	if g.away {
		g.mu.Unlock()
		return
	}
	g.open[in], g.open[out] = true, true
	g.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			defer way[0].Close()
			defer way[1].Close()
			buffer := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buffer)
				if err != nil || g.isStuck() { // what was sent to a stuck database is never answered
					if g.isStuck() {
						_, _ = io.Copy(io.Discard, way[0])
					}
					return
				}
				if _, err := way[1].Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
	both.Wait()
}

func (g *gate) pool(t *testing.T, most int32) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), postgres.Config{URL: g.url, MaxConns: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// owner runs a statement as the schema's owner.
func (d *door) owner(statement string) {
	d.t.Helper()
	conn, err := pgx.Connect(context.Background(), d.database.OwnerURL)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), statement); err != nil {
		d.t.Fatal(err)
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
