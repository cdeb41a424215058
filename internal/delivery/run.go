package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/fault/failpoint"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// run is one call's story while it is told.
type run struct {
	w      *Worker
	l      *lane
	set    *setting
	job    *job
	api    *zoho.API
	inTurn *zoho.API // the same for requests whose turn it is already

	config     config.Set
	remembered *identity.Remembered
	decided    decided
	deliveries []*delivery
	contact    string // taken, so that no other call of the same Contact is decided meanwhile
	redone     bool   // decided once more, because a record was gone
	resumed    bool   // goes on with what was decided some time ago
	asked      string // the Lead that was read to learn whether it was converted
	became     string // the Contact that it became
	toldNews   bool   // what is late was planned

	mu       sync.Mutex
	attempts []attempt // not yet written down
	purpose  string
	about    []uuid.UUID // the deliveries that the next exchange carries
	stored   bool        // the folded call stands in its row
	well     bool        // Zoho took a record of it
}

// How long news of a call waits for the call itself, and how often a call may fail by itself before a person is asked.
const (
	newsWaits = 15 * time.Minute
	maxTries  = 8
	maxPanics = 3
)

// tell tells a call's story from wherever it stands to its end, or to the point where it has to wait.
func (w *Worker) tell(l *lane, set *setting, j *job) end {
	r := &run{w: w, l: l, set: set, job: j, config: set.config}
	r.inTurn = w.Connections.API(l.tenant, r.observe).Unless(l.mayWrite)
	r.api = r.inTurn.Through(l.turn)
	defer r.leave()

	if e, waits := r.awaits(); waits {
		return e
	}
	fresh, err := r.load()
	if err != nil {
		return end{job: j, again: -1, err: err}
	}
	if fresh {
		if e, ended := r.decide(); ended {
			return e
		}
	} else {
		if err := r.takeContact(); err != nil {
			return end{job: j, again: -1, err: err}
		}
		r.resume()
	}
	return r.deliver()
}

// awaits ends the story for now, or for good, when there is no call yet to deliver.
func (r *run) awaits() (end, bool) {
	j := r.job
	unreadable, told := 0, call.Told(j.events)
	for _, e := range j.events {
		if e.Kind == call.KindUnreadable {
			unreadable++
		}
	}
	switch {
	case unreadable == len(j.events):
		problem := "The event could not be read as a call."
		for _, e := range j.events {
			if e.Problem != "" {
				problem = e.Problem
			}
		}
		return r.setAside(&Cause{Code: CauseUnreadable, Sentence: problem}), true
	case !told && j.age < newsWaits:
		return r.waitFor(newsWaits - j.age), true
	case !told:
		return r.setAside(&Cause{Code: CauseNoCall,
			Sentence: "News of a call arrived (a summary, a transcript or a recording), and the call itself never did. When it comes, it is delivered."}), true
	case call.AwaitsMore(j.events) && j.age < r.w.Late:
		return r.waitFor(r.w.Late - j.age), true
	}
	return end{}, false
}

