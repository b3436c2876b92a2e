package keptriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
	"go.uber.org/goleak"

	kept "github.com/kept-dev/kept/sdk/go"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCompletes(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"ok": func(ctx context.Context, job *river.Job[args]) error {
		Log(ctx, "resized", map[string]any{"w": 10})
		Progress(ctx, 50)
		return river.RecordOutput(ctx, map[string]any{"bytes": job.Args.N})
	}}, nil)
	before := time.Now().UnixMilli()
	got := b.run(true, args{Do: "ok", N: 9007199254740993}, &river.InsertOpts{Queue: "media", Tags: []string{"vip"}})
	wantEvents(t, got,
		`waiting input={"do":"ok","n":9007199254740993}`,
		`active input={"do":"ok","n":9007199254740993} attemptsMade=1`,
		`progress log={"message":"resized","meta":{"w":10}}`,
		`progress progress=50`,
		`completed attemptsMade=1 returnValue={"bytes":9007199254740993}`)
	for _, e := range got {
		if e.Queue != "media" || e.Timestamp < float64(before-1) || e.Timestamp > float64(time.Now().UnixMilli()+1) {
			t.Errorf("%+v", e)
		}
	}
	if string(got[0].Data["tags"]) != `["vip"]` || string(got[0].Data["maxAttempts"]) != "3" {
		t.Errorf("%s", got[0].Data)
	}
}

func TestFailsRetriesAndSucceeds(t *testing.T) {
	t.Parallel()
	flaky := workers{"flaky": func(ctx context.Context, job *river.Job[args]) error {
		if job.Attempt == 1 {
			return fmt.Errorf("fetch rates: %w", kept.WithStack(io.ErrUnexpectedEOF))
		}
		return nil
	}}
	b := setup(t, flaky, nil)
	got := b.run(true, args{Do: "flaky"}, nil)
	wantEvents(t, got,
		`waiting input={"do":"flaky"}`,
		`active input={"do":"flaky"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="[retrying] fetch rates: unexpected EOF"`,
		`delayed attemptsMade=1`,
		`active input={"do":"flaky"} attemptsMade=2`,
		`completed attemptsMade=2`)
	for _, e := range got {
		switch e.Event {
		case "failed":
			if s := e.text("stack"); !strings.HasPrefix(s, "*fmt.wrapError: fetch rates") || !strings.Contains(s, "keptriver.TestFailsRetriesAndSucceeds.func1\n") {
				t.Errorf("stack %s", s)
			}
		case "delayed":
			if wait := float64(e.num("delay")) - e.Timestamp; wait < 0 || wait > 1000 {
				t.Errorf("due %v ms later", wait)
			}
		}
	}
	// Without Watch, the same but for the time of the next attempt.
	b = setup(t, flaky, nil)
	wantEvents(t, b.run(false, args{Do: "flaky"}, nil),
		`waiting input={"do":"flaky"}`,
		`active input={"do":"flaky"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="[retrying] fetch rates: unexpected EOF"`,
		`active input={"do":"flaky"} attemptsMade=2`,
		`completed attemptsMade=2`)
}

func TestExhaustsItsAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"bad": func(context.Context, *river.Job[args]) error { return errors.New("no") }}, nil)
	wantEvents(t, b.run(true, args{Do: "bad"}, &river.InsertOpts{MaxAttempts: 2}),
		`waiting input={"do":"bad"}`,
		`active input={"do":"bad"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="[retrying] no"`,
		`delayed attemptsMade=1`,
		`active input={"do":"bad"} attemptsMade=2`,
		`failed attemptsMade=2 failedReason="no"`)
}

//go:noinline
func index(list []int, i int64) int { return list[i] }

func TestPanics(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"panic": func(_ context.Context, job *river.Job[args]) error { index(nil, job.Args.N); return nil }}, nil)
	got := b.run(true, args{Do: "panic", N: 7}, &river.InsertOpts{MaxAttempts: 1})
	wantEvents(t, got,
		`waiting input={"do":"panic","n":7}`,
		`active input={"do":"panic","n":7} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="panic: runtime error: index out of range [7] with length 0"`)
	stack := got[2].text("stack")
	if !strings.HasPrefix(stack, "github.com/kept-dev/kept/sdk/go/keptriver.index\n\tgithub.com/kept-dev/kept/sdk/go/keptriver/keptriver_test.go:") ||
		!strings.Contains(stack, "keptriver.TestPanics.func1\n") {
		t.Errorf("stack\n%s", stack)
	}
	row, err := b.client.JobGet(t.Context(), 1) // and River knows of it as before
	must(t, err)
	if row.State != rivertype.JobStateDiscarded || !strings.Contains(row.Errors[0].Trace, "keptriver.index") {
		t.Errorf("%s\n%s", row.State, row.Errors[0].Trace)
	}
}

