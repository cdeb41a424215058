package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take to come to what a test waits for.
const Patience = 30 * time.Second

// Until waits until a script's expression is true in the page, across loads of other pages. The test fails with what
// the page then shows when that takes longer than Patience.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		// An error is a page on its way to the next one.
		if holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && holds {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.t.Fatalf("the page did not come to %s; %s shows:\n%s", expression, b.URL(), b.Text("main"))
		}
	}
}

// Sees waits until the page's visible text has the words.
func (b *Browser) Sees(words string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.body.innerText.includes(%s)`, quoted(words)))
}

// At waits until the address's path, query included, is the given one.
func (b *Browser) At(path string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.readyState === "complete" && location.pathname + location.search === %s`, quoted(path)))
}

// URL is the address of the page.
func (b *Browser) URL() string {
	b.t.Helper()
	return Eval[string](b, `location.href`)
}

// Click presses the visible link or button that says exactly the words, with the mouse, as soon as it can be hit. What only
// screen readers are told does not count.
func (b *Browser) Click(words string) {
	b.t.Helper()
	b.press(fmt.Sprintf(`[...document.querySelectorAll("a, button, summary, label")].find(e => {
		const seen = e.cloneNode(true);
		seen.querySelectorAll(".sr").forEach(part => part.remove());
		return seen.textContent.trim() === %s && e.checkVisibility() && !e.matches("[aria-hidden]");
	})`, quoted(words)))
}

// ClickOn presses the first element that matches the CSS selector.
func (b *Browser) ClickOn(selector string) {
	b.t.Helper()
	b.press(fmt.Sprintf(`document.querySelector(%s)`, quoted(selector)))
}

func (b *Browser) press(element string) {
	b.t.Helper()
	// What lies over the middle of an element takes the press in its place, so it has to be the element itself.
	where := fmt.Sprintf(`(() => {
		const e = %s;
		if (!e || document.readyState !== "complete") return null;
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
		return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
	})()`, element)
	b.Until(where)
	at := Eval[[2]float64](b, where)
	b.Do(chromedp.MouseClickXY(at[0], at[1]))
}

// Type puts text into the field that matches the CSS selector, over what stood there, by the keyboard.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.readyState === "complete" && document.querySelector(%s)`, quoted(selector)))
	Eval[bool](b, fmt.Sprintf(`(e => { e.focus(); e.select(); return true })(document.querySelector(%s))`, quoted(selector)))
	b.Do(chromedp.KeyEvent(text))
}

// Choose picks a value in the select that matches the CSS selector.
func (b *Browser) Choose(selector, value string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.readyState === "complete" && document.querySelector(%s)`, quoted(selector)))
	if !Eval[bool](b, fmt.Sprintf(`(e => { e.value = %s; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value === %[1]s })(document.querySelector(%s))`, quoted(value), quoted(selector))) {
		b.t.Fatalf("%s has no choice %q", selector, value)
	}
}

// Adopt makes the tab that the page opened at an address with the given beginning the one that is looked at, and
// gives back a way to return.
func (b *Browser) Adopt(beginning string) (back func()) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		tabs, err := chromedp.Targets(ctx)
		if err != nil {
			b.t.Fatalf("in the browser: %v", err)
		}
		for _, tab := range tabs {
			if tab.Type == "page" && len(tab.URL) >= len(beginning) && tab.URL[:len(beginning)] == beginning {
				first := b.ctx
				opened, leave := chromedp.NewContext(first, chromedp.WithTargetID(tab.TargetID))
				// The first action attaches the tab, and the tab ends with that action's context.
				if err := chromedp.Do(opened, chromedp.WaitReady("html")); err != nil {
					b.t.Fatalf("in the browser: %v", err)
				}
				b.ctx = opened
				return func() { leave(); b.ctx = first }
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.t.Fatalf("no tab was opened at %s", beginning)
		}
	}
}

func quoted(text string) string {
	js, _ := json.Marshal(text) // a JSON string is a JavaScript string
	return string(js)
}

// Watch tells seen of each address that the tab's pages are loaded from, redirects included, until stop is called.
func (b *Browser) Watch(seen func(address string)) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*network.EventRequestWillBeSent); ok && e.Type == network.ResourceTypeDocument {
			seen(e.Request.URL)
		}
	})
	if err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
	return cancel
}

// Press sends keys to what has the focus, such as kb.Tab or kb.Enter.
func (b *Browser) Press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.Do(chromedp.KeyEvent(key))
	}
}

// Focus gives the focus to the first element that matches the CSS selector, as soon as it is there.
func (b *Browser) Focus(selector string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`document.readyState === "complete" && document.querySelector(%s)`, quoted(selector)))
	Eval[bool](b, fmt.Sprintf(`(e => { e.focus(); return document.activeElement === e })(document.querySelector(%s))`, quoted(selector)))
}

// Drag takes the element that matches one selector with the mouse and lets it go over the lower part of what matches the
// other, unless held is given: then that happens while the button is down.
func (b *Browser) Drag(from, onto string, held ...func()) {
	b.t.Helper()
	place := func(selector string, part float64) [2]float64 {
		return Eval[[2]float64](b, fmt.Sprintf(`(e => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height * %g] })(document.querySelector(%s))`, part, quoted(selector)))
	}
	b.Until(fmt.Sprintf(`document.readyState === "complete" && document.querySelector(%s) && document.querySelector(%s)`, quoted(from), quoted(onto)))
	Eval[bool](b, `(window.scrollTo({top: 0, behavior: "instant"}), true)`)
	start, end := place(from, 0.5), place(onto, 0.8)
	b.Do(chromedp.MouseEvent(chromedp.MousePressed, start[0], start[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
	const steps = 20 // as a hand moves
	for i := range steps {
		part := float64(i+1) / steps
		b.Do(chromedp.MouseEvent(chromedp.MouseMoved, start[0]+(end[0]-start[0])*part, start[1]+(end[1]-start[1])*part, chromedp.ButtonLeft))
	}
	for _, do := range held {
		do()
	}
	b.Do(chromedp.MouseEvent(chromedp.MouseReleased, end[0], end[1], chromedp.ButtonLeft, chromedp.ClickCount(1)))
}
