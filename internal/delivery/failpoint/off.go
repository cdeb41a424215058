//go:build !failpoint

// Package failpoint names the places where a process may die between two of its promises, so that the chaos tests
// can kill it exactly there. In an ordinary build Hit does nothing; built with the tag failpoint, the process kills
// itself (SIGKILL: no deferred call runs) at the place and visit that HOOKLINE_FAILPOINT names.
package failpoint

// Hit marks a place; names are those of the crash points, such as "P11".
func Hit(string) {}
