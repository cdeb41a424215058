package provider

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of what is read as a call. A body beyond them is kept for a person.
const (
	maxDepth   = 64
	maxMembers = 2_000 // of one object; arrays may be as long as the body
	maxNumber  = 64    // characters of one number
)

// number is a JSON number digit for digit: ids beyond 2^53 keep their last digits.
type number string

// document is a JSON object as read: values are nil, bool, number, string, []any and document.
type document map[string]any

// readJSON reads one JSON object more strictly than encoding/json, because what two programs read differently can
// be used against one of them: no key twice, no key in known beside the same in other letters, no second document,
// nothing without bounds. Text that PostgreSQL or a page cannot show is replaced by marks (U+FFFD, and U+2400 for
// NUL), and marked tells so.
func readJSON(body []byte, known map[string]bool) (doc document, marked bool, err error) {
	p := parser{in: body, known: known}
	if len(p.in) >= 3 && p.in[0] == 0xEF && p.in[1] == 0xBB && p.in[2] == 0xBF {
		p.at = 3
	}
	p.space()
	if p.at == len(p.in) {
		return nil, false, errors.New("the body is empty")
	}
	if p.in[p.at] != '{' {
		return nil, false, errors.New("the body is not a JSON object")
	}
	value, err := p.value(1)
	if err != nil {
		return nil, false, err
	}
	p.space()
	if p.at != len(p.in) {
		return nil, false, fmt.Errorf("more text follows the JSON object, at byte %d", p.at)
	}
	doc, _ = value.(document)
	return doc, p.marked, nil
}

type parser struct {
	in     []byte
	at     int
	known  map[string]bool
	marked bool
}

func (p *parser) space() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) notJSON() error {
	if p.at >= len(p.in) {
		return errors.New("the body is cut short: its JSON does not end")
	}
	return fmt.Errorf("the body is not valid JSON, at byte %d", p.at)
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the body is nested deeper than %d levels", maxDepth)
	}
	p.space()
	if p.at >= len(p.in) {
		return nil, p.notJSON()
	}
	switch c := p.in[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, word := range [...]struct {
		text  string
		value any
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(string(p.in[p.at:min(p.at+5, len(p.in))]), word.text) {
			p.at += len(word.text)
			return word.value, nil
		}
	}
	return nil, p.notJSON()
}

