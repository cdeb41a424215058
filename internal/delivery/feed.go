package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Feed tells pages that a tenant's calls have changed: one ear for a process, any number of watchers.
type Feed struct {
	db *postgres.DB

	mu       sync.Mutex
	watchers map[*Watch]struct{}
	closed   bool
}

// NewFeed makes a Feed that hears what the listener hears.
func NewFeed(db *postgres.DB, l *Listener) *Feed {
	f := &Feed{db: db, watchers: map[*Watch]struct{}{}}
	l.on(callsChannel, f.tell)
	l.on(wakeChannel, f.tell) // received, and perhaps no worker runs
	return f
}

func (f *Feed) tell(tenants []tenant.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		if tenants == nil || contains(tenants, w.tenant) {
			w.knock()
		}
	}
}

func contains(tenants []tenant.ID, t tenant.ID) bool {
	for _, one := range tenants {
		if one == t {
			return true
		}
	}
	return false
}

// Close ends all watches, so that a server can stop.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.watchers {
		w.end()
	}
}

// Watch is one page that looks at a tenant's calls.
type Watch struct {
	feed   *Feed
	tenant tenant.ID
	knocks chan struct{}
	ended  chan struct{}
	once   sync.Once

	since time.Time
	from  time.Time             // where the next page begins, when the one before was full: after this change
	last  call.ID               // of this call
	told  map[call.ID]time.Time // of the last few seconds: commits do not come in the order of their clock
}

// straggle is how long after its clock a change may become visible.
const straggle = 5 * time.Second

// Watch begins a watch. Since is the moment up to which the page is up to date, such as the ChangedAt of the newest
// row it shows; a zero one means from now on. Close it.
func (f *Feed) Watch(t tenant.ID, since time.Time) *Watch {
	w := &Watch{feed: f, tenant: t, knocks: make(chan struct{}, 1), ended: make(chan struct{}), since: since, told: map[call.ID]time.Time{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[w] = struct{}{}
	if f.closed {
		w.end()
	}
	w.knock() // what changed between the page and the watch
	return w
}

func (w *Watch) knock() {
	select {
	case w.knocks <- struct{}{}:
	default:
	}
}

func (w *Watch) end() { w.once.Do(func() { close(w.ended) }) }

// Close ends the watch.
func (w *Watch) Close() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	delete(w.feed.watchers, w)
	w.end()
}

// Ended is closed when the watch is over: the process stops, or Close was called.
func (w *Watch) Ended() <-chan struct{} { return w.ended }

// Knocks gives a value whenever there may be something for Changed.
func (w *Watch) Knocks() <-chan struct{} { return w.knocks }

// Changed gives the calls that changed since it was last asked, oldest change first, at most 100; with more it knocks
// again.
func (w *Watch) Changed(ctx context.Context) ([]Row, error) {
	from, last := w.from, w.last
	if from.IsZero() && !w.since.IsZero() {
		from = w.since.Add(-straggle)
	}
	rows, now, err := changedSince(ctx, w.feed.db, w.tenant, from, last)
	if err != nil {
		return nil, err
	}
	if w.since.IsZero() {
		w.since = now
		return nil, nil
	}
	w.from, w.last = time.Time{}, call.ID{}
	if len(rows) == feedPage {
		w.from, w.last = rows[feedPage-1].ChangedAt, rows[feedPage-1].ID
		w.knock()
	}
	fresh := rows[:0]
	for _, r := range rows {
		if at, known := w.told[r.ID]; known && !r.ChangedAt.After(at) {
			continue
		}
		w.told[r.ID] = r.ChangedAt
		fresh = append(fresh, r)
		if r.ChangedAt.After(w.since) {
			w.since = r.ChangedAt
		}
	}
	for id, at := range w.told {
		if at.Before(w.since.Add(-2 * straggle)) {
			delete(w.told, id)
		}
	}
	return fresh, nil
}

const feedPage = 100

// changedSince reads a page of what changed after a moment, and at that moment after a call; with no moment given, what
// time it is.
func changedSince(ctx context.Context, db *postgres.DB, t tenant.ID, since time.Time, after call.ID) (changed []Row, now time.Time, err error) {
	err = db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if since.IsZero() {
			return tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
		}
		rows, err := tx.Query(ctx, `
			SELECT `+rowColumns+`
			  FROM calls c
			  LEFT JOIN lanes l ON l.tenant_id = c.tenant_id
			  LEFT JOIN sources s ON s.tenant_id = c.tenant_id AND s.id = c.source_id
			 WHERE c.tenant_id = @tenant AND (c.changed_at, c.id) > (@since, @after)
			 ORDER BY c.changed_at, c.id
			 LIMIT @limit`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since, "after": after.UUID(), "limit": feedPage})
		if err != nil {
			return err
		}
		if changed, err = pgx.CollectRows(rows, scanRow); err != nil {
			return err
		}
		return foldWaiting(ctx, tx, t, changed)
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("reading what changed: %w", err)
	}
	return changed, now, nil
}

// RowOf gives one call as lists show it.
func RowOf(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID) (Row, error) {
	var found Row
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := readRows(ctx, tx, t, id)
		if err == nil {
			found = rows[0]
		}
		return err
	})
	return found, err
}

func readRows(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) ([]Row, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+rowColumns+`
		  FROM calls c
		  LEFT JOIN lanes l ON l.tenant_id = c.tenant_id
		  LEFT JOIN sources s ON s.tenant_id = c.tenant_id AND s.id = c.source_id
		 WHERE c.tenant_id = @tenant AND c.id = @id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": uuid.UUID(id)})
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanRow)
	if err != nil {
		return nil, fmt.Errorf("reading call %s: %w", id, err)
	}
	if len(found) == 0 {
		return nil, errNoCall
	}
	return found, foldWaiting(ctx, tx, t, found)
}
