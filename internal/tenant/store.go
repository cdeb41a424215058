package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/fault"
	"hookline/internal/postgres"
)

// Insert adds a tenant. The transaction must be the new tenant's own.
func Insert(ctx context.Context, db postgres.Querier, t Tenant) error {
	hours, err := t.Hours.encode()
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `
		INSERT INTO tenants (id, name, country, time_zone, hours, holidays, trial_ends_at, created_at)
		VALUES (@tenant, @name, @country, @zone, @hours, COALESCE(@holidays, '[]'::jsonb), @trial_ends_at, @created_at)`,
		pgx.StrictNamedArgs{
			"tenant": t.ID.UUID(), "name": t.Name, "country": t.Country, "zone": t.Zone.String(),
			"hours": hours, "holidays": t.Holidays, "trial_ends_at": t.TrialEndsAt, "created_at": t.CreatedAt,
		})
	if err != nil {
		return fmt.Errorf("inserting tenant %s: %w", t.ID, err)
	}
	return nil
}

// Get reads a tenant.
func Get(ctx context.Context, db postgres.Querier, id ID) (Tenant, error) {
	t := Tenant{ID: id}
	var zone string
	var hours []byte
	err := db.QueryRow(ctx, `
		SELECT name, country, time_zone, hours, holidays, trial_ends_at, created_at
		FROM tenants WHERE id = @tenant`, pgx.StrictNamedArgs{"tenant": id.UUID()}).
		Scan(&t.Name, &t.Country, &zone, &hours, &t.Holidays, &t.TrialEndsAt, &t.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return Tenant{}, fault.New(fault.NotFound, "There is no such business.")
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("reading tenant %s: %w", id, err)
	}
	if t.Zone, err = time.LoadLocation(zone); err != nil {
		return Tenant{}, fmt.Errorf("reading tenant %s: %w", id, err)
	}
	if t.Hours, err = decodeHours(hours); err != nil {
		return Tenant{}, fmt.Errorf("reading tenant %s: %w", id, err)
	}
	return t, nil
}

// Update stores name, country, zone, hours and holidays.
func Update(ctx context.Context, db postgres.Querier, t Tenant) error {
	hours, err := t.Hours.encode()
	if err != nil {
		return err
	}
	tag, err := db.Exec(ctx, `
		UPDATE tenants SET name = @name, country = @country, time_zone = @zone, hours = @hours,
		       holidays = COALESCE(@holidays, '[]'::jsonb)
		WHERE id = @tenant`,
		pgx.StrictNamedArgs{
			"tenant": t.ID.UUID(), "name": t.Name, "country": t.Country, "zone": t.Zone.String(), "hours": hours, "holidays": t.Holidays,
		})
	if err != nil {
		return fmt.Errorf("updating tenant %s: %w", t.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fault.New(fault.NotFound, "There is no such business.")
	}
	return nil
}

// encode writes the hours as seven pairs of minutes, Sunday first.
func (h Hours) encode() ([]byte, error) {
	var pairs [7][2]int
	for i, d := range h {
		pairs[i] = [2]int{d.Open, d.Close}
	}
	return json.Marshal(pairs)
}

// decodeHours reads what encode wrote; an empty list is no hours at all.
func decodeHours(data []byte) (Hours, error) {
	var pairs [][2]int
	if err := json.Unmarshal(data, &pairs); err != nil {
		return Hours{}, fmt.Errorf("reading hours: %w", err)
	}
	var h Hours
	for i, p := range pairs {
		if i < len(h) {
			h[i].Open, h[i].Close = p[0], p[1]
		}
	}
	return h, nil
}
