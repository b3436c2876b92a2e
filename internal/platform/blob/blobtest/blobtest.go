// Package blobtest states what every blob.Store must do.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/kept-dev/kept/internal/platform/blob"
)

// Run puts a store through the suite. open returns a new, empty store that lives until its test ends.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s blob.Store)
	}{
		{"read your writes", readYourWrites},
		{"ranges", ranges},
		{"absence", absence},
		{"written once", writtenOnce},
		{"a failed Put leaves nothing", failedPut},
		{"list in order", listInOrder},
		{"list stops", listStops},
		{"delete", deletes},
		{"bad names", badNames},
		{"cancellation", cancellation},
		{"concurrent puts of one name", concurrentPuts},
		{"puts and deletes side by side", putsAndDeletes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// content is n bytes that differ from place to place.
func content(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*7 + i>>8)
	}
	return out
}

// Put stores text or fails the test.
func Put(t *testing.T, s blob.Store, name string, body []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, bytes.NewReader(body)); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

func read(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func collect(seq iter.Seq2[blob.Info, error]) (names []string, err error) {
	for info, err := range seq {
		if err != nil {
			return names, err
		}
		names = append(names, fmt.Sprint(info.Name, " ", info.Size))
	}
	return names, nil
}

// sizes lie around the segment borders of encrypting stores.
var sizes = []int{0, 1, 100, 64<<10 - 60, 64<<10 - 56, 64<<10 - 55, 64 << 10, 64<<10 + 1, 3*(64<<10) - 88, 300_000}

func readYourWrites(t *testing.T, s blob.Store) {
	for _, n := range sizes {
		name, body := fmt.Sprintf("a/b-%d.bin", n), content(n)
		if err := s.Put(t.Context(), name, iotest.HalfReader(bytes.NewReader(body))); err != nil {
			t.Fatal(err)
		}
		if got, err := read(s.Get(t.Context(), name)); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: read back %d, %v", n, len(got), err)
		}
		if info, err := s.Stat(t.Context(), name); err != nil || info != (blob.Info{Name: name, Size: int64(n)}) {
			t.Errorf("%d bytes: Stat %+v, %v", n, info, err)
		}
	}
}

func ranges(t *testing.T, s blob.Store) {
	const size = 200_000
	body := content(size)
	Put(t, s, "r", body)
	for _, c := range []struct{ off, n, from, to int64 }{
		{0, size, 0, size}, {0, -1, 0, size}, {0, 0, 0, 0}, {0, 1, 0, 1}, {1, 2, 1, 3},
		{65_000, 2_000, 65_000, 67_000}, {size - 1, 1, size - 1, size}, {size - 1, 100, size - 1, size},
		{100, -1, 100, size}, {size, 1, size, size}, {size, -1, size, size}, {size + 1, 1, size, size}, {5, 1 << 62, 5, size},
	} {
		got, err := read(s.GetRange(t.Context(), "r", c.off, c.n))
		if err != nil || !bytes.Equal(got, body[c.from:c.to]) {
			t.Errorf("GetRange(%d, %d): %d bytes, %v; want %d", c.off, c.n, len(got), err, c.to-c.from)
		}
	}
	if _, err := read(s.GetRange(t.Context(), "r", -1, 1)); err == nil {
		t.Error("a negative offset is no error")
	}
}

func absence(t *testing.T, s blob.Store) {
	Put(t, s, "dir/file", content(1))
	for _, name := range []string{"nothing", "dir", "dir/file/below", "no/such/folder"} {
		_, err := read(s.Get(t.Context(), name))
		_, errRange := read(s.GetRange(t.Context(), name, 0, 1))
		_, errStat := s.Stat(t.Context(), name)
		for _, err := range []error{err, errRange, errStat} {
			if !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%s): %v", name, err)
		}
	}
	if _, err := s.Stat(t.Context(), "dir/file"); err != nil {
		t.Errorf("a neighbour went with it: %v", err)
	}
}

func writtenOnce(t *testing.T, s blob.Store) {
	Put(t, s, "once", []byte("first"))
	if err := s.Put(t.Context(), "once", strings.NewReader("second")); !errors.Is(err, blob.ErrExists) {
		t.Errorf("second Put: %v, want ErrExists", err)
	}
	if got, err := read(s.Get(t.Context(), "once")); err != nil || string(got) != "first" {
		t.Errorf("after a second Put: %q, %v", got, err)
	}
}

func failedPut(t *testing.T, s blob.Store) {
	boom := errors.New("boom")
	body := io.MultiReader(bytes.NewReader(content(100_000)), iotest.ErrReader(boom))
	if err := s.Put(t.Context(), "half", body); !errors.Is(err, boom) {
		t.Errorf("Put of a body that breaks: %v", err)
	}
	if _, err := s.Stat(t.Context(), "half"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("half a blob is there: %v", err)
	}
	Put(t, s, "half", content(10)) // and the name is free
	if names, err := collect(s.List(t.Context(), "")); err != nil || !slices.Equal(names, []string{"half 10"}) {
		t.Errorf("listed %v, %v", names, err)
	}
}

