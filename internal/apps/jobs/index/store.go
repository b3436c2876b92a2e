package index

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// Memory that decoded blocks may take, bytes.
const (
	scanBudget = 64 << 20
	textBudget = 32 << 20
)

// errOvertaken says that another instance has moved the checkpoint: the shard loads again.
var errOvertaken = errors.New("index: another instance was faster")

// Index is the projections of all workspaces.
type Index struct {
	db      *db.DB
	log     *eventlog.Log
	keys    eventlog.Keys
	packer  *eventlog.Packer
	clock   kernel.Clock
	maxHead int // maxHead, or less in tests

	mu     sync.Mutex
	shards map[kernel.WorkspaceID]*shard

	scans   *kernel.Cache[partKey, *scanPart]
	texts   *kernel.Cache[partKey, *textPart]
	summed  *kernel.Cache[partKey, *blockSums]
	totals  *kernel.Cache[partKey, *blockPulses]
	changes *kernel.Cache[changesKey, *pulseChanges]
}

type partKey struct {
	seg    *segment
	number int
}

// New makes the index over a log.
func New(database *db.DB, log *eventlog.Log, keys eventlog.Keys, packer *eventlog.Packer, clock kernel.Clock) *Index {
	return &Index{db: database, log: log, keys: keys, packer: packer, clock: clock, maxHead: maxHead, shards: map[kernel.WorkspaceID]*shard{},
		scans: kernel.NewCache[partKey, *scanPart](scanBudget), texts: kernel.NewCache[partKey, *textPart](textBudget),
		summed: kernel.NewCache[partKey, *blockSums](sumBudget), totals: kernel.NewCache[partKey, *blockPulses](totalsBudget),
		changes: kernel.NewCache[changesKey, *pulseChanges](changesBudget)}
}

// shard finds the shard of a workspace, loaded and up to date with the log as far as it was when first asked for.
func (x *Index) shard(ctx context.Context, ws kernel.WorkspaceID) (*shard, error) {
	x.mu.Lock()
	s := x.shards[ws]
	if s == nil {
		s = &shard{ws: ws, store: x}
		x.shards[ws] = s
	}
	x.mu.Unlock()
	s.mu.RLock()
	loaded := s.loaded
	s.mu.RUnlock()
	if loaded {
		return s, nil
	}
	s.work.Lock()
	defer s.work.Unlock()
	if s.loaded {
		return s, nil
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, s.catchUp(ctx)
}

// The labels of sealed parts.
const (
	labelMeta   = "job_segments.meta"
	labelScan   = "job_blocks.scan"
	labelTexts  = "job_blocks.texts"
	labelEvents = "job_blocks.events"
)

func (x *Index) loadSegments(ctx context.Context, ws kernel.WorkspaceID) (segments []*segment, checkpoint int64, err error) {
	err = x.db.QueryRow(ctx, `SELECT checkpoint FROM job_projections WHERE workspace_id = $1`, ws).Scan(&checkpoint)
	if errors.Is(err, db.ErrNoRows) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	box, err := x.keys.Box(ctx, ws)
	if err != nil {
		return nil, 0, err
	}
	rows, err := x.db.Query(ctx, `SELECT segment_id, level, first_received_at, last_received_at, gone, meta FROM job_segments
		WHERE workspace_id = $1 ORDER BY segment_id DESC`, ws)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		s := &segment{}
		var gone, meta []byte
		if err := rows.Scan(&s.id, &s.level, &s.received.first, &s.received.last, &gone, &meta); err != nil {
			return nil, 0, err
		}
		plain, err := x.packer.Unpack(box, labelMeta, meta)
		if err != nil {
			return nil, 0, err
		}
		if err := s.decodeMeta(plain); err != nil {
			return nil, 0, fmt.Errorf("index: segment %d: %w", s.id, err)
		}
		s.gone, s.shadow = bitmapOf(gone, s.jobs()), newBitmap(s.jobs())
		segments = append(segments, s)
	}
	return segments, checkpoint, rows.Err()
}

// packed is a block that is ready to be stored.
type packed struct{ scan, texts, events []byte }

