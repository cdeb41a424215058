package architecture

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/tools/go/packages"
)

// checksSecrets are the packages that compare what strangers send with secrets.
var checksSecrets = []string{"./internal/provider", "./internal/intake", "./internal/account", "./internal/connection"}

// secretName is how variables and fields that hold a secret, or what is made of one, are called.
var secretName = regexp.MustCompile(`(?i)secret|signature|token|digest|password|verifier|bearer|hmac|^(mac|sig|hash|sum|key)$`)

// leakyEquals are functions whose time tells how far two values agree.
var leakyEquals = []string{"bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "strings.EqualFold", "strings.Compare", "strings.HasPrefix",
	"slices.Equal", "slices.Contains", "slices.Index", "reflect.DeepEqual", "maps.Equal", "cmp.Compare"}

// ownSecrets are functions that compare a secret with no stranger's, and why.
var ownSecrets = map[string]string{
	"provider.CheckSecret":  "a new secret with itself, trimmed",
	"connection.keptAccess": "two tokens of our own",
	"intake.Rotate":         "an owner's new secret with the secrets of that owner's source",
	"intake.change":         "the secrets of a source before and after a change of ours",
}

type leak struct{ within, sentence string }

// leakyComparisons lists where p compares a secret otherwise than hmac.Equal and subtle.ConstantTimeCompare do. To
// compare with a constant, such as "no secret is set", tells nothing.
func leakyComparisons(p *packages.Package) (found []leak) {
	for _, file := range p.Syntax {
		within := ""
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok {
				within = p.Name + "." + f.Name.Name
			}
			var compared []ast.Expr
			how := ""
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					compared, how = []ast.Expr{n.X, n.Y}, n.Op.String()
				}
			case *ast.SwitchStmt:
				if n.Tag != nil {
					compared, how = []ast.Expr{n.Tag}, "switch"
				}
			case *ast.CallExpr:
				if name := types.ExprString(n.Fun); slices.Contains(leakyEquals, name) {
					compared, how = n.Args, name
				}
			}
			if slices.ContainsFunc(compared, func(e ast.Expr) bool { return p.TypesInfo.Types[e].Value != nil || p.TypesInfo.Types[e].IsNil() }) {
				return true
			}
			for _, e := range compared {
				if name, kind := nameOf(e), p.TypesInfo.TypeOf(e); secretName.MatchString(name) && isText(kind) || isDigest(kind) {
					found = append(found, leak{within, fmt.Sprintf("%s: %s compares %s; use hmac.Equal or subtle.ConstantTimeCompare", p.Fset.Position(n.Pos()), how, name)})
					break
				}
			}
			return true
		})
	}
	return found
}

// nameOf is the last name of an expression: secret of s.secret, secrets[0], string(secret) and secret[:8].
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.SliceExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	case *ast.StarExpr:
		return nameOf(e.X)
	case *ast.CallExpr:
		if len(e.Args) > 0 {
			if name := nameOf(e.Args[0]); secretName.MatchString(name) {
				return name
			}
		}
		return nameOf(e.Fun)
	}
	return ""
}

// isText reports whether a type can hold a secret: text, bytes, or a list of these.
func isText(t types.Type) bool {
	switch t := t.Underlying().(type) {
	case *types.Basic:
		return t.Info()&types.IsString != 0
	case *types.Slice:
		return isText(t.Elem()) || types.Identical(t.Elem().Underlying(), types.Typ[types.Byte])
	case *types.Array:
		return types.Identical(t.Elem().Underlying(), types.Typ[types.Byte])
	}
	return false
}

// isDigest reports whether a type is that of SHA-1's or a longer sum, whatever a variable of it is called.
func isDigest(t types.Type) bool {
	array, ok := t.Underlying().(*types.Array)
	return ok && array.Len() >= 20 && isText(array)
}

func TestSecretsAreComparedInConstantTime(t *testing.T) {
	used := map[string]bool{}
	for _, p := range load(t, checksSecrets...) {
		for _, f := range leakyComparisons(p) {
			if used[f.within] = true; ownSecrets[f.within] == "" {
				t.Errorf("%s (in %s)", f.sentence, f.within)
			}
		}
	}
	for name := range ownSecrets {
		if !used[name] {
			t.Errorf("%s compares no secret any more: strike it out", name)
		}
	}
}

func TestALeakyComparisonIsSeen(t *testing.T) {
	for _, p := range load(t, "./internal/architecture/testdata/secrets") {
		if found := leakyComparisons(p); len(found) != 7 {
			t.Errorf("7 planted faults, found %d: %v", len(found), found)
		}
	}
}
