package index

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/kernel"
)

// inboxBudget bounds the committed blocks that wait in memory to be folded, bytes. Beyond it the projector reads them
// back from the log.
const inboxBudget = 64 << 20

// Projector keeps the index up to date with the log.
type Projector struct {
	index    *Index
	logger   *slog.Logger
	onChange func(kernel.WorkspaceID) // after events were folded; must be quick
	wake     chan struct{}

	mu    sync.Mutex
	inbox map[kernel.WorkspaceID][]eventlog.Appended
	bytes int

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// NewProjector makes a projector. Give its Appended method to the log.
func NewProjector(logger *slog.Logger, onChange func(kernel.WorkspaceID)) *Projector {
	return &Projector{logger: logger, onChange: onChange, wake: make(chan struct{}, 1), inbox: map[kernel.WorkspaceID][]eventlog.Appended{}}
}

// Appended takes note of a commit. A block for which there is no room is left out; a hint that there is one stays.
func (p *Projector) Appended(a eventlog.Appended) {
	p.mu.Lock()
	if p.bytes+len(a.Meta) > inboxBudget {
		a.Meta = nil
	}
	p.bytes += len(a.Meta)
	p.inbox[a.Workspace] = append(p.inbox[a.Workspace], a)
	p.mu.Unlock()
	p.Wake()
}

// Wake makes the projector look at its inbox now.
func (p *Projector) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Nudge says that another instance has appended to a workspace's log.
func (p *Projector) Nudge(ws kernel.WorkspaceID) { p.Appended(eventlog.Appended{Workspace: ws}) }

// Start folds in the background until Stop.
func (p *Projector) Start(ctx context.Context, index *Index) error {
	p.index = index
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.done.Go(func() { p.run(ctx) })
	p.done.Go(func() { p.maintain(ctx) })
	return nil
}

// Stop ends the background work. What is not folded or flushed is folded again at the next start.
func (p *Projector) Stop(context.Context) error {
	if p.cancel != nil {
		p.cancel()
	}
	p.done.Wait()
	return nil
}

func (p *Projector) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		p.giveWay(ctx)
		for ws, blocks := range p.take() {
			if err := p.fold(ctx, ws, blocks); err != nil && ctx.Err() == nil {
				p.logger.Error("jobs: events are stored but not yet visible", "workspace", ws, "error", err)
			}
		}
	}
}

// How folding gives way to answers when there is more to do than processors can. A burst is acknowledged first, because
// agents throw away what is not, and becomes visible right behind it; under a lasting overload what is visible is never
// further behind than this, and answers slow down instead.
const (
	maxBehind      = 2 * time.Second
	maxBehindBytes = inboxBudget / 2
	lookAgain      = 5 * time.Millisecond
	late           = time.Millisecond // a timer that fires later than this had to wait for a processor
)

// giveWay waits while requests wait for their answers and there is no processor to spare.
func (p *Projector) giveWay(ctx context.Context) {
	for end := time.Now().Add(maxBehind); time.Now().Before(end) && p.index.log.InFlight() > 0; {
		p.mu.Lock()
		full := p.bytes > maxBehindBytes
		p.mu.Unlock()
		asked := time.Now()
		timer := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if full || time.Since(asked) < lookAgain+late {
			return
		}
	}
}

func (p *Projector) take() map[kernel.WorkspaceID][]eventlog.Appended {
	p.mu.Lock()
	defer p.mu.Unlock()
	inbox := p.inbox
	p.inbox, p.bytes = map[kernel.WorkspaceID][]eventlog.Appended{}, 0
	return inbox
}

// fold brings a workspace up to date: from memory where the blocks follow each other, else from the log.
func (p *Projector) fold(ctx context.Context, ws kernel.WorkspaceID, blocks []eventlog.Appended) error {
	s, err := p.index.shard(ctx, ws)
	if err != nil {
		return err
	}
	s.work.Lock()
	err = s.follow(ctx, blocks)
	if errors.Is(err, errOvertaken) {
		err = errors.Join(s.load(ctx), s.catchUp(ctx))
	}
	s.work.Unlock()
	if p.onChange != nil {
		p.onChange(ws)
	}
	return err
}

