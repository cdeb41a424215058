package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"hookline/internal/routing"
	"hookline/internal/zoho"
	"slices"
	"strings"
	"time"
)

// maxRows is how many rows a module can have.
const maxRows = 200

// Check compares a set with the organisation's fields. A blocking problem keeps it from being saved; others are
// shown beside their row.
func Check(set Set, md Metadata) []Problem {
	var out []Problem
	for module := range set.Modules {
		if !slices.Contains(Modules, module) {
			out = append(out, Problem{Module: module, Blocking: true, Sentence: fmt.Sprintf("%q cannot be mapped.", module)})
		}
	}
	for _, module := range Modules {
		out = append(out, checkModule(module, set.Modules[module], md)...)
	}
	return out
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
		f, there := fields.Field(row.Field)
		switch {
		case !slices.Contains(Modes, row.Mode):
			add(row.Field, true, nil, "%q is no way to write a field.", row.Mode)
		case row.Mode == Append && there && f.Type != "text" && f.Type != "textarea":
			add(row.Field, true, nil, "%s is no text, so a line cannot be added to it. Choose another way to write it.", f.Label)
		}
		switch {
		case linked[module][row.Field]:
			add(row.Field, true, nil, "%s is filled by the rule and cannot be mapped.", row.Field)
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
		out = append(out, checkValue(module, row, f)...)
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
func checkValue(module string, row Row, f zoho.Field) []Problem {
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
			return problem(nil, "There is no variable named “%s”.%s", v, nearest(v))
		}
	}
	constant, ok := t.Constant()
	if !ok {
		return nil
	}
	if strings.TrimSpace(constant) == "" {
		if f.Mandatory && module != "Contacts" {
			return problem(picks(f), "Zoho requires %s: it cannot stay empty.", f.Label)
		}
		return nil
	}
	if slices.Contains(f.Gone, strings.TrimSpace(constant)) {
		return []Problem{{Module: module, Field: row.Field, Allowed: picks(f), Changed: true, Blocking: !row.AddToList, Sentence: fmt.Sprintf(
			"“%s” was renamed or removed from your list of %s in Zoho. Choose a value that is there now.", cut(constant, 60), f.Label)}}
	}
	c := cast(f, row, constant, environment{now: time.Now()})
	if len(c.allowed) > 0 {
		return problem(c.allowed, "“%s” is not one of the values of %s.", cut(constant, 60), f.Label)
	}
	if c.note != "" {
		return problem(nil, "%s", strings.TrimPrefix(c.note, f.Label+": "))
	}
	if _, known := pickOf(f, strings.TrimSpace(constant)); f.Type == "picklist" && !known && len(f.Picklist) > 0 {
		return []Problem{{Module: module, Field: row.Field, Sentence: fmt.Sprintf("“%s” is not in your list of %s yet: Zoho adds it with the first record.", constant, f.Label)}}
	}
	return nil
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
