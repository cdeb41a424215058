//go:build failpoint

// Package failpoint names the places where a process may die between two of its promises, so that the chaos tests
// can kill it exactly there. In an ordinary build Hit does nothing; built with the tag failpoint, the process kills
// itself (SIGKILL: no deferred call runs) at the place and visit that HOOKLINE_FAILPOINT names.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// HOOKLINE_FAILPOINT is "P11" or, for the third visit, "P11:3".
var (
	place, visit = read(os.Getenv("HOOKLINE_FAILPOINT"))
	visits       atomic.Int64
)

func read(s string) (string, int64) {
	name, nth, found := strings.Cut(s, ":")
	n, err := strconv.ParseInt(nth, 10, 64)
	if !found || err != nil || n < 1 {
		n = 1
	}
	return name, n
}

// Hit marks a place; names are those of the crash points, such as "P11".
func Hit(name string) {
	if name != place || visits.Add(1) != visit {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way: nothing after this line happens
}
