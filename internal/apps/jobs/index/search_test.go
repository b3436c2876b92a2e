package index

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/wire/jobviz"
)

// wordsOneIn are words, of which none is a part of another, and one in how many events has them.
var wordsOneIn = []struct {
	word string
	in   int
}{{"Half", 2}, {"Some", 30}, {"Few", 300}, {"Rare", 5000}}

// wordyStream makes the events of jobs with words of every frequency, as they might arrive: jobs begin a millisecond
// apart and take up to two seconds, some of them eight; events are up to three seconds late, so that blocks of the log
// overlap and a job's events are in several; some ids are used again.
func wordyStream(jobs int) []eventlog.Record {
	r := rand.New(rand.NewPCG(11, 5))
	var out []eventlog.Record
	for n := range jobs {
		id := n
		if n > 10_000 && r.IntN(50) == 0 {
			id = n - 10_000
		}
		out = append(out, wordyJob(r, n, id)...)
	}
	arrival := make(map[fold.Event]int64, len(out))
	for _, e := range out {
		arrival[e.Event] = e.At + r.Int64N(3_000_000)
	}
	slices.SortFunc(out, func(a, b eventlog.Record) int { return cmp.Compare(arrival[a.Event], arrival[b.Event]) })
	return out
}

func wordyJob(r *rand.Rand, n, id int) (out []eventlog.Record) {
	step, quick, env := 1000*r.Int64N(1000), n%10 != 3, "even"
	if n%2 == 1 {
		env = "odd"
	}
	if !quick {
		step += 3_000_000
	}
	var words []string // of all of its events
	if quick || r.IntN(20) == 0 {
		words = append(words, "Quick")
	}
	if env == "odd" || r.IntN(100) == 0 {
		words = append(words, "Odd")
	}
	for i, kind := range [3]jobviz.Type{jobviz.Waiting, jobviz.Active, jobviz.Completed} {
		e := eventlog.Record{Event: fold.Event{At: t0 + int64(n)*1000 + int64(i)*step, Type: kind, Arg: -1, Hash: r.Uint32()}, ReceivedAt: t0 + int64(n)*1000,
			Queue: fmt.Appendf(nil, "q%d", id%3), JobID: fmt.Appendf(nil, "J%05d", id), Name: fmt.Appendf(nil, "task-%d", id%4), Env: []byte(env)}
		words := append([]string{"ALL"}, words...)
		for _, w := range wordsOneIn {
			if r.IntN(w.in) == 0 {
				words = append(words, w.word)
			}
		}
		e.Data = fmt.Appendf(nil, `{"input":"%s"}`, strings.Join(words, " "))
		if kind == jobviz.Completed && r.IntN(20) == 0 {
			e.Type, e.Headline = jobviz.Failed, []byte("Timeout, "+words[0])
		}
		if i == 1 && n%400 == 0 {
			e.TraceID, e.ParentID, e.ParentQueue = fmt.Append(nil, "Trace", n%7), []byte("J00007"), []byte("q1")
		}
		out = append(out, e)
	}
	return out
}

// said is what an event says, word by word in small letters.
type said struct {
	at    int64
	words []string
}

// wordsByJob splits the events of a stream once for all questions.
func wordsByJob(stream []eventlog.Record) map[string][]said {
	out := map[string][]said{}
	for _, e := range stream {
		key := Key(string(e.Queue), string(e.JobID))
		texts := bytes.Join([][]byte{e.JobID, e.Name, e.Headline, e.Data, e.TraceID, e.ParentID}, []byte(" "))
		out[key] = append(out[key], said{e.At, strings.FieldsFunc(strings.ToLower(string(texts)), func(c rune) bool {
			return strings.ContainsRune(`{}":, `, c)
		})})
	}
	return out
}

// naive filters a list in the simplest way: a run is found when an event of it has the word.
func naive(rows []Row, events map[string][]said, word string) (out []string) {
	word = strings.ToLower(word)
	for _, row := range rows {
		if slices.ContainsFunc(events[Key(row.Queue, row.ID)], func(e said) bool { return row.holds(e.at) && slices.Contains(e.words, word) }) {
			out = append(out, fmt.Sprint(row.ID, " ", row.Run))
		}
	}
	return out
}

// pages lists the first pages, at most so many, and tells whether that is all.
func (f *fixture) pages(t *testing.T, filter Filter, most int) (rows []Row, all bool) {
	t.Helper()
	for range most {
		p, err := f.List(t.Context(), ws, filter)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, p.Rows...)
		if filter.After = p.Next; p.Next == "" {
			return rows, true
		}
	}
	return rows, false
}

