// Command hookline is the whole product in one binary: it serves pages, intake and API, works the lanes, migrates the
// database, runs the Zoho sandbox, and helps whoever operates it.
//
// It reads the environment once and hands values to the packages; everything else is theirs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones of businesses, wherever the program runs

	"github.com/alecthomas/kong"
)

type commands struct {
	Serve   serveCommand   `cmd:"" default:"withargs" help:"Serve pages, intake and API, and work the lanes."`
	Migrate migrateCommand `cmd:"" help:"Bring the database to this program's schema, or say what is pending."`
	Sandbox sandboxCommand `cmd:"" help:"Run the Zoho sandbox on its own."`
	Tenant  tenantCommand  `cmd:"" help:"Make a business with its owner, from the command line."`
	Send    sendCommand    `cmd:"" help:"Sign and post calls in the native format."`
	Rules   rulesCommand   `cmd:"" help:"Keep rules and mappings in a file: export, import, backtest, publish, list what was published."`
	Demo    demoCommand    `cmd:"" help:"Serve a workspace full of calls of every kind, put through the real pipeline."`
	Keys    keysCommand    `cmd:"" help:"Make a sealing key, or move rows to the current one."`
	Doctor  doctorCommand  `cmd:"" help:"Check the set-up; name what is wrong and how to mend it."`
	Healthy healthyCommand `cmd:"" hidden:"" help:"Exit 0 when a server answers on this machine (for containers)."`
}

// world is what every command gets: the process's surroundings.
type world struct {
	ctx    context.Context
	env    func(string) string
	in     io.Reader
	out    io.Writer
	errOut io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var c commands
	parsed := kong.Parse(&c, kong.Name("hookline"), kong.Description("Puts every phone call into the right Zoho CRM record, with proof."), kong.UsageOnError())
	if err := parsed.Run(&world{ctx: ctx, env: os.Getenv, in: os.Stdin, out: os.Stdout, errOut: os.Stderr}); err != nil {
		code, said := errors.AsType[exitCode](err)
		if !said {
			code = 1
			if !errors.Is(err, errReported) {
				fmt.Fprintln(os.Stderr, "hookline:", err)
			}
		}
		os.Exit(int(code))
	}
}

// exitCode ends the program with itself, after a command has said why.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// errReported ends the program with 1 after a command has said itself what is wrong.
var errReported = errors.New("reported")

func newLog(c config, w io.Writer) *slog.Logger {
	if c.Log == "text" {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}
