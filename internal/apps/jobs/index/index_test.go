package index

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/seal"
	"github.com/kept-dev/kept/wire/jobviz"
)

const ws = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")

const t0 = int64(1772000000000000)

type fixture struct {
	*Index
	log   *eventlog.Log
	db    *db.DB
	keys  *seal.Keys
	clock time.Time
}

// setup opens a log and an index without a background projector: tests say when to catch up.
func setup(t testing.TB, d *db.DB) *fixture {
	t.Helper()
	instance, _, err := seal.LoadInstanceKey(filepath.Join(t.TempDir(), "instance.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{db: d, keys: seal.New(d, instance), clock: time.UnixMicro(t0)}
	ctx := context.Background()
	err = d.Migrate(ctx, db.Module{Name: "seal", Migrations: f.keys.Migrations()},
		db.Module{Name: "jobs", Migrations: append(eventlog.Migrations(), Migrations()...)})
	if err != nil {
		t.Fatal(err)
	}
	packer := eventlog.NewPacker()
	f.log = eventlog.New(d, f.keys, packer, nil)
	f.log.Start(ctx)
	t.Cleanup(func() { f.log.Stop(context.Background()) })
	f.restart()
	return f
}

// restart forgets everything in memory, as a crash does.
func (f *fixture) restart() {
	f.Index = New(f.db, f.log, f.keys, eventlog.NewPacker(), func() time.Time { return f.clock })
	f.maxHead = 50
}

func (f *fixture) append(t testing.TB, records ...eventlog.Record) {
	t.Helper()
	if err := f.log.Append(t.Context(), ws, records); err != nil {
		t.Fatal(err)
	}
	if err := f.CatchUp(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
}

// job makes the events of a job that was worked on; ms is behind t0.
func job(id string, ms int64, end jobviz.Type) []eventlog.Record {
	types := []jobviz.Type{jobviz.Waiting, jobviz.Active, end}
	var out []eventlog.Record
	for i, typ := range types {
		at := t0 + ms*1000 + int64(i)*10_000
		r := eventlog.Record{Event: fold.Event{At: at, Type: typ, Arg: -1}, ReceivedAt: at, Queue: []byte("emails"), JobID: []byte(id), Name: []byte("send-email"), Env: []byte("production")}
		if typ == jobviz.Failed {
			r.Headline = []byte("connection refused by " + id)
		}
		if typ == jobviz.Active {
			r.Data = fmt.Appendf(nil, `{"input":{"order":"ord-%s","to":"Anna"}}`, id)
			r.TraceID = []byte("trace" + id)
		}
		out = append(out, r)
	}
	return out
}

// dump writes everything a list says.
func (f *fixture) dump(t testing.TB, filter Filter) string {
	t.Helper()
	var out []string
	for {
		p, err := f.List(t.Context(), ws, filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rows {
			out = append(out, fmt.Sprintf("%+v", r))
		}
		if filter.After = p.Next; p.Next == "" {
			return strings.Join(out, "\n")
		}
	}
}

func ids(t testing.TB, f *fixture, filter Filter) string {
	t.Helper()
	p, err := f.List(t.Context(), ws, filter)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range p.Rows {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := setup(t, d)
		for i := range 200 { // four segments and a head
			end := jobviz.Completed
			if i%50 == 7 {
				end = jobviz.Failed
			}
			records := job(fmt.Sprintf("j%03d", i), int64(i)*1000, end)
			if i == 1 {
				records[1].TraceID = []byte("7")
			}
			f.append(t, records...)
		}
		other := job("x1", 500_000, jobviz.Completed)
		for i := range other {
			other[i].Queue, other[i].Name, other[i].Env = []byte("media"), []byte("thumbnail"), []byte("staging")
			other[i].ParentID, other[i].ParentQueue = []byte("j150"), []byte("emails")
		}
		f.append(t, other...)
		for name, c := range map[string]struct {
			filter Filter
			want   string
		}{
			"newest":    {Filter{Limit: 3}, "x1 j199 j198"},
			"failed":    {Filter{Statuses: []fold.Status{fold.Failed}}, "j157 j107 j057 j007"},
			"queue":     {Filter{Queue: "media"}, "x1"},
			"name":      {Filter{Name: "thumbnail"}, "x1"},
			"env":       {Filter{Env: "staging"}, "x1"},
			"time":      {Filter{From: t0 + 3_000_000, To: t0 + 6_000_000}, "j005 j004 j003"},
			"took":      {Filter{MinTook: 10_001}, ""},
			"took less": {Filter{MaxTook: 10_000, Limit: 2}, "x1 j199"},
			"waited":    {Filter{MinWait: 10_000, Limit: 2}, "x1 j199"},
			"trace":     {Filter{Trace: "tracej042"}, "j042"},
			"parent":    {Filter{Parent: Key("emails", "j150")}, "x1"},
			"id":        {Filter{Text: "j199"}, "j199"},
			"payload":   {Filter{Text: "ord-j010"}, "j010"},
			"error":     {Filter{Text: "connection REFUSED"}, "j157 j107 j057 j007"},
			"both":      {Filter{Text: "anna", Statuses: []fold.Status{fold.Failed}, Limit: 2}, "j157 j107"},
			"nothing":   {Filter{Text: "no-such-thing"}, ""},
			"no queue":  {Filter{Queue: "nowhere"}, ""},
		} {
			if got := ids(t, f, c.filter); got != c.want {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
		if _, err := f.List(t.Context(), ws, Filter{Text: "?!"}); kernel.CodeOf(err) != kernel.Invalid {
			t.Errorf("a text without a word: %v", err)
		}
	})
}

func TestPagingIsStable(t *testing.T) {
	t.Parallel()
	f := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
	for i := range 60 {
		f.append(t, job(fmt.Sprintf("j%03d", i), int64(i/10), jobviz.Completed)...) // ten at each instant
	}
	want := strings.Split(f.dump(t, Filter{Limit: 500}), "\n")
	for _, limit := range []int{1, 7, 50} {
		for _, text := range []string{"", "anna"} {
			got := strings.Split(f.dump(t, Filter{Limit: limit, Text: text}), "\n")
			if !slices.Equal(got, want) {
				t.Fatalf("limit %d, text %q: %d rows, want %d, or another order", limit, text, len(got), len(want))
			}
		}
	}
	first, _ := f.List(t.Context(), ws, Filter{Limit: 10})
	f.append(t, job("new", 99_999_999, jobviz.Completed)...)
	second, _ := f.List(t.Context(), ws, Filter{Limit: 10, After: first.Next})
	if got := fmt.Sprintf("%+v", second.Rows[0]); got != want[10] {
		t.Errorf("a new job moves the second page:\n got %s\nwant %s", got, want[10])
	}
}

// randomStream makes events of jobs that come again and again, over several flushes.
func randomStream(seed uint64) []eventlog.Record {
	r := rand.New(rand.NewPCG(seed, 3))
	var out []eventlog.Record
	for i := range 600 {
		rec := eventlog.Record{Event: fold.Event{At: t0 + int64(i)*700_000 + r.Int64N(3_000_000), Type: jobviz.Type(1 + r.IntN(7)), Arg: -1, Hash: uint32(r.IntN(3))},
			ReceivedAt: t0 + int64(i)*1_000_000, Queue: []byte([]string{"a", "b"}[r.IntN(2)]), JobID: fmt.Append(nil, r.IntN(120))}
		if r.IntN(2) == 0 {
			rec.Name, rec.Env = fmt.Append(nil, "name", r.IntN(4)), fmt.Append(nil, "env", r.IntN(2))
		}
		if rec.Type == jobviz.Failed {
			rec.Headline = fmt.Append(nil, "boom ", r.IntN(9))
		}
		out = append(out, rec)
	}
	return out
}

func (f *fixture) appendInParts(t testing.TB, records []eventlog.Record, size int) {
	for part := range slices.Chunk(records, size) {
		f.append(t, part...)
	}
}

// TestStateIsTheSameHoweverEventsCome is the promise that replicas, retries and crashes are harmless.
func TestStateIsTheSameHoweverEventsCome(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		stream := randomStream(1)
		plain := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
		plain.appendInParts(t, stream, 600)
		want := plain.dump(t, Filter{})

		r := rand.New(rand.NewPCG(9, 9))
		mess := slices.Concat(stream, stream[100:400])
		r.Shuffle(len(mess), func(i, j int) { mess[i], mess[j] = mess[j], mess[i] })
		f := setup(t, d)
		f.appendInParts(t, mess, 37)
		if got := f.dump(t, Filter{}); got != want {
			t.Fatalf("shuffled, repeated and split, the state differs: %s", firstDifference(got, want))
		}
		f.restart()
		if got := f.dump(t, Filter{}); got != want {
			t.Fatalf("after a restart the state differs: %s", firstDifference(got, want))
		}
		s, _ := f.shard(t.Context(), ws)
		for more := true; more; {
			var err error
			if more, err = s.mergeOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := f.dump(t, Filter{}); got != want {
				t.Fatalf("after a merge the state differs: %s", firstDifference(got, want))
			}
		}
		if n := len(s.segments); n > 12 {
			t.Errorf("%d segments after merging", n)
		}
		if err := f.Rebuild(t.Context(), ws, nil); err != nil {
			t.Fatal(err)
		}
		if got := f.dump(t, Filter{}); got != want {
			t.Fatalf("rebuilt, the state differs: %s", firstDifference(got, want))
		}
		f.appendInParts(t, stream[:200], 10) // and late copies of what is long in segments
		if got := f.dump(t, Filter{}); got != want {
			t.Fatalf("after late copies the state differs: %s", firstDifference(got, want))
		}
	})
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("row %d\n got %s\nwant %s", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d rows, want %d", len(a), len(b))
}

func TestTwoInstancesSeeTheSame(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := setup(t, d)
		other := New(d, f.log, f.keys, eventlog.NewPacker(), kernel.SystemClock)
		other.maxHead = 30
		g := &fixture{Index: other, log: f.log}
		stream := randomStream(4)
		for part := range slices.Chunk(stream, 50) {
			f.append(t, part...)
			if err := other.CatchUp(t.Context(), ws); err != nil {
				t.Fatal(err)
			}
			if a, b := f.dump(t, Filter{}), g.dump(t, Filter{}); a != b {
				t.Fatalf("the instances differ: %s", firstDifference(a, b))
			}
		}
		s, _ := f.shard(t.Context(), ws)
		for more := true; more; {
			more, _ = s.mergeOnce(t.Context())
		}
		if a, b := f.dump(t, Filter{}), g.dump(t, Filter{}); a != b {
			t.Fatalf("after one has merged, the instances differ: %s", firstDifference(a, b))
		}
	})
}

func TestSweepRemovesJobsOnTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := setup(t, d)
		for i := range 120 {
			f.append(t, job(fmt.Sprintf("j%03d", i), int64(i)*1000, jobviz.Completed)...)
		}
		gone, err := f.Sweep(t.Context(), ws, t0+100*1_000_000)
		if err != nil || gone != 100 {
			t.Fatalf("swept %d: %v", gone, err)
		}
		if got := ids(t, f, Filter{Limit: 500}); len(strings.Fields(got)) != 20 || !strings.HasSuffix(got, "j100") {
			t.Errorf("left are %s", got)
		}
		if oldest, _ := f.Oldest(t.Context(), ws); oldest < t0+100*1_000_000 {
			t.Errorf("the oldest is from %d", oldest)
		}
		f.restart()
		if got := ids(t, f, Filter{Limit: 500}); len(strings.Fields(got)) != 20 {
			t.Errorf("after a restart: %s", got)
		}
	})
}

