package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// timing is how long one thing took.
type timing struct {
	name string
	took time.Duration
}

// tally counts what passed and keeps what a reader wants to see at the end.
type tally struct {
	ci                      bool
	passed, failed, skipped int
	failures, skips         []string
	unsteady                []string // failed, and passed when they ran again
	took, tests             []timing
}

func newTally(ci bool) *tally { return &tally{ci: ci} }

func (t *tally) pass(string) { t.passed++ }

func (t *tally) fail(what string) {
	t.failed++
	t.failures = append(t.failures, what)
}

// skip counts as failed where nobody is there to read why.
func (t *tally) skip(what string) {
	t.skips = append(t.skips, what)
	if t.ci {
		t.fail(what + " (skipped, and CI=true)")
		return
	}
	t.skipped++
}

// steady takes a failure back: the test passed when it ran again.
func (t *tally) steady(what string) {
	i := slices.Index(t.failures, what)
	if i < 0 {
		return
	}
	t.failures = slices.Delete(t.failures, i, i+1)
	t.failed--
	t.passed++
	t.unsteady = append(t.unsteady, what)
}

// print ends the run: slowest tests, time per step, what was skipped, what is
// unsteady, what failed, and the count alone on the last line.
func (t *tally) print(w io.Writer) {
	const slowest = 10
	slices.SortStableFunc(t.tests, func(a, b timing) int { return cmp.Compare(b.took, a.took) })
	t.list(w, "slowest tests", t.tests[:min(slowest, len(t.tests))])
	t.list(w, "time per step", t.took)
	if t.skipped > 0 {
		fmt.Fprintf(w, "\n%d skipped:\n", t.skipped)
		for _, s := range t.skips {
			fmt.Fprintln(w, "  "+s)
		}
	}
	if len(t.unsteady) > 0 {
		fmt.Fprintf(w, "\n%d unsteady: failed, then passed when run again. Each is a fault, of the test or of Kept; mend it:\n", len(t.unsteady))
		for _, s := range t.unsteady {
			fmt.Fprintln(w, "  "+s)
		}
	}
	if t.failed > 0 {
		fmt.Fprintln(w, "\nfailed:")
		for _, s := range t.failures {
			fmt.Fprintln(w, "  "+s)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed\n", t.passed, t.failed)
}

func (t *tally) list(w io.Writer, title string, list []timing) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, l := range list {
		fmt.Fprintf(w, "  %8.2fs  %s\n", l.took.Seconds(), l.name)
	}
}
