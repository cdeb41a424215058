package backtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hookline/internal/backtest"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// connected links a shop to an organisation of the sandbox, and gives that.
func (s *shop) connected(box *sandboxtest.Server) (org string) {
	s.t.Helper()
	credentials, err := connection.SandboxClient(s.t.Context(), box.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.known = connection.New(connection.Deps{DB: s.db.DB, Keys: s.keys, OAuth: credentials, BaseURL: "http://127.0.0.1:8080", Log: s.log, Connected: delivery.Resume,
		Client: zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(box.URL)})})
	if err := s.known.ConnectSandbox(s.t.Context(), s.Tenant.ID, connection.Actor{Name: "ann@acme.test"}, box.URL, connection.NewOrg{Name: "Acme CRM", Edition: "enterprise"}); err != nil {
		s.t.Fatal(err)
	}
	link, err := s.known.Get(s.t.Context(), s.Tenant.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	box.Control.Settings(link.OrgID, map[string]any{"search_index_lag_ms": 0})
	return link.OrgID
}

// receive stores a call as intake does.
func (s *shop) receive(c call.Call) call.ID {
	s.t.Helper()
	s.n++
	c.ProviderCallID = fmt.Sprintf("np_%d", s.n)
	id := call.IDOf(s.source, c.ProviderCallID)
	e := call.Event{ID: call.IDOfEvent(s.source, c.ProviderCallID), Kind: call.KindCompleted, Call: c}
	doc, err := call.MarshalEvent(e)
	if err != nil {
		s.t.Fatal(err)
	}
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO calls (tenant_id, id, source_id, provider_call_id, received_at) VALUES ($1, $2, $3, $4, clock_timestamp())`,
			s.Tenant.ID.UUID(), id.UUID(), s.source, c.ProviderCallID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO events (tenant_id, id, at, call_id, source_id, kind, normalised) VALUES ($1, $2, clock_timestamp(), $3, $4, $5, $6)`,
			s.Tenant.ID.UUID(), uuid.UUID(e.ID), id.UUID(), s.source, string(e.Kind), doc); err != nil {
			return err
		}
		return delivery.Wake(ctx, tx, []tenant.ID{s.Tenant.ID})
	})
	return id
}

func (s *shop) facts(id call.ID) (f routing.Facts) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		f, err = delivery.FactsOf(ctx, tx, s.Tenant.ID, id)
		return err
	})
	f.LocalTime, f.DecidedAt = f.LocalTime.In(s.Tenant.Zone), f.DecidedAt.In(s.Tenant.Zone)
	return f
}

func (s *shop) waitUntil(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never came: %s", what)
		}
	}
}

// rolled is a draft of chance: what is done with whom, and which fields get what.
func rolled(dice *rand.Rand) config.Set {
	d := config.Defaults()
	pick := func(of ...string) string { return of[dice.IntN(len(of))] }
	for i := range d.Rules.Rules {
		d.Rules.Rules[i].Off = dice.IntN(6) == 0
	}
	d.Rules.Phrases[0].Phrases = append(d.Rules.Phrases[0].Phrases, pick("boiler", "parking", "nothing"))
	outcomes := []routing.Outcome{{Do: routing.CreateDeal, Account: dice.IntN(2) == 0}, {Do: routing.LogCall, On: pick("deal", "contact")}, {Do: routing.AddTask, Subject: "Call back", Days: dice.IntN(5)},
		{Do: routing.AddTags, Tags: []string{"By phone"}}, {Do: routing.MoveStage, Stage: routing.NextStage}}
	dice.Shuffle(len(outcomes), func(i, j int) { outcomes[i], outcomes[j] = outcomes[j], outcomes[i] })
	d.Rules.Rules = slices.Insert(d.Rules.Rules, dice.IntN(4), routing.Rule{ID: "rolled", Name: "Rolled",
		When: routing.Condition{Field: routing.FieldSaid, Op: routing.Says, Values: []string{pick("boiler", "parking", "invoice")}}, Then: outcomes[:1+dice.IntN(4)]})
	set := func(module, field string, values ...string) {
		rows := d.Mappings.Modules[module]
		row := mapping.Row{Field: field, Value: pick(values...)}
		if i := slices.IndexFunc(rows, func(r mapping.Row) bool { return r.Field == field }); i >= 0 {
			rows[i] = row
		} else {
			d.Mappings.Modules[module] = append(rows, row)
		}
	}
	set("Leads", "Industry", "Service Provider", "Nonsense", "")
	set("Leads", "Last_Name", "{{ last_name }}", "{{ answer.surname }}")
	set("Deals", "Stage", "Qualification", "Nowhere")
	set("Calls", "Subject", "Call about {{ call_summary }}", "{{ first_name }} called", "Call")
	set("Contacts", "Description", "{{ call_summary }}", "")
	return d
}

