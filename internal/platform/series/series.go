// Package series keeps time series: float samples, histograms, exemplars and metadata, one set per workspace that no
// query can leave. Two adapters pass seriestest.Run: TSDB, an embedded Prometheus database with a directory per
// workspace, and Remote, a cluster that speaks remote write and the Prometheus query API.
//
// The types are those of Prometheus, whose engine reads and whose handlers write them; nothing above this package opens a
// Prometheus database. Timestamps are milliseconds since 1970.
package series

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
)

// What a store says no with.
var (
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("series: closed")
	// ErrErasing says that a workspace's series are being erased. What comes after that starts anew.
	ErrErasing = errors.New("series: being erased")
	// ErrSeriesLimit refuses a sample of a series that would be one too many; those of known series are taken. It wraps
	// storage.ErrOutOfBounds, so that who writes by remote write is told that this one will never be taken.
	ErrSeriesLimit error = seriesLimit{}
)

type seriesLimit struct{}

func (seriesLimit) Error() string { return "series: the workspace has as many active series as it may" }
func (seriesLimit) Unwrap() error { return storage.ErrOutOfBounds }

// Store keeps the series of all workspaces. It is safe for concurrent use.
type Store interface {
	// For is the storage of one workspace. It costs nothing: what must be opened is opened when it is first used, and
	// errors come from the first Querier or Append.
	For(ws kernel.WorkspaceID) Storage
	// Workspaces lists those that have series.
	Workspaces(ctx context.Context) ([]kernel.WorkspaceID, error)
	// Stats describes what a workspace holds, for limits and for the page about usage. limit bounds each list.
	Stats(ctx context.Context, ws kernel.WorkspaceID, limit int) (Stats, error)
	// Oldest is the time of the oldest sample; zero without one.
	Oldest(ctx context.Context, ws kernel.WorkspaceID) (time.Time, error)
	// Sweep deletes samples from before a time. It returns how many blocks of them went or were cut. A Remote leaves it to
	// the cluster.
	Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error)
	// Erase removes everything of a workspace; afterwards it is as if it never had been.
	Erase(ctx context.Context, ws kernel.WorkspaceID) error
	// Snapshot writes a consistent copy into dir, which a TSDB can open.
	Snapshot(ctx context.Context, ws kernel.WorkspaceID, dir string) error
	// Close writes what is in memory to disk. Whoever still appends gets ErrClosed.
	Close() error
}

// Storage is one workspace's series.
type Storage interface {
	storage.Queryable
	storage.ChunkQueryable
	storage.ExemplarQueryable
	storage.Appendable
	storage.AppendableV2
}

// Stats is what a workspace holds now.
type Stats struct {
	Series   int64 // active: with a sample in the last two or three hours
	Limit    int64 // of active series; 0: none
	Refused  int64 // samples that the limit has refused since the process began
	Chunks   int64 // on disk
	Samples  int64 // in blocks; what came in the last hours is not counted yet
	Bytes    int64 // on disk
	MinTime  time.Time
	MaxTime  time.Time
	ByMetric []Count // the metric names with most series
	ByLabel  []Count // the label names with most values
	ByPair   []Count // the label=value pairs with most series
}

// Count is one row of Stats.
type Count struct {
	Name  string
	Count int64
}
