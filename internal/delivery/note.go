package delivery

import (
	"slices"
	"time"

	"hookline/internal/zoho"
)

// lookForNote is lookFor for a Note: those on its record are listed, contents and all, because no query knows what a
// Note hangs on (from memory).
func (r *run) lookForNote(d *delivery, rec zoho.Record) (sighting, error) {
	var s sighting
	parent, _ := rec.Lookup("Parent_Id")
	link, _ := rec["Parent_Id"].(map[string]any)
	module, _ := link["module"].(map[string]any)
	name := zoho.Record(module).Text("api_name")
	r.asking(purposeReadBack, d.id)
	found, err := r.api.Related(r.l.ctx, name, parent, "Notes", []string{"Note_Title", "Note_Content", "Created_Time"})
	if err != nil {
		return s, err
	}
	begun := d.intent.Add(-clockSlack)
	before := func(hit zoho.Record) bool {
		made, known := timeText(hit.Text("Created_Time"))
		return known && made.Before(begun)
	}
	s.more = len(found) >= mostAlike && !slices.ContainsFunc(found, before) // they come newest first
	if found, err = r.unclaimed(d, found); err != nil {
		return s, err
	}
	for _, hit := range found {
		one := candidates([]zoho.Record{hit}, "Note_Title")
		switch ref := d.draft.Marker.RefIn(hit); {
		case ref == d.ref:
			s.ours = append(s.ours, one...)
		case ref == "" && hit.Text("Note_Title") == rec.Text("Note_Title") && !before(hit):
			s.others = append(s.others, one...)
		}
	}
	if len(s.ours) == 1 {
		s.others = nil
	}
	return s, nil
}

func timeText(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}
