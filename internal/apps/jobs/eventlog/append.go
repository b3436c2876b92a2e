package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// maxBlock is how many events a commit puts into one block at most.
const maxBlock = 8192

// queueLength is how many requests may wait for a commit before new ones are turned away.
const queueLength = 1024

// Appended tells a projection what was committed. Meta is the block's plain meta part.
type Appended struct {
	Workspace kernel.WorkspaceID
	First     int64
	Count     int
	Meta      []byte
}

// Log appends to and reads the logs of all workspaces.
type Log struct {
	db       *db.DB
	keys     Keys
	packer   *Packer
	requests chan *request
	built    chan []*block
	stopped  chan struct{}
	onAppend func(Appended)
	inFlight atomic.Int64 // callers of Append
	filters  *kernel.Cache[blockKey, []byte]
	glances  *kernel.Cache[blockKey, *glance]
}

// New makes a log. Its onAppend is called after each commit, in the order of commits, and must be quick.
func New(database *db.DB, keys Keys, packer *Packer, onAppend func(Appended)) *Log {
	return &Log{db: database, keys: keys, packer: packer, requests: make(chan *request, queueLength),
		built: make(chan []*block), stopped: make(chan struct{}), onAppend: onAppend,
		filters: kernel.NewCache[blockKey, []byte](filterBudget), glances: kernel.NewCache[blockKey, *glance](glanceBudget)}
}

// request is one caller of Append.
type request struct {
	ws      kernel.WorkspaceID
	records []Record
	done    chan error
}

// block is what one commit writes for one workspace.
type block struct {
	ws           kernel.WorkspaceID
	count        int
	span         span
	meta, bodies []byte // sealed
	plain        []byte // of meta
	requests     []*request
	first        int64 // known when committed
}

// Start begins to serve Append. Stop must have been given the chance to drain before the database closes.
func (l *Log) Start(context.Context) error {
	go l.build()
	go l.commit()
	return nil
}

