package query

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxListed is how many names, values or series a list has at most, asked for or not.
const maxListed = 100_000

// errTruncated is the warning of a list that was cut.
var errTruncated = errors.New("results truncated due to limit")

// finding is what lists are made for.
type finding struct {
	selectors  [][]*labels.Matcher
	mint, maxt int64 // milliseconds
	limit      int   // 0: maxListed
}

func (f finding) most() int {
	if f.limit <= 0 || f.limit > maxListed {
		return maxListed
	}
	return f.limit
}

// LabelNames lists the names of labels of the series that match any of the selectors (none: all), sorted, in a span.
func (m *Module) LabelNames(ctx context.Context, ws kernel.WorkspaceID, selectors [][]*labels.Matcher, from, to time.Time) ([]string, error) {
	out, _, err := m.labelNames(ctx, ws, finding{selectors: selectors, mint: from.UnixMilli(), maxt: to.UnixMilli()})
	return out, err
}

// LabelValues lists the values of a label among the series that match any of the selectors (none: all), sorted, in a span.
func (m *Module) LabelValues(ctx context.Context, ws kernel.WorkspaceID, name string, selectors [][]*labels.Matcher, from, to time.Time) ([]string, error) {
	out, _, err := m.labelValues(ctx, ws, name, finding{selectors: selectors, mint: from.UnixMilli(), maxt: to.UnixMilli()})
	return out, err
}

// Series lists the series that match any of the selectors, sorted, in a span: at most limit of them (0: 100,000).
func (m *Module) Series(ctx context.Context, ws kernel.WorkspaceID, selectors [][]*labels.Matcher, from, to time.Time, limit int) ([]labels.Labels, error) {
	out, _, err := m.findSeries(ctx, ws, finding{selectors, from.UnixMilli(), to.UnixMilli(), limit})
	return out, err
}

// Metadata tells what metrics mean, by name; metric chooses one.
func (m *Module) Metadata(ctx context.Context, ws kernel.WorkspaceID, metric string) (map[string][]Metadata, error) {
	out := map[string][]Metadata{}
	for _, d := range m.describers {
		known, err := d.Metadata(ctx, ws)
		if err != nil {
			return nil, err
		}
		for name, list := range known {
			if metric == "" || metric == name {
				out[name] = append(out[name], list...)
			}
		}
	}
	return out, nil
}

func (m *Module) labelNames(ctx context.Context, ws kernel.WorkspaceID, f finding) ([]string, annotations.Annotations, error) {
	return m.listLabels(ctx, ws, f, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, hints, set...)
	})
}

func (m *Module) labelValues(ctx context.Context, ws kernel.WorkspaceID, name string, f finding) ([]string, annotations.Annotations, error) {
	return m.listLabels(ctx, ws, f, func(q storage.Querier, hints *storage.LabelHints, set []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(ctx, name, hints, set...)
	})
}

func (m *Module) listLabels(ctx context.Context, ws kernel.WorkspaceID, f finding,
	ask func(storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)) (out []string, warnings annotations.Annotations, err error) {
	ctx, leave, err := m.enter(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	q, err := m.Storage(ws).Querier(f.mint, f.maxt)
	if err != nil {
		return nil, nil, err
	}
	defer q.Close()
	sets := f.selectors
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	seen := map[string]bool{}
	for _, set := range sets {
		if err := ctx.Err(); err != nil {
			return nil, warnings, err
		}
		found, warned, err := ask(q, &storage.LabelHints{Limit: f.most() + 1}, set)
		if err != nil {
			return nil, warnings, err
		}
		warnings = warnings.Merge(warned)
		for _, v := range found {
			seen[v] = true
		}
	}
	out = slices.Sorted(maps.Keys(seen))
	if len(out) > f.most() {
		out, warnings = out[:f.most()], warnings.Add(errTruncated)
	}
	return out, warnings, nil
}

// enter waits for a place among the queries of the workspace.
func (m *Module) enter(ctx context.Context, ws kernel.WorkspaceID) (context.Context, func(), error) {
	limits, err := m.limits(ctx, ws)
	if err != nil {
		return ctx, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limits.Timeout)
	leave, err := m.gate.enter(ctx, ws, limits.Concurrent)
	if err != nil {
		cancel()
		return ctx, nil, refused(err, limits.Timeout, limits)
	}
	return ctx, func() { leave(); cancel() }, nil
}

// lookupFunc marks a selection that wants no samples, as Prometheus marks it.
const lookupFunc = "series"

func (m *Module) findSeries(ctx context.Context, ws kernel.WorkspaceID, f finding) ([]labels.Labels, annotations.Annotations, error) {
	ctx, leave, err := m.enter(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	q, err := m.Storage(ws).Querier(f.mint, f.maxt)
	if err != nil {
		return nil, nil, err
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: f.mint, End: f.maxt, Func: lookupFunc, Limit: f.most() + 1}
	var sets []storage.SeriesSet
	for _, set := range f.selectors {
		sets = append(sets, q.Select(ctx, true, hints, set...))
	}
	merged := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	out := []labels.Labels{}
	for merged.Next() {
		if len(out)%128 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if len(out) == f.most() {
			warnings := merged.Warnings()
			return out, warnings.Add(errTruncated), nil
		}
		out = append(out, merged.At().Labels())
	}
	return out, merged.Warnings(), merged.Err()
}

// maxExemplars is how many exemplars an answer has at most.
const maxExemplars = 20_000

// Exemplars finds exemplars of the series that an expression selects, in a span. Sources have none.
func (m *Module) Exemplars(ctx context.Context, ws kernel.WorkspaceID, expr string, from, to time.Time) ([]exemplar.QueryResult, error) {
	parsed, err := m.Parse(expr)
	if err != nil {
		return nil, badExpr(err)
	}
	selectors := parser.ExtractSelectors(parsed)
	if len(selectors) == 0 {
		return nil, nil
	}
	ctx, leave, err := m.enter(ctx, ws)
	if err != nil {
		return nil, err
	}
	defer leave()
	q, err := m.d.Store.For(ws).ExemplarQuerier(ctx)
	if err != nil {
		return nil, err
	}
	found, err := q.Select(from.UnixMilli(), to.UnixMilli(), selectors...)
	left := maxExemplars
	for i := range found {
		found[i].Exemplars = found[i].Exemplars[:min(left, len(found[i].Exemplars))]
		left -= len(found[i].Exemplars)
	}
	return found, err
}
