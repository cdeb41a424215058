package server

import (
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

// newRule shows an empty form.
func (s *Server) newRule(c echo.Context) error { return s.ruleForm(c, "") }

// rule shows the form of one rule, or asks whether to delete it.
func (s *Server) rule(c echo.Context) error { return s.ruleForm(c, c.Param("id")) }

func (s *Server) ruleForm(c echo.Context, id string) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	r := routing.Rule{}
	if id != "" {
		i, err := ruleAt(&draft.Rules, id)
		if err != nil {
			return err
		}
		r = draft.Rules.Rules[i]
	}
	v := ruleFormOf(r)
	v.Revision = draft.Revision
	return s.showRule(c, http.StatusOK, v, draft)
}

// showRule shows a form with its menus.
func (s *Server) showRule(c echo.Context, status int, v page.RuleForm, draft config.Draft) error {
	v.Frame, v.Edits = s.frame(c, v.Name, "rules"), memberOf(c).Can(account.Configure)
	if v.Name == "" {
		v.Frame.Title = "New rule"
	}
	menus, err := s.ruleMenus(c, draft.Rules, does(v, routing.SetOwner))
	if err != nil {
		return err
	}
	menus.dress(&v)
	return s.page(c, status, page.Rule(v))
}

// ruleMenus reads what a rule's form can offer. Owners are asked for only where one is to be chosen.
func (s *Server) ruleMenus(c echo.Context, set routing.Set, owners bool) (ruleMenus, error) {
	m := ruleMenus{set: set}
	known, err := s.Zoho.Known(ctx(c), tenantOf(c))
	if err != nil {
		return m, err
	}
	m.metadata = known
	for _, p := range known["Deals"].Pipelines {
		for _, st := range p.Stages {
			if !slices.Contains(m.stages, st.Name) {
				m.stages = append(m.stages, st.Name)
			}
		}
	}
	if owners {
		m.owners = s.recordOwners(c)
	}
	sources, err := s.Sources.List(ctx(c), tenantOf(c))
	for _, one := range sources {
		m.sources = append(m.sources, one.Name)
	}
	return m, err
}

// saveRule takes the form of a rule: it saves it, or gives it back as a button changed it.
func (s *Server) saveRule(c echo.Context) error {
	revision, err := formRevision(c)
	if err != nil {
		return err
	}
	v, err := postedRule(c, c.Param("id"))
	if err != nil {
		return err
	}
	v.Revision = revision
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	if c.FormValue("act") != "save" {
		form, err := c.FormParams()
		if err != nil {
			return err
		}
		if act := c.FormValue("act"); act != "preview" {
			v.Added = ""
		}
		actOnForm(&v, form)
		return s.showRule(c, http.StatusOK, v, draft)
	}
	v.Added = ""
	var stored config.Draft
	r, err := ruleOf(v)
	if err == nil {
		stored, err = s.storeRule(c, r)
	}
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Conflict) {
		if clash, ok := errors.AsType[*config.Conflict](err); ok {
			v.Conflict = conflictOf(clash)
			v.Revision = clash.Now // saved again, it is meant
			if !hasRule(draft.Rules, v.ID) {
				v.ID = "" // somebody has deleted it: saved again, it is a rule of its own
			}
		} else {
			v.Problems[""] = fault.SentenceOf(err)
		}
		if r.Name == "" {
			v.Problems["name"] = "Give the rule a name."
		}
		return s.showRule(c, statusOf(err), v, draft)
	}
	if err != nil {
		return err
	}
	return s.seeOtherUndo(c, "/rules", "Rule saved in the draft. Publish it to make it live.", stored)
}

// storeRule puts a rule into the draft. A new one goes to the top, below the rules that keep calls out of Zoho: under the
// one for new callers it could never fire.
func (s *Server) storeRule(c echo.Context, r routing.Rule) (config.Draft, error) {
	return s.changeRules(c, func(set *routing.Set) (string, error) {
		if r.ID == "" {
			r.ID = uuid.Must(uuid.NewV7()).String()
			set.Rules = slices.Insert(set.Rules, firstPlace(*set), r)
			return named(r.Name) + " added", nil
		}
		i, err := ruleAt(set, r.ID)
		if err != nil {
			return "", err
		}
		r.Off = set.Rules[i].Off
		set.Rules[i] = r
		return named(r.Name) + " changed", nil
	})
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

// conflictOf shows both sides of an edit that met another's.
func conflictOf(c *config.Conflict) *page.Conflict {
	out := &page.Conflict{By: c.By}
	for _, clash := range c.Clashes {
		out.Sides = append(out.Sides, page.ConflictSides{What: clash.What, Mine: clash.Mine, Theirs: clash.Theirs})
	}
	return out
}
