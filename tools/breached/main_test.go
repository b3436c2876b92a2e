package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadsEveryKindOfList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, "packed\n")
	_ = w.Close()
	lists := []string{
		write("a.txt", []byte("plain\nTwo words\n")),
		write("b.json", []byte(`["array"]`)),
		write("c.js", []byte("var f = {\n  passwords: \"script,other\".split(\",\"),\n  names: \"notpicked\".split(\",\")\n};")) + ":passwords",
		write("d.txt.gz", z.Bytes()),
	}
	out := filepath.Join(dir, "out.bin")
	if err := run(out, lists, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	set := string(b)
	has := func(word string) bool { return strings.Contains(set, makeSet([]string{word})) }
	for _, want := range []string{"plain", "two", "words", "array", "script", "other", "packed"} {
		if !has(want) {
			t.Errorf("%q is missing", want)
		}
	}
	if has("notpicked") || len(set) != 7*width {
		t.Errorf("%d words", len(set)/width)
	}
	for _, bad := range [][]string{nil, {filepath.Join(dir, "none.txt")}, {filepath.Join(dir, "c.js") + ":nothing"}} {
		if err := run(out, bad, io.Discard); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
