package account

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

func TestASessionThatEndedMeanwhileIsNotBroughtBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	member := join(t, desk, "ann@acme.test")
	store := NewSessions(db, time.Now)
	request := func(id string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/signup", nil)
		if id != "" {
			r.AddCookie(&http.Cookie{Name: Cookie, Value: id})
		}
		return r
	}
	session, err := store.New(request(""), Cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Begin(request(""), httptest.NewRecorder(), session, member.Person, member.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	ended := session.ID

	onItsWay := request(ended)
	session, err = store.Get(onItsWay, Cookie)
	if err != nil || session.IsNew {
		t.Fatalf("the session is not known: %v", err)
	}
	if err := store.EndAll(t.Context(), member); err != nil {
		t.Fatal(err)
	}
	SigningUp(session, member.Person)
	answer := httptest.NewRecorder()
	if err := store.Save(onItsWay, answer, session); err != nil {
		t.Fatal(err)
	}
	if again, err := store.New(request(ended), Cookie); err != nil || !again.IsNew {
		t.Errorf("the ended session is back, as %v, %v", again.Values, err)
	}
	fresh, err := store.New(request(answer.Result().Cookies()[0].Value), Cookie)
	if err != nil || fresh.IsNew {
		t.Fatalf("the browser has no session: %v", err)
	}
	if somebody, ok := PersonOf(fresh); ok {
		t.Errorf("%s is signed in", somebody)
	}
	if !SignedUpHere(fresh, member.Person) {
		t.Error("what the request noted on the session is lost")
	}
}

// newestAudit is the last thing that a tenant's audit log says.
func newestAudit(t *testing.T, db *postgres.DB, of tenant.ID) Entry {
	t.Helper()
	var entries []Entry
	err := db.InTenant(t.Context(), of, func(tx pgx.Tx) (err error) {
		entries, err = AuditLog(t.Context(), tx, of, uuid.Nil, 1)
		return err
	})
	if err != nil || len(entries) == 0 {
		t.Fatalf("the audit log: %v, %v", entries, err)
	}
	return entries[0]
}

func TestWhatEndsSessionsAndSetsPasswordsIsAudited(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	member := join(t, desk, "ann@acme.test")
	store := NewSessions(db, time.Now)
	session, err := store.New(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), Cookie)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		action string
		do     func() error
	}{
		{"session.ended", func() error {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
			if err := store.Begin(r, httptest.NewRecorder(), session, member.Person, member.Tenant.ID); err != nil {
				return err
			}
			open, err := store.List(t.Context(), member.Person, session)
			if err != nil {
				return err
			}
			return store.EndOne(t.Context(), member, open[0].Handle)
		}},
		{"sessions.ended", func() error { return store.EndAll(t.Context(), member) }},
		{"password.reset", func() error {
			return desk.Reset(t.Context(), resetLink(t, desk, "ann@acme.test"), "another quiet lantern", "192.0.2.1")
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.action, err)
		}
		if newest := newestAudit(t, db, member.Tenant.ID); newest.Action != step.action || newest.Actor != "ann@acme.test" {
			t.Errorf("the newest entry is %s by %s, want %s", newest.Action, newest.Actor, step.action)
		}
	}
	if err := desk.Reset(t.Context(), "no such link", "third quiet lantern", "192.0.2.1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a link that does not work: %v", err)
	}
	if err := store.EndOne(t.Context(), member, "00"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a session that is not there: %v", err)
	}
	if newest := newestAudit(t, db, member.Tenant.ID); newest.Action != "password.reset" {
		t.Errorf("what did not happen is audited: %s", newest.Action)
	}
}
