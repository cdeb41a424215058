package routing_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

func newTenant(t *testing.T, db *postgres.DB) tenant.ID {
	t.Helper()
	id := tenant.ID(uuid.Must(uuid.NewV7()))
	err := db.InTenant(t.Context(), id, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO tenants (id, name, country, time_zone, trial_ends_at)
			VALUES (@id, 'Acme', 'US', 'America/New_York', now() + interval '14 days')`, pgx.StrictNamedArgs{"id": id.UUID()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRulesAreKeptAsVersions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	acme, other := newTenant(t, db), newTenant(t, db)
	save := func(ctx context.Context, who tenant.ID, actor string, base int, s routing.Set) (n int, err error) {
		err = db.InTenant(ctx, who, func(tx pgx.Tx) error {
			n, err = routing.Save(ctx, tx, who, actor, base, s, "a change")
			return err
		})
		return n, err
	}
	live := func(who tenant.ID) (s routing.Set) {
		t.Helper()
		if err := db.InTenant(t.Context(), who, func(tx pgx.Tx) (err error) {
			s, err = routing.Live(t.Context(), tx, who)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := live(acme); s.Version != 0 || len(s.Rules) != 7 {
		t.Fatalf("before anything is saved: %+v", s)
	}
	changed := routing.DefaultSet()
	changed.Rules[2].Off = true
	if n, err := save(t.Context(), acme, "ann@acme.example", 0, changed); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if s := live(acme); s.Version != 1 || !s.Rules[2].Off {
		t.Errorf("after saving: %+v", s)
	}
	if s := live(other); s.Version != 0 {
		t.Errorf("another tenant sees version %d", s.Version)
	}
	t.Run("a change made on an older version is refused and says who was first", func(t *testing.T) {
		_, err := save(t.Context(), acme, "bob@acme.example", 0, routing.DefaultSet())
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.SentenceOf(err), "ann@acme.example saved version 1") {
			t.Error(err)
		}
	})
	t.Run("a set that cannot work is refused", func(t *testing.T) {
		bad := routing.DefaultSet()
		bad.Rules[0].Then = nil
		if _, err := save(t.Context(), acme, "ann@acme.example", 1, bad); fault.KindOf(err) != fault.Invalid {
			t.Error(err)
		}
	})
	t.Run("of two who save at once one is told", func(t *testing.T) {
		var wg sync.WaitGroup
		results := make([]error, 4)
		for i := range results {
			wg.Go(func() { _, results[i] = save(t.Context(), acme, "x@acme.example", 1, changed) })
		}
		wg.Wait()
		saved := 0
		for _, err := range results {
			if err == nil {
				saved++
			} else if fault.KindOf(err) != fault.Conflict {
				t.Error(err)
			}
		}
		if saved != 1 {
			t.Errorf("%d saved", saved)
		}
	})
	t.Run("an older version can be read, and 0 is the defaults", func(t *testing.T) {
		if err := db.InTenant(t.Context(), acme, func(tx pgx.Tx) error {
			if s, err := routing.At(t.Context(), tx, acme, 1); err != nil || !s.Rules[2].Off {
				t.Error(s, err)
			}
			if s, err := routing.At(t.Context(), tx, acme, 0); err != nil || s.Rules[2].Off {
				t.Error(s, err)
			}
			if _, err := routing.At(t.Context(), tx, acme, 99); fault.KindOf(err) != fault.NotFound {
				t.Error(err)
			}
			list, err := routing.Versions(t.Context(), tx, acme, 10)
			if err != nil || len(list) != 2 || list[0].Number != 2 || list[1].By != "ann@acme.example" {
				t.Error(list, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}
