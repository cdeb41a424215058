package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// request is one exchange on its way through the sandbox, with what it did.
type request struct {
	s       *Sandbox
	http    *http.Request
	number  uint64 // of this sandbox; ties journal lines to the request that caused them
	at      time.Time
	method  string
	path    string // without a data centre's prefix
	version string // v2, v8
	parts   []string
	query   url.Values
	body    []byte

	org  *org
	user *user
	acc  *accessToken

	held bool  // the caller has the lock: part of a composite request
	undo *undo // of a composite request that is all or nothing

	effects []effect
	credits int
	note    string // what a fault did, for the ledger
	rule    string // which rule refused, for the ledger
}

// operation is what a path and verb mean: known before anything runs, so that scopes, limits and faults can be looked at first.
type operation struct {
	template string     // path as stats show it
	scopes   [][]string // each group needs one of its scopes
	right    string     // View, Create, Edit, Delete: needed in module
	module   string
	cost     int  // credits
	heavy    bool // counts for the sub-concurrency of 10
	write    bool // run holds the lock for writing
	run      func(q *request) answer
}

// oldAPI is /crm/v2: no fields needed on lists, 202 where all records failed, no json_path.
func (q *request) oldAPI() bool { return q.version == "v2" }

func (s *Sandbox) serveCRM(w http.ResponseWriter, r *http.Request, centre, path string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(413, "BODY_SIZE_REACHED", "the request body is too large", nil).answer().send(w)
		return
	}
	rest := strings.Split(strings.Trim(strings.TrimPrefix(path, "/crm/"), "/"), "/")
	q := &request{
		s: s, http: r, number: s.ledger.next(), at: s.now(), method: r.Method, path: path,
		version: rest[0], parts: rest[1:], query: parseQuery(r.URL.RawQuery), body: body,
	}

	var op operation
	refusal := q.authenticate(centre)
	if refusal == nil {
		op, refusal = q.resolve()
	}
	if op.template == "" {
		op.template = path
	}
	refused := func(p *problem) answer {
		if p.status == http.StatusTooManyRequests {
			return answer{status: p.status, body: body429(s.style429(q.org)), code: p.Code, rule: p.rule}
		}
		if q.org != nil && (q.method == "POST" || q.method == "PUT") {
			s.mu.RLock()
			wrap := q.org.Settings.WrapRequestErrors
			s.mu.RUnlock()
			if wrap {
				return p.wrapped()
			}
		}
		return p.answer()
	}

	leave, refusal2 := s.enter(q, op)
	if refusal == nil {
		refusal = refusal2
	}
	defer leave()
	s.sleepLatency(q.org)

	f := s.faults.match(q)
	if f != nil && f.replaces(op.write) {
		s.finish(w, q, op, f.answer(s.style429(q.org)), f)
		return
	}
	if refusal == nil {
		refusal = s.spend(q, op)
	}
	var a answer
	if refusal != nil {
		a = refused(refusal)
	} else {
		if op.write {
			s.mu.Lock()
			a = op.run(q)
			s.mu.Unlock()
		} else {
			s.mu.RLock()
			a = op.run(q)
			s.mu.RUnlock()
		}
		s.creditsHeader(q.org, &a)
	}
	if f != nil && (f.Kind == "status") {
		a = f.answer(s.style429(q.org))
	}
	s.finish(w, q, op, a, f)
}

// finish writes the ledger and then answers, in that order: what took effect is on record before anyone hears of it.
func (s *Sandbox) finish(w http.ResponseWriter, q *request, op operation, a answer, f *fault) {
	status := a.status
	if f != nil {
		q.note = f.Kind
		if f.Kind == "hang" || f.Kind == "reset" {
			status = 0
		}
	}
	q.rule = a.rule
	s.record(q, op.template, status, a.code)
	s.watch.tell()
	if f == nil {
		a.send(w)
		return
	}
	f.deliver(w, q.http, a)
}

// parseQuery reads a query string as Zoho does: a raw + is a space, a trailing & is nothing.
func parseQuery(raw string) url.Values {
	v, _ := url.ParseQuery(strings.TrimSuffix(raw, "&"))
	return v
}

