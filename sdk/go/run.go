package kept

import (
	"context"
	"fmt"
	"time"
)

// Job names a job and says what is known about it before it runs.
type Job struct {
	ID    string // unique within the queue; Run and Enqueued make one up if it is empty
	Name  string // type of the job
	Queue string // default "default"
	Env   string // default Config.Env
	Input any    // the payload

	ParentID    string // default: the job whose context it is enqueued or run in
	ParentQueue string
	TraceID     string // an id or a traceparent; default: the trace of the context

	Attempt     int       // number of this attempt, from 1; default 1
	MaxAttempts int       // a failure before the last attempt counts as "will be retried"; 0 is unknown: final
	RunAt       time.Time // for Enqueued: when the job is due; zero or past is now
	EnqueuedAt  time.Time // for Run: also report the job as waiting since then, for queues whose producer does not
}

// Enqueued reports that a job was put into its queue: waiting, or delayed if
// RunAt lies ahead. It returns the job's id.
func (c *Client) Enqueued(ctx context.Context, job Job) (id string) {
	job = job.complete(ctx)
	if c == nil {
		return job.ID
	}
	e := job.event(Waiting, Data{Input: job.Input})
	if job.RunAt.After(c.cfg.Now()) {
		e.Kind, e.Data.Delay = Delayed, job.RunAt
	}
	c.Send(e)
	return job.ID
}

// Run runs f as the job and reports that it is active, what it logs, and how it
// ends: completed with the result, or failed with the error. A panic is reported
// with its stack and goes on to the caller. Run returns f's error as it is.
func Run(ctx context.Context, c *Client, job Job, f func(ctx context.Context, j *Running) (result any, err error)) error {
	ctx, j := Attach(ctx, c, job)
	job = j.job
	if !job.EnqueuedAt.IsZero() {
		e := job.event(Waiting, Data{Input: job.Input})
		e.Time = job.EnqueuedAt
		c.Send(e)
	}
	j.send(Active, Data{Input: job.Input})

	returned := false
	defer func() {
		if !returned {
			j.crashed(recover())
		}
	}()
	result, err := f(ctx, j)
	returned = true
	if err != nil {
		j.failed(errorText(err), ErrorStack(err))
		return err
	}
	j.send(Completed, Data{ReturnValue: result})
	return nil
}

// Attach puts a running job into a context and reports nothing. It is for
// integrations with a queue, which know themselves when a job starts and ends:
// with it [RunningJob], the log and the parents of jobs work as under [Run].
func Attach(ctx context.Context, c *Client, job Job) (context.Context, *Running) {
	job = job.complete(ctx)
	j := &Running{client: c, job: job}
	return context.WithValue(WithTrace(ctx, job.TraceID), runningKey{}, j), j
}

// Running is a job while it runs. Its methods may be called from any goroutine.
type Running struct {
	client *Client
	job    Job
}

type runningKey struct{}

// RunningJob returns the job that Run put into the context, or nil, whose methods do nothing.
func RunningJob(ctx context.Context) *Running {
	j, _ := ctx.Value(runningKey{}).(*Running)
	return j
}

// Job returns what the job is, with all defaults filled in.
func (j *Running) Job() Job {
	if j == nil {
		return Job{}
	}
	return j.job
}

// Log reports a line of the job's log. meta may be nil.
func (j *Running) Log(message string, meta any) {
	j.send(Progress, Data{Log: &LogLine{Message: message, Meta: meta}})
}

// Progress reports how far the job is: a number from 0 to 100, or any value.
func (j *Running) Progress(v any) { j.send(Progress, Data{Progress: v}) }

func (j *Running) send(kind Kind, d Data) {
	if j == nil || j.client == nil {
		return
	}
	if kind != Progress {
		d.AttemptsMade = j.job.Attempt
	}
	j.client.Send(j.job.event(kind, d))
}

func (j *Running) failed(reason, stack string) {
	j.send(Failed, Data{FailedReason: reason, Stack: stack, Retrying: j.job.Attempt < j.job.MaxAttempts})
}

// crashed ends a job whose function did not return. v is what it panicked with,
// or nil if it ended its goroutine.
func (j *Running) crashed(v any) {
	if v == nil {
		j.failed("the job ended its goroutine (runtime.Goexit)", "")
		return
	}
	j.failed("panic: "+fmt.Sprint(v), frames(1))
	if j.client != nil && j.client.cfg.PanicFlush > 0 { // the program may be about to die
		ctx, cancel := context.WithTimeout(context.Background(), j.client.cfg.PanicFlush)
		_ = j.client.Flush(ctx)
		cancel()
	}
	panic(v)
}

// complete fills in what the context knows.
func (job Job) complete(ctx context.Context) Job {
	if job.ID == "" {
		job.ID = newID()
	}
	job.Queue = or(job.Queue, "default")
	job.Attempt = max(job.Attempt, 1)
	job.TraceID = normalTrace(or(job.TraceID, TraceID(ctx)))
	if parent := RunningJob(ctx); parent != nil && job.ParentID == "" && parent.job.ID != job.ID {
		job.ParentID, job.ParentQueue = parent.job.ID, parent.job.Queue
	}
	return job
}

func (job Job) event(kind Kind, d Data) Event {
	return Event{
		Kind: kind, JobID: job.ID, JobName: job.Name, Queue: job.Queue, Env: job.Env,
		ParentID: job.ParentID, ParentQueue: job.ParentQueue, TraceID: job.TraceID, Data: d,
	}
}
