package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/intake"
	"hookline/internal/mapping"
	"hookline/internal/server"
	"hookline/internal/server/servertest"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// line is the whole line for a test: a site, a Zoho sandbox, and a worker between them.
type line struct {
	*servertest.Site
	t     testing.TB
	zoho  *sandboxtest.Server
	links *connection.Connections
}

func newLine(t testing.TB) *line {
	t.Helper()
	l := &line{t: t, zoho: sandboxtest.New(t)}
	l.zoho.Control.Settings("", map[string]any{"search_index_lag_ms": 0})
	credentials, err := connection.SandboxClient(t.Context(), l.zoho.URL)
	if err != nil {
		t.Fatal(err)
	}
	l.Site = servertest.New(t, func(d *server.Deps) {
		l.links = connection.New(connection.Deps{DB: d.DB, Keys: d.Keys, OAuth: credentials, BaseURL: d.BaseURL, Log: d.Log, Connected: delivery.Resume,
			Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(l.zoho.URL)})})
		d.Zoho = l.links
	})
	return l
}

// work starts a worker; it ends with the test.
func (l *line) work() {
	worker := delivery.New(delivery.Deps{DB: l.DB, Keys: l.Keys, Connections: l.links, Listener: l.Listener, Log: servertest.Quiet,
		Poll: 50 * time.Millisecond, Gap: 200 * time.Millisecond})
	l.Run(worker.Run)
}

// connect links the tenant to an organisation of its own.
func (l *line) connect(b *servertest.Browser) (org string) {
	l.t.Helper()
	who := connection.Actor{Person: b.Person.UUID(), Name: b.Email}
	if err := l.links.ConnectSandbox(context.Background(), b.Tenant, who, l.zoho.URL, connection.NewOrg{Name: "Acme CRM", Edition: "professional"}); err != nil {
		l.t.Fatal(err)
	}
	link, err := l.links.Get(context.Background(), b.Tenant)
	if err != nil {
		l.t.Fatal(err)
	}
	l.zoho.Control.Settings(link.OrgID, map[string]any{"search_index_lag_ms": 0})
	return link.OrgID
}

func (l *line) source(b *servertest.Browser) intake.Opened {
	l.t.Helper()
	o, err := l.Sources.Add(context.Background(), b.Tenant, intake.NewSource{Provider: "native", Name: "Main line"})
	if err != nil {
		l.t.Fatal(err)
	}
	return o
}

