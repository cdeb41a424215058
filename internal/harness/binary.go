// Package harness runs the real program from outside: it builds it, starts and kills it, sends it signed calls and
// compares what senders were told, what the database says and what the CRM holds. The crash tests and the
// benchmarks are its only users.
package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build compiles the program with the given build tags into dir and gives the binary's path.
func Build(dir string, tags ...string) (string, error) {
	root, err := projectRoot()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "hookline-"+strings.Join(append([]string{"test"}, tags...), "-"))
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", strings.Join(tags, ","), "-o", binary, "./cmd/hookline")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w: %s", err, out)
	}
	return binary, nil
}

func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}
