// Package eventlog is the durable log of job events, one per workspace: what an ingest request waits for, and what every
// projection is made from. Events are numbered by offset in the order of their commits and stored in sealed, compressed
// blocks; requests that arrive together share a commit. Small blocks are later joined into large ones without a change
// of offsets.
package eventlog

import (
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/wire/jobviz"
)

// Record is an event as the log keeps it. On the way in its slices may point into a request's buffer; Append copies
// what it keeps. On the way out they point into the block that was read.
type Record struct {
	fold.Event
	TypeName    []byte // the agent's word, where Type is Other
	ReceivedAt  int64  // microseconds, by our clock
	Queue       []byte
	JobID       []byte
	Name        []byte // empty: not known
	Env         []byte
	ParentID    []byte
	ParentQueue []byte
	TraceID     []byte
	Agent       []byte // name and version of what reported it
	Headline    []byte // first line of the failure's reason, for lists
	Data        []byte // JSON; only read back by ReadBodies
}

// dictColumns are the fields whose few values repeat: a block writes each value once.
const dictColumns = 6

func (r *Record) dictFields() [dictColumns][]byte {
	return [dictColumns][]byte{r.Queue, r.Name, r.Env, r.Agent, r.ParentQueue, r.TypeName}
}

func (r *Record) setDictField(i int, v []byte) {
	switch i {
	case 0:
		r.Queue = v
	case 1:
		r.Name = v
	case 2:
		r.Env = v
	case 3:
		r.Agent = v
	case 4:
		r.ParentQueue = v
	case 5:
		r.TypeName = v
	}
}

// hasTime tells whether Arg holds a due time rather than a count.
func hasTime(t jobviz.Type) bool { return t == jobviz.Delayed }
