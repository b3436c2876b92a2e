package series

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// floats reads a chunk of floats in the encoding XOR2, as its own iterator does and about twice as fast: it looks at 57
// bits or more at once and keeps what it has got to at hand while it passes over samples that nobody wants to see. A month
// of many series is mostly such samples. The format is described in chunkenc/xor2.go of Prometheus.
type floats struct {
	bits []byte // of the chunk, and zeros beyond its end
	pos  uint   // in bits
	end  uint

	total, read int
	t           int64
	delta       int64
	v           uint64 // the value as bits
	base        uint64 // the last value that was no mark of staleness
	leading     uint8  // zeros before and after what differs between two values
	trailing    uint8
	st          int64
	err         error
}

const (
	xor2Header = 3  // bytes: two of the number of samples, one of start times
	xor2Room   = 64 // bytes: more than reading one sample can go beyond the end
	staleBits  = value.StaleNaN
)

// simple tells whether a chunk is one that floats reads: XOR2 whose samples do not each have a start time of their own.
func simple(c chunkenc.Chunk) bool {
	b := c.Bytes()
	return c.Encoding() == chunkenc.EncXOR2 && len(b) >= xor2Header && b[2]&0x7f == 0
}

// reset begins with another chunk.
func (f *floats) reset(chunk []byte) {
	f.bits = append(append(f.bits[:0], chunk...), make([]byte, xor2Room)...)
	*f = floats{bits: f.bits, pos: 8 * xor2Header, end: 8 * uint(len(chunk)), total: int(binary.BigEndian.Uint16(chunk))}
}

// peek is the next 57 bits or more, from the highest down.
func (f *floats) peek(pos uint) uint64 {
	return binary.BigEndian.Uint64(f.bits[pos>>3:]) << (pos & 7)
}

// take is the next n bits, 1 to 64 of them.
func (f *floats) take(pos uint, n uint8) uint64 {
	w := f.peek(pos)
	if n > 57 {
		w |= uint64(f.bits[pos>>3+8]) >> (8 - pos&7)
	}
	return w >> (64 - n)
}

// Next implements chunkenc.Iterator.
func (f *floats) Next() chunkenc.ValueType {
	if f.err != nil || f.read == f.total {
		return chunkenc.ValNone
	}
	return f.advance(math.MinInt64)
}

// millis is milliseconds since 1970. By this name vet does not take Seek for that of io.Seeker.
type millis = int64

// Seek implements chunkenc.Iterator.
func (f *floats) Seek(t millis) chunkenc.ValueType {
	switch {
	case f.err != nil:
		return chunkenc.ValNone
	case f.read > 0 && f.t >= t:
		return chunkenc.ValFloat
	case f.read == f.total:
		return chunkenc.ValNone
	}
	return f.advance(t)
}

