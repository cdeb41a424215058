package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/seal"
	"hookline/internal/tenant"
	"hookline/web/page"
	"hookline/web/ui"
)

func (s *Server) business(c echo.Context) error {
	t := memberOf(c).Tenant
	v := s.businessView(c)
	v.Name, v.Country, v.Zone, v.Holidays = t.Name, t.Country, t.Zone.String(), tenant.HolidayLines(t.Holidays)
	for i, day := range v.Days {
		open := t.Hours[i]
		v.Days[i].Open = open.Open < open.Close
		v.Days[i].From, v.Days[i].To = "09:00", "17:00"
		if v.Days[i].Open {
			v.Days[i].From, v.Days[i].To = clock(open.Open), clock(open.Close)
		}
		v.Days[i].Name = day.Name
	}
	return s.page(c, http.StatusOK, page.Business(v))
}

func (s *Server) businessView(c echo.Context) page.BusinessView {
	m := memberOf(c)
	v := page.BusinessView{
		Frame: s.frame(c, "Settings", "settings"), Administers: m.Can(account.Administer),
		Trial:     "Trial until " + m.Tenant.TrialEndsAt.In(m.Tenant.Zone).Format("2 January 2006") + ".",
		Countries: countryOptions(), Zones: zoneOptions(), Problems: page.Problems{},
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		v.Days = append(v.Days, page.DayHours{Key: fmt.Sprintf("day%d", d), Name: d.String()})
	}
	return v
}

