package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// many makes n records that differ in their name only.
func (s *shop) many(n int, module, name, text string, more sandboxtest.Record) {
	s.t.Helper()
	records := make([]sandboxtest.Record, n)
	for i := range records {
		records[i] = sandboxtest.Record{name: fmt.Sprintf(text, i)}
		for k, v := range more {
			records[i][k] = v
		}
	}
	s.zoho.Control.Put(s.org, module, records...)
}

func (s *shop) untilLost() {
	s.t.Helper()
	s.until("the answer lost", func() bool {
		return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
	})
}

func TestALostRecordAmongManyThatAreAlikeIsNotWrittenTwice(t *testing.T) { // I3
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker(func(d *delivery.Deps) { d.Gap = time.Second }))
	callBack := []routing.Outcome{{Do: routing.AddTask, Subject: "Call back"}}
	for name, c := range map[string]struct {
		module, field, before, after string // names of what others make before and after the record
		then                         []routing.Outcome
		company                      string
		seen                         bool
	}{
		"a Task of no record, others before":        {module: "Tasks", field: "Subject", before: "Tidy up %d", then: callBack, seen: true},
		"a Task of no record, others of its name":   {module: "Tasks", field: "Subject", after: "Call back - Sarah Johnson %d", then: callBack},
		"a Lead without a number, others before":    {module: "Leads", field: "Last_Name", before: "Johnson %d", seen: true},
		"an Account that cannot be asked for":       {module: "Accounts", field: "Account_Name", after: "Other %d", company: `"'"`, then: everything()},
		"an Account that cannot be asked for, seen": {module: "Accounts", field: "Account_Name", before: "Other %d", company: `"'"`, then: everything(), seen: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			if c.then != nil {
				s.rule(c.then...)
			}
			if c.module == "Leads" {
				s.maps("Leads", mapping.Row{Field: "Last_Name", Value: "{{ last_name }}"}, mapping.Row{Field: "Company", Value: "{{ company }}"})
			}
			if c.company != "" {
				s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})
			}
			if c.before != "" {
				s.many(60, c.module, c.field, c.before, nil)
			}
			s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf(c.module), Times: 1, Kind: "reset", Effect: "after"})
			ask := sarah()
			if c.company != "" {
				ask.Company = c.company
			}
			id := s.receive(ask)
			s.untilLost()
			if c.after != "" {
				s.zoho.Clock.Advance(2e9)
				s.many(205, c.module, c.field, c.after, nil)
			}
			had := len(s.records(c.module))
			if c.seen {
				s.untilSettled(id)
				s.logIsTrue(id)
			} else {
				s.untilStatus(id, delivery.NeedsAttention)
				if cause := s.story(id).Cause; cause.Code != delivery.CauseUnsettled {
					t.Errorf("cause is %+v", cause)
				}
			}
			if n := len(s.records(c.module)) - had; n != 0 {
				t.Errorf("%d more were written", n)
			}
			if n := s.requests(id, "GET", ""); n > 110 {
				t.Errorf("%d records were read", n)
			}
		})
	}
}

func TestAnAccountWhoseNameIsAPartOfManyIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.start(s.worker())
	s.rule(everything()...)
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})
	s.many(205, "Accounts", "Account_Name", "ABC Corp %d", nil)
	id := s.receive(sarah())
	s.untilStatus(id, delivery.NeedsAttention)
	if cause := s.story(id).Cause; cause.Code != delivery.CauseCrowd || !strings.Contains(cause.Sentence, "“ABC Corp”") {
		t.Errorf("cause is %+v", cause)
	}
	account := s.zoho.Control.Put(s.org, "Accounts", sandboxtest.Record{"Account_Name": "ABC Corp"})[0]
	s.zoho.Clock.Advance(2e9)
	s.many(205, "Accounts", "Account_Name", "The ABC Corp %d", nil) // changed since
	s.replay(id)
	s.untilSettled(id)
	s.holds(map[string]int{"Deals": 1, "Calls": 1})
	if n := len(s.records("Accounts")); n != 411 {
		t.Errorf("%d Accounts", n)
	}
	if deal := s.records("Deals")[0]; deal.Ref("Account_Name") != account {
		t.Errorf("the Deal has %q", deal.Ref("Account_Name"))
	}
}