// pack packs a segment's blocks. Those of the lowest level are merged soon.
func (x *Index) pack(box *seal.Box, level int, blocks []plainBlock) ([]packed, error) {
	pack := x.packer.Pack
	if level == 0 {
		pack = x.packer.PackQuick
	}
	out := make([]packed, len(blocks))
	for i, b := range blocks {
		var errs [3]error
		out[i].scan, errs[0] = pack(box, labelScan, b.scan)
		out[i].texts, errs[1] = pack(box, labelTexts, b.texts)
		out[i].events, errs[2] = pack(box, labelEvents, b.events)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// storeFlush writes a segment, marks the rows it replaces and moves the checkpoint, all or nothing. The checkpoint must
// be where this shard left it: if not, another instance has flushed the same events.
func (x *Index) storeFlush(ctx context.Context, s *shard, seg *segment, blocks []plainBlock, replaced map[*segment]bitmap) error {
	box, err := x.keys.Box(ctx, s.ws)
	if err != nil {
		return err
	}
	parts, err := x.pack(box, seg.level, blocks)
	if err != nil {
		return err
	}
	return x.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO job_projections (workspace_id, checkpoint, next_segment) VALUES ($1, 0, 1)
			ON CONFLICT (workspace_id) DO NOTHING`, s.ws); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `UPDATE job_projections SET checkpoint = $3, next_segment = next_segment + 1
			WHERE workspace_id = $1 AND checkpoint = $2 RETURNING next_segment - 1`, s.ws, s.checkpoint, s.next).Scan(&seg.id)
		if errors.Is(err, db.ErrNoRows) {
			return errOvertaken
		}
		if err != nil {
			return err
		}
		for old, gone := range replaced {
			if err := updateGone(ctx, tx, s.ws, old.id, gone); err != nil {
				return err
			}
		}
		for _, d := range s.deploys {
			if err := insertDeployment(ctx, tx, s.ws, d); err != nil {
				return err
			}
		}
		if seg.jobs() == 0 {
			return nil
		}
		return x.insertSegment(ctx, tx, box, s.ws, seg, parts)
	})
}

func updateGone(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, id int64, gone bitmap) error {
	n, err := tx.Exec(ctx, `UPDATE job_segments SET gone = $3 WHERE workspace_id = $1 AND segment_id = $2`, ws, id, gone.bytes())
	if err == nil && n == 0 {
		return errOvertaken
	}
	return err
}

func insertDeployment(ctx context.Context, tx *db.Tx, ws kernel.WorkspaceID, d Deployment) error {
	_, err := tx.Exec(ctx, `INSERT INTO job_deployments (workspace_id, deployment_id, at, received_at, log_offset) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (workspace_id, deployment_id) DO UPDATE SET at = $3, log_offset = $5
		WHERE $3 < job_deployments.at OR $3 = job_deployments.at AND $5 < job_deployments.log_offset`, ws, d.ID, d.At, d.recv, d.Offset)
	return err
}

func (x *Index) insertSegment(ctx context.Context, tx *db.Tx, box *seal.Box, ws kernel.WorkspaceID, seg *segment, parts []packed) error {
	meta, err := x.packer.Pack(box, labelMeta, seg.encodeMeta())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO job_segments (workspace_id, segment_id, level, jobs, first_received_at, last_received_at, gone, meta)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, ws, seg.id, seg.level, seg.jobs(), seg.received.first, seg.received.last, seg.gone.bytes(), meta)
	if err != nil {
		return err
	}
	for i, p := range parts {
		_, err := tx.Exec(ctx, `INSERT INTO job_blocks (workspace_id, segment_id, number, scan, texts, events) VALUES ($1, $2, $3, $4, $5, $6)`,
			ws, seg.id, i, p.scan, p.texts, p.events)
		if err != nil {
			return err
		}
	}
	return nil
}

// part reads one sealed part of a block.
func (x *Index) part(ctx context.Context, ws kernel.WorkspaceID, ref blockRef, label, text string) ([]byte, error) {
	var sealed []byte
	err := x.db.QueryRow(ctx, text, ws, ref.seg.id, ref.number).Scan(&sealed)
	if errors.Is(err, db.ErrNoRows) {
		return nil, errOvertaken // merged or expired since the segments were listed
	}
	if err != nil {
		return nil, err
	}
	box, err := x.keys.Box(ctx, ws)
	if err != nil {
		return nil, err
	}
	return x.packer.Unpack(box, label, sealed)
}

func (x *Index) blockJobs(ctx context.Context, ws kernel.WorkspaceID, ref blockRef) ([]*Job, error) {
	plain, err := x.part(ctx, ws, ref, labelEvents, `SELECT events FROM job_blocks WHERE workspace_id = $1 AND segment_id = $2 AND number = $3`)
	if err != nil {
		return nil, err
	}
	return decodeEvents(plain)
}

func (x *Index) scan(ctx context.Context, ws kernel.WorkspaceID, ref blockRef) (*scanPart, error) {
	key := partKey(ref)
	if p, ok := x.scans.Get(key); ok {
		return p, nil
	}
	plain, err := x.part(ctx, ws, ref, labelScan, `SELECT scan FROM job_blocks WHERE workspace_id = $1 AND segment_id = $2 AND number = $3`)
	if err != nil {
		return nil, err
	}
	p, err := decodeScan(plain, ref.seg.zones[ref.number].jobs)
	if err == nil {
		x.scans.Put(key, p, p.cost())
	}
	return p, err
}

func (x *Index) text(ctx context.Context, ws kernel.WorkspaceID, ref blockRef) (*textPart, error) {
	key := partKey(ref)
	if p, ok := x.texts.Get(key); ok {
		return p, nil
	}
	scan, err := x.scan(ctx, ws, ref)
	if err != nil {
		return nil, err
	}
	plain, err := x.part(ctx, ws, ref, labelTexts, `SELECT texts FROM job_blocks WHERE workspace_id = $1 AND segment_id = $2 AND number = $3`)
	if err != nil {
		return nil, err
	}
	p, err := decodeTexts(plain, scan)
	if err == nil {
		x.texts.Put(key, p, p.cost())
	}
	return p, err
}
