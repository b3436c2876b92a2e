package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/wire/jobviz"
)

// A block holds the events of consecutive offsets in two parts: meta, which is all that projections read, and bodies,
// the events' data. Within meta each field is a column, because neighbours in a column are alike and compress well.
//
//	meta   := version(1) count dictionary column…
//	column := times (zigzag of the difference to the last), types, flags, nth, args, hashes, dictionary indexes, texts
//	bodies := count lengths… bytes
//
// Numbers are varints (encoding/binary); texts are a column of lengths followed by a column of bytes.

const blockVersion = 1

// encoder turns records into the two parts of a block and reuses its memory.
type encoder struct {
	meta, bodies []byte
	dict         map[string]uint64
	words        [][]byte
	indexes      []byte
}

func (e *encoder) encode(records []Record) (meta, bodies []byte) {
	if e.dict == nil {
		e.dict = map[string]uint64{}
	}
	clear(e.dict)
	e.words = e.words[:0]
	e.indexes = e.indexes[:0]
	var last [dictColumns][]byte // neighbours are often alike: that spares a look-up
	var lastIndex [dictColumns]uint64
	for i := range records {
		for c, v := range records[i].dictFields() {
			if !bytes.Equal(v, last[c]) {
				last[c], lastIndex[c] = v, e.index(v)
			}
			e.indexes = binary.AppendUvarint(e.indexes, lastIndex[c])
		}
	}
	m := append(e.meta[:0], blockVersion)
	m = binary.AppendUvarint(m, uint64(len(records)))
	m = binary.AppendUvarint(m, uint64(len(e.words)))
	for _, w := range e.words {
		m = binary.AppendUvarint(m, uint64(len(w)))
		m = append(m, w...)
	}
	m = appendColumns(m, records)
	m = append(m, e.indexes...)
	m = column.AppendTexts(m, len(records), func(i int) []byte { return records[i].JobID })
	m = column.AppendTexts(m, len(records), func(i int) []byte { return records[i].ParentID })
	m = column.AppendTexts(m, len(records), func(i int) []byte { return records[i].TraceID })
	m = column.AppendTexts(m, len(records), func(i int) []byte { return records[i].Headline })
	e.meta = m

	b := binary.AppendUvarint(e.bodies[:0], uint64(len(records)))
	e.bodies = column.AppendTexts(b, len(records), func(i int) []byte { return records[i].Data })
	return e.meta, e.bodies
}

// index finds or gives the dictionary index of a value. The empty value is 0.
func (e *encoder) index(v []byte) uint64 {
	if len(v) == 0 {
		return 0
	}
	if i, ok := e.dict[string(v)]; ok {
		return i
	}
	i := uint64(len(e.words) + 1)
	e.dict[string(v)] = i
	e.words = append(e.words, v)
	return i
}

func appendColumns(m []byte, records []Record) []byte {
	var at, received int64
	for i := range records {
		m = binary.AppendVarint(m, records[i].At-at)
		at = records[i].At
	}
	for i := range records {
		m = binary.AppendVarint(m, records[i].ReceivedAt-received)
		received = records[i].ReceivedAt
	}
	for i := range records {
		m = append(m, byte(records[i].Type))
	}
	for i := range records {
		m = append(m, byte(records[i].Flags))
	}
	for i := range records {
		m = append(m, records[i].Nth)
	}
	for i := range records {
		arg := records[i].Arg
		if hasTime(records[i].Type) && arg > 0 {
			arg -= records[i].At
		}
		m = binary.AppendVarint(m, arg)
	}
	for i := range records {
		m = binary.LittleEndian.AppendUint32(m, records[i].Hash)
	}
	return m
}

// decodeMeta reads the meta part into records, whose offsets begin at first. Texts point into meta.
func decodeMeta(meta []byte, first int64, into []Record) ([]Record, error) {
	if len(meta) == 0 || meta[0] != blockVersion {
		return nil, fmt.Errorf("eventlog: a block of unknown version: this binary is older than its data")
	}
	r := column.NewReader(meta[1:])
	n := r.Count()
	words := make([][]byte, r.Count()+1)
	for i := 1; i < len(words); i++ {
		words[i] = r.Text()
	}
	records := append(into[:0], make([]Record, n)...)
	readColumns(r, records, first)
	for i := range records {
		for c := range dictColumns {
			if w := r.Uvarint(); w < uint64(len(words)) {
				records[i].setDictField(c, words[w])
			} else {
				r.Err = column.ErrBroken
			}
		}
	}
	r.Texts(n, func(i int, v []byte) { records[i].JobID = v })
	r.Texts(n, func(i int, v []byte) { records[i].ParentID = v })
	r.Texts(n, func(i int, v []byte) { records[i].TraceID = v })
	r.Texts(n, func(i int, v []byte) { records[i].Headline = v })
	return records, r.Err
}

func readColumns(r *column.Reader, records []Record, first int64) {
	var at, received int64
	for i := range records {
		at += r.Varint()
		records[i].At, records[i].Offset = at, first+int64(i)
	}
	for i := range records {
		received += r.Varint()
		records[i].ReceivedAt = received
	}
	for i, v := range r.Bytes(len(records)) {
		records[i].Type = jobviz.Type(v)
	}
	for i, v := range r.Bytes(len(records)) {
		records[i].Flags = fold.Flags(v)
	}
	for i, v := range r.Bytes(len(records)) {
		records[i].Nth = v
	}
	for i := range records {
		arg := r.Varint()
		if hasTime(records[i].Type) && arg != 0 && arg != -1 {
			arg += records[i].At
		}
		records[i].Arg = arg
	}
	for i, v := range r.Uint32s(len(records)) {
		records[i].Hash = v
	}
}

// decodeBodies fills in the data of records, which must be those of the same block.
func decodeBodies(bodies []byte, records []Record) error {
	r := column.NewReader(bodies)
	if n := r.Count(); n != len(records) && r.Err == nil {
		return column.ErrBroken
	}
	r.Texts(len(records), func(i int, v []byte) { records[i].Data = v })
	return r.Err
}
