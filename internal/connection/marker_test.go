package connection_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"hookline/internal/connection"
	"hookline/internal/fault"
)

const ref = "Hookline_Ref"

// markers are the states by module, as the page shows them.
func (w *world) markers() string {
	w.t.Helper()
	known, err := w.link.Known(w.t.Context(), w.tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	var states []string
	for _, m := range w.get().Markers(ref, known) {
		states = append(states, m.Module+" "+strings.TrimSpace(string(m.State)+" "+m.Why))
	}
	return strings.Join(states, ", ")
}

// consentToMarkers goes the way of whoever lets Hookline add the field.
func (w *world) consentToMarkers() connection.Outcome {
	w.t.Helper()
	target, err := w.link.BeginMarker(w.t.Context(), w.tenant, w.who, w.session)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		w.t.Fatal(err)
	}
	scopes := strings.Split(u.Query().Get("scope"), ",")
	if !slices.Contains(scopes, "ZohoCRM.settings.fields.CREATE") || len(scopes) != len(connection.Scopes())+1 {
		w.t.Errorf("asks for %s", scopes)
	}
	back := w.grant(w.get().OrgID, scopes)
	back.State = u.Query().Get("state")
	o, err := w.finish(back)
	if err != nil || o.Result != connection.Linked {
		w.t.Fatalf("not connected: %+v %v", o, err)
	}
	return o
}

func TestTheMarkerIsAddedWithARightOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	const made = "Calls there, Leads there, Deals there, Tasks there"
	if got := w.markers(); got != "Calls unknown, Leads unknown, Deals unknown, Tasks unknown" {
		t.Errorf("before anybody looked: %s", got)
	}
	if slices.Contains(connection.Scopes(), "ZohoCRM.settings.fields.CREATE") {
		t.Error("everybody is asked for the right")
	}
	if err := w.link.AddMarkers(t.Context(), w.tenant, w.who, ref); fault.KindOf(err) != fault.Conflict {
		t.Fatalf("added without the right: %v", err)
	}
	if err := w.link.LookAgain(t.Context(), w.tenant, connection.Marked()...); err != nil {
		t.Fatal(err)
	}
	if got := w.markers(); got != "Calls absent, Leads absent, Deals absent, Tasks absent" {
		t.Errorf("after a look: %s", got)
	}
	if o := w.consentToMarkers(); !o.AddsMarker {
		t.Error("the consent does not say what it was for")
	}
	// The first answer gets lost: what counts is what is there afterwards.
	w.control(http.MethodPost, "/_sandbox/faults?org="+w.get().OrgID, []map[string]any{
		{"match": map[string]string{"method": "POST", "path": "/crm/v8/settings/fields"}, "times": 1, "kind": "reset", "effect": "after"},
	}, nil)
	for range 2 {
		if err := w.link.AddMarkers(t.Context(), w.tenant, w.who, ref); err != nil {
			t.Fatal(err)
		}
		if got := w.markers(); got != made {
			t.Errorf("after adding: %s", got)
		}
	}
	if n := w.requests(http.MethodPost, "/settings/fields"); n != 4 || w.audited("zoho.field_added") != 1 {
		t.Errorf("asked %d times, %d entries in the audit log", n, w.audited("zoho.field_added"))
	}
	if o, err := w.finish(connection.Callback{State: w.begin(), Error: "access_denied"}); err != nil || o.AddsMarker {
		t.Errorf("a plain consent: %+v %v", o, err)
	}
	w.connect(w.get().OrgID)
	if w.get().MayAddMarkers() {
		t.Error("the right outlives the next consent")
	}
	if got := w.markers(); got != made {
		t.Errorf("after reconnecting: %s", got)
	}
}

func TestWhereTheMarkerCannotBeTheReasonIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	org := w.get().OrgID
	w.control(http.MethodPost, "/_sandbox/settings?org="+org, map[string]any{"custom_fields": -1}, nil)
	w.consentToMarkers()
	if err := w.link.AddMarkers(t.Context(), w.tenant, w.who, ref); err != nil {
		t.Fatal(err)
	}
	if got := w.markers(); strings.Count(got, "refused This edition has no fields of your own here.") != 4 || w.audited("zoho.field_added") != 0 {
		t.Errorf("in an edition without: %s", got)
	}
	// Another edition.
	w.control(http.MethodPost, "/_sandbox/settings?org="+org, map[string]any{"custom_fields": 300}, nil)
	err := w.link.AddMarkers(t.Context(), w.tenant, w.who, ref)
	if got := w.markers(); err != nil || strings.Count(got, "there") != 4 {
		t.Errorf("after the edition changed: %s, %v", got, err)
	}
}

func TestTheProbeFindsWhatTheEditionHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("")
	c := w.get()
	var modules []string
	for _, p := range c.Probe {
		modules = append(modules, p.Module)
	}
	if strings.Join(modules, " ") != "Leads Contacts Accounts Deals Calls Tasks Notes" {
		t.Errorf("probed %s", modules)
	}
	for _, a := range c.Abilities {
		if !a.Known || !a.Has || a.Words == "" {
			t.Errorf("in Professional: %+v", a)
		}
	}
	w.control(http.MethodPost, "/_sandbox/settings?org="+c.OrgID, map[string]any{"blueprint": map[string]string{"Deals": "Stage"}}, nil)
	w.control(http.MethodPost, "/_sandbox/records/Deals?org="+c.OrgID, map[string]any{"data": []map[string]any{
		{"Deal_Name": "Fifty seats", "Stage": "Qualification", "Pipeline": "Standard (Standard)", "Closing_Date": "2026-12-31"},
	}}, nil)
	w.control(http.MethodPost, "/_sandbox/faults?org="+c.OrgID, []map[string]any{
		{"match": map[string]string{"path": "/crm/v8/settings/automation/assignment_rules"}, "kind": "status", "status": 400,
			"body": `{"code":"FEATURE_NOT_SUPPORTED","details":{},"message":"Assignment rules not supported for current edition","status":"error"}`},
	}, nil)
	if err := w.link.Probe(t.Context(), w.tenant); err != nil {
		t.Fatal(err)
	}
	if a := w.get().Abilities; len(a) != 2 || a[0].Has || !a[0].Known || a[1].Words != "a Deal is in one: its Stage moves by transitions" {
		t.Errorf("without assignment rules, with a Deal in a Blueprint: %+v", a)
	}
}

func TestWhatVanishesFromAModuleIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.connect("").OrgID
	look := func(settings map[string]any) (gone, values []string) {
		t.Helper()
		if settings != nil {
			w.control(http.MethodPost, "/_sandbox/settings?org="+org, settings, nil)
		}
		if err := w.link.LookAgain(t.Context(), w.tenant, "Leads"); err != nil {
			t.Fatal(err)
		}
		md, err := w.link.Metadata(t.Context(), w.tenant, "Leads")
		if err != nil {
			t.Fatal(err)
		}
		status, _ := md.Field("Lead_Status")
		return md.Gone, status.Gone
	}
	if gone, values := look(nil); len(gone)+len(values) != 0 {
		t.Errorf("at first: %v %v", gone, values)
	}
	without := map[string]any{"hidden": map[string][]string{"Leads": {"Industry"}}, "picklists": map[string]any{"Leads": map[string][]string{"Lead_Status": {"Contacted", "New"}}}}
	for range 2 { // a second look does not forget
		if gone, values := look(without); !slices.Equal(gone, []string{"Industry"}) || !slices.Contains(values, "Not Contacted") || slices.Contains(values, "Contacted") {
			t.Errorf("gone %v, values %v", gone, values)
		}
	}
	if gone, values := look(map[string]any{"hidden": map[string]any{}, "picklists": map[string]any{}}); len(gone) != 0 || slices.Contains(values, "Not Contacted") || !slices.Contains(values, "New") {
		t.Errorf("back again: gone %v, values %v", gone, values)
	}
}

func TestWhatIsOlderThanAnHourIsReadAnewWithoutACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.link.KeepFresh(t.Context(), w.tenant); err != nil {
		t.Errorf("not connected: %v", err)
	}
	w.connect("")
	for _, age := range []struct {
		of    string
		reads int
	}{{"0", len(connection.InUse)}, {"59 minutes", 0}, {"61 minutes", len(connection.InUse)}} {
		w.exec(`UPDATE zoho_modules SET fetched_at = now() - $2::text::interval WHERE tenant_id = $1`, w.tenant.UUID(), age.of)
		before := w.requests(http.MethodGet, "/settings/fields")
		if err := w.link.KeepFresh(t.Context(), w.tenant); err != nil {
			t.Fatal(err)
		}
		if n := w.requests(http.MethodGet, "/settings/fields") - before; n != age.reads {
			t.Errorf("aged %s: %d modules read, want %d", age.of, n, age.reads)
		}
	}
}
