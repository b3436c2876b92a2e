package keptriver

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	kept "github.com/kept-dev/kept/sdk/go"
)

// RiverClient is the part of a *river.Client[TTx] that a watching hook uses.
type RiverClient interface {
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	SubscribeConfig(config *river.SubscribeConfig) (<-chan *river.Event, func())
}

const (
	lookEvery   = 500 * time.Millisecond
	lookTimeout = 5 * time.Second
)

// Watch makes the hook exact where the middleware alone is not. It reports
//   - a job as waiting only once its transaction is known to be committed,
//   - when a failed job will be tried again (delayed),
//   - jobs that failed because no worker knows their kind,
//   - jobs that River's ErrorHandler cancelled, as failed for good.
//
// Call the returned function after the River client has stopped and before the
// kept client is closed. A hook watches one River client at a time; Watch again
// after a River client was restarted.
func (h *Hook) Watch(c RiverClient) (stop func()) {
	h.ledger.watch(true)
	events, unsubscribe := subscribe(c)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		h.watch(c, events, quit)
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			unsubscribe()
			close(quit)
			<-done
			h.ledger.watch(false)
		})
	}
}

// subscribe returns no events for a client that only inserts, for which River panics.
func subscribe(c RiverClient) (events <-chan *river.Event, unsubscribe func()) {
	defer func() {
		if recover() != nil {
			events, unsubscribe = nil, func() {}
		}
	}()
	return c.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: 10_000, // River drops events when it is full
		Kinds:    []river.EventKind{river.EventKindJobFailed, river.EventKindJobCancelled},
	})
}

func (h *Hook) watch(c RiverClient, events <-chan *river.Event, quit <-chan struct{}) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil // the River client has stopped
				continue
			}
			h.afterFailure(e)
		case <-ticker.C:
			if h.ledger.anyHeld() {
				h.look(c, time.Now(), false)
			}
		case <-quit:
			for e := range drained(events) {
				h.afterFailure(e)
			}
			h.look(c, time.Now(), true)
			return
		}
	}
}

// drained is what is left in a channel that is closed or whose sender is gone.
func drained(events <-chan *river.Event) func(func(*river.Event) bool) {
	return func(yield func(*river.Event) bool) {
		for {
			select {
			case e, ok := <-events:
				if !ok || !yield(e) {
					return
				}
			default:
				return
			}
		}
	}
}

// look reports the held jobs whose rows can be seen.
func (h *Hook) look(c RiverClient, now time.Time, all bool) {
	ids := h.ledger.due(now, all)
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	found, err := c.JobList(ctx, river.NewJobListParams().IDs(ids...).First(len(ids)))
	if err != nil {
		return // the next look is due already
	}
	for _, row := range found.Jobs {
		if inserted := h.ledger.heldAs(row); inserted != nil {
			h.reportNew(inserted)
		}
	}
}

// afterFailure adds what River decided after the middleware had returned.
func (h *Hook) afterFailure(e *river.Event) {
	row := e.Job
	if row == nil || len(row.Errors) == 0 {
		return
	}
	last := row.Errors[len(row.Errors)-1]
	// A millisecond after the failure that the middleware reported: later than it, earlier than what follows.
	at := last.At.Add(time.Millisecond)
	if e.JobStats != nil {
		at = at.Add(e.JobStats.RunDuration)
	}
	again := row.State == rivertype.JobStateAvailable || row.State == rivertype.JobStateRetryable
	reported := h.ledger.settled(row)
	unknownKind := last.Error == (&rivertype.UnknownJobKindError{Kind: row.Kind}).Error()
	meta := readMeta(row)
	if unknownKind || reported && !again {
		failed := h.event(row, kept.Failed, meta)
		failed.Time = at
		failed.Data.FailedReason, failed.Data.Stack, failed.Data.Retrying = last.Error, last.Trace, again
		if row.State == rivertype.JobStateCancelled {
			failed.Data.Extra["cancelled"] = true
		}
		h.client.Send(failed)
		at = at.Add(time.Millisecond)
	}
	if again {
		delayed := h.event(row, kept.Delayed, meta)
		delayed.Time, delayed.Data.Delay = at, row.ScheduledAt
		h.client.Send(delayed)
	}
}
