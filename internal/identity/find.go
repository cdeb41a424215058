package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hookline/internal/call"
	"hookline/internal/zoho"
)

// Asker is how Zoho is asked: by a zoho.API, or by something that asks for several callers at once.
type Asker interface {
	// Look is zoho.API.Look. Records that others asked for may be among the answer's.
	Look(ctx context.Context, l zoho.Look) (records []zoho.Record, whole bool, err error)
	SearchPhone(ctx context.Context, module, number string, fields []string, converted bool) ([]zoho.Record, error)
	Get(ctx context.Context, module, id string, fields []string) (zoho.Record, bool, error)
}

// Find looks a number up: what is remembered of it first, then Contacts, then Leads, then the open Deals of the
// Contact. Remembered is nil when nothing is. It costs at most four credits, for a Contact one more, and two where the
// memory holds; less where it asks for several callers at once.
//
// An error means that Zoho could not be asked: nothing is known of the caller then, and nothing may be decided.
func Find(ctx context.Context, asker Asker, org Org, remembered *Remembered, number call.Phone, now time.Time) (Match, error) {
	f := &finder{asker: asker, org: org, number: number, now: now}
	if remembered != nil {
		m, ok, err := f.recall(ctx, *remembered)
		if err != nil || ok {
			return m, err
		}
	}
	contacts, err := f.look(ctx, contacts)
	if err != nil {
		return Match{}, err
	}
	if len(contacts) > 0 {
		return f.asContact(ctx, contacts)
	}
	leads, err := f.look(ctx, leads)
	if err != nil {
		return Match{}, err
	}
	return f.asLead(ctx, leads)
}

// finder is one search for one number.
type finder struct {
	asker  Asker
	org    Org
	number call.Phone
	now    time.Time
	notes  []string
	looked bool
}

