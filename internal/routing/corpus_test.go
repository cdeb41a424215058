package routing

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"hookline/internal/call"
)

// heard is one line of testdata/callers.tsv.
type heard struct {
	held  bool     // never tuned on
	lists []string // that should count
	said  string
	call  call.Call
}

// callers reads testdata/callers.tsv.
func callers(t testing.TB) []heard {
	t.Helper()
	doc, err := os.ReadFile("testdata/callers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := DefaultSet().Lists()
	var all []heard
	for i, line := range strings.Split(strings.TrimSpace(string(doc)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 4 || columns[0] != "held" && columns[0] != "tuned" {
			t.Fatalf("line %d is not part, lists, trade, said: %q", i+1, line)
		}
		h := heard{held: columns[0] == "held", said: columns[3]}
		if columns[1] != "-" {
			h.lists = strings.Fields(columns[1])
		}
		for _, l := range h.lists {
			if _, ok := known[l]; !ok {
				t.Fatalf("line %d names the list %q, which is not there", i+1, l)
			}
		}
		h.call.Transcript = turns(h.said)
		all = append(all, h)
	}
	return all
}

// turns cuts "[agent] … [caller] …" into a transcript. What stands before any mark is the caller's.
func turns(said string) []call.Turn {
	var out []call.Turn
	for i, part := range strings.Split(said, "[") {
		who, text, marked := strings.Cut(part, "]")
		if !marked {
			who, text = string(call.Caller), part
		}
		if text = strings.TrimSpace(text); text != "" || i > 0 {
			out = append(out, call.Turn{Role: call.Role(who), Text: text})
		}
	}
	return out
}

// score counts how a list did. Recall is the share of the calls it should count in where it did; precision the
// share of those it counted in where it should.
type tally struct{ right, missed, wrong int }

func (s tally) recall() float64    { return share(s.right, s.right+s.missed) }
func (s tally) precision() float64 { return share(s.right, s.right+s.wrong) }

func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}

func (s tally) String() string {
	return fmt.Sprintf("recall %3.0f %% (%d of %d), precision %3.0f %% (%d of %d)",
		100*s.recall(), s.right, s.right+s.missed, 100*s.precision(), s.right, s.right+s.wrong)
}

func TestPhraseListsFindWhatCallersMean(t *testing.T) {
	set := DefaultSet()
	parts := map[bool]map[string]tally{true: {}, false: {}}
	for _, h := range callers(t) {
		e := evaluation{facts: Facts{Call: h.call}, phrases: set.Lists()}
		for _, l := range set.Phrases {
			got, saw, _ := e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{l.Name}})
			want := slices.Contains(h.lists, l.Name)
			s := parts[h.held][l.Name]
			switch {
			case got && want:
				s.right++
			case want:
				s.missed++
			case got:
				s.wrong++
			}
			parts[h.held][l.Name] = s
			if got != want && !h.held { // what was held stays unseen, so that nobody tunes on it
				t.Logf("%s: got %v in %q (%s)", l.Name, got, h.said, saw)
			}
		}
	}
	for held, lists := range parts {
		var sum tally
		for _, l := range set.Phrases {
			s := lists[l.Name]
			sum.right, sum.missed, sum.wrong = sum.right+s.right, sum.missed+s.missed, sum.wrong+s.wrong
			t.Logf("held %-5v %-10s %v", held, l.Name, s)
		}
		t.Logf("held %-5v %-10s %v", held, "all lists", sum)
	}
}
