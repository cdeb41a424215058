package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the template language. There are no loops, tags, assignments or includes, so a render's time is bounded
// by the size of its source; these bound its memory.
const (
	maxSource       = 16 << 10 // bytes of a template
	maxPlaceholders = 64
	maxFilters      = 16       // in one chain
	maxArgs         = 201      // of one filter: a hundred pairs and what is left
	maxValue        = 64 << 10 // characters of any value, and of the output
	maxWork         = 2 << 20  // bytes that a render may read and write
)

// Template is a parsed value of a mapping row: text with placeholders, {{ path | filter: argument }}.
type Template struct {
	parts []part
}

// part is literal text, or a placeholder.
type part struct {
	literal string
	expr    *expression
}

// expression is a value and the filters that it goes through.
type expression struct {
	head    operand
	filters []step
}

// operand is a variable or a constant.
type operand struct {
	path     string
	constant any // string or float64 when path is empty
}

type step struct {
	name   string
	filter *filter
	args   []operand
}

// SyntaxError is what is wrong with a template and where, in characters from 1.
type SyntaxError struct {
	At       int
	Sentence string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("At %d: %s", e.At, e.Sentence) }

// Parse reads a template. Every filter and its arguments are checked here; whether the variables exist is known to
// CheckVariables.
func Parse(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, &SyntaxError{At: 1, Sentence: fmt.Sprintf("The value is longer than %d characters.", maxSource)}
	}
	if !utf8.ValidString(source) {
		return nil, &SyntaxError{At: 1, Sentence: "The value is not valid text."}
	}
	t := &Template{}
	placeholders := 0
	for rest, offset := source, 0; rest != ""; {
		open := strings.Index(rest, "{{")
		if open < 0 {
			t.parts = append(t.parts, part{literal: rest})
			break
		}
		if open > 0 {
			t.parts = append(t.parts, part{literal: rest[:open]})
		}
		if placeholders++; placeholders > maxPlaceholders {
			return nil, &SyntaxError{At: position(source, offset+open), Sentence: fmt.Sprintf("A value holds %d placeholders at most.", maxPlaceholders)}
		}
		p := &parser{source: source, pos: offset + open + 2}
		expr, err := p.placeholder()
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part{expr: expr})
		offset = p.pos
		rest = source[offset:]
	}
	return t, nil
}

// position turns a byte offset into a character count from 1.
func position(source string, offset int) int {
	return utf8.RuneCountInString(source[:min(offset, len(source))]) + 1
}

