package series

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
)

// view is a workspace's database for those who read and write. Each reader and appender holds a use of it, from when it is
// made until it is closed, committed or rolled back.
type view struct {
	s  *TSDB
	ws kernel.WorkspaceID
}

// use is one use of a database, which ends once.
type use struct {
	t    *tenant
	done atomic.Bool
}

func (v view) use(ctx context.Context, why purpose) (*use, error) {
	t, err := v.s.acquire(ctx, v.ws, why)
	if err != nil {
		return nil, err
	}
	return &use{t: t}, nil
}

func (u *use) end() {
	if u.done.CompareAndSwap(false, true) {
		u.t.s.release(u.t)
	}
}

// Querier implements storage.Queryable.
func (v view) Querier(mint, maxt int64) (storage.Querier, error) {
	u, err := v.use(v.s.ctx, toRead)
	if errors.Is(err, errAbsent) {
		return storage.NoopQuerier(), nil
	}
	if err != nil {
		return nil, err
	}
	q, err := openQuerier(u.t.db, mint, maxt)
	if err != nil {
		u.end()
		return nil, err
	}
	return querier{q, u}, nil
}

type querier struct {
	storage.Querier
	u *use
}

func (q querier) Close() error {
	defer q.u.end()
	return q.Querier.Close()
}

// ChunkQuerier implements storage.ChunkQueryable.
func (v view) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	u, err := v.use(v.s.ctx, toRead)
	if errors.Is(err, errAbsent) {
		return storage.NoopChunkedQuerier(), nil
	}
	if err != nil {
		return nil, err
	}
	q, err := u.t.db.ChunkQuerier(mint, maxt)
	if err != nil {
		u.end()
		return nil, err
	}
	return chunkQuerier{q, u}, nil
}

type chunkQuerier struct {
	storage.ChunkQuerier
	u *use
}

func (q chunkQuerier) Close() error {
	defer q.u.end()
	return q.ChunkQuerier.Close()
}

// ExemplarQuerier implements storage.ExemplarQueryable. It has no end that could be waited for, so each Select is a use.
func (v view) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return exemplarQuerier{v, ctx}, nil
}

type exemplarQuerier struct {
	v   view
	ctx context.Context
}

func (q exemplarQuerier) Select(start, end int64, matchers ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	u, err := q.v.use(q.ctx, toRead)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer u.end()
	inner, err := u.t.db.ExemplarQuerier(q.ctx)
	if err != nil {
		return nil, err
	}
	return inner.Select(start, end, matchers...)
}

// Appender implements storage.Appendable. If the database cannot be opened, every call but Rollback says so.
func (v view) Appender(ctx context.Context) storage.Appender {
	u, err := v.use(ctx, toWrite)
	if err != nil {
		return failedAppender{failed{err}}
	}
	return appender{u.t.db.Appender(ctx), u}
}

type appender struct {
	storage.Appender
	u *use
}

func (a appender) Commit() error   { return a.u.commit(a.Appender) }
func (a appender) Rollback() error { return a.u.rollback(a.Appender) }

// AppenderV2 implements storage.AppendableV2. If the database cannot be opened, every call but Rollback says so.
func (v view) AppenderV2(ctx context.Context) storage.AppenderV2 {
	u, err := v.use(ctx, toWrite)
	if err != nil {
		return failedAppenderV2{failed{err}}
	}
	return appenderV2{u.t.db.AppenderV2(ctx), u}
}

type appenderV2 struct {
	storage.AppenderV2
	u *use
}

var _ storage.ExemplarAppenderV2 = appenderV2{}

func (a appenderV2) Commit() error   { return a.u.commit(a.AppenderV2) }
func (a appenderV2) Rollback() error { return a.u.rollback(a.AppenderV2) }

// AppendExemplars implements storage.ExemplarAppenderV2.
func (a appenderV2) AppendExemplars(ref storage.SeriesRef, ls labels.Labels, e []exemplar.Exemplar) (storage.SeriesRef, error) {
	return a.AppenderV2.(storage.ExemplarAppenderV2).AppendExemplars(ref, ls, e)
}

// GetRef implements storage.GetRef: who writes again to a series that is known need not make its labels anew.
func (a appenderV2) GetRef(ls labels.Labels, hash uint64) (storage.SeriesRef, labels.Labels) {
	return refOf(a.AppenderV2, ls, hash)
}

func (u *use) commit(tx storage.AppenderTransaction) error {
	if u.done.Load() {
		return ErrClosed // committed or rolled back before
	}
	defer u.end()
	if u.t.s.dead.Load() {
		return errors.Join(ErrClosed, tx.Rollback())
	}
	return tx.Commit()
}

func (u *use) rollback(tx storage.AppenderTransaction) error {
	if u.done.Load() {
		return nil
	}
	defer u.end()
	return tx.Rollback()
}

// failed is the appender of a database that could not be opened.
type failed struct{ err error }

func (f failed) Commit() error { return f.err }
func (failed) Rollback() error { return nil }

type failedAppender struct{ failed }

func (failedAppender) SetOptions(*storage.AppendOptions) {}
func (f failedAppender) Append(storage.SeriesRef, labels.Labels, int64, float64) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) AppendExemplar(storage.SeriesRef, labels.Labels, exemplar.Exemplar) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) AppendHistogram(storage.SeriesRef, labels.Labels, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) AppendHistogramSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) UpdateMetadata(storage.SeriesRef, labels.Labels, metadata.Metadata) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppender) AppendSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64) (storage.SeriesRef, error) {
	return 0, f.err
}

type failedAppenderV2 struct{ failed }

var _ storage.ExemplarAppenderV2 = failedAppenderV2{}

func (f failedAppenderV2) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 0, f.err
}
func (f failedAppenderV2) AppendExemplars(storage.SeriesRef, labels.Labels, []exemplar.Exemplar) (storage.SeriesRef, error) {
	return 0, f.err
}
