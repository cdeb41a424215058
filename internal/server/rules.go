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
		set, err := routing.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		v.Version = set.Version
		if v.Saved, err = s.rulesSaved(c, tx); err != nil {
			return err
		}
		facts, chosen, calls, err := exampleOf(c, tx, m.Tenant, s.Now(), c.QueryParam("call"))
		if err != nil {
			return err
		}
		v.Calls, v.Call = calls, chosen
		v.Rules = ruleRows(set)
		for i, r := range set.Rules {
			v.Rules[i].Gone = goneStage(r, known["Deals"].Pipelines)
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

// rulesSaved says in a line who made the rules what they are.
func (s *Server) rulesSaved(c echo.Context, tx pgx.Tx) (string, error) {
	versions, err := routing.Versions(ctx(c), tx, tenantOf(c), 1)
	if err != nil || len(versions) == 0 {
		return "These are the rules that every workspace starts with.", err
	}
	v := versions[0]
	return "Version " + strconv.Itoa(v.Number) + ", saved by " + v.By + " " + moment(v.At, s.Now(), memberOf(c).Tenant.Zone).Text + ".", nil
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

// changeRules saves the tenant's rules as change makes them, on the version that the form was made from.
func (s *Server) changeRules(c echo.Context, change func(set *routing.Set) (note string, err error)) error {
	base, err := strconv.Atoi(c.FormValue("version"))
	if err != nil {
		return fault.New(fault.Invalid, "The form is not complete. Go back and reload the page.")
	}
	m := memberOf(c)
	return s.inTenant(c, func(tx pgx.Tx) error {
		set, err := routing.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		note, err := change(&set)
		if err != nil && set.Version == base {
			return err
		}
		// On another version than the form's, Save says who was first, whatever else is wrong.
		n, err := routing.Save(ctx(c), tx, m.Tenant.ID, m.Email, base, set, note)
		if err != nil {
			return err
		}
		return account.Audit(ctx(c), tx, m.Tenant.ID, m.Email, "rules.saved", "version "+strconv.Itoa(n), map[string]any{"note": note})
	})
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
	return s.seeOther(c, "/rules#rule-"+c.Param("id"), "Moved. The next call follows the new order.")
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
	return s.seeOther(c, "/rules#rule-"+c.Param("id"), "Switched "+word+".")
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
	return s.seeOther(c, "/rules", "Rule deleted. An earlier version can be made live again.")
}

// newRule shows an empty form.
func (s *Server) newRule(c echo.Context) error { return s.ruleForm(c, "") }

// rule shows the form of one rule, or asks whether to delete it.
func (s *Server) rule(c echo.Context) error { return s.ruleForm(c, c.Param("id")) }

func (s *Server) ruleForm(c echo.Context, id string) error {
	set, err := s.liveRules(c)
	if err != nil {
		return err
	}
	r := routing.Rule{When: routing.Condition{All: []routing.Condition{}}}
	if id != "" {
		i, err := ruleAt(&set, id)
		if err != nil {
			return err
		}
		r = set.Rules[i]
	}
	v := ruleFormOf(r, set)
	s.dressRuleForm(c, &v, set)
	known, err := s.Zoho.Known(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	if gone := goneStage(r, known["Deals"].Pipelines); gone != "" {
		v.Problems = page.Problems{"stage": gone}
	}
	if id != "" {
		v.Sentence = "When " + routing.Sentence(r.When, set.Lists()) + " → " + routing.Does(r.Then, set.Lists()) + "."
		if c.QueryParam("confirm") == "delete" && v.Edits {
			v.Asks = &ui.DialogProps{
				ID: "delete", Title: "Delete “" + r.Name + "”?", Action: "/rules/" + id + "/delete", Submit: "Delete the rule", Danger: true, Cancel: "/rules/" + id,
				Text:   "Calls that it decided keep their story. Calls to come go on to the next rule that fits.",
				Hidden: map[string]string{"version": strconv.Itoa(set.Version)},
			}
		}
	}
	return s.page(c, http.StatusOK, page.Rule(v))
}

func (s *Server) liveRules(c echo.Context) (set routing.Set, err error) {
	err = s.inTenant(c, func(tx pgx.Tx) error {
		set, err = routing.Live(ctx(c), tx, tenantOf(c))
		return err
	})
	return set, err
}

// dressRuleForm fills in what is no part of the rule: the frame, and what can be chosen.
func (s *Server) dressRuleForm(c echo.Context, v *page.RuleForm, set routing.Set) {
	v.Frame, v.Edits, v.Version = s.frame(c, v.Name, "rules"), memberOf(c).Can(account.Configure), set.Version
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
	var before routing.Set
	var form page.RuleForm
	var owners []ui.Option
	if c.FormValue("owner") != "" {
		owners = s.recordOwners(c)
	}
	err := s.changeRules(c, func(set *routing.Set) (string, error) {
		before = routing.Set{Version: set.Version, Rules: slices.Clone(set.Rules), Phrases: set.Phrases}
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
		s.dressRuleForm(c, &form, before)
		return s.page(c, statusOf(err), page.Rule(form))
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/rules", "Rule saved. The next call follows it.")
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
	set, err := s.liveRules(c)
	if err != nil {
		return err
	}
	return s.phrasesPage(c, http.StatusOK, set, nil)
}

func (s *Server) phrasesPage(c echo.Context, status int, set routing.Set, amend func(*page.PhrasesView)) error {
	v := page.PhrasesView{Frame: s.frame(c, "Phrases", "rules"), Edits: memberOf(c).Can(account.Configure), Version: set.Version}
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
		set, readErr := s.liveRules(c)
		if readErr != nil {
			return readErr
		}
		return s.phrasesPage(c, statusOf(err), set, func(v *page.PhrasesView) {
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
	return s.seeOther(c, "/rules/phrases", "Phrases saved.")
}

// ruleVersions lists what was saved.
func (s *Server) ruleVersions(c echo.Context) error {
	m := memberOf(c)
	v := page.VersionsView{Frame: s.frame(c, "Versions of the rules", "rules"), Edits: m.Can(account.Configure), Of: "rules"}
	err := s.inTenant(c, func(tx pgx.Tx) error {
		versions, err := routing.Versions(ctx(c), tx, m.Tenant.ID, 100)
		for _, one := range versions {
			v.Versions = append(v.Versions, page.VersionRow{Number: one.Number, Name: "Version " + strconv.Itoa(one.Number), By: one.By, Note: one.Note,
				When: moment(one.At, s.Now(), m.Tenant.Zone)})
		}
		return err
	})
	if err != nil {
		return err
	}
	withDefaults(&v)
	return s.page(c, http.StatusOK, page.Versions(v))
}

// withDefaults adds the defaults below the saved versions and marks the newest as live.
func withDefaults(v *page.VersionsView) {
	v.Versions = append(v.Versions, page.VersionRow{Name: "The defaults", Note: "What every workspace starts with", By: "Hookline"})
	v.Versions[0].Live = true
	v.Base = v.Versions[0].Number
}

// restoreRules makes an older version live again, as the newest; 0 is the defaults.
func (s *Server) restoreRules(c echo.Context) error {
	n, err := strconv.Atoi(c.Param("n"))
	if err != nil || n < 0 {
		return fault.New(fault.NotFound, "There is no such version.")
	}
	m := memberOf(c)
	var old routing.Set
	if err := s.inTenant(c, func(tx pgx.Tx) error {
		old, err = routing.At(ctx(c), tx, m.Tenant.ID, n)
		return err
	}); err != nil {
		return err
	}
	what := "version " + strconv.Itoa(n)
	if n == 0 {
		what = "the defaults"
	}
	if err := s.changeRules(c, func(set *routing.Set) (string, error) {
		*set = old
		return "Back to " + what, nil
	}); err != nil {
		return err
	}
	return s.seeOther(c, "/rules", "Back to "+what+". The next call follows it.")
}
