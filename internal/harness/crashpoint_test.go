package harness

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// crashPoint is a place between "received" and "recorded" at which something dies.
type crashPoint struct {
	point, when string
	places      []string     // where the program says that it is there
	visits      int          // how often a round of calls comes there at least
	usual       string       // who is killed in the short run
	fault       func() []any // of Zoho's, for the round
	expire      bool         // the access token is dead at the beginning
	news        bool         // the calls' late news arrives while the process is at the place
}

var crashPoints = []crashPoint{
	{point: "P1", when: "the body is read, the signature not checked", visits: 3, usual: "web"},
	{point: "P2", when: "inside intake's transaction", visits: 1, usual: "web"},
	{point: "P3", when: "everything is inserted, COMMIT not sent", visits: 1, usual: "web"},
	{point: "P4", when: "committed, intake does not know it yet", visits: 2, usual: "web"},
	{point: "P5", when: "committed, the answer on its way", visits: 2, usual: "web"},
	{point: "P6", when: "the wake-up is not sent", places: []string{"hookline_wake"}, visits: 1, usual: "web"},
	{point: "P7", when: "lanes are claimed, nothing is done", visits: 1, usual: "worker"},
	{point: "P8", when: "a token refresh is answered, nothing is stored", visits: 1, usual: "worker", expire: true},
	{point: "P9", when: "Zoho has told who calls", visits: 2, usual: "worker"},
	{point: "P10", when: "decided, the intent is not committed", visits: 2, usual: "worker"},
	{point: "P11", when: "the intent is committed, the create not sent", visits: 3, usual: "worker"},
	{point: "P12", when: "the create is answered, the answer not looked at", visits: 3, usual: "worker"},
	{point: "P13", when: "the create was cut off, with and without effect", visits: 1, usual: "worker", fault: cutOff},
	{point: "P14", when: "the answer is read, nothing is recorded", visits: 3, usual: "worker"},
	{point: "P15", when: "a step is committed, nobody knows it yet", visits: 3, usual: "worker"},
	{point: "P16", when: "the Lead is recorded, the Call not written", visits: 2, usual: "worker"},
	{point: "P17", when: "all is recorded, the lane not given back", visits: 1, usual: "worker"},
	{point: "P19", when: "the pages are not told", places: []string{"hookline_calls"}, visits: 1, usual: "worker"},
	{point: "P21", when: "late information arrives while the call is written", places: []string{"P10", "P11", "P12", "P14", "P15"}, visits: 1, usual: "worker", news: true},
}

// cutOff loses the answer to one create of the round.
func cutOff() []any {
	return []any{map[string]any{"match": map[string]any{"method": "POST", "path": "/crm/v8/" + []string{"Leads", "Calls"}[rand.IntN(2)]},
		"times": 1, "kind": "reset", "effect": []string{"none", "after"}[rand.IntN(2)]}}
}

// victims are what is killed while a process is at a place. Each has tenants of its own, so that what breaks is known to be
// its doing.
var victims = []string{"all", "worker", "postgres", "web"}

// sweep is a run over the crash points.
type sweep struct {
	t       *testing.T
	ctx     context.Context
	c       *Cluster
	random  *rand.Rand
	client  *http.Client
	tenants map[string][]Tenant // by victim
	cells   map[cell]*tally

	strikes   int // so far, and so the number of the next caller
	senders   sync.WaitGroup
	mu        sync.Mutex
	taken     map[string][]Call // answered 200, by victim
	unknown   map[string][]Call // sent once, and not answered 200
	wrong     map[string]int    // found so far, by victim
	exits     int               // processes that ended though nobody killed them
	late      []string          // tenants whose lanes a stopped worker holds
	impatient bool              // what a killed worker held need not wait for its lease to run out
}

type cell struct{ point, victim string }

type tally struct{ struck, broken, missed int }

