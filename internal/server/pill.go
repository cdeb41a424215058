package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/web/layout"
	"hookline/web/ui"
)

// pillOf says how deliveries stand: red when somebody is needed, amber while calls wait, green else.
func pillOf(h delivery.Health) layout.Pill {
	switch {
	case h.Link == string(connection.NeedsReconnect) || h.Link == string(connection.Failed):
		return layout.Pill{Tone: ui.Bad, Text: "Zoho needs you", Href: "/zoho"}
	case h.NeedsYou > 0:
		text := bounded(h.NeedsYou) + " need you"
		if h.NeedsYou == 1 {
			text = "1 call needs you"
		}
		return layout.Pill{Tone: ui.Bad, Text: text, Href: "/calls?status=" + delivery.NeedsAttention}
	case h.Waiting > 0 && h.Hold != "":
		return layout.Pill{Tone: ui.Warn, Text: bounded(h.Waiting) + " held", Href: "/calls?status=" + delivery.Held}
	case h.Waiting > 0:
		return layout.Pill{Tone: ui.Warn, Text: bounded(h.Waiting) + " waiting", Href: "/calls?status=" + delivery.Received}
	case h.Link != string(connection.Connected):
		return layout.Pill{Text: "Zoho not connected", Href: "/zoho"}
	case !h.Calls:
		return layout.Pill{Tone: ui.Good, Text: "Ready for calls", Href: "/calls"}
	}
	return layout.Pill{Tone: ui.Good, Text: "All calls delivered", Href: "/calls"}
}

// lost is the banner that stands on every page while Zoho needs a person; nil when it does not.
func lost(h delivery.Health) *ui.BannerProps {
	if h.Link != string(connection.NeedsReconnect) && h.Link != string(connection.Failed) {
		return nil
	}
	text := h.Reason
	if text == "" {
		text = "Zoho no longer accepts Hookline's access."
	}
	if h.Waiting > 0 {
		text += " " + count(h.Waiting, "call waits.", "calls wait.")
	}
	return &ui.BannerProps{Tone: ui.Bad, Text: text, Acts: ui.Link(ui.LinkProps{Label: "To the Zoho page", Href: "/zoho", Small: true})}
}

// pill is the pill by itself, for pages that renew it.
func (s *Server) pill(c echo.Context) error {
	h, err := delivery.HealthOf(ctx(c), s.DB, tenantOf(c))
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, layout.HealthPill(pillOf(h)))
}

// stands fills in what a frame says of deliveries. A page must come even when that cannot be read.
func (s *Server) stands(c echo.Context, f *layout.Frame) {
	h, err := delivery.HealthOf(ctx(c), s.DB, tenantOf(c))
	if err != nil {
		s.Log.Warn("health for the frame", "request", requestIDOf(c), "err", err)
		return
	}
	f.Pill = pillOf(h)
	if b := lost(h); b != nil && f.Active != "zoho" {
		f.Banners = append(f.Banners, *b)
	}
}
