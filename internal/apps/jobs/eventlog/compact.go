package eventlog

import (
	"context"
	"fmt"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// compactTarget is how many events a compacted block has, where the traffic suffices.
const compactTarget = 4096

// bucket is the span of time, in microseconds, beyond which blocks are not joined: what is deleted on time is deleted
// by the block.
const bucket = int64(3600 * 1e6)

// Compact joins blocks of one hour, from the given offset on and before the offset until, into one dense block with a
// word filter. It returns the offset to go on from, and false when there is nothing left to do. Offsets stay.
//
// The newest hour is left as it is until it has enough events, so that a quiet workspace's blocks are not written over
// and over.
func (l *Log) Compact(ctx context.Context, ws kernel.WorkspaceID, from, until int64, now int64) (next int64, more bool, err error) {
	rows, err := l.fresh(ctx, ws, from, until)
	if err != nil || len(rows) == 0 {
		return from, false, err
	}
	n, events := 0, 0
	for n < len(rows) && events < compactTarget && rows[n].received/bucket == rows[0].received/bucket &&
		rows[n].first == rows[0].first+int64(events) {
		events += rows[n].events
		n++
	}
	if events < compactTarget && n == len(rows) && rows[0].received/bucket == now/bucket {
		return from, false, nil
	}
	next = rows[0].first + int64(events)
	return next, true, l.join(ctx, ws, rows[:n], events)
}

// fresh reads blocks that are not compacted yet.
func (l *Log) fresh(ctx context.Context, ws kernel.WorkspaceID, from, until int64) ([]*sealedBlock, error) {
	rows, err := l.db.Query(ctx, `SELECT first_offset, events, first_received_at, codec, meta, bodies FROM job_log
		WHERE workspace_id = $1 AND first_offset >= $2 AND first_offset + events <= $3 AND codec = $4
		ORDER BY first_offset LIMIT $5`, ws, from, until, int(codecS2), compactTarget)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*sealedBlock
	events := 0
	for events < compactTarget && rows.Next() {
		s := new(sealedBlock)
		if err := rows.Scan(&s.first, &s.events, &s.received, &s.codec, &s.meta, &s.bodies); err != nil {
			return nil, err
		}
		out = append(out, s)
		events += s.events
	}
	return out, rows.Err()
}

func (l *Log) join(ctx context.Context, ws kernel.WorkspaceID, rows []*sealedBlock, events int) error {
	box, err := l.keys.Box(ctx, ws)
	if err != nil {
		return err
	}
	records := make([]Record, 0, events)
	for _, s := range rows {
		p, err := l.unpackParts(ctx, ws, s)
		if err != nil {
			return err
		}
		w, err := p.decode()
		if err != nil {
			return err
		}
		records = append(records, w.Records...)
	}
	var enc encoder
	meta, bodies := enc.encode(records)
	words, err := l.packer.Pack(box, labelWords, filterOf(records))
	if err != nil {
		return err
	}
	if meta, err = l.packer.Pack(box, labelMeta, meta); err != nil {
		return err
	}
	if bodies, err = l.packer.Pack(box, labelBodies, bodies); err != nil {
		return err
	}
	return l.db.Tx(ctx, func(tx *db.Tx) error {
		gone, err := tx.Exec(ctx, `DELETE FROM job_log WHERE workspace_id = $1 AND first_offset >= $2 AND first_offset < $3`,
			ws, rows[0].first, rows[0].first+int64(events))
		if err != nil {
			return err
		}
		if gone != int64(len(rows)) {
			return fmt.Errorf("eventlog: compact: %d blocks became %d meanwhile", len(rows), gone) // another instance was faster
		}
		return insertBlock(ctx, tx, ws, rows[0].first, events, spanOf(records), codecZstd, words, meta, bodies)
	})
}

// Sweep deletes the blocks whose oldest event was received before the given time, and returns how many events went.
func (l *Log) Sweep(ctx context.Context, ws kernel.WorkspaceID, before int64) (int64, error) {
	var gone int64
	err := l.db.Tx(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT coalesce(sum(events), 0) FROM job_log WHERE workspace_id = $1 AND first_received_at < $2`, ws, before).Scan(&gone)
		if err != nil || gone == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM job_log WHERE workspace_id = $1 AND first_received_at < $2`, ws, before)
		return err
	})
	return gone, err
}

// Oldest is when the oldest event that is still stored was received, in microseconds; 0 when there is none. An empty
// workspace means all.
func (l *Log) Oldest(ctx context.Context, ws kernel.WorkspaceID) (at int64, err error) {
	err = l.db.QueryRow(ctx, `SELECT coalesce(min(first_received_at), 0) FROM job_log WHERE workspace_id = $1 OR $1 = ''`, ws).Scan(&at)
	return at, err
}

// Count is how many events are stored, of a workspace or of all.
func (l *Log) Count(ctx context.Context, ws kernel.WorkspaceID) (n int64, err error) {
	err = l.db.QueryRow(ctx, `SELECT coalesce(sum(events), 0) FROM job_log WHERE workspace_id = $1 OR $1 = ''`, ws).Scan(&n)
	return n, err
}

// Erase deletes the whole log of a workspace and returns how many events went.
func (l *Log) Erase(ctx context.Context, ws kernel.WorkspaceID) (int64, error) {
	n, err := l.Count(ctx, ws)
	if err != nil {
		return 0, err
	}
	defer l.forget(ws)
	return n, l.db.Tx(ctx, func(tx *db.Tx) error {
		for _, text := range []string{`DELETE FROM job_log WHERE workspace_id = $1`, `DELETE FROM job_streams WHERE workspace_id = $1`} {
			if _, err := tx.Exec(ctx, text, ws); err != nil {
				return err
			}
		}
		return nil
	})
}
