package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/routing"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

var errNoCall = fault.New(fault.NotFound, "There is no such call.")

// Story is everything that is known of one call: what it was, why it was handled so, and what was written.
type Story struct {
	Row
	Call       call.Call // folded from all its events
	Revision   int       // events
	Cause      *Cause    // why it needs a person
	NextTry    time.Time // zero: nothing is planned
	Behind     call.ID   // the call of the same caller that a person has to settle first; zero: none
	Events     []StoryEvent
	Decision   *StoryDecision // nil: not decided
	Decisions  int            // how often it was decided
	Deliveries []StoryDelivery
	Attempts   []StoryAttempt
	Stages     []Stage
}

// StoryEvent is one webhook of the call.
type StoryEvent struct {
	ID      call.EventID
	Kind    call.Kind
	At      time.Time
	Problem string
	Notes   []string
}

// StoryDecision is the decision that stands.
type StoryDecision struct {
	At       time.Time
	Version  int           // of the configuration
	Facts    routing.Facts // with the match, as they were seen
	Decision routing.Decision
}

// StoryDelivery is one record of the call.
type StoryDelivery struct {
	Slot, Module, Action string
	Revision             int
	State                string
	Ref                  string
	ZohoID               string
	Cause                *Cause
	Fields               map[string]any // as sent, without the reference
	Keys                 []string       // in the mapping's order
	Cut, Empty, Notes    []string
	Version              int    // of the configuration whose mapping filled it
	Left                 string // why nothing was changed in the end
	Transition           string // the step of the record's Blueprint that is taken; empty for none
	IntentAt, DoneAt     time.Time
}

// StoryAttempt is one exchange with Zoho.
type StoryAttempt struct {
	ID       uuid.UUID
	At       time.Time
	Purpose  string // look up, write, read back
	Slots    []string
	Method   string
	Path     string // with query
	Status   int    // 0: no answer
	Outcome  string // ok, refused, unknown, later
	Problem  string // what was wrong with the answer, where Zoho did not say
	Took     time.Duration
	Credits  int
	Calls    int // that the request served; what is shown is this call's part
	Request  string
	Response string
	Gone     bool // the retention of request and answer is over
}

// Stage is one step of the timeline. Took is the time since the step before it.
type Stage struct {
	Name string // received, matched, decided, written, delivered, set aside
	At   time.Time
	Took time.Duration
}

// ShowCall gives a call's story.
func ShowCall(ctx context.Context, db *postgres.DB, keys *seal.Keys, t tenant.ID, id call.ID) (Story, error) {
	var s Story
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		s = Story{}
		rows, err := readRows(ctx, tx, t, id)
		if err != nil {
			return err
		}
		s.Row = rows[0]
		if err := s.readEvents(ctx, tx, t); err != nil {
			return err
		}
		if err := s.readState(ctx, tx, t); err != nil {
			return err
		}
		if err := s.readDecision(ctx, tx, t); err != nil {
			return err
		}
		if err := s.readDeliveries(ctx, tx, keys, t); err != nil {
			return err
		}
		return s.readAttempts(ctx, tx, keys, t)
	})
	if err != nil {
		return Story{}, err
	}
	s.tellStages()
	return s, nil
}

func (s *Story) readEvents(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	j := &job{id: s.ID}
	if err := readEvents(ctx, tx, t, []*job{j}); err != nil {
		return err
	}
	for _, e := range j.events {
		s.Events = append(s.Events, StoryEvent{ID: e.ID, Kind: e.Kind, At: e.At, Problem: e.Problem, Notes: e.Notes})
	}
	s.Call, s.Revision = call.Fold(j.events), len(j.events)
	return nil
}

func (s *Story) readState(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	var cause []byte
	var next *time.Time
	var behind uuid.NullUUID
	err := tx.QueryRow(ctx, `
		SELECT cause, next_at,
		       (SELECT id FROM calls AS unsettled
		         WHERE unsettled.tenant_id = @tenant AND unsettled.caller_key = calls.caller_key AND unsettled.caller_key <> ''
		           AND unsettled.status = 'needs_attention' AND unsettled.cause->>'code' = 'UNSETTLED'
		           AND calls.status IN ('received', 'delivering')
		         LIMIT 1)
		  FROM calls WHERE tenant_id = @tenant AND id = @id`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "id": s.ID.UUID()}).Scan(&cause, &next, &behind)
	if err != nil {
		return fmt.Errorf("reading call %s: %w", s.ID, err)
	}
	s.NextTry, s.Behind = timeOf(next), call.ID(behind.UUID)
	s.Cause, err = readCause(cause)
	return err
}

