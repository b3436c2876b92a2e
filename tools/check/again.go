package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// fewFailed is how many tests may be run again. More than that are no accident.
const fewFailed = 5

// again runs the few tests that failed once more, with nothing else beside
// them: whole servers and a browser share two processors with everything that
// CI runs at once, and a change must not be refused for that. A test that
// passes then is listed as unsteady and stays a fault to be mended; one that
// fails twice has failed, and so has a data race, a panic or a package that
// did not build.
func again(failed []failedTest, t *tally, command func(pkg, pattern string) *exec.Cmd) error {
	if len(failed) == 0 || len(failed) > fewFailed {
		return nil
	}
	for _, f := range failed {
		if f.final {
			return nil
		}
	}
	for _, f := range failed {
		fmt.Printf("again: %s %s\n", shorten(f.pkg), f.name)
		second := newTally(t.ci)
		if _, err := readTests(command(f.pkg, pattern(f.name)), second); err != nil {
			return err
		}
		if second.failed == 0 && second.passed > 0 {
			t.steady(shorten(f.pkg) + " " + f.name)
		}
	}
	return nil
}

// pattern is the -run that matches one test and nothing else. go test splits
// it at slashes, also those that stand in a subtest's own name.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}
