package server_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"hookline/internal/harness/browser"
	"hookline/internal/server/servertest"
)

// stays reports whether the page is still the one that mark was set on: nothing was loaded anew.
const mark = `window.stayed = true`

func stays(t *testing.T, b *browser.Browser) {
	t.Helper()
	if !browser.Eval[bool](b, `window.stayed === true`) {
		t.Error("the page was loaded anew")
	}
}

func focused(b *browser.Browser) string { return browser.Eval[string](b, `document.activeElement.id`) }

// clean fails on what axe or the browser has to say of the page as it stands.
func clean(t *testing.T, b *browser.Browser, state string) {
	t.Helper()
	for _, width := range []int64{1440, 360} {
		b.Size(width, 900)
		for _, fault := range b.Axe() {
			t.Errorf("%s at %d px: %s", state, width, fault)
		}
		if n := b.Overflow(); n > 0 {
			t.Errorf("%s at %d px: %d px wider than the window", state, width, n)
		}
	}
	b.Size(1440, 900)
}

func TestARuleIsBuiltByKeysAlone(t *testing.T) {
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	b := signedIn(t, s)
	b.Goto(s.URL + "/rules/new")
	browser.Eval[bool](b, mark)
	b.Focus("#name")
	b.Press("Quotes by night", kb.Tab, kb.Tab)
	// Past “all”, “any” or “none” stands the menu of facts: it is chosen from by typing, and Tab leads to the button.
	b.Press("the caller s", kb.Tab, kb.Enter)
	b.Until(`document.getElementById("row-1")`)
	b.Until(`document.activeElement.id === "add-"`)
	b.Focus(`#list\.1\.buying`)
	b.Press(" ")
	b.Until(`document.getElementById("sentence").innerText.includes("the caller says buying words")`)
	if got := focused(b); got != "list.1.buying" {
		t.Errorf("after a box was ticked the focus is on %q", got)
	}
	b.Focus(`#new\.1`)
	b.Press("quot*", kb.Enter)
	b.Until(`document.querySelector('#row-1 .chip')?.innerText.includes("quot*")`)
	b.Until(`document.getElementById("new.1").value === ""`)
	b.Press("bulk order", kb.Enter)
	b.Until(`document.querySelectorAll('#row-1 .chip').length === 2`)
	if got := focused(b); got != "new.1" {
		t.Errorf("after a chip the focus is on %q", got)
	}
	b.Focus(`#drop-1-0`)
	b.Press(kb.Enter)
	b.Until(`document.querySelectorAll('#row-1 .chip').length === 1`)
	if got := focused(b); got != "drop-1-0" {
		t.Errorf("after a chip went the focus is on %q", got)
	}
	b.Focus("#fact")
	b.Press(kb.Home, kb.Tab, kb.Enter) // “the caller” is the first
	b.Until(`document.getElementById("row-2")`)
	b.Focus(`#v\.2\.contact`)
	b.Press(" ")
	b.Focus("#up-2")
	b.Press(kb.Enter)
	b.Until(`document.querySelector("#when .condrow").id === "row-2"`)
	if got := focused(b); got != "up-2" {
		t.Errorf("after a row moved the focus is on %q", got)
	}
	b.Focus("#doing")
	b.Press("Create a Deal", kb.Tab, kb.Enter)
	b.Until(`document.getElementById("within.a1")`)
	b.Until(`document.getElementById("sentence").innerText.includes("create a Deal")`)
	stays(t, b)
	clean(t, b, "a rule being built")
	b.Focus(`#preview button[value="save"]`)
	b.Press(kb.Enter)
	b.At("/rules")
	rule := draftRules(t, owner).Rules[2]
	if got := jsonOf(t, rule); rule.Name != "Quotes by night" || !strings.Contains(got, "bulk order") || strings.Contains(got, "quot*") || !strings.Contains(got, "create_deal") {
		t.Errorf("saved %s", got)
	}
	if c := b.Complaints(); len(c) > 0 {
		t.Error(c)
	}
}

func TestWhatIsTypedOutlivesTheSentenceThatFollows(t *testing.T) {
	s := servertest.New(t)
	s.Owner("ann@acme.test")
	b := signedIn(t, s)
	b.Goto(s.URL + "/rules/buying")
	browser.Eval[bool](b, mark)
	b.Type(`#within\.a1`, "14")
	b.Until(`document.getElementById("sentence").innerText.includes("within 14 days")`)
	b.Type(`#within\.a1`, "soon")
	b.Sees("Enter a whole number of days.")
	clean(t, b, "a rule with a fault")
	if got := browser.Eval[string](b, `document.getElementById("within.a1").value`); got != "soon" || focused(b) != "within.a1" {
		t.Errorf("%q with the focus on %q", got, focused(b))
	}
	t.Run("another fact brings its own inputs in place", func(t *testing.T) {
		b.Choose(`#f\.2`, "duration")
		b.Until(`document.getElementById("n.2")`)
		b.Choose(`#f\.2`, "weekday")
		b.Until(`document.getElementById("v.2.sunday")`)
	})
	stays(t, b)
}

