package sandbox

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// invalidSearch refuses a parameter that is too short, too long or of another shape. Zoho's files give the bounds and no code for
// what is beyond them; INVALID_REQUEST is the only one they have that fits (mem).
func invalidSearch() *problem {
	return refuse(400, "INVALID_REQUEST", "unable to process your request. please verify whether you have entered proper method name, parameter and parameter values.", nil)
}

// search is GET /{module}/search. It looks at the index, which lags behind the records; COQL and GET do not.
func (q *request) search(m *module) answer {
	fields, bad := q.fieldList()
	if bad != nil {
		return bad.answer()
	}
	want := convertedParam(q.query.Get("converted"))
	lag := time.Duration(q.org.Settings.SearchIndexLagMS) * time.Millisecond
	t := q.org.tables[m.API]

	// Of several parameters the first in this order wins (Kaizen 30).
	var candidates []*entry
	var match func(*record) bool
	switch p := q.query; {
	case p.Get("criteria") != "":
		c, bad := parseCriteria(p.Get("criteria"), q.org.schema(m.API))
		if bad != nil {
			return bad.answer()
		}
		candidates, match = t.order, func(r *record) bool { return c.match(q.org, r) }
	case p.Get("email") != "":
		e := strings.ToLower(strings.TrimSpace(p.Get("email")))
		candidates, match = t.emails[e], func(r *record) bool { return r.hasEmail(q.org.schema(r.Module), e) }
	case p.Get("phone") != "":
		raw := p.Get("phone")
		if !searchedPhone.MatchString(raw) || len(raw) < 3 || len(raw) > 50 {
			if !searchedPhone.MatchString(strings.TrimSpace(raw)) { // a raw + arrived as a space: a miss, not an error
				return invalidSearch().answer()
			}
		}
		candidates, match = q.byPhone(t, raw)
	case p.Get("word") != "":
		word := strings.ToLower(p.Get("word"))
		if utf8.RuneCountInString(word) < 2 {
			return invalidSearch().answer()
		}
		candidates, match = t.order, func(r *record) bool { return r.hasWord(word) }
	default:
		return refuse(400, "EXPECTED_PARAM_MISSING", "one of the expected parameter is missing", map[string]any{"param_names": []string{"criteria", "email", "phone", "word"}}).answer()
	}

	var found []*record
	for _, e := range unseen(candidates) {
		r := e.searchable(q.at, lag)
		if e.now == nil || r == nil || !want(e.now) || !match(r) {
			continue
		}
		found = append(found, r)
	}
	slices.Reverse(found)
	if by := q.query.Get("sort_by"); by != "" {
		desc := q.query.Get("sort_order") != "asc"
		slices.SortStableFunc(found, func(a, b *record) int {
			c := compareValues(a.Values[by], b.Values[by])
			if desc {
				return -c
			}
			return c
		})
	}
	return q.page(found, fields, maxListed)
}

var searchedPhone = regexp.MustCompile(`^[+]?[0-9\s\-().]+$`)

// byPhone finds candidates by the last digits and says which of them match. How Zoho's index compares a stored
// (555) 123-4567 with a searched +15551234567 is not documented, so there are three ways, and a setting to choose:
// strict compares the text as typed, digits the digits, suffix lets one end with the other (seven digits at least).
func (q *request) byPhone(t *table, raw string) ([]*entry, func(*record) bool) {
	mode := q.org.Settings.PhoneMatch
	digits := digitsOf(raw)
	sc := q.org.schema(t.module)
	// A searched + that arrived as a space was not encoded: Zoho looks for the text with the space and misses.
	lost := strings.HasPrefix(raw, " ")
	test := func(stored string) bool {
		d := digitsOf(stored)
		switch {
		case lost || d == "":
			return false
		case mode == "strict":
			return stored == raw
		case mode == "suffix":
			return len(digits) >= phoneKeyDigits && len(d) >= phoneKeyDigits && (strings.HasSuffix(d, digits) || strings.HasSuffix(digits, d))
		}
		return d == digits
	}
	return t.phones[phoneKey(digits)], func(r *record) bool {
		for i := range sc.fields {
			if sc.fields[i].Type == "phone" {
				if s := r.text(sc.fields[i].API); s != "" && test(s) {
					return true
				}
			}
		}
		return false
	}
}

