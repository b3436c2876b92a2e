package query

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/kept-dev/kept/internal/kernel"
)

// sourcePrefix begins the names of all metrics that sources make.
const sourcePrefix = "kept_"

// Storage is all that a workspace has, for those who evaluate by themselves (rules). What is selected through it counts
// as asked for; see LastQueried.
func (m *Module) Storage(ws kernel.WorkspaceID) storage.SampleAndChunkQueryable { return view{m, ws} }

// view is a workspace's series from the store and from all sources.
type view struct {
	m  *Module
	ws kernel.WorkspaceID
}

// Querier implements storage.Queryable.
func (v view) Querier(mint, maxt int64) (storage.Querier, error) {
	own, err := v.m.d.Store.For(v.ws).Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &querier{view: v, mint: mint, maxt: maxt, own: own}, nil
}

// ChunkQuerier implements storage.ChunkQueryable, for remote reads.
func (v view) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := v.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return chunkQuerier{q}, nil
}

// querier asks the store and those sources that may have what is wanted. What the store alone has comes in its order, which
// is that of a Prometheus: so what depends on the order, as which of equals are among the first, is what that would say.
type querier struct {
	view
	mint, maxt int64
	own        storage.Querier
	others     []storage.Querier // of the sources, opened when needed
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	q.noteSelected(hints, matchers)
	var sets []storage.SeriesSet
	for _, s := range q.sources(matchers) {
		if set := (&peekedSet{SeriesSet: s.Select(ctx, true, hints, matchers...)}); set.any() {
			sets = append(sets, set)
		}
	}
	sets = append(sets, q.own.Select(ctx, sorted || len(sets) > 0, hints, matchers...))
	if len(sets) == 1 {
		return sets[0]
	}
	return storage.NewMergeSeriesSet(sets, limitOf(hints), storage.ChainedSeriesMerge)
}

// peekedSet is a set of which is known whether there is anything in it.
type peekedSet struct {
	storage.SeriesSet
	begun, first bool
}

// any tells whether there is a series, an error or a warning in the set.
func (s *peekedSet) any() bool {
	s.begun, s.first = true, s.SeriesSet.Next()
	return s.first || s.Err() != nil || len(s.Warnings()) > 0
}

// Next implements storage.SeriesSet.
func (s *peekedSet) Next() bool {
	if s.begun {
		s.begun = false
		return s.first
	}
	return s.SeriesSet.Next()
}

func limitOf(hints *storage.SelectHints) int {
	if hints == nil {
		return 0
	}
	return hints.Limit
}

// sources are the queriers of those sources that may have what matchers want.
func (q *querier) sources(matchers []*labels.Matcher) []storage.Querier {
	if len(q.m.sources) == 0 || !mayBeSource(matchers) {
		return nil
	}
	if q.others == nil {
		for _, s := range q.m.sources {
			o, err := s.Series(q.ws).Querier(q.mint, q.maxt)
			if err != nil {
				o = failing{err}
			}
			q.others = append(q.others, o)
		}
	}
	return q.others
}

// mayBeSource tells whether matchers may match the name of a source's metric.
func mayBeSource(matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if names := namesOf(m); names != nil && !slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(s, sourcePrefix) }) {
			return false
		}
		if m.Name != model.MetricNameLabel || m.Type != labels.MatchRegexp {
			continue
		}
		if p := m.Prefix(); p != "" && !strings.HasPrefix(p, sourcePrefix) && !strings.HasPrefix(sourcePrefix, p) {
			return false
		}
	}
	return true
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.union(matchers, func(l storage.LabelQuerier) ([]string, annotations.Annotations, error) {
		return l.LabelValues(ctx, name, hints, matchers...)
	})
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.union(matchers, func(l storage.LabelQuerier) ([]string, annotations.Annotations, error) {
		return l.LabelNames(ctx, hints, matchers...)
	})
}

func (q *querier) union(matchers []*labels.Matcher, ask func(storage.LabelQuerier) ([]string, annotations.Annotations, error)) ([]string, annotations.Annotations, error) {
	all, warnings, err := ask(q.own)
	if err != nil {
		return nil, warnings, err
	}
	for _, s := range q.sources(matchers) {
		more, warned, err := ask(s)
		if err != nil {
			return nil, warnings, err
		}
		all = append(slices.Clip(all), more...)
		warnings = warnings.Merge(warned)
	}
	slices.Sort(all)
	return slices.Compact(all), warnings, nil
}

// Close implements storage.Querier.
func (q *querier) Close() error {
	errs := []error{q.own.Close()}
	for _, o := range q.others {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

// chunkQuerier packs what a querier finds into chunks. Those that the store has are not handed out as they are: older
// readers know the encoding of Prometheus's first years, and that alone.
type chunkQuerier struct{ storage.Querier }

// Select implements storage.ChunkQuerier.
func (q chunkQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(q.Querier.Select(ctx, true, hints, matchers...))
}

// failing answers every question with an error.
type failing struct{ err error }

func (f failing) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.ErrSeriesSet(f.err)
}

func (f failing) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, f.err
}

func (f failing) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, f.err
}

func (f failing) Close() error { return nil }
