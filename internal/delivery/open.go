package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/tenant"
)

// Statuses of a call as the table keeps them. Held is none of them: it is read from the lane.
const (
	Received       = "received"
	Delivering     = "delivering"
	Delivered      = "delivered"
	NeedsAttention = "needs_attention"
	Ignored        = "ignored"
	Held           = "held"
)

// job is an open call in hand.
type job struct {
	id       call.ID
	source   uuid.UUID
	received time.Time
	age      time.Duration // since it was received, by the database's clock
	status   string
	revision int        // events that were folded when it was last written; 0: never
	done     int        // revision that was last delivered whole
	noted    int        // notes of news that were taken before the events were read
	key      call.Phone // the caller; empty: hidden, unusable, or not known before the events are read
	tries    int
	config   string // which rules and mappings a replay wants
	wait     time.Duration
	events   []call.Event
	call     call.Call // folded from events
	broken   error     // what is stored cannot be read
}

// found is what a look at the open calls gives.
type found struct {
	jobs   []*job        // to be run now, oldest first, at most one for each caller
	next   time.Duration // until the earliest waiting call is due; negative: none waits
	behind bool          // calls wait behind others of their caller, or were not looked at
	usage  connection.Usage
	stamp  string // changes when the tenant's rules, mappings, link, hours or sources do
}

const (
	lookPage  = 100 // open calls read at a time
	lookPages = 50  // at most so many
	enough    = 48  // calls to be run that make a look end
)

// lookForWork takes the lane's notes and reads its open calls in order of receipt. A caller's call is handed out
// only when nothing of that caller's before it is open: neither in hand (calls, callers) nor waiting.
//
// The notes are deleted in a statement of its own before the calls are read: what was stored with a note that is
// gone is seen.
func (w *Worker) lookForWork(ctx context.Context, l *lane, inHand map[call.ID]bool, callers map[call.Phone]int) (found, error) {
	var f found
	err := fenced(ctx, w.DB, l, func(tx pgx.Tx) error {
		f = found{next: -1}
		if err := takeNotes(ctx, tx, l); err != nil {
			return err
		}
		var err error
		if f.usage, err = connection.ReadUsage(ctx, tx, l.tenant); err != nil {
			return err
		}
		blocked, begun, err := takenCallers(ctx, tx, l)
		if err != nil {
			return err
		}
		if err := f.readSpared(ctx, tx, l, blocked); err != nil {
			return err
		}
		named := map[call.ID]call.Phone{}
		var after *job
		for page := 0; ; page++ {
			jobs, err := readOpen(ctx, tx, l, after)
			if err != nil {
				return err
			}
			if err := readEvents(ctx, tx, l.tenant, mayRun(jobs, inHand, callers, blocked, begun)); err != nil {
				return err
			}
			for _, j := range jobs {
				f.sort(j, inHand, callers, blocked, begun, named)
			}
			if len(jobs) < lookPage {
				break
			}
			if len(f.jobs) >= enough || page == lookPages {
				f.behind = true
				break
			}
			after = jobs[len(jobs)-1]
		}
		// Last, so that a call which was sent again after a change meets the change.
		if f.stamp, err = readStamp(ctx, tx, l); err != nil {
			return err
		}
		return nameCallers(ctx, tx, l, named)
	})
	if err != nil {
		return found{}, fmt.Errorf("looking for open calls of %s: %w", l.tenant, err)
	}
	return f, nil
}