// wordySetup fills a log with a stream, of which the newest blocks are not joined and the newest jobs not flushed.
func wordySetup(t *testing.T, d *db.DB, stream []eventlog.Record) *fixture {
	f := setup(t, d)
	f.maxHead = maxHead / 3
	for part := range slices.Chunk(stream, 1200) {
		if err := f.log.Append(t.Context(), ws, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.CatchUp(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	for next, more := int64(0), true; more; {
		var err error
		if next, more, err = f.log.Compact(t.Context(), ws, next, int64(len(stream)), t0); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestSearchFindsWhatANaiveOneFinds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		stream := wordyStream(14_000)
		f := wordySetup(t, d, stream)
		byJob := wordsByJob(stream)
		for name, c := range map[string]struct {
			Filter
			limits []int
		}{
			"all":    {Filter{}, []int{3, 100, 500}},
			"failed": {Filter{Statuses: []fold.Status{fold.Failed}}, []int{100}},
			"never":  {Filter{Statuses: []fold.Status{fold.Stalled}}, []int{100}},
			"name":   {Filter{Name: "task-3", Queue: "q2"}, []int{100}},
			"window": {Filter{From: t0 + 3_000_000, To: t0 + 9_000_000}, []int{100}},
			"early":  {Filter{To: t0 + 2_000_000}, []int{100}},
			"trace":  {Filter{Trace: "Trace3"}, []int{100}},
			"parent": {Filter{Parent: Key("q1", "J00007")}, []int{7}},
			"took":   {Filter{Name: "task-1", MinTook: 998_000, MaxTook: 1_000_000}, []int{7}},
			"long":   {Filter{MinTook: 3_000_000}, []int{7, 25, 100}},
			"even":   {Filter{Env: "even"}, []int{50}},
		} {
			if d.Dialect() == db.Postgres && name != "all" {
				continue // what the filters do is the same on both
			}
			c.Limit = MaxLimit
			rows, _ := f.pages(t, c.Filter, 1000)
			words := []string{"all", "few", "quick", "odd", "task-2"}
			if name == "all" {
				words = append(words, "half", "SOME", "rare", "timeout", "j00007", "J13999", "trace3", "nothing")
			}
			for _, word := range words {
				want := naive(rows, byJob, word)
				for _, c.Limit = range c.limits {
					var got []string
					c.Text = word
					found, all := f.pages(t, c.Filter, 5)
					for _, r := range found {
						got = append(got, fmt.Sprint(r.ID, " ", r.Run))
					}
					if all && len(got) != len(want) || !slices.Equal(got, want[:min(len(want), len(got))]) {
						t.Errorf("%s, %q, %d a page: %d runs of %d, or not these", name, word, c.Limit, len(got), len(want))
					}
				}
			}
			c.Text = ""
		}
	})
}

// TestSearchReadsFarBack pages to where a text is common but long ago.
func TestSearchReadsFarBack(t *testing.T) {
	t.Parallel()
	stream := wordyStream(14_000)
	f := wordySetup(t, dbtest.Open(t, dbtest.SQLite(t)), stream)
	all, _ := f.pages(t, Filter{Limit: MaxLimit}, 1000)
	last := all[len(all)-300]
	p, err := f.List(t.Context(), ws, Filter{Text: "all", After: kernel.EncodeCursor(cursor{last.First, last.hash, last.Run})})
	if err != nil || !slices.Equal(p.Rows, all[len(all)-299:][:DefaultLimit]) {
		t.Errorf("%d rows, %v, or not these", len(p.Rows), err)
	}
}

// TestSearchGoesOnWhenOldRunsFillThePage has a common word, a page that old runs fill because their last events are the
// newest ones, and runs in between which only the next look at the list brings.
func TestSearchGoesOnWhenOldRunsFillThePage(t *testing.T) {
	t.Parallel()
	f := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
	f.maxHead = maxHead
	const limit = 25
	first := 300 + 2*limit // the first group that the log is asked for
	var old, between, newest []eventlog.Record
	for i := range 1500 {
		for _, e := range job(fmt.Sprint("noise", i), 100_000, jobviz.Completed) {
			e.Queue, e.Data = []byte("noise"), []byte(`"word"`)
			newest = append(newest, e)
		}
	}
	for i := range 20 {
		run := job(fmt.Sprint("old", i), int64(i), jobviz.Completed)
		run[2].At, run[2].Data = t0+101_000_000, []byte(`"word"`)
		old, newest = append(old, run[:2]...), append(newest, run[2])
	}
	for i := range first + 100 {
		run := job(fmt.Sprint("between", i), 50_000+int64(i), jobviz.Completed)
		if i < 100 || i%35 == 0 {
			run[2].Data = []byte(`"word"`)
		}
		between = append(between, run...)
	}
	for _, block := range [][]eventlog.Record{old, between, newest} {
		f.append(t, block...)
	}
	p, err := f.List(t.Context(), ws, Filter{Queue: "emails", Text: "word", Limit: limit})
	if err != nil || len(p.Rows) != limit || p.Rows[limit-1].ID != "between85" {
		t.Errorf("%d rows, %v; the last is %+v", len(p.Rows), err, p.Rows[len(p.Rows)-1])
	}
}
