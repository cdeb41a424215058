package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// serveControl answers the routes for tests and programs. They can do everything without a token, so they answer a peer on
// this machine, asked by a loopback name, and never a page of another origin.
func (s *Sandbox) serveControl(w http.ResponseWriter, r *http.Request) {
	if why := controlRefused(r); why != "" {
		controlError(http.StatusForbidden, why).send(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		controlError(http.StatusRequestEntityTooLarge, "The body is too large.").send(w)
		return
	}
	s.control(r, body).send(w)
}

func controlRefused(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return "Control routes answer this machine only."
	}
	if !loopbackHost(r.Host) {
		return "Control routes answer a loopback host name only."
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return "Control routes refuse another origin."
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return "Control routes refuse another origin."
	}
	return ""
}

func controlError(status int, message string) answer {
	return jsonAnswer(status, map[string]string{"error": message})
}

func done() answer { return jsonAnswer(http.StatusOK, map[string]string{"status": "success"}) }

func (s *Sandbox) control(r *http.Request, body []byte) answer {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/_sandbox/"), "/"), "/")
	orgID := r.URL.Query().Get("org")
	var targets []*org // those the request speaks of
	s.mu.RLock()
	if orgID == "" {
		targets = append(targets, s.orgs...)
	} else if o := s.orgByID[orgID]; o != nil {
		targets = append(targets, o)
	}
	s.mu.RUnlock()
	if orgID != "" && len(targets) == 0 {
		return controlError(404, "There is no organisation "+orgID+".")
	}

	route := r.Method + " " + parts[0]
	if len(parts) == 1 {
		switch route {
		case "POST reset":
			return s.controlReset(orgID, targets, body)
		case "GET stats":
			return s.controlStats(orgID, targets)
		case "GET ledger":
			after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
			if err != nil && r.URL.Query().Get("after") != "" {
				return controlError(400, "after is a number.")
			}
			lines, last := s.ledger.after(after, orgID)
			return jsonAnswer(200, map[string]any{"data": lines, "last": last})
		case "POST faults":
			return s.controlFaults(orgID, body)
		case "DELETE faults":
			s.faults.clear(orgID)
			return done()
		case "POST revoke":
			return s.controlTokens(targets, s.killRefresh)
		case "POST expire":
			return s.controlExpire(targets)
		case "POST settings":
			return s.controlSettings(orgID, targets, body)
		case "GET settings":
			s.mu.RLock()
			defer s.mu.RUnlock()
			if orgID != "" {
				return jsonAnswer(200, targets[0].Settings)
			}
			return jsonAnswer(200, s.defaults)
		case "GET clients":
			return jsonAnswer(200, map[string]any{"data": s.clients()})
		case "GET orgs":
			return s.controlOrgs(targets)
		case "POST grant":
			return s.controlGrant(r, orgID, body)
		}
	}
	if route == "PATCH users" && len(parts) == 2 {
		return s.controlUser(targets, parts[1], body)
	}
	if parts[0] == "records" && len(parts) >= 2 {
		return s.controlRecords(r, parts, targets, body)
	}
	return controlError(404, "There is no such control route.")
}

// controlReset takes organisations back to their first state. They keep their tokens: a connected program stays connected.
func (s *Sandbox) controlReset(orgID string, targets []*org, body []byte) answer {
	var to struct {
		Edition string `json:"edition"`
		Centre  string `json:"data_centre"`
	}
	if len(body) > 0 {
		if err := strictUnmarshal(body, &to); err != nil {
			return controlError(400, err.Error())
		}
	}
	if bad := (newOrg{Edition: to.Edition, Centre: to.Centre}).check(); bad != "" {
		return controlError(400, bad)
	}
	s.faults.clear(orgID)
	s.mu.Lock()
	if orgID == "" {
		s.defaults = freshSettings()
		s.edition, s.centre = "enterprise", "us"
		if to.Edition != "" {
			s.edition = to.Edition
		}
		if to.Centre != "" {
			s.centre = to.Centre
		}
		s.journalHouse()
	}
	for _, o := range targets {
		o.empty()
		o.Settings = freshSettings()
		o.PickExtras, o.Custom, o.Tags = map[string]map[string][]string{}, map[string][]customField{}, nil
		o.Channels = nil
		for i := range o.Users {
			o.Users[i].Inactive = false
		}
		if to.Edition != "" {
			o.Edition = to.Edition
		}
		if to.Centre != "" && to.Centre != o.Centre {
			c := centreByKey(to.Centre)
			o.Centre, o.Zone, o.Country = c.Key, c.Zone, c.CountryCode
			o.zone, _ = time.LoadLocation(o.Zone)
		}
		s.changed(o)
	}
	s.forgetLedger(orgID)
	s.journal.reset(orgID)
	s.mu.Unlock()
	s.watch.tell()
	return done()
}

