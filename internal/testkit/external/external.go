// Package external runs programs that are not ours, such as a database server
// or Node, for tests and for the tool that runs them.
//
// It knows where to find a program, what a missing one means, and how to tie
// the life of a server to the life of the process that wanted it. Which
// servers there are is left to pgtest and redistest.
package external

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// ErrMissing is what a program that is not installed amounts to.
var ErrMissing = errors.New("not installed")

// Find returns the path of a program from PATH, or else the last match of the
// patterns, compared as text. Hint is the sentence that tells a reader how to
// install it and becomes part of an error that is ErrMissing.
func Find(name, hint string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("pattern for %s: %w", name, err)
		}
		if len(matches) > 0 {
			return slices.Max(matches), nil
		}
	}
	return "", Missing(name, hint)
}

// Missing is the error for a program that is not there.
func Missing(name, hint string) error {
	return fmt.Errorf("%s is %w: %s", name, ErrMissing, hint)
}

// Check ends the test if err is not nil. Something that is not installed skips
// the test on a developer's machine; when CI=true it fails like anything else,
// so that a gap in the build machine cannot pass for a green run.
func Check(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// Require is Find for a test: it returns the path or ends the test as Check does.
func Require(t testing.TB, name, hint string, patterns ...string) string {
	t.Helper()
	path, err := Find(name, hint, patterns...)
	Check(t, err)
	return path
}
