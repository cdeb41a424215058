package mapping

import (
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/zoho"
)

// castResult is a value as Zoho's field takes it.
type castResult struct {
	value   any    // nil: nothing to send
	cut     bool   // the text was too long
	note    string // why something was left out or changed
	allowed []string
}

// cutMarker ends a long text that did not fit.
const cutMarker = "\n[Cut here: the field is full. The whole text is in Hookline.]"

// cast brings a value to the type of the field (Zoho's API, "Fields metadata" and "Insert records"). What cannot be
// brought to it is left out with a note, so that one odd value does not keep the record from being written.
func cast(f zoho.Field, row Row, v any, env *environment) castResult {
	if isEmpty(v) {
		return castResult{}
	}
	text := strings.TrimSpace(textOf(v, env))
	left := func(format string, args ...any) castResult {
		return castResult{note: f.Label + ": " + fmt.Sprintf(format, args...)}
	}
	switch f.Type {
	case "email":
		addr, err := mail.ParseAddress(text)
		if err != nil || addr.Address != text || !strings.Contains(text[strings.LastIndex(text, "@")+1:], ".") {
			return left("“%s” is no e-mail address and was left out.", cut(text, 60))
		}
		return limited(f, text)
	case "phone":
		if strings.Trim(text, "+0123456789 -().") != "" {
			p, _, problem := call.ReadPhone(text, env.country)
			if problem != "" || !p.Usable() {
				return left("“%s” is no phone number and was left out.", cut(text, 60))
			}
			text = string(p)
		}
		if n := f.Length; n > 0 && utf8.RuneCountInString(text) > n {
			return left("“%s” is longer than the %d characters of the field and was left out.", cut(text, 60), n)
		}
		return castResult{value: text}
	case "website":
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return left("“%s” is no web address and was left out.", cut(text, 60))
		}
		if f.Length > 0 && utf8.RuneCountInString(text) > f.Length {
			return left("the address is longer than the %d characters of the field and was left out.", f.Length)
		}
		return castResult{value: text}
	case "picklist":
		if pick, ok := pickOf(f, text); ok {
			return castResult{value: pick}
		}
		if row.AddToList || len(f.Picklist) == 0 { // an empty list is one that is not known
			return limited(f, text)
		}
		return castResult{note: fmt.Sprintf("%s: “%s” is not in your list and was left out.", f.Label, cut(text, 60)), allowed: picks(f)}
	case "multiselectpicklist":
		return castMany(f, row, v, env)
	case "date":
		t, dateOnly, ok := asTime(v, env)
		if !ok {
			return left("“%s” is no date and was left out.", cut(text, 60))
		}
		if !dateOnly {
			t = t.In(env.zone())
		}
		return castResult{value: t.Format(time.DateOnly)}
	case "datetime":
		t, _, ok := asTime(v, env)
		if !ok {
			return left("“%s” is no date and time and was left out.", cut(text, 60))
		}
		return castResult{value: zoho.Time(t)}
	case "integer", "bigint":
		n, ok := numeric(v, env)
		if !ok {
			return left("“%s” is no number and was left out.", cut(text, 60))
		}
		if n = math.Round(n); math.Abs(n) > 1<<53 || f.Type == "integer" && math.Abs(n) > math.MaxInt32 {
			return left("%s is too large for the field and was left out.", textOf(n, env))
		}
		return castResult{value: int64(n)}
	case "double", "currency", "percent":
		n, ok := numeric(v, env)
		if !ok {
			return left("“%s” is no number and was left out.", cut(text, 60))
		}
		places := f.DecimalPlaces
		if places <= 0 || places > 9 {
			places = 2
		}
		p := math.Pow10(places)
		return castResult{value: math.Round(n*p) / p}
	case "boolean":
		switch fold(text) {
		case "yes", "true", "1", "on", "y", "sí", "si":
			return castResult{value: true}
		case "no", "false", "0", "off", "n":
			return castResult{value: false}
		}
		return left("“%s” is neither yes nor no and was left out.", cut(text, 60))
	case "lookup", "ownerlookup", "userlookup":
		if !isID(text) {
			return left("“%s” is no id of a record and was left out.", cut(text, 60))
		}
		return castResult{value: map[string]any{"id": text}}
	}
	if unwritable[f.Type] {
		return left("a field of this kind cannot be written.")
	}
	if f.APIName == "Call_Duration" {
		if n, ok := v.(float64); ok && n >= 0 && n < 1e7 {
			text = clock(time.Duration(n) * time.Second)
		}
		if !minutesAndSeconds.MatchString(text) {
			return left("“%s” is no length of a call such as 04:05 and was left out.", cut(text, 60))
		}
	}
	return limited(f, text)
}

