package index

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/wire/jobviz"
)

// shard is the projection of one workspace. One goroutine at a time folds and flushes (work); questions are asked by
// many (mu). The worker alone changes the head and the segments, and holds mu for writing while it does.
type shard struct {
	ws    kernel.WorkspaceID
	store *Index

	work       sync.Mutex // serialises everything that changes the shard
	mu         sync.RWMutex
	loaded     bool
	head       map[string]*entry
	segments   []*segment // newest first
	known      known      // of the segments; the worker's alone
	next       int64      // offset of the first event that is not folded yet
	checkpoint int64      // offset of the first event that is not in a segment yet
	dirty      []*entry   // what a flush would write, in the order in which it changed first
	open       []*entry   // clean ones that stay in the head, those that came first in front
	deploys    map[string]Deployment
	version    uint64 // counts changes
	flushedAt  time.Time
	folder     fold.Folder
	interned   map[string]string // names that many jobs share
	key        []byte            // scratch
	records    []eventlog.Record // scratch

	// Of the background work alone.
	compacted int64 // the log is compacted up to this offset
	seenNext  int64 // next, when it looked last
	settled   atomic.Bool
}

// entry is a job in the head.
type entry struct {
	key   string
	job   *Job
	own   Job // what job points at, unless a segment had it
	rows  []Row
	seg   *segment // where a segment has an older state of it; nil when none has
	row   int
	dirty bool // a segment does not have this state
	stale bool // rows are to be folded again
	open  bool // in the shard's list of this name
}

// Deployment is a release that an agent told of.
type Deployment struct {
	ID     string
	At     int64
	Offset int64 // the log has its version and description
	recv   int64
}

// apply folds records that follow what was folded before. The caller holds work.
func (s *shard) apply(ctx context.Context, records []eventlog.Record) error {
	if err := s.bringBack(ctx, records); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := make([]*entry, 0, len(records)/2)
	var e *entry
	for i := range records {
		r := &records[i]
		s.next = r.Offset + 1
		if r.Type == jobviz.Deployment {
			s.deploy(r)
			continue
		}
		if i == 0 || !sameJob(r, &records[i-1]) {
			e = s.entry(r)
		}
		if s.merge(e, r) && !e.stale {
			e.stale = true
			touched = append(touched, e)
		}
	}
	for _, e := range touched {
		e.job.Set = e.job.Set.Trim()
		if e.job.folded == nil {
			e.job.folded = e.job.fold(s.folder.Fold(e.job.Set))
		}
		e.rows, e.stale = e.job.folded, false
	}
	s.version++
	return nil
}

func (s *shard) deploy(r *eventlog.Record) {
	if s.deploys == nil {
		s.deploys = map[string]Deployment{}
	}
	id := string(r.JobID)
	if old, ok := s.deploys[id]; !ok || r.At < old.At || r.At == old.At && r.Offset < old.Offset {
		s.deploys[id] = Deployment{ID: id, At: r.At, Offset: r.Offset, recv: r.ReceivedAt}
	}
}

// sameJob spares a look-up: agents often tell of several steps of a job in a row.
func sameJob(a, b *eventlog.Record) bool {
	return a.Type != jobviz.Deployment && b.Type != jobviz.Deployment && bytes.Equal(a.JobID, b.JobID) && bytes.Equal(a.Queue, b.Queue)
}

// keyOf builds the key of a record in the shard's scratch memory.
func (s *shard) keyOf(r *eventlog.Record) []byte {
	s.key = append(append(append(s.key[:0], r.Queue...), 0), r.JobID...)
	return s.key
}

// bringBack takes jobs that a segment has and that records are about into the head.
func (s *shard) bringBack(ctx context.Context, records []eventlog.Record) error {
	if len(s.segments) == 0 {
		return nil
	}
	wanted := map[blockRef][]wantedRow{}
	seen := map[string]bool{}
	for i := range records {
		if i > 0 && sameJob(&records[i], &records[i-1]) {
			continue
		}
		key := s.keyOf(&records[i])
		if s.head[string(key)] != nil || seen[string(key)] || records[i].Type == jobviz.Deployment {
			continue
		}
		hash, k := keyHash(key), ""
		if !s.known.has(hash) {
			continue
		}
		for _, seg := range s.segments {
			seg.find(hash, func(row int) bool {
				if !seg.hidden(row) {
					if k == "" {
						k = string(key)
						seen[k] = true
					}
					ref := blockRef{seg, row / blockJobs}
					wanted[ref] = append(wanted[ref], wantedRow{row, k})
				}
				return true
			})
		}
	}
	for ref, rows := range wanted {
		jobs, err := s.store.blockJobs(ctx, s.ws, ref)
		if err != nil {
			return err
		}
		s.adopt(ref.seg, rows, jobs)
	}
	return nil
}

