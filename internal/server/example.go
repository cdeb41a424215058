package server

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/identity"
	"hookline/internal/intake"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/web/ui"
)

// sampleCall stands for the made-up call that rules and mappings can be tried on before a real one came.
const sampleCall = "sample"

// presetCall begins the name of a simulated call among those to try on.
const presetCall = "preset:"

// exampleOf reads the call that the page is to be tried on, and the choice of calls: those that the request's "find" may
// mean, else the newest, then the made-up ones. What is asked for but not there becomes the first of them.
func exampleOf(c echo.Context, tx pgx.Tx, m tenant.Tenant, now time.Time, asked string) (facts routing.Facts, chosen string, calls []ui.Option, err error) {
	find := c.FormValue("find")
	examples, err := delivery.Examples(ctx(c), tx, m, find, 25)
	if err != nil {
		return facts, "", nil, err
	}
	group := "The newest calls"
	if strings.TrimSpace(find) != "" {
		group = "Calls that were found"
	}
	for _, e := range examples {
		calls = append(calls, ui.Option{Value: e.ID.String(), Label: exampleLabel(e, m), Group: group})
	}
	calls = append(calls, ui.Option{Value: sampleCall, Label: "Sarah Johnson asks for pricing", Group: "Made-up calls"})
	for _, p := range intake.Presets() {
		calls = append(calls, ui.Option{Value: presetCall + p.Name, Label: p.Label, Group: "Made-up calls"})
	}
	if asked == "" || find != "" && !slices.ContainsFunc(calls, func(o ui.Option) bool { return o.Value == asked }) {
		asked = calls[0].Value
	}
	if name, ok := strings.CutPrefix(asked, presetCall); ok {
		if p, ok := intake.PresetOf(name); ok {
			return presetFacts(m, p, now), asked, calls, nil
		}
	}
	id, notAnID := call.ParseID(asked)
	if notAnID != nil {
		return sampleFacts(m, now), sampleCall, calls, nil
	}
	if facts, err = delivery.FactsOf(ctx(c), tx, m.ID, id); err != nil {
		return facts, "", nil, err
	}
	facts.LocalTime, facts.DecidedAt = facts.LocalTime.In(m.Zone), facts.DecidedAt.In(m.Zone)
	if !slices.ContainsFunc(calls, func(o ui.Option) bool { return o.Value == asked }) { // older than those listed
		calls = slices.Insert(calls, 0, ui.Option{Value: asked, Label: exampleLabel(delivery.Example{Received: facts.DecidedAt, Name: cmp.Or(strings.TrimSpace(facts.Call.FirstName+" "+facts.Call.LastName), facts.Call.CallerName), Caller: facts.Call.Customer()}, m), Group: group})
	}
	return facts, asked, calls, nil
}

func exampleLabel(e delivery.Example, m tenant.Tenant) string {
	who := e.Name
	if who == "" {
		who = e.Caller.Display(m.Country)
	}
	if who == "" {
		who = "hidden number"
	}
	label := e.Received.In(m.Zone).Format("2 Jan, 15:04") + " · " + clipped(who, 40)
	if e.Outcome != "" {
		label += " · " + strings.ToLower(e.Outcome)
	}
	return label
}

func clipped(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// sampleFacts are the guide's caller, as if she rang now for the first time.
func sampleFacts(m tenant.Tenant, now time.Time) routing.Facts {
	at := now.In(m.Zone).Truncate(time.Second)
	facts := routing.FactsAt(m, at.Add(-5*time.Minute), at)
	facts.Match = identity.Match{Kind: identity.Nobody}
	facts.Call = call.Call{
		Direction: call.Inbound, Status: call.Completed, From: "+14155550123", To: "+14155550100", StartedAt: at.Add(-5 * time.Minute), Duration: 245 * time.Second,
		FirstName: "Sarah", LastName: "Johnson", Company: "ABC Corp", Email: "sarah@abc.example",
		Summary: "Wants pricing for 50 Enterprise seats, budget $50K, start in Q1.",
		Transcript: []call.Turn{
			{Role: call.Agent, Text: "Thanks for calling " + m.Name + ". How can I help?"},
			{Role: call.Caller, Text: "I'm interested in your Enterprise plan. What's the pricing for 50 users?", At: 4 * time.Second},
		},
		Answers: map[string]any{"interest": "Enterprise plan", "budget": "$50K", "timeline": "Q1"},
	}
	return facts
}

// presetFacts are those of a simulated call in an organisation that holds the people whom it speaks of.
func presetFacts(m tenant.Tenant, p intake.Preset, now time.Time) routing.Facts {
	c := p.Call(now)
	facts := routing.FactsAt(m, c.StartedAt, now)
	facts.Call, facts.Match = c, identity.Match{Kind: identity.Nobody}
	if !p.Known() {
		return facts
	}
	facts.Match = identity.Match{Kind: identity.Contact, Contact: &identity.Person{Module: "Contacts", ID: "1", Name: c.FirstName + " " + c.LastName, FirstName: c.FirstName, LastName: c.LastName,
		Email: c.Email, AccountID: "2", AccountName: c.Company}}
	if name := p.Deal(); name != "" {
		facts.Match.OpenDeals = []identity.Deal{{ID: "3", Name: name, Stage: "Qualification", Amount: 50000, HasAmount: true, AccountID: "2"}}
	}
	return facts
}
