package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

type state string

const (
	stateLive state = "live"
	stateDone state = "done"
	stateDead state = "dead"
)

// outcome is what becomes of a job after an attempt.
type outcome struct {
	state    state
	failures int       // 0 leaves the count
	due      time.Time // of a live one
	err      string
}

// claim takes up to n due jobs of the registered kinds.
func (q *Queue) claim(ctx context.Context, n int) ([]*claim, error) {
	now := kernel.Micros(q.clock())
	args := []any{now}
	where := `state = 'live' AND due_at <= $1 AND kind IN (` + q.kindList(&args) + `) AND id NOT IN (` + q.runningList(&args) + `)`
	var one int // looking costs no write lock, and mostly there is nothing
	switch err := q.db.QueryRow(ctx, `SELECT 1 FROM queue_jobs WHERE `+where+` LIMIT 1`, args...).Scan(&one); {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("queue: look for jobs: %w", err)
	}
	skipLocked := ""
	if q.db.Dialect() == db.Postgres {
		skipLocked = "FOR UPDATE SKIP LOCKED" // SQLite has one writer at a time
	}
	k := len(args)
	args = append(args, n, q.owner, now+q.cfg.Lease.Microseconds())
	text := fmt.Sprintf(`WITH picked AS (SELECT id FROM queue_jobs WHERE %s ORDER BY due_at, id LIMIT $%d %s)
		UPDATE queue_jobs SET claims = claims + 1, lost = lost + CASE WHEN lease = '' THEN 0 ELSE 1 END, lease = $%d, due_at = $%d
		WHERE id IN (SELECT id FROM picked)
		RETURNING id, kind, args, failures, max_attempts, claims, lost`, where, k+1, skipLocked, k+2, k+3)
	var out []*claim
	err := q.db.Tx(ctx, func(tx *db.Tx) (err error) {
		out, err = q.readClaims(ctx, tx, text, args)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: take jobs: %w", err)
	}
	return out, nil
}

// kindList appends the registered kinds to args and returns their placeholders.
func (q *Queue) kindList(args *[]any) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := []string{"''"} // no kind's name, so that the list is never empty
	for name := range q.kinds {
		*args = append(*args, name)
		list = append(list, fmt.Sprintf("$%d", len(*args)))
	}
	return strings.Join(list, ", ")
}

// runningList is kindList for the jobs that run here. After a leap of the clock, or a sleep of the machine, their leases
// seem to have ended; the next heartbeat mends that, unless another instance was faster.
func (q *Queue) runningList(args *[]any) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := []string{"''"}
	for id := range q.running {
		*args = append(*args, id)
		list = append(list, fmt.Sprintf("$%d", len(*args)))
	}
	return strings.Join(list, ", ")
}

func (q *Queue) readClaims(ctx context.Context, tx *db.Tx, text string, args []any) (out []*claim, err error) {
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		c := &claim{owner: q.owner}
		if err := rows.Scan(&c.id, &c.kindName, &c.args, &c.failures, &c.maxAttempts, &c.number, &c.lost); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// finish records the outcome of an attempt, unless the lease was lost.
func (q *Queue) finish(ctx context.Context, c *claim, out outcome) error {
	return q.db.Tx(ctx, func(tx *db.Tx) error { return finish(ctx, tx, c, out, q.clock()) })
}

func finish(ctx context.Context, tx *db.Tx, c *claim, out outcome, now time.Time) error {
	finishedAt := kernel.Micros(now)
	if out.state == stateLive {
		finishedAt = 0
	}
	n, err := tx.Exec(ctx, `UPDATE queue_jobs SET state = $1, lease = '', due_at = $2, finished_at = $3,
			failures = CASE WHEN $4 = 0 THEN failures ELSE $4 END, last_error = CASE WHEN $5 = '' THEN last_error ELSE $5 END
		WHERE id = $6 AND state = 'live' AND lease = $7 AND claims = $8`,
		out.state, kernel.Micros(out.due), finishedAt, int64(out.failures), cut(out.err), c.id, c.owner, c.number)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrLeaseLost
	}
	return nil
}

// cut makes an error's text storable: short, valid UTF-8, without the NUL bytes that PostgreSQL refuses.
func cut(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= maxError {
		return text
	}
	end := maxError
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// Complete ends the job whose context this is, in tx: the job's effects and its end are committed together, so they
// happen exactly once. If another process has taken the job over it returns ErrLeaseLost: return that, so that tx rolls
// back. After the commit the job's function must return nil.
func Complete(ctx context.Context, tx *db.Tx) error {
	c, ok := ctx.Value(claimKey{}).(*claim)
	if !ok {
		return errors.New("queue: Complete outside of a job")
	}
	if err := finish(ctx, tx, c, outcome{state: stateDone}, tx.Now()); err != nil {
		return err
	}
	tx.AfterCommit(func() { c.completed.Store(true) })
	return nil
}

// renew extends the leases of running jobs. A job whose lease was lost has its context ended.
func (q *Queue) renew(ctx context.Context, running []*claim) error {
	if len(running) == 0 {
		return nil
	}
	until := kernel.Micros(q.clock().Add(q.cfg.Lease))
	return q.db.Tx(ctx, func(tx *db.Tx) error {
		for _, c := range running {
			n, err := tx.Exec(ctx, `UPDATE queue_jobs SET due_at = $1 WHERE id = $2 AND state = 'live' AND lease = $3 AND claims = $4`,
				until, c.id, c.owner, c.number)
			if err != nil {
				return err
			}
			if n == 0 {
				tx.AfterCommit(func() { q.leaseGone(c) })
			}
		}
		return nil
	})
}

// leaseGone ends a job's context, unless the lease is gone because the job has ended since it was listed.
func (q *Queue) leaseGone(c *claim) {
	if !c.completed.Load() {
		c.cancel(ErrLeaseLost)
	}
}

// sweep deletes the rows of jobs that ended long ago.
func (q *Queue) sweep(ctx context.Context, now time.Time) error {
	return q.db.Tx(ctx, func(tx *db.Tx) error {
		// Not a CASE over the two limits: PostgreSQL would take those for text.
		_, err := tx.Exec(ctx, `DELETE FROM queue_jobs WHERE (state = 'done' AND finished_at < $1) OR (state = 'dead' AND finished_at < $2)`,
			kernel.Micros(now.Add(-keepDone)), kernel.Micros(now.Add(-keepDead)))
		return err
	})
}

// backoff is the pause before the next attempt: 1 s, 16 s, 81 s, … to the fourth power, at most a day, give or take 10 %.
func backoff(failures int) time.Duration {
	pause := 24 * time.Hour
	if failures < 18 { // 17⁴ s is just under a day
		pause = time.Duration(failures*failures*failures*failures) * time.Second
	}
	return pause*9/10 + rand.N(pause/5)
}
