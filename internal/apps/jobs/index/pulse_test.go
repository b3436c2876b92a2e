package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

// pulsingStream is jobs of two hours: that wait a little or long, are tried again, fail, go on for ever.
func pulsingStream(jobs int) (out []eventlog.Record) {
	r := rand.New(rand.NewPCG(3, 9))
	for n := range jobs {
		at := t0 + int64(n)*7200e6/int64(jobs)
		event := func(kind jobviz.Type, after int64) {
			at += after
			out = append(out, eventlog.Record{Event: fold.Event{At: at, Type: kind, Arg: -1, Hash: r.Uint32()}, ReceivedAt: at, Queue: fmt.Appendf(nil, "q%d", n%3),
				JobID: fmt.Appendf(nil, "J%05d", n), Name: fmt.Appendf(nil, "task-%d", n%4), Env: []byte("production")})
		}
		long := func() int64 { return r.Int64N([]int64{5_000, 2e6, 90e6, 1200e6}[r.IntN(4)]) }
		event(jobviz.Waiting, 0)
		for range 1 + r.IntN(3)/2 {
			if r.IntN(10) == 0 {
				break
			}
			event(jobviz.Active, long())
			if r.IntN(10) == 0 {
				break
			}
			event([]jobviz.Type{jobviz.Completed, jobviz.Completed, jobviz.Failed}[r.IntN(3)], long())
		}
	}
	slices.SortStableFunc(out, func(a, b eventlog.Record) int { return int(a.At/60e6 - b.At/60e6) })
	return out
}

// naivePulse is what a measure comes to at a moment, by looking at each row.
func naivePulse(rows []Row, m Measure, moment uint32) (n, us int64) {
	now := int64(moment) * Beat * 1e6
	for _, r := range rows {
		end := r.First + r.Total
		switch {
		case m == Enqueued && r.First <= now:
			n++
		case m == Completions && r.Status == fold.Completed && end <= now, m == Failures && r.Status == fold.Failed && end <= now:
			n++
		case m == Retries && r.Status.Over() && end <= now:
			n += int64(max(0, r.Tries-1))
		case m == Waits && r.Wait >= 0 && r.Started > 0 && r.Started <= now:
			n, us = n+1, us+r.Wait
		case m == Durations && r.Status.Over() && r.Duration >= 0 && end <= now:
			n, us = n+1, us+r.Duration
		case m == WaitingNow && (r.Started > 0 && r.Wait >= 0 && r.Started-r.Wait <= now && now < r.Started || r.Status == fold.Waiting && r.First <= now):
			n++
		case m == RunningNow && (r.Status.Over() && r.Duration >= 0 && end-r.Duration <= now && now < end || r.Status == fold.Active && activeSince(r) <= now):
			n++
		}
	}
	return n, us
}

func activeSince(r Row) int64 {
	if r.Tries > 1 {
		return r.Last
	}
	return r.Started
}

// TestPulsesAreThoseOfTheRows asks for spans of all kinds, with and without what is remembered, while jobs go on.
func TestPulsesAreThoseOfTheRows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		stream := pulsingStream(3000)
		f := setup(t, d)
		f.maxHead = 400
		compare := func(when string) {
			t.Helper()
			rows, _ := f.pages(t, Filter{Limit: MaxLimit}, 1000)
			begin := momentOf(t0)
			for _, span := range [][2]uint32{{begin - 10, begin + 900}, {begin + 100, begin + 130}, {begin + 477, begin + 477}, {begin + 600, begin + 700}} {
				for m := range measures {
					pulses, err := f.Pulses(t.Context(), ws, m, span[0], span[1])
					if err != nil {
						t.Fatal(err)
					}
					for _, moment := range []uint32{span[0], (span[0] + span[1]) / 2, span[1]} {
						var n, us int64
						for _, p := range pulses {
							for _, c := range p.Changes {
								if c.At <= moment {
									n, us = n+int64(c.N), us+c.Sum
								}
							}
						}
						if wantN, wantUS := naivePulse(rows, m, moment); n != wantN || us != wantUS {
							t.Fatalf("%s, measure %d at moment %d of %v: %d and %d µs, want %d and %d µs", when, m, moment-begin, span, n, us, wantN, wantUS)
						}
					}
				}
			}
		}
		half := len(stream) / 2
		f.appendInParts(t, stream[:half], 700)
		compare("at first")
		f.appendInParts(t, stream[half:], 900)
		compare("with later events")
		s, _ := f.shard(t.Context(), ws)
		for more := true; more; {
			var err error
			if more, err = s.mergeOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		compare("merged")
		f.restart()
		compare("started again")
		f.restart()
		s, _ = f.shard(t.Context(), ws)
		ahead := 0
		for more := true; more; ahead++ {
			var err error
			if more, err = s.countAhead(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range blocksOf(s) {
			if p, ok := f.totals.Get(partKey(b.blockRef)); !ok || p.last == 0 || !slices.Equal(p.hidden, b.hiddenHere()) {
				t.Error("a block was not counted ahead")
			}
			ahead--
		}
		if ahead != 1 {
			t.Errorf("%d times more than there are blocks", ahead)
		}
		compare("counted ahead")
	})
}

func blocksOf(s *shard) []viewBlock {
	v := s.look(func([]Row) {})
	return v.blocks(func(*zone) bool { return true })
}

// BenchmarkPulses times a panel's span and a month, and what is done when nothing is remembered.
func BenchmarkPulses(b *testing.B) {
	f := benchSetup(b, benchJobs)
	for _, c := range []struct {
		name  string
		beats uint32
		first bool
	}{{"hour", 240, false}, {"month", 172_800, false}, {"first", 240, true}} {
		b.Run(c.name, func(b *testing.B) {
			to := momentOf(t0) + 4
			for b.Loop() {
				if c.first {
					f.totals, f.changes = kernel.NewCache[partKey, *blockPulses](totalsBudget), kernel.NewCache[changesKey, *pulseChanges](changesBudget)
				}
				if _, err := f.Pulses(b.Context(), ws, Durations, to-c.beats, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
