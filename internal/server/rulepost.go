package server

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

// Limits of a posted form.
const (
	mostRows   = 150
	mostValues = 600 // of one row
)

// postedRule reads a posted form as it was typed. What was typed into a box for one more value joins the values, unless
// the person is still typing there.
func postedRule(c echo.Context, id string) (page.RuleForm, error) {
	form, err := c.FormParams()
	if err != nil {
		return page.RuleForm{}, fault.Wrap(fault.Invalid, err, "The form could not be read. Go back and try again.")
	}
	p := posted{form: form, typing: form.Get("act") == "preview"}
	v := page.RuleForm{ID: id, Name: form.Get("name"), Bare: form.Get("bare") != "", Added: form.Get("added"), Problems: page.Problems{},
		When: page.ConditionRow{Kind: rowGroup, Match: form.Get("match")}}
	if len(form["row"])+len(form["do"]) > mostRows {
		return v, fault.Newf(fault.Invalid, "A rule has at most %d conditions and actions.", mostRows)
	}
	for _, key := range form["row"] {
		group, _, inGroup := strings.Cut(key, "-")
		if !inGroup {
			v.When.Rows = append(v.When.Rows, p.row(key))
			continue
		}
		if i := slices.IndexFunc(v.When.Rows, func(r page.ConditionRow) bool { return r.Key == group }); i >= 0 {
			v.When.Rows[i].Rows = append(v.When.Rows[i].Rows, p.row(key))
		}
	}
	for _, key := range form["do"] {
		v.Then = append(v.Then, p.action(key))
	}
	return v, nil
}

type posted struct {
	form   url.Values
	typing bool
}

func (p posted) one(name, key string) string { return strings.TrimSpace(p.form.Get(name + "." + key)) }

func (p posted) all(name, key string) []string {
	all := p.form[name+"."+key]
	return all[:min(len(all), mostValues)]
}

// values are the texts of a row, and what is still being typed.
func (p posted) values(key string) (values []string, typed string) {
	values = slices.Clone(p.all("v", key))
	if p.typing {
		return values, p.form.Get("new." + key)
	}
	for _, one := range strings.FieldsFunc(p.form.Get("new."+key), func(r rune) bool { return r == ',' || r == '\n' || r == ';' }) {
		if one = strings.TrimSpace(one); one != "" && !slices.Contains(values, one) {
			values = append(values, one)
		}
	}
	return values, ""
}

func (p posted) row(key string) page.ConditionRow {
	row := page.ConditionRow{Key: key, Kind: p.one("kind", key), Match: p.one("match", key), Raw: p.one("raw", key)}
	if row.Kind == rowTest {
		row = p.test(key)
	}
	return row
}

// test reads a condition. Where another fact was chosen, what was compared with the one before is dropped.
func (p posted) test(key string) page.ConditionRow {
	row := page.ConditionRow{Key: key, Kind: rowTest, Fact: p.one("f", key), Answer: p.one("name", key), Op: p.one("op", key),
		Lists: p.all("list", key), Number: p.one("n", key), Days: p.one("d", key)}
	row.Values, row.Typed = p.values(key)
	if row.Fact != p.one("was", key) {
		row = newTest(key, row.Fact)
	}
	if ops := opsOf(row); !slices.Contains(ops, routing.Op(row.Op)) && len(ops) > 0 {
		row.Op = string(ops[0])
	}
	return row
}

// newTest is a condition on a fact that is still to be filled in.
func newTest(key, fact string) page.ConditionRow {
	row := page.ConditionRow{Key: key, Kind: rowTest, Fact: fact}
	if ops := opsOf(row); len(ops) > 0 {
		row.Op = string(ops[0])
	}
	if fact == string(routing.FieldRepeat) {
		row.Number, row.Days = "1", "30"
	}
	return row
}

// opsOf are the ways to compare a row's fact.
func opsOf(row page.ConditionRow) []routing.Op {
	field := routing.Field(row.Fact)
	if row.Fact == factAnswer {
		field = routing.FieldAnswer + ".any"
	}
	info, ok := routing.InfoOf(field)
	if !ok {
		return nil
	}
	return info.Ops()
}

func (p posted) action(key string) page.ActionRow {
	row := page.ActionRow{Key: key, Do: p.one("do", key), Raw: p.one("raw", key), On: p.one("on", key), Transition: p.one("transition", key), Stage: p.one("stage", key), From: p.all("from", key),
		Within: p.one("within", key), Account: p.one("account", key) != "", Subject: p.one("subject", key), Days: p.one("days", key),
		Owner: p.one("owner", key), OwnerAs: p.one("owner-as", key), Quiet: p.one("quiet", key) != "", Why: p.one("why", key)}
	row.Tags, row.Typed = p.values(key)
	if row.Do == string(routing.MoveStage) || row.Do == string(routing.BlueprintStep) {
		test := p.test(key + "-if")
		row.If = &test
	}
	values := p.all("wv", key)
	for i, field := range p.all("wf", key) {
		if i < len(values) {
			row.With = append(row.With, page.OwnValue{Field: field, Value: strings.ReplaceAll(values[i], "\r\n", "\n")})
		}
	}
	return row
}

