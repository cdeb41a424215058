package backtest_test

import (
	"testing"
	"time"

	"hookline/internal/backtest"
	"hookline/internal/config"
	"hookline/internal/mapping"
	"hookline/internal/routing"
)

// quoting is a draft in which the word “quote” is a buying word too.
func quoting() config.Set {
	d := config.Defaults()
	for i, l := range d.Rules.Phrases {
		if l.Name == "buying" {
			d.Rules.Phrases[i].Phrases = append(l.Phrases[:len(l.Phrases):len(l.Phrases)], "keys of the small van")
		}
	}
	return d
}

// What the worker works out for a call with a transcript of 30 turns: the decision and its records.
func BenchmarkDecideAndRender(b *testing.B) {
	s := newShop(b)
	f := s.factsOf("That is all for today.")
	live := config.Defaults()
	b.ReportAllocs()
	for b.Loop() {
		mapping.Render(live.Mappings, routing.Decide(live.Rules, f), f, nil)
	}
}

// A call with a transcript of 30 turns, decided and rendered both ways.
func BenchmarkCompare(b *testing.B) {
	s := newShop(b)
	f := s.factsOf("That is all for today.")
	contact(&f)
	live, draft := config.Defaults(), quoting()
	b.ReportAllocs()
	for b.Loop() {
		backtest.Compare(live, draft, f, nil)
	}
}

// Stored calls with transcripts of 30 turns, from the database to the result.
func BenchmarkBacktest(b *testing.B) {
	const calls = 10_000
	s := newShop(b)
	for range calls / 1000 {
		facts := make([]routing.Facts, 1000)
		for i := range facts {
			facts[i] = s.factsOf("That is all for today.")
			if i%3 == 0 {
				contact(&facts[i])
			}
		}
		s.store(time.Hour, facts...)
	}
	q := backtest.Question{Tenant: s.Tenant, Live: config.Defaults(), Draft: quoting(), Now: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		r, err := backtest.Run(b.Context(), s.db.DB, q, nil)
		if err != nil || r.Calls != calls || r.Changed == 0 {
			b.Fatal(r.Calls, r.Changed, err)
		}
	}
	b.ReportMetric(float64(calls)*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
