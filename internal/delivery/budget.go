package delivery

import (
	"fmt"
	"sync"
	"time"

	"hookline/internal/connection"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// When the day's credits of an organisation run low, what matters least waits first:
//
//  1. under a fifth: late news of calls that are delivered already;
//  2. under a tenth: calls of callers whom Zoho knows. The rest is kept for new callers, whom nothing else would keep;
//  3. under what one call costs, by Zoho's own word: everything. The lane is held until credits become free.
//
// Nothing waits longer than patience. How many credits there are is known only by Zoho's word, which counts for a
// quarter of an hour; then one more request is tried.
const (
	lowShare    = 5  // a fifth
	scarceShare = 10 // a tenth
	callCosts   = 6  // credits of a new caller's call
	patience    = 6 * time.Hour
)

// worth is how much a write, or a look-up, matters.
type worth int

const (
	ofNews  worth = iota // news of a call that is delivered already
	ofKnown              // a call of somebody whom Zoho knows
	ofNew                // the Lead of a new caller, its Call, and finding out whether the caller is new
)

// budget is what a lane knows of its organisation's credits: as its last look read them, less what it has used since,
// and what Zoho says with its answers.
type budget struct {
	mu     sync.Mutex
	limit  int
	left   int
	said   bool // left is Zoho's word
	freeAt time.Time
}

func (b *budget) read(from connection.Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit, b.left, b.said, b.freeAt = from.Limit, from.Left, from.Said, from.FreeAt
}

// heard takes an exchange into account.
func (b *budget) heard(e zoho.Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left -= e.Credits; e.CreditsLeft >= 0 {
		b.left, b.said = e.CreditsLeft, true
	}
}

// allows reports whether something that matters so much may use credits now.
func (b *budget) allows(w worth) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.limit == 0:
		return true // not connected: there is nothing to save
	case b.left < callCosts && b.said:
		return false
	case b.left < b.limit/scarceShare:
		return w >= ofNew
	case b.left < b.limit/lowShare:
		return w >= ofKnown
	}
	return true
}

// waits is how long what is not allowed waits: until credits become free, but at most a quarter of an hour, because
// other apps of the organisation use them as well.
func (b *budget) waits() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(max(time.Until(b.freeAt), time.Minute), 15*time.Minute)
}

// holdForCredits is the hold of a lane whose organisation has no credits left, nil when it has.
func (l *lane) holdForCredits(zone *time.Location) *hold {
	if l.budget.allows(ofNew) {
		return nil
	}
	l.budget.mu.Lock()
	free := l.budget.freeAt
	l.budget.mu.Unlock()
	detail := "Your Zoho organisation's API credits for today are used up."
	if time.Until(free) > 0 {
		detail += fmt.Sprintf(" The next become free at %s.", free.In(zone).Format("15:04 on 2 January"))
	}
	return &hold{reason: HoldLimit, after: l.budget.waits(), detail: detail + " Calls are kept and follow in order."}
}

// putOff makes the call wait for what the organisation's credits do not allow just now. It reports false when they do.
func (r *run) putOff(w worth) (end, bool) {
	if r.affords(w) {
		return end{}, false
	}
	if h := r.l.holdForCredits(r.set.tenant.Zone); h != nil {
		h, err := r.w.holdLane(r.l, h)
		if err != nil {
			return end{job: r.job, again: -1, err: err}, true
		}
		return r.rest(h, nil), true
	}
	what := "new callers come first, and this call follows"
	if w == ofNews {
		what = "calls come first, and what is new of this one follows"
	}
	wait := r.l.budget.waits()
	e, err := r.save(step{status: r.openStatus(), wait: &wait, cause: &Cause{
		Code: CauseCredits, Sentence: "Your Zoho organisation's API credits run low: " + what + " as credits become free."}})
	if err != nil {
		return end{job: r.job, again: -1, err: err}, true
	}
	return e, true
}

// affords reports whether credits may be used for it now; after long waiting it counts like a new caller's.
func (r *run) affords(w worth) bool {
	if r.job.age > patience {
		w = ofNew
	}
	return r.l.budget.allows(w)
}

// worth of writing d.
func (r *run) worth(d *delivery) worth {
	switch {
	case d.revision > 0:
		return ofNews
	case r.decided.facts.Match.Person() != nil && !r.makesLead():
		return ofKnown
	}
	return ofNew
}

func (r *run) makesLead() bool { return r.find(routing.SlotLead, 0) != nil }

// worthOfAsking who calls.
func (r *run) worthOfAsking() worth {
	if r.remembered != nil {
		return ofKnown
	}
	return ofNew
}
