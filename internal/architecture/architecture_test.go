// Package architecture holds the house in shape: which package may import which, and that every SQL text is a
// constant. It has no code of its own; docs/architecture.md tells the story that these tests keep true.
package architecture

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "hookline/"

// floors, from the top of the house to the ground. A package may import packages of lower floors, and of its own
// floor only what sameFloor allows.
var floors = [][]string{
	{"cmd/hookline", "internal/harness"},
	{"internal/server"},
	{"internal/intake", "internal/delivery", "internal/backtest", "internal/analytics"},
	{"internal/provider", "internal/connection", "internal/identity", "internal/routing", "internal/mapping", "internal/config", "internal/followup"},
	{"internal/call", "internal/tenant", "internal/account", "internal/receptionist"},
	{"internal/zoho", "internal/postgres", "internal/seal", "internal/fault", "migrations", "web", "static"},
}

// sameFloor lists the imports allowed within a floor: a step may look at what an earlier step produced, never at a
// later one; a flow ends by knocking on the next door.
var sameFloor = map[string][]string{
	"internal/harness":   {"cmd/hookline"},
	"internal/intake":    {"internal/delivery"},
	"internal/backtest":  {"internal/delivery"},
	"internal/analytics": {"internal/delivery"},
	"internal/identity":  {"internal/connection"},
	"internal/routing":   {"internal/connection", "internal/identity"},
	"internal/mapping":   {"internal/connection", "internal/identity", "internal/routing"},
	"internal/config":    {"internal/routing", "internal/mapping"},
	"internal/followup":  {"internal/connection", "internal/identity", "internal/routing", "internal/mapping"},
	"internal/call":      {"internal/tenant"},
	"internal/account":   {"internal/tenant"},
	"internal/zoho":      {"internal/seal", "internal/fault"},
	"internal/postgres":  {"migrations", "internal/fault"},
	"internal/seal":      {"internal/fault"},
	"web":                {"static"},
}

// onlyBy lists the packages that few may import, and says why.
var onlyBy = map[string]struct {
	importers []string
	why       string
}{
	"internal/provider":     {[]string{"internal/intake"}, "a vendor's dialect ends at the door; everyone else speaks of calls"},
	"internal/zoho/sandbox": {[]string{"cmd/hookline", "internal/harness"}, "the program talks to Zoho over HTTP, real or not"},
	"internal/server":       {[]string{"cmd/hookline", "internal/harness"}, "the door is opened by the command alone"},
	"internal/backtest":     {[]string{"internal/server", "cmd/hookline"}, "a flow of its own: it is asked for by people and programs, and serves no call"},
	"web":                   {[]string{"internal/server", "internal/zoho/sandbox"}, "pages are for people; only what serves people shows them"},
}

// room is the part of an import path that the tables above speak of.
func room(path string) string {
	for _, floor := range floors {
		for _, r := range floor {
			if path == r || strings.HasPrefix(path, r+"/") {
				return r
			}
		}
	}
	return ""
}

func floorOf(r string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, r) })
}

// offence says why from may not import to; empty when it may. test files may also use what only tests use.
func offence(from, to string, inTest bool) string {
	for narrow, rule := range onlyBy {
		if (to == narrow || strings.HasPrefix(to, narrow+"/")) && !strings.HasPrefix(from, narrow) && !inTest {
			if !slices.ContainsFunc(rule.importers, func(p string) bool { return from == p || strings.HasPrefix(from, p+"/") }) {
				return rule.why
			}
		}
	}
	if strings.HasPrefix(from, "internal/zoho/sandbox") {
		if strings.HasPrefix(to, "internal/") && !strings.HasPrefix(to, "internal/zoho/sandbox") && !inTest {
			return "the sandbox is a Zoho of its own: what it shared with the client could be wrong in both"
		}
		return ""
	}
	a, b := room(from), room(to)
	if a == b || inTest {
		return ""
	}
	if b == "" {
		return "this package stands on no floor: give it a room in docs/architecture.md and here"
	}
	switch fa, fb := floorOf(a), floorOf(b); {
	case fb > fa || slices.Contains(sameFloor[a], b):
		return ""
	case fb < fa:
		return "floors import downwards only"
	default:
		return "these two stand on one floor: a step may look at an earlier step only, a noun at none"
	}
}

func TestFloorsImportDownwardsOnly(t *testing.T) {
	root := projectRoot(t)
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, filepath.Dir(path))
		if relative == "internal/architecture" {
			return nil
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			seen++
			if why := offence(relative, to, isTest(path)); why != "" {
				t.Errorf("%s imports %s: %s", filepath.ToSlash(relative), to, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d imports seen: the walk missed the house", seen)
	}
}

// isTest covers test files and the packages that exist for tests.
func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/pgtest/") || strings.Contains(path, "/sandboxtest/") || strings.Contains(path, "/servertest/")
}

func TestEveryPackageStandsOnAFloor(t *testing.T) {
	root := projectRoot(t)
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			relative, _ := filepath.Rel(root, filepath.Dir(path))
			if strings.HasSuffix(path, ".go") && relative != "internal/architecture" && room(filepath.ToSlash(relative)) == "" {
				t.Errorf("%s stands on no floor: a package with one caller and no SQL, job or decision is a file in that caller", relative)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOffencesAreSeen(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"internal/call", "internal/delivery"},
		{"internal/routing", "internal/mapping"},
		{"internal/delivery", "internal/intake"},
		{"internal/delivery", "internal/provider"},
		{"internal/intake", "internal/server"},
		{"internal/delivery", "internal/zoho/sandbox"},
		{"internal/zoho/sandbox", "internal/zoho"},
		{"internal/mapping", "web/page"},
		{"web/page", "internal/call"},
		{"internal/server", "internal/drawer"},
	} {
		if offence(c.from, c.to, false) == "" {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
}

func TestTopLevelHoldsOnlyWhatIsSettled(t *testing.T) {
	allowed := []string{"cmd", "internal", "web", "migrations", "static", "docs", "Dockerfile", "go.mod", "go.sum", "README.md",
		"Makefile", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",
		"bin", "hookline"} // the last two are build products, never committed
	entries, err := os.ReadDir(projectRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

func projectRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
