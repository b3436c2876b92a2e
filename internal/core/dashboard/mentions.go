package dashboard

import (
	"context"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

// Mentions implements query.Mentioner: the queries of all dashboards of a workspace, those of apps and files included.
func (m *Module) Mentions(ctx context.Context, ws kernel.WorkspaceID) (out []query.Mention, err error) {
	for _, f := range m.brought() {
		if f.Dashboard != nil {
			out = append(out, f.Dashboard.mention(ws, f.ID))
		}
	}
	stored, err := m.list(ctx, ws, false)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		if d, err := s.dashboard(); err == nil { // a broken one asks nothing
			out = append(out, d.mention(ws, string(s.ID)))
		}
	}
	return out, nil
}

func (d *Dashboard) mention(ws kernel.WorkspaceID, id string) query.Mention {
	out := query.Mention{By: "Dashboard " + d.Title, Href: dashHref(ws, id)}
	for _, v := range d.Variables {
		out.Text = append(out.Text, v.Query)
	}
	for _, mark := range d.Marks {
		out.Text = append(out.Text, mark.Expr)
	}
	for _, r := range d.Rows {
		for _, p := range r.Panels {
			for _, t := range p.Targets {
				out.Text = append(out.Text, t.Expr)
			}
		}
	}
	return out
}