func TestRulesAreMovedByKeysAndByPointer(t *testing.T) {
	s := servertest.New(t)
	owner := s.Owner("ann@acme.test")
	b := signedIn(t, s)
	b.Goto(s.URL + "/rules")
	browser.Eval[bool](b, mark)
	at := func(id string, place int) string {
		return `[...document.querySelectorAll("li.rule[id]")].findIndex(e => e.id === "rule-` + id + `") === ` + string(rune('0'+place-1))
	}
	b.Focus("#down-spam")
	for place := 3; place <= 5; place++ {
		b.Press(kb.Enter)
		b.Until(at("spam", place))
		if got := focused(b); got != "down-spam" {
			t.Fatalf("in place %d the focus is on %q", place, got)
		}
	}
	b.Sees("“Spam” moved to place 5 in the draft.")
	clean(t, b, "a list with a draft and a toast")
	t.Run("dragged by the grip", func(t *testing.T) {
		b.Drag("#rule-no-number [data-grip]", "#rule-buying")
		b.Until(`document.querySelector(".toasts").innerText.includes("“No usable number” moved to place 3")`)
		if got := order(draftRules(t, owner)); !strings.HasPrefix(got, "open-deal buying no-number contact spam") {
			t.Errorf("the draft has %s", got)
		}
	})
	t.Run("Escape puts it back", func(t *testing.T) {
		before := draftOf(t, owner).Revision
		b.Drag("#rule-open-deal [data-grip]", "#rule-contact", func() {
			b.Until(at("open-deal", 4))
			b.Press(kb.Escape)
			b.Until(at("open-deal", 1))
		})
		if after := draftOf(t, owner).Revision; after != before {
			t.Errorf("the draft went from %d to %d", before, after)
		}
	})
	t.Run("deleted from its menu, and brought back by the toast", func(t *testing.T) {
		b.Focus("#more-spam")
		b.Press(kb.Enter)
		b.Until(`document.querySelector("#rule-spam details.menu").open`)
		b.Press(kb.Tab, kb.Tab, kb.Tab, kb.Enter)
		b.Sees("“Spam” deleted in the draft.")
		stays(t, b)
		b.ClickOn(".toast form button")
		b.Sees("Taken back.")
		b.Until(`document.getElementById("rule-spam")`)
		b.At("/rules")
	})
}

// What the server refuses with a page of its own is no part of the page that stands: that one stays, and a toast says why.
func TestARefusalLeavesThePageAsItIsAndIsSaid(t *testing.T) {
	s := servertest.New(t)
	s.Owner("ann@acme.test")
	b := signedIn(t, s)
	spoil := `document.querySelectorAll("input[name=revision]").forEach((r) => { r.value = "lost"; })`

	b.Goto(s.URL + "/rules/lead")
	browser.Eval[any](b, spoil)
	b.Type("#name", "A name of mine")
	b.Until(`document.getElementById("toasts").innerText.includes("The form is not complete.")`)
	if name := browser.Eval[string](b, `document.getElementById("name")?.value ?? "gone"`); name != "A name of mine" {
		t.Errorf("the refusal took the form: the name is %q", name)
	}

	b.Goto(s.URL + "/rules")
	browser.Eval[any](b, spoil)
	b.ClickOn(`#switch-spam`)
	b.Until(`document.getElementById("toasts").innerText.includes("The form is not complete.")`)
	b.Sees("Contact who wants to buy")

	b.Goto(s.URL + "/mapping/Leads")
	browser.Eval[any](b, spoil)
	b.Type(`[name="value.Last_Name"]`, "{{ last_name }} the first")
	b.Until(`document.getElementById("toasts").innerText.includes("The form is not complete.")`)
	if n := browser.Eval[int](b, `document.querySelectorAll("#example, h1").length`); n != 2 {
		t.Errorf("the refusal stands within the page: %d parts", n)
	}

	b.Goto(s.URL + "/rules")
	browser.Eval[any](b, `window.fetch = () => Promise.reject(new TypeError("offline"))`)
	b.ClickOn(`#switch-spam`)
	b.Until(`document.getElementById("toasts").innerText.includes("Hookline cannot be reached")`)
}
