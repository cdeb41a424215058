package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/connection"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/identity"
	"hookline/internal/intake"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// call shows one call. htmx gets its story alone.
func (s *Server) call(c echo.Context) error {
	id, err := call.ParseID(c.Param("id"))
	if err != nil {
		return errNoSuchCall
	}
	m := memberOf(c)
	story, err := delivery.ShowCall(ctx(c), s.DB, s.Keys, m.Tenant.ID, id)
	if fault.KindOf(err) == fault.NotFound {
		now, lost := intake.CallOf(ctx(c), s.DB, m.Tenant.ID, id)
		if lost != nil {
			return lost
		}
		if now != id {
			return c.Redirect(http.StatusSeeOther, "/calls/"+now.String())
		}
	}
	if err != nil {
		return err
	}
	raw, err := intake.RawEvents(ctx(c), s.DB, s.Keys, m.Tenant.ID, id)
	if err != nil {
		return err
	}
	link, err := s.Zoho.Get(ctx(c), m.Tenant.ID)
	if err != nil {
		return err
	}
	alike := 0
	if story.Status == delivery.NeedsAttention && m.Can(account.Operate) {
		same, err := delivery.Alike(ctx(c), s.DB, m.Tenant.ID, id, mostReplayed)
		if err != nil {
			return err
		}
		alike = len(same)
	}
	t := teller{story: story, link: link, member: m, now: s.Now(), alike: alike}
	view := t.view(raw)
	if c.Request().Header.Get("HX-Request") != "" {
		return s.page(c, http.StatusOK, page.CallStory(view))
	}
	view.Frame = s.frame(c, view.Title, "calls")
	return s.page(c, http.StatusOK, page.Call(view))
}

// rawEvent is one webhook of a call as a file: never a page, whatever it holds.
func (s *Server) rawEvent(c echo.Context) error {
	id, err := call.ParseID(c.Param("id"))
	if err != nil {
		return errNoSuchCall
	}
	events, err := intake.RawEvents(ctx(c), s.DB, s.Keys, tenantOf(c), id)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.ID.String() == c.Param("event") && !e.Gone {
			h := c.Response().Header()
			h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
			h.Set(echo.HeaderContentDisposition, `attachment; filename="event-`+e.ID.String()+`.txt"`)
			return c.Blob(http.StatusOK, "text/plain; charset=utf-8", []byte(e.Body))
		}
	}
	return fault.New(fault.NotFound, "There is no such event.")
}

// teller puts a call's story into words.
type teller struct {
	story  delivery.Story
	link   connection.Connection
	member account.Member
	now    time.Time
	alike  int // calls that need somebody over the same thing, this one included
}

func (t *teller) moment(at time.Time) ui.TimeProps { return moment(at, t.now, t.member.Tenant.Zone) }

func (t *teller) view(raw []intake.RawEvent) page.CallView {
	s := t.story
	v := page.CallView{
		ID: s.ID.String(), Number: callerOf(s.Row, t.member.Tenant.Country), Status: s.Status, Test: s.Test, Back: "/calls",
		Summary: s.Call.Summary, Timeline: t.timeline(), Facts: t.facts(), Answers: answers(s.Call.Answers), Cause: t.cause(),
		Links: t.links(), Decision: t.decision(), Records: t.records(), Attempts: t.attempts(), Raw: t.raw(raw),
		Record: webAddress(s.Call.RecordingURL),
	}
	if v.Title = s.Name; v.Title == "" {
		v.Title = v.Number
	}
	v.Turns, v.Late = t.turns()
	if s.Decisions > 1 {
		v.Earlier = fmt.Sprintf("Decided %d times: a replay may decide afresh. This is the decision that stands.", s.Decisions)
	}
	if s.Status == delivery.Delivered || s.Status == delivery.Ignored {
		v.Outcome = s.Outcome
	}
	switch s.Status {
	case delivery.Delivered, delivery.Ignored, delivery.NeedsAttention:
		if t.member.Can(account.Operate) {
			v.Replay = "/calls/replay?id=" + v.ID
		}
	}
	return v
}

