package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// verdict says who waits for an error: nobody (the record exists), this call, or the lane; and whether a person has
// to act. d is the delivery that was being written, nil while Zoho was only asked. It reports true when the story
// ends, or rests, there.
func (r *run) verdict(err error, d *delivery) (end, bool) {
	e, ofZoho := errors.AsType[*zoho.Error](err)
	if r.l.ctx.Err() != nil {
		return r.cutOff(e, d), true
	}
	if h, ok := errors.AsType[*heldUp](err); ok {
		return r.rest(h.hold, d), true
	}
	if a, ok := errors.AsType[*aside](err); ok {
		d.cause = a.cause
		d.to(Refused)
		return r.setAside(d.cause), true
	}
	if !ofZoho {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			e = &zoho.Error{Class: zoho.Transient, Message: err.Error()}
		} else {
			return end{job: r.job, again: -1, err: err}, true
		}
	}
	switch {
	case e == errRestless:
		return r.comeBack(d, rests[HoldOutage], &Cause{Code: CauseAgain, Module: d.draft.Module, Slot: d.slot,
			Sentence: "The record changes in Zoho faster than it can be read and written, again and again. Look at what changes it there, then replay."}), true
	case e.Code == "RECORD_LOCKED" && d != nil:
		return r.comeBack(d, untilUnlocked, causeOfRefusal(e, d.draft.Module, d.slot, r.set.metadata[d.draft.Module])), true
	}
	switch e.Class {
	case zoho.Scope:
		if d == nil || essential[d.draft.Module] {
			return r.hold(e, d, false), true
		}
	case zoho.Limited, zoho.Token, zoho.Operator:
		return r.hold(e, d, false), true
	case zoho.Transient:
		return r.hold(e, d, true), true
	case zoho.Unknown:
		if d != nil && d.draft.Action == mapping.Create {
			d.looks, d.looked = 0, -1
			d.to(Unknown)
			return r.hold(e, nil, false), true
		}
		if d != nil {
			d.to(Unknown) // an update is made again once the record was read
		}
		return r.hold(e, nil, true), true
	case zoho.Duplicate:
		if d != nil {
			return r.duplicate(e, d)
		}
	case zoho.Gone, zoho.RecordState:
		if d != nil && e.Code != "RECORD_IN_BLUEPRINT" && e.Code != causeBlueprint {
			if e, again := r.lookAgain(d); again {
				return e, e.job != nil
			}
		}
	case zoho.Refused:
		if d != nil {
			if linked[e.Field] {
				if e, again := r.lookAgain(d); again {
					return e, e.job != nil
				}
			}
			r.forgetFields(d.draft.Module)
		}
	case zoho.OurBug:
		r.w.Log.Error("zoho refuses a request of ours", "tenant", r.l.tenant.String(), "call", r.job.id.String(), "err", err)
	}
	return r.refused(e, d), true
}

// essential are the modules without which no call is delivered: a consent that lacks the right to write one of them
// holds up the lane, where any other sets aside the calls that need it.
var essential = map[string]bool{"Leads": true, "Contacts": true, "Calls": true}

// aside is what only a person can mend, found out before anything was sent.
type aside struct{ cause *Cause }

func (a *aside) Error() string { return a.cause.Sentence }

// untilUnlocked is how long a call waits for a record that is locked in Zoho, time after time (from memory: locks are
// short as a rule). Then a person is asked.
var untilUnlocked = []time.Duration{time.Hour, time.Hour, time.Hour}

// comeBack makes this call alone wait for a record that is busy in Zoho, and asks a person when that does not help.
func (r *run) comeBack(d *delivery, waits []time.Duration, c *Cause) end {
	if r.job.tries >= len(waits) {
		d.cause = c
		d.to(Refused)
		return r.setAside(c)
	}
	d.to(Planned) // nothing was written
	waiting := &Cause{Code: c.Code, Module: c.Module, Slot: c.Slot, Sentence: "The record is locked or busy in Zoho. The call waits, and tries again by itself."}
	e, err := r.save(step{status: r.openStatus(), tried: true, wait: &waits[r.job.tries], cause: waiting})
	if err != nil {
		return end{job: r.job, again: -1, err: err}
	}
	return e
}

