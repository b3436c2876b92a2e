package intake

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
)

// maxSymbols is how many strings one request may have.
const maxSymbols = 1 << 20

// write2 stores an io.prometheus.write.v2.Request: symbols 4, series 5.
func (b *batch) write2(message []byte) error {
	symbols, err := symbols2(message)
	if err != nil {
		return err
	}
	f := fields{rest: message}
	for f.next() {
		if f.is(5, kindBytes) {
			if err := b.series2(f.data, symbols); err != nil {
				return err
			}
		}
	}
	return f.err()
}

func symbols2(message []byte) (out []string, err error) {
	f := fields{rest: message}
	for f.next() {
		if f.is(4, kindBytes) {
			if len(out) == maxSymbols {
				return nil, kernel.Errorf(kernel.TooLarge, "The request has more than %d symbols. Send smaller ones.", maxSymbols)
			}
			out = append(out, text(f.data))
		}
	}
	return out, f.err()
}

// series2 stores a TimeSeries: label references 1, samples 2, histograms 3, exemplars 4, metadata 5.
func (b *batch) series2(message []byte, symbols []string) error {
	samples, meta, err := b.labels2(message, symbols)
	if errors.Is(err, errProto) {
		return err
	}
	var ref storage.SeriesRef
	var ls labels.Labels
	if err == nil {
		ref, ls, err = b.series()
	}
	if err == nil && samples == 0 {
		err = fmt.Errorf("%s: a series needs at least one sample or histogram", clip(ls.String()))
	}
	if err != nil {
		b.refuse(samples, err.Error())
		return nil
	}
	if !b.dropped {
		b.describeSeries(ls, "", meta)
	}
	f := fields{rest: message}
	for f.next() {
		switch f.num {
		case 2:
			ref, err = b.sample2(ref, ls, meta, f.data)
		case 3:
			ref, err = b.histogram2(ref, ls, meta, f.data)
		}
		if err != nil {
			return err
		}
	}
	b.exemplars(ref, ls, b.exemplars2(message, symbols))
	return nil
}

// labels2 puts the labels into the builder, reads the metadata and counts the samples. An error that is not errProto is
// about this series alone.
func (b *batch) labels2(message []byte, symbols []string) (samples int, meta metadata.Metadata, err error) {
	b.builder.Reset()
	var refs int
	var name string
	f := fields{rest: message}
	add := func(ref uint64) {
		if ref >= uint64(len(symbols)) {
			err = fmt.Errorf("a label refers to symbol %d of %d", ref, len(symbols))
			return
		}
		if refs++; refs%2 == 1 {
			name = symbols[ref]
			return
		}
		b.builder.Add(name, symbols[ref])
	}
	for f.next() {
		switch {
		case f.num == 1 && f.kind == kindVarint:
			add(f.value)
		case f.is(1, kindBytes):
			if !packed(f.data, add) {
				f.bad = true
			}
		case f.is(2, kindBytes), f.is(3, kindBytes):
			samples++
		case f.is(5, kindBytes):
			var m writev2.TimeSeries
			if m.Metadata.Unmarshal(f.data) != nil {
				f.bad = true
				continue
			}
			var wrong error
			if meta, wrong = m.ToMetadata(symbols); wrong != nil {
				err = wrong
			}
		}
	}
	if f.bad {
		return samples, meta, errProto
	}
	if err == nil && refs%2 == 1 {
		err = errors.New("a label has a name and no value")
	}
	return samples, meta, err
}

// packed reads a packed list of numbers.
func packed(b []byte, each func(uint64)) bool {
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return false
		}
		b = b[n:]
		each(v)
	}
	return true
}

func (b *batch) sample2(ref storage.SeriesRef, ls labels.Labels, meta metadata.Metadata, message []byte) (storage.SeriesRef, error) {
	var v float64
	var t, start int64
	f := fields{rest: message}
	for f.next() {
		switch {
		case f.is(1, kindFixed8):
			v = f.double()
		case f.is(2, kindVarint):
			t = int64(f.value)
		case f.is(3, kindVarint):
			start = int64(f.value)
		}
	}
	if f.bad {
		return ref, errProto
	}
	return b.sample(ref, ls, start, t, v, nil, nil, meta)
}

func (b *batch) histogram2(ref storage.SeriesRef, ls labels.Labels, meta metadata.Metadata, message []byte) (storage.SeriesRef, error) {
	var h writev2.Histogram
	if h.Unmarshal(message) != nil {
		return ref, errProto
	}
	if h.IsFloatHistogram() {
		return b.sample(ref, ls, h.StartTimestamp, h.Timestamp, 0, nil, h.ToFloatHistogram(), meta)
	}
	return b.sample(ref, ls, h.StartTimestamp, h.Timestamp, 0, h.ToIntHistogram(), nil, meta)
}

// exemplars2 reads the exemplars of a series; of damaged ones it says why.
func (b *batch) exemplars2(message []byte, symbols []string) (out []exemplar.Exemplar) {
	f := fields{rest: message}
	for f.next() {
		if f.num != 4 || f.kind != kindBytes || len(out) >= maxExemplars {
			continue
		}
		var e writev2.Exemplar
		if e.Unmarshal(f.data) != nil || len(e.LabelsRefs) > 2*maxLabels {
			b.refuse(0, "an exemplar cannot be read")
			continue
		}
		builder := labels.NewScratchBuilder(len(e.LabelsRefs) / 2)
		x, err := e.ToExemplar(&builder, symbols)
		if err != nil {
			b.refuse(0, "an exemplar: "+err.Error())
			continue
		}
		out = append(out, x)
	}
	return out
}
