package server

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// ruleFormOf shows a rule as answers to the form's questions. A condition that no question can show makes the form
// show all conditions as JSON.
func ruleFormOf(r routing.Rule, set routing.Set) page.RuleForm {
	v := page.RuleForm{ID: r.ID, Name: r.Name, Match: "all", Days: "30", Within: "30", Account: true, TaskDays: "1", AnswerOp: "is", Problems: page.Problems{}}
	tests := r.When.All
	if r.When.Any != nil {
		v.Match, tests = "any", r.When.Any
	}
	answered := map[routing.Field]bool{}
	plain := r.When.None == nil
	if r.When.Field != "" {
		tests = []routing.Condition{r.When}
	}
	var callers, statuses, directions, lists []string
	for _, t := range tests {
		key := t.Field
		if t.Field == routing.FieldDuration {
			key += routing.Field(t.Op)
		}
		if strings.HasPrefix(string(t.Field), "answer.") {
			key = routing.FieldAnswer
		}
		if t.Field == "" || t.Op == routing.IsNot || t.Op == routing.MoreThan || t.Op == routing.LessThan || answered[key] {
			plain = false
			break
		}
		answered[key] = true
		one := strings.Join(t.Values, ", ")
		switch t.Field {
		case routing.FieldCaller:
			callers = t.Values
		case routing.FieldOpenDeals:
			switch {
			case t.Op == routing.AtLeast && t.Number == 1:
				v.OpenDeal = "yes"
			case t.Op == routing.AtMost && t.Number == 0:
				v.OpenDeal = "no"
			default:
				plain = false
			}
		case routing.FieldSaid:
			lists, v.Words = t.Lists, strings.Join(t.Values, "\n")
		case routing.FieldIntent:
			v.Intent, v.More = one, true
			plain = plain && t.Op == routing.Contains
		case routing.FieldUsable:
			v.Number, v.More = one, true
			plain = plain && len(t.Values) == 1
		case routing.FieldHours:
			v.Hours = one
			plain = plain && len(t.Values) == 1
		case routing.FieldStatus:
			statuses, v.More = t.Values, true
		case routing.FieldDirection:
			directions, v.More = t.Values, true
		case routing.FieldDuration:
			v.More = true
			if t.Op == routing.AtLeast {
				v.AtLeast = decimal(t.Number)
			} else {
				v.AtMost = decimal(t.Number)
			}
		case routing.FieldRepeat:
			v.Repeats, v.Days, v.More = decimal(t.Number), strconv.Itoa(t.Days), true
			plain = plain && t.Op == routing.AtLeast
		case routing.FieldSource:
			v.Source, v.More = one, true
			plain = plain && t.Op == routing.Is
		case routing.FieldDialled:
			v.Dialled, v.More = one, true
			plain = plain && t.Op == routing.Is
		case routing.FieldStage, routing.FieldAmount, routing.FieldBudget, routing.FieldWeekday, routing.FieldTime, routing.FieldHoliday:
			plain = false
		default:
			v.More = true
			v.Answer, v.AnswerOp, v.AnswerIs = strings.TrimPrefix(string(t.Field), "answer."), string(t.Op), one
			if t.Op == routing.AtLeast || t.Op == routing.AtMost {
				v.AnswerIs = decimal(t.Number)
			}
		}
	}
	if !plain {
		doc, err := json.MarshalIndent(r.When, "", "  ")
		if err == nil {
			v.JSON = string(doc)
		}
	}
	choices(&v, set, callers, lists, statuses, directions)
	outcomeForm(&v, r.Then)
	return v
}

