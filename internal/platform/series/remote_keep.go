package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/kernel"
)

// Workspaces implements Store. A cluster with tenants does not tell of all; one that was erased may be told of until the
// cluster has tidied up.
func (r *Remote) Workspaces(ctx context.Context) (out []kernel.WorkspaceID, err error) {
	var values []string
	if err := r.ask(ctx, "/api/v1/label/"+WorkspaceLabel+"/values", nil, &values); err != nil {
		return nil, err
	}
	for _, v := range values {
		if kernel.ValidID(v) {
			out = append(out, kernel.WorkspaceID(v))
		}
	}
	return out, nil
}

const (
	activeFor = 3 * time.Hour // as long as a database of our own has a series in memory
	mostRows  = 100_000       // of series that Stats looks at
)

// series lists the series of a workspace in a span, with their labels.
func (r *Remote) series(ctx context.Context, ws kernel.WorkspaceID, from, to time.Time, limit int) (out []map[string]string, err error) {
	err = r.ask(forTenant(ctx, ws), "/api/v1/series", url.Values{
		"match[]": {selector([]*labels.Matcher{cluster{r, ws}.own()})}, "start": {seconds(from.UnixMilli())}, "end": {seconds(to.UnixMilli())},
		"limit": {strconv.Itoa(limit)},
	}, &out)
	for _, s := range out {
		delete(s, WorkspaceLabel)
	}
	return out, err
}

// Stats implements Store, from the first hundred thousand series of the last three hours. What the cluster stores of them,
// and what it refused, it keeps to itself.
func (r *Remote) Stats(ctx context.Context, ws kernel.WorkspaceID, limit int) (out Stats, err error) {
	if err := r.ready(ws); err != nil {
		return out, err
	}
	now := r.cfg.Clock()
	all, err := r.series(ctx, ws, now.Add(-activeFor), now, mostRows)
	if err != nil || len(all) == 0 {
		return out, err
	}
	metrics, pairs, values := map[string]int64{}, map[string]int64{}, map[string]int64{}
	for _, s := range all {
		metrics[s[model.MetricNameLabel]]++
		for name, v := range s {
			pair := name + "=" + v
			if pairs[pair]++; pairs[pair] == 1 {
				values[name]++
			}
		}
	}
	out.Series = int64(len(all))
	out.ByMetric, out.ByLabel, out.ByPair = most(metrics, limit), most(values, limit), most(pairs, limit)
	return out, nil
}

// most lists the largest counts.
func most(counts map[string]int64, limit int) (out []Count) {
	for name, n := range counts {
		out = append(out, Count{name, n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out[:min(len(out), max(limit, 0))]
}

// Oldest implements Store. It asks for series of ever smaller spans, and then reads the samples where they begin.
func (r *Remote) Oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error) {
	if err := r.ready(ws); err != nil {
		return time.Time{}, err
	}
	first := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	low, high := first, r.cfg.Clock().Add(time.Hour)
	some := func(to time.Time) (bool, error) {
		all, err := r.series(ctx, ws, first, to, 1)
		return len(all) > 0, err
	}
	if found, err := some(high); err != nil || !found {
		return time.Time{}, err
	}
	for high.Sub(low) > time.Hour {
		middle := low.Add(high.Sub(low) / 2)
		found, err := some(middle)
		if err != nil {
			return time.Time{}, err
		}
		if found {
			high = middle
		} else {
			low = middle
		}
	}
	oldest := int64(math.MaxInt64)
	err := Each(ctx, r.For(ws), low.Add(-time.Hour), high.Add(2*time.Hour), func(_ labels.Labels, it chunkenc.Iterator, _ chunkenc.ValueType) error {
		oldest = min(oldest, it.AtT())
		return nil
	})
	return moment(oldest), err
}

// Sweep implements Store. It does nothing: how long samples are kept is the cluster's setting. (Prometheus could be told
// to delete a span of time, but the same request makes VictoriaMetrics delete the series whole.)
func (r *Remote) Sweep(context.Context, kernel.WorkspaceID, time.Time) (int64, error) { return 0, nil }

// Erase implements Store: by the deletion of series that Prometheus and VictoriaMetrics have, or of the tenant that Mimir
// has. It is an error when the cluster does neither.
func (r *Remote) Erase(ctx context.Context, ws kernel.WorkspaceID) error {
	if err := r.ready(ws); err != nil {
		return err
	}
	ctx = forTenant(ctx, ws)
	match := url.Values{"match[]": {selector([]*labels.Matcher{cluster{r, ws}.own()})}}
	err := r.call(ctx, http.MethodPost, r.at("/api/v1/admin/tsdb/delete_series", match), nil)
	if err == nil {
		// Only Prometheus knows this; it frees the disk at once.
		if err := r.call(ctx, http.MethodPost, r.at("/api/v1/admin/tsdb/clean_tombstones", nil), nil); err != nil && statusOf(err) == 0 {
			return err
		}
		return nil
	}
	if statusOf(err) == 0 {
		return err
	}
	u := *r.base
	u.Path, u.User = "/compactor/delete_tenant", nil
	if tenant := r.call(ctx, http.MethodPost, &u, nil); tenant != nil {
		return fmt.Errorf("series: the cluster deletes neither series (is its admin API on?) nor tenants: %w", errors.Join(err, tenant))
	}
	return nil
}

// Snapshot implements Store: it reads all samples, a day at a time.
func (r *Remote) Snapshot(ctx context.Context, ws kernel.WorkspaceID, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("series: snapshot: %w", err)
	}
	oldest, err := r.Oldest(ctx, ws)
	if err != nil || oldest.IsZero() {
		return err
	}
	end := r.cfg.Clock().Add(time.Hour)
	for from := oldest.Truncate(24 * time.Hour); from.Before(end); from = from.Add(24 * time.Hour) {
		if err := r.copyDay(ctx, ws, from, dir); err != nil {
			return fmt.Errorf("series: snapshot: %w", err)
		}
	}
	return nil
}

func (r *Remote) copyDay(ctx context.Context, ws kernel.WorkspaceID, from time.Time, dir string) (err error) {
	day := 24 * time.Hour
	w, err := tsdb.NewBlockWriter(r.cfg.Logger, dir, day.Milliseconds())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	app, n := w.Appender(ctx), 0
	var last labels.Labels
	var ref storage.SeriesRef
	err = Each(ctx, r.For(ws), from, from.Add(day-time.Millisecond), func(ls labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) (err error) {
		if !labels.Equal(ls, last) {
			ref, last = 0, ls
		}
		n++
		switch kind {
		case chunkenc.ValHistogram:
			t, h := it.AtHistogram(nil)
			ref, err = app.AppendHistogram(ref, ls, t, h, nil)
		case chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			ref, err = app.AppendHistogram(ref, ls, t, nil, h)
		default:
			t, v := it.At()
			ref, err = app.Append(ref, ls, t, v)
		}
		return err
	})
	if err != nil {
		return errors.Join(err, app.Rollback())
	}
	if err := app.Commit(); err != nil || n == 0 {
		return err
	}
	_, err = w.Flush(ctx)
	return err
}
