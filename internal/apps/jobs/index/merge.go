package index

import (
	"context"
	"errors"
	"slices"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// Merging turns several small segments into a larger one, so that a look-up asks few of them.
const (
	mergeWidth = 4       // segments of one level that make one of the next
	maxLevel   = 3       // which are not merged any more
	maxMerged  = 300_000 // jobs of a merged segment
)

const day = int64(24 * 3600 * 1e6)

// mergeOnce merges one group of segments and tells whether it did.
func (s *shard) mergeOnce(ctx context.Context) (bool, error) {
	group := s.mergeable()
	if group == nil {
		return false, nil
	}
	err := s.rewrite(ctx, group, 0)
	if errors.Is(err, errOvertaken) { // another instance merges too: see what it has done
		return false, s.store.reload(ctx, s)
	}
	return true, err
}

// mergeable picks the oldest neighbours of one level and one day.
func (s *shard) mergeable() []*segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var run []*segment
	jobs := 0
	for _, seg := range slices.Backward(s.segments) {
		if len(run) > 0 && (seg.level != run[0].level || seg.received.last/day != run[0].received.last/day || jobs+seg.jobs() > maxMerged) {
			run, jobs = nil, 0
		}
		if seg.level >= maxLevel {
			continue
		}
		run, jobs = append(run, seg), jobs+seg.jobs()
		if len(run) == mergeWidth {
			return run
		}
	}
	return nil
}

// place is where a merged job came from.
type place struct {
	seg *segment
	row int
}

