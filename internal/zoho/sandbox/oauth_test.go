package sandbox_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hookline/internal/zoho/sandbox/sandboxtest"
)

// postForm posts to an accounts server.
func postForm(t *testing.T, address string, pairs ...string) reply {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequest("POST", address, strings.NewReader(v.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, req)
}

func exchange(t *testing.T, s *sandboxtest.Server, g sandboxtest.Granted) reply {
	t.Helper()
	c := s.Control.Clients()[0]
	return postForm(t, g.AccountsServer+"/oauth/v2/token", "grant_type", "authorization_code", "client_id", c.ID, "client_secret", c.Secret,
		"redirect_uri", sandboxtest.Redirect, "code", g.Code)
}

func refresh(t *testing.T, s *sandboxtest.Server, centre, token string) reply {
	t.Helper()
	c := s.Control.Clients()[0]
	return postForm(t, s.URL+centre+"/oauth/v2/token", "grant_type", "refresh_token", "client_id", c.ID, "client_secret", c.Secret, "refresh_token", token)
}

// saysError checks an accounts server's refusal, which comes with status 200.
func (r reply) saysError(code string) {
	r.t.Helper()
	r.wants(200)
	if got := r.text("error"); got != code {
		r.t.Fatalf("error %q, want %q: %s", got, code, r.raw)
	}
}

func works(t *testing.T, apiDomain, token string) bool {
	t.Helper()
	req, err := http.NewRequest("GET", apiDomain+"/crm/v8/org", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Zoho-oauthtoken "+token)
	r := send(t, req)
	if r.status != 200 {
		r.flat(401, "INVALID_TOKEN")
	}
	return r.status == 200
}

func TestBehaviour01CodeIsSingleUse(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "eu")
	first := exchange(t, s, g).wants(200)
	if first.text("refresh_token") == "" || first.text("api_domain") != s.URL+"/eu" || first.text("token_type") != "Bearer" {
		t.Fatalf("not the answer of a good code: %s", first.raw)
	}
	exchange(t, s, g).saysError("invalid_code")
}

func TestBehaviour02CodeDiesAfterTwoMinutes(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	s.Clock.Advance(121 * time.Second)
	exchange(t, s, g).saysError("invalid_code")
	g = s.Control.NewOrg("enterprise", "us")
	s.Clock.Advance(119 * time.Second)
	if r := exchange(t, s, g); r.text("access_token") == "" || r.text("expires_in") != "3600" {
		t.Fatalf("before its time: %s", r.raw)
	}
}

func TestBehaviour03CodesAndClientsBelongToACentre(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "eu")
	g.AccountsServer = s.URL
	exchange(t, s, g).saysError("invalid_code")

	single := s.Control.Clients()[1]
	postForm(t, s.URL+"/eu/oauth/v2/token", "grant_type", "refresh_token", "client_id", single.ID, "client_secret", single.Secret, "refresh_token", "x").saysError("invalid_client")
}

func TestBehaviour04SecondConsentWithoutPromptGivesNoRefreshToken(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	exchange(t, s, g)
	again := func(prompt, access string) reply {
		return exchange(t, s, s.Control.Grant(sandboxtest.GrantRequest{
			ClientID: s.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: sandboxtest.Scopes, Org: g.OrgID, Prompt: &prompt, AccessType: access,
		})).wants(200)
	}
	if r := again("", ""); r.at("refresh_token") != nil || r.text("access_token") == "" {
		t.Fatalf("a second consent without prompt: %s", r.raw)
	}
	if r := again("consent", "online"); r.at("refresh_token") != nil {
		t.Fatalf("online access: %s", r.raw)
	}
	if r := again("consent", "offline"); r.text("refresh_token") == "" {
		t.Fatalf("prompt=consent: %s", r.raw)
	}
}

func TestBehaviour05RefreshGivesANewAccessTokenOnly(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	tokens := s.Control.Exchange(s.Control.NewOrg("enterprise", "in"))
	r := refresh(t, s, "/in", tokens.Refresh).wants(200)
	if r.at("refresh_token") != nil || r.text("expires_in") != "3600" || r.text("access_token") == tokens.Access || r.text("api_domain") != s.URL+"/in" {
		t.Fatalf("refresh: %s", r.raw)
	}
	if !works(t, s.URL+"/in", r.text("access_token")) {
		t.Fatal("the new token does not work")
	}
	s.Clock.Advance(3601 * time.Second)
	if works(t, s.URL+"/in", r.text("access_token")) {
		t.Fatal("the token works after an hour")
	}
}