func (s *shard) follow(ctx context.Context, blocks []eventlog.Appended) error {
	for _, b := range blocks {
		if b.Meta == nil || b.First > s.next {
			return s.catchUp(ctx)
		}
		if b.First < s.next {
			continue
		}
		records, err := eventlog.DecodeMeta(b.Meta, b.First, s.records)
		if err != nil {
			return err
		}
		s.records = records
		if err := s.apply(ctx, records); err != nil {
			return err
		}
		if err := s.flushIfLarge(ctx); err != nil {
			return err
		}
	}
	return nil
}

// CatchUp folds what is in the log now. Tests and rebuilds call it; a running server does so by itself.
func (x *Index) CatchUp(ctx context.Context, ws kernel.WorkspaceID) error {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	if err = s.catchUp(ctx); errors.Is(err, errOvertaken) {
		err = errors.Join(s.load(ctx), s.catchUp(ctx))
	}
	return err
}

// Folded is the offset up to which a workspace's events are visible.
func (x *Index) Folded(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.next, nil
}

// reload forgets what is in memory and reads it again, after another process has changed what is stored.
func (x *Index) reload(ctx context.Context, s *shard) error {
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.catchUp(ctx)
}

// Times of the background work.
const (
	maintainEvery = time.Second
	flushAfter    = 5 * time.Minute // a quiet head becomes a segment, so that a restart has little to fold
)

func (p *Projector) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, s := range p.index.loaded() {
			for more := true; more && ctx.Err() == nil; {
				var err error
				if more, err = s.maintainOnce(ctx); err != nil && ctx.Err() == nil {
					p.logger.Warn("jobs: background work failed and will be tried again", "workspace", s.ws, "error", err)
					break
				}
			}
		}
	}
}

func (x *Index) loaded() []*shard {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []*shard
	for _, s := range x.shards {
		s.mu.RLock()
		if s.loaded {
			out = append(out, s)
		}
		s.mu.RUnlock()
	}
	return out
}

// maintainOnce does one piece of work and tells whether there is more. While events pour in it leaves the processor to
// them, up to a limit.
func (s *shard) maintainOnce(ctx context.Context) (more bool, err error) {
	x := s.store
	now := x.clock()
	s.mu.RLock()
	next, checkpoint, flushed := s.next, s.checkpoint, s.flushedAt
	s.mu.RUnlock()
	busy := next-s.compacted < maxUncompacted && next != s.seenNext
	s.seenNext = next
	if busy {
		s.settled.Store(false)
		return false, nil
	}
	if next > checkpoint && now.Sub(flushed) > flushAfter {
		s.work.Lock()
		err := s.flush(ctx)
		s.work.Unlock()
		if err != nil {
			return false, err
		}
	}
	to, moreLog, err := x.log.Compact(ctx, s.ws, s.compacted, next, kernel.Micros(now))
	if err != nil {
		return false, err
	}
	s.compacted = to
	if moreLog {
		s.settled.Store(false)
		return true, nil
	}
	if more, err = s.mergeOnce(ctx); !more && err == nil {
		more, err = s.countAhead(ctx)
	}
	s.settled.Store(!more && err == nil)
	return more, err
}

// maxUncompacted is how many events may wait for compaction before it no longer yields to ingest.
const maxUncompacted = 2_000_000

// Settled tells whether the background work has nothing left to do for a workspace: everything is folded and compacted
// as far as it is worth it. The benchmark waits for it.
func (x *Index) Settled(ctx context.Context, ws kernel.WorkspaceID) (bool, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return false, err
	}
	return s.settled.Load(), nil
}
