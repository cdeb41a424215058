// Package servertest runs the server on loopback over a database of the test's own, with people who sign up and
// click, for tests of pages and forms.
package servertest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/backtest"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/server"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Password is everybody's.
const Password = "sailboat quiet lantern"

// Mailbox is the path token under which kept mails are shown.
const Mailbox = "test-mailbox"

// Quiet is a log that nobody reads.
var Quiet = slog.New(slog.DiscardHandler)

// Site is a running server.
type Site struct {
	URL      string
	DB       *postgres.DB
	Database *pgtest.Database
	Server   *server.Server
	Desk     *account.Desk
	Keys     *seal.Keys
	Clock    *Clock
	Zoho     *connection.Connections // of nobody, until a test puts another into Deps
	Sources  *intake.Sources
	Bell     *delivery.Bell
	Listener *delivery.Listener
	t        testing.TB
}

// Clock is the site's business time, for tests to turn. It runs with the machine's.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance turns the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// New starts a server; it ends with the test. Change what it depends on, or add to it, in with.
func New(t testing.TB, with ...func(*server.Deps)) *Site {
	t.Helper()
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	database := pgtest.NewDatabase(t)
	s := &Site{DB: database.DB, Database: database, Keys: keys, Clock: &Clock{}, t: t}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Server.Handler().ServeHTTP(w, r) }))
	s.URL = "http://" + web.Listener.Addr().String()
	s.Desk = &account.Desk{
		DB: s.DB, Now: s.Clock.Now, Outbox: &account.Outbox{Keys: keys}, BaseURL: s.URL,
		Furnish: func(context.Context, pgx.Tx, tenant.Tenant) error { return nil },
	}
	log := Quiet
	s.Zoho = connection.New(connection.Deps{DB: s.DB, Keys: keys, BaseURL: s.URL, Log: log,
		Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres("http://127.0.0.1:1")})})
	s.Sources = intake.NewSources(s.DB, keys, s.URL)
	s.Bell = delivery.NewBell(s.DB, log)
	t.Cleanup(s.Bell.Close)
	receiver := intake.New(intake.Deps{DB: s.DB, Keys: keys, Ring: s.Bell.Ring, Now: s.Clock.Now, Log: log})
	t.Cleanup(receiver.Close)
	s.Listener = delivery.NewListener(func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, database.AppURL) }, log)
	s.Run(s.Listener.Run)
	feed := delivery.NewFeed(s.DB, s.Listener)
	d := server.Deps{
		DB: s.DB, Log: log, Now: s.Clock.Now, BaseURL: s.URL, Desk: s.Desk, Zoho: s.Zoho, Keys: keys, Sources: s.Sources,
		Receiver: receiver, Intake: receiver, Feed: feed, Bell: s.Bell, Sessions: account.NewSessions(s.DB, s.Clock.Now), Mailbox: Mailbox,
	}
	for _, change := range with {
		change(&d)
	}
	d.Backtests = backtest.New(backtest.Deps{DB: s.DB, Known: d.Zoho, Log: log, Now: s.Clock.Now})
	t.Cleanup(d.Backtests.Close)
	if s.Server, err = server.New(d); err != nil {
		t.Fatal(err)
	}
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(feed.Close)
	return s
}

// Run lets something work until the test ends.
func (s *Site) Run(work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { work(ctx) })
	s.t.Cleanup(func() { cancel(); done.Wait() })
}

// Browser is a visitor without script: it keeps cookies, follows nothing, and shows what it got.
type Browser struct {
	Site    *Site
	Person  account.PersonID
	Tenant  tenant.ID
	Email   string
	Headers http.Header // sent with every request
	cookies map[string]string
}

// Page is what the server answered.
type Page struct {
	Status   int
	Body     string
	Location string
	Header   http.Header
}

// Visitor is somebody who is not signed in.
func (s *Site) Visitor() *Browser {
	return &Browser{Site: s, Headers: http.Header{}, cookies: map[string]string{}}
}

// Owner makes a business and signs its owner in.
func (s *Site) Owner(email string) *Browser {
	s.t.Helper()
	b := s.Visitor()
	var err error
	b.Email = email
	b.Person, b.Tenant, err = s.Desk.Create(context.Background(), account.SignUp{
		Email: email, Password: Password, Business: "Business of " + email, Country: "US", Zone: "America/New_York",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	b.LogIn(email, Password)
	return b
}

// Member adds somebody with a role to a tenant and signs them in.
func (s *Site) Member(t tenant.ID, email string, role account.Role) *Browser {
	s.t.Helper()
	b := s.Owner(email)
	err := s.DB.Directory(context.Background(), func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE memberships SET tenant_id = @tenant, role = @role WHERE person_id = @person`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "role": string(role), "person": b.Person.UUID()})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	b.Tenant = t
	b.LogIn(email, Password)
	return b
}

// Expel ends somebody's membership.
func (s *Site) Expel(b *Browser) {
	s.t.Helper()
	err := s.DB.Directory(context.Background(), func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `DELETE FROM memberships WHERE person_id = @person`, pgx.StrictNamedArgs{"person": b.Person.UUID()})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// LogIn signs in by the form.
func (b *Browser) LogIn(email, password string) {
	b.Site.t.Helper()
	if p := b.Post("/login", url.Values{"email": {email}, "password": {password}}); p.Status != http.StatusSeeOther {
		b.Site.t.Fatalf("log in as %s: %d\n%s", email, p.Status, p.Body)
	}
}

// Get asks for a page.
func (b *Browser) Get(path string) Page {
	b.Site.t.Helper()
	return b.Send(http.MethodGet, path, nil)
}

// Post sends a form.
func (b *Browser) Post(path string, form url.Values) Page {
	b.Site.t.Helper()
	return b.Send(http.MethodPost, path, form)
}

// Send makes any request; a form goes as its body.
func (b *Browser) Send(method, path string, form url.Values) Page {
	b.Site.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, b.Site.URL+path, body)
	if err != nil {
		b.Site.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.Do(r)
}

// Do sends a request with the browser's headers and cookies, and takes the cookies of the answer.
func (b *Browser) Do(r *http.Request) Page {
	b.Site.t.Helper()
	for name, values := range b.Headers {
		r.Header[name] = values
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value}) // browsers send Secure cookies to loopback
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.Site.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.Site.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return Page{Status: res.StatusCode, Body: string(text), Location: res.Header.Get("Location"), Header: res.Header}
}

// Cookie is the value of a cookie that the browser keeps.
func (b *Browser) Cookie(name string) string { return b.cookies[name] }

// SetCookie puts a cookie into the browser.
func (b *Browser) SetCookie(name, value string) { b.cookies[name] = value }

// Mails are the kept mails to an address, newest first.
func (s *Site) Mails(to string) []account.Mail {
	s.t.Helper()
	kept, err := s.Desk.Outbox.KeptMails(context.Background(), s.DB)
	if err != nil {
		s.t.Fatal(err)
	}
	var mails []account.Mail
	for _, m := range kept {
		if m.To == to {
			mails = append(mails, m.Mail)
		}
	}
	return mails
}
