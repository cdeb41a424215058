package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// patience is how long asking Zoho for newer fields may keep somebody waiting who could go on with those that are stored.
const patience = 3 * time.Second

// Metadata is what one module of the tenant's organisation looks like, as MetadataOf tells it. For a module that is not
// for the Zoho user who connected, or that the organisation does not have, the error says so.
func (c *Connections) Metadata(ctx context.Context, t tenant.ID, module string) (zoho.Metadata, error) {
	read, err := c.read(ctx, t, patience, module)
	if err == nil && read[0].refused != "" {
		err = &zoho.Error{Class: read[0].refused, Message: module + " is not for the Zoho user who connected"}
	}
	if err != nil {
		return zoho.Metadata{}, err
	}
	return read[0].metadata, nil
}

// MetadataOf is what modules of the tenant's organisation look like, at most an hour old; where Zoho cannot be asked just
// now, the last that is known. Two credits for a module that is read anew, some more for Deals. What is not for the Zoho
// user who connected, or what the organisation does not have, is left out, and asked for again after an hour. Whatever
// the error, the modules that are given are good.
func (c *Connections) MetadataOf(ctx context.Context, t tenant.ID, modules ...string) (map[string]zoho.Metadata, error) {
	read, err := c.read(ctx, t, patience, modules...)
	open := map[string]zoho.Metadata{}
	for _, s := range read {
		if s.found && s.refused == "" {
			open[s.module] = s.metadata
		}
	}
	return open, err
}

// read gives what is known of modules, newly asked for where that is older than an hour. Once Zoho does not answer it is not
// asked for more. A module of which nothing is known is worth all the time that ctx has; the others only their patience.
func (c *Connections) read(ctx context.Context, t tenant.ID, patience time.Duration, modules ...string) ([]storedModule, error) {
	stored, err := c.stored(ctx, t)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var away error // why Zoho is asked no more
	var missing error
	read := make([]storedModule, 0, len(modules))
	for _, module := range modules {
		s := stored.of(module)
		switch {
		case s.fresh, s.told() && (away != nil || time.Since(began) >= patience):
		case away != nil:
			missing = away
		default:
			within, cancel := ctx, context.CancelFunc(func() {})
			if s.told() {
				within, cancel = context.WithTimeout(ctx, patience)
			}
			looked, err := c.look(within, t, s)
			cancel()
			e, ok := errors.AsType[*zoho.Error](err)
			if err != nil && !ok {
				return read, err
			}
			if err != nil && !tells(e.Class) {
				away = err
			}
			if err != nil && !s.told() {
				missing = err
			}
			s = looked
		}
		read = append(read, s)
	}
	return read, missing
}

// InUse are the modules whose fields matter to what calls write.
var InUse = []string{"Leads", "Contacts", "Deals", "Calls", "Tasks"}

// KeepFresh reads what is older than an hour of the modules in use, and of those that rules or mappings have asked for, so
// that a change in Zoho is noticed before the next call meets it. A tenant that is not connected has nothing to be read.
func (c *Connections) KeepFresh(ctx context.Context, t tenant.ID) error {
	linked, err := c.Get(ctx, t)
	if err != nil || linked.Status != Connected {
		return err
	}
	stored, err := c.stored(ctx, t)
	if err != nil {
		return err
	}
	_, err = c.read(ctx, t, time.Hour, stored.inUse()...)
	if e, ok := errors.AsType[*zoho.Error](err); ok && tells(e.Class) {
		return nil
	}
	return err
}

// LookAtAll is LookAgain for all modules in use, and for those that rules or mappings have asked for.
func (c *Connections) LookAtAll(ctx context.Context, t tenant.ID) error {
	stored, err := c.stored(ctx, t)
	if err != nil {
		return err
	}
	return c.LookAgain(ctx, t, stored.inUse()...)
}

