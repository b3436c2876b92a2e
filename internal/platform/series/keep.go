package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/index"

	"github.com/kept-dev/kept/internal/kernel"
)

// look runs f with a workspace's database, which is closed again if nobody else uses it. An absent one is no error and f
// is not run.
func (s *TSDB) look(ctx context.Context, ws kernel.WorkspaceID, f func(t *tenant) error) error {
	t, err := s.acquire(ctx, ws, toKeep)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.release(t)
	return f(t)
}

// Stats implements Store.
func (s *TSDB) Stats(ctx context.Context, ws kernel.WorkspaceID, limit int) (out Stats, err error) {
	if out.Limit, err = s.cfg.MaxSeries(ctx, ws); err != nil {
		return out, fmt.Errorf("series: %w", err)
	}
	err = s.look(ctx, ws, func(t *tenant) error {
		head := t.db.Head()
		p := head.PostingsCardinalityStats(model.MetricNameLabel, max(limit, 1))
		out.Series, out.Refused, out.Bytes = int64(head.NumSeries()), t.refused.Load(), head.Size()
		out.ByMetric, out.ByLabel, out.ByPair = counts(p.CardinalityMetricsStats, limit), counts(p.CardinalityLabelStats, limit), counts(p.LabelValuePairsStats, limit)
		for _, b := range t.db.Blocks() {
			stats := b.Meta().Stats
			out.Samples += int64(stats.NumSamples)
			out.Chunks += int64(stats.NumChunks)
			out.Bytes += b.Size()
		}
		mint, maxt := span(t.db)
		out.MinTime, out.MaxTime = moment(mint), moment(maxt)
		return nil
	})
	return out, err
}

func counts(in []index.Stat, limit int) (out []Count) {
	for _, c := range in[:min(len(in), max(limit, 0))] {
		out = append(out, Count{Name: c.Name, Count: int64(c.Count)})
	}
	return out
}

// span is from when to when a database has samples, in milliseconds. Without any the first is after the second.
func span(db *tsdb.DB) (mint, maxt int64) {
	mint, maxt = math.MaxInt64, math.MinInt64
	if head := db.Head(); head.NumSeries() > 0 { // else it remembers where it was cut
		mint, maxt = min(head.MinTime(), head.MinOOOTime()), max(head.MaxTime(), head.MaxOOOTime())
	}
	for _, b := range db.Blocks() {
		mint, maxt = min(mint, b.MinTime()), max(maxt, b.MaxTime()-1)
	}
	return mint, maxt
}

func moment(ms int64) time.Time {
	if ms == math.MinInt64 || ms == math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Oldest implements Store.
func (s *TSDB) Oldest(ctx context.Context, ws kernel.WorkspaceID) (at time.Time, err error) {
	err = s.look(ctx, ws, func(t *tenant) error {
		oldest := int64(math.MaxInt64)
		if head := t.db.Head(); head.NumSeries() > 0 {
			oldest = min(head.MinTime(), head.MinOOOTime())
		}
		for _, b := range t.db.Blocks() {
			if b.MinTime() >= oldest {
				continue
			}
			first, err := firstSample(ctx, b)
			if err != nil {
				return fmt.Errorf("series: %w", err)
			}
			oldest = min(oldest, first)
		}
		at = moment(oldest)
		return nil
	})
	return at, err
}

// Sweep implements Store. Blocks that are wholly older are removed; the one that the time falls into is written anew
// without what is older.
func (s *TSDB) Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (n int64, err error) {
	err = s.look(ctx, ws, func(t *tenant) error {
		if mint, _ := span(t.db); mint >= before.UnixMilli() {
			return nil
		}
		if err := s.writeHead(ctx, t, before.UnixMilli()); err != nil {
			return err
		}
		had := t.swept.Load()
		t.before.Store(before.UnixMilli())
		defer t.before.Store(never)
		// This writes what came out of order to blocks, and then looks through all of them.
		if err := t.db.CompactOOOHead(ctx); err != nil {
			return fmt.Errorf("series: sweep: %w", err)
		}
		cut, err := cutBlocks(ctx, t.db, before.UnixMilli())
		n = t.swept.Load() - had + cut
		return err
	})
	return n, err
}

// cutBlocks removes what is older than a time from the blocks that it falls into. It returns how many there were.
func cutBlocks(ctx context.Context, db *tsdb.DB, before int64) (n int64, err error) {
	for _, b := range db.Blocks() {
		if b.MinTime() >= before {
			continue
		}
		first, err := firstSample(ctx, b)
		if err != nil {
			return 0, fmt.Errorf("series: sweep: %w", err)
		}
		if first < before {
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	all := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*")
	if err := db.Delete(ctx, never, before-1, all); err != nil {
		return 0, fmt.Errorf("series: sweep: %w", err)
	}
	if err := db.CleanTombstones(); err != nil {
		return 0, fmt.Errorf("series: sweep: %w", err)
	}
	return n, nil
}

// firstSample is the time of a block's oldest sample. The block itself may be said to begin earlier.
func firstSample(ctx context.Context, b *tsdb.Block) (first int64, err error) {
	ix, err := b.Index()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, ix.Close()) }()
	name, value := index.AllPostingsKey()
	p, err := ix.Postings(ctx, name, value)
	if err != nil {
		return 0, err
	}
	first = math.MaxInt64
	var ls labels.ScratchBuilder
	var metas []chunks.Meta
	for p.Next() {
		if err := ix.Series(p.At(), &ls, &metas); err != nil {
			return 0, err
		}
		if len(metas) > 0 {
			first = min(first, metas[0].MinTime)
		}
	}
	return first, p.Err()
}

// writeHead writes what is in memory and begins before a time to blocks. Of a workspace that sends no more nothing else
// would ever move it to where it can be removed.
func (s *TSDB) writeHead(ctx context.Context, t *tenant, before int64) error {
	head, width := t.db.Head(), smallestBlock.Milliseconds()
	for mint := head.MinTime(); mint < before && head.NumSeries() > 0; mint = max(head.MinTime(), floor(mint, width)+width) {
		end := floor(mint, width) + width
		if end > head.MaxTime()-width/2 { // somebody may still append before end, in order
			return s.writeWholeHead(ctx, t)
		}
		head.WaitForAppendersOverlapping(end - 1)
		if err := t.db.CompactHead(tsdb.NewRangeHead(head, mint, end-1)); err != nil {
			return fmt.Errorf("series: sweep: %w", err)
		}
	}
	return nil
}

// writeWholeHead empties the memory of a workspace that nobody uses at the moment. If somebody does, it is not that idle,
// and the next sweep will see.
func (s *TSDB) writeWholeHead(ctx context.Context, t *tenant) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if s.lock(ctx, t, 1) != nil {
		return nil
	}
	defer func() {
		s.mu.Lock()
		s.unlock(t)
		s.mu.Unlock()
	}()
	// The head's own last time moves on with the first when it is empty, so it is asked for once.
	head, width := t.db.Head(), smallestBlock.Milliseconds()
	maxt := head.MaxTime()
	for mint := head.MinTime(); mint <= maxt; mint = max(head.MinTime(), floor(mint, width)+width) {
		end := min(maxt, floor(mint, width)+width-1)
		if err := t.db.CompactHead(tsdb.NewRangeHead(head, mint, end)); err != nil {
			return fmt.Errorf("series: sweep: %w", err)
		}
	}
	return nil
}

