package index

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
	"github.com/kept-dev/kept/wire/jobviz"
)

// A segment holds many jobs, sorted by the time of their first event, in blocks. A block has three parts, so that a
// question reads only what it needs:
//
//	scan   one entry per run: what lists filter by and overviews count
//	texts  one entry per run: what a list shows
//	events one entry per job: the sets and attributes, for merging and for a job's page
//
// The segment's own row holds the keys of its jobs and what each block spans.

// blockJobs is how many jobs a block holds.
const blockJobs = 4096

// formatVersion is that of segments and their blocks.
const formatVersion = 1

// zone says what a block spans, so that most questions skip most blocks.
type zone struct {
	jobs               int
	runs               int
	minFirst, maxFirst int64
	statuses           uint64 // a bit per fold.Status
	queues             uint64 // a bit per hash of a queue's name modulo 64
	names              uint64
	envs               uint64
}

func nameBit(name string) uint64 { return 1 << (keyHash([]byte(name)) >> 32 % 64) }

func (z *zone) add(r *Row) {
	if z.runs == 0 || r.First < z.minFirst {
		z.minFirst = r.First
	}
	z.maxFirst = max(z.maxFirst, r.First)
	z.runs++
	z.statuses |= 1 << r.Status
}

// collector gathers the names in a segment and in the zone of its block. Neighbours are often alike, which spares most
// of the work.
type collector struct {
	values [3]map[string]bool // of the segment: queues, names, envs
	last   [3]string          // what was added to the zone last
}

func newCollector() *collector { return &collector{values: [3]map[string]bool{{}, {}, {}}} }

func (c *collector) add(z *zone, r *Row) {
	for i, v := range [3]string{r.Queue, r.Name, r.Env} {
		if v == c.last[i] && z.runs > 1 {
			continue
		}
		c.values[i][v], c.last[i] = true, v
		*[3]*uint64{&z.queues, &z.names, &z.envs}[i] |= nameBit(v)
	}
}

// segment is the part of a stored segment that stays in memory.
type segment struct {
	id       int64
	level    int
	hashes   []uint32 // upper half of keyHash of each job, in row order
	tags     []uint16 // lowest bits of it: with them one look-up in a billion finds a stranger
	sorted   []uint32 // the hashes in ascending order
	order    []uint32 // the row of each of them
	zones    []zone
	received span // of the jobs' newest events
	facets   facets
	gone     bitmap // rows that a newer segment has; stored
	shadow   bitmap // rows that the head has; forgotten with it
	counted  int    // blocks whose pulses were counted ahead; of the background work alone
}

type span struct{ first, last int64 }

// facets are the values that filters offer.
type facets struct{ queues, names, envs []string }

// maxFacet bounds how many values of one kind a segment remembers.
const maxFacet = 500

// bitmap is a set of row numbers.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) clear(i int)    { b[i/64] &^= 1 << (i % 64) }
func (b bitmap) bytes() []byte  { return appendBitmap(nil, b) }
func bitmapOf(raw []byte, n int) bitmap {
	b := newBitmap(n)
	for i := range b {
		if len(raw) >= 8*i+8 {
			b[i] = binary.LittleEndian.Uint64(raw[8*i:])
		}
	}
	return b
}

