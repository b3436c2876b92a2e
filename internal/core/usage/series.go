package usage

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
)

var (
	_ query.Source    = (*Module)(nil)
	_ query.Describer = (*Module)(nil)
)

// metric is one name of series; kind is the label that tells apart those that share a name.
type metric struct {
	name, kind string
	unit, help string
	total      func(*Counts) int64     // of a counter
	now        func(*Holdings) int64   // of what there is; -1: not known
	limit      func(l *Limits) float64 // of what there may be; 0: no limit
}

var metrics = []metric{
	{name: "kept_usage_api_requests_total", kind: "ingest", help: requestsHelp, total: func(c *Counts) int64 { return c.Ingests }},
	{name: "kept_usage_api_requests_total", kind: "other", help: requestsHelp, total: func(c *Counts) int64 { return c.Requests }},
	{name: "kept_usage_hosts", help: "Hosts that are known.", now: func(h *Holdings) int64 { return h.Hosts }},
	{name: "kept_usage_hosts_limit", help: "How many hosts may be enrolled.", limit: func(l *Limits) float64 { return float64(l.Hosts) }},
	{name: "kept_usage_job_events_total", help: "Events of jobs that came.", total: func(c *Counts) int64 { return c.JobEvents }},
	{name: "kept_usage_metric_bytes", unit: "bytes", help: "What metrics take on disk.", now: func(h *Holdings) int64 { return h.Bytes }},
	{name: "kept_usage_samples_limit", help: "How many samples may come in a second, on average.", limit: func(l *Limits) float64 { return l.SampleRate }},
	{name: "kept_usage_samples_refused_total", help: "Samples that came and were not stored.", total: func(c *Counts) int64 { return c.Refused }},
	{name: "kept_usage_samples_total", help: "Samples that came.", total: func(c *Counts) int64 { return c.Samples }},
	{name: "kept_usage_series", help: "Active time series.", now: func(h *Holdings) int64 { return h.Series }},
	{name: "kept_usage_series_limit", help: "How many time series may be active.", limit: func(l *Limits) float64 { return float64(l.Series) }},
}

const requestsHelp = "Requests to the API with a key or a token: those that reported something (ingest), and others."

func (m metric) labels() labels.Labels {
	if m.kind != "" {
		return labels.FromStrings(model.MetricNameLabel, m.name, "kind", m.kind)
	}
	return labels.FromStrings(model.MetricNameLabel, m.name)
}

// Metadata tells what the series mean.
func (m *Module) Metadata(context.Context, kernel.WorkspaceID) (map[string][]query.Metadata, error) {
	out := map[string][]query.Metadata{}
	for _, x := range metrics {
		kind := "gauge"
		if x.total != nil {
			kind = "counter"
		}
		out[x.name] = []query.Metadata{{Type: kind, Help: x.help, Unit: x.unit}}
	}
	return out, nil
}

// Series are a workspace's counts as time series. Values are exact at the ends of slots; within one they grow evenly.
func (m *Module) Series(ws kernel.WorkspaceID) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return &querier{m: m, ws: ws, mint: max(0, mint), maxt: min(maxt, m.d.Clock().UnixMilli())}, nil
	})
}

type querier struct {
	m          *Module
	ws         kernel.WorkspaceID
	mint, maxt int64
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	all, err := q.find(ctx, hints, matchers)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return &set{all: all, at: -1}
}

func matching(matchers []*labels.Matcher) (out []metric) {
	for _, x := range metrics {
		ls := x.labels()
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) }) {
			out = append(out, x)
		}
	}
	return out
}

// find makes the series that match. A workspace in which nothing was counted has none.
func (q *querier) find(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) (out []storage.Series, err error) {
	wanted := matching(matchers)
	if len(wanted) == 0 || q.mint > q.maxt {
		return nil, nil
	}
	before, slots, err := q.m.slots(ctx, q.ws, time.UnixMilli(q.mint), time.UnixMilli(q.maxt))
	if err != nil || len(slots) == 0 && before == (Counts{}) {
		return nil, err
	}
	limits, err := q.m.d.Limits(ctx, q.ws)
	if err != nil {
		return nil, err
	}
	step := stepOf(hints)
	for _, x := range wanted {
		c := x.curve(before, slots, &limits, q.m.d.Clock())
		if len(c.at) == 0 {
			continue
		}
		first, last := (max(q.mint, c.at[0])+step-1)/step*step, min(q.maxt, c.until)
		if last >= first {
			out = append(out, &series{labels: x.labels(), samples: samples{curve: c, first: first, step: step, n: int((last-first)/step) + 1}})
		}
	}
	return out, nil
}