// choices fills the form's boxes.
func choices(v *page.RuleForm, set routing.Set, callers, lists, statuses, directions []string) {
	boxes := func(f routing.Field, on []string) (out []page.RuleChoice) {
		info, _ := routing.InfoOf(f)
		for _, c := range info.Choices {
			label := strings.ToUpper(c.Label[:1]) + c.Label[1:]
			out = append(out, page.RuleChoice{Value: c.Value, Label: label, On: slices.Contains(on, c.Value)})
		}
		return out
	}
	v.Callers = boxes(routing.FieldCaller, callers)
	v.Callers[0].Label = "A new caller"
	v.Statuses, v.Directions = boxes(routing.FieldStatus, statuses), boxes(routing.FieldDirection, directions)
	v.Lists = nil
	for _, l := range set.Phrases {
		v.Lists = append(v.Lists, page.RuleChoice{Value: l.Name, Label: l.Label, On: slices.Contains(lists, l.Name)})
	}
}

func outcomeForm(v *page.RuleForm, then []routing.Outcome) {
	quiet := []string{}
	for _, o := range then {
		if o.Quiet {
			quiet = append(quiet, string(o.Do))
		}
		switch o.Do {
		case routing.CreateLead:
			v.Does = "lead"
		case routing.CreateDeal:
			v.Does, v.Within, v.Account = "deal", strconv.Itoa(o.Within), o.Account
		case routing.AddTask:
			v.Task, v.TaskDays, v.Also = o.Subject, strconv.Itoa(o.Days), true
		case routing.AddTags:
			v.Tags, v.TagsOn, v.Also = strings.Join(o.Tags, ", "), o.On, true
		case routing.SetOwner:
			v.Owner, v.OwnerName, v.Also = o.Owner, o.OwnerName, true
		case routing.LogCall:
			if v.Does == "" {
				v.Does = o.On + "-log"
			}
		case routing.Ignore:
			v.Does = "ignore"
		case routing.MoveStage:
			v.Stage, v.From = o.Stage, strings.Join(o.From, ", ")
			if o.If != nil && len(o.If.Lists) == 1 {
				v.StageWords = o.If.Lists[0]
			}
		}
	}
	quietBoxes(v, quiet)
}

// quietBoxes are the kinds of write for which Zoho's own workflows can be kept from running. Lead and Deal are one box.
func quietBoxes(v *page.RuleForm, quiet []string) {
	v.Also = v.Also || len(quiet) > 0
	on := func(kinds ...routing.ActionKind) bool {
		return slices.ContainsFunc(kinds, func(k routing.ActionKind) bool { return slices.Contains(quiet, string(k)) })
	}
	v.Quiet = []page.RuleChoice{
		{Value: string(routing.CreateLead), Label: "the new Lead or Deal", On: on(routing.CreateLead, routing.CreateDeal)},
		{Value: string(routing.LogCall), Label: "the Call", On: on(routing.LogCall)},
		{Value: string(routing.MoveStage), Label: "the stage", On: on(routing.MoveStage)},
		{Value: string(routing.AddTask), Label: "the Task", On: on(routing.AddTask)},
		{Value: string(routing.AddTags), Label: "the tags", On: on(routing.AddTags)},
	}
}

// readRuleForm reads the posted answers into a rule. The form comes back with what was typed and with what is wrong;
// the rule is of use only when nothing is.
func readRuleForm(c echo.Context, id string, set routing.Set) (page.RuleForm, routing.Rule) {
	values := func(name string) []string {
		form, err := c.FormParams()
		if err != nil {
			return nil
		}
		return form[name]
	}
	f := func(name string) string { return strings.TrimSpace(c.FormValue(name)) }
	v := page.RuleForm{
		ID: id, Name: f("name"), Match: f("match"), OpenDeal: f("open_deal"), Words: c.FormValue("words"), Intent: f("intent"), Number: f("number"), Hours: f("hours"),
		AtLeast: f("at_least"), AtMost: f("at_most"), Repeats: f("repeats"), Days: f("days"), Source: f("source"), Dialled: f("dialled"),
		Answer: f("answer"), AnswerOp: f("answer_op"), AnswerIs: f("answer_is"), More: true, JSON: c.FormValue("when"),
		Does: f("does"), Within: f("within"), Stage: f("stage"), From: f("stage_from"), StageWords: f("stage_words"), Problems: page.Problems{},
		Account: f("account") != "", Task: f("task"), TaskDays: f("task_days"), Tags: f("tags"), TagsOn: f("tags_on"), Owner: f("owner"), Also: true,
	}
	quietBoxes(&v, values("quiet"))
	choices(&v, set, values("caller"), values("list"), values("status"), values("direction"))
	r := routing.Rule{ID: id, Name: v.Name}
	if v.Name == "" {
		v.Problems["name"] = "Give the rule a name."
	}
	if v.JSON != "" {
		dec := json.NewDecoder(strings.NewReader(v.JSON))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r.When); err != nil {
			v.Problems["when"] = "This is not JSON of conditions: " + err.Error()
		}
	} else {
		r.When = readConditions(&v, values("caller"), values("list"), values("status"), values("direction"))
	}
	r.Then = readOutcome(&v)
	return v, r
}

