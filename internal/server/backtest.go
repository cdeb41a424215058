package server

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/backtest"
	"hookline/internal/call"
	"hookline/internal/config"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/internal/tenant"
	"hookline/web/page"
)

// testedBy is what the finished backtest of a revision of the draft against what is live says; nil when there is none.
func testedBy(ctx context.Context, tx pgx.Tx, t tenant.ID, revision int) (*config.Tested, error) {
	live, err := config.Live(ctx, tx, t)
	if err != nil {
		return nil, err
	}
	b, err := backtest.Latest(ctx, tx, t, revision, live.Version)
	if err != nil || b == nil {
		return nil, err
	}
	return &config.Tested{Calls: b.Result.Calls, Changed: b.Result.Changed, Failing: b.Result.Failing}, nil
}

// startBacktest runs stored calls through the draft, in the background.
func (s *Server) startBacktest(c echo.Context) error {
	scope, err := scopeOf(c.FormValue("scope"))
	if err != nil {
		return err
	}
	m := memberOf(c)
	if _, err := s.Backtests.Start(ctx(c), m.Tenant, m.Email, scope); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/draft#backtest")
}

// scopeOf reads a form's choice of calls: days, or "last" and a number of calls.
func scopeOf(text string) (backtest.Scope, error) {
	last, isLast := strings.CutPrefix(text, "last")
	n, err := strconv.Atoi(last)
	switch {
	case text == "":
		return backtest.Scope{}, nil
	case err != nil || n < 1:
		return backtest.Scope{}, fault.Field("scope", "Choose which calls to run.")
	case isLast:
		return backtest.Scope{Last: n}, nil
	}
	return backtest.Scope{Days: n}, nil
}

func scopeValue(s backtest.Scope) string {
	if s.Last > 0 {
		return "last" + strconv.Itoa(s.Last)
	}
	return strconv.Itoa(s.Days)
}

func scopeWords(s backtest.Scope) string {
	switch {
	case s.Last == 1:
		return "the last call"
	case s.Last > 0:
		return "the last " + thousands(s.Last) + " calls"
	case s.Days == 1:
		return "the calls of the last day"
	}
	return fmt.Sprintf("the calls of the last %d days", s.Days)
}

// cancelBacktest ends one that runs.
func (s *Server) cancelBacktest(c echo.Context) error {
	id, err := backtest.ParseID(c.Param("id"))
	if err != nil {
		return err
	}
	err = s.inTenant(c, func(tx pgx.Tx) error { return backtest.Cancel(ctx(c), tx, tenantOf(c), id) })
	if err != nil {
		return err
	}
	return s.seeOther(c, "/draft", "The backtest is cancelled.")
}

// backtestView puts the newest backtest into words, as seen from the draft as it stands.
func (s *Server) backtestView(c echo.Context, tx pgx.Tx, d config.Draft, live config.Set) (page.BacktestView, error) {
	m := memberOf(c)
	v := page.BacktestView{Revision: d.Revision, Runs: m.Can(account.Configure), Scope: strconv.Itoa(backtest.DefaultDays)}
	b, err := backtest.Newest(ctx(c), tx, m.Tenant.ID)
	if err != nil {
		return v, err
	}
	if b == nil {
		some, err := delivery.Examples(ctx(c), tx, m.Tenant, "", 1)
		v.NoCalls = len(some) == 0
		return v, err
	}
	v.ID, v.State, v.Scope, v.Done, v.Total = b.ID.String(), string(b.State), scopeValue(b.Scope), b.Done, b.Total
	v.Progress = thousands(b.Done) + " of " + count(b.Total, "call", "calls")
	v.About = fmt.Sprintf("On %s, against %s, asked for by %s", scopeWords(b.Scope), lowerFirst(versionName(b.Version)), b.By)
	v.When = moment(b.Started, s.Now(), m.Tenant.Zone)
	if b.Result == nil {
		return v, nil
	}
	switch {
	case b.Revision != d.Revision:
		v.Outdated = "The draft was changed since: run it again."
	case b.Version != live.Version:
		v.Outdated = versionName(live.Version) + " went live since: run it again."
	}
	v.Result = s.resultView(c, *b)
	return v, nil
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }

