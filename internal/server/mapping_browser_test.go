package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"hookline/internal/harness/browser"
)

// tried is a workspace with a connection and a delivered call, and a browser with its owner signed in.
func tried(t *testing.T) (*line, *browser.Browser) {
	t.Helper()
	b := browser.Open(t)
	l := newLine(t)
	owner := l.Owner("ann@acme.test")
	l.connect(owner)
	src := l.source(owner)
	c := sarah()
	c.Summary, c.Answers = "Wants pricing for 50 Enterprise seats.", map[string]any{"budget": "$50K"}
	id := l.receive(src, c)
	l.work()
	l.until(owner, "/calls/"+id.String(), "from the webhook to the last record in Zoho")
	signIn(b, l.Site, "ann@acme.test")
	return l, b
}

// sound is what every state of a page must hold.
func sound(t *testing.T, b *browser.Browser, state string) {
	t.Helper()
	for _, f := range b.Axe() {
		t.Errorf("%s: axe: %s", state, f)
	}
	if n := b.Overflow(); n > 0 {
		t.Errorf("%s: %d px wider than the window", state, n)
	}
	for _, c := range b.Complaints() {
		if !strings.Contains(c, "the server responded with a status of 4") {
			t.Errorf("%s: the browser says: %s", state, c)
		}
	}
	if shots := os.Getenv("HOOKLINE_SHOTS"); shots != "" {
		b.Screenshot(filepath.Join(shots, state+".png"))
	}
}

// enter presses Enter. A script that takes the key keeps it from writing, which chromedp's own way to press it ignores.
func enter(t *testing.T, b *browser.Browser) {
	t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		if _, err := chromedp.Call(b.Context(), input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13}); err != nil {
			t.Fatal(err)
		}
	}
}

func value(b *browser.Browser, selector string) string {
	return browser.Eval[string](b, fmt.Sprintf(`document.querySelector(%q).value`, selector))
}

func TestAValueIsInsertedFromTheListByKeyboardAndByMouse(t *testing.T) {
	l, b := tried(t)
	b.Goto(l.URL + "/mapping/Leads")
	const field = "#value-Description"
	options := `document.querySelectorAll("#picker [role=option]").length`
	t.Run("typing two braces opens the list, typing on narrows it, Enter puts the value in", func(t *testing.T) {
		b.Type(field, "Budget: {{")
		b.Until(`document.activeElement.matches("#picker [role=combobox]") && ` + options + ` > 30`)
		b.Do(chromedp.KeyEvent("deal val"))
		b.Until(`document.querySelector("#picker [aria-selected=true]").innerText.startsWith("estimated_deal_value")`)
		if text := b.Text("#picker [aria-selected=true]"); !strings.Contains(text, "budget as a number") || !strings.Contains(text, "50000") {
			t.Errorf("the choice does not say what it is and what it is for this call: %q", text)
		}
		sound(t, b, "mapping-list-open")
		enter(t, b)
		if v := value(b, field); v != "Budget: {{ estimated_deal_value }}" || !browser.Eval[bool](b, `document.activeElement.id === "value-Description"`) {
			t.Errorf("the field holds %q", v)
		}
		b.Until(`document.querySelector("#example").innerText.includes("Budget: 50000")`)
	})
	t.Run("arrows go round, Escape gives back what was typed", func(t *testing.T) {
		b.Type(field, "{{")
		b.Until(options + ` > 30`)
		b.Do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp))
		if id := browser.Eval[string](b, `document.querySelector("#picker [role=combobox]").getAttribute("aria-activedescendant")`); id != "pick-1" {
			t.Errorf("two down and one up leads to %s", id)
		}
		b.Do(chromedp.KeyEvent(" last_name | "), chromedp.KeyEvent(kb.Escape))
		if v := value(b, field); v != "{{ last_name | " {
			t.Errorf("Escape leaves %q", v)
		}
	})
	t.Run("who writes a placeholder by hand is not disturbed", func(t *testing.T) {
		b.Type(field, `{{ last_name | default: "Nobody" }}`)
		if v := value(b, field); v != `{{ last_name | default: "Nobody" }}` {
			t.Errorf("the field holds %q", v)
		}
	})
	t.Run("the mouse does the same at the caret", func(t *testing.T) {
		b.Type(field, "From  today")
		b.Do(chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
		b.ClickOn("#field-Description [data-insert]")
		b.Until(options + ` > 30`)
		b.Do(chromedp.KeyEvent("company"))
		b.ClickOn("#picker [role=option]")
		if v := value(b, field); v != "From {{ company_name }} today" {
			t.Errorf("the field holds %q", v)
		}
	})
	t.Run("a field is added from a list that can be searched", func(t *testing.T) {
		b.ClickOn(".addfield > button:not([name])")
		b.Until(`document.activeElement.matches("#picker [role=combobox]")`)
		b.Do(chromedp.KeyEvent("industr"))
		b.Until(options + ` === 1`)
		enter(t, b)
		b.Until(`document.activeElement.id === "value-Industry"`)
		if v := value(b, field); v != "From {{ company_name }} today" {
			t.Errorf("what was typed before became %q", v)
		}
	})
	t.Run("rows are found by label, type and API name", func(t *testing.T) {
		b.Do(chromedp.SendKeys("[data-filter]", "lead_sou"))
		b.Until(`[...document.querySelectorAll("[data-row]")].filter(r => r.checkVisibility()).length === 1`)
	})
}

