package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	coqlDefaultLimit = 200
	coqlMaxLimit     = 2000 // Kaizen 82; the specification caps data at 200 (conflict): clients ask for 200
	coqlMaxColumns   = 50
	coqlMaxIn        = 100 // as search documents it (mem)
)

// coqlOperation reads the statement first: module, limit and so scope and price follow from it.
func (q *request) coqlOperation(template string) (operation, *problem) {
	op, bad := q.verbs(template, map[string]operation{"POST": {scopes: [][]string{{"ZohoCRM.coql.READ"}}, heavy: true, right: "View"}})
	if bad != nil {
		return op, bad
	}
	late := func(p *problem) operation { // refused, but only after scopes and limits were looked at
		op.run = func(*request) answer { return p.answer() }
		op.right = ""
		return op
	}
	v, err := decodeJSON(q.body)
	top, ok := v.(map[string]any)
	if err != nil || !ok {
		return late(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "jsonobject"})), nil
	}
	text, given := top["select_query"]
	if !given {
		return late(refuse(400, "MANDATORY_NOT_FOUND", "required field not found", map[string]any{"api_name": "select_query"})), nil
	}
	query, ok := text.(string)
	if !ok {
		return late(refuse(400, "INVALID_DATA", "invalid data", map[string]any{"expected_data_type": "string", "api_name": "select_query", "json_path": "$.select_query"})), nil
	}
	done := q.reading()
	loose := q.org.Settings.LooseCOQLBrackets
	done()
	sel, bad2 := parseCOQL(query, loose)
	if bad2 != nil {
		return late(bad2.problem()), nil
	}
	m := moduleByName(sel.module)
	if m == nil || m.Inner {
		return late(refuse(400, "INVALID_QUERY", "the module given seems to be invalid", map[string]any{"module": sel.module})), nil
	}
	if sel.where == nil {
		return late(refuse(400, "SYNTAX_ERROR", "missing clause", map[string]any{"clause": "where"})), nil
	}
	switch {
	case sel.limit == 0 || sel.limit < -1:
		return late(refuse(400, "INVALID_DATA", "limit should be greater than 0", nil)), nil
	case sel.limit > coqlMaxLimit:
		return late(refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"limit": coqlMaxLimit})), nil
	case len(sel.columns) > coqlMaxColumns:
		return late(refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"limit": coqlMaxColumns})), nil
	case sel.limit == -1:
		sel.limit = coqlDefaultLimit
	}
	op.module = m.API
	op.scopes = append(op.scopes, moduleScope(m.API, "READ")...)
	op.cost = 1
	if sel.limit > 200 { // one to three by limit (mem)
		op.cost = 2
	}
	if sel.limit > 1000 {
		op.cost = 3
	}
	op.run = func(q *request) answer { return q.coql(m, sel) }
	q.indexFor(m, sel.where)
	return op, nil
}

// indexFor makes the equality indexes that a condition can use, before it runs under the lock for reading.
func (q *request) indexFor(m *module, c *condition) {
	o := q.org
	var missing []string
	done := q.reading()
	t := o.tables[m.API]
	var walk func(*condition)
	walk = func(c *condition) {
		if c.left != nil {
			walk(c.left)
			walk(c.right)
			return
		}
		if api := c.indexed(o.schema(m.API)); api != "" && t.equal[api] == nil {
			missing = append(missing, api)
		}
	}
	walk(c)
	done()
	if len(missing) == 0 {
		return
	}
	if !q.held {
		q.s.mu.Lock()
		defer q.s.mu.Unlock()
	}
	for _, api := range missing {
		o.tables[m.API].equalIndex(api)
	}
}

// indexed is the field whose equality index answers a comparison, "" where none does.
func (c *condition) indexed(sc *schema) string {
	if c.op != "=" && c.op != "in" {
		return ""
	}
	f := sc.field(c.column.path[0])
	if f == nil {
		return ""
	}
	switch f.Type {
	case "text", "phone", "email", "picklist", "datetime", "date":
		if len(c.column.path) == 1 {
			return f.API
		}
	case "lookup", "ownerlookup":
		if len(c.column.path) == 1 || (len(c.column.path) == 2 && c.column.path[1] == "id") {
			return f.API
		}
	}
	return ""
}