// receive posts a call as the source's provider would, signed, in the native format.
func (l *line) receive(o intake.Opened, c call.Call) call.ID {
	l.t.Helper()
	if c.ProviderCallID == "" {
		c.ProviderCallID = uuid.NewString()
	}
	turns := []map[string]any{}
	for _, t := range c.Transcript {
		turns = append(turns, map[string]any{"role": t.Role, "text": t.Text, "at_seconds": t.At.Seconds()})
	}
	body, err := json.Marshal(map[string]any{
		"call_id": c.ProviderCallID, "direction": c.Direction, "status": c.Status, "from": c.From, "to": c.To, "started_at": c.StartedAt,
		"duration_seconds": c.Duration.Seconds(), "summary": c.Summary, "intent": c.Intent, "transcript": turns, "recording_url": c.RecordingURL,
		"answers": c.Answers, "agent": c.Agent,
		"caller": map[string]any{"first_name": c.FirstName, "last_name": c.LastName, "company": c.Company, "email": c.Email},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	signer, err := standardwebhooks.NewWebhook(o.Secrets[0].Reveal())
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, o.URL, bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	id, now := uuid.NewString(), time.Now()
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		l.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": fmt.Sprint(now.Unix()), "webhook-signature": signature} {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	var told struct {
		CallID string `json:"call_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&told); err != nil || res.StatusCode != http.StatusOK {
		l.t.Fatalf("the receiver answered %d: %v", res.StatusCode, err)
	}
	stored, err := call.ParseID(told.CallID)
	if err != nil {
		l.t.Fatal(err)
	}
	return stored
}

func sarah() call.Call {
	return call.Call{
		Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: time.Now().Add(-5 * time.Minute).Truncate(time.Second),
		Duration: 245 * time.Second, FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example",
		Summary: "Asks about opening hours.", Intent: "opening_hours",
		Transcript: []call.Turn{{Role: call.Agent, Text: "Thanks for calling Acme."}, {Role: call.Caller, Text: "When are you open?", At: 4 * time.Second}},
	}
}

// until asks for a page until it shows what is wanted.
func (l *line) until(b *servertest.Browser, path, wanted string) servertest.Page {
	l.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		p := b.Get(path)
		if strings.Contains(p.Body, wanted) {
			return p
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("GET %s never showed %q:\n%.2000s", path, wanted, visible(p.Body))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var tags = regexp.MustCompile(`(?s)<svg.*?</svg>|<[^>]*>`)

// visible is a page's text.
func visible(html string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(html, " ")), " ")
}

func TestTestCallIsOneClickFromSignUpToALead(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	home := owner.Get("/")
	for _, want := range []string{"Connect Zoho", "Add a source", "First call received", "First call in Zoho", "since sign-up", "No call yet"} {
		if !strings.Contains(home.Body, want) {
			t.Errorf("home before anything does not show %q", want)
		}
	}
	org := l.connect(owner)
	l.work()
	if p := owner.Post("/test-call", url.Values{}); p.Status != http.StatusSeeOther || p.Location != "/" {
		t.Fatalf("the test call: %d to %q\n%s", p.Status, p.Location, visible(p.Body))
	}
	home = l.until(owner, "/", "Done in")
	if n := strings.Count(home.Body, `class="sr">Done:`); n != 4 {
		t.Errorf("%d steps are ticked, want 4", n)
	}
	if n := len(l.zoho.Control.Records(org, "Leads")); n != 1 {
		t.Errorf("%d Leads, want 1", n)
	}
	if !strings.Contains(home.Body, "All calls delivered") {
		t.Errorf("the pill does not say that all is well: %s", visible(home.Body))
	}
}

func TestACallsPageTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	id := l.receive(l.source(owner), sarah())
	p := l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
	text := visible(p.Body)
	for _, want := range []string{
		"Sarah Johnson", "(415) 555-0123", "Received and checked", "Looked up in Zoho", "Decided", "Lead written in Zoho", "Delivered", "When are you open?",
		"Nobody with this number: a new caller", "Fired", "Does not fit", "Open Lead in Zoho", "Create the Lead", "Log the Call", "Inbound Call",
		"POST /crm/v8/Leads", "$ZOHO_ACCESS_TOKEN", "The call", "call_id",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(p.Body, "1000.") && regexp.MustCompile(`1000\.[0-9a-f]{32}`).MatchString(p.Body) {
		t.Error("the page shows a token")
	}
	if !strings.Contains(p.Body, `/calls/replay?id=`+id.String()) {
		t.Error("the owner cannot replay")
	}
	viewer := l.Member(owner.Tenant, "vic@acme.test", account.Viewer)
	if seen := viewer.Get("/calls/" + id.String()); strings.Contains(seen.Body, "/calls/replay") || !strings.Contains(seen.Body, "When are you open?") {
		t.Error("a viewer sees the transcript and no replay")
	}
}

func TestRawEventIsAFileAndNeverAPage(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	c := sarah()
	c.Summary = `<script>alert(1)</script>`
	id := l.receive(l.source(owner), c)
	page := owner.Get("/calls/" + id.String())
	link := regexp.MustCompile(`/calls/[0-9a-f-]+/events/[0-9a-f-]+`).FindString(page.Body)
	if link == "" {
		t.Fatal("no download on the page")
	}
	p := owner.Get(link)
	if p.Status != http.StatusOK || !strings.Contains(p.Body, "alert(1)") {
		t.Fatalf("download: %d %s", p.Status, p.Body)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"} {
		if got := p.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := p.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") {
		t.Errorf("Content-Disposition: %q", got)
	}
	if p := l.Owner("eve@evil.test").Get(link); p.Status != http.StatusNotFound {
		t.Errorf("another tenant's download: %d", p.Status)
	}
}

func TestRefusedFieldIsNamedAndReplayedOnceZohoDoesWithout(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	l.zoho.Control.Settings(org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	l.work()
	src := l.source(owner)
	id := l.receive(src, sarah())
	p := l.until(owner, "/calls/"+id.String(), "Needs you")
	text := visible(p.Body)
	for _, want := range []string{"Industry", "Fix the mapping"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q: %s", want, text)
		}
	}
	if !strings.Contains(p.Body, "/mapping/Leads#field-Industry") {
		t.Error("no way to the mapping row")
	}
	if home := owner.Get("/"); !strings.Contains(home.Body, "1 call needs you") {
		t.Error("the pill does not say that a call needs somebody")
	}
	l.zoho.Control.Settings(org, map[string]any{"required": map[string]any{}})
	ask := owner.Get("/calls/replay?id=" + id.String())
	if !strings.Contains(ask.Body, "Replay 1 call?") || !strings.Contains(ask.Body, "credits") {
		t.Errorf("the question does not tell the consequence: %s", visible(ask.Body))
	}
	if p := owner.Post("/calls/replay", url.Values{"id": {id.String()}, "config": {"current"}, "back": {"/calls/" + id.String()}}); p.Status != http.StatusSeeOther {
		t.Fatalf("replay: %d %s", p.Status, visible(p.Body))
	}
	l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
	if n := len(l.zoho.Control.Records(org, "Leads")); n != 1 {
		t.Errorf("%d Leads, want 1", n)
	}
}

func TestCallsLikeItAreReplayedTogetherAfterTheMappingIsMended(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	l.zoho.Control.Settings(org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	l.work()
	src := l.source(owner)
	var ids []string
	for n := range 3 {
		c := sarah()
		c.From = call.Phone(fmt.Sprintf("+1415555%04d", 3000+n))
		ids = append(ids, l.receive(src, c).String())
	}
	for _, id := range ids {
		l.until(owner, "/calls/"+id, "Needs you")
	}
	if p := owner.Get("/calls/" + ids[0]); !strings.Contains(p.Body, "Replay this and 2 like it") {
		t.Errorf("the page does not offer the calls like it: %.1500s", visible(p.Body))
	}
	err := l.DB.InTenant(t.Context(), owner.Tenant, func(tx pgx.Tx) error {
		draft, err := config.EditDraft(t.Context(), tx, owner.Tenant, owner.Email, 0, func(set *config.Set) (string, error) {
			set.Mappings.Modules["Leads"] = append(set.Mappings.Modules["Leads"], mapping.Row{Field: "Industry", Value: "Large Enterprise"})
			return "Industry", nil
		})
		if err != nil {
			return err
		}
		_, err = config.Publish(t.Context(), tx, owner.Tenant, config.Publication{Actor: owner.Email, Revision: draft.Revision, Untested: true}, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := owner.Get("/calls/replay?like=" + ids[0])
	if !strings.Contains(ask.Body, "Replay 3 calls?") {
		t.Fatalf("the question: %s", visible(ask.Body))
	}
	if p := owner.Post("/calls/replay", url.Values{"id": ids, "config": {"current"}, "back": {"/calls"}}); p.Status != http.StatusSeeOther {
		t.Fatalf("replay: %d %s", p.Status, visible(p.Body))
	}
	for _, id := range ids {
		p := l.until(owner, "/calls/"+id, "from the webhook to the last record in Zoho")
		if !strings.Contains(visible(p.Body), "Version 1") {
			t.Error("the decision does not name the version that mended it")
		}
	}
	leads := l.zoho.Control.Records(org, "Leads")
	if len(leads) != 3 {
		t.Errorf("%d Leads, want one a caller", len(leads))
	}
	for _, lead := range leads {
		if lead.Text("Industry") != "Large Enterprise" {
			t.Errorf("a Lead without the mended field: %v", lead)
		}
	}
}

func TestLogIsFoundByNumberNameAndZohoID(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	org := l.connect(owner)
	l.work()
	src := l.source(owner)
	id := l.receive(src, sarah())
	other := sarah()
	other.From, other.FirstName, other.LastName = "+14155550199", "Omar", "Haddad"
	second := l.receive(src, other)
	l.until(owner, "/calls?status=delivered", id.String())
	l.until(owner, "/calls?status=delivered", second.String())
	lead := ""
	for _, r := range l.zoho.Control.Records(org, "Leads") {
		if r.Text("Last_Name") == "Johnson" {
			lead = r.ID()
		}
	}
	for _, q := range []string{"(415) 555-0123", "415.555.0123", "+1 415 555 0123", "4155550123", "johnson", "Sarah", lead, id.String()} {
		p := owner.Get("/calls?q=" + url.QueryEscape(q))
		if !strings.Contains(p.Body, `id="call-`+id.String()) || strings.Contains(p.Body, `id="call-`+second.String()) {
			t.Errorf("searching %q: %s", q, visible(p.Body))
		}
	}
	p := owner.Get("/calls?q=nobody+at+all")
	if !strings.Contains(p.Body, "No call fits") || !strings.Contains(p.Body, "Clear filters") {
		t.Errorf("a search that finds nothing says: %s", visible(p.Body))
	}
	if p := owner.Get("/calls?from=yesterday"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "could not be read") {
		t.Errorf("a day that cannot be read: %d", p.Status)
	}
	if p := owner.Get("/calls?cursor=garbage"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a damaged cursor: %d", p.Status)
	}
}

func TestLogIsPagedByKey(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	for n := range 60 {
		c := sarah()
		c.From = call.Phone(fmt.Sprintf("+1415555%04d", 1000+n))
		l.receive(src, c)
	}
	rows := regexp.MustCompile(`id="call-([0-9a-f-]{36})"`)
	first := owner.Get("/calls")
	older := regexp.MustCompile(`/calls\?cursor=[\w%-]+`).FindString(first.Body)
	if older == "" {
		t.Fatal("no way to older calls")
	}
	second := owner.Get(older)
	seen := map[string]bool{}
	for _, m := range append(rows.FindAllStringSubmatch(first.Body, -1), rows.FindAllStringSubmatch(second.Body, -1)...) {
		if seen[m[1]] {
			t.Errorf("call %s stands on both pages", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) != 60 {
		t.Errorf("two pages hold %d calls, want 60", len(seen))
	}
}

func TestNewCallsWaitBehindABarWhileTheListIsInUse(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	old := l.receive(src, sarah())
	quiet := regexp.MustCompile(`data-quiet="([^"]+)"`).FindStringSubmatch(owner.Get("/calls").Body)
	if quiet == nil {
		t.Fatal("the list does not say how it renews itself")
	}
	fresh := l.receive(src, sarah())
	owner.Headers.Set("HX-Request", "true")
	p := owner.Get(strings.ReplaceAll(quiet[1], "&amp;", "&"))
	if strings.Contains(p.Body, "<html") || !strings.Contains(p.Body, "1 new call") {
		t.Errorf("the renewed list: %s", visible(p.Body))
	}
	if !strings.Contains(p.Body, "call-"+old.String()) || strings.Contains(p.Body, "call-"+fresh.String()) {
		t.Error("a new row has moved the old ones")
	}
	if p := owner.Get("/calls"); !strings.Contains(p.Body, "call-"+fresh.String()) {
		t.Error("the list anew does not hold the new call")
	}
}

