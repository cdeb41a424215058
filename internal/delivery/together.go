package delivery

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// together gathers what the runs of a lane ask for at the same moment: who comes while few are under way goes at once,
// who comes while many are waits and goes with the others. So nothing is slower where there is little to do, and much
// costs less where there is much.
type together[Q, A any] struct {
	most  int                              // batches under way at once
	joins func(batch []Q, q Q) bool        // nil: everything that waits goes in one batch
	enter func() (leave func(), err error) // nil: a batch goes as soon as it is made; else it is made when this returns

	failed func(err error) A // what an asker gets when answering panicked
	awaits func() int        // nil: none; else how many a batch should be, for which it waits at most so long as linger

	mu       sync.Mutex
	waiting  []*asked[Q, A]
	underWay int
	came     chan struct{} // one note that more waits
}

type asked[Q, A any] struct {
	q      Q
	answer chan A
}

const linger = 500 * time.Millisecond

// ask gives the answer to q. The answer function gets a batch, in order of arrival, and answers each of it; err is what
// keeps the batch from going at all.
func (g *together[Q, A]) ask(q Q, answer func(batch []Q, err error) []A) A {
	mine := &asked[Q, A]{q: q, answer: make(chan A, 1)}
	g.mu.Lock()
	if g.came == nil {
		g.came = make(chan struct{}, 1)
	}
	g.waiting = append(g.waiting, mine)
	if g.underWay < g.most {
		g.underWay++
		go g.serve(answer)
	}
	g.mu.Unlock()
	select {
	case g.came <- struct{}{}:
	default:
	}
	return <-mine.answer
}

func (g *together[Q, A]) serve(answer func([]Q, error) []A) {
	for {
		g.gather()
		leave, err := func() {}, error(nil)
		if g.enter != nil {
			leave, err = g.enter()
		}
		batch := g.next()
		qs := make([]Q, len(batch))
		for i, one := range batch {
			qs[i] = one.q
		}
		if len(batch) > 0 {
			for i, a := range g.safely(answer, qs, err) {
				batch[i].answer <- a
			}
		}
		if err == nil {
			leave()
		}
		if len(batch) == 0 {
			return
		}
	}
}

// safely gives a panic to each of the batch as an error: the process is everybody's.
func (g *together[Q, A]) safely(answer func([]Q, error) []A, batch []Q, err error) (out []A) {
	defer func() {
		if p := recover(); p != nil {
			out = make([]A, len(batch))
			for i := range out {
				out[i] = g.failed(fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack()))
			}
		}
	}()
	return answer(batch, err)
}

// gather waits for more, where more can be expected.
func (g *together[Q, A]) gather() {
	if g.awaits == nil {
		return
	}
	over := time.NewTimer(linger)
	defer over.Stop()
	for {
		g.mu.Lock()
		n := len(g.waiting)
		g.mu.Unlock()
		if n == 0 || n >= g.awaits() {
			return
		}
		select {
		case <-g.came:
		case <-over.C:
			return
		}
	}
}

// next takes the oldest that waits, and what may go with it; nothing ends the one who serves.
func (g *together[Q, A]) next() []*asked[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
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
	if len(batch) == 0 {
		g.underWay--
	}
	return batch
}
