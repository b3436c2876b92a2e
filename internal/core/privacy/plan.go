package privacy

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

const day = 24 * time.Hour

// Plan says how long a workspace's data is kept. 0 keeps for ever.
type Plan struct {
	Name       string // "free"
	Title      string // "Free"
	JobEvents  time.Duration
	Recordings time.Duration
	Metrics    time.Duration
}

// The names of the plans.
const (
	PlanSelfHosted = "self_hosted" // whoever hosts it sets the limits; the default
	PlanFree       = "free"
	PlanPro        = "pro"
	PlanStarter    = "starter"
	PlanGrowth     = "growth"
	PlanScale      = "scale"
)

// Plans lists the plans that an operator can sell, with the limits that were promised for them (RET-1 to RET-3). Where
// a service had no plan of that name, the limit is that of its next smaller one.
func Plans() []Plan {
	return []Plan{
		{PlanFree, "Free", 7 * day, 7 * day, 30 * day},
		{PlanStarter, "Starter", 7 * day, 30 * day, 30 * day},
		{PlanPro, "Pro", 90 * day, 30 * day, 90 * day},
		{PlanGrowth, "Growth", 90 * day, 90 * day, 90 * day},
		{PlanScale, "Scale", 90 * day, 365 * day, 90 * day},
	}
}

// PlanNamed finds one of Plans.
func PlanNamed(name string) (Plan, bool) {
	for _, p := range Plans() {
		if p.Name == name {
			return p, true
		}
	}
	return Plan{}, false
}

// Planner knows which plan a workspace is on.
type Planner interface {
	PlanOf(ctx context.Context, ws kernel.WorkspaceID) (Plan, error)
}

// SelfHosted is the Planner of a server without billing: every workspace has the operator's limits.
type SelfHosted struct {
	Limits Plan // its Name and Title are not looked at
}

// PlanOf implements Planner.
func (s SelfHosted) PlanOf(context.Context, kernel.WorkspaceID) (Plan, error) {
	p := s.Limits
	p.Name, p.Title = PlanSelfHosted, "Self-hosted"
	return p, nil
}

// ByPlan is a Collection.MaxAge that reads a limit from the workspace's plan:
//
//	MaxAge: privacy.ByPlan(plans, func(p privacy.Plan) time.Duration { return p.JobEvents })
func ByPlan(plans Planner, limit func(Plan) time.Duration) func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (time.Duration, error) {
		p, err := plans.PlanOf(ctx, ws)
		return limit(p), err
	}
}

// Fixed is a Collection.MaxAge that is the same for every workspace.
func Fixed(age time.Duration) func(context.Context, kernel.WorkspaceID) (time.Duration, error) {
	return func(context.Context, kernel.WorkspaceID) (time.Duration, error) { return age, nil }
}