// saveBusiness stores the form, or gives it back with what is wrong beside each field.
func (s *Server) saveBusiness(c echo.Context) error {
	v := s.businessView(c)
	t := memberOf(c).Tenant
	t.Name, t.Country = strings.TrimSpace(c.FormValue("name")), c.FormValue("country")
	v.Name, v.Country, v.Zone, v.Holidays = t.Name, t.Country, c.FormValue("zone"), c.FormValue("holidays")
	if n := utf8.RuneCountInString(t.Name); n < 1 || n > 200 {
		v.Problems["name"] = "Enter the name of your business, at most 200 characters."
	}
	if !tenant.IsCountry(t.Country) {
		v.Problems["country"] = "Choose the country whose phone numbers you use."
	}
	zone, ok := tenant.LoadZone(v.Zone)
	if !ok {
		v.Problems["zone"] = "Choose your time zone."
	}
	t.Zone = zone
	for i := range v.Days {
		d := &v.Days[i]
		d.Open, d.From, d.To = c.FormValue(d.Key) != "", c.FormValue(d.Key+"-from"), c.FormValue(d.Key+"-to")
		t.Hours[i].Open, t.Hours[i].Close = 0, 0
		if !d.Open {
			continue
		}
		from, fromOK := minutes(d.From)
		to, toOK := minutes(d.To)
		if !fromOK || !toOK || from >= to {
			d.Error = "Opening must be before closing."
			v.Problems[d.Key] = d.Error
			continue
		}
		t.Hours[i].Open, t.Hours[i].Close = from, to
	}
	holidays, unread := tenant.ParseHolidays(v.Holidays)
	if len(unread) > 0 {
		v.Problems["holidays"] = strings.Join(unread[:min(len(unread), 5)], " ")
	}
	t.Holidays = holidays
	if len(v.Problems) > 0 {
		return s.page(c, http.StatusUnprocessableEntity, page.Business(v))
	}
	err := s.inTenant(c, func(tx pgx.Tx) error {
		if err := tenant.Update(ctx(c), tx, t); err != nil {
			return err
		}
		return account.Audit(ctx(c), tx, t.ID, memberOf(c).Email, "business.changed", t.Name,
			map[string]any{"country": t.Country, "zone": t.Zone.String()})
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, "/settings", "Saved.")
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func minutes(text string) (int, bool) {
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil
}

func (s *Server) security(c echo.Context) error { return s.securityPage(c, http.StatusOK, nil) }

func (s *Server) securityPage(c echo.Context, status int, problems page.Problems) error {
	m := memberOf(c)
	open, err := s.Sessions.List(ctx(c), m.Person, visitorOf(c).session)
	if err != nil {
		return err
	}
	v := page.SecurityView{
		Frame: s.frame(c, "Security", "settings"), Administers: m.Can(account.Administer), Email: m.Email, Problems: problems,
	}
	for _, o := range open {
		v.Sessions = append(v.Sessions, page.SessionRow{
			Handle: o.Handle, Browser: browserOf(o.UserAgent), Address: o.Address, Current: o.Current,
			Seen: moment(o.SeenAt, s.Now(), m.Tenant.Zone), Began: moment(o.CreatedAt, s.Now(), m.Tenant.Zone),
		})
	}
	return s.page(c, status, page.Security(v))
}

func (s *Server) changePassword(c echo.Context) error {
	m := memberOf(c)
	session := visitorOf(c).session
	err := s.Desk.ChangePassword(ctx(c), m, c.FormValue("old"), c.FormValue("password"), session.ID, c.RealIP())
	if sentence := fault.SentenceOf(err); sentence != "" {
		return s.securityPage(c, statusOf(err), page.Problems{fault.FieldOf(err): sentence})
	}
	if err != nil {
		return err
	}
	// The secret has changed, so the id does, too.
	if err := s.Sessions.Begin(c.Request(), c.Response(), session, m.Person, m.Tenant.ID); err != nil {
		return err
	}
	return s.seeOther(c, "/settings/security", "Password changed. Other browsers are logged out.")
}

func (s *Server) endSession(c echo.Context) error {
	if err := s.Sessions.EndOne(ctx(c), memberOf(c), c.Param("handle")); err != nil {
		return err
	}
	return s.seeOther(c, "/settings/security", "That browser is logged out.")
}

func (s *Server) logOutEverywhere(c echo.Context) error {
	if err := s.Sessions.EndAll(ctx(c), memberOf(c)); err != nil {
		return err
	}
	if err := s.endHere(c, visitorOf(c).session); err != nil {
		return err
	}
	return s.seeOther(c, "/login", "You are logged out everywhere.")
}

func (s *Server) team(c echo.Context) error {
	m := memberOf(c)
	v := page.TeamView{Frame: s.frame(c, "Team", "settings"), Administers: m.Can(account.Administer)}
	err := s.inTenant(c, func(tx pgx.Tx) error {
		people, err := account.Members(ctx(c), tx, m.Tenant.ID)
		for _, p := range people {
			v.People = append(v.People, page.TeamRow{
				Email: p.Email, Role: p.Role.Name(), Since: moment(p.Since, s.Now(), m.Tenant.Zone), You: p.Person == m.Person,
			})
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range []account.Role{account.Owner, account.Admin, account.Operator, account.Viewer} {
		v.Roles = append(v.Roles, ui.KV{Key: r.Name(), Value: r.Explain()})
	}
	return s.page(c, http.StatusOK, page.Team(v))
}

func (s *Server) apiKeys(c echo.Context) error {
	return s.keysPage(c, http.StatusOK, page.KeysView{Role: string(account.Operator)})
}

// keysPage fills in what every form of the page shows.
func (s *Server) keysPage(c echo.Context, status int, v page.KeysView) error {
	m := memberOf(c)
	err := s.inTenant(c, func(tx pgx.Tx) error {
		keys, err := account.Keys(ctx(c), tx, m.Tenant.ID)
		for _, k := range keys {
			row := page.KeyRow{
				ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, Role: k.Role.Name(), Revoked: k.RevokedAt != nil,
				Made: moment(k.CreatedAt, s.Now(), m.Tenant.Zone),
			}
			if k.UsedAt != nil {
				row.Used = moment(*k.UsedAt, s.Now(), m.Tenant.Zone)
			}
			v.Keys = append(v.Keys, row)
		}
		return err
	})
	if err != nil {
		return err
	}
	v.Frame = s.frame(c, "API keys", "settings")
	for _, r := range []account.Role{account.Viewer, account.Operator, account.Admin} {
		v.Roles = append(v.Roles, ui.Option{Value: string(r), Label: r.Name()})
	}
	return s.page(c, status, page.Keys(v))
}

// createKey answers with the page itself, not a redirect: the secret is in this one answer and nowhere else.
func (s *Server) createKey(c echo.Context) error {
	name, role := c.FormValue("name"), c.FormValue("role")
	var secret seal.Secret
	err := s.inTenant(c, func(tx pgx.Tx) (err error) {
		_, secret, err = account.CreateKey(ctx(c), tx, tenantOf(c), memberOf(c).Email, name, account.Role(role))
		return err
	})
	if fault.KindOf(err) == fault.Invalid {
		return s.keysPage(c, http.StatusUnprocessableEntity, page.KeysView{
			Name: name, Role: role, Problems: page.Problems{fault.FieldOf(err): fault.SentenceOf(err)},
		})
	}
	if err != nil {
		return err
	}
	return s.keysPage(c, http.StatusOK, page.KeysView{Secret: secret.Reveal(), Role: role})
}

func (s *Server) revokeKey(c echo.Context) error {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such key.")
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		return account.RevokeKey(ctx(c), tx, tenantOf(c), memberOf(c).Email, id)
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, "/settings/keys", "Key revoked. It opens nothing any more.")
}

const auditPage = 50

// actions are the audit log's entries in words.
var actions = map[string]string{
	"business.created":          "Created the business",
	"business.changed":          "Changed the business",
	"password.changed":          "Changed the password",
	"password.reset":            "Set a new password by a mailed link",
	"session.ended":             "Logged one browser out",
	"sessions.ended":            "Logged out everywhere",
	"key.created":               "Made an API key",
	"key.revoked":               "Revoked an API key",
	"access.refused":            "Was refused",
	"draft.edited":              "Changed the draft",
	"config.published":          "Published rules and mappings",
	"config.published_untested": "Published rules and mappings without a backtest",
	"config.rolled_back":        "Went back to an older version",
	"source.created":            "Added a source",
	"source.rotated":            "Changed a source's secret",
	"source.secret_dropped":     "Dropped a source's old secret",
	"source.changed":            "Changed a source's settings",
	"source.deleted":            "Removed a source",
	"zoho.connected":            "Connected Zoho",
	"zoho.disconnected":         "Disconnected Zoho",
	"zoho.field_added":          "Added the field that prevents doubles in Zoho",
	"zoho.lost":                 "Lost the connection to Zoho",
	"zoho.callback_refused":     "Came back from Zoho without a connection",
	"zoho.answer_refused":       "Refused an answer with an address that is not Zoho's",
	"zoho.other_org":            "Came back from Zoho with another organisation",
	"zoho.other_org_declined":   "Kept the organisation that was connected",
	"call.replayed":             "Replayed calls",
	"call.settled":              "Settled a call",
	"call.put_away":             "Took care of a call",
	"calls.exported":            "Exported calls",
}

func (s *Server) auditLog(c echo.Context) error {
	m := memberOf(c)
	before, err := uuid.Parse(c.QueryParam("before"))
	if err != nil {
		before = uuid.Nil
	}
	var entries []account.Entry
	err = s.inTenant(c, func(tx pgx.Tx) (err error) {
		entries, err = account.AuditLog(ctx(c), tx, m.Tenant.ID, before, auditPage+1)
		return err
	})
	if err != nil {
		return err
	}
	v := page.AuditView{Frame: s.frame(c, "Audit log", "settings")}
	if len(entries) > auditPage {
		entries = entries[:auditPage]
		v.Pager.Older = "/settings/audit?before=" + entries[auditPage-1].ID.String()
	}
	if before != uuid.Nil {
		v.Pager.Newer = "/settings/audit"
	}
	for _, e := range entries {
		text, ok := actions[e.Action]
		if !ok {
			text = e.Action
		}
		v.Entries = append(v.Entries, page.AuditRow{At: moment(e.At, s.Now(), m.Tenant.Zone), Actor: e.Actor, Action: e.Action, Text: text, Target: e.Target})
	}
	return s.page(c, http.StatusOK, page.Audit(v))
}