// shownChanges is how many changed calls stand on a page, shownFailures how many that would fail for one reason.
const (
	shownChanges  = 10
	shownFailures = 5
)

func (s *Server) resultView(c echo.Context, b backtest.Backtest) *page.BacktestResult {
	r := *b.Result
	v := &page.BacktestResult{Sentence: resultSentence(r), Notes: resultNotes(r)}
	v.Credits = thousands(perDay(r.Credits.LivePerDay)) + " → " + thousands(perDay(r.Credits.DraftPerDay))
	v.CreditsNote = fmt.Sprintf("Zoho API credits for writing, estimated over %s. Looking callers up costs the same under both.", count(int(math.Ceil(r.Credits.Days)), "day", "days"))
	for _, o := range r.Outcomes {
		row := page.BacktestOutcome{Outcome: o.Outcome, Live: thousands(o.Live), Draft: thousands(o.Draft)}
		if n := o.Draft - o.Live; n > 0 {
			row.Difference = "+" + thousands(n)
		} else if n < 0 {
			row.Difference = "−" + thousands(-n)
		}
		v.Outcomes = append(v.Outcomes, row)
	}
	s.failures(c, v, b)
	s.changes(c, v, b)
	return v
}

// perDay rounds up: what costs something is not shown as nothing.
func perDay(n float64) int { return int(math.Ceil(n)) }

func resultSentence(r backtest.Result) string {
	text := count(r.Calls, "call", "calls") + ", " + thousands(r.Changed) + " would change"
	if r.Failing > 0 {
		text += ", " + thousands(r.Failing) + " would fail"
	}
	return text + "."
}

func resultNotes(r backtest.Result) []string {
	var notes []string
	if r.StillFail > 0 {
		notes = append(notes, count(r.StillFail, "call fails now and with this draft: Zoho refuses a record of it.", "calls fail now and with this draft: Zoho refuses a record of theirs."))
	}
	if r.Mended > 0 {
		notes = append(notes, count(r.Mended, "call that fails now would go through.", "calls that fail now would go through."))
	}
	if r.Reruled > 0 {
		notes = append(notes, count(r.Reruled, "more call is decided by another rule, to the same effect.", "more calls are decided by another rule, to the same effect."))
	}
	if len(r.Unread) > 0 {
		notes = append(notes, "What stands in the Contacts' "+strings.ReplaceAll(strings.Join(r.Unread, ", "), "_", " ")+" was never read, because nothing live maps it: it was taken for empty.")
	}
	if r.Undecided > 0 {
		notes = append(notes, count(r.Undecided, "call was left out: it still waits, or could not be read as a call.", "calls were left out: they still wait, or could not be read as calls."))
	}
	if r.Unreadable > 0 {
		notes = append(notes, count(r.Unreadable, "call was left out: what is stored of it could not be run.", "calls were left out: what is stored of them could not be run."))
	}
	if more := r.Total - r.Calls - r.Undecided - r.Unreadable; more > 0 {
		notes = append(notes, fmt.Sprintf("Of %s, the newest %s were run.", count(r.Total, "call", "calls"), thousands(backtest.MostCalls)))
	}
	return notes
}

// failures gathers the calls that would fail by what they would fail for.
func (s *Server) failures(c echo.Context, v *page.BacktestResult, b backtest.Backtest) {
	m := memberOf(c)
	at := map[string]int{}
	counts := []int{}
	for _, f := range b.Result.Failures {
		for _, r := range f.Reasons {
			key := r.Module + "|" + r.Field + "|" + r.Sentence
			i, known := at[key]
			if !known {
				i = len(v.Failures)
				at[key] = i
				v.Failures = append(v.Failures, page.BacktestFailure{Reason: reasonOf(r.Module, r.Field, r.Sentence)})
				counts = append(counts, 0)
			}
			counts[i]++
			if row := &v.Failures[i]; len(row.Calls) < shownFailures {
				row.Calls = append(row.Calls, page.BacktestRef{Call: "/calls/" + f.ID, Compare: compareHref(b.ID, f.ID), Caller: callerIn(f.CallRef, m.Tenant.Country), When: moment(f.Received, s.Now(), m.Tenant.Zone)})
			}
		}
	}
	for i, n := range counts {
		v.Failures[i].Count = count(n, "call", "calls")
		if more := n - len(v.Failures[i].Calls); more > 0 {
			v.Failures[i].More = "and " + count(more, "older call", "older calls")
		}
	}
	if more := b.Result.Failing - len(b.Result.Failures); more > 0 {
		v.MoreFailures = "The newest " + thousands(len(b.Result.Failures)) + " were looked at; " + count(more, "older call", "older calls") + " would fail too."
	}
}