// Stop waits until everything that was handed to Append is answered. No Append may begin after it.
func (l *Log) Stop(ctx context.Context) error {
	close(l.requests)
	select {
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Append makes records durable: when it returns nil they survive the death of the process. Records that are appended by
// concurrent callers share a commit. It does not end early with ctx, because the caller's buffers are in use; a full
// queue is an error at once.
func (l *Log) Append(_ context.Context, ws kernel.WorkspaceID, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	r := &request{ws: ws, records: records, done: make(chan error, 1)}
	select {
	case l.requests <- r:
		return <-r.done
	default:
		return &kernel.Error{Code: kernel.Limited, Safe: "The server is receiving more than it can store. Send this again.", RetryAfter: time.Second}
	}
}

// InFlight is how many callers wait for Append now. Work that can wait looks at it: answers come first.
func (l *Log) InFlight() int { return int(l.inFlight.Load()) }

// build gathers what waits, and compresses and seals it while the batch before is being committed.
func (l *Log) build() {
	defer close(l.built)
	var enc encoder
	var joined []Record
	for r := range l.requests {
		batch := []*request{r}
		for n := len(r.records); n < maxBlock; {
			next, ok := l.waiting()
			if !ok {
				break
			}
			batch = append(batch, next)
			n += len(next.records)
		}
		var blocks []*block
		for ws, requests := range byWorkspace(batch) {
			var b *block
			b, joined = l.buildBlock(&enc, ws, requests, joined[:0])
			if b != nil {
				blocks = append(blocks, b)
			}
		}
		if len(blocks) > 0 {
			l.built <- blocks
		}
	}
}

// waiting takes a request that is in the queue already.
func (l *Log) waiting() (*request, bool) {
	select {
	case r, ok := <-l.requests:
		return r, ok
	default:
		return nil, false
	}
}

func byWorkspace(batch []*request) map[kernel.WorkspaceID][]*request {
	out := make(map[kernel.WorkspaceID][]*request, 1)
	for _, r := range batch {
		out[r.ws] = append(out[r.ws], r)
	}
	return out
}

// buildBlock joins the records of one workspace. When that fails it answers the requests and returns nil.
func (l *Log) buildBlock(enc *encoder, ws kernel.WorkspaceID, requests []*request, joined []Record) (*block, []Record) {
	for _, r := range requests {
		joined = append(joined, r.records...)
	}
	b := &block{ws: ws, count: len(joined), span: spanOf(joined), requests: requests}
	meta, bodies := enc.encode(joined)
	box, err := l.keys.Box(context.Background(), ws)
	if err == nil {
		b.meta, err = packFast(box, labelMeta, meta)
	}
	if err == nil {
		b.bodies, err = packFast(box, labelBodies, bodies)
	}
	if err != nil {
		answer(requests, err)
		return nil, joined
	}
	b.plain = slices.Clone(meta)
	return b, joined
}

func answer(requests []*request, err error) {
	for _, r := range requests {
		r.done <- err
	}
}

// commit writes what was built, all of it in one transaction, and answers.
func (l *Log) commit() {
	defer close(l.stopped)
	for blocks := range l.built {
		err := l.db.Tx(context.Background(), func(tx *db.Tx) error {
			for _, b := range blocks {
				if err := b.insert(tx); err != nil {
					return fmt.Errorf("eventlog: append: %w", err)
				}
			}
			return nil
		})
		for _, b := range blocks {
			if err == nil && l.onAppend != nil {
				l.onAppend(Appended{Workspace: b.ws, First: b.first, Count: b.count, Meta: b.plain})
			}
			answer(b.requests, err)
		}
	}
}

// insert takes the next offsets. The row of job_streams is locked until the commit, so that on PostgreSQL too offsets
// become visible in their order.
func (b *block) insert(tx *db.Tx) error {
	ctx := context.Background()
	var next int64
	err := tx.QueryRow(ctx, `INSERT INTO job_streams (workspace_id, next_offset) VALUES ($1, $2)
		ON CONFLICT (workspace_id) DO UPDATE SET next_offset = job_streams.next_offset + $2 RETURNING next_offset`,
		b.ws, b.count).Scan(&next)
	if err != nil {
		return err
	}
	b.first = next - int64(b.count)
	return insertBlock(ctx, tx, b.ws, b.first, b.count, b.span, codecS2, nil, b.meta, b.bodies)
}

func insertBlock(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, first int64, count int, s span, c codec, words, meta, bodies []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO job_log (workspace_id, first_offset, events, min_at, max_at, first_received_at,
		last_received_at, codec, words, meta, bodies) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		ws, first, count, s.minAt, s.maxAt, s.firstReceived, s.lastReceived, int(c), words, meta, bodies)
	return err
}

// span is the range of times in a block.
type span struct{ minAt, maxAt, firstReceived, lastReceived int64 }

func spanOf(records []Record) span {
	s := span{records[0].At, records[0].At, records[0].ReceivedAt, records[0].ReceivedAt}
	for i := range records {
		s.minAt, s.maxAt = min(s.minAt, records[i].At), max(s.maxAt, records[i].At)
		s.firstReceived = min(s.firstReceived, records[i].ReceivedAt)
		s.lastReceived = max(s.lastReceived, records[i].ReceivedAt)
	}
	return s
}

// NextOffset is the offset that the next event will get: how many events the workspace has sent so far.
func (l *Log) NextOffset(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	var next int64
	err := l.db.QueryRow(ctx, `SELECT next_offset FROM job_streams WHERE workspace_id = $1`, ws).Scan(&next)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return next, err
}

// Workspaces lists the workspaces that have a log.
func (l *Log) Workspaces(ctx context.Context) ([]kernel.WorkspaceID, error) {
	rows, err := l.db.Query(ctx, `SELECT workspace_id FROM job_streams ORDER BY workspace_id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []kernel.WorkspaceID
	for rows.Next() {
		var ws kernel.WorkspaceID
		if err := rows.Scan(&ws); err != nil {
			return nil, err
		}
		out = append(out, ws)
	}
	return out, rows.Err()
}
