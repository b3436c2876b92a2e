package eventlog

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/db/dbtest"
	"github.com/kept-dev/kept/internal/platform/seal"
)

const ws = kernel.WorkspaceID("01arz3ndektsv4rrffq69g5fav")

// start opens a log on an engine.
func start(t *testing.T, d *db.DB, onAppend func(Appended)) *Log {
	t.Helper()
	instance, _, err := seal.LoadInstanceKey(filepath.Join(t.TempDir(), "instance.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.New(d, instance)
	ctx := context.Background()
	if err := d.Migrate(ctx, db.Module{Name: "seal", Migrations: keys.Migrations()}, db.Module{Name: "jobs", Migrations: Migrations()}); err != nil {
		t.Fatal(err)
	}
	l := New(d, keys, NewPacker(), onAppend)
	if err := l.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// all reads every record with its data.
func all(t *testing.T, l *Log) []Record {
	t.Helper()
	next, err := l.NextOffset(context.Background(), ws)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []int64
	for i := range next {
		offsets = append(offsets, i)
	}
	records, err := l.ReadRecords(context.Background(), ws, offsets)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var mu sync.Mutex
		var told []int64
		l := start(t, d, func(a Appended) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, a.First)
		})
		want := someRecords(300, 1)
		for i := range 3 {
			if err := l.Append(t.Context(), ws, want[i*100:(i+1)*100]); err != nil {
				t.Fatal(err)
			}
		}
		if got := all(t, l); !reflect.DeepEqual(got, want) {
			t.Fatalf("read back %d records, and not what was appended", len(got))
		}
		blocks, err := l.ReadMeta(t.Context(), ws, 150, 10)
		if err != nil || len(blocks) != 2 || blocks[0].First != 100 {
			t.Fatalf("from 150 on: %d blocks, %v", len(blocks), err)
		}
		if !reflect.DeepEqual(told, []int64{0, 100, 200}) {
			t.Errorf("told of blocks at %v", told)
		}
	})
}

func TestConcurrentAppendsShareCommitsAndLoseNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := start(t, d, nil)
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				for i := range 20 {
					r := someRecords(10, uint64(c*100+i))
					for j := range r {
						r[j].JobID = fmt.Appendf(nil, "%d-%d-%d", c, i, j)
					}
					if err := l.Append(context.Background(), ws, r); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for i, r := range all(t, l) {
			if r.Offset != int64(i) {
				t.Fatalf("record %d has offset %d", i, r.Offset)
			}
			seen[string(r.JobID)] = true
		}
		if len(seen) != 1600 {
			t.Errorf("%d records, want 1600", len(seen))
		}
	})
}

func TestCompactKeepsOffsetsAndContent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := start(t, d, nil)
		want := someRecords(5000, 3)
		for i := 0; i < len(want); i += 50 {
			if err := l.Append(t.Context(), ws, want[i:i+50]); err != nil {
				t.Fatal(err)
			}
		}
		now := want[0].ReceivedAt
		next, more, err := l.Compact(t.Context(), ws, 0, 5000, now)
		if err != nil || !more || next != 4100 {
			t.Fatalf("next %d, more %v, %v", next, more, err)
		}
		if _, more, _ := l.Compact(t.Context(), ws, next, 5000, now); more {
			t.Error("the newest hour is compacted before it has enough events")
		}
		if next, more, err = l.Compact(t.Context(), ws, next, 5000, now+bucket); !more || next != 5000 {
			t.Fatalf("an hour later: next %d, more %v, %v", next, more, err)
		}
		if got := all(t, l); !reflect.DeepEqual(got, want) {
			t.Fatal("compaction changed the records")
		}
	})
}

func TestSweepRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := start(t, d, nil)
		r := someRecords(10, 1)
		if err := l.Append(t.Context(), ws, r); err != nil {
			t.Fatal(err)
		}
		if gone, err := l.Sweep(t.Context(), ws, r[0].ReceivedAt); gone != 0 || err != nil {
			t.Fatalf("swept %d that were not old: %v", gone, err)
		}
		if gone, err := l.Sweep(t.Context(), ws, r[0].ReceivedAt+1); gone != 10 || err != nil {
			t.Fatalf("swept %d: %v", gone, err)
		}
		if got := all(t, l); len(got) != 0 {
			t.Fatalf("%d records are left", len(got))
		}
	})
}

func find(t *testing.T, l *Log, text string) (ids []string) {
	t.Helper()
	n, ok := NewNeedle(text)
	if !ok {
		t.Fatalf("%q cannot be searched for", text)
	}
	s, err := l.Search(t.Context(), ws, n, 0, 1<<62)
	for err == nil && s.More(0) {
		var matches []Match
		matches, err = s.Next(t.Context(), nil)
		for _, m := range matches {
			ids = append(ids, string(m.JobID))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestSearch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := start(t, d, nil)
		records := someRecords(40_000, 5)
		records[7].Data = []byte(`{"failedReason":"Zahlung für Müller abgelehnt","stack":"at pay\nin ledger.Post"}`)
		records[39_990].Data = []byte(`{"input":{"order":"ORD-20260301-XK77"}}`)
		records[12].JobID = []byte("job-twelve")
		for i := 0; i < len(records); i += 1000 {
			if err := l.Append(t.Context(), ws, records[i:i+1000]); err != nil {
				t.Fatal(err)
			}
		}
		for next, more := int64(0), true; more; {
			var err error
			if next, more, err = l.Compact(t.Context(), ws, next, 40_000, records[0].ReceivedAt+bucket); err != nil {
				t.Fatal(err)
			}
		}
		for text, want := range map[string]string{
			"ord-20260301-xk77": string(records[39_990].JobID),
			"0301-XK":           string(records[39_990].JobID), // inside words, in the newest
			"müller":            string(records[7].JobID),
			"ledger.post":       string(records[7].JobID),
			"in ledger":         string(records[7].JobID), // behind an escaped line end
			"job-twelve":        "job-twelve",
		} {
			if got := find(t, l, text); len(got) != 1 || got[0] != want {
				t.Errorf("%q found %v, want %s", text, got, want)
			}
		}
		for _, text := range []string{"abgelehn", "nobody"} { // old: whole words only
			if got := find(t, l, text); len(got) != 0 {
				t.Errorf("%q found %v", text, got)
			}
		}
	})
}

func TestNothingIsStoredInClear(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := start(t, d, nil)
		r := someRecords(100, 1)
		canary := []byte("canary-5f2c91")
		for i := range r {
			r[i].Data, r[i].Headline, r[i].JobID = canary, canary, canary
		}
		if err := l.Append(t.Context(), ws, r); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Compact(t.Context(), ws, 0, 100, r[0].ReceivedAt+bucket); err != nil {
			t.Fatal(err)
		}
		rows, err := d.Query(t.Context(), `SELECT words, meta, bodies FROM job_log`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var parts [3][]byte
			if err := rows.Scan(&parts[0], &parts[1], &parts[2]); err != nil {
				t.Fatal(err)
			}
			for _, p := range parts {
				if n++; bytes.Contains(p, canary[:6]) {
					t.Error("a stored part holds the canary in clear")
				}
			}
		}
		if n == 0 {
			t.Error("nothing was stored at all")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	d := dbtest.Open(b, dbtest.SQLite(b))
	instance, _ := seal.NewInstanceKey()
	keys := seal.New(d, instance)
	ctx := context.Background()
	if err := d.Migrate(ctx, db.Module{Name: "seal", Migrations: keys.Migrations()}, db.Module{Name: "jobs", Migrations: Migrations()}); err != nil {
		b.Fatal(err)
	}
	l := New(d, keys, NewPacker(), nil)
	l.Start(ctx)
	records := someRecords(100, 1)
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(ctx, ws, records); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "events/s")
}
