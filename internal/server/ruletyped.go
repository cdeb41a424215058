package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/call"
	"hookline/internal/fault"
	"hookline/internal/identity"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/internal/zoho"
	"hookline/web/page"
	"hookline/web/ui"
)

// whos are the callers that a typed call can come from.
var whos = []ui.Option{{Value: "new", Label: "A new caller"}, {Value: "lead", Label: "A known Lead"}, {Value: "contact", Label: "A known Contact"},
	{Value: "deal", Label: "A Contact with an open Deal"}, {Value: "hidden", Label: "Somebody with a hidden number"}}

const browserTime = "2006-01-02T15:04"

// typedForm is the form of a typed call: as it was sent, or as most calls are.
func typedForm(c echo.Context, m tenant.Tenant, now time.Time, menus ruleMenus) page.TypedCall {
	or := func(name, value string) string {
		if c.QueryParam("typed") == "" {
			return value
		}
		return c.QueryParam(name)
	}
	f := page.TypedCall{Who: or("who", "new"), Whos: whos, Said: or("said", ""), Stage: or("stage", ""), Amount: or("amount", ""),
		When: or("when", now.In(m.Zone).Format(browserTime)), Duration: or("seconds", "60"), Status: or("status", "completed"), Source: or("source", ""), Earlier: or("earlier", "0")}
	for _, stage := range menus.stages {
		f.Stages = append(f.Stages, ui.Option{Value: stage})
	}
	if len(f.Stages) == 0 {
		f.Stages = []ui.Option{{Value: "Qualification"}}
	}
	info, _ := routing.InfoOf(routing.FieldStatus)
	for _, ch := range info.Choices {
		f.Statuses = append(f.Statuses, ui.Option{Value: ch.Value, Label: ch.Label})
	}
	f.Sources = []ui.Option{{Value: "", Label: "Any"}}
	for _, name := range menus.sources {
		f.Sources = append(f.Sources, ui.Option{Value: name})
	}
	return f
}

// typedFacts are those of a typed call. The fault says what of it cannot be read.
func typedFacts(f page.TypedCall, m tenant.Tenant, now time.Time, pipelines []zoho.Pipeline) (routing.Facts, error) {
	began, err := time.ParseInLocation(browserTime, f.When, m.Zone)
	if err != nil {
		return routing.Facts{}, fault.New(fault.Invalid, "Enter the day and the time at which the call begins.")
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(f.Duration))
	if err != nil || seconds < 0 || seconds > 86_400 {
		return routing.Facts{}, fault.New(fault.Invalid, "Enter the talk time in seconds, 0 to 86,400.")
	}
	earlier, err := strconv.Atoi(strings.TrimSpace(f.Earlier))
	if err != nil || earlier < 0 || earlier > 50 {
		return routing.Facts{}, fault.New(fault.Invalid, "Enter 0 to 50 earlier calls.")
	}
	facts := routing.FactsAt(m, began, now)
	facts.Source = f.Source
	for i := range earlier {
		facts.Earlier = append(facts.Earlier, began.Add(-time.Duration(i+1)*time.Hour))
	}
	facts.Call = call.Call{Direction: call.Inbound, Status: call.Status(f.Status), From: "+14155550188", To: "+14155550100", StartedAt: began, Duration: time.Duration(seconds) * time.Second,
		FirstName: "Robin", LastName: "Reed", Company: "Reed & Sons"}
	if said := strings.TrimSpace(f.Said); said != "" {
		facts.Call.Transcript = []call.Turn{{Role: call.Caller, Text: clipped(said, 5000)}}
	}
	facts.Match, err = typedMatch(f, &facts.Call, pipelines)
	return facts, err
}

// typedMatch is who calls, as if Zoho had been asked.
func typedMatch(f page.TypedCall, c *call.Call, pipelines []zoho.Pipeline) (identity.Match, error) {
	person := &identity.Person{ID: "1", Name: "Robin Reed", FirstName: "Robin", LastName: "Reed", Company: "Reed & Sons"}
	switch f.Who {
	case "hidden":
		c.From, c.Withheld = "", true
		m, _ := identity.Unsearched(*c)
		return m, nil
	case "lead":
		person.Module = "Leads"
		return identity.Match{Kind: identity.Lead, Lead: person}, nil
	case "contact", "deal":
		person.Module, person.AccountID, person.AccountName = "Contacts", "2", "Reed & Sons"
		m := identity.Match{Kind: identity.Contact, Contact: person}
		if f.Who == "contact" {
			return m, nil
		}
		deal := identity.Deal{ID: "3", Name: "Reed & Sons - New order", Stage: f.Stage, Open: true, AccountID: "2"}
		if deal.Stage == "" {
			deal.Stage = f.Stages[0].Value
		}
		deal.Ahead, _ = identity.Ahead(pipelines, "", deal.Stage)
		if text := strings.TrimSpace(f.Amount); text != "" {
			amount, err := typedNumber(text)
			if err != nil {
				return m, err
			}
			deal.Amount, deal.HasAmount = amount, true
		}
		m.OpenDeals = []identity.Deal{deal}
		return m, nil
	}
	return identity.Match{Kind: identity.Nobody}, nil
}
