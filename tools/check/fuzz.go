package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// suite is a package with fuzz tests.
type suite struct {
	dir, pkg string
	names    []string
}

// fuzz tries some new inputs on every fuzz target. Known inputs run with the
// tests; this catches a decoder that breaks at the first touch. To look longer:
//
//	go test -run '^$' -fuzz FuzzName -fuzztime 10m ./internal/…
//
// That command compiles everything anew to learn from coverage, which costs
// minutes and gains nothing for a few thousand inputs. So here the targets run
// in plain test binaries, linked without what only debuggers read.
func fuzz(ctx context.Context, o options, t *tally) error {
	suites, err := fuzzSuites(ctx, o.packages)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "kept-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, s := range suites {
		binary := filepath.Join(tmp, "fuzz.test")
		if out, err := combined(goCommand(ctx, "0", "test", "-c", "-ldflags=-s -w", "-o", binary, s.pkg)); err != nil {
			fmt.Printf("---- %s\n%s", s.pkg, out)
			t.fail(shorten(s.pkg) + " (fuzz)")
			continue
		}
		for _, name := range s.names {
			s.fuzz(ctx, o, t, binary, name)
		}
	}
	return nil
}

// fuzz runs one target in the folder of its package, where an input that fails
// is kept for the next run of the tests.
func (s suite) fuzz(ctx context.Context, o options, t *tally, binary, name string) {
	// A count, not a time: Go's fuzzer reports an input that the end of the time
	// interrupts as failed.
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.fuzz=^"+name+"$",
		"-test.fuzztime="+strconv.Itoa(o.fuzzRuns)+"x", "-test.fuzzminimizetime=2s",
		"-test.fuzzcachedir="+filepath.Join(filepath.Dir(binary), "cache"))
	cmd.Dir = s.dir
	title := shorten(s.pkg) + " " + name
	if out, err := combined(cmd); err != nil {
		fmt.Printf("---- %s\n%s", title, out)
		t.fail(title)
		return
	}
	fmt.Printf("ok   %s\n", title)
	t.pass(title)
}

func combined(cmd *exec.Cmd) ([]byte, error) {
	cmd.Stdout, cmd.Stderr = nil, nil
	return cmd.CombinedOutput()
}

// fuzzSuites lists the targets of the packages from their test files, which is
// faster than building the test binaries to ask them.
func fuzzSuites(ctx context.Context, packages []string) ([]suite, error) {
	args := append([]string{"list", "-f", "{{.Dir}}\t{{.ImportPath}}\t{{range .TestGoFiles}}{{.}} {{end}}{{range .XTestGoFiles}}{{.}} {{end}}"}, packages...)
	cmd := goCommand(ctx, "0", args...)
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var suites []suite
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 3 {
			continue // no test files
		}
		names, err := fuzzNames(fields[0], strings.Fields(fields[2]))
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			suites = append(suites, suite{fields[0], fields[1], names})
		}
	}
	return suites, nil
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func fuzzNames(dir string, files []string) ([]string, error) {
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("fuzz targets: %w", err)
		}
		for _, match := range fuzzFunc.FindAllSubmatch(text, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names, nil
}
