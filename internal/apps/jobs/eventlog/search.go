package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// insideWords is how many of the newest events a search looks through for parts of words too; in older ones it finds
// whole words, because only those are in the filters.
const insideWords = 32_000

// Memory for word filters and for plain blocks, bytes.
const (
	filterBudget = 48 << 20
	plainBudget  = 24 << 20
)

// MinNeedle is the length below which people's texts should not be searched for: everything would match.
const MinNeedle = 2

// Needle is a text to search for, without regard to case.
type Needle struct {
	lower  []byte
	hashes []uint64 // of its words
	buf    []byte
}

// NewNeedle prepares a text; ok is false when it has no word in it.
func NewNeedle(text string) (n *Needle, ok bool) {
	n = &Needle{lower: lowerASCII(nil, []byte(text))}
	Words(n.lower, func(w []byte) { n.hashes = append(n.hashes, xxhash.Sum64(w)) })
	return n, len(n.hashes) > 0
}

// lowerASCII appends the text in lower case, eight bytes at a time: a byte is upper case when adding 63 to its low seven
// bits carries ('A' and beyond) and adding 37 does not ('Z' at most); its carry, moved to the bit of 32, is the difference.
func lowerASCII(dst, text []byte) []byte {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	from := len(dst)
	dst = append(dst, text...)
	b := dst[from:]
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
	return dst
}

// in tells whether the text holds the needle, as whole words when that is asked for.
func (n *Needle) in(text []byte, whole bool) bool {
	if len(text) < len(n.lower) {
		return false
	}
	n.buf = lowerASCII(n.buf[:0], text)
	for from := 0; ; {
		i := bytes.Index(n.buf[from:], n.lower)
		if i < 0 {
			return false
		}
		i += from
		if !whole || n.isWhole(i) {
			return true
		}
		from = i + 1
	}
}

// isWhole tells whether the needle's place at i of buf begins and ends with a word, where it begins or ends with a
// letter at all.
func (n *Needle) isWhole(i int) bool {
	end := i + len(n.lower)
	begins := i == 0 || wordByte[n.lower[0]] == 0 || wordByte[n.buf[i-1]] == 0 || i > 1 && n.buf[i-2] == '\\'
	ends := end == len(n.buf) || wordByte[n.lower[len(n.lower)-1]] == 0 || wordByte[n.buf[end]] == 0
	return begins && ends
}

// Match is an event that holds the needle.
type Match struct {
	At     int64
	Offset int64
	Queue  []byte
	JobID  []byte
}

// Found are the matches of one block. NotAfter is the time of the newest event in this and all blocks still to come.
type Found struct {
	NotAfter int64
	Matches  []Match
}

type filterKey struct {
	ws    kernel.WorkspaceID
	first int64
}

// Search looks for the needle in ids, names, failures, trace ids and data, block by block from the newest event time
// backwards within [from, to] microseconds, until visit returns false.
func (l *Log) Search(ctx context.Context, ws kernel.WorkspaceID, n *Needle, from, to int64, visit func(Found) bool) error {
	box, err := l.keys.Box(ctx, ws)
	if err != nil {
		return err
	}
	blocks, err := l.blocksByTime(ctx, ws, from, to)
	if err != nil {
		return err
	}
	scanned := 0
	for _, b := range blocks {
		whole := scanned >= insideWords
		if whole {
			filter, err := l.filter(ctx, box, ws, b)
			if err != nil {
				return err
			}
			if !mayHold(filter, n.hashes) {
				continue
			}
		}
		scanned += b.events
		matches, err := l.scan(ctx, ws, n, b.first, whole)
		if err != nil {
			return err
		}
		if !visit(Found{NotAfter: b.maxAt, Matches: matches}) {
			return nil
		}
	}
	return nil
}

type blockHead struct {
	first  int64
	events int
	maxAt  int64
}

func (l *Log) blocksByTime(ctx context.Context, ws kernel.WorkspaceID, from, to int64) ([]blockHead, error) {
	rows, err := l.db.Query(ctx, `SELECT first_offset, events, max_at FROM job_log
		WHERE workspace_id = $1 AND max_at >= $2 AND min_at <= $3 ORDER BY max_at DESC, first_offset DESC`, ws, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []blockHead
	for rows.Next() {
		var b blockHead
		if err := rows.Scan(&b.first, &b.events, &b.maxAt); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// filter reads the word filter of a block; nil, which may hold anything, when it has none yet.
func (l *Log) filter(ctx context.Context, box *seal.Box, ws kernel.WorkspaceID, b blockHead) ([]byte, error) {
	key := filterKey{ws, b.first}
	if f, ok := l.filters.Get(key); ok {
		return f, nil
	}
	var sealed []byte
	err := l.db.QueryRow(ctx, `SELECT words FROM job_log WHERE workspace_id = $1 AND first_offset = $2`, ws, b.first).Scan(&sealed)
	if err != nil || sealed == nil {
		return nil, ignoreNoRows(err)
	}
	f, err := l.packer.Unpack(box, labelWords, sealed)
	if err == nil {
		l.filters.Put(key, f, int64(len(f)))
	}
	return f, err
}

// recentParts reads the plain parts of a block through a small cache: people search again while they type.
func (l *Log) recentParts(ctx context.Context, ws kernel.WorkspaceID, first int64) (*parts, error) {
	sealed, err := l.readSealed(ctx, ws, first)
	if err != nil || sealed == nil {
		return nil, err
	}
	key := filterKey{ws, sealed.first}
	if p, ok := l.plain.Get(key); ok && p.events == sealed.events {
		return p, nil
	}
	p, err := l.unpackParts(ctx, ws, sealed)
	if err == nil {
		l.plain.Put(key, p, int64(len(p.meta)+len(p.bodies)))
	}
	return p, err
}

func (l *Log) scan(ctx context.Context, ws kernel.WorkspaceID, n *Needle, first int64, whole bool) ([]Match, error) {
	p, err := l.recentParts(ctx, ws, first)
	if err != nil || p == nil {
		return nil, err
	}
	if !n.in(p.meta, false) && !n.in(p.bodies, false) {
		return nil, nil // most blocks end here, before their events are decoded
	}
	w, err := p.decode()
	if err != nil {
		return nil, err
	}
	var out []Match
	for i := range w.Records {
		r := &w.Records[i]
		for _, text := range r.searched() {
			if n.in(text, whole) {
				out = append(out, Match{At: r.At, Offset: r.Offset, Queue: r.Queue, JobID: r.JobID})
				break
			}
		}
	}
	return out, nil
}
