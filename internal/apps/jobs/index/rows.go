package index

import (
	"encoding/binary"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
	"github.com/kept-dev/kept/internal/apps/jobs/fold"
)

// scanPart is a block's runs as columns, decoded for filtering and counting. Index i is a run throughout.
type scanPart struct {
	job       []int64 // number of its job in the block
	first     []int64
	wait      []int64
	duration  []int64
	total     []int64
	status    []byte
	queue     []int64 // index into dict
	name      []int64
	env       []int64
	dict      []string
	jobsFirst []int // of each job, its first run
}

// cost is roughly what the part takes in memory, bytes.
func (p *scanPart) cost() int64 { return int64(len(p.first))*66 + 1024 }

func encodeScan(rows []*Row, owner []int) []byte {
	var dict column.Dict
	for i := range rows {
		dict.Index(rows[i].Queue)
		dict.Index(rows[i].Name)
		dict.Index(rows[i].Env)
	}
	n := len(rows)
	b := binary.AppendUvarint([]byte{formatVersion}, uint64(n))
	b = dict.Append(b)
	for i := range rows {
		b = append(b, byte(rows[i].Status))
	}
	b = column.AppendDeltas(b, n, func(i int) int64 { return int64(owner[i]) })
	b = column.AppendDeltas(b, n, func(i int) int64 { return rows[i].First })
	b = column.AppendVarints(b, n, func(i int) int64 { return rows[i].Wait })
	b = column.AppendVarints(b, n, func(i int) int64 { return rows[i].Duration })
	b = column.AppendVarints(b, n, func(i int) int64 { return rows[i].Total })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].Queue)) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].Name)) })
	return column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].Env)) })
}

func decodeScan(b []byte, jobs int) (*scanPart, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, column.ErrBroken
	}
	r := column.NewReader(b[1:])
	n := r.Count()
	p := &scanPart{dict: r.Dict()}
	p.status = r.Bytes(n)
	p.job, p.first = r.Deltas(n), r.Deltas(n)
	p.wait, p.duration, p.total = r.Varints(n), r.Varints(n), r.Varints(n)
	p.queue, p.name, p.env = r.Varints(n), r.Varints(n), r.Varints(n)
	if r.Err != nil {
		return nil, r.Err
	}
	p.jobsFirst = make([]int, jobs+1)
	at := 0
	for j := range p.jobsFirst {
		for at < n && p.job[at] < int64(j) {
			at++
		}
		p.jobsFirst[j] = at
	}
	for i := range n {
		for _, w := range [...]int64{p.queue[i], p.name[i], p.env[i]} {
			if w < 0 || w >= int64(len(p.dict)) {
				return nil, column.ErrBroken
			}
		}
		if p.job[i] < 0 || p.job[i] >= int64(jobs) {
			return nil, column.ErrBroken
		}
	}
	return p, nil
}

// encodeTexts writes what lists show and scans do not need.
func encodeTexts(rows []*Row, jobs []*Job) []byte {
	var dict column.Dict
	for i := range rows {
		dict.Index(rows[i].ParentQueue)
		dict.Index(rows[i].Agent)
		dict.Index(rows[i].Error)
	}
	n := len(rows)
	b := binary.AppendUvarint([]byte{formatVersion}, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(jobs)))
	b = dict.Append(b)
	b = column.AppendTexts(b, len(jobs), func(i int) string { return jobs[i].ID })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(rows[i].Run) })
	b = column.AppendVarints(b, n, func(i int) int64 { return rows[i].Last - rows[i].First })
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Due, rows[i]) })
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Started, rows[i]) })
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Finished, rows[i]) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(rows[i].Tries) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(rows[i].Stalls) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].ParentQueue)) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].Agent)) })
	b = column.AppendVarints(b, n, func(i int) int64 { return int64(dict.Index(rows[i].Error)) })
	b = column.AppendTexts(b, n, func(i int) string { return rows[i].TraceID })
	return column.AppendTexts(b, n, func(i int) string { return rows[i].ParentID })
}

