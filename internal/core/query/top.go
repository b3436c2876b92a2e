package query

import (
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxTop is how many of the first may be asked for to be picked here.
const maxTop = 10_000

// top is a question for the largest or the smallest of what another expression finds. What that finds at a moment can be
// kept, and which of it come first follows from it, unless equals are divided: which of them are taken depends on the
// order in which the engine meets them, and so it must say.
type top struct {
	of       parser.Expr
	k        int
	smallest bool
	grouping []string // sorted
	without  bool
}

// topOf takes topk and bottomk with a constant apart; nil: it is something else.
func topOf(expr parser.Expr) *top {
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = p.Expr
	}
	a, ok := expr.(*parser.AggregateExpr)
	if !ok || a.Op != parser.TOPK && a.Op != parser.BOTTOMK {
		return nil
	}
	k, ok := a.Param.(*parser.NumberLiteral)
	if !ok || !(k.Val >= 1 && k.Val <= maxTop) {
		return nil
	}
	t := &top{of: a.Expr, k: int(k.Val), smallest: a.Op == parser.BOTTOMK, grouping: slices.Clone(a.Grouping), without: a.Without}
	if t.without {
		t.grouping = append(t.grouping, model.MetricNameLabel)
	}
	slices.Sort(t.grouping)
	return t
}

// pick takes what comes first at each step out of what the other expression found. It is false when equals are divided.
func (t *top) pick(all promql.Matrix, s Span) (promql.Matrix, bool) {
	groups := t.groups(all)
	picked := make([][]promql.FPoint, len(all))
	next := make([]int, len(all)) // of each series, the first point that was not looked at
	best := make([]candidate, 0, t.k+2)
	step := s.Step.Milliseconds()
	for at := s.From.UnixMilli(); at <= s.To.UnixMilli(); at += step {
		for _, members := range groups {
			best = best[:0]
			for _, i := range members {
				points := all[i].Floats
				if next[i] == len(points) || points[next[i]].T != at {
					continue
				}
				best = t.insert(best, candidate{points[next[i]].F, i})
				next[i]++
			}
			if len(best) > t.k {
				if !t.before(best[t.k-1].value, best[t.k].value) {
					return nil, false
				}
				best = best[:t.k]
			}
			for _, c := range best {
				picked[c.series] = append(picked[c.series], promql.FPoint{T: at, F: c.value})
			}
		}
	}
	out := make(promql.Matrix, 0, len(all))
	for i, points := range picked {
		if len(points) > 0 {
			out = append(out, promql.Series{Metric: all[i].Metric, Floats: points})
		}
	}
	return out, true
}

// groups are the series that are compared with each other, by their place.
func (t *top) groups(all promql.Matrix) (out [][]int) {
	if len(t.grouping) == 0 {
		out = append(out, make([]int, len(all)))
		for i := range all {
			out[0][i] = i
		}
		return out
	}
	at := map[string]int{}
	var key []byte
	for i, s := range all {
		key = t.key(key, s.Metric)
		n, ok := at[string(key)]
		if !ok {
			n = len(out)
			at[string(key)] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], i)
	}
	return out
}

func (t *top) key(buf []byte, l labels.Labels) []byte {
	if t.without {
		return l.BytesWithoutLabels(buf, t.grouping...)
	}
	return l.BytesWithLabels(buf, t.grouping...)
}

// candidate is the value of a series at a step.
type candidate struct {
	value  float64
	series int
}

// before tells whether a value comes before another. What is not a number comes last.
func (t *top) before(a, b float64) bool {
	switch {
	case math.IsNaN(a):
		return false
	case math.IsNaN(b):
		return true
	case t.smallest:
		return a < b
	}
	return a > b
}

// insert puts a candidate where it belongs among the first, one more of which are kept than are wanted.
func (t *top) insert(best []candidate, c candidate) []candidate {
	if len(best) > t.k {
		if !t.before(c.value, best[t.k].value) {
			return best
		}
		best = best[:t.k]
	}
	at := len(best)
	for at > 0 && t.before(c.value, best[at-1].value) {
		at--
	}
	return slices.Insert(best, at, c)
}
