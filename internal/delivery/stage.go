package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hookline/internal/identity"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// causeBlueprint is the code of a stage that a Deal's Blueprint does not let Hookline move. Its message is a sentence.
const causeBlueprint = "BLUEPRINT"

// moveStage moves a Deal forward to the stage that was decided. The Deal is read first, each time: where a person has
// moved it there or further meanwhile it is left, and a lost answer is settled by what stands. A Deal that is in a
// Blueprint goes through its transition.
//
// A draft that comes with the time at which its Deal was read before has had a try whose answer was lost. If the Deal
// was changed since, the try may have landed and a person taken it back: then it is left, too.
func (r *run) moveStage(d *delivery) error {
	to, _ := d.draft.Fields["Stage"].(string)
	blueprint, tried := false, d.draft.Since
	for range rounds {
		deal, err := r.read(d)
		if err != nil {
			return err
		}
		stage := deal.Text("Stage")
		if strings.EqualFold(stage, to) {
			return nil
		}
		pipelines := r.set.metadata["Deals"].Pipelines
		ahead, known := identity.Ahead(pipelines, deal.Text("Pipeline"), stage)
		if known && !slices.Contains(ahead, to) && inPipelines(pipelines, to) {
			d.draft.Left = fmt.Sprintf("The Deal was moved to %s meanwhile. %s does not lie ahead of it, and stages only move forward.", stage, to)
			return nil
		}
		if tried != "" && tried != d.draft.Since {
			d.draft.Left = fmt.Sprintf("Zoho's answer was lost, and the Deal was changed since: it is left in %s. Move it to %s by hand if it belongs there.", stage, to)
			return nil
		}
		tried = ""
		if blueprint {
			err = r.transit(d, deal, to)
		} else {
			err = r.put(d, d.draft.RecordID, zoho.Record{"Stage": to})
			if isCode(err, "RECORD_IN_BLUEPRINT") {
				blueprint = true
				err = r.transit(d, deal, to)
			}
		}
		switch {
		case err == nil:
			return nil
		case isCode(err, notInProcess):
			blueprint = false // it has left the Blueprint since
		case isAlreadyModified(err), isStaleTransition(err):
		default:
			return err
		}
	}
	return errRestless
}

// modifiedTime is the field that says when a record was last changed.
const modifiedTime = "Modified_Time"

// read reads the record that d moves, and keeps when it was last changed.
func (r *run) read(d *delivery) (zoho.Record, error) {
	r.asking(purposeLookUp, d.id)
	rec, found, err := r.api.Get(r.l.ctx, d.draft.Module, d.draft.RecordID, nil)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, &zoho.Error{Class: zoho.Gone, Message: "the record is no longer there"}
	}
	d.zohoID, d.draft.Since, d.draft.Left = d.draft.RecordID, rec.Text(modifiedTime), ""
	return rec, nil
}

func inPipelines(pipelines []zoho.Pipeline, stage string) bool {
	return slices.ContainsFunc(pipelines, func(p zoho.Pipeline) bool {
		return slices.ContainsFunc(p.Stages, func(s zoho.Stage) bool { return s.Name == stage })
	})
}

// transit takes a Deal through the transition of its Blueprint that ends in the wanted stage.
func (r *run) transit(d *delivery, deal zoho.Record, to string) error {
	r.asking(purposeLookUp, d.id)
	b, err := r.api.Blueprint(r.l.ctx, d.draft.Module, deal.ID())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(b.Transitions, func(t zoho.Transition) bool { return t.Open && strings.EqualFold(t.To, to) })
	if at < 0 {
		return noTransition(b, deal.Text("Stage"), to)
	}
	return r.pass(d, deal, b.Transitions[at], "it moves to "+to)
}

