package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Stats are figures for /metrics and the operator's page.
type Stats struct {
	// Of the database, so of all instances.
	Waiting    int64         // due, and not running
	Scheduled  int64         // due later, retries included
	Running    int64         // leased to an instance, dead ones that nobody noticed yet included
	Dead       int64         // given up within the last 30 days
	OldestWait time.Duration // how long the first of the waiting has been due

	// Of this process, since it started.
	Done, Failed, Lost int64 // attempts
}

// Stats reads the figures.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	now := kernel.Micros(q.clock())
	s := Stats{Done: q.done.Load(), Failed: q.failed.Load(), Lost: q.lost.Load()}
	var oldest int64
	err := q.db.QueryRow(ctx, `SELECT
			coalesce(sum(CASE WHEN state = 'live' AND lease = '' AND due_at <= $1 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN state = 'live' AND lease = '' AND due_at > $1 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN state = 'live' AND lease <> '' THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN state = 'dead' THEN 1 ELSE 0 END), 0),
			coalesce(min(CASE WHEN state = 'live' AND lease = '' AND due_at <= $1 THEN due_at END), $1)
		FROM queue_jobs WHERE state <> 'done'`, now).Scan(&s.Waiting, &s.Scheduled, &s.Running, &s.Dead, &oldest)
	if err != nil {
		return Stats{}, fmt.Errorf("queue: stats: %w", err)
	}
	s.OldestWait = time.Duration(now-oldest) * time.Microsecond
	return s, nil
}

// Job is a dead job, as the operator sees it.
type Job struct {
	ID         kernel.ID
	Kind       string
	Failures   int
	LastError  string
	CreatedAt  time.Time
	FinishedAt time.Time
}

// Dead lists jobs that were given up, newest first, at most limit.
func (q *Queue) Dead(ctx context.Context, limit int) ([]Job, error) {
	rows, err := q.db.Query(ctx, `SELECT id, kind, failures, last_error, created_at, finished_at FROM queue_jobs
		WHERE state = 'dead' ORDER BY finished_at DESC, id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("queue: dead jobs: %w", err)
	}
	defer rows.Close()
	var out []Job
	for rows.Next() {
		var j Job
		var created, finished int64
		if err := rows.Scan(&j.ID, &j.Kind, &j.Failures, &j.LastError, &created, &finished); err != nil {
			return nil, fmt.Errorf("queue: dead jobs: %w", err)
		}
		j.CreatedAt, j.FinishedAt = kernel.FromMicros(created), kernel.FromMicros(finished)
		out = append(out, j)
	}
	return out, rows.Err()
}

// Retry gives a dead job another full set of attempts. A job that is not dead is a NotFound.
func (q *Queue) Retry(ctx context.Context, tx *db.Tx, id kernel.ID) error {
	n, err := tx.Exec(ctx, `UPDATE queue_jobs SET state = 'live', failures = 0, lost = 0, finished_at = 0, due_at = $1
		WHERE id = $2 AND state = 'dead'`, kernel.Micros(q.clock()), id)
	if err != nil {
		return fmt.Errorf("queue: retry: %w", err)
	}
	if n == 0 {
		return kernel.Errorf(kernel.NotFound, "There is no such dead job.")
	}
	tx.AfterCommit(q.wake)
	return nil
}
