package dashboard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/ui"
)

// exploreResult is what the queries found.
type exploreResult struct {
	Chart  ui.Chart // over time
	Tables []exploreTable
	Said   []exploreSaid
}

// exploreSaid is what is to be said of one query: what it cost, and what is odd about it.
type exploreSaid struct {
	Name   string
	Error  string
	Series int
	Points int
	Took   time.Duration
	Notes  []exploreNote
}

// exploreNote is a warning, or a remark of the engine.
type exploreNote struct {
	Text string
	Warn bool
}

// exploreTable are the values of one query at the end of the time.
type exploreTable struct {
	Name string
	ui.Chart
}

// explore asks all queries. What is wrong with one stands with it; the others are shown.
func (m *Module) explore(ctx context.Context, ws kernel.WorkspaceID, v *exploreView) *exploreResult {
	res := &exploreResult{}
	res.Chart = ui.Chart{ID: "explore-chart", Title: "Result", From: v.Range.From, To: v.Range.To, Zoom: true, Height: 320, Legend: ui.LegendTable,
		Kind: v.Draw, Stack: v.Stack, Empty: "No series matches in this time. Check the names of labels, or look at a longer time."}
	if v.Draw == drawHeat {
		res.Chart.View, res.Chart.Kind = ui.ViewHeat, ""
	}
	from, to := v.Range.From.Truncate(v.Step), v.Range.To.Truncate(v.Step)
	for at := from; !at.After(to); at = at.Add(v.Step) {
		res.Chart.At = append(res.Chart.At, at)
	}
	several := len(v.asked()) > 1
	ctx, cancel := context.WithTimeout(ctx, panelTimeout)
	defer cancel()
	for i := range v.Queries {
		q := &v.Queries[i]
		if q.Expr == "" {
			continue
		}
		said := exploreSaid{Name: q.Name, Error: q.Error}
		if q.Error == "" {
			m.exploreOne(ctx, ws, v, q, several, res, &said)
		}
		res.Said = append(res.Said, said)
	}
	res.cut()
	if !v.Table {
		res.Chart.Marks = m.exploreMarks(ctx, ws, v.Range)
	}
	return res
}

// cut leaves as many series as can be drawn.
func (res *exploreResult) cut() {
	if n := len(res.Chart.Series); n > maxSeries {
		res.Chart.Series = res.Chart.Series[:maxSeries]
		res.Chart.Warnings = append(res.Chart.Warnings, fmt.Sprintf("%d of %d series are drawn. Narrow the query, or sum some of them: the table has all.", maxSeries, n))
	}
	if failed := slices.IndexFunc(res.Said, func(s exploreSaid) bool { return s.Error != "" }); failed >= 0 && len(res.Chart.Series) == 0 {
		res.Chart.Error = "Query " + res.Said[failed].Name + ": " + res.Said[failed].Error
	}
}

func (m *Module) exploreOne(ctx context.Context, ws kernel.WorkspaceID, v *exploreView, q *exploreQuery, several bool, res *exploreResult, said *exploreSaid) {
	ask := query.Question{Expr: q.Expr, At: v.Range.To}
	if !v.Table {
		ask.Span = query.Span{From: v.Range.From.Truncate(v.Step), To: v.Range.To.Truncate(v.Step), Step: v.Step}
	}
	began := time.Now()
	answer, err := m.d.Query.Ask(ctx, ws, ask)
	said.Took = time.Since(began)
	if err != nil {
		said.Error = kernel.AsError(err).Safe
		q.Error = said.Error
		return
	}
	said.notes(answer, q.Expr)
	unit := m.guessUnit(q.Expr)
	lines := named(Target{}, env{}, answer.Result, q.Expr, v.Draw == drawHeat)
	if matrix, ok := answer.Value.(promql.Matrix); ok && allNative(matrix) {
		if parsed, err := m.d.Query.Parse(q.Expr); err == nil { // quantiles are of what was measured
			unit = unitOfBuckets(parsed)
		}
	}
	said.Series = len(lines)
	for i := range lines {
		said.Points += len(lines[i].points)
	}
	if v.Table {
		res.Tables = append(res.Tables, tableOf(q.Name, unit, lines, answer.Result))
		return
	}
	if v.Draw == drawHeat {
		lines, unit = buckets(lines), ""
	}
	res.add(lines, v, q.Name, unit, several)
	if v.Draw != drawHeat && !v.Stack && len(res.Chart.Series) > 0 {
		own := unit
		if res.Chart.Series[0].Unit != unit {
			own = "" // the first axis is another's
		}
		res.Chart.Dots = append(res.Chart.Dots, m.dots(ctx, ws, q.Expr, own, v.Range)...)
	}
}