type parser struct {
	source string
	pos    int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{At: position(p.source, at), Sentence: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.source) && strings.IndexByte(" \t\r\n", p.source[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *parser) take(s string) bool {
	p.space()
	if strings.HasPrefix(p.source[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

// placeholder reads up to and with the closing braces.
func (p *parser) placeholder() (*expression, error) {
	head, err := p.operand()
	if err != nil {
		return nil, err
	}
	e := &expression{head: head}
	for p.take("|") {
		if len(e.filters) == maxFilters {
			return nil, p.fail(p.pos, "A value goes through %d filters at most.", maxFilters)
		}
		p.space()
		at := p.pos
		name := p.name()
		f, known := filters[name]
		switch {
		case name == "":
			return nil, p.fail(at, "Expected the name of a filter after |.")
		case !known:
			return nil, p.fail(at, "There is no filter named %q.", name)
		}
		c := step{name: name, filter: f}
		if p.take(":") {
			for {
				arg, err := p.operand()
				if err != nil {
					return nil, err
				}
				if c.args = append(c.args, arg); len(c.args) > maxArgs {
					return nil, p.fail(at, "A filter takes %d arguments at most.", maxArgs)
				}
				if !p.take(",") {
					break
				}
			}
		}
		if len(c.args) < f.min || len(c.args) > f.max {
			return nil, p.fail(at, "The filter %q is written %s.", name, f.usage)
		}
		e.filters = append(e.filters, c)
	}
	if !p.take("}}") {
		return nil, p.fail(p.pos, "Expected }} here.")
	}
	return e, nil
}

// operand reads a text in quotes, a number or a variable's path.
func (p *parser) operand() (operand, error) {
	p.space()
	at := p.pos
	if at == len(p.source) {
		return operand{}, p.fail(at, "Expected }} before the end.")
	}
	switch c := p.source[at]; {
	case c == '"' || c == '\'':
		return p.quoted(c)
	case c >= '0' && c <= '9' || c == '-':
		end := at + 1
		for end < len(p.source) && (p.source[end] >= '0' && p.source[end] <= '9' || p.source[end] == '.') {
			end++
		}
		n, err := strconv.ParseFloat(p.source[at:end], 64)
		if err != nil {
			return operand{}, p.fail(at, "%q is no number.", p.source[at:end])
		}
		p.pos = end
		return operand{constant: n}, nil
	}
	path := p.name()
	if path == "" {
		return operand{}, p.fail(at, "Expected a variable's name here.")
	}
	for p.pos < len(p.source) && p.source[p.pos] == '.' {
		p.pos++
		next := p.name()
		if next == "" {
			return operand{}, p.fail(p.pos, "Expected a name after the dot.")
		}
		path += "." + next
	}
	return operand{path: path}, nil
}

// quoted reads a text up to the closing quote; a quote within is written twice.
func (p *parser) quoted(quote byte) (operand, error) {
	at := p.pos
	var text strings.Builder
	for from := at + 1; ; {
		end := strings.IndexByte(p.source[from:], quote)
		if end < 0 {
			return operand{}, p.fail(at, "The quote that begins here is never closed.")
		}
		end += from
		if doubled := end+1 < len(p.source) && p.source[end+1] == quote; !doubled {
			p.pos = end + 1
			text.WriteString(p.source[from:end])
			return operand{constant: text.String()}, nil
		}
		text.WriteString(p.source[from : end+1])
		from = end + 2
	}
}

// name reads letters, digits and underscores, beginning with a letter or underscore, in any script: answers are named
// by customers.
func (p *parser) name() string {
	start := p.pos
	for i, r := range p.source[start:] {
		if r == '_' || unicode.IsLetter(r) || i > 0 && (unicode.IsDigit(r) || r == '-') {
			p.pos = start + i + utf8.RuneLen(r)
			continue
		}
		break
	}
	return p.source[start:p.pos]
}

// Variables are the paths that a template reads, in order, each once.
func (t *Template) Variables() []string {
	var out []string
	seen := map[string]bool{}
	note := func(o operand) {
		if o.path != "" && !seen[o.path] {
			seen[o.path] = true
			out = append(out, o.path)
		}
	}
	for _, p := range t.parts {
		if p.expr == nil {
			continue
		}
		note(p.expr.head)
		for _, f := range p.expr.filters {
			for _, a := range f.args {
				note(a)
			}
		}
	}
	return out
}

// Constant is the template's text when it holds no placeholder.
func (t *Template) Constant() (string, bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.expr != nil {
			return "", false
		}
		b.WriteString(p.literal)
	}
	return b.String(), true
}

// scope is what a render sees: the variables, and where it notes what it could not use.
type scope struct {
	lookup func(path string) any
	env    *environment
	notes  []string
	work   int // bytes read and written
}

// spend counts a value as work, and is false when the render has done all that it may.
func (s *scope) spend(v any) bool {
	if s.work > maxWork {
		return false
	}
	s.work += 16
	if text, ok := v.(string); ok {
		s.work += len(text)
	}
	if s.work > maxWork {
		s.notes = append(s.notes, "The value takes too much work and was left out. Use fewer helpers.")
		return false
	}
	return true
}

func (s *scope) note(format string, args ...any) {
	if len(s.notes) < 20 {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// render gives the template's value: a lone placeholder keeps its type, so that a number stays a number; anything
// else is text. One pass: what a variable holds is never read as a template.
func (t *Template) render(s *scope) any {
	if len(t.parts) == 1 && t.parts[0].expr != nil {
		return t.parts[0].expr.value(s)
	}
	var b strings.Builder
	room := maxValue
	write := func(text string) {
		n := utf8.RuneCountInString(text)
		if n > room {
			text = firstRunes(text, room)
			n = room
		}
		room -= n
		b.WriteString(text)
	}
	for _, p := range t.parts {
		if p.expr == nil {
			write(p.literal)
		} else {
			write(textOf(p.expr.value(s), s.env))
		}
	}
	return b.String()
}

func (e *expression) value(s *scope) any {
	return e.apply(e.head.value(s), e.filters, s)
}

// apply puts a value through filters.
func (e *expression) apply(v any, through []step, s *scope) any {
	v = bound(v)
	var args []any
	for _, c := range through {
		args = args[:0]
		for _, a := range c.args {
			arg := bound(a.value(s))
			if !s.spend(arg) {
				return nil
			}
			args = append(args, arg)
		}
		if !s.spend(v) {
			return nil
		}
		v = bound(c.filter.apply(v, args, s))
	}
	if !s.spend(v) {
		return nil
	}
	return v
}

func (o operand) value(s *scope) any {
	if o.path == "" {
		return o.constant
	}
	if s.work > maxWork {
		return nil
	}
	return s.lookup(o.path)
}

// bound cuts a text to the largest value there is.
func bound(v any) any {
	if s, ok := v.(string); ok && len(s) > maxValue {
		return firstRunes(s, maxValue)
	}
	return v
}

// firstRunes is the first n characters of a text.
func firstRunes(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
