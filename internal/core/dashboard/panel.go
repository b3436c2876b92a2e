package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// maxSeries is how many series a panel draws.
const maxSeries = 100

// picture is a panel with its numbers.
type picture struct {
	Panel  Panel
	Key    string // id of the element: the panel's id, and a number where it is repeated
	Title  string
	Href   string // where the title leads
	Chart  *ui.Chart
	Text   template.HTML // of a text panel
	Wrong  []wrong       // values beyond a threshold now
	Lazy   bool          // its numbers are not there yet
	Step   time.Duration
	Exprs  []string // what was asked, with the values of variables
	Failed bool

	env env // what its variables stand for
}

// wrong is a value that is beyond a threshold.
type wrong struct {
	Label string
	Value string
	Tone  ui.Tone
}

// points is how many moments a panel is drawn with: enough for its width, and few enough to be quick.
func (p Panel) points() int {
	switch p.Kind {
	case KindStat:
		return 60
	case KindHeatMap:
		return 90
	}
	return 60 + 12*p.width()
}

// step is the distance of a panel's points: no query is asked more finely than it says.
func (p Panel) step(e env, span ui.TimeRange, points int) time.Duration {
	var least time.Duration
	for _, t := range p.Targets {
		if d, err := model.ParseDuration(e.text(t.Step, nil)); err == nil {
			least = max(least, time.Duration(d))
		}
	}
	if points <= 0 {
		points = p.points()
	}
	return span.Step(points, least)
}

// instant tells whether one moment is enough.
func (p Panel) instant() bool {
	return (p.Kind == KindTable || p.Kind == KindBar) && (p.Reduce == "" || p.Reduce == "last")
}

// draw asks for a panel's numbers. What goes wrong stands in the picture: a dashboard with a broken panel is still of use.
func (m *Module) draw(ctx context.Context, sc scope, e env, p Panel, points int) picture {
	pic := picture{Panel: p, Key: p.ID, Title: e.text(p.Title, nil)}
	if href := e.text(p.Link, escapeQuery); safeHref(href) {
		pic.Href = href
	}
	if p.Kind == KindText {
		pic.Text = m.textHTML(p, e)
		return pic
	}
	pic.Step = p.step(e, sc.span, points)
	pic.Chart, pic.env = p.chart(pic.Title, sc.span), e
	lines, warnings, err := m.ask(ctx, sc, e, &pic)
	if err != nil {
		pic.Failed = true
		pic.Chart.Error = kernel.AsError(err).Safe
		return pic
	}
	if n := len(lines); n > maxSeries {
		warnings = append(warnings, fmt.Sprintf("%d of %d series are drawn. Narrow the query, or sum some of them.", maxSeries, n))
		lines = lines[:maxSeries]
	}
	pic.Chart.Warnings = warnings
	pic.fill(lines, sc.span)
	return pic
}

// chart is the panel without its numbers.
func (p Panel) chart(title string, span ui.TimeRange) *ui.Chart {
	c := &ui.Chart{
		ID: "c-" + p.ID, Title: cmp.Or(title, "Panel"), Unit: p.Unit, Stack: p.Stack, Kind: drawKind(p.Draw), Log: p.Log, Min: p.Min, Max: p.Max,
		From: span.From, To: span.To, Height: max(80, 30*p.height()-70), Zoom: true, Reduce: ui.Reduce(cmp.Or(p.Reduce, "last")),
	}
	switch p.Kind {
	case KindStat:
		c.View = ui.ViewStat
	case KindBar:
		c.View = ui.ViewGauge
	case KindHeatMap:
		c.View = ui.ViewHeat
	case KindTable:
		c.View = ui.ViewTable
	}
	c.Words = wordsOf(p.Mappings)
	c.Thresholds = thresholdsOf(p.Thresholds, p.Kind != KindTimeSeries || p.Bands)
	for i := range c.Thresholds {
		c.Thresholds[i].Band = p.Bands
	}
	return c
}

// line is one series of an answer.
type line struct {
	label  string
	labels labels.Labels
	points []promql.FPoint
	look   Look
	target int      // place of the query
	suffix string   // behind the name: which quantile it is
	end    *float64 // its value at the end of the span, for a panel that ends; nil: it is not there any more
}

