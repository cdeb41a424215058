package server

import (
	"cmp"
	"slices"
	"strings"

	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// ruleMenus is what a rule's form can offer: what the tenant has, and what Zoho was last seen to have.
type ruleMenus struct {
	set      routing.Set
	stages   []string
	sources  []string
	owners   []ui.Option
	metadata mapping.Metadata
}

// actionForms are the inputs of each kind of action, by name, in the order in which kinds are offered.
var actionForms = map[routing.ActionKind][]string{
	routing.CreateLead:    {"with", "quiet"},
	routing.LogCall:       {"on", "with", "quiet"},
	routing.CreateDeal:    {"within", "with", "quiet"},
	routing.MoveStage:     {"stage", "quiet"},
	routing.BlueprintStep: {"on", "transition"},
	routing.AddTask:       {"subject", "with", "quiet"},
	routing.AddTags:       {"on", "tags", "quiet"},
	routing.SetOwner:      {"owner"},
	routing.Ignore:        {"nothing"},
	routing.HandOver:      {"why"},
}

var actionKinds = []struct {
	kind  routing.ActionKind
	label string
}{
	{routing.CreateLead, "Create a Lead"}, {routing.LogCall, "Log the Call"}, {routing.CreateDeal, "Create a Deal"}, {routing.MoveStage, "Move the open Deal's stage"},
	{routing.BlueprintStep, "Take a Blueprint step"},
	{routing.AddTask, "Add a Task"}, {routing.AddTags, "Add tags"}, {routing.SetOwner, "Give what is created to somebody"},
	{routing.HandOver, "Hand the call to a person"}, {routing.Ignore, "Keep the call here and write nothing to Zoho"},
}

func actionLabel(kind routing.ActionKind) string {
	for _, a := range actionKinds {
		if a.kind == kind {
			return a.label
		}
	}
	return string(kind)
}

// alone are the actions beside which a rule does nothing else.
func alone(kind routing.ActionKind) bool { return kind == routing.Ignore || kind == routing.HandOver }

// many are those that a rule may do several times.
func many(kind routing.ActionKind) bool { return kind == routing.AddTask }

// dress fills in the menus of a form, says what stands wrong beside each row, and the rule as a sentence.
func (m ruleMenus) dress(v *page.RuleForm) {
	v.Facts = factOptions(false)
	m.dressGroup(v, &v.When)
	for i := range v.Then {
		m.dressAction(v, &v.Then[i])
		v.Then[i].First, v.Then[i].Last = i == 0, i == len(v.Then)-1
	}
	m.offerActions(v)
	m.say(v)
}

func factOptions(orNone bool) []ui.Option {
	var out []ui.Option
	if orNone {
		out = append(out, ui.Option{Value: "", Label: "always"})
	}
	for _, f := range routing.Fields {
		out = append(out, ui.Option{Value: string(f.Field), Label: f.Label})
	}
	return append(out, ui.Option{Value: factAnswer, Label: "an answer of the caller"})
}

func (m ruleMenus) dressGroup(v *page.RuleForm, g *page.ConditionRow) {
	if !slices.Contains([]string{"all", "any", "none"}, g.Match) {
		g.Match = "all"
	}
	for i := range g.Rows {
		row := &g.Rows[i]
		row.First, row.Last = i == 0, i == len(g.Rows)-1
		if row.Kind == rowGroup {
			m.dressGroup(v, row)
			row.Sentence = "the group"
			if len(row.Rows) == 0 && v.Added != row.Key {
				row.Problem = "Add a condition to the group, or remove it."
			}
			continue
		}
		m.dressTest(row, false)
		if row.Problem = m.problemOf(*row); v.Added == row.Key && row.Kind == rowTest {
			row.Problem = ""
		}
	}
}

// dressTest fills in the menus of one condition.
func (m ruleMenus) dressTest(row *page.ConditionRow, optional bool) {
	c, err := conditionOf(*row)
	if row.Sentence = "this part"; err == nil && (row.Kind == rowRaw || row.Fact != "") {
		row.Sentence = routing.Sentence(c, m.set.Lists())
	}
	if row.Kind == rowRaw {
		return
	}
	row.Facts = factOptions(optional)
	for _, op := range opsOf(*row) {
		row.Ops = append(row.Ops, ui.Option{Value: string(op), Label: opLabel(op, row.Fact)})
	}
	info, known := routing.InfoOf(fieldOf(*row))
	if row.Fact == factAnswer {
		info, known = routing.InfoOf(routing.FieldAnswer + ".any")
	}
	boxes := m.boxesOf(info, row.Op)
	switch {
	case !known:
	case info.IsWords():
		row.Shows = "phrases"
		for _, l := range m.set.Phrases {
			boxes = append(boxes, ui.Option{Value: l.Name, Label: l.Label})
		}
		row.Boxes = ticked(boxes, row.Lists)
	case routing.Op(row.Op).ComparesNumber():
		row.Shows, row.Unit, row.Repeats = "number", info.Unit, info.Field == routing.FieldRepeat
	case info.IsTime():
		row.Shows = "times"
	case len(boxes) > 0:
		row.Shows, row.Boxes = "boxes", ticked(boxes, row.Values)
	default:
		row.Shows = "chips"
	}
}

// boxesOf are the values that a fact can have, where they are known.
func (m ruleMenus) boxesOf(info routing.FieldInfo, op string) []ui.Option {
	var out []ui.Option
	for _, c := range info.Choices {
		out = append(out, ui.Option{Value: c.Value, Label: c.Label})
	}
	var names []string
	switch {
	case routing.Op(op) == routing.Contains:
	case info.Field == routing.FieldStage:
		names = m.stages
	case info.Field == routing.FieldSource:
		names = m.sources
	}
	for _, n := range names {
		out = append(out, ui.Option{Value: n, Label: n})
	}
	return out
}

// ticked are boxes with those of values on; a value that is not offered any more is one too, so that it can be taken away.
func ticked(options []ui.Option, values []string) []page.RuleChoice {
	var out []page.RuleChoice
	for _, o := range options {
		out = append(out, page.RuleChoice{Value: o.Value, Label: o.Label, On: slices.Contains(values, o.Value)})
	}
	for _, v := range values {
		if !slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == v }) {
			out = append(out, page.RuleChoice{Value: v, Label: v + " (gone)", On: true})
		}
	}
	return out
}

