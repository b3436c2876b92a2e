package index

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
)

// Beat is how far apart the moments are at which pulses are exact, seconds. Moments are numbered from 1970 on.
const Beat = 15

// Memory for the pulses of blocks, bytes: for what they come to, and for their changes by measure.
const (
	totalsBudget  = 48 << 20
	changesBudget = 64 << 20
)

// Bounds are the upper bounds of the buckets of waiting times and durations, microseconds; beyond the last there is one
// bucket more.
var Bounds = [...]int64{10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
	60_000_000, 300_000_000, 900_000_000, 3_600_000_000}

// Measure is something that is counted.
type Measure uint8

// The measures. Of the gauges a value is how many there are at a moment, of the others how many there have been.
const (
	Enqueued    Measure = iota // runs that began
	Completions                // runs that completed
	Failures                   // runs that failed for good
	Retries                    // attempts after the first, counted when their run is over
	Waits                      // runs that were started, by how long they had waited
	Durations                  // runs that are over, by how long their last attempt took
	WaitingNow                 // runs that wait for a worker
	RunningNow                 // runs that are worked on; of several attempts the last
	measures
)

// Pulse is a measure of the runs of one queue, name and environment in a span of time.
type Pulse struct {
	Queue, Name, Env string
	First            uint32  // the moment of the first run that is known
	Changes          []Tally // sorted by moment; what was before the span may have been joined at the moment 0
}

// Tally is how much something grew at a moment.
type Tally struct {
	At     uint32 // the moment; of what happens between two it is the later
	Bucket uint8  // of Waits and Durations
	N      int32
	Since  uint32 // of WaitingNow: the oldest second since when those wait
	Sum    int64  // of Waits and Durations, microseconds
}

// momentOf is the first moment that is not before a time in microseconds.
func momentOf(us int64) uint32 {
	const beat = Beat * 1_000_000
	return uint32(min(max((us+beat-1)/beat, 0), math.MaxUint32))
}

// pulse is all measures of one queue, name and environment in a block.
type pulse struct {
	queue, name, env string
	first            uint32
	totals           [measures][]Tally // what a span after the block begins with: all of a counter, what goes on of a gauge
	changes          [measures][]Tally // while it is counted; what is remembered of them is in pulseChanges
}

// blockPulses are a block's runs, counted once: a block does not change, and which of its rows are hidden seldom does.
type blockPulses struct {
	hidden bitmap
	pulses []*pulse
	last   uint32 // the newest moment of a change
}

// pulseChanges are the changes of one measure in a block, of each of its pulses.
type pulseChanges struct {
	of      *blockPulses
	changes [][]Tally
}

// changesKey is a block and a measure.
type changesKey struct {
	partKey
	m Measure
}

// Pulses measures the runs of a workspace in a span of moments, both included, by queue, name and environment. All of those
// that had a run by the end of the span are in the list, also where nothing of the measure happened.
func (x *Index) Pulses(ctx context.Context, ws kernel.WorkspaceID, m Measure, from, to uint32) ([]*Pulse, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		c := &pulseCounter{m: m, from: from, to: to, byName: map[[3]string]*Pulse{}}
		if err = x.countPulses(ctx, s, c); !errors.Is(err, errOvertaken) || try == 3 {
			return c.all, err
		}
	}
}

type pulseCounter struct {
	m        Measure
	from, to uint32
	byName   map[[3]string]*Pulse
	all      []*Pulse
}

func (x *Index) countPulses(ctx context.Context, s *shard, c *pulseCounter) error {
	head := newPulses()
	v := s.look(func(rows []Row) {
		for i := range rows {
			head.addRow(&rows[i])
		}
	})
	blocks := v.blocks(func(z *zone) bool { return momentOf(z.minFirst) <= c.to })
	for _, b := range slices.Backward(blocks) { // the oldest first: then there is little to sort
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.addBlock(ctx, s.ws, c, b); err != nil {
			return err
		}
	}
	rest := head.done(nil, c.m)
	c.add(rest, rest.takeChanges(c.m))
	for _, p := range c.all {
		slices.SortFunc(p.Changes, func(a, b Tally) int { return cmp.Compare(a.At, b.At) })
	}
	return nil
}

// add adds a block's pulses; changes are those of the measure, or nil when the block was over before the span.
func (c *pulseCounter) add(b *blockPulses, changes [][]Tally) {
	for i, p := range b.pulses {
		if p.first > c.to {
			continue
		}
		key := [3]string{p.queue, p.name, p.env}
		sum := c.byName[key]
		if sum == nil {
			sum = &Pulse{Queue: p.queue, Name: p.name, Env: p.env, First: p.first}
			c.byName[key] = sum
			c.all = append(c.all, sum)
		}
		sum.First = min(sum.First, p.first)
		if changes == nil {
			sum.Changes = append(sum.Changes, p.totals[c.m]...)
			continue
		}
		end, _ := slices.BinarySearchFunc(changes[i], c.to+1, func(t Tally, at uint32) int { return cmp.Compare(t.At, at) })
		sum.Changes = append(sum.Changes, changes[i][:end]...)
	}
}

