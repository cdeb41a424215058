package account

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hookline/internal/postgres/pgtest"
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
	if err := store.EndAll(t.Context(), member.Person); err != nil {
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
