package sandbox

import (
	"strconv"
	"strings"
)

// selectQuery is a parsed COQL statement.
type selectQuery struct {
	columns []column
	module  string
	where   *condition // nil when missing
	order   []ordering
	limit   int // -1 = not given
	offset  int
}

type column struct {
	name string // as written, which is also the key of the answer
	path []string
	as   string
}

type ordering struct {
	path []string
	desc bool
}

// condition is a comparison, or two conditions joined.
type condition struct {
	op          string // and, or, =, !=, <, <=, >, >=, in, not in, like, not like, between, not between, is null, is not null
	left, right *condition
	bracketed   bool
	column      column
	values      []literal
}

type literal struct {
	text   string
	quoted bool
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenText
	tokenNumber
	tokenSymbol
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// coqlError is where and why a statement could not be read.
type coqlError struct{ details map[string]any }

func (e *coqlError) problem() *problem {
	return refuse(400, "SYNTAX_ERROR", "error occurred while parsing the query", e.details)
}

func near(t token) *coqlError {
	return &coqlError{map[string]any{"line": 1, "column": t.at + 1, "near": t.text}}
}

// lexCOQL splits a statement into words, quoted text, numbers and symbols. A quote or backslash in text is escaped with a backslash.
func lexCOQL(s string) ([]token, *coqlError) {
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '\'' || c == '"':
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(s) {
					return nil, near(token{text: s[start:], at: start})
				}
				if s[i] == '\\' && i+1 < len(s) {
					i++
					b.WriteByte(s[i])
					continue
				}
				if s[i] == c {
					i++
					break
				}
				b.WriteByte(s[i])
			}
			out = append(out, token{tokenText, b.String(), start})
		case isWordByte(c) && !(c >= '0' && c <= '9'):
			for i < len(s) && (isWordByte(s[i]) || s[i] == '.') {
				i++
			}
			out = append(out, token{tokenWord, s[start:i], start})
		case c >= '0' && c <= '9' || c == '-' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			for i++; i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || s[i] == 'e' || s[i] == 'E'); i++ {
			}
			out = append(out, token{tokenNumber, s[start:i], start})
		default:
			n := 1
			if i+1 < len(s) {
				switch s[i : i+2] {
				case "!=", "<=", ">=", "<>":
					n = 2
				}
			}
			if !strings.Contains("(),=<>*", s[i:i+1]) && n == 1 {
				return nil, near(token{text: s[start:], at: start})
			}
			i += n
			out = append(out, token{tokenSymbol, s[start:i], start})
		}
	}
	return append(out, token{tokenEnd, "", len(s)}), nil
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

type coqlParser struct {
	tokens []token
	at     int
	loose  bool // more than two conditions may stand without brackets
}

// parseCOQL reads: select columns from Module where condition [order by …] [limit n | offset,n | n offset m].
func parseCOQL(s string, loose bool) (*selectQuery, *coqlError) {
	tokens, err := lexCOQL(s)
	if err != nil {
		return nil, err
	}
	p := &coqlParser{tokens: tokens, loose: loose}
	return p.statement()
}

