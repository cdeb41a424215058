package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	channelLife    = time.Hour          // where nobody says
	longestChannel = 7 * 24 * time.Hour // since v4 (Kaizen 170); a longer wish gets an hour (mem)
	maxChannels    = 50                 // in one request
	maxToken       = 50                 // Enable notifications, v3; the newest file says 256 (conflict): the narrower is refused here

	waitingCallbacks = 1000            // more are dropped: Zoho promises no delivery either
	callbackPatience = 2 * time.Second // how long a receiver may take
)

// channel is a wish to be told of changes: an address, and which changes of which modules.
type channel struct {
	ID      string
	User    string
	URL     string
	Token   string
	Events  []string // Deals.edit
	Expiry  time.Time
	Related bool // notify_on_related_action: kept and shown, nothing follows from it
	Values  bool // return_affected_field_values
}

func (c channel) wants(module, operation string) bool {
	return slices.Contains(c.Events, module+"."+operation) || slices.Contains(c.Events, module+".all")
}

func (c channel) modules() []*module {
	var out []*module
	for _, e := range c.Events {
		name, _, _ := strings.Cut(e, ".")
		if m := moduleByName(name); !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

func (q *request) watchOperation(template string) (operation, *problem) {
	op := func(word string, write bool, run func(*request) answer) operation {
		return operation{scopes: [][]string{{"ZohoCRM.notifications." + word}}, write: write, run: run}
	}
	return q.verbs(template, map[string]operation{
		"GET":    op("READ", false, (*request).channels),
		"POST":   op("CREATE", true, func(q *request) answer { return q.watch(http.StatusCreated) }),
		"PUT":    op("UPDATE", true, func(q *request) answer { return q.watch(http.StatusOK) }),
		"PATCH":  op("UPDATE", true, func(q *request) answer { return q.watch(http.StatusOK) }),
		"DELETE": op("DELETE", true, (*request).unwatch),
	})
}

// channel is a live channel of the request's user.
func (q *request) channel(id string) *channel {
	for i := range q.org.Channels {
		if c := &q.org.Channels[i]; c.ID == id && c.User == q.user.ID && q.at.Before(c.Expiry) {
			return c
		}
	}
	return nil
}

// watch is POST (begin, or begin anew), PUT (replace) and PATCH (change what is named) of /actions/watch.
func (q *request) watch(good int) answer {
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	if err != nil || !ok {
		return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject"}).answer()
	}
	list, ok := top["watch"].([]any)
	if !ok && q.method == "PATCH" && top["watch"] == nil { // one channel, alone, as the newest file has it
		list, ok = []any{top}, true
	}
	switch {
	case top["watch"] == nil && !ok:
		return refuse(400, "MANDATORY_NOT_FOUND", "required field not found", map[string]any{"api_name": "watch", "json_path": "$.watch"}).answer()
	case !ok || len(list) == 0 || len(list) > maxChannels:
		return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "watch", "json_path": "$.watch"}).answer()
	}
	out := []any{}
	var refused []*problem
	for i, x := range list {
		in, _ := x.(map[string]any)
		c, p := q.readChannel(in, fmt.Sprintf("$.watch[%d]", i))
		if p != nil {
			refused = append(refused, p)
			out = append(out, p)
			continue
		}
		q.org.Channels = slices.DeleteFunc(q.org.Channels, func(old channel) bool {
			return (old.ID == c.ID && old.User == c.User) || !q.at.Before(old.Expiry)
		})
		q.org.Channels = append(q.org.Channels, c)
		message := "Successfully subscribed for actions-watch of the given module"
		if q.method != "POST" {
			message = "Successfully updated the details of the channel"
		}
		out = append(out, result{Code: "SUCCESS", Details: map[string]any{"events": q.watched(c, true)}, Message: message, Status: "success"})
	}
	if len(refused) < len(list) {
		q.s.journal.org(q.org)
	}
	switch {
	case len(refused) == 0:
		return jsonAnswer(good, map[string]any{"watch": out})
	case len(refused) < len(list):
		return answer{status: http.StatusMultiStatus, body: marshal(map[string]any{"watch": out}), code: refused[0].Code, rule: refused[0].why()}
	case len(list) == 1:
		return refused[0].answer()
	}
	return answer{status: 400, body: marshal(map[string]any{"watch": out}), code: refused[0].Code, rule: refused[0].why()}
}

