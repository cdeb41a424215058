package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

// Kinds of a condition's row.
const (
	rowTest  = "test"
	rowGroup = "group"
	rowRaw   = "raw"
)

// factAnswer stands in the menu of facts for any answer of the call; its name is asked for beside it.
const factAnswer = string(routing.FieldAnswer)

// ruleFormOf shows a rule as a form: its conditions as rows, with groups one level deep, and what it does as rows. A
// part that the form could not give back as it is becomes a raw row, which keeps it.
func ruleFormOf(r routing.Rule) page.RuleForm {
	v := page.RuleForm{ID: r.ID, Name: r.Name, Problems: page.Problems{}, When: page.ConditionRow{Kind: rowGroup, Match: "all"}}
	k := keys{}
	switch match, of := groupOf(r.When); {
	case match != "":
		v.When.Match = match
		for _, c := range of {
			v.When.Rows = append(v.When.Rows, k.row(c, ""))
		}
	case r.When.Field != "":
		v.Bare = true
		v.When.Rows = []page.ConditionRow{k.row(r.When, "")}
	}
	for i, o := range r.Then {
		v.Then = append(v.Then, actionRowOf("a"+strconv.Itoa(i+1), o))
	}
	return v
}

// keys names rows: 1, 2, 3, and within group 2: 2-1, 2-2.
type keys map[string]int

func (k keys) next(group string) string {
	k[group]++
	if group == "" {
		return strconv.Itoa(k[group])
	}
	return group + "-" + strconv.Itoa(k[group])
}

func (k keys) row(c routing.Condition, group string) page.ConditionRow {
	key := k.next(group)
	row := page.ConditionRow{Key: key, Kind: rowTest}
	switch match, of := groupOf(c); {
	case match != "" && group == "" && len(of) > 0:
		row.Kind, row.Match = rowGroup, match
		for _, child := range of {
			row.Rows = append(row.Rows, k.row(child, key))
		}
	default:
		row = testRowOf(key, c)
	}
	if again, err := conditionOf(row); err != nil || !sameJSON(again, c) {
		return page.ConditionRow{Key: key, Kind: rowRaw, Raw: jsonOf(c)}
	}
	return row
}

// groupOf is how the parts of a group count, and the parts; an empty word for what is no group.
func groupOf(c routing.Condition) (match string, of []routing.Condition) {
	switch {
	case c.All != nil:
		return "all", c.All
	case c.Any != nil:
		return "any", c.Any
	case c.None != nil:
		return "none", c.None
	}
	return "", nil
}

func testRowOf(key string, c routing.Condition) page.ConditionRow {
	row := page.ConditionRow{Key: key, Kind: rowTest, Fact: string(c.Field), Op: string(c.Op), Values: c.Values, Lists: c.Lists}
	if name, ok := strings.CutPrefix(row.Fact, factAnswer+"."); ok {
		row.Fact, row.Answer = factAnswer, name
	}
	if c.Op.ComparesNumber() {
		row.Number = decimal(c.Number)
		if c.Days != 0 {
			row.Days = strconv.Itoa(c.Days)
		}
	}
	return row
}

// conditionOf reads a row. The fault says, for the person, what of it cannot be read.
func conditionOf(row page.ConditionRow) (routing.Condition, error) {
	switch row.Kind {
	case rowRaw:
		var c routing.Condition
		return c, strictJSON(row.Raw, &c)
	case rowGroup:
		var of []routing.Condition
		for _, r := range row.Rows {
			c, err := conditionOf(r)
			if err != nil {
				return c, err
			}
			of = append(of, c)
		}
		return groupCondition(row.Match, of), nil
	}
	return testOf(row)
}

// groupCondition makes a group of its parts; of none, the condition that always holds.
func groupCondition(match string, of []routing.Condition) routing.Condition {
	switch {
	case len(of) == 0:
		return routing.Condition{}
	case match == "any":
		return routing.Condition{Any: of}
	case match == "none":
		return routing.Condition{None: of}
	}
	return routing.Condition{All: of}
}

func testOf(row page.ConditionRow) (routing.Condition, error) {
	c := routing.Condition{Field: fieldOf(row), Op: routing.Op(row.Op)}
	info, _ := routing.InfoOf(c.Field)
	switch {
	case c.Op.ComparesNumber():
		n, err := typedNumber(row.Number)
		if err != nil {
			return c, err
		}
		c.Number = n
		if c.Days, err = typedDays(row.Days); err != nil {
			return c, err
		}
	case info.IsWords():
		c.Values, c.Lists = row.Values, row.Lists
	default:
		c.Values = row.Values
	}
	return c, nil
}