func (s *Story) readDecision(ctx context.Context, tx pgx.Tx, t tenant.ID) error {
	d, known, err := lastDecision(ctx, tx, t, s.ID)
	if err != nil || !known {
		return err
	}
	d.facts.Call = s.Call
	s.Decisions = d.number
	s.Decision = &StoryDecision{At: d.at, Version: d.version, Facts: d.facts, Decision: d.decision}
	return nil
}

func (s *Story) readDeliveries(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) error {
	deliveries, err := readDeliveries(ctx, tx, keys, t, s.ID)
	if err != nil {
		return fmt.Errorf("reading the deliveries of %s: %w", s.ID, err)
	}
	for _, d := range deliveries {
		s.Deliveries = append(s.Deliveries, StoryDelivery{
			Slot: d.slot, Module: d.draft.Module, Action: d.draft.Action, Revision: d.revision, State: d.state, Ref: d.ref,
			ZohoID: d.zohoID, Cause: d.cause, Fields: d.draft.Fields, Keys: d.draft.Keys, Cut: d.draft.Cut, Empty: d.draft.Empty,
			Notes: d.draft.Notes, Version: d.version, Left: d.draft.Left, Transition: d.draft.Transition, IntentAt: d.intent, DoneAt: d.doneAt,
		})
	}
	return nil
}

func (s *Story) readAttempts(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.ID) error {
	rows, err := tx.Query(ctx, `
		SELECT a.id, a.at, a.purpose, a.method, a.path, a.status, a.outcome, a.duration_ms, a.credits, a.calls, a.exchange,
		       ARRAY(SELECT d.slot FROM attempt_deliveries ad
		               JOIN deliveries d ON d.tenant_id = ad.tenant_id AND d.id = ad.delivery_id
		              WHERE ad.tenant_id = a.tenant_id AND ad.attempt_id = a.id ORDER BY d.position)
		  FROM attempts a
		 WHERE a.tenant_id = @tenant AND a.call_id = @call
		 ORDER BY a.at, a.id
		 LIMIT 200`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": s.ID.UUID()})
	if err != nil {
		return err
	}
	s.Attempts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (StoryAttempt, error) {
		var a StoryAttempt
		var took int
		var sealed []byte
		if err := row.Scan(&a.ID, &a.At, &a.Purpose, &a.Method, &a.Path, &a.Status, &a.Outcome, &took, &a.Credits, &a.Calls, &sealed, &a.Slots); err != nil {
			return a, err
		}
		a.Took = time.Duration(took) * time.Millisecond
		if sealed == nil {
			a.Gone = true
			return a, nil
		}
		var kept storedExchange
		if err := openJSON(keys, t, exchangePlace, a.ID, sealed, &kept); err != nil {
			a.Problem = "What was sent and answered cannot be opened: " + err.Error() + "." // the rest can be
			return a, nil
		}
		a.Path, a.Request, a.Response, a.Problem = kept.Path, kept.Request, kept.Response, kept.Error
		return a, nil
	})
	if err != nil {
		return fmt.Errorf("reading the attempts of %s: %w", s.ID, err)
	}
	return nil
}

// tellStages puts the call's times in a line.
func (s *Story) tellStages() {
	add := func(name string, at time.Time) {
		if at.IsZero() {
			return
		}
		stage := Stage{Name: name, At: at}
		if n := len(s.Stages); n > 0 {
			stage.Took = max(0, at.Sub(s.Stages[n-1].At))
		}
		s.Stages = append(s.Stages, stage)
	}
	add("received", s.ReceivedAt)
	if s.Decision == nil {
		return
	}
	for _, a := range s.Attempts {
		if a.Purpose == purposeLookUp && !a.At.After(s.Decision.At) {
			add("asked Zoho", a.At)
			break
		}
	}
	add("decided", s.Decision.At)
	for _, d := range s.Deliveries {
		if d.State == Done {
			name := d.Module + " written"
			if d.Action == "update" {
				name = d.Module + " updated"
			}
			add(name, d.DoneAt)
		}
	}
	if s.Status == Delivered {
		add("delivered", s.DeliveredAt)
	}
}
