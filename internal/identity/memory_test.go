package identity_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/identity"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

func TestTheNumberMemoryIsKeptForEachOrganisation(t *testing.T) {
	t.Parallel()
	db, ctx := pgtest.New(t), t.Context()
	acme := tenant.ID(uuid.Must(uuid.NewV7()))
	err := db.InTenant(ctx, acme, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO tenants (id, name, country, time_zone, trial_ends_at)
			VALUES (@id, 'Acme', 'US', 'America/New_York', now() + interval '14 days')`, pgx.StrictNamedArgs{"id": acme.UUID()}); err != nil {
			return err
		}
		if r, err := identity.Recall(ctx, tx, acme, "1", number); r != nil || err != nil {
			t.Errorf("before: %+v %v", r, err)
		}
		lead := identity.Remembered{Module: "Leads", ID: "5725767000000300001", Name: "Sarah"}
		for range 2 {
			if err := identity.Remember(ctx, tx, acme, "1", number, lead); err != nil {
				return err
			}
		}
		r, err := identity.Recall(ctx, tx, acme, "1", number)
		if err != nil || r == nil || r.ID != lead.ID || r.Age < 0 || r.Age > time.Minute {
			t.Errorf("after: %+v %v", r, err)
		}
		if r, _ := identity.Recall(ctx, tx, acme, "2", number); r != nil {
			t.Errorf("another organisation: %+v", r)
		}
		if err := identity.Forget(ctx, tx, acme, "1", number); err != nil {
			return err
		}
		if r, _ := identity.Recall(ctx, tx, acme, "1", number); r != nil {
			t.Errorf("forgotten: %+v", r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
