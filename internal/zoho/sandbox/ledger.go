package sandbox

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// line is one request in the ledger. Status 0: no answer left, because a fault cut it off or the process was killed first.
type line struct {
	N       uint64    `json:"n"`
	Time    time.Time `json:"time"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"`
	Status  int       `json:"status"`
	Org     string    `json:"org,omitempty"`
	Code    string    `json:"code,omitempty"`
	Rule    string    `json:"rule,omitempty"` // which rule refused, in words
	Credits int       `json:"credits,omitempty"`
	Fault   string    `json:"fault,omitempty"`
	Effects []effect  `json:"effects"`

	Request  uint64 `json:"-"`
	Template string `json:"-"`
}

// ledger is append-only: every request to the accounts and API hosts, and each change that a person made, numbered in the
// order in which they were settled.
type ledger struct {
	mu       sync.Mutex
	lines    []line
	last     uint64 // N of the newest line
	requests uint64
	counts   map[countKey]int
	credits  map[string]int // by organisation
}

type countKey struct{ org, method, path string }

func (l *ledger) init() {
	l.lines, l.last, l.counts, l.credits = nil, 0, map[countKey]int{}, map[string]int{}
}

func (l *ledger) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	return l.requests
}

func (l *ledger) add(n line) {
	if n.Effects == nil {
		n.Effects = []effect{}
	}
	l.lines = append(l.lines, n)
	l.last = n.N
	l.requests = max(l.requests, n.Request)
	if n.Template != "" {
		l.counts[countKey{n.Org, n.Method, n.Template}]++
	}
	l.credits[n.Org] += n.Credits
}

// record appends a request to the ledger and to the journal, and tells whoever watches.
func (s *Sandbox) record(q *request, template string, status int, code string) {
	n := line{
		Time: q.at.UTC(), Method: q.method, Path: q.path, Status: status, Code: code, Rule: q.rule, Credits: q.credits, Fault: q.note, Effects: q.effects,
		Request: q.number, Template: template,
	}
	if q.org != nil {
		n.Org = q.org.ID
	}
	if q.http != nil && q.version != "" {
		n.Query = q.http.URL.RawQuery
	}
	s.ledger.mu.Lock()
	n.N = s.ledger.last + 1
	s.ledger.add(n)
	s.journal.line(n)
	s.ledger.mu.Unlock()
	s.notify(q)
}

// after is the lines of an organisation (of all, for "") with a number over n.
func (l *ledger) after(n uint64, org string) ([]line, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := sort.Search(len(l.lines), func(i int) bool { return l.lines[i].N > n })
	out := []line{}
	for _, x := range l.lines[from:] {
		if org == "" || x.Org == org {
			out = append(out, x)
		}
	}
	return out, l.last
}

// newest is up to n lines before number `before` (0: from the end), newest first.
func (l *ledger) newest(before uint64, n int) []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := len(l.lines)
	if before > 0 {
		to = sort.Search(len(l.lines), func(i int) bool { return l.lines[i].N >= before })
	}
	out := slices.Clone(l.lines[max(0, to-n):to])
	slices.Reverse(out)
	return out
}

// requestCount is one row of the stats.
type requestCount struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Count  int    `json:"count"`
}

func (l *ledger) stats(org string) (requests []requestCount, credits int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sums := map[countKey]int{}
	for k, n := range l.counts {
		if org == "" || k.org == org {
			sums[countKey{"", k.method, k.path}] += n
		}
	}
	requests = []requestCount{}
	for k, n := range sums {
		requests = append(requests, requestCount{k.method, k.path, n})
	}
	sort.Slice(requests, func(i, j int) bool {
		a, b := requests[i], requests[j]
		return a.Path < b.Path || (a.Path == b.Path && a.Method < b.Method)
	})
	for o, n := range l.credits {
		if org == "" || o == org {
			credits += n
		}
	}
	return requests, credits
}
