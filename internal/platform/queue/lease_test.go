package queue

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		k := Register(w.Queue, "effect", func(ctx context.Context, a args) error {
			err := d.Tx(ctx, func(tx *db.Tx) error {
				if err := Complete(ctx, tx); err != nil {
					return err
				}
				if a.N == 1 {
					return errors.New("rolled back")
				}
				return nil
			})
			if a.N == 2 {
				return errors.New("too late to fail")
			}
			return err
		}, Options{})
		failed, done, plain := insertJob(t, d, k, 1), insertJob(t, d, k, 2), insertJob(t, d, k, 3)
		w.start(t)
		for range 3 {
			<-w.ended
		}
		for id, want := range map[kernel.ID]state{failed: stateLive, done: stateDone, plain: stateDone} {
			if st, _, _ := row(t, d, id); st != want {
				t.Errorf("state %s, want %s", st, want)
			}
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error { return Complete(t.Context(), tx) })
		if err == nil || errors.Is(err, ErrLeaseLost) {
			t.Errorf("Complete outside of a job: %v", err)
		}
	})
}

// TestALostLeaseFences has another taker come while a job runs: the first must neither record nor commit anything.
func TestALostLeaseFences(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{Lease: 300 * time.Millisecond})
		running := make(chan struct{})
		var inTx error
		k := Register(w.Queue, "fenced", func(ctx context.Context, _ args) error {
			close(running)
			<-ctx.Done() // the heartbeat notices
			if cause := context.Cause(ctx); !errors.Is(cause, ErrLeaseLost) {
				t.Errorf("the job's context ended with %v", cause)
			}
			late := context.WithoutCancel(ctx)
			inTx = d.Tx(late, func(tx *db.Tx) error { return Complete(late, tx) })
			return nil
		}, Options{})
		id := insertJob(t, d, k, 1)
		w.start(t)
		<-running
		err := d.Tx(t.Context(), func(tx *db.Tx) error { // as another instance does after a long pause of this one
			_, err := tx.Exec(t.Context(), `UPDATE queue_jobs SET lease = 'other', claims = claims + 1, due_at = $1 WHERE id = $2`,
				kernel.Micros(time.Now().Add(time.Hour)), id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		<-w.ended
		if !errors.Is(inTx, ErrLeaseLost) {
			t.Errorf("Complete without the lease: %v, want ErrLeaseLost", inTx)
		}
		if st, _, _ := row(t, d, id); st != stateLive {
			t.Errorf("state %s: the first taker recorded its end", st)
		}
		if s, err := w.Stats(t.Context()); err != nil || s.Lost != 1 || s.Done != 0 {
			t.Errorf("Stats = %+v, %v", s, err)
		}
	})
}

func TestAJobThatKillsItsProcessesEndsDead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		k := Register(w.Queue, "poison", func(context.Context, args) error { t.Error("it ran again"); return nil }, Options{})
		id := insertJob(t, d, k, 1)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE queue_jobs SET lease = 'dead process', lost = $1 WHERE id = $2`, maxLost, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.start(t)
		<-w.ended
		if st, _, lastError := row(t, d, id); st != stateDead || !strings.Contains(lastError, "died while running") {
			t.Errorf("%s: %q", st, lastError)
		}
	})
}

// TestALeapOfTheClockIsNoDeath moves the clock past the lease of a job that runs here, as a machine does that slept.
func TestALeapOfTheClockIsNoDeath(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var leap atomic.Int64
		w := setup(t, d, Config{Poll: time.Millisecond, Clock: func() time.Time { return time.Now().Add(time.Duration(leap.Load())) }})
		running, release, other := make(chan struct{}), make(chan struct{}), make(chan struct{})
		k := Register(w.Queue, "long", func(ctx context.Context, a args) error {
			if a.N == 2 {
				close(other)
				return nil
			}
			close(running) // panics when it runs again
			<-release
			return ctx.Err()
		}, Options{})
		long := insertJob(t, d, k, 1)
		w.start(t)
		<-running
		leap.Store(int64(24 * time.Hour))
		insertJob(t, d, k, 2)
		<-other // so the loop has looked for jobs since
		close(release)
		for range 2 {
			<-w.ended
		}
		if st, failures, lastError := row(t, d, long); st != stateDone || failures != 0 {
			t.Errorf("%s after %d failures: %q", st, failures, lastError)
		}
		if s, err := w.Stats(t.Context()); err != nil || s.Done != 2 || s.Lost != 0 {
			t.Errorf("Stats = %+v, %v", s, err)
		}
	})
}

func TestSweepDeletesWhatEndedLongAgo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		k := Register(w.Queue, "note", func(context.Context, args) error { return nil }, Options{})
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		stays := map[kernel.ID]bool{}
		for _, c := range []struct {
			state state
			age   time.Duration
			stays bool
		}{
			{stateLive, 0, true},
			{stateDone, keepDone - time.Second, true}, {stateDone, keepDone + time.Second, false},
			{stateDead, keepDead - time.Second, true}, {stateDead, keepDead + time.Second, false},
		} {
			id := insertJob(t, d, k, 1)
			stays[id] = c.stays
			finished := kernel.Micros(now.Add(-c.age))
			if c.state == stateLive {
				finished = 0
			}
			err := d.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE queue_jobs SET state = $1, finished_at = $2 WHERE id = $3`, c.state, finished, id)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.sweep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		for id, want := range stays {
			var n int
			if err := d.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs WHERE id = $1`, id).Scan(&n); err != nil || (n == 1) != want {
				t.Errorf("%d rows are left, %v; want it to stay: %v", n, err, want)
			}
		}
	})
}
