package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// actionAt is where account.Audit takes the action, counted from the left; the call from inside the package is the same.
const actionAt = 4

func TestEveryActionOfTheAuditLogHasWords(t *testing.T) {
	var families []string // what stands before the dot
	for action := range actions {
		family, _, _ := strings.Cut(action, ".")
		families = append(families, family)
	}
	looksLikeOne := regexp.MustCompile(`^(` + strings.Join(families, "|") + `)\.[a-z_]+$`)
	used := map[string]bool{}
	note := func(e ast.Expr, certain bool) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil && (certain || looksLikeOne.MatchString(text)) {
			used[text] = true
		}
	}
	for _, top := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if d.IsDir() && d.Name() == "provider" {
				return fs.SkipDir // audits nothing, and knows events of names like call.started
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if set, ok := n.(*ast.AssignStmt); ok { // one of two, chosen before it is handed on
					for _, value := range set.Rhs {
						note(value, false)
					}
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				for _, arg := range call.Args { // an action that a function of its own hands on is one of its arguments
					note(arg, false)
				}
				var name string
				switch f := call.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if name == "Audit" && len(call.Args) > actionAt {
					note(call.Args[actionAt], true)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(used) < 20 {
		t.Fatalf("only %d actions were found in the source: %v", len(used), used)
	}
	var without []string
	for action := range used {
		if actions[action] == "" {
			without = append(without, action)
		}
	}
	slices.Sort(without)
	if len(without) > 0 {
		t.Errorf("no words for %s", strings.Join(without, ", "))
	}
	for action := range actions {
		if !used[action] {
			t.Errorf("words for %s, which nothing does", action)
		}
	}
}