type blockRef struct {
	seg    *segment
	number int
}

type wantedRow struct {
	row int
	key string
}

// adopt puts jobs of a segment's block into the head, in front of the segment.
func (s *shard) adopt(seg *segment, rows []wantedRow, jobs []*Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range rows {
		i := w.row % blockJobs
		if i >= len(jobs) || Key(jobs[i].Queue, jobs[i].ID) != w.key {
			continue // another job with the same hash
		}
		if old := s.head[w.key]; old != nil {
			old.job.Union(jobs[i]) // two segments have it: cannot be, but a union is right even then
			seg.gone.set(w.row)
			continue
		}
		e := &entry{key: w.key, job: jobs[i], rows: jobs[i].rows(), seg: seg, row: w.row}
		s.head[w.key] = e
		seg.shadow.set(w.row)
		s.keep(e)
	}
}

// entry finds the record's job in the head, or puts it there.
func (s *shard) entry(r *eventlog.Record) *entry {
	e := s.head[string(s.keyOf(r))]
	if e == nil {
		key := string(s.key)
		queue := s.intern(r.Queue)
		e = &entry{key: key, own: Job{Queue: queue, ID: key[len(queue)+1:], hash: keyHash(s.key), Set: make(fold.Set, 0, 4), Attrs: make([]Attr, 0, 4)}}
		e.job = &e.own
		s.head[key] = e
	}
	return e
}

// maxInterned bounds the names that a shard remembers.
const maxInterned = 10_000

// intern returns one shared string for equal bytes, as long as there are not too many different ones.
func (s *shard) intern(b []byte) string {
	if v, ok := s.interned[string(b)]; ok {
		return v
	}
	v := string(b)
	if len(s.interned) < maxInterned {
		s.interned[v] = v
	}
	return v
}

// merge adds a record to its job and tells whether it changed anything.
func (s *shard) merge(e *entry, r *eventlog.Record) (changed bool) {
	j := e.job
	j.Set, changed = j.Set.Add(r.Event)
	if changed = s.mergeAttrs(j, r) || changed; !changed {
		return false
	}
	j.Received = max(j.Received, r.ReceivedAt)
	j.folded = nil
	if !e.dirty {
		e.dirty = true
		s.dirty = append(s.dirty, e)
	}
	return true
}

func (s *shard) mergeAttrs(j *Job, r *eventlog.Record) (changed bool) {
	add := func(kind AttrKind, v []byte) {
		if len(v) > 0 && j.addAttr(kind, s.intern(v), r.At) {
			changed = true
		}
	}
	add(AttrName, r.Name)
	add(AttrEnv, r.Env)
	add(AttrAgent, r.Agent)
	if len(r.Headline) > 0 {
		changed = j.addAttr(AttrError, string(r.Headline), r.At) || changed
	}
	if len(r.TraceID) > 0 {
		changed = j.addAttr(AttrTrace, string(r.TraceID), r.At) || changed
	}
	if len(r.ParentID) > 0 {
		queue := r.ParentQueue
		if len(queue) == 0 {
			queue = r.Queue
		}
		changed = j.addAttr(AttrParent, Key(string(queue), string(r.ParentID)), r.At) || changed
	}
	return changed
}

// load reads what is stored and folds what the log has beyond it.
func (s *shard) load(ctx context.Context) error {
	segments, checkpoint, err := s.store.loadSegments(ctx, s.ws)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.head, s.segments = map[string]*entry{}, segments
	s.dirty, s.open, s.interned = nil, nil, map[string]string{}
	s.known.rebuild(segments)
	s.next, s.checkpoint, s.deploys = checkpoint, checkpoint, nil
	s.loaded, s.flushedAt = true, s.store.clock()
	s.version++
	s.mu.Unlock()
	return nil
}

