package delivery

import (
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
)

// lookAgain is for a record that the call hangs on and that is not there any more, or not what it was. While nothing
// was made of the decision but the Lead, the caller is looked up and the call decided once more; later the decision
// stands, and what is left to do goes to the Contact that the Lead became. It reports false when neither helps; the
// end's job is nil when the story goes on.
func (r *run) lookAgain(d *delivery) (end, bool) {
	goOn := func() (end, bool, bool) {
		moved, err := r.follow(d)
		if err != nil {
			e, _ := r.verdict(err, nil)
			return e, true, true
		}
		if moved {
			d.to(Planned)
		}
		return end{}, moved, moved
	}
	if r.carriedOut() {
		if e, again, _ := goOn(); again {
			return e, true
		}
	}
	if e, again := r.redo(); again {
		return e, true
	}
	e, again, _ := goOn()
	return e, again
}

// carriedOut reports whether something of the decision stands in Zoho beside the Lead, and by this call.
func (r *run) carriedOut() bool {
	for _, d := range r.deliveries {
		if d.state == Done && d.revision == 0 && d.slot != routing.SlotLead && !d.taken() {
			return true
		}
	}
	return false
}

// follow moves what is left to do from a Lead to the Contact that it became. It reports false when d hangs on no Lead,
// or on one that was not converted. The Lead is read once.
func (r *run) follow(d *delivery) (moved bool, err error) {
	lead := r.leadOf(d.draft)
	if lead == "" {
		return false, nil
	}
	if r.asked != lead {
		r.asking(purposeLookUp, d.id)
		rec, found, err := r.api.Get(r.l.ctx, "Leads", lead, nil)
		if err != nil {
			return false, err
		}
		r.asked, r.became = lead, ""
		if found {
			r.became = identity.ConvertedTo(rec)
		}
	}
	if r.became == "" {
		return false, nil
	}
	for _, other := range r.deliveries {
		if other.state != Done && other.state != Skipped && r.leadOf(other.draft) == lead {
			other.draft = mapping.Follow(other.draft, r.became)
			other.changed = true
		}
	}
	return true, nil
}

// leadOf is the Lead that a draft hangs on, empty for none.
func (r *run) leadOf(draft mapping.Draft) string {
	if draft.Slot == routing.SlotLead || draft.Transition != "" {
		return "" // the Lead's own
	}
	made := r.ids()[routing.SlotLead]
	switch to := draft.Hangs(); {
	case to.Module != "Leads":
		return ""
	case to.ID != "":
		return to.ID
	case to.Slot == routing.SlotLead:
		return made
	}
	return ""
}
