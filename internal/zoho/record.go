package zoho

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Record is a Zoho record by api_name: text, bool, json.Number, nil, lists and objects. Its id is text.
type Record map[string]any

// ID is the record's id, empty before it has one.
func (r Record) ID() string { return text(r["id"]) }

// Text is a field as text, empty when it is absent or of another kind.
func (r Record) Text(field string) string { return text(r[field]) }

// Lookup reads a lookup field: the id and the name of the record it points to.
func (r Record) Lookup(field string) (id, name string) {
	switch v := r[field].(type) {
	case map[string]any:
		return text(v["id"]), text(v["name"])
	case Record:
		return text(v["id"]), text(v["name"])
	}
	return text(r[field]), ""
}

// WriteOptions say what else Zoho shall do with a write.
type WriteOptions struct {
	Trigger        []string // nil: everything that the organisation has set up runs; empty: nothing (Zoho's API, "Insert records")
	AssignmentRule string   // id of the assignment rule; rules never run by themselves through the API
	Since          string   // Update: the Modified_Time that was read; a record changed since is refused with ALREADY_MODIFIED
}

// Result is what became of one record of a write. Err is nil when Zoho took it.
type Result struct {
	ID      string
	Details map[string]any // Created_Time, Modified_Time and the like
	Err     *Error
}

// MaxBatch is how many records one Create takes: more than ten cost a second credit and fall under Zoho's
// sub-concurrency limit.
const MaxBatch = 10

// Create inserts records; results keep their order. A non-nil error means that the request as a whole has no
// result: nothing was written unless its class is Unknown.
func (a *API) Create(ctx context.Context, module string, records []Record, opts WriteOptions) ([]Result, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	return a.write(ctx, http.MethodPost, "/"+module, records, opts)
}

