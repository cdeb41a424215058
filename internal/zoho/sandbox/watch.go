package sandbox

import (
	"net/http"
	"sync"
	"time"
)

// watchers are the live pages: told that something changed, they fetch themselves anew.
type watchers struct {
	mu     sync.Mutex
	all    map[chan struct{}]bool
	closed chan struct{}
}

func (w *watchers) join() (told chan struct{}, closed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(chan struct{})
	}
	if w.all == nil {
		w.all = map[chan struct{}]bool{}
	}
	told = make(chan struct{}, 1)
	w.all[told] = true
	return told, w.closed
}

func (w *watchers) leave(told chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, told)
}

// tell never waits: a page that has not looked yet will see this change as well.
func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for told := range w.all {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}

func (w *watchers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed == nil {
		w.closed = make(chan struct{})
	}
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
}

const (
	eventGap  = 300 * time.Millisecond // between two events of one page, however much happens
	eventPing = 20 * time.Second
)

// events is the stream that live pages listen to.
func (s *Sandbox) events(w http.ResponseWriter, r *http.Request) {
	told, closed := s.watch.join()
	defer s.watch.leave(told)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	say := func(text string) bool {
		_, err := w.Write([]byte(text))
		return err == nil && rc.Flush() == nil
	}
	if !say(": hello\n\n") {
		return
	}
	ping := time.NewTicker(eventPing)
	defer ping.Stop()
	for {
		select {
		case <-told:
			if !say("event: changed\ndata: 1\n\n") {
				return
			}
			select {
			case <-time.After(eventGap):
			case <-r.Context().Done():
				return
			case <-closed:
				return
			}
		case <-ping.C:
			if !say(": still here\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-closed:
			return
		}
	}
}
