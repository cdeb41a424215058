package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"hookline/internal/connection"
	"hookline/internal/fault/failpoint"
	"hookline/internal/postgres"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// Deps are what a Worker needs. Zero durations and counts mean the product's own.
type Deps struct {
	DB          *postgres.DB
	Keys        *seal.Keys
	Connections *connection.Connections
	Listener    *Listener        // nil: the worker only polls
	Now         func() time.Time // business time: hours, dates in records
	Log         *slog.Logger

	Lease time.Duration // of a lane: 15 s. Renewed at a third of it
	Poll  time.Duration // behind notifications: 1 s
	Gap   time.Duration // between the two looks after an unknown outcome: 60 s; a sandbox needs 1 s
	Grace time.Duration // for what is in hand when the worker is told to stop: 10 s
	Late  time.Duration // how long a call waits for its announced analysis: 20 s
	Lanes int           // held at once: 64
	Slice Slice
}

// Slice is how much of a lane's work is done before another lane that waits gets its place.
type Slice struct {
	Calls int           // 200
	For   time.Duration // 2 s
}

func (d Deps) withDefaults() Deps {
	set := func(have *time.Duration, usual time.Duration) {
		if *have == 0 {
			*have = usual
		}
	}
	set(&d.Lease, 15*time.Second)
	set(&d.Poll, time.Second)
	set(&d.Gap, 60*time.Second)
	set(&d.Grace, 10*time.Second)
	set(&d.Late, 20*time.Second)
	set(&d.Slice.For, 2*time.Second)
	if d.Slice.Calls == 0 {
		d.Slice.Calls = 200
	}
	if d.Lanes == 0 {
		d.Lanes = 64
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}

// Worker holds lanes and delivers their calls. Any number of workers, in any number of processes, share the lanes.
type Worker struct {
	Deps
	id    uuid.UUID
	calls *Bell // tells pages which tenants' calls have changed

	woken    chan struct{} // a lane may be there to claim
	stopping chan struct{} // nothing new is begun
	extra    chan struct{} // runs that lanes with much to do may have beyond their own

	mu       sync.Mutex
	held     map[tenant.ID]*lane
	settings map[tenant.ID]*setting
	lanes    sync.WaitGroup
}

// New makes a Worker.
func New(d Deps) *Worker {
	d = d.withDefaults()
	return &Worker{
		Deps: d, id: uuid.Must(uuid.NewV7()), calls: newBell(d.DB, callsChannel, d.Log),
		woken: make(chan struct{}, 1), stopping: make(chan struct{}), extra: make(chan struct{}, extraRuns), held: map[tenant.ID]*lane{}, settings: map[tenant.ID]*setting{},
	}
}

// Run works until ctx ends, then begins nothing new, gives what is in hand the grace to finish, and cuts off what
// has not: an outcome that is unknown by then is settled like any other.
func (w *Worker) Run(ctx context.Context) {
	if w.Listener != nil {
		defer w.Listener.on(wakeChannel, w.heard)()
	}
	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	var renewals sync.WaitGroup
	renewals.Go(func() { w.renewLeases(renewing) })

	poll := time.NewTicker(w.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		if w.claimLanes(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.woken:
		case <-poll.C:
		}
	}
	close(w.stopping)
	w.drain()
	stopRenewing()
	renewals.Wait()
	w.calls.Close()
}

// heard is told of new work: for lanes that we hold it is theirs, for others it is a reason to claim.
func (w *Worker) heard(tenants []tenant.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	others := len(tenants) == 0
	for _, t := range tenants {
		if l := w.held[t]; l != nil {
			l.ring()
		} else {
			others = true
		}
	}
	if len(tenants) == 0 {
		for _, l := range w.held {
			l.ring()
		}
	}
	if others {
		w.wake()
	}
}

func (w *Worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// extraRuns bounds them over all lanes, and with them the transactions that wait for the database.
const extraRuns = 96

// atOnce bounds how many lanes one claim takes, so that workers that wake together share them.
const atOnce = 16

// claimLanes fills free places and reports whether there may be more to claim at once.
func (w *Worker) claimLanes(ctx context.Context) (more bool) {
	n := min(w.free(), atOnce)
	if n == 0 {
		return false
	}
	// A claim that has begun is brought to its end: cut off at its commit, it could leave lanes that are ours and that we
	// know nothing of, for as long as their leases run.
	claiming, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	lanes, again, err := claim(claiming, w.DB, w.id, w.Lease, n)
	if err != nil {
		if ctx.Err() == nil {
			w.Log.Error("lanes not claimed", "err", err)
		}
		return false
	}
	if len(lanes) > 0 {
		failpoint.Hit("P7")
	}
	for _, l := range lanes {
		w.mu.Lock()
		w.held[l.tenant] = l
		w.mu.Unlock()
		w.lanes.Go(func() { w.serve(l) })
	}
	return again || len(lanes) == n
}

func (w *Worker) free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Lanes - len(w.held)
}

// serve works in one lane and gives it back.
func (w *Worker) serve(l *lane) {
	due := w.work(l)
	failpoint.Hit("P17")
	l.close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := release(ctx, w.DB, l, due); err != nil {
		w.Log.Warn("lane not released: its lease will run out", "tenant", l.tenant.String(), "err", err)
	}
	w.mu.Lock()
	if w.held[l.tenant] == l { // a lane that overslept its lease may have been claimed anew by ourselves
		delete(w.held, l.tenant)
	}
	w.mu.Unlock()
	w.wake() // what came after the last look, and a free place
}

// renewLeases moves the leases of all lanes held, three times a lease.
func (w *Worker) renewLeases(ctx context.Context) {
	for {
		pause(ctx, w.Lease/3)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		held := make([]*lane, 0, len(w.held))
		for _, l := range w.held {
			held = append(held, l)
		}
		w.mu.Unlock()
		if len(held) == 0 {
			continue
		}
		asked := time.Now()
		within, cancel := context.WithTimeout(ctx, w.Lease/3)
		kept, err := renew(within, w.DB, w.id, w.Lease, held)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				w.Log.Warn("leases not renewed", "lanes", len(held), "err", err)
			}
			continue // the lanes end by themselves before their leases do
		}
		for _, l := range held {
			if kept[l.tenant] {
				l.extend(asked.Add(w.Lease - margin(w.Lease)))
			} else {
				l.cancel(errLost)
			}
		}
	}
}

// drain waits for the lanes, and after the grace cuts them off.
func (w *Worker) drain() {
	done := make(chan struct{})
	go func() { w.lanes.Wait(); close(done) }()
	timer := time.NewTimer(w.Grace)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	w.mu.Lock()
	for _, l := range w.held {
		l.cancel(errStopped)
	}
	w.mu.Unlock()
	<-done
}
