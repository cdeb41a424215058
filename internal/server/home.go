package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/intake"
	"hookline/web/page"
	"hookline/web/ui"
)

// setUpStays is how long the finished checklist is still shown.
const setUpStays = time.Hour

// home is where a member lands: set-up until it is done, and today's figures. htmx gets the story alone.
func (s *Server) home(c echo.Context) error {
	m := memberOf(c)
	link, err := s.Zoho.Get(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	sources, err := s.Sources.List(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	received, delivered, err := delivery.Firsts(ctx(c), s.DB, m.Tenant.ID)
	if err != nil {
		return err
	}
	now := s.Now()
	today := midnight(now.In(m.Tenant.Zone))
	figures, err := delivery.FiguresSince(ctx(c), s.DB, m.Tenant.ID, today)
	if err != nil {
		return err
	}
	latest, err := delivery.ListCalls(ctx(c), s.DB, m.Tenant, delivery.Filter{Limit: 8})
	if err != nil {
		return err
	}
	view := page.HomeView{TestCall: s.testCallAction(c), Greeting: "Is everything fine? Today in " + m.Tenant.Name + "."}
	done := link.Status == connection.Connected && len(sources) > 0 && !delivered.IsZero()
	if !done || now.Sub(delivered) < setUpStays {
		began := m.Tenant.CreatedAt
		view.SetUp = &page.SetUp{Elapsed: took(now.Sub(began).Truncate(time.Second)) + " since sign-up", Steps: s.setUp(c, began, link, sources, received, delivered)}
		if done {
			view.SetUp.Done = true
			view.SetUp.Elapsed = "Done in " + took(delivered.Sub(began).Truncate(time.Second))
		}
	}
	if view.Drift, err = s.drift(c); err != nil {
		return err
	}
	view.Stats = statsOf(figures)
	if figures.Received > 0 {
		view.Hours = hoursOf(figures.Hours, today)
	}
	view.Latest = s.callRows(c, latest.Calls)
	if figures.NeedsYou > 0 {
		needs, err := delivery.ListCalls(ctx(c), s.DB, m.Tenant, delivery.Filter{Status: delivery.NeedsAttention, Limit: 5})
		if err != nil {
			return err
		}
		view.Needs = s.callRows(c, needs.Calls)
		if figures.NeedsYou > len(view.Needs) {
			view.NeedsAll = "All " + thousands(figures.NeedsYou)
		}
	}
	if link.Budget.Limit > 0 {
		credits := s.creditsOf(link.Budget, m.Tenant.Zone)
		view.Credits = &credits
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return s.page(c, http.StatusOK, page.HomeStory(view))
	}
	view.Frame = s.frame(c, "Home", "home")
	return s.page(c, http.StatusOK, page.Home(view))
}

// setUp is the way from sign-up to the first call in Zoho; each step ticks itself.
func (s *Server) setUp(c echo.Context, began time.Time, link connection.Connection, sources []intake.Source, received, delivered time.Time) []ui.Step {
	m := memberOf(c)
	after := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		d := at.Sub(began).Truncate(time.Second)
		if d <= 0 {
			return "at once"
		}
		return "after " + took(d)
	}
	steps := []ui.Step{
		{Title: "Connect Zoho", Text: "One click, then say yes at Zoho.", Done: link.Status == connection.Connected, Took: after(link.ConnectedAt)},
		{Title: "Add a source", Text: "Where your calls come from. A test call makes one by itself.", Done: len(sources) > 0},
		{Title: "First call received", Text: "Send a test call, or make a real one.", Done: !received.IsZero(), Took: after(received)},
		{Title: "First call in Zoho", Text: "Follows by itself within seconds.", Done: !delivered.IsZero(), Took: after(delivered)},
	}
	if len(sources) > 0 {
		steps[1].Took = after(sources[0].CreatedAt)
	}
	kinds := [4]string{} // of the buttons: the next step's stands out
	for i := range steps {
		if !steps[i].Done {
			steps[i].Now, kinds[i] = true, "primary"
			break
		}
	}
	if m.Can(account.Configure) {
		steps[0].Act = ui.Link(ui.LinkProps{Label: "Connect Zoho", Href: "/zoho", Kind: kinds[0], Icon: "plug"})
		steps[1].Act = ui.Link(ui.LinkProps{Label: "Add a source", Href: "/sources", Kind: kinds[1], Icon: "plus"})
	}
	if action := s.testCallAction(c); action != "" {
		steps[2].Act = page.HomeTestCall(action, kinds[2])
	}
	return steps
}

func statsOf(f delivery.Figures) []ui.StatProps {
	stats := []ui.StatProps{
		{Label: "Calls today", Value: thousands(f.Received), Href: "/calls?days=1"},
		{Label: "Delivered", Value: thousands(f.Delivered), Href: "/calls?days=1&status=" + delivery.Delivered},
		{Label: "Waiting", Value: thousands(f.Waiting), Href: "/calls?status=" + delivery.Received},
		{Label: "Needs you", Value: thousands(f.NeedsYou), Href: "/calls?status=" + delivery.NeedsAttention},
		{Label: "Median time to Zoho", Value: "–"},
	}
	if f.Ignored > 0 {
		stats[1].Note = count(f.Ignored, "more ignored by a rule", "more ignored by a rule")
	}
	if f.Waiting > 0 {
		stats[2].Tone = ui.Warn
	}
	if f.NeedsYou > 0 {
		stats[3].Tone = ui.Bad
	}
	if f.Delivered > 0 {
		stats[4].Value, stats[4].Note = took(f.Median), "of today's calls"
	}
	return stats
}

// hoursOf is the day as bars, the hours to come included.
func hoursOf(hours []delivery.Hour, today time.Time) ui.BarsProps {
	b := ui.BarsProps{Title: "Calls per hour today", Unit: "Calls"}
	next := today.AddDate(0, 0, 1)
	at := 0
	for start := today; start.Before(next); start = start.Add(time.Hour) {
		bar := ui.Bar{Label: start.Format("15:04"), Quiet: start.Hour()%4 != 0, Text: "0"}
		if at < len(hours) && hours[at].Start.Equal(start) {
			bar.Value, bar.Text = float64(hours[at].Received), fmt.Sprint(hours[at].Received)
			at++
		}
		b.Bars = append(b.Bars, bar)
	}
	return b
}

// testCallAction is where a test call is asked for; empty when this person may not.
func (s *Server) testCallAction(c echo.Context) string {
	if memberOf(c).Can(account.Operate) {
		return "/test-call"
	}
	return ""
}

// testCall sends a simulated call of a new caller through the whole line. A workspace without a source gets one of
// the native kind, so that the first try is one click.
func (s *Server) testCall(c echo.Context) error {
	m := memberOf(c)
	sources, err := s.Sources.List(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		if !m.Can(account.Configure) {
			return fault.New(fault.Forbidden, "There is no source yet, and your role does not allow adding one.")
		}
		added, err := s.Sources.Add(ctx(c), m.Tenant.ID, intake.NewSource{Provider: "native", Name: "Test calls", Actor: m.Email})
		if err != nil {
			return err
		}
		sources = append(sources, added.Source)
	}
	if _, err := s.Sources.Simulate(ctx(c), s.Receiver, m.Tenant.ID, sources[0].ID, "new-caller", nil); err != nil {
		return err
	}
	return s.seeOther(c, "/", "A test call is on its way.")
}
