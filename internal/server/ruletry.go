package server

import (
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// tryRules tries the draft, and where it differs the live rules, on a call that came, a made-up one, or one that is typed
// in. Zoho is not asked: what it was last seen to have counts.
func (s *Server) tryRules(c echo.Context) error {
	m := memberOf(c)
	v := page.TryView{Frame: s.frame(c, "Try on a call", "rules"), Find: c.QueryParam("find"), Typed: c.QueryParam("typed") != ""}
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	menus, err := s.ruleMenus(c, routing.Set{}, false)
	if err != nil {
		return err
	}
	v.Form = typedForm(c, m.Tenant, s.Now(), menus)
	err = s.inTenant(c, func(tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		facts, chosen, calls, err := exampleOf(c, tx, m.Tenant, s.Now(), c.QueryParam("call"))
		if err != nil {
			return err
		}
		v.Calls, v.Call = calls, chosen
		if v.Typed {
			if facts, err = typedFacts(v.Form, m.Tenant, s.Now(), known["Deals"].Pipelines); err != nil {
				v.Problem = fault.SentenceOf(err)
				return nil
			}
		}
		v.Match = callFacts(facts)
		if v.Draft = triedOf(draft.Set, facts, known, "tried-draft", "What happens"); !draft.Open {
			return nil
		}
		v.Draft.Title = "With the draft"
		live, err := config.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		was := triedOf(live, facts, known, "tried-live", "With what is live")
		if sameResult(v.Draft, was) {
			v.AsLive = "What is live does the same with this call."
		} else {
			v.Live = &was
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, page.Try(v))
}

// triedOf is what a configuration makes of a call.
func triedOf(set config.Set, facts routing.Facts, known mapping.Metadata, id, title string) page.Tried {
	d := routing.Decide(set.Rules, facts)
	t := page.Tried{ID: id, Title: title, Rule: d.Name, Outcome: d.Outcome, RunnerUp: d.Trace.RunnerUp, Notes: d.Trace.Notes, Rules: ruleTraces(d.Trace)}
	for i := range t.Rules {
		if t.Rules[i].Fired {
			t.Rules[i].State = "Decides this call" // it is yet to come
		}
	}
	if d.Rule != routing.DefaultRule {
		t.RuleHref = "/rules/" + d.Rule
	}
	for _, p := range mapping.Previews(set.Mappings, d, facts, known) {
		if p.Draft.Left != "" {
			continue
		}
		r := page.TriedRecord{What: verbOf(p.Draft) + " " + singularOf(p.Draft.Module), JSON: p.JSON()}
		for _, f := range p.Fields {
			if f.Sent {
				r.Fields = append(r.Fields, ui.KV{Key: f.Label, Value: clipped(f.Shown, 400)})
			}
		}
		for _, problem := range p.Problems {
			r.Problems = append(r.Problems, problem.Sentence)
		}
		t.Records = append(t.Records, r)
	}
	return t
}

func verbOf(d mapping.Draft) string {
	if d.Action == mapping.Create {
		return "Create a"
	}
	return "Change the"
}

// sameResult reports whether two configurations do the same with a call, whichever rule of theirs says so.
func sameResult(a, b page.Tried) bool {
	return a.Rule == b.Rule && a.Outcome == b.Outcome && sameJSON(a.Records, b.Records)
}

// callFacts say what is known of the call that the rules are tried on.
func callFacts(f routing.Facts) []ui.KV {
	facts := []ui.KV{{Key: "Began", Value: f.LocalTime.Format("Monday, 2 January 2006, 15:04")}}
	facts = append(facts, matchFacts(f, ui.KV{Key: "Caller in Zoho", Value: matchSentence(f.Match)})...)
	var said []string
	for _, t := range f.Call.Transcript {
		if t.Role == call.Caller {
			said = append(said, t.Text)
		}
	}
	return append(facts, ui.KV{Key: "The caller says", Value: clipped(strings.Join(said, " "), 400)})
}
