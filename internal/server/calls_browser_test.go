package server_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"hookline/internal/call"
	"hookline/internal/harness/browser"
	"hookline/internal/server/servertest"
)

func signIn(b *browser.Browser, s *servertest.Site, email string) {
	b.Goto(s.URL + "/login")
	b.Do(
		chromedp.SendKeys("#email", email),
		chromedp.SendKeys("#password", servertest.Password),
		chromedp.Submit("#password"),
		chromedp.WaitVisible(".topbar"),
	)
}

func TestEmptyLogInABrowser(t *testing.T) {
	l := newLine(t)
	b := browser.Open(t)
	l.Owner("ann@acme.test")
	signIn(b, l.Site, "ann@acme.test")
	for name, path := range map[string]string{"home-new": "/", "calls-empty": "/calls", "calls-none-fits": "/calls?q=nobody&status=delivered"} {
		b.Check(name, l.URL+path)
	}
}

// full fills a workspace with calls of many kinds, and gives the ids of those worth a look.
func (l *line) full(owner *servertest.Browser) map[string]call.ID {
	org := l.connect(owner)
	src := l.source(owner)
	ids := map[string]call.ID{}
	long := sarah()
	long.FirstName, long.LastName = strings.Repeat("Maximiliane ", 12), strings.Repeat("Freifrau von und zu Hohenstein ", 3)
	long.From, long.Summary = "+14155550124", strings.Repeat("Wants pricing for 50 Enterprise seats, budget $50K, start in Q1, and somebody to call back tomorrow. ", 4)
	long.Transcript = nil
	for n := range 120 {
		role := call.Agent
		if n%2 == 1 {
			role = call.Caller
		}
		long.Transcript = append(long.Transcript, call.Turn{Role: role, At: time.Duration(n*15) * time.Second,
			Text: fmt.Sprintf("Line %d: what is the pricing for 50 users, and can we have a quote by Friday?", n)})
	}
	long.Answers = map[string]any{"budget": "50000", "timeline": "Q1", "seats": 50.0, "decision_maker": true}
	long.RecordingURL = "https://recordings.example/abc.mp3"
	ids["long"] = l.receive(src, long)
	right := sarah()
	right.From, right.FirstName, right.LastName, right.Company, right.Summary = "+14155550125", "عبد الرحمن", "الخطيب", "شركة النور", "يسأل عن الأسعار لخمسين مستخدمًا."
	right.Transcript = []call.Turn{{Role: call.Agent, Text: "Thanks for calling."}, {Role: call.Caller, Text: "مرحبا، كم السعر؟", At: 3 * time.Second}}
	ids["right-to-left"] = l.receive(src, right)
	emoji := sarah()
	emoji.From, emoji.FirstName, emoji.LastName = "+14155550126", "Zoë 🌈", "O'Neil-Süß"
	emoji.Intent = "callback_requested"
	l.receive(src, emoji)
	hidden := sarah()
	hidden.From, hidden.FirstName, hidden.LastName, hidden.Company = "", "", "", ""
	l.receive(src, hidden)
	for n := range 6 {
		c := sarah()
		c.From = call.Phone(fmt.Sprintf("+1415555%04d", 2000+n))
		l.receive(src, c)
	}
	ids["delivered"] = l.receive(src, sarah())
	l.work()
	l.until(owner, "/calls/"+ids["delivered"].String(), "from the webhook to the last record in Zoho")
	for countRows(l.t, l.Site, `SELECT count(*) FROM calls WHERE status IN ('received', 'delivering')`) > 0 {
		time.Sleep(20 * time.Millisecond) // none of them may meet what comes now
	}
	l.zoho.Control.Settings(org, map[string]any{"required": map[string]any{"Leads": []string{"Industry"}}})
	for n := range 3 {
		c := sarah()
		c.From = call.Phone(fmt.Sprintf("+1415555%04d", 3000+n))
		ids["refused"] = l.receive(src, c)
	}
	l.until(owner, "/calls/"+ids["refused"].String(), "Needs you")
	l.until(owner, "/", "3 need you")
	return ids
}

func TestFullLogInABrowser(t *testing.T) {
	l := newLine(t)
	b := browser.Open(t)
	owner := l.Owner("ann@acme.test")
	ids := l.full(owner)
	signIn(b, l.Site, "ann@acme.test")
	pages := map[string]string{
		"home": "/", "zoho": "/zoho", "calls": "/calls", "calls-needs": "/calls?status=needs_attention&days=30",
		"replay": "/calls/replay?like=" + ids["refused"].String(),
	}
	for _, name := range []string{"long", "right-to-left", "refused"} {
		pages["call-"+name] = "/calls/" + ids[name].String()
	}
	for name, path := range pages {
		b.Check(name, l.URL+path)
	}
	b.Goto(l.URL + "/")
	if n := browser.Eval[int](b, `[...document.querySelectorAll(".chart .bar")].filter((e) => e.getBoundingClientRect().right > e.closest(".chart").getBoundingClientRect().right).length`); n > 0 {
		t.Errorf("%d bars of the chart reach out of it", n)
	}
	for _, width := range []int64{1440, 360} {
		b.Size(width, 900)
		b.Goto(l.URL + "/calls/" + ids["refused"].String())
		browser.Eval[bool](b, `document.querySelectorAll("details.disclose").forEach((d) => { d.open = true; }), true`)
		for _, f := range b.Axe() {
			t.Errorf("a call with everything opened at %d px: axe: %s", width, f)
		}
		if n := b.Overflow(); n > 0 {
			t.Errorf("a call with everything opened at %d px: %d px wider than the window", width, n)
		}
		if shots := os.Getenv("HOOKLINE_SHOTS"); shots != "" {
			b.Screenshot(filepath.Join(shots, fmt.Sprintf("call-opened-%d.png", width)))
		}
	}
}

