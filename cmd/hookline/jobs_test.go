package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/tenant"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func TestHousekeepingForgetsWhatIsAMonthOldOfEveryTenant(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t)
	database.HoldAllTimes(t)
	desk := &account.Desk{DB: database.DB, Now: time.Now, Furnish: func(context.Context, pgx.Tx, tenant.Tenant) error { return nil }}
	var tenants []tenant.ID
	for _, email := range []string{"ann@acme.test", "bob@shop.test"} {
		_, workspace, err := desk.Create(t.Context(), account.SignUp{Email: email, Password: "sailboat quiet lantern", Business: "Acme", Country: "US", Zone: "UTC"})
		if err != nil {
			t.Fatal(err)
		}
		tenants = append(tenants, workspace)
		err = database.InTenant(t.Context(), workspace, func(tx pgx.Tx) error {
			for _, days := range []int{31, 1} {
				if _, err := tx.Exec(t.Context(), `
					INSERT INTO events (tenant_id, id, at, call_id, source_id, kind, normalised, raw)
					VALUES (@tenant, @id, now() - make_interval(days => @days), @id, @id, 'completed', '{}', 'x')`,
					pgx.StrictNamedArgs{"tenant": workspace.UUID(), "id": uuid.New(), "days": days}); err != nil {
					return err
				}
				if _, err := tx.Exec(t.Context(), `
					INSERT INTO attempts (tenant_id, id, at, purpose, method, path, status, outcome, duration_ms, exchange)
					VALUES (@tenant, @id, now() - make_interval(days => @days), 'write', 'POST', '/', 201, 'ok', 1, 'x')`,
					pgx.StrictNamedArgs{"tenant": workspace.UUID(), "id": uuid.New(), "days": days}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := (&housekeeping{db: database.DB}).Work(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range tenants {
		var raw, exchanges int
		err := database.InTenant(t.Context(), id, func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM events WHERE raw IS NOT NULL), (SELECT count(*) FROM attempts WHERE exchange IS NOT NULL)`).
				Scan(&raw, &exchanges)
		})
		if err != nil || raw != 1 || exchanges != 1 {
			t.Errorf("%d raw events and %d exchanges are kept, %v; want those of a day ago", raw, exchanges, err)
		}
	}
}

func TestWatchReadsTheFieldsOfEveryConnectedTenant(t *testing.T) {
	t.Parallel()
	w, out, _ := commandWorld(t, "HOOKLINE_SANDBOX_URL", sandboxtest.New(t).URL)
	for _, connect := range []bool{true, false, true} {
		create := &tenantCreate{Name: "Acme", Owner: fmt.Sprintf("o%d@example.com", out.Len()), Password: "a long enough pass phrase", Provider: "native", Country: "US", Zone: "UTC",
			ConnectSandbox: connect, Edition: "enterprise"}
		if err := create.Run(w); err != nil {
			t.Fatal(err)
		}
	}
	err := withDatabase(w, func(ctx context.Context, c config, d database) error {
		p, err := wire(ctx, c, d, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer p.close()
		if err := (&watch{parts: p}).Work(ctx, nil); err != nil {
			return err
		}
		ids, err := account.Tenants(ctx, p.db)
		if err != nil {
			return err
		}
		read := 0
		for _, id := range ids {
			known, err := p.connections.Known(ctx, id)
			if err != nil {
				return err
			}
			read += len(known)
		}
		if read != 2*len(connection.InUse) {
			t.Errorf("%d modules of two tenants are known", read)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
