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

func encodeScan(rows []Row, owner []int) []byte {
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
func encodeTexts(rows []Row, jobs []*Job) []byte {
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
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Due, &rows[i]) })
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Started, &rows[i]) })
	b = column.AppendVarints(b, n, func(i int) int64 { return sinceFirst(rows[i].Finished, &rows[i]) })
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

// textPart is the decoded texts of a block: rows without what the scan part has.
type textPart struct {
	ids  []string
	rows []Row
}

func (p *textPart) cost() int64 { return int64(len(p.rows))*400 + 1024 }

func decodeTexts(b []byte, scan *scanPart) (*textPart, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, column.ErrBroken
	}
	r := column.NewReader(b[1:])
	n := r.Count()
	p := &textPart{ids: make([]string, r.Count()), rows: make([]Row, n)}
	dict := r.Dict()
	if n != len(scan.first) || len(p.ids) != len(scan.jobsFirst)-1 {
		return nil, column.ErrBroken
	}
	word := func(i int64) string {
		if i < 0 || i >= int64(len(dict)) {
			r.Err = column.ErrBroken
			return ""
		}
		return dict[i]
	}
	r.Texts(len(p.ids), func(i int, v []byte) { p.ids[i] = string(v) })
	rows := p.rows
	for i := range rows {
		rows[i] = scan.row(i)
		rows[i].ID = p.ids[scan.job[i]]
	}
	each := func(set func(row *Row, v int64)) {
		for i := range rows {
			set(&rows[i], r.Varint())
		}
	}
	each(func(row *Row, v int64) { row.Run = int(v) })
	each(func(row *Row, v int64) { row.Last = row.First + v })
	each(func(row *Row, v int64) { row.Due = fromFirst(v, row.First) })
	each(func(row *Row, v int64) { row.Started = fromFirst(v, row.First) })
	each(func(row *Row, v int64) { row.Finished = fromFirst(v, row.First) })
	each(func(row *Row, v int64) { row.Tries = int(v) })
	each(func(row *Row, v int64) { row.Stalls = int(v) })
	each(func(row *Row, v int64) { row.ParentQueue = word(v) })
	each(func(row *Row, v int64) { row.Agent = word(v) })
	each(func(row *Row, v int64) { row.Error = word(v) })
	r.Texts(n, func(i int, v []byte) { rows[i].TraceID = string(v) })
	r.Texts(n, func(i int, v []byte) { rows[i].ParentID = string(v) })
	return p, r.Err
}

// row is what the scan part knows of a run.
func (p *scanPart) row(i int) Row {
	return Row{Queue: p.dict[p.queue[i]], Name: p.dict[p.name[i]], Env: p.dict[p.env[i]], Status: fold.Status(p.status[i]),
		First: p.first[i], Wait: p.wait[i], Duration: p.duration[i], Total: p.total[i]}
}
