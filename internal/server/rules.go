package server

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

// rules shows the list, tried on the call that ?call= names.
func (s *Server) rules(c echo.Context) error {
	m := memberOf(c)
	v := page.RulesView{Frame: s.frame(c, "Rules", "rules"), Edits: m.Can(account.Configure)}
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		set := draft.Rules
		v.Revision = draft.Revision
		if v.Draft, err = s.draftBar(c, tx, draft); err != nil {
			return err
		}
		facts, chosen, calls, err := exampleOf(c, tx, m.Tenant, s.Now(), c.QueryParam("call"))
		if err != nil {
			return err
		}
		v.Calls, v.Call = calls, chosen
		v.Rules = ruleRows(set)
		for i, r := range set.Rules {
			v.Rules[i].Gone = config.GoneStage(r, known["Deals"].Pipelines)
		}
		if c.QueryParam("call") != "" {
			tryRules(&v, routing.Decide(set, facts))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, page.Rules(v))
}

func ruleRows(set routing.Set) []page.RuleRow {
	lists := set.Lists()
	rows := make([]page.RuleRow, len(set.Rules))
	for i, r := range set.Rules {
		rows[i] = page.RuleRow{
			ID: r.ID, Number: i + 1, Name: r.Name, When: routing.Sentence(r.When, lists), Then: routing.Does(r.Then, lists),
			Off: r.Off, Last: i == len(set.Rules)-1,
		}
	}
	return rows
}

func tryRules(v *page.RulesView, d routing.Decision) {
	v.Tried = &page.RulesTried{Rule: d.Name, Outcome: d.Outcome, RunnerUp: d.Trace.RunnerUp, Notes: d.Trace.Notes}
	for i, t := range d.Trace.Rules {
		v.Rules[i].Result = &page.RuleResult{Fits: t.Fits, Fired: t.Fired, Checks: checkLines(t.Check, 0)}
	}
}

// checkLines flattens a check for the page; a group is a line above its parts, save the outermost "all".
func checkLines(k routing.Check, depth int) []page.CheckLine {
	if k.Group == "" {
		line := page.CheckLine{Pass: k.Pass, Depth: depth, Sentence: k.Sentence, Saw: k.Saw}
		for _, q := range k.Quotes {
			line.Quotes = append(line.Quotes, q.Text)
		}
		return []page.CheckLine{line}
	}
	var lines []page.CheckLine
	if depth > 0 || k.Group != "all" {
		lines = append(lines, page.CheckLine{Pass: k.Pass, Group: true, Depth: depth, Sentence: k.Sentence})
		depth++
	}
	for _, child := range k.Of {
		lines = append(lines, checkLines(child, depth)...)
	}
	return lines
}

// changeRules changes the rules in the draft, as change makes them of those that the form was made from.
func (s *Server) changeRules(c echo.Context, change func(set *routing.Set) (what string, err error)) error {
	return s.editDraft(c, func(set *config.Set) (string, error) { return change(&set.Rules) })
}

// ruleAt finds a rule by its id.
func ruleAt(set *routing.Set, id string) (int, error) {
	i := slices.IndexFunc(set.Rules, func(r routing.Rule) bool { return r.ID == id })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "There is no such rule.")
	}
	return i, nil
}

// moveRule moves a rule one place up or down.
func (s *Server) moveRule(c echo.Context) error {
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		i, err := ruleAt(set, c.Param("id"))
		if err != nil {
			return "", err
		}
		to := i + 1
		if c.FormValue("to") == "up" {
			to = i - 1
		}
		if to < 0 || to >= len(set.Rules) {
			return "", fault.New(fault.Invalid, "The rule stands at the end of the list already.")
		}
		set.Rules[i], set.Rules[to] = set.Rules[to], set.Rules[i]
		return "“" + set.Rules[to].Name + "” moved to place " + strconv.Itoa(to+1), nil
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules#rule-"+c.Param("id"), "Moved in the draft.")
}

// switchRule switches a rule on or off.
func (s *Server) switchRule(c echo.Context) error {
	on := c.FormValue("on") == "1"
	word := map[bool]string{true: "on", false: "off"}[on]
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		i, err := ruleAt(set, c.Param("id"))
		if err != nil {
			return "", err
		}
		set.Rules[i].Off = !on
		return "“" + set.Rules[i].Name + "” switched " + word, nil
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules#rule-"+c.Param("id"), "Switched "+word+" in the draft.")
}

func (s *Server) deleteRule(c echo.Context) error {
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		i, err := ruleAt(set, c.Param("id"))
		if err != nil {
			return "", err
		}
		name := set.Rules[i].Name
		set.Rules = slices.Delete(set.Rules, i, i+1)
		return "“" + name + "” deleted", nil
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules", "Rule deleted in the draft.")
}