func TestSnoozes(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"snooze": func(_ context.Context, job *river.Job[args]) error {
		switch n := strings.TrimSpace(string(job.Metadata)); {
		case !strings.Contains(n, "snoozes"):
			return river.JobSnooze(20 * time.Millisecond)
		case strings.Contains(n, `"snoozes":1`), strings.Contains(n, `"snoozes": 1`):
			return river.JobSnooze(0)
		}
		return nil
	}}, nil)
	got := b.run(true, args{Do: "snooze"}, nil)
	wantEvents(t, got,
		`waiting input={"do":"snooze"}`,
		`active input={"do":"snooze"} attemptsMade=1`,
		`delayed attemptsMade=1`,
		`active input={"do":"snooze"} attemptsMade=1`,
		`waiting attemptsMade=1`,
		`active input={"do":"snooze"} attemptsMade=1`,
		`completed attemptsMade=1`)
	if wait := float64(got[2].num("delay")) - got[2].Timestamp; wait < 19 || wait > 21 {
		t.Errorf("due %v ms later", wait)
	}
}

func TestCancels(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"cancel": func(context.Context, *river.Job[args]) error {
		return river.JobCancel(errors.New("customer is gone"))
	}}, nil)
	wantEvents(t, b.run(true, args{Do: "cancel"}, nil),
		`waiting input={"do":"cancel"}`,
		`active input={"do":"cancel"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="customer is gone" cancelled=true`)
}

func TestIsCancelledFromOutside(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"long": func(ctx context.Context, _ *river.Job[args]) error { <-ctx.Done(); return ctx.Err() }}, func(c *river.Config) {
		// River 0.31 does not deliver Client.JobCancel to a running job on SQLite; this does what its executor does.
		c.Middleware = append([]rivertype.Middleware{river.WorkerMiddlewareFunc(func(ctx context.Context, _ *rivertype.JobRow, doInner func(context.Context) error) error {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(rivertype.ErrJobCancelledRemotely)
			if err := doInner(ctx); err != nil {
				return context.Cause(ctx)
			}
			return nil
		})}, c.Middleware...)
	})
	wantEvents(t, b.run(true, args{Do: "long"}, nil),
		`waiting input={"do":"long"}`,
		`active input={"do":"long"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="job cancelled remotely" cancelled=true`)
}

type cancelling struct{}

func (cancelling) HandleError(context.Context, *rivertype.JobRow, error) *river.ErrorHandlerResult {
	return &river.ErrorHandlerResult{SetCancelled: true}
}

func (cancelling) HandlePanic(context.Context, *rivertype.JobRow, any, string) *river.ErrorHandlerResult {
	return nil
}

func TestErrorHandlerCancels(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"bad": func(context.Context, *river.Job[args]) error { return errors.New("no") }}, func(c *river.Config) {
		c.ErrorHandler = cancelling{}
	})
	wantEvents(t, b.run(true, args{Do: "bad"}, nil),
		`waiting input={"do":"bad"}`,
		`active input={"do":"bad"} attemptsMade=1`,
		`failed attemptsMade=1 failedReason="[retrying] no"`,
		`failed attemptsMade=1 failedReason="no" cancelled=true`)
}

type otherArgs struct{}

func (otherArgs) Kind() string { return "test-job2" }

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(c *river.Config) { c.SkipUnknownJobCheck = true })
	var lines []string
	for _, e := range b.run(true, otherArgs{}, &river.InsertOpts{MaxAttempts: 1}) {
		lines = append(lines, e.line())
	}
	want := "failed attemptsMade=1 failedReason=\"job kind is not registered in the client's Workers bundle: test-job2\"\nwaiting input={}"
	if got := strings.Join(lines, "\n"); got != want { // nothing confirmed its insert before the last look
		t.Errorf("got\n%s", got)
	}
}

func TestArgumentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	got := b.run(true, oddArgs{N: "text"}, &river.InsertOpts{MaxAttempts: 1})
	if len(got) != 3 || got[2].Event != "failed" || !strings.Contains(got[2].text("failedReason"), "cannot unmarshal") {
		t.Errorf("%+v", got)
	}
}

type oddArgs struct {
	N string `json:"n"`
}

func (oddArgs) Kind() string { return "test-job" }

func TestScheduled(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	due := time.Now().Add(time.Hour)
	res, err := b.client.Insert(t.Context(), args{Do: "later"}, &river.InsertOpts{ScheduledAt: due})
	must(t, err)
	must(t, b.kept.Close(t.Context()))
	got := b.of(res.Job.ID)
	wantEvents(t, got, `delayed input={"do":"later"}`)
	if d := got[0].num("delay") - due.UnixMilli(); d < -1 || d > 1 {
		t.Errorf("due %d ms off", d)
	}
}

