package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"hookline/internal/call"
	"hookline/internal/postgres"
	"hookline/internal/zoho"
)

// desk is the work of one lane while it is held: it looks for open calls, starts one run for each caller, never two
// for the same, and stops when there is nothing to do, when the slice is over and others wait, or when the lane is
// held up or lost.
type desk struct {
	w *Worker
	l *lane

	set   *setting
	extra int // runs beyond the lane's own, for which the worker has lent places

	ready   []*job             // to be run, in order
	callers map[call.Phone]int // in ready or running
	calls   map[call.ID]bool   // likewise
	running int
	ended   chan end

	stale  bool      // there may be open calls that are not in ready
	blind  bool      // the last look passed over calls in hand, which may have been opened again behind our back
	behind bool      // calls wait behind the ones in hand
	next   time.Time // when the earliest waiting call is due; zero: none waits
	stop   *stop     // why nothing new is begun
	taken  int       // calls begun in this slice
}

// stop says why the lane begins nothing new, and when it is due again.
type stop struct {
	due time.Duration
}

// lowWater is how many ready calls make another look at the database worth while.
const lowWater = 16

// work runs the lane and gives back when it is due again; negative means that only a wake brings it back.
func (w *Worker) work(l *lane) time.Duration {
	d := &desk{
		w: w, l: l, callers: map[call.Phone]int{}, calls: map[call.ID]bool{},
		ended: make(chan end), stale: true,
	}
	return d.run()
}

func (d *desk) run() time.Duration {
	began := time.Now()
	poll := time.NewTimer(d.w.Poll)
	defer poll.Stop()
	for {
		if d.stop == nil {
			d.stopIfDue(began)
		}
		if d.blind && d.running == 0 && len(d.ready) == 0 {
			d.stale = true
		}
		if d.stale && d.mayLook() {
			d.look()
		}
		for d.stop == nil && len(d.ready) > 0 && d.mayBegin() {
			d.begin()
		}
		d.l.crowd.Store(0)
		if d.stop == nil && len(d.ready) > 0 {
			d.l.crowd.Store(int64(d.running))
		}
		if d.running == 0 {
			if d.stop != nil {
				return d.stop.due
			}
			if len(d.ready) == 0 && !d.stale && !d.worthWaiting() {
				return d.untilDue()
			}
		}
		poll.Reset(d.idle())
		select {
		case e := <-d.ended:
			d.end(e)
		case <-d.l.rung:
			d.stale = true
		case <-poll.C:
			if due := d.untilDue(); d.running == 0 && due != 0 {
				return due // it was worth waiting no longer than this
			}
			d.stale = true
		case <-d.l.ctx.Done():
			d.stop = &stop{due: 0}
			if d.running > 0 {
				d.end(<-d.ended)
			}
		case <-d.stopping():
			d.stop = &stop{due: 0}
		}
	}
}

// stopping is the worker's wish to end, heard once.
func (d *desk) stopping() <-chan struct{} {
	if d.stop != nil {
		return nil
	}
	return d.w.stopping
}

// idle is how long to wait for something to happen: at most the poll, because a notification can get lost, and until a
// call is due where it would be looked for then.
func (d *desk) idle() time.Duration {
	if due := d.untilDue(); due >= 0 && d.mayLook() {
		return min(d.w.Poll, due)
	}
	return d.w.Poll
}

func (d *desk) mayLook() bool { return d.stop == nil && len(d.ready) < lowWater }

// worthWaiting reports whether the lane, with nothing to do, is kept a little longer: the next call of the same
// tenant then needs no claim. When other lanes want the place it is not.
func (d *desk) worthWaiting() bool { return d.w.free() > 0 }

func (d *desk) untilDue() time.Duration {
	if d.next.IsZero() {
		return -1
	}
	return max(0, time.Until(d.next))
}

// stopIfDue ends the slice when others wait for the place, and everything when the lane is lost or the worker stops.
func (d *desk) stopIfDue(began time.Time) {
	select {
	case <-d.w.stopping:
		d.stop = &stop{}
		return
	default:
	}
	switch {
	case d.l.ctx.Err() != nil:
		d.stop = &stop{}
	case (d.taken >= d.w.Slice.Calls || time.Since(began) >= d.w.Slice.For) && d.w.free() == 0 && len(d.ready)+d.running > 0:
		d.stop = &stop{}
	}
}

