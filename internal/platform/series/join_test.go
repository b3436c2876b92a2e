package series

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const joinWS = "01arz3ndektsv4rrffq69g5fav"

// joinDB is a database with blocks that follow each other, of series that come, go and are reset.
func joinDB(t *testing.T, start int64) *tsdb.DB {
	t.Helper()
	s, err := OpenTSDB(Config{Dir: t.TempDir(), undelayed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r := rand.New(rand.NewPCG(6, 6))
	h := &histogram.Histogram{Schema: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 3}}, PositiveBuckets: []int64{1, 1, 1}, Count: 6}
	u, err := view{s, joinWS}.use(t.Context(), toWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.end)
	db := u.t.db
	for minute := range int64(17 * 60) {
		app := db.Appender(t.Context())
		for n := range 8 {
			at, l := start+minute*60_000, labels.FromStrings("__name__", "x", "n", fmt.Sprint(n))
			if minute/60%int64(n+1) != 0 || r.IntN(30) == 0 {
				continue
			}
			if n%2 == 0 {
				_, err = app.Append(0, l, at, r.NormFloat64())
			} else {
				h = h.Copy()
				if h.PositiveBuckets[0]++; r.IntN(40) == 0 {
					h.PositiveBuckets[0] = 1
				}
				h.Count = uint64(3*h.PositiveBuckets[0] + 3)
				_, err = app.AppendHistogram(0, l, at, h, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestBlocksInTurnAreTheDatabase goes through a database by random steps, as we read it and as it reads itself: samples,
// what is known of resets, the order of series.
func TestBlocksInTurnAreTheDatabase(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixMilli()
	db := joinDB(t, start)
	if len(db.Blocks()) < 3 {
		t.Fatal(len(db.Blocks()), "blocks")
	}
	r := rand.New(rand.NewPCG(9, 1))
	samples, joined := 0, 0
	for range 150 {
		from := start + r.Int64N(16*3600_000)
		to := from + r.Int64N(17*3600_000)
		n, inTurn := sameAnswers(t, r, db, from, to)
		if samples += n; inTurn {
			joined++
		}
	}
	if samples < 10_000 || joined < 60 {
		t.Errorf("%d samples, %d times from blocks in turn", samples, joined)
	}
}

// sameAnswers compares all series in a span and tells how many samples it looked at, and whether they came from blocks in
// turn.
func sameAnswers(t *testing.T, r *rand.Rand, db *tsdb.DB, from, to int64) (samples int, inTurn bool) {
	t.Helper()
	theirs, err := db.Querier(from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours, err := openQuerier(db, from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	_, inTurn = ours.(*joinedQuerier)
	hints := &storage.SelectHints{Start: from, End: to}
	if r.IntN(2) == 0 {
		hints.Start += r.Int64N(to - from + 1)
	}
	sorted, m := r.IntN(2) == 0, labels.MustNewMatcher(labels.MatchEqual, "__name__", "x")
	a, b := theirs.Select(t.Context(), sorted, hints, m), ours.Select(t.Context(), sorted, hints, m)
	var reused chunkenc.Iterator
	for a.Next() {
		if !b.Next() || !labels.Equal(a.At().Labels(), b.At().Labels()) {
			t.Fatal("other series")
		}
		reused = b.At().Iterator(reused)
		samples += sameSteps(t, r, a.At().Iterator(nil), reused, from)
	}
	if b.Next() || a.Err() != nil || b.Err() != nil {
		t.Fatal("more series, or", a.Err(), b.Err())
	}
	return samples, inTurn
}

// sameSteps moves two iterators alike and compares what they stand on.
func sameSteps(t *testing.T, r *rand.Rand, a, b chunkenc.Iterator, at int64) (n int) {
	t.Helper()
	far := []int64{1, 60_000, 600_000, 7200_000}[r.IntN(4)]
	for ; ; n++ {
		var x, y chunkenc.ValueType
		if r.IntN(2) == 0 {
			x, y = a.Next(), b.Next()
		} else {
			at += r.Int64N(far)
			x, y = a.Seek(at), b.Seek(at)
		}
		if x != y {
			t.Fatalf("%v, want %v", y, x)
		}
		switch x {
		case chunkenc.ValNone:
			if a.Err() != nil || b.Err() != nil {
				t.Fatal(a.Err(), b.Err())
			}
			return n
		case chunkenc.ValFloat:
			t1, v1 := a.At()
			if t2, v2 := b.At(); t1 != t2 || v1 != v2 {
				t.Fatalf("%d %v, want %d %v", t2, v2, t1, v1)
			}
		default:
			t1, h1 := a.AtFloatHistogram(nil)
			if t2, h2 := b.AtFloatHistogram(nil); t1 != t2 || !h1.Equals(h2) || h1.CounterResetHint != h2.CounterResetHint {
				t.Fatalf("%d %v (%v), want %d %v (%v)", t2, h2, h2.CounterResetHint, t1, h1, h1.CounterResetHint)
			}
		}
		at = max(at, a.AtT())
	}
}

// TestLateSamplesAreNotPassedOver asks while samples wait in memory that are older than the newest block.
func TestLateSamplesAreNotPassedOver(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixMilli()
	db := joinDB(t, start)
	late := labels.FromStrings("__name__", "x", "n", "late")
	app := db.Appender(t.Context())
	if _, err := app.Append(0, late, start+3600_000, 1); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	found := func() (n int) {
		q, err := openQuerier(db, start, start+20*3600_000)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "n", "late"))
		for set.Next() {
			for it := set.At().Iterator(nil); it.Next() != chunkenc.ValNone; {
				n++
			}
		}
		return n
	}
	if n := found(); n != 1 {
		t.Errorf("%d late samples in memory", n)
	}
	if err := db.CompactOOOHead(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := found(); n != 1 {
		t.Errorf("%d late samples in a block that overlaps others", n)
	}
}
