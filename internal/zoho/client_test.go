package zoho

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/seal"
)

// answering serves one handler and gives an API on it, whose token is "good" until it is refused.
func answering(t *testing.T, handler http.HandlerFunc) (*API, *[]Exchange) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	var mu sync.Mutex
	var seen []Exchange
	client := NewClient(Options{Centres: SandboxCentres(server.URL)})
	access := func(_ context.Context, stale seal.Secret) (Access, error) {
		token := seal.Secret("good")
		if stale != "" {
			token = stale + "+"
		}
		return Access{APIDomain: server.URL, Token: token}, nil
	}
	return client.For(access, func(e Exchange) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, e)
	}), &seen
}

func classOfErr(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

func TestAnOldTokenIsReplacedOnceAndTheRequestRepeatedOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	api, seen := answering(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != "Zoho-oauthtoken good+" {
			w.WriteHeader(401)
			io.WriteString(w, `{"code":"INVALID_TOKEN","status":"error"}`)
			return
		}
		io.WriteString(w, `{"data":[{"id":"5725767000000524157"}]}`)
	})
	rec, found, err := api.Get(t.Context(), "Leads", "5725767000000524157", nil)
	if err != nil || !found || rec.ID() != "5725767000000524157" || requests.Load() != 2 {
		t.Fatalf("got %v %v %v after %d requests", rec, found, err, requests.Load())
	}
	if len(*seen) != 2 || !(*seen)[1].Repeated || (*seen)[0].Credits != 0 || (*seen)[1].Credits != 1 {
		t.Errorf("observed %+v", *seen)
	}
}

func TestATokenRefusedTwiceIsGivenUp(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	api, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(401)
		io.WriteString(w, `{"code":"INVALID_TOKEN","status":"error"}`)
	})
	_, err := api.Create(t.Context(), "Leads", []Record{{"Last_Name": "A"}}, WriteOptions{})
	if classOfErr(err) != Token || requests.Load() != 2 {
		t.Fatalf("got %v after %d requests", err, requests.Load())
	}
}

func TestAMissingScopeAsksForNoToken(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	api, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(401)
		io.WriteString(w, `{"code":"OAUTH_SCOPE_MISMATCH","status":"error"}`)
	})
	_, err := api.Org(t.Context())
	if classOfErr(err) != Scope || requests.Load() != 1 {
		t.Fatalf("got %v after %d requests", err, requests.Load())
	}
}

