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
func (c Chart) Cell(s Series, i int) string { return c.text(s, s.at(i)) }

// Last is the newest value of a series with its unit.
func (c Chart) Last(s Series) string { return c.text(s, reduceTo("last", s.Values)) }

// Sum is one row of the table where series are rows.
type Sum struct{ Label, Last, Min, Max, Mean string }

// Sums are the rows of such a table.
func (c Chart) Sums() []Sum {
	sums := make([]Sum, len(c.Series))
	for i, s := range c.Series {
		of := func(r Reduce) string { return c.text(s, reduceTo(r, s.Values)) }
		sums[i] = Sum{s.Label, of(ReduceLast), of(ReduceMin), of(ReduceMax), of(ReduceMean)}
	}
	return sums
}

func (c Chart) text(s Series, v float64) string { return Value(v, cmp.Or(s.Unit, c.Unit)) }

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
	lo, hi := c.bounds()
	out := make([]Reading, len(c.Series))
	for i, s := range c.Series {
		v := reduceTo(c.Reduce, s.Values)
		unit := cmp.Or(s.Unit, c.Unit)
		r := Reading{Label: s.Label, Value: Value(v, unit), Tone: s.Tone, Href: s.Href, Share: "0%"}
		if !knownUnit(unit) {
			r.Unit = unit
		}
		for _, t := range c.Thresholds {
			if v >= t.Value {
				r.Tone, r.Note = t.Tone, t.Label
			}
		}
		if hi > lo && !math.IsNaN(v) {
			r.Share = fmt.Sprintf("%.1f%%", clamp(100*(v-lo)/(hi-lo), 0, 100))
		}
		if known := len(s.Values); known > 1 {
			r.Spark = Spark(s.Values, fmt.Sprintf("%s over time, from %s to %s", s.Label, c.text(s, reduceTo(ReduceMin, s.Values)), c.text(s, reduceTo(ReduceMax, s.Values))))
		}
		out[i] = r
	}
	return out
}

// bounds are the ends of a gauge.
func (c Chart) bounds() (lo, hi float64) {
	switch c.Unit {
	case "ratio":
		hi = 1
	case "percent", "%":
		hi = 100
	default:
		for _, s := range c.Series {
			if v := reduceTo(c.Reduce, s.Values); !math.IsNaN(v) && !math.IsInf(v, 0) {
				hi = max(hi, v)
			}
		}
	}
	if c.Min != nil {
		lo = *c.Min
	}
	if c.Max != nil {
		hi = *c.Max
	}
	return lo, hi
}

// Columns are the names of all labels, for a table of series.
func (c Chart) Columns() []string {
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

// Label is the value of a label of a series, for such a table.
func (s Series) LabelValue(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
