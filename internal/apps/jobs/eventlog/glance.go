package eventlog

import (
	"fmt"

	"github.com/kept-dev/kept/internal/apps/jobs/column"
)

// glance is a block as searches read it: columns without pointers, which are found again in the cache as they are, and
// texts in lower case, which are searched as a whole.
type glance struct {
	first  int64
	at     []int64
	queues []uint32 // indexes into words
	names  []uint32
	words  [][]byte
	lower  [][]byte // the words in lower case
	ids    textColumn
	texts  [metaTexts]textColumn
	data   *textColumn // nil: not read yet
}

// metaTexts are the columns of texts in a meta part; the first has the ids of jobs.
const metaTexts = 4

// textColumn is the texts of a block's rows behind one another.
type textColumn struct {
	ends  []uint32
	bytes []byte
}

func (c *textColumn) bounds(row int) (start, end int) {
	if row > 0 {
		start = int(c.ends[row-1])
	}
	return start, int(c.ends[row])
}

func (c *textColumn) text(row int) []byte {
	start, end := c.bounds(row)
	return c.bytes[start:end]
}

// cost is roughly what the block takes in memory, bytes.
func (g *glance) cost() int64 {
	cost := int64(len(g.at)*(8+4+4+4*metaTexts) + len(g.ids.bytes) + 1024)
	for i := range g.texts {
		cost += int64(len(g.texts[i].bytes))
	}
	if g.data != nil {
		cost += int64(4*len(g.data.ends) + len(g.data.bytes))
	}
	return cost
}

// readTextColumn reads n texts as column.AppendTexts wrote them. They point into what is read.
func readTextColumn(r *column.Reader, n int) textColumn {
	c := textColumn{ends: make([]uint32, n)}
	end := uint64(0)
	for i := range c.ends {
		if l := r.Uvarint(); l <= maxPart {
			end = min(end+l, maxPart+1) // that much is not there
		} else {
			r.Err = column.ErrBroken
		}
		c.ends[i] = uint32(end)
	}
	c.bytes = r.Bytes(int(end))
	return c
}

// glanceAt reads a meta part, which it turns into lower case here and there. See the layout at encoder.
func glanceAt(meta []byte, first int64) (*glance, error) {
	if len(meta) == 0 || meta[0] != blockVersion {
		return nil, fmt.Errorf("eventlog: a block of unknown version: this binary is older than its data")
	}
	r := column.NewReader(meta[1:])
	n := r.Count()
	g := &glance{first: first, at: make([]int64, n), queues: make([]uint32, n), names: make([]uint32, n), words: make([][]byte, r.Count()+1)}
	g.lower = make([][]byte, len(g.words))
	for i := 1; i < len(g.words); i++ {
		g.words[i] = r.Text()
		g.lower[i] = lowerASCII(append([]byte(nil), g.words[i]...))
	}
	at := int64(0)
	for i := range g.at {
		at += r.Varint()
		g.at[i] = at
	}
	skipVarints(r, n) // when they were received
	r.Bytes(3 * n)    // types, flags, nth
	skipVarints(r, n) // args
	r.Bytes(4 * n)    // hashes
	g.readDict(r)
	for i := range g.texts {
		g.texts[i] = readTextColumn(r, n)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	g.ids = textColumn{g.texts[0].ends, append([]byte(nil), g.texts[0].bytes...)}
	for i := range g.texts {
		lowerASCII(g.texts[i].bytes)
	}
	return g, nil
}

func skipVarints(r *column.Reader, n int) {
	for range n {
		r.Varint()
	}
}

// readDict reads the indexes of the fields in the order of Record.dictFields.
func (g *glance) readDict(r *column.Reader) {
	for i := range g.at {
		for c := range dictColumns {
			w := r.Uvarint()
			if w >= uint64(len(g.words)) {
				r.Err, w = column.ErrBroken, 0
			}
			switch c {
			case 0:
				g.queues[i] = uint32(w)
			case 1:
				g.names[i] = uint32(w)
			}
		}
	}
}

// withData reads the bodies part, which it turns into lower case.
func (g *glance) withData(bodies []byte) error {
	r := column.NewReader(bodies)
	if n := r.Count(); n != len(g.at) && r.Err == nil {
		return column.ErrBroken
	}
	data := readTextColumn(r, len(g.at))
	lowerASCII(data.bytes)
	g.data = &data
	return r.Err
}

func (g *glance) match(row int) Match {
	return Match{At: g.at[row], Queue: g.words[g.queues[row]], JobID: g.ids.text(row)}
}

// find lists the rows that hold the needle in any of Record.searched.
func (g *glance) find(n *Needle, whole bool) (out []Match) {
	hits := make([]bool, len(g.at))
	mark := func(row int) { hits[row] = true }
	for i := range g.texts {
		n.inColumn(&g.texts[i], whole, mark)
	}
	n.inColumn(g.data, whole, mark)
	named := g.wordsWith(n, whole)
	for row, hit := range hits {
		if hit || named != nil && named[g.names[row]] {
			out = append(out, g.match(row))
		}
	}
	return out
}

// findIn is find for a few rows.
func (g *glance) findIn(rows []int, n *Needle, whole bool) (out []Match) {
	named := g.wordsWith(n, whole)
	for _, row := range rows {
		hit := named != nil && named[g.names[row]] || n.in(g.data.text(row), whole)
		for i := range g.texts {
			hit = hit || n.in(g.texts[i].text(row), whole)
		}
		if hit {
			out = append(out, g.match(row))
		}
	}
	return out
}

// wordsWith tells which words of the dictionary hold the needle; nil when none does.
func (g *glance) wordsWith(n *Needle, whole bool) (with []bool) {
	for i, w := range g.lower {
		if n.in(w, whole) {
			if with == nil {
				with = make([]bool, len(g.lower))
			}
			with[i] = true
		}
	}
	return with
}

// of lists the rows with events of the jobs.
func (g *glance) of(jobs *JobSet) (rows []int) {
	for row := range g.at {
		if jobs.has(g.words[g.queues[row]], g.ids.text(row)) {
			rows = append(rows, row)
		}
	}
	return rows
}
