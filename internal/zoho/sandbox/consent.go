package sandbox

import (
	"net/http"
	"net/url"
	"slices"

	"hookline/web/page"
	"hookline/web/ui"
)

// consentParams are the parameters of GET /oauth/v2/auth that travel through the page.
var consentParams = []string{"client_id", "redirect_uri", "response_type", "scope", "access_type", "prompt", "state"}

// serveConsent asks a person whether a program may act for them, and sends the answer to the program.
func (s *Sandbox) serveConsent(w http.ResponseWriter, r *http.Request, _ string) {
	if r.URL.Path != "/oauth/v2/auth" && !isCentrePath(r.URL.Path, "/oauth/v2/auth") {
		s.problemPage(w, r, http.StatusNotFound, "", "There is nothing here", "The address is wrong.")
		return
	}
	var v url.Values
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		v = parseQuery(r.URL.RawQuery)
	case http.MethodPost:
		if err := s.crossOrigin.Check(r); err != nil {
			s.problemPage(w, r, http.StatusForbidden, "", "This form came from another site", "Open the page again and answer there.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			s.problemPage(w, r, http.StatusBadRequest, "", "The form could not be read", "Open the page again and answer there.")
			return
		}
		v = r.PostForm
	default:
		s.problemPage(w, r, http.StatusMethodNotAllowed, "", "There is no such verb here", "")
		return
	}

	// A wrong client or redirect address is shown here and never sent back: the address may be anyone's.
	c := s.client(v.Get("client_id"))
	scopes := splitScopes(v.Get("scope"))
	switch {
	case c == nil:
		s.problemPage(w, r, http.StatusBadRequest, "invalid_client", "Unknown client", "No program is registered under this client id.")
		return
	case !c.allows(v.Get("redirect_uri")):
		s.problemPage(w, r, http.StatusBadRequest, "invalid_redirect_uri", "Invalid redirect address", "The program asked for an answer at an address that is not registered for it.")
		return
	case v.Get("response_type") != "code":
		s.problemPage(w, r, http.StatusBadRequest, "invalid_response_type", "Invalid request", "response_type has to be code.")
		return
	case len(scopes) == 0 || !validScopes(scopes):
		s.problemPage(w, r, http.StatusBadRequest, "invalid_scope", "Unknown rights", "The program asked for rights that do not exist.")
		return
	}
	if r.Method == http.MethodPost {
		s.consentAnswer(w, r, v, c, scopes)
		return
	}
	s.consentPage(w, r, v, c, scopes, newOrg{}, nil)
}

func isCentrePath(path, rest string) bool {
	return slices.ContainsFunc(centres, func(c centre) bool { return path == "/"+c.Key+rest })
}

func (s *Sandbox) consentAnswer(w http.ResponseWriter, r *http.Request, v url.Values, c *client, scopes []string) {
	redirect, state := v.Get("redirect_uri"), v.Get("state")
	if v.Get("decision") != "accept" {
		http.Redirect(w, r, callback(redirect, "error", "access_denied", "state", state), http.StatusSeeOther)
		return
	}
	made := newOrg{Name: v.Get("name"), Edition: v.Get("edition"), Centre: v.Get("data_centre")}
	if v.Get("org") == "new" {
		if bad := made.check(); bad != "" {
			s.consentPage(w, r, v, c, scopes, made, page.Problems{"name": bad})
			return
		}
	}
	s.mu.Lock()
	o := s.orgByID[v.Get("org")]
	if o == nil && v.Get("org") != "new" {
		s.mu.Unlock()
		s.problemPage(w, r, http.StatusBadRequest, "", "That organisation is gone", "Go back and choose another one.")
		return
	}
	if s.codesSpent(c.ID) {
		s.mu.Unlock()
		http.Redirect(w, r, callback(redirect, "error", "access_denied", "state", state), http.StatusSeeOther)
		return
	}
	if o == nil {
		o = s.addOrg(made)
	}
	g := s.grant(o, &o.Users[0], c, redirect, scopes, v.Get("access_type") == "offline", v.Get("prompt") == "consent")
	to := callback(redirect, "state", state, "code", g.Code, "location", o.Centre, "accounts-server", s.centreURL(r, o.Centre))
	s.mu.Unlock()
	s.watch.tell()
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Sandbox) consentPage(w http.ResponseWriter, r *http.Request, v url.Values, c *client, scopes []string, typed newOrg, problems page.Problems) {
	view := page.SandboxConsent{
		Frame: s.frame("Allow access", false), Client: c.Name, Offline: v.Get("access_type") == "offline", Problems: problems,
		Chosen: v.Get("org"), New: newOrgForm(typed),
	}
	u, err := url.Parse(v.Get("redirect_uri"))
	if err != nil {
		s.problemPage(w, r, http.StatusBadRequest, "invalid_redirect_uri", "Invalid redirect address", "")
		return
	}
	view.Host = u.Host
	view.Rights = rights(scopes)
	for _, name := range consentParams {
		if v.Has(name) {
			view.Hidden = append(view.Hidden, page.SandboxHidden{Name: name, Value: v.Get(name)})
		}
	}
	s.mu.RLock()
	for _, o := range s.orgs {
		view.Orgs = append(view.Orgs, page.SandboxChoice{ID: o.ID, Name: o.Name, Text: editionByKey(o.Edition).Label + " · " + centreByKey(o.Centre).Label + " · as " + o.Users[0].name()})
	}
	s.mu.RUnlock()
	if view.Chosen == "" {
		view.Chosen = "new"
		if len(view.Orgs) > 0 {
			view.Chosen = view.Orgs[0].ID
		}
	}
	status := http.StatusOK
	if len(problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	// The answer's redirect leaves this origin: form-action has to name where to.
	s.render(w, r, status, page.SandboxConsentPage(view), u.Scheme+"://"+u.Host)
}

func newOrgForm(n newOrg) page.SandboxNewOrg {
	form := page.SandboxNewOrg{Name: n.Name, Edition: n.Edition, Centre: n.Centre}
	if form.Edition == "" {
		form.Edition = "enterprise"
	}
	if form.Centre == "" {
		form.Centre = "us"
	}
	for _, e := range editions {
		form.Editions = append(form.Editions, ui.Option{Value: e.Key, Label: e.Label})
	}
	for _, c := range centres {
		form.Centres = append(form.Centres, ui.Option{Value: c.Key, Label: c.Label})
	}
	return form
}
