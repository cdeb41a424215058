package server_test

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"hookline/internal/account"
	"hookline/internal/harness/browser"
	"hookline/internal/server/servertest"
)

func TestFrontDoorInABrowser(t *testing.T) {
	s := servertest.New(t)
	b := browser.Open(t)
	s.Visitor().Post("/signup", signUpForm("ann@acme.test"))
	s.Visitor().Post("/reset", url.Values{"email": {"ann@acme.test"}})
	reset := linkIn(t, s, "ann@acme.test")
	for name, path := range map[string]string{
		"welcome": "/", "signup": "/signup", "login": "/login", "reset-ask": "/reset", "reset": reset, "check-mail": "/check-mail",
		"mail": "/mail/" + servertest.Mailbox, "dead-link": "/verify/nothing", "404": "/nothing",
	} {
		b.Check(name, s.URL+path)
	}
}

func TestSettingsInABrowser(t *testing.T) {
	s := servertest.New(t)
	b := browser.Open(t)
	owner := s.Owner("ann@acme.test")
	s.Member(owner.Tenant, "a-person-with-a-rather-long-address.for-the-narrow-column@subsidiary.acme.test", account.Operator)
	owner.Post("/settings/keys", url.Values{"name": {"Wallboard in the hall"}, "role": {"viewer"}})
	b.Goto(s.URL + "/login")
	b.Do(
		chromedp.SendKeys("#email", "ann@acme.test"),
		chromedp.SendKeys("#password", servertest.Password),
		chromedp.Submit("#password"),
		chromedp.WaitVisible(".topbar"),
	)
	for name, path := range map[string]string{
		"settings": "/settings", "team": "/settings/team", "security": "/settings/security", "keys": "/settings/keys", "audit": "/settings/audit", "404-in": "/nothing",
	} {
		b.Check(name, s.URL+path)
	}
}
