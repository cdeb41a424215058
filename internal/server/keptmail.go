package server

import (
	"crypto/subtle"
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"hookline/internal/fault"
	"hookline/web/page"
)

var linkInMail = regexp.MustCompile(`https?://\S+`)

// keptMail stands in for a mail server on a machine without one, at an address that only its log names.
func (s *Server) keptMail(c echo.Context) error {
	if s.Mailbox == "" || subtle.ConstantTimeCompare([]byte(c.Param("box")), []byte(s.Mailbox)) != 1 {
		return fault.New(fault.NotFound, "")
	}
	kept, err := s.Desk.Outbox.KeptMails(ctx(c), s.DB)
	if err != nil {
		return err
	}
	v := page.KeptMailView{Frame: s.frame(c, "Kept mail", "")}
	for _, m := range kept {
		v.Mails = append(v.Mails, page.KeptMail{
			To: m.To, Subject: m.Subject, Text: m.Text, Link: linkInMail.FindString(m.Text), At: moment(m.At, s.Now(), nil),
		})
	}
	return s.page(c, http.StatusOK, page.KeptMails(v))
}
