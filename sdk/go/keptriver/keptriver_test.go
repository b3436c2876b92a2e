package keptriver

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	kept "github.com/kept-dev/kept/sdk/go"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type event struct {
	JobID       string  `json:"jobId"`
	JobName     string  `json:"jobName"`
	Queue       string  `json:"queue"`
	Event       string  `json:"event"`
	Timestamp   int64   `json:"timestamp"`
	Env         string  `json:"env"`
	ParentJobID string  `json:"parentJobId"`
	ParentQueue string  `json:"parentQueue"`
	TraceID     string  `json:"traceId"`
	Data        rawData `json:"data"`
}

type rawData map[string]json.RawMessage

// line is the event without what differs from run to run.
func (e event) line() string {
	parts := []string{e.Event}
	for _, k := range []string{"input", "attemptsMade", "returnValue", "failedReason", "cancelled", "progress", "log"} {
		if v, ok := e.Data[k]; ok {
			parts = append(parts, k+"="+string(v))
		}
	}
	return strings.Join(parts, " ")
}

func (e event) text(k string) (s string) { json.Unmarshal(e.Data[k], &s); return s }
func (e event) num(k string) (n int64)   { json.Unmarshal(e.Data[k], &n); return n }

// bundle is a River queue on SQLite whose hook reports to a server of the test's own.
type bundle struct {
	t      *testing.T
	db     *sql.DB
	kept   *kept.Client
	hook   *Hook
	client *river.Client[*sql.Tx]

	mu     sync.Mutex
	events []event
}

// args are the arguments of every job: Do names what its worker does.
type args struct {
	Do    string `json:"do"`
	N     int64  `json:"n,omitempty"`
	Trace string `json:"trace_id,omitempty"`
}

func (args) Kind() string { return "test-job" }

type worker struct {
	river.WorkerDefaults[args]
	do map[string]func(ctx context.Context, job *river.Job[args]) error
}

func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	if f := w.do[job.Args.Do]; f != nil {
		return f(ctx, job)
	}
	return nil
}

func (w *worker) NextRetry(*river.Job[args]) time.Time { return time.Now().Add(10 * time.Millisecond) }

type workers = map[string]func(ctx context.Context, job *river.Job[args]) error

