package remotewrite_test

import (
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/kept-dev/kept/wire/remotewrite"
)

// example is a request with everything that an agent sends.
func example() []byte {
	var w remotewrite.Writer
	for range 2 { // the second one in used memory
		w.Reset()
		sym := w.Symbol
		w.Series([]uint32{sym("__name__"), sym("node_load1"), sym("instance"), sym("büro")},
			remotewrite.Sample{Value: 0.5, Time: 1_700_000_000_000}, nil,
			remotewrite.Metadata{Type: remotewrite.Gauge, Help: sym("1m load average.")})
		w.Series([]uint32{sym("__name__"), sym("hits_total"), sym("instance"), sym("büro")},
			remotewrite.Sample{Value: math.Copysign(0, -1), Time: 1_700_000_000_000},
			&remotewrite.Exemplar{Labels: []uint32{sym("trace_id"), sym("abc")}, Value: 3, Time: 1_699_999_999_999},
			remotewrite.Metadata{Type: remotewrite.Counter, Unit: sym("hits")})
		w.Series([]uint32{sym("__name__"), sym("gone")}, remotewrite.Sample{Value: remotewrite.Stale(), Time: 1}, nil, remotewrite.Metadata{})
		w.Series([]uint32{sym("__name__"), sym("zero")}, remotewrite.Sample{}, nil, remotewrite.Metadata{})
	}
	return w.Append(nil)
}

// TestPrometheusReadsIt decodes with Prometheus's own code.
func TestPrometheusReadsIt(t *testing.T) {
	t.Parallel()
	var got writev2.Request
	if err := got.Unmarshal(example()); err != nil {
		t.Fatal(err)
	}
	if got.Symbols[0] != "" || len(got.Timeseries) != 4 {
		t.Fatalf("symbols %q, %d series", got.Symbols, len(got.Timeseries))
	}
	sorted := slices.Clone(got.Symbols)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(got.Symbols) {
		t.Errorf("symbols repeat: %q", got.Symbols)
	}
	labels := func(i int) (out []string) {
		for _, ref := range got.Timeseries[i].LabelsRefs {
			out = append(out, got.Symbols[ref])
		}
		return out
	}
	if want := []string{"__name__", "node_load1", "instance", "büro"}; !slices.Equal(labels(0), want) {
		t.Errorf("labels %q, want %q", labels(0), want)
	}
	load, hits, gone, zero := got.Timeseries[0], got.Timeseries[1], got.Timeseries[2], got.Timeseries[3]
	if load.Samples[0].Value != 0.5 || load.Samples[0].Timestamp != 1_700_000_000_000 {
		t.Errorf("sample %+v", load.Samples)
	}
	if load.Metadata.Type != writev2.Metadata_METRIC_TYPE_GAUGE || got.Symbols[load.Metadata.HelpRef] != "1m load average." || load.Metadata.UnitRef != 0 {
		t.Errorf("metadata %+v", load.Metadata)
	}
	if !math.Signbit(hits.Samples[0].Value) || got.Symbols[hits.Metadata.UnitRef] != "hits" {
		t.Errorf("hits: %+v", hits)
	}
	if e := hits.Exemplars[0]; e.Value != 3 || e.Timestamp != 1_699_999_999_999 || got.Symbols[e.LabelsRefs[1]] != "abc" {
		t.Errorf("exemplar %+v", e)
	}
	if math.Float64bits(gone.Samples[0].Value) != 0x7ff0000000000002 {
		t.Errorf("stale marker has bits %x", math.Float64bits(gone.Samples[0].Value))
	}
	if len(zero.Samples) != 1 || zero.Samples[0].Value != 0 {
		t.Errorf("a zero at time zero: %+v", zero.Samples)
	}
}

// TestVersion1 has the same samples, by Prometheus's own code for version 1.
func TestVersion1(t *testing.T) {
	t.Parallel()
	r, err := remotewrite.Read(example())
	if err != nil {
		t.Fatal(err)
	}
	var got prompb.WriteRequest
	if err := got.Unmarshal(r.AppendV1(nil)); err != nil {
		t.Fatal(err)
	}
	if len(got.Timeseries) != 4 || len(got.Metadata) != 2 {
		t.Fatalf("%d series and %d metadata", len(got.Timeseries), len(got.Metadata))
	}
	load, hits := got.Timeseries[0], got.Timeseries[1]
	if load.Labels[1].Name != "instance" || load.Labels[1].Value != "büro" || load.Samples[0].Value != 0.5 {
		t.Errorf("load: %+v", load)
	}
	if e := hits.Exemplars[0]; e.Labels[0].Name != "trace_id" || e.Value != 3 || e.Timestamp != 1_699_999_999_999 {
		t.Errorf("exemplar %+v", e)
	}
	if m := got.Metadata[0]; m.MetricFamilyName != "node_load1" || m.Type != prompb.MetricMetadata_GAUGE || m.Help != "1m load average." {
		t.Errorf("metadata %+v", m)
	}
}

// TestBrokenRequestsAreRefused cuts a request at every place and points beyond the symbols.
func TestBrokenRequestsAreRefused(t *testing.T) {
	t.Parallel()
	whole := example()
	bad := 0
	for i := range whole {
		if _, err := remotewrite.Read(whole[:i]); err != nil {
			bad++
		}
	}
	if bad < len(whole)*8/10 {
		t.Errorf("%d of %d cuts were noticed", bad, len(whole))
	}
	var w remotewrite.Writer
	w.Reset()
	w.Series([]uint32{7, 8}, remotewrite.Sample{Value: 1}, nil, remotewrite.Metadata{})
	if _, err := remotewrite.Read(w.Append(nil)); err == nil {
		t.Error("symbols that there are not were accepted")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(example())
	f.Add([]byte{42, 200, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := remotewrite.Read(b)
		if err != nil {
			return
		}
		var theirs prompb.WriteRequest
		if err := theirs.Unmarshal(r.AppendV1(nil)); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	var w remotewrite.Writer
	labels := make([]uint32, 8)
	out := []byte{}
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		for i := range 600 {
			for j := range labels {
				labels[j] = w.Symbol(texts[(i+j*13)%len(texts)])
			}
			w.Series(labels, remotewrite.Sample{Value: float64(i), Time: 1_700_000_000_000}, nil, remotewrite.Metadata{Type: remotewrite.Gauge, Help: 3})
		}
		out = w.Append(out[:0])
	}
}

var texts = func() (out []string) {
	for i := range 300 {
		out = append(out, "text number "+string(rune('a'+i)))
	}
	return out
}()
