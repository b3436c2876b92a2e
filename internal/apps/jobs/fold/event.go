// Package fold turns the events of one job into its runs. It is a pure function of the set of events: their order of
// arrival, copies from replicas, retried batches and lateness make no difference, because a Set is a union and Fold
// sorts it by what is in the events alone. That is what lets projections be merged, repeated and rebuilt.
package fold

import (
	"cmp"
	"slices"

	"github.com/kept-dev/kept/wire/jobviz"
)

// Event is what decides about a job's state. Bodies stay in the event log, at Offset.
type Event struct {
	At     int64  // microseconds since the Unix epoch, by the agent's clock
	Offset int64  // where the log has it; of copies of one event the smallest
	Arg    int64  // Delayed: when it may start, microseconds, 0 unknown. Others: attempts made, -1 unknown
	Hash   uint32 // of the data, to tell events of one type apart
	Type   jobviz.Type
	Nth    uint8 // see Occurrences and Streams
	Flags  Flags
}

// Flags are facts that were lifted out of an event's data.
type Flags uint8

// The flags.
const (
	WillRetry Flags = 1 << iota // Failed: only the attempt failed, the job will be tried again
	HasLog                      // Progress: it is a log line
	HasData                     // the log has data for it
	MovedOut                    // Failed: moved to the failure transport
	Numbered                    // every replica tells of it, and Nth is its number in each of their streams
)

// Final tells whether the event ends a run.
func (e Event) Final() bool {
	return e.Type == jobviz.Completed || e.Type == jobviz.Failed && e.Flags&WillRetry == 0
}

// changesState tells whether the event moves a job from one state to another.
func (e Event) changesState() bool {
	switch e.Type {
	case jobviz.Waiting, jobviz.Delayed, jobviz.Active, jobviz.Stalled, jobviz.Failed, jobviz.Completed:
		return true
	}
	return false
}

// compare orders events by time; at one instant by how far along a job is, and by content last, so that the order does
// not depend on how the events came.
func compare(a, b Event) int {
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	if c := cmp.Compare(finality(a), finality(b)); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Nth, b.Nth); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Type, b.Type); c != 0 {
		return c
	}
	return cmp.Compare(a.Hash, b.Hash)
}

func finality(e Event) int {
	if e.Final() {
		return 1
	}
	return 0
}

// Set is the events of a job, sorted and without exact copies.
type Set []Event

// MaxProgress bounds how many progress events of one job a Set keeps: the oldest and the newest halves. The log has all.
const MaxProgress = 2000

// Add merges an event into the set and tells whether the set changed.
func (s Set) Add(e Event) (Set, bool) {
	i, found := slices.BinarySearchFunc(s, e, compare)
	if found {
		if e.Offset < s[i].Offset {
			s[i].Offset = e.Offset
			return s, true
		}
		return s, false
	}
	return slices.Insert(s, i, e), true
}

// Union merges two sets.
func Union(a, b Set) Set {
	for _, e := range b {
		a, _ = a.Add(e)
	}
	return a
}

// Trim drops progress events from the middle of a set that has too many. Trimming commutes with Union as long as no set
// is trimmed to less than MaxProgress.
func (s Set) Trim() Set {
	n := 0
	for _, e := range s {
		if e.Type == jobviz.Progress {
			n++
		}
	}
	if n <= MaxProgress {
		return s
	}
	i := 0
	return slices.DeleteFunc(s, func(e Event) bool {
		if e.Type != jobviz.Progress {
			return false
		}
		i++
		return i > MaxProgress/2 && i <= n-MaxProgress/2
	})
}
