package seriestest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/kernel"
)

// Base is a time from which a test may count: not long ago, on a full minute.
func Base() time.Time { return time.Now().Truncate(time.Minute).Add(-2 * time.Hour) }

// NewWorkspace is an id of a workspace.
func NewWorkspace() kernel.WorkspaceID { return kernel.NewID(time.Now()) }

// Sample is a float of a series.
type Sample struct {
	Labels labels.Labels
	At     time.Time
	Value  float64
}

// Samples are one series' values, a step apart.
func Samples(ls labels.Labels, from time.Time, step time.Duration, values ...float64) (out []Sample) {
	for i, v := range values {
		out = append(out, Sample{ls, from.Add(time.Duration(i) * step), v})
	}
	return out
}

// Append writes samples, or says what refused them.
func Append(ctx context.Context, s storage.AppendableV2, all ...Sample) error {
	app := s.AppenderV2(ctx)
	for _, x := range all {
		if _, err := app.Append(0, x.Labels, 0, x.At.UnixMilli(), x.Value, nil, nil, storage.AOptions{}); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	return app.Commit()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Read is everything that a matcher finds, one line a sample: "{labels} time value".
func Read(t *testing.T, s storage.Queryable, from, to time.Time, m ...*labels.Matcher) []string {
	t.Helper()
	if len(m) == 0 {
		m = []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")}
	}
	q, err := s.Querier(from.UnixMilli(), to.UnixMilli())
	must(t, err)
	defer q.Close()
	out, err := lines(q.Select(t.Context(), true, nil, m...))
	must(t, err)
	return out
}

func lines(set storage.SeriesSet) (out []string, err error) {
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			out = append(out, s.Labels().String()+" "+line(it, kind))
		}
		if it.Err() != nil {
			return out, it.Err()
		}
	}
	return out, set.Err()
}

func line(it chunkenc.Iterator, kind chunkenc.ValueType) string {
	switch kind {
	case chunkenc.ValHistogram:
		at, h := it.AtHistogram(nil)
		return fmt.Sprint(at, " ", h.String(), " ", h.Schema)
	case chunkenc.ValFloatHistogram:
		at, h := it.AtFloatHistogram(nil)
		return fmt.Sprint(at, " float ", h.String(), " ", h.Schema)
	default:
		at, v := it.At()
		return fmt.Sprintf("%d %x", at, math.Float64bits(v))
	}
}

// Lines are samples as Read writes them, in its order.
func Lines(samples ...Sample) (out []string) {
	slices.SortStableFunc(samples, func(a, b Sample) int {
		if c := labels.Compare(a.Labels, b.Labels); c != 0 {
			return c
		}
		return a.At.Compare(b.At)
	})
	for _, s := range samples {
		out = append(out, fmt.Sprintf("%s %d %x", s.Labels, s.At.UnixMilli(), math.Float64bits(s.Value)))
	}
	return out
}

// Equal compares what was read with what is wanted.
func Equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("read\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
