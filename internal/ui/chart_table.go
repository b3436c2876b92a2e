package ui

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"
)

// cells is how many numbers the table of a chart holds at most. A page with
// many charts would otherwise be mostly tables that nobody opens.
const cells = 1200

// Wide tells whether the series are too many to be columns: then the table
// has a row for each, with what its values come to.
func (c Chart) Wide() bool { return len(c.Series) > 12 }

// Stride is the distance of the rows of the table in moments.
func (c Chart) Stride() int {
	rows := max(12, cells/(len(c.Series)+1))
	return (len(c.At) + rows - 1) / max(rows, 1)
}

// ChartRow is a row of the table: one moment.
type ChartRow struct {
	At    time.Time
	Cells []string
}

// Rows are the moments of the table; where there are too many, every Stride-th
// counted from the end.
func (c Chart) Rows() []ChartRow {
	stride := max(1, c.Stride())
	var rows []ChartRow
	for i := (len(c.At) - 1) % stride; i >= 0 && i < len(c.At); i += stride {
		row := ChartRow{At: c.At[i]}
		for _, s := range c.Series {
			row.Cells = append(row.Cells, c.Cell(s, i))
		}
		rows = append(rows, row)
	}
	return rows
}

// Cell is the text of one value of the table.
func (c Chart) Cell(s Series, i int) string { return c.Text(s, s.at(i)) }

// Last is the newest value of a series with its unit.
func (c Chart) Last(s Series) string { return c.Text(s, reduceTo("last", s.Values)) }

// Sum is one row of the table where series are rows.
type Sum struct{ Label, Last, Min, Max, Mean string }

// Sums are the rows of such a table.
func (c Chart) Sums() []Sum {
	sums := make([]Sum, len(c.Series))
	for i, s := range c.Series {
		of := func(r Reduce) string { return c.Text(s, reduceTo(r, s.Values)) }
		sums[i] = Sum{s.Label, of(ReduceLast), of(ReduceMin), of(ReduceMax), of(ReduceMean)}
	}
	return sums
}

// Reduce makes one figure of a series.
type Reduce string

// The ways to make one figure. Gaps do not count.
const (
	ReduceLast Reduce = "last"
	ReduceMin  Reduce = "min"
	ReduceMax  Reduce = "max"
	ReduceMean Reduce = "mean"
	ReduceSum  Reduce = "sum"
)

func reduceTo(how Reduce, values []float64) float64 {
	var known []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			known = append(known, v)
		}
	}
	if len(known) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range known {
		sum += v
	}
	switch how {
	case ReduceMin:
		return slices.Min(known)
	case ReduceMax:
		return slices.Max(known)
	case ReduceMean:
		return sum / float64(len(known))
	case ReduceSum:
		return sum
	}
	return known[len(known)-1]
}

// Reading is a series as one figure.
type Reading struct {
	Label string
	Value string
	Unit  string // a text behind the value; most units are part of it
	Tone  Tone
	Note  string // the label of the threshold that is reached
	Spark template.HTML
	Share string // of the length of a bar: "43.1%"
	Href  string
}

// Readings are the figures of a stat or gauge.
func (c Chart) Readings() []Reading {
	out := make([]Reading, len(c.Series))
	for i, s := range c.Series {
		v := reduceTo(c.Reduce, s.Values)
		r := c.reading(s, v)
		if lo, hi := c.bounds(s); hi > lo && !math.IsNaN(v) {
			r.Share = fmt.Sprintf("%.1f%%", clamp(100*(v-lo)/(hi-lo), 0, 100))
		}
		if known := len(s.Values); known > 1 {
			r.Spark = Spark(s.Values, fmt.Sprintf("%s over time, from %s to %s", s.Label, c.Text(s, reduceTo(ReduceMin, s.Values)), c.Text(s, reduceTo(ReduceMax, s.Values))))
		}
		out[i] = r
	}
	return out
}

// reading is one value with what its words and thresholds say of it.
func (c Chart) reading(s Series, v float64) Reading {
	r := Reading{Label: s.Label, Value: c.Text(s, v), Tone: s.Tone, Href: s.Href, Share: "0%"}
	word, ok := c.wordFor(s, v)
	if unit := c.unitOf(s); !knownUnit(unit) && word.Text == "" {
		r.Unit = unit
	}
	thresholds := s.Thresholds
	if len(thresholds) == 0 {
		thresholds = c.Thresholds
	}
	for _, t := range thresholds {
		if v >= t.Value {
			r.Tone, r.Note = t.Tone, t.Label
		}
	}
	if ok && word.Tone != "" {
		r.Tone = word.Tone
	}
	return r
}

// bounds are the ends of a gauge of a series: its own, those of its unit, the
// chart's, or as far as the greatest of the same unit goes.
func (c Chart) bounds(one Series) (lo, hi float64) {
	unit := c.unitOf(one)
	switch unit {
	case "ratio":
		hi = 1
	case "percent", "%":
		hi = 100
	default:
		for _, s := range c.Series {
			if v := reduceTo(c.Reduce, s.Values); c.unitOf(s) == unit && !math.IsNaN(v) && !math.IsInf(v, 0) {
				hi = max(hi, v)
			}
		}
	}
	ends := func(low, high *float64) {
		if low != nil {
			lo = *low
		}
		if high != nil {
			hi = *high
		}
	}
	if unit == c.Unit {
		ends(c.Min, c.Max)
	}
	ends(one.Min, one.Max)
	return lo, hi
}

// Grid is a table of series: a row for each (or for those that belong
// together), a column for each label, and one for each kind of value.
type Grid struct {
	Labels []string // the names; empty: series have names of their own
	Heads  []string // of the values
	Rows   []GridRow
}

// GridRow is a row of such a table.
type GridRow struct {
	Label  string
	Href   string
	Labels []string  // the values, in the order of the names
	Cells  []Reading // in the order of the heads
}

// Grid is the chart as such a table.
func (c Chart) Grid() Grid {
	g := Grid{Labels: c.labelNames()}
	column, row := map[string]int{}, map[string]int{}
	for _, s := range c.Series {
		head := cmp.Or(s.Column, "Value")
		if _, known := column[head]; !known {
			column[head] = len(g.Heads)
			g.Heads = append(g.Heads, head)
		}
	}
	for _, s := range c.Series {
		i, known := row[s.Row]
		if !known || s.Row == "" {
			i = len(g.Rows)
			row[s.Row] = i
			g.Rows = append(g.Rows, c.gridRow(s, g))
		}
		g.Rows[i].Cells[column[cmp.Or(s.Column, "Value")]] = c.reading(s, reduceTo(c.Reduce, s.Values))
	}
	return g
}

// gridRow is a row without its values.
func (c Chart) gridRow(s Series, g Grid) GridRow {
	r := GridRow{Label: s.Label, Href: s.Href, Labels: make([]string, len(g.Labels)), Cells: make([]Reading, len(g.Heads))}
	for i, name := range g.Labels {
		for _, l := range s.Labels {
			if l.Name == name {
				r.Labels[i] = l.Value
			}
		}
	}
	for i := range r.Cells {
		r.Cells[i].Value = c.Text(s, math.NaN())
	}
	return r
}

// labelNames are the names of all labels.
func (c Chart) labelNames() []string {
	var names []string
	for _, s := range c.Series {
		for _, l := range s.Labels {
			if !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
