package tenant

import (
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
