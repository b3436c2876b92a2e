package series

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
)

// fixed is an index that says always the same.
type fixed func() []*index.Pulse

func (f fixed) Pulses(context.Context, kernel.WorkspaceID, index.Measure, uint32, uint32) ([]*index.Pulse, error) {
	return f(), nil
}

const begin = uint32(100_000)

func at(moment uint32) int64 { return int64(begin+moment) * beat }

func selectAll(t *testing.T, x Index, hints *storage.SelectHints, name string) []storage.Series {
	t.Helper()
	now := func() time.Time { return time.UnixMilli(at(100)) }
	q, err := New(x, now).Series("ws").Querier(at(0), at(1000))
	if err != nil {
		t.Fatal(err)
	}
	set := q.Select(t.Context(), true, hints, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name))
	var out []storage.Series
	for set.Next() {
		out = append(out, set.At())
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return out
}

// TestIteratorsSeekAsTheyStep compares every way through a series.
func TestIteratorsSeekAsTheyStep(t *testing.T) {
	t.Parallel()
	x := fixed(func() []*index.Pulse {
		p := &index.Pulse{Queue: "q", First: begin + 3}
		for i := range uint32(60) {
			p.Changes = append(p.Changes, index.Tally{At: begin + 3 + i*i/40, N: 1})
		}
		return []*index.Pulse{p}
	})
	for _, hints := range []*storage.SelectHints{nil, {Range: 3600_000}, {Range: 24 * 3600_000}} {
		s := selectAll(t, x, hints, "kept_jobs_completed_total")[0]
		type point struct {
			t int64
			v float64
		}
		var all []point
		for it := s.Iterator(nil); it.Next() != chunkenc.ValNone; {
			at, v := it.At()
			all = append(all, point{at, v})
		}
		if first, last := all[0], all[len(all)-1]; first.v != 0 || last.v != 60 || last.t > at(100) {
			t.Errorf("from %v to %v", first, last)
		}
		for from := at(0) - 5*beat; from < at(101); from += 7_000 {
			it := s.Iterator(nil)
			var want []point
			for _, p := range all {
				if p.t >= from {
					want = append(want, p)
				}
			}
			kind := it.Seek(from)
			for i := 0; kind != chunkenc.ValNone; i++ {
				if at, v := it.At(); i >= len(want) || want[i] != (point{at, v}) {
					t.Fatalf("from %d, the %d-th is %d %v", from, i, at, v)
				}
				if it.Seek(from) == chunkenc.ValNone {
					t.Fatal("seeking backwards ends it")
				}
				kind = it.Next()
			}
		}
	}
}

// TestLabelsAreBounded has more names than may be told apart, and one that is no text.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	many := func(queues, names int) fixed {
		return func() (out []*index.Pulse) {
			for q := range queues {
				for n := range names {
					out = append(out, &index.Pulse{Queue: fmt.Sprint("q", q), Name: fmt.Sprint("n\xff", n), First: begin, Changes: []index.Tally{{At: begin, N: 1}}})
				}
			}
			return out
		}
	}
	for _, c := range []struct{ queues, names, most int }{{1, 10, 10}, {4, 1000, 510}, {3000, 1, 501}} {
		found := selectAll(t, many(c.queues, c.names), nil, "kept_jobs_failed_total")
		total := 0.0
		for _, s := range found {
			it := s.Iterator(nil)
			it.Next()
			_, v := it.At()
			total += v
		}
		if len(found) > c.most || total != float64(c.queues*c.names) {
			t.Errorf("%d queues of %d names: %d series, which come to %v", c.queues, c.names, len(found), total)
		}
	}
}

// TestFewerSamplesSayTheSame compares all metrics, sample by sample, with what the changes come to, also where a long range
// makes samples rare.
func TestFewerSamplesSayTheSame(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	p := &index.Pulse{Queue: "q", First: begin + 2, Changes: []index.Tally{{Bucket: 3, N: 5, Sum: 7e6}}}
	for at := begin + 2; at < begin+120; at += uint32(r.IntN(4)) {
		p.Changes = append(p.Changes, index.Tally{At: at, Bucket: uint8(r.IntN(len(index.Bounds) + 1)), N: 1 + int32(r.IntN(3)), Sum: r.Int64N(9e6)})
	}
	x := fixed(func() []*index.Pulse { c := *p; return []*index.Pulse{&c} })
	for _, m := range metrics {
		if strings.Contains(m.name, "oldest") {
			continue
		}
		for _, hints := range []*storage.SelectHints{nil, {Range: 7200_000}, {Range: 24 * 3600_000}} {
			for _, s := range selectAll(t, x, hints, m.name) {
				samples := 0
				for it := s.Iterator(nil); it.Next() != chunkenc.ValNone; samples++ {
					now, got := it.At()
					want := 0.0
					for _, c := range p.Changes {
						switch le := s.Labels().Get("le"); {
						case int64(c.At)*beat > now, le != "" && slices.Index(les, le) < int(c.Bucket):
						case strings.HasSuffix(m.name, "_sum"):
							want += float64(c.Sum)
						default:
							want += float64(c.N)
						}
					}
					if strings.HasSuffix(m.name, "_sum") {
						want /= 1e6
					}
					if got != want {
						t.Fatalf("%v with %v at %d: %v, want %v", s.Labels(), hints, now, got, want)
					}
				}
				if samples < 6 {
					t.Errorf("%v with %v: %d samples", s.Labels(), hints, samples)
				}
			}
		}
	}
}
