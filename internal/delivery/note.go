package delivery

import (
	"time"

	"hookline/internal/zoho"
)

// lookForNote is lookFor for a Note: those on its record are listed, contents and all, because no query knows what a
// Note hangs on (from memory).
func (r *run) lookForNote(d *delivery, rec zoho.Record) (ours, others []Candidate, err error) {
	parent, _ := rec.Lookup("Parent_Id")
	link, _ := rec["Parent_Id"].(map[string]any)
	module, _ := link["module"].(map[string]any)
	name := zoho.Record(module).Text("api_name")
	r.asking(purposeReadBack, d.id)
	found, err := r.api.Related(r.l.ctx, name, parent, "Notes", []string{"Note_Title", "Note_Content", "Created_Time"})
	if err != nil {
		return nil, nil, err
	}
	if found, err = r.unclaimed(d, found); err != nil {
		return nil, nil, err
	}
	for _, hit := range found {
		made, known := timeText(hit.Text("Created_Time"))
		one := candidates([]zoho.Record{hit}, "Note_Title")
		switch ref := d.draft.Marker.RefIn(hit); {
		case ref == d.ref:
			ours = append(ours, one...)
		case ref == "" && hit.Text("Note_Title") == rec.Text("Note_Title") && !(known && made.Before(d.intent.Add(-clockSlack))):
			others = append(others, one...)
		}
	}
	if len(ours) == 1 {
		others = nil
	}
	return ours, others, nil
}

func timeText(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}