// webAddress lets through what leads to the web, and nothing that a browser would run.
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}

func (t *teller) timeline() []ui.Event {
	s := t.story
	var events []ui.Event
	for i, stage := range s.Stages {
		e := ui.Event{Tone: ui.Good, When: t.moment(stage.At)}
		if i > 0 {
			e.Took = "after " + took(stage.Took)
		}
		switch stage.Name {
		case "received":
			e.Title, e.Icon = "Received and checked", "inbox"
			e.Text = "From " + s.Source + ", stored before the answer."
			if s.Revision > 1 {
				e.Text += " " + count(s.Revision, "event", "events") + " tell of this call."
			}
		case "asked Zoho":
			e.Title, e.Icon = "Looked up in Zoho", "search"
			if s.Decision != nil {
				e.Text = matchSentence(s.Decision.Facts.Match)
			}
		case "decided":
			e.Title, e.Icon = "Decided", "split"
			if s.Decision != nil {
				e.Text = s.Decision.Decision.Name + " → " + t.decided()
			}
		case "delivered":
			e.Title, e.Took = "Delivered", ""
			e.Text = took(max(0, s.DeliveredAt.Sub(s.ReceivedAt))) + " from the webhook to the last record in Zoho."
		default:
			module, what, _ := strings.Cut(stage.Name, " ")
			e.Title, e.Icon = singularOf(module)+" "+what+" in Zoho", "cloud"
		}
		events = append(events, e)
	}
	switch s.Status {
	case delivery.Received, delivery.Delivering:
		e := ui.Event{Tone: ui.Busy, Title: "Waits for its turn", Icon: "loader-circle"}
		if s.Status == delivery.Delivering {
			e.Title = "Being worked on"
		}
		if s.NextTry.After(t.now) {
			e.Text = "Goes on at " + s.NextTry.In(t.member.Tenant.Zone).Format("15:04:05 MST") + "."
		}
		if s.Behind != (call.ID{}) {
			e = ui.Event{Tone: ui.Warn, Title: "Waits for an earlier call of this caller", Icon: "circle-pause",
				Text: "Of that call a record may or may not be in Zoho. Once you have said which, this one follows.",
				More: ui.Link(ui.LinkProps{Label: "To that call", Href: "/calls/" + s.Behind.String()})}
		}
		events = append(events, e)
	case delivery.Held:
		events = append(events, ui.Event{Tone: ui.Warn, Title: "Held", Icon: "circle-pause", Text: s.Reason})
	case delivery.NeedsAttention:
		events = append(events, ui.Event{Tone: ui.Bad, Title: "Needs you", Text: s.Reason})
	case delivery.Ignored:
		if s.Outcome == delivery.OutcomePutAway {
			events = append(events, ui.Event{Title: s.Outcome, Icon: "circle-check", Text: "Nothing more is written to Zoho. The call can still be replayed."})
			break
		}
		events = append(events, ui.Event{Title: "Kept, nothing written", Icon: "circle-slash", Text: "A rule says that calls like this are not written to Zoho."})
	}
	return events
}

// decided is what was decided: as a plan, until it stands in Zoho.
func (t *teller) decided() string {
	outcome := t.story.Decision.Decision.Outcome
	switch {
	case t.story.Status == delivery.Delivered, t.story.Status == delivery.Ignored, t.story.Decision.Decision.Handed != "":
		return outcome
	}
	return "planned: " + outcome
}

