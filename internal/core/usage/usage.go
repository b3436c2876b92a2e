// Package usage counts what each workspace uses: samples and series, job events, hosts, requests to the API. The counts are
// there for its owners to see (COL-7): as time series "kept_usage_…" that dashboards show and alert rules watch, next to
// the limits of the workspace. Counting costs a look into a map; what was counted is written down every half a minute.
package usage

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Counts are what came since something was counted last.
type Counts struct {
	Samples   int64 // of metrics, histograms too, that were stored or dropped by a rule
	Refused   int64 // samples that were not stored
	JobEvents int64
	Ingests   int64 // requests to the API that reported something
	Requests  int64 // other requests to the API
}

func (c *Counts) add(more Counts) {
	c.Samples += more.Samples
	c.Refused += more.Refused
	c.JobEvents += more.JobEvents
	c.Ingests += more.Ingests
	c.Requests += more.Requests
}

// Holdings are what a workspace has at a moment.
type Holdings struct {
	Series int64 // active
	Bytes  int64 // that its metrics take on disk
	Hosts  int64
}

// Limits are what a workspace may have; 0 is no limit.
type Limits struct {
	Series     int64
	SampleRate float64 // samples in a second
	Hosts      int64
}

// Deps is what the module needs.
type Deps struct {
	DB *db.DB
	// Holdings says what a workspace has. It is asked every few minutes, of workspaces in which something happens.
	Holdings func(ctx context.Context, ws kernel.WorkspaceID) (Holdings, error)
	// Limits says what a workspace may have.
	Limits func(ctx context.Context, ws kernel.WorkspaceID) (Limits, error)
	Clock  kernel.Clock
	Logger *slog.Logger
}

// Module counts.
type Module struct {
	d    Deps
	loop kernel.Loop

	mu    sync.Mutex
	fresh map[kernel.WorkspaceID]*Counts // what is not written yet
	asked map[kernel.WorkspaceID]int64   // the slot for which Holdings were asked for last
}

// New makes the module.
func New(d Deps) (*Module, error) {
	if d.DB == nil || d.Holdings == nil || d.Limits == nil {
		return nil, errors.New("usage: DB, Holdings and Limits are needed")
	}
	if d.Clock == nil {
		d.Clock = kernel.SystemClock
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Module{d: d, fresh: map[kernel.WorkspaceID]*Counts{}, asked: map[kernel.WorkspaceID]int64{}}, nil
}

// Name implements app.Module.
func (m *Module) Name() string { return "usage" }

// Add counts something. It does not wait for anything.
func (m *Module) Add(ws kernel.WorkspaceID, c Counts) {
	if ws == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fresh[ws] == nil {
		m.fresh[ws] = &Counts{}
	}
	m.fresh[ws].add(c)
}

// flushEvery is how often counts are written down.
const flushEvery = 30 * time.Second

// Start begins to write counts down. Starting twice does nothing.
func (m *Module) Start(context.Context) error {
	m.loop.Start(flushEvery, m.flush)
	return nil
}

// Stop writes down what is left. Stopping twice, or before starting, does nothing more than that.
func (m *Module) Stop(ctx context.Context) error {
	m.loop.Stop()
	return m.Flush(ctx)
}

func (m *Module) flush(ctx context.Context) {
	if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
		m.d.Logger.Error("what workspaces use could not be written down", slog.Any("cause", err))
	}
}

// Flush writes down now what was counted. What cannot be written is tried again the next time.
func (m *Module) Flush(ctx context.Context) error {
	m.mu.Lock()
	fresh := m.fresh
	m.fresh = map[kernel.WorkspaceID]*Counts{}
	m.mu.Unlock()
	var failures []error
	for _, ws := range slices.Sorted(maps.Keys(fresh)) {
		if err := m.write(ctx, ws, *fresh[ws]); err != nil {
			m.Add(ws, *fresh[ws])
			failures = append(failures, err)
		}
	}
	return errors.Join(append(failures, m.condense(ctx))...)
}

// write adds to the present slot of a workspace. What it has is asked once for each slot.
func (m *Module) write(ctx context.Context, ws kernel.WorkspaceID, c Counts) error {
	at := slotOf(m.d.Clock())
	m.mu.Lock()
	ask := m.asked[ws] != at
	m.mu.Unlock()
	has := Holdings{-1, -1, -1}
	if ask {
		var err error
		if has, err = m.d.Holdings(ctx, ws); err != nil {
			m.d.Logger.Warn("what a workspace has could not be counted", slog.String("workspace", string(ws)), slog.Any("cause", err))
			has = Holdings{-1, -1, -1}
		}
	}
	if err := m.store(ctx, ws, at, c, has); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[ws] = at
	return nil
}

// forget drops what was counted of a workspace that is erased.
func (m *Module) forget(ws kernel.WorkspaceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.fresh, ws)
	delete(m.asked, ws)
}
