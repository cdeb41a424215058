package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/testing.md says which test proves what. A test that is renamed or removed takes its row along.
func TestEveryTestThatTheListNamesExists(t *testing.T) {
	root := projectRoot(t)
	list, err := os.ReadFile(filepath.Join(root, "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, top := range []string{"cmd", "internal"} {
		if err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, found := range declared.FindAllSubmatch(text, -1) {
				there[string(found[1])] = true
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, named := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(list, -1) {
		if !there[string(named[1])] {
			t.Errorf("docs/testing.md names %s, which does not exist", named[1])
		}
	}
}
