package server

import (
	"net/http"

	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/fault"
	"hookline/internal/tenant"
	"hookline/web/page"
	"hookline/web/ui"
)

// withoutMail answers what ends in a mail on an installation that sends none.
func (s *Server) withoutMail(c echo.Context) error {
	return s.page(c, http.StatusForbidden, page.Notice(page.NoticeView{
		Frame: s.frame(c, "No mail from here", ""), Icon: "mail", Title: "No mail from here",
		Texts: []string{"Signing up and setting a new password take a link that is mailed, and whoever runs this Hookline has switched mail off (SMTP_URL).",
			"Ask them. They can make a business and its owner with “hookline tenant create”, or name a mail server."},
		Next: ui.LinkProps{Label: "Log in", Href: "/login"},
	}))
}

func (s *Server) signUpForm(c echo.Context) error {
	if s.NoMail {
		return s.withoutMail(c)
	}
	return s.page(c, http.StatusOK, page.SignUp(s.signUpView(c, account.SignUp{Country: "US", Zone: "America/New_York"}, nil, true)))
}

func (s *Server) signUpView(c echo.Context, f account.SignUp, problems page.Problems, guess bool) page.SignUpView {
	return page.SignUpView{
		Frame: s.frame(c, "Sign up", ""), Email: f.Email, Business: f.Business, Country: f.Country, Zone: f.Zone, Guess: guess,
		Countries: countryOptions(), Zones: zoneOptions(), Problems: problems,
	}
}

// signUp answers known and unknown addresses alike: a mail is on its way.
func (s *Server) signUp(c echo.Context) error {
	if s.NoMail {
		return s.withoutMail(c)
	}
	f := account.SignUp{
		Email: c.FormValue("email"), Password: c.FormValue("password"), Business: c.FormValue("business"),
		Country: c.FormValue("country"), Zone: c.FormValue("zone"),
	}
	if problems := f.Problems(); len(problems) > 0 {
		return s.page(c, http.StatusUnprocessableEntity, page.SignUp(s.signUpView(c, f, problems, false)))
	}
	person, err := s.Desk.Register(ctx(c), f, c.RealIP())
	if fault.KindOf(err) == fault.Throttled {
		return s.page(c, http.StatusTooManyRequests, page.SignUp(s.signUpView(c, f, page.Problems{"": fault.SentenceOf(err)}, false)))
	}
	if err != nil {
		return err
	}
	session := visitorOf(c).session
	account.SigningUp(session, person)
	if err := s.Sessions.Save(c.Request(), c.Response(), session); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/check-mail")
}

func (s *Server) checkMail(c echo.Context) error {
	if s.NoMail {
		return s.withoutMail(c)
	}
	v := page.NoticeView{
		Frame: s.frame(c, "Check your mail", ""), Icon: "mail", Title: "Check your mail",
		Texts: []string{"We have sent you a link. Open it, best in this browser, to go on.", "Nothing there after a few minutes? Look into the spam folder. A new link comes when you log in after signing up, or ask once more for a new password."},
		Next:  ui.LinkProps{Label: "Log in", Href: "/login"},
	}
	if s.Mailbox != "" {
		v.Texts = append(v.Texts, "This Hookline has no mail server. It keeps mail on a page whose address stands in its log.")
	}
	return s.page(c, http.StatusOK, page.Notice(v))
}

// verifyForm asks for one press: mail programs open links by themselves, and opening must change nothing.
func (s *Server) verifyForm(c echo.Context) error {
	if _, err := s.Desk.Verifying(ctx(c), c.Param("token")); err != nil {
		return s.deadLink(c, err)
	}
	return s.page(c, http.StatusOK, page.Confirm(page.ConfirmView{
		Frame: s.frame(c, "Confirm your address", ""), Title: "Confirm your address", Text: "One press, and your workspace is ready.",
		Action: "/verify/" + c.Param("token"), Submit: "Confirm and open Hookline",
	}))
}

// verify proves an address. The browser that signed up is signed in; another one has to log in, because a stranger
// may have signed up with this address.
func (s *Server) verify(c echo.Context) error {
	person, err := s.Desk.Verify(ctx(c), c.Param("token"), c.RealIP())
	if err != nil {
		return s.deadLink(c, err)
	}
	if !account.SignedUpHere(visitorOf(c).session, person) {
		return s.seeOther(c, "/login", "Address confirmed. Log in to go on.")
	}
	return s.begin(c, person, "/", "Address confirmed. Welcome to Hookline.")
}

