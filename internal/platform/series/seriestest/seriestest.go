// Package seriestest states what every series.Store must do.
package seriestest

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Window is how far behind the newest sample another may come in the stores under test.
const Window = 6 * time.Hour

// Tester is what the suite needs of an adapter.
type Tester struct {
	// Start gives a new and empty place for series; what it returns opens a store there, again and again, as a process
	// does that starts, stops and starts.
	Start func(t *testing.T) (open func() series.Store)
	// Lazy adapters list an erased workspace for a while, and do not know when samples in use begin and end.
	Lazy bool
	// FloatsOnly adapters keep no histograms and no marks of where a series ended.
	FloatsOnly bool
}

// Run puts a store through the suite.
func Run(t *testing.T, a Tester) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() series.Store)
	}{
		{"floats", floats},
		{"odd numbers", oddNumbers},
		{"histograms", histograms},
		{"chunks", readChunks},
		{"exemplars", exemplars},
		{"labels", labelQueries},
		{"out of order", outOfOrder},
		{"too old", tooOld},
		{"rollback", rollback},
		{"workspaces are apart", apart},
		{"labels do not cross workspaces", noCrossing},
		{"nothing yet", nothingYet},
		{"what is no workspace", noWorkspace},
		{"stats", a.stats},
		{"oldest", oldest},
		{"erase", a.erase},
		{"snapshot", snapshot},
		{"restart", restart},
		{"closed", closed},
		{"side by side", sideBySide},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a.FloatsOnly && (c.name == "odd numbers" || c.name == "histograms" || c.name == "restart") {
				return
			}
			t.Parallel()
			c.test(t, a.Start(t))
		})
	}
}

