package usage

import (
	"context"

	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/kernel"
)

// ByPlan is a Deps.Limits that goes by the workspace's plan. The smaller plans have limits of their own; others, and who
// hosts it for himself, have those that the operator set. Nobody has more than those.
func ByPlan(plans privacy.Planner, operator Limits) func(context.Context, kernel.WorkspaceID) (Limits, error) {
	return func(ctx context.Context, ws kernel.WorkspaceID) (Limits, error) {
		p, err := plans.PlanOf(ctx, ws)
		switch {
		case err != nil:
			return Limits{}, err
		case p.Name == privacy.PlanFree:
			return Limits{Series: 20_000, SampleRate: 2_000, Hosts: 20}.within(operator), nil
		case p.Name == privacy.PlanStarter:
			return Limits{Series: 100_000, SampleRate: 10_000, Hosts: 100}.within(operator), nil
		}
		return operator, nil
	}
}

// within is the smaller of each of two limits.
func (l Limits) within(o Limits) Limits {
	return Limits{Series: smaller(l.Series, o.Series), SampleRate: smaller(l.SampleRate, o.SampleRate), Hosts: smaller(l.Hosts, o.Hosts)}
}

func smaller[N int64 | float64](a, b N) N {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
