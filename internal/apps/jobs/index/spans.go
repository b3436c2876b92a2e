package index

import (
	"math"
	"math/bits"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
)

// Spans is a histogram of spans of time with a relative error of at most 1/16: sixteen buckets for each power of two.
type Spans struct {
	Count   int
	buckets []int // as far as there are any
}

// tally is how often there is something.
type tally struct{ of, n uint32 }

func (s *Spans) add(us int64) {
	if us >= 0 {
		s.addTo(bucketOf(us), 1)
	}
}

func (s *Spans) addTo(bucket uint16, n int) {
	if missing := int(bucket) + 1 - len(s.buckets); missing > 0 {
		s.buckets = append(s.buckets, make([]int, missing)...)
	}
	s.Count += n
	s.buckets[bucket] += n
}

func (s *Spans) addTallies(tallies []tally) {
	for _, t := range tallies {
		s.addTo(uint16(t.of), int(t.n))
	}
}

// tallies lists the buckets that are not empty.
func (s *Spans) tallies() (out []tally) {
	for b, n := range s.buckets {
		if n > 0 {
			out = append(out, tally{uint32(b), uint32(n)})
		}
	}
	return out
}

// Merge adds the spans that another histogram counted, for figures over several queues.
func (s *Spans) Merge(o *Spans) {
	for b, n := range o.buckets {
		s.addTo(uint16(b), n)
	}
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
	rank := int(math.Ceil(p * float64(s.Count)))
	for b, n := range s.buckets {
		if rank -= n; n > 0 && rank <= 0 {
			return middle(uint16(b))
		}
	}
	return middle(uint16(len(s.buckets) - 1))
}
