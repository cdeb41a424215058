package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Lifetimes and limits of Zoho Accounts (OAuth, Token validity).
const (
	codeLife       = 120 * time.Second
	accessLife     = time.Hour
	mintWindow     = 10 * time.Minute
	mintsPerWindow = 10 // access tokens from one refresh token
	liveAccess     = 15 // of one refresh token; the next one kills the oldest
	liveRefresh    = 20 // of one user and client; the next one kills the oldest, in use or not
)

// client is an OAuth client that the sandbox knows.
type client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret"`
	Name         string   `json:"client_name"`
	RedirectURIs []string `json:"redirect_uris"`
	Centres      []string `json:"data_centres"` // where it is known: Multi-DC has to be switched on
}

const programClientID = "1000.HOOKLINESANDBOXCLIENT0000000000"

// clients are fixed. The first is for programs and serves every centre; the second was never switched on for others than us.
func (s *Sandbox) clients() []client {
	all := make([]string, len(centres))
	for i, c := range centres {
		all[i] = c.Key
	}
	return []client{
		{programClientID, "5a9d0b0c-sandbox-secret", "Hookline", append([]string{"http://127.0.0.1/*", "http://localhost/*", "http://[::1]/*"}, s.redirect...), all},
		{"1000.SINGLECENTRECLIENT000000000000000", "1f7c2e44-sandbox-secret", "Single-centre client", []string{"http://127.0.0.1/*", "http://localhost/*", "http://[::1]/*"}, []string{"us"}},
	}
}

func (s *Sandbox) client(id string) *client {
	for _, c := range s.clients() {
		if c.ID == id {
			return &c
		}
	}
	return nil
}

// allows says whether a redirect address is registered: exactly, or any loopback one.
func (c *client) allows(redirect string) bool {
	if slices.Contains(c.RedirectURIs, redirect) {
		return true
	}
	u, err := url.Parse(redirect)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Fragment == "" && loopbackHost(u.Host)
}

func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// grantCode is an authorization code: single use, two minutes.
type grantCode struct {
	Code, Client, Redirect, Org, User, Centre string
	Scopes                                    []string
	Refresh                                   bool // the exchange gives a refresh token
	Issued                                    time.Time
}

type refreshToken struct {
	Token, Client, Org, User, Centre string
	Scopes                           []string
	Issued                           time.Time

	window time.Time // start of the present ten minutes
	mints  int
	live   []string // access tokens, oldest first
}

type accessToken struct {
	Token, Refresh, Client, Org, User, Centre string
	Scopes                                    []string
	Expires                                   time.Time
}

// authState is the accounts server's memory.
type authState struct {
	codes     map[string]*grantCode
	refresh   map[string]*refreshToken
	issued    []string // refresh tokens in the order of their making
	access    map[string]*accessToken
	consents  map[string]bool        // client/user that has consented before
	codeTimes map[string][]time.Time // client: codes of the last ten minutes
}

func newAuthState() authState {
	return authState{map[string]*grantCode{}, map[string]*refreshToken{}, nil, map[string]*accessToken{}, map[string]bool{}, map[string][]time.Time{}}
}

func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return "1000." + hex.EncodeToString(b[:16]) + "." + hex.EncodeToString(b[16:])
}

// grant issues a code for a user of an organisation. offline and consent are access_type and prompt of the request: without
// offline there is no refresh token, and without consent a second consent gives none either (OAuth, web apps).
func (s *Sandbox) grant(o *org, u *user, c *client, redirect string, scopes []string, offline, consent bool) *grantCode {
	key := c.ID + "/" + u.ID
	g := &grantCode{
		Code: newToken(), Client: c.ID, Redirect: redirect, Org: o.ID, User: u.ID, Centre: o.Centre, Scopes: scopes,
		Refresh: offline && (consent || !s.auth.consents[key]), Issued: s.now(),
	}
	s.auth.codes[g.Code] = g
	s.auth.consents[key] = true
	s.journal.token("code", g.Code, g)
	s.journal.token("consent", key, true)
	for code, old := range s.auth.codes {
		if g.Issued.Sub(old.Issued) > 2*codeLife {
			delete(s.auth.codes, code)
		}
	}
	return g
}

