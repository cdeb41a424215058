// Package browser opens pages in a real Chromium for tests: it looks at them, runs axe over them and notices what
// the browser complains about, a broken content security policy above all.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is one tab of a Chromium of the test's own.
type Browser struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Open starts Chromium, or skips the test by its name when there is none. It ends with the test. A test has six
// minutes in all.
func Open(t testing.TB) *Browser {
	t.Helper()
	program := find()
	if program == "" {
		t.Skipf("%s skipped: no chromium on this machine (set CHROMIUM to its program)", t.Name())
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("lang", "en-US"),
		chromedp.UserDataDir(t.TempDir()),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	root, cancelRoot := context.WithTimeout(context.Background(), 6*time.Minute)
	allocator, cancelAllocator := chromedp.NewExecAllocator(root, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		cancelAllocator()
		cancelRoot()
	})
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	b.Size(1440, 900)
	return b
}

func find() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (b *Browser) listen(ev any) {
	var text string
	switch e := ev.(type) {
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Source == cdplog.EntrySourceSecurity {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *cdpruntime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	}
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, text)
}

// Complaints are what the browser has reported since it was last asked: script errors, refused resources, breaches
// of the content security policy, answers that are errors.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.complaints
	b.complaints = nil
	return all
}

// Context is chromedp's, for actions that this package has no word for.
func (b *Browser) Context() context.Context { return b.ctx }

// Do runs actions, and fails the test when one does or when they take longer than Patience.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
}

// Goto opens an address and waits until it is loaded.
func (b *Browser) Goto(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(url))
}

// Size sets the viewport.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Scheme makes the system ask for light or dark, and for no motion, so that colours are what they are at once.
func (b *Browser) Scheme(name string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	if err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
}

// Text is the visible text of the first element that matches the CSS selector.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return Eval[string](b, fmt.Sprintf(`(document.querySelector(%q) || {innerText: ""}).innerText`, selector))
}

// Eval runs a script's expression in the page.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
	return value
}

// Screenshot writes the whole page as PNG to path.
func (b *Browser) Screenshot(path string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("screenshot: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Overflow is how many CSS pixels the page is wider than the window: zero when nothing is cut off.
func (b *Browser) Overflow() int {
	b.t.Helper()
	return Eval[int](b, `Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)`)
}

// Axe runs axe-core over the page as it stands, for WCAG 2.2 A and AA and axe's best practices, and says what it
// found, one line a fault. With rules given it asks those alone.
func (b *Browser) Axe(rules ...string) []string {
	b.t.Helper()
	if !Eval[bool](b, `typeof axe !== "undefined"`) {
		script, err := os.ReadFile(axePath())
		if err != nil {
			b.t.Fatal(err)
		}
		// Evaluated by the debugger, which the page's content security policy does not bind.
		Eval[bool](b, string(script)+"; true")
	}
	options := `{resultTypes: ["violations"]}`
	if len(rules) > 0 {
		names, err := json.Marshal(rules)
		if err != nil {
			b.t.Fatal(err)
		}
		options = `{resultTypes: ["violations"], runOnly: {type: "rule", values: ` + string(names) + `}}`
	}
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, `+options+`).then(r =>
		JSON.stringify(r.violations.flatMap(v => v.nodes.map(n => v.id + " (" + v.impact + "): " + n.target.join(" ") + " — " + (n.any.concat(n.all, n.none)[0]?.message || v.help)))))`,
		awaitPromise))
	if err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	var found []string
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	return found
}

func awaitPromise(p *cdpruntime.EvaluateParams) { p.AwaitPromise = new(true) }

// axePath finds the vendored axe-core from this file's own place.
func axePath() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", "web", "testdata", "vendor", "axe", "axe.min.js")
}

// Check is what every page must hold at 1440 and 360 px, light and dark: axe finds nothing, nothing is cut off, the
// browser complains about nothing. In the dark the page is the same but for its colours, so there axe is asked for
// contrast alone. With HOOKLINE_SHOTS set to a folder it leaves screenshots there, named by name.
func (b *Browser) Check(name, url string) {
	b.t.Helper()
	for _, width := range []int64{1440, 360} {
		b.look(name, url, width)
	}
}

// Glance is Check at one width, 360 px, where everything must fit.
func (b *Browser) Glance(name, url string) {
	b.t.Helper()
	b.look(name, url, 360)
}

func (b *Browser) look(name, url string, width int64) {
	b.t.Helper()
	b.Size(width, 900)
	b.Scheme("light")
	b.Goto(url)
	b.holds(fmt.Sprintf("%s-%d-light", name, width), b.Axe())
	b.Scheme("dark")
	b.holds(fmt.Sprintf("%s-%d-dark", name, width), b.Axe("color-contrast"))
}

func (b *Browser) holds(where string, faults []string) {
	b.t.Helper()
	for _, f := range faults {
		b.t.Errorf("%s: axe: %s", where, f)
	}
	if n := b.Overflow(); n > 0 {
		b.t.Errorf("%s: %d px wider than the window", where, n)
	}
	for _, c := range b.Complaints() {
		if strings.Contains(c, "the server responded with a status of 4") {
			continue // error pages are looked at, too
		}
		b.t.Errorf("%s: the browser says: %s", where, c)
	}
	if shots := os.Getenv("HOOKLINE_SHOTS"); shots != "" {
		b.Screenshot(filepath.Join(shots, where+".png"))
	}
}
