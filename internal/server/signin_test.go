package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/server"
	"hookline/internal/server/servertest"
)

func signUpForm(email string) url.Values {
	return url.Values{"email": {email}, "password": {servertest.Password}, "business": {"Acme Dental"}, "country": {"US"}, "zone": {"America/Chicago"}}
}

var mailed = regexp.MustCompile(`http://\S+?(/(?:verify|reset)/\S+)`)

// linkIn is the path of the newest mailed link to an address.
func linkIn(t *testing.T, s *servertest.Site, to string) string {
	t.Helper()
	mails := s.Mails(to)
	if len(mails) == 0 {
		t.Fatalf("no mail to %s", to)
	}
	m := mailed.FindStringSubmatch(mails[0].Text)
	if m == nil {
		t.Fatalf("no link in %q", mails[0].Text)
	}
	return m[1]
}

func TestSignUpConfirmAndGoOn(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	b := s.Visitor()
	if p := b.Get("/signup"); !strings.Contains(p.Body, `data-guess="zone"`) {
		t.Error("the form does not let the browser guess the zone")
	}
	if p := b.Post("/signup", signUpForm("Ann@Acme.test ")); p.Status != 303 || p.Location != "/check-mail" {
		t.Fatalf("sign up: %d to %q\n%s", p.Status, p.Location, p.Body)
	}
	if p := b.Get("/settings"); p.Status != 303 {
		t.Error("signed in before the address was proved")
	}
	link := linkIn(t, s, "ann@acme.test")
	if p := b.Get(link); p.Status != 200 || !strings.Contains(p.Body, "Confirm") {
		t.Fatalf("the link's page: %d", p.Status)
	}
	if p := b.Post(link, nil); p.Status != 303 || p.Location != "/" {
		t.Fatalf("confirm: %d to %q", p.Status, p.Location)
	}
	if p := b.Get("/settings"); p.Status != 200 || !strings.Contains(p.Body, "Acme Dental") || !strings.Contains(p.Body, "Trial until") || !strings.Contains(p.Body, `value="America/Chicago" selected`) {
		t.Errorf("settings after sign-up: %d", p.Status)
	}
	if p := b.Post(link, nil); p.Status != 404 {
		t.Errorf("the link worked twice: %d", p.Status)
	}
}

func TestAnotherBrowserThatConfirmsIsNotSignedIn(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	s.Visitor().Post("/signup", signUpForm("ann@acme.test"))
	victim := s.Visitor()
	if p := victim.Post(linkIn(t, s, "ann@acme.test"), nil); p.Location != "/login" {
		t.Errorf("confirmed elsewhere: to %q, want the sign-in page", p.Location)
	}
}

func TestARefusedFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	for name, c := range map[string]struct{ field, value, says string }{
		"no address":         {"email", "ann", "Enter an e-mail address"},
		"a short password":   {"password", "seven77", "at least 8"},
		"a leaked password":  {"password", "Password123", "known from leaks"},
		"the business' name": {"password", "acme dental", "not your address or your business"},
		"no business":        {"business", "  ", "name of your business"},
		"no such country":    {"country", "ZZ", "Choose the country"},
		"no such zone":       {"zone", "Mars/Base", "Choose your time zone"},
	} {
		t.Run(name, func(t *testing.T) {
			form := signUpForm("ann@acme.test")
			form.Set(c.field, c.value)
			p := s.Visitor().Post("/signup", form)
			if p.Status != 422 || !strings.Contains(p.Body, c.says) {
				t.Errorf("%d, without %q", p.Status, c.says)
			}
			if c.field != "business" && !strings.Contains(p.Body, `value="Acme Dental"`) {
				t.Error("the business is not kept")
			}
			if strings.Contains(p.Body, servertest.Password) {
				t.Error("the password is sent back")
			}
		})
	}
}

// SA1, SA2
func TestSignInGivesANewSessionId(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	b := s.Owner("ann@acme.test")
	planted := b.Cookie(account.Cookie)
	p := b.Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {servertest.Password}})
	set := ""
	for _, c := range p.Header["Set-Cookie"] {
		if strings.HasPrefix(c, account.Cookie+"=") {
			set = c
		}
	}
	for _, part := range []string{"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(set, part) {
			t.Errorf("Set-Cookie lacks %s: %s", part, set)
		}
	}
	if strings.Contains(set, "Domain") {
		t.Errorf("Set-Cookie names a domain: %s", set)
	}
	fresh := b.Cookie(account.Cookie)
	if fresh == planted || len(fresh) < 22 {
		t.Fatalf("session id is not fresh, or short of 128 bits: %q", fresh)
	}
	old := s.Visitor()
	old.SetCookie(account.Cookie, planted)
	if p := old.Get("/settings"); p.Status != 303 {
		t.Errorf("the planted id is alive: %d", p.Status)
	}
	sum := sha256.Sum256([]byte(fresh))
	if n := countRows(t, s, `SELECT count(*) FROM sessions WHERE encode(id_hash, 'hex') = '`+hex.EncodeToString(sum[:])+`'`); n != 1 {
		t.Errorf("%d rows hold the id's hash, want 1", n)
	}
}

