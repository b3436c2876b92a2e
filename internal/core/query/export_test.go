package query

import (
	"context"

	"github.com/kept-dev/kept/internal/kernel"
)

// Cached is how many steps came from the cache, and how many did not.
func (m *Module) Cached() (cached, evaluated int64) {
	return m.cache.cached.Load(), m.cache.evaluated.Load()
}

// SetParts says into how many parts a long span is divided while nobody else asks.
func (m *Module) SetParts(n int) { m.spare = make(chan struct{}, n-1) }

// ForgetAnswers empties the cache.
func (m *Module) ForgetAnswers() { m.cache.entries.DeleteFunc(func(cacheKey) bool { return true }) }

// Flush writes which metrics were asked for.
func (m *Module) Flush(ctx context.Context) error { return m.asked.flush(ctx) }

// Gate is the queue of queries.
type Gate struct{ *gate }

// NewGate makes one for so many at once.
func NewGate(most int) Gate {
	return Gate{&gate{most: most, queues: map[kernel.WorkspaceID]*wsQueue{}}}
}

// Enter waits for a place.
func (g Gate) Enter(ctx context.Context, ws kernel.WorkspaceID, most int) (func(), error) {
	return g.enter(ctx, ws, most)
}

// Load is how many run and wait.
func (g Gate) Load() (running, waiting int) { return g.load() }

// Known is how many workspaces the gate remembers.
func (g Gate) Known() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queues) + len(g.turn)
}

// PromVersion is what clients are told.
const PromVersion = promVersion

// ResultCache is the cache of results.
type ResultCache struct{ *resultCache }

// NewResultCache makes one without a store.
func NewResultCache() ResultCache { return ResultCache{newResultCache(nil, nil)} }

// Begin begins to evaluate an expression.
func (c ResultCache) Begin(ctx context.Context, expr string) (done func()) {
	return c.begin(ctx, spanKey{cacheKey: cacheKey{expr: expr}})
}
