package series

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
)

// Watched is a Store that knows since when what was read of it may be different now: caches of results ask it. It sees
// what is written through itself, so it is for a store that nobody else writes to.
type Watched struct {
	Store
	mu      sync.Mutex
	changes map[kernel.WorkspaceID]*changes
}

// Watch watches a store.
func Watch(s Store) *Watched { return &Watched{Store: s, changes: map[kernel.WorkspaceID]*changes{}} }

// maxChanges is how many changes are told apart; older ones are joined.
const maxChanges = 256

// changes are the writes to a workspace: for each the oldest timestamp in it. Only those are kept that have no later one
// with an older timestamp, so both numbers grow from one to the next.
type changes struct {
	mu   sync.Mutex
	now  uint64
	list []change
}

type change struct {
	number uint64
	oldest int64
}

func (w *Watched) of(ws kernel.WorkspaceID) *changes {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes[ws]
	if c == nil {
		c = &changes{}
		w.changes[ws] = c
	}
	return c
}

// Now is the state of a workspace, to be taken before it is read.
func (w *Watched) Now(ws kernel.WorkspaceID) uint64 {
	c := w.of(ws)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Since is the oldest timestamp, milliseconds, that was written after a state; math.MaxInt64 when nothing was.
func (w *Watched) Since(ws kernel.WorkspaceID, state uint64) int64 {
	c := w.of(ws)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.list {
		if e.number > state {
			return e.oldest
		}
	}
	return math.MaxInt64
}

func (c *changes) add(oldest int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	for n := len(c.list); n > 0 && c.list[n-1].oldest >= oldest; n-- {
		c.list = c.list[:n-1]
	}
	if c.list = append(c.list, change{c.now, oldest}); len(c.list) <= maxChanges {
		return
	}
	kept := c.list[:0]
	for i := 0; i+1 < len(c.list); i += 2 { // a pair becomes one: as new as its second, as far back as its first
		kept = append(kept, change{c.list[i+1].number, c.list[i].oldest})
	}
	if len(c.list)%2 == 1 {
		kept = append(kept, c.list[len(c.list)-1])
	}
	c.list = kept
}

// everything says that nothing is as it was.
func (w *Watched) everything(ws kernel.WorkspaceID) { w.of(ws).add(math.MinInt64) }

// Sweep implements Store.
func (w *Watched) Sweep(ctx context.Context, ws kernel.WorkspaceID, before time.Time) (int64, error) {
	n, err := w.Store.Sweep(ctx, ws, before)
	if n > 0 || err != nil {
		w.everything(ws)
	}
	return n, err
}

// Erase implements Store.
func (w *Watched) Erase(ctx context.Context, ws kernel.WorkspaceID) error {
	defer w.everything(ws)
	return w.Store.Erase(ctx, ws)
}

// For implements Store.
func (w *Watched) For(ws kernel.WorkspaceID) Storage { return watchedStorage{w.Store.For(ws), w, ws} }

type watchedStorage struct {
	Storage
	w  *Watched
	ws kernel.WorkspaceID
}

// Appender implements storage.Appendable.
func (s watchedStorage) Appender(ctx context.Context) storage.Appender {
	return &watchedAppender{Appender: s.Storage.Appender(ctx), changes: s.w.of(s.ws), oldest: math.MaxInt64}
}

// AppenderV2 implements storage.AppendableV2.
func (s watchedStorage) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &watchedAppenderV2{AppenderV2: s.Storage.AppenderV2(ctx), changes: s.w.of(s.ws), oldest: math.MaxInt64}
}

// watchedAppender notes the oldest timestamp of what it appends.
type watchedAppender struct {
	storage.Appender
	changes *changes
	oldest  int64
}

// Append implements storage.Appender.
func (a *watchedAppender) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	a.oldest = min(a.oldest, t)
	return a.Appender.Append(ref, l, t, v)
}

// AppendHistogram implements storage.Appender.
func (a *watchedAppender) AppendHistogram(ref storage.SeriesRef, l labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	a.oldest = min(a.oldest, t)
	return a.Appender.AppendHistogram(ref, l, t, h, fh)
}

// AppendSTZeroSample implements storage.Appender.
func (a *watchedAppender) AppendSTZeroSample(ref storage.SeriesRef, l labels.Labels, t, st int64) (storage.SeriesRef, error) {
	a.oldest = min(a.oldest, st)
	return a.Appender.AppendSTZeroSample(ref, l, t, st)
}

// AppendHistogramSTZeroSample implements storage.Appender.
func (a *watchedAppender) AppendHistogramSTZeroSample(ref storage.SeriesRef, l labels.Labels, t, st int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	a.oldest = min(a.oldest, st)
	return a.Appender.AppendHistogramSTZeroSample(ref, l, t, st, h, fh)
}

// Commit implements storage.Appender. The change is noted after it is visible and before the writer knows: whoever reads
// after being told of it does not take an older result for current. A failed commit may have written some.
func (a *watchedAppender) Commit() error {
	err := a.Appender.Commit()
	a.changes.note(a.oldest)
	return err
}

// watchedAppenderV2 does as watchedAppender.
type watchedAppenderV2 struct {
	storage.AppenderV2
	changes *changes
	oldest  int64
}

var (
	_ storage.ExemplarAppenderV2 = (*watchedAppenderV2)(nil)
	_ storage.GetRef             = (*watchedAppenderV2)(nil)
)

// AppendExemplars implements storage.ExemplarAppenderV2. No result that is cached has exemplars.
func (a *watchedAppenderV2) AppendExemplars(ref storage.SeriesRef, ls labels.Labels, e []exemplar.Exemplar) (storage.SeriesRef, error) {
	return a.AppenderV2.(storage.ExemplarAppenderV2).AppendExemplars(ref, ls, e)
}

// GetRef implements storage.GetRef; 0 where the store does not say.
func (a *watchedAppenderV2) GetRef(ls labels.Labels, hash uint64) (storage.SeriesRef, labels.Labels) {
	return refOf(a.AppenderV2, ls, hash)
}

func refOf(a storage.AppenderV2, ls labels.Labels, hash uint64) (storage.SeriesRef, labels.Labels) {
	if g, ok := a.(storage.GetRef); ok {
		return g.GetRef(ls, hash)
	}
	return 0, labels.EmptyLabels()
}

// Append implements storage.AppenderV2.
func (a *watchedAppenderV2) Append(ref storage.SeriesRef, l labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AppendV2Options) (storage.SeriesRef, error) {
	a.oldest = min(a.oldest, t)
	return a.AppenderV2.Append(ref, l, st, t, v, h, fh, opts)
}

// Commit implements storage.AppenderV2.
func (a *watchedAppenderV2) Commit() error {
	err := a.AppenderV2.Commit()
	a.changes.note(a.oldest)
	return err
}

// note adds a change unless nothing was appended.
func (c *changes) note(oldest int64) {
	if oldest != math.MaxInt64 {
		c.add(oldest)
	}
}
