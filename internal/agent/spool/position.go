package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// place is how far the records were sent.
type place struct {
	seq    uint64 // of the segment
	offset int64  // of the next record in it
	last   int64  // the newest time of all records
}

// position keeps a place in a file. Two slots are written in turns, so that a write cut short leaves the other.
type position struct {
	file  *os.File
	turn  uint64
	value place
}

const slotBytes = 8*4 + 4

func openPosition(path string) (*position, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("another agent uses %s: %w", filepath.Dir(path), err), f.Close())
	}
	p := &position{file: f}
	var b [slotBytes]byte
	for i := range int64(2) {
		if n, _ := f.ReadAt(b[:], i*slotBytes); n < slotBytes {
			continue
		}
		turn := binary.LittleEndian.Uint64(b[0:])
		if crc32.Checksum(b[:32], table) == binary.LittleEndian.Uint32(b[32:]) && turn >= p.turn {
			p.turn = turn
			p.value = place{
				seq:    binary.LittleEndian.Uint64(b[8:]),
				offset: max(int64(binary.LittleEndian.Uint64(b[16:])), 0),
				last:   int64(binary.LittleEndian.Uint64(b[24:])),
			}
		}
	}
	return p, nil
}

func (p *position) set(v place) error {
	p.turn++
	p.value = v
	var b [slotBytes]byte
	binary.LittleEndian.PutUint64(b[0:], p.turn)
	binary.LittleEndian.PutUint64(b[8:], v.seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(v.offset))
	binary.LittleEndian.PutUint64(b[24:], uint64(v.last))
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], table))
	_, err := p.file.WriteAt(b[:], int64(p.turn%2)*slotBytes)
	return err
}
