package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// follow runs the report over events written one per line.
func follow(t *testing.T, ci bool, events string) (*tally, string) {
	t.Helper()
	sum, out := newTally(ci), &strings.Builder{}
	if err := newReport(out, sum).read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	sum.print(out)
	return sum, out.String()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestReport(t *testing.T) {
	t.Parallel()
	const run = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"said by A\n"}
`
	for name, c := range map[string]struct {
		events string
		ci     bool
		want   string   // the last line
		shown  []string // parts of the output
		hidden string
	}{
		"a pass is quiet": {
			events: run + `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.5}
{"Action":"pass","Package":"p","Elapsed":1.6}`,
			want: "1 passed, 0 failed", shown: []string{"ok   p", "1.50s  p TestA"}, hidden: "said by A",
		},
		"a failure shows what it said": {
			events: run + `{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			want: "0 passed, 1 failed", shown: []string{"said by A", "FAIL p"},
		},
		"leaves count and parents do not": {
			events: `{"Action":"run","Package":"p","Test":"T"}
{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"run","Package":"p","Test":"T/b"}
{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"fail","Package":"p","Test":"T/b"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`,
			want: "1 passed, 1 failed", shown: []string{"p T/b"},
		},
		"a parent that fails by itself counts": {
			events: `{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`,
			want: "1 passed, 1 failed",
		},
		"a slash in the name of a subtest makes no other test": {
			events: `{"Action":"run","Package":"p","Test":"T"}
{"Action":"run","Package":"p","Test":"T/line_8/up/down"}
{"Action":"pass","Package":"p","Test":"T/line_8/up/down"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`,
			want: "1 passed, 0 failed",
		},
		"a package that does not build fails once, with the compiler's words": {
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:3: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			want: "0 passed, 1 failed", shown: []string{"p.go:3: undefined: x"},
		},
		"a test that never ends is a failure": {
			events: run + `{"Action":"fail","Package":"p"}`,
			want:   "0 passed, 1 failed", shown: []string{"said by A"},
		},
		"a run that breaks off is a failure": {
			events: run, want: "0 passed, 1 failed", shown: []string{"said by A"},
		},
		"a skip is told": {
			events: run + `{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			want: "0 passed, 0 failed", shown: []string{"1 skipped:", "p TestA: said by A"},
		},
		"a skip fails in CI": {
			events: run + `{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			ci: true, want: "0 passed, 1 failed", shown: []string{"said by A (skipped, and CI=true)"},
		},
		"a package without tests is nothing": {
			events: `{"Action":"output","Package":"p","Output":"? p [no test files]\n"}
{"Action":"skip","Package":"p"}`,
			ci: true, want: "0 passed, 0 failed",
		},
		"what is no event is passed on": {
			events: "go: downloading x\n", want: "0 passed, 0 failed", shown: []string{"go: downloading x\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := follow(t, c.ci, c.events)
			if got := lastLine(out); got != c.want {
				t.Errorf("last line = %q, want %q", got, c.want)
			}
			for _, part := range c.shown {
				if !strings.Contains(out, part) {
					t.Errorf("output lacks %q:\n%s", part, out)
				}
			}
			if c.hidden != "" && strings.Contains(out, c.hidden) {
				t.Errorf("output shows %q:\n%s", c.hidden, out)
			}
		})
	}
}

func TestLongOutputKeepsItsEnd(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(event{Action: "output", Package: "p", Test: "T", Output: strings.Repeat("x", 1<<10) + "\n"})
	if err != nil {
		t.Fatal(err)
	}
	events := strings.Repeat(string(line)+"\n", 1<<10) +
		`{"Action":"output","Package":"p","Test":"T","Output":"panic: the end\n"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`
	_, out := follow(t, false, events)
	if !strings.Contains(out, "panic: the end") || len(out) > 2*outputKept {
		t.Errorf("%d bytes of output, with the end: %v", len(out), strings.Contains(out, "panic: the end"))
	}
}

func TestFuzzNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "package p\n\nfunc FuzzOne(f *testing.F) {}\n\nfunc TestTwo(t *testing.T) {}\n\nfunc FuzzThree(f *testing.F) {}\n"
	if err := os.WriteFile(filepath.Join(dir, "p_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := fuzzNames(dir, []string{"p_test.go"})
	if got := strings.Join(names, " "); err != nil || got != "FuzzOne FuzzThree" {
		t.Errorf("fuzzNames = %q, %v", got, err)
	}
}

func TestFormattedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, good := range map[string]bool{"package p\n": true, "package  p\n": false, "packag p\n": false} {
		path := filepath.Join(dir, "p.go")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := formattedFile(path); (err == nil) != good {
			t.Errorf("formattedFile of %q: %v", text, err)
		}
	}
}
