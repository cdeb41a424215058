package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// Limits of a set.
const (
	maxRows = 200       // of a module
	maxSet  = 256 << 10 // bytes of all fields and values together
)

// Check compares a set with the organisation's fields. A blocking problem keeps it from being saved; others are
// shown beside their row.
func Check(set Set, md Metadata) []Problem {
	var out []Problem
	if len(set.Modules) > 10*len(Modules) {
		return []Problem{{Blocking: true, Sentence: fmt.Sprintf("The mappings name %d modules; there are %d that can be mapped.", len(set.Modules), len(Modules))}}
	}
	if n := set.size(); n > maxSet {
		return []Problem{{Blocking: true, Sentence: fmt.Sprintf("The mappings hold %s characters; %s are the most. Shorten the values.", thousands(n), thousands(maxSet))}}
	}
	for _, module := range slices.Sorted(maps.Keys(set.Modules)) {
		if !slices.Contains(Modules, module) {
			out = append(out, Problem{Module: module, Blocking: true, Sentence: fmt.Sprintf("“%s” cannot be mapped.", cut(module, 60))})
		}
	}
	for _, module := range Modules {
		out = append(out, checkModule(module, set.Modules[module], md)...)
	}
	return out
}

func (s Set) size() (n int) {
	for _, rows := range s.Modules {
		for _, row := range rows {
			n += len(row.Field) + len(row.Value)
		}
	}
	return n
}

// Drift is what the set does not know yet of the organisation: what keeps the next record from being written, or will be
// left out of it; the former first. Only what was read of the organisation itself counts, of modules that a rule writes.
func Drift(set Set, rules routing.Set, md Metadata) []Problem {
	creates := Created(rules)
	all := slices.DeleteFunc(Check(set, md), func(p Problem) bool {
		return !creates[p.Module] || !md.Known(p.Module) || !p.Blocking && !p.Changed
	})
	slices.SortStableFunc(all, func(a, b Problem) int {
		switch {
		case a.Blocking == b.Blocking:
			return 0
		case a.Blocking:
			return -1
		}
		return 1
	})
	return all
}

// Created are the modules of records that the rules make or fill. Leads and Calls are made, and a Contact is filled, even
// where no rule fits.
func Created(rules routing.Set) map[string]bool {
	modules := map[string]bool{"Leads": true, "Calls": true, "Contacts": true}
	for _, rule := range rules.Rules {
		for _, o := range rule.Then {
			switch {
			case rule.Off:
			case o.Do == routing.CreateDeal:
				modules["Deals"] = true
				modules["Accounts"] = modules["Accounts"] || o.Account
			case o.Do == routing.AddTask:
				modules["Tasks"] = true
			}
		}
	}
	return modules
}

func checkModule(module string, rows []Row, md Metadata) []Problem {
	var out []Problem
	fields := md.of(module)
	add := func(field string, blocking bool, allowed []string, format string, args ...any) {
		out = append(out, Problem{Module: module, Field: field, Blocking: blocking, Allowed: allowed, Sentence: fmt.Sprintf(format, args...)})
	}
	if len(rows) > maxRows {
		add("", true, nil, "%s has %d rows; %d are the most.", module, len(rows), maxRows)
		return out
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.Field] {
			add(row.Field, true, nil, "%s is mapped twice.", row.Field)
			continue
		}
		seen[row.Field] = true
		if !fieldName.MatchString(row.Field) {
			add(cut(row.Field, 60), true, nil, "“%s” is no name of a field in Zoho. Remove the row.", cut(row.Field, 60))
			continue
		}
		f, there := fields.Field(row.Field)
		switch {
		case !slices.Contains(Modes, row.Mode):
			add(row.Field, true, nil, "%q is no way to write a field.", row.Mode)
		case row.Mode == Append && there && f.Type != "text" && f.Type != "textarea":
			add(row.Field, true, nil, "%s is no text, so a line cannot be added to it. Choose another way to write it.", f.Label)
		}
		switch {
		case filled(module, row.Field):
			add(row.Field, true, nil, "%s is filled by the rule or by Hookline itself and cannot be mapped. Remove the row.", row.Field)
			continue
		case !there && (reserved[row.Field] || strings.HasPrefix(row.Field, "$")):
			add(row.Field, true, nil, "%s is set by Zoho and cannot be mapped. Remove the row.", row.Field)
			continue
		case slices.Contains(fields.Gone, row.Field):
			add(row.Field, false, nil, "Your %s in Zoho no longer have the field %s: it is not sent. Remove the row, or map the field that took its place.", module, row.Field)
			out[len(out)-1].Changed = true
		case !there && md.Known(module):
			add(row.Field, false, nil, "Your %s in Zoho have no field %s: it is not sent. Remove the row, or create the field in Zoho.", module, row.Field)
		case there && (!f.Visible || f.ReadOnly || !f.CanCreate && !f.CanUpdate):
			add(row.Field, true, nil, "Zoho lets nobody write %s. Remove the row.", f.Label)
		}
		if !there {
			f = zoho.Field{APIName: row.Field, Label: row.Field, Type: "text"}
		}
		out = append(out, checkValue(module, row, f, md)...)
	}
	if stage, ok := constantOf(rows, "Stage"); ok && module == "Deals" {
		d := Draft{Module: module, Fields: map[string]any{"Stage": stage}}
		if pipeline, ok := constantOf(rows, "Pipeline"); ok {
			d.Fields["Pipeline"] = pipeline
		} else {
			d.Fields["Pipeline"] = defaultPipeline(fields.Pipelines).Name
		}
		out = append(out, stageProblem(&d, fields)...)
	}
	if module == "Contacts" { // rows of Contacts update one that exists: nothing is required
		return out
	}
	for _, f := range fields.Fields {
		// A Call's conditional fields are asked for only of some Calls.
		if f.Mandatory && !seen[f.APIName] && !f.ReadOnly && f.CanCreate && f.Type != "boolean" && f.Type != "ownerlookup" &&
			!linked[module][f.APIName] && !conditional(Draft{Module: module, Fields: map[string]any{"Call_Type": "Missed"}}, f.APIName) {
			add(f.APIName, true, picks(f), "Zoho requires %s on %s. Add the field%s.", f.Label, module, suggestion(module, f.APIName))
			out[len(out)-1].Offer = offerFor(module, Row{Field: f.APIName}, f, md)
		}
	}
	for _, name := range fields.Required {
		if f, ok := fields.Field(name); ok && !seen[name] && !f.Mandatory && !linked[module][name] {
			add(name, false, picks(f), "Your layout of %s asks for %s. Records are written without it, but people who edit them must fill it in.", module, f.Label)
		}
	}
	return out
}