func countRows(t testing.TB, s *servertest.Site, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), s.Database.SuperURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// SA3
func TestPostsOfOtherSitesAreNotCarriedOut(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	for name, header := range map[string][2]string{
		"a foreign origin":   {"Origin", "https://evil.test"},
		"a cross-site fetch": {"Sec-Fetch-Site", "cross-site"},
		"a same-site fetch":  {"Sec-Fetch-Site", "same-site"},
		"a plain-text body":  {"Content-Type", "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			walk(t, s, func(method, path, needs string) {
				if method == http.MethodGet || method == http.MethodHead || needs == "program" {
					return
				}
				r, err := http.NewRequest(method, s.URL+filled(path), strings.NewReader("name=Evil"))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set(header[0], header[1])
				if p := owner.Do(r); p.Status != http.StatusForbidden {
					t.Errorf("%s %s: %d, want 403", method, path, p.Status)
				}
			})
			if p := owner.Get("/settings"); p.Status != 200 || strings.Contains(p.Body, "Evil") {
				t.Error("it was carried out")
			}
		})
	}
}

// SA4
func TestNoGetChangesAnything(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	s.Visitor().Post("/signup", signUpForm("bob@acme.test"))
	link := linkIn(t, s, "bob@acme.test")
	// That data left, and that a callback was refused, is written down; nothing else is.
	const rows = `SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM keys) + (SELECT count(*) FROM mails) + (SELECT count(*) FROM tenants) +
		(SELECT count(*) FROM audit WHERE action NOT IN ('calls.exported', 'zoho.callback_refused'))`
	before := countRows(t, s, rows)
	walk(t, s, func(method, path, needs string) {
		if method == http.MethodGet && path != "/live" { // the stream never ends
			owner.Get(filled(path))
		}
	})
	owner.Get(link)
	if after := countRows(t, s, rows); after != before {
		t.Errorf("%d rows became %d", before, after)
	}
	if p := s.Visitor().Get(link); p.Status != 200 {
		t.Error("opening the link used it up")
	}
}

// SA5
func TestGuessingIsSlowedAndTheOwnerGetsIn(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	s.Owner("ann@acme.test")
	slowed := func(b *servertest.Browser, tries int, email func(int) string) (refused int) {
		for i := range tries {
			b.Headers.Set("X-Forwarded-For", "203.0.113."+email(i)[:1])
			if p := b.Post("/login", url.Values{"email": {email(i)}, "password": {"wrong password"}}); p.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		return refused
	}
	if n := slowed(s.Visitor(), 20, func(int) string { return "ann@acme.test" }); n < 13 {
		t.Errorf("%d of 20 wrong passwords for one account were slowed", n)
	}
	if n := slowed(s.Visitor(), 40, func(i int) string { return string(rune('a'+i%26)) + "nobody@acme.test" }); n < 15 {
		t.Errorf("%d of 40 tries from one address were slowed", n)
	}
	s.Clock.Advance(time.Minute)
	if p := s.Visitor().Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {servertest.Password}}); p.Status != 303 {
		t.Errorf("the owner a minute later: %d", p.Status)
	}
}