// addBlock adds a block, from memory where that has what is needed of it.
func (x *Index) addBlock(ctx context.Context, ws kernel.WorkspaceID, c *pulseCounter, b viewBlock) error {
	hidden := b.hiddenHere()
	key := changesKey{partKey(b.blockRef), c.m}
	p, ok := x.totals.Get(key.partKey)
	if ok && slices.Equal(p.hidden, hidden) {
		if p.last < c.from {
			c.add(p, nil)
			return nil
		}
		if ch, ok := x.changes.Get(key); ok && ch.of == p {
			c.add(p, ch.changes)
			return nil
		}
	} else {
		p = nil
	}
	counted, err := x.countBlockPulses(ctx, ws, b)
	if err != nil {
		return err
	}
	all := counted.done(slices.Clone(hidden), c.m) // in the same order each time
	ch := &pulseChanges{changes: all.takeChanges(c.m)}
	if ch.of = p; p == nil {
		ch.of = all
		x.totals.Put(key.partKey, all, all.cost())
	}
	x.changes.Put(key, ch, ch.cost())
	c.add(all, ch.changes)
	return nil
}

// hiddenHere is which of the block's own jobs are hidden.
func (b viewBlock) hiddenHere() bitmap {
	hidden := b.hidden[b.number*blockJobs/64:]
	return hidden[:min(len(hidden), blockJobs/64)]
}

// countAhead counts a block that nobody has asked about yet, and tells whether there may be more of them: so that the first
// panel after a start or a merge need not wait for all.
func (s *shard) countAhead(ctx context.Context) (bool, error) {
	x := s.store
	v := s.look(func([]Row) {})
	for i, seg := range v.segments {
		if seg.counted == len(seg.zones) {
			continue
		}
		b := viewBlock{blockRef{seg, seg.counted}, v.hidden[i], &seg.zones[seg.counted]}
		seg.counted++
		if p, ok := x.totals.Get(partKey(b.blockRef)); ok && slices.Equal(p.hidden, b.hiddenHere()) {
			return true, nil
		}
		counted, err := x.countBlockPulses(ctx, s.ws, b)
		if errors.Is(err, errOvertaken) {
			return false, x.reload(ctx, s)
		}
		if err != nil {
			return false, err
		}
		all := counted.done(slices.Clone(b.hiddenHere()), Enqueued)
		all.takeChanges(Enqueued)
		x.totals.Put(partKey(b.blockRef), all, all.cost())
		return true, nil
	}
	return false, nil
}

// takeChanges are the changes of a measure, of each pulse; the pulses do not keep them.
func (b *blockPulses) takeChanges(m Measure) [][]Tally {
	out := make([][]Tally, len(b.pulses))
	for i, p := range b.pulses {
		out[i], p.changes[m] = p.changes[m], nil
	}
	return out
}

// countBlockPulses reads a block and counts its runs.
func (x *Index) countBlockPulses(ctx context.Context, ws kernel.WorkspaceID, b viewBlock) (*pulses, error) {
	scan, err := x.scan(ctx, ws, b.blockRef)
	if err != nil {
		return nil, err
	}
	plain, err := x.part(ctx, ws, b.blockRef, labelTexts, `SELECT texts FROM job_blocks WHERE workspace_id = $1 AND segment_id = $2 AND number = $3`)
	if err != nil {
		return nil, err
	}
	columns, err := decodeNumbers(plain, scan)
	if err != nil {
		return nil, err
	}
	c := newPulses()
	for i := range scan.first {
		if b.hidden.has(b.number*blockJobs + int(scan.job[i])) {
			continue
		}
		r := scan.row(i)
		r.Last = r.First + columns[colLast][i]
		r.Due, r.Started = fromFirst(columns[colDue][i], r.First), fromFirst(columns[colStarted][i], r.First)
		r.Tries = int(columns[colTries][i])
		c.addRow(&r)
	}
	return c, nil
}

// decodeNumbers reads of the text part only the numbers that pulses need; see decodeTexts.
func decodeNumbers(b []byte, scan *scanPart) (columns [colTries + 1][]int64, err error) {
	if len(b) == 0 || b[0] != formatVersion {
		return columns, column.ErrBroken
	}
	r := column.NewReader(b[1:])
	n, jobs := r.Count(), r.Count()
	if n != len(scan.first) || jobs != len(scan.jobsFirst)-1 {
		return columns, column.ErrBroken
	}
	r.Dict()
	r.Texts(jobs, func(int, []byte) {})
	for c := range columns {
		columns[c] = r.Varints(n)
	}
	return columns, r.Err
}

// pulses counts rows.
type pulses struct{ byName map[[3]string]*pulse }

func newPulses() *pulses { return &pulses{map[[3]string]*pulse{}} }