// authenticate finds the token's organisation and user. Zoho's own header says Zoho-oauthtoken; Bearer works as well.
func (q *request) authenticate(centre string) *problem {
	scheme, token, _ := strings.Cut(q.http.Header.Get("Authorization"), " ")
	if token == "" || (!strings.EqualFold(scheme, "Zoho-oauthtoken") && !strings.EqualFold(scheme, "Bearer")) {
		return refuse(401, "AUTHENTICATION_FAILURE", "Authentication failed", nil).because("no token in the Authorization header")
	}
	s := q.s
	s.mu.RLock()
	defer s.mu.RUnlock()
	acc := s.auth.access[strings.TrimSpace(token)]
	invalid := refuse(401, "INVALID_TOKEN", "invalid oauth token", nil)
	switch {
	case acc == nil:
		return invalid.because("the access token is not known: revoked, pushed out, or long expired")
	case acc.Centre != centre:
		return invalid.because("the access token is of data centre %s", acc.Centre)
	case !s.now().Before(acc.Expires):
		return invalid.because("the access token has expired")
	}
	o := s.orgByID[acc.Org]
	if o == nil || o.user(acc.User) == nil || o.user(acc.User).Inactive { // whoever was deactivated has no valid token (mem)
		return invalid.because("the user who consented is not active")
	}
	q.acc, q.org, q.user = acc, o, o.user(acc.User)
	return nil
}

// resolve reads path and verb, and refuses what the token or the user may not do.
func (q *request) resolve() (operation, *problem) {
	op, p := q.route()
	if p != nil {
		return op, p
	}
	for _, group := range op.scopes {
		if !q.acc.allows(group) {
			return op, refuse(401, "OAUTH_SCOPE_MISMATCH", "Unauthorized", nil).because("the token lacks the scope %s", group[0])
		}
	}
	if op.right != "" && op.module != "" {
		defer q.reading()()
		if !q.org.may(q.user, op.module, op.right) {
			return op, refuse(403, "NO_PERMISSION", "permission denied", map[string]any{"permissions": []string{"Crm_Implied_" + op.right + "_" + op.module}}).
				because("%s (%s) may not %s %s", q.user.name(), q.user.Profile, strings.ToLower(op.right), op.module)
		}
	}
	return op, nil
}

// reading takes the lock for reading, unless the request is part of one that has it.
func (q *request) reading() (done func()) {
	if q.held {
		return func() {}
	}
	q.s.mu.RLock()
	return q.s.mu.RUnlock
}

// may says whether a user's profile, or the organisation's no_permission setting, lets them do something.
func (o *org) may(u *user, module, right string) bool {
	if u.Profile == "Read Only" && right != "View" {
		return false
	}
	return !slices.Contains(o.Settings.NoPermission[module], right)
}