func TestExportIsSafeInASpreadsheet(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	names := []string{`=HYPERLINK("http://evil.test")`, "+1", "-1", "@x", `"quoted", and more`}
	for _, name := range names {
		c := sarah()
		c.FirstName, c.LastName, c.CallerName = name, "", ""
		l.receive(src, c)
	}
	p := owner.Get("/calls/export")
	if got := p.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") {
		t.Errorf("Content-Disposition: %q", got)
	}
	lines, err := csv.NewReader(strings.NewReader(p.Body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(names)+1 {
		t.Fatalf("%d lines, want %d", len(lines), len(names)+1)
	}
	for _, cells := range lines[1:] {
		for i, cell := range cells {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("cell %s begins like a formula: %q", lines[0][i], cell)
			}
		}
	}
}

func TestTextOfCallersIsNeverMarkup(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	l.work()
	src := l.source(owner)
	payloads := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `</title><svg/onload=alert(1)>`, `{{ last_name }}`}
	var ids []call.ID
	for _, x := range payloads {
		c := sarah()
		c.ProviderCallID = x + uuid.NewString()
		c.FirstName, c.LastName, c.Company, c.Summary, c.Intent, c.Agent, c.RecordingURL = x, x, x, x, x, x, x
		c.Transcript = []call.Turn{{Role: call.Caller, Text: x}}
		c.Answers = map[string]any{x: x}
		ids = append(ids, l.receive(src, c))
	}
	dangerous := regexp.MustCompile(`(?i)<script>alert|<img src=x|<svg/onload|onmouseover='alert|href="javascript:`)
	for i, id := range ids {
		l.until(owner, "/calls/"+id.String(), "Decided")
		for _, path := range []string{"/calls/" + id.String(), "/calls", "/", "/calls?q=" + url.QueryEscape(payloads[i]), "/calls/replay?id=" + id.String()} {
			if found := dangerous.FindString(owner.Get(path).Body); found != "" {
				t.Errorf("GET %s shows %q as markup", path, found)
			}
		}
	}
}

