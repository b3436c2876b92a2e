package kernel

import (
	"container/list"
	"sync"
)

// Cache keeps the values that were used last, up to a total cost (bytes, or 1 each). It is safe for concurrent use.
// Values must not be changed once they are in it.
type Cache[K comparable, V any] struct {
	mu     sync.Mutex
	budget int64
	cost   int64
	order  *list.List // of *cached[K, V]; the front was used last
	byKey  map[K]*list.Element
}

type cached[K comparable, V any] struct {
	key   K
	value V
	cost  int64
}

// NewCache makes a cache for values of the given total cost.
func NewCache[K comparable, V any](budget int64) *Cache[K, V] {
	return &Cache[K, V]{budget: budget, order: list.New(), byKey: map[K]*list.Element{}}
}

// Get finds a value and marks it as used.
func (c *Cache[K, V]) Get(key K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached[K, V]).value, true
}

// Put stores a value and drops those that were used longest ago when the budget is spent. A value that costs more than
// the whole budget is not kept.
func (c *Cache[K, V]) Put(key K, v V, cost int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
	if cost > c.budget {
		return
	}
	c.byKey[key] = c.order.PushFront(&cached[K, V]{key, v, cost})
	c.cost += cost
	for c.cost > c.budget {
		c.drop(c.order.Back())
	}
}

// DeleteFunc drops the values whose key matches.
func (c *Cache[K, V]) DeleteFunc(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.byKey {
		if match(key) {
			c.drop(e)
		}
	}
}

func (c *Cache[K, V]) drop(e *list.Element) {
	entry := c.order.Remove(e).(*cached[K, V])
	delete(c.byKey, entry.key)
	c.cost -= entry.cost
}