func TestBehaviour06RevokedRefreshTokenIsInvalidCode(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	tokens := s.Control.Exchange(g)
	s.Control.Revoke(g.OrgID)
	refresh(t, s, "", tokens.Refresh).saysError("invalid_code")
}

func TestBehaviour07EleventhRefreshInTenMinutesIsDenied(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	tokens := s.Control.Exchange(g)
	for range 10 {
		if refresh(t, s, "", tokens.Refresh).wants(200).text("access_token") == "" {
			t.Fatal("one of the first ten refreshes failed")
		}
	}
	if r := refresh(t, s, "", tokens.Refresh).wants(400); r.text("error") != "Access Denied" || r.text("status") != "failure" {
		t.Fatalf("the eleventh: %s", r.raw)
	}
	s.Control.Settings(g.OrgID, map[string]any{"throttle_status": 200})
	refresh(t, s, "", tokens.Refresh).saysError("Access Denied")
	s.Clock.Advance(10 * time.Minute)
	if refresh(t, s, "", tokens.Refresh).text("access_token") == "" {
		t.Fatal("the window has not ended")
	}
}

func TestBehaviour08OldestTokensGiveWay(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	first := s.Control.Exchange(g)
	var latest string
	for i := range 15 { // with the first: the sixteenth
		if i == 8 {
			s.Clock.Advance(10 * time.Minute)
		}
		if !works(t, s.URL, first.Access) {
			t.Fatalf("the first token died after %d more", i)
		}
		latest = refresh(t, s, "", first.Refresh).text("access_token")
	}
	if works(t, s.URL, first.Access) || !works(t, s.URL, latest) {
		t.Fatal("the sixteenth live token did not push out the first")
	}
	for range 20 {
		if refresh(t, s, "", first.Refresh).text("error") == "invalid_code" {
			t.Fatal("the first refresh token died early")
		}
		s.Control.Exchange(s.Control.Grant(sandboxtest.GrantRequest{ClientID: s.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: sandboxtest.Scopes, Org: g.OrgID}))
	}
	refresh(t, s, "", first.Refresh).saysError("invalid_code")
}

func TestBehaviour09RevokeEndsAccessTokensToo(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	tokens := s.Control.Exchange(s.Control.NewOrg("enterprise", "us"))
	if r := postForm(t, s.URL+"/oauth/v2/token/revoke", "token", tokens.Refresh).wants(200); r.text("status") != "success" {
		t.Fatalf("revoke: %s", r.raw)
	}
	if works(t, s.URL, tokens.Access) {
		t.Fatal("an access token outlived its refresh token's revocation")
	}
}

func TestBehaviour10TokenEndpointReadsNoJSON(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	c := s.Control.Clients()[0]
	tokens := s.Control.Exchange(s.Control.NewOrg("enterprise", "us"))
	pairs := []string{"grant_type", "refresh_token", "client_id", c.ID, "client_secret", c.Secret, "refresh_token", tokens.Refresh}

	t.Run("JSON is invalid_client", func(t *testing.T) {
		req, _ := http.NewRequest("POST", s.URL+"/oauth/v2/token", strings.NewReader(`{"grant_type":"refresh_token"}`))
		req.Header.Set("Content-Type", "application/json")
		send(t, req).saysError("invalid_client")
	})
	t.Run("query and multipart are read", func(t *testing.T) {
		v := url.Values{}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
			if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		req, _ := http.NewRequest("POST", s.URL+"/oauth/v2/token?"+v.Encode(), nil)
		if r := send(t, req); r.text("access_token") == "" {
			t.Fatalf("query: %s", r.raw)
		}
		req, _ = http.NewRequest("POST", s.URL+"/oauth/v2/token", &body)
		req.Header.Set("Content-Type", w.FormDataContentType())
		if r := send(t, req); r.text("access_token") == "" {
			t.Fatalf("multipart: %s", r.raw)
		}
	})
	t.Run("GET is refused", func(t *testing.T) {
		req, _ := http.NewRequest("GET", s.URL+"/oauth/v2/token?grant_type=refresh_token&refresh_token="+tokens.Refresh, nil)
		send(t, req).wants(405)
	})
	t.Run("wrong secrets and redirects have names", func(t *testing.T) {
		postForm(t, s.URL+"/oauth/v2/token", append(pairs, "client_secret", "wrong")...).saysError("invalid_client_secret")
		g := s.Control.NewOrg("", "")
		postForm(t, s.URL+"/oauth/v2/token", "grant_type", "authorization_code", "client_id", c.ID, "client_secret", c.Secret, "code", g.Code,
			"redirect_uri", "http://127.0.0.1:9/other").saysError("invalid_redirect_uri")
	})
}

