package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/connection"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/zoho"
	"hookline/web/page"
	"hookline/web/ui"
)

// actorOf is who acts on a link to Zoho.
func actorOf(c echo.Context) connection.Actor {
	m := memberOf(c)
	return connection.Actor{Person: m.Person.UUID(), Name: m.Email}
}

// consentSession is what a consent is bound to: this browser's session, as a hash.
func consentSession(c echo.Context) []byte {
	sum := sha256.Sum256([]byte("consent " + visitorOf(c).session.ID))
	return sum[:]
}

// zohoPage shows the link, and after a try that failed, why.
func (s *Server) zohoPage(c echo.Context) error {
	linked, err := s.Zoho.Get(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	stand, err := s.callsByStand(c)
	if err != nil {
		return err
	}
	view := s.zohoView(c, linked, stand)
	if linked.Status == connection.Connected {
		known, err := s.Zoho.Known(ctx(c), tenantOf(c))
		if err != nil {
			return err
		}
		view.Abilities = abilitiesOf(linked, known)
		view.Marker = markerOf(linked, known)
	}
	if c.QueryParam("tried") != "" {
		o, ok, err := s.Zoho.LastOutcome(ctx(c), tenantOf(c), actorOf(c), consentSession(c))
		if err != nil {
			return err
		}
		if ok {
			view.Notice = o.Reason
		}
	}
	return s.page(c, http.StatusOK, page.ZohoPage(s.frame(c, "Zoho CRM", "zoho"), view))
}

// connectZoho sends the browser to Zoho's consent page.
func (s *Server) connectZoho(c echo.Context) error {
	target, err := s.Zoho.Begin(ctx(c), tenantOf(c), actorOf(c), consentSession(c))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// zohoCallback takes what Zoho's redirect brings back through the browser.
func (s *Server) zohoCallback(c echo.Context) error {
	o, err := s.Zoho.Finish(ctx(c), tenantOf(c), actorOf(c), consentSession(c), connection.Callback{
		State: c.QueryParam("state"), Code: c.QueryParam("code"), Location: c.QueryParam("location"),
		AccountsServer: c.QueryParam("accounts-server"), Error: c.QueryParam("error"),
	})
	if fault.KindOf(err) == fault.Invalid {
		return s.page(c, http.StatusBadRequest, page.ZohoRefusedPage(s.frame(c, "Not connected", "zoho"), fault.SentenceOf(err)))
	}
	if err != nil {
		return err
	}
	switch o.Result {
	case connection.Linked:
		if o.AddsMarker {
			return s.makeMarkers(c)
		}
		return s.seeOther(c, "/zoho", "Zoho is connected.")
	case connection.OtherOrg:
		return s.seeOther(c, "/zoho/confirm", "")
	}
	return s.seeOther(c, "/zoho?tried=1", "")
}

// zohoConfirmForm asks for the typed name of another organisation.
func (s *Server) zohoConfirmForm(c echo.Context) error {
	return s.askOtherOrg(c, http.StatusOK, "", "")
}

func (s *Server) askOtherOrg(c echo.Context, status int, typed, problem string) error {
	waiting, found, err := s.Zoho.Pending(ctx(c), tenantOf(c), actorOf(c), consentSession(c))
	if err != nil {
		return err
	}
	if !found {
		return s.seeOther(c, "/zoho", "No organisation waits for your word any more.")
	}
	linked, err := s.Zoho.Get(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	stand, err := s.callsByStand(c)
	if err != nil {
		return err
	}
	view := page.ZohoConfirm{
		Now: linked.OrgName, Other: waiting.OrgName, Typed: typed, Error: problem,
		OtherFacts: []ui.KV{
			{Key: "Organisation", Value: waiting.OrgName + " (" + waiting.OrgID + ")"},
			{Key: "Data centre", Value: waiting.Centre.Name},
			{Key: "Edition", Value: editionName(waiting.Edition)},
			{Key: "Zoho user", Value: waiting.ZohoUser},
		},
		Effects: []string{
			fmt.Sprintf("New calls, and %s, go to %s instead of %s.", countWaiting(stand.waiting), waiting.OrgName, linked.OrgName),
			"Every caller is looked up afresh: what was remembered belongs to " + linked.OrgName + ".",
			fmt.Sprintf("The records of %s already delivered stay in %s.", count(stand.delivered, "call", "calls"), linked.OrgName),
			"Fields and stages may differ there: look at your mapping and rules afterwards.",
		},
	}
	return s.page(c, status, page.ZohoConfirmPage(s.frame(c, "Another organisation", "zoho"), view))
}

// confirmZoho takes the answer: the typed name, or to keep what stands.
func (s *Server) confirmZoho(c echo.Context) error {
	if c.FormValue("keep") != "" {
		if err := s.Zoho.DeclineOther(ctx(c), tenantOf(c), actorOf(c), consentSession(c)); err != nil {
			return err
		}
		return s.seeOther(c, "/zoho", "Nothing was changed.")
	}
	typed := c.FormValue("org_name")
	err := s.Zoho.ConfirmOther(ctx(c), tenantOf(c), actorOf(c), consentSession(c), typed)
	if fault.KindOf(err) == fault.Invalid {
		return s.askOtherOrg(c, http.StatusUnprocessableEntity, typed, fault.SentenceOf(err))
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/zoho", "Zoho is connected to another organisation.")
}

// probeZoho asks Zoho anew what the link may do.
func (s *Server) probeZoho(c echo.Context) error {
	err := s.Zoho.Probe(ctx(c), tenantOf(c))
	if err == nil {
		err = s.Zoho.LookAtAll(ctx(c), tenantOf(c))
	}
	if err != nil {
		s.Log.Warn("probing zoho", "request", requestIDOf(c), "tenant", tenantOf(c).String(), "err", err)
		return s.seeOther(c, "/zoho", "Zoho could not be asked just now. What you see is from the last time.")
	}
	return s.seeOther(c, "/zoho", "Checked.")
}

// addMarker lets Hookline add the field that makes doubles impossible: at once where the consent allows it, else by way of a
// consent that does.
func (s *Server) addMarker(c echo.Context) error {
	linked, err := s.Zoho.Get(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	if linked.Status == connection.Connected && linked.MayAddMarkers() {
		return s.makeMarkers(c)
	}
	target, err := s.Zoho.BeginMarker(ctx(c), tenantOf(c), actorOf(c), consentSession(c))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, target)
}

func (s *Server) makeMarkers(c echo.Context) error {
	if err := s.Zoho.AddMarkers(ctx(c), tenantOf(c), actorOf(c), mapping.RefField); err != nil {
		s.Log.Warn("adding a field in zoho", "request", requestIDOf(c), "tenant", tenantOf(c).String(), "err", err)
		return s.seeOther(c, "/zoho#marker", "Zoho is connected, but could not be asked to add the field just now. Try again in a minute.")
	}
	return s.seeOther(c, "/zoho#marker", "Zoho was asked to add the field. Below is what is there now.")
}

// disconnectZohoForm asks before the link is ended.
func (s *Server) disconnectZohoForm(c echo.Context) error {
	linked, err := s.Zoho.Get(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	if linked.Status == connection.NotConnected || linked.Status == connection.Disconnected {
		return s.seeOther(c, "/zoho", "Zoho is not connected.")
	}
	stand, err := s.callsByStand(c)
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, page.ZohoDisconnectPage(s.frame(c, "Disconnect Zoho", "zoho"), page.ZohoDisconnect{
		Org: linked.OrgName,
		Effects: []string{
			"Hookline's access is withdrawn at Zoho at once.",
			fmt.Sprintf("New calls, and %s, are kept here and held until you reconnect.", countWaiting(stand.waiting)),
			fmt.Sprintf("The records of %s already delivered stay in Zoho.", count(stand.delivered, "call", "calls")),
		},
	}))
}

func (s *Server) disconnectZoho(c echo.Context) error {
	confirmed, err := s.Zoho.Disconnect(ctx(c), tenantOf(c), actorOf(c))
	if err != nil {
		return err
	}
	if !confirmed {
		return s.seeOther(c, "/zoho", "Disconnected here. Zoho did not confirm: remove Hookline under Connected Apps in your Zoho account, too.")
	}
	return s.seeOther(c, "/zoho", "Zoho is disconnected.")
}

// stand is how many calls there are in the two heaps that consequences are told in.
type stand struct{ waiting, delivered int }

func (s *Server) callsByStand(c echo.Context) (stand, error) {
	var n stand
	err := s.inTenant(c, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx(c), `
			SELECT count(*) FILTER (WHERE status IN ('received', 'delivering')), count(*) FILTER (WHERE status = 'delivered')
			  FROM calls
			 WHERE tenant_id = @tenant`, pgx.StrictNamedArgs{"tenant": tenantOf(c).UUID()}).Scan(&n.waiting, &n.delivered)
	})
	if err != nil {
		return stand{}, fmt.Errorf("counting calls: %w", err)
	}
	return n, nil
}

func (s *Server) zohoView(c echo.Context, linked connection.Connection, n stand) page.Zoho {
	m := memberOf(c)
	when := func(name string, shown ui.TimeProps) ui.KV {
		if shown.Text == "" {
			return ui.KV{Key: name}
		}
		return ui.KV{Key: name, Shown: ui.Time(shown)}
	}
	view := page.Zoho{
		Status: string(linked.Status), Reason: linked.Reason, CanAct: m.Can(account.Configure), Sandbox: s.Sandbox,
		Known: linked.OrgID != "", ProbedAt: moment(linked.ProbedAt, s.Now(), m.Tenant.Zone),
	}
	if n.waiting > 0 && linked.Status != connection.Connected && linked.OrgID != "" {
		view.Waiting = strings.ToUpper(countWaiting(n.waiting)[:1]) + countWaiting(n.waiting)[1:] + " will be delivered in order."
	}
	if linked.OrgID != "" {
		view.Facts = []ui.KV{
			{Key: "Organisation", Value: linked.OrgName + " (" + linked.OrgID + ")"},
			{Key: "Data centre", Value: linked.Centre.Name},
			{Key: "Edition", Value: editionName(linked.Edition)},
			{Key: "Zoho user", Value: linked.ZohoUser},
			{Key: "Connected by", Value: linked.ConnectedBy},
			when("Connected", moment(linked.ConnectedAt, s.Now(), m.Tenant.Zone)),
			when("Last success", moment(linked.LastSuccessAt, s.Now(), m.Tenant.Zone)),
		}
	}
	if linked.Budget.Limit > 0 {
		view.Credits = s.creditsOf(linked.Budget, m.Tenant.Zone)
	}
	scopes := linked.Scopes
	if linked.Status != connection.Connected {
		scopes = nil // what will be asked for
	}
	for _, line := range connection.Words(scopes) {
		view.Access = append(view.Access, page.ZohoAccess{What: line.What, Rights: line.Rights, Why: line.Why, Missing: line.Missing})
	}
	for _, p := range linked.Probe {
		row := page.ZohoModule{Name: p.Module}
		for _, r := range p.Rights {
			name := strings.ToUpper(string(r.Right[:1])) + string(r.Right[1:])
			row.Rights = append(row.Rights, page.ZohoRight{Name: name, OK: r.OK, Needed: r.Needed, Missing: r.Missing})
			if r.Needed && !r.OK {
				view.Missing = append(view.Missing, fmt.Sprintf("%s cannot be %s: %s.", p.Module, done(r.Right), r.Missing))
			}
		}
		view.Probe = append(view.Probe, row)
	}
	return view
}

// abilitiesOf are what the organisation's edition has, as far as it was asked.
func abilitiesOf(linked connection.Connection, known map[string]zoho.Metadata) []ui.KV {
	var facts []ui.KV
	for _, a := range linked.Abilities {
		badge := ui.Badge(ui.Plain, "No")
		switch {
		case a.Has:
			badge = ui.Badge(ui.Good, "Yes")
		case !a.Known:
			badge = ui.Badge(ui.Warn, "Not known")
		}
		facts = append(facts, ui.KV{Key: a.Name, Shown: page.ZohoAbility(badge, a.Words)})
	}
	if len(known) == 0 {
		return facts
	}
	own := 0
	for _, md := range known {
		for _, f := range md.Fields {
			if f.Custom && f.APIName != mapping.RefField {
				own++
			}
		}
	}
	words := "none yet in the modules that calls write"
	if own > 0 {
		words = thousands(own) + " in the modules that calls write"
	}
	facts = append(facts, ui.KV{Key: "Fields of your own", Value: words})
	if deals, ok := known["Deals"]; ok {
		var names []string
		for _, p := range deals.Pipelines {
			names = append(names, p.Name)
		}
		facts = append(facts, ui.KV{Key: "Pipelines", Value: strings.Join(names, ", ")})
	}
	return facts
}

// markerOf is how far the organisation makes doubles impossible.
func markerOf(linked connection.Connection, known map[string]zoho.Metadata) page.ZohoMarker {
	words := map[connection.MarkerState]string{
		connection.MarkerThere:     "There",
		connection.MarkerAbsent:    "Not there",
		connection.MarkerNotUnique: "There, but two records may have one value: tick “Do not allow duplicate values” on it in Zoho",
		connection.MarkerUnknown:   "Not looked at yet",
	}
	view := page.ZohoMarker{Field: mapping.RefField, Label: strings.ReplaceAll(mapping.RefField, "_", " "), Leaves: !linked.MayAddMarkers(), Whole: true}
	for _, m := range linked.Markers(mapping.RefField, known) {
		row := page.ZohoMarked{Module: m.Module, There: m.State == connection.MarkerThere, Words: words[m.State]}
		if m.State == connection.MarkerRefused {
			row.Words = "Not possible: " + m.Why
		}
		view.Whole = view.Whole && row.There
		view.Offers = view.Offers || m.State == connection.MarkerAbsent || m.State == connection.MarkerUnknown
		view.Modules = append(view.Modules, row)
	}
	return view
}

func done(r connection.Right) string {
	switch r {
	case connection.Create:
		return "created"
	case connection.Update:
		return "updated"
	}
	return "read"
}

// editions are Zoho's names of its editions, as its price list writes them.
var editions = map[string]string{
	"free": "Free", "standard": "Standard", "professional": "Professional", "enterprise": "Enterprise", "ultimate": "Ultimate",
	"crmplus": "CRM Plus", "crmplusstarter": "CRM Plus Starter", "zohooneenterprise": "Zoho One", "zohoonestandard": "Zoho One Standard",
}

func editionName(edition string) string {
	if name, ok := editions[strings.ToLower(edition)]; ok {
		return name
	}
	return edition
}

// creditsOf says how the organisation's credits stand, how long they last, and what waits first when they do not.
func (s *Server) creditsOf(b connection.Budget, zone *time.Location) page.ZohoCredits {
	note := thousands(max(b.Left, 0)) + " are left, shared with the other apps of your organisation. "
	if lasts, runsOut := b.LastsFor(); runsOut {
		note += "At the pace of the last three hours they are used up about " + s.Now().Add(lasts).In(zone).Format("15:04") +
			". When they run low, late summaries wait first, then calls of callers you know; new callers come last."
	} else {
		note += "At the pace of the last three hours they last all day."
	}
	return page.ZohoCredits{Used: thousands(b.Used), Limit: thousands(b.Limit), Percent: min(100, b.Used*100/b.Limit), Note: note}
}

func countWaiting(n int) string {
	if n == 1 {
		return "1 call that waits"
	}
	if n == 0 {
		return "no waiting call"
	}
	return thousands(n) + " calls that wait"
}