func (c *pulses) addRow(r *Row) {
	key := [3]string{r.Queue, r.Name, r.Env}
	p := c.byName[key]
	if p == nil {
		p = &pulse{queue: r.Queue, name: r.Name, env: r.Env, first: momentOf(r.First)}
		c.byName[key] = p
	}
	p.first = min(p.first, momentOf(r.First))
	p.count(Enqueued, r.First)
	if r.Wait >= 0 && r.Started > 0 {
		p.observe(Waits, r.Started, r.Wait)
		p.during(WaitingNow, r.Started-r.Wait, r.Started)
	}
	switch r.Status {
	case fold.Completed, fold.Failed:
		p.addEnd(r)
	case fold.Waiting:
		p.since(WaitingNow, max(r.First, r.Due))
	case fold.Stalled:
		p.since(WaitingNow, r.Last)
	case fold.Active:
		at := r.Started
		if r.Tries > 1 || at == 0 {
			at = r.Last
		}
		p.since(RunningNow, at)
	}
}

// addEnd counts a run that is over.
func (p *pulse) addEnd(r *Row) {
	end := r.Last
	if r.Total >= 0 {
		end = r.First + r.Total
	}
	m := Completions
	if r.Status == fold.Failed {
		m = Failures
	}
	p.count(m, end)
	if r.Tries > 1 {
		p.changes[Retries] = append(p.changes[Retries], Tally{At: momentOf(end), N: int32(min(r.Tries-1, math.MaxInt32))})
	}
	if r.Duration >= 0 {
		p.observe(Durations, end, r.Duration)
		p.during(RunningNow, end-r.Duration, end)
	}
}

func (p *pulse) count(m Measure, at int64) {
	p.changes[m] = append(p.changes[m], Tally{At: momentOf(at), N: 1})
}

func (p *pulse) observe(m Measure, at, us int64) {
	bucket, _ := slices.BinarySearch(Bounds[:], us)
	p.changes[m] = append(p.changes[m], Tally{At: momentOf(at), Bucket: uint8(bucket), N: 1, Sum: us})
}

// during counts what went on from one time until another. What fell between two moments was at none.
func (p *pulse) during(m Measure, from, until int64) {
	if a, b := momentOf(from), momentOf(until); a < b {
		second := secondOf(from)
		p.changes[m] = append(p.changes[m], Tally{At: a, N: 1, Since: second}, Tally{At: b, N: -1, Since: second})
	}
}

// since counts what goes on.
func (p *pulse) since(m Measure, from int64) {
	p.changes[m] = append(p.changes[m], Tally{At: momentOf(from), N: 1, Since: secondOf(from)})
	p.totals[m] = append(p.totals[m], Tally{N: 1, Since: secondOf(from)})
}

// done adds up what was counted. Of the changes, those of one measure are sorted and joined; the others are let go.
func (c *pulses) done(hidden bitmap, wanted Measure) *blockPulses {
	b := &blockPulses{hidden: hidden}
	for _, p := range c.byName {
		for m := range measures {
			for _, t := range p.changes[m] {
				b.last = max(b.last, t.At)
			}
			if m == WaitingNow || m == RunningNow {
				p.totals[m] = joinedTallies(p.totals[m]) // of what goes on; what is over has come to nothing
			} else {
				p.totals[m] = totalsOf(p.changes[m])
			}
			if m != wanted {
				p.changes[m] = nil
			}
		}
		p.changes[wanted] = joinedTallies(p.changes[wanted])
		b.pulses = append(b.pulses, p)
	}
	slices.SortFunc(b.pulses, func(a, b *pulse) int {
		return cmp.Or(strings.Compare(a.queue, b.queue), strings.Compare(a.name, b.name), strings.Compare(a.env, b.env))
	})
	return b
}

// joinedTallies adds up what happened at the same moment, but not what began at different times: of that the oldest counts.
func joinedTallies(all []Tally) []Tally {
	slices.SortFunc(all, compareTallies)
	out := all[:0]
	for _, t := range all {
		if n := len(out); n > 0 && compareTallies(out[n-1], t) == 0 {
			out[n-1].N += t.N
			out[n-1].Sum += t.Sum
		} else {
			out = append(out, t)
		}
	}
	return slices.Clone(out)
}

func compareTallies(a, b Tally) int {
	if a.At != b.At {
		return cmp.Compare(a.At, b.At)
	}
	if a.Bucket != b.Bucket {
		return cmp.Compare(a.Bucket, b.Bucket)
	}
	return cmp.Compare(a.Since, b.Since)
}

// totalsOf is what the changes of a counter come to, by bucket.
func totalsOf(changes []Tally) (out []Tally) {
	var sums [len(Bounds) + 1]Tally
	for _, t := range changes {
		sums[t.Bucket].N += t.N
		sums[t.Bucket].Sum += t.Sum
	}
	for i, t := range sums {
		if t.N != 0 {
			out = append(out, Tally{Bucket: uint8(i), N: t.N, Sum: t.Sum})
		}
	}
	return out
}

// cost is roughly what the changes take in memory, bytes.
func (ch *pulseChanges) cost() int64 {
	cost := int64(64)
	for _, list := range ch.changes {
		cost += 24*int64(len(list)) + 24
	}
	return cost
}

// cost is roughly what the pulses take in memory, bytes.
func (b *blockPulses) cost() int64 {
	cost := int64(8*len(b.hidden) + 64)
	for _, p := range b.pulses {
		cost += 600
		for m := range p.totals {
			cost += 24 * int64(cap(p.totals[m]))
		}
	}
	return cost
}
