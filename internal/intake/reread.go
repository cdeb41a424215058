package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/postgres"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// An event that cannot be read is kept under a call that stands in for the one it tells of. A replay reads its bytes
// once more, with the source's settings as they are then. What can be read goes where it would have gone at once: to
// the call of the id that it names, so that it and every other event of that call are one, whichever came first. The
// stand-in then goes, and leaves only its id, so that what was linked to it still leads somewhere.

// Reread is what a second reading of a call's event came to. The zero Reread: there was nothing to read again.
type Reread struct {
	Call    call.ID // that the event tells of; it is on its way
	Problem string  // why the event still cannot be read; the call still needs a person
	Ignored string  // the kind of event, when it tells of no call: there is nothing to deliver
}

// Read reports whether the event can be read now.
func (r Reread) Read() bool { return r.Call != (call.ID{}) }

// ReadAgain reads the event of a call that could not be read when it came. Ring the Bell after it returns.
func (s *Sources) ReadAgain(ctx context.Context, t tenant.ID, id call.ID, actor string) (Reread, error) {
	var result Reread
	err := s.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		result = Reread{}
		u, err := lockUnread(ctx, tx, t, id)
		if err != nil || u == nil {
			return err
		}
		reading, err := u.read(s.keys)
		unread, still := errors.AsType[*provider.Unreadable](err)
		switch {
		case still:
			result.Problem = unread.Problem
			err = u.stays(ctx, tx, unread.Problem)
		case err != nil:
			return err
		case reading.Ignored != "":
			result.Ignored = reading.Ignored
			err = u.ignore(ctx, tx, reading.Ignored)
		default:
			result.Call = call.IDOf(u.source, reading.Call.ProviderCallID)
			err = u.move(ctx, tx, result.Call, reading)
		}
		if err != nil {
			return err
		}
		detail := map[string]any{"read": result.Read()}
		if result.Read() {
			detail["call"] = result.Call.String()
		}
		return account.Audit(ctx, tx, t, actor, "call.replayed", id.String(), detail)
	})
	if err != nil {
		return Reread{}, fmt.Errorf("reading the event of call %s again: %w", id, err)
	}
	return result, nil
}

// unread is an event that could not be read, with what it takes to try again.
type unread struct {
	tenant   tenant.ID
	call     call.ID // its stand-in
	source   uuid.UUID
	received time.Time
	event    call.EventID
	at       time.Time
	problem  string
	raw      []byte
	headers  []byte
	provider string
	settings provider.Settings
}

// lockUnread finds the event that a call stands in for, and keeps others from reading it too; nil when there is none.
func lockUnread(ctx context.Context, tx pgx.Tx, t tenant.ID, id call.ID) (*unread, error) {
	u := &unread{tenant: t, call: id}
	var normalised, stored []byte
	var country, zone string
	err := tx.QueryRow(ctx, `
		SELECT c.source_id, c.received_at, e.id, e.at, e.normalised, e.raw, e.headers, s.provider, s.settings, t.country, t.time_zone
		FROM calls c
		JOIN events e ON e.tenant_id = c.tenant_id AND e.call_id = c.id
		JOIN sources s ON s.tenant_id = c.tenant_id AND s.id = c.source_id
		JOIN tenants t ON t.id = c.tenant_id
		WHERE c.tenant_id = @tenant AND c.id = @call AND c.status IN ('needs_attention', 'ignored') AND e.kind = 'unreadable'
		LIMIT 1 FOR UPDATE OF c`,
		pgx.StrictNamedArgs{"tenant": t.UUID(), "call": id.UUID()}).Scan(&u.source, &u.received, (*uuid.UUID)(&u.event), &u.at, &normalised, &u.raw, &u.headers,
		&u.provider, &stored, &country, &zone)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	said, err := call.UnmarshalEvent(u.event, call.KindUnreadable, u.at, normalised)
	if err != nil {
		return nil, err
	}
	u.problem = said.Problem
	u.settings, err = readSettings(u.source, stored, country, zone)
	return u, err
}

// read is the second reading.
func (u *unread) read(keys *seal.Keys) (provider.Reading, error) {
	vendor, ok := provider.ByName(u.provider)
	if !ok {
		return provider.Reading{}, fmt.Errorf("source %s has the unknown provider %q", u.source, u.provider)
	}
	if u.raw == nil {
		if strings.HasSuffix(u.problem, rawIsGone) {
			return provider.Reading{}, &provider.Unreadable{Problem: u.problem}
		}
		return provider.Reading{}, &provider.Unreadable{Problem: u.problem + rawIsGone}
	}
	body, err := OpenRaw(keys, u.tenant, u.event, u.raw)
	if err != nil {
		return provider.Reading{}, err
	}
	var kept map[string]string
	if err := json.Unmarshal(u.headers, &kept); err != nil {
		return provider.Reading{}, fmt.Errorf("reading the headers of event %s: %w", u.event, err)
	}
	header := http.Header{}
	for name, v := range kept {
		header.Set(name, v)
	}
	return vendor.Normalise(header, body, u.settings)
}

