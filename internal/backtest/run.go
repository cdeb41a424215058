package backtest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/postgres"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// Question is what a backtest is to answer.
type Question struct {
	Tenant   tenant.Tenant
	Scope    Scope
	Live     config.Set
	Draft    config.Set
	Metadata mapping.Metadata // what is known of the organisation's fields
	Now      time.Time        // business time: from when days count back
}

const (
	pageOf  = 400 // calls that are read at a time
	chunkOf = 20  // calls for which a core is taken at a time
)

// cores are shared by all backtests of the process, and leave one to intake and pages where there are two.
var cores = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))

// Run runs stored calls through draft and live. Progress, where given, is told how many calls of how many are done, from
// one goroutine at a time. The error is the context's when that ends first. Nothing is stored, and Zoho is not asked.
func Run(ctx context.Context, db *postgres.DB, q Question, progress func(done, total int)) (Result, error) {
	scope, err := q.Scope.check()
	if err != nil {
		return Result{}, err
	}
	since, most := scope.since(q.Now)
	t := newTally()
	err = db.InTenant(ctx, q.Tenant.ID, func(tx pgx.Tx) (err error) {
		t.Total, err = delivery.CountPast(ctx, tx, q.Tenant.ID, since)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if scope.Last > 0 {
		t.Total = min(t.Total, scope.Last)
	}
	most = min(most, t.Total)
	if progress == nil {
		progress = func(int, int) {}
	}
	progress(0, most)

	ctx, cancel := context.WithCancel(ctx)
	pages, failed := readAhead(ctx, db, q.Tenant.ID, since, most)
	defer func() { // the reader has ended when we do
		cancel()
		for range pages {
		}
	}()
	c := newComparison(q.Live, q.Draft, q.Metadata)
	done := 0
	for page := range pages {
		changes := c.all(ctx, page, q.Tenant.Zone)
		if ctx.Err() != nil {
			break
		}
		for i, p := range page {
			c.count(t, p, changes[i])
		}
		done += len(page)
		progress(done, most)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if err := <-failed; err != nil {
		return Result{}, err
	}
	t.Unread = unread(q.Live.Mappings, q.Draft.Mappings)
	return t.sum(q.Now), nil
}

// unread are the fields of Contacts that only the draft maps: facts hold what stood in the fields that were mapped when a
// call was decided.
func unread(live, draft mapping.Set) (fields []string) {
	for _, row := range draft.Modules["Contacts"] {
		if !slices.ContainsFunc(live.Modules["Contacts"], func(r mapping.Row) bool { return r.Field == row.Field }) {
			fields = append(fields, row.Field)
		}
	}
	return fields
}

// readAhead reads pages of calls, up to two ahead of who takes them.
func readAhead(ctx context.Context, db *postgres.DB, t tenant.ID, since time.Time, most int) (<-chan []delivery.PastCall, <-chan error) {
	pages, failed := make(chan []delivery.PastCall, 1), make(chan error, 1)
	go func() {
		defer close(pages)
		defer close(failed)
		var last *delivery.PastCall
		for ask := pageOf; most > 0; {
			ask = min(ask, most)
			var page []delivery.PastCall
			err := db.InTenant(ctx, t, func(tx pgx.Tx) (err error) {
				page, err = delivery.ReadPast(ctx, tx, t, since, last, ask)
				return err
			})
			if err != nil {
				failed <- err
				return
			}
			if len(page) == 0 {
				return
			}
			select {
			case pages <- page:
			case <-ctx.Done():
				return
			}
			most -= len(page)
			last = &page[len(page)-1]
			if len(page) < ask { // they are large: what would not be kept is not asked for
				ask = len(page)
			} else {
				ask = min(2*ask, pageOf)
			}
		}
	}()
	return pages, failed
}

// tried is a call that was run through both.
type tried struct {
	change Change
	facts  routing.Facts
	ok     bool
}

// all runs the calls of a page, as many at once as there are cores. It ends early with the context.
func (c comparison) all(ctx context.Context, page []delivery.PastCall, zone *time.Location) []tried {
	out := make([]tried, len(page))
	var running sync.WaitGroup
	defer running.Wait()
	for from := 0; from < len(page); from += chunkOf {
		to := min(from+chunkOf, len(page))
		select {
		case cores <- struct{}{}:
		case <-ctx.Done():
			return out
		}
		running.Go(func() {
			defer func() { <-cores }()
			for i := from; i < to && ctx.Err() == nil; i++ {
				if page[i].Decided {
					out[i] = c.try(page[i], zone)
				}
			}
		})
	}
	return out
}

// try runs one call. What cannot be read, or makes the program panic, is not ok, and spoils nothing else.
func (c comparison) try(p delivery.PastCall, zone *time.Location) (t tried) {
	defer func() {
		if recover() != nil {
			t.ok = false
		}
	}()
	facts, err := p.Facts(zone)
	if err != nil {
		return tried{}
	}
	t = tried{change: c.compare(facts), facts: facts, ok: true}
	t.lighten()
	return t
}

// lighten lets go of what counting does not need: with many rules a trace is larger than the call.
func (t *tried) lighten() {
	for _, side := range []*Side{&t.change.Live, &t.change.Draft} {
		side.Decision.Trace = routing.Trace{}
		if !t.change.Changes {
			side.Drafts, side.Problems = nil, nil
		}
	}
	if !t.change.Changes {
		t.facts = routing.Facts{}
	}
}

// count adds a call to the tally, with its details where they are kept.
func (c comparison) count(t *tally, p delivery.PastCall, one tried) {
	switch {
	case !p.Decided:
		t.Undecided++
	case !one.ok:
		t.Unreadable++
	case t.add(&one.change, p.Received):
		c.detail(&one.change, one.facts)
		t.keep(&one.change, p)
	}
}
