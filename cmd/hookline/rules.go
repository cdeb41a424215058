package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// rulesCommand keeps rules, phrase lists and mappings in a file, over the JSON API of a running server.
type rulesCommand struct {
	Export   rulesExport   `cmd:"" help:"Write rules, phrase lists and mappings as one JSON document, the same for the same rules."`
	Import   rulesImport   `cmd:"" help:"Put a document in the draft's place. Nothing is live before it is published."`
	Backtest rulesBacktest `cmd:"" help:"Run stored calls through the draft and say what would change. Exit code 3 when calls would fail."`
	Publish  rulesPublish  `cmd:"" help:"Make the draft live. The next call follows it."`
	Versions rulesVersions `cmd:"" help:"List what was published: when, by whom, why, and what changed."`
}

// apiFlags say where the server is and who asks. The key is no flag: those stand in process lists and shell histories
// for everybody to read, a process's environment and a file of mode 0600 do not.
type apiFlags struct {
	URL     string `help:"Address of the server; HOOKLINE_URL when left out, else http://127.0.0.1:8080." placeholder:"URL"`
	KeyFile string `help:"File that holds the API key. Left out: the key is read from HOOKLINE_API_KEY." placeholder:"FILE"`
}

// api is a server's JSON API as its commands use it.
type api struct {
	base string
	key  string
}

func (f apiFlags) open(w *world) (*api, error) {
	base := f.URL
	if base == "" {
		base = w.env("HOOKLINE_URL")
	}
	if base == "" {
		base = "http://127.0.0.1:8080"
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a server; one looks like this: https://hookline.example.com", base)
	}
	key := w.env("HOOKLINE_API_KEY")
	if f.KeyFile != "" {
		text, err := os.ReadFile(f.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the API key: %w", err)
		}
		key = string(text)
	}
	if key = strings.TrimSpace(key); key == "" {
		return nil, errors.New("no API key: set HOOKLINE_API_KEY, or name a file with --key-file; keys are made on the page Settings, API keys")
	}
	return &api{base: strings.TrimRight(base, "/") + "/api/v1", key: key}, nil
}

// refusal is a problem that the API answered.
type refusal struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
		Value    any    `json:"value"`
	} `json:"errors"`
}

func (r *refusal) Error() string {
	lines := []string{r.Detail}
	for _, e := range r.Errors {
		where := e.Location
		if id, ok := e.Value.(string); ok {
			where = "rule " + id
		}
		lines = append(lines, "  "+where+": "+e.Message)
	}
	return strings.Join(lines, "\n")
}

// mostAnswered bounds an answer that is read, in bytes.
const mostAnswered = 64 << 20

// ask sends one request and gives the answer's body and ETag.
func (a *api) ask(ctx context.Context, method, path, ifMatch string, body []byte) (answer []byte, etag string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Authorization", "Bearer "+a.key)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(res.Body, mostAnswered)); err != nil {
		return nil, "", err
	}
	if res.StatusCode >= http.StatusBadRequest {
		p := &refusal{Status: res.StatusCode}
		if json.Unmarshal(answer, p) != nil || p.Detail == "" {
			p.Detail = fmt.Sprintf("%s %s answers %s", method, a.base+path, res.Status)
		}
		return nil, "", p
	}
	if !json.Valid(answer) {
		return nil, "", fmt.Errorf("%s answers no JSON; is %s a Hookline server?", a.base+path, a.base)
	}
	return answer, res.Header.Get("ETag"), nil
}

// get reads what path answers into to.
func (a *api) get(ctx context.Context, path string, to any) (etag string, err error) {
	answer, etag, err := a.ask(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return "", err
	}
	return etag, json.Unmarshal(answer, to)
}

type rulesExport struct {
	apiFlags
	File    string `help:"Where to write it; - is standard output." default:"-"`
	Version *int   `help:"A published version in place of the draft; 0 is what every workspace starts with." placeholder:"N"`
	Live    bool   `help:"What is live in place of the draft."`
}

