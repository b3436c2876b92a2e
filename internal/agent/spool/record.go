package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
)

// A record is a head and the payload. The head is: magic, a checksum of all that follows, the length of the payload, the
// time, and the number of samples.
const (
	magic      = 0x4b455054 // "KEPT"
	headBytes  = 4 + 4 + 4 + 8 + 4
	maxPayload = 8 << 20
)

var table = crc32.MakeTable(crc32.Castagnoli)

var errTorn = errors.New("not a whole record")

func encode(r Record) []byte {
	b := make([]byte, headBytes, headBytes+len(r.Payload))
	binary.LittleEndian.PutUint32(b[0:], magic)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(r.Payload)))
	binary.LittleEndian.PutUint64(b[12:], uint64(r.Time))
	binary.LittleEndian.PutUint32(b[20:], uint32(r.Samples))
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], table))
	return b
}

// decode reads a record and tells its length.
func decode(in io.Reader) (r Record, n int64, err error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return r, 0, errTorn
	}
	size := binary.LittleEndian.Uint32(head[8:])
	if binary.LittleEndian.Uint32(head[0:]) != magic || size > maxPayload {
		return r, 0, errTorn
	}
	r.Payload, err = readPayload(in, int(size))
	if err != nil {
		return r, 0, errTorn
	}
	sum := crc32.Update(crc32.Checksum(head[8:], table), table, r.Payload)
	if sum != binary.LittleEndian.Uint32(head[4:]) {
		return r, 0, errTorn
	}
	r.Time = int64(binary.LittleEndian.Uint64(head[12:]))
	r.Samples = int(binary.LittleEndian.Uint32(head[20:]))
	return r, int64(headBytes + len(r.Payload)), nil
}

// readPayload does not believe a length before the bytes are there.
func readPayload(in io.Reader, size int) ([]byte, error) {
	if size <= 256<<10 {
		b := make([]byte, size)
		_, err := io.ReadFull(in, b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if len(b) < size {
		return nil, errTorn
	}
	return b, err
}

// wholeLength is how many bytes of a file are whole records, and the newest time of them.
func wholeLength(path string) (length, last int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		r, n, err := decode(in)
		if err != nil {
			return length, last, nil
		}
		length, last = length+n, max(last, r.Time)
	}
}