// stream opens the live stream and hands its lines on.
func (l *line) stream(b *servertest.Browser, lastID string) (lines <-chan string, status int) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/live", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: account.Cookie, Value: b.Cookie(account.Cookie)})
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		defer res.Body.Close()
		scan := bufio.NewScanner(res.Body)
		for scan.Scan() {
			out <- scan.Text()
		}
	}()
	return out, res.StatusCode
}

// next is the first line with the prefix, within the time.
func next(t testing.TB, lines <-chan string, prefix string) string {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case text, open := <-lines:
			if !open {
				t.Fatalf("the stream ended before a line %q", prefix)
			}
			if strings.HasPrefix(text, prefix) {
				return text
			}
		case <-limit:
			t.Fatalf("no line %q came", prefix)
		}
	}
}

func TestStreamTellsOfOwnCallsOnlyAndEndsWithTheMembership(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	a, b := l.Owner("a@a.test"), l.Owner("b@b.test")
	member := l.Member(a.Tenant, "m@a.test", account.Viewer)
	sourceA, sourceB := l.source(a), l.source(b)
	mine, status := l.stream(member, "")
	if status != http.StatusOK {
		t.Fatalf("the stream: %d", status)
	}
	next(t, mine, ": hello")
	theirs, _ := l.stream(b, "")
	next(t, theirs, ": hello")
	foreign := l.receive(sourceB, sarah())
	if got := next(t, theirs, "event: call-"); got != "event: call-"+foreign.String() {
		t.Errorf("b's stream tells %q", got)
	}
	foreignID := strings.TrimPrefix(next(t, theirs, "id: "), "id: ")
	own := l.receive(sourceA, sarah())
	if got := next(t, mine, "event: call-"); got != "event: call-"+own.String() {
		t.Errorf("a's stream tells %q, want only its own %s", got, own)
	}
	ownID := strings.TrimPrefix(next(t, mine, "id: "), "id: ")
	if _, status := l.stream(member, foreignID); status != http.StatusUnprocessableEntity {
		t.Errorf("another tenant's event id: %d, want it refused", status)
	}
	missed := l.receive(sourceA, sarah())
	again, _ := l.stream(member, ownID)
	next(t, again, "event: call-"+missed.String())
	l.Expel(member)
	limit := time.After(5 * time.Second)
	for open := true; open; {
		select {
		case _, open = <-mine:
		case <-limit:
			t.Fatal("the stream of somebody who is no member any more goes on")
		}
	}
}