// candidates narrows the records that a condition can be true for; ok says whether it could.
func (t *table) candidates(o *org, sc *schema, c *condition) (list []*entry, ok bool) {
	switch {
	case c.op == "and":
		a, okA := t.candidates(o, sc, c.left)
		b, okB := t.candidates(o, sc, c.right)
		switch {
		case okA && okB && len(b) < len(a):
			return b, true
		case okA:
			return a, true
		}
		return b, okB
	case c.op == "or":
		a, okA := t.candidates(o, sc, c.left)
		b, okB := t.candidates(o, sc, c.right)
		if !okA || !okB {
			return nil, false
		}
		return append(slices.Clone(a), b...), true
	case (c.op == "=" || c.op == "in") && len(c.column.path) == 1 && c.column.path[0] == "id":
		for _, v := range c.values {
			if e := o.byID[v.text]; e != nil {
				list = append(list, e)
			}
		}
		return list, true
	}
	api := c.indexed(sc)
	m := t.equal[api]
	if api == "" || m == nil {
		return nil, false
	}
	for _, v := range c.values {
		key := v.text
		if sc.field(api).Type == "datetime" {
			at, err := time.Parse(time.RFC3339, v.text)
			if err != nil {
				return nil, false
			}
			key = indexKey(at)
		}
		list = append(list, m[key]...)
	}
	return list, true
}

func (q *request) coql(m *module, sel *selectQuery) answer {
	o, sc, t := q.org, q.org.schema(m.API), q.org.tables[m.API]
	for _, c := range sel.columns {
		if bad := o.checkColumn(sc, c.path, "select"); bad != nil {
			return bad.answer()
		}
	}
	for _, by := range sel.order {
		if bad := o.checkColumn(sc, by.path, "order by"); bad != nil {
			return bad.answer()
		}
	}
	if bad := o.checkCondition(sc, sel.where); bad != nil {
		return bad.answer()
	}

	list, ok := t.candidates(o, sc, sel.where)
	if !ok {
		list = t.order
	}
	var found []*record
	for _, e := range unseen(list) {
		r := e.now
		if r == nil || r.Module != m.API || (o.Settings.COQLHidesConverted && r.is("Converted__s")) {
			continue
		}
		if sel.where.holds(o, r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int {
		for _, by := range sel.order {
			c := compareValues(o.columnValue(a, by.path), o.columnValue(b, by.path))
			if by.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		if a.ID == b.ID {
			return 0
		}
		if newer(a.ID, b.ID) {
			return 1
		}
		return -1
	})
	from := min(len(found), sel.offset)
	to := min(len(found), from+sel.limit)
	more := to < len(found)
	found = found[from:to]
	if len(found) == 0 {
		return noContent()
	}
	b := []byte(`{"data":[`)
	for i, r := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = o.appendRow(b, sc, r, sel.columns)
	}
	b = fmt.Appendf(b, `],"info":{"count":%d,"more_records":%t}}`, len(found), more)
	return answer{status: 200, body: b}
}

// appendRow writes one row: the columns asked for, and id, which always comes along (obs).
func (o *org) appendRow(b []byte, sc *schema, r *record, columns []column) []byte {
	b = append(b, '{')
	sawID := false
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, c.as)
		b = append(b, ':')
		sawID = sawID || c.as == "id"
		v := o.columnValue(r, c.path)
		switch {
		case c.path[len(c.path)-1] == "id":
			if to, ok := v.(ref); ok {
				b = appendString(b, to.ID)
			} else {
				b = append(b, "null"...)
			}
		default:
			f := &field{Type: "text"}
			if len(c.path) == 1 {
				if known := sc.field(c.path[0]); known != nil {
					f = known
				}
			}
			b = o.appendValue(b, f, v)
		}
	}
	if !sawID {
		b = append(b, `,"id":`...)
		b = appendString(b, r.ID)
	}
	return append(b, '}')
}

func invalidColumn(path []string, clause string) *problem {
	return refuse(400, "INVALID_QUERY", "column given seems to be invalid", map[string]any{"column_name": strings.Join(path, "."), "clause": clause})
}

// checkColumn follows a dotted column through the schemas; lookups to several modules and to users have a few names of their own.
func (o *org) checkColumn(sc *schema, path []string, clause string) *problem {
	if len(path) == 1 && path[0] == "id" {
		return nil
	}
	f := sc.field(path[0])
	switch {
	case f == nil || len(path) > 3:
		return invalidColumn(path, clause)
	case len(path) == 1:
		return nil
	case f.Type == "ownerlookup":
		if len(path) == 2 && slices.Contains([]string{"id", "name", "full_name", "email", "first_name", "last_name"}, path[1]) {
			return nil
		}
	case f.Lookup == "*":
		if len(path) == 2 && (path[1] == "id" || path[1] == "name") {
			return nil
		}
	case f.Lookup != "":
		if path[1] == "name" && len(path) == 2 || o.checkColumn(o.schema(f.Lookup), path[1:], clause) == nil {
			return nil
		}
	}
	return invalidColumn(path, clause)
}

// columnType is the data_type a column compares as.
func (o *org) columnType(sc *schema, path []string) string {
	if path[len(path)-1] == "id" {
		return "id"
	}
	f := sc.field(path[0])
	if f == nil {
		return "text"
	}
	if len(path) > 1 {
		if f.Lookup == "" || f.Lookup == "*" {
			return "text"
		}
		return o.columnType(o.schema(f.Lookup), path[1:])
	}
	if f.Type == "lookup" || f.Type == "ownerlookup" {
		return "id"
	}
	return f.Type
}

