// Package accesslog keeps the server's request log in a table: who asked for what, when, from where, and how it ended.
// It takes requests from package httpx without ever making one wait, writes them in batches, and counts what it had to
// drop. Requests of machines, which come by the thousand, are summed up per minute, client and outcome.
package accesslog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

const (
	queueLength = 8192            // entries that may wait for the writer
	batchRows   = 1000            // rows after which the writer does not wait any longer
	flushEvery  = time.Second     // how old a row gets before it is written
	sumFor      = time.Minute     // how long requests of machines are summed up
	maxSums     = 2000            // distinct sums held; more are written early
	stopWithin  = 5 * time.Second // for the last batch when the server stops
)

// Log is the access log. Make it with New, then Start it; Write before that queues.
type Log struct {
	db      *db.DB
	logger  *slog.Logger
	entries chan httpx.Entry
	flushes chan chan error
	dropped atomic.Uint64
	stop    context.CancelFunc
	done    chan struct{}
	once    sync.Once
}

var _ httpx.AccessLog = (*Log)(nil)

// New makes a Log that writes to d, whose schema must have Migrations.
func New(d *db.DB, logger *slog.Logger) *Log {
	return &Log{
		db: d, logger: logger, entries: make(chan httpx.Entry, queueLength), flushes: make(chan chan error), done: make(chan struct{}),
	}
}

// Write queues an entry. When the writer cannot keep up the entry is dropped and counted.
func (l *Log) Write(e httpx.Entry) {
	select {
	case l.entries <- e:
	default:
		l.dropped.Add(1)
	}
}

// Dropped is how many requests are missing from the log because the writer could not keep up, or could not write.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Start begins to write. Starting twice is the same as once.
func (l *Log) Start(context.Context) error {
	l.once.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		l.stop = cancel
		go l.run(ctx)
	})
	return nil
}

// Stop writes what is queued and ends. It may be called again, and without Start.
func (l *Log) Stop(ctx context.Context) error {
	l.once.Do(func() { l.stop = func() {}; close(l.done) })
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Flush writes everything that was queued before, unfinished sums included.
func (l *Log) Flush(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case l.flushes <- answer:
		return <-answer
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) run(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	b := newBatch()
	for {
		select {
		case e := <-l.entries:
			if b.add(e); len(b.rows) >= batchRows {
				_ = l.write(ctx, b) // logged and counted there
			}
		case now := <-tick.C:
			b.closeSums(now.Add(-sumFor))
			_ = l.write(ctx, b)
		case answer := <-l.flushes:
			answer <- l.writeAll(ctx, b)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
			defer cancel()
			_ = l.writeAll(last, b)
			return
		}
	}
}

func (l *Log) writeAll(ctx context.Context, b *batch) error {
	for {
		select {
		case e := <-l.entries:
			b.add(e)
			continue
		default:
		}
		b.closeSums(time.Time{})
		return l.write(ctx, b)
	}
}

// write inserts the batch's rows. A batch that cannot be written is dropped: keeping it would fill the memory for as
// long as the database is away.
func (l *Log) write(ctx context.Context, b *batch) error {
	if len(b.rows) == 0 {
		return nil
	}
	err := insert(ctx, l.db, b.rows)
	if err != nil && ctx.Err() == nil {
		l.dropped.Add(uint64(len(b.rows)))
		l.logger.Error("access log could not be written", "rows", len(b.rows), "error", err)
	}
	b.rows = b.rows[:0]
	return err
}
