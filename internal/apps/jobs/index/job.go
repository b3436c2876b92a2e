// Package index is the projection that answers questions about jobs: which there are, in what state, how long they
// took. It reads the event log in order and keeps, per workspace, a head in memory and immutable segments in the
// database, newest first, in the manner of a log-structured merge tree. Everything in it is a union of what the log
// holds, so it can be thrown away and rebuilt, and a crash costs only the head.
package index

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/kept-dev/kept/internal/apps/jobs/fold"
)

// AttrKind names a text that belongs to a job for some of its time.
type AttrKind uint8

// The kinds.
const (
	AttrName AttrKind = iota
	AttrEnv
	AttrTrace
	AttrParent // queue, NUL, id
	AttrAgent
	AttrError // first line of a failure's reason
	attrKinds
)

// maxAttrs bounds the values of one kind: the newest are kept.
const maxAttrs = 16

// Attr is a value and since when the job has had it, microseconds.
type Attr struct {
	Kind  AttrKind
	Value string
	At    int64
}

// Job is all that the projection knows of a job: a union of its events and attributes, from which rows follow.
type Job struct {
	Queue, ID string
	Set       fold.Set
	Attrs     []Attr // sorted by kind, time and value
	Received  int64  // when its newest event was received, microseconds

	hash   uint64 // keyHash of the key; 0 while nobody has asked
	folded []Row  // what rows gave last; nil when the job has changed since
	entry  *entry // the job's place in the head, while that is being flushed
}

// Key is how a job is looked up. Neither queue nor id holds a NUL.
func Key(queue, id string) string { return queue + "\x00" + id }

// keyHash is the hash by which segments find a job. Lists order ties by its upper half.
func keyHash(key []byte) uint64 { return xxhash.Sum64(key) }

// keyHash is that of the job's key; it is asked for at each fold and flush.
func (j *Job) keyHash() uint64 {
	if j.hash == 0 {
		j.hash = keyHash([]byte(Key(j.Queue, j.ID)))
	}
	return j.hash
}

// addAttr merges a value: of equal values the earliest counts.
func (j *Job) addAttr(kind AttrKind, value string, at int64) bool {
	if value == "" {
		return false
	}
	n := 0
	for i := range j.Attrs {
		a := &j.Attrs[i]
		if a.Kind != kind {
			continue
		}
		n++
		if a.Value == value {
			if a.At <= at {
				return false
			}
			j.Attrs = slices.Delete(j.Attrs, i, i+1)
			return j.addAttr(kind, value, at)
		}
	}
	a := Attr{kind, value, at}
	i, _ := slices.BinarySearchFunc(j.Attrs, a, compareAttrs)
	j.Attrs = slices.Insert(j.Attrs, i, a)
	if n >= maxAttrs {
		first := slices.IndexFunc(j.Attrs, func(a Attr) bool { return a.Kind == kind })
		j.Attrs = slices.Delete(j.Attrs, first, first+1)
	}
	return true
}

func compareAttrs(a, b Attr) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.At, b.At), strings.Compare(a.Value, b.Value))
}

// attrSlack is how much later than a run's last event an attribute of it may be stamped, microseconds.
const attrSlack = 2_000_000

// attr is the value of a kind for a run: the newest that was known by its end, else the oldest.
func (j *Job) attr(kind AttrKind, run *fold.Run) string {
	oldest, best := "", ""
	for _, a := range j.Attrs {
		if a.Kind != kind {
			continue
		}
		if oldest == "" {
			oldest = a.Value
		}
		if a.At <= run.Last+attrSlack {
			best = a.Value
		}
	}
	return cmp.Or(best, oldest)
}

// errorOf is the headline of a run's newest failure; empty unless one fell into the run.
func (j *Job) errorOf(run *fold.Run) string {
	best := ""
	for _, a := range j.Attrs {
		if a.Kind == AttrError && a.At >= run.First && a.At <= run.Last {
			best = a.Value
		}
	}
	return best
}

// Union merges another state of the same job.
func (j *Job) Union(o *Job) {
	j.Set = fold.Union(j.Set, o.Set).Trim()
	for _, a := range o.Attrs {
		j.addAttr(a.Kind, a.Value, a.At)
	}
	j.Received = max(j.Received, o.Received)
	j.folded = nil
}

// Row is one run as lists show it. Times are microseconds since the Unix epoch, 0 when not known; spans microseconds,
// fold.NotKnown when not known.
type Row struct {
	Queue, ID   string
	Run         int // number of the run of its job, from 1
	Name        string
	Env         string
	Status      fold.Status
	First, Last int64
	Due         int64
	Started     int64
	Finished    int64
	Wait        int64
	Duration    int64
	Total       int64
	Tries       int
	Stalls      int
	TraceID     string
	ParentQueue string
	ParentID    string
	Agent       string
	Error       string
	hash        uint32
}

// rows folds the job, or remembers.
func (j *Job) rows() []Row {
	if j.folded == nil {
		j.folded = j.fold(fold.Fold(j.Set))
	}
	return j.folded
}

// fold makes rows of the job's runs, of which it keeps nothing.
func (j *Job) fold(runs []fold.Run) []Row {
	out := make([]Row, len(runs))
	hash := uint32(j.keyHash() >> 32)
	for i := range runs {
		r := &runs[i]
		parentQueue, parentID, _ := strings.Cut(j.attr(AttrParent, r), "\x00")
		out[i] = Row{Queue: j.Queue, ID: j.ID, Run: r.Number, Name: j.attr(AttrName, r), Env: j.attr(AttrEnv, r),
			Status: r.Status, First: r.First, Last: r.Last, Due: r.Due, Started: r.Started, Finished: r.Finished,
			Wait: r.Wait, Duration: r.Duration, Total: r.Total, Tries: r.Tries, Stalls: r.Stalls,
			TraceID: j.attr(AttrTrace, r), ParentQueue: parentQueue, ParentID: parentID, Agent: j.attr(AttrAgent, r),
			Error: j.errorOf(r), hash: hash}
	}
	return out
}

// before orders rows as lists do: newest first; ties by hash and run, so that the order is the same on every look.
func (r *Row) before(o *Row) bool {
	if r.First != o.First {
		return r.First > o.First
	}
	if r.hash != o.hash {
		return r.hash > o.hash
	}
	return r.Run > o.Run
}
