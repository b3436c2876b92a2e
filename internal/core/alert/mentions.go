package alert

import (
	"context"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// Mentions implements query.Mentioner: what a workspace's rules ask for, those that are turned off included.
func (m *Module) Mentions(ctx context.Context, ws kernel.WorkspaceID) (out []query.Mention, err error) {
	rules, err := m.Rules(ctx, ws)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		out = append(out, query.Mention{By: "Rule " + r.Name, Href: ruleHref(ws, r.ID), Text: []string{r.Expr}})
	}
	return out, nil
}
