// Package zoho speaks Zoho CRM's HTTP API, version 8, and Zoho Accounts' OAuth.
//
// It knows the data centres, exchanges and refreshes tokens, searches, reads and writes records, reads an
// organisation's metadata, and turns every way in which Zoho says no into one Error with a Class that tells the
// caller what may be done about it. A Client is stateless; Client.For binds it to one tenant's access.
//
// Three promises: only hosts of the client's table of centres are dialled and redirects are not followed; a write
// is never sent twice (a 401, where Zoho wrote nothing, is the one exception); ids are text and numbers are
// json.Number, so that no digit is lost.
//
// It keeps no token, counts no budget and decides nothing: tokens are connection's, retries are delivery's.
package zoho
