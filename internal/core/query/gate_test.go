package query_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// TestGateIsFair lets a workspace queue a wall of queries before another asks one: that one is the second to be let in.
func TestGateIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := query.NewGate(1)
		first, err := g.Enter(t.Context(), "busy", 8)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		enter := func(ws kernel.WorkspaceID, name string) {
			go func() {
				leave, err := g.Enter(t.Context(), ws, 8)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				leave()
			}()
			synctest.Wait()
		}
		for i := range 5 {
			enter("busy", fmt.Sprint("b", i))
		}
		enter("calm", "c")
		first()
		synctest.Wait()
		if got := fmt.Sprint(order); got != "[b0 c b1 b2 b3 b4]" {
			t.Error(got)
		}
		if running, waiting := g.Load(); running+waiting+g.Known() != 0 {
			t.Errorf("%d run, %d wait, %d known", running, waiting, g.Known())
		}
	})
}

// TestGateKeepsToALimit holds a workspace to its own while there is room for others, and forgets who gives up.
func TestGateKeepsToALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := query.NewGate(3)
		leave, _ := g.Enter(t.Context(), "a", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var gaveUp error
		go func() { _, gaveUp = g.Enter(ctx, "a", 1) }()
		synctest.Wait()
		other, err := g.Enter(t.Context(), "b", 1)
		if err != nil {
			t.Fatal(err)
		}
		if running, waiting := g.Load(); running != 2 || waiting != 1 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
		cancel()
		synctest.Wait()
		if !errors.Is(gaveUp, context.Canceled) {
			t.Error(gaveUp)
		}
		for range 300 {
			go func() {
				if l, err := g.Enter(t.Context(), "a", 1); err == nil {
					l()
				}
			}()
		}
		synctest.Wait()
		if _, err := g.Enter(t.Context(), "a", 1); kernel.CodeOf(err) != kernel.Limited {
			t.Errorf("more than may wait: %v", err)
		}
		leave()
		leave() // twice is as once
		other()
		synctest.Wait()
		if running, waiting := g.Load(); running+waiting+g.Known() != 0 {
			t.Errorf("%d run, %d wait, %d known", running, waiting, g.Known())
		}
	})
}

// TestGateKeepsAPlaceFree lets a workspace that may run many queries have all places but one.
func TestGateKeepsAPlaceFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := query.NewGate(4)
		end := make(chan struct{})
		for range 10 {
			go func() {
				if leave, err := g.Enter(t.Context(), "busy", 8); err == nil {
					<-end
					leave()
				}
			}()
		}
		synctest.Wait()
		if running, waiting := g.Load(); running != 3 || waiting != 7 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
		leave, err := g.Enter(t.Context(), "calm", 8) // would wait for ever
		if err != nil {
			t.Fatal(err)
		}
		leave()
		synctest.Wait()
		if running, waiting := g.Load(); running != 3 || waiting != 7 {
			t.Errorf("then %d run, %d wait", running, waiting)
		}
		close(end)
		synctest.Wait()
		if running, waiting := g.Load(); running+waiting+g.Known() != 0 {
			t.Errorf("at last %d run, %d wait, %d known", running, waiting, g.Known())
		}
	})
}
