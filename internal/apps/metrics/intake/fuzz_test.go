package intake

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// recorder is a store that only writes down what comes.
type recorder struct{ got []string }

func (r *recorder) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	if h != nil || fh != nil {
		r.got = append(r.got, fmt.Sprintf("%s %d histogram", ls, t))
	} else {
		r.got = append(r.got, fmt.Sprintf("%s %d %d %x", ls, st, t, math.Float64bits(v)))
	}
	return 1, nil
}

func (r *recorder) AppendExemplars(ref storage.SeriesRef, ls labels.Labels, list []exemplar.Exemplar) (storage.SeriesRef, error) {
	return ref, nil
}

func (r *recorder) Commit() error   { return nil }
func (r *recorder) Rollback() error { return nil }

func recording() (*batch, *recorder) {
	r := &recorder{}
	return &batch{app: r, exemplar: r, builder: labels.NewScratchBuilder(8), maxTime: math.MaxInt64, saw: func(labels.Labels) {}, means: func(string, Meaning) {}}, r
}

// FuzzWrite1 compares our reading of a message with that of the generated code.
func FuzzWrite1(f *testing.F) {
	seed, _ := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{one1(ls("__name__", "a", "b", "c"), 1, 0, 15)}}).Marshal()
	f.Add(seed)
	f.Fuzz(func(t *testing.T, message []byte) {
		b, r := recording()
		err := b.write1(message)
		var req prompb.WriteRequest
		if req.Unmarshal(message) != nil {
			return // ours need not refuse what it does not look at
		}
		if err != nil {
			return // stricter in the kinds of fields
		}
		var want []string
		builder := labels.NewScratchBuilder(8)
		for _, s := range req.Timeseries {
			l := s.ToLabels(&builder, nil)
			if check(l) != nil {
				continue
			}
			for _, x := range s.Samples {
				want = append(want, fmt.Sprintf("%s 0 %d %x", l, x.Timestamp, math.Float64bits(x.Value)))
			}
			for _, x := range s.Histograms {
				want = append(want, fmt.Sprintf("%s %d histogram", l, x.Timestamp))
			}
		}
		compare(t, r.got, want)
	})
}

// compare fails when the lists differ, whatever their order.
func compare(t *testing.T, got, want []string) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("read %q, the generated code %q", got, want)
	}
}

// FuzzWrite2 compares our reading of a message with that of the generated code.
func FuzzWrite2(f *testing.F) {
	seed, _ := newRequest2().add(ls("__name__", "a", "b", "c"), 1, 0, 15).done().Marshal()
	f.Add(seed)
	f.Fuzz(func(t *testing.T, message []byte) {
		b, r := recording()
		err := b.write2(message)
		var req writev2.Request
		if req.Unmarshal(message) != nil || len(req.Symbols) == 0 {
			return
		}
		if err != nil {
			return // stricter in the kinds of fields
		}
		var want []string
		builder := labels.NewScratchBuilder(8)
		for _, s := range req.Timeseries {
			l, err := s.ToLabels(&builder, req.Symbols)
			if err != nil || check(l) != nil {
				continue
			}
			if _, err := s.ToMetadata(req.Symbols); err != nil {
				continue
			}
			for _, x := range s.Samples {
				want = append(want, fmt.Sprintf("%s %d %d %x", l, x.StartTimestamp, x.Timestamp, math.Float64bits(x.Value)))
			}
			for _, x := range s.Histograms {
				want = append(want, fmt.Sprintf("%s %d histogram", l, x.Timestamp))
			}
		}
		compare(t, r.got, want)
	})
}

// FuzzOTLP looks for a body that is read and then ends in a panic, or that is larger in memory than was counted.
func FuzzOTLP(f *testing.F) {
	seed, _ := export("h").MarshalProto()
	f.Add(seed)
	f.Fuzz(func(t *testing.T, message []byte) {
		n := countMessages(message, otlpTree)
		if n > len(message) {
			t.Errorf("%d messages in %d bytes", n, len(message))
		}
		req := pmetricotlp.NewExportRequest()
		if req.UnmarshalProto(message) != nil {
			return
		}
		b, _ := recording()
		b.maxTime = start.UnixMilli()
		b.leaveOut(req.Metrics(), start)
		_, _ = b.translate(t.Context(), req)
	})
}
