package provider

import (
	"strings"
	"testing"
	"time"
)

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestZonesByTheirLettersAreNeverTakenForUTC(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ said, zone, want string }{
		{"2026-03-02 17:04:05 PST", "America/Los_Angeles", "2026-03-03T01:04:05Z"},
		{"2026-03-02 17:04:05 PST", "Europe/Berlin", "2026-03-03T01:04:05Z"},
		{"Mon, 02 Mar 2026 17:04:05 PST", "UTC", "2026-03-03T01:04:05Z"},
		{"2026-07-02 17:04:05 EDT", "America/Los_Angeles", "2026-07-02T21:04:05Z"},
		{"July 2, 2026 5:04 PM edt", "America/Los_Angeles", "2026-07-02T21:04:00Z"},
		{"2026-03-02 17:04:05 HST", "America/Los_Angeles", "2026-03-03T03:04:05Z"},
		{"2026-03-02 17:04:05 IST", "Asia/Kolkata", "2026-03-02T11:34:05Z"},
		{"2026-07-02 17:04:05 IST", "Europe/Dublin", "2026-07-02T16:04:05Z"},
		{"2026-03-02 17:04:05 CST", "Asia/Shanghai", "2026-03-02T09:04:05Z"},
		{"2026-03-02 17:04:05 CST", "America/New_York", "2026-03-02T23:04:05Z"},
		{"2026-11-01 01:30:00 EDT", "America/New_York", "2026-11-01T05:30:00Z"},
		{"2026-11-01 01:30:00 EST", "America/New_York", "2026-11-01T06:30:00Z"},
		{"2026-03-02 17:04:05 UTC", "America/Los_Angeles", "2026-03-02T17:04:05Z"},
		{"Mon, 02 Mar 2026 17:04:05 GMT", "America/Los_Angeles", "2026-03-02T17:04:05Z"},
		{"Mon, 02 Mar 2026 17:04:05 -0800", "UTC", "2026-03-03T01:04:05Z"},
		{"Mon, 02 Mar 2026 17:04:05 -0800 (PST)", "UTC", "2026-03-03T01:04:05Z"},
		{"Mon, 02 Mar 2026 17:04:05 PST (Pacific)", "UTC", "2026-03-03T01:04:05Z"},
		{"Mon Mar 02 2026 17:04:05 GMT-0800 (Pacific Standard Time)", "UTC", "2026-03-03T01:04:05Z"},
		{"2026-03-02 17:04:05", "America/Los_Angeles", "2026-03-03T01:04:05Z"},
	} {
		r := reader{settings: Settings{Zone: location(t, c.zone)}}
		want, _ := time.Parse(time.RFC3339, c.want)
		if got := r.when("at", c.said); !got.Equal(want) || len(r.notes) > 0 {
			t.Errorf("%s in %s: got %v, want %v; %q", c.said, c.zone, got, want, r.notes)
		}
	}
	for _, said := range []string{"2026-03-02 17:04:05 IST", "Mon, 02 Mar 2026 17:04:05 BST", "2026-03-02 17:04:05 XYZ"} {
		r := reader{settings: Settings{Zone: location(t, "America/Los_Angeles")}}
		if got := r.when("at", said); !got.IsZero() || len(r.notes) != 1 || !strings.Contains(r.notes[0], "time zone") {
			t.Errorf("%s: got %v, %q", said, got, r.notes)
		}
	}
}

func TestTheCountrySaysWhetherDayOrMonthIsFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		said, region, want string
		noted              bool
	}{
		{"03/02/2026 17:04", "US", "2026-03-02T17:04:00Z", true},
		{"03/02/2026 17:04", "PH", "2026-03-02T17:04:00Z", true},
		{"03/02/2026 17:04", "GB", "2026-02-03T17:04:00Z", true},
		{"3/2/2026, 5:04:05 pm", "AU", "2026-02-03T17:04:05Z", true},
		{"13/02/2026 17:04", "US", "2026-02-13T17:04:00Z", false},
		{"02/13/2026 5:04 PM", "DE", "2026-02-13T17:04:00Z", false},
		{"02/02/2026 17:04", "DE", "2026-02-02T17:04:00Z", false},
		{"02.03.2026 17:04", "US", "2026-03-02T17:04:00Z", false},
		{"03/02/2026 17:04:05 PST", "US", "2026-03-03T01:04:05Z", true},
	} {
		r := reader{settings: Settings{Region: c.region}}
		want, _ := time.Parse(time.RFC3339, c.want)
		if got := r.when("at", c.said); !got.Equal(want) || (len(r.notes) > 0) != c.noted {
			t.Errorf("%s in %s: got %v, want %v; %q", c.said, c.region, got, want, r.notes)
		}
	}
	for _, said := range []string{"13/14/2026 17:04", "31/02/2026 17:04", "13.14.2026 17:04"} {
		r := reader{settings: Settings{Region: "US"}}
		if got := r.when("at", said); !got.IsZero() || len(r.notes) != 1 {
			t.Errorf("%s: got %v, %q", said, got, r.notes)
		}
	}
}