// LookAgain reads modules anew, however young what is known of them is. A module that is not for the Zoho user who
// connected, or that the organisation does not have, is passed over.
func (c *Connections) LookAgain(ctx context.Context, t tenant.ID, modules ...string) error {
	stored, err := c.stored(ctx, t)
	if err != nil {
		return err
	}
	for _, module := range modules {
		_, err := c.look(ctx, t, stored.of(module))
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
			if json.Unmarshal(doc, &md) == nil && len(md.Fields) > 0 { // what an older release wrote may not be readable
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
	org, module string
	metadata    zoho.Metadata
	found       bool       // metadata is what Zoho once said
	refused     zoho.Class // what it says now: that the module is closed to us
	fresh       bool       // it said so within the hour
}

// told reports whether Zoho has ever said anything of the module.
func (s storedModule) told() bool { return s.found || s.refused != "" }

// storedModules are those of the organisation that is connected.
type storedModules struct {
	org     string
	modules []storedModule
}

func (all storedModules) of(module string) storedModule {
	for _, s := range all.modules {
		if s.module == module {
			return s
		}
	}
	return storedModule{org: all.org, module: module}
}

// inUse are the modules that calls always need and those that somebody has asked for.
func (all storedModules) inUse() []string {
	modules := slices.Clone(InUse)
	for _, s := range all.modules {
		if !slices.Contains(modules, s.module) {
			modules = append(modules, s.module)
		}
	}
	return modules
}

func (c *Connections) stored(ctx context.Context, t tenant.ID) (storedModules, error) {
	var all storedModules
	connected := false
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		all, connected = storedModules{}, false
		rows, err := tx.Query(ctx, `
			SELECT c.org_id, COALESCE(m.module, ''), m.metadata, COALESCE(m.refused, ''), COALESCE(m.fetched_at > now() - interval '1 hour', false)
			  FROM connections c
			  LEFT JOIN zoho_modules m ON m.tenant_id = c.tenant_id AND m.org_id = c.org_id
			 WHERE c.tenant_id = @tenant
			 ORDER BY m.module`, pgx.StrictNamedArgs{"tenant": t.UUID()})
		if err != nil {
			return err
		}
		var module, refused string
		var doc []byte
		var fresh bool
		_, err = pgx.ForEachRow(rows, []any{&all.org, &module, &doc, &refused, &fresh}, func() error {
			connected = true
			if module == "" {
				return nil
			}
			s := storedModule{org: all.org, module: module, refused: zoho.Class(refused)}
			// A row that an older release wrote and that cannot be read is as good as none.
			s.found = json.Unmarshal(doc, &s.metadata) == nil && len(s.metadata.Fields) > 0
			s.fresh = fresh && s.told()
			all.modules = append(all.modules, s)
			return nil
		})
		return err
	})
	if err != nil {
		return all, fmt.Errorf("reading the fields of %s: %w", t, err)
	}
	if !connected {
		return all, &zoho.Error{Class: zoho.Token, Code: "NOT_CONNECTED", Message: "Zoho is not connected."}
	}
	return all, nil
}

// look asks Zoho for a module and keeps the answer, with what has vanished since the last look. That the module is closed to
// us is an answer as well.
func (c *Connections) look(ctx context.Context, t tenant.ID, s storedModule) (storedModule, error) {
	var read zoho.Metadata
	err := c.asOurselves(ctx, t, s.org, func(api *zoho.API) error {
		var err error
		read, err = api.Metadata(ctx, s.module)
		return err
	})
	e, ok := errors.AsType[*zoho.Error](err)
	switch {
	case err == nil:
		read.Since(s.metadata)
		s.metadata, s.found, s.refused = read, true, ""
	case ok && (e.Class == zoho.Permission || e.Class == zoho.Unsupported || e.Class == zoho.Gone):
		s.refused = e.Class
	default:
		return s, fmt.Errorf("asking Zoho for the fields of %s: %w", s.module, err)
	}
	s.fresh = true
	doc, err := json.Marshal(s.metadata)
	if err != nil {
		return s, err
	}
	ctx = context.WithoutCancel(ctx) // what was paid for is kept
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO zoho_modules (tenant_id, org_id, module, metadata, refused)
			VALUES (@tenant, @org, @module, @metadata, @refused)
			ON CONFLICT (tenant_id, org_id, module) DO UPDATE
			   SET metadata = EXCLUDED.metadata, refused = EXCLUDED.refused, fetched_at = now()`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": s.org, "module": s.module, "metadata": doc, "refused": string(s.refused)})
		return err
	})
	if err != nil {
		return s, fmt.Errorf("keeping the fields of %s: %w", s.module, err)
	}
	return s, nil
}

// Forget makes the next Metadata ask Zoho: a refused field says that something has changed there. A mapping that is
// refused with every call does so once a minute.
func (c *Connections) Forget(ctx context.Context, t tenant.ID, module string) error {
	err := c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE zoho_modules SET fetched_at = '-infinity', forgotten_at = now()
			 WHERE tenant_id = @tenant AND module = @module AND forgotten_at <= now() - interval '1 minute'`,
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
		if credits += e.Credits; e.CreditsLeft >= 0 {
			left = e.CreditsLeft
		}
	}))
	err := c.db.InTenant(context.WithoutCancel(ctx), t, func(tx pgx.Tx) error {
		return CountCredits(ctx, tx, t, org, credits, left)
	})
	return errors.Join(asked, err)
}