// pass takes a record through a transition of its Blueprint, with the fields that the transition asks for. Aim says in
// words what comes of it.
func (r *run) pass(d *delivery, rec zoho.Record, t zoho.Transition, aim string) error {
	var wanted []string
	for _, f := range t.Fields {
		if f.Mandatory {
			wanted = append(wanted, f.APIName)
		}
	}
	values, missing := mapping.Wanted(r.config.Mappings, r.decided.facts, r.set.metadata, d.draft.Module, wanted, rec)
	if len(missing) > 0 {
		return asksFor(d.draft.Module, missing, fmt.Sprintf("The %s's Blueprint asks for %s before %s", noun(d.draft.Module), listed(labelsOf(t, missing)), aim))
	}
	for _, name := range wanted {
		if _, there := d.draft.Fields[name]; !there {
			d.draft.Keys = append(d.draft.Keys, name)
		}
		d.draft.Fields[name] = values[name]
	}
	if err := r.l.mayWrite(); err != nil {
		return err
	}
	r.asking(purposeWrite, d.id)
	moved, err := r.api.Transit(r.l.ctx, d.draft.Module, rec.ID(), t.ID, values)
	if err != nil || moved {
		return err
	}
	return asksFor(d.draft.Module, wanted, fmt.Sprintf("Zoho kept the values but did not move the %s: its Blueprint wants more than %s before %s", noun(d.draft.Module), listed(labelsOf(t, wanted)), aim))
}

func asksFor(module string, fields []string, sentence string) error {
	first := ""
	if len(fields) > 0 {
		first = fields[0]
	}
	return &zoho.Error{Class: zoho.RecordState, Code: causeBlueprint, Field: first,
		Message: fmt.Sprintf("%s. Give it a value in the mapping of %s, or move the %s in Zoho, then replay.", sentence, module, noun(module))}
}

func noTransition(b zoho.Blueprint, from, to string) error {
	return &zoho.Error{Class: zoho.RecordState, Code: causeBlueprint,
		Message: fmt.Sprintf("The Deal's Blueprint does not lead from %s to %s: it offers %s. Move the Deal in Zoho, or choose another stage in the rule, then replay.", from, to, offersOf(b, func(t zoho.Transition) string { return t.To }))}
}

// offersOf says what a Blueprint offers just now.
func offersOf(b zoho.Blueprint, name func(zoho.Transition) string) string {
	var ways []string
	for _, t := range b.Transitions {
		if t.Open {
			ways = append(ways, name(t))
		}
	}
	if len(ways) == 0 {
		return "no way on"
	}
	return "only " + listed(ways)
}

// noun names a module's record: Deal.
func noun(module string) string { return strings.TrimSuffix(module, "s") }

func labelsOf(t zoho.Transition, names []string) []string {
	labels := make([]string, len(names))
	for i, name := range names {
		labels[i] = name
		for _, f := range t.Fields {
			if f.APIName == name && f.Label != "" {
				labels[i] = f.Label
			}
		}
	}
	return labels
}

func listed(words []string) string {
	if len(words) == 0 {
		return "what it was given"
	}
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// isStaleTransition reports whether Zoho no longer offers the transition: the Deal has moved since it was read.
func isStaleTransition(err error) bool {
	e, ok := errors.AsType[*zoho.Error](err)
	return ok && e.Class == zoho.Refused && e.Field == "transition_id"
}

// outcome is the decision's outcome, as it turned out.
func (r *run) outcome() string {
	outcome := r.decided.decision.Outcome
	for _, d := range r.deliveries {
		if d.state != Done || d.draft.Left == "" {
			continue
		}
		switch {
		case d.slot == routing.SlotStage:
			stage, _ := d.draft.Fields["Stage"].(string)
			outcome = strings.Replace(outcome, "stage moved to "+stage, "stage left", 1)
		case d.draft.Transition != "":
			step := routing.Step(d.draft.Transition, d.draft.Module)
			outcome = strings.Replace(outcome, step+" taken", step+" not taken", 1)
		}
	}
	return outcome
}