func TestRowsComeAndMoveWithoutReload(t *testing.T) {
	l := newLine(t)
	b := browser.Open(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	src := l.source(owner)
	signIn(b, l.Site, "ann@acme.test")
	b.Goto(l.URL + "/calls")
	b.Do(chromedp.WaitVisible(".empty"))
	browser.Eval[bool](b, `window.unchanged = true`)
	id := l.receive(src, sarah())
	row := "#call-" + id.String()
	b.Do(chromedp.WaitVisible(row))
	l.work()
	b.Do(chromedp.WaitVisible(row + " .badge.good"))
	if !browser.Eval[bool](b, `window.unchanged === true`) {
		t.Error("the page was loaded anew")
	}
	b.Goto(l.URL + "/calls/" + id.String())
	b.Do(chromedp.WaitVisible("#call .timeline"))
	if got := b.Text("#health"); !strings.Contains(got, "All calls delivered") {
		t.Errorf("the pill says %q", got)
	}
	for _, c := range b.Complaints() {
		t.Errorf("the browser says: %s", c)
	}
}

func TestRowsDoNotJumpUnderASelection(t *testing.T) {
	l := newLine(t)
	b := browser.Open(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	old := l.receive(src, sarah())
	signIn(b, l.Site, "ann@acme.test")
	b.Goto(l.URL + "/calls")
	b.Do(chromedp.Click("#call-"+old.String()+" input[type=checkbox]"), chromedp.WaitVisible(".selection"))
	fresh := l.receive(src, sarah())
	b.Do(chromedp.WaitVisible(".fresh"))
	if got := b.Text(".fresh"); !strings.Contains(got, "1 new call") {
		t.Errorf("the bar says %q", got)
	}
	if !browser.Eval[bool](b, fmt.Sprintf(`!document.getElementById("call-%s") && document.querySelector("#call-%s input").checked`, fresh, old)) {
		t.Error("the selection is lost, or the new row pushed it down")
	}
}

// payloads try to run a script from wherever a caller's words are shown.
var payloads = []string{
	`<script>alert(1)</script>`, `<ScRiPt>alert(1)</sCrIpT>`, `"><script>alert(1)</script>`, `</td><script>alert(1)</script>`,
	`</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`, `</template><script>alert(1)</script>`, `<!--<script>alert(1)-->`,
	`<img src=x onerror=alert(1)>`, `"><img src=x onerror=alert(1)>`, `<img/src=x/onerror=alert(1)>`, `<svg onload=alert(1)>`, `<svg/onload=alert(1)>`,
	`<svg><script>alert(1)</script></svg>`, `<svg><animate onbegin=alert(1) attributeName=x dur=1s>`, `<math><mi xlink:href="javascript:alert(1)">x`,
	`<body onload=alert(1)>`, `<iframe src="javascript:alert(1)">`, `<iframe srcdoc="<script>alert(1)</script>">`, `<object data="javascript:alert(1)">`,
	`<embed src="javascript:alert(1)">`, `<details open ontoggle=alert(1)>`, `<input autofocus onfocus=alert(1)>`, `<video><source onerror=alert(1)>`,
	`<audio src=x onerror=alert(1)>`, `<marquee onstart=alert(1)>`, `<a href="javascript:alert(1)">x</a>`, `javascript:alert(1)`, `JaVaScRiPt:alert(1)`,
	`data:text/html,<script>alert(1)</script>`, `" onmouseover="alert(1)`, `' onfocus='alert(1)' autofocus='`, `<style>@import 'javascript:alert(1)'</style>`,
	`<link rel=stylesheet href=//evil.test/x.css>`, `<base href=//evil.test/>`, `<meta http-equiv=refresh content="0;url=javascript:alert(1)">`,
	`<form action=//evil.test><input type=submit>`, `<div hx-get="/logout" hx-trigger="load">`, `<div hx-on:load="alert(1)">`, `{{constructor.constructor('alert(1)')()}}`,
	`\u003cscript\u003ealert(1)\u003c/script\u003e`, `&lt;script&gt;alert(1)&lt;/script&gt;`,
}

func TestNoWordsOfACallerRunInABrowser(t *testing.T) {
	l := newLine(t)
	b := browser.Open(t)
	owner := l.Owner("ann@acme.test")
	src := l.source(owner)
	var ids []call.ID
	for _, x := range payloads {
		ids = append(ids, l.receive(src, call.Call{
			Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", FirstName: x, LastName: x, Company: x, Summary: x,
			Intent: x, Agent: x, RecordingURL: x, Answers: map[string]any{x: x}, Transcript: []call.Turn{{Role: call.Caller, Text: x}},
		}))
	}
	signIn(b, l.Site, "ann@acme.test")
	opened := []string{"/", "/calls", "/calls?q=" + url.QueryEscape(payloads[0]), "/calls/replay?id=" + ids[0].String()}
	for _, id := range ids {
		opened = append(opened, "/calls/"+id.String())
	}
	for _, path := range opened {
		b.Goto(l.URL + path)
		if n := browser.Eval[int](b, `document.scripts.length`); n != 3 {
			t.Errorf("GET %s has %d scripts, want the 3 of every page", path, n)
		}
		if planted := browser.Eval[int](b, `document.querySelectorAll("main :is(iframe, object, embed, style, link, base, meta, marquee, video, audio, [onerror], [onload], [onfocus], [hx-get='/logout'], a[href^='javascript' i], a[href^='data' i])").length`); planted > 0 {
			t.Errorf("GET %s has %d planted elements", path, planted)
		}
		for _, c := range b.Complaints() {
			t.Errorf("GET %s: the browser says: %s", path, c)
		}
	}
}
