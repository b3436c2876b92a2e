// Command kept is Kept: the server and the commands to run it. Each command has a file here; its work is in
// internal/app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/config"
)

// cli is the command line. To add a command, write its file and add a line here.
type cli struct {
	Config string `help:"File with settings, one KEY=VALUE a line, as in an env file." placeholder:"FILE"`

	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Demo     demoCmd     `cmd:"" help:"Run a server with a small shop whose background jobs are real, to look around."`
	Setup    setupCmd    `cmd:"" help:"Make an owner, a workspace and an API key, also beside a running server."`
	Promises promisesCmd `cmd:"" help:"Check every promise that this server makes about data."`
	Announce announceCmd `cmd:"" help:"Announce a new subprocessor to the owners of all workspaces, 30 days before its use."`
	Notice   noticeCmd   `cmd:"" help:"Tell whoever uses this server of an incident, of maintenance or of a security update."`
	Audit    auditCmd    `cmd:"" help:"Verify the audit log, and print its heads or a chain."`
	Jobs     jobsCmd     `cmd:"" help:"Look after the job data."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine."`
	Version  versionCmd  `cmd:"" help:"Say which version this is."`
}

// out is where commands print what they were asked for; the log goes to standard error.
type out struct{ io.Writer }

func main() {
	tuneRuntime()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	os.Exit(code)
}

// tuneRuntime sets what the environment leaves open.
func tuneRuntime() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // the live heap is small: half the collections for a few megabytes
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// One of them is often in fsync, for a commit, and its processor would be idle until the scheduler notices.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// run is main with everything handed in.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if err := runCommand(ctx, args, environ, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "kept: %s\n", explain(err))
		return 1
	}
	return 0
}

// explain is what the operator is told: the sentence for people, and the cause of what is not their doing.
func explain(err error) string {
	var e *kernel.Error
	if !errors.As(err, &e) || e.Code == kernel.Internal {
		return err.Error()
	}
	return e.Safe
}

func runCommand(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	src, err := config.NewSource(args, environ)
	if err != nil {
		return err
	}
	helped := false
	var c cli
	parser, err := config.Parser(&c, src, kong.Name("kept"), kong.Writers(stdout, stderr),
		kong.Description("Job monitoring, diagnostic sessions, metrics and a job-search organiser on one privacy core."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out{stdout}), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return err
	}
	return command.Run()
}
