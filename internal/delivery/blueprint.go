package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hookline/internal/identity"
	"hookline/internal/zoho"
)

// takeStep takes a step of a record's Blueprint, by the name that people see in Zoho. The record is read first, each
// time. Where Zoho does not offer the step then, the record is left: nobody is to blame, and the call goes on.
//
// Which value the step leads to is kept before it is asked for. A draft that comes with one has had a try whose answer
// was lost, and what stands in the record says whether it landed; the step is taken again only where nothing has
// changed since.
func (r *run) takeStep(d *delivery) error {
	since := d.draft.Since // when the record was last changed before the lost try; empty where there was none
	for range rounds {
		rec, err := r.read(d)
		if err != nil {
			return err
		}
		if since != "" && r.settled(d, rec, since) {
			return nil
		}
		if identity.IsConverted(rec) {
			d.draft.Left = "The Lead was converted meanwhile, and a converted Lead takes no Blueprint step."
			return nil
		}
		err = r.tryStep(d, rec)
		if !isStaleTransition(err) && !isCode(err, notInProcess) && !isCode(err, "CONVERTED_RECORD") {
			return err
		}
		since = "" // the record has moved since it was read, and nothing has landed
	}
	return errRestless
}

// notInProcess is Zoho's code of a record that is in no Blueprint.
const notInProcess = "RECORD_NOT_IN_PROCESS"

// stepTried reports whether d is a step that was asked for, and it is not known yet what came of that.
func (d *delivery) stepTried() bool {
	return d.draft.Transition != "" && d.draft.Since != "" && len(d.draft.Was) > 0
}

// settled reports whether a try whose answer was lost needs no other one: it has landed, or that cannot be told and the
// record is left.
func (r *run) settled(d *delivery, rec zoho.Record, since string) bool {
	for field, to := range d.draft.Fields {
		from, kept := d.draft.Was[field]
		now := rec.Text(field)
		switch {
		case !kept: // a value that the step asked for
		case now == to && from != to:
			return true
		case from == to:
			d.draft.Left = fmt.Sprintf("Zoho's answer was lost, and the step leads back to %s, so it does not show whether it was taken. It is not taken again.", to)
			return true
		case rec.Text(modifiedTime) != since:
			d.draft.Left = fmt.Sprintf("Zoho's answer was lost, and the %s was changed since: it is left in %s. Take the step by hand if it is still wanted.", noun(d.draft.Module), now)
			return true
		}
	}
	return false
}

// tryStep takes the step if the record's Blueprint offers it now.
func (r *run) tryStep(d *delivery, rec zoho.Record) error {
	r.asking(purposeLookUp, d.id)
	b, err := r.api.Blueprint(r.l.ctx, d.draft.Module, rec.ID())
	none := isCode(err, notInProcess)
	if err != nil && !none {
		return err
	}
	d.draft.Fields, d.draft.Keys, d.draft.Was = map[string]any{}, nil, nil
	if none {
		d.draft.Left = fmt.Sprintf("The %s was in no Blueprint then, so the step could not be taken.", noun(d.draft.Module))
		return nil
	}
	name := d.draft.Transition
	at := slices.IndexFunc(b.Transitions, func(t zoho.Transition) bool { return t.Open && strings.EqualFold(strings.TrimSpace(t.Name), name) })
	if at < 0 {
		d.draft.Left = fmt.Sprintf("The %s was in %s then, and its Blueprint did not offer the step “%s” there: it offered %s.",
			noun(d.draft.Module), b.Value, name, offersOf(b, func(t zoho.Transition) string { return "“" + t.Name + "”" }))
		return nil
	}
	t := b.Transitions[at]
	d.draft.Fields[b.Field], d.draft.Was = t.To, map[string]any{b.Field: b.Value}
	d.draft.Keys, d.changed = []string{b.Field}, true
	if _, err := r.save(step{status: Delivering}); err != nil {
		return err
	}
	err = r.pass(d, rec, t, fmt.Sprintf("its step “%s” is taken", t.Name))
	if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || e.Class != zoho.Unknown) {
		d.draft.Since = "" // nothing has landed
	}
	return err
}
