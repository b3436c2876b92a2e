package query_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/series"
)

// sample is a float, a histogram or an exemplar at a time.
type sample struct {
	t        int64
	f        float64
	h        *histogram.FloatHistogram
	exemplar *exemplar.Exemplar
}

// fixtureSeries is one series and its samples, in order.
type fixtureSeries struct {
	labels  labels.Labels
	samples []sample
}

// fixtureStart is when the fixture begins: 2026-11-20 06:00 UTC.
const fixtureStart = int64(1_795_154_400_000)

const fixtureStep = int64(15_000)

// fixture is three hours of a little of everything, always the same: counters that reset, gauges, what is not a number,
// series that come and go with stale markers, classic and native histograms, exemplars, labels that need escaping.
func fixture() []fixtureSeries {
	r := rand.New(rand.NewPCG(1, 2))
	var all []fixtureSeries
	add := func(f func(i int, t int64) (sample, bool), pairs ...string) {
		s := fixtureSeries{labels: labels.FromStrings(pairs...)}
		for i := range 3 * 240 {
			t := fixtureStart + int64(i)*fixtureStep
			if p, ok := f(i, t); ok {
				p.t = t
				s.samples = append(s.samples, p)
			}
		}
		all = append(all, s)
	}
	for inst := range 3 {
		instance := fmt.Sprintf("demo:1000%d", inst)
		for _, kind := range []string{"buffers", "cached", "free", "used"} {
			base := 1e9 * (1 + r.Float64())
			add(func(int, int64) (sample, bool) {
				base += r.NormFloat64() * 1e6
				return sample{f: math.Round(base)}, true
			},
				"__name__", "demo_memory_usage_bytes", "instance", instance, "job", "demo", "type", kind)
		}
		for _, mode := range []string{"idle", "system", "user"} {
			total := r.Float64() * 1e4
			add(func(i int, _ int64) (sample, bool) {
				if total += r.Float64() * 15; i == 300+40*inst {
					total = 0
				}
				return sample{f: total}, true
			}, "__name__", "demo_cpu_usage_seconds_total", "instance", instance, "job", "demo", "mode", mode)
		}
		add(func(int, int64) (sample, bool) { return sample{f: float64(int(2) << inst)}, true },
			"__name__", "demo_num_cpus", "instance", instance, "job", "demo")
		disk := 1e8
		add(func(int, int64) (sample, bool) { disk += 1e4 * r.Float64(); return sample{f: disk}, true },
			"__name__", "demo_disk_usage_bytes", "instance", instance, "job", "demo")
		add(func(i int, t int64) (sample, bool) { return sample{f: float64(t/1000 - int64(i%40)*15)}, true },
			"__name__", "demo_batch_last_success_timestamp_seconds", "instance", instance, "job", "demo")
		add(func(i int, _ int64) (sample, bool) {
			switch phase := (i + 20*inst) % 60; {
			case phase < 30:
				return sample{f: float64(i)}, true
			case phase == 30:
				return sample{f: math.Float64frombits(value.StaleNaN)}, true
			}
			return sample{}, false
		}, "__name__", "demo_intermittent_metric", "instance", instance, "job", "demo")
		counts := make([]float64, 6)
		for b, le := range []string{"0.1", "0.25", "0.5", "1", "2.5", "+Inf"} {
			add(func(int, int64) (sample, bool) {
				counts[b] += math.Floor(r.Float64() * float64(b+1) * 3)
				return sample{f: counts[b]}, true
			}, "__name__", "demo_api_request_duration_seconds_bucket", "instance", instance, "job", "demo", "le", le, "path", "/api/\"foo\"\n<é>")
		}
		h := &histogram.FloatHistogram{Schema: 2, ZeroThreshold: 1e-128, PositiveSpans: []histogram.Span{{Offset: -4, Length: 4}, {Offset: 2, Length: 2}},
			PositiveBuckets: make([]float64, 6)}
		add(func(i int, _ int64) (sample, bool) {
			for b := range h.PositiveBuckets {
				n := math.Floor(r.Float64() * 4)
				h.PositiveBuckets[b] += n
				h.Count += n
				h.Sum += n * float64(b)
			}
			if i%7 == 0 {
				h.ZeroCount++
				h.Count++
			}
			return sample{h: h.Copy()}, true
		}, "__name__", "demo_native_duration_seconds", "instance", instance, "job", "demo")
		add(func(i int, t int64) (sample, bool) {
			p := sample{f: float64(i)}
			if i%50 == 0 {
				p.exemplar = &exemplar.Exemplar{Labels: labels.FromStrings("trace_id", fmt.Sprintf("t%d-%d", inst, i)), Value: float64(i) / 3, Ts: t, HasTs: true}
			}
			return p, true
		}, "__name__", "demo_requests_total", "instance", instance, "job", "demo")
	}
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-7, 1e21, 1e22, 123456789.25, 5e-324}
	add(func(i int, _ int64) (sample, bool) { return sample{f: odd[i%len(odd)]}, true }, "__name__", "demo_odd", "job", "demo")
	slices.SortFunc(all, func(a, b fixtureSeries) int { return labels.Compare(a.labels, b.labels) })
	return all
}

// load writes samples from some until before another into a workspace, in the order of time as an agent would.
func load(t testing.TB, store series.Store, ws kernel.WorkspaceID, all []fixtureSeries, from, until int64) {
	t.Helper()
	appendAll(t, store.For(ws).Appender(t.Context()), all, from, until)
}

func appendAll(t testing.TB, app storage.Appender, all []fixtureSeries, from, until int64) {
	t.Helper()
	for _, s := range all {
		for _, p := range s.samples {
			if p.t < from || p.t >= until {
				continue
			}
			var err error
			if p.h != nil {
				_, err = app.AppendHistogram(0, s.labels, p.t, nil, p.h)
			} else {
				_, err = app.Append(0, s.labels, p.t, p.f)
			}
			if err == nil && p.exemplar != nil {
				_, err = app.AppendExemplar(0, s.labels, *p.exemplar)
			}
			if err != nil {
				t.Fatal(s.labels, p.t, err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}
