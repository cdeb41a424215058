package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/jackc/pgx/v5"

	"hookline/internal/connection"
)

// writes gathers what a lane's runs have to store at the same moment into one fenced transaction: under load a
// commit carries the answers of several calls.
type writes struct {
	mu      sync.Mutex
	waiting []*write
	busy    bool
}

type write struct {
	do      func(context.Context, pgx.Tx) error // may run more than once, so it sets nothing that a second run minds
	credits int
	done    chan error
}

// record stores what do writes, and counts the credits used, in a transaction of the lane's holder. It returns when
// that is committed. A write that fails leaves those that it shared the transaction with untouched.
func (w *Worker) record(l *lane, org string, credits int, do func(context.Context, pgx.Tx) error) error {
	mine := &write{do: do, credits: credits, done: make(chan error, 1)}
	l.writes.mu.Lock()
	l.writes.waiting = append(l.writes.waiting, mine)
	lead := !l.writes.busy
	l.writes.busy = true
	l.writes.mu.Unlock()
	if lead {
		go w.commitAll(l, org)
	}
	return <-mine.done
}

func (w *Worker) commitAll(l *lane, org string) {
	for {
		l.writes.mu.Lock()
		together := l.writes.waiting
		l.writes.waiting = nil
		if len(together) == 0 {
			l.writes.busy = false
			l.writes.mu.Unlock()
			return
		}
		l.writes.mu.Unlock()
		err := w.commit(l, org, together)
		if err == nil || len(together) == 1 || l.ctx.Err() != nil {
			for _, one := range together {
				one.done <- err
			}
			continue
		}
		for _, one := range together { // find the one at fault
			one.done <- w.commit(l, org, []*write{one})
		}
	}
}

func (w *Worker) commit(l *lane, org string, together []*write) error {
	ctx, cancel := recording(l)
	defer cancel()
	return fenced(ctx, w.DB, l, func(tx pgx.Tx) error {
		credits := 0
		for _, one := range together {
			credits += one.credits
			if err := one.safely(ctx, tx); err != nil {
				return err
			}
		}
		return connection.CountCredits(ctx, tx, l.tenant, org, credits)
	})
}

// safely gives a panic as an error: it is one call's, and the process is everybody's.
func (one *write) safely(ctx context.Context, tx pgx.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack())
		}
	}()
	return one.do(ctx, tx)
}

var errPanicked = errors.New("recording panicked")