// actOnForm does what a button of the form says: add, remove or move a row, or take a value away.
func actOnForm(v *page.RuleForm, form url.Values) {
	verb, rest, _ := strings.Cut(form.Get("act"), " ")
	key, which, _ := strings.Cut(rest, " ")
	switch verb {
	case "add":
		if group := groupAt(v, key); group != nil {
			fact := form.Get("fact" + key)
			row := newTest(nextKey(*group), fact)
			if len(opsOf(row)) > 0 {
				group.Rows, v.Added = append(group.Rows, row), row.Key
			}
		}
	case "group":
		row := page.ConditionRow{Key: nextKey(v.When), Kind: rowGroup, Match: "any"}
		v.When.Rows, v.Added = append(v.When.Rows, row), row.Key
	case "do":
		row := newAction(*v, routing.ActionKind(form.Get("doing")))
		v.Then, v.Added = slices.Insert(v.Then, actionPlace(*v, row), row), row.Key
	case "remove":
		group := groupAt(v, groupOfKey(key))
		if group != nil {
			group.Rows = slices.DeleteFunc(group.Rows, func(r page.ConditionRow) bool { return r.Key == key })
		}
		v.Then = slices.DeleteFunc(v.Then, func(r page.ActionRow) bool { return r.Key == key })
	case "up", "down":
		if group := groupAt(v, groupOfKey(key)); group != nil {
			moveRow(group.Rows, verb, func(r page.ConditionRow) bool { return r.Key == key })
		}
		moveRow(v.Then, verb, func(r page.ActionRow) bool { return r.Key == key })
	case "drop":
		if i, err := strconv.Atoi(which); err == nil {
			dropValue(v, key, i)
		}
	case "with":
		if i := rowOfAction(*v, key); i >= 0 && form.Get("wadd."+key) != "" {
			v.Then[i].With = append(v.Then[i].With, page.OwnValue{Field: form.Get("wadd." + key)})
		}
	}
}

// groupAt finds a group by its key, the outermost one by none.
func groupAt(v *page.RuleForm, key string) *page.ConditionRow {
	if key == "" {
		return &v.When
	}
	for i := range v.When.Rows {
		if v.When.Rows[i].Key == key && v.When.Rows[i].Kind == rowGroup {
			return &v.When.Rows[i]
		}
	}
	return nil
}

func groupOfKey(key string) string {
	group, _, in := strings.Cut(key, "-")
	if !in {
		return ""
	}
	return group
}

func rowOfAction(v page.RuleForm, key string) int {
	return slices.IndexFunc(v.Then, func(r page.ActionRow) bool { return r.Key == key })
}

// nextKey is a key that no row of the group has, or had while higher ones stand.
func nextKey(group page.ConditionRow) string {
	n := 0
	for _, r := range group.Rows {
		i, _ := strconv.Atoi(r.Key[strings.LastIndex(r.Key, "-")+1:])
		n = max(n, i)
	}
	if group.Key == "" {
		return strconv.Itoa(n + 1)
	}
	return group.Key + "-" + strconv.Itoa(n+1)
}

// newAction is an action that is still to be filled in, with what most people want.
func newAction(v page.RuleForm, kind routing.ActionKind) page.ActionRow {
	n := 0
	for _, r := range v.Then {
		i, _ := strconv.Atoi(strings.TrimPrefix(r.Key, "a"))
		n = max(n, i)
	}
	row := page.ActionRow{Key: "a" + strconv.Itoa(n+1), Do: string(kind)}
	switch kind {
	case routing.CreateDeal:
		row.Within, row.Account = "30", true
	case routing.AddTask:
		row.Days = "1"
	case routing.BlueprintStep:
		if ons := stepOns(v); len(ons) > 0 {
			row.On = ons[0].Value
		}
		row.If = &page.ConditionRow{Key: row.Key + "-if", Kind: rowTest}
	case routing.MoveStage:
		row.Stage = routing.NextStage
		row.If = &page.ConditionRow{Key: row.Key + "-if", Kind: rowTest}
	case routing.LogCall:
		row.On = string(logOns(v)[0].Value)
	}
	return row
}

// actionPlace is where a new action goes: last, but a Lead or Deal above the Call, which is logged on what is there by then.
func actionPlace(v page.RuleForm, row page.ActionRow) int {
	if row.Do == string(routing.CreateLead) || row.Do == string(routing.CreateDeal) {
		if i := slices.IndexFunc(v.Then, func(r page.ActionRow) bool { return r.Do == string(routing.LogCall) }); i >= 0 {
			return i
		}
	}
	return len(v.Then)
}

func moveRow[T any](rows []T, verb string, is func(T) bool) {
	i := slices.IndexFunc(rows, is)
	to := i + 1
	if verb == "up" {
		to = i - 1
	}
	if i >= 0 && to >= 0 && to < len(rows) {
		rows[i], rows[to] = rows[to], rows[i]
	}
}

// dropValue takes one of a row's values away.
func dropValue(v *page.RuleForm, key string, at int) {
	drop := func(values *[]string) {
		if at >= 0 && at < len(*values) {
			*values = slices.Delete(*values, at, at+1)
		}
	}
	if i := rowOfAction(*v, strings.TrimSuffix(key, "-if")); i >= 0 {
		row := &v.Then[i]
		switch {
		case strings.HasSuffix(key, "-if"):
			if row.If != nil {
				drop(&row.If.Values)
			}
		case len(row.With) > 0:
			if at >= 0 && at < len(row.With) {
				row.With = slices.Delete(row.With, at, at+1)
			}
		default:
			drop(&row.Tags)
		}
		return
	}
	if group := groupAt(v, groupOfKey(key)); group != nil {
		for i := range group.Rows {
			if group.Rows[i].Key == key {
				drop(&group.Rows[i].Values)
			}
		}
	}
}