func (b *bundle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Events []event `json:"events"`
	}
	if raw, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(raw, &body) != nil {
		b.t.Errorf("a broken body: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, body.Events...)
}

func setup(t *testing.T, do workers, change func(*river.Config)) *bundle {
	t.Helper()
	b := &bundle{t: t}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	var err error
	b.kept, err = kept.New(kept.Config{Endpoint: server.URL, APIKey: "kept_0123456789", Env: "test", Logger: quiet()})
	must(t, err)
	b.db, err = sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "river.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	must(t, err)
	b.db.SetMaxOpenConns(1)
	t.Cleanup(func() { b.db.Close() })
	migrator, err := rivermigrate.New(riversqlite.New(b.db), &rivermigrate.Config{Logger: quiet()})
	must(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	must(t, err)

	b.hook = New(b.kept)
	bundle := river.NewWorkers()
	river.AddWorker(bundle, &worker{do: do})
	cfg := &river.Config{
		FetchCooldown: time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		Logger: quiet(), MaxAttempts: 3, TestOnly: true, Workers: bundle,
		Middleware: []rivertype.Middleware{b.hook},
		Queues:     map[string]river.QueueConfig{"default": {MaxWorkers: 5}, "media": {MaxWorkers: 5}},
	}
	if change != nil {
		change(cfg)
	}
	b.client, err = river.NewClient(riversqlite.New(b.db), cfg)
	must(t, err)
	t.Cleanup(func() { b.kept.Close(context.Background()) })
	return b
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start works the queue and returns a function that ends everything in order.
func (b *bundle) start(watch bool) (finish func()) {
	stop := func() {}
	if watch {
		stop = b.hook.Watch(b.client)
	}
	must(b.t, b.client.Start(context.WithoutCancel(b.t.Context())))
	return func() {
		must(b.t, b.client.Stop(context.WithoutCancel(b.t.Context())))
		stop()
		must(b.t, b.kept.Close(context.WithoutCancel(b.t.Context())))
	}
}

// run inserts one job, works the queue until it has reached its end, and returns its events.
func (b *bundle) run(watch bool, a river.JobArgs, opts *river.InsertOpts) []event {
	b.t.Helper()
	ended, cancel := b.client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled)
	defer cancel()
	finish := b.start(watch)
	res, err := b.client.Insert(b.t.Context(), a, opts)
	must(b.t, err)
	for e := range ended {
		if e.Job.ID == res.Job.ID && e.Job.FinalizedAt != nil {
			break
		}
	}
	finish()
	return b.of(res.Job.ID)
}

func (b *bundle) of(id int64) (out []event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.JobID == fmt.Sprint(id) {
			out = append(out, e)
		}
	}
	return out
}

// wantEvents compares lines in order of time, as a server shows them.
func wantEvents(t *testing.T, got []event, want ...string) {
	t.Helper()
	byTime := append([]event(nil), got...)
	for i := range byTime { // stable insertion sort: equal times keep the order they were sent in
		for k := i; k > 0 && byTime[k].Timestamp < byTime[k-1].Timestamp; k-- {
			byTime[k], byTime[k-1] = byTime[k-1], byTime[k]
		}
	}
	var lines []string
	for _, e := range byTime {
		lines = append(lines, e.line())
		if e.JobName != "test-job" || e.Env != "test" || string(e.Data["maxAttempts"]) == "" && e.Event != "progress" {
			t.Errorf("odd event %+v", e)
		}
	}
	if g, w := strings.Join(lines, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

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
		if e.Queue != "media" || e.Timestamp < before-1 || e.Timestamp > time.Now().UnixMilli() {
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
			if wait := e.num("delay") - e.Timestamp; wait < 0 || wait > 1000 {
				t.Errorf("due %d ms later", wait)
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
	if wait := got[2].num("delay") - got[2].Timestamp; wait < 19 || wait > 21 {
		t.Errorf("due %d ms later", wait)
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

func TestTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	stop := b.hook.Watch(b.client)
	insert := func(ctx context.Context, do string) (*sql.Tx, int64) {
		tx, err := b.db.Begin()
		must(t, err)
		res, err := b.client.InsertTx(ctx, tx, args{Do: do}, nil)
		must(t, err)
		return tx, res.Job.ID
	}
	tx, gone := insert(t.Context(), "rolled back")
	must(t, tx.Rollback())
	tx, there := insert(t.Context(), "committed")
	must(t, tx.Commit())
	if gone != there {
		t.Logf("the id was not used again (%d, %d)", gone, there)
	}
	stop()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"committed"}`)

	// Without Watch, a program that knows says so itself.
	b = setup(t, nil, nil)
	ctx, _ := Hold(t.Context())
	tx, _ = insert(ctx, "rolled back")
	must(t, tx.Rollback())
	ctx, committed := Hold(t.Context())
	tx, _ = insert(ctx, "committed")
	must(t, b.kept.Flush(t.Context()))
	if len(b.events) != 0 {
		t.Errorf("reported before the commit: %v", b.events)
	}
	must(t, tx.Commit())
	committed()
	committed()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"committed"}`)
}

// The watch sees a commit by looking at the table, long before the job starts.
func TestWatchLooks(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	b.hook.ledger.watch(true)
	tx, err := b.db.Begin()
	must(t, err)
	_, err = b.client.InsertTx(t.Context(), tx, args{Do: "a"}, nil)
	must(t, err)
	must(t, tx.Commit())
	tx, err = b.db.Begin()
	must(t, err)
	_, err = b.client.InsertTx(t.Context(), tx, args{Do: "b"}, nil)
	must(t, err)
	must(t, tx.Rollback())

	now := time.Now()
	for _, at := range []time.Duration{firstLook / 2, firstLook, firstLook, 2 * firstLook, forgetAfter + firstLook} {
		b.hook.look(b.client, now.Add(at+time.Millisecond), false)
		b.kept.Flush(t.Context())
		if want := min(1, int(at/firstLook)); len(b.of(1)) != want || len(b.of(2)) != 0 {
			t.Errorf("after %v: %v", at, b.events)
		}
	}
	if b.hook.ledger.anyHeld() {
		t.Error("a job that was rolled back is remembered for ever")
	}
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

func TestWatchOfAnInsertOnlyClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(c *river.Config) { c.Queues, c.Workers = nil, nil })
	stop := b.hook.Watch(b.client)
	_, err := b.client.Insert(t.Context(), args{Do: "x"}, nil)
	must(t, err)
	stop()
	stop()
	must(t, b.kept.Close(t.Context()))
	wantEvents(t, b.events, `waiting input={"do":"x"}`)
}

func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	var l ledger
	l.watch(true)
	for i := range int64(3 * maxHeld) {
		row := &rivertype.JobRow{ID: i, CreatedAt: time.Unix(i, 0)}
		l.hold(row)
		l.retrying(row)
		if i%2 == 0 && (!l.first(row) || l.first(row)) {
			t.Fatal("first is true once")
		}
	}
	if len(l.held) > maxHeld || len(l.retry) > maxHeld || len(l.now)+len(l.old) > 2*generation {
		t.Errorf("%d, %d, %d", len(l.held), len(l.retry), len(l.now)+len(l.old))
	}
	if !l.first(&rivertype.JobRow{ID: 4, CreatedAt: time.Unix(99, 0)}) {
		t.Error("an id that is used again is a new job")
	}
}