// codesSpent counts a client's code and says whether it is one too many. The limit is a setting and off unless set: Zoho's ten
// in ten minutes would stop a sandbox that many programs share.
func (s *Sandbox) codesSpent(clientID string) bool {
	limit, now := s.defaults.CodesPer10Minutes, s.now()
	recent := slices.DeleteFunc(s.auth.codeTimes[clientID], func(t time.Time) bool { return now.Sub(t) >= mintWindow })
	if limit > 0 && len(recent) >= limit {
		s.auth.codeTimes[clientID] = recent
		return true
	}
	s.auth.codeTimes[clientID] = append(recent, now)
	return false
}

// oauthError is a refusal of the token endpoint. Most come with status 200 (obs): success is "has access_token".
func oauthError(code, rule string) answer {
	return answer{status: 200, body: marshal(map[string]string{"error": code}), code: code, rule: rule}
}

// serveAccounts is the accounts host but for the consent page: token, revoke, serverinfo.
func (s *Sandbox) serveAccounts(w http.ResponseWriter, r *http.Request, centre, path string) {
	q := &request{s: s, http: r, number: s.ledger.next(), at: s.now(), method: r.Method, path: path}
	var run func(url.Values, string) answer
	switch path {
	case "/oauth/v2/token":
		run = func(v url.Values, centre string) answer { return s.token(v, centre, s.centreURL(r, centre)) }
	case "/oauth/v2/token/revoke":
		run = s.revoke
	case "/oauth/serverinfo":
		locations := map[string]string{}
		for _, c := range centres {
			locations[c.Key] = s.centreURL(r, c.Key)
		}
		jsonAnswer(200, map[string]any{"result": "success", "locations": locations}).send(w)
		return
	default:
		answer{status: 404, contentType: "text/html;charset=UTF-8", body: []byte("<html><body>Not found</body></html>")}.send(w)
		return
	}

	form, readable := accountsForm(w, r)
	q.org = s.orgOf(form)
	s.sleepLatency(q.org)
	f := s.faults.match(q)
	op := operation{template: path, write: true}
	if f != nil && f.replaces(true) {
		s.finish(w, q, op, f.answer(s.style429(q.org)), f)
		return
	}
	var a answer
	switch {
	case r.Method != http.MethodPost:
		// Refused, and shown as a page (OAuth); the exact answer is (mem).
		a = answer{status: 405, contentType: "text/html;charset=UTF-8", body: []byte("<html><body>Method Not Allowed</body></html>"), code: "method_not_allowed"}
	case !readable:
		a = oauthError("invalid_client", "parameters come as form or query, not as JSON") // a JSON body is not understood
	default:
		s.mu.Lock()
		a = run(form, centre)
		s.mu.Unlock()
	}
	if f != nil && f.Kind == "status" {
		a = f.answer(s.style429(q.org))
	}
	s.finish(w, q, op, a, f)
}

// accountsForm reads parameters from query, form and multipart. Other bodies are not understood.
func accountsForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form := parseQuery(r.URL.RawQuery)
	switch kind {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		if err := r.ParseMultipartForm(1 << 20); err != nil && err != http.ErrNotMultipart {
			return form, false
		}
		return r.Form, true
	}
	rest, err := io.ReadAll(r.Body)
	if err != nil || len(rest) > 0 {
		return form, false
	}
	return form, true
}

// orgOf is the organisation that a token request is about, for its settings and faults.
func (s *Sandbox) orgOf(form url.Values) *org {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.auth.codes[form.Get("code")]; g != nil {
		return s.orgByID[g.Org]
	}
	for _, key := range []string{"refresh_token", "token"} {
		if t := s.auth.refresh[form.Get(key)]; t != nil {
			return s.orgByID[t.Org]
		}
	}
	return nil
}