func TestOverview(t *testing.T) {
	t.Parallel()
	f := setup(t, dbtest.Open(t, dbtest.SQLite(t)))
	for i := range 100 {
		end := jobviz.Completed
		if i%4 == 0 {
			end = jobviz.Failed
		}
		f.append(t, job(fmt.Sprintf("j%03d", i), int64(i)*1000, end)...)
	}
	f.append(t, job("waits", 50_000, jobviz.Completed)[0])
	o, err := f.Overview(t.Context(), ws, t0, t0+200*1_000_000, "")
	if err != nil || len(o.Queues) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	q := o.Queues[0]
	if q.Runs != 101 || q.ByStatus[fold.Failed] != 25 || q.FailureRate() != 0.25 || q.Waiting != 1 || q.OldestWaiting != t0+50_000_000 {
		t.Errorf("%+v", q)
	}
	if p50 := q.Took.Quantile(0.5); p50 < 9_400 || p50 > 10_600 {
		t.Errorf("p50 of 10 ms is %d µs", p50)
	}
	done := 0
	for i := range q.Done {
		done += q.Done[i] + q.Failed[i]
	}
	if done != 100 {
		t.Errorf("the series add up to %d", done)
	}
	facets, err := f.Facets(t.Context(), ws)
	if err != nil || !slices.Equal(facets.Queues, []string{"emails"}) || !slices.Equal(facets.Names, []string{"send-email"}) {
		t.Errorf("%+v, %v", facets, err)
	}
}

