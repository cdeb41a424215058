package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// closing ends what was begun, in two rounds: first all that takes work in or does it, side by side, so that nothing
// new comes in while what is in hand gets to its end; then what that stood on, last first.
type closing struct {
	log     *slog.Logger
	within  time.Duration // for all of it
	workers []func()
	ground  []func()
}

// work adds a step of the first round.
func (c *closing) work(stop func()) { c.workers = append(c.workers, stop) }

// add adds a step of the second round.
func (c *closing) add(stop func()) { c.ground = append(c.ground, stop) }

// run ends everything. What does not come to its end in time is left: nothing in the database depends on a clean end.
func (c *closing) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var first sync.WaitGroup
		for _, stop := range c.workers {
			first.Go(stop)
		}
		first.Wait()
		for i := len(c.ground) - 1; i >= 0; i-- {
			c.ground[i]()
		}
	}()
	late := time.NewTimer(c.within)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		c.log.Warn("stopping took too long and was cut off: the next start settles what is open", "after", c.within)
	}
}

// background begins work that runs until it is told to stop, and is then waited for.
func background(work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { work(ctx) })
	return func() { cancel(); done.Wait() }
}
