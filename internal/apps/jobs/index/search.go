package index

import (
	"context"
	"math"
	"slices"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
)

// hunt is a text search under way. The log says which events hold the text, the index which runs they belong to.
type hunt struct {
	x       *Index
	s       *shard
	q       *query
	found   map[string]*foundJob
	matches int     // so far
	rivals  *rivals // nil: not known
}

// foundJob is a job with an event that holds the text.
type foundJob struct {
	key  string
	runs []Row // those that match otherwise and that no such event belongs to so far
}

// maxSpread is how long after its first event a search's next pages still look for events of a run, microseconds.
const maxSpread = 24 * 3600 * 1_000_000

// search goes through the log from its newest events backwards and looks up the runs they belong to. Where that is the
// long way, because very many events hold the text, it takes a shorter one to the same page.
func (x *Index) search(ctx context.Context, s *shard, q *query) error {
	to := int64(1) << 62
	if q.after != nil {
		to = q.after.First + maxSpread
	}
	log, err := x.log.Search(ctx, s.ws, q.needle, q.From, to)
	if err != nil {
		return err
	}
	h := &hunt{x: x, s: s, q: q, found: map[string]*foundJob{}}
	over, tried, meetAt := false, false, 0
	for n := 0; log.More(q.floor()) && !over && err == nil; n++ {
		if q.isFull() && h.rivals == nil && n >= meetAt {
			meetAt = 2*n + 1 // if there are too many now
			err = h.meet(ctx)
		} else if !q.isFull() && h.matches >= common && !tried {
			tried = true
			over, err = h.byRuns(ctx, log)
		}
		if err == nil && !over {
			over, err = h.next(ctx, log)
		}
	}
	return err
}

// next searches a block and tells whether the page is known.
func (h *hunt) next(ctx context.Context, log *eventlog.Search) (over bool, err error) {
	var only *eventlog.JobSet
	if h.rivals != nil {
		if only = h.rivals.left(h.q); only.Len() == 0 {
			return true, nil
		}
	}
	matches, err := log.Next(ctx, only)
	if err != nil {
		return false, err
	}
	return false, h.take(ctx, matches)
}

func (q *query) isFull() bool { return len(q.best) > q.Limit }

// floor is the time of the page's last row when the page is full: events before it are of runs that come behind it.
func (q *query) floor() int64 {
	if !q.isFull() {
		return math.MinInt64
	}
	return q.best[0].First
}

// take looks up the runs of matches and puts those on the page that it wants.
func (h *hunt) take(ctx context.Context, matches []eventlog.Match) error {
	h.matches += len(matches)
	slices.SortFunc(matches, func(a, b eventlog.Match) int { return int(b.At - a.At) })
	var key []byte
	for i := range matches {
		m := &matches[i]
		if h.q.full(m.At) {
			return nil
		}
		key = append(append(append(key[:0], m.Queue...), 0), m.JobID...)
		job, err := h.job(ctx, key)
		if err != nil {
			return err
		}
		job.runs = slices.DeleteFunc(job.runs, func(r Row) bool {
			if !r.holds(m.At) {
				return false
			}
			h.rivals.remove(rivalOf(job.key, &r))
			if h.q.wants(&r) {
				h.q.take(r)
			}
			return true
		})
	}
	return nil
}

// job looks up a job and forgets the runs that do not match whatever the log has.
func (h *hunt) job(ctx context.Context, key []byte) (*foundJob, error) {
	if job := h.found[string(key)]; job != nil {
		return job, nil
	}
	job := &foundJob{key: string(key)}
	rows, err := h.x.rowsOf(ctx, h.s, job.key)
	if err != nil {
		return nil, err
	}
	job.runs = slices.DeleteFunc(rows, func(r Row) bool { return !h.q.matches(&r) || !h.q.matchesTexts(&r) })
	h.found[job.key] = job
	return job, nil
}

// holds tells whether an event of the given time belongs to the run.
func (r *Row) holds(at int64) bool { return at >= r.First-attrSlack && at <= r.Last+attrSlack }
