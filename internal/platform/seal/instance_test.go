package seal

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestKeyFileIsCreatedOnceAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "instance.key")
	first, created, err := LoadInstanceKey(path, "")
	if err != nil || !created {
		t.Fatalf("first start: created %v, %v", created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	second, created, err := LoadInstanceKey(path, "")
	if err != nil || created {
		t.Fatalf("second start: created %v, %v", created, err)
	}
	sealed := mustSeal(t, first.box, "x", "")
	wantOpen(t, second.box, sealed, "", "x")

	text, _ := os.ReadFile(path)
	fromEnv, created, err := LoadInstanceKey(filepath.Join(t.TempDir(), "unused"), string(text))
	if err != nil || created {
		t.Fatalf("from the environment: created %v, %v", created, err)
	}
	wantOpen(t, fromEnv.box, sealed, "", "x")
	if left, _ := filepath.Glob(path + ".new-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows files have no mode bits")
	}
	path := filepath.Join(t.TempDir(), "instance.key")
	if _, _, err := LoadInstanceKey(path, ""); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o604, 0o640, 0o644, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadInstanceKey(path, ""); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %#o: %v; want an error that says chmod", mode, err)
		}
	}
}

func TestBadKeysAreRefusedWithoutShowingThem(t *testing.T) {
	t.Parallel()
	short := base64.StdEncoding.EncodeToString([]byte("sixteen byte key"))
	path := filepath.Join(t.TempDir(), "instance.key")
	for _, bad := range []string{"hunter2", short, strings.Repeat("A", 2000), " "} {
		if _, _, err := LoadInstanceKey(path, bad); err == nil || strings.Contains(err.Error(), bad) && bad != " " {
			t.Errorf("environment %.20q: %v", bad, err)
		}
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadInstanceKey(path, ""); err == nil || strings.Contains(err.Error(), bad) && bad != " " {
			t.Errorf("file %.20q: %v", bad, err)
		}
	}
}

func TestRacingStartsAgreeOnOneKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "instance.key")
	var made atomic.Int32
	keys := make([]*InstanceKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, created, err := LoadInstanceKey(path, "")
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if made.Load() != 1 {
		t.Errorf("%d starts say that they created the key, want 1", made.Load())
	}
	sealed := mustSeal(t, keys[0].box, "x", "")
	for _, key := range keys[1:] {
		wantOpen(t, key.box, sealed, "", "x")
	}
}
