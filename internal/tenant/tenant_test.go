package tenant

import (
	"strings"
	"testing"
	"time"
)

func TestEveryZoneThatCanBeChosenLoads(t *testing.T) {
	for _, z := range Zones() {
		if _, ok := LoadZone(z); !ok {
			t.Errorf("zone %s does not load", z)
		}
	}
	for _, z := range []string{"", "Local", "Mars/Base", "../etc/passwd"} {
		if _, ok := LoadZone(z); ok {
			t.Errorf("zone %q loads", z)
		}
	}
}

func TestCountriesHaveACodeAndAName(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Countries() {
		if len(c.Code) != 2 || c.Name == "" || seen[c.Code] {
			t.Errorf("country %+v", c)
		}
		seen[c.Code] = true
	}
	for _, code := range []string{"US", "DE", "IN", "XK", "AX"} {
		if !IsCountry(code) {
			t.Errorf("%s is missing", code)
		}
	}
}

func TestHoursKeepTheirFormAndKnowTheirZone(t *testing.T) {
	want := DefaultHours()
	text, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeHours(text)
	if err != nil || got != want {
		t.Errorf("decoded %v, %v", got, err)
	}
	chicago, _ := LoadZone("America/Chicago")
	for at, open := range map[string]bool{
		"2026-03-02T14:59:59Z": false, "2026-03-02T15:00:00Z": true, "2026-03-02T22:59:59Z": true, "2026-03-02T23:00:00Z": false, // a Monday, CST
		"2026-03-09T14:00:00Z": true,  // the Monday after the clocks went forward
		"2026-03-01T18:00:00Z": false, // a Sunday
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if want.IsOpen(when, chicago) != open {
			t.Errorf("open at %s: %v, want %v", at, !open, open)
		}
	}
}

func TestHolidaysAreReadLineByLine(t *testing.T) {
	got, problems := ParseHolidays("\n2027-01-01  New   Year\r\n2026-12-25 Christmas Day\n\n")
	if len(problems) > 0 || HolidayLines(got) != "2026-12-25 Christmas Day\n2027-01-01 New Year\n" {
		t.Fatalf("%v %v", got, problems)
	}
	again, problems := ParseHolidays(HolidayLines(got))
	if len(problems) > 0 || HolidayLines(again) != HolidayLines(got) {
		t.Errorf("written and read again: %v %v", again, problems)
	}
	for text, want := range map[string]string{
		"2026-12-25 Christmas\n25.12.2026 Christmas": "Line 2: “25.12.2026” is no day.",
		"\n2026-02-30 Never":                         "Line 2: “2026-02-30” is no day.",
		"2026-12-25":                                 "Line 1: give 2026-12-25 a name",
		"2026-12-25 A\n2026-12-25 B":                 "Line 2: 2026-12-25 stands there twice.",
		"2026-12-25 " + strings.Repeat("x", 81):      "Line 1: the name is longer",
		strings.Repeat("\n", 500):                    "more than 200 lines",
	} {
		if _, problems := ParseHolidays(text); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%q: %q, want %q", text, problems, want)
		}
	}
}

func TestABusinessIsClosedOnAHoliday(t *testing.T) {
	auckland, _ := LoadZone("Pacific/Auckland")
	b := Tenant{Zone: auckland, Hours: DefaultHours(), Holidays: []Holiday{{"2026-12-25", "Christmas Day"}, {"2027-01-01", "New Year"}}}
	for at, want := range map[string]struct {
		open bool
		name string
	}{
		"2026-12-24T03:00:00Z": {true, ""},               // Thursday 16:00 in Auckland
		"2026-12-24T22:00:00Z": {false, "Christmas Day"}, // Friday 11:00 there
		"2026-12-25T12:00:00Z": {false, ""},              // Saturday 01:00 there
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if b.IsOpen(when) != want.open || b.HolidayOn(when) != want.name {
			t.Errorf("%s: %v %q", at, b.IsOpen(when), b.HolidayOn(when))
		}
	}
	when, _ := time.Parse(time.RFC3339, "2026-12-24T22:00:00Z")
	if got := b.HolidaysWithin(when, 6); len(got) != 1 || got[0] != "2026-12-25" {
		t.Errorf("within a week: %v", got)
	}
}