func (r *record) hasEmail(sc *schema, email string) bool {
	for i := range sc.fields {
		if sc.fields[i].Type == "email" && strings.EqualFold(r.text(sc.fields[i].API), email) {
			return true
		}
	}
	return false
}

func (r *record) hasWord(word string) bool {
	for _, v := range r.Values {
		if s, ok := v.(string); ok && strings.Contains(strings.ToLower(s), word) {
			return true
		}
	}
	return false
}

// criteria is a parsed criteria parameter: a condition, or several joined by and / or.
type criteria struct {
	field, op string
	values    []string
	kind      string // data_type of the field
	or        bool
	parts     []criteria
}

const (
	maxCriteria     = 15
	maxCriteriaText = 3000
	maxCriteriaIn   = 100
)

type criteriaParser struct {
	s     string
	at    int
	sc    *schema
	count int
	bad   *problem
}

// parseCriteria reads ((Field:op:value)and(…)). Brackets, commas and backslashes inside values are escaped with a backslash.
func parseCriteria(raw string, sc *schema) (criteria, *problem) {
	p := &criteriaParser{s: strings.TrimSpace(raw), sc: sc}
	if utf8.RuneCountInString(raw) > maxCriteriaText {
		return criteria{}, invalidSearch()
	}
	c := p.group()
	if p.bad == nil && p.at != len(p.s) {
		p.invalid()
	}
	if p.bad == nil && p.count > maxCriteria {
		p.bad = refuse(400, "CRITERIA_LIMIT_EXCEEDED", "no of criterium that can be given exceed the limit 15", nil)
	}
	return c, p.bad
}

func (p *criteriaParser) invalid() {
	if p.bad == nil {
		p.bad = refuse(400, "INVALID_QUERY", "Invalid query formed", map[string]any{"param_name": "criteria"})
	}
}

func (p *criteriaParser) spaces() {
	for p.at < len(p.s) && p.s[p.at] == ' ' {
		p.at++
	}
}

// group reads a bracketed condition or a chain of them, with or without brackets around the chain.
func (p *criteriaParser) group() criteria {
	first := p.unit()
	parts := []criteria{first}
	join := ""
	for p.bad == nil {
		p.spaces()
		word := ""
		for _, w := range []string{"and", "or"} {
			if len(p.s)-p.at > len(w) && strings.EqualFold(p.s[p.at:p.at+len(w)], w) {
				word = w
			}
		}
		if word == "" {
			break
		}
		if join != "" && join != word { // and binds no closer than or: read from the left
			parts = []criteria{{parts: parts, or: join == "or"}}
		}
		join = word
		p.at += len(word)
		p.spaces()
		parts = append(parts, p.unit())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return criteria{parts: parts, or: join == "or"}
}

func (p *criteriaParser) unit() criteria {
	p.spaces()
	if p.at >= len(p.s) || p.s[p.at] != '(' {
		p.invalid()
		return criteria{}
	}
	p.at++
	p.spaces()
	if p.at < len(p.s) && p.s[p.at] == '(' {
		c := p.group()
		p.spaces()
		if p.at >= len(p.s) || p.s[p.at] != ')' {
			p.invalid()
			return c
		}
		p.at++
		return c
	}
	return p.condition()
}

func (p *criteriaParser) condition() criteria {
	p.count++
	field, op := p.upTo(':'), p.upTo(':')
	var values []string
	var b strings.Builder
	closed := false
	for p.at < len(p.s) && !closed {
		c := p.s[p.at]
		p.at++
		switch {
		case c == '\\' && p.at < len(p.s):
			b.WriteByte(p.s[p.at])
			p.at++
		case c == ',' && (op == "in" || op == "between" || op == "not_in"):
			values = append(values, b.String())
			b.Reset()
		case c == ')':
			closed = true
		default:
			b.WriteByte(c)
		}
	}
	values = append(values, b.String())
	if !closed {
		p.invalid()
		return criteria{}
	}
	f := p.sc.field(strings.SplitN(field, ".", 2)[0])
	kind := ""
	switch {
	case field == "id":
		kind = "bigint"
	case f == nil:
		p.bad = refuse(400, "INVALID_QUERY", "Invalid query formed", map[string]any{"reason": "the field is not available in the module", "api_name": field})
		return criteria{}
	default:
		kind = f.Type
	}
	if !slices.Contains([]string{"equals", "not_equal", "starts_with", "in", "not_in", "between", "greater_than", "greater_equal", "less_than", "less_equal"}, op) ||
		(op == "between" && len(values) != 2) {
		p.bad = refuse(400, "INVALID_QUERY", "Invalid query formed", map[string]any{"reason": "invalid operator found", "api_name": field, "operator": op})
		return criteria{}
	}
	if len(values) > maxCriteriaIn {
		p.bad = refuse(400, "INVALID_QUERY", `Only 100 values are allowed in "IN" criteria`, map[string]any{"param_name": "criteria", "api_name": field})
	}
	return criteria{field: field, op: op, values: values, kind: kind}
}

func (p *criteriaParser) upTo(stop byte) string {
	i := strings.IndexByte(p.s[p.at:], stop)
	if i < 0 {
		p.invalid()
		return ""
	}
	out := strings.TrimSpace(p.s[p.at : p.at+i])
	p.at += i + 1
	return out
}

func (c criteria) match(o *org, r *record) bool {
	if c.parts != nil {
		for _, p := range c.parts {
			if p.match(o, r) == c.or {
				return c.or
			}
		}
		return !c.or
	}
	v := o.columnValue(r, strings.Split(c.field, "."))
	text, isText := v.(string)
	switch c.op {
	case "equals", "in":
		for _, want := range c.values {
			// equals behaves like contains on text (Search records).
			if isText && c.kind != "date" && c.kind != "picklist" {
				if want != "" && strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
					return true
				}
			} else if v == nil && (want == "null" || want == "${EMPTY}") || v != nil && equalText(v, want) {
				return true
			}
		}
		return false
	case "not_equal", "not_in":
		for _, want := range c.values {
			if v != nil && equalText(v, want) {
				return false
			}
		}
		return true
	case "starts_with":
		return isText && strings.HasPrefix(strings.ToLower(text), strings.ToLower(c.values[0]))
	}
	if v == nil {
		return false
	}
	n, ok := compareText(v, c.values[0])
	if !ok {
		return false
	}
	switch c.op {
	case "greater_than":
		return n > 0
	case "greater_equal":
		return n >= 0
	case "less_than":
		return n < 0
	case "less_equal":
		return n <= 0
	case "between":
		m, ok := compareText(v, c.values[1])
		return ok && n >= 0 && m <= 0
	}
	return false
}

