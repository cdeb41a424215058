package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/zoho"
)

// settle finds out what became of a create whose answer was lost: by the reference in a unique field where there is
// one, else among the records that could be it. The record is looked for twice, a gap apart, before anything is sent
// again; what cannot be told apart goes to a person. It reports sendAgain when Zoho does not have the record.
//
// Zoho's search is never asked: its index lags.
func (r *run) settle(d *delivery) (sendAgain bool, e end, ended bool) {
	if d.looked >= 0 && d.looked < r.w.Gap {
		return false, r.waitFor(r.w.Gap - d.looked), true
	}
	seen, err := r.lookFor(d)
	switch {
	case err != nil:
		e, ended = r.verdict(err, nil)
		return false, e, ended
	case len(seen.ours) == 1:
		d.zohoID = seen.ours[0].ID
		e, ended = r.written(d)
		return false, e, ended
	case len(seen.ours) > 1 || len(seen.others) > 0:
		return false, r.unsettled(d, append(seen.ours, seen.others...)), true
	}
	d.looks++
	d.looked = 0
	if d.looks < 2 {
		d.to(Unknown)
		return false, r.waitFor(r.w.Gap), true
	}
	d.looks = 0
	if seen.more {
		return false, r.unsettled(d, nil), true
	}
	if d.lost++; d.lost == maxLost {
		d.lost = 0 // a replay tries as often again
		d.to(Unknown)
		return false, r.setAside(&Cause{Code: CauseAgain, Module: d.draft.Module, Slot: d.slot, Sentence: fmt.Sprintf(
			"Zoho was asked %d times to write %s and answered each time with a fault of its own; the record is not there. Look at the answers below, then replay.",
			maxLost, recordOf(d.draft.Module))}), true
	}
	d.to(Sending)
	if _, err := r.save(step{status: Delivering}); err != nil {
		return false, end{job: r.job, again: -1, err: err}, true
	}
	return true, end{}, false
}

// maxLost is how often a record is sent whose answer gets lost, before a person is asked.
const maxLost = 3

// unsettled leaves the choice to a person.
func (r *run) unsettled(d *delivery, found []Candidate) end {
	d.cause = &Cause{
		Code: CauseUnsettled, Module: d.draft.Module, Slot: d.slot, Candidates: found,
		Sentence: fmt.Sprintf("Zoho's answer to %s was lost, and what is there now cannot be told apart. Choose the right record, or say that none is.", recordOf(d.draft.Module)),
	}
	if len(found) == 0 {
		d.cause.Sentence = fmt.Sprintf("Zoho's answer to %s was lost, and so much was made there since that it cannot be found among it. Look for it in Zoho: if it is there, delete it; then say here that Zoho does not have it, and it is sent again.",
			recordOf(d.draft.Module))
	}
	d.to(Unknown)
	return r.setAside(d.cause)
}

// clockSlack is how far Zoho's clock and the database's may be apart.
const clockSlack = 5 * time.Minute

// sighting is what a look for a lost record has found. Ours carry its reference, or are the only thing that fits where no
// reference could be written; others fit and carry none.
type sighting struct {
	ours, others []Candidate
	more         bool // there is more that could be it than was looked at: not to be found does not mean not to be there
}

// A look takes as many records as one answer of Zoho's query holds, and reads so many of them whole.
const (
	mostAlike = 200
	mostRead  = 50
)

// lookFor asks Zoho for the record that d's lost request may have made.
func (r *run) lookFor(d *delivery) (sighting, error) {
	var s sighting
	if _, err := r.follow(d); err != nil { // what hung on a converted Lead hangs on its Contact
		return s, err
	}
	r.asking(purposeReadBack, d.id)
	marker := d.draft.Marker
	if marker.Field != "" {
		found, err := r.api.Find(r.l.ctx, zoho.Query{Select: []string{"id", "Created_Time"}, From: d.draft.Module, Where: zoho.Equal(marker.Field, d.ref)})
		s.ours = candidates(found, "")
		return s, err
	}
	rec, err := d.draft.Record(r.ids(), d.ref)
	if err != nil {
		return s, &zoho.Error{Class: zoho.OurBug, Message: err.Error()}
	}
	if d.draft.Module == "Notes" {
		return r.lookForNote(d, rec)
	}
	found, err := r.api.Find(r.l.ctx, lookalikes(d, rec))
	if err != nil {
		return s, err
	}
	s.more = len(found) >= mostAlike
	if found, err = r.unclaimed(d, found); err != nil {
		return s, err
	}
	name := names[d.draft.Module]
	alike := func(hit zoho.Record) bool { return name == "" || hit.Text(name) == rec.Text(name) }
	if marker.Append == "" {
		s.ours = candidates(slices.DeleteFunc(found, func(hit zoho.Record) bool { return !alike(hit) }), name)
		if s.more { // one of them, but which
			s.ours, s.others = nil, s.ours
		}
		return s, nil
	}
	slices.SortStableFunc(found, func(a, b zoho.Record) int { // of its name first: it may have another by now
		switch {
		case alike(a) == alike(b):
			return 0
		case alike(a):
			return -1
		}
		return 1
	})
	for i, hit := range found {
		one := candidates([]zoho.Record{hit}, name)
		if i >= mostRead {
			s.more = true
			if alike(hit) {
				s.others = append(s.others, one...)
			}
			continue
		}
		r.asking(purposeReadBack, d.id)
		whole, there, err := r.api.Get(r.l.ctx, d.draft.Module, hit.ID(), []string{marker.Append})
		if err != nil {
			return s, err
		}
		switch {
		case !there:
		case marker.RefIn(whole) == d.ref:
			s.ours = append(s.ours, one...) // whatever its name is by now
		case marker.RefIn(whole) == "" && alike(hit):
			s.others = append(s.others, one...)
		}
	}
	if len(s.ours) == 1 || d.draft.Find != "" { // one of the same name is taken anyway
		s.others = nil
	}
	return s, nil
}

