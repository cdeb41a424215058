package connection_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/connection"
	"hookline/internal/fault"
	"hookline/internal/zoho"
)

func TestAConsentMakesALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.get(); got.Status != connection.NotConnected {
		t.Fatalf("before: %s", got.Status)
	}
	c := w.connect("")
	if c.Status != connection.Connected || c.Centre.Location != "eu" || c.OrgName != "Acme CRM" || c.Edition != "professional" ||
		c.OrgID == "" || c.Currency == "" || c.TimeZone == "" || c.ZohoUser == "" || c.ConnectedBy != "owner@example.com" || c.ConnectedAt.IsZero() {
		t.Errorf("got %+v", c)
	}
	if !slices.Equal(slices.Sorted(slices.Values(c.Scopes)), slices.Sorted(slices.Values(connection.Scopes()))) {
		t.Errorf("scopes %v", c.Scopes)
	}
	if w.woken.Load() != 1 || w.audited("zoho.connected") != 1 {
		t.Errorf("woken %d, audited %d", w.woken.Load(), w.audited("zoho.connected"))
	}
	if c.Budget.Used == 0 || c.Budget.Limit < 50_000 {
		t.Errorf("credits %d of %d", c.Budget.Used, c.Budget.Limit)
	}
}

func TestTheConsentAsksForNoMoreThanNeededAndForALastingToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target, err := w.link.Begin(t.Context(), w.tenant, w.who, w.session)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(target)
	q := u.Query()
	if !strings.HasPrefix(target, w.base+"/oauth/v2/auth?") || q.Get("redirect_uri") != baseURL+"/zoho/callback" ||
		q.Get("response_type") != "code" || q.Get("access_type") != "offline" || q.Get("prompt") != "consent" || len(q.Get("state")) < 43 {
		t.Errorf("went to %s", target)
	}
	if strings.Contains(q.Get("scope"), "ALL") || strings.Contains(q.Get("scope"), "DELETE") || strings.Contains(q.Get("scope"), " ") {
		t.Errorf("scopes %s", q.Get("scope"))
	}
}

func TestAnInstallationWithoutAZohoClientSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bare := connection.New(connection.Deps{DB: w.db, Keys: w.keys, BaseURL: baseURL, Log: slog.New(slog.DiscardHandler),
		Client: zoho.NewClient(zoho.Options{Centres: zoho.Production()})})
	_, err := bare.Begin(t.Context(), w.tenant, w.who, w.session)
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.SentenceOf(err), "ZOHO_CLIENT_ID") {
		t.Errorf("got %v", err)
	}
}

func TestACallbackThatIsNotOursIsRefusedWithoutATokenRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.grant("", connection.Scopes())
	stranger := w.newTenant()

	for name, call := range map[string]func() (connection.Outcome, error){
		"no state":    func() (connection.Outcome, error) { return w.finish(good) },
		"wrong state": func() (connection.Outcome, error) { b := good; b.State = "made-up"; return w.finish(b) },
		"a state that is eleven minutes old": func() (connection.Outcome, error) {
			b := good
			b.State = w.begin()
			w.exec(`UPDATE consents SET created_at = now() - interval '11 minutes' WHERE tenant_id = $1 AND state_hash = $2`, w.tenant.UUID(), sum(b.State))
			return w.finish(b)
		},
		"another browser": func() (connection.Outcome, error) {
			b := good
			b.State = w.begin()
			return w.link.Finish(t.Context(), w.tenant, w.who, sum("another browser"), b)
		},
		"another person": func() (connection.Outcome, error) {
			b := good
			b.State = w.begin()
			return w.link.Finish(t.Context(), w.tenant, connection.Actor{Person: uuid.Must(uuid.NewV7()), Name: "victim@example.com"}, w.session, b)
		},
	} {
		before := w.audited("zoho.callback_refused")
		o, err := call()
		if fault.KindOf(err) != fault.Invalid || fault.SentenceOf(err) == "" {
			t.Errorf("%s: got %+v %v", name, o, err)
		}
		if w.audited("zoho.callback_refused") != before+1 {
			t.Errorf("%s: not in the audit log", name)
		}
	}
	b := good
	b.State = w.begin()
	if _, err := w.link.Finish(t.Context(), stranger, w.who, w.session, b); fault.KindOf(err) != fault.Invalid {
		t.Errorf("another tenant: got %v", err)
	}
	if n := w.tokenRequests(); n != 0 {
		t.Errorf("%d token requests", n)
	}
	if got := w.get(); got.Status != connection.NotConnected {
		t.Errorf("saved %s", got.Status)
	}
}

func TestAUsedStateIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	back := w.grant("", connection.Scopes())
	back.State = w.begin()
	if _, err := w.finish(back); err != nil {
		t.Fatal(err)
	}
	before := w.tokenRequests()
	another := w.grant("", connection.Scopes())
	another.State = back.State
	if _, err := w.finish(another); fault.KindOf(err) != fault.Invalid {
		t.Errorf("with another code: got %v", err)
	}
	w.exec(`UPDATE consents SET used_at = now() - interval '2 minutes' WHERE tenant_id = $1`, w.tenant.UUID())
	if _, err := w.finish(back); fault.KindOf(err) != fault.Invalid {
		t.Errorf("the same one later: got %v", err)
	}
	if w.tokenRequests() != before {
		t.Error("a used state led to a token request")
	}
}

func TestADoubleClickMakesOneLinkAndBothSeeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	back := w.grant("", connection.Scopes())
	back.State = w.begin()
	var both sync.WaitGroup
	outcomes := make([]connection.Outcome, 2)
	errs := make([]error, 2)
	for i := range 2 {
		both.Go(func() { outcomes[i], errs[i] = w.finish(back) })
	}
	both.Wait()
	for i := range 2 {
		if errs[i] != nil || outcomes[i].Result != connection.Linked {
			t.Errorf("click %d: %+v %v", i, outcomes[i], errs[i])
		}
	}
	if n := w.tokenRequests(); n != 1 {
		t.Errorf("%d token requests", n)
	}
}

func TestHostsOutsideTheTableAreRefusedAndNotDialled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trap := newTrap(t)
	good := w.grant("", connection.Scopes()) // of eu
	port := w.base[strings.LastIndex(w.base, ":"):]
	for name, change := range map[string]func(*connection.Callback){
		"a foreign host":           func(b *connection.Callback) { b.AccountsServer = trap.URL },
		"a foreign host and place": func(b *connection.Callback) { b.AccountsServer, b.Location = trap.URL, "zz" },
		"https where the row has http": func(b *connection.Callback) {
			b.AccountsServer = strings.Replace(b.AccountsServer, "http:", "https:", 1)
		},
		"another port":                func(b *connection.Callback) { b.AccountsServer = strings.Replace(b.AccountsServer, port, ":1", 1) },
		"a path":                      func(b *connection.Callback) { b.AccountsServer += "/x" },
		"a slash":                     func(b *connection.Callback) { b.AccountsServer += "/" },
		"user-info":                   func(b *connection.Callback) { b.AccountsServer = strings.Replace(b.AccountsServer, "//", "//a@", 1) },
		"upper case":                  func(b *connection.Callback) { b.AccountsServer = strings.ToUpper(b.AccountsServer) },
		"an unknown place":            func(b *connection.Callback) { b.Location = "zz" },
		"no place":                    func(b *connection.Callback) { b.Location = "" },
		"no host":                     func(b *connection.Callback) { b.AccountsServer = "" },
		"the host of another centre":  func(b *connection.Callback) { b.AccountsServer = w.base },
		"the place of another centre": func(b *connection.Callback) { b.Location = "us" },
	} {
		before := w.audited("zoho.callback_refused")
		b := good
		b.State = w.begin()
		change(&b)
		if _, err := w.finish(b); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
		if w.audited("zoho.callback_refused") != before+1 {
			t.Errorf("%s: not in the audit log", name)
		}
	}
	if n := w.tokenRequests(); n != 0 {
		t.Errorf("%d token requests", n)
	}
	if n := trap.dials.Load(); n != 0 {
		t.Errorf("%d dials to the foreign host", n)
	}
}

func TestACodeOfAnotherCentreConnectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	back := w.grant("", connection.Scopes())
	back.Location, back.AccountsServer = "us", w.base // both of one row, and not the code's
	back.State = w.begin()
	o, err := w.finish(back)
	if err != nil || o.Result != connection.Unlinked || !strings.Contains(o.Reason, "no longer accepts") {
		t.Errorf("got %+v %v", o, err)
	}
	if got := w.get(); got.Status != connection.NotConnected {
		t.Errorf("saved %s", got.Status)
	}
}

// lying is a Zoho that says what the test wants.
type lying struct {
	mu     sync.Mutex
	token  func(form url.Values) (int, string)
	served []string
}

