package alert

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// Limits of a backtest. It reads the history in pieces, the newest first, and says how far it came.
const (
	backtestTime   = 8 * time.Second // for all of it
	backtestSteps  = 24 * 60 * 2     // evaluations of one piece
	backtestSeries = 2000            // whose firings are followed
	backtestShown  = 100             // firings that are listed
)

// Backtest is what a rule would have done.
type Backtest struct {
	From, To time.Time     // what was looked at
	Step     time.Duration // between two evaluations
	Whole    bool          // it came as far back as was asked for
	Firings  []Would       // the newest first, at most 100
	Total    int           // all firings
	Pending  int           // times that it began, and ended before its time
	Series   int           // that ever fired
	Expr     string        // what was evaluated
	Chart    *ui.Chart     // what the rule looks at, and when it would have fired; nil: there are no numbers
}

// marksShown is how many firings a chart marks: more of them would hide the lines.
const marksShown = 50

// draw shows when the rule would have fired, over what it looks at: for an anomaly the expression and its usual range,
// for a forecast the expression and where it was seen going.
func (m *Module) draw(ctx context.Context, ws kernel.WorkspaceID, r Rule, b *Backtest) {
	var labels map[string]string
	if len(b.Firings) > 0 {
		labels = b.Firings[0].Labels // the series that fired last: with all of them nothing could be told apart
	}
	expr := r.Expr
	if r.Kind == KindAbsence || r.Kind == KindRecording {
		expr = b.Expr
	}
	chart := m.ruleChart(ctx, ws, r.Name, expr, b.From, b.To, testPoints, labels)
	if chart == nil {
		return
	}
	chart.ID = "backtest-chart"
	for _, extra := range m.companions(r) {
		c := m.ruleChart(ctx, ws, extra.label, extra.expr, b.From, b.To, testPoints, labels)
		if c == nil || len(c.Series) > chartLines/2 {
			continue
		}
		for _, s := range c.Series {
			if len(c.Series) > 1 {
				s.Label = extra.label + ": " + s.Label
			} else {
				s.Label = extra.label
			}
			s.Dash = true
			chart.Series = append(chart.Series, s)
		}
	}
	if r.Kind == KindThreshold || r.Kind == KindForecast {
		chart.Thresholds = []ui.Threshold{{Value: r.Value, Tone: severityTone(r.Severity), Label: "limit"}}
	}
	for i, w := range b.Firings {
		if i == marksShown {
			break
		}
		until := w.Until
		if until.IsZero() {
			until = b.To
		}
		chart.Marks = append(chart.Marks, ui.Mark{At: w.From, Until: until, Label: "would have fired", Tone: severityTone(r.Severity)})
	}
	b.Chart = chart
}

// companion is a line that stands beside what a rule looks at.
type companion struct{ label, expr string }

// companions are the lines that make a rule's judgement visible.
func (m *Module) companions(r Rule) []companion {
	switch r.Kind {
	case KindAnomaly:
		low, high, err := m.usual(r)
		if err != nil {
			return nil
		}
		out := []companion{{"usual, at most", high}, {"usual, at least", low}}
		switch r.Direction {
		case "above":
			return out[:1]
		case "below":
			return out[1:]
		}
		return out
	case KindForecast:
		if c, err := m.compileExpr(r); err == nil {
			if i := strings.LastIndex(c, " "+r.Compare+" "); i > 0 {
				return []companion{{"forecast", c[:i]}}
			}
		}
	}
	return nil
}

// Would is one alert that would have fired.
type Would struct {
	Labels map[string]string
	From   time.Time
	Until  time.Time // zero: it still would
	Took   time.Duration
	Value  float64 // when it began to fire
}

