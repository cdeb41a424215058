package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/postgres"
	"hookline/internal/postgres/pgtest"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// desk is a tenant's configuration and the people who edit it.
type desk struct {
	t      *testing.T
	db     *postgres.DB
	tenant tenant.ID
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, db: pgtest.New(t), tenant: tenant.ID(uuid.Must(uuid.NewV7()))}
	d.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO tenants (id, name, country, time_zone, trial_ends_at)
			VALUES (@id, 'Acme', 'US', 'America/New_York', now() + interval '14 days')`, pgx.StrictNamedArgs{"id": d.tenant.UUID()})
		return err
	})
	return d
}

func (d *desk) in(do func(context.Context, pgx.Tx) error) {
	d.t.Helper()
	if err := d.try(do); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) try(do func(context.Context, pgx.Tx) error) error {
	return d.db.InTenant(d.t.Context(), d.tenant, func(tx pgx.Tx) error { return do(d.t.Context(), tx) })
}

func (d *desk) edit(who string, on int, change func(*config.Set)) (draft config.Draft, err error) {
	err = d.try(func(ctx context.Context, tx pgx.Tx) error {
		draft, err = config.EditDraft(ctx, tx, d.tenant, who, on, func(s *config.Set) (string, error) {
			change(s)
			return "a change", nil
		})
		return err
	})
	return draft, err
}

func (d *desk) draft() (draft config.Draft) {
	d.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		draft, err = config.ReadDraft(ctx, tx, d.tenant)
		return err
	})
	return draft
}

func (d *desk) live() (s config.Set) {
	d.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		s, err = config.Live(ctx, tx, d.tenant)
		return err
	})
	return s
}

func (d *desk) publish(p config.Publication) (v config.Version, err error) {
	err = d.try(func(ctx context.Context, tx pgx.Tx) error {
		v, err = config.Publish(ctx, tx, d.tenant, p, nil)
		return err
	})
	return v, err
}

func mustEdit(t *testing.T, d *desk, who string, on int, change func(*config.Set)) config.Draft {
	t.Helper()
	draft, err := d.edit(who, on, change)
	if err != nil {
		t.Fatal(err)
	}
	return draft
}

func TestNothingIsLiveBeforeItIsPublished(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if s := d.live(); s.Version != 0 || len(s.Rules.Rules) != 7 {
		t.Fatalf("before anything: version %d, %d rules", s.Version, len(s.Rules.Rules))
	}
	draft := mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Off = true })
	if !draft.Open || draft.Revision != 1 || d.live().Rules.Rules[0].Off {
		t.Errorf("after an edit: open %v, revision %d", draft.Open, draft.Revision)
	}
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 1}); !errors.Is(err, config.ErrUntested) {
		t.Errorf("without a backtest: %v", err)
	}
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 0, Untested: true}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("of an older draft: %v", err)
	}
	v, err := d.publish(config.Publication{Actor: "ann", Revision: 1, Why: "Summer", Tested: &config.Tested{Calls: 10, Changed: 2}})
	if err != nil || v.Number != 1 || len(v.Changes) != 1 || !strings.Contains(v.Changes[0], "switched off") {
		t.Fatalf("%+v %v", v, err)
	}
	if s := d.live(); s.Version != 1 || s.Rules.Version != 1 || s.Mappings.Version != 1 || !s.Rules.Rules[0].Off {
		t.Errorf("live is version %d", s.Version)
	}
	if draft := d.draft(); draft.Open || draft.Undoable || draft.Revision != 2 || draft.Base != 1 {
		t.Errorf("the draft after publishing: %+v", draft.Revision)
	}
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 2, Untested: true}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("nothing to publish: %v", err)
	}
	d.in(func(ctx context.Context, tx pgx.Tx) error {
		versions, err := config.Versions(ctx, tx, d.tenant, 0, 10)
		if len(versions) != 1 || versions[0].Why != "Summer" || versions[0].Tested == nil || versions[0].Tested.Changed != 2 || versions[0].By != "ann" {
			t.Errorf("%+v", versions)
		}
		return err
	})
}

func TestWhatZohoIsKnownToRefuseIsNotPublishedUnlessSomebodySaysSo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mustEdit(t, d, "ann", 0, func(s *config.Set) {
		s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], mapping.Row{Field: "Website", Value: "{{ no_such }}"})
	})
	_, err := d.publish(config.Publication{Actor: "ann", Revision: 1, Untested: true})
	if !errors.Is(err, config.ErrRefused) || !strings.Contains(fault.SentenceOf(err), "no_such") {
		t.Fatalf("%v", err)
	}
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 1, Untested: true, Despite: true}); err != nil {
		t.Error(err)
	}
	mustEdit(t, d, "ann", 2, func(s *config.Set) {
		*s = config.Defaults()
		s.Mappings.Modules["Tasks"] = append(s.Mappings.Modules["Tasks"], mapping.Row{Field: "Priority", Value: "{{ no_such }}"})
	})
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 3, Untested: true}); err != nil {
		t.Errorf("a module that no rule writes to: %v", err)
	}
}

func TestTwoEditorsLoseNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mustEdit(t, d, "ann", 0, func(s *config.Set) {
		s.Rules.Rules[0].Name = "Hidden numbers"
		s.Rules.Phrases[0].Phrases = append(s.Rules.Phrases[0].Phrases, "offer")
		s.Mappings.Modules["Leads"][0].Value = "{{ last_name }}"
	})
	// Bob's forms were made before Ann's change.
	draft := mustEdit(t, d, "bob", 0, func(s *config.Set) {
		s.Rules.Rules[0].Off = true
		s.Rules.Rules = append([]routing.Rule{{ID: "mine", Name: "Mine", Then: []routing.Outcome{{Do: routing.Ignore}}}}, s.Rules.Rules...)
		s.Rules.Phrases[0].Phrases = append(s.Rules.Phrases[0].Phrases[1:], "bid")
		s.Mappings.Modules["Leads"][1].Value = "{{ first_name | upcase }}"
	})
	ids := []string{}
	for _, r := range draft.Rules.Rules {
		ids = append(ids, r.ID)
	}
	if r := draft.Rules.Rules[1]; ids[0] != "mine" || r.Name != "Hidden numbers" || !r.Off {
		t.Errorf("rules %v, %+v", ids, r)
	}
	first := routing.DefaultSet().Phrases[0].Phrases[0]
	if p := draft.Rules.Phrases[0].Phrases; !slices.Contains(p, "offer") || !slices.Contains(p, "bid") || slices.Contains(p, first) {
		t.Errorf("phrases %v", p)
	}
	if rows := draft.Mappings.Modules["Leads"]; rows[0].Value != "{{ last_name }}" || rows[1].Value != "{{ first_name | upcase }}" {
		t.Errorf("rows %+v", rows[:2])
	}

	before := d.draft()
	_, err := d.edit("cid", 0, func(s *config.Set) { s.Mappings.Modules["Leads"][0].Value = "Caller" })
	var c *config.Conflict
	if !errors.As(err, &c) || c.By != "bob or ann" || len(c.Clashes) != 1 || !strings.Contains(c.Clashes[0].Mine, "Caller") || !strings.Contains(c.Clashes[0].Theirs, "{{ last_name }}") {
		t.Errorf("%v %+v", err, c)
	}
	if c != nil && (c.Clashes[0].Of != config.OfMapping || c.Clashes[0].ID != "Leads" || c.Clashes[0].Field == "") {
		t.Errorf("the clash does not say where: %+v", c.Clashes[0])
	}
	if after := d.draft(); !reflect.DeepEqual(before, after) {
		t.Error("a conflict changed the draft")
	}
	if _, err := d.edit("cid", 0, func(s *config.Set) { s.Rules.Rules = s.Rules.Rules[1:] }); !errors.As(err, &c) {
		t.Errorf("deleting what another changed: %v", err)
	}
}

func TestEditsAtTheSameTimeAreAllKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var all sync.WaitGroup
	for i, list := range routing.DefaultPhrases() {
		all.Go(func() {
			if _, err := d.edit(list.Name, 0, func(s *config.Set) { s.Rules.Phrases[i].Label += "!" }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, l := range d.draft().Rules.Phrases {
		if !strings.HasSuffix(l.Label, "!") {
			t.Errorf("the edit of %s is lost", l.Name)
		}
	}
}

func TestUndoTakesBackEditByEditAndADiscard(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Name = "One" })
	mustEdit(t, d, "ann", 1, func(s *config.Set) { s.Rules.Rules[0].Name = "Two" })
	turn := func(with func(context.Context, pgx.Tx, tenant.ID, string, int) (config.Draft, error), revision int) (draft config.Draft, err error) {
		err = d.try(func(ctx context.Context, tx pgx.Tx) error {
			draft, err = with(ctx, tx, d.tenant, "ann", revision)
			return err
		})
		return draft, err
	}
	draft, err := turn(config.Discard, 2)
	if err != nil || draft.Open || !draft.Undoable {
		t.Fatalf("discard: %v %+v", err, draft.Revision)
	}
	for _, want := range []string{"Two", "One", "No usable number"} {
		if draft, err = turn(config.Undo, draft.Revision); err != nil || draft.Rules.Rules[0].Name != want {
			t.Fatalf("undo to %s: %v %s", want, err, draft.Rules.Rules[0].Name)
		}
	}
	if draft.Open || draft.Undoable {
		t.Error("back at the beginning there is something to publish or to take back")
	}
	if _, err := turn(config.Undo, draft.Revision); fault.KindOf(err) != fault.Conflict {
		t.Errorf("past the beginning: %v", err)
	}
	if _, err := turn(config.Undo, 1); fault.KindOf(err) != fault.Conflict {
		t.Errorf("on an older draft: %v", err)
	}
}

func TestRollbackMakesAnOldVersionTheNewestAndKeepsTheDraft(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Name = "One" })
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 1, Untested: true}); err != nil {
		t.Fatal(err)
	}
	mustEdit(t, d, "bob", 2, func(s *config.Set) { s.Rules.Rules[1].Off = true })
	var v config.Version
	back := func(live, to int) error {
		return d.try(func(ctx context.Context, tx pgx.Tx) (err error) {
			v, err = config.Rollback(ctx, tx, d.tenant, "ann", live, to, false, nil)
			return err
		})
	}
	if err := back(0, 0); fault.KindOf(err) != fault.Conflict {
		t.Errorf("on another live version: %v", err)
	}
	if err := back(1, 0); err != nil || v.Number != 2 || v.Why != "Back to the defaults" {
		t.Fatalf("%v %+v", err, v)
	}
	if s := d.live(); s.Version != 2 || s.Rules.Rules[0].Name != "No usable number" || s.Rules.Rules[1].Off {
		t.Errorf("live: %d %+v", s.Version, s.Rules.Rules[0].Name)
	}
	if draft := d.draft(); !draft.Open || draft.Base != 2 || draft.Rules.Rules[0].Name != "No usable number" || !draft.Rules.Rules[1].Off {
		t.Errorf("the draft: %v %d %s %v", draft.Open, draft.Base, draft.Rules.Rules[0].Name, draft.Rules.Rules[1].Off)
	}
	if err := back(2, 9); fault.KindOf(err) != fault.NotFound {
		t.Errorf("to a version that is not there: %v", err)
	}
	if err := back(2, 0); fault.KindOf(err) != fault.Conflict {
		t.Errorf("to what is live: %v", err)
	}
}

func TestADocumentComesBackAsItWentOut(t *testing.T) {
	t.Parallel()
	doc, err := json.Marshal(config.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.Parse(doc)
	if err != nil || !reflect.DeepEqual(s, config.Defaults()) {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{
		`{"phrases":[],"rules":[{"id":"a","name":"A","wen":{}}]}`:                                                                      "wen",
		`{"phrases":[],"rules":[{"id":"a","name":"A","then":[{"do":"fly"}]}]}`:                                                         "cannot do",
		`{"phrases":[],"rules":[{"id":"a","name":"A","then":[{"do":"ignore"}],"when":{"field":"caller","op":"at_least","number":3}}]}`: "no number",
		`[1]`: "document",
		`{`:   "document",
		`{"rules":"` + strings.Repeat("x", 1<<20) + `"}`: "larger",
	} {
		if _, err := config.Parse([]byte(text)); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.SentenceOf(err), want) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

func TestTheDifferenceIsSaidInWords(t *testing.T) {
	t.Parallel()
	to := config.Defaults()
	rules := to.Rules.Rules
	rules[0], rules[1] = rules[1], rules[0]
	rules[2].Off = true
	rules[3].When.All = append(rules[3].When.All, routing.Condition{Field: routing.FieldHours, Op: routing.Is, Values: []string{"closed"}})
	to.Rules.Rules = append(rules[:6:6], routing.Rule{ID: "n", Name: "News", Then: []routing.Outcome{{Do: routing.Ignore}}})
	to.Rules.Phrases[0].Phrases = append(to.Rules.Phrases[0].Phrases[1:], "offer")
	to.Mappings.Modules["Leads"] = append(to.Mappings.Modules["Leads"][1:], mapping.Row{Field: "Industry", Value: "Plumbing", Mode: mapping.Always})
	got := config.Sentences(config.Diff(config.Defaults(), to))
	first := routing.DefaultSet().Phrases[0].Phrases[0]
	want := []string{
		"Rule “New caller” deleted.",
		"Rule “Contact with an open Deal” switched off.",
		"Rule “Contact who wants to buy” fits when the caller is a known Contact and the caller says buying words and your hours are closed; before: when the caller is a known Contact and the caller says buying words.",
		"Rule “News” added in place 7: When any call comes in → keep the call here and write nothing to Zoho.",
		"Rule “No usable number” moved from place 1 to 2.",
		"Phrase list “buying words”: “offer” added; “" + first + "” removed.",
		"Leads: Last Name gets nothing any more; before: “" + config.Defaults().Mappings.Modules["Leads"][0].Value + "”.",
		"Leads: Industry gets “Plumbing”, over what stands there.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d := config.Diff(to, to); len(d) != 0 {
		t.Errorf("a difference from itself: %v", d)
	}
}

func TestAFormOfAForgottenRevisionIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const kept = 100
	d.in(func(ctx context.Context, tx pgx.Tx) error { // one transaction: as many edits, in less time
		for i := range kept {
			_, err := config.EditDraft(ctx, tx, d.tenant, "ann", i, func(s *config.Set) (string, error) {
				s.Rules.Rules[0].Name = fmt.Sprintf("Name %d", i)
				return "a change", nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := d.edit("bob", 1, func(s *config.Set) { s.Rules.Rules[1].Off = true }); err != nil {
		t.Errorf("on the oldest that is kept: %v", err)
	}
	_, err := d.edit("bob", 1, func(s *config.Set) { s.Rules.Rules[2].Off = true })
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.SentenceOf(err), "too old") {
		t.Errorf("on a forgotten one: %v", err)
	}
	d.in(func(ctx context.Context, tx pgx.Tx) error {
		edits, err := config.Edits(ctx, tx, d.tenant, 0, 1000)
		if len(edits) != kept || edits[0].Revision != kept+1 {
			t.Errorf("%d edits are kept, the newest %d", len(edits), edits[0].Revision)
		}
		return err
	})
	if _, err := d.edit("cid", 0, func(s *config.Set) { s.Rules.Rules[3].Off = true }); err != nil {
		t.Errorf("on the defaults, which are known for ever: %v", err)
	}
}

func TestAPublishAndEditsAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Name = "Ann's" })
	var all sync.WaitGroup
	var published atomic.Int32
	for range 3 {
		all.Go(func() {
			if _, err := d.publish(config.Publication{Actor: "ann", Revision: first.Revision, Untested: true}); err == nil {
				published.Add(1)
			} else if !errors.Is(err, config.ErrStale) {
				t.Error(err)
			}
		})
	}
	for i, list := range routing.DefaultPhrases() {
		all.Go(func() {
			if _, err := d.edit(list.Name, first.Revision, func(s *config.Set) { s.Rules.Phrases[i].Label += "!" }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	draft, live := d.draft(), d.live()
	if n := int(published.Load()); n > 1 || live.Version != n {
		t.Errorf("%d published, version %d is live", n, live.Version)
	}
	if draft.Rules.Rules[0].Name != "Ann's" || !draft.Open {
		t.Errorf("the draft lost Ann's: %s, open %v", draft.Rules.Rules[0].Name, draft.Open)
	}
	for _, l := range draft.Rules.Phrases {
		if !strings.HasSuffix(l.Label, "!") {
			t.Errorf("the edit of %s is lost", l.Name)
		}
	}
	for _, l := range live.Rules.Phrases {
		if strings.HasSuffix(l.Label, "!") {
			t.Errorf("the edit of %s is live, which nobody published", l.Name)
		}
	}
}

func TestOneTenantsConfigurationIsNobodyElses(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Name = "Secret" })
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: 1, Untested: true}); err != nil {
		t.Fatal(err)
	}
	other := *d
	other.tenant = tenant.ID(uuid.Must(uuid.NewV7()))
	if s := other.draft(); s.Revision != 0 || s.Rules.Rules[0].Name == "Secret" {
		t.Error("another tenant reads the draft")
	}
	other.in(func(ctx context.Context, tx pgx.Tx) error { // in its own transaction, by the other's id
		s, err := config.Live(ctx, tx, d.tenant)
		if err != nil || s.Version != 0 {
			t.Errorf("row-level security lets another tenant read version %d: %v", s.Version, err)
		}
		versions, err := config.Versions(ctx, tx, d.tenant, 0, 10)
		if err != nil || len(versions) > 0 {
			t.Errorf("row-level security lets another tenant read %d versions: %v", len(versions), err)
		}
		edits, err := config.Edits(ctx, tx, d.tenant, 0, 10)
		if len(edits) > 0 {
			t.Error("row-level security lets another tenant read edits")
		}
		return err
	})
	err := other.try(func(ctx context.Context, tx pgx.Tx) error {
		_, err := config.EditDraft(ctx, tx, d.tenant, "eve", 2, func(s *config.Set) (string, error) { s.Rules.Rules[0].Off = true; return "", nil })
		return err
	})
	if err == nil {
		t.Error("another tenant edits the draft")
	}
	if d.draft().Rules.Rules[0].Off {
		t.Error("another tenant's edit stands")
	}
}

func TestRowsThatSayNothingAreRefused(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*config.Set){
		"two rows": func(s *config.Set) {
			s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], s.Mappings.Modules["Leads"][0])
		},
		"in the mode": func(s *config.Set) { s.Mappings.Modules["Leads"][0].Mode = "sometimes" },
		"lacks":       func(s *config.Set) { s.Mappings.Modules["Calls"][0].Field = "" },
	} {
		s := config.Defaults()
		change(&s)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse(text); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.SentenceOf(err), what) || !strings.HasPrefix(fault.FieldOf(err), "mappings.") {
			t.Errorf("%s: %v at %q", what, err, fault.FieldOf(err))
		}
	}
}

// What Parse takes is a document that comes back as itself, whatever was sent.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"rules":[],"phrases":[]}`, `{"phrases":[],"rules":[{"id":"a","name":"A","when":{"all":[{}]},"then":[{"do":"ignore"}]}]}`, `{"rules":[],"phrases":[{"name":"a","label":"A","phrases":["x*"]}]}`,
		`{"rules":[],"phrases":[],"mappings":{"Leads":[{"field":"Email","value":"{{ email }}","mode":"always"}]}}`, `{"rules":[],"phrases":[],"mappings":null}`, `[]`, "\xff"} {
		f.Add([]byte(seed))
	}
	whole, err := json.Marshal(config.Defaults())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := config.Parse(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || fault.SentenceOf(err) == "" {
				t.Fatalf("no sentence for people: %v", err)
			}
			return
		}
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse(doc)
		if err != nil {
			t.Fatalf("what was taken is refused as it is written: %v\n%s", err, doc)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(doc) {
			t.Fatalf("changes on the way:\n%s\n%s", doc, twice)
		}
		if d := config.Diff(s, again); len(d) > 0 {
			t.Fatalf("differs from itself: %v", config.Sentences(d))
		}
	})
}