// linked are the lookups of records that a call hangs on: refused, they are gone or no longer what they were.
var linked = map[string]bool{"Who_Id": true, "What_Id": true, "Contact_Name": true, "Account_Name": true, "Parent_Id": true}

// cutOff leaves the call where it stands when the lane ends in the middle of a request: under its intent, a write
// may have landed.
func (r *run) cutOff(e *zoho.Error, d *delivery) end {
	cause := context.Cause(r.l.ctx)
	if d != nil && e != nil && e.Class == zoho.Unknown && d.draft.Action == mapping.Create {
		d.looks, d.looked = 0, -1
		d.to(Unknown)
		_, _ = r.save(step{status: Delivering}) // what is not recorded reads as a bare intent: the same to whoever comes next
	}
	return end{job: r.job, again: -1, err: cause}
}

// hold makes the lane wait. No call is blamed, except one that fails again and again while others go well.
func (r *run) hold(e *zoho.Error, d *delivery, mayBlame bool) end {
	h, err := r.w.holdLane(r.l, holdFor(e))
	if err != nil {
		return end{job: r.job, again: -1, err: err}
	}
	blamed := mayBlame && h.first && h.reason == HoldOutage
	if blamed && r.job.tries+1 >= maxTries {
		if d != nil {
			d.to(Planned)
		}
		out := r.setAside(&Cause{Code: CauseAgain,
			Sentence: "Zoho answers this call with a fault of its own, again and again, while other calls go through. Look at the answers below, then replay."})
		out.hold = h
		return out
	}
	if !blamed {
		return r.rest(h, d)
	}
	rest := rests[HoldOutage][min(r.job.tries, len(rests[HoldOutage])-1)]
	return r.leaveOpen(step{status: r.openStatus(), tried: true, wait: &rest}, h, d)
}

// rest leaves the call where it stands until the lane goes on.
func (r *run) rest(h *hold, d *delivery) end {
	return r.leaveOpen(step{status: r.openStatus()}, h, d)
}

func (r *run) leaveOpen(s step, h *hold, d *delivery) end {
	if d != nil && !d.stepTried() {
		d.to(Planned) // nothing was written, or writing it again does no harm
	}
	if d := r.next(); d != nil && d.state == Unknown {
		look := r.firstLook()
		s.wait = &look
	}
	out, err := r.save(s)
	if err != nil {
		return end{job: r.job, again: -1, err: err}
	}
	out.hold = h
	return out
}

// openStatus is received until a decision stands.
func (r *run) openStatus() string {
	if r.decided.number == 0 || r.job.status == Received {
		return r.job.status
	}
	return Delivering
}

// firstLook is how long after a lost answer the record is first looked for: Zoho may still be writing it.
func (r *run) firstLook() time.Duration {
	return min(r.w.Gap, 3*time.Second) + time.Duration(rand.Int64N(int64(100*time.Millisecond)))
}

// duplicate adopts the record that Zoho says exists, when it carries our reference.
func (r *run) duplicate(e *zoho.Error, d *delivery) (end, bool) {
	ours := d.draft.Marker.Field != "" && e.Field == d.draft.Marker.Field && e.DuplicateID != ""
	if d.draft.Find != "" && e.Field == d.draft.Find && e.DuplicateID != "" { // it was made since it was looked for
		d.draft.Left, ours = alreadyThere, true
	}
	if !ours && e.DuplicateID != "" {
		r.asking(purposeReadBack, d.id)
		rec, found, err := r.api.Get(r.l.ctx, d.draft.Module, e.DuplicateID, nil)
		if err != nil {
			if again, ok := errors.AsType[*zoho.Error](err); ok && again.Class != zoho.Duplicate {
				return r.verdict(err, d)
			}
			return end{job: r.job, again: -1, err: err}, true
		}
		ours = found && d.draft.Marker.RefIn(rec) == d.ref
	}
	if !ours {
		return r.refused(e, d), true
	}
	d.zohoID = e.DuplicateID
	return r.written(d)
}