func floor(t, width int64) int64 { return t - ((t%width)+width)%width }

// Erase implements Store. It waits for those who use the database; whoever comes meanwhile gets ErrErasing. The database
// is not opened for it, so a damaged one can be erased too.
func (s *TSDB) Erase(ctx context.Context, ws kernel.WorkspaceID) error {
	s.mu.Lock()
	t, err := s.tenant(ws)
	switch {
	case err != nil:
	case s.closed:
		err = ErrClosed
	case t.erasing:
		err = ErrErasing
	default:
		t.erasing = true
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err = s.lock(ctx, t, 0); err == nil {
		err = s.erase(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.erasing = false
	s.notify(t)
	return err
}

// erase removes the directory of a locked tenant and unlocks it. The directory gets a name that no workspace has first,
// so that after a crash none is found half.
func (s *TSDB) erase(t *tenant) error {
	err := s.closeKeepingLock(t)
	gone := filepath.Join(s.cfg.Dir, erased+string(t.ws)+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	switch moved := fileutil.Rename(t.dir, gone); {
	case moved == nil:
		err = errors.Join(err, os.RemoveAll(gone))
	case !errors.Is(moved, os.ErrNotExist):
		err = errors.Join(err, moved)
	}
	t.refused.Store(0)
	s.mu.Lock()
	s.unlock(t)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("series: erase: %w", err)
	}
	return nil
}

// Snapshot implements Store. It holds all that was committed before; exemplars are not in it.
func (s *TSDB) Snapshot(ctx context.Context, ws kernel.WorkspaceID, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("series: snapshot: %w", err)
	}
	return s.look(ctx, ws, func(t *tenant) error {
		// A snapshot leaves out what came out of order and is in memory yet.
		if err := t.db.CompactOOOHead(ctx); err != nil {
			return fmt.Errorf("series: snapshot: %w", err)
		}
		head := t.db.Head()
		if err := t.db.Snapshot(dir, head.MinTime() <= head.MaxTime()); err != nil {
			return fmt.Errorf("series: snapshot: %w", err)
		}
		return nil
	})
}

// counters are what the store counts of itself.
type counters struct{ opened, closed, failed atomic.Int64 }

// Metrics are the store's own, for the operator.
func (s *TSDB) Metrics() []prometheus.Collector {
	counter := func(name, help string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n.Load()) })
	}
	return []prometheus.Collector{
		counter("kept_series_databases_opened_total", "Databases of time series that were opened.", &s.counters.opened),
		counter("kept_series_databases_closed_total", "Databases of time series that were closed.", &s.counters.closed),
		counter("kept_series_databases_failed_total", "Databases of time series that could not be opened.", &s.counters.failed),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kept_series_active", Help: "Active series in open databases."}, s.active),
	}
}

// active is how many series the open databases have.
func (s *TSDB) active() (n float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if head := t.head.Load(); head != nil {
			n += float64(head.NumSeries())
		}
	}
	return n
}
