package eventlog

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A word filter answers "may this block hold this word?" without reading the block: a Bloom filter over the words of
// ids, names, failures and data, split into 64-byte lines so that a look-up touches one line of memory (Putze, Sanders,
// Singler: "Cache-, Hash- and Space-Efficient Bloom Filters", 2007).
//
//	filter := lines(uint32) line… ; a line is 512 bits

const (
	bitsPerWord = 16
	probes      = 7
	lineBytes   = 64
)

// maxWord is how many bytes of a long word count.
const maxWord = 64

// Words calls yield with each word of a text in lower case: a run of letters, digits, underscores and bytes beyond
// ASCII. Escape sequences of JSON end a word. The slice is reused.
func Words(text []byte, yield func(word []byte)) {
	var buf [maxWord]byte
	n := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			i++ // \n is not the letter n
			c = ' '
		}
		if c = wordByte[c]; c != 0 {
			if n < maxWord {
				buf[n] = c
				n++
			}
			continue
		}
		if n > 0 {
			yield(buf[:n])
			n = 0
		}
	}
	if n > 0 {
		yield(buf[:n])
	}
}

// wordByte maps a byte of a word to its lower case and any other to 0.
var wordByte = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c >= 0x80:
			t[c] = byte(c)
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		}
	}
	return t
}()

// searched lists the texts of a record that a search looks into.
func (r *Record) searched() [6][]byte {
	return [6][]byte{r.JobID, r.Name, r.Headline, r.Data, r.TraceID, r.ParentID}
}

// filterOf builds the filter of a block.
func filterOf(records []Record) []byte {
	hashes := map[uint64]struct{}{}
	for i := range records {
		for _, text := range records[i].searched() {
			Words(text, func(w []byte) { hashes[xxhash.Sum64(w)] = struct{}{} })
		}
	}
	lines := max(1, (len(hashes)*bitsPerWord+511)/512)
	filter := make([]byte, 4+lines*lineBytes)
	binary.LittleEndian.PutUint32(filter, uint32(lines))
	for h := range hashes {
		line := lineOf(filter, h)
		for i := range probes {
			bit := uint32(h>>(9*i)) & 511
			line[bit/8] |= 1 << (bit % 8)
		}
	}
	return filter
}

// lineOf is the line of a hash. The upper bits choose it; the lower 54 choose the bits.
func lineOf(filter []byte, h uint64) []byte {
	lines := binary.LittleEndian.Uint32(filter)
	hi, _ := bits.Mul64(bits.Reverse64(h)*0x9E3779B97F4A7C15, uint64(lines))
	return filter[4+hi*lineBytes:][:lineBytes]
}

// mayHold tells whether all words may be in the filter's block. A broken filter may hold anything.
func mayHold(filter []byte, words []uint64) bool {
	if len(filter) < 4+lineBytes || len(filter) != 4+lineBytes*int(binary.LittleEndian.Uint32(filter)) {
		return true
	}
	for _, h := range words {
		line := lineOf(filter, h)
		for i := range probes {
			bit := uint32(h>>(9*i)) & 511
			if line[bit/8]&(1<<(bit%8)) == 0 {
				return false
			}
		}
	}
	return true
}
