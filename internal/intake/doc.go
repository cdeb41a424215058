// Package intake takes one webhook in: address, check, reading, storage, once, before it answers.
//
// Receiver is the door that phone providers post to; Sources are the endpoints that it knows, with their keys and
// secrets. A 200 means committed. What is stored is appended only (seen, events, calls, and a wake for the tenant's
// lane), so no worker can hold intake up; requests that arrive together share one transaction.
//
// An event that cannot be read is kept for a person under a call that stands in for its own. A replay asks for
// ReadAgain: with the source's present settings, the same bytes may tell of a call.
//
// It hands on events and the ring of a bell. What an event makes of a call is call.Fold's, what becomes of the call is
// delivery's. It speaks for provider, which nobody else imports.
package intake