// ask evaluates the targets.
func (m *Module) ask(ctx context.Context, sc scope, e env, pic *picture) (lines []line, warnings []string, err error) {
	p := pic.Panel
	for i, t := range p.Targets {
		if t.Hidden {
			continue
		}
		at := e.at(sc.span, pic.Step)
		res, expr, err := m.askTarget(ctx, sc, at, p, t, pic.Step)
		if expr != "" {
			pic.Exprs = append(pic.Exprs, expr)
		}
		if err != nil {
			if len(p.Targets) > 1 {
				err = kernel.Errorf(kernel.CodeOf(err), "Query %s: %s", targetName(i), kernel.AsError(err).Safe)
			}
			return nil, nil, err
		}
		var ends map[string]float64
		if p.ends() {
			if ends, err = m.askEnd(ctx, sc, expr, &res); err != nil {
				return nil, nil, err
			}
		}
		found := named(t, at, res, cmp.Or(pic.Title, t.Expr), p.Kind == KindHeatMap)
		for n := range found {
			found[n].look, found[n].target = t.Look, i
			if v, ok := ends[found[n].labels.String()]; ok && found[n].suffix == "" {
				found[n].end = &v
			}
		}
		lines = append(lines, found...)
		for _, w := range res.Warnings.AsErrors() {
			if text := w.Error(); len(warnings) < 5 && !slices.Contains(warnings, text) {
				warnings = append(warnings, text)
			}
		}
	}
	return lines, warnings, nil
}

// targetName is what people call the i-th query: A, B, …
func targetName(i int) string { return string(rune('A' + i%26)) }

func (m *Module) askTarget(ctx context.Context, sc scope, e env, p Panel, t Target, step time.Duration) (query.Result, string, error) {
	expr, err := e.query(t.Expr)
	if err != nil {
		return query.Result{}, "", err
	}
	if expr, err = m.enforce(expr, sc.filters); err != nil {
		return query.Result{}, "", err
	}
	if p.instant() {
		res, err := m.d.Query.Instant(ctx, sc.ws, expr, sc.span.To)
		return res, expr, err
	}
	// Moments are multiples of the step, so that the same question asked a moment later is the same.
	res, err := m.d.Query.Range(ctx, sc.ws, expr, query.Span{From: sc.span.From.Truncate(step), To: sc.span.To.Truncate(step), Step: step})
	return res, expr, err
}

// named are the series of an answer with their names in the legend.
func named(t Target, e env, res query.Result, fallback string, heat bool) []line {
	var out []line
	if m, ok := res.Value.(promql.Matrix); ok && heat && allNative(m) {
		return bucketLines(m)
	}
	switch v := res.Value.(type) {
	case promql.Matrix:
		for _, s := range v {
			if len(s.Floats) == 0 && len(s.Histograms) > 0 {
				out = append(out, quantileLines(s.Metric, s.Histograms)...)
				continue
			}
			out = append(out, line{labels: s.Metric, points: s.Floats})
		}
	case promql.Vector:
		for _, s := range v {
			if s.H != nil {
				out = append(out, quantileLines(s.Metric, []promql.HPoint{{T: s.T, H: s.H}})...)
				continue
			}
			out = append(out, line{labels: s.Metric, points: []promql.FPoint{{T: s.T, F: s.F}}})
		}
	case promql.Scalar:
		out = append(out, line{points: []promql.FPoint{{T: v.T, F: v.V}}})
	}
	sets := make([]labels.Labels, len(out))
	for i := range out {
		sets[i] = out[i].labels
	}
	for i, name := range legends(t.Legend, e, sets, fallback) {
		out[i].label = strings.TrimSpace(name + " " + out[i].suffix)
	}
	return out
}

// fill puts the series on one axis of moments.
func (pic *picture) fill(lines []line, span ui.TimeRange) {
	c := pic.Chart
	if pic.Panel.Kind == KindHeatMap {
		lines = buckets(lines)
	}
	lines = pic.dress(lines)
	if pic.Panel.now() {
		lines = slices.DeleteFunc(lines, func(l line) bool { return l.end == nil && l.suffix == "" })
	}
	pic.nameOne(lines)
	index := pic.moments(span)
	for _, l := range lines {
		s := pic.Panel.series(l)
		s.Values = make([]float64, len(c.At))
		for i := range s.Values {
			s.Values[i] = math.NaN()
		}
		for _, p := range l.points {
			if i, ok := index(p.T); ok {
				s.Values[i] = pic.Panel.value(l, p.F)
			}
		}
		if l.end != nil && pic.Panel.now() {
			s.Values[len(s.Values)-1] = pic.Panel.value(l, *l.end)
		}
		c.Series = append(c.Series, s)
	}
	if pic.Panel.Kind == KindTable {
		pic.cells(lines)
	}
	pic.judge(lines)
}

