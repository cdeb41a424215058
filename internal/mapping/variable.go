package mapping

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hookline/internal/call"
	"hookline/internal/identity"
	"hookline/internal/routing"
)

// Variable describes one variable for the editor.
type Variable struct {
	Name    string
	Group   string // one of VariableGroups
	About   string
	Example string // its value for the chosen call, shortened; empty without one
}

// VariableGroups are the groups of variables in the order the editor lists them.
var VariableGroups = []string{aboutCaller, aboutCall, wasSaid, anAnswer, aMatch, ofBusiness, fromSender}

const (
	aboutCaller = "The caller"
	aboutCall   = "The call"
	wasSaid     = "What was said"
	anAnswer    = "Answers"
	aMatch      = "Found in Zoho"
	ofBusiness  = "Your business"
	fromSender  = "Sent along"
)

// environment is what variables and filters read.
type environment struct {
	facts    routing.Facts
	metadata Metadata
	now      time.Time // of the decision, in the tenant's zone
	country  string
	action   routing.Action // whose record is rendered
}

func newEnvironment(f routing.Facts, md Metadata) *environment {
	return &environment{facts: f, metadata: md, now: f.DecidedAt, country: f.Country}
}

func (e *environment) zone() *time.Location {
	if e.now.IsZero() {
		return time.UTC
	}
	return e.now.Location()
}

type variable struct {
	name, group string
	kind        kind
	about       string
	read        func(e *environment) any
}

// kind is what a value is, as far as it is known before a call is there.
type kind int

const (
	anyKind kind = iota // not known
	isText
	isNumber
	isDate
	isTime
	isPhone
	isEmail
	isAddress
	isRecord
)

// valuesOf are all the values that a variable can have, where they are few.
var valuesOf = map[string][]string{
	"call_type": {"Inbound", "Outbound", "Missed"}, "outgoing_call_status": {"Completed"}, "call_result": {"Connected"}, "direction": {"inbound", "outbound"},
	"call_status": {"completed", "missed", "voicemail", "failed"}, "call_label": {"Inbound call", "Missed call", "Voicemail", "Outbound call"},
}

