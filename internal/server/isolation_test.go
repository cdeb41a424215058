package server_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/server/servertest"
	"hookline/internal/tenant"
)

// named are the parameters that are no ids: names within the tenant, or secrets that belong to nobody else.
var named = []string{"/rules/", "/mapping/", "/versions/", "/api/v1/versions/", "/verify/", "/reset/", "/mail/", "/static/"}

// since is where a page's stream begins: the time of the answer.
var since = regexp.MustCompile(`since=[\w.]+`)

// fingerprint tells of every version of every row of a tenant's: it changes when any of them is written.
func fingerprint(t *testing.T, s *servertest.Site, of tenant.ID) map[string]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.Database.SuperURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, `
		SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant_id'`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	prints := map[string]string{}
	for _, table := range tables {
		var print string
		err := conn.QueryRow(ctx, `SELECT coalesce(string_agg(concat(tableoid, ctid, xmin), ' ' ORDER BY tableoid, ctid), '') FROM `+
			pgx.Identifier{table}.Sanitize()+` WHERE tenant_id = $1`, of.UUID()).Scan(&print)
		if err != nil {
			t.Fatal(err)
		}
		prints[table] = print
	}
	return prints
}

// TI1–TI3: every route, with every id of another tenant's in its path, its query or its form, under every role and
// by key: as if the id were made up, byte for byte, and nothing of the other tenant's is read or written.
func TestAnotherTenantsIdsAreAsGoodAsMadeUpOnes(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	theirs, ours := l.Owner("b@b.test"), l.Owner("a@a.test")
	first := func(pattern, in string) string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(in)
		if found == nil {
			t.Fatalf("nothing like %s", pattern)
		}
		return found[1]
	}
	const id = `([0-9a-f-]{36})`
	l.connect(theirs)
	source, ourSource := l.source(theirs), l.source(ours)
	c := sarah()
	c.FirstName, c.Summary = "Canary", "Canary asks for the price."
	theirCall := l.receive(source, c).String()
	ourCall := l.receive(ourSource, sarah()).String()
	l.work()
	page := l.until(theirs, "/calls/"+theirCall, "from the webhook to the last record in Zoho")
	l.until(ours, "/calls/"+ourCall, "Held")
	backtestOf := func(b *servertest.Browser) (id string) {
		t.Helper()
		drafted(t, b, buys("canary"))
		b.Post("/draft/backtest", url.Values{"scope": {"30"}})
		draftShows(t, b, "would change.")
		if err := l.DB.InTenant(t.Context(), b.Tenant, func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT id::text FROM backtests`).Scan(&id)
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	ourBacktest := backtestOf(ours)
	l.Visitor().LogIn("b@b.test", servertest.Password) // a second session, which the first may end
	foreign := map[string]string{
		"call":     theirCall,
		"backtest": backtestOf(theirs),
		"event":    first(`/calls/[0-9a-f-]{36}/events/([\w-]+)`, page.Body),
		"source":   source.ID.String(),
		"key":      first(`/settings/keys/`+id+`/revoke`, theirs.Post("/settings/keys", url.Values{"name": {"Canary"}, "role": {"viewer"}}).Body),
		"session":  first(`/settings/security/sessions/([\w-]+)/end`, theirs.Get("/settings/security").Body),
	}
	key := first(`(hk_[\w-]+)`, ours.Post("/settings/keys", url.Values{"name": {"Ours"}, "role": {"operator"}}).Body)
	program := l.Visitor()
	program.Headers.Set("Authorization", "Bearer "+key)

	kinds := []struct{ beginning, kind string }{
		{"/calls/:id/events/:event", "event"}, {"/calls/:id", "call"}, {"/api/v1/calls/:id", "call"}, {"/sources/:id", "source"},
		{"/settings/keys/:id", "key"}, {"/settings/security/sessions/:handle", "session"}, {"/backtests/:id", "backtest"},
	}
	type request struct{ method, path, kind string } // path holds the id as ID
	var asked []request
	walk(t, l.Site, func(method, path, _ string) {
		if !parameter.MatchString(path) {
			return
		}
		for _, k := range kinds {
			if strings.HasPrefix(path, k.beginning) {
				filled := strings.NewReplacer("/calls/:id/events/:event", "/calls/"+theirCall+"/events/ID", ":id", "ID", ":handle", "ID", ":call", ourCall).Replace(path)
				asked = append(asked, request{method, filled, k.kind})
				return
			}
		}
		for _, beginning := range named {
			if strings.HasPrefix(path, beginning) {
				return
			}
		}
		t.Errorf("%s %s: whose id is it? It belongs into this test", method, path)
	})
	asked = append(asked,
		request{http.MethodGet, "/calls/" + ourCall + "/events/ID", "event"}, request{http.MethodPost, "/calls/ID/settle?slot=lead", "call"},
		request{http.MethodGet, "/calls/replay?id=ID", "call"}, request{http.MethodGet, "/calls/replay?like=ID", "call"},
		request{http.MethodPost, "/calls/replay?id=ID", "call"}, request{http.MethodPost, "/calls/replay?like=ID", "call"},
		request{http.MethodGet, "/calls?source=ID", "source"}, request{http.MethodGet, "/calls?q=ID", "call"}, request{http.MethodGet, "/calls/export?source=ID", "source"},
		request{http.MethodGet, "/rules/try?call=ID", "call"}, request{http.MethodGet, "/mapping/Leads?call=ID", "call"},
		request{http.MethodGet, "/backtests/" + ourBacktest + "/calls/ID", "call"},
		request{http.MethodGet, "/api/v1/calls?source=ID", "source"}, request{http.MethodGet, "/api/v1/calls?cursor=ID", "call"},
	)

	before := fingerprint(t, l.Site, theirs.Tenant)
	people := map[string]*servertest.Browser{"key": program, "owner": ours}
	for _, role := range []account.Role{account.Admin, account.Operator, account.Viewer} {
		people[string(role)] = l.Member(ours.Tenant, string(role)+"@a.test", role)
	}
	madeUp := map[string]string{"event": uuid.NewString(), "session": strings.Repeat("0", len(foreign["session"]))}
	for who, b := range people {
		for _, r := range asked {
			if (who == "key") != strings.HasPrefix(r.path, "/api/") {
				continue
			}
			ask := func(id string) servertest.Page {
				path, query, _ := strings.Cut(strings.ReplaceAll(r.path, "ID", id), "?")
				form, err := url.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				if r.method == http.MethodGet {
					return b.Get(path + "?" + query)
				}
				p := b.Post(path, form)
				if p.Status == http.StatusSeeOther {
					p.Body = b.Get(p.Location).Body // and what it says there
				}
				return p
			}
			random := madeUp[r.kind]
			if random == "" {
				random = uuid.NewString()
			}
			got, want := ask(foreign[r.kind]), ask(random)
			alike := func(p servertest.Page) string {
				return p.Location + "\n" + since.ReplaceAllString(strings.NewReplacer(random, "ID", foreign[r.kind], "ID").Replace(p.Body), "")
			}
			if got.Status != want.Status || alike(got) != alike(want) {
				t.Errorf("%s %s by %s: %d, with a made-up id %d, or their bodies differ", r.method, r.path, who, got.Status, want.Status)
			}
			if strings.Contains(got.Body, "Canary") {
				t.Errorf("%s %s by %s shows the other tenant's words", r.method, r.path, who)
			}
			if !strings.Contains(r.path, "?") && got.Status != http.StatusNotFound && got.Status != http.StatusForbidden {
				t.Errorf("%s %s by %s: %d, want 404", r.method, r.path, who, got.Status)
			}
		}
	}

	smuggled := url.Values{
		"tenant_id": {theirs.Tenant.String()}, "tenant": {theirs.Tenant.String()}, "source_id": {foreign["source"]}, "source": {foreign["source"]},
		"connection_id": {theirs.Tenant.String()}, "person_id": {theirs.Person.String()}, "call_id": {theirCall}, "call": {theirCall}, "id": {theirCall},
		"name": {"Taken"}, "provider": {"native"}, "role": {"owner"},
	}
	walk(t, l.Site, func(method, path, needs string) {
		if method == http.MethodPost && needs != "program" && !strings.Contains(path, "logout") {
			ours.Post(filled(path)+"?"+smuggled.Encode(), smuggled)
		}
	})
	for table, now := range fingerprint(t, l.Site, theirs.Tenant) {
		if now != before[table] {
			t.Errorf("rows of the other tenant's in %s were written: %s became %s", table, before[table], now)
		}
	}
}
