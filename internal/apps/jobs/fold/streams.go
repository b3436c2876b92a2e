package fold

import (
	"sync"

	"github.com/kept-dev/kept/wire/jobviz"
)

// Streams numbers the events of agents of which every replica tells of every event (BullMQ's, bee-queue's). The k-th
// active of a job is the same event in the stream of each replica, however far one lags behind another, so such events
// are copies of each other by their number (Numbered). Within one request Occurrences does as much for everybody; what
// it takes to number beyond a request is a source: something that stays the same from one request of a replica to the
// next, such as its connection.
//
// A source that is new, or that was forgotten, begins at 0. That is why numbers also begin again after a pause of the
// copy window: replicas that came to differ agree again.
type Streams struct {
	mu         sync.Mutex
	young, old map[uint64]*told // by job; when young is full it becomes old
	requests   uint64
}

// Bounds of what Streams remembers.
const (
	maxTold    = 16 << 10 // jobs in each half
	maxMarks   = 32       // newest events of a job, by which a batch that is sent again is known
	maxSources = 8        // of a job
)

// told is what is remembered of a job.
type told struct {
	marks   [maxMarks]mark
	next    int // mark to use next
	sources []source
}

// mark is an event that was numbered.
type mark struct {
	at   int64
	body uint64 // of the request
	by   uint64 // the request that used it last
	typ  jobviz.Type
	nth  uint8
}

type source struct {
	id    uint64
	types [jobviz.Deployment + 1]struct {
		last int64
		next uint8
	}
}

// Request is one request of a replica, whose events are numbered in their order.
type Request struct {
	streams          *Streams
	from, body, this uint64
}

// Request begins to number the events of a request. A body that was seen before is a batch that is sent again.
func (s *Streams) Request(from, body uint64) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return &Request{streams: s, from: from, body: body, this: s.requests}
}

// Numbers tells whether every replica tells of such an event: log lines come from the one that runs the job.
func (r *Request) Numbers(e Event) bool {
	return e.changesState() || e.Type == jobviz.Progress && e.Flags&HasLog == 0
}

// Next returns the number of an event of a job.
func (r *Request) Next(job uint64, e Event) uint8 {
	r.streams.mu.Lock()
	defer r.streams.mu.Unlock()
	t := r.streams.of(job)
	count := &t.source(r.from).types[e.Type]
	m := t.marked(r, e)
	if m == nil {
		m = &t.marks[t.next]
		t.next = (t.next + 1) % maxMarks
		*m = mark{at: e.At, body: r.body, typ: e.Type}
		if count.last != 0 && e.At-count.last <= copyWindow {
			m.nth = count.next
		}
	}
	m.by = r.this
	count.last, count.next = max(count.last, e.At), m.nth+1
	return m.nth
}

func (s *Streams) of(job uint64) *told {
	if t := s.young[job]; t != nil {
		return t
	}
	t := s.old[job]
	if t == nil {
		t = &told{}
	}
	if s.young == nil || len(s.young) >= maxTold {
		s.old, s.young = s.young, map[uint64]*told{}
	}
	s.young[job] = t
	return t
}

// marked finds the event when the same batch was numbered before.
func (t *told) marked(r *Request, e Event) *mark {
	for i := range t.marks {
		m := &t.marks[i]
		if m.at == e.At && m.typ == e.Type && m.body == r.body && m.by != 0 && m.by != r.this {
			return m
		}
	}
	return nil
}

func (t *told) source(id uint64) *source {
	for i := range t.sources {
		if t.sources[i].id == id {
			return &t.sources[i]
		}
	}
	if len(t.sources) >= maxSources {
		t.sources = t.sources[1:]
	}
	t.sources = append(t.sources, source{id: id})
	return &t.sources[len(t.sources)-1]
}
