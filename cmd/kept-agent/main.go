// Command kept-agent reports this host to a Kept server: what its processors, memory, disks, network, services and
// containers do, under the names of node_exporter, and what programs on it expose.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	settings

	Run     runCmd     `cmd:"" default:"1" help:"Measure and send, until stopped. This is what it does without a command."`
	Enrol   enrolCmd   `cmd:"" help:"Make this host known to a server, with a token that works once. It writes the configuration."`
	DryRun  dryRunCmd  `cmd:"" help:"Measure once and print exactly what would be sent. Nothing is sent."`
	Install installCmd `cmd:"" help:"Print or write the systemd unit."`
	Version versionCmd `cmd:"" help:"Say which version this is."`
}

func main() {
	tuneRuntime()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// tuneRuntime keeps the process small: it has little to do, and what it runs on has better use for the memory. What the
// environment says goes first.
func tuneRuntime() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(15)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(24 << 20)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// run is main with everything handed in.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if err := runCommand(ctx, dryRunAsFlag(args), environ, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "kept-agent: %v\n", err)
		return 1
	}
	return 0
}

// dryRunAsFlag lets people say --dry-run, as they are used to.
func dryRunAsFlag(args []string) []string {
	for i, arg := range args {
		if arg == "--dry-run" {
			rest := append([]string{"dry-run"}, args[:i]...)
			return append(rest, args[i+1:]...)
		}
	}
	return args
}

// out is where commands print what they were asked for; the log goes to standard error.
type out struct{ io.Writer }

func runCommand(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	var c cli
	exited := false
	file := newFile(args, environ)
	parser, err := kong.New(&c,
		kong.Name("kept-agent"),
		kong.Description("Reports this host to a Kept server. Settings come from flags, then from the environment, then from the configuration file."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.UsageOnError(),
		kong.Vars{"config": file.path},
		kong.Resolvers(file),
	)
	if err != nil {
		return err
	}
	if err := file.read(); err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if exited { // after --help
		return nil
	}
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.Log}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(&c.settings, log, out{stdout})
}

type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(w out) error {
	_, err := fmt.Fprintf(w, "kept-agent %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the version that the binary was built from: its tag, else the commit, else "devel", as the server says its own.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
