// Package layout is the frame round a page: App for those who are signed in, Public for those who are not, Column
// for one short form.
//
// A frame is a function of the plain struct Frame and of the page, its children. The struct is filled by the
// server, once, for every page.
package layout

import "hookline/web/ui"

// Frame is what the frame of a page shows. The zero value is a public page without a name.
type Frame struct {
	Title     string // of the page; the frame adds the product's name
	Active    string // which entry of the rail is this page's: "calls", "rules", …
	Theme     string // light, dark, or empty: as the system says
	Workspace string // the business, when somebody is signed in
	Person    string // e-mail of who is signed in
	Role      string // in words
	Query     string // what stands in the search box
	Pill      Pill
	Banners   []ui.BannerProps
	Toast     ui.ToastProps // the answer to the last act
	Live      string        // address of the stream of what changes; empty: none
	Path      string        // where the theme switch leads back to, without script
}

// Pill says in the top bar how deliveries stand, and leads to what is behind it.
type Pill struct {
	Tone ui.Tone
	Text string
	Href string
}

type entry struct {
	key, label, href, icon string
}

var entries = []entry{
	{"home", "Home", "/", "house"},
	{"calls", "Calls", "/calls", "phone-incoming"},
	{"rules", "Rules", "/rules", "split"},
	{"mapping", "Mapping", "/mapping", "table-properties"},
	{"sources", "Sources", "/sources", "webhook"},
	{"zoho", "Zoho", "/zoho", "cloud"},
	{"settings", "Settings", "/settings", "settings"},
}

// onBottomBar is how many entries a phone's bar shows before "More".
const onBottomBar = 4

func (f Frame) title() string {
	if f.Title == "" {
		return "Hookline"
	}
	return f.Title + " · Hookline"
}

// beyond reports whether the page's entry is one of those behind "More".
func (f Frame) beyond() bool {
	for _, e := range entries[onBottomBar:] {
		if e.key == f.Active {
			return true
		}
	}
	return false
}

func (f Frame) theme() string {
	if f.Theme == "" {
		return "system"
	}
	return f.Theme
}

var themes = []struct{ value, label, icon string }{
	{"system", "System", "monitor"}, {"light", "Light", "sun"}, {"dark", "Dark", "moon"},
}

func pillIcon(t ui.Tone) string {
	switch t {
	case ui.Good:
		return "circle-check"
	case ui.Bad:
		return "circle-alert"
	}
	return "clock"
}

// htmxConfig lets what a person opened stay open when the page renews itself, and what is shown stand when renewing it
// fails: a form's answer with its problems (422, 409) is no failure.
const htmxConfig = `{"morphIgnore":["data-htmx-powered","open"],"noSwap":[204,304,401,403,404,"5xx"]}`