// deadLink says that a mailed link works no more.
func (s *Server) deadLink(c echo.Context, err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return s.page(c, http.StatusNotFound, page.Notice(page.NoticeView{
		Frame: s.frame(c, "This link does not work", ""), Icon: "link", Title: "This link does not work", Texts: []string{fault.SentenceOf(err)},
		Next: ui.LinkProps{Label: "Log in", Href: "/login"},
	}))
}

// begin signs a person in under a new session id.
func (s *Server) begin(c echo.Context, person account.PersonID, path, toast string) error {
	workspaces, err := account.WorkspacesOf(ctx(c), s.DB, person)
	if err != nil {
		return err
	}
	var workspace tenant.ID
	if len(workspaces) > 0 {
		workspace = workspaces[0]
	}
	if err := s.Sessions.Begin(c.Request(), c.Response(), visitorOf(c).session, person, workspace); err != nil {
		return err
	}
	return s.seeOther(c, path, toast)
}

func (s *Server) logInForm(c echo.Context) error {
	if visitorOf(c).member != nil {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return s.page(c, http.StatusOK, page.LogIn(page.LogInView{
		Frame: s.frame(c, "Log in", ""), Next: localPath(c.QueryParam("next")), Unsaved: c.QueryParam("unsaved") != "",
	}))
}

func (s *Server) logIn(c echo.Context) error {
	email, next := c.FormValue("email"), localPath(c.FormValue("next"))
	person, err := s.Desk.SignIn(ctx(c), email, c.FormValue("password"), c.RealIP())
	if sentence := fault.SentenceOf(err); sentence != "" {
		s.Log.Info("sign-in refused", "request", requestIDOf(c), "from", c.RealIP(), "reason", sentence)
		return s.page(c, statusOf(err), page.LogIn(page.LogInView{Frame: s.frame(c, "Log in", ""), Email: email, Next: next, Problem: sentence}))
	}
	if err != nil {
		return err
	}
	return s.begin(c, person, next, "")
}

func (s *Server) logOut(c echo.Context) error {
	if err := s.endHere(c, visitorOf(c).session); err != nil {
		return err
	}
	return s.seeOther(c, "/login", "You are logged out.")
}

// endHere ends the session of this request and takes its cookie back.
func (s *Server) endHere(c echo.Context, session *sessions.Session) error {
	session.Options.MaxAge = -1
	return s.Sessions.Save(c.Request(), c.Response(), session)
}

func (s *Server) askResetForm(c echo.Context) error {
	if s.NoMail {
		return s.withoutMail(c)
	}
	return s.page(c, http.StatusOK, page.AskReset(page.AskResetView{Frame: s.frame(c, "Set a new password", "")}))
}

// askReset says the same whether the address has an account or not.
func (s *Server) askReset(c echo.Context) error {
	if s.NoMail {
		return s.withoutMail(c)
	}
	email := c.FormValue("email")
	err := s.Desk.AskReset(ctx(c), email, c.RealIP())
	if sentence := fault.SentenceOf(err); sentence != "" {
		return s.page(c, statusOf(err), page.AskReset(page.AskResetView{
			Frame: s.frame(c, "Set a new password", ""), Email: email, Problems: page.Problems{fault.FieldOf(err): sentence},
		}))
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/check-mail")
}

func (s *Server) resetForm(c echo.Context) error {
	if err := s.Desk.Resetting(ctx(c), c.Param("token")); err != nil {
		return s.deadLink(c, err)
	}
	return s.page(c, http.StatusOK, page.Reset(page.ResetView{Frame: s.frame(c, "Choose a new password", ""), Action: "/reset/" + c.Param("token")}))
}

func (s *Server) reset(c echo.Context) error {
	err := s.Desk.Reset(ctx(c), c.Param("token"), c.FormValue("password"), c.RealIP())
	switch fault.KindOf(err) {
	case fault.NotFound:
		return s.deadLink(c, err)
	case fault.Invalid, fault.Throttled:
		return s.page(c, statusOf(err), page.Reset(page.ResetView{
			Frame: s.frame(c, "Choose a new password", ""), Action: "/reset/" + c.Param("token"),
			Problems: page.Problems{fault.FieldOf(err): fault.SentenceOf(err)},
		}))
	}
	if err != nil {
		return err
	}
	return s.seeOther(c, "/login", "Password saved. Log in with the new one.")
}
