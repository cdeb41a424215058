package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Metadata is what one module of the tenant's organisation looks like, at most an hour old; where Zoho cannot be
// asked just now, the last that is known. Two credits when it is read anew, some more for Deals.
func (c *Connections) Metadata(ctx context.Context, t tenant.ID, module string) (zoho.Metadata, error) {
	stored, err := c.stored(ctx, t, module)
	if err != nil {
		return zoho.Metadata{}, err
	}
	if stored.found && stored.fresh {
		return stored.metadata, nil
	}
	read, err := c.look(ctx, t, stored)
	if e, ok := errors.AsType[*zoho.Error](err); ok && stored.found && (e.Class == zoho.Transient || e.Class == zoho.Limited || e.Class == zoho.Token) {
		return stored.metadata, nil
	}
	return read, err
}

// InUse are the modules whose fields matter to what calls write.
var InUse = []string{"Leads", "Contacts", "Deals", "Calls", "Tasks"}

// KeepFresh reads what is older than an hour of the modules in use, so that a change in Zoho is noticed before the next call
// meets it. A tenant that is not connected has nothing to be read.
func (c *Connections) KeepFresh(ctx context.Context, t tenant.ID) error {
	linked, err := c.Get(ctx, t)
	if err != nil || linked.Status != Connected {
		return err
	}
	for _, module := range InUse {
		_, err := c.Metadata(ctx, t, module)
		if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || !tells(e.Class)) {
			return err
		}
	}
	return nil
}

// LookAgain reads modules anew, however young what is known of them is. A module that is not for the Zoho user who
// connected, or that the organisation does not have, is passed over.
func (c *Connections) LookAgain(ctx context.Context, t tenant.ID, modules ...string) error {
	for _, module := range modules {
		stored, err := c.stored(ctx, t, module)
		if err != nil {
			return err
		}
		_, err = c.look(ctx, t, stored)
		if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || !tells(e.Class)) {
			return err
		}
	}
	return nil
}

// Known is what was last read of each module of the organisation that is connected; Zoho is not asked.
func (c *Connections) Known(ctx context.Context, t tenant.ID) (map[string]zoho.Metadata, error) {
	known := map[string]zoho.Metadata{}
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT m.module, m.metadata
			  FROM zoho_modules m JOIN connections c ON c.tenant_id = m.tenant_id AND c.org_id = m.org_id
			 WHERE m.tenant_id = @tenant AND c.status = 'connected'`, pgx.StrictNamedArgs{"tenant": t.UUID()})
		if err != nil {
			return err
		}
		var module string
		var doc []byte
		_, err = pgx.ForEachRow(rows, []any{&module, &doc}, func() error {
			var md zoho.Metadata
			if json.Unmarshal(doc, &md) == nil { // what an older release wrote may not be readable
				known[module] = md
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is known of the modules of %s: %w", t, err)
	}
	return known, nil
}

// storedModule is what is known of a module.
type storedModule struct {
	org, module  string
	metadata     zoho.Metadata
	found, fresh bool
}

func (c *Connections) stored(ctx context.Context, t tenant.ID, module string) (storedModule, error) {
	s := storedModule{module: module}
	var doc []byte
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT c.org_id, m.metadata, COALESCE(m.fetched_at > now() - interval '1 hour', false)
			  FROM connections c
			  LEFT JOIN zoho_modules m ON m.tenant_id = c.tenant_id AND m.org_id = c.org_id AND m.module = @module
			 WHERE c.tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": t.UUID(), "module": module}).
			Scan(&s.org, &doc, &s.fresh)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return s, &zoho.Error{Class: zoho.Token, Code: "NOT_CONNECTED", Message: "Zoho is not connected."}
	}
	if err != nil {
		return s, fmt.Errorf("reading the fields of %s: %w", module, err)
	}
	// A row that an older release wrote and that cannot be read is as good as none.
	s.found = doc != nil && json.Unmarshal(doc, &s.metadata) == nil
	return s, nil
}

// look asks Zoho for a module and keeps the answer, with what has vanished since the last look.
func (c *Connections) look(ctx context.Context, t tenant.ID, s storedModule) (zoho.Metadata, error) {
	var read zoho.Metadata
	err := c.asOurselves(ctx, t, s.org, func(api *zoho.API) error {
		var err error
		read, err = api.Metadata(ctx, s.module)
		return err
	})
	if err != nil {
		return zoho.Metadata{}, fmt.Errorf("asking Zoho for the fields of %s: %w", s.module, err)
	}
	read.Since(s.metadata)
	doc, err := json.Marshal(read)
	if err != nil {
		return zoho.Metadata{}, err
	}
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO zoho_modules (tenant_id, org_id, module, metadata)
			VALUES (@tenant, @org, @module, @metadata)
			ON CONFLICT (tenant_id, org_id, module) DO UPDATE SET metadata = EXCLUDED.metadata, fetched_at = now()`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": s.org, "module": s.module, "metadata": doc})
		return err
	})
	if err != nil {
		return zoho.Metadata{}, fmt.Errorf("keeping the fields of %s: %w", s.module, err)
	}
	return read, nil
}

// Forget makes the next Metadata ask Zoho: a refused field says that something has changed there.
func (c *Connections) Forget(ctx context.Context, t tenant.ID, module string) error {
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE zoho_modules SET fetched_at = '-infinity' WHERE tenant_id = @tenant AND module = @module`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "module": module})
		return err
	})
	if err != nil {
		return fmt.Errorf("forgetting the fields of %s: %w", module, err)
	}
	return nil
}

// asOurselves runs ask with an API for requests that no lane makes: pages, probes, metadata. There is one such at a
// time in a process for each tenant, so that the lane keeps its share of Zoho's concurrency; credits are counted.
func (c *Connections) asOurselves(ctx context.Context, t tenant.ID, org string, ask func(*zoho.API) error) error {
	h := c.heldOf(t)
	select {
	case h.own <- struct{}{}:
		defer func() { <-h.own }()
	case <-ctx.Done():
		return notAsked(ctx.Err())
	}
	credits, left := 0, -1
	var counting sync.Mutex
	asked := ask(c.API(t, func(e zoho.Exchange) {
		counting.Lock()
		defer counting.Unlock()
		credits, left = credits+e.Credits, e.CreditsLeft
	}))
	err := c.db.InTenant(context.WithoutCancel(ctx), t, func(tx pgx.Tx) error {
		return CountCredits(ctx, tx, t, org, credits, left)
	})
	return errors.Join(asked, err)
}
