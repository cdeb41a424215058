package server

import (
	"fmt"
	"strings"
	"time"

	"hookline/internal/tenant"
	"hookline/web/ui"
)

// moment puts a time into words, in the zone of the workspace: how long ago, and exactly on hover.
func moment(t, now time.Time, zone *time.Location) ui.TimeProps {
	if t.IsZero() {
		return ui.TimeProps{}
	}
	if zone == nil {
		zone = time.UTC
	}
	local := t.In(zone)
	return ui.TimeProps{
		ISO:   t.UTC().Format(time.RFC3339),
		Text:  ago(local, now.In(zone)),
		Exact: local.Format("Mon 2 Jan 2006, 15:04:05 MST"),
	}
}

// ago says how long ago a moment was; from yesterday on it names the day. The script says the same words.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < 0:
		return t.Format("2 Jan, 15:04")
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case t.Year() == now.Year():
		return t.Format("2 Jan, 15:04")
	}
	return t.Format("2 Jan 2006")
}

// took puts a length of time into words as exact as people need: 240 ms, 2.1 s, 3 min 20 s.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// count puts a number and its noun together: 1 call, 12 calls, 1,204 calls.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(max(n, -n))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if n < 0 {
		return "-" + text
	}
	return text
}

func countryOptions() []ui.Option {
	all := tenant.Countries()
	options := make([]ui.Option, len(all))
	for i, c := range all {
		options[i] = ui.Option{Value: c.Code, Label: c.Name}
	}
	return options
}

// zoneOptions are the zones, by region.
func zoneOptions() []ui.Option {
	all := tenant.Zones()
	options := make([]ui.Option, len(all))
	for i, z := range all {
		region, place, ok := strings.Cut(z, "/")
		if !ok {
			options[i] = ui.Option{Value: z, Label: z}
			continue
		}
		options[i] = ui.Option{Value: z, Label: strings.ReplaceAll(strings.ReplaceAll(place, "_", " "), "/", ", "), Group: region}
	}
	return options
}

// browserOf names the browser of a user agent, roughly: people must recognise their own.
func browserOf(agent string) string {
	name := "Unknown browser"
	for _, b := range []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	} {
		if strings.Contains(agent, b.mark) {
			name = b.name
			break
		}
	}
	for _, o := range []struct{ mark, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, o.mark) {
			return name + " on " + o.name
		}
	}
	return name
}
