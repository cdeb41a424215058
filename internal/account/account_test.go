package account

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

func TestWhoMayDoWhat(t *testing.T) {
	for _, c := range []struct {
		action Action
		may    string
	}{
		{See, "owner admin operator viewer"},
		{Operate, "owner admin operator"},
		{Configure, "owner admin"},
		{Administer, "owner admin"},
		{Own, "owner"},
		{"unheard of", ""},
	} {
		for _, r := range []Role{Owner, Admin, Operator, Viewer, "guest", ""} {
			want := r != "" && strings.Contains(c.may, string(r))
			if r.Can(c.action) != want {
				t.Errorf("%q may %s: %v, want %v", r, c.action, !want, want)
			}
		}
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	for password, ok := range map[string]bool{
		"sailboat quiet lantern": true, "ünïcödé-pässwört": true, "日本語のパスワードです": true, " spaces count ": true, "xK9#qLm2": true,
		"short77": false, "password": false, "PASSWORD": false, "iloveyou": false, "aaaaaaaaaaaa": false, "hookline": false,
		"ann@acme.test": false, "acme dental": false, strings.Repeat("ab", 65): false,
	} {
		if problem := passwordProblem(password, "ann@acme.test", "Acme Dental"); (problem == "") != ok {
			t.Errorf("%q: %q", password, problem)
		}
	}
	if n := len(commonPasswords()); n < 3000 {
		t.Errorf("%d common passwords of eight characters and more, want at least 3,000", n)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		" Ann@Acme.Test ": "ann@acme.test", "a+b@mail.example.co": "a+b@mail.example.co",
		"ann": "", "ann@": "", "ann@localhost": "", "Ann <ann@acme.test>": "", "a@b.c\r\nBcc: x@y.z": "", "a@b.c,d@e.f": "", "": "",
		strings.Repeat("a", 250) + "@b.test": "",
	} {
		got, ok := cleanEmail(text)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

func TestThrottleGivesABurstAndThenOneAtATime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	l := limit{"test", 3, 10 * time.Second}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	take := func(subject string) (wait time.Duration) {
		t.Helper()
		err := db.Directory(context.Background(), func(tx pgx.Tx) (err error) {
			wait, err = l.take(context.Background(), tx, subject, now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for i := range 3 {
		if wait := take("a"); wait != 0 {
			t.Fatalf("try %d of the burst waits %s", i+1, wait)
		}
	}
	for range 5 { // refused tries do not push the next turn away
		if wait := take("a"); wait != 10*time.Second {
			t.Fatalf("after the burst: wait %s, want 10 s", wait)
		}
	}
	if wait := take("b"); wait != 0 {
		t.Errorf("another subject waits %s", wait)
	}
	now = now.Add(10 * time.Second)
	if first, second := take("a"), take("a"); first != 0 || second != 10*time.Second {
		t.Errorf("10 s later: %s, %s; want a turn and then 10 s", first, second)
	}
}

func TestThrottleCountsTriesThatComeTogether(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	l := limit{"test", 5, time.Minute}
	now := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted := 0
	for range 20 {
		wg.Go(func() {
			err := db.Directory(context.Background(), func(tx pgx.Tx) error {
				wait, err := l.take(context.Background(), tx, "a", now)
				if err == nil && wait == 0 {
					mu.Lock()
					granted++
					mu.Unlock()
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if granted != 5 {
		t.Errorf("%d of 20 at once got a turn, want 5", granted)
	}
}

func TestAddressesAreThrottledByWhatASubscriberHas(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9",
		"2001:db8:1:2:aaaa::1": "2001:db8:1:2::/64", "2001:db8:1:2:bbbb::2": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "odd": "odd",
	} {
		if got := network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func newDesk(t *testing.T, db *postgres.DB) *Desk {
	t.Helper()
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	return &Desk{
		DB: db, Now: time.Now, Outbox: &Outbox{Keys: keys}, BaseURL: "https://calls.example.com",
		Furnish: func(context.Context, pgx.Tx, tenant.Tenant) error { return nil },
	}
}

func someone(email string) SignUp {
	return SignUp{Email: email, Password: "sailboat quiet lantern", Business: "Acme", Country: "US", Zone: "America/New_York"}
}

func TestSignUpIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	broken := errors.New("rules cannot be written")
	desk.Furnish = func(context.Context, pgx.Tx, tenant.Tenant) error { return broken }
	if _, err := desk.Register(context.Background(), someone("ann@acme.test"), "192.0.2.1"); !errors.Is(err, broken) {
		t.Fatalf("sign-up: %v", err)
	}
	n := 0
	err := db.Directory(context.Background(), func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM memberships) + (SELECT count(*) FROM mails)`).Scan(&n)
	})
	if err != nil || n != 0 {
		t.Errorf("%d rows are left of a sign-up that failed, %v", n, err)
	}
}

func TestASecondAccountForAnAddressIsRefusedToTheOperator(t *testing.T) {
	t.Parallel()
	desk := newDesk(t, pgtest.New(t))
	if _, _, err := desk.Create(context.Background(), someone("ann@acme.test")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := desk.Create(context.Background(), someone("ANN@acme.test")); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the same address again: %v", err)
	}
}

func TestTheAuditLogOnlyGrowsAndStaysInItsTenant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	_, a, err := desk.Create(context.Background(), someone("a@a.test"))
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := desk.Create(context.Background(), someone("b@b.test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{`UPDATE audit SET actor = 'nobody'`, `DELETE FROM audit`} {
		if err := db.InTenant(context.Background(), a, func(tx pgx.Tx) error { _, err := tx.Exec(context.Background(), change); return err }); err == nil {
			t.Errorf("%s went through", change)
		}
	}
	err = db.InTenant(context.Background(), a, func(tx pgx.Tx) error {
		if entries, err := AuditLog(context.Background(), tx, a, uuid.Nil, 10); err != nil || len(entries) != 1 || entries[0].Actor != "a@a.test" {
			t.Errorf("own log: %v, %v", entries, err)
		}
		if entries, err := AuditLog(context.Background(), tx, b, uuid.Nil, 10); err != nil || len(entries) != 0 {
			t.Errorf("another tenant's log: %v, %v", entries, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepingLeavesWhatStillOpensSomething(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	desk := newDesk(t, db)
	if _, err := desk.Register(context.Background(), someone("ann@acme.test"), "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		err := db.Directory(context.Background(), func(tx pgx.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM keys) + (SELECT count(*) FROM mails)`).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := Sweep(context.Background(), db, time.Now()); err != nil || left() != 2 {
		t.Errorf("at once: %d rows left, want the token and the mail; %v", left(), err)
	}
	if err := Sweep(context.Background(), db, time.Now().Add(31*24*time.Hour)); err != nil || left() != 0 {
		t.Errorf("a month later: %d rows left, want none; %v", left(), err)
	}
}

// inbox is a mail server of the test's own.
type inbox struct {
	mu    sync.Mutex
	mails []string
	fault error // what it answers instead of taking the mail
}

func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *inbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b *inbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b *inbox) Reset()                                      {}
func (b *inbox) Logout() error                               { return nil }

func (b *inbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault != nil {
		return b.fault
	}
	b.mails = append(b.mails, string(text))
	return nil
}

func TestAMailIsSentOnceAndWiped(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &inbox{fault: &smtp.SMTPError{Code: 451, Message: "try later"}}
	server := smtp.NewServer(box)
	server.Domain = "localhost"
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })

	db := pgtest.New(t)
	desk := newDesk(t, db)
	send, err := SMTP(seal.Secret("smtp://"+listener.Addr().String()), "hookline@example.com")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Directory(context.Background(), func(tx pgx.Tx) error {
		return desk.Outbox.Post(context.Background(), tx, Mail{To: "ann@acme.test", Subject: "Grüße\r\nBcc: evil@example.com", Text: "Hello"})
	})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := desk.Outbox.KeptMails(context.Background(), db)
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	worker := &SendMail{DB: db, Outbox: desk.Outbox, Send: send}
	job := &river.Job[SendMailArgs]{JobRow: &rivertype.JobRow{}, Args: SendMailArgs{MailID: kept[0].ID}}
	if err := worker.Work(context.Background(), job); err == nil {
		t.Error("a refusal for now is no error: nobody would try again")
	}
	box.mu.Lock()
	box.fault = nil
	box.mu.Unlock()
	for range 2 {
		if err := worker.Work(context.Background(), job); err != nil {
			t.Fatal(err)
		}
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if len(box.mails) != 1 {
		t.Fatalf("%d mails were sent, want 1", len(box.mails))
	}
	if strings.Contains(strings.ToLower(box.mails[0]), "\nbcc:") {
		t.Errorf("a line break in the subject became a header:\n%s", box.mails[0])
	}
	var size int
	err = db.Directory(context.Background(), func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT length(sealed) FROM mails`).Scan(&size)
	})
	if err != nil || size != 0 {
		t.Errorf("a sent mail still has its text: %d bytes, %v", size, err)
	}
}

func TestOwnersAndAdminsAreToldAndNobodyElse(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	desk := newDesk(t, db)
	_, business, err := desk.Create(ctx, someone("owner@acme.test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{Admin, Operator, Viewer} {
		person, _, err := desk.Create(ctx, someone(string(role)+"@acme.test"))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Directory(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO memberships (tenant_id, person_id, role) VALUES ($1, $2, $3)`, business.UUID(), person.UUID(), string(role))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.InTenant(ctx, business, func(tx pgx.Tx) error {
		return desk.TellManagers(ctx, tx, business, "Zoho needs you", "Connect it again.")
	}); err != nil {
		t.Fatal(err)
	}
	kept, err := desk.Outbox.KeptMails(ctx, db)
	var told []string
	for _, m := range kept {
		told = append(told, m.To)
	}
	slices.Sort(told)
	if want := []string{"admin@acme.test", "owner@acme.test"}; err != nil || !slices.Equal(told, want) {
		t.Errorf("told %v, want %v (%v)", told, want, err)
	}
}
