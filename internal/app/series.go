package app

import (
	"context"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// metricsAge is how long a workspace's metrics are kept.
func (a *App) metricsAge() func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
	return privacy.ByPlan(a.plans(), func(p privacy.Plan) time.Duration { return p.Metrics })
}

// openSeries opens the store of time series: the cluster that the operator named, or databases of our own, none of which
// is opened before it is used.
func (a *App) openSeries() error {
	module := seriesModule{app: a}
	if address := a.cfg.SeriesURL.Text(); address != "" {
		r, err := series.NewRemote(series.RemoteConfig{URL: address, Logger: a.logger, Clock: a.clock})
		if err != nil {
			return err
		}
		a.series = r // not watched, because other servers write to it too
	} else {
		tsdb, err := series.OpenTSDB(series.Config{
			Dir: filepath.Join(a.cfg.Data, "series"), Logger: a.logger, Clock: a.clock, MaxAge: a.metricsAge(),
			MaxSeries:  a.maxSeries,
			OutOfOrder: 49 * time.Hour, // agents buffer for two days
		})
		if err != nil {
			return err
		}
		a.series, module.metrics = series.Watch(tsdb), tsdb.Metrics()
	}
	a.seriesModule = module
	a.onStop("series", func(context.Context) error { return a.series.Close() })
	return nil
}

// seriesHost is the cluster's host; empty without one.
func (a *App) seriesHost() string {
	u, err := url.Parse(a.cfg.SeriesURL.Text())
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// seriesFacts declares who else keeps metrics (USE-3).
func (a *App) seriesFacts(f *privacy.Facts) {
	host := a.seriesHost()
	if host == "" {
		return
	}
	f.Outbound = append(f.Outbound, privacy.Outbound{Host: host, Setting: "series-url"})
	f.Processors = append(f.Processors, privacy.Processor{
		Name: host, Role: "the cluster that the operator configured", Purpose: "keeps metrics", Data: "metrics and their labels", Host: host,
	})
}

// seriesModule gives the store of series, which is technology and knows nothing of promises, its place among the modules.
type seriesModule struct {
	app     *App
	metrics []prometheus.Collector
}

func (seriesModule) Name() string { return "series" }

// Metrics are the store's own.
func (m seriesModule) Metrics() []prometheus.Collector { return m.metrics }

// Collections declares the samples (COL-8) and their limit (RET-3).
func (m seriesModule) Collections() []privacy.Collection {
	a := m.app
	c := privacy.Collection{
		Name: "series:samples", Module: "metrics", Title: "Metrics", Subjects: "nobody: hosts, services and jobs",
		Purpose:    "To show and watch hosts, services and jobs over time.",
		LegalBasis: "contract", Retention: "by plan: 30 days, 90 days or as agreed; self-hosted as the operator sets it", Where: "time series store",
		Promises: []string{"COL-8", "RET-3"},
		Fields: []privacy.Field{
			{Name: "labels", Category: privacy.Telemetry, Note: "name of the metric, host, service and whatever else the sender put there"},
			{Name: "samples", Category: privacy.Telemetry, Note: "times and values"},
			{Name: "exemplars", Category: privacy.Telemetry, Note: "trace ids of single requests; the newest thousand, in memory and its log"},
		},
		Count:  m.each(func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) { return m.count(ctx, ws) }),
		Export: m.export,
		Erase:  func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) { return m.erase(ctx, ws) },
	}
	if host := a.seriesHost(); host != "" {
		c.Where, c.Processor, c.Retention = "time series cluster", host, "as the operator has set the cluster"
		c.Promises = []string{"COL-8"} // the cluster's own limit is not ours to enforce
		return []privacy.Collection{c}
	}
	c.Oldest, c.MaxAge = m.oldest, a.metricsAge()
	c.Sweep = func(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
		return m.each(func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
			return a.series.Sweep(ctx, ws, before)
		})(ctx, ws)
	}
	return []privacy.Collection{c}
}

// each makes a count of one workspace one of all when it is asked for an empty one.
func (m seriesModule) each(f func(context.Context, kernel.WorkspaceID) (int64, error)) func(context.Context, kernel.WorkspaceID) (int64, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (sum int64, err error) {
		all := []kernel.WorkspaceID{ws}
		if ws == "" {
			if all, err = m.app.series.Workspaces(ctx); err != nil {
				return 0, err
			}
		}
		for _, ws := range all {
			n, err := f(ctx, ws)
			if sum += n; err != nil {
				return sum, err
			}
		}
		return sum, nil
	}
}

// count counts series, because nobody counts samples.
func (m seriesModule) count(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	st, err := m.app.series.Stats(ctx, ws, 0)
	if st.Series == 0 && st.Samples > 0 {
		return 1, err
	}
	return st.Series, err
}

func (m seriesModule) oldest(ctx context.Context, ws kernel.WorkspaceID) (first time.Time, err error) {
	_, err = m.each(func(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
		at, err := m.app.series.Oldest(ctx, ws)
		if err == nil && !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
		return 0, err
	})(ctx, ws)
	return first, err
}

// erase removes a workspace's series and tells how many were active.
func (m seriesModule) erase(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	n, err := m.count(ctx, ws)
	if err != nil {
		a := m.app
		a.logger.Warn("series are erased uncounted", "workspace", ws, "err", err)
	}
	return n, m.app.series.Erase(ctx, ws)
}

// exportedSeries is a piece of a series in an export.
type exportedSeries struct {
	Labels  map[string]string `json:"labels"`
	Samples [][2]any          `json:"samples"` // time in milliseconds, and the value as text: it may be NaN
}

const samplesPerItem = 5000

func (m seriesModule) export(ctx context.Context, ws kernel.WorkspaceID, item func(v any) error) error {
	var piece exportedSeries
	var last labels.Labels
	flush := func() error {
		if len(piece.Samples) == 0 {
			return nil
		}
		defer func() { piece.Samples = nil }()
		return item(piece)
	}
	err := series.Each(ctx, m.app.series.For(ws), time.Unix(0, 0), m.app.clock().Add(time.Hour), func(ls labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) error {
		if len(piece.Samples) >= samplesPerItem || !labels.Equal(ls, last) {
			if err := flush(); err != nil {
				return err
			}
			last, piece.Labels = ls, ls.Map()
		}
		piece.Samples = append(piece.Samples, exportedSample(it, kind))
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func exportedSample(it chunkenc.Iterator, kind chunkenc.ValueType) [2]any {
	switch kind {
	case chunkenc.ValHistogram:
		t, h := it.AtHistogram(nil)
		return [2]any{t, h.String()}
	case chunkenc.ValFloatHistogram:
		t, h := it.AtFloatHistogram(nil)
		return [2]any{t, h.String()}
	default:
		t, v := it.At()
		return [2]any{t, strconv.FormatFloat(v, 'g', -1, 64)}
	}
}
