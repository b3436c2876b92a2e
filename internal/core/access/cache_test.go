package access

import (
	"errors"
	"sync"
	"testing"
	"time"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](100, time.Minute)
	now := time.Now()
	for i := range 100000 {
		if _, err := c.load(i, now, func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.young) + len(c.old); n > 200 {
		t.Errorf("%d are remembered", n)
	}
	if it := c.get(99999, now); it == nil || it.value != 99999 {
		t.Error("the newest is forgotten")
	}
}

func TestCacheEndsAndForgets(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](100, time.Minute)
	now := time.Now()
	load := func(v int) int {
		t.Helper()
		it, err := c.load(1, now, func() (int, error) { return v, nil })
		if err != nil {
			t.Fatal(err)
		}
		return it.value
	}
	if load(1) != 1 || load(2) != 1 {
		t.Error("not remembered")
	}
	now = now.Add(time.Minute)
	if load(3) != 3 {
		t.Error("remembered for too long")
	}
	c.forget(func(_, v int) bool { return v == 3 })
	if load(4) != 4 {
		t.Error("not forgotten")
	}
	failed := errors.New("no")
	if _, err := c.load(2, now, func() (int, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	if c.get(2, now) != nil {
		t.Error("a failure is remembered")
	}
}

// TestCacheDoesNotRememberWhatWasForgottenMeanwhile: the row is read, then revoked, then would be remembered.
func TestCacheDoesNotRememberWhatWasForgottenMeanwhile(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](100, time.Minute)
	now := time.Now()
	_, err := c.load(1, now, func() (int, error) {
		c.forget(func(int, int) bool { return true })
		return 7, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.get(1, now) != nil {
		t.Error("a value from before the change is remembered")
	}
}

func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](10, time.Minute)
	now := time.Now()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				k := (i * g) % 40
				it, err := c.load(k, now, func() (int, error) { return k, nil })
				if err != nil || it.value != k {
					t.Errorf("%d: %v", k, err)
				}
				if i%100 == 0 {
					c.forget(func(k, _ int) bool { return k == g })
				}
			}
		})
	}
	wg.Wait()
}