// stepOf is every how many milliseconds there is a sample. A range is looked at in its entirety at each step, so that for
// a long one, fewer samples say the same.
func stepOf(hints *storage.SelectHints) int64 {
	const least, most, atLeast = 60_000, 16 * 60_000, 40
	if hints == nil {
		return least
	}
	step := int64(least)
	for step < most && step*2*atLeast <= hints.Range {
		step *= 2
	}
	return step
}

// curve is a value over time: at some moments, in milliseconds, and between them.
type curve struct {
	at     []int64
	values []float64
	even   bool // it grows evenly from one moment to the next; else it stays until the next
	until  int64
}

// holdFor is how long what a workspace has is taken to be what it was, when nothing comes any more.
const holdFor = time.Hour

// curve follows a metric through slots.
func (x metric) curve(before Counts, slots []Slot, l *Limits, now time.Time) (c curve) {
	c.until = now.UnixMilli()
	switch {
	case x.limit != nil:
		if v := x.limit(l); v > 0 {
			c.at, c.values = []int64{0}, []float64{v}
		}
	case x.total != nil:
		c.even = true
		sum := x.total(&before)
		if sum > 0 {
			c.at, c.values = []int64{0}, []float64{float64(sum)}
		}
		for _, s := range slots {
			n := x.total(&s.Counts)
			if n == 0 {
				continue
			}
			end := s.At.Add(s.Span)
			if end.After(now) {
				end = now
			}
			c.push(s.At.UnixMilli(), float64(sum))
			sum += n
			c.push(max(end.UnixMilli(), s.At.UnixMilli()+1), float64(sum))
		}
	default:
		for _, s := range slots {
			if v := x.now(&s.Holdings); v >= 0 {
				c.push(s.At.UnixMilli(), float64(v))
				c.until = min(now.UnixMilli(), s.At.Add(s.Span+holdFor).UnixMilli())
			}
		}
	}
	return c
}

// push adds a moment that is not before the last.
func (c *curve) push(at int64, v float64) {
	if n := len(c.at); n > 0 && c.at[n-1] >= at {
		c.values[n-1] = v
		return
	}
	c.at, c.values = append(c.at, at), append(c.values, v)
}

// value is that of a moment that is not before the first.
func (c *curve) value(t int64) float64 {
	i := sort.Search(len(c.at), func(i int) bool { return c.at[i] > t }) - 1
	if i < 0 {
		return 0
	}
	if !c.even || i+1 == len(c.at) {
		return c.values[i]
	}
	done := float64(t-c.at[i]) / float64(c.at[i+1]-c.at[i])
	return c.values[i] + done*(c.values[i+1]-c.values[i])
}

// series is a curve with labels.
type series struct {
	labels  labels.Labels
	samples samples
}

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.labels }

// Iterator implements storage.Series.
func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	own := s.samples
	return storage.NewListSeriesIterator(&own)
}

// samples are worked out as they are looked at. It is a list of samples and the sample of it that was asked for last.
type samples struct {
	curve
	first, step int64
	n, i        int
}

// Len implements storage.Samples.
func (s *samples) Len() int { return s.n }

// Get implements storage.Samples.
func (s *samples) Get(i int) chunks.Sample {
	s.i = i
	return s
}

// T implements chunks.Sample.
func (s *samples) T() int64 { return s.first + int64(s.i)*s.step }

// F implements chunks.Sample.
func (s *samples) F() float64 { return s.value(s.T()) }

// ST implements chunks.Sample; when counters began is not known.
func (s *samples) ST() int64 { return 0 }

// H implements chunks.Sample; there are no histograms.
func (s *samples) H() *histogram.Histogram { return nil }

// FH implements chunks.Sample.
func (s *samples) FH() *histogram.FloatHistogram { return nil }

// Type implements chunks.Sample.
func (s *samples) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// Copy implements chunks.Sample.
func (s *samples) Copy() chunks.Sample {
	c := *s
	return &c
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) (out []string, _ annotations.Annotations, err error) {
	all, err := q.find(ctx, nil, matchers)
	for _, s := range all {
		if v := s.Labels().Get(name); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil, err
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) (out []string, _ annotations.Annotations, err error) {
	all, err := q.find(ctx, nil, matchers)
	for _, s := range all {
		s.Labels().Range(func(l labels.Label) { out = append(out, l.Name) })
	}
	slices.Sort(out)
	return slices.Compact(out), nil, err
}

// Close implements storage.Querier.
func (q *querier) Close() error { return nil }

// set is a list of series.
type set struct {
	all []storage.Series
	at  int
}

// Next implements storage.SeriesSet.
func (s *set) Next() bool { s.at++; return s.at < len(s.all) }

// At implements storage.SeriesSet.
func (s *set) At() storage.Series { return s.all[s.at] }

// Err implements storage.SeriesSet.
func (s *set) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (s *set) Warnings() annotations.Annotations { return nil }
