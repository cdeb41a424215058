package server

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hookline/internal/account"
	"hookline/internal/call"
	"hookline/internal/delivery"
	"hookline/internal/fault"
	"hookline/internal/identity"
	"hookline/internal/intake"
	"hookline/internal/routing"
	"hookline/internal/tenant"
)

// CallSummary is a call as the JSON API lists it.
type CallSummary struct {
	ID              string     `json:"id" format:"uuid"`
	ProviderCallID  string     `json:"provider_call_id"`
	Source          string     `json:"source" doc:"Name of the source that sent it"`
	SourceID        string     `json:"source_id" format:"uuid"`
	Status          string     `json:"status" enum:"received,delivering,delivered,held,needs_attention,ignored"`
	Reason          string     `json:"reason,omitempty" doc:"Why it is held or needs attention, in words"`
	ReceivedAt      time.Time  `json:"received_at"`
	StartedAt       *time.Time `json:"started_at,omitempty"`
	DeliveredAt     *time.Time `json:"delivered_at,omitempty"`
	Direction       string     `json:"direction,omitempty"`
	Number          string     `json:"number,omitempty" doc:"The customer's, E.164; absent when withheld"`
	Name            string     `json:"name,omitempty"`
	Intent          string     `json:"intent,omitempty"`
	Summary         string     `json:"summary,omitempty" doc:"Its beginning"`
	DurationSeconds int        `json:"duration_seconds"`
	Outcome         string     `json:"outcome,omitempty" doc:"In words; absent until it is decided"`
	Rule            string     `json:"rule,omitempty" doc:"Name of the rule that fired"`
	ZohoIDs         []string   `json:"zoho_ids" nullable:"false"`
	Test            bool       `json:"test"`
}

