package intake

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
)

// write1 stores a prometheus.WriteRequest. The message is read where it lies: its size on the wire bounds what it takes
// in memory.
func (b *batch) write1(message []byte) error {
	f := fields{rest: message}
	for f.next() {
		var err error
		switch {
		case f.is(1, kindBytes):
			err = b.series1(f.data)
		case f.is(3, kindBytes):
			err = b.metadata1(f.data)
		}
		if err != nil {
			return err
		}
	}
	return f.err()
}

// series1 stores a prometheus.TimeSeries: labels 1, samples 2, exemplars 3, histograms 4, which may come in any order.
func (b *batch) series1(message []byte) error {
	samples, err := b.labels1(message, 1, 2, 4)
	if err != nil {
		return err
	}
	ref, ls, err := b.series()
	if err != nil {
		b.refuse(samples, err.Error())
		return nil
	}
	f := fields{rest: message}
	for f.next() {
		switch f.num {
		case 2:
			ref, err = b.sample1(ref, ls, f.data)
		case 4:
			ref, err = b.histogram1(ref, ls, f.data)
		}
		if err != nil {
			return err
		}
	}
	b.exemplars(ref, ls, exemplars1(message))
	return nil
}

// labels1 puts the labels of a series or exemplar into the builder and counts its samples.
func (b *batch) labels1(message []byte, labelField, sampleField, histogramField int) (samples int, err error) {
	b.builder.Reset()
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(labelField, kindBytes):
			var name, value string
			l := fields{rest: f.data}
			for l.next() {
				switch {
				case l.is(1, kindBytes):
					name = text(l.data)
				case l.is(2, kindBytes):
					value = text(l.data)
				}
			}
			if l.bad {
				return 0, errProto
			}
			b.builder.Add(name, value)
		case f.is(sampleField, kindBytes), f.is(histogramField, kindBytes):
			samples++
		}
	}
	return samples, f.err()
}

func (b *batch) sample1(ref storage.SeriesRef, ls labels.Labels, message []byte) (storage.SeriesRef, error) {
	var v float64
	var t int64
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindFixed8):
			v = f.double()
		case f.is(2, kindVarint):
			t = int64(f.value)
		}
	}
	if f.bad {
		return ref, errProto
	}
	return b.sample(ref, ls, 0, t, v, nil, nil, metadata.Metadata{})
}

func (b *batch) histogram1(ref storage.SeriesRef, ls labels.Labels, message []byte) (storage.SeriesRef, error) {
	var h prompb.Histogram
	if h.Unmarshal(message) != nil {
		return ref, errProto
	}
	if h.IsFloatHistogram() {
		return b.sample(ref, ls, 0, h.Timestamp, 0, nil, h.ToFloatHistogram(), metadata.Metadata{})
	}
	return b.sample(ref, ls, 0, h.Timestamp, 0, h.ToIntHistogram(), nil, metadata.Metadata{})
}

// exemplars1 reads the exemplars of a series; damaged ones are left out.
func exemplars1(message []byte) (out []exemplar.Exemplar) {
	f := fields{rest: message}
	for f.next() {
		if f.num != 3 || f.kind != kindBytes || len(out) >= maxExemplars {
			continue
		}
		var e prompb.Exemplar
		if e.Unmarshal(f.data) == nil && len(e.Labels) <= maxLabels {
			b := labels.NewScratchBuilder(len(e.Labels))
			out = append(out, e.ToExemplar(&b, nil))
		}
	}
	return out
}

// maxExemplars is how many exemplars of one series a request may have.
const maxExemplars = 1000