// watched is a channel as answers show it, once for each module.
func (q *request) watched(c channel, expiry bool) []any {
	out := []any{}
	for _, m := range c.modules() {
		x := map[string]any{"resource_uri": q.resourceURI(m), "resource_id": q.org.moduleID(m), "channel_id": c.ID}
		if expiry {
			x["resource_name"], x["channel_expiry"] = m.API, q.org.clock(c.Expiry)
		}
		out = append(out, x)
	}
	return out
}

func (q *request) resourceURI(m *module) string {
	base := q.s.base
	if q.http != nil {
		base = q.s.centreURL(q.http, q.org.Centre)
	}
	return base + "/crm/v8/" + m.API
}

func (q *request) readChannel(in map[string]any, at string) (channel, *problem) {
	refused := func(code, message, key string, more map[string]any) (channel, *problem) {
		details := map[string]any{"api_name": key, "json_path": at + "." + key}
		for k, v := range more {
			details[k] = v
		}
		return channel{}, refuse(400, code, message, details)
	}
	mandatory := func(key string) (channel, *problem) {
		return refused("MANDATORY_NOT_FOUND", "required field not found", key, nil)
	}
	if in["channel_id"] == nil {
		return mandatory("channel_id")
	}
	id, ok := idOf(in["channel_id"])
	if !ok {
		return refused("INVALID_DATA", "invalid data", "channel_id", map[string]any{"expected_data_type": "bigint"})
	}
	c := channel{ID: id, User: q.user.ID}
	if q.method != "POST" {
		old := q.channel(id)
		if old == nil {
			return refused("NOT_SUBSCRIBED", "the channel id given is not subscribed", "channel_id", nil)
		}
		if q.method == "PATCH" {
			c = *old
		}
	}
	text := func(key string, into *string) bool {
		if in[key] == nil {
			return true
		}
		s, ok := in[key].(string)
		*into = s
		return ok
	}
	if !text("notify_url", &c.URL) || !text("token", &c.Token) {
		return refused("INVALID_DATA", "invalid data", "notify_url", map[string]any{"expected_data_type": "string"})
	}
	if c.URL == "" {
		return mandatory("notify_url")
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return refused("INVALID_DATA", "invalid data", "notify_url", nil)
	}
	if utf8.RuneCountInString(c.Token) > maxToken {
		return refused("INVALID_DATA", "invalid data", "token", map[string]any{"maximum_length": maxToken})
	}
	if raw := in["events"]; raw != nil {
		list, ok := raw.([]any)
		if !ok {
			return refused("INVALID_DATA", "invalid data", "events", map[string]any{"expected_data_type": "jsonarray"})
		}
		c.Events = nil
		for _, x := range list {
			s, _ := x.(string)
			name, operation, _ := strings.Cut(s, ".")
			m := moduleByName(name)
			if m == nil || m.Inner || !slices.Contains([]string{"create", "edit", "delete", "all"}, operation) {
				return refused("INVALID_DATA", "invalid data", "events", nil)
			}
			c.Events = append(c.Events, m.API+"."+operation)
		}
	}
	if len(c.Events) == 0 {
		return mandatory("events")
	}
	switch raw := in["channel_expiry"]; {
	case raw != nil:
		s, _ := raw.(string)
		t, err := time.Parse(time.RFC3339, s)
		switch {
		case err != nil:
			return refused("INVALID_DATA", "invalid data", "channel_expiry", map[string]any{"expected_data_type": "datetime"})
		case !t.After(q.at):
			return refused("INVALID_DATA", "the channel expiry given is in the past", "channel_expiry", nil)
		case t.Sub(q.at) > longestChannel:
			t = q.at.Add(channelLife)
		}
		c.Expiry = t.UTC()
	case c.Expiry.IsZero():
		c.Expiry = q.at.Add(channelLife).UTC()
	}
	if b, ok := in["notify_on_related_action"].(bool); ok {
		c.Related = b
	}
	if b, ok := in["return_affected_field_values"].(bool); ok {
		c.Values = b
	}
	return c, nil
}

