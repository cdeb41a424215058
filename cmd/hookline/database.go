package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hookline/internal/postgres"
	"hookline/internal/postgres/embedded"
	"hookline/internal/seal"
)

// database is where the data is: a server of the operator's, or one that this process or another runs.
type database struct {
	program string           // URL for the program
	direct  string           // URL past a pooler, for LISTEN
	owner   string           // URL whose login owns the schema, for migrations
	server  *embedded.Server // set when this process runs it
}

func (d database) close() {
	if d.server != nil {
		d.server.Stop()
	}
}

// openDatabase starts the embedded server, or takes the one that DATABASE_URL names. A command that shares gives
// join: it uses the server of a running serve when there is one.
func openDatabase(ctx context.Context, c config, log *slog.Logger, join bool) (database, error) {
	if !c.embedded() {
		return database{program: c.DatabaseURL.Reveal(), direct: c.DirectURL.Reveal(), owner: c.DirectURL.Reveal()}, nil
	}
	if join {
		if server, ok := embedded.Join(ctx, c.DataDir); ok {
			return database{program: server.AppURL(), direct: server.AppURL(), owner: server.OwnerURL()}, nil
		}
	}
	server, err := embedded.Start(ctx, embedded.Config{Dir: c.DataDir, BinDir: c.PGBin, Log: log})
	if errors.Is(err, embedded.ErrBusy) {
		return database{}, fmt.Errorf("%w: stop it first, or choose another HOOKLINE_DATA_DIR", err)
	}
	if err != nil {
		return database{}, err
	}
	return database{program: server.AppURL(), direct: server.AppURL(), owner: server.OwnerURL(), server: server}, nil
}

// ensureSchema migrates a database of ours, and refuses one of the operator's that is behind.
func (d database) ensureSchema(ctx context.Context, c config) error {
	if c.embedded() {
		return postgres.Migrate(ctx, d.owner)
	}
	pending, err := postgres.Pending(ctx, d.owner)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("the database is behind by %d migrations (%s). Run: hookline migrate up", len(pending), strings.Join(pending, ", "))
	}
	return nil
}

// schemaReasons tells readiness when the schema is behind this program, as after a backup was restored. It looks
// anew at most every ten seconds: a look opens connections of its own.
func (d database) schemaReasons() func(context.Context) []string {
	var (
		mu      sync.Mutex
		asked   time.Time
		reasons []string
	)
	return func(ctx context.Context) []string {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(asked) < 10*time.Second {
			return reasons
		}
		pending, err := postgres.Pending(ctx, d.owner)
		if err != nil {
			return []string{"database"}
		}
		asked, reasons = time.Now(), nil
		if len(pending) > 0 {
			reasons = []string{"migrations"}
		}
		return reasons
	}
}

// keyFile is where an embedded database's sealing key stands.
func (c config) keyFile() string { return filepath.Join(c.DataDir, "secret-key") }

// sealingKeys are those of the environment, or with an embedded database those of the data directory, made there on
// the first start. Its id is a new one each time: a key that was made anew because the file was lost does not pass
// for the old one.
func sealingKeys(c config) (*seal.Keys, error) {
	if c.SecretKey != "" {
		return seal.Parse(c.SecretKey.Reveal())
	}
	path := c.keyFile()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(seal.Generate("k" + randomPath()[:8]))
		err = writeOnce(path, text)
		if errors.Is(err, fs.ErrExist) {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the sealing key: %w", err)
	}
	keys, err := seal.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the sealing key in %s cannot be used: %w", path, err)
	}
	return keys, nil
}

// writeOnce makes a file that only its owner reads, whole or not at all: a key that was half written would lose data.
func writeOnce(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path) // fails when somebody else was first
}
