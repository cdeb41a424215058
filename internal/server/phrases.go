package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
)

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

// textLines are the lines of a text area that hold something.
func textLines(text string) []string { return parts(text, "\n") }

// commas are the parts of a line between commas.
func commas(text string) []string { return parts(text, ",") }

func parts(text, sep string) []string {
	var out []string
	for _, p := range strings.Split(text, sep) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}