func equalText(v any, want string) bool {
	if s, ok := v.(string); ok {
		return strings.EqualFold(s, want)
	}
	n, ok := compareText(v, want)
	return ok && n == 0
}

// compareText compares a kept value with one written as text.
func compareText(v any, want string) (int, bool) {
	switch v := v.(type) {
	case string:
		return cmp.Compare(v, want), true
	case json.Number:
		a, err1 := v.Float64()
		b, err2 := strconv.ParseFloat(want, 64)
		return cmp.Compare(a, b), err1 == nil && err2 == nil
	case bool:
		return cmp.Compare(strconv.FormatBool(v), strings.ToLower(want)), true
	case time.Time:
		t, err := time.Parse(time.RFC3339, strings.Replace(want, " ", "+", 1))
		return v.Truncate(time.Second).Compare(t), err == nil
	case ref:
		return cmp.Compare(v.ID, want), true
	}
	return 0, false
}

// compareValues orders two kept values; empty ones come first.
func compareValues(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	case json.Number:
		if y, ok := b.(json.Number); ok {
			f, _ := x.Float64()
			g, _ := y.Float64()
			return cmp.Compare(f, g)
		}
	}
	return cmp.Compare(indexKey(a), indexKey(b))
}

// columnValue follows a dotted column from a record: id, Email, Account_Name.Account_Name, Owner.email.
func (o *org) columnValue(r *record, path []string) any {
	if path[0] == "id" {
		return ref{r.Module, r.ID}
	}
	v := r.Values[path[0]]
	to, isRef := v.(ref)
	if !isRef {
		return v
	}
	if _, ok := o.nameOf(to); !ok {
		return nil
	}
	if len(path) == 1 {
		return v
	}
	if to.Module == usersModule {
		u := o.user(to.ID)
		switch path[1] {
		case "id":
			return v
		case "email":
			return u.Email
		case "first_name":
			return u.First
		case "last_name":
			return u.Last
		}
		return u.name()
	}
	next := o.find(to.Module, to.ID)
	if next == nil {
		return nil
	}
	if path[1] == "name" {
		return next.text(moduleByName(to.Module).NameField)
	}
	return o.columnValue(next, path[1:])
}