func rowForAPI(r delivery.Row) CallSummary {
	ids := r.ZohoIDs
	if ids == nil {
		ids = []string{}
	}
	return CallSummary{
		ID: r.ID.String(), ProviderCallID: r.ProviderCallID, Source: r.Source, SourceID: r.SourceID.String(), Status: r.Status, Reason: r.Reason,
		ReceivedAt: r.ReceivedAt, StartedAt: timeOrNil(r.StartedAt), DeliveredAt: timeOrNil(r.DeliveredAt), Direction: string(r.Direction),
		Number: string(r.Number), Name: r.Name, Intent: r.Intent, Summary: r.Summary, DurationSeconds: int(r.Talk / time.Second),
		Outcome: r.Outcome, Rule: r.Rule, ZohoIDs: ids, Test: r.Test,
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type apiCallsIn struct {
	Status string    `query:"status" enum:"received,delivering,delivered,held,needs_attention,ignored" doc:"Only calls of this status"`
	Query  string    `query:"q" maxLength:"200" doc:"A number in any spelling, a part of a name, an id of Zoho's, Hookline's or the provider's"`
	Since  time.Time `query:"since" doc:"Received at or after"`
	Until  time.Time `query:"until" doc:"Received before"`
	Cursor string    `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type apiCallsOut struct {
	Body struct {
		Data       []CallSummary `json:"data" nullable:"false"`
		NextCursor *string       `json:"next_cursor" nullable:"true" doc:"null on the last page"`
	}
}

func (s *Server) apiCalls(ctx context.Context, h account.Holder, in *apiCallsIn) (*apiCallsOut, error) {
	t, err := s.tenantNamed(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	found, err := delivery.ListCalls(ctx, s.DB, t, delivery.Filter{Status: in.Status, Q: in.Query, Since: in.Since, Until: in.Until, Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &apiCallsOut{}
	out.Body.Data = []CallSummary{}
	for _, r := range found.Calls {
		out.Body.Data = append(out.Body.Data, rowForAPI(r))
	}
	if found.Next != "" {
		out.Body.NextCursor = &found.Next
	}
	return out, nil
}

func (s *Server) tenantNamed(ctx context.Context, id tenant.ID) (t tenant.Tenant, err error) {
	err = s.DB.InTenant(ctx, id, func(tx pgx.Tx) error {
		t, err = tenant.Get(ctx, tx, id)
		return err
	})
	return t, err
}

type apiTurn struct {
	Role      string  `json:"role" enum:"agent,caller"`
	Text      string  `json:"text"`
	AtSeconds float64 `json:"at_seconds"`
}

// apiTold is what the call's events together tell.
type apiTold struct {
	From         string         `json:"from,omitempty"`
	To           string         `json:"to,omitempty"`
	Withheld     bool           `json:"withheld"`
	Status       string         `json:"status,omitempty" doc:"How the call itself went: completed, missed, voicemail, failed"`
	AnsweredAt   *time.Time     `json:"answered_at,omitempty"`
	EndedAt      *time.Time     `json:"ended_at,omitempty"`
	FirstName    string         `json:"first_name,omitempty"`
	LastName     string         `json:"last_name,omitempty"`
	Company      string         `json:"company,omitempty"`
	Email        string         `json:"email,omitempty"`
	Agent        string         `json:"agent,omitempty"`
	Summary      string         `json:"summary,omitempty"`
	Transcript   []apiTurn      `json:"transcript" nullable:"false"`
	RecordingURL string         `json:"recording_url,omitempty"`
	Answers      map[string]any `json:"answers,omitempty"`
	Metadata     map[string]any `json:"metadata,omitempty"`
}

type apiDecision struct {
	At      time.Time        `json:"at"`
	Rule    string           `json:"rule" doc:"Name of the rule that fired"`
	Outcome string           `json:"outcome" doc:"In words"`
	Version int              `json:"version" doc:"of the rules and mappings; 0: the defaults"`
	Actions []routing.Action `json:"actions" nullable:"false"`
	Trace   routing.Trace    `json:"trace"`
}

type apiDelivery struct {
	Slot     string          `json:"slot" doc:"What the record is to the call: lead, call, deal, deal.stage, …"`
	Module   string          `json:"module"`
	Action   string          `json:"action" enum:"create,update"`
	Revision int             `json:"revision" doc:"0 carries out the decision; a later one updates with late news"`
	State    string          `json:"state" enum:"planned,sending,unknown,done,refused,skipped"`
	ZohoID   string          `json:"zoho_id,omitempty"`
	ZohoURL  string          `json:"zoho_url,omitempty"`
	Fields   map[string]any  `json:"fields,omitempty" doc:"As sent, by API name"`
	Cause    *delivery.Cause `json:"cause,omitempty"`
	IntentAt *time.Time      `json:"intent_at,omitempty"`
	DoneAt   *time.Time      `json:"done_at,omitempty"`
}

type apiAttempt struct {
	ID         string    `json:"id" format:"uuid"`
	At         time.Time `json:"at"`
	Purpose    string    `json:"purpose" doc:"look up, write, read back"`
	Slots      []string  `json:"slots" nullable:"false" doc:"The deliveries that it carried"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status" doc:"HTTP status; 0: no answer"`
	Outcome    string    `json:"outcome" doc:"ok, refused, unknown, later"`
	Problem    string    `json:"problem,omitempty"`
	DurationMS int64     `json:"duration_ms"`
	Credits    int       `json:"credits" doc:"Of a request that served several calls, they stand with the first"`
	Calls      int       `json:"calls" doc:"How many calls the request served; what is shown is this call's part"`
	Request    string    `json:"request,omitempty" doc:"Its body, without secrets"`
	Response   string    `json:"response,omitempty" doc:"Its body, without secrets"`
}

type apiTiming struct {
	Name         string    `json:"name"`
	At           time.Time `json:"at"`
	AfterSeconds float64   `json:"after_seconds" doc:"Since the step before"`
}

type apiEvent struct {
	ID      string    `json:"id" format:"uuid"`
	Kind    string    `json:"kind" enum:"completed,updated,unreadable"`
	At      time.Time `json:"at"`
	Problem string    `json:"problem,omitempty"`
	Notes   []string  `json:"notes,omitempty"`
}

// apiStory is one call with everything that is known of it.
type apiStory struct {
	CallSummary
	Call       apiTold         `json:"call"`
	Cause      *delivery.Cause `json:"cause,omitempty" doc:"Why it needs attention, and where that is mended"`
	NextTryAt  *time.Time      `json:"next_try_at,omitempty"`
	Match      *identity.Match `json:"match,omitempty" doc:"Who the number belongs to; absent until it is decided"`
	Decision   *apiDecision    `json:"decision,omitempty"`
	Deliveries []apiDelivery   `json:"deliveries" nullable:"false"`
	Attempts   []apiAttempt    `json:"attempts" nullable:"false"`
	Timings    []apiTiming     `json:"timings" nullable:"false"`
	Events     []apiEvent      `json:"events" nullable:"false"`
}

// apiOne names a call. The id is plain text, so that any that is not known is the same 404.
type apiOne struct {
	ID string `path:"id" maxLength:"100" doc:"Hookline's id of the call"`
}

type apiCallOut struct{ Body apiStory }

func (s *Server) apiCall(ctx context.Context, h account.Holder, in *apiOne) (*apiCallOut, error) {
	id, err := call.ParseID(in.ID)
	if err != nil {
		return nil, errNoSuchCall
	}
	if id, err = intake.CallOf(ctx, s.DB, h.Tenant, id); err != nil {
		return nil, err
	}
	story, err := delivery.ShowCall(ctx, s.DB, s.Keys, h.Tenant, id)
	if err != nil {
		return nil, err
	}
	link, err := s.Zoho.Get(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	out := &apiCallOut{Body: apiStory{
		CallSummary: rowForAPI(story.Row), Call: toldForAPI(story.Call), Cause: story.Cause, NextTryAt: timeOrNil(story.NextTry),
		Deliveries: []apiDelivery{}, Attempts: []apiAttempt{}, Timings: []apiTiming{}, Events: []apiEvent{},
	}}
	b := &out.Body
	if d := story.Decision; d != nil {
		b.Match = &d.Facts.Match
		b.Decision = &apiDecision{At: d.At, Rule: d.Decision.Name, Outcome: d.Decision.Outcome, Version: d.Version,
			Actions: append([]routing.Action{}, d.Decision.Actions...), Trace: d.Decision.Trace}
	}
	for _, d := range story.Deliveries {
		one := apiDelivery{Slot: d.Slot, Module: d.Module, Action: d.Action, Revision: d.Revision, State: d.State, ZohoID: d.ZohoID, Fields: d.Fields,
			Cause: d.Cause, IntentAt: timeOrNil(d.IntentAt), DoneAt: timeOrNil(d.DoneAt)}
		if d.State == delivery.Done {
			one.ZohoURL = link.RecordURL(d.Module, d.ZohoID)
		}
		b.Deliveries = append(b.Deliveries, one)
	}
	for _, a := range story.Attempts {
		b.Attempts = append(b.Attempts, apiAttempt{ID: a.ID.String(), At: a.At, Purpose: a.Purpose, Slots: append([]string{}, a.Slots...), Method: a.Method,
			Path: a.Path, Status: a.Status, Outcome: a.Outcome, Problem: a.Problem, DurationMS: a.Took.Milliseconds(), Credits: a.Credits, Calls: a.Calls,
			Request: a.Request, Response: a.Response})
	}
	for _, g := range story.Stages {
		b.Timings = append(b.Timings, apiTiming{Name: strings.ToLower(g.Name), At: g.At, AfterSeconds: g.Took.Seconds()})
	}
	for _, e := range story.Events {
		b.Events = append(b.Events, apiEvent{ID: e.ID.String(), Kind: string(e.Kind), At: e.At, Problem: e.Problem, Notes: e.Notes})
	}
	return out, nil
}

func toldForAPI(c call.Call) apiTold {
	t := apiTold{
		From: string(c.From), To: string(c.To), Withheld: c.Withheld, Status: string(c.Status), AnsweredAt: timeOrNil(c.AnsweredAt),
		EndedAt: timeOrNil(c.EndedAt), FirstName: c.FirstName, LastName: c.LastName, Company: c.Company, Email: c.Email, Agent: c.Agent,
		Summary: c.Summary, Transcript: []apiTurn{}, RecordingURL: c.RecordingURL, Answers: c.Answers, Metadata: c.Metadata,
	}
	for _, turn := range c.Transcript {
		role := "agent"
		if turn.Role == call.Caller {
			role = "caller"
		}
		t.Transcript = append(t.Transcript, apiTurn{Role: role, Text: turn.Text, AtSeconds: turn.At.Seconds()})
	}
	return t
}

type apiReplayIn struct {
	ID   string `path:"id" maxLength:"100" doc:"Hookline's id of the call"`
	Body *struct {
		Config string `json:"config,omitempty" enum:"current,original" default:"current" doc:"Which rules and mapping: those of now, or those that the call was decided with"`
	}
}

type apiReplayOut struct {
	Body struct {
		ID     string `json:"id" format:"uuid" doc:"Another one than was asked for when the event can be read only now: that of the call it tells of. Both lead there"`
		Status string `json:"status" doc:"As it stands now: it is on its way"`
	}
}

func (s *Server) apiReplay(ctx context.Context, h account.Holder, in *apiReplayIn) (*apiReplayOut, error) {
	id, err := call.ParseID(in.ID)
	if err != nil {
		return nil, errNoSuchCall
	}
	config := delivery.ConfigCurrent
	if in.Body != nil && in.Body.Config != "" {
		config = in.Body.Config
	}
	did, err := s.sendAgain(ctx, h.Tenant, []call.ID{id}, config, actor(h))
	switch {
	case err != nil:
		return nil, err
	case len(did.unread) > 0:
		return nil, fault.New(fault.Conflict, "This call still cannot be read: "+did.unread[0])
	case did.passed > 0:
		return nil, fault.New(fault.Conflict, "This call is on its way already. Replay it once it has arrived or needs you.")
	}
	if now, moved := did.moved[id]; moved {
		id = now
	}
	r, err := delivery.RowOf(ctx, s.DB, h.Tenant, id)
	if err != nil {
		return nil, err
	}
	out := &apiReplayOut{}
	out.Body.ID, out.Body.Status = id.String(), r.Status
	return out, nil
}

func (s *Server) apiPutAway(ctx context.Context, h account.Holder, in *apiOne) (*apiReplayOut, error) {
	id, err := call.ParseID(in.ID)
	if err != nil {
		return nil, errNoSuchCall
	}
	if err := delivery.PutAway(ctx, s.DB, h.Tenant, id, "key "+h.Name); err != nil {
		return nil, err
	}
	out := &apiReplayOut{}
	out.Body.ID, out.Body.Status = id.String(), delivery.Ignored
	return out, nil
}

type nothing struct{}

type apiConnectionOut struct {
	Body struct {
		Status        string     `json:"status" enum:"not_connected,connected,needs_reconnect,failed,disconnected"`
		Reason        string     `json:"reason,omitempty" doc:"In words, when it is not connected"`
		OrgID         string     `json:"org_id,omitempty"`
		OrgName       string     `json:"org_name,omitempty"`
		DataCentre    string     `json:"data_centre,omitempty"`
		Edition       string     `json:"edition,omitempty"`
		ConnectedAt   *time.Time `json:"connected_at,omitempty"`
		LastSuccessAt *time.Time `json:"last_success_at,omitempty"`
		Credits       struct {
			Used  int `json:"used" doc:"By Hookline, in the last 24 hours"`
			Limit int `json:"limit" doc:"Of the organisation, in any 24 hours, at least"`
			Left  int `json:"left" doc:"As Zoho said within a quarter of an hour, other apps included; else limit less used"`
			Pace  int `json:"pace" doc:"Used by Hookline an hour, by the last three hours"`
		} `json:"credits"`
		Lane struct {
			State  string     `json:"state" enum:"open,held"`
			Hold   string     `json:"hold,omitempty" doc:"unconnected, reconnect, limit, outage, operator"`
			Reason string     `json:"reason,omitempty" doc:"In words"`
			Since  *time.Time `json:"since,omitempty"`
			Until  *time.Time `json:"until,omitempty" doc:"When it tries again by itself"`
		} `json:"lane"`
	}
}

func (s *Server) apiConnection(ctx context.Context, h account.Holder, _ *nothing) (*apiConnectionOut, error) {
	link, err := s.Zoho.Get(ctx, h.Tenant)
	if err != nil {
		return nil, err
	}
	lane, err := delivery.LaneOf(ctx, s.DB, h.Tenant)
	if err != nil {
		return nil, err
	}
	out := &apiConnectionOut{}
	b := &out.Body
	b.Status, b.Reason, b.OrgID, b.OrgName, b.DataCentre, b.Edition = string(link.Status), link.Reason, link.OrgID, link.OrgName, link.Centre.Location, link.Edition
	b.ConnectedAt, b.LastSuccessAt = timeOrNil(link.ConnectedAt), timeOrNil(link.LastSuccessAt)
	b.Credits.Used, b.Credits.Limit, b.Credits.Left, b.Credits.Pace = link.Budget.Used, link.Budget.Limit, link.Budget.Left, link.Budget.Pace
	b.Lane.State = "open"
	if lane.Hold != "" {
		b.Lane.State, b.Lane.Hold, b.Lane.Reason = "held", lane.Hold, lane.Detail
		b.Lane.Since, b.Lane.Until = timeOrNil(lane.Since), timeOrNil(lane.Until)
	}
	return out, nil
}

type apiStatsOut struct {
	Body struct {
		ByStatus struct {
			Received       int `json:"received"`
			Delivering     int `json:"delivering"`
			Delivered      int `json:"delivered"`
			Held           int `json:"held"`
			NeedsAttention int `json:"needs_attention"`
			Ignored        int `json:"ignored"`
		} `json:"by_status"`
		OldestUndelivered int `json:"oldest_undelivered_seconds" doc:"Age of the oldest call that is still on its way; 0 when none is"`
	}
}

func (s *Server) apiStats(ctx context.Context, h account.Holder, _ *nothing) (*apiStatsOut, error) {
	counts, err := delivery.Stats(ctx, s.DB, h.Tenant)
	if err != nil {
		return nil, err
	}
	out := &apiStatsOut{}
	n := &out.Body.ByStatus
	n.Received, n.Delivering, n.Delivered = counts.ByStatus[delivery.Received], counts.ByStatus[delivery.Delivering], counts.ByStatus[delivery.Delivered]
	n.Held, n.NeedsAttention, n.Ignored = counts.ByStatus[delivery.Held], counts.ByStatus[delivery.NeedsAttention], counts.ByStatus[delivery.Ignored]
	out.Body.OldestUndelivered = int(counts.OldestUndelivered.Seconds())
	return out, nil
}
