package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func setup(t *testing.T, d *db.DB) (*Keys, *InstanceKey) {
	t.Helper()
	key, err := NewInstanceKey()
	if err != nil {
		t.Fatal(err)
	}
	keys := New(d, key)
	if err := d.Migrate(t.Context(), db.Module{Name: "seal", Migrations: keys.Migrations()}); err != nil {
		t.Fatal(err)
	}
	return keys, key
}

func mustBox(t *testing.T, keys *Keys, ws kernel.WorkspaceID) *Box {
	t.Helper()
	box, err := keys.Box(t.Context(), ws)
	if err != nil {
		t.Fatalf("Box(%s): %v", ws, err)
	}
	return box
}

func mustSeal(t *testing.T, box *Box, plain, aad string) []byte {
	t.Helper()
	sealed, err := box.Seal([]byte(plain), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func wantOpen(t *testing.T, box *Box, sealed []byte, aad, want string) {
	t.Helper()
	if got, err := box.Open(sealed, []byte(aad)); err != nil || string(got) != want {
		t.Errorf("Open = %q, %v; want %q", got, err, want)
	}
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		box := mustBox(t, keys, "one")
		sealed := mustSeal(t, box, "payload", "jobs/1")
		if len(sealed) != len("payload")+Overhead {
			t.Errorf("a sealed text is %d bytes longer, want %d", len(sealed)-len("payload"), Overhead)
		}
		if bytes.Contains(sealed, []byte("payload")) {
			t.Error("sealed bytes contain the plain text")
		}
		wantOpen(t, box, sealed, "jobs/1", "payload")
		wantOpen(t, mustBox(t, New(d, key), "one"), sealed, "jobs/1", "payload") // as after a restart

		altered := bytes.Clone(sealed)
		altered[len(altered)-1] ^= 1
		for name, err := range map[string]error{
			"other aad":       openErr(box, sealed, "jobs/2"),
			"altered":         openErr(box, altered, "jobs/1"),
			"cut":             openErr(box, sealed[:10], "jobs/1"),
			"empty":           openErr(box, nil, "jobs/1"),
			"other workspace": openErr(mustBox(t, keys, "two"), sealed, "jobs/1"),
			"instance":        openErr(keys.Instance(), sealed, "jobs/1"),
		} {
			if !errors.Is(err, ErrOpen) {
				t.Errorf("%s: %v, want ErrOpen", name, err)
			}
		}
	})
}

func openErr(box *Box, sealed []byte, aad string) error {
	_, err := box.Open(sealed, []byte(aad))
	return err
}

func TestRacingCreatorsAgree(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		const n = 8
		boxes := make([]*Box, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				instance := keys // half of them as if on one server, half as if on their own
				if i%2 == 0 {
					instance = New(d, key)
				}
				box, err := instance.Box(t.Context(), "raced")
				if err != nil {
					t.Error(err)
				}
				boxes[i] = box
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		sealed := mustSeal(t, boxes[0], "x", "")
		for _, box := range boxes[1:] {
			wantOpen(t, box, sealed, "", "x")
		}
	})
}

func TestShred(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		mustBox(t, keys, "gone")
		other := mustSeal(t, mustBox(t, keys, "stays"), "x", "")
		for range 2 { // shredding twice is harmless
			if err := keys.Shred(t.Context(), "gone"); err != nil {
				t.Fatal(err)
			}
		}
		if err := keys.Shred(t.Context(), "never had one"); err != nil {
			t.Fatal(err)
		}
		for _, ws := range []kernel.WorkspaceID{"gone", "never had one"} {
			for _, k := range []*Keys{keys, New(d, key)} {
				if _, err := k.Box(t.Context(), ws); !errors.Is(err, ErrShredded) {
					t.Errorf("Box(%s) after Shred: %v, want ErrShredded", ws, err)
				}
			}
			if err := keys.Rotate(t.Context(), ws); !errors.Is(err, ErrShredded) {
				t.Errorf("Rotate(%s) after Shred: %v, want ErrShredded", ws, err)
			}
		}
		wantOpen(t, mustBox(t, keys, "stays"), other, "", "x")
	})
}

func TestShredLeavesNoKeyInTheFile(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	keys, _ := setup(t, d)
	mustBox(t, keys, "gone")
	wrapped, err := readWrapped(d.QueryRow(t.Context(), selectWrapped, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	needle := wrapped[:32]
	if !filesContain(t, d.Path(), needle) {
		t.Fatal("the wrapped key is not in the files before Shred: this test looks for the wrong thing")
	}
	if err := keys.Shred(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if filesContain(t, d.Path(), needle) {
		t.Error("the wrapped key is still in the database's files after Shred")
	}
}

func filesContain(t *testing.T, path string, needle []byte) bool {
	t.Helper()
	found := false
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		found = found || bytes.Contains(b, needle)
	}
	return found
}

func TestRotate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, _ := setup(t, d)
		old := mustBox(t, keys, "ws")
		sealed, tag := mustSeal(t, old, "before", ""), old.Tag("mail", []byte("a@b.c"))
		if err := keys.Rotate(t.Context(), "ws"); err != nil {
			t.Fatal(err)
		}
		rotated := mustBox(t, keys, "ws")
		wantOpen(t, rotated, sealed, "", "before")
		if rotated.Tag("mail", []byte("a@b.c")) != tag {
			t.Error("Rotate changed a tag")
		}
		fresh := mustSeal(t, rotated, "after", "")
		if err := openErr(old, fresh, ""); !errors.Is(err, ErrOpen) {
			t.Errorf("the key from before Rotate opens what was sealed after it: %v", err)
		}
		if err := keys.Rotate(t.Context(), "unknown"); !errors.Is(err, ErrNoKey) {
			t.Errorf("Rotate of a workspace without a key: %v", err)
		}
	})
}

func TestConcurrentRotationsKeepEveryKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		mustBox(t, keys, "ws")
		const n = 6
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if err := New(d, key).Rotate(t.Context(), "ws"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		keys.Forget("ws")
		if got := mustBox(t, keys, "ws").secret.handle.Len(); got != n+1 {
			t.Errorf("%d keys after %d rotations, want %d", got, n, n+1)
		}
	})
}

func TestTag(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		tag := mustBox(t, keys, "one").Tag("mail", []byte("a@b.c"))
		if again := mustBox(t, New(d, key), "one").Tag("mail", []byte("a@b.c")); again != tag {
			t.Error("the same value has another tag after a restart")
		}
		for name, other := range map[string][32]byte{
			"data":      mustBox(t, keys, "one").Tag("mail", []byte("a@b.d")),
			"label":     mustBox(t, keys, "one").Tag("name", []byte("a@b.c")),
			"workspace": mustBox(t, keys, "two").Tag("mail", []byte("a@b.c")),
			"instance":  keys.Instance().Tag("mail", []byte("a@b.c")),
		} {
			if other == tag {
				t.Errorf("another %s has the same tag", name)
			}
		}
	})
}

func TestWrongInstanceKeyAndSwappedRows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, key := setup(t, d)
		mustBox(t, keys, "one")
		mustBox(t, keys, "two")
		stranger, _ := NewInstanceKey()
		if _, err := New(d, stranger).Box(t.Context(), "one"); !errors.Is(err, ErrWrongInstanceKey) {
			t.Errorf("another instance key: %v, want ErrWrongInstanceKey", err)
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE workspace_keys SET wrapped =
				(SELECT wrapped FROM workspace_keys WHERE workspace = $1) WHERE workspace = $2`, "one", "two")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(d, key).Box(t.Context(), "two"); !errors.Is(err, ErrWrongInstanceKey) {
			t.Errorf("a key copied from another workspace: %v, want ErrWrongInstanceKey", err)
		}
	})
}

func TestCacheNoticesAnotherInstance(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	keys, key := setup(t, d)
	now := time.Unix(1_772_000_000, 0)
	keys.cache.now = func() time.Time { return now }
	mustBox(t, keys, "ws")
	if err := New(d, key).Shred(t.Context(), "ws"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(cacheLife - 1)
	if _, err := keys.Box(t.Context(), "ws"); err != nil {
		t.Errorf("within the cache's life: %v", err)
	}
	now = now.Add(1)
	if _, err := keys.Box(t.Context(), "ws"); !errors.Is(err, ErrShredded) {
		t.Errorf("after the cache's life: %v, want ErrShredded", err)
	}
}

func TestCacheIsBoundedAndNeverResurrects(t *testing.T) {
	t.Parallel()
	c := newLRU(2, time.Minute, time.Now)
	for _, id := range []string{"a", "b"} {
		c.put(id, &Box{})
	}
	c.get("a")
	c.put("c", &Box{})
	if c.get("b") != nil || c.get("a") == nil || c.get("c") == nil || len(c.byID) != 2 {
		t.Error("the cache did not drop the box that was unused for longest")
	}

	keys := &Keys{cache: c}
	generation := keys.generation() // a Box call reads its row here …
	keys.Forget("x")                // … Shred comes in between …
	keys.remember("x", &Box{}, generation)
	if keys.cached("x") != nil {
		t.Error("a box read before Forget was cached after it")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	keys, key := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
	box := mustBox(t, keys, "ws")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, box); got != "seal.Box(secret)" {
			t.Errorf("%s of a box: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, key); got != "seal.InstanceKey(secret)" {
			t.Errorf("%s of an instance key: %s", verb, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key, err := NewInstanceKey()
	if err != nil {
		f.Fatal(err)
	}
	sealed, _ := key.box.Seal([]byte("plain"), nil)
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := key.box.Open(b, nil); err == nil && string(plain) != "plain" {
			t.Errorf("made-up bytes opened as %q", plain)
		}
		if _, err := key.unwrap("ws", b); err == nil {
			t.Error("a made-up wrapped key was accepted")
		}
		_, _ = unmarshalSecret(b)
	})
}

// BenchmarkSeal compares a box with bare AES-GCM on 32 KiB: the difference is what Tink costs.
func BenchmarkSeal(b *testing.B) {
	const size = 32 << 10
	key, _ := NewInstanceKey()
	box, plain, aad := key.box, []byte(strings.Repeat("x", size)), []byte("jobs/1")
	sealed, _ := box.Seal(plain, aad)
	block, _ := aes.NewCipher(make([]byte, keyLen))
	raw, _ := cipher.NewGCM(block)
	nonce := make([]byte, raw.NonceSize())
	rawSealed := raw.Seal(nil, nonce, plain, aad)

	bench := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	bench("seal/box", func() { box.Seal(plain, aad) })
	bench("seal/stdlib", func() {
		rand.Read(nonce)
		raw.Seal(nil, nonce, plain, aad)
	})
	clear(nonce)
	bench("open/box", func() { box.Open(sealed, aad) })
	bench("open/stdlib", func() { raw.Open(nil, nonce, rawSealed, aad) })
	bench("tag", func() { box.Tag("mail", aad) })
}

func BenchmarkBoxCached(b *testing.B) {
	d := dbtest.Open(b, dbtest.SQLite(b))
	key, _ := NewInstanceKey()
	keys := New(d, key)
	if err := d.Migrate(context.Background(), db.Module{Name: "seal", Migrations: keys.Migrations()}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := keys.Box(context.Background(), "ws"); err != nil {
			b.Fatal(err)
		}
	}
}