func opened(t *testing.T, open func() series.Store) series.Store {
	t.Helper()
	s := open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func is(name, v string) *labels.Matcher { return labels.MustNewMatcher(labels.MatchEqual, name, v) }

func metric(name string, more ...string) labels.Labels {
	return labels.FromStrings(append([]string{model.MetricNameLabel, name}, more...)...)
}

func floats(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	a, b := Samples(metric("up", "job", "a"), at, 15*time.Second, 1, 0, 1), Samples(metric("up", "job", "b"), at, 15*time.Second, 1, 1)
	must(t, Append(t.Context(), s, slices.Concat(a, b)...))
	Equal(t, Read(t, s, at, at.Add(time.Hour)), Lines(slices.Concat(a, b)...))
	Equal(t, Read(t, s, at, at.Add(time.Hour), is("job", "b")), Lines(b...))
	Equal(t, Read(t, s, at, at.Add(time.Hour), is("__name__", "down")), nil)
	Equal(t, Read(t, s, at.Add(15*time.Second), at.Add(15*time.Second), is("job", "a")), Lines(a[1]))
	t.Run("by the older way", func(t *testing.T) {
		app := s.Appender(t.Context())
		ref, err := app.Append(0, metric("old"), at.UnixMilli(), 4)
		must(t, err)
		_, err = app.Append(ref, metric("old"), at.Add(time.Second).UnixMilli(), 5)
		must(t, err)
		must(t, app.Commit())
		Equal(t, Read(t, s, at, at.Add(time.Hour), is("__name__", "old")), Lines(Samples(metric("old"), at, time.Second, 4, 5)...))
	})
	t.Run("the same once more", func(t *testing.T) {
		must(t, Append(t.Context(), s, b...))
		Equal(t, Read(t, s, at, at.Add(time.Hour), is("job", "b")), Lines(b...))
	})
}

// oddNumbers come back bit for bit: the mark of a series' end is one of the many NaNs. (But for -0, which the messages of
// remote write cannot carry.)
func oddNumbers(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	all := Samples(metric("odd"), at, time.Second, math.NaN(), math.Float64frombits(value.StaleNaN), math.Inf(1), math.Inf(-1),
		0, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Float64frombits(value.NormalNaN), 0.1)
	must(t, Append(t.Context(), s, all...))
	Equal(t, Read(t, s, at, at.Add(time.Hour)), Lines(all...))
}

func histograms(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	app := s.AppenderV2(t.Context())
	var want []string
	for i := range 3 {
		ts := at.Add(time.Duration(i) * time.Minute).UnixMilli()
		h, f := tsdbutil.GenerateTestHistogram(int64(i)), tsdbutil.GenerateTestFloatHistogram(int64(i))
		_, err := app.Append(0, metric("whole"), 0, ts, 0, h, nil, storage.AOptions{})
		must(t, err)
		_, err = app.Append(0, metric("broken"), 0, ts, 0, nil, f, storage.AOptions{})
		must(t, err)
		want = append(want, fmt.Sprint(metric("whole"), " ", ts, " ", h, " ", h.Schema))
	}
	must(t, app.Commit())
	Equal(t, Read(t, s, at, at.Add(time.Hour), is("__name__", "whole")), want)
	if got := Read(t, s, at, at.Add(time.Hour), is("__name__", "broken")); len(got) != 3 || !strings.Contains(got[0], "float") {
		t.Errorf("float histograms: %s", got)
	}
	// Custom buckets come from classic histograms of OpenTelemetry.
	custom := &histogram.Histogram{
		Schema: histogram.CustomBucketsSchema, Count: 5, Sum: 7, CustomValues: []float64{1, 2},
		PositiveSpans: []histogram.Span{{Length: 3}}, PositiveBuckets: []int64{2, -1, 1},
	}
	app = s.AppenderV2(t.Context())
	_, err := app.Append(0, metric("custom"), 0, at.UnixMilli(), 0, custom, nil, storage.AOptions{})
	must(t, err)
	must(t, app.Commit())
	Equal(t, Read(t, s, at, at.Add(time.Hour), is("__name__", "custom")), []string{fmt.Sprint(metric("custom"), " ", at.UnixMilli(), " ", custom, " ", custom.Schema)})
}

func readChunks(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	var all []Sample
	for i := range 500 {
		all = append(all, Sample{metric("long"), at.Add(time.Duration(i) * time.Second), float64(i)})
	}
	must(t, Append(t.Context(), s, all...))
	q, err := s.ChunkQuerier(at.UnixMilli(), at.Add(time.Hour).UnixMilli())
	must(t, err)
	defer q.Close()
	got, err := lines(storage.NewSeriesSetFromChunkSeriesSet(q.Select(t.Context(), true, nil, is("__name__", "long"))))
	must(t, err)
	Equal(t, got, Lines(all...))
}

func exemplars(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "abc"), Value: 0.3, Ts: at.UnixMilli(), HasTs: true}
	app := s.AppenderV2(t.Context())
	ls := metric("seconds_bucket", "le", "0.5")
	_, err := app.Append(0, ls, 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{e}})
	must(t, err)
	must(t, app.Commit())
	q, err := s.ExemplarQuerier(t.Context())
	must(t, err)
	got, err := q.Select(at.Add(-time.Hour).UnixMilli(), at.Add(time.Hour).UnixMilli(), []*labels.Matcher{is("le", "0.5")})
	must(t, err)
	if len(got) != 1 || !labels.Equal(got[0].SeriesLabels, ls) || len(got[0].Exemplars) != 1 || !got[0].Exemplars[0].Equals(e) {
		t.Errorf("exemplars: %+v", got)
	}
	if got, err := q.Select(at.UnixMilli(), at.UnixMilli(), []*labels.Matcher{is("le", "1")}); err != nil || got == nil || len(got) != 0 {
		t.Errorf("exemplars of others: %#v, %v; want an empty list, which is not none", got, err)
	}
}

func labelQueries(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	ws := NewWorkspace()
	s := store.For(ws)
	must(t, Append(t.Context(), store.For(NewWorkspace()), Sample{metric("theirs", "secret", "x"), at, 1}))
	must(t, Append(t.Context(), s, Sample{metric("up", "job", "a"), at, 1}, Sample{metric("up", "job", "b", "zone", "z"), at, 1}, Sample{metric("down", "job", "c"), at, 1}))
	q, err := s.Querier(at.UnixMilli(), at.Add(time.Hour).UnixMilli())
	must(t, err)
	defer q.Close()
	names, _, err := q.LabelNames(t.Context(), nil)
	must(t, err)
	Equal(t, names, []string{"__name__", "job", "zone"})
	names, _, err = q.LabelNames(t.Context(), nil, is("job", "a"))
	must(t, err)
	Equal(t, names, []string{"__name__", "job"})
	values, _, err := q.LabelValues(t.Context(), "job", nil)
	must(t, err)
	Equal(t, values, []string{"a", "b", "c"})
	values, _, err = q.LabelValues(t.Context(), "job", nil, is("__name__", "up"))
	must(t, err)
	Equal(t, values, []string{"a", "b"})
	values, _, err = q.LabelValues(t.Context(), "secret", nil)
	must(t, err)
	Equal(t, values, nil)
}

