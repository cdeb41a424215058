// Package sandboxtest starts a Zoho sandbox for a test, over real HTTP, and speaks its control routes. It hands on a [Server];
// what the CRM answers is left to the client under test.
package sandboxtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox"
)

// Server is a running sandbox.
type Server struct {
	URL     string // base URL: accounts server and api_domain of data centre us
	Control Control
	Clock   *Clock
	Sandbox *sandbox.Sandbox
}

// Clock is the sandbox's business time. It follows real time and can be moved ahead.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the time it is for the sandbox.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance moves the clock ahead.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// New starts a sandbox in memory on a loopback port of its own, and stops it with the test.
func New(t testing.TB) *Server {
	t.Helper()
	return Start(t, sandbox.Options{})
}

// Start is New with options, such as a directory. A clock is put in unless the options bring one.
func Start(t testing.TB, o sandbox.Options) *Server {
	t.Helper()
	s := &Server{Clock: &Clock{}}
	if o.Now == nil {
		o.Now = s.Clock.Now
	}
	sb, err := sandbox.New(o)
	if err != nil {
		t.Fatalf("starting the sandbox: %v", err)
	}
	h := httptest.NewServer(sb.Handler())
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		if err := sb.Close(); err != nil {
			t.Errorf("closing the sandbox: %v", err)
		}
	})
	s.URL, s.Sandbox = h.URL, sb
	s.Control = Control{t: t, base: h.URL}
	return s
}

// Control speaks the control routes of a sandbox; any failure ends the test. The organisation is "" for all of them.
type Control struct {
	t    testing.TB
	base string
}

// At speaks to a sandbox that runs elsewhere, such as in a process of its own.
func At(t testing.TB, base string) Control { return Control{t: t, base: base} }

