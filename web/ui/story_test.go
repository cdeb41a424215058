package ui_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"hookline/web/ui"
)

const long = "A name of two hundred characters, with שלום and مرحبا and 👩‍🚀, <script>alert(1)</script> & \"quotes\", which goes on and on so that whoever draws it must decide where it may break and where it may not, as it is."

// stories are every part in its states: nothing, little, much, and wrong.
var stories = map[string]templ.Component{
	"button":             ui.Button(ui.ButtonProps{Label: "Save"}),
	"button, all":        ui.Button(ui.ButtonProps{Label: long, Kind: "danger", Small: true, Wide: true, Icon: "trash-2", Name: "act", Value: "x", Disabled: true, Script: true}),
	"link":               ui.Link(ui.LinkProps{Label: "Open in Zoho", Href: "https://crm.zoho.com/crm/", Away: true, Icon: "cloud", Kind: "primary"}),
	"link, script":       ui.Link(ui.LinkProps{Label: "x", Href: "javascript:alert(1)"}),
	"field":              ui.Field(ui.FieldProps{Name: "a", Label: "A"}),
	"field, wrong":       ui.Field(ui.FieldProps{Name: "a", Label: long, Value: long, Hint: "hint", Error: "wrong", Placeholder: "p", Autocomplete: "off", Required: true, Optional: true, Focus: true, Mono: true}),
	"field, unit":        ui.Field(ui.FieldProps{Name: "a", Label: "A", Before: "$", After: "%", Error: "wrong"}),
	"field, rows":        ui.Field(ui.FieldProps{Name: "a", Label: "A", Rows: 4, Value: "one\ntwo </textarea>", Error: "wrong"}),
	"select":             ui.Select(ui.SelectProps{Name: "a", Label: "A", Value: "2", Options: []ui.Option{{Value: "1"}, {Value: "2", Label: "Two", Group: "G"}, {Value: "3", Group: "G"}}, Hint: "h", Error: "e"}),
	"select, bare":       ui.Select(ui.SelectProps{Name: "a", Label: "A", Bare: true}),
	"check":              ui.Check(ui.CheckProps{Name: "a", Label: "A"}),
	"switch":             ui.Check(ui.CheckProps{Name: "a", ID: "a", Label: "A", Hint: "h", Checked: true, Switch: true}),
	"radio":              ui.Check(ui.CheckProps{Name: "a", Label: "A", Radio: true, Value: "v"}),
	"problems":           ui.Problems("Two fields need another look.", []string{long, "two"}),
	"badge":              ui.Badge(ui.Plain, "plain"),
	"badge, good":        ui.Badge(ui.Good, long),
	"status, received":   ui.Status("received"),
	"status, delivering": ui.Status("delivering"),
	"status, delivered":  ui.Status("delivered"),
	"status, held":       ui.Status("held"),
	"status, attention":  ui.Status("needs_attention"),
	"status, ignored":    ui.Status("ignored"),
	"status, unknown":    ui.Status("novel"),
	"chip":               ui.Chip(ui.ChipProps{Label: "Buying"}),
	"chip, filter":       ui.Chip(ui.ChipProps{Label: "Held", Href: "/calls?status=held", Count: "12", Icon: "clock", Current: true}),
	"time":               ui.Time(ui.TimeProps{ISO: "2026-03-02T17:04:05Z", Text: "3 min ago", Exact: "Mon 2 Mar 2026, 17:04:05 PST"}),
	"time, none":         ui.Time(ui.TimeProps{}),
	"head":               ui.Head(ui.HeadProps{Title: long, Text: long, Back: "/calls", BackLabel: "Calls", Badge: ui.Status("held"), Acts: ui.Button(ui.ButtonProps{Label: "Replay"})}),
	"card":               ui.Card(ui.CardProps{ID: "c", Title: long, Icon: "phone", Acts: ui.Badge(ui.Warn, "w"), Foot: "foot"}),
	"card, bare":         ui.Card(ui.CardProps{Flush: true}),
	"stat":               ui.Stat(ui.StatProps{Label: "Calls", Value: "1,204", Note: "today", Tone: ui.Good}),
	"stat, link":         ui.Stat(ui.StatProps{Label: "Needs you", Value: "3", Href: "/calls", Tone: ui.Bad}),
	"empty":              ui.Empty(ui.EmptyProps{Icon: "inbox", Title: "No calls yet", Text: long, Acts: ui.Link(ui.LinkProps{Label: "Add a source", Href: "/sources"})}),
	"tabs":               ui.Tabs("Modules", []ui.Tab{{Label: "Leads", Href: "/a", Current: true, Count: "3"}, {Label: "Calls", Href: "/b"}}),
	"banner":             ui.Banner(ui.BannerProps{Tone: ui.Bad, Text: long, Acts: ui.Link(ui.LinkProps{Label: "Reconnect", Href: "/zoho"})}),
	"toast":              ui.Toast(ui.ToastProps{Text: long, Undo: "/undo"}),
	"disclose":           ui.Disclose("More", true),
	"table":              ui.Table(ui.TableProps{Caption: "Calls", Columns: []ui.Column{{Label: "A"}, {Label: "N", Numeric: true}, {Label: "H", Hidden: true}}, Folds: true, List: true, BodyID: "rows"}),
	"pager":              ui.Pager(ui.PagerProps{Text: "Newest first", Newer: "/a", Older: "/b"}),
	"pager, none":        ui.Pager(ui.PagerProps{}),
	"facts":              ui.KeyValues([]ui.KV{{Key: "Name", Value: long}, {Key: "None"}, {Key: "Id", Value: "1", Mono: true}, {Key: "State", Shown: ui.Status("held")}}),
	"code":               ui.Code(ui.CodeProps{ID: "raw", Label: "Raw event", Text: "{\"a\": \"</pre>\"}", Wrap: true}),
	"code, bare":         ui.Code(ui.CodeProps{Text: "x"}),
	"copyable":           ui.Copyable("url", "Address", "https://example.com/in/"+long),
	"timeline": ui.Timeline([]ui.Event{
		{Title: "Received", Tone: ui.Good, When: ui.TimeProps{Text: "now"}, Took: "3 ms", Text: long}, {Title: "Matched", Icon: "search"},
		{Title: "Refused", Tone: ui.Bad, More: ui.Code(ui.CodeProps{Text: "x"})}, {Title: "Waits", Tone: ui.Busy, Took: "2 s"},
	}),
	"checklist":  ui.Checklist([]ui.Step{{Title: "Sign up", Done: true, Took: "after 1 min"}, {Title: "Connect", Text: long, Now: true, Act: ui.Link(ui.LinkProps{Label: "Connect", Href: "/zoho"})}, {Title: "Call"}}),
	"dialog":     ui.Dialog(ui.DialogProps{ID: "d", Title: "Replay 12 calls?", Text: long, Action: "/calls/replay", Submit: "Replay", Danger: true, Hidden: map[string]string{"b": "2", "a": long}}),
	"ask":        ui.Ask(ui.DialogProps{ID: "d", Title: "Replay?", Action: "/x", Submit: "Replay", Cancel: "/calls"}),
	"bars":       ui.Bars(ui.BarsProps{Title: "Calls per hour", Unit: "Calls", Bars: []ui.Bar{{Label: "00", Value: 0, Text: "0"}, {Label: "01", Value: 12, Text: "12", Quiet: true}, {Label: "02", Value: 3, Text: "3"}}}),
	"bars, none": ui.Bars(ui.BarsProps{}),
}

