package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const maxSubRequests = 5

var subRequestURI = regexp.MustCompile(`^/crm(/.*)?/v[0-9]+([.][0-9]+)?/.*`)

// undo is what takes back the changes of a composite request that wants all or nothing: steps in the order they were done, and
// what the journal is told once everything has gone well.
type undo struct {
	steps   []func()
	journal []func()
}

// lines runs a journal's line now, or once the whole composite request stands.
func (q *request) lines(write func()) {
	if q.undo != nil {
		q.undo.journal = append(q.undo.journal, write)
		return
	}
	write()
}

type subRequest struct {
	id     string
	method string
	uri    string
	params map[string]any
	header map[string]any
	body   any
}

// composite is POST /__composite_requests: up to five requests in one, which may name what earlier ones answered. All run under one
// lock, one after the other, so that parallel_execution cannot be told apart. What each costs it costs here as well (mem).
func (q *request) composite() answer {
	subs, rollback, p := q.readComposite()
	if p != nil {
		return p.answer()
	}
	var all *undo
	if rollback {
		all = &undo{}
	}
	out := make([]any, len(subs))
	answered := map[string]any{}
	failedAt := -1
	for i, sub := range subs {
		missing := ""
		resolve := func(v any) any { return q.fillIn(v, answered, &missing) }
		uri, _ := resolve(sub.uri).(string)
		params, _ := resolve(sub.params).(map[string]any)
		body := resolve(sub.body)
		if missing != "" {
			out[i] = refuse(400, "INVALID_REFERENCE", "the reference given seems to be invalid", map[string]any{
				"api_name": "__composite_requests", "json_path": fmt.Sprintf("$.__composite_requests[%d]", i), "reference": missing,
			})
			if rollback {
				failedAt = i
				break
			}
			continue
		}
		a := q.runSub(sub, uri, params, body, all)
		var parsed any
		if len(a.body) > 0 {
			parsed, _ = decodeJSON(a.body)
		}
		answered[sub.id] = parsed
		out[i] = result{Code: "SUCCESS", Message: "composite request executed successfully", Status: "success", Details: map[string]any{
			"response": map[string]any{"headers": map[string]any{}, "body": orEmpty(parsed), "status_code": a.status},
		}}
		if rollback && (a.status >= 400 || a.status == http.StatusMultiStatus) {
			failedAt = i
			break
		}
	}
	if failedAt < 0 {
		if all != nil {
			for _, write := range all.journal {
				write()
			}
		}
		status := http.StatusOK
		for _, x := range out {
			if _, refused := x.(*problem); refused {
				status = http.StatusMultiStatus
			}
		}
		return jsonAnswer(status, map[string]any{"__composite_requests": out})
	}
	for i := len(all.steps) - 1; i >= 0; i-- {
		all.steps[i]()
	}
	q.effects = nil // nothing took effect
	for i := range out {
		switch {
		case i < failedAt:
			out[i] = refuse(400, "ROLLBACK_PERFORMED", "the changes of this request were rolled back", map[string]any{"rollbacked_by_sub_request_index": failedAt})
		case i > failedAt:
			out[i] = refuse(400, "PROCESSING_STOPPED", "an earlier request failed", nil)
		}
	}
	return answer{status: http.StatusMultiStatus, body: marshal(map[string]any{"__composite_requests": out}), code: "ROLLBACK_PERFORMED", rule: fmt.Sprintf("part %d failed, and all were to stand or fall together", failedAt+1)}
}

func orEmpty(v any) any {
	if v == nil {
		return map[string]any{}
	}
	return v
}

