// Package migrations holds the schema as goose SQL files, embedded in the program. postgres.Migrate is the one
// road by which they are applied.
package migrations

import "embed"

// FS holds the migration files.
//
//go:embed *.sql
var FS embed.FS
