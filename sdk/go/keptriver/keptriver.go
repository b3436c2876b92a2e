// Package keptriver reports the jobs of a River queue to a Kept server.
//
// One value does it, as a middleware of the River client:
//
//	hook := keptriver.New(client) // a *kept.Client
//	riverClient, err := river.NewClient(driver, &river.Config{
//		Middleware: []rivertype.Middleware{hook}, // first, so that it sees what the others return
//		...
//	})
//	stop := hook.Watch(riverClient)
//	...
//	riverClient.Stop(ctx)
//	stop()
//	client.Close(ctx)
//
// Every job is reported under its id in River, with its kind as name: waiting or
// delayed, active with its arguments, completed with its recorded output, failed
// with error chain or the stack of the panic, delayed when it snoozes. A failure
// that River will retry says so; one after the last attempt, or by
// river.JobCancel, is final.
//
// # Traces and parents
//
// A job carries the trace id and the parent of the context it was inserted with:
// of [kept.WithTrace], or of the job that was running. They travel in the job's
// metadata, as trace_id, parent_id and parent_queue, which a program may set
// itself; env there overrides the client's environment. A top-level trace_id or
// traceId in the arguments serves as well.
//
// # Transactions
//
// River runs its middleware before the transaction commits, so it cannot say
// whether a job exists. A watching hook therefore holds the waiting event back
// until the job starts or its row can be seen, and forgets it if the transaction
// was rolled back. Without [Hook.Watch] a job counts as waiting from its insert
// on, unless [Hold] is used.
package keptriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	kept "github.com/kept-dev/kept/sdk/go"
)

// Hook is the middleware. Make it with [New].
type Hook struct {
	river.MiddlewareDefaults

	// LeaveMetadata keeps trace and parent out of the metadata of inserted
	// jobs. Set it before the hook is in use.
	LeaveMetadata bool

	client *kept.Client
	ledger ledger
}

var (
	_ rivertype.JobInsertMiddleware = (*Hook)(nil)
	_ rivertype.WorkerMiddleware    = (*Hook)(nil)
)

// New makes a hook that reports through client, which may be nil.
func New(client *kept.Client) *Hook { return &Hook{client: client} }

// Log reports a line of the running job's log. meta may be nil. Outside a job it does nothing.
func Log(ctx context.Context, message string, meta any) { kept.RunningJob(ctx).Log(message, meta) }

// Progress reports how far the running job is: a number from 0 to 100, or any value.
func Progress(ctx context.Context, v any) { kept.RunningJob(ctx).Progress(v) }

// InsertMany is called by River.
func (h *Hook) InsertMany(ctx context.Context, params []*rivertype.JobInsertParams, doInner func(context.Context) ([]*rivertype.JobInsertResult, error)) ([]*rivertype.JobInsertResult, error) {
	if !h.LeaveMetadata {
		for _, p := range params {
			annotate(ctx, p)
		}
	}
	results, err := doInner(ctx)
	if err != nil {
		return results, err
	}
	for _, r := range results {
		// InsertManyFast returns no rows; those jobs are reported when they start.
		if r != nil && r.Job != nil && !r.UniqueSkippedAsDuplicate {
			h.inserted(ctx, r.Job)
		}
	}
	return results, nil
}

// inserted reports a new job, at once or when it is known to exist.
func (h *Hook) inserted(ctx context.Context, row *rivertype.JobRow) {
	if held := heldIn(ctx); held != nil {
		held.add(h, row)
		return
	}
	if h.ledger.hold(row) {
		return
	}
	h.reportNew(row)
}

// reportNew reports a job as waiting or delayed, unless that was done before.
func (h *Hook) reportNew(row *rivertype.JobRow) {
	if !h.ledger.first(row) {
		return
	}
	e := h.event(row, kept.Waiting, readMeta(row))
	if e.Time = row.CreatedAt; e.Time.After(time.Now()) { // the database's clock is ahead
		e.Time = time.Now()
	}
	e.Data.Input = json.RawMessage(row.EncodedArgs)
	if scheduled(row) {
		e.Kind, e.Data.Delay = kept.Delayed, row.ScheduledAt
	}
	h.client.Send(e)
}

