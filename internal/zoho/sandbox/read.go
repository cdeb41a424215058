package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxPage   = 200
	maxListed = 2000 // beyond, Zoho wants a page_token (Get records)
	maxFields = 50

	maxTokenListed = 100_000        // however it is paged
	pageTokenLife  = 24 * time.Hour // of a page_token
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
	at := (page - 1) * per
	if raw := q.query.Get("page_token"); raw != "" {
		if at, bad = q.readPageToken(m, raw); bad != nil {
			return bad.answer()
		}
	} else if page*per > maxListed {
		return refuse(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "page_token is needed beyond 2000 records", map[string]any{"limit": maxListed}).answer()
	}
	if at+per > maxTokenListed {
		return refuse(400, "PAGINATION_LIMIT_EXCEEDED", "no more than 100000 records can be listed", map[string]any{"limit": maxTokenListed}).answer()
	}
	want := convertedParam(q.query.Get("converted"))
	// Newest first; only as far as the page reaches, where nothing else is to be sorted by.
	var found []*record
	by := q.query.Get("sort_by")
	switch raw := q.query.Get("ids"); {
	case raw != "":
		for _, id := range strings.Split(raw, ",") {
			if r := q.org.find(m.API, strings.TrimSpace(id)); r != nil && want(r) {
				found = append(found, r)
			}
		}
	case by == "" || by == "id" || by == "Created_Time" || by == "Modified_Time":
		order := q.org.tables[m.API].order
		plain := by == "" || by == "id"
		for i := len(order) - 1; i >= 0 && (!plain || q.query.Get("sort_order") == "asc" || len(found) <= at+per); i-- {
			if r := order[i].now; r != nil && want(r) {
				found = append(found, r)
			}
		}
		if !plain {
			slices.SortStableFunc(found, func(a, b *record) int { return compareValues(b.Values[by], a.Values[by]) })
		}
		if q.query.Get("sort_order") == "asc" {
			slices.Reverse(found)
		}
	default:
		return refuse(400, "INVALID_DATA", "invalid data", map[string]any{"param_name": "sort_by"}).answer()
	}
	from, to := min(len(found), at), min(len(found), at+per)
	more := to < len(found)
	if found = found[from:to]; len(found) == 0 {
		return noContent()
	}
	info := map[string]any{"per_page": per, "count": len(found), "page": page, "more_records": more}
	if more {
		info["next_page_token"], info["page_token_expiry"] = q.pageToken(m, to), q.org.clock(q.at.Add(pageTokenLife))
	}
	return q.rows(found, fields, info)
}

// pageToken leads to what follows a page. It belongs to the parameters it came from and lives for a day (Get records).
func (q *request) pageToken(m *module, at int) string {
	return base64.RawURLEncoding.EncodeToString(marshal(pageToken{At: at, Of: q.boundTo(m), Issued: q.at.Unix()}))
}

type pageToken struct {
	At     int    `json:"a"`
	Of     string `json:"o"`
	Issued int64  `json:"i"`
}

// boundTo are the parameters that have to stay from one page to the next.
func (q *request) boundTo(m *module) string {
	h := fnv.New64()
	for _, name := range []string{"fields", "sort_by", "sort_order", "converted", "per_page"} {
		fmt.Fprintf(h, "%s %q ", m.API, q.query.Get(name))
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

func (q *request) readPageToken(m *module, raw string) (at int, bad *problem) {
	var t pageToken
	b, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil || json.Unmarshal(b, &t) != nil || t.At < 0 {
		return 0, refuse(400, "INVALID_DATA", "invalid data", map[string]any{"param_name": "page_token"})
	}
	if t.Of != q.boundTo(m) {
		return 0, refuse(400, "TOKEN_BOUND_DATA_MISMATCH", "the parameters differ from those of the page token", map[string]any{"param_name": "page_token"})
	}
	if q.at.Sub(time.Unix(t.Issued, 0)) > pageTokenLife {
		return 0, refuse(400, "EXPIRED_VALUE", "the page token has expired", map[string]any{"param_name": "page_token"})
	}
	return t.At, nil
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
	return q.rows(found, fields, map[string]any{"per_page": per, "count": len(found), "page": page, "more_records": more})
}

// rows writes records and what is said about the page.
func (q *request) rows(found []*record, fields []string, info map[string]any) answer {
	b := make([]byte, 0, 1024*len(found))
	b = append(b, `{"data":[`...)
	for i, r := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = q.org.appendRecord(b, r, fields)
	}
	b = append(append(append(b, `],"info":`...), marshal(info)...), '}')
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
