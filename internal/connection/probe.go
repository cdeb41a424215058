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
var probed = []string{"Leads", "Contacts", "Accounts", "Deals", "Calls", "Tasks", "Notes"}

// Ability is something that an organisation's edition may have or not, found by asking and not by the edition's name.
type Ability struct {
	Name  string `json:"name"`
	Has   bool   `json:"has"`
	Known bool   `json:"known"` // false: it could not be asked
	Words string `json:"words"` // what was found
}

// Probe asks Zoho, module by module, what the link may do, and what the edition has, and keeps the answers. Creating and
// updating are read from the profile's permissions and the granted scopes: nothing is written to find out. Ten credits, and one more where there is a Deal.
func (c *Connections) Probe(ctx context.Context, t tenant.ID) error {
	linked, err := c.Get(ctx, t)
	if err != nil {
		return err
	}
	var results []ModuleProbe
	var abilities []Ability
	var org zoho.Org
	err = c.asOurselves(ctx, t, linked.OrgID, func(api *zoho.API) error {
		if org, err = api.Org(ctx); err != nil {
			return err
		}
		modules, err := api.Modules(ctx)
		if err != nil {
			return err
		}
		deal := ""
		for _, name := range probed {
			seen, err := api.Peek(ctx, name)
			if name == "Deals" && len(seen) > 0 {
				deal = seen[0].ID()
			}
			if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || !tells(e.Class)) {
				return err
			}
			results = append(results, judge(name, modules, linked.Scopes, err))
		}
		rules, err := api.AssignmentRules(ctx, "Leads")
		if e, ok := errors.AsType[*zoho.Error](err); err != nil && (!ok || !tells(e.Class)) {
			return err
		}
		process, asked := zoho.Blueprint{}, error(nil)
		if deal != "" {
			process, asked = api.Blueprint(ctx, "Deals", deal)
		}
		abilities = []Ability{assignment(rules, err), blueprint(modules, process, asked)}
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
			UPDATE connections
			   SET probe = @probe, probed_at = now(), abilities = @abilities, edition = @edition, org_users = @users
			 WHERE tenant_id = @tenant AND org_id = @org AND org_id = @seen AND status = 'connected'`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": linked.OrgID, "seen": org.ID, "probe": stored, "abilities": abilities,
				"edition": org.Edition, "users": org.Users})
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the probe of %s: %w", t, err)
	}
	return nil
}

// assignment is what asking for assignment rules found.
func assignment(rules []zoho.AssignmentRule, err error) Ability {
	a := Ability{Name: "Assignment rules", Known: true}
	e, refused := errors.AsType[*zoho.Error](err)
	switch {
	case refused && e.Class == zoho.Unsupported:
		a.Words = "not in this edition: name owners in the mapping"
	case err != nil:
		a.Known, a.Words = false, "could not be asked: "+missingOf(err, "Leads")
	case len(rules) == 0:
		a.Has, a.Words = true, "none made yet for Leads"
	default:
		names := make([]string, len(rules))
		for i, r := range rules {
			names[i] = r.Name
		}
		a.Has, a.Words = true, strings.Join(names, ", ")
	}
	return a
}

// blueprint is what a Deal's own Blueprint tells, and what Zoho says of Deals among its modules.
func blueprint(modules []zoho.Module, process zoho.Blueprint, err error) Ability {
	a := Ability{Name: "Blueprint", Known: true}
	e, refused := errors.AsType[*zoho.Error](err)
	switch {
	case err == nil && process.Field != "":
		a.Has, a.Words = true, "a Deal is in one: its "+process.Field+" moves by transitions"
	case refused && e.Class == zoho.Unsupported, !slices.ContainsFunc(modules, func(m zoho.Module) bool { return m.APIName == "Deals" && m.Blueprint }):
		a.Words = "not for Deals in this edition"
	case refused && e.Class == zoho.RecordState:
		a.Has, a.Words = true, "Deals can be in one; the one looked at is not"
	default:
		a.Has, a.Words = true, "Deals can be in one"
	}
	return a
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