func opLabel(op routing.Op, fact string) string {
	be := "is"
	if fact == string(routing.FieldHours) {
		be = "are"
	}
	label, ok := map[routing.Op]string{routing.Is: be, routing.IsNot: be + " not", routing.Contains: "contains", routing.Says: "says", routing.AtLeast: "at least",
		routing.AtMost: "at most", routing.MoreThan: "more than", routing.LessThan: "less than", routing.Between: "between"}[op]
	if !ok {
		return string(op)
	}
	return label
}

// problemOf is what keeps a condition from being saved; empty for nothing.
func (m ruleMenus) problemOf(row page.ConditionRow) string {
	c, err := conditionOf(row)
	switch {
	case err != nil:
		return fault.SentenceOf(err)
	case row.Fact == factAnswer && row.Answer == "":
		return "Name the answer, as your phone agent calls it."
	}
	return m.firstProblem(routing.Rule{When: c, Then: []routing.Outcome{{Do: routing.Ignore}}})
}

// firstProblem asks the rules' own check about a part of a rule.
func (m ruleMenus) firstProblem(r routing.Rule) string {
	r.ID, r.Name = "part", "part"
	if problems := (routing.Set{Rules: []routing.Rule{r}, Phrases: m.set.Phrases}).Check(); len(problems) > 0 {
		return problems[0].Sentence
	}
	return ""
}

func (m ruleMenus) dressAction(v *page.RuleForm, row *page.ActionRow) {
	o, err := doingOf(*row)
	row.Label = actionLabel(o.Do)
	row.Sentence = routing.Does([]routing.Outcome{o}, m.set.Lists())
	if row.Do == rowRaw {
		if row.Label = "this part"; err != nil {
			row.Problem, row.Sentence = fault.SentenceOf(err), "A part that cannot be read."
		}
		return
	}
	row.Has = map[string]bool{}
	for _, name := range actionForms[o.Do] {
		row.Has[name] = true
	}
	row.Mapping = o.Do.Creates()
	if row.Has["with"] {
		m.dressWith(row)
	}
	switch o.Do {
	case routing.LogCall:
		row.Ons = logOns(*v)
		if name := logged[row.On]; name != "" && !slices.ContainsFunc(row.Ons, func(o ui.Option) bool { return o.Value == row.On }) {
			row.Ons = append(row.Ons, ui.Option{Value: row.On, Label: name + " (these callers have none)"})
		}
	case routing.AddTags:
		row.Ons = offered([]ui.Option{{Value: "", Label: "The caller's record"}, {Value: "deal", Label: "The Deal"}}, row.On, "")
	case routing.MoveStage:
		options := []ui.Option{{Value: routing.NextStage, Label: "One step forward"}}
		for _, s := range m.stages {
			options = append(options, ui.Option{Value: s, Label: s})
		}
		row.Stages = offered(options, row.Stage, " (gone)")
		row.Froms = ticked(options[1:], row.From)
	case routing.BlueprintStep:
		row.Ons = offered(stepOns(*v), row.On, "")
	case routing.SetOwner:
		row.Owners = offered(append([]ui.Option{{Value: "", Label: "Choose somebody"}}, m.owners...), row.Owner, "")
		for i, o := range row.Owners {
			switch {
			case o.Value != row.Owner || o.Value == "":
			case o.Label != o.Value:
				row.OwnerAs = o.Label
			default:
				row.Owners[i].Label = cmp.Or(row.OwnerAs, "The user "+row.Owner)
			}
		}
	}
	if row.If != nil {
		m.dressTest(row.If, true)
		if row.If.Fact != "" {
			row.If.Problem = m.problemOf(*row.If)
		}
	}
	gone := config.GoneStage(routing.Rule{Then: []routing.Outcome{o}}, m.metadata["Deals"].Pipelines)
	switch {
	case err != nil:
		row.Problem = fault.SentenceOf(err)
	case gone != "":
		row.Problem = gone
	case v.Added == row.Key:
	case o.Do != routing.SetOwner || o.Owner == "": // that it owns nothing is the whole rule's problem
		row.Problem = m.firstProblem(routing.Rule{Then: []routing.Outcome{o}})
	}
	if row.If != nil && row.If.Problem != "" {
		row.Problem = ""
	}
}