func (o *org) checkCondition(sc *schema, c *condition) *problem {
	if c.left != nil {
		if bad := o.checkCondition(sc, c.left); bad != nil {
			return bad
		}
		return o.checkCondition(sc, c.right)
	}
	if bad := o.checkColumn(sc, c.column.path, "where"); bad != nil {
		return bad
	}
	kind := o.columnType(sc, c.column.path)
	if !slices.Contains(coqlOperators(kind), c.op) {
		details := map[string]any{"column_name": c.column.name}
		if slices.Contains(coqlNamedOperators, c.op) {
			details["operator"], details["reason"] = c.op, "invalid operator found"
		}
		return refuse(400, "INVALID_QUERY", "invalid operator found", details)
	}
	if len(c.values) > coqlMaxIn && (c.op == "in" || c.op == "not in") {
		return refuse(400, "LIMIT_EXCEEDED", "limit exceeded", map[string]any{"column_name": c.column.name, "limit": coqlMaxIn})
	}
	for _, v := range c.values {
		ok := true
		switch kind {
		case "datetime":
			_, err := time.Parse(time.RFC3339, v.text)
			ok = err == nil
		case "date":
			_, err := time.Parse("2006-01-02", v.text)
			ok = err == nil
		case "integer", "bigint", "double", "currency", "percent":
			_, err := strconv.ParseFloat(v.text, 64)
			ok = err == nil
		case "boolean":
			ok = strings.EqualFold(v.text, "true") || strings.EqualFold(v.text, "false")
		case "id":
			ok = validID(v.text)
		case "text", "textarea", "phone", "email", "website", "picklist":
			ok = v.quoted
		}
		if !ok {
			return refuse(400, "INVALID_QUERY", "value given seems to be invalid for the column", map[string]any{"cv_criteria": false, "column_name": c.column.name, "operator": c.op, "value": v.text})
		}
	}
	return nil
}

// coqlNamedOperators are those that a refusal of an operator names; of the others it names the column alone (COQL, errors).
var coqlNamedOperators = []string{">", "<", ">=", "<=", "=", "!=", "is null", "is not null"}

// coqlOperators by type of column (COQL, supported operators).
func coqlOperators(kind string) []string {
	null := []string{"is null", "is not null"}
	switch kind {
	case "text", "email", "phone", "website", "picklist":
		return append(null, "=", "!=", "like", "not like", "in", "not in")
	case "textarea", "multiselectpicklist":
		return append(null, "=", "!=", "like", "not like")
	case "id":
		return append(null, "=", "!=", "in", "not in")
	case "boolean":
		return []string{"="}
	case "date", "datetime", "integer", "bigint", "double", "currency", "percent":
		return append(null, "=", "!=", "<", "<=", ">", ">=", "between", "not between", "in", "not in")
	}
	return null
}

// holds evaluates a condition against a record as it is stored: exact text, no index.
func (c *condition) holds(o *org, r *record) bool {
	switch c.op {
	case "and":
		return c.left.holds(o, r) && c.right.holds(o, r)
	case "or":
		return c.left.holds(o, r) || c.right.holds(o, r)
	}
	v := o.columnValue(r, c.column.path)
	empty := v == nil || v == ""
	switch c.op {
	case "is null":
		return empty
	case "is not null":
		return !empty
	}
	compare := func(i int) (int, bool) { return compareText(v, c.values[i].text) }
	same := func() bool {
		for i := range c.values {
			if n, ok := compare(i); ok && n == 0 {
				return true
			}
		}
		return false
	}
	if empty {
		if _, isBool := v.(bool); !isBool {
			// An unset checkbox is false; anything else that is empty compares with nothing but != and not.
			if o.columnType(o.schema(r.Module), c.column.path) == "boolean" {
				return c.values[0].text == "false"
			}
			return c.op == "!=" || strings.HasPrefix(c.op, "not ")
		}
	}
	switch c.op {
	case "=", "in":
		return same()
	case "!=", "not in":
		return !same()
	case "like", "not like":
		s, _ := v.(string)
		return likeMatch(s, c.values[0].text) == (c.op == "like")
	}
	n, ok := compare(0)
	if !ok {
		return false
	}
	switch c.op {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case ">":
		return n > 0
	case ">=":
		return n >= 0
	}
	m, ok := compare(1)
	if !ok {
		return false
	}
	return (n >= 0 && m <= 0) == (c.op == "between")
}

// likeMatch: % is any text; without one the pattern is the whole text. Case does not matter.
func likeMatch(s, pattern string) bool {
	parts := strings.Split(pattern, "%")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	ok, err := regexp.MatchString("(?is)^"+strings.Join(parts, ".*")+"$", s)
	return err == nil && ok
}
