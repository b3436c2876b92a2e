package dashboard

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/ui"
)

// over is a look on top of another: what it says counts.
func (l Look) over(under Look) Look {
	out := under
	out.Unit, out.Axis = cmp.Or(l.Unit, under.Unit), cmp.Or(l.Axis, under.Axis)
	out.Label, out.Color, out.Draw = cmp.Or(l.Label, under.Label), cmp.Or(l.Color, under.Color), cmp.Or(l.Draw, under.Draw)
	out.Dash, out.Below, out.Hide, out.Stack = l.Dash || under.Dash, l.Below || under.Below, l.Hide || under.Hide, cmp.Or(l.Stack, under.Stack)
	out.Decimals, out.Min, out.Max = cmp.Or(l.Decimals, under.Decimals), cmp.Or(l.Min, under.Min), cmp.Or(l.Max, under.Max)
	if len(l.Thresholds) > 0 {
		out.Thresholds = l.Thresholds
	}
	if len(l.Mappings) > 0 {
		out.Mappings = l.Mappings
	}
	return out
}

// looks finds the look of names.
type looks struct {
	list []Override
	res  []*regexp.Regexp // by place in list; nil where a name is compared
}

func (p Panel) looks() looks {
	l := looks{list: p.Overrides, res: make([]*regexp.Regexp, len(p.Overrides))}
	for i, o := range p.Overrides {
		if o.Match != "" {
			l.res[i], _ = regexp.Compile(o.Match) // it was checked when the dashboard was read
		}
	}
	return l
}

// of is the look of what has a name, on top of another.
func (l looks) of(name string, under Look) Look {
	for i, o := range l.list {
		met := name == o.Name
		if o.Match != "" {
			met = l.res[i] != nil && l.res[i].MatchString(name)
		}
		if met != o.Not {
			under = o.Look.over(under)
		}
	}
	return under
}

// dress gives lines their looks and names, and leaves out those that are not to be shown.
func (pic *picture) dress(lines []line) []line {
	p := pic.Panel
	all := p.looks()
	out := make([]line, 0, len(lines))
	loud := p.OmitZero && slices.ContainsFunc(lines, func(l line) bool { return !l.silent() })
	for _, l := range lines {
		name := l.label
		if p.Kind == KindTable {
			name = cmp.Or(pic.heading(l), "Value")
		}
		l.look = all.of(name, l.look)
		if l.look.Hide || loud && l.silent() {
			continue
		}
		if l.look.Stack == nil {
			l.look.Stack = &p.Stack
		}
		pic.Chart.Stack = pic.Chart.Stack || *l.look.Stack
		if label := legendText(pic.env.text(l.look.Label, nil), l.labels); strings.TrimSpace(label) != "" {
			if l.look.Label = label; p.Kind != KindTable {
				l.label = clip(label, maxTitle)
			}
		}
		out = append(out, l)
	}
	return out
}

// silent tells whether a line is nothing but zero.
func (l line) silent() bool {
	return !slices.ContainsFunc(l.points, func(p promql.FPoint) bool { return p.F != 0 })
}

// series is a line as it is drawn, without its values.
func (p Panel) series(l line) ui.Series {
	k := l.look
	s := ui.Series{Label: l.label, Unit: k.Unit, Right: k.Axis == "right", Color: k.Color, Kind: drawKind(k.Draw), Dash: k.Dash, Alone: k.Stack != nil && !*k.Stack, Min: k.Min, Max: k.Max,
		Thresholds: thresholdsOf(k.Thresholds, true), Words: wordsOf(k.Mappings)}
	s.Below = k.Below && p.Kind == KindTimeSeries
	if s.Unit == p.Unit {
		s.Unit = ""
	}
	return s
}

// value is one number of a line, as its look wants it.
func (p Panel) value(l line, v float64) float64 {
	if l.look.Below && p.Kind == KindTimeSeries {
		v = -v
	}
	return round(v, cmp.Or(l.look.Decimals, p.Decimals), cmp.Or(l.look.Unit, p.Unit))
}

// tone is what thresholds and mappings say of a value of a line.
func (p Panel) tone(l Look, v float64) (tone ui.Tone) {
	thresholds, mappings := p.Thresholds, p.Mappings
	if len(l.Thresholds) > 0 {
		thresholds = l.Thresholds
	}
	if len(l.Mappings) > 0 {
		mappings = l.Mappings
	}
	for _, t := range thresholds {
		if t.At == nil || v >= *t.At {
			tone = ui.Tone(t.Tone)
		}
	}
	for _, w := range wordsOf(mappings) {
		if w.Of(v) {
			return cmp.Or(w.Tone, tone)
		}
	}
	return tone
}

