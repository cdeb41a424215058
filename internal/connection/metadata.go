package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// Metadata is what one module of the tenant's organisation looks like, at most an hour old; where Zoho cannot be
// asked just now, the last that is known. Two credits when it is read anew, some more for Deals.
func (c *Connections) Metadata(ctx context.Context, t tenant.ID, module string) (zoho.Metadata, error) {
	var known zoho.Metadata
	var org string
	var fresh, found bool
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		var stored []byte
		err := tx.QueryRow(ctx, `
			SELECT c.org_id, m.metadata, COALESCE(m.fetched_at > now() - interval '1 hour', false)
			  FROM connections c
			  LEFT JOIN zoho_modules m ON m.tenant_id = c.tenant_id AND m.org_id = c.org_id AND m.module = @module
			 WHERE c.tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": t.UUID(), "module": module}).
			Scan(&org, &stored, &fresh)
		if err != nil {
			return err
		}
		// A row that an older release wrote and that cannot be read is as good as none.
		found = stored != nil && json.Unmarshal(stored, &known) == nil
		return nil
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return zoho.Metadata{}, &zoho.Error{Class: zoho.Token, Code: "NOT_CONNECTED", Message: "Zoho is not connected."}
	}
	if err != nil {
		return zoho.Metadata{}, fmt.Errorf("reading the fields of %s: %w", module, err)
	}
	if found && fresh {
		return known, nil
	}
	var read zoho.Metadata
	err = c.asOurselves(ctx, t, org, func(api *zoho.API) error {
		var err error
		read, err = api.Metadata(ctx, module)
		return err
	})
	if err != nil {
		if e, ok := errors.AsType[*zoho.Error](err); ok && found && (e.Class == zoho.Transient || e.Class == zoho.Limited || e.Class == zoho.Token) {
			return known, nil
		}
		return zoho.Metadata{}, fmt.Errorf("asking Zoho for the fields of %s: %w", module, err)
	}
	stored, err := json.Marshal(read)
	if err != nil {
		return zoho.Metadata{}, err
	}
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO zoho_modules (tenant_id, org_id, module, metadata)
			VALUES (@tenant, @org, @module, @metadata)
			ON CONFLICT (tenant_id, org_id, module) DO UPDATE SET metadata = EXCLUDED.metadata, fetched_at = now()`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": org, "module": module, "metadata": stored})
		return err
	})
	if err != nil {
		return zoho.Metadata{}, fmt.Errorf("keeping the fields of %s: %w", module, err)
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
	credits := 0
	asked := ask(c.API(t, func(e zoho.Exchange) { credits += e.Credits }))
	err := c.db.InTenant(context.WithoutCancel(ctx), t, func(tx pgx.Tx) error {
		return CountCredits(ctx, tx, t, org, credits)
	})
	return errors.Join(asked, err)
}