// scheduled reports whether a job was inserted to run later. Once it runs only
// its times tell; periodic jobs are inserted a moment early.
func scheduled(row *rivertype.JobRow) bool {
	return row.State == rivertype.JobStateScheduled || row.ScheduledAt.Sub(row.CreatedAt) > time.Second
}

// Work is called by River.
func (h *Hook) Work(ctx context.Context, row *rivertype.JobRow, doInner func(context.Context) error) error {
	meta := readMeta(row)
	if row.Attempt <= 1 && meta.Snoozes == 0 {
		h.reportNew(row)
	}
	active := h.event(row, kept.Active, meta)
	active.Data.Input = json.RawMessage(row.EncodedArgs)
	h.client.Send(active)

	ctx, _ = kept.Attach(ctx, h.client, kept.Job{
		ID: active.JobID, Name: row.Kind, Queue: row.Queue, Env: active.Env,
		ParentID: active.ParentID, ParentQueue: active.ParentQueue, TraceID: active.TraceID,
		Attempt: row.Attempt, MaxAttempts: row.MaxAttempts,
	})
	work := &outputContext{Context: ctx}
	returned := false
	defer func() {
		if !returned {
			h.crashed(row, meta, recover())
		}
	}()
	err := doInner(work)
	returned = true
	h.client.Send(h.outcome(work, row, meta, err))
	return err
}

// outcome tells what River will do with what the worker returned. The order of
// the questions is River's own.
func (h *Hook) outcome(ctx *outputContext, row *rivertype.JobRow, meta metadata, err error) kept.Event {
	e := h.event(row, kept.Completed, meta)
	if err == nil {
		e.Data.ReturnValue = ctx.output()
		return e
	}
	if cause := context.Cause(ctx); errors.Is(cause, rivertype.ErrJobCancelledRemotely) {
		err = cause
	}
	var snooze *rivertype.JobSnoozeError
	if errors.As(err, &snooze) {
		if e.Kind = kept.Waiting; snooze.Duration > 0 {
			e.Kind, e.Data.Delay = kept.Delayed, time.Now().Add(snooze.Duration)
		}
		return e
	}
	e.Kind = kept.Failed
	e.Data.Stack = kept.ErrorStack(err)
	var cancel *rivertype.JobCancelError
	if errors.As(err, &cancel) {
		e.Data.Extra["cancelled"] = true
		if inner := cancel.Unwrap(); inner != nil && err == error(cancel) {
			err = inner // without River's prefix
			e.Data.Stack = kept.ErrorStack(err)
		}
	}
	e.Data.FailedReason = fmt.Sprint(err)
	e.Data.Retrying = cancel == nil && row.Attempt < row.MaxAttempts
	if e.Data.Retrying {
		h.ledger.retrying(row)
	}
	return e
}

// crashed reports a worker that panicked, and lets the panic go on to River.
// With no value the worker ended its goroutine, which River cannot handle.
func (h *Hook) crashed(row *rivertype.JobRow, meta metadata, v any) {
	e := h.event(row, kept.Failed, meta)
	e.Data.FailedReason, e.Data.Stack = "panic: "+fmt.Sprint(v), kept.PanicStack()
	if v == nil {
		e.Data.FailedReason, e.Data.Stack = "the job ended its goroutine (runtime.Goexit)", ""
	}
	e.Data.Retrying = v != nil && row.Attempt < row.MaxAttempts
	if e.Data.Retrying {
		h.ledger.retrying(row)
	}
	h.client.Send(e)
	if v != nil {
		panic(v)
	}
}

// event is what all events of a job have in common.
func (h *Hook) event(row *rivertype.JobRow, kind kept.Kind, meta metadata) kept.Event {
	e := kept.Event{
		Kind: kind, JobID: strconv.FormatInt(row.ID, 10), JobName: row.Kind, Queue: row.Queue,
		Env: meta.Env, ParentID: string(meta.ParentID), ParentQueue: meta.ParentQueue, TraceID: meta.TraceID,
		Data: kept.Data{Extra: map[string]any{"maxAttempts": row.MaxAttempts}},
	}
	if meta.Periodic {
		e.Data.Extra["periodic"] = true
	}
	if len(row.Tags) > 0 {
		e.Data.Extra["tags"] = row.Tags
	}
	if kind != kept.Waiting { // asked before a waiting event becomes anything else
		e.Data.AttemptsMade = row.Attempt
	}
	return e
}