// The copy behind a field that draws its chips wraps as the field does, or chips stand where no placeholder is.
func TestChipsStandBehindTheirPlaceholders(t *testing.T) {
	l, b := tried(t)
	long := strings.Repeat("A rather long text with {{ call_summary }} and {{ last_name | default: caller_label }} in it. ", 12)
	for name, view := range map[string]func(){
		"wide": func() { b.Size(1440, 900) }, "a phone": func() { b.Size(360, 800) }, "200 %": func() { b.Do(chromedp.EmulateViewport(720, 450, chromedp.EmulateScale(2))) },
	} {
		view()
		b.Goto(l.URL + "/mapping/Leads")
		b.Until(`document.querySelector("#field-Last_Name .mirror mark")`)
		browser.Eval[bool](b, fmt.Sprintf(`(e => { e.focus(); e.select(); return document.execCommand("insertText", false, %q) })(document.querySelector("#value-Description"))`, long))
		differs := browser.Eval[int](b, `(() => {
			const area = document.querySelector("#value-Description"), mirror = area.previousElementSibling;
			return Math.abs(area.scrollHeight - mirror.scrollHeight) + Math.abs(area.clientWidth - mirror.clientWidth);
		})()`)
		if chips := browser.Eval[int](b, `document.querySelectorAll("#field-Description .mirror mark").length`); differs > 1 || chips != 24 {
			t.Errorf("%s: %d chips, %d px beside the text", name, chips, differs)
		}
		sound(t, b, "mapping-long-"+strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "%", "percent"))
	}
}

func TestMappingInABrowser(t *testing.T) {
	l, b := tried(t)
	for name, path := range map[string]string{
		"mapping-leads": "/mapping/Leads?add=Industry#field-Industry", "mapping-calls": "/mapping/Calls", "mapping-contacts": "/mapping/Contacts", "mapping-tasks": "/mapping/Tasks",
	} {
		b.Check(name, l.URL+path)
	}
	for name, path := range map[string]string{"mapping-import": "/mapping/import", "mapping-row": "/mapping/Leads/Last_Name", "mapping-row-choice": "/mapping/Leads/Lead_Source"} {
		b.Check(name, l.URL+path)
	}
	b.Size(1440, 900)
	b.Scheme("light")
	t.Run("a choice is built pair by pair, and its value shown as one goes", func(t *testing.T) {
		b.Goto(l.URL + "/mapping/Leads")
		b.ClickOn("#field-Lead_Status button[value=open]")
		b.At("/mapping/Leads/Lead_Status")
		b.Click("Add a value of the call")
		b.Until(`document.querySelector("[name='p.1.value']")`)
		b.ClickOn("button[value='drop 0']")
		b.Until(`document.querySelector("[name='p.0.value']") && !document.querySelector("[name='p.1.is']")`)
		b.Choose("[name='p.0.value']", "direction")
		b.Choose("[name='p.0.add']", "map")
		b.ClickOn("button[value='help 0']")
		b.Type("[name='p.0.h.0.when.0']", "inbound")
		b.Choose("[name='p.0.h.0.then.0']", "Contacted")
		browser.Eval[bool](b, `document.querySelector("[name='p.0.h.0.then.0']").dispatchEvent(new Event("input", {bubbles: true}))`)
		b.Until(`document.querySelector("#rowlive .got").innerText === "Contacted"`)
		sound(t, b, "mapping-row-pairs")
		b.Size(360, 900)
		sound(t, b, "mapping-row-pairs-360")
		b.Size(1440, 900)
		b.Click("Use it")
		b.Until(`document.querySelector("#value-Lead_Status")?.value === '{{ direction | map: "inbound", "Contacted" }}'`)
	})
	t.Run("a pasted body is read before it is taken", func(t *testing.T) {
		b.Goto(l.URL + "/mapping/import")
		browser.Eval[bool](b, fmt.Sprintf(`(e => { e.value = %q; return true })(document.querySelector("#body"))`, guideBodies["Calls"]))
		b.Click("Read it")
		b.Sees("Who_Id was left out")
		sound(t, b, "mapping-import-read")
		b.Size(360, 900)
		sound(t, b, "mapping-import-read-360")
		b.Size(1440, 900)
	})
	b.Goto(l.URL + "/mapping/Leads")
	t.Run("the record follows what is typed, and says what Zoho would refuse", func(t *testing.T) {
		before := len(l.zoho.Control.Ledger(0))
		b.Type("#value-Company", "{{ company_name }} (rang {{ direction }}")
		b.Do(chromedp.KeyEvent(")"))
		b.Until(`document.querySelector("#example").innerText.includes("ABC Corp (rang inbound)")`)
		b.Type("#value-Email", "no address")
		b.Until(`document.querySelector("#says-Email .error")`)
		b.Until(`document.querySelector("#example").innerText.includes("Refused")`)
		sound(t, b, "mapping-refused")
		if after := len(l.zoho.Control.Ledger(0)); after != before {
			t.Errorf("typing sent %d requests to Zoho", after-before)
		}
	})
	t.Run("what keeps the module from being saved is listed, beside its row, with the way out", func(t *testing.T) {
		b.Goto(l.URL + "/mapping/Leads")
		b.ClickOn("#field-Last_Name [aria-label='Remove Last Name']")
		b.Sees("Last Name is no longer filled.")
		sound(t, b, "mapping-removed")
		b.Click("Save")
		b.Sees("Not saved: Zoho would refuse this.")
		sound(t, b, "mapping-blocked")
		b.ClickOn("#says-Last_Name button")
		b.Until(`document.querySelector("#value-Last_Name").value.includes("last_name")`)
		b.Click("Save")
		b.Sees("Which Zoho field gets what?")
		b.At("/mapping/Leads")
	})
}
