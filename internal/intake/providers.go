package intake

import (
	"slices"

	"hookline/internal/provider"
)

// Provider is what pages say of a vendor that calls can come from.
type Provider struct {
	Name        string
	Label       string
	About       string
	Steps       []string
	Header      string // the header line that carries the secret, %s in its place; empty when the vendor signs
	Body        string // a body template to paste; empty when the vendor's is fixed
	SecretLabel string
	TheirSecret bool // the vendor makes the secret, and it is pasted here
	Checks      []Check
	Fields      []Field
}

// Check is one way of telling that a webhook is genuine.
type Check struct {
	Name, Label string
	Default     bool
}

// Field is one value that a customer-made body may hold under a key of its own.
type Field struct{ Name, Label, Key string }

// Providers are the vendors that a source can be of, in the order to offer them.
func Providers() []Provider {
	var list []Provider
	for _, p := range provider.All() {
		list = append(list, describe(p))
	}
	return list
}

// ProviderOf describes one vendor; the zero Provider when there is none of the name.
func ProviderOf(name string) Provider {
	p, ok := provider.ByName(name)
	if !ok {
		return Provider{}
	}
	return describe(p)
}

func describe(p provider.Provider) Provider {
	s := p.Setup()
	d := Provider{Name: p.Name(), Label: s.Label, About: s.About, Steps: s.Steps, Header: s.Header, Body: s.Body,
		SecretLabel: s.SecretLabel, TheirSecret: s.TheirSecret}
	for _, c := range s.Checks {
		d.Checks = append(d.Checks, Check{c.Value, c.Label, c.Value == provider.CheckBearer})
	}
	for _, f := range s.Fields {
		d.Fields = append(d.Fields, Field{f.Value, f.Label, provider.DefaultField(f.Value)})
	}
	return d
}

// Holds reports whether the source wants the check.
func (s Source) Holds(c Check) bool {
	if len(s.Checks) == 0 {
		return c.Default
	}
	return slices.Contains(s.Checks, c.Name)
}

// KeyOf is the key under which the source's body holds the field.
func (s Source) KeyOf(f Field) string {
	if key := s.Fields[f.Name]; key != "" {
		return key
	}
	return f.Key
}