// takenCallers are those for whom nothing new is begun. Of the unsettled, a record may or may not be in Zoho: until a
// person has said which, nothing more is written for them, because it could be written beside it. Of the begun, a call is
// on its way: one that was received before it and stored after it waits all the same.
func takenCallers(ctx context.Context, tx pgx.Tx, l *lane) (unsettled, begun map[call.Phone]bool, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT caller_key, false FROM calls
		 WHERE tenant_id = @tenant AND status = 'needs_attention' AND cause->>'code' = 'UNSETTLED' AND caller_key <> ''
		UNION ALL
		SELECT caller_key, true FROM calls
		 WHERE tenant_id = @tenant AND status = 'delivering' AND done_revision = 0 AND caller_key <> ''`,
		pgx.StrictNamedArgs{"tenant": l.tenant.UUID()})
	unsettled, begun = map[call.Phone]bool{}, map[call.Phone]bool{}
	var key string
	var underWay bool
	if _, err := pgx.ForEachRow(rows, []any{&key, &underWay}, func() error {
		if underWay {
			begun[call.Phone(key)] = true
		} else {
			unsettled[call.Phone(key)] = true
		}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("reading whose calls are begun or unsettled: %w", err)
	}
	return unsettled, begun, nil
}

// readSpared notes when calls that wait for credits are due, and whose later calls wait behind them; late news that
// waits holds up no later call. They are not read one by one: there may be many.
func (f *found) readSpared(ctx context.Context, tx pgx.Tx, l *lane, blocked map[call.Phone]bool) error {
	rows, _ := tx.Query(ctx, `
		SELECT caller_key, bool_or(done_revision = 0), min(EXTRACT(EPOCH FROM next_at - now()))::float8
		  FROM calls
		 WHERE tenant_id = @tenant AND status IN ('received', 'delivering') AND cause ->> 'code' = 'CREDITS' AND next_at > now()
		 GROUP BY caller_key`, pgx.StrictNamedArgs{"tenant": l.tenant.UUID()})
	var key string
	var blocks bool
	var wait float64
	_, err := pgx.ForEachRow(rows, []any{&key, &blocks, &wait}, func() error {
		if blocks && key != "" {
			blocked[call.Phone(key)] = true
		}
		f.dueIn(seconds(wait))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which calls wait for credits: %w", err)
	}
	return nil
}

// dueIn notes that a call is due in that long.
func (f *found) dueIn(wait time.Duration) {
	if f.next < 0 || wait < f.next {
		f.next = wait
	}
}

// sort decides whether j can be run now.
func (f *found) sort(j *job, inHand map[call.ID]bool, callers map[call.Phone]int, blocked, begun map[call.Phone]bool, named map[call.ID]call.Phone) {
	if inHand[j.id] {
		return
	}
	known := j.key != ""
	if j.events != nil {
		j.fold()
	}
	later := j.waitsForBegun(begun)
	if j.key != "" && (blocked[j.key] || callers[j.key] > 0 || later) {
		f.behind = true
		if !known {
			named[j.id] = j.key
		}
		blocked[j.key] = blocked[j.key] || !later
		return
	}
	if j.key != "" {
		blocked[j.key] = true
	}
	if j.wait > 0 {
		f.dueIn(j.wait)
		return
	}
	f.jobs = append(f.jobs, j)
}

// waitsForBegun reports whether the caller's begun call comes first, wherever that stands in the order.
func (j *job) waitsForBegun(begun map[call.Phone]bool) bool {
	return j.status == Received && begun[j.key]
}

func (j *job) fold() {
	defer func() {
		if p := recover(); p != nil {
			j.broken = fmt.Errorf("folding events: %v", p)
		}
	}()
	j.call = call.Fold(j.events)
	j.key = callerKey(j.call)
}

// mayRun are the calls whose events are worth reading: they are due, and nothing is known to be before them.
func mayRun(jobs []*job, inHand map[call.ID]bool, callers map[call.Phone]int, blocked, begun map[call.Phone]bool) []*job {
	var may []*job
	first := map[call.Phone]bool{}
	for _, j := range jobs {
		if j.waitsForBegun(begun) {
			continue
		}
		behind := j.key != "" && (first[j.key] || blocked[j.key] || callers[j.key] > 0)
		if j.key != "" {
			first[j.key] = true
		}
		if !behind && j.wait == 0 && !inHand[j.id] {
			may = append(may, j)
		}
	}
	return may
}

// callerKey is whose order a call keeps: the customer's number where it can be looked for, else nobody's.
func callerKey(c call.Call) call.Phone {
	if p := c.Customer(); p.Usable() {
		return p
	}
	return ""
}

// takeNotes deletes the lane's wakes, counts on each call that news came, and opens the calls again that were over.
// News never decides again, and a call that waits for a retry or for the second look of a read-back goes on waiting.
func takeNotes(ctx context.Context, tx pgx.Tx, l *lane) error {
	_, err := tx.Exec(ctx, `
		WITH notes AS (
			DELETE FROM wakes WHERE tenant_id = @tenant RETURNING call_id
		)
		UPDATE calls
		   SET noted = noted + 1, changed_at = clock_timestamp(),
		       (status, cause, next_at) = (
			SELECT CASE WHEN opens AND calls.status <> 'received' THEN 'delivering' ELSE calls.status END,
			       CASE WHEN opens THEN NULL ELSE calls.cause END,
			       CASE WHEN opens THEN NULL ELSE calls.next_at END
			  FROM (SELECT calls.revision < count(*)
			               AND (calls.status IN ('delivered', 'ignored', 'needs_attention') OR calls.status = 'received' AND calls.tries = 0) AS opens
			          FROM events
			         WHERE events.tenant_id = calls.tenant_id AND events.call_id = calls.id) AS told)
		 WHERE tenant_id = @tenant AND id IN (SELECT call_id FROM notes WHERE call_id IS NOT NULL)`,
		pgx.StrictNamedArgs{"tenant": l.tenant.UUID()})
	if err != nil {
		return fmt.Errorf("taking the notes: %w", err)
	}
	return nil
}

// readStamp also learns whether the lane had trouble before.
func readStamp(ctx context.Context, tx pgx.Tx, l *lane) (string, error) {
	var stamp string
	var troubled bool
	err := tx.QueryRow(ctx, `
		SELECT faults > 0 OR hold <> '', concat_ws('|',
		       (SELECT xmin::text FROM tenants WHERE id = @tenant),
		       (SELECT max(version) FROM config_versions WHERE tenant_id = @tenant),
		       (SELECT concat_ws(' ', status, org_id, connected_at) FROM connections WHERE tenant_id = @tenant),
		       (SELECT string_agg(module || fetched_at, ' ' ORDER BY org_id, module) FROM zoho_modules WHERE tenant_id = @tenant),
		       (SELECT date_trunc('minute', now()) WHERE EXISTS ( -- fields that are due to be read anew, which may fail and is tried again
		               SELECT FROM zoho_modules WHERE tenant_id = @tenant AND fetched_at < now() - interval '1 hour')),
		       (SELECT string_agg(name, ' ' ORDER BY id) FROM sources WHERE tenant_id = @tenant))
		  FROM lanes WHERE tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": l.tenant.UUID()}).Scan(&troubled, &stamp)
	if err != nil {
		return "", fmt.Errorf("reading what has changed: %w", err)
	}
	l.mu.Lock()
	l.troubled = l.troubled || troubled
	l.mu.Unlock()
	return stamp, nil
}

