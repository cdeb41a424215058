package mapping_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/seal"
	"hookline/internal/zoho"
	"hookline/internal/zoho/sandbox/sandboxtest"
)

// inZoho is an organisation of the sandbox, reached over HTTP, and what its modules look like.
func inZoho(t *testing.T) (api *zoho.API, control sandboxtest.Control, org string, md mapping.Metadata) {
	t.Helper()
	s := sandboxtest.New(t)
	granted := s.Control.NewOrg("enterprise", "us")
	tokens := s.Control.Exchange(granted)
	api = zoho.NewClient(zoho.Options{Centres: zoho.SandboxCentres(s.URL)}).For(func(context.Context, seal.Secret) (zoho.Access, error) {
		return zoho.Access{APIDomain: tokens.APIDomain, Token: seal.Secret(tokens.Access)}, nil
	}, nil)
	return api, s.Control, granted.OrgID, metadataOf(t, api)
}

func metadataOf(t *testing.T, api *zoho.API) mapping.Metadata {
	t.Helper()
	md := mapping.Metadata{}
	for _, m := range mapping.Modules {
		read, err := api.Metadata(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		md[m] = read
	}
	return md
}

// TestWhatTheDefaultsRenderIsTakenByZoho writes the default rules' records for every kind of call into the sandbox,
// which checks them as Zoho does.
func TestWhatTheDefaultsRenderIsTakenByZoho(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	api, control, org, md := inZoho(t)
	for _, p := range mapping.Check(mapping.DefaultSet(), md) {
		if p.Blocking {
			t.Errorf("the defaults do not fit the organisation: %+v", p)
		}
	}
	account := control.Put(org, "Accounts", sandboxtest.Record{"Account_Name": "ABC Corp"})[0]
	contact := control.Put(org, "Contacts", sandboxtest.Record{"Last_Name": "Johnson", "Phone": "+14155550123"})[0]
	known := identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: contact, Name: "Sarah Johnson", AccountID: account, AccountName: "ABC Corp"}}

	at := time.Date(2026, 3, 2, 17, 4, 5, 0, time.FixedZone("", -8*3600))
	base := func() routing.Facts {
		return routing.Facts{
			Call: call.Call{Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: at, Duration: 245 * time.Second,
				FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example", Summary: "Wants pricing.",
				RecordingURL: "https://recordings.example/1", Answers: map[string]any{"budget": "$50K", "interest": "Enterprise plan", "timeline": "Q1"}},
			Match: identity.Match{Kind: identity.Nobody}, Open: true, LocalTime: at, DecidedAt: at, Country: "US",
		}
	}
	for name, change := range map[string]func(*routing.Facts){
		"a new caller": func(*routing.Facts) {},
		"a number and no more": func(f *routing.Facts) {
			f.Call = call.Call{Direction: call.Inbound, Status: call.Completed, From: "+14155550123"}
		},
		"one name":            func(f *routing.Facts) { f.Call.FirstName, f.Call.LastName = "Cher", "" },
		"a missed call":       func(f *routing.Facts) { f.Call.Status, f.Call.Duration = call.Missed, 0 },
		"a voicemail":         func(f *routing.Facts) { f.Call.Status = call.Voicemail },
		"a failed call":       func(f *routing.Facts) { f.Call.Status = call.Failed },
		"a buyer":             func(f *routing.Facts) { f.Match = known },
		"a buyer, no Account": func(f *routing.Facts) { f.Match = known; c := *known.Contact; c.AccountID = ""; f.Match.Contact = &c },
		"a Contact":           func(f *routing.Facts) { f.Match = known; f.Call.Summary = "Asks for an appointment." },
		"an outbound call": func(f *routing.Facts) {
			f.Match = known
			f.Call.Direction = call.Outbound
			f.Call.From, f.Call.To = f.Call.To, f.Call.From
		},
		"a long summary": func(f *routing.Facts) { f.Call.Summary = strings.Repeat("Wants pricing. ", 40) },
		"a long transcript": func(f *routing.Facts) {
			f.Call.Transcript = []call.Turn{{Role: call.Caller, Text: strings.Repeat("a price ", 5000)}}
		},
		"emoji, right to left": func(f *routing.Facts) { f.Call.FirstName, f.Call.LastName = "يوسف", "الأحمد 🌟" },
		"names of 200 letters": func(f *routing.Facts) {
			f.Call.FirstName, f.Call.LastName, f.Call.Company = strings.Repeat("a", 200), strings.Repeat("b", 200), strings.Repeat("c", 300)
		},
		"an address that is none": func(f *routing.Facts) { f.Call.Email = "sarah at abc" },
		"a link that is none":     func(f *routing.Facts) { f.Call.RecordingURL = "recording 17" },
		"quotes and braces":       func(f *routing.Facts) { f.Call.Summary = `","Owner":{"id":"1"} {{ secret }}` },
	} {
		t.Run(name, func(t *testing.T) {
			f := base()
			change(&f)
			d := routing.Decide(routing.DefaultSet(), f)
			drafts, problems := mapping.Render(mapping.DefaultSet(), d, f, md)
			if len(problems) > 0 || len(drafts) == 0 {
				t.Fatalf("%s: %+v", d.Outcome, problems)
			}
			ids := map[string]string{}
			for _, draft := range drafts {
				rec, err := draft.Record(ids, "4k7q2m")
				if err != nil {
					t.Fatal(err)
				}
				results, err := api.Create(ctx, draft.Module, []zoho.Record{rec}, zoho.WriteOptions{})
				if err != nil || results[0].Err != nil {
					t.Fatalf("%s: %v %v", draft.Module, err, results)
				}
				ids[draft.Slot] = results[0].ID
				got, _, err := api.Get(ctx, draft.Module, results[0].ID, nil)
				if err != nil {
					t.Fatal(err)
				}
				if draft.Marker.RefIn(got) != "4k7q2m" {
					t.Errorf("%s: no reference in %v", draft.Module, got)
				}
			}
		})
	}
}