// judges tells whether something on the panel can be beyond a limit.
func (p Panel) judges() bool {
	if p.Kind == KindHeatMap || p.Kind == KindText {
		return false
	}
	bad := func(thresholds []Threshold, mappings []Mapping) bool {
		for _, t := range thresholds {
			if badness(ui.Tone(t.Tone)) > 0 {
				return true
			}
		}
		for _, m := range mappings {
			if badness(ui.Tone(m.Tone)) > 0 {
				return true
			}
		}
		return false
	}
	found := bad(p.Thresholds, p.Mappings)
	for _, o := range p.Overrides {
		found = found || bad(o.Thresholds, o.Mappings)
	}
	for _, t := range p.Targets {
		found = found || bad(t.Thresholds, t.Mappings)
	}
	return found
}

// cells puts lines into the table: those with the same labels share a row, where there are several queries, and each query has
// a column of its own.
func (pic *picture) cells(lines []line) {
	columns := pic.Panel.looks()
	several, seen := severalNames(lines), map[string]bool{}
	for i, l := range lines {
		s := &pic.Chart.Series[i]
		s.Column = cmp.Or(l.look.Label, pic.heading(l))
		named := several && pic.queries() == 1
		l.labels.Range(func(x labels.Label) {
			if x.Name == model.MetricNameLabel && !named {
				return
			}
			if look := columns.of(x.Name, Look{}); !look.Hide {
				s.Labels = append(s.Labels, ui.Param{Name: cmp.Or(look.Label, x.Name), Value: x.Value})
			}
		})
		nameless := l.labels.DropReserved(func(name string) bool { return name == model.MetricNameLabel }).String()
		row := nameless
		for n := 1; pic.queries() > 1 && seen[fmt.Sprint(l.target, row)]; n++ {
			row = fmt.Sprint(nameless, n)
		}
		seen[fmt.Sprint(l.target, row)] = true
		if pic.queries() > 1 {
			s.Row = row
		}
	}
}

// heading is what stands above the values of a query in a table, where no look says it; empty: "Value".
func (pic *picture) heading(l line) string {
	if pic.queries() < 2 {
		return ""
	}
	return cmp.Or(plainLegend(pic.Panel.Targets[l.target].Legend), targetName(l.target))
}

// plainLegend is a legend that is the same for all series of a query.
func plainLegend(s string) string {
	if strings.Contains(s, "{{") {
		return ""
	}
	return s
}

// queries is how many queries the panel asks.
func (pic *picture) queries() (n int) {
	for _, t := range pic.Panel.Targets {
		if !t.Hidden {
			n++
		}
	}
	return n
}

func drawKind(draw string) ui.Kind {
	if draw == "lines" {
		return ui.KindLine
	}
	return ui.Kind(draw)
}

// thresholdsOf are thresholds as charts know them; a line at the bottom says nothing, a band or a figure's tone does.
func thresholdsOf(list []Threshold, bottom bool) (out []ui.Threshold) {
	for _, t := range list {
		value := math.Inf(-1)
		if t.At != nil {
			value = *t.At
		} else if !bottom {
			continue
		}
		out = append(out, ui.Threshold{Value: value, Tone: ui.Tone(t.Tone)})
	}
	return out
}

func wordsOf(list []Mapping) (out []ui.Word) {
	for _, m := range list {
		out = append(out, ui.Word{Value: m.Value, From: m.From, To: m.To, Match: m.Match, None: m.None, Text: m.Text, Tone: ui.Tone(m.Tone)})
	}
	return out
}

// round leaves at most as many decimals as wanted, where the unit is written as it is.
func round(v float64, decimals *int, unit string) float64 {
	if decimals == nil {
		return v
	}
	n := *decimals
	switch unit {
	case "ratio":
		n += 2
	case "", "short", "percent", "%", "°C", "V", "/s", "/min":
	default:
		return v
	}
	scale := math.Pow(10, float64(n))
	if r := math.Round(v*scale) / scale; !math.IsInf(r, 0) && !math.IsNaN(r) {
		return r
	}
	return v
}
