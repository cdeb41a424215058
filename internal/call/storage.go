package call

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The stored forms. Their keys may gain names but never change them: rows are kept for at least 90 days.
type storedCall struct {
	ProviderCallID  string         `json:"provider_call_id,omitempty"`
	Direction       Direction      `json:"direction,omitempty"`
	Status          Status         `json:"status,omitempty"`
	From            Phone          `json:"from,omitempty"`
	To              Phone          `json:"to,omitempty"`
	Withheld        bool           `json:"withheld,omitempty"`
	StartedAt       time.Time      `json:"started_at,omitzero"`
	AnsweredAt      time.Time      `json:"answered_at,omitzero"`
	EndedAt         time.Time      `json:"ended_at,omitzero"`
	DurationSeconds int64          `json:"duration_seconds,omitempty"`
	FirstName       string         `json:"first_name,omitempty"`
	LastName        string         `json:"last_name,omitempty"`
	CallerName      string         `json:"caller_name,omitempty"`
	Company         string         `json:"company,omitempty"`
	Email           string         `json:"email,omitempty"`
	Summary         string         `json:"summary,omitempty"`
	Transcript      []storedTurn   `json:"transcript,omitempty"`
	RecordingURL    string         `json:"recording_url,omitempty"`
	Intent          string         `json:"intent,omitempty"`
	Answers         map[string]any `json:"answers,omitempty"`
	Agent           string         `json:"agent,omitempty"`
	Metadata        map[string]any `json:"metadata,omitempty"`
	Test            bool           `json:"test,omitempty"`
}

type storedTurn struct {
	Role      Role    `json:"role,omitempty"`
	Text      string  `json:"text"`
	AtSeconds float64 `json:"at_seconds,omitempty"`
}

type storedEvent struct {
	Call       storedCall `json:"call"`
	MoreFollow bool       `json:"more_follow,omitempty"`
	Problem    string     `json:"problem,omitempty"`
	Notes      []string   `json:"notes,omitempty"`
}

// MarshalCall writes a call as it is stored, transcript included. Text must hold no NUL, which PostgreSQL refuses;
// the providers' reader sees to that.
func MarshalCall(c Call) ([]byte, error) { return marshal(toStored(c)) }

// UnmarshalCall reads what MarshalCall wrote. Whole seconds of duration and milliseconds of a turn survive.
func UnmarshalCall(data []byte) (Call, error) {
	var s storedCall
	if err := json.Unmarshal(data, &s); err != nil {
		return Call{}, fmt.Errorf("reading a stored call: %w", err)
	}
	return s.call(), nil
}

// MarshalEvent writes what an event says; its id, kind and time stand in columns of their own.
func MarshalEvent(e Event) ([]byte, error) {
	return marshal(storedEvent{Call: toStored(e.Call), MoreFollow: e.MoreFollow, Problem: e.Problem, Notes: e.Notes})
}

// UnmarshalEvent puts an event together again from its columns.
func UnmarshalEvent(id EventID, kind Kind, at time.Time, data []byte) (Event, error) {
	var s storedEvent
	if err := json.Unmarshal(data, &s); err != nil {
		return Event{}, fmt.Errorf("reading stored event %s: %w", id, err)
	}
	return Event{ID: id, Kind: kind, At: at, Call: s.Call.call(), MoreFollow: s.MoreFollow, Problem: s.Problem, Notes: s.Notes}, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func toStored(c Call) storedCall {
	s := storedCall{
		ProviderCallID: c.ProviderCallID, Direction: c.Direction, Status: c.Status,
		From: c.From, To: c.To, Withheld: c.Withheld,
		StartedAt: c.StartedAt, AnsweredAt: c.AnsweredAt, EndedAt: c.EndedAt,
		DurationSeconds: int64(c.Duration / time.Second),
		FirstName:       c.FirstName, LastName: c.LastName, CallerName: c.CallerName, Company: c.Company, Email: c.Email,
		Summary: c.Summary, RecordingURL: c.RecordingURL, Intent: c.Intent, Answers: c.Answers, Agent: c.Agent,
		Metadata: c.Metadata, Test: c.Test,
	}
	if len(c.Transcript) > 0 {
		s.Transcript = make([]storedTurn, len(c.Transcript))
		for i, t := range c.Transcript {
			s.Transcript[i] = storedTurn{t.Role, t.Text, float64(t.At.Milliseconds()) / 1000}
		}
	}
	return s
}

func (s storedCall) call() Call {
	c := Call{
		ProviderCallID: s.ProviderCallID, Direction: s.Direction, Status: s.Status,
		From: s.From, To: s.To, Withheld: s.Withheld,
		StartedAt: s.StartedAt, AnsweredAt: s.AnsweredAt, EndedAt: s.EndedAt,
		Duration:  time.Duration(s.DurationSeconds) * time.Second,
		FirstName: s.FirstName, LastName: s.LastName, CallerName: s.CallerName, Company: s.Company, Email: s.Email,
		Summary: s.Summary, RecordingURL: s.RecordingURL, Intent: s.Intent, Answers: s.Answers, Agent: s.Agent,
		Metadata: s.Metadata, Test: s.Test,
	}
	if len(s.Transcript) > 0 {
		c.Transcript = make([]Turn, len(s.Transcript))
		for i, t := range s.Transcript {
			c.Transcript[i] = Turn{t.Role, t.Text, time.Duration(t.AtSeconds*1000+0.5) * time.Millisecond}
		}
	}
	return c
}