const rawIsGone = " Its bytes are no longer kept, so it cannot be read again."

// stays keeps the call for a person, with what is wrong now.
func (u *unread) stays(ctx context.Context, tx pgx.Tx, problem string) error {
	cause, err := unreadableCause(u.source, problem)
	if err != nil {
		return err
	}
	if err := u.write(ctx, tx, u.call, call.Event{ID: u.event, Kind: call.KindUnreadable, Problem: problem}); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE calls SET status = 'needs_attention', cause = @cause, outcome = '', changed_at = clock_timestamp()
		WHERE tenant_id = @tenant AND id = @call`,
		pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "call": u.call.UUID(), "cause": cause})
	return err
}

// ignore ends the call of an event that turns out to tell of none, such as a ringing.
func (u *unread) ignore(ctx context.Context, tx pgx.Tx, kind string) error {
	_, err := tx.Exec(ctx, `
		UPDATE calls SET status = 'ignored', cause = NULL, outcome = @outcome, changed_at = clock_timestamp()
		WHERE tenant_id = @tenant AND id = @call`,
		pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "call": u.call.UUID(), "outcome": "Tells of no call: an event of the kind " + kind})
	return err
}

// move stores the reading and brings the event to its call: a new one, in the stand-in's place in the order of
// receipt, or one that other events told of already. Rows are written in the order in which store writes them, so that
// neither can wait for the other in a ring.
func (u *unread) move(ctx context.Context, tx pgx.Tx, to call.ID, reading provider.Reading) error {
	if reading.EventID != "" { // what the vendor calls the event may be known only now: a repeat is one from here on
		if _, err := tx.Exec(ctx, `
			INSERT INTO seen (tenant_id, event_id, call_id) VALUES (@tenant, @event, @call) ON CONFLICT DO NOTHING`,
			pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "event": uuid.UUID(call.IDOfEvent(u.source, reading.EventID)), "call": to.UUID()}); err != nil {
			return err
		}
	}
	notes := append(slices.Clone(reading.Notes), "The event could not be read when it came, but when it was replayed. What was wrong: "+u.problem)
	if err := u.write(ctx, tx, to, call.Event{ID: u.event, Kind: reading.Kind, Call: reading.Call, MoreFollow: reading.MoreFollow, Notes: notes}); err != nil {
		return err
	}
	made, err := tx.Exec(ctx, `
		INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at)
		VALUES (@tenant, @call, @source, @provider_call_id, @received) ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "call": to.UUID(), "source": u.source, "provider_call_id": reading.Call.ProviderCallID, "received": u.received})
	if err != nil {
		return err
	}
	gone, err := tx.Exec(ctx, `
		DELETE FROM calls
		WHERE tenant_id = @tenant AND id = @call
		  AND NOT EXISTS (SELECT FROM events WHERE events.tenant_id = calls.tenant_id AND events.call_id = calls.id)`,
		pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "call": u.call.UUID()})
	if err != nil {
		return err
	}
	if gone.RowsAffected() > 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO stand_ins (tenant_id, id, call_id) VALUES (@tenant, @id, @call)`,
			pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "id": u.call.UUID(), "call": to.UUID()}); err != nil {
			return err
		}
	}
	if made.RowsAffected() > 0 {
		return delivery.Wake(ctx, tx, []tenant.ID{u.tenant})
	}
	return delivery.WakeFor(ctx, tx, []delivery.News{{Tenant: u.tenant, Call: to}})
}

// write puts what the event says in place of what it said, and under the call that it tells of.
func (u *unread) write(ctx context.Context, tx pgx.Tx, of call.ID, e call.Event) error {
	normalised, err := call.MarshalEvent(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE events SET call_id = @call, kind = @kind, normalised = @normalised
		WHERE tenant_id = @tenant AND id = @event AND at = @at`,
		pgx.StrictNamedArgs{"tenant": u.tenant.UUID(), "event": uuid.UUID(u.event), "at": u.at, "call": of.UUID(), "kind": string(e.Kind), "normalised": normalised})
	return err
}

// CallOf gives the call under which a call is found now: itself, or the one that the event it stood in for tells of.
func CallOf(ctx context.Context, db *postgres.DB, t tenant.ID, id call.ID) (call.ID, error) {
	now := id
	err := db.InTenant(ctx, t, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT call_id FROM stand_ins WHERE tenant_id = @tenant AND id = @id`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "id": id.UUID()}).Scan((*uuid.UUID)(&now))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return call.ID{}, fmt.Errorf("looking for what became of call %s: %w", id, err)
	}
	return now, nil
}

// unreadableCallID stands in for the call id of an event that could not be read. The schema knows the prefix: the
// program may delete no other call.
func unreadableCallID(id call.EventID) string { return "event:" + id.String() }

// unreadableCause is why such a call needs a person, as the calls table keeps it.
func unreadableCause(source uuid.UUID, problem string) ([]byte, error) {
	return json.Marshal(delivery.Cause{
		Code: delivery.CauseUnreadable, Sentence: problem + " If the source's settings are the reason, mend them, then replay.", Link: "/sources/" + source.String(),
	})
}