// SA5, behind a proxy.
func TestBehindATrustedProxyEachVisitorHasAnAddressAndNobodyChoosesOne(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, func(d *server.Deps) { d.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	s.Owner("ann@acme.test")
	from := func(forwarded, email, password string) int {
		b := s.Visitor()
		b.Headers.Set("X-Forwarded-For", forwarded)
		return b.Post("/login", url.Values{"email": {email}, "password": {password}}).Status
	}
	refused := 0
	for i := range 40 {
		if from("198.51.100."+strconv.Itoa(i)+", 203.0.113.9", "nobody"+strconv.Itoa(i)+"@acme.test", "wrong password") == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < 15 {
		t.Errorf("%d of 40 tries from one address, which claims to be others, were slowed", refused)
	}
	if status := from("203.0.113.10", "ann@acme.test", servertest.Password); status != http.StatusSeeOther {
		t.Errorf("the owner from another address meanwhile: %d", status)
	}
}

func TestWithoutMailNobodyIsToldToWaitForOne(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, func(d *server.Deps) { d.NoMail = true })
	for name, p := range map[string]servertest.Page{
		"sign up": s.Visitor().Get("/signup"), "signed up": s.Visitor().Post("/signup", signUpForm("new@acme.test")), "check mail": s.Visitor().Get("/check-mail"),
		"reset": s.Visitor().Get("/reset"), "asked for a reset": s.Visitor().Post("/reset", url.Values{"email": {"new@acme.test"}}),
	} {
		if p.Status != http.StatusForbidden || !strings.Contains(p.Body, "hookline tenant create") || strings.Contains(p.Body, "We have sent") {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
	if n := countRows(t, s, `SELECT count(*) FROM people`); n != 0 {
		t.Errorf("%d accounts were made that nobody can open", n)
	}
}

// SA6
func TestKnownAndUnknownAddressesGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	s.Owner("known@acme.test")
	blank := regexp.MustCompile(`(un)?known@acme\.test`)
	for name, ask := range map[string]func(email string) servertest.Page{
		"sign in": func(email string) servertest.Page {
			return s.Visitor().Post("/login", url.Values{"email": {email}, "password": {"a wrong password"}})
		},
		"sign up": func(email string) servertest.Page { return s.Visitor().Post("/signup", signUpForm(email)) },
		"reset":   func(email string) servertest.Page { return s.Visitor().Post("/reset", url.Values{"email": {email}}) },
	} {
		t.Run(name, func(t *testing.T) {
			known, unknown := ask("known@acme.test"), ask("unknown@acme.test")
			if known.Status != unknown.Status || known.Location != unknown.Location || blank.ReplaceAllString(known.Body, "") != blank.ReplaceAllString(unknown.Body, "") {
				t.Errorf("known: %d %q, unknown: %d %q, or their bodies differ", known.Status, known.Location, unknown.Status, unknown.Location)
			}
		})
	}
	if mails := s.Mails("known@acme.test"); len(mails) != 2 {
		t.Errorf("%d mails to the known address, want one for the sign-up and one for the reset", len(mails))
	}
	if n := countRows(t, s, `SELECT count(*) FROM tenants`); n != 2 {
		t.Errorf("%d tenants, want the owner's and the new one's", n)
	}
}

// SA7
func TestResetLinks(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	b := s.Owner("ann@acme.test")
	ask := func() string {
		v := s.Visitor()
		v.Headers.Set("X-Forwarded-Host", "evil.test")
		v.Post("/reset", url.Values{"email": {"ann@acme.test"}})
		return linkIn(t, s, "ann@acme.test")
	}
	set := func(link, password string) int {
		return s.Visitor().Post(link, url.Values{"password": {password}}).Status
	}
	older := ask()
	newer := ask()
	if strings.Contains(s.Mails("ann@acme.test")[0].Text, "evil.test") {
		t.Error("the link names a host that a request brought")
	}
	if got := set(older, "another quiet lantern"); got != 404 {
		t.Errorf("an older link after a newer one: %d", got)
	}
	if got := set(newer, "short"); got != 422 {
		t.Errorf("a bad password: %d", got)
	}
	if got := set(newer, "another quiet lantern"); got != 303 {
		t.Fatalf("a good one: %d", got)
	}
	if got := set(newer, "third quiet lantern"); got != 404 {
		t.Errorf("the link a second time: %d", got)
	}
	if p := b.Get("/settings"); p.Status != 303 {
		t.Error("a session outlived the reset")
	}
	if n := countRows(t, s, `SELECT count(*) FROM keys WHERE kind = 'reset' AND convert_from(hash, 'SQL_ASCII') LIKE '%`+newer[7:]+`%'`); n != 0 {
		t.Error("the token stands in the database")
	}
	s.Clock.Advance(time.Hour)
	late := ask()
	s.Clock.Advance(31 * time.Minute)
	if got := set(late, "fourth quiet lantern"); got != 404 {
		t.Errorf("after 31 minutes: %d", got)
	}
	b.LogIn("ann@acme.test", "another quiet lantern")
}

// SA12
func TestEndedSessionsAreDeadAtOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(here, other *servertest.Browser) servertest.Page{
		"log out": func(here, other *servertest.Browser) servertest.Page { return other.Post("/logout", nil) },
		"log out everywhere": func(here, other *servertest.Browser) servertest.Page {
			return here.Post("/settings/security/logout-everywhere", nil)
		},
		"the password changes": func(here, other *servertest.Browser) servertest.Page {
			return here.Post("/settings/security/password", url.Values{"old": {servertest.Password}, "password": {"a new quiet lantern"}})
		},
		"one session is ended": func(here, other *servertest.Browser) servertest.Page {
			handle := regexp.MustCompile(`/sessions/([0-9a-f]{64})/end`).FindStringSubmatch(here.Get("/settings/security").Body)
			return here.Post("/settings/security/sessions/"+handle[1]+"/end", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t)
			here := s.Owner("ann@acme.test")
			other := s.Visitor()
			other.LogIn("ann@acme.test", servertest.Password)
			cookie := other.Cookie(account.Cookie)
			if p := end(here, other); p.Status != 303 {
				t.Fatalf("%d\n%s", p.Status, p.Body)
			}
			other.SetCookie(account.Cookie, cookie)
			if p := other.Get("/settings"); p.Status != 303 || p.Location != "/login?next=%2Fsettings" {
				t.Errorf("the old cookie: %d", p.Status)
			}
		})
	}
}

