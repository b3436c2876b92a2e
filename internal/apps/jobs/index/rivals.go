package index

import (
	"context"
	"math"
	"slices"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
)

// rivals are runs that a search's page would take if the log had the text in their events. Once they are known the log
// is asked for these alone, however many events hold the text.
type rivals struct {
	order []rival // that of the list; those behind the page's last row are cut off
	open  map[rival]struct{}
	jobs  *eventlog.JobSet // of open
}

// rival is a run and its place in the list.
type rival struct {
	key   string // of its job
	first int64
	hash  uint32
	run   int
}

func rivalOf(key string, r *Row) rival { return rival{key, r.First, r.hash, r.Run} }

func (v *rival) place() *Row { return &Row{First: v.first, hash: v.hash, Run: v.run} }

func newRivals(runs []rival) *rivals {
	r := &rivals{order: runs, open: make(map[rival]struct{}, len(runs)), jobs: eventlog.NewJobSet()}
	slices.SortFunc(runs, func(a, b rival) int {
		if a.place().before(b.place()) {
			return -1
		}
		return 1
	})
	for _, v := range runs {
		r.open[v] = struct{}{}
		r.jobs.Add(v.key)
	}
	return r
}

// left is the jobs of those that the page would still take.
func (r *rivals) left(q *query) *eventlog.JobSet {
	for n := len(r.order); n > 0 && q.isFull() && !r.order[n-1].place().before(&q.best[0]); n-- {
		r.remove(r.order[n-1])
		r.order = r.order[:n-1]
	}
	return r.jobs
}

// remove takes out a run.
func (r *rivals) remove(v rival) {
	if r == nil {
		return
	}
	if _, ok := r.open[v]; ok {
		delete(r.open, v)
		r.jobs.Remove(v.key)
	}
}

// maxRivals is up to how many it is worth to know them.
const maxRivals = 8192

// meet asks the index for all rivals of a full page: the runs that match otherwise and come before its last row. When
// there are too many they stay unknown.
func (h *hunt) meet(ctx context.Context) error {
	var runs []rival
	err := h.x.eachWanted(ctx, h.s, h.q, func(r *Row) bool {
		runs = h.addRival(runs, r)
		return len(runs) <= maxRivals
	})
	if err == nil && len(runs) <= maxRivals {
		h.rivals = newRivals(runs)
	}
	return err
}

// addRival adds a run of which no event with the text was found so far.
func (h *hunt) addRival(runs []rival, r *Row) []rival {
	key := Key(r.Queue, r.ID)
	job := h.found[key]
	if job == nil || slices.ContainsFunc(job.runs, func(o Row) bool { return o.Run == r.Run }) {
		runs = append(runs, rivalOf(key, r))
	}
	return runs
}

// common is after how many matches without a full page a text is taken for common: then it is likely that the runs for
// the page are found among the first that match otherwise.
const common = 4096

// byRuns asks the log for the first runs of the list, in two groups, and gives up if these do not fill the page. It
// tells whether the page is known.
func (h *hunt) byRuns(ctx context.Context, log *eventlog.Search) (over bool, err error) {
	defer func() { h.rivals = nil }()
	list := *h.q
	for _, list.Limit = range []int{300 + 2*h.q.Limit, 4096} {
		list.best = nil
		if err := h.x.list(ctx, h.s, &list); err != nil {
			return false, err
		}
		rows := list.page()
		if err := h.among(ctx, log, rows.Rows); err != nil || rows.Next == "" {
			return true, err
		}
		list.after = &rows.Rows[len(rows.Rows)-1]
		if h.q.isFull() && !list.after.before(&h.q.best[0]) {
			return true, nil
		}
	}
	return false, nil
}

// among looks for the text in the events of some runs.
func (h *hunt) among(ctx context.Context, log *eventlog.Search, rows []Row) error {
	var runs []rival
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range rows {
		runs = h.addRival(runs, &rows[i])
		from, to = min(from, rows[i].First-attrSlack), max(to, rows[i].Last+attrSlack)
	}
	h.rivals = newRivals(runs)
	log = log.Within(from, to)
	for over := false; !over && log.More(h.q.floor()); {
		var err error
		if over, err = h.next(ctx, log); err != nil {
			return err
		}
	}
	return nil
}
