// Package metric is how the agent holds measurements between taking and sending them: series that are made once and
// found again without allocating, the values of one moment, and marks for series that ended. How they travel is
// wire/remotewrite's.
package metric

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/kept-dev/kept/wire/remotewrite"
)

// Desc describes all series of one name.
type Desc struct {
	Name, Help string
	Type       remotewrite.Type
	Unit       string
}

// Series is one series of a Set.
type Series struct {
	Desc   *Desc
	Labels []string // pairs sorted by name, with __name__ and the common labels

	own    []string // pairs as they were added
	seen   uint64   // the round that had it last
	before uint64   // the round that had it before that; 0 for none
	next   *Series  // another one with the same hash
}

// Exemplar is an example of what a sample counted. Labels are pairs.
type Exemplar struct {
	Labels []string
	Value  float64
	Time   int64 // milliseconds since 1970; 0 is the sample's time
}

// Point is a value of a series.
type Point struct {
	Series   *Series
	Value    float64
	Exemplar *Exemplar
}

// Set is the series of one source, such as the host or one scrape target, over time. It is for one goroutine.
type Set struct {
	common []string
	limit  int
	seed   maphash.Seed
	series map[uint64]*Series
	count  int
	round  uint64
	points []Point
	over   int
}

// NewSet returns an empty Set. The common labels are pairs that all series get; a series' own label of the same name
// becomes exported_…, as Prometheus does it. There are at most limit series in a round.
func NewSet(limit int, common ...string) *Set {
	return &Set{common: common, limit: limit, seed: maphash.MakeSeed(), series: map[uint64]*Series{}}
}

// Begin starts a round: the values of one moment. The points of the round before are no longer valid.
func (s *Set) Begin() {
	s.round++
	s.over = 0
	clear(s.points)
	s.points = s.points[:0]
}

// Add adds a value to the round. The labels are pairs; an empty value is no label. A second value of the same series in
// a round is left out. It keeps copies of what it keeps, so texts may be views of a buffer.
func (s *Set) Add(d *Desc, value float64, labels ...string) { s.AddWith(d, value, nil, labels...) }

// AddWith is Add with an exemplar.
func (s *Set) AddWith(d *Desc, value float64, e *Exemplar, labels ...string) {
	one := s.find(d, labels)
	if one == nil || one.seen == s.round {
		return
	}
	one.before, one.seen = one.seen, s.round
	s.points = append(s.points, Point{Series: one, Value: value, Exemplar: e})
}

// Over is how many values of the round found no place because of the limit.
func (s *Set) Over() int { return s.over }

// Discard takes back what the round has so far, as if it had not been added.
func (s *Set) Discard() {
	for _, p := range s.points {
		p.Series.seen = p.Series.before
	}
	clear(s.points)
	s.points = s.points[:0]
}

// End returns the values of the round, and a stale mark for each series that the round before had and this one has not.
// They are valid until Begin.
func (s *Set) End() []Point {
	for hash, one := range s.series {
		for ; one != nil; one = one.next {
			if one.seen == s.round {
				continue
			}
			if one.seen > 0 { // else it was only in what was discarded
				s.points = append(s.points, Point{Series: one, Value: remotewrite.Stale()})
			}
			s.remove(hash, one)
		}
	}
	return s.points
}

func (s *Set) find(d *Desc, labels []string) *Series {
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(d.Name)
	for _, l := range labels {
		h.WriteByte(0xff) // no text has this byte, so ("a","bc") and ("ab","c") differ
		h.WriteString(l)
	}
	hash := h.Sum64()
	for one := s.series[hash]; one != nil; one = one.next {
		if one.Desc.Name == d.Name && slices.Equal(one.own, labels) {
			one.Desc = d
			return one
		}
	}
	if s.count >= s.limit {
		s.over++
		return nil
	}
	one := s.make(d, labels)
	one.next = s.series[hash]
	s.series[hash] = one
	s.count++
	return one
}

func (s *Set) make(d *Desc, labels []string) *Series {
	own := make([]string, len(labels))
	for i, l := range labels {
		own[i] = strings.Clone(l)
	}
	pairs := make([]string, 0, len(labels)+len(s.common)+2)
	pairs = append(pairs, "__name__", d.Name)
	pairs = append(pairs, s.common...)
	for i := 0; i+1 < len(own); i += 2 {
		name := own[i]
		for hasName(pairs, name) {
			name = "exported_" + name
		}
		pairs = append(pairs, name, own[i+1])
	}
	return &Series{Desc: d, Labels: SortPairs(pairs), own: own}
}

func hasName(pairs []string, name string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			return true
		}
	}
	return false
}

func (s *Set) remove(hash uint64, gone *Series) {
	s.count--
	if s.series[hash] == gone && gone.next == nil {
		delete(s.series, hash)
		return
	}
	if s.series[hash] == gone {
		s.series[hash] = gone.next
		return
	}
	for one := s.series[hash]; one != nil; one = one.next {
		if one.next == gone {
			one.next = gone.next
			return
		}
	}
}

// SortPairs sorts pairs of names and values by name, in place, and leaves out those without a value.
func SortPairs(pairs []string) []string {
	type pair struct{ name, value string }
	list := make([]pair, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, pair{pairs[i], pairs[i+1]})
		}
	}
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	pairs = pairs[:0]
	for _, p := range list {
		pairs = append(pairs, p.name, p.value)
	}
	return pairs
}
