package alert

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Each workspace with rules is evaluated by one instance. On PostgreSQL several may share the work: whoever holds the lease
// in alert_workspaces evaluates, and another takes over when it is not renewed. On SQLite there is one server, so there is
// nothing to agree on.

const (
	lookEvery = 4 * time.Second  // for changes that no word came of, and to renew leases
	leaseFor  = 20 * time.Second // from the last renewal
)

// endless is a lease that nobody else can take.
const endless = int64(1) << 62

// topicRules tells all instances that rules or routing of some workspace have changed.
const topicRules = "alert.rules"

// Start begins to evaluate.
func (m *Module) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Lock()
	m.stop, m.done = cancel, make(chan struct{})
	m.mu.Unlock()
	if m.d.Bus != nil {
		sub, err := m.d.Bus.Subscribe(ctx, topicRules)
		if err != nil {
			cancel()
			close(m.done)
			return err
		}
		go func() {
			defer sub.Close()
			for {
				if _, err := sub.Next(ctx); err != nil {
					return
				}
				m.nudge()
			}
		}()
	}
	go m.supervise(ctx)
	return nil
}

// Stop ends evaluation and waits for what is being sent. Before Start, and a second time, it does nothing.
func (m *Module) Stop(ctx context.Context) error {
	m.mu.Lock()
	stop, done := m.stop, m.done
	m.stop = nil
	m.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Module) nudge() {
	select {
	case m.nudged <- struct{}{}:
	default:
	}
}

// tellInstances has all instances look for changes now.
func (m *Module) tellInstances() {
	m.nudge()
	if m.d.Bus != nil {
		_ = m.d.Bus.Publish(context.Background(), topicRules, nil) // whoever misses it looks soon by itself
	}
}

func (m *Module) supervise(ctx context.Context) {
	defer close(m.done)
	tick, hour := time.NewTicker(m.lookEvery), time.NewTicker(time.Hour)
	defer tick.Stop()
	defer hour.Stop()
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.d.Logger.Error("alert: cannot look for rules", "error", err)
		}
		select {
		case <-ctx.Done():
			m.stopAll()
			return
		case <-tick.C:
		case <-m.nudged:
		case <-hour.C:
			if err := m.purge(ctx); err != nil && ctx.Err() == nil {
				m.d.Logger.Error("alert: deleted rules cannot be removed", "error", err)
			}
		}
	}
}

func (m *Module) stopAll() {
	m.mu.Lock()
	engines := m.engines
	m.engines = map[kernel.WorkspaceID]*engine{}
	m.mu.Unlock()
	done := make(chan struct{})
	for _, e := range engines {
		go func() { e.close(); done <- struct{}{} }()
	}
	for range engines {
		<-done
	}
	m.dropLeases()
}

// due is a workspace as the table has it.
type due struct {
	ws     kernel.WorkspaceID
	rev    int64
	rules  int64
	holder string
	until  int64
}

// look compares what should run with what does.
func (m *Module) look(ctx context.Context) error {
	rows, err := m.d.DB.Query(ctx, `SELECT workspace_id, rev, rules, holder, lease_until FROM alert_workspaces`)
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[kernel.WorkspaceID]due{}
	for rows.Next() {
		var d due
		var ws string
		if err := rows.Scan(&ws, &d.rev, &d.rules, &d.holder, &d.until); err != nil {
			return err
		}
		d.ws = kernel.WorkspaceID(ws)
		known[d.ws] = d
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	for ws, e := range m.running() {
		if _, ok := known[ws]; !ok {
			m.end(ws, e) // the workspace was erased
		}
	}
	for ws, d := range known {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.lookAt(ctx, d); err != nil {
			m.d.Logger.Error("alert: a workspace's rules do not run", "workspace", ws, "error", err)
		}
	}
	return nil
}

func (m *Module) running() map[kernel.WorkspaceID]*engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[kernel.WorkspaceID]*engine, len(m.engines))
	for ws, e := range m.engines {
		out[ws] = e
	}
	return out
}

func (m *Module) engineOf(ws kernel.WorkspaceID) *engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.engines[ws]
}

// end stops an engine.
func (m *Module) end(ws kernel.WorkspaceID, e *engine) {
	m.mu.Lock()
	delete(m.engines, ws)
	m.mu.Unlock()
	e.close()
}

func (m *Module) lookAt(ctx context.Context, d due) error {
	e := m.engineOf(d.ws)
	if d.rules == 0 && e == nil {
		open, err := m.openAlerts(ctx, d.ws)
		if err != nil || len(open) == 0 {
			return err
		} // what fired under rules that are gone is resolved by an engine without rules
	}
	until, err := m.lease(ctx, d)
	switch {
	case err != nil:
		return err
	case until == 0 && e != nil:
		m.end(d.ws, e)
		return nil
	case until == 0:
		return nil
	case e == nil:
		if e, err = m.startEngine(ctx, d.ws, d.rev, until); err != nil {
			return err
		}
		m.mu.Lock()
		m.engines[d.ws] = e
		m.mu.Unlock()
	case e.rev != d.rev:
		e.until.Store(until)
		if err := e.reload(ctx, d.rev); err != nil {
			return err
		}
	}
	e.until.Store(until)
	if d.rules == 0 && e.quiet() {
		m.end(d.ws, e)
	}
	return nil
}

// lease takes or renews the right to evaluate a workspace, and says until when it has it, microseconds; 0: another has it.
func (m *Module) lease(ctx context.Context, d due) (until int64, err error) {
	if m.d.DB.Dialect() == db.SQLite {
		return endless, nil
	}
	now := m.d.Clock()
	if d.holder != m.holder && d.until > kernel.Micros(now) {
		return 0, nil
	}
	if d.holder == m.holder && kernel.FromMicros(d.until).Sub(now) > m.leaseFor-m.lookEvery/2 {
		return d.until, nil // renewed a moment ago
	}
	next := kernel.Micros(now.Add(m.leaseFor))
	err = m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE alert_workspaces SET holder = $2, lease_until = $3 WHERE workspace_id = $1 AND (holder = $2 OR lease_until <= $4)`,
			string(d.ws), m.holder, next, kernel.Micros(now))
		if n > 0 {
			until = next
		}
		return err
	})
	return until, err
}

// dropLeases lets others take over at once.
func (m *Module) dropLeases() {
	if m.d.DB.Dialect() == db.SQLite {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := m.d.DB.Tx(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(m.tellInstances)
		_, err := tx.Exec(ctx, `UPDATE alert_workspaces SET lease_until = 0 WHERE holder = $1`, m.holder)
		return err
	})
	if err != nil {
		m.d.Logger.Warn("alert: the leases are left to run out", "error", err)
	}
}
