package series_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/platform/series/seriestest"
)

func sample(name string, at time.Time, v float64) seriestest.Sample {
	return seriestest.Sample{Labels: labels.FromStrings("__name__", name), At: at, Value: v}
}

func TestSeriesLimit(t *testing.T) {
	t.Parallel()
	var limit atomic.Int64
	limit.Store(2)
	dir, at, ws := filepath.Join(t.TempDir(), "series"), seriestest.Base(), seriestest.NewWorkspace()
	cfg := series.Config{Dir: dir, MaxSeries: func(context.Context, kernel.WorkspaceID) (int64, error) { return limit.Load(), nil }}
	s := open(t, cfg)
	add(t, s.For(ws), sample("a", at, 1), sample("b", at, 1))
	err := seriestest.Append(t.Context(), s.For(ws), sample("c", at, 1))
	if !errors.Is(err, series.ErrSeriesLimit) || !errors.Is(err, storage.ErrOutOfBounds) {
		t.Fatalf("one too many: %v", err)
	}
	add(t, s.For(ws), sample("a", at.Add(time.Second), 2)) // a known one goes on
	if errors.Is(storage.ErrOutOfBounds, series.ErrSeriesLimit) {
		t.Error("every sample out of bounds is taken for one beyond the limit")
	}
	if st, err := s.Stats(t.Context(), ws, 5); err != nil || st.Series != 2 || st.Limit != 2 || st.Refused != 1 {
		t.Errorf("Stats %+v, %v", st, err)
	}
	t.Run("a larger plan", func(t *testing.T) {
		limit.Store(3)
		s.RefreshLimits()
		add(t, s.For(ws), sample("c", at, 1))
	})
	t.Run("a smaller plan does not refuse what is there, not even after a restart", func(t *testing.T) {
		limit.Store(1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s := open(t, cfg)
		add(t, s.For(ws), sample("b", at.Add(time.Second), 2))
		if st, err := s.Stats(t.Context(), ws, 5); err != nil || st.Series != 3 {
			t.Errorf("Stats %+v, %v", st, err)
		}
		if err := seriestest.Append(t.Context(), s.For(ws), sample("d", at, 1)); !errors.Is(err, series.ErrSeriesLimit) {
			t.Errorf("a new one: %v", err)
		}
	})
}

func TestIdleDatabasesAreClosed(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	s := open(t, series.Config{Clock: clock, IdleClose: time.Hour})
	at, a, b := seriestest.Base(), seriestest.NewWorkspace(), seriestest.NewWorkspace()
	add(t, s.For(a), sample("m", at, 1))
	add(t, s.For(b), sample("m", at, 1))
	q, err := s.For(b).Querier(0, time.Now().UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CloseIdle(); n != 0 || s.Open() != 2 {
		t.Errorf("%d closed at once, %d open", n, s.Open())
	}
	offset.Store(int64(2 * time.Hour))
	if n := s.CloseIdle(); n != 1 || s.Open() != 1 {
		t.Errorf("%d closed, %d open; want the unused one closed and the read one open", n, s.Open())
	}
	for set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")); set.Next(); {
		_ = set.At().Labels()
	}
	q.Close()
	q.Close() // once more ends nobody else's use
	if n := s.CloseIdle(); n != 1 || s.Open() != 0 {
		t.Errorf("%d closed, %d open after the last reader", n, s.Open())
	}
	t.Run("looking after one that is closed does not keep it open", func(t *testing.T) {
		if st, err := s.Stats(t.Context(), a, 1); err != nil || st.Series != 1 {
			t.Errorf("Stats of a closed one: %+v, %v", st, err)
		}
		if got, err := s.Oldest(t.Context(), a); err != nil || !got.Equal(at) {
			t.Errorf("Oldest of a closed one: %s, %v", got, err)
		}
		if s.Open() != 0 {
			t.Errorf("%d open", s.Open())
		}
	})
	seriestest.Equal(t, seriestest.Read(t, s.For(a), at, at.Add(time.Hour)), seriestest.Lines(sample("m", at, 1)))
	if s.Open() != 1 {
		t.Errorf("%d open after a read", s.Open())
	}
}

// TestClosingUnderUse has databases closed as fast as possible while others write and read them.
func TestClosingUnderUse(t *testing.T) {
	t.Parallel()
	s := open(t, series.Config{IdleClose: time.Nanosecond})
	at, tenants := seriestest.Base(), []kernel.WorkspaceID{seriestest.NewWorkspace(), seriestest.NewWorkspace()}
	var users sync.WaitGroup
	var closed atomic.Int64
	for n := range 4 {
		ws, name := tenants[n%2], fmt.Sprint("m", n)
		users.Go(func() {
			for i := 0; i < 40 || closed.Load() < 10 && i < 3000; i++ {
				if err := seriestest.Append(t.Context(), s.For(ws), sample(name, at.Add(time.Duration(i)*time.Second), float64(i))); err != nil {
					t.Error(err)
					return
				}
				closed.Add(int64(s.CloseIdle()))
				if got := seriestest.Read(t, s.For(ws), at, at.Add(time.Hour), labels.MustNewMatcher(labels.MatchEqual, "__name__", name)); len(got) != i+1 {
					t.Errorf("%s: %d samples of %d", name, len(got), i+1)
					return
				}
			}
		})
	}
	users.Wait()
	if closed.Load() < 10 {
		t.Errorf("only %d times closed: the test has seen little", closed.Load())
	}
}

func TestEraseWaitsForUsersAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	s := open(t, series.Config{})
	at, ws := seriestest.Base(), seriestest.NewWorkspace()
	add(t, s.For(ws), sample("m", at, 1))
	q, err := s.For(ws).Querier(0, time.Now().UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Erase(impatient, ws); !errors.Is(err, context.Canceled) {
		t.Errorf("Erase beside a reader, given up: %v", err)
	}
	add(t, s.For(ws), sample("m", at.Add(time.Second), 1)) // giving up leaves all as it was
	done := make(chan error, 1)
	go func() { done <- s.Erase(t.Context(), ws) }()
	for err = nil; !errors.Is(err, series.ErrErasing); {
		err = seriestest.Append(t.Context(), s.For(ws), sample("n", at, 1))
		if err != nil && !errors.Is(err, series.ErrErasing) {
			t.Fatal(err)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("Erase did not wait for the reader: %v", err)
	default:
	}
	if set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")); !set.Next() {
		t.Error("the reader sees nothing any more")
	}
	q.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seriestest.Equal(t, seriestest.Read(t, s.For(ws), at, at.Add(time.Hour)), nil)
}

func TestEraseLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir, at, ws, other := filepath.Join(t.TempDir(), "series"), seriestest.Base(), seriestest.NewWorkspace(), seriestest.NewWorkspace()
	s := open(t, series.Config{Dir: dir})
	add(t, s.For(ws), sample("needle", at, 1))
	add(t, s.For(other), sample("hay", at, 1))
	if err := s.Erase(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t, dir) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(path+string(text), "needle") || strings.Contains(path, string(ws)) {
			t.Errorf("%s is there after the erasure", path)
		}
	}

	t.Run("nor when a crash came between", func(t *testing.T) {
		if err := os.Rename(filepath.Join(dir, string(other)), filepath.Join(dir, ".erased-"+string(other)+"-x")); err != nil {
			t.Fatal(err)
		}
		s := open(t, series.Config{Dir: dir})
		if all, err := s.Workspaces(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("Workspaces %s, %v", all, err)
		}
		if err := s.Close(); err != nil { // it waits for what was left to do
			t.Fatal(err)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("left: %s", left)
		}
	})

	t.Run("nor of a damaged one", func(t *testing.T) {
		broken := filepath.Join(dir, string(ws))
		if err := os.MkdirAll(broken, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(broken, "wal"), []byte("no directory"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, series.Config{Dir: dir})
		if _, err := s.For(ws).Querier(0, 1); err == nil {
			t.Fatal("it is not damaged")
		}
		if err := seriestest.Append(t.Context(), s.For(ws), sample("m", at, 1)); err == nil {
			t.Error("a damaged one can be written to")
		}
		if err := s.Erase(t.Context(), ws); err != nil {
			t.Fatal(err)
		}
		add(t, s.For(ws), sample("m", at, 1))
	})
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSweep(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	week := func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return 7 * day, nil }
	from := time.Now().Truncate(day).Add(-20 * day)
	fill := func(t *testing.T, s *series.TSDB, ws kernel.WorkspaceID, days int) (all []seriestest.Sample) {
		for n := range days * 4 {
			all = append(all, sample("m", from.Add(time.Duration(n)*6*time.Hour), float64(n)))
		}
		add(t, s.For(ws), all...)
		db, release := s.Use(t, ws)
		defer release()
		if err := db.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		return all
	}
	left := func(t *testing.T, s *series.TSDB, ws kernel.WorkspaceID) []string {
		return seriestest.Read(t, s.For(ws), from.Add(-day), time.Now())
	}

	t.Run("blocks go, later ones stay", func(t *testing.T) {
		t.Parallel()
		s, ws := open(t, series.Small(series.Config{MaxAge: week})), seriestest.NewWorkspace()
		all := fill(t, s, ws, 10)
		if n, err := s.Sweep(t.Context(), ws, from.Add(-time.Hour)); n != 0 || err != nil || len(left(t, s, ws)) != len(all) {
			t.Errorf("a sweep of nothing: %d, %v, %d of %d left", n, err, len(left(t, s, ws)), len(all))
		}
		before := from.Add(6 * day)
		n, err := s.Sweep(t.Context(), ws, before)
		if n == 0 || err != nil {
			t.Fatalf("Sweep: %d, %v", n, err)
		}
		if at, err := s.Oldest(t.Context(), ws); err != nil || !at.Equal(before) {
			t.Errorf("Oldest %s, %v; want the sample of %s", at, err, before)
		}
		seriestest.Equal(t, left(t, s, ws), seriestest.Lines(all[6*4:]...))
		if n, err := s.Sweep(t.Context(), ws, before.Add(time.Minute)); n != 1 || err != nil || len(left(t, s, ws)) != len(all)-6*4-1 {
			t.Errorf("a sweep into a block: %d, %v, %d samples left", n, err, len(left(t, s, ws)))
		}
		if n, err := s.Sweep(t.Context(), ws, before.Add(time.Hour)); n != 0 || err != nil {
			t.Errorf("a sweep of nothing more: %d, %v", n, err)
		}
	})

	t.Run("of one that sends no more, all goes, what is in memory too", func(t *testing.T) {
		t.Parallel()
		s, ws := open(t, series.Small(series.Config{MaxAge: week, IdleClose: time.Nanosecond})), seriestest.NewWorkspace()
		fill(t, s, ws, 2)
		add(t, s.For(ws), sample("late", from.Add(2*day-7*time.Hour), 1)) // out of order, in memory
		s.CloseIdle()
		if _, err := s.Sweep(t.Context(), ws, from.Add(10*day)); err != nil {
			t.Fatal(err)
		}
		if s.Open() != 0 {
			t.Error("the sweep left the database open")
		}
		seriestest.Equal(t, left(t, s, ws), nil)
		if at, err := s.Oldest(t.Context(), ws); err != nil || !at.IsZero() {
			t.Errorf("Oldest %s, %v", at, err)
		}
		add(t, s.For(ws), sample("m", time.Now(), 1)) // it comes back
		if got := left(t, s, ws); len(got) != 1 {
			t.Errorf("%d samples after it came back", len(got))
		}
	})

	t.Run("of one that stopped around that time, what came after stays", func(t *testing.T) {
		t.Parallel()
		s, ws := open(t, series.Small(series.Config{MaxAge: week})), seriestest.NewWorkspace()
		all := seriestest.Samples(labels.FromStrings("__name__", "m"), from.Add(time.Hour), time.Minute, make([]float64, 60)...)
		add(t, s.For(ws), all...)
		if _, err := s.Sweep(t.Context(), ws, all[40].At); err != nil {
			t.Fatal(err)
		}
		seriestest.Equal(t, left(t, s, ws), seriestest.Lines(all[40:]...))
		if at, err := s.Oldest(t.Context(), ws); err != nil || !at.Equal(all[40].At) {
			t.Errorf("Oldest %s, %v", at, err)
		}
	})

	t.Run("beside writers", func(t *testing.T) {
		t.Parallel()
		s, ws := open(t, series.Small(series.Config{MaxAge: week})), seriestest.NewWorkspace()
		fill(t, s, ws, 4)
		var g sync.WaitGroup
		for n := range 2 {
			g.Go(func() {
				for i := range 100 {
					if err := seriestest.Append(t.Context(), s.For(ws), sample(fmt.Sprint("now", n), time.Now().Add(time.Duration(i-100)*time.Second), 1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 3 {
			if _, err := s.Sweep(t.Context(), ws, from.Add(10*day)); err != nil {
				t.Error(err)
			}
		}
		g.Wait()
		q, err := s.For(ws).Querier(time.Now().Add(-time.Hour).UnixMilli(), time.Now().UnixMilli())
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		names, _, err := q.LabelValues(t.Context(), "__name__", nil)
		if err != nil || len(names) != 2 {
			t.Errorf("metrics %s, %v", names, err)
		}
		if got := seriestest.Read(t, s.For(ws), time.Now().Add(-time.Hour), time.Now()); len(got) != 200 {
			t.Errorf("%d new samples of 200", len(got))
		}
	})
}

func TestOneProcessOpensADatabase(t *testing.T) {
	t.Parallel()
	dir, at, ws := filepath.Join(t.TempDir(), "series"), seriestest.Base(), seriestest.NewWorkspace()
	first := open(t, series.Config{Dir: dir})
	add(t, first.For(ws), sample("m", at, 1))
	second := open(t, series.Config{Dir: dir})
	if err := seriestest.Append(t.Context(), second.For(ws), sample("m", at, 2)); err == nil {
		t.Error("a database was opened twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	add(t, second.For(ws), sample("m", at.Add(time.Second), 2))
}

func TestCloseWaitsForUsersForAWhile(t *testing.T) {
	t.Parallel()
	dir, at, ws := filepath.Join(t.TempDir(), "series"), seriestest.Base(), seriestest.NewWorkspace()
	s, err := series.OpenTSDB(series.Config{Dir: dir, CloseWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	app := s.For(ws).AppenderV2(t.Context())
	if _, err := app.Append(0, labels.FromStrings("__name__", "m"), 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	for err = nil; !errors.Is(err, series.ErrClosed); {
		_, err = s.Stats(t.Context(), ws, 1)
	}
	if err := app.Commit(); err != nil { // it began before
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	s, err = series.OpenTSDB(series.Config{Dir: dir, CloseWait: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	seriestest.Equal(t, seriestest.Read(t, s.For(ws), at, at.Add(time.Hour)), seriestest.Lines(sample("m", at, 1)))
	app = s.For(ws).AppenderV2(t.Context())
	if err := s.Close(); err == nil {
		t.Error("nobody was said to be in the way")
	}
	if err := app.Commit(); !errors.Is(err, series.ErrClosed) {
		t.Errorf("a commit after Close: %v", err)
	}
}
