package backtest

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"hookline/internal/delivery"
	"hookline/internal/fault"
)

// Scope says which calls are run: those of the last days, or the last so many. Without either it is DefaultDays.
type Scope struct {
	Days int `json:"days,omitempty"` // 1 to MostDays
	Last int `json:"last,omitempty"` // 1 to MostCalls
}

// Limits of a backtest.
const (
	DefaultDays = 30
	MostDays    = 90
	MostCalls   = 100_000 // the newest of them are run
)

// check gives the scope with its default, or says what is wrong with it.
func (s Scope) check() (Scope, error) {
	switch {
	case s.Days != 0 && s.Last != 0:
		return s, fault.Field("last", "Choose days or the last calls, not both.")
	case s.Days < 0 || s.Days > MostDays:
		return s, fault.Field("days", "Choose 1 to 90 days.")
	case s.Last < 0 || s.Last > MostCalls:
		return s, fault.Field("last", "Choose 1 to 100,000 calls.")
	case s.Days == 0 && s.Last == 0:
		s.Days = DefaultDays
	}
	return s, nil
}

// since is the moment from which on calls count, and most how many of them are run.
func (s Scope) since(now time.Time) (since time.Time, most int) {
	if s.Last > 0 {
		return time.Time{}, s.Last
	}
	return now.AddDate(0, 0, -s.Days), MostCalls
}

// Result is what a backtest found.
type Result struct {
	Total      int `json:"total"`      // calls in the scope; more than are run where there are more than MostCalls
	Calls      int `json:"calls"`      // that were run through draft and live
	Undecided  int `json:"undecided"`  // left out: they still wait, or were never understood as a call
	Unreadable int `json:"unreadable"` // left out: what is stored of them cannot be run
	Changed    int `json:"changed"`    // for which the draft does something else in Zoho
	Reruled    int `json:"reruled"`    // decided by another rule, to the same effect
	Failing    int `json:"failing"`    // that would fail under the draft and not under what is live
	Mended     int `json:"mended"`     // that fail under what is live and would not under the draft
	StillFail  int `json:"still_fail"` // that fail under both

	// Unread are fields of Contacts that the draft maps and what is live does not: nobody has read what stands in them, so
	// they were taken for empty, and a change of them is counted as one that reads the Contact first.
	Unread []string `json:"unread,omitempty"`

	Outcomes []OutcomeCount `json:"outcomes"` // by how often they are, most first
	Moves    []Move         `json:"moves"`    // of the changed calls, most first
	Changes  []CallChange   `json:"changes"`  // the newest changed calls, at most KeptChanges
	Failures []CallFailure  `json:"failures"` // the newest that would fail, at most KeptChanges
	Credits  Credits        `json:"credits"`
}

// KeptChanges is how many changed calls, and how many failing ones, a result names. All are counted.
const KeptChanges = 500

// OutcomeCount is how many calls come to an outcome.
type OutcomeCount struct {
	Outcome string `json:"outcome"`
	Live    int    `json:"live"`
	Draft   int    `json:"draft"`
}

// Move counts the changed calls that come to one outcome now and to another under the draft. The two are the same
// where only fields differ.
type Move struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Calls int    `json:"calls"`
}

// CallRef names a call as the log does.
type CallRef struct {
	ID       string    `json:"id"`
	Received time.Time `json:"received_at"`
	Name     string    `json:"name,omitempty"`   // the caller's, where known
	Number   string    `json:"number,omitempty"` // the caller's, E.164; empty when withheld
}

// CallChange is a call for which the draft does something else. Long values are shortened, and of a record that only one
// side writes no field is listed: Compare tells all.
type CallChange struct {
	CallRef
	Live    Side           `json:"live"`
	Draft   Side           `json:"draft"`
	Records []RecordChange `json:"records"`
}

// CallFailure is a call that would fail, and why.
type CallFailure struct {
	CallRef
	Reasons []Reason `json:"reasons"`
}

// Reason is what Zoho is known to refuse in a record.
type Reason struct {
	Module   string   `json:"module"`
	Field    string   `json:"field,omitempty"`
	Sentence string   `json:"sentence"` // what is wrong and the way out
	Allowed  []string `json:"allowed,omitempty"`
}