// channels is GET /actions/watch: the user's live channels, each once for each module.
func (q *request) channels() answer {
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	only := q.query.Get("module")
	list := []any{}
	for _, c := range q.org.Channels {
		if c.User != q.user.ID || !q.at.Before(c.Expiry) || (q.query.Get("channel_id") != "" && q.query.Get("channel_id") != c.ID) {
			continue
		}
		for _, m := range c.modules() {
			if only != "" && !strings.EqualFold(only, m.API) {
				continue
			}
			events := slices.DeleteFunc(slices.Clone(c.Events), func(e string) bool { return !strings.HasPrefix(e, m.API+".") })
			var token any
			if c.Token != "" {
				token = c.Token
			}
			list = append(list, map[string]any{
				"channel_id": c.ID, "channel_expiry": q.org.clock(c.Expiry), "notify_url": c.URL, "token": token, "events": events, "fields": nil, "notification_condition": nil,
				"resource_uri": q.resourceURI(m), "resource_id": q.org.moduleID(m), "resource_name": m.API,
				"notify_on_related_action": c.Related, "return_affected_field_values": c.Values,
			})
		}
	}
	from, to := min(len(list), (page-1)*per), min(len(list), page*per)
	more := to < len(list)
	if list = list[from:to]; len(list) == 0 {
		return noContent()
	}
	return jsonAnswer(200, map[string]any{"watch": list, "info": map[string]any{"per_page": per, "count": len(list), "page": page, "more_records": more}})
}

func (q *request) unwatch() answer {
	ids := strings.FieldsFunc(q.query.Get("channel_ids"), func(r rune) bool { return r == ',' })
	if len(ids) == 0 {
		return refuse(400, "EXPECTED_PARAM_MISSING", "one of the expected parameter is missing", map[string]any{"api_name": "channel_ids"}).answer()
	}
	out := []any{}
	for _, id := range ids {
		c := q.channel(id)
		if c == nil {
			return refuse(400, "NOT_SUBSCRIBED", "the channel id given is not subscribed", map[string]any{"api_name": "channel_ids"}).answer()
		}
		for _, x := range q.watched(*c, false) {
			out = append(out, result{Code: "SUCCESS", Details: x.(map[string]any), Message: "Successfully un-subscribed for actions-watch of the given module", Status: "success"})
		}
	}
	q.org.Channels = slices.DeleteFunc(q.org.Channels, func(c channel) bool { return c.User == q.user.ID && slices.Contains(ids, c.ID) })
	q.s.journal.org(q.org)
	return jsonAnswer(200, map[string]any{"watch": out})
}

// message is one message to a program that watches.
type message struct {
	url  string
	body []byte
}

// messenger carries messages out, one after the other.
type messenger struct {
	once    sync.Once
	queue   chan message
	client  *http.Client
	stop    context.CancelFunc
	stopped chan struct{}
}

// differences are the fields in which two versions of a record differ, but for what every change changes.
func differences(before, after *record) []string {
	var out []string
	for k, v := range after.Values {
		if !reflect.DeepEqual(v, before.Values[k]) {
			out = append(out, k)
		}
	}
	for k := range before.Values {
		if _, ok := after.Values[k]; !ok {
			out = append(out, k)
		}
	}
	out = slices.DeleteFunc(out, func(api string) bool {
		return api == "Modified_Time" || api == "Modified_By" || api == "Last_Activity_Time" || strings.HasPrefix(api, "$")
	})
	slices.Sort(out)
	return out
}

