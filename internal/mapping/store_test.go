package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
)

func TestMappingsAreKeptAsVersionsAndCheckedOnSave(t *testing.T) {
	t.Parallel()
	db, ctx := pgtest.New(t), t.Context()
	acme := tenant.ID(uuid.Must(uuid.NewV7()))
	err := db.InTenant(ctx, acme, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO tenants (id, name, country, time_zone, trial_ends_at)
			VALUES (@id, 'Acme', 'US', 'America/New_York', now() + interval '14 days')`, pgx.StrictNamedArgs{"id": acme.UUID()}); err != nil {
			return err
		}
		set := mapping.DefaultSet()
		set.Modules["Leads"] = append(set.Modules["Leads"], mapping.Row{Field: "Industry", Value: "Plumbing"})
		if n, err := mapping.Save(ctx, tx, acme, "ann@acme.example", 0, set, "Leads", nil, "Industry"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		live, err := mapping.Live(ctx, tx, acme)
		if err != nil || live.Version != 1 || len(live.Modules["Leads"]) != 9 {
			t.Errorf("%+v %v", live, err)
		}
		if _, err := mapping.Save(ctx, tx, acme, "bob@acme.example", 0, set, "", nil, ""); fault.KindOf(err) != fault.Conflict ||
			!strings.Contains(fault.SentenceOf(err), "ann@acme.example") {
			t.Error(err)
		}
		set.Modules["Leads"][1].Value = "{{ first_nam }}"
		if _, err := mapping.Save(ctx, tx, acme, "ann@acme.example", 1, set, "", nil, ""); fault.KindOf(err) != fault.Invalid || fault.FieldOf(err) != "First_Name" {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
