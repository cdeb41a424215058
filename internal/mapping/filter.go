package mapping

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/routing"
)

// filter is one step that a value goes through. It never fails on what a caller said: what it cannot use becomes
// empty, with a note.
type filter struct {
	min, max int // arguments
	usage    string
	apply    func(v any, args []any, s *scope) any
}

// filters by name. It is filled by init because default's own apply reads it through render.
var filters map[string]*filter

func init() {
	onText := func(f func(string) string) func(any, []any, *scope) any {
		return func(v any, _ []any, s *scope) any {
			if isEmpty(v) {
				return v
			}
			return f(textOf(v, s.env))
		}
	}
	filters = map[string]*filter{
		"default": {1, maxArgs, `default: "text", other_variable`, func(v any, args []any, _ *scope) any {
			for _, a := range args {
				if !isEmpty(v) {
					break
				}
				v = a
			}
			return v
		}},
		"upcase":     {0, 0, "upcase", onText(strings.ToUpper)},
		"downcase":   {0, 0, "downcase", onText(strings.ToLower)},
		"capitalize": {0, 0, "capitalize", onText(capitalize)},
		"title":      {0, 0, "title", onText(title)},
		"trim":       {0, 0, "trim", onText(strings.TrimSpace)},
		"digits":     {0, 0, "digits", onText(digits)},
		"first_name": {0, 0, "first_name", onText(func(n string) string { f, _, _ := call.SplitName(n); return f })},
		"last_name":  {0, 0, "last_name", onText(func(n string) string { _, l, _ := call.SplitName(n); return l })},
		"split_name": {1, 1, `split_name: "first" or "last"`, func(v any, args []any, s *scope) any {
			first, last, company := call.SplitName(textOf(v, s.env))
			switch textOf(args[0], s.env) {
			case "first":
				return first
			case "company":
				return company
			}
			return last
		}},
		"truncate": {1, 1, "truncate: 80", func(v any, args []any, s *scope) any {
			if isEmpty(v) {
				return v
			}
			return cut(textOf(v, s.env), count(args[0]))
		}},
		"replace": {2, 2, `replace: "this", "by that"`, replace},
		"number":  {0, 0, "number", asNumber},
		"money":   {0, 0, "money", asNumber},
		"round": {0, 1, "round: 2", func(v any, args []any, s *scope) any {
			n, ok := asNumber(v, nil, s).(float64)
			if !ok {
				return nil
			}
			places := 0
			if len(args) > 0 {
				places = min(count(args[0]), 9)
			}
			p := math.Pow10(places)
			return math.Round(n*p) / p
		}},
		"times": {1, 1, "times: 12", func(v any, args []any, s *scope) any {
			n, ok := asNumber(v, nil, s).(float64)
			m, ok2 := asNumber(args[0], nil, s).(float64)
			if !ok || !ok2 {
				return nil
			}
			return n * m
		}},
		"date":              {0, 2, `date: "D MMMM YYYY"`, formatDate},
		"add_days":          {1, 1, "add_days: 30", shift(func(t time.Time, n int, _ *environment) time.Time { return t.AddDate(0, 0, n) })},
		"add_business_days": {1, 1, "add_business_days: 3", shift(businessDays)},
		"or_in_days": {1, 1, "or_in_days: 30", func(v any, args []any, s *scope) any {
			if !isEmpty(v) {
				return v
			}
			return day(s.env.now.AddDate(0, 0, min(count(args[0]), 3650)))
		}},
		"phone": {0, 1, `phone: "e164", "international" or "national"`, func(v any, args []any, s *scope) any {
			return spell(v, args, s)
		}},
		"duration": {0, 0, "duration", func(v any, _ []any, s *scope) any {
			n, ok := asNumber(v, nil, s).(float64)
			if !ok || n < 0 || n > 1e7 {
				return nil
			}
			return clock(time.Duration(n) * time.Second)
		}},
		"join": {0, 1, `join: ", "`, func(v any, args []any, s *scope) any {
			with := ", "
			if len(args) > 0 {
				with = textOf(args[0], s.env)
			}
			return joined(v, with, s.env)
		}},
		"map": {2, maxArgs, `map: "this", "becomes that", "otherwise"`, func(v any, args []any, s *scope) any {
			have := fold(textOf(v, s.env))
			for len(args) >= 2 {
				if fold(textOf(args[0], s.env)) == have {
					return args[1]
				}
				args = args[2:]
			}
			if len(args) == 1 {
				return args[0]
			}
			return v
		}},
	}
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case time.Time:
		return v.IsZero()
	case day:
		return time.Time(v).IsZero()
	}
	return false
}

