package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"hookline/internal/server/servertest"
)

func TestWhatIsNoTextIsRefusedAndNoFaultOfOurs(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	key := regexp.MustCompile(`hk_[\w-]{43}`).FindString(owner.Post("/settings/keys", url.Values{"name": {"Wallboard"}, "role": {"viewer"}}).Body)
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		escaped := url.QueryEscape(bad)
		for _, path := range []string{"/calls?q=" + escaped, "/calls?rule=" + escaped, "/calls/export?q=" + escaped, "/welcome?" + escaped + "=1"} {
			if p := owner.Get(path); p.Status != http.StatusBadRequest || !strings.Contains(p.Body, "a character that no text holds") {
				t.Errorf("GET %s: %d", path, p.Status)
			}
		}
		for path, field := range map[string]string{
			"/login": "email", "/signup": "business", "/reset": "email", "/settings": "name", "/settings/keys": "name", "/rules/phrases": "label", "/sources": "name",
		} {
			if p := owner.Post(path, url.Values{field: {bad}, "revision": {"0"}}); p.Status != http.StatusBadRequest {
				t.Errorf("POST %s with %s=%q: %d", path, field, bad, p.Status)
			}
		}
		t.Run("in the parts of a form as well", func(t *testing.T) {
			body := "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\n" + bad + "\r\n--x--\r\n"
			r, err := http.NewRequest(http.MethodPost, s.URL+"/login", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			if p := s.Visitor().Do(r); p.Status != http.StatusBadRequest {
				t.Errorf("%q: %d", bad, p.Status)
			}
		})
		t.Run("by the API", func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, s.URL+"/api/v1/calls?q="+escaped, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+key)
			p := s.Visitor().Do(r)
			if p.Status != http.StatusBadRequest || p.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%q: %d %s", bad, p.Status, p.Body)
			}
		})
	}
	t.Run("in an address it leads nowhere", func(t *testing.T) {
		for _, path := range []string{"/calls/", "/rules/", "/mapping/", "/sources/", "/verify/", "/reset/", "/mail/"} {
			if p := owner.Get(path + "a%00%ff"); p.Status != http.StatusNotFound {
				t.Errorf("%s: %d", path, p.Status)
			}
		}
	})
	t.Run("a browser that calls itself so signs in all the same", func(t *testing.T) {
		b := s.Visitor()
		b.Headers.Set("User-Agent", "Sailor\xff")
		b.LogIn("ann@acme.test", servertest.Password)
		if p := b.Get("/settings/security"); p.Status != http.StatusOK {
			t.Errorf("security: %d", p.Status)
		}
	})
}
