package ui

import (
	"context"
	"io"

	"github.com/a-h/templ"

	"hookline/static"
)

// Icon draws a Lucide icon by its name, in the colour and size of the text beside it. It is decoration: screen
// readers skip it, so the words stand beside it.
func Icon(name string) templ.Component {
	svg := `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">` + static.Icon(name) + `</svg>`
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, svg)
		return err
	})
}

// iconOf is the shape that goes with a tone.
func iconOf(t Tone) string {
	switch t {
	case Good:
		return "circle-check"
	case Warn:
		return "triangle-alert"
	case Bad:
		return "circle-alert"
	case Busy:
		return "circle-dot"
	}
	return "info"
}
