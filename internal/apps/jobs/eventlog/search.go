package eventlog

import (
	"context"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// insideWords is how many of the newest events a search looks through for parts of words too; in older ones it finds
// whole words, because only those are in the filters.
const insideWords = 32_000

// Memory for word filters and for blocks that were searched, bytes.
const (
	filterBudget = 48 << 20
	glanceBudget = 32 << 20
)

// Match is an event that holds the needle.
type Match struct {
	At    int64
	Queue []byte
	JobID []byte
}

type blockKey struct {
	ws    kernel.WorkspaceID
	first int64
}

// Search is a search under way: through the blocks of a log as they were when it began, from the newest event time
// backwards.
type Search struct {
	log    *Log
	ws     kernel.WorkspaceID
	box    *seal.Box
	needle *Needle
	all    []blockHead
	blocks []blockHead // that are left
}

// blockHead is a block that is to be searched.
type blockHead struct {
	first  int64
	events int
	minAt  int64
	maxAt  int64
	whole  bool // only whole words count
}

// Search begins to look for the needle in ids, names, failures, trace ids and data of events within [from, to]
// microseconds.
func (l *Log) Search(ctx context.Context, ws kernel.WorkspaceID, n *Needle, from, to int64) (*Search, error) {
	box, err := l.keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	blocks, err := l.blocksByTime(ctx, ws, from, to)
	return &Search{log: l, ws: ws, box: box, needle: n, all: blocks, blocks: blocks}, err
}

// Within begins the search again with the blocks that may have events within [from, to] microseconds.
func (s *Search) Within(from, to int64) *Search {
	part := *s
	part.blocks = nil
	for _, b := range s.all {
		if b.maxAt >= from && b.minAt <= to {
			part.blocks = append(part.blocks, b)
		}
	}
	return &part
}

// More tells whether there is a block left with an event of the given time or later.
func (s *Search) More(at int64) bool { return len(s.blocks) > 0 && s.blocks[0].maxAt >= at }

// Next looks through the next block. When only is not nil, only events of these jobs count, and a block that has none
// costs little.
func (s *Search) Next(ctx context.Context, only *JobSet) ([]Match, error) {
	b := s.blocks[0]
	s.blocks = s.blocks[1:]
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.whole || only.few() {
		filter, err := s.log.filter(ctx, s.box, s.ws, b)
		if err != nil {
			return nil, err
		}
		if b.whole && !mayHold(filter, s.needle.hashes) || only.few() && !only.mayBeIn(filter) {
			return nil, nil
		}
	}
	g, err := s.log.glance(ctx, s.ws, b, only == nil)
	if err != nil || g == nil {
		return nil, err
	}
	if only == nil {
		return g.find(s.needle, b.whole), nil
	}
	rows := g.of(only)
	if len(rows) == 0 {
		return nil, nil
	}
	if g.data == nil {
		if g, err = s.log.glance(ctx, s.ws, b, true); err != nil || g == nil {
			return nil, err
		}
		rows = g.of(only) // again: the block may have been joined with others meanwhile
	}
	return g.findIn(rows, s.needle, b.whole), nil
}

func (l *Log) blocksByTime(ctx context.Context, ws kernel.WorkspaceID, from, to int64) ([]blockHead, error) {
	rows, err := l.db.Query(ctx, `SELECT first_offset, events, min_at, max_at FROM job_log
		WHERE workspace_id = $1 AND max_at >= $2 AND min_at <= $3 ORDER BY max_at DESC, first_offset DESC`, ws, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []blockHead
	events := 0
	for rows.Next() {
		b := blockHead{whole: events >= insideWords}
		if err := rows.Scan(&b.first, &b.events, &b.minAt, &b.maxAt); err != nil {
			return nil, err
		}
		events += b.events
		out = append(out, b)
	}
	return out, rows.Err()
}

// filter reads the word filter of a block; nil, which may hold anything, when it has none yet.
func (l *Log) filter(ctx context.Context, box *seal.Box, ws kernel.WorkspaceID, b blockHead) ([]byte, error) {
	key := blockKey{ws, b.first}
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

// glance reads a block through a small cache, because people search again while they type; nil when it has expired.
func (l *Log) glance(ctx context.Context, ws kernel.WorkspaceID, b blockHead, data bool) (*glance, error) {
	if g, ok := l.glances.Get(blockKey{ws, b.first}); ok && len(g.at) == b.events && (g.data != nil || !data) {
		return g, nil
	}
	sealed, err := l.readSealed(ctx, ws, b.first, data)
	if err != nil || sealed == nil {
		return nil, err
	}
	p, err := l.unpackParts(ctx, ws, sealed)
	if err != nil {
		return nil, err
	}
	g, err := glanceAt(p.meta, p.first)
	if err == nil && data {
		err = g.withData(p.bodies)
	}
	if err != nil {
		return nil, err
	}
	l.glances.Put(blockKey{ws, g.first}, g, g.cost())
	return g, nil
}

// forget drops what searches remember of a workspace.
func (l *Log) forget(ws kernel.WorkspaceID) {
	ours := func(k blockKey) bool { return k.ws == ws }
	l.filters.DeleteFunc(ours)
	l.glances.DeleteFunc(ours)
}
