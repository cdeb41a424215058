// Package specification holds what goes over the wire against Zoho's own OpenAPI description of the CRM (v8). It is for tests
// alone: the sandbox's tests hand it answers, the client's tests hand it requests, and it hands back what does not fit.
//
// The description is Zoho's property and is no part of this repository. Where its files are not at hand, [Open] skips the test
// and says so. The files are wrong in places; what is wrong is excused by name, one [Excuse] each, and an excuse that nothing
// needs any more fails the test as a fault does.
package specification
