package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // ImportPath whose build-output says why a package failed
}

// outputKept is how much of one test's output is held back until it is known
// whether anybody wants to see it. The end is kept: a panic comes last.
const outputKept = 256 << 10

// result is what is known about one test, or about a package under the name "".
type result struct {
	name     string
	action   string // pass, fail, skip, or empty while it runs
	elapsed  float64
	output   []byte
	children int
	blamed   bool // a subtest failed, which explains this one
	said     bool // there was an event about it; else only its name stands before a slash in that of another
}

func (r *result) write(s string) {
	r.output = append(r.output, s...)
	if over := len(r.output) - outputKept; over > 0 {
		r.output = append(r.output[:0], r.output[over:]...)
	}
}

// report turns the events of many packages, interleaved, into one line per
// package and the full output of what failed.
type report struct {
	w        io.Writer
	t        *tally
	packages map[string]map[string]*result
	builds   map[string][]byte
	failed   []failedTest
}

// failedTest is a test that failed by itself, and not a part of it.
type failedTest struct {
	pkg, name string
	final     bool // a race or a panic: no second run takes that back
}

func newReport(w io.Writer, t *tally) *report {
	return &report{w: w, t: t, packages: map[string]map[string]*result{}, builds: map[string][]byte{}}
}

// read follows the events to their end. A line that is none is shown as it is.
func (r *report) read(in io.Reader) error {
	br := bufio.NewReader(in)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.add(e)
			} else {
				_, _ = r.w.Write(line)
			}
		}
		if errors.Is(err, io.EOF) {
			r.abandon()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		r.builds[e.ImportPath] = append(r.builds[e.ImportPath], e.Output...)
	case "output":
		res := r.result(e.Package, e.Test)
		res.said = true
		res.write(e.Output)
	case "run":
		r.result(e.Package, e.Test).said = true
	case "pass", "fail", "skip":
		res := r.result(e.Package, e.Test)
		res.said = true
		res.action, res.elapsed = e.Action, e.Elapsed
		if e.Test == "" {
			r.finish(e)
			return
		}
		if e.Action == "pass" {
			res.output = nil
		}
	}
}

// result finds a test and, the first time, ties it to the test it is part of.
func (r *report) result(pkg, test string) *result {
	tests := r.packages[pkg]
	if tests == nil {
		tests = map[string]*result{}
		r.packages[pkg] = tests
	}
	if tests[test] == nil {
		tests[test] = &result{name: test}
		if i := strings.LastIndexByte(test, '/'); i > 0 {
			r.result(pkg, test[:i]).children++
		}
	}
	return tests[test]
}

// finish counts a package that has ended and prints it.
func (r *report) finish(e event) {
	own, tests := r.result(e.Package, ""), r.packages[e.Package]
	delete(r.packages, e.Package)
	list := make([]*result, 0, len(tests))
	for _, res := range tests {
		if res.name != "" {
			list = append(list, res)
		}
	}
	// Subtests before what they are part of, to know whom to blame.
	slices.SortFunc(list, func(a, b *result) int { return strings.Compare(b.name, a.name) })
	before := *r.t
	for _, res := range list {
		r.count(e.Package, res, tests)
	}
	if e.Action == "fail" {
		r.show(e.Package, slices.Concat(r.builds[e.FailedBuild], own.output))
		if r.t.failed == before.failed { // no test did: it did not build, or ended too early
			r.t.fail(shorten(e.Package))
			r.failed = append(r.failed, failedTest{e.Package, "", true})
		}
	}
	r.line(e, r.t.passed-before.passed, r.t.failed-before.failed, r.t.skipped-before.skipped)
}

func (r *report) count(pkg string, res *result, tests map[string]*result) {
	name := shorten(pkg) + " " + res.name
	switch {
	case !res.said:
		return // no test: the name of a subtest has a slash in it
	case res.action == "skip":
		r.t.skip(name + ": " + reason(res.output))
	case res.action == "pass" && res.children > 0:
		return // its subtests count
	case res.action == "pass":
		r.t.pass(name)
		r.t.tests = append(r.t.tests, timing{name, time.Duration(res.elapsed * float64(time.Second))})
	default: // failed, or never ended because the whole binary did
		for parent, ok := parentOf(res.name); ok; parent, ok = parentOf(parent) {
			tests[parent].blamed = true
		}
		r.show(pkg+" "+res.name, res.output)
		if !res.blamed {
			r.t.fail(name)
			final := res.action == "" || bytes.Contains(res.output, []byte("DATA RACE")) || bytes.Contains(res.output, []byte("panic:"))
			r.failed = append(r.failed, failedTest{pkg, res.name, final})
		}
	}
}

func parentOf(test string) (string, bool) {
	i := strings.LastIndexByte(test, '/')
	if i < 0 {
		return "", false
	}
	return test[:i], true
}

// abandon counts packages that go test never finished.
func (r *report) abandon() {
	for pkg := range r.packages {
		r.finish(event{Action: "fail", Package: pkg})
	}
}

func (r *report) show(title string, output []byte) {
	fmt.Fprintf(r.w, "---- %s\n%s\n", title, strings.TrimRight(string(output), "\n"))
}

// line is the one line that every package gets.
func (r *report) line(e event, passed, failed, skipped int) {
	if e.Action == "skip" {
		return // no test files
	}
	word := map[string]string{"pass": "ok  ", "fail": "FAIL"}[e.Action]
	fmt.Fprintf(r.w, "%s %-44s %8.2fs  %4d passed", word, shorten(e.Package), e.Elapsed, passed)
	if failed > 0 {
		fmt.Fprintf(r.w, ", %d failed", failed)
	}
	if skipped > 0 {
		fmt.Fprintf(r.w, ", %d skipped", skipped)
	}
	fmt.Fprintln(r.w)
}

// shorten leaves the module path out of a package path.
func shorten(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/kept-dev/kept/")
}

// reason is what a skipped test said, without the lines that go test adds.
func reason(output []byte) string {
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}
