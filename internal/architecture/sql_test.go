package architecture

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// runsSQL maps pgx's methods that run a text to the place of the text among their arguments.
var runsSQL = map[string]int{"Exec": 1, "Query": 1, "QueryRow": 1, "Queue": 0, "Prepare": 2}

// variableSQL lists the calls of pgx in p whose SQL is not a constant: there is nothing to inject into a constant.
func variableSQL(p *packages.Package) (found []string) {
	for _, file := range p.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			place, ok := runsSQL[method.Sel.Name]
			if !ok || place >= len(call.Args) || !isPGX(p.TypesInfo, method) {
				return true
			}
			if tv := p.TypesInfo.Types[call.Args[place]]; tv.Value == nil {
				found = append(found, fmt.Sprintf("%s: %s gets a text that is not constant", p.Fset.Position(call.Pos()), method.Sel.Name))
			}
			return true
		})
	}
	return found
}

// isPGX reports whether the method takes pgx's arguments: it belongs to pgx, or to an interface like our Querier.
func isPGX(info *types.Info, method *ast.SelectorExpr) bool {
	selection, ok := info.Selections[method]
	if !ok {
		return false
	}
	signature, ok := selection.Obj().Type().(*types.Signature)
	if !ok {
		return false
	}
	if pkg := selection.Obj().Pkg(); pkg != nil && strings.HasPrefix(pkg.Path(), "github.com/jackc/pgx/") {
		return true
	}
	return strings.Contains(signature.Results().String(), "github.com/jackc/pgx/")
}

// exceptions run a text that they put together, for the reason given.
var exceptions = map[string]string{
	"internal/postgres/pgtest/": "names of databases cannot be parameters; they are made there, from a random UUID",
	"internal/seal/":            "columns hand it their statements as a type that a constant alone can have outside",
}

func load(t *testing.T, patterns ...string) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.LoadSyntax, // our packages from source, what they import as the compiler left it
		Dir:  projectRoot(t),
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(loaded) > 0 || len(loaded) == 0 {
		t.Fatalf("%v: what does not compile cannot be checked", patterns)
	}
	return loaded
}

func TestEverySQLTextIsAConstant(t *testing.T) {
	for _, p := range load(t, "./cmd/...", "./internal/...") {
	finding:
		for _, f := range variableSQL(p) {
			for place := range exceptions {
				if strings.Contains(f, place) {
					continue finding
				}
			}
			t.Error(f)
		}
	}
}

func TestAVariableSQLTextIsSeen(t *testing.T) {
	for _, p := range load(t, "./internal/architecture/testdata/variable") {
		if found := variableSQL(p); len(found) != 2 {
			t.Errorf("2 planted faults, found %d: %v", len(found), found)
		}
	}
}
