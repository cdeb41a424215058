package delivery_test

import (
	"context"
	"testing"

	"hookline/internal/connection"
	"hookline/internal/mapping"
	"hookline/internal/seal"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// addMarkers makes the unique field in the organisation, as somebody who may would.
func (s *shop) addMarkers() {
	s.t.Helper()
	tokens := s.zoho.Control.Exchange(s.zoho.Control.Grant(sandboxtest.GrantRequest{
		ClientID: s.zoho.Control.Clients()[0].ID, Redirect: sandboxtest.Redirect, Org: s.org, Scope: sandboxtest.Scopes,
	}))
	api := zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(s.zoho.URL)}).For(func(context.Context, seal.Secret) (zoho.Access, error) {
		return zoho.Access{APIDomain: tokens.APIDomain, Token: seal.Secret(tokens.Access)}, nil
	}, nil)
	for _, module := range connection.Marked() {
		if err := api.CreateUniqueText(s.t.Context(), module, mapping.RefField, 60); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.link.LookAgain(s.t.Context(), s.tenant, connection.InUse...); err != nil {
		s.t.Fatal(err)
	}
}

// Where looking back cannot find what was written, Zoho's own refusal of a second record still does.
func TestALostAnswerThatCannotBeReadBackConvergesOnTheUniqueField(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.addMarkers()
	s.zoho.Control.Faults(s.org,
		sandboxtest.Fault{Match: writeOf("Leads"), Times: 1, Kind: "reset", Effect: "after"},
		sandboxtest.Fault{Match: writeOf("Calls"), Times: 1, Kind: "truncate", Effect: "after"},
		sandboxtest.Fault{Match: writeOf("coql"), Kind: "status", Status: 204},
	)
	s.start(s.worker())
	id := s.receive(sarah())
	s.untilSettled(id)
	s.holds(map[string]int{"Leads": 1, "Calls": 1})
	s.logIsTrue(id)
	if n := s.zoho.Control.Stats(s.org).Count("POST", "/crm/v8/{module}"); n != 4 {
		t.Errorf("%d records were sent, want each of two once and once more", n)
	}
}

// A lane that never rests still learns what has changed in Zoho.
func TestAWorkingLaneReadsFieldsAnewEveryHour(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	s.untilSettled(s.receive(sarah()))
	looks := func() int { return s.zoho.Control.Stats(s.org).Count("GET", "/crm/v8/settings/fields") }
	s.exec(`UPDATE zoho_modules SET fetched_at = now() - interval '1 hour' + interval '1 second'`)
	before, known := looks(), value[int](s, `SELECT count(*) FROM zoho_modules`)
	s.until("the fields are read anew", func() bool {
		s.untilSettled(s.receive(sarah()))
		return looks() > before
	})
	s.untilSettled(s.receive(sarah()))
	if n := looks() - before; n != known {
		t.Errorf("of %d modules %d were read anew", known, n)
	}
}
