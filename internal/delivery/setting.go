package delivery

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/tenant"
)

// setting is what a tenant wants done with its calls, and where: read once for many calls.
type setting struct {
	stamp    string
	tenant   tenant.Tenant
	link     connection.Connection
	config   config.Set
	metadata mapping.Metadata
	org      identity.Org
	sources  map[uuid.UUID]string // names
}

// settingOf gives the tenant's setting, from memory while the stamp says that nothing has changed.
func (w *Worker) settingOf(ctx context.Context, t tenant.ID, stamp string) (*setting, error) {
	w.mu.Lock()
	known := w.settings[t]
	w.mu.Unlock()
	if known != nil && known.stamp == stamp {
		return known, nil
	}
	s := &setting{stamp: stamp}
	err := w.DB.InTenant(ctx, t, func(tx pgx.Tx) error {
		var err error
		if s.tenant, err = tenant.Get(ctx, tx, t); err != nil {
			return err
		}
		if s.link, err = w.Connections.Read(ctx, tx, t); err != nil {
			return err
		}
		if s.config, err = config.Live(ctx, tx, t); err != nil {
			return err
		}
		s.config.Rules = s.config.Rules.Sharing() // it is kept for every tenant
		s.sources, err = readSources(ctx, tx, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the setting of %s: %w", t, err)
	}
	if s.link.Status == connection.Connected {
		// A module that is left out is taken to have Zoho's standard fields: only calls that need it fail, each with the reason.
		s.metadata, err = w.Connections.MetadataOf(ctx, t, append([]string{"Leads", "Contacts", "Deals", "Calls"}, s.config.Rules.Modules()...)...)
		if err != nil {
			return nil, err
		}
		country := s.link.Country
		if country == "" {
			country = s.tenant.Country
		}
		s.org = identity.Org{ID: s.link.OrgID, Country: country, Contacts: s.metadata["Contacts"], Leads: s.metadata["Leads"],
			Deals: s.metadata["Deals"], Read: s.config.Mappings.Reads()}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.settings) >= maxSettings {
		clear(w.settings) // rare, and cheaper than keeping account of use
	}
	w.settings[t] = s
	return s, nil
}

// maxSettings bounds what a worker remembers of tenants whose lanes it has held.
const maxSettings = 2000

func readSources(ctx context.Context, tx pgx.Tx, t tenant.ID) (map[uuid.UUID]string, error) {
	rows, err := tx.Query(ctx, `SELECT id, name FROM sources WHERE tenant_id = @tenant`,
		pgx.StrictNamedArgs{"tenant": t.UUID()})
	if err != nil {
		return nil, err
	}
	names := map[uuid.UUID]string{}
	var id uuid.UUID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, err
}
