//go:build failpoint

// Package failpoint names the places between two of the program's promises where the chaos tests strike. In an ordinary
// build Hit does nothing. Built with the tag failpoint, a process that comes to such a place tells whoever listens on the
// socket that HOOKLINE_FAILPOINTS names, and waits there until it may go on: meanwhile it, or another process, or the
// database can be killed, stopped, or told news.
package failpoint

import (
	"fmt"
	"io"
	"net"
	"os"
)

var socket = os.Getenv("HOOKLINE_FAILPOINTS")

// Hit marks a place; names are those of the crash points, such as "P11". About is the call in hand, where there is one.
func Hit(place string, about ...fmt.Stringer) {
	if socket == "" {
		return
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return // nobody listens any more
	}
	defer conn.Close()
	subject := ""
	for _, a := range about {
		subject = a.String()
	}
	if _, err := fmt.Fprintf(conn, "%d %s %s\n", os.Getpid(), place, subject); err != nil {
		return
	}
	if answer, _ := io.ReadAll(conn); string(answer) == "panic" {
		panic("fail point " + place)
	}
}
