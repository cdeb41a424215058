package routing

import (
	"fmt"
	"maps"
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
	only  string   // the list that was asked about; empty: each
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
		switch lists := columns[1]; lists[:1] {
		case "-":
		case "+":
			h.only = lists[1:]
			h.lists = []string{h.only}
		case "!":
			h.only = lists[1:]
		default:
			h.lists = strings.Fields(lists)
		}
		for _, l := range append(h.lists, h.only) {
			if l == "" {
				continue
			}
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

// tally counts how a list did. Recall is the share of the calls it should count in where it did; precision the
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

// floors are below what the lists reach today by a few calls, no more. What is held measures how they do on calls that
// nobody wrote them for; it has few calls a list, so only its sum has a floor.
var floors = map[bool]map[string]struct{ recall, precision float64 }{
	false: {
		ListBuying: {.95, .95}, ListUrgent: {.90, .90}, ListEmergency: {.90, .90}, ListCallback: {.90, .90}, ListForward: {.90, .90},
		ListSpam: {.90, .95}, "all lists": {.97, .97},
	},
	true: {"all lists": {.80, .82}},
}

func TestPhraseListsFindWhatCallersMean(t *testing.T) {
	set := DefaultSet()
	parts := map[bool]map[string]tally{true: {}, false: {}}
	for _, h := range callers(t) {
		e := evaluation{facts: Facts{Call: h.call}, phrases: set.Lists()}
		for _, l := range set.Phrases {
			if h.only != "" && h.only != l.Name {
				continue
			}
			got, saw, _ := e.said(Condition{Field: FieldSaid, Op: Says, Lists: []string{l.Name}})
			want := slices.Contains(h.lists, l.Name)
			for _, of := range []string{l.Name, "all lists"} {
				s := parts[h.held][of]
				switch {
				case got && want:
					s.right++
				case want:
					s.missed++
				case got:
					s.wrong++
				}
				parts[h.held][of] = s
			}
			if got != want && !h.held { // what is held stays unseen, so that nobody tunes by it
				t.Logf("%s: got %v in %q (%s)", l.Name, got, h.said, saw)
			}
		}
	}
	for held, name := range map[bool]string{false: "tuned", true: "held"} {
		for _, l := range append(slices.Sorted(maps.Keys(set.Lists())), "all lists") {
			s := parts[held][l]
			t.Logf("%-5s %-10s %v", name, l, s)
			if f := floors[held][l]; s.recall() < f.recall || s.precision() < f.precision {
				t.Errorf("%s, %s: %v; the floors are %.0f %% and %.0f %%", name, l, s, 100*f.recall, 100*f.precision)
			}
		}
	}
}

func TestAQuarterOfTheCallersIsHeld(t *testing.T) {
	held, all := 0, callers(t)
	for _, h := range all {
		if h.held {
			held++
		}
	}
	if held*4 < len(all) {
		t.Errorf("%d of %d calls are held", held, len(all))
	}
}