// token is POST /oauth/v2/token at one centre's accounts server.
func (s *Sandbox) token(form url.Values, centre, apiDomain string) answer {
	c := s.client(form.Get("client_id"))
	if c == nil || !slices.Contains(c.Centres, centre) {
		return oauthError("invalid_client", "this data centre does not know the client")
	}
	if form.Get("client_secret") != c.Secret {
		return oauthError("invalid_client_secret", "the client's secret is another one") // (mem)
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return s.exchange(form, c, centre, apiDomain)
	case "refresh_token":
		return s.refreshed(form, c, centre, apiDomain)
	}
	return oauthError("invalid_grant", "grant_type is authorization_code or refresh_token") // (mem)
}

func (s *Sandbox) exchange(form url.Values, c *client, centre, apiDomain string) answer {
	g := s.auth.codes[form.Get("code")]
	switch {
	case g == nil:
		return oauthError("invalid_code", "the code was used before, or never was")
	case g.Client != c.ID || g.Centre != centre:
		return oauthError("invalid_code", "the code is another client's or data centre's")
	case s.now().Sub(g.Issued) > codeLife:
		return oauthError("invalid_code", "the code is older than two minutes")
	}
	if form.Get("redirect_uri") != g.Redirect {
		return oauthError("invalid_redirect_uri", "the redirect address is not the one of the consent") // (mem)
	}
	delete(s.auth.codes, g.Code)
	s.journal.token("untoken", g.Code, nil)

	out := map[string]any{}
	refresh := ""
	if g.Refresh {
		t := &refreshToken{Token: newToken(), Client: g.Client, Org: g.Org, User: g.User, Centre: g.Centre, Scopes: g.Scopes, Issued: s.now()}
		s.auth.addRefresh(t)
		s.journal.token("refresh", t.Token, t)
		for _, old := range s.auth.pushedOut(t) {
			s.killRefresh(old)
		}
		refresh = t.Token
		out["refresh_token"] = t.Token
	}
	return s.mint(out, accessToken{Refresh: refresh, Client: g.Client, Org: g.Org, User: g.User, Centre: g.Centre, Scopes: g.Scopes}, apiDomain)
}

func (s *Sandbox) refreshed(form url.Values, c *client, centre, apiDomain string) answer {
	t := s.auth.refresh[form.Get("refresh_token")]
	if t == nil || t.Client != c.ID || t.Centre != centre {
		return oauthError("invalid_code", "the refresh token was revoked or pushed out, or is another client's or data centre's")
	}
	now := s.now()
	if t.window.IsZero() || now.Sub(t.window) >= mintWindow {
		t.window, t.mints = now, 0
	}
	if t.mints >= mintsPerWindow {
		// The status key is (mem); whether the HTTP status is 400 (obs) or 200 (Kaizen 43) is a setting.
		status := s.defaults.ThrottleStatus
		if o := s.orgByID[t.Org]; o != nil {
			status = o.Settings.ThrottleStatus
		}
		return answer{status: status, code: "Access Denied", rule: "ten access tokens were made with this refresh token in ten minutes", body: marshal(map[string]string{
			"error_description": "You have made too many requests continuously. Please try again after some time.", "error": "Access Denied", "status": "failure",
		})}
	}
	t.mints++
	return s.mint(map[string]any{}, accessToken{Refresh: t.Token, Client: t.Client, Org: t.Org, User: t.User, Centre: t.Centre, Scopes: t.Scopes}, apiDomain)
}

// mint makes an access token and the answer that carries it.
func (s *Sandbox) mint(out map[string]any, a accessToken, apiDomain string) answer {
	a.Token, a.Expires = newToken(), s.now().Add(accessLife)
	s.auth.addAccess(&a)
	s.journal.token("access", a.Token, &a)
	if t := s.auth.refresh[a.Refresh]; t != nil {
		t.live = slices.DeleteFunc(t.live, func(tok string) bool { return s.auth.access[tok] == nil })
		for len(t.live) > liveAccess {
			s.killAccess(t.live[0])
			t.live = t.live[1:]
		}
	}
	out["access_token"], out["scope"], out["api_domain"] = a.Token, strings.Join(a.Scopes, " "), apiDomain
	out["token_type"], out["expires_in"] = "Bearer", int(accessLife/time.Second)
	s.sweepAccess()
	return jsonAnswer(200, out)
}

