// Package remotewrite encodes Prometheus remote write 2.0 requests (io.prometheus.write.v2.Request), for agents that must
// stay small: it knows the one message that they send, not protobuf. It also reads what it wrote, to send the same
// samples to a server that knows version 1 only.
//
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
package remotewrite

import "math"

// Headers of a request. Its body is a snappy block.
const (
	ContentType     = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	ContentTypeV1   = "application/x-protobuf"
	ContentEncoding = "snappy"
	VersionHeader   = "X-Prometheus-Remote-Write-Version"
	Version         = "2.0.0"
	VersionV1       = "0.1.0"
)

// Headers of an answer: how many of each the server stored, also where it refused others.
const (
	SamplesWritten    = "X-Prometheus-Remote-Write-Samples-Written"
	HistogramsWritten = "X-Prometheus-Remote-Write-Histograms-Written"
	ExemplarsWritten  = "X-Prometheus-Remote-Write-Exemplars-Written"
)

// StaleNaN are the bits of the value that says that a series ended.
const StaleNaN uint64 = 0x7ff0000000000002

// Stale returns the value that says that a series ended.
func Stale() float64 { return math.Float64frombits(StaleNaN) }

// IsStale tells it from other values that are no number.
func IsStale(v float64) bool { return math.Float64bits(v) == StaleNaN }

// Type is what a metric measures, numbered as on the wire.
type Type uint8

// The types, as numbered on the wire. Unknown is left out there.
const (
	Unknown Type = iota
	Counter
	Gauge
	Histogram
	GaugeHistogram
	Summary
	Info
	StateSet
)

// String is the type's name in a text exposition.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[Unknown]
}

var typeNames = [...]string{"untyped", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"}

// Sample is one measurement. Times are milliseconds since 1970.
type Sample struct {
	Value float64
	Time  int64
}

// Exemplar is an example of what a sample counted, such as a request by its trace. Labels are pairs of symbols.
type Exemplar struct {
	Labels []uint32
	Value  float64
	Time   int64
}

// Metadata is said with each series. Help and Unit are symbols.
type Metadata struct {
	Type       Type
	Help, Unit uint32
}

// Writer builds one request after another in the same memory. The zero Writer is not ready: call Reset first.
type Writer struct {
	symbols map[string]uint32
	table   []byte // the symbols as fields of the request
	body    []byte // the series as fields of the request
	scratch []byte
	packed  []byte
	series  int
}

// Reset begins a new request. Symbol 0 is the empty text.
func (w *Writer) Reset() {
	if w.symbols == nil {
		w.symbols = map[string]uint32{}
	}
	clear(w.symbols)
	w.table, w.body, w.series = w.table[:0], w.body[:0], 0
	w.Symbol("")
}

// Symbol returns the number of a text. The Writer keeps s until the next Reset.
func (w *Writer) Symbol(s string) uint32 {
	if n, ok := w.symbols[s]; ok {
		return n
	}
	n := uint32(len(w.symbols))
	w.symbols[s] = n
	w.table = appendString(w.table, fieldSymbols, s)
	return n
}

// Series adds a series with one sample, and an exemplar where there is one. Labels are pairs of symbols, sorted by name.
func (w *Writer) Series(labels []uint32, s Sample, e *Exemplar, m Metadata) {
	b := w.scratch[:0]
	b = w.appendPacked(b, fieldLabels, labels)
	b = appendMessage(b, fieldSamples, sizeSample(s))
	b = appendSample(b, s)
	if e != nil {
		x := w.appendPacked(nil, fieldLabels, e.Labels)
		x = appendDouble(x, 2, e.Value)
		x = appendInt(x, 3, e.Time)
		b = appendMessage(b, fieldExemplars, len(x))
		b = append(b, x...)
	}
	if m != (Metadata{}) {
		b = appendMessage(b, fieldMetadata, sizeInt(uint64(m.Type))+sizeInt(uint64(m.Help))+sizeInt(uint64(m.Unit)))
		b = appendInt(b, 1, int64(m.Type))
		b = appendInt(b, 3, int64(m.Help))
		b = appendInt(b, 4, int64(m.Unit))
	}
	w.body = appendMessage(w.body, fieldSeries, len(b))
	w.body = append(w.body, b...)
	w.scratch = b
	w.series++
}

// Len is the number of series so far.
func (w *Writer) Len() int { return w.series }

// Size is the number of bytes of the request so far.
func (w *Writer) Size() int { return len(w.table) + len(w.body) }

// Append appends the request, not compressed.
func (w *Writer) Append(dst []byte) []byte {
	return append(append(dst, w.table...), w.body...)
}

func (w *Writer) appendPacked(dst []byte, field int, values []uint32) []byte {
	p := w.packed[:0]
	for _, v := range values {
		p = appendVarint(p, uint64(v))
	}
	w.packed = p
	return append(appendMessage(dst, field, len(p)), p...)
}
