package series

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// openQuerier opens a querier of a database. Where blocks and what is in memory follow each other, as they do unless samples
// came late, a series is read from one after the other; the database's own querier keeps all of them open and looks at each
// to find out which is next.
func openQuerier(db *tsdb.DB, mint, maxt int64) (storage.Querier, error) {
	// What is in memory begins here, and what is older is in blocks by now: they are listed afterwards.
	cut := db.Head().MinTime()
	if db.Head().MinOOOTime() <= maxt && db.Head().MaxOOOTime() >= mint {
		return db.Querier(mint, maxt)
	}
	blocks := slices.DeleteFunc(slices.Clone(db.Blocks()), func(b *tsdb.Block) bool { return !b.OverlapsClosedInterval(mint, maxt) })
	if len(blocks) == 0 || len(blocks) == 1 && maxt < cut || !inTurn(blocks, cut) {
		return db.Querier(mint, maxt)
	}
	q := &joinedQuerier{db: db, mint: mint, maxt: maxt, cut: cut}
	for _, b := range blocks {
		part, err := queryBlock(b, mint, maxt)
		if err != nil { // it was replaced by another meanwhile
			q.Close()
			return db.Querier(mint, maxt)
		}
		q.blocks = append(q.blocks, part)
	}
	if maxt < cut {
		return q, nil
	}
	var err error
	if q.rest, err = db.Querier(max(mint, cut), maxt); err != nil {
		q.Close()
	}
	return q, err
}

// inTurn tells whether each block ends before the next begins, and the last before a time.
func inTurn(blocks []*tsdb.Block, end int64) bool {
	for i, b := range blocks {
		next := end
		if i+1 < len(blocks) {
			next = blocks[i+1].MinTime()
		}
		if b.MaxTime() > next {
			return false
		}
	}
	return true
}

// joinedQuerier asks blocks that follow each other, and then the rest of a database.
type joinedQuerier struct {
	db              *tsdb.DB
	mint, maxt, cut int64
	blocks          []storage.Querier
	rest            storage.Querier // from cut on; nil: not asked for
}

// Select implements storage.Querier.
func (q *joinedQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var sets []storage.SeriesSet
	for i, b := range q.blocks {
		sets = append(sets, partSet{b.Select(ctx, true, hints, matchers...), i})
	}
	limit := 0
	if hints != nil {
		limit = hints.Limit
	}
	if q.rest != nil && (hints == nil || hints.End >= q.cut) {
		if hints != nil && hints.Start < q.cut {
			h := *hints
			h.Start, hints = q.cut, &h
		}
		sets = append(sets, partSet{q.rest.Select(ctx, true, hints, matchers...), len(q.blocks)})
	}
	return storage.NewMergeSeriesSet(sets, limit, joinParts)
}

// LabelValues implements storage.LabelQuerier.
func (q *joinedQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	own, err := q.db.Querier(q.mint, q.maxt)
	if err != nil {
		return nil, nil, err
	}
	defer own.Close()
	return own.LabelValues(ctx, name, hints, matchers...)
}

// LabelNames implements storage.LabelQuerier.
func (q *joinedQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	own, err := q.db.Querier(q.mint, q.maxt)
	if err != nil {
		return nil, nil, err
	}
	defer own.Close()
	return own.LabelNames(ctx, hints, matchers...)
}

// Close implements storage.LabelQuerier.
func (q *joinedQuerier) Close() (err error) {
	for _, b := range q.blocks {
		if e := b.Close(); e != nil {
			err = e
		}
	}
	if q.rest != nil {
		if e := q.rest.Close(); e != nil {
			err = e
		}
	}
	return err
}

// partSet is what one part has, which is the n-th in time.
type partSet struct {
	storage.SeriesSet
	n int
}

// At implements storage.SeriesSet.
func (s partSet) At() storage.Series { return partSeries{s.SeriesSet.At(), s.n} }

type partSeries struct {
	storage.Series
	n int
}

// joinParts puts together what parts have of a series. They come in no order.
func joinParts(parts ...storage.Series) storage.Series {
	slices.SortFunc(parts, func(a, b storage.Series) int { return a.(partSeries).n - b.(partSeries).n })
	return &joinedSeries{parts}
}

type joinedSeries struct{ parts []storage.Series }

// Labels implements storage.Series.
func (s *joinedSeries) Labels() labels.Labels { return s.parts[0].Labels() }

// Iterator implements storage.Series.
func (s *joinedSeries) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	j, ok := it.(*joinedIterator)
	if !ok {
		j = &joinedIterator{}
	}
	*j = joinedIterator{left: s.parts[1:], current: s.parts[0].Iterator(j.current)}
	return j
}

// joinedIterator goes through one part after the other. It tells of histograms what the iterator of Prometheus does that
// it stands for: whether a counter was reset is known of neighbours alone.
type joinedIterator struct {
	left      []storage.Series
	current   chunkenc.Iterator
	kind      chunkenc.ValueType // of the current sample
	neighbour bool               // it came right after the one that was looked at before
}

// Next implements chunkenc.Iterator.
func (j *joinedIterator) Next() chunkenc.ValueType {
	j.neighbour = j.kind != chunkenc.ValNone
	for {
		if j.kind = j.current.Next(); j.kind != chunkenc.ValNone || !j.turn() {
			return j.kind
		}
	}
}

// Seek implements chunkenc.Iterator.
func (j *joinedIterator) Seek(t millis) chunkenc.ValueType {
	if j.kind != chunkenc.ValNone && j.current.AtT() >= t {
		return j.kind
	}
	j.neighbour = false
	for {
		if j.kind = j.current.Seek(t); j.kind != chunkenc.ValNone || !j.turn() {
			return j.kind
		}
	}
}

// turn goes to the next part, unless there is none or this one could not be read.
func (j *joinedIterator) turn() bool {
	if j.current.Err() != nil || len(j.left) == 0 {
		return false
	}
	j.current, j.left, j.neighbour = j.left[0].Iterator(j.current), j.left[1:], false
	return true
}

// At implements chunkenc.Iterator.
func (j *joinedIterator) At() (int64, float64) { return j.current.At() }

// AtT implements chunkenc.Iterator.
func (j *joinedIterator) AtT() int64 { return j.current.AtT() }

// AtST implements chunkenc.Iterator.
func (j *joinedIterator) AtST() int64 { return j.current.AtST() }

// Err implements chunkenc.Iterator.
func (j *joinedIterator) Err() error { return j.current.Err() }

// AtHistogram implements chunkenc.Iterator.
func (j *joinedIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	t, h := j.current.AtHistogram(h)
	if !j.neighbour && h.CounterResetHint != histogram.GaugeType {
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	return t, h
}

// AtFloatHistogram implements chunkenc.Iterator.
func (j *joinedIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, h := j.current.AtFloatHistogram(h)
	if !j.neighbour && h.CounterResetHint != histogram.GaugeType {
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	return t, h
}
