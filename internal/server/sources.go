package server

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/fault"
	"hookline/internal/intake"
	"hookline/internal/seal"
	"hookline/web/page"
	"hookline/web/ui"
)

// sourcesPage lists the sources, or offers the vendors when there is none yet.
func (s *Server) sourcesPage(c echo.Context) error {
	m := memberOf(c)
	sources, err := s.Sources.List(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	v := page.SourcesView{Frame: s.frame(c, "Sources", "sources"), CanEdit: m.Can(account.Configure), Offers: offers()}
	for _, src := range sources {
		state, err := s.Sources.Status(ctx(c), m.Tenant.ID, src.ID)
		if err != nil {
			return err
		}
		v.Rows = append(v.Rows, page.SourceRow{
			Href: sourcePath(src.ID), Name: src.Name, Provider: src.Label, Waiting: state.Waiting, Rotating: src.Rotating,
			Last: moment(state.LastAt, s.Now(), m.Tenant.Zone), LastCall: "/calls/" + state.CallID.String(),
		})
	}
	return s.page(c, http.StatusOK, page.Sources(v))
}

func offers() []page.SourceOffer {
	var list []page.SourceOffer
	for _, p := range intake.Providers() {
		list = append(list, page.SourceOffer{Href: "/sources/new?provider=" + url.QueryEscape(p.Name), Label: p.Label, About: p.About})
	}
	return list
}

func sourcePath(id uuid.UUID) string { return "/sources/" + id.String() }

// newSource asks for the phone system, and then for what it needs.
func (s *Server) newSource(c echo.Context) error {
	return s.newSourcePage(c, http.StatusOK, intake.NewSource{Provider: c.QueryParam("provider")}, nil)
}

// newSourcePage is the form with what was typed, the pasted secret included: whoever sent it knows it.
func (s *Server) newSourcePage(c echo.Context, status int, n intake.NewSource, problems page.Problems) error {
	p := intake.ProviderOf(n.Provider)
	v := page.NewSourceView{
		Frame: s.frame(c, "Add a source", "sources"), Offers: offers(), Provider: p.Name, Label: p.Label, About: p.About, Name: n.Name,
		TheirSecret: p.TheirSecret, SecretLabel: p.SecretLabel, Secret: n.Secret.Reveal(), Problems: problems,
	}
	if p.TheirSecret && len(p.Steps) > 0 {
		v.SecretHint = p.Steps[0]
	}
	return s.page(c, status, page.NewSource(v))
}

func (s *Server) addSource(c echo.Context) error {
	p := intake.ProviderOf(c.FormValue("provider"))
	n := intake.NewSource{Provider: p.Name, Name: c.FormValue("name"), Secret: seal.Secret(c.FormValue("secret")), Actor: memberOf(c).Email}
	if p.TheirSecret && strings.TrimSpace(n.Secret.Reveal()) == "" {
		return s.newSourcePage(c, http.StatusUnprocessableEntity, n, page.Problems{"secret": "Paste the " + p.SecretLabel + "."})
	}
	added, err := s.Sources.Add(ctx(c), tenantOf(c), n)
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		return s.newSourcePage(c, statusOf(err), n, page.Problems{fault.FieldOf(err): fault.SentenceOf(err)})
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, sourcePath(added.ID), "Source added. Copy its URL and secret.")
}

// sourceOf is the source that the address names, with its secrets.
func (s *Server) sourceOf(c echo.Context) (intake.Opened, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return intake.Opened{}, fault.New(fault.NotFound, "There is no such source. It may have been deleted.")
	}
	return s.Sources.Get(ctx(c), tenantOf(c), id)
}

func (s *Server) sourcePage(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	return s.showSource(c, http.StatusOK, src, nil)
}

