package account

import (
	"strings"
	"testing"

	"hookline/internal/fault"
	"hookline/internal/postgres/pgtest"
)

// join makes a business and gives its owner.
func join(t *testing.T, d *Desk, email string) Member {
	t.Helper()
	person, workspace, err := d.Create(t.Context(), someone(email))
	if err != nil {
		t.Fatal(err)
	}
	m, err := MemberOf(t.Context(), d.DB, person, workspace)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// resetLink asks for a reset link and gives its token out of the mail.
func resetLink(t *testing.T, d *Desk, email string) string {
	t.Helper()
	if err := d.AskReset(t.Context(), email, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	mails, err := d.Outbox.KeptMails(t.Context(), d.DB)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(mails[0].Text, "/reset/")
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

func TestAChangedPasswordEndsAResetLink(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	member := join(t, desk, "ann@acme.test")
	token := resetLink(t, desk, "ann@acme.test")
	if err := desk.ChangePassword(t.Context(), member, "sailboat quiet lantern", "another quiet lantern", "", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if err := desk.Reset(t.Context(), token, "a thief's quiet lantern", "192.0.2.9"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the reset link after the change: %v", err)
	}
	if _, err := desk.SignIn(t.Context(), "ann@acme.test", "another quiet lantern", "192.0.2.1"); err != nil {
		t.Errorf("the changed password: %v", err)
	}
}
