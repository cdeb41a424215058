package delivery

import (
	"errors"

	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// rounds is how often a record is read again because it changed between reading and writing.
const rounds = 4

// errRestless makes the call, and no other, wait until the record is less busy.
var errRestless = &zoho.Error{Class: zoho.Transient, Message: "the record changes faster than it can be read and written"}

// update changes a record that exists: only if it is still as it was read. Where it is not, or an earlier try may have
// landed, it is read first; then what stands there already is not written again, and what somebody changed since
// stays.
func (r *run) update(d *delivery, ids map[string]string) error {
	target := d.draft.RecordID
	if target == "" {
		target = ids[d.slot]
	}
	for range rounds {
		if d.draft.Since == "" {
			r.asking(purposeReadBack, d.id)
			now, found, err := r.api.Get(r.l.ctx, d.draft.Module, target, nil)
			switch {
			case err != nil:
				return err
			case !found:
				return &zoho.Error{Class: zoho.Gone, Message: "the record is no longer there"}
			case identity.IsConverted(now) && d.slot != routing.SlotLead:
				return &zoho.Error{Class: zoho.RecordState, Code: "CONVERTED_RECORD", Message: "the Lead was converted"}
			}
			if d.draft = mapping.Revise(d.draft, now); len(d.draft.Fields) == 0 {
				d.zohoID = target
				return nil
			}
		}
		rec, err := d.draft.Record(ids, r.refFor(d))
		if err != nil {
			return &zoho.Error{Class: zoho.OurBug, Message: err.Error()}
		}
		switch err := r.put(d, target, rec); {
		case err == nil:
			d.zohoID = target
			return nil
		case isCode(err, "CONVERTED_RECORD") && d.slot == routing.SlotLead: // late news of a Lead that is none any more
			d.zohoID, d.draft.Left = target, "The Lead was converted meanwhile: nothing is written into it any more."
			return nil
		case !isAlreadyModified(err):
			return err
		}
		d.draft.Since = ""
	}
	return errRestless
}

// put sends the change of one record that stood at the draft's Since.
func (r *run) put(d *delivery, target string, rec zoho.Record) error {
	if err := r.l.mayWrite(); err != nil {
		return err
	}
	r.asking(purposeWrite, d.id)
	options := optionsOf(d.draft)
	options.Since = d.draft.Since
	result, err := r.api.Update(r.l.ctx, d.draft.Module, target, rec, options)
	if err != nil {
		return err
	}
	if result.Err != nil {
		return result.Err
	}
	return nil
}

// optionsOf says what else Zoho shall do with a write: everything that the organisation has set up, unless the rule
// wants it quiet.
func optionsOf(draft mapping.Draft) (o zoho.WriteOptions) {
	if draft.Quiet {
		o.Trigger = []string{}
	}
	return o
}

func isAlreadyModified(err error) bool { return isCode(err, "ALREADY_MODIFIED") }

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*zoho.Error](err)
	return ok && e.Code == code
}
