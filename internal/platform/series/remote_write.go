package series

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
)

// writePaths is where clusters take remote write: Prometheus and VictoriaMetrics, then Mimir below a prefix or beside it.
var writePaths = []string{"/api/v1/write", "/api/v1/push"}

// mostSamples is how many samples go in one request.
const mostSamples = 10_000

// AppenderV2 implements storage.AppendableV2. What is appended is sent when it is committed.
func (c cluster) AppenderV2(ctx context.Context) storage.AppenderV2 {
	if err := c.r.ready(c.ws); err != nil {
		return failedAppenderV2{failed{err}}
	}
	return &remoteAppender{c: c, ctx: ctx, index: map[string]int{}}
}

// Appender implements storage.Appendable.
func (c cluster) Appender(ctx context.Context) storage.Appender {
	if err := c.r.ready(c.ws); err != nil {
		return failedAppender{failed{err}}
	}
	return oldRemoteAppender{&remoteAppender{c: c, ctx: ctx, index: map[string]int{}}}
}

// written is one series of an append.
type written struct {
	labels    labels.Labels
	points    []point
	exemplars []exemplar.Exemplar
	metadata  metadata.Metadata
}

type point struct {
	st, t int64
	v     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

type remoteAppender struct {
	c      cluster
	ctx    context.Context
	index  map[string]int // of series by their labels' bytes
	series []written
	key    []byte
	done   bool
}

var _ storage.ExemplarAppenderV2 = (*remoteAppender)(nil)

func (a *remoteAppender) of(ls labels.Labels) (*written, error) {
	if a.done {
		return nil, ErrClosed
	}
	if ls.IsEmpty() {
		return nil, fmt.Errorf("series: labels are needed for every sample: %w", storage.ErrNotFound)
	}
	a.key = ls.Bytes(a.key)
	i, ok := a.index[string(a.key)]
	if !ok {
		i = len(a.series)
		a.index[string(a.key)] = i
		own := labels.NewBuilder(ls).Set(WorkspaceLabel, string(a.c.ws)).Labels()
		a.series = append(a.series, written{labels: own})
	}
	return &a.series[i], nil
}

// Append implements storage.AppenderV2. Its reference is always 0, which means that labels are needed next time too.
func (a *remoteAppender) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	s, err := a.of(ls)
	if err != nil {
		return 0, err
	}
	p := point{st: st, t: t, v: v}
	switch {
	case fh != nil:
		p.fh = fh.Copy()
	case h != nil:
		p.h = h.Copy()
	}
	s.points = append(s.points, p)
	s.exemplars = append(s.exemplars, opts.Exemplars...)
	if !opts.Metadata.IsEmpty() {
		s.metadata = opts.Metadata
	}
	return 0, nil
}

// AppendExemplars implements storage.ExemplarAppenderV2.
func (a *remoteAppender) AppendExemplars(_ storage.SeriesRef, ls labels.Labels, e []exemplar.Exemplar) (storage.SeriesRef, error) {
	s, err := a.of(ls)
	if err == nil {
		s.exemplars = append(s.exemplars, e...)
	}
	return 0, err
}

// Rollback implements storage.AppenderTransaction.
func (a *remoteAppender) Rollback() error {
	a.done, a.series = true, nil
	return nil
}

// Commit implements storage.AppenderTransaction. It returns when the cluster has taken everything, or refused some of it:
// that error wraps storage.ErrOutOfBounds, and another try makes no sense. After any other error it does.
func (a *remoteAppender) Commit() error {
	if a.done {
		return ErrClosed
	}
	a.done = true
	var refused error
	for part := range parts(a.series) {
		err := a.c.r.send(a.ctx, a.c, part)
		if err != nil && !errors.Is(err, storage.ErrOutOfBounds) {
			return err
		}
		refused = errors.Join(refused, err)
	}
	return refused
}

// parts cuts what is written into requests. The samples of a series are sorted, because receivers want them so.
func parts(all []written) func(yield func([]written) bool) {
	return func(yield func([]written) bool) {
		first, n := 0, 0
		for i := range all {
			slices.SortStableFunc(all[i].points, func(a, b point) int { return cmp.Compare(a.t, b.t) })
			if n > 0 && n+len(all[i].points) > mostSamples {
				if !yield(all[first:i]) {
					return
				}
				first, n = i, 0
			}
			n += len(all[i].points)
		}
		if first < len(all) {
			yield(all[first:])
		}
	}
}