func (q *request) readComposite() (subs []subRequest, rollback bool, bad *problem) {
	const key = "__composite_requests"
	at := func(code, message, name, path string, more map[string]any) *problem {
		details := map[string]any{"api_name": name, "json_path": path}
		for k, v := range more {
			details[k] = v
		}
		return refuse(400, code, message, details)
	}
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	list, isList := top[key].([]any)
	switch {
	case err != nil || !ok:
		return nil, false, at("INVALID_DATA", "invalid data", "body", "$.body", map[string]any{"expected_data_type": "jsonobject"})
	case top[key] == nil || isList && len(list) == 0:
		return nil, false, at("MANDATORY_NOT_FOUND", "required field not found", key, "$."+key, nil)
	case !isList:
		return nil, false, at("INVALID_DATA", "invalid data", key, "$."+key, map[string]any{"expected_data_type": "jsonarray"})
	case len(list) > maxSubRequests:
		return nil, false, at("INVALID_DATA", "invalid data", key, "$."+key, map[string]any{"maximum_length": maxSubRequests})
	}
	rollback, _ = top["rollback_on_fail"].(bool)
	for _, name := range []string{"parallel_execution", "concurrent_execution"} { // two generations of Zoho's files, two names
		if parallel, _ := top[name].(bool); parallel && rollback {
			return nil, false, refuse(400, "AMBIGUITY_DURING_PROCESSING", "rollback and parallel execution exclude each other", map[string]any{"ambiguity_due_to": []map[string]string{
				{"api_name": "rollback_on_fail", "json_path": "$.rollback_on_fail"}, {"api_name": name, "json_path": "$." + name},
			}})
		}
	}
	seen := map[string]int{}
	for i, x := range list {
		path := fmt.Sprintf("$.%s[%d]", key, i)
		in, _ := x.(map[string]any)
		sub := subRequest{id: strconv.Itoa(i + 1), body: in["body"]}
		sub.method, _ = in["method"].(string)
		sub.uri, _ = in["uri"].(string)
		sub.params, _ = in["params"].(map[string]any)
		sub.header, _ = in["headers"].(map[string]any)
		if id, ok := in["sub_request_id"].(string); ok && id != "" {
			sub.id = id
		}
		switch sub.method {
		case "GET", "POST", "PUT", "DELETE", "PATCH":
		case "":
			return nil, false, at("MANDATORY_NOT_FOUND", "required field not found", "method", path+".method", nil)
		default:
			return nil, false, at("INVALID_DATA", "invalid data", "method", path+".method", nil)
		}
		if sub.uri == "" {
			return nil, false, at("MANDATORY_NOT_FOUND", "required field not found", "uri", path+".uri", nil)
		}
		if !subRequestURI.MatchString(sub.uri) {
			return nil, false, at("INVALID_DATA", "invalid data", "uri", path+".uri", map[string]any{"regex": subRequestURI.String()})
		}
		if version := strings.Split(sub.uri, "/")[2]; version != q.version {
			n := func(v string) int { n, _ := strconv.Atoi(strings.TrimPrefix(v, "v")); return n }
			return nil, false, refuse(400, "NOT_SUPPORTED", "the versions differ", map[string]any{"sub_request_version": n(version), "composite_request_version": n(q.version)})
		}
		if strings.Contains(sub.uri, key) {
			return nil, false, refuse(400, "NOT_SUPPORTED", "this request cannot be part of another", map[string]any{"allowed_services": []string{"records", "coql", "search", "settings", "users"}})
		}
		if first, ok := seen[sub.id]; ok {
			return nil, false, at("DUPLICATE_DATA", "duplicate data", "sub_request_id", path+".sub_request_id", map[string]any{"sub_request_indexes": []int{first, i}})
		}
		seen[sub.id] = i
		subs = append(subs, sub)
	}
	return subs, rollback, nil
}

// runSub is one of the requests. The caller holds the lock for writing.
func (q *request) runSub(sub subRequest, uri string, params map[string]any, body any, all *undo) answer {
	path, raw, _ := strings.Cut(uri, "?")
	query := parseQuery(raw)
	for k, v := range params {
		query.Set(k, fmt.Sprint(v))
	}
	parts := strings.Split(strings.Trim(strings.TrimPrefix(path, "/crm/"), "/"), "/")
	x := &request{
		s: q.s, http: &http.Request{Method: sub.method, URL: &url.URL{Path: path}, Header: http.Header{}}, number: q.number, at: q.at,
		method: sub.method, path: path, version: parts[0], parts: parts[1:], query: query, org: q.org, user: q.user, acc: q.acc, held: true, undo: all,
	}
	if body != nil {
		x.body = marshal(body)
	}
	for k, v := range sub.header {
		x.http.Header.Set(k, fmt.Sprint(v))
	}
	op, p := x.resolve()
	if p == nil {
		p = q.s.spend(x, op)
	}
	q.credits += x.credits
	if p != nil {
		return p.answer()
	}
	a := op.run(x)
	q.effects = append(q.effects, x.effects...)
	return a
}

// What refers to an earlier answer: @{sub_request_id:path into its body} (mem).
var reference = regexp.MustCompile(`@\{([A-Za-z0-9_]+):(\$[^}]*)\}`)

// fillIn puts answers in the place of references, wherever in a value they stand. A text that is nothing but a reference becomes
// what it refers to. missing is set to one that leads nowhere.
func (q *request) fillIn(v any, answered map[string]any, missing *string) any {
	switch v := v.(type) {
	case string:
		look := func(m []string) any {
			found, ok := follow(answered[m[1]], m[2])
			if !ok {
				*missing = m[0]
			}
			return found
		}
		if m := reference.FindStringSubmatch(v); m != nil && m[0] == v {
			return look(m)
		}
		return reference.ReplaceAllStringFunc(v, func(s string) string { return fmt.Sprint(look(reference.FindStringSubmatch(s))) })
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = q.fillIn(x, answered, missing)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = q.fillIn(x, answered, missing)
		}
		return out
	}
	return v
}

var pathStep = regexp.MustCompile(`^(?:\.([A-Za-z0-9_$]+)|\[([0-9]+)\])`)

// follow goes along a path such as $.data[0].details.id.
func follow(v any, path string) (any, bool) {
	for path = strings.TrimPrefix(path, "$"); path != ""; {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return nil, false
		}
		path = path[len(m[0]):]
		if m[1] != "" {
			o, _ := v.(map[string]any)
			v = o[m[1]]
		} else {
			list, _ := v.([]any)
			i, _ := strconv.Atoi(m[2])
			if i >= len(list) {
				return nil, false
			}
			v = list[i]
		}
	}
	switch v.(type) {
	case string, json.Number, bool, map[string]any, []any:
		return v, true
	}
	return nil, false
}
