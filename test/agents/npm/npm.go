// Package npm installs the npm packages that a test's programs are made of, as
// their lock file names them, and keeps them between runs.
package npm

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/internal/testkit/external"
)

// Modules installs what the manifest's package-lock.json names, and one
// package more if extra is not empty, unless an earlier run did. The manifest
// has package.json, package-lock.json and .npmrc as well. It returns the
// node_modules folder.
func Modules(t testing.TB, name string, manifest fs.ReadFileFS, extra string) string {
	t.Helper()
	npm := external.Require(t, "npm", "apt-get install npm")
	dir := filepath.Join(cacheDir(t), name+"-"+fingerprint(t, manifest, extra))
	external.Check(t, os.MkdirAll(dir, 0o755))
	unlock := lock(t, filepath.Join(dir, "lock"))
	defer unlock()
	modules, complete := filepath.Join(dir, "node_modules"), filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return modules
	}
	for _, file := range []string{"package.json", "package-lock.json", ".npmrc"} {
		text, err := manifest.ReadFile(file)
		external.Check(t, err)
		external.Check(t, os.WriteFile(filepath.Join(dir, file), text, 0o644))
	}
	// The optional packages are native code that only makes things faster.
	run(t, dir, npm, "ci", "--omit=optional")
	if extra != "" {
		run(t, dir, npm, "install", "--no-save", "--install-links", "--omit=optional", extra)
	}
	external.Check(t, os.WriteFile(complete, nil, 0o644))
	return modules
}

func run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// fingerprint names the set of packages, so that a changed lock file means
// another folder.
func fingerprint(t testing.TB, manifest fs.ReadFileFS, extra string) string {
	t.Helper()
	text, err := manifest.ReadFile("package-lock.json")
	external.Check(t, err)
	sum := sha256.Sum256(append(text, extra...))
	return hex.EncodeToString(sum[:8])
}

// cacheDir is the folder of this checkout that git ignores and `make clean` removes.
func cacheDir(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	external.Check(t, err)
	return filepath.Join(filepath.Dir(string(out)), ".cache", "npm")
}

// lock keeps other processes out until the returned function is called.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	external.Check(t, err)
	external.Check(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	return func() { _ = f.Close() }
}
