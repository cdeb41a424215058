package delivery

import "sync"

// together gathers what the runs of a lane ask for at the same moment: who comes while few are under way goes at once,
// who comes while many are waits and goes with the others. So nothing is slower where there is little to do, and much
// costs less where there is much.
type together[Q, A any] struct {
	most  int                       // batches under way at once
	joins func(batch []Q, q Q) bool // nil: everything that waits goes in one batch

	mu       sync.Mutex
	waiting  []*asked[Q, A]
	underWay int
}

type asked[Q, A any] struct {
	q      Q
	answer chan A
}

// ask gives the answer to q. The answer function gets a batch, in order of arrival, and answers each of it.
func (g *together[Q, A]) ask(q Q, answer func(batch []Q) []A) A {
	mine := &asked[Q, A]{q: q, answer: make(chan A, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, mine)
	if g.underWay < g.most {
		g.underWay++
		go g.serve(answer)
	}
	g.mu.Unlock()
	return <-mine.answer
}

func (g *together[Q, A]) serve(answer func([]Q) []A) {
	for batch := g.next(); batch != nil; batch = g.next() {
		qs := make([]Q, len(batch))
		for i, one := range batch {
			qs[i] = one.q
		}
		for i, a := range answer(qs) {
			batch[i].answer <- a
		}
	}
}

// next takes the oldest that waits, and what may go with it; nil ends the one who serves.
func (g *together[Q, A]) next() []*asked[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.underWay--
		return nil
	}
	var batch, rest []*asked[Q, A]
	var qs []Q
	for _, one := range g.waiting {
		if len(qs) > 0 && g.joins != nil && !g.joins(qs, one.q) {
			rest = append(rest, one)
			continue
		}
		batch, qs = append(batch, one), append(qs, one.q)
	}
	g.waiting = rest
	return batch
}