// dressWith names the fields that a record gets values of the rule's own for, and offers those that can.
func (m ruleMenus) dressWith(row *page.ActionRow) {
	module := row.Mapping
	for i, w := range row.With {
		row.With[i].Label = w.Field
		if f, ok := m.metadata[module].Field(w.Field); ok {
			row.With[i].Label = f.Label
		}
	}
	for _, f := range m.metadata.Writable(module) {
		if !slices.ContainsFunc(row.With, func(w page.OwnValue) bool { return w.Field == f.APIName }) {
			row.Fields = append(row.Fields, ui.Option{Value: f.APIName, Label: f.Label})
		}
	}
}

// offered are options with the present value among them, even when it is not offered any more.
func offered(options []ui.Option, value, mark string) []ui.Option {
	if slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == value }) {
		return options
	}
	return append(slices.Clone(options), ui.Option{Value: value, Label: value + mark})
}

// callers are those that the outermost conditions leave: new, lead, contact.
func callers(v page.RuleForm) []string {
	left := []string{"new", "lead", "contact"}
	if v.When.Match != "all" {
		return left
	}
	for _, row := range v.When.Rows {
		if row.Kind == rowTest && row.Fact == string(routing.FieldCaller) && len(row.Values) > 0 {
			left = slices.DeleteFunc(left, func(who string) bool { return slices.Contains(row.Values, who) != (row.Op == string(routing.Is)) })
		}
	}
	return left
}

func does(v page.RuleForm, kind routing.ActionKind) bool {
	return slices.ContainsFunc(v.Then, func(r page.ActionRow) bool { return r.Do == string(kind) })
}

// logged names what a Call can be logged on.
var logged = map[string]string{"deal": "The open Deal", "contact": "The Contact", "lead": "The Lead"}

// logOns are the records that a Call can be logged on, for the callers that the rule is for.
func logOns(v page.RuleForm) []ui.Option {
	who := callers(v)
	var out []ui.Option
	if slices.Contains(who, "contact") {
		if does(v, routing.CreateDeal) {
			out = append(out, ui.Option{Value: "deal", Label: "The new Deal"})
		} else {
			out = append(out, ui.Option{Value: "deal", Label: "The open Deal, else the Contact"})
		}
		out = append(out, ui.Option{Value: "contact", Label: "The Contact"})
	}
	if slices.Contains(who, "lead") || slices.Contains(who, "new") {
		label := "The Lead"
		if does(v, routing.CreateLead) {
			label = "The new Lead"
		}
		out = append(out, ui.Option{Value: "lead", Label: label})
	}
	if len(out) == 0 { // the conditions leave nobody
		out = []ui.Option{{Value: "contact", Label: "The Contact"}}
	}
	return out
}

// stepOns are the records whose Blueprint steps can be taken, for the callers that the rule is for.
func stepOns(v page.RuleForm) []ui.Option {
	who := callers(v)
	var out []ui.Option
	if slices.Contains(who, "lead") {
		out = append(out, ui.Option{Value: "lead", Label: "The Lead that called"})
	}
	if slices.Contains(who, "contact") {
		out = append(out, ui.Option{Value: "deal", Label: "The open Deal"})
	}
	return out
}