// fieldOf is the fact that a row tests.
func fieldOf(row page.ConditionRow) routing.Field {
	if row.Fact == factAnswer {
		return routing.FieldAnswer + "." + routing.Field(strings.TrimSpace(row.Answer))
	}
	return routing.Field(row.Fact)
}

// ruleOf is what a form says: a rule, but for its id and whether it is on. The fault is of the first part that cannot
// be read.
func ruleOf(v page.RuleForm) (routing.Rule, error) {
	r := routing.Rule{ID: v.ID, Name: strings.TrimSpace(v.Name)}
	var err error
	if r.When, err = conditionOf(v.When); err != nil {
		return r, err
	}
	if v.Bare && v.When.Match == "all" && len(v.When.Rows) == 1 && v.When.Rows[0].Kind == rowTest {
		r.When = r.When.All[0]
	}
	for _, row := range v.Then {
		o, err := doingOf(row)
		if err != nil {
			return r, err
		}
		r.Then = append(r.Then, o)
	}
	return r, nil
}

func actionRowOf(key string, o routing.Outcome) page.ActionRow {
	row := page.ActionRow{Key: key, Do: string(o.Do), On: o.On, Transition: o.Transition, Stage: o.Stage, From: o.From, Account: o.Account, Subject: o.Subject, Tags: o.Tags,
		Owner: o.Owner, OwnerAs: o.OwnerName, Quiet: o.Quiet, Why: o.Why}
	for _, w := range o.With {
		row.With = append(row.With, page.OwnValue{Field: w.Field, Value: w.Value})
	}
	switch o.Do {
	case routing.CreateDeal:
		row.Within = strconv.Itoa(o.Within)
	case routing.AddTask:
		row.Days = strconv.Itoa(o.Days)
	case routing.MoveStage, routing.BlueprintStep:
		row.If = &page.ConditionRow{Key: key + "-if", Kind: rowTest}
		if o.If != nil {
			*row.If = testRowOf(key+"-if", *o.If)
		}
	}
	if again, err := doingOf(row); err != nil || !sameJSON(again, o) || len(actionForms[o.Do]) == 0 {
		return page.ActionRow{Key: key, Do: rowRaw, Raw: jsonOf(o)}
	}
	return row
}

// doingOf reads a row of what the rule does.
func doingOf(row page.ActionRow) (routing.Outcome, error) {
	if row.Do == rowRaw {
		var o routing.Outcome
		return o, strictJSON(row.Raw, &o)
	}
	o := routing.Outcome{Do: routing.ActionKind(row.Do), Quiet: row.Quiet}
	var err error
	switch o.Do {
	case routing.LogCall:
		o.On = row.On
	case routing.CreateDeal:
		o.Account = row.Account
		o.Within, err = typedDays(row.Within)
	case routing.MoveStage:
		o.Stage, o.From = row.Stage, row.From
	case routing.BlueprintStep:
		o.On, o.Transition = row.On, row.Transition
	case routing.AddTask:
		o.Subject = strings.TrimSpace(row.Subject)
		o.Days, err = typedDays(row.Days)
	case routing.AddTags:
		o.On, o.Tags = row.On, row.Tags
	case routing.SetOwner:
		o.Owner, o.OwnerName = row.Owner, row.OwnerAs
	case routing.HandOver:
		o.Why = row.Why
	}
	if row.If != nil && row.If.Fact != "" {
		var c routing.Condition
		c, err = testOf(*row.If)
		o.If = &c
	}
	for _, w := range row.With {
		o.With = append(o.With, routing.Value{Field: w.Field, Value: w.Value})
	}
	return o, err
}

// typedNumber reads a number as people type it: 25,000 or $25K.
func typedNumber(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err == nil && !math.IsNaN(n) {
		return n, nil
	}
	if n, ok := routing.Money(text); ok && !errors.Is(err, strconv.ErrRange) {
		return n, nil
	}
	return 0, fault.New(fault.Invalid, "Enter a number, such as 25,000.")
}

// typedDays reads a count of days; nothing is none.
func typedDays(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.New(fault.Invalid, "Enter a whole number of days.")
	}
	return n, nil
}

func strictJSON(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fault.Wrap(fault.Invalid, err, "This is not the JSON of a part of a rule: "+strings.TrimPrefix(err.Error(), "json: ")+".")
	}
	return nil
}

func jsonOf(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(v) != nil {
		return "" // rules hold texts and numbers only
	}
	return strings.TrimSpace(b.String())
}

// sameJSON compares two parts of a rule by their stored form.
func sameJSON(a, b any) bool { return jsonOf(a) == jsonOf(b) }

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