func newLying(t *testing.T) (*lying, string) {
	t.Helper()
	l := &lying{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		l.mu.Lock()
		l.served = append(l.served, r.Method+" "+r.URL.Path)
		token := l.token
		l.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/oauth/v2/token"):
			status, body := token(r.PostForm)
			w.WriteHeader(status)
			io.WriteString(w, body)
		case strings.HasSuffix(r.URL.Path, "/revoke"):
			io.WriteString(w, `{"status":"success"}`)
		case strings.HasSuffix(r.URL.Path, "/org"):
			io.WriteString(w, `{"org":[{"id":"501","company_name":"Acme CRM","license_details":{"paid_type":"free"}}]}`)
		case strings.HasSuffix(r.URL.Path, "/users"):
			io.WriteString(w, `{"users":[{"id":"1","full_name":"P","email":"p@example.com"}]}`)
		case strings.HasSuffix(r.URL.Path, "/settings/modules"):
			io.WriteString(w, `{"modules":[]}`)
		default:
			w.WriteHeader(204)
		}
	}))
	t.Cleanup(server.Close)
	return l, server.URL
}

func (l *lying) says(f func(url.Values) (int, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = f
}

func (l *lying) count(suffix string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.served {
		if strings.HasSuffix(s, suffix) {
			n++
		}
	}
	return n
}

func tokens(apiDomain, name string) string {
	doc, _ := json.Marshal(map[string]any{"access_token": "access-" + name, "refresh_token": "refresh-" + name, "api_domain": apiDomain,
		"expires_in": 3600, "scope": strings.Join(connection.Scopes(), " ")})
	return string(doc)
}

func TestAnAPIDomainThatLiesConnectsNothing(t *testing.T) {
	t.Parallel()
	trap := newTrap(t)
	l, base := newLying(t)
	w := newWorldAt(t, base)
	for name, claimed := range map[string]string{"a foreign host": trap.URL, "another centre": base + "/in", "nothing": ""} {
		l.says(func(url.Values) (int, string) { return 200, tokens(claimed, "x") })
		o, err := w.finish(connection.Callback{State: w.begin(), Code: "c", Location: "eu", AccountsServer: base + "/eu"})
		if err != nil || o.Result != connection.Unlinked {
			t.Errorf("%s: got %+v %v", name, o, err)
		}
		if c := w.get(); c.Status != connection.Failed || c.Reason == "" {
			t.Errorf("%s: status %s %q", name, c.Status, c.Reason)
		}
		if sealed := value[int](w, `SELECT count(*) FROM connections WHERE tenant_id = $1 AND (refresh_sealed IS NOT NULL OR access_sealed IS NOT NULL)`, w.tenant.UUID()); sealed != 0 {
			t.Errorf("%s: tokens kept", name)
		}
	}
	if trap.dials.Load() != 0 || l.count("/org") != 0 {
		t.Errorf("%d dials to the foreign host, %d to the API", trap.dials.Load(), l.count("/org"))
	}
	if l.count("/revoke") != 3 {
		t.Errorf("revoked %d of 3 unused tokens", l.count("/revoke"))
	}
}

func TestARefusalAtZohoIsToldInAPlainSentence(t *testing.T) {
	t.Parallel()
	l, base := newLying(t)
	w := newWorldAt(t, base)
	for _, code := range []string{"access_denied", "<script>alert(1)</script>"} {
		o, err := w.finish(connection.Callback{State: w.begin(), Error: code})
		if err != nil || o.Result != connection.Cancelled || o.Reason == "" || strings.Contains(o.Reason, "<") {
			t.Errorf("%s: got %+v %v", code, o, err)
		}
	}
	for name, answer := range map[string]string{
		"a refused code":    `{"error":"invalid_code"}`,
		"an unknown client": `{"error":"invalid_client"}`,
		"throttled":         `{"error":"Access Denied","status":"failure"}`,
		"HTML":              `<html>maintenance</html>`,
		"nothing":           ``,
		"no refresh token":  strings.Replace(tokens(base+"/eu", "x"), "refresh_token", "other", 1),
		"another JSON":      `[]`,
		"an empty object":   `{}`,
	} {
		l.says(func(url.Values) (int, string) { return 200, answer })
		o, err := w.finish(connection.Callback{State: w.begin(), Code: "c", Location: "eu", AccountsServer: base + "/eu"})
		if err != nil || o.Result != connection.Unlinked || o.Reason == "" || strings.ContainsAny(o.Reason, "<{") {
			t.Errorf("%s: got %+v %v", name, o, err)
		}
		if c := w.get(); c.Status != connection.NotConnected {
			t.Errorf("%s: status %s", name, c.Status)
		}
	}
}

func TestReconnectingTheSameOrganisationReplacesAndRevokesTheOldToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.connect("")
	second := w.connect(first.OrgID)
	if second.OrgID != first.OrgID || !second.ConnectedAt.After(first.ConnectedAt) {
		t.Errorf("got %+v", second)
	}
	if n := w.requests(http.MethodPost, "/oauth/v2/token/revoke"); n != 1 {
		t.Errorf("%d revocations", n)
	}
	if _, err := w.link.API(w.tenant, nil).Org(t.Context()); err != nil {
		t.Errorf("the new token does not work: %v", err)
	}
}