// textOf writes a value as text.
func textOf(v any, env *environment) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case day:
		return time.Time(v).Format(time.DateOnly)
	case time.Time:
		return v.In(env.zone()).Format("2006-01-02 15:04")
	case []any, map[string]any:
		return joined(v, ", ", env)
	}
	return fmt.Sprint(v)
}

// joined writes a list, or the values of an object with their names, as one text no longer than a value may be.
func joined(v any, with string, env *environment) string {
	var b strings.Builder
	add := func(s string) {
		if s == "" || b.Len() > maxValue {
			return
		}
		if b.Len() > 0 {
			b.WriteString(with)
		}
		b.WriteString(firstRunes(s, maxValue))
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			switch item.(type) {
			case []any, map[string]any: // one level is enough to read, and cannot recurse
			default:
				add(textOf(item, env))
			}
		}
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			switch item := v[n].(type) {
			case []any, map[string]any:
			default:
				if s := textOf(item, env); s != "" {
					add(n + ": " + s)
				}
			}
		}
	default:
		return textOf(v, env)
	}
	return b.String()
}

func asNumber(v any, _ []any, s *scope) any {
	switch v := v.(type) {
	case float64:
		return v
	case nil:
		return nil
	}
	if isEmpty(v) {
		return nil
	}
	text := textOf(v, s.env)
	n, ok := routing.MoneyIn(s.env.facts.Call, text)
	if !ok {
		s.note("“%s” is no number and was left out.", cut(text, 60))
		return nil
	}
	return n
}

// replace puts one text in place of another, and refuses to build what is larger than a value may be.
func replace(v any, args []any, s *scope) any {
	if isEmpty(v) {
		return v
	}
	text, this, that := textOf(v, s.env), textOf(args[0], s.env), textOf(args[1], s.env)
	if this == "" {
		return text
	}
	if grown := len(text) + strings.Count(text, this)*(len(that)-len(this)); grown > maxValue*utf8.UTFMax {
		s.note("A replacement would have made a text of %d characters and was not done.", grown)
		return text
	}
	return strings.ReplaceAll(text, this, that)
}

func count(v any) int {
	n, ok := v.(float64)
	if !ok {
		m, _ := routing.Money(fmt.Sprint(v))
		n = m
	}
	if math.IsNaN(n) || n < 0 {
		return 0
	}
	return int(min(n, maxValue))
}

func capitalize(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// title makes the first letter of each word large and leaves the others: "de la Cruz" keeps what was written large.
func title(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		was := start
		start = unicode.IsSpace(r) || r == '-'
		if was {
			return unicode.ToTitle(r)
		}
		return r
	}, s)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// cut shortens a text to n characters, the last of which is then an ellipsis.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	return strings.TrimRightFunc(firstRunes(s, n-1), unicode.IsSpace) + "…"
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// day is a date without a time.
type day time.Time

// asTime reads a moment or a date of a value.
func asTime(v any, env *environment) (at time.Time, dateOnly, ok bool) {
	switch v := v.(type) {
	case time.Time:
		return v, false, !v.IsZero()
	case day:
		return time.Time(v), true, !time.Time(v).IsZero()
	case string:
		s := strings.TrimSpace(v)
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
			if t, err := time.ParseInLocation(layout, s, env.zone()); err == nil && sane(t) {
				return t, false, true
			}
		}
		for _, layout := range []string{time.DateOnly, "2 January 2006", "January 2, 2006", "Jan 2, 2006", "2 Jan 2006"} {
			if t, err := time.ParseInLocation(layout, s, env.zone()); err == nil && sane(t) {
				return t, true, true
			}
		}
		if t, ok := quarterEnd(s, env.now.In(env.zone())); ok {
			return t, true, true
		}
	}
	return time.Time{}, false, false
}

