package call

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Fold makes a call of what its events say. It is pure, and neither the order in which the events came nor telling
// one twice changes the result: early news (an "ended" whose analysis follows) comes first, then the call, then late
// news, each by the time of receipt.
//
// What the telephone network states (numbers, direction, times) is kept as first stated. What was understood of the
// talk (names, summary, answers, recording) is replaced by later words and never emptied. Of two transcripts the
// fuller one stays; a status only rises: failed, missed, completed, voicemail.
func Fold(events []Event) Call {
	ordered := slices.Clone(events)
	slices.SortFunc(ordered, func(a, b Event) int {
		return cmp.Or(rank(a)-rank(b), a.At.Compare(b.At), slices.Compare(a.ID[:], b.ID[:]))
	})
	var c Call
	var withheld bool
	for i, e := range ordered {
		if e.Kind == KindUnreadable || i > 0 && e.ID == ordered[i-1].ID && e.ID != (EventID{}) {
			continue
		}
		withheld = withheld || e.Call.Withheld
		add(&c, e.Call)
	}
	c.Withheld = withheld && c.Customer() == ""
	if c.Status == "" && Told(events) {
		c.Status = Completed
	}
	if c.Duration == 0 && !c.AnsweredAt.IsZero() && c.EndedAt.After(c.AnsweredAt) {
		c.Duration = c.EndedAt.Sub(c.AnsweredAt).Round(time.Second)
	}
	return c
}

// Told reports whether the events tell of a call. Late news alone does not: its call is still to come.
func Told(events []Event) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return e.Kind == KindCompleted })
}

// AwaitsMore reports whether the provider is known to send an analysis that has not come yet.
func AwaitsMore(events []Event) bool {
	waits := false
	for _, e := range events {
		switch {
		case e.Kind == KindUnreadable:
		case e.MoreFollow:
			waits = true
		default:
			return false
		}
	}
	return waits
}

func rank(e Event) int {
	switch {
	case e.Kind == KindUpdated:
		return 2
	case e.MoreFollow:
		return 0
	}
	return 1
}

func add(c *Call, n Call) {
	keep(&c.ProviderCallID, n.ProviderCallID)
	keep(&c.Direction, n.Direction)
	keep(&c.From, n.From)
	keep(&c.To, n.To)
	keepTime(&c.StartedAt, n.StartedAt)
	keepTime(&c.AnsweredAt, n.AnsweredAt)
	keepTime(&c.EndedAt, n.EndedAt)
	keep(&c.Duration, n.Duration)
	if statusRank[n.Status] > statusRank[c.Status] {
		c.Status = n.Status
	}
	replace(&c.FirstName, n.FirstName)
	replace(&c.LastName, n.LastName)
	replace(&c.CallerName, n.CallerName)
	replace(&c.Company, n.Company)
	replace(&c.Email, n.Email)
	replace(&c.Summary, n.Summary)
	replace(&c.RecordingURL, n.RecordingURL)
	replace(&c.Intent, n.Intent)
	replace(&c.Agent, n.Agent)
	if transcriptRank(n.Transcript) >= transcriptRank(c.Transcript) && len(n.Transcript) > 0 {
		c.Transcript = slices.Clone(n.Transcript)
	}
	c.Answers = overlay(c.Answers, n.Answers)
	c.Metadata = overlay(c.Metadata, n.Metadata)
	c.Test = c.Test || n.Test
}

var statusRank = map[Status]int{Failed: 1, Missed: 2, Completed: 3, Voicemail: 4}

// transcriptRank puts turns with speakers above plain text, and more turns above fewer.
func transcriptRank(turns []Turn) int {
	n := 0
	for _, t := range turns {
		if t.Role != "" {
			n++
		}
	}
	return n*1_000_000 + len(turns)
}

func keep[T comparable](have *T, said T) {
	var none T
	if *have == none {
		*have = said
	}
}

func keepTime(have *time.Time, said time.Time) {
	if have.IsZero() {
		*have = said
	}
}

func replace[T comparable](have *T, said T) {
	var none T
	if said != none {
		*have = said
	}
}

func overlay(have, said map[string]any) map[string]any {
	if len(said) == 0 {
		return have
	}
	both := make(map[string]any, len(have)+len(said))
	maps.Copy(both, have)
	for k, v := range said {
		if v != nil && v != "" {
			both[k] = v
		}
	}
	return both
}
