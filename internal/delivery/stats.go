package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Counts are how many calls stand where.
type Counts struct {
	ByStatus          map[string]int // all six statuses
	OldestUndelivered time.Duration  // since the oldest open call came in; 0 when none is open
}

// Stats counts all calls of a tenant.
func Stats(ctx context.Context, db *postgres.DB, t tenant.ID) (Counts, error) {
	var c Counts
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		lane, err := readLane(ctx, tx, t)
		if err != nil {
			return err
		}
		c.ByStatus = map[string]int{Received: 0, Delivering: 0, Delivered: 0, Held: 0, NeedsAttention: 0, Ignored: 0}
		rows, err := tx.Query(ctx, `
			SELECT CASE WHEN cause ->> 'code' = 'CREDITS' THEN 'held' ELSE status END, count(*)
			  FROM calls WHERE tenant_id = @tenant AND status IN ('received', 'delivering') GROUP BY 1
			UNION ALL
			SELECT status, count(*) FROM calls WHERE tenant_id = @tenant AND status IN ('needs_attention', 'ignored') GROUP BY status
			UNION ALL
			SELECT 'all', count(*) FROM calls WHERE tenant_id = @tenant`,
			pgx.StrictNamedArgs{"tenant": t.UUID()})
		if err != nil {
			return err
		}
		var status string
		var n, all, other int
		_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
			switch {
			case status == "all":
				all = n
				return nil
			case lane.Hold != "" && (status == Received || status == Delivering):
				c.ByStatus[Held] += n
			default:
				c.ByStatus[status] += n
			}
			other += n
			return nil
		})
		if err != nil {
			return err
		}
		c.ByStatus[Delivered] = all - other
		var oldest float64
		err = tx.QueryRow(ctx, `
			SELECT COALESCE((SELECT GREATEST(EXTRACT(EPOCH FROM now() - received_at), 0)
			                   FROM calls WHERE tenant_id = @tenant AND status IN ('received', 'delivering')
			                  ORDER BY received_at, id LIMIT 1), 0)::float8`,
			pgx.StrictNamedArgs{"tenant": t.UUID()}).Scan(&oldest)
		c.OldestUndelivered = seconds(oldest)
		return err
	})
	if err != nil {
		return Counts{}, fmt.Errorf("counting calls: %w", err)
	}
	return c, nil
}

// Figures are what Home shows of the calls received in a span of time.
type Figures struct {
	Received  int
	Delivered int
	Waiting   int // open, of any age
	NeedsYou  int // of any age
	Ignored   int
	Median    time.Duration // from receipt to Zoho; 0 when nothing was delivered
	Hours     []Hour        // one for each whole hour of the span, the last may be under way
}

// Hour is how many calls came in one hour.
type Hour struct {
	Start           time.Time
	Received, Aside int
}

// FiguresSince counts the calls received since a moment, such as the tenant's midnight.
func FiguresSince(ctx context.Context, db *postgres.DB, t tenant.ID, since time.Time) (Figures, error) {
	var f Figures
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		f = Figures{}
		var median float64
		err := tx.QueryRow(ctx, `
			SELECT count(*), count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER (WHERE status = 'ignored'),
			       COALESCE(percentile_cont(0.5) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM delivered_at - received_at))
			                FILTER (WHERE status = 'delivered'), 0)::float8,
			       (SELECT count(*) FROM calls WHERE tenant_id = @tenant AND status IN ('received', 'delivering')),
			       (SELECT count(*) FROM calls WHERE tenant_id = @tenant AND status = 'needs_attention')
			  FROM calls
			 WHERE tenant_id = @tenant AND received_at >= @since`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since}).
			Scan(&f.Received, &f.Delivered, &f.Ignored, &median, &f.Waiting, &f.NeedsYou)
		if err != nil {
			return err
		}
		f.Median = seconds(median)
		rows, err := tx.Query(ctx, `
			SELECT hour, count(calls.id), count(calls.id) FILTER (WHERE status = 'needs_attention')
			  FROM generate_series(@since::timestamptz, now(), interval '1 hour') AS hour
			  LEFT JOIN calls ON calls.tenant_id = @tenant AND received_at >= hour AND received_at < hour + interval '1 hour'
			 GROUP BY hour
			 ORDER BY hour
			 LIMIT 200`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "since": since})
		if err != nil {
			return err
		}
		f.Hours, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Hour])
		return err
	})
	if err != nil {
		return Figures{}, fmt.Errorf("counting calls since %s: %w", since.Format(time.RFC3339), err)
	}
	return f, nil
}

// Need is a group of calls that wait for a person over the same thing.
type Need struct {
	Cause  Cause
	Count  int
	Newest call.ID
	Since  time.Time // receipt of the oldest
}

// Needs groups the calls that need a person by what mends them, largest group first.
func Needs(ctx context.Context, db *postgres.DB, t tenant.ID) ([]Need, error) {
	var needs []Need
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT (array_agg(cause ORDER BY received_at DESC))[1], count(*), (array_agg(id ORDER BY received_at DESC))[1], min(received_at)
			  FROM calls
			 WHERE tenant_id = @tenant AND status = 'needs_attention'
			 GROUP BY cause ->> 'code', cause ->> 'module', cause ->> 'field'
			 ORDER BY count(*) DESC
			 LIMIT 20`,
			pgx.StrictNamedArgs{"tenant": t.UUID()})
		if err != nil {
			return err
		}
		needs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Need, error) {
			var n Need
			var cause []byte
			if err := row.Scan(&cause, &n.Count, (*uuid.UUID)(&n.Newest), &n.Since); err != nil {
				return n, err
			}
			c, err := readCause(cause)
			if c != nil {
				n.Cause = *c
			}
			return n, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("grouping the calls that need a person: %w", err)
	}
	return needs, nil
}
