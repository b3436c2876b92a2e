package index

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
)

// Overview tells how the queues of a workspace do in a span of time.
type Overview struct {
	From, To int64 // microseconds
	Step     int64 // width of a bucket of the series
	Queues   []QueueStats
}

// QueueStats counts the runs of one queue that began in the span.
type QueueStats struct {
	Queue         string
	Runs          int
	ByStatus      [fold.Completed + 1]int
	OldestWaiting int64 // since when the longest waiting run waits, whenever it began; 0 when none does
	Waiting       int   // runs that wait for a worker now, whenever they began
	Later         int   // runs that start later: delayed, or between two attempts
	Running       int   // runs that are active now
	Wait, Took    Spans
	Done          []int // runs that completed, by bucket of the second of their end
	Failed        []int // runs that failed, likewise
	LastAt        int64 // newest beginning of a run
}

// Finished is how many runs are over.
func (q *QueueStats) Finished() int { return q.ByStatus[fold.Completed] + q.ByStatus[fold.Failed] }

// FailureRate is the part of the finished runs that failed, 0 to 1; NaN when none is finished.
func (q *QueueStats) FailureRate() float64 {
	if q.Finished() == 0 {
		return math.NaN()
	}
	return float64(q.ByStatus[fold.Failed]) / float64(q.Finished())
}

// seriesBuckets is how many points a queue's series has.
const seriesBuckets = 60

// Overview counts runs by queue. An env of "" is every environment.
func (x *Index) Overview(ctx context.Context, ws kernel.WorkspaceID, from, to int64, env string) (*Overview, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		c := newCounter(from, to, env)
		if err = x.count(ctx, s, c); !errors.Is(err, errOvertaken) || try == 3 {
			return c.overview(), err
		}
	}
}

type counter struct {
	Overview
	env    string
	queues map[string]*QueueStats
}

func newCounter(from, to int64, env string) *counter {
	return &counter{Overview: Overview{From: from, To: to, Step: max(1, (to-from+seriesBuckets-1)/seriesBuckets)}, env: env,
		queues: map[string]*QueueStats{}}
}

func (c *counter) overview() *Overview {
	for _, q := range c.queues {
		c.Queues = append(c.Queues, *q)
	}
	slices.SortFunc(c.Queues, func(a, b QueueStats) int { return cmp.Compare(a.Queue, b.Queue) })
	return &c.Overview
}

func (c *counter) queue(name string) *QueueStats {
	q := c.queues[name]
	if q == nil {
		q = &QueueStats{Queue: name, Done: make([]int, seriesBuckets), Failed: make([]int, seriesBuckets)}
		c.queues[name] = q
	}
	return q
}

// openStatuses are the bits of runs that are not over.
const openStatuses = 1<<fold.Waiting | 1<<fold.Delayed | 1<<fold.Active | 1<<fold.Retrying | 1<<fold.Stalled

func (x *Index) count(ctx context.Context, s *shard, c *counter) error {
	v := s.look(func(rows []Row) {
		for i := range rows {
			c.addRow(&rows[i])
		}
	})
	envBit := uint64(0)
	if c.env != "" {
		envBit = nameBit(c.env)
	}
	for _, b := range v.blocks(func(z *zone) bool { return z.envs&envBit == envBit && (c.reaches(z) || z.statuses&openStatuses != 0) }) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.countBlock(ctx, s, c, b); err != nil {
			return err
		}
	}
	return nil
}

// reaches tells whether runs of a block may have begun in the span, and covers whether all have.
func (c *counter) reaches(z *zone) bool { return z.maxFirst >= c.From && z.minFirst < c.To }
func (c *counter) covers(z *zone) bool  { return z.minFirst >= c.From && z.maxFirst < c.To }

func (x *Index) countBlock(ctx context.Context, s *shard, c *counter, b viewBlock) error {
	if c.reaches(b.zone) && !c.covers(b.zone) {
		scan, err := x.scan(ctx, s.ws, b.blockRef)
		if err != nil {
			return err
		}
		scan.each(b, c.addRow)
		return nil
	}
	sums, err := x.sums(ctx, s.ws, b)
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if c.env == "" || c.env == sum.env {
			c.addSum(sum, c.covers(b.zone))
		}
	}
	return nil
}