func newSweep(t *testing.T, ctx context.Context, tenants map[string]int, seed uint64) *sweep {
	w := &sweep{t: t, ctx: ctx, c: newCluster(t, ctx, program(t, "failpoint")), random: rand.New(rand.NewPCG(seed, 2)), client: &http.Client{Timeout: 5 * time.Second},
		tenants: map[string][]Tenant{}, cells: map[cell]*tally{}, taken: map[string][]Call{}, unknown: map[string][]Call{}, wrong: map[string]int{}}
	for _, name := range []string{"web", "worker"} {
		if _, err := w.c.StartPart(ctx, name, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, victim := range victims {
		for n := range tenants[victim] {
			tenant, err := w.c.AddTenant(ctx, victim+" "+strconv.Itoa(n))
			if err != nil {
				t.Fatal(err)
			}
			w.tenants[victim] = append(w.tenants[victim], tenant)
		}
	}
	return w
}

func (w *sweep) cell(point, victim string) *tally {
	at := cell{point, victim}
	if w.cells[at] == nil {
		w.cells[at] = &tally{}
	}
	return w.cells[at]
}

// round is what one strike's senders send: a new caller who calls twice, and another, whose sender never repeats itself.
func (w *sweep) round(victim string, news bool) []Call {
	w.strikes++
	tenant := w.tenants[victim][w.strikes%len(w.tenants[victim])]
	for n := 1; slices.Contains(w.late, tenant.ID); n++ {
		tenant = w.tenants[victim][(w.strikes+n)%len(w.tenants[victim])]
	}
	first := fmt.Sprintf("+1415%07d", 2000000+3*w.strikes)
	calls := []Call{NewCall(tenant, 3*w.strikes, first), NewCall(tenant, 3*w.strikes+1, first), NewCall(tenant, 3*w.strikes+2, fmt.Sprintf("+1415%07d", 2000001+3*w.strikes))}
	if news {
		for i := range calls {
			calls[i].News = "Then she rang again about invoice " + strconv.Itoa(w.strikes) + "."
		}
	}
	return calls
}

// send posts a call until it is taken, or once.
func (w *sweep) send(victim string, c Call, once bool) {
	to := w.taken
	if once {
		if a, err := Post(w.ctx, w.client, c); err != nil || a.Status != http.StatusOK {
			to = w.unknown
		}
	} else if _, err := PostUntilTaken(w.ctx, w.client, c); err != nil {
		w.t.Errorf("%s: %v", c.Token, err)
		to = w.unknown
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	to[victim] = append(to[victim], c)
}

// strike sends a round, waits until a process is at the place, and kills the victim there.
func (w *sweep) strike(p crashPoint, victim string) {
	w.heal()
	result := w.cell(p.point, victim)
	work := w.round(victim, p.news)
	tenant := work[0].Tenant
	place := p.point
	if len(p.places) > 0 {
		place = p.places[w.random.IntN(len(p.places))]
	}
	if p.expire {
		w.control("/_sandbox/expire?org="+tenant.Org, nil)
	}
	if p.fault != nil {
		w.control("/_sandbox/faults?org="+tenant.Org, p.fault())
	}
	ambush := w.c.Nemesis.Await(place, w.random.IntN(p.visits))
	defer ambush.Forget()
	var sent sync.WaitGroup
	for i, c := range work {
		sent.Add(1)
		w.senders.Go(func() {
			defer sent.Done()
			w.send(victim, c, i == 2 && !p.news)
		})
	}
	visit, ok := w.await(ambush)
	if !ok {
		result.missed++
		w.t.Logf("%s × %s: nobody came to the place", p.point, victim)
	}
	if p.news {
		if ok {
			sent.Wait() // the web process lives
		}
		for _, c := range work {
			if ok {
				if _, err := Post(w.ctx, w.client, c.Update()); err != nil {
					w.t.Errorf("%s: its news: %v", c.Token, err)
				}
			}
			w.senders.Go(func() {
				if _, err := PostUntilTaken(w.ctx, w.client, c.Update()); err != nil {
					w.t.Errorf("%s: its news: %v", c.Token, err)
				}
			})
		}
	}
	if ok {
		result.struck++
		w.kill(victim, visit)
	}
}

// await waits for the visit. It is given up after half a minute.
func (w *sweep) await(a *Ambush) (Visit, bool) {
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case v := <-a.Visited:
		return v, true
	case <-limit.C:
	case <-w.ctx.Done():
	}
	return Visit{}, false
}

// kill kills the victim, lets go who waits at the place, and brings the victim back.
func (w *sweep) kill(victim string, visit Visit) {
	var back func(context.Context) error
	var dead []string
	switch victim {
	case "web", "worker":
		dead = []string{victim}
	case "all":
		dead = []string{"web", "worker"}
	}
	for _, name := range dead {
		w.c.Part(name).Signal(syscall.SIGKILL)
	}
	if victim == "postgres" || victim == "all" {
		var err error
		if back, err = w.c.KillDatabase([]syscall.Signal{syscall.SIGKILL, syscall.SIGQUIT}[w.random.IntN(2)]); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range dead {
		<-w.c.Part(name).Done()
	}
	visit.Go()
	if back != nil {
		if err := back(w.ctx); err != nil {
			w.t.Fatalf("the database did not come back: %v", err)
		}
	}
	w.start(dead...)
	if w.impatient {
		w.reclaim()
	}
}

// reclaim ends the leases that dead workers hold, as a program does that knows that it alone lives.
func (w *sweep) reclaim() {
	conn, err := w.c.Database(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(w.ctx) }()
	if _, err := conn.Exec(w.ctx, `UPDATE lanes SET lease_until = now() WHERE owner IS NOT NULL AND tenant_id <> ALL($1::uuid[])`, w.late); err != nil {
		w.t.Fatal(err)
	}
}

func (w *sweep) start(names ...string) {
	var starting sync.WaitGroup
	for _, name := range names {
		starting.Go(func() {
			if _, err := w.c.StartPart(w.ctx, name, name); err != nil {
				w.t.Errorf("starting %s again: %v", name, err)
			}
		})
	}
	starting.Wait()
}

// heal starts what has ended though nobody killed it, and counts it as broken: a database that dies takes nobody along.
func (w *sweep) heal() {
	for _, name := range []string{"web", "worker"} {
		select {
		case <-w.c.Part(name).Done():
			w.exits++
			w.t.Errorf("%s ended by itself", name)
			w.start(name)
		default:
		}
	}
}

func (w *sweep) control(path string, body any) {
	if err := w.c.Control(w.ctx, http.MethodPost, path, body, nil); err != nil {
		w.t.Fatal(err)
	}
}

// judge waits until every call has come to its end, and books what is newly broken on the point.
func (w *sweep) judge(point string) {
	w.heal()
	w.senders.Wait()
	settling, stop := context.WithTimeout(w.ctx, 4*time.Minute)
	err := w.c.Settle(settling)
	stop()
	if err != nil {
		w.t.Errorf("%s: %v", point, err)
	}
	for _, victim := range victims {
		v, err := w.c.Compare(w.ctx, w.taken[victim], w.unknown[victim]...)
		if err != nil {
			w.t.Fatal(err)
		}
		found := slices.Concat(v.Lost, v.Doubled, v.Strange, v.Impolite)
		if fresh := len(found) - w.wrong[victim]; fresh > 0 {
			result := w.cell(point, victim)
			result.broken += fresh
			w.t.Errorf("%s × %s: %s", point, victim, v)
		}
		w.wrong[victim] = len(found)
	}
}

// table is the result as people read it: kills and broken promises, point by victim.
func (w *sweep) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s", "")
	for _, victim := range victims {
		fmt.Fprintf(&b, "%20s", victim)
	}
	fmt.Fprintf(&b, "   %s\n%-5s", "killed when", "")
	for range victims {
		fmt.Fprintf(&b, "%20s", "kills broken missed")
	}
	b.WriteByte('\n')
	sums := map[string]*tally{}
	kills, broken := 0, 0
	for at, r := range w.cells {
		if sums[at.victim] == nil {
			sums[at.victim] = &tally{}
		}
		sum := sums[at.victim]
		sum.struck, sum.broken, sum.missed = sum.struck+r.struck, sum.broken+r.broken, sum.missed+r.missed
		kills, broken = kills+r.struck, broken+r.broken
	}
	line := func(name, when string, at func(string) *tally) {
		fmt.Fprintf(&b, "%-5s", name)
		for _, victim := range victims {
			r := at(victim)
			fmt.Fprintf(&b, "%6d %6d %6d", r.struck, r.broken, r.missed)
		}
		fmt.Fprintf(&b, "   %s\n", when)
	}
	for _, p := range append(slices.Clone(crashPoints), stopped) {
		line(p.point, p.when, func(victim string) *tally { return cmp.Or(w.cells[cell{p.point, victim}], &tally{}) })
	}
	line("", "", func(victim string) *tally { return cmp.Or(sums[victim], &tally{}) })
	calls, unknown := 0, 0
	for _, victim := range victims {
		calls, unknown = calls+len(w.taken[victim]), unknown+len(w.unknown[victim])
	}
	fmt.Fprintf(&b, "%d kills, %d broken promises; %d calls acknowledged, %d never answered; %d processes ended by themselves\n", kills, broken, calls, unknown, w.exits)
	return b.String()
}

// stopped is P18: the lease runs out while its holder is stopped (SIGSTOP); it goes on when another has taken its lane.
var stopped = crashPoint{point: "P18", when: "its lease ran out while it was stopped; then it goes on", usual: "worker"}

// Whatever the place at which something is killed, every acknowledged call is in the CRM once, by the CRM's own ledger too.
// Usually each place is tried once; HOOKLINE_CHAOS=full kills web, worker, PostgreSQL and all of them at each place
// HOOKLINE_CHAOS_VISITS (16) times, and HOOKLINE_CHAOS_REPORT names a file for the table. HOOKLINE_CHAOS_SEED drives it.
func TestKillAtEachCrashPointLosesNothingAndDoublesNothing(t *testing.T) {
	full := os.Getenv("HOOKLINE_CHAOS") == "full"
	limit, tenants := 11*time.Minute, map[string]int{"all": 1, "worker": 5, "postgres": 1, "web": 2}
	if full {
		limit, tenants = 4*time.Hour, map[string]int{"all": 16, "worker": 16, "postgres": 16, "web": 16}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	seed := uint64(setting(t, "HOOKLINE_CHAOS_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("HOOKLINE_CHAOS_SEED=%d", seed)
	began := time.Now()
	w := newSweep(t, ctx, tenants, seed)
	if full {
		w.full(setting(t, "HOOKLINE_CHAOS_VISITS", 16))
	} else {
		w.sample()
	}
	table := fmt.Sprintf("%sHOOKLINE_CHAOS_SEED=%d, %s\n", w.table(), seed, time.Since(began).Round(time.Second))
	t.Log("\n" + table)
	if path := os.Getenv("HOOKLINE_CHAOS_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
		t.Logf("the table is in %s", path)
	}
}

// sample strikes each point once, and some of them through the database's death and everybody's. One worker is stopped all
// the while (P18).
func (w *sweep) sample() {
	w.impatient = true
	w.poison()
	late := w.stop("worker", 2)
	w.late = late.tenants
	for _, p := range crashPoints {
		w.strikeOnce(p, p.usual)
		if p.point == "P3" || p.point == "P14" {
			w.strikeOnce(p, "postgres")
		}
		if p.point == "P11" {
			w.strikeOnce(p, "all")
		}
	}
	w.resume(late)
	w.judge("")
	for at, result := range w.cells {
		if result.struck == 0 {
			w.t.Errorf("%s × %s was never reached", at.point, at.victim)
		}
	}
}

// strikeOnce strikes until somebody was killed at the place, with two rounds of calls at most: in one, calls may share the
// visit that was waited for.
func (w *sweep) strikeOnce(p crashPoint, victim string) {
	w.strike(p, victim)
	if w.cell(p.point, victim).struck == 0 {
		w.strike(p, victim)
	}
}

func (w *sweep) full(visits int) {
	only := os.Getenv("HOOKLINE_CHAOS_POINT")
	if only == "" || only == stopped.point {
		for _, victim := range victims {
			for range max(1, visits/5) {
				w.resume(w.stop(victim, 6))
			}
		}
		w.judge(stopped.point)
	}
	for _, p := range crashPoints {
		if only != "" && only != p.point {
			continue
		}
		began := time.Now()
		for _, victim := range victims {
			for range visits {
				w.strike(p, victim)
			}
		}
		struck := time.Since(began)
		w.judge(p.point)
		w.t.Logf("%s: struck %s, judged after %s more\n%s", p.point, struck.Round(time.Second), (time.Since(began) - struck).Round(time.Second), w.table())
	}
}

// poison is a call at which the worker panics: it is tried three times and set aside, the process lives, and others go on.
// Once it is sent again it arrives like any other (Q3).
func (w *sweep) poison() {
	before := w.c.Part("worker").PID()
	work := w.round("worker", false)
	ambush := w.c.Nemesis.Await("P10", 0)
	w.send("worker", work[0], false)
	for try := range 3 {
		v, ok := w.await(ambush)
		ambush.Forget()
		if !ok {
			w.t.Fatalf("the call was tried %d times", try)
		}
		ambush = w.c.Nemesis.AwaitAbout("P10", v.About) // it waits a second before it is tried again
		v.Panic()
		if try == 0 {
			w.send("worker", work[2], false)
		}
	}
	ambush.Forget()
	var moved int
	until(w.t, w.ctx, "the call set aside", func() (bool, error) {
		var err error
		moved, err = w.c.SendAgainSetAside(w.ctx, w.tenants["worker"])
		return moved > 0, err
	})
	if process := w.c.Part("worker").Process; moved != 1 || process.PID() != before {
		w.t.Errorf("%d calls set aside; the worker is %d, was %d", moved, process.PID(), before)
	}
}

// late is a worker that was stopped under way, and what it had in hand.
type late struct {
	part    *Part
	at      time.Time
	tenants []string
}

// stop starts a second worker, gives it work, and stops it in the middle of that; the victim, where that is somebody else,
// is killed then. The first worker pauses until the second has something in hand.
func (w *sweep) stop(victim string, tenants int) late {
	w.heal()
	result := w.cell(stopped.point, victim)
	part, err := w.c.StartPart(w.ctx, "late", "worker")
	if err != nil {
		w.t.Fatal(err)
	}
	l := late{part: part}
	first := w.c.Part("worker").Process
	first.Signal(syscall.SIGSTOP)
	ambush := w.c.Nemesis.Await("P11", w.random.IntN(tenants))
	defer ambush.Forget()
	for range tenants {
		work := w.round(victim, false)
		l.tenants = append(l.tenants, work[0].Tenant.ID)
		for _, c := range work {
			w.senders.Go(func() { w.send(victim, c, false) })
		}
	}
	if v, ok := w.await(ambush); ok {
		part.Signal(syscall.SIGSTOP)
		l.at = time.Now()
		v.Go() // it will find itself let go
	}
	first.Signal(syscall.SIGCONT)
	switch {
	case l.at.IsZero():
		result.missed++
		w.t.Log("the second worker got nothing to do")
	case victim == "worker":
		result.struck++
	default:
		result.struck++
		w.kill(victim, Visit{})
	}
	return l
}

// resume lets a stopped worker go on once others have taken over all that it had in hand.
func (w *sweep) resume(l late) {
	if !l.at.IsZero() {
		conn, err := w.c.Database(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		until(w.t, w.ctx, "the stopped worker's lanes taken over", func() (bool, error) {
			var open int
			err := conn.QueryRow(w.ctx, `SELECT count(*) FROM calls WHERE tenant_id = ANY($1::uuid[]) AND status <> 'delivered'`, l.tenants).Scan(&open)
			return open == 0, err
		})
		_ = conn.Close(w.ctx)
		w.t.Logf("taken over, and delivered, %s after the stop", time.Since(l.at).Round(100*time.Millisecond))
		l.part.Signal(syscall.SIGCONT)
	}
	if code := l.part.Terminate(); code != 0 && !l.at.IsZero() {
		w.t.Errorf("the late worker ended with %d", code)
	}
}
