package call

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var monday = time.Date(2026, 3, 2, 17, 4, 5, 0, time.UTC)

func TestFoldLateInformation(t *testing.T) {
	t.Parallel()
	ended := Event{ID: EventID{1}, Kind: KindCompleted, At: monday, MoreFollow: true, Call: Call{ProviderCallID: "c", From: "+14155550123",
		Status: Missed, Answers: map[string]any{"budget": "?", "city": "Rome"}, Transcript: []Turn{{Text: "Agent: Hi"}}}}
	analysed := Event{ID: EventID{2}, Kind: KindCompleted, At: monday.Add(time.Second), Call: Call{ProviderCallID: "c", From: "+14155550999",
		Status: Voicemail, Summary: "first", Answers: map[string]any{"budget": 50000.0}, Transcript: []Turn{{Role: Agent, Text: "Hi"}}}}
	news := Event{ID: EventID{3}, Kind: KindUpdated, At: monday.Add(-time.Hour), Call: Call{ProviderCallID: "c", Status: Completed, Summary: "edited",
		Transcript: []Turn{{Text: "one text"}}}}
	want := Call{ProviderCallID: "c", From: "+14155550123", Status: Voicemail, Summary: "edited",
		Answers: map[string]any{"budget": 50000.0, "city": "Rome"}, Transcript: []Turn{{Role: Agent, Text: "Hi"}}}
	for _, order := range [][]Event{{ended, analysed, news}, {news, analysed, ended}, {analysed, news, ended, analysed}} {
		if diff := cmp.Diff(want, Fold(order)); diff != "" {
			t.Error(diff)
		}
	}
	if Told([]Event{news}) || !Told([]Event{news, ended}) {
		t.Error("late news alone tells of no call, an ended call does")
	}
	if !AwaitsMore([]Event{ended}) || AwaitsMore([]Event{ended, analysed}) || AwaitsMore(nil) {
		t.Error("only a call whose analysis is still to come awaits more")
	}
}

func TestFoldDerivesOnlyWhatIsCertain(t *testing.T) {
	t.Parallel()
	c := Fold([]Event{{Kind: KindCompleted, Call: Call{Withheld: true, AnsweredAt: monday, EndedAt: monday.Add(90*time.Second + 600*time.Millisecond)}}})
	if c.Status != Completed || c.Duration != 91*time.Second || !c.Withheld {
		t.Errorf("status %q, duration %v, withheld %v", c.Status, c.Duration, c.Withheld)
	}
	known := Fold([]Event{{ID: EventID{1}, Kind: KindUpdated, Call: Call{Withheld: true}}, {ID: EventID{2}, Kind: KindCompleted, Call: Call{From: "+14155550123"}}})
	if known.Withheld {
		t.Error("a number that one event states is not withheld")
	}
}

// drawCall makes a call whose every field may be empty.
func drawCall(t *rapid.T) Call {
	pick := func(name string, options ...string) string {
		return rapid.SampledFrom(append(options, "")).Draw(t, name)
	}
	c := Call{
		ProviderCallID: "c", Direction: Direction(pick("direction", "inbound", "outbound")),
		Status: Status(pick("status", "completed", "missed", "voicemail", "failed")),
		From:   Phone(pick("from", "+14155550123", "+14155550124")), To: Phone(pick("to", "+14155550100")),
		Withheld: rapid.Bool().Draw(t, "withheld"), Duration: time.Duration(rapid.IntRange(0, 3).Draw(t, "duration")) * time.Second,
		FirstName: pick("first", "Ana", "Änne\u202e"), LastName: pick("last", "Costa", "🚀"), Summary: pick("summary", "a", "b"),
		RecordingURL: pick("recording", "https://a.example/1"), Test: rapid.Bool().Draw(t, "test"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "turns") {
		c.Transcript = append(c.Transcript, Turn{Role: Role(pick("role", "agent", "caller")), Text: pick("text", "hello", "<b>"), At: time.Duration(i*1500) * time.Millisecond})
	}
	for range rapid.IntRange(0, 2).Draw(t, "answers") {
		if c.Answers == nil {
			c.Answers = map[string]any{}
		}
		c.Answers[rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")] = rapid.SampledFrom([]any{"1", 2.5, true}).Draw(t, "value")
	}
	if rapid.Bool().Draw(t, "timed") {
		c.StartedAt = monday.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "start")) * time.Minute)
		c.AnsweredAt, c.EndedAt = c.StartedAt.Add(time.Second), c.StartedAt.Add(9*time.Second)
	}
	return c
}

func drawEvents(t *rapid.T) []Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		var id uuid.UUID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		return Event{ID: EventID(id), Kind: rapid.SampledFrom([]Kind{KindCompleted, KindUpdated, KindUnreadable}).Draw(t, "kind"),
			At: monday.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Second), MoreFollow: rapid.Bool().Draw(t, "more"), Call: drawCall(t)}
	}), 0, 6).Draw(t, "events")
}

func TestFoldGivesTheSameCallInAnyOrderAndWithRepeats(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		before, _ := json.Marshal(events)
		want := Fold(events)
		shuffled := rapid.Permutation(events).Draw(t, "shuffled")
		for _, e := range events {
			if rapid.Bool().Draw(t, "again") {
				shuffled = append(shuffled, e)
			}
		}
		if diff := cmp.Diff(want, Fold(shuffled)); diff != "" {
			t.Fatal(diff)
		}
		if after, _ := json.Marshal(events); string(after) != string(before) {
			t.Fatal("Fold changed what it was given")
		}
	})
}

func TestStoredCallAndEventComeBackWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t)
		data, err := MarshalCall(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := UnmarshalCall(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, back); diff != "" {
			t.Fatal(diff)
		}
		e := Event{ID: EventID{7}, Kind: KindUpdated, At: monday, Call: c, MoreFollow: true, Problem: "p", Notes: []string{"n"}}
		if data, err = MarshalEvent(e); err != nil {
			t.Fatal(err)
		}
		again, err := UnmarshalEvent(e.ID, e.Kind, e.At, data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStoredKeysAreStable(t *testing.T) {
	t.Parallel()
	data, err := MarshalCall(Call{ProviderCallID: "c", Direction: Inbound, Status: Completed, From: "+14155550123", StartedAt: monday, Duration: time.Minute,
		LastName: "Ng", Transcript: []Turn{{Role: Caller, Text: "a<b", At: 1500 * time.Millisecond}}, Answers: map[string]any{"x": 1.0}})
	want := `{"provider_call_id":"c","direction":"inbound","status":"completed","from":"+14155550123","started_at":"2026-03-02T17:04:05Z","duration_seconds":60,` +
		`"last_name":"Ng","transcript":[{"role":"caller","text":"a<b","at_seconds":1.5}],"answers":{"x":1}}`
	if err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
}