func (t *teller) facts() []ui.KV {
	s, c := t.story, t.story.Call
	country := t.member.Tenant.Country
	facts := []ui.KV{
		{Key: "Caller", Value: numberOf(c.From, country)},
		{Key: "Called", Value: c.To.Display(country)},
		{Key: "Direction", Value: directionOf(c)},
	}
	add := func(key, value string) {
		if value != "" {
			facts = append(facts, ui.KV{Key: key, Value: value})
		}
	}
	add("Name", strings.TrimSpace(c.FirstName+" "+c.LastName))
	if c.FirstName+c.LastName == "" {
		add("Name", c.CallerName)
	}
	add("Company", c.Company)
	add("E-mail", c.Email)
	add("Wanted", intentOf(c.Intent))
	if !c.StartedAt.IsZero() {
		facts = append(facts, ui.KV{Key: "Began", Shown: ui.Time(t.moment(c.StartedAt))})
	}
	if c.Duration > 0 {
		add("Talk time", took(c.Duration.Truncate(time.Second)))
	}
	add("Answered by", c.Agent)
	add("Source", s.Source)
	return append(facts,
		ui.KV{Key: "Provider's id", Value: s.ProviderCallID, Mono: true},
		ui.KV{Key: "Hookline's id", Value: s.ID.String(), Mono: true})
}

func directionOf(c call.Call) string {
	direction := map[call.Direction]string{call.Inbound: "Inbound", call.Outbound: "Outbound", call.Internal: "Internal"}[c.Direction]
	status := map[call.Status]string{call.Completed: "completed", call.Missed: "missed", call.Voicemail: "voicemail", call.Failed: "failed"}[c.Status]
	return strings.TrimPrefix(strings.TrimSuffix(direction+", "+status, ", "), ", ")
}

// answers are what the agent asked and extracted, by name.
func answers(all map[string]any) []ui.KV {
	var facts []ui.KV
	for _, key := range slices.Sorted(maps.Keys(all)) {
		facts = append(facts, ui.KV{Key: intentOf(key), Value: valueOf(all[key])})
	}
	return facts
}

