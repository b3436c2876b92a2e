package main

import (
	"os"
	"path/filepath"
	"testing"
)

const uiDir = "../../internal/ui"

func TestCommittedAssetsAreCurrent(t *testing.T) {
	t.Parallel()
	if err := run(uiDir, true); err != nil {
		t.Error(err)
	}
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"a.js": []byte("1"), "b.js": []byte("2")}
	dist := t.TempDir()
	if err := write(dist, files); err != nil {
		t.Fatal(err)
	}
	if err := compare(dist, files); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"changed": func() error { return os.WriteFile(filepath.Join(dist, "a.js"), []byte("x"), 0o644) },
		"missing": func() error { return os.Remove(filepath.Join(dist, "b.js")) },
		"stale":   func() error { return os.WriteFile(filepath.Join(dist, "c.js"), nil, 0o644) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if compare(dist, files) == nil {
			t.Errorf("a %s file is not noticed", name)
		}
		if err := write(dist, files); err != nil {
			t.Fatal(err)
		}
	}
	if err := compare(dist, files); err != nil {
		t.Errorf("write leaves stale files: %v", err)
	}
}

func TestLogicalName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"kept.ABC.js": "kept.js", "a.b.HASH.css": "a.b.css", "plain.js": "plain.js"} {
		if got := logicalName(in); got != want {
			t.Errorf("logicalName(%q) = %q, want %q", in, got, want)
		}
	}
}
