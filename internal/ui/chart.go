package ui

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Chart is a set of series, drawn in one of several ways. The server draws
// what can be read without scripts (a table, or the figures themselves); the
// kept-chart element draws lines, columns and heat maps from the same numbers
// and points back to the table. Draw it with {{template "ui.chart" .}}.
type Chart struct {
	ID     string // unique in the page
	Title  string
	Unit   string // one of those that Value knows, or a text that stands beside the title: "jobs in 5 min"
	View   View
	At     []time.Time // the moments, in order; all series share them
	Series []Series

	From, To time.Time // what was asked for; the axis shows all of it, data or not. Zero: as far as At goes
	Bars     bool      // columns instead of lines: counts per interval
	Stack    bool
	Kind     Kind // how series are drawn that do not say it themselves; empty: lines
	Log      bool // a logarithmic scale
	Min, Max *float64
	Height   int    // pixels, default 180
	Legend   Legend // empty: names with values
	Zoom     bool   // dragging selects a time and opens this page with it (parameters from and to)
	Reduce   Reduce // what single figures show of a series; empty: the last value

	Thresholds []Threshold // in order of Value
	Words      []Word      // texts in place of values; the first that is met counts
	Marks      []Mark
	Dots       []Dot

	Src   string        // where the numbers are fetched (the JSON of Data); empty: they are inline
	Every time.Duration // between two fetches of Src; 0: with the page's range (see TimeRange)

	Empty    string   // said where there are no numbers; empty: "No data in this time."
	Error    string   // said instead of a drawing
	Warnings []string // said below the drawing
}

// View is the way a chart is shown.
type View string

// The views of a chart.
const (
	ViewTime  View = ""      // over time
	ViewHeat  View = "heat"  // over time; each series is a row of buckets, lowest first
	ViewStat  View = "stat"  // big figures with a small line
	ViewGauge View = "gauge" // a horizontal bar for each series
	ViewTable View = "table" // a row for each series, a column for each label
)

// Kind is the way one series is drawn over time.
type Kind string

// The kinds of series.
const (
	KindLine   Kind = "line"
	KindArea   Kind = "area"
	KindBars   Kind = "bars"
	KindPoints Kind = "points"
)

// Legend is what the legend of a chart shows.
type Legend string

// The legends.
const (
	LegendList  Legend = ""      // names with the value at the cursor, or the last one
	LegendTable Legend = "table" // last, least, greatest and mean as well; sortable
	LegendNone  Legend = "none"
)

// Threshold is a value from which on things are different.
type Threshold struct {
	Value float64 // −Inf is the bottom
	Tone  Tone
	Label string // "critical"; said with the colour
	Band  bool   // fill from here to the next threshold, instead of a line
}

// Mark is a moment or a span that the drawing shows, such as a deployment.
type Mark struct {
	At    time.Time
	Until time.Time // zero: a moment
	Label string
	Href  string // empty: no link
	Tone  Tone
}

// Dot is one thing that happened among those that a series sums up, such as a
// request with its trace.
type Dot struct {
	At    time.Time
	Value float64 // on the first axis
	Foot  bool    // at the foot of the drawing: its value is none of the axis
	Label string
	Href  string // empty: no link
}

// Series is one line of a chart. A NaN is a gap; infinite values are shown at
// the edge.
type Series struct {
	Label  string
	Tone   Tone // a meaning; empty: a colour that depends on the label alone
	Values []float64
	Unit   string // where it differs from the chart's: it gets an axis of its own
	Right  bool   // its axis is at the right side
	Color  string // one of Colors; empty: see Tone
	Kind   Kind
	Dash   bool
	Below  bool     // its values are negative to be drawn downwards: it is stacked with others like it
	Alone  bool     // not part of a stack
	Min    *float64 // of its axis, where that is not the chart's
	Max    *float64
	Href   string  // of a page about it
	Labels []Param // for tables: names and values
	Row    string  // of a table: series with the same one share a row, where it is not empty
	Column string  // of a table: the heading of its values; empty: "Value"

	Thresholds []Threshold // of figures, in place of the chart's
	Words      []Word      // in place of the chart's
}

