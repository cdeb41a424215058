package delivery

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestWhoComesWhileManyAreUnderWayGoesWithTheOthers(t *testing.T) {
	t.Parallel()
	entered, may := make(chan struct{}), make(chan struct{})
	g := &together[int, int]{most: 1, joins: func(batch []int, _ int) bool { return len(batch) < 4 }, enter: func() (func(), error) {
		entered <- struct{}{}
		<-may
		return func() {}, nil
	}}
	var mu sync.Mutex
	var sizes []int
	double := func(batch []int, _ error) []int {
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(batch))
		out := make([]int, len(batch))
		for i, q := range batch {
			out[i] = 2 * q
		}
		return out
	}
	var askers sync.WaitGroup
	for q := range 6 {
		askers.Go(func() {
			if a := g.ask(q, double); a != 2*q {
				t.Errorf("%d for %d", a, q)
			}
		})
	}
	<-entered
	for waiting := 0; waiting < 6; {
		g.mu.Lock()
		waiting = len(g.waiting)
		g.mu.Unlock()
	}
	may <- struct{}{}
	<-entered
	may <- struct{}{}
	<-entered // and finds nobody
	may <- struct{}{}
	askers.Wait()
	if !slices.Equal(sizes, []int{4, 2}) {
		t.Errorf("batches of %v", sizes)
	}
}

func TestAPanicWhileAnsweringIsEverybodysErrorAndNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	g := &together[int, error]{most: 1, failed: func(err error) error { return err }}
	for range 2 {
		if err := g.ask(1, func([]int, error) []error { panic("boom") }); !errors.Is(err, errPanicked) {
			t.Errorf("%v", err)
		}
	}
}
