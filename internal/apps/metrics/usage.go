package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/kept-dev/kept/internal/kernel"
)

// rateOver is over what time series and samples are counted.
const rateOver = 5 * time.Minute

// scanTimeout bounds counting, which reads everything of the last minutes.
const scanTimeout = 10 * time.Second

// scan reads the samples of the last minutes from the store itself: a question through core/query would count as somebody
// asking for every metric.
func (m *Module) scan(ctx context.Context, ws kernel.WorkspaceID, at time.Time, each func(ls labels.Labels, samples int64)) error {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	from, to := at.Add(-rateOver).UnixMilli()+1, at.UnixMilli()
	q, err := m.d.Store.For(ws).Querier(from, to)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(ctx, false, &storage.SelectHints{Start: from, End: to}, labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""))
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		var n int64
		for it.Next() != chunkenc.ValNone {
			if t := it.AtT(); t >= from && t <= to {
				n++
			}
		}
		if err := it.Err(); err != nil {
			return err
		}
		if n > 0 {
			each(s.Labels(), n)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return set.Err()
}

// metricUse is what one metric costs and whether anybody asked for it.
type metricUse struct {
	Name    string
	Series  int64
	Rate    float64 // samples in a second; NaN: not counted
	AskedAt time.Time
}

// Never tells whether nobody has asked for it.
func (u metricUse) Never() bool { return u.AskedAt.IsZero() }

// uses gathers what metrics cost.
type uses map[string]*metricUse

func (u uses) add(ls labels.Labels, samples int64) {
	name := ls.Get(model.MetricNameLabel)
	if u[name] == nil {
		u[name] = &metricUse{Name: name}
	}
	u[name].Series++
	u[name].Rate += float64(samples) / rateOver.Seconds()
}

// list is what was gathered, the largest first, with when it was asked for.
func (u uses) list(asked map[string]time.Time) []metricUse {
	out := make([]metricUse, 0, len(u))
	for _, one := range u {
		one.AskedAt = asked[one.Name]
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b metricUse) int { return cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name)) })
	return out
}

// metricUses are all metrics of a workspace that have samples now.
func (m *Module) metricUses(ctx context.Context, ws kernel.WorkspaceID, at time.Time) ([]metricUse, error) {
	found := uses{}
	if err := m.scan(ctx, ws, at, found.add); err != nil {
		return nil, err
	}
	asked, err := m.d.Query.LastQueried(ctx, ws)
	return found.list(asked), err
}

// dropPreview is what a rule would have kept out in the last minutes.
type dropPreview struct {
	Selector      string
	Series, All   int64
	Rate, AllRate float64 // samples in a second
	Metrics       []metricUse
	Asked         int // of the metrics: asked for lately
}

// previewDrop counts what a rule would have kept out in the last minutes.
func (m *Module) previewDrop(ctx context.Context, ws kernel.WorkspaceID, selector string, at time.Time) (p dropPreview, err error) {
	matchers, err := m.parseDrop(selector)
	if err != nil {
		return p, err
	}
	p.Selector = selector
	found := uses{}
	err = m.scan(ctx, ws, at, func(ls labels.Labels, samples int64) {
		p.All++
		p.AllRate += float64(samples) / rateOver.Seconds()
		for _, one := range matchers {
			if !one.Matches(ls.Get(one.Name)) {
				return
			}
		}
		p.Series++
		p.Rate += float64(samples) / rateOver.Seconds()
		found.add(ls, samples)
	})
	if err != nil {
		return p, err
	}
	asked, err := m.d.Query.LastQueried(ctx, ws)
	p.Metrics = found.list(asked)
	for _, u := range p.Metrics {
		if !u.Never() {
			p.Asked++
		}
	}
	return p, err
}