func TestBehaviour11TokensAreCheckedOnEachCall(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	c := connect(t, s, "enterprise", "us")
	get := func(authorization, base string) reply {
		req, _ := http.NewRequest("GET", base+"/crm/v8/org", nil)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return send(t, req)
	}
	get("", s.URL).flat(401, "AUTHENTICATION_FAILURE")
	get("Zoho-oauthtoken 1000.a.b", s.URL).flat(401, "INVALID_TOKEN")
	get("Zoho-oauthtoken "+c.tokens.Access, s.URL+"/eu").flat(401, "INVALID_TOKEN")
	get("Bearer "+c.tokens.Access, s.URL).wants(200)
	s.Control.Expire(c.org)
	get("Zoho-oauthtoken "+c.tokens.Access, s.URL).flat(401, "INVALID_TOKEN")
}

func TestBehaviour12MissingScopeIsAMismatch(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	with := func(scope string) *crm {
		g := s.Control.Grant(sandboxtest.GrantRequest{ClientID: s.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: scope})
		return &crm{t: t, server: s, org: g.OrgID, tokens: s.Control.Exchange(g), header: http.Header{}}
	}
	c := with("ZohoCRM.modules.leads.READ")
	c.do("GET", "/crm/v8/Leads?fields=Last_Name", nil).wants(204)
	if r := c.do("POST", "/crm/v8/Leads", data(lead("x"))).flat(401, "OAUTH_SCOPE_MISMATCH"); r.text("message") != "Unauthorized" {
		t.Fatalf("message: %s", r.raw)
	}
	c.do("GET", "/crm/v8/org", nil).flat(401, "OAUTH_SCOPE_MISMATCH")
	c.search("Leads", "phone", "5551234567").flat(401, "OAUTH_SCOPE_MISMATCH")
	c.coql("select id from Leads where id = '1'").flat(401, "OAUTH_SCOPE_MISMATCH")

	c = with("ZohoCRM.coql.READ ZohoCRM.modules.LEADS.ALL") // spaces, capitals, ALL
	c.coql("select id from Leads where id = '1'").wants(204)
	c.coql("select id from Contacts where id = '1'").flat(401, "OAUTH_SCOPE_MISMATCH")
	c.do("POST", "/crm/v8/Leads", data(lead("x"))).wants(201)
}

func TestBehaviour13ProfileWithoutARightIsNoPermission(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	g := s.Control.NewOrg("enterprise", "us")
	var orgs struct {
		Data []struct {
			Users []struct{ ID, Profile string }
		}
	}
	s.Control.Do("GET", "orgs?org="+g.OrgID, nil, &orgs)
	reader := orgs.Data[0].Users[2]
	g = s.Control.Grant(sandboxtest.GrantRequest{ClientID: s.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Scope: sandboxtest.Scopes, Org: g.OrgID, User: reader.ID})
	c := &crm{t: t, server: s, org: g.OrgID, tokens: s.Control.Exchange(g), header: http.Header{}}
	r := c.do("POST", "/crm/v8/Leads", data(lead("x"))).flat(403, "NO_PERMISSION")
	if r.text("details", "permissions", 0) != "Crm_Implied_Create_Leads" {
		t.Fatalf("permissions: %s", r.raw)
	}
	c.do("GET", "/crm/v8/Leads?fields=Last_Name", nil).wants(204)
	s.Control.Settings(c.org, map[string]any{"no_permission": map[string][]string{"Leads": {"View"}}})
	c.do("GET", "/crm/v8/Leads?fields=Last_Name", nil).flat(403, "NO_PERMISSION")
}

func TestCodesAreLimitedWhereTheSettingSaysSo(t *testing.T) {
	t.Parallel()
	s := sandboxtest.New(t)
	s.Control.Settings("", map[string]any{"codes_per_10_minutes": 1})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	accept := func() string {
		v := consentForm(s)
		v.Set("decision", "accept")
		v.Set("org", "new")
		resp, err := client.PostForm(s.URL+"/oauth/v2/auth", v)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("Location")
	}
	if to := accept(); !strings.Contains(to, "code=") {
		t.Fatalf("the first: %s", to)
	}
	if to := accept(); !strings.Contains(to, "error=access_denied") {
		t.Fatalf("the second: %s", to)
	}
}
