package delivery

import (
	"hookline/internal/mapping"
)

// Foreseen is what carrying out a decision comes to, as far as that can be told without asking Zoho.
type Foreseen struct {
	// Credits is how many of Zoho's API credits the writes cost: one for each record that is made, one for a change of a
	// record whose state is known, one more where the record is read or looked for first. It is an estimate: look-ups of
	// the caller, news that comes late, repeats after a fault and the Blueprint that a stage moves through come on top,
	// records that are made together with those of other calls cost less, and what stands in Zoho already is not written.
	// A record that the call stops at, and what comes after it, costs nothing.
	Credits int
	Refused *mapping.Problem // what sets the call aside before anything more of it is written; nil: nothing
}

// Foresee tells what the drafts of a decision come to, by the rules that the lane keeps to.
func Foresee(drafts []mapping.Draft, problems []mapping.Problem) Foreseen {
	var f Foreseen
	for _, d := range drafts {
		if p, unfit := problemOf(d, problems); unfit && refusesAtOnce(d) {
			f.Refused = &p
			return f
		}
		f.Credits += creditsOf(d)
	}
	return f
}

// creditsOf is how many requests write a draft when nothing goes wrong.
func creditsOf(d mapping.Draft) int {
	switch {
	case d.Transition != "":
		return 3 // looked at first, and its Blueprint
	case d.Find != "", d.Action == mapping.Update && d.Since == "":
		return 2 // looked at first
	}
	return 1
}

// problemOf is the first problem that keeps a new record from being made of the draft.
func problemOf(d mapping.Draft, problems []mapping.Problem) (mapping.Problem, bool) {
	for _, p := range problems {
		if p.Blocking && p.Slot == d.Slot {
			return p, true
		}
	}
	return mapping.Problem{}, false
}

// refusesAtOnce reports whether a draft that a problem keeps from being made is lost: one that Zoho has is taken,
// whatever a new one would lack.
func refusesAtOnce(d mapping.Draft) bool { return d.Find == "" }