// look reads the open calls and, when they have changed, what the tenant wants done with them.
func (d *desk) look() {
	d.stale, d.blind = false, len(d.calls) > 0
	ctx, cancel := context.WithTimeout(d.l.ctx, 10*time.Second)
	defer cancel()
	found, err := d.w.lookForWork(ctx, d.l, d.calls, d.callers)
	if err == nil && len(found.jobs) > 0 {
		d.set, err = d.w.settingOf(ctx, d.l.tenant, found.stamp)
	}
	if err != nil {
		d.trouble(err)
		return
	}
	if len(found.jobs) > 0 {
		if h := holdForLink(d.set.link); h != nil {
			d.holdUp(h)
			return
		}
		d.l.budget.read(found.usage.Of(d.set.link.Budget.Limit))
		if h := d.l.holdForCredits(d.set.tenant.Zone); h != nil {
			d.holdUp(h)
			return
		}
	}
	// What failed before goes last: when it fails again, the others have shown whose fault it is.
	slices.SortStableFunc(found.jobs, func(a, b *job) int { return min(a.tries, 1) - min(b.tries, 1) })
	for _, j := range found.jobs {
		d.ready = append(d.ready, j)
		d.calls[j.id] = true
		if j.key != "" {
			d.callers[j.key]++
		}
	}
	d.behind = found.behind
	d.next = time.Time{}
	d.dueIn(found.next)
}

// dueIn notes that a call is due in that long; a negative duration says nothing.
func (d *desk) dueIn(wait time.Duration) {
	if wait < 0 {
		return
	}
	if at := time.Now().Add(wait); d.next.IsZero() || at.Before(d.next) {
		d.next = at
	}
}

// trouble ends the slice over something that is no call's fault.
func (d *desk) trouble(err error) {
	if d.l.ctx.Err() != nil {
		d.stop = &stop{}
		return
	}
	if e, ok := errors.AsType[*zoho.Error](err); ok {
		d.holdUp(holdFor(e))
		return
	}
	d.w.Log.Error("lane stopped", "tenant", d.l.tenant.String(), "err", err)
	d.stop = &stop{due: d.w.Poll}
}

func (d *desk) holdUp(h *hold) {
	h, err := d.w.holdLane(d.l, h)
	if err != nil {
		d.w.Log.Error("lane stopped", "tenant", d.l.tenant.String(), "err", err)
		d.stop = &stop{due: d.w.Poll}
		return
	}
	d.stop = &stop{due: h.chosen}
}

// ownRuns is how many calls a lane runs at once in any case: as many as it has requests to Zoho. With more waiting it
// runs up to mostRuns, so that their questions can share requests, while the worker has places to lend.
const (
	ownRuns  = lanesRequests
	mostRuns = 36
)

// mayBegin reports whether one more call may be run now. After a fault one call shows first whether all is well again.
func (d *desk) mayBegin() bool {
	switch {
	case d.l.isTroubled():
		return d.running == 0
	case d.running < ownRuns:
		return true
	case d.running >= mostRuns:
		return false
	}
	select {
	case d.w.extra <- struct{}{}:
		d.extra++
		return true
	default:
		return false
	}
}

// begin starts the first ready call.
func (d *desk) begin() {
	j := d.ready[0]
	d.ready = d.ready[1:]
	d.running++
	d.taken++
	set := d.set
	go func() { d.ended <- d.w.safely(d.l, set, j) }()
}

// end takes back a call that was run.
func (d *desk) end(e end) {
	d.running--
	if d.extra > 0 {
		d.extra--
		<-d.w.extra
	}
	delete(d.calls, e.job.id)
	if e.job.key != "" {
		if d.callers[e.job.key]--; d.callers[e.job.key] == 0 {
			delete(d.callers, e.job.key)
		}
	}
	d.stale = d.stale || d.behind
	d.dueIn(e.again)
	switch {
	case e.hold != nil:
		if d.stop == nil {
			d.stop = &stop{due: e.hold.chosen}
		}
	case e.err != nil:
		if d.stop == nil {
			d.trouble(e.err)
		}
	}
}

// end is what became of one run.
type end struct {
	job   *job
	again time.Duration // until the call is due again; negative: it is not
	hold  *hold         // the lane cannot go on
	err   error         // nothing is known of the call's progress but what is stored
}

// safely runs one call. A panic, or what is stored of it and cannot be read or written, sets this call back, and aside
// when it comes again; the others carry on.
func (w *Worker) safely(l *lane, set *setting, j *job) (e end) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Error("a call panicked", "tenant", l.tenant.String(), "call", j.id.String(), "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			e = w.setBack(l, j)
		}
	}()
	if j.broken == nil {
		if e = w.tell(l, set, j); !errors.Is(e.err, errPanicked) && !postgres.IsFaultOfData(e.err) {
			return e
		}
		j.broken = e.err
	}
	w.Log.Error("a call cannot be worked on", "tenant", l.tenant.String(), "call", j.id.String(), "err", j.broken)
	return w.setBack(l, j)
}