// Do sends a control request and reads a JSON answer into out, where one is wanted.
func (c Control) Do(method, path string, body, out any) {
	c.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatalf("%s %s: %v", method, path, err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, c.base+"/_sandbox/"+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		c.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
}

func on(path, org string) string {
	if org == "" {
		return path
	}
	return path + "?org=" + url.QueryEscape(org)
}

// Reset takes an organisation (or all) back to its first state; its tokens live on.
func (c Control) Reset(org string) { c.t.Helper(); c.Do("POST", on("reset", org), nil, nil) }

// Stats are counts since the last reset.
type Stats struct {
	Requests []struct {
		Method, Path string
		Count        int
	}
	CreditsUsed     int            `json:"credits_used"`
	PeakConcurrency int            `json:"peak_concurrency"`
	Records         map[string]int `json:"records"`
}

// Count is how many requests of a verb a path template has had.
func (s Stats) Count(method, path string) int {
	for _, r := range s.Requests {
		if r.Method == method && r.Path == path {
			return r.Count
		}
	}
	return 0
}

// Stats are an organisation's counts, or those of all together.
func (c Control) Stats(org string) (s Stats) {
	c.t.Helper()
	c.Do("GET", on("stats", org), nil, &s)
	return s
}

// Line is one request in the ledger. Status 0: no answer left.
type Line struct {
	N       uint64
	Time    time.Time
	Method  string
	Path    string
	Query   string
	Status  int
	Org     string
	Code    string
	Credits int
	Fault   string
	Effects []struct{ Module, ID, Action string }
}

// Ledger is every request after number n.
func (c Control) Ledger(after uint64) []Line {
	c.t.Helper()
	var out struct{ Data []Line }
	c.Do("GET", "ledger?after="+strconv.FormatUint(after, 10), nil, &out)
	return out.Data
}

// Record is a record as GET by id shows it.
type Record map[string]any

// ID is the record's id.
func (r Record) ID() string { s, _ := r["id"].(string); return s }

// Text is a text field, "" where empty.
func (r Record) Text(api string) string { s, _ := r[api].(string); return s }

// Ref is the id in a lookup field, "" where empty.
func (r Record) Ref(api string) string {
	m, _ := r[api].(map[string]any)
	s, _ := m["id"].(string)
	return s
}

// Records are all records of a module.
func (c Control) Records(org, module string) []Record {
	c.t.Helper()
	var out struct{ Data []Record }
	c.Do("GET", on("records/"+module, org), nil, &out)
	return out.Data
}

// Put puts records in as a person in the CRM would, and answers their ids.
func (c Control) Put(org, module string, records ...Record) []string {
	c.t.Helper()
	var out struct{ Data []struct{ ID string } }
	c.Do("POST", on("records/"+module, org), map[string]any{"data": records}, &out)
	var ids []string
	for _, d := range out.Data {
		ids = append(ids, d.ID)
	}
	return ids
}

// Patch changes a record as a person would.
func (c Control) Patch(org, module, id string, changes Record) {
	c.t.Helper()
	c.Do("PATCH", on("records/"+module+"/"+id, org), map[string]any{"data": []Record{changes}}, nil)
}

// Delete deletes a record as a person would.
func (c Control) Delete(org, module, id string) {
	c.t.Helper()
	c.Do("DELETE", on("records/"+module+"/"+id, org), nil, nil)
}

// Convert converts a Lead as a person would, and answers the ids of its Contact and Account ("" for none).
func (c Control) Convert(org, leadID string) (contactID, accountID string) {
	c.t.Helper()
	var out struct {
		Data []struct {
			Details struct{ Contacts, Accounts *struct{ ID string } }
		}
	}
	c.Do("POST", on("records/Leads/"+leadID+"/convert", org), nil, &out)
	if len(out.Data) != 1 || out.Data[0].Details.Contacts == nil {
		c.t.Fatalf("converting %s made no Contact", leadID)
	}
	if a := out.Data[0].Details.Accounts; a != nil {
		accountID = a.ID
	}
	return out.Data[0].Details.Contacts.ID, accountID
}

// Merge joins a record into another as a person would: the first id is gone, what led to it leads to the second.
func (c Control) Merge(org, module, id, into string) {
	c.t.Helper()
	c.Do("POST", on("records/"+module+"/"+id+"/merge", org), map[string]string{"into": into}, nil)
}

// Match is which requests a fault strikes.
type Match struct {
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"` // exact; a trailing * makes it a prefix
}

// Fault is trouble on demand, as the control route takes it.
type Fault struct {
	Match       Match             `json:"match"`
	Times       int               `json:"times,omitempty"` // 0 = until cleared
	Skip        int               `json:"skip,omitempty"`
	Probability *float64          `json:"probability,omitempty"`
	Kind        string            `json:"kind,omitempty"` // status, hang, reset, truncate, slow
	Status      int               `json:"status,omitempty"`
	Body        string            `json:"body,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	LatencyMS   int               `json:"latency_ms,omitempty"`
	Effect      string            `json:"effect,omitempty"` // none, after
}

// Faults adds faults to an organisation's, or to all.
func (c Control) Faults(org string, faults ...Fault) {
	c.t.Helper()
	c.Do("POST", on("faults", org), faults, nil)
}

// ClearFaults drops them.
func (c Control) ClearFaults(org string) { c.t.Helper(); c.Do("DELETE", on("faults", org), nil, nil) }

// Revoke withdraws consent: refresh tokens die.
func (c Control) Revoke(org string) { c.t.Helper(); c.Do("POST", on("revoke", org), nil, nil) }

// Expire ends every access token now.
func (c Control) Expire(org string) { c.t.Helper(); c.Do("POST", on("expire", org), nil, nil) }

// Settings changes the switches named.
func (c Control) Settings(org string, settings map[string]any) {
	c.t.Helper()
	c.Do("POST", on("settings", org), settings, nil)
}

// Client is an OAuth client of the sandbox.
type Client struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// Clients are the OAuth clients; the first is for programs and serves every centre.
func (c Control) Clients() []Client {
	c.t.Helper()
	var out struct{ Data []Client }
	c.Do("GET", "clients", nil, &out)
	return out.Data
}

// GrantRequest asks for a code without the consent page.
type GrantRequest struct {
	ClientID   string  `json:"client_id"`
	Redirect   string  `json:"redirect_uri"`
	Scope      string  `json:"scope"`
	Org        string  `json:"org,omitempty"`
	NewOrg     *NewOrg `json:"new_org,omitempty"`
	User       string  `json:"user,omitempty"`
	AccessType string  `json:"access_type,omitempty"`
	Prompt     *string `json:"prompt,omitempty"`
}

// NewOrg describes an organisation to be made; empty fields take the sandbox's defaults.
type NewOrg struct {
	Name     string `json:"name,omitempty"`
	Edition  string `json:"edition,omitempty"`
	Centre   string `json:"data_centre,omitempty"`
	TimeZone string `json:"time_zone,omitempty"`
	Country  string `json:"country_code,omitempty"`
}

// Granted is a code and where to exchange it.
type Granted struct {
	Code           string `json:"code"`
	Location       string `json:"location"`
	AccountsServer string `json:"accounts-server"`
	OrgID          string `json:"org_id"`
}

// Grant gets a code without the consent page.
func (c Control) Grant(g GrantRequest) (out Granted) {
	c.t.Helper()
	c.Do("POST", "grant", g, &out)
	return out
}

// Scopes are all that Hookline asks for.
const Scopes = "ZohoCRM.modules.ALL,ZohoCRM.settings.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ,ZohoCRM.coql.READ,ZohoSearch.securesearch.READ"

// Redirect is a redirect address that any client may use.
const Redirect = "http://127.0.0.1:9/callback"

// NewOrg makes an organisation and answers its id and a code for it, ready to be exchanged.
func (c Control) NewOrg(edition, centre string) Granted {
	c.t.Helper()
	return c.Grant(GrantRequest{ClientID: c.Clients()[0].ID, Redirect: Redirect, Scope: Scopes, NewOrg: &NewOrg{Edition: edition, Centre: centre}})
}

// Tokens is an answer of the token endpoint.
type Tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	APIDomain string `json:"api_domain"`
	Scope     string `json:"scope"`
	ExpiresIn int    `json:"expires_in"`
	Error     string `json:"error"`
}

// Exchange trades a code of the first client for tokens.
func (c Control) Exchange(g Granted) (out Tokens) {
	c.t.Helper()
	client := c.Clients()[0]
	resp, err := http.PostForm(g.AccountsServer+"/oauth/v2/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client.ID}, "client_secret": {client.Secret}, "redirect_uri": {Redirect}, "code": {g.Code},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		c.t.Fatal(err)
	}
	if out.Access == "" {
		c.t.Fatalf("exchanging the code: %s", out.Error)
	}
	return out
}
