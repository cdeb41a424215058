package delivery

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/mapping"
	"hookline/internal/postgres"
	"hookline/internal/routing"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// States of a delivery.
const (
	Planned = "planned" // not begun
	Sending = "sending" // the intent is committed: from here on a request may have been sent
	Unknown = "unknown" // a request was sent and its answer is lost: looked for before anything is sent again
	Done    = "done"    // Zoho has the record, under ZohoID
	Refused = "refused" // Zoho or the mapping says no: Cause tells why
	Skipped = "skipped" // a later decision has no such delivery
)

// delivery is one Zoho record to be written for a call. The row, with its reference, is committed before the request.
type delivery struct {
	id       uuid.UUID
	slot     string
	revision int // 0 creates, or carries out the decision; later ones update with what that revision of the call knows
	position int
	decision int
	version  int    // of the configuration whose mapping made the draft
	ref      string // what marks the record in Zoho as this delivery's
	draft    mapping.Draft
	state    string
	zohoID   string
	cause    *Cause
	unfit    *Cause        // why a new record cannot be made of the draft; not stored
	intent   time.Time     // when the request was about to be sent, by the database's clock
	looks    int           // read-backs since then that found nothing
	lost     int           // times that it was sent, not answered, and not there
	looked   time.Duration // since the last look; negative: never
	doneAt   time.Time
	changed  bool // differs from the row
	fresh    bool // the intent is this run's own: nothing was sent under it yet
}

// refOf derives a delivery's reference from its id: 16 letters and digits.
func refOf(id uuid.UUID) string {
	return "HK" + strings.TrimRight(base32.StdEncoding.EncodeToString(id[6:]), "=")
}

const (
	payloadPlace  = "deliveries.payload"
	exchangePlace = "attempts.exchange"
)

func sealJSON(keys *seal.Keys, t tenant.ID, place string, row uuid.UUID, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing %s as JSON: %w", place, err)
	}
	return keys.Seal(seal.Compress(plain), t, place, row.String()), nil
}

func openJSON(keys *seal.Keys, t tenant.ID, place string, row uuid.UUID, sealed []byte, into any) error {
	packed, err := keys.Open(sealed, t, place, row.String())
	if err != nil {
		return err
	}
	plain, err := seal.Decompress(packed)
	if err != nil {
		return err
	}
	return readNumbers(plain, into)
}

// readNumbers reads JSON and keeps its numbers as they are written: Zoho's ids and amounts are more than a float holds.
func readNumbers(doc []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	return dec.Decode(into)
}

