package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/harness/browser"
	"hookline/internal/identity"
	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

// decided stores a call of a known Contact that was decided, with what the caller said.
func decided(t *testing.T, b *servertest.Browser, said string) call.ID {
	t.Helper()
	id := call.ID(uuid.New())
	c := sarah()
	c.Transcript = []call.Turn{{Role: call.Caller, Text: said}}
	folded, err := call.MarshalCall(c)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := json.Marshal(routing.Facts{LocalTime: time.Now(), DecidedAt: time.Now(), Open: true,
		Match: identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: "5725767000000111001", Name: "Sarah Johnson"}}})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Site.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) error {
		ctx, source := t.Context(), uuid.New()
		if _, err := tx.Exec(ctx, `INSERT INTO sources (tenant_id, id, provider, name, key_sealed, secrets_sealed) VALUES ($1, $2, 'native', 'Main line', '', '')`, b.Tenant.UUID(), source); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at, status, revision, call, name, number)
			VALUES ($1, $2, $3, $4, clock_timestamp(), 'delivered', 1, $5, 'Sarah Johnson', '+14155550123')`, b.Tenant.UUID(), id.UUID(), source, id.String(), folded); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO decisions (tenant_id, call_id, number, version, rule, facts, decision) VALUES ($1, $2, 1, 0, '', $3, '{}')`, b.Tenant.UUID(), id.UUID(), facts)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// drafted makes a word a buying word, and gives the draft's revision.