func TestEveryPartIsWellFormed(t *testing.T) {
	for name, part := range stories {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := part.Render(context.Background(), &b); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			wellFormed(t, text)
			if strings.Contains(text, "<script") || strings.Contains(text, "javascript:") || strings.Contains(text, " style=") {
				t.Errorf("script or style in %s", text)
			}
			idsAreUsed(t, text)
		})
	}
}

var void = map[string]bool{"input": true, "br": true, "hr": true, "img": true, "meta": true, "link": true}

// wellFormed checks that every element that opens closes, in order.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("left open: %v in %s", open, text)
			}
			return
		case html.StartTagToken:
			if name, _ := z.TagName(); !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> closes %v in %s", name, open, text)
			}
			open = open[:len(open)-1]
		}
	}
}

// idsAreUsed checks that what aria-describedby, aria-labelledby and for name is there.
func idsAreUsed(t *testing.T, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	ids, named := map[string]bool{}, map[string]bool{}
	for z.Next() != html.ErrorToken {
		for _, a := range z.Token().Attr {
			switch a.Key {
			case "id":
				ids[a.Val] = true
			case "aria-describedby", "aria-labelledby", "for", "data-copy":
				for _, id := range strings.Fields(a.Val) {
					named[id] = true
				}
			}
		}
	}
	for id := range named {
		if !ids[id] {
			t.Errorf("nothing has the id %q in %s", id, text)
		}
	}
}
