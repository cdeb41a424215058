package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/fault/failpoint"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Channels of PostgreSQL's NOTIFY. A payload lists tenants; an empty one means any.
const (
	wakeChannel  = "hookline_wake"
	callsChannel = "hookline_calls"
)

// Wake leaves a note, in the transaction that stores new calls, that these tenants' lanes have work. It only
// inserts, so it waits for nobody. Ring the Bell after the commit; without it the lanes notice within the poll.
func Wake(ctx context.Context, tx pgx.Tx, tenants []tenant.ID) error {
	ids := make([]uuid.UUID, 0, len(tenants))
	for _, t := range distinct(tenants) {
		ids = append(ids, t.UUID())
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO wakes (tenant_id, id)
		SELECT * FROM unnest(@tenants::uuid[], @ids::uuid[])`,
		pgx.StrictNamedArgs{"tenants": ids, "ids": newIDs(len(ids))})
	if err != nil {
		return fmt.Errorf("waking %d lanes: %w", len(ids), err)
	}
	return nil
}

// News names a call that stood already when an event told more of it.
type News struct {
	Tenant tenant.ID
	Call   call.ID
}

// WakeFor is Wake for calls that stood already: the lane opens them again, whatever their status, and delivers what
// is new.
func WakeFor(ctx context.Context, tx pgx.Tx, news []News) error {
	tenants, calls := make([]uuid.UUID, len(news)), make([]uuid.UUID, len(news))
	for i, n := range news {
		tenants[i], calls[i] = n.Tenant.UUID(), n.Call.UUID()
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO wakes (tenant_id, id, call_id)
		SELECT * FROM unnest(@tenants::uuid[], @ids::uuid[], @calls::uuid[])`,
		pgx.StrictNamedArgs{"tenants": tenants, "ids": newIDs(len(news)), "calls": calls})
	if err != nil {
		return fmt.Errorf("waking lanes for %d calls: %w", len(news), err)
	}
	return nil
}

func newIDs(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	return ids
}

func distinct(tenants []tenant.ID) []tenant.ID {
	sorted := slices.Clone(tenants)
	slices.SortFunc(sorted, func(a, b tenant.ID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(sorted)
}

// bellGap is how far apart two notifications of one process are at least: commits that carry one queue on a lock of
// the whole server.
const bellGap = 50 * time.Millisecond

// Bell tells listening processes about tenants after a commit: at once, and then at most every 50 ms. A lost ring
// costs a second at most, because listeners poll too.
type Bell struct {
	db      *postgres.DB
	channel string
	log     *slog.Logger

	mu      sync.Mutex
	rung    map[tenant.ID]struct{} // since the last notification
	running bool
	closed  bool
	done    sync.WaitGroup
}

// NewBell makes the bell that wakes lanes. Close it when nothing rings any more.
func NewBell(db *postgres.DB, log *slog.Logger) *Bell { return newBell(db, wakeChannel, log) }

func newBell(db *postgres.DB, channel string, log *slog.Logger) *Bell {
	return &Bell{db: db, channel: channel, log: log, rung: map[tenant.ID]struct{}{}}
}

// Ring names tenants to the listeners. It returns at once.
func (b *Bell) Ring(tenants ...tenant.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, t := range tenants {
		b.rung[t] = struct{}{}
	}
	if !b.running && len(b.rung) > 0 {
		b.running = true
		b.done.Go(b.ringOn)
	}
}

// Close sends what is still to be told and waits for it.
func (b *Bell) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.done.Wait()
}

func (b *Bell) ringOn() {
	for {
		payload, ok := b.take()
		if !ok {
			return
		}
		failpoint.Hit(b.channel) // P6, P19
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := b.db.Directory(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT pg_notify(@channel, @payload)`,
				pgx.StrictNamedArgs{"channel": b.channel, "payload": payload})
			return err
		})
		cancel()
		if err != nil {
			b.log.Warn("notification not sent: listeners will notice when they poll", "channel", b.channel, "err", err)
		}
		time.Sleep(bellGap)
	}
}

// maxNamed keeps a payload under PostgreSQL's 8000 bytes.
const maxNamed = 200

func (b *Bell) take() (payload string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rung) == 0 {
		b.running = false
		return "", false
	}
	if len(b.rung) <= maxNamed {
		names := make([]string, 0, len(b.rung))
		for t := range b.rung {
			names = append(names, t.String())
		}
		payload = strings.Join(names, ",")
	}
	clear(b.rung)
	return payload, true
}

// Listener is a process's one ear on the database: it hands what bells say to those who asked for it. It needs a
// connection of its own, past any transaction pooler.
type Listener struct {
	connect func(context.Context) (*pgx.Conn, error)
	log     *slog.Logger

	mu   sync.Mutex
	next int
	subs map[int]subscription
}

type subscription struct {
	channel string
	tell    func(tenants []tenant.ID) // nil: any tenant may be meant
}

// NewListener makes a Listener that connects with connect.
func NewListener(connect func(context.Context) (*pgx.Conn, error), log *slog.Logger) *Listener {
	return &Listener{connect: connect, log: log, subs: map[int]subscription{}}
}

// on calls tell, which must not block, for every notification until cancel is called.
func (l *Listener) on(channel string, tell func([]tenant.ID)) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.next
	l.next++
	l.subs[id] = subscription{channel, tell}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subs, id)
	}
}

func (l *Listener) tell(channel string, tenants []tenant.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subs {
		if channel == "" || s.channel == channel {
			s.tell(tenants)
		}
	}
}

// Run listens until ctx ends and connects again whenever the connection is lost; meanwhile polls carry on.
func (l *Listener) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.listen(ctx); ctx.Err() == nil {
			l.log.Warn("not listening: lanes and pages poll until the connection is back", "err", err)
			pause(ctx, time.Second)
		}
	}
}

func (l *Listener) listen(ctx context.Context) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting to listen: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `LISTEN hookline_wake; LISTEN hookline_calls`); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	l.tell("", nil) // what was said while nobody listened
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		l.tell(n.Channel, readTenants(n.Payload))
	}
}

// readTenants gives nil, which means any, for a payload that names none.
func readTenants(payload string) []tenant.ID {
	if payload == "" {
		return nil
	}
	var tenants []tenant.ID
	for name := range strings.SplitSeq(payload, ",") {
		t, err := tenant.ParseID(name)
		if err != nil {
			return nil
		}
		tenants = append(tenants, t)
	}
	return tenants
}

// pause waits d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
