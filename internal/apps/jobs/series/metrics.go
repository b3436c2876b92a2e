package series

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/apps/jobs/index"
)

// metric is one name of series.
type metric struct {
	name    string
	measure index.Measure
	curves  func(m metric, p *index.Pulse, g grid, matchers []*labels.Matcher) []curve
	kind    string // counter, gauge, histogram
	family  string // the name that it is described by
	unit    string
	help    string
}

var metrics = slices.Concat([]metric{
	{name: "kept_jobs_enqueued_total", measure: index.Enqueued, curves: counted, kind: "counter", help: "Runs of jobs that began."},
	{name: "kept_jobs_completed_total", measure: index.Completions, curves: counted, kind: "counter", help: "Runs of jobs that completed."},
	{name: "kept_jobs_failed_total", measure: index.Failures, curves: counted, kind: "counter", help: "Runs of jobs that failed for good."},
	{name: "kept_jobs_retried_total", measure: index.Retries, curves: counted, kind: "counter",
		help: "Attempts after the first, counted when their run was over."},
	{name: "kept_jobs_waiting", measure: index.WaitingNow, curves: counted, kind: "gauge", help: "Runs that wait for a worker."},
	{name: "kept_jobs_running", measure: index.RunningNow, curves: counted, kind: "gauge", help: "Runs that are worked on."},
	{name: "kept_jobs_oldest_waiting_seconds", measure: index.WaitingNow, curves: oldest, kind: "gauge", unit: "seconds",
		help: "How long the run that waits longest has waited; 0 when none does."},
}, histogramOf("kept_job_wait_seconds", index.Waits, "How long runs waited for a worker."),
	histogramOf("kept_job_duration_seconds", index.Durations, "How long the last attempts of runs took that are over."))

func histogramOf(name string, m index.Measure, help string) []metric {
	one := func(suffix string, curves func(metric, *index.Pulse, grid, []*labels.Matcher) []curve) metric {
		return metric{name: name + suffix, measure: m, curves: curves, kind: "histogram", family: name, unit: "seconds", help: help}
	}
	return []metric{one("_bucket", buckets), one("_sum", sums), one("_count", countedIfAny)}
}

// Description is what a metric means.
type Description struct{ Name, Kind, Unit, Help string }

// Descriptions lists what there is.
func Descriptions() (out []Description) {
	for _, m := range metrics {
		d := Description{cmp.Or(m.family, m.name), m.kind, m.unit, m.help}
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// series appends those of a pulse.
func (m metric) series(all []storage.Series, p *index.Pulse, g grid, matchers []*labels.Matcher) []storage.Series {
	for _, c := range m.curves(m, p, g, matchers) {
		b := labels.NewScratchBuilder(5)
		b.Add(model.MetricNameLabel, m.name)
		for _, l := range [...]labels.Label{{Name: "env", Value: p.Env}, {Name: "le", Value: c.le}, {Name: "name", Value: p.Name}, {Name: "queue", Value: p.Queue}} {
			if l.Value != "" {
				b.Add(l.Name, l.Value)
			}
		}
		all = append(all, &series{labels: b.Labels(), curve: c, grid: g.since(p.First)})
	}
	return all
}

// curve is a value over time: that of a moment is the last one that is not after it, before the first it is 0. It is right
// at those moments that have samples.
type curve struct {
	grid   grid
	le     string
	at     []uint32
	values []float64
	age    bool // a value is the second since when, and what is shown is how long ago that is
}

// newCurve has room for some changes.
func newCurve(g grid, changes int) curve {
	room := min(changes, int((g.to-g.from)/g.stride)+2)
	return curve{grid: g, at: make([]uint32, 0, room), values: make([]float64, 0, room)}
}

// push adds a change at a moment that is not before the last. It is noted at the next moment that has a sample.
func (c *curve) push(at uint32, v float64) {
	at = c.grid.up(at)
	if n := len(c.at); n > 0 && c.at[n-1] == at {
		c.values[n-1] = v
		return
	}
	c.at, c.values = append(c.at, at), append(c.values, v)
}

func counted(_ metric, p *index.Pulse, g grid, _ []*labels.Matcher) []curve {
	c := newCurve(g, len(p.Changes))
	n := int64(0)
	for _, t := range p.Changes {
		n += int64(t.N)
		c.push(t.At, float64(n))
	}
	return []curve{c}
}

// countedIfAny leaves out histograms in which there is nothing.
func countedIfAny(m metric, p *index.Pulse, g grid, matchers []*labels.Matcher) []curve {
	if len(p.Changes) == 0 {
		return nil
	}
	return counted(m, p, g, matchers)
}

func sums(_ metric, p *index.Pulse, g grid, _ []*labels.Matcher) []curve {
	if len(p.Changes) == 0 {
		return nil
	}
	c := newCurve(g, len(p.Changes))
	us := int64(0)
	for _, t := range p.Changes {
		us += t.Sum
		c.push(t.At, float64(us)/1e6)
	}
	return []curve{c}
}

// les are the bounds of buckets as labels.
var les = func() (out []string) {
	for _, us := range index.Bounds {
		out = append(out, labelOf(float64(us)/1e6))
	}
	return append(out, "+Inf")
}()

// labelOf writes a bound as clients of Prometheus write theirs.
func labelOf(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if f == math.Trunc(f) && f < 1e15 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return s
}

// buckets are the curves of a histogram: each counts what is in its bucket and in those below.
func buckets(_ metric, p *index.Pulse, g grid, matchers []*labels.Matcher) (out []curve) {
	if len(p.Changes) == 0 {
		return nil
	}
	var counts [len(index.Bounds) + 1]int64
	var tallies [len(index.Bounds) + 1]int
	for _, t := range p.Changes {
		tallies[t.Bucket]++
	}
	var wanted []int
	below := 0
	for i, le := range les {
		below += tallies[i]
		if matches(matchers, "le", le) {
			wanted, out = append(wanted, i), append(out, newCurve(g, below))
			out[len(out)-1].le = le
		}
	}
	for i, t := range p.Changes {
		counts[t.Bucket] += int64(t.N)
		if i+1 < len(p.Changes) && g.up(p.Changes[i+1].At) == g.up(t.At) {
			continue
		}
		n, bucket := int64(0), 0
		for w := range out {
			for ; bucket <= wanted[w]; bucket++ {
				n += counts[bucket]
			}
			if c := &out[w]; n != 0 && (len(c.values) == 0 || c.values[len(c.values)-1] != float64(n)) {
				c.push(t.At, float64(n))
			}
		}
	}
	return out
}

// oldest follows since when the run waits that waits longest: those that wait are counted by the second they began, of
// which the first that has any is looked for whenever one is gone.
func oldest(_ metric, p *index.Pulse, g grid, _ []*labels.Matcher) []curve {
	c := curve{grid: g, age: true}
	waiting := map[uint32]int32{}
	first := uint32(0)
	for i, t := range p.Changes {
		waiting[t.Since] += t.N
		if waiting[t.Since] == 0 {
			delete(waiting, t.Since)
		}
		if t.N > 0 && (first == 0 || t.Since < first) {
			first = t.Since
		}
		if i+1 < len(p.Changes) && p.Changes[i+1].At == t.At {
			continue
		}
		if _, there := waiting[first]; !there {
			first = 0
			for s := range waiting {
				if first == 0 || s < first {
					first = s
				}
			}
		}
		c.push(t.At, float64(first))
	}
	return []curve{c}
}