// offerActions offers what can apply, and says why the rest cannot.
func (m ruleMenus) offerActions(v *page.RuleForm) {
	who := callers(*v)
	for _, a := range actionKinds {
		why := ""
		switch {
		case does(*v, a.kind) && !many(a.kind):
			continue
		case len(v.Then) > 0 && alone(a.kind), slices.ContainsFunc(v.Then, func(r page.ActionRow) bool { return alone(routing.ActionKind(r.Do)) }):
			why = "stands alone: such a rule does nothing else."
			if !alone(a.kind) {
				continue
			}
		case a.kind == routing.CreateLead && !slices.Contains(who, "new"):
			why = "is for new callers, and this rule is for callers who are known."
		case a.kind == routing.BlueprintStep && len(stepOns(*v)) == 0:
			why = "is for Leads and Contacts, and this rule is for new callers."
		case (a.kind == routing.CreateDeal || a.kind == routing.MoveStage) && !slices.Contains(who, "contact"):
			why = "is for Contacts, and this rule is for other callers."
		}
		if why != "" {
			v.WhyNot = append(v.WhyNot, "“"+a.label+"” "+why)
			continue
		}
		v.Actions = append(v.Actions, ui.Option{Value: string(a.kind), Label: a.label})
	}
}

// say puts the rule into words, as far as it can be read, and lists what is still to do.
func (m ruleMenus) say(v *page.RuleForm) {
	lists := m.set.Lists()
	read, open := m.readable(v.When)
	when := groupCondition(v.When.Match, read)
	v.Sentence.When = routing.Sentence(when, lists)
	if open {
		v.Sentence.When += " …"
	}
	var then []routing.Outcome
	for _, row := range v.Then {
		if o, err := doingOf(row); err == nil && m.firstProblem(routing.Rule{Then: []routing.Outcome{o}}) == "" || err == nil && o.Do == routing.SetOwner && o.Owner != "" {
			then = append(then, o)
		}
	}
	if v.Sentence.Then = "…"; len(then) > 0 {
		v.Sentence.Then = routing.Does(then, lists) + "."
	}
	if strings.TrimSpace(v.Name) == "" {
		v.Wrong = append(v.Wrong, "Give the rule a name.")
	}
	if open || m.anyProblem(v.When.Rows) {
		v.Wrong = append(v.Wrong, "Some conditions are not complete.")
	}
	switch {
	case len(v.Then) == 0:
		v.Wrong = append(v.Wrong, "Say what the rule does.")
	case len(then) < len(v.Then):
		v.Wrong = append(v.Wrong, "Some actions are not complete.")
	default:
		if p := m.firstProblem(routing.Rule{Then: then}); p != "" {
			v.Wrong = append(v.Wrong, p)
		}
	}
	if len(read) > 0 && !open && len(then) == len(v.Then) {
		v.Advice = m.advise(routing.Rule{ID: v.ID, When: when, Then: then})
	}
}

// advise says what of a rule can never have an effect where it stands, and which rules below it would be left without
// a call by it.
func (m ruleMenus) advise(r routing.Rule) []string {
	set := routing.Set{Rules: slices.Clone(m.set.Rules), Phrases: m.set.Phrases}
	shadowed := func(a routing.Advice) bool { return a.Kind == routing.Shadowed && a.Rule != r.ID }
	before := map[string]bool{}
	for _, a := range set.Advise() {
		if shadowed(a) {
			before[a.Rule] = true
		}
	}
	at, err := ruleAt(&set, r.ID)
	switch {
	case r.ID == "":
		r.ID = "new"
		set.Rules = slices.Insert(set.Rules, firstPlace(set), r)
	case err == nil:
		r.Name = set.Rules[at].Name
		set.Rules[at] = r // on, whatever it was: what it would do is asked
	}
	var out []string
	for _, a := range set.Advise() {
		switch i, err := ruleAt(&set, a.Rule); {
		case a.Rule == r.ID:
			out = append(out, a.Sentence)
		case err == nil && shadowed(a) && !before[a.Rule] && slices.Contains(a.By, r.ID):
			out = append(out, "With this rule above it, no call would ever reach “"+set.Rules[i].Name+"”.")
		}
	}
	return out
}

// readable are the conditions of a group that are complete; open says that others are not.
func (m ruleMenus) readable(g page.ConditionRow) (read []routing.Condition, open bool) {
	for _, row := range g.Rows {
		if row.Kind == rowGroup {
			of, more := m.readable(row)
			open = open || more || len(of) == 0
			if len(of) > 0 {
				read = append(read, groupCondition(row.Match, of))
			}
			continue
		}
		c, err := conditionOf(row)
		if err != nil || m.problemOf(row) != "" {
			open = true
			continue
		}
		read = append(read, c)
	}
	return read, open
}

func (m ruleMenus) anyProblem(rows []page.ConditionRow) bool {
	return slices.ContainsFunc(rows, func(r page.ConditionRow) bool { return r.Problem != "" || m.anyProblem(r.Rows) })
}