// redo looks the caller up and decides once more, when a record that the call hangs on was deleted, merged or
// converted since it was found or made. It reports false when that was tried already, or when all that this call has
// made stands; the end's job is nil when the story goes on.
func (r *run) redo() (end, bool) {
	if r.redone {
		return end{}, false
	}
	r.redone = true
	var made []*delivery
	for _, d := range r.deliveries {
		switch {
		case d.state == Unknown && d.draft.Action == mapping.Create:
			return end{}, false
		case d.state == Done && d.revision == 0 && d.draft.Action == mapping.Create && !d.taken():
			made = append(made, d)
		}
	}
	gone := 0
	for _, d := range made {
		stands, err := r.stands(d)
		if err != nil {
			e, _ := r.verdict(err, nil)
			return e, true
		}
		if !stands {
			gone++
			d.to(Skipped)
		}
	}
	if len(made) > 0 && gone == 0 {
		return r.rehang()
	}
	r.planAgain()
	e, ended := r.decide()
	if !ended {
		return end{}, true
	}
	return e, true
}

// planAgain takes back what is not over.
func (r *run) planAgain() {
	for _, d := range r.deliveries {
		if d.state != Skipped && d.state != Done {
			d.to(Planned)
		}
	}
}

// lookAnew takes back what was found in Zoho and not made: whoever decides again looks for it again.
func (r *run) lookAnew() {
	for _, d := range r.deliveries {
		if d.taken() {
			d.zohoID = ""
			d.to(Planned)
		}
	}
}

// rehang leaves the decision, of which something stands, and hangs the rest on the Contact that the caller is by now:
// the one of then was merged or deleted. It reports false when the caller is no other; the end's job is nil when the
// story goes on.
func (r *run) rehang() (end, bool) {
	was := r.decided.facts.Match.Contact
	if was == nil {
		return end{}, false
	}
	match, err := r.identifyAlone()
	if err != nil {
		return r.verdict(err, nil)
	}
	if match.Contact == nil || match.Contact.ID == was.ID {
		return end{}, false
	}
	r.decided.number++
	r.decided.facts.Match.Contact = match.Contact
	for _, a := range r.decided.decision.Actions {
		for _, target := range []*routing.Target{a.Contact, a.About} {
			if target != nil && target.ID == was.ID {
				target.ID, target.Name = match.Contact.ID, match.Contact.Name
			}
		}
	}
	r.decided.decision.Trace.Notes = append(r.decided.decision.Trace.Notes,
		"The Contact who called is gone from Zoho. What was left to write hangs on the one who has the number now.")
	r.planAgain()
	drafts, problems := mapping.Render(r.config.Mappings, r.decided.decision, r.decided.facts, r.set.metadata)
	r.plan(drafts, problems)
	e, err := r.save(step{status: Delivering, decision: true})
	if err != nil {
		return e, true
	}
	return end{}, true
}

// stands asks Zoho whether a record that this call has made is still what it was.
func (r *run) stands(d *delivery) (bool, error) {
	r.asking(purposeLookUp, d.id)
	rec, found, err := r.api.Get(r.l.ctx, d.draft.Module, d.zohoID, nil)
	return found && !identity.IsConverted(rec), err
}

// refused sets the call aside over what Zoho does not take.
func (r *run) refused(e *zoho.Error, d *delivery) end {
	if d == nil {
		return r.setAside(causeOfRefusal(e, "", "", zoho.Metadata{}))
	}
	d.cause = causeOfRefusal(e, d.draft.Module, d.slot, r.set.metadata[d.draft.Module])
	if owner, _ := zoho.Record(d.draft.Fields).Lookup("Owner"); e.Field == "Owner" && owner != "" && owner == r.ownerByRule(d.slot) {
		d.cause.Link, d.cause.Allowed = "/rules", nil
		d.cause.Sentence = "Zoho does not take the owner whom the rule names. Choose another user in the rule, then replay."
	}
	if linked[e.Field] { // no row of the mapping fills it
		d.cause.Link, d.cause.Allowed = "", nil
		d.cause.Sentence = "A record that this call hangs on is no longer what it was in Zoho. Replay looks the caller up again."
	}
	d.to(Refused)
	return r.setAside(d.cause)
}

// forgetFields makes the next look at the module's fields ask Zoho: a refusal says that they have changed.
func (r *run) forgetFields(module string) {
	ctx, cancel := recording(r.l)
	defer cancel()
	if err := r.w.Connections.Forget(ctx, r.l.tenant, module); err != nil {
		r.w.Log.Warn("fields not forgotten", "tenant", r.l.tenant.String(), "err", err)
	}
}
