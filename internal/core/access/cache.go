package access

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// cache remembers values for a short while. It is bounded without keeping an order: when the young generation is full it
// becomes the old one, and what was the old one is let go.
type cache[K comparable, V any] struct {
	size int
	life time.Duration

	mu         sync.RWMutex
	young, old map[K]*item[V]
	forgotten  uint64 // how often something was forgotten
}

type item[V any] struct {
	value   V
	until   time.Time
	touched atomic.Int64 // Unix seconds of the last use that was noted
}

func newCache[K comparable, V any](size int, life time.Duration) *cache[K, V] {
	return &cache[K, V]{size: size, life: life, young: map[K]*item[V]{}}
}

// get returns what is remembered, or nil.
func (c *cache[K, V]) get(k K, now time.Time) *item[V] {
	c.mu.RLock()
	it := c.young[k]
	if it == nil {
		it = c.old[k]
	}
	c.mu.RUnlock()
	if it == nil || !now.Before(it.until) {
		return nil
	}
	return it
}

// load returns what is remembered, or reads it. What was forgotten while it was read is returned but not remembered:
// the row may be older than the change that made everybody forget.
func (c *cache[K, V]) load(k K, now time.Time, read func() (V, error)) (*item[V], error) {
	if it := c.get(k, now); it != nil {
		return it, nil
	}
	c.mu.RLock()
	before := c.forgotten
	c.mu.RUnlock()
	v, err := read()
	if err != nil {
		return nil, err
	}
	it := &item[V]{value: v, until: now.Add(c.life)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten != before {
		return it, nil
	}
	if len(c.young) >= c.size {
		c.old, c.young = c.young, map[K]*item[V]{}
	}
	if prior := c.find(k); prior != nil {
		it.touched.Store(prior.touched.Load())
	}
	c.young[k] = it
	return it, nil
}

// find finds an item whatever its age. The caller holds the lock.
func (c *cache[K, V]) find(k K) *item[V] {
	if it := c.young[k]; it != nil {
		return it
	}
	return c.old[k]
}

// forget removes what matches, before it returns.
func (c *cache[K, V]) forget(match func(K, V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	for _, generation := range []map[K]*item[V]{c.young, c.old} {
		maps.DeleteFunc(generation, func(k K, it *item[V]) bool { return match(k, it.value) })
	}
}