// sinceFirst writes a time that may be absent as its distance to the first event, plus one, so that 0 is absent.
func sinceFirst(at int64, r *Row) int64 {
	if at == 0 {
		return 0
	}
	if d := at - r.First; d >= 0 {
		return d + 1
	}
	return at - r.First // negative: stamped before what sorts first
}

func fromFirst(v, first int64) int64 {
	switch {
	case v == 0:
		return 0
	case v > 0:
		return first + v - 1
	}
	return first + v
}

// textPart is the rest of a block's runs as columns. Rows are put together one by one, because a list shows few.
type textPart struct {
	dict    []string
	ids     texts // of each job
	columns [textColumns][]int64
	traces  texts // of each run, as are the others
	parents texts
}

// The number columns of a textPart, in the order in which they are written.
const (
	colRun = iota
	colLast
	colDue
	colStarted
	colFinished
	colTries
	colStalls
	colParentQueue
	colAgent
	colError
	textColumns
)

// texts is a column of texts: text i is bytes[ends[i-1]:ends[i]].
type texts struct {
	ends  []int32
	bytes []byte
}

func (t *texts) at(i int) string {
	from := int32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return string(t.bytes[from:t.ends[i]])
}

func readTexts(r *column.Reader, n int) texts {
	t := texts{ends: make([]int32, n)}
	r.Texts(n, func(i int, v []byte) {
		t.bytes = append(t.bytes, v...)
		t.ends[i] = int32(len(t.bytes))
	})
	for i := 1; i < n; i++ { // empty ones end where the one before does
		t.ends[i] = max(t.ends[i], t.ends[i-1])
	}
	return t
}

func (p *textPart) cost() int64 {
	return int64(len(p.columns[0])*8*textColumns+len(p.ids.bytes)+len(p.traces.bytes)+len(p.parents.bytes)) + 1024
}

func decodeTexts(b []byte, scan *scanPart) (*textPart, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, column.ErrBroken
	}
	r := column.NewReader(b[1:])
	n, jobs := r.Count(), r.Count()
	if n != len(scan.first) || jobs != len(scan.jobsFirst)-1 {
		return nil, column.ErrBroken
	}
	p := &textPart{dict: r.Dict()}
	p.ids = readTexts(r, jobs)
	for c := range p.columns {
		p.columns[c] = r.Varints(n)
	}
	p.traces, p.parents = readTexts(r, n), readTexts(r, n)
	for _, c := range []int{colParentQueue, colAgent, colError} {
		for _, w := range p.columns[c] {
			if w < 0 || w >= int64(len(p.dict)) {
				return nil, column.ErrBroken
			}
		}
	}
	return p, r.Err
}

// row puts a run together.
func (p *textPart) row(scan *scanPart, i int) Row {
	r := scan.row(i)
	col := func(c int) int64 { return p.columns[c][i] }
	r.ID, r.TraceID, r.ParentID = p.ids.at(int(scan.job[i])), p.traces.at(i), p.parents.at(i)
	r.Run, r.Tries, r.Stalls = int(col(colRun)), int(col(colTries)), int(col(colStalls))
	r.Last = r.First + col(colLast)
	r.Due, r.Started, r.Finished = fromFirst(col(colDue), r.First), fromFirst(col(colStarted), r.First), fromFirst(col(colFinished), r.First)
	r.ParentQueue, r.Agent, r.Error = p.dict[col(colParentQueue)], p.dict[col(colAgent)], p.dict[col(colError)]
	return r
}

// row is what the scan part knows of a run.
func (p *scanPart) row(i int) Row {
	return Row{Queue: p.dict[p.queue[i]], Name: p.dict[p.name[i]], Env: p.dict[p.env[i]], Status: fold.Status(p.status[i]),
		First: p.first[i], Wait: p.wait[i], Duration: p.duration[i], Total: p.total[i]}
}