// Update changes the fields of rec in one record and leaves the others.
func (a *API) Update(ctx context.Context, module, id string, rec Record, opts WriteOptions) (Result, error) {
	if err := checkModule(module); err != nil {
		return Result{}, err
	}
	if err := checkID(id); err != nil {
		return Result{}, err
	}
	results, err := a.write(ctx, http.MethodPut, "/"+module+"/"+id, []Record{rec}, opts)
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

func (a *API) write(ctx context.Context, method, path string, records []Record, opts WriteOptions) ([]Result, error) {
	if len(records) == 0 || len(records) > 100 {
		return nil, &Error{Class: OurBug, Message: fmt.Sprintf("a write takes 1 to 100 records, not %d", len(records))}
	}
	doc := map[string]any{"data": records}
	if opts.Trigger != nil {
		doc["trigger"] = opts.Trigger
	}
	if opts.AssignmentRule != "" {
		doc["lar_id"] = opts.AssignmentRule
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, &Error{Class: OurBug, Message: "the record cannot be written as JSON", cause: err}
	}
	r := request{method: method, path: path, body: body, write: true, credits: (len(records) + MaxBatch - 1) / MaxBatch}
	if opts.Since != "" {
		r.header = http.Header{"If-Unmodified-Since": {opts.Since}}
	}
	ans, err := a.send(ctx, r)
	results, ok := readResults(ans, len(records), a)
	if ok {
		return results, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, &Error{Class: Unknown, Status: ans.status, Message: "the answer does not say what became of each record"}
}

// readResults reads data[] of a 2xx or 400, element by element. Any other status speaks of the whole request.
func readResults(ans answer, want int, a *API) ([]Result, bool) {
	if (ans.status < 200 || ans.status > 299) && ans.status != http.StatusBadRequest && ans.status != http.StatusPreconditionFailed {
		return nil, false
	}
	doc, err := decodeObject(ans.body)
	if err != nil {
		return nil, false
	}
	list, _ := doc["data"].([]any)
	if len(list) != want {
		return nil, false // also a refusal of the whole request that came wrapped in data[]
	}
	results := make([]Result, want)
	for i, item := range list {
		element, ok := item.(map[string]any)
		if !ok {
			return nil, false
		}
		if e := elementError(element, ans); e != nil {
			results[i].Err = finish(e, ans, a.client.now())
			continue
		}
		details, _ := element["details"].(map[string]any)
		results[i].Details = details
		results[i].ID = text(details["id"])
		if !isDigits(results[i].ID) {
			return nil, false
		}
	}
	return results, true
}

// Get reads one record. It reports false when Zoho has none with that id.
func (a *API) Get(ctx context.Context, module, id string, fields []string) (Record, bool, error) {
	if err := checkModule(module); err != nil {
		return nil, false, err
	}
	if err := checkID(id); err != nil {
		return nil, false, err
	}
	query := url.Values{}
	if len(fields) > 0 {
		query.Set("fields", strings.Join(fields, ","))
	}
	records, err := a.records(ctx, request{method: http.MethodGet, path: "/" + module + "/" + id, query: query, credits: 1})
	if e, ok := err.(*Error); ok && e.Class == Gone {
		return nil, false, nil
	}
	if err != nil || len(records) == 0 {
		return nil, false, err
	}
	return records[0], true, nil
}

// Delete moves a record to Zoho's recycle bin. Nothing that serves calls does; the consent does not include the right.
func (a *API) Delete(ctx context.Context, module, id string) error {
	if err := checkModule(module); err != nil {
		return err
	}
	if err := checkID(id); err != nil {
		return err
	}
	ans, err := a.send(ctx, request{method: http.MethodDelete, path: "/" + module + "/" + id, write: true, credits: 1})
	if err != nil {
		return err
	}
	results, ok := readResults(ans, 1, a)
	switch {
	case !ok:
		return &Error{Class: Unknown, Status: ans.status, Message: "the answer does not say what became of the record"}
	case results[0].Err != nil:
		return results[0].Err
	}
	return nil
}

// phone is what Zoho's search takes as a phone number (Zoho's API, "Search records").
var phone = regexp.MustCompile(`^[+]?[0-9\s\-().]{3,50}$`)

// SearchPhone asks Zoho's search index for records with the number in any of their phone fields. The index lags
// behind writes and matches parts of numbers: callers verify each hit. With converted, Leads that became a
// Contact are found too.
func (a *API) SearchPhone(ctx context.Context, module, number string, fields []string, converted bool) ([]Record, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	if !phone.MatchString(number) {
		return nil, &Error{Class: OurBug, Code: "UNSAFE", Message: "not a number that Zoho's search takes"}
	}
	query := url.Values{"phone": {number}, "per_page": {"200"}} // the most there is; one of Zoho's files demands the parameter
	if len(fields) > 0 {
		query.Set("fields", strings.Join(fields, ","))
	}
	if converted {
		query.Set("converted", "both")
	}
	return a.records(ctx, request{method: http.MethodGet, path: "/" + module + "/search", query: query, heavy: true, credits: 1})
}

// COQL runs a query in Zoho's query language, which reads the database and not the search index. Write it with
// Query.Build, which quotes.
func (a *API) COQL(ctx context.Context, query string) ([]Record, error) {
	body, err := json.Marshal(map[string]string{"select_query": query})
	if err != nil {
		return nil, &Error{Class: OurBug, Message: "the query cannot be written as JSON", cause: err}
	}
	return a.records(ctx, request{method: http.MethodPost, path: "/coql", body: body, heavy: true, credits: 1})
}

// Find builds and runs a query.
func (a *API) Find(ctx context.Context, q Query) ([]Record, error) {
	built, err := q.Build()
	if err != nil {
		return nil, err
	}
	return a.COQL(ctx, built)
}

// Look finds records by values. It reports whole when the answer holds all that there are: not cut off at Zoho's most.
func (a *API) Look(ctx context.Context, l Look) (records []Record, whole bool, err error) {
	records, err = a.Find(ctx, l.Query())
	return records, len(records) < maxRows, err
}

// records reads data[] of a list; 204 is an empty list.
func (a *API) records(ctx context.Context, r request) ([]Record, error) {
	var records []Record
	err := a.list(ctx, r, "data", func(o map[string]any) { records = append(records, o) })
	return records, err
}

// list calls each for every object of the array under key; for none at 204. Any other answer without that array is none.
func (a *API) list(ctx context.Context, r request, key string, each func(map[string]any)) error {
	ans, err := a.send(ctx, r)
	if err != nil {
		return err
	}
	if ans.status == http.StatusNoContent {
		return nil
	}
	doc, err := decodeObject(ans.body)
	if err != nil {
		return &Error{Class: Transient, Status: ans.status, Message: "the answer could not be read", cause: err}
	}
	items, ok := doc[key].([]any)
	if !ok {
		return &Error{Class: Transient, Status: ans.status, Message: "the answer holds no " + key}
	}
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			each(o)
		}
	}
	return nil
}

// Peek reads at most one record of a module, to learn whether reading it is allowed.
func (a *API) Peek(ctx context.Context, module string) ([]Record, error) {
	if err := checkModule(module); err != nil {
		return nil, err
	}
	query := url.Values{"fields": {"id"}, "per_page": {"1"}}
	return a.records(ctx, request{method: http.MethodGet, path: "/" + module, query: query, credits: 1})
}
