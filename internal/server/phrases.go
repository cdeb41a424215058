package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// phrases shows the phrase lists, and which of them hear the sentence that ?say= holds.
func (s *Server) phrases(c echo.Context) error {
	return s.showPhrases(c, http.StatusOK, nil)
}

// showPhrases shows the lists as they stand in the draft; amend adds what somebody typed and what is wrong with it.
func (s *Server) showPhrases(c echo.Context, status int, amend func(*page.PhrasesView)) error {
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	set := draft.Rules
	v := page.PhrasesView{Frame: s.frame(c, "Phrases", "rules"), Edits: memberOf(c).Can(account.Configure), Revision: draft.Revision, Say: c.QueryParam("say")}
	for _, l := range set.Phrases {
		form := page.PhraseListForm{Name: l.Name, Label: l.Label, Intents: l.Intents, Open: c.FormValue("list") == l.Name}
		form.Phrases, form.Except, form.More = shownPhrases(l, form.Open)
		for _, r := range usersOfList(set, l.Name) {
			form.Used = append(form.Used, ui.LinkProps{Label: r.Name, Href: "/rules/" + r.ID})
		}
		v.Lists = append(v.Lists, form)
	}
	if strings.TrimSpace(v.Say) != "" {
		v.Heard = heard(set, v.Say)
	}
	if amend != nil {
		amend(&v)
	}
	return s.page(c, status, page.Phrases(v))
}

// firstPhrases is how many of Hookline's own phrases a list shows before it is opened, plain ones: there are hundreds, and
// those with alternatives are hard to read.
const firstPhrases = 12

// shownPhrases are the phrases of a list that the page shows, those that take words out apart, and how many it does not
// show. What people added is always shown, and first.
func shownPhrases(l routing.PhraseList, open bool) (phrases, except []string, more int) {
	ours := map[string]bool{}
	for _, d := range routing.DefaultPhrases() {
		if d.Name == l.Name {
			for _, p := range d.Phrases {
				ours[p] = true
			}
		}
	}
	isOurs := func(p string) bool { return ours[p] }
	isOwn := func(p string) bool { return !ours[p] }
	shown := 0
	for _, p := range slices.Concat(slices.DeleteFunc(slices.Clone(l.Phrases), isOurs), slices.DeleteFunc(slices.Clone(l.Phrases), isOwn)) {
		out := routing.IsExcept(p)
		switch {
		case !open && ours[p] && (out || shown >= firstPhrases || strings.ContainsAny(p, "|…")):
			more++
			continue
		case out:
			except = append(except, p)
			continue
		case ours[p]:
			shown++
		}
		phrases = append(phrases, p)
	}
	return phrases, except, more
}

// usersOfList are the rules that speak of a phrase list.
func usersOfList(set routing.Set, name string) []routing.Rule {
	var names func(c routing.Condition) bool
	names = func(c routing.Condition) bool {
		return slices.Contains(c.Lists, name) || slices.ContainsFunc(slices.Concat(c.All, c.Any, c.None), names)
	}
	var out []routing.Rule
	for _, r := range set.Rules {
		if names(r.When) || slices.ContainsFunc(r.Then, func(o routing.Outcome) bool { return o.If != nil && names(*o.If) }) {
			out = append(out, r)
		}
	}
	return out
}

// heard asks each list whether it hears a sentence of the caller, as a rule would.
func heard(set routing.Set, sentence string) []page.HeardBy {
	ask := routing.Set{Phrases: set.Phrases}
	for _, l := range set.Phrases {
		ask.Rules = append(ask.Rules, routing.Rule{ID: l.Name, Name: l.Label, When: routing.Condition{Field: routing.FieldSaid, Op: routing.Says, Lists: []string{l.Name}}})
	}
	d := routing.Decide(ask, routing.Facts{Call: call.Call{Transcript: []call.Turn{{Role: call.Caller, Text: clipped(sentence, 2000)}}}})
	var hears, not []page.HeardBy
	for _, r := range d.Trace.Rules {
		h := page.HeardBy{Label: r.Name, Name: r.ID, Hears: r.Fits, Why: r.Check.Saw}
		switch {
		case h.Hears:
			hears = append(hears, h)
		case len(r.Check.Quotes) > 0: // negated
			not = append(not, h)
		}
	}
	return append(hears, not...)
}

