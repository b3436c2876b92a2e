package dashboard

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// thresholds are taken over where Grafana shows them: every new panel has some that mean nothing.
func (im *importer) thresholds(title string, g grafanaPanel, p *Panel) {
	if g.Type == "singlestat" {
		im.oldThresholds(title, g, p)
		return
	}
	f := g.FieldConfig.Defaults
	style := f.Custom.ThresholdsStyle.Mode
	switch {
	case p.Kind == KindTimeSeries && (style == "" || style == "off"), p.Kind == KindHeatMap, p.Kind == KindTable,
		p.Kind == KindStat && g.Options.ColorMode == "none":
		return
	}
	p.Thresholds = im.steps(title, f.Thresholds, *p)
	p.Bands = p.Kind == KindTimeSeries && strings.Contains(style, "area")
}

// steps are thresholds of the new kind.
func (im *importer) steps(title string, g grafanaThresholds, p Panel) (out []Threshold) {
	lo, hi := bounds(p)
	for i, s := range g.Steps {
		t := Threshold{Tone: toneOfColor(s.Color)}
		if s.Value != nil {
			v := *s.Value
			if g.Mode == "percentage" {
				if hi <= lo {
					im.note(title, "Thresholds in percent need a minimum and a maximum; they are left out.")
					return nil
				}
				v = lo + v/100*(hi-lo)
			}
			t.At = &v
		} else if i > 0 {
			continue
		}
		out = append(out, t)
	}
	return im.risen(title, out)
}

// oldThresholds are those of a single stat: "80,90" and three colours.
func (im *importer) oldThresholds(title string, g grafanaPanel, p *Panel) {
	var text string
	if json.Unmarshal(g.Thresholds, &text) != nil || text == "" || !g.ColorValue && !g.ColorBack {
		return
	}
	color := func(i int) string {
		var s string
		if i < len(g.Colors) {
			_ = json.Unmarshal(g.Colors[i], &s)
		}
		return toneOfColor(s)
	}
	p.Thresholds = []Threshold{{Tone: color(0)}}
	for i, part := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			im.note(title, "The thresholds %q are not understood.", clip(text, 60))
			p.Thresholds = nil
			return
		}
		p.Thresholds = append(p.Thresholds, Threshold{At: &v, Tone: color(i + 1)})
	}
	p.Thresholds = im.risen(title, p.Thresholds)
}

// risen makes thresholds rise, as the format wants.
func (im *importer) risen(title string, list []Threshold) []Threshold {
	value := func(t Threshold) float64 {
		if t.At == nil {
			return math.Inf(-1)
		}
		return *t.At
	}
	slices.SortStableFunc(list, func(a, b Threshold) int { return cmp.Compare(value(a), value(b)) })
	list = slices.CompactFunc(list, func(a, b Threshold) bool { return value(a) == value(b) })
	if n := len(list); n > maxMarks {
		im.note(title, "It has %d thresholds; the first %d are kept.", n, maxMarks)
		list = list[:maxMarks]
	}
	return list
}

// bounds are the ends of the axis, as far as they are known.
func bounds(p Panel) (lo, hi float64) {
	switch p.Unit {
	case "percent":
		hi = 100
	case "ratio":
		hi = 1
	}
	if p.Min != nil {
		lo = *p.Min
	}
	if p.Max != nil {
		hi = *p.Max
	}
	return lo, hi
}