// Credits are what writing the calls that were run costs, estimated: see delivery.Foreseen. Looking up who called costs
// the same under both and is not in them.
type Credits struct {
	Live        int     `json:"live"`  // altogether
	Draft       int     `json:"draft"` // altogether
	Days        float64 `json:"days"`  // from the oldest call that was run until now, at least one
	LivePerDay  float64 `json:"live_per_day"`
	DraftPerDay float64 `json:"draft_per_day"`
}

// tally gathers a Result, call by call, newest first.
type tally struct {
	Result
	outcomes map[string]*OutcomeCount
	moves    map[[2]string]int
	oldest   time.Time
}

func newTally() *tally {
	return &tally{Result: Result{Outcomes: []OutcomeCount{}, Moves: []Move{}, Changes: []CallChange{}, Failures: []CallFailure{}},
		outcomes: map[string]*OutcomeCount{}, moves: map[[2]string]int{}}
}

func (t *tally) outcome(name string) *OutcomeCount {
	o := t.outcomes[name]
	if o == nil {
		o = &OutcomeCount{Outcome: name}
		t.outcomes[name] = o
	}
	return o
}

// add counts a call. It reports whether the call's details are wanted: they are kept of the first few only.
func (t *tally) add(c *Change, received time.Time) (wanted bool) {
	t.Calls++
	t.oldest = received
	t.outcome(c.Live.Outcome).Live++
	t.outcome(c.Draft.Outcome).Draft++
	t.Credits.Live += c.Live.Credits
	t.Credits.Draft += c.Draft.Credits
	if c.Live.Fails && c.Draft.Fails {
		t.StillFail++
	}
	if !c.Changes {
		if c.Reruled {
			t.Reruled++
		}
		return false
	}
	t.Changed++
	t.moves[[2]string{c.Live.Outcome, c.Draft.Outcome}]++
	if c.Failing {
		t.Failing++
	}
	if c.Mended {
		t.Mended++
	}
	return len(t.Changes) < KeptChanges || c.Failing && len(t.Failures) < KeptChanges
}

// keep notes a changed call by name.
func (t *tally) keep(c *Change, p delivery.PastCall) {
	ref := CallRef{ID: p.ID.String(), Received: p.Received.UTC(), Name: p.Name, Number: string(p.Number)}
	if len(t.Changes) < KeptChanges {
		t.Changes = append(t.Changes, CallChange{CallRef: ref, Live: c.Live, Draft: c.Draft, Records: brief(c.Records)})
	}
	if !c.Failing || len(t.Failures) >= KeptChanges {
		return
	}
	failure := CallFailure{CallRef: ref}
	for _, p := range c.Failures {
		failure.Reasons = append(failure.Reasons, Reason{Module: p.Module, Field: p.Field, Sentence: p.Sentence, Allowed: p.Allowed[:min(len(p.Allowed), mostAllowed)]})
	}
	t.Failures = append(t.Failures, failure)
}

const (
	longest     = 200 // characters of a value
	mostAllowed = 30  // values of a picklist
)

// brief is what a result keeps of the records of a call.
func brief(records []RecordChange) []RecordChange {
	out := make([]RecordChange, len(records))
	for i, r := range records {
		out[i] = r
		if out[i].Fields = nil; r.What != Changed {
			continue
		}
		for _, f := range r.Fields {
			f.Old, f.New = shorten(f.Old), shorten(f.New)
			out[i].Fields = append(out[i].Fields, f)
		}
	}
	return out
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	return string([]rune(s)[:longest-1]) + "…"
}

// sum is the result when all calls are in.
func (t *tally) sum(now time.Time) Result {
	for _, name := range slices.Sorted(maps.Keys(t.outcomes)) {
		t.Outcomes = append(t.Outcomes, *t.outcomes[name])
	}
	slices.SortStableFunc(t.Outcomes, func(a, b OutcomeCount) int { return cmp.Compare(max(b.Live, b.Draft), max(a.Live, a.Draft)) })
	for move, n := range t.moves {
		t.Moves = append(t.Moves, Move{From: move[0], To: move[1], Calls: n})
	}
	slices.SortFunc(t.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	t.Credits.Days = 1
	if t.Calls > 0 {
		t.Credits.Days = max(1, now.Sub(t.oldest).Hours()/24)
	}
	t.Credits.LivePerDay, t.Credits.DraftPerDay = float64(t.Credits.Live)/t.Credits.Days, float64(t.Credits.Draft)/t.Credits.Days
	return t.Result
}
