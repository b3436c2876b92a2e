package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Tenants is what many workspaces cost.
type Tenants struct {
	Workspaces  int     `json:"workspaces"`
	OpenBytes   float64 `json:"bytes_per_open_workspace"`   // each with ten series
	ClosedBytes float64 `json:"bytes_per_closed_workspace"` // the same, after they were idle
	OpenMillis  float64 `json:"open_ms"`                    // of one, with its first samples
	Restart     float64 `json:"restart_ms"`                 // of the store, until it can be used
	FirstUse    float64 `json:"first_use_after_restart_ms"` // of each workspace, one after the other
}

// storeDay writes a day of a thousand series to a store and copies it, as blocks.
func storeDay(ctx context.Context) (rate, perSample float64, err error) {
	dir, err := os.MkdirTemp("", "kept-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	s, err := series.OpenTSDB(series.Config{Dir: filepath.Join(dir, "series")})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const count, steps = 1000, 24 * 60 * 4
	ws, all, refs := kernel.NewID(time.Now()), make([]labels.Labels, count), make([]storage.SeriesRef, count)
	for i := range all {
		all[i] = labels.FromStrings("__name__", fmt.Sprintf("node_metric_%d", i%60), "instance", "host:9100", "device", fmt.Sprint("d", i/60))
	}
	from, start := time.Now().Truncate(2*time.Hour).Add(-24*time.Hour), time.Now()
	for step := range int64(steps) {
		app := s.For(ws).AppenderV2(ctx)
		at := from.Add(time.Duration(step) * interval).UnixMilli()
		for i := range all {
			if refs[i], err = app.Append(refs[i], all[i], 0, at, nodeValue(i, step), nil, nil, storage.AOptions{}); err != nil {
				return 0, 0, errors.Join(err, app.Rollback())
			}
		}
		if err := app.Commit(); err != nil {
			return 0, 0, err
		}
	}
	took := time.Since(start)
	copied := filepath.Join(dir, "copy")
	if err := s.Snapshot(ctx, ws, copied); err != nil {
		return 0, 0, err
	}
	size, err := dirSize(copied)
	return count * steps / took.Seconds(), float64(size) / (count * steps), err
}

func dirSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// tenants opens many workspaces, leaves them alone until they are closed, and starts again with all of them on disk.
func tenants(ctx context.Context, n int) (out Tenants, err error) {
	dir, err := os.MkdirTemp("", "kept-bench-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	var offset atomic.Int64
	cfg := series.Config{Dir: dir, Clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }}
	s, err := series.OpenTSDB(cfg)
	if err != nil {
		return out, err
	}
	ids, before, start := make([]kernel.WorkspaceID, n), memory(), time.Now()
	for i := range ids {
		ids[i] = kernel.NewID(time.Now())
		if err := appendTen(ctx, s, ids[i], time.Now()); err != nil {
			return out, errors.Join(err, s.Close())
		}
	}
	out.Workspaces, out.OpenMillis = n, millis(time.Since(start), n)
	out.OpenBytes = float64(memory()-before) / float64(n)
	offset.Store(int64(24 * time.Hour))
	if closed := s.CloseIdle(); closed != n {
		return out, errors.Join(fmt.Errorf("%d of %d workspaces were closed", closed, n), s.Close())
	}
	out.ClosedBytes = float64(memory()-before) / float64(n)
	if err := s.Close(); err != nil {
		return out, err
	}
	start = time.Now()
	if s, err = series.OpenTSDB(cfg); err != nil {
		return out, err
	}
	out.Restart = millis(time.Since(start), 1)
	start = time.Now()
	for _, ws := range ids {
		if err := appendTen(ctx, s, ws, time.Now()); err != nil {
			return out, errors.Join(err, s.Close())
		}
	}
	out.FirstUse = millis(time.Since(start), n)
	return out, s.Close()
}

func millis(d time.Duration, n int) float64 { return float64(d.Microseconds()) / 1000 / float64(n) }

func memory() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	return rss()
}

func appendTen(ctx context.Context, s *series.TSDB, ws kernel.WorkspaceID, at time.Time) error {
	app := s.For(ws).AppenderV2(ctx)
	for i := range 10 {
		ls := labels.FromStrings("__name__", "up", "job", fmt.Sprint(i))
		if _, err := app.Append(0, ls, 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{}); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	return app.Commit()
}
