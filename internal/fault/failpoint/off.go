//go:build !failpoint

// Package failpoint names the places between two of the program's promises where the chaos tests strike. In an ordinary
// build Hit does nothing. Built with the tag failpoint, a process that comes to such a place tells whoever listens on the
// socket that HOOKLINE_FAILPOINTS names, and waits there until it may go on: meanwhile it, or another process, or the
// database can be killed, stopped, or told news.
package failpoint

import "fmt"

// Hit marks a place; names are those of the crash points, such as "P11". About is the call in hand, where there is one.
func Hit(string, ...fmt.Stringer) {}