// Backtest evaluates a rule over the last span of stored history. It is bounded in cost: after some seconds it answers with
// what it has seen. drawn asks for the chart as well. Errors are Invalid where the rule is wrong.
func (m *Module) Backtest(ctx context.Context, ws kernel.WorkspaceID, r Rule, every, span time.Duration, drawn bool) (*Backtest, error) {
	if r.Name == "" {
		r.Name = "backtest"
	}
	if r.Group == "" {
		r.Group = "backtest"
	}
	rule, err := m.check(r)
	if err != nil {
		return nil, err
	}
	step := max(cmp.Or(every, DefaultInterval), span/(7*backtestSteps), 5*time.Second).Round(time.Second)
	to := m.d.Clock().Truncate(step)
	b := &Backtest{To: to, From: to, Step: step, Expr: rule.Expr}
	oldest := to.Add(step - span)
	ctx, cancel := context.WithTimeout(ctx, backtestTime)
	defer cancel()
	points := map[string]*history{}
	piece := min(24*time.Hour, step*backtestSteps)
	for end := to; !end.Before(oldest); {
		start := end.Add(-piece).Add(step)
		if start.Before(oldest) {
			start = oldest
		}
		if err := m.backtestPiece(ctx, ws, rule.Expr, start, end, step, points); err != nil {
			if ctx.Err() != nil && b.From.Before(to) || errors.Is(err, errTooMany) {
				break
			}
			return nil, err
		}
		b.From, end = start, start.Add(-step)
		b.Whole = !start.After(oldest)
	}
	if !r.IsAlert() {
		b.Series = len(points)
		if drawn {
			m.draw(context.WithoutCancel(ctx), ws, r, b)
		}
		return b, nil
	}
	for _, h := range points {
		b.follow(h, time.Duration(rule.For), time.Duration(rule.KeepFiringFor))
	}
	b.Total = len(b.Firings)
	slices.SortFunc(b.Firings, func(x, y Would) int { return y.From.Compare(x.From) })
	b.Firings = b.Firings[:min(len(b.Firings), backtestShown)]
	if drawn {
		m.draw(context.WithoutCancel(ctx), ws, r, b)
	}
	return b, nil
}

// history is when one series was in the result, in whatever order it was read.
type history struct {
	labels map[string]string
	at     map[int64]float64 // ms
}

var errTooMany = errors.New("too many series")

func (m *Module) backtestPiece(ctx context.Context, ws kernel.WorkspaceID, expr string, from, to time.Time, step time.Duration, into map[string]*history) error {
	q, err := m.d.Query.Engine().NewRangeQuery(ctx, m.d.Query.Storage(ws), nil, expr, from, to, step)
	if err != nil {
		return kernel.InvalidField("expr", parseNote(err))
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		if ctx.Err() != nil {
			return kernel.Wrap(res.Err, kernel.Invalid, "The expression is too costly to look back with: it did not answer within "+backtestTime.String()+".")
		}
		return kernel.InvalidField("expr", res.Err.Error())
	}
	matrix, ok := res.Value.(promql.Matrix)
	if !ok {
		return nil
	}
	for _, s := range matrix {
		ls := s.Metric.DropReserved(func(n string) bool { return n == model.MetricNameLabel })
		key := ls.String()
		h := into[key]
		if h == nil {
			if len(into) >= backtestSeries {
				return errTooMany
			}
			h = &history{labels: ls.Map(), at: map[int64]float64{}}
			into[key] = h
		}
		for _, p := range s.Floats {
			h.at[p.T] = p.F
		}
	}
	return nil
}

// follow lives through one series as the rule's alert would have: pending, firing, kept firing, resolved.
func (b *Backtest) follow(h *history, hold, keep time.Duration) {
	var since, gone time.Time
	firing, before := -1, len(b.Firings)
	for at := b.From; !at.After(b.To); at = at.Add(b.Step) {
		value, on := h.at[at.UnixMilli()]
		switch {
		case on:
			gone = time.Time{}
			if since.IsZero() {
				since = at
			}
			if firing < 0 && at.Sub(since) >= hold {
				b.Firings = append(b.Firings, Would{Labels: h.labels, From: at, Value: value})
				firing = len(b.Firings) - 1
			}
		case firing >= 0:
			if gone.IsZero() {
				gone = at
			}
			if keep == 0 || at.Sub(gone) >= keep {
				b.Firings[firing].Until, b.Firings[firing].Took = at, at.Sub(b.Firings[firing].From)
				firing, since, gone = -1, time.Time{}, time.Time{}
			}
		case !since.IsZero():
			b.Pending++
			since = time.Time{}
		}
	}
	if firing >= 0 {
		b.Firings[firing].Took = b.To.Sub(b.Firings[firing].From)
	}
	if len(b.Firings) > before {
		b.Series++
	}
}

// Pairs are the labels in order.
func (w Would) Pairs() []ui.Param { return pairs(w.Labels) }

// Number is the value for people.
func (w Would) Number() string { return ui.Number(w.Value) }
