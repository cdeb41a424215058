package mapping

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// What was said in a long call does not fit into its Call: the text field takes 32,000 characters. The rest goes on in
// Notes on the record that the call is about.

// Limits of Zoho's Notes (Zoho's API, "Create notes"), and how many of them one call may write.
const (
	noteLength = 65535
	mostNotes  = 20
)

// goesOn ends the part of a text that its field has room for.
const goesOn = "\n[Goes on in a Note.]"

// SlotNote is the slot of a call's n-th Note, from 1 up.
func SlotNote(n int) string { return fmt.Sprintf("note.%d", n) }

// spill keeps of a text what the field has room for, up to the end of a line, and remembers the rest for the Notes.
func (r *renderer) spill(f zoho.Field, text string) castResult {
	room := f.Length
	if room <= 0 {
		room = lengthOf(f.Type)
	}
	text = strings.TrimSpace(text)
	kept := wholeLines(text, room-utf8.RuneCountInString(goesOn))
	r.spilt = strings.TrimLeft(text[len(kept):]+r.unsaid(text), "\n")
	return castResult{value: strings.TrimRight(kept, "\n") + goesOn, cut: true,
		note: fmt.Sprintf("%s: the text is longer than the %d characters of the field, so it goes on in a Note.", f.Label, room)}
}

// unsaid is what a template's value lacks of the transcript because a value has a limit of its own.
func (r *renderer) unsaid(text string) string {
	const enough = 400 // bytes at a text's end that are found again in the transcript
	if utf8.RuneCountInString(text) < maxValue/2 || len(text) < enough {
		return ""
	}
	said := transcriptUpTo(r.env.facts.Call, mostNotes*noteLength)
	end := text[len(text)-enough:]
	for !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	if at := strings.LastIndex(said, end); at >= 0 {
		return said[at+len(end):]
	}
	return ""
}

// notes are the Notes that carry what did not fit into a Call, on the record that the call is about; on the Call
// itself where it is about none.
func (r *renderer) notes(a routing.Action, logged Draft) []Draft {
	var parts []string
	for rest := r.spilt; rest != ""; {
		room := noteLength - markerRoom
		if len(parts) == mostNotes-1 && utf8.RuneCountInString(rest) > room {
			parts = append(parts, firstRunes(rest, room-utf8.RuneCountInString(cutMarker))+cutMarker)
			break
		}
		part := wholeLines(rest, room)
		parts = append(parts, strings.TrimRight(part, "\n"))
		rest = strings.TrimLeft(rest[len(part):], "\n")
	}
	parent := a.About
	switch {
	case parent != nil:
	case a.Contact != nil:
		parent = a.Contact
	default:
		parent = &routing.Target{Module: logged.Module, Slot: a.Slot}
	}
	var drafts []Draft
	for i, part := range parts {
		d := Draft{Slot: SlotNote(i + 1), Module: "Notes", Action: Create, Fields: map[string]any{}, Quiet: a.Quiet,
			Marker: Marker{Append: "Note_Content", Length: noteLength}}
		began := startedAt(r.env.facts).In(r.env.zone())
		d.put("Note_Title", fmt.Sprintf("Transcript of the call of %s, part %d of %d", began.Format("2 January 2006, 15:04"), i+2, len(parts)+1))
		d.put("Note_Content", part)
		if parent.ID != "" {
			d.put("Parent_Id", map[string]any{"id": parent.ID, "module": map[string]any{"api_name": parent.Module}})
		} else {
			d.Needs = append(d.Needs, Reference{Field: "Parent_Id", Slot: parent.Slot, Module: parent.Module})
		}
		drafts = append(drafts, d)
	}
	return drafts
}

// wholeLines is the beginning of a text that has at most n characters, up to the end of a line or of a word where one is
// near.
func wholeLines(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	head := firstRunes(text, n)
	if at := strings.LastIndexByte(head, '\n'); at > len(head)/2 {
		return head[:at+1]
	}
	if at := strings.LastIndexByte(head, ' '); at > len(head)/2 {
		return head[:at+1]
	}
	return head
}
