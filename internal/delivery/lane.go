package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// lane is one tenant's line of work while this process holds it.
//
// The lease in the database says until when nobody else may claim it; the fence, raised by every claim, makes the
// rows of a holder that overslept its lease refuse. The lane's requests to Zoho run under ctx, which ends 3 s (a fifth)
// before the lease does, by this machine's monotonic clock counted from before the claim was sent, so that an answer
// can still be recorded.
type lane struct {
	tenant tenant.ID
	owner  uuid.UUID
	fence  int64

	ctx    context.Context
	cancel context.CancelCauseFunc
	rung   chan struct{} // one note that there may be new work

	mu     sync.Mutex
	until  time.Time // ctx ends then
	timer  *time.Timer
	people map[string]chan struct{} // Contacts of calls in hand, by id; closed when the call is over

	gate    gate
	crowd   atomic.Int64 // calls that are run while more wait; 0 while none waits
	budget  budget
	sharing sharing
	writes  together[*write, error]

	holding  sync.Mutex // one hold is made at a time
	troubled bool       // the row tells of faults or a hold of before; under mu
	held     *hold      // made by this holder: nothing new is begun; under mu
}

var (
	errLost    = errors.New("the lane is no longer ours") // its lease ran out or another holder came
	errStopped = errors.New("the worker stops")
)

// margin is how long before its lease a lane stops talking to Zoho.
func margin(lease time.Duration) time.Duration { return lease / 5 }

func newLane(t tenant.ID, owner uuid.UUID, fence int64, until time.Time) *lane {
	l := &lane{tenant: t, owner: owner, fence: fence, until: until, rung: make(chan struct{}, 1), gate: newGate()}
	l.writes.most, l.writes.failed = 1, func(err error) error { return err }
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.timer = time.AfterFunc(time.Until(until), func() { l.cancel(errLost) })
	return l
}

// extend moves the end of ctx. A lane that has ended stays so.
func (l *lane) extend(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
	l.timer.Reset(time.Until(until))
}

func (l *lane) close() {
	l.timer.Stop()
	l.cancel(errLost)
}

// mayWrite is looked at again before each write: a process that was stopped and woken has a context that does not
// know it yet.
func (l *lane) mayWrite() error {
	l.mu.Lock()
	late := time.Now().After(l.until)
	l.mu.Unlock()
	if late {
		l.cancel(errLost)
	}
	return context.Cause(l.ctx)
}

// alone waits until no other call of the Contact is in hand, and takes the Contact: order is kept by number, and one
// Contact may call from several. It reports whether somebody was waited for. Give it back with leave.
func (l *lane) alone(contact string) (waited bool, err error) {
	for {
		l.mu.Lock()
		busy := l.people[contact]
		if busy == nil {
			if l.people == nil {
				l.people = map[string]chan struct{}{}
			}
			l.people[contact] = make(chan struct{})
			l.mu.Unlock()
			return waited, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
			waited = true
		case <-l.ctx.Done():
			return waited, context.Cause(l.ctx)
		}
	}
}

func (l *lane) leave(contact string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.people[contact])
	delete(l.people, contact)
}

// ring notes that there may be new work.
func (l *lane) ring() {
	select {
	case l.rung <- struct{}{}:
	default:
	}
}

// AddLane makes the lane of a new tenant, in the transaction that makes the tenant. A tenant without one gets it with
// its first wake.
func AddLane(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	_, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES (@tenant) ON CONFLICT (tenant_id) DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	if err != nil {
		return fmt.Errorf("making the lane of %s: %w", t, err)
	}
	return nil
}

