package intake

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// The kinds of fields that protobuf has on the wire.
const (
	kindVarint = 0
	kindFixed8 = 1
	kindBytes  = 2
	kindFixed4 = 5
)

var errProto = errors.New("the protobuf message is damaged")

// fields reads the fields of one protobuf message, one after the other, without memory of its own. What it returns points
// into the message.
type fields struct {
	rest  []byte
	num   int
	kind  int
	value uint64 // of a number
	data  []byte // of kindBytes
	bad   bool
}

// next goes to the next field; false at the end and where the message is damaged (see err).
func (f *fields) next() bool {
	if len(f.rest) == 0 || f.bad {
		return false
	}
	tag, ok := f.varint()
	if !ok || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f.fail()
	}
	f.num, f.kind, f.data = int(tag>>3), int(tag&7), nil
	switch f.kind {
	case kindVarint:
		if f.value, ok = f.varint(); !ok {
			return f.fail()
		}
	case kindFixed8:
		if len(f.rest) < 8 {
			return f.fail()
		}
		f.value, f.rest = binary.LittleEndian.Uint64(f.rest), f.rest[8:]
	case kindFixed4:
		if len(f.rest) < 4 {
			return f.fail()
		}
		f.value, f.rest = uint64(binary.LittleEndian.Uint32(f.rest)), f.rest[4:]
	case kindBytes:
		n, ok := f.varint()
		if !ok || n > uint64(len(f.rest)) {
			return f.fail()
		}
		f.data, f.rest = f.rest[:n:n], f.rest[n:]
	default:
		return f.fail()
	}
	return true
}

func (f *fields) fail() bool {
	f.bad = true
	return false
}

func (f *fields) varint() (uint64, bool) {
	if len(f.rest) > 0 && f.rest[0] < 0x80 {
		v := uint64(f.rest[0])
		f.rest = f.rest[1:]
		return v, true
	}
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		return 0, false
	}
	f.rest = f.rest[n:]
	return v, true
}

// is tells whether the field has a number and a kind. A field of a known number and another kind is damage.
func (f *fields) is(num, kind int) bool {
	if f.num != num {
		return false
	}
	if f.kind != kind {
		f.bad = true
		return false
	}
	return true
}

func (f *fields) err() error {
	if f.bad {
		return errProto
	}
	return nil
}

func (f *fields) double() float64 { return math.Float64frombits(f.value) }

// text is the bytes as a string that lives as long as they do.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
