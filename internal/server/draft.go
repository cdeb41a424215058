package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/web/page"
	"hookline/web/ui"
)

// draft reads what people edit.
func (s *Server) draft(c echo.Context) (d config.Draft, err error) {
	err = s.inTenant(c, func(tx pgx.Tx) error {
		d, err = config.ReadDraft(ctx(c), tx, tenantOf(c))
		return err
	})
	return d, err
}

// liveConfig reads what the next call follows.
func (s *Server) liveConfig(c echo.Context) (set config.Set, err error) {
	err = s.inTenant(c, func(tx pgx.Tx) error {
		set, err = config.Live(ctx(c), tx, tenantOf(c))
		return err
	})
	return set, err
}

// editDraft changes the draft, on the revision that the form was made from.
func (s *Server) editDraft(c echo.Context, change config.Change) error {
	on, err := formRevision(c)
	if err != nil {
		return err
	}
	return s.inTenant(c, func(tx pgx.Tx) error {
		_, err := config.EditDraft(ctx(c), tx, tenantOf(c), memberOf(c).Email, on, change)
		return err
	})
}

// formRevision is the revision of the draft that a form was made from.
func formRevision(c echo.Context) (int, error) {
	n, ok := ordinal(c.FormValue("revision"))
	if !ok {
		return 0, fault.New(fault.Invalid, "The form is not complete. Go back and reload the page.")
	}
	return n, nil
}

// ordinal reads the number of a version or of a revision; nothing counts further than a column that holds one.
func ordinal(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

// undoPath is where the last edit of the draft is taken back.
const undoPath = "/draft/undo"

// seeOtherUndo leads on after an edit that gave the draft d, with a toast that can take it back. An edit that came to
// nothing, because the draft says that already, has nothing of its own to take back.
func (s *Server) seeOtherUndo(c echo.Context, path, toast string, d config.Draft) error {
	if !d.Edited {
		return s.seeOther(c, path, "Nothing was changed.")
	}
	back := path
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		back = path[:i]
	}
	return s.seeOtherWith(c, path, ui.ToastProps{Text: toast, Undo: undoPath, Hidden: map[string]string{"revision": strconv.Itoa(d.Revision), "back": back}})
}

// pageBefore is the page that an undo or a discard leads back to.
func pageBefore(c echo.Context) string {
	if back := c.FormValue("back"); back == "/rules" || back == "/rules/phrases" {
		return back
	}
	return "/draft"
}

// draftBar sums up what is live and what is not yet.
func (s *Server) draftBar(c echo.Context, tx pgx.Tx, d config.Draft) (page.DraftBar, error) {
	m := memberOf(c)
	v := page.DraftBar{Live: "What is live is what every workspace starts with.", Open: d.Open, Revision: d.Revision, Undoable: d.Undoable, Edits: m.Can(account.Configure)}
	versions, err := config.Versions(ctx(c), tx, m.Tenant.ID, 0, 1)
	if err != nil {
		return v, err
	}
	if len(versions) > 0 {
		v.Live = fmt.Sprintf("Version %d is live, published by %s %s.", versions[0].Number, versions[0].By, moment(versions[0].At, s.Now(), m.Tenant.Zone).Text)
	}
	if !d.Open {
		return v, nil
	}
	live, err := config.Live(ctx(c), tx, m.Tenant.ID)
	if err != nil {
		return v, err
	}
	v.Changes = len(config.Diff(live, d.Set))
	edits, err := config.Edits(ctx(c), tx, m.Tenant.ID, d.Revision-1, 1)
	if err == nil && len(edits) > 0 {
		v.Last = fmt.Sprintf("Last: %s, by %s %s", edits[0].What, edits[0].By, moment(edits[0].At, s.Now(), m.Tenant.Zone).Text)
	}
	return v, err
}

// draftPage shows what is not live yet.
func (s *Server) draftPage(c echo.Context) error {
	return s.showDraft(c, http.StatusOK, page.DraftView{})
}