func TestAnotherOrganisationWaitsForTheTypedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.connect("")
	back := w.grant("", connection.Scopes())
	back.State = w.begin()
	o, err := w.finish(back)
	if err != nil || o.Result != connection.OtherOrg {
		t.Fatalf("got %+v %v", o, err)
	}
	if c := w.get(); c.OrgID != first.OrgID || c.Status != connection.Connected || w.woken.Load() != 1 {
		t.Errorf("flows before the yes: %+v", c)
	}
	org, err := w.link.API(w.tenant, nil).Org(t.Context())
	if err != nil || org.ID != first.OrgID {
		t.Errorf("the API speaks to %s: %v", org.ID, err)
	}
	p, waiting, err := w.link.Pending(t.Context(), w.tenant, w.who, w.session)
	if err != nil || !waiting || p.OrgID == first.OrgID || p.OrgName != "Acme CRM" {
		t.Fatalf("pending %+v %v %v", p, waiting, err)
	}
	if _, waiting, _ := w.link.Pending(t.Context(), w.tenant, w.who, sum("another browser")); waiting {
		t.Error("another browser sees it")
	}
	if err := w.link.ConfirmOther(t.Context(), w.tenant, w.who, w.session, "Acme"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a wrong name: %v", err)
	}
	if c := w.get(); c.OrgID != first.OrgID {
		t.Error("a wrong name changed the organisation")
	}
	if err := w.link.ConfirmOther(t.Context(), w.tenant, w.who, w.session, " acme crm "); err != nil {
		t.Fatal(err)
	}
	if c := w.get(); c.OrgID != p.OrgID || c.Status != connection.Connected {
		t.Errorf("after the yes: %+v", c)
	}
	both := value[int](w, `SELECT count(*) FROM audit WHERE tenant_id = $1 AND action = 'zoho.connected' AND detail->>'org' = $2 AND detail->>'org_before' = $3`,
		w.tenant.UUID(), p.OrgID, first.OrgID)
	if both != 1 {
		t.Error("the audit log does not hold both organisations")
	}
	if err := w.link.ConfirmOther(t.Context(), w.tenant, w.who, w.session, "Acme CRM"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a second yes: %v", err)
	}
}

func TestAnotherOrganisationCanBeDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.connect("")
	back := w.grant("", connection.Scopes())
	back.State = w.begin()
	if _, err := w.finish(back); err != nil {
		t.Fatal(err)
	}
	if err := w.link.DeclineOther(t.Context(), w.tenant, w.who, w.session); err != nil {
		t.Fatal(err)
	}
	if n := w.requests(http.MethodPost, "/oauth/v2/token/revoke"); n != 1 {
		t.Errorf("%d revocations", n)
	}
	if c := w.get(); c.OrgID != first.OrgID || c.Status != connection.Connected {
		t.Errorf("got %+v", c)
	}
}

