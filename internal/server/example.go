package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/identity"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/web/ui"
)

// sampleCall stands for the made-up call that rules and mappings can be tried on before a real one came.
const sampleCall = "sample"

// exampleOf reads the call that the page is to be tried on, and the choice of calls. What is asked for but not there
// becomes the newest call, and without any the sample. Not chosen tells a page that waits for a choice.
func exampleOf(c echo.Context, tx pgx.Tx, m tenant.Tenant, now time.Time, asked string) (facts routing.Facts, chosen string, calls []ui.Option, err error) {
	examples, err := delivery.Examples(ctx(c), tx, m.ID, 25)
	if err != nil {
		return facts, "", nil, err
	}
	for _, e := range examples {
		calls = append(calls, ui.Option{Value: e.ID.String(), Label: exampleLabel(e, m)})
	}
	calls = append(calls, ui.Option{Value: sampleCall, Label: "A made-up call: Sarah Johnson asks for pricing"})
	if asked == "" {
		asked = calls[0].Value
	}
	if id, parseErr := call.ParseID(asked); parseErr == nil {
		if facts, err = delivery.FactsOf(ctx(c), tx, m.ID, id); err != nil {
			return facts, "", nil, err
		}
		facts.LocalTime, facts.DecidedAt = facts.LocalTime.In(m.Zone), facts.DecidedAt.In(m.Zone)
		return facts, asked, calls, nil
	}
	return sampleFacts(m, now), sampleCall, calls, nil
}

func exampleLabel(e delivery.Example, m tenant.Tenant) string {
	who := e.Name
	if who == "" {
		who = e.Caller.Display(m.Country)
	}
	if who == "" {
		who = "hidden number"
	}
	return fmt.Sprintf("%s · %s · %s", e.Received.In(m.Zone).Format("2 Jan, 15:04"), clipped(who, 40), strings.ToLower(e.Outcome))
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