// errOldWrite says that the cluster did not understand remote write 2.0.
var errOldWrite = errors.New("series: the cluster knows remote write 1.0 only")

// send writes series in one request, and again until the cluster takes or refuses them.
func (r *Remote) send(ctx context.Context, c cluster, part []written) error {
	ctx = forTenant(ctx, c.ws)
	until, wait := time.Now().Add(r.cfg.RetryFor), 100*time.Millisecond
	for attempt := 0; ; attempt++ {
		path := r.writeAt.Load()
		err := r.sendOnce(ctx, part, attempt)
		status := statusOf(err)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errOldWrite):
			continue
		case errors.Is(err, ErrClosed), ctx.Err() != nil:
			return err
		case status == http.StatusNotFound && int(path) < len(writePaths): // one more: beside the prefix
			r.writeAt.CompareAndSwap(path, path+1)
			continue
		case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
			return r.refused(ctx, c, part, err)
		case status/100 == 4 && status != http.StatusTooManyRequests:
			return err // of how the cluster is set up, not of the samples
		}
		pause := wait
		if e, ok := errors.AsType[*statusError](err); ok && e.retryAfter > 0 {
			pause = e.retryAfter
		}
		if time.Now().Add(pause).After(until) {
			return err
		}
		wait = min(2*wait, 5*time.Second)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// refused is what the cluster will not take. In remote write 1.0 a single bad sample can keep all others of its request
// out, so those are sent in halves, as is what was too large.
func (r *Remote) refused(ctx context.Context, c cluster, part []written, err error) error {
	if r.oldWrite.Load() || statusOf(err) == http.StatusRequestEntityTooLarge {
		if left, right, ok := halves(part); ok {
			first := r.send(ctx, c, left)
			if first != nil && !errors.Is(first, storage.ErrOutOfBounds) {
				return first
			}
			return errors.Join(first, r.send(ctx, c, right))
		}
	}
	return fmt.Errorf("%w: %w", storage.ErrOutOfBounds, err)
}

func halves(part []written) (left, right []written, ok bool) {
	if n := len(part); n > 1 {
		return part[:n/2], part[n/2:], true
	}
	if n := len(part[0].points); n > 1 {
		a, b := part[0], part[0]
		a.points, b.points, b.exemplars = a.points[:n/2], b.points[n/2:], nil
		return []written{a}, []written{b}, true
	}
	return nil, nil, false
}

func (r *Remote) sendOnce(ctx context.Context, part []written, attempt int) error {
	if r.closed.Load() {
		return ErrClosed
	}
	old := r.oldWrite.Load()
	body, err := encode(part, old)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.writeURL().String(), bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("User-Agent", "kept")
	if old {
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	} else {
		req.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		req.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	}
	if attempt > 0 {
		req.Header.Set("Retry-Attempt", strconv.Itoa(attempt))
	}
	res, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	defer func() {
		io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
		res.Body.Close()
	}()
	return r.judge(res, part, old)
}

func (r *Remote) writeURL() *url.URL {
	if i := int(r.writeAt.Load()); i < len(writePaths) {
		return r.at(writePaths[i], nil)
	}
	u := *r.base
	u.Path, u.User = "/api/v1/push", nil
	return &u
}

// judge reads the answer to a write. A receiver that knows 2.0 says how much it wrote; one that does not, but does not
// look at the content type either, finds nothing in the request and is happy.
func (r *Remote) judge(res *http.Response, part []written, old bool) error {
	switch {
	case res.StatusCode/100 != 2:
		err := failure(res)
		if res.StatusCode == http.StatusUnsupportedMediaType && !old {
			r.oldWrite.Store(true)
			return errOldWrite
		}
		return err
	case old:
		return nil
	}
	want, got := 0, 0
	for _, s := range part {
		want += len(s.points)
	}
	for _, name := range []string{"X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written"} {
		text := res.Header.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("series: %s of the cluster: %w", name, err)
		}
		got += n
	}
	if got == 0 && want > 0 {
		r.oldWrite.Store(true)
		return errOldWrite
	}
	if got < want {
		return fmt.Errorf("series: the cluster wrote %d of %d samples", got, want)
	}
	return nil
}