func (c *rulesExport) Run(w *world) error {
	a, err := c.open(w)
	if err != nil {
		return err
	}
	path := "/draft"
	switch {
	case c.Version != nil:
		path = "/versions/" + strconv.Itoa(*c.Version)
	case c.Live:
		var now changes
		if _, err := a.get(w.ctx, "/draft/changes", &now); err != nil {
			return err
		}
		path = "/versions/" + strconv.Itoa(now.Base)
	}
	doc, _, err := a.ask(w.ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer // the server writes keys in one order and modules by name: the same rules are the same bytes
	if err := json.Indent(&pretty, bytes.TrimSpace(doc), "", "  "); err != nil {
		return err
	}
	pretty.WriteByte('\n')
	if c.File == "-" {
		_, err = w.out.Write(pretty.Bytes())
		return err
	}
	return os.WriteFile(c.File, pretty.Bytes(), 0o644)
}

// changes is the draft as the API sums it up.
type changes struct {
	Open     bool      `json:"open"`
	Base     int       `json:"base"`
	Revision int       `json:"revision"`
	Changes  []string  `json:"changes"`
	Problems []problem `json:"problems"`
	Edits    []struct {
		What  string    `json:"what"`
		By    string    `json:"by"`
		At    time.Time `json:"at"`
		Yours bool      `json:"yours"`
	} `json:"edits"`
}

type problem struct {
	ID       string   `json:"id"`
	Sentence string   `json:"sentence"`
	Allowed  []string `json:"allowed"`
	Blocking bool     `json:"blocking"`
}

// print says what is not live yet, and what is wrong with it.
func (c changes) print(w io.Writer) {
	if !c.Open {
		fmt.Fprintln(w, "The draft is what is live: there is nothing to publish.")
	} else {
		fmt.Fprintf(w, "Not live yet (draft revision %d):\n", c.Revision)
		for _, change := range c.Changes {
			fmt.Fprintln(w, "  "+change)
		}
	}
	for _, p := range c.Problems {
		what := "Note"
		if p.Blocking {
			what = "Zoho would refuse this"
		}
		fmt.Fprintf(w, "%s: %s: %s\n", what, p.ID, p.Sentence)
		if len(p.Allowed) > 0 {
			fmt.Fprintln(w, "  Zoho takes: "+strings.Join(p.Allowed, ", "))
		}
	}
}

type rulesImport struct {
	apiFlags
	File    string `help:"The document; - is standard input." default:"-"`
	Replace bool   `help:"Also when the draft holds changes that others have not published yet: they are replaced."`
}

func (c *rulesImport) Run(w *world) error {
	a, err := c.open(w)
	if err != nil {
		return err
	}
	var doc []byte
	if c.File == "-" {
		doc, err = io.ReadAll(w.in)
	} else {
		doc, err = os.ReadFile(c.File)
	}
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	var tight bytes.Buffer // an export is indented, and the server's limit is for what it stores
	if json.Compact(&tight, doc) == nil {
		doc = tight.Bytes()
	}
	var now changes
	etag, err := a.get(w.ctx, "/draft/changes", &now)
	if err != nil {
		return err
	}
	if theirs := now.ofOthers(); len(theirs) > 0 && !c.Replace {
		return fmt.Errorf("the draft holds changes that others have not published yet:\n  %s\nNothing was imported. Publish or discard them on the page Draft, or replace them with --replace", strings.Join(theirs, "\n  "))
	}
	if _, _, err := a.ask(w.ctx, http.MethodPut, "/draft", etag, doc); err != nil {
		return err
	}
	var after changes
	if _, err := a.get(w.ctx, "/draft/changes", &after); err != nil {
		return err
	}
	after.print(w.out)
	return nil
}

// ofOthers are the unpublished edits that this key did not make.
func (c changes) ofOthers() []string {
	var out []string
	for _, e := range c.Edits {
		if c.Open && !e.Yours {
			out = append(out, fmt.Sprintf("%s, by %s, %s", e.What, e.By, e.At.Format(time.DateTime)))
		}
	}
	slices.Reverse(out)
	return out
}

type rulesBacktest struct {
	apiFlags
	Days         int  `help:"The calls of the last days, 1 to 90; 30 when neither this nor --last is given." placeholder:"N"`
	Last         int  `help:"The last so many calls in place of days." placeholder:"N"`
	JSON         bool `help:"Print the API's answer."`
	FailOnChange bool `help:"Exit code 3 also when anything would change."`
}

// wouldFail is the exit code of a backtest under which calls would fail.
const wouldFail exitCode = 3

func (c *rulesBacktest) Run(w *world) error {
	a, err := c.open(w)
	if err != nil {
		return err
	}
	scope := map[string]int{}
	if c.Days != 0 {
		scope["days"] = c.Days
	}
	if c.Last != 0 {
		scope["last"] = c.Last
	}
	wish, err := json.Marshal(scope)
	if err != nil {
		return err
	}
	answer, _, err := a.ask(w.ctx, http.MethodPost, "/backtest", "", wish)
	if err != nil {
		return err
	}
	var b backtested
	if err := json.Unmarshal(answer, &b); err != nil {
		return err
	}
	if c.JSON {
		_, err = w.out.Write(answer)
	} else {
		err = b.print(w.out)
	}
	if err == nil && (b.Result.Failing > 0 || c.FailOnChange && b.Result.Changed > 0) {
		return wouldFail
	}
	return err
}

// backtested is a finished backtest as the API tells of it.
type backtested struct {
	Revision int `json:"revision"`
	Version  int `json:"version"`
	Result   struct {
		Total      int `json:"total"`
		Calls      int `json:"calls"`
		Undecided  int `json:"undecided"`
		Unreadable int `json:"unreadable"`
		Changed    int `json:"changed"`
		Reruled    int `json:"reruled"`
		Failing    int `json:"failing"`
		Mended     int `json:"mended"`
		StillFail  int `json:"still_fail"`
		Outcomes   []struct {
			Outcome string `json:"outcome"`
			Live    int    `json:"live"`
			Draft   int    `json:"draft"`
		} `json:"outcomes"`
		Moves []struct {
			From  string `json:"from"`
			To    string `json:"to"`
			Calls int    `json:"calls"`
		} `json:"moves"`
		Failures []struct {
			ID      string    `json:"id"`
			At      time.Time `json:"received_at"`
			Reasons []struct {
				Module   string `json:"module"`
				Field    string `json:"field"`
				Sentence string `json:"sentence"`
			} `json:"reasons"`
		} `json:"failures"`
		Credits struct {
			LivePerDay  float64 `json:"live_per_day"`
			DraftPerDay float64 `json:"draft_per_day"`
		} `json:"credits"`
	} `json:"result"`
}

// mostFailures is how many failing calls are printed; --json has more.
const mostFailures = 20

// print is the backtest for people. Callers' names and numbers stay out of it: logs of builds are read by many.
func (b backtested) print(w io.Writer) error {
	r := b.Result
	fmt.Fprintf(w, "Draft revision %d against version %d on %d calls: %d would change, %d would fail.\n", b.Revision, b.Version, r.Calls, r.Changed, r.Failing)
	if r.StillFail > 0 {
		fmt.Fprintf(w, "%d fail now and with the draft.\n", r.StillFail)
	}
	if r.Mended > 0 {
		fmt.Fprintf(w, "%d that fail now would go through.\n", r.Mended)
	}
	if r.Reruled > 0 {
		fmt.Fprintf(w, "%d more are decided by another rule, to the same effect.\n", r.Reruled)
	}
	if r.Undecided > 0 {
		fmt.Fprintf(w, "%d were left out: they still wait, or could not be read as calls.\n", r.Undecided)
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(w, "%d were left out: what is stored of them could not be run.\n", r.Unreadable)
	}
	if more := r.Total - r.Calls - r.Undecided - r.Unreadable; more > 0 {
		fmt.Fprintf(w, "%d older ones were not run.\n", more)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(r.Outcomes) > 0 {
		fmt.Fprintln(t, "\nOUTCOME\tLIVE\tDRAFT\tCHANGE")
		for _, o := range r.Outcomes {
			change := ""
			if o.Draft != o.Live {
				change = fmt.Sprintf("%+d", o.Draft-o.Live)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", o.Outcome, o.Live, o.Draft, change)
		}
	}
	if len(r.Moves) > 0 {
		fmt.Fprintln(t, "\nNOW\tWITH THE DRAFT\tCALLS")
		for _, m := range r.Moves {
			to := m.To
			if to == m.From {
				to = "the same, with other values"
			}
			fmt.Fprintf(t, "%s\t%s\t%d\n", m.From, to, m.Calls)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		fmt.Fprintln(w, "\nCalls that would fail:")
	}
	for _, f := range r.Failures[:min(mostFailures, len(r.Failures))] {
		for _, reason := range f.Reasons {
			fmt.Fprintf(w, "  %s, %s: %s: %s\n", f.ID, f.At.Format("2006-01-02 15:04"), strings.TrimSpace(reason.Module+" "+reason.Field), reason.Sentence)
		}
	}
	if more := r.Failing - min(mostFailures, len(r.Failures)); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	_, err := fmt.Fprintf(w, "\nZoho API credits for writing, a day: %.0f now, %.0f with the draft.\n", math.Ceil(r.Credits.LivePerDay), math.Ceil(r.Credits.DraftPerDay))
	return err
}

type rulesPublish struct {
	apiFlags
	Why             string `help:"Why, for those who read it later."`
	Revision        *int   `help:"Publish this revision of the draft, as import prints it, and no other. Left out: whichever stands." placeholder:"N"`
	SkipBacktest    bool   `help:"Publish though no backtest of this draft was run."`
	DespiteProblems bool   `help:"Publish though Zoho is known to refuse a part."`
}

func (c *rulesPublish) Run(w *world) error {
	a, err := c.open(w)
	if err != nil {
		return err
	}
	var now changes
	etag, err := a.get(w.ctx, "/draft/changes", &now)
	if err != nil {
		return err
	}
	if c.Revision != nil {
		etag = strconv.Quote(strconv.Itoa(*c.Revision))
	}
	wish, err := json.Marshal(map[string]any{"why": c.Why, "skip_backtest": c.SkipBacktest, "despite_problems": c.DespiteProblems})
	if err != nil {
		return err
	}
	answer, _, err := a.ask(w.ctx, http.MethodPost, "/publish", etag, wish)
	if p, ok := errors.AsType[*refusal](err); ok {
		switch p.Type {
		case "urn:hookline:untested":
			p.Detail += "\nRun it with: hookline rules backtest. Or say --skip-backtest."
		case "urn:hookline:zoho-refuses":
			p.Detail += "\nMend it, or say --despite-problems."
		}
	}
	if err != nil {
		return err
	}
	var v version
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	fmt.Fprintf(w.out, "Version %d is live. The next call follows it.\n", v.Number)
	for _, change := range v.Changes {
		fmt.Fprintln(w.out, "  "+change)
	}
	return nil
}

type version struct {
	Number  int       `json:"number"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Why     string    `json:"why"`
	Changes []string  `json:"changes"`
}

type rulesVersions struct {
	apiFlags
	Limit int  `help:"At most so many, the newest first." default:"20"`
	JSON  bool `help:"Print the API's answer."`
}

func (c *rulesVersions) Run(w *world) error {
	a, err := c.open(w)
	if err != nil {
		return err
	}
	answer, _, err := a.ask(w.ctx, http.MethodGet, "/versions?limit="+strconv.Itoa(c.Limit), "", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := w.out.Write(answer)
		return err
	}
	var list struct {
		Data []version `json:"data"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	if len(list.Data) == 0 {
		fmt.Fprintln(w.out, "Nothing was published yet: the rules that every workspace starts with are live.")
		return nil
	}
	t := tabwriter.NewWriter(w.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tPUBLISHED\tBY\tWHY")
	for i, v := range list.Data {
		name := strconv.Itoa(v.Number)
		if i == 0 {
			name += " (live)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, v.At.Format("2006-01-02 15:04"), v.By, v.Why)
		for _, change := range v.Changes {
			fmt.Fprintf(t, "\t\t\t  %s\n", change)
		}
	}
	return t.Flush()
}