func drafted(t *testing.T, b *servertest.Browser, change func(*config.Set)) (revision string) {
	t.Helper()
	err := b.Site.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) error {
		d, err := config.ReadDraft(t.Context(), tx, b.Tenant)
		if err != nil {
			return err
		}
		d, err = config.EditDraft(t.Context(), tx, b.Tenant, b.Email, d.Revision, func(set *config.Set) (string, error) {
			change(set)
			return "A change", nil
		})
		text, _ := json.Marshal(d.Revision)
		revision = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func buys(word string) func(*config.Set) {
	return func(set *config.Set) { set.Rules.Phrases[0].Phrases = append(set.Rules.Phrases[0].Phrases, word) }
}

// draftShows reloads the draft's page until it shows what is wanted.
func draftShows(t *testing.T, b *servertest.Browser, wanted string) servertest.Page {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		p := b.Get("/draft")
		if strings.Contains(visible(p.Body), wanted) {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s\n%s", wanted, visible(p.Body))
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func TestADraftIsTriedOnStoredCallsAndPublishedOnWhatThatSays(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	viewer := s.Member(owner.Tenant, "vic@acme.test", account.Viewer)
	first := drafted(t, owner, buys("offer"))
	if p := owner.Get("/draft"); !strings.Contains(visible(p.Body), "There are no calls yet") || !strings.Contains(p.Body, `href="/rules/phrases"`) {
		t.Errorf("without calls: %s", visible(p.Body))
	}
	changed := decided(t, owner, "Can you make me an offer?")
	decided(t, owner, "Just calling about my order.")

	if p := viewer.Post("/draft/backtest", url.Values{"scope": {"30"}}); p.Status != http.StatusForbidden {
		t.Errorf("a viewer runs one: %d", p.Status)
	}
	if p := viewer.Get("/draft"); strings.Contains(p.Body, "Run the backtest") || !strings.Contains(visible(p.Body), "Owners and admins can") {
		t.Error("a viewer is offered to run one")
	}
	for _, scope := range []string{"soon", "0", "-3", "91", "last0", "last100001"} {
		if p := owner.Post("/draft/backtest", url.Values{"scope": {scope}}); p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", scope, p.Status)
		}
	}
	if p := owner.Post("/draft/backtest", url.Values{"scope": {"30"}}); p.Status != http.StatusSeeOther || p.Location != "/draft#backtest" {
		t.Fatalf("%d %s", p.Status, p.Location)
	}
	p := draftShows(t, owner, "2 calls, 1 would change.")
	for _, words := range []string{"Credits a day", "Call on Contact", "Deal created", "On the calls of the last 30 days, against the defaults, asked for by ann@acme.test"} {
		if !strings.Contains(visible(p.Body), words) {
			t.Errorf("the result lacks %q: %s", words, visible(p.Body))
		}
	}
	compare := regexp.MustCompile(`/backtests/[0-9a-f-]{36}/calls/` + changed.String()).FindString(p.Body)
	if compare == "" || !strings.Contains(p.Body, `href="/calls/`+changed.String()) {
		t.Fatalf("no way to the call: %s", p.Body)
	}
	for _, b := range []*servertest.Browser{owner, viewer} {
		p := b.Get(compare)
		for _, words := range []string{"Live: the defaults", "Known Contact", "Contact who wants to buy", "offer", "Only with the draft", "Deal Name", "Differs"} {
			if !strings.Contains(strings.ToLower(visible(p.Body)), strings.ToLower(words)) {
				t.Errorf("side by side lacks %q: %d %s", words, p.Status, visible(p.Body))
			}
		}
	}

	t.Run("what was tried is not what stands there now", func(t *testing.T) {
		second := drafted(t, owner, buys("order"))
		draftShows(t, owner, "The draft was changed since: run it again.")
		if p := owner.Post("/draft/publish", url.Values{"revision": {second}}); p.Status != http.StatusConflict || !strings.Contains(p.Body, "Publish without a backtest?") {
			t.Errorf("%d", p.Status)
		}
		if p := owner.Post("/draft/publish", url.Values{"revision": {first}}); p.Status != http.StatusConflict {
			t.Errorf("%d", p.Status)
		}
		owner.Post("/draft/backtest", url.Values{"scope": {"last100"}})
		draftShows(t, owner, "2 calls, 2 would change.")
		if p := owner.Post("/draft/publish", url.Values{"revision": {second}, "why": {"Offers are Deals"}}); p.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", p.Status, visible(p.Body))
		}
		if p := owner.Get("/versions"); !strings.Contains(visible(p.Body), "backtest of 2 calls") && !strings.Contains(visible(p.Body), "2 calls, 2 changed") {
			t.Errorf("%s", visible(p.Body))
		}
	})
	t.Run("publishing without one is said, and written down", func(t *testing.T) {
		revision := drafted(t, owner, buys("bargain"))
		p := owner.Post("/draft/publish", url.Values{"revision": {revision}, "why": {"In a hurry"}})
		if p.Status != http.StatusConflict || !strings.Contains(p.Body, "In a hurry") {
			t.Fatalf("%d", p.Status)
		}
		if p := owner.Post("/draft/publish", url.Values{"revision": {revision}, "why": {"In a hurry"}, "untested": {"1"}}); p.Status != http.StatusSeeOther {
			t.Fatalf("%d", p.Status)
		}
		log := visible(owner.Get("/settings/audit").Body)
		if strings.Count(log, "Published rules and mappings without a backtest") != 1 || strings.Count(log, "Published rules and mappings") != 2 {
			t.Errorf("the audit log: %s", log)
		}
	})
}

func TestABacktestsPageSaysHowItEnded(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	decided(t, owner, "Can you make me an offer?")
	drafted(t, owner, buys("offer"))
	put := func(state, beat string) string {
		t.Helper()
		id := uuid.Must(uuid.NewV7())
		err := s.DB.InTenant(t.Context(), owner.Tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO backtests (tenant_id, id, revision, version, scope, total, done, state, asked_by, beat_at)
				VALUES ($1, $2, 1, 0, '{"days":90}', 10000, 1200, $3, 'bob@acme.test', clock_timestamp() - $4::interval)`, owner.Tenant.UUID(), id, state, beat)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id.String()
	}
	running := put("running", "0s")
	p := owner.Get("/draft")
	for _, words := range []string{`max="10000" value="1200"`, "1,200 of 10,000 calls", "Cancel the backtest", `hx-trigger="every`, "asked for by bob@acme.test"} {
		if !strings.Contains(p.Body, words) {
			t.Errorf("running: no %s", words)
		}
	}
	if strings.Contains(p.Body, "Run the backtest") {
		t.Error("a second one is offered")
	}
	if p := owner.Post("/draft/backtest", url.Values{"scope": {"30"}}); p.Status != http.StatusConflict || !strings.Contains(visible(p.Body), "A backtest is running already") {
		t.Errorf("a second one: %d", p.Status)
	}
	if p := owner.Post("/backtests/"+running+"/cancel", url.Values{}); p.Status != http.StatusSeeOther {
		t.Errorf("cancel: %d", p.Status)
	}
	if p := owner.Get("/draft"); !strings.Contains(visible(p.Body), "The backtest was cancelled before it was done.") || !strings.Contains(p.Body, "Run the backtest") {
		t.Errorf("cancelled: %s", visible(p.Body))
	}
	for state, words := range map[string]string{"failed": "The backtest failed, and that is our fault.", "lost": "The backtest was interrupted"} {
		put(state, "0s")
		if p := owner.Get("/draft"); !strings.Contains(visible(p.Body), words) || !strings.Contains(p.Body, "Run the backtest") {
			t.Errorf("%s: %s", state, visible(p.Body))
		}
	}
	put("running", "11s")
	if p := owner.Get("/draft"); !strings.Contains(visible(p.Body), "The backtest was interrupted") || strings.Contains(p.Body, `hx-trigger="every`) {
		t.Errorf("silent: %s", visible(p.Body))
	}
	owner.Post("/draft/backtest", url.Values{"scope": {"90"}})
	draftShows(t, owner, "1 call, 1 would change.")
}

func TestADraftThatMakesCallsFailSaysWhichAndWhereToMendIt(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	failing := decided(t, owner, "Just calling about my order.")
	revision := drafted(t, owner, func(set *config.Set) {
		rows := set.Mappings.Modules["Calls"]
		for i := range rows {
			if rows[i].Field == "Subject" {
				rows[i].Value = "{{ company_name }}"
			}
			if rows[i].Field == "Call_Type" {
				rows[i].Value = "{{ product_interest }}"
			}
		}
	})
	owner.Post("/draft/backtest", url.Values{"scope": {"30"}})
	p := draftShows(t, owner, "1 call, 1 would change, 1 would fail.")
	for _, words := range []string{"Calls that would fail", "Zoho requires", "Would fail"} {
		if !strings.Contains(visible(p.Body), words) {
			t.Errorf("no %q: %s", words, visible(p.Body))
		}
	}
	if !strings.Contains(p.Body, `href="/mapping/Calls#field-`) || !strings.Contains(p.Body, "/calls/"+failing.String()) {
		t.Error("no way to mend it")
	}
	if p := owner.Post("/draft/publish", url.Values{"revision": {revision}}); p.Status != http.StatusSeeOther {
		t.Errorf("publish on it: %d %s", p.Status, visible(p.Body))
	}
	if p := owner.Get("/versions"); !strings.Contains(visible(p.Body), "1 changed, 1 more would fail.") {
		t.Errorf("the version: %s", visible(p.Body))
	}
	drafted(t, owner, func(set *config.Set) {
		rows := set.Mappings.Modules["Calls"]
		for i := range rows {
			if rows[i].Field == "Description" {
				rows[i].Value = "By phone"
			}
		}
	})
	owner.Post("/draft/backtest", url.Values{"scope": {"30"}})
	p = draftShows(t, owner, "1 call, 1 would change.")
	if !strings.Contains(visible(p.Body), "Fails") {
		t.Errorf("what fails already is not marked: %s", visible(p.Body))
	}
}

func TestABacktestInABrowser(t *testing.T) {
	b := browser.Open(t)
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	signIn(b, s, "ann@acme.test")
	drafted(t, owner, buys("offer"))
	b.Check("draft-no-calls", s.URL+"/draft")
	for range 30 {
		decided(t, owner, "Can you make me an offer? That is all for now, and thank you.")
	}
	decided(t, owner, "Just calling about my order.")
	b.Check("draft-untested", s.URL+"/draft")

	write := func(sql string, args ...any) {
		t.Helper()
		if err := s.DB.InTenant(t.Context(), owner.Tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql, args...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	id := uuid.Must(uuid.NewV7())
	write(`INSERT INTO backtests (tenant_id, id, revision, version, scope, total, done, state, asked_by, beat_at)
		VALUES ($1, $2, 1, 0, '{"days":90}', 10000, 1200, 'running', 'ann@acme.test', clock_timestamp() + interval '10 minutes')`, owner.Tenant.UUID(), id)
	b.Check("draft-running", s.URL+"/draft")
	t.Run("the bar moves by itself, typing beside it stays, and its end shows", func(t *testing.T) {
		b.Goto(s.URL + "/draft")
		b.Until(`document.querySelector("progress.bar").value === 1200`)
		b.Type("#why", "Offers are Deals")
		write(`UPDATE backtests SET done = 4000 WHERE id = $1`, id)
		b.Until(`document.querySelector("progress.bar").value === 4000`)
		b.Sees("4,000 of 10,000 calls")
		if typed := browser.Eval[string](b, `document.activeElement.id + ":" + document.getElementById("why").value`); typed != "why:Offers are Deals" {
			t.Errorf("typed: %s", typed)
		}
		b.Do(chromedp.Focus("#cancel-backtest"), chromedp.KeyEvent("\r"))
		b.Sees("The backtest was cancelled before it was done.")
	})
	b.Choose(`[name="scope"]`, "last1000")
	b.Click("Run the backtest")
	b.Sees("31 calls, 30 would change.")
	b.Check("draft-result", s.URL+"/draft")
	b.Goto(s.URL + "/draft")
	b.Sees("1 to 10 of 30, newest first")
	b.Click("Older")
	b.Sees("11 to 20 of 30, newest first")
	compare := browser.Eval[string](b, `document.querySelector('#changed a[href^="/backtests/"]').pathname`)
	b.Check("backtest-call", s.URL+compare)

	drafted(t, owner, func(set *config.Set) {
		rows := set.Mappings.Modules["Calls"]
		for i := range rows {
			if rows[i].Field == "Call_Type" {
				rows[i].Value = "{{ product_interest }}"
			}
		}
	})
	b.Check("draft-outdated", s.URL+"/draft")
	owner.Post("/draft/backtest", url.Values{"scope": {"30"}})
	draftShows(t, owner, "31 would fail")
	b.Check("draft-failing", s.URL+"/draft")
}
