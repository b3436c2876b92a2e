package remotewrite

import (
	"encoding/binary"
	"math"
)

// Fields of the messages, by https://buf.build/prometheus/prometheus (io.prometheus.write.v2).
const (
	fieldSymbols   = 4 // of Request
	fieldSeries    = 5
	fieldLabels    = 1 // of TimeSeries and Exemplar
	fieldSamples   = 2
	fieldExemplars = 4
	fieldMetadata  = 5
)

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func appendVarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func appendTag(dst []byte, field, wire int) []byte { return appendVarint(dst, uint64(field<<3|wire)) }

// appendMessage begins a field of known length; its content follows.
func appendMessage(dst []byte, field, size int) []byte {
	return appendVarint(appendTag(dst, field, wireBytes), uint64(size))
}

func appendString(dst []byte, field int, s string) []byte {
	return append(appendMessage(dst, field, len(s)), s...)
}

// appendInt leaves zero out, as proto3 does.
func appendInt(dst []byte, field int, v int64) []byte {
	if v == 0 {
		return dst
	}
	return appendVarint(appendTag(dst, field, wireVarint), uint64(v))
}

// appendDouble leaves zero out, but not minus zero.
func appendDouble(dst []byte, field int, v float64) []byte {
	bits := math.Float64bits(v)
	if bits == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(appendTag(dst, field, wireFixed64), bits)
}

func appendSample(dst []byte, s Sample) []byte {
	return appendInt(appendDouble(dst, 1, s.Value), 2, s.Time)
}

func sizeSample(s Sample) int {
	size := sizeInt(uint64(s.Time))
	if math.Float64bits(s.Value) != 0 {
		size += 9
	}
	return size
}

// sizeInt is what appendInt appends, for fields below 16.
func sizeInt(v uint64) int {
	if v == 0 {
		return 0
	}
	n := 2
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}
