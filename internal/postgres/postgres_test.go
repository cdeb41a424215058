package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

func TestATransactionSeesOnlyTheTenantsThatItNames(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), pgtest.New(t)
	a, b := tenant.ID(uuid.Must(uuid.NewV7())), tenant.ID(uuid.Must(uuid.NewV7()))
	for _, id := range []tenant.ID{a, b} {
		err := db.InTenant(ctx, id, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO tenants (id, name, country, time_zone, trial_ends_at) VALUES ($1, 'x', 'US', 'UTC', now())`, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(in func(context.Context, func(pgx.Tx) error) error) (n int) {
		t.Helper()
		if err := in(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM tenants`).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	inTenant := func(ctx context.Context, fn func(pgx.Tx) error) error { return db.InTenant(ctx, a, fn) }
	inBoth := func(ctx context.Context, fn func(pgx.Tx) error) error { return db.InTenants(ctx, [][16]byte{a, b}, fn) }
	if n := count(inTenant); n != 1 {
		t.Errorf("in one tenant: %d rows", n)
	}
	if n := count(inBoth); n != 2 {
		t.Errorf("in two tenants: %d rows", n)
	}
	if n := count(db.Directory); n != 0 {
		t.Errorf("in none: %d rows", n)
	}
	if n := count(db.Claim); n != 0 {
		t.Errorf("in a claim: %d rows", n)
	}
	err := db.InTenant(ctx, a, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO lanes (tenant_id) VALUES ($1)`, b)
		return err
	})
	if err == nil {
		t.Error("a row for another tenant was accepted")
	}
	var scanned []tenant.ID
	if err := db.InTenants(ctx, [][16]byte{a, b}, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT id FROM tenants WHERE id = ANY ($1) ORDER BY id`, []tenant.ID{a, b})
		scanned, err = pgx.CollectRows(rows, pgx.RowTo[tenant.ID])
		return err
	}); err != nil || len(scanned) != 2 {
		t.Errorf("ids do not travel as they are: %v %v", scanned, err)
	}
}
