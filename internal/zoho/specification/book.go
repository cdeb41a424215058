package specification

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Operation is an operation in use, and where Zoho's files describe it.
type Operation struct {
	Method string
	Path   string // after /crm/v8, with {placeholders}; the first operation of a table that matches an exchange is its own
	File   string // "" where no file of the generation describes it
	As     string // the template in that file
	Older  string // where File is "": the file of the older generation, whose names alone are held against the answers
	Why    string // where both are "": why
}

func (o Operation) name() string { return o.Method + " " + o.Path }

// Excuse names a place where the files are wrong, and nothing more than that place.
type Excuse struct {
	Operation string // such as "GET /org"; "" for any
	Status    int    // of the answer; 0 for any
	Fault     string // the fault, to the letter
	Flat      bool   // instead of Fault: an error the file wants inside data[] stands alone. Inside, it has to fit
	Why       string
}

func (e Excuse) covers(operation string, status int, fault string) bool {
	return e.of(operation, status) && !e.Flat && e.Fault == fault
}

func (e Excuse) of(operation string, status int) bool {
	return (e.Operation == "" || e.Operation == operation) && (e.Status == 0 || e.Status == status)
}

// Book keeps the exchanges of one test. It is safe for concurrent use.
type Book struct {
	operations []Operation
	shapes     []*regexp.Regexp

	mu        sync.Mutex
	exchanges []Exchange
}

// NewBook is an empty book for a table of operations.
func NewBook(operations []Operation) *Book {
	b := &Book{operations: operations}
	for _, o := range operations {
		parts := strings.Split(o.Path, "/")
		for i, p := range parts {
			if name := strings.Trim(p, "{}"); name != p {
				parts[i] = "(?P<" + name + ">[^/]+)"
			} else {
				parts[i] = regexp.QuoteMeta(p)
			}
		}
		b.shapes = append(b.shapes, regexp.MustCompile("^/crm/v8"+strings.Join(parts, "/")+"$"))
	}
	return b
}

// Keep puts an exchange into the book.
func (b *Book) Keep(x Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exchanges = append(b.exchanges, x)
}

// which is the operation of an exchange, and the values of its placeholders under the names of the file.
func (b *Book) which(x Exchange) (int, map[string]string) {
	for i, o := range b.operations {
		if o.Method != x.Method {
			continue
		}
		m := b.shapes[i].FindStringSubmatch(x.Path)
		if m == nil {
			continue
		}
		params := map[string]string{}
		for j, name := range placeholder.FindAllString(o.As, -1) {
			if j+1 < len(m) {
				params[strings.Trim(name, "{}")] = m[j+1]
			}
		}
		return i, params
	}
	return -1, nil
}