// readDeliveries gives the call's deliveries in order, drafts opened.
func readDeliveries(ctx context.Context, tx postgres.Querier, keys *seal.Keys, t tenant.ID, id call.ID) ([]*delivery, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, slot, revision, position, decision, version, ref, payload, state, zoho_id, cause, intent_at, looks, lost,
		       COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - looked_at), -1)::float8, done_at
		  FROM deliveries
		 WHERE tenant_id = @tenant AND call_id = @call
		 ORDER BY revision, position`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*delivery, error) {
		d := &delivery{}
		var payload, cause []byte
		var intent, done *time.Time
		var looked float64
		err := row.Scan(&d.id, &d.slot, &d.revision, &d.position, &d.decision, &d.version, &d.ref, &payload, &d.state, &d.zohoID,
			&cause, &intent, &d.looks, &d.lost, &looked, &done)
		if err != nil {
			return nil, err
		}
		d.intent, d.looked, d.doneAt = timeOf(intent), seconds(looked), timeOf(done)
		if payload != nil {
			if err := openJSON(keys, t, payloadPlace, d.id, payload, &d.draft); err != nil {
				return nil, err
			}
		}
		d.cause, err = readCause(cause)
		return d, err
	})
}

// writeDelivery stores the row as it now is. A row that has reached Zoho is never taken back by a plan. The time of the
// intent is that of this run's own: one of before may have made a record, which is looked for from then on.
func (w *Worker) writeDelivery(b *pgx.Batch, t tenant.ID, id call.ID, d *delivery) error {
	payload, err := sealJSON(w.Keys, t, payloadPlace, d.id, d.draft)
	if err != nil {
		return err
	}
	cause, err := writeCause(d.cause)
	if err != nil {
		return err
	}
	b.Queue(`
		INSERT INTO deliveries (tenant_id, id, call_id, slot, revision, position, decision, version, module, action, ref, payload,
		                        state, zoho_id, cause, intent_at, looks, lost, looked_at, done_at)
		VALUES (@tenant, @id, @call, @slot, @revision, @position, @decision, @version, @module, @action, @ref, @payload, @state,
		        @zoho_id, @cause, CASE WHEN @fresh THEN clock_timestamp() END, @looks, @lost,
		        CASE WHEN @looks > 0 THEN clock_timestamp() END, CASE WHEN @state = 'done' THEN clock_timestamp() END)
		ON CONFLICT (tenant_id, id) DO UPDATE
		   SET position = EXCLUDED.position, decision = EXCLUDED.decision, version = EXCLUDED.version, module = EXCLUDED.module,
		       action = EXCLUDED.action, payload = EXCLUDED.payload, state = EXCLUDED.state, zoho_id = EXCLUDED.zoho_id,
		       cause = EXCLUDED.cause, intent_at = COALESCE(EXCLUDED.intent_at, deliveries.intent_at),
		       looks = EXCLUDED.looks, lost = EXCLUDED.lost,
		       looked_at = CASE WHEN EXCLUDED.looks <> deliveries.looks THEN EXCLUDED.looked_at ELSE deliveries.looked_at END,
		       done_at = COALESCE(deliveries.done_at, EXCLUDED.done_at)`,
		pgx.StrictNamedArgs{
			"tenant": t.UUID(), "id": d.id, "call": id.UUID(), "slot": d.slot, "revision": d.revision, "position": d.position,
			"decision": d.decision, "version": d.version, "module": d.draft.Module, "action": d.draft.Action, "ref": d.ref, "payload": payload,
			"state": d.state, "fresh": d.fresh, "zoho_id": d.zohoID, "cause": cause, "looks": d.looks, "lost": d.lost,
		})
	return nil
}

// lastDecision reads the decision that stands, false when the call was never decided.
func lastDecision(ctx context.Context, tx postgres.Querier, t tenant.ID, id call.ID) (decided, bool, error) {
	var d decided
	var facts, decision []byte
	err := tx.QueryRow(ctx, `
		SELECT number, at, version, facts, decision
		  FROM decisions
		 WHERE tenant_id = @tenant AND call_id = @call
		 ORDER BY number DESC
		 LIMIT 1`, pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()}).
		Scan(&d.number, &d.at, &d.version, &facts, &decision)
	if errors.Is(err, pgx.ErrNoRows) {
		return decided{}, false, nil
	}
	if err != nil {
		return decided{}, false, fmt.Errorf("reading the decision on %s: %w", id, err)
	}
	if err := errors.Join(readNumbers(facts, &d.facts), json.Unmarshal(decision, &d.decision)); err != nil {
		return decided{}, false, fmt.Errorf("reading the decision on %s: %w", id, err)
	}
	return d, true, nil
}

// decided is what shall happen with a call, on which facts, by which version of the configuration.
type decided struct {
	number   int
	at       time.Time
	version  int
	facts    routing.Facts // without the call
	decision routing.Decision
}

func writeDecision(b *pgx.Batch, t tenant.ID, id call.ID, d decided) error {
	facts, err := json.Marshal(d.facts)
	if err != nil {
		return fmt.Errorf("writing facts as JSON: %w", err)
	}
	decision, err := json.Marshal(d.decision)
	if err != nil {
		return fmt.Errorf("writing a decision as JSON: %w", err)
	}
	b.Queue(`
		INSERT INTO decisions (tenant_id, call_id, number, version, rule, facts, decision)
		VALUES (@tenant, @call, @number, @version, @rule, @facts, @decision)`,
		pgx.StrictNamedArgs{
			"tenant": t.UUID(), "call": id.UUID(), "number": d.number, "version": d.version,
			"rule": d.decision.Name, "facts": facts, "decision": decision,
		})
	return nil
}

// attempt is one exchange with Zoho that is still to be written down.
type attempt struct {
	id         uuid.UUID
	purpose    string
	deliveries []uuid.UUID
	exchange   zoho.Exchange
	calls      int  // that the request served
	refused    bool // what this call wanted of it
}

// Purposes of attempts, as the log shows them.
const (
	purposeLookUp   = "look up"
	purposeWrite    = "write"
	purposeReadBack = "read back"
)

// storedExchange is what an attempt keeps sealed: bodies, and the path with its query, which holds a phone number.
type storedExchange struct {
	Path     string `json:"path"`
	Request  string `json:"request,omitempty"`
	Response string `json:"response,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (w *Worker) writeAttempts(b *pgx.Batch, t tenant.ID, id call.ID, attempts []attempt) error {
	for _, a := range attempts {
		e := a.exchange
		kept := storedExchange{Path: e.Path, Request: string(e.RequestBody), Response: string(e.ResponseBody)}
		if e.Err != nil {
			kept.Error = e.Err.Message
		}
		sealed, err := sealJSON(w.Keys, t, exchangePlace, a.id, kept)
		if err != nil {
			return err
		}
		path, _, _ := strings.Cut(e.Path, "?")
		b.Queue(`
			INSERT INTO attempts (tenant_id, id, at, call_id, purpose, method, path, status, outcome, duration_ms, credits, calls, exchange)
			VALUES (@tenant, @id, @at, @call, @purpose, @method, @path, @status, @outcome, @took, @credits, @calls, @exchange)`,
			pgx.StrictNamedArgs{
				"tenant": t.UUID(), "id": a.id, "at": e.Started, "call": id.UUID(), "purpose": a.purpose, "method": e.Method,
				"path": path, "status": e.Status, "outcome": a.outcome(), "took": e.Took.Milliseconds(), "credits": e.Credits,
				"calls": a.calls, "exchange": sealed,
			})
		for _, d := range a.deliveries {
			b.Queue(`
				INSERT INTO attempt_deliveries (tenant_id, attempt_id, delivery_id) VALUES (@tenant, @attempt, @delivery)
				ON CONFLICT DO NOTHING`,
				pgx.StrictNamedArgs{"tenant": t.UUID(), "attempt": a.id, "delivery": d})
		}
	}
	return nil
}

// outcome names the exchange's end for the log.
func (a attempt) outcome() string {
	if e := a.exchange.Err; e != nil {
		switch e.Class {
		case zoho.Unknown:
			return "unknown"
		case zoho.Transient, zoho.Limited:
			return "later"
		}
	}
	if a.refused {
		return "refused"
	}
	return "ok"
}
