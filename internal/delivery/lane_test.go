package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

// newTenants makes tenants in order of their ids.
func newTenants(t *testing.T, db *postgres.DB, n int) []tenant.ID {
	t.Helper()
	ids := make([]tenant.ID, n)
	for i := range ids {
		ids[i] = tenant.ID(uuid.Must(uuid.NewV7()))
		in(t, db, ids[i], func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO tenants (id, name, country, time_zone, trial_ends_at) VALUES ($1, 'Acme', 'US', 'UTC', now())`, ids[i].UUID())
			return err
		})
	}
	return ids
}

func in(t *testing.T, db *postgres.DB, id tenant.ID, fn func(context.Context, pgx.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := db.InTenant(ctx, id, func(tx pgx.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func wake(t *testing.T, db *postgres.DB, id tenant.ID) {
	t.Helper()
	in(t, db, id, func(ctx context.Context, tx pgx.Tx) error { return Wake(ctx, tx, []tenant.ID{id}) })
}

// claimAll claims as a worker does: again, when lanes were made by the claim.
func claimAll(t *testing.T, db *postgres.DB, owner uuid.UUID, lease time.Duration, n int) []*lane {
	t.Helper()
	for {
		lanes, again, err := claim(context.Background(), db, owner, lease, n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, l := range lanes {
				l.close()
			}
		})
		if len(lanes) > 0 || !again {
			return lanes
		}
	}
}

func TestClaimTakesWokenLanesOldestFirstAndNobodyElsesLane(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tenants := newTenants(t, db, 3)
	a, b := uuid.New(), uuid.New()
	if lanes := claimAll(t, db, a, time.Minute, 9); len(lanes) != 0 {
		t.Fatalf("%d lanes claimed that nobody woke", len(lanes))
	}
	for _, i := range []int{2, 0, 1} {
		wake(t, db, tenants[i])
	}
	claimAll(t, db, a, time.Minute, 0) // makes the lanes
	first := claimAll(t, db, a, time.Minute, 1)
	second := claimAll(t, db, b, time.Minute, 9)
	if len(first) != 1 || first[0].tenant != tenants[2] {
		t.Errorf("first claimed %v, not the lane woken first", first)
	}
	if len(second) != 2 {
		t.Errorf("the other worker got %d lanes, want the 2 that are free", len(second))
	}
	if third := claimAll(t, db, b, time.Minute, 9); len(third) != 0 {
		t.Errorf("%d held lanes were claimed", len(third))
	}
}

func TestLaneOfADeadWorkerIsFreeWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	id := newTenants(t, db, 1)[0]
	wake(t, db, id)
	dead := claimAll(t, db, uuid.New(), 300*time.Millisecond, 1)[0]
	heir := uuid.New()
	deadline := time.Now().Add(10 * time.Second)
	var lanes []*lane
	for len(lanes) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("never free")
		}
		lanes = claimAll(t, db, heir, time.Minute, 1)
	}
	if lanes[0].fence != dead.fence+1 {
		t.Errorf("fence %d after %d", lanes[0].fence, dead.fence)
	}
	t.Run("its rows are refused", func(t *testing.T) {
		err := fenced(context.Background(), db, dead, func(pgx.Tx) error { t.Error("ran"); return nil })
		if !errors.Is(err, errLost) || context.Cause(dead.ctx) == nil {
			t.Errorf("err %v, cause %v", err, context.Cause(dead.ctx))
		}
	})
	t.Run("it may write no more", func(t *testing.T) {
		if dead.mayWrite() == nil {
			t.Error("it may")
		}
	})
	t.Run("it cannot renew or release", func(t *testing.T) {
		kept, err := renew(context.Background(), db, dead.owner, time.Minute, []*lane{dead})
		if err != nil || len(kept) != 0 {
			t.Errorf("kept %v %v", kept, err)
		}
		if err := release(context.Background(), db, dead, -1); err != nil {
			t.Fatal(err)
		}
		if err := fenced(context.Background(), db, lanes[0], func(pgx.Tx) error { return nil }); err != nil {
			t.Errorf("the heir lost the lane: %v", err)
		}
	})
}

func TestHolderKeepsItsLaneWhileATransactionOfItsLasts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	id := newTenants(t, db, 1)[0]
	wake(t, db, id)
	l := claimAll(t, db, uuid.New(), 50*time.Millisecond, 1)[0]
	err := fenced(context.Background(), db, l, func(tx pgx.Tx) error {
		if _, err := tx.Exec(context.Background(), `SELECT pg_sleep(0.2)`); err != nil {
			return err
		}
		if lanes := claimAll(t, db, uuid.New(), time.Minute, 1); len(lanes) != 0 {
			t.Error("claimed in the middle of its holder's transaction")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if lanes := claimAll(t, db, uuid.New(), time.Minute, 1); len(lanes) != 1 {
		t.Error("not claimed after it")
	}
}

func TestReleasedLaneComesBackWhenDueOrWoken(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	id := newTenants(t, db, 1)[0]
	owner := uuid.New()
	giveBack := func(after time.Duration) {
		t.Helper()
		in(t, db, id, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM wakes WHERE tenant_id = $1`, id.UUID())
			return err
		})
		l := claimAll(t, db, owner, time.Minute, 1)
		if len(l) == 0 {
			wake(t, db, id)
			l = claimAll(t, db, owner, time.Minute, 1)
			in(t, db, id, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM wakes WHERE tenant_id = $1`, id.UUID())
				return err
			})
		}
		if err := release(context.Background(), db, l[0], after); err != nil {
			t.Fatal(err)
		}
	}
	giveBack(0)
	if l := claimAll(t, db, owner, time.Minute, 1); len(l) != 1 {
		t.Fatal("due now, and not claimed")
	} else if err := release(context.Background(), db, l[0], -1); err != nil {
		t.Fatal(err)
	}
	if l := claimAll(t, db, owner, time.Minute, 1); len(l) != 0 {
		t.Fatal("claimed with nothing due")
	}
	giveBack(time.Hour)
	if l := claimAll(t, db, owner, time.Minute, 1); len(l) != 0 {
		t.Fatal("claimed before it was due")
	}
	wake(t, db, id)
	if l := claimAll(t, db, owner, time.Minute, 1); len(l) != 1 {
		t.Fatal("woken, and not claimed")
	}
}

func TestNoWakeBringsAHeldLaneBackBeforeItsTime(t *testing.T) { // I9
	t.Parallel()
	db := pgtest.New(t)
	id := newTenants(t, db, 1)[0]
	wake(t, db, id)
	l := claimAll(t, db, uuid.New(), time.Minute, 1)[0]
	h := &hold{reason: HoldLimit, after: time.Hour, detail: "later"}
	err := fenced(context.Background(), db, l, func(tx pgx.Tx) error { return writeHold(context.Background(), tx, id, h) })
	if err != nil {
		t.Fatal(err)
	}
	if err := release(context.Background(), db, l, h.chosen); err != nil {
		t.Fatal(err)
	}
	wake(t, db, id)
	if lanes := claimAll(t, db, uuid.New(), time.Minute, 1); len(lanes) != 0 {
		t.Fatal("claimed before the time that Zoho asked for")
	}
	if lane, err := LaneOf(context.Background(), db, id); err != nil || lane.Hold != HoldLimit || time.Until(lane.Until) < 59*time.Minute {
		t.Errorf("lane is %+v %v", lane, err)
	}
	in(t, db, id, func(ctx context.Context, tx pgx.Tx) error { return Resume(ctx, tx, id) })
	if lanes := claimAll(t, db, uuid.New(), time.Minute, 1); len(lanes) != 1 {
		t.Fatal("resumed, and not claimed")
	}
}

func TestHoldsGrowAndNeverEndBeforeZohosTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason      string
		after       time.Duration
		faults      int
		least, most time.Duration
	}{
		{HoldLimit, 0, 1, time.Second, 1250 * time.Millisecond},
		{HoldLimit, 10 * time.Second, 1, 10 * time.Second, 12500 * time.Millisecond},
		{HoldLimit, 0, 99, 15 * time.Minute, 19 * time.Minute},
		{HoldOutage, 0, 99, time.Minute, 75 * time.Second},
		{HoldReconnect, 0, 1, needsPerson, needsPerson},
		{HoldReconnect, 15 * time.Minute, 1, 15 * time.Minute, 15 * time.Minute},
	} {
		h := &hold{reason: c.reason, after: c.after}
		h.choose(c.faults)
		if h.chosen < c.least || h.chosen > c.most {
			t.Errorf("%s after %d faults, asked for %s: %s, want %s to %s", c.reason, c.faults, c.after, h.chosen, c.least, c.most)
		}
	}
}

func TestALaneThatBeginsNothingNewIsNotHurriedByCallsThatAreDue(t *testing.T) {
	d := &desk{w: &Worker{Deps: Deps{}.withDefaults()}, next: time.Now().Add(-time.Second)}
	if got := d.idle(); got != 0 {
		t.Errorf("a call is due, and the lane waits %s", got)
	}
	d.ready = make([]*job, lowWater)
	if got := d.idle(); got != d.w.Poll {
		t.Errorf("enough is ready, and the lane looks again after %s", got)
	}
	d.ready, d.stop = nil, &stop{}
	if got := d.idle(); got != d.w.Poll {
		t.Errorf("the lane stops, and looks again after %s", got)
	}
}
