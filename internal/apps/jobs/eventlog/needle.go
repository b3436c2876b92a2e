package eventlog

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// MinNeedle is the length below which people's texts should not be searched for: everything would match.
const MinNeedle = 2

// Needle is a text to search for, without regard to case.
type Needle struct {
	lower  []byte
	hashes []uint64 // of its words
}

// NewNeedle prepares a text; ok is false when it has no word in it.
func NewNeedle(text string) (n *Needle, ok bool) {
	n = &Needle{lower: lowerASCII([]byte(text))}
	n.hashes = wordHashes(n.lower)
	return n, len(n.hashes) > 0
}

// wordHashes are those of the words of a text, as a block's filter has them.
func wordHashes(text []byte) (hashes []uint64) {
	Words(text, func(w []byte) { hashes = append(hashes, xxhash.Sum64(w)) })
	return hashes
}

// lowerASCII turns the text itself into lower case, eight bytes at a time: a byte is upper case when adding 63 to its
// low seven bits carries ('A' and beyond) and adding 37 does not ('Z' at most); its carry, moved to the bit of 32, is the
// difference.
func lowerASCII(b []byte) []byte {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		low := v &^ highs
		upper := ((low + ones*(128-'A')) ^ (low + ones*(127-'Z'))) & ^v & highs
		binary.LittleEndian.PutUint64(b[i:], v|upper>>2)
	}
	for ; i < len(b); i++ {
		if c := b[i]; c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// in tells whether a text in lower case holds the needle, as whole words when that is asked for.
func (n *Needle) in(text []byte, whole bool) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], n.lower)
		if i < 0 {
			return false
		}
		i += from
		if !whole || n.isWhole(text, i) {
			return true
		}
		from = i + 1
	}
}

// isWhole tells whether the needle's place at i of a text begins and ends with a word, where it begins or ends with a
// letter at all.
func (n *Needle) isWhole(text []byte, i int) bool {
	end := i + len(n.lower)
	begins := i == 0 || wordByte[n.lower[0]] == 0 || wordByte[text[i-1]] == 0 || i > 1 && text[i-2] == '\\'
	ends := end == len(text) || wordByte[n.lower[len(n.lower)-1]] == 0 || wordByte[text[end]] == 0
	return begins && ends
}

// inColumn calls hit with the rows of a column that hold the needle, in ascending order.
func (n *Needle) inColumn(c *textColumn, whole bool, hit func(row int)) {
	row := 0
	for from := 0; ; {
		i := bytes.Index(c.bytes[from:], n.lower)
		if i < 0 {
			return
		}
		i += from
		for int(c.ends[row]) <= i {
			row++
		}
		start, end := c.bounds(row)
		switch {
		case i+len(n.lower) <= end && (!whole || n.isWhole(c.bytes[start:end], i-start)):
			hit(row)
			from = end
		default:
			from = i + 1
		}
	}
}