func listInOrder(t *testing.T, s blob.Store) {
	// "a" and "a/b" together are not asked for: a file system cannot hold both.
	names := []string{"a-b", "a.b", "a/b-c/d", "a/b.x", "a/b/c", "a/c", "a0/x", "b"}
	for i := len(names) - 1; i >= 0; i-- {
		Put(t, s, names[i], content(i))
	}
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"", []string{"a-b 0", "a.b 1", "a/b-c/d 2", "a/b.x 3", "a/b/c 4", "a/c 5", "a0/x 6", "b 7"}},
		{"a/", []string{"a/b-c/d 2", "a/b.x 3", "a/b/c 4", "a/c 5"}},
		{"a", []string{"a-b 0", "a.b 1", "a/b-c/d 2", "a/b.x 3", "a/b/c 4", "a/c 5", "a0/x 6"}},
		{"a/b", []string{"a/b-c/d 2", "a/b.x 3", "a/b/c 4"}},
		{"a/b/", []string{"a/b/c 4"}},
		{"a/b/c", []string{"a/b/c 4"}},
		{"a/b/c/", nil},
		{"zzz", nil},
	} {
		if got, err := collect(s.List(t.Context(), c.prefix)); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("List(%q) = %q, %v; want %q", c.prefix, got, err, c.want)
		}
	}
}

func listStops(t *testing.T, s blob.Store) {
	for i := range 5 {
		Put(t, s, fmt.Sprintf("d%d/x", i), nil)
	}
	var got []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Name)
		if len(got) == 2 {
			break
		}
	}
	if !slices.Equal(got, []string{"d0/x", "d1/x"}) {
		t.Errorf("a loop that breaks saw %v", got)
	}
	for info, err := range s.List(t.Context(), "") { // deleting what one sees is how sweeps work
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), info.Name); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := collect(s.List(t.Context(), "")); err != nil || len(left) != 0 {
		t.Errorf("left after deleting all: %v, %v", left, err)
	}
}

func deletes(t *testing.T, s blob.Store) {
	Put(t, s, "a/b/c", content(3))
	Put(t, s, "a/d", content(4))
	for range 2 {
		if err := s.Delete(t.Context(), "a/b/c"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Stat(t.Context(), "a/b/c"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
	Put(t, s, "a/b/c", content(5)) // the name can be used again
	Put(t, s, "a/b2", content(6))
	if names, err := collect(s.List(t.Context(), "a/")); err != nil || !slices.Equal(names, []string{"a/b/c 5", "a/b2 6", "a/d 4"}) {
		t.Errorf("listed %v, %v", names, err)
	}
}

func badNames(t *testing.T, s blob.Store) {
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", ".new/x", "a/.b", "a.", "A", "a b", "a\x00b",
		"a\\b", "a:b", "é", "%2e%2e", strings.Repeat("a", 129), strings.Repeat("a/", 300) + "a",
	} {
		_, errGet := read(s.Get(t.Context(), name))
		_, errRange := read(s.GetRange(t.Context(), name, 0, 1))
		_, errStat := s.Stat(t.Context(), name)
		for _, err := range []error{
			s.Put(t.Context(), name, strings.NewReader("x")), errGet, errRange, errStat, s.Delete(t.Context(), name),
		} {
			if !errors.Is(err, blob.ErrName) {
				t.Errorf("%.40q: %v, want ErrName", name, err)
			}
		}
	}
	for _, prefix := range []string{"..", "../", "/", "a//", "A"} {
		if _, err := collect(s.List(t.Context(), prefix)); !errors.Is(err, blob.ErrName) {
			t.Errorf("List(%q): %v, want ErrName", prefix, err)
		}
	}
	if names, err := collect(s.List(t.Context(), "")); err != nil || len(names) != 0 {
		t.Errorf("bad names left %v, %v", names, err)
	}
}

func cancellation(t *testing.T, s blob.Store) {
	Put(t, s, "there", content(1))
	ctx, cancel := context.WithCancel(t.Context())
	body := io.MultiReader(bytes.NewReader(content(10)), readerFunc(func([]byte) (int, error) {
		cancel() // in the middle of the body; what follows would never end
		return 1, nil
	}))
	if err := s.Put(ctx, "cut", body); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	_, errGet := read(s.Get(ctx, "there"))
	_, errStat := s.Stat(ctx, "there")
	_, errList := collect(s.List(ctx, ""))
	for _, err := range []error{errGet, errStat, errList, s.Delete(ctx, "there")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after cancel: %v", err)
		}
	}
	if names, err := collect(s.List(t.Context(), "")); err != nil || !slices.Equal(names, []string{"there 1"}) {
		t.Errorf("listed %v, %v", names, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func concurrentPuts(t *testing.T, s blob.Store) {
	var won atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			text := strings.Repeat(fmt.Sprint(i), 50_000)
			switch err := s.Put(t.Context(), "raced/name", strings.NewReader(text)); {
			case err == nil:
				won.Add(1)
				winner.Store(text)
			case !errors.Is(err, blob.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := read(s.Get(t.Context(), "raced/name"))
	if won.Load() != 1 || err != nil || string(got) != winner.Load() {
		t.Errorf("%d of 8 say they wrote it; read %d bytes, %v", won.Load(), len(got), err)
	}
}

// putsAndDeletes has folders come and go under the feet of a Put.
func putsAndDeletes(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 25 {
				name := fmt.Sprintf("deep/er/%d-%d", i, j)
				if err := s.Put(t.Context(), name, strings.NewReader("x")); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
