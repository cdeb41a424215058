package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"hookline/migrations"
)

// migrationLock is the advisory lock that instances which start together take in turn.
const migrationLock = 0x686f6f6b6c696e65 // "hookline"

// Migrate brings the database at url to this program's schema: our own migrations, then River's, then the
// partitions of the months ahead. It is safe when several instances call it at once. The URL's login owns the schema
// and connects past any transaction pooler.
func Migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting to migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // gives the lock back, too
	if err := lockMigrations(ctx, conn); err != nil {
		return err
	}
	provider, db, err := openGoose(url)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	river, pool, err := openRiver(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the job queue: %w", err)
	}
	if _, err := conn.Exec(ctx, `
		DO $$
		DECLARE t regclass;
		BEGIN
			FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE n.nspname = 'public' AND c.relname LIKE 'river%' AND c.relkind IN ('r', 'p')
			LOOP EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO hookline_app', t); END LOOP;
			FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE n.nspname = 'public' AND c.relname LIKE 'river%' AND c.relkind = 'S'
			LOOP EXECUTE format('GRANT USAGE ON SEQUENCE %s TO hookline_app', t); END LOOP;
			GRANT SELECT ON goose_db_version TO hookline_app;
		END $$`); err != nil {
		return fmt.Errorf("granting the job queue's tables: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT hookline_make_partitions()`); err != nil {
		return fmt.Errorf("making partitions: %w", err)
	}
	return nil
}

// lockMigrations waits for its turn by asking again and again: a session that waited inside the server would hold a
// snapshot, for which an index that another instance builds CONCURRENTLY would wait in its turn.
func lockMigrations(ctx context.Context, conn *pgx.Conn) error {
	for {
		var ours bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(migrationLock)).Scan(&ours); err != nil {
			return fmt.Errorf("taking the migrations' lock: %w", err)
		}
		if ours {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for another instance's migrations: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Pending names the migrations that the database at url lacks, oldest first: ours, then the job queue's.
func Pending(ctx context.Context, url string) ([]string, error) {
	provider, db, err := openGoose(url)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	applied, err := appliedVersion(ctx, db)
	if err != nil {
		return nil, err
	}
	var pending []string
	for _, source := range provider.ListSources() {
		if source.Version > applied {
			pending = append(pending, source.Path)
		}
	}
	river, pool, err := openRiver(ctx, url)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	done, err := river.ExistingVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the job queue's version: %w", err)
	}
	for _, m := range river.AllVersions() {
		if !slices.ContainsFunc(done, func(d rivermigrate.Migration) bool { return d.Version == m.Version }) {
			pending = append(pending, fmt.Sprintf("job queue %03d", m.Version))
		}
	}
	return pending, nil
}

// appliedVersion is the latest of our migrations that the database has seen, 0 when it has seen none.
func appliedVersion(ctx context.Context, db *sql.DB) (int64, error) {
	store, err := database.NewStore(database.DialectPostgres, goose.DefaultTablename)
	if err != nil {
		return 0, fmt.Errorf("reading migrations: %w", err)
	}
	version, err := store.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) || CodeOf(err) == "42P01" { // no such table
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the schema's version: %w", err)
	}
	return version, nil
}

func openGoose(url string) (*goose.Provider, *sql.DB, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the database to migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("reading migrations: %w", err)
	}
	return provider, db, nil
}

func openRiver(ctx context.Context, url string) (*rivermigrate.Migrator[pgx.Tx], *pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting for the job queue's migrations: %w", err)
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		pool.Close()
		return nil, nil, fmt.Errorf("reading the job queue's migrations: %w", err)
	}
	return river, pool, nil
}
