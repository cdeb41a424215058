package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/backtest"
	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// configAPI adds what programs can do with rules and mappings.
func (s *Server) configAPI(api huma.API) {
	starts := config.Defaults()
	some := ConfigDocument{Rules: starts.Rules.Rules[1:2], Phrases: starts.Rules.Phrases[:1], Mappings: map[string][]mapping.Row{"Leads": starts.Mappings.Modules["Leads"][:2]}}
	const failed = "`type` says why: `urn:hookline:if-match-missing`, or `urn:hookline:stale` when the draft was changed since: read it again, then repeat."
	operate(s, api, "show-draft", http.MethodGet, "/draft", "Rules, phrase lists and mappings as they are edited", account.See, http.StatusOK, s.apiDraft, words{
		more: "What is live, with the changes that are not published yet. PUT takes the same document, and `hookline rules export` writes it.", example: some,
		answers: map[int]string{http.StatusNotModified: "The draft still stands at the revision that If-None-Match names."}})
	operate(s, api, "put-draft", http.MethodPut, "/draft", "Put a document in the place of the draft", account.Configure, http.StatusOK, s.apiPutDraft, words{
		more:    "Needs If-Match with the ETag of the draft that the document was made from, so that nobody's change is lost. Nothing is live before it is published, and the Draft page can take it back.",
		takes:   &some,
		answers: map[int]string{http.StatusPreconditionFailed: failed, http.StatusBadRequest: "There is no document.", http.StatusRequestEntityTooLarge: "The document is larger than 1 MiB.", http.StatusUnprocessableEntity: "The document cannot be kept. `errors` name each rule by its id (`value`), or the row (`location`)."}})
	operate(s, api, "show-changes", http.MethodGet, "/draft/changes", "What publishing the draft would change, and who changed it", account.See, http.StatusOK, s.apiChanges, words{})
	operate(s, api, "backtest", http.MethodPost, "/backtest", "Run stored calls through the draft and through what is live", account.Configure, http.StatusOK, s.apiBacktest, words{
		slow:    true,
		more:    "Answers when it is done; Zoho is asked nothing. Closing the connection cancels it. The draft can be published on it as long as neither it nor what is live has changed.",
		answers: map[int]string{http.StatusConflict: "A backtest is running already, or this one was cancelled on the Draft page."}})
	operate(s, api, "publish", http.MethodPost, "/publish", "Make the draft live as the next version", account.Configure, http.StatusOK, s.apiPublish, words{
		more: "Needs If-Match with the draft's ETag. The next call follows the new version.",
		answers: map[int]string{http.StatusPreconditionFailed: failed, http.StatusConflict: "`type` says why: `urn:hookline:untested` (no backtest of this draft was run: run one, or say skip_backtest), " +
			"`urn:hookline:zoho-refuses` (Zoho is known to refuse a part: mend it, or say despite_problems), `urn:hookline:nothing-to-publish` (the draft is what is live)."}})
	operate(s, api, "list-versions", http.MethodGet, "/versions", "What was published, newest first", account.See, http.StatusOK, s.apiVersions, words{})
	operate(s, api, "show-version", http.MethodGet, "/versions/{number}", "Rules, phrase lists and mappings as a version has them", account.See, http.StatusOK, s.apiVersion, words{
		more: "The same document as the draft's. Version 0 is what every workspace starts with.", example: some})
	operate(s, api, "restore-version", http.MethodPost, "/versions/{number}/restore", "Make a version live again, as the newest one", account.Configure, http.StatusOK, s.apiRestore, words{
		more: "Changes of the draft stay in it. Version 0 is what every workspace starts with.",
		answers: map[int]string{http.StatusPreconditionFailed: "Another version is live than `live` says (`urn:hookline:stale`).",
			http.StatusConflict: "`type` says why: `urn:hookline:zoho-refuses` (say despite_problems to restore it all the same), `urn:hookline:nothing-to-publish` (it is live already)."}})
}

// ConfigDocument is a configuration as config writes and reads it.
type ConfigDocument struct {
	Rules    []routing.Rule           `json:"rules" nullable:"false" doc:"In order: the first that fits a call decides it"`
	Phrases  []routing.PhraseList     `json:"phrases" nullable:"false" doc:"Lists of phrases that rules speak of"`
	Mappings map[string][]mapping.Row `json:"mappings" doc:"By module: which field gets which value"`
}