func TestAWriteIsNeverRepeatedAndItsLossIsUnknown(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a gateway answers": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			io.WriteString(w, "<html>Bad gateway</html>")
		},
		"the answer is cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			w.WriteHeader(201)
			io.WriteString(w, `{"data":[{"code":"SUCCESS"`)
		},
		"the answer is empty": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
		"the answer is too large": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			io.WriteString(w, strings.Repeat(" ", maxAnswer+1))
		},
		"the answer names no id": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			io.WriteString(w, `{"data":[{"code":"SUCCESS","details":{},"status":"success"}]}`)
		},
		"the answer has another number of results": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			io.WriteString(w, `{"data":[]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			api, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				handler(w, r)
			})
			_, err := api.Create(t.Context(), "Leads", []Record{{"Last_Name": "A"}}, WriteOptions{})
			if classOfErr(err) != Unknown || requests.Load() != 1 {
				t.Errorf("got %v after %d requests", err, requests.Load())
			}
		})
	}
}

// Only 204 says that there is nothing: a caller who is known must not become nobody because a body was lost.
func TestAReadWithoutABodyIsNoAnswerUnlessItIs204(t *testing.T) {
	t.Parallel()
	status := 200
	api, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	reads := map[string]func() error{
		"get":      func() error { _, _, err := api.Get(t.Context(), "Leads", "1", nil); return err },
		"search":   func() error { _, err := api.SearchPhone(t.Context(), "Leads", "+14155550100", nil, false); return err },
		"COQL":     func() error { _, err := api.COQL(t.Context(), "select id from Leads where id = 1"); return err },
		"peek":     func() error { _, err := api.Peek(t.Context(), "Leads"); return err },
		"related":  func() error { _, err := api.Related(t.Context(), "Leads", "1", "Notes", nil); return err },
		"layouts":  func() error { _, err := api.Layouts(t.Context(), "Leads"); return err },
		"metadata": func() error { _, err := api.Metadata(t.Context(), "Leads"); return err },
	}
	for name, read := range reads {
		if err := read(); classOfErr(err) != Transient {
			t.Errorf("%s, 200 without a body: got %v", name, err)
		}
	}
	status = 204
	for name, read := range reads {
		if err := read(); err != nil != (name == "metadata") { // every module has fields
			t.Errorf("%s, 204: got %v", name, err)
		}
	}
}

func TestAWriteThatNeverLeftIsSafeToSendAgain(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	listener.Close()
	client := NewClient(Options{Centres: SandboxCentres(base)})
	api := client.For(func(context.Context, seal.Secret) (Access, error) { return Access{APIDomain: base, Token: "t"}, nil }, nil)
	_, err = api.Create(t.Context(), "Leads", []Record{{"Last_Name": "A"}}, WriteOptions{})
	if classOfErr(err) != Transient {
		t.Fatalf("got %v", err)
	}
}

func TestATimeoutOfAWriteIsUnknown(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	arrived := make(chan struct{})
	api, _ := answering(t, func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := api.Create(ctx, "Leads", []Record{{"Last_Name": "A"}}, WriteOptions{})
	if classOfErr(err) != Unknown || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// transportFunc is a transport that a test looks through.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestEveryRequestHasADeadline(t *testing.T) {
	t.Parallel()
	var left []time.Duration
	client := NewClient(Options{Centres: Production(), HTTP: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		at, _ := r.Context().Deadline()
		left = append(left, time.Until(at))
		return nil, io.ErrUnexpectedEOF
	})}})
	api := client.For(func(context.Context, seal.Secret) (Access, error) {
		return Access{APIDomain: client.Centres().Start().API, Token: "t"}, nil
	}, nil)
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, ctx := range []context.Context{t.Context(), long, short} {
		_, _ = api.Org(ctx)
		_, _ = client.Refresh(ctx, client.Centres().Start(), Credentials{}, "r", nil)
	}
	if len(left) != 6 {
		t.Fatalf("%d requests", len(left))
	}
	for i, most := range []time.Duration{requestTimeout, requestTimeout, requestTimeout, requestTimeout, time.Second, time.Second} {
		if left[i] <= 0 || left[i] > most {
			t.Errorf("request %d has %s, want at most %s", i, left[i], most)
		}
	}
}

func TestWhatZohoSaysOfItsCreditsIsTold(t *testing.T) {
	t.Parallel()
	values := []string{"24990", "0", "", "many", "-3"}
	api, seen := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-API-CREDITS-REMAINING", values[0])
		values = values[1:]
		w.WriteHeader(204)
	})
	for range 5 {
		_, _ = api.Peek(t.Context(), "Leads")
	}
	var got []int
	for _, e := range *seen {
		got = append(got, e.CreditsLeft)
	}
	if !slices.Equal(got, []int{24990, 0, -1, -1, -1}) {
		t.Errorf("got %v", got)
	}
}

func TestEachRecordOfAWriteHasItsOwnResult(t *testing.T) {
	t.Parallel()
	api, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(207)
		io.WriteString(w, `{"data":[
			{"code":"MANDATORY_NOT_FOUND","details":{"api_name":"Last_Name","json_path":"$.data[0].Last_Name"},"message":"required field not found","status":"error"},
			{"code":"SUCCESS","details":{"id":"5725767000000524157"},"message":"record added","status":"success"}]}`)
	})
	results, err := api.Create(t.Context(), "Leads", []Record{{}, {"Last_Name": "A"}}, WriteOptions{})
	if err != nil || results[0].Err == nil || results[0].Err.Field != "Last_Name" || results[1].Err != nil || results[1].ID != "5725767000000524157" {
		t.Fatalf("got %+v %v", results, err)
	}
}

func TestARefusalOfTheWholeRequestIsNoResult(t *testing.T) {
	t.Parallel()
	api, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"data":[{"code":"INVALID_MODULE","details":{},"status":"error"}]}`)
	})
	results, err := api.Create(t.Context(), "Nonsense", []Record{{}, {}}, WriteOptions{})
	if classOfErr(err) != Unsupported || results != nil {
		t.Fatalf("got %+v %v", results, err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(evil.Close)
	api, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL, http.StatusTemporaryRedirect)
	})
	if _, err := api.Org(t.Context()); err == nil || visits.Load() != 0 {
		t.Fatalf("got %v after %d visits", err, visits.Load())
	}
}

