package metrics

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// How often hosts that were seen in series are written down, and how often the same one is.
const (
	seenEvery = 10 * time.Second
	seenAgain = time.Minute
)

// seen notes the hosts that show themselves in series, until somebody writes them down.
type seen struct {
	clock kernel.Clock
	mu    sync.Mutex
	hosts map[seenKey]*sighting
}

type seenKey struct {
	ws       kernel.WorkspaceID
	instance string
}

type sighting struct {
	host    Host
	fresh   bool      // since it was written down
	written time.Time // when that was
	kernel  string    // what it had then
}

func newSeen(clock kernel.Clock) *seen { return &seen{clock: clock, hosts: map[seenKey]*sighting{}} }

// note is called for each node_uname_info that comes.
func (s *seen) note(ws kernel.WorkspaceID, ls labels.Labels) {
	s.noteHost(ws, hostFromSeries(ls))
}

// maxSeen is how many hosts are remembered, of all workspaces together.
const maxSeen = 100_000

// noteHost is called whenever a host shows itself. What node_uname_info says goes before what OTLP does.
func (s *seen) noteHost(ws kernel.WorkspaceID, h Host) {
	k := seenKey{ws, h.Instance}
	if k.instance == "" || len(k.instance) > maxInstance {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.hosts[k]
	switch {
	case known == nil && len(s.hosts) >= maxSeen:
		return
	case known == nil:
		known = &sighting{}
		s.hosts[k] = known
	case h.Source == fromOTLP && known.fresh && known.host.Source == fromSeries:
		return
	}
	known.host, known.fresh = h, true
}

// maxInstance is how long the name of a host may be.
const maxInstance = 200

// take hands out what is to be written down.
func (s *seen) take() (out []seenKey, what []Host) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, h := range s.hosts {
		switch {
		case h.fresh && (now.Sub(h.written) >= seenAgain || h.host.Kernel != h.kernel):
			out, what = append(out, k), append(what, h.host)
			h.fresh, h.written, h.kernel = false, now, h.host.Kernel
		case now.Sub(h.written) > time.Hour && !h.fresh:
			delete(s.hosts, k)
		}
	}
	return out, what
}

// forget makes the next sighting of a host news.
func (s *seen) forget(ws kernel.WorkspaceID, instance string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hosts, seenKey{ws, instance})
}

// hostFromSeries is what the labels of node_uname_info say.
func hostFromSeries(ls labels.Labels) Host {
	h := Host{Instance: ls.Get("instance"), Source: fromSeries, Name: ls.Get("nodename"), OS: lower(ls.Get("sysname")), Kernel: ls.Get("release"), Arch: ls.Get("machine")}
	if h.Name == "" {
		h.Name = h.Instance
	}
	return h
}

func lower(s string) string {
	if s == "Linux" {
		return "linux"
	}
	return s
}

// writeSeen writes down the hosts that were seen.
func (m *Module) writeSeen(ctx context.Context) error {
	keys, what := m.seen.take()
	if len(keys) == 0 {
		return nil
	}
	touched := map[kernel.WorkspaceID]bool{}
	for i, k := range keys {
		err := m.d.DB.Tx(ctx, func(tx *db.Tx) error {
			_, err := saveHost(ctx, tx, k.ws, what[i])
			return err
		})
		if kernel.CodeOf(err) == kernel.Conflict { // it has as many as there may be
			continue
		}
		if err != nil {
			// A workspace that was closed meanwhile has no row to belong to; everything else is told once and tried again.
			m.seen.forget(k.ws, k.instance)
			m.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a host that was seen could not be noted", slog.String("workspace", string(k.ws)), slog.Any("cause", err))
			continue
		}
		touched[k.ws] = true
	}
	for ws := range touched {
		m.changed(ws)
	}
	return nil
}

// Start begins to write down what is seen in series. Starting twice does nothing.
func (m *Module) Start(context.Context) error {
	m.loop.Start(seenEvery, m.noteSeen)
	return nil
}

func (m *Module) noteSeen(ctx context.Context) {
	if err := m.writeNoted(ctx); err != nil && ctx.Err() == nil {
		m.d.Logger.Error("what was seen in series could not be noted", slog.Any("cause", err))
	}
}

// writeNoted writes down what the ways in have noted: hosts, and what metrics mean.
func (m *Module) writeNoted(ctx context.Context) error {
	return errors.Join(m.writeSeen(ctx), m.writeMeanings(ctx))
}

// Stop writes down what is left. Stopping twice, or before starting, does nothing more than that.
func (m *Module) Stop(ctx context.Context) error {
	m.loop.Stop()
	return m.writeNoted(ctx)
}

// topic is under which a workspace's pages of hosts hear that something changed.
func topic(ws kernel.WorkspaceID) string { return "metrics.hosts." + string(ws) }

// changed tells the pages that are looked at.
func (m *Module) changed(ws kernel.WorkspaceID) {
	if m.d.Bus != nil {
		_ = m.d.Bus.Publish(context.Background(), topic(ws), nil) // a hint: pages can be loaded again
	}
}
