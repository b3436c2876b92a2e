package blob_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/platform/blob"
	"github.com/kept-dev/kept/internal/platform/blob/blobtest"
	"github.com/kept-dev/kept/internal/platform/seal"
)

func openDisk(t testing.TB, dir string) *blob.Disk {
	t.Helper()
	d, err := blob.OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func newBox(t testing.TB) *seal.Box {
	t.Helper()
	key, err := seal.NewInstanceKey()
	if err != nil {
		t.Fatal(err)
	}
	return seal.New(nil, key).Instance()
}

func TestStores(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) blob.Store{
		"memory":   func(t *testing.T) blob.Store { return blob.NewMemory() },
		"disk":     func(t *testing.T) blob.Store { return openDisk(t, t.TempDir()) },
		"prefixed": func(t *testing.T) blob.Store { return blob.Prefixed(blob.NewMemory(), "ws/one") },
		"prefixed disk": func(t *testing.T) blob.Store {
			return blob.Prefixed(openDisk(t, t.TempDir()), "ws")
		},
		"sealed":      func(t *testing.T) blob.Store { return blob.Sealed(blob.NewMemory(), newBox(t)) },
		"sealed disk": func(t *testing.T) blob.Store { return blob.Sealed(openDisk(t, t.TempDir()), newBox(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blobtest.Run(t, open)
		})
	}
}

func TestDiskIsPrivateAndPrunesFolders(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	d := openDisk(t, dir)
	blobtest.Put(t, d, "a/b/c", []byte("x"))
	blobtest.Put(t, d, "a/d", []byte("x"))
	if runtime.GOOS != "windows" {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			want := fs.FileMode(0o600)
			if e.IsDir() {
				want = 0o700
			}
			if err == nil && info.Mode().Perm() != want {
				t.Errorf("%s has mode %#o, want %#o", path, info.Mode().Perm(), want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, gone, stays string }{{"a/b/c", "a/b", "a/d"}, {"a/d", "a", ".new"}} {
		if err := d.Delete(t.Context(), c.name); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, c.gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the empty folder %s is still there: %v", c.gone, err)
		}
		if _, err := os.Stat(filepath.Join(dir, c.stays)); err != nil {
			t.Errorf("%s went with it: %v", c.stays, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, ".new")); err != nil || len(left) != 0 {
		t.Errorf("unfinished files: %v, %v", left, err)
	}
}

func TestDiskDoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, dir)
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink(secret, filepath.Join(dir, "file"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out/secret", "file"} {
		if r, err := d.Get(t.Context(), name); err == nil {
			r.Close()
			t.Errorf("Get(%s) read through a link", name)
		}
	}
	if err := d.Put(t.Context(), "out/new", strings.NewReader("x")); err == nil {
		t.Error("Put wrote through a link")
	}
	d.Delete(t.Context(), "out/secret")
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("Delete went through a link: %v", err)
	}
}

func TestDiskRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openDisk(t, dir)
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "fresh": time.Hour} {
		path, at := filepath.Join(dir, ".new", name), time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte("half"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	openDisk(t, dir)
	left, err := os.ReadDir(filepath.Join(dir, ".new"))
	if err != nil || len(left) != 1 || left[0].Name() != "fresh" {
		t.Errorf("left: %v, %v; want only what another process may be writing", left, err)
	}
}

func TestPrefixesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	m := blob.NewMemory()
	one, ten := blob.Prefixed(m, "1"), blob.Prefixed(m, "10")
	blobtest.Put(t, ten, "x", []byte("ten"))
	for info, err := range one.List(t.Context(), "") {
		t.Errorf("the store of 1 lists %v, %v", info, err)
	}
	if _, err := one.Stat(t.Context(), "x"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
}

func readAll(t *testing.T, s blob.Store, name string) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestSealedHidesAndDetects(t *testing.T) {
	t.Parallel()
	raw, box := blob.NewMemory(), newBox(t)
	s := blob.Sealed(raw, box)
	canary := bytes.Repeat([]byte("canary-"), 30_000)
	blobtest.Put(t, s, "good", canary)
	stored, err := readAll(t, raw, "good")
	if err != nil || bytes.Contains(stored, []byte("canary-")) {
		t.Fatalf("the stored bytes contain the content (%v)", err)
	}

	flip := func(at int) []byte {
		b := bytes.Clone(stored)
		b[at] ^= 1
		return b
	}
	const segment = 64 << 10
	bad := map[string][]byte{
		"magic": flip(0), "key-length": flip(5), "key": flip(20), "salt": flip(130), "first-segment": flip(300),
		"last-byte": flip(len(stored) - 1), "cut-in-header": stored[:60], "cut-behind-header": stored[:128],
		"cut-at-segment": stored[:128+segment], "cut-in-segment": stored[:128+segment+99], "longer": append(bytes.Clone(stored), 0),
		"empty": {}, "renamed": stored,
		"segments-swapped": append(append(append(bytes.Clone(stored[:128+segment]), stored[128+2*segment:128+3*segment]...),
			stored[128+segment:128+2*segment]...), stored[128+3*segment:]...),
	}
	for name, b := range bad {
		blobtest.Put(t, raw, name, b)
		got, err := readAll(t, s, name)
		if !errors.Is(err, blob.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
		if !bytes.HasPrefix(canary, got) {
			t.Errorf("%s: handed out bytes that are not the content", name)
		}
	}
	if _, err := readAll(t, blob.Sealed(raw, newBox(t)), "good"); !errors.Is(err, blob.ErrSealed) {
		t.Errorf("another key: %v, want ErrSealed", err)
	}
}

func FuzzSealed(f *testing.F) {
	raw, box := blob.NewMemory(), newBox(f)
	s := blob.Sealed(raw, box)
	if err := s.Put(f.Context(), "seed", strings.NewReader("content")); err != nil {
		f.Fatal(err)
	}
	r, _ := raw.Get(f.Context(), "seed")
	seed, _ := io.ReadAll(r)
	f.Add(seed)
	f.Add(seed[:128])
	f.Fuzz(func(t *testing.T, stored []byte) {
		raw := blob.NewMemory()
		blobtest.Put(t, raw, "seed", stored)
		if got, err := readAll(t, blob.Sealed(raw, box), "seed"); err == nil && string(got) != "content" {
			t.Errorf("made-up bytes opened as %q", got)
		}
		if info, err := blob.Sealed(raw, box).Stat(t.Context(), "seed"); err != nil || info.Size < 0 || info.Size > int64(len(stored)) {
			t.Errorf("Stat = %+v, %v", info, err)
		}
	})
}

func BenchmarkSealed(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1<<20)
	box := newBox(b)
	for name, open := range map[string]func() blob.Store{
		"memory": func() blob.Store { return blob.NewMemory() },
		"sealed": func() blob.Store { return blob.Sealed(blob.NewMemory(), box) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				s := open()
				if err := s.Put(b.Context(), "x", bytes.NewReader(body)); err != nil {
					b.Fatal(err)
				}
				r, err := s.Get(b.Context(), "x")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
