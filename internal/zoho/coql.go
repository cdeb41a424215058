package zoho

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query is one SELECT of COQL (Zoho's API, "Query API"). A condition is required there.
type Query struct {
	Select []string // api_names, dotted through lookups: Contact_Name.id
	From   string   // module
	Where  Cond
	Order  string // api_name to sort by, descending; empty: Zoho's own order
	Limit  int    // 1 to 200; 0 means 200
}

// Look asks for the records of a module in which one of Fields is one of Values. Looks of one shape can share a query.
type Look struct {
	Select []string // api_names; those of Fields are read as well
	From   string   // module
	Fields []string // api_names, dotted through lookups
	Values []string
	Order  string // as in Query
}

// What COQL takes: 50 values after "in" (Zoho's API, "Query API"), 25 conditions (mem), 200 rows.
const (
	maxValues     = 50
	maxConditions = 25
	maxRows       = 200
)

// Shape is the same for Looks that differ in Values alone.
func (l Look) Shape() string {
	return l.From + "?" + strings.Join(l.Fields, ",") + "|" + strings.Join(l.Select, ",") + "|" + l.Order
}

// Most is how many values one query of this shape takes.
func (l Look) Most() int { return maxConditions / max(len(l.Fields), 1) * maxValues }

// Query writes the Look.
func (l Look) Query() Query {
	columns := slices.Clone(l.Select)
	var conds []Cond
	for _, f := range l.Fields {
		for chunk := range slices.Chunk(l.Values, maxValues) {
			conds = append(conds, In(f, chunk...))
		}
		if !slices.Contains(columns, f) {
			columns = append(columns, f)
		}
	}
	return Query{Select: columns, From: l.From, Where: Or(conds...), Order: l.Order, Limit: maxRows}
}

// Matches reports whether a record of the answer is one that l asks for, to the letter.
func (l Look) Matches(rec Record) bool {
	return slices.ContainsFunc(l.Fields, func(f string) bool {
		value := rec.Text(f)
		if lookup, _, dotted := strings.Cut(f, "."); dotted && value == "" {
			value, _ = rec.Lookup(lookup)
		}
		return slices.Contains(l.Values, value)
	})
}

// Cond is a condition; make one with Equal, In, AtLeast, Null, And, Or.
type Cond struct {
	text string
	err  error
}

// Build writes the query, or says why it cannot be written safely.
func (q Query) Build() (string, error) {
	if !apiName.MatchString(q.From) {
		return "", unsafe("%q is no module's name", q.From)
	}
	if len(q.Select) == 0 || len(q.Select) > 50 {
		return "", unsafe("a query selects 1 to 50 fields, not %d", len(q.Select))
	}
	for _, f := range q.Select {
		if !column.MatchString(f) {
			return "", unsafe("%q is no field's name", f)
		}
	}
	if q.Where.err != nil {
		return "", q.Where.err
	}
	if q.Where.text == "" {
		return "", unsafe("a query needs a condition")
	}
	limit := q.Limit
	if limit == 0 {
		limit = maxRows
	}
	if limit < 1 || limit > maxRows {
		return "", unsafe("a query's limit is 1 to %d, not %d", maxRows, limit)
	}
	order := ""
	if q.Order != "" {
		if !column.MatchString(q.Order) {
			return "", unsafe("%q is no field's name", q.Order)
		}
		order = " order by " + q.Order + " desc"
	}
	return "select " + strings.Join(q.Select, ", ") + " from " + q.From + " where " + q.Where.text + order +
		" limit " + strconv.Itoa(limit), nil
}

// Equal is field = value.
func Equal(field string, value any) Cond { return compare(field, "=", value) }

// NotEqual is field != value.
func NotEqual(field string, value any) Cond { return compare(field, "!=", value) }

// AtLeast is field >= value.
func AtLeast(field string, value any) Cond { return compare(field, ">=", value) }

// AtMost is field <= value.
func AtMost(field string, value any) Cond { return compare(field, "<=", value) }

// Holds is field like '%text%'.
func Holds(field, text string) Cond { return compare(field, "like", "%"+text+"%") }

// Null is field is null.
func Null(field string) Cond {
	if !column.MatchString(field) {
		return Cond{err: unsafe("%q is no field's name", field)}
	}
	return Cond{text: field + " is null"}
}

// In is field in (values).
func In[T any](field string, values ...T) Cond { return in(field, "in", values) }

// NotIn is field not in (values).
func NotIn[T any](field string, values ...T) Cond { return in(field, "not in", values) }

// And joins conditions; Zoho wants pairs in brackets.
func And(conds ...Cond) Cond { return join("and", conds) }

// Or joins conditions; Zoho wants pairs in brackets.
func Or(conds ...Cond) Cond { return join("or", conds) }

func compare(field, operator string, value any) Cond {
	if !column.MatchString(field) {
		return Cond{err: unsafe("%q is no field's name", field)}
	}
	quoted, err := quote(value)
	if err != nil {
		return Cond{err: err}
	}
	return Cond{text: field + " " + operator + " " + quoted}
}

func in[T any](field, operator string, values []T) Cond {
	if !column.MatchString(field) {
		return Cond{err: unsafe("%q is no field's name", field)}
	}
	if len(values) == 0 || len(values) > maxValues {
		return Cond{err: unsafe("%s takes 1 to %d values, not %d", operator, maxValues, len(values))}
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		q, err := quote(v)
		if err != nil {
			return Cond{err: err}
		}
		quoted[i] = q
	}
	return Cond{text: field + " " + operator + " (" + strings.Join(quoted, ", ") + ")"}
}

func join(word string, conds []Cond) Cond {
	if len(conds) == 0 {
		return Cond{err: unsafe("%q joins nothing", word)}
	}
	joined := conds[0]
	for _, c := range conds[1:] {
		switch {
		case joined.err != nil:
		case c.err != nil:
			joined.err = c.err
		default:
			joined.text = "(" + joined.text + " " + word + " " + c.text + ")"
		}
	}
	return joined
}

// column is an api_name, dotted through lookups.
var column = regexp.MustCompile(`^[$A-Za-z][A-Za-z0-9_$]{0,99}(\.[A-Za-z][A-Za-z0-9_]{0,99}){0,2}$`)

// quote writes a value. Zoho does not document how to escape a quote inside a text, so texts that would need it
// are refused: whoever looks for such a text reads records by something else and compares by itself.
func quote(value any) (string, error) {
	switch v := value.(type) {
	case string:
		for _, r := range v {
			if r == '\'' || r == '"' || r == '\\' || r < ' ' || r == 0x7f || r == '\uFFFD' {
				return "", unsafe("a text with the character %q cannot be asked for in COQL", r)
			}
		}
		return "'" + v + "'", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case time.Time:
		return "'" + Time(v) + "'", nil
	}
	return "", unsafe("a value of type %T cannot be asked for in COQL", value)
}

// Time writes an instant as Zoho takes it everywhere: whole seconds and a numeric offset.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

func unsafe(format string, args ...any) error {
	return &Error{Class: OurBug, Code: "UNSAFE", Message: fmt.Sprintf(format, args...)}
}