func (s *Server) showSource(c echo.Context, status int, src intake.Opened, problems page.Problems) error {
	m := memberOf(c)
	state, err := s.Sources.Status(ctx(c), m.Tenant.ID, src.ID)
	if err != nil {
		return err
	}
	box, err := s.sandboxOf(c)
	if err != nil {
		return err
	}
	p := intake.ProviderOf(src.Provider)
	v := page.SourceView{
		Frame: s.frame(c, src.Name, "sources"), Self: sourcePath(src.ID), Name: src.Name, Provider: p.Label, Steps: p.Steps, Body: p.Body,
		CanEdit: m.Can(account.Configure), CanSend: m.Can(account.Operate), SecretLabel: p.SecretLabel, TheirSecret: p.TheirSecret,
		Rotating: src.Rotating, Rotated: moment(src.RotatedAt, s.Now(), m.Tenant.Zone), Made: moment(src.CreatedAt, s.Now(), m.Tenant.Zone),
		Received: s.received(c, state), Sandbox: box != nil, Problems: problems,
	}
	if sent, err := call.ParseID(c.QueryParam("sent")); err == nil {
		v.Sent = "/calls/" + sent.String()
	}
	for _, preset := range intake.Presets() {
		v.Presets = append(v.Presets, page.SourcePreset{Value: preset.Name, Label: preset.Label, About: preset.About, Needs: preset.Needs})
	}
	if v.CanEdit {
		v.URL = src.URL
		for i, secret := range src.Secrets {
			label := p.SecretLabel
			if src.Rotating {
				label += [2]string{" (new)", " (old)"}[i]
			}
			v.Secrets = append(v.Secrets, page.SourceSecret{Label: label, Value: secret.Reveal()})
		}
		bearer := true
		for _, check := range p.Checks {
			holds := src.Holds(check)
			v.Checks = append(v.Checks, page.SourceCheck{Value: check.Name, Label: check.Label, Holds: holds})
			bearer = bearer && (holds || !check.Default)
		}
		if p.Header != "" && bearer {
			v.Header = fmt.Sprintf(p.Header, src.Secrets[0].Reveal())
		}
		for _, f := range p.Fields {
			v.Fields = append(v.Fields, page.SourceField{Name: f.Name, Label: f.Label, Key: src.KeyOf(f), Default: f.Key})
		}
	}
	return s.page(c, status, page.Source(v))
}

// sampleTurns is how many utterances of the last call the source's page shows.
const sampleTurns = 20

// received puts the last call into words.
func (s *Server) received(c echo.Context, st intake.Status) page.SourceReceived {
	if st.Waiting {
		return page.SourceReceived{Waiting: true}
	}
	t := memberOf(c).Tenant
	r := page.SourceReceived{At: moment(st.LastAt, s.Now(), t.Zone), Call: "/calls/" + st.CallID.String(), Status: st.CallStatus, Problem: st.Problem, Notes: st.Notes}
	if st.Problem != "" {
		return r
	}
	said := st.Call
	add := func(key, value string) {
		if value != "" {
			r.Facts = append(r.Facts, ui.KV{Key: key, Value: value})
		}
	}
	number := said.Customer().Display(t.Country)
	switch {
	case said.Withheld:
		number = "hidden by the caller"
	case number != "" && !said.Customer().Usable():
		number += " (cannot be looked up)"
	}
	add("Number", number)
	add("Name", strings.TrimSpace(said.FirstName+" "+said.LastName))
	add("Company", said.Company)
	add("E-mail", said.Email)
	add("Direction", string(said.Direction))
	add("How it went", string(said.Status))
	if !said.StartedAt.IsZero() {
		add("Started", said.StartedAt.In(t.Zone).Format("Mon 2 Jan 2006, 15:04:05"))
	}
	if said.Duration > 0 {
		add("Talk time", took(said.Duration.Round(time.Second)))
	}
	add("Summary", said.Summary)
	add("Intent", said.Intent)
	for _, name := range slices.Sorted(maps.Keys(said.Answers)) {
		add(name, fmt.Sprint(said.Answers[name]))
	}
	if said.RecordingURL != "" {
		add("Recording", "a link was sent")
	}
	if said.Test {
		add("Test", "a simulated call")
	}
	for i, turn := range said.Transcript {
		if i == sampleTurns {
			r.More = "and " + count(len(said.Transcript)-sampleTurns, "more turn", "more turns")
			break
		}
		who := map[call.Role]string{call.Agent: "Agent", call.Caller: "Caller"}[turn.Role]
		if who == "" {
			who = "Somebody"
		}
		r.Turns = append(r.Turns, page.SourceTurn{Who: who, Text: turn.Text})
	}
	return r
}

