package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

func newTenant(t *testing.T, db *postgres.DB) tenant.ID {
	t.Helper()
	ctx, id := context.Background(), tenant.ID(uuid.Must(uuid.NewV7()))
	if err := db.InTenant(ctx, id, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tenants (id, name, country, time_zone, trial_ends_at) VALUES ($1, 'x', 'US', 'UTC', now())`, id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestATransactionSeesOnlyTheTenantsThatItNames(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	a, b := newTenant(t, db), newTenant(t, db)
	newTenant(t, db)
	for name, c := range map[string]struct {
		in   func(func(pgx.Tx) error) error
		want int
	}{
		"one tenant":  {func(fn func(pgx.Tx) error) error { return db.InTenant(ctx, a, fn) }, 1},
		"two tenants": {func(fn func(pgx.Tx) error) error { return db.InTenants(ctx, [][16]byte{a, b}, fn) }, 2},
		"no tenants":  {func(fn func(pgx.Tx) error) error { return db.InTenants(ctx, nil, fn) }, 0},
		"directory":   {func(fn func(pgx.Tx) error) error { return db.Directory(ctx, fn) }, 0},
		"claim":       {func(fn func(pgx.Tx) error) error { return db.Claim(ctx, fn) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			var role string
			if err := c.in(func(tx pgx.Tx) error {
				return tx.QueryRow(ctx, `SELECT count(*), current_user::text FROM tenants`).Scan(&n, &role)
			}); err != nil {
				t.Fatal(err)
			}
			if n != c.want || role != postgres.Role {
				t.Errorf("%d rows as %s, want %d", n, role, c.want)
			}
		})
	}
}

func TestAClaimSeesTheLanesOfAllTenants(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	for _, id := range []tenant.ID{newTenant(t, db), newTenant(t, db)} {
		if err := db.InTenant(ctx, id, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES ($1)`, id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := db.Claim(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `SELECT count(*) FROM lanes`).Scan(&n) }); err != nil || n != 2 {
		t.Errorf("%d lanes, %v", n, err)
	}
}