var minutesAndSeconds = regexp.MustCompile(`^[0-9]{1,6}:[0-5][0-9]$`)

// oneLine puts single spaces for the line breaks, tabs and control characters of a text.
func oneLine(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) && !strings.ContainsAny(text, "\u2028\u2029") {
		return text
	}
	breaks := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
	parts := strings.FieldsFunc(text, breaks)
	kept := parts[:0]
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}

func numeric(v any, env *environment) (float64, bool) {
	n, ok := asNumber(v, nil, &scope{env: env}).(float64)
	return n, ok && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// limited keeps a text within the field's length, and on one line where the field is one: a short one ends in …, a long one in a line that says so.
func limited(f zoho.Field, text string) castResult {
	n := f.Length
	if n <= 0 {
		n = lengthOf(f.Type)
	}
	if f.Type != "textarea" {
		text = oneLine(text)
	}
	if utf8.RuneCountInString(text) <= n {
		return castResult{value: text}
	}
	out := cut(text, n)
	if f.Type == "textarea" && n > 4*len(cutMarker) {
		out = strings.TrimSpace(firstRunes(text, n-utf8.RuneCountInString(cutMarker))) + cutMarker
	}
	return castResult{value: out, cut: true, note: fmt.Sprintf("%s: cut to %d characters, as many as the field has room for.", f.Label, n)}
}

func lengthOf(kind string) int {
	if kind == "textarea" {
		return 32000
	}
	return 255
}

func castMany(f zoho.Field, row Row, v any, env *environment) castResult {
	var items []string
	if list, ok := v.([]any); ok {
		for _, i := range list {
			items = append(items, textOf(i, env))
		}
	} else {
		items = strings.FieldsFunc(textOf(v, env), func(r rune) bool { return r == ',' || r == ';' || r == '\n' })
	}
	var out []any
	var odd []string
	for _, i := range items {
		i = strings.TrimSpace(i)
		if i == "" {
			continue
		}
		if pick, ok := pickOf(f, i); ok {
			out = append(out, pick)
		} else if row.AddToList {
			out = append(out, cut(i, 100))
		} else {
			odd = append(odd, "“"+cut(i, 40)+"”")
		}
	}
	r := castResult{}
	if len(odd) > 0 {
		r.note = fmt.Sprintf("%s: %s not in your list and left out.", f.Label, strings.Join(odd, ", "))
		r.allowed = picks(f)
	}
	if len(out) > 0 {
		r.value = out
	}
	return r
}

// pickOf finds the picklist value that a text means, by value or label, without case.
func pickOf(f zoho.Field, text string) (string, bool) {
	for i := range f.Picklist {
		if f.Picklist[i].Value == text {
			return text, true
		}
	}
	for _, p := range f.Picklist {
		if strings.EqualFold(p.Value, text) || strings.EqualFold(p.Label, text) {
			return p.Value, true
		}
	}
	return "", false
}

func picks(f zoho.Field) []string {
	out := make([]string, 0, len(f.Picklist))
	for _, p := range f.Picklist {
		out = append(out, p.Value)
	}
	return out
}

// isID reports whether a text can be an id of Zoho's: digits.
func isID(s string) bool {
	return len(s) >= 5 && len(s) <= 32 && strings.Trim(s, "0123456789") == ""
}
