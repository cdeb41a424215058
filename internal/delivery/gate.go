package delivery

import (
	"context"
)

// Of the five requests that Zoho takes at once from every edition, one is left to pages and probes; of those, two may
// be searches or COQL (Zoho's API, "API limits": heavy calls have a limit of their own).
const (
	lanesRequests = 4
	heavyRequests = 2
)

// gate lets a lane's requests through to Zoho: so many at once, and none while the lane is held up.
type gate struct {
	all, heavy chan struct{}
}

func newGate() gate {
	return gate{all: make(chan struct{}, lanesRequests), heavy: make(chan struct{}, heavyRequests)}
}

// heldUp is the error of a request that was not sent, because the lane has been held up since it was wanted.
type heldUp struct{ hold *hold }

func (h *heldUp) Error() string { return "the lane is held up: " + h.hold.reason }

// turn waits for one of the lane's requests to Zoho. It is what zoho.API.Through asks for.
func (l *lane) turn(ctx context.Context, heavy bool) (done func(), err error) {
	take := func(places chan struct{}) error {
		select {
		case places <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if heavy {
		if err := take(l.gate.heavy); err != nil {
			return nil, err
		}
	}
	if err = take(l.gate.all); err == nil {
		if h := l.hold(); h == nil {
			return func() { l.gate.leave(heavy) }, nil
		} else {
			err = &heldUp{h}
		}
		<-l.gate.all
	}
	if heavy {
		<-l.gate.heavy
	}
	return nil, err
}

func (g gate) leave(heavy bool) {
	<-g.all
	if heavy {
		<-g.heavy
	}
}
