// Package tenant is a business: its name, country, time zone, hours and words.
//
// Every other package takes a tenant.ID as its first argument and every table has it first in its key. The
// package hands on the Tenant noun and its store; who may act for a tenant is account's business.
package tenant

import (
	"time"

	"github.com/google/uuid"
)

// ID names a tenant. It is a type of its own, so that it cannot be swapped with another id.
type ID uuid.UUID

func (id ID) String() string  { return uuid.UUID(id).String() }
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }
func (id ID) IsZero() bool    { return uuid.UUID(id) == uuid.Nil }

// ParseID reads the text form.
func ParseID(s string) (ID, error) {
	u, err := uuid.Parse(s)
	return ID(u), err
}

// Tenant is one business as the rest of the program sees it.
type Tenant struct {
	ID          ID
	Name        string
	Country     string         // ISO 3166-1 alpha-2, upper case: the region that completes national phone numbers
	Zone        *time.Location // business time: hours, due dates, what pages show
	Hours       Hours
	Holidays    []Holiday // in order of their days
	TrialEndsAt time.Time
	CreatedAt   time.Time
}

// Hours are the opening hours by weekday (0 = Sunday) in the tenant's zone, in minutes since midnight. A day
// whose Open equals its Close is closed.
type Hours [7]struct{ Open, Close int }

// IsOpen reports whether at falls in the hours, read in zone.
func (h Hours) IsOpen(at time.Time, zone *time.Location) bool {
	local := at.In(zone)
	day := h[local.Weekday()]
	minute := local.Hour()*60 + local.Minute()
	return day.Open < day.Close && minute >= day.Open && minute < day.Close
}

// Days are the weekdays on which the business opens at all.
func (h Hours) Days() []time.Weekday {
	var days []time.Weekday
	for d, hours := range h {
		if hours.Open < hours.Close {
			days = append(days, time.Weekday(d))
		}
	}
	return days
}

// DefaultHours are Monday to Friday, nine to five.
func DefaultHours() Hours {
	var h Hours
	for d := time.Monday; d <= time.Friday; d++ {
		h[d].Open, h[d].Close = 9*60, 17*60
	}
	return h
}
