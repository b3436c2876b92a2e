package series

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Prometheus's encoder of XOR2 begins to write a start time with each sample from the 128th of a chunk on, though there is
// none, at some 18 bits each and ten bytes for the first. Chunks aim at 120 samples, but have up to 239 when a series
// begins in the middle of two hours or its interval does not divide them: half of such a chunk's bytes are for nothing. So
// when chunks go from memory to disk, those of them without any start time are written anew without the room for them, as
// every reader of the encoding understands it.

// leanBlock is what is in memory, for the compactor.
type leanBlock struct{ tsdb.BlockReader }

// Chunks implements tsdb.BlockReader.
func (b leanBlock) Chunks() (tsdb.ChunkReader, error) {
	r, err := b.BlockReader.Chunks()
	if err != nil {
		return nil, err
	}
	if c, ok := r.(copyingReader); ok {
		return leanCopyingReader{c}, nil
	}
	return leanReader{r}, nil
}

// copyingReader is a reader of chunks that are still written to.
type copyingReader interface {
	tsdb.ChunkReader
	tsdb.ChunkReaderWithCopy
}

type leanReader struct{ tsdb.ChunkReader }

// ChunkOrIterable implements tsdb.ChunkReader.
func (r leanReader) ChunkOrIterable(meta chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	c, it, err := r.ChunkReader.ChunkOrIterable(meta)
	return lean(c), it, err
}

type leanCopyingReader struct{ copyingReader }

// ChunkOrIterable implements tsdb.ChunkReader.
func (r leanCopyingReader) ChunkOrIterable(meta chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	c, it, err := r.copyingReader.ChunkOrIterable(meta)
	return lean(c), it, err
}

// ChunkOrIterableWithCopy implements tsdb.ChunkReaderWithCopy.
func (r leanCopyingReader) ChunkOrIterableWithCopy(meta chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, int64, error) {
	c, it, maxt, err := r.copyingReader.ChunkOrIterableWithCopy(meta)
	return lean(c), it, maxt, err
}

// startsForced is what the header of a chunk says when start times were begun for want of room in it.
const startsForced = 0x7f

// lean is the chunk, or one with the same samples that takes less.
func lean(c chunkenc.Chunk) chunkenc.Chunk {
	if c == nil || c.Encoding() != chunkenc.EncXOR2 {
		return c
	}
	if b := c.Bytes(); len(b) < xor2Header || b[2] != startsForced {
		return c
	}
	var w startless
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		if it.AtST() != 0 {
			return c
		}
		w.add(it.At())
	}
	out, err := chunkenc.FromData(chunkenc.EncXOR2, w.bytes())
	if err != nil || it.Err() != nil || len(out.Bytes()) >= len(c.Bytes()) || !sameFloats(out, c) {
		return c
	}
	return out
}

// sameFloats tells whether two chunks have the same samples, bit for bit.
func sameFloats(a, b chunkenc.Chunk) bool {
	x, y := a.Iterator(nil), b.Iterator(nil)
	for {
		more := x.Next()
		if more != y.Next() {
			return false
		}
		if more == chunkenc.ValNone {
			return x.Err() == nil && y.Err() == nil
		}
		xt, xv := x.At()
		yt, yv := y.At()
		if xt != yt || math.Float64bits(xv) != math.Float64bits(yv) || x.AtST() != y.AtST() {
			return false
		}
	}
}

// startless writes a chunk in the encoding XOR2 that has no start times however many samples there are; see
// chunkenc/xor2.go of Prometheus.
type startless struct {
	data  []byte
	free  int // bits of the last byte
	n     int
	t     int64
	delta int64
	v     uint64 // the last value that was no mark of staleness

	leading, trailing int
}

func (s *startless) bytes() []byte {
	out := append([]byte{0, 0, 0}, s.data...) // the number of samples, and no start times
	binary.BigEndian.PutUint16(out, uint16(s.n))
	return out
}

func (s *startless) add(t int64, value float64) {
	v := math.Float64bits(value)
	switch s.n {
	case 0:
		s.data = binary.AppendVarint(s.data, t)
		s.put(v, 64)
		s.v, s.leading = v, 64
	case 1:
		s.delta = t - s.t
		s.data = binary.AppendUvarint(s.data, uint64(s.delta))
		s.value(v)
	default:
		change := t - s.t - s.delta
		s.delta += change
		s.joint(change, v)
	}
	s.t = t
	s.n++
}

// joint writes how the interval changed, and the value.
func (s *startless) joint(change int64, v uint64) {
	switch {
	case change == 0 && v == staleBits:
		s.put(0b11111, 5)
		return
	case change == 0 && v == s.v:
		s.put(0, 1)
		return
	case change == 0:
		s.put(0b10, 2)
		s.window(v, 0, 1, 1)
		return
	case change >= -1<<12 && change < 1<<12:
		s.put(0b110<<13|uint64(change)&0x1fff, 16)
	case change >= -1<<19 && change < 1<<19:
		s.put(0b1110<<20|uint64(change)&0xfffff, 24)
	default:
		s.put(0b11110, 5)
		s.put(uint64(change), 64)
	}
	s.value(v)
}

// value writes a value of which nothing is known yet.
func (s *startless) value(v uint64) {
	switch v {
	case staleBits:
		s.put(0b111, 3)
	case s.v:
		s.put(0, 1)
	default:
		s.window(v, 0b10, 0b110, 3)
	}
}

// window writes the bits in which a value differs from the last one: within the window that there is, or in a new one.
func (s *startless) window(v, same, other uint64, otherBits int) {
	d := v ^ s.v
	s.v = v
	leading, trailing := min(bits.LeadingZeros64(d), 31), bits.TrailingZeros64(d)
	sameBits := max(otherBits-1, 1)
	if leading >= s.leading && trailing >= s.trailing && leading+trailing <= s.leading+s.trailing+11+otherBits-sameBits {
		s.put(same, sameBits)
		s.put(d>>s.trailing, 64-s.leading-s.trailing)
		return
	}
	s.leading, s.trailing = leading, trailing
	size := 64 - leading - trailing
	s.put(other, otherBits)
	s.put(uint64(leading), 5)
	s.put(uint64(size)&0x3f, 6)
	s.put(d>>trailing, size)
}

// put writes the lowest n bits of v, the highest first.
func (s *startless) put(v uint64, n int) {
	for n > 0 {
		if s.free == 0 {
			s.data, s.free = append(s.data, 0), 8
		}
		k := min(n, s.free)
		s.data[len(s.data)-1] |= byte(v>>(n-k)&(1<<k-1)) << (s.free - k)
		s.free, n = s.free-k, n-k
	}
}
