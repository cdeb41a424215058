package mapping

import (
	"regexp"
	"strconv"
	"strings"
)

// Piece is a part of a template as an editor without code shows it: literal text, or a value with the helpers that it
// goes through.
type Piece struct {
	Text    string   `json:"text,omitempty"` // literal text; empty for a value
	Value   *Operand `json:"value,omitempty"`
	Helpers []Helper `json:"helpers,omitempty"` // of a value, in the order in which they are applied
}

// Operand is a variable or a constant: what a piece begins with, or an argument of a helper.
type Operand struct {
	Kind  OperandKind `json:"kind"`
	Value string      `json:"value"` // the variable's name, the text, or the number's digits
}

// OperandKind says what an operand's value is.
type OperandKind string

const (
	AVariable OperandKind = "variable"
	AText     OperandKind = "text"
	ANumber   OperandKind = "number"
)

// Text is a constant text.
func Text(s string) Operand { return Operand{Kind: AText, Value: s} }

// Var is a variable.
func Var(name string) Operand { return Operand{Kind: AVariable, Value: name} }

// Number is a constant number, written in digits.
func Number(digits string) Operand { return Operand{Kind: ANumber, Value: digits} }

// Helper is one step that a value goes through.
type Helper struct {
	Name string    `json:"name"`
	Args []Operand `json:"args,omitempty"`
}

// Label is the helper's name for people: "Title Case".
func (h Helper) Label() string {
	if i, ok := helperByName[h.Name]; ok {
		return i.Label
	}
	return h.Name
}

// Pieces takes a template apart. It fails where Parse fails.
func Pieces(source string) ([]Piece, error) {
	t, err := parsed(source)
	if err != nil {
		return nil, err
	}
	var out []Piece
	text := func(s string) {
		if n := len(out); n > 0 && out[n-1].Value == nil {
			out[n-1].Text += s
		} else if s != "" {
			out = append(out, Piece{Text: s})
		}
	}
	for _, p := range t.parts {
		if p.expr == nil {
			text(p.literal)
			continue
		}
		if s, ok := p.expr.head.constant.(string); ok && s != "" && len(p.expr.filters) == 0 {
			text(s) // braces that are no placeholder are written so
			continue
		}
		head := operandOf(p.expr.head)
		piece := Piece{Value: &head}
		for _, f := range p.expr.filters {
			h := Helper{Name: f.name}
			for _, a := range f.args {
				h.Args = append(h.Args, operandOf(a))
			}
			piece.Helpers = append(piece.Helpers, h)
		}
		out = append(out, piece)
	}
	return out, nil
}

func operandOf(o operand) Operand {
	switch c := o.constant.(type) {
	case string:
		return Text(c)
	case float64:
		return Number(strconv.FormatFloat(c, 'f', -1, 64))
	}
	return Var(o.path)
}

// Source writes pieces as a template that means the same. A name that no template can hold makes one that Parse
// refuses.
func Source(pieces []Piece) string {
	var b strings.Builder
	text := ""
	for _, p := range pieces {
		if p.Value == nil {
			text += p.Text
			continue
		}
		b.WriteString(literal(text, true))
		text = ""
		p.write(&b)
	}
	b.WriteString(literal(text, false))
	return b.String()
}

// braces are those of a literal text that would begin a placeholder; at its end already one does, before another.
var (
	braces     = regexp.MustCompile(`\{\{+`)
	bracesLast = regexp.MustCompile(`\{\{+|\{$`)
)

// literal writes text so that none of it is read as a placeholder.
func literal(text string, beforeValue bool) string {
	if !strings.Contains(text, "{") {
		return text
	}
	which := braces
	if beforeValue {
		which = bracesLast
	}
	return which.ReplaceAllStringFunc(text, func(run string) string { return "{{ " + quoted(run) + " }}" })
}

func (p Piece) write(b *strings.Builder) {
	b.WriteString("{{ " + p.Value.source())
	for _, h := range p.Helpers {
		b.WriteString(" | " + h.Name)
		for i, a := range h.Args {
			b.WriteString([]string{": ", ", "}[min(i, 1)] + a.source())
		}
	}
	b.WriteString(" }}")
}

var digitsOnly = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func (o Operand) source() string {
	switch {
	case o.Kind == AVariable:
		return o.Value
	case o.Kind == ANumber && digitsOnly.MatchString(o.Value):
		return o.Value
	}
	return quoted(o.Value)
}

// quoted is a text between quotes; a quote within is doubled.
func quoted(s string) string {
	if strings.Contains(s, `"`) && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// Choices are a choose-from-list helper in pairs: what a value may be, and what it then becomes.
type Choices struct {
	Pairs     []Choice `json:"pairs"`
	Otherwise *Operand `json:"otherwise,omitempty"` // for every other value; nil: it stays as it is
}

// Choice is one pair. Values are compared without regard to case and to space around them.
type Choice struct {
	When Operand `json:"when"`
	Then Operand `json:"then"`
}

// Choices reads a choose-from-list helper; false for any other.
func (h Helper) Choices() (Choices, bool) {
	if h.Name != "map" {
		return Choices{}, false
	}
	var c Choices
	args := h.Args
	for ; len(args) >= 2; args = args[2:] {
		c.Pairs = append(c.Pairs, Choice{When: args[0], Then: args[1]})
	}
	if len(args) == 1 {
		c.Otherwise = &args[0]
	}
	return c, true
}

// Helper writes the pairs as a helper. Without a pair there is none to write: false.
func (c Choices) Helper() (Helper, bool) {
	h := Helper{Name: "map"}
	for _, p := range c.Pairs {
		h.Args = append(h.Args, p.When, p.Then)
	}
	if c.Otherwise != nil {
		h.Args = append(h.Args, *c.Otherwise)
	}
	return h, len(c.Pairs) > 0
}

// MaxChoices is how many pairs a choose-from-list helper holds.
const MaxChoices = (maxArgs - 1) / 2
