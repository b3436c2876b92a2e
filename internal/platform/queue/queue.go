// Package queue does background work that must survive a crash: mail to send, exports to write, sweeps to run. A job
// is a row that is inserted in the same transaction as what it follows from, and runs at least once after that
// transaction has committed, on whichever instance takes it first. A job whose effects are rows too commits them
// together with its own end (Complete), so they happen exactly once.
//
// docs/adr/0003-background-work.md says why this is a table of our own. Arguments and error texts lie in the database
// in clear: put ids into them, never content or secrets.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Config says how a queue works. Zero values are the defaults.
type Config struct {
	DB      *db.DB
	Logger  *slog.Logger  // nil is slog.Default()
	Clock   kernel.Clock  // nil is the system clock; instances may differ by a part of Lease
	Workers int           // jobs at once on this instance; default 4
	Poll    time.Duration // how often to look for jobs that other instances inserted; default 1 s
	Lease   time.Duration // how long after its process died a job is taken by another; default 30 s
}

// Options describe a kind of job. Zero values are the defaults.
type Options struct {
	Timeout     time.Duration // after which the job's context ends and the attempt has failed; default 10 min
	MaxAttempts int           // failures until the job is dead; default 10, about seven hours
}

// Limits.
const (
	MaxArgs  = 64 << 10            // bytes of JSON
	maxLost  = 50                  // processes that may die while running a job before it is taken for the cause
	maxError = 500                 // bytes of an error text that are stored
	keepDone = 24 * time.Hour      // how long a finished job's row stays
	keepDead = 30 * 24 * time.Hour // how long a dead one's does
)

var (
	// ErrLeaseLost says that another process took the job over, because this one did not renew its lease in time.
	ErrLeaseLost = errors.New("queue: the job was taken over by another process")
	errStopping  = errors.New("queue: stopping")
)

// Queue runs jobs. Register kinds before Start; insert at any time.
type Queue struct {
	cfg    Config
	db     *db.DB
	logger *slog.Logger
	clock  kernel.Clock
	owner  string // names this queue's leases

	mu       sync.Mutex
	kinds    map[string]kind
	periods  []period
	started  bool
	stopped  bool
	running  map[kernel.ID]*claim
	free     int
	poke     chan struct{}
	idle     chan struct{} // closed when stopped and nothing runs
	stopLoop context.CancelFunc
	stopBeat context.CancelFunc
	loops    sync.WaitGroup

	done, failed, lost atomic.Int64
	finished           func(kernel.ID) // for tests: told after each attempt
}

// kind is a registered kind of job.
type kind struct {
	run  func(ctx context.Context, args []byte) error
	opts Options
}

// New makes a queue. Its tables must have been migrated before the first insert or Start.
func New(cfg Config) *Queue {
	cfg.Workers = orDefault(cfg.Workers, 4)
	cfg.Poll = orDefault(cfg.Poll, time.Second)
	cfg.Lease = orDefault(cfg.Lease, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	return &Queue{
		cfg: cfg, db: cfg.DB, logger: cfg.Logger, clock: cfg.Clock, owner: kernel.NewID(cfg.Clock()).String(),
		kinds: map[string]kind{}, running: map[kernel.ID]*claim{}, free: cfg.Workers, poke: make(chan struct{}, 1),
		idle: make(chan struct{}), finished: func(kernel.ID) {},
	}
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Kind inserts jobs of one kind with arguments of the right type.
type Kind[T any] struct {
	q    *Queue
	name string
}

// Insert adds a job that runs once tx has committed.
func (k Kind[T]) Insert(ctx context.Context, tx *db.Tx, args T) (kernel.ID, error) {
	return k.q.Insert(ctx, tx, k.name, args)
}

// InsertAt adds a job that runs at the given time or as soon as possible after it.
func (k Kind[T]) InsertAt(ctx context.Context, tx *db.Tx, at time.Time, args T) (kernel.ID, error) {
	return k.q.InsertAt(ctx, tx, at, k.name, args)
}

// Register says how jobs of a kind run. T is written as JSON; keep old rows readable when it changes. run may be called
// more than once for a job, see Complete; it must end soon after its context. Registering a kind twice, or after Start,
// is a mistake in the program and panics.
func Register[T any](q *Queue, name string, run func(ctx context.Context, args T) error, opts Options) Kind[T] {
	q.register(name, opts, func(ctx context.Context, raw []byte) error {
		var args T
		if err := json.Unmarshal(raw, &args); err != nil {
			return Permanent(fmt.Errorf("queue: arguments of %s: %w", name, err))
		}
		return run(ctx, args)
	})
	return Kind[T]{q: q, name: name}
}

func (q *Queue) register(name string, opts Options, run func(context.Context, []byte) error) {
	opts.Timeout = orDefault(opts.Timeout, 10*time.Minute)
	opts.MaxAttempts = orDefault(opts.MaxAttempts, 10)
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, twice := q.kinds[name]; twice || q.started || name == "" {
		panic("queue: kind " + name + " is registered twice, too late or without a name")
	}
	q.kinds[name] = kind{run: run, opts: opts}
}

// Insert adds a job that runs once tx has committed; if tx rolls back there is no job. The kind must be registered.
func (q *Queue) Insert(ctx context.Context, tx *db.Tx, kind string, args any) (kernel.ID, error) {
	return q.InsertAt(ctx, tx, q.clock(), kind, args)
}

// InsertAt is Insert for a job that runs at the given time or as soon as possible after it.
func (q *Queue) InsertAt(ctx context.Context, tx *db.Tx, at time.Time, kind string, args any) (kernel.ID, error) {
	q.mu.Lock()
	k, known := q.kinds[kind]
	q.mu.Unlock()
	if !known {
		return "", fmt.Errorf("queue: kind %q is not registered", kind)
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return "", fmt.Errorf("queue: arguments of %s: %w", kind, err)
	}
	if len(raw) > MaxArgs {
		return "", fmt.Errorf("queue: arguments of %s are %d bytes, at most %d", kind, len(raw), MaxArgs)
	}
	now := q.clock()
	id := kernel.NewID(now)
	_, err = tx.Exec(ctx, `INSERT INTO queue_jobs (id, kind, args, state, max_attempts, due_at, created_at)
		VALUES ($1, $2, $3, 'live', $4, $5, $6)`, id, kind, raw, k.opts.MaxAttempts, kernel.Micros(at), kernel.Micros(now))
	if err != nil {
		return "", fmt.Errorf("queue: insert: %w", err)
	}
	tx.AfterCommit(q.wake)
	return id, nil
}

// wake makes the loop look for work now.
func (q *Queue) wake() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// permanent is an error that another attempt would not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that another attempt would not mend: the job is dead at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}
