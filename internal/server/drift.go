package server

import (
	"github.com/labstack/echo/v4"

	"hookline/internal/config"
	"hookline/internal/mapping"
	"hookline/web/page"
)

// drift says where the organisation in Zoho is no longer what the mapping and the rules were made for, from what was last
// read of its fields: before the next call finds out. Zoho is not asked.
func (s *Server) drift(c echo.Context) ([]page.Drift, error) {
	known, err := s.Zoho.Known(ctx(c), tenantOf(c))
	if err != nil || len(known) == 0 {
		return nil, err
	}
	live, err := s.liveConfig(c)
	if err != nil {
		return nil, err
	}
	var all []page.Drift
	for _, p := range mapping.Drift(live.Mappings, live.Rules, known) {
		all = append(all, page.Drift{Sentence: p.Sentence, Href: "/mapping/" + p.Module + "#field-" + p.Field, Label: "Mapping of " + p.Module})
	}
	for _, r := range live.Rules.Rules {
		if sentence := config.GoneStage(r, known["Deals"].Pipelines); sentence != "" && !r.Off {
			all = append(all, page.Drift{Sentence: "The rule “" + r.Name + "” names a stage that is gone. " + sentence, Href: "/rules/" + r.ID, Label: "Open the rule"})
		}
	}
	return all, nil
}