// nowNames are what the only figure of a panel is called: the title says already what it is of.
var nowNames = map[string]string{"": "now", "last": "now", "mean": "mean", "min": "least", "max": "greatest", "sum": "sum"}

// nameOne gives the only series of a panel of figures a short name, where nobody gave it one that says more than the title.
func (pic *picture) nameOne(lines []line) {
	p := pic.Panel
	if len(lines) != 1 || p.Kind != KindStat && p.Kind != KindBar {
		return
	}
	var legend string
	for _, t := range p.Targets {
		if !t.Hidden {
			legend = t.Legend
		}
	}
	if lines[0].look.Label == "" && (legend == "" || lines[0].label == pic.Title) {
		lines[0].label = nowNames[p.Reduce]
	}
}

// severalNames tells whether series have names that tell them apart.
func severalNames(lines []line) bool {
	for _, l := range lines {
		if l.labels.Get(model.MetricNameLabel) != lines[0].labels.Get(model.MetricNameLabel) {
			return true
		}
	}
	return false
}

// moments makes the axis and finds the place of a time on it.
func (pic *picture) moments(span ui.TimeRange) func(ms int64) (int, bool) {
	c := pic.Chart
	if pic.Panel.instant() {
		c.At = []time.Time{span.To}
		return func(int64) (int, bool) { return 0, true }
	}
	from, step := span.From.Truncate(pic.Step), pic.Step
	for at := from; !at.After(span.To); at = at.Add(step) {
		c.At = append(c.At, at.UTC())
	}
	if pic.Panel.now() {
		c.At = append(c.At, span.To.UTC())
	}
	return func(ms int64) (int, bool) {
		i := int((ms - from.UnixMilli()) / step.Milliseconds())
		return i, i >= 0 && i < len(c.At)
	}
}

// judge notes which series are beyond a threshold now, or have a value with a bad name.
func (pic *picture) judge(lines []line) {
	p := pic.Panel
	if !p.judges() {
		return
	}
	for i, s := range pic.Chart.Series {
		v, ok := lastOf(s.Values)
		if p.ends() && lines[i].suffix == "" {
			if ok = lines[i].end != nil; ok {
				v = p.value(lines[i], *lines[i].end)
			}
		}
		if !ok {
			continue
		}
		tone := p.tone(lines[i].look, v)
		if tone == ui.ToneBad || tone == ui.ToneWarn {
			pic.Wrong = append(pic.Wrong, wrong{Label: s.Label, Value: pic.Chart.Text(s, v), Tone: tone})
		}
	}
	slices.SortStableFunc(pic.Wrong, func(a, b wrong) int { return cmp.Compare(badness(b.Tone), badness(a.Tone)) })
}

func badness(t ui.Tone) int {
	switch t {
	case ui.ToneBad:
		return 2
	case ui.ToneWarn:
		return 1
	}
	return 0
}

// lastOf is the newest number, if it is fresh: one of the last tenth of the axis.
func lastOf(values []float64) (float64, bool) {
	for i := len(values) - 1; i >= max(0, len(values)-1-len(values)/10); i-- {
		if !math.IsNaN(values[i]) {
			return values[i], true
		}
	}
	return 0, false
}

// buckets orders the series of a histogram by their upper bounds and takes from each what is in the one below, because
// buckets of Prometheus count from zero. Other series are rows as they are.
func buckets(lines []line) []line {
	bounds := make([]float64, len(lines))
	for i, l := range lines {
		le := l.labels.Get("le")
		bound, err := strconv.ParseFloat(le, 64)
		if le == "" || err != nil {
			return lines
		}
		bounds[i] = bound
	}
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(bounds[a], bounds[b]) })
	out := make([]line, 0, len(lines))
	below := map[int64]float64{}
	for n, i := range order {
		if n > 0 && bounds[order[n-1]] == bounds[i] {
			return lines // several histograms: sum by (le) is missing
		}
		l := line{label: lines[i].labels.Get("le"), labels: lines[i].labels}
		for _, p := range lines[i].points {
			l.points = append(l.points, promql.FPoint{T: p.T, F: max(0, p.F-below[p.T])})
			below[p.T] = p.F
		}
		out = append(out, l)
	}
	return out
}

// escapeQuery makes a value safe as part of an address.
func escapeQuery(s string) string {
	return strings.ReplaceAll(template.URLQueryEscaper(s), "+", "%20")
}
