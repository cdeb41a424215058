package delivery

import (
	"fmt"
	"strings"

	"hookline/internal/zoho"
)

// alreadyThere says of a delivery that nothing had to be made.
const alreadyThere = "Zoho has one of this name already: it is taken."

// existing looks for a record that is made only where Zoho has none, such as the Account of a company. It takes the
// one that was modified last where there are several. The caller has the name to itself meanwhile.
//
// A query gives 200 records: where more hold the name as a part of theirs, the name itself is asked for, and when that
// finds nothing a person says whether it is there.
func (r *run) existing(d *delivery, value string) (found bool, err error) {
	field := d.draft.Find
	condition, ok := byName(field, value)
	if !ok {
		return false, nil // a name that cannot be asked for
	}
	hits, err := r.named(d, condition, value)
	if err != nil || d.zohoID != "" || len(hits) < mostAlike {
		return d.zohoID != "", err
	}
	if plain(value) {
		if _, err = r.named(d, zoho.Equal(field, value), value); err != nil || d.zohoID != "" {
			return d.zohoID != "", err
		}
	}
	return false, &aside{&Cause{Code: CauseCrowd, Module: d.draft.Module, Slot: d.slot, Sentence: fmt.Sprintf(
		"More than %d %s in Zoho have “%s” in their name, and none of those that Zoho shows has it as its name. Make sure that there is one of just this name, then replay: it is taken.",
		mostAlike-1, d.draft.Module, value)}}
}

// named asks for records and takes the first that has the name.
func (r *run) named(d *delivery, where zoho.Cond, value string) ([]zoho.Record, error) {
	field := d.draft.Find
	r.asking(purposeLookUp, d.id)
	hits, err := r.api.Find(r.l.ctx, zoho.Query{Select: []string{"id", field}, From: d.draft.Module, Where: where, Order: modifiedTime, Limit: mostAlike})
	for _, hit := range hits {
		if fold(hit.Text(field)) == fold(value) {
			d.zohoID, d.draft.Left = hit.ID(), alreadyThere
			break
		}
	}
	return hits, err
}

// taken reports whether d's record was there before: nothing was made, so nothing of the call stands by it.
func (d *delivery) taken() bool {
	return d.state == Done && d.draft.Find != "" && d.draft.Left == alreadyThere
}

func fold(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// byName asks for a name, whatever its case. COQL does not say how to escape a quote, so a name with one is asked for
// by its longest part without; whoever asks compares what comes back. It reports false when no part can be asked for.
func byName(field, name string) (zoho.Cond, bool) {
	parts := strings.FieldsFunc(name, special)
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

// plain reports whether a name can be asked for as it is.
func plain(name string) bool { return name != "" && !strings.ContainsFunc(name, special) }

// special are characters that COQL does not say how to write in a text.
func special(r rune) bool {
	return strings.ContainsRune(`'"\%`, r) || r < ' ' || r == 0x7f || r == '\uFFFD'
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