// variables in the order the editor lists them. The names are those of the guide where it has one.
var variables = []variable{
	{"first_name", aboutCaller, isText, "the caller's first name", func(e *environment) any { first, _ := names(e.facts.Call); return first }},
	{"last_name", aboutCaller, isText, "the caller's last name; a single name is the last name, as Zoho needs one", func(e *environment) any { _, last := names(e.facts.Call); return last }},
	{"caller_name", aboutCaller, isText, "the caller's whole name", func(e *environment) any { return callerName(e.facts) }},
	{"caller_label", aboutCaller, isText, "the caller's name, else “Caller” and the number", func(e *environment) any { return callerLabel(e.facts) }},
	{"company_name", aboutCaller, isText, "the company the caller named, else the Account or the Lead's company", func(e *environment) any { return company(e.facts) }},
	{"caller_number", aboutCaller, isPhone, "the customer's number in international form", func(e *environment) any { return string(e.facts.Call.Customer()) }},
	{"email", aboutCaller, isEmail, "the caller's e-mail address", func(e *environment) any { return e.facts.Call.Email }},
	{"call_summary", wasSaid, isText, "what the call was about, in a few sentences", func(e *environment) any { return e.facts.Call.Summary }},
	{"full_transcript", wasSaid, isText, "everything that was said, line by line", func(e *environment) any { return transcript(e.facts.Call) }},
	{"call_label", aboutCall, isText, "“Inbound call”, “Missed call”, “Voicemail” or “Outbound call”", func(e *environment) any { return callLabel(e.facts.Call) }},
	{"call_type", aboutCall, isText, "Inbound, Outbound or Missed, as Zoho's Calls know it", func(e *environment) any { kind, _ := ZohoCallType(e.facts.Call); return kind }},
	{"call_timestamp", aboutCall, isTime, "when the call began", func(e *environment) any { return startedAt(e.facts) }},
	{"call_duration", aboutCall, isText, "talk time as mm:ss; empty for a missed call", func(e *environment) any {
		kind, talk := ZohoCallType(e.facts.Call)
		if kind == "Missed" {
			return ""
		}
		return clock(talk)
	}},
	{"call_duration_seconds", aboutCall, isNumber, "talk time in seconds", func(e *environment) any { return e.facts.Call.Duration.Seconds() }},
	{"outgoing_call_status", aboutCall, isText, "Completed for a call that you made; else empty", func(e *environment) any {
		if kind, _ := ZohoCallType(e.facts.Call); kind == "Outbound" {
			return "Completed"
		}
		return ""
	}},
	{"call_status", aboutCall, isText, "completed, missed, voicemail or failed", func(e *environment) any { return string(e.facts.Call.Status) }},
	{"call_result", aboutCall, isText, "Connected for a call that was answered; else empty", func(e *environment) any {
		if kind, _ := ZohoCallType(e.facts.Call); kind != "Missed" {
			return "Connected"
		}
		return ""
	}},
	{"direction", aboutCall, isText, "inbound or outbound", func(e *environment) any { return string(e.facts.Call.Direction) }},
	{"dialled_number", aboutCall, isPhone, "the number that was called", func(e *environment) any { return string(e.facts.Call.To) }},
	{"recording_url", aboutCall, isAddress, "link to the recording", func(e *environment) any { return e.facts.Call.RecordingURL }},
	{"agent", aboutCall, isText, "who took the call", func(e *environment) any { return e.facts.Call.Agent }},
	{"intent", wasSaid, isText, "what the phone provider took the call to be about", func(e *environment) any { return e.facts.Call.Intent }},
	{"product_interest", anAnswer, isText, "what the caller is interested in: the answer product_interest, product, service or interest", func(e *environment) any {
		return e.facts.Call.Answer("product_interest", "product", "interest", "service", "service_interest", "plan", "interested_in")
	}},
	{"estimated_deal_value", anAnswer, isNumber, "the caller's budget as a number: the answer estimated_deal_value, budget, amount or deal_value, else the sum that the caller called a budget", func(e *environment) any {
		if n, _, ok := routing.Budget(e.facts.Call); ok {
			return n
		}
		return nil
	}},
	{"estimated_close_date", anAnswer, isDate, "the date the caller named: the answer estimated_close_date, close_date, start_date or timeline", func(e *environment) any {
		v := e.facts.Call.Answer("estimated_close_date", "close_date", "closing_date", "start_date", "timeline")
		if t, _, ok := asTime(v, e); ok && !t.Before(e.now.AddDate(0, 0, -1)) {
			return day(t)
		}
		return nil
	}},
	{"answers", anAnswer, anyKind, "every answer as a list, to be joined as you like", func(e *environment) any { return map[string]any(e.facts.Call.Answers) }},
	{"all_answers", anAnswer, isText, "every answer with its name, a line each", func(e *environment) any { return joined(map[string]any(e.facts.Call.Answers), "\n", e) }},
	{"account_name", aMatch, isText, "the Account of the Contact that called", func(e *environment) any {
		if c := e.facts.Match.Contact; c != nil {
			return c.AccountName
		}
		return ""
	}},
	{"deal_name", aMatch, isText, "the Contact's open Deal", func(e *environment) any {
		if d := e.facts.Match.OpenDeals; len(d) > 0 {
			return d[0].Name
		}
		return ""
	}},
	{"zoho_contact_id", aMatch, isRecord, "Zoho's id of the Contact that called", func(e *environment) any { return personID(e.facts.Match.Contact) }},
	{"zoho_lead_id", aMatch, isRecord, "Zoho's id of the Lead that called", func(e *environment) any { return personID(e.facts.Match.Lead) }},
	{"owner_id", aMatch, isRecord, "Zoho's id of the user who owns the Contact or Lead", func(e *environment) any {
		if p := e.facts.Match.Person(); p != nil {
			return p.OwnerID
		}
		return ""
	}},
	{"default_pipeline", ofBusiness, anyKind, "your organisation's default pipeline of Deals", func(e *environment) any { return defaultPipeline(e.metadata["Deals"].Pipelines).Name }},
	{"first_stage", ofBusiness, anyKind, "the first open stage of that pipeline", func(e *environment) any {
		for _, s := range defaultPipeline(e.metadata["Deals"].Pipelines).Stages {
			return s.Name
		}
		return ""
	}},
	{"business_name", ofBusiness, isText, "your business", func(e *environment) any { return e.facts.TenantName }},
	{"source_name", ofBusiness, isText, "the source that sent the call", func(e *environment) any { return e.facts.Source }},
	{"task_subject", ofBusiness, isText, "what the rule says that the Task is about", func(e *environment) any { return e.action.Subject }},
	{"task_due", ofBusiness, isDate, "the day on which the rule's Task is due", func(e *environment) any { return e.action.Due }},
	{"today", ofBusiness, isDate, "the day of the call's delivery, in your time zone", func(e *environment) any { return day(e.now) }},
	{"calls_before", aboutCaller, isNumber, "how many calls came from the number in the last 90 days", func(e *environment) any { return float64(len(e.facts.Earlier)) }},
}

var variableByName = func() map[string]variable {
	m := make(map[string]variable, len(variables))
	for _, v := range variables {
		m[v.name] = v
	}
	return m
}()

