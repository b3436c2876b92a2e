package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

type args struct{ N int }

// world is a queue under test and what its attempts signal.
type world struct {
	*Queue
	ended chan kernel.ID
}

func setup(t *testing.T, d *db.DB, cfg Config) *world {
	t.Helper()
	cfg.DB, cfg.Logger = d, slog.New(slog.DiscardHandler)
	w := &world{Queue: New(cfg), ended: make(chan kernel.ID, 1000)}
	w.finished = func(id kernel.ID) { w.ended <- id }
	if err := d.Migrate(t.Context(), db.Module{Name: "queue", Migrations: w.Migrations()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return w
}

func (w *world) start(t *testing.T) {
	t.Helper()
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func insertJob(t *testing.T, d *db.DB, k Kind[args], n int) (id kernel.ID) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) (err error) {
		id, err = k.Insert(t.Context(), tx, args{n})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// row is what the tests look at.
func row(t *testing.T, d *db.DB, id kernel.ID) (st state, failures int, lastError string) {
	t.Helper()
	err := d.QueryRow(t.Context(), `SELECT state, failures, last_error FROM queue_jobs WHERE id = $1`, id).Scan(&st, &failures, &lastError)
	if err != nil {
		t.Fatal(err)
	}
	return st, failures, lastError
}

func TestJobsRunAfterTheirCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		var mu sync.Mutex
		var ran []int
		k := Register(w.Queue, "note", func(_ context.Context, a args) error {
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, a.N)
			return nil
		}, Options{})
		before := insertJob(t, d, k, 1)
		w.start(t)
		boom := errors.New("boom")
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			if _, err := k.Insert(t.Context(), tx, args{666}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		after := insertJob(t, d, k, 2)
		for range 2 {
			<-w.ended
		}
		mu.Lock()
		defer mu.Unlock()
		if slices.Sort(ran); !slices.Equal(ran, []int{1, 2}) {
			t.Errorf("ran %v, want 1 and 2", ran)
		}
		for _, id := range []kernel.ID{before, after} {
			if st, _, _ := row(t, d, id); st != stateDone {
				t.Errorf("state %s, want done", st)
			}
		}
	})
}

func TestManyJobsRunOnceOnTwoInstances(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const n = 200
		var mu sync.Mutex
		ran := map[int]int{}
		run := func(_ context.Context, a args) error {
			mu.Lock()
			defer mu.Unlock()
			ran[a.N]++
			return nil
		}
		one, two := setup(t, d, Config{Workers: 8, Poll: 20 * time.Millisecond}), setup(t, d, Config{Workers: 8, Poll: 20 * time.Millisecond})
		k := Register(one.Queue, "count", run, Options{})
		Register(two.Queue, "count", run, Options{})
		one.start(t)
		two.start(t)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for i := range n {
				if _, err := k.Insert(t.Context(), tx, args{i}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			select {
			case <-one.ended:
			case <-two.ended:
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range n {
			if ran[i] != 1 {
				t.Errorf("job %d ran %d times", i, ran[i])
			}
		}
	})
}

// bubble runs f on SQLite in virtual time. The database is closed inside, so that its goroutines end there.
func bubble(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	path := dbtest.SQLite(t).Path
	synctest.Test(t, func(t *testing.T) {
		d, err := db.Open(t.Context(), db.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(t, d)
	})
}

func TestRetriesBackOffAndEndDead(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		var at []time.Duration
		begin := time.Now()
		k := Register(w.Queue, "fails", func(context.Context, args) error {
			at = append(at, time.Since(begin))
			return errors.New("no luck \x00\xff " + strings.Repeat("é", 500))
		}, Options{MaxAttempts: 4})
		id := insertJob(t, d, k, 1)
		w.start(t)
		for range 4 {
			<-w.ended
		}
		for i, pause := range []time.Duration{time.Second, 16 * time.Second, 81 * time.Second} {
			if got := at[i+1] - at[i]; got < pause*9/10 || got > pause*11/10+w.cfg.Poll {
				t.Errorf("pause %d is %v, want about %v", i+1, got, pause)
			}
		}
		st, failures, lastError := row(t, d, id)
		if st != stateDead || failures != 4 || !strings.HasPrefix(lastError, "no luck \uFFFD\uFFFD é") || len(lastError) > maxError {
			t.Errorf("%s after %d failures: %q", st, failures, lastError)
		}
		dead, err := w.Dead(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].ID != id || dead[0].Failures != 4 || dead[0].FinishedAt.IsZero() {
			t.Errorf("Dead = %+v, %v", dead, err)
		}
		if s, err := w.Stats(t.Context()); err != nil || s.Dead != 1 || s.Failed != 4 || s.Done != 0 {
			t.Errorf("Stats = %+v, %v", s, err)
		}
		retry := func() error { return d.Tx(t.Context(), func(tx *db.Tx) error { return w.Retry(t.Context(), tx, id) }) }
		if err := retry(); err != nil {
			t.Fatal(err)
		}
		<-w.ended
		if st, failures, _ := row(t, d, id); st != stateLive || failures != 1 {
			t.Errorf("after Retry and a failure: %s with %d failures", st, failures)
		}
		if err := retry(); kernel.CodeOf(err) != kernel.NotFound {
			t.Errorf("Retry of a live job: %v", err)
		}
	})
}