// rewrite replaces a group of segments, oldest first, by one that leaves out the rows that are gone and the jobs whose
// newest event was received before the given time. Reading and encoding happen while the shard goes on; what changes
// meanwhile is carried over when the segments are exchanged.
func (s *shard) rewrite(ctx context.Context, group []*segment, before int64) error {
	x := s.store
	var jobs []*Job
	from := map[*Job]place{}
	expired := map[place]bool{}
	for _, seg := range group {
		s.mu.RLock()
		gone := slices.Clone(seg.gone)
		s.mu.RUnlock()
		for n := range seg.zones {
			block, err := x.blockJobs(ctx, s.ws, blockRef{seg, n})
			if err != nil {
				return err
			}
			for i, j := range block {
				at := place{seg, n*blockJobs + i}
				switch {
				case gone.has(at.row):
				case j.Received < before:
					expired[at] = true
				default:
					from[j] = at
					jobs = append(jobs, j)
				}
			}
		}
	}
	merged, blocks := encodeSegment(jobs, min(maxLevel, group[0].level+1))
	if len(group) == 1 {
		merged.level = group[0].level
	}
	box, err := x.keys.Box(ctx, s.ws)
	if err != nil {
		return err
	}
	parts, err := x.pack(box, merged.level, blocks)
	if err != nil {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	return s.exchange(ctx, box, group, merged, parts, jobs, from, expired)
}

// exchange puts the merged segment where the group was, in the database and in memory. The caller holds work, so
// neither flushes nor folds happen meanwhile.
func (s *shard) exchange(ctx context.Context, box *seal.Box, group []*segment, merged *segment, parts []packed, jobs []*Job, from map[*Job]place, expired map[place]bool) error {
	target := map[place]int{}
	for row, j := range jobs {
		at := from[j]
		target[at] = row
		if at.seg.gone.has(at.row) { // a flush replaced it meanwhile
			merged.gone.set(row)
		}
		if at.seg.shadow.has(at.row) {
			merged.shadow.set(row)
		}
	}
	if err := s.store.storeMerge(ctx, box, s.ws, group, merged, parts); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.head {
		if e.seg == nil || !slices.Contains(group, e.seg) {
			continue
		}
		at := place{e.seg, e.row}
		if row, ok := target[at]; ok {
			e.seg, e.row = merged, row
		} else if expired[at] && !e.dirty {
			delete(s.head, e.key)
			e.open = false
		} else {
			e.seg, e.row = nil, 0
		}
	}
	at := slices.Index(s.segments, group[len(group)-1])
	s.segments = slices.DeleteFunc(s.segments, func(seg *segment) bool { return slices.Contains(group, seg) })
	if merged.jobs() > 0 {
		s.segments = slices.Insert(s.segments, at, merged)
	}
	s.version++
	return nil
}

func (x *Index) storeMerge(ctx context.Context, box *seal.Box, ws kernel.WorkspaceID, group []*segment, merged *segment, parts []packed) error {
	return x.db.Tx(ctx, func(tx *db.Tx) error {
		for _, seg := range group {
			// Another instance may have replaced rows of it since: its gone must be what we merged.
			n, err := tx.Exec(ctx, `DELETE FROM job_segments WHERE workspace_id = $1 AND segment_id = $2 AND gone = $3`, ws, seg.id, seg.gone.bytes())
			if err != nil {
				return err
			}
			if n == 0 {
				return errOvertaken
			}
			if _, err := tx.Exec(ctx, `DELETE FROM job_blocks WHERE workspace_id = $1 AND segment_id = $2`, ws, seg.id); err != nil {
				return err
			}
		}
		if merged.jobs() == 0 {
			return nil
		}
		err := tx.QueryRow(ctx, `UPDATE job_projections SET next_segment = next_segment + 1 WHERE workspace_id = $1
			RETURNING next_segment - 1`, ws).Scan(&merged.id)
		if err != nil {
			return err
		}
		return x.insertSegment(ctx, tx, box, ws, merged, parts)
	})
}

// Sweep removes the jobs whose newest event was received before the given time, and returns how many went.
func (x *Index) Sweep(ctx context.Context, ws kernel.WorkspaceID, before int64) (int64, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return 0, err
	}
	s.work.Lock()
	err = s.flush(ctx) // the head's old jobs too
	s.work.Unlock()
	if err != nil {
		return 0, err
	}
	had, err := x.Count(ctx, ws)
	if err != nil {
		return 0, err
	}
	s.mu.RLock()
	old := slices.DeleteFunc(slices.Clone(s.segments), func(seg *segment) bool { return seg.received.first >= before })
	s.mu.RUnlock()
	for _, seg := range old {
		if err := s.rewrite(ctx, []*segment{seg}, before); err != nil {
			return 0, err
		}
	}
	err = x.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM job_deployments WHERE workspace_id = $1 AND received_at < $2`, ws, before)
		return err
	})
	if err != nil {
		return 0, err
	}
	has, err := x.Count(ctx, ws)
	return had - has, err
}

// Count is how many jobs segments hold, of a workspace or, when ws is empty, of all.
func (x *Index) Count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = x.db.QueryRow(ctx, `SELECT coalesce(sum(jobs), 0) FROM job_segments WHERE workspace_id = $1 OR $1 = ''`, ws).Scan(&n)
	return n, err
}

// Oldest is when the job that was touched longest ago was touched, microseconds; 0 when there is none.
func (x *Index) Oldest(ctx context.Context, ws kernel.WorkspaceID) (at int64, err error) {
	err = x.db.QueryRow(ctx, `SELECT coalesce(min(first_received_at), 0) FROM job_segments WHERE workspace_id = $1 OR $1 = ''`, ws).Scan(&at)
	return at, err
}

var indexTables = []string{"job_blocks", "job_segments", "job_deployments", "job_projections"}

// Erase removes the projection of a workspace. Erase the log as well, or it comes back.
func (x *Index) Erase(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	n, err := x.Count(ctx, ws)
	if err != nil {
		return 0, err
	}
	err = x.db.Tx(ctx, func(tx *db.Tx) error {
		for _, table := range indexTables {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1`, ws); err != nil {
				return err
			}
		}
		return nil
	})
	x.mu.Lock()
	delete(x.shards, ws)
	x.mu.Unlock()
	return n, err
}

// Rebuild makes the projection of a workspace again from the log. Questions meanwhile see what has been rebuilt so far.
// A server that runs beside notices and reads anew.
func (x *Index) Rebuild(ctx context.Context, ws kernel.WorkspaceID, progress func(folded int64)) error {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	err = x.db.Tx(ctx, func(tx *db.Tx) error {
		for _, table := range indexTables[:3] {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1`, ws); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE job_projections SET checkpoint = 0 WHERE workspace_id = $1`, ws)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	if progress != nil {
		progress(s.next)
	}
	return ignoreOvertaken(s.flush(ctx))
}

// ignoreOvertaken is for a flush that another instance has done already.
func ignoreOvertaken(err error) error {
	if errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}
