package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// period is a registered periodic job.
type period struct {
	kind     string
	interval time.Duration
	offset   time.Duration
	last     time.Time // the slot that this process last saw inserted; only the loop uses it
}

// Every runs a job once per slot on one of the instances. Slots are interval long, counted from the Unix epoch (UTC)
// plus offset: 24 h and 3 h is every day at 03:00 UTC. Slots that passed while nothing ran are made up for by one run,
// and a slot in which the job of an earlier one still waits or runs is left out.
func Every(q *Queue, kind string, interval, offset time.Duration, run func(ctx context.Context) error, opts Options) {
	if interval < time.Second {
		panic("queue: the interval of " + kind + " is under a second")
	}
	q.register(kind, opts, func(ctx context.Context, _ []byte) error { return run(ctx) })
	q.mu.Lock()
	defer q.mu.Unlock()
	q.periods = append(q.periods, period{kind: kind, interval: interval, offset: offset})
}

// slot is the beginning of the slot that holds now.
func (p *period) slot(now time.Time) time.Time {
	us := now.UnixMicro() - p.offset.Microseconds()
	length := p.interval.Microseconds()
	us -= ((us % length) + length) % length
	return time.UnixMicro(us + p.offset.Microseconds()).UTC()
}

// insertPeriodic inserts the jobs of slots that have begun.
func (q *Queue) insertPeriodic(ctx context.Context) error {
	for i := range q.periods { // fixed since Start
		p := &q.periods[i]
		slot := p.slot(q.clock())
		if slot.Equal(p.last) {
			continue
		}
		err := q.db.Tx(ctx, func(tx *db.Tx) error { return q.insertSlot(ctx, tx, p.kind, slot) })
		if err != nil {
			return fmt.Errorf("queue: periodic job %s: %w", p.kind, err)
		}
		p.last = slot
	}
	return nil
}

// insertSlot inserts the job of a slot, unless another instance did. The slot is a row of its own, because a job's row
// is deleted a day after it is done.
func (q *Queue) insertSlot(ctx context.Context, tx *db.Tx, kind string, slot time.Time) error {
	won, err := tx.Exec(ctx, `INSERT INTO queue_periods (kind, slot_at) VALUES ($1, $2)
		ON CONFLICT (kind) DO UPDATE SET slot_at = excluded.slot_at WHERE queue_periods.slot_at < excluded.slot_at`,
		kind, kernel.Micros(slot))
	if err != nil || won == 0 {
		return err
	}
	var unfinished int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM queue_jobs WHERE kind = $1 AND state = 'live'`, kind).Scan(&unfinished); err != nil {
		return err
	}
	if unfinished > 0 {
		return nil
	}
	_, err = q.Insert(ctx, tx, kind, struct{}{})
	return err
}