// Reclaim ends the leases of all lanes. It is for a process that knows that it alone works on this database, because
// it alone may: what a process before it held when it was killed need then not wait for the lease to run out.
func Reclaim(ctx context.Context, db *postgres.DB) error {
	err := db.Claim(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE lanes SET lease_until = now() WHERE owner IS NOT NULL`)
		return err
	})
	if err != nil {
		return fmt.Errorf("reclaiming lanes: %w", err)
	}
	return nil
}

// claim takes up to n lanes that are free and have a wake or are due, or whose holder's lease ran out; oldest first.
// Nothing but lanes and wakes is touched, and nobody is waited for. The work is read after the commit, by
// transactions of their own: a snapshot that is older than the claim would miss what was stored meanwhile.
// With again, lanes were made that the same claim could not see yet.
func claim(ctx context.Context, db *postgres.DB, owner uuid.UUID, lease time.Duration, n int) (lanes []*lane, again bool, err error) {
	type row struct {
		TenantID uuid.UUID
		Fence    int64
	}
	var claimed []row
	asked := time.Now()
	err = db.Claim(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH RECURSIVE woken AS ( -- the tenants of wakes, one index probe each
				(SELECT tenant_id, at FROM wakes ORDER BY tenant_id, id LIMIT 1)
				UNION ALL
				SELECT following.tenant_id, following.at FROM woken
				 CROSS JOIN LATERAL (SELECT tenant_id, at FROM wakes
				                      WHERE wakes.tenant_id > woken.tenant_id
				                      ORDER BY tenant_id, id LIMIT 1) AS following
			), opened AS ( -- a tenant's first wake makes its lane
				INSERT INTO lanes (tenant_id)
				SELECT tenant_id FROM woken
				 WHERE NOT EXISTS (SELECT FROM lanes WHERE lanes.tenant_id = woken.tenant_id)
				 ORDER BY tenant_id
				ON CONFLICT (tenant_id) DO NOTHING
				RETURNING tenant_id
			), due AS (
				SELECT tenant_id, min(at) AS at FROM (
					SELECT woken.tenant_id, woken.at FROM woken JOIN lanes USING (tenant_id)
					 WHERE lanes.owner IS NULL AND (lanes.hold_until IS NULL OR lanes.hold_until <= now())
					UNION ALL
					SELECT tenant_id, retry_at FROM lanes WHERE retry_at <= now() AND owner IS NULL
					UNION ALL
					SELECT tenant_id, lease_until FROM lanes WHERE lease_until <= now()
				) AS reasons GROUP BY tenant_id
			), taken AS (
				SELECT lanes.tenant_id FROM lanes JOIN due USING (tenant_id)
				 WHERE lanes.owner IS NULL OR lanes.lease_until <= now()
				 ORDER BY due.at, lanes.tenant_id
				 LIMIT @n
				   FOR UPDATE OF lanes SKIP LOCKED
			), ours AS (
				UPDATE lanes
				   SET owner = @owner, lease_until = now() + @lease::interval, fence = fence + 1, retry_at = NULL
				 WHERE tenant_id IN (SELECT tenant_id FROM taken)
				RETURNING tenant_id, fence
			)
			SELECT tenant_id, fence FROM ours
			UNION ALL
			SELECT tenant_id, 0 FROM opened`,
			pgx.StrictNamedArgs{"n": n, "owner": owner, "lease": lease})
		if err != nil {
			return err
		}
		claimed, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("claiming lanes: %w", err)
	}
	for _, r := range claimed {
		if r.Fence == 0 {
			again = true
			continue
		}
		lanes = append(lanes, newLane(tenant.ID(r.TenantID), owner, r.Fence, asked.Add(lease-margin(lease))))
	}
	return lanes, again, nil
}

// renew moves the lease of all lanes that one process holds, and gives back those that it still does.
func renew(ctx context.Context, db *postgres.DB, owner uuid.UUID, lease time.Duration, held []*lane) (kept map[tenant.ID]bool, err error) {
	tenants, fences := make([]uuid.UUID, len(held)), make([]int64, len(held))
	for i, l := range held {
		tenants[i], fences[i] = l.tenant.UUID(), l.fence
	}
	err = db.Claim(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			UPDATE lanes SET lease_until = now() + @lease::interval
			  FROM unnest(@tenants::uuid[], @fences::bigint[]) AS held (tenant_id, fence)
			 WHERE lanes.tenant_id = held.tenant_id AND lanes.fence = held.fence AND lanes.owner = @owner
			RETURNING lanes.tenant_id`,
			pgx.StrictNamedArgs{"lease": lease, "tenants": tenants, "fences": fences, "owner": owner})
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		kept = make(map[tenant.ID]bool, len(ids))
		for _, id := range ids {
			kept[tenant.ID(id)] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("renewing %d leases: %w", len(held), err)
	}
	return kept, nil
}

// release gives the lane back. It is due again in after; never when after is negative, unless a wake comes.
func release(ctx context.Context, db *postgres.DB, l *lane, after time.Duration) error {
	var due *time.Duration
	if after >= 0 {
		due = &after
	}
	err := db.InTenant(ctx, l.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE lanes SET owner = NULL, lease_until = NULL, retry_at = now() + @due::interval
			 WHERE tenant_id = @tenant AND fence = @fence AND owner = @owner`,
			pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "fence": l.fence, "owner": l.owner, "due": due})
		return err
	})
	if err != nil {
		return fmt.Errorf("releasing the lane of %s: %w", l.tenant, err)
	}
	return nil
}

// fenced runs fn in a transaction that only the lane's present holder gets: nobody claims the lane while it lasts,
// and a holder whose lane was claimed by another is refused with errLost. A process that is stopped in the middle of
// it loses the transaction, so that it cannot keep the lane from others. The lock is the weakest that a claim's FOR
// UPDATE heeds: renewing the lease goes on meanwhile. The same few statements run here for every call, over
// partitioned tables, so their plans are kept.
func fenced(ctx context.Context, db *postgres.DB, l *lane, fn func(pgx.Tx) error) error {
	return db.InTenant(ctx, l.tenant, func(tx pgx.Tx) error {
		var ours string
		err := tx.QueryRow(ctx, `
			SELECT set_config('idle_in_transaction_session_timeout', '10s', true) || set_config('plan_cache_mode', 'force_generic_plan', true)
			  FROM lanes
			 WHERE tenant_id = @tenant AND fence = @fence AND owner = @owner
			   FOR KEY SHARE`,
			pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "fence": l.fence, "owner": l.owner}).Scan(&ours)
		if errors.Is(err, pgx.ErrNoRows) {
			l.cancel(errLost)
			return errLost
		}
		if err != nil {
			return fmt.Errorf("checking the fence of %s: %w", l.tenant, err)
		}
		return fn(tx)
	})
}