var (
	errPattern = refuse(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one", nil)
)

func wrongMethod() *problem {
	return refuse(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one", nil)
}

// verbs picks the operation of the request's verb; a verb that a known path does not have is a 400, not a 404.
func (q *request) verbs(template string, by map[string]operation) (operation, *problem) {
	op, ok := by[q.method]
	if !ok {
		return operation{template: template}, wrongMethod()
	}
	op.template = template
	if op.cost == 0 {
		op.cost = 1
	}
	return op, nil
}

func (q *request) route() (operation, *problem) {
	if len(q.version) < 2 || q.version[0] != 'v' || len(q.parts) == 0 || q.parts[0] == "" {
		return operation{}, errPattern
	}
	prefix := "/crm/" + q.version
	p := q.parts
	scope := func(names ...string) [][]string { return [][]string{names} }
	if len(p) == 1 {
		switch p[0] {
		case "org":
			return q.verbs(prefix+"/org", map[string]operation{"GET": {scopes: scope("ZohoCRM.org.READ"), run: (*request).getOrg}})
		case "users":
			return q.verbs(prefix+"/users", map[string]operation{"GET": {scopes: scope("ZohoCRM.users.READ"), run: (*request).listUsers}})
		case "coql":
			return q.coqlOperation(prefix + "/coql")
		case "__composite_requests":
			op, p := q.verbs(prefix+"/__composite_requests", map[string]operation{"POST": {scopes: scope("ZohoCRM.composite_requests.CUSTOM"), write: true, heavy: true, run: (*request).composite}})
			op.cost = 0 // what its parts cost
			return op, p
		}
	}
	switch {
	case p[0] == "actions" && len(p) == 2 && p[1] == "watch":
		return q.watchOperation(prefix + "/actions/watch")
	case p[0] == "users" && len(p) == 2:
		return q.verbs(prefix+"/users/{id}", map[string]operation{"GET": {scopes: scope("ZohoCRM.users.READ"), run: (*request).getUser}})
	case p[0] == "settings":
		return q.routeSettings(prefix)
	}

	m := moduleByName(p[0])
	if m == nil || m.Inner {
		if len(p) > 4 {
			return operation{}, errPattern
		}
		return operation{template: prefix + "/{module}"}, refuse(400, "INVALID_MODULE", "the module name given seems to be invalid", map[string]any{"resource_path_index": 0})
	}
	return q.routeRecords(prefix, m)
}

func (q *request) routeRecords(prefix string, m *module) (operation, *problem) {
	p := q.parts
	read := operation{scopes: moduleScope(m.API, "READ"), right: "View", module: m.API}
	op := func(base operation, run func(*request) answer) operation { base.run = run; return base }
	writes := func(word, right string) operation {
		n := q.countRecords()
		return operation{scopes: moduleScope(m.API, word), right: right, module: m.API, write: true, cost: max(1, (n+9)/10), heavy: n > 10}
	}
	del := operation{scopes: moduleScope(m.API, "DELETE"), right: "Delete", module: m.API, write: true}

	switch len(p) {
	case 1:
		list := read
		list.heavy = q.query.Get("cvid") != "" || q.query.Get("sort_by") != "" // (obs)
		return q.verbs(prefix+"/{module}", map[string]operation{
			"GET":    op(list, func(q *request) answer { return q.list(m) }),
			"POST":   op(writes("CREATE", "Create"), func(q *request) answer { return q.create(m, nil) }),
			"PUT":    op(writes("UPDATE", "Edit"), func(q *request) answer { return q.update(m, "") }),
			"DELETE": op(del, func(q *request) answer { return q.deleteMany(m) }),
		})
	case 2:
		switch p[1] {
		case "search":
			o := op(read, func(q *request) answer { return q.search(m) })
			o.scopes = append(o.scopes, []string{"ZohoSearch.securesearch.READ"})
			return q.verbs(prefix+"/{module}/search", map[string]operation{"GET": o})
		case "roles":
			if m.API == "Contacts" {
				return q.verbs(prefix+"/Contacts/roles", map[string]operation{"GET": op(read, (*request).roleNames)})
			}
		case "upsert":
			o := op(writes("CREATE", "Create"), func(q *request) answer { return q.upsert(m) })
			return q.verbs(prefix+"/{module}/upsert", map[string]operation{"POST": o})
		}
		return q.verbs(prefix+"/{module}/{id}", map[string]operation{
			"GET":    op(read, func(q *request) answer { return q.get(m, p[1]) }),
			"PUT":    op(writes("UPDATE", "Edit"), func(q *request) answer { return q.update(m, p[1]) }),
			"DELETE": op(del, func(q *request) answer { return q.deleteOne(m, p[1]) }),
		})
	case 3:
		switch {
		case p[2] == "Attachments" && m.API != "Notes":
			return q.attachmentsOperation(prefix, m, p[1], "")
		case p[1] == "actions" && (p[2] == "add_tags" || p[2] == "remove_tags"):
			return q.tagsOperation(prefix+"/{module}/actions/"+p[2], m, "", p[2] == "remove_tags")
		case p[1] == "actions" && p[2] == "change_owner":
			return q.verbs(prefix+"/{module}/actions/change_owner", map[string]operation{"POST": changeOwner(m, "")})
		case m.API == "Deals" && p[2] == "Contact_Roles":
			return q.rolesOperation(prefix, p[1], "")
		}
		if m.API == "Leads" && p[2] == "__conversion_options" {
			return q.verbs(prefix+"/{module}/{id}/__conversion_options", map[string]operation{"GET": op(read, func(q *request) answer { return q.conversionOptions(p[1]) })})
		}
		return q.routeRelated(prefix, m, p[1], p[2])
	case 4:
		if p[2] == "actions" {
			switch {
			case p[3] == "convert" && m.API == "Leads":
				o := operation{scopes: moduleScope("Leads", "CREATE"), right: "Edit", module: "Leads", write: true, cost: 5, heavy: true, run: func(q *request) answer { return q.convert(p[1]) }}
				return q.verbs(prefix+"/Leads/{id}/actions/convert", map[string]operation{"POST": o})
			case p[3] == "add_tags", p[3] == "remove_tags":
				return q.tagsOperation(prefix+"/{module}/{id}/actions/"+p[3], m, p[1], p[3] == "remove_tags")
			case p[3] == "change_owner":
				return q.verbs(prefix+"/{module}/{id}/actions/change_owner", map[string]operation{"POST": changeOwner(m, p[1])})
			case p[3] == "blueprint":
				put := writes("UPDATE", "Edit")
				return q.verbs(prefix+"/{module}/{id}/actions/blueprint", map[string]operation{
					"GET": op(read, func(q *request) answer { return q.getBlueprint(m, p[1]) }),
					"PUT": op(put, func(q *request) answer { return q.putBlueprint(m, p[1]) }),
				})
			}
			break
		}
		if m.API == "Deals" && p[2] == "Contact_Roles" {
			return q.rolesOperation(prefix, p[1], p[3])
		}
		if p[2] == "Attachments" && m.API != "Notes" {
			return q.attachmentsOperation(prefix, m, p[1], p[3])
		}
	}
	return operation{}, errPattern
}

// countRecords is how many records a body carries, as far as it can be read: the price depends on it.
func (q *request) countRecords() int {
	if q.method != "POST" && q.method != "PUT" {
		return 0
	}
	var b struct {
		Data []json.RawMessage `json:"data"`
	}
	if json.Unmarshal(q.body, &b) != nil {
		return 0
	}
	return len(b.Data)
}