// notes are the warnings and remarks of the engine, with their places.
func (s *exploreSaid) notes(a query.Answer, expr string) {
	warnings, infos := a.Warnings.AsStrings(expr, 8, 8)
	for _, text := range warnings {
		s.Notes = append(s.Notes, exploreNote{strings.TrimPrefix(text, "PromQL warning: "), true})
	}
	for _, text := range infos {
		s.Notes = append(s.Notes, exploreNote{strings.TrimPrefix(text, "PromQL info: "), false})
	}
}

// add puts the lines of a query into the chart.
func (res *exploreResult) add(lines []line, v *exploreView, name, unit string, several bool) {
	c := &res.Chart
	if len(c.At) == 0 {
		return
	}
	from, step := c.At[0].UnixMilli(), v.Step.Milliseconds()
	taken := map[string]bool{}
	for _, l := range lines {
		s := ui.Series{Label: l.label, Unit: unit, Values: make([]float64, len(c.At))}
		if several {
			s.Label = name + ": " + l.label
		}
		if taken[s.Label] { // the legend needs names that differ
			s.Label += " " + l.labels.String()
		}
		taken[s.Label] = true
		for i := range s.Values {
			s.Values[i] = math.NaN()
		}
		for _, p := range l.points {
			if i := (p.T - from) / step; i >= 0 && int(i) < len(s.Values) {
				s.Values[i] = p.F
			}
		}
		c.Series = append(c.Series, s)
	}
}

// tableOf are the values of an instant query.
func tableOf(name, unit string, lines []line, res query.Result) exploreTable {
	t := exploreTable{Name: name, Chart: ui.Chart{ID: "explore-table-" + name, Title: "Query " + name, View: ui.ViewTable, Unit: unit, Empty: "Nothing matches at the end of this time."}}
	if s, ok := res.Value.(promql.String); ok {
		t.Empty = "The text “" + s.V + "”."
		return t
	}
	total := len(lines)
	if total > 1000 {
		lines = lines[:1000]
		t.Warnings = append(t.Warnings, fmt.Sprintf("1,000 of %d rows are shown.", total))
	}
	for _, l := range lines {
		s := ui.Series{Label: l.label, Values: []float64{math.NaN()}}
		if n := len(l.points); n > 0 {
			s.Values[0] = l.points[n-1].F
		}
		l.labels.Range(func(x labels.Label) { s.Labels = append(s.Labels, ui.Param{Name: x.Name, Value: x.Value}) })
		t.Series = append(t.Series, s)
	}
	return t
}

// exploreMarks is what happened in this time.
func (m *Module) exploreMarks(ctx context.Context, ws kernel.WorkspaceID, span ui.TimeRange) []ui.Mark {
	var marks []ui.Mark
	for _, a := range m.annotators {
		found, err := a.Annotations(ctx, ws, span.From, span.To)
		if err != nil {
			m.d.Logger.Warn("no annotations", "err", err)
			continue
		}
		for _, an := range found[:min(len(found), 200)] {
			mark := ui.Mark{At: an.At, Until: an.Until, Label: an.Text, Href: an.Href}
			if an.Kind == "alert" {
				mark.Tone = ui.ToneBad
			}
			marks = append(marks, mark)
		}
	}
	return marks
}
