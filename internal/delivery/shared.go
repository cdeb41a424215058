package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"hookline/internal/identity"
	"hookline/internal/zoho"
)

// One request may serve several calls of a lane: look-ups of different callers share a query, new records an insert.
// Each call keeps its own part of what was sent and answered, so that its log tells of nobody else; the credits stand
// with the first. What cannot be blamed on one of those who shared is asked again by each alone.

// sharing are the questions of a lane by their shape.
type sharing struct {
	mu      sync.Mutex
	looks   map[string]*together[lookUp, lookedUp]
	creates map[string]*together[creation, created]
}

// atShape is how many requests of one shape are under way before others wait and go together.
const atShape = 2

func of[Q, A any](s *sharing, all *map[string]*together[Q, A], shape string, make func() *together[Q, A]) *together[Q, A] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *all == nil {
		*all = map[string]*together[Q, A]{}
	}
	g := (*all)[shape]
	if g == nil {
		g = make()
		g.most = atShape
		(*all)[shape] = g
	}
	return g
}

// asker asks Zoho who called, for one run and where others ask the same for them too.
type asker struct{ r *run }

var _ identity.Asker = asker{}

type lookUp struct {
	r    *run
	look zoho.Look
	id   string // of the one record that is wanted; empty: it is looked for by number or Contact
}

type lookedUp struct {
	records []zoho.Record
	whole   bool
	err     error
	alone   bool // it has to be asked alone
}

func (a asker) Look(_ context.Context, l zoho.Look) ([]zoho.Record, bool, error) {
	out := a.ask(lookUp{r: a.r, look: l})
	return out.records, out.whole, out.err
}

func (a asker) ask(q lookUp) lookedUp {
	l := a.r.l
	if a.r.job.tries > 0 {
		return q.alone(a.r.api) // its failures shall be nobody else's
	}
	group := of(&l.sharing, &l.sharing.looks, q.look.Shape(), func() *together[lookUp, lookedUp] {
		return &together[lookUp, lookedUp]{
			failed: func(err error) lookedUp { return lookedUp{err: err} },
			joins: func(batch []lookUp, q lookUp) bool {
				return len(valuesOf(append(slices.Clip(batch), q))) <= q.look.Most()
			},
			enter: func() (func(), error) { return l.turn(l.ctx, true) },
		}
	})
	out := group.ask(q, a.r.w.lookUpAll)
	if out.alone {
		out = q.alone(a.r.api)
	}
	return out
}

// SearchPhone is asked alone: Zoho's search takes one number.
func (a asker) SearchPhone(ctx context.Context, module, number string, fields []string, converted bool) ([]zoho.Record, error) {
	return a.r.api.SearchPhone(ctx, module, number, fields, converted)
}

// Get reads a record by its id; with others of its module by a query, where that tells whether a Lead was converted and to whom.
func (a asker) Get(ctx context.Context, module, id string, fields []string) (zoho.Record, bool, error) {
	columns := a.r.set.org.Columns(module)
	if fields != nil || module == "Leads" && !(slices.Contains(columns, "Converted__s") && slices.Contains(columns, "Converted_Contact")) {
		return a.r.api.Get(ctx, module, id, fields)
	}
	out := a.ask(lookUp{r: a.r, look: zoho.Look{Select: columns, From: module, Fields: []string{"id"}, Values: []string{id}}, id: id})
	for _, rec := range out.records {
		if rec.ID() == id {
			return rec, true, out.err
		}
	}
	return nil, false, out.err
}

func (q lookUp) alone(api *zoho.API) (out lookedUp) {
	if q.id != "" {
		rec, found, err := api.Get(q.r.l.ctx, q.look.From, q.id, nil)
		if found {
			out.records = []zoho.Record{rec}
		}
		out.whole, out.err = true, err
		return out
	}
	out.records, out.whole, out.err = api.Look(q.r.l.ctx, q.look)
	return out
}

