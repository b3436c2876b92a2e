package query

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// divisible tells whether the value of an expression at a moment is the same whatever span is asked for, and depends on
// nothing that is newer than that moment.
func divisible(expr parser.Expr) bool {
	ok, selectors := true, 0
	never := func(bad bool) {
		if bad {
			ok = false
		}
	}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			selectors++
			never(n.Timestamp != nil || n.StartOrEnd != 0 || n.OriginalOffset < 0 || n.OriginalOffsetExpr != nil || n.Anchored || n.Smoothed)
			// One metric by its name: of several, two may get the same labels at different times, which is an error only
			// when both times are asked for.
			never(!oneMetric(n.LabelMatchers))
		case *parser.SubqueryExpr:
			never(n.Timestamp != nil || n.StartOrEnd != 0 || n.OriginalOffset < 0 || n.OriginalOffsetExpr != nil)
		case *parser.MatrixSelector:
			never(n.RangeExpr != nil)
		case *parser.Call:
			never(n.Func.Name == "label_replace" || n.Func.Name == "label_join" || n.Func.Name == "info")
		case *parser.AggregateExpr:
			never(orderMatters[n.Op])
		case *parser.BinaryExpr: // of "or" the same as of several metrics, where names are dropped over a span at once
			never(n.Op == parser.LOR && slices.ContainsFunc(path, dropsNamesOverSpan))
		}
		return nil
	})
	return ok && selectors > 0
}

// orderMatters has the aggregations whose result depends on the order in which series come: which of equals are among the
// first, or what is lost in rounding. Series come in another order when a span touches what is on disk than when it does
// not. Sums and averages make up for what is lost.
var orderMatters = map[parser.ItemType]bool{
	parser.TOPK: true, parser.BOTTOMK: true, parser.STDDEV: true, parser.STDVAR: true, parser.LIMITK: true, parser.LIMIT_RATIO: true,
}

func dropsNamesOverSpan(n parser.Node) bool {
	switch n.(type) {
	case *parser.SubqueryExpr, *parser.UnaryExpr:
		return true
	}
	return false
}

func oneMetric(matchers []*labels.Matcher) bool {
	return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
		return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != ""
	})
}

// storeAlone tells whether an expression asks for nothing that an app makes, which changes without a write to the store.
func storeAlone(expr parser.Expr) bool {
	alone := true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok && mayBeSource(v.LabelMatchers) {
			alone = false
		}
		return nil
	})
	return alone
}

// A span is worth dividing when it has steps enough for all parts and each is longer than what is looked at for one step,
// for that is read by both neighbours.
const (
	longSpan     = time.Hour
	stepsOfAPart = 8
	maxParts     = 8
)

// windowOf is how far back samples are looked at for one step, without offsets.
func windowOf(expr parser.Expr) time.Duration {
	longest := time.Duration(0)
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		window := time.Duration(0)
		switch n := node.(type) {
		case *parser.VectorSelector:
			window = lookback
		case *parser.MatrixSelector:
			window = n.Range
		}
		if window > 0 {
			for _, p := range path {
				if s, ok := p.(*parser.SubqueryExpr); ok {
					window += s.Range
				}
			}
			longest = max(longest, window)
		}
		return nil
	})
	return longest
}

// evaluateInParts evaluates the parts of a long span side by side, which one evaluation does not, on as many processors as
// no other query has taken for that. Each may use its part of the samples; when that is too little, or something else goes
// wrong, the whole is evaluated as one and says so itself.
func (m *Module) evaluateInParts(expr parser.Expr, s Span, whole func(Span) (Answer, error), part func(s Span, parts int) (Answer, error)) (Answer, error) {
	length := s.To.Sub(s.From)
	steps := int(length/s.Step) + 1
	most := min(maxParts, steps/stepsOfAPart, int(length/max(windowOf(expr), 1)))
	if length < longSpan || most < 2 {
		return whole(s)
	}
	parts := 1 + m.takeSpare(most-1)
	defer m.giveSpare(parts - 1)
	if parts == 1 {
		return whole(s)
	}
	answers, good := make([]promql.Matrix, parts), make([]bool, parts)
	var all sync.WaitGroup
	for i := range parts {
		first, end := i*steps/parts, (i+1)*steps/parts
		piece := Span{s.From.Add(time.Duration(first) * s.Step), s.From.Add(time.Duration(end-1) * s.Step), s.Step}
		all.Go(func() {
			defer func() { _ = recover() }() // the whole will say the same where it can be answered
			a, ok, _ := silent(part(piece, parts))
			if good[i] = ok; ok {
				answers[i] = a.Value.(promql.Matrix)
			}
		})
	}
	all.Wait()
	if slices.Contains(good, false) {
		return whole(s)
	}
	return Answer{Result: Result{Value: joined(answers)}}, nil
}

// takeSpare takes up to so many processors, as far as they are there, and tells how many.
func (m *Module) takeSpare(most int) (n int) {
	for ; n < most; n++ {
		select {
		case m.spare <- struct{}{}:
		default:
			return n
		}
	}
	return n
}

func (m *Module) giveSpare(n int) {
	for range n {
		<-m.spare
	}
}

// silent tells whether a result is a matrix that comes without warnings. Those belong to a span as a whole and are not
// kept.
func silent(a Answer, err error) (Answer, bool, error) {
	_, ok := a.Value.(promql.Matrix)
	return a, ok && err == nil && len(a.Warnings) == 0, err
}

// joined puts together matrices of spans that do not overlap.
func joined(parts []promql.Matrix) promql.Matrix {
	at := map[string]int{}
	out := promql.Matrix{}
	var key []byte
	for _, part := range parts {
		for _, s := range part {
			key = s.Metric.Bytes(key[:0])
			i, ok := at[string(key)]
			if !ok {
				at[string(key)] = len(out)
				out = append(out, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats), Histograms: slices.Clone(s.Histograms)})
				continue
			}
			out[i].Floats = append(out[i].Floats, s.Floats...)
			out[i].Histograms = append(out[i].Histograms, s.Histograms...)
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Floats, func(a, b promql.FPoint) int { return cmp.Compare(a.T, b.T) })
		slices.SortFunc(out[i].Histograms, func(a, b promql.HPoint) int { return cmp.Compare(a.T, b.T) })
	}
	slices.SortFunc(out, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return out
}