func appendBitmap(dst []byte, b bitmap) []byte {
	for _, w := range b {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

func (s *segment) jobs() int { return len(s.hashes) }

// hidden tells whether a newer state of the job in the row is somewhere else.
func (s *segment) hidden(row int) bool { return s.gone.has(row) || s.shadow.has(row) }

// addKey takes in the key of the next row.
func (s *segment) addKey(hash uint64) {
	s.hashes, s.tags = append(s.hashes, uint32(hash>>32)), append(s.tags, uint16(hash))
}

// find calls yield with the rows whose key has the hash, until it returns false. Hashes are spread evenly, so the place
// to look is known within a few (interpolation search); most look-ups are for jobs that the segment does not have, and
// cost one or two lines of memory.
func (s *segment) find(key uint64, yield func(row int) bool) {
	n := len(s.sorted)
	if n == 0 {
		return
	}
	hash, tag := uint32(key>>32), uint16(key)
	i := int(uint64(hash) * uint64(n) >> 32)
	for i > 0 && s.sorted[i-1] >= hash {
		i--
	}
	for i < n && s.sorted[i] < hash {
		i++
	}
	for ; i < n && s.sorted[i] == hash; i++ {
		if row := int(s.order[i]); s.tags[row] == tag && !yield(row) {
			return
		}
	}
}

// indexKeys fills sorted and order.
func (s *segment) indexKeys() {
	s.order = make([]uint32, len(s.hashes))
	for i := range s.order {
		s.order[i] = uint32(i)
	}
	slices.SortFunc(s.order, func(a, b uint32) int { return cmp.Compare(s.hashes[a], s.hashes[b]) })
	s.sorted = make([]uint32, len(s.order))
	for i, row := range s.order {
		s.sorted[i] = s.hashes[row]
	}
}

// plainBlock is a block before it is packed.
type plainBlock struct{ scan, texts, events []byte }

// encodeSegment sorts the jobs by age and writes them.
func encodeSegment(jobs []*Job, level int) (*segment, []plainBlock) {
	sortByAge(jobs)
	s := &segment{level: level, gone: newBitmap(len(jobs)), shadow: newBitmap(len(jobs))}
	collected := newCollector()
	var blocks []plainBlock
	for chunk := range slices.Chunk(jobs, blockJobs) {
		z := zone{jobs: len(chunk)}
		rows := make([]*Row, 0, len(chunk)+len(chunk)/8)
		owner := make([]int, 0, cap(rows))
		for i, j := range chunk {
			s.addKey(j.keyHash())
			s.received.widen(j.Received)
			folded := j.rows()
			for n := range folded {
				r := &folded[n]
				z.add(r)
				collected.add(&z, r)
				rows = append(rows, r)
				owner = append(owner, i)
			}
		}
		s.zones = append(s.zones, z)
		blocks = append(blocks, plainBlock{encodeScan(rows, owner), encodeTexts(rows, chunk), encodeEvents(chunk)})
	}
	s.facets = facets{values(collected.values[0]), values(collected.values[1]), values(collected.values[2])}
	s.indexKeys()
	return s, blocks
}

// sortByAge sorts jobs by their first event. The times are taken out first: to follow two pointers at each comparison
// would cost more than the sorting.
func sortByAge(jobs []*Job) {
	type aged struct {
		at  int64
		job *Job
	}
	list := make([]aged, len(jobs))
	for i, j := range jobs {
		list[i] = aged{firstAt(j), j}
	}
	slices.SortFunc(list, func(a, b aged) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return cmp.Or(cmp.Compare(a.job.Queue, b.job.Queue), cmp.Compare(a.job.ID, b.job.ID))
	})
	for i := range list {
		jobs[i] = list[i].job
	}
}

func (s *span) widen(at int64) {
	if s.first == 0 || at < s.first {
		s.first = at
	}
	s.last = max(s.last, at)
}

func firstAt(j *Job) int64 {
	if len(j.Set) == 0 {
		return 0
	}
	return j.Set[0].At
}

func values(set map[string]bool) []string {
	var out []string
	for v := range set {
		if v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), maxFacet)]
}

// encodeMeta writes what stays in memory, but for gone.
func (s *segment) encodeMeta() []byte {
	b := binary.AppendUvarint(nil, uint64(len(s.hashes)))
	for _, h := range s.hashes {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	for _, t := range s.tags {
		b = binary.LittleEndian.AppendUint16(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(s.zones)))
	for _, z := range s.zones {
		for _, v := range []int64{int64(z.jobs), int64(z.runs), z.minFirst, z.maxFirst - z.minFirst} {
			b = binary.AppendVarint(b, v)
		}
		for _, v := range []uint64{z.statuses, z.queues, z.names, z.envs} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	for _, list := range [][]string{s.facets.queues, s.facets.names, s.facets.envs} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, v := range list {
			b = column.AppendText(b, v)
		}
	}
	return b
}

func (s *segment) decodeMeta(b []byte) error {
	r := column.NewReader(b)
	s.hashes = r.Uint32s(r.Count())
	s.tags = make([]uint16, len(s.hashes))
	for i, raw := 0, r.Bytes(2*len(s.tags)); i < len(raw)/2; i++ {
		s.tags[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	for range r.Count() {
		z := zone{jobs: int(r.Varint()), runs: int(r.Varint()), minFirst: r.Varint()}
		z.maxFirst = z.minFirst + r.Varint()
		for _, v := range []*uint64{&z.statuses, &z.queues, &z.names, &z.envs} {
			if raw := r.Bytes(8); raw != nil {
				*v = binary.LittleEndian.Uint64(raw)
			}
		}
		s.zones = append(s.zones, z)
	}
	for _, list := range []*[]string{&s.facets.queues, &s.facets.names, &s.facets.envs} {
		for range r.Count() {
			*list = append(*list, string(r.Text()))
		}
	}
	s.indexKeys()
	return r.Err
}

// encodeEvents writes the sets and attributes of a block's jobs.
func encodeEvents(jobs []*Job) []byte {
	var dict column.Dict
	events, attributes := 0, 0
	for _, j := range jobs {
		events += len(j.Set)
		attributes += len(j.Attrs)
	}
	all := make([]fold.Event, 0, events)
	attrs := make([]Attr, 0, attributes)
	for _, j := range jobs {
		all = append(all, j.Set...)
		attrs = append(attrs, j.Attrs...)
		dict.Index(j.Queue)
	}
	for _, a := range attrs {
		if inDict(a.Kind) {
			dict.Index(a.Value)
		}
	}
	n := len(jobs)
	b := append(make([]byte, 0, 64*n+20*events+12*attributes), formatVersion) // about what it takes
	b = binary.AppendUvarint(b, uint64(n))
	b = dict.Append(b)
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(jobs[i].Queue)) })
	b = column.AppendTexts(b, n, func(i int) string { return jobs[i].ID })
	b = column.AppendDeltas(b, n, func(i int) int64 { return jobs[i].Received })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(len(jobs[i].Set)) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(len(jobs[i].Attrs)) })
	b = appendEvents(b, all)
	return appendAttrs(b, attrs, &dict)
}

