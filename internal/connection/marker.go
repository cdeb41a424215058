package connection

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
)

// markerScope is the right to make a field. It is asked for only by who wants Hookline to add the marker.
const markerScope = "ZohoCRM.settings.fields.CREATE"

// marked are the modules in which a unique field can keep a record from being written twice.
var marked = []string{"Calls", "Leads", "Deals", "Tasks"}

// Marked are the modules that the marker is for.
func Marked() []string { return marked }

// markerLength is more than any reference has.
const markerLength = 60

// MarkerState says how far a module is protected by a unique field.
type MarkerState string

const (
	MarkerThere     MarkerState = "there"
	MarkerAbsent    MarkerState = "absent"
	MarkerNotUnique MarkerState = "not_unique" // a field of that name is there, and lets two records have one value
	MarkerRefused   MarkerState = "refused"    // Zoho would not make it
	MarkerUnknown   MarkerState = "unknown"    // the module's fields have not been read
)

// Marker is the state of one module.
type Marker struct {
	Module string
	State  MarkerState
	Why    string // for MarkerRefused, in words
}

// Markers says of each module whether its unique field is there, from what is known of its fields.
func (r Connection) Markers(field string, known map[string]zoho.Metadata) []Marker {
	var all []Marker
	for _, module := range marked {
		m := Marker{Module: module, State: MarkerUnknown}
		md, read := known[module]
		f, there := md.Field(field)
		why, refused := r.MarkerRefused[module]
		switch {
		case !read:
		case there && f.Unique && f.CanCreate && !f.ReadOnly:
			m.State = MarkerThere
		case there:
			m.State = MarkerNotUnique
		case refused:
			m.State, m.Why = MarkerRefused, why
		default:
			m.State = MarkerAbsent
		}
		all = append(all, m)
	}
	return all
}

// MayAddMarkers reports whether the consent includes the right to make a field.
func (r Connection) MayAddMarkers() bool { return granted(r.Scopes, markerScope) }

// AddMarkers makes the field in each module that lacks it, and looks at the modules anew: what Zoho answered does not
// matter, only what is there afterwards. Why Zoho refused is kept for the page.
func (c *Connections) AddMarkers(ctx context.Context, t tenant.ID, who Actor, field string) error {
	linked, err := c.Get(ctx, t)
	if err != nil {
		return err
	}
	if linked.Status != Connected || !linked.MayAddMarkers() {
		return fault.New(fault.Conflict, "The consent does not include the right to add a field. Press “Let Hookline add it” on the Zoho page.")
	}
	if err := c.LookAgain(ctx, t, marked...); err != nil {
		return fmt.Errorf("looking at the fields of %s: %w", t, err)
	}
	known, err := c.Known(ctx, t)
	if err != nil {
		return err
	}
	refused := map[string]string{}
	var made []string
	for _, m := range linked.Markers(field, known) {
		if m.State != MarkerAbsent && m.State != MarkerRefused {
			continue
		}
		err := c.asOurselves(ctx, t, linked.OrgID, func(api *zoho.API) error {
			return api.CreateUniqueText(ctx, m.Module, strings.ReplaceAll(field, "_", " "), markerLength)
		})
		e, ofZoho := errors.AsType[*zoho.Error](err)
		switch {
		case err == nil, ofZoho && (e.Class == zoho.Duplicate || e.Class == zoho.Unknown):
			made = append(made, m.Module)
		case ofZoho && tells(e.Class):
			refused[m.Module] = markerRefusal(e)
		default:
			return fmt.Errorf("adding a field to %s of %s: %w", m.Module, t, err)
		}
	}
	if err := c.LookAgain(ctx, t, made...); err != nil {
		return fmt.Errorf("looking at the fields of %s: %w", t, err)
	}
	if known, err = c.Known(ctx, t); err != nil {
		return err
	}
	for _, module := range made {
		if _, there := known[module].Field(field); !there {
			refused[module] = "Zoho has no field " + field + " here after it was asked to add one. Look for one with that label in Zoho."
		}
	}
	err = c.db.InTenant(ctx, t, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE connections SET marker_refused = @refused WHERE tenant_id = @tenant AND org_id = @org`,
			pgx.StrictNamedArgs{"tenant": t.UUID(), "org": linked.OrgID, "refused": refused}); err != nil {
			return err
		}
		if len(made) == 0 {
			return nil
		}
		return account.Audit(ctx, tx, t, who.Name, "zoho.field_added", field, map[string]any{"modules": made})
	})
	if err != nil {
		return fmt.Errorf("recording the fields of %s: %w", t, err)
	}
	return nil
}

// markerRefusal puts into words why Zoho made no field.
func markerRefusal(e *zoho.Error) string {
	switch {
	case e.Class == zoho.Permission:
		return "The Zoho user who connected may not change fields. Let an administrator of Zoho CRM connect, or add it by hand."
	case e.Class == zoho.Scope:
		return "The consent did not include the right to add a field."
	case e.Class == zoho.Unsupported:
		return "This edition has no fields of your own here."
	case e.Code == "LIMIT_EXCEEDED":
		return "The module has as many fields of your own as this edition allows."
	case e.Code == "":
		return "Zoho would not make the field."
	}
	return "Zoho would not make the field (" + e.Code + ")."
}
