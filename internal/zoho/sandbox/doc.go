// Package sandbox is a faithful Zoho CRM over real HTTP: accounts host, API host and a small CRM for people, all under one
// base URL. Tests, demos and a tenant's first try talk to it exactly as they would talk to Zoho.
//
// It hands on nothing but an [http.Handler]. It was written from Zoho's documentation and shares no code with the client in
// the package above it, so that the two can disagree: that is what makes it worth testing against. Where a behaviour rests on
// general knowledge and not on a source, the comment beside it says (mem); seen in other working code or live probes: (obs).
//
// One [Sandbox] holds many organisations. Each has its own users, records, metadata, limits and edition, and lives in one data
// centre. Everything is in memory behind one lock; with a directory, each change is written to an append-only journal before
// the answer leaves, so a killed process loses nothing that it acknowledged.
package sandbox
