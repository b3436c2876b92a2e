package remotewrite

import (
	"encoding/binary"
	"errors"
	"math"
)

// Request is a request as read back.
type Request struct {
	Symbols []string
	Series  []Series
}

// Series is one of a request's series. Labels are pairs of symbols.
type Series struct {
	Labels    []uint32
	Samples   []Sample
	Exemplars []Exemplar
	Metadata  Metadata
}

var errMalformed = errors.New("remote write: malformed request")

// Read reads a request that is not compressed. Native histograms and fields it does not know are left out. What it
// returns is at most some thirty times as large as b.
func Read(b []byte) (*Request, error) {
	var r Request
	err := fields(b, func(field int, v value) error {
		switch field {
		case fieldSymbols:
			r.Symbols = append(r.Symbols, string(v.bytes))
		case fieldSeries:
			s, err := readSeries(v.bytes)
			if err != nil {
				return err
			}
			r.Series = append(r.Series, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &r, r.check()
}

// check refuses numbers of symbols that there are not.
func (r *Request) check() error {
	ok := func(refs ...uint32) bool {
		for _, ref := range refs {
			if int(ref) >= len(r.Symbols) {
				return false
			}
		}
		return true
	}
	for _, s := range r.Series {
		if len(s.Labels)%2 != 0 || !ok(s.Labels...) || (s.Metadata.Help|s.Metadata.Unit) != 0 && !ok(s.Metadata.Help, s.Metadata.Unit) {
			return errMalformed
		}
		for _, e := range s.Exemplars {
			if len(e.Labels)%2 != 0 || !ok(e.Labels...) {
				return errMalformed
			}
		}
	}
	return nil
}

func readSeries(b []byte) (s Series, err error) {
	err = fields(b, func(field int, v value) (err error) {
		switch field {
		case fieldLabels:
			s.Labels, err = appendRefs(s.Labels, v)
		case fieldSamples:
			var one Sample
			one, err = readSample(v.bytes)
			s.Samples = append(s.Samples, one)
		case fieldExemplars:
			var e Exemplar
			e, err = readExemplar(v.bytes)
			s.Exemplars = append(s.Exemplars, e)
		case fieldMetadata:
			s.Metadata, err = readMetadata(v.bytes)
		}
		return err
	})
	return s, err
}

func readSample(b []byte) (s Sample, err error) {
	err = fields(b, func(field int, v value) error {
		switch field {
		case 1:
			s.Value = math.Float64frombits(v.number)
		case 2:
			s.Time = int64(v.number)
		}
		return nil
	})
	return s, err
}

func readExemplar(b []byte) (e Exemplar, err error) {
	err = fields(b, func(field int, v value) (err error) {
		switch field {
		case fieldLabels:
			e.Labels, err = appendRefs(e.Labels, v)
		case 2:
			e.Value = math.Float64frombits(v.number)
		case 3:
			e.Time = int64(v.number)
		}
		return err
	})
	return e, err
}

func readMetadata(b []byte) (m Metadata, err error) {
	err = fields(b, func(field int, v value) error {
		switch field {
		case 1:
			m.Type = Type(min(v.number, 255))
		case 3:
			m.Help = uint32(min(v.number, math.MaxUint32))
		case 4:
			m.Unit = uint32(min(v.number, math.MaxUint32))
		}
		return nil
	})
	return m, err
}

// appendRefs takes numbers packed, as they are sent, or one by one.
func appendRefs(refs []uint32, v value) ([]uint32, error) {
	if v.wire == wireVarint {
		return append(refs, uint32(min(v.number, math.MaxUint32))), nil
	}
	for b := v.bytes; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxUint32 {
			return nil, errMalformed
		}
		refs, b = append(refs, uint32(n)), b[size:]
	}
	return refs, nil
}

// value is what a field holds: bytes, or a number in the other wire types.
type value struct {
	wire   int
	number uint64
	bytes  []byte
}

// fields calls f for each field of a message.
func fields(b []byte, f func(field int, v value) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
			return errMalformed
		}
		v, size := readValue(b[n:], int(tag&7))
		if size < 0 {
			return errMalformed
		}
		if err := f(int(tag>>3), v); err != nil {
			return err
		}
		b = b[n+size:]
	}
	return nil
}

// readValue returns the value at the head of b and its length, which is negative if there is none.
func readValue(b []byte, wire int) (v value, size int) {
	v.wire = wire
	switch wire {
	case wireVarint:
		v.number, size = binary.Uvarint(b)
		if size <= 0 {
			return v, -1
		}
		return v, size
	case wireFixed64:
		if len(b) < 8 {
			return v, -1
		}
		v.number = binary.LittleEndian.Uint64(b)
		return v, 8
	case wireFixed32:
		if len(b) < 4 {
			return v, -1
		}
		return v, 4
	case wireBytes:
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return v, -1
		}
		v.bytes = b[n : n+int(length)]
		return v, n + int(length)
	}
	return v, -1
}