// names are the fields that name a record to a person.
var names = map[string]string{"Leads": "Last_Name", "Calls": "Subject", "Deals": "Deal_Name", "Tasks": "Subject", "Contacts": "Last_Name", "Accounts": "Account_Name", "Notes": "Note_Title"}

// lookalikes asks for records that could be the one: a Call by whom it is about and its start, a Lead by its number,
// a Deal by its Contact, what has none of these by its name; each no older than the intent, and the newest first.
func lookalikes(d *delivery, rec zoho.Record) zoho.Query {
	q := zoho.Query{Select: []string{"id", "Created_Time"}, From: d.draft.Module, Order: "Created_Time", Limit: mostAlike}
	if name := names[d.draft.Module]; name != "" {
		q.Select = append(q.Select, name)
	}
	var conds []zoho.Cond
	same := func(fields ...string) {
		for _, f := range fields {
			if id, _ := rec.Lookup(f); id != "" {
				conds = append(conds, zoho.Equal(f, id))
			}
		}
	}
	switch d.draft.Module {
	case "Calls":
		same("Who_Id", "What_Id")
		if began := rec.Text("Call_Start_Time"); began != "" {
			conds = append(conds, zoho.Equal("Call_Start_Time", began))
		}
	case "Leads":
		for _, f := range []string{"Phone", "Mobile"} {
			if number := rec.Text(f); number != "" {
				conds = append(conds, zoho.Equal(f, number))
				break
			}
		}
	case "Deals":
		same("Contact_Name")
	case "Tasks":
		same("Who_Id", "What_Id")
	}
	if name := names[d.draft.Module]; len(conds) == 0 && name != "" {
		if c, ok := byName(name, rec.Text(name)); ok {
			conds = append(conds, c)
		}
	}
	conds = append(conds, zoho.AtLeast("Created_Time", d.intent.Add(-clockSlack)))
	q.Where = zoho.And(conds...)
	return q
}

// unclaimed drops records that other deliveries of ours have made.
func (r *run) unclaimed(d *delivery, found []zoho.Record) ([]zoho.Record, error) {
	var ids []string
	for _, hit := range found {
		ids = append(ids, hit.ID())
	}
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(r.l.ctx, 10*time.Second)
	defer cancel()
	claimed := map[string]bool{}
	err := r.w.DB.InTenant(ctx, r.l.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT zoho_id FROM deliveries
			 WHERE tenant_id = @tenant AND zoho_id = ANY(@ids) AND id <> @delivery AND state = 'done'`,
			pgx.StrictNamedArgs{"tenant": r.l.tenant.UUID(), "ids": ids, "delivery": d.id})
		if err != nil {
			return err
		}
		known, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, id := range known {
			claimed[id] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading which records are other deliveries': %w", err)
	}
	return slices.DeleteFunc(found, func(hit zoho.Record) bool { return claimed[hit.ID()] }), nil
}

func candidates(records []zoho.Record, name string) []Candidate {
	var list []Candidate
	for _, rec := range records {
		list = append(list, Candidate{ID: rec.ID(), Name: rec.Text(name), At: rec.Text("Created_Time")})
	}
	return list
}

// hasNews reports whether the call has learnt something since it was decided that Zoho was not told.
func (r *run) hasNews() bool {
	return !r.toldNews && len(r.job.events) > r.decided.facts.Revision && len(r.job.events) > r.job.done
}

// late plans what news after delivery changes in the records that this call has made. It never moves a record and
// never decides again. It reports whether there is something to write.
func (r *run) late() (bool, error) {
	if !r.hasNews() {
		return false, nil
	}
	r.toldNews = true
	written := r.writtenSoFar()
	drafts, _ := mapping.Late(r.config.Mappings, r.decided.decision, r.decided.facts, r.set.metadata, written)
	if len(drafts) == 0 {
		return false, nil
	}
	// What a person has entered since stays: the records are read before they are changed.
	stands := written[:0]
	for _, record := range written {
		for _, draft := range drafts {
			if draft.Slot != record.Slot {
				continue
			}
			r.asking(purposeLookUp)
			rec, found, err := r.api.Get(r.l.ctx, draft.Module, record.ID, nil)
			if err != nil {
				return false, err
			}
			if found && !identity.IsConverted(rec) {
				record.Stands = rec
				stands = append(stands, record)
			}
		}
	}
	drafts, _ = mapping.Late(r.config.Mappings, r.decided.decision, r.decided.facts, r.set.metadata, stands)
	for i, draft := range drafts {
		d := r.find(draft.Slot, len(r.job.events))
		if d == nil {
			d = r.add(draft.Slot, len(r.job.events))
		}
		if d.state == Done {
			continue
		}
		d.draft, d.position, d.cause = draft, i, nil
		d.to(Planned)
	}
	return r.next() != nil, nil
}

// writtenSoFar is what this call's records were sent, all updates included.
func (r *run) writtenSoFar() []mapping.Written {
	var written []mapping.Written
	for _, d := range r.deliveries {
		if d.state != Done || d.revision != 0 || d.draft.Action != mapping.Create && d.slot != mapping.SlotContact {
			continue
		}
		sent := map[string]any{}
		for _, update := range r.deliveries { // in order of revision
			if update.slot == d.slot && update.state == Done {
				for k, v := range update.draft.Fields {
					if line, gains := update.draft.Lines[k]; gains {
						v = line.Text
					}
					sent[k] = v
				}
			}
		}
		written = append(written, mapping.Written{Slot: d.slot, ID: d.zohoID, Sent: sent})
	}
	return written
}