// suggestion is the default row's value for a field, to offer it.
func suggestion(module, field string) string {
	for _, row := range DefaultSet().Modules[module] {
		if row.Field == field {
			return ", for example with " + row.Value
		}
	}
	return ""
}

func constantOf(rows []Row, field string) (string, bool) {
	for _, row := range rows {
		if row.Field == field {
			if t, err := parsed(row.Value); err == nil {
				return t.Constant()
			}
		}
	}
	return "", false
}

// checkValue parses a row's template and casts what of it is known already.
func checkValue(module string, row Row, f zoho.Field, md Metadata) []Problem {
	problem := func(allowed []string, format string, args ...any) []Problem {
		return []Problem{{Module: module, Field: row.Field, Blocking: true, Allowed: allowed, Sentence: fmt.Sprintf(format, args...)}}
	}
	t, err := parsed(row.Value)
	if err != nil {
		if s, ok := errors.AsType[*SyntaxError](err); ok {
			return problem(nil, "At character %d: %s", s.At, s.Sentence)
		}
		return problem(nil, "%v", err)
	}
	for _, v := range t.Variables() {
		if !KnownVariable(v) {
			return problem(nil, "There is no variable named “%s”.%s", cut(v, 60), nearest(v))
		}
	}
	var out []Problem
	if wrong := t.wrongKind(f); wrong != "" {
		out = problem(nil, "%s", wrong)
	}
	for _, c := range t.outcomes() {
		if p := checkConstant(module, row, f, c); p != nil && !slices.ContainsFunc(out, func(o Problem) bool { return o.Sentence == p.Sentence }) {
			out = append(out, *p)
		}
	}
	if p := canBeEmpty(module, row, f, md); p != nil && !slices.ContainsFunc(out, func(o Problem) bool { return o.Blocking }) {
		out = append(out, *p)
	}
	return out
}

// outcome is a value that a template can come to, known before a call is there.
type outcome struct {
	value any
	typed bool // somebody wrote it; else a variable can have it
}

// maxOutcomes bounds how many values of one template are looked at.
const maxOutcomes = 300

// outcomes are the values that a template can come to as far as they are known: a constant, what a list or a default
// gives, the few values of a variable that has few.
func (t *Template) outcomes() []outcome {
	if constant, ok := t.Constant(); ok {
		return []outcome{{constant, true}}
	}
	if len(t.parts) != 1 {
		return nil
	}
	e := t.parts[0].expr
	var out []outcome
	s := &scope{lookup: func(string) any { return nil }, env: &environment{now: time.Now()}}
	add := func(v any, from int, typed bool) {
		for _, later := range e.filters[from:] {
			if later.name != "default" && slices.ContainsFunc(later.args, func(o operand) bool { return o.path != "" }) {
				return // what comes out of it is not known
			}
		}
		if v = e.apply(v, e.filters[from:], s); !isEmpty(v) && len(out) < maxOutcomes {
			out = append(out, outcome{v, typed})
		}
	}
	if e.head.path == "" {
		add(e.head.constant, 0, true)
	}
	for _, v := range valuesOf[e.head.path] {
		add(v, 0, false)
	}
	for i, f := range e.filters {
		args := f.args
		switch f.name {
		case "default":
			for _, a := range args {
				if a.path == "" {
					add(a.constant, i+1, true)
				}
			}
		case "map":
			for ; len(args) > 0; args = args[min(2, len(args)):] {
				if then := args[min(1, len(args)-1)]; then.path == "" { // the second of a pair, or a last one alone
					add(then.constant, i+1, true)
				}
			}
		}
	}
	return out
}

