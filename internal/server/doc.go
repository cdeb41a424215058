// Package server is the door for people and programs: routes, middleware, pages and their forms, the error page.
//
// A handler makes three moves: it parses, calls one of the floors below, and renders or redirects. Every route
// stands in routes (routes.go) with the right it needs; nothing else decides who may do what. Errors go up as they
// are and become a status and a page, or problem+json, in one function (errors.go). Intake and the JSON API are
// handed in and have short chains of their own.
package server
