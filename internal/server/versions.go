package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// versionsPage is how many versions a page of them lists.
const versionsPage = 20

// versions lists what was published.
func (s *Server) versions(c echo.Context) error { return s.showVersions(c, http.StatusOK, nil) }

func (s *Server) showVersions(c echo.Context, status int, asks *ui.DialogProps) error {
	m := memberOf(c)
	before, _ := ordinal(c.QueryParam("before"))
	v := page.VersionsView{Frame: s.frame(c, "Versions", "rules"), Edits: m.Can(account.Configure), Asks: asks}
	err := s.inTenant(c, func(tx pgx.Tx) error {
		live, err := config.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		v.Live = live.Version
		versions, err := config.Versions(ctx(c), tx, m.Tenant.ID, before, versionsPage+1)
		if err != nil {
			return err
		}
		for _, one := range versions[:min(versionsPage, len(versions))] {
			v.Versions = append(v.Versions, s.versionRow(m, one, live.Version))
		}
		if len(versions) > versionsPage {
			v.Older = "/versions?before=" + strconv.Itoa(versions[versionsPage-1].Number)
		} else {
			v.Versions = append(v.Versions, s.versionRow(m, config.Version{}, live.Version))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if before > 0 {
		v.Newest = "/versions"
	}
	return s.page(c, status, page.Versions(v))
}

// versionRow sums a version up; 0 is what every workspace starts with.
func (s *Server) versionRow(m account.Member, v config.Version, live int) page.VersionRow {
	if v.Number == 0 {
		return page.VersionRow{Name: versionName(0), Href: versionHref(0), Why: "What every workspace starts with", By: "Hookline", Live: live == 0}
	}
	row := page.VersionRow{Number: v.Number, Name: versionName(v.Number), Href: versionHref(v.Number), By: v.By, Why: v.Why, Changes: v.Changes,
		When: moment(v.At, s.Now(), m.Tenant.Zone), Live: v.Number == live, Tested: "Published without a backtest."}
	if t := v.Tested; t != nil {
		row.Tested = fmt.Sprintf("Published on a backtest of %s: %s changed, %s more would fail.", count(t.Calls, "call", "calls"), thousands(t.Changed), thousands(t.Failing))
	}
	return row
}

// versionName is how people call a version.
func versionName(n int) string {
	if n == 0 {
		return "The defaults"
	}
	return "Version " + strconv.Itoa(n)
}

// inSentence is versionName within a sentence.
func inSentence(n int) string {
	if n == 0 {
		return "the defaults"
	}
	return "version " + strconv.Itoa(n)
}

func versionHref(n int) string { return "/versions/" + strconv.Itoa(n) }

var errNoVersion = fault.New(fault.NotFound, "There is no such version.")

// versionOf reads the version that the address names: what it says, and how it came about.
func (s *Server) versionOf(c echo.Context, tx pgx.Tx) (config.Set, config.Version, error) {
	n, ok := ordinal(c.Param("n"))
	if !ok {
		return config.Set{}, config.Version{}, errNoVersion
	}
	set, err := config.At(ctx(c), tx, tenantOf(c), n)
	if err != nil || n == 0 {
		return set, config.Version{}, err
	}
	found, err := config.Versions(ctx(c), tx, tenantOf(c), n+1, 1)
	if err != nil {
		return set, config.Version{}, err
	}
	return set, found[0], nil
}

// version shows one version whole.
func (s *Server) version(c echo.Context) error {
	m := memberOf(c)
	var v page.VersionView
	err := s.inTenant(c, func(tx pgx.Tx) error {
		set, about, err := s.versionOf(c, tx)
		if err != nil {
			return err
		}
		live, err := config.Live(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		v = page.VersionView{VersionRow: s.versionRow(m, about, live.Version), Edits: m.Can(account.Configure), LiveNumber: live.Version,
			Back: config.Sentences(config.Diff(live, set)), Rules: ruleSentences(set.Rules), Modules: mappingLines(set.Mappings)}
		if about.Number > 0 {
			v.Before = inSentence(about.Number - 1)
		}
		for _, l := range set.Rules.Phrases {
			v.Phrases = append(v.Phrases, ui.KV{Key: l.Label, Value: listed(l.Phrases)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.Frame = s.frame(c, v.Name, "rules")
	return s.page(c, http.StatusOK, page.Version(v))
}

func listed(texts []string) string {
	var b bytes.Buffer
	for i, t := range texts {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t)
	}
	return b.String()
}

// ruleSentences are a set's rules as the Rules page says them.
func ruleSentences(set routing.Set) []page.VersionRule {
	var out []page.VersionRule
	lists := set.Lists()
	for _, r := range set.Rules {
		out = append(out, page.VersionRule{Name: r.Name, When: routing.Sentence(r.When, lists), Then: routing.Does(r.Then, lists), Off: r.Off})
	}
	return out
}

// mappingLines are a set's mappings, module by module, those that have rows.
func mappingLines(set mapping.Set) []page.VersionModule {
	var out []page.VersionModule
	for _, d := range config.Diff(config.Set{}, config.Set{Mappings: set}) {
		if len(out) == 0 || out[len(out)-1].Name != d.ID {
			out = append(out, page.VersionModule{Name: d.ID})
		}
		last := &out[len(out)-1]
		last.Rows = append(last.Rows, ui.KV{Key: d.Field, Value: d.After, Mono: true})
	}
	return out
}

// versionFile is a version's document, as `hookline rules export` writes it.
func (s *Server) versionFile(c echo.Context) error {
	var set config.Set
	err := s.inTenant(c, func(tx pgx.Tx) (err error) {
		set, _, err = s.versionOf(c, tx)
		return err
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(documentOf(set)); err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="hookline-rules-%d.json"`, set.Version))
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, b.Bytes())
}

// restoreVersion makes an older version, or the defaults (0), live again.
func (s *Server) restoreVersion(c echo.Context) error {
	n, ok := ordinal(c.Param("n"))
	if !ok {
		return errNoVersion
	}
	live, ok := ordinal(c.FormValue("live"))
	if !ok {
		return fault.New(fault.Invalid, "The form is not complete. Go back and reload the page.")
	}
	m := memberOf(c)
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	var made config.Version
	err = s.inTenant(c, func(tx pgx.Tx) error {
		made, err = config.Rollback(ctx(c), tx, m.Tenant.ID, m.Email, live, n, c.FormValue("despite") != "", mapping.Metadata(known))
		return err
	})
	if errors.Is(err, config.ErrRefused) {
		return s.showVersions(c, http.StatusConflict, &ui.DialogProps{ID: "restore", Title: "Go back to it all the same?", Text: fault.SentenceOf(err), Action: versionHref(n) + "/restore",
			Submit: "Go back all the same", Danger: true, Cancel: "/versions", Hidden: map[string]string{"live": strconv.Itoa(live), "despite": "1"}})
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/versions", restored(n, made.Number, live))
}

// restored says what going back did, and how to go forth again.
func restored(to, made, was int) string {
	name := versionName(to) + " is"
	if to == 0 {
		name = "The rules and mappings that every workspace starts with are"
	}
	return fmt.Sprintf("%s live again, as version %d. The next call follows it. To go forth again, make %s live again.", name, made, inSentence(was))
}
