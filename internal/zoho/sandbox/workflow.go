package sandbox

import (
	"fmt"
	"maps"
	"slices"
)

// workflowRule is a workflow rule in a small form: when a record of a module is created (or edited), a Task appears, or fields
// are set, or both. Enough to see whether a write's `trigger` let rules run.
type workflowRule struct {
	Module string         `json:"module"`
	On     string         `json:"on"`   // create, edit; "" = create
	Task   string         `json:"task"` // subject of a Task on the record
	Set    map[string]any `json:"set"`  // field: value
}

func (w workflowRule) check() error {
	m := moduleByName(w.Module)
	switch {
	case m == nil || m.Inner:
		return fmt.Errorf("a workflow rule names a module, not %q", w.Module)
	case w.On != "" && w.On != "create" && w.On != "edit":
		return fmt.Errorf("a workflow rule runs on create or edit, not %q", w.On)
	case w.Task == "" && len(w.Set) == 0:
		return fmt.Errorf("a workflow rule has a task, or fields to set")
	}
	return nil
}

// triggers are what a write may set off: all where the body says nothing, none for [] (Insert records, on trigger).
var triggers = []string{"workflow", "approval", "blueprint", "pathfinder", "orchestration"}

// workflows runs the rules of what happened to a record. What they write sets off nothing in turn. That a rule's Task belongs to
// the record's owner is (mem).
func (s *Sandbox) workflows(q *request, r *record, on string) {
	o := q.org
	for _, w := range o.Settings.Workflow {
		if w.Module != r.Module || (w.On != on && !(w.On == "" && on == "create")) {
			continue
		}
		if len(w.Set) > 0 {
			set, _ := decodeJSON(marshal(w.Set)) // numbers as they are written
			in, _ := set.(map[string]any)
			d := &draft{q: q, sc: o.schema(r.Module), in: in, before: r, byHand: true, values: maps.Clone(r.Values), by: " by workflow"}
			if d.read(); len(d.errors) == 0 {
				d.derive()
				r = s.commit(d, o, d.sc.module)
			}
		}
		if w.Task == "" {
			continue
		}
		values := map[string]any{"Subject": w.Task, "Due_Date": q.at.In(o.zone).Format("2006-01-02"), "Owner": r.Values["Owner"]}
		switch {
		case r.Module == "Contacts":
			values["Who_Id"] = ref{r.Module, r.ID}
		case slices.Contains([]string{"Leads", "Accounts", "Deals"}, r.Module):
			values["What_Id"], values["$se_module"] = ref{r.Module, r.ID}, r.Module
		default: // an activity or note: on what it hangs on
			for _, api := range []string{"Who_Id", "What_Id", "$se_module"} {
				if v := r.Values[api]; v != nil {
					values[api] = v
				}
			}
		}
		d := &draft{q: q, sc: o.schema("Tasks"), in: map[string]any{}, values: values, changed: map[string]bool{}, by: " by workflow"}
		d.derive()
		s.commit(d, o, d.sc.module)
	}
}
