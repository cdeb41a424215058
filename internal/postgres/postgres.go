// Package postgres is the door to the database: the pool, the one helper that opens transactions, migrations, and
// what an error of PostgreSQL's means.
//
// Every transaction names the tenants that it may touch and takes the program's role, which owns nothing; row-level
// security does the rest. A transaction in which nothing is named sees no tenant's rows. What a transaction does is
// its caller's business; no network call belongs inside one.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Role is the program's role in the database.
const Role = "hookline_app"

// Config says where the database is and how much of it the program may use.
type Config struct {
	URL      string
	MaxConns int32  // 0: pgx's default, at least 4
	Name     string // application_name, as pg_stat_activity shows it
	Direct   bool   // no pooler can stand between: statements stay prepared on their connection
}

// DB is a pool of connections whose transactions are confined to tenants.
type DB struct{ pool *pgxpool.Pool }

// Querier runs statements: a transaction does, and so does what a test puts in its place.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Open makes a pool. It does not connect yet: a database that is away shows at the first use.
func Open(ctx context.Context, c Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	// Through a transaction pooler, statements are described once and run unnamed: named ones would clash.
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if c.Direct {
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	}
	if c.MaxConns > 0 {
		pc.MaxConns = c.MaxConns
	}
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if c.Name != "" {
		pc.ConnConfig.RuntimeParams["application_name"] = c.Name
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	return &DB{pool: pool}, nil
}

// Pool is the pool itself, for what is no tenant's: health, LISTEN, River.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// InTenant runs fn in a transaction that sees one tenant's rows and the directory tables.
func (db *DB) InTenant(ctx context.Context, tenant [16]byte, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, uuid.UUID(tenant).String(), "", fn)
}

// InTenants runs fn in a transaction that sees the rows of the tenants named.
func (db *DB) InTenants(ctx context.Context, tenants [][16]byte, fn func(tx pgx.Tx) error) error {
	names := make([]string, len(tenants))
	for i, t := range tenants {
		names[i] = uuid.UUID(t).String()
	}
	return db.run(ctx, strings.Join(names, ","), "", fn)
}

// Directory runs fn in a transaction that sees no tenant's rows: only the directory tables, read by key or hash.
func (db *DB) Directory(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, "", "", fn)
}

// Claim runs fn in a transaction that sees the lanes and wakes of all tenants, and nothing else of theirs.
func (db *DB) Claim(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, "", "on", fn)
}

// attempts is how often a transaction that PostgreSQL gave up for another's sake is run.
const attempts = 3

func (db *DB) run(ctx context.Context, tenants, claim string, fn func(tx pgx.Tx) error) error {
	for n := 1; ; n++ {
		err := db.once(ctx, tenants, claim, fn)
		if err == nil || n == attempts || !isRetryable(err) {
			return err
		}
	}
}

// once opens a transaction, confines it and begins it in a single round trip.
func (db *DB) once(ctx context.Context, tenants, claim string, fn func(tx pgx.Tx) error) (err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("waiting for a database connection: %w", err)
	}
	defer conn.Release() // after a panic inside fn the pool closes the connection, whose transaction is open
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: confine(tenants, claim)})
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() {
		if err != nil {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = tx.Rollback(end) // the connection is thrown away if this fails
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// confine is the text that begins a transaction. tenants are UUIDs that this package formatted itself, so there is
// nothing in them to quote. The limits stand here and not on the connection because a pooler hands connections on:
// a statement has 30 s, a wait for a lock 5 s, a caller that has gone quiet 30 s.
func confine(tenants, claim string) string {
	return "BEGIN; SELECT set_config('role', '" + Role + "', true), set_config('hookline.tenants', '" + tenants +
		"', true), set_config('hookline.claim', '" + claim + "', true), set_config('statement_timeout', '30s', true), " +
		"set_config('lock_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '30s', true)"
}

func isRetryable(err error) bool {
	code := CodeOf(err)
	return code == "40001" || code == "40P01" // serialization failure, deadlock
}

// CodeOf is PostgreSQL's five-character code of err, empty when err is not PostgreSQL's.
func CodeOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// IsFaultOfData reports whether PostgreSQL refused what it was given, so that the same will be refused again, and
// something else will not: neither it nor the way to it was at fault.
func IsFaultOfData(err error) bool {
	switch code := CodeOf(err); {
	case code == "":
		return false
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "25"), strings.HasPrefix(code, "40"), strings.HasPrefix(code, "53"),
		strings.HasPrefix(code, "55"), strings.HasPrefix(code, "57"), strings.HasPrefix(code, "58"), strings.HasPrefix(code, "XX"):
		return false // the connection, its state, another's transaction, resources, locks, operators, the system
	}
	return true
}

// ConstraintOf names the constraint that err broke, empty when it broke none.
func ConstraintOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.ConstraintName
	}
	return ""
}

// IsUniqueViolation reports whether err says that a row with this key exists.
func IsUniqueViolation(err error) bool { return CodeOf(err) == "23505" }
