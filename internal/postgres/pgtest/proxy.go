package pgtest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Proxy stands before a database and makes it slow, or cuts its connections.
type Proxy struct {
	URL string // of the database, through the proxy

	network, address string

	mu      sync.Mutex
	trouble Trouble
	passed  int // bytes since the trouble was set
	cuts    int
	conns   map[net.Conn]bool
	pumps   sync.WaitGroup
}

// Trouble is what a proxy does to what passes it. The zero value is none.
type Trouble struct {
	Latency        time.Duration // before each piece of an answer
	BytesPerSecond int           // of answers, on each connection
	CutAfter       int           // so many bytes, asked or answered, over all connections: then all are cut, once
}

// NewProxy puts a proxy before the database at the given URL. It ends with the test.
func NewProxy(t testing.TB, database string) *Proxy {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{network: "tcp", address: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), conns: map[net.Conn]bool{}}
	if strings.HasPrefix(config.Host, "/") {
		p.network, p.address = "unix", filepath.Join(config.Host, ".s.PGSQL."+strconv.Itoa(int(config.Port)))
	}
	dir, err := os.MkdirTemp("", "pg-") // short: a socket's path has little room
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.RawQuery = "", url.Values{"host": {dir}, "port": {"5432"}, "sslmode": {"disable"}}.Encode()
	p.URL = u.String()
	p.pumps.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.cutAll()
		p.mu.Unlock()
		p.pumps.Wait()
		_ = os.RemoveAll(dir)
	})
	return p
}

// Set changes what the proxy does from now on.
func (p *Proxy) Set(t Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble, p.passed = t, 0
}

// Cuts is how often it has cut the connections.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(p.network, p.address)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.pumps.Go(func() { p.pump(server, client, false) })
		p.pumps.Go(func() { p.pump(client, server, true) })
	}
}

// pump carries what from says to to, until one of them ends; then both do.
func (p *Proxy) pump(to, from net.Conn, answers bool) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range []net.Conn{to, from} {
			delete(p.conns, c)
			_ = c.Close()
		}
	}()
	piece := make([]byte, 4096)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		p.mu.Lock()
		t, keep := p.trouble, n
		if p.passed += n; t.CutAfter > 0 && p.passed > t.CutAfter {
			keep = max(0, n-(p.passed-t.CutAfter))
		}
		p.mu.Unlock()
		if answers {
			wait := t.Latency
			if t.BytesPerSecond > 0 {
				wait += time.Duration(n) * time.Second / time.Duration(t.BytesPerSecond)
			}
			time.Sleep(wait)
		}
		if _, err := to.Write(piece[:keep]); err != nil {
			return
		}
		if keep < n {
			p.mu.Lock()
			p.cutAll()
			p.trouble.CutAfter = 0
			p.cuts++
			p.mu.Unlock()
			return
		}
	}
}

// cutAll is called with the lock held.
func (p *Proxy) cutAll() {
	for c := range p.conns {
		_ = c.Close()
	}
}
