package keptriver

import (
	"context"
	"database/sql"
	"encoding/json"
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
	_ "modernc.org/sqlite"

	kept "github.com/kept-dev/kept/sdk/go"
)

type event struct {
	JobID       string  `json:"jobId"`
	JobName     string  `json:"jobName"`
	Queue       string  `json:"queue"`
	Event       string  `json:"event"`
	Timestamp   float64 `json:"timestamp"`
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
