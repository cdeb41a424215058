package server_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"hookline/internal/server/servertest"
)

// formOn reads the form with an id off a page, as a browser without script would send it.
func formOn(t *testing.T, p servertest.Page, id string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	form := nodeWith(doc, func(n *html.Node) bool { return n.Data == "form" && attribute(n, "id") == id })
	if form == nil {
		t.Fatalf("no form #%s on the page (%d):\n%s", id, p.Status, p.Body)
	}
	values := url.Values{}
	walkNodes(form, func(n *html.Node) {
		name := attribute(n, "name")
		if name == "" {
			return
		}
		switch n.Data {
		case "textarea":
			values.Add(name, strings.TrimPrefix(textOf(n), "\n"))
		case "select":
			values.Add(name, chosen(n))
		case "input":
			kind := attribute(n, "type")
			if kind != "checkbox" && kind != "radio" || has(n, "checked") {
				values.Add(name, attribute(n, "value"))
			}
		}
	})
	return values
}

func walkNodes(n *html.Node, do func(*html.Node)) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			do(c)
		}
	}
}

func nodeWith(n *html.Node, is func(*html.Node) bool) (found *html.Node) {
	walkNodes(n, func(c *html.Node) {
		if found == nil && is(c) {
			found = c
		}
	})
	return found
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// chosen is the option that a menu stands on: the first, where none is marked.
func chosen(menu *html.Node) string {
	first, marked := "", ""
	seen := false
	walkNodes(menu, func(o *html.Node) {
		if o.Data != "option" {
			return
		}
		if !seen {
			first, seen = attribute(o, "value"), true
		}
		if has(o, "selected") {
			marked = attribute(o, "value")
		}
	})
	if marked == "" {
		return first
	}
	return marked
}

// with is the form with one more value, or another for a name.
func with(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for name, values := range form {
		out[name] = append([]string{}, values...)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}
