package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hookline/internal/routing"
	"hookline/internal/server/servertest"
)

func TestAPhraseListComesBackWithWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	comesBack := func(t *testing.T, p servertest.Page, status int, texts ...string) {
		t.Helper()
		if p.Status != status {
			t.Errorf("answers %d, want %d", p.Status, status)
		}
		for _, text := range texts {
			if !strings.Contains(p.Body, text) {
				t.Errorf("the page lacks %q", text)
			}
		}
	}
	t.Run("when a new list is refused", func(t *testing.T) {
		p := owner.Post("/rules/phrases", url.Values{"revision": {"0"}, "label": {""}, "phrases": {"very unhappy\nrefund"}, "intents": {"complaint"}})
		comesBack(t, p, http.StatusUnprocessableEntity, "A list needs a name", "very unhappy\nrefund</textarea>", `value="complaint"`)
	})
	add := url.Values{"revision": {"0"}, "label": {"complaints"}, "phrases": {"refund"}}
	if p := owner.Post("/rules/phrases", add); p.Status != http.StatusSeeOther {
		t.Fatalf("adding a list: %d\n%s", p.Status, p.Body)
	}
	t.Run("and not when a new list is made beside another's", func(t *testing.T) {
		p := owner.Post("/rules/phrases", url.Values{"revision": {"0"}, "label": {"praise words"}, "phrases": {"well done"}})
		comesBack(t, p, http.StatusSeeOther)
	})
	t.Run("when the list was deleted meanwhile", func(t *testing.T) {
		var name string
		for _, l := range draftRules(t, owner).Phrases {
			if l.Label == "complaints" {
				name = l.Name
			}
		}
		if p := owner.Post("/rules/phrases/"+name, url.Values{"revision": {"2"}, "act": {"delete"}}); p.Status != http.StatusSeeOther {
			t.Fatalf("deleting: %d", p.Status)
		}
		p := owner.Post("/rules/phrases/"+name, url.Values{"revision": {"2"}, "act": {"add"}, "label": {"complaints"}, "new": {"money back"}})
		comesBack(t, p, http.StatusConflict, "changed the same", `value="complaints"`, "money back</textarea>")
	})
	if got := len(draftRules(t, owner).Phrases); got != len(routing.DefaultSet().Phrases)+1 {
		t.Errorf("%d lists are stored", got)
	}
}

func TestAPastedSecretOutlivesAWrongName(t *testing.T) {
	t.Parallel()
	owner := servertest.New(t).Owner("ann@acme.test")
	p := owner.Post("/sources", url.Values{"provider": {"retell"}, "name": {strings.Repeat("x", 300)}, "secret": {"key_0123456789abcdef"}})
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="key_0123456789abcdef"`) {
		t.Errorf("%d, the secret is gone", p.Status)
	}
}

func TestAFormSentAfterTheSessionEndedSaysThatNothingWasSaved(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	cookies := *owner
	if p := owner.Post("/settings/security/logout-everywhere", nil); p.Status != http.StatusSeeOther {
		t.Fatalf("log out: %d", p.Status)
	}
	late := &cookies
	late.Headers.Set("Referer", s.URL+"/rules/new?x=1")
	p := late.Post("/rules", url.Values{"revision": {"0"}, "name": {"Lost"}})
	if p.Status != http.StatusSeeOther || p.Location != "/login?next=%2Frules%2Fnew%3Fx%3D1&unsaved=1" {
		t.Fatalf("%d to %q", p.Status, p.Location)
	}
	if p := late.Get(p.Location); !strings.Contains(p.Body, "so nothing was saved") || !strings.Contains(p.Body, `name="next" value="/rules/new?x=1"`) {
		t.Errorf("the log-in page: %d\n%s", p.Status, p.Body)
	}
	t.Run("to htmx as well", func(t *testing.T) {
		late.Headers.Set("HX-Request", "true")
		if p := late.Post("/rules", url.Values{}); p.Status != http.StatusUnauthorized || !strings.Contains(p.Header.Get("HX-Redirect"), "unsaved=1") {
			t.Errorf("%d to %q", p.Status, p.Header.Get("HX-Redirect"))
		}
		late.Headers.Del("HX-Request")
	})
	t.Run("leads back to pages of ours only", func(t *testing.T) {
		for _, from := range []string{"https://evil.test/rules", s.URL + ".evil.test/", s.URL + "//evil.test", ""} {
			late.Headers.Set("Referer", from)
			if p := late.Post("/rules", url.Values{}); p.Location != "/login?unsaved=1" {
				t.Errorf("from %q: to %q", from, p.Location)
			}
		}
	})
	if p := s.Visitor().Get("/login"); strings.Contains(p.Body, "nothing was saved") {
		t.Error("who sent no form is told of one")
	}
}