// What a backtest says of a call is what delivery does with it, once the draft is published: for drafts of chance, over
// the sandbox, with the clock of the decision held.
func TestWhatABacktestSaysIsWhatThenHappens(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("draft ", seed), func(t *testing.T) {
			t.Parallel()
			s, box := newShop(t), sandboxtest.New(t)
			org := s.connected(box)
			dice := rand.New(rand.NewPCG(seed, 7))

			// Live, nothing is written: each call is decided, and Zoho holds what it held.
			revision := s.edit(func(set *config.Set) {
				set.Rules.Rules = []routing.Rule{{ID: "none", Name: "Nothing", Then: []routing.Outcome{{Do: routing.Ignore}}}}
				set.Mappings.Modules["Contacts"] = []mapping.Row{{Field: "Description", Value: "{{ caller_number }}"}} // so that it is read
			})
			s.publish(revision)
			var ids []call.ID
			people := map[string]string{}
			for n := range 18 {
				number := fmt.Sprintf("+1415555%04d", 5000+n)
				switch n % 3 {
				case 1:
					people[number] = box.Control.Put(org, "Leads", map[string]any{"Last_Name": fmt.Sprint("Lead ", n), "Company": "Acme", "Phone": number})[0]
				case 2:
					people[number] = box.Control.Put(org, "Contacts", map[string]any{"Last_Name": fmt.Sprint("Contact ", n), "Phone": number})[0]
					if n%2 == 0 {
						box.Control.Put(org, "Deals", map[string]any{"Deal_Name": fmt.Sprint("Deal ", n), "Stage": "Qualification", "Contact_Name": map[string]any{"id": people[number]}})
					}
				}
			}
			now := time.Now().Truncate(time.Second)
			worker := delivery.New(delivery.Deps{DB: s.db.DB, Keys: s.keys, Connections: s.known, Log: s.log, Poll: 50 * time.Millisecond, Gap: 200 * time.Millisecond,
				Now: func() time.Time { return now }})
			ctx, cancel := context.WithCancel(context.Background())
			var working sync.WaitGroup
			working.Go(func() { worker.Run(ctx) })
			defer working.Wait()
			defer cancel()
			for n := range 18 {
				f := s.factsOf([]string{"It is about a boiler.", "Where is the parking?", "How much would that cost?", "That is all."}[dice.IntN(4)])
				f.Call.From = call.Phone(fmt.Sprintf("+1415555%04d", 5000+n))
				if dice.IntN(3) == 0 {
					f.Call.LastName, f.Call.Company = "", ""
				}
				ids = append(ids, s.receive(f.Call))
			}
			settled := func(states string) func() bool {
				return func() bool {
					return value[int](s, `SELECT count(*) FROM calls WHERE status = ANY(string_to_array($1, ','))`, states) == len(ids)
				}
			}
			s.waitUntil("all calls decided", settled("ignored"))

			draft := rolled(dice)
			revision = s.edit(func(set *config.Set) { set.Rules, set.Mappings = draft.Rules, draft.Mappings })
			writes := len(box.Control.Ledger(0))
			b, err := s.runner().Run(t.Context(), s.Tenant, "ann@acme.test", backtest.Scope{Days: 7})
			if err != nil || b.Result.Calls != len(ids) {
				t.Fatalf("%+v %v", b, err)
			}
			if n := len(box.Control.Ledger(0)); n != writes {
				t.Errorf("Zoho was asked %d times by the backtest", n-writes)
			}
			said, before := map[string]backtest.CallChange{}, map[call.ID]routing.Facts{}
			for _, c := range b.Result.Changes {
				said[c.ID] = c
			}
			known, err := s.known.Known(t.Context(), s.Tenant.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				before[id] = s.facts(id)
			}

			s.publish(revision)
			for _, id := range ids {
				if err := delivery.Replay(t.Context(), s.db.DB, s.Tenant.ID, id, delivery.ConfigCurrent, "ann@acme.test"); err != nil {
					t.Fatal(err)
				}
			}
			s.waitUntil("all calls delivered afresh", func() bool {
				return value[int](s, `SELECT count(*) FROM calls c WHERE status IN ('delivered', 'ignored', 'needs_attention')
					AND (SELECT max(number) FROM decisions d WHERE d.call_id = c.id) = 2`) == len(ids)
			})
			compared := 0
			for _, id := range ids {
				after := s.facts(id)
				if !reflect.DeepEqual(alike(before[id]), alike(after)) {
					t.Errorf("call %s was decided on other facts: %s\n%s", id, asJSON(before[id]), asJSON(after))
					continue
				}
				full := backtest.Compare(config.Set{}, s.at(2), before[id], known)
				s.same(id, full.Draft, said[id.String()], box, org)
				compared++
			}
			if compared == 0 || len(said) == 0 {
				t.Errorf("%d calls compared, %d changed", compared, len(said))
			}
			t.Logf("%d calls, %d would change, %d would fail", b.Result.Calls, b.Result.Changed, b.Result.Failing)
		})
	}
}

