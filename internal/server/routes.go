package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
)

// route is one thing that the server can be asked, and the right it takes.
type route struct {
	method string
	path   string
	needs  account.Action
	handle echo.HandlerFunc
}

// anyone needs no right: signed in or not.
const anyone account.Action = ""

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes are all pages and forms. A new one gets a row in the expectations of routes_test.go, too.
func (s *Server) routes() []route {
	return []route{
		{get, "/", anyone, s.front},
		{http.MethodHead, "/", anyone, s.front},
		{get, "/welcome", anyone, s.welcome},
		{post, "/theme", anyone, s.setTheme},

		{get, "/signup", anyone, s.signUpForm},
		{post, "/signup", anyone, s.signUp},
		{get, "/check-mail", anyone, s.checkMail},
		{get, "/verify/:token", anyone, s.verifyForm},
		{post, "/verify/:token", anyone, s.verify},
		{get, "/login", anyone, s.logInForm},
		{post, "/login", anyone, s.logIn},
		{post, "/logout", anyone, s.logOut},
		{get, "/reset", anyone, s.askResetForm},
		{post, "/reset", anyone, s.askReset},
		{get, "/reset/:token", anyone, s.resetForm},
		{post, "/reset/:token", anyone, s.reset},
		{get, "/mail/:box", anyone, s.keptMail},

		{get, "/calls", account.See, s.calls},
		{get, "/calls/export", account.See, s.exportCalls},
		{get, "/calls/replay", account.Operate, s.replayForm},
		{post, "/calls/replay", account.Operate, s.replay},
		{get, "/calls/:id", account.See, s.call},
		{post, "/calls/:id/settle", account.Operate, s.settle},
		{post, "/calls/:id/put-away", account.Operate, s.putAway},
		{get, "/calls/:id/events/:event", account.See, s.rawEvent},
		{post, "/test-call", account.Operate, s.testCall},
		{get, "/live", account.See, s.live},
		{get, "/health-pill", account.See, s.pill},

		{get, "/rules", account.See, s.rules},
		{post, "/rules", account.Configure, s.saveRule},
		{get, "/rules/new", account.Configure, s.newRule},
		{get, "/rules/try", account.See, s.tryRules},
		{get, "/rules/phrases", account.See, s.phrases},
		{post, "/rules/phrases", account.Configure, s.savePhrases},
		{post, "/rules/phrases/:name", account.Configure, s.savePhrases},
		{get, "/rules/:id", account.See, s.rule},
		{post, "/rules/:id", account.Configure, s.saveRule},
		{post, "/rules/:id/move", account.Configure, s.moveRule},
		{post, "/rules/:id/switch", account.Configure, s.switchRule},
		{post, "/rules/:id/copy", account.Configure, s.copyRule},
		{post, "/rules/:id/delete", account.Configure, s.deleteRule},

		{get, "/mapping", account.See, s.mappingHome},
		{get, "/mapping/:module", account.See, s.mapping},
		{post, "/mapping/:module", account.Configure, s.editMapping},
		{get, "/mapping/import", account.See, s.mappingImport},
		{post, "/mapping/import", account.Configure, s.importMapping},
		{get, "/mapping/export/:what", account.See, s.exportMapping},
		{get, "/mapping/:module/:field", account.Configure, s.mappingRowPage},
		{post, "/mapping/:module/:field", account.Configure, s.editMappingRow},

		{get, "/draft", account.See, s.draftPage},
		{get, "/draft/news", account.See, s.draftNews},
		{post, "/draft/publish", account.Configure, s.publishDraft},
		{post, "/draft/backtest", account.Configure, s.startBacktest},
		{post, "/backtests/:id/cancel", account.Configure, s.cancelBacktest},
		{get, "/backtests/:id/calls/:call", account.See, s.backtestCall},
		{post, "/draft/undo", account.Configure, s.undoDraft},
		{post, "/draft/discard", account.Configure, s.discardDraft},
		{get, "/versions", account.See, s.versions},
		{get, "/versions/:n", account.See, s.version},
		{get, "/versions/:n/document", account.See, s.versionFile},
		{post, "/versions/:n/restore", account.Configure, s.restoreVersion},

		{get, "/sources", account.See, s.sourcesPage},
		{get, "/sources/new", account.Configure, s.newSource},
		{post, "/sources", account.Configure, s.addSource},
		{get, "/sources/:id", account.See, s.sourcePage},
		{post, "/sources/:id", account.Configure, s.configureSource},
		{post, "/sources/:id/rotate", account.Configure, s.rotateSource},
		{post, "/sources/:id/drop", account.Configure, s.dropOldSecret},
		{get, "/sources/:id/delete", account.Configure, s.deleteSourceForm},
		{post, "/sources/:id/delete", account.Configure, s.deleteSource},
		{post, "/sources/:id/simulate", account.Operate, s.simulate},

		{get, "/zoho", account.See, s.zohoPage},
		{post, "/zoho/connect", account.Configure, s.connectZoho},
		{get, "/zoho/callback", account.Configure, s.zohoCallback},
		{get, "/zoho/confirm", account.Configure, s.zohoConfirmForm},
		{post, "/zoho/confirm", account.Configure, s.confirmZoho},
		{post, "/zoho/probe", account.Configure, s.probeZoho},
		{post, "/zoho/marker", account.Configure, s.addMarker},
		{get, "/zoho/disconnect", account.Configure, s.disconnectZohoForm},
		{post, "/zoho/disconnect", account.Configure, s.disconnectZoho},

		{get, "/settings", account.See, s.business},
		{post, "/settings", account.Administer, s.saveBusiness},
		{get, "/settings/security", account.See, s.security},
		{post, "/settings/security/password", account.See, s.changePassword},
		{post, "/settings/security/sessions/:handle/end", account.See, s.endSession},
		{post, "/settings/security/logout-everywhere", account.See, s.logOutEverywhere},
		{get, "/settings/team", account.See, s.team},
		{get, "/settings/keys", account.Administer, s.apiKeys},
		{post, "/settings/keys", account.Administer, s.createKey},
		{post, "/settings/keys/:id/revoke", account.Administer, s.revokeKey},
		{get, "/settings/audit", account.Administer, s.auditLog},
	}
}
