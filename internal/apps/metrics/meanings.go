package metrics

import (
	"context"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/apps/metrics/intake"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

var _ query.Describer = (*Module)(nil)

// Bounds of what is kept of what metrics mean.
const (
	maxMeanings   = 10_000         // metrics of a workspace
	maxMeaningLen = 256            // bytes of a name
	meaningAgain  = 24 * time.Hour // how often it is noted that a metric is still described
	meaningChange = time.Hour      // how often what is said of it may change: two senders may not agree
)

// meanings remembers what senders say of metrics. They say it again with every request, so noting one that is known costs
// a look into a map; of those only a hash is kept in memory.
type meanings struct {
	clock kernel.Clock
	seed  maphash.Seed

	mu    sync.RWMutex
	known map[kernel.WorkspaceID]*knownMeanings
	fresh map[kernel.WorkspaceID]map[string]intake.Meaning // what is not written yet
}

type knownMeanings struct {
	notes map[string]meaningNote
	last  atomic.Int64 // Unix seconds, when something was said
}

type meaningNote struct {
	hash uint64
	at   int64 // Unix seconds
}

func newMeanings(clock kernel.Clock) *meanings {
	return &meanings{clock: clock, seed: maphash.MakeSeed(), known: map[kernel.WorkspaceID]*knownMeanings{},
		fresh: map[kernel.WorkspaceID]map[string]intake.Meaning{}}
}

// note is called for each metric of each request. The strings may be gone afterwards.
func (s *meanings) note(ws kernel.WorkspaceID, metric string, m intake.Meaning) {
	if len(metric) > maxMeaningLen {
		return
	}
	hash, now := maphash.Comparable(s.seed, m), s.clock().Unix()
	s.mu.RLock()
	var n meaningNote
	var ok, full bool
	if k := s.known[ws]; k != nil {
		n, ok = k.notes[metric]
		full = len(k.notes) >= maxMeanings
		k.last.Store(now)
	}
	s.mu.RUnlock()
	age := time.Duration(now-n.at) * time.Second
	if ok && (age < meaningChange || n.hash == hash && age < meaningAgain) || !ok && full {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[ws] == nil {
		s.known[ws] = &knownMeanings{notes: map[string]meaningNote{}}
		s.known[ws].last.Store(now)
	}
	if s.fresh[ws] == nil {
		s.fresh[ws] = map[string]intake.Meaning{}
	}
	metric = strings.Clone(metric)
	s.known[ws].notes[metric] = meaningNote{hash, now}
	s.fresh[ws][metric] = intake.Meaning{Type: strings.Clone(m.Type), Help: strings.Clone(m.Help), Unit: strings.Clone(m.Unit)}
}

// take hands out what is to be written, and lets go of workspaces in which nothing has been said for an hour.
func (s *meanings) take() map[kernel.WorkspaceID]map[string]intake.Meaning {
	idle := s.clock().Add(-time.Hour).Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.known, func(_ kernel.WorkspaceID, k *knownMeanings) bool { return k.last.Load() < idle })
	out := s.fresh
	s.fresh = map[kernel.WorkspaceID]map[string]intake.Meaning{}
	return out
}

// forget makes everything that is said in a workspace news.
func (s *meanings) forget(ws kernel.WorkspaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, ws)
	delete(s.fresh, ws)
}

// writeMeanings writes down what was said of metrics.
func (m *Module) writeMeanings(ctx context.Context) (first error) {
	for ws, list := range m.meanings.take() {
		if err := m.saveMeanings(ctx, ws, list); err != nil {
			m.meanings.forget(ws) // senders say it again
			if first == nil {
				first = err
			}
		}
	}
	return first
}

func (m *Module) saveMeanings(ctx context.Context, ws kernel.WorkspaceID, list map[string]intake.Meaning) error {
	return m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		var there, living int
		if err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM metric_meanings WHERE workspace_id = $1), (SELECT count(*) FROM workspaces WHERE id = $1)`, ws).Scan(&there, &living); err != nil {
			return err
		}
		if living == 0 {
			return nil
		}
		for name, v := range list {
			n, err := tx.Exec(ctx, `UPDATE metric_meanings SET type = $3, help = $4, unit = $5, seen_at = $6 WHERE workspace_id = $1 AND metric = $2`,
				ws, name, v.Type, v.Help, v.Unit, kernel.Micros(tx.Now()))
			if err != nil {
				return err
			}
			if n > 0 || there >= maxMeanings {
				continue
			}
			there++
			if _, err := tx.Exec(ctx, `INSERT INTO metric_meanings (workspace_id, metric, type, help, unit, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (workspace_id, metric) DO NOTHING`, ws, name, v.Type, v.Help, v.Unit, kernel.Micros(tx.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

// Metadata tells what the metrics mean that agents and clients send, as they say it.
func (m *Module) Metadata(ctx context.Context, ws kernel.WorkspaceID) (map[string][]query.Metadata, error) {
	rows, err := m.d.DB.Query(ctx, `SELECT metric, type, help, unit FROM metric_meanings WHERE workspace_id = $1`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string][]query.Metadata{}
	for rows.Next() {
		var name string
		var one query.Metadata
		if err := rows.Scan(&name, &one.Type, &one.Help, &one.Unit); err != nil {
			return nil, err
		}
		out[name] = []query.Metadata{one}
	}
	return out, rows.Err()
}
