package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

// rules shows the list of the draft. An address that names a call leads to where rules are tried.
func (s *Server) rules(c echo.Context) error {
	if call := c.QueryParam("call"); call != "" {
		return c.Redirect(http.StatusSeeOther, "/rules/try?"+url.Values{"call": {call}}.Encode())
	}
	return s.showRules(c, http.StatusOK, nil)
}

// decidedFor is how far back the list counts the calls that each rule decided, in days.
const decidedFor = 30

func (s *Server) showRules(c echo.Context, status int, clash *config.Conflict) error {
	m := memberOf(c)
	v := page.RulesView{Frame: s.frame(c, "Rules", "rules"), Edits: m.Can(account.Configure)}
	if clash != nil {
		v.Conflict = conflictOf(clash)
	}
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		live, err := config.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		v.Revision = draft.Revision
		if v.Draft, err = s.draftBar(c, tx, draft); err != nil {
			return err
		}
		v.Rules = ruleRows(draft.Rules, live)
		for _, a := range draft.Rules.Advise() {
			if i, err := ruleAt(&draft.Rules, a.Rule); err == nil {
				v.Rules[i].Advice = append(v.Rules[i].Advice, a.Sentence)
			}
		}
		for i, r := range draft.Rules.Rules {
			v.Rules[i].Gone = config.GoneStage(r, known["Deals"].Pipelines)
		}
		for _, r := range live.Rules.Rules {
			if !hasRule(draft.Rules, r.ID) {
				v.Deleted = append(v.Deleted, r.Name)
			}
		}
		return s.countDecided(c, tx, &v)
	})
	if err != nil {
		return err
	}
	return s.page(c, status, page.Rules(v))
}

// ruleRows are the rules as sentences, with what differs from the live ones.
func ruleRows(set routing.Set, live config.Set) []page.RuleRow {
	lists := set.Lists()
	changes := map[string][]string{}
	for _, d := range config.Diff(live, config.Set{Rules: set, Mappings: live.Mappings}) {
		if d.Of == config.OfRule {
			changes[d.ID] = append(changes[d.ID], d.Sentence)
		}
	}
	rows := make([]page.RuleRow, len(set.Rules))
	for i, r := range set.Rules {
		rows[i] = page.RuleRow{
			ID: r.ID, Number: i + 1, Name: r.Name, When: routing.Sentence(r.When, lists), Then: routing.Does(r.Then, lists),
			Off: r.Off, Last: i == len(set.Rules)-1, New: !hasRule(live.Rules, r.ID), Changes: changes[r.ID],
		}
	}
	return rows
}

func hasRule(set routing.Set, id string) bool {
	return slices.ContainsFunc(set.Rules, func(r routing.Rule) bool { return r.ID == id })
}

// countDecided says of each rule how many calls it decided of late. Calls keep the name of their rule.
func (s *Server) countDecided(c echo.Context, tx pgx.Tx, v *page.RulesView) error {
	names := []string{routing.DefaultName}
	for _, r := range v.Rules {
		names = append(names, r.Name)
	}
	m := memberOf(c).Tenant
	since := midnight(s.Now().In(m.Zone)).AddDate(0, 0, 1-decidedFor)
	counts, err := delivery.DecidedBy(ctx(c), tx, m.ID, names, since)
	if err != nil {
		return err
	}
	say := func(name string) page.Decided {
		n := counts[name]
		switch {
		case n == 0:
			return page.Decided{Text: fmt.Sprintf("No call in %d days", decidedFor)}
		case n >= delivery.MostDecided:
			return page.Decided{Text: fmt.Sprintf("More than %s calls in %d days", thousands(n-1), decidedFor), Href: decidedHref(name)}
		}
		return page.Decided{Text: count(n, "call", "calls") + fmt.Sprintf(" in %d days", decidedFor), Href: decidedHref(name)}
	}
	v.Default = say(routing.DefaultName)
	for i := range v.Rules {
		v.Rules[i].Decided = say(v.Rules[i].Name)
	}
	return nil
}

func decidedHref(rule string) string {
	return "/calls?" + url.Values{"rule": {rule}, "days": {strconv.Itoa(decidedFor)}}.Encode()
}