// A job of another program is reported as new when it starts here.
func TestInsertedElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	other, err := river.NewClient(riversqlite.New(b.db), &river.Config{Logger: quiet()})
	must(t, err)
	_, err = other.InsertManyFast(t.Context(), []river.InsertManyParams{{Args: args{Do: "a"}}})
	must(t, err)
	// InsertManyFast returns no rows. (Called on this client River 0.31 itself fails over them on SQLite.)
	_, err = b.hook.InsertMany(t.Context(), []*rivertype.JobInsertParams{{}}, func(ctx context.Context) ([]*rivertype.JobInsertResult, error) {
		n, err := other.InsertManyFast(ctx, []river.InsertManyParams{{Args: args{Do: "b"}}})
		return make([]*rivertype.JobInsertResult, n), err
	})
	must(t, err)
	got := b.run(true, args{Do: "c"}, nil)
	wantEvents(t, got, `waiting input={"do":"c"}`, `active input={"do":"c"} attemptsMade=1`, `completed attemptsMade=1`)
	wantEvents(t, b.of(1), `waiting input={"do":"a"}`, `active input={"do":"a"} attemptsMade=1`, `completed attemptsMade=1`)
	wantEvents(t, b.of(2), `waiting input={"do":"b"}`, `active input={"do":"b"} attemptsMade=1`, `completed attemptsMade=1`)
}

func TestDuplicateOfAUniqueJob(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for range 2 {
		_, err := b.client.Insert(t.Context(), args{Do: "once"}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})
		must(t, err)
	}
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"once"}`)
}

func TestTraceAndParent(t *testing.T) {
	t.Parallel()
	var b *bundle
	var child, other int64
	b = setup(t, workers{"order": func(ctx context.Context, job *river.Job[args]) error {
		res, err := b.client.Insert(ctx, args{Do: "pack"}, &river.InsertOpts{Metadata: []byte(`{"big":9007199254740993}`)})
		if err != nil {
			return err
		}
		child = res.Job.ID
		res, err = b.client.Insert(ctx, args{Do: "bill"}, &river.InsertOpts{Queue: "nowhere", Metadata: []byte(`{"trace_id":"own","parent_id":77,"env":"staging"}`)})
		other = res.Job.ID
		return err
	}}, nil)
	ctx := kept.WithTrace(t.Context(), "t-1")
	_, err := b.client.Insert(ctx, args{Do: "order"}, &river.InsertOpts{Queue: "media"})
	must(t, err)
	parent := b.run(true, args{Do: "wait", Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, nil)
	if parent[0].TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("trace in the arguments: %+v", parent[0])
	}
	for _, id := range []int64{1, child} {
		if len(b.of(id)) == 0 {
			t.Fatalf("no events of job %d", id)
		}
		for _, e := range b.of(id) {
			if isChild := id == child; e.TraceID != "t-1" || isChild != (e.ParentJobID == "1") || isChild != (e.ParentQueue == "media") {
				t.Errorf("%+v", e)
			}
		}
	}
	if e := b.of(other); len(e) != 1 || e[0].TraceID != "own" || e[0].ParentJobID != "77" || e[0].ParentQueue != "" || e[0].Env != "staging" {
		t.Errorf("%+v", e)
	}
	row, err := b.client.JobGet(t.Context(), child)
	must(t, err)
	if !strings.Contains(string(row.Metadata), "9007199254740993") {
		t.Errorf("metadata %s", row.Metadata)
	}
}

func TestPeriodic(t *testing.T) {
	t.Parallel()
	done := make(chan int64, 10)
	b := setup(t, workers{"tick": func(_ context.Context, job *river.Job[args]) error { done <- job.ID; return nil }}, func(c *river.Config) {
		c.PeriodicJobs = []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
			return args{Do: "tick"}, nil
		}, &river.PeriodicJobOpts{RunOnStart: true})}
	})
	finish := b.start(true)
	id := <-done
	finish()
	got := b.of(id)
	wantEvents(t, got, `waiting input={"do":"tick"}`, `active input={"do":"tick"} attemptsMade=1`, `completed attemptsMade=1`)
	if string(got[0].Data["periodic"]) != "true" {
		t.Errorf("%s", got[0].Data)
	}
}

func TestWithoutAClient(t *testing.T) {
	t.Parallel()
	b := setup(t, workers{"bad": func(ctx context.Context, _ *river.Job[args]) error { Log(ctx, "x", nil); return errors.New("no") }}, nil)
	b.hook.client = nil
	if got := b.run(true, args{Do: "bad"}, &river.InsertOpts{MaxAttempts: 1}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	Log(t.Context(), "outside a job", nil)
	Progress(t.Context(), 1)
}
