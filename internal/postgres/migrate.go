package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
// partitions of the months ahead. It is safe when several instances call it at once. The URL's login owns the schema.
func Migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting to migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("waiting for another migration: %w", err)
	}
	provider, db, err := openGoose(url)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting to migrate the job queue: %w", err)
	}
	defer pool.Close()
	river, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("reading the job queue's migrations: %w", err)
	}
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

// Pending names the migrations that the database at url lacks, oldest first.
func Pending(ctx context.Context, url string) ([]string, error) {
	provider, db, err := openGoose(url)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	applied := int64(0)
	store, err := database.NewStore(database.DialectPostgres, "goose_db_version")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	latest, err := store.GetLatestVersion(ctx, db)
	switch {
	case err == nil:
		applied = latest
	case errors.Is(err, database.ErrVersionNotFound):
	default:
		// No version table yet: nothing was ever applied. Anything else shows in the ping.
		if pingErr := db.PingContext(ctx); pingErr != nil {
			return nil, fmt.Errorf("reading the schema's version: %w", pingErr)
		}
	}
	var pending []string
	for _, source := range provider.ListSources() {
		if source.Version > applied {
			pending = append(pending, source.Path)
		}
	}
	return pending, nil
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
