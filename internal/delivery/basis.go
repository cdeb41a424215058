package delivery

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/routing"
	"hookline/internal/seal"
	"hookline/internal/tenant"
)

// Basis is what a replay of a call would start from.
type Basis struct {
	Version int             // of the configuration that it was last decided with
	Facts   routing.Facts   // as they were seen then, in the tenant's zone
	Stands  []StoryDelivery // is in Zoho, or may be: it is kept, and with it the decision
}

// Keeps reports whether the record of a slot is kept.
func (b Basis) Keeps(slot string) bool {
	return slices.ContainsFunc(b.Stands, func(d StoryDelivery) bool { return d.Slot == slot })
}

// BasisOf is what a replay of a call would start from; nil when the call was never decided.
func BasisOf(ctx context.Context, tx pgx.Tx, keys *seal.Keys, t tenant.Tenant, id call.ID) (*Basis, error) {
	d, known, err := lastDecision(ctx, tx, t.ID, id)
	if err != nil || !known {
		return nil, err
	}
	b := &Basis{Version: d.version}
	if b.Facts, err = FactsOf(ctx, tx, t.ID, id); err != nil {
		return nil, err
	}
	b.Facts.LocalTime, b.Facts.DecidedAt = b.Facts.LocalTime.In(t.Zone), b.Facts.DecidedAt.In(t.Zone)
	deliveries, err := readDeliveries(ctx, tx, keys, t.ID, id)
	if err != nil {
		return nil, fmt.Errorf("reading the deliveries of %s: %w", id, err)
	}
	for _, one := range deliveries {
		if one.revision == 0 && one.begun() && !one.taken() {
			b.Stands = append(b.Stands, StoryDelivery{Slot: one.slot, Module: one.draft.Module, Action: one.draft.Action, State: one.state, ZohoID: one.zohoID})
		}
	}
	return b, nil
}
