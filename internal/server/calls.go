package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/intake"
	"hookline/internal/tenant"
	"hookline/web/page"
	"hookline/web/ui"
)

// callsPage is how many calls a page of the log holds.
const callsPage = 50

// calls shows the log. htmx gets the list alone.
func (s *Server) calls(c echo.Context) error {
	f, shown := s.readFilter(c)
	seen, _ := time.Parse(time.RFC3339Nano, c.QueryParam("seen"))
	newest := f.Cursor == "" && f == (delivery.Filter{Limit: callsPage})
	if newest && !seen.IsZero() {
		f.Until = seen.Add(time.Microsecond) // PostgreSQL's own step
	}
	var found delivery.Page
	var err error
	if shown.Error == "" {
		if found, err = delivery.ListCalls(ctx(c), s.DB, memberOf(c).Tenant, f); err != nil {
			return err
		}
	}
	log := page.CallsLog{CanReplay: memberOf(c).Can(account.Operate), Rows: s.callRows(c, found.Calls)}
	if newest {
		if err := s.keepFresh(c, &log, found.Calls, seen); err != nil {
			return err
		}
	}
	query := c.QueryParams()
	if found.Next != "" {
		log.Older = "/calls?" + with(query, "cursor", found.Next, "seen", "").Encode()
	}
	if f.Cursor != "" {
		log.Newest = "/calls?" + with(query, "cursor", "").Encode()
	}
	filtered := with(query, "cursor", "", "seen", "")
	for name, values := range filtered {
		if values[0] == "" {
			delete(filtered, name)
		}
	}
	if len(log.Rows) == 0 {
		if log.Empty, err = s.emptyLog(c, len(filtered) > 0 || f.Cursor != ""); err != nil {
			return err
		}
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return s.page(c, http.StatusOK, page.CallsList(log))
	}
	view := page.CallsView{Frame: s.frame(c, "Calls", "calls"), Filter: shown, Filtered: len(filtered) > 0, Log: log}
	view.Frame.Query = shown.Query
	if view.Statuses, err = s.statusChips(c, filtered); err != nil {
		return err
	}
	if err := s.filterChoices(c, &view.Filter); err != nil {
		return err
	}
	if len(log.Rows) > 0 {
		view.Export = "/calls/export?" + filtered.Encode()
	}
	status := http.StatusOK
	if shown.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	return s.page(c, status, page.Calls(view))
}

// keepFresh tells the list how it renews itself, and how many newer calls it holds back.
func (s *Server) keepFresh(c echo.Context, log *page.CallsLog, rows []delivery.Row, seen time.Time) error {
	log.Live = "/calls"
	if len(rows) == 0 && seen.IsZero() {
		log.Quiet = log.Live
		return nil
	}
	top := seen
	if top.IsZero() {
		top = rows[0].ReceivedAt
	}
	log.Quiet = "/calls?seen=" + url.QueryEscape(top.UTC().Format(time.RFC3339Nano))
	if seen.IsZero() {
		return nil
	}
	newer, err := delivery.ListCalls(ctx(c), s.DB, memberOf(c).Tenant, delivery.Filter{Since: seen.Add(time.Microsecond), Limit: 100})
	if err != nil {
		return err
	}
	switch n := len(newer.Calls); {
	case newer.Next != "":
		log.Fresh = "More than 100 new calls"
	case n > 0:
		log.Fresh = count(n, "new call", "new calls")
	}
	return nil
}

// with is a copy of a query with some values set; an empty one is taken out.
func with(query url.Values, pairs ...string) url.Values {
	changed := url.Values{}
	for name, values := range query {
		changed[name] = values
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			changed.Del(pairs[i])
		} else {
			changed.Set(pairs[i], pairs[i+1])
		}
	}
	return changed
}