func TestIDsTravelAsTheyAre(t *testing.T) {
	t.Parallel()
	ctx, database := context.Background(), pgtest.NewDatabase(t)
	a, b := newTenant(t, database.DB), newTenant(t, database.DB)
	for name, direct := range map[string]bool{"direct": true, "as through a pooler": false} {
		t.Run(name, func(t *testing.T) {
			db, err := postgres.Open(ctx, postgres.Config{URL: database.AppURL, Direct: direct})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.InTenants(ctx, [][16]byte{a, b}, func(tx pgx.Tx) error {
				rows, _ := tx.Query(ctx, `SELECT id FROM tenants WHERE id = ANY (@ids) ORDER BY id`, pgx.StrictNamedArgs{"ids": []tenant.ID{a, b}})
				found, err := pgx.CollectRows(rows, pgx.RowTo[tenant.ID])
				if err == nil && (len(found) != 2 || found[0] != a || found[1] != b) {
					t.Errorf("%v", found)
				}
				if err != nil {
					return err
				}
				var one tenant.ID
				var absent *tenant.ID
				if err := tx.QueryRow(ctx, `SELECT id, NULL::uuid FROM tenants WHERE id = @id`, pgx.StrictNamedArgs{"id": b}).Scan(&one, &absent); err != nil {
					return err
				}
				if one != b || absent != nil {
					t.Errorf("%v %v", one, absent)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADeadlockedTransactionIsRunAgain(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	a, b := newTenant(t, db), newTenant(t, db)
	var both, group sync.WaitGroup
	both.Add(2)
	runs := make(chan struct{}, 10)
	for _, order := range [][]tenant.ID{{a, b}, {b, a}} {
		first := true
		group.Go(func() {
			if err := db.InTenants(ctx, [][16]byte{a, b}, func(tx pgx.Tx) error {
				runs <- struct{}{}
				for i, id := range order {
					if _, err := tx.Exec(ctx, `UPDATE tenants SET name = 'y' WHERE id = $1`, id); err != nil {
						return fmt.Errorf("wrapped: %w", err)
					}
					if i == 0 && first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := len(runs); n < 3 { // the victim may meet the other once more
		t.Errorf("%d runs of two transactions of which one is the victim", n)
	}
}

func TestATransactionIsGivenUpAfterThreeRuns(t *testing.T) {
	t.Parallel()
	runs := 0
	err := pgtest.New(t).Directory(context.Background(), func(pgx.Tx) error {
		runs++
		return &pgconn.PgError{Code: "40001"}
	})
	if runs != 3 || postgres.CodeOf(err) != "40001" {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestWhatWasNotCommittedIsGone(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	a := newTenant(t, db)
	change := func(tx pgx.Tx) {
		if _, err := tx.Exec(ctx, `UPDATE tenants SET name = 'changed' WHERE id = $1`, a); err != nil {
			t.Fatal(err)
		}
	}
	oops := errors.New("oops")
	for name, run := range map[string]func(){
		"an error": func() {
			if err := db.InTenant(ctx, a, func(tx pgx.Tx) error { change(tx); return oops }); !errors.Is(err, oops) {
				t.Error(err)
			}
		},
		"a cancelled context": func() {
			ctx, cancel := context.WithCancel(ctx)
			if err := db.InTenant(ctx, a, func(tx pgx.Tx) error { change(tx); cancel(); return nil }); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		},
		"a panic": func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.InTenant(ctx, a, func(tx pgx.Tx) error { change(tx); panic("oops") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			run()
			var got string
			if err := db.InTenant(ctx, a, func(tx pgx.Tx) error {
				return tx.QueryRow(ctx, `SELECT name FROM tenants WHERE id = $1`, a).Scan(&got)
			}); err != nil || got != "x" {
				t.Errorf("name %q, %v", got, err)
			}
		})
	}
	awaitIdle(t, db)
}

// TI6: a small pool, tenants mixed, some requests cancelled in the middle and some panicking.
func TestAPooledConnectionNeverShowsTheTenantBefore(t *testing.T) {
	t.Parallel()
	ctx, database := context.Background(), pgtest.NewDatabase(t)
	db, err := postgres.Open(ctx, postgres.Config{URL: database.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ids := []tenant.ID{newTenant(t, db), newTenant(t, db)}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 30 {
				own, other := ids[(worker+n)%2], ids[(worker+n+1)%2]
				func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithCancel(ctx)
					defer cancel()
					_ = db.InTenant(ctx, own, func(tx pgx.Tx) error {
						var mine, theirs int
						if err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE id = $1), count(*) FILTER (WHERE id = $2) FROM tenants`, own, other).Scan(&mine, &theirs); err != nil {
							return err
						}
						if mine != 1 || theirs != 0 {
							t.Errorf("own %d, foreign %d", mine, theirs)
						}
						switch n % 4 {
						case 0:
							time.AfterFunc(time.Millisecond, cancel)
							_, err := tx.Exec(ctx, `SELECT pg_sleep(1)`)
							return err
						case 2:
							panic("in the middle")
						}
						return nil
					})
				}()
			}
		})
	}
	group.Wait()
	awaitIdle(t, db)
}

func TestEveryTransactionHasLimits(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	if err := db.Directory(ctx, func(tx pgx.Tx) error {
		var statement, lock, quiet string
		err := tx.QueryRow(ctx, `SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')`).Scan(&statement, &lock, &quiet)
		if statement != "30s" || lock != "5s" || quiet != "30s" {
			t.Errorf("%s %s %s", statement, lock, quiet)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestABrokenConstraintIsNamed(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	insert := func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO people (id, email, password_hash) VALUES ($1, 'a@b.example', '')`, uuid.New())
		return err
	}
	if err := db.Directory(ctx, insert); err != nil {
		t.Fatal(err)
	}
	err := db.Directory(ctx, insert)
	if !postgres.IsUniqueViolation(err) || postgres.ConstraintOf(err) != "people_email_key" {
		t.Error(err)
	}
	if postgres.IsUniqueViolation(errors.New("x")) || postgres.ConstraintOf(nil) != "" {
		t.Error("another error was taken for a broken constraint")
	}
}

// awaitIdle waits until no connection is out; broken ones are closed behind the scenes.
func awaitIdle(t *testing.T, db *postgres.DB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); db.Pool().Stat().AcquiredConns() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections still out", db.Pool().Stat().AcquiredConns())
		}
	}
}

func BenchmarkATransactionOfOneStatement(b *testing.B) {
	ctx, db := context.Background(), pgtest.New(b)
	id := uuid.New()
	for b.Loop() {
		if err := db.InTenant(ctx, id, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMigrationsRunOnceHoweverManyInstancesStartTogether(t *testing.T) {
	t.Parallel()
	ctx, empty := context.Background(), pgtest.Empty(t)
	pending, err := postgres.Pending(ctx, empty.OwnerURL)
	if err != nil || len(pending) < 8 || !strings.HasPrefix(pending[0], "00001") {
		t.Fatalf("an empty database lacks %v, %v", pending, err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := postgres.Migrate(ctx, empty.OwnerURL); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if pending, err := postgres.Pending(ctx, empty.OwnerURL); err != nil || len(pending) != 0 {
		t.Errorf("still lacking %v, %v", pending, err)
	}
	if twice := column(t, empty.SuperURL, `SELECT version_id::text FROM goose_db_version GROUP BY 1 HAVING count(*) > 1`); len(twice) > 0 {
		t.Errorf("applied twice: %v", twice)
	}
}

func TestPartitionsReachThreeMonthsAheadAndAreMadeOnce(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.NewDatabase(t)
	for _, parent := range []string{"events", "attempts"} {
		names := column(t, db.SuperURL, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass ORDER BY 1`, parent)
		var want []string
		for ahead := -1; ahead <= 3; ahead++ {
			now := time.Now().UTC()
			want = append(want, parent+time.Date(now.Year(), now.Month()+time.Month(ahead), 1, 0, 0, 0, 0, time.UTC).Format("_200601"))
		}
		if strings.Join(names, " ") != strings.Join(want, " ") {
			t.Errorf("%v, want %v", names, want)
		}
	}
	var made int
	if err := db.Directory(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT hookline_make_partitions()`).Scan(&made)
	}); err != nil || made != 0 {
		t.Errorf("made %d again, %v", made, err)
	}
	if loose := column(t, db.SuperURL, `
		SELECT p.relname::text FROM pg_class p JOIN pg_inherits i ON i.inhrelid = p.oid
		WHERE p.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = p.oid AND x.indisprimary)`); len(loose) > 0 {
		t.Errorf("without a primary key: %v", loose)
	}
}

// Elsewhere than in the embedded server one login may do everything: it owns the schema, and takes the program's
// role in each transaction.
func TestALoginThatOwnsTheSchemaIsConfinedAllTheSame(t *testing.T) {
	t.Parallel()
	ctx, database := context.Background(), pgtest.NewDatabase(t)
	for name, url := range map[string]string{"owner": database.OwnerURL, "superuser": database.SuperURL} {
		t.Run(name, func(t *testing.T) {
			db, err := postgres.Open(ctx, postgres.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			a := newTenant(t, db)
			newTenant(t, db)
			var n int
			if err := db.InTenant(ctx, a, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `SELECT count(*) FROM tenants`).Scan(&n) }); err != nil || n != 1 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

// A migration that is cut off, wherever that is, ends well when it is run again.
func TestAMigrationThatIsCutOffHalfWayEndsWellWhenItRunsAgain(t *testing.T) { // D3
	t.Parallel()
	ctx, db := context.Background(), pgtest.Empty(t)
	proxy := pgtest.NewProxy(t, db.OwnerURL)
	cut := 0
	for room := 3000; ; room += 4000 { // bytes; a run from nothing passes about 200,000
		proxy.Set(pgtest.Trouble{CutAfter: room})
		err := postgres.Migrate(ctx, proxy.URL)
		if err == nil {
			break
		}
		cut++
	}
	if cut < 5 {
		t.Errorf("cut off %d times only", cut)
	}
	if err := postgres.Migrate(ctx, db.OwnerURL); err != nil {
		t.Fatal(err)
	}
	if got, want := schema(t, db.SuperURL), schema(t, pgtest.NewDatabase(t).SuperURL); got != want {
		t.Errorf("the schema is another one than that of a run which nobody cut off: %s, want %s", got, want)
	}
}

// schema is all that the catalogue says of the tables, as one text.
func schema(t *testing.T, url string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var text string
	if err := conn.QueryRow(ctx, `
		SELECT string_agg(line, E'\n' ORDER BY line) FROM (
			SELECT 'column ' || table_name || ' ' || ordinal_position || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '')
			  FROM information_schema.columns WHERE table_schema = 'public'
			UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
			UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace
			UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || COALESCE(qual, '') FROM pg_policies
			UNION ALL SELECT 'function ' || proname || ' ' || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL SELECT 'grant ' || table_name || ' ' || grantee || ' ' || privilege_type FROM information_schema.table_privileges WHERE table_schema = 'public'
			UNION ALL SELECT 'goose ' || version_id || ' ' || is_applied FROM goose_db_version
		) AS said (line)`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
