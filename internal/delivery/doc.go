// Package delivery takes calls to Zoho: exactly once, in order for each caller, fairly among tenants.
//
// Intake wakes a tenant's lane; a Worker claims it, reads the open calls, and tells each call's story: load,
// identify, decide, render, send, record (run.go). The ledger of deliveries and attempts is written around each
// request, intent before and answer after, so that a process may die anywhere and the next one knows what to look
// for before it sends anything again (reconcile.go). What went wrong decides who waits: verdict.go.
//
// It hands on what happened: the log's lists and stories (log.go), the figures (stats.go), the live feed (feed.go),
// and Replay. It leaves to others who called (identity), what that means (routing), which values a record gets
// (mapping) and how Zoho is spoken to (zoho, connection).
package delivery