// readFilter reads the address. What cannot be read is said beside the filter, which keeps what was typed.
func (s *Server) readFilter(c echo.Context) (delivery.Filter, page.CallsFilter) {
	shown := page.CallsFilter{
		Query: strings.TrimSpace(c.QueryParam("q")), Status: c.QueryParam("status"), Source: c.QueryParam("source"), Rule: c.QueryParam("rule"),
		Days: c.QueryParam("days"), From: c.QueryParam("from"), To: c.QueryParam("to"),
	}
	f := delivery.Filter{Status: shown.Status, Rule: shown.Rule, Q: shown.Query, Cursor: c.QueryParam("cursor"), Limit: callsPage}
	zone := memberOf(c).Tenant.Zone
	today := midnight(s.Now().In(zone))
	switch days, err := strconv.Atoi(shown.Days); {
	case shown.Days == "":
	case err != nil || days < 1 || days > 366:
		shown.Error = "Choose a span of 1 to 366 days."
	default:
		f.Since = today.AddDate(0, 0, 1-days)
	}
	if day, ok := readDay(shown.From, zone); ok {
		f.Since = day
	} else if shown.From != "" {
		shown.Error = "The first day could not be read. Write it as 2026-03-02."
	}
	if day, ok := readDay(shown.To, zone); ok {
		f.Until = day.AddDate(0, 0, 1)
	} else if shown.To != "" {
		shown.Error = "The last day could not be read. Write it as 2026-03-02."
	}
	if shown.Source != "" {
		id, err := uuid.Parse(shown.Source)
		if err != nil {
			shown.Error = "There is no such source."
		}
		f.Source = id
	}
	return f, shown
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

func readDay(text string, zone *time.Location) (time.Time, bool) {
	day, err := time.ParseInLocation(time.DateOnly, text, zone)
	return day, err == nil
}

var periods = []ui.Option{{Value: "", Label: "Any time"}, {Value: "1", Label: "Today"}, {Value: "7", Label: "Last 7 days"}, {Value: "30", Label: "Last 30 days"}, {Value: "90", Label: "Last 90 days"}}

// filterChoices are what the filter offers: the tenant's sources, and the rules that stand now.
func (s *Server) filterChoices(c echo.Context, f *page.CallsFilter) error {
	f.Periods = periods
	f.Sources = []ui.Option{{Value: "", Label: "All sources"}}
	f.Rules = []ui.Option{{Value: "", Label: "All rules"}}
	sources, err := s.Sources.List(ctx(c), tenantOf(c))
	if err != nil {
		return err
	}
	for _, src := range sources {
		f.Sources = append(f.Sources, ui.Option{Value: src.ID.String(), Label: src.Name})
	}
	live, err := s.liveConfig(c)
	if err != nil {
		return err
	}
	listed := f.Rule == ""
	for _, r := range live.Rules.Rules {
		f.Rules = append(f.Rules, ui.Option{Value: r.Name})
		listed = listed || r.Name == f.Rule
	}
	if !listed { // a rule of earlier days
		f.Rules = append(f.Rules, ui.Option{Value: f.Rule})
	}
	return nil
}

// statusChips narrow the list by status, and count what is not as it should be.
func (s *Server) statusChips(c echo.Context, query url.Values) ([]ui.ChipProps, error) {
	h, err := delivery.HealthOf(ctx(c), s.DB, tenantOf(c))
	if err != nil {
		return nil, err
	}
	now := query.Get("status")
	var chips []ui.ChipProps
	for _, status := range []string{"", delivery.NeedsAttention, delivery.Held, delivery.Received, delivery.Delivering, delivery.Delivered, delivery.Ignored} {
		chip := ui.ChipProps{Label: "All", Href: "/calls?" + with(query, "status", status).Encode(), Current: now == status}
		if status != "" {
			chip.Label = ui.StatusText(status)
		}
		switch {
		case status == delivery.NeedsAttention && h.NeedsYou > 0:
			chip.Count = bounded(h.NeedsYou)
		case status == delivery.Held && h.Hold != "" && h.Waiting > 0:
			chip.Count = bounded(h.Waiting)
		case status == delivery.Held && now != status && h.Hold == "":
			continue // nothing can be held
		}
		chips = append(chips, chip)
	}
	return chips, nil
}

// bounded writes a count of delivery.Health.
func bounded(n int) string {
	if n >= delivery.MostCounted {
		return thousands(delivery.MostCounted) + "+"
	}
	return thousands(n)
}

// emptyLog says why there is no call, and what to do next.
func (s *Server) emptyLog(c echo.Context, filtered bool) (ui.EmptyProps, error) {
	if filtered {
		return ui.EmptyProps{Top: true, Icon: "search", Title: "No call fits", Text: "Nothing in your log fits what you are looking for. A number can be typed in any spelling.",
			Acts: ui.Link(ui.LinkProps{Label: "Clear filters", Href: "/calls"})}, nil
	}
	h, err := delivery.HealthOf(ctx(c), s.DB, tenantOf(c))
	if err != nil {
		return ui.EmptyProps{}, err
	}
	sources, err := s.Sources.List(ctx(c), tenantOf(c))
	switch {
	case err != nil:
		return ui.EmptyProps{}, err
	case len(sources) == 0:
		return ui.EmptyProps{Top: true, Icon: "webhook", Title: "No calls yet", Text: "Calls come from a source: the address that your phone system posts to. Add one, and each call appears here within seconds.",
			Acts: ui.Link(ui.LinkProps{Label: "Add a source", Href: "/sources", Kind: "primary"})}, nil
	case h.Link != "connected":
		return ui.EmptyProps{Top: true, Icon: "phone-incoming", Title: "No calls yet", Text: "Your source is ready. Connect Zoho, too: calls that come before are kept and delivered then.",
			Acts: ui.Link(ui.LinkProps{Label: "Connect Zoho", Href: "/zoho", Kind: "primary"})}, nil
	}
	return ui.EmptyProps{Top: true, Icon: "phone-incoming", Title: "No calls yet", Text: "Everything is ready. The next call appears here by itself; or send a test call.",
		Acts: page.HomeTestCall(s.testCallAction(c), "primary")}, nil
}

func (s *Server) callRows(c echo.Context, calls []delivery.Row) []page.CallRow {
	rows := make([]page.CallRow, len(calls))
	for i, r := range calls {
		rows[i] = s.callRow(r, memberOf(c).Tenant)
	}
	return rows
}

func (s *Server) callRow(r delivery.Row, t tenant.Tenant) page.CallRow {
	return page.CallRow{
		ID: r.ID.String(), Href: "/calls/" + r.ID.String(), When: moment(r.ReceivedAt, s.Now(), t.Zone), Name: r.Name,
		Number: callerOf(r, t.Country), Intent: intentOf(r.Intent), Summary: r.Summary, Outcome: outcomeOf(r), Rule: r.Rule,
		Took: tookToZoho(r), Status: r.Status, Test: r.Test,
	}
}

// callerOf is what a call is called by when nobody's name is known.
func callerOf(r delivery.Row, country string) string {
	if r.Number == "" && strings.HasPrefix(r.ProviderCallID, "event:") {
		return "Unreadable call" // nothing is known of who called, not even that the number is hidden
	}
	return numberOf(r.Number, country)
}

// numberOf writes a number for people of a country.
func numberOf(p call.Phone, country string) string {
	if p == "" {
		return "Hidden number"
	}
	return p.Display(country)
}

// intentOf writes a provider's intent as a word: pricing_request becomes Pricing request.
func intentOf(intent string) string {
	words := []rune(strings.Join(strings.FieldsFunc(intent, func(r rune) bool { return r == '_' || r == '-' || r == ' ' }), " "))
	if len(words) == 0 {
		return ""
	}
	if len(words) > 40 {
		words = append(words[:39], '…')
	}
	return strings.ToUpper(string(words[:1])) + string(words[1:])
}

// outcomeOf is what came of a call, or why nothing has yet.
func outcomeOf(r delivery.Row) string {
	switch {
	case (r.Status == delivery.Held || r.Status == delivery.NeedsAttention) && r.Reason != "":
		return r.Reason
	case r.Outcome != "":
		return r.Outcome
	case r.Status == delivery.Received:
		return "Waits for its turn"
	case r.Status == delivery.Delivering:
		return "Being worked on"
	}
	return ""
}

func tookToZoho(r delivery.Row) string {
	if r.Status != delivery.Delivered || r.DeliveredAt.IsZero() {
		return ""
	}
	return took(max(0, r.DeliveredAt.Sub(r.ReceivedAt)))
}

// mostReplayed bounds how many calls one answer sends through again.
const mostReplayed = 200

// replayForm asks before calls are sent through again: those that were chosen (id), or those that need somebody over
// the same thing as one of them (like).
func (s *Server) replayForm(c echo.Context) error {
	m := memberOf(c)
	ids, err := readCallIDs(c.QueryParams()["id"])
	if err != nil {
		return err
	}
	cancel := "/calls"
	if like := c.QueryParam("like"); like != "" {
		id, err := call.ParseID(like)
		if err != nil {
			return errNoSuchCall
		}
		if _, err := delivery.RowOf(ctx(c), s.DB, m.Tenant.ID, id); err != nil {
			return err
		}
		if ids, err = delivery.Alike(ctx(c), s.DB, m.Tenant.ID, id, mostReplayed); err != nil {
			return err
		}
		cancel = "/calls/" + id.String()
	} else if len(ids) == 1 {
		cancel = "/calls/" + ids[0].String()
	}
	view := page.ReplayView{Frame: s.frame(c, "Replay", "calls"), Cancel: cancel, Config: c.QueryParam("config"),
		Text: "Choose calls that are delivered, ignored or need you. Those on their way need no replay."}
	skipped := 0
	for _, id := range ids {
		r, err := delivery.RowOf(ctx(c), s.DB, m.Tenant.ID, id)
		if err != nil {
			return err
		}
		if r.Status != delivery.Delivered && r.Status != delivery.Ignored && r.Status != delivery.NeedsAttention {
			skipped++
			continue
		}
		view.IDs = append(view.IDs, id.String())
		if len(view.Names) < 5 {
			row := s.callRow(r, m.Tenant)
			name := row.Number
			if row.Name != "" {
				name = row.Name + ", " + row.Number
			}
			view.Names = append(view.Names, name+", "+row.When.Text)
		}
	}
	replayed, err := readCallIDs(view.IDs)
	if err != nil {
		return err
	}
	choices, err := s.choices(ctx(c), m.Tenant, replayed)
	if err != nil {
		return err
	}
	if len(replayed) == 1 && len(choices) == 1 {
		view.Choice = choiceView(choices[0])
	} else {
		view.Many = otherwise(choices)
	}
	n := len(view.IDs)
	if n > len(view.Names) {
		view.More = "and " + thousands(n-len(view.Names)) + " more"
	}
	if n > 0 {
		view.Title = "Replay " + count(n, "call", "calls") + "?"
		view.Text = "What already stands in Zoho is kept and not repeated. This takes at most " + count(8*n, "Zoho API credit", "Zoho API credits") + " and usually " + replayTime(n) + "."
	}
	if skipped > 0 {
		view.Skipped = count(skipped, "call is", "calls are") + " on the way already and left out."
	}
	return s.page(c, http.StatusOK, page.Replay(view))
}

// replayTime says how long so many calls take: about one second each, four callers at once.
func replayTime(n int) string {
	if n <= 20 {
		return "a few seconds"
	}
	if n <= 200 {
		return "less than a minute"
	}
	return "a few minutes"
}

var errNoSuchCall = fault.New(fault.NotFound, "There is no such call.")

// readCallIDs reads the ids of a form, each once.
func readCallIDs(texts []string) ([]call.ID, error) {
	if len(texts) > mostReplayed {
		return nil, fault.Newf(fault.Invalid, "At most %d calls are replayed at a time.", mostReplayed)
	}
	var ids []call.ID
	known := map[call.ID]bool{}
	for _, text := range texts {
		id, err := call.ParseID(text)
		if err != nil {
			return nil, errNoSuchCall
		}
		if !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// replay sends calls through again.
func (s *Server) replay(c echo.Context) error {
	form, err := c.FormParams()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The form could not be read. Go back and try again.")
	}
	ids, err := readCallIDs(form["id"])
	if err != nil {
		return err
	}
	config := form.Get("config")
	if config == "" {
		config = delivery.ConfigCurrent
	}
	did, err := s.sendAgain(ctx(c), tenantOf(c), ids, config, memberOf(c).Email)
	if err != nil {
		return err
	}
	back := localPath(form.Get("back"))
	for was, is := range did.moved {
		if back == "/calls/"+was.String() {
			back = "/calls/" + is.String()
		}
	}
	return s.seeOther(c, back, did.sentence())
}

// replayed is what became of calls that were to be sent through again.
type replayed struct {
	sent    int                 // on their way
	passed  int                 // on their way already
	unread  []string            // what is wrong with the events that still cannot be read
	ignored int                 // events that can be read now and tell of no call
	moved   map[call.ID]call.ID // the id that a call is found under now, where that is another
}

func (r replayed) sentence() string {
	said := "No call was replayed."
	if r.sent > 0 {
		said = count(r.sent, "call is on its way again.", "calls are on their way again.")
	}
	if r.passed > 0 {
		said += " " + count(r.passed, "was", "were") + " on the way already."
	}
	switch n := len(r.unread); {
	case n == 1:
		said += " 1 still cannot be read: " + r.unread[0]
	case n > 1:
		said += " " + thousands(n) + " still cannot be read. Each of them says why."
	}
	if r.ignored > 0 {
		said += " " + count(r.ignored, "event tells", "events tell") + " of no call."
	}
	return said
}

// sendAgain replays calls: all are there, or nothing happens. Of a call whose event could not be read, the event is
// read again, with its source's present settings.
func (s *Server) sendAgain(ctx context.Context, t tenant.ID, ids []call.ID, config, actor string) (replayed, error) {
	did := replayed{moved: map[call.ID]call.ID{}}
	ids = slices.Clone(ids)
	mended := false
	for i, id := range ids {
		now, err := intake.CallOf(ctx, s.DB, t, id)
		if err != nil {
			return did, err
		}
		if now != id {
			did.moved[id], ids[i] = now, now
		}
		r, err := delivery.RowOf(ctx, s.DB, t, now)
		if err != nil {
			return did, err
		}
		mended = mended || r.Status == delivery.NeedsAttention
	}
	if mended { // perhaps in Zoho: what was remembered of its fields may be what is wrong
		for _, module := range []string{"Leads", "Contacts", "Deals", "Calls"} {
			if err := s.Zoho.Forget(ctx, t, module); err != nil {
				return did, err
			}
		}
	}
	for _, id := range ids {
		again, err := s.Sources.ReadAgain(ctx, t, id, actor)
		switch {
		case err != nil:
			return did, err
		case again.Read():
			did.sent++
			did.moved[id] = again.Call
			continue
		case again.Problem != "":
			did.unread = append(did.unread, again.Problem)
			continue
		case again.Ignored != "":
			did.ignored++
			continue
		}
		switch err := delivery.Replay(ctx, s.DB, t, id, config, actor); {
		case fault.KindOf(err) == fault.Conflict:
			did.passed++
		case err != nil:
			return did, err
		default:
			did.sent++
		}
	}
	s.ring(t)
	return did, nil
}

// settle takes what a person found out about a record whose answer from Zoho was lost.
func (s *Server) settle(c echo.Context) error {
	id, err := call.ParseID(c.Param("id"))
	if err != nil {
		return errNoSuchCall
	}
	t := tenantOf(c)
	if _, err := delivery.RowOf(ctx(c), s.DB, t, id); err != nil {
		return err
	}
	if err := delivery.Settle(ctx(c), s.DB, t, id, c.FormValue("slot"), c.FormValue("zoho_id"), memberOf(c).Email); err != nil {
		return err
	}
	s.ring(t)
	return s.seeOther(c, "/calls/"+id.String(), "Thank you. The call goes on from there.")
}

// putAway takes a person's word that they took care of a call.
func (s *Server) putAway(c echo.Context) error {
	id, err := call.ParseID(c.Param("id"))
	if err != nil {
		return errNoSuchCall
	}
	if err := delivery.PutAway(ctx(c), s.DB, tenantOf(c), id, memberOf(c).Email); err != nil {
		return err
	}
	return s.seeOther(c, "/calls/"+id.String(), "Put away. Nothing more is written for this call, unless it is replayed.")
}

// ring tells the lane that there is work.
func (s *Server) ring(t tenant.ID) {
	if s.Bell != nil {
		s.Bell.Ring(t)
	}
}

// mostExported bounds a CSV file.
const mostExported = 50_000

// exportCalls writes the calls that the filter leaves as CSV. Spreadsheets run what begins like a formula, so such
// text gets a quote in front (OWASP, "CSV Injection").
func (s *Server) exportCalls(c echo.Context) error {
	f, shown := s.readFilter(c)
	if shown.Error != "" {
		return fault.New(fault.Invalid, shown.Error)
	}
	f.Limit, f.Cursor = 200, ""
	m := memberOf(c)
	found, err := delivery.ListCalls(ctx(c), s.DB, m.Tenant, f)
	if err != nil {
		return err
	}
	if err := s.inTenant(c, func(tx pgx.Tx) error {
		return account.Audit(ctx(c), tx, m.Tenant.ID, m.Email, "calls.exported", "", nil)
	}); err != nil {
		return err
	}
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	w.Header().Set(echo.HeaderContentDisposition, `attachment; filename="hookline-calls-`+s.Now().In(m.Tenant.Zone).Format(time.DateOnly)+`.csv"`)
	w.WriteHeader(http.StatusOK)
	line := func(cells ...string) error {
		for i, cell := range cells {
			cells[i] = csvCell(cell)
		}
		_, err := w.Write([]byte(strings.Join(cells, ",") + "\r\n"))
		return err
	}
	if err := line("received", "name", "number", "direction", "intent", "summary", "outcome", "rule", "seconds_to_zoho", "status", "talk_seconds", "source", "zoho_ids", "test", "call_id"); err != nil {
		return err
	}
	for written := 0; ; {
		for _, r := range found.Calls {
			toZoho := ""
			if r.Status == delivery.Delivered && !r.DeliveredAt.IsZero() {
				toZoho = strconv.FormatFloat(max(0, r.DeliveredAt.Sub(r.ReceivedAt).Seconds()), 'f', 1, 64)
			}
			err := line(r.ReceivedAt.In(m.Tenant.Zone).Format(time.RFC3339), r.Name, string(r.Number), string(r.Direction), r.Intent, r.Summary,
				outcomeOf(r), r.Rule, toZoho, r.Status, strconv.Itoa(int(r.Talk.Seconds())), r.Source, strings.Join(r.ZohoIDs, " "),
				strconv.FormatBool(r.Test), r.ID.String())
			if err != nil {
				return err
			}
		}
		written += len(found.Calls)
		if found.Next == "" || written >= mostExported {
			return nil
		}
		f.Cursor = found.Next
		if found, err = delivery.ListCalls(ctx(c), s.DB, m.Tenant, f); err != nil {
			return errors.Join(err, http.ErrAbortHandler) // the file is cut: the browser must notice
		}
	}
}

func csvCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		text = "'" + text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