func readOpen(ctx context.Context, tx pgx.Tx, l *lane, after *job) ([]*job, error) {
	args := pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "limit": lookPage, "received": time.Time{}, "id": uuid.Nil}
	if after != nil {
		args["received"], args["id"] = after.received, after.id.UUID()
	}
	rows, err := tx.Query(ctx, `
		SELECT id, source_id, received_at, GREATEST(EXTRACT(EPOCH FROM now() - received_at), 0)::float8,
		       status, revision, done_revision, noted, caller_key, tries, config,
		       GREATEST(COALESCE(EXTRACT(EPOCH FROM next_at - now()), 0), 0)::float8
		  FROM calls
		 WHERE tenant_id = @tenant AND status IN ('received', 'delivering') AND (received_at, id) > (@received, @id)
		   AND NOT COALESCE(cause ->> 'code' = 'CREDITS' AND next_at > now(), false)
		 ORDER BY received_at, id
		 LIMIT @limit`, args)
	if err != nil {
		return nil, err
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*job, error) {
		j := &job{}
		var age, wait float64
		err := row.Scan((*uuid.UUID)(&j.id), &j.source, &j.received, &age, &j.status, &j.revision, &j.done, &j.noted, (*string)(&j.key),
			&j.tries, &j.config, &wait)
		j.age, j.wait = seconds(age), seconds(wait)
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading open calls: %w", err)
	}
	return jobs, nil
}

// readEvents loads the events of the calls that may be run.
func readEvents(ctx context.Context, tx pgx.Tx, t tenant.ID, jobs []*job) error {
	byID := map[uuid.UUID]*job{}
	var ids []uuid.UUID
	for _, j := range jobs {
		byID[j.id.UUID()] = j
		ids = append(ids, j.id.UUID())
		j.events = []call.Event{}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT call_id, id, kind, at, normalised
		  FROM events
		 WHERE tenant_id = @tenant AND call_id = ANY(@ids)
		 ORDER BY at, id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "ids": ids})
	if err != nil {
		return err
	}
	var of, id uuid.UUID
	var kind string
	var at time.Time
	var normalised []byte
	_, err = pgx.ForEachRow(rows, []any{&of, &id, &kind, &at, &normalised}, func() error {
		j := byID[of]
		e, err := call.UnmarshalEvent(call.EventID(id), call.Kind(kind), at, normalised)
		if err != nil {
			j.broken = err
			return nil
		}
		j.events = append(j.events, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	return nil
}

// nameCallers notes whose order the calls keep that wait behind others, so that the next look need not read them.
func nameCallers(ctx context.Context, tx pgx.Tx, l *lane, named map[call.ID]call.Phone) error {
	if len(named) == 0 {
		return nil
	}
	var ids []uuid.UUID
	var keys []string
	for id, key := range named {
		ids, keys = append(ids, id.UUID()), append(keys, string(key))
	}
	_, err := tx.Exec(ctx, `
		UPDATE calls SET caller_key = named.key
		  FROM unnest(@ids::uuid[], @keys::text[]) AS named (id, key)
		 WHERE calls.tenant_id = @tenant AND calls.id = named.id`,
		pgx.StrictNamedArgs{"tenant": l.tenant.UUID(), "ids": ids, "keys": keys})
	if err != nil {
		return fmt.Errorf("naming callers: %w", err)
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