func documentOf(s config.Set) ConfigDocument {
	return ConfigDocument{Rules: append([]routing.Rule{}, s.Rules.Rules...), Phrases: append([]routing.PhraseList{}, s.Rules.Phrases...), Mappings: s.Mappings.Modules}
}

// etag is the strong tag of a revision of the draft.
func etag(revision int) string { return strconv.Quote(strconv.Itoa(revision)) }

var errNoIfMatch = errors.New("no If-Match")

// matched reads If-Match: the revision that a program made its change from. * is whichever stands.
func matched(header string, now func() (config.Draft, error)) (int, error) {
	switch header = strings.TrimSpace(header); header {
	case "":
		return 0, fault.Wrap(fault.Conflict, errNoIfMatch, `Send If-Match with the ETag of the draft that you read, such as "17": then nobody's change is overwritten unseen.`)
	case "*":
		d, err := now()
		return d.Revision, err
	}
	n, err := strconv.Atoi(strings.Trim(header, `"`))
	if err != nil {
		return 0, fault.Wrap(fault.Conflict, config.ErrStale, `If-Match holds no ETag of the draft. One looks like this: "17". Read the draft again.`)
	}
	return n, nil
}

// actor is how a key is named beside what it did.
func actor(h account.Holder) string { return "key " + h.Name }

type apiDraftIn struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"200" doc:"An ETag: 304 when the draft still stands there"`
}

type apiDraftOut struct {
	ETag string `header:"ETag" doc:"The draft's revision as a strong tag, for If-Match and If-None-Match" example:"\"17\""`
	Body ConfigDocument
}

func (s *Server) apiDraft(ctx context.Context, h account.Holder, in *apiDraftIn) (*apiDraftOut, error) {
	var d config.Draft
	err := s.DB.InTenant(ctx, h.Tenant, func(tx pgx.Tx) (err error) {
		d, err = config.ReadDraft(ctx, tx, h.Tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	for tag := range strings.SplitSeq(in.IfNoneMatch, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag(d.Revision) || tag == "*" {
			return nil, huma.ErrorWithHeaders(huma.Status304NotModified(), http.Header{"ETag": {etag(d.Revision)}})
		}
	}
	return &apiDraftOut{ETag: etag(d.Revision), Body: documentOf(d.Set)}, nil
}

type apiPutDraftIn struct {
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of the draft that the document was made from; needed" example:"\"17\""`
	RawBody []byte `contentType:"application/json"`
}

type apiPutDraftOut struct {
	ETag string `header:"ETag" doc:"The draft's new revision" example:"\"18\""`
	Body struct {
		ConfigDocument
		Problems []config.Problem `json:"problems" nullable:"false" doc:"What is wrong with it; blocking: Zoho is known to refuse it"`
	}
}