func TestARollbackTakesBackWhatTheDraftDidNotChangeAlthoughTheyClash(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	release(t, d, func(s *config.Set) { s.Rules.Rules[0].Name = "One" })
	release(t, d, func(s *config.Set) {
		s.Rules.Rules[0].Name = "Two"
		s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], mapping.Row{Field: "Referral", Value: "x"})
	})
	mustEdit(t, d, "bob", d.draft().Revision, func(s *config.Set) { s.Rules.Rules[0].Name = "Three" })
	d.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := config.Rollback(ctx, tx, d.tenant, "ann", 2, 1, false, nil)
		return err
	})
	if got, want := config.Sentences(config.Diff(d.live(), d.draft().Set)), []string{"Rule “One” is now named “Three”."}; !slices.Equal(got, want) {
		t.Errorf("the draft would change %q, want %q", got, want)
	}
}

func TestARollbackLeavesADraftThatCanBeEditedAndPublished(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	release(t, d, func(s *config.Set) { s.Rules.Rules[0].Name = "One" })
	release(t, d, func(s *config.Set) {
		s.Rules.Phrases = append(s.Rules.Phrases, routing.PhraseList{Name: "roof", Label: "roof words", Phrases: []string{"roof"}})
	})
	mustEdit(t, d, "bob", d.draft().Revision, func(s *config.Set) {
		s.Rules.Rules = append(s.Rules.Rules, routing.Rule{ID: "roofs", Name: "Roofs", Then: []routing.Outcome{{Do: routing.Ignore}},
			When: routing.Condition{Field: routing.FieldSaid, Op: routing.Says, Lists: []string{"roof"}}})
	})
	d.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := config.Rollback(ctx, tx, d.tenant, "ann", 2, 1, false, nil)
		return err
	})
	if problems := d.draft().Rules.Check(); len(problems) > 0 {
		t.Errorf("the draft cannot be kept: %v", problems)
	}
	mustEdit(t, d, "bob", d.draft().Revision, func(s *config.Set) { s.Rules.Rules[0].Off = true })
}

