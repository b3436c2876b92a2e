package series

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/promslog"
	"golang.org/x/sync/errgroup"

	"github.com/kept-dev/kept/internal/kernel"
)

// Config says how a TSDB keeps series. Zero values are the defaults.
type Config struct {
	Dir    string
	Logger *slog.Logger
	Clock  kernel.Clock
	// MaxAge is how long a workspace's samples are kept; 0 is for ever. It decides how large blocks grow, so that Sweep
	// can remove them in time. Nil keeps all for ever.
	MaxAge func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error)
	// MaxSeries is how many active series a workspace may have; 0 is no limit. Nil is no limit.
	MaxSeries func(ctx context.Context, ws kernel.WorkspaceID) (int64, error)
	// OutOfOrder is how far behind the newest sample of a workspace another may come: longer than agents buffer. Default 25 h.
	OutOfOrder time.Duration
	// IdleClose is after what time without use a workspace's database is closed. Default 1 h.
	IdleClose time.Duration
	// CloseWait is how long Close waits for those who still use a database. Default 10 s.
	CloseWait time.Duration

	// For tests, which have no hours and no gigabytes.
	segment   int  // size of a segment of the write-ahead log
	undelayed bool // head blocks are written when they are due, not spread over some minutes
}

// TSDB is the embedded adapter: a Prometheus database per workspace, opened when it is first used and closed when it has
// been idle. Whoever uses one holds a reference, so that it is never closed under him.
type TSDB struct {
	cfg     Config
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	opening chan struct{} // as many may open at once as fit
	compact chan struct{} // as many may compact at once as fit

	mu      sync.Mutex
	tenants map[kernel.WorkspaceID]*tenant
	closed  bool

	dead       atomic.Bool // databases are closed or about to be; nothing may be committed
	background sync.WaitGroup
	counters   counters
}

var _ Store = (*TSDB)(nil)

// erased is how names of directories begin that are about to be removed.
const erased = ".erased-"

// OpenTSDB opens the store in a directory, which is made when it is absent. Databases are opened when they are used, so
// this costs the same however many there are.
func OpenTSDB(cfg Config) (*TSDB, error) {
	setDefaults(&cfg)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	rest, err := filepath.Glob(filepath.Join(cfg.Dir, erased+"*"))
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	s := &TSDB{
		cfg: cfg, tenants: map[kernel.WorkspaceID]*tenant{},
		opening: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), compact: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.background.Go(func() { s.removeErased(rest) })
	s.background.Go(s.keepHouse)
	return s, nil
}

func setDefaults(cfg *Config) {
	if cfg.Logger == nil {
		cfg.Logger = promslog.NewNopLogger()
	}
	if cfg.Clock == nil {
		cfg.Clock = kernel.SystemClock
	}
	if cfg.OutOfOrder == 0 {
		cfg.OutOfOrder = 25 * time.Hour
	}
	if cfg.IdleClose == 0 {
		cfg.IdleClose = time.Hour
	}
	if cfg.CloseWait == 0 {
		cfg.CloseWait = 10 * time.Second
	}
	if cfg.segment == 0 {
		cfg.segment = 4 << 20
	}
	if cfg.MaxAge == nil {
		cfg.MaxAge = func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return 0, nil }
	}
	if cfg.MaxSeries == nil {
		cfg.MaxSeries = func(context.Context, kernel.WorkspaceID) (int64, error) { return 0, nil }
	}
}

// removeErased finishes erasures that a crash interrupted.
func (s *TSDB) removeErased(dirs []string) {
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			s.cfg.Logger.Error("remove erased series", "err", err)
		}
	}
}

// keepHouse closes what is idle and asks for the limits again, which a plan may have changed.
func (s *TSDB) keepHouse() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.CloseIdle()
			s.refreshLimits()
		}
	}
}

// CloseIdle closes the databases that nobody has used for a while, as is done every minute. It returns how many.
func (s *TSDB) CloseIdle() (n int) {
	limit := s.cfg.Clock().Add(-s.cfg.IdleClose)
	for _, t := range s.opened() {
		if s.closeIf(t, func() bool { return !t.used.After(limit) }) {
			n++
		}
	}
	return n
}

func (s *TSDB) refreshLimits() {
	for _, t := range s.opened() {
		if err := t.readLimit(s.ctx); err != nil && s.ctx.Err() == nil {
			s.cfg.Logger.Warn("series limit", "workspace", t.ws, "err", err)
		}
	}
}

// opened lists the tenants whose database is open.
func (s *TSDB) opened() (out []*tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if t.db != nil {
			out = append(out, t)
		}
	}
	return out
}

// For implements Store.
func (s *TSDB) For(ws kernel.WorkspaceID) Storage { return view{s, ws} }

// Workspaces implements Store.
func (s *TSDB) Workspaces(context.Context) (out []kernel.WorkspaceID, err error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && kernel.ValidID(e.Name()) {
			out = append(out, kernel.WorkspaceID(e.Name()))
		}
	}
	return out, nil
}

// Close implements Store. It waits a while for those who use a database; one that is still in use after that is left as a
// crash would leave it, which loses nothing that was committed.
func (s *TSDB) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.background.Wait()

	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.CloseWait)
	defer cancel()
	busy := s.waitUnused(ctx)
	s.dead.Store(true)
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for _, t := range s.opened() {
		if s.lockUnused(t) {
			g.Go(func() error { return s.closeLocked(t) })
		}
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("series: close: %w", err)
	}
	if busy > 0 {
		return fmt.Errorf("series: close: %d databases are still in use", busy)
	}
	return nil
}

// waitUnused waits until nobody uses any database, and tells how many are in use after all.
func (s *TSDB) waitUnused(ctx context.Context) (busy int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		for t.locked || t.users > 0 {
			if !s.wait(ctx, t) {
				busy++
				break
			}
		}
	}
	return busy
}

// errAbsent says that a workspace has no database, which is no error: it has no series.
var errAbsent = errors.New("series: the workspace has none")
