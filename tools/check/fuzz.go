package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// target is one fuzz test.
type target struct{ pkg, name string }

// fuzz tries some new inputs on every fuzz target. Known inputs run with the
// tests; this catches a decoder that breaks at the first touch. To look longer:
//
//	go test -run '^$' -fuzz FuzzName -fuzztime 10m ./internal/…
func fuzz(ctx context.Context, o options, t *tally) error {
	targets, err := fuzzTargets(ctx, o.packages)
	if err != nil {
		return err
	}
	for _, f := range targets {
		// A count, not a time: Go's fuzzer reports an input that the end of
		// the time interrupts as failed.
		cmd := goCommand(ctx, "0", "test", "-run", "^$", "-fuzz", "^"+f.name+"$",
			"-fuzztime", strconv.Itoa(o.fuzzRuns)+"x", "-fuzzminimizetime", "2s", f.pkg)
		cmd.Stdout, cmd.Stderr = nil, nil
		out, err := cmd.CombinedOutput()
		name := shorten(f.pkg) + " " + f.name
		if err != nil {
			fmt.Printf("---- %s\n%s", name, out)
			t.fail(name)
			continue
		}
		fmt.Printf("ok   %s\n", name)
		t.pass(name)
	}
	return nil
}

// fuzzTargets lists the targets of the packages from their test files, which is
// faster than building the test binaries to ask them.
func fuzzTargets(ctx context.Context, packages []string) ([]target, error) {
	args := append([]string{"list", "-f", "{{.Dir}}\t{{.ImportPath}}\t{{range .TestGoFiles}}{{.}} {{end}}{{range .XTestGoFiles}}{{.}} {{end}}"}, packages...)
	cmd := goCommand(ctx, "0", args...)
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var targets []target
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 3 {
			continue // no test files
		}
		names, err := fuzzNames(fields[0], strings.Fields(fields[2]))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			targets = append(targets, target{fields[1], name})
		}
	}
	return targets, nil
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
