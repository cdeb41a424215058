package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
)

// directory lists the tables that are read before a tenant is known, by key or hash only. The list is complete.
var directory = []string{"people", "sessions", "memberships", "keys", "mails", "throttles", "sealing_keys"}

// definers lists the functions that run with their owner's rights.
var definers = []string{"hookline_make_partitions"}

// column reads one column of text from the test's database, past row-level security.
func column(t *testing.T, url, sql string, args ...any) []string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, sql, args...)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TI5: what the catalogue says of row-level security and of the program's role.
func TestEveryTenantTableForcesRowLevelSecurity(t *testing.T) {
	t.Parallel()
	db := pgtest.NewDatabase(t)

	t.Run("every table that names a tenant enables and forces it", func(t *testing.T) {
		for _, table := range column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
			  AND (c.relname = 'tenants' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
			  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`) {
			if !slices.Contains(directory, table) {
				t.Errorf("%s is neither protected nor a directory table", table)
			}
		}
	})
	t.Run("every other table of ours is a directory table", func(t *testing.T) {
		for _, table := range column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity`) {
			if !slices.Contains(directory, table) && !strings.HasPrefix(table, "river_") && table != "goose_db_version" {
				t.Errorf("%s has no row-level security and is on no list", table)
			}
		}
	})
	t.Run("every protected table that the program may touch has a policy", func(t *testing.T) {
		if bare := column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND c.relrowsecurity AND has_table_privilege('hookline_app', c.oid, 'SELECT')
			  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)`); len(bare) > 0 {
			t.Errorf("no policy: %v", bare)
		}
	})
	t.Run("the tenant comes first in every primary, unique and foreign key", func(t *testing.T) {
		if odd := column(t, db.SuperURL, `
			SELECT r.conname::text FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = r.conkey[1]
			WHERE n.nspname = 'public' AND r.contype IN ('p', 'u', 'f') AND c.relrowsecurity AND c.relname <> 'tenants' AND a.attname <> 'tenant_id'`); len(odd) > 0 {
			t.Errorf("the tenant is not first in %v", odd)
		}
	})
	t.Run("partitions are touched through their parents only", func(t *testing.T) {
		if open := column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c WHERE c.relispartition AND c.relkind = 'r'
			AND has_table_privilege('hookline_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE')`); len(open) > 0 {
			t.Errorf("granted directly: %v", open)
		}
	})
	t.Run("the program's role has no power of its own", func(t *testing.T) {
		if faults := column(t, db.SuperURL, `
			SELECT 'is superuser, or may pass by row-level security, or make roles or databases' FROM pg_roles
			WHERE rolname = 'hookline_app' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
			UNION ALL SELECT 'owns ' || relname FROM pg_class WHERE pg_get_userbyid(relowner) = 'hookline_app'
			UNION ALL SELECT 'owns ' || proname FROM pg_proc WHERE pg_get_userbyid(proowner) = 'hookline_app'
			UNION ALL SELECT 'may create in schema ' || nspname FROM pg_namespace WHERE has_schema_privilege('hookline_app', oid, 'CREATE')
			UNION ALL SELECT 'is a member of ' || pg_get_userbyid(roleid) FROM pg_auth_members WHERE pg_get_userbyid(member) = 'hookline_app'`); len(faults) > 0 {
			t.Errorf("%v", faults)
		}
	})
	t.Run("views run with the rights of who reads them", func(t *testing.T) {
		if views := column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND c.relkind IN ('v', 'm') AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)`); len(views) > 0 {
			t.Errorf("%v", views)
		}
	})
	t.Run("functions with their owner's rights are the listed ones, with a fixed search path", func(t *testing.T) {
		found := column(t, db.SuperURL, `
			SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prosecdef ORDER BY 1`)
		if !slices.Equal(found, definers) {
			t.Errorf("found %v, listed %v", found, definers)
		}
		if loose := column(t, db.SuperURL, `
			SELECT p.proname::text FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
			AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS s WHERE s = 'search_path=pg_catalog, pg_temp')`); len(loose) > 0 {
			t.Errorf("search path not fixed: %v", loose)
		}
	})
	t.Run("every table says what a row is", func(t *testing.T) {
		if mute := column(t, db.SuperURL, `
			SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'river%'
			  AND c.relname <> 'goose_db_version' AND obj_description(c.oid, 'pg_class') IS NULL`); len(mute) > 0 {
			t.Errorf("%v", mute)
		}
	})
}

// TI4: what the program's role can do to other tenants' rows by SQL alone.
func TestRowsOfATenantThatIsNotNamedCannotBeReadWrittenOrGivenAway(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	a, b := newTenant(t, db), newTenant(t, db)
	for name, statement := range map[string]func(tx pgx.Tx) error{
		"insert for another": func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES ($1)`, b)
			return err
		},
		"move a row to another": func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES ($1)`, a); err != nil {
				t.Fatal(err)
			}
			_, err := tx.Exec(ctx, `UPDATE lanes SET tenant_id = $1 WHERE tenant_id = $2`, b, a)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := db.InTenant(ctx, a, statement); postgres.CodeOf(err) != "42501" {
				t.Errorf("not refused: %v", err)
			}
		})
	}
	t.Run("update and count see nothing", func(t *testing.T) {
		if err := db.InTenant(ctx, a, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `UPDATE tenants SET name = 'taken' WHERE id = $1`, b)
			if err == nil && tag.RowsAffected() != 0 {
				t.Error("another tenant's row was changed")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("outside the helper nothing is seen", func(t *testing.T) {
		var n int
		if err := db.Pool().QueryRow(ctx, `SELECT count(*) FROM tenants`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}