func TestAMembershipThatEndsClosesTheWorkspace(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	viewer := s.Member(owner.Tenant, "vic@acme.test", account.Viewer)
	if p := viewer.Get("/settings"); p.Status != 200 {
		t.Fatalf("a member: %d", p.Status)
	}
	err := s.DB.Directory(context.Background(), func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `DELETE FROM memberships WHERE person_id = $1`, viewer.Person.UUID())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := viewer.Get("/settings"); p.Status == 200 {
		t.Error("a member no more still sees the workspace")
	}
}

// SA13
func TestSessionsEndWhenIdleAndInAnyCase(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	b := s.Owner("ann@acme.test")
	s.Clock.Advance(13 * 24 * time.Hour)
	if p := b.Get("/settings"); p.Status != 200 {
		t.Fatalf("after 13 days: %d", p.Status)
	}
	s.Clock.Advance(13 * 24 * time.Hour)
	if p := b.Get("/settings"); p.Status != 200 {
		t.Fatalf("after 26 days, seen half-way: %d", p.Status)
	}
	s.Clock.Advance(5 * 24 * time.Hour)
	if p := b.Get("/settings"); p.Status != 303 {
		t.Errorf("after 31 days: %d", p.Status)
	}
	b.LogIn("ann@acme.test", servertest.Password)
	s.Clock.Advance(15 * 24 * time.Hour)
	if p := b.Get("/settings"); p.Status != 303 {
		t.Errorf("idle for 15 days: %d", p.Status)
	}
}

// SA14
func TestLongPasswordsAreWholeAndHugeOnesRefusedFast(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	same := strings.Repeat("long phrase ", 6) // 72 bytes
	form := signUpForm("ann@acme.test")
	form.Set("password", same+"first!!!")
	b := s.Visitor()
	b.Post("/signup", form)
	b.Post(linkIn(t, s, "ann@acme.test"), nil)
	if p := b.Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {same + "second!!"}}); p.Status != 401 {
		t.Errorf("a password that differs after 72 bytes: %d", p.Status)
	}
	b.LogIn("ann@acme.test", same+"first!!!")
	if p := b.Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {strings.Repeat("x", 1<<20)}}); p.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a password of a megabyte: %d", p.Status)
	}
	if p := b.Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {strings.Repeat("x", 1<<19)}}); p.Status != 401 {
		t.Errorf("a password of half a megabyte: %d", p.Status)
	}
}

// XS5
func TestSignInLeadsBackToOurOwnPagesOnly(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	s.Owner("ann@acme.test")
	for next, want := range map[string]string{
		"/settings/team?x=1": "/settings/team?x=1", "//evil.test": "/", "/\\evil.test": "/", "https:evil.test": "/", "https://evil.test/": "/",
		"/\t/evil.test": "/", "": "/", "settings": "/", "/%2f%2fevil.test": "/", "/%5cevil.test": "/",
	} {
		p := s.Visitor().Post("/login", url.Values{"email": {"ann@acme.test"}, "password": {servertest.Password}, "next": {next}})
		s.Clock.Advance(time.Minute)
		if p.Location != want {
			t.Errorf("next %q leads to %q, want %q", next, p.Location, want)
		}
	}
}
