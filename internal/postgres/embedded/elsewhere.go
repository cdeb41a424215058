//go:build !linux

package embedded

import (
	"context"
	"errors"
)

// Server is never running here: ending the database with its parent needs Linux.
type Server struct{}

var errElsewhere = errors.New("the embedded database needs Linux: set DATABASE_URL to a running PostgreSQL 15 or later")

// Start says that there is none.
func Start(context.Context, Config) (*Server, error) { return nil, errElsewhere }

// Look says that there is none.
func Look(Config) (bool, error) { return false, errElsewhere }

// Attach says that there is none.
func Attach(context.Context, Config) (*Server, error) { return nil, errElsewhere }

// Join finds none.
func Join(context.Context, string) (*Server, bool) { return nil, false }

// OwnerURL is empty.
func (*Server) OwnerURL() string { return "" }

// AppURL is empty.
func (*Server) AppURL() string { return "" }

// SuperURL is empty.
func (*Server) SuperURL() string { return "" }

// Done never closes.
func (*Server) Done() <-chan struct{} { return nil }

// Err is nil.
func (*Server) Err() error { return nil }

// Stop does nothing.
func (*Server) Stop() {}
