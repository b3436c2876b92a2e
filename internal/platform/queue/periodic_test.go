package queue

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
)

func TestPeriodicJobsRunOncePerSlot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, d *db.DB) {
		var mu sync.Mutex
		var hours []string
		note := func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			hours = append(hours, time.Now().UTC().Format("02 15:04"))
			return nil
		}
		one, two := setup(t, d, Config{Poll: time.Minute}), setup(t, d, Config{Poll: time.Minute})
		for _, w := range []*world{one, two} {
			Every(w.Queue, "daily", 24*time.Hour, 3*time.Hour, note, Options{})
			w.start(t)
		}
		time.Sleep(3*24*time.Hour - time.Minute) // the fake clock begins on 2000-01-01 at midnight
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"01 00:00", "01 03:00", "02 03:00", "03 03:00"}; !slices.Equal(hours, want) {
			t.Errorf("ran at %v, want %v", hours, want)
		}
		var rows int
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs`).Scan(&rows); err != nil || rows > 2 {
			t.Errorf("%d rows of jobs are left, %v; want those of the last day", rows, err)
		}
	})
}

func TestPeriodicJobsDoNotPileUpAndMakeUpOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, d *db.DB) {
		runs := 0
		open := func() *world {
			w := setup(t, d, Config{Poll: time.Minute})
			Every(w.Queue, "hourly", time.Hour, 0, func(context.Context) error {
				runs++
				time.Sleep(140 * time.Minute) // over two slots
				return nil
			}, Options{Timeout: 24 * time.Hour})
			w.start(t)
			return w
		}
		first := open()
		<-first.ended // inserted at 0:00, ended at 2:20
		if err := first.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Hour) // nothing runs until 12:20
		second := open()
		<-second.ended
		if runs != 2 {
			t.Errorf("%d runs, want one at first and one that makes up for the slots missed", runs)
		}
	})
}

// TestASlotIsInsertedOnce ends the job of a slot before another instance comes to the same slot, or to an older one.
func TestASlotIsInsertedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, Config{})
		Every(w.Queue, "hourly", time.Hour, 0, func(context.Context) error { return nil }, Options{})
		slot := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for i, c := range []struct {
			slot time.Time
			jobs int
		}{{slot, 1}, {slot, 1}, {slot.Add(-time.Hour), 1}, {slot.Add(time.Hour), 2}} {
			var jobs int
			err := d.Tx(t.Context(), func(tx *db.Tx) error {
				if err := w.insertSlot(t.Context(), tx, "hourly", c.slot); err != nil {
					return err
				}
				if _, err := tx.Exec(t.Context(), `UPDATE queue_jobs SET state = 'done'`); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), `SELECT count(*) FROM queue_jobs`).Scan(&jobs)
			})
			if err != nil || jobs != c.jobs {
				t.Errorf("step %d: %d jobs, %v; want %d", i, jobs, err, c.jobs)
			}
		}
	})
}

func TestSlot(t *testing.T) {
	t.Parallel()
	p := period{interval: time.Hour, offset: 20 * time.Minute}
	for in, want := range map[string]string{
		"2026-03-01T12:20:00Z": "2026-03-01T12:20:00Z", "2026-03-01T12:19:59Z": "2026-03-01T11:20:00Z",
		"1970-01-01T00:00:00Z": "1969-12-31T23:20:00Z", "1969-12-31T23:19:59Z": "1969-12-31T22:20:00Z",
	} {
		at, _ := time.Parse(time.RFC3339, in)
		if got := p.slot(at).Format(time.RFC3339); got != want {
			t.Errorf("slot of %s is %s, want %s", in, got, want)
		}
	}
}
