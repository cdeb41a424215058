package delivery_test

import (
	"testing"

	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/mapping"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// maps replaces the rows of one module in the tenant's live mapping.
func (s *shop) maps(module string, rows ...mapping.Row) {
	s.t.Helper()
	s.configures(func(c *config.Set) { c.Mappings.Modules[module] = rows })
}

func TestAContactIsChangedInEachRowsModeAndNobodyIsOverruled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.worker())
	put := sandboxtest.Match{Method: "PUT", Path: "/crm/v8/Contacts/*"}
	for name, c := range map[string]struct {
		fault     *sandboxtest.Fault
		meanwhile sandboxtest.Record
		want      sandboxtest.Record
		puts      int
	}{
		"nobody else is at it": {puts: 1, want: sandboxtest.Record{"Title": "Buyer", "Department": "Kitchen", "Email": "sarah@abc.example", "Description": "Met at the fair\nCalled"}},
		"the answer is lost, the change is not": {fault: &sandboxtest.Fault{Kind: "reset", Effect: "after"}, puts: 1,
			want: sandboxtest.Record{"Title": "Buyer", "Department": "Kitchen", "Email": "sarah@abc.example", "Description": "Met at the fair\nCalled"}},
		"the change is lost": {fault: &sandboxtest.Fault{Kind: "reset", Effect: "none"}, puts: 2,
			want: sandboxtest.Record{"Title": "Buyer", "Department": "Kitchen", "Email": "sarah@abc.example", "Description": "Met at the fair\nCalled"}},
		"it landed and a person changed it since": {fault: &sandboxtest.Fault{Kind: "reset", Effect: "after"}, puts: 1,
			meanwhile: sandboxtest.Record{"Title": "Boss", "Description": "Met at the fair\nCalled\nWrote back", "Email": "new@abc.example"},
			want:      sandboxtest.Record{"Title": "Boss", "Department": "Kitchen", "Email": "new@abc.example", "Description": "Met at the fair\nCalled\nWrote back"}},
		"it was lost and a person changed the record since": {fault: &sandboxtest.Fault{Kind: "reset", Effect: "none"}, puts: 2,
			meanwhile: sandboxtest.Record{"Title": "Boss", "Description": "Met at the fair\nWrote back"},
			want:      sandboxtest.Record{"Title": "Boss", "Department": "Kitchen", "Email": "sarah@abc.example", "Description": "Met at the fair\nWrote back\nCalled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.within(t).newShop()
			s.maps("Contacts", mapping.Row{Field: "Title", Value: "Buyer", Mode: mapping.Always}, mapping.Row{Field: "Department", Value: "Sales"},
				mapping.Row{Field: "Email", Value: "{{ email }}"}, mapping.Row{Field: "Description", Value: "Called", Mode: mapping.Append},
				mapping.Row{Field: "Mobile", Value: "{{ caller_number }}", Mode: mapping.Never})
			contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123",
				"Title": "Chef", "Department": "Kitchen", "Description": "Met at the fair"})[0]
			if c.fault != nil {
				c.fault.Match, c.fault.Times = put, 1
				s.zoho.Control.Faults(s.org, *c.fault)
			}
			id := s.receive(sarah())
			if c.meanwhile != nil {
				s.until("the answer lost", func() bool {
					return value[int](s, `SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND state = 'unknown'`, s.tenant.UUID()) == 1
				})
				s.zoho.Clock.Advance(2e9)
				s.zoho.Control.Patch(s.org, "Contacts", contact, c.meanwhile)
			}
			s.untilSettled(id)
			r := s.records("Contacts")[0]
			for field, want := range c.want {
				if r[field] != want {
					t.Errorf("%s is %q, want %q", field, r[field], want)
				}
			}
			if r.Text("Mobile") != "" {
				t.Errorf("Mobile was written: %q", r.Text("Mobile"))
			}
			if n := s.requests(id, "PUT", contact); n != c.puts {
				t.Errorf("%d updates", n)
			}
			s.holds(map[string]int{"Calls": 1, "Contacts": 1})
		})
	}
}

func TestARecordChangedByAPersonBetweenReadingAndWritingIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.maps("Contacts", mapping.Row{Field: "Title", Value: "Buyer"})
	contact := s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
	s.zoho.Control.Faults(s.org, sandboxtest.Fault{Match: writeOf("Calls"), Times: 1, LatencyMS: 700}) // time for a person
	s.start(s.worker())
	id := s.receive(sarah())
	s.until("the call is being logged", func() bool { return s.status(id) == delivery.Delivering })
	s.zoho.Clock.Advance(2e9)
	s.zoho.Control.Patch(s.org, "Contacts", contact, sandboxtest.Record{"Title": "Boss"})
	s.untilSettled(id)
	if title := s.records("Contacts")[0].Text("Title"); title != "Boss" {
		t.Errorf("the title is %q", title)
	}
	if d := s.slot(id, mapping.SlotContact); d.Left == "" {
		t.Errorf("%+v", d)
	}
}

func TestLateNewsReachesTheContactThatTheCallFilledAndTheCallsRecording(t *testing.T) {
	t.Parallel()
	s := newWorld(t).newShop()
	s.maps("Contacts", mapping.Row{Field: "Email", Value: "{{ email }}"}, mapping.Row{Field: "Description", Value: "{{ call_summary }}", Mode: mapping.Append})
	s.zoho.Control.Put(s.org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123", "Description": "Met at the fair"})
	s.start(s.worker())
	c := sarah()
	c.ProviderCallID, c.Email = "np_late_contact", "old@abc.example"
	id := s.receiveEvent(call.Event{Kind: call.KindCompleted, Call: c})
	s.untilSettled(id)
	s.receiveEvent(call.Event{Kind: call.KindUpdated, Call: call.Call{ProviderCallID: c.ProviderCallID, Email: "sarah@abc.example",
		Summary: "Asks about opening hours on Sunday.", RecordingURL: "https://recordings.example/np_late_contact.mp3"}})
	s.until("the recording in Zoho", func() bool {
		return s.records("Calls")[0].Text("Voice_Recording__s") == "https://recordings.example/np_late_contact.mp3"
	})
	s.untilSettled(id)
	r := s.records("Contacts")[0]
	if r.Text("Email") != "sarah@abc.example" || r.Text("Description") != "Met at the fair\nAsks about opening hours on Sunday." {
		t.Errorf("the Contact is %v", r)
	}
	s.holds(map[string]int{"Calls": 1, "Contacts": 1})
}