func (s *Server) apiPutDraft(ctx context.Context, h account.Holder, in *apiPutDraftIn) (*apiPutDraftOut, error) {
	set, err := config.Parse(in.RawBody)
	if err != nil {
		return nil, err
	}
	known, err := s.Zoho.Known(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	var d config.Draft
	err = s.DB.InTenant(ctx, h.Tenant, func(tx pgx.Tx) error {
		on, err := matched(in.IfMatch, func() (config.Draft, error) { return config.ReadDraft(ctx, tx, h.Tenant) })
		if err != nil {
			return err
		}
		d, err = config.Replace(ctx, tx, h.Tenant, actor(h), on, set)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &apiPutDraftOut{ETag: etag(d.Revision)}
	out.Body.ConfigDocument = documentOf(d.Set)
	out.Body.Problems = append([]config.Problem{}, config.Check(d.Set, known)...)
	return out, nil
}

type apiEdit struct {
	Revision int       `json:"revision"`
	What     string    `json:"what" doc:"In words"`
	By       string    `json:"by" doc:"A person's e-mail address, or key and its name"`
	At       time.Time `json:"at"`
	Yours    bool      `json:"yours" doc:"Made with this key"`
}

type apiChangesOut struct {
	ETag string `header:"ETag" doc:"The draft's revision"`
	Body struct {
		Open     bool             `json:"open" doc:"The draft differs from what is live"`
		Base     int              `json:"base" doc:"The version that is live; 0: the defaults"`
		Revision int              `json:"revision" doc:"Of the draft"`
		Changes  []string         `json:"changes" nullable:"false" doc:"What publishing would change, in words"`
		Edits    []apiEdit        `json:"edits" nullable:"false" doc:"That are not live yet, newest first"`
		Problems []config.Problem `json:"problems" nullable:"false" doc:"What is wrong with the draft; blocking: Zoho is known to refuse it"`
	}
}

func (s *Server) apiChanges(ctx context.Context, h account.Holder, _ *nothing) (*apiChangesOut, error) {
	known, err := s.Zoho.Known(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	out := &apiChangesOut{}
	b := &out.Body
	b.Edits = []apiEdit{}
	err = s.DB.InTenant(ctx, h.Tenant, func(tx pgx.Tx) error {
		d, err := config.ReadDraft(ctx, tx, h.Tenant)
		if err != nil {
			return err
		}
		live, err := config.Live(ctx, tx, h.Tenant)
		if err != nil {
			return err
		}
		out.ETag, b.Open, b.Base, b.Revision = etag(d.Revision), d.Open, live.Version, d.Revision
		b.Changes = config.Sentences(config.Diff(live, d.Set))
		b.Problems = append([]config.Problem{}, config.Check(d.Set, known)...)
		edits, err := config.Unpublished(ctx, tx, h.Tenant)
		for _, e := range edits {
			b.Edits = append(b.Edits, apiEdit{Revision: e.Revision, What: e.What, By: e.By, At: e.At, Yours: e.By == actor(h)})
		}
		return err
	})
	return out, err
}

// apiPublished is a published version.
type apiPublished struct {
	Number  int            `json:"number"`
	By      string         `json:"by" doc:"A person's e-mail address, or key and its name"`
	At      time.Time      `json:"at"`
	Why     string         `json:"why" doc:"In the words of who published it; may be empty"`
	Changes []string       `json:"changes" nullable:"false" doc:"The difference from the version before, in words"`
	Tested  *config.Tested `json:"tested,omitempty" doc:"The backtest that it was published on; absent: published without one"`
}

func published(v config.Version) apiPublished {
	return apiPublished{Number: v.Number, By: v.By, At: v.At, Why: v.Why, Changes: append([]string{}, v.Changes...), Tested: v.Tested}
}

type apiBacktestIn struct {
	Body *struct {
		Days int `json:"days,omitempty" minimum:"1" maximum:"90" doc:"The calls of the last days; 30 when neither is given" example:"30"`
		Last int `json:"last,omitempty" minimum:"1" maximum:"100000" doc:"The last so many calls"`
	}
}

type apiBacktestOut struct {
	ETag string `header:"ETag" doc:"The draft's revision that was run: publish with it"`
	Body struct {
		ID       string          `json:"id" format:"uuid"`
		Revision int             `json:"revision" doc:"Of the draft"`
		Version  int             `json:"version" doc:"That was live; 0: the defaults"`
		Scope    backtest.Scope  `json:"scope"`
		Result   backtest.Result `json:"result"`
	}
}

func (s *Server) apiBacktest(ctx context.Context, h account.Holder, in *apiBacktestIn) (*apiBacktestOut, error) {
	t, err := s.tenantNamed(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	var scope backtest.Scope
	if b := in.Body; b != nil {
		scope.Days, scope.Last = b.Days, b.Last
	}
	b, err := s.Backtests.Run(ctx, t, actor(h), scope)
	if err != nil {
		return nil, err
	}
	out := &apiBacktestOut{ETag: etag(b.Revision)}
	out.Body.ID, out.Body.Revision, out.Body.Version, out.Body.Scope, out.Body.Result = b.ID.String(), b.Revision, b.Version, b.Scope, *b.Result
	return out, nil
}

type apiPublishIn struct {
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of the draft that shall be live; needed" example:"\"17\""`
	Body    *struct {
		Why             string `json:"why,omitempty" maxLength:"500" doc:"For those who read it later" example:"Quotes become Deals"`
		SkipBacktest    bool   `json:"skip_backtest,omitempty" doc:"Publish though no backtest of this draft was run"`
		DespiteProblems bool   `json:"despite_problems,omitempty" doc:"Publish though Zoho is known to refuse a part"`
	}
}

type apiPublishOut struct {
	ETag string `header:"ETag" doc:"The draft's new revision"`
	Body apiPublished
}

func (s *Server) apiPublish(ctx context.Context, h account.Holder, in *apiPublishIn) (*apiPublishOut, error) {
	known, err := s.Zoho.Known(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	p := config.Publication{Actor: actor(h)}
	if b := in.Body; b != nil {
		p.Why, p.Untested, p.Despite = b.Why, b.SkipBacktest, b.DespiteProblems
	}
	return s.asPublished(ctx, h.Tenant, func(tx pgx.Tx) (config.Version, error) {
		if p.Revision, err = matched(in.IfMatch, func() (config.Draft, error) { return config.ReadDraft(ctx, tx, h.Tenant) }); err != nil {
			return config.Version{}, err
		}
		if p.Tested, err = testedBy(ctx, tx, h.Tenant, p.Revision); err != nil {
			return config.Version{}, err
		}
		return config.Publish(ctx, tx, h.Tenant, p, mapping.Metadata(known))
	})
}

// asPublished answers with a version that do makes, and the draft's revision after it.
func (s *Server) asPublished(ctx context.Context, t tenant.ID, do func(pgx.Tx) (config.Version, error)) (*apiPublishOut, error) {
	out := &apiPublishOut{}
	err := s.DB.InTenant(ctx, t, func(tx pgx.Tx) error {
		v, err := do(tx)
		if err != nil {
			return err
		}
		d, err := config.ReadDraft(ctx, tx, t)
		out.ETag, out.Body = etag(d.Revision), published(v)
		return err
	})
	return out, err
}

type apiVersionsIn struct {
	Cursor int `query:"cursor" minimum:"0" doc:"next_cursor of the page before"`
	Limit  int `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type apiVersionsOut struct {
	Body struct {
		Data       []apiPublished `json:"data" nullable:"false" doc:"The first of the first page is live"`
		NextCursor *int           `json:"next_cursor" nullable:"true" doc:"null on the last page"`
	}
}

func (s *Server) apiVersions(ctx context.Context, h account.Holder, in *apiVersionsIn) (*apiVersionsOut, error) {
	var versions []config.Version
	err := s.DB.InTenant(ctx, h.Tenant, func(tx pgx.Tx) (err error) {
		versions, err = config.Versions(ctx, tx, h.Tenant, in.Cursor, in.Limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &apiVersionsOut{}
	out.Body.Data = []apiPublished{}
	for _, v := range versions[:min(in.Limit, len(versions))] {
		out.Body.Data = append(out.Body.Data, published(v))
	}
	if len(versions) > in.Limit {
		out.Body.NextCursor = &versions[in.Limit-1].Number
	}
	return out, nil
}

type apiVersionIn struct {
	Number int `path:"number" minimum:"0" doc:"Of the version; 0: what every workspace starts with"`
}

type apiVersionOut struct{ Body ConfigDocument }

func (s *Server) apiVersion(ctx context.Context, h account.Holder, in *apiVersionIn) (*apiVersionOut, error) {
	out := &apiVersionOut{}
	err := s.DB.InTenant(ctx, h.Tenant, func(tx pgx.Tx) error {
		set, err := config.At(ctx, tx, h.Tenant, in.Number)
		out.Body = documentOf(set)
		return err
	})
	return out, err
}

type apiRestoreIn struct {
	Number int `path:"number" minimum:"0" doc:"Of the version; 0: what every workspace starts with"`
	Body   *struct {
		Live            *int `json:"live,omitempty" minimum:"0" doc:"The version that you saw to be live: nothing happens when another is. Left out: whichever is"`
		DespiteProblems bool `json:"despite_problems,omitempty" doc:"Restore it though Zoho is known to refuse a part"`
	}
}

func (s *Server) apiRestore(ctx context.Context, h account.Holder, in *apiRestoreIn) (*apiPublishOut, error) {
	known, err := s.Zoho.Known(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	return s.asPublished(ctx, h.Tenant, func(tx pgx.Tx) (config.Version, error) {
		live, err := config.Live(ctx, tx, h.Tenant)
		if err != nil {
			return config.Version{}, err
		}
		saw, despite := live.Version, false
		if b := in.Body; b != nil {
			despite = b.DespiteProblems
			if b.Live != nil {
				saw = *b.Live
			}
		}
		return config.Rollback(ctx, tx, h.Tenant, actor(h), saw, in.Number, despite, mapping.Metadata(known))
	})
}
