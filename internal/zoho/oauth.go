package zoho

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"hookline/internal/seal"
)

// Credentials are Hookline's own client at Zoho; a data centre may have a secret of its own.
type Credentials struct {
	ID      string
	Secret  seal.Secret
	Centres map[string]seal.Secret // by location; wins over Secret
}

func (c Credentials) secretOf(centre Centre) seal.Secret {
	if s, ok := c.Centres[centre.Location]; ok {
		return s
	}
	return c.Secret
}

// Grant is what the token endpoint answered.
type Grant struct {
	Access    seal.Secret
	Refresh   seal.Secret // empty on a refresh, and on a consent without prompt=consent
	Scopes    []string    // empty when Zoho did not say
	APIDomain string      // as claimed; compare with the centre's row before using it
	ExpiresIn time.Duration
}

// ConsentURL is where a person's browser goes to say yes. The consent always asks anew, else Zoho gives no
// refresh token the second time (Zoho Accounts, "Web server apps": access_type, prompt).
func ConsentURL(start Centre, clientID, redirect, state string, scopes []string) string {
	return start.Accounts + "/oauth/v2/auth?" + url.Values{
		"client_id": {clientID}, "redirect_uri": {redirect}, "response_type": {"code"}, "state": {state},
		"scope": {strings.Join(scopes, ",")}, "access_type": {"offline"}, "prompt": {"consent"},
	}.Encode()
}

// Exchange turns a grant code into tokens, at the centre that issued it.
func (c *Client) Exchange(ctx context.Context, centre Centre, who Credentials, redirect string, code seal.Secret, observe func(Exchange)) (Grant, error) {
	return c.token(ctx, centre, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {who.ID}, "client_secret": {who.secretOf(centre).Reveal()},
		"redirect_uri": {redirect}, "code": {code.Reveal()},
	}, observe)
}

// Refresh asks for another access token. Ten in ten minutes are the most that Zoho gives.
func (c *Client) Refresh(ctx context.Context, centre Centre, who Credentials, refresh seal.Secret, observe func(Exchange)) (Grant, error) {
	return c.token(ctx, centre, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {who.ID}, "client_secret": {who.secretOf(centre).Reveal()},
		"refresh_token": {refresh.Reveal()},
	}, observe)
}

// Revoke ends a refresh token and all access tokens made from it.
func (c *Client) Revoke(ctx context.Context, centre Centre, refresh seal.Secret, observe func(Exchange)) error {
	ans, failed := c.post(ctx, centre, "/oauth/v2/token/revoke", url.Values{"token": {refresh.Reveal()}}, observe)
	if failed != nil {
		return failed
	}
	doc, err := decodeObject(ans.body)
	if err == nil && text(doc["status"]) == "success" {
		return nil
	}
	return oauthError(ans, doc)
}

func (c *Client) token(ctx context.Context, centre Centre, form url.Values, observe func(Exchange)) (Grant, error) {
	ans, failed := c.post(ctx, centre, "/oauth/v2/token", form, observe)
	if failed != nil {
		return Grant{}, failed
	}
	// Success is "has an access_token", never the HTTP status: Zoho refuses with 200.
	doc, err := decodeObject(ans.body)
	access := text(doc["access_token"])
	if err != nil || access == "" {
		return Grant{}, oauthError(ans, doc)
	}
	return Grant{
		Access: seal.Secret(access), Refresh: seal.Secret(text(doc["refresh_token"])), APIDomain: text(doc["api_domain"]),
		Scopes:    strings.FieldsFunc(text(doc["scope"]), func(r rune) bool { return r == ' ' || r == ',' }),
		ExpiresIn: expiry(doc),
	}, nil
}

// expiry reads expires_in: seconds, unless expires_in_sec is there too, which then has the seconds (Zoho's Node SDK).
func expiry(doc map[string]any) time.Duration {
	seconds := number(doc["expires_in_sec"])
	if seconds == 0 {
		seconds = number(doc["expires_in"])
	}
	if seconds <= 0 || seconds > 24*3600 {
		seconds = 3600
	}
	return time.Duration(seconds) * time.Second
}

// throttleWait is how long Zoho blocks token requests after the tenth in ten minutes.
const throttleWait = 10 * time.Minute

// oauthError classes a refusal of Zoho Accounts. A throttled answer is no lost connection.
func oauthError(ans answer, doc map[string]any) *Error {
	e := &Error{Status: ans.status, Code: text(doc["error"]), Message: text(doc["error_description"])}
	switch {
	case strings.EqualFold(e.Code, "Access Denied"), e.Code == "access_denied", ans.status == http.StatusTooManyRequests:
		e.Class, e.RetryAfter = Limited, throttleWait
	case ans.status >= 500: // the service's trouble, whatever it says of us
		e.Class = Transient
	case e.Code == "invalid_code", e.Code == "invalid_grant", e.Code == "invalid_token":
		e.Class = Token
	case e.Code == "invalid_client", e.Code == "invalid_client_secret", e.Code == "invalid_redirect_uri", e.Code == "unauthorized_client":
		e.Class = Operator
	default:
		e.Class = Transient
	}
	if e.Code == "" && e.Message == "" {
		e.Message = "the answer could not be read"
	}
	return e
}

// post sends a form to the accounts host. Secrets travel in the body, never in the URL.
func (c *Client) post(ctx context.Context, centre Centre, path string, form url.Values, observe func(Exchange)) (answer, *Error) {
	started := c.now()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	ans, failed := c.roundTrip(ctx, http.MethodPost, centre.Accounts+path, header, []byte(form.Encode()), false)
	if observe != nil {
		e := Exchange{
			Method: http.MethodPost, Path: path, Status: ans.status, Started: started, Took: c.now().Sub(started),
			RequestBody: scrubbedForm(form), ResponseBody: scrubbedAnswer(ans.body), CreditsLeft: -1, Err: failed,
		}
		observe(e)
	}
	return ans, failed
}

// open are the form fields that hold nothing secret.
var open = map[string]bool{"grant_type": true, "client_id": true, "redirect_uri": true}

func scrubbedForm(form url.Values) []byte {
	shown := url.Values{}
	for name, values := range form {
		if open[name] {
			shown[name] = values
		} else {
			shown[name] = []string{"***"}
		}
	}
	return []byte(shown.Encode())
}

var tokenField = regexp.MustCompile(`("(?:access_token|refresh_token|id_token|code)"\s*:\s*)"[^"]*"`)

func scrubbedAnswer(body []byte) []byte {
	return Observed(tokenField.ReplaceAll(body, []byte(`$1"***"`)))
}