// each calls f with the block's rows that are not hidden, which hold what the scan part knows.
func (p *scanPart) each(b viewBlock, f func(*Row)) {
	for i := range p.first {
		if !b.hidden.has(b.number*blockJobs + int(p.job[i])) {
			r := p.row(i)
			f(&r)
		}
	}
}

func (c *counter) addRow(r *Row) {
	inside := r.First >= c.From && r.First < c.To
	open := openStatuses&(1<<r.Status) != 0
	if !inside && !open || c.env != "" && c.env != r.Env {
		return
	}
	q := c.queue(r.Queue)
	q.addOpen(r)
	if !inside {
		return
	}
	q.addRun(r)
	if r.Status.Over() {
		q.series(r.Status)[c.bucket(secondOf(r.First+r.Total))]++
	}
}

// addSum adds runs of one queue that all began in the span, or none of them.
func (c *counter) addSum(sum *blockSum, inside bool) {
	if !inside && sum.Waiting == 0 && sum.Later == 0 && sum.Running == 0 {
		return
	}
	q := c.queue(sum.Queue)
	q.Waiting += sum.Waiting
	q.Later += sum.Later
	q.Running += sum.Running
	if sum.OldestWaiting != 0 && (q.OldestWaiting == 0 || sum.OldestWaiting < q.OldestWaiting) {
		q.OldestWaiting = sum.OldestWaiting
	}
	if !inside {
		return
	}
	q.Runs += sum.Runs
	for s, n := range sum.ByStatus {
		q.ByStatus[s] += n
	}
	q.LastAt = max(q.LastAt, sum.LastAt)
	q.Wait.addTallies(sum.wait)
	q.Took.addTallies(sum.took)
	for _, t := range sum.done {
		q.Done[c.bucket(t.of)] += int(t.n)
	}
	for _, t := range sum.failed {
		q.Failed[c.bucket(t.of)] += int(t.n)
	}
}

// bucket is the place in the series of a second.
func (c *counter) bucket(second uint32) int64 {
	return min(seriesBuckets-1, max(0, int64(second)*1_000_000-c.From)/c.Step)
}

// secondOf is the second of a time in microseconds.
func secondOf(us int64) uint32 { return uint32(min(max(us/1_000_000, 0), math.MaxUint32)) }

// series are the counts of the runs that ended with a status.
func (q *QueueStats) series(s fold.Status) []int {
	if s == fold.Failed {
		return q.Failed
	}
	return q.Done
}

// addOpen counts a run that is not over, whenever it began.
func (q *QueueStats) addOpen(r *Row) {
	switch r.Status {
	case fold.Waiting, fold.Stalled:
		q.Waiting++
		if q.OldestWaiting == 0 || r.First < q.OldestWaiting {
			q.OldestWaiting = r.First
		}
	case fold.Delayed, fold.Retrying:
		q.Later++
	case fold.Active:
		q.Running++
	}
}

// addRun counts a run that began in the span.
func (q *QueueStats) addRun(r *Row) {
	q.Runs++
	q.ByStatus[r.Status]++
	q.LastAt = max(q.LastAt, r.First)
	q.Wait.add(r.Wait)
	q.Took.add(r.Duration)
}

// Facets are the values that the filters of a workspace's job list offer, sorted.
type Facets struct{ Queues, Names, Envs []string }

// Facets lists what queues, names and environments there are.
func (x *Index) Facets(ctx context.Context, ws kernel.WorkspaceID) (Facets, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return Facets{}, err
	}
	queues, names, envs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	v := s.look(func(rows []Row) {
		for i := range rows {
			queues[rows[i].Queue], names[rows[i].Name], envs[rows[i].Env] = true, true, true
		}
	})
	for _, seg := range v.segments {
		for set, list := range map[*map[string]bool][]string{&queues: seg.facets.queues, &names: seg.facets.names, &envs: seg.facets.envs} {
			for _, value := range list {
				(*set)[value] = true
			}
		}
	}
	return Facets{values(queues), values(names), values(envs)}, nil
}