func encode(part []written, old bool) ([]byte, error) {
	if old {
		return encodeOld(part)
	}
	symbols := writev2.NewSymbolTable()
	req := writev2.Request{}
	for _, s := range part {
		ts := writev2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(s.labels, nil)}
		ts.Metadata = writev2.Metadata{
			Type: writev2.FromMetadataType(s.metadata.Type), HelpRef: symbols.Symbolize(s.metadata.Help), UnitRef: symbols.Symbolize(s.metadata.Unit),
		}
		for _, e := range s.exemplars {
			ts.Exemplars = append(ts.Exemplars, writev2.Exemplar{LabelsRefs: symbols.SymbolizeLabels(e.Labels, nil), Value: e.Value, Timestamp: e.Ts})
		}
		// A series has samples or histograms, not both: it may come twice.
		whole := ts
		for _, p := range s.points {
			switch {
			case p.fh != nil:
				ts.Histograms = append(ts.Histograms, writev2.FromFloatHistogram(p.st, p.t, p.fh))
			case p.h != nil:
				ts.Histograms = append(ts.Histograms, writev2.FromIntHistogram(p.st, p.t, p.h))
			default:
				ts.Samples = append(ts.Samples, writev2.Sample{Value: p.v, Timestamp: p.t, StartTimestamp: p.st})
			}
		}
		if len(ts.Samples) > 0 && len(ts.Histograms) > 0 {
			whole.Histograms, whole.Exemplars, ts.Histograms = ts.Histograms, nil, nil
			req.Timeseries = append(req.Timeseries, whole)
		}
		req.Timeseries = append(req.Timeseries, ts)
	}
	req.Symbols = symbols.Symbols()
	return req.Marshal()
}

func encodeOld(part []written) ([]byte, error) {
	req := prompb.WriteRequest{}
	for _, s := range part {
		ts := prompb.TimeSeries{Labels: prompb.FromLabels(s.labels, nil)}
		for _, e := range s.exemplars {
			ts.Exemplars = append(ts.Exemplars, prompb.Exemplar{Labels: prompb.FromLabels(e.Labels, nil), Value: e.Value, Timestamp: e.Ts})
		}
		for _, p := range s.points {
			switch {
			case p.fh != nil:
				ts.Histograms = append(ts.Histograms, prompb.FromFloatHistogram(p.t, p.fh))
			case p.h != nil:
				ts.Histograms = append(ts.Histograms, prompb.FromIntHistogram(p.t, p.h))
			default:
				ts.Samples = append(ts.Samples, prompb.Sample{Value: p.v, Timestamp: p.t})
			}
		}
		req.Timeseries = append(req.Timeseries, ts)
		if !s.metadata.IsEmpty() {
			req.Metadata = append(req.Metadata, prompb.MetricMetadata{
				Type: prompb.FromMetadataType(s.metadata.Type), MetricFamilyName: s.labels.Get(model.MetricNameLabel), Help: s.metadata.Help, Unit: s.metadata.Unit,
			})
		}
	}
	return req.Marshal()
}

// oldRemoteAppender is the same for those who append in the older way.
type oldRemoteAppender struct{ a *remoteAppender }

func (o oldRemoteAppender) Commit() error                   { return o.a.Commit() }
func (o oldRemoteAppender) Rollback() error                 { return o.a.Rollback() }
func (oldRemoteAppender) SetOptions(*storage.AppendOptions) {}

func (o oldRemoteAppender) Append(ref storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	return o.a.Append(ref, ls, 0, t, v, nil, nil, storage.AOptions{})
}

func (o oldRemoteAppender) AppendHistogram(ref storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return o.a.Append(ref, ls, 0, t, 0, h, fh, storage.AOptions{})
}

func (o oldRemoteAppender) AppendExemplar(ref storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	return o.a.AppendExemplars(ref, ls, []exemplar.Exemplar{e})
}

func (o oldRemoteAppender) UpdateMetadata(_ storage.SeriesRef, ls labels.Labels, m metadata.Metadata) (storage.SeriesRef, error) {
	s, err := o.a.of(ls)
	if err == nil {
		s.metadata = m
	}
	return 0, err
}

// The older way has no start times but as samples of zero, which a cluster makes itself of the start times that it gets.
func (oldRemoteAppender) AppendHistogramSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, nil
}

func (oldRemoteAppender) AppendSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64) (storage.SeriesRef, error) {
	return 0, nil
}