// showDraft completes v: a question, or what somebody typed.
func (s *Server) showDraft(c echo.Context, status int, v page.DraftView) error {
	m := memberOf(c)
	v.Frame = s.frame(c, "Draft", "rules")
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		d, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		if v.Bar, err = s.draftBar(c, tx, d); err != nil {
			return err
		}
		live, err := config.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		v.Groups = draftGroups(config.Diff(live, d.Set), d.Set)
		for _, p := range config.Blocking(config.Check(d.Set, known)) {
			v.Problems = append(v.Problems, draftProblem(p))
		}
		if v.Backtest, err = s.backtestView(c, tx, d, live); err != nil {
			return err
		}
		edits, err := config.Edits(ctx(c), tx, m.Tenant.ID, 0, 50)
		for _, e := range edits {
			v.Edits = append(v.Edits, page.EditRow{What: e.What, By: e.By, When: moment(e.At, s.Now(), m.Tenant.Zone)})
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.page(c, status, page.Draft(v))
}

// draftGroups are the differences by what they are about, each with the place where it is edited.
func draftGroups(differences []config.Difference, now config.Set) []page.DraftGroup {
	groups := []page.DraftGroup{{Title: "Rules"}, {Title: "Phrases"}, {Title: "Mapping"}}
	for _, d := range differences {
		line := page.DraftLine{Sentence: d.Sentence}
		at := 0
		switch d.Of {
		case config.OfRule:
			line.Href, line.Label = "/rules", "the rules"
			if i := slices.IndexFunc(now.Rules.Rules, func(r routing.Rule) bool { return r.ID == d.ID }); i >= 0 {
				line.Href, line.Label = "/rules/"+url.PathEscape(d.ID), "the rule “"+now.Rules.Rules[i].Name+"”"
			}
		case config.OfPhrases:
			at, line.Href, line.Label = 1, "/rules/phrases", "the phrase lists"
		default:
			at, line.Href, line.Label = 2, rowHref(d.ID, d.Field), "the mapping of "+d.ID
		}
		groups[at].Lines = append(groups[at].Lines, line)
	}
	return slices.DeleteFunc(groups, func(g page.DraftGroup) bool { return len(g.Lines) == 0 })
}

// rowHref is where a field's row is edited.
func rowHref(module, field string) string {
	href := "/mapping/" + url.PathEscape(module)
	if field != "" {
		href += "#field-" + url.PathEscape(field)
	}
	return href
}

func draftProblem(p config.Problem) page.DraftProblem {
	v := page.DraftProblem{Sentence: p.Sentence, Href: rowHref(p.ID, p.Field), Label: "Mend it in the mapping of " + p.ID}
	if p.Of == config.OfRule {
		v.Href, v.Label = "/rules/"+url.PathEscape(p.ID), "Mend the rule “"+p.Name+"”"
	}
	return v
}

// publishDraft makes the draft live, or asks what it must know before.
func (s *Server) publishDraft(c echo.Context) error {
	revision, err := formRevision(c)
	if err != nil {
		return err
	}
	m := memberOf(c)
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	p := config.Publication{Actor: m.Email, Revision: revision, Why: c.FormValue("why"), Untested: c.FormValue("untested") != "", Despite: c.FormValue("despite") != ""}
	var made config.Version
	err = s.inTenant(c, func(tx pgx.Tx) error {
		if p.Tested, err = testedBy(ctx(c), tx, m.Tenant.ID, revision); err != nil {
			return err
		}
		made, err = config.Publish(ctx(c), tx, m.Tenant.ID, p, mapping.Metadata(known))
		return err
	})
	ask := &ui.DialogProps{ID: "publish", Action: "/draft/publish", Text: fault.SentenceOf(err), Cancel: "/draft",
		Hidden: map[string]string{"revision": strconv.Itoa(revision), "why": p.Why, "untested": c.FormValue("untested"), "despite": c.FormValue("despite")}}
	switch {
	case errors.Is(err, config.ErrUntested):
		ask.Title, ask.Submit = "Publish without a backtest?", "Publish without it"
		ask.Hidden["untested"] = "1"
		return s.showDraft(c, http.StatusConflict, page.DraftView{Why: p.Why, Asks: ask})
	case errors.Is(err, config.ErrRefused):
		ask.Title, ask.Submit, ask.Danger = "Publish all the same?", "Publish all the same", true
		ask.Hidden["despite"] = "1"
		return s.showDraft(c, http.StatusConflict, page.DraftView{Why: p.Why, Asks: ask})
	case fault.FieldOf(err) == "why":
		return s.showDraft(c, http.StatusUnprocessableEntity, page.DraftView{Why: p.Why, WhyFault: fault.SentenceOf(err)})
	case err != nil:
		return err
	}
	return s.seeOther(c, "/versions", fmt.Sprintf("Version %d is live. The next call follows it.", made.Number))
}

// undoDraft takes the last edit back.
func (s *Server) undoDraft(c echo.Context) error {
	return s.turnDraft(c, config.Undo, "Taken back.")
}

// discardDraft drops all that is not live.
func (s *Server) discardDraft(c echo.Context) error {
	return s.turnDraft(c, config.Discard, "The draft is discarded. Undo brings it back.")
}

func (s *Server) turnDraft(c echo.Context, turn func(context.Context, pgx.Tx, tenant.ID, string, int) (config.Draft, error), done string) error {
	revision, err := formRevision(c)
	if err != nil {
		return err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error {
		_, err := turn(ctx(c), tx, tenantOf(c), memberOf(c).Email, revision)
		return err
	})
	if err != nil {
		return err
	}
	return s.seeOther(c, pageBefore(c), done)
}
