package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// The worker's database answers late, then a few bytes at a time, then is cut off again and again in the middle of an answer.
func TestASlowOrCutOffDatabaseLosesAndDoublesNothing(t *testing.T) { // F7; that no goroutine stays behind is TestMain's to say
	t.Parallel()
	s := newWorld(t).newShop()
	proxy := pgtest.NewProxy(t, s.db.AppURL)
	db, err := postgres.Open(context.Background(), postgres.Config{URL: proxy.URL, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s.start(s.worker(func(d *delivery.Deps) { d.DB, d.Lease = db, 3*time.Second }))
	var ids []call.ID
	want := 0
	for _, trouble := range []pgtest.Trouble{{Latency: 50 * time.Millisecond}, {BytesPerSecond: 20_000}} {
		proxy.Set(trouble)
		for range 2 {
			want++
			ids = append(ids, s.receive(from(number(want))))
		}
		s.untilSettled(ids...)
	}
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 200})
	for range 2 { // while Zoho writes: the answer finds no database
		before := proxy.Cuts()
		want++
		ids = append(ids, s.receive(from(number(want))))
		s.until("a request under way", func() bool {
			return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'sending'`, s.tenant.UUID()) > 0
		})
		proxy.Set(pgtest.Trouble{CutAfter: 1})
		s.until("the database cut off", func() bool { return proxy.Cuts() > before })
		s.untilSettled(ids...)
	}
	s.zoho.Control.Settings(s.org, map[string]any{"latency_ms": 0})
	for _, room := range []int{3_000, 10_000, 20_000} {
		before := proxy.Cuts()
		proxy.Set(pgtest.Trouble{CutAfter: room})
		want++
		ids = append(ids, s.receive(from(number(want))))
		s.until("the database cut off", func() bool { return proxy.Cuts() > before })
	}
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": want, "Calls": want})
	s.logIsTrue(ids...)
}

// Two workers whose clocks are twenty minutes apart, one of them stepping back: what is due when is for the database's clock
// to say, so nothing is done twice, left, or out of order.
func TestWorkersWithWrongClocksLoseAndDoubleNothing(t *testing.T) { // D4
	t.Parallel()
	s := newWorld(t).newShop()
	var off atomic.Int64
	off.Store(int64(10 * time.Minute))
	for _, now := range []func() time.Time{
		func() time.Time { return time.Now().Add(time.Duration(off.Load())) },
		func() time.Time { return time.Now().Add(-10 * time.Minute) },
	} {
		s.start(s.worker(func(d *delivery.Deps) { d.Now, d.Slice.Calls = now, 3 }))
	}
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Calls"), Times: 1, Kind: "reset", Effect: "after"},
		sandboxtest.Fault{Match: writeOf("Calls"), Skip: 3, Times: 1, Kind: "status", Status: 500, Effect: "none"})
	var ids []call.ID
	for i := range 12 {
		if i == 6 {
			off.Store(int64(-time.Hour))
		}
		c := from(number(i % 3))
		c.StartedAt = c.StartedAt.Add(time.Duration(i) * time.Minute)
		ids = append(ids, s.receive(c))
	}
	s.untilSettled(ids...)
	s.holds(map[string]int{"Leads": 3, "Calls": 12})
	s.logIsTrue(ids...)
}

// Two calls of a new caller are stored by two web processes in the other order than they were received in. The later one
// was begun, and the answer to its Lead is lost, when the earlier one is there to be seen.
func TestACallThatWasStoredLateWaitsForTheCallersBegunOne(t *testing.T) { // I3, I5
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Leads"), Times: 1, Kind: "reset", Effect: "none"})
	stop := s.start(s.worker())
	later := s.receive(sarah())
	s.until("the answer lost", func() bool {
		return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
	})
	stop()
	earlier := s.receive(sarah())
	s.exec(`UPDATE calls SET received_at = received_at - interval '1 minute' WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), earlier.UUID())
	s.start(s.worker())
	s.untilSettled(later, earlier)
	s.holds(map[string]int{"Leads": 1, "Calls": 2})
}

// Fields are read anew every hour. That Zoho does not give them is no reason to wait, whatever their age; where none were
// ever read the lane is held, and says so.
func TestFieldsThatCannotBeReadHoldUpOnlyWhoHasNone(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: sandboxtest.Match{Path: "/crm/v8/settings/*"}, Kind: "hang"})
	s.exec(`UPDATE zoho_modules SET fetched_at = now() - interval '40 days'`)
	began := time.Now()
	s.untilSettled(s.receive(from(number(1))))
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("delivered after %s", took)
	}
	s.zoho.Control.ClearFaults(s.org)
	s.zoho.Control.Faults(s.org, failing(sandboxtest.Match{Path: "/crm/v8/settings/*"}))
	s.exec(`DELETE FROM zoho_modules`)
	id := s.receive(from(number(2)))
	s.until("the lane rests over a fault of Zoho's", func() bool {
		return value[bool](s, `SELECT faults > 0 FROM lanes WHERE tenant_id = $1`, s.tenant.UUID())
	})
	s.zoho.Control.ClearFaults(s.org)
	s.untilSettled(id)
}
