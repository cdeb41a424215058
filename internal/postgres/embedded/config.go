// Package embedded is the default database: it starts, recovers and stops a PostgreSQL server of its own, so that
// trying Hookline takes one command.
//
// It needs PostgreSQL's server programs, not a running server: it makes a cluster in the data directory, starts the
// server as a child that listens on a socket only, and restarts it when it dies. As root it runs the server as an
// ordinary user, because PostgreSQL refuses to be root. Production sets DATABASE_URL instead and never comes here.
package embedded

import (
	"errors"
	"log/slog"
)

// Config says where the cluster lives.
type Config struct {
	Dir    string   // data directory; the cluster is Dir/pg<major>, its socket Dir/run
	BinDir string   // PostgreSQL's server programs; empty: found
	Params []string // further settings, name=value
	// Volatile is for tests: nothing is flushed to disk, so the data outlives processes but not the machine's crash.
	Volatile bool
	Log      *slog.Logger
}

// ErrBusy says that another process of ours holds the data directory.
var ErrBusy = errors.New("another hookline process uses this data directory")