// notify tells whoever watches what a request changed: an unsigned POST for each channel, module and kind of change.
func (s *Sandbox) notify(q *request) {
	if q.org == nil || len(q.effects) == 0 {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := q.org
	for _, c := range o.Channels {
		if !q.at.Before(c.Expiry) {
			continue
		}
		type kind struct{ module, operation string }
		var kinds []kind
		by := map[kind][]effect{}
		for _, e := range q.effects {
			operation := map[string]string{"created": "create", "updated": "edit", "converted": "edit", "deleted": "delete", "merged": "delete"}[strings.TrimSuffix(e.Action, " by workflow")]
			k := kind{e.Module, operation}
			if !c.wants(e.Module, operation) {
				continue
			}
			if by[k] == nil {
				kinds = append(kinds, k)
			}
			by[k] = append(by[k], e)
		}
		for _, k := range kinds {
			ids, fields, values := []string{}, []any{}, []any{}
			for _, e := range by[k] {
				if !slices.Contains(ids, e.ID) {
					ids = append(ids, e.ID)
				}
				if len(e.fields) == 0 {
					continue
				}
				fields = append(fields, map[string]any{e.ID: e.fields})
				if r := o.find(e.Module, e.ID); r != nil && c.Values {
					values = append(values, map[string]any{"record_id": e.ID, "values": o.valuesOf(r, e.fields)})
				}
			}
			operation := k.operation
			if o.Settings.NotifyOperation == "insert" {
				operation = map[string]string{"create": "insert", "edit": "update", "delete": "delete"}[operation]
			}
			body := map[string]any{
				"server_time": s.now().UnixMilli(), "module": k.module, "resource_uri": q.resourceURI(moduleByName(k.module)), "ids": ids, "affected_fields": fields,
				"operation": operation, "channel_id": c.ID, "token": c.Token, "query_params": map[string]any{},
			}
			if c.Values {
				body["affected_values"] = values // name and form (mem)
			}
			s.send(message{c.URL, marshal(body)})
		}
	}
}

// valuesOf is some of a record's fields as GET by id shows them.
func (o *org) valuesOf(r *record, fields []string) map[string]any {
	v, _ := decodeJSON(o.appendRecord(nil, r, fields))
	out, _ := v.(map[string]any)
	for k := range out {
		if !slices.Contains(fields, k) {
			delete(out, k)
		}
	}
	return out
}

// send hands a message to the one goroutine that carries them. It never waits.
func (s *Sandbox) send(c message) {
	s.calls.once.Do(s.carry)
	select {
	case s.calls.queue <- c:
	default:
		s.log.Warn("a notification was dropped: too many are waiting", "url", c.url)
	}
}

func (s *Sandbox) carry() {
	ctx, stop := context.WithCancel(context.Background())
	// Whoever may talk to the sandbox could otherwise make it talk to any machine it reaches.
	dial := &net.Dialer{Timeout: callbackPatience, Control: func(_, address string, _ syscall.RawConn) error {
		host, _, _ := net.SplitHostPort(address)
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("notifications go to this machine only, not to %s", address)
		}
		return nil
	}}
	s.calls.queue, s.calls.stop, s.calls.stopped = make(chan message, waitingCallbacks), stop, make(chan struct{})
	s.calls.client = &http.Client{
		Timeout: callbackPatience, Transport: &http.Transport{DialContext: dial.DialContext, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	go func() {
		defer close(s.calls.stopped)
		defer s.calls.client.CloseIdleConnections()
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-s.calls.queue:
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(c.body))
				if err != nil {
					continue // its address was checked when the channel was made
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := s.calls.client.Do(req)
				if err != nil {
					s.log.Info("a notification did not arrive", "url", c.url, "error", err)
					continue
				}
				_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
				resp.Body.Close()
			}
		}
	}()
}

func (s *Sandbox) stopCalling() {
	s.calls.once.Do(func() {}) // nothing starts from here on
	if s.calls.stop != nil {
		s.calls.stop()
		<-s.calls.stopped
	}
}