// Variables describes every variable, with its value for the call of the facts where they are given. The answers and
// the sender's own keys of that call are listed too, as answers.… and metadata.…
func Variables(f *routing.Facts, md Metadata) []Variable {
	out := make([]Variable, 0, len(variables)+8)
	var e *environment
	if f != nil {
		e = newEnvironment(*f, md)
	}
	example := func(v any) string { return cut(textOf(v, e), 120) }
	for _, v := range variables {
		row := Variable{Name: v.name, Group: v.group, About: v.about}
		if f != nil {
			row.Example = example(v.read(e))
		}
		out = append(out, row)
	}
	if f == nil {
		return out
	}
	more := func(prefix, group, about string, m map[string]any) {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys[:min(len(keys), 200)] {
			out = append(out, Variable{Name: prefix + variableName(k), Group: group, About: about, Example: example(call.Plain(m[k]))})
		}
	}
	more("answers.", anAnswer, "an answer in this call", f.Call.Answers)
	more("metadata.", fromSender, "what the sender of this call added", f.Call.Metadata)
	return out
}

// KnownVariable reports whether a template may name the path. Any answer and any key of the sender may be named:
// which there are is known only call by call.
func KnownVariable(path string) bool {
	_, ok := variableByName[path]
	return ok || strings.HasPrefix(path, "answers.") || strings.HasPrefix(path, "metadata.")
}

// lookup reads a variable; one that does not exist is empty.
func (e *environment) lookup(path string) any {
	if v, ok := variableByName[path]; ok {
		return v.read(e)
	}
	if name, ok := strings.CutPrefix(path, "answers."); ok {
		return e.facts.Call.Answer(name)
	}
	if name, ok := strings.CutPrefix(path, "metadata."); ok {
		return call.ValueNamed(e.facts.Call.Metadata, name)
	}
	return nil
}

// variableName writes a customer's key as a template can name it.
func variableName(key string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '.' {
			return '_'
		}
		return r
	}, key)
}

// names are the caller's first and last name: a single one is the last, because Zoho needs that.
func names(c call.Call) (first, last string) {
	first, last = strings.TrimSpace(c.FirstName), strings.TrimSpace(c.LastName)
	if first == "" && last == "" && c.CallerName != "" {
		first, last, _ = call.SplitName(c.CallerName)
	}
	if last == "" {
		return "", first
	}
	return first, last
}

func callerName(f routing.Facts) string {
	first, last := names(f.Call)
	if name := strings.TrimSpace(first + " " + last); name != "" {
		return name
	}
	if p := f.Match.Person(); p != nil {
		return p.Name
	}
	return ""
}

func callerLabel(f routing.Facts) string {
	if name := callerName(f); name != "" {
		return name
	}
	if p := f.Call.Customer(); p != "" {
		return "Caller " + string(p)
	}
	return "Unknown caller"
}

func company(f routing.Facts) string {
	if f.Call.Company != "" {
		return f.Call.Company
	}
	if c := f.Match.Contact; c != nil && c.AccountName != "" {
		return c.AccountName
	}
	if l := f.Match.Lead; l != nil {
		return l.Company
	}
	return ""
}

func personID(p *identity.Person) string {
	if p == nil {
		return ""
	}
	return p.ID
}

func startedAt(f routing.Facts) time.Time {
	if !f.Call.StartedAt.IsZero() {
		return f.Call.StartedAt
	}
	return f.LocalTime
}

// ZohoCallType is the call as Zoho's Calls know it, with the talk time. Zoho takes no Inbound or Outbound call
// without a talk time above zero (Zoho's API, "Insert records", Calls): a call that nobody talked in is Missed.
func ZohoCallType(c call.Call) (kind string, talk time.Duration) {
	if c.Status != call.Completed && c.Status != "" {
		return "Missed", 0
	}
	talk = c.Duration.Round(time.Second)
	if talk <= 0 && c.EndedAt.After(c.AnsweredAt) && !c.AnsweredAt.IsZero() {
		talk = c.EndedAt.Sub(c.AnsweredAt).Round(time.Second)
	}
	if talk <= 0 && len(c.Transcript) > 0 {
		// People did talk: as long, at least, as the last thing said came after the first.
		talk = max(c.Transcript[len(c.Transcript)-1].At.Round(time.Second), time.Second)
	}
	if talk <= 0 {
		return "Missed", 0
	}
	if c.Direction == call.Outbound {
		return "Outbound", talk
	}
	return "Inbound", talk
}

func callLabel(c call.Call) string {
	switch {
	case c.Status == call.Voicemail:
		return "Voicemail"
	case c.Direction == call.Outbound:
		return "Outbound call"
	case c.Status == call.Missed:
		return "Missed call"
	case c.Status == call.Failed:
		return "Failed call"
	}
	return "Inbound call"
}

// transcript writes what was said, a line for each turn, as far as any field can hold it.
func transcript(c call.Call) string { return transcriptUpTo(c, maxValue) }

func transcriptUpTo(c call.Call, most int) string {
	var b strings.Builder
	for _, t := range c.Transcript {
		if b.Len() > most*utf8.UTFMax {
			break
		}
		who := "Agent"
		if t.Role == call.Caller {
			who = "Caller"
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(who + ": " + firstRunes(strings.TrimSpace(t.Text), most))
	}
	return firstRunes(b.String(), most)
}