// savePhrases changes one list by one of its buttons, or adds one.
func (s *Server) savePhrases(c echo.Context) error {
	name := c.Param("name")
	what := ""
	draft, err := s.changeRules(c, func(set *routing.Set) (string, error) {
		var err error
		if name == "" {
			what, err = addList(set, c.FormValue("label"), textLines(c.FormValue("phrases")), commas(c.FormValue("intents")))
			return what, err
		}
		i := slices.IndexFunc(set.Phrases, func(l routing.PhraseList) bool { return l.Name == name })
		if i < 0 {
			return "", fault.New(fault.NotFound, "There is no such list.")
		}
		what, err = changeList(set, i, c)
		return what, err
	})
	kind := fault.KindOf(err)
	switch {
	case err == nil:
	case kind != fault.Invalid && kind != fault.Conflict:
		return err
	default:
		return s.showPhrases(c, statusOf(err), func(v *page.PhrasesView) { giveBack(v, c, name, err) })
	}
	if what == "" {
		return s.seeOther(c, "/rules/phrases", "")
	}
	back := "/rules/phrases"
	if c.FormValue("list") == name && name != "" {
		back += "?list=" + url.QueryEscape(name)
	}
	return s.seeOtherUndo(c, back+"#list-"+name, what+" in the draft.", draft)
}

// giveBack puts what was typed back on the page, with why it was not kept.
func giveBack(v *page.PhrasesView, c echo.Context, name string, err error) {
	v.Problem = fault.SentenceOf(err)
	if clash, ok := errors.AsType[*config.Conflict](err); ok {
		v.Conflict = conflictOf(clash)
	}
	if i := slices.IndexFunc(v.Lists, func(l page.PhraseListForm) bool { return l.Name == name }); i >= 0 {
		v.Lists[i].Typed, v.Lists[i].TypedIntent = c.FormValue("new"), c.FormValue("intent")
		return
	}
	// A list that somebody has deleted meanwhile is a new one.
	v.New = page.NewPhraseList{Label: c.FormValue("label"), Phrases: c.FormValue("phrases") + c.FormValue("new"), Intents: c.FormValue("intents")}
}

func addList(set *routing.Set, label string, phrases, intents []string) (string, error) {
	label = strings.TrimSpace(label)
	if label == "" || len(phrases) == 0 {
		return "", fault.New(fault.Invalid, "A list needs a name and at least one phrase.")
	}
	set.Phrases = append(set.Phrases, routing.PhraseList{Name: "list-" + uuid.Must(uuid.NewV7()).String(), Label: label, Phrases: phrases, Intents: intents})
	return "Phrase list " + named(label) + " added", nil
}

// changeList does what a button of a list says. Nothing is said where nothing changes.
func changeList(set *routing.Set, i int, c echo.Context) (string, error) {
	l := &set.Phrases[i]
	if gone := c.FormValue("drop"); gone != "" {
		return dropText(&l.Phrases, gone, l.Label), nil
	}
	if gone := c.FormValue("drop-intent"); gone != "" {
		return dropText(&l.Intents, gone, l.Label), nil
	}
	switch c.FormValue("act") {
	case "delete":
		if len(usersOfList(*set, l.Name)) > 0 {
			return "", fault.New(fault.Conflict, "A rule uses this list. Change the rule first.")
		}
		label := l.Label
		set.Phrases = slices.Delete(set.Phrases, i, i+1)
		return "Phrase list " + named(label) + " deleted", nil
	case "rename":
		label := strings.TrimSpace(c.FormValue("label"))
		if label == "" {
			return "", fault.New(fault.Invalid, "A list needs a name.")
		}
		if label == l.Label {
			return "", nil
		}
		was := l.Label
		l.Label = label
		return fmt.Sprintf("Phrase list %s is now named %s", named(was), named(label)), nil
	}
	return addTexts(l, c.FormValue("new"), c.FormValue("intent")), nil
}

func dropText(texts *[]string, gone, label string) string {
	at := slices.Index(*texts, gone)
	if at < 0 {
		return ""
	}
	*texts = slices.Delete(slices.Clone(*texts), at, at+1)
	return named(gone) + " removed from the " + clipped(label, 60)
}

// addTexts adds phrases and intents that the list lacks; several stand between commas or on lines of their own.
func addTexts(l *routing.PhraseList, phrases, intents string) string {
	var added []string
	add := func(to *[]string, typed string) {
		for _, one := range commas(strings.ReplaceAll(typed, "\n", ",")) {
			if !slices.ContainsFunc(*to, func(had string) bool { return strings.EqualFold(had, one) }) {
				*to, added = append(slices.Clone(*to), one), append(added, named(one))
			}
		}
	}
	add(&l.Phrases, phrases)
	add(&l.Intents, intents)
	if len(added) == 0 {
		return ""
	}
	return clipped(strings.Join(added, ", "), 150) + " added to the " + clipped(l.Label, 60)
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
