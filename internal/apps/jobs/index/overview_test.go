package index

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

// naiveOverview counts rows one by one.
func naiveOverview(rows []Row, from, to int64, env string) *Overview {
	c := newCounter(from, to, env)
	for i := range rows {
		c.addRow(&rows[i])
	}
	return c.overview()
}

// TestOverviewIsThatOfItsRows asks before and after rows are hidden, with and without what it remembers.
func TestOverviewIsThatOfItsRows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		stream := wordyStream(14_000)
		for i := range stream {
			if n := stream[i].At; n%11 == 0 {
				stream[i].Env = nil
			}
		}
		begin := slices.DeleteFunc(slices.Clone(stream[:30_000]), func(e eventlog.Record) bool {
			return e.Type != jobviz.Waiting && bytes.HasSuffix(e.JobID, []byte("77"))
		})
		f := wordySetup(t, d, begin)
		compare := func(when string) {
			t.Helper()
			rows, _ := f.pages(t, Filter{Limit: MaxLimit}, 1000)
			for _, span := range [][2]int64{{0, 60_000_000}, {-1_000_000, 1 << 40}, {2_000_000, 7_654_321}, {5_000_123, 9_000_000}, {30_000_000, 60_000_000}} {
				for _, env := range []string{"", "odd", "none"} {
					for range 2 {
						got, err := f.Overview(t.Context(), ws, t0+span[0], t0+span[1], env)
						want := naiveOverview(rows, t0+span[0], t0+span[1], env)
						if err != nil || len(got.Queues) != len(want.Queues) {
							t.Fatalf("%s, %v %q: %d queues, want %d; %v", when, span, env, len(got.Queues), len(want.Queues), err)
						}
						for i, q := range got.Queues {
							if !reflect.DeepEqual(q, want.Queues[i]) {
								t.Fatalf("%s, %v %q, %s: %d runs, want %d, or other figures of them", when, span, env, q.Queue, q.Runs, want.Queues[i].Runs)
							}
						}
					}
				}
			}
		}
		compare("at first")
		f.appendInParts(t, stream[len(stream)-6000:], 1000)
		f.appendInParts(t, stream[9_000:30_000], 7000)
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
	})
}

func TestSumsOfABlockThatChangedAreMadeAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
	waits := job("j1", 0, jobviz.Completed)
	f.append(t, waits[0])
	for i := range 60 {
		f.append(t, job(fmt.Sprint("other", i), int64(i), jobviz.Completed)...)
	}
	status := func() [fold.Completed + 1]int {
		o, err := f.Overview(t.Context(), ws, t0-1, t0+1_000_000_000, "")
		if err != nil || len(o.Queues) != 1 {
			t.Fatal(o, err)
		}
		return o.Queues[0].ByStatus
	}
	if got := status(); got[fold.Waiting] != 1 || got[fold.Completed] != 60 {
		t.Fatalf("%v", got)
	}
	f.append(t, waits[1:]...)
	if got := status(); got[fold.Waiting] != 0 || got[fold.Completed] != 61 {
		t.Fatalf("%v", got)
	}
}
