package index

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/kept-dev/kept/internal/apps/jobs/eventlog"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/internal/kernel"
)

// Filter says which runs a list holds. Empty fields do not filter. Times are microseconds since the Unix epoch and
// compare with a run's first event; spans are microseconds.
type Filter struct {
	Statuses []fold.Status
	Queue    string
	Name     string
	Env      string
	From     int64 // inclusive
	To       int64 // exclusive; 0 is open
	MinTook  int64 // duration of the last attempt
	MaxTook  int64 // 0 is open
	MinWait  int64
	Trace    string
	Parent   string // Key of the parent
	Text     string // in ids, names, failures and payloads; see eventlog.Search
	After    string // cursor from Page.Next
	Limit    int
}

// Page is a part of a list.
type Page struct {
	Rows []Row
	Next string // cursor of what follows; empty at the end
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// cursor is the place behind a row.
type cursor struct {
	First int64  `json:"f"`
	Hash  uint32 `json:"h"`
	Run   int    `json:"r"`
}

// query is a filter prepared for comparing.
type query struct {
	Filter
	statuses    uint64
	queues      uint64 // bits as in zone
	names, envs uint64
	after       *Row
	needle      *eventlog.Needle
	best        rowHeap // the worst of the best rows on top
}

// errText says that a search text has no word in it.
var errText = kernel.InvalidField("q", "Type at least two letters or digits to search for.")

func newQuery(f Filter) (*query, error) {
	if f.Limit <= 0 {
		f.Limit = DefaultLimit
	}
	f.Limit = min(f.Limit, MaxLimit)
	q := &query{Filter: f}
	for _, s := range f.Statuses {
		q.statuses |= 1 << s
	}
	bit := func(name string) uint64 {
		if name == "" {
			return 0
		}
		return nameBit(name)
	}
	q.queues, q.names, q.envs = bit(f.Queue), bit(f.Name), bit(f.Env)
	if f.After != "" {
		var c cursor
		if err := kernel.DecodeCursor(f.After, &c); err != nil {
			return nil, err
		}
		q.after = &Row{First: c.First, hash: c.Hash, Run: c.Run}
	}
	return q, q.prepareText()
}

// prepareText makes one search of the texts that the log can be searched for; the others are compared row by row.
func (q *query) prepareText() error {
	text := q.Text
	if text != "" && len(text) < eventlog.MinNeedle {
		return errText
	}
	if text == "" {
		text = q.Trace
	}
	if _, id, ok := cutKey(q.Parent); ok && text == "" {
		text = id
	}
	if text == "" {
		return nil
	}
	n, ok := eventlog.NewNeedle(text)
	if !ok {
		return errText
	}
	q.needle = n
	return nil
}

func cutKey(key string) (queue, id string, ok bool) {
	for i := range len(key) {
		if key[i] == 0 {
			return key[:i], key[i+1:], true
		}
	}
	return "", "", false
}

// mayHave tells whether a block can have a row that matches.
func (q *query) mayHave(z *zone) bool {
	return z.runs > 0 &&
		(q.statuses == 0 || z.statuses&q.statuses != 0) &&
		z.queues&q.queues == q.queues && z.names&q.names == q.names && z.envs&q.envs == q.envs &&
		z.maxFirst >= q.From && (q.To == 0 || z.minFirst < q.To) &&
		(q.after == nil || z.minFirst <= q.after.First) && !q.full(z.maxFirst)
}

// full tells whether the page is full of rows that are all newer than the given time.
func (q *query) full(first int64) bool {
	return len(q.best) > q.Limit && q.best[0].First > first
}

// matches compares what the scan part of a block has.
func (q *query) matches(r *Row) bool {
	return (q.statuses == 0 || q.statuses&(1<<r.Status) != 0) &&
		(q.Queue == "" || q.Queue == r.Queue) && (q.Name == "" || q.Name == r.Name) && (q.Env == "" || q.Env == r.Env) &&
		r.First >= q.From && (q.To == 0 || r.First < q.To) &&
		(q.MinTook == 0 || r.Duration >= q.MinTook) && (q.MaxTook == 0 || r.Duration >= 0 && r.Duration <= q.MaxTook) &&
		(q.MinWait == 0 || r.Wait >= q.MinWait)
}

// matchesTexts compares the rest.
func (q *query) matchesTexts(r *Row) bool {
	return (q.Trace == "" || q.Trace == r.TraceID) &&
		(q.Parent == "" || q.Parent == Key(r.ParentQueue, r.ParentID)) && (q.after == nil || q.after.before(r))
}

// rowHeap has the row that sorts last on top.
type rowHeap []Row

func (h rowHeap) Len() int           { return len(h) }
func (h rowHeap) Less(i, j int) bool { return h[j].before(&h[i]) }
func (h rowHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rowHeap) Push(v any)        { *h = append(*h, v.(Row)) }
func (h *rowHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// wants tells whether a row that matches would be on the page. One more than the limit is kept, to know whether there
// is a next page.
func (q *query) wants(r *Row) bool {
	return len(q.best) <= q.Limit || r.before(&q.best[0])
}

func (q *query) take(r Row) {
	heap.Push(&q.best, r)
	if len(q.best) > q.Limit+1 {
		heap.Pop(&q.best)
	}
}

func (q *query) page() Page {
	rows := []Row(q.best)
	slices.SortFunc(rows, func(a, b Row) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	p := Page{Rows: rows}
	if len(rows) > q.Limit {
		p.Rows = rows[:q.Limit]
		last := p.Rows[q.Limit-1]
		p.Next = kernel.EncodeCursor(cursor{last.First, last.hash, last.Run})
	}
	return p
}

// view is a consistent look at a shard: the segments and which of their rows count.
type view struct {
	segments []*segment
	hidden   []bitmap
	version  uint64
}

// look takes a view and calls head with the rows of the head's jobs, which must not be kept without a copy.
func (s *shard) look(head func(rows []Row)) view {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := view{segments: slices.Clone(s.segments), version: s.version}
	for _, seg := range v.segments {
		hidden := slices.Clone(seg.gone)
		for i, w := range seg.shadow {
			hidden[i] |= w
		}
		v.hidden = append(v.hidden, hidden)
	}
	for _, e := range s.head {
		head(e.rows)
	}
	return v
}

// List answers with a page of runs, newest first.
func (x *Index) List(ctx context.Context, ws kernel.WorkspaceID, f Filter) (Page, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return Page{}, err
	}
	for try := 0; ; try++ {
		q, err := newQuery(f)
		if err != nil {
			return Page{}, err
		}
		if q.needle != nil {
			err = x.search(ctx, s, q)
		} else {
			err = x.list(ctx, s, q)
		}
		if errors.Is(err, errOvertaken) && try < 3 {
			if try > 0 { // not a merge of this instance, whose view is renewed by looking again
				err = x.reload(ctx, s)
			}
			if err == nil || try == 0 {
				continue
			}
		}
		return q.page(), err
	}
}

// block is a block of a view.
type viewBlock struct {
	blockRef
	hidden bitmap
	zone   *zone
}

// blocks lists the view's blocks that may matter, those with the newest rows first.
func (v *view) blocks(may func(*zone) bool) []viewBlock {
	var out []viewBlock
	for i, seg := range v.segments {
		for n := range seg.zones {
			if z := &seg.zones[n]; may(z) {
				out = append(out, viewBlock{blockRef{seg, n}, v.hidden[i], z})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].zone.maxFirst > out[j].zone.maxFirst })
	return out
}

func (x *Index) list(ctx context.Context, s *shard, q *query) error {
	return x.eachWanted(ctx, s, q, func(r *Row) bool {
		q.take(*r)
		return true
	})
}

// eachWanted calls take with the rows that match and that the page wants, roughly those that come first in front, until
// it returns false.
func (x *Index) eachWanted(ctx context.Context, s *shard, q *query, take func(*Row) bool) error {
	more := true
	v := s.look(func(rows []Row) {
		for i := range rows {
			if r := &rows[i]; more && q.matches(r) && q.matchesTexts(r) && q.wants(r) {
				more = take(r)
			}
		}
	})
	for _, b := range v.blocks(q.mayHave) {
		if !more || q.full(b.zone.maxFirst) {
			return nil
		}
		var err error
		if more, err = x.wantedOf(ctx, s.ws, q, b, take); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) wantedOf(ctx context.Context, ws kernel.WorkspaceID, q *query, b viewBlock, take func(*Row) bool) (more bool, err error) {
	scan, err := x.scan(ctx, ws, b.blockRef)
	if err != nil {
		return false, err
	}
	var texts *textPart
	for i := len(scan.first) - 1; i >= 0; i-- { // the newest are last
		if b.hidden.has(b.number*blockJobs + int(scan.job[i])) {
			continue
		}
		r := scan.row(i)
		if !q.matches(&r) || len(q.best) > q.Limit && r.First < q.best[0].First {
			continue
		}
		if texts == nil {
			if texts, err = x.text(ctx, ws, b.blockRef); err != nil {
				return false, err
			}
		}
		full := texts.row(scan, i)
		full.hash = b.seg.hashes[b.number*blockJobs+int(scan.job[i])]
		if q.matchesTexts(&full) && q.wants(&full) && !take(&full) {
			return false, nil
		}
	}
	return true, nil
}

// rowsOf finds the runs of a job.
func (x *Index) rowsOf(ctx context.Context, s *shard, key string) ([]Row, error) {
	s.mu.RLock()
	if e := s.head[key]; e != nil {
		rows := slices.Clone(e.rows)
		s.mu.RUnlock()
		return rows, nil
	}
	var refs []blockRef
	var at []int
	hash := keyHash([]byte(key))
	for _, seg := range s.segments {
		seg.find(hash, func(row int) bool {
			if !seg.hidden(row) {
				refs, at = append(refs, blockRef{seg, row / blockJobs}), append(at, row%blockJobs)
			}
			return true
		})
	}
	s.mu.RUnlock()
	for i, ref := range refs {
		scan, err := x.scan(ctx, s.ws, ref)
		if err != nil {
			return nil, err
		}
		texts, err := x.text(ctx, s.ws, ref)
		if err != nil {
			return nil, err
		}
		from, to := scan.jobsFirst[at[i]], len(scan.first)
		if at[i]+1 < len(scan.jobsFirst) {
			to = scan.jobsFirst[at[i]+1]
		}
		var rows []Row
		for run := from; run < to; run++ {
			r := texts.row(scan, run)
			if r.hash = uint32(hash >> 32); Key(r.Queue, r.ID) != key {
				break // another job with the same hash
			}
			rows = append(rows, r)
		}
		if len(rows) > 0 {
			return rows, nil
		}
	}
	return nil, nil
}

// Get answers with a job's runs and their steps; NotFound when it is not known.
func (x *Index) Get(ctx context.Context, ws kernel.WorkspaceID, queue, id string) (*Job, []fold.Run, []Row, error) {
	s, err := x.shard(ctx, ws)
	if err != nil {
		return nil, nil, nil, err
	}
	j, err := s.lookup(ctx, Key(queue, id))
	for try := 0; errors.Is(err, errOvertaken) && try < 3; try++ {
		j, err = s.lookup(ctx, Key(queue, id))
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if j == nil {
		return nil, nil, nil, kernel.Errorf(kernel.NotFound, "There is no such job. It may have passed its retention time.")
	}
	return j, fold.Fold(j.Set), j.rows(), nil
}