func (s *shop) publish(revision int) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := config.Publish(ctx, tx, s.Tenant.ID, config.Publication{Actor: "ann@acme.test", Revision: revision, Untested: true, Despite: true}, nil)
		return err
	})
}

func (s *shop) at(version int) (set config.Set) {
	s.t.Helper()
	s.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		set, err = config.At(ctx, tx, s.Tenant.ID, version)
		return err
	})
	return set
}

// alike leaves out of facts what a second look at the same caller tells otherwise: how the caller was found.
func alike(f routing.Facts) string {
	f.Match.Notes, f.Match.FromMemory, f.Match.Looked = nil, false, false
	return asJSON(f) + asJSON(f.Call)
}

func asJSON(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// same compares what was said of a call with what stands of it: outcome, rule, whether it failed, each record's fields in
// Zoho, and the requests that wrote them.
func (s *shop) same(id call.ID, side backtest.Side, said backtest.CallChange, box *sandboxtest.Server, org string) {
	s.t.Helper()
	if said.ID != "" && (said.Draft.Outcome != side.Outcome || said.Draft.Credits != side.Credits || said.Draft.Fails != side.Fails) {
		s.t.Errorf("call %s: said %+v, and one by one %+v", id, said.Draft, side)
	}
	outcome, rule, status := value[string](s, `SELECT outcome FROM calls WHERE id = $1`, id.UUID()), value[string](s, `SELECT rule FROM calls WHERE id = $1`, id.UUID()),
		value[string](s, `SELECT status FROM calls WHERE id = $1`, id.UUID())
	if rule != side.Rule || (status == delivery.NeedsAttention) != side.Fails || !side.Fails && outcome != side.Outcome {
		s.t.Errorf("call %s: said %q by %q (fails: %v), and is %q by %q, %s: %s", id, side.Outcome, side.Rule, side.Fails, outcome, rule, status,
			value[string](s, `SELECT COALESCE(cause::text, '') FROM calls WHERE id = $1`, id.UUID()))
	}
	credits := value[int](s, `SELECT COALESCE(sum(credits), 0) FROM attempts WHERE call_id = $1 AND EXISTS (SELECT FROM attempt_deliveries a WHERE a.attempt_id = attempts.id)`, id.UUID())
	shared := value[bool](s, `SELECT COALESCE(bool_or(calls > 1), false) FROM attempts WHERE call_id = $1`, id.UUID())
	if credits > side.Credits || credits < side.Credits && !shared {
		s.t.Errorf("call %s: said %d credits, used %d", id, side.Credits, credits)
	}
	for _, d := range side.Drafts {
		zohoID := value[string](s, `SELECT COALESCE((SELECT zoho_id FROM deliveries WHERE call_id = $1 AND slot = $2 AND revision = 0 AND state = 'done'), '')`, id.UUID(), d.Slot)
		if zohoID == "" {
			if !side.Fails {
				s.t.Errorf("call %s: %s was not written", id, d.Slot)
			}
			continue
		}
		records := box.Control.Records(org, d.Module)
		i := slices.IndexFunc(records, func(r sandboxtest.Record) bool { return r.ID() == zohoID })
		if i < 0 {
			s.t.Errorf("call %s: Zoho has no %s %s", id, d.Slot, zohoID)
			continue
		}
		for field, want := range d.Fields {
			text, isText := want.(string)
			if !isText || d.Find != "" {
				continue
			}
			if have := records[i].Text(field); have != text && !strings.HasPrefix(have, text) && !sameMoment(have, text) {
				s.t.Errorf("call %s: %s.%s is %q, said %q", id, d.Slot, field, have, text)
			}
		}
	}
}

func sameMoment(a, b string) bool {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	return errX == nil && errY == nil && x.Equal(y)
}
