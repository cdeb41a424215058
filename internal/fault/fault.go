// Package fault says what kind of thing went wrong, and in which words a user may hear it.
//
// A fault carries a Kind, which the server's one error function turns into a status, and a sentence that is
// safe to show: it names the field or the thing, and the way out. The cause behind it is for logs only.
// Packages return faults for what a person can act on; everything else stays a plain wrapped error, which the
// edge shows as "something went wrong" with a reference.
package fault

import (
	"errors"
	"fmt"
)

// Kind classifies an error for whoever has to answer it.
type Kind int

const (
	Internal     Kind = iota // our own fault, or unknown: nothing of it is shown
	Invalid                  // the input cannot be used; the sentence says which and how to mend it
	NotFound                 // no such thing, or not this tenant's: never tells which
	Conflict                 // it clashes with something that exists or has changed meanwhile
	Forbidden                // known person, missing right
	Unauthorized             // not signed in, or a wrong secret
	Throttled                // too often; try later
	Unavailable              // the database or another part is away; nothing was lost, try again
)

// Error is a kind, a sentence that a user may read, and the cause that only the log sees.
type Error struct {
	Kind     Kind
	Sentence string
	Field    string // the form or JSON field at fault, when there is one
	Cause    error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Sentence + ": " + e.Cause.Error()
	}
	return e.Sentence
}

func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault of the kind with a sentence for the user.
func New(k Kind, sentence string) error { return &Error{Kind: k, Sentence: sentence} }

// Newf is New with formatting; the result is shown to users, so format only what they may see.
func Newf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Sentence: fmt.Sprintf(format, args...)}
}

// Field makes an Invalid fault about one form or JSON field.
func Field(field, sentence string) error {
	return &Error{Kind: Invalid, Field: field, Sentence: sentence}
}

// Wrap keeps the cause for the log behind a sentence for the user.
func Wrap(k Kind, cause error, sentence string) error {
	return &Error{Kind: k, Sentence: sentence, Cause: cause}
}

// KindOf finds the kind of err, Internal when none was given.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// SentenceOf gives the words a user may read; empty when err holds none.
func SentenceOf(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Sentence
	}
	return ""
}

// FieldOf gives the form or JSON field at fault; empty when err names none.
func FieldOf(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Field
	}
	return ""
}
