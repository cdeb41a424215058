package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/tenant"
)

// Status is what came through a source last.
type Status struct {
	Waiting    bool // nothing came yet
	LastAt     time.Time
	CallID     call.ID
	CallStatus string    // of that call
	Call       call.Call // as its events tell it
	Problem    string    // why the last event could not be read, for a person
	Notes      []string  // what was unclear
}

// Status reads what the source's last call told.
func (s *Sources) Status(ctx context.Context, t tenant.ID, id uuid.UUID) (Status, error) {
	var st Status
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var callID uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT id, received_at, status FROM calls
			WHERE tenant_id = @tenant AND source_id = @source ORDER BY received_at DESC LIMIT 1`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "source": id}).Scan(&callID, &st.LastAt, &st.CallStatus)
		if errors.Is(err, pgx.ErrNoRows) {
			st.Waiting = true
			return nil
		}
		if err != nil {
			return err
		}
		st.CallID = call.ID(callID)
		events, err := eventsOf(ctx, tx, t, st.CallID)
		if err != nil {
			return err
		}
		st.Call = call.Fold(events)
		for _, e := range events {
			st.Notes = append(st.Notes, e.Notes...)
			if e.Problem != "" {
				st.Problem = e.Problem
			}
			if e.At.After(st.LastAt) {
				st.LastAt = e.At
			}
		}
		return nil
	})
	if err != nil {
		return Status{}, fmt.Errorf("reading the state of source %s: %w", id, err)
	}
	return st, nil
}

func eventsOf(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) ([]call.Event, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, kind, at, normalised FROM events
		WHERE tenant_id = @tenant AND call_id = @call ORDER BY at, id LIMIT 200`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()})
	if err != nil {
		return nil, err
	}
	var (
		events     []call.Event
		event      uuid.UUID
		kind       string
		at         time.Time
		normalised []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&event, &kind, &at, &normalised}, func() error {
		e, err := call.UnmarshalEvent(call.EventID(event), call.Kind(kind), at, normalised)
		events = append(events, e)
		return err
	})
	return events, err
}
