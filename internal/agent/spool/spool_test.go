package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/agent/spool"
)

func open(t testing.TB, dir string, change ...func(*spool.Options)) *spool.Spool {
	t.Helper()
	o := spool.Options{MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	s, err := spool.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// record makes the i-th record, with a payload that tells it from all others.
func record(i, size int) spool.Record {
	b := bytes.Repeat([]byte{byte(i)}, size)
	copy(b, fmt.Sprintf("record %08d", i))
	return spool.Record{Time: int64(i), Samples: i, Payload: b}
}

// take reads and removes one record; -1 means that there is none.
func take(t testing.TB, s *spool.Spool) int {
	t.Helper()
	r, err := s.Next()
	if errors.Is(err, io.EOF) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := record(int(r.Time), len(r.Payload)); !bytes.Equal(r.Payload, want.Payload) || r.Samples != want.Samples {
		t.Fatalf("record %d came back different", r.Time)
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	return int(r.Time)
}

func TestOldestFirst(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	next := 1
	for i := 1; i <= 3000; i++ { // three segments
		s.Append(record(i, 1000))
		if i%3 == 0 {
			if got := take(t, s); got != next {
				t.Fatalf("took %d, want %d", got, next)
			}
			next++
		}
	}
	for ; next <= 3000; next++ {
		if got := take(t, s); got != next {
			t.Fatalf("took %d, want %d", got, next)
		}
	}
	if got := take(t, s); got != -1 {
		t.Errorf("took %d from an empty spool", got)
	}
}

// TestKilledAtAnyPoint copies the folder at random moments, as a killed process leaves it, and goes on from the copy: no
// record is lost, and none comes twice, since each was marked before the copy.
func TestKilledAtAnyPoint(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	s := open(t, dir)
	next, last := 1, 0
	for range 40 {
		for range random.IntN(200) {
			last++
			s.Append(record(last, 20+random.IntN(10_000)))
		}
		for range random.IntN(200) {
			if next <= last {
				if got := take(t, s); got != next {
					t.Fatalf("took %d, want %d", got, next)
				}
				next++
			}
		}
		if random.IntN(2) == 0 { // asked for, not done
			if r, err := s.Next(); err == nil && r.Time != int64(next) {
				t.Fatalf("next is %d, want %d", r.Time, next)
			}
		}
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		dir = copied
		s = open(t, dir)
		if got := s.Last(); got != int64(last) {
			t.Fatalf("the newest is %d after a restart, want %d", got, last)
		}
	}
	for ; next <= last; next++ {
		if got := take(t, s); got != next {
			t.Fatalf("took %d, want %d", got, next)
		}
	}
}

// TestTornWrite cuts the last record at every byte: those before it are there, and appending goes on.
func TestTornWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for i := 1; i <= 3; i++ {
		s.Append(record(i, 40))
	}
	s.Close()
	name := segments(t, dir)[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	third := len(whole) / 3 * 2
	for cut := third; cut < len(whole); cut++ {
		if err := os.WriteFile(name, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		one := t.TempDir()
		if err := os.CopyFS(one, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		s := open(t, one)
		s.Append(record(4, 40))
		for _, want := range []int{1, 2, 4, -1} {
			if got := take(t, s); got != want {
				t.Fatalf("cut at %d: took %d, want %d", cut, got, want)
			}
		}
		s.Close()
	}
}

// TestDamageCostsOneSegment flips a bit in the middle of the first of several.
func TestDamageCostsOneSegment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for i := 1; i <= 3000; i++ {
		s.Append(record(i, 1000))
	}
	s.Close()
	name := segments(t, dir)[0]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[100_000] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	got, before := 0, 0
	for {
		i := take(t, s)
		if i < 0 {
			break
		}
		if i <= before {
			t.Fatalf("%d after %d", i, before)
		}
		got, before = got+1, i
	}
	if before != 3000 || got < 1900 || got == 3000 {
		t.Errorf("%d records came back, the last one %d", got, before)
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, func(o *spool.Options) { o.MaxBytes = 3 << 20 })
	for i := 1; i <= 10_000; i++ {
		s.Append(record(i, 1000))
	}
	var size int64
	for _, name := range segments(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 5<<20 {
		t.Errorf("%d bytes are on disk, of 3 MiB allowed and a segment", size)
	}
	first := take(t, s)
	if first < 6000 || first > 8000 {
		t.Errorf("the oldest that is left is %d of 10000", first)
	}
	for want := first + 1; want <= 10_000; want++ {
		if got := take(t, s); got != want {
			t.Fatalf("took %d, want %d", got, want)
		}
	}
}

func TestTooOldIsPassedOver(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *spool.Options) { o.MaxAge = time.Hour })
	now := time.Now()
	for _, age := range []time.Duration{3 * time.Hour, 2 * time.Hour, 30 * time.Minute, 0} {
		s.Append(spool.Record{Time: now.Add(-age).UnixMilli(), Payload: []byte("x")})
	}
	r, err := s.Next()
	if err != nil || r.Time != now.Add(-30*time.Minute).UnixMilli() {
		t.Errorf("next is of %v, %v", time.UnixMilli(r.Time), err)
	}
}

// TestDiskRefuses removes the folder: what comes then is kept in memory, in order after what was read from disk, and the
// newest is kept when it grows too large.
func TestDiskRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir)
	for i := 1; i <= 1100; i++ { // the first segment is full
		s.Append(record(i, 1000))
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder was: nothing can be created
		t.Fatal(err)
	}
	for i := 1101; i <= 6000; i++ {
		s.Append(record(i, 1000))
	}
	before, got := 0, 0
	for {
		i := take(t, s)
		if i < 0 {
			break
		}
		if i <= before {
			t.Fatalf("%d after %d", i, before)
		}
		before, got = i, got+1
	}
	if before != 6000 || got < 1000 || got > 4500 {
		t.Errorf("%d came back, the last one %d", got, before)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Append(record(6001, 1000))
	if got := take(t, s); got != 6001 || len(segments(t, dir)) != 1 {
		t.Errorf("took %d after the disk was back; segments: %v", got, segments(t, dir))
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	if second, err := spool.Open(dir, spool.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		second.Close()
		t.Error("two have it open at once")
	}
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// FuzzSegment opens a folder with any bytes in its segment and position.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	s := open(f, dir)
	s.Append(record(1, 40))
	take(f, s)
	s.Append(record(2, 40))
	s.Close()
	segment, _ := os.ReadFile(filepath.Join(dir, "0000000000000001.seg"))
	position, _ := os.ReadFile(filepath.Join(dir, "position"))
	f.Add(segment, position)
	f.Fuzz(func(t *testing.T, segment, position []byte) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), segment, 0o600)
		os.WriteFile(filepath.Join(dir, "position"), position, 0o600)
		s := open(t, dir)
		s.Append(record(77, 40))
		found := false
		for range 1 << 20 {
			r, err := s.Next()
			if err != nil {
				break
			}
			found = r.Time == 77
			s.Done()
		}
		if !found {
			t.Error("a record appended to a damaged spool was lost")
		}
	})
}
