package mapping

import (
	"fmt"
	"slices"

	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// CheckOwn compares the values that an outcome gives its record with the organisation's fields, as Check does with the
// rows of a mapping. A blocking problem keeps the rule from being published.
func CheckOwn(o routing.Outcome, md Metadata) []Problem {
	module := o.Do.Creates()
	fields := md.of(module)
	var out []Problem
	for _, v := range o.With {
		add := func(blocking bool, format string, args ...any) {
			out = append(out, Problem{Module: module, Field: v.Field, Blocking: blocking, Sentence: fmt.Sprintf(format, args...)})
		}
		f, there := fields.Field(v.Field)
		switch {
		case filled(module, v.Field), !there && reserved[v.Field]:
			add(true, "%s is set by the rule, by Hookline or by Zoho itself and can have no value of its own.", v.Field)
			continue
		case slices.Contains(fields.Gone, v.Field), !there && md.Known(module):
			add(false, "Your %s in Zoho have no field %s: it is not sent. Take the value out of the rule, or create the field in Zoho.", module, v.Field)
		case there && (!f.Visible || f.ReadOnly || !f.CanCreate):
			add(true, "Zoho lets nobody write %s. Take the value out of the rule.", f.Label)
			continue
		}
		if !there {
			f = zoho.Field{APIName: v.Field, Label: v.Field, Type: "text"}
		}
		out = append(out, checkValue(module, Row{Field: v.Field, Value: v.Value}, f, md)...)
	}
	for i := range out {
		out[i].ByRule = true
	}
	return out
}