func readConditions(v *page.RuleForm, callers, lists, statuses, directions []string) routing.Condition {
	tests := []routing.Condition{}
	add := func(c routing.Condition) { tests = append(tests, c) }
	choose := func(field routing.Field, values []string) {
		if values = slices.DeleteFunc(values, func(s string) bool { return s == "" }); len(values) > 0 {
			add(routing.Condition{Field: field, Op: routing.Is, Values: values})
		}
	}
	amount := func(key, text string) (float64, bool) {
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 0 {
			v.Problems[key] = "Enter a number from 0 up."
			return 0, false
		}
		return n, true
	}
	choose(routing.FieldCaller, callers)
	switch v.OpenDeal {
	case "yes":
		add(routing.Condition{Field: routing.FieldOpenDeals, Op: routing.AtLeast, Number: 1})
	case "no":
		add(routing.Condition{Field: routing.FieldOpenDeals, Op: routing.AtMost})
	}
	if words := textLines(v.Words); len(lists) > 0 || len(words) > 0 {
		add(routing.Condition{Field: routing.FieldSaid, Op: routing.Says, Lists: lists, Values: words})
	}
	choose(routing.FieldHours, []string{v.Hours})
	choose(routing.FieldUsable, []string{v.Number})
	choose(routing.FieldStatus, statuses)
	choose(routing.FieldDirection, directions)
	if n, ok := amount("at_least", v.AtLeast); ok {
		add(routing.Condition{Field: routing.FieldDuration, Op: routing.AtLeast, Number: n})
	}
	if n, ok := amount("at_most", v.AtMost); ok {
		add(routing.Condition{Field: routing.FieldDuration, Op: routing.AtMost, Number: n})
	}
	if n, ok := amount("repeats", v.Repeats); ok {
		days, err := strconv.Atoi(v.Days)
		if err != nil || days < 1 || days > 90 {
			v.Problems["days"] = "Enter 1 to 90 days."
		}
		add(routing.Condition{Field: routing.FieldRepeat, Op: routing.AtLeast, Number: n, Days: days})
	}
	if texts := commas(v.Intent); len(texts) > 0 {
		add(routing.Condition{Field: routing.FieldIntent, Op: routing.Contains, Values: texts})
	}
	choose(routing.FieldSource, commas(v.Source))
	choose(routing.FieldDialled, commas(v.Dialled))
	if v.Answer != "" {
		t := routing.Condition{Field: routing.FieldAnswer + "." + routing.Field(v.Answer), Op: routing.Op(v.AnswerOp)}
		if t.Op == routing.AtLeast || t.Op == routing.AtMost {
			n, ok := routing.Money(v.AnswerIs)
			if !ok {
				v.Problems["answer_is"] = "Enter the number that the answer is compared with."
			}
			t.Number = n
		} else if t.Values = commas(v.AnswerIs); len(t.Values) == 0 {
			v.Problems["answer_is"] = "Enter what the answer is compared with."
		}
		add(t)
	} else if v.AnswerIs != "" {
		v.Problems["answer"] = "Name the answer."
	}
	if len(tests) == 0 {
		return routing.Condition{}
	}
	if v.Match == "any" {
		return routing.Condition{Any: tests}
	}
	return routing.Condition{All: tests}
}

