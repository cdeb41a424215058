// Package connection is a tenant's link to its Zoho organisation: consent, sealed tokens, their refresh, what the
// link may do, and its health.
//
// It hands on an API that always carries a live token, the organisation's metadata, and a Connection to show. A
// token is refreshed early and by one holder only, over all processes: the row's refresh_until and refresh_fence
// are a lease of their own, so that no lock is held while Zoho is asked and no older answer overwrites a newer.
//
// It leaves to others what is done with the link: delivery reads the status and holds or wakes the lane, and
// counts the credits of its own requests with CountCredits.
package connection
