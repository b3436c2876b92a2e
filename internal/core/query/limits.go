package query

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// Limits is how much a workspace may ask for.
type Limits struct {
	MaxSamples int           // that one query may hold in memory
	Timeout    time.Duration // of one query, waiting included
	Concurrent int           // queries of the workspace that run at once; others wait
}

// DefaultLimits are those of Prometheus, and a workspace that asks much leaves others room.
func DefaultLimits() Limits {
	return Limits{MaxSamples: 50_000_000, Timeout: maxTimeout, Concurrent: 8}
}

// ByPlan is a Deps.Limits that goes by the workspace's plan. Who hosts it for himself has the default.
func ByPlan(plans privacy.Planner) func(context.Context, kernel.WorkspaceID) (Limits, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (Limits, error) {
		p, err := plans.PlanOf(ctx, ws)
		if err != nil {
			return Limits{}, err
		}
		switch p.Name {
		case privacy.PlanFree:
			return Limits{MaxSamples: 10_000_000, Timeout: 30 * time.Second, Concurrent: 2}, nil
		case privacy.PlanStarter:
			return Limits{MaxSamples: 25_000_000, Timeout: time.Minute, Concurrent: 4}, nil
		}
		return DefaultLimits(), nil
	}
}

// maxTimeout is the most that any query may take.
const maxTimeout = 2 * time.Minute

// MaxPoints is how many steps a range query may have.
const MaxPoints = 11_000

// limits of a workspace, with defaults for what is not set.
func (m *Module) limits(ctx context.Context, ws kernel.WorkspaceID) (Limits, error) {
	l := DefaultLimits()
	if m.d.Limits == nil {
		return l, nil
	}
	own, err := m.d.Limits(ctx, ws)
	if err != nil {
		return l, err
	}
	if own.MaxSamples > 0 {
		l.MaxSamples = own.MaxSamples
	}
	if own.Timeout > 0 && own.Timeout < l.Timeout {
		l.Timeout = own.Timeout
	}
	if own.Concurrent > 0 {
		l.Concurrent = own.Concurrent
	}
	return l, nil
}
