package kernel

import "testing"

func TestCacheDropsWhatWasUsedLongestAgo(t *testing.T) {
	t.Parallel()
	c := NewCache[string, int](3)
	c.Put("a", 1, 1)
	c.Put("b", 2, 1)
	c.Put("c", 3, 1)
	c.Get("a")
	c.Put("d", 4, 1)
	if _, ok := c.Get("b"); ok {
		t.Error("b is still there")
	}
	if v, ok := c.Get("a"); !ok || v != 1 {
		t.Error("a was used last and is gone")
	}
	c.Put("huge", 5, 4)
	if _, ok := c.Get("huge"); ok {
		t.Error("a value over the budget is kept")
	}
	c.DeleteFunc(func(k string) bool { return k == "a" })
	if _, ok := c.Get("a"); ok || c.cost != 2 {
		t.Errorf("a was deleted; cost is %d", c.cost)
	}
}