// sweepAccess forgets tokens long expired, now and then.
func (s *Sandbox) sweepAccess() {
	if len(s.auth.access)%256 != 0 {
		return
	}
	for token, a := range s.auth.access {
		if s.now().Sub(a.Expires) > accessLife {
			s.killAccess(token)
		}
	}
}

// revoke is POST /oauth/v2/token/revoke; either kind of token will do. An access token takes its refresh token along (mem).
func (s *Sandbox) revoke(form url.Values, centre string) answer {
	token := form.Get("token")
	if a := s.auth.access[token]; a != nil && a.Centre == centre {
		s.killAccess(token)
		if a.Refresh != "" {
			s.killRefresh(a.Refresh)
		}
		return jsonAnswer(200, map[string]string{"status": "success"})
	}
	if t := s.auth.refresh[token]; t != nil && t.Centre == centre {
		s.killRefresh(token)
		return jsonAnswer(200, map[string]string{"status": "success"})
	}
	return answer{status: 400, body: []byte(`{"error":"invalid_token"}`), code: "invalid_token"} // (mem)
}

func (s *Sandbox) killRefresh(token string) {
	t := s.auth.refresh[token]
	if t == nil {
		return
	}
	for _, a := range t.live {
		s.killAccess(a)
	}
	s.auth.dropRefresh(token)
	s.journal.token("untoken", token, nil)
}

func (s *Sandbox) killAccess(token string) {
	if s.auth.access[token] != nil {
		delete(s.auth.access, token)
		s.journal.token("untoken", token, nil)
	}
}

func (a *authState) addRefresh(t *refreshToken) {
	a.refresh[t.Token] = t
	a.issued = append(a.issued, t.Token)
}

func (a *authState) dropRefresh(token string) {
	delete(a.refresh, token)
	a.issued = slices.DeleteFunc(a.issued, func(s string) bool { return s == token })
}

// pushedOut are the refresh tokens of t's user and client that t leaves no room for.
func (a *authState) pushedOut(t *refreshToken) []string {
	var mine []string
	for _, token := range a.issued {
		if o := a.refresh[token]; o.User == t.User && o.Client == t.Client {
			mine = append(mine, token)
		}
	}
	return mine[:max(0, len(mine)-liveRefresh)]
}

func (a *authState) addAccess(t *accessToken) {
	a.access[t.Token] = t
	if r := a.refresh[t.Refresh]; r != nil {
		r.live = append(r.live, t.Token)
	}
}

func (a *authState) size() int { return len(a.access) + len(a.refresh) + len(a.consents) }

// each hands out what a compacted journal keeps, parents first.
func (a *authState) each(f func(kind, id string, v any)) {
	for key := range a.consents {
		f("consent", key, true)
	}
	for _, token := range a.issued {
		f("refresh", token, a.refresh[token])
	}
	for id, g := range a.codes {
		f("code", id, g)
	}
	for id, t := range a.access {
		f("access", id, t)
	}
}

// apply takes a journal line about a token.
func (a *authState) apply(c change) error {
	switch c.Kind {
	case "consent":
		a.consents[c.ID] = true
	case "untoken":
		delete(a.codes, c.ID)
		delete(a.access, c.ID)
		if a.refresh[c.ID] != nil {
			a.dropRefresh(c.ID)
		}
	case "code":
		g := &grantCode{}
		if err := json.Unmarshal(c.Value, g); err != nil {
			return err
		}
		a.codes[g.Code] = g
	case "refresh":
		t := &refreshToken{}
		if err := json.Unmarshal(c.Value, t); err != nil {
			return err
		}
		a.addRefresh(t)
	case "access":
		t := &accessToken{}
		if err := json.Unmarshal(c.Value, t); err != nil {
			return err
		}
		a.addAccess(t)
	}
	return nil
}

// callback is where the browser goes after consent: code, location, accounts-server and the state as it came.
func callback(redirect string, pairs ...string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		return redirect
	}
	v := u.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	u.RawQuery = v.Encode()
	return u.String()
}