func outOfOrder(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	all := Samples(metric("m"), at, time.Minute, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	must(t, Append(t.Context(), s, all[0], all[9]))
	must(t, Append(t.Context(), s, all[5:9]...))
	must(t, Append(t.Context(), s, all[1:5]...))
	must(t, Append(t.Context(), s, all[3:7]...)) // repeated after a lost answer
	Equal(t, Read(t, s, at, at.Add(time.Hour)), Lines(all...))
}

func tooOld(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	fresh := Sample{metric("m"), at, 1}
	must(t, Append(t.Context(), s, fresh))
	inside := Sample{metric("m"), at.Add(-Window + time.Minute), 2}
	must(t, Append(t.Context(), s, inside))
	err := Append(t.Context(), s, Sample{metric("m"), at.Add(-Window - time.Minute), 3})
	if !errors.Is(err, storage.ErrTooOldSample) && !errors.Is(err, storage.ErrOutOfBounds) {
		t.Errorf("a sample from before the window: %v", err)
	}
	Equal(t, Read(t, s, at.Add(-2*Window), at.Add(time.Hour)), Lines(fresh, inside))
}

func rollback(t *testing.T, open func() series.Store) {
	at := Base()
	s := opened(t, open).For(NewWorkspace())
	app := s.AppenderV2(t.Context())
	_, err := app.Append(0, metric("m"), 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{})
	must(t, err)
	must(t, app.Rollback())
	Equal(t, Read(t, s, at, at.Add(time.Hour)), nil)
}

func apart(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	a, b := NewWorkspace(), NewWorkspace()
	must(t, Append(t.Context(), store.For(a), Sample{metric("m"), at, 1}))
	must(t, Append(t.Context(), store.For(b), Sample{metric("m"), at, 2}))
	Equal(t, Read(t, store.For(a), at, at.Add(time.Hour)), Lines(Sample{metric("m"), at, 1}))
	Equal(t, Read(t, store.For(b), at, at.Add(time.Hour)), Lines(Sample{metric("m"), at, 2}))
	all, err := store.Workspaces(t.Context())
	must(t, err)
	if !slices.Contains(all, a) || !slices.Contains(all, b) || len(all) != 2 {
		t.Errorf("Workspaces: %s, want %s and %s", all, a, b)
	}
}

// noCrossing: no label that a workspace sends or asks for, whatever its name, leads to another's series.
func noCrossing(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	a, b := NewWorkspace(), NewWorkspace()
	forged := metric("m", "kept_workspace", string(b))
	must(t, Append(t.Context(), store.For(a), Sample{metric("mine"), at, 1}))
	if err := Append(t.Context(), store.For(a), Sample{forged, at, 1}); err != nil && !errors.Is(err, storage.ErrOutOfBounds) {
		t.Errorf("a forged label: %v", err)
	}
	Equal(t, Read(t, store.For(b), at, at.Add(time.Hour)), nil)
	for _, m := range []*labels.Matcher{
		is("kept_workspace", string(a)), labels.MustNewMatcher(labels.MatchRegexp, "kept_workspace", ".*"),
		labels.MustNewMatcher(labels.MatchNotEqual, "kept_workspace", string(b)),
	} {
		Equal(t, Read(t, store.For(b), at, at.Add(time.Hour), m), nil)
	}
}

func nothingYet(t *testing.T, open func() series.Store) {
	store := opened(t, open)
	ws := NewWorkspace()
	Equal(t, Read(t, store.For(ws), Base(), Base().Add(time.Hour)), nil)
	if all, err := store.Workspaces(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("Workspaces after a question only: %s, %v", all, err)
	}
	if st, err := store.Stats(t.Context(), ws, 10); err != nil || st.Series != 0 || !st.MinTime.IsZero() || !st.MaxTime.IsZero() {
		t.Errorf("Stats: %+v, %v", st, err)
	}
	if at, err := store.Oldest(t.Context(), ws); err != nil || !at.IsZero() {
		t.Errorf("Oldest: %s, %v", at, err)
	}
	if _, err := store.Sweep(t.Context(), ws, time.Now()); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if err := store.Erase(t.Context(), ws); err != nil {
		t.Errorf("Erase: %v", err)
	}
}

// noWorkspace: an id is part of a path or a label, so nothing but an id is one.
func noWorkspace(t *testing.T, open func() series.Store) {
	store := opened(t, open)
	for _, ws := range []kernel.WorkspaceID{"", "..", "../x", "a", "01arz3ndektsv4rrffq69g5fa/"} {
		if err := Append(t.Context(), store.For(ws), Sample{metric("m"), Base(), 1}); err == nil {
			t.Errorf("%q may be written to", ws)
		}
		if _, err := store.For(ws).Querier(0, 1); err == nil {
			t.Errorf("%q may be read", ws)
		}
		if err := store.Erase(t.Context(), ws); err == nil {
			t.Errorf("%q may be erased", ws)
		}
	}
}

func (a Tester) stats(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	ws := NewWorkspace()
	must(t, Append(t.Context(), store.For(ws), Sample{metric("up", "job", "a"), at, 1}, Sample{metric("up", "job", "b"), at, 1}, Sample{metric("down", "job", "a"), at.Add(time.Minute), 1}))
	st, err := store.Stats(t.Context(), ws, 1)
	must(t, err)
	if st.Series != 3 || !a.Lazy && (!st.MinTime.Equal(at) || !st.MaxTime.Equal(at.Add(time.Minute))) {
		t.Errorf("Stats: %+v", st)
	}
	for _, c := range []struct {
		what string
		got  []series.Count
		want series.Count
	}{
		{"metrics", st.ByMetric, series.Count{Name: "up", Count: 2}},
		{"labels", st.ByLabel, series.Count{Name: "__name__", Count: 2}},
		{"pairs", st.ByPair, series.Count{Name: "__name__=up", Count: 2}},
	} {
		if len(c.got) != 1 || c.got[0].Count != c.want.Count {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func oldest(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	ws := NewWorkspace()
	must(t, Append(t.Context(), store.For(ws), Samples(metric("m"), at, time.Minute, 1, 2)...))
	got, err := store.Oldest(t.Context(), ws)
	must(t, err)
	if !got.Equal(at) {
		t.Errorf("Oldest %s, want %s", got, at)
	}
	must(t, Append(t.Context(), store.For(ws), Sample{metric("late"), at.Add(-time.Hour), 1}))
	if got, err = store.Oldest(t.Context(), ws); err != nil || !got.Equal(at.Add(-time.Hour)) {
		t.Errorf("Oldest %s, %v after one that came late; want %s", got, err, at.Add(-time.Hour))
	}
}

func (tester Tester) erase(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	a, b := NewWorkspace(), NewWorkspace()
	keep := Sample{metric("m"), at, 2}
	must(t, Append(t.Context(), store.For(a), Samples(metric("m"), at, time.Minute, 1, 2, 3)...))
	must(t, Append(t.Context(), store.For(b), keep))
	must(t, store.Erase(t.Context(), a))
	Equal(t, Read(t, store.For(a), at.Add(-24*time.Hour), at.Add(24*time.Hour)), nil)
	Equal(t, Read(t, store.For(b), at, at.Add(time.Hour)), Lines(keep))
	if all, err := store.Workspaces(t.Context()); err != nil || !tester.Lazy && !slices.Equal(all, []kernel.WorkspaceID{b}) {
		t.Errorf("Workspaces: %s, %v", all, err)
	}
	if got, err := store.Oldest(t.Context(), a); err != nil || !got.IsZero() {
		t.Errorf("Oldest %s, %v", got, err)
	}
	again := Sample{metric("m"), at.Add(time.Hour), 9}
	must(t, Append(t.Context(), store.For(a), again))
	Equal(t, Read(t, store.For(a), at.Add(-24*time.Hour), at.Add(24*time.Hour)), Lines(again))
}

func snapshot(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	ws := NewWorkspace()
	all := Samples(metric("m", "a", "b"), at, time.Minute, 0, 1, 2, 3)
	must(t, Append(t.Context(), store.For(ws), all[0], all[3]))
	must(t, Append(t.Context(), store.For(ws), all[1:3]...)) // late ones are in it too
	dir := filepath.Join(t.TempDir(), "copy")
	must(t, store.Snapshot(t.Context(), ws, dir))
	must(t, Append(t.Context(), store.For(ws), Sample{metric("after"), at, 1}))
	db, err := tsdb.Open(dir, nil, nil, nil, nil)
	must(t, err)
	defer db.Close()
	Equal(t, Read(t, db, at.Add(-24*time.Hour), at.Add(24*time.Hour)), Lines(all...))
}

func restart(t *testing.T, open func() series.Store) {
	at := Base()
	ws := NewWorkspace()
	all := Samples(metric("m"), at, time.Minute, 0, 1, 2, 3, 4, 5)
	h := tsdbutil.GenerateTestHistogram(1)
	store := open()
	must(t, Append(t.Context(), store.For(ws), all[0], all[5]))
	must(t, Append(t.Context(), store.For(ws), all[2:5]...))
	app := store.For(ws).AppenderV2(t.Context())
	_, err := app.Append(0, metric("h"), 0, at.UnixMilli(), 0, h, nil, storage.AOptions{})
	must(t, err)
	must(t, app.Commit())
	must(t, store.Close())
	store = open()
	must(t, Append(t.Context(), store.For(ws), all[1])) // first thing: something late
	must(t, store.Close())
	store = opened(t, open)
	Equal(t, Read(t, store.For(ws), at, at.Add(time.Hour), is("__name__", "m")), Lines(all...))
	Equal(t, Read(t, store.For(ws), at, at.Add(time.Hour), is("__name__", "h")), []string{fmt.Sprint(metric("h"), " ", at.UnixMilli(), " ", h, " ", h.Schema)})
}

func closed(t *testing.T, open func() series.Store) {
	store := open()
	ws := NewWorkspace()
	must(t, Append(t.Context(), store.For(ws), Sample{metric("m"), Base(), 1}))
	must(t, store.Close())
	must(t, store.Close())
	if err := Append(t.Context(), store.For(ws), Sample{metric("m"), Base(), 2}); !errors.Is(err, series.ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if _, err := store.For(ws).Querier(0, 1); !errors.Is(err, series.ErrClosed) {
		t.Errorf("Querier after Close: %v", err)
	}
	if _, err := store.Stats(t.Context(), ws, 1); !errors.Is(err, series.ErrClosed) {
		t.Errorf("Stats after Close: %v", err)
	}
	if err := store.Erase(t.Context(), ws); !errors.Is(err, series.ErrClosed) {
		t.Errorf("Erase after Close: %v", err)
	}
}

func sideBySide(t *testing.T, open func() series.Store) {
	at := Base()
	store := opened(t, open)
	tenants := []kernel.WorkspaceID{NewWorkspace(), NewWorkspace(), NewWorkspace()}
	var g sync.WaitGroup
	for w, ws := range tenants {
		for n := range 3 {
			g.Go(func() {
				ls := metric("m", "n", fmt.Sprint(n), "w", fmt.Sprint(w))
				for i := range 10 {
					if err := Append(t.Context(), store.For(ws), Sample{ls, at.Add(time.Duration(i) * time.Second), float64(i)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	g.Wait()
	for w, ws := range tenants {
		if got := Read(t, store.For(ws), at, at.Add(time.Hour), is("w", fmt.Sprint(w))); len(got) != 30 {
			t.Errorf("%d samples of 30", len(got))
		}
		Equal(t, Read(t, store.For(ws), at, at.Add(time.Hour), labels.MustNewMatcher(labels.MatchNotEqual, "w", fmt.Sprint(w)), is("__name__", "m")), nil)
	}
}
