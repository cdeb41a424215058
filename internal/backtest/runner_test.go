package backtest

import (
	"slices"
	"testing"
	"time"

	"hookline/internal/config"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

func TestAPanicEndsTheBacktestAndNotTheProcess(t *testing.T) {
	r := New(Deps{})
	defer r.Close()
	if _, err := r.inTurn(t.Context(), Question{}, nil); err == nil { // without a database it panics
		t.Error("no error")
	}
}

func TestWhatWaitsToBeCountedHoldsNoTrace(t *testing.T) {
	facts := routing.FactsAt(tenant.Tenant{Zone: time.UTC}, time.Now(), time.Now())
	live, draft := config.Defaults(), config.Defaults()
	c := newComparison(live, draft, nil)
	same := tried{change: c.compare(facts), facts: facts}
	same.lighten()
	draft.Rules.Rules = slices.Insert(slices.Clone(draft.Rules.Rules), 0, routing.Rule{ID: "all", Name: "All", Then: []routing.Outcome{{Do: routing.Ignore}}})
	c = newComparison(live, draft, nil)
	other := tried{change: c.compare(facts), facts: facts}
	other.lighten()
	for _, one := range []tried{same, other} {
		if len(one.change.Live.Decision.Trace.Rules)+len(one.change.Draft.Decision.Trace.Rules) > 0 {
			t.Errorf("a trace of %d rules", len(one.change.Draft.Decision.Trace.Rules))
		}
	}
	if !other.change.Changes || other.change.Live.Drafts == nil || same.change.Changes || same.change.Live.Drafts != nil {
		t.Errorf("changes: %v %v; records: %d %d", same.change.Changes, other.change.Changes, len(same.change.Live.Drafts), len(other.change.Live.Drafts))
	}
}
