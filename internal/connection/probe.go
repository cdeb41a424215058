package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// ModuleProbe is what a link may do with one module.
type ModuleProbe struct {
	Module string
	Rights []RightProbe // read, create, update, in this order
}

// RightProbe is one right: whether the product needs it, whether it is there, and what is missing where it is not.
type RightProbe struct {
	Right   Right
	Needed  bool
	OK      bool
	Missing string // a scope, or the permission that the Zoho user's profile lacks, in words
}

// probed are the modules whose rights a call's delivery depends on.
var probed = []string{"Leads", "Contacts", "Deals", "Calls", "Tasks"}

// Probe asks Zoho, module by module, what the link may do, and keeps the answers. Creating and updating are read
// from the profile's permissions and the granted scopes: nothing is written to find out. Six credits.
func (c *Connections) Probe(ctx context.Context, t tenant.ID) error {
	linked, err := c.Get(ctx, t)
	if err != nil {
		return err
	}
	var results []ModuleProbe
	err = c.asOurselves(ctx, t, linked.OrgID, func(api *zoho.API) error {
		modules, err := api.Modules(ctx)
		if err != nil {
			return err
		}
		for _, name := range probed {
			_, err := api.Peek(ctx, name)
			if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || !tells(e.Class)) {
				return err
			}
			results = append(results, judge(name, modules, linked.Scopes, err))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("probing the rights of %s: %w", t, err)
	}
	stored, err := writeProbe(results)
	if err != nil {
		return err
	}
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE connections SET probe = @probe, probed_at = now()
			 WHERE tenant_id = @tenant AND org_id = @org AND status = 'connected'`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": linked.OrgID, "probe": stored})
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the probe of %s: %w", t, err)
	}
	return nil
}

// tells reports whether a refusal says something about rights, and not about the moment.
func tells(c zoho.Class) bool {
	return c == zoho.Scope || c == zoho.Permission || c == zoho.Unsupported || c == zoho.Refused || c == zoho.OurBug
}

func judge(name string, modules []zoho.Module, scopes []string, peeked error) ModuleProbe {
	p := ModuleProbe{Module: name}
	at := slices.IndexFunc(modules, func(m zoho.Module) bool { return m.APIName == name })
	needs := asks[slices.IndexFunc(asks, func(a ask) bool { return a.module == name })].rights
	for _, right := range []Right{Read, Create, Update} {
		r := RightProbe{Right: right, Needed: slices.Contains(needs, right)}
		switch {
		case at < 0:
			r.Missing = "the module " + name + " is hidden or not part of this edition"
		case !granted(scopes, scopeFor(name, right)):
			r.Missing = "scope " + scopeFor(name, right)
		case right == Read && peeked != nil:
			r.Missing = missingOf(peeked, name)
		case !allowed(modules[at], right):
			r.Missing = fmt.Sprintf("permission “%s” on %s in the profile of the Zoho user", verb(right), name)
		default:
			r.OK = true
		}
		p.Rights = append(p.Rights, r)
	}
	return p
}

func allowed(m zoho.Module, r Right) bool {
	switch r {
	case Create:
		return m.Creatable
	case Update:
		return m.Editable
	}
	return m.Viewable
}

// verb is the right as Zoho's profile page calls it.
func verb(r Right) string {
	switch r {
	case Create:
		return "Create"
	case Update:
		return "Edit"
	}
	return "View"
}

func missingOf(err error, module string) string {
	e, ok := errors.AsType[*zoho.Error](err)
	if !ok {
		return "could not be asked"
	}
	switch {
	case e.Class == zoho.Scope:
		return "scope " + scopeFor(module, Read)
	case len(e.Permissions()) > 0:
		return "permission " + strings.Join(e.Permissions(), ", ")
	case e.Class == zoho.Permission:
		return "permission “View” on " + module + " in the profile of the Zoho user"
	}
	return "Zoho answers " + e.Code
}

// probeRow and rightRow are how a probe is kept.
type probeRow struct {
	Module string     `json:"module"`
	Rights []rightRow `json:"rights"`
}

type rightRow struct {
	Right   Right  `json:"right"`
	Needed  bool   `json:"needed"`
	OK      bool   `json:"ok"`
	Missing string `json:"missing,omitempty"`
}

func writeProbe(probes []ModuleProbe) ([]byte, error) {
	rows := make([]probeRow, 0, len(probes))
	for _, p := range probes {
		row := probeRow{Module: p.Module}
		for _, r := range p.Rights {
			row.Rights = append(row.Rights, rightRow(r))
		}
		rows = append(rows, row)
	}
	return json.Marshal(rows)
}

func readProbe(stored []byte) ([]ModuleProbe, error) {
	var rows []probeRow
	if err := json.Unmarshal(stored, &rows); err != nil {
		return nil, err
	}
	var probes []ModuleProbe
	for _, row := range rows {
		p := ModuleProbe{Module: row.Module}
		for _, r := range row.Rights {
			p.Rights = append(p.Rights, RightProbe(r))
		}
		probes = append(probes, p)
	}
	return probes, nil
}
