package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/internal/testkit/pgtest"
)

// testTimeout is per package: generous, because the race detector makes the
// pure Go database some ten times slower.
const testTimeout = "15m"

// unchecked leaves the checks of unsafe pointers, which -race switches on, out of the database that was translated from C:
// it is nothing but such pointers, and a quarter of the tests' processor time went there. Races are looked for all the same.
// With -race=false it would be a quarter less again, but then the linker may take a package's copies of generic code, such as
// those of sync.Map, that tell the detector nothing, and it sees races where there are none.
const unchecked = "-gcflags=modernc.org/...=-d=checkptr=0"

// test runs the Go tests against one PostgreSQL server for all packages.
func test(ctx context.Context, o options, t *tally) error {
	args := []string{"test", "-json", "-vet=off", "-timeout", testTimeout} // vet is a step of its own
	cgo := "0"
	if o.race {
		if _, err := external.Find("gcc", "apt-get install gcc libc6-dev, or leave the race detector out with -race=false"); err != nil {
			return fmt.Errorf("the race detector needs a C compiler: %w", err)
		}
		args, cgo = append(args, "-race", unchecked), "1"
	}
	cmd := goCommand(ctx, cgo, slices.Concat(args, o.packages)...)
	stop, err := lendPostgres(ctx, cmd)
	if err != nil {
		return err
	}
	defer stop()
	failed, err := readTests(cmd, t)
	if err != nil {
		return err
	}
	return again(failed, t, func(pkg, pattern string) *exec.Cmd {
		once := goCommand(ctx, cgo, slices.Concat(args, []string{"-count=1", "-run", pattern, pkg})...)
		once.Env = cmd.Env
		return once
	})
}

// lendPostgres starts the server that all test binaries share. Without an
// installed one each test says so itself.
func lendPostgres(ctx context.Context, cmd *exec.Cmd) (stop func(), err error) {
	if os.Getenv(pgtest.Env) != "" {
		return func() {}, nil
	}
	server, err := pgtest.Start(ctx)
	if errors.Is(err, external.ErrMissing) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, pgtest.Env+"="+server.URL)
	return server.Stop, nil
}

// readTests runs the command, follows its events and returns what failed.
func readTests(cmd *exec.Cmd, t *tally) ([]failedTest, error) {
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("go test: %w", err)
	}
	before, r := t.failed, newReport(os.Stdout, t)
	readErr := r.read(out)
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && t.failed > before {
		err = nil // each failure is counted already
	}
	return r.failed, errors.Join(readErr, err)
}