// checkConstant casts a value that is known.
func checkConstant(module string, row Row, f zoho.Field, o outcome) *Problem {
	env := &environment{now: time.Now()}
	text := strings.TrimSpace(textOf(o.value, env))
	p := Problem{Module: module, Field: row.Field, Blocking: o.typed}
	if text == "" {
		return nil
	}
	if slices.Contains(f.Gone, text) {
		p.Allowed, p.Changed, p.Blocking = picks(f), true, !row.AddToList && o.typed
		p.Sentence = fmt.Sprintf("“%s” was renamed or removed from your list of %s in Zoho. Choose a value that is there now.", cut(text, 60), f.Label)
		return &p
	}
	c := cast(f, row, o.value, env)
	_, known := pickOf(f, text)
	switch {
	case len(c.allowed) > 0 && o.typed:
		p.Allowed, p.Sentence = c.allowed, fmt.Sprintf("“%s” is not one of the values of %s. Choose one of them, or let Zoho add it to the list.", cut(text, 60), f.Label)
	case len(c.allowed) > 0:
		p.Allowed, p.Sentence = c.allowed, fmt.Sprintf("“%s”, which a call can bring, is not one of the values of %s: it is then left out. Choose from the list what it becomes, or let Zoho add it.", cut(text, 60), f.Label)
	case c.note != "":
		p.Sentence = capitalize(strings.TrimPrefix(c.note, f.Label+": "))
		if c.cut {
			p.Sentence = fmt.Sprintf("“%s” is longer than the %d characters of %s. Shorten it.", cut(text, 60), utf8.RuneCountInString(c.value.(string)), f.Label)
		}
	case f.Type == "picklist" && !known && len(f.Picklist) > 0:
		p.Blocking, p.Sentence = false, fmt.Sprintf("“%s” is not in your list of %s yet: Zoho adds it with the first record.", cut(text, 60), f.Label)
	default:
		return nil
	}
	return &p
}

// wrongKind says that a variable can never be what a field takes; empty when it can.
func (t *Template) wrongKind(f zoho.Field) string {
	if len(t.parts) != 1 || t.parts[0].expr == nil {
		return ""
	}
	have, name := t.parts[0].expr.kind()
	takes, fits := "", true
	switch f.Type {
	case "integer", "bigint", "double", "currency", "percent":
		takes, fits = "a number", have == isNumber
	case "date", "datetime":
		takes, fits = "a date", have == isDate || have == isTime
	case "email":
		takes, fits = "an e-mail address", have == isEmail
	case "phone":
		takes, fits = "a phone number", have == isPhone
	case "website":
		takes, fits = "a web address", have == isAddress
	case "boolean":
		takes, fits = "yes or no", false
	case "lookup", "ownerlookup", "userlookup":
		takes, fits = "the id of a record", have == isRecord
	}
	if have == anyKind || fits {
		return ""
	}
	return fmt.Sprintf("%s takes %s, and %s is none. Choose another variable, or remove the row.", f.Label, takes, name)
}

// kind is what an expression comes to, and in words whose value that is.
func (e *expression) kind() (kind, string) {
	have, name := anyKind, "this"
	if v, ok := variableByName[e.head.path]; ok {
		have, name = v.kind, "{{ "+e.head.path+" }}"
	}
	for _, f := range e.filters {
		switch f.name {
		case "number", "money", "round", "times":
			have = isNumber
		case "upcase", "downcase", "capitalize", "title", "trim", "truncate", "first_name", "last_name", "split_name": // of one kind before and after
		case "or_in_days", "add_days", "add_business_days":
			if have != isTime {
				have = isDate
			}
		case "date":
			if have = isDate; len(f.args) > 0 {
				have = anyKind
			}
		case "phone":
			have = isPhone
		default:
			have = anyKind
		}
	}
	return have, name
}

