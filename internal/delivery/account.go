package delivery

import (
	"strings"

	"hookline/internal/zoho"
)

// alreadyThere says of a delivery that nothing had to be made.
const alreadyThere = "Zoho has one of this name already: it is taken."

// existing looks for a record that is made only where Zoho has none, such as the Account of a company. It takes the
// one that was modified last where there are several. Until done, nobody else in the lane looks for the same, so that
// two callers of one company do not make it twice.
func (r *run) existing(d *delivery, rec zoho.Record) (found bool, done func(), err error) {
	field, value := d.draft.Find, rec.Text(d.draft.Find)
	claim := d.draft.Module + " " + fold(value)
	if _, err := r.l.alone(claim); err != nil {
		return false, nil, err
	}
	done = func() { r.l.leave(claim) }
	defer func() {
		if err != nil || found {
			done()
		}
	}()
	condition, ok := byName(field, value)
	if !ok {
		return false, done, nil // a name that cannot be asked for
	}
	r.asking(purposeLookUp, d.id)
	hits, err := r.api.Find(r.l.ctx, zoho.Query{Select: []string{"id", field}, From: d.draft.Module, Where: condition, Order: modifiedTime})
	if err != nil {
		return false, nil, err
	}
	for _, hit := range hits {
		if fold(hit.Text(field)) == fold(value) {
			d.zohoID, d.draft.Left = hit.ID(), alreadyThere
			return true, done, nil
		}
	}
	return false, done, nil
}

func fold(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// byName asks for a name, whatever its case. COQL does not say how to escape a quote, so a name with one is asked for
// by its longest part without; whoever asks compares what comes back. It reports false when no part can be asked for.
func byName(field, name string) (zoho.Cond, bool) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(`'"\%`, r) || r < ' ' || r == 0x7f || r == '\uFFFD' })
	longest := ""
	for _, p := range parts {
		if len(p) > len(longest) {
			longest = p
		}
	}
	if longest = strings.TrimSpace(longest); len(longest) < 3 {
		return zoho.Equal(field, name), longest == name && name != ""
	}
	return zoho.Holds(field, longest), true
}

// ownerByRule is the user to whom the rule gives what this slot creates, empty for none.
func (r *run) ownerByRule(slot string) string {
	for _, a := range r.decided.decision.Actions {
		if a.Slot == slot {
			return a.Owner
		}
	}
	return ""
}
