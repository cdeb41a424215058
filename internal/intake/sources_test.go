package intake

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/provider"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

func ringer(rung chan struct{}) func(...tenant.ID) {
	return func(...tenant.ID) { rung <- struct{}{} }
}

func TestSourceIsAddedListedNamedAndDeleted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoor(t)
	o := d.source("nextphone")
	if len(o.URL) < len(d.server.URL)+len(Path)+40 || o.Name != "NextPhone" || len(o.Secrets) != 1 || fmt.Sprint(o) == "" || strings.Contains(fmt.Sprint(o), o.Secrets[0].Reveal()) {
		t.Errorf("%+v", o)
	}
	changed, err := d.sources.Configure(ctx, d.tenant, o.ID, "owner@acme.example", "Front desk", []string{"hmac", "bearer"}, map[string]string{"from": "caller.phone", "email": "email"})
	if err != nil || changed.Name != "Front desk" || len(changed.Checks) != 2 || len(changed.Fields) != 1 {
		t.Errorf("%+v, %v", changed, err)
	}
	list, err := d.sources.List(ctx, d.tenant)
	if err != nil || len(list) != 1 || list[0].Name != "Front desk" || list[0].Fields["from"] != "caller.phone" {
		t.Errorf("%+v, %v", list, err)
	}
	st, err := d.sources.Status(ctx, d.tenant, o.ID)
	if err != nil || !st.Waiting {
		t.Errorf("%+v, %v", st, err)
	}
	other := d.newTenant()
	if _, err := d.sources.Get(ctx, other, o.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another tenant's: %v", err)
	}
	if err := d.sources.Delete(ctx, other, o.ID, ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another tenant deletes it: %v", err)
	}
	if err := d.sources.Delete(ctx, d.tenant, o.ID, "owner@acme.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.sources.Get(ctx, d.tenant, o.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("after deletion: %v", err)
	}
	var audited []account.Entry
	if err := d.database.InTenant(ctx, d.tenant, func(tx pgx.Tx) (err error) {
		audited, err = account.AuditLog(ctx, tx, d.tenant, uuid.Nil, 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(audited) != 3 || audited[0].Action != "source.deleted" || audited[0].Target != "Front desk" || audited[2].Actor != "hookline" {
		t.Errorf("%+v", audited)
	}
}

func TestSourceThatCannotWorkIsRefusedInWords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoor(t)
	for field, n := range map[string]NewSource{
		"provider": {Provider: "carrier-pigeon"},
		"name":     {Provider: "native", Name: repeat("x", 101)},
		"secret":   {Provider: "retell", Secret: "two words"},
		"checks":   {Provider: "nextphone", Checks: []string{"none"}},
	} {
		if _, err := d.sources.Add(ctx, d.tenant, n); fault.FieldOf(err) != field || fault.SentenceOf(err) == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	retell, err := d.sources.Add(ctx, d.tenant, NewSource{Provider: "retell", Secret: "key_0123456789"})
	if err != nil || retell.Secrets[0] != "key_0123456789" {
		t.Errorf("a pasted secret: %v", err)
	}
	if _, err := d.sources.Rotate(ctx, d.tenant, retell.ID, "", "key_0123456789"); fault.FieldOf(err) != "secret" {
		t.Errorf("the same secret again: %v", err)
	}
	for range 10 {
		if _, err := d.sources.Rotate(ctx, d.tenant, retell.ID, "", seal.Secret("key_"+uuid.NewString())); err != nil {
			t.Fatal(err)
		}
	}
	if o, err := d.sources.Get(ctx, d.tenant, retell.ID); err != nil || len(o.Secrets) != 2 {
		t.Errorf("more than two live secrets: %v", err)
	}
}

func TestEveryPresetPassesThroughEveryVendorsDoor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := newDoor(t)
	for _, p := range provider.All() {
		o := d.source(p.Name())
		for _, preset := range Presets() {
			id, err := d.sources.Simulate(ctx, d.receiver, d.tenant, o.ID, preset.Name, nil)
			if err != nil {
				t.Errorf("%s by %s: %v", preset.Name, p.Name(), err)
				continue
			}
			st, err := d.sources.Status(ctx, d.tenant, o.ID)
			if err != nil || st.CallID != id || !st.Call.Test || len(st.Call.Transcript) < 2 || len(st.Notes) > 0 || st.Call.Summary == "" {
				t.Errorf("%s by %s: %+v, %v", preset.Name, p.Name(), st, err)
			}
			if usable := st.Call.Customer().Usable(); usable == (preset.Name == "withheld") {
				t.Errorf("%s by %s: the number %q is usable: %v", preset.Name, p.Name(), st.Call.Customer(), usable)
			}
		}
	}
	if _, err := d.sources.Simulate(ctx, d.receiver, d.tenant, uuid.New(), "buyer", nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no such source: %v", err)
	}
}

func TestNewCallersHaveFreshUsableNumbers(t *testing.T) {
	t.Parallel()
	p, _ := PresetOf("new-caller")
	seen := map[call.Phone]bool{}
	for range 3_000 {
		c := p.Call(time.Now())
		if seen[c.From] {
			t.Fatalf("%s comes twice", c.From)
		}
		seen[c.From] = true
	}
	for n := range seen {
		if !n.Usable() {
			t.Errorf("%s is not usable", n)
		}
	}
}

func TestSendPostsEachCallOnceAndPutsThePersonInTheSandboxOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	o := d.source("native")
	box := sandboxtest.New(t)
	zoho := box.Control
	org := zoho.NewOrg("enterprise", "us").OrgID
	sandbox := &Sandbox{URL: box.URL, Org: org}
	var out bytes.Buffer
	s := Sending{URL: o.URL, Secret: o.Secrets[0], Count: 3, Out: &out, Preset: "open-deal", Sandbox: sandbox, HTTP: d.server.Client()}
	for range 2 {
		if err := Send(context.Background(), s); err != nil {
			t.Fatal(err)
		}
	}
	contacts, deals := zoho.Records(org, "Contacts"), zoho.Records(org, "Deals")
	if len(contacts) != 1 || len(deals) != 1 || len(zoho.Records(org, "Accounts")) != 1 || deals[0].Ref("Contact_Name") != contacts[0].ID() || contacts[0].Text("Phone") != "(415) 555-0133" {
		t.Errorf("in the sandbox: %v %v", contacts, deals)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 8 || !strings.HasPrefix(lines[3], "total 3: 3 stored, 0 seen before, 0 not read as a call, 0 not taken") {
		t.Errorf("%s", out.String())
	}
	d.wantRows(6, 6, 6)

	out.Reset()
	s.File, s.Count = []byte(`{"call_id":"x","from":"+14155550123","answers":{"n":12345678901234567890}}`), 2
	if err := Send(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	d.wantRows(8, 8, 8)

	s.Secret, s.Count = seal.Secret(provider.NewSecret(provider.Native{})), 1
	if err := Send(context.Background(), s); err == nil || !strings.Contains(out.String(), "401") {
		t.Errorf("a wrong secret: %v\n%s", err, out.String())
	}
	if err := Send(context.Background(), Sending{Preset: "none", Out: &out}); err == nil || !strings.Contains(err.Error(), "new-caller") {
		t.Errorf("an unknown preset: %v", err)
	}
}
