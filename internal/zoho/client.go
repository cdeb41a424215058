package zoho

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"hookline/internal/seal"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 4 << 20  // bytes of an answer that are read; Zoho's largest, 200 records, stay far below
	maxObserved    = 64 << 10 // bytes of a body that an Exchange carries
)

// Options make a Client. The zero value, with Centres, is ready for production.
type Options struct {
	Centres   Centres          // the only hosts that are dialled
	HTTP      *http.Client     // nil: a client with a pool fit for many tenants
	UserAgent string           // default "Hookline"
	Now       func() time.Time // default time.Now
}

// Client sends requests to Zoho. It keeps nothing of a tenant's and is safe for concurrent use.
type Client struct {
	http      *http.Client
	centres   Centres
	origins   map[string]bool
	userAgent string
	now       func() time.Time
}

// NewClient makes a Client.
func NewClient(o Options) *Client {
	c := &Client{centres: o.Centres, origins: o.Centres.origins(), userAgent: o.UserAgent, now: o.Now}
	if c.userAgent == "" {
		c.userAgent = "Hookline"
	}
	if c.now == nil {
		c.now = time.Now
	}
	if o.HTTP != nil {
		copied := *o.HTTP
		c.http = &copied
	} else {
		c.http = &http.Client{Transport: transport()}
	}
	// A redirect would carry a token, or a record, to a host that nobody checked.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// transport keeps connections open for many tenants: they share one API host per data centre, each with up to
// five requests in flight. The environment's proxies are ignored.
func transport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        60 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Centres is the table that the client may dial.
func (c *Client) Centres() Centres { return c.centres }

// Access is what one request needs: where to and by which right.
type Access struct {
	APIDomain string
	Token     seal.Secret
}

// AccessFunc gives the access of one tenant. A stale token that Zoho has just refused asks for another one; it is
// empty otherwise. Its error is handed on as it is.
type AccessFunc func(ctx context.Context, stale seal.Secret) (Access, error)

// Exchange is one HTTP exchange with Zoho, as the log keeps it.
type Exchange struct {
	Method       string
	Path         string // with query
	Status       int    // 0: no answer
	RequestBody  []byte // at most 64 KiB, tokens replaced
	ResponseBody []byte // likewise
	Started      time.Time
	Took         time.Duration
	Credits      int    // what Zoho counts for it, as far as its docs say
	CreditsLeft  int    // of the organisation's, as Zoho says once half of the day's are used; -1: it did not say
	Repeated     bool   // the repeat after a 401, with a fresh token
	Err          *Error // nil when Zoho said yes; a record's own refusal inside data[] is not an Err
}

// API is a Client bound to one tenant's access.
type API struct {
	client  *Client
	access  AccessFunc
	observe func(Exchange)
	turn    func(ctx context.Context, heavy bool) (done func(), err error)
	late    func() error
}

// For binds the client to one tenant. Every exchange is reported to observe, which may be nil and is called
// before the method that caused it returns.
func (c *Client) For(access AccessFunc, observe func(Exchange)) *API {
	if observe == nil {
		observe = func(Exchange) {}
	}
	anyTime := func(context.Context, bool) (func(), error) { return func() {}, nil }
	return &API{client: c, access: access, observe: observe, turn: anyTime, late: func() error { return nil }}
}

// Observing is the same API with one more observer, which is called first.
func (a *API) Observing(also func(Exchange)) *API {
	b := *a
	b.observe = func(e Exchange) { also(e); a.observe(e) }
	return &b
}

// Through is the same API whose every request waits for its turn first, and tells when it is done. Searches and COQL
// are heavy: Zoho takes fewer of them at once (Zoho's API, "API limits"). An error of turn is handed on: nothing is sent.
func (a *API) Through(turn func(ctx context.Context, heavy bool) (done func(), err error)) *API {
	b := *a
	b.turn = turn
	return &b
}

// Unless is the same API that asks late right before a write leaves, when its turn and its access are there: a process
// that was stopped meanwhile may have lost the right to write. Its error is handed on: nothing is sent.
func (a *API) Unless(late func() error) *API {
	b := *a
	b.late = late
	return &b
}

// request is one thing asked of the API host.
type request struct {
	method  string
	path    string // after /crm/v8
	query   url.Values
	body    []byte
	header  http.Header
	write   bool
	heavy   bool // a search or COQL
	credits int
}

// send sends r once, and once more when Zoho refuses the token: a 401 has written nothing.
func (a *API) send(ctx context.Context, r request) (answer, error) {
	done, err := a.turn(ctx, r.heavy)
	if err != nil {
		return answer{}, err
	}
	defer done()
	access, err := a.access(ctx, "")
	if err != nil {
		return answer{}, err
	}
	if r.write {
		if err := a.late(); err != nil {
			return answer{}, err
		}
	}
	ans, failed := a.exchange(ctx, r, access, false)
	if failed != nil && failed.Class == Token {
		access, err = a.access(ctx, access.Token)
		if err != nil {
			return answer{}, err
		}
		ans, failed = a.exchange(ctx, r, access, true)
	}
	if failed != nil {
		return ans, failed
	}
	return ans, nil
}

func (a *API) exchange(ctx context.Context, r request, access Access, repeated bool) (answer, *Error) {
	path := "/crm/v8" + r.path
	if len(r.query) > 0 {
		// Zoho reads a plus sign as a space, so a space must not become one.
		path += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20")
	}
	header := r.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Authorization", "Zoho-oauthtoken "+access.Token.Reveal())
	if r.body != nil {
		header.Set("Content-Type", "application/json")
	}
	started := a.client.now()
	ans, err := a.client.roundTrip(ctx, r.method, access.APIDomain+path, header, r.body, r.write)
	if err == nil {
		err = decodeError(ans, a.client.now())
	}
	e := Exchange{
		Method: r.method, Path: path, Status: ans.status, Started: started, Took: a.client.now().Sub(started),
		RequestBody: Observed(r.body), ResponseBody: Observed(ans.body), CreditsLeft: creditsLeft(ans.header), Repeated: repeated, Err: err,
	}
	if ans.status != 0 && ans.status != http.StatusUnauthorized && ans.status != http.StatusTooManyRequests {
		e.Credits = r.credits
	}
	a.observe(e)
	return ans, err
}

// creditsLeft reads what Zoho says of the day's credits (Zoho's API, "API limits").
func creditsLeft(h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-API-CREDITS-REMAINING"))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// roundTrip sends one request and reads the bounded answer. It refuses to dial a host outside the table.
func (c *Client) roundTrip(ctx context.Context, method, target string, header http.Header, body []byte, write bool) (answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout) // or sooner, as ctx says
	defer cancel()
	var sent atomic.Bool // from here on Zoho may have heard it
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, reader)
	if err != nil {
		return answer{}, &Error{Class: OurBug, Message: "the request could not be built", cause: withoutURL(err)}
	}
	if origin := req.URL.Scheme + "://" + req.URL.Host; !c.origins[origin] || req.URL.User != nil {
		return answer{}, &Error{Class: OurBug, Code: "FOREIGN_HOST", Message: "not a host of Zoho's data centres: nothing was sent"}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")

	resp, err := c.http.Do(req)
	if err != nil {
		class, message := Transient, "Zoho could not be reached"
		if sent.Load() {
			message = "the connection to Zoho broke before an answer came"
			if write {
				class = Unknown
			}
		}
		return answer{}, &Error{Class: class, Message: message, cause: withoutURL(err)}
	}
	defer resp.Body.Close()
	ans := answer{status: resp.StatusCode, header: resp.Header, write: write}
	ans.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return ans, &Error{Class: ans.lost(), Status: ans.status, Message: "the answer was cut short", cause: withoutURL(err)}
	case len(ans.body) > maxAnswer:
		ans.body = ans.body[:maxAnswer]
		return ans, &Error{Class: ans.lost(), Status: ans.status, Message: "the answer is larger than 4 MiB"}
	}
	return ans, nil
}

// withoutURL drops the URL that net/http puts into its errors: it holds phone numbers.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// token is what Zoho's tokens and codes look like: 1000.<32 hex>.<32 hex>.
var token = regexp.MustCompile(`1000\.[0-9A-Za-z]{6,}\.[0-9A-Za-z]{6,}`)

// Observed is a body as an Exchange carries it and the log may keep it: cut at 64 KiB, without tokens.
func Observed(body []byte) []byte {
	if len(body) > maxObserved {
		body = body[:maxObserved]
	}
	if len(body) == 0 {
		return nil
	}
	return token.ReplaceAll(body, []byte("***"))
}

// apiName and recordID are the only texts that become part of a path.
var (
	apiName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)
	recordID = regexp.MustCompile(`^[0-9]{1,30}$`)
)

func checkModule(module string) error {
	if !apiName.MatchString(module) {
		return &Error{Class: OurBug, Code: "UNSAFE", Message: fmt.Sprintf("%q is no module's name", module)}
	}
	return nil
}

func checkID(id string) error {
	if !recordID.MatchString(id) {
		return &Error{Class: OurBug, Code: "UNSAFE", Message: "a record's id is digits"}
	}
	return nil
}