// changeRules changes the rules in the draft, as change makes them of those that the form was made from, and gives the
// draft that it comes to.
func (s *Server) changeRules(c echo.Context, change func(set *routing.Set) (what string, err error)) (draft config.Draft, err error) {
	on, err := formRevision(c)
	if err != nil {
		return draft, err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		draft, err = config.EditDraft(ctx(c), tx, tenantOf(c), memberOf(c).Email, on, func(set *config.Set) (string, error) { return change(&set.Rules) })
		return err
	})
	return draft, err
}

// changeRule changes the list by one of its buttons, and comes back to the list with a toast that takes the change back.
// A change that says nothing has changed nothing.
func (s *Server) changeRule(c echo.Context, change func(set *routing.Set, at int) (what string, err error)) error {
	what := ""
	draft, err := s.changeRules(c, func(set *routing.Set) (string, error) {
		i, err := ruleAt(set, c.Param("id"))
		if err != nil {
			return "", err
		}
		what, err = change(set, i)
		return what, err
	})
	if clash, ok := errors.AsType[*config.Conflict](err); ok {
		return s.showRules(c, http.StatusConflict, clash)
	}
	if err != nil {
		return err
	}
	if what == "" {
		return s.seeOther(c, "/rules#rule-"+c.Param("id"), "The rule stands there already.")
	}
	return s.seeOtherUndo(c, "/rules#rule-"+c.Param("id"), what+" in the draft.", draft)
}

// ruleAt finds a rule by its id.
func ruleAt(set *routing.Set, id string) (int, error) {
	i := slices.IndexFunc(set.Rules, func(r routing.Rule) bool { return r.ID == id })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "There is no such rule.")
	}
	return i, nil
}

// moveRule moves a rule up, down, to the top, or to a place that is named by its number.
func (s *Server) moveRule(c echo.Context) error {
	return s.changeRule(c, func(set *routing.Set, i int) (string, error) {
		to, err := placeOf(c.FormValue("to"), i)
		if err != nil {
			return "", err
		}
		if to = min(max(to, 0), len(set.Rules)-1); to == i {
			return "", nil
		}
		r := set.Rules[i]
		set.Rules = slices.Insert(slices.Delete(set.Rules, i, i+1), to, r)
		return fmt.Sprintf("%s moved to place %d", named(r.Name), to+1), nil
	})
}

func placeOf(to string, from int) (int, error) {
	switch to {
	case "up":
		return from - 1, nil
	case "down":
		return from + 1, nil
	case "top":
		return 0, nil
	}
	n, err := strconv.Atoi(to)
	if err != nil {
		return 0, fault.New(fault.Invalid, "The form is not complete. Go back and reload the page.")
	}
	return n - 1, nil
}

// switchRule switches a rule on or off.
func (s *Server) switchRule(c echo.Context) error {
	on := c.FormValue("on") == "1"
	return s.changeRule(c, func(set *routing.Set, i int) (string, error) {
		if set.Rules[i].Off == !on {
			return "", nil
		}
		set.Rules[i].Off = !on
		return named(set.Rules[i].Name) + " switched " + map[bool]string{true: "on", false: "off"}[on], nil
	})
}

// copyRule makes another rule of one, below it and switched off, so that nothing changes before it was edited.
func (s *Server) copyRule(c echo.Context) error {
	return s.changeRule(c, func(set *routing.Set, i int) (string, error) {
		twin := set.Rules[i]
		twin.ID, twin.Off, twin.Name = uuid.Must(uuid.NewV7()).String(), true, freeName(*set, twin.Name)
		set.Rules = slices.Insert(set.Rules, i+1, twin)
		return named(twin.Name) + " added, switched off,", nil
	})
}

// freeName is a name like another that no rule has.
func freeName(set routing.Set, name string) string {
	for n := 1; ; n++ {
		free := clipped(name, 180) + " (copy)"
		if n > 1 {
			free = fmt.Sprintf("%s (copy %d)", clipped(name, 180), n)
		}
		if !slices.ContainsFunc(set.Rules, func(r routing.Rule) bool { return r.Name == free }) {
			return free
		}
	}
}

// named is a name in a sentence; of a long one the beginning is enough.
func named(name string) string { return "“" + clipped(name, 60) + "”" }

func (s *Server) deleteRule(c echo.Context) error {
	return s.changeRule(c, func(set *routing.Set, i int) (string, error) {
		name := set.Rules[i].Name
		set.Rules = slices.Delete(set.Rules, i, i+1)
		return named(name) + " deleted", nil
	})
}
