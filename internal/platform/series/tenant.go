package series

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/tsdb"

	"github.com/kept-dev/kept/internal/kernel"
)

// tenant is a workspace's database and who uses it.
type tenant struct {
	s   *TSDB
	ws  kernel.WorkspaceID
	dir string

	// Guarded by TSDB.mu. Whoever has locked a tenant may open, close and remove its database without holding the mutex.
	db      *tsdb.DB
	users   int
	locked  bool
	erasing bool
	used    time.Time     // when a user last came; zero: only those who look after it did
	changed chan struct{} // closed when users or locked change

	head    atomic.Pointer[tsdb.Head] // for the limit; nil while the log is being read again
	limit   atomic.Int64
	refused atomic.Int64
	before  atomic.Int64 // blocks that end before this time, in milliseconds, are to be removed
	swept   atomic.Int64 // how many were
}

// purpose says why a database is wanted.
type purpose int

const (
	toRead  purpose = iota // errAbsent if there is none
	toWrite                // made if there is none
	toKeep                 // like toRead, but it does not keep the database open
)

// acquire opens a workspace's database unless it is open, and keeps it from being closed until release.
func (s *TSDB) acquire(ctx context.Context, ws kernel.WorkspaceID, why purpose) (*tenant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tenant(ws)
	if err != nil {
		return nil, err
	}
	for {
		switch {
		case s.closed:
			return nil, ErrClosed
		case t.erasing:
			return nil, ErrErasing
		case t.locked:
			if !s.wait(ctx, t) {
				return nil, context.Cause(ctx)
			}
		case t.db != nil:
			t.users++
			if why != toKeep {
				t.used = s.cfg.Clock()
			}
			return t, nil
		default:
			if err := s.openUnlocked(ctx, t, why); err != nil {
				return nil, err
			}
		}
	}
}

// tenant finds or makes what is known of a workspace. The mutex is held.
func (s *TSDB) tenant(ws kernel.WorkspaceID) (*tenant, error) {
	if !kernel.ValidID(string(ws)) {
		return nil, fmt.Errorf("series: %q is no workspace", ws)
	}
	t := s.tenants[ws]
	if t == nil {
		t = &tenant{s: s, ws: ws, dir: filepath.Join(s.cfg.Dir, string(ws)), changed: make(chan struct{})}
		s.tenants[ws] = t
	}
	return t, nil
}

// openUnlocked opens a database while the mutex is free for others.
func (s *TSDB) openUnlocked(ctx context.Context, t *tenant, why purpose) error {
	t.locked = true
	s.mu.Unlock()
	db, err := t.open(ctx, why)
	s.mu.Lock()
	t.db, t.used = db, time.Time{}
	s.unlock(t)
	return err
}

// open opens the database. The tenant is locked.
func (t *tenant) open(ctx context.Context, why purpose) (_ *tsdb.DB, err error) {
	if why != toWrite {
		if _, err := os.Stat(t.dir); errors.Is(err, os.ErrNotExist) {
			return nil, errAbsent
		}
	}
	select {
	case t.s.opening <- struct{}{}:
		defer func() { <-t.s.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.s.ctx.Done():
		return nil, ErrClosed
	}
	defer func() {
		if err != nil {
			t.s.counters.failed.Add(1)
			err = fmt.Errorf("series: open %s: %w", t.ws, err)
		}
	}()
	if err := t.readLimit(ctx); err != nil {
		return nil, err
	}
	age, err := t.s.cfg.MaxAge(ctx, t.ws)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, err
	}
	t.before.Store(never)
	db, err := tsdb.Open(t.dir, warnings(t.s.cfg.Logger).With("workspace", t.ws), nil, t.options(age), nil)
	if err != nil {
		return nil, err
	}
	t.head.Store(db.Head())
	t.s.counters.opened.Add(1)
	return db, nil
}

func (t *tenant) readLimit(ctx context.Context) error {
	limit, err := t.s.cfg.MaxSeries(ctx, t.ws)
	if err == nil {
		t.limit.Store(limit)
	}
	return err
}

// release is the end of a use.
func (s *TSDB) release(t *tenant) {
	s.mu.Lock()
	t.users--
	s.notify(t)
	s.mu.Unlock()
	s.closeIf(t, func() bool { return t.used.IsZero() })
}

// closeIf closes a database that is open, unused and what the condition says, and tells whether it did.
func (s *TSDB) closeIf(t *tenant, condition func() bool) bool {
	s.mu.Lock()
	ok := !s.closed && t.db != nil && t.users == 0 && !t.locked && condition()
	if ok {
		t.locked = true
	}
	s.mu.Unlock()
	if !ok {
		return false
	}
	if err := s.closeLocked(t); err != nil {
		s.cfg.Logger.Error("close idle series", "workspace", t.ws, "err", err)
	}
	return true
}

// lockUnused locks a tenant if nobody uses it.
func (s *TSDB) lockUnused(t *tenant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users > 0 || t.locked {
		return false
	}
	t.locked = true
	return true
}

// lock waits until nobody uses a tenant but its caller, who holds as many uses as mine says, and locks it.
func (s *TSDB) lock(ctx context.Context, t *tenant, mine int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t.users > mine || t.locked {
		if !s.wait(ctx, t) {
			return context.Cause(ctx)
		}
	}
	t.locked = true
	return nil
}

// closeLocked closes the database of a locked tenant and unlocks it.
func (s *TSDB) closeLocked(t *tenant) error {
	err := s.closeKeepingLock(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlock(t)
	return err
}

func (s *TSDB) closeKeepingLock(t *tenant) (err error) {
	if t.db != nil {
		t.head.Store(nil)
		err = t.db.Close()
		s.counters.closed.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.db = nil
	return err
}

// unlock ends a lock. The mutex is held. A tenant stays known, because others may be waiting for it.
func (s *TSDB) unlock(t *tenant) {
	t.locked = false
	s.notify(t)
}

func (s *TSDB) notify(t *tenant) {
	close(t.changed)
	t.changed = make(chan struct{})
}

// wait lets go of the mutex until a tenant has changed; false when the context ended.
func (s *TSDB) wait(ctx context.Context, t *tenant) bool {
	changed := t.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}