func TestPermanentPanicAndTimeout(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		kinds := []Kind[args]{
			Register(w.Queue, "permanent", func(context.Context, args) error {
				return fmt.Errorf("outer: %w", Permanent(errors.New("never")))
			}, Options{}),
			Register(w.Queue, "panics", func(context.Context, args) error { panic("ouch") }, Options{MaxAttempts: 1}),
			Register(w.Queue, "hangs", func(ctx context.Context, _ args) error {
				<-ctx.Done()
				return ctx.Err()
			}, Options{MaxAttempts: 1, Timeout: time.Hour}),
		}
		want := []string{"outer: never", "panic: ouch", context.DeadlineExceeded.Error()}
		begin := time.Now()
		w.start(t)
		for i, k := range kinds {
			id := insertJob(t, d, k, 1)
			if got := <-w.ended; got != id {
				t.Fatalf("another job ended: %s", got)
			}
			if st, _, lastError := row(t, d, id); st != stateDead || lastError != want[i] {
				t.Errorf("%s: %s, %q; want dead, %q", k.name, st, lastError, want[i])
			}
		}
		if took := time.Since(begin); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("the job that hangs was ended after %v, want an hour", took)
		}
	})
}

func TestInsertAtWaits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		due := time.Now().Add(90 * time.Minute)
		var ran time.Time
		k := Register(w.Queue, "later", func(context.Context, args) error { ran = time.Now(); return nil }, Options{})
		w.start(t)
		err := d.Tx(t.Context(), func(tx *db.Tx) error { _, err := k.InsertAt(t.Context(), tx, due, args{}); return err })
		if err != nil {
			t.Fatal(err)
		}
		if s, err := w.Stats(t.Context()); err != nil || s.Scheduled != 1 || s.Waiting != 0 {
			t.Errorf("Stats = %+v, %v", s, err)
		}
		<-w.ended
		if late := ran.Sub(due); late < 0 || late > w.cfg.Poll {
			t.Errorf("ran %v after it was due", late)
		}
	})
}

func TestStopDrains(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		running, release := make(chan struct{}), make(chan struct{})
		k := Register(w.Queue, "slow", func(context.Context, args) error {
			close(running)
			<-release
			return nil
		}, Options{})
		id := insertJob(t, d, k, 1)
		w.start(t)
		<-running
		stopped := make(chan error)
		go func() { stopped <- w.Stop(t.Context()) }()
		close(release)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if st, _, _ := row(t, d, id); st != stateDone {
			t.Errorf("state %s after a drain, want done", st)
		}
		if err := errors.Join(w.Stop(t.Context()), New(Config{DB: d}).Stop(t.Context())); err != nil {
			t.Errorf("Stop twice, or before Start: %v", err)
		}
		if w.Start(t.Context()) == nil {
			t.Error("Start after Stop is no error")
		}
	})
}

func TestStopGivesJobsBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		running := make(chan struct{})
		k := Register(w.Queue, "stubborn", func(ctx context.Context, _ args) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		}, Options{MaxAttempts: 1})
		id := insertJob(t, d, k, 1)
		w.start(t)
		<-running
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Stop: %v", err)
		}
		if st, failures, _ := row(t, d, id); st != stateLive || failures != 0 {
			t.Errorf("%s with %d failures; want live, and not its failure", st, failures)
		}
		next := setup(t, d, Config{}) // takes it at once, without waiting for a lease to end
		Register(next.Queue, "stubborn", func(context.Context, args) error { return nil }, Options{})
		next.start(t)
		if got := <-next.ended; got != id {
			t.Errorf("ran %s", got)
		}
	})
}

func TestInsertRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		Register(w.Queue, "known", func(context.Context, string) error { return nil }, Options{})
		for name, c := range map[string]struct {
			kind string
			args any
		}{
			"unknown kind": {"unknwon", "x"}, "not JSON": {"known", make(chan int)}, "too long": {"known", strings.Repeat("x", MaxArgs)},
		} {
			err := d.Tx(t.Context(), func(tx *db.Tx) error { _, err := w.Insert(t.Context(), tx, c.kind, c.args); return err })
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func TestJobsWithArgumentsOfAnotherTimeEndDead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		Register(w.Queue, "typed", func(context.Context, args) error { t.Error("ran"); return nil }, Options{})
		var id kernel.ID
		err := d.Tx(t.Context(), func(tx *db.Tx) (err error) { id, err = w.Insert(t.Context(), tx, "typed", "text"); return err })
		if err != nil {
			t.Fatal(err)
		}
		w.start(t)
		<-w.ended
		if st, _, _ := row(t, d, id); st != stateDead {
			t.Errorf("state %s, want dead", st)
		}
	})
}

func TestTablesNamesEveryColumn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		live, err := d.Columns(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		delete(live, "schema_versions")
		told := map[string][]string{}
		for table, columns := range w.Tables() {
			for column := range columns {
				told[table] = append(told[table], column)
			}
			slices.Sort(told[table])
		}
		if !reflect.DeepEqual(told, live) {
			t.Errorf("Tables() says %v, the schema has %v", told, live)
		}
	})
}
