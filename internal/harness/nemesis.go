package harness

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"sync"
)

// Nemesis listens where processes built with the tag failpoint tell that they have come to one of the named places, and
// holds them there while it is their turn.
type Nemesis struct {
	listener net.Listener

	mu      sync.Mutex
	waiting []*Ambush
}

// Ambush awaits one visit.
type Ambush struct {
	Visited chan Visit

	n     *Nemesis
	place string
	about string // "": whatever the visit is about
	skip  int    // visits that pass first
}

// Visit is a process that waits at a place. It goes on when it is let go, or dies there.
type Visit struct {
	PID   int
	Place string
	About string // the call in hand, where the place knows it
	conn  net.Conn
}

// Go lets the process go on.
func (v Visit) Go() {
	if v.conn != nil {
		_ = v.conn.Close()
	}
}

// Panic lets it go on with a panic.
func (v Visit) Panic() {
	_, _ = v.conn.Write([]byte("panic"))
	_ = v.conn.Close()
}

// NewNemesis listens at a socket.
func NewNemesis(socket string) (*Nemesis, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	n := &Nemesis{listener: l}
	go n.serve()
	return n, nil
}

// Close lets everybody pass.
func (n *Nemesis) Close() { _ = n.listener.Close() }

// Await holds the process that comes to place after so many visits have passed, and only that one.
func (n *Nemesis) Await(place string, skip int) *Ambush { return n.await(place, "", skip) }

// AwaitAbout is Await for visits about one call.
func (n *Nemesis) AwaitAbout(place, about string) *Ambush { return n.await(place, about, 0) }

func (n *Nemesis) await(place, about string, skip int) *Ambush {
	a := &Ambush{Visited: make(chan Visit, 1), n: n, place: place, about: about, skip: skip}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, a)
	return a
}

// Forget ends it; whoever was caught and not asked for is let go.
func (a *Ambush) Forget() {
	a.n.mu.Lock()
	a.n.waiting = slices.DeleteFunc(a.n.waiting, func(b *Ambush) bool { return a == b })
	a.n.mu.Unlock()
	select {
	case v := <-a.Visited:
		v.Go()
	default:
	}
}

func (n *Nemesis) serve() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		go n.meet(conn)
	}
}

func (n *Nemesis) meet(conn net.Conn) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	v := Visit{conn: conn}
	if _, scanErr := fmt.Sscan(line, &v.PID, &v.Place); err != nil || scanErr != nil {
		v.Go()
		return
	}
	_, _ = fmt.Sscan(line, &v.PID, &v.Place, &v.About)
	if !n.caught(v) {
		v.Go()
	}
}

func (n *Nemesis) caught(v Visit) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, a := range n.waiting {
		if a.place != v.Place || a.about != "" && a.about != v.About {
			continue
		}
		if a.skip > 0 {
			a.skip--
			return false
		}
		n.waiting = slices.Delete(n.waiting, i, i+1)
		a.Visited <- v // it has room for one
		return true
	}
	return false
}
