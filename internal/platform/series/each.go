package series

import (
	"context"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Each reads all samples from one time to another, series by series, each in the order of time. The iterator stands on the
// sample and must not be moved.
func Each(ctx context.Context, s storage.Queryable, from, to time.Time, f func(ls labels.Labels, it chunkenc.Iterator, kind chunkenc.ValueType) error) error {
	q, err := s.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if err := f(s.Labels(), it, kind); err != nil {
				return err
			}
		}
		if it.Err() != nil {
			return it.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return set.Err()
}
