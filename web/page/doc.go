// Package page holds the pages: one .templ and one plain struct each.
//
// A page is a function of its struct. Every text arrives formatted, in the workspace's zone and words; a page
// chooses and repeats, it does not decide. Forms come back with what the person typed and, beside each field, what
// is wrong with it: Problems are keyed by the field's name.
package page

// Problems are what is wrong with a form, by field; the empty key is about the form as a whole.
type Problems = map[string]string
