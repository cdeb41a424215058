package server

import (
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/web/page"
)

// mostNews is how many edits are looked at to say what is new.
const mostNews = 50

// draftNews says what others did to the draft since a page was made.
func (s *Server) draftNews(c echo.Context) error {
	since, ok := ordinal(c.QueryParam("since"))
	if !ok {
		return fault.New(fault.Invalid, "The address lacks the revision that the page shows. Reload the page.")
	}
	m := memberOf(c)
	var v page.DraftNews
	err := s.inTenant(c, func(tx pgx.Tx) error {
		edits, err := config.Edits(ctx(c), tx, m.Tenant.ID, since, mostNews)
		if err != nil {
			return err
		}
		edits = slices.DeleteFunc(edits, func(e config.Edit) bool { return e.By == m.Email })
		v = page.DraftNews{}
		if len(edits) > 0 {
			last := edits[0]
			v.What = last.By + ", " + moment(last.At, s.Now(), m.Tenant.Zone).Text + ": " + last.What
		}
		if n := len(edits) - 1; n > 0 {
			v.More = "And " + count(n, "more change", "more changes")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, page.News(v))
}