func sane(t time.Time) bool { return t.Year() >= 1900 && t.Year() <= 2200 }

// quarterEnd reads "Q1" or "Q1 2027" as the last day of that quarter, the next one where no year is named.
func quarterEnd(s string, now time.Time) (time.Time, bool) {
	parts := strings.Fields(strings.ToUpper(s))
	if len(parts) == 0 || len(parts) > 2 || len(parts[0]) != 2 || parts[0][0] != 'Q' || parts[0][1] < '1' || parts[0][1] > '4' {
		return time.Time{}, false
	}
	q := int(parts[0][1] - '0')
	end := func(year int) time.Time { return time.Date(year, time.Month(q*3+1), 0, 0, 0, 0, 0, now.Location()) }
	if len(parts) == 2 {
		year, err := strconv.Atoi(parts[1])
		if err != nil || year < 2000 || year > 2200 {
			return time.Time{}, false
		}
		return end(year), true
	}
	if t := end(now.Year()); !t.Before(now) {
		return t, true
	}
	return end(now.Year() + 1), true
}

func formatDate(v any, args []any, s *scope) any {
	t, dateOnly, ok := asTime(v, s.env)
	if !ok {
		if !isEmpty(v) {
			s.note("“%s” is no date and was left out.", cut(textOf(v, s.env), 60))
		}
		return nil
	}
	if len(args) == 2 {
		if zone, err := time.LoadLocation(textOf(args[1], s.env)); err == nil && !dateOnly {
			t = t.In(zone)
		}
	} else if !dateOnly {
		t = t.In(s.env.zone())
	}
	if len(args) == 0 {
		return day(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, s.env.zone()))
	}
	return t.Format(dateTokens.Replace(firstRunes(textOf(args[0], s.env), 200)))
}

// dateTokens turns the tokens people know from spreadsheets into Go's reference time; longest first, as Replacer
// tries them in order.
var dateTokens = strings.NewReplacer(
	"YYYY", "2006", "YY", "06", "MMMM", "January", "MMM", "Jan", "MM", "01", "DD", "02", "dddd", "Monday", "ddd", "Mon",
	"HH", "15", "hh", "03", "mm", "04", "ss", "05", "D", "2", "M", "1", "h", "3", "A", "PM",
)

func shift(by func(time.Time, int, *environment) time.Time) func(any, []any, *scope) any {
	return func(v any, args []any, s *scope) any {
		t, dateOnly, ok := asTime(v, s.env)
		if !ok {
			return nil
		}
		n := min(count(args[0]), 3650)
		if dateOnly {
			return day(by(t, n, s.env))
		}
		return by(t.In(s.env.zone()), n, s.env)
	}
}

// businessDays counts the days on which the tenant is open, without holidays; Monday to Friday where that is not known.
func businessDays(t time.Time, n int, env *environment) time.Time {
	var open [7]bool
	for _, d := range env.facts.Weekdays {
		open[((d%7)+7)%7] = true
	}
	if len(env.facts.Weekdays) == 0 {
		open = [7]bool{time.Monday: true, time.Tuesday: true, time.Wednesday: true, time.Thursday: true, time.Friday: true}
	}
	for n > 0 {
		t = t.AddDate(0, 0, 1)
		if open[t.Weekday()] && !slices.Contains(env.facts.Holidays, t.Format(time.DateOnly)) {
			n--
		}
	}
	return t
}

func spell(v any, args []any, s *scope) any {
	if isEmpty(v) {
		return nil
	}
	text := textOf(v, s.env)
	p, _, problem := call.ReadPhone(text, s.env.country)
	if problem != "" || !p.Usable() {
		return text
	}
	form := "e164"
	if len(args) > 0 {
		form = textOf(args[0], s.env)
	}
	switch form {
	case "national":
		return p.Display(p.Country())
	case "international":
		return p.Display("")
	}
	return string(p)
}

// clock writes a duration as Zoho's Calls take it: mm:ss, where the minutes may exceed 59.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}
