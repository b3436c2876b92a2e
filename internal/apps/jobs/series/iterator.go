package series

import (
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// grid is the moments that have samples: the multiples of stride from one moment to another.
type grid struct{ from, to, stride uint32 }

// up is the first moment with a sample that is not before another.
func (g grid) up(at uint32) uint32 { return (max(at, g.from) + g.stride - 1) / g.stride * g.stride }

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
func (s *series) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	p, ok := it.(*points)
	if !ok {
		p = &points{}
	}
	g := s.grid
	*p = points{curve: s.curve, stride: g.stride, at: g.up(g.from), last: g.to / g.stride * g.stride}
	return p
}

// points are the samples of a series, worked out as they are looked at.
type points struct {
	curve    curve
	stride   uint32
	at, last uint32 // the moment of the current sample, and of the last
	begun    bool
	next     int // index of the first change after the current sample
}

// millis is milliseconds since 1970. By this name vet does not take Seek for that of io.Seeker.
type millis = int64

// Next implements chunkenc.Iterator.
func (p *points) Next() chunkenc.ValueType {
	if p.begun {
		p.at += p.stride
	}
	return p.arrive()
}

// Seek implements chunkenc.Iterator.
func (p *points) Seek(t millis) chunkenc.ValueType {
	if t > int64(p.last)*beat {
		p.at = p.last + 1
	} else if t > p.AtT() {
		p.at = uint32((t + beat - 1) / beat)
		p.at = (p.at + p.stride - 1) / p.stride * p.stride
	}
	return p.arrive()
}

// arrive looks up the value at the current sample, if there is one.
func (p *points) arrive() chunkenc.ValueType {
	if p.begun = true; p.at > p.last {
		p.at = p.last + 1 // and stays there
		return chunkenc.ValNone
	}
	changes := p.curve.at
	if far := p.next + 8; far < len(changes) && changes[far] <= p.at {
		p.next += sort.Search(len(changes)-p.next, func(i int) bool { return changes[p.next+i] > p.at })
	}
	for p.next < len(changes) && changes[p.next] <= p.at {
		p.next++
	}
	return chunkenc.ValFloat
}

// At implements chunkenc.Iterator.
func (p *points) At() (int64, float64) {
	t := p.AtT()
	if p.next == 0 {
		return t, 0
	}
	v := p.curve.values[p.next-1]
	if p.curve.age && v != 0 {
		v = max(0, float64(t)/1000-v)
	}
	return t, v
}

// AtT implements chunkenc.Iterator.
func (p *points) AtT() int64 { return int64(p.at) * beat }

// AtST implements chunkenc.Iterator; when counters began is not known.
func (p *points) AtST() int64 { return 0 }

// Err implements chunkenc.Iterator.
func (p *points) Err() error { return nil }

// AtHistogram implements chunkenc.Iterator; there are none.
func (p *points) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	panic("series: jobs have no native histograms")
}

// AtFloatHistogram implements chunkenc.Iterator; there are none.
func (p *points) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	panic("series: jobs have no native histograms")
}
