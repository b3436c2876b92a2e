package query

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// Bounds of the cache of results.
const (
	cacheBudget = 64 << 20 // bytes
	cacheEntry  = 8 << 20  // of one entry
	cacheMaxAge = 15 * time.Minute
)

// changeWatcher is a store that knows which results may have changed since they were computed; see series.Watched.
type changeWatcher interface {
	Now(ws kernel.WorkspaceID) uint64
	Since(ws kernel.WorkspaceID, state uint64) int64
}

// resultCache keeps what range queries found, by workspace, expression and the moments that the steps fall on. A value at
// a moment depends on samples up to that moment and on none after it (see divisible), so a result stays right up to the
// oldest sample that was written since: whatever is older is answered from here, the rest is evaluated.
type resultCache struct {
	watch   changeWatcher // nil: nothing is cached
	clock   kernel.Clock
	entries *kernel.Cache[cacheKey, *extent]

	mu       sync.Mutex
	underway map[spanKey]chan struct{} // closed when what is evaluated now has been

	cached, evaluated atomic.Int64 // steps
}

type cacheKey struct {
	ws       kernel.WorkspaceID
	expr     string
	step     int64 // milliseconds, as all that follows
	phase    int64 // of the steps: their remainder by step
	lookback int64
}

// spanKey is a span of steps of a question.
type spanKey struct {
	cacheKey
	from, to int64
}

// extent is a result for the steps from, from+step, … to.
type extent struct {
	from, to int64
	state    uint64 // of the store before the oldest part of it was evaluated
	made     time.Time
	matrix   promql.Matrix
}

func newResultCache(store series.Store, clock kernel.Clock) *resultCache {
	watch, _ := store.(changeWatcher)
	return &resultCache{watch: watch, clock: clock, entries: kernel.NewCache[cacheKey, *extent](cacheBudget), underway: map[spanKey]chan struct{}{}}
}

func (c *resultCache) on() bool { return c.watch != nil }

func (c *resultCache) forget(ws kernel.WorkspaceID) {
	c.entries.DeleteFunc(func(k cacheKey) bool { return k.ws == ws })
}

// begin waits as long as somebody else evaluates the same, who leaves it in the cache if all goes well: a dashboard that
// many look at is asked for by all of them at once. The caller calls done when it has its answer.
func (c *resultCache) begin(ctx context.Context, key spanKey) (done func()) {
	c.mu.Lock()
	other := c.underway[key]
	if other == nil {
		mine := make(chan struct{})
		c.underway[key] = mine
		c.mu.Unlock()
		return func() {
			c.mu.Lock()
			delete(c.underway, key)
			c.mu.Unlock()
			close(mine)
		}
	}
	c.mu.Unlock()
	select {
	case <-other:
	case <-ctx.Done():
	}
	return func() {}
}

// answer takes what the cache has and evaluates the rest: what lies before, and what lies after.
func (c *resultCache) answer(ctx context.Context, ws kernel.WorkspaceID, expr parser.Expr, q Question, eval func(Span) (Answer, error)) (Answer, error) {
	if q.Span.Step%time.Millisecond != 0 {
		return eval(q.Span)
	}
	step, from := q.Span.Step.Milliseconds(), q.Span.From.UnixMilli()
	to := from + (q.Span.To.UnixMilli()-from)/step*step
	key := cacheKey{ws, expr.String(), step, modulo(from, step), q.Lookback.Milliseconds()}
	defer c.begin(ctx, spanKey{key, from, to})()
	now := &extent{from: from, to: to, state: c.watch.Now(ws), made: c.clock()} // before anything is read
	have := c.usable(key, now, step)
	c.count(now, have, step)
	if have == nil {
		a, ok, err := silent(eval(q.Span))
		if ok {
			now.matrix = a.Value.(promql.Matrix)
			c.keep(key, now)
		}
		return a, err
	}
	parts := []promql.Matrix{have.matrix}
	for _, gap := range [...][2]int64{{from, have.from - step}, {have.to + step, to}} {
		if gap[0] > gap[1] {
			continue
		}
		a, ok, err := silent(eval(Span{time.UnixMilli(gap[0]), time.UnixMilli(gap[1]), q.Span.Step}))
		if err != nil {
			return a, err
		}
		if !ok {
			return eval(q.Span)
		}
		parts = append(parts, a.Value.(promql.Matrix))
	}
	now.from, now.to = min(from, have.from), max(to, have.to)
	now.made, now.matrix = have.made, joined(parts)
	found := clipped(now.matrix, from, to)
	if now.to-now.from > 2*(to-from) { // of a window that moves on, what it has left behind
		now.from, now.to, now.matrix = from, to, found
	}
	c.keep(key, now)
	return Answer{Result: Result{Value: found}}, nil
}

// count counts how many steps of a span are known and how many are not.
func (c *resultCache) count(want, have *extent, step int64) {
	known := int64(0)
	if have != nil {
		known = max(0, (min(want.to, have.to)-max(want.from, have.from))/step+1)
	}
	c.cached.Add(known)
	c.evaluated.Add((want.to-want.from)/step + 1 - known)
}

// usable is what is cached, as far as it is as right as it was and touches the span that is asked for.
func (c *resultCache) usable(key cacheKey, want *extent, step int64) *extent {
	e, ok := c.entries.Get(key)
	if !ok || want.made.Sub(e.made) > cacheMaxAge || want.made.Before(e.made) {
		return nil
	}
	have := *e
	if changed := c.watch.Since(key.ws, e.state); changed != math.MaxInt64 {
		if changed <= have.from {
			return nil
		}
		last := have.from + (changed-1-have.from)/step*step // the last step before the change
		have.to = min(have.to, last)
		have.matrix = clipped(have.matrix, have.from, have.to)
	}
	if have.to < have.from || have.from > want.to+step || have.to < want.from-step {
		return nil
	}
	return &have
}

// keep stores an extent if it is not too large.
func (c *resultCache) keep(key cacheKey, e *extent) {
	cost := int64(len(key.expr) + 256)
	for i := range e.matrix {
		s := &e.matrix[i]
		cost += 128 + int64(s.Metric.ByteSize()) + 16*int64(cap(s.Floats)) + 16*int64(cap(s.Histograms))
		for _, h := range s.Histograms {
			cost += int64(h.H.Size()) * 8
		}
	}
	if cost <= cacheEntry {
		c.entries.Put(key, e, cost)
	}
}

// clipped is the part of a matrix within a span. It shares its points.
func clipped(m promql.Matrix, from, to int64) promql.Matrix {
	out := make(promql.Matrix, 0, len(m))
	for _, s := range m {
		floats, histograms := within(s.Floats, from, to, timeOfF), within(s.Histograms, from, to, timeOfH)
		if len(floats)+len(histograms) > 0 {
			out = append(out, promql.Series{Metric: s.Metric, Floats: floats, Histograms: histograms})
		}
	}
	return out
}

func timeOfF(p promql.FPoint) int64 { return p.T }
func timeOfH(p promql.HPoint) int64 { return p.T }

// within is the part of sorted points in a span.
func within[P any](points []P, from, to int64, at func(P) int64) []P {
	byTime := func(p P, t int64) int { return cmp.Compare(at(p), t) }
	first, _ := slices.BinarySearchFunc(points, from, byTime)
	end, _ := slices.BinarySearchFunc(points, to+1, byTime)
	if first >= end {
		return nil
	}
	return points[first:end:end]
}
