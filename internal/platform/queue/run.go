package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Start begins to run jobs. It may be called once.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.started || q.stopped {
		return errors.New("queue: started twice or after Stop")
	}
	q.started = true
	base := context.WithoutCancel(ctx) // Stop ends the loops, in order
	loop, stopLoop := context.WithCancel(base)
	beat, stopBeat := context.WithCancel(base)
	q.stopLoop, q.stopBeat = stopLoop, stopBeat
	q.loops.Go(func() { q.loop(loop) })
	q.loops.Go(func() { q.heartbeats(beat) })
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first it ends their contexts, gives them back to
// be run again, and returns ctx's error. Stopping twice, or before Start, is harmless.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	first := !q.stopped
	q.stopped = true
	if first && len(q.running) == 0 {
		close(q.idle)
	}
	started := q.started
	q.mu.Unlock()
	if !started {
		return nil
	}
	q.stopLoop()
	err := q.drain(ctx)
	q.stopBeat()
	q.loops.Wait()
	return err
}

// stopGrace is how long jobs have to return after their context has ended.
const stopGrace = 5 * time.Second

func (q *Queue) drain(ctx context.Context) error {
	select {
	case <-q.idle:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for _, c := range q.running {
		c.cancel(errStopping)
	}
	q.mu.Unlock()
	select {
	case <-q.idle:
	case <-time.After(stopGrace):
		q.logger.Warn("jobs did not end in time; another process will run them again")
	}
	return ctx.Err()
}

// loop takes jobs whenever there may be some and a worker is free.
func (q *Queue) loop(ctx context.Context) {
	for {
		q.tick(ctx)
		timer := time.NewTimer(q.cfg.Poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-q.poke:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q *Queue) tick(ctx context.Context) {
	for _, step := range []func(context.Context) error{q.insertPeriodic, q.take} {
		if err := step(ctx); err != nil && ctx.Err() == nil {
			q.logger.Error("the job queue could not use the database; trying again", "error", err)
		}
	}
}

// take claims as many due jobs as workers are free and starts them.
func (q *Queue) take(ctx context.Context) error {
	q.mu.Lock()
	free := q.free
	q.mu.Unlock()
	if free == 0 {
		return nil
	}
	claims, err := q.claim(ctx, free)
	if err != nil {
		return err
	}
	for _, c := range claims {
		q.start(c)
	}
	return nil
}

func (q *Queue) start(c *claim) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		q.loops.Go(func() { q.giveBack(c) })
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), claimKey{}, c))
	c.cancel, c.kind = cancel, q.kinds[c.kindName]
	q.running[c.id] = c
	q.free--
	go func() {
		defer q.end(c)
		q.attempt(ctx, c)
	}()
}

// giveBack lets another process take a job that was claimed while this one stopped.
func (q *Queue) giveBack(c *claim) {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if err := q.finish(ctx, c, outcome{state: stateLive, due: q.clock()}); err != nil {
		q.logger.Warn("a job could not be given back; its lease will end", "kind", c.kindName, "job", c.id, "error", err)
	}
}

func (q *Queue) end(c *claim) {
	q.mu.Lock()
	delete(q.running, c.id)
	q.free++
	if q.stopped && len(q.running) == 0 {
		close(q.idle)
	}
	q.mu.Unlock()
	c.cancel(nil)
	q.finished(c.id)
	q.wake()
}

// attempt runs a job once and records how it went.
func (q *Queue) attempt(ctx context.Context, c *claim) {
	err := errDiedTooOften
	if c.lost <= maxLost {
		err = q.call(ctx, c)
	}
	record, stop := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.Lease)
	defer stop()
	cause := context.Cause(ctx)
	switch {
	case c.completed.Load(): // and so it stays, whatever happened since
		q.done.Add(1)
		return
	case errors.Is(cause, ErrLeaseLost) || errors.Is(err, ErrLeaseLost):
		q.lost.Add(1)
		q.logger.Warn("a job was taken over by another process", "kind", c.kindName, "job", c.id)
		return
	case err == nil:
		err = q.finish(record, c, outcome{state: stateDone})
		if err == nil {
			q.done.Add(1)
		}
	case errors.Is(cause, errStopping):
		err = q.finish(record, c, outcome{state: stateLive, due: q.clock()}) // not its failure
	default:
		err = q.fail(record, c, err)
	}
	if err != nil {
		// The lease ends by itself and the job runs again: at least once is what a job must live with.
		q.logger.Error("the end of a job could not be recorded", "kind", c.kindName, "job", c.id, "error", err)
	}
}

var errDiedTooOften = Permanent(fmt.Errorf("queue: more than %d processes died while running this job", maxLost))

// call runs the job's function; a panic is a failure.
func (q *Queue) call(ctx context.Context, c *claim) (err error) {
	ctx, stop := context.WithTimeout(ctx, c.kind.opts.Timeout)
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			q.logger.Error("a job panicked", "kind", c.kindName, "job", c.id, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.kind.run(ctx, c.args)
}

// fail records a failure: another attempt later, or none.
func (q *Queue) fail(ctx context.Context, c *claim, cause error) error {
	q.failed.Add(1)
	failures := c.failures + 1
	out := outcome{state: stateLive, failures: failures, due: q.clock().Add(backoff(failures)), err: cause.Error()}
	var p permanent
	if failures >= c.maxAttempts || errors.As(cause, &p) {
		out.state = stateDead
	}
	q.logger.Warn("a job failed", "kind", c.kindName, "job", c.id, "failures", failures, "dead", out.state == stateDead, "error", cause)
	return q.finish(ctx, c, out)
}

// heartbeats renews the leases of running jobs three times in a lease, and deletes old rows once an hour.
func (q *Queue) heartbeats(ctx context.Context) {
	ticker := time.NewTicker(q.cfg.Lease / 3)
	defer ticker.Stop()
	var swept time.Time
	for {
		if now := q.clock(); now.Sub(swept) >= time.Hour {
			if err := q.sweep(ctx, now); err == nil {
				swept = now
			} else if ctx.Err() == nil {
				q.logger.Error("old jobs could not be deleted; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := q.renew(ctx, q.snapshot()); err != nil && ctx.Err() == nil {
			q.logger.Error("leases of running jobs could not be renewed; trying again", "error", err)
		}
	}
}

func (q *Queue) snapshot() (all []*claim) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.running {
		all = append(all, c)
	}
	return all
}

// claim is a job that this process holds the lease of.
type claim struct {
	id          kernel.ID
	kindName    string
	kind        kind
	args        []byte
	failures    int
	maxAttempts int
	number      int64 // of this claim: the next taker's is higher
	lost        int
	owner       string
	cancel      context.CancelCauseFunc
	completed   atomic.Bool // Complete has committed
}

type claimKey struct{}
