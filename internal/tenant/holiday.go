package tenant

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Holiday is a day on which the business is closed, whatever its hours say.
type Holiday struct {
	Day  string `json:"day"` // such as 2026-12-25, in the tenant's zone
	Name string `json:"name"`
}

// Limits of a tenant's holidays.
const (
	maxHolidays    = 200
	maxHolidayName = 80
)

// ParseHolidays reads holidays as people write them, one a line: "2026-12-25 Christmas Day". They come back in order of
// their days. problems name the lines that cannot be read and say why.
func ParseHolidays(text string) (holidays []Holiday, problems []string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		day, name, _ := strings.Cut(strings.Join(strings.Fields(line), " "), " ")
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("Line %d: ", n)+fmt.Sprintf(format, args...))
		}
		_, err := time.Parse(time.DateOnly, day)
		switch {
		case day == "":
		case err != nil:
			wrong("“%s” is no day. Write year, month and day, such as 2026-12-25.", firstRunes(day, 30))
		case name == "":
			wrong("give %s a name, such as “Christmas Day”.", day)
		case utf8.RuneCountInString(name) > maxHolidayName:
			wrong("the name is longer than %d characters.", maxHolidayName)
		case slices.ContainsFunc(holidays, func(h Holiday) bool { return h.Day == day }):
			wrong("%s stands there twice.", day)
		default:
			holidays = append(holidays, Holiday{Day: day, Name: name})
		}
		if n > maxHolidays {
			return nil, []string{fmt.Sprintf("There are more than %d lines. Past holidays can be left out.", maxHolidays)}
		}
	}
	slices.SortFunc(holidays, func(a, b Holiday) int { return strings.Compare(a.Day, b.Day) })
	return holidays, problems
}

// HolidayLines writes holidays as ParseHolidays reads them.
func HolidayLines(holidays []Holiday) string {
	var b strings.Builder
	for _, h := range holidays {
		b.WriteString(h.Day + " " + h.Name + "\n")
	}
	return b.String()
}

// HolidayOn is the name of the holiday that falls on at's day in the tenant's zone; empty for none.
func (t Tenant) HolidayOn(at time.Time) string {
	day := at.In(t.Zone).Format(time.DateOnly)
	for _, h := range t.Holidays {
		if h.Day == day {
			return h.Name
		}
	}
	return ""
}

// IsOpen reports whether at falls in the opening hours of a day that is no holiday.
func (t Tenant) IsOpen(at time.Time) bool {
	return t.Hours.IsOpen(at, t.Zone) && t.HolidayOn(at) == ""
}

// HolidaysWithin are the days of the holidays that fall on at's day or within so many days after it, in order.
func (t Tenant) HolidaysWithin(at time.Time, days int) []string {
	from, to := at.In(t.Zone).Format(time.DateOnly), at.In(t.Zone).AddDate(0, 0, days).Format(time.DateOnly)
	var within []string
	for _, h := range t.Holidays {
		if h.Day >= from && h.Day <= to {
			within = append(within, h.Day)
		}
	}
	slices.Sort(within)
	return within
}

func firstRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
