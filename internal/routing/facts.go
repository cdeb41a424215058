package routing

import (
	"time"

	"hookline/internal/tenant"
)

// farthestTask is within how many days a Task can be due: ninety business days, with room for holidays.
const farthestTask = 200

// FactsAt are the facts that follow from a tenant and from when a call began, when it is decided now.
func FactsAt(t tenant.Tenant, began, now time.Time) Facts {
	return Facts{
		Open: t.IsOpen(began), LocalTime: began.In(t.Zone), Holiday: t.HolidayOn(began), DecidedAt: now.In(t.Zone),
		Weekdays: t.Hours.Days(), Holidays: t.HolidaysWithin(now, farthestTask), TenantName: t.Name, Country: t.Country,
	}
}