// Judge holds every exchange against the files: answers against [ForAnswers], requests against [ForRequests]. It fails the test
// for what does not fit and is not excused, for operations outside the table, and for whatever in the table is out of date; it
// logs the coverage.
func (b *Book) Judge(t *testing.T, f *Files, excuses []Excuse) {
	t.Helper()
	answers := strings.HasSuffix(f.dir, ForAnswers)
	found := make([]described, len(b.operations))
	for i, o := range b.operations {
		if o.File != "" {
			d, err := f.find(o.File, o.Method, o.As)
			if err != nil {
				t.Fatal(err)
			}
			found[i] = d
			continue
		}
		if o.Older != "" {
			d, err := f.older().find(o.Older, o.Method, o.As)
			if err != nil {
				t.Fatal(err)
			}
			found[i] = d
		}
		if file, err := f.describes(o.Method, o.Path); err != nil || file != "" {
			t.Errorf("%s: said to be described nowhere, but %s has it (%v)", o.name(), file, err)
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	type count struct {
		used, fit, excused int
		statuses           map[int]bool
		why                map[string]bool
	}
	counts := make([]count, len(b.operations))
	needed := make([]int, len(excuses))
	told := map[string]bool{}
	for _, x := range b.exchanges {
		i, params := b.which(x)
		if i < 0 {
			t.Errorf("%s %s is in no table of operations", x.Method, x.Path)
			continue
		}
		c, o := &counts[i], b.operations[i]
		c.used++
		if found[i].op == nil {
			continue
		}
		if c.statuses == nil {
			c.statuses, c.why = map[int]bool{}, map[string]bool{}
		}
		c.statuses[x.Status] = true
		var faults []string
		switch {
		case o.File == "":
			faults = found[i].names(x)
		case answers:
			faults = found[i].answer(x)
		default:
			faults = found[i].request(x, params)
		}
		excused, flat := 0, false
		if n := slices.IndexFunc(excuses, func(e Excuse) bool { return e.Flat && e.of(o.name(), x.Status) }); n >= 0 && len(faults) > 0 && !bytes.HasPrefix(x.Body, []byte(`{"data"`)) {
			wrapped := x
			wrapped.Body = slices.Concat([]byte(`{"data":[`), x.Body, []byte(`]}`))
			faults, flat = found[i].answer(wrapped), true
			needed[n]++
			c.why[excuses[n].Why] = true
		}
		for _, fault := range faults {
			n := slices.IndexFunc(excuses, func(e Excuse) bool { return e.covers(o.name(), x.Status, fault) })
			if n >= 0 {
				needed[n]++
				excused++
				c.why[excuses[n].Why] = true
				continue
			}
			line := fmt.Sprintf("%s, %d: %s", o.name(), x.Status, fault)
			if !told[line] {
				told[line] = true
				t.Errorf("%s\n\tof %s", line, clip(x, answers))
			}
		}
		switch {
		case len(faults) == 0 && !flat:
			c.fit++
		case excused == len(faults):
			c.excused++
		}
	}
	for i, e := range excuses {
		if needed[i] == 0 {
			t.Errorf("no longer needed, take it out: the excuse %s %d %q", cmp.Or(e.Operation, "(any operation)"), e.Status, e.Fault)
		}
	}

	var table strings.Builder
	total := count{}
	described, fitting := 0, 0
	for i, o := range b.operations {
		c := counts[i]
		if c.used == 0 {
			t.Errorf("%s is in the table and was not used", o.name())
		}
		total.used += c.used
		if o.File != "" {
			total.fit, total.excused = total.fit+c.fit, total.excused+c.excused
			described++
			if c.fit > 0 {
				fitting++
			}
		}
		if found[i].op == nil {
			fmt.Fprintf(&table, "%-58s %4d   no schema: %s\n", o.name(), c.used, o.Why)
			continue
		}
		note := ""
		if o.File == "" {
			note = " (names alone, against the older generation)"
		}
		var statuses []string
		for s := range c.statuses {
			statuses = append(statuses, strconv.Itoa(s))
		}
		slices.Sort(statuses)
		fmt.Fprintf(&table, "%-58s %4d %4d fit %4d excused  %s%s\n", o.name(), c.used, c.fit, c.excused, strings.Join(statuses, " "), note)
		var whys []string
		for why := range c.why {
			whys = append(whys, why)
		}
		slices.Sort(whys)
		for _, why := range whys {
			fmt.Fprintf(&table, "%62s excused: %s\n", "", why)
		}
	}
	t.Logf("%d operations used, %d with a schema, %d of them with exchanges that fit it whole; %d exchanges, %d fit, %d but for excused faults, %d without a schema\n%s",
		len(b.operations), described, fitting, total.used, total.fit, total.excused, total.used-total.fit-total.excused, table.String())
}

func clip(x Exchange, answer bool) string {
	body := x.RequestBody
	if answer {
		body = x.Body
	}
	s := x.Method + " " + x.Path + "?" + x.Query + " " + string(body)
	if len(s) > 1500 {
		s = s[:1500] + "…"
	}
	return s
}