// catchUp folds what the log has beyond next, a few blocks at a time.
func (s *shard) catchUp(ctx context.Context) error {
	for {
		blocks, err := s.store.log.ReadMeta(ctx, s.ws, s.next, 16)
		if err != nil {
			return err
		}
		progress := false
		for _, b := range blocks {
			from := s.next - b.First
			if from < 0 || from >= int64(len(b.Records)) {
				if from < 0 { // expired blocks leave gaps
					from = 0
				} else {
					continue
				}
			}
			progress = true
			if err := s.apply(ctx, b.Records[from:]); err != nil {
				return err
			}
			if err := s.flushIfLarge(ctx); err != nil {
				return err
			}
		}
		if !progress {
			return nil
		}
	}
}

// maxHead is how many changed jobs the head holds before they become a segment.
const maxHead = 4 * blockJobs

func (s *shard) flushIfLarge(ctx context.Context) error {
	if len(s.dirty) < s.store.maxHead && s.next-s.checkpoint < int64(8*s.store.maxHead) {
		return nil
	}
	return s.flush(ctx)
}

// flush writes the changed jobs of the head as a segment and moves the checkpoint. The caller holds work.
func (s *shard) flush(ctx context.Context) error {
	if s.next == s.checkpoint {
		return nil
	}
	jobs := make([]*Job, len(s.dirty))
	for i, e := range s.dirty {
		jobs[i] = e.job
		e.job.entry = e
	}
	seg, blocks := encodeSegment(jobs, 0)
	replaced := map[*segment]bitmap{}
	for _, e := range s.dirty {
		if e.seg != nil {
			if replaced[e.seg] == nil {
				replaced[e.seg] = slices.Clone(e.seg.gone)
			}
			replaced[e.seg].set(e.row)
		}
	}
	if err := s.store.storeFlush(ctx, s, seg, blocks, replaced); err != nil {
		return fmt.Errorf("index: flush: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, gone := range replaced {
		old.gone = gone
	}
	for row, j := range jobs {
		j.entry.seg, j.entry.row, j.entry.dirty = seg, row, false
		seg.shadow.set(row)
		j.entry = nil
	}
	if len(jobs) > 0 {
		s.segments = slices.Insert(s.segments, 0, seg)
		s.known.add(seg, s.segments)
	}
	s.forget(s.dirty)
	clear(s.dirty) // let go of the jobs
	s.checkpoint, s.dirty, s.deploys, s.flushedAt = s.next, s.dirty[:0], nil, s.store.clock()
	s.version++
	return nil
}

// maxOpen is how many unfinished jobs stay in the head after a flush, where their next events find them at once.
const maxOpen = 20_000

// forget leaves in the head only jobs of which more is expected: what was flushed is in a segment.
func (s *shard) forget(flushed []*entry) {
	for _, e := range flushed {
		if over := len(e.rows) > 0 && e.rows[len(e.rows)-1].Status.Over(); over {
			s.drop(e)
		} else {
			s.keep(e)
		}
	}
	for ; len(s.open) > maxOpen; s.open = s.open[1:] {
		if e := s.open[0]; e.open {
			s.drop(e)
		}
	}
}

// keep puts an entry among those that stay for a while.
func (s *shard) keep(e *entry) {
	if !e.open {
		e.open = true
		s.open = append(s.open, e)
	}
}

// drop takes an entry that a segment has out of the head.
func (s *shard) drop(e *entry) {
	e.open = false
	delete(s.head, e.key)
	e.seg.shadow.clear(e.row)
}

// lookup finds the state of a job; nil when it is not known.
func (s *shard) lookup(ctx context.Context, key string) (*Job, error) {
	s.mu.RLock()
	if e := s.head[key]; e != nil {
		j := &Job{Queue: e.job.Queue, ID: e.job.ID, Set: slices.Clone(e.job.Set), Attrs: slices.Clone(e.job.Attrs), Received: e.job.Received}
		s.mu.RUnlock()
		return j, nil
	}
	var refs []blockRef
	var rows []int
	hash := keyHash([]byte(key))
	for _, seg := range s.segments {
		seg.find(hash, func(row int) bool {
			if !seg.hidden(row) {
				refs, rows = append(refs, blockRef{seg, row / blockJobs}), append(rows, row%blockJobs)
			}
			return true
		})
	}
	s.mu.RUnlock()
	for i, ref := range refs {
		jobs, err := s.store.blockJobs(ctx, s.ws, ref)
		if err != nil {
			return nil, err
		}
		if rows[i] < len(jobs) && Key(jobs[rows[i]].Queue, jobs[rows[i]].ID) == key {
			return jobs[rows[i]], nil
		}
	}
	return nil, nil
}
