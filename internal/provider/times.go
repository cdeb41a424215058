package provider

import (
	"fmt"
	"math"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// when reads a time: ISO 8601 with an offset or in the tenant's zone, RFC 2822, a zone by its letters where these can
// mean only one, or an epoch in seconds, milliseconds or microseconds, told apart by size.
func (r *reader) when(name string, v any) time.Time {
	s := text(v)
	if s == "" {
		return time.Time{}
	}
	t, note, ok := readTime(s, r.settings)
	if !ok || t.Year() < 1 || t.Year() > 9998 {
		if note == "" {
			note = "is not a time and was left out."
		}
		r.note("%s %s %s", name, shown(s), note)
		return time.Time{}
	}
	if note != "" {
		r.note("%s %s %s", name, shown(s), note)
	}
	return t.UTC()
}

// readTime reads a time; note says what was guessed, or why it could not be read, as the end of a sentence.
func readTime(s string, settings Settings) (t time.Time, note string, ok bool) {
	zone := settings.Zone
	if zone == nil {
		zone = time.UTC
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		switch size := math.Abs(f); {
		case size < 1e11:
			return time.UnixMilli(int64(math.Round(f * 1000))), "", true
		case size < 1e14:
			return time.UnixMilli(int64(f)), "", true
		case size < 1e17:
			return time.UnixMicro(int64(f)), "", true
		}
		return time.Time{}, "", false
	}
	if i := strings.LastIndexByte(s, '('); i > 0 && strings.HasSuffix(s, ")") { // a comment: "-0800 (Pacific Standard Time)"
		s = strings.TrimSpace(s[:i])
	}
	clock, letters := cutZone(s)
	if letters == "" {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
			"2006-01-02 15:04:05 -0700", "2006-01-02T15:04Z07:00", "Mon Jan 2 2006 15:04:05 GMT-0700"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, "", true
			}
		}
		if t, err := mail.ParseDate(s); err == nil { // its zone is an offset: letters were looked for above
			return t, "", true
		}
	}
	t, note, ok = readClock(clock, settings.Region)
	switch {
	case !ok:
		return t, "", false
	case letters == "":
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone), note, true
	}
	offset, known := offsetOf(letters, t, zone)
	if !known {
		return time.Time{}, fmt.Sprintf("was left out: which time zone %s means is not certain. Send an offset, such as -08:00, instead.", letters), false
	}
	return t.Add(-offset), note, true
}

// cutZone parts a time from the letters of its zone, in upper case; without any the time is as it came.
func cutZone(s string) (clock, letters string) {
	i := strings.LastIndexByte(s, ' ')
	word := strings.ToUpper(s[i+1:])
	if i < 0 || len(word) > 5 || word == "AM" || word == "PM" || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return s, ""
	}
	return strings.TrimSpace(s[:i]), word
}

// readClock reads what a clock on the wall shows, as if it hung in UTC.
func readClock(s, region string) (t time.Time, note string, ok bool) {
	s, note = yearFirst(s, region)
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04",
		"2006-01-02 3:04:05 PM", "2006-01-02 3:04 PM", "January 2, 2006 3:04 PM", "Jan 2, 2006 3:04 PM"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, note, true
		}
	}
	t, err := mail.ParseDate(s + " +0000")
	return t, "", err == nil
}

var yearLast = regexp.MustCompile(`^(\d{1,2})([/.])(\d{1,2})([/.])(\d{4}),? +(.+)$`)

// monthFirst are the countries that write the month before the day when they use slashes. Canada writes both ways;
// its phone vendors are those of the United States.
var monthFirst = map[string]bool{
	"US": true, "CA": true, "PH": true, "PR": true, "GU": true, "VI": true, "AS": true, "MP": true, "UM": true, "FM": true, "MH": true, "PW": true, "BZ": true,
	"": true, // a tenant without a country: as the vendors at home write it
}

// yearFirst rewrites 03/02/2026 and 02.03.2026 as ISO 8601 does. With slashes the region says which is the month,
// unless only the other order is a date; note tells where both are.
func yearFirst(s, region string) (iso, note string) {
	m := yearLast.FindStringSubmatch(s)
	if m == nil || m[2] != m[4] {
		return s, ""
	}
	month, _ := strconv.Atoi(m[1])
	day, _ := strconv.Atoi(m[3])
	order, other := "month first", month > 12
	if m[2] == "." || !monthFirst[region] {
		month, day = day, month
		order, other = "day first", month > 12 && m[2] == "/"
	}
	if other {
		month, day = day, month
	}
	if m[2] == "/" && month <= 12 && day <= 12 && month != day {
		note = fmt.Sprintf("was read with the %s, as your country writes it.", order)
	}
	return fmt.Sprintf("%s-%02d-%02d %s", m[5], month, day, strings.ToUpper(m[6])), note
}

// americanZones are hours east of UTC, as RFC 2822 names them and as Alaska and Hawaii do.
var americanZones = map[string]int{
	"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
}

// offsetOf is what the letters of a zone stand for at the time that the clock shows: universal time, else what the
// tenant's own zone means by them then, else North America. Others' letters are not guessed: IST is used in India,
// Israel and Ireland. Go's own reading would make UTC of them.
func offsetOf(letters string, clock time.Time, zone *time.Location) (time.Duration, bool) {
	switch letters {
	case "UTC", "GMT", "UT", "Z", "WET":
		return 0, true
	}
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // both sides of a change of the clocks
		name, seconds := clock.Add(near).In(zone).Zone()
		offset := time.Duration(seconds) * time.Second
		if then, _ := clock.Add(-offset).In(zone).Zone(); name == letters && then == letters {
			return offset, true
		}
	}
	hours, known := americanZones[letters]
	return time.Duration(hours) * time.Hour, known
}
