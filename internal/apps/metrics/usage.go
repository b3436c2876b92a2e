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

	"github.com/kept-dev/kept/internal/core/query"
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
	UsedBy  []query.Mention // dashboards and rules that name it
}

// Never tells whether nobody has asked for it.
func (u metricUse) Never() bool { return u.AskedAt.IsZero() }

// Unused tells whether nobody would miss it.
func (u metricUse) Unused() bool { return u.Never() && len(u.UsedBy) == 0 }

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

// users finds the dashboards and rules that name each metric.
func (m *Module) users(ctx context.Context, ws kernel.WorkspaceID, list []metricUse) error {
	at := make(map[string]int, len(list))
	for i, u := range list {
		at[u.Name] = i
	}
	for _, mentioner := range m.mentioners {
		mentions, err := mentioner.Mentions(ctx, ws)
		if err != nil {
			return err
		}
		for _, mention := range mentions {
			named := map[string]bool{}
			for _, text := range mention.Text {
				for word := range query.Words(text) {
					named[word] = true
				}
			}
			for name := range named {
				if i, ok := at[name]; ok {
					list[i].UsedBy = append(list[i].UsedBy, mention)
				}
			}
		}
	}
	return nil
}

// metricUses are all metrics of a workspace that have samples now.
func (m *Module) metricUses(ctx context.Context, ws kernel.WorkspaceID, at time.Time) ([]metricUse, error) {
	found := uses{}
	if err := m.scan(ctx, ws, at, found.add); err != nil {
		return nil, err
	}
	return m.listed(ctx, ws, found)
}

// listed is what was gathered, the largest first, with who asks for it.
func (m *Module) listed(ctx context.Context, ws kernel.WorkspaceID, found uses) ([]metricUse, error) {
	asked, err := m.d.Query.LastQueried(ctx, ws)
	if err != nil {
		return nil, err
	}
	list := found.list(asked)
	return list, m.users(ctx, ws, list)
}

// dropPreview is what a rule would have kept out in the last minutes.
type dropPreview struct {
	Selector      string
	Series, All   int64
	Rate, AllRate float64 // samples in a second
	Metrics       []metricUse
	Asked         int // of the metrics: in use
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
	p.Metrics, err = m.listed(ctx, ws, found)
	for _, u := range p.Metrics {
		if !u.Unused() {
			p.Asked++
		}
	}
	return p, err
}