func TestOfTwoWhoMoveRulesEachFindsItsOwnMoved(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	on := mustEdit(t, d, "ann", 0, func(s *config.Set) { s.Rules.Rules[0].Off = true }).Revision
	swap := func(i int) func(*config.Set) {
		return func(s *config.Set) { r := s.Rules.Rules; r[i], r[i+1] = r[i+1], r[i] }
	}
	mustEdit(t, d, "ann", on, swap(0))
	mustEdit(t, d, "bob", on, swap(4))
	var got []string
	for _, r := range d.draft().Rules.Rules {
		got = append(got, r.ID)
	}
	if want := []string{"spam", "no-number", "open-deal", "buying", "lead", "contact", "new-caller"}; !slices.Equal(got, want) {
		t.Errorf("the rules stand as %v, want %v", got, want)
	}
}

func TestAVersionTellsItsChangesInBriefHoweverManyTheyAre(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	draft := mustEdit(t, d, "ann", 0, func(s *config.Set) {
		for n := range 230 {
			s.Mappings.Modules["Leads"] = append(s.Mappings.Modules["Leads"], mapping.Row{Field: fmt.Sprintf("Field_%d", n), Value: strings.Repeat("long ", 800)})
		}
	})
	v, err := d.publish(config.Publication{Actor: "ann", Revision: draft.Revision, Untested: true, Despite: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Changes) != 201 || v.Changes[200] != "And 30 more." || len(v.Changes[0]) > 1100 {
		t.Errorf("%d changes, the last %q", len(v.Changes), v.Changes[len(v.Changes)-1])
	}
}

// release edits the draft and publishes it.
func release(t *testing.T, d *desk, change func(*config.Set)) {
	t.Helper()
	draft := mustEdit(t, d, "ann", d.draft().Revision, change)
	if _, err := d.publish(config.Publication{Actor: "ann", Revision: draft.Revision, Untested: true}); err != nil {
		t.Fatal(err)
	}
}