// valueOf writes a value of JSON as people read it.
func valueOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "Yes"
		}
		return "No"
	case map[string]any:
		if name, ok := v["name"].(string); ok {
			return name
		}
		if id, ok := v["id"].(string); ok {
			return id
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// shownTurns is how many turns of a long transcript are shown before the rest is asked for.
const shownTurns = 14

func (t *teller) turns() (shown, late []page.CallTurn) {
	c := t.story.Call
	agent, caller := "Agent", "Caller"
	if c.Agent != "" {
		agent = c.Agent
	}
	if name := t.story.Name; name != "" && len(name) <= 60 {
		caller = name
	}
	for i, turn := range c.Transcript {
		v := page.CallTurn{Caller: turn.Role == call.Caller, Who: agent, Text: turn.Text}
		if v.Caller {
			v.Who = caller
		}
		if turn.At > 0 || i == 0 {
			v.At = fmt.Sprintf("%d:%02d", int(turn.At.Minutes()), int(turn.At.Seconds())%60)
		}
		if i < shownTurns || len(c.Transcript) <= shownTurns+4 {
			shown = append(shown, v)
		} else {
			late = append(late, v)
		}
	}
	return shown, late
}

// cause is why the call waits or needs somebody; nil when it does not.
func (t *teller) cause() *page.CallCause {
	s := t.story
	operates, configures := t.member.Can(account.Operate), t.member.Can(account.Configure)
	switch s.Status {
	case delivery.Held:
		v := &page.CallCause{Tone: ui.Warn, Title: "Held", Text: s.Reason}
		if t.link.Status != connection.Connected && configures {
			v.Fix, v.FixLabel = "/zoho", "To the Zoho page"
		}
		return v
	case delivery.NeedsAttention:
	default:
		return nil
	}
	v := &page.CallCause{Tone: ui.Bad, Title: "Needs you", Text: s.Reason}
	if s.Cause == nil {
		return v
	}
	v.Text = s.Cause.Sentence
	v.Allowed = slices.DeleteFunc(slices.Clone(s.Cause.Allowed), func(value string) bool { return value == "-None-" })
	if len(v.Allowed) > 30 {
		v.Allowed = append(slices.Clone(v.Allowed[:30]), fmt.Sprintf("and %d more", len(v.Allowed)-30))
	}
	if s.Cause.Link != "" && configures {
		v.Fix, v.FixLabel = s.Cause.Link, "Fix the mapping"
		switch {
		case strings.HasPrefix(v.Fix, "/zoho"):
			v.FixLabel = "To the Zoho page"
		case strings.HasPrefix(v.Fix, "/rules"):
			v.FixLabel = "To the rules"
		case strings.HasPrefix(v.Fix, "/sources/"):
			v.FixLabel = "Mend the source"
		}
	}
	if s.Cause.Code != delivery.CauseUnsettled && operates {
		v.PutAway = "/calls/" + s.ID.String() + "/put-away"
	}
	if s.Cause.Code == delivery.CauseUnsettled {
		v.Slot = s.Cause.Slot
		if operates {
			v.Settle = "/calls/" + s.ID.String() + "/settle"
		}
		for _, o := range s.Cause.Candidates {
			text := o.Name
			if text == "" {
				text = o.ID
			}
			if o.At != "" {
				text += ", made " + o.At
			}
			v.Candidates = append(v.Candidates, page.CallCandidate{ID: o.ID, Text: text, Href: t.link.RecordURL(s.Cause.Module, o.ID)})
		}
		return v
	}
	if t.alike > 1 {
		v.Alike, v.AlikeHref = fmt.Sprintf("Replay this and %s like it", thousands(t.alike-1)), "/calls/replay?like="+s.ID.String()
	}
	return v
}

var singulars = map[string]string{"Leads": "Lead", "Contacts": "Contact", "Deals": "Deal", "Calls": "Call", "Tasks": "Task", "Accounts": "Account", "Notes": "Note"}

func singularOf(module string) string {
	if one, ok := singulars[module]; ok {
		return one
	}
	return module
}

// links lead to the records that this call wrote, people and Deals before Calls.
func (t *teller) links() []ui.LinkProps {
	var people, rest []ui.LinkProps
	known := map[string]bool{}
	for _, d := range t.story.Deliveries {
		href := t.link.RecordURL(d.Module, d.ZohoID)
		if d.State != delivery.Done || href == "" || known[href] || d.Module == "Notes" { // Notes are read on what they hang on
			continue
		}
		known[href] = true
		l := ui.LinkProps{Label: "Open " + singularOf(d.Module) + " in Zoho", Href: href}
		if d.Module == "Calls" {
			l.Label = "Open Call"
			rest = append(rest, l)
		} else {
			people = append(people, l)
		}
	}
	return append(people, rest...)
}

func (t *teller) decision() *page.CallDecision {
	d := t.story.Decision
	if d == nil {
		return nil
	}
	v := &page.CallDecision{
		Rule: d.Decision.Name, Outcome: t.decided(), When: t.moment(d.At), Version: versionName(d.Version), VersionHref: versionHref(d.Version),
		Match: t.match(d.Facts), Notes: d.Decision.Trace.Notes, RunnerUp: d.Decision.Trace.RunnerUp,
	}
	v.Rules = ruleTraces(d.Decision.Trace)
	return v
}

// ruleTraces are the rules of a decision, each with what it saw.
func ruleTraces(trace routing.Trace) []page.CallRule {
	var out []page.CallRule
	for _, r := range trace.Rules {
		out = append(out, ruleView(r))
	}
	return out
}

// ruleView says what part a rule had in a decision.
func ruleView(r routing.RuleTrace) page.CallRule {
	v := page.CallRule{Name: r.Name, Fired: r.Fired, Check: checkOf(r.Check)}
	switch {
	case r.Fired:
		v.State, v.Tone = "Fired", ui.Good
	case r.Off:
		v.State = "Switched off"
	case r.Fits:
		v.State = "Fits, but stands lower"
	default:
		v.State = "Does not fit"
	}
	return v
}

func (t *teller) match(f routing.Facts) []ui.KV {
	who := ui.KV{Key: "Caller in Zoho", Value: matchSentence(f.Match)}
	if p := f.Match.Person(); p != nil {
		if href := t.link.RecordURL(p.Module, p.ID); href != "" {
			who = ui.KV{Key: who.Key, Shown: page.Away(who.Value, href)}
		}
	}
	return matchFacts(f, who)
}

// matchFacts are the facts about the caller, led by who it is.
func matchFacts(f routing.Facts, who ui.KV) []ui.KV {
	m := f.Match
	facts := []ui.KV{who}
	if p := m.Person(); p != nil && p.AccountName != "" {
		facts = append(facts, ui.KV{Key: "Account", Value: p.AccountName})
	}
	for _, d := range m.OpenDeals {
		facts = append(facts, ui.KV{Key: "Open Deal", Value: d.Name + ", " + d.Stage})
	}
	hours := "Closed"
	if f.Open {
		hours = "Open"
	}
	return append(facts, ui.KV{Key: "Your hours then", Value: hours}, ui.KV{Key: "Earlier calls", Value: count(len(f.Earlier), "in 90 days", "in 90 days")})
}

// matchSentence says whom a number led to.
func matchSentence(m identity.Match) string {
	name := func(p *identity.Person) string {
		if p.Name == "" {
			return "without a name"
		}
		return p.Name
	}
	switch {
	case m.Unusable != "":
		return "Not looked up: " + m.Unusable + "."
	case m.Contact != nil:
		text := "Contact " + name(m.Contact)
		if n := len(m.OpenDeals); n > 0 {
			text += " with " + count(n, "open Deal", "open Deals")
		}
		return text + "."
	case m.Lead != nil:
		return "Lead " + name(m.Lead) + "."
	}
	return "Nobody with this number: a new caller."
}

var groups = map[string]string{"all": "All of these hold:", "any": "At least one of these holds:", "none": "None of these holds:"}

func checkOf(k routing.Check) page.CallCheck {
	v := page.CallCheck{Pass: k.Pass, Text: k.Sentence, Saw: k.Saw}
	if v.Text != "" {
		v.Text = strings.ToUpper(string([]rune(v.Text)[:1])) + string([]rune(v.Text)[1:])
	}
	if len(k.Of) > 0 {
		v.Group = groups[k.Group]
		if v.Group == "" {
			v.Group = groups["all"]
		}
	}
	for _, part := range k.Of {
		v.Of = append(v.Of, checkOf(part))
	}
	for _, q := range k.Quotes {
		quote := page.CallQuote{Text: q.Text}
		if q.Negated != "" {
			quote.Note = "“" + q.Negated + "” turns it round, so it does not count"
		}
		v.Quotes = append(v.Quotes, quote)
	}
	return v
}

var states = map[string]struct {
	word string
	tone ui.Tone
}{
	delivery.Planned: {"Waits", ui.Plain}, delivery.Sending: {"Being written", ui.Busy}, delivery.Unknown: {"Answer lost, being looked for", ui.Warn},
	delivery.Done: {"Written", ui.Good}, delivery.Refused: {"Refused", ui.Bad}, delivery.Skipped: {"Not needed any more", ui.Plain},
}

func (t *teller) records() []page.CallRecord {
	var records []page.CallRecord
	for _, d := range t.story.Deliveries {
		state := states[d.State]
		r := page.CallRecord{What: recordSentence(d), State: state.word, Tone: state.tone, ZohoID: d.ZohoID, Href: t.link.RecordURL(d.Module, d.ZohoID)}
		if d.State != delivery.Done {
			r.Href = ""
		}
		if d.State == delivery.Done && d.Left != "" {
			r.State, r.Tone = "Nothing to write", ui.Plain
			r.Fields = append(r.Fields, ui.KV{Key: "Why", Value: d.Left})
		}
		if d.Cause != nil {
			r.Cause = d.Cause.Sentence
		}
		if by := t.story.Decision; by != nil && d.Version != by.Version {
			r.Version, r.VersionHref = versionName(d.Version), versionHref(d.Version)
		}
		for _, key := range d.Keys {
			r.Fields = append(r.Fields, ui.KV{Key: key, Value: valueOf(d.Fields[key])})
		}
		for _, note := range d.Notes {
			r.Fields = append(r.Fields, ui.KV{Key: "Note", Value: note})
		}
		records = append(records, r)
	}
	return records
}

func recordSentence(d delivery.StoryDelivery) string {
	what := singularOf(d.Module)
	switch {
	case d.Slot == routing.SlotStage:
		return "Move the Deal's stage"
	case d.Transition != "":
		return fmt.Sprintf("Take the Blueprint step “%s” of the %s", d.Transition, what)
	case d.Slot == routing.SlotTags:
		return "Tag the " + what
	case d.Slot == routing.SlotAccount:
		return "Find or create the Account"
	case d.Module == "Notes" && d.Revision == 0:
		return "Write on in a Note"
	case d.Revision > 0:
		return "Late news: update the " + what
	case d.Action == mapping.Create && d.Module == "Calls":
		return "Log the Call"
	case d.Action == mapping.Create:
		return "Create the " + what
	}
	return "Update the " + what
}

var purposes = map[string]string{"look up": "Look up", "write": "Write", "read back": "Look whether it is there"}

// costOf says the credits of an attempt, and that it served other calls as well.
func costOf(a delivery.StoryAttempt) string {
	cost := count(a.Credits, "credit", "credits")
	if a.Calls > 1 {
		cost += ", asked together with " + count(a.Calls-1, "other call", "other calls")
	}
	return cost
}

func (t *teller) attempts() []page.CallAttempt {
	var attempts []page.CallAttempt
	for _, a := range t.story.Attempts {
		v := page.CallAttempt{
			ID: a.ID.String(), Purpose: purposes[a.Purpose], Method: a.Method, Path: a.Path, When: t.moment(a.At), Took: took(a.Took),
			Status: fmt.Sprint(a.Status), Outcome: a.Outcome, Credits: costOf(a), Error: a.Problem, Gone: a.Gone,
			Request: indented(a.Request), Response: indented(a.Response), Curl: curlOf(a, t.link.Centre.API),
		}
		if v.Purpose == "" {
			v.Purpose = a.Purpose
		}
		if a.Request == "" {
			v.Request = a.Method + " " + a.Path
		}
		if a.Response == "" {
			v.Response = "(empty)"
		}
		if a.Status == 0 {
			v.Status, v.Response = "No answer", "(no answer)"
		}
		switch a.Outcome {
		case "ok":
			v.Tone = ui.Good
		case "later", "unknown":
			v.Tone = ui.Warn
		default:
			v.Tone = ui.Bad
		}
		attempts = append(attempts, v)
	}
	return attempts
}

// indented sets JSON in lines; other text stays as it is.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// curlOf is the request as a shell command. The token is whoever's who runs it.
func curlOf(a delivery.StoryAttempt, api string) string {
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	lines := []string{"curl -X " + a.Method + " " + quote(api+a.Path), `-H "Authorization: Zoho-oauthtoken $ZOHO_ACCESS_TOKEN"`}
	if a.Request != "" {
		lines = append(lines, "-H 'Content-Type: application/json'", "--data-binary "+quote(a.Request))
	}
	return strings.Join(lines, " \\\n  ")
}

var eventKinds = map[call.Kind]string{call.KindCompleted: "The call", call.KindUpdated: "News of the call", call.KindUnreadable: "Not readable as a call"}

func (t *teller) raw(events []intake.RawEvent) []page.CallRaw {
	var raw []page.CallRaw
	for _, e := range events {
		v := page.CallRaw{
			ID: e.ID.String(), When: t.moment(e.At), Kind: eventKinds[e.Kind], Size: sizeOf(len(e.Body)), Body: indented(e.Body), Cut: e.Cut,
			Gone: e.Gone, Problem: e.Problem, Notes: e.Notes, Download: "/calls/" + t.story.ID.String() + "/events/" + e.ID.String(),
		}
		for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
			v.Headers = append(v.Headers, ui.KV{Key: name, Value: e.Headers[name], Mono: true})
		}
		raw = append(raw, v)
	}
	return raw
}

func sizeOf(n int) string {
	if n < 1000 {
		return count(n, "byte", "bytes")
	}
	return fmt.Sprintf("%.1f KB", float64(n)/1000)
}
