package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/mapping"
	"hookline/internal/tenant"
)

// indexPatience is how long Zoho's search may take to see a new record. Nobody states a bound.
const indexPatience = 2 * time.Minute

// live puts to a tenant's organisation the questions that only a real one answers.
func (d doctorCommand) live(ctx context.Context, w *world, c config) error {
	return withDatabase(w, func(_ context.Context, _ config, db database) error {
		if c.sandboxInside {
			stop, err := joinSandbox(ctx, c, w)
			if err != nil {
				return err
			}
			defer stop()
		}
		p, err := wire(ctx, c, db, newLog(c, w.errOut))
		if err != nil {
			return err
		}
		defer p.close()
		t, link, err := p.chosen(ctx, d.Tenant)
		if err != nil {
			return err
		}
		what := "the organisation"
		if c.SandboxURL != "" {
			what = "the sandbox, which is not Zoho,"
		}
		fmt.Fprintf(w.out, "\nAsking %s “%s” (%s) of %s. Some records called “Hookline check …” are written, and deleted where this consent may; the others are listed for you.\n\n", what, link.OrgName, link.OrgID, t.Name)
		findings, left, err := p.connections.AskLive(ctx, t.ID, connection.Asking{
			Field: mapping.RefField, ProvokeLimits: d.ProvokeLimits, Patience: indexPatience,
		})
		grave := printFindings(w.out, findings)
		if len(left) > 0 {
			fmt.Fprintf(w.out, "\nDelete these by hand, which Hookline has no right to: %s\n", strings.Join(left, ", "))
		}
		switch {
		case err != nil:
			return fmt.Errorf("the questions were broken off: %w", err)
		case grave:
			return errReported
		}
		return nil
	})
}

// printFindings writes the table and reports whether calls would be written wrongly.
func printFindings(out io.Writer, findings []connection.Finding) (grave bool) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tQUESTION\tASSUMED\tFOUND\tWHAT TO DO")
	for _, f := range findings {
		mark := "ok"
		switch {
		case f.Grave:
			mark, grave = "WRONG", true
		case f.Differs, f.Do != "":
			mark = "NOTE"
		}
		do := f.Do
		if do == "" {
			do = "nothing"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", mark, f.Question, f.Assumed, strings.Join(strings.Fields(f.Found), " "), do)
	}
	_ = table.Flush()
	return grave
}

// chosen is the connected tenant that is named by its id, its name or its organisation; without a name, the only one.
func (p *parts) chosen(ctx context.Context, name string) (tenant.Tenant, connection.Connection, error) {
	ids, err := account.Tenants(ctx, p.db)
	if err != nil {
		return tenant.Tenant{}, connection.Connection{}, err
	}
	type candidate struct {
		tenant.Tenant
		link connection.Connection
	}
	var fits []candidate
	for _, id := range ids {
		var c candidate
		err := p.db.InTenant(ctx, id, func(tx pgx.Tx) error {
			if c.Tenant, err = tenant.Get(ctx, tx, id); err != nil {
				return err
			}
			c.link, err = p.connections.Read(ctx, tx, id)
			return err
		})
		if err != nil {
			return tenant.Tenant{}, connection.Connection{}, err
		}
		named := name == "" || name == id.String() || name == c.link.OrgID || strings.EqualFold(name, c.Name) || strings.EqualFold(name, c.link.OrgName)
		if named && c.link.Status == connection.Connected {
			fits = append(fits, c)
		}
	}
	switch len(fits) {
	case 0:
		return tenant.Tenant{}, connection.Connection{}, errors.New("no such business is connected to Zoho")
	case 1:
		return fits[0].Tenant, fits[0].link, nil
	}
	var names []string
	for _, c := range fits {
		names = append(names, fmt.Sprintf("%s (%s)", c.Name, c.ID))
	}
	return tenant.Tenant{}, connection.Connection{}, fmt.Errorf("several businesses are connected; choose one with --tenant: %s", strings.Join(names, ", "))
}
