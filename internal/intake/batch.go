package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

var (
	errBusy     = errors.New("not stored in time")
	errDraining = errors.New("shutting down")
	errPanicked = errors.New("storing panicked")
)

// committers store what requests bring, as many at a time as are waiting: while one transaction commits, the next
// batch gathers. Alone, a request is stored at once.
type committers struct {
	db      *postgres.DB
	log     *slog.Logger
	metrics *metrics
	ring    func(...tenant.ID)
	most    int           // events of one transaction
	within  time.Duration // for one transaction

	queue chan *waiting
	done  sync.WaitGroup
}

// waiting is an arrival whose request waits for the commit.
type waiting struct {
	*arrival
	until  time.Time
	answer chan outcome // buffered: a committer never waits for a request that has gone
}

type outcome struct {
	stored
	err error
}

func (c *committers) start(n int) {
	c.queue = make(chan *waiting, 4*c.most)
	for range n {
		c.done.Go(c.run)
	}
}

// stop stores what is queued and ends. Nothing may be put into the queue any more.
func (c *committers) stop() {
	close(c.queue)
	c.done.Wait()
}

// store hands an arrival over and waits until it is committed, or not, or until its time is over: what became of it
// is then unknown, and sending it again is safe.
func (c *committers) store(a *arrival, until time.Time) (stored, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	w := &waiting{arrival: a, until: until, answer: make(chan outcome, 1)}
	select {
	case c.queue <- w:
	case <-timer.C:
		return stored{}, errBusy
	}
	select {
	case o := <-w.answer:
		return o.stored, o.err
	case <-timer.C:
		return stored{}, errBusy
	}
}

func (c *committers) run() {
	batch := make([]*waiting, 0, c.most)
	for w := range c.queue {
		batch = append(batch[:0], w)
	gather:
		for len(batch) < c.most {
			select {
			case next, open := <-c.queue:
				if !open {
					break gather
				}
				batch = append(batch, next)
			default:
				break gather
			}
		}
		c.commit(batch)
	}
}

// commit stores a batch whole or, where one row spoils it for all, each half by itself: the bad one ends up alone.
func (c *committers) commit(batch []*waiting) {
	now := time.Now()
	arrivals := make([]*arrival, 0, len(batch))
	live := make([]*waiting, 0, len(batch))
	for _, w := range batch {
		if w.until.Before(now) { // its request has been answered 503 already
			w.answer <- outcome{err: errBusy}
			continue
		}
		arrivals, live = append(arrivals, w.arrival), append(live, w)
	}
	if len(live) == 0 {
		return
	}
	results, err := c.try(arrivals)
	if half := len(live) / 2; half > 0 && isOneRowsFault(err) {
		c.log.Warn("events not stored together", "count", len(live), "err", err)
		c.commit(live[:half])
		c.commit(live[half:])
		return
	}
	if err != nil {
		c.log.Error("events not stored", "count", len(live), "tenant", live[0].tenant.String(), "err", err)
		results = make([]stored, len(live))
	}
	for i, w := range live {
		w.answer <- outcome{results[i], err}
	}
}

func (c *committers) try(arrivals []*arrival) (results []stored, err error) {
	defer func() { // a fault of ours costs these events a 503, not every tenant the program
		if p := recover(); p != nil {
			results, err = nil, fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), c.within)
	defer cancel()
	start := time.Now()
	if results, err = store(ctx, c.db, arrivals); err != nil {
		return nil, err
	}
	c.metrics.committed(len(arrivals), time.Since(start))
	var woken []tenant.ID
	for i, a := range arrivals {
		if !results[i].duplicate && (len(woken) == 0 || woken[len(woken)-1] != a.tenant) {
			woken = append(woken, a.tenant)
		}
	}
	if len(woken) > 0 && c.ring != nil {
		c.ring(woken...)
	}
	return results, nil
}
