package index

import (
	"cmp"
	"context"
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxDeployments bounds a list of deployments: the newest are given.
const maxDeployments = 200

// Deployments lists the releases of a span of time, oldest first.
func (x *Index) Deployments(ctx context.Context, ws kernel.WorkspaceID, from, to int64) ([]Deployment, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return nil, err
	}
	byID := map[string]Deployment{}
	rows, err := x.db.Query(ctx, `SELECT deployment_id, at, log_offset FROM job_deployments
		WHERE workspace_id = $1 AND at >= $2 AND at < $3 ORDER BY at DESC LIMIT $4`, ws, from, to, maxDeployments)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d Deployment
		if err := rows.Scan(&d.ID, &d.At, &d.Offset); err != nil {
			return nil, err
		}
		byID[d.ID] = d
	}
	s.mu.RLock()
	for id, d := range s.deploys {
		if old, ok := byID[id]; d.At >= from && d.At < to && (!ok || d.At < old.At) {
			byID[id] = d
		}
	}
	s.mu.RUnlock()
	var out []Deployment
	for _, d := range byID {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Deployment) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return out, rows.Err()
}
