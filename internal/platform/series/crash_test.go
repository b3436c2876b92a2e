package series_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

const crashWorkspace = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")

var crashStart = time.UnixMilli(1_700_006_400_000).UTC() // on a block's border

// childDir is where the process that is to be killed writes; empty in the process that kills.
const childDir = "KEPT_SERIES_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		first, err := strconv.Atoi(os.Getenv("KEPT_SERIES_FIRST"))
		if err == nil {
			err = writeUntilKilled(dir, first)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashBatch is what agents send in the n-th five minutes: three hosts as it happens, and a fourth that was cut off and
// refills each hour what it kept meanwhile, the newest first.
func crashBatch(n int) (out []seriestest.Sample) {
	at := func(i int) time.Time { return crashStart.Add(time.Duration(i) * 5 * time.Minute) }
	host := func(h, i int) seriestest.Sample {
		// The padding fills the log, so that it is cut and checkpoints are made of it. A name lives for three hours, so that
		// series end, are forgotten and come again.
		name := labels.FromStrings("__name__", "m", "host", strconv.Itoa(h), "life", strconv.Itoa(i/36%2), "pad", strings.Repeat(strconv.Itoa(h), 2000))
		return seriestest.Sample{Labels: name, At: at(i), Value: float64(h*1_000_000 + i)}
	}
	for h := range 3 {
		out = append(out, host(h, n))
	}
	if n%12 == 11 {
		for i := n; i > n-12; i-- {
			out = append(out, host(3, i))
		}
	}
	return out
}

// writeUntilKilled writes batch after batch and says of each when it has been taken. Compactions come as they like and, at
// some batches, half: the head is written and the log cut, but what came out of order is in memory yet.
func writeUntilKilled(dir string, n int) error {
	s, err := series.OpenTSDB(series.Small(series.Config{Dir: dir}))
	if err != nil {
		return err
	}
	t := &testing.T{}
	for ; ; n++ {
		// In one transaction, so that a batch is there or not.
		if err := seriestest.Append(context.Background(), s.For(crashWorkspace), crashBatch(n)...); err != nil {
			return err
		}
		fmt.Println(n)
		if n%40 == 39 {
			db, release := s.Use(t, crashWorkspace)
			head := db.Head()
			end := head.MaxTime() - (2 * time.Hour).Milliseconds()
			if end > head.MinTime() {
				if err := db.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), end)); err != nil {
					return err
				}
			}
			release()
		}
	}
}

// TestKilled kills a writing process again and again. What it was told to be taken is there once each time, whatever was
// going on.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "series")
	next, random := 0, rand.New(rand.NewPCG(1, 2))
	for life := range 4 {
		next = killAfter(t, dir, next, 40+random.IntN(20), time.Duration(random.IntN(15))*time.Millisecond)
		var want []seriestest.Sample
		for n := range next {
			want = append(want, crashBatch(n)...)
		}
		rest := seriestest.Lines(crashBatch(next)...) // of a batch that was written, but whose answer was lost
		s := crashing(t, copyOf(t, dir))
		got := seriestest.Read(t, s.For(crashWorkspace), crashStart.Add(-time.Hour), crashStart.Add(time.Duration(next+1)*5*time.Minute))
		compareCrash(t, life, got, seriestest.Lines(want...), rest)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if next < 150 {
		t.Errorf("only %d batches were written: too few to see blocks", next)
	}
}

// copyOf is a copy of a directory of series, so that looking at it does not close it properly.
func copyOf(t *testing.T, dir string) series.Config {
	t.Helper()
	to := filepath.Join(t.TempDir(), "series")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return series.Small(series.Config{Dir: to})
}

func compareCrash(t *testing.T, life int, got, want, maybe []string) {
	t.Helper()
	seen := map[string]int{}
	for _, x := range got {
		seen[x]++
	}
	lost, twice := 0, 0
	for _, x := range want {
		if seen[x] == 0 {
			lost++
		}
		if seen[x] > 1 {
			twice++
		}
		delete(seen, x)
	}
	for _, x := range maybe {
		delete(seen, x)
	}
	if lost > 0 || twice > 0 || len(seen) > 0 {
		t.Errorf("life %d: of %d samples %d are lost and %d are there twice; %d are nobody's", life, len(want), lost, twice, len(seen))
	}
}

