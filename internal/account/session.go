package account

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/sessions"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/tenant"
)

// Cookie is the name of the session's cookie. The prefix makes browsers refuse it from anywhere but this host.
const Cookie = "__Host-hookline"

const (
	sessionIdle     = 14 * 24 * time.Hour // since it was last seen
	sessionAbsolute = 30 * 24 * time.Hour // since it began
	sessionTouch    = time.Minute         // seen_at is written at most so often
)

// keys of a session's values. Values are text; those two that have a column are found by it.
const (
	personValue    = "person"
	tenantValue    = "tenant"
	signingUpValue = "signing_up" // the person whose address this browser is about to prove
)

// Sessions keeps sessions in PostgreSQL behind gorilla's Store: the cookie holds a random id, the row its hash.
type Sessions struct {
	db  *postgres.DB
	now func() time.Time
}

var _ sessions.Store = (*Sessions)(nil)

// NewSessions makes the store. Limits are read off now.
func NewSessions(db *postgres.DB, now func() time.Time) *Sessions {
	return &Sessions{db: db, now: now}
}

// Get is the request's session: the same one however often it is asked for.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New reads the session that the request's cookie names. Without one, or when it has ended, the session is new and
// empty, and costs nothing until it is saved. An error means that the database did not answer.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.Options = &sessions.Options{
		Path: "/", MaxAge: int(sessionAbsolute / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	session.IsNew = true
	cookie, err := r.Cookie(name)
	if err != nil || len(cookie.Value) != len(randomText()) {
		return session, nil
	}
	if err := s.load(r.Context(), session, cookie.Value); err != nil {
		return session, err
	}
	return session, nil
}

func (s *Sessions) load(ctx context.Context, session *sessions.Session, id string) error {
	now := s.now()
	return s.db.Directory(ctx, func(tx pgx.Tx) error {
		var person, workspace *uuid.UUID
		var data []byte
		var seen time.Time
		err := tx.QueryRow(ctx, `
			SELECT person_id, tenant_id, data, seen_at FROM sessions
			WHERE id_hash = @id AND expires_at > @now AND seen_at > @idle`,
			pgx.StrictNamedArgs{"id": hashOf(id), "now": now, "idle": now.Add(-sessionIdle)}).
			Scan(&person, &workspace, &data, &seen)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a session: %w", err)
		}
		values := map[string]string{}
		if err := json.Unmarshal(data, &values); err != nil {
			return fmt.Errorf("reading a session's values: %w", err)
		}
		for k, v := range values {
			session.Values[k] = v
		}
		if person != nil {
			session.Values[personValue] = person.String()
		}
		if workspace != nil {
			session.Values[tenantValue] = workspace.String()
		}
		session.ID, session.IsNew = id, false
		if now.Sub(seen) < sessionTouch {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE sessions SET seen_at = @now WHERE id_hash = @id`,
			pgx.StrictNamedArgs{"id": hashOf(id), "now": now}); err != nil {
			return fmt.Errorf("touching a session: %w", err)
		}
		return nil
	})
}

// Save writes the session's row and sets its cookie; with a negative MaxAge it ends the session instead. A session that
// was ended while the request was on its way is not brought back: the browser gets a new one, in which nobody is
// signed in.
func (s *Sessions) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Options.MaxAge < 0 {
		if err := s.end(r.Context(), session.ID); err != nil {
			return err
		}
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	values := map[string]string{}
	for k, v := range session.Values {
		key, ok := k.(string)
		text, isText := v.(string)
		if !ok || !isText {
			return fmt.Errorf("session value %v is not text", k)
		}
		if key != personValue && key != tenantValue {
			values[key] = text
		}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("writing a session's values: %w", err)
	}
	err = s.db.Directory(r.Context(), func(tx pgx.Tx) error {
		if !session.IsNew {
			tag, err := tx.Exec(r.Context(), `
				UPDATE sessions SET person_id = @person, tenant_id = @tenant, data = @data WHERE id_hash = @id`,
				pgx.StrictNamedArgs{
					"id": hashOf(session.ID), "person": optional(session, personValue), "tenant": optional(session, tenantValue), "data": data,
				})
			if err != nil || tag.RowsAffected() > 0 {
				return err
			}
			delete(session.Values, personValue)
			delete(session.Values, tenantValue)
		}
		session.ID = randomText()
		now := s.now()
		_, err := tx.Exec(r.Context(), `
			INSERT INTO sessions (id_hash, person_id, tenant_id, data, user_agent, address, created_at, seen_at, expires_at)
			VALUES (@id, @person, @tenant, @data, @user_agent, @address, @now, @now, @expires_at)`,
			pgx.StrictNamedArgs{
				"id": hashOf(session.ID), "person": optional(session, personValue), "tenant": optional(session, tenantValue),
				"data": data, "user_agent": clip(r.UserAgent(), 300), "address": addressOf(r),
				"now": now, "expires_at": now.Add(sessionAbsolute),
			})
		return err
	})
	if err != nil {
		return fmt.Errorf("saving a session: %w", err)
	}
	session.IsNew = false
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

// Begin signs a person in: whatever id the browser had before is dead, planted ones too.
func (s *Sessions) Begin(r *http.Request, w http.ResponseWriter, session *sessions.Session, person PersonID, workspace tenant.ID) error {
	if err := s.end(r.Context(), session.ID); err != nil {
		return err
	}
	session.ID, session.IsNew = "", true
	clear(session.Values)
	session.Values[personValue] = person.String()
	if !workspace.IsZero() {
		session.Values[tenantValue] = workspace.String()
	}
	return s.Save(r, w, session)
}

func (s *Sessions) end(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return s.db.Directory(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE id_hash = @id`, pgx.StrictNamedArgs{"id": hashOf(id)}); err != nil {
			return fmt.Errorf("ending a session: %w", err)
		}
		return nil
	})
}

