package config

import (
	"fmt"
	"slices"
	"strings"

	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/zoho"
)

// Problem is something about a configuration that its author should know before it is live.
type Problem struct {
	Of       string   `json:"of"`              // OfRule or OfMapping
	ID       string   `json:"id"`              // of the rule, or the module
	Name     string   `json:"name"`            // of the rule, or the module
	Field    string   `json:"field,omitempty"` // of a mapping: the field's api_name
	Sentence string   `json:"sentence"`        // what is wrong and the way out
	Allowed  []string `json:"allowed,omitempty"`
	Blocking bool     `json:"blocking"` // Zoho is known to refuse it
}

// Check says what is wrong with a configuration in the organisation that metadata describes. A module that no rule
// writes to cannot keep it from being published.
func Check(s Set, md mapping.Metadata) []Problem {
	var out []Problem
	for _, r := range s.Rules.Rules {
		if gone := GoneStage(r, md["Deals"].Pipelines); gone != "" && !r.Off {
			out = append(out, Problem{Of: OfRule, ID: r.ID, Name: r.Name, Sentence: gone})
		}
		for _, o := range r.Then {
			for _, p := range mapping.CheckOwn(o, md) {
				out = append(out, Problem{Of: OfRule, ID: r.ID, Name: r.Name, Field: p.Field, Sentence: p.Sentence, Allowed: p.Allowed, Blocking: p.Blocking && !r.Off})
			}
		}
	}
	written := mapping.Created(s.Rules)
	for _, p := range mapping.Check(s.Mappings, md) {
		out = append(out, Problem{Of: OfMapping, ID: p.Module, Name: p.Module, Field: p.Field, Sentence: p.Sentence, Allowed: p.Allowed, Blocking: p.Blocking && written[p.Module]})
	}
	return out
}

// Blocking are the problems that keep a configuration from being published, unless somebody says so.
func Blocking(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return !p.Blocking })
}

// GoneStage says which stage a rule names that no pipeline has; empty when all are there or none are known.
func GoneStage(r routing.Rule, pipelines []zoho.Pipeline) string {
	if len(pipelines) == 0 {
		return ""
	}
	for _, o := range r.Then {
		if o.Do != routing.MoveStage {
			continue
		}
		for _, stage := range append([]string{o.Stage}, o.From...) {
			there := stage == routing.NextStage || slices.ContainsFunc(pipelines, func(p zoho.Pipeline) bool {
				return slices.ContainsFunc(p.Stages, func(s zoho.Stage) bool { return strings.EqualFold(s.Name, stage) }) // as Decide compares
			})
			if !there {
				return fmt.Sprintf("No pipeline in Zoho has the stage “%s”. Choose one that is there.", stage)
			}
		}
	}
	return ""
}