// load reads how far the call has come. It reports true when the call is to be decided: never was, or is replayed
// before anything of it reached Zoho.
func (r *run) load() (fresh bool, err error) {
	j := r.job
	if j.revision == 0 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(r.l.ctx, 10*time.Second)
	defer cancel()
	var known bool
	err = r.w.DB.InTenant(ctx, r.l.tenant, func(tx pgx.Tx) error {
		var err error
		if r.decided, known, err = lastDecision(ctx, tx, r.l.tenant, j.id); err != nil {
			return err
		}
		if r.deliveries, err = readDeliveries(ctx, tx, r.w.Keys, r.l.tenant, j.id); err != nil {
			return err
		}
		if known && j.config == ConfigOriginal {
			r.config, err = config.At(ctx, tx, r.l.tenant, r.decided.version)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("loading call %s: %w", j.id, err)
	}
	r.decided.facts.Call = j.call
	if j.config == ConfigNone {
		r.decided.decision = putAway(r.decided.decision)
	}
	begun := func(d *delivery) bool { return d.begun() && !d.taken() }
	return !known || j.status == Received && !slices.ContainsFunc(r.deliveries, begun), nil
}

// moves reports whether d moves a record on, which is read first each time.
func (d *delivery) moves() bool { return d.slot == routing.SlotStage || d.draft.Transition != "" }

// begun reports whether something of the delivery may be in Zoho.
func (d *delivery) begun() bool { return d.state == Done || d.state == Sending || d.state == Unknown }

// decide finds out who called and what that means, and stores the decision with the intent of its first record. It
// reports true when the story ends, or rests, there.
func (r *run) decide() (end, bool) {
	earlier, err := r.recall()
	if err != nil {
		return r.verdict(err, nil)
	}
	if e, off := r.putOff(r.worthOfAsking()); off {
		return e, true
	}
	match, err := r.identifyAlone()
	if err != nil {
		return r.verdict(err, nil)
	}
	c, t := r.job.call, r.set.tenant
	began := c.StartedAt
	if began.IsZero() {
		began = r.job.received
	}
	facts := routing.FactsAt(t, began, r.w.Now())
	facts.Call, facts.Source, facts.Match, facts.Earlier, facts.Revision = c, r.set.sources[r.job.source], match, earlier, len(r.job.events)
	decision := routing.Decide(r.config.Rules, facts)
	for _, e := range r.job.events {
		decision.Trace.Notes = append(decision.Trace.Notes, e.Notes...)
	}
	if waits, err := r.dealUnsettled(decision); err != nil {
		return r.verdict(err, nil)
	} else if waits {
		return r.waitFor(r.w.Gap), true
	}
	r.decided = decided{number: r.decided.number + 1, version: r.config.Version, facts: facts, decision: decision}
	drafts, problems := mapping.Render(r.config.Mappings, decision, facts, r.set.metadata)
	r.lookAnew()
	r.plan(drafts, problems)

	s := step{status: Delivering, decision: true}
	next := r.next()
	switch {
	case decision.Handed != "":
		s.status, s.cause = NeedsAttention, handedOver(decision)
	case len(decision.Actions) == 0:
		s.status, s.done = Ignored, true
	case next == nil:
		s.status, s.done = Delivered, true // the mapping has nothing to write
	case next.state == Refused:
		s.status, s.cause = NeedsAttention, next.cause
	case next.state == Planned && r.affords(r.worth(next)):
		next.to(Sending)
	}
	failpoint.Hit("P10", r.job.id)
	e, err := r.save(s)
	return e, err != nil || s.status != Delivering || s.done
}

// identifyAlone identifies the caller and, where that is a Contact, keeps the Contact's other calls from being decided
// until this one is over: what it finds, such as an open Deal, stays true.
func (r *run) identifyAlone() (identity.Match, error) {
	for {
		match, err := r.identify()
		contact := ""
		if match.Contact != nil {
			contact = match.Contact.ID
		}
		if err != nil || contact == r.contact {
			return match, err
		}
		r.leave()
		if contact == "" {
			return match, nil
		}
		waited, err := r.l.alone(contact)
		if err != nil {
			return match, err
		}
		if r.contact = contact; !waited {
			return match, nil
		}
	}
}

// takeContact keeps the Contact's other calls from being decided while this one goes on.
func (r *run) takeContact() error {
	m := r.decided.facts.Match
	if m.Contact == nil {
		return nil
	}
	if _, err := r.l.alone(m.Contact.ID); err != nil {
		return err
	}
	r.contact = m.Contact.ID
	return nil
}

// dealUnsettled reports whether a decision would make a Deal for a Contact whose other call is making one, or of whose
// Deal it is not known whether Zoho has it: what is found of open Deals is then not the whole truth.
func (r *run) dealUnsettled(decision routing.Decision) (bool, error) {
	contact := r.contact
	if contact == "" || !slices.ContainsFunc(decision.Actions, func(a routing.Action) bool { return a.Kind == routing.CreateDeal }) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(r.l.ctx, 10*time.Second)
	defer cancel()
	var unsettled bool
	err := r.w.DB.InTenant(ctx, r.l.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM calls
				  JOIN deliveries ON deliveries.tenant_id = calls.tenant_id AND deliveries.call_id = calls.id
				       AND deliveries.module = 'Deals' AND deliveries.action = 'create' AND deliveries.state IN ('planned', 'sending', 'unknown')
				  JOIN decisions ON decisions.tenant_id = calls.tenant_id AND decisions.call_id = calls.id AND decisions.number = deliveries.decision
				 WHERE calls.tenant_id = @tenant AND calls.id <> @call
				   AND (calls.status = 'delivering' OR calls.status = 'needs_attention' AND calls.cause ->> 'code' = 'UNSETTLED')
				   AND decisions.facts -> 'match' -> 'contact' ->> 'id' = @contact)`,
			pgx.StrictNamedArgs{"tenant": r.l.tenant.UUID(), "call": r.job.id.UUID(), "contact": contact}).Scan(&unsettled)
	})
	if err != nil {
		return false, fmt.Errorf("reading whether another call makes a Deal for the Contact: %w", err)
	}
	return unsettled, nil
}

func (r *run) leave() {
	if r.contact != "" {
		r.l.leave(r.contact)
		r.contact = ""
	}
}

// recall reads what is remembered of the customer's number, and when it called before.
func (r *run) recall() (earlier []time.Time, err error) {
	if _, unsearched := identity.Unsearched(r.job.call); unsearched {
		return nil, nil
	}
	number := r.job.call.Customer()
	ctx, cancel := context.WithTimeout(r.l.ctx, 10*time.Second)
	defer cancel()
	err = r.w.DB.InTenant(ctx, r.l.tenant, func(tx pgx.Tx) error {
		var err error
		if r.remembered, err = identity.Recall(ctx, tx, r.l.tenant, r.set.org.ID, number); err != nil {
			return err
		}
		earlier, err = earlierCalls(ctx, tx, r.l.tenant.UUID(), r.job, number)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recalling the caller: %w", err)
	}
	return earlier, nil
}

// identify looks up the customer's number.
func (r *run) identify() (identity.Match, error) {
	if m, unsearched := identity.Unsearched(r.job.call); unsearched {
		return m, nil
	}
	remembered := r.remembered
	if r.redone {
		remembered = nil
	}
	r.asking(purposeLookUp)
	m, err := identity.Find(r.l.ctx, asker{r}, r.set.org, remembered, r.job.call.Customer(), r.w.Now())
	failpoint.Hit("P9")
	return m, err
}

func earlierCalls(ctx context.Context, tx pgx.Tx, t uuid.UUID, j *job, number call.Phone) ([]time.Time, error) {
	rows, err := tx.Query(ctx, `
		SELECT COALESCE(started_at, received_at)
		  FROM calls
		 WHERE tenant_id = @tenant AND caller_key = @number AND received_at > now() - interval '90 days'
		   AND (received_at, id) < (@received, @id)
		 ORDER BY received_at DESC
		 LIMIT @most`,
		pgx.StrictNamedArgs{"most": routing.MostEarlier, "tenant": t, "number": string(number), "received": j.received, "id": j.id.UUID()})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[time.Time])
}

// plan makes the deliveries of the drafts, in order. Rows of an earlier plan are used again for the same slot; what
// has reached Zoho stands; what no draft wants any more is skipped.
func (r *run) plan(drafts []mapping.Draft, problems []mapping.Problem) {
	wanted := map[string]bool{}
	for i, draft := range drafts {
		wanted[draft.Slot] = true
		d := r.find(draft.Slot, 0)
		if d == nil {
			d = r.add(draft.Slot, 0)
		}
		d.unfit = nil
		p, unfit := problemOf(draft, problems)
		if unfit {
			d.unfit = causeOfProblem(p)
		}
		if d.begun() {
			continue
		}
		d.draft, d.position, d.decision, d.version, d.cause = draft, i, r.decided.number, r.config.Version, nil
		d.to(Planned)
		if unfit && refusesAtOnce(draft) {
			d.cause = d.unfit
			d.to(Refused)
		}
	}
	for _, d := range r.deliveries {
		if d.revision == 0 && !wanted[d.slot] && !d.begun() {
			d.to(Skipped)
		}
	}
	slices.SortStableFunc(r.deliveries, func(a, b *delivery) int {
		if a.revision != b.revision {
			return a.revision - b.revision
		}
		return a.position - b.position
	})
}

func (r *run) find(slot string, revision int) *delivery {
	for _, d := range r.deliveries {
		if d.slot == slot && d.revision == revision {
			return d
		}
	}
	return nil
}

func (r *run) add(slot string, revision int) *delivery {
	id := uuid.Must(uuid.NewV7())
	d := &delivery{id: id, slot: slot, revision: revision, decision: r.decided.number, version: r.config.Version, ref: refOf(id), looked: -1}
	r.deliveries = append(r.deliveries, d)
	return d
}

func (d *delivery) to(state string) { d.state, d.changed, d.fresh = state, true, state == Sending }

// next is the first delivery that is not over.
func (r *run) next() *delivery {
	for _, d := range r.deliveries {
		if d.state != Done && d.state != Skipped {
			return d
		}
	}
	return nil
}

// resume goes on where an earlier run, a person or news left the call: the decision stands, what has not reached
// Zoho is rendered afresh.
func (r *run) resume() {
	r.resumed = true
	drafts, problems := mapping.Render(r.config.Mappings, r.decided.decision, r.decided.facts, r.set.metadata)
	r.plan(drafts, problems)
	for _, d := range r.deliveries {
		if d.revision > 0 && (d.state == Planned || d.state == Refused) {
			d.to(Skipped) // what is late is found out again
		}
	}
}

// deliver writes the records in order, each after the one before it is known to stand, and then what is late.
func (r *run) deliver() end {
	for {
		d := r.next()
		if d == nil {
			if r.hasNews() {
				if e, off := r.putOff(ofNews); off {
					return e
				}
			}
			late, err := r.late()
			if err != nil {
				e, _ := r.verdict(err, nil)
				return e
			}
			if late {
				continue
			}
			if r.decided.decision.Handed != "" {
				return r.setAside(handedOver(r.decided.decision))
			}
			status := Delivered
			if len(r.decided.decision.Actions) == 0 {
				status = Ignored
			}
			e, err := r.save(step{status: status, done: true})
			if err != nil {
				return end{job: r.job, again: -1, err: err}
			}
			return e
		}
		if e, ended := r.write(d); ended {
			return e
		}
	}
}

// write brings one delivery to its end. It reports true when the story ends, or rests, there.
func (r *run) write(d *delivery) (end, bool) {
	switch d.state {
	case Refused:
		return r.setAside(d.cause), true
	case Planned:
		if e, off := r.putOff(r.worth(d)); off {
			return e, true
		}
		d.to(Sending)
		if _, err := r.save(step{status: Delivering}); err != nil {
			return end{job: r.job, again: -1, err: err}, true
		}
	case Sending, Unknown:
		switch {
		case d.fresh:
		case d.draft.Action == mapping.Create:
			if sendAgain, e, ended := r.settle(d); !sendAgain {
				return e, ended
			}
		case !d.moves():
			d.draft.Since = "" // it may have landed: looked at before it is done again
		}
	}
	d.fresh = false
	failpoint.Hit("P11")
	err := r.send(d)
	if e, ok := errors.AsType[*zoho.Error](err); ok && e.Class == zoho.Unknown {
		failpoint.Hit("P13")
	}
	failpoint.Hit("P14")
	if err != nil {
		return r.verdict(err, d)
	}
	return r.written(d)
}

// send makes the one request that writes d, and gives Zoho's no as an error.
func (r *run) send(d *delivery) error {
	ids := r.ids()
	switch {
	case d.slot == routing.SlotStage:
		return r.moveStage(d)
	case d.draft.Transition != "":
		return r.takeStep(d)
	case d.draft.Action == mapping.Update:
		return r.update(d, ids)
	case r.resumed: // what it hangs on was found some time ago
		if _, err := r.follow(d); err != nil {
			return err
		}
	}
	rec, err := d.draft.Record(ids, r.refFor(d))
	if err != nil {
		return &zoho.Error{Class: zoho.OurBug, Message: err.Error()}
	}
	if d.draft.Find != "" {
		// Until it is over nobody else in the lane looks for the same: two callers of one company do not make it twice.
		name := rec.Text(d.draft.Find)
		claim := d.draft.Module + " " + fold(name)
		if _, err := r.l.alone(claim); err != nil {
			return err
		}
		defer r.l.leave(claim)
		if found, err := r.existing(d, name); err != nil || found {
			return err
		}
		if d.unfit != nil {
			return &aside{d.unfit}
		}
	}
	if err := r.l.mayWrite(); err != nil {
		return err
	}
	r.asking(purposeWrite, d.id)
	result, err := r.create(d, rec, optionsOf(d.draft))
	if err != nil {
		return err
	}
	failpoint.Hit("P12")
	if result.Err != nil {
		return result.Err
	}
	d.zohoID = result.ID
	return nil
}

// written records that d stands in Zoho, together with the intent of what follows, or with the end of the call.
func (r *run) written(d *delivery) (end, bool) {
	d.cause = nil
	d.to(Done)
	s := step{status: Delivering, remember: d.slot == routing.SlotLead && d.revision == 0, well: true}
	next := r.next()
	switch {
	case next != nil && next.state == Planned && r.affords(r.worth(next)):
		next.to(Sending)
	case next == nil && !r.hasNews():
		s.status, s.done = Delivered, true
	}
	e, err := r.save(s)
	if err != nil {
		return end{job: r.job, again: -1, err: err}, true
	}
	failpoint.Hit("P16")
	return e, s.done
}

// ids are the Zoho ids of the records that this call has made, by slot.
func (r *run) ids() map[string]string {
	ids := map[string]string{}
	for _, d := range r.deliveries {
		if d.state == Done && d.revision == 0 {
			ids[d.slot] = d.zohoID
		}
	}
	return ids
}

// refFor is the reference that d's record carries: an update leaves that of the delivery which made the record.
func (r *run) refFor(d *delivery) string {
	if d.draft.Action == mapping.Create {
		return d.ref
	}
	if first := r.find(d.slot, 0); first != nil && first.draft.Action == mapping.Create {
		return first.ref
	}
	return ""
}

// asking names the purpose of the exchanges that follow.
func (r *run) asking(purpose string, about ...uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.purpose, r.about = purpose, about
}

func (r *run) observe(e zoho.Exchange) {
	r.note(e, 1, e.Err != nil || e.Status == 207 || e.Status >= 400)
}

// note keeps an exchange that served so many calls until the next step is saved.
func (r *run) note(e zoho.Exchange, calls int, refused bool) {
	r.l.budget.heard(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, attempt{
		id: uuid.Must(uuid.NewV7()), purpose: r.purpose, deliveries: r.about, exchange: e, calls: calls, refused: refused,
	})
}

// waitFor puts the call off without blaming it.
func (r *run) waitFor(d time.Duration) end {
	e, err := r.save(step{status: r.job.status, wait: &d})
	if err != nil {
		return end{job: r.job, again: -1, err: err}
	}
	return e
}

// setAside leaves the call to a person; the caller's later calls go on.
func (r *run) setAside(c *Cause) end {
	e, err := r.save(step{status: NeedsAttention, cause: c})
	if err != nil {
		return end{job: r.job, again: -1, err: err}
	}
	return e
}

// displayName is the caller's name as the log shows it.
func (r *run) displayName() string {
	if name := nameOf(r.job.call); name != "" {
		return name
	}
	if p := r.decided.facts.Match.Person(); p != nil {
		return p.Name
	}
	return ""
}

func nameOf(c call.Call) string {
	if name := strings.TrimSpace(c.FirstName + " " + c.LastName); name != "" {
		return name
	}
	return c.CallerName
}

// setBack makes a call that panicked wait, and aside when it does so again and again.
func (w *Worker) setBack(l *lane, j *job) end {
	e := end{job: j, again: time.Second}
	e.err = w.record(l, "", &write{left: -1, do: func(ctx context.Context, tx pgx.Tx) error {
		cause, err := writeCause(&Cause{Code: CauseOurs, Sentence: "Hookline cannot work on this call. It is kept; please report it with the call's address."})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE calls
			   SET tries = tries + 1, next_at = now() + interval '1 second', changed_at = clock_timestamp(),
			       status = CASE WHEN tries + 1 >= @most THEN 'needs_attention' ELSE status END,
			       cause = CASE WHEN tries + 1 >= @most THEN @cause::jsonb END
			 WHERE tenant_id = @tenant AND id = @call`,
			pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "call": j.id.UUID(), "most": maxPanics, "cause": cause})
		return err
	}})
	w.calls.Ring(l.tenant)
	return e
}
