package ui

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Chart is a set of series over the same moments. The server draws it as a
// table; the kept-chart element draws a line chart from the same numbers and
// points back to the table.
type Chart struct {
	ID     string // unique in the page
	Title  string
	Unit   string // "jobs/min", "ms", "%"
	At     []time.Time
	Series []Series
	Bars   bool // columns instead of lines: counts per interval
	Stack  bool
	Height int // pixels, default 180
	Marks  []Mark
}

// Mark is a moment that the drawing shows as a line with a label, such as a
// deployment. The page says the same in text elsewhere.
type Mark struct {
	At    time.Time
	Label string
}

// Series is one line of a chart. A NaN is a gap.
type Series struct {
	Label  string
	Tone   Tone
	Values []float64
}

// Data is the chart as JSON for its data attribute: seconds since 1970 and
// one row of values per series, null where there is a gap.
func (c Chart) Data() (string, error) {
	type line struct {
		Label  string     `json:"label"`
		Tone   Tone       `json:"tone,omitempty"`
		Values []*float64 `json:"values"`
	}
	type mark struct {
		At    float64 `json:"at"`
		Label string  `json:"label"`
	}
	out := struct {
		Unit  string    `json:"unit,omitempty"`
		Bars  bool      `json:"bars,omitempty"`
		Stack bool      `json:"stack,omitempty"`
		At    []float64 `json:"at"`
		Lines []line    `json:"lines"`
		Marks []mark    `json:"marks,omitempty"`
	}{Unit: c.Unit, Bars: c.Bars, Stack: c.Stack, At: make([]float64, len(c.At))}
	for i, t := range c.At {
		out.At[i] = seconds(t)
	}
	for _, m := range c.Marks {
		out.Marks = append(out.Marks, mark{seconds(m.At), m.Label})
	}
	for _, s := range c.Series {
		l := line{Label: s.Label, Tone: s.Tone, Values: make([]*float64, len(c.At))}
		for i := range l.Values {
			if i < len(s.Values) && !math.IsNaN(s.Values[i]) && !math.IsInf(s.Values[i], 0) {
				l.Values[i] = &s.Values[i]
			}
		}
		out.Lines = append(out.Lines, l)
	}
	b, err := json.Marshal(out)
	return string(b), err
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Cell is the text of one value of the table.
func (c Chart) Cell(s Series, i int) string {
	if i >= len(s.Values) || math.IsNaN(s.Values[i]) || math.IsInf(s.Values[i], 0) {
		return "–"
	}
	return Number(s.Values[i])
}

// Last is the newest value of a series with its unit.
func (c Chart) Last(s Series) string {
	for i := len(s.Values) - 1; i >= 0; i-- {
		if !math.IsNaN(s.Values[i]) {
			return Number(s.Values[i])
		}
	}
	return "–"
}

// PixelHeight is the height of the drawing.
func (c Chart) PixelHeight() int {
	if c.Height == 0 {
		return 180
	}
	return c.Height
}

// Number writes a measured value with at most three significant digits, or
// all of them before the point.
func Number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	a := math.Abs(v)
	switch {
	case a >= 100 && a < 1e15:
		s := group(strconv.FormatFloat(math.Round(a), 'f', 0, 64))
		if v < 0 {
			return "−" + s
		}
		return s
	case a >= 10:
		return trimPoint(strconv.FormatFloat(v, 'f', 1, 64))
	case a >= 0.01 || a == 0:
		return trimPoint(strconv.FormatFloat(v, 'f', 2, 64))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func trimPoint(s string) string { return trimZeros(s) }