func reasonOf(module, field, sentence string) page.BacktestReason {
	r := page.BacktestReason{Sentence: sentence, Href: rowHref(module, field), Label: module}
	if field != "" {
		r.Label += ": " + strings.ReplaceAll(field, "_", " ")
	}
	return r
}

func compareHref(id backtest.ID, of string) string {
	return "/backtests/" + id.String() + "/calls/" + of
}

// callerIn names a caller as the log does.
func callerIn(ref backtest.CallRef, country string) string {
	if ref.Name != "" {
		return ref.Name
	}
	if number := call.Phone(ref.Number).Display(country); number != "" {
		return number
	}
	return "Hidden number"
}

// changes lists a page of the changed calls: all, or those of the move that the address names.
func (s *Server) changes(c echo.Context, v *page.BacktestResult, b backtest.Backtest) {
	r, m := b.Result, memberOf(c)
	chosen, err := strconv.Atoi(c.QueryParam("move"))
	if err != nil || chosen < 0 || chosen >= len(r.Moves) {
		chosen = -1
	}
	all, counted := r.Changes, r.Changed
	for i, move := range r.Moves {
		row := page.BacktestMove{From: move.From, To: move.To, Calls: thousands(move.Calls), Href: "/draft?move=" + strconv.Itoa(i) + "#changed", Current: i == chosen}
		if row.Current {
			row.Href, counted = "/draft#changed", move.Calls
			all = slices.DeleteFunc(slices.Clone(all), func(c backtest.CallChange) bool { return c.Live.Outcome != move.From || c.Draft.Outcome != move.To })
		}
		v.Moves = append(v.Moves, row)
	}
	at, err := strconv.Atoi(c.QueryParam("at"))
	if err != nil || at < 0 || at >= len(all) {
		at = 0
	}
	end := min(at+shownChanges, len(all))
	for _, change := range all[at:end] {
		v.Changes = append(v.Changes, page.BacktestChange{Call: "/calls/" + change.ID, Compare: compareHref(b.ID, change.ID), Caller: callerIn(change.CallRef, m.Tenant.Country),
			When: moment(change.Received, s.Now(), m.Tenant.Zone), From: change.Live.Outcome, To: change.Draft.Outcome, FromRule: change.Live.Rule, ToRule: change.Draft.Rule,
			Failing: change.Live.Fails, Fails: change.Draft.Fails, Differs: differs(change.Records)})
	}
	link := func(at int) string {
		q := url.Values{}
		if chosen >= 0 {
			q.Set("move", strconv.Itoa(chosen))
		}
		q.Set("at", strconv.Itoa(at))
		return "/draft?" + q.Encode() + "#changed"
	}
	if at > 0 {
		v.Pager.Newer = link(max(0, at-shownChanges))
	}
	if end < len(all) {
		v.Pager.Older = link(end)
	}
	if len(all) > shownChanges {
		v.Pager.Text = fmt.Sprintf("%d to %d of %s, newest first", at+1, end, thousands(len(all)))
	}
	if len(all) < counted {
		v.Shown = fmt.Sprintf("%s would change; the newest %s of all changed calls are kept for looking at.", count(counted, "call", "calls"), thousands(len(r.Changes)))
	}
}

// differs says in a few lines what becomes of a call's records.
func differs(records []backtest.RecordChange) []string {
	const most = 4
	var out []string
	for _, r := range records {
		name := singularOf(r.Module)
		switch r.What {
		case backtest.Added:
			out = append(out, name+" "+written(r.Action))
		case backtest.Dropped:
			out = append(out, name+" no longer "+written(r.Action))
		default:
			for _, f := range r.Fields {
				out = append(out, fmt.Sprintf("%s, %s: %s → %s", name, f.Label, quotedOr(f.Old), quotedOr(f.New)))
			}
		}
	}
	if more := len(out) - most; more > 0 {
		out = append(out[:most], fmt.Sprintf("and %d more", more))
	}
	return out
}