func appendEvents(b []byte, all []fold.Event) []byte {
	n := len(all)
	b = column.AppendDeltas(b, n, func(i int) int64 { return all[i].At })
	b = column.AppendDeltas(b, n, func(i int) int64 { return all[i].Offset })
	b = column.AppendVarints(b, n, func(i int) int64 {
		if all[i].Type == jobviz.Delayed && all[i].Arg > 0 {
			return all[i].Arg - all[i].At
		}
		return all[i].Arg
	})
	for i := range all {
		b = append(b, byte(all[i].Type))
	}
	for i := range all {
		b = append(b, byte(all[i].Flags))
	}
	for i := range all {
		b = append(b, all[i].Nth)
	}
	for i := range all {
		b = binary.LittleEndian.AppendUint32(b, all[i].Hash)
	}
	return b
}

func appendAttrs(b []byte, attrs []Attr, dict *column.Dict) []byte {
	n := len(attrs)
	for i := range attrs {
		b = append(b, byte(attrs[i].Kind))
	}
	b = column.AppendDeltas(b, n, func(i int) int64 { return attrs[i].At })
	b = column.AppendVarints(b, n, func(i int) int64 {
		if inDict(attrs[i].Kind) {
			return int64(dict.Index(attrs[i].Value))
		}
		return 0
	})
	return column.AppendTexts(b, n, func(i int) string {
		if inDict(attrs[i].Kind) {
			return ""
		}
		return attrs[i].Value
	})
}

// inDict tells whether the values of a kind repeat from job to job.
func inDict(k AttrKind) bool { return k != AttrTrace && k != AttrParent }

// decodeEvents is the inverse of encodeEvents.
func decodeEvents(b []byte) ([]*Job, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, column.ErrBroken
	}
	r := column.NewReader(b[1:])
	n := r.Count()
	dict := r.Dict()
	word := func(i int64) string {
		if i < 0 || i >= int64(len(dict)) {
			r.Err = column.ErrBroken
			return ""
		}
		return dict[i]
	}
	jobs := make([]*Job, n)
	for i, q := range r.Varints(n) {
		jobs[i] = &Job{Queue: word(q)}
	}
	r.Texts(n, func(i int, v []byte) { jobs[i].ID = string(v) })
	for i, v := range r.Deltas(n) {
		jobs[i].Received = v
	}
	events, attrs := r.Varints(n), r.Varints(n)
	if err := readEvents(r, jobs, events); err != nil {
		return nil, err
	}
	readAttrs(r, jobs, attrs, word)
	return jobs, r.Err
}

// total adds up lengths and refuses what cannot be.
func total(lengths []int64) (int, error) {
	sum := int64(0)
	for _, l := range lengths {
		if l < 0 || l > column.MaxRows {
			return 0, column.ErrBroken
		}
		sum += l
	}
	if sum > 16*column.MaxRows {
		return 0, column.ErrBroken
	}
	return int(sum), nil
}

func readEvents(r *column.Reader, jobs []*Job, lengths []int64) error {
	n, err := total(lengths)
	if err != nil || r.Err != nil {
		return column.ErrBroken
	}
	all := make(fold.Set, n)
	for i, v := range r.Deltas(n) {
		all[i].At = v
	}
	for i, v := range r.Deltas(n) {
		all[i].Offset = v
	}
	args := r.Varints(n)
	for i, v := range r.Bytes(n) {
		all[i].Type = jobviz.Type(v)
	}
	for i, v := range r.Bytes(n) {
		all[i].Flags = fold.Flags(v)
	}
	for i, v := range r.Bytes(n) {
		all[i].Nth = v
	}
	for i, v := range r.Uint32s(n) {
		all[i].Hash = v
	}
	for i, v := range args {
		if all[i].Type == jobviz.Delayed && v > 0 {
			v += all[i].At
		}
		all[i].Arg = v
	}
	for i, l := range lengths {
		jobs[i].Set, all = all[:l:l], all[l:]
	}
	return r.Err
}

func readAttrs(r *column.Reader, jobs []*Job, lengths []int64, word func(int64) string) {
	n, err := total(lengths)
	if err != nil || r.Err != nil {
		r.Err = column.ErrBroken
		return
	}
	all := make([]Attr, n)
	for i, v := range r.Bytes(n) {
		all[i].Kind = AttrKind(v)
	}
	for i, v := range r.Deltas(n) {
		all[i].At = v
	}
	for i, v := range r.Varints(n) {
		all[i].Value = word(v)
	}
	r.Texts(n, func(i int, v []byte) { all[i].Value = string(v) })
	for i, l := range lengths {
		jobs[i].Attrs, all = all[:l:l], all[l:]
	}
}