func TestSpansQuantileIsWithinItsError(t *testing.T) {
	t.Parallel()
	for _, us := range []int64{0, 1, 15, 16, 17, 31, 32, 33, 1000, 123_456, 987_654_321, 1 << 50} {
		var s Spans
		s.add(us)
		if got := s.Quantile(0.5); got < us-us/16-1 || got > us+us/16+1 {
			t.Errorf("%d µs reads as %d", us, got)
		}
	}
}

func TestProjectorMakesEventsVisible(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	f := setup(t, d)
	changed := make(chan kernel.WorkspaceID, 100)
	p := NewProjector(slog.New(slog.DiscardHandler), func(ws kernel.WorkspaceID) { changed <- ws })
	log := eventlog.New(d, f.keys, eventlog.NewPacker(), p.Appended)
	log.Start(t.Context())
	t.Cleanup(func() { log.Stop(context.Background()) })
	x := New(d, log, f.keys, eventlog.NewPacker(), kernel.SystemClock)
	p.Start(t.Context(), x)
	t.Cleanup(func() { p.Stop(context.Background()) })
	if err := log.Append(t.Context(), ws, job("j1", 0, jobviz.Completed)); err != nil {
		t.Fatal(err)
	}
	<-changed
	page, err := x.List(t.Context(), ws, Filter{})
	if err != nil || len(page.Rows) != 1 || page.Rows[0].Status != fold.Completed {
		t.Fatalf("%+v, %v", page, err)
	}
}

func FuzzDecodeParts(f *testing.F) {
	var jobs []*Job
	j := &Job{Queue: "q", ID: "1", Set: fold.Set{{At: 5, Type: jobviz.Active}}}
	j.addAttr(AttrName, "n", 5)
	jobs = append(jobs, j)
	seg, blocks := encodeSegment(jobs, 0)
	f.Add(seg.encodeMeta(), blocks[0].scan, blocks[0].texts, blocks[0].events)
	f.Fuzz(func(t *testing.T, meta, scan, texts, events []byte) {
		new(segment).decodeMeta(meta)
		decodeEvents(events)
		if p, err := decodeScan(scan, 1); err == nil {
			if q, err := decodeTexts(texts, p); err == nil {
				for i := range p.first {
					q.row(p, i)
				}
			}
		}
	})
}
