package fold

import "github.com/kept-dev/kept/wire/jobviz"

// Occurrences numbers the events of one job within one request, so that a job that fails and is tried again within
// milliseconds keeps its attempts although they look like copies of each other: the second active of a request is
// another event than the first if the job moved on in between. One agent never sends a copy within a request, so two
// replicas, or a retried batch, number alike, and their copies still fold into one.
//
// The numbers begin again when time runs backwards or a run ends, which is what a repeated stream looks like.
type Occurrences struct {
	last  int64 // time of the last state event
	types [jobviz.Deployment + 1]occurrence
	moved uint8 // counts the changes of state
}

type occurrence struct {
	hash  uint32
	nth   uint8
	moved uint8
	any   bool
}

// Next returns the number of the job's next event in the request.
func (o *Occurrences) Next(e Event) uint8 {
	if !e.changesState() {
		return 0
	}
	if e.At < o.last {
		*o = Occurrences{}
	}
	o.last = e.At
	seen := &o.types[e.Type]
	switch {
	case !seen.any:
		o.moved++
		*seen = occurrence{hash: e.Hash, moved: o.moved, any: true}
	case seen.moved != o.moved: // something else happened since
		o.moved++
		seen.nth++
		seen.hash, seen.moved = e.Hash, o.moved
	}
	nth := seen.nth
	if e.Final() {
		*o = Occurrences{last: o.last}
	}
	return nth
}
