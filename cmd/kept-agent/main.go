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
)

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
	if err := runCommand(ctx, args, environ, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "kept-agent: %v\n", err)
		return 1
	}
	return 0
}

func runCommand(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	l, err := readLine(args, environ)
	if err != nil {
		return err
	}
	if l.help {
		return printHelp(stdout)
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l.Log}))
	switch l.command {
	case "enrol":
		return enrol(ctx, l, log, stdout)
	case "dry-run":
		return dryRun(ctx, l, log, stdout)
	case "install":
		return install(ctx, l, stdout)
	case "version":
		_, err := fmt.Fprintf(stdout, "kept-agent %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	return runAgent(ctx, l, log)
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