func (f *finder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// recall verifies what the memory holds, by id and number. It reports false when that no longer stands.
func (f *finder) recall(ctx context.Context, r Remembered) (Match, bool, error) {
	m := contacts
	if r.Module == leads.name {
		m = leads
	}
	rec, found, err := f.asker.Get(ctx, m.name, r.ID, nil)
	if err != nil {
		return Match{}, false, fmt.Errorf("reading the remembered record: %w", err)
	}
	if !found {
		f.note("The record remembered for this number is no longer in Zoho, so the number was looked for again.")
		return Match{}, false, nil
	}
	p := f.person(m, rec)
	if !f.verified(m, rec) {
		f.note("%s no longer has this number, so it was looked for again.", p.label())
		return Match{}, false, nil
	}
	remember := func(match Match, err error) (Match, bool, error) {
		match.FromMemory = true
		return match, true, err
	}
	switch {
	case m == contacts:
		f.note("%s was remembered for this number and verified by id.", p.label())
		return remember(f.asContact(ctx, []Person{p}))
	case p.Converted:
		return remember(f.asLead(ctx, []Person{p}))
	}
	limit := f.org.MemoryFor
	if limit == 0 {
		limit = time.Hour
	}
	if r.Age > limit {
		found, err := f.look(ctx, contacts)
		if err != nil {
			return Match{}, false, err
		}
		if len(found) > 0 {
			return remember(f.asContact(ctx, found))
		}
	}
	f.note("%s was remembered for this number and verified by id.", p.label())
	return remember(f.asLead(ctx, []Person{p}))
}

// look asks one module: by COQL over the usual spellings, which reads the database, and where that finds nobody by
// the search index with the national number, which also knows unusual spellings. Every hit is verified.
func (f *finder) look(ctx context.Context, m module) ([]Person, error) {
	f.looked = true
	records, _, err := f.asker.Look(ctx, f.spelled(m))
	switch {
	case unreadable(err): // a field that this organisation cannot be asked by: the index is left
	case err != nil:
		return nil, fmt.Errorf("looking for the number in %s: %w", m.name, err)
	}
	if hits := f.hits(m, records); len(hits) > 0 {
		return hits, nil
	}
	records, err = f.asker.SearchPhone(ctx, m.name, f.number.National(), nil, m == leads)
	if err != nil {
		return nil, fmt.Errorf("searching %s for the number: %w", m.name, err)
	}
	return f.hits(m, records), nil
}

// unreadable reports whether Zoho refused the query itself.
func unreadable(err error) bool {
	e, ok := errors.AsType[*zoho.Error](err)
	return ok && (e.Code == "INVALID_QUERY" || e.Code == "SYNTAX_ERROR")
}

func (f *finder) asContact(ctx context.Context, hits []Person) (Match, error) {
	p := f.choose(hits)
	m := Match{Kind: Contact, Contact: &p}
	if len(hits) > 1 {
		m.Candidates = hits
	}
	deals, err := f.deals(ctx, p.ID)
	if err != nil {
		return Match{}, err
	}
	m.OpenDeals, m.RecentDeal = sortDeals(deals, f.now)
	if n := len(m.OpenDeals); n > 1 {
		f.note("%d Deals of %s are open; “%s” was modified last.", n, p.label(), m.OpenDeals[0].Name)
	}
	m.Notes, m.Looked = f.notes, f.looked
	return m, nil
}

// asLead settles on a Lead, or on the Contact that a converted one became. A converted Lead is only followed when no
// open one has the number.
func (f *finder) asLead(ctx context.Context, hits []Person) (Match, error) {
	var open, converted []Person
	for _, p := range hits {
		if p.Converted {
			converted = append(converted, p)
		} else {
			open = append(open, p)
		}
	}
	if len(converted) > 0 {
		lead := f.choose(converted)
		contact, found, err := f.became(ctx, lead)
		if err != nil {
			return Match{}, err
		}
		if found {
			f.note("The Lead %s was converted: its Contact %s is taken.", named(lead.Name), named(contact.Name))
			return f.asContact(ctx, []Person{contact})
		}
		f.note("The Lead %s was converted, but Zoho does not say to which Contact.", named(lead.Name))
	}
	if len(open) == 0 {
		return Match{Kind: Nobody, Notes: f.notes, Looked: f.looked}, nil
	}
	p := f.choose(open)
	m := Match{Kind: Lead, Lead: &p}
	if len(open) > 1 {
		m.Candidates = open
	}
	m.Notes, m.Looked = f.notes, f.looked
	return m, nil
}

// became reads the Contact that a converted Lead became.
func (f *finder) became(ctx context.Context, lead Person) (Person, bool, error) {
	id := lead.ConvertedContactID
	if id == "" {
		rec, found, err := f.asker.Get(ctx, leads.name, lead.ID, nil)
		if err != nil {
			return Person{}, false, fmt.Errorf("reading the converted Lead: %w", err)
		}
		if found {
			id = f.person(leads, rec).ConvertedContactID
		}
	}
	if id == "" {
		return Person{}, false, nil
	}
	rec, found, err := f.asker.Get(ctx, contacts.name, id, nil)
	if err != nil {
		return Person{}, false, fmt.Errorf("reading the Contact that the Lead became: %w", err)
	}
	return f.person(contacts, rec), found, nil
}

// deals reads the Contact's Deals, newest modified first.
func (f *finder) deals(ctx context.Context, contactID string) ([]Deal, error) {
	records, _, err := f.asker.Look(ctx, zoho.Look{
		Select: f.org.columns("Deals", []string{"id", "Deal_Name", "Stage", "Created_Time", "Modified_Time", "Contact_Name"}, []string{"Pipeline", "Amount", "Account_Name"}),
		From:   "Deals", Fields: []string{"Contact_Name.id"}, Values: []string{contactID}, Order: "Modified_Time",
	})
	if err != nil {
		return nil, fmt.Errorf("reading the Contact's Deals: %w", err)
	}
	var deals []Deal
	for _, rec := range records {
		if whose, _ := rec.Lookup("Contact_Name"); whose == contactID {
			deals = append(deals, f.deal(rec))
		}
	}
	return deals, nil
}
