package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// home is where a member lands.
func (s *Server) home(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, "/settings")
}
