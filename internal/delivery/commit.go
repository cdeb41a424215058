package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/jackc/pgx/v5"

	"hookline/internal/connection"
)

// write is what one run has to store. Under load one fenced transaction carries those of several.
type write struct {
	do      func(context.Context, pgx.Tx) error // may run more than once, so it sets nothing that a second run minds
	credits int                                 // used for it
	left    int                                 // as Zoho said last; negative: it did not
}

// record stores what one writes, and counts the credits used, in a transaction of the lane's holder. It returns when
// that is committed. A write that fails leaves those that it shared the transaction with untouched.
func (w *Worker) record(l *lane, org string, one *write) error {
	return l.writes.ask(one, func(batch []*write, _ error) []error {
		errs := make([]error, len(batch))
		err := w.commit(l, org, batch)
		for i := range batch {
			errs[i] = err
			if err != nil && len(batch) > 1 && l.ctx.Err() == nil { // find the one at fault
				errs[i] = w.commit(l, org, batch[i:i+1])
			}
		}
		return errs
	})
}

func (w *Worker) commit(l *lane, org string, together []*write) error {
	ctx, cancel := recording(l)
	defer cancel()
	return fenced(ctx, w.DB, l, func(tx pgx.Tx) error {
		credits, left := 0, -1
		for _, one := range together {
			credits += one.credits
			if one.left >= 0 {
				left = one.left
			}
			if err := one.safely(ctx, tx); err != nil {
				return err
			}
		}
		return connection.CountCredits(ctx, tx, l.tenant, org, credits, left)
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

var errPanicked = errors.New("a call's work panicked")
