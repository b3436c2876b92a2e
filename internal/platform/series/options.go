package series

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"
)

const (
	never = math.MinInt64 // before all times

	smallestBlock = 2 * time.Hour
	largestBlock  = 31 * 24 * time.Hour

	// exemplars are kept in a ring that is allocated when the database is opened, 64 bytes each.
	exemplars = 1024
)

// options are those of one workspace's database. The first three make a database small while it holds little, which most
// do: an empty one takes a tenth of what the defaults take. ADR 0007 has the figures.
func (t *tenant) options(age time.Duration) *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.StripeSize = 64
	o.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	o.WALSegmentSize = t.s.cfg.segment
	o.WALCompression = compression.Snappy
	o.WALReplayConcurrency = cap(t.s.compact) // for databases are opened side by side
	o.RetentionDuration = 0                   // see BlocksToDelete
	o.MaxBlockDuration = blockFor(age).Milliseconds()
	o.OutOfOrderTimeWindow = t.s.cfg.OutOfOrder.Milliseconds()
	o.FloatChunkEncoding = chunkenc.EncXOR2
	o.EnableHistogramSTEncoding = true
	o.EnableExemplarStorage = true
	o.MaxExemplars = exemplars
	o.EnableDelayedCompaction = !t.s.cfg.undelayed
	o.EnableMemorySnapshotOnShutdown = true
	o.SeriesLifecycleCallback = limiter{t}
	o.BlocksToDelete = t.blocksToDelete
	o.NewCompactorFunc = t.s.newCompactor
	o.BlockQuerierFunc = queryBlock
	return o
}

// blockFor is how long a block may grow: a tenth of what is kept, because whole blocks are removed.
func blockFor(age time.Duration) time.Duration {
	if age <= 0 {
		return largestBlock
	}
	return min(max(age/10, smallestBlock), largestBlock)
}

// blocksToDelete chooses what goes when blocks are looked through: what was merged into others, and what Sweep wants gone.
func (t *tenant) blocksToDelete(blocks []*tsdb.Block) map[ulid.ULID]struct{} {
	before, out := t.before.Load(), map[ulid.ULID]struct{}{}
	for _, b := range blocks {
		meta := b.Meta()
		if meta.MaxTime <= before {
			t.swept.Add(1)
		}
		if meta.Compaction.Deletable || meta.MaxTime <= before {
			out[meta.ULID] = struct{}{}
		}
	}
	return out
}

// limiter refuses series beyond the workspace's limit.
type limiter struct{ t *tenant }

func (l limiter) PreCreation(labels.Labels) error {
	head, limit := l.t.head.Load(), l.t.limit.Load()
	if head == nil || limit <= 0 || int64(head.NumSeries()) < limit {
		return nil
	}
	l.t.refused.Add(1)
	return ErrSeriesLimit
}

func (limiter) PostCreation(labels.Labels)                          {}
func (limiter) PostDeletion(map[chunks.HeadSeriesRef]labels.Labels) {}

// compactor takes turns with those of other workspaces: head blocks fall due at the same hours for all.
type compactor struct {
	tsdb.Compactor
	ctx   context.Context
	slots chan struct{}
}

func (s *TSDB) newCompactor(ctx context.Context, r prometheus.Registerer, l *slog.Logger, ranges []int64, pool chunkenc.Pool, o *tsdb.Options) (tsdb.Compactor, error) {
	inner, err := tsdb.NewLeveledCompactorWithOptions(ctx, r, l, ranges, pool, tsdb.LeveledCompactorOptions{
		MaxBlockChunkSegmentSize: o.MaxBlockChunkSegmentSize, EnableOverlappingCompaction: true, PD: o.PostingsDecoderFactory,
		FloatChunkEncoding: func() chunkenc.Encoding { return o.FloatChunkEncoding },
	})
	if err != nil {
		return nil, err
	}
	return compactor{inner, ctx, s.compact}, nil
}

func (c compactor) Write(dest string, b tsdb.BlockReader, mint, maxt int64, base *tsdb.BlockMeta) ([]ulid.ULID, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	return c.Compactor.Write(dest, leanBlock{b}, mint, maxt, base)
}

func (c compactor) Compact(dest string, dirs []string, open []*tsdb.Block) ([]ulid.ULID, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	return c.Compactor.Compact(dest, dirs, open)
}

func (c compactor) enter() error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

func (c compactor) leave() { <-c.slots }

// warnings is a logger that leaves out what databases tell whenever they open, compact and close.
func warnings(l *slog.Logger) *slog.Logger { return slog.New(quiet{l.Handler()}) }

type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
