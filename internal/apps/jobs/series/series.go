// Package series shows background jobs as time series: how many completed, failed and were tried again, how many wait and
// run, and for how long. They are made from the job index when they are asked for and stored nowhere. Within one query
// they are true counters: they only grow, also while retention removes old jobs.
//
// Values are exact at every fifteenth second; what happens between two such moments counts at the later one. The names and
// labels are documented in docs/protocols/prometheus.md.
package series

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/apps/jobs/index"
	"github.com/kept-dev/kept/internal/kernel"
)

// Index is what series are made from.
type Index interface {
	Pulses(ctx context.Context, ws kernel.WorkspaceID, m index.Measure, from, to uint32) ([]*index.Pulse, error)
}

// Source makes series.
type Source struct {
	index Index
	clock kernel.Clock
}

// New makes a Source.
func New(x Index, clock kernel.Clock) *Source { return &Source{x, clock} }

// Series are those of a workspace.
func (s *Source) Series(ws kernel.WorkspaceID) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return &querier{s: s, ws: ws, mint: mint, maxt: min(maxt, s.clock().UnixMilli())}, nil
	})
}

// beat is the distance of moments, milliseconds.
const beat = index.Beat * 1000

type querier struct {
	s          *Source
	ws         kernel.WorkspaceID
	mint, maxt int64
}

// span is the first and last moment within the querier's times.
func (q *querier) span() (from, to uint32, ok bool) {
	if q.maxt < 0 || q.mint > q.maxt {
		return 0, 0, false
	}
	from, to = uint32(max(0, q.mint+beat-1)/beat), uint32(q.maxt/beat)
	return from, to, from <= to
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	all, err := q.find(ctx, strideOf(hints), matchers)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	slices.SortFunc(all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{all: all, at: -1}
}

// strideOf is every how many moments there is a sample. A range is looked at in its entirety at each step, so that for a
// long one, fewer samples say the same.
func strideOf(hints *storage.SelectHints) uint32 {
	const samples, most = 40, 16
	if hints == nil || hints.Range <= 0 {
		return 1
	}
	stride := uint32(1)
	for stride < most && int64(stride)*2*beat*samples <= hints.Range {
		stride *= 2
	}
	return stride
}

// find makes the series that match.
func (q *querier) find(ctx context.Context, stride uint32, matchers []*labels.Matcher) (all []storage.Series, err error) {
	from, to, ok := q.span()
	if !ok {
		return nil, nil
	}
	var wanted []metric
	for _, m := range metrics {
		if matches(matchers, model.MetricNameLabel, m.name) {
			wanted = append(wanted, m)
		}
	}
	known := map[index.Measure][]*index.Pulse{}
	for _, m := range wanted {
		pulses, ok := known[m.measure]
		if !ok {
			if pulses, err = q.s.index.Pulses(ctx, q.ws, m.measure, from, to); err != nil {
				return nil, err
			}
			pulses = folded(pulses)
			known[m.measure] = pulses
		}
		for _, p := range pulses {
			if matches(matchers, "queue", p.Queue) && matches(matchers, "name", p.Name) && matches(matchers, "env", p.Env) {
				all = m.series(all, p, grid{from, to, stride}, matchers)
			}
		}
	}
	return slices.DeleteFunc(all, func(s storage.Series) bool { return !matchAll(matchers, s.Labels()) }), nil
}

// matches tells whether the matchers of one label allow a value.
func matches(matchers []*labels.Matcher, name, value string) bool {
	for _, m := range matchers {
		if m.Name == name && !m.Matches(value) {
			return false
		}
	}
	return true
}

func matchAll(matchers []*labels.Matcher, l labels.Labels) bool {
	for _, m := range matchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// maxKinds is how many combinations of queue, name and environment are told apart; other is what the rest is called.
const (
	maxKinds = 500
	other    = "(other)"
)

// folded bounds the number of pulses: too many names become one, and if that is not enough, too many queues. It also makes
// labels of them, which are valid UTF-8.
func folded(all []*index.Pulse) []*index.Pulse {
	slices.SortFunc(all, func(a, b *index.Pulse) int {
		return cmp.Or(strings.Compare(a.Queue, b.Queue), strings.Compare(a.Name, b.Name), strings.Compare(a.Env, b.Env))
	})
	for _, p := range all {
		p.Queue, p.Name, p.Env = strings.ToValidUTF8(p.Queue, "�"), strings.ToValidUTF8(p.Name, "�"), strings.ToValidUTF8(p.Env, "�")
	}
	if all = joined(all); len(all) <= maxKinds {
		return all
	}
	for _, p := range all[maxKinds:] {
		p.Name = other
	}
	if all = joined(all); len(all) <= 2*maxKinds {
		return all
	}
	for _, p := range all[maxKinds:] {
		p.Queue, p.Name, p.Env = other, other, other
	}
	return joined(all)
}

// joined adds up pulses that have become the same.
func joined(all []*index.Pulse) (out []*index.Pulse) {
	at := map[[3]string]*index.Pulse{}
	for _, p := range all {
		key := [3]string{p.Queue, p.Name, p.Env}
		if same := at[key]; same != nil {
			same.First = min(same.First, p.First)
			same.Changes = append(same.Changes, p.Changes...)
			slices.SortFunc(same.Changes, func(a, b index.Tally) int { return cmp.Compare(a.At, b.At) })
			continue
		}
		at[key] = p
		out = append(out, p)
	}
	return out
}

// kinds are the combinations of queue, name and environment that matchers allow, and the metrics.
func (q *querier) kinds(ctx context.Context, matchers []*labels.Matcher) (pulses []*index.Pulse, names []string, err error) {
	_, to, ok := q.span()
	if !ok {
		return nil, nil, nil
	}
	for _, m := range metrics {
		if matches(matchers, model.MetricNameLabel, m.name) {
			names = append(names, m.name)
		}
	}
	if len(names) == 0 {
		return nil, nil, nil
	}
	if pulses, err = q.s.index.Pulses(ctx, q.ws, index.Enqueued, to, to); err != nil {
		return nil, nil, err
	}
	pulses = slices.DeleteFunc(folded(pulses), func(p *index.Pulse) bool {
		return !matches(matchers, "queue", p.Queue) || !matches(matchers, "name", p.Name) || !matches(matchers, "env", p.Env)
	})
	if len(pulses) == 0 {
		names = nil
	}
	return pulses, names, nil
}

// LabelValues implements storage.LabelQuerier. It lists what there is at all, also where a metric has nothing of it.
func (q *querier) LabelValues(ctx context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	pulses, names, err := q.kinds(ctx, matchers)
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	var out []string
	switch name {
	case model.MetricNameLabel:
		out = names
	case "le":
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "_bucket") }) {
			out = slices.Clone(les)
		}
	default:
		for _, p := range pulses {
			if v := labelOfPulse(p, name); v != "" {
				out = append(out, v)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil, nil
}

func labelOfPulse(p *index.Pulse, name string) string {
	switch name {
	case "queue":
		return p.Queue
	case "name":
		return p.Name
	case "env":
		return p.Env
	}
	return ""
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	pulses, names, err := q.kinds(ctx, matchers)
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	out := []string{model.MetricNameLabel}
	for _, name := range []string{"env", "name", "queue"} {
		if slices.ContainsFunc(pulses, func(p *index.Pulse) bool { return labelOfPulse(p, name) != "" }) {
			out = append(out, name)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "_bucket") }) {
		out = append(out, "le")
	}
	slices.Sort(out)
	return out, nil, nil
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
