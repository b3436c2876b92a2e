package index

import (
	"cmp"
	"context"
	"slices"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
)

// sumBudget is the memory for sums, bytes.
const sumBudget = 32 << 20

// blockSums are the runs of a block added up. A block does not change, and which of its rows are hidden seldom does, so
// that an overview adds a few sums where it would otherwise read and count thousands of runs.
type blockSums struct {
	hidden bitmap // the rows that were left out
	sums   []*blockSum
}

// blockSum is the runs of one queue in one environment.
type blockSum struct {
	QueueStats   // but for its histograms and series
	env          string
	wait, took   []tally // of buckets of Spans
	done, failed []tally // of seconds
}

// sums adds up a block, or remembers.
func (x *Index) sums(ctx context.Context, ws kernel.WorkspaceID, b viewBlock) ([]*blockSum, error) {
	hidden := b.hiddenHere()
	if s, ok := x.summed.Get(partKey(b.blockRef)); ok && slices.Equal(s.hidden, hidden) {
		return s.sums, nil
	}
	scan, err := x.scan(ctx, ws, b.blockRef)
	if err != nil {
		return nil, err
	}
	s := &blockSums{slices.Clone(hidden), sumUp(scan, b)}
	x.summed.Put(partKey(b.blockRef), s, s.cost())
	return s.sums, nil
}

func sumUp(scan *scanPart, b viewBlock) (out []*blockSum) {
	byName := map[[2]string]*blockSum{}
	scan.each(b, func(r *Row) {
		sum := byName[[2]string{r.Queue, r.Env}]
		if sum == nil {
			sum = &blockSum{QueueStats: QueueStats{Queue: r.Queue}, env: r.Env}
			byName[[2]string{r.Queue, r.Env}] = sum
			out = append(out, sum)
		}
		sum.addOpen(r)
		sum.addRun(r)
		if r.Status.Over() {
			ends := sum.ends(r.Status)
			*ends = append(*ends, tally{secondOf(r.First + r.Total), 1})
		}
	})
	for _, sum := range out {
		sum.wait, sum.took = sum.Wait.tallies(), sum.Took.tallies()
		sum.Wait, sum.Took = Spans{}, Spans{}
		sum.done, sum.failed = joined(sum.done), joined(sum.failed)
	}
	return out
}

// ends are the seconds in which runs ended with a status.
func (s *blockSum) ends(status fold.Status) *[]tally {
	if status == fold.Failed {
		return &s.failed
	}
	return &s.done
}

// joined sorts tallies and adds up those of the same.
func joined(all []tally) []tally {
	slices.SortFunc(all, func(a, b tally) int { return cmp.Compare(a.of, b.of) })
	var out []tally
	for _, t := range all {
		if n := len(out); n > 0 && out[n-1].of == t.of {
			out[n-1].n += t.n
		} else {
			out = append(out, t)
		}
	}
	return slices.Clip(out)
}

// cost is roughly what the sums take in memory, bytes.
func (s *blockSums) cost() int64 {
	cost := int64(8*len(s.hidden) + 64)
	for _, sum := range s.sums {
		cost += 400 + 8*int64(len(sum.wait)+len(sum.took)+len(sum.done)+len(sum.failed))
	}
	return cost
}
