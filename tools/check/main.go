// Command check runs everything that a change to Kept must pass and says what
// failed. `make test` is scripts/install-tools.sh and then this.
//
//	go run ./tools/check                         everything
//	go run ./tools/check -step test ./internal/… only the tests, only there
//
// The last line is always "N passed, M failed". Tests count one each (the
// leaves, where there are subtests), and every other step counts one. With
// CI=true a skipped test counts as failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options is what the command line chooses.
type options struct {
	packages []string
	race     bool
	fuzzRuns int  // inputs per fuzz target
	ci       bool // a skipped test is a failure
}

// step is one kind of check. It prints what a reader needs and adds to the
// tally; the error is for trouble that kept it from running.
type step struct {
	name string
	run  func(ctx context.Context, o options, t *tally) error
}

// steps in the order in which they find most for the least time. Building
// first also fills the cache for all the others.
var steps = []step{
	{"build", build},
	{"format", formatted},
	{"assets", assets},
	{"vet", vet},
	{"staticcheck", staticcheck},
	{"fuzz", fuzz},
	{"test", test},
}

func main() {
	o := options{ci: os.Getenv("CI") == "true"}
	only := flag.String("step", "", "run only these `steps`, separated by commas: "+names())
	flag.BoolVar(&o.race, "race", true, "run the tests with the race detector, which needs a C compiler")
	flag.IntVar(&o.fuzzRuns, "fuzz", 5000, "`inputs` to try on each fuzz target")
	flag.Parse()
	if o.packages = flag.Args(); len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := newTally(o.ci)
	for _, s := range chosen(*only) {
		t.timed(ctx, s, o)
	}
	t.print(os.Stdout)
	if t.failed > 0 {
		os.Exit(1)
	}
}

func names() string {
	var list []string
	for _, s := range steps {
		list = append(list, s.name)
	}
	return strings.Join(list, ",")
}

// chosen returns the steps that the flag names, all of them when it is empty.
func chosen(only string) []step {
	if only == "" {
		return steps
	}
	var list []step
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(steps, func(s step) bool { return s.name == name })
		if i < 0 {
			fmt.Fprintf(os.Stderr, "no step %q; there are %s\n", name, names())
			os.Exit(2)
		}
		list = append(list, steps[i])
	}
	return list
}

// timed runs one step and notes how long it took.
func (t *tally) timed(ctx context.Context, s step, o options) {
	fmt.Printf("\n== %s\n", s.name)
	start, cpu := time.Now(), cpuOfChildren()
	if err := s.run(ctx, o, t); err != nil {
		fmt.Println(err)
		t.fail(s.name + ": " + firstLine(err.Error()))
	}
	took := time.Since(start)
	used := cpuOfChildren() - cpu
	t.took = append(t.took, timing{fmt.Sprintf("%s (%.0fs of processor time)", s.name, used.Seconds()), took})
	fmt.Printf("== %s took %s\n", s.name, took.Round(100*time.Millisecond))
}

// cpuOfChildren is the processor time of all commands that have ended. Beside
// the time on the clock it tells a slow step from a busy machine.
func cpuOfChildren() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
