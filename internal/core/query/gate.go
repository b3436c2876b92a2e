package query

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxWaiting is how many queries of one workspace may wait.
const maxWaiting = 256

// gate lets as many queries run at once as processors can make use of. Those that wait are let in by turns of the
// workspaces, so that one with a wall of dashboards does not keep another's single query waiting behind all of its own.
type gate struct {
	mu      sync.Mutex
	most    int // queries that run at once
	running int
	queues  map[kernel.WorkspaceID]*wsQueue
	turn    []kernel.WorkspaceID // those with somebody waiting; the first is next
}

type wsQueue struct {
	running int
	most    int
	waiting []chan struct{}
}

func newGate() *gate {
	return &gate{most: max(4, 2*runtime.GOMAXPROCS(0)), queues: map[kernel.WorkspaceID]*wsQueue{}}
}

// enter waits for a place. The caller calls leave once when it has one.
func (g *gate) enter(ctx context.Context, ws kernel.WorkspaceID, most int) (leave func(), err error) {
	g.mu.Lock()
	q := g.queues[ws]
	if q == nil {
		q = &wsQueue{}
		g.queues[ws] = q
	}
	q.most = most
	if len(q.waiting) >= maxWaiting {
		g.mu.Unlock()
		return nil, &kernel.Error{Code: kernel.Limited, RetryAfter: 5 * time.Second,
			Safe: "Too many queries of this workspace wait already. Try again in a moment."}
	}
	leave = sync.OnceFunc(func() { g.leave(ws) })
	if g.running < g.most && g.mayRun(q) && len(q.waiting) == 0 {
		g.running, q.running = g.running+1, q.running+1
		g.mu.Unlock()
		return leave, nil
	}
	place := make(chan struct{})
	if q.waiting = append(q.waiting, place); len(q.waiting) == 1 {
		g.turn = append(g.turn, ws)
	}
	g.mu.Unlock()
	select {
	case <-place:
		return leave, nil
	case <-ctx.Done():
		if !g.giveUp(ws, place) {
			leave() // it was let in at the same moment
		}
		return nil, ctx.Err()
	}
}

// mayRun tells whether a workspace has not as many queries running as it may. It never has all places, so that who comes
// with a short one need not wait until a long one ends.
func (g *gate) mayRun(q *wsQueue) bool { return q.running < min(q.most, max(1, g.most-1)) }

// giveUp takes a waiter out and tells whether it still waited.
func (g *gate) giveUp(ws kernel.WorkspaceID, place chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[ws]
	if q == nil {
		return false
	}
	i := slices.Index(q.waiting, place)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	g.forget(ws, q)
	return true
}

func (g *gate) leave(ws kernel.WorkspaceID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[ws]
	g.running, q.running = g.running-1, q.running-1
	g.admit()
	g.forget(ws, q)
}

// admit lets in whoever is next, as far as there is room.
func (g *gate) admit() {
	for looked := 0; g.running < g.most && looked < len(g.turn); {
		ws := g.turn[0]
		g.turn = g.turn[1:]
		q := g.queues[ws]
		if !g.mayRun(q) {
			g.turn = append(g.turn, ws)
			looked++
			continue
		}
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
		g.running, q.running = g.running+1, q.running+1
		if len(q.waiting) > 0 {
			g.turn = append(g.turn, ws)
		}
		looked = 0
	}
}

// forget drops what is kept of a workspace that neither runs nor waits.
func (g *gate) forget(ws kernel.WorkspaceID, q *wsQueue) {
	if len(q.waiting) > 0 {
		return
	}
	if i := slices.Index(g.turn, ws); i >= 0 {
		g.turn = slices.Delete(g.turn, i, i+1)
	}
	if q.running == 0 {
		delete(g.queues, ws)
	}
}

// load is how many queries run, and how many wait.
func (g *gate) load() (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.queues {
		waiting += len(q.waiting)
	}
	return g.running, waiting
}
