package mapping

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/routing"
)

// said is a transcript of so many lines of about 100 characters, no two alike.
func said(lines int, word string) []call.Turn {
	turns := make([]call.Turn, lines)
	for i := range turns {
		role := call.Agent
		if i%2 == 1 {
			role = call.Caller
		}
		turns[i] = call.Turn{Role: role, Text: fmt.Sprintf("line %05d %s", i, strings.Repeat(word, 80))}
	}
	return turns
}

func TestALongTranscriptGoesOnInNotesAndNothingOfItIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		lines, notes int
		word         string
		change       func(*routing.Facts)
	}{
		"it fits":                    {lines: 200, word: "x"},
		"one Note":                   {lines: 600, word: "é", notes: 1},
		"beyond what a value holds":  {lines: 1200, word: "字", notes: 2},
		"several Notes":              {lines: 3000, word: "x", notes: 5},
		"on a Contact":               {lines: 600, word: "x", notes: 1, change: asContact},
		"on nobody":                  {lines: 600, word: "x", notes: 1, change: func(f *routing.Facts) { f.Match.Unusable = "the caller hid the number" }},
		"more than Hookline carries": {lines: 20000, word: "x", notes: mostNotes},
	} {
		t.Run(name, func(t *testing.T) {
			f := sarah()
			f.Match.Kind = "nobody"
			f.Call.Summary, f.Call.Transcript = "A long talk.", said(c.lines, c.word)
			if c.change != nil {
				c.change(&f)
			}
			d := routing.Decide(routing.Set{Rules: []routing.Rule{{ID: "1", Name: "x", Then: []routing.Outcome{{Do: routing.CreateLead}, {Do: routing.LogCall, On: "lead"}}}}}, f)
			drafts, problems := Render(DefaultSet(), d, f, org())
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var whole strings.Builder
			notes := 0
			ids := map[string]string{"lead": "5725767000000300001", "call": "5725767000000500001"}
			for _, draft := range drafts {
				rec, err := draft.Record(ids, "HK4K7Q2M4K7Q2M4K7Q")
				if err != nil {
					t.Fatal(err)
				}
				switch draft.Module {
				case "Calls":
					if n := utf8.RuneCountInString(rec.Text("Description")); n > 32000 {
						t.Errorf("a description of %d characters", n)
					}
					whole.WriteString(strings.TrimSuffix(draft.Fields["Description"].(string), goesOn))
				case "Notes":
					notes++
					if draft.Slot != SlotNote(notes) || rec.Text("Note_Title") != fmt.Sprintf("Transcript of the call of 2 March 2026, 17:04, part %d of %d", notes+1, c.notes+1) {
						t.Errorf("%s %q", draft.Slot, rec.Text("Note_Title"))
					}
					if n := utf8.RuneCountInString(rec.Text("Note_Content")); n > 65535 || draft.Marker.RefIn(rec) != "HK4K7Q2M4K7Q2M4K7Q" {
						t.Errorf("a content of %d characters", n)
					}
					parent, _ := rec["Parent_Id"].(map[string]any)
					want := "Leads"
					switch {
					case f.Match.Contact != nil:
						want = "Contacts"
					case f.Match.Unusable != "":
						want = "Calls"
					}
					if module, _ := parent["module"].(map[string]any); module["api_name"] != want || parent["id"] == nil {
						t.Errorf("it hangs on %v", parent)
					}
					whole.WriteString("\n" + strings.TrimSuffix(draft.Fields["Note_Content"].(string), cutMarker))
				}
			}
			if notes != c.notes {
				t.Errorf("%d Notes", notes)
			}
			text := "A long talk.\n\n" + transcriptUpTo(f.Call, 10_000_000)
			if c.notes == mostNotes {
				text = text[:len(whole.String())]
			}
			if whole.String() != text {
				t.Errorf("%d of %d bytes are there", whole.Len(), len(text))
			}
		})
	}
}

func TestALateSummaryMovesWhereALongTranscriptGoesOn(t *testing.T) {
	f := sarah()
	asContact(&f)
	f.Call.Summary, f.Call.Transcript = "", said(600, "x")
	d := routing.Decide(routing.DefaultSet(), f)
	before, _ := Render(DefaultSet(), d, f, org())
	f.Call.Summary = "A long talk of " + strings.Repeat("this and that, ", 20)
	var written []Written
	for i, draft := range before {
		rec, err := draft.Record(nil, "HK4K7Q2M4K7Q2M4K7Q")
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, Written{Slot: draft.Slot, ID: fmt.Sprint(5725767000000500001 + i), Sent: draft.Fields, Stands: rec})
	}
	late, _ := Late(DefaultSet(), d, f, org(), written)
	if len(late) != 2 || late[1].Module != "Notes" || late[1].Action != Update {
		t.Fatalf("%+v", late)
	}
	whole := strings.TrimSuffix(late[0].Fields["Description"].(string), goesOn) + "\n" + late[1].Fields["Note_Content"].(string)
	if whole != f.Call.Summary+"\n\n"+transcriptUpTo(f.Call, 10_000_000) {
		t.Error("between the Call and its Note something is missing")
	}
	rec, err := late[1].Record(nil, "HK4K7Q2M4K7Q2M4K7Q")
	if err != nil || rec["Parent_Id"] != nil || late[1].Marker.RefIn(rec) != "HK4K7Q2M4K7Q2M4K7Q" {
		t.Errorf("%v %v", rec["Parent_Id"], err)
	}
	written[1].Stands["Note_Content"] = "What a person made of it."
	if late, _ := Late(DefaultSet(), d, f, org(), written); len(late) != 1 {
		t.Errorf("a person's Note is written over: %+v", late)
	}
}