func written(action string) string {
	if action == mapping.Update {
		return "changed"
	}
	return "created"
}

func quotedOr(text string) string {
	if text == "" {
		return "nothing"
	}
	return "“" + clipped(text, 60) + "”"
}

// backtestCall shows one call by what was live and by the draft of a backtest, side by side, worked out anew.
func (s *Server) backtestCall(c echo.Context) error {
	id, err := backtest.ParseID(c.Param("id"))
	if err != nil {
		return err
	}
	callID, err := call.ParseID(c.Param("call"))
	if err != nil {
		return errNoSuchCall
	}
	m := memberOf(c)
	known, err := s.Zoho.Known(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	var b backtest.Backtest
	var live, draft config.Set
	var facts routing.Facts
	err = s.inTenant(c, func(tx pgx.Tx) error {
		if b, err = backtest.Read(ctx(c), tx, m.Tenant.ID, id); err != nil {
			return err
		}
		if facts, err = delivery.FactsOf(ctx(c), tx, m.Tenant.ID, callID); err != nil {
			return err
		}
		if live, err = config.At(ctx(c), tx, m.Tenant.ID, b.Version); err != nil {
			return err
		}
		draft, err = config.Revision(ctx(c), tx, m.Tenant.ID, b.Revision)
		return err
	})
	if err != nil {
		return err
	}
	facts.LocalTime, facts.DecidedAt = facts.LocalTime.In(m.Tenant.Zone), facts.DecidedAt.In(m.Tenant.Zone)
	v := compareView(backtest.Compare(live, draft, facts, known))
	v.Live.Name, v.Draft.Name = "Live: "+lowerFirst(versionName(b.Version)), "Draft"
	v.Call = "/calls/" + callID.String()
	v.Title = callerIn(backtest.CallRef{Name: nameIn(facts), Number: string(facts.Call.Customer())}, m.Tenant.Country)
	v.Frame = s.frame(c, v.Title, "rules")
	return s.page(c, http.StatusOK, page.BacktestCall(v))
}

func nameIn(f routing.Facts) string {
	if name := strings.TrimSpace(f.Call.FirstName + " " + f.Call.LastName); name != "" {
		return name
	}
	if p := f.Match.Person(); p != nil {
		return p.Name
	}
	return f.Call.CallerName
}

func compareView(change backtest.Change) page.BacktestCallView {
	v := page.BacktestCallView{Same: !change.Changes, Live: sideView(change.Live, change.Draft), Draft: sideView(change.Draft, change.Live)}
	for _, p := range change.Failures {
		v.Reasons = append(v.Reasons, reasonOf(p.Module, p.Field, p.Sentence))
	}
	whats := map[string]string{backtest.Added: "only with the draft", backtest.Dropped: "only now", backtest.Changed: ""}
	for _, r := range change.Records {
		record := page.BacktestRecord{Name: singularOf(r.Module), What: whats[r.What]}
		for _, f := range r.Fields {
			record.Fields = append(record.Fields, page.BacktestField{Label: f.Label, Old: f.Old, New: f.New})
		}
		v.Records = append(v.Records, record)
	}
	return v
}

func sideView(side, other backtest.Side) page.BacktestSide {
	d := side.Decision
	v := page.BacktestSide{Outcome: side.Outcome, Rule: side.Rule, Credits: count(side.Credits, "credit", "credits"), Fails: side.Fails, Lines: d.Trace.Notes}
	if d.Trace.RunnerUp != "" {
		v.Lines = append(slices.Clip(v.Lines), d.Trace.RunnerUp)
	}
	for _, r := range d.Trace.Rules {
		i := slices.IndexFunc(other.Decision.Trace.Rules, func(o routing.RuleTrace) bool { return o.ID == r.ID })
		v.Rules = append(v.Rules, page.BacktestRule{CallRule: ruleView(r), Differs: i < 0 || !reflect.DeepEqual(other.Decision.Trace.Rules[i], r)})
	}
	return v
}
