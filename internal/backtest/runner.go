package backtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Deps are what backtests work with.
type Deps struct {
	DB    *postgres.DB
	Known *connection.Connections // what is known of organisations; Zoho itself is never asked
	Log   *slog.Logger
	Now   func() time.Time
}

// Runner runs backtests in this process.
type Runner struct {
	Deps
	life    context.Context
	end     context.CancelCauseFunc
	running sync.WaitGroup
	turns   chan struct{}
}

const (
	atOnce  = 4                      // backtests of a process that run at a time; others wait for their turn
	between = 300 * time.Millisecond // two words about how far one is
)

// Reasons why a backtest ends before it is done.
var (
	errStopping  = fault.New(fault.Unavailable, "Hookline is restarting, and the backtest was interrupted. Run it again.")
	errCancelled = fault.New(fault.Conflict, "The backtest was cancelled.")
)

// New makes a Runner. Close ends it.
func New(d Deps) *Runner {
	r := &Runner{Deps: d, turns: make(chan struct{}, atOnce)}
	r.life, r.end = context.WithCancelCause(context.Background())
	return r
}

// Close ends what runs, which then reads as lost, and waits for it.
func (r *Runner) Close() {
	r.end(errStopping)
	r.running.Wait()
}

// Start begins to run a tenant's draft, as it stands, against what is live, and returns at once. A tenant has one
// backtest at a time: the fault is a Conflict where one runs, and Invalid where the scope is none.
func (r *Runner) Start(ctx context.Context, t tenant.Tenant, actor string, s Scope) (ID, error) {
	id, q, err := r.begin(ctx, t, actor, s)
	if err != nil {
		return ID{}, err
	}
	r.running.Go(func() { _ = r.work(r.life, id, q) })
	return id, nil
}

// Run is Start that waits for the end and gives the finished backtest. When ctx ends before, the backtest is cancelled
// and the error is ctx's.
func (r *Runner) Run(ctx context.Context, t tenant.Tenant, actor string, s Scope) (Backtest, error) {
	id, q, err := r.begin(ctx, t, actor, s)
	if err != nil {
		return Backtest{}, err
	}
	r.running.Add(1)
	defer r.running.Done()
	ctx, stop := context.WithCancelCause(ctx)
	defer context.AfterFunc(r.life, func() { stop(errStopping) })()
	defer stop(nil)
	if err := r.work(ctx, id, q); err != nil {
		return Backtest{}, err
	}
	var b Backtest
	err = r.DB.InTenant(ctx, t.ID, func(tx pgx.Tx) (err error) {
		b, err = Read(ctx, tx, t.ID, id)
		return err
	})
	if err == nil && b.State != Done { // somebody ended it in its last moment
		err = errCancelled
	}
	return b, err
}

// begin stores that a backtest runs, and gathers what it runs on.
func (r *Runner) begin(ctx context.Context, t tenant.Tenant, actor string, s Scope) (ID, Question, error) {
	s, err := s.check()
	if err != nil {
		return ID{}, Question{}, err
	}
	q := Question{Tenant: t, Scope: s, Now: r.Now()}
	fields, err := r.Known.Known(ctx, t.ID)
	if err != nil {
		return ID{}, q, err
	}
	q.Metadata = fields
	id := ID(uuid.Must(uuid.NewV7()))
	err = r.DB.InTenant(ctx, t.ID, func(tx pgx.Tx) (err error) {
		if q.Live, err = config.Live(ctx, tx, t.ID); err != nil {
			return err
		}
		draft, err := config.ReadDraft(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		q.Draft = draft.Set
		return insert(ctx, tx, t.ID, Backtest{ID: id, Revision: draft.Revision, Version: q.Live.Version, Scope: s, By: actor})
	})
	return id, q, err
}

// work runs a backtest to its end, and stores what came of it.
func (r *Runner) work(ctx context.Context, id ID, q Question) error {
	ctx, stop := context.WithCancelCause(ctx)
	var done, total atomic.Int64
	var speaking sync.WaitGroup
	over := make(chan struct{})
	speaking.Go(func() { r.speak(ctx, id, q.Tenant.ID, &done, &total, over, stop) })

	result, err := r.inTurn(ctx, q, func(d, t int) { done.Store(int64(d)); total.Store(int64(t)) })
	if ended := context.Cause(ctx); err != nil && ended != nil {
		err = ended
	}
	close(over)
	speaking.Wait()
	stop(nil)

	state, found := Done, &result
	switch {
	case err == nil:
	case errors.Is(err, errCancelled):
		return err
	case errors.Is(err, errStopping):
		state, found = Lost, nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		state, found = Cancelled, nil
	default:
		state, found = Failed, nil
		r.Log.Error("backtest", "tenant", q.Tenant.ID, "backtest", id, "err", err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	stored := r.DB.InTenant(last, q.Tenant.ID, func(tx pgx.Tx) error {
		return finish(last, tx, q.Tenant.ID, id, state, found, int(done.Load()), int(total.Load()))
	})
	if stored != nil {
		r.Log.Error("backtest", "tenant", q.Tenant.ID, "backtest", id, "err", stored)
		return fmt.Errorf("storing what a backtest found: %w", stored)
	}
	return err
}

// inTurn runs the question when one of the process's turns is free. A panic is an error: it ends this backtest, and not
// the process that delivers calls.
func (r *Runner) inTurn(ctx context.Context, q Question, progress func(done, total int)) (_ Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a backtest panicked: %v\n%s", p, debug.Stack())
		}
	}()
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	return Run(ctx, r.DB, q, progress)
}

// speak writes down how far the backtest is until it is over, and stops it when the row says so.
func (r *Runner) speak(ctx context.Context, id ID, t tenant.ID, done, total *atomic.Int64, over <-chan struct{}, stop context.CancelCauseFunc) {
	clock := time.NewTicker(between)
	defer clock.Stop()
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		goesOn := true
		err := r.DB.InTenant(ctx, t, func(tx pgx.Tx) (err error) {
			goesOn, err = beat(ctx, tx, t, id, int(done.Load()), int(total.Load()))
			return err
		})
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("backtest: how far it is could not be written", "tenant", t, "backtest", id, "err", err)
		}
		if err == nil && !goesOn {
			stop(errCancelled)
			return
		}
	}
}
