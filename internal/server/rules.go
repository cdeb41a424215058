package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
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

// newRule shows an empty form.
func (s *Server) newRule(c echo.Context) error { return s.ruleForm(c, "") }

// rule shows the form of one rule, or asks whether to delete it.
func (s *Server) rule(c echo.Context) error { return s.ruleForm(c, c.Param("id")) }

func (s *Server) ruleForm(c echo.Context, id string) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	set := draft.Rules
	r := routing.Rule{When: routing.Condition{All: []routing.Condition{}}}
	if id != "" {
		i, err := ruleAt(&set, id)
		if err != nil {
			return err
		}
		r = set.Rules[i]
	}
	v := ruleFormOf(r, set)
	s.dressRuleForm(c, &v, set, draft.Revision)
	known, err := s.Zoho.Known(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	if gone := config.GoneStage(r, known["Deals"].Pipelines); gone != "" {
		v.Problems = page.Problems{"stage": gone}
	}
	if id != "" {
		v.Sentence = "When " + routing.Sentence(r.When, set.Lists()) + " → " + routing.Does(r.Then, set.Lists()) + "."
		if c.QueryParam("confirm") == "delete" && v.Edits {
			v.Asks = &ui.DialogProps{
				ID: "delete", Title: "Delete “" + r.Name + "”?", Action: "/rules/" + id + "/delete", Submit: "Delete the rule", Danger: true, Cancel: "/rules/" + id,
				Text:   "Calls that it decided keep their story. Calls to come go on to the next rule that fits.",
				Hidden: map[string]string{"revision": strconv.Itoa(draft.Revision)},
			}
		}
	}
	return s.page(c, http.StatusOK, page.Rule(v))
}

// dressRuleForm fills in what is no part of the rule: the frame, and what can be chosen.
func (s *Server) dressRuleForm(c echo.Context, v *page.RuleForm, set routing.Set, revision int) {
	v.Frame, v.Edits, v.Revision = s.frame(c, v.Name, "rules"), memberOf(c).Can(account.Configure), revision
	if v.ID == "" {
		v.Frame.Title = "New rule"
	}
	v.Stages = []ui.Option{{Value: "", Label: "Leave it as it is"}, {Value: routing.NextStage, Label: "One step forward"}}
	names := []string{}
	for _, p := range s.metadataOf(c, "Deals")["Deals"].Pipelines {
		for _, st := range p.Stages {
			if !slices.Contains(names, st.Name) {
				names = append(names, st.Name)
				v.Stages = append(v.Stages, ui.Option{Value: st.Name, Label: "To " + st.Name})
			}
		}
	}
	if v.Stage != "" && v.Stage != routing.NextStage && !slices.Contains(names, v.Stage) {
		v.Stages = append(v.Stages, ui.Option{Value: v.Stage, Label: "To " + v.Stage})
	}
	v.Owners = append([]ui.Option{{Value: "", Label: "As Zoho and the mapping say"}}, s.recordOwners(c)...)
	if i := slices.IndexFunc(v.Owners, func(o ui.Option) bool { return o.Value == v.Owner }); i >= 0 && v.Owner != "" {
		v.OwnerName = v.Owners[i].Label
	} else if i < 0 {
		v.Owners = append(v.Owners, ui.Option{Value: v.Owner, Label: cmp.Or(v.OwnerName, "The user "+v.Owner)})
	}
	v.ListNames = []ui.Option{{Value: "", Label: "Anything"}}
	for _, l := range set.Phrases {
		v.ListNames = append(v.ListNames, ui.Option{Value: l.Name, Label: l.Label})
	}
}

// saveRule saves the form of a rule, or gives it back with what is wrong.
func (s *Server) saveRule(c echo.Context) error {
	id := c.Param("id")
	var form page.RuleForm
	var owners []ui.Option
	if c.FormValue("owner") != "" {
		owners = s.recordOwners(c)
	}
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		var r routing.Rule
		form, r = readRuleForm(c, id, *set)
		nameOwner(r.Then, owners, *set)
		if len(form.Problems) > 0 {
			return "", fault.New(fault.Invalid, "Some answers need another look.")
		}
		if id == "" {
			r.ID = uuid.Must(uuid.NewV7()).String()
			// A new rule goes to the top: below the one for new callers it could never fire.
			set.Rules = slices.Insert(set.Rules, firstPlace(*set), r)
			return "“" + r.Name + "” added", nil
		}
		i, err := ruleAt(set, id)
		if err != nil {
			return "", err
		}
		r.Off = set.Rules[i].Off
		set.Rules[i] = r
		return "“" + r.Name + "” changed", nil
	})
	if kind := fault.KindOf(err); err != nil && form.Problems != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		if len(form.Problems) == 0 {
			form.Problems[""] = fault.SentenceOf(err)
		}
		draft, readErr := s.draft(c)
		if readErr != nil {
			return readErr
		}
		// The form is one of the draft as it now stands: saved again, it is meant.
		s.dressRuleForm(c, &form, draft.Rules, draft.Revision)
		return s.page(c, statusOf(err), page.Rule(form))
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules", "Rule saved in the draft. Publish it to make it live.")
}

