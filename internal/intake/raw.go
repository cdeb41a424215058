package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/postgres"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

const rawPlace = "events.raw"

// SealRaw packs a body as the events table keeps it: compressed, then sealed for its row.
func SealRaw(keys *seal.Keys, t tenant.ID, id call.EventID, body []byte) []byte {
	return keys.Seal(seal.Compress(body), t, rawPlace, id.String())
}

// OpenRaw gives the bytes as they came. Scrub them before they leave the program.
func OpenRaw(keys *seal.Keys, t tenant.ID, id call.EventID, sealed []byte) ([]byte, error) {
	packed, err := keys.Open(sealed, t, rawPlace, id.String())
	if err != nil {
		return nil, err
	}
	return seal.Decompress(packed)
}

// RawEvent is one webhook of a call as it came, for people: secrets in it are replaced by ***.
type RawEvent struct {
	ID      call.EventID
	At      time.Time
	Kind    call.Kind
	Headers map[string]string
	Body    string // at most 1 MiB
	Cut     bool   // the body was longer
	Gone    bool   // its retention is over
	Problem string
	Notes   []string
}

// maxShown bounds what a page shows of one raw body.
const maxShown = 1 << 20

// RawEvents gives the webhooks of a call, oldest first.
func RawEvents(ctx context.Context, db *postgres.DB, keys *seal.Keys, t tenant.ID, id call.ID) ([]RawEvent, error) {
	var events []RawEvent
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id, at, kind, normalised, raw, headers FROM events
			WHERE tenant_id = @tenant AND call_id = @call ORDER BY at, id LIMIT 50`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()})
		if err != nil {
			return err
		}
		var (
			event                    uuid.UUID
			at                       time.Time
			kind                     string
			normalised, raw, headers []byte
		)
		_, err = pgx.ForEachRow(rows, []any{&event, &at, &kind, &normalised, &raw, &headers}, func() error {
			said, err := call.UnmarshalEvent(call.EventID(event), call.Kind(kind), at, normalised)
			if err != nil {
				return err
			}
			e := RawEvent{ID: said.ID, At: at, Kind: said.Kind, Problem: said.Problem, Notes: said.Notes, Gone: raw == nil}
			if err := json.Unmarshal(headers, &e.Headers); err != nil {
				return err
			}
			if raw != nil {
				if body, err := OpenRaw(keys, t, said.ID, raw); err == nil {
					e.Body, e.Cut = shown(body)
				} else {
					e.Notes = append(e.Notes, "Its bytes cannot be opened: "+err.Error()+".") // the others can be
				}
			}
			events = append(events, e)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the raw events of call %s: %w", id, err)
	}
	return events, nil
}

// shown is a raw body as a page can show it.
func shown(body []byte) (string, bool) {
	cut := len(body) > maxShown
	if cut {
		body = body[:maxShown]
	}
	return string(provider.Scrub(body)), cut
}
