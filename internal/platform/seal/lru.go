package seal

import (
	"container/list"
	"time"
)

// lru keeps the boxes that were used last, each for a limited time. Its owner locks it.
type lru struct {
	max      int
	life     time.Duration
	now      func() time.Time
	order    *list.List // of *cacheEntry; the front was used last
	byID     map[string]*list.Element
	removals uint64
}

type cacheEntry struct {
	id    string
	box   *Box
	until time.Time
}

func newLRU(max int, life time.Duration, now func() time.Time) *lru {
	return &lru{max: max, life: life, now: now, order: list.New(), byID: map[string]*list.Element{}}
}

func (c *lru) get(id string) *Box {
	e, ok := c.byID[id]
	if !ok {
		return nil
	}
	entry := e.Value.(*cacheEntry)
	if !c.now().Before(entry.until) {
		c.drop(e)
		return nil
	}
	c.order.MoveToFront(e)
	return entry.box
}

func (c *lru) put(id string, box *Box) {
	if e, ok := c.byID[id]; ok {
		c.drop(e)
	}
	c.byID[id] = c.order.PushFront(&cacheEntry{id: id, box: box, until: c.now().Add(c.life)})
	if c.order.Len() > c.max {
		c.drop(c.order.Back())
	}
}

// remove drops id and counts it, so that a box read before is not put afterwards.
func (c *lru) remove(id string) {
	c.removals++
	if e, ok := c.byID[id]; ok {
		c.drop(e)
	}
}

func (c *lru) drop(e *list.Element) {
	c.order.Remove(e)
	delete(c.byID, e.Value.(*cacheEntry).id)
}