func valuesOf(batch []lookUp) []string {
	var values []string
	for _, q := range batch {
		for _, v := range q.look.Values {
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	return values
}

// lookUpAll asks for all of the batch by one query. An answer that is cut off at Zoho's most settles nobody's question.
func (w *Worker) lookUpAll(batch []lookUp, err error) []lookedUp {
	out := make([]lookedUp, len(batch))
	if err != nil {
		for i := range out {
			out[i].err = err
		}
		return out
	}
	if len(batch) == 1 {
		out[0] = batch[0].alone(batch[0].r.inTurn)
		return out
	}
	wide := batch[0].look
	wide.Values = valuesOf(batch)
	api, exchanges := w.sharedAPI(batch[0].r.l)
	records, whole, err := api.Look(batch[0].r.l.ctx, wide)
	for i, q := range batch {
		out[i] = lookedUp{records: records, whole: whole, err: err, alone: err == nil && !whole || ofOneAlone(err)}
		q.r.share(exchanges(), i, len(batch), false, q.asIfAlone(), q.part(records))
	}
	return out
}

// asIfAlone is the request that this look-up would have been.
func (q lookUp) asIfAlone() any {
	text, _ := q.look.Query().Build() // it was written a moment ago
	return map[string]string{"select_query": text}
}

func (q lookUp) part(records []zoho.Record) any {
	own := []zoho.Record{}
	for _, rec := range records {
		if q.look.Matches(rec) {
			own = append(own, rec)
		}
	}
	return map[string]any{"data": own}
}

// creation is a record to be made.
type creation struct {
	r    *run
	d    *delivery
	rec  zoho.Record
	opts zoho.WriteOptions
}

type created struct {
	result zoho.Result
	err    error
	alone  bool // it has to be sent alone
}

// create makes the record, with those of other calls where such wait. A record whose answer was lost before, or a call
// that failed before, goes alone.
func (r *run) create(d *delivery, rec zoho.Record, opts zoho.WriteOptions) (zoho.Result, error) {
	q := creation{r, d, rec, opts}
	if d.lost > 0 || d.looks > 0 || r.job.tries > 0 {
		out := q.alone(r.api)
		return out.result, out.err
	}
	shape, err := json.Marshal([]any{d.draft.Module, opts})
	if err != nil {
		return zoho.Result{}, &zoho.Error{Class: zoho.OurBug, Message: err.Error()}
	}
	l := r.l
	group := of(&l.sharing, &l.sharing.creates, string(shape), func() *together[creation, created] {
		return &together[creation, created]{
			joins:  func(batch []creation, _ creation) bool { return len(batch) < zoho.MaxBatch },
			enter:  func() (func(), error) { return l.turn(l.ctx, false) },
			awaits: func() int { return min(zoho.MaxBatch, int(l.crowd.Load())/2) },
			failed: func(err error) created { return created{err: err} },
		}
	})
	out := group.ask(q, r.w.createAll)
	if out.alone {
		out = q.alone(r.api)
	}
	return out.result, out.err
}

func (q creation) alone(api *zoho.API) created {
	if err := q.r.l.mayWrite(); err != nil {
		return created{err: err}
	}
	results, err := api.Create(q.r.l.ctx, q.d.draft.Module, []zoho.Record{q.rec}, q.opts)
	if err != nil {
		return created{err: err}
	}
	return created{result: results[0]}
}

// createAll makes all records of the batch by one insert. Zoho answers each of them; where it refuses the request as a
// whole for what one of them may be to blame, nothing was written, and each is sent alone.
func (w *Worker) createAll(batch []creation, err error) []created {
	out := make([]created, len(batch))
	l, module := batch[0].r.l, batch[0].d.draft.Module
	if err == nil {
		err = l.mayWrite()
	}
	if err != nil {
		for i := range out {
			out[i].err = err
		}
		return out
	}
	if len(batch) == 1 {
		out[0] = batch[0].alone(batch[0].r.inTurn)
		return out
	}
	var records []zoho.Record
	for _, q := range batch {
		records = append(records, q.rec)
	}
	api, exchanges := w.sharedAPI(l)
	results, err := api.Create(l.ctx, module, records, batch[0].opts)
	for i, q := range batch {
		out[i] = created{err: err, alone: ofOneAlone(err)}
		if err == nil {
			out[i].result = results[i]
		}
		q.r.share(exchanges(), i, len(batch), out[i].result.Err != nil, q.asIfAlone(), nil)
	}
	return out
}

func (q creation) asIfAlone() any {
	doc := map[string]any{"data": []zoho.Record{q.rec}}
	if q.opts.Trigger != nil {
		doc["trigger"] = q.opts.Trigger
	}
	return doc
}

// ofOneAlone reports whether an error of a shared request may be one participant's doing, and nothing was written.
func ofOneAlone(err error) bool {
	e, ok := errors.AsType[*zoho.Error](err)
	if !ok {
		return false
	}
	switch e.Class {
	case zoho.Refused, zoho.Duplicate, zoho.RecordState, zoho.Gone, zoho.Unsupported, zoho.OurBug:
		return true
	}
	return false
}

// sharedAPI is the lane's API for a request of several calls whose turn it is; exchanges gives what was exchanged.
func (w *Worker) sharedAPI(l *lane) (api *zoho.API, exchanges func() []zoho.Exchange) {
	var seen []zoho.Exchange
	api = w.Connections.API(l.tenant, func(e zoho.Exchange) { seen = append(seen, e) }).Unless(l.mayWrite)
	return api, func() []zoho.Exchange { return seen }
}

// share notes the run's own part of requests that served several calls: it is the i-th of n.
func (r *run) share(exchanges []zoho.Exchange, i, n int, refused bool, request, response any) {
	for _, e := range exchanges {
		if i > 0 {
			e.Credits = 0
		}
		if body, err := json.Marshal(request); err == nil {
			e.RequestBody = zoho.Observed(body)
		}
		if response == nil {
			response = elementOf(e.ResponseBody, i)
		}
		if body, err := json.Marshal(response); err == nil && response != nil && e.Err == nil {
			e.ResponseBody = zoho.Observed(body)
		}
		r.note(e, n, refused)
	}
}

// elementOf is the answer with the i-th element of its data alone; nil when it has none.
func elementOf(body []byte, i int) any {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil || i >= len(answer.Data) {
		return nil
	}
	return map[string]any{"data": answer.Data[i : i+1]}
}
