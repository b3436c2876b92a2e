package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Swept is what a retention sweep did to one collection.
type Swept struct {
	Where      string
	Collection string
	Workspaces int64 // how many were swept
	Unlimited  int64 // workspaces whose plan keeps for ever
	Removed    int64
	Failed     int64 // workspaces that could not be swept
	Finished   time.Time
}

// Sweep removes what is older than its limit, from every collection and for every workspace, and stores what it did.
// A collection that fails does not keep the others from being swept; the error joins all failures.
func (m *Module) Sweep(ctx context.Context) ([]Swept, error) {
	ids, err := m.sources.workspaceIDs(ctx)
	if err != nil {
		return nil, err
	}
	started := m.clock()
	var all []Swept
	var failures []error
	for _, c := range m.dataMap().Collections() {
		if c.Sweep == nil || c.MaxAge == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return all, errors.Join(append(failures, err)...)
		}
		swept, err := sweepCollection(ctx, c, ids, started)
		swept.Finished = m.clock()
		if err != nil {
			failures = append(failures, fmt.Errorf("privacy: sweep %s: %w", c.Name, err))
		}
		all = append(all, swept)
	}
	if err := m.storeSweep(ctx, started, all); err != nil {
		failures = append(failures, err)
	}
	return all, errors.Join(failures...)
}

// sweepCollection sweeps each workspace by its own limit, and then what belongs to none by the longest of them.
func sweepCollection(ctx context.Context, c Collection, ids []kernel.WorkspaceID, now time.Time) (Swept, error) {
	out := Swept{Where: c.Where, Collection: c.Name}
	limits, err := limitsOf(ctx, c, ids)
	failures := []error{err}
	out.Failed = limits.failed
	for _, ws := range ids {
		age, ok := limits.of[ws]
		switch {
		case !ok:
		case age <= 0:
			out.Unlimited++
		default:
			out.Workspaces++
			failures = append(failures, out.remove(ctx, c, ws, now.Add(-age)))
		}
	}
	if limits.longest > 0 {
		failures = append(failures, out.remove(ctx, c, "", now.Add(-limits.longest)))
	}
	return out, errors.Join(failures...)
}

func (s *Swept) remove(ctx context.Context, c Collection, ws kernel.WorkspaceID, before time.Time) error {
	n, err := c.Sweep(ctx, ws, before)
	s.Removed += n
	if err != nil {
		s.Failed++
	}
	return err
}

// limits are the ages that a collection's items may reach.
type limits struct {
	of      map[kernel.WorkspaceID]time.Duration // without those that could not be found out
	longest time.Duration                        // 0 when anybody's is unlimited or unknown
	failed  int64
}

// limitsOf asks for the limit of every workspace and for the one of what belongs to no workspace.
func limitsOf(ctx context.Context, c Collection, ids []kernel.WorkspaceID) (limits, error) {
	out := limits{of: map[kernel.WorkspaceID]time.Duration{}}
	longest, err := c.MaxAge(ctx, "")
	unlimited := err != nil || longest <= 0
	failures := []error{err}
	for _, ws := range ids {
		age, err := c.MaxAge(ctx, ws)
		if err != nil {
			failures = append(failures, err)
			out.failed++
			unlimited = true
			continue
		}
		out.of[ws] = age
		longest = max(longest, age)
		unlimited = unlimited || age <= 0
	}
	if !unlimited {
		out.longest = longest
	}
	return out, errors.Join(failures...)
}

func (m *Module) storeSweep(ctx context.Context, started time.Time, all []Swept) error {
	err := m.db.Tx(ctx, func(tx *db.Tx) error {
		for _, s := range all {
			_, err := tx.Exec(ctx, `INSERT INTO retention_sweeps (id, started_at, finished_at, place, collection,
				workspaces, unlimited, removed, failed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				kernel.NewID(s.Finished), kernel.Micros(started), kernel.Micros(s.Finished), s.Where, s.Collection,
				s.Workspaces, s.Unlimited, s.Removed, s.Failed)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("privacy: store the sweep: %w", err)
	}
	return nil
}