// configureSource stores the settings form, or gives it back with what is wrong.
func (s *Server) configureSource(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	p := intake.ProviderOf(src.Provider)
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	fields := map[string]string{}
	for _, f := range p.Fields {
		fields[f.Name] = c.FormValue("field-" + f.Name)
	}
	changed := src
	changed.Name, changed.Checks, changed.Fields = c.FormValue("name"), form["checks"], fields
	if len(p.Checks) > 0 && len(changed.Checks) == 0 {
		return s.showSource(c, http.StatusUnprocessableEntity, changed, page.Problems{"checks": "Tick at least one: without any, everybody could send calls in your name."})
	}
	_, err = s.Sources.Configure(ctx(c), tenantOf(c), src.ID, memberOf(c).Email, changed.Name, changed.Checks, fields)
	if field := fault.FieldOf(err); field != "" {
		problems := page.Problems{field: fault.SentenceOf(err)}
		if strings.HasPrefix(field, "field-") {
			problems["fields"] = "One of the names cannot be used."
		}
		return s.showSource(c, http.StatusUnprocessableEntity, changed, problems)
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, sourcePath(src.ID), "Saved.")
}

func (s *Server) rotateSource(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	secret := strings.TrimSpace(c.FormValue("secret"))
	p := intake.ProviderOf(src.Provider)
	if p.TheirSecret && secret == "" {
		return s.showSource(c, http.StatusUnprocessableEntity, src, page.Problems{"secret": "Paste the new " + p.SecretLabel + "."})
	}
	if !p.TheirSecret {
		secret = "" // ours is made here, not there
	}
	_, err = s.Sources.Rotate(ctx(c), tenantOf(c), src.ID, memberOf(c).Email, seal.Secret(secret))
	if field := fault.FieldOf(err); field != "" {
		return s.showSource(c, http.StatusUnprocessableEntity, src, page.Problems{field: fault.SentenceOf(err)})
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, sourcePath(src.ID), "The new secret works, and so does the old one.")
}

func (s *Server) dropOldSecret(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	if _, err := s.Sources.DropOld(ctx(c), tenantOf(c), src.ID, memberOf(c).Email); err != nil {
		return err
	}
	return s.seeOther(c, sourcePath(src.ID), "The old secret opens nothing any more.")
}

func (s *Server) deleteSourceForm(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, page.DeleteSource(page.DeleteSourceView{Frame: s.frame(c, "Delete a source", "sources"), Self: sourcePath(src.ID), Name: src.Name}))
}

func (s *Server) deleteSource(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	if err := s.Sources.Delete(ctx(c), tenantOf(c), src.ID, memberOf(c).Email); err != nil {
		return err
	}
	return s.seeOther(c, "/sources", src.Name+" is deleted.")
}

// simulate sends a preset through the receiver.
func (s *Server) simulate(c echo.Context) error {
	src, err := s.sourceOf(c)
	if err != nil {
		return err
	}
	box, err := s.sandboxOf(c)
	if err != nil {
		return err
	}
	id, err := s.Sources.Simulate(ctx(c), s.Receiver, tenantOf(c), src.ID, c.FormValue("preset"), box)
	if err != nil {
		return err
	}
	return s.seeOther(c, sourcePath(src.ID)+"?sent="+id.String(), "")
}

// sandboxOf is the tenant's organisation in the sandbox; nil when it is connected to none there.
func (s *Server) sandboxOf(c echo.Context) (*intake.Sandbox, error) {
	if s.SandboxURL == "" || s.Zoho == nil {
		return nil, nil
	}
	linked, err := s.Zoho.Get(ctx(c), tenantOf(c))
	if err != nil {
		return nil, err
	}
	if linked.Status != connection.Connected {
		return nil, nil
	}
	return &intake.Sandbox{URL: s.SandboxURL, Org: linked.OrgID}, nil
}