func readOutcome(v *page.RuleForm) []routing.Outcome {
	log := func(on string) routing.Outcome { return routing.Outcome{Do: routing.LogCall, On: on} }
	var then []routing.Outcome
	switch v.Does {
	case "lead":
		then = []routing.Outcome{{Do: routing.CreateLead}, log("lead")}
	case "contact-log", "lead-log", "deal-log":
		then = []routing.Outcome{log(strings.TrimSuffix(v.Does, "-log"))}
	case "deal":
		within, err := strconv.Atoi(v.Within)
		if err != nil || within < 0 {
			v.Problems["within"] = "Enter a number of days, 0 for no limit."
		}
		then = []routing.Outcome{{Do: routing.CreateDeal, Within: within, Account: v.Account}, log("deal")}
	case "ignore":
		then = []routing.Outcome{{Do: routing.Ignore}}
	default:
		v.Problems["does"] = "Choose what happens to the call."
	}
	if v.Stage != "" {
		if v.Does == "ignore" {
			v.Problems["stage"] = "A call that is kept here moves no Deal."
		}
		move := routing.Outcome{Do: routing.MoveStage, Stage: v.Stage, From: commas(v.From)}
		if v.StageWords != "" {
			move.If = &routing.Condition{Field: routing.FieldSaid, Op: routing.Says, Lists: []string{v.StageWords}}
		}
		then = append(then, move)
	}
	return readMoreOutcomes(v, then)
}

// readMoreOutcomes adds the Task, the tags, the owner and what runs quietly.
func readMoreOutcomes(v *page.RuleForm, then []routing.Outcome) []routing.Outcome {
	more := func(key string, given bool) bool {
		if given && v.Does == "ignore" {
			v.Problems[key] = "A call that is kept here writes nothing to Zoho."
		}
		return given
	}
	if more("task", v.Task != "") {
		days, err := strconv.Atoi(v.TaskDays)
		if err != nil || days < 0 || days > 90 {
			v.Problems["task_days"] = "Enter 0 to 90 business days."
		}
		then = append(then, routing.Outcome{Do: routing.AddTask, Subject: v.Task, Days: days})
	}
	if more("tags", v.Tags != "") {
		then = append(then, routing.Outcome{Do: routing.AddTags, On: v.TagsOn, Tags: commas(v.Tags)})
	}
	if more("owner", v.Owner != "") {
		then = append(then, routing.Outcome{Do: routing.SetOwner, Owner: v.Owner})
	}
	for i := range then {
		kind := then[i].Do
		if kind == routing.CreateDeal {
			kind = routing.CreateLead
		}
		then[i].Quiet = slices.ContainsFunc(v.Quiet, func(c page.RuleChoice) bool { return c.On && c.Value == string(kind) })
	}
	return then
}

// nameOwner keeps the owner's name with the id, as the page shows it.
func nameOwner(then []routing.Outcome, owners []ui.Option, set routing.Set) {
	for i := range then {
		if then[i].Do != routing.SetOwner {
			continue
		}
		for _, o := range owners {
			if o.Value == then[i].Owner {
				then[i].OwnerName = o.Label
			}
		}
		for _, r := range set.Rules { // Zoho cannot be asked just now
			for _, o := range r.Then {
				if then[i].OwnerName == "" && o.Do == routing.SetOwner && o.Owner == then[i].Owner {
					then[i].OwnerName = o.OwnerName
				}
			}
		}
	}
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// textLines are the lines of a text area that hold something.
func textLines(text string) []string { return parts(text, "\n") }

// commas are the parts of a line between commas.
func commas(text string) []string { return parts(text, ",") }

func parts(text, sep string) []string {
	var out []string
	for _, p := range strings.Split(text, sep) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}
