package series

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/tsdb"

	"github.com/kept-dev/kept/internal/kernel"
)

// Small makes logs of small segments and blocks that are written at once, so that a test sees what takes hours.
func Small(cfg Config) Config {
	cfg.segment, cfg.undelayed = 32<<10, true
	return cfg
}

// Manual keeps databases from compacting by themselves.
func Manual(cfg Config) Config {
	cfg.undelayed = false
	return cfg
}

// Use opens a workspace's database and keeps it open until release.
func (s *TSDB) Use(t testing.TB, ws kernel.WorkspaceID) (db *tsdb.DB, release func()) {
	t.Helper()
	x, err := s.acquire(context.Background(), ws, toWrite)
	if err != nil {
		t.Fatal(err)
	}
	return x.db, func() { s.release(x) }
}

// Open is how many databases are open.
func (s *TSDB) Open() int { return len(s.opened()) }

// RefreshLimits reads the limits now.
func (s *TSDB) RefreshLimits() { s.refreshLimits() }