func TestAnAccountThatIsThereIsTakenWhateverANewOneWouldLack(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.zoho.Control.Settings(s.org, map[string]any{"required": map[string]any{"Accounts": []string{"Industry"}}})
	if err := s.link.LookAgain(t.Context(), s.tenant, connection.InUse...); err != nil {
		t.Fatal(err)
	}
	s.start(s.worker())
	s.rule(everything()...)
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})
	s.zoho.Control.Put(s.org, "Accounts", sandboxtest.Record{"Account_Name": "ABC Corp", "Industry": "Communications"})
	s.untilSettled(s.receive(sarah()))
	s.holds(map[string]int{"Accounts": 1, "Deals": 1})
	other := sarah()
	other.Company = "Nobody Ltd"
	id := s.receive(other)
	s.untilStatus(id, delivery.NeedsAttention)
	if cause := s.story(id).Cause; cause.Code != delivery.CauseMapping || cause.Field != "Industry" || cause.Module != "Accounts" {
		t.Errorf("cause is %+v", cause)
	}
	s.holds(map[string]int{"Accounts": 1, "Deals": 1})
	s.mapField("Accounts", "Industry", "Communications")
	s.replay(id)
	s.untilSettled(id)
	s.holds(map[string]int{"Accounts": 2, "Deals": 2})
}

// faulty is a way to Zoho that panics once, in a query for an Account.
type faulty struct {
	http.RoundTripper
	once sync.Once
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("from Accounts")) {
			f.once.Do(func() { panic("a fault of ours") })
		}
	}
	return f.RoundTripper.RoundTrip(r)
}

func TestACallThatPanicsGivesBackTheNameThatItLookedFor(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := newWorldAsking(t, &http.Client{Transport: &faulty{RoundTripper: transport}}).newShop()
	s.rule(everything()...)
	var ids []call.ID
	for i := range 3 { // who wait for the name keep the lane as it is
		s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": number(i)})
		ids = append(ids, s.receive(from(number(i))))
	}
	s.start(s.worker())
	s.untilSettled(ids...)
	s.holds(map[string]int{"Accounts": 1, "Deals": 3})
}

func TestAContactThatIsMergedInTheMidstIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	refuses := sandboxtest.Fault{Match: writeOf("Deals"), Times: 1, Kind: "status", Status: 202,
		Body: `{"data":[{"code":"INVALID_DATA","details":{"api_name":"Deal_Name"},"message":"no","status":"error"}]}`}
	for name, c := range map[string]struct {
		account bool // is there before
		fault   sandboxtest.Fault
		replay  bool
	}{
		"the Account was found":                       {account: true, fault: sandboxtest.Fault{Match: writeOf("Deals"), Times: 1, LatencyMS: 900}},
		"the Account was found, and a person replays": {account: true, fault: refuses, replay: true},
		"the Account was made":                        {fault: sandboxtest.Fault{Match: writeOf("Deals"), Times: 1, LatencyMS: 900}},
		"the Account was made, and a person replays":  {fault: refuses, replay: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			s.rule(everything()...)
			contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
			if c.account {
				s.zoho.Control.Put(s.org, "Accounts", sandboxtest.Record{"Account_Name": "ABC Corp"})
			}
			s.zoho.Control.Faults(s.org, c.fault)
			id := s.receive(sarah())
			if c.replay {
				s.untilStatus(id, delivery.NeedsAttention)
			} else {
				s.until("the Account known", func() bool {
					return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND slot = 'account' AND state = 'done'`, s.tenant.UUID()) == 1
				})
			}
			other := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Mobile": "+14155550123"})[0]
			s.zoho.Control.Merge(s.org, "Contacts", contact, other)
			if c.replay {
				s.replay(id)
			}
			s.untilSettled(id)
			s.holds(map[string]int{"Contacts": 1, "Accounts": 1, "Deals": 1, "Calls": 1, "Tasks": 1})
			if who := s.records("Deals")[0].Ref("Contact_Name"); who != other {
				t.Errorf("the Deal hangs on %q, not %s", who, other)
			}
			if who := s.records("Calls")[0].Ref("Who_Id"); who != other {
				t.Errorf("the Call hangs on %q, not %s", who, other)
			}
			if tags := fmt.Sprint(s.records("Contacts")[0]["Tag"]); !strings.Contains(tags, "Hot") {
				t.Errorf("the Contact's tags are %s", tags)
			}
		})
	}
}

func TestARecordThatIsLockedOrBusyHoldsUpItsOwnCallOnly(t *testing.T) { // I6
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	changed := sandboxtest.Fault{Match: sandboxtest.Match{Method: "PUT", Path: "/crm/v8/Contacts/*"}, Kind: "status", Status: 412, Effect: "none",
		Body: `{"data":[{"code":"ALREADY_MODIFIED","details":{"id":"1"},"message":"changed","status":"error"}]}`}
	for name, c := range map[string]struct {
		locked bool
		wait   float64 // seconds, at least
		tries  int     // before a person is asked
	}{"locked": {true, 3500, 3}, "busy": {false, 0, 7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			s.rule(routing.Outcome{Do: routing.LogCall, On: "contact"}, routing.Outcome{Do: routing.AddTags, Tags: []string{"Hot"}})
			contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
			free := func() {
				s.zoho.Control.ClearFaults(s.org)
				s.zoho.Control.Patch(s.org, "Contacts", contact, sandboxtest.Record{"$locked": false})
			}
			strike := func() {
				if c.locked {
					s.zoho.Control.Patch(s.org, "Contacts", contact, sandboxtest.Record{"$locked": true})
				} else {
					s.zoho.Control.Faults(s.org, changed)
				}
			}
			strike()
			tried := func(id call.ID, n int) {
				t.Helper()
				s.until("it was tried", func() bool {
					return value[int](s, `SELECT tries FROM calls WHERE tenant_id = $1 AND id = $2`, s.tenant.UUID(), id.UUID()) >= n
				})
			}
			due := func(id call.ID) {
				s.in(func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE calls SET next_at = now() WHERE tenant_id = $1 AND id = $2 AND next_at IS NOT NULL`, s.tenant.UUID(), id.UUID())
					if err != nil {
						return err
					}
					return delivery.Wake(ctx, tx, []tenant.ID{s.tenant})
				})
				s.bell.Ring(s.tenant)
			}
			id := s.receive(sarah())
			tried(id, 1)
			if wait := value[float64](s, `SELECT COALESCE(EXTRACT(EPOCH FROM next_at - now()), -1)::float8 FROM calls WHERE tenant_id = $1 AND id = $2`,
				s.tenant.UUID(), id.UUID()); wait < c.wait {
				t.Errorf("it is tried again in %.0f s", wait)
			}
			s.untilSettled(s.receive(from(number(1))))
			if faults := value[int](s, `SELECT faults FROM lanes WHERE tenant_id = $1`, s.tenant.UUID()); faults != 0 {
				t.Errorf("the lane had %d faults", faults)
			}
			free()
			due(id)
			s.untilSettled(id)

			strike()
			again := sarah()
			s.rule(routing.Outcome{Do: routing.LogCall, On: "contact"}, routing.Outcome{Do: routing.AddTags, Tags: []string{"Cold"}})
			id = s.receive(again)
			for n := range c.tries {
				tried(id, n+1)
				due(id)
			}
			s.untilStatus(id, delivery.NeedsAttention)
			free()
			s.replay(id)
			s.untilSettled(id)
			s.holds(map[string]int{"Calls": 3, "Contacts": 1})
			if tags := fmt.Sprint(s.records("Contacts")[0]["Tag"]); !strings.Contains(tags, "Hot") || !strings.Contains(tags, "Cold") {
				t.Errorf("the Contact's tags are %s", tags)
			}
		})
	}
}
