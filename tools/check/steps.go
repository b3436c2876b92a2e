package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// staticcheckModule is run by version and so stays out of go.mod.
const staticcheckModule = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

// goCommand prepares a go command whose output goes to ours. Its end is asked
// for politely, so that test binaries can print where they hang.
func goCommand(ctx context.Context, cgo string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// counted runs a command that is one check.
func (t *tally) counted(name string, cmd *exec.Cmd) error {
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	t.pass(name)
	return nil
}

// build shows that everything compiles without a C compiler.
func build(ctx context.Context, o options, t *tally) error {
	return t.counted("build", goCommand(ctx, "0", append([]string{"build"}, o.packages...)...))
}

func vet(ctx context.Context, o options, t *tally) error {
	return t.counted("vet", roomy(goCommand(ctx, "0", append([]string{"vet"}, o.packages...)...)))
}

func staticcheck(ctx context.Context, o options, t *tally) error {
	return t.counted("staticcheck", roomy(goCommand(ctx, "0", append([]string{"run", staticcheckModule}, o.packages...)...)))
}

// roomy lets a command that is short and allocates much collect its garbage
// less often, up to 3 GiB: a third of vet's and staticcheck's processor time
// went there.
func roomy(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, "GOGC=400", "GOMEMLIMIT=3GiB")
	return cmd
}

// assets compares the committed build of scripts and styles with their sources.
func assets(ctx context.Context, _ options, t *tally) error {
	return t.counted("assets", goCommand(ctx, "0", "run", "./tools/assets", "--check"))
}

// formatted compares every Go file with what gofmt would make of it.
func formatted(_ context.Context, _ options, t *tally) error {
	var errs []error
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(path, d.Name())
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		if err := formattedFile(path); err != nil {
			errs = append(errs, err)
		}
		return nil
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	t.pass("format")
	return nil
}

// skipDir leaves out what Go itself does not look at.
func skipDir(path, name string) error {
	if path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
		return filepath.SkipDir
	}
	return nil
}

func formattedFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	want, err := format.Source(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !bytes.Equal(text, want) {
		return fmt.Errorf("%s: run gofmt -w on it", path)
	}
	return nil
}