func TestAHostOutsideTheTableIsNotDialled(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(evil.Close)
	client := NewClient(Options{Centres: Production()})
	for _, domain := range []string{evil.URL, "https://www.zohoapis.com@" + strings.TrimPrefix(evil.URL, "http://"), "http://www.zohoapis.com"} {
		api := client.For(func(context.Context, seal.Secret) (Access, error) { return Access{APIDomain: domain, Token: "t"}, nil }, nil)
		_, err := api.Org(t.Context())
		if classOfErr(err) != OurBug {
			t.Errorf("%s: got %v", domain, err)
		}
	}
	if visits.Load() != 0 {
		t.Errorf("%d visits", visits.Load())
	}
}

func TestSearchSendsAPlusSignAsItself(t *testing.T) {
	t.Parallel()
	var raw string
	api, seen := answering(t, func(w http.ResponseWriter, r *http.Request) {
		raw = r.URL.RawQuery
		w.WriteHeader(204)
	})
	got, err := api.SearchPhone(t.Context(), "Leads", "+1 555 0100", []string{"id", "Phone"}, true)
	if err != nil || got != nil {
		t.Fatalf("got %v %v", got, err)
	}
	if raw != "converted=both&fields=id%2CPhone&per_page=200&phone=%2B1%20555%200100" {
		t.Errorf("asked %s", raw)
	}
	if len(*seen) != 1 || (*seen)[0].Status != 204 {
		t.Errorf("observed %+v", *seen)
	}
}

func TestNoPathIsMadeOfUncheckedText(t *testing.T) {
	t.Parallel()
	api, seen := answering(t, func(http.ResponseWriter, *http.Request) {})
	if _, _, err := api.Get(t.Context(), "Leads/../org", "1", nil); classOfErr(err) != OurBug {
		t.Errorf("module: %v", err)
	}
	if _, _, err := api.Get(t.Context(), "Leads", "1/../2", nil); classOfErr(err) != OurBug {
		t.Errorf("id: %v", err)
	}
	if _, err := api.SearchPhone(t.Context(), "Leads", "1&word=x", nil, false); classOfErr(err) != OurBug {
		t.Errorf("phone: %v", err)
	}
	if len(*seen) != 0 {
		t.Errorf("sent %+v", *seen)
	}
}

