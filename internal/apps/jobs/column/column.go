// Package column writes and reads the columns of stored blocks: numbers as varints (encoding/binary), texts as a column
// of lengths followed by a column of bytes. Readers never trust a length: broken bytes give ErrBroken, not a panic and
// not a large allocation.
package column

import (
	"encoding/binary"
	"errors"
)

// ErrBroken says that stored bytes cannot be read.
var ErrBroken = errors.New("column: broken block")

// MaxRows bounds the rows of a block, whatever its header says.
const MaxRows = 1 << 20

// Reader reads from the front of bytes. After a failure everything reads as zero and Err is set.
type Reader struct {
	b   []byte
	Err error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

func (r *Reader) fail() {
	r.Err, r.b = ErrBroken, nil
}

// Uvarint reads an unsigned number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Varint reads a signed number.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Bytes reads n bytes, which point into what is read.
func (r *Reader) Bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// Uint32s reads n numbers of four bytes.
func (r *Reader) Uint32s(n int) []uint32 {
	if n < 0 || n > len(r.b)/4 {
		r.fail()
		return make([]uint32, max(0, min(n, MaxRows)))
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(r.b[4*i:])
	}
	r.b = r.b[4*n:]
	return out
}

// Count reads a number of rows, each of which takes at least one byte of what follows.
func (r *Reader) Count() int {
	n := r.Uvarint()
	if n > MaxRows || n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Text reads a length and as many bytes.
func (r *Reader) Text() []byte { return r.Bytes(r.length()) }

func (r *Reader) length() int {
	n := r.Uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Texts reads a column of n texts and hands each that is not empty to set.
func (r *Reader) Texts(n int, set func(i int, v []byte)) {
	lengths := NewReader(r.b)
	for range n {
		r.Uvarint()
	}
	for i := range n {
		if l := lengths.Uvarint(); l > 0 && l <= uint64(len(r.b)) {
			set(i, r.Bytes(int(l)))
		} else if l > 0 {
			r.fail()
			return
		}
	}
}

// AppendTexts writes a column of n texts.
func AppendTexts[T ~string | ~[]byte](b []byte, n int, text func(i int) T) []byte {
	for i := range n {
		b = binary.AppendUvarint(b, uint64(len(text(i))))
	}
	for i := range n {
		b = append(b, text(i)...)
	}
	return b
}

// AppendText writes a length and the bytes.
func AppendText[T ~string | ~[]byte](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// AppendVarints writes a column of n signed numbers.
func AppendVarints(b []byte, n int, value func(i int) int64) []byte {
	for i := range n {
		b = binary.AppendVarint(b, value(i))
	}
	return b
}

// AppendDeltas writes a column of n signed numbers as differences to the one before.
func AppendDeltas(b []byte, n int, value func(i int) int64) []byte {
	last := int64(0)
	for i := range n {
		v := value(i)
		b = binary.AppendVarint(b, v-last)
		last = v
	}
	return b
}

// Varints reads what AppendVarints wrote.
func (r *Reader) Varints(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = r.Varint()
	}
	return out
}

// Deltas reads what AppendDeltas wrote.
func (r *Reader) Deltas(n int) []int64 {
	out := make([]int64, n)
	last := int64(0)
	for i := range out {
		last += r.Varint()
		out[i] = last
	}
	return out
}

// Dict numbers the values of columns that repeat; the empty text is 0.
type Dict struct {
	words []string
	index map[string]uint64
}

// Index finds or gives the number of a value.
func (d *Dict) Index(v string) uint64 {
	if v == "" {
		return 0
	}
	if i, ok := d.index[v]; ok {
		return i
	}
	if d.index == nil {
		d.index = map[string]uint64{}
	}
	d.words = append(d.words, v)
	i := uint64(len(d.words))
	d.index[v] = i
	return i
}

// Append writes the values.
func (d *Dict) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(d.words)))
	for _, w := range d.words {
		b = AppendText(b, w)
	}
	return b
}

// Dict reads what Dict.Append wrote; its element 0 is the empty text.
func (r *Reader) Dict() []string {
	words := make([]string, r.Count()+1)
	for i := 1; i < len(words); i++ {
		words[i] = string(r.Text())
	}
	return words
}