// firstPlace is where a new rule goes: below the rules that keep calls out of Zoho.
func firstPlace(set routing.Set) int {
	for i, r := range set.Rules {
		if len(r.Then) != 1 || r.Then[0].Do != routing.Ignore {
			return i
		}
	}
	return len(set.Rules)
}

// phrases shows the phrase lists.
func (s *Server) phrases(c echo.Context) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	return s.phrasesPage(c, http.StatusOK, draft, nil)
}

func (s *Server) phrasesPage(c echo.Context, status int, draft config.Draft, amend func(*page.PhrasesView)) error {
	set := draft.Rules
	v := page.PhrasesView{Frame: s.frame(c, "Phrases", "rules"), Edits: memberOf(c).Can(account.Configure), Revision: draft.Revision}
	for _, l := range set.Phrases {
		n := uses(set, l.Name)
		used := "No rule uses it."
		if n == 1 {
			used = "1 rule uses it."
		} else if n > 1 {
			used = strconv.Itoa(n) + " rules use it."
		}
		v.Lists = append(v.Lists, page.PhraseListForm{Name: l.Name, Title: l.Label, Label: l.Label, Phrases: strings.Join(l.Phrases, "\n"),
			Intents: strings.Join(l.Intents, ", "), Used: used, InUse: n > 0})
	}
	if amend != nil {
		amend(&v)
	}
	return s.page(c, status, page.Phrases(v))
}

// uses counts the rules that speak of a phrase list.
func uses(set routing.Set, name string) int {
	var names func(c routing.Condition) bool
	names = func(c routing.Condition) bool {
		return slices.Contains(c.Lists, name) || slices.ContainsFunc(slices.Concat(c.All, c.Any, c.None), names)
	}
	n := 0
	for _, r := range set.Rules {
		if names(r.When) || slices.ContainsFunc(r.Then, func(o routing.Outcome) bool { return o.If != nil && names(*o.If) }) {
			n++
		}
	}
	return n
}

// savePhrases saves, deletes or adds one list.
func (s *Server) savePhrases(c echo.Context) error {
	name := c.Param("name")
	list := routing.PhraseList{Name: name, Label: strings.TrimSpace(c.FormValue("label")),
		Phrases: textLines(c.FormValue("phrases")), Intents: commas(c.FormValue("intents"))}
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		if name == "" {
			list.Name = "list-" + uuid.Must(uuid.NewV7()).String()
			if list.Label == "" || len(list.Phrases) == 0 {
				return "", fault.New(fault.Invalid, "A list needs a name and at least one phrase.")
			}
			set.Phrases = append(set.Phrases, list)
			return "Phrase list “" + list.Label + "” added", nil
		}
		i := slices.IndexFunc(set.Phrases, func(l routing.PhraseList) bool { return l.Name == name })
		if i < 0 {
			return "", fault.New(fault.NotFound, "There is no such list.")
		}
		if c.FormValue("act") == "delete" {
			if uses(*set, name) > 0 {
				return "", fault.New(fault.Conflict, "A rule uses this list. Change the rule first.")
			}
			label := set.Phrases[i].Label
			set.Phrases = slices.Delete(set.Phrases, i, i+1)
			return "Phrase list “" + label + "” deleted", nil
		}
		set.Phrases[i] = list
		return "Phrase list “" + list.Label + "” changed", nil
	})
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		draft, readErr := s.draft(c)
		if readErr != nil {
			return readErr
		}
		return s.phrasesPage(c, statusOf(err), draft, func(v *page.PhrasesView) {
			v.Problem = fault.SentenceOf(err)
			form := &v.New // a list that somebody has deleted meanwhile is a new one
			if i := slices.IndexFunc(v.Lists, func(l page.PhraseListForm) bool { return l.Name == name }); i >= 0 {
				form = &v.Lists[i]
			}
			form.Label, form.Phrases, form.Intents = c.FormValue("label"), c.FormValue("phrases"), c.FormValue("intents")
		})
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules/phrases", "Phrases saved in the draft.")
}