func (p *parser) object(depth int) (document, error) {
	p.at++
	doc := document{}
	var letters map[string]string // the known words met so far, by their lower case
	for first := true; ; first = false {
		p.space()
		if p.at < len(p.in) && p.in[p.at] == '}' && first {
			p.at++
			return doc, nil
		}
		if p.at >= len(p.in) || p.in[p.at] != '"' {
			return nil, p.notJSON()
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if _, twice := doc[key]; twice {
			return nil, fmt.Errorf("the key %s appears twice", shown(key))
		}
		if lower := strings.ToLower(key); p.known[lower] {
			if other, twice := letters[lower]; twice {
				return nil, fmt.Errorf("the keys %s and %s differ in capital letters only", shown(other), shown(key))
			}
			if letters == nil {
				letters = make(map[string]string, 8)
			}
			letters[lower] = key
		}
		if len(doc) >= maxMembers {
			return nil, fmt.Errorf("an object in the body has more than %d keys", maxMembers)
		}
		p.space()
		if p.at >= len(p.in) || p.in[p.at] != ':' {
			return nil, p.notJSON()
		}
		p.at++
		if doc[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		p.space()
		if p.at >= len(p.in) {
			return nil, p.notJSON()
		}
		switch p.in[p.at] {
		case ',':
			p.at++
		case '}':
			p.at++
			return doc, nil
		default:
			return nil, p.notJSON()
		}
	}
}

func (p *parser) array(depth int) ([]any, error) {
	p.at++
	list := []any{}
	p.space()
	if p.at < len(p.in) && p.in[p.at] == ']' {
		p.at++
		return list, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.space()
		if p.at >= len(p.in) {
			return nil, p.notJSON()
		}
		switch p.in[p.at] {
		case ',':
			p.at++
		case ']':
			p.at++
			return list, nil
		default:
			return nil, p.notJSON()
		}
	}
}

func (p *parser) number() (number, error) {
	start := p.at
	digits := func() bool {
		from := p.at
		for p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	if p.in[p.at] == '-' {
		p.at++
	}
	if p.at < len(p.in) && p.in[p.at] == '0' {
		p.at++
	} else if !digits() {
		return "", p.notJSON()
	}
	if p.at < len(p.in) && p.in[p.at] == '.' {
		p.at++
		if !digits() {
			return "", p.notJSON()
		}
	}
	if p.at < len(p.in) && (p.in[p.at] == 'e' || p.in[p.at] == 'E') {
		p.at++
		if p.at < len(p.in) && (p.in[p.at] == '+' || p.in[p.at] == '-') {
			p.at++
		}
		if !digits() {
			return "", p.notJSON()
		}
	}
	if p.at-start > maxNumber {
		return "", fmt.Errorf("a number in the body has more than %d characters", maxNumber)
	}
	n := number(p.in[start:p.at])
	if f, err := strconv.ParseFloat(string(n), 64); err != nil || math.IsInf(f, 0) {
		return "", fmt.Errorf("the number %s in the body is out of range", n)
	}
	return n, nil
}

// string reads a JSON string. The common case, plain text without escapes, is one copy.
func (p *parser) string() (string, error) {
	p.at++
	start, ascii := p.at, true
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			raw := p.in[start:p.at]
			p.at++
			if ascii || utf8.Valid(raw) {
				return string(raw), nil
			}
			p.marked = true
			return strings.ToValidUTF8(string(raw), "\uFFFD"), nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", fmt.Errorf("the body is not valid JSON: a line break or control character stands inside a text, at byte %d", p.at)
		case c >= utf8.RuneSelf:
			ascii = false
		}
		p.at++
	}
	return "", p.notJSON()
}

func (p *parser) escaped(start int) (string, error) {
	out := append(make([]byte, 0, 2*(p.at-start)+64), p.in[start:p.at]...)
	for p.at < len(p.in) {
		c := p.in[p.at]
		switch {
		case c == '"':
			p.at++
			if utf8.Valid(out) {
				return string(out), nil
			}
			p.marked = true
			return strings.ToValidUTF8(string(out), "\uFFFD"), nil
		case c < ' ':
			return "", fmt.Errorf("the body is not valid JSON: a line break or control character stands inside a text, at byte %d", p.at)
		case c != '\\':
			out = append(out, c)
			p.at++
			continue
		}
		if p.at+1 >= len(p.in) {
			p.at = len(p.in)
			return "", p.notJSON()
		}
		p.at++
		switch p.in[p.at] {
		case '"', '\\', '/':
			out = append(out, p.in[p.at])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := p.hex(p.at + 1)
			if !ok {
				return "", p.notJSON()
			}
			p.at += 4
			switch {
			case r == 0:
				p.marked = true
				r = '\u2400'
			case r >= 0xD800 && r < 0xE000:
				low, ok := rune(0), false
				if p.at+2 < len(p.in) && p.in[p.at+1] == '\\' && p.in[p.at+2] == 'u' {
					low, ok = p.hex(p.at + 3)
				}
				if ok && r < 0xDC00 && low >= 0xDC00 && low < 0xE000 {
					r = (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
					p.at += 6
				} else {
					p.marked = true
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", p.notJSON()
		}
		p.at++
	}
	return "", p.notJSON()
}

func (p *parser) hex(at int) (rune, bool) {
	if at+4 > len(p.in) {
		return 0, false
	}
	var r rune
	for _, c := range p.in[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// shown is a key as a sentence may hold it.
func shown(key string) string {
	if r := []rune(key); len(r) > 40 {
		key = string(r[:40]) + "…"
	}
	return strconv.Quote(key)
}
