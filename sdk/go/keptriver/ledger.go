package keptriver

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// ledger remembers which jobs were reported as new, which of them may not
// exist, and which failures were called retryable. All of it is bounded: what
// is forgotten costs a repeated event, which the server recognises.
type ledger struct {
	mu       sync.Mutex
	watching bool
	held     map[int64]*heldRow  // inserted, commit not seen yet
	now, old map[int64]time.Time // reported as new: id and time of creation; two generations
	retry    map[int64]int       // attempts that were reported as "will be retried"
}

const (
	generation   = 8192
	maxHeld      = 10_000
	firstLook    = time.Second      // most jobs have started by then and need no look
	longestLook  = time.Minute      // between two looks at the same job
	forgetAfter  = 10 * time.Minute // no transaction is open that long
	looksPerTime = 500              // ids per query
)

type heldRow struct {
	row   *rivertype.JobRow
	since time.Time
	next  time.Time // when to look for it
}

// hold keeps a job back until its commit is seen. It reports false when nobody is looking.
func (l *ledger) hold(row *rivertype.JobRow) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.watching || len(l.held) >= maxHeld {
		return false
	}
	now := time.Now()
	l.held[row.ID] = &heldRow{row, now, now.Add(firstLook)} // an earlier holder of the id was rolled back
	return true
}

// first reports whether the job has not been reported as new before, and notes that it is now.
func (l *ledger) first(row *rivertype.JobRow) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[row.ID]; h != nil && h.row.CreatedAt.Equal(row.CreatedAt) {
		delete(l.held, row.ID)
	}
	for _, seen := range []map[int64]time.Time{l.now, l.old} {
		if at, ok := seen[row.ID]; ok && at.Equal(row.CreatedAt) {
			return false
		}
	}
	if l.now == nil || len(l.now) >= generation {
		l.now, l.old = make(map[int64]time.Time), l.now
	}
	l.now[row.ID] = row.CreatedAt
	return true
}

// due returns the held jobs it is time to look for; with all set, every one.
// Jobs that have been held for too long are forgotten.
func (l *ledger) due(now time.Time, all bool) (ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, h := range l.held {
		if now.Sub(h.since) > forgetAfter {
			delete(l.held, id)
			continue
		}
		if (all || !h.next.After(now)) && len(ids) < looksPerTime {
			h.next = now.Add(min(2*h.next.Sub(h.since), longestLook))
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *ledger) anyHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0
}

// heldAs returns the held job, as it was inserted, whose row was found; nil if
// the row is of another job with the same id, which SQLite gives again after a rollback.
func (l *ledger) heldAs(found *rivertype.JobRow) *rivertype.JobRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[found.ID]
	if h == nil || h.row.Kind != found.Kind || !h.row.CreatedAt.Equal(found.CreatedAt) {
		return nil
	}
	return h.row
}

func (l *ledger) retrying(row *rivertype.JobRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.watching {
		return
	}
	if len(l.retry) >= maxHeld {
		clear(l.retry)
	}
	l.retry[row.ID] = row.Attempt
}

// settled forgets a retryable failure and reports whether there was one for this attempt.
func (l *ledger) settled(row *rivertype.JobRow) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	attempt, ok := l.retry[row.ID]
	delete(l.retry, row.ID)
	return ok && attempt == row.Attempt
}

func (l *ledger) watch(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching, l.held, l.retry = on, make(map[int64]*heldRow), make(map[int64]int)
}

type holdKey struct{}

// held are jobs that were inserted under one [Hold].
type held struct {
	mu   sync.Mutex
	jobs []func()
}

// Hold returns a context for inserting jobs in a transaction of one's own, and
// a function to call after the commit, which reports them as waiting. After a
// rollback it must not be called.
//
//	ctx, committed := keptriver.Hold(ctx)
//	riverClient.InsertTx(ctx, tx, args, nil)
//	if err := tx.Commit(); err == nil {
//		committed()
//	}
//
// A job that starts before that is reported when it starts.
func Hold(ctx context.Context) (context.Context, func()) {
	h := &held{}
	return context.WithValue(ctx, holdKey{}, h), h.report
}

func heldIn(ctx context.Context) *held {
	h, _ := ctx.Value(holdKey{}).(*held)
	return h
}

func (h *held) add(hook *Hook, row *rivertype.JobRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs = append(h.jobs, func() { hook.reportNew(row) })
}

func (h *held) report() {
	h.mu.Lock()
	jobs := h.jobs
	h.jobs = nil
	h.mu.Unlock()
	for _, report := range jobs {
		report()
	}
}
