package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/ui"
)

// longest is how many lines a file may have that people read, before it has to
// say why with a comment that begins "Long because".
const longest = 500

var readByPeople = map[string]bool{".go": true, ".ts": true, ".tsx": true, ".mjs": true, ".html": true, ".css": true, ".sql": true, ".sh": true}

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	files(t, func(name string, text []byte) {
		lines := bytes.Count(text, []byte("\n"))
		if readByPeople[path.Ext(name)] && !strings.Contains(name, "/testdata/") &&
			lines > longest && !bytes.Contains(text, []byte("Long because ")) {
			t.Errorf("%s has %d lines: a file holds one thing; split it, or begin a comment with %q", name, lines, "Long because …")
		}
	})
}

// traces are what the machine that somebody worked on leaves in a file. Letters
// in brackets keep this table from finding itself.
var traces = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`(^|[^A-Za-z0-9_.])/(w[o]rk|h[o]me|U[s]ers)/[a-z]`), "a folder of somebody's machine"},
	{regexp.MustCompile(`[p]roxy\.golang\.|[r]egistry\.npmjs\.|[r]egistry\.yarnpkg\.`), "a registry host: which one to use is the reader's setting"},
}

func TestFilesNameNoBuildHost(t *testing.T) {
	t.Parallel()
	files(t, func(name string, text []byte) {
		if path.Base(name) == "go.sum" {
			return
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			for _, trace := range traces {
				if trace.pattern.Match(line) {
					t.Errorf("%s:%d has %s", name, i+1, trace.why)
				}
			}
		}
	})
}

// TestTestsDoNotSleep: a sleep is too long on a fast machine and too short on a
// busy one. Within testing/synctest it is exact and takes no time.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	files(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") {
			return
		}
		for _, place := range sleeps(parse(t, name, text)) {
			t.Errorf("%s: time.Sleep in a test: wait for a signal, or use testing/synctest", place)
		}
	})
}

func sleeps(s source) (places []string) {
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && p == "testing/synctest" {
			return nil
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && typeName(sel) == "time.Sleep" {
			places = append(places, s.at(sel))
		}
		return true
	})
	return places
}

// TestTemplates holds the pages to the content security policy.
func TestTemplates(t *testing.T) {
	t.Parallel()
	found := 0
	files(t, func(name string, text []byte) {
		if path.Ext(name) != ".html" || !strings.HasPrefix(name, "internal/") || strings.Contains(name, "/testdata/") {
			return
		}
		found++
		for _, problem := range ui.LintTemplate(name, text) {
			t.Error(problem)
		}
	})
	if found == 0 {
		t.Error("no template found: this test looks in the wrong place")
	}
}

func TestTracesAndSleepsAreFound(t *testing.T) {
	t.Parallel()
	for text, bad := range map[string]bool{
		"see /" + "home/ann/kept":              true,
		"cd /" + "work/main":                   true,
		"https://" + "registry." + "npmjs.org": true,
		"GET /homework/1":                      false,
		"https://example.com/work/1":           false,
	} {
		got := false
		for _, trace := range traces {
			got = got || trace.pattern.MatchString(text)
		}
		if got != bad {
			t.Errorf("%q found: %v, want %v", text, got, bad)
		}
	}
	const sleepy = "package p\n\nimport (\n\t%s\n\t\"time\"\n)\n\nfunc f() { time.Sleep(1) }\n"
	if got := sleeps(parse(t, "p.go", fmt.Appendf(nil, sleepy, `"testing"`))); len(got) != 1 {
		t.Errorf("sleeps found: %q, want one", got)
	}
	if got := sleeps(parse(t, "p.go", fmt.Appendf(nil, sleepy, `"testing/synctest"`))); len(got) != 0 {
		t.Errorf("sleeps found in a bubble: %q, want none", got)
	}
}
