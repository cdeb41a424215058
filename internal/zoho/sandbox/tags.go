package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxTagName = 25
	maxTags    = 10 // of a record (mem)
)

// tag is a tag as records hold it: an object, as Zoho answers it.
type tag = map[string]any

func tagName(x any) string {
	t, _ := x.(tag)
	name, _ := t["name"].(string)
	return name
}

// tagged gives tags their ids, new ones where the module has not seen the name. The caller holds the lock for writing.
func (s *Sandbox) tagged(o *org, module string, list []any) []any {
	out := make([]any, len(list))
	made := false
	for i, x := range list {
		name := tagName(x)
		key := strings.ToLower(name)
		if o.Tags[module] == nil {
			if o.Tags == nil {
				o.Tags = map[string]map[string]string{}
			}
			o.Tags[module] = map[string]string{}
		}
		if o.Tags[module][key] == "" {
			o.Tags[module][key] = o.newID()
			made = true
		}
		out[i] = tag{"name": name, "id": o.Tags[module][key], "color_code": nil}
	}
	if made {
		s.journal.org(o)
	}
	return out
}

func hasTag(list []any, name string) bool {
	return slices.ContainsFunc(list, func(x any) bool { return strings.EqualFold(tagName(x), name) })
}

// tagsOperation is add_tags and remove_tags, of one record or of those that `ids` names. A credit is enough for 50 records (obs).
func (q *request) tagsOperation(template string, m *module, pathID string, remove bool) (operation, *problem) {
	n := 1
	if pathID == "" {
		n = len(q.tagIDs())
	}
	return q.verbs(template, map[string]operation{"POST": {
		scopes: [][]string{{"ZohoCRM.settings.tags.ALL"}}, right: "Edit", module: m.API, write: true, cost: max(1, (n+49)/50),
		run: func(q *request) answer { return q.tag(m, pathID, remove) },
	}})
}

// tagIDs are the records of a request without an id in its path: in the body, as the present files have it, or in the query.
func (q *request) tagIDs() []string {
	split := func(r rune) bool { return r == ',' || r == ' ' }
	if raw := q.query.Get("ids"); raw != "" {
		return strings.FieldsFunc(raw, split)
	}
	v, _ := decodeJSON(q.body)
	top, _ := v.(map[string]any)
	switch ids := top["ids"].(type) {
	case string:
		return strings.FieldsFunc(ids, split)
	case []any:
		var out []string
		for _, x := range ids {
			if id, ok := idOf(x); ok {
				out = append(out, id)
			}
		}
		return out
	}
	return nil
}

func (q *request) tag(m *module, pathID string, remove bool) answer {
	names, overwrite, refusal := q.tagBody()
	if refusal != nil {
		return *refusal
	}
	ids := []string{pathID}
	if pathID == "" {
		if ids = q.tagIDs(); len(ids) == 0 {
			return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "ids", "json_path": "$.ids"}).answer()
		}
		if len(ids) > maxRecords {
			return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "ids", "json_path": "$.ids", "maximum_length": maxRecords}).answer()
		}
	}
	out := []result{}
	done, locked := 0, 0
	for _, id := range ids {
		r := q.org.find(m.API, id)
		p := (*problem)(nil)
		switch {
		case r == nil:
			p = refuse(400, "INVALID_DATA", "invalid data", map[string]any{"resource_path_index": 1})
		case r.is(lockedKey):
			locked++
			p = recordLocked(r, map[bool]string{true: "remove_tags", false: "add_tags"}[remove])
		}
		var next []any
		if p == nil {
			if next = retag(r, names, overwrite, remove); len(next) > maxTags {
				p = refuse(400, "LIMIT_EXCEEDED", "tags limit exceeded", map[string]any{"limit": maxTags})
			}
		}
		if p != nil {
			if pathID != "" {
				return p.answer()
			}
			out = append(out, failure(p))
			continue
		}
		next = q.s.tagged(q.org, m.API, next)
		r = q.s.revise(q, r, map[string]any{"Tag": next}, "updated")
		done++
		out = append(out, result{Code: "SUCCESS", Message: "tags updated successfully", Status: "success", http: 200, Details: map[string]any{
			"id": r.ID, "modifiedTime": q.org.clock(r.Modified), "tags": next,
		}})
	}
	a := q.answerAll(out, http.StatusOK)
	body := map[string]any{"data": out, "locked_count": strconv.Itoa(locked)}
	if !remove {
		body["success_count"] = strconv.Itoa(done)
	}
	a.body = marshal(body)
	return a
}

// retag is what a record's tags are after a request.
func retag(r *record, names []string, overwrite, remove bool) []any {
	old, _ := r.Values["Tag"].([]any)
	next := []any{}
	for _, x := range old {
		if !overwrite && !(remove && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, tagName(x)) })) {
			next = append(next, x)
		}
	}
	for _, name := range names {
		if !remove && !hasTag(next, name) {
			next = append(next, tag{"name": name})
		}
	}
	return next
}

// tagBody reads {"tags":[{"name"}],"over_write"}; older versions name the tags in the query.
func (q *request) tagBody() (names []string, overwrite bool, refusal *answer) {
	if raw := q.query.Get("tag_names"); raw != "" && q.oldAPI() {
		return strings.Split(raw, ","), q.query.Get("over_write") == "true", nil
	}
	bad := func(p *problem) ([]string, bool, *answer) { a := p.answer(); return nil, false, &a }
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	if err != nil || !ok {
		return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject"}))
	}
	list, ok := top["tags"].([]any)
	if !ok || len(list) == 0 {
		return bad(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"api_name": "tags", "json_path": "$.tags", "expected_data_type": "jsonarray"}))
	}
	var refused []*problem
	for i, x := range list {
		at := map[string]any{"api_name": "name", "json_path": "$.tags[" + strconv.Itoa(i) + "].name"}
		name := tagName(x)
		switch {
		case name == "":
			at["expected_data_type"] = "text"
			refused = append(refused, refuse(400, "INVALID_DATA", "Invalid data type", at))
		case utf8.RuneCountInString(name) > maxTagName:
			at["maximum_length"] = maxTagName
			refused = append(refused, refuse(400, "INVALID_DATA", "Invalid data", at))
		}
		names = append(names, name)
	}
	if len(refused) > 0 {
		return nil, false, &answer{status: 400, body: marshal(map[string]any{"tags": refused}), code: refused[0].Code, rule: refused[0].why()}
	}
	overwrite, _ = top["over_write"].(bool)
	return names, overwrite, nil
}