// empty drops an organisation's records and forgets what it has used.
func (o *org) empty() {
	for _, m := range modules {
		o.tables[m.API] = newTable(m.API)
	}
	o.byID = map[string]*entry{}
	u := &o.usage
	u.mu.Lock()
	clear(u.minutes[:])
	u.counted.minute = 0
	u.peak = u.inFlight
	u.mu.Unlock()
}

func (s *Sandbox) forgetLedger(orgID string) {
	l := &s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if orgID == "" {
		requests := l.requests
		l.init()
		l.requests = requests
		return
	}
	kept := l.lines[:0:0]
	for _, x := range l.lines {
		if x.Org != orgID {
			kept = append(kept, x)
		}
	}
	l.lines = kept
	for k := range l.counts {
		if k.org == orgID {
			delete(l.counts, k)
		}
	}
	delete(l.credits, orgID)
}

func (s *Sandbox) controlStats(orgID string, targets []*org) answer {
	requests, credits := s.ledger.stats(orgID)
	records := map[string]int{}
	peak := 0
	s.mu.RLock()
	for _, o := range targets {
		for _, m := range modules {
			records[m.API] += o.tables[m.API].live
		}
		o.usage.mu.Lock()
		peak = max(peak, o.usage.peak)
		o.usage.mu.Unlock()
	}
	s.mu.RUnlock()
	return jsonAnswer(200, map[string]any{"requests": requests, "credits_used": credits, "peak_concurrency": peak, "records": records})
}

func (s *Sandbox) controlFaults(orgID string, body []byte) answer {
	var list []*fault
	if err := strictUnmarshal(body, &list); err != nil {
		return controlError(400, "The body is a list of faults: "+err.Error())
	}
	for i, f := range list {
		if f == nil {
			return controlError(400, fmt.Sprintf("Fault %d is null.", i))
		}
		if err := f.check(); err != nil {
			return controlError(400, fmt.Sprintf("Fault %d: %v.", i, err))
		}
		f.org = orgID
	}
	s.faults.set(list)
	return done()
}

func (s *Sandbox) controlTokens(targets []*org, kill func(string)) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range targets {
		for token, t := range s.auth.refresh {
			if t.Org == o.ID {
				kill(token)
			}
		}
		for token, a := range s.auth.access {
			if a.Org == o.ID {
				s.killAccess(token)
			}
		}
	}
	return done()
}

func (s *Sandbox) controlExpire(targets []*org) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range targets {
		for token, a := range s.auth.access {
			if a.Org == o.ID {
				s.killAccess(token)
			}
		}
	}
	return done()
}

func (s *Sandbox) controlSettings(orgID string, targets []*org, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	// All are checked before one is changed.
	merged := make([]settings, len(targets))
	for i, o := range targets {
		m, err := o.Settings.merge(body)
		if err != nil {
			return controlError(400, err.Error())
		}
		merged[i] = m
	}
	if orgID == "" {
		m, err := s.defaults.merge(body)
		if err != nil {
			return controlError(400, err.Error())
		}
		s.defaults = m
		s.journalHouse()
	}
	for i, o := range targets {
		o.Settings = merged[i]
		s.changed(o)
	}
	if orgID != "" {
		return jsonAnswer(200, targets[0].Settings)
	}
	return jsonAnswer(200, s.defaults)
}