func TestTokensNeverReachTheObserver(t *testing.T) {
	t.Parallel()
	const access, refresh = "1000.6a1bb22c33d44e55f66a77b88c99d00e.1a2b3c4d5e6f708192a3b4c5d6e7f809", "1000.00000000000000000000000000000000.11111111111111111111111111111111"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			t.Errorf("secrets in the URL: %s", r.URL.RawQuery)
		}
		io.WriteString(w, `{"access_token":"`+access+`","refresh_token":"`+refresh+`","api_domain":"x","expires_in":3600}`)
	}))
	t.Cleanup(server.Close)
	client := NewClient(Options{Centres: SandboxCentres(server.URL)})
	var all strings.Builder
	grant, err := client.Exchange(t.Context(), client.Centres().Start(), Credentials{ID: "id", Secret: "client-secret"}, "http://x/cb", "the-code", func(e Exchange) {
		all.Write(e.RequestBody)
		all.Write(e.ResponseBody)
		all.WriteString(e.Path)
	})
	if err != nil || grant.Access.Reveal() != access || grant.Refresh.Reveal() != refresh {
		t.Fatalf("got %v", err)
	}
	for _, secret := range []string{access, refresh, "client-secret", "the-code"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("observed %s in %s", secret, all.String())
		}
	}
}

func TestTokenAnswersAreJudgedByTheirBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   Class
		wait   time.Duration
	}{
		{"a dead code or token, with 200", 200, `{"error":"invalid_code"}`, Token, 0},
		{"an unknown client", 200, `{"error":"invalid_client"}`, Operator, 0},
		{"a wrong secret", 200, `{"error":"invalid_client_secret"}`, Operator, 0},
		{"a dead code or token, with 400", 400, `{"error":"invalid_code"}`, Token, 0},
		{"a wrong redirect", 400, `{"error":"invalid_redirect_uri"}`, Operator, 0},
		{"too many requests, with 400", 400, `{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}`, Limited, 10 * time.Minute},
		{"too many requests, with 200", 200, `{"error":"Access Denied"}`, Limited, 10 * time.Minute},
		{"general_error", 500, `{"error":"general_error"}`, Transient, 0},
		{"a refusal of a service in trouble is none", 500, `{"error":"invalid_code"}`, Transient, 0},
		{"nor is its word on us", 503, `{"error":"invalid_client"}`, Transient, 0},
		{"too many requests, as a gateway says it", 429, `<html>`, Limited, 10 * time.Minute},
		{"a word that nobody has seen", 200, `{"error":"brand_new"}`, Transient, 0},
		{"a cut answer", 200, `{"access_token":"1000.a`, Transient, 0},
		{"HTML", 200, `<html>`, Transient, 0},
		{"nothing", 200, ``, Transient, 0},
		{"an empty object", 200, `{}`, Transient, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			t.Cleanup(server.Close)
			client := NewClient(Options{Centres: SandboxCentres(server.URL)})
			_, err := client.Refresh(t.Context(), client.Centres().Start(), Credentials{ID: "id"}, "r", nil)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Class != tt.want || e.RetryAfter != tt.wait {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestExpiryIsReadInBothUnits(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"expires_in":3600}`:                          time.Hour,
		`{"expires_in":"1800"}`:                        30 * time.Minute,
		`{"expires_in":3600000,"expires_in_sec":3600}`: time.Hour,
		`{}`:                      time.Hour,
		`{"expires_in":-1}`:       time.Hour,
		`{"expires_in":99999999}`: time.Hour,
	} {
		doc, err := decodeObject([]byte(body))
		if err != nil || expiry(doc) != want {
			t.Errorf("%s: %s %v", body, expiry(doc), err)
		}
	}
}

func TestAWriteThatComesTooLateIsNotSent(t *testing.T) { // P18
	t.Parallel()
	var requests atomic.Int32
	api, seen := answering(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		io.WriteString(w, `{"data":[{"id":"5725767000000524157"}]}`)
	})
	late := errors.New("the lane is another's")
	api = api.Unless(func() error { return late })
	if _, err := api.Create(t.Context(), "Leads", []Record{{"Last_Name": "Johnson"}}, WriteOptions{}); !errors.Is(err, late) || requests.Load() != 0 || len(*seen) != 0 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
	if _, found, err := api.Get(t.Context(), "Leads", "5725767000000524157", nil); err != nil || !found {
		t.Errorf("a read changes nothing, and got %v %v", found, err)
	}
}