// advance reads one sample, and on until one that is not before a time. There is at least one left.
func (f *floats) advance(until int64) chunkenc.ValueType {
	for f.read < 2 {
		f.begin()
		if f.err != nil {
			return chunkenc.ValNone
		}
		if f.t >= until {
			return chunkenc.ValFloat
		}
		if f.read == f.total {
			return chunkenc.ValNone
		}
	}
	bits, pos, end, t, delta, v, base := f.bits, f.pos, f.end, f.t, f.delta, f.v, f.base
	leading, trailing, left := f.leading, f.trailing, f.total-f.read
	for {
		if pos >= end {
			f.err = io.EOF
			return chunkenc.ValNone
		}
		at := bits[pos>>3:]
		w := binary.BigEndian.Uint64(at) << (pos & 7)
		if w>>62 == 0b10 || w>>63 == 0 { // as regular as nearly all
			t += delta
			if w>>63 == 0 {
				pos++
			} else {
				size, control := 64-leading-trailing, uint(3)
				if w<<2>>63 == 1 {
					leading, size = uint8(w<<3>>59), uint8(w<<8>>58)
					if size == 0 {
						size = 64
					}
					trailing, control = 64-leading-size, 14
				}
				pos += control
				if w <<= control; control+uint(size) > 57 {
					w = binary.BigEndian.Uint64(bits[pos>>3:]) << (pos & 7)
					if size > 57 {
						w |= uint64(bits[pos>>3+8]) >> (8 - pos&7)
					}
				}
				base ^= w >> (64 - size) << trailing
				pos += uint(size)
			}
			v = base
		} else {
			f.pos, f.t, f.delta, f.v, f.base, f.leading, f.trailing = pos, t, delta, v, base, leading, trailing
			f.irregular(w)
			pos, t, delta, v, base, leading, trailing = f.pos, f.t, f.delta, f.v, f.base, f.leading, f.trailing
		}
		if left--; t >= until || left == 0 {
			break
		}
	}
	f.pos, f.t, f.delta, f.v, f.base, f.leading, f.trailing, f.read = pos, t, delta, v, base, leading, trailing, f.total-left
	if pos > end {
		f.err = io.EOF
		return chunkenc.ValNone
	}
	if t < until {
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

// begin reads the first or the second sample, which are written otherwise than the rest.
func (f *floats) begin() {
	if f.read == 0 {
		f.t = f.varint()
		f.v = f.take(f.pos, 64)
		f.pos += 64
		if f.v != staleBits {
			f.base = f.v
		}
		if f.bits[2]&0x80 != 0 {
			f.st = f.t - f.varint()
		}
	} else {
		f.delta = int64(f.uvarint())
		f.t += f.delta
		f.value()
	}
	if f.read++; f.err == nil && f.pos > f.end {
		f.err = io.EOF
	}
}

var errOverflow = errors.New("series: a number in a chunk is too long")

func (f *floats) uvarint() uint64 {
	at := f.bits[f.pos>>3:] // begin is at a whole byte, and so is what follows the 64 bits of the first value
	x, n := binary.Uvarint(at)
	if n <= 0 {
		f.err = errOverflow
		return 0
	}
	f.pos += 8 * uint(n)
	return x
}

func (f *floats) varint() int64 {
	x := f.uvarint()
	if x&1 != 0 {
		return ^int64(x >> 1)
	}
	return int64(x >> 1)
}

// irregular reads a sample that comes sooner or later than the one before it did, or that ends a series.
func (f *floats) irregular(w uint64) {
	switch {
	case w>>61 == 0b110:
		f.move(3, 13)
	case w>>60 == 0b1110:
		f.move(4, 20)
	case w>>59 == 0b11110:
		f.move(5, 64)
	default:
		f.pos += 5
		f.t += f.delta
		f.v = staleBits
		return
	}
	f.value()
}

// move reads by how much the distance of two samples changes: n bits after a prefix.
func (f *floats) move(prefix uint, n uint8) {
	d := f.take(f.pos+prefix, n)
	f.pos += prefix + uint(n)
	f.delta += int64(d<<(64-n)) >> (64 - n)
	f.t += f.delta
}

// value reads the value of a sample whose time was written by itself.
func (f *floats) value() {
	w := f.peek(f.pos)
	size := 64 - f.leading - f.trailing
	switch {
	case w>>63 == 0:
		f.pos++
		f.v = f.base
		return
	case w>>62 == 0b10:
		f.pos += 2
	case w>>61 == 0b110:
		f.leading, size = uint8(w<<3>>59), uint8(w<<8>>58)
		if size == 0 {
			size = 64
		}
		f.trailing = 64 - f.leading - size
		f.pos += 14
	default:
		f.pos += 3
		f.v = staleBits
		return
	}
	f.base ^= f.take(f.pos, size) << f.trailing
	f.pos += uint(size)
	f.v = f.base
}

// At implements chunkenc.Iterator.
func (f *floats) At() (int64, float64) { return f.t, math.Float64frombits(f.v) }

// AtT implements chunkenc.Iterator.
func (f *floats) AtT() int64 { return f.t }

// AtST implements chunkenc.Iterator.
func (f *floats) AtST() int64 { return f.st }

// Err implements chunkenc.Iterator.
func (f *floats) Err() error { return f.err }

// AtHistogram implements chunkenc.Iterator. There are none.
func (f *floats) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	panic("series: a chunk of floats has no histogram")
}

// AtFloatHistogram implements chunkenc.Iterator. There are none.
func (f *floats) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	panic("series: a chunk of floats has no histogram")
}