// canBeEmpty warns of a field that Zoho requires and that a call can leave empty: one that says nothing but that it was.
func canBeEmpty(module string, row Row, f zoho.Field, md Metadata) *Problem {
	if !f.Mandatory || module == "Contacts" || f.ReadOnly || conditional(Draft{Module: module, Fields: map[string]any{"Call_Type": "Missed"}}, row.Field) {
		return nil
	}
	if filledByAnyCall(row, f, md) {
		return nil
	}
	p := Problem{Module: module, Field: row.Field, Allowed: picks(f), Offer: offerFor(module, row, f, md)}
	if strings.TrimSpace(row.Value) == "" {
		p.Blocking, p.Sentence = true, fmt.Sprintf("Zoho requires %s: it cannot stay empty.", f.Label)
		return &p
	}
	p.Sentence = fmt.Sprintf("Zoho requires %s, and a call can leave it empty: that call would wait for you. Say what is to stand there then.", f.Label)
	return &p
}

// filledByAnyCall renders a row for a call that says nothing but that it was.
func filledByAnyCall(row Row, f zoho.Field, md Metadata) bool {
	t, err := parsed(row.Value)
	if err != nil {
		return false
	}
	now := time.Now()
	env := newEnvironment(routing.Facts{Call: call.Call{Direction: call.Inbound, Status: call.Completed, StartedAt: now}, LocalTime: now, DecidedAt: now, Source: "source", TenantName: "business"}, md)
	env.action = routing.Action{Subject: "Call back", Due: now.Format(time.DateOnly)}
	v := t.render(&scope{lookup: env.lookup, env: env})
	return cast(f, row, v, env).value != nil
}

// offerFor is a value that fills a required field whatever a call says: the row's own with something to fall back on, else
// the proposed one; empty where there is none.
func offerFor(module string, row Row, f zoho.Field, md Metadata) string {
	var tries []string
	if pieces, err := Pieces(row.Value); err == nil && len(pieces) == 1 && pieces[0].Value != nil {
		with := func(h Helper) {
			p := pieces[0]
			p.Helpers = append(slices.Clone(p.Helpers), h)
			tries = append(tries, Source([]Piece{p}))
		}
		switch f.Type {
		case "date", "datetime":
			with(Helper{Name: "or_in_days", Args: []Operand{Number("30")}})
		case "text", "textarea":
			with(Helper{Name: "default", Args: []Operand{Var("caller_label")}})
		case "picklist":
			for _, p := range f.Picklist[:min(1, len(f.Picklist))] {
				with(Helper{Name: "default", Args: []Operand{Text(p.Value)}})
			}
		case "integer", "bigint", "double", "currency", "percent":
			with(Helper{Name: "default", Args: []Operand{Number("0")}})
		}
	}
	tries = append(tries, Suggest(module, f))
	for _, p := range f.Picklist[:min(1, len(f.Picklist))] {
		tries = append(tries, p.Value)
	}
	if f.Type == "text" || f.Type == "textarea" {
		tries = append(tries, "{{ caller_label }}")
	}
	for _, source := range tries {
		if filledByAnyCall(Row{Field: row.Field, Value: source}, f, md) {
			return source
		}
	}
	return ""
}

// nearest offers the variable whose name is most like the one written.
func nearest(name string) string {
	best, distance := "", len(name)/2+1
	for _, v := range variables {
		if d := editDistance(name, v.name); d < distance {
			best, distance = v.name, d
		}
	}
	if best == "" {
		return ""
	}
	return " Did you mean “" + best + "”?"
}

func editDistance(a, b string) int {
	if len(a) > 100 {
		a = a[:100]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// slotExample is the slot of a record that no decision asks for.
const slotExample = "example"

// Example renders one module's record for a call, as the editor shows it beside the rows: what a new record of that
// module would be.
func Example(set Set, module string, f routing.Facts, md Metadata) (Draft, []Problem) {
	return newRenderer(set, f, md).example(module)
}

func (r *renderer) example(module string) (Draft, []Problem) {
	f := r.env.facts
	switch module {
	case "Contacts":
		return r.contact("", nil)
	case "Tasks":
		r.env.action = routing.Action{Subject: "Follow up", Due: f.DecidedAt.AddDate(0, 0, 1).Format(time.DateOnly)}
	}
	return r.create(slotExample, module, func(d *Draft) {
		c := f.Match.Contact
		switch {
		case module == "Accounts":
			d.put("Account_Name", cmp.Or(f.Call.Company, "The caller's company"))
		case c != nil && (module == "Calls" || module == "Tasks"):
			d.put("Who_Id", map[string]any{"id": c.ID, "name": c.Name})
		case c != nil && module == "Deals":
			d.put("Contact_Name", map[string]any{"id": c.ID, "name": c.Name})
			if c.AccountID != "" {
				d.put("Account_Name", map[string]any{"id": c.AccountID, "name": c.AccountName})
			}
		case f.Match.Lead != nil && (module == "Calls" || module == "Tasks"):
			d.put("What_Id", map[string]any{"id": f.Match.Lead.ID, "name": f.Match.Lead.Name})
			d.put("$se_module", "Leads")
		}
	})
}