func (s *Sandbox) controlOrgs(targets []*org) answer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := []map[string]any{}
	for _, o := range targets {
		users := []map[string]string{}
		for _, u := range o.Users {
			users = append(users, map[string]string{"id": u.ID, "full_name": u.name(), "email": u.Email, "profile": u.Profile})
		}
		list = append(list, map[string]any{"id": o.ID, "name": o.Name, "edition": o.Edition, "data_centre": o.Centre, "time_zone": o.Zone, "users": users})
	}
	return jsonAnswer(200, map[string]any{"data": list})
}

// controlUser is an administrator who deactivates a user, or brings one back.
func (s *Sandbox) controlUser(targets []*org, id string, body []byte) answer {
	var in struct {
		Active bool `json:"active"`
	}
	if err := strictUnmarshal(body, &in); err != nil {
		return controlError(400, `The body is {"active":false}: `+err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range targets {
		if u := o.user(id); u != nil {
			u.Inactive = !in.Active
			s.journal.org(o)
			return done()
		}
	}
	return controlError(404, "There is no such user.")
}

// controlGrant gives a code without the consent page: for the organisation named, a new one, or the first there is.
func (s *Sandbox) controlGrant(r *http.Request, orgID string, body []byte) answer {
	in := struct {
		Client     string  `json:"client_id"`
		Redirect   string  `json:"redirect_uri"`
		Scope      string  `json:"scope"`
		Org        string  `json:"org"`
		NewOrg     *newOrg `json:"new_org"`
		User       string  `json:"user"`        // id; the organisation's administrator when not given
		AccessType string  `json:"access_type"` // offline unless given
		Prompt     *string `json:"prompt"`      // consent unless given
	}{Org: orgID, AccessType: "offline"}
	if err := json.Unmarshal(body, &in); err != nil {
		return controlError(400, "The body is one JSON object: "+err.Error())
	}
	c := s.client(in.Client)
	scopes := splitScopes(in.Scope)
	switch {
	case c == nil:
		return controlError(400, "Unknown client_id; see /_sandbox/clients.")
	case !c.allows(in.Redirect):
		return controlError(400, "This redirect_uri is not registered; any loopback address is.")
	case len(scopes) == 0 || !validScopes(scopes):
		return controlError(400, "scope lists Zoho's scopes, separated by commas.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orgs[0]
	switch {
	case in.NewOrg != nil:
		if bad := in.NewOrg.check(); bad != "" {
			return controlError(400, bad)
		}
		o = s.addOrg(*in.NewOrg)
		defer s.watch.tell()
	case in.Org != "":
		if o = s.orgByID[in.Org]; o == nil {
			return controlError(404, "There is no organisation "+in.Org+".")
		}
	}
	u := &o.Users[0]
	if in.User != "" {
		if u = o.user(in.User); u == nil {
			return controlError(404, "There is no such user.")
		}
	}
	g := s.grant(o, u, c, in.Redirect, scopes, in.AccessType == "offline", in.Prompt == nil || *in.Prompt == "consent")
	return jsonAnswer(200, map[string]any{"code": g.Code, "location": o.Centre, "accounts-server": s.centreURL(r, o.Centre), "org_id": o.ID})
}

func validScopes(scopes []string) bool {
	for _, sc := range scopes {
		if !scopeShape.MatchString(sc) {
			return false
		}
	}
	return true
}

// controlRecords is a person at work in the CRM: no token, no checks but types. Without ?org it is done in every organisation.
func (s *Sandbox) controlRecords(r *http.Request, parts []string, targets []*org, body []byte) answer {
	m := moduleByName(parts[1])
	if m == nil {
		return controlError(404, "There is no module "+parts[1]+".")
	}
	q := &request{s: s, http: r, number: s.ledger.next(), at: s.now(), method: r.Method, path: r.URL.Path}
	a := s.controlRecord(q, m, parts[2:], targets, body)
	if len(q.effects) > 0 {
		s.record(q, "", a.status, a.code)
		s.watch.tell()
	}
	return a
}

func (s *Sandbox) controlRecord(q *request, m *module, rest []string, targets []*org, body []byte) answer {
	if len(rest) == 0 && q.method == "GET" {
		s.mu.RLock()
		defer s.mu.RUnlock()
		b := []byte(`{"data":[`)
		for _, o := range targets {
			for _, e := range o.tables[m.API].order {
				if e.now != nil {
					if b[len(b)-1] != '[' {
						b = append(b, ',')
					}
					b = o.appendRecord(b, e.now, nil)
				}
			}
		}
		return answer{status: 200, body: append(b, "]}"...)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := func(id string) *org {
		for _, o := range targets {
			if o.find(m.API, id) != nil {
				return o
			}
		}
		return nil
	}
	switch {
	case len(rest) == 0 && q.method == "POST":
		items, err := dataOf(body)
		if err != nil {
			return controlError(400, err.Error())
		}
		type made struct {
			ID  string `json:"id"`
			Org string `json:"org"`
		}
		out := []made{}
		for _, o := range targets {
			q.org, q.user = o, &o.Users[0]
			for i, item := range items {
				r, p := s.byHand(q, m, item, nil, i)
				if p != nil {
					return p.answer()
				}
				out = append(out, made{r.ID, o.ID})
			}
		}
		return jsonAnswer(201, map[string]any{"data": out})
	case len(rest) == 1 && (q.method == "PATCH" || q.method == "PUT"):
		o := owner(rest[0])
		if o == nil {
			return controlError(404, "There is no such record.")
		}
		items, err := dataOf(body)
		if err != nil || len(items) != 1 {
			item, err2 := decodeJSON(body)
			fields, ok := item.(map[string]any)
			if err2 != nil || !ok {
				return controlError(400, "The body is the fields to change, or {\"data\":[{…}]} with one record.")
			}
			items = []map[string]any{fields}
		}
		q.org, q.user = o, &o.Users[0]
		r, p := s.byHand(q, m, items[0], o.find(m.API, rest[0]), 0)
		if p != nil {
			return p.answer()
		}
		return jsonAnswer(200, map[string]any{"data": []map[string]string{{"id": r.ID}}})
	case len(rest) == 1 && q.method == "DELETE":
		o := owner(rest[0])
		if o == nil {
			return controlError(404, "There is no such record.")
		}
		q.org, q.user = o, &o.Users[0]
		s.remove(o, rest[0], q)
		return done()
	case len(rest) == 2 && rest[1] == "merge" && q.method == "POST":
		var in struct {
			Into string `json:"into"`
		}
		if err := strictUnmarshal(body, &in); err != nil {
			return controlError(400, `The body is {"into":"id of the record that stays"}: `+err.Error())
		}
		o := owner(rest[0])
		if o == nil || o.find(m.API, in.Into) == nil || in.Into == rest[0] {
			return controlError(404, "There are no two such records in one organisation.")
		}
		q.org, q.user = o, &o.Users[0]
		s.merge(q, o.find(m.API, rest[0]), o.find(m.API, in.Into))
		return done()
	case len(rest) == 2 && rest[1] == "convert" && q.method == "POST" && m.API == "Leads":
		o := owner(rest[0])
		if o == nil {
			return controlError(404, "There is no such Lead.")
		}
		q.org, q.user = o, &o.Users[0]
		var in struct {
			Data []map[string]any `json:"data"`
		}
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return controlError(400, err.Error())
			}
		}
		options := map[string]any{}
		if len(in.Data) > 0 {
			options = in.Data[0]
		}
		return s.convertLead(q, o.find("Leads", rest[0]), options)
	}
	return controlError(405, "There is no such verb here.")
}

// dataOf reads {"data":[{…}]}.
func dataOf(body []byte) ([]map[string]any, error) {
	v, err := decodeJSON(body)
	if err != nil {
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	m, _ := v.(map[string]any)
	list, ok := m["data"].([]any)
	if !ok {
		return nil, fmt.Errorf(`the body is {"data":[{…}]}`)
	}
	out := make([]map[string]any, 0, len(list))
	for _, x := range list {
		item, ok := x.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("each record is an object")
		}
		out = append(out, item)
	}
	return out, nil
}
