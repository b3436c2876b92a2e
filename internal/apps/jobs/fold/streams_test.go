package fold

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// told numbers a replica's events in requests that end before the given indexes.
func (s *Streams) told(from uint64, events []Event, cuts ...int) (out []Event) {
	begin := 0
	for _, end := range append(cuts, len(events)) {
		r := s.Request(from, rand.Uint64())
		for _, e := range events[begin:end] {
			if r.Numbers(e) {
				e.Flags |= Numbered
				e.Nth = r.Next(1, e)
			}
			out = append(out, e)
		}
		begin = end
	}
	return out
}

// gist is what must not depend on how often and how late replicas tell of a job.
func gist(runs []Run) string {
	var lines []string
	for _, r := range runs {
		line := fmt.Sprintf("%s tries=%d stalls=%d", r.Status, r.Tries, r.Stalls)
		kinds := map[string]int{}
		for _, s := range r.Steps {
			kinds[s.Type.String()]++
		}
		lines = append(lines, line+fmt.Sprint(kinds))
	}
	return strings.Join(lines, " | ")
}

// TestReplicasThatLagAreTheirLeaders tells one job's story as replicas do whose requests end anywhere, and of which
// some are seconds behind. What the reporters of a busy machine really sent is among them.
func TestReplicasThatLagAreTheirLeaders(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"waiting@0 active@2 completed@9",
		"waiting@0 active@1 waiting@3 active@4 waiting@6 active@7 failed@9",
		"waiting@0 active@0 waiting@1 active@1 waiting@1 active@1 failed@2",
		"waiting@0 active@10 delayed@20>220 waiting@221 active@222 delayed@230>430 waiting@431 active@432 completed@440",
		"waiting@0 active@5 progress@7#1 progress@9#2 completed@30",
		"waiting@0 active@1 waiting@1030 stalled@1030 active@1035 completed@1040",
		"delayed@0>400 waiting@401 active@403 completed@404",
		"waiting@0 active@1 delayed@5>205 active@206 completed@208 waiting@212", // a look-up makes the waiting late
		"waiting@0 active@1 completed@2 waiting@900 active@901 completed@902",   // the id is used again
		"waiting@0 active@1 failed@2 waiting@9000 active@9001 completed@9002",
	} {
		want := gist(Fold(set(new(Streams).told(1, story(text))...)))
		for seed := range uint64(500) {
			r := rand.New(rand.NewPCG(seed, 3))
			var s Streams
			var all []Event
			for replica := range uint64(2 + r.IntN(2)) {
				all = append(all, s.told(replica, lagging(r, story(text)), cuts(r, len(story(text)))...)...)
			}
			if got := gist(Fold(set(all...))); got != want {
				t.Fatalf("seed %d: %s\n got %s\nwant %s\n%s", seed, text, got, want, write(all))
			}
		}
	}
}

// lagging delays events: all of them, and each a little more or less, but without one overtaking another.
func lagging(r *rand.Rand, events []Event) []Event {
	lag, last := []int64{0, 1, 3, 40, 150, 700, 2500}[r.IntN(7)]*1000, int64(0)
	for i := range events {
		events[i].At = max(events[i].At+lag+[]int64{0, 0, 1, 3, 40, 150}[r.IntN(6)]*1000, last)
		last = events[i].At
	}
	return events
}

func cuts(r *rand.Rand, n int) (out []int) {
	for i := 1; i < n; i++ {
		if r.IntN(3) == 0 {
			out = append(out, i)
		}
	}
	return out
}

func TestABatchThatIsSentAgainHasTheSameNumbers(t *testing.T) {
	t.Parallel()
	var s Streams
	events := story("waiting@0 active@1 waiting@3 active@4 waiting@6 active@7 failed@9")
	number := func(from, body uint64, events []Event) (out []uint8) {
		r := s.Request(from, body)
		for _, e := range events {
			out = append(out, r.Next(1, e))
		}
		return out
	}
	number(1, 10, events[:2])
	want := []uint8{1, 1, 2, 2, 0}
	for _, from := range []uint64{1, 1, 2} { // by the same connection, and by another
		if got := number(from, 11, events[2:]); !slices.Equal(got, want) {
			t.Errorf("connection %d: %v, want %v", from, got, want)
		}
	}
	if got := number(1, 12, story("waiting@20000 active@20001")); !slices.Equal(got, []uint8{0, 0}) {
		t.Errorf("after a pause: %v", got)
	}
}

func TestStreamsForgetAndStayBounded(t *testing.T) {
	t.Parallel()
	var s Streams
	e := story("waiting@0")[0]
	for job := range uint64(5 * maxTold) {
		for from := range uint64(2) {
			s.Request(from, job).Next(job, e)
		}
	}
	for from := range uint64(5 * maxSources) {
		s.Request(from, 1).Next(0, e)
	}
	if n := len(s.young) + len(s.old); n > 2*maxTold {
		t.Errorf("%d jobs are remembered", n)
	}
	if n := len(s.of(0).sources); n > maxSources {
		t.Errorf("%d sources of a job are remembered", n)
	}
}

// write is what was told, by time.
func write(events []Event) string {
	var b strings.Builder
	for _, e := range set(events...) {
		fmt.Fprintf(&b, " %s#%d@%d", e.Type, e.Nth, e.At/1000-t0)
	}
	return b.String()
}