func (p *coqlParser) peek() token { return p.tokens[p.at] }
func (p *coqlParser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

func (p *coqlParser) word(w string) bool {
	if t := p.peek(); t.kind == tokenWord && strings.EqualFold(t.text, w) {
		p.at++
		return true
	}
	return false
}

func (p *coqlParser) symbol(s string) bool {
	if t := p.peek(); t.kind == tokenSymbol && t.text == s {
		p.at++
		return true
	}
	return false
}

func (p *coqlParser) column() (column, *coqlError) {
	t := p.next()
	if t.kind != tokenWord || reserved(t.text) || strings.HasSuffix(t.text, ".") || strings.Contains(t.text, "..") {
		return column{}, near(t)
	}
	return column{name: t.text, path: strings.Split(t.text, ".")}, nil
}

func reserved(w string) bool {
	switch strings.ToLower(w) {
	case "select", "from", "where", "and", "or", "order", "limit", "in", "not", "like", "between", "is", "null":
		return true
	}
	return false
}

func (p *coqlParser) statement() (*selectQuery, *coqlError) {
	q := &selectQuery{limit: -1}
	if !p.word("select") {
		return nil, near(p.peek())
	}
	for {
		c, err := p.column()
		if err != nil {
			return nil, err
		}
		c.as = c.name
		if p.word("as") {
			alias := p.next()
			if alias.kind != tokenWord {
				return nil, near(alias)
			}
			c.as = alias.text
		}
		q.columns = append(q.columns, c)
		if !p.symbol(",") {
			break
		}
	}
	if !p.word("from") {
		return nil, near(p.peek())
	}
	t := p.next()
	if t.kind != tokenWord {
		return nil, near(t)
	}
	q.module = t.text
	if p.word("where") {
		c, err := p.or()
		if err != nil {
			return nil, err
		}
		q.where = c
	}
	if p.word("order") {
		if !p.word("by") {
			return nil, near(p.peek())
		}
		for {
			c, err := p.column()
			if err != nil {
				return nil, err
			}
			o := ordering{path: c.path}
			if p.word("desc") {
				o.desc = true
			} else {
				p.word("asc")
			}
			q.order = append(q.order, o)
			if !p.symbol(",") {
				break
			}
		}
	}
	if p.word("limit") {
		n, err := p.integer()
		if err != nil {
			return nil, err
		}
		q.limit = n
		if p.symbol(",") { // limit offset,count
			if q.offset = n; true {
				if q.limit, err = p.integer(); err != nil {
					return nil, err
				}
			}
		} else if p.word("offset") {
			if q.offset, err = p.integer(); err != nil {
				return nil, err
			}
		}
	} else if p.word("offset") {
		n, err := p.integer()
		if err != nil {
			return nil, err
		}
		q.offset = n
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, near(t)
	}
	return q, nil
}

func (p *coqlParser) integer() (int, *coqlError) {
	t := p.next()
	n, err := strconv.Atoi(t.text)
	if t.kind != tokenNumber || err != nil {
		return 0, near(t)
	}
	return n, nil
}

func (p *coqlParser) or() (*condition, *coqlError)  { return p.joined("or", p.and) }
func (p *coqlParser) and() (*condition, *coqlError) { return p.joined("and", p.unit) }

// joined reads conditions joined by one word. More than two side by side need brackets (mem), unless the setting is loose.
func (p *coqlParser) joined(word string, part func() (*condition, *coqlError)) (*condition, *coqlError) {
	left, err := part()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		if !p.word(word) {
			return left, nil
		}
		right, err := part()
		if err != nil {
			return nil, err
		}
		if !p.loose && (left.pair() || right.pair()) {
			return nil, near(t)
		}
		left = &condition{op: word, left: left, right: right}
	}
}

// pair says whether a condition is two conditions without brackets around them.
func (c *condition) pair() bool { return c.left != nil && !c.bracketed }

func (p *coqlParser) unit() (*condition, *coqlError) {
	if p.symbol("(") {
		c, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, near(p.peek())
		}
		c.bracketed = true
		return c, nil
	}
	col, err := p.column()
	if err != nil {
		return nil, err
	}
	c := &condition{column: col}
	negated := ""
	if p.word("not") {
		negated = "not "
	}
	t := p.next()
	switch {
	case t.kind == tokenSymbol && negated == "" && strings.Contains(" = != <> < <= > >= ", " "+t.text+" "):
		c.op = t.text
		if c.op == "<>" {
			c.op = "!="
		}
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		c.values = []literal{v}
	case t.kind != tokenWord:
		return nil, near(t)
	case strings.EqualFold(t.text, "in"):
		c.op = negated + "in"
		if !p.symbol("(") {
			return nil, near(p.peek())
		}
		for {
			v, err := p.literal()
			if err != nil {
				return nil, err
			}
			c.values = append(c.values, v)
			if !p.symbol(",") {
				break
			}
		}
		if !p.symbol(")") {
			return nil, near(p.peek())
		}
	case strings.EqualFold(t.text, "like"):
		c.op = negated + "like"
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		c.values = []literal{v}
	case strings.EqualFold(t.text, "between"):
		c.op = negated + "between"
		a, err := p.literal()
		if err != nil {
			return nil, err
		}
		if !p.word("and") {
			return nil, near(p.peek())
		}
		b, err := p.literal()
		if err != nil {
			return nil, err
		}
		c.values = []literal{a, b}
	case strings.EqualFold(t.text, "is") && negated == "":
		c.op = "is null"
		if p.word("not") {
			c.op = "is not null"
		}
		if !p.word("null") {
			return nil, near(p.peek())
		}
	default:
		return nil, &coqlError{map[string]any{"operator": t.text}}
	}
	return c, nil
}

func (p *coqlParser) literal() (literal, *coqlError) {
	t := p.next()
	switch {
	case t.kind == tokenText:
		return literal{t.text, true}, nil
	case t.kind == tokenNumber:
		return literal{t.text, false}, nil
	case t.kind == tokenWord && (strings.EqualFold(t.text, "true") || strings.EqualFold(t.text, "false")):
		return literal{strings.ToLower(t.text), false}, nil
	}
	return literal{}, near(t)
}
