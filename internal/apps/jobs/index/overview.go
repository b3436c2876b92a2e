package index

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/bits"
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
	Waiting       int   // runs that wait now, whenever they began
	Running       int   // runs that are active now
	Wait, Took    Spans
	Done          []int // runs that completed, by bucket of their end
	Failed        []int // runs that failed, by bucket of their end
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

// Spans is a histogram of spans of time with a relative error of at most 1/16: sixteen buckets for each power of two.
type Spans struct {
	Count   int
	buckets map[uint16]int
}

func (s *Spans) add(us int64) {
	if us < 0 {
		return
	}
	if s.buckets == nil {
		s.buckets = map[uint16]int{}
	}
	s.Count++
	s.buckets[bucketOf(us)]++
}

// bucketOf numbers the buckets: below 16 exactly, then by the four bits behind the leading one.
func bucketOf(us int64) uint16 {
	if us < 16 {
		return uint16(us)
	}
	exp := bits.Len64(uint64(us)) - 5
	return uint16(exp<<4) + uint16(us>>exp)
}

// middle is a bucket's representative.
func middle(b uint16) int64 {
	if b < 32 {
		return int64(b)
	}
	exp := int(b>>4) - 1
	low := int64(b-uint16(exp<<4)) << exp
	return low + (int64(1)<<exp)/2
}

// Quantile is the span below which the part p of all lies, microseconds; NotKnown when there are none.
func (s *Spans) Quantile(p float64) int64 {
	if s.Count == 0 {
		return fold.NotKnown
	}
	keys := make([]uint16, 0, len(s.buckets))
	for b := range s.buckets {
		keys = append(keys, b)
	}
	slices.Sort(keys)
	rank := int(math.Ceil(p * float64(s.Count)))
	for _, b := range keys {
		if rank -= s.buckets[b]; rank <= 0 {
			return middle(b)
		}
	}
	return middle(keys[len(keys)-1])
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
			r := &rows[i]
			c.add(c.queue, r)
		}
	})
	envBit := uint64(0)
	if c.env != "" {
		envBit = nameBit(c.env)
	}
	for _, b := range v.blocks(func(z *zone) bool {
		return z.envs&envBit == envBit && (z.maxFirst >= c.From && z.minFirst < c.To || z.statuses&openStatuses != 0)
	}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		scan, err := x.scan(ctx, s.ws, b.blockRef)
		if err != nil {
			return err
		}
		c.addBlock(scan, b)
	}
	return nil
}

func (c *counter) addBlock(scan *scanPart, b viewBlock) {
	byWord := make([]*QueueStats, len(scan.dict))
	find := func(i int) *QueueStats {
		w := scan.queue[i]
		if byWord[w] == nil {
			byWord[w] = c.queue(scan.dict[w])
		}
		return byWord[w]
	}
	for i := range scan.first {
		if b.hidden.has(b.number*blockJobs + int(scan.job[i])) {
			continue
		}
		r := Row{Status: fold.Status(scan.status[i]), First: scan.first[i], Wait: scan.wait[i], Duration: scan.duration[i], Total: scan.total[i]}
		if c.env != "" {
			r.Env = scan.dict[scan.env[i]]
		}
		c.add(func(string) *QueueStats { return find(i) }, &r)
	}
}

func (c *counter) add(queue func(name string) *QueueStats, r *Row) {
	inside := r.First >= c.From && r.First < c.To
	open := openStatuses&(1<<r.Status) != 0
	if !inside && !open || c.env != "" && c.env != r.Env {
		return
	}
	q := queue(r.Queue)
	switch r.Status {
	case fold.Waiting, fold.Delayed, fold.Retrying, fold.Stalled:
		q.Waiting++
		if r.Status == fold.Waiting && (q.OldestWaiting == 0 || r.First < q.OldestWaiting) {
			q.OldestWaiting = r.First
		}
	case fold.Active:
		q.Running++
	}
	if !inside {
		return
	}
	q.Runs++
	q.ByStatus[r.Status]++
	q.LastAt = max(q.LastAt, r.First)
	q.Wait.add(r.Wait)
	q.Took.add(r.Duration)
	if r.Status.Over() {
		i := min(seriesBuckets-1, (r.First+r.Total-c.From)/c.Step)
		if r.Status == fold.Failed {
			q.Failed[i]++
		} else {
			q.Done[i]++
		}
	}
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
