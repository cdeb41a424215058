package backtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// ID names a backtest.
type ID uuid.UUID

func (id ID) String() string  { return uuid.UUID(id).String() }
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }

// MarshalText writes the text form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseID reads the text form; what is none is the id of nothing, and the fault is NotFound.
func ParseID(s string) (ID, error) {
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, errNone
	}
	return ID(u), nil
}

var errNone = fault.New(fault.NotFound, "There is no such backtest.")

// State is how far a backtest is.
type State string

const (
	Running   State = "running"
	Done      State = "done"
	Cancelled State = "cancelled"
	Failed    State = "failed" // a fault of ours; the log has the cause
	Lost      State = "lost"   // the process that ran it has ended: it must be run again
)

// Backtest is one that was asked for.
type Backtest struct {
	ID       ID         `json:"id"`
	Revision int        `json:"revision"` // of the draft
	Version  int        `json:"version"`  // of what was live; 0: the defaults
	Scope    Scope      `json:"scope"`
	Total    int        `json:"total"` // calls that are run
	Done     int        `json:"done"`  // of them so far
	State    State      `json:"state"`
	Result   *Result    `json:"result,omitempty"` // of one that is Done
	By       string     `json:"asked_by"`
	Started  time.Time  `json:"started_at"`
	Ended    *time.Time `json:"ended_at,omitempty"`
}

// silence is how long the process that runs a backtest may say nothing before it counts as ended, by the database's
// clock.
const silence = 10 * time.Second

// kept is how many backtests of a tenant are kept.
const kept = 20

// Read is one backtest.
func Read(ctx context.Context, tx pgx.Tx, t tenant.ID, id ID) (Backtest, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, revision, version, scope, total, done,
		       CASE WHEN state = 'running' AND beat_at < clock_timestamp() - @silence::interval THEN 'lost' ELSE state END,
		       result, asked_by, started_at, ended_at
		  FROM backtests
		 WHERE tenant_id = @tenant AND id = @id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id.UUID(), "silence": silence})
	b, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Backtest{}, errNone
	}
	if err != nil {
		return Backtest{}, fmt.Errorf("reading a backtest: %w", err)
	}
	return b, nil
}

// Newest is the backtest that was asked for last; nil when there is none.
func Newest(ctx context.Context, tx pgx.Tx, t tenant.ID) (*Backtest, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, revision, version, scope, total, done,
		       CASE WHEN state = 'running' AND beat_at < clock_timestamp() - @silence::interval THEN 'lost' ELSE state END,
		       result, asked_by, started_at, ended_at
		  FROM backtests
		 WHERE tenant_id = @tenant
		 ORDER BY id DESC
		 LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "silence": silence})
	return none(pgx.CollectExactlyOneRow(rows, scan))
}

// Latest is the newest finished backtest of a revision of the draft against a version that was live; nil when nobody
// has run one to its end. It is what a Publication of that revision rests on.
func Latest(ctx context.Context, tx pgx.Tx, t tenant.ID, revision, version int) (*Backtest, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, revision, version, scope, total, done, state, result, asked_by, started_at, ended_at
		  FROM backtests
		 WHERE tenant_id = @tenant AND revision = @revision::bigint AND version = @version AND state = 'done'
		 ORDER BY id DESC
		 LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "revision": revision, "version": version})
	return none(pgx.CollectExactlyOneRow(rows, scan))
}

func none(b Backtest, err error) (*Backtest, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the newest backtest: %w", err)
	}
	return &b, nil
}

func scan(row pgx.CollectableRow) (Backtest, error) {
	var b Backtest
	err := row.Scan((*uuid.UUID)(&b.ID), &b.Revision, &b.Version, &b.Scope, &b.Total, &b.Done, (*string)(&b.State), &b.Result, &b.By, &b.Started, &b.Ended)
	return b, err
}

// Cancel ends a backtest that runs. The process that runs it sees that at its next word, within a second. One that is
// over stays as it is.
func Cancel(ctx context.Context, tx pgx.Tx, t tenant.ID, id ID) error {
	tag, err := tx.Exec(ctx, `
		UPDATE backtests
		   SET state = CASE WHEN state = 'running' THEN 'cancelled' ELSE state END,
		       ended_at = COALESCE(ended_at, clock_timestamp())
		 WHERE tenant_id = @tenant AND id = @id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id.UUID()})
	if err != nil {
		return fmt.Errorf("cancelling a backtest: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errNone
	}
	return nil
}

// insert adds a backtest that is about to run, and forgets the oldest. One that has gone silent makes room; one that
// runs does not, and the fault is a Conflict.
func insert(ctx context.Context, tx pgx.Tx, t tenant.ID, b Backtest) error {
	if _, err := tx.Exec(ctx, `
		UPDATE backtests SET state = 'lost', ended_at = clock_timestamp()
		 WHERE tenant_id = @tenant AND state = 'running' AND beat_at < clock_timestamp() - @silence::interval`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "silence": silence}); err != nil {
		return fmt.Errorf("giving up a silent backtest: %w", err)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO backtests (tenant_id, id, revision, version, scope, asked_by)
		VALUES (@tenant, @id, @revision, @version, @scope, @by)`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": b.ID.UUID(), "revision": b.Revision, "version": b.Version, "scope": b.Scope, "by": b.By})
	if postgres.ConstraintOf(err) == "backtests_running_key" {
		return fault.New(fault.Conflict, "A backtest is running already. Wait for it, or cancel it.")
	}
	if err != nil {
		return fmt.Errorf("storing a backtest: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		DELETE FROM backtests
		 WHERE tenant_id = @tenant AND state <> 'running'
		   AND id NOT IN (SELECT id FROM backtests WHERE tenant_id = @tenant ORDER BY id DESC LIMIT @kept)`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "kept": kept}); err != nil {
		return fmt.Errorf("forgetting old backtests: %w", err)
	}
	return nil
}

// beat says how far a backtest is, and that its process lives. It reports whether it is to go on.
func beat(ctx context.Context, tx pgx.Tx, t tenant.ID, id ID, done, total int) (goesOn bool, err error) {
	tag, err := tx.Exec(ctx, `
		UPDATE backtests SET done = @done, total = @total, beat_at = clock_timestamp()
		 WHERE tenant_id = @tenant AND id = @id AND state = 'running'`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id.UUID(), "done": done, "total": total})
	return tag.RowsAffected() == 1, err
}

// finish stores how a backtest ended, unless it has ended already.
func finish(ctx context.Context, tx pgx.Tx, t tenant.ID, id ID, state State, result *Result, done, total int) error {
	_, err := tx.Exec(ctx, `
		UPDATE backtests SET state = @state, result = @result, done = @done, total = @total, ended_at = clock_timestamp()
		 WHERE tenant_id = @tenant AND id = @id AND state = 'running'`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id.UUID(), "state": string(state), "result": result, "done": done, "total": total})
	return err
}