func TestDisconnectingWipesTheTokensAndRevokesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	confirmed, err := w.link.Disconnect(t.Context(), w.tenant, w.who)
	if err != nil || !confirmed {
		t.Fatalf("confirmed %v: %v", confirmed, err)
	}
	if c := w.get(); c.Status != connection.Disconnected {
		t.Errorf("status %s", c.Status)
	}
	if kept := value[int](w, `SELECT count(*) FROM connections WHERE tenant_id = $1 AND (refresh_sealed IS NOT NULL OR access_sealed IS NOT NULL)`, w.tenant.UUID()); kept != 0 {
		t.Error("sealed columns kept")
	}
	if n := w.requests(http.MethodPost, "/oauth/v2/token/revoke"); n != 1 {
		t.Errorf("%d revocations", n)
	}
	asked := w.requests(http.MethodGet, "/org")
	if _, err := w.link.API(w.tenant, nil).Org(t.Context()); classOf(err) != zoho.Token {
		t.Errorf("the API answers %v", err)
	}
	if w.requests(http.MethodGet, "/org") != asked {
		t.Error("Zoho was asked for a link that is gone")
	}
	if _, err := w.link.Disconnect(t.Context(), w.tenant, w.who); fault.KindOf(err) != fault.Conflict {
		t.Errorf("twice: %v", err)
	}
}

func TestTokensAreSealedToTheirTenantAndRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	other := w.neighbour()
	other.connect("")

	var dump string
	for _, id := range []*world{w, other} {
		dump += value[string](id, `SELECT string_agg(convert_from(decode(replace(encode(refresh_sealed || access_sealed, 'escape'), '\', '/'), 'escape'), 'LATIN1') || c::text, ' ') FROM connections c WHERE tenant_id = $1`, id.tenant.UUID())
	}
	if strings.Contains(dump, "1000.") {
		t.Error("a token stands in the row as plain text")
	}
	mine := value[[]byte](w, `SELECT access_sealed FROM connections WHERE tenant_id = $1`, w.tenant.UUID())
	theirs := value[[]byte](other, `SELECT access_sealed FROM connections WHERE tenant_id = $1`, other.tenant.UUID())
	fresh := w.another(w.db)
	for name, sealed := range map[string][]byte{"another tenant's": theirs, "one with a flipped bit": flipped(mine)} {
		w.exec(`UPDATE connections SET access_sealed = $2 WHERE tenant_id = $1`, w.tenant.UUID(), sealed)
		if _, err := fresh.API(w.tenant, nil).Org(t.Context()); err == nil {
			t.Errorf("%s token opens", name)
		}
	}
	w.exec(`UPDATE connections SET access_sealed = $2 WHERE tenant_id = $1`, w.tenant.UUID(), mine)
	if _, err := fresh.API(w.tenant, nil).Org(t.Context()); err != nil {
		t.Errorf("the own token does not open: %v", err)
	}
}

func flipped(b []byte) []byte {
	c := slices.Clone(b)
	c[len(c)-1] ^= 1
	return c
}

func TestAConsentWithFewerRightsSaysWhichAreMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const missing = "ZohoCRM.modules.deals.CREATE"
	fewer := slices.DeleteFunc(connection.Scopes(), func(s string) bool { return s == missing })
	back := w.grant("", fewer)
	back.State = w.begin()
	if o, err := w.finish(back); err != nil || o.Result != connection.Linked {
		t.Fatalf("got %+v %v", o, err)
	}
	c := w.get()
	for _, line := range connection.Words(c.Scopes) {
		if line.What == "Deals" && line.Missing != missing || line.What != "Deals" && line.Missing != "" {
			t.Errorf("words of %s: missing %q", line.What, line.Missing)
		}
	}
	for _, m := range c.Probe {
		for _, r := range m.Rights {
			bad := m.Module == "Deals" && r.Right == connection.Create
			if r.Needed && r.OK == bad {
				t.Errorf("%s %s: %v %q", m.Module, r.Right, r.OK, r.Missing)
			}
			if bad && !strings.Contains(r.Missing, missing) {
				t.Errorf("missing says %q", r.Missing)
			}
		}
	}
}

func TestProgramsConnectToTheSandboxWithoutAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.link.ConnectSandbox(t.Context(), w.tenant, connection.Actor{Name: "hookline"}, w.base, connection.NewOrg{Name: "Bench 1", Edition: "free", DataCentre: "in"})
	if err != nil {
		t.Fatal(err)
	}
	if c := w.get(); c.Status != connection.Connected || c.OrgName != "Bench 1" || c.Edition != "free" || c.Centre.Location != "in" {
		t.Errorf("got %+v", c)
	}
}

func TestNothingOfALinkIsSeenFromAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	stranger := w.newTenant()
	w.in(stranger, func(tx pgx.Tx) error {
		c, err := w.link.Read(context.Background(), tx, w.tenant)
		if err == nil && c.Status != connection.NotConnected {
			t.Errorf("seen: %+v", c)
		}
		return err
	})
}