// Data is the chart as JSON for its data attribute, or as the answer of Src:
// seconds since 1970 and one row of values per series, null where there is a
// gap.
func (c Chart) Data() (string, error) {
	out := chartJSON{
		Unit: c.Unit, View: c.View, Kind: c.Kind, Stack: c.Stack, Log: c.Log, Min: c.Min, Max: c.Max, Legend: c.Legend, Zoom: c.Zoom,
		Words: c.Words, From: seconds(c.From), To: seconds(c.To), Error: c.Error, Empty: c.Empty, Warnings: c.Warnings,
		At: make([]float64, len(c.At)), Lines: make([]lineJSON, 0, len(c.Series)),
	}
	if c.Bars {
		out.Kind = KindBars
	}
	if len(c.Series) == 0 {
		out.Empty = c.Nothing()
	}
	for i, t := range c.At {
		out.At[i] = seconds(t)
	}
	for _, m := range c.Marks {
		out.Marks = append(out.Marks, markJSON{seconds(m.At), seconds(m.Until), m.Label, m.Href, m.Tone})
	}
	for _, d := range c.Dots {
		out.Dots = append(out.Dots, dotJSON{seconds(d.At), d.Value, d.Foot, d.Label, d.Href})
	}
	for _, t := range c.Thresholds {
		out.Thresholds = append(out.Thresholds, thresholdJSON{point(t.Value), t.Tone, t.Label, t.Band})
	}
	for _, s := range c.Series {
		l := lineJSON{Label: s.Label, Tone: s.Tone, Unit: s.Unit, Right: s.Right, Color: s.Color, Kind: s.Kind, Dash: s.Dash, Below: s.Below, Alone: s.Alone, Min: s.Min, Max: s.Max,
			Href: s.Href, Words: s.Words, Values: make([]point, len(c.At))}
		for i := range l.Values {
			l.Values[i] = point(s.at(i))
		}
		out.Lines = append(out.Lines, l)
	}
	b, err := json.Marshal(out)
	return string(b), err
}

type chartJSON struct {
	Unit       string          `json:"unit,omitempty"`
	View       View            `json:"view,omitempty"`
	Kind       Kind            `json:"kind,omitempty"`
	Stack      bool            `json:"stack,omitempty"`
	Log        bool            `json:"log,omitempty"`
	Zoom       bool            `json:"zoom,omitempty"`
	Min        *float64        `json:"min,omitempty"`
	Max        *float64        `json:"max,omitempty"`
	Legend     Legend          `json:"legend,omitempty"`
	From       float64         `json:"from,omitempty"`
	To         float64         `json:"to,omitempty"`
	At         []float64       `json:"at"`
	Lines      []lineJSON      `json:"lines"`
	Thresholds []thresholdJSON `json:"thresholds,omitempty"`
	Words      []Word          `json:"words,omitempty"`
	Marks      []markJSON      `json:"marks,omitempty"`
	Dots       []dotJSON       `json:"dots,omitempty"`
	Error      string          `json:"error,omitempty"`
	Empty      string          `json:"empty,omitempty"`
	Warnings   []string        `json:"warnings,omitempty"`
}

type lineJSON struct {
	Label  string   `json:"label"`
	Tone   Tone     `json:"tone,omitempty"`
	Unit   string   `json:"unit,omitempty"`
	Right  bool     `json:"right,omitempty"`
	Color  string   `json:"color,omitempty"`
	Kind   Kind     `json:"kind,omitempty"`
	Dash   bool     `json:"dash,omitempty"`
	Below  bool     `json:"below,omitempty"`
	Alone  bool     `json:"alone,omitempty"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
	Href   string   `json:"href,omitempty"`
	Words  []Word   `json:"words,omitempty"`
	Values []point  `json:"values"`
}

type thresholdJSON struct {
	Value point  `json:"value"`
	Tone  Tone   `json:"tone,omitempty"`
	Label string `json:"label,omitempty"`
	Band  bool   `json:"band,omitempty"`
}

type markJSON struct {
	At    float64 `json:"at"`
	Until float64 `json:"until,omitempty"`
	Label string  `json:"label"`
	Href  string  `json:"href,omitempty"`
	Tone  Tone    `json:"tone,omitempty"`
}

type dotJSON struct {
	At    float64 `json:"at"`
	Value float64 `json:"value"`
	Foot  bool    `json:"foot,omitempty"`
	Label string  `json:"label"`
	Href  string  `json:"href,omitempty"`
}

// point is a number in JSON: NaN is null, infinity the text that PromQL has
// for it.
type point float64

func (p point) MarshalJSON() ([]byte, error) {
	switch v := float64(p); {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Inf"`), nil
	default:
		return strconv.AppendFloat(nil, v, 'g', 12, 64), nil // more digits than can be seen are a third of the text
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (s Series) at(i int) float64 {
	if i >= len(s.Values) {
		return math.NaN()
	}
	return s.Values[i]
}

// PixelHeight is the height of the drawing.
func (c Chart) PixelHeight() int {
	if c.Height == 0 {
		return 180
	}
	return c.Height
}

// Drawn tells whether the kept-chart element draws the chart.
func (c Chart) Drawn() bool { return c.View == ViewTime || c.View == ViewHeat }

// Caption is the unit as a text beside the title; a unit that stands with
// every number is not said twice.
func (c Chart) Caption() string {
	if knownUnit(c.Unit) {
		return ""
	}
	return c.Unit
}

// Seconds is Every for the element.
func (c Chart) Seconds() float64 { return c.Every.Seconds() }

// None tells whether there is no number at all.
func (c Chart) None() bool {
	for _, s := range c.Series {
		if slices.ContainsFunc(s.Values, func(v float64) bool { return !math.IsNaN(v) }) {
			return false
		}
	}
	return true
}
