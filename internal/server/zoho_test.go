package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/intake"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/seal"
	"hookline/internal/server"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// zohoHouse is the server with a Zoho sandbox, and a browser in which the owner of a business is signed in.
type zohoHouse struct {
	t      *testing.T
	db     *postgres.DB
	desk   *account.Desk
	base   string
	zoho   *sandboxtest.Server
	client zoho.Credentials
	tenant tenant.ID
	owner  account.PersonID
	*http.Client
}

func newZohoHouse(t *testing.T) *zohoHouse {
	t.Helper()
	sandbox := sandboxtest.New(t)
	keys, err := seal.Parse(seal.Generate("test"))
	if err != nil {
		t.Fatal(err)
	}
	db, log := pgtest.New(t), slog.New(slog.DiscardHandler)
	credentials, err := connection.SandboxClient(t.Context(), sandbox.URL)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	desk := &account.Desk{DB: db, Now: time.Now, BaseURL: web.URL, Outbox: &account.Outbox{Keys: keys},
		Furnish: func(context.Context, pgx.Tx, tenant.Tenant) error { return nil }}
	s, err := server.New(server.Deps{
		DB: db, Log: log, Now: time.Now, BaseURL: web.URL, Desk: desk, Sessions: account.NewSessions(db, time.Now), Sandbox: true,
		Consent: []string{sandbox.URL}, Sources: intake.NewSources(db, keys, web.URL),
		Zoho: connection.New(connection.Deps{
			DB: db, Keys: keys, OAuth: credentials, BaseURL: web.URL, Log: log,
			Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(sandbox.URL)}),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = s.Handler()
	h := &zohoHouse{t: t, db: db, desk: desk, base: web.URL, zoho: sandbox, client: credentials}
	h.owner, h.tenant, err = desk.Create(t.Context(), account.SignUp{Email: "owner@example.com", Password: "a long enough phrase", Business: "Acme", Country: "US", Zone: "America/New_York"})
	if err != nil {
		t.Fatal(err)
	}
	h.Client = h.browser(web)
	h.signIn(h.Client, "owner@example.com")
	return h
}

// browser is a client with cookies of its own that follows no redirect.
func (h *zohoHouse) browser(web *httptest.Server) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &http.Client{Transport: web.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (h *zohoHouse) signIn(browser *http.Client, email string) {
	h.t.Helper()
	status, _, _ := h.ask(browser, http.MethodPost, "/login", url.Values{"email": {email}, "password": {"a long enough phrase"}})
	if status != http.StatusSeeOther {
		h.t.Fatalf("sign-in answers %d", status)
	}
}

// ask is one request of a browser: status, where it leads, and the page.
func (h *zohoHouse) ask(browser *http.Client, method, path string, form url.Values) (status int, location, body string) {
	h.t.Helper()
	req, err := http.NewRequest(method, h.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", h.base)
	}
	resp, err := browser.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

func (h *zohoHouse) see(path string) string {
	h.t.Helper()
	status, _, body := h.ask(h.Client, http.MethodGet, path, nil)
	if status != http.StatusOK {
		h.t.Fatalf("GET %s answers %d: %s", path, status, body)
	}
	return body
}

// consent clicks Connect, says yes in Zoho for a new organisation, and gives what Zoho sends back.
func (h *zohoHouse) consent(org string) (query url.Values) {
	h.t.Helper()
	status, location, _ := h.ask(h.Client, http.MethodPost, "/zoho/connect", nil)
	u, err := url.Parse(location)
	if status != http.StatusSeeOther || err != nil || !strings.HasPrefix(location, h.zoho.URL+"/oauth/v2/auth?") {
		h.t.Fatalf("connect answers %d to %s", status, location)
	}
	return h.yes(u, sandboxtest.GrantRequest{NewOrg: &sandboxtest.NewOrg{Name: org, Edition: "standard", Centre: "eu"}})
}

// yes is what Zoho sends back when somebody says yes to what u asks.
func (h *zohoHouse) yes(u *url.URL, g sandboxtest.GrantRequest) url.Values {
	g.ClientID, g.Redirect, g.Scope = h.client.ID, h.base+"/zoho/callback", u.Query().Get("scope")
	got := h.zoho.Control.Grant(g)
	return url.Values{"state": {u.Query().Get("state")}, "code": {got.Code}, "location": {got.Location}, "accounts-server": {got.AccountsServer}}
}

func (h *zohoHouse) callback(query url.Values) (status int, location, body string) {
	h.t.Helper()
	return h.ask(h.Client, http.MethodGet, "/zoho/callback?"+query.Encode(), nil)
}

func (h *zohoHouse) must(body string, texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			h.t.Errorf("the page lacks %q", text)
		}
	}
}

func TestAnOwnerConnectsProbesAndDisconnectsZoho(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.must(h.see("/zoho"), "Connect Zoho", "to find the caller", "Nothing is ever deleted", "built-in sandbox")

	if status, location, body := h.callback(h.consent("Acme CRM")); status != http.StatusSeeOther || location != "/zoho" {
		t.Fatalf("callback answers %d to %s: %s", status, location, body)
	}
	body := h.see("/zoho")
	h.must(body, "Zoho is connected.", "Acme CRM (", "Europe", "Standard", "owner@example.com", "Leads", "Reconnect Zoho", "in the last 24 hours")
	if strings.Contains(body, "Missing") {
		t.Error("the probe finds rights missing")
	}
	if status, location, _ := h.ask(h.Client, http.MethodPost, "/zoho/probe", nil); status != http.StatusSeeOther || location != "/zoho" {
		t.Errorf("probe answers %d to %s", status, location)
	}
	h.must(h.see("/zoho"), "Checked.")

	h.must(h.see("/zoho/disconnect"), "Disconnect Acme CRM?", "no waiting call")
	if status, _, _ := h.ask(h.Client, http.MethodPost, "/zoho/disconnect", nil); status != http.StatusSeeOther {
		t.Errorf("disconnect answers %d", status)
	}
	h.must(h.see("/zoho"), "Zoho is disconnected.", "Disconnected by owner@example.com.", "Reconnect Zoho")
}

func TestARefusedCallbackSaysWhyAndSavesNothing(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	query := h.consent("Acme CRM")
	forged := url.Values{"state": {"made-up"}, "code": query["code"], "location": query["location"], "accounts-server": query["accounts-server"]}
	status, _, body := h.callback(forged)
	if status != http.StatusBadRequest {
		t.Errorf("a foreign state answers %d", status)
	}
	h.must(body, "another browser, workspace or person")

	query.Set("accounts-server", "https://evil.test")
	status, _, body = h.callback(query)
	if status != http.StatusBadRequest {
		t.Errorf("a foreign host answers %d", status)
	}
	h.must(body, "did not come from one of Zoho&#39;s data centres")
	h.must(h.see("/zoho"), "Connect Zoho")
}

func TestACancelledConsentComesBackWithTheReason(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	query := h.consent("Acme CRM")
	status, location, _ := h.callback(url.Values{"state": query["state"], "error": {"<script>alert(1)</script>"}})
	if status != http.StatusSeeOther || location != "/zoho?tried=1" {
		t.Fatalf("answers %d to %s", status, location)
	}
	body := h.see(location)
	h.must(body, "Zoho ended the request without connecting.", "Connect Zoho")
	if strings.Contains(body, "<script>alert") {
		t.Error("the parameter stands on the page")
	}
	if strings.Contains(h.see("/zoho"), "Zoho ended the request") {
		t.Error("the reason stays")
	}
}

func TestAnotherOrganisationAsksForItsNameTyped(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.callback(h.consent("Acme CRM"))
	if status, location, _ := h.callback(h.consent("Acme Holding")); status != http.StatusSeeOther || location != "/zoho/confirm" {
		t.Fatalf("answers %d to %s", status, location)
	}
	h.must(h.see("/zoho"), "Acme CRM (")
	h.must(h.see("/zoho/confirm"), "Type Acme Holding to go on", "Keep Acme CRM", "no waiting call")

	status, _, body := h.ask(h.Client, http.MethodPost, "/zoho/confirm", url.Values{"org_name": {"acme <b>"}})
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong name answers %d", status)
	}
	h.must(body, "Type the organisation&#39;s name exactly", `value="acme &lt;b&gt;"`)
	if status, _, _ := h.ask(h.Client, http.MethodPost, "/zoho/confirm", url.Values{"org_name": {"Acme Holding"}}); status != http.StatusSeeOther {
		t.Errorf("the name answers %d", status)
	}
	h.must(h.see("/zoho"), "Acme Holding (")

	h.callback(h.consent("Third"))
	if status, _, _ := h.ask(h.Client, http.MethodPost, "/zoho/confirm", url.Values{"keep": {"1"}}); status != http.StatusSeeOther {
		t.Errorf("keeping answers %d", status)
	}
	h.must(h.see("/zoho"), "Acme Holding (")
}

func TestAWithdrawnConsentTurnsThePageRed(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.callback(h.consent("Acme CRM"))
	resp, err := http.Post(h.zoho.URL+"/_sandbox/revoke", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h.ask(h.Client, http.MethodPost, "/zoho/probe", nil)
	h.must(h.see("/zoho"), "Needs you", "Zoho no longer accepts", "Reconnect Zoho", "could not be asked")
}

func TestOperatorsAndViewersSeeTheLinkAndMayNotTouchIt(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.callback(h.consent("Acme CRM"))
	for _, role := range []account.Role{account.Operator, account.Viewer} {
		err := h.db.Directory(t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE memberships SET role = $3 WHERE tenant_id = $1 AND person_id = $2`, h.tenant.UUID(), h.owner.UUID(), string(role))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		body := h.see("/zoho")
		h.must(body, "Acme CRM (")
		if strings.Contains(body, "/zoho/connect") || strings.Contains(body, "/zoho/disconnect") {
			t.Errorf("%s is offered what is not allowed", role)
		}
		for _, act := range []string{"POST /zoho/connect", "POST /zoho/probe", "POST /zoho/marker", "POST /zoho/confirm", "GET /zoho/confirm", "GET /zoho/disconnect", "POST /zoho/disconnect", "GET /zoho/callback"} {
			method, path, _ := strings.Cut(act, " ")
			if status, _, _ := h.ask(h.Client, method, path, nil); status != http.StatusForbidden {
				t.Errorf("%s: %s answers %d", role, act, status)
			}
		}
	}
}

// What an administrator changes in Zoho is said on Home, beside the row of the mapping and on the rule before any call
// meets it.
func TestAChangeInZohoIsToldBeforeACallMeetsIt(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.callback(h.consent("Acme CRM"))
	check := func() {
		t.Helper()
		if status, _, body := h.ask(h.Client, http.MethodPost, "/zoho/probe", nil); status != http.StatusSeeOther {
			t.Fatalf("looking again answers %d: %s", status, body)
		}
	}
	rule := url.Values{"revision": {"0"}, "act": {"save"}, "name": {"Haggling"}, "match": {"all"}, "row": {"1"}, "kind.1": {"test"}, "f.1": {"caller"}, "was.1": {"caller"}, "op.1": {"is"}, "v.1": {"contact"},
		"do": {"a1", "a2"}, "do.a1": {"log_call"}, "on.a1": {"deal"}, "do.a2": {"move_stage"}, "stage.a2": {"negotiation/review"}} // stages are compared without case
	if status, _, body := h.ask(h.Client, http.MethodPost, "/rules", rule); status != http.StatusSeeOther {
		t.Fatalf("a rule: %d %s", status, body)
	}
	if status, _, body := h.ask(h.Client, http.MethodPost, "/draft/publish", url.Values{"revision": {"1"}, "untested": {"1"}}); status != http.StatusSeeOther {
		t.Fatalf("publishing it: %d %s", status, body)
	}
	check()
	const changed = "Your set-up does not fit your Zoho"
	if strings.Contains(h.see("/"), changed) {
		t.Fatalf("nothing has changed yet: %s", h.see("/"))
	}
	h.zoho.Control.Settings("", map[string]any{
		"required": map[string]any{"Leads": []string{"Industry"}},
		"hidden":   map[string]any{"Leads": []string{"Company"}},
		"picklists": map[string]any{
			"Leads": map[string]any{"Lead_Status": []string{"New", "Contacted"}},
			"Deals": map[string]any{"Stage": []string{"Qualification", "Demo", "Closed Won", "Closed Lost"}},
		},
	})
	if strings.Contains(h.see("/"), changed) {
		t.Fatal("told before anybody looked")
	}
	check()
	h.must(h.see("/"), changed, "Zoho requires Industry on Leads.", "no longer have the field Company", "“Not Contacted” was renamed or removed",
		`href="/mapping/Leads#field-Industry"`, "names a stage that is gone. No pipeline in Zoho has the stage “negotiation/review”.")
	h.must(h.see("/mapping/Leads"), "Zoho requires Industry on Leads.", "no longer have the field Company", "“Not Contacted” was renamed or removed", `value="put Lead_Status Contacted"`)
	h.must(h.see("/rules"), "No pipeline in Zoho has the stage “negotiation/review”.")
	if n := h.zoho.Control.Stats("").Count("POST", "/crm/v8/{module}"); n != 0 {
		t.Errorf("%d calls met it", n)
	}
	h.zoho.Control.Settings("", map[string]any{"required": map[string]any{}, "hidden": map[string]any{}, "picklists": map[string]any{}})
	check()
	if strings.Contains(h.see("/"), changed) {
		t.Error("told after all is as it was")
	}
}

func TestTheMarkerIsOfferedAddedAndShown(t *testing.T) {
	t.Parallel()
	h := newZohoHouse(t)
	h.callback(h.consent("Acme CRM"))
	h.must(h.see("/zoho"), "No record twice", "Let Hookline add it", "Zoho asks you once more", "Add it by hand", "Hookline Ref", "Not looked at yet", "Assignment rules")
	status, location, _ := h.ask(h.Client, http.MethodPost, "/zoho/marker", nil)
	u, err := url.Parse(location)
	if status != http.StatusSeeOther || err != nil || !strings.Contains(u.Query().Get("scope"), "ZohoCRM.settings.fields.CREATE") {
		t.Fatalf("adding answers %d to %s", status, location)
	}
	h.must(h.see("/zoho"), "Let Hookline add it") // who does not come back has changed nothing
	var org string
	if err := h.db.InTenant(t.Context(), h.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT org_id FROM connections`).Scan(&org)
	}); err != nil {
		t.Fatal(err)
	}
	back := h.yes(u, sandboxtest.GrantRequest{Org: org})
	if status, location, body := h.callback(back); status != http.StatusSeeOther || location != "/zoho#marker" {
		t.Fatalf("coming back answers %d to %s: %s", status, location, body)
	}
	body := h.see("/zoho")
	h.must(body, "Zoho itself refuses a second one", "none yet in the modules that calls write", "to add the field that makes doubles impossible")
	if strings.Contains(body, "Let Hookline add it") {
		t.Error("it is offered where it is there")
	}
}