// Open is one signed-in browser as its person sees it.
type Open struct {
	Handle    string // names the session in forms; no secret
	UserAgent string
	Address   string
	CreatedAt time.Time
	SeenAt    time.Time
	Current   bool
}

// List gives a person's sessions, last seen first; current is the one on this request.
func (s *Sessions) List(ctx context.Context, person PersonID, current *sessions.Session) ([]Open, error) {
	now := s.now()
	var all []Open
	err := s.db.Directory(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id_hash, user_agent, address, created_at, seen_at FROM sessions
			WHERE person_id = @person AND expires_at > @now AND seen_at > @idle
			ORDER BY seen_at DESC LIMIT 100`,
			pgx.StrictNamedArgs{"person": person.UUID(), "now": now, "idle": now.Add(-sessionIdle)})
		if err != nil {
			return err
		}
		here := hex.EncodeToString(hashOf(current.ID))
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Open, error) {
			var o Open
			var hash []byte
			err := row.Scan(&hash, &o.UserAgent, &o.Address, &o.CreatedAt, &o.SeenAt)
			o.Handle = hex.EncodeToString(hash)
			o.Current = o.Handle == here
			return o, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return all, nil
}

// EndOne ends one of a member's own sessions by its handle.
func (s *Sessions) EndOne(ctx context.Context, m Member, handle string) error {
	hash, err := hex.DecodeString(handle)
	if err != nil {
		return fault.New(fault.NotFound, "There is no such session.")
	}
	return s.db.InTenant(ctx, m.Tenant.ID, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM sessions WHERE id_hash = @id AND person_id = @person`,
			pgx.StrictNamedArgs{"id": hash, "person": m.Person.UUID()})
		if err != nil {
			return fmt.Errorf("ending a session: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "There is no such session.")
		}
		return Audit(ctx, tx, m.Tenant.ID, m.Email, "session.ended", m.Email, nil)
	})
}

// EndAll signs a member out everywhere.
func (s *Sessions) EndAll(ctx context.Context, m Member) error {
	return s.db.InTenant(ctx, m.Tenant.ID, func(tx pgx.Tx) error {
		if err := endSessions(ctx, tx, m.Person, ""); err != nil {
			return err
		}
		return Audit(ctx, tx, m.Tenant.ID, m.Email, "sessions.ended", m.Email, nil)
	})
}

// endSessions ends a person's sessions but the one whose id is kept.
func endSessions(ctx context.Context, db postgres.Querier, person PersonID, kept string) error {
	if _, err := db.Exec(ctx, `DELETE FROM sessions WHERE person_id = @person AND id_hash <> @kept`,
		pgx.StrictNamedArgs{"person": person.UUID(), "kept": hashOf(kept)}); err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	return nil
}

// PersonOf tells who is signed in on a session; ok is false for nobody.
func PersonOf(session *sessions.Session) (id PersonID, ok bool) {
	u := optional(session, personValue)
	if u == nil {
		return PersonID{}, false
	}
	return PersonID(*u), true
}

// WorkspaceOf tells which tenant is on the page.
func WorkspaceOf(session *sessions.Session) (id tenant.ID, ok bool) {
	u := optional(session, tenantValue)
	if u == nil {
		return tenant.ID{}, false
	}
	return tenant.ID(*u), true
}

// SetWorkspace puts another tenant on the page; save the session afterwards.
func SetWorkspace(session *sessions.Session, id tenant.ID) {
	session.Values[tenantValue] = id.String()
}

// SigningUp remembers, in the browser that signed up, whose address it is about to prove.
func SigningUp(session *sessions.Session, person PersonID) {
	session.Values[signingUpValue] = person.String()
}

// SignedUpHere reports whether this browser is the one that signed up as person.
func SignedUpHere(session *sessions.Session, person PersonID) bool {
	return session.Values[signingUpValue] == person.String()
}

func optional(session *sessions.Session, key string) *uuid.UUID {
	text, _ := session.Values[key].(string)
	u, err := uuid.Parse(text)
	if err != nil {
		return nil
	}
	return &u
}

type addressKey struct{}

// WithAddress notes on the request the peer's address, as the server's IP extractor knows it.
func WithAddress(r *http.Request, address string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), addressKey{}, address))
}

func addressOf(r *http.Request) string {
	address, _ := r.Context().Value(addressKey{}).(string)
	return address
}

// clip makes text of what a browser says of itself: at most n characters, and none that PostgreSQL cannot keep.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n])
}
