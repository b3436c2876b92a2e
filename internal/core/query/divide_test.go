package query_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/kept-dev/kept/internal/core/query"
)

// TestDividedAnswersAreWhole asks at random of data that is partly on disk and partly in memory: answers in parts, from the
// cache and in one must be the same, and the same as those of a store that has all in memory.
func TestDividedAnswersAreWhole(t *testing.T) {
	t.Parallel()
	dir, all := t.TempDir(), fixture()
	for from := 0; from < 500; from += 100 {
		writeBlock(t, filepath.Join(dir, string(testWS)), at(from), at(from+100), func(h *tsdb.Head) {
			appendAll(t, h.Appender(t.Context()), all, at(from), at(from+100))
		})
	}
	w, memory := newWorldIn(t, dir), newWorld(t)
	load(t, w.store, testWS, all, at(500), at(720))
	load(t, memory.store, testWS, all, at(0), at(720))
	exprs := []string{"topk(2, rate(demo_cpu_usage_seconds_total[5m]))", "rate(demo_requests_total[97s] offset 40m)", "max_over_time(demo_odd[11m:70s])",
		"resets(demo_native_duration_seconds[20m])", "histogram_quantile(0.9, sum(rate(demo_native_duration_seconds[7m])))"}
	for _, template := range templates {
		if !strings.Contains(template, "{__name__=~") {
			exprs = append(exprs, expand(template)...)
		}
	}
	exprs = exprs[:len(exprs)-12]
	r := rand.New(rand.NewPCG(8, 15))
	found := 0
	for range 100 {
		expr := exprs[r.IntN(len(exprs))]
		if r.IntN(5) == 0 {
			expr = exprs[r.IntN(5)]
		}
		length := time.Duration(1+r.IntN(8)) * time.Hour
		from := time.UnixMilli(fixtureStart + r.Int64N(3*3600_000)).Add(-time.Duration(r.Int64N(int64(length)))).Round(time.Second)
		q := query.Question{Expr: expr, Span: query.Span{From: from, To: from.Add(length), Step: time.Duration(7+r.IntN(300)) * time.Second}}
		w.SetParts(1 + r.IntN(6))
		if r.IntN(3) == 0 {
			w.ForgetAnswers()
		}
		got := answerText(w.Ask(t.Context(), testWS, q))
		q.Fresh = true
		want := answerText(w.Ask(t.Context(), testWS, q))
		if got != want {
			t.Fatalf("%+v\n got %.3000s\nwant %.3000s", q, got, want)
		}
		if inMemory := answerText(memory.Ask(t.Context(), testWS, q)); want != inMemory {
			t.Fatalf("%+v on disk\n got %.3000s\nwant %.3000s", q, want, inMemory)
		}
		if len(want) > 200 {
			found++
		}
	}
	if found < 45 {
		t.Errorf("only %d answers have something in them", found)
	}
}

// TestTopsAreTheEnginesOwn compares what is picked with what the engine finds: among values that are alike, no numbers,
// infinite or not there.
func TestTopsAreTheEnginesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := rand.New(rand.NewPCG(23, 42))
	var all []fixtureSeries
	for i := range 24 {
		for metric, value := range map[string]func() float64{
			"distinct": r.NormFloat64,
			"alike":    func() float64 { return float64(r.IntN(40)) },
			"odd": func() float64 {
				return []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), r.Float64(), r.Float64(), r.Float64()}[r.IntN(8)]
			},
		} {
			s := fixtureSeries{labels: labels.FromStrings("__name__", metric, "host", fmt.Sprint("h", i), "rack", fmt.Sprint(i%5))}
			for k := range 240 {
				if p := (sample{t: at(k), f: value()}); r.IntN(9) > 0 {
					s.samples = append(s.samples, p)
				}
			}
			all = append(all, s)
		}
	}
	load(t, w.store, testWS, all, at(0), at(240))
	s := query.Span{From: time.UnixMilli(at(20)), To: time.UnixMilli(at(239)), Step: 45 * time.Second}
	for range 100 {
		op, k := []string{"topk", "bottomk"}[r.IntN(2)], []string{"1", "2.9", "3", "7", "23", "24", "1000", "0", "-1"}[r.IntN(9)]
		by := []string{"", " by (rack)", " without (host)", " by (host)", " by (absent)", " without (rack)"}[r.IntN(6)]
		of := fmt.Sprintf([]string{"%s", "(%s)", "-%s", "max_over_time(%s[1m])", "%s > 0", "avg by (rack) (%s)"}[r.IntN(6)], []string{"distinct", "alike", "odd"}[r.IntN(3)])
		q := query.Question{Expr: fmt.Sprintf("(%s%s(%s, %s))", op, by, k, of), Span: s}
		q.Span.To = q.Span.To.Add(-time.Duration(r.IntN(20)) * time.Second)
		got := answerText(w.Ask(t.Context(), testWS, q))
		if q.Fresh = true; !strings.Contains(of, "distinct") && strings.ContainsAny(of, "->") {
			continue // which of equals the engine meets first is chance here
		}
		if want := answerText(w.Ask(t.Context(), testWS, q)); got != want {
			t.Fatalf("%s\n got %.3000s\nwant %.3000s", q.Expr, got, want)
		}
	}
	if cached, evaluated := w.Cached(); cached < 2*evaluated {
		t.Errorf("%d steps from the cache, %d evaluated", cached, evaluated)
	}
}