// killAfter lets a process write some batches and then a little longer, kills it, and returns the batch after the last
// that it was told to be taken.
func killAfter(t *testing.T, dir string, next, batches int, longer time.Duration) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, "KEPT_SERIES_FIRST="+strconv.Itoa(next))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		done, err := strconv.Atoi(lines.Text())
		if err != nil {
			continue // half a line
		}
		next = done + 1
		if n == batches {
			time.AfterFunc(longer, func() { cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return next
}

// The next two are what Prometheus 3.15 got wrong and made us take 3.16; ADR 0007.

// TestRefillSurvivesACheckpoint: a host is away, its series is forgotten, it comes back and refills; the log is cut while
// the refill is nowhere but in its own log; the process starts again (prometheus#19737).
func TestRefillSurvivesACheckpoint(t *testing.T) {
	t.Parallel()
	cfg := series.Small(series.Config{Dir: filepath.Join(t.TempDir(), "series")})
	ws, at := seriestest.NewWorkspace(), func(m int) time.Time { return crashStart.Add(time.Duration(m) * time.Minute) }
	ls := labels.FromStrings("__name__", "m")
	all := []seriestest.Sample{{Labels: ls, At: at(100), Value: 1}, {Labels: ls, At: at(250), Value: 2}, {Labels: ls, At: at(300), Value: 3}}
	s := crashing(t, cfg)
	add(t, s.For(ws), all[0])
	cutHead(t, s, ws, at(100))
	add(t, s.For(ws), all[2])
	add(t, s.For(ws), all[1])
	for i := range 32 {
		add(t, s.For(ws), seriestest.Sample{Labels: labels.FromStrings("__name__", "pad", "n", strconv.Itoa(i), "pad", padding(i)), At: at(300)})
	}
	s = again(t, s, &cfg)
	cutHead(t, s, ws, at(300))
	for range 3 {
		s = again(t, s, &cfg)
		seriestest.Equal(t, seriestest.Read(t, s.For(ws), at(0), at(600), labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")), seriestest.Lines(all...))
	}
}

// TestRefillSurvivesAForgottenSeries: the same with enough samples that chunks of them are on disk (prometheus#19805).
func TestRefillSurvivesAForgottenSeries(t *testing.T) {
	t.Parallel()
	cfg := series.Small(series.Config{Dir: filepath.Join(t.TempDir(), "series")})
	ws, at := seriestest.NewWorkspace(), func(m int) time.Time { return crashStart.Add(time.Duration(m) * time.Minute) }
	ls := labels.FromStrings("__name__", "m")
	all := []seriestest.Sample{{Labels: ls, At: at(100)}, {Labels: ls, At: at(300)}}
	s := crashing(t, cfg)
	add(t, s.For(ws), all[0])
	cutHead(t, s, ws, at(100))
	add(t, s.For(ws), all[1])
	for i := range 65 {
		x := seriestest.Sample{Labels: ls, At: at(250).Add(time.Duration(i) * time.Millisecond), Value: float64(i)}
		add(t, s.For(ws), x)
		all = append(all, x)
		if i == 33 {
			s = again(t, s, &cfg)
		}
	}
	for _, m := range []int{400, 500, 650} {
		x := seriestest.Sample{Labels: ls, At: at(m)}
		add(t, s.For(ws), x)
		all = append(all, x)
	}
	db, release := s.Use(t, ws)
	db.ForceHeadMMap()
	release()
	for range 3 {
		s = again(t, s, &cfg)
		seriestest.Equal(t, seriestest.Read(t, s.For(ws), at(0), at(700)), seriestest.Lines(all...))
	}
}

func add(t *testing.T, s storage.AppendableV2, all ...seriestest.Sample) {
	t.Helper()
	if err := seriestest.Append(t.Context(), s, all...); err != nil {
		t.Fatal(err)
	}
}

// padding is text that does not pack well.
func padding(seed int) string {
	r, b := rand.New(rand.NewPCG(uint64(seed), 1)), make([]byte, 8192)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
	}
	return string(b)
}

// cutHead writes what is older to a block and cuts the log, and nothing more.
func cutHead(t *testing.T, s *series.TSDB, ws kernel.WorkspaceID, upTo time.Time) {
	t.Helper()
	db, release := s.Use(t, ws)
	defer release()
	if err := db.CompactHead(tsdb.NewRangeHead(db.Head(), db.Head().MinTime(), upTo.UnixMilli())); err != nil {
		t.Fatal(err)
	}
}

// crashing opens a store whose compactions come only when the test wants them.
func crashing(t *testing.T, cfg series.Config) *series.TSDB {
	t.Helper()
	s, err := series.OpenTSDB(series.Manual(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// again is a start after a crash: the directory is copied as it is while the old process has it open, which is what that
// would leave behind.
func again(t *testing.T, old *series.TSDB, cfg *series.Config) *series.TSDB {
	t.Helper()
	*cfg = copyOf(t, cfg.Dir)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	return crashing(t, *cfg)
}
