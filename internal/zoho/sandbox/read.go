package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxPage   = 200
	maxListed = 2000 // beyond, Zoho wants a page_token (Get records)
	maxFields = 50
)

// paging reads page and per_page.
func (q *request) paging() (page, per int, bad *problem) {
	read := func(name string, fallback, most int) int {
		raw := q.query.Get(name)
		if raw == "" {
			return fallback
		}
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || (most > 0 && n > most) {
			bad = refuse(400, "INVALID_DATA", "invalid data", map[string]any{"param_name": name, "expected_data_type": "integer"})
			return fallback
		}
		return n
	}
	return read("page", 1, 0), read("per_page", maxPage, maxPage), bad
}

// fieldList is the fields parameter; nil is every field.
func (q *request) fieldList() ([]string, *problem) {
	raw := strings.FieldsFunc(q.query.Get("fields"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(raw) > maxFields {
		return nil, refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"limit": maxFields, "param_name": "fields"})
	}
	if len(raw) == 0 {
		return nil, nil
	}
	return raw, nil
}

func (q *request) list(m *module) answer {
	if q.query.Get("fields") == "" && !q.oldAPI() {
		return refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "fields"}).answer()
	}
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	if page*per > maxListed {
		return refuse(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "page_token is needed beyond 2000 records", map[string]any{"limit": maxListed}).answer()
	}
	want := convertedParam(q.query.Get("converted"))
	var ids []string
	if raw := q.query.Get("ids"); raw != "" {
		ids = strings.Split(raw, ",")
	}
	// Newest first; only as far as the page reaches.
	var found []*record
	if ids != nil {
		for _, id := range ids {
			if r := q.org.find(m.API, strings.TrimSpace(id)); r != nil && want(r) {
				found = append(found, r)
			}
		}
	} else {
		order := q.org.tables[m.API].order
		for i := len(order) - 1; i >= 0 && len(found) <= page*per; i-- {
			if r := order[i].now; r != nil && want(r) {
				found = append(found, r)
			}
		}
	}
	return q.page(found, fields, maxListed)
}

// convertedParam is the converted parameter: false unless given, true, or both.
func convertedParam(v string) func(*record) bool {
	switch v {
	case "both":
		return func(*record) bool { return true }
	case "true":
		return func(r *record) bool { return r.is("Converted__s") }
	}
	return func(r *record) bool { return !r.is("Converted__s") }
}

// page cuts one page out of what was found and writes it; nothing is 204.
func (q *request) page(found []*record, fields []string, ceiling int) answer {
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	if page*per > ceiling {
		return refuse(400, "LIMIT_REACHED", "maximum response iteration limit reached", map[string]any{"limit": strconv.Itoa(ceiling)}).answer()
	}
	from, to := min(len(found), (page-1)*per), min(len(found), page*per)
	more := to < len(found)
	found = found[from:to]
	if len(found) == 0 {
		return noContent()
	}
	b := make([]byte, 0, 1024*len(found))
	b = append(b, `{"data":[`...)
	for i, r := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = q.org.appendRecord(b, r, fields)
	}
	b = fmt.Appendf(b, `],"info":{"per_page":%d,"count":%d,"page":%d,"more_records":%t}}`, per, len(found), page, more)
	return answer{status: http.StatusOK, body: b}
}

// get is one record. Unknown is 204, not 404.
func (q *request) get(m *module, id string) answer {
	if !validID(id) {
		return invalidID(map[string]any{"resource_path_index": 1}).answer()
	}
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	r := q.org.find(m.API, id)
	if r == nil {
		return noContent()
	}
	if h := q.http.Header.Get("If-Modified-Since"); h != "" {
		if since, err := parseHeaderTime(h); err == nil && !r.Modified.Truncate(time.Second).After(since) {
			return answer{status: http.StatusNotModified}
		}
	}
	b := append(make([]byte, 0, 2048), `{"data":[`...)
	b = q.org.appendRecord(b, r, fields)
	return answer{status: http.StatusOK, body: append(b, "]}"...)}
}
