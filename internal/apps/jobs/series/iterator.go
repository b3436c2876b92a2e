package series

import (
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// grid is the moments that have samples: the multiples of stride from one moment to another.
type grid struct{ from, to, stride uint32 }

// since leaves out the time before anything is known. One moment of it stays: there a counter is 0, so that its first
// events are seen as growth.
func (g grid) since(first uint32) grid {
	if first > g.from+g.stride {
		g.from = first - g.stride
	}
	return g
}

// series is a curve with labels.
type series struct {
	labels labels.Labels
	curve  curve
	grid   grid
}

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.labels }

// Iterator implements storage.Series.
func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	g := s.grid
	first := (g.from + g.stride - 1) / g.stride
	p := &points{series: s, first: first}
	if last := g.to / g.stride; last >= first {
		p.n = int(last-first) + 1
	}
	return storage.NewListSeriesIterator(p)
}

// points are the samples of a series, worked out as they are looked at: one at a time, mostly from the first to the last.
// It is a list of samples and the sample of it that was asked for last.
type points struct {
	series *series
	first  uint32 // the moment of the first, in strides
	n      int
	i      int // of the sample that was asked for last
	next   int // index of the first change after the sample whose value was asked for last
}

// Len implements storage.Samples.
func (p *points) Len() int { return p.n }

// Get implements storage.Samples.
func (p *points) Get(i int) chunks.Sample {
	p.i = i
	return p
}

func (p *points) moment() uint32 { return (p.first + uint32(p.i)) * p.series.grid.stride }

// T implements chunks.Sample.
func (p *points) T() int64 { return int64(p.moment()) * beat }

// F implements chunks.Sample.
func (p *points) F() float64 {
	at, changes := p.moment(), p.series.curve.at
	if p.next > 0 && changes[p.next-1] > at {
		p.next = 0
	}
	if far := p.next + 8; far < len(changes) && changes[far] <= at {
		p.next += sort.Search(len(changes)-p.next, func(i int) bool { return changes[p.next+i] > at })
	}
	for p.next < len(changes) && changes[p.next] <= at {
		p.next++
	}
	if p.next == 0 {
		return 0
	}
	v := p.series.curve.values[p.next-1]
	if p.series.curve.age && v != 0 {
		return max(0, float64(p.T())/1000-v)
	}
	return v
}

// ST implements chunks.Sample; when counters began is not known.
func (p *points) ST() int64 { return 0 }

// H implements chunks.Sample; there are no histograms.
func (p *points) H() *histogram.Histogram { return nil }

// FH implements chunks.Sample.
func (p *points) FH() *histogram.FloatHistogram { return nil }

// Type implements chunks.Sample.
func (p *points) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// Copy implements chunks.Sample.
func (p *points) Copy() chunks.Sample {
	c := *p
	return &c
}
