package eventlog

import (
	"context"
	"errors"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
)

// Block is a stored block whose meta part was read.
type Block struct {
	First   int64
	Count   int
	Records []Record
}

// DecodeMeta reads the plain meta part of a block, as Appended has it. Texts point into meta; into is reused.
func DecodeMeta(meta []byte, first int64, into []Record) ([]Record, error) {
	return decodeMeta(meta, first, into)
}

// ReadMeta reads the blocks that hold offsets from the given one on, at most limit of them, without bodies. A block may
// begin before from.
func (l *Log) ReadMeta(ctx context.Context, ws kernel.WorkspaceID, from int64, limit int) ([]Block, error) {
	box, err := l.keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	rows, err := l.db.Query(ctx, `SELECT first_offset, events, codec, meta FROM job_log
		WHERE workspace_id = $1 AND first_offset >= $2 ORDER BY first_offset LIMIT $3`, ws, l.blockOf(ctx, ws, from), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Block
	for rows.Next() {
		var b Block
		var c codec
		var meta []byte
		if err := rows.Scan(&b.First, &b.Count, &c, &meta); err != nil {
			return nil, err
		}
		plain, err := l.packer.unpack(box, labelMeta, c, meta)
		if err != nil {
			return nil, err
		}
		if b.Records, err = decodeMeta(plain, b.First, nil); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// blockOf is the first offset of the block that holds an offset, or the offset itself.
func (l *Log) blockOf(ctx context.Context, ws kernel.WorkspaceID, offset int64) int64 {
	var first, events int64
	err := l.db.QueryRow(ctx, `SELECT first_offset, events FROM job_log
		WHERE workspace_id = $1 AND first_offset <= $2 ORDER BY first_offset DESC LIMIT 1`, ws, offset).Scan(&first, &events)
	if err != nil || first+events <= offset {
		return offset
	}
	return first
}

// ReadRecords reads the events at the given offsets with their data, in the order asked for. Offsets that have expired
// are left out.
func (l *Log) ReadRecords(ctx context.Context, ws kernel.WorkspaceID, offsets []int64) ([]Record, error) {
	var out []Record
	var b *Whole
	for _, offset := range offsets {
		if b == nil || offset < b.First || offset >= b.First+int64(len(b.Records)) {
			next, err := l.ReadWhole(ctx, ws, offset)
			if err != nil {
				return nil, err
			}
			if next == nil {
				continue
			}
			b = next
		}
		out = append(out, b.Records[offset-b.First])
	}
	return out, nil
}

// Whole is a block with the data of its events.
type Whole struct {
	First   int64
	Records []Record
}

// ReadWhole reads the block that holds an offset; nil when it has expired.
func (l *Log) ReadWhole(ctx context.Context, ws kernel.WorkspaceID, offset int64) (*Whole, error) {
	s, err := l.readSealed(ctx, ws, offset, true)
	if err != nil || s == nil {
		return nil, err
	}
	p, err := l.unpackParts(ctx, ws, s)
	if err != nil {
		return nil, err
	}
	return p.decode()
}

// sealedBlock is a row of job_log.
type sealedBlock struct {
	first        int64
	events       int
	received     int64
	codec        codec
	meta, bodies []byte // bodies is nil when it was not asked for
}

// readSealed reads the block that holds an offset, with or without its bodies; nil when it has expired.
func (l *Log) readSealed(ctx context.Context, ws kernel.WorkspaceID, offset int64, bodies bool) (*sealedBlock, error) {
	column := "bodies"
	if !bodies {
		column = "NULL"
	}
	var s sealedBlock
	err := l.db.QueryRow(ctx, `SELECT first_offset, events, first_received_at, codec, meta, `+column+` FROM job_log
		WHERE workspace_id = $1 AND first_offset <= $2 ORDER BY first_offset DESC LIMIT 1`, ws, offset).
		Scan(&s.first, &s.events, &s.received, &s.codec, &s.meta, &s.bodies)
	if err != nil {
		return nil, ignoreNoRows(err)
	}
	if s.first+int64(s.events) <= offset {
		return nil, nil
	}
	return &s, nil
}

// parts are the plain parts of a block.
type parts struct {
	first        int64
	events       int
	meta, bodies []byte
}

func (l *Log) unpackParts(ctx context.Context, ws kernel.WorkspaceID, s *sealedBlock) (*parts, error) {
	box, err := l.keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	p := &parts{first: s.first, events: s.events}
	if p.meta, err = l.packer.unpack(box, labelMeta, s.codec, s.meta); err != nil {
		return nil, err
	}
	if s.bodies != nil {
		p.bodies, err = l.packer.unpack(box, labelBodies, s.codec, s.bodies)
	}
	return p, err
}

func (p *parts) decode() (*Whole, error) {
	records, err := decodeMeta(p.meta, p.first, nil)
	if err != nil {
		return nil, err
	}
	return &Whole{First: p.first, Records: records}, decodeBodies(p.bodies, records)
}

// ignoreNoRows turns "no such row" into no error: the block expired meanwhile.
func ignoreNoRows(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	return err
}

// Each calls visit with every event of a workspace and its data, in the order of the log.
func (l *Log) Each(ctx context.Context, ws kernel.WorkspaceID, visit func(*Record) error) error {
	for next := int64(0); ; {
		var first int64
		err := l.db.QueryRow(ctx, `SELECT first_offset FROM job_log WHERE workspace_id = $1 AND first_offset >= $2
			ORDER BY first_offset LIMIT 1`, ws, next).Scan(&first)
		if err != nil {
			return ignoreNoRows(err)
		}
		w, err := l.ReadWhole(ctx, ws, first)
		if err != nil {
			return err
		}
		if w == nil {
			continue // expired meanwhile
		}
		for i := range w.Records {
			if err := visit(&w.Records[i]); err != nil {
				return err
			}
		}
		next = first + int64(len(w.Records))
	}
}
